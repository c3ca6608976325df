#include "models/dispersion/zones_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/dispersion/communes.h"
#include "models/dispersion/local.h"
#include "models/grid/grid.h"
#include "models/grid/ncwrite.h"
#include "models/table/table.h"

enum { CELLS = REGION_CELLS * REGION_CELLS };

static const char *unit_of(const struct zones *zones) {
    return zones->levels.dose ? "Sv" : "mg/m3";
}

static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static int add_place(const struct zones *zones, const struct table *table, size_t row,
                     const size_t *column, double x_m, double y_m, json_t *list,
                     struct err *ret_err) {
    double value = (double)NAN, arrival_s = (double)NAN;
    if (isnan(x_m) || isnan(y_m) || table_text(table, row, column[0])[0] == '\0') {
        return table_refuse(table, row, column[0], ERR_INVALID, ret_err,
                            "a place needs an id and coordinates");
    }
    int level = zones_level_at(zones, x_m, y_m, &value, &arrival_s);
    const char *name = table_text(table, row, column[1]);
    json_t *place = json_pack(
        "{s:s,s:s,s:f,s:f,s:o,s:o,s:o}", "id", table_text(table, row, column[0]), "name", name,
        "x_east_m", x_m, "y_north_m", y_m, "level", level < 0 ? json_null() : json_integer(level),
        "value", real_or_null(value), "arrival_s", real_or_null(arrival_s));
    return json_array_append_new(list, place) == 0
               ? 0
               : err_set(ret_err, ERR_MEMORY, "no memory for places");
}

static int report_places(const struct zones *zones, const struct release *release, const char *path,
                         json_t *list, struct err *ret_err) {
    struct table *table = NULL;
    size_t column[4] = {0};
    int rc = table_read(path, &table, ret_err);
    bool local = rc == 0 && table_has(table, "x_east_m");
    size_t n = rc == 0 ? table_rows(table) : 0;
    double *v = calloc(2 * n + 1, sizeof *v);
    rc = rc != 0 ? rc : v == NULL ? ERR_MEMORY : table_find(table, "id", &column[0], ret_err);
    column[1] = column[0];
    if (rc == 0 && table_has(table, "name")) {
        rc = table_find(table, "name", &column[1], ret_err);
    }
    rc =
        rc != 0 ? rc : table_find(table, local ? "x_east_m" : "longitude_deg", &column[2], ret_err);
    rc =
        rc != 0 ? rc : table_find(table, local ? "y_north_m" : "latitude_deg", &column[3], ret_err);
    double limit = local ? 1e7 : 180;
    rc = rc != 0 ? rc : table_numbers(table, column[2], -limit, limit, v, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, column[3], -limit, limit, v + n, ret_err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        double x = v[i], y = v[n + i];
        if (!local) {
            local_from_ground(&release->origin, v[i], v[n + i], &x, &y);
        }
        rc = add_place(zones, table, i, column, x, y, list, ret_err);
    }
    free(v);
    table_destroy(table);
    return rc;
}

static json_t *feature_of(const struct zones *zones, const struct release *release, size_t l) {
    const struct zones_level *level = &zones->levels.list[l];
    json_t *geometry = json_pack("{s:s,s:o}", "type", "MultiPolygon", "coordinates",
                                 zones_polygons(zones, l, &release->origin));
    json_t *properties =
        json_pack("{s:i,s:s,s:f,s:s,s:f,s:f}", "level", level->level, "name", level->name, "value",
                  level->value, "unit", unit_of(zones), "area_km2", zones_area_m2(zones, l) / 1e6,
                  "reach_km", zones_reach_m(zones, release, l) / 1e3);
    return json_pack("{s:s,s:s,s:o,s:o}", "type", "Feature", "id", level->name, "properties",
                     properties, "geometry", geometry);
}

int zones_report(const struct zones *zones, const struct release *release, const char *places_path,
                 const struct args_list *communes_paths, json_t **ret_report, struct err *ret_err) {
    struct communes cut = {0};
    if (isnan(release->origin.latitude_deg)) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "a map needs latitude_deg and longitude_deg in the release");
    }
    json_t *features = json_array(), *places = json_array();
    int rc = 0;
    for (size_t l = 0; l < zones->levels.count; l++) {
        rc = json_array_append_new(features, feature_of(zones, release, l)) != 0 ? ERR_MEMORY : rc;
    }
    rc = rc != 0 ? err_set(ret_err, rc, "no memory for the zones") : 0;
    rc = rc != 0 || places_path == NULL
             ? rc
             : report_places(zones, release, places_path, places, ret_err);
    rc = rc != 0 ? rc
                 : communes_cut(communes_paths->words, communes_paths->count, zones, release, &cut,
                                ret_err);
    json_t *report = json_pack(
        "{s:s,s:o,s:s,s:f,s:o,s:o}", "type", "FeatureCollection", "features", features, "substance",
        release->substance, "exposure_s", zones->exposure_s, "places", places, "communes",
        communes_paths->count > 0 ? communes_json(&cut, zones) : json_null());
    communes_finish(&cut);
    if (rc == 0 && report == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for the zones");
    }
    if (rc != 0) {
        json_decref(report);
        return rc;
    }
    *ret_report = report;
    return 0;
}

static int put_field(struct ncwriter *writer, size_t variable, const double *values,
                     struct err *ret_err) {
    float *field = calloc(CELLS, sizeof *field);
    if (field == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a field");
    }
    for (size_t i = 0; i < CELLS; i++) {
        field[i] = (float)values[i];
    }
    int rc = ncwriter_put(writer, variable, 0, 0, field, ret_err);
    free(field);
    return rc;
}

int zones_write_grid(const struct zones *zones, const struct release *release, int64_t utc_us,
                     const char *path, struct err *ret_err) {
    enum { PLAIN = 3 };
    char names[ZONES_LEVELS_MAX][64], about[ZONES_LEVELS_MAX][96];
    const char *units = zones->levels.dose ? "Sv" : "mg m-3";
    struct ncwrite_variable variables[PLAIN + ZONES_LEVELS_MAX] = {
        {.name = "value",
         .units = units,
         .long_name = "in the weather as told: mean over the exposure, or dose",
         .has_leads = true},
        {.name = "value_mean", .units = units, .long_name = "mean over members", .has_leads = true},
        {.name = "arrival", .units = "s", .long_name = "after the start", .has_leads = true}};
    size_t count = PLAIN + (zones->probability != NULL ? zones->levels.count : 0);
    const int64_t lead_s = 0;
    struct grid *grid = NULL;
    struct ncwriter *writer = NULL;
    for (size_t l = 0; l + PLAIN < count; l++) {
        (void)snprintf(names[l], sizeof names[l], "probability_level_%d",
                       zones->levels.list[l].level);
        (void)snprintf(about[l], sizeof about[l], "probability of at least %s (%g %s)",
                       zones->levels.list[l].name, zones->levels.list[l].value, units);
        variables[PLAIN + l] = (struct ncwrite_variable){
            .name = names[l], .units = "1", .long_name = about[l], .has_leads = true};
    }
    if (isnan(release->origin.latitude_deg)) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "a grid needs latitude_deg and longitude_deg in the release");
    }
    int rc = zones_grid(zones, &release->origin, &grid, ret_err);
    if (rc == 0) {
        struct ncwrite_header header = {.grid = grid,
                                        .reference_utc_us = utc_us,
                                        .lead_count = 1,
                                        .lead_s = &lead_s,
                                        .title = "Zones of a release",
                                        .source = "canhbao-model plume " CANHBAO_VERSION};
        rc = ncwriter_create(path, &header, variables, count, &writer, ret_err);
    }
    rc = rc != 0 ? rc : put_field(writer, 0, zones->value.density, ret_err);
    rc = rc != 0 ? rc : put_field(writer, 1, zones->mean, ret_err);
    rc = rc != 0 ? rc : put_field(writer, 2, zones->arrival_s, ret_err);
    for (size_t l = 0; rc == 0 && l + PLAIN < count; l++) {
        rc = put_field(writer, PLAIN + l, zones->probability + l * CELLS, ret_err);
    }
    if (rc == 0) {
        rc = ncwriter_finish(writer, ret_err);
    } else {
        ncwriter_destroy(writer);
    }
    grid_destroy(grid);
    return rc;
}
