/* canhbao-model whatif */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/dispersion/dispersion.h"
#include "models/dispersion/gas.h"
#include "models/dispersion/release_live.h"
#include "models/dispersion/release_report.h"
#include "models/output/output.h"
#include "models/table/args.h"

static const char about[] =
    "What if: the plume of a release that somebody asks about, from a site of the catalogue, in "
    "the\n"
    "wind of the stations or in a wind that is told. It is hypothetical: it has no results for "
    "rules,\n"
    "and says so in every file.\n"
    "\n"
    "--site     JSON as of canhbao-model release\n"
    "--series   CSV: time, station, point, value, unit, flag (the wind)\n"
    "--levels   the AEGL table (substance, aegl_level, t10min_mg_m3 ...)\n"
    "--request  JSON: source (id of the catalogue), substance, Q_g_s; duration_s (without:\n"
    "           continuous), wind_from_deg with wind_m_s (without: of the stations), class (A to "
    "F;\n"
    "           without: by the hour); id, asked_by, asked_at are handed through\n"
    "--out      JSON: hypothetical true, results [], whatif (status done or refused, why, "
    "request,\n"
    "           wind, zones, places with arrival, communes with people)\n"
    "--map      GeoJSON: zones and source, each with hypothetical true\n";

struct options {
    const char *product, *site, *series, *levels, *request, *reference, *map, *out;
    struct args_list communes;
};

/* What cannot be answered is an answer too: `live->why`. */
static void refuse(struct release_live *live, const char *text) {
    (void)snprintf(live->why, sizeof live->why, "%.159s", text);
}

static bool take_source(struct release_live *live, const json_t *request) {
    const char *source = json_string_value(json_object_get(request, "source"));
    const char *substance = json_string_value(json_object_get(request, "substance"));
    double rate = json_number_value(json_object_get(request, "Q_g_s"));
    double duration_s = json_number_value(json_object_get(request, "duration_s"));
    const struct release_site *site = live->site;
    for (size_t i = 0; source != NULL && i < site->catalogue.count; i++) {
        live->assumed = strcmp(site->catalogue.list[i].id, source) == 0 ? &site->catalogue.list[i]
                                                                        : live->assumed;
    }
    for (size_t i = 0; substance != NULL && i < site->substance_count; i++) {
        live->substance = strcmp(site->substances[i].name, substance) == 0 ? &site->substances[i]
                                                                           : live->substance;
    }
    if (live->assumed == NULL || live->substance == NULL || !(rate > 0) || !(duration_s >= 0)) {
        refuse(live, live->assumed == NULL     ? "the source is not in the catalogue of the site"
                     : live->substance == NULL ? "the substance is not one of the site"
                                               : "Q_g_s must be above 0, duration_s not below");
        return false;
    }
    live->release = (struct release){.continuous = !(duration_s > 0), .origin = site->origin};
    live->release.gas_density_kg_m3 = (double)NAN;
    live->release.puff = (struct puff_release){.x_m = live->assumed->x_m,
                                               .y_m = live->assumed->y_m,
                                               .height_m = site->source_height_m,
                                               .rate = rate,
                                               .duration_s = duration_s,
                                               .half_life_s = (double)INFINITY};
    (void)snprintf(live->release.substance, sizeof live->release.substance, "%s",
                   live->substance->name);
    return true;
}

/* The stations' wind, or the one that is told, with the class that is told. */
static bool take_wind(struct release_live *live, const json_t *request,
                      const struct longform *series) {
    const json_t *from = json_object_get(request, "wind_from_deg");
    const json_t *speed = json_object_get(request, "wind_m_s");
    const char *class = json_string_value(json_object_get(request, "class"));
    struct err why = {0};
    int rc = release_live_wind(live, series, &why);
    if (from != NULL && speed != NULL && live->weather.rows == NULL) {
        live->weather = (struct weather){.count = 1, .rows = calloc(1, sizeof(struct weather_row))};
        rc = live->weather.rows == NULL ? ERR_MEMORY : 0;
        if (rc == 0) {
            const double nan = (double)NAN;
            live->weather.rows[0] = (struct weather_row){.utc_us = live->now_us,
                                                         .wind_height_m = live->site->wind_height_m,
                                                         .ustar_m_s = nan,
                                                         .obukhov_m = nan,
                                                         .sigma_theta_rad = nan,
                                                         .lid_m = nan,
                                                         .z0_m = live->site->z0_m,
                                                         .rain_mm_h = nan,
                                                         .stability = live->site->class_day - 'A'};
        }
    }
    if (live->weather.rows != NULL) {
        struct weather_row *row = &live->weather.rows[0];
        row->wind_from_deg = from != NULL ? json_number_value(from) : row->wind_from_deg;
        row->wind_m_s = speed != NULL ? json_number_value(speed) : row->wind_m_s;
        row->stability =
            class != NULL && class[0] >= 'A' && class[0] <= 'F' ? class[0] - 'A' : row->stability;
        rc = weather_air(row, WEATHER_AUTO, PLUME_RURAL, live->site->source_height_m, &live->air,
                         &why);
    }
    if (rc != 0) {
        refuse(live, why.text);
    }
    return rc == 0;
}

static bool run_zones(struct release_live *live, const struct options *o) {
    struct err why = {0};
    int rc = release_live_zones(live, o->levels, &o->communes, &why);
    live->basis = RELEASE_ASSUMED;
    if (rc != 0) {
        refuse(live, why.text);
    }
    return rc == 0;
}

static json_t *wind_json(const struct release_live *live, const json_t *request) {
    if (live->weather.rows == NULL) {
        return json_null();
    }
    const struct weather_row *row = &live->weather.rows[0];
    char class[2] = {(char)('A' + row->stability), '\0'};
    return json_pack("{s:f,s:f,s:s,s:s}", "from_deg", row->wind_from_deg, "speed_m_s",
                     row->wind_m_s, "class", class, "basis",
                     json_object_get(request, "wind_m_s") != NULL ? "request" : "stations");
}

static int tell_map(const struct release_live *live, const char *path, struct err *ret_err) {
    json_t *map = live->has_zones
                      ? release_map(live)
                      : json_pack("{s:s,s:[]}", "type", "FeatureCollection", "features");
    const json_t *features = json_object_get(map, "features");
    for (size_t i = 0; i < json_array_size(features); i++) {
        json_t *properties = json_object_get(json_array_get(features, i), "properties");
        (void)json_object_set_new(properties, "hypothetical", json_true()); /* told when written */
    }
    (void)json_object_set_new(map, "hypothetical", json_true()); /* the same */
    int rc = output_write_json(path, map, ret_err);
    json_decref(map);
    return rc;
}

static int tell(const struct options *o, const struct release_live *live, const json_t *request,
                struct err *ret_err) {
    const char *const files[] = {o->site, o->series, o->levels, o->request};
    json_t *manifest =
        manifest_of_files("whatif", json_object(), files, sizeof files / sizeof *files, ret_err);
    if (manifest == NULL) {
        return ERR_IO;
    }
    json_t *whatif = json_pack(
        "{s:s,s:s,s:O,s:o,s:o,s:o,s:o}", "status", live->has_zones ? "done" : "refused", "why",
        live->why, "request", request, "wind", wind_json(live, request), "zones",
        release_zones(live), "places", release_places(live), "communes", release_communes(live));
    json_t *object = output_object("whatif", o->product, live->now_us, manifest, json_array());
    int rc = object == NULL || json_object_set_new(object, "hypothetical", json_true()) != 0 ||
                     json_object_set_new(object, "whatif", whatif) != 0
                 ? err_set(ret_err, ERR_MEMORY, "no memory for the results")
                 : output_write_json(o->out, object, ret_err);
    json_decref(object);
    return rc != 0 || o->map == NULL ? rc : tell_map(live, o->map, ret_err);
}

static int run(const struct options *o, struct err *ret_err) {
    struct release_site site = {0};
    struct release_live live = {.site = &site};
    struct longform series = {0};
    json_error_t why;
    json_t *request = json_load_file(o->request, JSON_REJECT_DUPLICATES, &why);
    int rc = !json_is_object(request) ? err_set(ret_err, ERR_SYNTAX, "%s: no request", o->request)
             : text_parse_time(o->reference, &live.now_us) != 0
                 ? err_set(ret_err, ERR_SYNTAX, "--reference '%s' is no time", o->reference)
                 : release_site_read(o->site, &site, ret_err);
    rc = rc != 0 ? rc : longform_read(o->series, &series, ret_err);
    live.has_outlines = o->communes.count > 0;
    if (rc == 0) {
        (void)(take_source(&live, request) && take_wind(&live, request, &series) &&
               run_zones(&live, o)); /* what failed stands in live.why */
        rc = tell(o, &live, request, ret_err);
    }
    release_live_finish(&live);
    longform_finish(&series);
    release_site_finish(&site);
    json_decref(request);
    return rc;
}

static int run_whatif(int argc, char **argv) {
    struct options o = {.out = "-", .product = "whatif"};
    const struct args_option options[] = {
        {"product", ARGS_TEXT, &o.product, false, 0, 0, "ID", "name of the product (whatif)"},
        {"site", ARGS_TEXT, &o.site, true, 0, 0, "FILE.json", "wind, catalogue, places"},
        {"series", ARGS_TEXT, &o.series, true, 0, 0, "FILE.csv", "readings in long form"},
        {"levels", ARGS_TEXT, &o.levels, true, 0, 0, "FILE.csv", "AEGL table"},
        {"request", ARGS_TEXT, &o.request, true, 0, 0, "FILE.json", "what is asked"},
        {"communes", ARGS_LIST, &o.communes, false, 0, 0, "FILE.geojson", "as of release"},
        {"reference", ARGS_TEXT, &o.reference, true, 0, 0, "TIME", "of the run, RFC 3339"},
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

const struct model model_whatif = {
    "whatif", "the plume of a release that somebody asks about (JSON, hypothetical)", run_whatif};
