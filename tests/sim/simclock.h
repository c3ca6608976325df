/* Scenario time: start + (real - anchor) x speed.
 *
 * The anchor is the real UTC instant at which the scenario reads `start`, so that another program
 * given the same three values agrees. The real clock is read once, at simclock_init(); after that
 * only the monotonic clock is used, so a step of the wall clock does not move the scenario.
 * Times are UTC microseconds since 1970. Thread rule: read-only after init. */
#ifndef CANHBAO_SIM_SIMCLOCK_H
#define CANHBAO_SIM_SIMCLOCK_H

#include <stdint.h>

struct simclock {
    int64_t start_us;       /* scenario time at the anchor */
    int64_t anchor_us;      /* real UTC of the anchor */
    int64_t anchor_mono_us; /* the same instant on the monotonic clock; may be negative */
    double speed;           /* scenario seconds a real second, > 0 */
};

/* Real UTC now, microseconds. */
int64_t simclock_real_us(void);

void simclock_init(struct simclock *clock, int64_t start_us, int64_t anchor_us, double speed);

/* Scenario time now. Before the anchor it is earlier than `start`. */
int64_t simclock_now_us(const struct simclock *clock);

/* Real milliseconds, rounded up, until the scenario reads t_us; 0 when it already does. */
uint64_t simclock_until_ms(const struct simclock *clock, int64_t t_us);

#endif
