/* canhbao-model flood */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/hydrology/cell_inputs.h"
#include "models/hydrology/flood_nc.h"
#include "models/hydrology/flood_out.h"
#include "models/hydrology/flood_state.h"
#include "models/hydrology/hydrology.h"
#include "models/output/output.h"
#include "models/table/args.h"

static const char about[] =
    "Stage and discharge to 24 h at every gauge of a site: GR4H or HBV-96 basins, Muskingum-Cunge\n"
    "reaches, reservoirs, updating from the gauges, bands, alarm levels, verification.\n"
    "\n"
    "--site     JSON: kind flood-site, version 1, source, evaporation_mm_day [12],\n"
    "           temperature_c [12] (for hbv), rain_log_sigma (of a rain forecast of one member),\n"
    "           basins [{id, area_km2, node, gr4h {x1_mm, x2_mm, x3_mm, x4, start_production,\n"
    "             start_routing (shares)} or hbv, rain [{station, point, mm_per_count (counters),\n"
    "             weight}], regional, source, provisional}],\n"
    "           reaches [{id, from, to, length_m, width_m, slope, manning, design_m3_s, ...}],\n"
    "           reservoirs [{id, node, gauge {station, point} (release m3/s), schedule [[time,\n"
    "             m3/s]], rule [[m3, m3/s]], full_m3, start_m3, ...}],\n"
    "           gauges [{station, point, node, rating (of `rating`), levels_m, updating (of\n"
    "             `update`, or {half_life_h, log_sigma}), ...}]\n"
    "--series   CSV: time (RFC 3339), station, point, value, flag (QARTOD); readings as they "
    "came:\n"
    "           stage in m, rain rate in mm/h or counts, release in m3/s\n"
    "--nowcast  CF NetCDF, rainfall_rate over ([realization,] lead_time, y, x), to 2 h\n"
    "--nwp      CF NetCDF, a rain rate over ([realization,] time, y, x), beyond the nowcast\n"
    "--outlines GeoJSON with a polygon for each basin id; needed with --nowcast or --nwp\n"
    "--reference is the time of the run; the forecast starts at the full hour before it\n"
    "\n"
    "Rain of the first hours: gauges, then nowcast, then --nwp; from the first hour that none of\n"
    "them covers, bands and probabilities are unknown. Beside the bands always: no rain at all, "
    "and\n"
    "the rain of the last hour held on. A rain file that is refused is left out and said so.\n"
    "--out      JSON: model, reference_time, manifest, results (see `forecast`), forecast, "
    "scores\n";

struct run {
    const char *site_path, *series, *nowcast, *nwp, *variable, *state_in, *state_out;
    const char *reference, *product, *out, *nc, *details;
    struct args_list outlines;
    struct flood_site *site;
    struct samples *samples;
    struct rain_grid *nowcast_rain, *nwp_rain;
    struct flood_run flood;
    json_t *left_out; /* texts */
    bool state_used;
};

/* Leaves a rain file out that cannot be used. */
static int read_rain(struct run *run, struct grid_env *env, const struct area_list *areas,
                     const char *path, const char *variable, struct rain_grid **ret_rain,
                     struct err *ret_err) {
    const char *basins[FLOOD_BASINS_MAX];
    struct err inner = {0};
    if (path == NULL) {
        return 0;
    }
    for (size_t b = 0; b < run->site->basin_count; b++) {
        basins[b] = run->site->basins[b].id;
    }
    struct ncfile *file = NULL;
    int rc = ncfile_open(env, path, &file, &inner);
    rc = rc != 0 ? rc
                 : rain_grid_read(env, file, variable, areas, basins, run->site->basin_count,
                                  ret_rain, &inner);
    if (rc == ERR_MEMORY) {
        return err_set(ret_err, rc, "%s", inner.text);
    }
    if (rc != 0) {
        (void)json_array_append_new(run->left_out, json_string(inner.text));
    }
    return 0;
}

static int check_outlines(const struct run *run, const struct area_list *areas,
                          struct err *ret_err) {
    for (size_t b = 0; b < run->site->basin_count; b++) {
        size_t a = 0;
        while (a < areas->count && strcmp(areas->areas[a].id, run->site->basins[b].id) != 0) {
            a++;
        }
        if (a == areas->count) {
            return err_set(ret_err, ERR_NOT_FOUND, "--outlines: no polygon with the id '%s'",
                           run->site->basins[b].id);
        }
    }
    return 0;
}

static int read_grids(struct run *run, struct err *ret_err) {
    struct grid_env *env = NULL;
    struct area_list areas = {0};
    if (run->nowcast == NULL && run->nwp == NULL) {
        return 0;
    }
    int rc = grid_env_create(NULL, &env, ret_err);
    for (size_t i = 0; rc == 0 && i < run->outlines.count; i++) {
        rc = area_list_load(run->outlines.words[i], &areas, ret_err);
    }
    rc = rc != 0 ? rc : check_outlines(run, &areas, ret_err);
    rc =
        rc != 0 ? rc : read_rain(run, env, &areas, run->nowcast, NULL, &run->nowcast_rain, ret_err);
    rc = rc != 0 ? rc
                 : read_rain(run, env, &areas, run->nwp, run->variable, &run->nwp_rain, ret_err);
    area_list_finish(&areas);
    grid_env_destroy(env);
    return rc;
}

/* A state that does not fit is left out: the model starts anew and says so. */
static int read_state(struct run *run, struct flood_state **ret_state, struct err *ret_err) {
    struct err inner = {0};
    for (size_t g = 0; g < FLOOD_GAUGES_MAX; g++) {
        flood_skill_start(&run->flood.skill[g]);
    }
    if (run->state_in == NULL) {
        return 0;
    }
    int rc = flood_state_load(run->state_in, run->site, ret_state, run->flood.skill, &inner);
    if (rc == ERR_MEMORY || rc == ERR_IO) {
        return err_set(ret_err, rc, "%s", inner.text);
    }
    run->state_used = rc == 0;
    if (rc != 0) {
        (void)json_array_append_new(run->left_out, json_string(inner.text));
        for (size_t g = 0; g < FLOOD_GAUGES_MAX; g++) {
            flood_skill_start(&run->flood.skill[g]);
        }
    }
    return 0;
}

static json_t *make_manifest(const struct run *run, struct err *ret_err) {
    const char *const files[] = {
        run->site_path, run->series, run->nowcast_rain != NULL ? run->nowcast : NULL,
        run->nwp_rain != NULL ? run->nwp : NULL, run->state_used ? run->state_in : NULL};
    char reference[32];
    text_format_time(run->flood.reference_us, reference, sizeof reference);
    json_t *manifest =
        manifest_of_files("flood",
                          json_pack("{s:s, s:s, s:s?}", "reference_time", reference, "now",
                                    run->reference, "variable", run->variable),
                          files, sizeof files / sizeof *files, ret_err);
    if (manifest != NULL && json_object_set(manifest, "left_out", run->left_out) != 0) {
        (void)err_set(ret_err, ERR_MEMORY, "no memory for the manifest");
        json_decref(manifest);
        return NULL;
    }
    return manifest;
}

static int write_all(const struct run *run, struct err *ret_err) {
    json_t *manifest = make_manifest(run, ret_err);
    if (manifest == NULL) {
        return ret_err->code;
    }
    json_t *root = output_object("flood", run->product, run->flood.reference_us, manifest,
                                 flood_results(&run->flood, run->product));
    json_t *details = flood_details(&run->flood);
    size_t i;
    json_t *text;
    json_array_foreach(run->left_out, i, text) {
        (void)json_array_append(json_object_get(details, "warnings"), text);
    }
    int rc = root == NULL || json_object_set_new(root, "forecast", details) != 0 ||
                     json_object_set(root, "scores", run->flood.scores) != 0
                 ? err_set(ret_err, ERR_MEMORY, "no memory for the output")
                 : 0;
    if (rc == 0 && run->details != NULL) {
        json_t *page = json_deep_copy(root);
        (void)json_object_del(page, "results"); /* many, and all of it stands in the bands */
        (void)json_object_del(page, "scores");
        rc = output_write_json(run->details, page, ret_err);
        json_decref(page);
    }
    if (rc == 0 && run->nc != NULL) {
        rc = flood_write_nc(run->nc, &run->flood,
                            json_string_value(json_object_get(root, "manifest_sha256")), ret_err);
    }
    if (rc == 0 && run->state_out != NULL) {
        rc = flood_state_save(run->state_out, run->site, run->flood.saved, run->flood.skill,
                              ret_err);
    }
    rc = rc != 0 ? rc : output_write_json(run->out, root, ret_err);
    json_decref(root);
    return rc;
}

static int work(struct run *run, struct err *ret_err) {
    struct flood_state *state = NULL;
    int rc = flood_site_load(run->site_path, &run->site, ret_err);
    rc = rc != 0 ? rc : samples_read(run->series, &run->samples, ret_err);
    rc = rc != 0 ? rc : read_grids(run, ret_err);
    rc = rc != 0 ? rc : read_state(run, &state, ret_err);
    if (rc != 0) {
        return rc;
    }
    run->flood.site = run->site;
    run->flood.samples = run->samples;
    run->flood.nowcast = run->nowcast_rain;
    run->flood.nwp = run->nwp_rain;
    run->flood.product = run->product;
    rc = flood_run_forecast(&run->flood, state, ret_err);
    return rc != 0 ? rc : write_all(run, ret_err);
}

static void finish(struct run *run) {
    flood_run_finish(&run->flood);
    rain_grid_destroy(run->nowcast_rain);
    rain_grid_destroy(run->nwp_rain);
    samples_destroy(run->samples);
    json_decref(run->left_out);
    free(run->site);
    free(run);
}

static int check_usage(struct run *run) {
    if ((run->nowcast != NULL || run->nwp != NULL) && run->outlines.count == 0) {
        fprintf(stderr, "canhbao-model flood: --nowcast and --nwp need --outlines\n");
        return MODEL_USAGE;
    }
    return run_labels_check("flood", run->reference, run->product, &run->flood.now_us);
}

static int run_flood(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    json_t *left_out = json_array();
    if (run == NULL || left_out == NULL) {
        free(run);
        json_decref(left_out);
        return MODEL_FAILED;
    }
    run->left_out = left_out;
    run->product = "";
    const struct args_option options[] = {
        {"site", ARGS_TEXT, &run->site_path, true, 0, 0, "FILE.json", "basins, gauges, see above"},
        {"series", ARGS_TEXT, &run->series, true, 0, 0, "FILE.csv", "readings, see above"},
        {"nowcast", ARGS_TEXT, &run->nowcast, false, 0, 0, "FILE.nc", "rain to 2 h"},
        {"nwp", ARGS_TEXT, &run->nwp, false, 0, 0, "FILE.nc", "rain beyond"},
        {"variable", ARGS_TEXT, &run->variable, false, 0, 0, "NAME",
         "of --nwp; the one with standard_name rainfall_rate unless told"},
        {"outlines", ARGS_LIST, &run->outlines, false, 0, 0, "FILE.geojson", "of the basins"},
        {"state-in", ARGS_TEXT, &run->state_in, false, 0, 0, "FILE.json", "of the run before"},
        {"state-out", ARGS_TEXT, &run->state_out, false, 0, 0, "FILE.json", "for the next run"},
        {"reference", ARGS_TEXT, &run->reference, true, 0, 0, "TIME", "RFC 3339"},
        {"details", ARGS_TEXT, &run->details, false, 0, 0, "FILE.json",
         "the result without its list of results, for a page"},
        {"nc", ARGS_TEXT, &run->nc, false, 0, 0, "FILE.nc", "CF time series of all gauges"},
        {"product", ARGS_TEXT, &run->product, false, 0, 0, "NAME", "written into the output"},
        {"out", ARGS_TEXT, &run->out, true, 0, 0, "FILE.json", "result, - for stdout"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    code = code == MODEL_DONE ? check_usage(run) : code;
    if (code == MODEL_DONE && work(run, &err) != 0) {
        code = model_exit_of(argv[0], &err);
    }
    finish(run);
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_flood = {"flood", "stage and discharge at all gauges of a site",
                                  run_flood};
