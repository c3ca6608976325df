#include "models/hydrology/rain_members.h"

#include <math.h>

/* Standard normal quantile at (i + 0.5) / n, by bisection of erfc: a few hundred calls a run. */
static double normal_quantile(size_t i, size_t n) {
    double p = ((double)i + 0.5) / (double)n, low = -6, high = 6;
    for (int k = 0; k < 60; k++) {
        double middle = 0.5 * (low + high);
        if (0.5 * erfc(-middle / sqrt(2)) < p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

size_t rain_member_count(size_t nowcast, size_t nwp, double log_sigma) {
    size_t dressed = nwp == 1 && log_sigma > 0 ? RAIN_DRESSED : nwp;
    return nowcast > dressed ? nowcast : dressed;
}

struct rain_member rain_member_of(size_t member, size_t nowcast, size_t nwp, double log_sigma) {
    size_t count = rain_member_count(nowcast, nwp, log_sigma);
    struct rain_member found = {0, 0, 1};
    if (nowcast > 0) {
        found.nowcast = member % nowcast;
    }
    if (nwp > 0) {
        found.nwp = member % nwp;
    }
    if (nwp == 1 && count > 1) {
        found.factor = exp(log_sigma * normal_quantile(member, count));
    }
    return found;
}
