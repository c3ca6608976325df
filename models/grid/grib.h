/* GRIB edition 2 (WMO Manual on Codes, FM 92) to a NetCDF image, by ecCodes.
 *
 * Known fields: precipitation rates (0.1.7, 0.1.52, 0.1.65; MRMS PrecipRate 209.6.1) as
 * rainfall_rate in mm h-1, precipitation amounts (0.1.8, 0.1.49) as rainfall_amount in mm, wind
 * (0.2.2, 0.2.3) as eastward_wind and northward_wind in m s-1; others are left out. Grids: regular
 * latitude/longitude, Lambert conformal, polar stereographic and Mercator as such, all others by
 * the 2-D coordinates of their points. Messages may be in any order.
 *
 * Refused by name: nothing known in the file, different grids, a field of the same time twice
 * (levels, members), points not in rows from west to east, a message that is cut off. */
#ifndef CANHBAO_MODELS_GRID_GRIB_H
#define CANHBAO_MODELS_GRID_GRIB_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/grid/env.h"

int grib_translate(struct grid_env *env, const char *name, const void *bytes, size_t size,
                   void **ret_image, size_t *ret_size, struct err *ret_err);

#endif
