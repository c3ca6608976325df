/* Non-negative least squares by its conditions of optimality, and an emission found again from
 * readings that it made (a twin: it shows that the parts fit together). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/dispersion/nnls.h"
#include "models/dispersion/srs.h"

static double uniform(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(*state >> 11) + 0.5) * 0x1p-53;
}

/* q >= 0, gradient 0 where q is above 0 and pointing outwards where it is 0 (Karush, Kuhn, Tucker).
 */
static void test_nnls_is_optimal(void **state) {
    (void)state;
    enum { N = 12, M = 20 };
    uint64_t random = 3;
    for (int round = 0; round < 200; round++) {
        double a[M][N], b[M], gram[N * N] = {0}, right[N] = {0}, q[N];
        for (size_t i = 0; i < M; i++) {
            b[i] = uniform(&random) - 0.3;
            for (size_t k = 0; k < N; k++) {
                a[i][k] = uniform(&random) - 0.4;
            }
        }
        for (size_t k = 0; k < N; k++) {
            for (size_t i = 0; i < M; i++) {
                right[k] += a[i][k] * b[i];
                for (size_t j = 0; j < N; j++) {
                    gram[k * N + j] += a[i][k] * a[i][j];
                }
            }
        }
        assert_int_equal(nnls_solve(gram, right, N, q), 0);
        for (size_t k = 0; k < N; k++) {
            double gradient = right[k];
            for (size_t j = 0; j < N; j++) {
                gradient -= gram[k * N + j] * q[j];
            }
            assert_true(q[k] >= 0 && gradient < 1e-7);
            assert_true(q[k] == 0 || fabs(gradient) < 1e-7);
        }
    }
}

enum { OBSERVATIONS = 120, BINS = 20 };

static void make(double *sensitivity, double *reading, uint64_t seed) {
    static const double emission[BINS] = {[6] = 100, [7] = 40};
    for (size_t i = 0; i < OBSERVATIONS; i++) {
        double middle = BINS * uniform(&seed);
        reading[i] = 0;
        for (size_t k = 0; k < BINS; k++) {
            double t = (double)k - middle;
            double m = 0.2 * exp(-t * t) * uniform(&seed);
            sensitivity[i * BINS + k] = m;
            reading[i] += m * emission[k];
        }
        reading[i] *= exp(0.3 * (uniform(&seed) - 0.5));
        reading[i] = reading[i] < 0.05 ? 0 : reading[i]; /* not detected */
    }
}

static void test_twin(void **state) {
    (void)state;
    static double sensitivity[OBSERVATIONS * BINS], reading[OBSERVATIONS];
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct srs_problem p = {OBSERVATIONS, BINS, reading, sensitivity, 0.3, 0.05};
        struct srs_result r = {0};
        make(sensitivity, reading, seed);
        reading[5] = (double)NAN; /* left out */
        assert_int_equal(srs_invert(&p, &r, NULL), 0);
        assert_int_equal(r.used, OBSERVATIONS - 1);
        assert_true(fabs(r.total - 140) < 35);
        assert_true(r.emission[6] + r.emission[7] > 0.9 * r.total);
        srs_finish(&r);
    }
}

static void test_bad_input(void **state) {
    (void)state;
    double sensitivity[] = {1, 1, 1}, reading[] = {1, 1, 0}, q = 7;
    struct srs_problem p = {3, 1, reading, sensitivity, 0.3, 0.1};
    struct srs_result r = {.total = 5};
    struct err err = {0};
    assert_int_equal(srs_invert(&p, &r, &err), ERR_NOT_FOUND); /* two detections */
    assert_non_null(strstr(err.text, "not enough data"));
    reading[2] = -1;
    assert_int_equal(srs_invert(&p, &r, &err), ERR_RANGE);
    reading[2] = 1;
    sensitivity[1] = (double)NAN;
    assert_int_equal(srs_invert(&p, &r, &err), ERR_RANGE);
    p.absolute = 0;
    assert_int_equal(srs_invert(&p, &r, &err), ERR_LIMIT);
    assert_true(r.total == 5);
    double singular[] = {0}, right[] = {1};
    assert_int_equal(nnls_solve(singular, right, 1, &q), ERR_RANGE);
    assert_int_equal(nnls_solve(singular, right, 0, &q), ERR_RANGE);
    assert_true(q == 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nnls_is_optimal),
        cmocka_unit_test(test_twin),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
