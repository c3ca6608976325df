#include "models/dispersion/srs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/dispersion/nnls.h"

enum { ROUNDS = 60 };
#define SMALLEST 1e-9 /* prior deviation of a bin that is not needed, of the largest */
#define PI       3.14159265358979323846

struct work {
    const struct srs_problem *p;
    double *gram, *right, *factor; /* [bins * bins], [bins], [bins * bins] */
    double *prior, *weight;        /* deviation of each bin; 1 / sigma of each reading */
    struct srs_result *result;
};

static int check(const struct srs_problem *p, struct srs_result *result, struct err *ret_err) {
    if (p->bins == 0 || p->bins > NNLS_MAX || !(p->relative > 0) || !(p->absolute > 0)) {
        return err_set(ret_err, ERR_LIMIT, "1 to %d bins and errors above 0", NNLS_MAX);
    }
    for (size_t i = 0; i < p->observations; i++) {
        double sum = 0;
        for (size_t k = 0; k < p->bins; k++) {
            double m = p->sensitivity[i * p->bins + k];
            if (!(m >= 0) || isinf(m)) {
                return err_set(ret_err, ERR_RANGE, "sensitivity of reading %zu, bin %zu cannot be",
                               i + 1, k + 1);
            }
            sum += m;
        }
        if (p->reading[i] < 0 || isinf(p->reading[i])) {
            return err_set(ret_err, ERR_RANGE, "reading %zu cannot be", i + 1);
        }
        result->used += isnan(p->reading[i]) ? 0 : 1;
        result->detections += p->reading[i] > 0 && sum > 0 ? 1 : 0;
    }
    return result->detections >= 3
               ? 0
               : err_set(ret_err, ERR_NOT_FOUND,
                         "not enough data: %zu detections that the source can reach, 3 are needed",
                         result->detections);
}

static void weigh(struct work *w) {
    const struct srs_problem *p = w->p;
    for (size_t i = 0; i < p->observations; i++) {
        double r = p->relative * fmax(p->reading[i], w->result->model[i]);
        w->weight[i] = isnan(p->reading[i]) ? 0 : 1 / hypot(p->absolute, r);
    }
}

static int solve(struct work *w) {
    const struct srs_problem *p = w->p;
    size_t n = p->bins;
    memset(w->gram, 0, n * n * sizeof *w->gram);
    memset(w->right, 0, n * sizeof *w->right);
    for (size_t i = 0; i < p->observations; i++) {
        const double *row = p->sensitivity + i * n;
        double square = w->weight[i] * w->weight[i];
        for (size_t k = 0; k < n && square > 0; k++) {
            w->right[k] += square * row[k] * p->reading[i];
            for (size_t j = 0; j <= k && row[k] > 0; j++) {
                w->gram[k * n + j] += square * row[k] * row[j];
            }
        }
    }
    for (size_t k = 0; k < n; k++) {
        w->gram[k * n + k] += 1 / (w->prior[k] * w->prior[k]);
        for (size_t j = 0; j < k; j++) {
            w->gram[j * n + k] = w->gram[k * n + j];
        }
    }
    return nnls_solve(w->gram, w->right, n, w->result->emission);
}

/* Posterior deviations from the inverse of the Gram matrix, of each bin and of the sum. */
static int spread(struct work *w) {
    size_t n = w->p->bins;
    double total = 0, *column = calloc(n, sizeof *column);
    memcpy(w->factor, w->gram, n * n * sizeof *w->factor);
    int rc = column == NULL ? ERR_MEMORY : nnls_cholesky(w->factor, n);
    for (size_t k = 0; rc == 0 && k < n; k++) {
        for (size_t i = 0; i < n; i++) {
            double sum = i == k ? 1 : 0;
            for (size_t j = 0; j < i; j++) {
                sum -= w->factor[i * n + j] * column[j];
            }
            column[i] = sum / w->factor[i * n + i];
        }
        for (size_t i = n; i-- > 0;) {
            double sum = column[i];
            for (size_t j = i + 1; j < n; j++) {
                sum -= w->factor[j * n + i] * column[j];
            }
            column[i] = sum / w->factor[i * n + i];
            total += column[i];
        }
        w->result->sd[k] = sqrt(column[k]);
    }
    w->result->total_sd = sqrt(fmax(total, 0));
    free(column);
    return rc;
}

static void predict(struct work *w) {
    size_t n = w->p->bins;
    w->result->total = 0;
    for (size_t k = 0; k < n; k++) {
        w->result->total += w->result->emission[k];
    }
    for (size_t i = 0; i < w->p->observations; i++) {
        w->result->model[i] = 0;
        for (size_t k = 0; k < n; k++) {
            w->result->model[i] += w->p->sensitivity[i * n + k] * w->result->emission[k];
        }
    }
}

static double evidence(const struct work *w) {
    size_t n = w->p->bins;
    double sum = 0;
    for (size_t i = 0; i < w->p->observations; i++) {
        if (w->weight[i] > 0) {
            double r = (w->p->reading[i] - w->result->model[i]) * w->weight[i];
            sum += -0.5 * r * r + log(w->weight[i] / sqrt(2 * PI));
        }
    }
    for (size_t k = 0; k < n; k++) {
        double q = w->result->emission[k] / w->prior[k];
        sum += -0.5 * q * q - log(w->prior[k]) - log(w->factor[k * n + k]);
    }
    return sum;
}

/* Every bin begins with what the largest reading asks of the bin that it sees best. */
static void begin(struct work *w) {
    const struct srs_problem *p = w->p;
    double top = 0, most = 0;
    for (size_t i = 0; i < p->observations; i++) {
        top = fmax(top, p->reading[i]);
        for (size_t k = 0; k < p->bins; k++) {
            most = fmax(most, p->reading[i] > 0 ? p->sensitivity[i * p->bins + k] : 0);
        }
    }
    for (size_t k = 0; k < p->bins; k++) {
        w->prior[k] = 10 * top / most;
    }
}

static int iterate(struct work *w) {
    begin(w);
    int rc = 0;
    for (int round = 0; rc == 0 && round < ROUNDS; round++) {
        double largest = 0;
        weigh(w);
        rc = solve(w);
        predict(w);
        rc = rc != 0 ? rc : spread(w);
        for (size_t k = 0; rc == 0 && k < w->p->bins; k++) {
            largest = fmax(largest, hypot(w->result->emission[k], w->result->sd[k]));
        }
        for (size_t k = 0; rc == 0 && round + 1 < ROUNDS && k < w->p->bins; k++) {
            double learned = hypot(w->result->emission[k], w->result->sd[k]);
            w->prior[k] = fmax(learned, SMALLEST * largest);
        }
    }
    return rc;
}

int srs_invert(const struct srs_problem *problem, struct srs_result *ret_result,
               struct err *ret_err) {
    size_t n = problem->bins, m = problem->observations;
    struct srs_result result = {0};
    int rc = check(problem, &result, ret_err);
    if (rc != 0) {
        return rc;
    }
    struct work w = {.p = problem,
                     .gram = calloc(n * n, sizeof(double)),
                     .right = calloc(n, sizeof(double)),
                     .factor = calloc(n * n, sizeof(double)),
                     .prior = calloc(n, sizeof(double)),
                     .weight = calloc(m, sizeof(double)),
                     .result = &result};
    result.emission = calloc(n, sizeof(double));
    result.sd = calloc(n, sizeof(double));
    result.model = calloc(m, sizeof(double));
    rc = w.gram == NULL || w.right == NULL || w.factor == NULL || w.prior == NULL ||
                 w.weight == NULL || result.emission == NULL || result.sd == NULL ||
                 result.model == NULL
             ? ERR_MEMORY
             : iterate(&w);
    result.ln_evidence = rc == 0 ? evidence(&w) : 0;
    free(w.gram);
    free(w.right);
    free(w.factor);
    free(w.prior);
    free(w.weight);
    if (rc != 0) {
        srs_finish(&result);
        return err_set(ret_err, rc, "the inversion did not settle");
    }
    *ret_result = result;
    return 0;
}

void srs_finish(struct srs_result *result) {
    free(result->emission);
    free(result->sd);
    free(result->model);
    *result = (struct srs_result){0};
}
