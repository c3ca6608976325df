/* From the newest frames to the fields ahead: which frames, the motion and where it comes from, the
 * extrapolation, the ensemble. One path for all that forecast rain while it falls (`nowcast`, and
 * `areal` for its sums).
 *
 * Thread rule: as frames.h. */
#ifndef CANHBAO_NOWCAST_OUTLOOK_H
#define CANHBAO_NOWCAST_OUTLOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "models/nowcast/frames.h"
#include "models/nowcast/motion.h"

enum { OUTLOOK_NOTE_SIZE = 100 };

struct outlook {
    const char *model;     /* named in warnings on standard error */
    struct frames *frames; /* the caller's */
    int threads;
    int64_t reference_us;
    struct frames_pick pick;
    size_t newest;    /* frame that is carried on */
    double age_steps; /* of that frame at the reference time */
    bool nothing;     /* not a single valid pixel in the newest frames: all is missing */
    struct motion motion;
    char note[OUTLOOK_NOTE_SIZE]; /* on the motion: how old, whether smoothed; or empty */
};

/* Picks the frames before a time. A frame without a single value is no frame: the one before it is
 * taken as the newest, as long as frames_newest would have taken it. ERR_NOT_FOUND: no frame near
 * enough; ERR_MEMORY; or what reading gave. outlook_finish also after an error. */
int outlook_begin(const char *model, struct frames *frames, int64_t reference_us, int threads,
                  struct outlook *ret_outlook, struct err *ret_err);
void outlook_finish(struct outlook *outlook);

/* The motion, by the chain of guidance.h; `motion_in` and `wind` may be NULL. One that is too old
 * or of later is told and left. What was found: motion.source and note. */
int outlook_find_motion(struct outlook *outlook, struct ncfile *motion_in, struct ncfile *wind,
                        struct err *ret_err);

/* Extrapolates: take gets the fields of 1, 2 ... leads steps after the reference time, mm/h, [ny *
 * nx], NaN missing; what it returns but 0 ends the run. Mosaics that repeat sweeps are corrected
 * (refresh.h). ERR_MEMORY, or what `take` returned or reading gave. */
int outlook_extrapolate(struct outlook *outlook, int leads,
                        int (*take)(void *context, int lead, const float *rate), void *context,
                        struct err *ret_err);

/* A STEPS ensemble (ensemble.h). Frees the frames: it comes last. Without text in ret_err: what
 * `take` returned. ERR_INVALID: fewer than two frames. */
struct outlook_members {
    int members;
    int leads;
    uint64_t seed;
    int (*take)(void *context, int member, int lead, const float *rate);
    void *context;
};
int outlook_members(struct outlook *outlook, const struct outlook_members *run);

#endif
