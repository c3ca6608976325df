/* canhbao-model crest-grid */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/hydrology/crest_fields.h"
#include "models/hydrology/hydrology.h"
#include "models/nowcast/parallel.h"
#include "models/output/run_manifest.h"
#include "models/table/args.h"
#include "models/table/table.h"

enum { OUTLETS_MAX = 500 };

static const char about[] =
    "Distributed rainfall-runoff: a CREST balance in every cell, its runoff routed down the "
    "network.\n"
    "\n"
    "--static   NetCDF as terrain writes it: flow directions (ESRI D8) and elevation (m)\n"
    "--forcing  NetCDF, CF: rain and potential evaporation as rates (any unit that converts to\n"
    "           mm h-1), one frame a fixed step; each cell takes the forcing cell it lies in. A\n"
    "           frame that is left out, and missing cells, make what is below them unknown.\n"
    "--outlets  CSV: id, x, y in the coordinates of the grid\n"
    "--out      CSV: time (end of the step), then for each outlet its mean discharge of the step\n"
    "           in m3/s, empty when unknown, and id_mark: ok, missing or recovering\n"
    "Interflow runs through a linear store with --interflow-h. The water balance is reported on\n"
    "stderr. Leave time for warm-up.\n"
    "--nc       CF NetCDF grids: discharge, unit_streamflow, peak_discharge and\n"
    "           peak_unit_streamflow since the reference time, soil_saturation; with\n"
    "           --threshold-unit ffg_1h, _3h, _6h (mm: rain from the reference time on whose peak\n"
    "           just reaches the threshold; 0: reached without, missing: 300 mm do not, or the\n"
    "           state is not known) and ffg_ratio_1h, _3h, _6h: most rain of that duration since\n"
    "           then over the guidance. Reference time: --guidance-at, else the end. Frames after\n"
    "           it may be observed or forecast.\n";

/* Guidance at a time, and what the rain made of it afterwards; by place. */
struct guidance {
    bool done;
    double *threshold_m3_s, *potential_mm_h;
    double *mm, *ratio;             /* [duration][place] */
    double *peak_m3_s, *soil_share; /* since then; at the end */
    float *rain_mm;                 /* [frame since][place] */
    size_t frames, frames_max;
};

struct run {
    struct crest_domain_options options;
    const char *forcing, *rain, *potential, *outlets, *out, *manifest, *stamp, *nc, *guidance_at;
    double step_h, threshold_unit;
    int64_t guidance_us;
    struct guidance guidance;
    int64_t threads;

    struct crest_domain *domain;
    struct ncfile *file;
    struct ncvar *rain_var, *potential_var;
    size_t frames;
    int64_t *time_us; /* [frames] */
    int64_t frame_us;
    size_t substeps;
    size_t *index;                  /* [place] forcing cell */
    double *frame;                  /* one frame of the forcing */
    double *rain_mm, *potential_mm; /* [place], a substep */
    struct table *table;
    size_t outlet_count;
    size_t place[OUTLETS_MAX];
    double rain_m3, evaporation_m3, out_m3, start_m3;
    size_t missing_frames;
};

/* ---- reading ---- */

static int read_outlets(struct run *run, struct err *ret_err) {
    size_t id = 0, x = 0, y = 0;
    double xs[OUTLETS_MAX], ys[OUTLETS_MAX];
    int rc = table_read(run->outlets, &run->table, ret_err);
    rc = rc != 0 ? rc : table_find(run->table, "id", &id, ret_err);
    rc = rc != 0 ? rc : table_find(run->table, "x", &x, ret_err);
    rc = rc != 0 ? rc : table_find(run->table, "y", &y, ret_err);
    if (rc != 0) {
        return rc;
    }
    run->outlet_count = table_rows(run->table);
    if (run->outlet_count == 0 || run->outlet_count > OUTLETS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "%s: %zu outlets; 1 to %d expected", run->outlets,
                       run->outlet_count, OUTLETS_MAX);
    }
    rc = table_numbers(run->table, x, -1e9, 1e9, xs, ret_err);
    rc = rc != 0 ? rc : table_numbers(run->table, y, -1e9, 1e9, ys, ret_err);
    for (size_t i = 0; rc == 0 && i < run->outlet_count; i++) {
        struct err inner = {0};
        if (!text_is_id(table_text(run->table, i, id))) {
            rc = table_refuse(run->table, i, id, ERR_SYNTAX, ret_err, "'%.60s' is not an id",
                              table_text(run->table, i, id));
        } else if (crest_domain_place(run->domain, xs[i], ys[i], &run->place[i], &inner) != 0) {
            rc = table_refuse(run->table, i, x, ERR_RANGE, ret_err, "%.200s", inner.text);
        }
    }
    return rc;
}

/* Frames on a fixed step that the first two tell; left-out ones are allowed. */
static int check_times(struct run *run, struct err *ret_err) {
    if (run->frames < 2) {
        return err_set(ret_err, ERR_INVALID, "%s: %zu frames; the step is not told", run->forcing,
                       run->frames);
    }
    run->frame_us = run->time_us[1] - run->time_us[0];
    for (size_t i = 1; i < run->frames; i++) {
        if ((run->time_us[i] - run->time_us[0]) % run->frame_us != 0) {
            return err_set(ret_err, ERR_INVALID, "%s: frame %zu is not on the step of %g h",
                           run->forcing, i, (double)run->frame_us / 3.6e9);
        }
    }
    double steps = (double)run->frame_us / 3.6e9 / run->step_h;
    run->substeps = (size_t)fmax(1, round(steps));
    if (run->step_h > 0 && fabs(steps - (double)run->substeps) > 1e-9 * steps) {
        return err_set(ret_err, ERR_INVALID, "--step-h %g does not divide the %g h of a frame",
                       run->step_h, (double)run->frame_us / 3.6e9);
    }
    return 0;
}

static int open_forcing(struct run *run, struct grid_env *env, struct err *ret_err) {
    struct grid *grid = NULL, *other = NULL;
    int64_t *other_us = NULL;
    size_t places = run->domain->network->count;
    int rc = ncfile_open(env, run->forcing, &run->file, ret_err);
    rc = rc != 0 ? rc : ncvar_open(run->file, run->rain, NULL, "mm h-1", &run->rain_var, ret_err);
    rc = rc != 0
             ? rc
             : ncvar_open(run->file, run->potential, NULL, "mm h-1", &run->potential_var, ret_err);
    rc = rc != 0 ? rc : ncvar_grid(run->rain_var, &grid, ret_err);
    rc = rc != 0 ? rc : ncvar_grid(run->potential_var, &other, ret_err);
    if (rc == 0) {
        run->frames = ncvar_frame_count(run->rain_var);
        run->time_us = calloc(run->frames, sizeof *run->time_us);
        other_us = calloc(run->frames, sizeof *other_us);
        run->index = calloc(places, sizeof *run->index);
        run->frame = calloc(grid->rows * grid->columns, sizeof *run->frame);
        run->rain_mm = calloc(places, sizeof *run->rain_mm);
        run->potential_mm = calloc(places, sizeof *run->potential_mm);
        if (run->time_us == NULL || other_us == NULL || run->index == NULL || run->frame == NULL ||
            run->rain_mm == NULL || run->potential_mm == NULL) {
            rc = err_set(ret_err, ERR_MEMORY, "no memory for the forcing");
        } else if (ncvar_frame_count(run->potential_var) != run->frames ||
                   !grid_same(grid, other)) {
            rc = err_set(ret_err, ERR_INVALID, "%s: %s and %s differ in times or grid",
                         run->forcing, run->rain, run->potential);
        }
    }
    rc = rc != 0 ? rc : ncvar_times(run->rain_var, INT64_MAX, run->time_us, ret_err);
    rc = rc != 0 ? rc : ncvar_times(run->potential_var, INT64_MAX, other_us, ret_err);
    if (rc == 0 && memcmp(run->time_us, other_us, run->frames * sizeof *other_us) != 0) {
        rc = err_set(ret_err, ERR_INVALID, "%s: %s and %s have other times", run->forcing,
                     run->rain, run->potential);
    }
    rc = rc != 0 ? rc : check_times(run, ret_err);
    rc = rc != 0 ? rc : crest_domain_map(run->domain, grid, run->index, ret_err);
    free(other_us);
    grid_destroy(grid);
    grid_destroy(other);
    return rc;
}

/* Depths of a substep by place; frame SIZE_MAX is one that the file left out. */
static int read_frame(struct run *run, struct ncvar *var, size_t frame, double *ret_mm,
                      struct err *ret_err) {
    size_t places = run->domain->network->count;
    double hours = (double)run->frame_us / 3.6e9 / (double)run->substeps;
    int rc = frame == SIZE_MAX ? 0 : ncvar_read_f64(var, frame, run->frame, ret_err);
    for (size_t p = 0; rc == 0 && p < places; p++) {
        double rate = frame == SIZE_MAX ? (double)NAN : run->frame[run->index[p]];
        if (rate < 0) {
            rc = err_set(ret_err, ERR_RANGE, "%s: %s is %g mm/h at frame %zu; not below 0 expected",
                         run->forcing, ncvar_name(var), rate, frame);
        }
        ret_mm[p] = rate * hours;
    }
    return rc;
}

/* ---- guidance and grids ---- */

static int make_guidance(struct run *run, struct err *ret_err) {
    struct guidance *g = &run->guidance;
    size_t places = run->domain->network->count;
    g->frames_max = 0;
    for (size_t i = 0; i < run->frames; i++) {
        g->frames_max += run->time_us[i] >= run->guidance_us;
    }
    g->threshold_m3_s = calloc(places, sizeof(double));
    g->potential_mm_h = calloc(places, sizeof(double));
    g->mm = calloc(FFG_GRID_DURATIONS * places, sizeof(double));
    g->ratio = calloc(FFG_GRID_DURATIONS * places, sizeof(double));
    g->peak_m3_s = calloc(places, sizeof(double));
    g->soil_share = calloc(places, sizeof(double));
    g->rain_mm = calloc(g->frames_max * places + 1, sizeof(float));
    if (g->threshold_m3_s == NULL || g->potential_mm_h == NULL || g->mm == NULL ||
        g->ratio == NULL || g->peak_m3_s == NULL || g->soil_share == NULL || g->rain_mm == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the grids");
    }
    for (size_t p = 0; p < places; p++) {
        g->threshold_m3_s[p] = run->threshold_unit * run->domain->drained_km2[p];
    }
    return 0;
}

/* At the reference time: guidance from the state, and the peaks start anew. */
static int take_guidance(struct run *run, double dt_s, struct err *ret_err) {
    struct guidance *g = &run->guidance;
    size_t places = run->domain->network->count;
    g->done = true;
    memcpy(g->peak_m3_s, run->domain->crest.kinematic->outflow_m3_s, places * sizeof(double));
    for (size_t p = 0; p < places; p++) {
        double mm_h = run->potential_mm[p] * 3600 / dt_s; /* of the newest frame */
        g->potential_mm_h[p] = isnan(mm_h) ? 0 : mm_h;
    }
    return isnan(run->threshold_unit)
               ? 0
               : ffg_grid_run(run->domain, dt_s, g->threshold_m3_s, g->potential_mm_h,
                              (int)run->threads, g->mm, ret_err);
}

static void follow_peaks(struct run *run) {
    const double *flow = run->domain->crest.kinematic->outflow_m3_s;
    double *peak = run->guidance.peak_m3_s;
    for (size_t p = 0; p < run->domain->network->count; p++) {
        peak[p] = isnan(flow[p]) || isnan(peak[p]) ? (double)NAN : fmax(peak[p], flow[p]);
    }
}

static void note_rain(struct run *run) {
    struct guidance *g = &run->guidance;
    size_t places = run->domain->network->count;
    if (g->done && g->frames < g->frames_max) {
        for (size_t p = 0; p < places; p++) {
            g->rain_mm[g->frames * places + p] = (float)(run->rain_mm[p] * (double)run->substeps);
        }
        g->frames++;
    }
}

/* The most rain of so many frames in a row; NaN when one is missing, or there are not so many. */
static double most_rain(const struct guidance *g, size_t places, size_t p, size_t window) {
    double most = NAN;
    for (size_t first = 0; first + window <= g->frames; first++) {
        double sum = 0;
        for (size_t f = first; f < first + window; f++) {
            sum += (double)g->rain_mm[f * places + p];
        }
        if (isnan(sum)) {
            return NAN;
        }
        most = isnan(most) ? sum : fmax(most, sum);
    }
    return most;
}

static int write_grids(struct run *run, struct err *ret_err) {
    struct guidance *g = &run->guidance;
    const struct crest_domain *domain = run->domain;
    size_t places = domain->network->count;
    bool guided = !isnan(run->threshold_unit);
    for (size_t p = 0; p < places; p++) {
        g->soil_share[p] = domain->crest.water_mm[p] / domain->parameters[p].wm_mm;
    }
    for (size_t d = 0; d < FFG_GRID_DURATIONS; d++) {
        int64_t hours_us = ffg_grid_hours[d] * INT64_C(3600000000);
        size_t window = hours_us % run->frame_us == 0 ? (size_t)(hours_us / run->frame_us) : 0;
        for (size_t p = 0; p < places; p++) {
            size_t at = d * places + p;
            g->ratio[at] = window == 0 ? (double)NAN : most_rain(g, places, p, window) / g->mm[at];
            g->ratio[at] = isinf(g->ratio[at]) ? (double)NAN : g->ratio[at]; /* guidance 0 */
        }
    }
    const struct crest_fields fields = {domain->crest.kinematic->outflow_m3_s, g->peak_m3_s,
                                        g->soil_share, guided ? g->mm : NULL,
                                        guided ? g->ratio : NULL};
    return crest_fields_write(run->nc, domain, &fields, run->guidance_us, ret_err);
}

/* ---- running ---- */

static void header(const struct run *run, struct table_out *out) {
    size_t id = 0;
    (void)table_find(run->table, "id", &id, NULL);
    table_out_text(out, "time");
    for (size_t i = 0; i < run->outlet_count; i++) {
        char name[TABLE_NAME_MAX + 8];
        table_out_text(out, table_text(run->table, i, id));
        (void)snprintf(name, sizeof name, "%s_mark", table_text(run->table, i, id));
        table_out_text(out, name);
    }
    table_out_end_row(out);
}

/* Adds what a substep did to the balance; NaN once something is unknown. */
static void count_water(struct run *run, double dt_s) {
    const struct crest_domain *domain = run->domain;
    double rain = 0, evaporation = 0;
    for (size_t p = 0; p < domain->network->count; p++) {
        rain += run->rain_mm[p] * domain->area_m2[p];
        evaporation += domain->crest.evaporation_mm[p] * domain->area_m2[p];
    }
    run->rain_m3 += rain * 1e-3;
    run->evaporation_m3 += evaporation * 1e-3;
    run->out_m3 += kinematic_outlet_m3_s(domain->crest.kinematic) * dt_s;
}

static void run_step(struct run *run, struct table_out *out, int64_t end_us) {
    static const char *const marks[] = {"ok", "missing", "recovering"};
    double sum[OUTLETS_MAX] = {0};
    uint8_t mark[OUTLETS_MAX] = {0};
    const struct kinematic *kinematic = run->domain->crest.kinematic;
    double dt_s = (double)run->frame_us / 1e6 / (double)run->substeps;
    for (size_t s = 0; s < run->substeps; s++) {
        crest_grid_step(&run->domain->crest, dt_s, run->rain_mm, run->potential_mm,
                        (int)run->threads);
        count_water(run, dt_s);
        if (run->guidance.done) {
            follow_peaks(run);
        }
        for (size_t i = 0; i < run->outlet_count; i++) {
            sum[i] += kinematic->outflow_m3_s[run->place[i]];
            uint8_t now = kinematic->mark[run->place[i]];
            mark[i] = mark[i] == KINEMATIC_MISSING || now == KINEMATIC_OK ? mark[i] : now;
        }
    }
    char time[32];
    text_format_time(end_us, time, sizeof time);
    table_out_text(out, time);
    for (size_t i = 0; i < run->outlet_count; i++) {
        table_out_number(out, sum[i] / (double)run->substeps);
        table_out_text(out, marks[mark[i]]);
    }
    table_out_end_row(out);
}

static int run_all(struct run *run, struct err *ret_err) {
    struct table_out out;
    int rc = table_out_open(&out, run->out, ret_err);
    if (rc != 0) {
        return rc;
    }
    header(run, &out);
    run->start_m3 = crest_domain_stored_m3(run->domain);
    int64_t end_us = strcmp(run->stamp, "start") == 0 ? run->frame_us : 0;
    size_t frame = 0;
    for (int64_t t = run->time_us[0]; rc == 0 && t <= run->time_us[run->frames - 1];
         t += run->frame_us) {
        bool there = run->time_us[frame] == t;
        rc = read_frame(run, run->rain_var, there ? frame : SIZE_MAX, run->rain_mm, ret_err);
        rc = rc != 0 ? rc
                     : read_frame(run, run->potential_var, there ? frame : SIZE_MAX,
                                  run->potential_mm, ret_err);
        if (rc == 0) {
            run_step(run, &out, t + end_us);
            note_rain(run);
        }
        if (rc == 0 && run->nc != NULL && !run->guidance.done && t + end_us >= run->guidance_us) {
            rc = take_guidance(run, (double)run->frame_us / 1e6 / (double)run->substeps, ret_err);
        }
        frame += there;
        run->missing_frames += !there;
    }
    struct err inner = {0};
    int closed = table_out_close(&out, rc == 0, rc == 0 ? ret_err : &inner);
    return rc != 0 ? rc : closed;
}

/* The reference time lies within the forcing. */
static int check_guidance(struct run *run, struct err *ret_err) {
    int64_t end_us = strcmp(run->stamp, "start") == 0 ? run->frame_us : 0;
    int64_t first_us = run->time_us[0] + end_us, last_us = run->time_us[run->frames - 1] + end_us;
    if (run->guidance_at == NULL) {
        run->guidance_us = last_us;
        return 0;
    }
    if (table_time(run->guidance_at, &run->guidance_us) != 0 || run->guidance_us < first_us ||
        run->guidance_us > last_us) {
        return err_set(ret_err, ERR_RANGE, "--guidance-at: '%.60s' is no time of the forcing",
                       run->guidance_at);
    }
    return 0;
}

static int work(struct run *run, struct grid_env *env, struct err *ret_err) {
    int rc = crest_domain_create(env, &run->options, &run->domain, ret_err);
    rc = rc != 0 ? rc : read_outlets(run, ret_err);
    rc = rc != 0 ? rc : open_forcing(run, env, ret_err);
    rc = rc != 0 ? rc : check_guidance(run, ret_err);
    rc = rc != 0 || run->nc == NULL ? rc : make_guidance(run, ret_err);
    rc = rc != 0 ? rc : run_all(run, ret_err);
    rc = rc != 0 || run->nc == NULL ? rc : write_grids(run, ret_err);
    if (rc == 0) {
        double change = crest_domain_stored_m3(run->domain) - run->start_m3;
        fprintf(stderr,
                "%zu cells, %zu frames of %g h in %zu steps, %zu left out\n"
                "balance m3: rain %.6g - evaporation %.6g - outflow %.6g - storage %.6g, residual "
                "%.3g of the rain%s\n",
                run->domain->network->count, run->frames, (double)run->frame_us / 3.6e9,
                run->substeps, run->missing_frames, run->rain_m3, run->evaporation_m3, run->out_m3,
                change,
                (run->rain_m3 - run->evaporation_m3 - run->out_m3 - change) /
                    fmax(run->rain_m3, 1e-300),
                isnan(run->rain_m3) ? " (unknown: forcing is missing)" : "");
    }
    return rc;
}

static void finish(struct run *run) {
    crest_domain_destroy(run->domain);
    ncvar_close(run->rain_var);
    ncvar_close(run->potential_var);
    ncfile_close(run->file);
    table_destroy(run->table);
    free(run->time_us);
    free(run->index);
    free(run->frame);
    free(run->rain_mm);
    free(run->potential_mm);
    struct guidance *g = &run->guidance;
    void *const owned[] = {g->threshold_m3_s, g->potential_mm_h, g->mm,     g->ratio,
                           g->peak_m3_s,      g->soil_share,     g->rain_mm};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        free(owned[i]);
    }
}

static int run_crest_grid(int argc, char **argv) {
    struct run run = {.frames = 0};
    struct grid_env *env = NULL;
    struct crest_domain_options *o = &run.options;
    *o = (struct crest_domain_options){.d8 = "flow_direction",
                                       .elevation = "filled",
                                       .width_1km2_m = 3,
                                       .manning = 0.05,
                                       .start_share = 0.5};
    run.rain = "rain";
    run.potential = "pet";
    run.stamp = "end";
    run.threads = 1;
    run.threshold_unit = NAN;
    const struct args_option options[] = {
        {"static", ARGS_TEXT, &o->path, true, 0, 0, "FILE.nc", "drainage grid"},
        {"d8", ARGS_TEXT, &o->d8, false, 0, 0, "NAME", "flow_direction unless told"},
        {"elevation", ARGS_TEXT, &o->elevation, false, 0, 0, "NAME", "filled unless told"},
        {"forcing", ARGS_TEXT, &run.forcing, true, 0, 0, "FILE.nc", "rain and evaporation"},
        {"rain", ARGS_TEXT, &run.rain, false, 0, 0, "NAME", "rain unless told"},
        {"potential", ARGS_TEXT, &run.potential, false, 0, 0, "NAME", "pet unless told"},
        {"stamp", ARGS_TEXT, &run.stamp, false, 0, 0, "start|end",
         "what the time of a frame is; end unless told"},
        {"outlets", ARGS_TEXT, &run.outlets, true, 0, 0, "FILE.csv", "id, x, y"},
        {"wm", ARGS_NUMBER, &o->parameters.wm_mm, true, 1, 5000, "MM", "soil capacity"},
        {"b", ARGS_NUMBER, &o->parameters.b, true, 1e-3, 20, "B", "infiltration curve"},
        {"im", ARGS_NUMBER, &o->parameters.im, true, 0, 1, "SHARE", "impervious share"},
        {"ke", ARGS_NUMBER, &o->parameters.ke, true, 0.01, 5, "KE", "evaporation factor"},
        {"fc", ARGS_NUMBER, &o->parameters.fc_mm_h, true, 1e-4, 1e4, "MM_H", "conductivity"},
        {"interflow-h", ARGS_NUMBER, &o->interflow_h, false, 0, 1e5, "H",
         "linear store of interflow; 0 (unless told): none"},
        {"start-share", ARGS_NUMBER, &o->start_share, false, 0, 1, "SHARE",
         "soil stores at the start, 0.5 unless told"},
        {"manning", ARGS_NUMBER, &o->manning, false, 1e-3, 5, "N", "0.05 unless told"},
        {"width", ARGS_NUMBER, &o->width_1km2_m, false, 0.01, 1000, "M",
         "of a river at 1 km2, grows with km2^0.4; 3 unless told"},
        {"step-h", ARGS_NUMBER, &run.step_h, true, 1e-3, 24, "H", "step of the model"},
        {"threads", ARGS_INT, &run.threads, false, 1, PARALLEL_THREADS_MAX, "N",
         "1 unless told; the result does not depend on it"},
        {"nc", ARGS_TEXT, &run.nc, false, 0, 0, "FILE.nc", "grids, see above"},
        {"threshold-unit", ARGS_NUMBER, &run.threshold_unit, false, 1e-6, 1e3, "M3_S_KM2",
         "flow per drained km2 that floods, for the guidance"},
        {"guidance-at", ARGS_TEXT, &run.guidance_at, false, 0, 0, "TIME",
         "reference time of the grids"},
        {"manifest", ARGS_TEXT, &run.manifest, false, 0, 0, "FILE.json", "run manifest"},
        {"out", ARGS_TEXT, &run.out, true, 0, 0, "FILE.csv", "result, - for stdout"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && strcmp(run.stamp, "start") != 0 && strcmp(run.stamp, "end") != 0) {
        fprintf(stderr, "canhbao-model crest-grid: --stamp: expected start or end, got '%s'\n",
                run.stamp);
        code = MODEL_USAGE;
    }
    if (code == MODEL_DONE && run.nc == NULL &&
        (run.guidance_at != NULL || !isnan(run.threshold_unit))) {
        fprintf(stderr, "canhbao-model crest-grid: --guidance-at and --threshold-unit need --nc\n");
        code = MODEL_USAGE;
    }
    if (code == MODEL_DONE &&
        (grid_env_create(NULL, &env, &err) != 0 || work(&run, env, &err) != 0 ||
         run_manifest_write(run.manifest, "crest-grid", options, run.guidance_us, &err) != 0)) {
        code = model_exit_of(argv[0], &err);
    }
    finish(&run);
    grid_env_destroy(env);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_crest_grid = {
    "crest-grid", "distributed CREST and kinematic wave on NetCDF grids", run_crest_grid};
