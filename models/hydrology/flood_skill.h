/* How good the flood forecasts of each gauge have been, kept up as they are verified.
 *
 * Per lead, of the median discharge against what the gauge then showed: NSE, KGE, persistence
 * index. Per flood that passed the lowest alarm level, of the forecast issued so many hours before
 * the observed peak: error of the peak stage and of its time. Per alarm level: a warning stands
 * from the first of an unbroken row of forecasts that give at least FLOOD_WARNING for reaching the
 * level while the stage is below it. The stage rises to the level: a hit with the time since then
 * as lead time, or a miss when no warning stood, also when there was no forecast. A warning that is
 * taken back before that: a false alarm. A stage that falls to a level counts for nothing.
 *
 * Plain data; sums only, so it never grows. Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FLOOD_SKILL_H
#define CANHBAO_MODELS_HYDROLOGY_FLOOD_SKILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "daemon/base/err.h"

#define FLOOD_WARNING 0.5
enum {
    FLOOD_SKILL_LEADS = 6,
    FLOOD_SKILL_ISSUES = 49, /* hours that an issue is remembered, and the newest */
    FLOOD_SKILL_LEVELS = 3
};
extern const int flood_skill_leads_h[FLOOD_SKILL_LEADS]; /* 1 3 6 12 18 24 */

struct flood_skill_lead {
    double n, o, oo, f, ff, of, error, persistence; /* sums; the last two of squares */
    double peaks, peak_error_m, peak_abs_m, time_error_h, time_abs_h;
};

struct flood_skill_level {
    double hits, misses, false_alarms, lead_h; /* the last: sum over the hits */
    double blind;                              /* of the misses: without any forecast */
    bool known, above;                         /* at the newest known stage */
    int64_t warned_us;                         /* issue of the first forecast; 0: no warning */
    int64_t forecast_us;                       /* newest issue that knew a probability; 0: none */
};

struct flood_issue {
    int64_t issue_us; /* 0: none */
    double observed_m3_s;
    double median_m3_s[FLOOD_SKILL_LEADS];
    double peak_m;
    int64_t peak_us;
};

struct flood_skill {
    int64_t until_us; /* verified up to here; 0: nothing yet */
    struct flood_skill_lead lead[FLOOD_SKILL_LEADS];
    struct flood_skill_level level[FLOOD_SKILL_LEVELS];
    struct flood_issue issue[FLOOD_SKILL_ISSUES]; /* by hour of issue, round and round */
    double crest_m;                               /* of the flood that runs; NaN: none */
    int64_t crest_us;
};

/* Where the single verifications go besides the sums: rows of the member "scores" that the daemon
 * pools, {product, system, place, variable, unit, lead_s, threshold, valid_time, sums: {...}}. */
struct flood_scores {
    json_t *rows; /* a list; NULL: nowhere */
    const char *product, *place;
    const double *levels_m;
    size_t level_count;
};

void flood_skill_start(struct flood_skill *ret_skill);

/* The hour that ends at utc_us, each once, ascending. NaN: not known, verifies nothing. */
void flood_skill_observe(struct flood_skill *skill, int64_t utc_us, double observed_m3_s,
                         double stage_m, const struct flood_scores *to);

/* The forecast made at that time, after its hour was observed. Of several of one hour the first
 * that knows anything counts: the later ones have seen some of what they tell. probability: of
 * reaching each level within the horizon, NaN unknown (then no warning stands). */
void flood_skill_issue(struct flood_skill *skill, const struct flood_issue *issue,
                       const double *probability, const struct flood_scores *to);

/* [{place, variable, lead_s, score, value, n}]: scores nse, kge, persistence_index, peak_bias,
 * peak_mae (m), peak_time_bias, peak_time_mae (h); per level pod, far, csi, hits, misses,
 * false_alarms, lead_time_h. Only what has a value. NULL: no memory. */
json_t *flood_skill_scores(const struct flood_skill *skill, const char *place, size_t level_count);

/* In the state file. Loading: ERR_CORRUPT. */
json_t *flood_skill_pack(const struct flood_skill *skill);
int flood_skill_unpack(const json_t *object, struct flood_skill *ret_skill);

#endif
