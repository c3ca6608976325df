/* Rating curves: known curves are found again, bands cover, refusals, files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "models/hydrology/rating.h"

enum { COUNT = 60 };

static double next_normal(uint32_t *seed) {
    double sum = 0; /* sum of twelve uniforms */
    for (int i = 0; i < 12; i++) {
        *seed = *seed * 1664525U + 1013904223U;
        sum += (*seed >> 8) / 16777216.0;
    }
    return sum - 6;
}

static void gauge(double noise, uint32_t seed, double *stage, double *flow) {
    for (int i = 0; i < COUNT; i++) {
        stage[i] = 2.2 + 4.0 * ((i * 37) % COUNT) / COUNT;
        double h = stage[i] - 1.7;
        /* 12 h^1.6 up to 4 m, then 2.6 */
        flow[i] = h < 2.3 ? 12 * pow(h, 1.6) : 12 * pow(2.3, 1.6) * pow(h / 2.3, 2.6);
        flow[i] *= exp(noise * next_normal(&seed));
    }
}

static void test_finds_a_known_curve(void **state) {
    (void)state;
    double stage[COUNT], flow[COUNT], a = 0, b = 0;
    struct rating r;
    for (int i = 0; i < COUNT; i++) {
        stage[i] = 2.2 + 0.05 * i;
        flow[i] = 7.5 * pow(stage[i] - 1.9, 2.1);
    }
    assert_int_equal(rating_fit(stage, flow, COUNT, 1, &r, NULL), 0);
    rating_power(&r, 0, &a, &b);
    assert_true(fabs(a - 7.5) < 1e-4 && fabs(b - 2.1) < 1e-4 && fabs(r.c_m - 1.9) < 1e-4);
    assert_true(r.rms_log < 1e-5 && r.loo_rms_log < 1e-5);
    gauge(0, 1, stage, flow);
    assert_int_equal(rating_fit(stage, flow, COUNT, 2, &r, NULL), 0);
    assert_true(r.rms_log < 0.01 && fabs(r.break_m - 4.0) < 0.15);
    rating_power(&r, 1, &a, &b);
    assert_true(fabs(b - 2.6) < 0.1);
    /* continuous at the break, and stage and discharge are inverse to each other */
    double below = rating_flow(&r, r.break_m - 1e-9).flow_m3_s;
    double above = rating_flow(&r, r.break_m + 1e-9).flow_m3_s;
    assert_true(fabs(above / below - 1) < 1e-6);
    for (double h = r.lowest_m; h < r.highest_m + 1; h += 0.01) {
        enum rating_mark mark;
        double back = rating_stage(&r, rating_flow(&r, h).flow_m3_s, &mark);
        assert_true(fabs(back - h) < 1e-9);
        assert_int_equal(mark == RATING_EXTRAPOLATED, h > r.highest_m);
    }
}

static void test_band_covers(void **state) {
    (void)state;
    double stage[COUNT], flow[COUNT];
    int in50 = 0, in90 = 0, tries = 0;
    for (uint32_t seed = 1; seed <= 40; seed++) {
        struct rating r;
        gauge(0.08, seed * 7919, stage, flow);
        assert_int_equal(rating_fit(stage, flow, COUNT, 2, &r, NULL), 0);
        gauge(0.08, seed * 104729 + 5, stage, flow); /* other gaugings of the same river */
        for (int i = 0; i < COUNT; i++) {
            struct rated q = rating_flow(&r, stage[i]);
            in50 += flow[i] >= q.q25 && flow[i] <= q.q75;
            in90 += flow[i] >= q.q05 && flow[i] <= q.q95;
            tries++;
        }
    }
    assert_true(in50 > 0.45 * tries && in50 < 0.56 * tries);
    assert_true(in90 > 0.86 * tries && in90 < 0.94 * tries);
}

static void test_range_and_refusals(void **state) {
    (void)state;
    double stage[COUNT], flow[COUNT];
    struct rating r;
    enum rating_mark mark;
    gauge(0.05, 3, stage, flow);
    assert_int_equal(rating_fit(stage, flow, COUNT, 1, &r, NULL), 0);
    struct rated q = rating_flow(&r, 2.1);
    assert_true(q.mark == RATING_BELOW && isnan(q.flow_m3_s) && isnan(q.q95));
    q = rating_flow(&r, NAN);
    assert_true(q.mark == RATING_MISSING && isnan(q.flow_m3_s));
    assert_true(rating_flow(&r, 9).mark == RATING_EXTRAPOLATED);
    assert_true(isnan(rating_stage(&r, 0.001, &mark)) && mark == RATING_BELOW);
    assert_true(isnan(rating_stage(&r, NAN, &mark)) && mark == RATING_MISSING);
    assert_int_equal(rating_fit(stage, flow, 4, 1, &r, NULL), ERR_INVALID);
    assert_int_equal(rating_fit(stage, flow, 8, 2, &r, NULL), ERR_INVALID);
    assert_int_equal(rating_fit(stage, flow, COUNT, 3, &r, NULL), ERR_INVALID);
    flow[5] = 0;
    assert_int_equal(rating_fit(stage, flow, COUNT, 1, &r, NULL), ERR_INVALID);
    gauge(0.05, 3, stage, flow);
    stage[5] = NAN;
    assert_int_equal(rating_fit(stage, flow, COUNT, 1, &r, NULL), ERR_INVALID);
    for (int i = 0; i < COUNT; i++) {
        stage[i] = 3;
    }
    assert_int_equal(rating_fit(stage, flow, COUNT, 1, &r, NULL), ERR_INVALID);
    for (int i = 0; i < COUNT; i++) { /* falls with the stage */
        stage[i] = 3 + 0.1 * i;
        flow[i] = 100 - i;
    }
    assert_int_equal(rating_fit(stage, flow, COUNT, 1, &r, NULL), ERR_INVALID);
}

static void test_file_gives_the_same_bits(void **state) {
    (void)state;
    double stage[COUNT], flow[COUNT];
    struct rating r, back;
    char path[] = "/tmp/canhbao-rating-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (int segments = 1; segments <= 2; segments++) {
        gauge(0.05, 3, stage, flow);
        assert_int_equal(rating_fit(stage, flow, COUNT, segments, &r, NULL), 0);
        assert_int_equal(rating_save(path, &r, NULL), 0);
        assert_int_equal(rating_load(path, &back, NULL), 0);
        for (double h = 2; h < 8; h += 0.037) {
            struct rated a = rating_flow(&r, h), b = rating_flow(&back, h);
            assert_int_equal(a.mark, b.mark);
            assert_true(a.mark == RATING_BELOW ||
                        (a.flow_m3_s == b.flow_m3_s && a.q05 == b.q05 && a.q75 == b.q75));
        }
    }
    r.c_m = r.lowest_m + 1;
    assert_int_equal(rating_save(path, &r, NULL), 0);
    assert_int_equal(rating_load(path, &back, NULL), ERR_CORRUPT);
    assert_int_equal(truncate(path, 40), 0);
    assert_int_equal(rating_load(path, &back, NULL), ERR_CORRUPT);
    unlink(path);
    assert_int_equal(rating_load(path, &back, NULL), ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_a_known_curve),
        cmocka_unit_test(test_band_covers),
        cmocka_unit_test(test_range_and_refusals),
        cmocka_unit_test(test_file_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
