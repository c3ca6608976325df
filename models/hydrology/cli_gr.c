/* canhbao-model gr */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/gr_series.h"
#include "models/hydrology/hydrology.h"
#include "models/hydrology/series.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

struct run {
    const char *step;
    const char *forcing;
    const char *out;
    const char *state_in;
    const char *state_out;
    const char *manifest;
    struct gr_parameters parameters;
    bool compat_split;
    struct gr gr;
    struct gr_series state;
    struct series series;
    double *runoff_mm;
    double *high_mm;
    enum gr_mark *marks;
    int64_t dry_leads;
    double *dry_mm; /* [step][lead]; NULL without */
};

static const char about[] =
    "GR4J (daily) or GR4H (hourly): catchment runoff from rain and potential evaporation.\n"
    "\n"
    "FILE in, CSV:  time  start of the step: 2004-01-01, 2004-01-01T06:00, RFC 3339 (no zone: "
    "UTC)\n"
    "               P     rain, mm per step       E  potential evaporation, mm per step\n"
    "               further columns are ignored; an empty field or a left-out row is missing\n"
    "FILE out, CSV: time  as read                 Qsim  runoff, mm per step, empty when unknown\n"
    "               mark  ok, missing (P or E missing: Qsim unknown) or recovering (after a gap)\n"
    "               Qsim_high  while recovering: runoff if the gap was very wet; Qsim is that of "
    "a\n"
    "                     gap without rain. It ends when both agree within 5 %.\n"
    "               Qdry_1, Qdry_2, ...  with --dry-leads: runoff so many steps later if no rain "
    "fell\n"
    "                     from this step on, E as in the file; for `update --verify --dry`\n"
    "Without --state-in the stores start at 0.3 X1 and 0.5 X3: leave a year for warm-up.\n"
    "The water balance is reported on stderr.\n";

/* From the state after every step, without rain. Nothing while the state recovers or is missing. */
static void run_dry(struct run *run, struct gr_series *state) {
    const double *rain = series_column(&run->series, 0), *e = series_column(&run->series, 1);
    size_t leads = (size_t)run->dry_leads;
    struct gr_balance balance = {0};
    struct gr_state ahead;
    memset(&ahead, 0, sizeof ahead);
    for (size_t t = 0; t < run->series.count; t++) {
        double runoff_mm = 0;
        enum gr_mark mark =
            gr_series_step(&run->gr, state, rain[t], e[t], &balance, &runoff_mm, NULL);
        bool known = mark == GR_OK;
        gr_state_copy(&run->gr, &ahead, &state->dry);
        for (size_t k = 0; k < leads; k++) {
            double e_mm = t + k + 1 < run->series.count ? e[t + k + 1] : (double)NAN;
            double mm = known ? gr_step(&run->gr, &ahead, 0, e_mm, NULL) : (double)NAN;
            known = known && !isnan(mm);
            run->dry_mm[t * leads + k] = mm;
        }
    }
}

static int write_out(const struct run *run, struct err *ret_err) {
    static const char *const marks[] = {"ok", "missing", "recovering"};
    static const char *const header[] = {"time", "Qsim", "mark", "Qsim_high"};
    struct table_out out;
    int rc = table_out_open(&out, run->out, ret_err);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < sizeof header / sizeof *header; i++) {
        table_out_text(&out, header[i]);
    }
    for (int64_t k = 1; k <= run->dry_leads; k++) {
        char name[24];
        (void)snprintf(name, sizeof name, "Qdry_%d", (int)k);
        table_out_text(&out, name);
    }
    table_out_end_row(&out);
    for (size_t i = 0; i < run->series.count; i++) {
        char time[TABLE_NAME_MAX];
        series_time_text(&run->series, i, time, sizeof time);
        table_out_text(&out, time);
        table_out_number(&out, run->runoff_mm[i]);
        table_out_text(&out, marks[run->marks[i]]);
        table_out_number(&out, run->high_mm[i]);
        for (int64_t k = 0; k < run->dry_leads; k++) {
            table_out_number(&out, run->dry_mm[i * (size_t)run->dry_leads + (size_t)k]);
        }
        table_out_end_row(&out);
    }
    return table_out_close(&out, true, ret_err);
}

static int start_state(struct run *run, struct err *ret_err) {
    int64_t utc_us = 0;
    if (run->state_in == NULL) {
        gr_series_start(&run->gr, &run->state);
        return 0;
    }
    int rc = gr_series_load(run->state_in, &run->gr, &run->state, &utc_us, ret_err);
    if (rc == 0 && run->series.start_us != utc_us + run->series.step_us) {
        rc = err_set(ret_err, ERR_INVALID,
                     "%s: the forcing does not begin one step after the state of %s", run->forcing,
                     run->state_in);
    }
    return rc;
}

static int work(struct run *run, struct err *ret_err) {
    static const struct series_column columns[] = {{"P", 0, 2000, 0}, {"E", 0, 200, 0}};
    bool daily = strcmp(run->step, "daily") == 0;
    struct gr_balance balance;
    int rc = gr_init(&run->gr, daily ? GR_DAILY : GR_HOURLY, &run->parameters, run->compat_split,
                     ret_err);
    rc = rc != 0 ? rc
                 : series_read(run->forcing, daily ? INT64_C(86400000000) : INT64_C(3600000000),
                               columns, 2, &run->series, ret_err);
    rc = rc != 0 ? rc : start_state(run, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t count = run->series.count;
    run->runoff_mm = calloc(count, sizeof *run->runoff_mm);
    run->high_mm = calloc(count, sizeof *run->high_mm);
    run->marks = calloc(count, sizeof *run->marks);
    run->dry_mm = calloc(count * (size_t)run->dry_leads + 1, sizeof *run->dry_mm);
    if (run->runoff_mm == NULL || run->high_mm == NULL || run->marks == NULL ||
        run->dry_mm == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu steps", count);
    }
    if (run->dry_leads > 0) {
        struct gr_series state = run->state;
        run_dry(run, &state);
    }
    gr_series_run(&run->gr, &run->state, series_column(&run->series, 0),
                  series_column(&run->series, 1), count, run->runoff_mm, run->high_mm, run->marks,
                  &balance);
    rc = write_out(run, ret_err);
    if (rc == 0 && run->state_out != NULL) {
        rc = gr_series_save(run->state_out, &run->gr, &run->state,
                            series_time_us(&run->series, count - 1), ret_err);
    }
    if (rc == 0) {
        fprintf(stderr,
                "%zu steps, %" PRId64 " missing (%zu without a row), %" PRId64 " recovering\n"
                "balance mm: rain %.6f - evaporation %.6f + exchange %.6f - runoff %.6f, residual "
                "%.3g\n",
                count, balance.missing_steps, run->series.inserted, balance.recovering_steps,
                balance.rain_mm, balance.evaporation_mm, balance.exchange_mm, balance.runoff_mm,
                balance.residual_mm);
    }
    return rc;
}

static int run_gr(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return MODEL_FAILED;
    }
    const struct args_option options[] = {
        {"step", ARGS_TEXT, &run->step, true, 0, 0, "daily|hourly", "GR4J or GR4H"},
        {"forcing", ARGS_TEXT, &run->forcing, true, 0, 0, "FILE.csv", "rain and evaporation"},
        {"x1", ARGS_NUMBER, &run->parameters.x1_mm, true, 1e-2, 1e5, "MM", "production store"},
        {"x2", ARGS_NUMBER, &run->parameters.x2_mm, true, -1e3, 1e3, "MM", "exchange per step"},
        {"x3", ARGS_NUMBER, &run->parameters.x3_mm, true, 1e-2, 1e5, "MM", "routing store"},
        {"x4", ARGS_NUMBER, &run->parameters.x4, true, 0.5, 480, "STEPS",
         "unit hydrograph base, at most 20 (daily) or 480 (hourly)"},
        {"compat-split", ARGS_SWITCH, &run->compat_split, false, 0, 0, NULL,
         "split by the single-precision 0.9 of airGR"},
        {"dry-leads", ARGS_INT, &run->dry_leads, false, 1, 96, "N",
         "runoff without further rain to N steps, see above"},
        {"state-in", ARGS_TEXT, &run->state_in, false, 0, 0, "FILE.json", "continue from a state"},
        {"state-out", ARGS_TEXT, &run->state_out, false, 0, 0, "FILE.json", "save the state"},
        {"out", ARGS_TEXT, &run->out, true, 0, 0, "FILE.csv", "result, - for stdout"},
        {"manifest", ARGS_TEXT, &run->manifest, false, 0, 0, "FILE.json", "run manifest"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && strcmp(run->step, "daily") != 0 && strcmp(run->step, "hourly") != 0) {
        fprintf(stderr, "canhbao-model gr: --step: expected daily or hourly, got '%s'\n",
                run->step);
        code = MODEL_USAGE;
    }
    if (code == MODEL_DONE &&
        (work(run, &err) != 0 ||
         run_manifest_write(run->manifest, "gr", options,
                            series_time_us(&run->series, run->series.count), &err) != 0)) {
        code = model_exit_of(argv[0], &err);
    }
    series_finish(&run->series);
    free(run->runoff_mm);
    free(run->high_mm);
    free(run->marks);
    free(run->dry_mm);
    free(run);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_gr = {"gr", "GR4J/GR4H rainfall-runoff of one catchment (CSV)", run_gr};
