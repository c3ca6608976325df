/* Windows over the readings of one point: accumulation, mean, rise. Each window is sized once from
 * its length and never grows: it holds segments of about 1/WINDOW_SHARE of its length or half a
 * period, whichever is longer.
 *
 * A window ends at the newest usable reading. Its number is computed anew from its segments each
 * time, so that it depends on them alone (no running sums that drift).
 *
 *   accumulation  Amounts belong to the interval between two readings. An interval that the start
 * of the window cuts counts in proportion; if it is long (above 1/6 of the window and above 3
 * periods) nobody knows when in it the rain fell: its part counts as not known. completeness = time
 * with known, undoubted amounts / window. mean          Arithmetic mean of the readings in (end -
 * window, end]. completeness = undoubted readings / (window / period), at most 1. rise Newest value
 * minus the newest one at or before end - window, which may be older by up to max(2 periods, window
 * / 10). completeness 1. With nothing there, newest minus the oldest in the window: completeness is
 * the share that it spans.
 *   nowcast       Of the means of the twelfths (hours) of the window, counted back from its end,
 * see air_nowcast.h; a twelfth that lacks undoubted readings is missing. completeness = twelfths
 * there. Unknown is NaN. With completeness below what the user asks for, an accumulation is a lower
 * bound. Thread rule: per object. */
#ifndef CANHBAO_STATION_WINDOW_H
#define CANHBAO_STATION_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/clock.h"

enum { WINDOW_SHARE = 360, WINDOW_SEGMENTS_MAX = WINDOW_SHARE * 2 + 8 };

enum window_kind {
    WINDOW_ACCUMULATION,
    WINDOW_MEAN,
    WINDOW_RISE,
    WINDOW_NOWCAST,
    WINDOW_KIND_COUNT
};

/* Share of an hour that must have undoubted readings for its mean to count in a Nowcast (ours). */
#define NOWCAST_HOUR_SHARE 0.75

/* A stretch of evidence. start_us = end_us for values at an instant. */
struct window_segment {
    int64_t start_us, end_us; /* monotonic */
    int64_t good_us;          /* accumulation: time in it with known, undoubted amounts */
    double amount;            /* accumulation: the amount; mean: the sum; rise: the value */
    uint32_t count, good;     /* readings in it, and how many of them are undoubted */
    uint64_t seq;             /* of the first reading in it */
};

struct window {
    enum window_kind kind;
    int64_t window_us, period_us, grain_us;
    uint32_t capacity, first, count; /* ring */
    struct window_segment *segments; /* owned */
};

struct window_value {
    double value;        /* NaN: unknown */
    double completeness; /* 0 to 1 */
    uint32_t count;      /* readings that it stands on */
    int64_t oldest_us;   /* monotonic stamp of where the evidence begins */
    uint64_t oldest_seq; /* of the reading that begins it */
    bool doubtful;       /* doubted readings are in the value */
};

/* window_us and period_us above 0. ERR_INVALID, ERR_MEMORY. */
int window_init(enum window_kind kind, int64_t window_us, int64_t period_us,
                struct window *ret_series);
void window_finish(struct window *series);

/* Adds evidence; segments come in time order (an older one is ignored). Older neighbours within one
 * grain are merged, what has left the window is dropped. */
void window_add(struct window *series, const struct window_segment *segment);
/* Takes the newest segment back if it ends at `end_us`: it turned out to be wrong. */
void window_take_back(struct window *series, int64_t end_us);
/* WINDOW_RISE: what a value at `at_us`, not added yet, would have risen by; NaN: not known over the
 * whole window. */
double window_rise_to(const struct window *series, int64_t at_us, double value);
/* The window that ends at `end_us`, the stamp of the newest usable reading of the point. */
struct window_value window_value(const struct window *series, int64_t end_us);

#endif
