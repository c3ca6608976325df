/* Where the reference data is; a test without it is skipped, never passed. */
#ifndef CANHBAO_TESTS_REFERENCE_H
#define CANHBAO_TESTS_REFERENCE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { REFERENCE_SKIP = 77 };

/* The path of a file of the reference data, or the end of the test with "SKIPPED". */
static inline const char *reference_path(const char *test, const char *file) {
    static char paths[8][4096];
    static unsigned next;
    char *path = paths[next++ % 8];
    const char *folder = getenv("CANHBAO_REFERENCE_DATA");
    (void)snprintf(path, sizeof paths[0], "%s/%s",
                   folder != NULL ? folder : CANHBAO_SOURCE_DIR "/../shared/data", file);
    if (access(path, R_OK) != 0) {
        printf("SKIPPED: %s: no reference data\n", test);
        exit(REFERENCE_SKIP);
    }
    return path;
}

#endif
