#include "models/dispersion/release_site.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/dispersion/gas.h"
#include "models/dispersion/local.h"

/* A reader that remembers the first fault, so that calls can stand in a row. */
struct reader {
    const char *path;
    int rc;
    struct err *err;
};

static void fault(struct reader *r, const char *where, const char *key, const char *what) {
    if (r->rc == 0) {
        r->rc = err_set(r->err, ERR_INVALID, "%s: %s.%s: %s", r->path, where, key, what);
    }
}

static void only(struct reader *r, const json_t *object, const char *where,
                 const char *const *keys) {
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(object)) {
        fault(r, where, "", "expected an object");
        return;
    }
    json_object_foreach((json_t *)object, key, value) {
        size_t i = 0;
        while (keys[i] != NULL && strcmp(keys[i], key) != 0) {
            i++;
        }
        if (keys[i] == NULL) {
            fault(r, where, key, "unknown key");
        }
    }
}

static double number(struct reader *r, const json_t *object, const char *where, const char *key,
                     double min, double max, double otherwise) {
    const json_t *value = json_object_get(object, key);
    if (value == NULL && !isinf(otherwise)) {
        return otherwise;
    }
    double v = json_number_value(value);
    if (!json_is_number(value) || !(v >= min && v <= max)) {
        fault(r, where, key, "missing, or no number in its bounds");
        return (double)NAN;
    }
    return v;
}
#define NEEDED HUGE_VAL

static void text(struct reader *r, const json_t *object, const char *where, const char *key,
                 char *ret_text, size_t size) {
    const char *value = json_string_value(json_object_get(object, key));
    if (value == NULL || value[0] == '\0' || text_copy(ret_text, size, value) != 0) {
        fault(r, where, key, "missing, empty or too long");
    }
}

static char class_of(struct reader *r, const json_t *object, const char *key) {
    char value[2] = "";
    text(r, object, "wind", key, value, sizeof value);
    if (value[0] < 'A' || value[0] > 'F') {
        fault(r, "wind", key, "expected a class from A to F");
    }
    return value[0];
}

static void take_place(struct reader *r, const json_t *object, const char *where,
                       const struct weather_origin *origin, struct release_place *place) {
    static const char *const keys[] = {"id",          "name",       "latitude_deg", "longitude_deg",
                                       "height_m",    "substances", "travel_min",   "reachable",
                                       "provisional", NULL};
    only(r, object, where, keys);
    text(r, object, where, "id", place->id, sizeof place->id);
    text(r, object, where, "name", place->name, sizeof place->name);
    double latitude = number(r, object, where, "latitude_deg", -89, 89, NEEDED);
    double longitude = number(r, object, where, "longitude_deg", -180, 180, NEEDED);
    local_from_ground(origin, longitude, latitude, &place->x_m, &place->y_m);
    place->height_m = number(r, object, where, "height_m", 0, 500, 1.5);
    place->travel_min = number(r, object, where, "travel_min", 0, 1e4, (double)NAN);
    const json_t *reachable = json_object_get(object, "reachable");
    place->reachable = reachable == NULL || json_is_true(reachable);
    const json_t *substances = json_object_get(object, "substances");
    for (size_t i = 0; i < json_array_size(substances); i++) {
        const char *name = json_string_value(json_array_get(substances, i));
        if (i == 4 || name == NULL || gas_find(name) == NULL) {
            fault(r, where, "substances", "at most four names of the gas table expected");
            return;
        }
        (void)text_copy(place->substances[place->substance_count++], 16, name); /* all are short */
    }
}

static void take_list(struct reader *r, const json_t *root, const char *key,
                      const struct weather_origin *origin, struct release_list *list) {
    const json_t *array = json_object_get(root, key);
    size_t count = json_array_size(array);
    if (!json_is_array(array) || count > RELEASE_LIST_MAX) {
        fault(r, "", key, "missing, no list or too long");
        return;
    }
    list->list = calloc(count + 1, sizeof *list->list);
    if (list->list == NULL) {
        r->rc = err_set(r->err, ERR_MEMORY, "no memory for %s", key);
        return;
    }
    list->count = count;
    for (size_t i = 0; i < count; i++) {
        take_place(r, json_array_get(array, i), key, origin, &list->list[i]);
    }
}

static void take_cross(struct reader *r, const json_t *array, struct release_substance *s) {
    static const char *const keys[] = {"point", "factor", NULL};
    if (array != NULL && (!json_is_array(array) || json_array_size(array) > RELEASE_CROSS_MAX)) {
        fault(r, "substances", "cross", "no list or too long");
        return;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *object = json_array_get(array, i);
        only(r, object, "cross", keys);
        text(r, object, "cross", "point", s->cross[i].point, RELEASE_ID_SIZE);
        s->cross[i].factor = number(r, object, "cross", "factor", 1e-4, 100, NEEDED);
        s->cross_count++;
    }
}

static void take_substances(struct reader *r, const json_t *root, struct release_site *site) {
    static const char *const keys[] = {"rule",          "point",          "substance",
                                       "detection_ppm", "full_scale_ppm", "span_ppm",
                                       "ceiling_ppm",   "cross",          NULL};
    const json_t *array = json_object_get(root, "substances");
    size_t count = json_array_size(array);
    if (count == 0 || count > RELEASE_SUBSTANCES_MAX) {
        fault(r, "", "substances", "missing, empty or too long");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *object = json_array_get(array, i);
        struct release_substance *s = &site->substances[site->substance_count++];
        only(r, object, "substances", keys);
        text(r, object, "substances", "rule", s->rule, sizeof s->rule);
        text(r, object, "substances", "point", s->point, sizeof s->point);
        text(r, object, "substances", "substance", s->name, sizeof s->name);
        s->detection_ppm = number(r, object, "substances", "detection_ppm", 1e-6, 1e3, NEEDED);
        s->full_scale_ppm =
            number(r, object, "substances", "full_scale_ppm", 1e-3, 1e6, (double)NAN);
        s->span_ppm = number(r, object, "substances", "span_ppm", 1e-3, 1e6, (double)NAN);
        s->ceiling_ppm = number(r, object, "substances", "ceiling_ppm", 1e-3, 1e6, (double)NAN);
        take_cross(r, json_object_get(object, "cross"), s);
        if (r->rc == 0 && gas_find(s->name) == NULL) {
            fault(r, "substances", "substance", "not in the gas table");
        }
    }
}

static void take_wind(struct reader *r, const json_t *root, struct release_site *site) {
    static const char *const keys[] = {
        "station",  "speed_point", "direction_point", "temperature_point", "pressure_point",
        "height_m", "z0_m",        "class_day",       "class_night",       NULL};
    const json_t *wind = json_object_get(root, "wind");
    only(r, wind, "wind", keys);
    text(r, wind, "wind", "station", site->wind_station, RELEASE_ID_SIZE);
    text(r, wind, "wind", "speed_point", site->speed_point, RELEASE_ID_SIZE);
    text(r, wind, "wind", "direction_point", site->direction_point, RELEASE_ID_SIZE);
    text(r, wind, "wind", "temperature_point", site->temperature_point, RELEASE_ID_SIZE);
    text(r, wind, "wind", "pressure_point", site->pressure_point, RELEASE_ID_SIZE);
    site->wind_height_m = number(r, wind, "wind", "height_m", 0.5, 200, NEEDED);
    site->z0_m = number(r, wind, "wind", "z0_m", 1e-5, 5, NEEDED);
    site->class_day = class_of(r, wind, "class_day");
    site->class_night = class_of(r, wind, "class_night");
}

int release_site_read(const char *path, struct release_site *ret_site, struct err *ret_err) {
    static const char *const keys[] = {
        "kind",   "version",         "note",       "origin",   "utc_offset_min",
        "wind",   "source_height_m", "substances", "stations", "catalogue",
        "points", "places",          NULL};
    json_error_t why;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    struct release_site site = {0};
    struct reader r = {path, 0, ret_err};
    if (root == NULL) {
        return err_set(ret_err, ERR_SYNTAX, "%s:%d: %s", path, why.line, why.text);
    }
    const char *kind = json_string_value(json_object_get(root, "kind"));
    only(&r, root, "", keys);
    if (kind == NULL || strcmp(kind, "release-site") != 0 ||
        json_integer_value(json_object_get(root, "version")) != 1) {
        fault(&r, "", "kind", "expected release-site, version 1");
    }
    const json_t *origin = json_object_get(root, "origin");
    site.origin.latitude_deg = number(&r, origin, "origin", "latitude_deg", -89, 89, NEEDED);
    site.origin.longitude_deg = number(&r, origin, "origin", "longitude_deg", -180, 180, NEEDED);
    double offset_min = number(&r, root, "", "utc_offset_min", -720, 840, NEEDED);
    site.utc_offset_min = r.rc == 0 ? (int)offset_min : 0; /* a NaN is no int */
    site.source_height_m = number(&r, root, "", "source_height_m", 0, 200, NEEDED);
    take_wind(&r, root, &site);
    take_substances(&r, root, &site);
    take_list(&r, root, "stations", &site.origin, &site.stations);
    take_list(&r, root, "catalogue", &site.origin, &site.catalogue);
    take_list(&r, root, "points", &site.origin, &site.points);
    take_list(&r, root, "places", &site.origin, &site.places);
    json_decref(root);
    if (r.rc != 0) {
        release_site_finish(&site);
        return r.rc;
    }
    *ret_site = site;
    return 0;
}

void release_site_finish(struct release_site *site) {
    free(site->stations.list);
    free(site->catalogue.list);
    free(site->points.list);
    free(site->places.list);
    *site = (struct release_site){0};
}
