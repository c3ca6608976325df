#include "models/merge/gauges.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/station/counter.h"
#include "daemon/station/station.h"
#include "daemon/station/window.h"

enum { US_PER_S = 1000000, STATIONS_MAX = 20000 };

struct rain_gauge {
    char id[STATION_ID_SIZE]; /* of the station */
    double latitude_deg, longitude_deg;
    char epoch[STATION_ID_SIZE]; /* point that tells restarts of the counter; empty: none */
    struct point point;          /* id, unit, kind, period and how it counts; the rest is 0 */
};

struct rain_gauges {
    size_t count;
    struct rain_gauge *list;
};

/* ---- stations ---- */

static bool text_of(const json_t *object, const char *key, char *ret_text, size_t size) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text_copy(ret_text, size, text) == 0;
}

/* A number in [least, most]; absent: NaN. */
static bool number_of(const json_t *object, const char *key, double least, double most,
                      double *ret_value) {
    const json_t *value = json_object_get(object, key);
    *ret_value = value != NULL ? json_number_value(value) : (double)NAN;
    return value == NULL || (json_is_number(value) && *ret_value >= least && *ret_value <= most);
}

/* Which of a list of words; the count of them when it is none. */
static size_t choice_of(const json_t *object, const char *key, const char *const *words) {
    const char *text = json_string_value(json_object_get(object, key));
    size_t i = 0;
    while (words[i] != NULL && (text == NULL || strcmp(words[i], text) != 0)) {
        i++;
    }
    return i;
}

/* What is wrong; NULL: nothing. */
static const char *read_counter(const json_t *json, struct rain_gauge *gauge) {
    static const char *const memories[] = {[COUNTER_KEPT] = "kept", [COUNTER_LOST] = "lost", NULL};
    static const char *const epochs[] = {[COUNTER_EPOCH_NONE] = "none",
                                         [COUNTER_EPOCH_CHANGES] = "changes",
                                         [COUNTER_EPOCH_UPTIME] = "uptime",
                                         NULL};
    struct point *point = &gauge->point;
    size_t memory = choice_of(json, "counter_memory", memories);
    size_t epoch = choice_of(json, "counter_epoch", epochs);
    if (!number_of(json, "counter_modulus", 0, 1e15, &point->counter_modulus)) {
        return "counter_modulus";
    }
    if (!number_of(json, "counter_step_max", 0, 1e15, &point->counter_step_max) ||
        isnan(point->counter_step_max)) {
        return "counter_step_max";
    }
    if (memories[memory] == NULL) {
        return "counter_memory";
    }
    if (epochs[epoch] == NULL ||
        (epoch != COUNTER_EPOCH_NONE &&
         !text_of(json, "counter_epoch_point", gauge->epoch, sizeof gauge->epoch))) {
        return "counter_epoch";
    }
    point->counter_memory = (enum counter_memory)memory;
    point->counter_epoch = (enum counter_epoch)epoch;
    return NULL;
}

/* What is wrong; NULL: nothing. *ret_rain: it is a total of rain. */
static const char *read_point(const json_t *json, struct rain_gauge *gauge, bool *ret_rain) {
    static const char *const kinds[] = {
        [POINT_INSTANT] = "instant", [POINT_COUNTER] = "counter", [POINT_AMOUNT] = "amount", NULL};
    struct rain_gauge found = *gauge;
    struct point *point = &found.point;
    double period_s = (double)NAN;
    size_t kind = choice_of(json, "kind", kinds);
    if (!text_of(json, "id", point->id, sizeof point->id) || !text_is_id(point->id)) {
        return "id of a point";
    }
    if (!text_of(json, "unit", point->unit, sizeof point->unit)) {
        return "unit";
    }
    if (kinds[kind] == NULL) {
        return "kind of a point";
    }
    if (!number_of(json, "period_s", 0.01, 86400, &period_s) || isnan(period_s)) {
        return "period_s";
    }
    point->kind = (enum point_kind)kind;
    point->period_us = (int64_t)(period_s * US_PER_S);
    const char *fault = point->kind == POINT_COUNTER ? read_counter(json, &found) : NULL;
    bool rain = point->kind != POINT_INSTANT && strcmp(point->unit, "mm") == 0;
    if (fault == NULL && rain && *ret_rain) {
        return "more than one total of rain";
    }
    if (fault == NULL && rain) {
        *gauge = found;
        *ret_rain = true;
    }
    return fault;
}

static const char *read_station(const json_t *json, struct rain_gauge *gauge, bool *ret_rain) {
    const json_t *points = json_object_get(json, "points");
    const char *fault = NULL;
    size_t i = 0;
    json_t *point = NULL;
    *gauge = (struct rain_gauge){.id = ""};
    if (!text_of(json, "id", gauge->id, sizeof gauge->id) || !text_is_id(gauge->id)) {
        return "id";
    }
    if (!number_of(json, "latitude_deg", -90, 90, &gauge->latitude_deg) ||
        !number_of(json, "longitude_deg", -180, 180, &gauge->longitude_deg)) {
        return "position";
    }
    if (!json_is_array(points)) {
        return "points";
    }
    json_array_foreach(points, i, point) {
        fault = fault != NULL ? fault : read_point(point, gauge, ret_rain);
    }
    return fault;
}

static int read_stations(const char *path, const json_t *stations, struct rain_gauges *gauges,
                         struct err *ret_err) {
    size_t i = 0;
    json_t *json = NULL;
    json_array_foreach(stations, i, json) {
        bool rain = false;
        if (gauges->count == RAIN_GAUGES_MAX) {
            return err_set(ret_err, ERR_LIMIT, "%s: more than %d gauges", path, RAIN_GAUGES_MAX);
        }
        struct rain_gauge *gauge = &gauges->list[gauges->count];
        const char *fault = read_station(json, gauge, &rain);
        if (fault != NULL) {
            return err_set(ret_err, ERR_INVALID, "%s: station %zu%s%s: %s", path, i,
                           gauge->id[0] != '\0' ? ", " : "", gauge->id, fault);
        }
        gauges->count += rain ? 1 : 0;
    }
    return gauges->count > 0
               ? 0
               : err_set(ret_err, ERR_INVALID,
                         "%s: no station has a counter or amount in mm among its points", path);
}

int rain_gauges_load(const char *path, struct rain_gauges **ret_gauges, struct err *ret_err) {
    json_error_t why;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        return err_set(ret_err, ERR_SYNTAX, "%s:%d: %s", path, why.line, why.text);
    }
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const json_t *stations = json_object_get(root, "stations");
    size_t count = json_array_size(stations);
    struct rain_gauges *gauges = calloc(1, sizeof *gauges);
    if (gauges != NULL) {
        size_t room = count < RAIN_GAUGES_MAX ? count + 1 : RAIN_GAUGES_MAX;
        gauges->list = calloc(room, sizeof *gauges->list);
    }
    bool known = kind != NULL && strcmp(kind, "stations") == 0 && json_is_array(stations) &&
                 json_integer_value(json_object_get(root, "version")) == 1 && count <= STATIONS_MAX;
    int rc = gauges == NULL || gauges->list == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for gauges")
             : !known ? err_set(ret_err, ERR_INVALID,
                                "%s: not kind stations, version 1, with a list of stations", path)
                      : read_stations(path, stations, gauges, ret_err);
    json_decref(root);
    if (rc != 0) {
        (void)rain_gauges_destroy(gauges);
        return rc;
    }
    *ret_gauges = gauges;
    return 0;
}

struct rain_gauges *rain_gauges_destroy(struct rain_gauges *gauges) {
    if (gauges != NULL) {
        free(gauges->list);
        free(gauges);
    }
    return NULL;
}

size_t rain_gauges_count(const struct rain_gauges *gauges) {
    return gauges->count;
}

const char *rain_gauge_id(const struct rain_gauges *gauges, size_t index) {
    return gauges->list[index].id;
}

void rain_gauge_place(const struct rain_gauges *gauges, size_t index, double *ret_latitude_deg,
                      double *ret_longitude_deg) {
    *ret_latitude_deg = gauges->list[index].latitude_deg;
    *ret_longitude_deg = gauges->list[index].longitude_deg;
}

/* ---- what fell ---- */

struct rows {
    const struct longform_row *first;
    size_t count;
};

static struct rows rows_of(const struct longform *series, const char *station, const char *point) {
    for (size_t from = 0, to = 0; (to = longform_block(series, point, &from)) > from; from = to) {
        if (strcmp(series->rows[from].station, station) == 0) {
            return (struct rows){&series->rows[from], to - from};
        }
    }
    return (struct rows){NULL, 0};
}

/* What the device said of restarts in the same reply; NaN: nothing. */
static double epoch_at(const struct rows *epochs, int64_t utc_us) {
    size_t low = 0, high = epochs->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (epochs->first[middle].utc_us < utc_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < epochs->count && epochs->first[low].utc_us == utc_us;
    return found ? epochs->first[low].value : (double)NAN;
}

static bool is_doubted(const struct longform_row *row) {
    return row->flag == 3 || row->flag == 4;
}

static bool is_good(const struct longform_row *row) {
    return !is_doubted(row) && !isnan(row->value);
}

/* The stretch that ends with `row`; `before` NULL: no good reading runs up to it. */
static bool stretch(const struct rain_gauge *gauge, const struct rows *epochs,
                    const struct longform_row *before, const struct longform_row *row,
                    struct window_segment *ret_segment) {
    const struct point *point = &gauge->point;
    double amount = (double)NAN;
    int64_t start_us = row->utc_us - point->period_us;
    if (point->kind == POINT_AMOUNT) {
        /* On time: it follows the one before. Late: readings are missing in between. */
        bool follows = before != NULL && start_us - before->utc_us <= point->period_us / 2;
        start_us = follows ? before->utc_us : start_us;
        amount = row->value >= 0 ? row->value : (double)NAN;
    } else if (before != NULL) {
        struct counter_sample from = {before->value, before->utc_us,
                                      epoch_at(epochs, before->utc_us)};
        struct counter_sample to = {row->value, row->utc_us, epoch_at(epochs, row->utc_us)};
        start_us = before->utc_us;
        amount = counter_amount(point, &from, &to);
    }
    *ret_segment = (struct window_segment){.start_us = start_us,
                                           .end_us = row->utc_us,
                                           .good_us = row->utc_us - start_us,
                                           .amount = amount,
                                           .count = 1,
                                           .good = 1,
                                           .seq = 1};
    return isfinite(amount) && row->utc_us > start_us;
}

/* The part of a stretch before `end_us`. */
static void cut(struct window_segment *segment, int64_t end_us) {
    double share =
        (double)(end_us - segment->start_us) / (double)(segment->end_us - segment->start_us);
    segment->amount *= share;
    segment->end_us = end_us;
    segment->good_us = end_us - segment->start_us;
}

struct account {
    struct window window;
    int64_t end_us; /* of the gauge's window */
    bool doubted, set_back;
};

static void add_rows(const struct rain_gauge *gauge, const struct rows *rows,
                     const struct rows *epochs, struct account *account) {
    const struct longform_row *before = NULL;
    int64_t begin_us = account->end_us - account->window.window_us;
    for (size_t i = 0; i < rows->count; i++) {
        const struct longform_row *row = &rows->first[i];
        struct window_segment segment;
        if (row->utc_us > begin_us && row->utc_us <= account->end_us && is_doubted(row)) {
            account->doubted = true;
        }
        if (!is_good(row)) {
            before = is_doubted(row) ? NULL : before;
            continue;
        }
        bool known = stretch(gauge, epochs, before, row, &segment);
        account->set_back =
            account->set_back || (before != NULL && !known && row->utc_us > begin_us &&
                                  before->utc_us < account->end_us);
        before = row;
        if (!known || segment.start_us >= account->end_us) {
            continue;
        }
        if (segment.end_us > account->end_us) {
            cut(&segment, account->end_us);
        }
        window_add(&account->window, &segment);
    }
}

/* The newest good reading up to the end; with one after it the window ends as asked. */
static bool find_end(const struct rows *rows, const struct rain_span *span, struct account *account,
                     struct rain_fall *fall) {
    int64_t newest_us = INT64_MIN;
    bool any = false, doubted = false;
    for (size_t i = 0; i < rows->count; i++) {
        const struct longform_row *row = &rows->first[i];
        any = any || !isnan(row->value);
        if (is_good(row)) {
            newest_us = row->utc_us;
            doubted = false;
        } else if (row->utc_us <= span->end_us) {
            doubted = doubted || is_doubted(row);
        }
    }
    account->end_us = newest_us < span->end_us ? newest_us : span->end_us;
    account->doubted = doubted;
    if (newest_us >= span->end_us - span->slack_us) {
        return true;
    }
    fall->doubted = doubted;
    (void)snprintf(fall->why, sizeof fall->why, "%s",
                   doubted ? "its newest readings are suspect or failed"
                   : any   ? "no reading at the end"
                           : "no reading");
    return false;
}

static void judge(const struct account *account, const struct rain_span *span,
                  struct rain_fall *fall) {
    struct window_value value = window_value(&account->window, account->end_us);
    double window_min = (double)span->window_us / 6e7;
    fall->known_min = value.completeness * window_min;
    fall->doubted = account->doubted;
    if (!(value.completeness >= RAIN_KNOWN_SHARE)) {
        (void)snprintf(fall->why, sizeof fall->why, "known for %.0f of %.0f min%s%s",
                       fall->known_min, window_min,
                       account->set_back ? "; the counter was set back or jumped" : "",
                       account->doubted ? "; readings are suspect or failed" : "");
        return;
    }
    double rate = value.value * 60 / fall->known_min;
    if (rate > RAIN_RATE_MAX) {
        (void)snprintf(fall->why, sizeof fall->why, "more rain than can fall");
        return;
    }
    fall->rate_mm_h = rate;
}

int rain_gauge_fall(const struct rain_gauges *gauges, size_t index, const struct longform *series,
                    const struct rain_span *span, struct rain_fall *ret_fall, struct err *ret_err) {
    const struct rain_gauge *gauge = &gauges->list[index];
    struct rows rows = rows_of(series, gauge->id, gauge->point.id);
    struct rows epochs = rows_of(series, gauge->id, gauge->epoch);
    struct rain_fall fall = {.rate_mm_h = (double)NAN};
    struct account account = {.end_us = span->end_us};
    if (rows.count > 0 && strcmp(rows.first->unit, gauge->point.unit) != 0) {
        return err_set(ret_err, ERR_INVALID, "%s/%s is in %s, not %s", gauge->id, gauge->point.id,
                       rows.first->unit, gauge->point.unit);
    }
    if (!find_end(&rows, span, &account, &fall)) {
        *ret_fall = fall;
        return 0;
    }
    int rc =
        window_init(WINDOW_ACCUMULATION, span->window_us, gauge->point.period_us, &account.window);
    if (rc != 0) {
        return err_set(ret_err, rc, "no memory for a window");
    }
    add_rows(gauge, &rows, &epochs, &account);
    judge(&account, span, &fall);
    window_finish(&account.window);
    *ret_fall = fall;
    return 0;
}
