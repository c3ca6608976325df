/* Britter and McQuaid against the worked example for LNG of CCPS (1999): gas of 1.76 kg/m3 at
 * 111.15 K in air of 298 K, 0.23 m3/s of liquid of 425.6 kg/m3, wind 10.9 m/s. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/dispersion/dense.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_falls_and_conserves),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
