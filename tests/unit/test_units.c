#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/station/units.h"

static struct units *units;

static void test_valid(void **state) {
    (void)state;
    static const char *const good[] = {"m",    "mm h-1", "mm/h", "nSv/h",  "ppm",
                                       "degC", "%",      "1",    "m3 s-1", "(mm/h)/s"};
    static const char *const bad[] = {"", " ", " m", "m ", "metrs", "m//s", "mm/", "\xff"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(units_valid(units, good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (units_valid(units, bad[i])) {
            fail_msg("'%s' was taken for a unit", bad[i]);
        }
    }
    char longest[200];
    memset(longest, 'm', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_false(units_valid(units, longest));
}

static void test_convertible(void **state) {
    (void)state;
    assert_true(units_convertible(units, "cm", "m"));
    assert_true(units_convertible(units, "mm/h", "m s-1"));
    assert_true(units_convertible(units, "%", "ppm"));
    assert_false(units_convertible(units, "m", "s"));
    assert_false(units_convertible(units, "m", "metrs"));
    /* UDUNITS alone would take the reciprocal */
    assert_false(units_convertible(units, "s", "s-1"));
    assert_false(units_convertible(units, "m", "m-1"));
    assert_false(units_convertible(units, "lg(re 1 mW)", "W"));
}

/* Expected values by hand. */
static void test_convert(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *from, *to;
        double expected;
    } cases[] = {
        {350, "cm", "m", 3.5},      {1.2, "uSv/h", "nSv/h", 1200}, {10, "min", "s", 600},
        {7, "hPa", "Pa", 700},      {3.6, "km/h", "m/s", 1},       {36, "mm/h", "um s-1", 10},
        {0.1, "mm/h", "mm/h", 0.1}, {-5, "mm", "m", -0.005},
    };
    double value = -1;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(units_convert(units, cases[i].value, cases[i].from, cases[i].to, &value),
                         0);
        assert_true(fabs(value - cases[i].expected) <= 1e-12 * fabs(cases[i].expected));
    }
    /* exactly, not nearly: these stand in configurations */
    assert_int_equal(units_convert(units, 350, "cm", "m", &value), 0);
    assert_true(value == 3.5);
    assert_int_equal(units_convert(units, 20, "degC", "K", &value), 0);
    assert_true(fabs(value - 293.15) < 1e-9);
    assert_int_equal(units_convert_difference(units, 2, "degC", "K", &value), 0);
    assert_true(fabs(value - 2) < 1e-12);
    assert_int_equal(units_convert_difference(units, 18, "degF", "K", &value), 0);
    assert_true(fabs(value - 10) < 1e-9);
}

static void test_refused(void **state) {
    (void)state;
    double value = 42;
    assert_int_not_equal(units_convert(units, 1, "m", "s", &value), 0);
    assert_int_not_equal(units_convert(units, 1, "xyzzy", "xyzzy", &value), 0);
    assert_int_not_equal(units_convert(units, NAN, "m", "m", &value), 0);
    assert_int_not_equal(units_convert(units, 1e308, "km", "um", &value), 0);
    assert_int_not_equal(units_convert_difference(units, 1, "m", "s", &value), 0);
    assert_true(value == 42);
    assert_null(units_destroy(NULL));
}

static int open_units(void **state) {
    (void)state;
    struct err err;
    return units_create(&units, &err);
}

static int close_units(void **state) {
    (void)state;
    units = units_destroy(units);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_convertible),
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, open_units, close_units);
}
