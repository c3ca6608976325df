#include "models/quality/attenuated.h"

#include <math.h>

static int64_t piece_of(int64_t at_us, int64_t piece_us) {
    return at_us / piece_us - (at_us % piece_us < 0);
}

/* Makes `piece` the newest one. */
static void move_on(struct attenuated *state, int64_t piece) {
    int64_t steps = piece - state->newest;
    if (steps >= ATTENUATED_PIECES) {
        state->filled = 0;
    } else {
        for (int i = ATTENUATED_PIECES - 1; i >= steps; i--) {
            state->low[i] = state->low[i - steps];
            state->high[i] = state->high[i - steps];
        }
        state->filled = state->filled << steps & ((1U << ATTENUATED_PIECES) - 1);
    }
    state->newest = piece;
}

void attenuated_add(struct attenuated *state, int64_t piece_us, int64_t at_us, double value) {
    int64_t piece = piece_of(at_us, piece_us);
    if (!state->has_any) {
        *state = (struct attenuated){.has_any = true, .first_us = at_us, .newest = piece};
    } else if (piece > state->newest) {
        move_on(state, piece);
    }
    if ((state->filled & 1) == 0) {
        state->low[0] = value;
        state->high[0] = value;
        state->filled |= 1;
        return;
    }
    state->low[0] = fmin(state->low[0], value);
    state->high[0] = fmax(state->high[0], value);
}

bool attenuated_range(const struct attenuated *state, int64_t window_us, int64_t piece_us,
                      int64_t at_us, double *ret_range) {
    double low = INFINITY, high = -INFINITY;
    int count = 0;
    int pieces = (int)((window_us + piece_us - 1) / piece_us) + 1;
    pieces = pieces > ATTENUATED_PIECES ? ATTENUATED_PIECES : pieces;
    if (!state->has_any || at_us - state->first_us < window_us) {
        return false;
    }
    for (int i = 0; i < pieces; i++) {
        if ((state->filled >> i & 1) != 0) {
            low = fmin(low, state->low[i]);
            high = fmax(high, state->high[i]);
            count++;
        }
    }
    if (4 * count < 3 * pieces) {
        return false;
    }
    *ret_range = high - low;
    return true;
}
