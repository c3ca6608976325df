#include "models/render/lines.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { VERTICES_MAX = 2000000, DEPTH_MAX = 8 };

void lines_finish(struct lines *lines) {
    free(lines->begin);
    free(lines->lon);
    free(lines->lat);
    *lines = (struct lines){0};
}

static int grow(double **values, size_t count) {
    double *grown = realloc(*values, count * sizeof *grown);
    *values = grown != NULL ? grown : *values;
    return grown != NULL ? 0 : ERR_MEMORY;
}

/* One line of positions. */
static int add_line(const json_t *positions, struct lines *lines) {
    size_t more = json_array_size(positions);
    size_t at = lines->begin != NULL ? lines->begin[lines->count] : 0;
    if (more < 2) {
        return ERR_INVALID;
    }
    if (at + more > VERTICES_MAX) {
        return ERR_LIMIT;
    }
    size_t *begin = realloc(lines->begin, (lines->count + 2) * sizeof *begin);
    if (begin == NULL) {
        return ERR_MEMORY;
    }
    lines->begin = begin;
    if (grow(&lines->lon, at + more) != 0 || grow(&lines->lat, at + more) != 0) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < more; i++) {
        const json_t *position = json_array_get(positions, i);
        const json_t *lon = json_array_get(position, 0);
        const json_t *lat = json_array_get(position, 1);
        if (!json_is_number(lon) || !json_is_number(lat) || fabs(json_number_value(lon)) > 360.0 ||
            fabs(json_number_value(lat)) > 90.0) {
            return ERR_INVALID;
        }
        lines->lon[at + i] = json_number_value(lon);
        lines->lat[at + i] = json_number_value(lat);
    }
    begin[lines->count] = at;
    begin[++lines->count] = at + more;
    return 0;
}

/* Coordinates nested `depth` arrays above the positions of a line. */
static int add_nested(const json_t *coordinates, int depth, struct lines *lines) {
    if (depth == 0) {
        return add_line(coordinates, lines);
    }
    int result = json_is_array(coordinates) ? 0 : ERR_INVALID;
    for (size_t i = 0; result == 0 && i < json_array_size(coordinates); i++) {
        result = add_nested(json_array_get(coordinates, i), depth - 1, lines);
    }
    return result;
}

static int add_object(const json_t *object, int depth, struct lines *lines) {
    static const struct {
        const char *type;
        int nested;
    } kinds[] = {{"LineString", 0}, {"MultiLineString", 1}, {"Polygon", 1}, {"MultiPolygon", 2}};
    const char *type = json_string_value(json_object_get(object, "type"));
    if (type == NULL || depth > DEPTH_MAX) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(type, kinds[i].type) == 0) {
            return add_nested(json_object_get(object, "coordinates"), kinds[i].nested, lines);
        }
    }
    if (strcmp(type, "Feature") == 0) {
        const json_t *geometry = json_object_get(object, "geometry");
        return json_is_null(geometry) ? 0 : add_object(geometry, depth + 1, lines);
    }
    bool features = strcmp(type, "FeatureCollection") == 0;
    if (!features && strcmp(type, "GeometryCollection") != 0) {
        return strcmp(type, "Point") == 0 || strcmp(type, "MultiPoint") == 0 ? 0 : ERR_INVALID;
    }
    const json_t *list = json_object_get(object, features ? "features" : "geometries");
    int result = json_is_array(list) ? 0 : ERR_INVALID;
    for (size_t i = 0; result == 0 && i < json_array_size(list); i++) {
        result = add_object(json_array_get(list, i), depth + 1, lines);
    }
    return result;
}

int lines_load(const char *path, struct lines *ret_lines, struct err *ret_err) {
    json_error_t error;
    struct lines lines = {0};
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return err_set(ret_err,
                       json_error_code(&error) == json_error_cannot_open_file ? ERR_IO : ERR_SYNTAX,
                       "%.200s: line %d: %.150s", path, error.line, error.text);
    }
    int result = add_object(root, 0, &lines);
    json_decref(root);
    if (result == 0 && lines.count == 0) {
        result = ERR_INVALID;
    }
    if (result != 0) {
        lines_finish(&lines);
        return err_set(ret_err, result, "%.200s: not GeoJSON with lines or polygons (%s)", path,
                       err_name(result));
    }
    *ret_lines = lines;
    return 0;
}
