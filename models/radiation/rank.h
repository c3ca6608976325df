/* The newest values of a series, kept sorted: median and median absolute deviation at any time.
 *
 * Thread rule: one rank, one thread. */
#ifndef CANHBAO_MODELS_RADIATION_RANK_H
#define CANHBAO_MODELS_RADIATION_RANK_H

#include <stddef.h>

struct rank {
    size_t capacity, count, next;
    double *ring, *sorted;
};

/* ERR_MEMORY. */
int rank_create(size_t capacity, struct rank *ret_rank);
void rank_finish(struct rank *rank);
/* The oldest value goes when full. Finite values only. */
void rank_push(struct rank *rank, double value);
/* NaN when empty. */
double rank_median(const struct rank *rank);
/* 1.4826 times the median absolute deviation from the median. */
double rank_spread(const struct rank *rank);

#endif
