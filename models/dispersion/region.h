/* Regions of highest density of a cloud of points: where the source is with 50 and 90 %.
 *
 * The points are counted on a grid that spans them, smoothed with a Gaussian of their own spread
 * (Silverman's rule), and the smallest set of cells with the asked share of the mass is the region.
 * Thread rule: pure functions on the caller's memory. */
#ifndef CANHBAO_MODELS_DISPERSION_REGION_H
#define CANHBAO_MODELS_DISPERSION_REGION_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

enum { REGION_CELLS = 128 }; /* along an axis */

struct region {
    double west_m, south_m; /* outer corner */
    double dx_m, dy_m;      /* of a cell */
    double *density;        /* [REGION_CELLS * REGION_CELLS], row 0 in the south; sums to 1 */
};

/* x and y of count points (at least 100, finite). ERR_LIMIT, ERR_RANGE, ERR_MEMORY. */
int region_create(const double *x_m, const double *y_m, size_t count, struct region *ret_region,
                  struct err *ret_err);
void region_finish(struct region *region);

/* The density at and above which the cells hold the share (0 to 1) of the mass. ERR_MEMORY. */
int region_level(const struct region *region, double share, double *ret_level);
double region_area_m2(const struct region *region, double level);
bool region_holds(const struct region *region, double level, double x_m, double y_m);

/* Outlines of the cells at or above the level: closed rings of corners (first point repeated at the
 * end), outer rings counter-clockwise, holes clockwise. ring[i] points into the one allocation of
 * `points`. ERR_MEMORY. */
struct region_rings {
    size_t count;
    size_t *start; /* [count + 1] */
    double (*points)[2];
};
int region_outline(const struct region *region, double level, struct region_rings *ret_rings);
void region_rings_finish(struct region_rings *rings);

#endif
