/* First guesses from donors: the conversion between steps against slow flow, medians, the choice by
 * a few observations, the command line. */
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
#include <jansson.h>

#include "models/hydrology/hydrology.h"
#include "models/hydrology/regional.h"

static const struct gr_parameters donors[] = {
    {250, -1, 60, 1.5}, {600, 0, 120, 2.5}, {120, 1, 30, 1.2}, {900, -3, 200, 4}};

/* A routing store that drains slowly gives the same water a day with either step. */
static void test_hourly_recession_is_the_daily_one(void **state) {
    (void)state;
    static struct gr daily, hourly;
    static struct gr_state d, h;
    struct gr_parameters p = {300, 0, 80, 0.5}, q = regional_hourly(&p);
    assert_true(q.x1_mm == 300 && q.x4 == 12);
    assert_int_equal(gr_init(&daily, GR_DAILY, &p, false, NULL), 0);
    assert_int_equal(gr_init(&hourly, GR_HOURLY, &q, false, NULL), 0);
    memset(&d, 0, sizeof d);
    memset(&h, 0, sizeof h);
    d.routing_mm = h.routing_mm = 40;
    for (int day = 0; day < 60; day++) {
        double sum = 0;
        for (int i = 0; i < 24; i++) {
            sum += gr_step(&hourly, &h, 0, 0, NULL);
        }
        double daily_mm = gr_step(&daily, &d, 0, 0, NULL);
        assert_true(day < 10 || fabs(sum - daily_mm) < 0.05 * daily_mm);
    }
    assert_true(fabs(h.routing_mm - d.routing_mm) < 0.02 * d.routing_mm);
}

static void test_median(void **state) {
    (void)state;
    struct gr_parameters m = regional_median(donors, 4), odd = regional_median(donors, 3);
    assert_true(m.x1_mm == 425 && m.x2_mm == -0.5 && m.x3_mm == 90 && m.x4 == 2);
    assert_true(odd.x1_mm == 250 && odd.x2_mm == 0 && odd.x3_mm == 60 && odd.x4 == 1.5);
}

/* A dozen discharges of one donor find that donor. */
static void test_few_observations_choose(void **state) {
    (void)state;
    enum { N = 900 };
    static double rain[N], evaporation[N], truth[N], observed[N];
    uint32_t seed = 3;
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525U + 1013904223U;
        rain[i] = seed % 5 == 0 ? (seed >> 8) % 30 : 0;
        evaporation[i] = 2;
    }
    struct calibrate_data data = {GR_DAILY, N, rain, evaporation, truth};
    for (size_t who = 0; who < 4; who++) {
        size_t donor = 99, pairs = 0;
        double score = 0;
        calibrate_simulate(&data, &donors[who], truth);
        for (int i = 0; i < N; i++) {
            observed[i] = i >= 366 && i % 40 == 7 ? truth[i] : (double)NAN;
        }
        const struct calibrate_data few = {GR_DAILY, N, rain, evaporation, observed};
        assert_int_equal(regional_best(&few, donors, 4, 366, &donor, &score, &pairs, NULL), 0);
        assert_true(donor == who && score > 0.999 && pairs == 14);
        assert_int_equal(regional_best(&few, donors, 4, 700, &donor, &score, &pairs, NULL),
                         ERR_INVALID); /* too few */
    }
}

/* Sorted by hand; the guess gives the mean of their runoff; Turc-Mezentsev by its formula. */
static void test_similar_runoff_and_the_mean_of_the_outputs(void **state) {
    (void)state;
    enum { N = 3 * 366 };
    static double rain[N], evaporation[N], out[4][N], guess[N];
    static const struct gr_parameters many[6] = {{250, -1, 60, 1.5}, {600, 0, 120, 2.5},
                                                 {120, 1, 30, 1.2},  {900, -3, 200, 4},
                                                 {300, -2, 90, 1.8}, {3000, -8, 300, 2}};
    double runoff[6] = {0}, error = 0, variance = 0, mean = 0, n = N - 366;
    uint32_t seed = 5;
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525U + 1013904223U;
        rain[i] = seed % 4 == 0 ? (seed >> 8) % 25 : 0;
        evaporation[i] = 2 + (i % 365 < 180);
    }
    const struct calibrate_data data = {GR_DAILY, N, rain, evaporation, NULL};
    for (int d = 0; d < 6; d++) {
        calibrate_simulate(&data, &many[d], guess);
        for (int i = 366; i < N; i++) {
            runoff[d] += guess[i] * 365.25 / n;
        }
        if (d < 4) {
            memcpy(out[d], guess, sizeof guess);
        }
    }
    struct regional_similar s;
    assert_int_equal(regional_similar(&data, many, 6, 366, runoff[4], &s, NULL), 0);
    assert_int_equal(s.donor_count, REGIONAL_SIMILAR);
    assert_int_equal(s.donors[0], 4);
    bool there[6] = {false};
    for (int k = 0; k < REGIONAL_SIMILAR; k++) {
        there[s.donors[k]] = true;
        assert_true(k == 0 || fabs(log(runoff[s.donors[k]] / runoff[4])) >=
                                  fabs(log(runoff[s.donors[k - 1]] / runoff[4])));
    }
    for (int d = 0; d < 6; d++) { /* the one left out is the farthest */
        for (int k = 0; !there[d] && k < REGIONAL_SIMILAR; k++) {
            assert_true(fabs(log(runoff[d] / runoff[4])) >=
                        fabs(log(runoff[s.donors[k]] / runoff[4])));
        }
    }
    assert_int_equal(regional_similar(&data, many, 4, 366, NAN, &s, NULL), 0);
    assert_int_equal(s.donor_count, 4);
    double p = 0, e = 0;
    for (int i = 366; i < N; i++) {
        p += rain[i] * 365.25 / n;
        e += evaporation[i] * 365.25 / n;
        mean += 0.25 * (out[0][i] + out[1][i] + out[2][i] + out[3][i]) / n;
    }
    assert_true(fabs(s.runoff_mm_year - (p - p / sqrt(1 + p * p / (e * e)))) < 1e-9 * p);
    calibrate_simulate(&data, &s.parameters, guess);
    for (int i = 366; i < N; i++) {
        double of_all = 0.25 * (out[0][i] + out[1][i] + out[2][i] + out[3][i]);
        error += (guess[i] - of_all) * (guess[i] - of_all);
        variance += (of_all - mean) * (of_all - mean);
    }
    assert_true(fabs(1 - error / variance - s.fit_nse) < 1e-9 && s.fit_nse > 0.95);
    /* One donor is taken as it is. */
    assert_int_equal(regional_similar(&data, many + 2, 1, 366, 1, &s, NULL), 0);
    assert_memory_equal(&s.parameters, &many[2], sizeof s.parameters);
    assert_int_equal(regional_similar(&data, many, 6, N - 364, NAN, &s, NULL), ERR_INVALID);
    memset(rain, 0, sizeof rain);
    assert_int_equal(regional_similar(&data, many, 6, 366, NAN, &s, NULL), ERR_INVALID);
}

static int run(const char *line) {
    char text[400];
    char *argv[32] = {NULL};
    int argc = 0;
    (void)snprintf(text, sizeof text, "regional --donors d.csv --out o.json %s", line);
    for (char *at = strtok(text, " "); at != NULL && argc < 31; at = strtok(NULL, " ")) {
        argv[argc++] = at;
    }
    return model_regional.run(argc, argv);
}

static void write_donors(const char *text) {
    FILE *file = fopen("d.csv", "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void test_command_line(void **state) {
    (void)state;
    char folder[] = "/tmp/regional-XXXXXX";
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    write_donors("X1,X2,X3,X4u\n300,0,80,2\n");
    assert_int_equal(run("--step daily"), 3); /* X4u needs the area */
    assert_int_equal(run("--step daily --area-km2 100"), 0);
    json_t *json = json_load_file("o.json", 0, NULL);
    double x4 = json_number_value(json_object_get(json_object_get(json, "parameters"), "x4"));
    assert_true(fabs(x4 - 2 * pow(100, 0.3) / 5.995) < 1e-12);
    assert_true(json_is_true(json_object_get(json, "regional")));
    json_decref(json);
    write_donors("X1,X2,X3,X4\n300,,80,2\n");
    assert_int_equal(run("--step daily"), 3);
    write_donors("X1,X2,X3\n300,0,80\n");
    assert_int_equal(run("--step daily"), 3);
    assert_int_equal(run("--step weekly"), 2);
    (void)unlink("d.csv");
    (void)unlink("o.json");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hourly_recession_is_the_daily_one),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_few_observations_choose),
        cmocka_unit_test(test_similar_runoff_and_the_mean_of_the_outputs),
        cmocka_unit_test(test_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
