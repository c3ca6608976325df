/* Areas as polygons, and the exact share of each grid cell that an area covers.
 *
 * Polygons are GeoJSON (RFC 7946): Polygon or MultiPolygon with holes, longitude and latitude on
 * WGS 84, edges straight in longitude and latitude. Edges are densified until the projected chord
 * leaves the true line by less than 1e-6 of a cell; the share is then the exact polygon-cell
 * intersection in grid coordinates (signed trapezoids along the edges; curvilinear grids by
 * clipping against each cell).
 * Thread rule: pure functions; the caller keeps (caches) masks. */
#ifndef CANHBAO_MODELS_GRID_MASK_H
#define CANHBAO_MODELS_GRID_MASK_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"
#include "models/grid/grid.h"

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

/* Sparse weights of one area on one grid. */
struct mask {
    size_t count;      /* cells with a share > 0 */
    size_t *index;     /* row * columns + column, ascending */
    double *fraction;  /* share of the cell that is covered, (0, 1] */
    double *area_m2;   /* covered ground area: fraction * cell area */
    double covered_m2; /* sum of area_m2 */
    double total_m2;   /* ground area of the polygon itself (geodesic), also outside the grid */
};

/* `cell_area_m2` from grid_cell_areas_m2. An area outside the grid gives count 0, no error. */
int mask_create(struct grid_env *env, const struct grid *grid, const double *cell_area_m2,
                const struct area *area, struct mask **ret_mask, struct err *ret_err);
void mask_destroy(struct mask *mask);

#endif
