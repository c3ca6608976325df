#include "models/dispersion/trace_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/table/table.h"

#define PI         3.14159265358979323846
#define DOUBTFUL   4.0
#define SETTLED    1.05
#define NEAR_CELLS 1.5 /* a site's own size, in cells of the region */

enum { AROUND = 12, NEXT_TOLD = 5 };

int trace_places_read(const char *path, struct trace_places *ret_places, struct err *ret_err) {
    struct table *table = NULL;
    if (path == NULL) {
        *ret_places = (struct trace_places){0};
        return 0;
    }
    int rc = table_read(path, &table, ret_err);
    size_t n = rc == 0 ? table_rows(table) : 0, column[4] = {0};
    struct trace_places places = {n, calloc(n + 1, sizeof *places.list)};
    double *v = calloc(3 * n + 1, sizeof *v);
    if (rc == 0 && (places.list == NULL || v == NULL)) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for places");
    } else if (rc == 0 && n > TRACE_POINTS_MAX) {
        rc = err_set(ret_err, ERR_LIMIT, "%s: %zu places; at most %d", path, n, TRACE_POINTS_MAX);
    }
    rc = rc != 0 ? rc : table_find(table, "id", &column[0], ret_err);
    rc = rc != 0 ? rc : table_find(table, "x_east_m", &column[1], ret_err);
    rc = rc != 0 ? rc : table_find(table, "y_north_m", &column[2], ret_err);
    rc = rc != 0 ? rc : table_numbers(table, column[1], -1e7, 1e7, v, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, column[2], -1e7, 1e7, v + n, ret_err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        v[2 * n + i] = (double)NAN;
    }
    if (rc == 0 && table_has(table, "travel_min")) {
        rc = table_find(table, "travel_min", &column[3], ret_err);
        rc = rc != 0 ? rc : table_numbers(table, column[3], 0, 1e5, v + 2 * n, ret_err);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct trace_place *p = &places.list[i];
        size_t at = 0;
        const char *id = table_text(table, i, column[0]);
        const char *name = table_has(table, "name") && table_find(table, "name", &at, NULL) == 0
                               ? table_text(table, i, at)
                               : id;
        const char *reachable =
            table_has(table, "reachable") && table_find(table, "reachable", &at, NULL) == 0
                ? table_text(table, i, at)
                : "yes";
        *p = (struct trace_place){.x_m = v[i], .y_m = v[n + i], .travel_min = v[2 * n + i]};
        p->reachable = strcmp(reachable, "yes") == 0;
        if (id[0] == '\0' || text_copy(p->id, sizeof p->id, id) != 0 ||
            text_copy(p->name, sizeof p->name, name) != 0 || isnan(v[i]) || isnan(v[n + i])) {
            rc = table_refuse(table, i, column[0], ERR_INVALID, ret_err,
                              "a place needs an id and coordinates");
        } else if (!p->reachable && strcmp(reachable, "no") != 0) {
            rc =
                table_refuse(table, i, at, ERR_SYNTAX, ret_err, "'%s' is not yes or no", reachable);
        }
    }
    free(v);
    table_destroy(table);
    if (rc != 0) {
        trace_places_finish(&places);
        return rc;
    }
    *ret_places = places;
    return 0;
}

void trace_places_finish(struct trace_places *places) {
    free(places->list);
    *places = (struct trace_places){0};
}

int trace_places_around(const struct readings *readings, const struct weather_air *air,
                        struct trace_places *ret_places, struct err *ret_err) {
    double angle = air->wind_from_deg * PI / 180, up_x = sin(angle), up_y = cos(angle);
    double low[2] = {HUGE_VAL, HUGE_VAL}, high[2] = {-HUGE_VAL, -HUGE_VAL};
    struct trace_places places = {0, calloc((size_t)AROUND * AROUND, sizeof *places.list)};
    if (places.list == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for points");
    }
    for (size_t i = 0; i < readings->count; i++) {
        const struct trace_sensor *s = &readings->sensors[i];
        double u = s->x_m * up_x + s->y_m * up_y, c = s->x_m * up_y - s->y_m * up_x;
        if (s->value > readings->detection_mg_m3) {
            low[0] = fmin(low[0], u);
            high[0] = fmax(high[0], u);
            low[1] = fmin(low[1], c);
            high[1] = fmax(high[1], c);
        }
    }
    double extent = fmax(fmax(high[0] - low[0], high[1] - low[1]), 200);
    for (int i = 0; i < AROUND; i++) {
        for (int k = 0; k < AROUND; k++) {
            double u = low[0] + (high[0] + 1.5 * extent - low[0]) * i / (AROUND - 1);
            double c = (low[1] + high[1]) / 2 + 1.5 * extent * (k / (AROUND - 1.0) - 0.5);
            struct trace_place *p = &places.list[places.count++];
            *p = (struct trace_place){.x_m = round(u * up_x + c * up_y),
                                      .y_m = round(u * up_y - c * up_x),
                                      .travel_min = (double)NAN,
                                      .reachable = true};
        }
    }
    *ret_places = places;
    return 0;
}

static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *rings_of(const struct region *region, double share) {
    struct region_rings rings = {0};
    double level = 0;
    if (region_level(region, share, &level) != 0 || region_outline(region, level, &rings) != 0) {
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < rings.count; i++) {
        json_t *ring = json_array();
        for (size_t k = rings.start[i]; k < rings.start[i + 1]; k++) {
            json_array_append_new(ring, json_pack("[f,f]", rings.points[k][0], rings.points[k][1]));
        }
        json_array_append_new(list, ring);
    }
    region_rings_finish(&rings);
    return json_pack("{s:f,s:o}", "area_m2", region_area_m2(region, level), "rings", list);
}

/* When the release began: first sight of each sensor less its way in the wind; the median. */
static json_t *start_of(const struct trace_problem *p, const struct readings *readings,
                        const struct trace_source *source) {
    double angle = p->air.wind_from_deg * PI / 180;
    double *start = calloc(readings->count + 1, sizeof *start);
    size_t count = 0;
    for (size_t i = 0; start != NULL && i < readings->count; i++) {
        const struct trace_sensor *s = &readings->sensors[i];
        double x = -(s->x_m - source->x_m) * sin(angle) - (s->y_m - source->y_m) * cos(angle);
        double sy = 0, sz = 0, wind = 0;
        if (readings->seen_us[i] == 0 || !(x > 1) ||
            weather_spread(&p->air, p->source_height_m, x, &sy, &sz, &wind) != 0) {
            continue;
        }
        size_t at = count++; /* insertion, ascending */
        double value = (double)readings->seen_us[i] - x / wind * 1e6;
        for (; at > 0 && start[at - 1] > value; at--) {
            start[at] = start[at - 1];
        }
        start[at] = value;
    }
    char text[64] = "";
    if (count > 0) {
        /* readings are means of minutes: seconds are not known */
        text_format_time((int64_t)start[count / 2] / 1000000 * 1000000, text, sizeof text);
    }
    free(start);
    return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *source_of(const struct trace_problem *p, const struct readings *readings,
                         const struct trace_source *s) {
    return json_pack("{s:f,s:f,s:f,s:f,s:f,s:o,s:o,s:o}", "x_east_m", s->x_m, "y_north_m", s->y_m,
                     "Q_g_s", s->rate / 1e3, "Q_p05_g_s", s->rate_p05 / 1e3, "Q_p95_g_s",
                     s->rate_p95 / 1e3, "start", start_of(p, readings, s), "region50",
                     rings_of(&s->region, 0.5), "region90", rings_of(&s->region, 0.9));
}

/* Share of the samples' density around a site, per area, of that at the densest place of all. */
static double density_at(const struct region *r, double x_m, double y_m) {
    double sum = 0, weight = 0;
    for (int row = 0; row < REGION_CELLS; row++) {
        double dy = (r->south_m + (row + 0.5) * r->dy_m - y_m) / (NEAR_CELLS * r->dy_m);
        for (int column = 0; column < REGION_CELLS && fabs(dy) < 4; column++) {
            double dx = (r->west_m + (column + 0.5) * r->dx_m - x_m) / (NEAR_CELLS * r->dx_m);
            double w = exp(-0.5 * (dx * dx + dy * dy));
            sum += w * r->density[row * REGION_CELLS + column];
            weight += w;
        }
    }
    return weight > 0 ? sum / weight : 0;
}

struct ranked {
    size_t index;
    double first, second; /* descending by first, then ascending by second */
};

static int compare_ranked(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->first != y->first) {
        return x->first < y->first ? 1 : -1;
    }
    return x->second != y->second ? (x->second > y->second ? 1 : -1)
                                  : (x->index > y->index ? 1 : -1);
}

/* The catalogue's sites by how probable each is among them, were it one of them. */
static json_t *candidates_of(const struct trace_result *result,
                             const struct trace_places *catalogue) {
    struct ranked *ranked = calloc(catalogue->count + 1, sizeof *ranked);
    json_t *list = json_array();
    double sum = 0, level50 = 0, level90 = 0;
    if (ranked == NULL) {
        json_decref(list);
        return NULL;
    }
    for (size_t i = 0; i < catalogue->count; i++) {
        const struct trace_place *c = &catalogue->list[i];
        for (size_t k = 0; k < result->source_count; k++) {
            ranked[i].first =
                fmax(ranked[i].first, density_at(&result->source[k].region, c->x_m, c->y_m));
        }
        ranked[i].index = i;
        sum += ranked[i].first;
    }
    qsort(ranked, catalogue->count, sizeof *ranked, compare_ranked);
    for (size_t i = 0; i < catalogue->count; i++) {
        const struct trace_place *c = &catalogue->list[ranked[i].index];
        bool in50 = false, in90 = false;
        for (size_t k = 0; k < result->source_count; k++) {
            const struct region *r = &result->source[k].region;
            in50 = in50 || (region_level(r, 0.5, &level50) == 0 &&
                            region_holds(r, level50, c->x_m, c->y_m));
            in90 = in90 || (region_level(r, 0.9, &level90) == 0 &&
                            region_holds(r, level90, c->x_m, c->y_m));
        }
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:f,s:f,s:f,s:f,s:b,s:b}", "id", c->id, "name", c->name,
                            "x_east_m", c->x_m, "y_north_m", c->y_m, "share",
                            sum > 0 ? ranked[i].first / sum : 0.0, "distance_m",
                            hypot(c->x_m - result->source[0].x_m, c->y_m - result->source[0].y_m),
                            "inside50", (int)in50, "inside90", (int)in90));
    }
    free(ranked);
    return list;
}

/* The points that leave the least of the region, those that can be reached first. */
static json_t *next_of(const struct trace_problem *p, const struct trace_places *points) {
    struct ranked *ranked = calloc(p->point_count + 1, sizeof *ranked);
    json_t *list = json_array();
    if (ranked == NULL) {
        json_decref(list);
        return NULL;
    }
    for (size_t i = 0; i < p->point_count; i++) {
        ranked[i] = (struct ranked){i, points->list[i].reachable ? 1 : 0, p->points[i].area_left};
    }
    qsort(ranked, p->point_count, sizeof *ranked, compare_ranked);
    for (size_t i = 0; i < p->point_count && i < NEXT_TOLD; i++) {
        const struct trace_place *place = &points->list[ranked[i].index];
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:f,s:f,s:b,s:o,s:f}", "id", place->id, "name", place->name,
                            "x_east_m", place->x_m, "y_north_m", place->y_m, "reachable",
                            (int)place->reachable, "travel_min", real_or_null(place->travel_min),
                            "expected_region_left", p->points[ranked[i].index].area_left));
    }
    free(ranked);
    return list;
}

static json_t *doubtful_of(const struct readings *readings, const struct trace_result *result) {
    json_t *list = json_array();
    for (size_t i = 0; i < readings->count; i++) {
        const struct trace_sensor *s = &readings->sensors[i];
        if (fabs(result->misfit[i]) > DOUBTFUL) {
            json_array_append_new(list, json_pack("{s:f,s:f,s:f,s:f}", "x_east_m", s->x_m,
                                                  "y_north_m", s->y_m, "conc_mg_m3", s->value,
                                                  "misfit_sigmas", result->misfit[i]));
        }
    }
    return list;
}

json_t *trace_report(const struct trace_problem *problem, const struct readings *readings,
                     const struct trace_result *result, const struct trace_places *catalogue,
                     const struct trace_places *points) {
    const struct trace_result *r = result;
    json_t *root = source_of(problem, readings, &r->source[0]);
    json_t *sources = json_array();
    for (size_t k = 0; k < r->source_count; k++) {
        json_array_append_new(sources, source_of(problem, readings, &r->source[k]));
    }
    json_t *rest = json_pack(
        "{s:s,s:I,s:I,s:f,s:I,s:o,s:o,s:f,s:f,s:b,s:o}", "status",
        r->r_hat > SETTLED ? "not settled" : "ok", "sensors", (json_int_t)r->used, "informative",
        (json_int_t)r->informative, "detection_limit_mg_m3", readings->detection_mg_m3,
        "source_count", (json_int_t)r->source_count, "two_over_one", real_or_null(r->two_over_one),
        "sources", sources, "wind_error_deg", r->wind_deg, "r_hat", r->r_hat, "at_edge",
        (int)r->at_edge, "doubtful_sensors", doubtful_of(readings, r));
    json_t *next = next_of(problem, points);
    json_t *candidates = catalogue->count > 0 ? candidates_of(r, catalogue) : NULL;
    int failed = root == NULL || rest == NULL || json_object_update(root, rest) != 0 ||
                 json_object_set_new(root, "measure_next", next) != 0 ||
                 (catalogue->count > 0 && json_object_set_new(root, "candidates", candidates) != 0);
    json_decref(rest);
    if (failed) {
        json_decref(root);
        return NULL;
    }
    return root;
}
