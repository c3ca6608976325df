/* What is wrong with a configuration: a bounded list of errors, each with file, line, column, key
 * path and a sentence that names the value and what was expected.
 *
 * Thread rule: per object. */
#ifndef CANHBAO_CONFIG_ERRORS_H
#define CANHBAO_CONFIG_ERRORS_H

#include <stddef.h>

enum {
    CONFIG_ERRORS_MAX = 32,
    CONFIG_FILE_SIZE = 160,
    CONFIG_KEY_SIZE = 160,
    CONFIG_TEXT_SIZE = 400
};

struct config_error {
    char file[CONFIG_FILE_SIZE]; /* relative to the site's folder: "stations/an-hoa.yaml" */
    unsigned line, column;       /* from 1; column in characters; 0 when the file cannot be read */
    char key[CONFIG_KEY_SIZE];   /* "points[2].quality.hard_max"; empty at the root */
    char text[CONFIG_TEXT_SIZE];
};

struct config_errors {
    struct config_error items[CONFIG_ERRORS_MAX];
    size_t count; /* of items */
    size_t more;  /* errors after the list was full */
};

/* Adds one error; when the list is full only `more` grows. Overlong parts are cut. */
__attribute__((format(printf, 6, 7))) void config_errors_add(struct config_errors *errors,
                                                             const char *file, unsigned line,
                                                             unsigned column, const char *key,
                                                             const char *format, ...);

/* All that were added, also those beyond the list. */
size_t config_errors_total(const struct config_errors *errors);

/* "stations/an-hoa.yaml:12:9: points[0].unit: ..." */
void config_error_format(const struct config_error *error, char *ret_text, size_t size);

#endif
