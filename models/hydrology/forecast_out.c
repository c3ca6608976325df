#include "models/hydrology/forecast_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/table/table.h"

enum { MEDIAN = 2, HOUR_S = 3600 };

static const char *const quantile_names[FORECAST_QUANTILES] = {"q05", "q25", "q50", "q75", "q95"};

const char *forecast_mark_name(enum update_mark mark) {
    static const char *const names[] = {"updated", "updated_ar1", "open_loop", "missing"};
    return names[mark];
}

/* ---- CSV ---- */

static void csv_header(struct table_out *out, const struct forecast_input *input) {
    char name[TABLE_NAME_MAX];
    table_out_text(out, "time");
    table_out_text(out, "lead_h");
    for (int stage = 0; stage < 2; stage++) {
        for (int q = 0; q < FORECAST_QUANTILES; q++) {
            (void)snprintf(name, sizeof name, "%s_%s", stage ? "stage" : "discharge",
                           quantile_names[q]);
            table_out_text(out, name);
        }
        (void)snprintf(name, sizeof name, "%s_zero_rain", stage ? "stage" : "discharge");
        table_out_text(out, name);
        (void)snprintf(name, sizeof name, "%s_persistence", stage ? "stage" : "discharge");
        table_out_text(out, name);
    }
    for (size_t l = 0; l < input->level_count; l++) {
        (void)snprintf(name, sizeof name, "probability_level_%zu", l + 1);
        table_out_text(out, name);
        (void)snprintf(name, sizeof name, "reached_level_%zu", l + 1);
        table_out_text(out, name);
    }
    table_out_text(out, "extrapolated");
    table_out_text(out, "cause");
    table_out_end_row(out);
}

static void csv_row(struct table_out *out, const struct forecast_input *input,
                    const struct forecast_lead *lead, int hours, int64_t reference_us) {
    char time[32];
    text_format_time(reference_us + (int64_t)hours * HOUR_S * 1000000, time, sizeof time);
    table_out_text(out, time);
    table_out_number(out, hours);
    for (int q = 0; q < FORECAST_QUANTILES; q++) {
        table_out_number(out, lead->flow_m3_s[q]);
    }
    table_out_number(out, lead->zero_m3_s);
    table_out_number(out, lead->persistence_m3_s);
    for (int q = 0; q < FORECAST_QUANTILES; q++) {
        table_out_number(out, lead->stage_m[q]);
    }
    table_out_number(out, lead->zero_m);
    table_out_number(out, lead->persistence_m);
    for (size_t l = 0; l < input->level_count; l++) {
        table_out_number(out, lead->above[l]);
        table_out_number(out, lead->reached[l]);
    }
    table_out_text(out, lead->extrapolated ? "yes" : "no");
    table_out_text(out, lead->cause);
    table_out_end_row(out);
}

int forecast_write_csv(const char *path, const struct forecast_input *input,
                       const struct forecast *forecast, const struct forecast_labels *labels,
                       struct err *ret_err) {
    struct table_out out;
    int rc = table_out_open(&out, path, ret_err);
    if (rc != 0) {
        return rc;
    }
    csv_header(&out, input);
    for (int k = 0; k < input->leads; k++) {
        csv_row(&out, input, &forecast->lead[k], k + 1, labels->reference_us);
    }
    return table_out_close(&out, true, ret_err);
}

/* ---- JSON ---- */

struct result_row {
    const char *variable;
    const char *unit;
    int64_t window_s;
    int64_t lead_s;
    double value;
    double probability; /* NaN: none */
    const char *cause;
};

static void add(json_t *list, const struct forecast_labels *labels, const struct result_row *row) {
    json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:I}", "area", labels->gauge, "variable",
                             row->variable, "unit", row->unit, "window_s",
                             (json_int_t)row->window_s, "lead_s", (json_int_t)row->lead_s);
    if (isnan(row->value)) {
        (void)json_object_set_new(json, "value", json_null());
        (void)json_object_set_new(json, "cause",
                                  json_string(row->cause[0] != '\0' ? row->cause : "unknown"));
    } else {
        (void)json_object_set_new(json, "value", json_real(row->value));
        if (!isnan(row->probability)) {
            (void)json_object_set_new(json, "probability", json_real(row->probability));
        }
    }
    (void)json_array_append_new(list, json);
}

static void add_bands(json_t *list, const struct forecast_labels *labels, const char *what,
                      const char *unit, const double *values, int64_t lead_s, const char *cause) {
    char name[40];
    for (int q = 0; q < FORECAST_QUANTILES; q++) {
        (void)snprintf(name, sizeof name, "%s%s%s", what, q == MEDIAN ? "" : "_",
                       q == MEDIAN ? "" : quantile_names[q]);
        add(list, labels,
            &(struct result_row){name, unit, 0, lead_s, values[q], 1 - forecast_quantiles[q],
                                 cause});
    }
}

static void add_lead(json_t *list, const struct forecast_input *input,
                     const struct forecast_labels *labels, const struct forecast_lead *lead,
                     int64_t lead_s) {
    static const char floor_cause[] = "rain now, evaporation or stage curve does not give it";
    char name[40];
    add_bands(list, labels, "discharge", "m3 s-1", lead->flow_m3_s, lead_s, lead->cause);
    add(list, labels,
        &(struct result_row){"discharge_zero_rain", "m3 s-1", 0, lead_s, lead->zero_m3_s, NAN,
                             floor_cause});
    add(list, labels,
        &(struct result_row){"discharge_persistence", "m3 s-1", 0, lead_s, lead->persistence_m3_s,
                             NAN, floor_cause});
    if (input->rating != NULL) {
        add_bands(list, labels, "stage", "m", lead->stage_m, lead_s, lead->cause);
        add(list, labels,
            &(struct result_row){"stage_zero_rain", "m", 0, lead_s, lead->zero_m, NAN,
                                 floor_cause});
        add(list, labels,
            &(struct result_row){"stage_persistence", "m", 0, lead_s, lead->persistence_m, NAN,
                                 floor_cause});
    }
    for (size_t l = 0; l < input->level_count; l++) {
        (void)snprintf(name, sizeof name, "probability_level_%zu", l + 1);
        add(list, labels,
            &(struct result_row){name, "1", 0, lead_s, lead->above[l], lead->above[l],
                                 lead->cause});
        add(list, labels,
            &(struct result_row){name, "1", lead_s, lead_s, lead->reached[l], lead->reached[l],
                                 lead->cause});
    }
}

/* Hours to each level and the crest, over the whole horizon. */
static void add_events(json_t *list, const struct forecast_input *input,
                       const struct forecast *forecast, const struct forecast_labels *labels) {
    const char *cause = forecast->lead[input->leads - 1].cause;
    double peak_h = forecast->peak_h[MEDIAN];
    double peak_m3_s = isnan(peak_h) ? (double)NAN : forecast->peak_m3_s[MEDIAN];
    int64_t peak_s = isnan(peak_h) ? 0 : (int64_t)lround(peak_h) * HOUR_S;
    char name[40];
    for (size_t l = 0; l < input->level_count; l++) {
        const struct forecast_level *level = &forecast->level[l];
        (void)snprintf(name, sizeof name, "time_to_level_%zu", l + 1);
        add(list, labels,
            &(struct result_row){name, "h", 0, 0, level->hours[MEDIAN], level->probability,
                                 isnan(level->probability) ? cause : "no path reaches it"});
    }
    add(list, labels,
        &(struct result_row){"peak_discharge", "m3 s-1", 0, peak_s, peak_m3_s, 0.5, cause});
    if (input->rating != NULL) {
        enum rating_mark mark;
        add(list, labels,
            &(struct result_row){"peak_stage", "m", 0, peak_s,
                                 rating_stage(input->rating, peak_m3_s, &mark), 0.5,
                                 isnan(peak_m3_s) ? cause : "below the lowest gauging"});
    }
}

void forecast_add_results(json_t *list, const struct forecast_input *input,
                          const struct forecast *forecast, const struct forecast_labels *labels) {
    for (int k = 0; k < input->leads; k++) {
        add_lead(list, input, labels, &forecast->lead[k], (int64_t)(k + 1) * HOUR_S);
    }
    add_events(list, input, forecast, labels);
}

json_t *forecast_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *numbers(const double *values) {
    json_t *list = json_array();
    for (int q = 0; q < FORECAST_QUANTILES; q++) {
        (void)json_array_append_new(list, forecast_number(values[q]));
    }
    return list;
}

json_t *forecast_summary(const struct forecast_input *input, const struct forecast *forecast) {
    json_t *levels = json_array();
    for (size_t l = 0; l < input->level_count; l++) {
        const struct forecast_level *level = &forecast->level[l];
        (void)json_array_append_new(levels, json_pack("{s:i, s:f, s:s, s:b, s:o, s:o}", "level",
                                                      (int)l + 1, "at", input->levels[l], "unit",
                                                      input->rating != NULL ? "m" : "m3 s-1",
                                                      "reached_now", level->now, "probability",
                                                      forecast_number(level->probability),
                                                      "first_crossing_h", numbers(level->hours)));
    }
    json_t *stages = json_array();
    for (int q = 0; q < FORECAST_QUANTILES; q++) {
        enum rating_mark mark;
        double stage_m = input->rating != NULL
                             ? rating_stage(input->rating, forecast->peak_m3_s[q], &mark)
                             : (double)NAN;
        (void)json_array_append_new(stages, forecast_number(stage_m));
    }
    return json_pack("{s:s, s:i, s:i, s:b, s:i, s:s, s:o, s:{s:o, s:o, s:o, s:o}}", "updating",
                     forecast_mark_name(forecast->mark), "observation_age_h", forecast->age_h,
                     "horizon_h", forecast->horizon, "recovering", forecast->recovering, "members",
                     (int)input->member_count, "quantiles", "0.05 0.25 0.5 0.75 0.95", "levels",
                     levels, "peak", "discharge_m3_s", numbers(forecast->peak_m3_s), "stage_m",
                     stages, "hours", numbers(forecast->peak_h), "still_rising_at_end",
                     forecast_number(forecast->peak_at_end));
}
