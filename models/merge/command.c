/* canhbao-model merge */
#include "models/merge/command.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/grid/geo.h"
#include "models/grid/ncfile.h"
#include "models/grid/ncwrite.h"
#include "models/merge/kriging.h"
#include "models/merge/live.h"
#include "models/merge/merge.h"
#include "models/nowcast/parallel.h"
#include "models/table/args.h"
#include "models/table/table.h"

enum { US_PER_S = 1000000, CELLS_MAX = 64000000, OWN_CELLS_MAX = 4000000, MARGIN_CELLS = 10 };

static const double rain_max = 2000.0; /* mm or mm/h; the record of a minute is 38 mm */

static const char about[] =
    "Rain of gauges on a grid, merged with a radar frame when there is one.\n"
    "\n"
    "GAUGES.csv: id, lon, lat (degrees, WGS 84), rain (mm h-1; with --amount mm; empty: missing),\n"
    "            and perhaps time: then only the rows of the reference time count\n"
    "RADAR.nc:   CF NetCDF, rainfall_rate or --variable; the frame of --at, default the newest\n"
    "OUT.nc:     on the grid of the radar, else on degrees round the gauges (--cell):\n"
    "            rainfall_rate (or rainfall_amount), rain_error (standard deviation by kriging),\n"
    "            rain_quality (radar_and_gauges, radar_only, gauges_only)\n"
    "\n"
    "Methods: idw, kriging (default without radar), bias (mean-field), conditional (default with\n"
    "radar; Sinclair & Pegram 2005). Where radar is missing, conditional uses the gauges alone, "
    "as\n"
    "far as --reach. The leave-one-out error of the gauges is told on stderr and in OUT.nc.\n"
    "\n"
    "With --product, for the daemon: --series its export (time, station, point, value, unit, "
    "flag),\n"
    "--stations where they are and how they count (its {stations}), --areas GeoJSON polygons with\n"
    "ids, --reference, --frames radar frames if there are any; --nc the field, --out the results "
    "as\n"
    "JSON. A station's counter or amount in mm is a gauge. All is of the last --window-min: of a\n"
    "gauge the exact steps of its counter, of the radar the frames, each known for 0.8 of the "
    "time\n"
    "at least. A total that went round is exact, one that was set back is a hole, and so is a "
    "reading\n"
    "that is suspect (flag 3) or failed. What is not used is told in left_out; without usable\n"
    "frames the gauges stand alone.\n"
    "Results of each area: rain_mean, rain_max (mm over the window; null below 0.8 of the area;\n"
    "doubtful where 0.1 of it lies nearest to a suspect gauge), radar_share, suspect_share; and of "
    "the\n"
    "run: radar_used, gauges_used, gauges_suspect, left_out_bias, left_out_mae, left_out_rmse (mm "
    "h-1),\n"
    "radar_factor, radar_mae. The object merge tells gauge by gauge, and of the variogram whether "
    "it\n"
    "was fitted.\n";

static const char *const method_names[] = {"idw", "kriging", "bias", "conditional", NULL};

struct run {
    const char *gauges_path, *radar_path, *out, *variable, *at, *method, *left_out_path;
    double reach_km, cell_deg;
    bool amount;
    int64_t threads;
    int64_t reference_us;
    bool has_reference;
    struct grid_env *env;
    struct grid *grid;
    struct geo *geo;
    struct table *table;
    struct merge_gauge *gauges;
    size_t *rows; /* of the table, one for each gauge */
    size_t gauge_count;
    struct place *places;
    float *radar; /* NULL: none, or all missing */
    struct merge_result result;
    struct merge_live live; /* with --product only */
    const char *nc;         /* the field of such a run */
};

/* ---- radar ---- */

static int find_frame(struct run *run, struct ncvar *var, size_t *ret_frame, struct err *ret_err) {
    size_t count = ncvar_frame_count(var);
    int64_t *utc_us = malloc((count + 1) * sizeof *utc_us);
    int rc = utc_us == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for times")
                            : ncvar_times_stored(var, utc_us, ret_err);
    size_t found = count;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        bool wanted = run->has_reference ? llabs(utc_us[i] - run->reference_us) <= US_PER_S
                                         : found == count || utc_us[i] > utc_us[found];
        found = wanted ? i : found;
    }
    if (rc == 0 && found == count) {
        rc = err_set(ret_err, ERR_NOT_FOUND, "%s: no frame of %s", run->radar_path,
                     run->at != NULL ? run->at : "any time");
    }
    if (rc == 0) {
        run->reference_us = utc_us[found];
        run->has_reference = true;
        *ret_frame = found;
    }
    free(utc_us);
    return rc;
}

static int read_radar(struct run *run, struct err *ret_err) {
    struct ncfile *file = NULL;
    struct ncvar *var = NULL;
    size_t frame = 0;
    const char *name = run->variable != NULL ? run->variable
                       : run->amount         ? "rainfall_amount"
                                             : "rainfall_rate";
    int rc = ncfile_open(run->env, run->radar_path, &file, ret_err);
    rc = rc != 0 ? rc : ncvar_open(file, name, NULL, run->amount ? "mm" : "mm h-1", &var, ret_err);
    rc = rc != 0 ? rc : ncvar_grid(var, &run->grid, ret_err);
    rc = rc != 0 ? rc : find_frame(run, var, &frame, ret_err);
    if (rc == 0) {
        size_t cells = run->grid->rows * run->grid->columns;
        size_t valid = 0;
        run->radar = malloc(cells * sizeof *run->radar);
        rc = run->radar == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for the radar frame")
                                : ncvar_read_f32(var, frame, run->radar, ret_err);
        for (size_t i = 0; rc == 0 && i < cells; i++) {
            run->radar[i] = run->radar[i] >= 0.0F ? run->radar[i] : NAN;
            valid += isnan(run->radar[i]) ? 0 : 1;
        }
        if (rc == 0 && valid == 0) {
            fprintf(stderr, "canhbao-model merge: warning: the radar frame is all missing; gauges "
                            "alone\n");
            free(run->radar);
            run->radar = NULL;
        }
    }
    ncvar_close(var);
    ncfile_close(file);
    return rc;
}

/* ---- gauges ---- */

static int take_row(struct run *run, size_t row, size_t time_column, bool has_time, bool *ret_take,
                    struct err *ret_err) {
    int64_t utc_us;
    *ret_take = true;
    if (!has_time) {
        return 0;
    }
    if (table_time(table_text(run->table, row, time_column), &utc_us) != 0) {
        return table_refuse(run->table, row, time_column, ERR_SYNTAX, ret_err,
                            "expected a time, got '%s'", table_text(run->table, row, time_column));
    }
    *ret_take = llabs(utc_us - run->reference_us) <= US_PER_S;
    return 0;
}

static int check_id(struct run *run, size_t row, size_t id_column, struct err *ret_err) {
    const char *id = table_text(run->table, row, id_column);
    for (size_t i = 0; i < run->gauge_count; i++) {
        if (strcmp(table_text(run->table, run->rows[i], id_column), id) == 0) {
            return table_refuse(run->table, row, id_column, ERR_INVALID, ret_err,
                                "gauge '%s' is there twice", id);
        }
    }
    return 0;
}

static int read_columns(struct run *run, double *lon, double *lat, double *rain,
                        struct err *ret_err) {
    static const char *const names[] = {"lon", "lat", "rain"};
    const double limits[][2] = {{-360.0, 360.0}, {-90.0, 90.0}, {0.0, rain_max}};
    double *const to[] = {lon, lat, rain};
    size_t column;
    int rc = 0;
    for (int k = 0; k < 3 && rc == 0; k++) {
        rc = table_find(run->table, names[k], &column, ret_err);
        rc = rc != 0
                 ? rc
                 : table_numbers(run->table, column, limits[k][0], limits[k][1], to[k], ret_err);
        for (size_t i = 0; k < 2 && rc == 0 && i < table_rows(run->table); i++) {
            if (isnan(to[k][i])) {
                rc = table_refuse(run->table, i, column, ERR_INVALID, ret_err, "no %s", names[k]);
            }
        }
    }
    return rc;
}

/* Gauges of the reference time, with lon and lat in place of x and y of the caller's arrays. */
static int read_gauges(struct run *run, double *lon, double *lat, double *rain,
                       struct err *ret_err) {
    size_t id_column, time_column = 0;
    bool has_time = table_has(run->table, "time");
    int rc = table_find(run->table, "id", &id_column, ret_err);
    rc = rc != 0 || !has_time ? rc : table_find(run->table, "time", &time_column, ret_err);
    rc = rc != 0 ? rc : read_columns(run, lon, lat, rain, ret_err);
    for (size_t row = 0; rc == 0 && row < table_rows(run->table); row++) {
        bool take = false;
        rc = take_row(run, row, time_column, has_time, &take, ret_err);
        if (rc == 0 && take && run->gauge_count == KRIGING_VALUES_MAX) {
            rc = err_set(ret_err, ERR_LIMIT, "%s: more than %d gauges", run->gauges_path,
                         KRIGING_VALUES_MAX);
        }
        rc = rc != 0 || !take ? rc : check_id(run, row, id_column, ret_err);
        if (rc == 0 && take) {
            size_t g = run->gauge_count++;
            run->rows[g] = row;
            lon[g] = lon[row];
            lat[g] = lat[row];
            run->gauges[g] =
                (struct merge_gauge){place_of(lon[g], lat[g]), MERGE_OUTSIDE, rain[row]};
        }
    }
    if (rc == 0 && run->gauge_count == 0) {
        fprintf(stderr, "canhbao-model merge: warning: %s: no gauge of the reference time\n",
                run->gauges_path);
    }
    return rc;
}

struct box {
    double west, east, south, north;
};

static void widen(struct box *box, size_t count, const double *lon, const double *lat) {
    for (size_t i = 0; i < count; i++) {
        box->west = fmin(box->west, lon[i]);
        box->east = fmax(box->east, lon[i]);
        box->south = fmin(box->south, lat[i]);
        box->north = fmax(box->north, lat[i]);
    }
}

/* A grid of degrees round the gauges and areas. */
static int make_grid(struct run *run, const double *lon, const double *lat, struct err *ret_err) {
    struct box box = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    const struct area_list *areas = &run->live.areas;
    widen(&box, run->gauge_count, lon, lat);
    for (size_t a = 0; a < areas->count; a++) {
        for (size_t r = 0; r < areas->areas[a].ring_count; r++) {
            const struct area_ring *ring = &areas->areas[a].rings[r];
            widen(&box, ring->count, ring->lon, ring->lat);
        }
    }
    if (run->gauge_count == 0) {
        return err_set(ret_err, ERR_INVALID, "%s: neither radar nor gauges", run->gauges_path);
    }
    double cell = run->cell_deg;
    double first_x = floor(box.west / cell) - MARGIN_CELLS;
    double first_y = floor(box.south / cell) - MARGIN_CELLS;
    double columns = floor(box.east / cell) + MARGIN_CELLS - first_x + 1.0;
    double rows = floor(box.north / cell) + MARGIN_CELLS - first_y + 1.0;
    if (columns * rows > OWN_CELLS_MAX) {
        return err_set(ret_err, ERR_LIMIT,
                       "%s: %.0f x %.0f cells of %g degrees round the gauges and areas; a larger "
                       "--cell, please",
                       run->gauges_path, rows, columns, cell);
    }
    double *axes = malloc((size_t)(columns + rows) * sizeof *axes);
    if (axes == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a grid");
    }
    double *y = axes + (size_t)columns;
    for (size_t i = 0; i < (size_t)columns; i++) {
        axes[i] = (first_x + (double)i + 0.5) * cell;
    }
    for (size_t i = 0; i < (size_t)rows; i++) {
        y[i] = (first_y + (double)i + 0.5) * cell;
    }
    int rc = grid_create((size_t)rows, (size_t)columns, axes, y, NULL, &run->grid, ret_err);
    free(axes);
    return rc;
}

/* ---- places ---- */

static int place_cells(struct run *run, struct err *ret_err) {
    const struct grid *grid = run->grid;
    size_t cells = grid->rows * grid->columns;
    double *x = malloc(2 * grid->columns * sizeof *x);
    run->places = cells <= CELLS_MAX ? malloc(cells * sizeof *run->places) : NULL;
    int rc = x == NULL || run->places == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", cells)
             : grid->curvilinear ? 0
                                 : geo_create(run->env, grid->crs, &run->geo, ret_err);
    for (size_t row = 0; rc == 0 && row < grid->rows; row++) {
        double *y = x + grid->columns;
        for (size_t column = 0; column < grid->columns; column++) {
            size_t i = row * grid->columns + column;
            x[column] = grid->curvilinear ? grid->lon[i] : grid->x[column];
            y[column] = grid->curvilinear ? grid->lat[i] : grid->y[row];
        }
        if (!grid->curvilinear && geo_inverse(run->geo, grid->columns, x, y) > 0) {
            rc = err_set(ret_err, ERR_INVALID, "row %zu of the grid has no place on the ground",
                         row);
        }
        for (size_t column = 0; rc == 0 && column < grid->columns; column++) {
            run->places[row * grid->columns + column] = place_of(x[column], y[column]);
        }
    }
    free(x);
    return rc;
}

/* The nearest cell of a curvilinear grid, when the gauge is not further away than its neighbours.
 */
static size_t nearest_cell(const struct run *run, struct place place) {
    const struct grid *grid = run->grid;
    size_t best = 0;
    for (size_t i = 1; i < grid->rows * grid->columns; i++) {
        if (place_distance_km(run->places[i], place) <
            place_distance_km(run->places[best], place)) {
            best = i;
        }
    }
    size_t beside = best % grid->columns > 0 ? best - 1 : best + 1;
    size_t above = best >= grid->columns ? best - grid->columns : best + grid->columns;
    double side_km = fmax(place_distance_km(run->places[best], run->places[beside]),
                          place_distance_km(run->places[best], run->places[above]));
    return place_distance_km(run->places[best], place) <= 0.71 * side_km ? best : MERGE_OUTSIDE;
}

static void locate_gauges(struct run *run, const double *lon, const double *lat) {
    size_t outside = 0;
    for (size_t g = 0; g < run->gauge_count; g++) {
        double x = lon[g], y = lat[g], row, column;
        struct merge_gauge *gauge = &run->gauges[g];
        if (run->grid->curvilinear) {
            gauge->cell = nearest_cell(run, gauge->place);
        } else if (geo_forward(run->geo, 1, &x, &y) == 0 &&
                   grid_locate(run->grid, x, y, &row, &column)) {
            double last_row = (double)run->grid->rows - 1.0;
            double last_column = (double)run->grid->columns - 1.0;
            gauge->cell = (size_t)fmin(fmax(round(row), 0.0), last_row) * run->grid->columns +
                          (size_t)fmin(fmax(round(column), 0.0), last_column);
        }
        outside += gauge->cell == MERGE_OUTSIDE ? 1 : 0;
    }
    if (outside > 0) {
        fprintf(stderr, "canhbao-model merge: warning: %zu of %zu gauges are outside the grid\n",
                outside, run->gauge_count);
    }
}

/* The radar, and the table of the gauges. */
static int read_files(struct run *run, struct err *ret_err) {
    int rc = 0;
    if (run->at != NULL) {
        run->has_reference = true;
        if (table_time(run->at, &run->reference_us) != 0) {
            rc = err_set(ret_err, ERR_SYNTAX, "--at: expected a UTC time, got '%s'", run->at);
        }
    }
    rc = rc != 0 || run->radar_path == NULL ? rc : read_radar(run, ret_err);
    if (rc == 0 && !run->has_reference) {
        rc =
            err_set(ret_err, ERR_INVALID, "without --radar, --at must tell the time of the gauges");
    }
    return rc != 0 ? rc : table_read(run->gauges_path, &run->table, ret_err);
}

static int read_live(struct run *run, struct err *ret_err) {
    run->gauges_path = run->live.stations;
    int rc = merge_live_radar(&run->live, &run->radar, ret_err);
    rc = rc != 0 ? rc : merge_live_gauges(&run->live, &run->table, ret_err);
    run->grid = run->live.frames.grid; /* NULL without radar */
    run->reference_us = run->live.reference_us;
    return rc;
}

static int read_inputs(struct run *run, struct err *ret_err) {
    int rc = grid_env_create(NULL, &run->env, ret_err);
    rc = rc != 0                     ? rc
         : run->live.product != NULL ? read_live(run, ret_err)
                                     : read_files(run, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t rows = table_rows(run->table) + 1;
    double *numbers = malloc(3 * rows * sizeof *numbers);
    run->gauges = calloc(rows, sizeof *run->gauges);
    run->rows = calloc(rows, sizeof *run->rows);
    if (numbers == NULL || run->gauges == NULL || run->rows == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for gauges");
    }
    double *lat = numbers + rows;
    rc = rc != 0 ? rc : read_gauges(run, numbers, lat, lat + rows, ret_err);
    rc = rc != 0 || run->grid != NULL ? rc : make_grid(run, numbers, lat, ret_err);
    rc = rc != 0 ? rc : place_cells(run, ret_err);
    if (rc == 0) {
        locate_gauges(run, numbers, lat);
    }
    free(numbers);
    return rc;
}

/* ---- out ---- */

static void describe(const struct run *run, enum merge_method method, char *ret_text, size_t size) {
    const struct merge_result *result = &run->result;
    const struct variogram *variogram = &result->variogram;
    (void)snprintf(
        ret_text, size,
        "canhbao-model merge %s; method: %s; %zu sites with gauges; radar factor: %.6g%s; "
        "variogram "
        "(%s): nugget %.9g, sill %.9g, range %.9g km; leave-one-out over %zu sites: bias %.4g, MAE "
        "%.4g, RMSE %.4g %s; radar alone at %zu sites: MAE %.4g",
        CANHBAO_VERSION, method_names[method], result->sites, result->radar_factor,
        result->factor_trusted        ? ""
        : result->radar_factor == 1.0 ? " (not fitted)"
                                      : " (limited)",
        variogram_source_name(variogram->source), variogram->nugget, variogram->sill,
        variogram->range_km, result->left_out.count, result->left_out.bias, result->left_out.mae,
        result->left_out.rmse, run->amount ? "mm" : "mm h-1", result->radar_alone.count,
        result->radar_alone.mae);
}

static int write_out(const struct run *run, const char *path, enum merge_method method,
                     struct err *ret_err) {
    const int64_t lead_s[] = {0};
    const char *units = run->amount ? "mm" : "mm h-1";
    char source[1024];
    describe(run, method, source, sizeof source);
    fprintf(stderr, "%s\n", source);
    struct ncwrite_header header = {.grid = run->grid,
                                    .reference_utc_us = run->reference_us,
                                    .lead_count = 1,
                                    .lead_s = lead_s,
                                    .title = "rain of gauges and radar",
                                    .source = source,
                                    .history = "canhbao-model merge " CANHBAO_VERSION};
    const struct ncwrite_variable variables[] = {
        {.name = run->amount ? "rainfall_amount" : "rainfall_rate",
         .standard_name = run->amount ? "lwe_thickness_of_precipitation_amount" : "rainfall_rate",
         .long_name = "rain of gauges and radar",
         .units = units,
         .ancillary_variables = "rain_error rain_quality",
         .type = NCWRITE_FLOAT},
        {.name = "rain_error",
         .long_name = "standard deviation of the error of rain, by kriging",
         .units = units,
         .type = NCWRITE_FLOAT},
        {.name = "rain_quality",
         .long_name = "what the rain of a cell rests on",
         .units = "1",
         .flag_meanings = "radar_and_gauges radar_only gauges_only",
         .type = NCWRITE_FLAG_BYTE}};
    const float *const fields[] = {run->result.value, run->result.error, run->result.quality};
    struct ncwriter *writer = NULL;
    int rc = ncwriter_create(path, &header, variables, 3, &writer, ret_err);
    for (size_t k = 0; rc == 0 && k < 3; k++) {
        rc = ncwriter_put(writer, k, 0, 0, fields[k], ret_err);
    }
    if (rc != 0) {
        ncwriter_destroy(writer);
        return rc;
    }
    return ncwriter_finish(writer, ret_err);
}

static int write_left_out(const struct run *run, struct err *ret_err) {
    struct table_out out;
    size_t id_column;
    int rc = table_find(run->table, "id", &id_column, ret_err);
    rc = rc != 0 ? rc : table_out_open(&out, run->left_out_path, ret_err);
    if (rc != 0) {
        return rc;
    }
    table_out_text(&out, "id");
    table_out_text(&out, "rain");
    table_out_text(&out, "estimate");
    table_out_end_row(&out);
    for (size_t i = 0; i < run->result.sites; i++) {
        size_t row = run->rows[run->result.site_gauge[i]];
        table_out_text(&out, table_text(run->table, row, id_column));
        table_out_number(&out, run->result.site_value[i]);
        table_out_number(&out, run->result.site_estimate[i]);
        table_out_end_row(&out);
    }
    return table_out_close(&out, true, ret_err);
}

static int tell_daemon(struct run *run, const char *method, struct err *ret_err) {
    struct merge_live *live = &run->live;
    bool *doubted = calloc(run->gauge_count + 1, sizeof *doubted);
    struct merge_area *areas = NULL;
    for (size_t g = 0; doubted != NULL && g < run->gauge_count; g++) {
        doubted[g] = live->doubted[run->rows[g]];
    }
    const struct merge_field field = {.grid = run->grid,
                                      .places = run->places,
                                      .result = &run->result,
                                      .gauges = run->gauges,
                                      .doubted = doubted,
                                      .gauge_count = run->gauge_count};
    int rc = doubted == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for gauges")
                             : merge_areas_measure(run->env, &field, &live->areas, &areas, ret_err);
    const struct merge_told told = {.result = &run->result,
                                    .rows = run->rows,
                                    .areas = areas,
                                    .method = method,
                                    .radar = run->radar != NULL};
    rc = rc != 0 ? rc : merge_live_write(live, &told, run->out, ret_err);
    free(doubted);
    free(areas);
    return rc;
}

static int merge(struct run *run, struct err *ret_err) {
    enum merge_method method = run->radar != NULL ? MERGE_CONDITIONAL : MERGE_KRIGING;
    if (run->method != NULL) {
        for (method = MERGE_IDW;
             method_names[method] != NULL && strcmp(method_names[method], run->method) != 0;) {
            method++;
        }
        if (method_names[method] == NULL) {
            return err_set(ret_err, ERR_INVALID,
                           "--method: expected idw, kriging, bias or conditional, got '%s'",
                           run->method);
        }
    }
    struct merge_input input = {.method = method,
                                .rows = (int)run->grid->rows,
                                .columns = (int)run->grid->columns,
                                .places = run->places,
                                .radar = run->radar,
                                .gauges = run->gauges,
                                .gauge_count = run->gauge_count,
                                .reach_km = run->reach_km,
                                .threads = (int)run->threads};
    struct err inner = {0};
    int rc = merge_run(&input, &run->result, &inner);
    if (rc != 0) {
        return err_set(ret_err, rc, "%.200s: %.200s", run->gauges_path, inner.text);
    }
    rc = run->left_out_path != NULL ? write_left_out(run, ret_err) : 0;
    rc = rc != 0 || run->nc == NULL ? rc : write_out(run, run->nc, method, ret_err);
    return rc != 0 || run->live.product == NULL ? rc
                                                : tell_daemon(run, method_names[method], ret_err);
}

static void release(struct run *run) {
    merge_finish(&run->result);
    free(run->radar);
    free(run->places);
    free(run->gauges);
    free(run->rows);
    (void)table_destroy(run->table);
    geo_destroy(run->geo);
    if (run->grid != run->live.frames.grid) {
        grid_destroy(run->grid);
    }
    merge_live_finish(&run->live);
    grid_env_destroy(run->env);
}

/* A run by hand has gauges, one of the daemon has a series; no option of the one serves the other.
 */
static int check_usage(struct run *run) {
    const struct merge_live *live = &run->live;
    bool by_hand =
        run->gauges_path != NULL || run->radar_path != NULL || run->at != NULL || run->amount;
    bool complete = live->series != NULL && live->stations != NULL && live->reference != NULL &&
                    live->area_files.count > 0;
    bool any = live->series != NULL || live->stations != NULL || live->reference != NULL ||
               live->frame_files.count > 0 || live->area_files.count > 0 || run->nc != NULL;
    if (live->product != NULL && (by_hand || !complete || !text_is_id(live->product))) {
        fprintf(stderr, "canhbao-model merge: --product ID needs --series, --stations, --areas and "
                        "--reference, and takes no --gauges, --radar, --at and --amount\n");
        return MODEL_USAGE;
    }
    if (live->product == NULL && (any || run->gauges_path == NULL)) {
        fprintf(stderr, "canhbao-model merge: --gauges, please; or --product with --series\n");
        return MODEL_USAGE;
    }
    run->nc = live->product == NULL ? run->out : run->nc;
    run->live.variable = run->variable;
    return MODEL_DONE;
}

static int run_merge(int argc, char **argv) {
    struct run run = {.reach_km = 50.0,
                      .cell_deg = 0.01,
                      .threads = 1,
                      .live = {.window_min = 60, .slack_min = 15, .hold_min = 30, .stale_min = 30}};
    struct merge_live *live = &run.live;
    const struct args_option options[] = {
        {"gauges", ARGS_TEXT, &run.gauges_path, false, 0, 0, "GAUGES.csv", "gauges"},
        {"radar", ARGS_TEXT, &run.radar_path, false, 0, 0, "RADAR.nc", "radar frames"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "FILE",
         "the merged field (NetCDF); with --product results (JSON), - for stdout"},
        {"at", ARGS_TEXT, &run.at, false, 0, 0, "TIME", "reference time, UTC"},
        {"method", ARGS_TEXT, &run.method, false, 0, 0, "NAME",
         "idw, kriging, bias or conditional"},
        {"amount", ARGS_SWITCH, &run.amount, false, 0, 0, NULL,
         "amounts in mm instead of rates in mm h-1"},
        {"variable", ARGS_TEXT, &run.variable, false, 0, 0, "NAME",
         "variable of RADAR.nc; default rainfall_rate, with --amount rainfall_amount"},
        {"reach", ARGS_NUMBER, &run.reach_km, false, 1, 1000, "KM",
         "how far a gauge speaks where there is no radar; default 50"},
        {"cell", ARGS_NUMBER, &run.cell_deg, false, 0.001, 1, "DEG",
         "cells of the grid without radar; default 0.01"},
        {"left-out", ARGS_TEXT, &run.left_out_path, false, 0, 0, "FILE.csv",
         "leave-one-out estimate of every gauge; - for stdout"},
        {"threads", ARGS_INT, &run.threads, false, 1, PARALLEL_THREADS_MAX, "N",
         "default 1; the result has the same bits with any number"},
        {"product", ARGS_TEXT, &live->product, false, 0, 0, "ID", "a run for the daemon"},
        {"series", ARGS_TEXT, &live->series, false, 0, 0, "FILE.csv", "readings of the gauges"},
        {"stations", ARGS_TEXT, &live->stations, false, 0, 0, "FILE.json",
         "where the gauges are and how they count"},
        {"areas", ARGS_LIST, &live->area_files, false, 0, 0, "FILE.geojson",
         "polygons that results are for"},
        {"reference", ARGS_TEXT, &live->reference, false, 0, 0, "TIME", "of such a run, RFC 3339"},
        {"frames", ARGS_LIST, &live->frame_files, false, 0, 0, "FILE.nc", "radar, any order"},
        {"nc", ARGS_TEXT, &run.nc, false, 0, 0, "OUT.nc", "the merged field of such a run"},
        {"window-min", ARGS_NUMBER, &live->window_min, false, 5, 1440, "MIN", "60 unless told"},
        {"slack-min", ARGS_NUMBER, &live->slack_min, false, 0, 60, "MIN",
         "how old the newest reading of a gauge may be at the end of the window; 15 unless told"},
        {"hold-min", ARGS_NUMBER, &live->hold_min, false, 1, 120, "MIN",
         "longest time a frame stands for; 30 unless told"},
        {"stale-min", ARGS_NUMBER, &live->stale_min, false, 1, 1440, "MIN",
         "an older newest frame is not used; 30 unless told"},
        {.name = NULL},
    };
    int parsed = args_parse(argc, argv, options, about);
    parsed = parsed == MODEL_DONE ? check_usage(&run) : parsed;
    if (parsed != MODEL_DONE) {
        return parsed == ARGS_HELPED ? MODEL_DONE : parsed;
    }
    struct err err = {0};
    int rc = read_inputs(&run, &err);
    rc = rc != 0 ? rc : merge(&run, &err);
    release(&run);
    return rc != 0 ? model_exit_of("merge", &err) : MODEL_DONE;
}

const struct model model_merge = {"merge", "rain of gauges on a grid, alone or merged with radar",
                                  run_merge};
