#include "daemon/series_export.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

enum { STEP_ROWS = 2000 };

struct series_export {
    struct series_export_options options;
    FILE *file;
    struct loop_timer step;
    size_t point;        /* that is being read */
    struct utc_us after; /* next reading of it */
    size_t step_rows;    /* of this step */
    int64_t last_us;
    size_t rows;
};

static int write_row(void *user, const struct reading *reading) {
    struct series_export *series = user;
    const struct series_point *point = &series->options.points[series->point];
    char time[40];
    char value[40] = "";
    text_format_time(reading->received.utc.us, time, sizeof time);
    if (reading->status == READING_OK && isfinite(reading->value)) {
        (void)text_format_double(reading->value, value, sizeof value);
    }
    (void)fprintf(series->file, "%s,%s,%s,%s,%s,%d,%s\n", time, point->station, point->point, value,
                  point->unit, (int)reading->flag, reading_status_name(reading->status));
    series->last_us = reading->received.utc.us;
    series->step_rows++;
    return 0;
}

static void end(struct series_export *series, int code, const char *text) {
    if (series->file != NULL) {
        bool good = ferror(series->file) == 0;
        good = fclose(series->file) == 0 && good;
        series->file = NULL;
        if (!good && code == 0) {
            code = ERR_IO;
            text = "the series cannot be written";
        }
    }
    series->options.on_end(series->options.ctx, code, text);
}

/* STEP_ROWS of one point. The next step begins after the last time: a point has one reading at a
 * time. */
static void on_step(void *ctx) {
    struct series_export *series = ctx;
    if (series->point == series->options.point_count) {
        end(series, 0, "");
        return;
    }
    const struct series_point *point = &series->options.points[series->point];
    series->step_rows = 0;
    int result = store_read_readings(series->options.store, point->handle, series->after,
                                     series->options.to, STEP_ROWS, write_row, series);
    series->rows += series->step_rows;
    if (result != 0) {
        end(series, result, "the store cannot give the series");
        return;
    }
    if (series->rows > SERIES_EXPORT_ROWS_MAX) {
        end(series, ERR_LIMIT, "the series has too many rows: fewer points or a shorter window");
        return;
    }
    if (series->step_rows < STEP_ROWS) {
        series->point++;
        series->after = series->options.from;
    } else {
        series->after.us = series->last_us + 1;
    }
    loop_timer_start_in(&series->step, 0);
}

int series_export_start(const struct series_export_options *options,
                        struct series_export **ret_export, struct err *ret_err) {
    struct series_export *series = calloc(1, sizeof *series);
    if (series == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a series");
    }
    series->options = *options;
    series->after = options->from;
    int result = loop_timer_init(options->loop, LOOP_WIRE, on_step, series, &series->step);
    series->file = result == 0 ? fopen(options->path, "we") : NULL;
    if (series->file == NULL ||
        fputs("time,station,point,value,unit,flag,status\n", series->file) < 0) {
        result = result != 0
                     ? err_set(ret_err, result, "no memory for a series")
                     : err_set(ret_err, ERR_IO, "%.300s: %s", options->path, strerror(errno));
        (void)series_export_destroy(series);
        return result;
    }
    series->options.path = NULL;
    loop_timer_start_in(&series->step, 0);
    *ret_export = series;
    return 0;
}

struct series_export *series_export_destroy(struct series_export *series) {
    if (series != NULL) {
        loop_timer_finish(&series->step);
        if (series->file != NULL) {
            (void)fclose(series->file); /* unfinished: nobody reads it */
        }
        free(series);
    }
    return NULL;
}
