/* canhbao-model trace */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/dispersion/dispersion.h"
#include "models/dispersion/gas.h"
#include "models/dispersion/readings.h"
#include "models/dispersion/trace.h"
#include "models/dispersion/trace_report.h"
#include "models/dispersion/weather_field.h"
#include "models/output/output.h"
#include "models/table/args.h"

#define POINT_M      1.5
#define TURN_DEG_MAX 30.0
#define PI           3.14159265358979323846

static const char about[] =
    "Where a steady release comes from: place, rate and number of sources with 50 and 90 % "
    "regions,\n"
    "from readings of several sensors in one steady wind (Bayesian; grid, Nelder and Mead, four\n"
    "Metropolis chains; one against two sources by their evidence).\n"
    "\n"
    "READINGS.csv x_east_m, y_north_m, and one of conc_mg_m3, conc_ug_m3, conc_ppm, conc_ppb (the\n"
    "             last two with --substance or --molar-mass, --temperature-c, --pressure-hpa): 0 "
    "is\n"
    "             used, empty is left out; z_m or receptor_height_m (1.5 m without); time (UTC;\n"
    "             rows of one place are averaged from the first sight of the plume on, and the\n"
    "             start of the release is told)\n"
    "WEATHER      as of `plume`, CSV or NetCDF (.nc); several rows are averaged and refused when\n"
    "             the wind turns by more than 30 degrees. A field is taken at the middle of the\n"
    "             sensors.\n"
    "CATALOGUE.csv id, x_east_m, y_north_m, name: sites that are ranked as the source\n"
    "POINTS.csv   id, x_east_m, y_north_m, name, reachable (yes, no), travel_min: places for the\n"
    "             next reading (without: a grid about the plume)\n"
    "OUT.json     status (ok; not enough data: below three sensors above the detection limit; not\n"
    "             settled: r_hat above 1.05), why, sensors, informative, detection_limit_mg_m3;\n"
    "             of the first source: x_east_m, y_north_m, Q_g_s, Q_p05_g_s, Q_p95_g_s, start\n"
    "             (null without times), region50 and region90: area_m2 and rings ([[x, y], ...],\n"
    "             closed; outer ones counter-clockwise, holes clockwise; metres as in the input);\n"
    "             sources: the same of each; source_count, two_over_one (probability of two\n"
    "             against one; null: fewer than six sensors see something); wind_error_deg, "
    "r_hat,\n"
    "             at_edge (the search ended at its limit: the source may be farther),\n"
    "             doubtful_sensors (4 sigmas off or more); candidates (share among the sites, "
    "were\n"
    "             it one of them; inside50, inside90, distance_m); measure_next: five points,\n"
    "             reachable ones first, with expected_region_left, the share of the region that a\n"
    "             reading there is expected to leave.\n";

struct options {
    const char *readings, *out, *catalogue, *points, *substance;
    struct weather_choice weather;
    double detection_mg_m3, source_height_m;
    int64_t sources_max;
    struct readings_air air;
};

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

/* The weather in the middle of the sensors. */
static int read_weather(const struct options *o, const struct readings *readings,
                        struct weather *ret_weather, struct err *ret_err) {
    double x = 0, y = 0;
    for (size_t i = 0; i < readings->count; i++) {
        x += readings->sensors[i].x_m / (double)readings->count;
        y += readings->sensors[i].y_m / (double)readings->count;
    }
    return weather_open(&o->weather, x, y, ret_weather, ret_err);
}

static int search(const struct options *o, struct trace_problem *p, const struct readings *readings,
                  const struct trace_places *catalogue, const struct trace_places *points,
                  struct err *ret_err) {
    struct trace_result result = {0};
    struct err why = {0};
    json_t *root = NULL;
    p->points = calloc(points->count + 1, sizeof *p->points);
    if (p->points == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for points");
    }
    p->point_count = points->count;
    for (size_t i = 0; i < points->count; i++) {
        p->points[i] = (struct trace_point){points->list[i].x_m, points->list[i].y_m, 1};
    }
    int rc = trace_run(p, &result, &why);
    if (rc == 0) {
        root = trace_report(p, readings, &result, catalogue, points);
        rc = output_write_json(o->out, root, ret_err);
    } else if (rc == ERR_NOT_FOUND) {
        root = json_pack("{s:s,s:s,s:f}", "status", "not enough data", "why", why.text,
                         "detection_limit_mg_m3", p->detection_limit);
        rc = output_write_json(o->out, root, ret_err);
    } else {
        rc = err_set(ret_err, rc, "%s", why.text);
    }
    json_decref(root);
    trace_finish(&result);
    free(p->points);
    p->points = NULL;
    return rc;
}

static int take_gas(struct options *o, struct err *ret_err) {
    if (o->substance == NULL) {
        return 0;
    }
    const struct gas *gas = gas_find(o->substance);
    if (gas == NULL) {
        return err_set(ret_err, ERR_NOT_FOUND, "substance '%s' is not in the table", o->substance);
    }
    o->air.molar_mass_g_mol = gas->molar_mass_g_mol;
    return 0;
}

static int run(struct options *o, struct err *ret_err) {
    struct weather weather = {0};
    struct weather_row row;
    struct readings readings = {0};
    struct trace_places catalogue = {0}, points = {0};
    struct trace_problem p = {.source_height_m = o->source_height_m,
                              .sigma_log = TRACE_SIGMA_LOG,
                              .wind_sd_deg = TRACE_WIND_SD_DEG,
                              .width_sd_log = TRACE_WIDTH_SD_LOG,
                              .sources_max = (size_t)o->sources_max,
                              .point_z_m = POINT_M,
                              .seed = 1};
    int rc = take_gas(o, ret_err);
    rc = rc != 0 ? rc : readings_read(o->readings, &o->air, o->detection_mg_m3, &readings, ret_err);
    rc = rc != 0 ? rc : read_weather(o, &readings, &weather, ret_err);
    rc = rc != 0 ? rc : steady(&weather, &row, ret_err);
    rc = rc != 0
             ? rc
             : weather_air(&row, WEATHER_AUTO, PLUME_RURAL, o->source_height_m, &p.air, ret_err);
    rc = rc != 0 ? rc : trace_places_read(o->catalogue, &catalogue, ret_err);
    rc = rc != 0             ? rc
         : o->points != NULL ? trace_places_read(o->points, &points, ret_err)
                             : trace_places_around(&readings, &p.air, &points, ret_err);
    if (rc == 0) {
        p.sensors = readings.sensors;
        p.count = readings.count;
        p.detection_limit = readings.detection_mg_m3;
        p.floor = TRACE_FLOOR * p.detection_limit;
        rc = search(o, &p, &readings, &catalogue, &points, ret_err);
    }
    trace_places_finish(&catalogue);
    trace_places_finish(&points);
    weather_finish(&weather);
    readings_finish(&readings);
    return rc;
}

static int run_trace(int argc, char **argv) {
    const double nan = (double)NAN;
    struct options o = {.source_height_m = 0.5,
                        .sources_max = 2,
                        .air = {nan, nan, nan},
                        .weather = {NULL, NULL, 10, {nan, nan}}};
    const struct args_option options[] = {
        {"readings", ARGS_TEXT, &o.readings, true, 0, 0, "FILE.csv", "what the sensors told"},
        {"weather", ARGS_TEXT, &o.weather.path, true, 0, 0, "FILE.csv|nc", "wind and stability"},
        {"out", ARGS_TEXT, &o.out, true, 0, 0, "FILE.json", "place, rate and regions"},
        {"catalogue", ARGS_TEXT, &o.catalogue, false, 0, 0, "FILE.csv", "sites to be ranked"},
        {"points", ARGS_TEXT, &o.points, false, 0, 0, "FILE.csv", "where could be measured next"},
        {"detection-limit", ARGS_NUMBER, &o.detection_mg_m3, false, 1e-9, 1e6, "MG_M3",
         "readings above it are informative (the smaller of 0.1 and 5 % of the largest)"},
        {"source-height", ARGS_NUMBER, &o.source_height_m, false, 0, 200, "M",
         "height of the source above ground (0.5)"},
        {"sources-max", ARGS_INT, &o.sources_max, false, 1, 2, "N", "1 or 2 (2)"},
        {"class", ARGS_TEXT, &o.weather.class_text, false, 0, 0, "A..F",
         "class where the weather tells none"},
        {"latitude-deg", ARGS_NUMBER, &o.weather.origin.latitude_deg, false, -89, 89, "DEG",
         "of x = 0, y = 0, for a wind on a map"},
        {"longitude-deg", ARGS_NUMBER, &o.weather.origin.longitude_deg, false, -180, 180, "DEG",
         "the same"},
        {"wind-height-m", ARGS_NUMBER, &o.weather.wind_height_m, false, 0.1, 1000, "M",
         "height of a NetCDF wind (10)"},
        {"substance", ARGS_TEXT, &o.substance, false, 0, 0, "NAME", "as Cl2: its molar mass"},
        {"molar-mass", ARGS_NUMBER, &o.air.molar_mass_g_mol, false, 1, 500, "G_MOL",
         "for readings in ppm or ppb"},
        {"temperature-c", ARGS_NUMBER, &o.air.temperature_c, false, -60, 60, "DEG_C",
         "of the air, for the same"},
        {"pressure-hpa", ARGS_NUMBER, &o.air.pressure_hpa, false, 500, 1100, "HPA",
         "of the air, for the same"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && run(&o, &err) != 0) {
        code = model_exit_of(argv[0], &err);
    }
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_trace = {"trace", "where a release comes from, with its uncertainty",
                                  run_trace};
