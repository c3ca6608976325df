/* A distributed run that goes on: rain frames in as they come, out flash-flood guidance and a
 * forecast to 24 h for every cell, from a state that the next run starts from.
 *
 * Steps lie on a fixed grid of UTC. The state ends with the last whole step that frames cover,
 * which is the reference time; what has been observed of the next step counts in the forecast's
 * first step. Rain ahead: frames, then nowcast, then numerical forecast, place by place; members as
 * in rain_members.h; beside them always no more rain, and the rain of the last hour held on.
 *
 * The state that is saved is that of CREST_LIVE_LAG_H before the reference time (or as given when
 * that is later): frames that come late and out of order still count in the next run.
 *
 * Guidance (ffg_grid.h) is taken at every full hour of UTC and kept for CREST_LIVE_BACK_H hours.
 * The ratio of a duration D at lead L is the most that rain makes of it: over all full hours t that
 * have guidance with t > reference - D - 1 h and t + D <= reference + L, rain(t, t + D), fallen or
 * foreseen, over the guidance of t. A guidance below CREST_LIVE_FFG_MIN_MM counts as that. Of a
 * cell that FFG_GRID_CAP_MM do not bring to its threshold the guidance is that depth, so its ratio
 * is not too low. Guidance needs CREST_LIVE_BACK_H hours of known rain before it.
 *
 * Unknown stays unknown (NaN): missing rain makes a cell and all below it unknown, until the wave
 * has recovered from the gap (kinematic.h).
 * Thread rule: one thread per run; the result does not depend on `threads`. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CREST_LIVE_H
#define CANHBAO_MODELS_HYDROLOGY_CREST_LIVE_H

#include "models/hydrology/cell_rain.h"
#include "models/hydrology/crest_saved.h"
#include "models/hydrology/ffg_grid.h"

enum {
    CREST_LIVE_LEADS_H = 24,
    CREST_LIVE_BACK_H = 6,
    CREST_LIVE_SLOTS = CREST_LIVE_BACK_H + 1,
    CREST_LIVE_RAIN_H = CREST_LIVE_BACK_H + 1, /* a window may end up to an hour ago */
    CREST_LIVE_RATIO_LEADS = 4,
    CREST_LIVE_LAG_H = 2,
    CREST_LIVE_PAST_MAX_H = 240,
    CREST_LIVE_SETTLED_H = 240 /* without a state nothing is settled before */
};
#define CREST_LIVE_FFG_MIN_MM 1.0
extern const int crest_live_ratio_leads_h[CREST_LIVE_RATIO_LEADS]; /* 0 1 3 6 */

struct crest_live_state {
    int64_t end_us;                        /* 0: none */
    int64_t steps;                         /* since the start without a state */
    int64_t guidance_us[CREST_LIVE_SLOTS]; /* the newest first; 0: none */
    float *guidance_mm;                    /* [slot][duration][place] */
    float *rain_mm;                        /* [step of the last RAIN_H][place], the newest last */
};

struct crest_live {
    /* by the caller */
    struct crest_domain *domain;
    int64_t step_us; /* divides an hour */
    int threads;
    double threshold_unit_m3_s_km2;
    double evaporation_mm_day[12]; /* potential, January first */
    double rain_log_sigma;
    int64_t now_us;
    int64_t stale_us;                                 /* newest frame older than that: refused */
    const struct cell_rain *observed, *nowcast, *nwp; /* the last two may be NULL */
    bool forecast;                                    /* false: the past only */

    /* state as loaded, then of the reference time; crest_live_create() makes room */
    struct crest_live_state state;
    struct crest_saved saved;           /* the domain at the reference time */
    struct crest_live_state late_state; /* CREST_LIVE_LAG_H before, for the next run */
    struct crest_saved late_saved;

    /* results */
    size_t back_steps, ahead_steps;    /* of RAIN_H, of LEADS_H */
    int64_t reference_us, observed_us; /* end of the newest frame */
    int missing_steps;                 /* of this run's past, without all of the rain */
    size_t member_count;
    float *peak_m3_s; /* [member, then zero rain, persistence][lead hour][place]: highest flow of
                         the hour */
    float *ratio;     /* [member, then zero rain][lead of ratio_leads][duration][place] */
};

/* Room for the state. The fields by the caller are set but for the rain. ERR_RANGE, ERR_MEMORY. */
int crest_live_create(struct crest_live *live, struct err *ret_err);
void crest_live_finish(struct crest_live *live); /* not the domain and the rain */

/* Runs on to the reference time, and ahead. ERR_INVALID: no rain and no state, rain that is stale,
 * a state of later than the rain, more than CREST_LIVE_PAST_MAX_H to catch up; ERR_MEMORY. */
int crest_live_run(struct crest_live *live, struct err *ret_err);

#endif
