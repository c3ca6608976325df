#include "daemon/station/skill.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/base/err.h"
#include "daemon/base/text.h"

static const char *const names[SKILL_RELIABILITY_N] = {
    [SKILL_N] = "n",
    [SKILL_HITS] = "hits",
    [SKILL_MISSES] = "misses",
    [SKILL_FALSE_ALARMS] = "false_alarms",
    [SKILL_CORRECT_NEGATIVES] = "correct_negatives",
    [SKILL_ERROR] = "error",
    [SKILL_ABSOLUTE_ERROR] = "absolute_error",
    [SKILL_SQUARED_ERROR] = "squared_error",
    [SKILL_OBSERVED] = "observed",
    [SKILL_OBSERVED_SQUARED] = "observed_squared",
    [SKILL_FORECAST] = "forecast",
    [SKILL_FORECAST_SQUARED] = "forecast_squared",
    [SKILL_FORECAST_OBSERVED] = "forecast_observed",
    [SKILL_REFERENCE_SQUARED_ERROR] = "reference_squared_error",
    [SKILL_PAIRED_ABSOLUTE_ERROR] = "paired_absolute_error",
    [SKILL_REFERENCE_ABSOLUTE_ERROR] = "reference_absolute_error",
    [SKILL_FSS_NUMERATOR] = "fss_numerator",
    [SKILL_FSS_DENOMINATOR] = "fss_denominator",
    [SKILL_BRIER] = "brier",
    [SKILL_BRIER_N] = "brier_n",
    [SKILL_CRPS] = "crps",
    [SKILL_CRPS_N] = "crps_n",
    [SKILL_PEAKS] = "peaks",
    [SKILL_PEAK_ERROR] = "peak_error",
    [SKILL_PEAK_ABSOLUTE_ERROR] = "peak_absolute_error",
    [SKILL_PEAK_TIMING_S] = "peak_timing_s",
    [SKILL_PEAK_ABSOLUTE_TIMING_S] = "peak_absolute_timing_s",
    [SKILL_LEAD_TIMES] = "lead_times",
    [SKILL_LEAD_TIME_S] = "lead_time_s",
    [SKILL_MISSED_WITHOUT_FORECAST] = "missed_without_forecast",
};

void skill_sum_name(enum skill_sum sum, char *ret_name, size_t size) {
    if (sum < SKILL_RELIABILITY_N) {
        (void)snprintf(ret_name, size, "%s", names[sum]);
    } else if (sum < SKILL_RELIABILITY_OBSERVED) {
        (void)snprintf(ret_name, size, "reliability_n_%d", (int)(sum - SKILL_RELIABILITY_N));
    } else {
        (void)snprintf(ret_name, size, "reliability_observed_%d",
                       (int)(sum - SKILL_RELIABILITY_OBSERVED));
    }
}

/* "0" to "10" behind a prefix; -1: it is something else. */
static int bin_of(const char *name, const char *prefix) {
    size_t length = strlen(prefix);
    int64_t bin = 0;
    bool is = strncmp(name, prefix, length) == 0 &&
              text_parse_int(name + length, 0, SKILL_BINS - 1, &bin) == 0;
    return is ? (int)bin : -1;
}

int skill_sum_find(const char *name, enum skill_sum *ret_sum) {
    for (int i = 0; i < SKILL_RELIABILITY_N; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_sum = (enum skill_sum)i;
            return 0;
        }
    }
    int n = bin_of(name, "reliability_n_");
    int observed = bin_of(name, "reliability_observed_");
    if (n < 0 && observed < 0) {
        return ERR_NOT_FOUND;
    }
    *ret_sum =
        (enum skill_sum)(n >= 0 ? SKILL_RELIABILITY_N + n : SKILL_RELIABILITY_OBSERVED + observed);
    return 0;
}

const char *skill_period_name(enum skill_period period) {
    static const char *const period_names[SKILL_PERIOD_COUNT] = {"hour", "day", "season"};
    return period_names[period];
}

struct utc_us skill_period_start(enum skill_period period, struct utc_us time) {
    static const int64_t hour_us = INT64_C(3600000000);
    int64_t length_us = period == SKILL_HOUR ? hour_us : 24 * hour_us;
    int64_t start_us = time.us - ((time.us % length_us) + length_us) % length_us;
    time_t seconds = (time_t)(start_us / 1000000);
    struct tm at;
    if (period == SKILL_SEASON && gmtime_r(&seconds, &at) != NULL) {
        at.tm_mon -= (at.tm_mon + 1) % 3; /* January is 0; December belongs to the next year's */
        at.tm_mday = 1;
        start_us = (int64_t)timegm(&at) * 1000000;
    }
    return (struct utc_us){start_us};
}

static bool same_number(double a, double b) {
    return isnan(a) ? isnan(b) : a == b;
}

bool skill_same_key(const struct skill_key *a, const struct skill_key *b) {
    return strcmp(a->product, b->product) == 0 && strcmp(a->system, b->system) == 0 &&
           strcmp(a->place, b->place) == 0 && strcmp(a->variable, b->variable) == 0 &&
           strcmp(a->unit, b->unit) == 0 && a->lead_us == b->lead_us &&
           same_number(a->threshold, b->threshold);
}

void skill_add(struct skill *skill, const double sums[SKILL_SUM_COUNT]) {
    for (int i = 0; i < SKILL_SUM_COUNT; i++) {
        skill->sums[i] += sums[i];
    }
}

static double ratio(double above, double below) {
    return below > 0 ? above / below : (double)NAN;
}

static double measure_csi(const struct skill *skill) {
    const double *s = skill->sums;
    return ratio(s[SKILL_HITS], s[SKILL_HITS] + s[SKILL_MISSES] + s[SKILL_FALSE_ALARMS]);
}

static double measure_pod(const struct skill *skill) {
    const double *s = skill->sums;
    return ratio(s[SKILL_HITS], s[SKILL_HITS] + s[SKILL_MISSES]);
}

static double measure_far(const struct skill *skill) {
    const double *s = skill->sums;
    return ratio(s[SKILL_FALSE_ALARMS], s[SKILL_HITS] + s[SKILL_FALSE_ALARMS]);
}

static double measure_fss(const struct skill *skill) {
    return 1 - ratio(skill->sums[SKILL_FSS_NUMERATOR], skill->sums[SKILL_FSS_DENOMINATOR]);
}

static double measure_bias(const struct skill *skill) {
    return isnan(skill->key.threshold) ? ratio(skill->sums[SKILL_ERROR], skill->sums[SKILL_N])
                                       : (double)NAN;
}

static double measure_mae(const struct skill *skill) {
    return isnan(skill->key.threshold)
               ? ratio(skill->sums[SKILL_ABSOLUTE_ERROR], skill->sums[SKILL_N])
               : (double)NAN;
}

/* Sums of squares are only kept by those who need them: without them there is no measure. */
static bool has_squares(const struct skill *skill) {
    return skill->sums[SKILL_N] > 0 && skill->sums[SKILL_OBSERVED_SQUARED] > 0;
}

static double measure_rmse(const struct skill *skill) {
    return has_squares(skill) ? sqrt(skill->sums[SKILL_SQUARED_ERROR] / skill->sums[SKILL_N])
                              : (double)NAN;
}

/* Variance times n. Below what rounding leaves of it there is none. */
static double spread(double sum, double squares, double n) {
    double value = squares - sum * sum / n;
    return value > 1e-12 * squares ? value : 0;
}

static double measure_nse(const struct skill *skill) {
    const double *s = skill->sums;
    if (!has_squares(skill)) {
        return (double)NAN;
    }
    return 1 - ratio(s[SKILL_SQUARED_ERROR],
                     spread(s[SKILL_OBSERVED], s[SKILL_OBSERVED_SQUARED], s[SKILL_N]));
}

static double measure_kge(const struct skill *skill) {
    const double *s = skill->sums;
    double n = s[SKILL_N];
    if (!has_squares(skill)) {
        return (double)NAN;
    }
    double observed = spread(s[SKILL_OBSERVED], s[SKILL_OBSERVED_SQUARED], n);
    double forecast = spread(s[SKILL_FORECAST], s[SKILL_FORECAST_SQUARED], n);
    double both = s[SKILL_FORECAST_OBSERVED] - s[SKILL_FORECAST] * s[SKILL_OBSERVED] / n;
    if (!(observed > 0) || !(forecast > 0) || s[SKILL_OBSERVED] == 0) {
        return (double)NAN;
    }
    double r = both / sqrt(observed * forecast) - 1;
    double alpha = sqrt(forecast / observed) - 1;
    double beta = s[SKILL_FORECAST] / s[SKILL_OBSERVED] - 1;
    return 1 - sqrt(r * r + alpha * alpha + beta * beta);
}

static double measure_mae_ratio(const struct skill *skill) {
    return ratio(skill->sums[SKILL_PAIRED_ABSOLUTE_ERROR],
                 skill->sums[SKILL_REFERENCE_ABSOLUTE_ERROR]);
}

static double measure_persistence_index(const struct skill *skill) {
    return 1 - ratio(skill->sums[SKILL_SQUARED_ERROR], skill->sums[SKILL_REFERENCE_SQUARED_ERROR]);
}

static double measure_brier(const struct skill *skill) {
    return ratio(skill->sums[SKILL_BRIER], skill->sums[SKILL_BRIER_N]);
}

static double measure_crps(const struct skill *skill) {
    return ratio(skill->sums[SKILL_CRPS], skill->sums[SKILL_CRPS_N]);
}

static double measure_reliability(const struct skill *skill) {
    double sum = 0;
    double n = 0;
    for (int i = 0; i < SKILL_BINS; i++) {
        double forecasts = skill->sums[SKILL_RELIABILITY_N + i];
        if (forecasts > 0) {
            double off = skill->sums[SKILL_RELIABILITY_OBSERVED + i] / forecasts - i / 10.0;
            sum += forecasts * off * off;
            n += forecasts;
        }
    }
    return ratio(sum, n);
}

static double measure_peak_error(const struct skill *skill) {
    return ratio(skill->sums[SKILL_PEAK_ERROR], skill->sums[SKILL_PEAKS]);
}

static double measure_peak_timing_s(const struct skill *skill) {
    return ratio(skill->sums[SKILL_PEAK_TIMING_S], skill->sums[SKILL_PEAKS]);
}

static double measure_lead_time_s(const struct skill *skill) {
    return ratio(skill->sums[SKILL_LEAD_TIME_S], skill->sums[SKILL_LEAD_TIMES]);
}

const struct skill_measure *skill_measure(size_t index) {
    static const struct skill_measure table[] = {
        {"csi", measure_csi},
        {"pod", measure_pod},
        {"far", measure_far},
        {"fss", measure_fss},
        {"bias", measure_bias},
        {"mae", measure_mae},
        {"mae_ratio", measure_mae_ratio},
        {"rmse", measure_rmse},
        {"brier", measure_brier},
        {"crps", measure_crps},
        {"reliability", measure_reliability},
        {"nse", measure_nse},
        {"kge", measure_kge},
        {"persistence_index", measure_persistence_index},
        {"peak_error", measure_peak_error},
        {"peak_timing_s", measure_peak_timing_s},
        {"lead_time_s", measure_lead_time_s},
    };
    return index < sizeof table / sizeof table[0] ? &table[index] : NULL;
}

double skill_value(const struct skill *skill, const char *name) {
    const struct skill_measure *measure;
    for (size_t i = 0; (measure = skill_measure(i)) != NULL; i++) {
        if (strcmp(measure->name, name) == 0) {
            return measure->value(skill);
        }
    }
    return (double)NAN;
}
