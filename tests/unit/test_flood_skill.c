/* Verification of flood forecasts, hour by hour, against sums made by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/hydrology/flood_skill.h"

static const int64_t hour_us = INT64_C(3600000000);
static const double levels_m[] = {6, 7, 8};

static int64_t hour(int h) {
    return INT64_C(1763424000000000) + h * hour_us; /* 2025-11-18T00:00Z */
}

static struct flood_scores nowhere(void) {
    return (struct flood_scores){NULL, "flood", "gauge", levels_m, 3};
}

static void issue(struct flood_skill *skill, int h, double now, double median, double probability,
                  double peak_m, int peak_h) {
    const struct flood_scores to = nowhere();
    struct flood_issue i = {
        .issue_us = hour(h), .observed_m3_s = now, .peak_m = peak_m, .peak_us = hour(peak_h)};
    for (int k = 0; k < FLOOD_SKILL_LEADS; k++) {
        i.median_m3_s[k] = median;
    }
    const double p[3] = {probability, 0, NAN};
    flood_skill_issue(skill, &i, p, &to);
}

static void observe(struct flood_skill *skill, int h, double flow, double stage) {
    const struct flood_scores to = nowhere();
    flood_skill_observe(skill, hour(h), flow, stage, &to);
}

static double score(const struct flood_skill *skill, const char *variable, const char *name,
                    int lead_s) {
    json_t *list = flood_skill_scores(skill, "gauge", 3), *row;
    double value = NAN;
    size_t i;
    json_array_foreach(list, i, row) {
        if (strcmp(json_string_value(json_object_get(row, "variable")), variable) == 0 &&
            strcmp(json_string_value(json_object_get(row, "score")), name) == 0 &&
            json_integer_value(json_object_get(row, "lead_s")) == lead_s) {
            value = json_number_value(json_object_get(row, "value"));
        }
    }
    json_decref(list);
    return value;
}

static void test_discharge_scores(void **state) {
    (void)state;
    struct flood_skill skill;
    flood_skill_start(&skill);
    /* Observed 10, 20, 40; forecast an hour before 12, 18, 35; at issue 8, 10, 20. */
    static const double observed[] = {8, 10, 20, 40}, forecast[] = {12, 18, 35};
    for (int h = 0; h < 4; h++) {
        observe(&skill, h, observed[h], NAN);
        if (h < 3) {
            issue(&skill, h, observed[h], forecast[h], NAN, NAN, 0);
        }
    }
    double mean = 70.0 / 3, variance = (10 - mean) * (10 - mean) + (20 - mean) * (20 - mean) +
                                       (40 - mean) * (40 - mean);
    assert_true(fabs(score(&skill, "discharge", "nse", 3600) - (1 - (4 + 4 + 25) / variance)) <
                1e-12);
    assert_true(fabs(score(&skill, "discharge", "persistence_index", 3600) -
                     (1 - 33.0 / (4 + 100 + 400))) < 1e-12);
    assert_true(isnan(score(&skill, "discharge", "nse", 6 * 3600)));
    /* An hour without observation verifies nothing. */
    double before = score(&skill, "discharge", "nse", 3600);
    issue(&skill, 3, 40, 50, NAN, NAN, 0);
    observe(&skill, 4, NAN, NAN);
    assert_true(score(&skill, "discharge", "nse", 3600) == before);
}

static void test_levels(void **state) {
    (void)state;
    struct flood_skill skill;
    flood_skill_start(&skill);
    observe(&skill, 0, 1, 5);
    issue(&skill, 0, 1, 1, 0.6, NAN, 0); /* warned from here on */
    observe(&skill, 1, 1, 5.5);
    issue(&skill, 1, 1, 1, 0.9, NAN, 0);
    observe(&skill, 2, 1, NAN); /* no stage: nothing happens */
    observe(&skill, 4, 1, 6.2); /* reached 4 h after the first warning */
    assert_true(skill.level[0].hits == 1 && skill.level[0].lead_h == 4);
    issue(&skill, 4, 1, 1, 1, NAN, 0); /* above it: no warning any more */
    assert_true(skill.level[0].warned_us == 0);
    observe(&skill, 5, 1, 5.9); /* a fall counts for nothing */
    assert_true(skill.level[0].hits == 1 && skill.level[0].misses == 0);
    issue(&skill, 5, 1, 1, 0.7, NAN, 0);
    issue(&skill, 6, 1, 1, 0.2, NAN, 0); /* taken back */
    assert_true(skill.level[0].false_alarms == 1);
    observe(&skill, 7, 1, 6.1); /* and then it came */
    assert_true(skill.level[0].misses == 1 && skill.level[0].blind == 0);
    observe(&skill, 8, 1, 5.0);
    observe(&skill, 40, 1, 7.5); /* no forecast for 24 h; level II never had one */
    assert_true(skill.level[0].misses == 2 && skill.level[0].blind == 1);
    assert_true(skill.level[1].misses == 1 && skill.level[2].misses == 0);
    assert_true(fabs(score(&skill, "level_1", "pod", 0) - 1.0 / 3) < 1e-12);
    assert_true(fabs(score(&skill, "level_1", "far", 0) - 0.5) < 1e-12);
    assert_true(fabs(score(&skill, "level_1", "csi", 0) - 0.25) < 1e-12);
}

static void test_unknown_forecast_takes_a_warning_back(void **state) {
    (void)state;
    struct flood_skill skill;
    flood_skill_start(&skill);
    observe(&skill, 0, 1, 5);
    issue(&skill, 0, 1, 1, 0.8, NAN, 0);
    issue(&skill, 1, 1, 1, NAN, NAN, 0);
    assert_true(skill.level[0].warned_us == 0 && skill.level[0].false_alarms == 1);
}

static void test_crest(void **state) {
    (void)state;
    struct flood_skill skill;
    flood_skill_start(&skill);
    static const double stage[] = {5, 5.5, 6.5, 7.5, 8.0, 7.9, 7.8, 7.7, 7.6};
    for (int h = 0; h < 9; h++) {
        observe(&skill, h, 1, stage[h]);
        issue(&skill, h, 1, 1, 0.6, 8.5, 6); /* half a metre too high, two hours late */
    }
    assert_true(fabs(score(&skill, "stage", "peak_bias_m", 3600) - 0.5) < 1e-12);
    assert_true(fabs(score(&skill, "stage", "peak_time_bias_h", 3 * 3600) - 2) < 1e-12);
    assert_true(isnan(score(&skill, "stage", "peak_bias_m", 6 * 3600))); /* not issued yet */
    assert_true(skill.lead[0].peaks == 1);
    observe(&skill, 9, 1, 7.7); /* the same flood, a little up: no second crest */
    for (int h = 10; h < 20; h++) {
        observe(&skill, h, 1, 7.0 - 0.15 * (h - 10));
    }
    assert_true(skill.lead[0].peaks == 1);
}

/* What the daemon pools adds up to what is kept here; every hour is told once. */
static void test_rows_add_up(void **state) {
    (void)state;
    struct flood_skill skill;
    json_t *rows = json_array(), *row;
    struct flood_scores to = nowhere();
    double n = 0, error = 0, hits = 0;
    size_t i;
    to.rows = rows;
    flood_skill_start(&skill);
    for (int h = 0; h < 30; h++) {
        double flow = 10 + 5 * sin(h / 4.0);
        flood_skill_observe(&skill, hour(h), flow, 5 + h / 20.0, &to);
        struct flood_issue at = {.issue_us = hour(h), .observed_m3_s = flow, .peak_m = NAN};
        for (int k = 0; k < FLOOD_SKILL_LEADS; k++) {
            at.median_m3_s[k] = flow * 1.1;
        }
        const double p[3] = {1, 0, 0};
        flood_skill_issue(&skill, &at, p, &to);
    }
    json_array_foreach(rows, i, row) {
        const json_t *sums = json_object_get(row, "sums");
        assert_string_equal(json_string_value(json_object_get(row, "place")), "gauge");
        if (json_integer_value(json_object_get(row, "lead_s")) == 3600) {
            n += json_number_value(json_object_get(sums, "n"));
            error += json_number_value(json_object_get(sums, "squared_error"));
        }
        hits += json_number_value(json_object_get(sums, "hits"));
    }
    assert_true(n == 29 && skill.lead[0].n == 29);
    assert_true(fabs(error - skill.lead[0].error) < 1e-9);
    assert_true(hits == 1 && skill.level[0].hits == 1);
    json_decref(rows);
}

/* Runs within the hour know more than the one at its beginning: they are not what is judged. */
static void test_the_first_of_an_hour_counts(void **state) {
    (void)state;
    struct flood_skill skill, only;
    flood_skill_start(&skill);
    flood_skill_start(&only);
    for (int h = 0; h < 12; h++) {
        double flow = 100 + 10 * h;
        observe(&skill, h, flow, 5);
        observe(&only, h, flow, 5);
        issue(&only, h, flow, flow + 4, 0.1, 5, 0);
        issue(&skill, h, flow, (double)NAN, (double)NAN, 5, 0); /* knew nothing: replaced */
        issue(&skill, h, flow, flow + 4, 0.1, 5, 0);
        issue(&skill, h, flow, flow + 10, 0.9, 5, 0); /* exact, and a warning */
        issue(&skill, h, flow, flow + 10, 0.1, 5, 0); /* which is no false alarm either */
    }
    double nse = score(&skill, "discharge", "nse", 3600);
    assert_true(nse < 1 && nse == score(&only, "discharge", "nse", 3600));
    assert_true(isnan(score(&skill, "level_1", "false_alarms", 0)));
}

static void test_saved_and_read_back(void **state) {
    (void)state;
    struct flood_skill skill, back;
    flood_skill_start(&skill);
    for (int h = 0; h < 60; h++) {
        observe(&skill, h, 10 + h / 3.0, 5 + h / 20.0);
        issue(&skill, h, 10 + h / 3.0, 11, 0.7, h % 2 ? (double)NAN : 8, h + 3);
    }
    json_t *json = flood_skill_pack(&skill);
    assert_int_equal(flood_skill_unpack(json, &back), 0);
    json_t *again = flood_skill_pack(&back);
    assert_true(json_equal(json, again));
    static const char *const bad[] = {"leads", "levels", "issues", "until_us", "crest_us"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *broken = json_deep_copy(json);
        (void)json_object_set_new(broken, bad[i], json_string("x"));
        assert_int_equal(flood_skill_unpack(broken, &back), ERR_CORRUPT);
        json_decref(broken);
    }
    json_decref(json);
    json_decref(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_discharge_scores),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_unknown_forecast_takes_a_warning_back),
        cmocka_unit_test(test_crest),
        cmocka_unit_test(test_rows_add_up),
        cmocka_unit_test(test_the_first_of_an_hour_counts),
        cmocka_unit_test(test_saved_and_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
