/* canhbao-model release */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/dispersion/dispersion.h"
#include "models/dispersion/release_live.h"
#include "models/dispersion/release_report.h"
#include "models/output/output.h"
#include "models/table/args.h"

static const char about[] =
    "A standing gas alarm: traces the source from the stations' readings, or assumes the site of "
    "the\n"
    "catalogue that lies upwind, and tells where the gas goes. Run by the daemon at the first "
    "alarm\n"
    "and with every reading.\n"
    "\n"
    "--site    JSON: kind release-site, version 1, origin {latitude_deg, longitude_deg},\n"
    "          utc_offset_min, source_height_m, wind {station, speed_point, direction_point,\n"
    "          temperature_point, pressure_point, height_m, z0_m, class_day, class_night (assumed\n"
    "          Pasquill classes)}, substances [{rule, point, substance, detection_ppm; "
    "full_scale_ppm,\n"
    "          span_ppm (test gas), ceiling_ppm, cross [{point, factor}]}], stations,\n"
    "          catalogue (substances), points (travel_min, reachable), places: [{id, name,\n"
    "          latitude_deg, longitude_deg}]\n"
    "--series  CSV: time, station, point, value, unit (ppm, m/s, degree, degC, hPa), flag\n"
    "--alarms  JSON: [{rule, place, level, since}]\n"
    "--levels  the AEGL table (substance, aegl_level, t10min_mg_m3 ...)\n"
    "--communes  GeoJSON polygons with id, name, people (who live there) and code where known\n"
    "--out     JSON: results plume_level and plume_conc of each place, of each commune also\n"
    "          plume_share (of its area) and plume_people, gas_suspect and gas_doubt of each "
    "sensor\n"
    "           (0 no gas, 1 release, 2 saturated, 3 calibration gas, 4 "
    "cross-sensitivity,\n"
    "          5 drift; a label, it takes nothing from an alarm); release (status, source,\n"
    "          zones, places with arrival, communes with people, text {vi, en}, sensors with "
    "evidence, trace with "
    "regions, candidates and\n"
    "          measure_next); cap (polygon, instruction and communes of each alarm)\n"
    "--trace   JSON: status, why; source, regions and all else that canhbao-model trace tells\n"
    "--map     GeoJSON: zones, source, regions of the source, sensors\n";

struct options {
    const char *product, *site, *series, *alarms, *levels, *reference, *map, *trace, *out;
    struct args_list communes;
};

static int copy_places(const struct release_list *from, const char *substance,
                       struct trace_places *ret_places, struct err *ret_err) {
    ret_places->list = calloc(from->count + 1, sizeof *ret_places->list);
    if (ret_places->list == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for places");
    }
    for (size_t i = 0; i < from->count; i++) {
        const struct release_place *p = &from->list[i];
        bool has = substance == NULL;
        for (size_t k = 0; k < p->substance_count; k++) {
            has = has || strcmp(p->substances[k], substance) == 0;
        }
        if (has) {
            struct trace_place *to = &ret_places->list[ret_places->count++];
            *to = (struct trace_place){.x_m = p->x_m,
                                       .y_m = p->y_m,
                                       .travel_min = p->travel_min,
                                       .reachable = p->reachable};
            (void)text_copy(to->id, sizeof to->id, p->id); /* of the same sizes */
            (void)text_copy(to->name, sizeof to->name, p->name);
        }
    }
    return 0;
}

static int tell(const struct options *o, const struct release_live *live, const json_t *alarms,
                const struct trace_places *points, struct err *ret_err) {
    struct trace_places catalogue = {0};
    int rc = copy_places(&live->site->catalogue, live->substance->name, &catalogue, ret_err);
    const char *const files[] = {o->site, o->series, o->alarms, o->levels};
    json_t *manifest = rc == 0
                           ? manifest_of_files("release",
                                               json_pack("{s:s,s:s}", "substance",
                                                         live->substance->name, "rule", live->rule),
                                               files, sizeof files / sizeof *files, ret_err)
                           : NULL;
    rc = rc == 0 && manifest == NULL ? ERR_IO : rc;
    if (rc == 0) {
        json_t *object =
            output_object("release", o->product, live->now_us, manifest, release_results(live));
        if (object == NULL ||
            json_object_set_new(object, "release", release_member(live, &catalogue, points)) != 0 ||
            json_object_set_new(object, "cap", release_cap(live, alarms)) != 0) {
            rc = err_set(ret_err, ERR_MEMORY, "no memory for the results");
        }
        rc = rc != 0 ? rc : output_write_json(o->out, object, ret_err);
        json_decref(object);
    }
    if (rc == 0 && o->trace != NULL) {
        json_t *trace = release_trace(live, &catalogue, points);
        rc = output_write_json(o->trace, trace, ret_err);
        json_decref(trace);
    }
    if (rc == 0 && o->map != NULL) {
        json_t *map = release_map(live);
        rc = output_write_json(o->map, map, ret_err);
        json_decref(map);
    }
    trace_places_finish(&catalogue);
    return rc;
}

static int run(const struct options *o, struct err *ret_err) {
    struct release_site site = {0};
    struct release_live live = {.site = &site};
    struct longform series = {0};
    struct trace_places points = {0};
    json_error_t why;
    json_t *alarms = json_load_file(o->alarms, 0, &why);
    int rc = !json_is_array(alarms)
                 ? err_set(ret_err, ERR_SYNTAX, "%s: no list of alarms", o->alarms)
             : text_parse_time(o->reference, &live.now_us) != 0
                 ? err_set(ret_err, ERR_SYNTAX, "--reference '%s' is no time", o->reference)
                 : release_site_read(o->site, &site, ret_err);
    rc = rc != 0 ? rc : release_live_alarm(&live, alarms, ret_err);
    rc = rc != 0 ? rc : longform_read(o->series, &series, ret_err);
    rc = rc != 0 ? rc : copy_places(&site.points, NULL, &points, ret_err);
    rc = rc != 0 ? rc : release_live_run(&live, &series, o->levels, &o->communes, &points, ret_err);
    rc = rc != 0 ? rc : tell(o, &live, alarms, &points, ret_err);
    release_live_finish(&live);
    trace_places_finish(&points);
    longform_finish(&series);
    release_site_finish(&site);
    json_decref(alarms);
    return rc;
}

static int run_release(int argc, char **argv) {
    struct options o = {.out = "-"};
    const struct args_option options[] = {
        {"product", ARGS_TEXT, &o.product, true, 0, 0, "ID", "name of the product"},
        {"site", ARGS_TEXT, &o.site, true, 0, 0, "FILE.json", "sensors, wind, catalogue, points"},
        {"series", ARGS_TEXT, &o.series, true, 0, 0, "FILE.csv", "readings in long form"},
        {"alarms", ARGS_TEXT, &o.alarms, true, 0, 0, "FILE.json", "standing alarms"},
        {"levels", ARGS_TEXT, &o.levels, true, 0, 0, "FILE.csv", "AEGL table"},
        {"communes", ARGS_LIST, &o.communes, false, 0, 0, "FILE.geojson", "who is under the plume"},
        {"reference", ARGS_TEXT, &o.reference, true, 0, 0, "TIME", "of the run, RFC 3339"},
        {"trace", ARGS_TEXT, &o.trace, false, 0, 0, "FILE.json", "as canhbao-model trace tells it"},
        {"map", ARGS_TEXT, &o.map, false, 0, 0, "FILE.geojson", "for maps"},
        {"out", ARGS_TEXT, &o.out, false, 0, 0, "FILE.json", "(standard output)"},
        {0},
    };
    struct err err = {0};
    int code = args_parse(argc, argv, options, about);
    if (code == MODEL_DONE && run(&o, &err) != 0) {
        code = model_exit_of(argv[0], &err);
    }
    return code == ARGS_HELPED ? MODEL_DONE : code;
}

const struct model model_release = {
    "release", "a standing gas alarm: traced source, zones, what to do (JSON)", run_release};
