/* Attenuated signal test (QARTOD "attenuated signal"): a fouled or clogged sensor still moves, but
 * too little. The range (highest minus lowest value) over a window that is below a bound is suspect
 * or fails.
 *
 * The window is kept in pieces, at most ATTENUATED_BUCKETS of it, with their lowest and highest
 * value. The piece that the start of the window cuts counts whole, so that the range is never taken
 * for smaller than it is. Nothing is said before the values reach back over the whole window, or
 * when more than a quarter of the pieces have no value. Thread rule: per object. */
#ifndef CANHBAO_QUALITY_ATTENUATED_H
#define CANHBAO_QUALITY_ATTENUATED_H

#include <stdbool.h>
#include <stdint.h>

enum { ATTENUATED_BUCKETS = 24, ATTENUATED_PIECES = ATTENUATED_BUCKETS + 1 };

struct attenuated {
    bool has_any;
    int64_t first_us; /* of the first value since it was empty */
    int64_t newest;   /* number of the newest piece */
    uint32_t filled;  /* bit i: piece newest - i has values */
    double low[ATTENUATED_PIECES], high[ATTENUATED_PIECES]; /* [i]: of piece newest - i */
};

/* A value at a monotonic time, not before the one before. piece_us: above 0, at least the window /
 * ATTENUATED_BUCKETS, and no shorter than values are apart. */
void attenuated_add(struct attenuated *state, int64_t piece_us, int64_t at_us, double value);
/* The range over the window that ends at the newest value; false: nothing can be said. */
bool attenuated_range(const struct attenuated *state, int64_t window_us, int64_t piece_us,
                      int64_t at_us, double *ret_range);

#endif
