#include "models/quality/compare.h"

#include <math.h>

/* The median of the known ones; false with too few. */
static bool median_of(const struct quality_limits *limits, const struct quality_context *context,
                      double *ret_median) {
    double sorted[QUALITY_NEIGHBOURS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < limits->neighbour_count; i++) {
        double value = context->neighbours[i];
        uint32_t at = count;
        if (isnan(value)) {
            continue;
        }
        for (; at > 0 && sorted[at - 1] > value; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = value;
        count++;
    }
    if (count < NEIGHBOURS_NEEDED) {
        return false;
    }
    *ret_median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
    return true;
}

enum quality_verdict quality_neighbour(const struct quality_limits *limits,
                                       const struct quality_context *context, double value) {
    double median;
    if (isnan(limits->neighbour_max) || isnan(value) || !median_of(limits, context, &median)) {
        return VERDICT_NONE;
    }
    return fabs(value - median) > limits->neighbour_max ? VERDICT_SUSPECT : VERDICT_PASS;
}

enum quality_verdict quality_cross_variable(const struct quality_limits *limits,
                                            const struct quality_context *context, double value) {
    enum quality_verdict verdict = VERDICT_NONE;
    for (uint32_t i = 0; i < limits->cross_count; i++) {
        const struct quality_cross *cross = &limits->cross[i];
        double mine = isnan(cross->value_above) ? context->rises[i] : value;
        double bound = isnan(cross->value_above) ? cross->rise_above : cross->value_above;
        double other = context->others[i];
        if (isnan(mine) || isnan(other)) {
            continue;
        }
        /* Comparisons with NaN are false: a bound that is not set is never broken. */
        if (mine > bound && (other < cross->other_min || other > cross->other_max)) {
            return VERDICT_SUSPECT;
        }
        verdict = VERDICT_PASS;
    }
    return verdict;
}

bool quality_supported(const struct quality_limits *limits, const struct quality_context *context,
                       double value) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < limits->neighbour_count; i++) {
        count += fabs(context->neighbours[i] - value) <= limits->neighbour_max;
    }
    return count >= 2;
}
