/* canhbao-model ffg */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/ffg.h"
#include "models/hydrology/gr_series.h"
#include "models/hydrology/hydrology.h"
#include "models/hydrology/series.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

static const char about[] =
    "Flash-flood guidance of one catchment: the rain over the next 1, 3 and 6 h whose peak just\n"
    "reaches a threshold flow, by inverting GR4H from its state at the end of the forcing.\n"
    "\n"
    "FILE in, CSV:  time, P rain, E potential evaporation, mm per hour; empty = missing\n"
    "FILE out, CSV: duration_h; ffg_mm; mark: ok, reached (the threshold is reached without more\n"
    "               rain), cap (300 mm do not reach it: ffg empty); ffg_wet_mm: the guidance if a\n"
    "               gap in the forcing was very wet, equal to ffg_mm when nothing is missing; "
    "state:\n"
    "               ok or recovering; peak_m3_s and peak_h: flow and hours ahead of the peak with\n"
    "               that rain; unit_m3_s_km2: the threshold as unit streamflow;\n"
    "               rain_mm: rain of the last duration_h hours; ffg_then_mm: the guidance that "
    "stood\n"
    "               before it; ratio: rain over that guidance (the usual alarm at 1 is far from "
    "the\n"
    "               best one, which was 2 to 2.5 in the US record of 2018/19);\n"
    "               rain_ahead_mm and ratio_ahead: of the windows that begin 0 to duration_h - 1\n"
    "               hours ago and end within --forecast, the one with the largest ratio of\n"
    "               observed plus forecast rain over the guidance at its start\n"
    "--forecast, CSV: time, P rain, mm per hour: the hours after the forcing\n";

static const int durations_h[] = {1, 3, 6};
enum { DURATIONS = 3, BACK_MAX = 6 };

struct run {
    const char *manifest;
    const char *forcing;
    const char *out;
    const char *state_in;
    const char *forecast;
    double ahead_mm[BACK_MAX]; /* rain of the hours to come; NaN unknown */
    double area_km2;
    double threshold_m3_s;
    struct gr_parameters parameters;
    struct gr gr;
    struct gr_series now;
    struct gr_series back[BACK_MAX + 1]; /* the state 0 to 6 hours before the end */
    struct series series;
};

static int start(struct run *run, struct err *ret_err) {
    int64_t utc_us = 0;
    if (run->state_in == NULL) {
        gr_series_start(&run->gr, &run->now);
        return 0;
    }
    int rc = gr_series_load(run->state_in, &run->gr, &run->now, &utc_us, ret_err);
    if (rc == 0 && run->series.start_us != utc_us + run->series.step_us) {
        rc = err_set(ret_err, ERR_INVALID, "%s: the forcing does not begin one hour after %s",
                     run->forcing, run->state_in);
    }
    return rc;
}

static void run_forcing(struct run *run) {
    struct gr_balance balance = {0};
    size_t count = run->series.count;
    for (size_t i = 0; i < count; i++) {
        double q = 0;
        if (count - i <= BACK_MAX) {
            run->back[count - i] = run->now;
        }
        (void)gr_series_step(&run->gr, &run->now, series_column(&run->series, 0)[i],
                             series_column(&run->series, 1)[i], &balance, &q, NULL);
    }
    run->back[0] = run->now;
}

static double last_rain_mm(const struct run *run, int hours) {
    double sum = 0;
    for (size_t i = run->series.count - (size_t)hours; i < run->series.count; i++) {
        sum += series_column(&run->series, 0)[i];
    }
    return sum;
}

/* The hours after the forcing; all unknown without --forecast. */
static int read_forecast(struct run *run, struct err *ret_err) {
    static const struct series_column column = {"P", 0, 2000, 0};
    struct series series = {0};
    for (int k = 0; k < BACK_MAX; k++) {
        run->ahead_mm[k] = NAN;
    }
    if (run->forecast == NULL) {
        return 0;
    }
    int rc = series_read(run->forecast, INT64_C(3600000000), &column, 1, &series, ret_err);
    int64_t end_us = series_time_us(&run->series, run->series.count);
    for (size_t i = 0; rc == 0 && i < series.count; i++) {
        int64_t k = (series_time_us(&series, i) - end_us) / INT64_C(3600000000);
        if ((series_time_us(&series, i) - end_us) % INT64_C(3600000000) != 0) {
            rc = err_set(ret_err, ERR_INVALID, "%.200s: not on the hours of the forcing",
                         run->forecast);
        } else if (k >= 0 && k < BACK_MAX) {
            run->ahead_mm[k] = series_column(&series, 0)[i];
        }
    }
    series_finish(&series);
    return rc;
}

/* The window of observed and forecast rain with the largest ratio; NaN when none is known. */
static int look_ahead(const struct run *run, int hours, double threshold, double *ret_ratio,
                      double *ret_rain_mm, struct err *ret_err) {
    *ret_ratio = *ret_rain_mm = NAN;
    for (int back = 0; back < hours; back++) {
        double rain_mm = last_rain_mm(run, back);
        struct ffg then;
        for (int k = 0; k < hours - back; k++) {
            rain_mm += run->ahead_mm[k];
        }
        int rc = ffg_depth(&run->gr, &run->back[back].dry, hours, threshold, &then, ret_err);
        if (rc != 0) {
            return rc;
        }
        double ratio = rain_mm / then.depth_mm;
        if (then.mark == FFG_OK && !run->back[back].recovering && !isnan(ratio) &&
            !(*ret_ratio >= ratio)) {
            *ret_ratio = ratio;
            *ret_rain_mm = rain_mm;
        }
    }
    return 0;
}

static int write_duration(const struct run *run, int hours, struct table_out *out,
                          struct err *ret_err) {
    static const char *const marks[] = {"ok", "reached", "cap"};
    const double to_m3_s = run->area_km2 / 3.6;
    const double threshold = run->threshold_m3_s / to_m3_s;
    struct ffg dry, wet, then;
    const struct gr_series *now = &run->now;
    int rc = ffg_depth(&run->gr, &now->dry, hours, threshold, &dry, ret_err);
    rc = rc != 0 ? rc
                 : ffg_depth(&run->gr, now->recovering ? &now->wet : &now->dry, hours, threshold,
                             &wet, ret_err);
    rc =
        rc != 0 ? rc : ffg_depth(&run->gr, &run->back[hours].dry, hours, threshold, &then, ret_err);
    if (rc != 0) {
        return rc;
    }
    double ratio_ahead = NAN, ahead_mm = NAN;
    rc = look_ahead(run, hours, threshold, &ratio_ahead, &ahead_mm, ret_err);
    if (rc != 0) {
        return rc;
    }
    double rain_mm = last_rain_mm(run, hours);
    /* Above the cap the ratio is only known to be small, under a reached threshold to be large. */
    double ratio =
        then.mark == FFG_OK && !run->back[hours].recovering ? rain_mm / then.depth_mm : NAN;
    table_out_number(out, hours);
    table_out_number(out, dry.depth_mm);
    table_out_text(out, marks[dry.mark]);
    table_out_number(out, wet.depth_mm);
    table_out_text(out, now->recovering ? "recovering" : "ok");
    table_out_number(out, dry.peak_mm_h * to_m3_s);
    table_out_number(out, dry.peak_h);
    table_out_number(out, run->threshold_m3_s / run->area_km2);
    table_out_number(out, rain_mm);
    table_out_number(out, then.depth_mm);
    table_out_number(out, ratio);
    table_out_number(out, ahead_mm);
    table_out_number(out, ratio_ahead);
    table_out_end_row(out);
    return 0;
}

static int work(struct run *run, struct err *ret_err) {
    static const struct series_column columns[] = {{"P", 0, 2000, 0}, {"E", 0, 200, 0}};
    static const char *const names[] = {"duration_h", "ffg_mm",      "mark",   "ffg_wet_mm",
                                        "state",      "peak_m3_s",   "peak_h", "unit_m3_s_km2",
                                        "rain_mm",    "ffg_then_mm", "ratio",  "rain_ahead_mm",
                                        "ratio_ahead"};
    struct table_out out;
    int rc = gr_init(&run->gr, GR_HOURLY, &run->parameters, false, ret_err);
    rc = rc != 0
             ? rc
             : series_read(run->forcing, INT64_C(3600000000), columns, 2, &run->series, ret_err);
    if (rc == 0 && run->series.count < BACK_MAX) {
        rc = err_set(ret_err, ERR_INVALID, "%s: %zu hours; at least %d are needed", run->forcing,
                     run->series.count, BACK_MAX);
    }
    rc = rc != 0 ? rc : start(run, ret_err);
    rc = rc != 0 ? rc : read_forecast(run, ret_err);
    rc = rc != 0 ? rc : table_out_open(&out, run->out, ret_err);
    if (rc != 0) {
        return rc;
    }
    run_forcing(run);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        table_out_text(&out, names[i]);
    }
    table_out_end_row(&out);
    for (int i = 0; rc == 0 && i < DURATIONS; i++) {
        rc = write_duration(run, durations_h[i], &out, ret_err);
    }
    int closed = table_out_close(&out, rc == 0, rc == 0 ? ret_err : NULL);
    return rc != 0 ? rc : closed;
}

static int run_ffg(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return MODEL_FAILED;
    }
    const struct args_option options[] = {
        {"forcing", ARGS_TEXT, &run->forcing, true, 0, 0, "FILE.csv", "rain and evaporation"},
        {"x1", ARGS_NUMBER, &run->parameters.x1_mm, true, 1e-2, 1e5, "MM", "production store"},
        {"x2", ARGS_NUMBER, &run->parameters.x2_mm, true, -1e3, 1e3, "MM", "exchange per hour"},
        {"x3", ARGS_NUMBER, &run->parameters.x3_mm, true, 1e-2, 1e5, "MM", "routing store"},
        {"x4", ARGS_NUMBER, &run->parameters.x4, true, 0.5, 480, "HOURS", "unit hydrograph base"},
        {"area-km2", ARGS_NUMBER, &run->area_km2, true, 1e-3, 1e6, "KM2", "catchment"},
        {"threshold-m3-s", ARGS_NUMBER, &run->threshold_m3_s, true, 1e-6, 1e6, "M3_S",
         "flow that floods: bankfull, or a stage through the rating"},
        {"state-in", ARGS_TEXT, &run->state_in, false, 0, 0, "FILE.json", "continue from a state"},
        {"forecast", ARGS_TEXT, &run->forecast, false, 0, 0, "FILE.csv", "rain to come"},
        {"out", ARGS_TEXT, &run->out, true, 0, 0, "FILE.csv", "result, - for stdout"},
        {"manifest", ARGS_TEXT, &run->manifest, false, 0, 0, "FILE.json", "run manifest"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE &&
        (work(run, &err) != 0 ||
         run_manifest_write(run->manifest, "ffg", options,
                            series_time_us(&run->series, run->series.count), &err) != 0)) {
        code = model_exit_of(argv[0], &err);
    }
    series_finish(&run->series);
    free(run);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_ffg = {"ffg", "flash-flood guidance of one catchment (CSV)", run_ffg};
