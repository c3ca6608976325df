/* canhbao-model regional */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "models/hydrology/hydrology.h"
#include "models/hydrology/regional.h"
#include "models/hydrology/series.h"
#include "models/output/output.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

static const char about[] =
    "A first guess of GR parameters for a basin without (enough) discharge, from donors.\n"
    "\n"
    "donors, CSV:  X1 (mm), X2 (mm/d), X3 (mm) and X4 (d) of GR4J; or X4u instead of X4, with\n"
    "              --area-km2: X4 = X4u A^0.3 / 5.995 (Andreassian et al. 2014)\n"
    "forcing, CSV: time, P, E, Qobs (mm per step, may be nearly all empty): the donor that fits\n"
    "              at least 10 observations best; without it each parameter's median\n"
    "out, JSON:    as calibrate writes it, with \"regional\": true, how it was chosen and the\n"
    "              range of the donors; a guess until calibrate has a record\n"
    "--step hourly makes GR4H parameters of the daily donors.\n";

struct run {
    const char *step, *donors, *forcing, *q_column, *out, *manifest;
    double area_km2;
    int64_t warmup_steps;
    struct table *table;
    struct series series;
    size_t count;
    struct gr_parameters sets[REGIONAL_DONORS_MAX];
};

static int read_column(const struct run *run, const char *name, double min, double max,
                       double *ret_values, struct err *ret_err) {
    size_t column = 0;
    int rc = table_find(run->table, name, &column, ret_err);
    rc = rc != 0 ? rc : table_numbers(run->table, column, min, max, ret_values, ret_err);
    for (size_t i = 0; rc == 0 && i < run->count; i++) {
        if (isnan(ret_values[i])) {
            rc = table_refuse(run->table, i, column, ERR_INVALID, ret_err, "a number is missing");
        }
    }
    return rc;
}

static int read_donors(struct run *run, struct err *ret_err) {
    double x[4][REGIONAL_DONORS_MAX];
    int rc = table_read(run->donors, &run->table, ret_err);
    if (rc != 0) {
        return rc;
    }
    run->count = table_rows(run->table);
    if (run->count == 0 || run->count > REGIONAL_DONORS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "%.200s: %zu donors; 1 to %d expected", run->donors,
                       run->count, REGIONAL_DONORS_MAX);
    }
    bool by_area = !table_has(run->table, "X4") && table_has(run->table, "X4u");
    if (by_area && isnan(run->area_km2)) {
        return err_set(ret_err, ERR_INVALID, "%.200s: X4u needs --area-km2", run->donors);
    }
    rc = read_column(run, "X1", 1e-2, 1e5, x[0], ret_err);
    rc = rc != 0 ? rc : read_column(run, "X2", -1e3, 1e3, x[1], ret_err);
    rc = rc != 0 ? rc : read_column(run, "X3", 1e-2, 1e5, x[2], ret_err);
    rc = rc != 0 ? rc : read_column(run, by_area ? "X4u" : "X4", 1e-3, 100, x[3], ret_err);
    for (size_t i = 0; rc == 0 && i < run->count; i++) {
        double x4 = by_area ? x[3][i] * pow(run->area_km2, 0.3) / 5.995 : x[3][i];
        struct gr_parameters daily = {x[0][i], x[1][i], x[2][i], x4};
        run->sets[i] = strcmp(run->step, "daily") == 0 ? daily : regional_hourly(&daily);
        run->sets[i].x4 = fmax(0.5, run->sets[i].x4); /* GR's lower bound */
    }
    return rc;
}

static json_t *range_of(const struct run *run) {
    struct gr_parameters low = run->sets[0], high = run->sets[0];
    for (size_t i = 1; i < run->count; i++) {
        const struct gr_parameters *p = &run->sets[i];
        low = (struct gr_parameters){fmin(low.x1_mm, p->x1_mm), fmin(low.x2_mm, p->x2_mm),
                                     fmin(low.x3_mm, p->x3_mm), fmin(low.x4, p->x4)};
        high = (struct gr_parameters){fmax(high.x1_mm, p->x1_mm), fmax(high.x2_mm, p->x2_mm),
                                      fmax(high.x3_mm, p->x3_mm), fmax(high.x4, p->x4)};
    }
    return json_pack("{s:[f,f], s:[f,f], s:[f,f], s:[f,f]}", "x1_mm", low.x1_mm, high.x1_mm,
                     "x2_mm", low.x2_mm, high.x2_mm, "x3_mm", low.x3_mm, high.x3_mm, "x4", low.x4,
                     high.x4);
}

static int write_out(const struct run *run, const struct gr_parameters *p, const char *method,
                     json_t *choice, struct err *ret_err) {
    char hash[HASH_TEXT_SIZE] = "";
    if (hash_file(run->donors, hash) != 0) {
        json_decref(choice);
        return err_set(ret_err, ERR_IO, "%.200s: cannot read", run->donors);
    }
    json_t *root = json_pack(
        "{s:s, s:{s:f, s:f, s:f, s:f}, s:b, s:b, s:s, s:o, s:o, s:{s:s, s:s, s:I, s:s}}", "model",
        strcmp(run->step, "daily") == 0 ? "gr4j" : "gr4h", "parameters", "x1_mm", p->x1_mm, "x2_mm",
        p->x2_mm, "x3_mm", p->x3_mm, "x4", p->x4, "regional", 1, "provisional", 1, "method", method,
        "choice", choice, "range", range_of(run), "provenance", "donors",
        output_base_name(run->donors), "donors_sha256", hash, "donor_count", (json_int_t)run->count,
        "program", "canhbao-model " CANHBAO_VERSION);
    int rc = output_write_json(run->out, root, ret_err);
    json_decref(root);
    if (rc == 0) {
        fprintf(stderr, "regional first guess (%s): x1 %.6g, x2 %.6g, x3 %.6g, x4 %.6g\n", method,
                p->x1_mm, p->x2_mm, p->x3_mm, p->x4);
    }
    return rc;
}

static int work(struct run *run, struct err *ret_err) {
    bool daily = strcmp(run->step, "daily") == 0;
    const struct series_column columns[] = {
        {"P", 0, 2000, 0}, {"E", 0, 200, 0}, {run->q_column, 0, 2000, 0}};
    int rc = read_donors(run, ret_err);
    if (rc == 0 && run->forcing == NULL) {
        struct gr_parameters median = regional_median(run->sets, run->count);
        return write_out(run, &median, "median of the donors", json_null(), ret_err);
    }
    rc = rc != 0 ? rc
                 : series_read(run->forcing, daily ? INT64_C(86400000000) : INT64_C(3600000000),
                               columns, 3, &run->series, ret_err);
    if (rc != 0) {
        return rc;
    }
    const struct calibrate_data data = {
        daily ? GR_DAILY : GR_HOURLY, run->series.count, series_column(&run->series, 0),
        series_column(&run->series, 1), series_column(&run->series, 2)};
    size_t donor = 0, pairs = 0;
    double score = 0;
    rc = regional_best(&data, run->sets, run->count, (size_t)run->warmup_steps, &donor, &score,
                       &pairs, ret_err);
    return rc != 0
               ? rc
               : write_out(run, &run->sets[donor], "donor that fits the observations best",
                           json_pack("{s:I, s:f, s:I}", "donor_row", (json_int_t)donor + 1,
                                     "score_of_roots", score, "observations", (json_int_t)pairs),
                           ret_err);
}

static int run_regional(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return MODEL_FAILED;
    }
    run->q_column = "Qobs";
    run->area_km2 = NAN;
    const struct args_option options[] = {
        {"step", ARGS_TEXT, &run->step, true, 0, 0, "daily|hourly", "GR4J or GR4H"},
        {"donors", ARGS_TEXT, &run->donors, true, 0, 0, "FILE.csv", "parameter sets"},
        {"area-km2", ARGS_NUMBER, &run->area_km2, false, 1e-3, 1e7, "KM2", "of the basin"},
        {"forcing", ARGS_TEXT, &run->forcing, false, 0, 0, "FILE.csv", "a few observations"},
        {"q-column", ARGS_TEXT, &run->q_column, false, 0, 0, "NAME", "instead of Qobs"},
        {"warmup-steps", ARGS_INT, &run->warmup_steps, false, 0, 1e7, "N",
         "steps of the forcing that do not count, 0 unless told"},
        {"manifest", ARGS_TEXT, &run->manifest, false, 0, 0, "FILE.json", "run manifest"},
        {"out", ARGS_TEXT, &run->out, true, 0, 0, "FILE.json", "parameters, - for stdout"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && strcmp(run->step, "daily") != 0 && strcmp(run->step, "hourly") != 0) {
        fprintf(stderr, "canhbao-model regional: --step: expected daily or hourly, got '%s'\n",
                run->step);
        code = MODEL_USAGE;
    }
    if (code == MODEL_DONE &&
        (work(run, &err) != 0 ||
         run_manifest_write(run->manifest, "regional", options, RUN_MANIFEST_NO_TIME, &err) != 0)) {
        code = model_exit_of(argv[0], &err);
    }
    series_finish(&run->series);
    table_destroy(run->table);
    free(run);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_regional = {
    "regional", "first guess of GR parameters for an ungauged basin (CSV)", run_regional};
