/* The default limits that ship with the program: values as in the source, converted to the unit of
 * the point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "daemon/config/plausibility.h"

static struct units *units;

static int begin(void **state) {
    (void)state;
    struct err err;
    return units_create(&units, &err);
}

static int finish(void **state) {
    (void)state;
    units = units_destroy(units);
    return 0;
}

static struct plausibility limits_of(const char *quantity, const char *unit) {
    struct plausibility limits;
    struct err err;
    assert_int_equal(plausibility_find(units, quantity, unit, &limits, &err), 0);
    return limits;
}

static void assert_close(double value, double want) {
    assert_true(fabs(value - want) < 1e-9);
}

static void test_as_in_the_source(void **state) {
    (void)state;
    struct plausibility limits = limits_of("air_temperature", "degC");
    assert_close(limits.hard_min, -80);
    assert_close(limits.hard_max, 60);
    assert_close(limits.rate_max_per_s, 0.05); /* 3 K a minute */
    limits = limits_of("wind_direction", "degree");
    assert_close(limits.hard_max, 360);
    assert_true(isnan(limits.rate_max_per_s)); /* the source has none */
    limits = limits_of("rain_rate", "mm/h");
    assert_true(42370 > limits.hard_max && 2000 < limits.hard_max);
}

static void test_in_other_units(void **state) {
    (void)state;
    struct plausibility limits = limits_of("air_temperature", "K");
    assert_close(limits.hard_min, 193.15);
    assert_close(limits.rate_max_per_s, 0.05); /* a difference, not a point on the scale */
    assert_close(limits_of("pressure", "Pa").hard_max, 110000);
}

/* Salinity, surge and what water is tested for: generous bounds of ours, which say so. */
static void test_our_own_bounds_say_so(void **state) {
    (void)state;
    struct plausibility limits = limits_of("salinity", "1e-3");
    assert_true(limits.own && limits.hard_min == 0 && limits.hard_max == 60);
    assert_close(limits_of("salinity", "g/kg").hard_max, 60);
    assert_close(limits_of("surge", "cm").hard_max, 1200);
    assert_close(limits_of("ph", "1").hard_max, 14);
    assert_close(limits_of("coliform", "mL-1").hard_max, 1e7);
    assert_false(limits_of("pressure", "hPa").own);
}

static void test_nothing_is_invented(void **state) {
    (void)state;
    struct plausibility limits;
    struct err err;
    assert_int_equal(plausibility_find(units, "stage", "m", &limits, &err), ERR_NOT_FOUND);
    assert_int_equal(plausibility_find(units, "dose_rate", "nSv/h", &limits, &err), ERR_NOT_FOUND);
    assert_int_equal(plausibility_find(units, "pressure", "m", &limits, &err), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_in_the_source),
        cmocka_unit_test(test_in_other_units),
        cmocka_unit_test(test_our_own_bounds_say_so),
        cmocka_unit_test(test_nothing_is_invented),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
