#include "daemon/station_list.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static void put_number(json_t *object, const char *key, double value) {
    if (isfinite(value)) {
        (void)json_object_set_new(object, key, json_real(value));
    }
}

static json_t *point_of(const struct point *point) {
    static const char *const kinds[] = {
        [POINT_INSTANT] = "instant", [POINT_COUNTER] = "counter", [POINT_AMOUNT] = "amount"};
    static const char *const epochs[] = {[COUNTER_EPOCH_NONE] = "none",
                                         [COUNTER_EPOCH_CHANGES] = "changes",
                                         [COUNTER_EPOCH_UPTIME] = "uptime"};
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:f}", "id", point->id, "quantity",
                             point->quantity, "unit", point->unit, "kind", kinds[point->kind],
                             "period_s", (double)point->period_us / 1e6);
    if (point->kind == POINT_COUNTER) {
        put_number(json, "counter_modulus", point->counter_modulus);
        put_number(json, "counter_step_max", point->counter_step_max);
        (void)json_object_set_new(
            json, "counter_memory",
            json_string(point->counter_memory == COUNTER_KEPT ? "kept" : "lost"));
        (void)json_object_set_new(json, "counter_epoch", json_string(epochs[point->counter_epoch]));
        if (point->counter_epoch != COUNTER_EPOCH_NONE) {
            (void)json_object_set_new(json, "counter_epoch_point",
                                      json_string(point->counter_epoch_id));
        }
    }
    return json;
}

/* The station of the chosen ones; NULL: none of its points is. */
static json_t *station_of(const struct site *site, const struct station *station,
                          const bool *chosen) {
    json_t *points = NULL;
    for (uint32_t i = station->first_point; i < station->first_point + station->point_count; i++) {
        if (chosen[i]) {
            points = points != NULL ? points : json_array();
            (void)json_array_append_new(points, point_of(&site->points[i]));
        }
    }
    if (points == NULL) {
        return NULL;
    }
    json_t *json = json_pack("{s:s, s:o}", "id", station->id, "points", points);
    put_number(json, "latitude_deg", station->latitude_deg);
    put_number(json, "longitude_deg", station->longitude_deg);
    return json;
}

char *station_list_text(const struct site *site, const uint32_t *points, size_t count) {
    bool *chosen = calloc(site->point_count + 1, sizeof *chosen);
    json_t *stations = json_array();
    for (size_t i = 0; chosen != NULL && i < count; i++) {
        chosen[points[i]] = true;
    }
    for (size_t i = 0; chosen != NULL && i < site->station_count; i++) {
        json_t *json = station_of(site, &site->stations[i], chosen);
        if (json != NULL) {
            (void)json_array_append_new(stations, json);
        }
    }
    json_t *root = chosen != NULL ? json_pack("{s:s, s:i, s:O}", "kind", "stations", "version", 1,
                                              "stations", stations)
                                  : NULL;
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(root);
    json_decref(stations);
    free(chosen);
    return text;
}
