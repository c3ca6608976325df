/* A run of the flood model as the JSON object that the daemon's jobs read. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FLOOD_OUT_H
#define CANHBAO_MODELS_HYDROLOGY_FLOOD_OUT_H

#include <jansson.h>

#include "models/hydrology/flood_run.h"

/* results of all gauges, see forecast_out.h. NULL: no memory. */
json_t *flood_results(const struct flood_run *run, const char *product);

/* What was seen, used and forecast, for people and the page:
 * {time_of_run, hours_since_start, missing_rain_h, recovering, warnings: [...], rain: {...},
 * reservoirs: [...], gauges: [{station, provisional, disagrees, updating ..., past: {...}, bands:
 * {...}}], skill: [all that was verified so far, flood_skill.h]}. Takes nothing over. NULL: no
 * memory. */
json_t *flood_details(const struct flood_run *run);

#endif
