/* Twin experiments: readings made by the model's own equations with log-normal errors, a wind that
 * is wrong, and false sensors (stuck, or a factor of ten to a hundred off); one source or two. They
 * show that the inversion is consistent and counts sources, no skill on real releases (Prairie
 * Grass does).
 *
 * A number as argument runs that many of each kind: test_trace_twins 200. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "models/dispersion/region.h"
#include "models/dispersion/trace.h"

enum { SENSORS = 48 };
#define DETECTION 0.1

static int runs = 2;

static double uniform(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(*state >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *state) {
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

struct twin {
    size_t sources;
    double x_m[2], y_m[2], rate[2];
    struct trace_sensor sensors[SENSORS];
    bool lies[SENSORS];
};

static double concentration(const struct weather_air *air, const struct twin *t,
                            const struct trace_sensor *s, double turn_rad) {
    double sum = 0;
    for (size_t k = 0; k < t->sources; k++) {
        double dx = s->x_m - t->x_m[k], dy = s->y_m - t->y_m[k], sy = 0, sz = 0, wind = 0;
        double x = dx * cos(turn_rad) + dy * sin(turn_rad);
        double y = dy * cos(turn_rad) - dx * sin(turn_rad);
        if (x > 1 && weather_spread(air, 1, x, &sy, &sz, &wind) == 0) {
            sum += plume_concentration(t->rate[k], wind, sy, sz, y, 1.5, 1, (double)NAN);
        }
    }
    return sum;
}

/* Wind from the west; three rows of sensors 400 to 1200 m downwind; two sources lie far enough
 * apart across the wind to be told apart at all. */
static struct trace_problem make(struct twin *t, size_t sources, uint64_t seed) {
    uint64_t state = seed * 977 + 11;
    struct weather_row row = {.wind_m_s = 2.5 + 3 * uniform(&state),
                              .wind_height_m = 10,
                              .wind_from_deg = 270,
                              .ustar_m_s = (double)NAN,
                              .obukhov_m = (double)NAN,
                              .sigma_theta_rad = (double)NAN,
                              .lid_m = (double)NAN,
                              .z0_m = 0.03,
                              .stability = PLUME_C + (int)(2 * uniform(&state))};
    struct trace_problem p = {.sensors = t->sensors,
                              .count = SENSORS,
                              .source_height_m = 1,
                              .detection_limit = DETECTION,
                              .floor = TRACE_FLOOR * DETECTION,
                              .sigma_log = TRACE_SIGMA_LOG,
                              .wind_sd_deg = TRACE_WIND_SD_DEG,
                              .width_sd_log = TRACE_WIDTH_SD_LOG,
                              .sources_max = 2,
                              .seed = seed};
    assert_int_equal(weather_air(&row, WEATHER_BRIGGS, PLUME_RURAL, 1, &p.air, NULL), 0);
    *t = (struct twin){.sources = sources};
    double apart = 350 + 250 * uniform(&state), middle = 200 * (uniform(&state) - 0.5);
    for (size_t k = 0; k < sources; k++) {
        t->x_m[k] = 200 * (uniform(&state) - 0.5);
        t->y_m[k] = middle + (sources == 1 ? 0 : k == 0 ? -apart / 2 : apart / 2);
        t->rate[k] = 2e5 * exp(0.7 * normal(&state));
    }
    double turn = 2 * normal(&state) * 0.017453292519943295;
    for (size_t i = 0; i < SENSORS; i++) {
        struct trace_sensor *s = &t->sensors[i];
        *s = (struct trace_sensor){400 + 400.0 * (double)(i % 3), -470 + 20.0 * (double)i, 1.5, 0};
        s->value = concentration(&p.air, t, s, turn) * exp(0.35 * normal(&state));
        s->value = s->value < DETECTION ? 0 : s->value;
    }
    for (int lie = 0; lie < 2; lie++) { /* one stuck at nothing, one far too high */
        size_t i = (size_t)(uniform(&state) * SENSORS);
        t->lies[i] = true;
        t->sensors[i].value =
            lie == 0 ? 0 : (t->sensors[i].value + 1) * (10 + 90 * uniform(&state));
    }
    return p;
}

static void run(size_t sources, double *ret_counted, double *ret_inside, double *ret_median_m) {
    int counted = 0, inside = 0, places = 0;
    double *errors = calloc((size_t)runs * 2, sizeof *errors);
    assert_non_null(errors);
    for (int i = 0; i < runs; i++) {
        struct twin t;
        struct trace_problem p = make(&t, sources, (uint64_t)i + 1);
        struct trace_result r = {0};
        assert_int_equal(trace_run(&p, &r, NULL), 0);
        counted += r.source_count == sources;
        for (size_t k = 0; r.source_count == sources && k < sources; k++) {
            size_t near = 0;
            double away = HUGE_VAL;
            for (size_t m = 0; m < sources; m++) {
                double d = hypot(r.source[k].x_m - t.x_m[m], r.source[k].y_m - t.y_m[m]);
                near = d < away ? m : near;
                away = fmin(away, d);
            }
            double level = 0;
            assert_int_equal(region_level(&r.source[k].region, 0.9, &level), 0);
            inside += region_holds(&r.source[k].region, level, t.x_m[near], t.y_m[near]);
            errors[places++] = away;
        }
        trace_finish(&r);
    }
    for (int i = 1; i < places; i++) { /* insertion sort */
        double e = errors[i];
        int k = i;
        for (; k > 0 && errors[k - 1] > e; k--) {
            errors[k] = errors[k - 1];
        }
        errors[k] = e;
    }
    *ret_counted = (double)counted / runs;
    *ret_inside = places > 0 ? (double)inside / places : 0;
    *ret_median_m = places > 0 ? errors[places / 2] : HUGE_VAL;
    free(errors);
    print_message("%d twins with %zu source(s): counted right %.3f, 90 %% region holds it %.3f, "
                  "median error %.0f m\n",
                  runs, sources, *ret_counted, *ret_inside, *ret_median_m);
}

static void test_one_source(void **state) {
    (void)state;
    double counted = 0, inside = 0, median_m = 0;
    run(1, &counted, &inside, &median_m);
    assert_true(counted >= 0.9 && inside >= 0.8 && median_m < 100);
}

static void test_two_sources(void **state) {
    (void)state;
    double counted = 0, inside = 0, median_m = 0;
    run(2, &counted, &inside, &median_m);
    assert_true(counted >= 0.8 && inside >= 0.8 && median_m < 100);
}

/* The sensor that is far too high is among those called doubtful. */
static void test_false_sensor_is_named(void **state) {
    (void)state;
    struct twin t;
    struct trace_problem p = make(&t, 1, 5);
    struct trace_result r = {0};
    assert_int_equal(trace_run(&p, &r, NULL), 0);
    size_t worst = 0;
    for (size_t i = 0; i < SENSORS; i++) {
        worst = fabs(r.misfit[i]) > fabs(r.misfit[worst]) ? i : worst;
    }
    assert_true(t.lies[worst] && fabs(r.misfit[worst]) > 4);
    trace_finish(&r);
}

/* A point inside the plume teaches more than one far beside it, and none adds to the spread much.
 */
static void test_next_point(void **state) {
    (void)state;
    struct twin t;
    struct trace_problem p = make(&t, 1, 3);
    struct trace_point points[] = {{.x_m = 150, .y_m = t.y_m[0]}, {.x_m = 800, .y_m = 5000}};
    struct trace_result r = {0};
    p.points = points;
    p.point_count = 2;
    p.point_z_m = 1.5;
    p.sources_max = 1;
    assert_int_equal(trace_run(&p, &r, NULL), 0);
    assert_true(points[0].area_left < 0.95 && points[0].area_left > 0);
    assert_true(fabs(points[1].area_left - 1) < 0.02);
    trace_finish(&r);
}

/* A third of the sensors: long, bent posteriors. Bounds with room for another arithmetic. */
static void test_few_sensors_settle(void **state) {
    (void)state;
    enum { CASES = 12 };
    int settled = 0, inside = 0;
    for (int i = 0; i < CASES; i++) {
        struct twin t;
        struct trace_problem p = make(&t, 1, 500 + (uint64_t)i);
        struct trace_result r = {0};
        double level = 0;
        p.count = 0;
        for (size_t k = (size_t)i % 3; k < SENSORS; k += 3) {
            if (!t.lies[k]) {
                t.sensors[p.count++] = t.sensors[k];
            }
        }
        assert_int_equal(trace_run(&p, &r, NULL), 0);
        assert_int_equal(region_level(&r.source[0].region, 0.9, &level), 0);
        inside += region_holds(&r.source[0].region, level, t.x_m[0], t.y_m[0]);
        settled += r.r_hat <= 1.05;
        trace_finish(&r);
    }
    print_message("%d of %d with 16 sensors settled, %d regions hold the source\n", settled, CASES,
                  inside);
    assert_true(settled >= CASES - 3 && inside >= CASES - 3);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_source),
        cmocka_unit_test(test_two_sources),
        cmocka_unit_test(test_false_sensor_is_named),
        cmocka_unit_test(test_next_point),
        cmocka_unit_test(test_few_sensors_settle),
    };
    runs = argc > 1 ? (int)strtol(argv[1], NULL, 10) : runs;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
