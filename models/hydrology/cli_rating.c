/* canhbao-model rating */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/hydrology.h"
#include "models/hydrology/rating.h"
#include "models/hydrology/series.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

static const char about[] =
    "Rating curve of a gauge: Q = a (h - c)^b per segment, fitted in ln Q, or applied.\n"
    "\n"
    "--fit GAUGINGS.csv --out RATING.json\n"
    "    columns W stage in m, Q discharge in m3/s; all rows complete, Q above 0.\n"
    "    The file gets c, a and b per segment, rms_log (rms of ln Q), leave-one-out rms_log, the\n"
    "    gauged range and what the bands need; the figures are told on stdout.\n"
    "--apply RATING.json --stage FILE.csv --out FILE.csv\n"
    "    in:  time, H stage in m (empty: missing)\n"
    "    out: time, H, Q m3/s, Q05, Q25, Q75, Q95 (50 and 90 % band), mark:\n"
    "         ok, missing, below (under the lowest gauging: refused, Q empty), extrapolated "
    "(above\n"
    "         the highest gauging)\n";

struct run {
    const char *manifest;
    const char *fit;
    const char *apply;
    const char *stage;
    const char *out;
    int64_t segments;
};

static int read_gaugings(const char *path, double **ret_stage, double **ret_flow, size_t *ret_count,
                         struct err *ret_err) {
    struct table *table = NULL;
    size_t w = 0, q = 0;
    int rc = table_read(path, &table, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t count = table_rows(table);
    double *stage = calloc(count + 1, sizeof *stage);
    double *flow = calloc(count + 1, sizeof *flow);
    rc = stage == NULL || flow == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for gaugings") : 0;
    rc = rc != 0 ? rc : table_find(table, "W", &w, ret_err);
    rc = rc != 0 ? rc : table_find(table, "Q", &q, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, w, -1000, 9000, stage, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, q, 0, 1e6, flow, ret_err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (isnan(stage[i]) || !(flow[i] > 0)) {
            rc = table_refuse(table, i, isnan(stage[i]) ? w : q, ERR_INVALID, ret_err,
                              "a gauging needs a stage and a discharge above 0");
        }
    }
    table_destroy(table);
    if (rc != 0) {
        free(stage);
        free(flow);
        return rc;
    }
    *ret_stage = stage;
    *ret_flow = flow;
    *ret_count = count;
    return 0;
}

static int fit(const struct run *run, struct err *ret_err) {
    double *stage = NULL, *flow = NULL;
    size_t count = 0;
    struct rating r;
    int rc = read_gaugings(run->fit, &stage, &flow, &count, ret_err);
    rc = rc != 0 ? rc
                 : err_of(run->fit, rating_fit(stage, flow, count, (int)run->segments, &r, ret_err),
                          ret_err);
    rc = rc != 0 ? rc : rating_save(run->out, &r, ret_err);
    free(stage);
    free(flow);
    if (rc != 0) {
        return rc;
    }
    FILE *told = strcmp(run->out, "-") == 0 ? stderr : stdout;
    fprintf(told, "gaugings %d, stage %.3f to %.3f m, c %.4f m\n", r.count, r.lowest_m, r.highest_m,
            r.c_m);
    for (int s = 0; s < r.segments; s++) {
        double a = 0, b = 0;
        rating_power(&r, s, &a, &b);
        fprintf(told, "segment %d from %.3f m: a %.6g, b %.6g\n", s + 1,
                s == 0 ? r.lowest_m : r.break_m, a, b);
    }
    fprintf(
        told,
        "rms_log %.6f, sigma_log %.6f, leave-one-out rms_log %.6f, not predicted when left out: "
        "%d\n",
        r.rms_log, r.sigma_log, r.loo_rms_log, r.loo_refused);
    return 0;
}

static int apply(const struct run *run, struct err *ret_err) {
    static const struct series_column columns[] = {{"H", -1000, 9000, 0}};
    static const char *const names[] = {"time", "H", "Q", "Q05", "Q25", "Q75", "Q95", "mark"};
    static const char *const marks[] = {"ok", "missing", "below", "extrapolated"};
    struct rating rating;
    struct series series = {0};
    struct table_out out;
    int rc = rating_load(run->apply, &rating, ret_err);
    rc = rc != 0 ? rc : series_read(run->stage, 0, columns, 1, &series, ret_err);
    rc = rc != 0 ? rc : table_out_open(&out, run->out, ret_err);
    if (rc == 0) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            table_out_text(&out, names[i]);
        }
        table_out_end_row(&out);
        for (size_t i = 0; i < series.count; i++) {
            char time[TABLE_NAME_MAX];
            double stage_m = series_column(&series, 0)[i];
            struct rated q = rating_flow(&rating, stage_m);
            series_time_text(&series, i, time, sizeof time);
            table_out_text(&out, time);
            table_out_number(&out, stage_m);
            table_out_number(&out, q.flow_m3_s);
            table_out_number(&out, q.q05);
            table_out_number(&out, q.q25);
            table_out_number(&out, q.q75);
            table_out_number(&out, q.q95);
            table_out_text(&out, marks[q.mark]);
            table_out_end_row(&out);
        }
        rc = table_out_close(&out, true, ret_err);
    }
    series_finish(&series);
    return rc;
}

static int run_rating(int argc, char **argv) {
    struct run run = {.segments = 1};
    const struct args_option options[] = {
        {"fit", ARGS_TEXT, &run.fit, false, 0, 0, "FILE.csv", "gaugings to fit"},
        {"segments", ARGS_INT, &run.segments, false, 1, RATING_SEGMENTS_MAX, "N",
         "power laws, 1 unless told"},
        {"apply", ARGS_TEXT, &run.apply, false, 0, 0, "FILE.json", "rating to apply"},
        {"stage", ARGS_TEXT, &run.stage, false, 0, 0, "FILE.csv", "stages to turn into discharge"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "FILE", "rating or series, - for stdout"},
        {"manifest", ARGS_TEXT, &run.manifest, false, 0, 0, "FILE.json", "run manifest"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && (run.fit == NULL) == (run.apply == NULL)) {
        fprintf(stderr, "canhbao-model rating: either --fit, or --apply with --stage\n");
        code = MODEL_USAGE;
    }
    code = code != MODEL_DONE ? code
           : run.fit != NULL  ? args_check_way(argc, argv, options, "--fit", "fit", "segments")
                              : args_check_way(argc, argv, options, "--apply", "apply stage", "");
    if (code == MODEL_DONE &&
        ((run.fit != NULL ? fit(&run, &err) : apply(&run, &err)) != 0 ||
         run_manifest_write(run.manifest, "rating", options, RUN_MANIFEST_NO_TIME, &err) != 0)) {
        code = model_exit_of(argv[0], &err);
    }
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_rating = {"rating", "rating curve: fit gaugings, stage to discharge (CSV)",
                                   run_rating};
