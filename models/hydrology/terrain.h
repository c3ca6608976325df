/* Drainage from a digital elevation model: filled surface, D8 flow direction, basins.
 *
 * Priority flood (Barnes, Lehman, Mulla 2014) from the edge inwards; the edge is the border of the
 * grid and every cell beside a missing one. A cell drains down the steepest slope of the filled
 * surface; where there is none (flats, filled pits) to the neighbour it was flooded from, so that
 * every cell reaches the edge and no circle is possible. Rows run from north to south.
 *
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_TERRAIN_H
#define CANHBAO_MODELS_HYDROLOGY_TERRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/hydrology/network.h"

/* Elevations of land, m: from the shore of the Dead Sea to the highest summit, with some room. */
#define TERRAIN_LOWEST_M  -500.0
#define TERRAIN_HIGHEST_M 9000.0

/* `dem_m` [rows * columns], NaN missing. dx_m and dy_m [rows] are the distances of cell centres in
 * and across each row. ret_filled_m is NaN and ret_d8 (ESRI codes) 0 where the elevation is
 * missing. ERR_LIMIT, ERR_MEMORY; ERR_INVALID when every cell is missing or all have one
 * elevation; ERR_RANGE names a cell whose elevation no land has. */
int terrain_drain(size_t rows, size_t columns, const double *dx_m, const double *dy_m,
                  const double *dem_m, double *ret_filled_m, int32_t *ret_d8, struct err *ret_err);

/* Of each cell: how many cells drain through it and their area, itself included (0: missing), and
 * the number of the basin it belongs to, from 1 (0: missing), in the order of the outlets in the
 * grid. row_km2 [rows]: area of a cell. */
int terrain_accumulate(size_t rows, size_t columns, const int32_t *d8, const double *row_km2,
                       int32_t *ret_cells, double *ret_km2, int32_t *ret_basin,
                       struct err *ret_err);

#endif
