#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/config/area_file.h"
#include "daemon/config/loader.h"

/* The model reads the polygons again and checks their geometry in full; here a file that it would
 * refuse for its form is found at the start and not at the first grid. */

enum { AREA_FILE_MAX = 16 * 1024 * 1024, AREA_POSITIONS_MIN = 4 };

static const char *check_ring(const json_t *ring) {
    size_t count = json_array_size(ring);
    if (count < AREA_POSITIONS_MIN) {
        return "a ring of fewer than four positions";
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *position = json_array_get(ring, i);
        const json_t *lon = json_array_get(position, 0);
        const json_t *lat = json_array_get(position, 1);
        if (!json_is_number(lon) || !json_is_number(lat)) {
            return "a position that is not [longitude, latitude]";
        }
        if (fabs(json_number_value(lon)) > 180 || fabs(json_number_value(lat)) > 90) {
            return "a position outside longitude -180 to 180 and latitude -90 to 90";
        }
    }
    if (json_equal(json_array_get(ring, 0), json_array_get(ring, count - 1)) == 0) {
        return "a ring that is not closed";
    }
    return NULL;
}

static const char *check_polygon(const json_t *polygon) {
    if (json_array_size(polygon) == 0) {
        return "a polygon without rings";
    }
    for (size_t i = 0; i < json_array_size(polygon); i++) {
        const char *fault = check_ring(json_array_get(polygon, i));
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

static bool has_text(const json_t *object, const char *key, const char *expected) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && strcmp(text, expected) == 0;
}

static const char *check_geometry(const json_t *feature) {
    const json_t *geometry = json_object_get(feature, "geometry");
    const json_t *coordinates = json_object_get(geometry, "coordinates");
    if (has_text(geometry, "type", "Polygon")) {
        return check_polygon(coordinates);
    }
    if (!has_text(geometry, "type", "MultiPolygon") || json_array_size(coordinates) == 0) {
        return "no Polygon or MultiPolygon";
    }
    for (size_t i = 0; i < json_array_size(coordinates); i++) {
        const char *fault = check_polygon(json_array_get(coordinates, i));
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

static bool is_feature(const json_t *feature, const char *id) {
    return has_text(feature, "type", "Feature") &&
           (has_text(feature, "id", id) ||
            (json_object_get(feature, "id") == NULL &&
             has_text(json_object_get(feature, "properties"), "id", id)));
}

const char *area_file_id(const struct area *area) {
    return area->feature[0] != '\0' ? area->feature : area->id;
}

const json_t *area_file_feature(const json_t *root, const char *id) {
    if (is_feature(root, id)) {
        return root;
    }
    const json_t *features = json_object_get(root, "features");
    for (size_t i = 0; i < json_array_size(features); i++) {
        const json_t *feature = json_array_get(features, i);
        if (is_feature(feature, id)) {
            return feature;
        }
    }
    return NULL;
}

void loader_check_area(struct loader *loader, const struct yaml_node *node,
                       const struct area *area) {
    struct config_errors *errors = loader->reader.errors;
    const char *id = area_file_id(area);
    struct stat status;
    json_error_t fault;
    if (stat(area->file, &status) != 0 || !S_ISREG(status.st_mode)) {
        yaml_error(errors, node, "'%s' is no file that can be opened", area->file);
        return;
    }
    if (status.st_size > AREA_FILE_MAX) {
        yaml_error(errors, node, "'%s' has %lld bytes; at most %d are read", area->file,
                   (long long)status.st_size, AREA_FILE_MAX);
        return;
    }
    json_t *root = json_load_file(area->file, JSON_REJECT_DUPLICATES, &fault);
    if (root == NULL) {
        config_errors_add(errors, area->file, fault.line > 0 ? (unsigned)fault.line : 0,
                          fault.column > 0 ? (unsigned)fault.column : 0, "", "not JSON: %s",
                          fault.text);
        return;
    }
    const json_t *feature = area_file_feature(root, id);
    if (feature == NULL) {
        yaml_error(errors, node, "'%s' has no Feature of the id '%s'", area->file, id);
    } else {
        const char *text = check_geometry(feature);
        if (text != NULL) {
            yaml_error(errors, node, "the Feature '%s' of '%s' has %s", id, area->file, text);
        }
    }
    json_decref(root);
}
