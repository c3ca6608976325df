/* Results at receptors as CF NetCDF (CF-1.8, discrete sampling geometries): one dimension
 * `receptor`, with `time` before it when the results have times; places as x_east_m, y_north_m,
 * z_m, and with a known origin longitude and latitude. NaN is missing. The file appears when
 * complete. Thread rule: pure but for the file. */
#ifndef CANHBAO_MODELS_DISPERSION_PLUME_NC_H
#define CANHBAO_MODELS_DISPERSION_PLUME_NC_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/dispersion/far.h"
#include "models/dispersion/puff.h"
#include "models/dispersion/weather_field.h"

struct plume_nc_column {
    const char *name, *units, *long_name;
    const double *values;        /* [times * receptors], the receptors of a time together */
    const char *const *meanings; /* of 0, 1, ... (CF flags); NULL: the values are numbers */
    size_t meaning_count;
};

/* `times` may be 0: no time dimension. mass: of particles, as attributes of the file; released 0:
 * none. ERR_IO, ERR_MEMORY. */
int plume_nc_write(const char *path, const struct puff_receptor *receptors, size_t count,
                   const int64_t *utc_us, size_t times, const struct weather_origin *origin,
                   const struct plume_nc_column *columns, size_t column_count,
                   const struct far_mass *mass, struct err *ret_err);

#endif
