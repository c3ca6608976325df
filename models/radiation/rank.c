#include "models/radiation/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"

#define NORMAL_MAD 1.4826

int rank_create(size_t capacity, struct rank *ret_rank) {
    struct rank rank = {.capacity = capacity};
    rank.ring = calloc(2 * capacity, sizeof *rank.ring);
    if (rank.ring == NULL) {
        return ERR_MEMORY;
    }
    rank.sorted = rank.ring + capacity;
    *ret_rank = rank;
    return 0;
}

void rank_finish(struct rank *rank) {
    free(rank->ring);
    *rank = (struct rank){0};
}

/* The first place whose value is not below. */
static size_t place_of(const struct rank *rank, double value) {
    size_t low = 0, high = rank->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rank->sorted[middle] < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void rank_push(struct rank *rank, double value) {
    if (rank->count == rank->capacity) {
        size_t out = place_of(rank, rank->ring[rank->next]);
        rank->count--;
        memmove(rank->sorted + out, rank->sorted + out + 1,
                (rank->count - out) * sizeof *rank->sorted);
    }
    size_t in = place_of(rank, value);
    memmove(rank->sorted + in + 1, rank->sorted + in, (rank->count - in) * sizeof *rank->sorted);
    rank->sorted[in] = value;
    rank->count++;
    rank->ring[rank->next] = value;
    rank->next = (rank->next + 1) % rank->capacity;
}

double rank_median(const struct rank *rank) {
    size_t n = rank->count;
    return n == 0 ? (double)NAN : (rank->sorted[(n - 1) / 2] + rank->sorted[n / 2]) / 2;
}

double rank_spread(const struct rank *rank) {
    double median = rank_median(rank), deviation = (double)NAN;
    size_t above = place_of(rank, median), below = above;
    /* Walks outwards from the median until half of the values are passed. */
    for (size_t passed = 0; 2 * passed < rank->count; passed++) {
        double up = above < rank->count ? rank->sorted[above] - median : HUGE_VAL;
        double down = below > 0 ? median - rank->sorted[below - 1] : HUGE_VAL;
        deviation = fmin(up, down);
        if (up <= down) {
            above++;
        } else {
            below--;
        }
    }
    return NORMAL_MAD * deviation;
}
