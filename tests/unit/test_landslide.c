/* Landslide indicators: thresholds against hand-computed values, missing rain, Article 46 rows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "models/landslide/landslide.h"

static void test_reads_the_threshold_table(void **state) {
    (void)state;
    struct table *table = NULL;
    struct landslide_threshold t[32];
    size_t count = 0;
    struct err err = {0};
    assert_int_equal(
        table_read(CANHBAO_SOURCE_DIR "/models/landslide/rainfall_thresholds.csv", &table, &err),
        0);
    assert_int_equal(landslide_thresholds(table, t, 32, &count, &err), 0);
    assert_int_equal(count, 8);
    for (size_t i = 0; i < count; i++) {
        static const int hours[] = {1, 3, 6, 12, 24, 48, 72};
        static const char *const names[] = {"total_1h_mm",  "total_3h_mm",  "total_6h_mm",
                                            "total_12h_mm", "total_24h_mm", "total_48h_mm",
                                            "total_72h_mm"};
        /* The totals printed in the table are those of the curve, to one decimal. */
        for (int k = 0; k < 7; k++) {
            size_t column = 0, row = 0;
            assert_int_equal(table_find(table, names[k], &column, NULL), 0);
            while (strcmp(table_text(table, row, 0), t[i].id) != 0) {
                row++;
            }
            const char *text = table_text(table, row, column);
            if (text[0] != '\0') {
                double total = t[i].alpha * pow(hours[k], t[i].beta) * hours[k];
                char printed[32];
                (void)snprintf(printed, sizeof printed, "%.1f", total);
                assert_string_equal(printed, text);
            }
        }
    }
    assert_true(!t[0].provisional && t[2].provisional);
    assert_int_equal(landslide_thresholds(table, t, 3, &count, &err), ERR_LIMIT);
    table_destroy(table);
}

static const struct landslide_threshold caine = {"caine1980", 14.82, -0.39, 0.167, 240, false};

static void test_exceedance(void **state) {
    (void)state;
    double rain[240] = {0};
    struct landslide_exceedance e = landslide_exceeds(&caine, rain, 240);
    assert_true(e.answer == LANDSLIDE_NO && e.ratio == 0);
    for (int i = 228; i < 240; i++) {
        rain[i] = 6; /* 72 mm in 12 h; Caine asks for 67.5 mm */
    }
    e = landslide_exceeds(&caine, rain, 240);
    assert_true(e.answer == LANDSLIDE_YES && e.duration_h == 12);
    assert_true(fabs(e.ratio - 6 / (14.82 * pow(12, -0.39))) < 1e-12);
    rain[230] = NAN; /* 66 mm of known rain: not enough to tell, and it may have been more */
    e = landslide_exceeds(&caine, rain, 240);
    assert_true(e.answer == LANDSLIDE_UNKNOWN && e.ratio < 1);
    rain[239] = 40; /* enough by itself, whatever fell in hour 230 */
    e = landslide_exceeds(&caine, rain, 240);
    assert_true(e.answer == LANDSLIDE_YES);
    double calm[240] = {0};
    calm[0] = NAN;
    assert_int_equal(landslide_exceeds(&caine, calm, 240).answer, LANDSLIDE_UNKNOWN);
    assert_int_equal(landslide_exceeds(&caine, calm + 1, 200).answer, LANDSLIDE_UNKNOWN);
    assert_int_equal(landslide_exceeds(&caine, calm, 0).answer, LANDSLIDE_UNKNOWN);
}

static void test_api(void **state) {
    (void)state;
    double rain[60] = {0};
    for (int i = 0; i < 60; i++) {
        rain[i] = 10;
    }
    /* 29 weights of 0.85 lie at or above 0.01: a geometric sum */
    assert_true(fabs(landslide_api_mm(rain, 60, 0.85) - 10 * (1 - pow(0.85, 29)) / 0.15) < 1e-9);
    assert_true(isnan(landslide_api_mm(rain, 28, 0.85)));
    rain[35] = NAN;
    assert_true(isnan(landslide_api_mm(rain, 60, 0.85)));
    rain[35] = 10;
    rain[30] = NAN; /* outside the window */
    assert_true(landslide_api_mm(rain, 60, 0.85) > 0);
    assert_true(isnan(landslide_api_mm(rain, 60, 1)));
}

/* Rows in the form of risk_levels.csv, with the clauses for KV4. */
static const char rules_text[] =
    "rule_id,hazard,level,zone,susceptibility,metric_1,min_1,min_1_incl,max_1,max_1_incl,metric_2,"
    "min_2,min_2_incl,max_2,max_2_incl\n"
    "r1,flash_flood_landslide,1,KV4,high|very_high,rain_24h_mm,100,1,200,1,prior_rain_day_d,1,1,2,"
    "1\n"
    "r2,flash_flood_landslide,1,KV4,high,rain_24h_mm,200,0,400,1,prior_rain_day_d,2,0,,\n"
    "r3,flash_flood_landslide,2,KV4,very_high,rain_24h_mm,200,0,400,1,prior_rain_day_d,2,0,,\n"
    "r4,flash_flood_landslide,1,KV4,medium,rain_24h_mm,400,0,,,prior_rain_day_d,2,0,,\n"
    "r5,flash_flood_landslide,2,KV4,high|very_high,rain_24h_mm,400,0,,,prior_rain_day_d,2,0,,\n"
    "x1,heavy_rain,4,KV4,high,rain_24h_mm,1,1,,,prior_rain_day_d,0,1,,\n";

static struct landslide_class judge(const char *susceptibility, const double *rain, size_t count) {
    struct table *rules = NULL;
    struct landslide_class c;
    assert_int_equal(table_parse("rules", rules_text, strlen(rules_text), &rules, NULL), 0);
    assert_int_equal(landslide_article_46(rules, "KV4", susceptibility, rain, count, 0.1, &c, NULL),
                     0);
    table_destroy(rules);
    return c;
}

enum { HOURS = 24 * 6 };

static void days(double *rain, double last, double d1, double d2, double d3, double d4) {
    double totals[6] = {0, d4, d3, d2, d1, last};
    for (int i = 0; i < HOURS; i++) {
        rain[i] = totals[i / 24] / 24;
    }
}

static void test_article_46(void **state) {
    (void)state;
    double rain[HOURS];
    days(rain, 120, 20, 0, 0, 0);
    struct landslide_class c = judge("high", rain, HOURS);
    assert_true(c.level == 1 && c.literal && !c.may_be_higher);
    assert_string_equal(c.rule_id, "r1");
    assert_int_equal(judge("medium", rain, HOURS).level, 0);
    days(rain, 120, 0, 20, 0, 0); /* no rain the day before */
    assert_int_equal(judge("high", rain, HOURS).level, 0);
    days(rain, 300, 20, 30, 20, 0);
    c = judge("very_high", rain, HOURS);
    assert_true(c.level == 2 && c.literal);
    assert_string_equal(c.rule_id, "r3");
    assert_int_equal(judge("high", rain, HOURS).level, 1);
    days(rain, 450, 20, 30, 20, 0);
    assert_int_equal(judge("medium", rain, HOURS).level, 1);
    assert_int_equal(judge("high", rain, HOURS).level, 2);
    /* 300 mm after one rain day: no clause says so; at least what 200 mm would be, marked */
    days(rain, 300, 20, 0, 0, 0);
    c = judge("very_high", rain, HOURS);
    assert_true(c.level == 1 && !c.literal);
}

static void test_article_46_missing_rain(void **state) {
    (void)state;
    double rain[HOURS];
    days(rain, 99, 20, 0, 0, 0);
    assert_true(!judge("high", rain, HOURS).may_be_higher);
    rain[HOURS - 3] = NAN;
    struct landslide_class c = judge("high", rain, HOURS);
    assert_true(c.level == 0 && c.may_be_higher);
    days(rain, 300, 20, 20, 20, 0);
    rain[HOURS - 24 * 2 - 5] = NAN; /* the day still counts by its known rain */
    c = judge("very_high", rain, HOURS);
    assert_true(c.level == 2 && !c.may_be_higher);
    days(rain, 300, 20, 0, 20, 0);
    for (int i = 0; i < 24; i++) {
        rain[HOURS - 72 + i] = NAN; /* the second day before is not known at all */
    }
    c = judge("very_high", rain, HOURS);
    assert_true(c.level == 1 && c.may_be_higher);
    struct table *rules = NULL;
    assert_int_equal(table_parse("rules", rules_text, strlen(rules_text), &rules, NULL), 0);
    assert_int_equal(landslide_article_46(rules, "KV4", "high", rain, 23, 0.1, &c, NULL),
                     ERR_INVALID);
    assert_int_equal(landslide_article_46(rules, "KV9", "high", rain, HOURS, 0.1, &c, NULL),
                     ERR_NOT_FOUND);
    table_destroy(rules);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_the_threshold_table),
        cmocka_unit_test(test_exceedance),
        cmocka_unit_test(test_api),
        cmocka_unit_test(test_article_46),
        cmocka_unit_test(test_article_46_missing_rain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
