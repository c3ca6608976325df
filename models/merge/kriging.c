#include "models/merge/kriging.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct kriging {
    size_t count;
    struct variogram variogram;
    struct place *places;
    double *inverse; /* of the covariances, [count * count] */
    double *sums;    /* of its rows */
    double sum;      /* of all of it */
};

/* The inverse of a symmetric positive definite matrix by Cholesky, in place. A page of our own
 * instead of LAPACK: that one gives other bits with other numbers of threads. */
static int invert(size_t n, double *a) {
    for (size_t j = 0; j < n; j++) { /* L in the lower triangle */
        for (size_t i = j; i < n; i++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++) {
                sum -= a[i * n + k] * a[j * n + k];
            }
            if (i == j && !(sum > 0.0)) {
                return ERR_INVALID;
            }
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    }
    for (size_t j = 0; j < n; j++) { /* L^-1 */
        a[j * n + j] = 1.0 / a[j * n + j];
        for (size_t i = j + 1; i < n; i++) {
            double sum = 0.0;
            for (size_t k = j; k < i; k++) {
                sum -= a[i * n + k] * a[k * n + j];
            }
            a[i * n + j] = sum / a[i * n + i];
        }
    }
    for (size_t i = 0; i < n; i++) { /* (L^-1)' L^-1 in the upper triangle, then mirrored */
        for (size_t j = i; j < n; j++) {
            double sum = 0.0;
            for (size_t k = j; k < n; k++) {
                sum += a[k * n + i] * a[k * n + j];
            }
            a[i * n + j] = sum; /* not read again: later sums use columns right of i */
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            a[i * n + j] = a[j * n + i];
        }
    }
    return ERR_OK;
}

int kriging_create(size_t count, const struct place *places, const struct variogram *variogram,
                   struct kriging **ret_kriging) {
    if (count == 0 || count > KRIGING_VALUES_MAX) {
        return ERR_INVALID;
    }
    struct kriging *kriging = calloc(1, sizeof *kriging);
    if (kriging == NULL) {
        return ERR_MEMORY;
    }
    kriging->count = count;
    kriging->variogram = *variogram;
    kriging->places = malloc(count * sizeof *places);
    kriging->inverse = malloc(count * count * sizeof *kriging->inverse);
    kriging->sums = calloc(count, sizeof *kriging->sums);
    if (kriging->places == NULL || kriging->inverse == NULL || kriging->sums == NULL) {
        kriging_destroy(kriging);
        return ERR_MEMORY;
    }
    memcpy(kriging->places, places, count * sizeof *places);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            double distance = place_distance_km(places[i], places[j]);
            if (i != j && distance <= 0.0) {
                kriging_destroy(kriging);
                return ERR_INVALID;
            }
            kriging->inverse[i * count + j] = variogram_covariance(variogram, distance);
        }
    }
    int result = invert(count, kriging->inverse);
    for (size_t i = 0; i < count * count; i++) {
        kriging->sums[i / count] += kriging->inverse[i];
        kriging->sum += kriging->inverse[i];
    }
    if (result != ERR_OK || !(kriging->sum > 0.0)) {
        kriging_destroy(kriging);
        return ERR_INVALID;
    }
    *ret_kriging = kriging;
    return ERR_OK;
}

struct kriging *kriging_destroy(struct kriging *kriging) {
    if (kriging != NULL) {
        free(kriging->places);
        free(kriging->inverse);
        free(kriging->sums);
        free(kriging);
    }
    return NULL;
}

void kriging_weigh(const struct kriging *kriging, const double *values, double *ret_weights) {
    size_t n = kriging->count;
    double mean = 0.0;
    for (size_t i = 0; i < n; i++) {
        mean += kriging->sums[i] * values[i] / kriging->sum;
    }
    for (size_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (size_t j = 0; j < n; j++) {
            sum += kriging->inverse[i * n + j] * (values[j] - mean);
        }
        ret_weights[i] = sum;
    }
    ret_weights[n] = mean;
}

double kriging_estimate(const struct kriging *kriging, const double *weights, struct place place) {
    double estimate = weights[kriging->count];
    for (size_t i = 0; i < kriging->count; i++) {
        double distance = place_distance_km(kriging->places[i], place);
        estimate += weights[i] * variogram_covariance(&kriging->variogram, distance);
    }
    return estimate;
}

double kriging_error(const struct kriging *kriging, struct place place, double *scratch) {
    size_t n = kriging->count;
    double explained = 0.0;
    double ones = 1.0;
    for (size_t i = 0; i < n; i++) {
        double distance = place_distance_km(kriging->places[i], place);
        scratch[i] = variogram_covariance(&kriging->variogram, distance);
        ones -= kriging->sums[i] * scratch[i];
    }
    for (size_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (size_t j = 0; j < i; j++) {
            sum += kriging->inverse[i * n + j] * scratch[j];
        }
        explained += scratch[i] * (2.0 * sum + kriging->inverse[i * n + i] * scratch[i]);
    }
    double variance = kriging->variogram.nugget + kriging->variogram.sill - explained +
                      ones * ones / kriging->sum;
    return sqrt(fmax(variance, 0.0));
}

double kriging_leave_one_out(const struct kriging *kriging, const double *values, size_t i) {
    size_t n = kriging->count;
    if (n < 2) {
        return NAN;
    }
    double error = 0.0; /* row i of C^-1 - C^-1 1 1' C^-1 / 1' C^-1 1, times the values */
    double diagonal = 0.0;
    for (size_t j = 0; j < n; j++) {
        double q = kriging->inverse[i * n + j] - kriging->sums[i] * kriging->sums[j] / kriging->sum;
        error += q * values[j];
        diagonal = j == i ? q : diagonal;
    }
    return values[i] - error / diagonal;
}
