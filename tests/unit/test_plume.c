/* Plumes, puffs, classes and surface-layer spread, against numbers computed by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/dispersion/plume.h"

#define PI 3.14159265358979323846

static void near_to(double value, double expected, double relative) {
    if (!(fabs(value - expected) <= relative * fabs(expected))) {
        fail_msg("%.17g is not %.17g", value, expected);
    }
}

static void test_curves(void **state) {
    (void)state;
    double sy = 0, sz = 0;
    assert_int_equal(plume_sigma_briggs(PLUME_RURAL, PLUME_D, 1000, &sy, &sz), 0);
    near_to(sy, 80 / sqrt(1.1), 1e-14);
    near_to(sz, 60 / sqrt(2.5), 1e-14);
    assert_int_equal(plume_sigma_briggs(PLUME_RURAL, PLUME_F, 1000, &sy, &sz), 0);
    near_to(sz, 16 / 1.3, 1e-14);
    assert_int_equal(plume_sigma_briggs(PLUME_URBAN, PLUME_B, 1000, &sy, &sz), 0);
    near_to(sy, 320 / sqrt(1.4), 1e-14);
    near_to(sz, 240 * sqrt(2.0), 1e-14);
    assert_int_equal(plume_sigma_briggs(PLUME_URBAN, PLUME_C, 1000, &sy, &sz), 0);
    near_to(sz, 200, 1e-14);
    sy = -1;
    assert_int_equal(plume_sigma_briggs(PLUME_RURAL, PLUME_A, 0, &sy, &sz), ERR_RANGE);
    assert_int_equal(plume_sigma_briggs(PLUME_RURAL, PLUME_A, (double)NAN, &sy, &sz), ERR_RANGE);
    assert_true(sy == -1);
}

/* Nothing leaves through ground or lid: the profile integrates to 1, also where the sum of images
 * gives way to the mixed layer. */
static void test_mass(void **state) {
    (void)state;
    const double sigmas[] = {5, 40, 200, 700, 790, 850};
    for (size_t i = 0; i < sizeof sigmas / sizeof *sigmas; i++) {
        double sum = 0;
        for (int k = 0; k < 50000; k++) {
            sum += plume_vertical((k + 0.5) * 0.01, 60, sigmas[i], 500) * 0.01;
        }
        near_to(sum, 1, 1e-9);
        assert_true(plume_vertical(501, 60, sigmas[i], 500) == 0);
    }
    double sum = 0;
    for (int k = 0; k < 100000; k++) {
        sum += plume_vertical((k + 0.5) * 0.01, 30, 40, (double)NAN) * 0.01;
    }
    near_to(sum, 1, 1e-9);
}

/* The flux of a plume through a plane across the wind is its rate; a row of puffs is a plume. */
static void test_plume_and_puffs(void **state) {
    (void)state;
    double flux = 0;
    for (int i = -400; i < 400; i++) {
        for (int k = 0; k < 600; k++) {
            flux += 3 * plume_concentration(7, 3, 20, 12, i * 1.0, (k + 0.5) * 0.5, 30, 300) * 0.5;
        }
    }
    near_to(flux, 7, 1e-9);
    near_to(plume_concentration(1, 2, 10, 5, 0, 0, 0, (double)NAN), 1 / (PI * 2 * 10 * 5), 1e-14);
    near_to(puff_concentration(3, 10, 5, 0, 0, 0, 0, (double)NAN),
            2 * 3 / (pow(2 * PI, 1.5) * 10 * 10 * 5), 1e-14);
    double row = 0;
    for (int i = -2000; i < 2000; i++) {
        row += puff_concentration(7.0 / 3, 20, 12, i * 1.0, 15, 2, 30, 300);
    }
    near_to(row, plume_concentration(7, 3, 20, 12, 15, 2, 30, 300), 1e-12);
}

static void test_classes(void **state) {
    (void)state;
    const struct {
        double obukhov_m, z0_m;
        enum plume_class expected;
    } golder[] = {
        {-5, 0.1, PLUME_A},
        {-10, 0.1, PLUME_B},
        {-30, 0.1, PLUME_C},
        {-100, 0.1, PLUME_D},
        {(double)INFINITY, 1, PLUME_D},
        {100, 0.1, PLUME_D},
        {50, 0.1, PLUME_E},
        {15, 0.1, PLUME_F},
        {-84, 0.006, PLUME_D},
    };
    enum plume_class c = PLUME_A;
    for (size_t i = 0; i < sizeof golder / sizeof *golder; i++) {
        assert_int_equal(plume_class_golder(golder[i].obukhov_m, golder[i].z0_m, &c), 0);
        assert_int_equal(c, golder[i].expected);
    }
    assert_int_equal(plume_class_golder(0, 0.1, &c), ERR_RANGE);
    assert_int_equal(plume_class_golder((double)NAN, 0.1, &c), ERR_RANGE);
    assert_int_equal(plume_class_turner(1.9, PLUME_SUN_STRONG, &c), 0);
    assert_int_equal(c, PLUME_A);
    assert_int_equal(plume_class_turner(2.0, PLUME_NIGHT_CLEAR, &c), 0);
    assert_int_equal(c, PLUME_F);
    assert_int_equal(plume_class_turner(9, PLUME_NIGHT_CLEAR, &c), 0);
    assert_int_equal(c, PLUME_D);
    assert_int_equal(plume_class_turner((double)NAN, PLUME_NIGHT_CLEAR, &c), ERR_RANGE);
}

static void test_similarity(void **state) {
    (void)state;
    struct plume_surface s = {0.4, (double)INFINITY, 0.01, 5, 2, 0.1};
    double sy = 0, sz = 0, u = 0;
    assert_int_equal(plume_surface_check(&s, NULL), 0);
    /* Neutral: a logarithmic profile, checked by hand, and the transport wind is the profile's at
     * the mean height of the spread that it gives. */
    near_to(plume_surface_wind(&s, 10), 5 * log(1000.0) / log(200.0), 1e-14);
    assert_int_equal(plume_similarity(&s, 0.5, 400, &sy, &sz, &u), 0);
    near_to(sz, 0.57 * 0.4 / u * 400, 1e-12);
    near_to(sy, 0.1 * 400 / (1 + 0.0308 * pow(400, 0.4548)), 1e-14);
    double mean = sqrt(2 / PI) * sz * exp(-0.125 / (sz * sz)) + 0.5 * erf(0.5 / (sqrt(2) * sz));
    near_to(u, plume_surface_wind(&s, mean), 1e-5);
    double neutral = sz;
    s.obukhov_m = 30;
    assert_int_equal(plume_similarity(&s, 0.5, 400, &sy, &sz, &u), 0);
    assert_true(sz < neutral);
    s.obukhov_m = -30;
    assert_int_equal(plume_similarity(&s, 0.5, 400, &sy, &sz, &u), 0);
    assert_true(sz > neutral);
    assert_int_equal(plume_similarity(&s, 0.5, 0, &sy, &sz, &u), ERR_RANGE);
    s.ustar_m_s = (double)NAN;
    assert_int_equal(plume_surface_check(&s, NULL), ERR_RANGE);
    s.ustar_m_s = 0.4;
    s.obukhov_m = 0;
    assert_int_equal(plume_surface_check(&s, NULL), ERR_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_curves),          cmocka_unit_test(test_mass),
        cmocka_unit_test(test_plume_and_puffs), cmocka_unit_test(test_classes),
        cmocka_unit_test(test_similarity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
