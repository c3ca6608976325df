/* Landslide indicators of one place from its rain: intensity-duration thresholds, antecedent
 * precipitation index, and the class of Article 46 of Decision 18/2021/QD-TTg.
 *
 * Missing rain (NaN) can only have been 0 or more, so what the known rain already exceeds is
 * exceeded; what it does not exceed is unknown, never "below".
 *
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_LANDSLIDE_LANDSLIDE_H
#define CANHBAO_MODELS_LANDSLIDE_LANDSLIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"
#include "models/table/table.h"

enum landslide_answer { LANDSLIDE_NO, LANDSLIDE_YES, LANDSLIDE_UNKNOWN };

/* I = alpha D^beta, mean intensity in mm/h over a duration of D hours (Caine 1980, Geogr. Ann. 62A;
 * Guzzetti et al. 2008, Landslides 5). */
struct landslide_threshold {
    char id[TABLE_NAME_MAX];
    double alpha;
    double beta;
    double duration_min_h;
    double duration_max_h;
    bool provisional; /* its confidence is not "verified" */
};

/* The rows of rainfall_thresholds.csv that are intensity-duration curves; at most `room`.
 * ERR_LIMIT when there are more. */
int landslide_thresholds(const struct table *table, struct landslide_threshold *ret_thresholds,
                         size_t room, size_t *ret_count, struct err *ret_err);

struct landslide_exceedance {
    enum landslide_answer answer;
    double ratio;   /* largest mean intensity over threshold of all durations, from known rain */
    int duration_h; /* of that ratio; 0 when no window is complete or exceeds */
};

/* All windows of whole hours that end with rain_mm_h[count - 1] and lie within the range of the
 * curve and of the series. */
struct landslide_exceedance landslide_exceeds(const struct landslide_threshold *threshold,
                                              const double *rain_mm_h, size_t count);

/* The limits of a curve, mm/h, for durations of 1, 2, ... `room` hours: ret_mm_h[h - 1]. */
void landslide_limits(const struct landslide_threshold *threshold, double *ret_mm_h, size_t room);
/* The same as landslide_exceeds() with limits made before, for many series. limit_mm_h has room for
 * `count` or for the longest duration of the curve, whichever is less. */
struct landslide_exceedance landslide_exceeds_limits(const struct landslide_threshold *threshold,
                                                     const double *limit_mm_h,
                                                     const double *rain_mm_h, size_t count);

/* API = sum of factor^i P(t - i) over daily rain, i from 0 until factor^i < 0.01 (Kohler and
 * Linsley 1951). NaN when a day in that window is missing or the series is shorter. 0 < factor < 1,
 * usually 0.84 to 0.90. */
double landslide_api_mm(const double *rain_mm_day, size_t count, double factor);

/* Article 46. `rules` is risk_levels.csv; only rows of the hazard flash_flood_landslide, the zone
 * and the susceptibility ("low", "medium", "high", "very_high") count. */
struct landslide_class {
    int level;          /* risk level reached by what is known, 0 for none */
    bool may_be_higher; /* rain is missing */
    bool literal;       /* the ranges of a clause hold as written; false when only a lower class is
                           exceeded       beyond its upper bounds, which the text leaves open
                           (provisional) */
    char rule_id[TABLE_NAME_MAX]; /* "" for level 0 */
};

/* The rules of a zone, read once for many series. */
enum { LANDSLIDE_RULES_MAX = 64 };
struct landslide_bounds {
    double min, max; /* NaN: open */
    bool min_in, max_in;
};
struct landslide_rule {
    int level;
    char rule_id[TABLE_NAME_MAX];
    char susceptibility[TABLE_NAME_MAX]; /* "high|very_high"; empty: every one */
    struct landslide_bounds rain, prior;
};
struct landslide_rules {
    size_t count;
    struct landslide_rule rule[LANDSLIDE_RULES_MAX];
};
/* ERR_NOT_FOUND when the table has no rule for the zone, ERR_LIMIT, and the errors of models/table.
 */
int landslide_rules_read(const struct table *table, const char *zone,
                         struct landslide_rules *ret_rules, struct err *ret_err);
/* The highest level that the zone has for a susceptibility, 0 for none. */
int landslide_highest(const struct landslide_rules *rules, const char *susceptibility);
/* As landslide_article_46(). ERR_INVALID with fewer than 24 h. */
int landslide_judge(const struct landslide_rules *rules, const char *susceptibility,
                    const double *rain_mm_h, size_t count, double rain_day_mm,
                    struct landslide_class *ret_class, struct err *ret_err);

/* rain_mm_h: hourly, the newest last; the day is the last 24 h, the days before are full 24 h
 * windows before it. A day counts as a rain day from rain_day_mm on (the Decision does not say how
 * much that is). The errors of the two above. */
int landslide_article_46(const struct table *rules, const char *zone, const char *susceptibility,
                         const double *rain_mm_h, size_t count, double rain_day_mm,
                         struct landslide_class *ret_class, struct err *ret_err);

#endif
