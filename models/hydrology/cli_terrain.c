/* canhbao-model terrain */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/grid/grid.h"
#include "models/grid/ncfile.h"
#include "models/grid/ncwrite.h"
#include "models/hydrology/hydrology.h"
#include "models/hydrology/terrain.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

static const char about[] =
    "Derives drainage from a digital elevation model in NetCDF (CF, projected in metres, or "
    "--cell-m).\n"
    "\n"
    "FILE in:  the variable of --variable in m, one frame; missing cells stay missing\n"
    "FILE out: filled (m), flow_direction (ESRI D8: 1 E, 2 SE, 4 S, 8 SW, 16 W, 32 NW, 64 N,\n"
    "          128 NE), cells_above (with the cell itself), basin (number of the outlet, from 1),\n"
    "          stream (1 from --stream-km2 of drained area on, else 0)\n";

struct run {
    const char *manifest;
    const char *dem;
    const char *variable;
    const char *out;
    double stream_km2;
    double cell_m; /* NaN: the grid tells */
    double dx_m, dy_m;
    struct grid *grid;
    double *dem_m, *filled_m;
    int32_t *d8, *cells, *basin;
    float *field;
};

enum { FIELDS = 5 };

/* Rows from north to south, or back. */
static size_t flipped(const struct grid *grid, size_t cell) {
    size_t last = grid->rows - 1;
    bool ascending = grid->curvilinear ? grid->lat[last * grid->columns] > grid->lat[0]
                                       : grid->y[last] > grid->y[0];
    size_t row = cell / grid->columns, column = cell % grid->columns;
    return (ascending ? grid->rows - 1 - row : row) * grid->columns + column;
}

/* The size of a cell: from a projected grid, else from --cell-m. */
static int measure(struct run *run, struct err *ret_err) {
    const struct grid *grid = run->grid;
    bool told = !isnan(run->cell_m);
    if (!told && (grid->curvilinear || grid->degrees)) {
        return err_set(ret_err, ERR_UNSUPPORTED,
                       "%s: not a projected grid in metres: --cell-m is needed", run->dem);
    }
    run->dx_m = told ? run->cell_m : fabs(grid->x[1] - grid->x[0]);
    run->dy_m = told ? run->cell_m : fabs(grid->y[1] - grid->y[0]);
    return 0;
}

static int read_dem(struct run *run, struct grid_env *env, struct err *ret_err) {
    struct ncfile *file = NULL;
    struct ncvar *var = NULL;
    int rc = ncfile_open(env, run->dem, &file, ret_err);
    rc = rc != 0 ? rc : ncvar_open(file, run->variable, NULL, "m", &var, ret_err);
    rc = rc != 0 ? rc : ncvar_grid(var, &run->grid, ret_err);
    rc = rc != 0 ? rc : measure(run, ret_err);
    if (rc == 0) {
        size_t cells = run->grid->rows * run->grid->columns;
        run->dem_m = calloc(cells, sizeof(double));
        run->filled_m = calloc(cells, sizeof(double));
        run->d8 = calloc(cells, sizeof(int32_t));
        run->cells = calloc(cells, sizeof(int32_t));
        run->basin = calloc(cells, sizeof(int32_t));
        run->field = calloc(cells, sizeof(float));
        rc = run->dem_m == NULL || run->filled_m == NULL || run->d8 == NULL || run->cells == NULL ||
                     run->basin == NULL || run->field == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", cells)
                 : 0;
        rc = rc != 0 ? rc : ncvar_read_f64(var, 0, run->filled_m, ret_err);
        for (size_t i = 0; rc == 0 && i < cells; i++) {
            run->dem_m[flipped(run->grid, i)] = run->filled_m[i];
        }
    }
    ncvar_close(var);
    ncfile_close(file);
    return rc;
}

static int write_fields(struct run *run, struct err *ret_err) {
    static const struct ncwrite_variable variables[FIELDS] = {
        {.name = "filled", .long_name = "elevation with pits filled", .units = "m"},
        {.name = "flow_direction", .long_name = "ESRI D8 flow direction", .units = "1"},
        {.name = "cells_above", .long_name = "cells that drain through the cell", .units = "1"},
        {.name = "basin", .long_name = "number of the outlet", .units = "1"},
        {.name = "stream", .long_name = "drained area reaches the threshold", .units = "1"}};
    const int64_t lead_s = 0;
    const struct grid *grid = run->grid;
    struct ncwrite_header header = {.grid = grid,
                                    .lead_count = 1,
                                    .lead_s = &lead_s,
                                    .title = "drainage derived from a digital elevation model",
                                    .source = "canhbao-model terrain"};
    struct ncwriter *writer = NULL;
    double cell_km2 = run->dx_m * run->dy_m * 1e-6;
    int rc = ncwriter_create(run->out, &header, variables, FIELDS, &writer, ret_err);
    for (size_t v = 0; rc == 0 && v < FIELDS; v++) {
        for (size_t i = 0; i < grid->rows * grid->columns; i++) {
            size_t c = flipped(grid, i);
            double value = v == 0   ? run->filled_m[c]
                           : v == 1 ? run->d8[c]
                           : v == 2 ? run->cells[c]
                           : v == 3 ? run->basin[c]
                                    : run->cells[c] * cell_km2 >= run->stream_km2;
            run->field[i] = run->d8[c] == 0 ? (float)NAN : (float)value;
        }
        rc = ncwriter_put(writer, v, 0, 0, run->field, ret_err);
    }
    if (rc != 0) {
        ncwriter_destroy(writer);
        return rc;
    }
    return ncwriter_finish(writer, ret_err);
}

static int run_terrain(int argc, char **argv) {
    struct run run = {.variable = "dem", .cell_m = NAN};
    struct grid_env *env = NULL;
    const struct args_option options[] = {
        {"dem", ARGS_TEXT, &run.dem, true, 0, 0, "FILE.nc", "elevation model"},
        {"variable", ARGS_TEXT, &run.variable, false, 0, 0, "NAME",
         "its variable, dem unless told"},
        {"cell-m", ARGS_NUMBER, &run.cell_m, false, 0.1, 1e5, "M",
         "size of a square cell, where the grid is not projected in metres"},
        {"stream-km2", ARGS_NUMBER, &run.stream_km2, true, 0, 1e6, "KM2",
         "drained area from which a cell is a stream"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "FILE.nc", "result"},
        {"manifest", ARGS_TEXT, &run.manifest, false, 0, 0, "FILE.json", "run manifest"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code != MODEL_DONE) {
        return code == ARGS_HELPED ? MODEL_DONE : code;
    }
    int rc = grid_env_create(NULL, &env, &err);
    rc = rc != 0 ? rc : read_dem(&run, env, &err);
    if (rc == 0) {
        const struct grid *g = run.grid;
        rc = terrain_drain(g->rows, g->columns, run.dx_m, run.dy_m, run.dem_m, run.filled_m, run.d8,
                           &err);
        rc = rc != 0 ? rc
                     : terrain_accumulate(g->rows, g->columns, run.d8, run.cells, run.basin, &err);
    }
    rc = rc != 0 ? rc : write_fields(&run, &err);
    rc = rc != 0 ? rc
                 : run_manifest_write(run.manifest, "terrain", options, RUN_MANIFEST_NO_TIME, &err);
    grid_destroy(run.grid);
    grid_env_destroy(env);
    free(run.dem_m);
    free(run.filled_m);
    free(run.d8);
    free(run.cells);
    free(run.basin);
    free(run.field);
    return rc == 0 ? MODEL_DONE : model_exit_of(argv[0], &err);
}

const struct model model_terrain = {"terrain", "drainage network from an elevation model (NetCDF)",
                                    run_terrain};
