/* A forecast as CSV table, as the JSON object that the daemon's jobs read, and as CF NetCDF time
 * series. Unknown is empty, null with its cause, and _FillValue. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FORECAST_OUT_H
#define CANHBAO_MODELS_HYDROLOGY_FORECAST_OUT_H

#include <jansson.h>
#include <stdint.h>

#include "models/hydrology/forecast.h"

struct forecast_labels {
    const char *gauge;   /* place id of the results */
    const char *product; /* "" without */
    int64_t reference_us;
    const char *const *members; /* names, member_count of the input */
};

/* Columns: see the help of `forecast`. */
int forecast_write_csv(const char *path, const struct forecast_input *input,
                       const struct forecast *forecast, const struct forecast_labels *labels,
                       struct err *ret_err);

/* Conventions CF-1.8: discharge(realization, lead_time) and stage(realization, lead_time) of each
 * member and the two floors, undressed; the bands over `quantile`; the probabilities over `level`.
 * Appears under its name when complete. `manifest_sha256` goes into the attribute of that name. */
int forecast_write_nc(const char *path, const struct forecast_input *input,
                      const struct forecast *forecast, const struct forecast_labels *labels,
                      const char *manifest_sha256, struct err *ret_err);

/* Appends to results: {area, variable, unit, window_s, lead_s, value, probability, cause}
 *   discharge, stage                 median; probability 0.5 (of being reached)
 *   discharge_q05 ... stage_q95      bands; probability 1 - q
 *   discharge_zero_rain, discharge_persistence, stage_...   the floors, no probability
 *   probability_level_1 ... 3        window 0: at or above at the lead; window = lead: reached by
 *                                    then; the value is the probability
 *   time_to_level_1 ... 3            hours to the first crossing, median of the paths that cross;
 *                                    probability of crossing within the horizon
 *   peak_discharge, peak_stage       median of the highest within the horizon, lead of its median
 */
void forecast_add_results(json_t *list, const struct forecast_input *input,
                          const struct forecast *forecast, const struct forecast_labels *labels);

/* For people: updating, levels with probability and time, peak. NULL: no memory. */
json_t *forecast_summary(const struct forecast_input *input, const struct forecast *forecast);

/* A number, or null when it is none. */
json_t *forecast_number(double value);

/* "updated", "updated_ar1", "open_loop", "missing". */
const char *forecast_mark_name(enum update_mark mark);

#endif
