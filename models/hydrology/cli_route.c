/* canhbao-model route */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/hydrology.h"
#include "models/hydrology/muskingum.h"
#include "models/hydrology/reaches.h"
#include "models/hydrology/series.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

struct run {
    const char *method;
    const char *inflow;
    const char *network;
    const char *lateral;
    const char *release;
    const char *points;
    const char *state_in;
    const char *state_out;
    const char *out;
    const char *manifest;
    double k;
    double x;
    double m;
    struct cunge_reach reach;
};

static const char about[] =
    "Routes flow through one reach or a network of reaches.\n"
    "\n"
    "--method muskingum            S = K [X I + (1 - X) O], K in hours:       --inflow --k --x\n"
    "--method muskingum-nonlinear  S = K [X I + (1 - X) O]^m:                 --inflow --k --x "
    "--m\n"
    "--method cunge                variable-parameter Muskingum-Cunge (Todini 2007):\n"
    "                              --inflow --length-m --width-m --slope --manning\n"
    "--method kinematic            implicit kinematic wave on a network:      --network --lateral\n"
    "\n"
    "inflow, CSV:  time (RFC 3339 or without zone: UTC, fixed step), Qin m3/s; empty = missing\n"
    "network, CSV: id, downstream (empty: an outlet), length_m, width_m, slope (m/m), manning\n"
    "lateral, CSV: time, and one column named by the id of each reach: inflow from its own area\n"
    "              in m3/s over the step that begins at time\n"
    "release, CSV: time, and one column for each reservoir named by its id: the flow that leaves\n"
    "              it, m3/s; same times as lateral\n"
    "out, CSV:     time, Qout m3/s, mark (one reach); or time and for every outlet and every id "
    "of\n"
    "              --points two columns, its flow at the end of the step in m3/s, and id_mark\n"
    "mark: ok, missing (flow unknown, field empty), recovering (started again after a gap)\n"
    "The volume balance is reported on stderr.\n";

static int route_reach(const struct run *run, const struct series *series, double *outflow,
                       bool *recovering, struct err *ret_err) {
    const double *inflow = series_column(series, 0);
    double dt_h = (double)series->step_us / 3.6e9;
    double residual_m3 = 0;
    if (strcmp(run->method, "muskingum") == 0) {
        return muskingum_linear(run->k, run->x, dt_h, inflow, series->count, outflow, recovering,
                                ret_err);
    }
    if (strcmp(run->method, "muskingum-nonlinear") == 0) {
        return muskingum_nonlinear(run->k, run->x, run->m, dt_h, inflow, series->count, outflow,
                                   recovering, ret_err);
    }
    int rc = muskingum_cunge(&run->reach, dt_h * 3600, inflow, series->count, outflow, recovering,
                             &residual_m3, ret_err);
    if (rc == 0) {
        fprintf(stderr, "%zu steps; inflow - outflow - storage change: %.3g m3\n", series->count,
                residual_m3);
    }
    return rc;
}

static int write_reach(const struct run *run, const struct series *series, const double *outflow,
                       const bool *recovering, struct err *ret_err) {
    struct table_out out;
    int rc = table_out_open(&out, run->out, ret_err);
    if (rc != 0) {
        return rc;
    }
    table_out_text(&out, "time");
    table_out_text(&out, "Qout");
    table_out_text(&out, "mark");
    table_out_end_row(&out);
    for (size_t i = 0; i < series->count; i++) {
        char time[TABLE_NAME_MAX];
        series_time_text(series, i, time, sizeof time);
        table_out_text(&out, time);
        table_out_number(&out, outflow[i]);
        table_out_text(&out, isnan(outflow[i]) ? "missing" : recovering[i] ? "recovering" : "ok");
        table_out_end_row(&out);
    }
    return table_out_close(&out, true, ret_err);
}

static int run_reach(const struct run *run, struct err *ret_err) {
    static const struct series_column columns[] = {{"Qin", 0, 1e6, 0}};
    struct series series = {0};
    int rc = series_read(run->inflow, 0, columns, 1, &series, ret_err);
    double *outflow = rc == 0 ? calloc(series.count, sizeof *outflow) : NULL;
    bool *recovering = rc == 0 ? calloc(series.count, sizeof *recovering) : NULL;
    if (rc == 0 && (outflow == NULL || recovering == NULL)) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for %zu steps", series.count);
    }
    rc = rc != 0 ? rc : route_reach(run, &series, outflow, recovering, ret_err);
    rc = rc != 0 ? rc : write_reach(run, &series, outflow, recovering, ret_err);
    free(outflow);
    free(recovering);
    series_finish(&series);
    return rc;
}

/* The lateral or release columns of a file, named by reach ids. */
static int read_by_id(const char *path, const struct reaches *reaches, int optional,
                      struct series *ret_series, struct err *ret_err) {
    struct series_column *columns = calloc(reaches->count, sizeof *columns);
    if (columns == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu columns", reaches->count);
    }
    for (size_t i = 0; i < reaches->count; i++) {
        columns[i] = (struct series_column){reaches->ids[i], 0, 1e6, optional};
    }
    int rc = series_read(path, 0, columns, reaches->count, ret_series, ret_err);
    free(columns);
    return rc;
}

static void write_row(struct table_out *out, const struct reaches *reaches, const bool *shown) {
    static const char *const marks[] = {"ok", "missing", "recovering"};
    for (size_t i = 0; i < reaches->count; i++) {
        if (shown[i]) {
            int32_t p = reaches->network->place_of[i];
            table_out_number(out, reaches->kinematic->outflow_m3_s[p]);
            table_out_text(out, marks[reaches->kinematic->mark[p]]);
        }
    }
    table_out_end_row(out);
}

static void write_header(struct table_out *out, const struct reaches *reaches, const bool *shown) {
    table_out_text(out, "time");
    for (size_t i = 0; i < reaches->count; i++) {
        if (shown[i]) {
            char name[TABLE_NAME_MAX + 8];
            table_out_text(out, reaches->ids[i]);
            (void)snprintf(name, sizeof name, "%s_mark", reaches->ids[i]);
            table_out_text(out, name);
        }
    }
    table_out_end_row(out);
}

struct flood {
    struct reaches *reaches;
    const struct series *lateral;
    const struct series *release; /* NULL for none */
    double *by_place;
    double *release_by_place;
    bool *is_reservoir;
    bool *shown;
};

static int run_steps(const struct run *run, struct flood *flood, struct err *ret_err) {
    struct reaches *reaches = flood->reaches;
    const struct network *network = reaches->network;
    double dt_s = (double)flood->lateral->step_us / 1e6;
    double in_m3 = 0, out_m3 = 0;
    double before_m3 = kinematic_stored_m3(reaches->kinematic);
    struct kinematic_input input = {dt_s, flood->by_place, flood->is_reservoir,
                                    flood->release_by_place};
    struct table_out out;
    int rc = table_out_open(&out, run->out, ret_err);
    if (rc != 0) {
        return rc;
    }
    write_header(&out, reaches, flood->shown);
    for (size_t t = 0; t < flood->lateral->count; t++) {
        char time[TABLE_NAME_MAX];
        for (size_t p = 0; p < network->count; p++) {
            size_t cell = (size_t)network->cell_of[p];
            flood->by_place[p] = series_column(flood->lateral, cell)[t];
            in_m3 += flood->by_place[p] * dt_s;
            if (flood->release != NULL) {
                flood->release_by_place[p] = series_column(flood->release, cell)[t];
            }
        }
        kinematic_step(reaches->kinematic, &input);
        out_m3 += kinematic_outlet_m3_s(reaches->kinematic) * dt_s;
        series_time_text(flood->lateral, t, time, sizeof time);
        table_out_text(&out, time);
        write_row(&out, reaches, flood->shown);
    }
    double change_m3 = kinematic_stored_m3(reaches->kinematic) - before_m3;
    fprintf(stderr, "%zu reaches, %zu steps; volume m3: in %.3f, out %.3f, stored %.3f, residual ",
            network->count, flood->lateral->count, in_m3, out_m3, change_m3);
    double residual_m3 = in_m3 - out_m3 - change_m3;
    if (isnan(residual_m3)) {
        fputs("unknown (missing input)\n", stderr);
    } else {
        fprintf(stderr, "%.3g\n", residual_m3);
    }
    return table_out_close(&out, true, ret_err);
}

static int check_release(const struct run *run, struct flood *flood, struct err *ret_err) {
    if (flood->release == NULL) {
        return 0;
    }
    if (flood->release->count != flood->lateral->count ||
        flood->release->start_us != flood->lateral->start_us ||
        flood->release->step_us != flood->lateral->step_us) {
        return err_set(ret_err, ERR_INVALID, "%s: expected the same times as in %s", run->release,
                       run->lateral);
    }
    /* A reservoir under a mistyped name would count as a reach that nobody regulates. */
    for (size_t i = 0; i < table_columns(flood->release->table); i++) {
        const char *name = table_name(flood->release->table, i);
        if (strcmp(name, "time") != 0 && reaches_find(flood->reaches, name) < 0) {
            return err_set(ret_err, ERR_INVALID, "%s: column '%.60s': no reach has that id",
                           run->release, name);
        }
    }
    size_t found = 0;
    for (size_t i = 0; i < flood->reaches->count; i++) {
        bool is = table_has(flood->release->table, flood->reaches->ids[i]);
        flood->is_reservoir[flood->reaches->network->place_of[i]] = is;
        found += is ? 1 : 0;
    }
    return found > 0 ? 0
                     : err_set(ret_err, ERR_NOT_FOUND,
                               "%s: no column is named by the id of a reach, such as '%.60s'",
                               run->release, flood->reaches->ids[0]);
}

static int run_network(const struct run *run, struct err *ret_err) {
    struct reaches reaches = {0};
    struct series lateral = {0}, release = {0};
    struct flood flood = {.reaches = &reaches, .lateral = &lateral};
    int rc = reaches_read(run->network, &reaches, ret_err);
    rc = rc != 0 ? rc : read_by_id(run->lateral, &reaches, 0, &lateral, ret_err);
    if (rc == 0 && run->release != NULL) {
        rc = read_by_id(run->release, &reaches, 1, &release, ret_err);
        flood.release = &release;
    }
    if (rc == 0) {
        flood.by_place = calloc(reaches.count, sizeof(double));
        flood.release_by_place = calloc(reaches.count, sizeof(double));
        flood.is_reservoir = calloc(reaches.count, sizeof(bool));
        flood.shown = calloc(reaches.count, sizeof(bool));
        rc = flood.by_place == NULL || flood.release_by_place == NULL ||
                     flood.is_reservoir == NULL || flood.shown == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu reaches", reaches.count)
                 : 0;
    }
    rc = rc != 0 ? rc : check_release(run, &flood, ret_err);
    rc = rc != 0 ? rc : reaches_select(&reaches, run->points, flood.shown, ret_err);
    if (rc == 0 && run->state_in != NULL) {
        rc = reaches_load(run->state_in, &reaches, ret_err);
    }
    rc = rc != 0 ? rc : run_steps(run, &flood, ret_err);
    if (rc == 0 && run->state_out != NULL) {
        rc = reaches_save(run->state_out, &reaches, ret_err);
    }
    free(flood.by_place);
    free(flood.release_by_place);
    free(flood.is_reservoir);
    free(flood.shown);
    series_finish(&lateral);
    series_finish(&release);
    reaches_finish(&reaches);
    return rc;
}

/* What each method is told by. */
static const struct {
    const char *name, *way, *needs, *may;
} methods[] = {
    {"muskingum", "--method muskingum", "inflow k x", ""},
    {"muskingum-nonlinear", "--method muskingum-nonlinear", "inflow k x m", ""},
    {"cunge", "--method cunge", "inflow length-m width-m slope manning", ""},
    {"kinematic", "--method kinematic", "network lateral", "release points state-in state-out"},
};

static int check_usage(int argc, char **argv, const struct args_option *options,
                       const char *method) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(method, methods[i].name) == 0) {
            return args_check_way(argc, argv, options, methods[i].way, methods[i].needs,
                                  methods[i].may);
        }
    }
    fprintf(stderr,
            "canhbao-model route: --method: expected muskingum, muskingum-nonlinear, cunge or "
            "kinematic, got '%s'\n",
            method);
    return MODEL_USAGE;
}

static int run_route(int argc, char **argv) {
    struct run run = {0};
    const struct args_option options[] = {
        {"method", ARGS_TEXT, &run.method, true, 0, 0, "METHOD", "see above"},
        {"inflow", ARGS_TEXT, &run.inflow, false, 0, 0, "FILE.csv", "inflow of one reach, m3/s"},
        {"k", ARGS_NUMBER, &run.k, false, 1e-6, 1e6, "K", "storage constant (linear: hours)"},
        {"x", ARGS_NUMBER, &run.x, false, 0, 0.5, "X", "weight of the inflow, 0 to 0.5"},
        {"m", ARGS_NUMBER, &run.m, false, 0.5, 5, "M", "exponent of the non-linear form"},
        {"length-m", ARGS_NUMBER, &run.reach.length_m, false, 1, 1e7, "M", "length of the reach"},
        {"width-m", ARGS_NUMBER, &run.reach.width_m, false, 0.1, 1e5, "M", "width of the channel"},
        {"slope", ARGS_NUMBER, &run.reach.slope, false, 1e-6, 1, "S", "bed slope, m/m"},
        {"manning", ARGS_NUMBER, &run.reach.manning, false, 1e-3, 1, "N", "roughness, s m^-1/3"},
        {"network", ARGS_TEXT, &run.network, false, 0, 0, "FILE.csv", "reaches"},
        {"lateral", ARGS_TEXT, &run.lateral, false, 0, 0, "FILE.csv", "inflow from the land, m3/s"},
        {"release", ARGS_TEXT, &run.release, false, 0, 0, "FILE.csv", "reservoir releases, m3/s"},
        {"points", ARGS_TEXT, &run.points, false, 0, 0, "ID,ID", "reaches to show besides outlets"},
        {"state-in", ARGS_TEXT, &run.state_in, false, 0, 0, "FILE.csv", "continue (kinematic)"},
        {"state-out", ARGS_TEXT, &run.state_out, false, 0, 0, "FILE.csv", "save (kinematic)"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "FILE.csv", "result, - for stdout"},
        {"manifest", ARGS_TEXT, &run.manifest, false, 0, 0, "FILE.json", "run manifest"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    code = code != MODEL_DONE ? code : check_usage(argc, argv, options, run.method);
    if (code != MODEL_DONE) {
        return code == ARGS_HELPED ? MODEL_DONE : code;
    }
    int rc = strcmp(run.method, "kinematic") == 0 ? run_network(&run, &err) : run_reach(&run, &err);
    rc = rc != 0 ? rc
                 : run_manifest_write(run.manifest, "route", options, RUN_MANIFEST_NO_TIME, &err);
    return rc == 0 ? MODEL_DONE : model_exit_of(argv[0], &err);
}

const struct model model_route = {"route", "flood routing: Muskingum, Cunge, kinematic wave (CSV)",
                                  run_route};
