/* canhbao-model crest and hbv: the water balance of one cell or catchment from a table. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/crest.h"
#include "models/hydrology/hbv.h"
#include "models/hydrology/hydrology.h"
#include "models/hydrology/series.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

static const char crest_about[] =
    "CREST water balance of one grid cell.\n"
    "\n"
    "FILE in, CSV:  time, P rain, E potential evaporation, both mm per step; fixed step, an empty\n"
    "               field or a left-out row is missing\n"
    "FILE out, CSV: time, overland, interflow, evaporation (mm per step), W (store at the end of\n"
    "               the step, mm), mark, W_high (mm; W where nothing is uncertain)\n"
    "mark: ok, missing (nothing is known of the step), recovering (after a gap the store lies\n"
    "      between W, no rain in the gap, and W_high, 20 mm/h in the gap; it ends when they "
    "differ\n"
    "      by at most 2 % of WM)\n"
    "The water balance is reported on stderr.\n";

/* Rain and evaporation of the wet and the dry view of a lost step. */
#define GAP_RAIN_MM_H        20.0
#define GAP_EVAPORATION_MM_H 1.0

struct crest_run {
    const char *forcing;
    const char *out;
    const char *manifest;
    int64_t end_us; /* of the forcing */
    double initial_percent;
    struct crest_parameters parameters;
    double rain_mm, evaporation_mm, runoff_mm, lost_mm;
};

static void write_crest_row(struct table_out *out, const struct series *series, size_t at,
                            const struct crest_flux *flux, double low_mm, double high_mm) {
    char time[TABLE_NAME_MAX];
    bool missing = isnan(flux->overland_mm);
    series_time_text(series, at, time, sizeof time);
    table_out_text(out, time);
    table_out_number(out, flux->overland_mm);
    table_out_number(out, flux->interflow_mm);
    table_out_number(out, flux->evaporation_mm);
    table_out_number(out, missing ? NAN : low_mm);
    table_out_text(out, missing ? "missing" : high_mm > low_mm ? "recovering" : "ok");
    table_out_number(out, missing ? NAN : high_mm);
    table_out_end_row(out);
}

/* One step of both views. While the store is known they are the same. */
static struct crest_flux crest_both(struct crest_run *run, double dt_h, double p, double e,
                                    double *low_mm, double *high_mm) {
    const struct crest_parameters *c = &run->parameters;
    double before_mm = *low_mm;
    if (isnan(p) || isnan(e)) {
        (void)crest_step(c, dt_h, isnan(p) ? 0 : p, isnan(e) ? GAP_EVAPORATION_MM_H * dt_h : e,
                         low_mm);
        (void)crest_step(c, dt_h, isnan(p) ? GAP_RAIN_MM_H * dt_h : p, isnan(e) ? 0 : e, high_mm);
        run->lost_mm += *low_mm - before_mm;
        return (struct crest_flux){NAN, NAN, NAN};
    }
    bool same = *low_mm == *high_mm;
    struct crest_flux flux = crest_step(c, dt_h, p, e, low_mm);
    if (!same) {
        (void)crest_step(c, dt_h, p, e, high_mm);
    }
    if (same || *high_mm - *low_mm <= 0.02 * c->wm_mm) {
        *high_mm = *low_mm;
    }
    run->rain_mm += p;
    run->evaporation_mm += flux.evaporation_mm;
    run->runoff_mm += flux.overland_mm + flux.interflow_mm;
    return flux;
}

static int crest_work(struct crest_run *run, struct err *ret_err) {
    static const struct series_column columns[] = {{"P", 0, 2000, 0}, {"E", 0, 200, 0}};
    static const char *const header[] = {"time", "overland", "interflow", "evaporation",
                                         "W",    "mark",     "W_high"};
    struct series series = {0};
    struct table_out out;
    int rc = crest_check(&run->parameters, ret_err);
    rc = rc != 0 ? rc : series_read(run->forcing, 0, columns, 2, &series, ret_err);
    rc = rc != 0 ? rc : table_out_open(&out, run->out, ret_err);
    if (rc != 0) {
        series_finish(&series);
        return rc;
    }
    for (size_t i = 0; i < sizeof header / sizeof *header; i++) {
        table_out_text(&out, header[i]);
    }
    table_out_end_row(&out);
    run->end_us = series_time_us(&series, series.count);
    double start_mm = run->initial_percent / 100 * run->parameters.wm_mm;
    double low_mm = start_mm, high_mm = start_mm;
    for (size_t i = 0; i < series.count; i++) {
        struct crest_flux flux =
            crest_both(run, (double)series.step_us / 3.6e9, series_column(&series, 0)[i],
                       series_column(&series, 1)[i], &low_mm, &high_mm);
        write_crest_row(&out, &series, i, &flux, low_mm, high_mm);
    }
    fprintf(stderr,
            "%zu steps; balance mm: rain %.6f - evaporation %.6f - runoff %.6f - store change "
            "%.6f, residual %.3g\n",
            series.count, run->rain_mm, run->evaporation_mm, run->runoff_mm,
            low_mm - start_mm - run->lost_mm,
            run->rain_mm - run->evaporation_mm - run->runoff_mm -
                (low_mm - start_mm - run->lost_mm));
    series_finish(&series);
    return table_out_close(&out, true, ret_err);
}

static int run_crest(int argc, char **argv) {
    struct crest_run run = {.initial_percent = 50};
    struct crest_parameters *p = &run.parameters;
    const struct args_option options[] = {
        {"forcing", ARGS_TEXT, &run.forcing, true, 0, 0, "FILE.csv", "rain and evaporation"},
        {"wm", ARGS_NUMBER, &p->wm_mm, true, 0.1, 1e4, "MM", "soil capacity, usually 20 to 250"},
        {"b", ARGS_NUMBER, &p->b, true, 0, 100, "B", "infiltration exponent, 0.05 to 2"},
        {"im", ARGS_NUMBER, &p->im, true, 0, 1, "SHARE", "impervious share, 0 to 1"},
        {"ke", ARGS_NUMBER, &p->ke, true, 0, 10, "KE", "factor on E, 0.5 to 1.5"},
        {"fc", ARGS_NUMBER, &p->fc_mm_h, true, 0, 1e4, "MM_H", "conductivity, 0.1 to 150 mm/h"},
        {"iwu", ARGS_NUMBER, &run.initial_percent, false, 0, 100, "PERCENT",
         "store at the start in % of WM, 50 unless told"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "FILE.csv", "result, - for stdout"},
        {"manifest", ARGS_TEXT, &run.manifest, false, 0, 0, "FILE.json", "run manifest"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, crest_about);
    if (code == MODEL_DONE &&
        (crest_work(&run, &err) != 0 ||
         run_manifest_write(run.manifest, "crest", options, run.end_us, &err) != 0)) {
        code = model_exit_of(argv[0], &err);
    }
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_crest = {"crest", "CREST water balance of one grid cell (CSV)", run_crest};

static const char hbv_about[] =
    "HBV-96 of one catchment, with snow.\n"
    "\n"
    "FILE in, CSV:  time, P rain and snow, E potential evaporation (mm per step), T air\n"
    "               temperature (degC); an empty field or a left-out row is missing\n"
    "FILE out, CSV: time, Qsim mm per step (empty when unknown), mark\n"
    "mark: ok, missing (an input is missing: the model stands still), recovering (the 365 days\n"
    "      after a gap, until the stores have forgotten it)\n"
    "It starts with half a soil store: leave a year for warm-up. The balance is on stderr.\n";

#define HBV_RECOVERY_DAYS 365.0

struct hbv_run {
    const char *step;
    const char *forcing;
    const char *out;
    const char *manifest;
    int64_t end_us; /* of the forcing */
    struct hbv_parameters parameters;
    struct hbv hbv;
    struct hbv_state state;
};

static void hbv_steps(struct hbv_run *run, const struct series *series, struct table_out *out) {
    double recovering_days = 0, rain = 0, evaporation = 0, runoff = 0;
    double before = hbv_stored_mm(&run->hbv, &run->state);
    for (size_t i = 0; i < series->count; i++) {
        char time[TABLE_NAME_MAX];
        struct hbv_flux flux = {0};
        double rain_mm = series_column(series, 0)[i];
        double q = hbv_step(&run->hbv, &run->state, rain_mm, series_column(series, 1)[i],
                            series_column(series, 2)[i], &flux);
        if (isnan(q)) {
            recovering_days = HBV_RECOVERY_DAYS;
        } else {
            recovering_days = fmax(0, recovering_days - run->hbv.dt_day);
            rain += rain_mm;
            evaporation += flux.evaporation_mm;
            runoff += q;
        }
        series_time_text(series, i, time, sizeof time);
        table_out_text(out, time);
        table_out_number(out, q);
        table_out_text(out, isnan(q) ? "missing" : recovering_days > 0 ? "recovering" : "ok");
        table_out_end_row(out);
    }
    double change = hbv_stored_mm(&run->hbv, &run->state) - before;
    fprintf(stderr,
            "%zu steps; balance mm: rain %.6f - evaporation %.6f - runoff %.6f - store change "
            "%.6f, residual %.3g\n",
            series->count, rain, evaporation, runoff, change, rain - evaporation - runoff - change);
}

static int hbv_work(struct hbv_run *run, struct err *ret_err) {
    static const struct series_column columns[] = {
        {"P", 0, 2000, 0}, {"E", 0, 200, 0}, {"T", -60, 60, 0}};
    bool daily = strcmp(run->step, "daily") == 0;
    struct series series = {0};
    struct table_out out;
    int rc = hbv_init(&run->hbv, daily ? 24 : 1, &run->parameters, ret_err);
    rc = rc != 0 ? rc
                 : series_read(run->forcing, daily ? INT64_C(86400000000) : INT64_C(3600000000),
                               columns, 3, &series, ret_err);
    rc = rc != 0 ? rc : table_out_open(&out, run->out, ret_err);
    if (rc == 0) {
        hbv_state_start(&run->hbv, &run->state);
        table_out_text(&out, "time");
        table_out_text(&out, "Qsim");
        table_out_text(&out, "mark");
        table_out_end_row(&out);
        hbv_steps(run, &series, &out);
        run->end_us = series_time_us(&series, series.count);
        rc = table_out_close(&out, true, ret_err);
    }
    series_finish(&series);
    return rc;
}

static int run_hbv(int argc, char **argv) {
    struct hbv_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return MODEL_FAILED;
    }
    struct hbv_parameters *p = &run->parameters;
    const struct args_option options[] = {
        {"step", ARGS_TEXT, &run->step, true, 0, 0, "daily|hourly", "length of a step"},
        {"forcing", ARGS_TEXT, &run->forcing, true, 0, 0, "FILE.csv", "P, E, T"},
        {"tt", ARGS_NUMBER, &p->tt_c, true, -10, 10, "DEGC", "rain or snow"},
        {"cfmax", ARGS_NUMBER, &p->cfmax_mm_k_day, true, 0, 50, "F", "melt, mm/(K d)"},
        {"cfr", ARGS_NUMBER, &p->cfr, true, 0, 1, "F", "refreezing, about 0.05"},
        {"cwh", ARGS_NUMBER, &p->cwh, true, 0, 1, "F", "water held by the pack, about 0.1"},
        {"fc", ARGS_NUMBER, &p->fc_mm, true, 1, 1e4, "MM", "soil capacity"},
        {"beta", ARGS_NUMBER, &p->beta, true, 0.1, 50, "B", "recharge exponent"},
        {"lp", ARGS_NUMBER, &p->lp, true, 0.01, 1, "F", "limit of potential evaporation"},
        {"k0", ARGS_NUMBER, &p->k0_day, true, 0, 1, "K", "fast outflow, 1/d"},
        {"k1", ARGS_NUMBER, &p->k1_day, true, 0, 1, "K", "middle outflow, 1/d"},
        {"k2", ARGS_NUMBER, &p->k2_day, true, 0, 1, "K", "slow outflow, 1/d"},
        {"uzl", ARGS_NUMBER, &p->uzl_mm, true, 0, 1e4, "MM", "threshold of the fast outflow"},
        {"perc", ARGS_NUMBER, &p->perc_mm_day, true, 0, 1e3, "MM_D", "percolation, mm/d"},
        {"maxbas", ARGS_NUMBER, &p->maxbas_day, true, 0.01, 15, "D", "base of the triangle, d"},
        {"out", ARGS_TEXT, &run->out, true, 0, 0, "FILE.csv", "result, - for stdout"},
        {"manifest", ARGS_TEXT, &run->manifest, false, 0, 0, "FILE.json", "run manifest"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, hbv_about);
    if (code == MODEL_DONE && strcmp(run->step, "daily") != 0 && strcmp(run->step, "hourly") != 0) {
        fprintf(stderr, "canhbao-model hbv: --step: expected daily or hourly, got '%s'\n",
                run->step);
        code = MODEL_USAGE;
    }
    if (code == MODEL_DONE &&
        (hbv_work(run, &err) != 0 ||
         run_manifest_write(run->manifest, "hbv", options, run->end_us, &err) != 0)) {
        code = model_exit_of(argv[0], &err);
    }
    free(run);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_hbv = {"hbv", "HBV-96 rainfall-runoff with snow (CSV)", run_hbv};
