/* Which dose-rate stations lie downwind of another: a cloud that raised one comes to them next.
 *
 * JSON: {kind "dose-neighbours", version 1, wind {station, speed_point, direction_point}, fan_deg
 * (half width), reach_km, stations [{id, latitude_deg, longitude_deg}]}; unknown keys are refused.
 * Thread rule: read-only once read. */
#ifndef CANHBAO_MODELS_RADIATION_DOWNWIND_H
#define CANHBAO_MODELS_RADIATION_DOWNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/table/longform.h"

enum { DOWNWIND_STATIONS_MAX = 64, DOWNWIND_ID_SIZE = 64 };
#define DOWNWIND_WIND_S 1800.0

struct downwind {
    char wind_station[DOWNWIND_ID_SIZE], speed_point[DOWNWIND_ID_SIZE],
        direction_point[DOWNWIND_ID_SIZE];
    double fan_deg, reach_m;
    size_t count;
    struct {
        char id[DOWNWIND_ID_SIZE];
        double latitude_deg, longitude_deg;
    } stations[DOWNWIND_STATIONS_MAX];
};

/* ERR_SYNTAX, ERR_INVALID, ERR_LIMIT. */
int downwind_read(const char *path, struct downwind *ret_downwind, struct err *ret_err);

/* Where the wind of the last half hour came from (mean vector), degrees; NaN: not known. */
double downwind_from_deg(const struct downwind *downwind, const struct longform *series,
                         int64_t utc_us);

/* Whether station `other` lies in the fan of `id`. False for stations that are not in the list. */
bool downwind_is(const struct downwind *downwind, const char *id, const char *other,
                 double from_deg);

#endif
