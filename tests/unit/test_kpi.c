/* Figures of the alarm system against counts made by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "alerts/kpi.h"

#define MINUTE_US (INT64_C(60) * 1000000)

static void raise_at(struct kpi *kpi, int64_t minute, const char *rule, const char *place) {
    const struct kpi_event event = {
        .time_us = minute * MINUTE_US, .rule = rule, .place = place, .raised = true, .asks = true};
    assert_int_equal(kpi_add(kpi, &event), 0);
}

static void acknowledge_at(struct kpi *kpi, int64_t minute, const char *rule, const char *place) {
    const struct kpi_event event = {
        .time_us = minute * MINUTE_US, .rule = rule, .place = place, .acknowledged = true};
    assert_int_equal(kpi_add(kpi, &event), 0);
}

static void test_floods(void **state) {
    struct kpi *kpi = NULL;
    static struct kpi_report report;
    (void)state;
    /* Six periods: 0, 11, 5, 4, 10, 12 alarms. The flood of the second lasts over the third and
     * ends with the fourth; ten are none; the last is another. */
    static const int counts[] = {0, 11, 5, 4, 10, 12};
    assert_int_equal(kpi_create(0, 60 * MINUTE_US, &kpi), 0);
    for (int period = 0; period < 6; period++) {
        for (int i = 0; i < counts[period]; i++) {
            char place[16];
            (void)snprintf(place, sizeof place, "p%d", i);
            raise_at(kpi, period * 10 + i % 10, "r", place);
        }
    }
    raise_at(kpi, 60, "r", "p0"); /* after the end */
    kpi_report(kpi, INT64_MAX, &report);
    assert_int_equal(report.alarms, 42);
    assert_true(fabs(report.mean_per_10min - 7) < 1e-12);
    assert_int_equal(report.most_in_10min, 12);
    assert_int_equal(report.flood_count, 2);
    assert_true(fabs(report.flood_share - 3.0 / 6) < 1e-12);
    assert_int_equal(report.floods[0].start_us, 10 * MINUTE_US);
    assert_int_equal(report.floods[0].end_us, 30 * MINUTE_US);
    assert_int_equal(report.floods[0].alarms, 16);
    assert_int_equal(report.floods[1].alarms, 12);
    /* p0 to p3 five times each, p4 four times, p5 to p9 three times: 39 of 42. */
    assert_int_equal(report.frequent_count, 10);
    assert_string_equal(report.frequent[0].place, "p0");
    assert_int_equal(report.frequent[0].count, 5);
    assert_true(fabs(report.frequent_share - 39.0 / 42) < 1e-12);
    kpi_report(kpi, 20 * MINUTE_US, &report); /* so far */
    assert_true(fabs(report.flood_share - 0.5) < 1e-12);
    (void)kpi_destroy(kpi);
}

static void test_chattering_and_waiting(void **state) {
    struct kpi *kpi = NULL;
    static struct kpi_report report;
    (void)state;
    assert_int_equal(kpi_create(1000 * MINUTE_US, 2000 * MINUTE_US, &kpi), 0);
    raise_at(kpi, 990, "early", "a");        /* before: only sets the scene */
    acknowledge_at(kpi, 1005, "early", "a"); /* 900 s */
    raise_at(kpi, 1010, "noisy", "a");
    raise_at(kpi, 1030, "noisy", "a");
    raise_at(kpi, 1069, "noisy", "a"); /* the third within the hour */
    raise_at(kpi, 1010, "slow", "a");
    raise_at(kpi, 1040, "slow", "a");
    raise_at(kpi, 1070, "slow", "a");        /* an hour after the first: not within it */
    acknowledge_at(kpi, 1080, "noisy", "a"); /* counted from its first raise: 4200 s */
    raise_at(kpi, 1100, "third", "b");
    acknowledge_at(kpi, 1101, "third", "b"); /* 60 s */
    acknowledge_at(kpi, 1102, "third", "b"); /* nothing waits */
    const struct kpi_event silent = {
        .time_us = 1103 * MINUTE_US, .rule = "shelved", .place = "b", .raised = true};
    assert_int_equal(kpi_add(kpi, &silent), 0);
    kpi_report(kpi, INT64_MAX, &report);
    assert_int_equal(report.alarms, 7);
    assert_int_equal(report.chattering_count, 1);
    assert_string_equal(report.chattering[0].rule, "noisy");
    assert_int_equal(report.chattering[0].count, 3);
    assert_int_equal(report.acknowledged, 3);
    assert_int_equal(report.unacknowledged, 1); /* slow */
    assert_true(report.acknowledge_median_s == 900 && report.acknowledge_p90_s == 4200 &&
                report.acknowledge_most_s == 4200);
    (void)kpi_destroy(kpi);
}

static void test_nothing_and_bounds(void **state) {
    struct kpi *kpi = NULL;
    static struct kpi_report report;
    (void)state;
    assert_int_equal(kpi_create(0, 9 * MINUTE_US, &kpi), ERR_RANGE);
    assert_int_equal(kpi_create(0, (KPI_DAYS_MAX + 1) * INT64_C(1440) * MINUTE_US, &kpi),
                     ERR_RANGE);
    assert_null(kpi);
    assert_int_equal(kpi_create(0, 100 * MINUTE_US, &kpi), 0);
    kpi_report(kpi, 0, &report);
    assert_true(report.alarms == 0 && report.mean_per_10min == 0 && report.frequent_count == 0);
    assert_true(isnan(report.acknowledge_median_s)); /* none is not 0 s */
    for (int i = 0; i <= KPI_ALARMS_MAX; i++) {
        char place[16];
        (void)snprintf(place, sizeof place, "p%d", i);
        const struct kpi_event event = {.rule = "r", .place = place, .raised = true, .asks = true};
        assert_int_equal(kpi_add(kpi, &event), i < KPI_ALARMS_MAX ? 0 : ERR_LIMIT);
    }
    (void)kpi_destroy(kpi);
}

static void test_event_of_json(void **state) {
    struct kpi_event event = {.time_us = 77};
    (void)state;
    json_t *alert =
        json_pack("{s:s,s:s,s:{s:s},s:{s:s},s:{s:s},s:{s:s}}", "event", "raised", "time",
                  "2025-11-19T00:00:00Z", "rule", "id", "flood", "place", "id", "st-0",
                  "annunciation", "state", "unacknowledged", "override", "state", "none");
    assert_int_equal(kpi_event_of(alert, &event), 0);
    assert_true(event.raised && event.asks && !event.acknowledged);
    assert_string_equal(event.place, "st-0");
    json_object_set_new(json_object_get(alert, "override"), "state", json_string("shelved"));
    assert_int_equal(kpi_event_of(alert, &event), 0);
    assert_false(event.asks);
    json_object_del(alert, "time");
    event.time_us = 77;
    assert_int_equal(kpi_event_of(alert, &event), ERR_SYNTAX);
    assert_int_equal(kpi_event_of(NULL, &event), ERR_SYNTAX);
    assert_int_equal(event.time_us, 77);
    json_decref(alert);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_chattering_and_waiting),
        cmocka_unit_test(test_nothing_and_bounds),
        cmocka_unit_test(test_event_of_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
