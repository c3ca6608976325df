/* Rain on grids as mean rates over basins: radar and nowcast, ensembles, numerical forecasts.
 *
 * A frame stands for the time since the frame before it; the first one for as long as the second.
 * A basin has a rate in a frame when at least RAIN_GRID_COVERAGE of it has data.
 *
 * Thread rule: as grid_env while reading; read-only then. */
#ifndef CANHBAO_MODELS_HYDROLOGY_RAIN_GRID_H
#define CANHBAO_MODELS_HYDROLOGY_RAIN_GRID_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/grid/area.h"
#include "models/grid/env.h"
#include "models/grid/ncfile.h"

#define RAIN_GRID_COVERAGE 0.8
enum { RAIN_GRID_MEMBERS_MAX = 200 };

struct rain_grid {
    size_t member_count, basin_count, frame_count;
    int64_t *end_us;   /* [frame_count], rising */
    int64_t first_us;  /* where the first frame begins */
    double *rate_mm_h; /* [member][basin][frame]; NaN unknown */
};

/* Reads variable `name` (NULL: the one with standard_name rainfall_rate) of one CF NetCDF file, in
 * a unit that converts to mm h-1, and closes the file, also on failure. ERR_NOT_FOUND: a basin that
 * the outlines do not have; and the errors of grid/ncfile.h. */
int rain_grid_read(struct grid_env *env, struct ncfile *file, const char *name,
                   const struct area_list *outlines, const char *const *basins, size_t basin_count,
                   struct rain_grid **ret_rain, struct err *ret_err);
struct rain_grid *rain_grid_destroy(struct rain_grid *rain);

/* The mean rate over [from, to), mm/h; NaN unless all of it is known. */
double rain_grid_rate(const struct rain_grid *rain, size_t member, size_t basin, int64_t from_us,
                      int64_t to_us);

#endif
