/* Updating: known processes are found again; limits, ages and gaps; files; the command line. */
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

#include "models/hydrology/hydrology.h"
#include "models/hydrology/skill.h"
#include "models/hydrology/update.h"
#include "models/table/table.h"

enum { COUNT = 20000, LEADS = 24 };

static double observed[COUNT], simulated[COUNT];

static double noise(uint32_t *seed) {
    double sum = 0;
    for (int i = 0; i < 12; i++) {
        *seed = *seed * 1664525U + 1013904223U;
        sum += (*seed >> 8) / 16777216.0;
    }
    return sum - 6;
}

/* Errors that follow an AR(2) exactly. */
static void make_errors(double phi1, double phi2) {
    uint32_t seed = 42;
    double e0 = 0, e1 = 0;
    for (int i = 0; i < COUNT; i++) {
        double e = phi1 * e0 + phi2 * e1 + noise(&seed);
        e1 = e0;
        e0 = e;
        simulated[i] = 500 + 100 * sin(i / 70.0);
        observed[i] = simulated[i] + e;
    }
}

static void test_finds_the_process(void **state) {
    (void)state;
    struct update_model m;
    make_errors(1.5, -0.6);
    assert_int_equal(update_fit(observed, simulated, COUNT, LEADS, 3600, &m, NULL), 0);
    assert_true(fabs(m.phi1 - 1.5) < 0.02 && fabs(m.phi2 + 0.6) < 0.02);
    for (int k = 1; k <= LEADS; k++) {
        assert_true(m.gain[k] >= 0 && m.gain[k] <= m.gain[k - 1] && m.gain_1[k] >= 0);
    }
    assert_true(m.gain[1] == 1);
    /* Each lead is better than, or as good as, the open loop in years that were not fitted. */
    assert_int_equal(update_fit(observed, simulated, COUNT / 2, LEADS, 3600, &m, NULL), 0);
    static double o[COUNT], f[COUNT], open[COUNT];
    for (int k = 1; k <= LEADS; k++) {
        size_t n = 0;
        for (size_t t = COUNT / 2; t + (size_t)k < COUNT; t++) {
            enum update_mark mark;
            o[n] = observed[t + (size_t)k];
            open[n] = simulated[t + (size_t)k];
            f[n++] = update_forecast(&m, observed, simulated, t, k, simulated[t + (size_t)k], &mark,
                                     NULL);
        }
        assert_true(skill_nse(o, f, n) >= skill_nse(o, open, n) - 0.001);
        assert_true(k > 1 || 1 - skill_nse(o, f, n) < 0.35 * (1 - skill_nse(o, open, n)));
    }
}

static void test_limits_ages_and_gaps(void **state) {
    (void)state;
    struct update_model m = {1.8, -0.85, 0.9, LEADS, {0}, {0}, 3600};
    for (int k = 0; k <= LEADS; k++) {
        m.gain[k] = 1;
        m.gain_1[k] = 0.5;
    }
    double obs[6] = {100, 100, 100, 100, 104, 110}, sim[6] = {100, 100, 100, 100, 100, 100};
    enum update_mark mark;
    int age = 9;
    /* e = 10, 4 before: the AR(2) would say 1.8 * 10 - 0.85 * 4 = 14.6, and 18 next */
    assert_true(fabs(update_forecast(&m, obs, sim, 5, 1, 100, &mark, &age) - 114.6) < 1e-9);
    assert_true(mark == UPDATE_OK && age == 0);
    for (int k = 1; k <= LEADS; k++) {
        double q = update_forecast(&m, obs, sim, 5, k, 100, &mark, NULL);
        assert_true(fabs(q - 100) <= 10 + 3 * 6 + 1e-9);
    }
    assert_true(update_forecast(&m, obs, sim, 5, 1, NAN, &mark, &age) != 0 &&
                mark == UPDATE_MISSING && age == -1);
    obs[4] = NAN; /* no e(t - 1): AR(1), half of 0.9 * 10 */
    assert_true(fabs(update_forecast(&m, obs, sim, 5, 1, 100, &mark, NULL) - 104.5) < 1e-9);
    assert_int_equal(mark, UPDATE_AR1);
    obs[4] = 104;
    obs[5] = NAN; /* one step old: e = 4, 0 before, two steps on: 1.8 * 7.2 - 0.85 * 4 */
    assert_true(fabs(update_forecast(&m, obs, sim, 5, 1, 100, &mark, &age) - 109.56) < 1e-9);
    assert_true(mark == UPDATE_OK && age == 1);
    obs[3] = obs[4] = NAN; /* three steps old: dropped */
    assert_true(update_forecast(&m, obs, sim, 5, 1, 100, &mark, &age) == 100);
    assert_true(mark == UPDATE_DROPPED && age == -1);
    double low[2] = {0, 0}, high[2] = {50, 50};
    assert_true(update_forecast(&m, low, high, 1, 1, 3, &mark, NULL) == 0); /* never below 0 */
    /* beyond the fitted leads nothing is corrected, and it says so */
    assert_true(update_forecast(&m, low, high, 1, LEADS + 1, 3, &mark, NULL) == 3);
    assert_int_equal(mark, UPDATE_DROPPED);
}

static void test_refuses_what_it_cannot_fit(void **state) {
    (void)state;
    struct update_model m;
    make_errors(1.5, -0.6);
    assert_int_equal(update_fit(observed, simulated, 150, LEADS, 3600, &m, NULL), ERR_INVALID);
    assert_int_equal(update_fit(observed, observed, COUNT, LEADS, 3600, &m, NULL), ERR_INVALID);
    assert_int_equal(update_fit(observed, simulated, COUNT, 97, 3600, &m, NULL), ERR_RANGE);
    for (int i = 0; i < COUNT; i += 3) {
        observed[i] = NAN; /* never three known errors in a row */
    }
    assert_int_equal(update_fit(observed, simulated, COUNT, LEADS, 3600, &m, NULL), ERR_INVALID);
}

static void test_skill(void **state) {
    (void)state;
    const double o[] = {1, 2, 3, NAN, 4}, f[] = {1, 2, 3, 9, 4}, mean[] = {2.5, 2.5, 2.5, 9, 2.5};
    const double issue[] = {0, 1, 2, 3, 3};
    assert_true(skill_nse(o, f, 5) == 1 && fabs(skill_nse(o, mean, 5)) < 1e-15);
    assert_true(skill_kge(o, f, 5) == 1 && isnan(skill_kge(o, mean, 5)));
    const double twice[] = {2, 4, 6, 0, 8}; /* r 1, alpha 2, beta 2 */
    assert_true(fabs(skill_kge(o, twice, 5) - (1 - sqrt(2))) < 1e-12);
    assert_true(skill_persistence(o, f, issue, 5) == 1);
    assert_true(skill_persistence(o, issue, issue, 5) == 0);
    assert_true(isnan(skill_nse(o, f, 1)) && isnan(skill_nse(f, f, 0)));
}

static int update(const char *line) {
    char text[1024];
    char *argv[40];
    int argc = 0;
    (void)snprintf(text, sizeof text, "update %s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    return model_update.run(argc, argv);
}

static void test_command_line(void **state) {
    (void)state;
    char folder[] = "/tmp/canhbao-update-XXXXXX";
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    make_errors(1.5, -0.6);
    FILE *file = fopen("s.csv", "w");
    assert_non_null(file);
    fputs("time,Qsim,Qobs\n", file);
    for (int i = 0; i < 24 * 28; i++) {
        fprintf(file, "2025-02-%02dT%02d:00Z,%.17g,", 1 + i / 24, i % 24, simulated[i]);
        if (i >= 600) {
            fputs("\n", file); /* no observation yet */
        } else {
            fprintf(file, "%.17g\n", observed[i]);
        }
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(update("--fit s.csv --leads 12 --out m.json"), 0);
    /* 600 = 26 February 00:00; issue at 599 and, with nothing newer, at 603 */
    assert_int_equal(update("--model m.json --series s.csv --now 2025-02-25T23:00Z --out f.csv"),
                     0);
    struct table *t = NULL;
    double q[100], sim[100];
    size_t column = 0;
    assert_int_equal(table_read("f.csv", &t, NULL), 0);
    assert_int_equal(table_rows(t), 72);
    assert_int_equal(table_find(t, "Q", &column, NULL), 0);
    assert_int_equal(table_numbers(t, column, 0, 1e9, q, NULL), 0);
    assert_int_equal(table_find(t, "Qsim", &column, NULL), 0);
    assert_int_equal(table_numbers(t, column, 0, 1e9, sim, NULL), 0);
    struct update_model m;
    enum update_mark mark;
    assert_int_equal(update_load("m.json", &m, NULL), 0);
    for (int k = 1; k <= 12; k++) {
        double expected =
            update_forecast(&m, observed, simulated, 599, k, simulated[599 + k], &mark, NULL);
        assert_true(q[k - 1] == expected); /* the file gives the same bits */
    }
    assert_true(q[12] == sim[12] && q[0] != sim[0]);
    table_destroy(t);
    assert_int_equal(update("--model m.json --series s.csv --now 2025-02-26T02:00Z --out f.csv"),
                     0);
    assert_int_equal(table_read("f.csv", &t, NULL), 0);
    assert_int_equal(table_find(t, "mark", &column, NULL), 0);
    assert_string_equal(table_text(t, 0, column), "open_loop");
    table_destroy(t);
    assert_int_equal(update("--model m.json --series s.csv --verify --out v.csv"), 0);
    assert_int_equal(update("--model m.json --series s.csv --now 2026-01-01 --out f.csv"), 3);
    assert_int_equal(update("--model m.json --series s.csv --now x --out f.csv"), 3);
    assert_int_equal(update("--model m.json --series s.csv --out f.csv"), 2);
    assert_int_equal(update("--fit s.csv --leads 97 --out m.json"), 2);
    assert_int_equal(truncate("m.json", 50), 0);
    assert_int_equal(update("--model m.json --series s.csv --verify --out v.csv"), 3);
    static const char *const files[] = {"s.csv", "m.json", "f.csv", "v.csv"};
    for (size_t i = 0; i < 4; i++) {
        unlink(files[i]);
    }
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_process),
        cmocka_unit_test(test_limits_ages_and_gaps),
        cmocka_unit_test(test_refuses_what_it_cannot_fit),
        cmocka_unit_test(test_skill),
        cmocka_unit_test(test_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
