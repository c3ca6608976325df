/* Variogram and kriging against cases worked by hand, and against leaving values out for real. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/merge/kriging.h"
#include "models/merge/variogram.h"

enum { MANY = 40 };

#define assert_near(value, wanted, within) assert_true(fabs((value) - (wanted)) <= (within))

static const struct variogram unit = {0.0, 1.0, 10.0, VARIOGRAM_FITTED};

static struct place on_line(double km) {
    return (struct place){(float)km, 0.0F, 0.0F};
}

static void test_two_values_by_hand(void **state) {
    (void)state;
    /* Values 2 and 6 at 0 and 20 km, estimate at 5 km. Two points: with g = gamma,
     * w1 = 1/2 + (g(15) - g(5)) / (2 g(20)), w2 = 1 - w1, and the variance
     * 2 sum wi g(di) - sum sum wi wj g(dij) = 2 (w1 g(5) + w2 g(15)) - 2 w1 w2 g(20). */
    double g5 = 1.0 - exp(-0.5), g15 = 1.0 - exp(-1.5), g20 = 1.0 - exp(-2.0);
    double w1 = 0.5 + (g15 - g5) / (2.0 * g20);
    double w2 = 1.0 - w1;
    const struct place places[] = {on_line(0.0), on_line(20.0)};
    const double values[] = {2.0, 6.0};
    double weights[3], scratch[2];
    struct kriging *kriging = NULL;
    assert_int_equal(kriging_create(2, places, &unit, &kriging), ERR_OK);
    kriging_weigh(kriging, values, weights);
    assert_near(kriging_estimate(kriging, weights, on_line(5.0)), w1 * 2.0 + w2 * 6.0, 1e-12);
    double variance = 2.0 * (w1 * g5 + w2 * g15) - 2.0 * w1 * w2 * g20;
    assert_near(kriging_error(kriging, on_line(5.0), scratch), sqrt(variance), 1e-12);
    /* exact at its own places, without error; far away the mean, which by symmetry is 4 */
    assert_near(kriging_estimate(kriging, weights, on_line(20.0)), 6.0, 1e-12);
    assert_near(kriging_error(kriging, on_line(20.0), scratch), 0.0, 1e-7);
    assert_near(kriging_estimate(kriging, weights, on_line(5000.0)), 4.0, 1e-12);
    assert_near(kriging_leave_one_out(kriging, values, 0), 6.0, 1e-12);
    kriging_destroy(kriging);
}

static void test_refused(void **state) {
    (void)state;
    const struct place same[] = {on_line(3.0), on_line(3.0)};
    struct kriging *kriging = NULL;
    assert_int_equal(kriging_create(2, same, &unit, &kriging), ERR_INVALID);
    assert_int_equal(kriging_create(0, same, &unit, &kriging), ERR_INVALID);
    assert_int_equal(kriging_create(KRIGING_VALUES_MAX + 1, same, &unit, &kriging), ERR_INVALID);
    assert_null(kriging);
    struct variogram variogram;
    assert_int_equal(variogram_fit(0, same, NULL, &variogram), ERR_INVALID);
    assert_null(kriging_destroy(NULL));
}

static void scatter(struct place *places, double *values) {
    uint32_t seed = 5;
    for (int i = 0; i < MANY; i++) {
        double u[2];
        for (int k = 0; k < 2; k++) {
            seed = seed * 1664525U + 1013904223U;
            u[k] = (double)(seed >> 8) / 16777216.0;
        }
        places[i] = place_of(108.0 + u[0], 13.5 + u[1]);
        values[i] = 10.0 + 8.0 * sin(9.0 * u[0]) * cos(7.0 * u[1]);
    }
}

static void test_leave_one_out_is_what_the_others_say(void **state) {
    (void)state;
    struct place places[MANY], others[MANY];
    double values[MANY], rest[MANY], weights[MANY + 1];
    const struct variogram nuggety = {2.0, 30.0, 25.0, VARIOGRAM_FITTED};
    scatter(places, values);
    struct kriging *all = NULL;
    assert_int_equal(kriging_create(MANY, places, &nuggety, &all), ERR_OK);
    for (size_t i = 0; i < MANY; i++) {
        for (size_t j = 0, k = 0; j < MANY; j++) {
            if (j != i) {
                others[k] = places[j];
                rest[k++] = values[j];
            }
        }
        struct kriging *without = NULL;
        assert_int_equal(kriging_create(MANY - 1, others, &nuggety, &without), ERR_OK);
        kriging_weigh(without, rest, weights);
        assert_near(kriging_leave_one_out(all, values, i),
                    kriging_estimate(without, weights, places[i]), 1e-8);
        kriging_destroy(without);
    }
    kriging_weigh(all, values, weights);
    for (size_t i = 0; i < MANY; i++) { /* also with a nugget */
        assert_near(kriging_estimate(all, weights, places[i]), values[i], 1e-9);
    }
    kriging_destroy(all);
}

static void test_variogram_of_a_smooth_field_is_fitted(void **state) {
    (void)state;
    struct place places[MANY];
    double values[MANY];
    struct variogram variogram;
    scatter(places, values);
    assert_int_equal(variogram_fit(MANY, places, values, &variogram), ERR_OK);
    assert_int_equal(variogram.source, VARIOGRAM_FITTED);
    /* The field is smooth: little nugget, and more alike at 5 km than at 40 km. */
    assert_true(variogram.nugget < 0.3 * variogram.sill);
    assert_true(variogram_at(&variogram, 5.0) < 0.5 * variogram_at(&variogram, 40.0));
}

static void test_variogram_falls_back(void **state) {
    (void)state;
    struct place places[MANY];
    double values[MANY];
    struct variogram variogram;
    scatter(places, values);
    assert_int_equal(variogram_fit(5, places, values, &variogram), ERR_OK);
    assert_int_equal(variogram.source, VARIOGRAM_FALLBACK);
    assert_near(variogram.range_km, VARIOGRAM_RANGE_KM, 0.0);
    double mean = 0.0, variance = 0.0;
    for (int i = 0; i < 5; i++) {
        mean += values[i] / 5.0;
    }
    for (int i = 0; i < 5; i++) {
        variance += (values[i] - mean) * (values[i] - mean) / 5.0;
    }
    assert_near(variogram.sill, variance, 1e-12);
    for (int i = 0; i < MANY; i++) {
        values[i] = 0.0;
    }
    assert_int_equal(variogram_fit(MANY, places, values, &variogram), ERR_OK);
    assert_int_equal(variogram.source, VARIOGRAM_FLAT);
}

static void test_distance(void **state) {
    (void)state;
    /* One degree of a great circle of 6371 km, as a chord: 2 * 6371 * sin(0.5 degree). */
    assert_near(place_distance_km(place_of(108.0, 0.0), place_of(109.0, 0.0)), 111.1935, 2e-3);
    assert_near(place_distance_km(place_of(179.5, 10.0), place_of(-180.5, 10.0)), 0.0, 1e-2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_values_by_hand),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_leave_one_out_is_what_the_others_say),
        cmocka_unit_test(test_variogram_of_a_smooth_field_is_fitted),
        cmocka_unit_test(test_variogram_falls_back),
        cmocka_unit_test(test_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
