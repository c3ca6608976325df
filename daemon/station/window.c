#include "daemon/station/window.h"

#include <math.h>
#include <stdlib.h>

#include "daemon/base/err.h"
#include "daemon/station/air_nowcast.h"

int window_init(enum window_kind kind, int64_t window_us, int64_t period_us,
                struct window *ret_series) {
    if (window_us <= 0 || period_us <= 0) {
        return ERR_INVALID;
    }
    int64_t grain_us = window_us / WINDOW_SHARE;
    if (grain_us < period_us / 2) {
        grain_us = period_us / 2;
    }
    if (grain_us < 1) {
        grain_us = 1;
    }
    /* Two neighbours together are longer than a grain, or they would be one. */
    uint32_t capacity = (uint32_t)(2 * (window_us / grain_us) + 8);
    struct window_segment *segments = calloc(capacity, sizeof *segments);
    if (segments == NULL) {
        return ERR_MEMORY;
    }
    *ret_series = (struct window){.kind = kind,
                                  .window_us = window_us,
                                  .period_us = period_us,
                                  .grain_us = grain_us,
                                  .capacity = capacity,
                                  .segments = segments};
    return 0;
}

void window_finish(struct window *series) {
    free(series->segments);
    series->segments = NULL;
    series->count = 0;
}

static struct window_segment *at(const struct window *series, uint32_t index) {
    return &series->segments[(series->first + index) % series->capacity];
}

static void merge(const struct window *series, struct window_segment *into,
                  const struct window_segment *from) {
    if (series->kind == WINDOW_RISE) {
        return; /* the older value stays */
    }
    into->end_us = from->end_us;
    into->good_us += from->good_us;
    into->amount += from->amount;
    into->count += from->count;
    into->good += from->good;
}

static int64_t rise_tolerance_us(const struct window *series) {
    int64_t tolerance_us = 2 * series->period_us;
    return tolerance_us > series->window_us / 10 ? tolerance_us : series->window_us / 10;
}

static void drop_old(struct window *series, int64_t end_us) {
    int64_t start_us = end_us - series->window_us;
    if (series->kind == WINDOW_RISE) {
        start_us -= rise_tolerance_us(series);
    }
    while (series->count > 0 && at(series, 0)->end_us <= start_us) {
        /* A rise still needs the newest value at the far end of its tolerance. */
        if (series->kind == WINDOW_RISE && at(series, 0)->end_us == start_us) {
            break;
        }
        series->first = (series->first + 1) % series->capacity;
        series->count--;
    }
}

void window_add(struct window *series, const struct window_segment *segment) {
    if (series->count > 0 && segment->end_us <= at(series, series->count - 1)->end_us) {
        return;
    }
    drop_old(series, segment->end_us);
    if (series->count >= 2) {
        struct window_segment *before = at(series, series->count - 2);
        struct window_segment *newest = at(series, series->count - 1);
        if (newest->end_us - before->start_us <= series->grain_us) {
            merge(series, before, newest);
            series->count--;
        }
    }
    if (series->count == series->capacity) {
        /* Cannot be by the size of the ring; if it were, the oldest evidence goes. */
        series->first = (series->first + 1) % series->capacity;
        series->count--;
    }
    series->count++;
    *at(series, series->count - 1) = *segment;
}

void window_take_back(struct window *series, int64_t end_us) {
    if (series->count > 0 && at(series, series->count - 1)->end_us == end_us) {
        series->count--;
    }
}

static struct window_value accumulation(const struct window *series, int64_t end_us) {
    int64_t start_us = end_us - series->window_us;
    int64_t long_us = series->window_us / 6;
    if (long_us < 3 * series->period_us) {
        long_us = 3 * series->period_us;
    }
    struct window_value result = {.oldest_us = end_us};
    double good_us = 0;
    for (uint32_t i = 0; i < series->count; i++) {
        const struct window_segment *segment = at(series, i);
        double share = 1;
        if (segment->start_us < start_us) {
            int64_t length_us = segment->end_us - segment->start_us;
            if (segment->end_us <= start_us || length_us > long_us) {
                continue;
            }
            share = (double)(segment->end_us - start_us) / (double)length_us;
        }
        result.value += share * segment->amount;
        good_us += share * (double)segment->good_us;
        result.count += segment->count;
        result.doubtful = result.doubtful || segment->good < segment->count;
        if (result.oldest_seq == 0) {
            result.oldest_us = segment->start_us > start_us ? segment->start_us : start_us;
            result.oldest_seq = segment->seq;
        }
    }
    result.completeness = fmin(1, good_us / (double)series->window_us);
    if (result.count == 0) {
        result.value = (double)NAN;
    }
    return result;
}

static struct window_value mean(const struct window *series, int64_t end_us) {
    int64_t start_us = end_us - series->window_us;
    struct window_value result = {.oldest_us = end_us};
    double sum = 0;
    double good = 0;
    for (uint32_t i = 0; i < series->count; i++) {
        const struct window_segment *segment = at(series, i);
        if (segment->start_us <= start_us) {
            continue;
        }
        sum += segment->amount;
        good += segment->good;
        result.count += segment->count;
        result.doubtful = result.doubtful || segment->good < segment->count;
        if (result.oldest_seq == 0) {
            result.oldest_us = segment->start_us;
            result.oldest_seq = segment->seq;
        }
    }
    double expected = (double)series->window_us / (double)series->period_us;
    result.value = result.count > 0 ? sum / result.count : (double)NAN;
    result.completeness = fmin(1, good / expected);
    return result;
}

static struct window_value nowcast(const struct window *series, int64_t end_us) {
    const int64_t hour_us = series->window_us / NOWCAST_HOURS;
    const double needed = NOWCAST_HOUR_SHARE * (double)hour_us / (double)series->period_us;
    struct window_value result = {.oldest_us = end_us};
    double hours[NOWCAST_HOURS] = {0};
    uint32_t counts[NOWCAST_HOURS] = {0};
    uint32_t good[NOWCAST_HOURS] = {0};
    int there = 0;
    for (uint32_t i = 0; i < series->count; i++) {
        const struct window_segment *segment = at(series, i);
        int64_t back = (end_us - segment->start_us) / hour_us;
        if (back < 0 || back >= NOWCAST_HOURS) {
            continue;
        }
        hours[back] += segment->amount;
        counts[back] += segment->count;
        good[back] += segment->good;
        result.count += segment->count;
        result.doubtful = result.doubtful || segment->good < segment->count;
        if (result.oldest_seq == 0) {
            result.oldest_us = segment->start_us;
            result.oldest_seq = segment->seq;
        }
    }
    for (int i = 0; i < NOWCAST_HOURS; i++) {
        bool known = counts[i] > 0 && good[i] >= needed;
        hours[i] = known ? hours[i] / counts[i] : (double)NAN;
        there += known;
    }
    result.value = aqi_nowcast(hours, NULL);
    result.completeness = (double)there / NOWCAST_HOURS;
    return result;
}

/* Newest value at or before the start of the window, or NULL; drop_old() keeps the tolerance. */
static const struct window_segment *reference_at(const struct window *series, int64_t start_us) {
    const struct window_segment *reference = NULL;
    for (uint32_t i = 0; i < series->count && at(series, i)->end_us <= start_us; i++) {
        reference = at(series, i);
    }
    return reference;
}

double window_rise_to(const struct window *series, int64_t at_us, double value) {
    int64_t start_us = at_us - series->window_us;
    const struct window_segment *reference = reference_at(series, start_us);
    bool known = reference != NULL && reference->end_us >= start_us - rise_tolerance_us(series);
    return known ? value - reference->amount : (double)NAN;
}

static struct window_value rise(const struct window *series, int64_t end_us) {
    const struct window_segment *newest = at(series, series->count - 1);
    int64_t start_us = end_us - series->window_us;
    const struct window_segment *reference = reference_at(series, start_us);
    struct window_value result = {.value = (double)NAN, .oldest_us = end_us, .count = 1};
    if (reference == NULL) {
        reference = at(series, 0);
        if (reference == newest || newest->end_us != end_us) {
            return result; /* one value alone has no rise */
        }
        result.completeness =
            (double)(newest->end_us - reference->end_us) / (double)series->window_us;
        /* Not the whole window, however the division rounds. */
        result.completeness = fmin(result.completeness, 0.999);
    } else {
        result.completeness = 1;
    }
    result.value = newest->amount - reference->amount;
    result.doubtful = newest->good == 0 || reference->good == 0;
    result.oldest_us = reference->end_us;
    result.oldest_seq = reference->seq;
    result.count = 2;
    return result;
}

struct window_value window_value(const struct window *series, int64_t end_us) {
    struct window_value none = {.value = (double)NAN, .oldest_us = end_us};
    if (series->count == 0) {
        return none;
    }
    switch (series->kind) {
    case WINDOW_ACCUMULATION:
        return accumulation(series, end_us);
    case WINDOW_MEAN:
        return mean(series, end_us);
    case WINDOW_NOWCAST:
        return nowcast(series, end_us);
    case WINDOW_RISE:
        return rise(series, end_us);
    case WINDOW_KIND_COUNT:
        break;
    }
    return none;
}
