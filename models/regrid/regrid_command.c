#include "models/regrid/regrid_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/grid/ncfile.h"
#include "models/grid/ncwrite.h"
#include "models/grid/regrid.h"
#include "models/table/args.h"

static const char about[] =
    "Brings the fields of a variable onto the grid of another file. Bilinear: the value at the\n"
    "centre of each cell. Conservative: the mean over each cell by the exact intersections, so\n"
    "that amounts are kept; half of a cell must have data. Out: CF NetCDF, one lead per field,\n"
    "counted from the first.\n";

struct run {
    const char *in_path, *like_path, *out, *variable, *like_variable, *units, *method;
    struct grid_env *env;
    struct ncfile *file, *like_file;
    struct ncvar *var, *like_var;
    struct grid *grid, *like_grid;
    struct regrid *regrid;
    int64_t *utc_us;
    int64_t *lead_s;
    float *from, *to;
};

/* The grid of any variable of a unit that we know. */
static int open_like(struct run *run, struct err *ret_err) {
    static const char *const units[] = {"mm h-1", "mm", "1", "m"};
    int result = ERR_INVALID;
    for (size_t i = 0; i < sizeof units / sizeof *units && result != 0 && result != ERR_NOT_FOUND;
         i++) {
        result = ncvar_open_ensemble(run->like_file, run->like_variable, "rainfall_rate", units[i],
                                     &run->like_var, ret_err);
    }
    return result == 0 ? ncvar_grid(run->like_var, &run->like_grid, ret_err) : result;
}

static int open_inputs(struct run *run, enum regrid_method *ret_method, struct err *ret_err) {
    *ret_method = REGRID_CONSERVATIVE;
    if (run->method != NULL && strcmp(run->method, "bilinear") == 0) {
        *ret_method = REGRID_BILINEAR;
    } else if (run->method != NULL && strcmp(run->method, "conservative") != 0) {
        return err_set(ret_err, ERR_INVALID,
                       "--method: bilinear or conservative expected, got '%s'", run->method);
    }
    int result = grid_env_create(NULL, &run->env, ret_err);
    result = result == 0 ? ncfile_open(run->env, run->in_path, &run->file, ret_err) : result;
    result = result == 0 ? ncvar_open(run->file, run->variable, "rainfall_rate", run->units,
                                      &run->var, ret_err)
                         : result;
    result = result == 0 ? ncvar_grid(run->var, &run->grid, ret_err) : result;
    result = result == 0 ? ncfile_open(run->env, run->like_path, &run->like_file, ret_err) : result;
    return result == 0 ? open_like(run, ret_err) : result;
}

static int allocate(struct run *run, struct err *ret_err) {
    size_t frames = ncvar_frame_count(run->var);
    run->utc_us = malloc(frames * sizeof *run->utc_us);
    run->lead_s = malloc(frames * sizeof *run->lead_s);
    run->from = malloc(run->grid->rows * run->grid->columns * sizeof *run->from);
    run->to = malloc(run->like_grid->rows * run->like_grid->columns * sizeof *run->to);
    if (run->utc_us == NULL || run->lead_s == NULL || run->from == NULL || run->to == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the fields");
    }
    int result = ncvar_times(run->var, INT64_MAX, run->utc_us, ret_err);
    for (size_t i = 0; i < frames && result == 0; i++) {
        run->lead_s[i] = (run->utc_us[i] - run->utc_us[0]) / 1000000;
    }
    return result;
}

static int write_out(struct run *run, struct err *ret_err) {
    char source[200];
    size_t frames = ncvar_frame_count(run->var);
    struct ncwrite_header header = {.grid = run->like_grid,
                                    .reference_utc_us = run->utc_us[0],
                                    .lead_count = frames,
                                    .lead_s = run->lead_s,
                                    .title = "fields on another grid",
                                    .history = source,
                                    .source = source};
    struct ncwrite_variable variable = {.name = ncvar_name(run->var),
                                        .standard_name =
                                            run->variable == NULL ? "rainfall_rate" : NULL,
                                        .units = run->units,
                                        .type = NCWRITE_FLOAT,
                                        .has_leads = true};
    struct ncwriter *writer = NULL;
    (void)snprintf(source, sizeof source, "canhbao-model regrid %s of %.100s", CANHBAO_VERSION,
                   ncfile_name(run->file));
    int result = ncwriter_create(run->out, &header, &variable, 1, &writer, ret_err);
    for (size_t i = 0; i < frames && result == 0; i++) {
        result = ncvar_read_f32(run->var, i, run->from, ret_err);
        if (result == 0) {
            regrid_apply(run->regrid, run->from, run->to);
            result = ncwriter_put(writer, 0, 0, i, run->to, ret_err);
        }
    }
    if (result != 0) {
        ncwriter_destroy(writer);
        return result;
    }
    return ncwriter_finish(writer, ret_err);
}

static void release(struct run *run) {
    free(run->utc_us);
    free(run->lead_s);
    free(run->from);
    free(run->to);
    regrid_destroy(run->regrid);
    grid_destroy(run->grid);
    grid_destroy(run->like_grid);
    ncvar_close(run->var);
    ncvar_close(run->like_var);
    ncfile_close(run->file);
    ncfile_close(run->like_file);
    grid_env_destroy(run->env);
}

static int run_regrid(int argc, char **argv) {
    struct run run = {.units = "mm h-1"};
    const struct args_option options[] = {
        {"in", ARGS_TEXT, &run.in_path, true, 0, 0, "FILE.nc", "the fields"},
        {"like", ARGS_TEXT, &run.like_path, true, 0, 0, "GRID.nc", "a file on the grid wanted"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "OUT.nc", "the fields on that grid"},
        {"method", ARGS_TEXT, &run.method, false, 0, 0, "NAME",
         "bilinear or conservative; default conservative"},
        {"variable", ARGS_TEXT, &run.variable, false, 0, 0, "NAME",
         "of FILE.nc; default: of standard_name rainfall_rate"},
        {"units", ARGS_TEXT, &run.units, false, 0, 0, "UNIT", "to write; default mm h-1"},
        {"like-variable", ARGS_TEXT, &run.like_variable, false, 0, 0, "NAME",
         "of GRID.nc; default: of standard_name rainfall_rate"},
        {.name = NULL},
    };
    int parsed = args_parse(argc, argv, options, about);
    if (parsed != MODEL_DONE) {
        return parsed == ARGS_HELPED ? MODEL_DONE : parsed;
    }
    struct err err = {0};
    enum regrid_method method;
    int result = open_inputs(&run, &method, &err);
    result = result == 0
                 ? regrid_create(run.env, run.grid, run.like_grid, method, &run.regrid, &err)
                 : result;
    result = result == 0 ? allocate(&run, &err) : result;
    result = result == 0 ? write_out(&run, &err) : result;
    release(&run);
    return result != 0 ? model_exit_of("regrid", &err) : MODEL_DONE;
}

const struct model model_regrid = {"regrid", "fields on the grid of another file", run_regrid};
