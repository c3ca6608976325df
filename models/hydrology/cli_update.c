/* canhbao-model update */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/hydrology/hydrology.h"
#include "models/hydrology/residual.h"
#include "models/hydrology/series.h"
#include "models/hydrology/skill.h"
#include "models/hydrology/update.h"
#include "models/output/output.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

static const char about[] =
    "Updates simulated discharge from the gauge: AR(2) of the error, limited, tapered with the "
    "lead.\n"
    "\n"
    "All series: CSV with time (fixed step), Qobs, Qsim in the same unit (m3/s or mm per step),\n"
    "empty = missing.\n"
    "--fit FILE.csv --leads N --out MODEL.json\n"
    "    fits the errors of past years for leads of 1 to N steps (at most 96), and what is left "
    "of\n"
    "    them after updating, from which forecast takes its bands\n"
    "--model MODEL.json --series FILE.csv --now TIME --out FILE.csv\n"
    "    the forecast made at TIME (a row of the file); Qsim of later rows is the open loop,\n"
    "    whatever rain it was made with; their Qobs is not looked at\n"
    "    out: time, lead (steps), Qsim, Q (updated, empty when unknown), age (steps of the newest\n"
    "         observation used), mark: updated, updated_ar1 (the error before the newest is\n"
    "         missing), open_loop (newest observation older than 2 steps, or a lead that was not\n"
    "         fitted: not corrected), missing\n"
    "--model MODEL.json --series FILE.csv --verify --out FILE.csv\n"
    "    a forecast from every row, with Qsim as open loop (the rain is taken as foreseen); with\n"
    "    --dry without any rain to come: Qdry_1, Qdry_2, ... as `gr --dry-leads` writes them, to\n"
    "    the longest lead of the model, are the open loop\n"
    "    out: lead, n, nse_open, nse_updated, nse_persistence, pi (persistence index)\n";

struct run {
    const char *manifest;
    const char *fit;
    const char *model;
    const char *series_path;
    const char *now;
    const char *out;
    bool verify, dry;
    int64_t leads;
    struct series series;
};

static const char *const marks[] = {"updated", "updated_ar1", "open_loop", "missing"};

/* dry_leads: how many columns Qdry_1 ... come behind Qobs and Qsim. */
static int load_series(struct run *run, const char *path, int dry_leads, struct err *ret_err) {
    struct series_column columns[2 + UPDATE_LEADS_MAX] = {{"Qobs", 0, 1e7, 0}, {"Qsim", 0, 1e7, 0}};
    char names[UPDATE_LEADS_MAX][16];
    for (int k = 0; k < dry_leads; k++) {
        (void)snprintf(names[k], sizeof names[k], "Qdry_%d", k + 1);
        columns[2 + k] = (struct series_column){names[k], 0, 1e7, 0};
    }
    return series_read(path, 0, columns, 2 + (size_t)dry_leads, &run->series, ret_err);
}

static int fit(struct run *run, struct err *ret_err) {
    struct update_model model;
    int rc = load_series(run, run->fit, 0, ret_err);
    rc = rc != 0 ? rc
                 : err_of(run->fit,
                          update_fit(series_column(&run->series, 0), series_column(&run->series, 1),
                                     run->series.count, (int)run->leads,
                                     (double)run->series.step_us / 1e6, &model, ret_err),
                          ret_err);
    struct residual *residual = rc == 0 ? calloc(1, sizeof *residual) : NULL;
    if (rc == 0 && residual == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for the residuals");
    }
    rc = rc != 0 ? rc
                 : err_of(run->fit,
                          residual_fit(&model, series_column(&run->series, 0),
                                       series_column(&run->series, 1), run->series.count, residual,
                                       ret_err),
                          ret_err);
    if (rc == 0) {
        json_t *root = update_pack(&model);
        if (json_object_set_new(root, "residual", residual_pack(residual)) != 0) {
            json_decref(root);
            root = NULL; /* no memory, as the writing tells */
        }
        rc = output_write_json(run->out, root, ret_err);
        json_decref(root);
    }
    free(residual);
    if (rc == 0) {
        fprintf(strcmp(run->out, "-") == 0 ? stderr : stdout,
                "phi1 %.6f, phi2 %.6f, rho %.6f; gain at 1 and %d steps: %.3f %.3f\n", model.phi1,
                model.phi2, model.rho, model.leads, model.gain[1], model.gain[model.leads]);
    }
    return rc;
}

static int load(struct run *run, struct update_model *ret_model, struct err *ret_err) {
    int rc = update_load(run->model, ret_model, ret_err);
    int dry_leads = rc == 0 && run->dry ? ret_model->leads : 0;
    rc = rc != 0 ? rc : load_series(run, run->series_path, dry_leads, ret_err);
    if (rc == 0 && ret_model->step_s != (double)run->series.step_us / 1e6) {
        rc = err_set(ret_err, ERR_INVALID, "%s: the step is %g s, the model was fitted on %g s",
                     run->series_path, (double)run->series.step_us / 1e6, ret_model->step_s);
    }
    return rc;
}

static void header(struct table_out *out, const char *const *names) {
    for (; *names != NULL; names++) {
        table_out_text(out, *names);
    }
    table_out_end_row(out);
}

static int forecast(struct run *run, struct err *ret_err) {
    static const char *const names[] = {"time", "lead", "Qsim", "Q", "age", "mark", NULL};
    struct update_model model;
    struct table_out out;
    int64_t now_us = 0;
    int rc = load(run, &model, ret_err);
    if (rc == 0 && table_time(run->now, &now_us) != 0) {
        rc = err_set(ret_err, ERR_SYNTAX, "--now: '%s' is not a time", run->now);
    }
    const struct series *s = &run->series;
    int64_t since_us = now_us - s->start_us;
    if (rc == 0 && (since_us < 0 || since_us % s->step_us != 0 ||
                    (uint64_t)(since_us / s->step_us) >= s->count)) {
        rc =
            err_set(ret_err, ERR_RANGE, "--now: %s is not a row of %s", run->now, run->series_path);
    }
    rc = rc != 0 ? rc : table_out_open(&out, run->out, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t now = (size_t)(since_us / s->step_us);
    header(&out, names);
    for (size_t t = now + 1; t < s->count && t - now <= UPDATE_LEADS_MAX; t++) {
        char time[TABLE_NAME_MAX];
        enum update_mark mark = UPDATE_MISSING;
        int age = -1;
        double open = series_column(s, 1)[t];
        double q = update_forecast(&model, series_column(s, 0), series_column(s, 1), now,
                                   (int)(t - now), open, &mark, &age);
        series_time_text(s, t, time, sizeof time);
        table_out_text(&out, time);
        table_out_number(&out, (double)(t - now));
        table_out_number(&out, open);
        table_out_number(&out, q);
        table_out_number(&out, age < 0 ? (double)NAN : (double)age);
        table_out_text(&out, marks[mark]);
        table_out_end_row(&out);
    }
    return table_out_close(&out, true, ret_err);
}

struct columns {
    double *observed, *open, *updated, *issue;
};

static void verify_lead(const struct run *run, const struct update_model *model, size_t lead,
                        const struct columns *c, struct table_out *out) {
    const double *observed = series_column(&run->series, 0);
    const double *simulated = series_column(&run->series, 1);
    const double *dry = run->dry ? series_column(&run->series, 1 + lead) : NULL;
    size_t n = run->series.count - lead, known = 0;
    for (size_t t = 0; t < n; t++) {
        enum update_mark mark;
        c->observed[t] = observed[t + lead];
        c->open[t] = dry != NULL ? dry[t] : simulated[t + lead];
        c->updated[t] =
            update_forecast(model, observed, simulated, t, (int)lead, c->open[t], &mark, NULL);
        c->issue[t] = observed[t];
        known += isnan(c->observed[t]) || isnan(c->updated[t]) ? 0 : 1;
    }
    table_out_number(out, (double)lead);
    table_out_number(out, (double)known);
    table_out_number(out, skill_nse(c->observed, c->open, n));
    table_out_number(out, skill_nse(c->observed, c->updated, n));
    table_out_number(out, skill_nse(c->observed, c->issue, n));
    table_out_number(out, skill_persistence(c->observed, c->updated, c->issue, n));
    table_out_end_row(out);
}

static int verify(struct run *run, struct err *ret_err) {
    static const char *const names[] = {"lead", "n", "nse_open", "nse_updated", "nse_persistence",
                                        "pi",   NULL};
    struct update_model model;
    struct table_out out;
    int rc = load(run, &model, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t count = run->series.count;
    double *room = calloc(4 * count, sizeof *room);
    if (room == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu steps", count);
    }
    const struct columns columns = {room, room + count, room + 2 * count, room + 3 * count};
    rc = table_out_open(&out, run->out, ret_err);
    if (rc == 0) {
        header(&out, names);
        for (size_t lead = 1; lead <= (size_t)model.leads && lead < count; lead++) {
            verify_lead(run, &model, lead, &columns, &out);
        }
        rc = table_out_close(&out, true, ret_err);
    }
    free(room);
    return rc;
}

static int run_update(int argc, char **argv) {
    struct run run = {.leads = 24};
    const struct args_option options[] = {
        {"fit", ARGS_TEXT, &run.fit, false, 0, 0, "FILE.csv", "past years to fit"},
        {"leads", ARGS_INT, &run.leads, false, 1, UPDATE_LEADS_MAX, "N",
         "longest lead to fit, steps; 24 unless told"},
        {"model", ARGS_TEXT, &run.model, false, 0, 0, "FILE.json", "fitted model"},
        {"series", ARGS_TEXT, &run.series_path, false, 0, 0, "FILE.csv", "observed, simulated"},
        {"now", ARGS_TEXT, &run.now, false, 0, 0, "TIME", "time of issue"},
        {"verify", ARGS_SWITCH, &run.verify, false, 0, 0, NULL, "judge instead of forecast"},
        {"dry", ARGS_SWITCH, &run.dry, false, 0, 0, NULL, "with --verify: no rain to come"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "FILE", "result, - for stdout"},
        {"manifest", ARGS_TEXT, &run.manifest, false, 0, 0, "FILE.json", "run manifest"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && ((run.fit == NULL) == (run.model == NULL) ||
                               (run.model != NULL && (run.now == NULL) != run.verify))) {
        fprintf(stderr, "canhbao-model update: either --fit, or --model and --series with --now or "
                        "--verify [--dry]\n");
        code = MODEL_USAGE;
    }
    code = code != MODEL_DONE ? code
           : run.fit != NULL  ? args_check_way(argc, argv, options, "--fit", "fit", "leads")
           : run.verify
               ? args_check_way(argc, argv, options, "--verify", "model series verify", "dry")
               : args_check_way(argc, argv, options, "--now", "model series now", "");
    if (code == MODEL_DONE) {
        int rc = run.fit != NULL ? fit(&run, &err)
                 : run.verify    ? verify(&run, &err)
                                 : forecast(&run, &err);
        rc = rc != 0
                 ? rc
                 : run_manifest_write(run.manifest, "update", options, RUN_MANIFEST_NO_TIME, &err);
        code = rc == 0 ? MODEL_DONE : model_exit_of(argv[0], &err);
    }
    series_finish(&run.series);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_update = {"update", "forecast correction from the gauge, AR(2) (CSV)",
                                   run_update};
