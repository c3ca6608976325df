/* canhbao-model srs */
#include <jansson.h>
#include <math.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/dispersion/dispersion.h"
#include "models/dispersion/far_readings.h"
#include "models/dispersion/srs.h"
#include "models/output/output.h"
#include "models/table/args.h"

static const char about[] =
    "How much was released, when and from which of the candidate cells, from measurements far "
    "away\n"
    "and source-receptor sensitivities of a transport model (FLEXPART, HYSPLIT): regularised\n"
    "non-negative least squares, non-detections included. The regularisation decides much: run it\n"
    "with several --relative-error and look at the spread. The defaults of both errors were chosen "
    "on\n"
    "the Ru-106 readings of 2017: what they give for those is no independent test, and "
    "error_basis\n"
    "in the output says whose errors were taken.\n"
    "\n"
    "--srs   NetCDF: conc(obs), srs([cell,] obs, bin), perhaps lat and lon of the readings and\n"
    "        cell_lat, cell_lon; 0 is a non-detection, missing is left out. Results are in the "
    "unit\n"
    "        that srs is `per`.\n"
    "--out   JSON: cells [{cell, latitude_deg, longitude_deg, ln_evidence, probability, total,\n"
    "        total_sd}], best; of the best: total, total_sd, emission and sd of each bin, bins "
    "(those\n"
    "        with 1 % of the total or more), used, detections, fac2 and fac5 of the detections,\n"
    "        units of conc and srs as in the file, relative_error, absolute_error, error_basis\n"
    "--map   GeoJSON: each reading with conc and model (its place known: lat, lon), or each "
    "station\n"
    "\n"
    "Without sensitivities: --readings FILE.csv (start, duration_min, lat, lon, station, and a\n"
    "concentration with its unit, as pmch_pg_m3; 0: not seen), perhaps --stations FILE.csv "
    "(station,\n"
    "lat, lon) to check them: what was seen where and when. Nothing can be inverted from that "
    "alone,\n"
    "and \"inversion\" says so.\n";

static const char chosen_on[] = "defaults, chosen on the Ru-106 readings of 2017";
#define RELATIVE   1.0
#define CELLS_MAX  ((size_t)10000)
#define VALUES_MAX ((size_t)200000000)

struct input {
    size_t cells, observations, bins;
    double *reading, *sensitivity; /* [observations], [cells * observations * bins] */
    double *latitude, *longitude;  /* of the cells; NaN: not told */
    double *place[2];              /* latitude and longitude of the readings; NaN: not told */
    char reading_unit[128], sensitivity_unit[128];
};

struct options {
    const char *srs, *out, *map, *readings, *stations;
    double relative, absolute;
};

static int refuse(const char *path, const char *what, int status, struct err *ret_err) {
    return err_set(ret_err, ERR_CORRUPT, "%s: %s: %s", path, what, nc_strerror(status));
}

static void unit_of(int file, int variable, char *ret_text, size_t size) {
    size_t length = 0;
    ret_text[0] = '\0';
    if (nc_inq_attlen(file, variable, "units", &length) == NC_NOERR && length < size &&
        nc_get_att_text(file, variable, "units", ret_text) == NC_NOERR) {
        ret_text[length] = '\0';
    }
}

/* Reads a variable of `count` values, fill values as NaN. */
static int read_values(const char *path, int file, const char *name, size_t count,
                       double *ret_values, struct err *ret_err) {
    int id = -1;
    double fill = 0;
    int status = nc_inq_varid(file, name, &id);
    if (status != NC_NOERR) {
        return err_set(ret_err, ERR_NOT_FOUND, "%s: no variable %s", path, name);
    }
    status = nc_get_var_double(file, id, ret_values);
    if (status != NC_NOERR) {
        return refuse(path, name, status, ret_err);
    }
    bool filled = nc_get_att_double(file, id, "_FillValue", &fill) == NC_NOERR;

    for (size_t i = 0; i < count; i++) {
        if ((filled && ret_values[i] == fill) || fabs(ret_values[i]) > 1e30) {
            ret_values[i] = (double)NAN;
        }
    }
    return 0;
}

/* srs([cell,] obs, bin). */
static int read_shape(const char *path, int file, struct input *in, struct err *ret_err) {
    int id = -1, count = 0, dims[3] = {0};
    size_t length[3] = {1, 1, 1};
    int status = nc_inq_varid(file, "srs", &id);
    status = status != NC_NOERR ? status : nc_inq_varndims(file, id, &count);
    if (status != NC_NOERR || count < 2 || count > 3) {
        return err_set(ret_err, ERR_INVALID, "%s: srs([cell,] obs, bin) expected", path);
    }
    status = nc_inq_vardimid(file, id, dims);
    for (int i = 0; status == NC_NOERR && i < count; i++) {
        status = nc_inq_dimlen(file, dims[i], &length[i + 3 - count]);
    }
    if (status != NC_NOERR) {
        return refuse(path, "srs", status, ret_err);
    }
    in->cells = length[0];
    in->observations = length[1];
    in->bins = length[2];
    unit_of(file, id, in->sensitivity_unit, sizeof in->sensitivity_unit);
    if (in->cells == 0 || in->observations == 0 || in->bins == 0 || in->cells > CELLS_MAX ||
        in->observations > VALUES_MAX / in->cells / in->bins) {
        return err_set(ret_err, ERR_LIMIT, "%s: %zu cells, %zu readings, %zu bins", path, in->cells,
                       in->observations, in->bins);
    }
    int reading = -1, dimension = -1;
    size_t readings = 0;
    if (nc_inq_varid(file, "conc", &reading) != NC_NOERR ||
        nc_inq_varndims(file, reading, &count) != NC_NOERR || count != 1 ||
        nc_inq_vardimid(file, reading, &dimension) != NC_NOERR ||
        nc_inq_dimlen(file, dimension, &readings) != NC_NOERR || readings != in->observations) {
        return err_set(ret_err, ERR_INVALID, "%s: conc(obs) with the readings of srs expected",
                       path);
    }
    unit_of(file, reading, in->reading_unit, sizeof in->reading_unit);
    return 0;
}

static void input_finish(struct input *in) {
    free(in->reading);
    free(in->sensitivity);
    free(in->latitude);
    free(in->place[0]);
    *in = (struct input){0};
}

static int read_input(const char *path, struct input *ret_input, struct err *ret_err) {
    struct input in = {0};
    int file = -1;
    int status = nc_open(path, NC_NOWRITE, &file);
    if (status != NC_NOERR) {
        return err_set(ret_err, ERR_IO, "%s: %s", path, nc_strerror(status));
    }
    int rc = read_shape(path, file, &in, ret_err);
    if (rc == 0) {
        in.reading = calloc(in.observations, sizeof *in.reading);
        in.sensitivity = calloc(in.cells * in.observations * in.bins, sizeof *in.sensitivity);
        in.latitude = calloc(2 * in.cells, sizeof *in.latitude);
        in.longitude = in.latitude + in.cells;
        in.place[0] = calloc(2 * in.observations, sizeof *in.place[0]);
        in.place[1] = in.place[0] + in.observations;
        rc = in.reading == NULL || in.sensitivity == NULL || in.latitude == NULL ||
                     in.place[0] == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu sensitivities",
                           in.cells * in.observations * in.bins)
                 : 0;
    }
    rc = rc != 0 ? rc : read_values(path, file, "conc", in.observations, in.reading, ret_err);
    rc = rc != 0 ? rc
                 : read_values(path, file, "srs", in.cells * in.observations * in.bins,
                               in.sensitivity, ret_err);
    if (rc == 0 && (read_values(path, file, "cell_lat", in.cells, in.latitude, NULL) != 0 ||
                    read_values(path, file, "cell_lon", in.cells, in.longitude, NULL) != 0)) {
        for (size_t i = 0; i < 2 * in.cells; i++) {
            in.latitude[i] = (double)NAN; /* not told */
        }
    }
    if (rc == 0 && (read_values(path, file, "lat", in.observations, in.place[0], NULL) != 0 ||
                    read_values(path, file, "lon", in.observations, in.place[1], NULL) != 0)) {
        for (size_t i = 0; i < 2 * in.observations; i++) {
            in.place[0][i] = (double)NAN; /* not told */
        }
    }
    (void)nc_close(file); /* only read */
    if (rc != 0) {
        input_finish(&in);
        return rc;
    }
    *ret_input = in;
    return 0;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of the detections: at the edge of a cloud readings and a transport model differ by so
 * much, whatever the model says. */
static int default_absolute(const struct input *in, double *ret_absolute) {
    double *positive = calloc(in->observations, sizeof *positive);
    size_t count = 0;
    if (positive == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < in->observations; i++) {
        if (in->reading[i] > 0) {
            positive[count++] = in->reading[i];
        }
    }
    qsort(positive, count, sizeof *positive, compare);
    *ret_absolute = count > 0 ? positive[count / 2] : 1;
    free(positive);
    return 0;
}

static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *best_json(const struct input *in, const struct srs_result *r, size_t cell) {
    json_t *emission = json_array(), *sd = json_array(), *bins = json_array();
    double within2 = 0, within5 = 0, seen = 0;
    for (size_t k = 0; k < in->bins; k++) {
        json_array_append_new(emission, json_real(r->emission[k]));
        json_array_append_new(sd, json_real(r->sd[k]));
        if (r->emission[k] >= 0.01 * r->total) {
            json_array_append_new(bins, json_pack("{s:I,s:f,s:f}", "bin", (json_int_t)k, "emission",
                                                  r->emission[k], "sd", r->sd[k]));
        }
    }
    for (size_t i = 0; i < in->observations; i++) {
        if (in->reading[i] > 0) {
            double ratio = r->model[i] / in->reading[i];
            seen++;
            within2 += ratio >= 0.5 && ratio <= 2;
            within5 += ratio >= 0.2 && ratio <= 5;
        }
    }
    return json_pack("{s:I,s:f,s:f,s:I,s:I,s:f,s:f,s:o,s:o,s:o}", "cell", (json_int_t)cell, "total",
                     r->total, "total_sd", r->total_sd, "used", (json_int_t)r->used, "detections",
                     (json_int_t)r->detections, "fac2", within2 / seen, "fac5", within5 / seen,
                     "bins", bins, "emission", emission, "sd", sd);
}

/* Readings with known places, measured and modelled. */
static json_t *map_json(const struct input *in, const struct srs_result *r) {
    json_t *features = json_array();
    for (size_t i = 0; i < in->observations; i++) {
        double lat = in->place[0][i], lon = in->place[1][i];
        if (!isnan(lat) && !isnan(lon)) {
            json_array_append_new(
                features,
                json_pack("{s:s,s:{s:o,s:f,s:s},s:{s:s,s:[f,f]}}", "type", "Feature", "properties",
                          "conc", real_or_null(in->reading[i]), "model", r->model[i], "unit",
                          in->reading_unit, "geometry", "type", "Point", "coordinates", lon, lat));
        }
    }
    return json_pack("{s:s,s:o}", "type", "FeatureCollection", "features", features);
}

static int invert_cells(const struct options *o, const struct input *in, json_t *root,
                        json_t **ret_map, struct err *ret_err) {
    json_t *cells = json_array();
    double *evidence = calloc(in->cells, sizeof *evidence), top = -HUGE_VAL, sum = 0;
    int rc = evidence == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for cells") : 0;
    size_t told = 0;
    for (size_t c = 0; rc == 0 && c < in->cells; c++) {
        struct srs_problem p = {in->observations, in->bins,
                                in->reading,      in->sensitivity + c * in->observations * in->bins,
                                o->relative,      o->absolute};
        struct srs_result r = {0};
        struct err why = {0};
        rc = srs_invert(&p, &r, &why);
        evidence[c] = rc == 0 ? r.ln_evidence : -HUGE_VAL;
        if (rc == ERR_NOT_FOUND && in->cells > 1) { /* a cell that cannot have made the readings */
            rc = 0;
            continue;
        }
        if (rc != 0) {
            (void)err_set(ret_err, rc, "cell %zu: %s", c, why.text);
            break;
        }
        json_array_append_new(cells, json_pack("{s:I,s:o,s:o,s:f,s:f,s:f}", "cell", (json_int_t)c,
                                               "latitude_deg", real_or_null(in->latitude[c]),
                                               "longitude_deg", real_or_null(in->longitude[c]),
                                               "ln_evidence", r.ln_evidence, "total", r.total,
                                               "total_sd", r.total_sd));
        told++;
        if (r.ln_evidence > top) {
            top = r.ln_evidence;
            json_object_set_new(root, "best", best_json(in, &r, c));
            json_decref(*ret_map);
            *ret_map = map_json(in, &r);
        }
        srs_finish(&r);
    }
    if (rc == 0 && told == 0) {
        rc = err_set(ret_err, ERR_NOT_FOUND, "no cell can have made the readings");
    }
    for (size_t c = 0; rc == 0 && c < in->cells; c++) {
        sum += exp(evidence[c] - top);
    }
    for (size_t i = 0; rc == 0 && i < told; i++) {
        json_t *cell = json_array_get(cells, i);
        double own = json_number_value(json_object_get(cell, "ln_evidence"));
        json_object_set_new(cell, "probability", json_real(exp(own - top) / sum));
    }
    json_object_set_new(root, "cells", cells);
    free(evidence);
    return rc;
}

/* What was seen, without anything to invert it with. */
static int tell_readings(const struct options *o, struct err *ret_err) {
    json_t *report = NULL, *map = NULL;
    int rc = far_readings_report(o->readings, o->stations, &report, &map, ret_err);
    if (rc == 0) {
        (void)json_object_set_new(
            report, "inversion",
            json_pack("{s:s,s:s}", "status", "not possible", "why",
                      "the readings carry no source-receptor sensitivities and no wind: a source "
                      "needs one of them (--srs)")); /* told when written */
        rc = output_write_json(o->out, report, ret_err);
        rc = rc != 0 || o->map == NULL ? rc : output_write_json(o->map, map, ret_err);
        json_decref(report);
        json_decref(map);
    }
    return rc;
}

static int run(struct options *o, struct err *ret_err) {
    struct input in = {0};
    json_t *map = NULL;
    if ((o->srs == NULL) == (o->readings == NULL) || (o->srs != NULL && o->stations != NULL)) {
        return err_set(ret_err, ERR_INVALID, "--srs, or --readings with perhaps --stations");
    }
    if (o->readings != NULL) {
        return tell_readings(o, ret_err);
    }
    bool told = o->relative > 0 && o->absolute > 0;
    o->relative = o->relative > 0 ? o->relative : RELATIVE;
    int rc = read_input(o->srs, &in, ret_err);
    if (rc == 0 && !(o->absolute > 0)) {
        rc = default_absolute(&in, &o->absolute);
    }
    if (rc == 0) {
        json_t *root =
            json_pack("{s:s,s:s,s:f,s:f,s:s}", "unit_of_readings", in.reading_unit, "unit_of_srs",
                      in.sensitivity_unit, "relative_error", o->relative, "absolute_error",
                      o->absolute, "error_basis", told ? "told" : chosen_on);
        rc = root == NULL ? err_set(ret_err, ERR_INVALID, "units that are no text")
                          : invert_cells(o, &in, root, &map, ret_err);
        rc = rc != 0 ? rc : output_write_json(o->out, root, ret_err);
        rc = rc != 0 || o->map == NULL ? rc : output_write_json(o->map, map, ret_err);
        json_decref(root);
        json_decref(map);
    }
    input_finish(&in);
    return rc;
}

static int run_srs(int argc, char **argv) {
    struct options o = {0};
    const struct args_option options[] = {
        {"srs", ARGS_TEXT, &o.srs, false, 0, 0, "FILE.nc", "readings and sensitivities"},
        {"readings", ARGS_TEXT, &o.readings, false, 0, 0, "FILE.csv", "readings without them"},
        {"stations", ARGS_TEXT, &o.stations, false, 0, 0, "FILE.csv", "where they may be from"},
        {"out", ARGS_TEXT, &o.out, true, 0, 0, "FILE.json", "emission by cell and time"},
        {"map", ARGS_TEXT, &o.map, false, 0, 0, "FILE.geojson", "readings for maps"},
        {"relative-error", ARGS_NUMBER, &o.relative, false, 0.01, 3, "SHARE",
         "of reading and model (1: transport models hit a factor 2 to 3 far away)"},
        {"absolute-error", ARGS_NUMBER, &o.absolute, false, 1e-12, 1e12, "VALUE",
         "in the unit of conc (median of the detections)"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && run(&o, &err) != 0) {
        code = model_exit_of(argv[0], &err);
    }
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_srs = {"srs", "emission from far measurements and sensitivities (NetCDF)",
                                run_srs};
