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
    "forcing, CSV: time, P, E (mm per step) of the basin, and if there are any Qobs (mm per step,\n"
    "              may be nearly all empty), steps without a break\n"
    "out, JSON:    as calibrate writes it, with \"regional\": true, how it was chosen and the\n"
    "              range of the donors; a guess until calibrate has a record\n"
    "\n"
    "With at least 10 observations: the donor that fits them best. Else with a forcing of at\n"
    "least a year: the 5 donors whose mean runoff under that climate is nearest to the expected\n"
    "one (--runoff-mm, else by Turc and Mezentsev from P and E), and parameters that give the\n"
    "mean of their runoffs. Without a forcing: each parameter's median, the poorest guess.\n"
    "--step hourly makes GR4H parameters of the daily donors.\n";

struct run {
    const char *step, *donors, *forcing, *q_column, *out, *manifest;
    double area_km2, runoff_mm_year; /* NaN: not told */
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
    if (!by_area && !isnan(run->area_km2)) {
        fprintf(stderr, "%.200s: the donors have X4, so --area-km2 is not looked at\n",
                run->donors);
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

static size_t count_known(const double *values, size_t from, size_t to) {
    size_t known = 0;
    for (size_t t = from; t < to; t++) {
        known += isnan(values[t]) ? 0 : 1;
    }
    return known;
}

static int by_observations(const struct run *run, const struct calibrate_data *data,
                           struct err *ret_err) {
    size_t donor = 0, pairs = 0;
    double score = 0;
    int rc = err_of(run->forcing,
                    regional_best(data, run->sets, run->count, (size_t)run->warmup_steps, &donor,
                                  &score, &pairs, ret_err),
                    ret_err);
    return rc != 0
               ? rc
               : write_out(run, &run->sets[donor], "donor that fits the observations best",
                           json_pack("{s:I, s:f, s:I}", "donor_row", (json_int_t)donor + 1,
                                     "score_of_roots", score, "observations", (json_int_t)pairs),
                           ret_err);
}

static int by_climate(const struct run *run, const struct calibrate_data *data,
                      struct err *ret_err) {
    struct regional_similar similar;
    int rc = err_of(run->forcing,
                    regional_similar(data, run->sets, run->count, (size_t)run->warmup_steps,
                                     run->runoff_mm_year, &similar, ret_err),
                    ret_err);
    if (rc != 0) {
        return rc;
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < similar.donor_count; i++) {
        (void)json_array_append_new(rows, json_integer((json_int_t)similar.donors[i] + 1));
    }
    return write_out(run, &similar.parameters, "mean runoff of the donors nearest in annual runoff",
                     json_pack("{s:o, s:f, s:s, s:f}", "donor_rows", rows, "runoff_mm_year",
                               similar.runoff_mm_year, "runoff_from",
                               isnan(run->runoff_mm_year) ? "Turc-Mezentsev" : "told", "fit_nse",
                               similar.fit_nse),
                     ret_err);
}

static int work(struct run *run, struct err *ret_err) {
    bool daily = strcmp(run->step, "daily") == 0;
    const struct series_column columns[] = {
        {"P", 0, 2000, 0},
        {"E", 0, 200, 0},
        {run->q_column != NULL ? run->q_column : "Qobs", 0, 2000, run->q_column == NULL}};
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
    bool observed =
        count_known(data.observed_mm, (size_t)run->warmup_steps, data.count) >= REGIONAL_PAIRS_MIN;
    return observed && isnan(run->runoff_mm_year) ? by_observations(run, &data, ret_err)
                                                  : by_climate(run, &data, ret_err);
}

static int run_regional(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return MODEL_FAILED;
    }
    run->area_km2 = run->runoff_mm_year = NAN;
    const struct args_option options[] = {
        {"step", ARGS_TEXT, &run->step, true, 0, 0, "daily|hourly", "GR4J or GR4H"},
        {"donors", ARGS_TEXT, &run->donors, true, 0, 0, "FILE.csv", "parameter sets"},
        {"area-km2", ARGS_NUMBER, &run->area_km2, false, 1e-3, 1e7, "KM2", "of the basin"},
        {"forcing", ARGS_TEXT, &run->forcing, false, 0, 0, "FILE.csv", "climate, observations"},
        {"runoff-mm", ARGS_NUMBER, &run->runoff_mm_year, false, 1, 2e4, "MM",
         "mean runoff of a year, of a map or of neighbours; then no observation is looked at"},
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
    if (code == MODEL_DONE) {
        code = run->forcing == NULL
                   ? args_check_way(argc, argv, options, "no --forcing", "", "area-km2")
               : isnan(run->runoff_mm_year)
                   ? args_check_way(argc, argv, options, "--forcing", "forcing",
                                    "area-km2 q-column warmup-steps")
                   : args_check_way(argc, argv, options, "--runoff-mm", "forcing runoff-mm",
                                    "area-km2 warmup-steps");
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
