/* Landslide indicators of every cell that has a susceptibility, from rain as it comes: hourly sums
 * of SLOPES_HOURS hours are kept from run to run; rain to come in members as rain_members.h tells.
 *
 * What is saved ends SLOPES_LAG_H before the reference time (or as given when that is later):
 * frames that come late and out of order still count in the next run.
 *
 * At lead L the series of a cell ends L hours after the reference time, the last full hour that
 * frames cover; what has been observed since counts in the hour that runs. Missing rain counts as
 * at least 0: it can confirm a class, never clear one (landslide.h), so a cell whose class may be
 * higher is unknown above the class that it has.
 *
 * Thread rule: one thread per run. */
#ifndef CANHBAO_MODELS_LANDSLIDE_SLOPES_H
#define CANHBAO_MODELS_LANDSLIDE_SLOPES_H

#include "models/hydrology/cell_rain.h"
#include "models/landslide/landslide.h"

enum {
    SLOPES_HOURS = 720, /* 30 days: what the antecedent index looks back */
    SLOPES_LAG_H = 2,
    SLOPES_AHEAD_H = 24,
    SLOPES_LEADS = 5,
    SLOPES_LEVELS = 3,
    SLOPES_CURVES_MAX = 5
};
extern const int slopes_leads_h[SLOPES_LEADS]; /* 0 3 6 12 24 */

/* Of a cell at a lead with a member. */
struct slopes_cell {
    float ratio;      /* largest intensity over threshold of all curves, from known rain */
    int8_t level;     /* reached by what is known */
    int8_t may_reach; /* above `level` when rain is missing: the highest class of the zone for the
                         susceptibility */
    bool ratio_open;  /* below 1, and may be higher */
};

struct slopes {
    /* by the caller */
    size_t place_count;
    const uint8_t *susceptibility; /* [place] 1 low to 4 very high */
    struct landslide_rules rules;
    size_t curve_count;
    struct landslide_threshold curves[SLOPES_CURVES_MAX];
    double api_factor, rain_day_mm, rain_log_sigma;
    int64_t now_us, stale_us;
    const struct cell_rain *observed;               /* frames later than the state */
    const struct cell_rain *before, *nowcast, *nwp; /* may be NULL; before the first frame */

    /* state as loaded, then of the reference time */
    int64_t end_us;  /* 0: none */
    float *rain_mm;  /* [SLOPES_HOURS][place], the newest hour last; NaN unknown */
    int64_t late_us; /* the same for the next run */
    float *late_rain_mm;

    /* results */
    int64_t reference_us, observed_us;
    size_t member_count;
    struct slopes_cell *cells; /* [lead][member][place]; lead 0 has the member 0 only, alike where
                                  there are no members */
    float *api_mm;             /* [place] at the reference time; NaN unknown */
};

/* Room for the state, of hours that are not known. ERR_MEMORY. */
int slopes_create(struct slopes *slopes, struct err *ret_err);
void slopes_finish(struct slopes *slopes); /* not what the caller set */

/* ERR_INVALID: no rain and no state, rain that is stale, a state of later than the rain, more than
 * SLOPES_HOURS to catch up; ERR_MEMORY. */
int slopes_run(struct slopes *slopes, struct err *ret_err);

const struct slopes_cell *slopes_at(const struct slopes *slopes, size_t lead, size_t member);

/* NetCDF: hourly sums, after a run those that the next one starts from. It belongs to the cells of
 * one susceptibility grid, told by its hash. As crest_state.h. */
int slopes_save(const char *path, const struct slopes *slopes, const char *identity,
                struct err *ret_err);
int slopes_load(const char *path, struct slopes *slopes, const char *identity, struct err *ret_err);

#endif
