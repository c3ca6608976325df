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
        cmocka_unit_test(test_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
