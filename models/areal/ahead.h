/* The rain ahead of the newest frames, given to areal sums: motion, extrapolation, and an ensemble.
 *
 * The frames that the motion needs are kept as they are read. Thread rule: one thread. */
#ifndef CANHBAO_MODELS_AREAL_AHEAD_H
#define CANHBAO_MODELS_AREAL_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "models/areal/areal.h"
#include "models/nowcast/motion.h"

enum { AHEAD_FRAMES = 3 };

struct ahead {
    int64_t step_us;
    int count; /* frames that are wanted, newest first */
    int64_t utc_us[AHEAD_FRAMES];
    float *rate[AHEAD_FRAMES]; /* NULL: not (yet) read */
    enum motion_source source; /* of the motion; set by ahead_run */
    int vectors;
};

/* Chooses among the times of all frames (any order, sorted in place). */
void ahead_plan(int64_t *utc_us, size_t count, int64_t step_us, struct ahead *ret_ahead);

bool ahead_wants(const struct ahead *ahead, int64_t utc_us);

/* Keeps the frame if it is wanted: pixels in mm h-1, NaN missing. ERR_MEMORY. */
int ahead_keep(struct ahead *ahead, int64_t utc_us, const double *rate_mm_h, size_t pixels);

struct ahead_run {
    const struct grid *grid;
    int members; /* 0: the extrapolation only */
    uint64_t seed;
    void (*progress)(void *context, size_t done, size_t all);
    void *context;
};

/* Gives all fields to the areal, or the reason why there are none: the newest frame could not be
 * read, the grid is too small for motion; no members with a single frame (the rain then stays in
 * place, as source says). ERR_MEMORY. */
int ahead_run(struct ahead *ahead, const struct ahead_run *run, struct areal *areal,
              struct err *ret_err);

void ahead_finish(struct ahead *ahead);

#endif
