/* canhbao-model flashflood */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "daemon/base/text.h"
#include "models/hydrology/cell_inputs.h"
#include "models/hydrology/crest_state.h"
#include "models/hydrology/flashflood_out.h"
#include "models/hydrology/hydrology.h"
#include "models/nowcast/parallel.h"
#include "models/output/output.h"
#include "models/table/args.h"

static const char about[] =
    "Flash-flood guidance and flows to 24 h of every cell, from rain as it comes: a CREST balance\n"
    "in each cell, a kinematic wave down the network, a state from run to run.\n"
    "\n"
    "--static   NetCDF as `terrain` writes it: flow directions (ESRI D8) and elevation (m)\n"
    "--rain     CF NetCDF frames of a rain rate over ([time,] y, x), any unit that converts to\n"
    "           mm h-1, the oldest first; a frame stands for the time since the one before, at\n"
    "           most --hold-min. A file that is refused is left out and said so\n"
    "--nowcast  CF NetCDF, rainfall_rate over ([realization,] lead_time, y, x), to 2 h\n"
    "--nwp      CF NetCDF, a rain rate over ([realization,] time, y, x), beyond the nowcast\n"
    "--areas    GeoJSON polygons with ids: catchments, communes\n"
    "--reference is the time of the run; the forecast starts with the last whole step that frames\n"
    "           cover, and what they show of the next one counts in it. Newest frame older than\n"
    "           --stale-min: refused\n"
    "\n"
    "Guidance (FFG): rain over the next 1, 3, 6 h whose peak just reaches --threshold-unit times\n"
    "the drained area, taken at each full hour from the running state; the ratio is rain, fallen\n"
    "and foreseen, over the guidance of the hour at which it began (300 mm where that does not\n"
    "flood, at least 1 mm). Guidance needs 6 h of known rain before it.\n"
    "--out      JSON: model, reference_time, manifest, results: for each area ffg_min (mm),\n"
    "           ffg_ratio and ffg_share (1; window 1, 3, 6 h; lead 0 what has fallen),\n"
    "           unit_streamflow and peak_unit_streamflow (m3 s-1 km-2; until 1 to 24 h) with\n"
    "           _zero_rain and _persistence, no more rain and the rain of the last hour held on;\n"
    "           ahead the values that are reached with probability 0.2, 0.5 and 0.8\n"
    "--nc       CF NetCDF grids: discharge_median, unit_streamflow_median,\n"
    "           probability_above_threshold, the floors by hour; ffg_*, ffg_ratio_*,\n"
    "           soil_saturation\n";

struct run {
    struct crest_domain_options options;
    const char *evaporation, *state_in, *state_out;
    const char *reference, *product, *out, *nc;
    struct args_list area_files;
    struct cell_inputs inputs;
    double step_min, stale_min, min_coverage, share_ratio;
    int64_t threads;

    struct grid_env *env;
    struct area_list areas;
    struct cell_area *cells; /* [areas.count] */
    struct crest_live live;
    char identity[HASH_TEXT_SIZE];
    bool state_used;
};

/* ---- reading ---- */

static int map_rain(void *context, const struct grid *rain, size_t *ret_index,
                    struct err *ret_err) {
    return crest_domain_map(context, rain, ret_index, ret_err);
}

static int parse_evaporation(struct run *run, struct err *ret_err) {
    const char *at = run->evaporation;
    for (int month = 0; month < 12; month++) {
        char part[32];
        size_t length = strcspn(at, ",");
        if (length == 0 || length >= sizeof part || (at[length] == ',') != (month < 11)) {
            return err_set(ret_err, ERR_SYNTAX, "--evaporation: expected 12 numbers with commas");
        }
        memcpy(part, at, length);
        part[length] = '\0';
        if (text_parse_double(part, 0, 50, &run->live.evaporation_mm_day[month]) != 0) {
            return err_set(ret_err, ERR_SYNTAX, "--evaporation: '%s' is not within 0 to 50", part);
        }
        at += length + (month < 11);
    }
    return 0;
}

/* Whose state it is: the drainage grid and all that the stores depend on. */
static int identify(struct run *run, struct err *ret_err) {
    const struct crest_domain_options *o = &run->options;
    char file[HASH_TEXT_SIZE], text[512];
    if (hash_file(o->path, file) != 0) {
        return err_set(ret_err, ERR_IO, "%.300s: cannot be read", o->path);
    }
    int length = snprintf(text, sizeof text,
                          "%s %.60s %.60s %.17g %.17g %.17g %.17g %.17g %.17g "
                          "%.17g %.17g %.17g",
                          file, o->d8, o->elevation, o->width_1km2_m, o->manning,
                          o->parameters.wm_mm, o->parameters.b, o->parameters.im, o->parameters.ke,
                          o->parameters.fc_mm_h, o->interflow_h, run->live.threshold_unit_m3_s_km2);
    hash_text(text, (size_t)length, run->identity);
    return 0;
}

static int read_state(struct run *run, struct err *ret_err) {
    struct err inner = {0};
    int rc = crest_live_create(&run->live, ret_err);
    if (rc != 0 || run->state_in == NULL) {
        return rc;
    }
    rc = crest_state_load(run->state_in, &run->live, run->identity, &inner);
    return cell_inputs_state(&run->inputs, rc, &inner, &run->state_used, ret_err);
}

static int read_all(struct run *run, struct err *ret_err) {
    struct crest_live *live = &run->live;
    int rc = parse_evaporation(run, ret_err);
    rc = rc != 0 ? rc : grid_env_create(NULL, &run->env, ret_err);
    rc = rc != 0 ? rc : crest_domain_create(run->env, &run->options, &live->domain, ret_err);
    rc = rc != 0 ? rc : identify(run, ret_err);
    rc = rc != 0 ? rc : read_state(run, ret_err);
    for (size_t i = 0; rc == 0 && i < run->area_files.count; i++) {
        rc = area_list_load(run->area_files.words[i], &run->areas, ret_err);
    }
    rc = rc != 0 ? rc : flashflood_areas(run->env, live->domain, &run->areas, &run->cells, ret_err);
    if (rc != 0) {
        return rc;
    }
    const struct cell_rain_source places = {
        .place_count = live->domain->network->count, .map = map_rain, .context = live->domain};
    rc = cell_inputs_read(run->env, &places,
                          live->state.end_us == 0 ? INT64_MIN : live->state.end_us, &run->inputs,
                          ret_err);
    live->observed = run->inputs.observed;
    live->nowcast = run->inputs.nowcast_rain;
    live->nwp = run->inputs.nwp_rain;
    return rc;
}

/* ---- writing ---- */

static json_t *make_manifest(const struct run *run, struct err *ret_err) {
    const struct crest_domain_options *o = &run->options;
    const char *const files[] = {o->path, run->state_used ? run->state_in : NULL};
    char reference[32];
    text_format_time(run->live.reference_us, reference, sizeof reference);
    json_t *parameters = json_pack(
        "{s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
        "reference_time", reference, "now", run->reference, "evaporation_mm_day", run->evaporation,
        "wm_mm", o->parameters.wm_mm, "b", o->parameters.b, "im", o->parameters.im, "ke",
        o->parameters.ke, "fc_mm_h", o->parameters.fc_mm_h, "interflow_h", o->interflow_h,
        "start_share", o->start_share, "manning", o->manning, "width_1km2_m", o->width_1km2_m,
        "step_min", run->step_min, "hold_min", run->inputs.hold_min, "threshold_unit_m3_s_km2",
        run->live.threshold_unit_m3_s_km2, "rain_log_sigma", run->live.rain_log_sigma,
        "share_ratio", run->share_ratio);
    return cell_inputs_manifest(&run->inputs, "flashflood", parameters, files,
                                sizeof files / sizeof *files, ret_err);
}

static int write_all(const struct run *run, struct err *ret_err) {
    const struct flashflood_output output = {.live = &run->live,
                                             .areas = run->cells,
                                             .area_count = run->areas.count,
                                             .min_coverage = run->min_coverage,
                                             .share_ratio = run->share_ratio};
    json_t *manifest = make_manifest(run, ret_err);
    if (manifest == NULL) {
        return ret_err->code;
    }
    json_t *root = output_object("flashflood", run->product, run->live.reference_us, manifest,
                                 flashflood_results(&output));
    json_t *details = flashflood_details(&output);
    size_t i;
    json_t *text;
    json_array_foreach(run->inputs.left_out, i, text) {
        (void)json_array_append(json_object_get(details, "warnings"), text);
    }
    int rc = root == NULL || json_object_set_new(root, "details", details) != 0
                 ? err_set(ret_err, ERR_MEMORY, "no memory for the output")
                 : 0;
    const char *hash = json_string_value(json_object_get(root, "manifest_sha256"));
    if (rc == 0 && run->nc != NULL) {
        rc = flashflood_write_nc(run->nc, &output, hash, ret_err);
    }
    if (rc == 0 && run->state_out != NULL) {
        rc = crest_state_save(run->state_out, &run->live, run->identity, ret_err);
    }
    rc = rc != 0 ? rc : output_write_json(run->out, root, ret_err);
    json_decref(root);
    return rc;
}

static void finish(struct run *run) {
    cell_areas_finish(run->cells, run->areas.count);
    crest_live_finish(&run->live);
    crest_domain_destroy(run->live.domain);
    cell_inputs_finish(&run->inputs);
    area_list_finish(&run->areas);
    grid_env_destroy(run->env);
    free(run);
}

static int check_usage(struct run *run) {
    run->live.step_us = (int64_t)llround(run->step_min * 6e7);
    run->live.stale_us = (int64_t)(run->stale_min * 6e7);
    run->live.threads = (int)run->threads;
    run->live.forecast = true;
    return run_labels_check("flashflood", run->reference, run->product, &run->live.now_us);
}

static void set_defaults(struct run *run) {
    run->options = (struct crest_domain_options){.d8 = "flow_direction",
                                                 .elevation = "filled",
                                                 .width_1km2_m = 3,
                                                 .manning = 0.05,
                                                 .start_share = 0.5};
    run->product = "";
    run->evaporation = "";
    run->step_min = 30;
    run->inputs.hold_min = 30;
    run->stale_min = 60;
    run->min_coverage = 0.8;
    run->share_ratio = 1;
    run->threads = 1;
}

static int parse(struct run *run, int argc, char **argv) {
    struct crest_domain_options *o = &run->options;
    struct crest_parameters *p = &o->parameters;
    const struct args_option options[] = {
        {"static", ARGS_TEXT, &o->path, true, 0, 0, "FILE.nc", "drainage grid"},
        {"d8", ARGS_TEXT, &o->d8, false, 0, 0, "NAME", "flow_direction unless told"},
        {"elevation", ARGS_TEXT, &o->elevation, false, 0, 0, "NAME", "filled unless told"},
        {"rain", ARGS_LIST, &run->inputs.rain, true, 0, 0, "FILE.nc", "frames, at most 256 files"},
        {"rain-variable", ARGS_TEXT, &run->inputs.rain_name, false, 0, 0, "NAME",
         "of --rain; the one with standard_name rainfall_rate unless told"},
        {"nowcast", ARGS_TEXT, &run->inputs.nowcast, false, 0, 0, "FILE.nc", "rain to 2 h"},
        {"nwp", ARGS_TEXT, &run->inputs.nwp, false, 0, 0, "FILE.nc", "rain beyond"},
        {"variable", ARGS_TEXT, &run->inputs.nwp_name, false, 0, 0, "NAME",
         "of --nwp; the one with standard_name rainfall_rate unless told"},
        {"areas", ARGS_LIST, &run->area_files, true, 0, 0, "FILE.geojson", "see above"},
        {"wm", ARGS_NUMBER, &p->wm_mm, true, 1, 5000, "MM", "soil capacity"},
        {"b", ARGS_NUMBER, &p->b, true, 1e-3, 20, "B", "infiltration curve"},
        {"im", ARGS_NUMBER, &p->im, true, 0, 1, "SHARE", "impervious share"},
        {"ke", ARGS_NUMBER, &p->ke, true, 0.01, 5, "KE", "evaporation factor"},
        {"fc", ARGS_NUMBER, &p->fc_mm_h, true, 1e-4, 1e4, "MM_H", "conductivity"},
        {"interflow-h", ARGS_NUMBER, &o->interflow_h, false, 0, 1e5, "H",
         "linear store of interflow; 0 (unless told): none"},
        {"start-share", ARGS_NUMBER, &o->start_share, false, 0, 1, "SHARE",
         "soil stores without a state, 0.5 unless told"},
        {"manning", ARGS_NUMBER, &o->manning, false, 1e-3, 5, "N", "0.05 unless told"},
        {"width", ARGS_NUMBER, &o->width_1km2_m, false, 0.01, 1000, "M",
         "of a river at 1 km2, grows with km2^0.4; 3 unless told"},
        {"evaporation", ARGS_TEXT, &run->evaporation, true, 0, 0, "LIST",
         "potential, mm a day, 12 numbers with commas, January first"},
        {"rain-log-sigma", ARGS_NUMBER, &run->live.rain_log_sigma, false, 0, 3, "S",
         "of ln(fallen / foreseen) of --nwp with one member, 0 unless told: 20 members"},
        {"threshold-unit", ARGS_NUMBER, &run->live.threshold_unit_m3_s_km2, true, 1e-6, 1e3,
         "M3_S_KM2", "flow per drained km2 that floods"},
        {"share-ratio", ARGS_NUMBER, &run->share_ratio, false, 0.01, 100, "RATIO",
         "from which cells count in ffg_share, 1 unless told"},
        {"step-min", ARGS_NUMBER, &run->step_min, false, 1, 60, "MIN",
         "step of the model, divides an hour; 30 unless told"},
        {"hold-min", ARGS_NUMBER, &run->inputs.hold_min, false, 1, 120, "MIN",
         "longest time a frame stands for, 30 unless told"},
        {"stale-min", ARGS_NUMBER, &run->stale_min, false, 1, 1440, "MIN", "60 unless told"},
        {"min-coverage", ARGS_NUMBER, &run->min_coverage, false, 0, 1, "SHARE",
         "fewer known cells of an area: unknown; 0.8 unless told"},
        {"reference", ARGS_TEXT, &run->reference, true, 0, 0, "TIME", "RFC 3339"},
        {"threads", ARGS_INT, &run->threads, false, 1, PARALLEL_THREADS_MAX, "N",
         "1 unless told; the result does not depend on it"},
        {"state-in", ARGS_TEXT, &run->state_in, false, 0, 0, "FILE.nc", "of the run before"},
        {"state-out", ARGS_TEXT, &run->state_out, false, 0, 0, "FILE.nc", "for the next run"},
        {"nc", ARGS_TEXT, &run->nc, false, 0, 0, "FILE.nc", "grids, see above"},
        {"product", ARGS_TEXT, &run->product, false, 0, 0, "NAME", "written into the output"},
        {"out", ARGS_TEXT, &run->out, true, 0, 0, "FILE.json", "result, - for stdout"},
        {0},
    };
    return args_parse(argc, argv, options, about);
}

static int run_flashflood(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    json_t *left_out = json_array();
    struct err err = {0};
    if (run == NULL || left_out == NULL) {
        free(run);
        json_decref(left_out);
        return MODEL_FAILED;
    }
    run->inputs.left_out = left_out;
    set_defaults(run);
    int code = parse(run, argc, argv);
    code = code == MODEL_DONE ? check_usage(run) : code;
    if (code == MODEL_DONE) {
        int rc = read_all(run, &err);
        rc = rc != 0 ? rc : crest_live_run(&run->live, &err);
        rc = rc != 0 ? rc : write_all(run, &err);
        code = rc == 0 ? MODEL_DONE : model_exit_of(argv[0], &err);
    }
    finish(run);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_flashflood = {
    "flashflood", "flash-flood guidance and flows of every cell, from rain as it comes",
    run_flashflood};
