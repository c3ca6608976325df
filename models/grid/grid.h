/* A horizontal grid: where its cells are, in its own coordinates and on the ground.
 *
 * Arrays are row-major, [row][column], in the order of the file: row 0 is the file's first row, y
 * may ascend or descend. Missing values are NaN everywhere in the grid layer, never a number.
 * Thread rule: a finished grid is read-only and may be shared; a `geo` belongs to one thread. */
#ifndef CANHBAO_MODELS_GRID_GRID_H
#define CANHBAO_MODELS_GRID_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"
#include "models/grid/env.h"
#include "models/grid/mapping.h"

struct grid {
    size_t rows;      /* along y */
    size_t columns;   /* along x */
    bool geographic;  /* x and y are degrees east and north */
    bool degrees;     /* angles: geographic, or of a rotated pole; else metres of the projection */
    bool curvilinear; /* cells are given by 2-D lon and lat only; x, y and edges are NULL */
    double *x;        /* [columns] centres, strictly monotonic */
    double *y;        /* [rows] centres, strictly monotonic */
    double *x_edge;   /* [columns + 1]: bounds of the file, else half way between centres */
    double *y_edge;   /* [rows + 1] */
    double *lon;      /* [rows * columns] centres, degrees east; only when curvilinear */
    double *lat;      /* [rows * columns] */
    struct grid_mapping mapping; /* as in the file, so that it can be written back */
    char crs[GRID_CRS_MAX];      /* for PROJ: "+proj=stere ... +type=crs", "EPSG:n" or WKT */
};

/* A rectilinear grid from centres (copied; edges half way between). `mapping` NULL: degrees.
 * ERR_INVALID: fewer than 2 cells along an axis, not finite, not strictly monotonic, latitude
 * beyond 90 degrees, more than 360 degrees of longitude, a mapping that is not understood. */
int grid_create(size_t rows, size_t columns, const double *x, const double *y,
                const struct grid_mapping *mapping, struct grid **ret_grid, struct err *ret_err);

/* A curvilinear grid from 2-D centres in degrees (copied). */
int grid_create_curvilinear(size_t rows, size_t columns, const double *lon, const double *lat,
                            struct grid **ret_grid, struct err *ret_err);

void grid_destroy(struct grid *grid);

/* Same cells in the same place: shapes and mapping equal, coordinates within 1e-3 of a cell. */
bool grid_same(const struct grid *a, const struct grid *b);

/* Fractional position of a point given in grid coordinates: 0.0 is the centre of the first cell;
 * values from -0.5 to n - 0.5 are inside. false (outputs untouched): outside, or curvilinear. */
bool grid_locate(const struct grid *grid, double x, double y, double *ret_row, double *ret_column);

/* Ground area of every cell in m2, [rows * columns], on the ellipsoid of the grid. Degrees: exact
 * between parallels (Snyder 1987, eq. 3-12, 14-15). Others: the quadrangle of the cell's corners in
 * an equal-area cylindrical plane; a cell around a pole by geodesics (Karney 2013). ERR_INVALID
 * names a cell that the projection cannot place. */
int grid_cell_areas_m2(struct grid_env *env, const struct grid *grid, double *ret_area_m2,
                       struct err *ret_err);

/* Corners of a curvilinear grid, [(rows + 1) * (columns + 1)]: mean of the four centres around,
 * extrapolated linearly at the rim. */
void grid_corners(const struct grid *grid, double *ret_lon, double *ret_lat);

#endif
