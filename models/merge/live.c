#include "models/merge/live.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/output/output.h"
#include "models/table/longform.h"

enum { LINE_SIZE = 256 }; /* an id and three numbers */

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

struct intake {
    const struct rain_gauges *gauges;
    const struct longform *series;
    char *text; /* the table so far, and room for one more line */
};

static int take_gauge(struct merge_live *live, struct intake *intake, size_t index,
                      struct err *ret_err) {
    struct rain_span span = {.end_us = live->reference_us,
                             .window_us = (int64_t)(live->window_min * 6e7),
                             .slack_us = (int64_t)(live->slack_min * 6e7)};
    struct rain_fall fall;
    const char *id = rain_gauge_id(intake->gauges, index);
    double latitude_deg, longitude_deg;
    char rain[40] = "";
    rain_gauge_place(intake->gauges, index, &latitude_deg, &longitude_deg);
    if (isnan(latitude_deg) || isnan(longitude_deg)) {
        leave_out(live->left_out, "gauge %s: no position", id);
        return 0;
    }
    int rc = rain_gauge_fall(intake->gauges, index, intake->series, &span, &fall, ret_err);
    if (rc != 0) {
        return rc;
    }
    bool known = !isnan(fall.rate_mm_h);
    live->used += known ? 1 : 0;
    live->suspect += !known && fall.doubted ? 1 : 0;
    live->doubted[json_array_size(live->gauges)] = !known && fall.doubted;
    if (known) {
        (void)snprintf(rain, sizeof rain, "%.9g", fall.rate_mm_h);
    } else {
        leave_out(live->left_out, "gauge %s: %s", id, fall.why);
    }
    intake->text += snprintf(intake->text, LINE_SIZE, "%s,%.9g,%.9g,%s\n", id, longitude_deg,
                             latitude_deg, rain);
    json_t *told = json_pack("{s:s, s:o, s:n, s:f, s:b, s:s}", "id", id, "rain_mm_h",
                             known ? json_real(fall.rate_mm_h) : json_null(), "estimate_mm_h",
                             "known_min", fall.known_min, "doubted", fall.doubted, "why", fall.why);
    return json_array_append_new(live->gauges, told) == 0
               ? 0
               : err_set(ret_err, ERR_MEMORY, "no memory for gauges");
}

static int take_gauges(struct merge_live *live, const struct rain_gauges *gauges,
                       const struct longform *series, struct table **ret_table,
                       struct err *ret_err) {
    size_t count = rain_gauges_count(gauges);
    char *text = malloc((count + 1) * (size_t)LINE_SIZE);
    live->doubted = calloc(count, sizeof *live->doubted);
    live->gauges = json_array();
    if (text == NULL || live->doubted == NULL || live->gauges == NULL) {
        free(text);
        return err_set(ret_err, ERR_MEMORY, "no memory for gauges");
    }
    struct intake intake = {gauges, series, text};
    int rc = 0;
    intake.text += snprintf(text, LINE_SIZE, "id,lon,lat,rain\n");
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = take_gauge(live, &intake, i, ret_err);
    }
    rc = rc != 0
             ? rc
             : table_parse(live->stations, text, (size_t)(intake.text - text), ret_table, ret_err);
    free(text);
    return rc;
}

int merge_live_gauges(struct merge_live *live, struct table **ret_table, struct err *ret_err) {
    struct longform series = {0};
    struct rain_gauges *gauges = NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < live->area_files.count; i++) {
        rc = area_list_load(live->area_files.words[i], &live->areas, ret_err);
    }
    rc = rc != 0 ? rc : rain_gauges_load(live->stations, &gauges, ret_err);
    rc = rc != 0 ? rc : longform_read(live->series, &series, ret_err);
    rc = rc != 0 ? rc : take_gauges(live, gauges, &series, ret_table, ret_err);
    longform_finish(&series);
    (void)rain_gauges_destroy(gauges);
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
        bool enough = seconds[i] >= RAIN_KNOWN_SHARE * live->window_min * 60 && seconds[i] > 0;
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

struct row {
    const char *variable, *unit;
    double value;
    const char *cause; /* why it is NaN */
    bool over_window;  /* else at an instant */
    double coverage;   /* NaN: not told */
    bool doubtful;
};

static void put(const struct merge_live *live, json_t *results, const char *area,
                const struct row *row) {
    int64_t window_s = row->over_window ? llround(live->window_min * 60) : 0;
    json_t *one = json_pack("{s:s, s:s, s:s, s:I, s:i}", "area", area, "variable", row->variable,
                            "unit", row->unit, "window_s", (json_int_t)window_s, "lead_s", 0);
    (void)json_object_set_new(one, "value",
                              isfinite(row->value) ? json_real(row->value) : json_null());
    if (!isfinite(row->value)) {
        (void)json_object_set_new(one, "cause", json_string(row->cause));
    }
    if (!isnan(row->coverage)) {
        (void)json_object_set_new(one, "coverage", json_real(row->coverage));
    }
    if (row->doubtful) {
        (void)json_object_set_new(one, "doubtful", json_true());
    }
    (void)json_array_append_new(results, one);
}

static void put_area(const struct merge_live *live, json_t *results,
                     const struct merge_area *area) {
    bool enough = area->coverage >= RAIN_KNOWN_SHARE;
    bool doubtful = area->suspect_share >= MERGE_LIVE_DOUBT_SHARE;
    double window_h = live->window_min / 60, nan = (double)NAN;
    char cause[64];
    (void)snprintf(cause, sizeof cause, "coverage %.3f below %.3f", area->coverage,
                   RAIN_KNOWN_SHARE);
    const struct row rows[] = {
        {"rain_mean", "mm", enough ? area->mean * window_h : nan, cause, true, area->coverage,
         doubtful},
        {"rain_max", "mm", enough ? area->highest * window_h : nan, cause, true, area->coverage,
         doubtful},
        {"radar_share", "1", area->radar_share, "nothing of the area is known", false, nan, false},
        {"suspect_share", "1", area->suspect_share, "", false, nan, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(live, results, area->id, &rows[i]);
    }
}

/* What is of the whole run. */
static void put_run(const struct merge_live *live, json_t *results, const char *area,
                    const struct merge_told *told) {
    static const char few[] = "too few gauges to leave one out";
    const struct merge_errors *left = &told->result->left_out;
    const char *blind = told->radar ? "no gauge where the radar sees" : "no radar";
    double nan = (double)NAN;
    const struct row rows[] = {
        {"radar_used", "1", told->radar ? 1 : 0, "", false, nan, false},
        {"gauges_used", "1", (double)live->used, "", false, nan, false},
        {"gauges_suspect", "1", (double)live->suspect, "", false, nan, false},
        {"left_out_bias", "mm h-1", left->count > 0 ? left->bias : nan, few, false, nan, false},
        {"left_out_mae", "mm h-1", left->count > 0 ? left->mae : nan, few, false, nan, false},
        {"left_out_rmse", "mm h-1", left->count > 0 ? left->rmse : nan, few, false, nan, false},
        {"radar_factor", "1", told->radar ? told->result->radar_factor : nan, blind, false, nan,
         false},
        {"radar_mae", "mm h-1", told->radar ? told->result->radar_alone.mae : nan, blind, false,
         nan, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(live, results, area, &rows[i]);
    }
}

static json_t *results_of(const struct merge_live *live, const struct merge_told *told) {
    json_t *results = json_array();
    for (size_t a = 0; a < live->areas.count; a++) {
        put_area(live, results, &told->areas[a]);
        put_run(live, results, told->areas[a].id, told);
    }
    return results;
}

static json_t *manifest_of(const struct merge_live *live, const struct merge_told *told,
                           struct err *ret_err) {
    const char *files[2 * ARGS_LIST_MAX + 2] = {live->series, live->stations};
    size_t count = 2;
    for (size_t i = 0; i < live->area_files.count; i++) {
        files[count++] = live->area_files.words[i];
    }
    for (size_t i = 0; told->radar && i < live->frame_files.count; i++) {
        files[count++] = live->frame_files.words[i];
    }
    json_t *parameters =
        json_pack("{s:s, s:s, s:f, s:f, s:f, s:f}", "now", live->reference, "method", told->method,
                  "window_min", live->window_min, "slack_min", live->slack_min, "hold_min",
                  live->hold_min, "stale_min", live->stale_min);
    return manifest_of_files("merge", parameters, files, count, ret_err);
}

/* How the gauges hang together in space, and whether that could be fitted. */
static json_t *variogram_of(const struct variogram *variogram) {
    return json_pack("{s:s, s:f, s:f, s:f}", "source", variogram_source_name(variogram->source),
                     "nugget_mm2_h2", variogram->nugget, "sill_mm2_h2", variogram->sill, "range_km",
                     variogram->range_km);
}

static json_t *report_of(const struct merge_live *live, const struct merge_told *told) {
    return json_pack("{s:s, s:s, s:I, s:f, s:I, s:I, s:I, s:o, s:O, s:O}", "method", told->method,
                     "rests_on", told->radar ? "radar_and_gauges" : "gauges_only", "radar_frames",
                     (json_int_t)live->frame_count, "window_min", live->window_min, "gauges_used",
                     (json_int_t)live->used, "gauges_suspect", (json_int_t)live->suspect,
                     "left_out_count", (json_int_t)told->result->left_out.count, "variogram",
                     variogram_of(&told->result->variogram), "gauges", live->gauges, "left_out",
                     live->left_out);
}

int merge_live_write(struct merge_live *live, const struct merge_told *told, const char *out,
                     struct err *ret_err) {
    const struct merge_result *result = told->result;
    for (size_t i = 0; i < result->sites; i++) {
        if (!isnan(result->site_estimate[i])) {
            size_t row = told->rows[result->site_gauge[i]];
            (void)json_object_set_new(json_array_get(live->gauges, row), "estimate_mm_h",
                                      json_real(result->site_estimate[i]));
        }
    }
    json_t *manifest = manifest_of(live, told, ret_err);
    if (manifest == NULL) {
        return ret_err->code;
    }
    json_t *root =
        output_object("merge", live->product, live->reference_us, manifest, results_of(live, told));
    int rc = root == NULL || json_object_set_new(root, "merge", report_of(live, told)) != 0
                 ? err_set(ret_err, ERR_MEMORY, "no memory for the output")
                 : output_write_json(out, root, ret_err);
    json_decref(root);
    return rc;
}

void merge_live_finish(struct merge_live *live) {
    json_decref(live->gauges);
    json_decref(live->left_out);
    free(live->doubted);
    area_list_finish(&live->areas);
    frames_finish(&live->frames);
}
