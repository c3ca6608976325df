#include "models/hydrology/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

void series_finish(struct series *series) {
    free(series->values);
    free(series->row);
    table_destroy(series->table);
    *series = (struct series){0};
}

/* So many rows without a neighbour have another step; fewer may be what gaps have left. */
enum { WRONG_STEP_ROWS = 4 };

/* told_by: the row that ends the shortest step; 0: the step was given. */
static int refuse_grid(const struct series *series, size_t row, size_t told_by, size_t time_column,
                       struct err *ret_err) {
    double step_h = (double)series->step_us / 3.6e9;
    const char *text = table_text(series->table, row, time_column);
    if (told_by == 0) {
        return table_refuse(series->table, row, time_column, ERR_INVALID, ret_err,
                            "'%.40s' is not on the grid of %.9g h that starts with the first row",
                            text, step_h);
    }
    return table_refuse(
        series->table, row, time_column, ERR_INVALID, ret_err,
        "'%.40s' is not on the grid that starts with the first row; its step is the shortest "
        "distance of two rows, %.9g h from '%.40s' to '%.40s'",
        text, step_h, table_text(series->table, told_by - 1, time_column),
        table_text(series->table, told_by, time_column));
}

/* The step of the series, where it is not given, and the row that told it (0: it was given). */
static int find_step(struct series *series, const char *path, const int64_t *time_us,
                     size_t time_column, size_t *ret_told_by, struct err *ret_err) {
    size_t rows = table_rows(series->table), nearest = 0;
    int64_t shortest_us = INT64_MAX;
    for (size_t i = 1; i < rows; i++) { /* the first hole may stand at the start */
        if (time_us[i] - time_us[i - 1] < shortest_us) {
            shortest_us = time_us[i] - time_us[i - 1];
            nearest = i;
        }
    }
    if (series->step_us == 0) {
        series->step_us = shortest_us;
        *ret_told_by = nearest;
        return rows < 2
                   ? err_set(ret_err, ERR_INVALID, "%.300s: one row does not tell the step", path)
                   : 0;
    }
    if (rows >= WRONG_STEP_ROWS && shortest_us > series->step_us) {
        return table_refuse(series->table, nearest, time_column, ERR_INVALID, ret_err,
                            "no two of the %zu rows are %.9g h apart; the nearest, '%.40s' and "
                            "this one, are %.9g h",
                            rows, (double)series->step_us / 3.6e9,
                            table_text(series->table, nearest - 1, time_column),
                            (double)shortest_us / 3.6e9);
    }
    return 0;
}

/* Places every row on the grid of the step. */
static int place_rows(struct series *series, const char *path, size_t time_column,
                      struct err *ret_err) {
    size_t rows = table_rows(series->table);
    if (rows == 0) {
        return err_set(ret_err, ERR_INVALID, "%.300s: the table has no rows", path);
    }
    int64_t *time_us = malloc(rows * sizeof *time_us);
    if (time_us == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu times", rows);
    }
    size_t told_by = 0;
    int rc = table_times(series->table, time_column, time_us, ret_err);
    rc = rc != 0 ? rc : find_step(series, path, time_us, time_column, &told_by, ret_err);
    for (size_t i = 0; rc == 0 && i < rows; i++) {
        if ((time_us[i] - time_us[0]) % series->step_us != 0) {
            rc = refuse_grid(series, i, told_by, time_column, ret_err);
        }
    }
    if (rc == 0) {
        uint64_t count = (uint64_t)((time_us[rows - 1] - time_us[0]) / series->step_us) + 1;
        series->start_us = time_us[0];
        series->count = (size_t)count;
        series->inserted = (size_t)count - rows;
        series->row = count > SERIES_STEPS_MAX ? NULL : malloc((size_t)count * sizeof *series->row);
        if (series->row == NULL) {
            rc = err_set(ret_err, ERR_LIMIT,
                         "%.300s: the times span %llu steps, more than can be held", path,
                         (unsigned long long)count);
        }
    }
    if (rc == 0) {
        memset(series->row, 0xff, series->count * sizeof *series->row);
        for (size_t i = 0; i < rows; i++) {
            series->row[(time_us[i] - time_us[0]) / series->step_us] = i;
        }
    }
    free(time_us);
    return rc;
}

static int fill_column(struct series *series, const struct series_column *column, double *values,
                       double *by_row, struct err *ret_err) {
    size_t at = 0;
    for (size_t i = 0; i < series->count; i++) {
        values[i] = NAN;
    }
    if (column->optional && !table_has(series->table, column->name)) {
        return 0;
    }
    int rc = table_find(series->table, column->name, &at, ret_err);
    rc = rc != 0 ? rc : table_numbers(series->table, at, column->min, column->max, by_row, ret_err);
    for (size_t i = 0; rc == 0 && i < series->count; i++) {
        if (series->row[i] != SIZE_MAX) {
            values[i] = by_row[series->row[i]];
        }
    }
    return rc;
}

int series_read(const char *path, int64_t step_us, const struct series_column *columns,
                size_t column_count, struct series *ret_series, struct err *ret_err) {
    struct series series = {.step_us = step_us, .columns = column_count};
    double *by_row = NULL;
    size_t time_column = 0;
    int rc = table_read(path, &series.table, ret_err);
    rc = rc != 0 ? rc : table_find(series.table, "time", &time_column, ret_err);
    rc = rc != 0 ? rc : place_rows(&series, path, time_column, ret_err);
    if (rc == 0) {
        series.values = calloc(series.count * column_count + 1, sizeof *series.values);
        by_row = malloc(table_rows(series.table) * sizeof *by_row);
        if (series.values == NULL || by_row == NULL) {
            rc = err_set(ret_err, ERR_MEMORY, "%s: no memory for the series", path);
        }
    }
    for (size_t i = 0; rc == 0 && i < column_count; i++) {
        rc = fill_column(&series, &columns[i], series.values + i * series.count, by_row, ret_err);
    }
    free(by_row);
    if (rc != 0) {
        series_finish(&series);
        return rc;
    }
    *ret_series = series;
    return 0;
}

const double *series_column(const struct series *series, size_t column) {
    return series->values + column * series->count;
}

int64_t series_time_us(const struct series *series, size_t step) {
    return series->start_us + (int64_t)step * series->step_us;
}

void series_time_text(const struct series *series, size_t step, char *ret_text, size_t size) {
    size_t column = 0;
    if (series->row[step] != SIZE_MAX && table_find(series->table, "time", &column, NULL) == 0 &&
        text_copy(ret_text, size, table_text(series->table, series->row[step], column)) == 0) {
        return;
    }
    text_format_time(series_time_us(series, step), ret_text, size);
}
