/* canhbao-model calibrate */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "daemon/base/text.h"
#include "models/hydrology/calibrate.h"
#include "models/hydrology/hydrology.h"
#include "models/hydrology/report.h"
#include "models/hydrology/series.h"
#include "models/hydrology/skill.h"
#include "models/nowcast/parallel.h"
#include "models/output/output.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

static const char about[] =
    "Fits GR4J or GR4H to observed runoff: differential evolution with restarts.\n"
    "\n"
    "FILE in, CSV:     time, P rain, E potential evaporation, Qobs runoff, mm per step (the names\n"
    "                  of the last two can be told); empty = missing\n"
    "--split TIME      fits before it and judges from it on; without it nothing is judged, and "
    "the\n"
    "                  files say so\n"
    "FILE out, JSON:   parameters, scores of the fitted and the judged part (nse, kge, flood), "
    "how\n"
    "                  they came about\n"
    "--report, HTML:   the same with hydrographs\n"
    "objectives: auto: nse when three years or more are fitted, else kge, because one or two "
    "years\n"
    "fix volume and spread badly; nse; kge; flood: NSE with squared errors weighted by 1 + Qobs\n"
    "over its mean\n";

struct run {
    const char *manifest;
    const char *step;
    const char *forcing;
    const char *e_column;
    const char *q_column;
    const char *objective_name;
    const char *split;
    const char *out;
    const char *report;
    int64_t warmup_steps;
    int64_t restarts;
    int64_t threads;
    int64_t seed;
    struct series series;
    struct calibrate_data data;
    struct calibrate_options options;
    struct gr_parameters parameters;
    struct search_result result;
    double *simulated;
    char hash[HASH_TEXT_SIZE]; /* of the forcing */
};

enum { AUTO_NSE_YEARS = 3 };

static const char *const objective_names[] = {"nse", "kge", "flood"};

static void tell(void *context, int restart, int generation, double best) {
    const struct run *run = context;
    if (generation % 10 == 9) {
        fprintf(stderr, "restart %d of %" PRId64 ", generation %d: %s %.4f\n", restart + 1,
                run->restarts, generation + 1, run->objective_name, best);
    }
}

static int find_split(struct run *run, struct err *ret_err) {
    int64_t split_us = 0;
    run->options.from = (size_t)run->warmup_steps;
    run->options.to = run->series.count;
    if (run->split != NULL) {
        if (table_time(run->split, &split_us) != 0) {
            return err_set(ret_err, ERR_SYNTAX, "--split: '%s' is not a time", run->split);
        }
        int64_t steps = (split_us - run->series.start_us) / run->series.step_us;
        if (steps <= run->warmup_steps || (uint64_t)steps >= run->series.count) {
            return err_set(
                ret_err, ERR_RANGE,
                "--split: %s leaves of %.300s nothing to fit after the warm-up or to judge",
                run->split, run->forcing);
        }
        run->options.to = (size_t)steps;
    }
    return run->options.from < run->series.count
               ? 0
               : err_set(ret_err, ERR_RANGE,
                         "%.300s: %zu steps; the warm-up of %" PRId64 " leaves none to fit",
                         run->forcing, run->series.count, run->warmup_steps);
}

/* Of "auto", when it is known how much is fitted. */
static void choose_objective(struct run *run) {
    double fitted_us = (double)(run->options.to - run->options.from) * (double)run->series.step_us;
    if (strcmp(run->objective_name, "auto") == 0) {
        run->options.objective =
            fitted_us >= AUTO_NSE_YEARS * 365.0 * 86400e6 ? CALIBRATE_NSE : CALIBRATE_KGE;
        run->objective_name = objective_names[run->options.objective];
    }
}

static json_t *scores(const struct run *run, size_t from, size_t to) {
    if (from >= to) {
        return json_null();
    }
    json_t *object = json_object();
    for (int k = 0; k < 3; k++) {
        double score = calibrate_score((enum calibrate_objective)k, run->data.observed_mm + from,
                                       run->simulated + from, to - from);
        (void)json_object_set_new(object, objective_names[k],
                                  isnan(score) ? json_null() : json_real(score));
    }
    char from_text[TABLE_NAME_MAX], to_text[TABLE_NAME_MAX];
    series_time_text(&run->series, from, from_text, sizeof from_text);
    series_time_text(&run->series, to - 1, to_text, sizeof to_text);
    (void)json_object_set_new(object, "first_step", json_string(from_text));
    (void)json_object_set_new(object, "last_step", json_string(to_text));
    return object;
}

static json_t *restart_scores(const struct run *run) {
    json_t *array = json_array();
    for (int r = 0; r < run->restarts; r++) {
        (void)json_array_append_new(array, json_real(run->result.restart_score[r]));
    }
    return array;
}

static json_t *describe(const struct run *run) {
    const struct gr_parameters *p = &run->parameters;
    return json_pack(
        "{s:s, s:{s:f, s:f, s:f, s:f}, s:o, s:o, s:{s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:I, s:s}}",
        "model", run->data.step == GR_DAILY ? "gr4j" : "gr4h", "parameters", "x1_mm", p->x1_mm,
        "x2_mm", p->x2_mm, "x3_mm", p->x3_mm, "x4", p->x4, "fitted",
        scores(run, run->options.from, run->options.to), "judged",
        scores(run, run->options.to, run->series.count), "provenance", "forcing",
        output_base_name(run->forcing), "forcing_sha256", run->hash, "objective",
        run->objective_name, "warmup_steps", (json_int_t)run->warmup_steps, "seed",
        (json_int_t)run->seed, "steps", (json_int_t)run->series.count, "restart_scores",
        restart_scores(run), "model_runs", (json_int_t)run->result.evaluations, "program",
        "canhbao-model " CANHBAO_VERSION);
}

static int write_files(const struct run *run, struct err *ret_err) {
    json_t *root = describe(run);
    int rc = output_write_json(run->out, root, ret_err);
    if (rc == 0 && run->report != NULL) {
        const struct report_plot plots[] = {
            {"Fitted", &run->series, run->data.observed_mm, run->simulated, run->options.from,
             run->options.to},
            {"Judged (not fitted)", &run->series, run->data.observed_mm, run->simulated,
             run->options.to, run->series.count},
        };
        rc = report_write(run->report, "Calibration", root, plots,
                          run->options.to < run->series.count ? 2 : 1, ret_err);
    }
    json_decref(root);
    return rc;
}

static int work(struct run *run, struct err *ret_err) {
    const struct series_column columns[] = {
        {"P", 0, 2000, 0}, {run->e_column, 0, 200, 0}, {run->q_column, 0, 2000, 0}};
    bool daily = strcmp(run->step, "daily") == 0;
    int rc = series_read(run->forcing, daily ? INT64_C(86400000000) : INT64_C(3600000000), columns,
                         3, &run->series, ret_err);
    if (rc == 0 && hash_file(run->forcing, run->hash) != 0) {
        rc = err_set(ret_err, ERR_IO, "%.300s: cannot read again", run->forcing);
    }
    rc = rc != 0 ? rc : find_split(run, ret_err);
    if (rc != 0) {
        return rc;
    }
    choose_objective(run);
    run->data = (struct calibrate_data){
        daily ? GR_DAILY : GR_HOURLY, run->series.count, series_column(&run->series, 0),
        series_column(&run->series, 1), series_column(&run->series, 2)};
    run->options.restarts = (int)run->restarts;
    run->options.threads = (int)run->threads;
    run->options.seed = (uint64_t)run->seed;
    run->options.progress = tell;
    run->options.context = run;
    run->simulated = calloc(run->series.count, sizeof(double));
    if (run->simulated == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu steps", run->series.count);
    }
    rc = err_of(run->forcing,
                calibrate_gr(&run->data, &run->options, &run->parameters, &run->result, ret_err),
                ret_err);
    if (rc != 0) {
        return rc;
    }
    calibrate_simulate(&run->data, &run->parameters, run->simulated);
    rc = write_files(run, ret_err);
    if (rc == 0) {
        const struct gr_parameters *p = &run->parameters;
        FILE *told = strcmp(run->out, "-") == 0 ? stderr : stdout;
        fprintf(told, "x1 %.6g mm, x2 %.6g mm, x3 %.6g mm, x4 %.6g steps; fitted %s %.4f\n",
                p->x1_mm, p->x2_mm, p->x3_mm, p->x4, run->objective_name, run->result.score);
        if (run->split == NULL) {
            fputs("not judged on years of its own: no --split\n", told);
        }
    }
    return rc;
}

static int objective(struct run *run) {
    for (int k = 0; k < 3; k++) {
        if (strcmp(run->objective_name, objective_names[k]) == 0) {
            run->options.objective = (enum calibrate_objective)k;
            return MODEL_DONE;
        }
    }
    if (strcmp(run->objective_name, "auto") == 0) {
        return MODEL_DONE;
    }
    fprintf(stderr,
            "canhbao-model calibrate: --objective: expected auto, nse, kge or flood, got '%s'\n",
            run->objective_name);
    return MODEL_USAGE;
}

static int run_calibrate(int argc, char **argv) {
    struct run run = {.e_column = "E",
                      .q_column = "Qobs",
                      .objective_name = "auto",
                      .restarts = 3,
                      .threads = 1,
                      .seed = 1};
    const struct args_option options[] = {
        {"step", ARGS_TEXT, &run.step, true, 0, 0, "daily|hourly", "GR4J or GR4H"},
        {"forcing", ARGS_TEXT, &run.forcing, true, 0, 0, "FILE.csv", "rain, evaporation, runoff"},
        {"e-column", ARGS_TEXT, &run.e_column, false, 0, 0, "NAME", "instead of E"},
        {"q-column", ARGS_TEXT, &run.q_column, false, 0, 0, "NAME", "instead of Qobs"},
        {"objective", ARGS_TEXT, &run.objective_name, false, 0, 0, "NAME",
         "auto, nse, kge or flood; auto unless told"},
        {"warmup-steps", ARGS_INT, &run.warmup_steps, true, 0, 1e7, "N",
         "steps at the start that do not count; a year is usual"},
        {"split", ARGS_TEXT, &run.split, false, 0, 0, "TIME", "first step that is judged"},
        {"restarts", ARGS_INT, &run.restarts, false, 1, SEARCH_RESTARTS_MAX, "N", "3 unless told"},
        {"threads", ARGS_INT, &run.threads, false, 1, PARALLEL_THREADS_MAX, "N",
         "1 unless told; the result does not depend on it"},
        {"seed", ARGS_INT, &run.seed, false, 0, 1e15, "N", "of the search, 1 unless told"},
        {"report", ARGS_TEXT, &run.report, false, 0, 0, "FILE.html", "report with hydrographs"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "FILE.json", "parameters, - for stdout"},
        {"manifest", ARGS_TEXT, &run.manifest, false, 0, 0, "FILE.json", "run manifest"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && strcmp(run.step, "daily") != 0 && strcmp(run.step, "hourly") != 0) {
        fprintf(stderr, "canhbao-model calibrate: --step: expected daily or hourly, got '%s'\n",
                run.step);
        code = MODEL_USAGE;
    }
    code = code != MODEL_DONE ? code : objective(&run);
    if (code == MODEL_DONE &&
        (work(&run, &err) != 0 ||
         run_manifest_write(run.manifest, "calibrate", options, RUN_MANIFEST_NO_TIME, &err) != 0)) {
        code = model_exit_of(argv[0], &err);
    }
    series_finish(&run.series);
    free(run.simulated);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_calibrate = {"calibrate", "fits GR4J/GR4H to observed runoff (CSV)",
                                      run_calibrate};
