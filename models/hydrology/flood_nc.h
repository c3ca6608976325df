/* A run of the flood model as CF NetCDF time series, all gauges in one file. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FLOOD_NC_H
#define CANHBAO_MODELS_HYDROLOGY_FLOOD_NC_H

#include "models/hydrology/flood_run.h"

/* Conventions CF-1.8, featureType timeSeries: discharge_quantile and stage_quantile over (station,
 * quantile, lead_time), the floors discharge_zero_rain ... stage_persistence over (station,
 * lead_time), level and level_reached_probability over (station, level[, lead_time]). Unknown is
 * _FillValue (NaN). Appears under its name when complete. */
int flood_write_nc(const char *path, const struct flood_run *run, const char *manifest_sha256,
                   struct err *ret_err);

#endif
