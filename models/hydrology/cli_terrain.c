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
    "Derives drainage from a digital elevation model of the land in NetCDF.\n"
    "\n"
    "FILE in:  the variable of --variable, an elevation above sea level in m or what converts to\n"
    "          it, one frame; missing cells stay missing. A CF grid (projected in metres, or\n"
    "          longitude and latitude), or axes in metres alone: the result has no place then.\n"
    "FILE out: filled (m), flow_direction (ESRI D8: 1 E, 2 SE, 4 S, 8 SW, 16 W, 32 NW, 64 N,\n"
    "          128 NE), cells_above (with the cell itself), basin (number of the outlet, from 1),\n"
    "          stream (1 from --stream-km2 of drained area on, else 0)\n"
    "Refused: values that no land has (undeclared fill values, depths of the sea).\n";

struct run {
    const char *manifest;
    const char *dem;
    const char *variable;
    const char *out;
    double stream_km2;
    double cell_m; /* NaN: the grid tells */
    struct grid *grid;
    double *dx_m, *dy_m, *row_km2;       /* [rows], from north to south */
    double *dem_m, *filled_m, *area_km2; /* the last: drained */
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

/* Metres of one degree of latitude and of longitude on WGS 84 (Snyder 1987, eq. 4-18, 4-21). */
static void degree_m(double lat_deg, double *ret_dx_m, double *ret_dy_m) {
    const double radian = acos(-1) / 180, a_m = 6378137, e2 = 0.00669437999014;
    double sine = sin(lat_deg * radian), w = sqrt(1 - e2 * sine * sine);
    *ret_dx_m = radian * a_m * cos(lat_deg * radian) / w;
    *ret_dy_m = radian * a_m * (1 - e2) / (w * w * w);
}

/* Of a curvilinear grid the mean distance of its centres from one cell to another. */
static double mean_distance_m(const struct grid *grid, size_t from, size_t to, size_t steps) {
    double x_m = 0, y_m = 0;
    degree_m(0.5 * (grid->lat[from] + grid->lat[to]), &x_m, &y_m);
    return hypot(remainder(grid->lon[to] - grid->lon[from], 360) * x_m,
                 (grid->lat[to] - grid->lat[from]) * y_m) /
           (double)steps;
}

static double mean_step(const double *axis, size_t count) {
    return (axis[count - 1] - axis[0]) / (double)(count - 1);
}

/* Distances of cell centres in and across a row of the file. */
static void measure_row(const struct grid *grid, size_t row, double *ret_dx_m, double *ret_dy_m) {
    size_t n = grid->columns, last = grid->rows - 1, c = (n - 1) / 2;
    if (grid->curvilinear) {
        *ret_dx_m = mean_distance_m(grid, row * n, row * n + n - 1, n - 1);
        *ret_dy_m = mean_distance_m(grid, c, last * n + c, last);
        return;
    }
    *ret_dx_m = *ret_dy_m = 1;
    if (grid->degrees) {
        degree_m(grid->y[row], ret_dx_m, ret_dy_m);
    }
    *ret_dx_m *= fabs(mean_step(grid->x, n));
    *ret_dy_m *= fabs(mean_step(grid->y, grid->rows));
}

/* An axis of one distance, as D8 needs it: no centre off by more than a tenth of a cell, which
 * single precision may take of a second of arc. */
static bool is_even(const double *axis, size_t count) {
    double mean = mean_step(axis, count);
    for (size_t i = 1; i < count; i++) {
        if (fabs((axis[i] - axis[0]) / mean - (double)i) > 0.1) {
            return false;
        }
    }
    return true;
}

/* The size of the cells: from the grid, else from --cell-m. */
static int measure(struct run *run, struct err *ret_err) {
    const struct grid *grid = run->grid;
    if (!grid->curvilinear && !(is_even(grid->x, grid->columns) && is_even(grid->y, grid->rows))) {
        return err_set(ret_err, ERR_INVALID, "%.300s: the axes are not evenly spaced", run->dem);
    }
    for (size_t i = 0; i < grid->rows; i++) {
        size_t row = flipped(grid, i * grid->columns) / grid->columns;
        measure_row(grid, row, &run->dx_m[i], &run->dy_m[i]);
        if (!isnan(run->cell_m) && !(fabs(run->dx_m[i] / run->cell_m - 1) < 0.1) &&
            !grid->curvilinear) {
            return err_set(ret_err, ERR_INVALID,
                           "%.300s: --cell-m %g, but the cells of the grid are %.5g m wide",
                           run->dem, run->cell_m, run->dx_m[i]);
        }
        if (!isnan(run->cell_m)) {
            run->dx_m[i] = run->dy_m[i] = run->cell_m;
        }
        run->row_km2[i] = run->dx_m[i] * run->dy_m[i] * 1e-6;
    }
    return 0;
}

/* The grid of the file. One that has only axes in metres is read about a point that is then
 * forgotten: drainage needs no place. */
static int read_grid(struct run *run, struct ncvar *var, struct err *ret_err) {
    int rc = ncvar_grid(var, &run->grid, ret_err);
    if (rc == ERR_INVALID && ncvar_grid_local(var, 0, 0, &run->grid, NULL) == 0) {
        grid_mapping_finish(&run->grid->mapping);
        run->grid->crs[0] = '\0';
        fprintf(stderr, "%.300s: no grid_mapping: the result has no place on the ground either\n",
                run->dem);
        return 0;
    }
    return rc;
}

/* Heights above something, pointing up. */
static int check_meaning(const struct run *run, const struct ncvar *var, struct err *ret_err) {
    static const char *const good[] = {"altitude", "height", "elevation", "topograph", "terrain"};
    static const char *const attributes[] = {"standard_name", "positive", "units"};
    char text[3][128];
    bool bad[3] = {true, false, false};
    for (size_t i = 0; i < 3; i++) {
        ncvar_text(var, attributes[i], text[i], sizeof text[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        bad[0] = bad[0] && text[0][0] != '\0' && strstr(text[0], good[i]) == NULL;
    }
    bad[1] = strcmp(text[1], "down") == 0;
    bad[2] = strstr(text[2], "kg") != NULL; /* of water, which converts to a depth */
    for (size_t i = 0; i < 3; i++) {
        if (bad[i]) {
            return err_set(ret_err, ERR_INVALID,
                           "%.300s: variable %.60s: %s '%.100s' is none of a land surface's "
                           "elevation",
                           run->dem, ncvar_name(var), attributes[i], text[i]);
        }
    }
    if (ncvar_frame_count(var) > 1) {
        return err_set(ret_err, ERR_INVALID, "%.300s: variable %.60s: %zu frames, expected one",
                       run->dem, ncvar_name(var), ncvar_frame_count(var));
    }
    return 0;
}

static int make_room(struct run *run, struct err *ret_err) {
    size_t rows = run->grid->rows, cells = rows * run->grid->columns;
    run->dx_m = calloc(rows, sizeof(double));
    run->dy_m = calloc(rows, sizeof(double));
    run->row_km2 = calloc(rows, sizeof(double));
    run->dem_m = calloc(cells, sizeof(double));
    run->filled_m = calloc(cells, sizeof(double));
    run->area_km2 = calloc(cells, sizeof(double));
    run->d8 = calloc(cells, sizeof(int32_t));
    run->cells = calloc(cells, sizeof(int32_t));
    run->basin = calloc(cells, sizeof(int32_t));
    run->field = calloc(cells, sizeof(float));
    return run->dx_m == NULL || run->dy_m == NULL || run->row_km2 == NULL || run->dem_m == NULL ||
                   run->filled_m == NULL || run->area_km2 == NULL || run->d8 == NULL ||
                   run->cells == NULL || run->basin == NULL || run->field == NULL
               ? err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", cells)
               : 0;
}

static int read_dem(struct run *run, struct grid_env *env, struct err *ret_err) {
    struct ncfile *file = NULL;
    struct ncvar *var = NULL;
    int rc = ncfile_open(env, run->dem, &file, ret_err);
    rc = rc != 0 ? rc : ncvar_open(file, run->variable, NULL, "m", &var, ret_err);
    rc = rc != 0 ? rc : check_meaning(run, var, ret_err);
    rc = rc != 0 ? rc : read_grid(run, var, ret_err);
    rc = rc != 0 ? rc : make_room(run, ret_err);
    rc = rc != 0 ? rc : measure(run, ret_err);
    rc = rc != 0 ? rc : ncvar_read_f64(var, 0, run->filled_m, ret_err);
    for (size_t i = 0; rc == 0 && i < run->grid->rows * run->grid->columns; i++) {
        run->dem_m[flipped(run->grid, i)] = run->filled_m[i];
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
    int rc = ncwriter_create(run->out, &header, variables, FIELDS, &writer, ret_err);
    for (size_t v = 0; rc == 0 && v < FIELDS; v++) {
        for (size_t i = 0; i < grid->rows * grid->columns; i++) {
            size_t c = flipped(grid, i);
            double value = v == 0   ? run->filled_m[c]
                           : v == 1 ? run->d8[c]
                           : v == 2 ? run->cells[c]
                           : v == 3 ? run->basin[c]
                                    : run->area_km2[c] >= run->stream_km2;
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
         "size of a square cell instead of what the grid tells; within 10 % of it"},
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
        rc = err_of(run.dem,
                    terrain_drain(g->rows, g->columns, run.dx_m, run.dy_m, run.dem_m, run.filled_m,
                                  run.d8, &err),
                    &err);
        rc = rc != 0 ? rc
                     : terrain_accumulate(g->rows, g->columns, run.d8, run.row_km2, run.cells,
                                          run.area_km2, run.basin, &err);
    }
    rc = rc != 0 ? rc : write_fields(&run, &err);
    rc = rc != 0 ? rc
                 : run_manifest_write(run.manifest, "terrain", options, RUN_MANIFEST_NO_TIME, &err);
    grid_destroy(run.grid);
    grid_env_destroy(env);
    free(run.dx_m);
    free(run.dy_m);
    free(run.row_km2);
    free(run.area_km2);
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
