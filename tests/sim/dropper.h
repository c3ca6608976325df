/* Drops the scenario's frames into the inbox at their times. Thread rule: the loop's thread. */
#ifndef CANHBAO_SIM_DROPPER_H
#define CANHBAO_SIM_DROPPER_H

#include <uv.h>

#include "record.h"
#include "scenario.h"
#include "simclock.h"

struct dropper {
    uv_timer_t timer;
    struct scenario *scenario;
    const struct simclock *clock;
    struct record *truth;
    struct record *faults;
    const char *folder;
    int64_t next_us[FRAMES_PRODUCTS_MAX]; /* valid time of the next frame */
    bool running;
    bool failed; /* a frame could not be written; told on stderr */
    uint64_t dropped;
};

/* folder is needed when the scenario has frames. Frames whose drop time has passed are not made up
 * for. Everything given must outlive it. */
void dropper_start(struct dropper *dropper, uv_loop_t *loop, struct scenario *scenario,
                   const struct simclock *clock, const char *folder, struct record *truth,
                   struct record *faults);
void dropper_stop(struct dropper *dropper);

#endif
