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

/* `dem_m` [rows * columns], NaN missing. dx_m and dy_m are the distances of cell centres.
 * ret_filled_m is NaN and ret_d8 (ESRI codes) 0 where the elevation is missing. ERR_RANGE,
 * ERR_LIMIT, ERR_MEMORY; ERR_INVALID when every cell is missing. */
int terrain_drain(size_t rows, size_t columns, double dx_m, double dy_m, const double *dem_m,
                  double *ret_filled_m, int32_t *ret_d8, struct err *ret_err);

/* Cells that drain through each cell, itself included (0: missing), and the number of the basin it
 * belongs to, from 1 (0: missing), in the order of the outlets in the grid. */
int terrain_accumulate(size_t rows, size_t columns, const int32_t *d8, int32_t *ret_cells,
                       int32_t *ret_basin, struct err *ret_err);

#endif
