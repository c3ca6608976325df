#include "models/dispersion/nnls.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"

#define TOLERANCE 1e-10

struct work {
    size_t n, count;
    size_t *set; /* passive: free to be above 0 */
    bool *free;
    double *factor, *trial; /* [n * n], [n] */
};

int nnls_cholesky(double *m, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = m[i * n + j];
            for (size_t k = 0; k < j; k++) {
                sum -= m[i * n + k] * m[j * n + k];
            }
            if (i != j) {
                m[i * n + j] = sum / m[j * n + j];
            } else if (sum > 0) {
                m[i * n + i] = sqrt(sum);
            } else {
                return ERR_RANGE;
            }
        }
    }
    return 0;
}

/* The unconstrained solution over the passive set, into trial. */
static int solve_passive(struct work *w, const double *gram, const double *right) {
    size_t c = w->count;
    for (size_t i = 0; i < c; i++) {
        for (size_t j = 0; j <= i; j++) {
            w->factor[i * c + j] = gram[w->set[i] * w->n + w->set[j]];
        }
    }
    if (nnls_cholesky(w->factor, c) != 0) {
        return ERR_RANGE;
    }
    for (size_t i = 0; i < c; i++) {
        double sum = right[w->set[i]];
        for (size_t k = 0; k < i; k++) {
            sum -= w->factor[i * c + k] * w->trial[k];
        }
        w->trial[i] = sum / w->factor[i * c + i];
    }
    for (size_t i = c; i-- > 0;) {
        double sum = w->trial[i];
        for (size_t k = i + 1; k < c; k++) {
            sum -= w->factor[k * c + i] * w->trial[k];
        }
        w->trial[i] = sum / w->factor[i * c + i];
    }
    return 0;
}

/* Goes towards the trial until something becomes 0; true when nothing did. */
static bool go(struct work *w, double *q) {
    double step = 1;
    for (size_t i = 0; i < w->count; i++) {
        if (w->trial[i] <= 0) {
            double at = q[w->set[i]];
            step = fmin(step, at / (at - w->trial[i]));
        }
    }
    size_t kept = 0;
    bool all = step >= 1;
    for (size_t i = 0; i < w->count; i++) {
        size_t k = w->set[i];
        q[k] += step * (w->trial[i] - q[k]);
        if (!all && q[k] <= 1e-14 * fabs(w->trial[i]) + 1e-300) {
            q[k] = 0;
            w->free[k] = false;
        } else {
            w->set[kept++] = k;
        }
    }
    w->count = kept;
    return all;
}

static int iterate(struct work *w, const double *gram, const double *right, double *q) {
    double scale = 0;
    for (size_t i = 0; i < w->n; i++) {
        scale = fmax(scale, fabs(right[i]));
    }
    for (size_t step = 0; step < 30 * w->n + 30; step++) {
        double best = TOLERANCE * scale;
        size_t enter = w->n;
        for (size_t i = 0; i < w->n; i++) {
            double gradient = right[i];
            for (size_t k = 0; k < w->n; k++) {
                gradient -= gram[i * w->n + k] * q[k];
            }
            if (!w->free[i] && gradient > best) {
                best = gradient;
                enter = i;
            }
        }
        if (enter == w->n) {
            return 0;
        }
        w->free[enter] = true;
        w->set[w->count++] = enter;
        do {
            int rc = solve_passive(w, gram, right);
            if (rc != 0) {
                return rc;
            }
        } while (!go(w, q));
    }
    return ERR_LIMIT;
}

int nnls_solve(const double *gram, const double *right, size_t n, double *ret_q) {
    if (n == 0 || n > NNLS_MAX) {
        return ERR_RANGE;
    }
    struct work w = {n,
                     0,
                     calloc(n, sizeof(size_t)),
                     calloc(n, sizeof(bool)),
                     calloc(n * n, sizeof(double)),
                     calloc(n, sizeof(double))};
    double *q = calloc(n, sizeof *q);
    int rc = w.set == NULL || w.free == NULL || w.factor == NULL || w.trial == NULL || q == NULL
                 ? ERR_MEMORY
                 : iterate(&w, gram, right, q);
    if (rc == 0) {
        memcpy(ret_q, q, n * sizeof *q);
    }
    free(w.set);
    free(w.free);
    free(w.factor);
    free(w.trial);
    free(q);
    return rc;
}
