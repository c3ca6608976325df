/* The rules of air quality of the Bình Định site: QCVN 05:2023 and VN_AQI, at, below and above each
 * bound, with values missing; and what is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/message/severity.h"
#include "alerts/tables/grade.h"
#include "daemon/base/text.h"
#include "tests/unit/config_fixture.h"

static const char binh_dinh[] = CANHBAO_SOURCE_DIR "/deploy/sites/binh-dinh";

#define HOUR (INT64_C(3600) * 1000000)

static struct site *site;
static struct indicator values[RULE_INDICATORS_MAX];

static const struct rule *rule_of(const char *id) {
    for (size_t i = 0; i < site->rule_count; i++) {
        if (strcmp(site->rules[i].id, id) == 0) {
            return &site->rules[i];
        }
    }
    fail_msg("no rule %s", id);
    return NULL;
}

/* When the evidence was taken: QCVN 05:2023 is in force, PM2.5 as from 2026. */
static int64_t observed_us = INT64_C(1780000000000000); /* 2026-05-28 */

static void set_all(const struct rule *rule, double value) {
    memset(values, 0, sizeof values);
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        values[i].value = value;
        values[i].observed.utc.us = observed_us;
        values[i].knowledge = isnan(value) ? KNOWLEDGE_UNKNOWN : KNOWLEDGE_FRESH;
    }
}

static void set_one(uint32_t index, double value) {
    values[index].value = value;
    values[index].knowledge = KNOWLEDGE_FRESH;
}

static enum tristate holds(const struct rule *rule, uint32_t level) {
    return rule_evaluate(rule, level, false, NULL, values).value;
}

/* The limits as the regulation prints them, in the unit of the site's point. */
static void test_limits_by_their_days(void **state) {
    /* PM2.5 over 24 h: 50 to the end of 2025 in Vietnam, 45 from then on; nothing before 12 Sep
     * 2023. */
    static const struct {
        const char *at;
        double value;
        enum tristate holds;
        double threshold;
    } cases[] = {
        {"2023-09-11T23:59:59+07:00", 400, TRI_UNKNOWN, NAN},
        {"2023-09-12T00:00:00+07:00", 51, TRI_TRUE, 50},
        {"2025-12-31T23:59:59+07:00", 49, TRI_FALSE, 50},
        {"2025-12-31T23:59:59+07:00", 51, TRI_TRUE, 50},
        {"2026-01-01T00:00:00+07:00", 49, TRI_TRUE, 45},
        {"2026-01-01T00:00:00+07:00", 44, TRI_FALSE, 45},
    };
    static struct alarm alarm;
    const struct rule *rule = rule_of("air-day");
    const int64_t before_us = observed_us;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(text_parse_time(cases[i].at, &observed_us), 0);
        set_all(rule, 0);
        set_one(0, cases[i].value);
        struct verdict verdict = rule_evaluate(rule, 0, false, NULL, values);
        assert_int_equal(verdict.value, cases[i].holds);
        if (cases[i].holds == TRI_UNKNOWN) { /* whatever the value: the row never decides */
            assert_true(verdict.knowledge == KNOWLEDGE_UNKNOWN &&
                        verdict.cause == CAUSE_NOT_IN_FORCE);
        }
        struct event event = {.view = {.rule = rule, .alarm = &alarm, .indicators = values}};
        double threshold = event_threshold(&event, 1, 0);
        assert_true(isnan(cases[i].threshold) ? isnan(threshold) : threshold == cases[i].threshold);
        /* The decision tells which row it stood on. */
        size_t told = 0;
        for (size_t k = 0; k < rule->row_count; k++) {
            enum tristate row = rule_row_holds(rule, k, false, NULL, values);
            bool pm = strncmp(rule->rows[k].id, "PM2.5/", 6) == 0;
            told += pm && row != TRI_UNKNOWN;
            assert_true(!pm || row == TRI_UNKNOWN || row == cases[i].holds);
        }
        assert_int_equal(told, cases[i].holds != TRI_UNKNOWN);
    }
    observed_us = before_us;
}

/* What --check says of rows that end, began, or will. */
static void test_validity_is_told(void **state) {
    (void)state;
    static const struct {
        const char *now, *told; /* NULL: nothing about PM2.5 over 24 h */
    } cases[] = {
        {"2025-03-01T00:00:00Z", NULL},
        {"2025-11-20T00:00:00Z",
         "row PM2.5/24h/2023-09-12 of air_limits in rule air-day expires at 2025-12-31T17:00:00Z, "
         "another row follows\n"},
        {"2026-02-01T00:00:00Z",
         "row PM2.5/24h/2023-09-12 of air_limits in rule air-day is out of force since "
         "2025-12-31T17:00:00Z, another row follows\n"},
        {"2023-01-01T00:00:00Z",
         "row PM10/24h/2023-09-12 of air_limits in rule air-day is not in force before "
         "2023-09-11T17:00:00Z\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = NULL;
        size_t length = 0;
        struct utc_us now;
        FILE *file = open_memstream(&text, &length);
        assert_non_null(file);
        assert_int_equal(text_parse_time(cases[i].now, &now.us), 0);
        site_print_validity(site, now, file);
        assert_int_equal(fclose(file), 0);
        if (cases[i].told == NULL) {
            assert_null(strstr(text, "2023-09-12 of air_limits in rule air-day expires"));
        } else if (strstr(text, cases[i].told) == NULL) {
            fail_msg("%s", text);
        }
        free(text);
    }
}

static void test_limits_of_qcvn(void **state) {
    (void)state;
    static const struct {
        const char *rule, *point;
        int64_t hours;
        double limit;
    } limits[] = {
        {"air-hour", "so2_mass", 1, 350}, {"air-hour", "no2_mass", 1, 200},
        {"air-hour", "co_mass", 1, 30},   {"air-hour", "o3_mass", 1, 200},
        {"air-day", "pm2_5", 24, 45},     {"air-day", "pm10", 24, 100},
        {"air-day", "so2_mass", 24, 125}, {"air-day", "no2_mass", 24, 100},
        {"air-day", "co_mass", 8, 10},    {"air-day", "o3_mass", 8, 120},
    };
    uint32_t asked = 0;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const struct rule *rule = rule_of(limits[i].rule);
        assert_true(rule->provisional);
        assert_int_equal(rule->levels[0].required, KNOWLEDGE_FRESH);
        for (uint32_t k = 0; k < rule->indicator_count; k++) {
            const struct indicator_spec *spec = &rule->indicators[k];
            if (strcmp(spec->point, limits[i].point) != 0 ||
                spec->window_us != limits[i].hours * HOUR) {
                continue;
            }
            asked++;
            assert_int_equal(spec->kind, INDICATOR_MEAN);
            assert_true(spec->min_completeness == 0.75);
            set_all(rule, 0);
            set_one(k, limits[i].limit);
            assert_int_equal(holds(rule, 0), TRI_FALSE);
            set_one(k, limits[i].limit * 0.999);
            assert_int_equal(holds(rule, 0), TRI_FALSE);
            set_one(k, limits[i].limit * 1.001);
            assert_int_equal(holds(rule, 0), TRI_TRUE);
            /* The others missing: above is above, below is not known. */
            set_all(rule, (double)NAN);
            set_one(k, limits[i].limit * 1.001);
            assert_int_equal(holds(rule, 0), TRI_TRUE);
            set_one(k, limits[i].limit * 0.999);
            assert_int_equal(holds(rule, 0), TRI_UNKNOWN);
        }
    }
    assert_int_equal(asked, 10);
    assert_int_equal(rule_of("air-hour")->indicator_count + rule_of("air-day")->indicator_count,
                     10);
}

/* VN_AQI of one parameter by the grader of the table, the others clean. */
static int index_of(const struct tables *tables, const char *point, double value) {
    struct aqi_hour hour = {0, 0, 0, 0, {0}, {0}};
    int index = -1;
    bool complete = false;
    for (int i = 0; i < NOWCAST_HOURS; i++) {
        hour.pm10[i] = strcmp(point, "pm10") == 0 ? value : 0;
        hour.pm2_5[i] = strcmp(point, "pm2_5") == 0 ? value : 0;
    }
    hour.o3_1h = strcmp(point, "o3_mass") == 0 ? value : 0;
    hour.co_1h = strcmp(point, "co_mass") == 0 ? value * 1000 : 0; /* mg/m3 */
    hour.so2_1h = strcmp(point, "so2_mass") == 0 ? value : 0;
    hour.no2_1h = strcmp(point, "no2_mass") == 0 ? value : 0;
    assert_int_equal(aqi_hourly(tables, &hour, &index, &complete), 0);
    assert_true(complete);
    return index;
}

static void test_levels_of_vn_aqi(void **state) {
    (void)state;
    static const int above[] = {100, 150, 200, 300};
    /* Breakpoints of Table 2 of the Decision at 100, 150, 200, 300, and the next. */
    static const struct {
        const char *point;
        double at[5];
    } rows[] = {
        {"pm2_5", {50, 80, 150, 250, 350}},        {"pm10", {150, 250, 350, 420, 500}},
        {"o3_mass", {200, 300, 400, 800, 1000}},   {"co_mass", {30, 45, 60, 90, 120}},
        {"so2_mass", {350, 550, 800, 1600, 2100}}, {"no2_mass", {200, 700, 1200, 2350, 3100}},
    };
    static const double spans[] = {50, 50, 100, 100};
    struct tables *tables = NULL;
    struct err err;
    const struct rule *rule = rule_of("vn-aqi");
    assert_int_equal(tables_load(CANHBAO_SOURCE_DIR "/alerts/tables", &tables, &err), 0);
    assert_true(rule->provisional);
    assert_int_equal(rule->level_count, 4);
    assert_int_equal(rule->indicator_count, 6);
    for (uint32_t k = 0; k < 6; k++) {
        assert_string_equal(rule->indicators[k].point, rows[k].point);
        for (uint32_t level = 0; level < 4; level++) {
            double low = rows[k].at[level];
            /* The index is rounded: half a unit above the breakpoint is the next whole number. */
            double from = low + 0.5 * (rows[k].at[level + 1] - low) / spans[level];
            assert_int_equal(rule->levels[level].level, level + 2);
            set_all(rule, 0);
            set_one(k, from * 0.9999);
            assert_int_equal(holds(rule, level), TRI_FALSE);
            assert_int_equal(index_of(tables, rows[k].point, from * 0.9999), above[level]);
            set_one(k, from);
            assert_int_equal(holds(rule, level), TRI_TRUE);
            set_one(k, from * 1.0001);
            assert_int_equal(holds(rule, level), TRI_TRUE);
            assert_int_equal(index_of(tables, rows[k].point, from * 1.0001), above[level] + 1);
            set_all(rule, (double)NAN);
            set_one(k, from * 1.0001);
            /* There is no index without particulate matter (2.1 b). */
            assert_int_equal(holds(rule, level), k < 2 ? TRI_TRUE : TRI_UNKNOWN);
            set_one(1 - (k == 1), 0);
            assert_int_equal(holds(rule, level), TRI_TRUE);
            set_one(k, from * 0.9999);
            assert_int_equal(holds(rule, level), TRI_UNKNOWN);
        }
    }
    (void)tables_destroy(tables);
}

static enum indicator_kind kind_of_day(uint32_t index) {
    return index < 2 ? INDICATOR_MEAN : index == 3 ? INDICATOR_HIGHEST_8H : INDICATOR_HIGHEST_HOUR;
}

/* The daily index of a day in which every hour of one parameter has the value (ozone over 8 h: the
 * other hour as low as it can be). */
static int daily_index_of(const struct tables *tables, uint32_t index, double value) {
    struct aqi_day day;
    double *const hours[] = {day.pm2_5, day.pm10, day.o3, day.o3, day.co, day.so2, day.no2};
    int result = -1;
    bool complete = false;
    memset(&day, 0, sizeof day);
    for (int i = 0; i < (index == 3 ? AQI_DAY_OZONE : AQI_DAY_HOURS); i++) {
        bool alone = index == 2 && i != 5; /* one hour, so that its eight hours do not decide */
        hours[index][i] = alone ? 0 : index == 4 ? value * 1000 : value;
    }
    assert_int_equal(aqi_daily(tables, &day, &result, &complete), 0);
    assert_true(complete);
    return result;
}

static void test_levels_of_the_daily_vn_aqi(void **state) {
    (void)state;
    static const int above[] = {100, 150, 200, 300};
    static const double spans[] = {50, 50, 100, 100};
    /* Table 2 of the Decision at 100, 150, 200, 300 and 400; ozone over 8 h ends at 300. */
    static const struct {
        const char *point;
        double at[5];
    } rows[] = {
        {"pm2_5", {50, 80, 150, 250, 350}},         {"pm10", {150, 250, 350, 420, 500}},
        {"o3_mass", {200, 300, 400, 800, 1000}},    {"o3_mass", {120, 170, 210, 400, NAN}},
        {"co_mass", {30, 45, 60, 90, 120}},         {"so2_mass", {350, 550, 800, 1600, 2100}},
        {"no2_mass", {200, 700, 1200, 2350, 3100}},
    };
    struct tables *tables = NULL;
    struct err err;
    const struct rule *rule = rule_of("vn-aqi-day");
    assert_int_equal(tables_load(CANHBAO_SOURCE_DIR "/alerts/tables", &tables, &err), 0);
    assert_true(rule->provisional && rule->level_count == 4 && rule->indicator_count == 7);
    for (uint32_t k = 0; k < 7; k++) {
        const struct indicator_spec *spec = &rule->indicators[k];
        assert_string_equal(spec->point, rows[k].point);
        assert_int_equal(spec->kind, kind_of_day(k));
        assert_true(spec->window_us == 24 * HOUR && spec->min_completeness == 0.75);
        for (uint32_t level = 0; level < (k == 3 ? 3U : 4U); level++) {
            double low = rows[k].at[level];
            double from = low + 0.5 * (rows[k].at[level + 1] - low) / spans[level];
            assert_int_equal(rule->levels[level].level, level + 2);
            for (int side = -1; side <= 1; side++) {
                double value = from * (1 + 1e-4 * side);
                set_all(rule, 0);
                set_one(k, value);
                assert_int_equal(holds(rule, level), side < 0 ? TRI_FALSE : TRI_TRUE);
                if (side != 0 && (k != 3 || level < 2)) { /* ozone of 1 h would decide above */
                    assert_int_equal(daily_index_of(tables, k, value), above[level] + (side > 0));
                }
            }
            set_all(rule, (double)NAN);
            set_one(k, from * 1.0001);
            assert_int_equal(holds(rule, level), k < 2 ? TRI_TRUE : TRI_UNKNOWN);
        }
    }
    (void)tables_destroy(tables);
}

static void test_what_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *quantity, *unit, *indicator, *row, *told; /* told NULL: accepted */
    } cases[] = {
        {"so2_mass", "ug/m3", "mean, window: 1 h", "air_limits SO2/1h/2023-09-12 limit_ug_m3",
         NULL},
        {"so2_mass", "mg/m3", "mean, window: 1 h", "air_limits SO2/1h/2023-09-12 limit_ug_m3",
         NULL},
        {"so2_mass", "ppm", "mean, window: 1 h", "air_limits SO2/1h/2023-09-12 limit_ug_m3", "ppm"},
        {"so2_mass", "ug/m3", "mean, window: 1 h", "air_limits SO2/1 limit_ug_m3", "no row"},
        {"so2_mass", "ug/m3", "mean, window: 1 h", "air_limits SO2 limit_ug_m3", "no row"},
        {"so2_mass", "ppb", "mean, window: 1 h", "air_limits SO2/1h/2023-09-12 limit_ug_m3", "ppb"},
        {"so2", "ug/m3", "mean, window: 1 h", "air_limits SO2/1h/2023-09-12 limit_ug_m3", "ug/m3"},
        {"so2", "ppm", "mean, window: 1 h", "air_limits SO2/1h/2023-09-12 limit_ug_m3",
         "the indicator in 'ppm'"},
        {"so2", "ppb", "mean, window: 1 h", "air_limits SO2/1h/2023-09-12 limit_ug_m3",
         "the indicator in 'ppb'"},
        {"so2", "ppm", "mean, window: 1 h", "vn_aqi_breakpoints SO2/1h/100 from_ug_m3",
         "the indicator in 'ppm'"},
        {"pm2_5", "ug/m3", "nowcast, window: 12 h", "vn_aqi_breakpoints PM2.5/24h/100 from_ug_m3",
         NULL},
        {"pm2_5", "ug/m3", "nowcast, window: 11 h", "vn_aqi_breakpoints PM2.5/24h/100 from_ug_m3",
         "12 h"},
        {"pm2_5", "ug/m3", "nowcast", "vn_aqi_breakpoints PM2.5/24h/100 from_ug_m3", "12 h"},
        {"so2_mass", "ug/m3", "highest_hour, window: 24 h",
         "air_limits SO2/1h/2023-09-12 limit_ug_m3", NULL},
        {"so2_mass", "ug/m3", "highest_hour, window: 90 min",
         "air_limits SO2/1h/2023-09-12 limit_ug_m3", "whole hours"},
        {"so2_mass", "ug/m3", "highest_8h, window: 49 h",
         "air_limits SO2/1h/2023-09-12 limit_ug_m3", "whole hours"},
        {"so2_mass", "ug/m3", "lowest_daily_max, window: 30 h",
         "air_limits SO2/1h/2023-09-12 limit_ug_m3", "whole days"},
        {"so2_mass", "ug/m3", "lowest_daily_max", "air_limits SO2/1h/2023-09-12 limit_ug_m3",
         "whole days"},
        {"pm2_5", "ug/m3", "nowcast, window: 12 h", "vn_aqi_breakpoints PM2.5/24h/99 from_ug_m3",
         "has no row"},
    };
    char dir[64];
    char text[2048];
    copy_minimal(dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_errors errors;
        struct site *loaded = NULL;
        int length = snprintf(text, sizeof text,
                              "id: air\nname: {vi: a, en: a}\nkind: air\n"
                              "position: {latitude_deg: 14.5, longitude_deg: 108.75}\n"
                              "connection: {host: 127.0.0.1, port: 15901}\npoints:\n"
                              "  - id: x\n    quantity: %s\n    unit: %s\n    period: 5 min\n"
                              "    stale_after: 30 min\n"
                              "    register: {table: holding, address: 0, type: float32}\n"
                              "    quality: {hard_min: 0 %s, hard_max: 1e4 %s}\n",
                              cases[i].quantity, cases[i].unit, cases[i].unit, cases[i].unit);
        write_whole(dir, "stations/air.yaml", text, (size_t)length);
        length = snprintf(text, sizeof text,
                          "id: air-x\nhazard: air_quality\ntext: {vi: a, en: a}\nsource: made up\n"
                          "scale: areal_rain\nplaces: {stations: [air]}\nindicators:\n"
                          "  - {name: x, kind: %s, point: x}\nlevels:\n"
                          "  - {level: 1, when: {indicator: x, at_least: table %s}}\n",
                          cases[i].indicator, cases[i].row);
        write_whole(dir, "rules/air-x.yaml", text, (size_t)length);
        int result = load(dir, &loaded, &errors);
        bool told = false;
        for (size_t k = 0; k < errors.count; k++) {
            told = told || (cases[i].told != NULL && strstr(errors.items[k].text, cases[i].told));
        }
        if ((result == 0) != (cases[i].told == NULL) || (result != 0 && !told)) {
            show_errors(&errors);
            fail_msg("case %zu", i);
        }
        if (result == 0) {
            const struct rule *rule = &loaded->rules[0];
            for (size_t k = 0; k < loaded->rule_count; k++) {
                rule = strcmp(loaded->rules[k].id, "air-x") == 0 ? &loaded->rules[k] : rule;
            }
            bool nowcast = rule->indicators[0].kind == INDICATOR_NOWCAST;
            double want = nowcast ? 50.3 : strcmp(cases[i].unit, "mg/m3") == 0 ? 0.35 : 350;
            assert_true(fabs(rule->nodes[0].threshold - want) < 1e-9);
            /* our reading of missing hours */
            assert_int_equal(rule->provisional, rule->indicators[0].kind >= INDICATOR_NOWCAST);
        }
        (void)site_destroy(loaded);
    }
    remove_dir(dir);
}

static int set_up(void **state) {
    struct config_errors errors;
    if (open_units(state) != 0) {
        return -1;
    }
    if (load(binh_dinh, &site, &errors) != 0) {
        show_errors(&errors);
        return -1;
    }
    return 0;
}

static int tear_down(void **state) {
    (void)site_destroy(site);
    return close_units(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_of_qcvn),
        cmocka_unit_test(test_limits_by_their_days),
        cmocka_unit_test(test_validity_is_told),
        cmocka_unit_test(test_levels_of_vn_aqi),
        cmocka_unit_test(test_levels_of_the_daily_vn_aqi),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
