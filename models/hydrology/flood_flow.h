/* The rivers of a site, hour by hour: runoff of every basin, reservoirs, reaches, flow at every
 * node.
 *
 * A missing hour of rain does not stop the model: from then on two views are carried, a dry one
 * (missing rain taken as 0) and a wet one (GR_GAP_RAIN_MM), until they agree again: every
 * production store within 2 % of X1 and every node within FLOOD_AGREEMENT, the longest unit
 * hydrograph after the last gap. What they disagree on is not known.
 * An unknown release makes everything below the reservoir unknown (NaN); when it is known again
 * the reach below starts from a steady flow and is in doubt for three travel times.
 *
 * Thread rule: pure functions; a state belongs to one thread. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FLOOD_FLOW_H
#define CANHBAO_MODELS_HYDROLOGY_FLOOD_FLOW_H

#include "models/hydrology/flood_site.h"

#define FLOOD_AGREEMENT 0.05
enum { FLOOD_HELD_MAX_H = 3 }; /* a gauged release is held on from one at most that old */

enum flood_release {
    FLOOD_RELEASE_GAUGED,
    FLOOD_RELEASE_SCHEDULE,
    FLOOD_RELEASE_RULE,
    FLOOD_RELEASE_HELD,
    FLOOD_RELEASE_UNKNOWN
};

struct flood_view {
    struct gr_state gr[FLOOD_BASINS_MAX];
    struct hbv_state hbv[FLOOD_BASINS_MAX];
    bool lost[FLOOD_BASINS_MAX]; /* an hour without rain in a forecast: unknown from then on */
    struct cunge_piece *pieces;  /* of all reaches, one after the other */
    bool running[FLOOD_REACHES_MAX];
    double doubt_h[FLOOD_REACHES_MAX]; /* hours until a restarted reach is believed */
    double volume_m3[FLOOD_RESERVOIRS_MAX];
    enum flood_release release[FLOOD_RESERVOIRS_MAX]; /* of the newest hour */
};

struct flood_state {
    int64_t end_us; /* of the last hour in it */
    int64_t hours;  /* since the start without a state */
    bool recovering;
    int64_t hours_since_gap;
    struct flood_view dry, wet;             /* wet counts only while recovering */
    double held_m3_s[FLOOD_RESERVOIRS_MAX]; /* newest gauged release; NaN none */
    int64_t held_age_h[FLOOD_RESERVOIRS_MAX];
    struct cunge_piece *pieces; /* owned: of both views */
};

/* What one hour brings. */
struct flood_hour {
    int64_t start_us;
    bool future; /* missing rain: unknown; else: both views go on */
    double rain_mm[FLOOD_BASINS_MAX];
    double release_m3_s[FLOOD_RESERVOIRS_MAX]; /* gauged; NaN none */
};

/* Flows of an hour by node, m3/s; NaN unknown. `doubt`: below a restarted reach. */
struct flood_flows {
    double dry_m3_s[FLOOD_NODES_MAX], wet_m3_s[FLOOD_NODES_MAX];
    bool doubt[FLOOD_NODES_MAX];
};

/* The start without a saved state: stores at the shares of the site, steady reaches. */
int flood_state_create(const struct flood_site *site, int64_t start_us,
                       struct flood_state **ret_state, struct err *ret_err);
struct flood_state *flood_state_destroy(struct flood_state *state);
/* Both of the same site. */
void flood_state_copy(const struct flood_site *site, struct flood_state *ret_state,
                      const struct flood_state *state);

/* The hour that begins at state->end_us. */
void flood_step(const struct flood_site *site, struct flood_state *state,
                const struct flood_hour *hour, struct flood_flows *ret_flows);

/* All water of a view: basins, reaches, reservoirs, m3. For balances. */
double flood_stored_m3(const struct flood_site *site, const struct flood_view *view);

const char *flood_release_name(enum flood_release release);

#endif
