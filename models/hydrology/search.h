/* Global search for the parameters that make a score largest: differential evolution (Storn and
 * Price 1997, DE/current-to-best/1/bin) with restarts, each finished by a pattern search.
 *
 * Deterministic: the same seed gives the same result with any number of threads, because every
 * trial is drawn before the generation is evaluated.
 *
 * Thread rule: `score` is called from `threads` threads at once, each with its own `part` number.
 */
#ifndef CANHBAO_MODELS_HYDROLOGY_SEARCH_H
#define CANHBAO_MODELS_HYDROLOGY_SEARCH_H

#include <stddef.h>
#include <stdint.h>

enum {
    SEARCH_DIMENSIONS_MAX = 16,
    SEARCH_POPULATION = 24,
    SEARCH_RESTARTS_MAX = 20,
    SEARCH_BATCH = 4, /* points scored by one call, at most */
};

struct search {
    int dimensions;
    double low[SEARCH_DIMENSIONS_MAX];
    double high[SEARCH_DIMENSIONS_MAX];
    int generations; /* at most, per restart */
    int restarts;
    int threads;
    uint64_t seed;
    /* Of 1 to SEARCH_BATCH points; none may depend on its neighbours. A NaN counts as the worst.
     * `part` is 0 to threads - 1. */
    void (*score)(void *context, int part, const double *const *points, int count,
                  double *ret_scores);
    /* After each generation; NULL for none. */
    void (*progress)(void *context, int restart, int generation, double best);
    void *context;
};

struct search_result {
    double best[SEARCH_DIMENSIONS_MAX];
    double score;
    double restart_score[SEARCH_RESTARTS_MAX]; /* alike: the optimum is found, not stumbled on */
    long evaluations;
};

void search_run(const struct search *search, struct search_result *ret_result);

#endif
