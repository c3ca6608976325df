/* Stage and discharge of one gauge, hours ahead.
 *
 * What the model says for each rain member is updated from the gauge (update.h), and is spread by
 * the RESIDUAL_QUANTILES errors that such forecasts had in past years (residual.h). One quantile is
 * kept through all leads, so member and quantile make one path; bands, probabilities, peaks and
 * first crossings are counted over all paths. Rain and model error are taken as independent. Stage
 * comes from the discharge of a path by the rating curve; the error of the curve is left out,
 * because the gauge's discharge comes from its stage by the same curve.
 *
 * The zero-rain and the persistence member are run too and shown beside the bands, undressed; they
 * are no part of them.
 *
 * Unknown stays unknown: from the first step that a member is not known for, bands and
 * probabilities are unknown, whatever the others say. While the state recovers from a gap in the
 * rain, there are members from the dry and from the wet state (gr_series.h): the lower quantiles
 * are those of the dry, the upper those of the wet, median and probabilities are unknown unless
 * both agree within 5 %.
 *
 * Thread rule: pure function. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FORECAST_H
#define CANHBAO_MODELS_HYDROLOGY_FORECAST_H

#include <stdbool.h>
#include <stddef.h>

#include "models/hydrology/gr_series.h"
#include "models/hydrology/rating.h"
#include "models/hydrology/residual.h"
#include "models/hydrology/update.h"

enum {
    FORECAST_LEADS_MAX = 72,
    FORECAST_MEMBERS_MAX = 200,
    FORECAST_LEVELS_MAX = 3,
    FORECAST_QUANTILES = 5,
    FORECAST_CAUSE_SIZE = 96,
    FORECAST_SINCE_MAX = 4,
};
extern const double forecast_quantiles[FORECAST_QUANTILES]; /* 0.05 0.25 0.5 0.75 0.95 */

/* The model's answer to rain, without updating, m3/s: [member_count + 2][leads]; behind the members
 * that without rain and that with the rain of the newest hour held on. From the first hour that it
 * cannot know a member is NaN to the end. */
struct forecast_input {
    const double *flow_m3_s;
    const double *wet_flow_m3_s; /* while recovering from a gap in the rain; else NULL */
    size_t past_count;
    const double *observed_m3_s;  /* [past_count], newest last; NaN missing */
    const double *simulated_m3_s; /* [past_count] */
    /* The gauge since_h (0 to 1, exclusive) after the newest hour, and each hour before that,
     * newest last; since_count 0: not looked at. When the newest is known updating starts from it:
     * its error is taken against the simulation interpolated between the hours (the hour under way
     * from the member's own), and corrections of whole hours from then on are interpolated back to
     * the leads. */
    double since_h;
    size_t since_count; /* at most FORECAST_SINCE_MAX, and past_count */
    const double *since_observed_m3_s;
    int leads;           /* hours */
    size_t member_count; /* 0: no rain forecast */
    const struct update_model *update;
    const struct residual *residual;
    const struct rating *rating; /* NULL: no stage */
    size_t level_count;
    double levels[FORECAST_LEVELS_MAX]; /* rising; m with a rating, else m3/s */
};

struct forecast_lead {
    double flow_m3_s[FORECAST_QUANTILES];
    double stage_m[FORECAST_QUANTILES];  /* NaN under the lowest gauging too */
    bool extrapolated;                   /* some of it above the highest gauging */
    double above[FORECAST_LEVELS_MAX];   /* probability of each level at this lead */
    double reached[FORECAST_LEVELS_MAX]; /* and at this lead or before */
    double zero_m3_s, persistence_m3_s;
    double zero_m, persistence_m;
    char cause[FORECAST_CAUSE_SIZE]; /* why something of the bands is unknown; "" */
};

struct forecast_level {
    bool now;                         /* the newest observation is at or above it */
    double probability;               /* of reaching it within the horizon; NaN unknown */
    double hours[FORECAST_QUANTILES]; /* to the first crossing, of the paths that cross; NaN none */
};

struct forecast {
    enum update_mark mark; /* of lead 1 */
    int age_h;             /* of the observation used for updating; -1: none */
    int horizon;           /* leads that all members have rain for */
    bool recovering;       /* from a gap in the rain */
    size_t path_count;
    struct forecast_lead lead[FORECAST_LEADS_MAX];
    struct forecast_level level[FORECAST_LEVELS_MAX];
    double peak_m3_s[FORECAST_QUANTILES]; /* within the horizon; NaN without one */
    double peak_h[FORECAST_QUANTILES];
    double peak_at_end;  /* share of paths still highest at the end of the horizon */
    double *member_m3_s; /* [member_count + 2][leads], updated, undressed; zero rain and persistence
                            last; while recovering from the dry state */
};

/* ERR_RANGE: leads, members, a level below the lowest gauging or not rising; ERR_MEMORY. */
int forecast_run(const struct forecast_input *input, struct forecast **ret_forecast,
                 struct err *ret_err);
/* Takes NULL. Returns NULL. */
struct forecast *forecast_destroy(struct forecast *forecast);

#endif
