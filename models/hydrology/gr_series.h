/* GR over a real series: missing steps, recovery, water balance, state files.
 *
 * A step without rain or evaporation has no runoff. The water that fell then is unknown, so from
 * the gap on two states are carried: a dry one (missing rain taken as 0, missing evaporation as
 * GR_GAP_EVAPORATION) and a wet one (GR_GAP_RAIN, 0). Runoff after the gap is that of the dry
 * state, marked "recovering", with the wet one beside it as upper value, until the gap no longer
 * matters: at least the length of the longer unit hydrograph has passed, the two runoffs differ by
 * at most 5 % + 0.001 mm and the two production stores by at most 2 % of X1. */
#ifndef CANHBAO_MODELS_HYDROLOGY_GR_SERIES_H
#define CANHBAO_MODELS_HYDROLOGY_GR_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "models/hydrology/gr.h"

/* Bounds for one lost step: 100 mm and 10 mm a day, 20 mm and 1 mm an hour. */
#define GR_GAP_RAIN_MM(step)        ((step) == GR_DAILY ? 100.0 : 20.0)
#define GR_GAP_EVAPORATION_MM(step) ((step) == GR_DAILY ? 10.0 : 1.0)

enum gr_mark { GR_OK, GR_MISSING, GR_RECOVERING };

struct gr_series {
    struct gr_state dry; /* the state; `wet` only counts while recovering */
    struct gr_state wet;
    bool recovering;
    int64_t steps_since_gap;
};

struct gr_balance {
    double rain_mm;
    double evaporation_mm;
    double exchange_mm;
    double runoff_mm;
    double assumed_mm; /* change of the dry state in missing steps: assumed, not known */
    int64_t missing_steps;
    int64_t recovering_steps;
    double residual_mm; /* rain - evaporation + exchange - runoff + assumed - storage change */
};

void gr_series_start(const struct gr *gr, struct gr_series *ret_series);

/* ret_high may be NULL; it gets the runoff of the wet state, equal to the result when not
 * recovering, NaN in a missing step. */
enum gr_mark gr_series_step(const struct gr *gr, struct gr_series *series, double rain_mm,
                            double evaporation_mm, struct gr_balance *balance,
                            double *ret_runoff_mm, double *ret_high_mm);

/* Runs `count` steps and fills the balance including its residual. */
void gr_series_run(const struct gr *gr, struct gr_series *series, const double *rain_mm,
                   const double *evaporation_mm, size_t count, double *ret_runoff_mm,
                   double *ret_high_mm, enum gr_mark *ret_marks, struct gr_balance *ret_balance);

/* State files: JSON, written to a temporary name and renamed; the same bits come back. Loading
 * refuses (ERR_CORRUPT, ERR_INVALID) another model, other parameters, another split, numbers that
 * cannot be a state. `utc_us` is the time of the last step in the state. */
int gr_series_save(const char *path, const struct gr *gr, const struct gr_series *series,
                   int64_t utc_us, struct err *ret_err);
int gr_series_load(const char *path, const struct gr *gr, struct gr_series *ret_series,
                   int64_t *ret_utc_us, struct err *ret_err);

/* One state as JSON, for files that hold several; the same bits come back. NULL: no memory.
 * Unpacking: ERR_CORRUPT for what cannot be a state of this model. */
json_t *gr_state_pack(const struct gr *gr, const struct gr_state *state);
int gr_state_unpack(const json_t *object, const struct gr *gr, struct gr_state *ret_state);

#endif
