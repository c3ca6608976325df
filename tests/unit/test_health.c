#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/health.h"

static const struct moment now = {{1}, {2}};

static void raises_once_and_clears(void **state) {
    (void)state;
    struct health *health;
    assert_int_equal(health_create(4, &health), 0);
    assert_true(
        health_raise(health, CONDITION_KAFKA_UNREACHABLE, "kafka", now, "no broker at %s", "a:1"));
    assert_false(
        health_raise(health, CONDITION_KAFKA_UNREACHABLE, "kafka", now, "no broker at %s", "b:1"));
    assert_int_equal(health_count(health), 1);
    assert_int_equal(health_get(health, 0)->count, 2);
    assert_string_equal(health_get(health, 0)->text, "no broker at b:1");
    assert_false(health_clear(health, CONDITION_KAFKA_UNREACHABLE, "other"));
    assert_true(health_clear(health, CONDITION_KAFKA_UNREACHABLE, "kafka"));
    assert_int_equal(health_count(health), 0);
    assert_null(health_get(health, 0));
    health_destroy(health);
}

static void stays_sorted_and_bounded(void **state) {
    (void)state;
    struct health *health;
    char subject[16];
    assert_int_equal(health_create(4, &health), 0);
    for (int i = 9; i >= 0; i--) {
        (void)snprintf(subject, sizeof subject, "s%d", i);
        health_raise(health, CONDITION_STATION_UNREACHABLE, subject, now, "silent");
    }
    /* four stations and the condition that says there are more */
    assert_int_equal(health_count(health), 5);
    assert_int_equal(health_lost(health), 6);
    assert_string_equal(health_get(health, 0)->subject, "s6");
    assert_string_equal(health_get(health, 3)->subject, "s9");
    assert_int_equal(health_get(health, 4)->class, CONDITION_OVERFLOW);
    assert_true(health_clear(health, CONDITION_STATION_UNREACHABLE, "s7"));
    assert_int_equal(health_count(health), 3); /* the overflow condition went too */
    health_destroy(health);
}

static void cuts_a_long_subject(void **state) {
    (void)state;
    struct health *health;
    char subject[400];
    memset(subject, 'x', sizeof subject - 1);
    subject[sizeof subject - 1] = '\0';
    assert_int_equal(health_create(2, &health), 0);
    assert_true(health_raise(health, CONDITION_POINT_STALE, subject, now, "%s", subject));
    assert_false(health_raise(health, CONDITION_POINT_STALE, subject, now, "again"));
    assert_int_equal(strlen(health_get(health, 0)->subject), 2 * STATION_ID_SIZE - 1);
    health_destroy(health);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raises_once_and_clears),
        cmocka_unit_test(stays_sorted_and_bounded),
        cmocka_unit_test(cuts_a_long_subject),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
