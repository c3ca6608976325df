/* What a distributed run says for areas and for the map: results for the daemon's jobs, details for
 * people, CF NetCDF grids. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FLASHFLOOD_OUT_H
#define CANHBAO_MODELS_HYDROLOGY_FLASHFLOOD_OUT_H

#include <jansson.h>

#include "models/hydrology/cell_areas.h"
#include "models/hydrology/crest_live.h"

/* The cells of areas that drain. As cell_areas_create(). */
int flashflood_areas(struct grid_env *env, const struct crest_domain *domain,
                     const struct area_list *areas, struct cell_area **ret_areas,
                     struct err *ret_err);

struct flashflood_output {
    const struct crest_live *live;
    const struct cell_area *areas;
    size_t area_count;
    double min_coverage; /* fewer known cells of an area: unknown */
    double share_ratio;  /* cells at or above it count in ffg_share */
};

/* Rows {area, variable, unit, window_s, lead_s, value, coverage, probability, cause}:
 *   ffg_min          mm, window D, lead 0: lowest guidance of the area now
 *   ffg_ratio        1, window D, leads 0 to D: highest ratio of a cell
 *   ffg_share        1, the same: share of the cells at share_ratio or above
 *   unit_streamflow  m3 s-1 km-2, lead 0: highest of a cell now
 *   peak_unit_streamflow  the same, window = lead 1, 3, 6, 12, 24 h: highest until then; with
 *                    _zero_rain and _persistence the floors
 * Ahead each stands three times, as the value that is reached with probability 0.2, 0.5, 0.8; what
 * has been (lead 0) has no probability. NULL: no memory. */
json_t *flashflood_results(const struct flashflood_output *output);

/* {hours_since_start, missing_rain_steps, members, warnings, areas: [{area, cells, worst: {lon or
 * x, lat or y, duration_h, ratio}}]}. NULL: no memory. */
json_t *flashflood_details(const struct flashflood_output *output);

/* Over (lead_time, y, x), hours 1 to 24: discharge_median, unit_streamflow_median (of the highest
 * flow of the hour), probability_above_threshold (share of the members at or above the threshold
 * flow), the floors discharge_zero_rain and discharge_persistence; over (y, x): ffg_1h, _3h, _6h
 * now, ffg_ratio_1h, _3h, _6h (median over members, to the lead that is the duration),
 * soil_saturation. NaN where a member is not known. */
int flashflood_write_nc(const char *path, const struct flashflood_output *output,
                        const char *manifest_sha256, struct err *ret_err);
/* A field of the grid of a domain, [rows * columns] in the order of the file, from one by place. */
void flashflood_to_grid(const struct crest_domain *domain, const float *by_place, float *ret_field);

#endif
