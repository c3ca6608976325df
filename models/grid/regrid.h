/* Fields from one grid to another, whatever their projections; also of 2-D longitude and latitude.
 *
 * Bilinear: the value of the source at the centre of each target cell; missing when the centre lies
 * outside the source's centres or a neighbour with weight is missing. In a curvilinear source the
 * four centres around are those whose quadrangle holds it, and the shares are the inverse of
 * bilinear interpolation of their longitudes and latitudes.
 * Conservative (first order): the mean of the source over each target cell, weighted by the ground
 * area of the exact intersections in the coordinates of the source (longitude and latitude of a
 * curvilinear one), where the edges of target cells are polygons of EDGE_PARTS parts. Cells that
 * share an edge share its vertices, so nothing is counted twice or left out: what a field holds
 * inside the target grid, it keeps (sum of mean times covered area). A target cell of which less
 * than half is covered with data is missing. Cells of curvilinear grids end half way between their
 * centres (grid_corners).
 * Thread rule: making one belongs to the thread of the env; a finished one is read-only. */
#ifndef CANHBAO_MODELS_GRID_REGRID_H
#define CANHBAO_MODELS_GRID_REGRID_H

#include "daemon/base/err.h"
#include "models/grid/env.h"
#include "models/grid/grid.h"

enum regrid_method { REGRID_BILINEAR, REGRID_CONSERVATIVE };

struct regrid;

/* ERR_UNSUPPORTED (a curvilinear source around a pole, a projection that PROJ does not know),
 * ERR_LIMIT, ERR_MEMORY. */
int regrid_create(struct grid_env *env, const struct grid *from, const struct grid *to,
                  enum regrid_method method, struct regrid **ret_regrid, struct err *ret_err);
void regrid_destroy(struct regrid *regrid);

/* [rows * columns] of each grid, NaN = missing. */
void regrid_apply(const struct regrid *regrid, const float *from, float *ret_to);

#endif
