#include "models/hydrology/search.h"

#include <math.h>
#include <string.h>

#include "models/nowcast/parallel.h"

typedef double point[SEARCH_DIMENSIONS_MAX];

struct population {
    const struct search *search;
    point member[SEARCH_POPULATION];
    double score[SEARCH_POPULATION];
    point trial[SEARCH_POPULATION];
    double trial_score[SEARCH_POPULATION];
    uint64_t random;
    long evaluations;
};

/* splitmix64 (Steele, Lea, Flood 2014); uniform in [0, 1). */
static double uniform(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static void evaluate(void *context, int part, int begin, int end) {
    struct population *p = context;
    for (int i = begin; i < end; i += SEARCH_BATCH) {
        const double *points[SEARCH_BATCH];
        int count = end - i < SEARCH_BATCH ? end - i : SEARCH_BATCH;
        for (int k = 0; k < count; k++) {
            points[k] = p->trial[i + k];
        }
        p->search->score(p->search->context, part, points, count, &p->trial_score[i]);
        for (int k = i; k < i + count; k++) {
            p->trial_score[k] = isnan(p->trial_score[k]) ? -INFINITY : p->trial_score[k];
        }
    }
}

static void evaluate_all(struct population *p) {
    parallel_rows(p->search->threads, SEARCH_POPULATION, evaluate, p);
    p->evaluations += SEARCH_POPULATION;
}

static int best_of(const struct population *p) {
    int best = 0;
    for (int i = 1; i < SEARCH_POPULATION; i++) {
        best = p->score[i] > p->score[best] ? i : best;
    }
    return best;
}

/* Back into the bounds by reflection, so that the edge does not collect the population. */
static double fold(double x, double low, double high) {
    for (int i = 0; i < 8 && (x < low || x > high); i++) {
        x = x < low ? 2 * low - x : 2 * high - x;
    }
    return fmin(high, fmax(low, x));
}

static int other(struct population *p, int not_a, int not_b) {
    int i = not_a;
    while (i == not_a || i == not_b) {
        i = (int)(uniform(&p->random) * SEARCH_POPULATION);
    }
    return i;
}

static void draw_trials(struct population *p, int best) {
    const struct search *s = p->search;
    for (int i = 0; i < SEARCH_POPULATION; i++) {
        int a = other(p, i, i), b = other(p, i, a);
        double f = 0.4 + 0.5 * uniform(&p->random);
        int always = (int)(uniform(&p->random) * s->dimensions);
        for (int d = 0; d < s->dimensions; d++) {
            double x = p->member[i][d];
            if (uniform(&p->random) < 0.9 || d == always) {
                x += f * (p->member[best][d] - x) + f * (p->member[a][d] - p->member[b][d]);
            }
            p->trial[i][d] = fold(x, s->low[d], s->high[d]);
        }
    }
}

static void start(struct population *p) {
    const struct search *s = p->search;
    for (int d = 0; d < s->dimensions; d++) { /* Latin hypercube */
        int order[SEARCH_POPULATION];
        for (int i = 0; i < SEARCH_POPULATION; i++) {
            order[i] = i;
        }
        for (int i = SEARCH_POPULATION - 1; i > 0; i--) {
            int k = (int)(uniform(&p->random) * (i + 1));
            int swap = order[i];
            order[i] = order[k];
            order[k] = swap;
        }
        for (int i = 0; i < SEARCH_POPULATION; i++) {
            double share = (order[i] + uniform(&p->random)) / SEARCH_POPULATION;
            p->trial[i][d] = s->low[d] + share * (s->high[d] - s->low[d]);
        }
    }
    evaluate_all(p);
    memcpy(p->member, p->trial, sizeof p->member);
    memcpy(p->score, p->trial_score, sizeof p->score);
}

/* The population has come together: no dimension is wider than 1e-4 of its range. */
static int has_converged(const struct population *p) {
    for (int d = 0; d < p->search->dimensions; d++) {
        double low = INFINITY, high = -INFINITY;
        for (int i = 0; i < SEARCH_POPULATION; i++) {
            low = fmin(low, p->member[i][d]);
            high = fmax(high, p->member[i][d]);
        }
        if (high - low > 1e-4 * (p->search->high[d] - p->search->low[d])) {
            return 0;
        }
    }
    return 1;
}

/* Steps along the axes, halved when none helps. */
static double polish(struct population *p, double *x, double score) {
    const struct search *s = p->search;
    double step = 1e-2;
    for (int round = 0; round < 60 && step > 1e-6; round++) {
        int helped = 0;
        for (int d = 0; d < 2 * s->dimensions; d++) {
            point y;
            memcpy(y, x, sizeof y);
            double move = (d % 2 == 0 ? step : -step) * (s->high[d / 2] - s->low[d / 2]);
            y[d / 2] = fold(y[d / 2] + move, s->low[d / 2], s->high[d / 2]);
            const double *one = y;
            double got = 0;
            s->score(s->context, 0, &one, 1, &got);
            p->evaluations++;
            if (got > score) {
                score = got;
                memcpy(x, y, sizeof y);
                helped = 1;
            }
        }
        step = helped ? step : step / 2;
    }
    return score;
}

void search_run(const struct search *search, struct search_result *ret_result) {
    struct search_result result = {.score = -INFINITY};
    struct population p = {.search = search, .random = search->seed};
    for (int r = 0; r < search->restarts && r < SEARCH_RESTARTS_MAX; r++) {
        start(&p);
        int best = best_of(&p);
        for (int g = 0; g < search->generations && !has_converged(&p); g++) {
            draw_trials(&p, best);
            evaluate_all(&p);
            for (int i = 0; i < SEARCH_POPULATION; i++) {
                if (p.trial_score[i] >= p.score[i]) {
                    p.score[i] = p.trial_score[i];
                    memcpy(p.member[i], p.trial[i], sizeof p.member[i]);
                }
            }
            best = best_of(&p);
            if (search->progress != NULL) {
                search->progress(search->context, r, g, p.score[best]);
            }
        }
        result.restart_score[r] = polish(&p, p.member[best], p.score[best]);
        if (result.restart_score[r] > result.score) {
            result.score = result.restart_score[r];
            memcpy(result.best, p.member[best], sizeof result.best);
        }
    }
    result.evaluations = p.evaluations;
    *ret_result = result;
}
