#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_field.h"
#include "daemon/control/ctl_tools.h"
#include "daemon/control/ctl_usage.h"
#include "daemon/control/late_request.h"

enum { IMPORT_LINE_SIZE = 256, IMPORT_ROWS_MAX = 100000, IMPORT_BATCH = LATE_ROWS_MAX };

/* "2025-11-19T06:00:00Z,5.2", value empty: none. A new reference, or NULL. */
static json_t *read_row(char *line) {
    char *value = strchr(line, ',');
    int64_t us;
    double number;
    line[strcspn(line, "\r\n")] = '\0';
    if (value == NULL) {
        return NULL;
    }
    *value++ = '\0';
    if (text_parse_time(line, &us) != 0 ||
        (value[0] != '\0' && text_parse_double(value, -1e12, 1e12, &number) != 0)) {
        return NULL;
    }
    return json_pack("[s,o]", line, value[0] != '\0' ? json_real(number) : json_null());
}

/* All rows of the file, or NULL with what is wrong told. */
static json_t *read_rows(const char *path) {
    char line[IMPORT_LINE_SIZE];
    int number = 1;
    FILE *file = fopen(path, "r");
    json_t *rows = json_array();
    bool opened = file != NULL && fgets(line, sizeof line, file) != NULL;
    bool good = opened && strncmp(line, "time,value", strlen("time,value")) == 0;
    if (file == NULL || ferror(file) != 0) {
        ctl_error("%s: cannot be read: %s", path, strerror(errno));
    } else if (!good) {
        ctl_error("%s: expected a CSV file with the header time,value", path);
    }
    while (good && fgets(line, sizeof line, file) != NULL) {
        json_t *row = read_row(line);
        number++;
        good = row != NULL && json_array_size(rows) < IMPORT_ROWS_MAX;
        if (row == NULL) {
            ctl_error("%s:%d: expected a time with its zone, and a number or nothing", path,
                      number);
        } else if (!good) {
            ctl_error("%s: more than %d rows", path, IMPORT_ROWS_MAX);
        } else {
            json_array_append(rows, row);
        }
        json_decref(row);
    }
    if (good && json_array_size(rows) == 0) {
        ctl_error("%s: no rows", path);
    }
    if (file != NULL) {
        (void)fclose(file); /* it was read only */
    }
    if (good && json_array_size(rows) > 0) {
        return rows;
    }
    json_decref(rows);
    return NULL;
}

int ctl_import(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
               const struct field_options *options) {
    if (count != 3) {
        return ctl_usage("import STATION POINT FILE.csv");
    }
    json_t *rows = read_rows(arguments[2]);
    size_t total = json_array_size(rows), sent = 0;
    int result = rows != NULL ? EXIT_DONE : EXIT_FAILED;
    while (sent < total && result == EXIT_DONE) {
        json_t *batch = json_array(), *data = NULL;
        for (size_t i = sent; i < total && i < sent + IMPORT_BATCH; i++) {
            json_array_append(batch, json_array_get(rows, i));
        }
        sent += json_array_size(batch);
        result =
            ask(ctx,
                json_pack("{s:s,s:s,s:s,s:o,s:b}", "do", "late-readings", "station", arguments[0],
                          "point", arguments[1], "rows", batch, "last", sent == total),
                &data);
        json_decref(data);
    }
    if (result == EXIT_DONE && options->json) {
        printf("{\"taken\":%zu}\n", total);
    } else if (result == EXIT_DONE) {
        printf("%zu\n", total);
    }
    json_decref(rows);
    return result;
}
