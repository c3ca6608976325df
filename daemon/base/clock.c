#include "daemon/base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/base/err.h"

enum clock_kind { CLOCK_KIND_REAL, CLOCK_KIND_SCALED, CLOCK_KIND_VIRTUAL };
enum { PAIR_TRIES = 10, PAIR_GOOD_US = 20 };

static const int64_t us_per_day = INT64_C(86400) * 1000000;

struct clock {
    enum clock_kind kind;
    double scale;
    /* scaled: scenario time was `scenario_origin` when the monotonic clock stood at `wire_origin`
     */
    int64_t wire_origin_us;
    struct moment scenario_origin;
    /* virtual: atomic only so that reading from another thread is defined */
    _Atomic int64_t virtual_mono_us;
    _Atomic int64_t virtual_utc_us;
    struct moment step_base; /* of clock_take_step() */
};

static int64_t read_us(clockid_t id) {
    struct timespec now;
    /* Cannot fail for clocks that Linux always has. */
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Both clocks at one instant. A program that loses its core between two readings would see time
 * between them that never passed, so the pair that was read in the shortest time counts. */
static struct moment read_pair(void) {
    struct moment pair = {{0}, {0}};
    int64_t shortest_us = INT64_MAX;
    for (int i = 0; i < PAIR_TRIES && shortest_us > PAIR_GOOD_US; i++) {
        int64_t before_us = read_us(CLOCK_BOOTTIME);
        int64_t utc_us = read_us(CLOCK_REALTIME);
        int64_t took_us = read_us(CLOCK_BOOTTIME) - before_us;
        if (took_us < shortest_us) {
            shortest_us = took_us;
            pair = (struct moment){.mono = {before_us + took_us / 2}, .utc = {utc_us}};
        }
    }
    return pair;
}

static int create(enum clock_kind kind, struct clock **ret_clock) {
    struct clock *clock = calloc(1, sizeof(*clock));
    if (clock == NULL) {
        return ERR_MEMORY;
    }
    clock->kind = kind;
    clock->scale = 1;
    *ret_clock = clock;
    return 0;
}

int clock_create_real(struct clock **ret_clock) {
    struct clock *clock = NULL;
    int result = create(CLOCK_KIND_REAL, &clock);
    if (result < 0) {
        return result;
    }
    clock->step_base = read_pair();
    *ret_clock = clock;
    return 0;
}

void clock_wait_for_anchor(struct utc_us anchor) {
    struct timespec until = {.tv_sec = anchor.us / 1000000,
                             .tv_nsec = (anchor.us % 1000000) * 1000};
    if (anchor.us - read_us(CLOCK_REALTIME) > us_per_day || anchor.us < 0) {
        return;
    }
    /* A signal that does not end the process does not end the wait. */
    while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

int clock_create_scaled(double scale, struct utc_us start, struct utc_us anchor,
                        struct clock **ret_clock) {
    struct moment now = read_pair();
    int64_t since_anchor_us = now.utc.us - anchor.us;
    if (!(scale >= 1) || !(scale <= 1e6) || since_anchor_us > us_per_day ||
        since_anchor_us < -us_per_day) {
        return ERR_RANGE;
    }
    struct clock *clock = NULL;
    int result = create(CLOCK_KIND_SCALED, &clock);
    if (result < 0) {
        return result;
    }
    clock->scale = scale;
    clock->wire_origin_us = now.mono.us;
    /* The real UTC is looked at once: a step of the wall clock must not tear a drill. */
    clock->scenario_origin.utc.us = start.us + llround((double)since_anchor_us * scale);
    clock->scenario_origin.mono.us = clock->wire_origin_us;
    clock->step_base = clock_now(clock);
    *ret_clock = clock;
    return 0;
}

int clock_create_virtual(struct utc_us start, struct clock **ret_clock) {
    struct clock *clock = NULL;
    int result = create(CLOCK_KIND_VIRTUAL, &clock);
    if (result < 0) {
        return result;
    }
    clock->virtual_mono_us = 1000000; /* not 0, so that "never" and "at the origin" differ */
    clock->virtual_utc_us = start.us;
    clock->step_base = clock_now(clock);
    *ret_clock = clock;
    return 0;
}

struct clock *clock_destroy(struct clock *clock) {
    free(clock);
    return NULL;
}

struct moment clock_now(const struct clock *clock) {
    switch (clock->kind) {
    case CLOCK_KIND_SCALED: {
        int64_t passed_us =
            llround((double)(read_us(CLOCK_BOOTTIME) - clock->wire_origin_us) * clock->scale);
        return (struct moment){.mono = {clock->scenario_origin.mono.us + passed_us},
                               .utc = {clock->scenario_origin.utc.us + passed_us}};
    }
    case CLOCK_KIND_VIRTUAL:
        return (struct moment){.mono = {clock->virtual_mono_us}, .utc = {clock->virtual_utc_us}};
    case CLOCK_KIND_REAL:
        break;
    }
    return (struct moment){.mono = {read_us(CLOCK_BOOTTIME)}, .utc = {read_us(CLOCK_REALTIME)}};
}

struct mono_us clock_mono(const struct clock *clock) {
    return clock->kind == CLOCK_KIND_REAL ? (struct mono_us){read_us(CLOCK_BOOTTIME)}
                                          : clock_now(clock).mono;
}

struct mono_us clock_wire(const struct clock *clock) {
    return (struct mono_us){clock->kind == CLOCK_KIND_VIRTUAL ? clock->virtual_mono_us
                                                              : read_us(CLOCK_BOOTTIME)};
}

int64_t clock_real_us(const struct clock *clock, int64_t us) {
    return clock->scale == 1 ? us : (int64_t)ceil((double)us / clock->scale);
}

double clock_scale(const struct clock *clock) {
    return clock->scale;
}

bool clock_is_virtual(const struct clock *clock) {
    return clock->kind == CLOCK_KIND_VIRTUAL;
}

int64_t clock_take_step(struct clock *clock, int64_t tolerance_us) {
    struct moment now = clock->kind == CLOCK_KIND_REAL ? read_pair() : clock_now(clock);
    int64_t step_us =
        (now.utc.us - clock->step_base.utc.us) - (now.mono.us - clock->step_base.mono.us);
    /* The base moves on in any case, so that slewing by NTP never adds up to a step. */
    clock->step_base = now;
    return step_us <= tolerance_us && step_us >= -tolerance_us ? 0 : step_us;
}

void clock_advance(struct clock *clock, int64_t us) {
    clock->virtual_mono_us += us;
    clock->virtual_utc_us += us;
}

void clock_step_utc(struct clock *clock, int64_t us) {
    clock->virtual_utc_us += us;
}
