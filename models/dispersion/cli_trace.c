/* canhbao-model trace */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/dispersion/dispersion.h"
#include "models/dispersion/trace.h"
#include "models/table/args.h"
#include "models/table/table.h"

#define RECEPTOR_M    1.5
#define TURN_DEG_MAX  30.0
#define DETECTION_MAX 0.1  /* mg/m3 */
#define DETECTION_OF  0.05 /* of the largest reading */
#define PI            3.14159265358979323846

static const char about[] =
    "Where a steady release comes from: place and rate with 50 and 90 % regions, from readings of\n"
    "several sensors in one steady wind (Bayesian; grid, Nelder and Mead, four Metropolis "
    "chains).\n"
    "\n"
    "READINGS.csv x_east_m, y_north_m, conc_mg_m3 (0 is used, empty is left out), z_m or\n"
    "             receptor_height_m (1.5 m without)\n"
    "WEATHER.csv  as of `plume`; several rows are averaged and refused when the wind turns by "
    "more\n"
    "             than 30 degrees. NetCDF wind is not read yet.\n"
    "OUT.json     status (ok; not enough data: below three sensors above the detection limit; not\n"
    "             settled: r_hat above 1.05), why, sensors, informative, detection_limit_mg_m3,\n"
    "             x_east_m, y_north_m, Q_g_s, Q_p05_g_s, Q_p95_g_s, wind_error_deg, r_hat,\n"
    "             at_edge (the search ended at its limit: the source may be farther),\n"
    "             region50 and region90: area_m2 and rings ([[x, y], ...], closed; outer ones\n"
    "             counter-clockwise, holes clockwise; metres as in the input)\n";

struct options {
    const char *readings, *weather, *out;
    double detection_mg_m3, source_height_m;
};

static int read_sensors(const char *path, struct trace_sensor **ret_sensors, size_t *ret_count,
                        double *ret_top, struct err *ret_err) {
    static const char *const names[] = {"x_east_m", "y_north_m", "conc_mg_m3"};
    struct table *table = NULL;
    int rc = table_read(path, &table, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t count = table_rows(table), column[4] = {0};
    const char *height = table_has(table, "z_m") ? "z_m" : "receptor_height_m";
    struct trace_sensor *sensors = calloc(count + 1, sizeof *sensors);
    double *v = calloc(4 * count + 1, sizeof *v);
    rc = sensors == NULL || v == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for readings") : 0;
    for (size_t c = 0; rc == 0 && c < 3; c++) {
        rc = table_find(table, names[c], &column[c], ret_err);
        rc = rc != 0 ? rc
                     : table_numbers(table, column[c], c == 2 ? 0 : -1e7, c == 2 ? 1e9 : 1e7,
                                     v + c * count, ret_err);
    }
    bool has_z = table_has(table, height);
    if (rc == 0 && has_z) {
        rc = table_find(table, height, &column[3], ret_err);
        rc = rc != 0 ? rc : table_numbers(table, column[3], 0, 5000, v + 3 * count, ret_err);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        sensors[i] = (struct trace_sensor){v[i], v[count + i],
                                           has_z ? v[3 * count + i] : RECEPTOR_M, v[2 * count + i]};
        *ret_top = fmax(*ret_top, v[2 * count + i]);
        if (isnan(v[i]) || isnan(v[count + i]) || isnan(sensors[i].z_m)) {
            rc = table_refuse(table, i, column[0], ERR_INVALID, ret_err,
                              "a sensor needs a place and a height");
        }
    }
    free(v);
    table_destroy(table);
    if (rc != 0) {
        free(sensors);
        return rc;
    }
    *ret_sensors = sensors;
    *ret_count = count;
    return 0;
}

/* One row that stands for all: the mean vector of the wind, the first row's rest. */
static int steady(const struct weather *weather, struct weather_row *ret_row, struct err *ret_err) {
    double east = 0, north = 0;
    for (size_t i = 0; i < weather->count; i++) {
        double a = weather->rows[i].wind_from_deg * PI / 180;
        east += weather->rows[i].wind_m_s * sin(a) / (double)weather->count;
        north += weather->rows[i].wind_m_s * cos(a) / (double)weather->count;
    }
    *ret_row = weather->rows[0];
    ret_row->wind_m_s = hypot(east, north);
    ret_row->wind_from_deg = fmod(atan2(east, north) * 180 / PI + 360, 360);
    for (size_t i = 0; i < weather->count; i++) {
        double turn = fabs(remainder(weather->rows[i].wind_from_deg - ret_row->wind_from_deg, 360));
        if (turn > TURN_DEG_MAX) {
            return err_set(ret_err, ERR_UNSUPPORTED,
                           "the wind turns by %.0f degrees: readings in one steady wind are needed",
                           turn);
        }
    }
    return 0;
}

static int put_region(json_t *root, const char *name, const struct region *region, double share,
                      struct err *ret_err) {
    struct region_rings rings = {0};
    double level = 0;
    if (region_level(region, share, &level) != 0 || region_outline(region, level, &rings) != 0) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a region");
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
    json_t *object =
        json_pack("{s:f,s:o}", "area_m2", region_area_m2(region, level), "rings", list);
    return json_object_set_new(root, name, object) == 0
               ? 0
               : err_set(ret_err, ERR_MEMORY, "no memory for a region");
}

static int write_json(const char *path, const json_t *root, struct err *ret_err) {
    struct table_out out;
    int rc = table_out_open(&out, path, ret_err);
    if (rc != 0) {
        return rc;
    }
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    if (text == NULL || fputs(text, out.file) < 0 || fputc('\n', out.file) == EOF) {
        out.failed = true;
    }
    free(text);
    return table_out_close(&out, true, ret_err);
}

static int tell(const struct options *o, const struct trace_problem *p,
                const struct trace_result *r, struct err *ret_err) {
    json_t *root = json_pack(
        "{s:s,s:I,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:b}", "status",
        r->r_hat > 1.05 ? "not settled" : "ok", "sensors", (json_int_t)r->used, "informative",
        (json_int_t)r->informative, "detection_limit_mg_m3", p->detection_limit, "x_east_m",
        r->source[0].x_m, "y_north_m", r->source[0].y_m, "Q_g_s", r->source[0].rate / 1e3,
        "Q_p05_g_s", r->source[0].rate_p05 / 1e3, "Q_p95_g_s", r->source[0].rate_p95 / 1e3,
        "wind_error_deg", r->wind_deg, "r_hat", r->r_hat, "at_edge", (int)r->at_edge);
    int rc = root == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for the result") : 0;
    rc = rc != 0 ? rc : put_region(root, "region50", &r->source[0].region, 0.5, ret_err);
    rc = rc != 0 ? rc : put_region(root, "region90", &r->source[0].region, 0.9, ret_err);
    rc = rc != 0 ? rc : write_json(o->out, root, ret_err);
    json_decref(root);
    return rc;
}

static int run(const struct options *o, struct err *ret_err) {
    struct weather weather = {0};
    struct weather_row row;
    struct trace_sensor *sensors = NULL;
    struct trace_result result = {0};
    double top = 0;
    struct trace_problem p = {.source_height_m = o->source_height_m,
                              .sigma_log = TRACE_SIGMA_LOG,
                              .wind_sd_deg = TRACE_WIND_SD_DEG,
                              .width_sd_log = TRACE_WIDTH_SD_LOG,
                              .sources_max = 1,
                              .seed = 1};
    size_t length = strlen(o->weather);
    if (length > 3 && strcmp(o->weather + length - 3, ".nc") == 0) {
        return err_set(ret_err, ERR_UNSUPPORTED, "%s: NetCDF wind is not supported yet; use CSV",
                       o->weather);
    }
    int rc = read_sensors(o->readings, &sensors, &p.count, &top, ret_err);
    rc = rc != 0 ? rc : weather_read(o->weather, &weather, ret_err);
    rc = rc != 0 ? rc : steady(&weather, &row, ret_err);
    rc = rc != 0
             ? rc
             : weather_air(&row, WEATHER_AUTO, PLUME_RURAL, o->source_height_m, &p.air, ret_err);
    if (rc == 0) {
        p.sensors = sensors;
        p.detection_limit = o->detection_mg_m3 > 0 ? o->detection_mg_m3
                            : top > 0              ? fmin(DETECTION_MAX, DETECTION_OF * top)
                                                   : DETECTION_MAX;
        p.floor = TRACE_FLOOR * p.detection_limit;
        struct err why = {0};
        rc = trace_run(&p, &result, &why);
        if (rc == 0) {
            rc = tell(o, &p, &result, ret_err);
        } else if (rc == ERR_NOT_FOUND) {
            json_t *root = json_pack("{s:s,s:s,s:f}", "status", "not enough data", "why", why.text,
                                     "detection_limit_mg_m3", p.detection_limit);
            rc = root == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for the result")
                              : write_json(o->out, root, ret_err);
            json_decref(root);
        } else {
            rc = err_set(ret_err, rc, "%s", why.text);
        }
    }
    trace_finish(&result);
    weather_finish(&weather);
    free(sensors);
    return rc;
}

static int run_trace(int argc, char **argv) {
    struct options o = {.source_height_m = 0.5};
    const struct args_option options[] = {
        {"readings", ARGS_TEXT, &o.readings, true, 0, 0, "FILE.csv", "what the sensors told"},
        {"weather", ARGS_TEXT, &o.weather, true, 0, 0, "FILE.csv", "wind and stability"},
        {"out", ARGS_TEXT, &o.out, true, 0, 0, "FILE.json", "place, rate and regions"},
        {"detection-limit", ARGS_NUMBER, &o.detection_mg_m3, false, 1e-9, 1e6, "MG_M3",
         "readings above it are informative (the smaller of 0.1 and 5 % of the largest)"},
        {"source-height", ARGS_NUMBER, &o.source_height_m, false, 0, 200, "M",
         "height of the source above ground (0.5)"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && run(&o, &err) != 0) {
        code = model_exit_of(argv[0], &err);
    }
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_trace = {"trace", "where a release comes from, with its uncertainty (CSV)",
                                  run_trace};
