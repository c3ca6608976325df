/* How good forecasts were: sums that can be pooled over forecasts, days and a season, and the
 * measures that are formed of them afterwards.
 *
 * One row is about one product, forecasting system, place, variable, lead and threshold. Sums are
 * additive: pooling adds them, and only then a ratio is formed (Jolliffe & Stephenson 2012, ch. 3).
 * What could not be scored (forecast or observation missing) is in no sum; missed events without a
 * forecast are counted apart. A measure without its denominator is NaN, never 0.
 *
 * Sources: Wilks 2011, ch. 8 (contingency table, Brier score); Roberts & Lean 2008 (FSS); Hersbach
 * 2000 (CRPS); Nash & Sutcliffe 1970; Gupta et al. 2009 (KGE); Kitanidis & Bras 1980 (persistence
 * index). Thread rule: pure. */
#ifndef CANHBAO_STATION_SKILL_H
#define CANHBAO_STATION_SKILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/station/station.h"

enum { SKILL_BINS = 11 }; /* forecast probability 0, 0.1, ... 1, nearest */

enum skill_sum {
    SKILL_N, /* pairs of forecast and observation */
    SKILL_HITS,
    SKILL_MISSES,
    SKILL_FALSE_ALARMS,
    SKILL_CORRECT_NEGATIVES,
    SKILL_ERROR, /* forecast - observed */
    SKILL_ABSOLUTE_ERROR,
    SKILL_SQUARED_ERROR,
    SKILL_OBSERVED,
    SKILL_OBSERVED_SQUARED,
    SKILL_FORECAST,
    SKILL_FORECAST_SQUARED,
    SKILL_FORECAST_OBSERVED,
    SKILL_REFERENCE_SQUARED_ERROR,  /* of persistence, for the persistence index */
    SKILL_PAIRED_ABSOLUTE_ERROR,    /* where persistence could be scored too ... */
    SKILL_REFERENCE_ABSOLUTE_ERROR, /* ... and that of persistence there */
    SKILL_FSS_NUMERATOR,            /* (forecast share - observed share)^2 */
    SKILL_FSS_DENOMINATOR,          /* forecast share^2 + observed share^2 */
    SKILL_BRIER,
    SKILL_BRIER_N,
    SKILL_CRPS,
    SKILL_CRPS_N,
    SKILL_PEAKS, /* events whose peak was forecast */
    SKILL_PEAK_ERROR,
    SKILL_PEAK_ABSOLUTE_ERROR,
    SKILL_PEAK_TIMING_S, /* forecast - observed */
    SKILL_PEAK_ABSOLUTE_TIMING_S,
    SKILL_LEAD_TIMES,              /* events (rises above the threshold) that were foreseen */
    SKILL_LEAD_TIME_S,             /* from the first forecast of each to the event */
    SKILL_MISSED_WITHOUT_FORECAST, /* events when there was no forecast at all */
    SKILL_RELIABILITY_N,           /* [SKILL_BINS]: forecasts by their probability */
    SKILL_RELIABILITY_OBSERVED = SKILL_RELIABILITY_N + SKILL_BINS, /* [SKILL_BINS]: events */
    SKILL_SUM_COUNT = SKILL_RELIABILITY_OBSERVED + SKILL_BINS
};

/* "hits", "reliability_observed_3", ... `size` >= 32. */
void skill_sum_name(enum skill_sum sum, char *ret_name, size_t size);
/* ERR_NOT_FOUND. */
int skill_sum_find(const char *name, enum skill_sum *ret_sum);

struct skill_key {
    char product[STATION_ID_SIZE]; /* whose forecasts */
    char system[STATION_ID_SIZE];  /* "forecast", or what it is compared with: "persistence" */
    char place[STATION_ID_SIZE];   /* station or area; empty: the whole grid */
    char variable[STATION_ID_SIZE];
    char unit[STATION_UNIT_SIZE];
    int64_t lead_us;
    double threshold; /* in unit; NaN: none */
};

struct skill {
    struct skill_key key;
    double sums[SKILL_SUM_COUNT];
};

/* What a run found for one time that was forecast. */
struct skill_score {
    struct skill skill;
    struct utc_us valid;
    bool late; /* of a time that was scored before: the forecast or the frame came afterwards */
};

/* What is pooled. A season has three months: from December, March, June, September. */
enum skill_period { SKILL_HOUR, SKILL_DAY, SKILL_SEASON, SKILL_PERIOD_COUNT };
/* "hour", "day", "season". */
const char *skill_period_name(enum skill_period period);
/* When the period of a time begins, in UTC. */
struct utc_us skill_period_start(enum skill_period period, struct utc_us time);
bool skill_same_key(const struct skill_key *a, const struct skill_key *b);

void skill_add(struct skill *skill, const double sums[SKILL_SUM_COUNT]);

/* The measures by name, for those who show them; `value` is NaN when there is nothing to divide by.
 * csi, pod, far, fss, bias (mean error) and mae (of rows without a threshold), mae_ratio (to that
 * of persistence, where both could be scored; above 1 is worse), rmse, brier, crps, reliability
 * (mean squared distance of the reliability curve from the diagonal, weighted by forecasts), nse,
 * kge (2009), persistence_index (1 - SSE / SSE of persistence), peak_error, peak_timing_s,
 * lead_time_s. NULL past the end. */
struct skill_measure {
    const char *name;
    double (*value)(const struct skill *skill);
};
const struct skill_measure *skill_measure(size_t index);
/* One of them; NaN for a name that there is not. */
double skill_value(const struct skill *skill, const char *name);

#endif
