#include "daemon/station/air_nowcast.h"

#include <math.h>
#include <stddef.h>

double aqi_nowcast(const double hourly[NOWCAST_HOURS], bool *ret_own) {
    double min = INFINITY;
    double max = -INFINITY;
    int recent = 0;
    bool whole = true;
    for (int i = 0; i < NOWCAST_HOURS; i++) {
        if (!isfinite(hourly[i]) || hourly[i] < 0) {
            whole = false;
            continue;
        }
        recent += i < 3;
        min = fmin(min, hourly[i]);
        max = fmax(max, hourly[i]);
    }
    if (ret_own != NULL) {
        *ret_own = false;
    }
    if (recent < 2) {
        return NAN;
    }
    double ratio = max > 0 ? min / max : 1;
    double weight = ratio > 0.5 ? ratio : 0.5;
    double sum = 0;
    double weights = 0;
    double power = 1;
    for (int i = 0; i < NOWCAST_HOURS; i++) {
        if (isfinite(hourly[i]) && hourly[i] >= 0) {
            sum += power * hourly[i];
            weights += power;
        }
        power *= weight;
    }
    if (ratio <= 0.5 && whole) {
        return sum / 2; /* w c1 + w^2 c2 + ... with w = 1/2 */
    }
    if (ret_own != NULL) {
        *ret_own = ratio <= 0.5;
    }
    return sum / weights;
}

double mean_of_hours(const double *hourly, int length) {
    double sum = 0;
    int there = 0;
    for (int i = 0; i < length; i++) {
        if (isfinite(hourly[i])) {
            sum += hourly[i];
            there++;
        }
    }
    return 4 * there >= 3 * length && there > 0 ? sum / there : (double)NAN;
}
