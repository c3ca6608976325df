#include "simclock.h"

#include <math.h>
#include <time.h>

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
    clock->anchor_mono_us = read_us(CLOCK_MONOTONIC) - (simclock_real_us() - anchor_us);
}

int64_t simclock_now_us(const struct simclock *clock) {
    double real_us = (double)(read_us(CLOCK_MONOTONIC) - clock->anchor_mono_us);
    return clock->start_us + (int64_t)(real_us * clock->speed);
}

uint64_t simclock_until_ms(const struct simclock *clock, int64_t t_us) {
    double scenario_us = (double)(t_us - simclock_now_us(clock));
    return scenario_us <= 0 ? 0 : (uint64_t)ceil(scenario_us / clock->speed / 1000.0);
}
