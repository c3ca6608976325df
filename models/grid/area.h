/* Areas of a site as polygons: GeoJSON (RFC 7946), Polygon or MultiPolygon with holes, longitude
 * and latitude on WGS 84, edges straight in longitude and latitude.
 *
 * Thread rule: pure functions; a finished list is read-only. */
#ifndef CANHBAO_MODELS_GRID_AREA_H
#define CANHBAO_MODELS_GRID_AREA_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

enum { AREA_ID_MAX = 64, AREA_NAME_MAX = 128, AREAS_MAX = 4096 };

struct area_ring {
    bool hole;
    size_t count; /* vertices, the first not repeated */
    double *lon;
    double *lat;
};

struct area {
    char id[AREA_ID_MAX];     /* Feature.id, else properties.id */
    char name[AREA_NAME_MAX]; /* properties.name, else the id */
    size_t ring_count;
    struct area_ring *rings;
};

struct area_list {
    size_t count;
    struct area *areas;
};

/* Reads a FeatureCollection or a Feature. `name` appears in messages. ERR_SYNTAX, ERR_INVALID (no
 * id, id twice, not a polygon, ring not closed or of fewer than 4 positions, position outside
 * longitude -180..360 and latitude -90..90, no area), ERR_LIMIT. Every refusal names the feature.
 */
int area_list_parse(const char *name, const char *text, size_t length, struct area_list *ret_list,
                    struct err *ret_err);
/* Appends the areas of a file (at most 64 MiB). An id that is there already is ERR_EXISTS. */
int area_list_load(const char *path, struct area_list *list, struct err *ret_err);
void area_list_finish(struct area_list *list);

#endif
