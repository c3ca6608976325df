#include "models/radiation/decay.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define LN2    0.693147180559945309417
#define HOUR_S 3600.0
#define DAY_S  86400.0
#define YEAR_S (365.2422 * DAY_S) /* ICRP 107 */

enum { SCALINGS_MAX = 12, SERIES_TERMS = 24 };

double decay_left(double half_life_s, double time_s) {
    return isinf(half_life_s) ? 1 : exp(-LN2 * time_s / half_life_s);
}

typedef double chain_matrix[DECAY_CHAIN_MAX][DECAY_CHAIN_MAX];

/* exp of a step of the chain in numbers of atoms, all terms non-negative: shifted by the fastest
 * rate there is nothing to cancel. */
static void chain_step(const double *lambda, const double *branch, size_t n, double step_s,
                       chain_matrix ret) {
    chain_matrix shifted = {{0}}, term = {{0}};
    double fastest = 0;
    for (size_t i = 0; i < n; i++) {
        fastest = fmax(fastest, lambda[i]);
    }
    memset(ret, 0, sizeof(chain_matrix));
    for (size_t i = 0; i < n; i++) {
        shifted[i][i] = (fastest - lambda[i]) * step_s;
        if (i > 0) {
            shifted[i][i - 1] = branch[i - 1] * lambda[i - 1] * step_s;
        }
        term[i][i] = ret[i][i] = 1;
    }
    for (int k = 1; k <= SERIES_TERMS; k++) {
        for (size_t i = n; i-- > 0;) { /* row i of (shifted * term) needs rows i and i - 1 */
            for (size_t j = 0; j <= i; j++) {
                double sum = shifted[i][i] * term[i][j];
                sum += i > 0 ? shifted[i][i - 1] * term[i - 1][j] : 0;
                term[i][j] = sum / k;
                ret[i][j] += term[i][j];
            }
        }
    }
    double back = exp(-fastest * step_s);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            ret[i][j] *= back;
        }
    }
}

static void chain_square(chain_matrix m, size_t n) {
    chain_matrix product = {{0}};
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            for (size_t k = j; k <= i; k++) {
                product[i][j] += m[i][k] * m[k][j];
            }
        }
    }
    memcpy(m, product, sizeof product);
}

/* Bateman's solution; needs well separated rates. */
static void chain_bateman(const double *lambda, const double *branch, size_t n, double time_s,
                          chain_matrix ret) {
    memset(ret, 0, sizeof(chain_matrix));
    for (size_t from = 0; from < n; from++) {
        double feed = 1;
        for (size_t to = from; to < n; to++) {
            double sum = 0;
            for (size_t i = from; i <= to; i++) {
                double product = 1;
                for (size_t j = from; j <= to; j++) {
                    product *= j == i ? 1 : lambda[j] - lambda[i];
                }
                sum += exp(-lambda[i] * time_s) / product;
            }
            ret[to][from] = feed * sum;
            feed *= branch[to] * lambda[to];
        }
    }
}

static bool separated(const double *lambda, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (fabs(lambda[i] - lambda[j]) < 1e-3 * fmax(lambda[i], lambda[j])) {
                return false;
            }
        }
    }
    return true;
}

static int chain_check(const double *half_life_s, const double *branch, const double *activity,
                       size_t count, double time_s) {
    if (count == 0 || count > DECAY_CHAIN_MAX) {
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        if (!(half_life_s[i] > 0) || isinf(half_life_s[i]) || !(activity[i] >= 0) ||
            isinf(activity[i]) || (i + 1 < count && !(branch[i] >= 0 && branch[i] <= 1))) {
            return ERR_RANGE;
        }
    }
    return time_s >= 0 && !isinf(time_s) ? 0 : ERR_RANGE;
}

int decay_chain(const double *half_life_s, const double *branch, const double *activity,
                size_t count, double time_s, double *ret_activity) {
    double lambda[DECAY_CHAIN_MAX], start[DECAY_CHAIN_MAX], fastest = 0;
    chain_matrix m;
    int rc = chain_check(half_life_s, branch, activity, count, time_s);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        lambda[i] = LN2 / half_life_s[i];
        start[i] = activity[i] / lambda[i];
        fastest = fmax(fastest, lambda[i]);
    }
    int halvings = 0;
    (void)frexp(fastest * time_s, &halvings);
    halvings = halvings > 0 ? halvings : 0;
    if (halvings > SCALINGS_MAX && separated(lambda, count)) {
        chain_bateman(lambda, branch, count, time_s, m);
    } else {
        chain_step(lambda, branch, count, ldexp(time_s, -halvings), m);
        for (int i = 0; i < halvings; i++) {
            chain_square(m, count);
        }
    }
    for (size_t i = 0; i < count; i++) {
        double atoms = 0;
        for (size_t j = 0; j <= i; j++) {
            atoms += m[i][j] * start[j];
        }
        ret_activity[i] = atoms * lambda[i];
    }
    return 0;
}

static const struct nuclide nuclides[] = {
    {"I-131", 8.0207 * DAY_S, 2.0e-8, 2.44e-16, 1.69e-14, DECAY_IODINE},
    {"I-132", 2.295 * HOUR_S, 9.4e-11, 1.50e-15, 1.04e-13, DECAY_IODINE},
    {"Te-132", 3.204 * DAY_S, 2.0e-9, 1.23e-16, 9.04e-15, DECAY_AEROSOL},
    {"Cs-134", 2.0648 * YEAR_S, 2.0e-8, 9.98e-16, 7.02e-14, DECAY_AEROSOL},
    {"Cs-137", 30.167 * YEAR_S, 3.9e-8, 7.85e-18 + 0.944 * 3.90e-16, 3.89e-16 + 0.944 * 2.66e-14,
     DECAY_AEROSOL},
    {"Co-60", 5.2713 * YEAR_S, 3.1e-8, 1.54e-15, 1.18e-13, DECAY_AEROSOL},
    {"Ru-106", 373.59 * DAY_S, 6.6e-8, 1.69e-20 + 3.43e-16, 9.7e-19 + 1.47e-14, DECAY_AEROSOL},
    {"Xe-133", 5.243 * DAY_S, (double)NAN, 2.09e-17, 1.22e-15, DECAY_NOBLE_GAS},
    {"Kr-85", 10.756 * YEAR_S, (double)NAN, 1.67e-17, 6.67e-16, DECAY_NOBLE_GAS},
};

const struct nuclide *decay_nuclide_at(size_t i) {
    return i < sizeof nuclides / sizeof *nuclides ? &nuclides[i] : NULL;
}

const struct nuclide *decay_nuclide(const char *name) {
    for (size_t i = 0; i < sizeof nuclides / sizeof *nuclides; i++) {
        if (strcmp(nuclides[i].name, name) == 0) {
            return &nuclides[i];
        }
    }
    return NULL;
}

double decay_dry_velocity_m_s(enum decay_deposition kind) {
    static const double velocities[] = {0, 1e-3, 1e-2, 1e-4};
    return velocities[kind];
}

double decay_washout_s(enum decay_deposition kind, double rain_mm_h) {
    static const double a[] = {0, 8e-5, 8e-5, 8e-7}, b[] = {1, 0.8, 0.6, 0.6};
    return a[kind] * pow(rain_mm_h, b[kind]);
}
