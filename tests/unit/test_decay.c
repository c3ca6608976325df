/* Decay and chains against closed forms in extended precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/radiation/decay.h"

static void near_to(double value, double expected, double relative) {
    if (!(fabs(value - expected) <= relative * fabs(expected))) {
        fail_msg("%.17g is not %.17g", value, expected);
    }
}

static void test_single(void **state) {
    (void)state;
    near_to(decay_left(10, 20), 0.25, 1e-15);
    assert_true(decay_left((double)INFINITY, 1e9) == 1);
    const double half = 10, branch = 0, start = 8;
    double left = 0;
    assert_int_equal(decay_chain(&half, &branch, &start, 1, 30, &left), 0);
    near_to(left, 1, 1e-14);
}

/* Two members: A2 = A1 l2/(l2-l1) (e1 - e2) + A2(0) e2, the difference through expm1l. */
static double second(double h1, double h2, double branch, double a1, double a2, double t) {
    long double l1 = logl(2) / (long double)h1, l2 = logl(2) / (long double)h2;
    long double d = l2 - l1, e2 = expl(-l2 * (long double)t);
    long double grown = d == 0 ? (long double)t : expm1l(d * (long double)t) / d;
    return (double)((long double)(branch * a1) * l2 * e2 * grown + (long double)a2 * e2);
}

static void test_pairs(void **state) {
    (void)state;
    const double halves[][2] = {{276825.6, 8262}, {952e6, 153.12},      {1608, 1194},
                                {1000, 1000},     {1000, 1000.0000001}, {8262, 276825.6}};
    const double times[] = {0, 1e-3, 1, 60, 3600, 86400, 3e7};
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        for (size_t k = 0; k < sizeof times / sizeof *times; k++) {
            const double branch[] = {0.944, 0}, start[] = {5, 0.25};
            double out[2] = {-1, -1};
            assert_int_equal(decay_chain(halves[i], branch, start, 2, times[k], out), 0);
            if (times[k] / fmin(halves[i][0], halves[i][1]) < 900 || halves[i][0] > halves[i][1]) {
                near_to(out[0], 5 * decay_left(halves[i][0], times[k]), 1e-9);
            }
            double expected = second(halves[i][0], halves[i][1], 0.944, 5, 0.25, times[k]);
            if (isfinite(expected) && expected > 1e-250) {
                near_to(out[1], expected, 1e-9);
            }
        }
    }
}

/* A long chain keeps its atoms: those left and those gone add up to the start. */
static void test_long_chain(void **state) {
    (void)state;
    const double halves[] = {186, 1608, 1194, 1e12}, branch[] = {1, 1, 1, 0};
    const double start[] = {100, 0, 0, 0};
    double out[4];
    assert_int_equal(decay_chain(halves, branch, start, 4, 5000, out), 0);
    double atoms = 0;
    for (size_t i = 0; i < 4; i++) {
        assert_true(out[i] > 0);
        atoms += out[i] * halves[i];
    }
    near_to(atoms, 100 * 186, 1e-8); /* the last one decays by 3e-9 */
}

static void test_refusals(void **state) {
    (void)state;
    const double half[] = {1, 2}, branch[] = {0.5, 0}, start[] = {1, (double)NAN};
    const double over[] = {1.5, 0}, good[] = {1, 1}, zero[] = {0, 1};
    double out[2] = {-7, -7};
    assert_int_equal(decay_chain(half, branch, start, 2, 1, out), ERR_RANGE);
    assert_int_equal(decay_chain(half, over, good, 2, 1, out), ERR_RANGE);
    assert_int_equal(decay_chain(zero, branch, good, 2, 1, out), ERR_RANGE);
    assert_int_equal(decay_chain(half, branch, good, 2, -1, out), ERR_RANGE);
    assert_int_equal(decay_chain(half, branch, good, 0, 1, out), ERR_LIMIT);
    assert_int_equal(decay_chain(half, branch, good, DECAY_CHAIN_MAX + 1, 1, out), ERR_LIMIT);
    assert_true(out[0] == -7);
}

static void test_table(void **state) {
    (void)state;
    assert_null(decay_nuclide("Cs137"));
    assert_true(isnan(decay_nuclide("Xe-133")->inhalation_sv_bq));
    near_to(decay_nuclide("I-131")->half_life_s, 692988.48, 1e-12);
    near_to(decay_nuclide("Cs-137")->ground_sv_s_m2, 3.7601e-16, 1e-4);
    near_to(decay_washout_s(DECAY_AEROSOL, 10), 8e-5 * pow(10, 0.8), 1e-14);
    assert_true(decay_washout_s(DECAY_NOBLE_GAS, 10) == 0);
    assert_true(decay_washout_s(DECAY_IODINE, 0) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),     cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_long_chain), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
