#include "models/merge/live.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/output/output.h"
#include "models/table/longform.h"

enum { GAUGES_MAX = 512, LINE_SIZE = MERGE_LIVE_ID_SIZE + 96 };

__attribute__((format(printf, 2, 3))) static void leave_out(json_t *left_out, const char *format,
                                                            ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)json_array_append_new(left_out, json_string(text));
}

/* ---- gauges ---- */

struct gauge {
    const char *id;
    double latitude_deg, longitude_deg;
    double rain_mm_h; /* NaN: not used */
    const char *why;  /* NULL: used */
};

/* The rate of a counter over the window; NaN with the reason. Rows ascend in time. */
static double rate_of(const struct longform_row *rows, size_t count, const struct merge_live *live,
                      const char **ret_why) {
    int64_t window_us = (int64_t)(live->window_min * 6e7);
    int64_t slack_us = (int64_t)(live->slack_min * 6e7);
    int64_t begin_us = live->reference_us - window_us;
    const struct longform_row *first = NULL, *last = NULL;
    for (size_t i = 0; i < count && rows[i].utc_us <= live->reference_us; i++) {
        bool nearer =
            first == NULL || llabs(rows[i].utc_us - begin_us) < llabs(first->utc_us - begin_us);
        if (!isnan(rows[i].value)) {
            first = nearer ? &rows[i] : first;
            last = &rows[i];
        }
    }
    *ret_why = last == NULL                                   ? "no reading"
               : live->reference_us - last->utc_us > slack_us ? "no reading at the end"
               : llabs(first->utc_us - begin_us) > slack_us   ? "no reading at the begin"
                                                              : NULL;
    if (*ret_why != NULL) {
        return (double)NAN;
    }
    double before = first->value;
    for (const struct longform_row *row = first; row <= last; row++) {
        if (row->value < before) {
            *ret_why = "the counter went back";
            return (double)NAN;
        }
        before = isnan(row->value) ? before : row->value;
    }
    double rate = (last->value - first->value) * 3.6e9 / (double)(last->utc_us - first->utc_us);
    *ret_why = rate <= MERGE_LIVE_RATE_MAX ? NULL : "more rain than can fall";
    return rate <= MERGE_LIVE_RATE_MAX ? rate : (double)NAN;
}

static int measure(const struct longform *series, const struct merge_live *live,
                   struct gauge *gauge, struct err *ret_err) {
    gauge->rain_mm_h = (double)NAN;
    gauge->why = "no reading";
    for (size_t from = 0, to = 0; (to = longform_block(series, live->point, &from)) > from;
         from = to) {
        const struct longform_row *rows = series->rows + from;
        if (strcmp(rows->station, gauge->id) != 0) {
            continue;
        }
        if (strcmp(rows->unit, "mm") != 0) {
            return err_set(ret_err, ERR_INVALID, "%s/%s is in %s, not mm", rows->station,
                           rows->point, rows->unit);
        }
        gauge->rain_mm_h = rate_of(rows, to - from, live, &gauge->why);
    }
    return 0;
}

static bool only(json_t *object, const char *const *keys) {
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(object, key, value) {
        size_t i = 0;
        while (keys[i] != NULL && strcmp(keys[i], key) != 0) {
            i++;
        }
        if (keys[i] == NULL) {
            return false;
        }
    }
    return json_is_object(object);
}

static bool id_of(const json_t *object, const char *key, char *ret_id) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text_is_id(text) && text_copy(ret_id, MERGE_LIVE_ID_SIZE, text) == 0;
}

static bool number_of(const json_t *object, const char *key, double limit, double *ret_value) {
    const json_t *value = json_object_get(object, key);
    *ret_value = json_number_value(value);
    return json_is_number(value) && fabs(*ret_value) <= limit;
}

static int read_site(struct merge_live *live, json_t **ret_root, struct err *ret_err) {
    static const char *const keys[] = {"kind", "version", "note", "area", "point", "gauges", NULL};
    json_error_t why;
    json_t *root = json_load_file(live->site, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        return err_set(ret_err, ERR_SYNTAX, "%s:%d: %s", live->site, why.line, why.text);
    }
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const json_t *gauges = json_object_get(root, "gauges");
    const char *fault = !only(root, keys) ? "an unknown key"
                        : kind == NULL || strcmp(kind, "rain-gauges") != 0 ||
                                json_integer_value(json_object_get(root, "version")) != 1
                            ? "kind or version"
                        : !id_of(root, "area", live->area)   ? "area"
                        : !id_of(root, "point", live->point) ? "point"
                        : json_array_size(gauges) == 0 || json_array_size(gauges) > GAUGES_MAX
                            ? "gauges (1 to 512)"
                            : NULL;
    if (fault != NULL) {
        json_decref(root);
        return err_set(ret_err, ERR_INVALID, "%s: %s", live->site, fault);
    }
    *ret_root = root;
    return 0;
}

static int take_gauge(struct merge_live *live, json_t *json, const struct longform *series,
                      char *line, struct err *ret_err) {
    static const char *const keys[] = {"id", "latitude_deg", "longitude_deg", NULL};
    char id[MERGE_LIVE_ID_SIZE];
    struct gauge gauge = {.id = id};
    if (!only(json, keys) || !id_of(json, "id", id) ||
        !number_of(json, "latitude_deg", 89, &gauge.latitude_deg) ||
        !number_of(json, "longitude_deg", 180, &gauge.longitude_deg)) {
        return err_set(ret_err, ERR_INVALID, "%s: gauge %zu", live->site,
                       json_array_size(live->gauges));
    }
    int rc = measure(series, live, &gauge, ret_err);
    if (rc != 0) {
        return rc;
    }
    char rain[40] = "";
    if (gauge.why == NULL) {
        (void)snprintf(rain, sizeof rain, "%.9g", gauge.rain_mm_h);
    } else {
        leave_out(live->left_out, "gauge %s: %s", id, gauge.why);
    }
    (void)snprintf(line, LINE_SIZE, "%s,%.9g,%.9g,%s\n", id, gauge.longitude_deg,
                   gauge.latitude_deg, rain);
    json_t *told = json_pack("{s:s, s:o, s:n, s:s}", "id", id, "rain_mm_h",
                             gauge.why == NULL ? json_real(gauge.rain_mm_h) : json_null(),
                             "estimate_mm_h", "why", gauge.why != NULL ? gauge.why : "");
    return json_array_append_new(live->gauges, told) == 0
               ? 0
               : err_set(ret_err, ERR_MEMORY, "no memory for gauges");
}

int merge_live_gauges(struct merge_live *live, struct table **ret_table, struct err *ret_err) {
    struct longform series = {0};
    json_t *root = NULL, *one = NULL;
    size_t i = 0;
    char *text = malloc((GAUGES_MAX + 1) * (size_t)LINE_SIZE);
    live->gauges = json_array();
    int rc = text == NULL || live->gauges == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for gauges")
                 : read_site(live, &root, ret_err);
    rc = rc != 0 ? rc : longform_read(live->series, &series, ret_err);
    size_t length = 0;
    if (rc == 0) {
        length = (size_t)snprintf(text, LINE_SIZE, "id,lon,lat,rain\n");
    }
    json_array_foreach(json_object_get(root, "gauges"), i, one) {
        rc = rc != 0 ? rc : take_gauge(live, one, &series, text + length, ret_err);
        length += rc == 0 ? strlen(text + length) : 0;
    }
    rc = rc != 0 ? rc : table_parse(live->site, text, length, ret_table, ret_err);
    free(text);
    longform_finish(&series);
    json_decref(root);
    return rc;
}

/* ---- radar ---- */

/* Adds the frames of the window, weighted with the time that each stands for. */
static int add_frames(struct merge_live *live, float *rate, double *sum, double *seconds,
                      struct err *ret_err) {
    struct frames *frames = &live->frames;
    int64_t begin_us = live->reference_us - (int64_t)(live->window_min * 6e7);
    size_t cells = (size_t)frames->nx * (size_t)frames->ny, valid = 0;
    int rc = 0;
    for (size_t k = 0; rc == 0 && k < frames->count; k++) {
        int64_t end_us = frames->utc_us[k];
        int64_t since_us = k > 0 ? end_us - frames->utc_us[k - 1] : frames->step_us;
        int64_t stands_us = (int64_t)fmin((double)since_us, live->hold_min * 6e7);
        int64_t from_us = end_us - stands_us > begin_us ? end_us - stands_us : begin_us;
        if (end_us <= begin_us || end_us > live->reference_us) {
            continue;
        }
        rc = frames_read(frames, k, rate, &valid, ret_err);
        double weight_s = (double)(end_us - from_us) / 1e6;
        for (size_t i = 0; rc == 0 && i < cells; i++) {
            sum[i] += isnan(rate[i]) ? 0 : rate[i] * weight_s;
            seconds[i] += isnan(rate[i]) ? 0 : weight_s;
        }
        live->frame_count++;
    }
    return rc;
}

/* Cells that enough of the window is known of; how many there are. */
static size_t take_means(const struct merge_live *live, const double *sum, const double *seconds,
                         float *ret_mean) {
    size_t cells = (size_t)live->frames.nx * (size_t)live->frames.ny, known = 0;
    for (size_t i = 0; i < cells; i++) {
        bool enough = seconds[i] >= MERGE_LIVE_SHARE_MIN * live->window_min * 60 && seconds[i] > 0;
        ret_mean[i] = enough ? (float)(sum[i] / seconds[i]) : NAN;
        known += enough;
    }
    return known;
}

/* The hour ends with the newest frame, so that gauges and radar stand for the same time. Without a
 * fresh one: ERR_NOT_FOUND. */
static int end_with_newest(struct merge_live *live, struct err *ret_err) {
    const struct frames *frames = &live->frames;
    size_t next = 0;
    while (next < frames->count && frames->utc_us[next] <= live->reference_us) {
        next++;
    }
    double age_min =
        next > 0 ? (double)(live->reference_us - frames->utc_us[next - 1]) / 6e7 : INFINITY;
    if (age_min > live->stale_min) {
        return err_set(ret_err, ERR_NOT_FOUND, "the newest frame is %.0f min old", age_min);
    }
    live->reference_us = frames->utc_us[next - 1];
    return 0;
}

static int mean_of_frames(struct merge_live *live, float **ret_radar, struct err *ret_err) {
    /* A single frame has no step of its own; nor does it stand for longer than it may. */
    int rc = frames_open(live->frame_files.words, live->frame_files.count, live->variable,
                         live->frame_files.count == 1 ? (int64_t)(live->hold_min * 60) : 0,
                         &live->frames, ret_err);
    rc = rc != 0 ? rc : end_with_newest(live, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t cells = (size_t)live->frames.nx * (size_t)live->frames.ny;
    float *rate = malloc(cells * sizeof *rate);
    double *sum = calloc(2 * cells, sizeof *sum);
    rc = rate == NULL || sum == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for radar frames")
                                     : add_frames(live, rate, sum, sum + cells, ret_err);
    if (rc == 0 && take_means(live, sum, sum + cells, rate) == 0) {
        rc = err_set(ret_err, ERR_NOT_FOUND, "too little is known of the window, with %zu frames",
                     live->frame_count);
    }
    free(sum);
    if (rc != 0) {
        free(rate);
        return rc;
    }
    *ret_radar = rate;
    return 0;
}

int merge_live_radar(struct merge_live *live, float **ret_radar, struct err *ret_err) {
    struct err why = {0};
    int64_t now_us = 0;
    live->left_out = json_array();
    if (live->left_out == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for what is left out");
    }
    if (text_parse_time(live->reference, &now_us) != 0) {
        return err_set(ret_err, ERR_SYNTAX, "--reference '%s' is no time", live->reference);
    }
    live->reference_us = now_us;
    int rc = live->frame_files.count == 0 ? err_set(&why, ERR_NOT_FOUND, "no frames")
                                          : mean_of_frames(live, ret_radar, &why);
    if (rc == 0) {
        return 0;
    }
    if (rc == ERR_MEMORY) {
        return err_set(ret_err, rc, "%s", why.text);
    }
    leave_out(live->left_out, "radar: %s", why.text);
    frames_finish(&live->frames);
    live->frame_count = 0;
    live->reference_us = now_us;
    return 0;
}

/* ---- out ---- */

static void put(const struct merge_live *live, json_t *results, const char *variable,
                const char *unit, double value, const char *cause) {
    json_t *one =
        json_pack("{s:s, s:s, s:s, s:I, s:i}", "area", live->area, "variable", variable, "unit",
                  unit, "window_s", (json_int_t)(live->window_min * 60), "lead_s", 0);
    (void)json_object_set_new(one, "value", isfinite(value) ? json_real(value) : json_null());
    if (!isfinite(value)) {
        (void)json_object_set_new(one, "cause", json_string(cause));
    }
    (void)json_array_append_new(results, one);
}

static json_t *results_of(const struct merge_live *live, const struct merge_result *result,
                          bool radar) {
    static const char few[] = "too few gauges to leave one out";
    const struct merge_errors *left = &result->left_out;
    double nan = (double)NAN, used = 0;
    size_t i = 0;
    json_t *one = NULL, *results = json_array();
    json_array_foreach(live->gauges, i, one) {
        used += json_is_number(json_object_get(one, "rain_mm_h"));
    }
    put(live, results, "gauges_used", "1", used, "");
    put(live, results, "radar_used", "1", radar, "");
    put(live, results, "left_out_count", "1", (double)left->count, "");
    put(live, results, "left_out_bias", "mm h-1", left->count > 0 ? left->bias : nan, few);
    put(live, results, "left_out_mae", "mm h-1", left->count > 0 ? left->mae : nan, few);
    put(live, results, "left_out_rmse", "mm h-1", left->count > 0 ? left->rmse : nan, few);
    put(live, results, "radar_factor", "1", radar ? result->radar_factor : nan, "no radar");
    put(live, results, "radar_mae", "mm h-1", radar ? result->radar_alone.mae : nan,
        radar ? "no gauge where the radar sees" : "no radar");
    return results;
}

static json_t *manifest_of(const struct merge_live *live, const char *method, bool radar,
                           struct err *ret_err) {
    const char *files[ARGS_LIST_MAX + 2] = {live->series, live->site};
    for (size_t i = 0; radar && i < live->frame_files.count; i++) {
        files[2 + i] = live->frame_files.words[i];
    }
    json_t *parameters =
        json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:f}", "now", live->reference, "method", method,
                  "point", live->point, "window_min", live->window_min, "slack_min",
                  live->slack_min, "hold_min", live->hold_min, "stale_min", live->stale_min);
    return manifest_of_files("merge", parameters, files, 2 + (radar ? live->frame_files.count : 0),
                             ret_err);
}

int merge_live_write(struct merge_live *live, const struct merge_result *result, const size_t *rows,
                     const char *method, bool radar, const char *out, struct err *ret_err) {
    for (size_t i = 0; i < result->sites; i++) {
        if (!isnan(result->site_estimate[i])) {
            (void)json_object_set_new(json_array_get(live->gauges, rows[result->site_gauge[i]]),
                                      "estimate_mm_h", json_real(result->site_estimate[i]));
        }
    }
    json_t *manifest = manifest_of(live, method, radar, ret_err);
    if (manifest == NULL) {
        return ret_err->code;
    }
    json_t *root = output_object("merge", live->product, live->reference_us, manifest,
                                 results_of(live, result, radar));
    json_t *told = json_pack("{s:s, s:s, s:I, s:O, s:O}", "method", method, "rests_on",
                             radar ? "radar_and_gauges" : "gauges_only", "radar_frames",
                             (json_int_t)live->frame_count, "gauges", live->gauges, "left_out",
                             live->left_out);
    int rc = root == NULL || json_object_set_new(root, "merge", told) != 0
                 ? err_set(ret_err, ERR_MEMORY, "no memory for the output")
                 : output_write_json(out, root, ret_err);
    json_decref(root);
    return rc;
}

void merge_live_finish(struct merge_live *live) {
    json_decref(live->gauges);
    json_decref(live->left_out);
    frames_finish(&live->frames);
}
