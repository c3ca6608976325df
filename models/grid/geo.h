/* Longitude and latitude on WGS 84, in degrees, to and from grid coordinates, by PROJ.
 *
 * Thread rule: a geo belongs to the thread of its env. */
#ifndef CANHBAO_MODELS_GRID_GEO_H
#define CANHBAO_MODELS_GRID_GEO_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/grid/env.h"

struct geo;

/* `crs` as PROJ reads it (struct grid has one). The env must outlive the geo. ERR_UNSUPPORTED. */
int geo_create(struct grid_env *env, const char *crs, struct geo **ret_geo, struct err *ret_err);
void geo_destroy(struct geo *geo);

/* In place: first longitude then x, first latitude then y. A point that the projection cannot
 * place becomes NaN, NaN; the number of such points is returned. */
size_t geo_forward(struct geo *geo, size_t count, double *lon_to_x, double *lat_to_y);
size_t geo_inverse(struct geo *geo, size_t count, double *x_to_lon, double *y_to_lat);

/* Half axes of the ellipsoid in metres. */
int geo_ellipsoid(struct geo *geo, double *ret_a_m, double *ret_b_m, struct err *ret_err);

#endif
