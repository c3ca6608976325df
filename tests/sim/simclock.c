#include "simclock.h"

#include <math.h>
#include <time.h>

enum { PAIR_TRIES = 10, PAIR_GOOD_US = 20 };

static int64_t read_us(clockid_t id) {
    struct timespec now;
    (void)clock_gettime(id, &now); /* cannot fail: both ids exist on every Linux */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t simclock_real_us(void) {
    return read_us(CLOCK_REALTIME);
}

void simclock_init(struct simclock *clock, int64_t start_us, int64_t anchor_us, double speed) {
    clock->start_us = start_us;
    clock->anchor_us = anchor_us;
    clock->speed = speed;
    /* Of several readings the one that took least: a lost core between the two clocks would shift
     * this one. */
    int64_t shortest_us = INT64_MAX;
    for (int i = 0; i < PAIR_TRIES && shortest_us > PAIR_GOOD_US; i++) {
        int64_t before_us = read_us(CLOCK_MONOTONIC);
        int64_t utc_us = simclock_real_us();
        int64_t took_us = read_us(CLOCK_MONOTONIC) - before_us;
        if (took_us < shortest_us) {
            shortest_us = took_us;
            clock->anchor_mono_us = before_us + took_us / 2 - (utc_us - anchor_us);
        }
    }
}

int64_t simclock_now_us(const struct simclock *clock) {
    double real_us = (double)(read_us(CLOCK_MONOTONIC) - clock->anchor_mono_us);
    return clock->start_us + (int64_t)(real_us * clock->speed);
}

uint64_t simclock_until_ms(const struct simclock *clock, int64_t t_us) {
    double scenario_us = (double)(t_us - simclock_now_us(clock));
    return scenario_us <= 0 ? 0 : (uint64_t)ceil(scenario_us / clock->speed / 1000.0);
}
