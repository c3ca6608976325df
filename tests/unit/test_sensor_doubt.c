/* Faults of gas sensors told from releases, each beside a release that looks like it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "models/dispersion/sensor_doubt.h"

enum { MINUTES = 180 };

static struct sensor_value values[MINUTES], others[MINUTES];

static double noise(int i) {
    uint64_t z = ((uint64_t)i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (double)(z >> 11) * 0x1p-52 - 1; /* -1 to 1 */
}

static struct sensor_case one(void) {
    const double nan = (double)NAN;
    return (struct sensor_case){.values = values,
                                .count = MINUTES,
                                .detection = 0.1,
                                .ceiling = 50,
                                .full_scale = nan,
                                .span = nan,
                                .downwind = 2};
}

/* minute: when it begins; rise: minutes to the level; gusts: relative */
static void shape(double level, int minute, double rise, double gusts) {
    for (int i = 0; i < MINUTES; i++) {
        double part = i < minute ? 0 : fmin((i - minute + 1) / rise, 1);
        values[i] = (struct sensor_value){
            i * INT64_C(60000000), level * part * (1 + gusts * noise(i)) + 0.005 * noise(i + 500)};
    }
}

static struct sensor_verdict judge(const struct sensor_case *s) {
    struct sensor_verdict v;
    sensor_doubt(s, &v);
    return v;
}

static void test_nothing(void **state) {
    (void)state;
    struct sensor_case s = one();
    shape(0.1, 100, 1, 0);
    assert_int_equal(judge(&s).doubt, SENSOR_NO_GAS);
    s.count = 0;
    assert_int_equal(judge(&s).doubt, SENSOR_NO_GAS);
    s = one();
    for (int i = 0; i < MINUTES; i++) {
        values[i].value = (double)NAN;
    }
    assert_int_equal(judge(&s).doubt, SENSOR_NO_GAS);
}

static void test_calibration_gas(void **state) {
    (void)state;
    struct sensor_case s = one();
    s.span = 10;
    shape(10, 170, 1, 0.005);
    struct sensor_verdict v = judge(&s);
    assert_int_equal(v.doubt, SENSOR_CALIBRATION);
    assert_true(v.rise_min <= 2 && v.scatter < 0.02);
    s.downwind_up = 1; /* a neighbour downwind sees it too */
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
    s.downwind_up = 0;
    s.span = 20; /* not the value of the test gas */
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
    s.span = 10;
    s.ceiling = 8; /* so much is an alarm whatever it looks like */
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
    s.ceiling = (double)NAN;
    assert_int_equal(judge(&s).doubt, SENSOR_CALIBRATION);
    shape(10, 170, 1, 0.2); /* a release as fast and as high, in turbulent air */
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
    shape(10, 160, 6, 0.005); /* steady, but it came slowly */
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
    shape(10, 178, 1, 0.005); /* two minutes tell nothing yet */
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
}

static void test_drift(void **state) {
    (void)state;
    struct sensor_case s = one();
    shape(2, 20, 170, 0.01);
    struct sensor_verdict v = judge(&s);
    assert_int_equal(v.doubt, SENSOR_DRIFT);
    assert_true(v.rise_min > 60 && v.straight > 0.97);
    s.downwind_up = 1; /* a leak that grows is seen downwind */
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
    s.downwind_up = 0;
    shape(2, 20, 170, 0.5); /* or moves with the gusts */
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
    shape(2, 120, 50, 0.01); /* or comes within the hour */
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
}

static void test_saturated(void **state) {
    (void)state;
    struct sensor_case s = one();
    s.full_scale = 20;
    shape(20, 150, 5, 0);
    for (int i = 0; i < MINUTES; i++) {
        values[i].value = fmin(values[i].value, 20);
    }
    assert_int_equal(judge(&s).doubt, SENSOR_SATURATED);
    s.downwind_up = 2; /* no fault: the gas may be more */
    assert_int_equal(judge(&s).doubt, SENSOR_SATURATED);
    s.full_scale = 40;
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
}

static void test_cross_sensitivity(void **state) {
    (void)state;
    struct sensor_case s = one();
    shape(10, 150, 5, 0.3);
    for (int i = 0; i < MINUTES; i++) {
        others[i] = values[i];
        values[i].value *= 0.2;
    }
    s.others[0] = (struct sensor_other){"SO2", others, MINUTES, 0.2};
    s.other_count = 1;
    struct sensor_verdict v = judge(&s);
    assert_int_equal(v.doubt, SENSOR_CROSS);
    assert_string_equal(v.with, "SO2");
    assert_true(fabs(v.ratio - 0.2) < 0.01);
    s.others[0].factor = 0.05; /* both gases in the air: more than the other one explains */
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
    s.others[0].factor = 0.2;
    for (int i = 0; i < MINUTES; i++) { /* the other gas is not there */
        others[i].value = 0;
    }
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
    for (int i = 0; i < MINUTES; i++) { /* not known */
        others[i].value = (double)NAN;
    }
    assert_int_equal(judge(&s).doubt, SENSOR_RELEASE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_calibration_gas),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_saturated),
        cmocka_unit_test(test_cross_sensitivity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
