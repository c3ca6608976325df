#include "models/dispersion/release_live.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/dispersion/gas.h"

#define PI           3.14159265358979323846
#define READING_S    600.0
#define WIND_S       1200.0
#define WEATHER_S    1800.0
#define DAY_FROM_MIN 360
#define DAY_TO_MIN   1080
#define UPWIND_DEG   40.0
#define UPWIND_M     5000.0
#define POINT_Z_M    1.5
#define SETTLED      1.05
#define UNDECIDED    1000.0 /* factor between the bounds of a rate */
#define REACH_MIN_M  1250.0
#define REACH_MAX_M  40000.0
/* Class F, the slowest to come down: sz is the height over root 2 within 700 m. */
#define NEAR_GROUND_M 10.0

int release_live_alarm(struct release_live *live, const json_t *alarms, struct err *ret_err) {
    json_int_t highest = 0;
    for (size_t i = 0; i < json_array_size(alarms); i++) {
        const json_t *alarm = json_array_get(alarms, i);
        const char *rule = json_string_value(json_object_get(alarm, "rule"));
        const char *since = json_string_value(json_object_get(alarm, "since"));
        json_int_t level = json_integer_value(json_object_get(alarm, "level"));
        int64_t since_us = 0;
        if (rule == NULL || since == NULL || text_parse_time(since, &since_us) != 0) {
            return err_set(ret_err, ERR_SYNTAX, "alarm %zu has no rule or no time", i + 1);
        }
        for (size_t k = 0; k < live->site->substance_count; k++) {
            const struct release_substance *s = &live->site->substances[k];
            if (strcmp(s->rule, rule) != 0) {
                continue;
            }
            if (level > highest) {
                highest = level;
                live->substance = s;
                live->since_us = since_us;
                (void)text_copy(live->rule, sizeof live->rule, rule); /* as long as its source */
            } else if (live->substance == s && since_us < live->since_us) {
                live->since_us = since_us;
            }
        }
    }
    return highest > 0 ? 0 : err_set(ret_err, ERR_NOT_FOUND, "no gas alarm stands");
}

/* Mean of the good values of a point within the last `span_s`; NaN: none. */
static double mean_of(const struct longform *series, const char *station, const char *point,
                      const char *unit, int64_t now_us, double span_s, bool newest) {
    double sum = 0, count = 0;
    size_t from = 0, to = 0;
    while ((to = longform_block(series, point, &from)) > from) {
        for (size_t i = from; i < to && strcmp(series->rows[from].station, station) == 0; i++) {
            const struct longform_row *row = &series->rows[i];
            double age = (double)(now_us - row->utc_us) / 1e6;
            if (!(age >= 0 && age <= span_s) || isnan(row->value) || strcmp(row->unit, unit) != 0) {
                continue;
            }
            sum = newest ? row->value : sum + row->value;
            count = newest ? 1 : count + 1;
        }
        from = to;
    }
    return count > 0 ? sum / count : (double)NAN;
}

/* What is in another unit than it is taken in is refused: silence would make it unknown for ever.
 */
static int check_unit(const struct longform *series, const char *point, const char *unit,
                      struct err *ret_err) {
    size_t from = 0, to = 0;
    while ((to = longform_block(series, point, &from)) > from) {
        for (size_t i = from; i < to; i++) {
            if (strcmp(series->rows[i].unit, unit) != 0) {
                return err_set(ret_err, ERR_INVALID, "%s/%s is in %s, not %s",
                               series->rows[i].station, point, series->rows[i].unit, unit);
            }
        }
        from = to;
    }
    return 0;
}

/* Mean vector: readings of speed and direction of the same time. */
int release_live_wind(struct release_live *live, const struct longform *series,
                      struct err *ret_err) {
    const struct release_site *s = live->site;
    double east = 0, north = 0, count = 0;
    size_t at = 0, end = 0;
    int rc = check_unit(series, s->speed_point, "m/s", ret_err);
    rc = rc != 0 ? rc : check_unit(series, s->direction_point, "degree", ret_err);
    if (rc != 0) {
        return rc;
    }
    while ((end = longform_block(series, s->speed_point, &at)) > at) {
        for (size_t i = at; i < end && strcmp(series->rows[at].station, s->wind_station) == 0;
             i++) {
            const struct longform_row *row = &series->rows[i];
            double age = (double)(live->now_us - row->utc_us) / 1e6;
            if (!(age >= 0 && age <= WIND_S) || isnan(row->value) ||
                strcmp(row->unit, "m/s") != 0) {
                continue;
            }
            double from = mean_of(series, s->wind_station, s->direction_point, "degree",
                                  row->utc_us + 1000000, 61, true);
            if (!isnan(from)) {
                east += row->value * sin(from * PI / 180);
                north += row->value * cos(from * PI / 180);
                count++;
            }
        }
        at = end;
    }
    if (count == 0) {
        return err_set(ret_err, ERR_NOT_FOUND, "%s has no wind of the last 20 min",
                       s->wind_station);
    }
    int64_t local_min = (live->now_us / 60000000 + s->utc_offset_min) % 1440;
    bool day = local_min >= DAY_FROM_MIN && local_min < DAY_TO_MIN;
    live->weather = (struct weather){.count = 1, .rows = calloc(1, sizeof(struct weather_row))};
    if (live->weather.rows == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for weather");
    }
    const double nan = (double)NAN;
    live->weather.rows[0] =
        (struct weather_row){.utc_us = live->now_us,
                             .wind_m_s = hypot(east, north) / count,
                             .wind_height_m = s->wind_height_m,
                             .wind_from_deg = fmod(atan2(east, north) * 180 / PI + 360, 360),
                             .ustar_m_s = nan,
                             .obukhov_m = nan,
                             .sigma_theta_rad = nan,
                             .lid_m = nan,
                             .z0_m = s->z0_m,
                             .rain_mm_h = nan,
                             .stability = (day ? s->class_day : s->class_night) - 'A'};
    return weather_air(&live->weather.rows[0], WEATHER_AUTO, PLUME_RURAL, s->source_height_m,
                       &live->air, ret_err);
}

static int take_readings(struct release_live *live, const struct longform *series,
                         struct err *ret_err) {
    const struct release_site *s = live->site;
    int rc = check_unit(series, live->substance->point, "ppm", ret_err);
    for (size_t i = 0; rc == 0 && i < live->substance->cross_count; i++) {
        rc = check_unit(series, live->substance->cross[i].point, "ppm", ret_err);
    }
    rc = rc != 0 ? rc : check_unit(series, s->temperature_point, "degC", ret_err);
    rc = rc != 0 ? rc : check_unit(series, s->pressure_point, "hPa", ret_err);
    if (rc != 0) {
        return rc;
    }
    double temperature = mean_of(series, s->wind_station, s->temperature_point, "degC",
                                 live->now_us, WEATHER_S, true);
    double pressure =
        mean_of(series, s->wind_station, s->pressure_point, "hPa", live->now_us, WEATHER_S, true);
    if (gas_mg_m3_per_ppm(gas_find(live->substance->name)->molar_mass_g_mol, temperature, pressure,
                          &live->mg_m3_per_ppm) != 0) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "%s has no temperature and pressure of the last 30 min", s->wind_station);
    }
    struct readings *r = &live->readings;
    r->sensors = calloc(s->stations.count + 1, sizeof *r->sensors);
    r->seen_us = calloc(s->stations.count + 1, sizeof *r->seen_us);
    if (r->sensors == NULL || r->seen_us == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for readings");
    }
    r->count = s->stations.count;
    r->timed = true;
    r->detection_mg_m3 = live->substance->detection_ppm * live->mg_m3_per_ppm;
    for (size_t i = 0; i < r->count; i++) {
        const struct release_place *p = &s->stations.list[i];
        double ppm =
            mean_of(series, p->id, live->substance->point, "ppm", live->now_us, READING_S, false);
        r->sensors[i] = (struct trace_sensor){p->x_m, p->y_m, p->height_m,
                                              ppm < 0 ? 0 : ppm * live->mg_m3_per_ppm};
        size_t at = 0, end = 0; /* first sight since shortly before the alarm */
        while ((end = longform_block(series, live->substance->point, &at)) > at) {
            for (size_t k = at; k < end && strcmp(series->rows[at].station, p->id) == 0; k++) {
                const struct longform_row *row = &series->rows[k];
                if (r->seen_us[i] == 0 && row->utc_us >= live->since_us - INT64_C(1800000000) &&
                    row->value > 2 * live->substance->detection_ppm) {
                    r->seen_us[i] = row->utc_us;
                }
            }
            at = end;
        }
    }
    return 0;
}

static bool in_fan(const struct release_live *live, size_t from, size_t to) {
    const struct release_place *a = &live->site->stations.list[from];
    const struct release_place *b = &live->site->stations.list[to];
    double dx = b->x_m - a->x_m, dy = b->y_m - a->y_m, away = hypot(dx, dy);
    double off = remainder(atan2(dx, dy) * 180 / PI - live->air.wind_from_deg - 180, 360);
    return away > 1 && away <= SENSOR_FAN_M && fabs(off) <= SENSOR_FAN_DEG;
}

/* The readings of a point of a station; the count. */
static size_t take_values(const struct longform *series, const char *station, const char *point,
                          struct sensor_value *values) {
    size_t count = 0, from = 0, to = 0;
    while ((to = longform_block(series, point, &from)) > from) {
        for (size_t i = from; i < to && strcmp(series->rows[from].station, station) == 0; i++) {
            const struct longform_row *row = &series->rows[i];
            bool fits = strcmp(row->unit, "ppm") == 0 && count < SENSOR_VALUES_MAX;
            if (fits) {
                values[count++] = (struct sensor_value){row->utc_us, row->value};
            }
        }
        from = to;
    }
    return count;
}

static int judge_sensors(struct release_live *live, const struct longform *series,
                         struct err *ret_err) {
    const struct release_substance *s = live->substance;
    size_t all = live->readings.count, lists = 1 + s->cross_count;
    struct sensor_value *values = calloc(lists * SENSOR_VALUES_MAX, sizeof *values);
    live->sensors = calloc(all + 1, sizeof *live->sensors);
    if (values == NULL || live->sensors == NULL) {
        free(values);
        return err_set(ret_err, ERR_MEMORY, "no memory for sensors");
    }
    for (size_t i = 0; i < all; i++) {
        const char *station = live->site->stations.list[i].id;
        struct release_sensor *sensor = &live->sensors[i];
        struct sensor_case c = {.values = values,
                                .count = take_values(series, station, s->point, values),
                                .detection = s->detection_ppm,
                                .ceiling = s->ceiling_ppm,
                                .full_scale = s->full_scale_ppm,
                                .span = s->span_ppm,
                                .other_count = s->cross_count};
        for (size_t k = 0; k < s->cross_count; k++) {
            struct sensor_value *other = values + (k + 1) * SENSOR_VALUES_MAX;
            c.others[k] = (struct sensor_other){
                s->cross[k].point, other, take_values(series, station, s->cross[k].point, other),
                s->cross[k].factor};
        }
        for (size_t k = 0; k < all; k++) {
            bool fan = in_fan(live, i, k) && !isnan(live->readings.sensors[k].value);
            c.downwind += fan;
            c.downwind_up +=
                fan && live->readings.sensors[k].value >= 2 * live->readings.detection_mg_m3;
        }
        sensor->downwind = c.downwind;
        sensor->downwind_up = c.downwind_up;
        sensor_doubt(&c, &sensor->verdict);
    }
    free(values);
    return 0;
}

/* The site upwind of the highest reading that has the substance, and the rate that explains it. */
static void assume_source(struct release_live *live) {
    const struct release_site *s = live->site;
    double best = UPWIND_DEG, angle = live->air.wind_from_deg * PI / 180;
    size_t top = 0;
    for (size_t i = 0; i < live->readings.count; i++) {
        double v = live->readings.sensors[i].value, t = live->readings.sensors[top].value;
        top = v > t || isnan(t) ? i : top;
    }
    const struct trace_sensor *sensor = &live->readings.sensors[top];
    for (size_t i = 0; i < s->catalogue.count && sensor->value > live->readings.detection_mg_m3;
         i++) {
        const struct release_place *p = &s->catalogue.list[i];
        bool has = false;
        for (size_t k = 0; k < p->substance_count; k++) {
            has = has || strcmp(p->substances[k], live->substance->name) == 0;
        }
        double dx = p->x_m - sensor->x_m, dy = p->y_m - sensor->y_m, away = hypot(dx, dy);
        double off = fabs(remainder(atan2(dx, dy) - angle, 2 * PI)) * 180 / PI;
        if (has && away > 10 && away < UPWIND_M && off < best) {
            best = off;
            live->assumed = p;
        }
    }
    if (live->assumed == NULL) {
        return;
    }
    struct weather_air air = live->air; /* straight from the site to the sensor */
    double dx = live->assumed->x_m - sensor->x_m, dy = live->assumed->y_m - sensor->y_m;
    double sy = 0, sz = 0, wind = 0;
    if (weather_spread(&air, s->source_height_m, hypot(dx, dy), &sy, &sz, &wind) == 0) {
        double unit =
            plume_concentration(1, wind, sy, sz, 0, sensor->z_m, s->source_height_m, air.lid_m);
        live->basis = RELEASE_ASSUMED;
        live->release.puff.x_m = live->assumed->x_m;
        live->release.puff.y_m = live->assumed->y_m;
        live->release.puff.rate = sensor->value / unit / 1e3; /* g/s */
    }
}

static int trace_source(struct release_live *live, struct trace_places *points,
                        struct err *ret_err) {
    struct err why = {0};
    live->problem = (struct trace_problem){.sensors = live->readings.sensors,
                                           .count = live->readings.count,
                                           .air = live->air,
                                           .source_height_m = live->site->source_height_m,
                                           .detection_limit = live->readings.detection_mg_m3,
                                           .floor = TRACE_FLOOR * live->readings.detection_mg_m3,
                                           .sigma_log = TRACE_SIGMA_LOG,
                                           .wind_sd_deg = TRACE_WIND_SD_DEG,
                                           .width_sd_log = TRACE_WIDTH_SD_LOG,
                                           .sources_max = 2,
                                           .seed = 1,
                                           .point_count = points->count,
                                           .point_z_m = POINT_Z_M};
    live->problem.points = calloc(points->count + 1, sizeof *live->problem.points);
    if (live->problem.points == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for points");
    }
    for (size_t i = 0; i < points->count; i++) {
        live->problem.points[i] = (struct trace_point){points->list[i].x_m, points->list[i].y_m, 1};
    }
    int rc = trace_run(&live->problem, &live->traced, &why);
    if (rc == ERR_NOT_FOUND) {
        (void)snprintf(live->why, sizeof live->why, "%.159s", why.text);
        assume_source(live);
        return 0;
    }
    if (rc != 0) {
        return err_set(ret_err, rc, "%s", why.text);
    }
    const struct trace_source *found = &live->traced.source[0];
    if (live->traced.r_hat > SETTLED || found->rate_p95 > UNDECIDED * found->rate_p05) {
        (void)snprintf(live->why, sizeof live->why,
                       "not enough data: the readings do not decide the source yet");
        assume_source(live);
        return 0;
    }
    live->basis = RELEASE_TRACED;
    live->release.puff.x_m = live->traced.source[0].x_m;
    live->release.puff.y_m = live->traced.source[0].y_m;
    live->release.puff.rate = live->traced.source[0].rate / 1e3;
    return 0;
}

int release_live_zones(struct release_live *live, const char *levels_path,
                       const struct args_list *outlines, struct err *ret_err) {
    struct zones_options options = zones_options_default;
    struct zones_levels levels = {0};
    options.members = 0; /* no probabilities are told */
    options.reach_m = live->release.continuous ? REACH_MIN_M : options.reach_m;
    int rc = zones_levels_read(levels_path, &live->release,
                               zones_exposure_s(&live->release, &options), &levels, ret_err);
    rc = rc != 0
             ? rc
             : zones_run(&live->release, &live->weather, &options, &levels, &live->zones, ret_err);
    while (rc == 0 && zones_at_edge(&live->zones) && options.reach_m < REACH_MAX_M) {
        zones_finish(&live->zones);
        options.reach_m *= 2;
        rc = zones_run(&live->release, &live->weather, &options, &levels, &live->zones, ret_err);
    }
    rc = rc != 0 ? rc
                 : communes_cut(outlines->words, outlines->count, &live->zones, &live->release,
                                &live->communes, ret_err);
    live->has_zones = rc == 0;
    return rc;
}

bool release_live_closed(const struct release_live *live) {
    /* Of a source near the ground the largest value is close by, and what reaches a level hangs
     * together; of a high one the plume may come down beyond the map. */
    bool anywhere = zones_area_m2(&live->zones, 0) > 0;
    return !zones_at_edge(&live->zones) &&
           (anywhere || live->release.puff.height_m <= NEAR_GROUND_M);
}

double release_live_level(const struct release_live *live, double x_m, double y_m,
                          double *ret_conc) {
    struct puff_receptor receptor = {.x_m = x_m, .y_m = y_m, .z_m = POINT_Z_M};
    struct err why = {0};
    double value = 0, unused = 0;
    int level = -1;
    if (!live->has_zones) {
        return (double)NAN;
    }
    if (live->release.continuous) {
        if (results_steady(&live->release, &live->air, &receptor, &value, &why) == 0) {
            *ret_conc = value * 1e3;
            level = zones_level_of(&live->zones.levels, *ret_conc);
        }
    } else {
        level = zones_level_at(&live->zones, x_m, y_m, ret_conc, &unused);
        level = level < 0 && release_live_closed(live) ? 0 : level;
    }
    return level < 0 ? (double)NAN : level;
}

int release_live_run(struct release_live *live, const struct longform *series,
                     const char *levels_path, const struct args_list *outlines,
                     struct trace_places *points, struct err *ret_err) {
    struct release *release = &live->release;
    *release = (struct release){.continuous = true, .origin = live->site->origin};
    release->gas_density_kg_m3 = (double)NAN; /* not told: never dense */
    release->puff.height_m = live->site->source_height_m;
    release->puff.half_life_s = (double)INFINITY;
    (void)snprintf(release->substance, sizeof release->substance, "%s", live->substance->name);
    int rc = release_live_wind(live, series, ret_err);
    rc = rc != 0 ? rc : take_readings(live, series, ret_err);
    rc = rc != 0 ? rc : judge_sensors(live, series, ret_err);
    rc = rc != 0 ? rc : trace_source(live, points, ret_err);
    live->has_outlines = outlines->count > 0;
    if (rc == 0 && live->basis != RELEASE_NOTHING) {
        rc = release_live_zones(live, levels_path, outlines, ret_err);
    }
    return rc;
}

void release_live_finish(struct release_live *live) {
    readings_finish(&live->readings);
    weather_finish(&live->weather);
    free(live->sensors);
    free(live->problem.points);
    trace_finish(&live->traced);
    zones_finish(&live->zones);
    communes_finish(&live->communes);
}
