#include "models/dispersion/trace_chain.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

enum {
    BURN_IN = 6000,
    CHAIN_STEPS = 12000,
    THINNING = 6,
    KEPT = CHAIN_STEPS / THINNING,
    ROUNDS_MAX = 3
};
static_assert((int)KEPT == (int)CHAIN_KEPT, "what the header promises");

#define AGREED   1.05 /* r_hat */
#define NEAR_TOP 8.0  /* ln of the posterior: places that a chain may start from */

typedef double square_matrix[TRACE_UNKNOWNS_MAX][TRACE_UNKNOWNS_MAX];

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* SplitMix64: uniform in (0, 1). */
static double uniform(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return ((double)(mix(*state) >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *state) {
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(2 * PI * uniform(state));
}

/* Lower triangle of the covariance; false when it is not positive definite. */
static bool cholesky(square_matrix m, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = m[i][j];
            for (size_t k = 0; k < j; k++) {
                sum -= m[i][k] * m[j][k];
            }
            if (i == j) {
                if (!(sum > 0)) {
                    return false;
                }
                m[i][i] = sqrt(sum);
            } else {
                m[i][j] = sum / m[j][j];
            }
        }
    }
    return true;
}

/* Running mean and covariance of a chain, and the proposal that follows from it. */
struct shape {
    size_t n;
    double count;
    double mean[TRACE_UNKNOWNS_MAX];
    square_matrix moment;
    square_matrix factor;
    double scale;
};

static void shape_add(struct shape *shape, const double *u) {
    double before[TRACE_UNKNOWNS_MAX];
    shape->count++;
    for (size_t i = 0; i < shape->n; i++) {
        before[i] = u[i] - shape->mean[i];
        shape->mean[i] += before[i] / shape->count;
    }
    for (size_t i = 0; i < shape->n; i++) {
        for (size_t j = 0; j <= i; j++) {
            shape->moment[i][j] += before[i] * (u[j] - shape->mean[j]);
        }
    }
}

static void shape_adapt(struct shape *shape) {
    static const double floor_of[TRACE_UNKNOWNS_MAX] = {1e-2, 1e-2, 1e-6, 1e-4, 1e-6,
                                                        1e-6, 1e-6, 1e-2, 1e-2, 1e-6};
    square_matrix m = {{0}};
    for (size_t i = 0; i < shape->n; i++) {
        for (size_t j = 0; j <= i; j++) {
            m[i][j] = shape->moment[i][j] / shape->count + (i == j ? floor_of[i] : 0);
        }
    }
    if (cholesky(m, shape->n)) {
        memcpy(shape->factor, m, sizeof m);
    }
}

static void propose(const struct shape *shape, const double *from, uint64_t *state, double *ret_u) {
    double z[TRACE_UNKNOWNS_MAX];
    /* Now and then a short or a long step: the scale of the posterior differs along its length. */
    double scale = shape->scale * (uniform(state) < 0.2 ? 0.2 : uniform(state) < 0.1 ? 3 : 1);
    for (size_t i = 0; i < shape->n; i++) {
        z[i] = normal(state);
    }
    for (size_t i = 0; i < shape->n; i++) {
        ret_u[i] = from[i];
        for (size_t j = 0; j <= i; j++) {
            ret_u[i] += scale * shape->factor[i][j] * z[j];
        }
    }
}

static void run_chain(const struct field *field, const struct candidate *start, uint64_t seed,
                      struct trace_sample *ret_kept) {
    static const double first[TRACE_UNKNOWNS_MAX] = {20, 10, 0.2, 1, 0.05, 0.03, 0.03, 20, 10, 0.2};
    struct shape shape = {.n = field->unknowns, .scale = 2.38 / sqrt((double)field->unknowns)};
    struct candidate now = *start;
    uint64_t state = mix(seed);
    for (size_t i = 0; i < shape.n; i++) {
        shape.factor[i][i] = first[i];
    }
    for (int step = 0; step < BURN_IN + CHAIN_STEPS; step++) {
        struct candidate next = now;
        propose(&shape, now.u, &state, next.u);
        next.value = field_ln_posterior(field, next.u);
        if (log(uniform(&state)) < next.value - now.value) {
            now = next;
        }
        if (step < BURN_IN) {
            if (step == BURN_IN / 4) { /* forget the way from the start */
                memset(shape.moment, 0, sizeof shape.moment);
                memset(shape.mean, 0, sizeof shape.mean);
                shape.count = 0;
            }
            shape_add(&shape, now.u);
            if (step >= 200 && step % 100 == 0) {
                shape_adapt(&shape);
            }
        } else if ((step - BURN_IN) % THINNING == 0) {
            memcpy(ret_kept[(step - BURN_IN) / THINNING].value, now.u, sizeof now.u);
        }
    }
}

/* Gelman and Rubin (1992), largest over the unknowns. */
double chain_r_hat(const struct trace_sample *samples, size_t unknowns) {
    double worst = 1;
    for (size_t k = 0; k < unknowns; k++) {
        double means[TRACE_CHAINS] = {0}, within = 0, between = 0, all = 0;
        for (size_t c = 0; c < TRACE_CHAINS; c++) {
            double squares = 0;
            for (size_t i = 0; i < KEPT; i++) {
                means[c] += samples[c * KEPT + i].value[k] / KEPT;
            }
            for (size_t i = 0; i < KEPT; i++) {
                double d = samples[c * KEPT + i].value[k] - means[c];
                squares += d * d;
            }
            within += squares / (KEPT - 1) / TRACE_CHAINS;
            all += means[c] / TRACE_CHAINS;
        }
        for (size_t c = 0; c < TRACE_CHAINS; c++) {
            between += (means[c] - all) * (means[c] - all) / (TRACE_CHAINS - 1);
        }
        worst = fmax(worst, sqrt((within * (KEPT - 1) / KEPT + between) / fmax(within, 1e-300)));
    }
    return worst;
}

void chain_run(const struct field *field, const struct candidate *starts, size_t count,
               struct trace_sample *ret_samples) {
    struct candidate from[TRACE_CHAINS];
    for (size_t c = 0; c < TRACE_CHAINS; c++) {
        bool near = c < count && starts[c].value > starts[0].value - NEAR_TOP;
        from[c] = near ? starts[c] : starts[0];
    }
    /* Chains that do not agree yet go on from where they are, with all before as burn-in. */
    for (size_t round = 0; round < ROUNDS_MAX; round++) {
        for (size_t c = 0; c < TRACE_CHAINS; c++) {
            struct trace_sample *kept = ret_samples + c * KEPT;
            run_chain(field, &from[c],
                      field->problem->seed + (c + round * TRACE_CHAINS) * UINT64_C(0x51ed2701),
                      kept);
            memcpy(from[c].u, kept[KEPT - 1].value, sizeof from[c].u);
            from[c].value = field_ln_posterior(field, from[c].u);
        }
        if (chain_r_hat(ret_samples, field->unknowns) <= AGREED) {
            return;
        }
    }
}

double chain_ln_volume(const struct trace_sample *samples, size_t unknowns) {
    struct shape shape = {.n = unknowns};
    double sum = 0;
    for (size_t i = 0; i < CHAIN_SAMPLES; i++) {
        shape_add(&shape, samples[i].value);
    }
    shape_adapt(&shape);
    for (size_t i = 0; i < unknowns; i++) {
        sum += log(sqrt(2 * PI) * shape.factor[i][i]);
    }
    return sum;
}
