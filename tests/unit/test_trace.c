/* The source found again from readings made with the same equations, and the outline of regions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/dispersion/region.h"
#include "models/dispersion/trace.h"

enum { SENSORS = 24 };

/* Wind from the west, so that downwind is east; sensors on two lines across. */
static struct trace_problem twin(struct trace_sensor *sensors, double x_m, double y_m,
                                 double rate) {
    struct weather_row row = {.wind_m_s = 4,
                              .wind_height_m = 10,
                              .wind_from_deg = 270,
                              .ustar_m_s = (double)NAN,
                              .obukhov_m = (double)NAN,
                              .sigma_theta_rad = (double)NAN,
                              .lid_m = (double)NAN,
                              .z0_m = 0.03,
                              .stability = PLUME_D};
    struct trace_problem p = {.sensors = sensors,
                              .count = SENSORS,
                              .detection_limit = 0.01,
                              .floor = 0.01,
                              .sigma_log = 0.3,
                              .wind_sd_deg = TRACE_WIND_SD_DEG,
                              .width_sd_log = TRACE_WIDTH_SD_LOG,
                              .sources_max = 1,
                              .seed = 7};
    assert_int_equal(weather_air(&row, WEATHER_BRIGGS, PLUME_RURAL, 0, &p.air, NULL), 0);
    for (size_t i = 0; i < SENSORS; i++) {
        struct trace_sensor *s = &sensors[i];
        double sy = 0, sz = 0, wind = 0;
        *s = (struct trace_sensor){i % 2 == 0 ? 600 : 1100, -440 + 40.0 * (double)i, 2, 0};
        assert_int_equal(weather_spread(&p.air, 0, s->x_m - x_m, &sy, &sz, &wind), 0);
        s->value = plume_concentration(rate, wind, sy, sz, s->y_m - y_m, 2, 0, (double)NAN);
    }
    return p;
}

static void test_found_again(void **state) {
    (void)state;
    struct trace_sensor sensors[SENSORS];
    struct trace_problem p = twin(sensors, 100, -30, 5e4);
    struct trace_result r = {0}, again = {0};
    assert_int_equal(trace_run(&p, &r, NULL), 0);
    assert_true(hypot(r.source[0].x_m - 100, r.source[0].y_m + 30) < 30);
    assert_true(r.source[0].rate_p05 < 5e4 && 5e4 < r.source[0].rate_p95 &&
                r.source[0].rate_p95 / r.source[0].rate_p05 < 10);
    assert_true(fabs(r.wind_deg) < 3 && r.r_hat < 1.05);
    assert_int_equal(r.used, SENSORS);
    /* The same input gives the same bits. */
    assert_int_equal(trace_run(&p, &again, NULL), 0);
    assert_int_equal(r.count, again.count);
    assert_memory_equal(r.samples, again.samples, r.count * sizeof *r.samples);
    trace_finish(&again);
    trace_finish(&r);
    /* One sensor that lies by a factor of 100 does not decide. */
    sensors[10].value *= 100;
    assert_int_equal(trace_run(&p, &r, NULL), 0);
    assert_true(hypot(r.source[0].x_m - 100, r.source[0].y_m + 30) < 120);
    trace_finish(&r);
}

/* A wind that is wrong by 4 degrees is told as such, with its sign. */
static void test_wind_error(void **state) {
    (void)state;
    struct trace_sensor sensors[SENSORS];
    struct trace_problem p = twin(sensors, 0, 0, 5e4);
    struct trace_result r = {0};
    for (size_t i = 0; i < SENSORS; i++) {
        sensors[i].value = sensors[i].value > 0.01 ? sensors[i].value : 0;
    }
    p.air.wind_from_deg = 274; /* the true wind is 4 degrees to the left of what is told */
    assert_int_equal(trace_run(&p, &r, NULL), 0);
    assert_true(r.wind_deg < -1 && r.wind_deg > -8);
    assert_true(hypot(r.source[0].x_m, r.source[0].y_m) < 100);
    trace_finish(&r);
}

static void test_not_enough(void **state) {
    (void)state;
    struct trace_sensor sensors[SENSORS];
    struct trace_problem p = twin(sensors, 0, 0, 5e4);
    struct trace_result r = {.count = 99};
    struct err err = {0};
    for (size_t i = 0; i < SENSORS; i++) {
        sensors[i].value = i < 2 ? 5 : i < 8 ? 0 : (double)NAN;
    }
    assert_int_equal(trace_run(&p, &r, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "not enough data: 2 sensors"));
    assert_int_equal(r.count, 99);
    sensors[3].value = -1;
    assert_int_equal(trace_run(&p, &r, NULL), ERR_RANGE);
    p.count = TRACE_SENSORS_MAX + 1;
    assert_int_equal(trace_run(&p, &r, NULL), ERR_LIMIT);
}

/* Area of a ring by the shoelace; positive counter-clockwise. */
static double shoelace(const struct region_rings *rings, size_t ring) {
    double sum = 0;
    for (size_t i = rings->start[ring]; i + 1 < rings->start[ring + 1]; i++) {
        sum += rings->points[i][0] * rings->points[i + 1][1] -
               rings->points[i + 1][0] * rings->points[i][1];
    }
    return sum / 2;
}

static void test_region(void **state) {
    (void)state;
    enum { POINTS = 20000 };
    double *x = calloc(POINTS, sizeof *x), *y = calloc(POINTS, sizeof *y);
    uint64_t seed = 1;
    assert_true(x != NULL && y != NULL);
    for (size_t i = 0; i < POINTS; i++) { /* a ring of radius 100, so that the region has a hole */
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double angle = (double)(seed >> 40) * 0x1p-24 * 6.283185307179586;
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double radius = 95 + 10 * (double)(seed >> 40) * 0x1p-24;
        x[i] = 1000 + radius * cos(angle);
        y[i] = -500 + radius * sin(angle);
    }
    struct region region;
    struct region_rings rings;
    double level50 = 0, level90 = 0;
    assert_int_equal(region_create(x, y, POINTS, &region, NULL), 0);
    assert_int_equal(region_level(&region, 0.5, &level50), 0);
    assert_int_equal(region_level(&region, 0.9, &level90), 0);
    assert_true(level50 > level90);
    assert_true(region_area_m2(&region, level50) < region_area_m2(&region, level90));
    assert_false(region_holds(&region, level90, 1000, -500));
    assert_true(region_holds(&region, level90, 1100, -500));
    assert_false(region_holds(&region, level90, 5000, -500));
    assert_int_equal(region_outline(&region, level90, &rings), 0);
    assert_int_equal(rings.count, 2);
    double sum = 0;
    for (size_t i = 0; i < rings.count; i++) {
        sum += shoelace(&rings, i);
        assert_true(rings.points[rings.start[i]][0] == rings.points[rings.start[i + 1] - 1][0]);
    }
    double area = region_area_m2(&region, level90);
    assert_true(fabs(sum - area) < 1e-9 * area);
    region_rings_finish(&rings);
    region_finish(&region);
    assert_int_equal(region_create(x, y, 5, &region, NULL), ERR_LIMIT);
    x[3] = (double)NAN;
    assert_int_equal(region_create(x, y, POINTS, &region, NULL), ERR_RANGE);
    free(x);
    free(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_again),
        cmocka_unit_test(test_wind_error),
        cmocka_unit_test(test_not_enough),
        cmocka_unit_test(test_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
