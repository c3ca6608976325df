/* canhbao-model forecast */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "daemon/base/text.h"
#include "models/hydrology/forecast_out.h"
#include "models/hydrology/gr_members.h"
#include "models/hydrology/hydrology.h"
#include "models/hydrology/series.h"
#include "models/output/output.h"
#include "models/table/args.h"

enum {
    WARM_UP_H = 8760, /* without a saved state */
    STATE_LAG_H = 6,  /* so that the next run knows the newest errors */
    EVAPORATION_DAYS = 7,
};
static const int64_t hour_us = INT64_C(3600000000);

static const char about[] =
    "Stage and discharge of one gauge to 24 h and beyond: GR4H, updating from the gauge, bands.\n"
    "\n"
    "--observed  CSV, hourly: time (start of the hour), P and E (mm), and Qobs (m3/s) or stage "
    "(m).\n"
    "            Empty or left out = missing. The end of the last row is the reference time.\n"
    "            Without --state-in at least a year; else from one hour after the state.\n"
    "--rain      CSV, hourly: time, one column for each rain member (any names, mm), and E if\n"
    "            known (else that of the same hour of the last 7 days). Rows before the reference\n"
    "            time are ignored. From the first hour that a member does not have, bands and\n"
    "            probabilities are unknown. Without --rain only the floors are known.\n"
    "--update    what update --fit wrote for this gauge (m3/s), --parameters what calibrate wrote\n"
    "--levels    alarm levels I,II,III: stages in m with --rating, else discharges in m3/s\n"
    "\n"
    "Always shown beside the bands, no part of them: the zero-rain and the persistence member.\n"
    "Updating is dropped, and the output says open_loop, when the newest stage is missing or "
    "older\n"
    "than 2 h. Rain missing in the past: lower quantiles from a dry gap, upper from a wet one;\n"
    "median and probabilities unknown unless both agree.\n"
    "--out   JSON: model, reference_time, manifest, results, forecast (updating, levels, peak)\n"
    "--csv   time (end of the hour), lead_h, discharge_q05 ... q95 (m3/s), stage_q05 ... q95 (m),\n"
    "        floors, probability_level_N (at the lead), reached_level_N (by the lead), cause\n"
    "--nc    CF NetCDF time series with all members\n";

struct run {
    const char *gauge, *product, *observed, *rain, *parameters, *update, *rating, *levels;
    const char *state_in, *state_out, *out, *csv, *nc;
    double area_km2;
    int64_t leads;

    struct gr gr;
    struct gr_series state, saved;
    int64_t saved_us; /* start of the last hour in `saved` */
    struct series past, future;
    struct table *rain_table; /* holds the names */
    size_t member_count;
    const char *names[FORECAST_MEMBERS_MAX];
    struct update_model model;
    struct residual residual;
    struct rating curve;
    size_t first; /* row of `past` that follows the state */
    double *flow, *simulated, *members, *evaporation, *open, *wet;
    struct forecast_input input;
    struct forecast *forecast;
    int64_t reference_us;
    int missing_steps;
};

/* ---- reading ---- */

static int read_parameters(struct run *run, struct err *ret_err) {
    json_t *root = NULL;
    struct gr_parameters p = {0};
    const char *model = "";
    int rc = output_read_json(run->parameters, &root, ret_err);
    if (rc != 0) {
        return rc;
    }
    rc = json_unpack(root, "{s:s, s:{s:F, s:F, s:F, s:F}}", "model", &model, "parameters", "x1_mm",
                     &p.x1_mm, "x2_mm", &p.x2_mm, "x3_mm", &p.x3_mm, "x4", &p.x4);
    if (rc != 0 || strcmp(model, "gr4h") != 0) {
        rc = err_set(ret_err, ERR_INVALID,
                     "%s: expected \"model\": \"gr4h\" and \"parameters\": {x1_mm, x2_mm, x3_mm, "
                     "x4}",
                     run->parameters);
    }
    json_decref(root);
    return rc != 0
               ? rc
               : err_of(run->parameters, gr_init(&run->gr, GR_HOURLY, &p, false, ret_err), ret_err);
}

static int read_levels(struct run *run, struct err *ret_err) {
    const char *at = run->levels;
    while (at != NULL && *at != '\0') {
        char part[32];
        size_t length = strcspn(at, ",");
        if (length >= sizeof part || run->input.level_count == FORECAST_LEVELS_MAX) {
            return err_set(ret_err, ERR_SYNTAX, "--levels: expected up to %d numbers: '%s'",
                           FORECAST_LEVELS_MAX, run->levels);
        }
        memcpy(part, at, length);
        part[length] = '\0';
        if (text_parse_double(part, -1000, 1e7, &run->input.levels[run->input.level_count++]) !=
            0) {
            return err_set(ret_err, ERR_SYNTAX, "--levels: '%s' is not a number", part);
        }
        size_t count = run->input.level_count;
        if (at[length] == ',' && at[length + 1] == '\0') {
            return err_set(ret_err, ERR_SYNTAX, "--levels: nothing behind the last comma of '%s'",
                           run->levels);
        }
        if (count > 1 && run->input.levels[count - 1] <= run->input.levels[count - 2]) {
            return err_set(ret_err, ERR_RANGE, "--levels: '%s': each must be above the one before",
                           run->levels);
        }
        at += length + (at[length] == ',');
    }
    return 0;
}

static int read_past(struct run *run, struct err *ret_err) {
    static const struct series_column columns[] = {
        {"P", 0, 500, 0}, {"E", 0, 50, 0}, {"Qobs", 0, 1e7, 1}, {"stage", -1000, 10000, 1}};
    int rc = series_read(run->observed, hour_us, columns, 4, &run->past, ret_err);
    if (rc != 0) {
        return rc;
    }
    bool has_flow = table_has(run->past.table, "Qobs");
    bool has_stage = table_has(run->past.table, "stage");
    if (has_flow == has_stage || (has_stage && run->rating == NULL)) {
        return err_set(ret_err, ERR_INVALID,
                       "%s: expected either a column Qobs, or a column stage and --rating",
                       run->observed);
    }
    run->flow = calloc(run->past.count, sizeof *run->flow);
    run->simulated = calloc(run->past.count, sizeof *run->simulated);
    if (run->flow == NULL || run->simulated == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu hours", run->past.count);
    }
    for (size_t t = 0; t < run->past.count; t++) {
        run->flow[t] = has_flow
                           ? series_column(&run->past, 2)[t]
                           : rating_flow(&run->curve, series_column(&run->past, 3)[t]).flow_m3_s;
    }
    run->reference_us = series_time_us(&run->past, run->past.count - 1) + hour_us;
    return 0;
}

static int read_members(struct run *run, struct err *ret_err) {
    static const struct series_column e = {"E", 0, 50, 1};
    struct series_column columns[FORECAST_MEMBERS_MAX + 1];
    if (run->rain == NULL) {
        return 0;
    }
    int rc = table_read(run->rain, &run->rain_table, ret_err);
    if (rc != 0) {
        return rc;
    }
    for (size_t c = 0; c < table_columns(run->rain_table); c++) {
        const char *name = table_name(run->rain_table, c);
        if (strcmp(name, "time") == 0 || strcmp(name, "E") == 0) {
            continue;
        }
        if (run->member_count == FORECAST_MEMBERS_MAX) {
            return err_set(ret_err, ERR_LIMIT, "%s: more than %d members", run->rain,
                           FORECAST_MEMBERS_MAX);
        }
        columns[run->member_count] = (struct series_column){name, 0, 500, 0};
        run->names[run->member_count++] = name;
    }
    if (run->member_count == 0) {
        return err_set(ret_err, ERR_INVALID, "%s: no column of a member", run->rain);
    }
    columns[run->member_count] = e;
    return series_read(run->rain, hour_us, columns, run->member_count + 1, &run->future, ret_err);
}

static int read_models(struct run *run, struct err *ret_err) {
    int rc = read_parameters(run, ret_err);
    rc = rc != 0 ? rc : read_levels(run, ret_err);
    rc = rc != 0 ? rc : update_load(run->update, &run->model, ret_err);
    rc = rc != 0 ? rc : residual_load(run->update, &run->residual, ret_err);
    if (rc == 0 && run->model.step_s != 3600) {
        rc = err_set(ret_err, ERR_INVALID, "%s: fitted on steps of %g s, expected 3600",
                     run->update, run->model.step_s);
    }
    if (rc == 0 && run->rating != NULL) {
        rc = rating_load(run->rating, &run->curve, ret_err);
    }
    return rc;
}

/* ---- the past ---- */

static int start_state(struct run *run, struct err *ret_err) {
    if (run->state_in == NULL) {
        if (run->past.count < WARM_UP_H) {
            return err_set(ret_err, ERR_INVALID,
                           "%s: %zu h are too short to warm the stores up; %d h, or --state-in, "
                           "are needed",
                           run->observed, run->past.count, WARM_UP_H);
        }
        gr_series_start(&run->gr, &run->state);
        return 0;
    }
    int rc = gr_series_load(run->state_in, &run->gr, &run->state, &run->saved_us, ret_err);
    int64_t since_us = run->saved_us + hour_us - run->past.start_us;
    if (rc == 0 && (since_us < 0 || since_us % hour_us != 0 ||
                    (uint64_t)(since_us / hour_us) >= run->past.count)) {
        return err_set(ret_err, ERR_INVALID,
                       "%s: has no row for the hour that follows the state of %s", run->observed,
                       run->state_in);
    }
    run->first = rc == 0 ? (size_t)(since_us / hour_us) : 0;
    return rc;
}

/* Through the past; keeps the state of STATE_LAG_H hours before the end. */
static void run_past(struct run *run) {
    struct gr_balance balance = {0};
    const double *rain = series_column(&run->past, 0), *evaporation = series_column(&run->past, 1);
    double mm_to_flow = run->area_km2 / 3.6;
    run->saved = run->state;
    for (size_t t = 0; t < run->past.count; t++) {
        double runoff_mm = NAN;
        if (t >= run->first) {
            enum gr_mark mark = gr_series_step(&run->gr, &run->state, rain[t], evaporation[t],
                                               &balance, &runoff_mm, NULL);
            run->missing_steps += mark == GR_MISSING;
        }
        run->simulated[t] = runoff_mm * mm_to_flow;
        if (t >= run->first && t + STATE_LAG_H + 1 <= run->past.count) {
            run->saved = run->state;
            run->saved_us = series_time_us(&run->past, t);
        }
    }
}

/* ---- the future ---- */

/* The value of a column for the hour that begins at `utc_us`. */
static double value_at(const struct series *series, size_t column, int64_t utc_us) {
    int64_t since_us = utc_us - series->start_us;
    if (series->count == 0 || since_us < 0 || since_us % hour_us != 0 ||
        (uint64_t)(since_us / hour_us) >= series->count) {
        return NAN;
    }
    return series_column(series, column)[since_us / hour_us];
}

static double evaporation_at(const struct run *run, int64_t utc_us) {
    double e =
        run->future.count > 0 ? value_at(&run->future, run->member_count, utc_us) : (double)NAN;
    for (int day = 1; isnan(e) && day <= EVAPORATION_DAYS; day++) {
        e = value_at(&run->past, 1, utc_us - day * 24 * hour_us);
    }
    return e;
}

static int fill_input(struct run *run, struct err *ret_err) {
    size_t leads = (size_t)run->leads;
    run->members = calloc(run->member_count * leads + 1, sizeof *run->members);
    run->evaporation = calloc(leads, sizeof *run->evaporation);
    run->open = calloc((run->member_count + 2) * leads, sizeof *run->open);
    run->wet = calloc((run->member_count + 2) * leads, sizeof *run->wet);
    if (run->members == NULL || run->evaporation == NULL || run->open == NULL || run->wet == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the members");
    }
    for (size_t k = 0; k < leads; k++) {
        int64_t hour = run->reference_us + (int64_t)k * hour_us;
        run->evaporation[k] = evaporation_at(run, hour);
        for (size_t m = 0; m < run->member_count; m++) {
            run->members[m * leads + k] = value_at(&run->future, m, hour);
        }
    }
    struct gr_rain rain = {(int)leads, run->member_count, run->members,
                           series_column(&run->past, 0)[run->past.count - 1], run->evaporation};
    double m3_s_per_mm = run->area_km2 / 3.6;
    gr_members_run(&run->gr, &run->state.dry, &rain, m3_s_per_mm, run->open);
    if (run->state.recovering) {
        gr_members_run(&run->gr, &run->state.wet, &rain, m3_s_per_mm, run->wet);
    }
    struct forecast_input *in = &run->input;
    in->flow_m3_s = run->open;
    in->wet_flow_m3_s = run->state.recovering ? run->wet : NULL;
    in->past_count = run->past.count;
    in->observed_m3_s = run->flow;
    in->simulated_m3_s = run->simulated;
    in->leads = (int)leads;
    in->member_count = run->member_count;
    in->update = &run->model;
    in->residual = &run->residual;
    in->rating = run->rating != NULL ? &run->curve : NULL;
    return 0;
}

/* ---- writing ---- */

static json_t *make_manifest(const struct run *run, struct err *ret_err) {
    const char *const files[] = {run->observed, run->rain,   run->parameters,
                                 run->update,   run->rating, run->state_in};
    char reference[32];
    text_format_time(run->reference_us, reference, sizeof reference);
    return manifest_of_files("forecast",
                             json_pack("{s:s, s:f, s:I, s:s?, s:s}", "gauge", run->gauge,
                                       "area_km2", run->area_km2, "leads_h", (json_int_t)run->leads,
                                       "levels", run->levels, "reference_time", reference),
                             files, sizeof files / sizeof *files, ret_err);
}

static int write_all(const struct run *run, struct err *ret_err) {
    const struct forecast_labels labels = {run->gauge, run->product, run->reference_us, run->names};
    char hash[HASH_TEXT_SIZE];
    json_t *manifest = make_manifest(run, ret_err);
    if (manifest == NULL || manifest_hash(manifest, hash) != 0) {
        json_decref(manifest);
        return ret_err->code != 0 ? ret_err->code : err_set(ret_err, ERR_MEMORY, "no memory");
    }
    json_t *summary = forecast_summary(&run->input, run->forecast);
    (void)json_object_set_new(summary, "missing_rain_h", json_integer(run->missing_steps));
    json_t *results = json_array();
    forecast_add_results(results, &run->input, run->forecast, &labels);
    json_t *root = output_object("forecast", run->product, run->reference_us, manifest, results);
    int rc = root == NULL || json_object_set_new(root, "forecast", summary) != 0
                 ? err_set(ret_err, ERR_MEMORY, "no memory for the output")
                 : 0;
    if (rc == 0 && run->csv != NULL) {
        rc = forecast_write_csv(run->csv, &run->input, run->forecast, &labels, ret_err);
    }
    if (rc == 0 && run->nc != NULL) {
        rc = forecast_write_nc(run->nc, &run->input, run->forecast, &labels, hash, ret_err);
    }
    if (rc == 0 && run->state_out != NULL) {
        rc = gr_series_save(run->state_out, &run->gr, &run->saved, run->saved_us, ret_err);
    }
    rc = rc != 0 ? rc : output_write_json(run->out, root, ret_err);
    json_decref(root);
    return rc;
}

static int work(struct run *run, struct err *ret_err) {
    int rc = read_models(run, ret_err);
    rc = rc != 0 ? rc : read_past(run, ret_err);
    rc = rc != 0 ? rc : read_members(run, ret_err);
    rc = rc != 0 ? rc : start_state(run, ret_err);
    if (rc != 0) {
        return rc;
    }
    run_past(run);
    rc = fill_input(run, ret_err);
    rc = rc != 0 ? rc : forecast_run(&run->input, &run->forecast, ret_err);
    rc = rc != 0 ? rc : write_all(run, ret_err);
    if (rc == 0) {
        fprintf(stderr, "%s: %s, known to %d h, %d hours without rain in the past%s\n", run->gauge,
                forecast_mark_name(run->forecast->mark), run->forecast->horizon, run->missing_steps,
                run->forecast->recovering ? ", recovering" : "");
    }
    return rc;
}

static void finish(struct run *run) {
    series_finish(&run->past);
    series_finish(&run->future);
    table_destroy(run->rain_table);
    forecast_destroy(run->forecast);
    free(run->flow);
    free(run->simulated);
    free(run->members);
    free(run->evaporation);
    free(run->open);
    free(run->wet);
    free(run);
}

static int run_forecast(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return MODEL_FAILED;
    }
    run->leads = 24;
    run->product = "";
    const struct args_option options[] = {
        {"gauge", ARGS_TEXT, &run->gauge, true, 0, 0, "ID", "place of the results"},
        {"product", ARGS_TEXT, &run->product, false, 0, 0, "NAME", "written into the output"},
        {"observed", ARGS_TEXT, &run->observed, true, 0, 0, "FILE.csv", "past, see above"},
        {"rain", ARGS_TEXT, &run->rain, false, 0, 0, "FILE.csv", "rain members, see above"},
        {"parameters", ARGS_TEXT, &run->parameters, true, 0, 0, "FILE.json", "GR4H, of calibrate"},
        {"area-km2", ARGS_NUMBER, &run->area_km2, true, 1e-3, 1e7, "KM2", "catchment"},
        {"update", ARGS_TEXT, &run->update, true, 0, 0, "FILE.json", "of update --fit"},
        {"rating", ARGS_TEXT, &run->rating, false, 0, 0, "FILE.json", "curve, of rating"},
        {"levels", ARGS_TEXT, &run->levels, false, 0, 0, "I,II,III", "alarm levels"},
        {"leads", ARGS_INT, &run->leads, false, 1, FORECAST_LEADS_MAX, "H", "24 unless told"},
        {"state-in", ARGS_TEXT, &run->state_in, false, 0, 0, "FILE.json", "continue from a state"},
        {"state-out", ARGS_TEXT, &run->state_out, false, 0, 0, "FILE.json",
         "state of 6 h before the reference time"},
        {"csv", ARGS_TEXT, &run->csv, false, 0, 0, "FILE.csv", "table of the bands"},
        {"nc", ARGS_TEXT, &run->nc, false, 0, 0, "FILE.nc", "CF NetCDF with the members"},
        {"out", ARGS_TEXT, &run->out, true, 0, 0, "FILE.json", "result, - for stdout"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE &&
        (!text_is_id(run->gauge) || (run->product[0] != '\0' && !text_is_id(run->product)))) {
        fprintf(stderr, "canhbao-model forecast: --gauge and --product: expected an id\n");
        code = MODEL_USAGE;
    }
    if (code == MODEL_DONE && work(run, &err) != 0) {
        code = model_exit_of(argv[0], &err);
    }
    finish(run);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_forecast = {
    "forecast", "stage and discharge of one gauge to 24 h, bands, alarm levels", run_forecast};
