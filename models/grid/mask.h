/* Areas as polygons, and the exact share of each grid cell that an area covers.
 *
 * Polygons are GeoJSON (RFC 7946): Polygon or MultiPolygon with holes, longitude and latitude on
 * WGS 84, edges straight in longitude and latitude. Edges are densified until the projected chord
 * leaves the true line by less than 2e-9 of a cell; the share is then the exact polygon-cell
 * intersection in grid coordinates (signed trapezoids along the edges; curvilinear grids by
 * clipping against each cell).
 * Thread rule: pure functions; the caller keeps (caches) masks. */
#ifndef CANHBAO_MODELS_GRID_MASK_H
#define CANHBAO_MODELS_GRID_MASK_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/grid/area.h"
#include "models/grid/grid.h"

/* Sparse weights of one area on one grid. */
struct mask {
    size_t count;      /* cells with a share > 0 */
    size_t *index;     /* row * columns + column, ascending */
    double *fraction;  /* share of the cell that is covered, (0, 1] */
    double *area_m2;   /* covered ground area: fraction * cell area */
    double covered_m2; /* sum of area_m2 */
    double inside;     /* share of the polygon within the grid, in grid coordinates, [0, 1] */
};

/* `cell_area_m2` from grid_cell_areas_m2. An area outside the grid gives count 0, no error. */
int mask_create(struct grid_env *env, const struct grid *grid, const double *cell_area_m2,
                const struct area *area, struct mask **ret_mask, struct err *ret_err);
void mask_destroy(struct mask *mask);

#endif
