#include "models/hydrology/flood_out.h"

#include <math.h>
#include <stdio.h>

#include "daemon/base/text.h"
#include "models/hydrology/forecast_out.h"

enum { PAST_SHOWN_H = 48 };

static const char *const quantile_names[FORECAST_QUANTILES] = {"q05", "q25", "q50", "q75", "q95"};

json_t *flood_results(const struct flood_run *run, const char *product) {
    json_t *list = json_array();
    for (size_t g = 0; list != NULL && g < run->site->gauge_count; g++) {
        const struct forecast_labels labels = {run->site->gauges[g].at.station, product,
                                               run->reference_us, NULL};
        forecast_add_results(list, &run->input[g], run->forecast[g], &labels);
    }
    return list;
}

static void append_time(json_t *list, int64_t utc_us) {
    char text[32];
    text_format_time(utc_us, text, sizeof text);
    (void)json_array_append_new(list, json_string(text));
}

static json_t *past_of(const struct flood_run *run, size_t g) {
    const struct flood_past *past = &run->past[g];
    json_t *times = json_array(), *stages = json_array(), *observed = json_array();
    json_t *simulated = json_array();
    size_t first = run->past_count > PAST_SHOWN_H ? run->past_count - PAST_SHOWN_H : 0;
    for (size_t t = first; t < run->past_count; t++) {
        append_time(times,
                    run->reference_us - (int64_t)(run->past_count - 1 - t) * INT64_C(3600000000));
        (void)json_array_append_new(stages, forecast_number(past->stage_m[t]));
        (void)json_array_append_new(observed, forecast_number(past->observed_m3_s[t]));
        (void)json_array_append_new(simulated, forecast_number(past->simulated_m3_s[t]));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "time", times, "stage_m", stages,
                     "discharge_observed_m3_s", observed, "discharge_simulated_m3_s", simulated);
}

static json_t *bands_of(const struct flood_run *run, size_t g) {
    const struct forecast *forecast = run->forecast[g];
    json_t *bands = json_object(), *times = json_array(), *causes = json_array();
    json_t *zero = json_array(), *persistence = json_array(), *reached = json_array();
    for (int q = 0; q < FORECAST_QUANTILES; q++) {
        json_t *stages = json_array(), *flows = json_array();
        char name[24];
        for (int k = 0; k < FLOOD_LEADS; k++) {
            (void)json_array_append_new(stages, forecast_number(forecast->lead[k].stage_m[q]));
            (void)json_array_append_new(flows, forecast_number(forecast->lead[k].flow_m3_s[q]));
        }
        (void)snprintf(name, sizeof name, "stage_%s_m", quantile_names[q]);
        (void)json_object_set_new(bands, name, stages);
        (void)snprintf(name, sizeof name, "discharge_%s_m3_s", quantile_names[q]);
        (void)json_object_set_new(bands, name, flows);
    }
    for (int k = 0; k < FLOOD_LEADS; k++) {
        const struct forecast_lead *lead = &forecast->lead[k];
        json_t *levels = json_array();
        append_time(times, run->reference_us + (k + 1) * INT64_C(3600000000));
        (void)json_array_append_new(zero, forecast_number(lead->zero_m));
        (void)json_array_append_new(persistence, forecast_number(lead->persistence_m));
        (void)json_array_append_new(causes, json_string(lead->cause));
        for (size_t l = 0; l < run->input[g].level_count; l++) {
            (void)json_array_append_new(levels, forecast_number(lead->reached[l]));
        }
        (void)json_array_append_new(reached, levels);
    }
    (void)json_object_set_new(bands, "time", times);
    (void)json_object_set_new(bands, "stage_zero_rain_m", zero);
    (void)json_object_set_new(bands, "stage_persistence_m", persistence);
    (void)json_object_set_new(bands, "levels_reached", reached);
    (void)json_object_set_new(bands, "cause", causes);
    return bands;
}

static json_t *gauge_of(const struct flood_run *run, size_t g) {
    const struct flood_gauge *gauge = &run->site->gauges[g];
    json_t *json = forecast_summary(&run->input[g], run->forecast[g]);
    (void)json_object_set_new(json, "station", json_string(gauge->at.station));
    (void)json_object_set_new(json, "provisional", json_boolean(gauge->provisional));
    (void)json_object_set_new(json, "disagrees", json_boolean(run->disagrees[g]));
    (void)json_object_set_new(json, "past", past_of(run, g));
    (void)json_object_set_new(json, "bands", bands_of(run, g));
    return json;
}

static json_t *grid_of(const struct rain_grid *rain) {
    char text[32];
    if (rain == NULL) {
        return json_null();
    }
    text_format_time(rain->end_us[rain->frame_count - 1], text, sizeof text);
    return json_pack("{s:I, s:s}", "members", (json_int_t)rain->member_count, "known_to", text);
}

static json_t *basins_of(const struct flood_run *run) {
    json_t *list = json_array();
    for (size_t b = 0; b < run->site->basin_count; b++) {
        const struct flood_basin *basin = &run->site->basins[b];
        (void)json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:o}", "basin", basin->id,
                                                    "provisional", basin->provisional, "regional",
                                                    basin->regional, "rain_last_h_mm",
                                                    forecast_number(run->rain_now_mm[b])));
    }
    return list;
}

static json_t *reservoirs_of(const struct flood_run *run) {
    json_t *list = json_array();
    for (size_t r = 0; r < run->site->reservoir_count; r++) {
        const struct flood_view *view = &run->state->dry;
        (void)json_array_append_new(
            list,
            json_pack("{s:s, s:b, s:f, s:s, s:s}", "reservoir", run->site->reservoirs[r].id,
                      "provisional", run->site->reservoirs[r].provisional, "volume_m3",
                      view->volume_m3[r], "release_now", flood_release_name(view->release[r]),
                      "release_to_come", flood_release_name(run->release[r][FLOOD_LEADS - 1])));
    }
    return list;
}

/* "what: where" or, without a place, "what". */
static void warn(json_t *list, const char *what, const char *where) {
    char text[200];
    (void)snprintf(text, sizeof text, "%s%s%s", what, where[0] != '\0' ? ": " : "", where);
    (void)json_array_append_new(list, json_string(text));
}

static json_t *warnings_of(const struct flood_run *run) {
    json_t *list = json_array();
    if (run->state->hours < FLOOD_SPIN_UP_H) {
        warn(list, "the model has not settled since its start", "");
    }
    for (size_t b = 0; b < run->site->basin_count; b++) {
        if (isnan(run->rain_now_mm[b])) {
            warn(list, "rain of the last hour unknown", run->site->basins[b].id);
        }
    }
    for (size_t r = 0; r < run->site->reservoir_count; r++) {
        if (run->state->dry.release[r] == FLOOD_RELEASE_UNKNOWN) {
            warn(list, "release unknown", run->site->reservoirs[r].id);
        }
    }
    for (size_t g = 0; g < run->site->gauge_count; g++) {
        const char *station = run->site->gauges[g].at.station;
        if (run->forecast[g]->mark == UPDATE_DROPPED) {
            warn(list, "not updated, no usable stage of the last hours", station);
        }
        if (run->disagrees[g]) {
            warn(list, "gauge and model disagree (release without notice, rating or rain)",
                 station);
        }
    }
    if (run->member_count == 0) {
        warn(list, "no rain forecast: floors only", "");
    }
    return list;
}

static json_t *skill_of(const struct flood_run *run) {
    json_t *list = json_array();
    for (size_t g = 0; list != NULL && g < run->site->gauge_count; g++) {
        json_t *scores = flood_skill_scores(&run->skill[g], run->site->gauges[g].at.station,
                                            run->site->gauges[g].level_count);
        (void)json_array_extend(list, scores);
        json_decref(scores);
    }
    return list;
}

json_t *flood_details(const struct flood_run *run) {
    char now[32];
    json_t *gauges = json_array();
    text_format_time(run->now_us, now, sizeof now);
    for (size_t g = 0; g < run->site->gauge_count; g++) {
        (void)json_array_append_new(gauges, gauge_of(run, g));
    }
    return json_pack("{s:s, s:I, s:i, s:b, s:o, s:{s:o, s:o, s:I, s:o}, s:o, s:o, s:o}",
                     "time_of_run", now, "hours_since_start", (json_int_t)run->state->hours,
                     "missing_rain_h", run->missing_h, "recovering", run->state->recovering,
                     "warnings", warnings_of(run), "rain", "nowcast", grid_of(run->nowcast), "nwp",
                     grid_of(run->nwp), "members", (json_int_t)run->member_count, "basins",
                     basins_of(run), "reservoirs", reservoirs_of(run), "gauges", gauges, "skill",
                     skill_of(run));
}
