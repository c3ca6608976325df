#include "models/dispersion/release_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/dispersion/local.h"

#define RADIAN 57.29577951308232

/* Of one language: as much as the daemon takes. */
enum { TEXT_SIZE = 1536, NAMED_MAX = 6 };

static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *position(const struct release_live *live, double x_m, double y_m) {
    double lon = 0, lat = 0;
    local_to_ground(&live->site->origin, x_m, y_m, &lon, &lat);
    return json_pack("[f,f]", round(lon * 1e6) / 1e6, round(lat * 1e6) / 1e6);
}

static void put(json_t *list, const char *place, const char *variable, const char *unit,
                double value, const char *cause) {
    json_array_append_new(
        list, isfinite(value)
                  ? json_pack("{s:s,s:s,s:s,s:i,s:i,s:f}", "area", place, "variable", variable,
                              "unit", unit, "window_s", 0, "lead_s", 0, "value", value)
                  : json_pack("{s:s,s:s,s:s,s:i,s:i,s:n,s:s}", "area", place, "variable", variable,
                              "unit", unit, "window_s", 0, "lead_s", 0, "value", "cause", cause));
}

static bool suspected(const struct release_sensor *sensor) {
    enum sensor_doubt doubt = sensor->verdict.doubt;
    return doubt == SENSOR_CALIBRATION || doubt == SENSOR_CROSS || doubt == SENSOR_DRIFT;
}

static const char beyond[] = "beyond the map of the plume", no_source[] = "no source is known";

/* What is beyond the map of a plume that does not end on it is not known, but what is touched on
 * the map is touched. */
static void put_commune(json_t *list, const struct release_live *live, const struct commune *c) {
    bool known = c->level > 0 || c->whole || release_live_closed(live);
    double unknown = known ? 0 : (double)NAN;
    put(list, c->id, "plume_level", "1", unknown + c->level, beyond);
    put(list, c->id, "plume_conc", "mg m-3", known ? c->highest : (double)NAN, beyond);
    put(list, c->id, "plume_share", "1", unknown + c->share[0], beyond);
    put(list, c->id, "plume_people", "1",
        unknown + (c->share[0] > 0 ? round(c->people * c->share[0]) : 0),
        known ? "the site does not tell how many people live there" : beyond);
}

json_t *release_results(const struct release_live *live) {
    json_t *list = json_array();
    for (size_t i = 0; i < live->readings.count; i++) {
        double unknown = isnan(live->readings.sensors[i].value) ? (double)NAN : 0;
        put(list, live->site->stations.list[i].id, "gas_suspect", "1",
            unknown + suspected(&live->sensors[i]), "no reading of the last 10 min");
        put(list, live->site->stations.list[i].id, "gas_doubt", "1",
            unknown + (double)live->sensors[i].verdict.doubt, "no reading of the last 10 min");
    }
    const char *cause = live->has_zones ? beyond : no_source;
    for (size_t i = 0; i < live->site->places.count; i++) {
        const struct release_place *p = &live->site->places.list[i];
        double conc = (double)NAN;
        put(list, p->id, "plume_level", "1", release_live_level(live, p->x_m, p->y_m, &conc),
            cause);
        put(list, p->id, "plume_conc", "mg m-3", conc, cause);
    }
    for (size_t i = 0; i < live->communes.count; i++) {
        put_commune(list, live, &live->communes.list[i]);
    }
    return list;
}

static void append(char *text, const char *more) {
    size_t length = strlen(text);
    (void)snprintf(text + length, TEXT_SIZE - length, "%s", more);
}

/* "Communes within: A, B and 3 more (about 1200 people)." Nothing where no commune is known to be
 * touched. */
static void add_communes(const struct release_live *live, char *text_vi, char *text_en) {
    char names[NAMED_MAX * AREA_NAME_MAX], more[2][64] = {"", ""}, people[2][64] = {"", ""};
    size_t touched = communes_names(&live->communes, NAMED_MAX, names, sizeof names);
    double count = communes_people(&live->communes);
    if (touched == 0) {
        return;
    }
    if (touched > NAMED_MAX) {
        (void)snprintf(more[0], sizeof more[0], " và %zu nơi khác", touched - NAMED_MAX);
        (void)snprintf(more[1], sizeof more[1], " and %zu more", touched - NAMED_MAX);
    }
    if (count > 0) { /* two digits: people do not live evenly */
        double step = pow(10, fmax(floor(log10(count)) - 1, 0));
        count = round(count / step) * step;
        (void)snprintf(people[0], sizeof people[0], " (khoảng %.0f người)", count);
        (void)snprintf(people[1], sizeof people[1], " (about %.0f people)", count);
    }
    const char *const vi[] = {" Xã, phường trong vùng này: ", names, more[0], people[0], "."};
    const char *const en[] = {" Communes within: ", names, more[1], people[1], "."};
    for (size_t i = 0; i < sizeof vi / sizeof *vi; i++) {
        append(text_vi, vi[i]);
        append(text_en, en[i]);
    }
}

json_t *release_text(const struct release_live *live) {
    static const char *const vi[] = {"bắc", "đông bắc", "đông", "đông nam",
                                     "nam", "tây nam",  "tây",  "tây bắc"};
    static const char *const en[] = {"north", "north-east", "east", "south-east",
                                     "south", "south-west", "west", "north-west"};
    const struct weather_row *w = &live->weather.rows[0];
    int from = (int)lround(w->wind_from_deg / 45) % 8, to = (from + 4) % 8;
    /* Less than the text can tell is told as the least that it can. */
    double reach =
        live->has_zones ? fmax(zones_reach_m(&live->zones, &live->release, 0) / 1e3, 0.1) : 0;
    char text_vi[TEXT_SIZE], text_en[TEXT_SIZE];
    if (!live->has_zones) {
        (void)snprintf(
            text_vi, sizeof text_vi,
            "Gió từ hướng %s, %.0f m/s. Chưa xác định được nguồn phát tán: vào nhà, đóng "
            "kín cửa; nếu ở ngoài trời, đi ngang chiều gió, tránh xa hướng %s của trạm.",
            vi[from], w->wind_m_s, vi[from]);
        (void)snprintf(text_en, sizeof text_en,
                       "Wind from the %s, %.0f m/s. The source is not known yet: go indoors, close "
                       "windows and doors; outdoors walk across the wind, away from the %s of the "
                       "station.",
                       en[from], w->wind_m_s, en[from]);
    } else {
        (void)snprintf(
            text_vi, sizeof text_vi,
            "Gió từ hướng %s, %.0f m/s, thổi khí về hướng %s. Trong vòng %.1f km về hướng %s của "
            "nguồn%s: vào nhà, đóng kín cửa, tắt quạt và điều hòa; nếu ở ngoài trời, đi ngang "
            "chiều "
            "gió ra khỏi luồng khí, không đi về hướng %s.",
            vi[from], w->wind_m_s, vi[to], reach, vi[to],
            live->basis == RELEASE_ASSUMED ? " (giả định)" : "", vi[to]);
        (void)snprintf(
            text_en, sizeof text_en,
            "Wind from the %s, %.0f m/s, carries the gas to the %s. Within %.1f km to the %s of "
            "the%s source: go indoors, close windows and doors, switch off fans and air "
            "conditioning; outdoors walk across the wind out of the plume, not to the %s.",
            en[from], w->wind_m_s, en[to], reach, en[to],
            live->basis == RELEASE_ASSUMED ? " assumed" : "", en[to]);
    }
    add_communes(live, text_vi, text_en);
    return json_pack("{s:s,s:s}", "vi", text_vi, "en", text_en);
}

static json_t *source_json(const struct release_live *live) {
    if (live->basis == RELEASE_NOTHING) {
        return json_null();
    }
    bool traced = live->basis == RELEASE_TRACED;
    const struct trace_source *s = &live->traced.source[0];
    const struct puff_release *p = &live->release.puff;
    return json_pack("{s:o,s:f,s:f,s:f,s:o,s:o,s:s}", "position", position(live, p->x_m, p->y_m),
                     "x_east_m", p->x_m, "y_north_m", p->y_m, "Q_g_s", p->rate, "Q_p05_g_s",
                     traced ? json_real(s->rate_p05 / 1e3) : json_null(), "Q_p95_g_s",
                     traced ? json_real(s->rate_p95 / 1e3) : json_null(), "site",
                     live->assumed != NULL ? live->assumed->id : "");
}

json_t *release_zones(const struct release_live *live) {
    json_t *list = json_array();
    for (size_t l = 0; live->has_zones && l < live->zones.levels.count; l++) {
        const struct zones_level *level = &live->zones.levels.list[l];
        json_array_append_new(list,
                              json_pack("{s:i,s:s,s:f,s:f,s:f}", "level", level->level, "name",
                                        level->name, "value_mg_m3", level->value, "area_km2",
                                        zones_area_m2(&live->zones, l) / 1e6, "reach_km",
                                        zones_reach_m(&live->zones, &live->release, l) / 1e3));
    }
    return list;
}

json_t *release_places(const struct release_live *live) {
    json_t *list = json_array();
    for (size_t i = 0; live->has_zones && i < live->site->places.count; i++) {
        const struct release_place *p = &live->site->places.list[i];
        double conc = (double)NAN, level = release_live_level(live, p->x_m, p->y_m, &conc);
        double away = hypot(p->x_m - live->release.puff.x_m, p->y_m - live->release.puff.y_m);
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:o,s:o,s:o}", "id", p->id, "name", p->name, "level",
                            isnan(level) ? json_null() : json_integer((json_int_t)level),
                            "conc_mg_m3", real_or_null(conc), "arrival_s",
                            level > 0 ? json_real(round(away / live->weather.rows[0].wind_m_s))
                                      : json_null()));
    }
    return list;
}

json_t *release_communes(const struct release_live *live) {
    if (!live->has_outlines || !live->has_zones) {
        return json_pack("{s:n,s:s,s:n}", "list", "why",
                         live->has_outlines ? no_source : "the site gives no outlines of communes",
                         "people");
    }
    double people = communes_people(&live->communes);
    bool all = release_live_closed(live);
    return json_pack("{s:o,s:s,s:o}", "list", communes_json(&live->communes, &live->zones), "why",
                     all ? isnan(people) ? "people of a commune are not told" : ""
                     : isnan(people)
                         ? "people of a commune are not told; the plume goes on beyond the map"
                         : "the plume goes on beyond the map",
                     "people", real_or_null(people));
}

static json_t *sensors_json(const struct release_live *live) {
    json_t *list = json_array();
    for (size_t i = 0; i < live->readings.count; i++) {
        const struct release_sensor *s = &live->sensors[i];
        json_array_append_new(
            list,
            json_pack("{s:s,s:o,s:s,s:b,s:o,s:o,s:o,s:o,s:s,s:I,s:I}", "id",
                      live->site->stations.list[i].id, "conc_mg_m3",
                      real_or_null(live->readings.sensors[i].value), "looks_like",
                      sensor_doubt_names[s->verdict.doubt], "suspected", suspected(s), "rise_min",
                      real_or_null(s->verdict.rise_min), "scatter",
                      real_or_null(s->verdict.scatter), "straight",
                      real_or_null(s->verdict.straight), "ratio", real_or_null(s->verdict.ratio),
                      "with", s->verdict.with != NULL ? s->verdict.with : "", "downwind",
                      (json_int_t)s->downwind, "downwind_up", (json_int_t)s->downwind_up));
    }
    return list;
}

static const char *const status[] = {"not enough data", "traced", "assumed"};

json_t *release_trace(const struct release_live *live, const struct trace_places *catalogue,
                      const struct trace_places *points) {
    json_t *trace = live->basis == RELEASE_TRACED ? trace_report(&live->problem, &live->readings,
                                                                 &live->traced, catalogue, points)
                                                  : json_object();
    (void)json_object_set_new(trace, "status",
                              json_string(status[live->basis]));     /* told when written */
    (void)json_object_set_new(trace, "why", json_string(live->why)); /* the same */
    return trace;
}

json_t *release_member(const struct release_live *live, const struct trace_places *catalogue,
                       const struct trace_places *points) {
    const struct weather_row *w = &live->weather.rows[0];
    char since[64], class[2] = {(char)('A' + w->stability), '\0'};
    text_format_time(live->since_us, since, sizeof since);
    json_t *trace = live->basis == RELEASE_TRACED ? trace_report(&live->problem, &live->readings,
                                                                 &live->traced, catalogue, points)
                                                  : json_null();
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:{s:f,s:f,s:s},s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "status",
                     status[live->basis], "why", live->why, "substance", live->substance->name,
                     "rule", live->rule, "since", since, "wind", "from_deg", w->wind_from_deg,
                     "speed_m_s", w->wind_m_s, "class_assumed", class, "source", source_json(live),
                     "zones", release_zones(live), "places", release_places(live), "communes",
                     release_communes(live), "text", release_text(live), "sensors",
                     sensors_json(live), "trace", trace);
}

static int compare_points(const void *a, const void *b) {
    const double *p = a, *q = b;
    return p[0] != q[0] ? (p[0] > q[0] ? 1 : -1) : (p[1] > q[1]) - (p[1] < q[1]);
}

static double turn(const double *o, const double *a, const double *b) {
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
}

/* Convex hull (monotone chain) of the lowest zone and the source; [[latitude, longitude], ...]. */
static json_t *hull_json(const struct release_live *live) {
    struct region_rings rings = {0};
    if (!live->has_zones ||
        region_outline(&live->zones.value, live->zones.levels.list[0].value, &rings) != 0) {
        return NULL;
    }
    size_t n = rings.start[rings.count] + 1, k = 0;
    double(*p)[2] = calloc(n, sizeof *p), (*hull)[2] = calloc(2 * n + 2, sizeof *hull);
    json_t *list = json_array();
    if (p != NULL && hull != NULL && rings.count > 0) {
        memcpy(p, rings.points, (n - 1) * sizeof *p);
        p[n - 1][0] = live->release.puff.x_m;
        p[n - 1][1] = live->release.puff.y_m;
        qsort(p, n, sizeof *p, compare_points);
        for (size_t pass = 0, floor = 1; pass < 2; pass++, floor = k) {
            for (size_t i = 0; i < n; i++) {
                const double *next = p[pass == 0 ? i : n - 1 - i];
                while (k > floor && turn(hull[k - 2], hull[k - 1], next) <= 0) {
                    k--;
                }
                memcpy(hull[k++], next, sizeof *hull);
            }
            k--; /* the last of a pass begins the next one */
        }
        for (size_t i = 0; i <= k; i++) {
            json_t *at = position(live, hull[i % k][0], hull[i % k][1]);
            json_array_append_new(list,
                                  json_pack("[O,O]", json_array_get(at, 1), json_array_get(at, 0)));
            json_decref(at);
        }
    }
    free(p);
    free(hull);
    region_rings_finish(&rings);
    return list;
}

/* Each touched commune once, highest level first. */
static json_t *touched_communes(const struct release_live *live) {
    json_t *list = json_array(), *all = communes_json(&live->communes, &live->zones);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *row = json_array_get(all, i), *id = json_object_get(row, "id");
        bool seen = false;
        for (size_t k = 0; k < i; k++) {
            seen = seen || json_equal(id, json_object_get(json_array_get(all, k), "id"));
        }
        if (!seen) {
            json_array_append_new(list, json_pack("{s:O,s:O}", "name", json_object_get(row, "name"),
                                                  "code", json_object_get(row, "code")));
        }
    }
    json_decref(all);
    return list;
}

json_t *release_cap(const struct release_live *live, const json_t *alarms) {
    json_t *list = json_array(), *hull = hull_json(live);
    for (size_t i = 0; json_array_size(hull) >= 4 && i < json_array_size(alarms); i++) {
        const json_t *alarm = json_array_get(alarms, i);
        const char *rule = json_string_value(json_object_get(alarm, "rule"));
        if (rule != NULL && strcmp(rule, live->rule) == 0) {
            json_array_append_new(list, json_pack("{s:s,s:O,s:O,s:o,s:o}", "rule", rule, "place",
                                                  json_object_get(alarm, "place"), "polygon", hull,
                                                  "instruction", release_text(live), "communes",
                                                  touched_communes(live)));
        }
    }
    json_decref(hull);
    return list;
}

static json_t *feature(const char *kind, json_t *geometry, json_t *properties) {
    json_object_set_new(properties, "kind", json_string(kind));
    return json_pack("{s:s,s:o,s:o}", "type", "Feature", "properties", properties, "geometry",
                     geometry);
}

static json_t *point_geometry(const struct release_live *live, double x_m, double y_m) {
    return json_pack("{s:s,s:o}", "type", "Point", "coordinates", position(live, x_m, y_m));
}

static void add_region(const struct release_live *live, const struct region *region, double share,
                       json_t *features) {
    struct region_rings rings = {0};
    double level = 0;
    if (region_level(region, share, &level) != 0 || region_outline(region, level, &rings) != 0) {
        return; /* no memory: the map lacks what the report has */
    }
    json_t *polygons = json_array();
    for (size_t i = 0; i < rings.count; i++) {
        json_t *ring = json_array();
        for (size_t k = rings.start[i]; k < rings.start[i + 1]; k++) {
            json_array_append_new(ring, position(live, rings.points[k][0], rings.points[k][1]));
        }
        json_array_append_new(polygons, json_pack("[o]", ring));
    }
    region_rings_finish(&rings);
    json_array_append_new(
        features, feature("source_region",
                          json_pack("{s:s,s:o}", "type", "MultiPolygon", "coordinates", polygons),
                          json_pack("{s:f}", "share", share)));
}

json_t *release_map(const struct release_live *live) {
    json_t *features = json_array();
    for (size_t l = 0; live->has_zones && l < live->zones.levels.count; l++) {
        const struct zones_level *level = &live->zones.levels.list[l];
        json_array_append_new(
            features, feature("zone",
                              json_pack("{s:s,s:o}", "type", "MultiPolygon", "coordinates",
                                        zones_polygons(&live->zones, l, &live->site->origin)),
                              json_pack("{s:i,s:s,s:f,s:f}", "level", level->level, "name",
                                        level->name, "value_mg_m3", level->value, "reach_km",
                                        zones_reach_m(&live->zones, &live->release, l) / 1e3)));
    }
    if (live->basis == RELEASE_TRACED) {
        for (size_t k = 0; k < live->traced.source_count; k++) {
            add_region(live, &live->traced.source[k].region, 0.9, features);
            add_region(live, &live->traced.source[k].region, 0.5, features);
        }
    }
    if (live->basis != RELEASE_NOTHING) {
        json_array_append_new(
            features,
            feature("source", point_geometry(live, live->release.puff.x_m, live->release.puff.y_m),
                    json_pack("{s:f,s:b}", "Q_g_s", live->release.puff.rate, "assumed",
                              live->basis == RELEASE_ASSUMED)));
    }
    for (size_t i = 0; i < live->readings.count; i++) {
        const struct trace_sensor *s = &live->readings.sensors[i];
        json_array_append_new(features,
                              feature("sensor", point_geometry(live, s->x_m, s->y_m),
                                      json_pack("{s:s,s:o}", "id", live->site->stations.list[i].id,
                                                "conc_mg_m3", real_or_null(s->value))));
    }
    return json_pack("{s:s,s:o}", "type", "FeatureCollection", "features", features);
}
