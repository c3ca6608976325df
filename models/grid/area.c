#include "models/grid/area.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/text.h"

enum { RINGS_MAX = 10000, VERTICES_MAX = 1000000, FILE_BYTES_MAX = 64 << 20 };

/* Where a message points to. */
struct place {
    const char *file;
    size_t feature;
    const char *id;
};

static int refuse(const struct place *place, struct err *ret_err, int code, const char *what) {
    return err_set(ret_err, code, "%.200s: feature %zu (%.63s): %s", place->file, place->feature,
                   place->id[0] != '\0' ? place->id : "no id", what);
}

static void area_finish(struct area *area) {
    for (size_t i = 0; i < area->ring_count; i++) {
        free(area->rings[i].lon);
        free(area->rings[i].lat);
    }
    free(area->rings);
}

void area_list_finish(struct area_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        area_finish(&list->areas[i]);
    }
    free(list->areas);
    list->areas = NULL;
    list->count = 0;
}

static bool read_position(const json_t *position, double *ret_lon, double *ret_lat) {
    const json_t *lon = json_array_get(position, 0);
    const json_t *lat = json_array_get(position, 1);
    if (!json_is_number(lon) || !json_is_number(lat)) {
        return false;
    }
    *ret_lon = json_number_value(lon);
    *ret_lat = json_number_value(lat);
    return *ret_lon >= -180.0 && *ret_lon <= 360.0 && fabs(*ret_lat) <= 90.0;
}

static int add_ring(const struct place *place, const json_t *positions, bool hole,
                    struct area *area, struct err *ret_err) {
    size_t count = json_array_size(positions);
    if (count < 4) {
        return refuse(place, ret_err, ERR_INVALID, "a ring has fewer than 4 positions");
    }
    if (count > VERTICES_MAX || area->ring_count == RINGS_MAX) {
        return refuse(place, ret_err, ERR_LIMIT, "more than 10000 rings or 1000000 positions");
    }
    struct area_ring *rings = realloc(area->rings, (area->ring_count + 1) * sizeof *rings);
    if (rings == NULL) {
        return refuse(place, ret_err, ERR_MEMORY, "no memory");
    }
    area->rings = rings;
    struct area_ring *ring = &rings[area->ring_count++];
    *ring = (struct area_ring){.hole = hole,
                               .count = count - 1,
                               .lon = malloc(count * sizeof(double)),
                               .lat = malloc(count * sizeof(double))};
    if (ring->lon == NULL || ring->lat == NULL) {
        return refuse(place, ret_err, ERR_MEMORY, "no memory");
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_position(json_array_get(positions, i), &ring->lon[i], &ring->lat[i])) {
            return refuse(place, ret_err, ERR_INVALID,
                          "a position is not [longitude -180..360, latitude -90..90]");
        }
    }
    if (ring->lon[0] != ring->lon[count - 1] || ring->lat[0] != ring->lat[count - 1]) {
        return refuse(place, ret_err, ERR_INVALID, "a ring is not closed");
    }
    return 0;
}

static int add_polygon(const struct place *place, const json_t *rings, struct area *area,
                       struct err *ret_err) {
    if (json_array_size(rings) == 0) {
        return refuse(place, ret_err, ERR_INVALID, "a polygon has no rings");
    }
    int result = 0;
    for (size_t i = 0; i < json_array_size(rings) && result == 0; i++) {
        result = add_ring(place, json_array_get(rings, i), i > 0, area, ret_err);
    }
    return result;
}

static double plane_area(const struct area *area) {
    double sum = 0.0;
    for (size_t r = 0; r < area->ring_count; r++) {
        const struct area_ring *ring = &area->rings[r];
        double twice = 0.0;
        for (size_t i = 0; i < ring->count; i++) {
            size_t next = (i + 1) % ring->count;
            twice += (ring->lon[i] - ring->lon[0]) * (ring->lat[next] - ring->lat[0]) -
                     (ring->lon[next] - ring->lon[0]) * (ring->lat[i] - ring->lat[0]);
        }
        sum += ring->hole ? -0.5 * fabs(twice) : 0.5 * fabs(twice);
    }
    return sum;
}

static int read_names(const struct place *place, const json_t *feature, struct area *area,
                      struct err *ret_err) {
    const json_t *properties = json_object_get(feature, "properties");
    const json_t *id = json_object_get(feature, "id");
    id = id != NULL ? id : json_object_get(properties, "id");
    const char *name = json_string_value(json_object_get(properties, "name"));
    if (!json_is_string(id) || text_copy(area->id, sizeof area->id, json_string_value(id)) != 0 ||
        !text_is_id(area->id)) {
        return refuse(place, ret_err, ERR_INVALID,
                      "no id of 1 to 63 of a-z, 0-9, '-', '_', '.' (text, not a number)");
    }
    name = name != NULL ? name : area->id;
    if (text_copy(area->name, sizeof area->name, name) != 0 ||
        !text_is_utf8_line(area->name, strlen(area->name))) {
        return refuse(place, ret_err, ERR_INVALID, "name longer than 127 bytes or not one line");
    }
    return 0;
}

static int read_feature(struct place *place, const json_t *feature, struct area *ret_area,
                        struct err *ret_err) {
    struct area area = {.ring_count = 0};
    int result = read_names(place, feature, &area, ret_err);
    if (result != 0) {
        return result;
    }
    place->id = area.id;
    const json_t *geometry = json_object_get(feature, "geometry");
    const json_t *coordinates = json_object_get(geometry, "coordinates");
    const char *type = json_string_value(json_object_get(geometry, "type"));
    if (type != NULL && strcmp(type, "Polygon") == 0) {
        result = add_polygon(place, coordinates, &area, ret_err);
    } else if (type != NULL && strcmp(type, "MultiPolygon") == 0) {
        for (size_t i = 0; i < json_array_size(coordinates) && result == 0; i++) {
            result = add_polygon(place, json_array_get(coordinates, i), &area, ret_err);
        }
    } else {
        result = refuse(place, ret_err, ERR_INVALID, "its geometry is no Polygon or MultiPolygon");
    }
    if (result == 0 && !(plane_area(&area) > 0)) {
        result = refuse(place, ret_err, ERR_INVALID, "the polygon has no area");
    }
    if (result != 0) {
        area_finish(&area);
        place->id = "";
        return result;
    }
    *ret_area = area;
    place->id = ret_area->id;
    return 0;
}

/* Appends one feature; an id must be new. */
static int append(struct place *place, const json_t *feature, struct area_list *list,
                  struct err *ret_err) {
    if (list->count == AREAS_MAX) {
        return refuse(place, ret_err, ERR_LIMIT, "more than 4096 areas");
    }
    struct area *areas = realloc(list->areas, (list->count + 1) * sizeof *areas);
    if (areas == NULL) {
        return refuse(place, ret_err, ERR_MEMORY, "no memory");
    }
    list->areas = areas;
    struct area *area = &areas[list->count];
    int result = read_feature(place, feature, area, ret_err);
    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(areas[i].id, area->id) == 0) {
            result = refuse(place, ret_err, ERR_EXISTS, "this id is there already");
            area_finish(area);
            return result;
        }
    }
    list->count++;
    return 0;
}

int area_list_parse(const char *name, const char *text, size_t length, struct area_list *ret_list,
                    struct err *ret_err) {
    json_error_t error;
    struct place place = {.file = name, .id = ""};
    struct area_list list = {.count = 0};
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        return err_set(ret_err, ERR_SYNTAX, "%.200s:%d:%d: not JSON: %.160s", name, error.line,
                       error.column, error.text);
    }
    const char *type = json_string_value(json_object_get(root, "type"));
    const json_t *features = json_object_get(root, "features");
    int result = 0;
    if (type != NULL && strcmp(type, "FeatureCollection") == 0 && json_is_array(features)) {
        for (size_t i = 0; i < json_array_size(features) && result == 0; i++) {
            place.feature = i;
            place.id = "";
            result = append(&place, json_array_get(features, i), &list, ret_err);
        }
        if (result == 0 && list.count == 0) {
            result = err_set(ret_err, ERR_INVALID, "%.200s: no features", name);
        }
    } else if (type != NULL && strcmp(type, "Feature") == 0) {
        result = append(&place, root, &list, ret_err);
    } else {
        result = err_set(ret_err, ERR_INVALID, "%.200s: not a GeoJSON FeatureCollection or Feature",
                         name);
    }
    json_decref(root);
    if (result != 0) {
        area_list_finish(&list);
        return result;
    }
    *ret_list = list;
    return 0;
}

static int read_text(const char *path, char **ret_text, size_t *ret_length, struct err *ret_err) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        int code = errno;
        if (fd >= 0) {
            (void)close(fd); /* only read */
        }
        return err_set(ret_err, ERR_IO, "%.300s: %s", path,
                       fd < 0 ? strerror(code) : "not a regular file");
    }
    size_t size = (size_t)status.st_size;
    char *text = size <= FILE_BYTES_MAX ? malloc(size + 1) : NULL;
    size_t got = 0;
    ssize_t count = 1;
    while (text != NULL && got < size && count > 0) {
        count = read(fd, text + got, size - got);
        got += count > 0 ? (size_t)count : 0;
    }
    (void)close(fd); /* only read */
    if (text == NULL || got < size) {
        free(text);
        return err_set(ret_err, text == NULL ? ERR_LIMIT : ERR_IO,
                       "%.300s: %zu bytes; read %zu, at most %d expected", path, size, got,
                       FILE_BYTES_MAX);
    }
    *ret_text = text;
    *ret_length = size;
    return 0;
}

int area_list_load(const char *path, struct area_list *list, struct err *ret_err) {
    char *text = NULL;
    size_t length = 0;
    struct area_list more = {.count = 0};
    int result = read_text(path, &text, &length, ret_err);
    if (result != 0) {
        return result;
    }
    result = area_list_parse(path, text, length, &more, ret_err);
    free(text);
    for (size_t i = 0; result == 0 && i < more.count; i++) {
        for (size_t k = 0; k < list->count; k++) {
            if (strcmp(list->areas[k].id, more.areas[i].id) == 0) {
                result = err_set(ret_err, ERR_EXISTS, "%.300s: area %s is there already", path,
                                 more.areas[i].id);
            }
        }
    }
    struct area *areas = NULL;
    if (result == 0 && list->count + more.count > AREAS_MAX) {
        result = err_set(ret_err, ERR_LIMIT, "%.300s: more than %d areas", path, AREAS_MAX);
    } else if (result == 0) {
        areas = realloc(list->areas, (list->count + more.count) * sizeof *areas);
        result = areas == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for areas") : 0;
    }
    if (result != 0) {
        area_list_finish(&more);
        return result;
    }
    memcpy(areas + list->count, more.areas, more.count * sizeof *areas);
    list->areas = areas;
    list->count += more.count;
    free(more.areas); /* their rings moved over */
    return 0;
}
