/* The rain ahead of the newest frames, given to areal sums: the outlook of
 * models/nowcast/outlook.h, the very one that `nowcast` writes.
 *
 * Thread rule: one thread. */
#ifndef CANHBAO_MODELS_AREAL_AHEAD_H
#define CANHBAO_MODELS_AREAL_AHEAD_H

#include <stdint.h>

#include "models/areal/areal.h"
#include "models/nowcast/outlook.h"

struct ahead_run {
    struct frames *frames;
    int64_t reference_us;
    struct ncfile *motion_in; /* NULL: none, as wind */
    struct ncfile *wind;
    int members; /* 0: the extrapolation only */
    uint64_t seed;
    void (*progress)(void *context, size_t done, size_t all);
    void *context;
};

/* How the motion was found, for the manifest. */
struct ahead_motion {
    enum motion_source source;
    int vectors;
    char note[OUTLOOK_NOTE_SIZE];
    struct err left_out; /* why motion_in and wind could not be used; code 0: they could */
};

/* Gives all fields to the areal, or the reason why there are none: the newest frames have no value,
 * the grid is too small for motion; no members with a single frame. Bad guidance is left out: the
 * frame is not to blame for it. ERR_MEMORY, or what reading gave. */
int ahead_run(const struct ahead_run *run, struct areal *areal, struct ahead_motion *ret_motion,
              struct err *ret_err);

#endif
