/* Is a rise of the ambient dose rate natural? Rain washes the short-lived progeny of radon to the
 * ground; the dose rate rises with it and falls with the half-lives of Pb-214 and Bi-214.
 *
 * Baseline: median of a day of dry readings, scatter from their median absolute deviation, for
 * means over several readings too. Washout: k times the square root of the rain intensity, folded
 * with the decay (Bottardi et al. 2020; half-lives 26.8 and 19.9 min). k differs from rain to rain,
 * and so does the ratio of the nuclides: both have a prior and are learned as the rain goes on, but
 * only from readings older than WASHOUT_LAG_S that were not themselves in question, and k only
 * while it rains, so that a release is neither learned as rain nor does one that stays follow the
 * decay.
 *
 * An alarm is a residual (dose rate - baseline - washout) above `significance` times its scatter,
 * or a step faster than rain can bring, or a dose rate at or above the ceiling, whatever the rest
 * says. Held back, and said to be rain, is only what the model of fresh rain data explains, or a
 * rise within 3 h of rain that falls with a half-life below 60 min while no neighbour rises.
 * Without fresh rain data nothing is taken off and nothing held back.
 *
 * Sources: rule and kernel, Bottardi et al. (2020); size of rises in rain, five stations of RadNet
 * 2017-2025 (prior of k: median 7, 1 % above 60 nSv/h per square root of mm/h). Thread rule: one
 * washout, one thread; no clock. */
#ifndef CANHBAO_MODELS_RADIATION_WASHOUT_H
#define CANHBAO_MODELS_RADIATION_WASHOUT_H

#include <stdint.h>

#include "daemon/base/err.h"

#define WASHOUT_LAG_S    600.0
#define WASHOUT_RECENT_S 10800.0 /* rain so long ago still counts */
#define WASHOUT_WET      0.5 /* mm/h: drizzle below brings no more than the scatter of a background */
#define WASHOUT_LOWEST   15.0   /* nSv/h: no outdoor background is below; another unit is meant */
#define WASHOUT_CEILING  400.0  /* nSv/h, absolute alarm of Finland (radiation_levels al-fi-1) */
#define WASHOUT_RAIN_AGE 900.0  /* s */
#define WASHOUT_NEEDED_S 7200.0 /* dry readings that make a baseline */

struct washout_options {
    double ceiling_nsv_h;
    double rain_max_age_s; /* rain data older than that are not known */
    double significance;   /* 5 */
    double step_s;         /* usual distance of readings: sizes the memory; 1 s to 2 h */
};
extern const struct washout_options washout_options_default; /* step_s 60 */

struct washout_input {
    int64_t utc_us; /* ascending */
    double dose_nsv_h;
    double rain_mm_h;     /* mean since the reading before; NaN: not known */
    double neighbours_up; /* stations downwind that rise unexplained; NaN: not known */
};

enum washout_state { WASHOUT_UNKNOWN, WASHOUT_NORMAL, WASHOUT_RAIN, WASHOUT_ALARM };

enum washout_why {
    WASHOUT_WHY_NONE,
    WASHOUT_WHY_NO_READING,
    WASHOUT_WHY_NO_BASELINE,
    WASHOUT_WHY_EXPLAINED,
    WASHOUT_WHY_DECAYS,
    WASHOUT_WHY_CEILING,
    WASHOUT_WHY_STALE_RAIN,
    WASHOUT_WHY_DRY,
    WASHOUT_WHY_BEYOND_RAIN,
    WASHOUT_WHY_STEP,
    WASHOUT_WHY_STAYS,
    WASHOUT_WHY_NEIGHBOURS
};

struct washout_output { /* NaN where not known */
    enum washout_state state;
    enum washout_why why;
    double baseline_nsv_h, sigma_nsv_h;     /* of one reading */
    double washout_nsv_h, washout_sd_nsv_h; /* NaN: no fresh rain data */
    double residual_nsv_h;                  /* without fresh rain data nothing is taken off */
    double significance;                    /* largest over the windows and the step */
};

struct washout;

/* ERR_RANGE, ERR_MEMORY. */
int washout_create(const struct washout_options *options, struct washout **ret_washout,
                   struct err *ret_err);
struct washout *washout_destroy(struct washout *washout);

/* ERR_RANGE: a dose rate or rain below 0 or infinite, a time not after the one before, or a
 * baseline below WASHOUT_LOWEST (the readings are then not in nSv/h). */
int washout_step(struct washout *washout, const struct washout_input *input,
                 struct washout_output *ret_output, struct err *ret_err);

const char *washout_state_name(enum washout_state state);
const char *washout_why_text(enum washout_why why);

#endif
