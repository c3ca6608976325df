/* Time. Two types that cannot be mixed: a monotonic instant for ages and intervals, a UTC instant
 * for stamps. A `struct moment` holds both, taken together.
 *
 * The clock is injected everywhere. Three kinds:
 *   real     CLOCK_BOOTTIME and CLOCK_REALTIME
 *   scaled   drills: scenario time runs `scale` times as fast; at the real UTC instant `anchor` it
 *            stood at `start`. Every process of a drill that is given the same three values agrees.
 *   virtual  tests: moves only by clock_advance()
 *
 * Scaled time is for schedules, windows, ages and stamps. Waiting for a peer on a wire (request
 * deadline, reconnect pause) is real time under every scale: a device does not answer 360 times as
 * fast in a drill. clock_wire() serves those; with a virtual clock it is the virtual time too.
 *
 * Thread rule: reading a clock is safe from any thread; advancing a virtual one is not. */
#ifndef CANHBAO_BASE_CLOCK_H
#define CANHBAO_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct mono_us {
    int64_t us; /* since an arbitrary origin; never goes back */
};

struct utc_us {
    int64_t us; /* since 1970-01-01T00:00:00Z, without leap seconds */
};

struct moment {
    struct mono_us mono;
    struct utc_us utc;
};

struct clock;

int clock_create_real(struct clock **ret_clock);
/* scale >= 1. The anchor may lie up to a day in the past or future. */
int clock_create_scaled(double scale, struct utc_us start, struct utc_us anchor,
                        struct clock **ret_clock);
/* Sleeps until the wall clock reads `anchor`; at once when it is past or more than a day ahead
 * (which clock_create_scaled() refuses). Readings from before a drill's start would be stamped with
 * times that its scenario does not have. */
void clock_wait_for_anchor(struct utc_us anchor);
int clock_create_virtual(struct utc_us start, struct clock **ret_clock);
struct clock *clock_destroy(struct clock *clock); /* NULL is fine; returns NULL */

/* Scenario time, both parts taken at one instant. */
struct moment clock_now(const struct clock *clock);
/* Its monotonic part alone; half the cost. */
struct mono_us clock_mono(const struct clock *clock);
/* Real monotonic time for waiting on wires (see above). */
struct mono_us clock_wire(const struct clock *clock);
/* Real microseconds that pass while `us` of scenario time do. */
int64_t clock_real_us(const struct clock *clock, int64_t us);
double clock_scale(const struct clock *clock);
bool clock_is_virtual(const struct clock *clock);

/* Wall-clock steps: compares how far UTC and monotonic time moved since the last call and returns
 * the difference in microseconds (0 when below `tolerance_us`). Call about once a second. */
int64_t clock_take_step(struct clock *clock, int64_t tolerance_us);

/* Virtual clocks only. advance: both parts move. step_utc: only UTC moves (a test of a set clock).
 */
void clock_advance(struct clock *clock, int64_t us);
void clock_step_utc(struct clock *clock, int64_t us);

#endif
