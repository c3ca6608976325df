#include "models/table/longform.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/table/table.h"

static int read_row(const struct table *table, const size_t *column, size_t i,
                    struct longform_row *row, struct err *ret_err) {
    const char *value = table_text(table, i, column[3]), *flag = table_text(table, i, column[5]);
    *row = (struct longform_row){.station = table_text(table, i, column[1]),
                                 .point = table_text(table, i, column[2]),
                                 .unit = table_text(table, i, column[4]),
                                 .value = (double)NAN};
    if (table_time(table_text(table, i, column[0]), &row->utc_us) != 0) {
        return table_refuse(table, i, column[0], ERR_SYNTAX, ret_err, "not a time");
    }
    if (value[0] != '\0' && text_parse_double(value, -1e15, 1e15, &row->value) != 0) {
        return table_refuse(table, i, column[3], ERR_SYNTAX, ret_err, "not a number");
    }
    if (strlen(flag) != 1 || strchr("12349", flag[0]) == NULL) {
        return table_refuse(table, i, column[5], ERR_INVALID, ret_err,
                            "expected one of 1, 2, 3, 4, 9");
    }
    row->flag = flag[0] - '0';
    row->value = row->flag == 4 || row->flag == 9 ? (double)NAN : row->value;
    return 0;
}

int longform_read(const char *path, struct longform *ret_series, struct err *ret_err) {
    static const char *const names[] = {"time", "station", "point", "value", "unit", "flag"};
    size_t column[6] = {0};
    struct longform series = {0};
    int rc = table_read(path, &series.table, ret_err);
    for (size_t i = 0; rc == 0 && i < 6; i++) {
        rc = table_find(series.table, names[i], &column[i], ret_err);
    }
    series.count = rc == 0 ? table_rows(series.table) : 0;
    series.rows = calloc(series.count + 1, sizeof *series.rows);
    rc = rc == 0 && series.rows == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for readings")
                                        : rc;
    for (size_t i = 0; rc == 0 && i < series.count; i++) {
        rc = read_row(series.table, column, i, &series.rows[i], ret_err);
    }
    if (rc != 0) {
        longform_finish(&series);
        return rc;
    }
    *ret_series = series;
    return 0;
}

void longform_finish(struct longform *series) {
    free(series->rows);
    table_destroy(series->table);
    *series = (struct longform){0};
}

size_t longform_block(const struct longform *series, const char *point, size_t *from) {
    const struct longform_row *rows = series->rows;
    size_t i = *from;
    while (i < series->count && strcmp(rows[i].point, point) != 0) {
        i++;
    }
    *from = i;
    while (i < series->count && strcmp(rows[i].point, point) == 0 &&
           strcmp(rows[i].station, rows[*from].station) == 0) {
        i++;
    }
    return i;
}
