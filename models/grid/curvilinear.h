/* Which cell of a grid of 2-D longitude and latitude a place lies in, and which cells are near.
 *
 * Cells are quadrangles of four neighbouring points with edges straight in longitude and latitude:
 * between centres (to interpolate) or between corners (grid_corners; the cells themselves). They
 * are sorted into buckets of about their own size, so that a place is found in constant time.
 * A grid around a pole has no such cells there and is refused.
 * Thread rule: a finished one is read-only. */
#ifndef CANHBAO_MODELS_GRID_CURVILINEAR_H
#define CANHBAO_MODELS_GRID_CURVILINEAR_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"
#include "models/grid/grid.h"
#include "models/grid/polygon.h"

enum curvilinear_points { CURVILINEAR_CENTRES, CURVILINEAR_CORNERS };

struct curvilinear;

/* The grid must be curvilinear. ERR_UNSUPPORTED: neighbours more than 180 degrees of longitude
 * apart; ERR_LIMIT, ERR_MEMORY. */
int curvilinear_create(const struct grid *grid, enum curvilinear_points points,
                       struct curvilinear **ret_cells, struct err *ret_err);
void curvilinear_destroy(struct curvilinear *cells);

/* The same longitude on the branch of the grid. */
double curvilinear_longitude(const struct curvilinear *cells, double lon);

/* Fractional row and column among the points (0, 0 is the first one): the place in its quadrangle
 * by the inverse of bilinear interpolation of longitude and latitude. false (outputs untouched):
 * in none. */
bool curvilinear_locate(const struct curvilinear *cells, double lon, double lat, double *ret_row,
                        double *ret_column);

/* Calls visit for every cell (row * columns + column, of the quadrangles) whose bounding box meets
 * that of the polygon, each once. Stops when it returns non-zero and returns that. */
int curvilinear_visit(const struct curvilinear *cells, const struct polygon *polygon,
                      int (*visit)(void *context, size_t cell), void *context);

/* Plane area (square degrees, > 0) of the part of the polygon inside a cell. */
double curvilinear_overlap(const struct curvilinear *cells, size_t cell,
                           const struct polygon *polygon);
double curvilinear_area(const struct curvilinear *cells, size_t cell);

#endif
