/* The triggers and hours of the flood bulletins, by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alerts/flood_bulletin.h"
#include "alerts/tables/tables.h"
#include "daemon/base/text.h"

#define HOUR_US (INT64_C(3600) * 1000000)

static struct rule_row rows[2];

/* The hours as a rule of a site has them. */
static struct rule gauge_rule(void) {
    memset(rows, 0, sizeof rows);
    return (struct rule){.scale.kind = SCALE_FLOOD_ALARM,
                         .indicator_count = 1,
                         .indicators = {{.kind = INDICATOR_LATEST}},
                         .rows = rows,
                         .row_count = 2,
                         .issue_count = 2,
                         .issues = {{2, 2, {570, 1290}, 1}, {3, 4, {210, 570, 930, 1290}, 2}}};
}

static void test_triggers(void **state) {
    struct rule rule = gauge_rule();
    struct alarm alarm = {.level = 0, .trend = TREND_RISING};
    (void)state;
    assert_int_equal(flood_bulletin_of(&rule, &alarm, false), FLOOD_BULLETIN_NONE);
    alarm.level = 1;
    assert_int_equal(flood_bulletin_of(&rule, &alarm, false), FLOOD_BULLETIN_WARNING);
    alarm.trend = TREND_FALLING;
    assert_int_equal(flood_bulletin_of(&rule, &alarm, false), FLOOD_BULLETIN_NONE);
    assert_int_equal(flood_bulletin_of(&rule, &alarm, true), FLOOD_BULLETIN_WARNING);
    alarm.level = 2; /* rising or falling */
    assert_int_equal(flood_bulletin_of(&rule, &alarm, false), FLOOD_BULLETIN_FLOOD);
    alarm.level = 3;
    assert_int_equal(flood_bulletin_of(&rule, &alarm, false), FLOOD_BULLETIN_EMERGENCY);
    rule.indicators[0] = (struct indicator_spec){.kind = INDICATOR_MODEL, .lead_us = 6 * HOUR_US};
    assert_int_equal(flood_bulletin_of(&rule, &alarm, false), FLOOD_BULLETIN_WARNING);
    rule = gauge_rule();
    rule.scale.kind = SCALE_RISK;
    assert_int_equal(flood_bulletin_of(&rule, &alarm, true), FLOOD_BULLETIN_NONE);
}

static void expect(const char *after, uint32_t level, int64_t least_us, const char *expected) {
    const struct rule rule = gauge_rule();
    struct utc_us at = {0};
    char text[32];
    assert_int_equal(text_parse_time(after, &at.us), 0);
    text_format_time(flood_bulletin_next_us(&rule, level, at, least_us), text, sizeof text);
    assert_string_equal(text, expected);
}

static void test_hours(void **state) {
    (void)state;
    /* Vietnamese hours in UTC: 03:30 is 20:30 of the day before. */
    expect("2025-11-19T01:00:00+07:00", 3, 0, "2025-11-18T20:30:00Z");
    expect("2025-11-19T03:30:00+07:00", 3, 0, "2025-11-19T02:30:00Z");
    expect("2025-11-19T09:29:59+07:00", 3, 0, "2025-11-19T02:30:00Z");
    expect("2025-11-19T09:10:00+07:00", 3, HOUR_US / 2, "2025-11-19T08:30:00Z");
    expect("2025-11-19T16:00:00+07:00", 3, 0, "2025-11-19T14:30:00Z");
    expect("2025-11-19T22:00:00+07:00", 3, 0, "2025-11-19T20:30:00Z");
    expect("2025-11-19T01:00:00+07:00", 2, 0, "2025-11-19T02:30:00Z");
    expect("2025-11-19T10:00:00+07:00", 2, 0, "2025-11-19T14:30:00Z");
    expect("2025-11-19T21:30:00+07:00", 2, 0, "2025-11-20T02:30:00Z");
    const struct rule rule = gauge_rule();
    assert_true(flood_bulletin_next_us(&rule, 1, (struct utc_us){HOUR_US}, 0) == INT64_MAX);
}

/* Hours that are not in force count for nothing: those of a lower level stand, or none. */
static void test_hours_out_of_force(void **state) {
    (void)state;
    struct rule rule = gauge_rule();
    struct utc_us at = {0};
    assert_int_equal(text_parse_time("2025-11-19T01:00:00+07:00", &at.us), 0);
    rows[1].valid_to_us = at.us;
    assert_ptr_equal(flood_bulletin_issue(&rule, 3, at), &rule.issues[0]);
    rows[0].valid_from_us = at.us + 1;
    assert_null(flood_bulletin_issue(&rule, 3, at));
    assert_true(flood_bulletin_next_us(&rule, 3, at, 0) == INT64_MAX);
    rule.issue_count = 0;
    assert_true(flood_bulletin_next_us(&rule, 3, at, 0) == INT64_MAX);
}

/* The table that ships says the hours that the tests above take, and that nobody read them in the
 * Decision in force. */
static void test_table(void **state) {
    (void)state;
    struct tables *tables = NULL;
    struct err err = {0};
    struct rule rule = gauge_rule();
    assert_int_equal(tables_load(CANHBAO_SOURCE_DIR "/alerts/tables", &tables, &err), 0);
    assert_int_equal(tables->bulletin_count, rule.issue_count);
    for (size_t i = 0; i < tables->bulletin_count; i++) {
        const struct bulletin_hours *hours = &tables->bulletins[i];
        assert_string_equal(hours->bulletin, i == 0 ? "flood" : "emergency_flood");
        assert_int_equal(hours->level, rule.issues[i].from_level);
        assert_int_equal(hours->count, rule.issues[i].count);
        assert_memory_equal(hours->minutes, rule.issues[i].minutes,
                            hours->count * sizeof hours->minutes[0]);
        assert_true(hours->source.provisional && hours->article == 15);
    }
    (void)tables_destroy(tables);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_triggers),
        cmocka_unit_test(test_hours),
        cmocka_unit_test(test_hours_out_of_force),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
