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
 * there.
 *   highest_hour  Highest of the means of the hours of the window, counted back from its end; an
 * hour that lacks undoubted readings is missing. completeness = hours there.
 *   highest_8h    Likewise of the means of eight hours running that end with an hour of the window
 * (so that it looks back 7 h more), each the mean of its hours; one with fewer than six is missing.
 *   lowest_daily_max  Lowest of the highest readings of the days (24 h) of the window, counted back
 * from its end: so high it was on every one of them. Not known where a day lacks undoubted
 * readings; completeness = days there.
 *   highest_daily_mean  Likewise the highest of their means: no day was warmer. Unknown is NaN.
 * With completeness below what the user asks for, an accumulation is a lower bound. Thread rule:
 * per object. */
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
    WINDOW_HIGHEST_HOUR,
    WINDOW_HIGHEST_8H,
    WINDOW_LOWEST_DAILY_MAX,
    WINDOW_HIGHEST_DAILY_MEAN,
    WINDOW_KIND_COUNT
};

/* Share of an hour or day that must have undoubted readings to count, and of eight hours that must
 * count (ours: Decision 1459/QĐ-TCMT does not say). */
#define WINDOW_PART_SHARE 0.75
enum { WINDOW_HOURS_MAX = 48, WINDOW_DAYS_MAX = 30, WINDOW_PARTS_MAX = WINDOW_HOURS_MAX + 7 };
#define WINDOW_HOUR_US (INT64_C(3600) * 1000000)
#define WINDOW_DAY_US  (INT64_C(24) * WINDOW_HOUR_US)

/* A stretch of evidence. start_us = end_us for values at an instant. */
struct window_segment {
    int64_t start_us, end_us; /* monotonic */
    int64_t good_us;          /* accumulation: time in it with known, undoubted amounts */
    double amount;            /* accumulation: the amount; rise: the value; lowest_daily_max: the
                                 highest value; else the sum */
    uint32_t count, good;     /* readings in it, and how many of them are undoubted */
    uint64_t seq;             /* of the first reading in it */
};

struct window {
    enum window_kind kind;
    int64_t window_us, period_us, grain_us;
    int64_t reach_us;                /* what is kept: the window, and what lies before it */
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

/* Whether a window of the kind can be so long: above 0; highest_hour and highest_8h whole hours to
 * WINDOW_HOURS_MAX, lowest_daily_max and highest_daily_mean whole days to WINDOW_DAYS_MAX. */
bool window_length_fits(enum window_kind kind, int64_t window_us);
/* A length that fits and period_us above 0. ERR_INVALID, ERR_MEMORY. */
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
/* WINDOW_ACCUMULATION: what would have fallen in the window that ends with `next`, not added yet;
 * ret_known: share of the window (0 to 1) with known amounts, doubted ones included. */
double window_amount_to(const struct window *series, const struct window_segment *next,
                        double *ret_known);
/* The window that ends at `end_us`, the stamp of the newest usable reading of the point. */
struct window_value window_value(const struct window *series, int64_t end_us);

#endif
