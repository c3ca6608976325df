/* Rain over areas: mean, maximum and covered share, now, over windows, and ahead.
 *
 * A frame at time t stands for the interval (t - step, t]. The reference time is the newest frame.
 * The slots of a window are reference - i * step, i = 0 .. window / step - 1; a slot without frame
 * is missing, not dry. Per area, over the cells it covers with w = covered ground area of the cell:
 *
 *   rate, window 0    mean = sum w r / sum w over cells with data; max over cells with data;
 *                     covered = share of that area with r >= threshold
 *   window W          mean of r over the cell-slots with data, times W (mm): what is missing is
 *                     left out of the mean; max over cells that have data for the needed share
 *   coverage          share of the polygon (and of the slots) with data
 *   lead L            the window W ending at reference + L: the past W - L, and the forecast for
 * the rest. Without a forecast (areal_forecast): persistence, the newest rates go on probability p
 * of an ensemble (areal_member): the value that is reached or exceeded in at least that share of
 * the members; the coverage is their mean
 *
 * Coverage below the needed share: the value is NaN and the cause says so; of a window the lower
 * bound is told: what its data amount to with nothing where they are missing, over the whole
 * polygon (mean), in the wettest cell (max). With a forecast it is a bound if the forecast holds.
 * Thread rule: pure functions of their arguments. */
#ifndef CANHBAO_MODELS_AREAL_AREAL_H
#define CANHBAO_MODELS_AREAL_AREAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/areal/classes.h"
#include "models/grid/area.h"
#include "models/grid/env.h"
#include "models/grid/grid.h"
#include "models/grid/mask.h"

enum {
    AREAL_WINDOWS_MAX = 8,
    AREAL_LEADS_MAX = 16,
    AREAL_PROBABILITIES_MAX = 8,
    AREAL_TOGETHER = 4, /* members that may be given by turns */
    AREAL_CAUSE_SIZE = 96,
    AREAL_SLOTS_MAX = 20000
};

struct areal_options {
    int64_t step_s;
    size_t window_count;
    int64_t window_s[AREAL_WINDOWS_MAX]; /* ascending multiples of the step */
    size_t lead_count;
    int64_t lead_s[AREAL_LEADS_MAX]; /* ascending multiples of the step */
    size_t member_count;             /* of the ensemble that will be given; 0: none */
    size_t probability_count;
    double probability[AREAL_PROBABILITIES_MAX]; /* ascending, in (0, 1]; used with members */
    double threshold_mm_h;
    double min_coverage; /* 0 to 1 */
};

struct areal_result {
    const char *area; /* id, owned by the area list */
    const char *variable;
    const char *unit;
    int64_t window_s;
    int64_t lead_s;
    double value;       /* NaN: unknown */
    double at_least;    /* of an unknown one: not below this, > 0; NaN: nothing is known of it */
    double coverage;    /* 0 to 1 */
    double probability; /* NaN: not of an ensemble */
    char cause[AREAL_CAUSE_SIZE];
};

struct areal;

/* Masks of all areas on the grid and room for the sums. An area that the projection cannot place
 * stays, with that as its cause. `classes` are those that were appended to the areas; NULL: all are
 * polygons. The areas must outlive it. ERR_INVALID: windows or step. */
int areal_create(struct grid_env *env, const struct grid *grid, const struct area_list *areas,
                 const struct classes *classes, const struct areal_options *options,
                 struct areal **ret_areal, struct err *ret_err);
void areal_destroy(struct areal *areal);

/* Adds the frame of a slot (0: the newest), [rows * columns] in mm h-1, NaN missing. Each slot
 * once. ERR_RANGE names a negative rate. */
int areal_add(struct areal *areal, size_t slot, const double *rate_mm_h, struct err *ret_err);

/* Takes the forecast fields of one run, step by step: step k = 1 .. areal_steps_ahead stands for
 * the interval up to k steps after the reference time; [rows * columns] in mm h-1, NaN missing.
 * After all observed frames. The one without members first; each member 0 .. member_count - 1 once,
 * its steps in their order. Up to AREAL_TOGETHER members that follow each other may come by turns,
 * step by step, and all their steps before the members after them. */
void areal_forecast(struct areal *areal, size_t step, const float *rate_mm_h);
void areal_member(struct areal *areal, size_t member, size_t step, const float *rate_mm_h);

/* There is no forecast, or only no members: those results are unknown for that reason. */
void areal_no_forecast(struct areal *areal, bool members_only, const char *cause);

/* Steps of the longest lead; 0: no leads. */
size_t areal_steps_ahead(const struct areal *areal);

/* The cells that any area covers, ascending: what else is in a frame does not matter. */
size_t areal_cells(const struct areal *areal, const size_t **ret_cells);

/* Slots that matter: frames older than that need not be read. */
size_t areal_slots(const struct areal *areal);

size_t areal_result_count(const struct areal *areal);

/* All results in a fixed order: areas as given, then lead, window, variable; then probabilities.
 * Members that were promised must have been given. ERR_MEMORY. */
int areal_finish(struct areal *areal, struct areal_result *ret_results, struct err *ret_err);

#endif
