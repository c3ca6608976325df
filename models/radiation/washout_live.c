#include "models/radiation/washout_live.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/output/output.h"
#include "models/radiation/downwind.h"
#include "models/table/longform.h"

#define FRESH_S 1200.0

static double seconds(int64_t from_us, int64_t to_us) {
    return (double)(to_us - from_us) / 1e6;
}

struct station {
    const char *id;
    const struct longform_row *dose, *rain;
    size_t dose_count, rain_count;
    double dose_factor;
    struct washout_output last;
    int64_t last_us;
    double last_nsv_h;
    double neighbours_up; /* NaN: not known */
    bool read;
};

/* Of all stations, judged without neighbours first. */
struct fans {
    const struct downwind *downwind; /* NULL: none */
    const struct longform *series;
    const char *dose_point;
    bool *up; /* [series->count] a rise that rain does not explain */
};

#define NEIGHBOUR_S 3600.0

/* Stations in the fan that have risen within the hour before; NaN: no wind, or none has readings.
 */
static double neighbours_up(const struct fans *f, const char *station, int64_t utc_us) {
    double from_deg = downwind_from_deg(f->downwind, f->series, utc_us), count = 0;
    bool known = false;
    size_t from = 0, to = 0;
    while (!isnan(from_deg) && (to = longform_block(f->series, f->dose_point, &from)) > from) {
        bool fan = downwind_is(f->downwind, station, f->series->rows[from].station, from_deg);
        bool up = false;
        for (size_t i = from; fan && i < to; i++) {
            double age_s = seconds(f->series->rows[i].utc_us, utc_us);
            if (age_s >= 0 && age_s <= NEIGHBOUR_S && !isnan(f->series->rows[i].value)) {
                known = true;
                up = up || f->up[i];
            }
        }
        count += up;
        from = to;
    }
    return known ? count : (double)NAN;
}

static int unit_of(const struct longform_row *row, double *ret_factor, struct err *ret_err) {
    *ret_factor = strcmp(row->unit, "nSv/h") == 0   ? 1
                  : strcmp(row->unit, "uSv/h") == 0 ? 1e3
                                                    : (double)NAN;
    return !isnan(*ret_factor) ? 0
                               : err_set(ret_err, ERR_INVALID, "%s/%s is in %s, not nSv/h or uSv/h",
                                         row->station, row->point, row->unit);
}

/* The rain that stands at a time, with what has been used. NaN: nothing new. */
static double next_rain(const struct station *s, size_t *at, int64_t utc_us) {
    double rain = (double)NAN;
    while (*at < s->rain_count && s->rain[*at].utc_us <= utc_us) {
        /* of several readings the newest that is good */
        rain = !isnan(s->rain[*at].value) && s->rain[*at].flag != 3 ? s->rain[*at].value : rain;
        (*at)++;
    }
    return rain;
}

/* first: without neighbours, notes what rises; else with what the fans know. */
static int judge(struct station *s, const struct washout_options *options, struct fans *fans,
                 bool first, struct err *ret_err) {
    struct washout_options own = *options;
    struct washout *washout = NULL;
    struct err why = {0};
    size_t rain = 0;
    double span = seconds(s->dose[0].utc_us, s->dose[s->dose_count - 1].utc_us);
    own.step_s = s->dose_count > 1 ? fmin(fmax(span / (double)(s->dose_count - 1), 1), 7200) : 60;
    int rc = washout_create(&own, &washout, ret_err);
    for (size_t i = 0; rc == 0 && i < s->dose_count; i++) {
        const struct longform_row *row = &s->dose[i];
        if (i > 0 && row->utc_us == s->dose[i - 1].utc_us) {
            continue;
        }
        struct washout_input in = {row->utc_us, row->value * s->dose_factor,
                                   next_rain(s, &rain, row->utc_us), (double)NAN};
        /* neighbours matter only where something has risen */
        if (!first && fans->downwind != NULL && !isnan(s->last.significance) &&
            s->last.significance > options->significance / 2) {
            in.neighbours_up = neighbours_up(fans, s->id, row->utc_us);
        }
        rc = washout_step(washout, &in, &s->last, &why);
        rc = rc != 0 ? err_set(ret_err, rc, "%s: %s", s->id, why.text) : 0;
        if (first && rc == 0) {
            fans->up[row - fans->series->rows] = s->last.state == WASHOUT_ALARM;
        }
        s->neighbours_up = in.neighbours_up;
        s->last_us = row->utc_us;
        s->last_nsv_h = in.dose_nsv_h;
        s->read = true;
    }
    washout_destroy(washout);
    return rc;
}

static void put(json_t *results, const char *station, const char *variable, const char *unit,
                double value, const char *cause) {
    json_array_append_new(results, isfinite(value)
                                       ? json_pack("{s:s,s:s,s:s,s:i,s:i,s:f}", "area", station,
                                                   "variable", variable, "unit", unit, "window_s",
                                                   0, "lead_s", 0, "value", value)
                                       : json_pack("{s:s,s:s,s:s,s:i,s:i,s:n,s:s}", "area", station,
                                                   "variable", variable, "unit", unit, "window_s",
                                                   0, "lead_s", 0, "value", "cause", cause));
}

static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static void tell(const struct station *s, int64_t now_us, json_t *results, json_t *stations) {
    const struct washout_output *o = &s->last;
    bool fresh = s->read && seconds(s->last_us, now_us) <= FRESH_S;
    bool known = fresh && o->state != WASHOUT_UNKNOWN;
    const char *cause = !fresh ? "no reading of the last 20 min" : washout_why_text(o->why);
    double nan = (double)NAN;
    char time[64];
    cause = cause[0] != '\0' ? cause : "not known";
    put(results, s->id, "dose_alarm", "1", known ? o->state == WASHOUT_ALARM : nan, cause);
    put(results, s->id, "dose_rain", "1", known ? o->state == WASHOUT_RAIN : nan, cause);
    put(results, s->id, "dose_excess", "nSv/h", fresh ? o->residual_nsv_h : nan, cause);
    put(results, s->id, "dose_washout", "nSv/h", fresh ? o->washout_nsv_h : nan,
        fresh ? "no fresh rain data or no baseline" : cause);
    put(results, s->id, "dose_baseline", "nSv/h", fresh ? o->baseline_nsv_h : nan, cause);
    put(results, s->id, "dose_significance", "1", fresh ? o->significance : nan, cause);
    put(results, s->id, "dose_neighbours", "1", fresh ? s->neighbours_up : nan,
        fresh ? "no rise, or no wind or no station downwind" : cause);
    text_format_time(s->last_us, time, sizeof time);
    json_array_append_new(
        stations,
        json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "station", s->id, "time",
                  s->read ? time : "", "state", fresh ? washout_state_name(o->state) : "unknown",
                  "why", known || !fresh ? (fresh ? washout_why_text(o->why) : cause) : cause,
                  "dose_rate_nSv_h", real_or_null(s->last_nsv_h), "baseline_nSv_h",
                  real_or_null(o->baseline_nsv_h), "washout_nSv_h", real_or_null(o->washout_nsv_h),
                  "residual_nSv_h", real_or_null(o->residual_nsv_h)));
}

static int run_stations(const struct washout_live *live, const struct longform *series,
                        const struct washout_options *options, struct fans *fans, bool first,
                        int64_t now_us, json_t *results, json_t *stations, struct err *ret_err) {
    size_t from = 0, to = 0;
    int rc = 0;
    while (rc == 0 && (to = longform_block(series, live->dose_point, &from)) > from) {
        struct station s = {.id = series->rows[from].station,
                            .dose = series->rows + from,
                            .dose_count = to - from,
                            .last = {.baseline_nsv_h = (double)NAN,
                                     .washout_nsv_h = (double)NAN,
                                     .residual_nsv_h = (double)NAN,
                                     .significance = (double)NAN},
                            .last_nsv_h = (double)NAN,
                            .neighbours_up = (double)NAN};
        for (size_t at = 0, end = 0; (end = longform_block(series, live->rain_point, &at)) > at;
             at = end) {
            if (strcmp(series->rows[at].station, s.id) == 0) {
                s.rain = series->rows + at;
                s.rain_count = end - at;
                if (strcmp(s.rain->unit, "mm/h") != 0) {
                    return err_set(ret_err, ERR_INVALID, "%s/%s is in %s, not mm/h", s.id,
                                   live->rain_point, s.rain->unit);
                }
            }
        }
        rc = unit_of(s.dose, &s.dose_factor, ret_err);
        rc = rc != 0 ? rc : judge(&s, options, fans, first, ret_err);
        if (rc == 0 && !first) {
            tell(&s, now_us, results, stations);
        }
        from = to;
    }
    return rc;
}

int washout_live_run(const struct washout_live *live, const struct washout_options *options,
                     json_t **ret_object, struct err *ret_err) {
    struct longform series = {0};
    int64_t now_us = 0;
    json_t *results = json_array(), *stations = json_array();
    json_t *manifest = manifest_create(
        "washout",
        json_pack("{s:f,s:f,s:f,s:s,s:s}", "ceiling_nSv_h", options->ceiling_nsv_h, "significance",
                  options->significance, "rain_max_age_s", options->rain_max_age_s, "dose_point",
                  live->dose_point, "rain_point", live->rain_point));
    int rc = text_parse_time(live->reference, &now_us) != 0
                 ? err_set(ret_err, ERR_SYNTAX, "--reference '%s' is no time", live->reference)
                 : longform_read(live->series, &series, ret_err);
    rc = rc != 0 ? rc : manifest_add_file(manifest, live->series, ret_err);
    struct downwind downwind;
    struct fans fans = {NULL, &series, live->dose_point, calloc(series.count + 1, sizeof(bool))};
    rc = rc == 0 && fans.up == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for readings") : rc;
    if (rc == 0 && live->neighbours != NULL) {
        rc = downwind_read(live->neighbours, &downwind, ret_err);
        rc = rc != 0 ? rc : manifest_add_file(manifest, live->neighbours, ret_err);
        fans.downwind = &downwind;
        rc = rc != 0 ? rc
                     : run_stations(live, &series, options, &fans, true, now_us, results, stations,
                                    ret_err);
    }
    rc = rc != 0 ? rc
                 : run_stations(live, &series, options, &fans, false, now_us, results, stations,
                                ret_err);
    free(fans.up);
    longform_finish(&series);
    if (rc != 0) {
        json_decref(manifest);
        json_decref(results);
        json_decref(stations);
        return rc;
    }
    json_t *object = output_object("washout", live->product, now_us, manifest, results);
    if (object == NULL || json_object_set_new(object, "stations", stations) != 0) {
        json_decref(object);
        return err_set(ret_err, ERR_MEMORY, "no memory for the results");
    }
    *ret_object = object;
    return 0;
}
