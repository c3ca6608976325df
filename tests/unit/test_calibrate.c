/* Calibration: parameters behind synthetic runoff are found again, with any number of threads the
 * same bits; what cannot be fitted is refused; the command line writes what it says. */
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

#include "models/hydrology/calibrate.h"
#include "models/hydrology/hydrology.h"

enum { STEPS = 1500 };
static double rain[STEPS], evaporation[STEPS], observed[STEPS];
static const struct gr_parameters truth = {420, -0.6, 75, 3.4};

static struct calibrate_data make(void) {
    static struct gr gr;
    static struct gr_state state;
    uint32_t seed = 99;
    for (int i = 0; i < STEPS; i++) {
        seed = seed * 1664525U + 1013904223U;
        rain[i] = (seed >> 24) < 90 ? (double)((seed >> 8) & 1023) / 25 : 0;
        evaporation[i] = 2.5 - 2 * cos(i * 2 * M_PI / 365);
    }
    assert_int_equal(gr_init(&gr, GR_DAILY, &truth, false, NULL), 0);
    gr_state_start(&gr, &state);
    gr_run(&gr, &state, rain, evaporation, STEPS, observed);
    return (struct calibrate_data){GR_DAILY, STEPS, rain, evaporation, observed};
}

static void test_finds_the_parameters_on_any_threads(void **state) {
    (void)state;
    struct calibrate_data data = make();
    for (int k = CALIBRATE_NSE; k <= CALIBRATE_FLOOD; k++) {
        struct gr_parameters p[3];
        struct search_result r;
        for (int t = 0; t < (k == CALIBRATE_NSE ? 3 : 1); t++) {
            struct calibrate_options options = {.objective = (enum calibrate_objective)k,
                                                .from = 300,
                                                .to = STEPS,
                                                .restarts = 2,
                                                .threads = 1 << t,
                                                .seed = 7};
            assert_int_equal(calibrate_gr(&data, &options, &p[t], &r, NULL), 0);
            assert_true(r.score > 0.9999);
            assert_true(fabs(p[t].x1_mm / truth.x1_mm - 1) < 0.02);
            assert_true(fabs(p[t].x2_mm - truth.x2_mm) < 0.05);
            assert_true(fabs(p[t].x3_mm / truth.x3_mm - 1) < 0.02);
            assert_true(fabs(p[t].x4 / truth.x4 - 1) < 0.02);
            assert_memory_equal(&p[t], &p[0], sizeof p[0]);
        }
    }
}

static void test_gaps_do_not_count(void **state) {
    (void)state;
    struct calibrate_data data = make();
    struct calibrate_options options = {
        .from = 300, .to = STEPS, .restarts = 2, .threads = 1, .seed = 3};
    struct gr_parameters p;
    struct search_result r;
    rain[800] = NAN;
    for (int i = 500; i < 600; i++) {
        observed[i] = NAN;
    }
    assert_int_equal(calibrate_gr(&data, &options, &p, &r, NULL), 0);
    assert_true(fabs(p.x1_mm / truth.x1_mm - 1) < 0.1 && r.score > 0.99);
    options.to = 390; /* 90 pairs */
    assert_int_equal(calibrate_gr(&data, &options, &p, &r, NULL), ERR_INVALID);
    options.to = STEPS + 1;
    assert_int_equal(calibrate_gr(&data, &options, &p, &r, NULL), ERR_RANGE);
    options.to = STEPS;
    for (int i = 0; i < STEPS; i++) {
        observed[i] = 1; /* does not vary */
    }
    assert_int_equal(calibrate_gr(&data, &options, &p, &r, NULL), ERR_INVALID);
}

static int calibrate(const char *line) {
    char text[1024];
    char *argv[40];
    int argc = 0;
    (void)snprintf(text, sizeof text, "calibrate %s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    return model_calibrate.run(argc, argv);
}

static void test_command_line(void **state) {
    (void)state;
    char folder[] = "/tmp/canhbao-calibrate-XXXXXX";
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    (void)make();
    FILE *file = fopen("f.csv", "w");
    assert_non_null(file);
    fputs("time,P,E,Qobs\n", file);
    for (int i = 0; i < STEPS; i++) {
        static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        static int year, month, day;
        if (i == 0) {
            year = 2013, month = 0, day = 1;
        }
        fprintf(file, "%d-%02d-%02d,%.17g,%.17g,%.17g\n", year, month + 1, day, rain[i],
                evaporation[i], observed[i]);
        int days = length[month] + (month == 1 && year % 4 == 0);
        if (++day > days) {
            day = 1;
            month = (month + 1) % 12;
            year += month == 0;
        }
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(calibrate("--step daily --forcing f.csv --warmup-steps 300 --split 2016-01-01 "
                               "--restarts 1 --report r.html --out p.json"),
                     0);
    json_t *root = json_load_file("p.json", 0, NULL);
    assert_non_null(root);
    json_t *judged = json_object_get(root, "judged");
    assert_true(json_real_value(json_object_get(judged, "nse")) > 0.999);
    assert_string_equal(json_string_value(json_object_get(judged, "first_step")), "2016-01-01");
    json_decref(root);
    assert_int_equal(access("r.html", R_OK), 0);
    assert_int_equal(calibrate("--step daily --forcing f.csv --warmup-steps 300 --restarts 1 "
                               "--out p.json"),
                     0);
    root = json_load_file("p.json", 0, NULL);
    assert_true(json_is_null(json_object_get(root, "judged"))); /* nothing was judged: it says so */
    json_decref(root);
    assert_int_equal(calibrate("--step daily --forcing f.csv --warmup-steps 300 --out p.json "
                               "--split 2013-02-01"),
                     3);
    assert_int_equal(calibrate("--step daily --forcing f.csv --warmup-steps 300 --out p.json "
                               "--q-column Q"),
                     3);
    assert_int_equal(calibrate("--step daily --forcing f.csv --warmup-steps 300 --out p.json "
                               "--objective r2"),
                     2);
    assert_int_equal(calibrate("--step daily --forcing f.csv --out p.json"), 2);
    static const char *const files[] = {"f.csv", "p.json", "r.html"};
    for (size_t i = 0; i < 3; i++) {
        unlink(files[i]);
    }
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_parameters_on_any_threads),
        cmocka_unit_test(test_gaps_do_not_count),
        cmocka_unit_test(test_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
