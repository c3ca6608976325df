/* canhbao-model slopes */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "daemon/base/text.h"
#include "models/grid/area.h"
#include "models/grid/ncfile.h"
#include "models/hydrology/cell_inputs.h"
#include "models/landslide/model_landslide.h"
#include "models/landslide/slopes_out.h"
#include "models/output/output.h"
#include "models/table/args.h"

static const char about[] =
    "Landslide indicators of areas and of every cell of a susceptibility grid, from rain as it\n"
    "comes: class of Article 46 of Decision 18/2021, rain thresholds, antecedent index.\n"
    "\n"
    "--rain     CF NetCDF frames of a rain rate over ([time,] y, x), any unit that converts to\n"
    "           mm h-1, the oldest first; a frame stands for the time since the one before, at\n"
    "           most --hold-min. A file that is refused is left out and said so\n"
    "--history  the same as --rain, of the weeks before the first frame: used only without a "
    "state;\n"
    "           hourly means do, frames may be 1 h long there\n"
    "--nowcast, --nwp  rain to come, as for `flashflood`\n"
    "--susceptibility  NetCDF: classes over (y, x): 1 low, 2 medium, 3 high, 4 very high\n"
    "--thresholds, --risk  CSV, as for `landslide`; --curves: thresholds of these ids\n"
    "--areas    GeoJSON polygons with ids: catchments, communes\n"
    "--reference is the time of the run; what has been counts to the last full hour that frames\n"
    "           cover. Newest frame older than --stale-min: refused\n"
    "\n"
    "--out      JSON: model, reference_time, manifest, results: for each area at leads 0, 3, 6,\n"
    "           12, 24 h: probability_level_1 to _3 (the value: share of the members in which a\n"
    "           cell is of that class or above), share_level_1 to _3 (of the cells; reached with\n"
    "           probability 0.2, 0.5, 0.8), threshold_ratio (largest intensity over threshold of "
    "a\n"
    "           cell, the same), api_max (mm, lead 0). Missing rain counts as at least 0: it can\n"
    "           confirm, never clear; what it leaves open is unknown, null with its cause\n"
    "--nc       CF NetCDF grids over (lead_time, y, x): probability_level_1 to _3,\n"
    "           threshold_ratio (median of the members); article_46_level and api_mm of lead 0\n";

struct run {
    const char *susceptibility, *variable, *thresholds, *risk, *zone;
    const char *state_in, *state_out, *reference, *product, *out, *nc;
    struct args_list area_files, curve_ids;
    struct cell_inputs inputs;
    double stale_min, min_coverage;

    struct grid_env *env;
    struct grid *grid;
    struct area_list areas;
    struct slopes_output output; /* its cells and areas are owned here */
    uint8_t *classes;            /* [place] */
    struct slopes slopes;
    char identity[HASH_TEXT_SIZE];
    bool state_used;
};

/* ---- reading ---- */

static int pick_curves(struct run *run, struct err *ret_err) {
    struct landslide_threshold all[64];
    struct table *table = NULL;
    size_t count = 0;
    int rc = table_read(run->thresholds, &table, ret_err);
    rc = rc != 0 ? rc : landslide_thresholds(table, all, 64, &count, ret_err);
    for (size_t i = 0; rc == 0 && i < run->curve_ids.count; i++) {
        size_t k = 0;
        while (k < count && strcmp(all[k].id, run->curve_ids.words[i]) != 0) {
            k++;
        }
        if (k == count || i == SLOPES_CURVES_MAX) {
            rc = err_set(ret_err, ERR_NOT_FOUND,
                         "--curves: '%.60s' is no curve of %.200s, or more than %d are asked for",
                         run->curve_ids.words[i], run->thresholds, SLOPES_CURVES_MAX);
        } else if (all[k].duration_max_h > SLOPES_HOURS) {
            rc = err_set(ret_err, ERR_UNSUPPORTED, "--curves: '%.60s' goes beyond %d h", all[k].id,
                         SLOPES_HOURS);
        } else {
            run->slopes.curves[run->slopes.curve_count++] = all[k];
        }
    }
    table_destroy(table);
    return rc;
}

static int read_rules(struct run *run, struct err *ret_err) {
    struct table *table = NULL;
    int rc = table_read(run->risk, &table, ret_err);
    rc = rc != 0 ? rc : landslide_rules_read(table, run->zone, &run->slopes.rules, ret_err);
    table_destroy(table);
    return rc;
}

/* The cells that have a class become places. */
static int take_classes(struct run *run, const double *values, struct err *ret_err) {
    size_t cells = run->grid->rows * run->grid->columns, count = 0;
    run->output.cell_of = calloc(cells + 1, sizeof *run->output.cell_of);
    run->classes = calloc(cells + 1, sizeof *run->classes);
    if (run->output.cell_of == NULL || run->classes == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", cells);
    }
    for (size_t i = 0; i < cells; i++) {
        double c = values[i];
        if (isnan(c)) {
            continue;
        }
        if (c != 1 && c != 2 && c != 3 && c != 4) {
            return err_set(ret_err, ERR_RANGE, "%.200s: class %g; 1 to 4 expected",
                           run->susceptibility, c);
        }
        run->output.cell_of[count] = i;
        run->classes[count++] = (uint8_t)c;
    }
    run->slopes.place_count = count;
    run->slopes.susceptibility = run->classes;
    return count > 0
               ? 0
               : err_set(ret_err, ERR_INVALID, "%.200s: no cell has a class", run->susceptibility);
}

static int read_classes(struct run *run, struct err *ret_err) {
    struct ncfile *file = NULL;
    struct ncvar *var = NULL;
    double *values = NULL;
    int rc = ncfile_open(run->env, run->susceptibility, &file, ret_err);
    rc = rc != 0 ? rc : ncvar_open(file, run->variable, NULL, "1", &var, ret_err);
    rc = rc != 0 ? rc : ncvar_grid(var, &run->grid, ret_err);
    if (rc == 0 && run->grid->curvilinear) {
        rc = err_set(ret_err, ERR_UNSUPPORTED, "%.200s: a curvilinear grid", run->susceptibility);
    }
    if (rc == 0) {
        values = calloc(run->grid->rows * run->grid->columns, sizeof *values);
        rc = values == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for a grid")
                            : ncvar_read_f64(var, 0, values, ret_err);
    }
    rc = rc != 0 ? rc : take_classes(run, values, ret_err);
    free(values);
    if (var != NULL) {
        ncvar_close(var);
    }
    ncfile_close(file);
    return rc;
}

/* The rain cell that holds the centre of each place. */
static int map_rain(void *context, const struct grid *rain, size_t *ret_index,
                    struct err *ret_err) {
    const struct run *run = context;
    const struct grid *grid = run->grid;
    if (rain->curvilinear || rain->geographic != grid->geographic ||
        (!rain->geographic && strcmp(rain->crs, grid->crs) != 0)) {
        return err_set(ret_err, ERR_INVALID,
                       "rain and susceptibility are not on the same coordinates");
    }
    for (size_t p = 0; p < run->slopes.place_count; p++) {
        double row = 0, column = 0;
        size_t cell = run->output.cell_of[p];
        ret_index[p] = grid_locate(rain, grid->x[cell % grid->columns],
                                   grid->y[cell / grid->columns], &row, &column)
                           ? (size_t)lround(row) * rain->columns + (size_t)lround(column)
                           : CELL_RAIN_OUTSIDE;
    }
    return 0;
}

static int read_state(struct run *run, struct err *ret_err) {
    struct err inner = {0};
    int rc = slopes_create(&run->slopes, ret_err);
    if (rc == 0 && hash_file(run->susceptibility, run->identity) != 0) {
        rc = err_set(ret_err, ERR_IO, "%.300s: cannot be read", run->susceptibility);
    }
    if (rc != 0 || run->state_in == NULL) {
        return rc;
    }
    rc = slopes_load(run->state_in, &run->slopes, run->identity, &inner);
    return cell_inputs_state(&run->inputs, rc, &inner, &run->state_used, ret_err);
}

static int read_all(struct run *run, struct err *ret_err) {
    struct slopes *slopes = &run->slopes;
    int rc = pick_curves(run, ret_err);
    rc = rc != 0 ? rc : read_rules(run, ret_err);
    rc = rc != 0 ? rc : grid_env_create(NULL, &run->env, ret_err);
    rc = rc != 0 ? rc : read_classes(run, ret_err);
    rc = rc != 0 ? rc : read_state(run, ret_err);
    for (size_t i = 0; rc == 0 && i < run->area_files.count; i++) {
        rc = area_list_load(run->area_files.words[i], &run->areas, ret_err);
    }
    run->output.slopes = slopes;
    run->output.grid = run->grid;
    run->output.min_coverage = run->min_coverage;
    rc = rc != 0 ? rc : slopes_areas(run->env, &run->areas, &run->output, ret_err);
    const struct cell_rain_source places = {
        .place_count = slopes->place_count, .map = map_rain, .context = run};
    rc = rc != 0
             ? rc
             : cell_inputs_read(run->env, &places, slopes->end_us == 0 ? INT64_MIN : slopes->end_us,
                                &run->inputs, ret_err);
    slopes->observed = run->inputs.observed;
    slopes->before = run->inputs.before;
    slopes->nowcast = run->inputs.nowcast_rain;
    slopes->nwp = run->inputs.nwp_rain;
    return rc;
}

/* ---- writing ---- */

static json_t *make_manifest(const struct run *run, struct err *ret_err) {
    const char *const files[] = {run->susceptibility, run->thresholds, run->risk,
                                 run->state_used ? run->state_in : NULL};
    char reference[32];
    text_format_time(run->slopes.reference_us, reference, sizeof reference);
    json_t *curves = json_array();
    for (size_t i = 0; i < run->curve_ids.count; i++) {
        (void)json_array_append_new(curves, json_string(run->curve_ids.words[i]));
    }
    json_t *parameters =
        json_pack("{s:s, s:s, s:s, s:o, s:f, s:f, s:f, s:f}", "reference_time", reference, "now",
                  run->reference, "zone", run->zone, "curves", curves, "api_factor",
                  run->slopes.api_factor, "rain_day_mm", run->slopes.rain_day_mm, "hold_min",
                  run->inputs.hold_min, "rain_log_sigma", run->slopes.rain_log_sigma);
    return cell_inputs_manifest(&run->inputs, "slopes", parameters, files,
                                sizeof files / sizeof *files, ret_err);
}

static int write_all(const struct run *run, struct err *ret_err) {
    json_t *manifest = make_manifest(run, ret_err);
    if (manifest == NULL) {
        return ret_err->code;
    }
    json_t *root = output_object("slopes", run->product, run->slopes.reference_us, manifest,
                                 slopes_results(&run->output));
    int rc = root == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for the output") : 0;
    const char *hash = json_string_value(json_object_get(root, "manifest_sha256"));
    if (rc == 0 && run->nc != NULL) {
        rc = slopes_write_nc(run->nc, &run->output, hash, ret_err);
    }
    if (rc == 0 && run->state_out != NULL) {
        rc = slopes_save(run->state_out, &run->slopes, run->identity, ret_err);
    }
    rc = rc != 0 ? rc : output_write_json(run->out, root, ret_err);
    json_decref(root);
    return rc;
}

static void finish(struct run *run) {
    slopes_areas_finish(&run->output);
    slopes_finish(&run->slopes);
    free(run->output.cell_of);
    free(run->classes);
    cell_inputs_finish(&run->inputs);
    area_list_finish(&run->areas);
    grid_destroy(run->grid);
    grid_env_destroy(run->env);
    free(run);
}

static int parse(struct run *run, int argc, char **argv) {
    struct slopes *slopes = &run->slopes;
    const struct args_option options[] = {
        {"rain", ARGS_LIST, &run->inputs.rain, true, 0, 0, "FILE.nc", "frames, at most 256 files"},
        {"rain-variable", ARGS_TEXT, &run->inputs.rain_name, false, 0, 0, "NAME",
         "of --rain; the one with standard_name rainfall_rate unless told"},
        {"history", ARGS_LIST, &run->inputs.history, false, 0, 0, "FILE.nc",
         "rain before, see above"},
        {"nowcast", ARGS_TEXT, &run->inputs.nowcast, false, 0, 0, "FILE.nc", "rain to 2 h"},
        {"nwp", ARGS_TEXT, &run->inputs.nwp, false, 0, 0, "FILE.nc", "rain beyond"},
        {"nwp-variable", ARGS_TEXT, &run->inputs.nwp_name, false, 0, 0, "NAME",
         "of --nwp; the one with standard_name rainfall_rate unless told"},
        {"susceptibility", ARGS_TEXT, &run->susceptibility, true, 0, 0, "FILE.nc", "classes"},
        {"variable", ARGS_TEXT, &run->variable, false, 0, 0, "NAME", "susceptibility unless told"},
        {"thresholds", ARGS_TEXT, &run->thresholds, true, 0, 0, "FILE.csv", "rain thresholds"},
        {"curves", ARGS_LIST, &run->curve_ids, true, 0, 0, "ID", "of the thresholds, at most 5"},
        {"risk", ARGS_TEXT, &run->risk, true, 0, 0, "FILE.csv", "rules of Article 46"},
        {"zone", ARGS_TEXT, &run->zone, true, 0, 0, "ZONE", "zone of the Decision, such as KV4"},
        {"areas", ARGS_LIST, &run->area_files, true, 0, 0, "FILE.geojson", "see above"},
        {"api-factor", ARGS_NUMBER, &slopes->api_factor, false, 0.5, 0.85, "K",
         "daily recession of the index, 0.85 unless told"},
        {"rain-day-mm", ARGS_NUMBER, &slopes->rain_day_mm, false, 0.1, 50, "MM",
         "rain of a rain day, 0.1 unless told (the Decision does not say)"},
        {"rain-log-sigma", ARGS_NUMBER, &slopes->rain_log_sigma, false, 0, 3, "S",
         "of ln(fallen / foreseen) of --nwp with one member, 0 unless told: 20 members"},
        {"hold-min", ARGS_NUMBER, &run->inputs.hold_min, false, 1, 120, "MIN",
         "longest time a frame stands for, 30 unless told"},
        {"stale-min", ARGS_NUMBER, &run->stale_min, false, 1, 1440, "MIN", "90 unless told"},
        {"min-coverage", ARGS_NUMBER, &run->min_coverage, false, 0, 1, "SHARE",
         "fewer known cells of an area: unknown; 0.8 unless told"},
        {"reference", ARGS_TEXT, &run->reference, true, 0, 0, "TIME", "RFC 3339"},
        {"state-in", ARGS_TEXT, &run->state_in, false, 0, 0, "FILE.nc", "of the run before"},
        {"state-out", ARGS_TEXT, &run->state_out, false, 0, 0, "FILE.nc", "for the next run"},
        {"nc", ARGS_TEXT, &run->nc, false, 0, 0, "FILE.nc", "grids, see above"},
        {"product", ARGS_TEXT, &run->product, false, 0, 0, "NAME", "written into the output"},
        {"out", ARGS_TEXT, &run->out, true, 0, 0, "FILE.json", "result, - for stdout"},
        {0},
    };
    return args_parse(argc, argv, options, about);
}

static int check_usage(struct run *run) {
    run->slopes.stale_us = (int64_t)(run->stale_min * 6e7);
    return run_labels_check("slopes", run->reference, run->product, &run->slopes.now_us);
}

static int run_slopes(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    json_t *left_out = json_array();
    struct err err = {0};
    if (run == NULL || left_out == NULL) {
        free(run);
        json_decref(left_out);
        return MODEL_FAILED;
    }
    run->inputs.left_out = left_out;
    run->variable = "susceptibility";
    run->product = "";
    run->inputs.hold_min = 30;
    run->stale_min = 90;
    run->min_coverage = 0.8;
    run->slopes.api_factor = 0.85;
    run->slopes.rain_day_mm = 0.1;
    int code = parse(run, argc, argv);
    code = code == MODEL_DONE ? check_usage(run) : code;
    if (code == MODEL_DONE) {
        int rc = read_all(run, &err);
        rc = rc != 0 ? rc : slopes_run(&run->slopes, &err);
        rc = rc != 0 ? rc : write_all(run, &err);
        code = rc == 0 ? MODEL_DONE : model_exit_of(argv[0], &err);
    }
    finish(run);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_slopes = {
    "slopes", "landslide indicators of areas and cells, from rain as it comes", run_slopes};
