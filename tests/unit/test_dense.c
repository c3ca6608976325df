/* Britter and McQuaid against the worked example for LNG of CCPS (1999): gas of 1.76 kg/m3 at
 * 111.15 K in air of 298 K, 0.23 m3/s of liquid of 425.6 kg/m3, wind 10.9 m/s. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/dispersion/dense_puff.h"

static const struct dense_release lng = {
    .rate_kg_s = 0.23 * 425.6,
    .gas_density_kg_m3 = 1.76,
    .air_density_kg_m3 = 101325 * 0.0289652 / (8.31446 * 298),
    .gas_temperature_k = 111.15,
    .air_temperature_k = 298,
    .wind_m_s = 10.9,
};

static void test_worked_example(void **state) {
    (void)state;
    static const double expected[][2] = {{45.2, 0.6720}, {367, 0.05072}, {1200, 0.004921}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        double share = 0;
        assert_int_equal(dense_share(&lng, expected[i][0], &share), 0);
        print_message("%.1f m: %.5f, example %.5f\n", expected[i][0], share, expected[i][1]);
        assert_true(fabs(share / expected[i][1] - 1) < 0.01);
    }
}

/* It never grows with distance, whatever the buoyancy, and the box lets through what was released.
 */
static void test_falls_and_conserves(void **state) {
    (void)state;
    for (double wind = 1; wind < 15; wind += 3) {
        struct dense_release r = lng;
        double before = 1;
        r.wind_m_s = wind;
        for (double x = 1; x < 20000; x *= 1.3) {
            double share = 0, half = 0, high = 0, inside = 0;
            assert_int_equal(dense_share(&r, x, &share), 0);
            assert_true(share > 0 && share <= before * (1 + 1e-12));
            before = share;
            double step = 1e-3;
            for (half = step; dense_share_at(&r, x, half, 0, &inside) == 0 && inside > 0;) {
                half *= 1.005;
            }
            for (high = step; dense_share_at(&r, x, 0, high, &inside) == 0 && inside > 0;) {
                high *= 1.005;
            }
            double flow = 2 * half * high * share * wind, released = r.rate_kg_s / 1.76;
            assert_true(fabs(flow / released - 1) < 2e-2);
        }
    }
}

static void test_bad_input(void **state) {
    (void)state;
    double share = 7;
    struct dense_release light = lng, calm = lng, none = lng;
    light.gas_density_kg_m3 = 1.0;
    calm.wind_m_s = 0;
    none.gas_temperature_k = (double)NAN;
    assert_int_equal(dense_share(&light, 100, &share), ERR_RANGE);
    assert_int_equal(dense_share(&calm, 100, &share), ERR_RANGE);
    assert_int_equal(dense_share(&none, 100, &share), ERR_RANGE);
    assert_int_equal(dense_share(&lng, 0, &share), ERR_RANGE);
    assert_int_equal(dense_share(&lng, (double)NAN, &share), ERR_RANGE);
    assert_true(share == 7);
    assert_int_equal(dense_share_at(&lng, -5, 0, 0, &share), 0);
    assert_true(share == 0);
}

/* The distances of the curves at three points as another program tabulates them (GasDispersion.jl,
 * test of its puff correlations): there the share is that of the curve. */
static void test_puff_curves(void **state) {
    (void)state;
    static const double shares[] = {0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001};
    static const struct {
        double a, log_distance[7];
    } points[] = {{-0.75, {0.7, 0.85, 0.95, 1.15, 1.48, 1.83, 2.075}},
                  {0.0, {0.81, 1.0, 1.19, 1.39, 1.62, 1.83, 2.05}},
                  {0.75, {0.93, 1.03, 1.185, 1.375, 1.525, 1.68, 1.8475}}};
    for (size_t i = 0; i < 3; i++) {
        /* 1,000 m3 of 2.4 kg/m3 in air of 1.2: g0' = 9.81, V0^(1/3) = 10 m */
        struct dense_puff p = {{240, 2.4, 1.2, 300, 300, sqrt(98.1) / pow(10, points[i].a)}, 10};
        for (size_t k = 0; k < 7; k++) {
            double share = 0;
            assert_int_equal(dense_puff_share(&p, 10 * pow(10, points[i].log_distance[k]), &share),
                             0);
            assert_true(fabs(share / shares[k] - 1) < 1e-9);
        }
        double before = 1;
        for (double x = 0.1; x < 50000; x *= 1.2) {
            double share = 0;
            assert_int_equal(dense_puff_share(&p, x, &share), 0);
            assert_true(share > 0 && share <= before * (1 + 1e-12));
            before = share;
        }
    }
}

/* 0.2 and 0.15 decide whether it is dense; u T / x of 0.6 and 2.5 which correlation holds; the
 * front comes before the rear, farther away later. */
static void test_puff_switches(void **state) {
    (void)state;
    struct dense_puff p = {{240, 2.4, 1.2, 300, 300, 4}, 10};
    bool dense = false;
    assert_int_equal(dense_puff_is(&p, &dense), 0);
    assert_true(dense);
    /* g0' and V0 so small that (g0' V0^(1/3))^(1/2) / u = 0.199 and 0.201, and the flow far below
     */
    for (int above = 0; above < 2; above++) {
        double ratio = above ? 0.201 : 0.199, u = 3, length = pow(ratio * u, 2) / 9.81;
        double mass = 2.4 * pow(length, 3);
        struct dense_puff small = {{mass / 1e6, 2.4, 1.2, 300, 300, u}, 1e6};
        assert_int_equal(dense_puff_is(&small, &dense), 0);
        assert_true(dense == (above == 1));
    }
    struct dense_puff light = p;
    light.release.gas_density_kg_m3 = 1.1;
    assert_int_equal(dense_puff_is(&light, &dense), 0);
    assert_true(!dense);
    light.release.gas_density_kg_m3 = (double)NAN;
    assert_int_equal(dense_puff_is(&light, &dense), ERR_RANGE);

    struct dense_passage seen, far;
    double steady = 0, share = 0;
    assert_int_equal(dense_puff_at(&p, 15, 0, 0, &seen), 0); /* u T / x = 2.7: continuous */
    assert_int_equal(dense_share_at(&p.release, 15, 0, 0, &steady), 0);
    assert_true(seen.share == steady && seen.last_s - seen.arrival_s == 10);
    assert_int_equal(dense_puff_at(&p, 300, 0, 0, &seen), 0); /* 0.13: at once */
    assert_int_equal(dense_puff_share(&p, 300, &share), 0);
    assert_true(seen.share == share && seen.arrival_s > 0 && seen.last_s > seen.arrival_s);
    assert_int_equal(dense_puff_at(&p, 600, 0, 0, &far), 0);
    assert_true(far.arrival_s > seen.arrival_s && far.share < seen.share);
    assert_int_equal(dense_puff_at(&p, 40, 0, 0, &seen), 0); /* 1: the smaller of both */
    assert_int_equal(dense_share_at(&p.release, 40, 0, 0, &steady), 0);
    assert_int_equal(dense_puff_share(&p, 40, &share), 0);
    assert_true(seen.share == fmin(steady, share));
    assert_int_equal(dense_puff_at(&p, 300, 5000, 0, &seen), 0);
    assert_true(seen.share == 0 && isnan(seen.arrival_s));
    assert_int_equal(dense_puff_at(&p, -50, 0, 0, &seen), 0);
    assert_true(seen.share == 0);
    p.duration_s = 0;
    assert_int_equal(dense_puff_at(&p, 300, 0, 0, &seen), ERR_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_example), cmocka_unit_test(test_falls_and_conserves),
        cmocka_unit_test(test_bad_input),      cmocka_unit_test(test_puff_curves),
        cmocka_unit_test(test_puff_switches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
