/* One run of the flood model: readings and rain in, a forecast for every gauge out.
 *
 * Hours are full hours of UTC; the state ends with the last full hour at or before the time of the
 * run, which is the reference time and where the leads begin. The hour under way counts as far as
 * it has come: rain of lead hours comes from the gauges as far as they reach into the first hour,
 * then from the nowcast, then from the numerical forecast (the floors have what has fallen, too),
 * and updating starts from the stage at the time of the run (forecast.h, since_h). The state takes
 * the hour in as a whole once it is full, so nothing counts twice. An hour with
 * a part that none of them covers is unknown, and so is everything after it. Members: see
 * rain_members.h.
 *
 * Thread rule: pure functions of their arguments. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FLOOD_RUN_H
#define CANHBAO_MODELS_HYDROLOGY_FLOOD_RUN_H

#include "models/hydrology/flood_flow.h"
#include "models/hydrology/flood_skill.h"
#include "models/hydrology/forecast.h"
#include "models/hydrology/rain_grid.h"
#include "models/hydrology/samples.h"

enum {
    FLOOD_LEADS = 24,
    FLOOD_STATE_LAG_H = 6,      /* readings may come that late and still count */
    FLOOD_SPIN_UP_H = 720,      /* without a state nothing is settled before */
    FLOOD_PAST_MAX_H = 24 * 90, /* hours that one run catches up */
};

/* What the gauge shows and the model has for every hour of the past, oldest first. */
struct flood_past {
    double *observed_m3_s, *stage_m, *simulated_m3_s; /* [past_count]; NaN unknown */
};

struct flood_run {
    const struct flood_site *site;
    const struct samples *samples;
    const struct rain_grid *nowcast; /* NULL: none; basins in the order of the site */
    const struct rain_grid *nwp;     /* NULL: none */
    const char *product;
    int64_t now_us;
    int64_t reference_us;

    struct flood_state *state; /* at the reference time */
    struct flood_state *saved; /* FLOOD_STATE_LAG_H before, or as given when that is later */
    struct flood_skill skill[FLOOD_GAUGES_MAX];

    size_t past_count;
    int missing_h; /* hours of the past in which a basin had no rain */
    struct flood_past past[FLOOD_GAUGES_MAX];
    double rain_now_mm[FLOOD_BASINS_MAX]; /* of the last full hour; NaN unknown */
    double fallen_mm[FLOOD_BASINS_MAX];   /* since the reference time; NaN unknown */
    size_t since_count;
    double since_m3_s[FLOOD_GAUGES_MAX][FORECAST_SINCE_MAX]; /* at now_us, and hours before */

    size_t member_count;
    double *rain_mm;                     /* [member][basin][lead] */
    double *open_m3_s[FLOOD_GAUGES_MAX]; /* as forecast.h wants them, dry */
    double *wet_m3_s[FLOOD_GAUGES_MAX];
    bool open_doubt[FLOOD_GAUGES_MAX]; /* below a reach that was restarted */
    enum flood_release release[FLOOD_RESERVOIRS_MAX][FLOOD_LEADS];

    struct forecast_input input[FLOOD_GAUGES_MAX];
    struct forecast *forecast[FLOOD_GAUGES_MAX];
    json_t *scores;                   /* verifications of this run, flood_skill.h */
    bool disagrees[FLOOD_GAUGES_MAX]; /* the newest discharge lies outside the 90 % of the model */
};

/* `state` NULL: starts at the first full hour with rain of every basin. Takes the state over, also
 * on failure. Fills everything but what the caller set: site, samples, nowcast, nwp, product,
 * now_us, skill. ERR_INVALID: no full hour, a state of later than now, more than FLOOD_PAST_MAX_H
 * to catch up. */
int flood_run_forecast(struct flood_run *run, struct flood_state *state, struct err *ret_err);
void flood_run_finish(struct flood_run *run);

#endif
