#include "models/hydrology/samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/table/table.h"

enum { POINTS_MAX = 4096 };

struct run {
    struct flood_point point;
    size_t first, count; /* in the arrays */
};

struct samples {
    struct table *table; /* NULL once read */
    size_t rows;
    int64_t *time_us;
    double *value; /* NaN: not good */
    size_t run_count;
    struct run runs[POINTS_MAX];
};

struct columns {
    size_t time, station, point, value, flag;
};

static int find_columns(const struct table *table, struct columns *ret_columns,
                        struct err *ret_err) {
    int rc = table_find(table, "time", &ret_columns->time, ret_err);
    rc = rc != 0 ? rc : table_find(table, "station", &ret_columns->station, ret_err);
    rc = rc != 0 ? rc : table_find(table, "point", &ret_columns->point, ret_err);
    rc = rc != 0 ? rc : table_find(table, "value", &ret_columns->value, ret_err);
    return rc != 0 ? rc : table_find(table, "flag", &ret_columns->flag, ret_err);
}

/* The run that a row belongs to, made when it is new. */
static struct run *run_of(struct samples *samples, const char *station, const char *point) {
    for (size_t i = samples->run_count; i > 0; i--) { /* rows of a point mostly stand together */
        struct run *run = &samples->runs[i - 1];
        if (strcmp(run->point.station, station) == 0 && strcmp(run->point.point, point) == 0) {
            return run;
        }
    }
    if (samples->run_count == POINTS_MAX) {
        return NULL;
    }
    struct run *run = &samples->runs[samples->run_count];
    if (text_copy(run->point.station, FLOOD_ID_SIZE, station) != 0 ||
        text_copy(run->point.point, FLOOD_ID_SIZE, point) != 0) {
        return NULL;
    }
    samples->run_count++;
    return run;
}

static int read_row(const struct samples *samples, const struct columns *columns, size_t row,
                    int64_t *ret_us, double *ret_value, struct err *ret_err) {
    const struct table *table = samples->table;
    const char *text = table_text(table, row, columns->value);
    const char *flag = table_text(table, row, columns->flag);
    double value = NAN;
    if (table_time(table_text(table, row, columns->time), ret_us) != 0) {
        return table_refuse(table, row, columns->time, ERR_SYNTAX, ret_err, "not a time");
    }
    if (text[0] != '\0' && text_parse_double(text, -1e12, 1e12, &value) != 0) {
        return table_refuse(table, row, columns->value, ERR_SYNTAX, ret_err, "not a number");
    }
    if (strlen(flag) != 1 || strchr("12349", flag[0]) == NULL) {
        return table_refuse(table, row, columns->flag, ERR_INVALID, ret_err,
                            "expected one of 1, 2, 3, 4, 9");
    }
    *ret_value = flag[0] == '1' || flag[0] == '2' ? value : (double)NAN;
    return 0;
}

/* Counts the rows of each point, then puts them one point after the other. */
static int sort_rows(struct samples *samples, struct err *ret_err) {
    struct columns columns = {0};
    size_t rows = samples->rows;
    uint16_t *run_of_row = calloc(rows + 1, sizeof *run_of_row);
    int rc = run_of_row == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for %zu readings", rows)
                                : find_columns(samples->table, &columns, ret_err);
    for (size_t i = 0; rc == 0 && i < rows; i++) {
        struct run *run = run_of(samples, table_text(samples->table, i, columns.station),
                                 table_text(samples->table, i, columns.point));
        if (run == NULL) {
            rc = table_refuse(samples->table, i, columns.station, ERR_LIMIT, ret_err,
                              "more than %d points, or a name that is too long", POINTS_MAX);
        } else {
            run_of_row[i] = (uint16_t)(run - samples->runs);
            run->count++;
        }
    }
    size_t at = 0;
    for (size_t r = 0; r < samples->run_count; r++) {
        samples->runs[r].first = at;
        at += samples->runs[r].count;
        samples->runs[r].count = 0;
    }
    for (size_t i = 0; rc == 0 && i < rows; i++) {
        struct run *run = &samples->runs[run_of_row[i]];
        size_t to = run->first + run->count++;
        rc = read_row(samples, &columns, i, &samples->time_us[to], &samples->value[to], ret_err);
        if (rc == 0 && run->count > 1 && samples->time_us[to] <= samples->time_us[to - 1]) {
            rc = table_refuse(samples->table, i, columns.time, ERR_INVALID, ret_err,
                              "not after the row before of the same point");
        }
    }
    free(run_of_row);
    return rc;
}

/* Takes the table over. */
static int take_table(struct table *table, struct samples **ret_samples, struct err *ret_err) {
    struct samples *samples = calloc(1, sizeof *samples);
    if (samples == NULL) {
        table_destroy(table);
        return err_set(ret_err, ERR_MEMORY, "no memory for readings");
    }
    samples->table = table;
    samples->rows = table_rows(table);
    samples->time_us = calloc(samples->rows + 1, sizeof *samples->time_us);
    samples->value = calloc(samples->rows + 1, sizeof *samples->value);
    int rc = samples->time_us == NULL || samples->value == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu readings", samples->rows)
                 : sort_rows(samples, ret_err);
    samples->table = table_destroy(samples->table);
    if (rc != 0) {
        samples_destroy(samples);
        return rc;
    }
    *ret_samples = samples;
    return 0;
}

int samples_read(const char *path, struct samples **ret_samples, struct err *ret_err) {
    struct table *table = NULL;
    int rc = table_read(path, &table, ret_err);
    return rc != 0 ? rc : take_table(table, ret_samples, ret_err);
}

int samples_parse(const char *name, const char *bytes, size_t size, struct samples **ret_samples,
                  struct err *ret_err) {
    struct table *table = NULL;
    int rc = table_parse(name, bytes, size, &table, ret_err);
    return rc != 0 ? rc : take_table(table, ret_samples, ret_err);
}

struct samples *samples_destroy(struct samples *samples) {
    if (samples != NULL) {
        table_destroy(samples->table);
        free(samples->time_us);
        free(samples->value);
        free(samples);
    }
    return NULL;
}

int64_t samples_first_us(const struct samples *samples) {
    int64_t first = INT64_MAX;
    for (size_t r = 0; r < samples->run_count; r++) {
        int64_t us = samples->time_us[samples->runs[r].first];
        first = us < first ? us : first;
    }
    return first;
}

int64_t samples_last_us(const struct samples *samples) {
    int64_t last = INT64_MIN;
    for (size_t r = 0; r < samples->run_count; r++) {
        int64_t us = samples->time_us[samples->runs[r].first + samples->runs[r].count - 1];
        last = us > last ? us : last;
    }
    return last;
}

static const struct run *find_run(const struct samples *samples, const struct flood_point *point) {
    for (size_t r = 0; r < samples->run_count; r++) {
        if (strcmp(samples->runs[r].point.station, point->station) == 0 &&
            strcmp(samples->runs[r].point.point, point->point) == 0) {
            return &samples->runs[r];
        }
    }
    return NULL;
}

/* Index past the last reading at or before a time. */
static size_t past(const struct samples *samples, const struct run *run, int64_t utc_us) {
    size_t low = 0, high = run->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (samples->time_us[run->first + middle] <= utc_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return run->first + low;
}

static double value_at(const struct samples *samples, const struct run *run, int64_t utc_us) {
    size_t at = past(samples, run, utc_us);
    return at > run->first && utc_us - samples->time_us[at - 1] < SAMPLES_HOLD_US
               ? samples->value[at - 1]
               : (double)NAN;
}

double samples_at(const struct samples *samples, const struct flood_point *point, int64_t utc_us) {
    const struct run *run = find_run(samples, point);
    return run == NULL ? (double)NAN : value_at(samples, run, utc_us);
}

static double rate_mm(const struct samples *samples, const struct run *run, int64_t from_us,
                      int64_t to_us) {
    double sum = 0, known_us = 0;
    size_t at = past(samples, run, from_us);
    at = at > run->first ? at - 1 : at;
    for (; at < run->first + run->count && samples->time_us[at] < to_us; at++) {
        int64_t start = samples->time_us[at] > from_us ? samples->time_us[at] : from_us;
        int64_t end = samples->time_us[at] + SAMPLES_HOLD_US;
        if (at + 1 < run->first + run->count && samples->time_us[at + 1] < end) {
            end = samples->time_us[at + 1];
        }
        end = end < to_us ? end : to_us;
        if (end > start && samples->value[at] >= 0) { /* NaN is not */
            sum += samples->value[at] * (double)(end - start);
            known_us += (double)(end - start);
        }
    }
    double all_us = (double)(to_us - from_us);
    return known_us < SAMPLES_COVERAGE * all_us ? (double)NAN : sum / known_us * all_us / 3.6e9;
}

double samples_rain_mm(const struct samples *samples, const struct flood_point *point,
                       double mm_per_count, int64_t from_us, int64_t to_us) {
    const struct run *run = find_run(samples, point);
    if (run == NULL) {
        return NAN;
    }
    if (mm_per_count == 0) {
        return rate_mm(samples, run, from_us, to_us);
    }
    double counts = value_at(samples, run, to_us) - value_at(samples, run, from_us);
    return counts >= 0 ? counts * mm_per_count : (double)NAN;
}

double samples_basin_mm(const struct samples *samples, const struct flood_basin *basin,
                        int64_t from_us, int64_t to_us, double *ret_share) {
    double sum = 0, known = 0, all = 0;
    for (size_t i = 0; i < basin->rain_count; i++) {
        const struct flood_rain *rain = &basin->rain[i];
        double mm = samples_rain_mm(samples, &rain->at, rain->mm_per_count, from_us, to_us);
        all += rain->weight;
        if (!isnan(mm)) {
            known += rain->weight;
            sum += rain->weight * mm;
        }
    }
    if (ret_share != NULL) {
        *ret_share = known / all;
    }
    return 2 * known < all ? (double)NAN : sum / known;
}
