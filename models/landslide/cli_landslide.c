/* canhbao-model landslide */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/series.h"
#include "models/landslide/landslide.h"
#include "models/landslide/model_landslide.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

static const char about[] =
    "Landslide indicators of one place at the end of an hourly rain series.\n"
    "\n"
    "rain, CSV:       time, P rain in mm per hour; empty = missing\n"
    "thresholds, CSV: rainfall_thresholds.csv (id, form, alpha, beta, duration_min_h, ...)\n"
    "risk, CSV:       risk_levels.csv; the rules of Article 46 of Decision 18/2021 for the zone\n"
    "out, CSV:        indicator, answer (yes, no, unknown), value, duration_h, note\n"
    "                 one row per threshold (value: largest intensity over the threshold), one "
    "for\n"
    "                 api_mm, one for article_46 (value: risk level; answer unknown: it may be\n"
    "                 higher, rain is missing)\n"
    "Missing rain counts as at least 0: it can confirm a threshold, never clear one.\n";

enum { THRESHOLDS_MAX = 64 };

struct run {
    const char *manifest;
    const char *rain;
    const char *thresholds;
    const char *risk;
    const char *zone;
    const char *susceptibility;
    const char *out;
    double factor;
    double rain_day_mm;
    struct series series;
    struct table *rules;
    struct table *curves;
};

static void write_row(struct table_out *out, const char *name, enum landslide_answer answer,
                      double value, double duration_h, const char *note) {
    static const char *const answers[] = {"no", "yes", "unknown"};
    table_out_text(out, name);
    table_out_text(out, answers[answer]);
    table_out_number(out, value);
    table_out_number(out, duration_h);
    table_out_text(out, note);
    table_out_end_row(out);
}

static double api_mm(const struct run *run) {
    const double *rain = series_column(&run->series, 0);
    size_t days = run->series.count / 24;
    size_t first = run->series.count - days * 24; /* days end with the newest hour */
    double *daily = calloc(days + 1, sizeof *daily);
    if (daily == NULL) {
        return NAN;
    }
    for (size_t i = 0; i < days * 24; i++) {
        daily[i / 24] += rain[first + i];
    }
    double api = landslide_api_mm(daily, days, run->factor);
    free(daily);
    return api;
}

static int write_all(const struct run *run, struct table_out *out, struct err *ret_err) {
    struct landslide_threshold curves[THRESHOLDS_MAX];
    struct landslide_class class_46;
    size_t count = 0;
    const double *rain = series_column(&run->series, 0);
    int rc = landslide_thresholds(run->curves, curves, THRESHOLDS_MAX, &count, ret_err);
    rc = rc != 0 ? rc
                 : landslide_article_46(run->rules, run->zone, run->susceptibility, rain,
                                        run->series.count, run->rain_day_mm, &class_46, ret_err);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        struct landslide_exceedance e = landslide_exceeds(&curves[i], rain, run->series.count);
        write_row(out, curves[i].id, e.answer, e.ratio, e.duration_h,
                  curves[i].provisional ? "provisional" : "");
    }
    double api = api_mm(run);
    write_row(out, "api_mm", isnan(api) ? LANDSLIDE_UNKNOWN : LANDSLIDE_YES, api, NAN,
              isnan(api) ? "rain of the window is missing" : "");
    write_row(out, "article_46",
              class_46.may_be_higher ? LANDSLIDE_UNKNOWN
              : class_46.level > 0   ? LANDSLIDE_YES
                                     : LANDSLIDE_NO,
              class_46.level, 24,
              class_46.level == 0 ? ""
              : class_46.literal  ? class_46.rule_id
                                  : "provisional: beyond the upper bounds of the clause");
    return 0;
}

static int work(struct run *run, struct err *ret_err) {
    static const struct series_column columns[] = {{"P", 0, 500, 0}};
    static const char *const names[] = {"indicator", "answer", "value", "duration_h", "note"};
    struct table_out out;
    int rc = series_read(run->rain, INT64_C(3600000000), columns, 1, &run->series, ret_err);
    rc = rc != 0 ? rc : table_read(run->thresholds, &run->curves, ret_err);
    rc = rc != 0 ? rc : table_read(run->risk, &run->rules, ret_err);
    rc = rc != 0 ? rc : table_out_open(&out, run->out, ret_err);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        table_out_text(&out, names[i]);
    }
    table_out_end_row(&out);
    rc = write_all(run, &out, ret_err);
    int closed = table_out_close(&out, rc == 0, rc == 0 ? ret_err : NULL);
    return rc != 0 ? rc : closed;
}

static bool is_susceptibility(const char *word) {
    return strcmp(word, "low") == 0 || strcmp(word, "medium") == 0 || strcmp(word, "high") == 0 ||
           strcmp(word, "very_high") == 0;
}

static int run_landslide(int argc, char **argv) {
    struct run run = {.factor = 0.85, .rain_day_mm = 0.1};
    const struct args_option options[] = {
        {"rain", ARGS_TEXT, &run.rain, true, 0, 0, "FILE.csv", "hourly rain"},
        {"thresholds", ARGS_TEXT, &run.thresholds, true, 0, 0, "FILE.csv", "rain thresholds"},
        {"risk", ARGS_TEXT, &run.risk, true, 0, 0, "FILE.csv", "rules of Article 46"},
        {"zone", ARGS_TEXT, &run.zone, true, 0, 0, "ZONE", "zone of the Decision, such as KV4"},
        {"susceptibility", ARGS_TEXT, &run.susceptibility, true, 0, 0, "WORD",
         "low, medium, high or very_high"},
        {"api-factor", ARGS_NUMBER, &run.factor, false, 0.5, 0.99, "K",
         "daily recession of the index, 0.85 unless told"},
        {"rain-day-mm", ARGS_NUMBER, &run.rain_day_mm, false, 0.1, 50, "MM",
         "rain of a rain day, 0.1 unless told (the Decision does not say)"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "FILE.csv", "result, - for stdout"},
        {"manifest", ARGS_TEXT, &run.manifest, false, 0, 0, "FILE.json", "run manifest"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && !is_susceptibility(run.susceptibility)) {
        fprintf(stderr,
                "canhbao-model landslide: --susceptibility: expected low, medium, high or "
                "very_high, got '%s'\n",
                run.susceptibility);
        code = MODEL_USAGE;
    }
    if (code == MODEL_DONE &&
        (work(&run, &err) != 0 ||
         run_manifest_write(run.manifest, "landslide", options,
                            series_time_us(&run.series, run.series.count), &err) != 0)) {
        code = model_exit_of(argv[0], &err);
    }
    series_finish(&run.series);
    table_destroy(run.rules);
    table_destroy(run.curves);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_landslide = {"landslide", "landslide indicators of one place (CSV)",
                                      run_landslide};
