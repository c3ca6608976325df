/* canhbao-model landslide-grid: the indicators of landslide.h for every cell. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/grid/ncfile.h"
#include "models/grid/ncwrite.h"
#include "models/landslide/landslide.h"
#include "models/landslide/model_landslide.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"

static const char about[] =
    "Landslide indicators of every cell of a susceptibility grid at the end of an hourly rain\n"
    "sequence.\n"
    "\n"
    "rain, NetCDF:    a rate over (time, y, x), one frame an hour, each the mean of the hour that\n"
    "                 ends then; a frame that is left out and missing cells are missing rain\n"
    "susceptibility, NetCDF: classes over (y, x): 1 low, 2 medium, 3 high, 4 very high; each cell\n"
    "                 takes the rain cell that holds its centre; cells without a class are left\n"
    "                 out\n"
    "thresholds, risk, CSV: as for landslide\n"
    "out, CF NetCDF:  id_exceeded (no, yes, unknown) and id_ratio (largest intensity over the\n"
    "                 threshold) for each --curves id; api_mm; article_46_level and\n"
    "                 article_46_state (as_found, may_be_higher, beyond_clause)\n"
    "Missing rain counts as at least 0: it can confirm a threshold, never clear one.\n";

enum { CURVES_MAX = 5, CURVES_READ = 64, HOURS_MAX = 24 * 60, NAME_SIZE = TABLE_NAME_MAX + 16 };

struct run {
    const char *rain, *rain_variable, *susceptibility, *variable, *thresholds, *risk, *zone, *out;
    const char *manifest;
    struct args_list curve_ids;
    double factor, rain_day_mm;

    struct grid_env *env;
    struct ncfile *rain_file, *class_file;
    struct ncvar *rain_var, *class_var;
    struct grid *rain_grid, *grid;
    struct table *rules, *curve_table;
    size_t curve_count;
    struct landslide_threshold curves[CURVES_MAX];
    size_t hours;
    int64_t end_us;
    float *rain_mm_h; /* [hour][rain cell]; NaN missing */
    double *classes;  /* [cell] */
    float *fields;    /* [field][cell] */
};

/* ---- reading ---- */

static int pick_curves(struct run *run, struct err *ret_err) {
    struct landslide_threshold all[CURVES_READ];
    size_t count = 0;
    int rc = landslide_thresholds(run->curve_table, all, CURVES_READ, &count, ret_err);
    for (size_t i = 0; rc == 0 && i < run->curve_ids.count; i++) {
        size_t k = 0;
        while (k < count && strcmp(all[k].id, run->curve_ids.words[i]) != 0) {
            k++;
        }
        if (k == count || run->curve_count == CURVES_MAX) {
            return err_set(ret_err, ERR_NOT_FOUND,
                           "--curves: '%.60s' is no curve of %.200s, or more "
                           "than %d are asked for",
                           run->curve_ids.words[i], run->thresholds, CURVES_MAX);
        }
        run->curves[run->curve_count++] = all[k];
    }
    return rc;
}

/* Hourly rates, the newest last; an hour without a frame is missing. */
static int read_rain(struct run *run, struct err *ret_err) {
    const int64_t hour_us = INT64_C(3600000000);
    size_t frames = ncvar_frame_count(run->rain_var);
    size_t cells = run->rain_grid->rows * run->rain_grid->columns;
    int64_t *time_us = calloc(frames, sizeof *time_us);
    int rc = time_us == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for times")
                             : ncvar_times(run->rain_var, INT64_MAX, time_us, ret_err);
    if (rc == 0) {
        run->end_us = time_us[frames - 1];
        run->hours = (size_t)((run->end_us - time_us[0]) / hour_us) + 1;
        run->hours = run->hours > HOURS_MAX ? HOURS_MAX : run->hours;
        run->rain_mm_h = malloc(run->hours * cells * sizeof *run->rain_mm_h);
        rc = run->rain_mm_h == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu hours", run->hours)
                 : 0;
    }
    for (size_t i = 0; rc == 0 && i < run->hours * cells; i++) {
        run->rain_mm_h[i] = NAN;
    }
    for (size_t f = 0; rc == 0 && f < frames; f++) {
        int64_t back_us = run->end_us - time_us[f];
        if (back_us % hour_us != 0) {
            rc = err_set(ret_err, ERR_INVALID, "%.200s: frame %zu is not on the hours of the last",
                         run->rain, f);
        } else if ((size_t)(back_us / hour_us) < run->hours) {
            size_t hour = run->hours - 1 - (size_t)(back_us / hour_us);
            rc = ncvar_read_f32(run->rain_var, f, run->rain_mm_h + hour * cells, ret_err);
        }
    }
    free(time_us);
    return rc;
}

static int read_classes(struct run *run, struct err *ret_err) {
    size_t cells = run->grid->rows * run->grid->columns;
    run->classes = calloc(cells, sizeof *run->classes);
    run->fields = calloc((2 * CURVES_MAX + 3) * cells, sizeof *run->fields);
    if (run->classes == NULL || run->fields == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", cells);
    }
    int rc = ncvar_read_f64(run->class_var, 0, run->classes, ret_err);
    for (size_t i = 0; rc == 0 && i < cells; i++) {
        double c = run->classes[i];
        if (!isnan(c) && c != 1 && c != 2 && c != 3 && c != 4) {
            rc = err_set(ret_err, ERR_RANGE, "%.200s: class %g; 1 to 4 expected",
                         run->susceptibility, c);
        }
    }
    return rc;
}

static int open_all(struct run *run, struct err *ret_err) {
    int rc = grid_env_create(NULL, &run->env, ret_err);
    rc = rc != 0 ? rc : table_read(run->thresholds, &run->curve_table, ret_err);
    rc = rc != 0 ? rc : table_read(run->risk, &run->rules, ret_err);
    rc = rc != 0 ? rc : pick_curves(run, ret_err);
    rc = rc != 0 ? rc : ncfile_open(run->env, run->rain, &run->rain_file, ret_err);
    rc = rc != 0 ? rc
                 : ncvar_open(run->rain_file, run->rain_variable, NULL, "mm h-1", &run->rain_var,
                              ret_err);
    rc = rc != 0 ? rc : ncvar_grid(run->rain_var, &run->rain_grid, ret_err);
    rc = rc != 0 ? rc : ncfile_open(run->env, run->susceptibility, &run->class_file, ret_err);
    rc = rc != 0 ? rc
                 : ncvar_open(run->class_file, run->variable, NULL, "1", &run->class_var, ret_err);
    rc = rc != 0 ? rc : ncvar_grid(run->class_var, &run->grid, ret_err);
    if (rc == 0 && (run->grid->curvilinear || run->rain_grid->curvilinear ||
                    run->grid->geographic != run->rain_grid->geographic ||
                    (!run->grid->geographic && strcmp(run->grid->crs, run->rain_grid->crs) != 0))) {
        rc = err_set(ret_err, ERR_INVALID, "%.150s and %.150s are not on the same coordinates",
                     run->rain, run->susceptibility);
    }
    rc = rc != 0 ? rc : read_rain(run, ret_err);
    return rc != 0 ? rc : read_classes(run, ret_err);
}

/* ---- cells ---- */

/* The rain of the cell that holds a centre; all missing outside. */
static void rain_at(const struct run *run, size_t row, size_t column, double *ret_rain) {
    size_t cells = run->rain_grid->rows * run->rain_grid->columns;
    double y = 0, x = 0;
    bool inside = grid_locate(run->rain_grid, run->grid->x[column], run->grid->y[row], &y, &x);
    size_t cell = inside ? (size_t)lround(y) * run->rain_grid->columns + (size_t)lround(x) : 0;
    for (size_t h = 0; h < run->hours; h++) {
        ret_rain[h] = inside ? (double)run->rain_mm_h[h * cells + cell] : (double)NAN;
    }
}

static double api_mm(const double *rain, size_t hours, double factor) {
    double daily[HOURS_MAX / 24] = {0};
    size_t days = hours / 24, first = hours - days * 24;
    for (size_t i = 0; i < days * 24; i++) {
        daily[i / 24] += rain[first + i];
    }
    return landslide_api_mm(daily, days, factor);
}

static int judge_cell(struct run *run, size_t cell, const double *rain, struct err *ret_err) {
    static const char *const words[] = {"low", "medium", "high", "very_high"};
    size_t cells = run->grid->rows * run->grid->columns, field = 0;
    struct landslide_class class_46;
    for (size_t i = 0; i < run->curve_count; i++) {
        struct landslide_exceedance e = landslide_exceeds(&run->curves[i], rain, run->hours);
        run->fields[field++ * cells + cell] = (float)e.answer;
        run->fields[field++ * cells + cell] = (float)e.ratio;
    }
    run->fields[field++ * cells + cell] = (float)api_mm(rain, run->hours, run->factor);
    int rc = landslide_article_46(run->rules, run->zone, words[(int)run->classes[cell] - 1], rain,
                                  run->hours, run->rain_day_mm, &class_46, ret_err);
    if (rc == 0) {
        bool beyond = class_46.level > 0 && !class_46.literal;
        run->fields[field++ * cells + cell] = (float)class_46.level;
        run->fields[field * cells + cell] = class_46.may_be_higher ? 1 : beyond ? 2 : 0;
    }
    return rc;
}

static int judge_all(struct run *run, struct err *ret_err) {
    size_t cells = run->grid->rows * run->grid->columns, fields = 2 * run->curve_count + 3;
    double rain[HOURS_MAX];
    int rc = 0;
    for (size_t cell = 0; rc == 0 && cell < cells; cell++) {
        if (isnan(run->classes[cell])) {
            for (size_t f = 0; f < fields; f++) {
                run->fields[f * cells + cell] = NAN;
            }
            continue;
        }
        rain_at(run, cell / run->grid->columns, cell % run->grid->columns, rain);
        rc = judge_cell(run, cell, rain, ret_err);
    }
    return rc;
}

/* ---- writing ---- */

static int write_all(const struct run *run, struct err *ret_err) {
    static const int64_t lead_s = 0;
    struct ncwrite_variable variables[2 * CURVES_MAX + 3] = {0};
    char names[2 * CURVES_MAX][NAME_SIZE];
    size_t cells = run->grid->rows * run->grid->columns, count = 0;
    struct ncwriter *writer = NULL;
    for (size_t i = 0; i < run->curve_count; i++) {
        (void)snprintf(names[count], NAME_SIZE, "%s_exceeded", run->curves[i].id);
        (void)snprintf(names[count + 1], NAME_SIZE, "%s_ratio", run->curves[i].id);
        for (char *at = names[count]; *at != '\0'; at++) {
            *at = *at == '-' ? '_' : *at;
        }
        for (char *at = names[count + 1]; *at != '\0'; at++) {
            *at = *at == '-' ? '_' : *at;
        }
        variables[count] = (struct ncwrite_variable){.name = names[count],
                                                     .units = "1",
                                                     .type = NCWRITE_FLAG_BYTE,
                                                     .flag_meanings = "no yes unknown"};
        variables[count + 1] = (struct ncwrite_variable){
            .name = names[count + 1], .units = "1", .type = NCWRITE_FLOAT};
        count += 2;
    }
    variables[count++] = (struct ncwrite_variable){.name = "api_mm",
                                                   .long_name = "antecedent precipitation index",
                                                   .units = "mm",
                                                   .type = NCWRITE_FLOAT};
    variables[count++] =
        (struct ncwrite_variable){.name = "article_46_level",
                                  .units = "1",
                                  .type = NCWRITE_FLAG_BYTE,
                                  .flag_meanings = "none level_1 level_2 level_3 level_4 level_5"};
    variables[count++] =
        (struct ncwrite_variable){.name = "article_46_state",
                                  .units = "1",
                                  .type = NCWRITE_FLAG_BYTE,
                                  .flag_meanings = "as_found may_be_higher beyond_clause"};
    const struct ncwrite_header header = {.grid = run->grid,
                                          .reference_utc_us = run->end_us,
                                          .lead_count = 1,
                                          .lead_s = &lead_s,
                                          .title = "landslide indicators",
                                          .source =
                                              "canhbao-model landslide-grid " CANHBAO_VERSION};
    int rc = ncwriter_create(run->out, &header, variables, count, &writer, ret_err);
    for (size_t f = 0; rc == 0 && f < count; f++) {
        rc = ncwriter_put(writer, f, 0, 0, run->fields + f * cells, ret_err);
    }
    if (rc == 0) {
        return ncwriter_finish(writer, ret_err);
    }
    ncwriter_destroy(writer);
    return rc;
}

static void finish(struct run *run) {
    if (run->rain_var != NULL) {
        ncvar_close(run->rain_var);
    }
    if (run->class_var != NULL) {
        ncvar_close(run->class_var);
    }
    ncfile_close(run->rain_file);
    ncfile_close(run->class_file);
    grid_destroy(run->rain_grid);
    grid_destroy(run->grid);
    grid_env_destroy(run->env);
    table_destroy(run->rules);
    table_destroy(run->curve_table);
    free(run->rain_mm_h);
    free(run->classes);
    free(run->fields);
}

static int run_landslide_grid(int argc, char **argv) {
    struct run run = {.rain_variable = "rainfall_rate",
                      .variable = "susceptibility",
                      .factor = 0.85,
                      .rain_day_mm = 0.1};
    const struct args_option options[] = {
        {"rain", ARGS_TEXT, &run.rain, true, 0, 0, "FILE.nc", "hourly rain"},
        {"rain-variable", ARGS_TEXT, &run.rain_variable, false, 0, 0, "NAME",
         "rainfall_rate unless told"},
        {"susceptibility", ARGS_TEXT, &run.susceptibility, true, 0, 0, "FILE.nc", "classes"},
        {"variable", ARGS_TEXT, &run.variable, false, 0, 0, "NAME", "susceptibility unless told"},
        {"thresholds", ARGS_TEXT, &run.thresholds, true, 0, 0, "FILE.csv", "rain thresholds"},
        {"curves", ARGS_LIST, &run.curve_ids, true, 0, 0, "ID", "of the thresholds, at most 5"},
        {"risk", ARGS_TEXT, &run.risk, true, 0, 0, "FILE.csv", "rules of Article 46"},
        {"zone", ARGS_TEXT, &run.zone, true, 0, 0, "ZONE", "zone of the Decision, such as KV4"},
        {"api-factor", ARGS_NUMBER, &run.factor, false, 0.5, 0.99, "K",
         "daily recession of the index, 0.85 unless told"},
        {"rain-day-mm", ARGS_NUMBER, &run.rain_day_mm, false, 0.1, 50, "MM",
         "rain of a rain day, 0.1 unless told (the Decision does not say)"},
        {"manifest", ARGS_TEXT, &run.manifest, false, 0, 0, "FILE.json", "run manifest"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "FILE.nc", "result"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE) {
        int rc = open_all(&run, &err);
        rc = rc != 0 ? rc : judge_all(&run, &err);
        rc = rc != 0 ? rc : write_all(&run, &err);
        rc = rc != 0
                 ? rc
                 : run_manifest_write(run.manifest, "landslide-grid", options, run.end_us, &err);
        code = rc == 0 ? MODEL_DONE : model_exit_of(argv[0], &err);
    }
    finish(&run);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_landslide_grid = {
    "landslide-grid", "landslide indicators of every cell (NetCDF)", run_landslide_grid};
