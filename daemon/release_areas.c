#include "daemon/release_areas.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

static bool take_text(const json_t *object, const char *key, char *ret_text, size_t size) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text_is_utf8_line(text, strlen(text)) &&
           text_copy(ret_text, size, text) == 0;
}

static bool take_polygon(const json_t *list, struct release_area *area) {
    size_t count = json_array_size(list);
    if (count < 4 || count > RELEASE_POSITIONS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *at = json_array_get(list, i);
        double latitude = json_number_value(json_array_get(at, 0));
        double longitude = json_number_value(json_array_get(at, 1));
        if (json_array_size(at) != 2 || !(fabs(latitude) <= 90) || !(fabs(longitude) <= 180)) {
            return false;
        }
        area->positions[i] = (struct cap_position){latitude, longitude};
    }
    const struct cap_position *last = &area->positions[count - 1];
    area->polygon.count = count;
    return last->latitude_deg == area->positions[0].latitude_deg &&
           last->longitude_deg == area->positions[0].longitude_deg;
}

/* Adds "name" to "a;b". */
static void join(char *list, size_t size, const char *name) {
    size_t length = strlen(list), more = strlen(name);
    if (more > 0 && length + more + 1 < size) {
        (void)snprintf(list + length, size - length, "%s%s", length > 0 ? ";" : "", name);
    }
}

static bool take_communes(const json_t *list, struct release_area *area) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *commune = json_array_get(list, i);
        char name[STATION_NAME_SIZE], code[STATION_NAME_SIZE];
        if (!take_text(commune, "name", name, sizeof name) ||
            !take_text(commune, "code", code, sizeof code) || strchr(name, ';') != NULL ||
            strchr(code, ';') != NULL) {
            return false;
        }
        join(area->communes, sizeof area->communes, name);
        join(area->commune_codes, sizeof area->commune_codes, code);
    }
    return json_is_array(list);
}

static bool take_area(const json_t *object, struct utc_us reference_time,
                      struct release_area *area) {
    const json_t *instruction = json_object_get(object, "instruction");
    *area = (struct release_area){.reference_time = reference_time};
    return take_text(object, "rule", area->rule, sizeof area->rule) &&
           take_text(object, "place", area->place, sizeof area->place) &&
           take_text(instruction, "vi", area->instruction[0], RELEASE_TEXT_SIZE) &&
           take_text(instruction, "en", area->instruction[1], RELEASE_TEXT_SIZE) &&
           take_communes(json_object_get(object, "communes"), area) &&
           take_polygon(json_object_get(object, "polygon"), area);
}

int release_areas_take(struct release_areas *areas, const char *output, size_t length,
                       struct utc_us reference_time, struct err *ret_err) {
    json_error_t why;
    json_t *root = json_loadb(output, length, JSON_REJECT_DUPLICATES, &why);
    const json_t *list = json_object_get(root, "cap");
    size_t count = json_array_size(list);
    struct release_areas *taken = calloc(1, sizeof *taken);
    int rc = taken == NULL                                       ? ERR_MEMORY
             : !json_is_array(list) || count > RELEASE_AREAS_MAX ? ERR_SYNTAX
                                                                 : 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = take_area(json_array_get(list, i), reference_time, &taken->list[i]) ? 0 : ERR_INVALID;
    }
    json_decref(root);
    if (rc == 0) {
        taken->count = count;
        *areas = *taken;
        for (size_t i = 0; i < count; i++) {
            struct release_area *area = &areas->list[i];
            area->polygon.positions = area->positions;
            area->outline = (struct cap_outline){.polygons = &area->polygon,
                                                 .count = 1,
                                                 .communes = area->communes,
                                                 .commune_codes = area->commune_codes};
        }
    }
    free(taken);
    return rc == 0 ? 0 : err_set(ret_err, rc, "the areas of the release are not understood");
}

const struct release_area *release_areas_find(const struct release_areas *areas, const char *rule,
                                              const char *place, struct utc_us now) {
    for (size_t i = 0; i < areas->count; i++) {
        const struct release_area *area = &areas->list[i];
        if (strcmp(area->rule, rule) == 0 && strcmp(area->place, place) == 0) {
            return now.us - area->reference_time.us <= RELEASE_AREA_AGE_US ? area : NULL;
        }
    }
    return NULL;
}
