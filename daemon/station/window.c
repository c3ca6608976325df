#include "daemon/station/window.h"

#include <math.h>
#include <stdlib.h>

#include "daemon/base/err.h"
#include "daemon/station/air_nowcast.h"

bool window_length_fits(enum window_kind kind, int64_t window_us) {
    switch (kind) {
    case WINDOW_HIGHEST_HOUR:
    case WINDOW_HIGHEST_8H:
        return window_us > 0 && window_us % WINDOW_HOUR_US == 0 &&
               window_us / WINDOW_HOUR_US <= WINDOW_HOURS_MAX;
    case WINDOW_LOWEST_DAILY_MAX:
    case WINDOW_HIGHEST_DAILY_MEAN:
        return window_us > 0 && window_us % WINDOW_DAY_US == 0 &&
               window_us / WINDOW_DAY_US <= WINDOW_DAYS_MAX;
    default:
        return window_us > 0;
    }
}

int window_init(enum window_kind kind, int64_t window_us, int64_t period_us,
                struct window *ret_series) {
    if (!window_length_fits(kind, window_us) || period_us <= 0) {
        return ERR_INVALID;
    }
    int64_t reach_us = window_us + (kind == WINDOW_HIGHEST_8H ? 7 * WINDOW_HOUR_US : 0);
    int64_t grain_us = reach_us / WINDOW_SHARE;
    if (grain_us < period_us / 2) {
        grain_us = period_us / 2;
    }
    if (grain_us < 1) {
        grain_us = 1;
    }
    /* Two neighbours together are longer than a grain, or they would be one. */
    uint32_t capacity = (uint32_t)(2 * (reach_us / grain_us) + 8);
    struct window_segment *segments = calloc(capacity, sizeof *segments);
    if (segments == NULL) {
        return ERR_MEMORY;
    }
    *ret_series = (struct window){.kind = kind,
                                  .window_us = window_us,
                                  .period_us = period_us,
                                  .grain_us = grain_us,
                                  .reach_us = reach_us,
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
    into->amount = series->kind == WINDOW_LOWEST_DAILY_MAX ? fmax(into->amount, from->amount)
                                                           : into->amount + from->amount;
    into->count += from->count;
    into->good += from->good;
}

static int64_t rise_tolerance_us(const struct window *series) {
    int64_t tolerance_us = 2 * series->period_us;
    return tolerance_us > series->window_us / 10 ? tolerance_us : series->window_us / 10;
}

static void drop_old(struct window *series, int64_t end_us) {
    int64_t start_us = end_us - series->reach_us;
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

/* How much of a segment lies in a window from `start_us` on; 0: nothing of it is known. */
static double share_of(const struct window *series, const struct window_segment *segment,
                       int64_t start_us) {
    int64_t long_us = series->window_us / 6;
    if (long_us < 3 * series->period_us) {
        long_us = 3 * series->period_us;
    }
    if (segment->start_us >= start_us) {
        return 1;
    }
    int64_t length_us = segment->end_us - segment->start_us;
    if (segment->end_us <= start_us || length_us > long_us) {
        return 0;
    }
    return (double)(segment->end_us - start_us) / (double)length_us;
}

static struct window_value accumulation(const struct window *series, int64_t end_us) {
    int64_t start_us = end_us - series->window_us;
    struct window_value result = {.oldest_us = end_us};
    double good_us = 0;
    for (uint32_t i = 0; i < series->count; i++) {
        const struct window_segment *segment = at(series, i);
        double share = share_of(series, segment, start_us);
        if (share <= 0) {
            continue;
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

/* A twelfth, an hour or a day of a window. */
struct part {
    double amount; /* sum, or the highest value */
    uint32_t count, good;
};

/* The newest `count` parts of `part_us` each, counted back from `end_us`; what was read in them
 * goes into the result. */
static struct window_value divide(const struct window *series, int64_t end_us, int64_t part_us,
                                  int count, struct part *ret_parts) {
    struct window_value result = {.value = (double)NAN, .oldest_us = end_us};
    bool highest = series->kind == WINDOW_LOWEST_DAILY_MAX;
    for (int i = 0; i < count; i++) {
        ret_parts[i] = (struct part){.amount = highest ? -INFINITY : 0};
    }
    for (uint32_t i = 0; i < series->count; i++) {
        const struct window_segment *segment = at(series, i);
        int64_t back = (end_us - segment->start_us) / part_us;
        if (back < 0 || back >= count) {
            continue;
        }
        struct part *part = &ret_parts[back];
        part->amount =
            highest ? fmax(part->amount, segment->amount) : part->amount + segment->amount;
        part->count += segment->count;
        part->good += segment->good;
        result.count += segment->count;
        result.doubtful = result.doubtful || segment->good < segment->count;
        if (result.oldest_seq == 0) {
            result.oldest_us = segment->start_us;
            result.oldest_seq = segment->seq;
        }
    }
    return result;
}

static bool part_counts(const struct window *series, const struct part *part, int64_t part_us) {
    return part->count > 0 &&
           part->good >= WINDOW_PART_SHARE * (double)part_us / (double)series->period_us;
}

/* Means of hours (twelfths of a Nowcast), NaN: missing. */
static struct window_value hourly_means(const struct window *series, int64_t end_us,
                                        int64_t hour_us, int count, double *ret_means) {
    struct part parts[WINDOW_PARTS_MAX];
    struct window_value result = divide(series, end_us, hour_us, count, parts);
    for (int i = 0; i < count; i++) {
        ret_means[i] = part_counts(series, &parts[i], hour_us) ? parts[i].amount / parts[i].count
                                                               : (double)NAN;
    }
    return result;
}

static struct window_value nowcast(const struct window *series, int64_t end_us) {
    double hours[NOWCAST_HOURS];
    struct window_value result =
        hourly_means(series, end_us, series->window_us / NOWCAST_HOURS, NOWCAST_HOURS, hours);
    int there = 0;
    for (int i = 0; i < NOWCAST_HOURS; i++) {
        there += !isnan(hours[i]);
    }
    result.value = aqi_nowcast(hours, NULL);
    result.completeness = (double)there / NOWCAST_HOURS;
    return result;
}

/* The highest mean of `length` hours running that ends with an hour of the window. */
static struct window_value highest_mean(const struct window *series, int64_t end_us, int length) {
    int count = (int)(series->window_us / WINDOW_HOUR_US);
    double hours[WINDOW_PARTS_MAX];
    struct window_value result =
        hourly_means(series, end_us, WINDOW_HOUR_US, count + length - 1, hours);
    int there = 0;
    for (int i = 0; i < count; i++) {
        double mean = mean_of_hours(hours + i, length);
        there += !isnan(mean);
        result.value = fmax(result.value, mean); /* of a number and NaN: the number */
    }
    result.completeness = (double)there / count;
    return result;
}

/* What every day reached, or what none went beyond; not known unless every day is. */
static struct window_value every_day(const struct window *series, int64_t end_us) {
    struct part days[WINDOW_DAYS_MAX];
    bool highest = series->kind == WINDOW_LOWEST_DAILY_MAX;
    int count = (int)(series->window_us / WINDOW_DAY_US);
    struct window_value result = divide(series, end_us, WINDOW_DAY_US, count, days);
    double value = (double)NAN;
    int there = 0;
    for (int i = 0; i < count; i++) {
        if (part_counts(series, &days[i], WINDOW_DAY_US)) {
            value =
                highest ? fmin(value, days[i].amount) : fmax(value, days[i].amount / days[i].count);
            there++;
        }
    }
    result.value = there == count ? value : (double)NAN;
    result.completeness = (double)there / count;
    return result;
}

double window_amount_to(const struct window *series, const struct window_segment *next,
                        double *ret_known) {
    int64_t start_us = next->end_us - series->window_us;
    double amount = 0, known_us = 0;
    for (uint32_t i = 0; i <= series->count; i++) {
        const struct window_segment *segment = i < series->count ? at(series, i) : next;
        double share = share_of(series, segment, start_us);
        amount += share * segment->amount;
        known_us += share * (double)(segment->end_us - segment->start_us);
    }
    *ret_known = fmin(1, known_us / (double)series->window_us);
    return amount;
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
    case WINDOW_HIGHEST_HOUR:
        return highest_mean(series, end_us, 1);
    case WINDOW_HIGHEST_8H:
        return highest_mean(series, end_us, 8);
    case WINDOW_LOWEST_DAILY_MAX:
    case WINDOW_HIGHEST_DAILY_MEAN:
        return every_day(series, end_us);
    case WINDOW_RISE:
        return rise(series, end_us);
    case WINDOW_KIND_COUNT:
        break;
    }
    return none;
}
