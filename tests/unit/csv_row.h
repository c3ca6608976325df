/* A row of a table of expected values: commas part its fields, and there is no quoting. */
#ifndef CANHBAO_TESTS_CSV_ROW_H
#define CANHBAO_TESTS_CSV_ROW_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Cuts the line; fails unless it has exactly so many fields. */
static inline void csv_split(char *line, char **ret_fields, int columns) {
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < columns; i++) {
        ret_fields[i] = strsep(&line, ",");
        assert_non_null(ret_fields[i]);
    }
    assert_null(line);
}

#endif
