/* Scores: their sums, the measures of them (by hand), pooling in the store, and the judgement
 * against persistence. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/base/text.h"
#include "daemon/station/skill.h"
#include "daemon/verification.h"
#include "daemon/view_skill.h"

static void assert_near(double value, double expected) {
    if (!(fabs(value - expected) < 1e-12)) {
        fail_msg("%.17g, not %.17g", value, expected);
    }
}

static struct utc_us at(const char *text) {
    struct utc_us time;
    assert_int_equal(text_parse_time(text, &time.us), 0);
    return time;
}

static void every_sum_has_a_name_of_its_own(void **state) {
    (void)state;
    for (int i = 0; i < SKILL_SUM_COUNT; i++) {
        char name[40];
        enum skill_sum found;
        skill_sum_name((enum skill_sum)i, name, sizeof name);
        assert_int_equal(skill_sum_find(name, &found), 0);
        assert_int_equal(found, i);
    }
    enum skill_sum untouched = SKILL_HITS;
    assert_int_equal(skill_sum_find("hit", &untouched), ERR_NOT_FOUND);
    assert_int_equal(skill_sum_find("reliability_n_11", &untouched), ERR_NOT_FOUND);
    assert_int_equal(skill_sum_find("reliability_n_01", &untouched), ERR_NOT_FOUND);
    assert_int_equal(untouched, SKILL_HITS);
}

/* Forecasts 2, 3, 5 of observations 1, 3, 4: errors 1, 0, 1. */
static void measures_are_those_of_a_hand_computed_case(void **state) {
    (void)state;
    static const double forecast[] = {2, 3, 5};
    static const double observed[] = {1, 3, 4};
    struct skill skill = {.key = {.threshold = (double)NAN}};
    for (size_t i = 0; skill_measure(i) != NULL; i++) {
        assert_true(isnan(skill_measure(i)->value(&skill))); /* nothing to divide by */
    }
    for (int i = 0; i < 3; i++) {
        double sums[SKILL_SUM_COUNT] = {0};
        sums[SKILL_N] = 1;
        sums[SKILL_ERROR] = forecast[i] - observed[i];
        sums[SKILL_ABSOLUTE_ERROR] = fabs(forecast[i] - observed[i]);
        sums[SKILL_SQUARED_ERROR] = pow(forecast[i] - observed[i], 2);
        sums[SKILL_OBSERVED] = observed[i];
        sums[SKILL_OBSERVED_SQUARED] = observed[i] * observed[i];
        sums[SKILL_FORECAST] = forecast[i];
        sums[SKILL_FORECAST_SQUARED] = forecast[i] * forecast[i];
        sums[SKILL_FORECAST_OBSERVED] = forecast[i] * observed[i];
        sums[SKILL_REFERENCE_SQUARED_ERROR] = 2;
        skill_add(&skill, sums);
    }
    assert_near(skill_value(&skill, "bias"), 2.0 / 3);
    assert_near(skill_value(&skill, "mae"), 2.0 / 3);
    assert_near(skill_value(&skill, "rmse"), sqrt(2.0 / 3));
    assert_near(skill_value(&skill, "nse"), 1 - 2.0 / (14.0 / 3));
    assert_near(skill_value(&skill, "persistence_index"), 1 - 2.0 / 6);
    /* both have n times the variance 14/3, and 31 - 80/3 in common */
    double both = (2 * 1 + 3 * 3 + 5 * 4) - 10 * 8.0 / 3;
    double r = both / (14.0 / 3);
    assert_near(skill_value(&skill, "kge"), 1 - sqrt(pow(r - 1, 2) + pow(10.0 / 8 - 1, 2)));
    skill.sums[SKILL_HITS] = 6;
    skill.sums[SKILL_MISSES] = 2;
    skill.sums[SKILL_FALSE_ALARMS] = 4;
    assert_near(skill_value(&skill, "csi"), 0.5);
    assert_near(skill_value(&skill, "pod"), 0.75);
    assert_near(skill_value(&skill, "far"), 0.4);
    skill.sums[SKILL_RELIABILITY_N + 5] = 10; /* said 0.5 ten times, it happened 7 times */
    skill.sums[SKILL_RELIABILITY_OBSERVED + 5] = 7;
    assert_near(skill_value(&skill, "reliability"), 0.04);
    skill.sums[SKILL_LEAD_TIMES] = 2;
    skill.sums[SKILL_LEAD_TIME_S] = 7200;
    assert_near(skill_value(&skill, "lead_time_s"), 3600);
    assert_true(isnan(skill_value(&skill, "no such measure")));
    skill.key.threshold = 1; /* rows of a threshold keep no errors: no 0 of nothing */
    assert_true(isnan(skill_value(&skill, "mae")) && isnan(skill_value(&skill, "bias")));
}

static void periods_begin_where_they_should(void **state) {
    (void)state;
    static const struct {
        enum skill_period period;
        const char *time, *start;
    } table[] = {
        {SKILL_HOUR, "2025-11-19T06:59:59Z", "2025-11-19T06:00:00Z"},
        {SKILL_DAY, "2025-11-19T23:59:59Z", "2025-11-19T00:00:00Z"},
        {SKILL_SEASON, "2025-11-19T06:00:00Z", "2025-09-01T00:00:00Z"},
        {SKILL_SEASON, "2025-12-01T00:00:00Z", "2025-12-01T00:00:00Z"},
        {SKILL_SEASON, "2026-01-31T12:00:00Z", "2025-12-01T00:00:00Z"},
        {SKILL_SEASON, "2024-02-29T12:00:00Z", "2023-12-01T00:00:00Z"},
        {SKILL_SEASON, "2025-03-01T00:00:00Z", "2025-03-01T00:00:00Z"},
        {SKILL_SEASON, "2025-08-31T23:00:00Z", "2025-06-01T00:00:00Z"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_true(skill_period_start(table[i].period, at(table[i].time)).us ==
                    at(table[i].start).us);
    }
}

/* ---- store and judgement ---- */

struct fixture {
    char dir[64];
    struct store *store;
    struct site_product products[3];
    struct site site;
    struct verification *verification;
    unsigned raised, cleared;
    char product[STATION_ID_SIZE], text[CONDITION_TEXT_SIZE];
};

static void on_condition(void *ctx, enum condition_class class, const char *product, bool raised,
                         const char *text) {
    struct fixture *fixture = ctx;
    assert_int_equal(class, CONDITION_SKILL_LOW);
    fixture->raised += raised;
    fixture->cleared += !raised;
    (void)snprintf(fixture->product, sizeof fixture->product, "%s", product);
    (void)snprintf(fixture->text, sizeof fixture->text, "%s", text);
}

static void reopen(struct fixture *fixture, const char *now) {
    struct err err;
    fixture->verification = verification_destroy(fixture->verification);
    fixture->store = store_close(fixture->store);
    assert_int_equal(store_open(fixture->dir, &(struct store_config){.ballast_bytes = 4096},
                                &fixture->store, &err),
                     0);
    const struct verification_options options = {.store = fixture->store,
                                                 .site = &fixture->site,
                                                 .on_condition = on_condition,
                                                 .ctx = fixture};
    assert_int_equal(verification_create(&options, at(now), &fixture->verification, &err), 0);
}

static struct fixture *fixture_create(void) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    (void)strcpy(fixture->dir, "/tmp/canhbao-test-skill-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    (void)strcpy(fixture->products[0].id, "nowcast");
    (void)strcpy(fixture->products[1].id, "checks");
    (void)strcpy(fixture->products[2].id, "radar");
    (void)strcpy(fixture->products[2].skill_of, "nowcast");
    fixture->site.products = fixture->products;
    fixture->site.product_count = 3;
    reopen(fixture, "2025-11-19T00:00:00Z");
    return fixture;
}

static void fixture_destroy(struct fixture *fixture) {
    char command[100];
    (void)verification_destroy(fixture->verification);
    (void)store_close(fixture->store);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", fixture->dir);
    assert_int_equal(system(command), 0);
    free(fixture);
}

static int64_t lead(int minutes) {
    return INT64_C(60000000) * minutes;
}

static struct skill_score score(const char *system, const char *valid, double error) {
    struct skill_score score = {.valid = at(valid)};
    struct skill_key *key = &score.skill.key;
    (void)strcpy(key->product, "nowcast");
    (void)strcpy(key->system, system);
    (void)strcpy(key->variable, "rainfall_rate");
    (void)strcpy(key->unit, "mm h-1");
    key->lead_us = lead(60);
    key->threshold = (double)NAN;
    score.skill.sums[SKILL_N] = 10;
    score.skill.sums[SKILL_ABSOLUTE_ERROR] = error;
    return score;
}

static void take_run(struct fixture *fixture, const char *manifest, const char *valid, bool late,
                     double error, double persistence) {
    struct skill_score scores[] = {score("forecast", valid, error),
                                   score("persistence", valid, persistence)};
    scores[0].skill.sums[SKILL_PAIRED_ABSOLUTE_ERROR] = error;
    scores[0].skill.sums[SKILL_REFERENCE_ABSOLUTE_ERROR] = persistence;
    scores[0].late = scores[1].late = late;
    struct err err;
    verification_take(fixture->verification, "checks", manifest, scores, 2);
    assert_int_equal(store_commit(fixture->store, &err), 0);
}

static void take(struct fixture *fixture, const char *valid, double error, double persistence) {
    take_run(fixture, valid, valid, false, error, persistence);
}

struct seen {
    size_t count;
    struct skill rows[8];
};

static int see(void *user, const struct skill *skill) {
    struct seen *seen = user;
    assert_true(seen->count < 8);
    seen->rows[seen->count++] = *skill;
    return 0;
}

static struct seen pooled(struct fixture *fixture, enum skill_period period, const char *from,
                          const char *to) {
    struct seen seen = {.count = 0};
    assert_int_equal(
        verification_visit(fixture->store, period, at(from), at(to), "nowcast", see, &seen), 0);
    return seen;
}

static void scores_pool_once_and_survive(void **state) {
    (void)state;
    struct fixture *fixture = fixture_create();
    take(fixture, "2025-11-18T22:30:00Z", 1, 2);
    take(fixture, "2025-11-18T22:50:00Z", 3, 2);
    take(fixture, "2025-11-19T00:10:00Z", 5, 2);
    take(fixture, "2025-11-19T00:10:00Z", 100, 2); /* again: counts once */
    take(fixture, "2025-11-18T23:00:00Z", 100, 2); /* late: not after what was taken */
    reopen(fixture, "2025-11-19T01:00:00Z");
    take(fixture, "2025-11-19T00:10:00Z", 100, 2); /* also after a restart */
    struct seen hours = pooled(fixture, SKILL_HOUR, "2025-11-18T00:00:00Z", "2025-11-20T00:00:00Z");
    assert_int_equal(hours.count, 2); /* forecast, persistence */
    assert_string_equal(hours.rows[0].key.system, "forecast");
    assert_true(isnan(hours.rows[0].key.threshold));
    assert_true(hours.rows[0].sums[SKILL_N] == 30);
    assert_true(hours.rows[0].sums[SKILL_ABSOLUTE_ERROR] == 9);
    struct seen day = pooled(fixture, SKILL_DAY, "2025-11-19T00:00:00Z", "2025-11-20T00:00:00Z");
    assert_true(day.rows[0].sums[SKILL_ABSOLUTE_ERROR] == 5);
    struct seen season =
        pooled(fixture, SKILL_SEASON, "2025-09-01T00:00:00Z", "2025-09-02T00:00:00Z");
    assert_true(season.rows[0].sums[SKILL_ABSOLUTE_ERROR] == 9);
    bool more = true;
    struct err err;
    for (int i = 0; i < 20 && more; i++) { /* hours go after 8 days, days and seasons stay */
        assert_int_equal(store_retain(fixture->store, at("2025-12-19T00:00:00Z"), 100, &more, &err),
                         0);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(store_retain(fixture->store, at("2025-12-19T00:00:00Z"), 100, &more, &err),
                         0);
    }
    assert_int_equal(
        pooled(fixture, SKILL_HOUR, "2025-11-18T00:00:00Z", "2025-11-20T00:00:00Z").count, 0);
    assert_int_equal(
        pooled(fixture, SKILL_DAY, "2025-11-18T00:00:00Z", "2025-11-20T00:00:00Z").count, 2);
    fixture_destroy(fixture);
}

static double pooled_error(struct fixture *fixture) {
    struct seen day = pooled(fixture, SKILL_DAY, "2025-11-19T00:00:00Z", "2025-11-20T00:00:00Z");
    return day.rows[0].sums[SKILL_ABSOLUTE_ERROR];
}

/* What came after its time was scored counts, but the same run does not count twice. */
static void late_scores_count_once(void **state) {
    (void)state;
    struct fixture *fixture = fixture_create();
    take_run(fixture, "a", "2025-11-19T00:20:00Z", false, 5, 2);
    take_run(fixture, "b", "2025-11-19T00:10:00Z", true, 7, 2);
    assert_true(pooled_error(fixture) == 12);
    take_run(fixture, "b", "2025-11-19T00:10:00Z", true, 7, 2);
    reopen(fixture, "2025-11-19T01:00:00Z");
    take_run(fixture, "b", "2025-11-19T00:10:00Z", true, 7, 2);
    assert_true(pooled_error(fixture) == 12);
    take_run(fixture, "c", "2025-11-19T00:10:00Z", true, 1, 2); /* of another forecast */
    take_run(fixture, "d", "2025-11-19T00:30:00Z", false, 1, 2);
    assert_true(pooled_error(fixture) == 14);
    fixture_destroy(fixture);
}

static void worse_than_persistence_is_said_and_unsaid(void **state) {
    (void)state;
    struct fixture *fixture = fixture_create();
    assert_false(verification_is_worse(fixture->verification, "nowcast", lead(60)));
    take(fixture, "2025-11-19T00:10:00Z", 5, 2);
    verification_judge(fixture->verification, at("2025-11-19T01:00:00Z"));
    assert_int_equal(fixture->raised, 0); /* an hour is not enough */
    take(fixture, "2025-11-19T04:10:00Z", 5, 2);
    verification_judge(fixture->verification, at("2025-11-19T04:20:00Z"));
    assert_int_equal(fixture->raised, 1);
    assert_string_equal(fixture->product, "nowcast");
    assert_non_null(strstr(fixture->text,
                           "at 1 of 1 leads, 60 to 60 min: rainfall_rate, mean absolute "
                           "error up to 2.5 times that of persistence"));
    assert_true(verification_is_worse(fixture->verification, "nowcast", lead(60)));
    assert_true(verification_is_worse(fixture->verification, "radar", lead(60))); /* skill_of */
    assert_false(verification_is_worse(fixture->verification, "checks", lead(60)));
    reopen(fixture, "2025-11-19T05:00:00Z");
    assert_true(verification_is_worse(fixture->verification, "radar", lead(60))); /* at once */
    take(fixture, "2025-11-19T05:10:00Z", 1, 20);
    verification_judge(fixture->verification, at("2025-11-19T05:20:00Z"));
    assert_int_equal(fixture->cleared, 1);
    assert_false(verification_is_worse(fixture->verification, "radar", lead(60)));
    /* a day later nothing is known, and nothing said */
    take(fixture, "2025-11-19T05:30:00Z", 100, 2);
    verification_judge(fixture->verification, at("2025-11-19T06:00:00Z"));
    assert_true(verification_is_worse(fixture->verification, "nowcast", lead(60)));
    verification_judge(fixture->verification, at("2025-11-20T12:00:00Z"));
    assert_false(verification_is_worse(fixture->verification, "nowcast", lead(60)));
    fixture_destroy(fixture);
}

/* One forecast and persistence at a lead of so many minutes. */
static void take_lead(struct fixture *fixture, const char *valid, int minutes, double error,
                      double persistence) {
    struct skill_score scores[] = {score("forecast", valid, error)};
    char manifest[64];
    struct err err;
    scores[0].skill.key.lead_us = lead(minutes);
    scores[0].skill.sums[SKILL_PAIRED_ABSOLUTE_ERROR] = error;
    scores[0].skill.sums[SKILL_REFERENCE_ABSOLUTE_ERROR] = persistence;
    scores[0].late = true; /* the leads of a frame come here one after another */
    (void)snprintf(manifest, sizeof manifest, "%s %d", valid, minutes);
    verification_take(fixture->verification, "checks", manifest, scores, 1);
    assert_int_equal(store_commit(fixture->store, &err), 0);
}

static void leads_are_judged_one_by_one(void **state) {
    (void)state;
    static const struct {
        int minutes;
        double error;
        double persistence;
        bool worse;
    } table[] = {{10, 1, 2, false}, {20, 2, 2, false}, {40, 3, 2, true},
                 {50, 0, 0, false}, {60, 1, 0, true},  {90, 2, 3, false}};
    struct fixture *fixture = fixture_create();
    for (int hour = 1; hour < 5; hour += 3) {
        for (size_t i = sizeof table / sizeof table[0]; i-- > 0;) { /* in no order */
            char valid[32];
            (void)snprintf(valid, sizeof valid, "2025-11-19T%02d:10:00Z", hour);
            take_lead(fixture, valid, table[i].minutes, table[i].error, table[i].persistence);
        }
    }
    /* A lead that was first scored an hour ago is not judged, the others are. */
    take_lead(fixture, "2025-11-19T04:10:00Z", 120, 9, 1);
    verification_judge(fixture->verification, at("2025-11-19T04:20:00Z"));
    struct verification *judged = fixture->verification;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].minutes != 50) { /* nothing to compare: its neighbours speak for it */
            assert_int_equal(verification_is_worse(judged, "radar", lead(table[i].minutes)),
                             table[i].worse);
        }
    }
    assert_false(verification_is_worse(judged, "nowcast", 0));
    assert_false(verification_is_worse(judged, "nowcast", lead(5)));
    assert_false(verification_is_worse(judged, "nowcast", lead(29)));
    assert_true(verification_is_worse(judged, "nowcast", lead(30))); /* as near: the longer */
    assert_true(verification_is_worse(judged, "nowcast", lead(50)));
    assert_false(verification_is_worse(judged, "nowcast", lead(120)));
    assert_false(verification_is_worse(judged, "checks", lead(40)));
    assert_int_equal(fixture->raised, 1);
    assert_non_null(strstr(fixture->text, "at 2 of 5 leads, 40 to 60 min: rainfall_rate, mean "
                                          "absolute error where persistence has none"));
    fixture_destroy(fixture);
}

static void a_sum_that_is_no_number_is_refused(void **state) {
    (void)state;
    struct fixture *fixture = fixture_create();
    struct skill_score bad = score("forecast", "2025-11-19T00:10:00Z", (double)NAN);
    assert_int_equal(store_append_skill(fixture->store, &bad), ERR_INVALID);
    fixture_destroy(fixture);
}

static const json_t *level_row(const json_t *list, double threshold) {
    size_t i;
    const json_t *row;
    json_array_foreach(list, i, row) {
        if (json_number_value(json_object_get(row, "threshold")) == threshold) {
            return row;
        }
    }
    return NULL;
}

/* A miss with a forecast and one without are the only events of two levels: both are shown as
 * misses, one of them without a forecast, and no hit. */
static void a_miss_is_shown_as_one(void **state) {
    (void)state;
    struct fixture *fixture = fixture_create();
    struct skill_score scores[2];
    struct clock *clock = NULL;
    struct err err;
    for (int i = 0; i < 2; i++) {
        scores[i] = score("forecast", "2025-11-19T00:10:00Z", 0);
        scores[i].skill.key.threshold = 2 + i;
        scores[i].skill.key.lead_us = 0;
        scores[i].skill.sums[SKILL_N] = 0;
        scores[i].skill.sums[SKILL_MISSES] = 1;
        scores[i].skill.sums[SKILL_MISSED_WITHOUT_FORECAST] = i;
    }
    verification_take(fixture->verification, "checks", "m", scores, 2);
    assert_int_equal(store_commit(fixture->store, &err), 0);
    assert_int_equal(clock_create_virtual(at("2025-11-19T01:00:00Z"), &clock), 0);
    const struct view_source source = {
        .site = &fixture->site, .clock = clock, .store = fixture->store};
    json_t *data = view_skill(&source, "nowcast", 0, &err);
    const json_t *list = json_object_get(data, "skill");
    assert_int_equal(json_array_size(list), 2);
    for (int i = 0; i < 2; i++) {
        static const struct {
            const char *key;
            double with, without;
        } expected[] = {{"n", 1, 1},
                        {"pod", 0, 0},
                        {"csi", 0, 0},
                        {"misses", 1, 1},
                        {"hits", 0, 0},
                        {"false_alarms", 0, 0},
                        {"missed_without_forecast", 0, 1}};
        const json_t *row = level_row(list, 2 + i);
        for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
            const json_t *value = json_object_get(row, expected[k].key);
            assert_true(json_is_number(value));
            assert_true(json_number_value(value) ==
                        (i == 0 ? expected[k].with : expected[k].without));
        }
        assert_null(json_object_get(row, "far")); /* nothing was warned of */
    }
    json_decref(data);
    clock_destroy(clock);
    fixture_destroy(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sum_has_a_name_of_its_own),
        cmocka_unit_test(measures_are_those_of_a_hand_computed_case),
        cmocka_unit_test(periods_begin_where_they_should),
        cmocka_unit_test(scores_pool_once_and_survive),
        cmocka_unit_test(late_scores_count_once),
        cmocka_unit_test(worse_than_persistence_is_said_and_unsaid),
        cmocka_unit_test(leads_are_judged_one_by_one),
        cmocka_unit_test(a_sum_that_is_no_number_is_refused),
        cmocka_unit_test(a_miss_is_shown_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
