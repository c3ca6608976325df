/* GR4J/GR4H: conservation, steady state, restart, gaps. Parity is in tests/reference/test_gr.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "models/hydrology/gr_series.h"

enum { STEPS = 3000 };
static const struct gr_parameters hourly = {350, -0.4, 80, 7.3};

/* A reproducible rain: showers of some hours, up to 20 mm/h. */
static void make_weather(double *rain_mm, double *evaporation_mm, size_t count) {
    uint32_t seed = 12345;
    int left = 0;
    double intensity = 0;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525U + 1013904223U;
        if (left == 0 && (seed >> 24) < 8) {
            left = 3 + (int)((seed >> 16) & 15);
            intensity = (double)((seed >> 8) & 255) / 12.8;
        }
        rain_mm[i] = left > 0 ? intensity : 0;
        left -= left > 0;
        evaporation_mm[i] = i % 24 > 6 && i % 24 < 18 ? 0.35 : 0;
    }
}

static void test_every_step_conserves_water(void **state) {
    (void)state;
    static double rain[STEPS], evaporation[STEPS];
    make_weather(rain, evaporation, STEPS);
    for (int step = GR_DAILY; step <= GR_HOURLY; step++) {
        static struct gr gr;
        static struct gr_state s;
        /* A strong loss empties the routing store: the exchange must then be the actual one. */
        for (int k = 0; k < 3; k++) {
            struct gr_parameters p = {350, k == 0 ? -0.4 : k == 1 ? 3 : -40, 80, 7.3};
            assert_int_equal(gr_init(&gr, (enum gr_step_length)step, &p, k == 1, NULL), 0);
            gr_state_start(&gr, &s);
            double before = gr_stored_mm(&gr, &s);
            for (int i = 0; i < STEPS; i++) {
                struct gr_flux f;
                double q = gr_step(&gr, &s, rain[i], evaporation[i], &f);
                double after = gr_stored_mm(&gr, &s);
                double error =
                    rain[i] - f.evaporation_mm + f.exchange_mm - f.runoff_mm - (after - before);
                if (fabs(error) > 1e-11) {
                    fail_msg("step %d: %g mm appear or vanish", i, error);
                }
                assert_true(q >= 0 && q == f.routed_mm + f.direct_mm);
                assert_true(s.production_mm >= 0 && s.production_mm <= 350 && s.routing_mm >= 0);
                before = after;
            }
        }
    }
}

static void test_steady_state_and_hydrographs(void **state) {
    (void)state;
    static struct gr gr;
    static struct gr_state s;
    static const double bases[] = {0.5, 0.7, 1, 1.5, 2.208, 19.99, 20};
    for (size_t k = 0; k < sizeof bases / sizeof *bases; k++) {
        struct gr_parameters p = {300, 0, 90, bases[k]};
        assert_int_equal(gr_init(&gr, GR_DAILY, &p, false, NULL), 0);
        double sum1 = 0, sum2 = 0;
        for (int i = 0; i < GR_UH1_MAX; i++) {
            sum1 += gr.uh1[i];
        }
        for (int i = 0; i < GR_UH2_MAX; i++) {
            sum2 += gr.uh2[i];
        }
        assert_true(fabs(sum1 - 1) < 1e-14 && fabs(sum2 - 1) < 1e-14);
        gr_state_start(&gr, &s);
        double q = 0;
        for (int i = 0; i < 20000; i++) {
            q = gr_step(&gr, &s, 7.5, 0, NULL);
        }
        assert_true(fabs(q - 7.5) < 1e-9); /* no exchange, no evaporation: what falls runs off */
    }
}

/* The longest hydrographs, and a copy into memory that held something else. */
static void test_longest_and_copied(void **state) {
    (void)state;
    static struct gr gr;
    static struct gr_state s, copy;
    static const double bases[] = {480, 479.5, 1, 2.5, 4, 5};
    for (size_t k = 0; k < sizeof bases / sizeof *bases; k++) {
        struct gr_parameters p = {300, 0, 90, bases[k]};
        assert_int_equal(gr_init(&gr, GR_HOURLY, &p, false, NULL), 0);
        gr_state_start(&gr, &s);
        memset(&copy, 0x41, sizeof copy);
        gr_state_copy(&gr, &copy, &s);
        for (int i = 0; i < 3000; i++) {
            double rain = i % 7 == 0 ? 9 : 0;
            assert_true(gr_step(&gr, &s, rain, 0.1, NULL) == gr_step(&gr, &copy, rain, 0.1, NULL));
        }
        for (int i = gr.n1 - 1; i < gr.n1 + GR_UH_ROOM; i++) {
            assert_true(s.uh1_mm[i] == 0);
        }
        for (int i = gr.n2 - 1; i < gr.n2 + GR_UH_ROOM; i++) {
            assert_true(s.uh2_mm[i] == 0);
        }
    }
}

/* Any number of basins at once, with gaps, the longest and the shortest hydrographs beside each
 * other: the bits of each alone, also of the states. */
static void test_many_at_once_give_the_same_bits(void **state) {
    (void)state;
    enum { BASINS = 11, COUNT = 900 };
    static struct gr gr[BASINS];
    static struct gr_state alone[BASINS], together[BASINS];
    static double rain[BASINS][COUNT], evaporation[BASINS][COUNT], a[BASINS][COUNT],
        b[BASINS][COUNT];
    struct gr_job jobs[BASINS];
    uint32_t seed = 17;
    for (int i = 0; i < BASINS; i++) {
        const struct gr_parameters p = {i == 3 ? 0.5 : 20 + 90.0 * i, 0.7 * (i % 5) - 2,
                                        5 + 40.0 * i, i == 4 ? 480 : 0.5 + 2.3 * i};
        assert_int_equal(gr_init(&gr[i], GR_HOURLY, &p, i % 3 == 0, NULL), 0);
        for (int t = 0; t < COUNT; t++) {
            seed = seed * 1664525U + 1013904223U;
            double u = (seed >> 8) / 16777216.0;
            rain[i][t] = u < 0.2 ? 300 * u * u : u > 0.995 ? (double)NAN : 0;
            evaporation[i][t] = u > 0.5 && u < 0.503 ? (double)NAN : t % 24 < 12 ? 0 : 0.4;
        }
    }
    for (size_t n = 1; n <= BASINS; n++) {
        for (size_t i = 0; i < n; i++) {
            gr_state_start(&gr[i], &alone[i]);
            gr_state_start(&gr[i], &together[i]);
            jobs[i] = (struct gr_job){&gr[i], &together[i], rain[i], evaporation[i], b[i]};
            gr_run(&gr[i], &alone[i], rain[i], evaporation[i], COUNT, a[i]);
        }
        gr_run_many(jobs, n, COUNT);
        for (size_t i = 0; i < n; i++) {
            assert_memory_equal(a[i], b[i], sizeof a[i]);
            assert_memory_equal(&alone[i], &together[i], sizeof alone[i]);
        }
    }
}

static void test_refuses_parameters(void **state) {
    (void)state;
    static struct gr gr;
    const struct gr_parameters bad[] = {{0, 0, 90, 2},     {-1, 0, 90, 2},    {NAN, 0, 90, 2},
                                        {300, NAN, 90, 2}, {300, 0, 0, 2},    {300, 0, INFINITY, 2},
                                        {300, 0, 90, 0.4}, {300, 0, 90, 20.5}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(gr_init(&gr, GR_DAILY, &bad[i], false, NULL), ERR_RANGE);
    }
}

static void test_restart_gives_the_same_bits(void **state) {
    (void)state;
    static double rain[STEPS], evaporation[STEPS], whole[STEPS], parts[STEPS], high[STEPS];
    static enum gr_mark marks[STEPS], marks2[STEPS];
    static struct gr gr;
    static struct gr_series s, t;
    struct gr_balance balance;
    char path[] = "/tmp/canhbao-state-XXXXXX";
    int64_t utc_us = 0;
    make_weather(rain, evaporation, STEPS);
    rain[1400] = NAN; /* the state is saved in the middle of a recovery */
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(gr_init(&gr, GR_HOURLY, &hourly, false, NULL), 0);
    gr_series_start(&gr, &s);
    gr_series_run(&gr, &s, rain, evaporation, STEPS, whole, high, marks, &balance);
    gr_series_start(&gr, &t);
    gr_series_run(&gr, &t, rain, evaporation, 1405, parts, high, marks2, &balance);
    assert_true(t.recovering);
    assert_int_equal(gr_series_save(path, &gr, &t, 1405 * INT64_C(3600000000), NULL), 0);
    memset(&t, 0x55, sizeof t);
    assert_int_equal(gr_series_load(path, &gr, &t, &utc_us, NULL), 0);
    assert_true(utc_us == 1405 * INT64_C(3600000000));
    gr_series_run(&gr, &t, rain + 1405, evaporation + 1405, STEPS - 1405, parts + 1405, high + 1405,
                  marks2 + 1405, &balance);
    assert_memory_equal(whole, parts, sizeof whole);
    assert_memory_equal(marks, marks2, sizeof marks);

    /* A state of other parameters, a cut file and an impossible store are refused. */
    static struct gr other;
    struct gr_parameters p = hourly;
    p.x3_mm = 81;
    assert_int_equal(gr_init(&other, GR_HOURLY, &p, false, NULL), 0);
    assert_int_equal(gr_series_load(path, &other, &t, &utc_us, NULL), ERR_INVALID);
    assert_int_equal(gr_init(&other, GR_DAILY, &hourly, false, NULL), 0);
    assert_int_equal(gr_series_load(path, &other, &t, &utc_us, NULL), ERR_INVALID);
    t.dry.routing_mm = -1;
    assert_int_equal(gr_series_save(path, &gr, &t, 0, NULL), 0);
    assert_int_equal(gr_series_load(path, &gr, &t, &utc_us, NULL), ERR_CORRUPT);
    assert_int_equal(truncate(path, 200), 0);
    assert_int_equal(gr_series_load(path, &gr, &t, &utc_us, NULL), ERR_CORRUPT);
    unlink(path);
}

static void test_a_gap_is_unknown_then_recovers(void **state) {
    (void)state;
    static double rain[STEPS], evaporation[STEPS], q[STEPS], high[STEPS], truth[STEPS];
    static enum gr_mark marks[STEPS];
    static struct gr gr;
    static struct gr_series s;
    struct gr_balance balance;
    make_weather(rain, evaporation, STEPS);
    assert_int_equal(gr_init(&gr, GR_HOURLY, &hourly, false, NULL), 0);
    gr_series_start(&gr, &s);
    gr_series_run(&gr, &s, rain, evaporation, STEPS, truth, high, marks, &balance);
    assert_int_equal(balance.missing_steps + balance.recovering_steps, 0);
    assert_true(fabs(balance.residual_mm) < 1e-9);
    rain[500] = rain[501] = NAN;
    evaporation[502] = NAN;
    gr_series_start(&gr, &s);
    gr_series_run(&gr, &s, rain, evaporation, STEPS, q, high, marks, &balance);
    assert_int_equal(balance.missing_steps, 3);
    assert_true(fabs(balance.residual_mm) < 1e-9);
    int recovering = 0;
    for (int i = 0; i < STEPS; i++) {
        bool missing = i >= 500 && i <= 502;
        assert_int_equal(marks[i] == GR_MISSING, missing);
        assert_int_equal(isnan(q[i]) != 0, missing);
        recovering += marks[i] == GR_RECOVERING;
        if (i < 500) {
            assert_true(q[i] == truth[i] && marks[i] == GR_OK);
        } else if (marks[i] == GR_RECOVERING) {
            /* The truth lies between the two states. */
            assert_true(q[i] <= truth[i] + 1e-9 && high[i] >= truth[i] - 1e-9);
        } else if (!missing) {
            assert_true(fabs(q[i] - truth[i]) <= 0.05 * truth[i] + 0.002);
        }
    }
    assert_true(marks[503] == GR_RECOVERING && marks[STEPS - 1] == GR_OK);
    assert_true(recovering >= gr.n2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_step_conserves_water),
        cmocka_unit_test(test_steady_state_and_hydrographs),
        cmocka_unit_test(test_longest_and_copied),
        cmocka_unit_test(test_many_at_once_give_the_same_bits),
        cmocka_unit_test(test_refuses_parameters),
        cmocka_unit_test(test_restart_gives_the_same_bits),
        cmocka_unit_test(test_a_gap_is_unknown_then_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
