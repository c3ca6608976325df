/* Readings out of a logger's memory: no live alarm, exactly one event for a crossing inside the
 * hole. The gauge's alarm levels are 2, 4 and 6 m. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tests/unit/engine_fixture.h"

enum { EVENTS_MAX = 32 };

static struct fixture fixture;
static struct engine *engine;
static uint64_t number;
static struct reading last_reading;
static struct event events[EVENTS_MAX];
static struct late_crossing crossings[EVENTS_MAX];
static int event_count, late_count;

static void on_reading(void *context, const struct reading *reading) {
    (void)context;
    last_reading = *reading;
}

static void on_event(void *context, const struct event *event) {
    (void)context;
    assert_true(event_count < EVENTS_MAX);
    assert_int_equal(event->kind == EVENT_LATE, event->late != NULL);
    if (event->late != NULL) {
        crossings[late_count++] = *event->late;
    }
    events[event_count++] = *event;
}

static const struct engine_sink sink = {.on_reading = on_reading, .on_event = on_event};

static int begin(void **state) {
    (void)state;
    struct err err;
    fixture_init(&fixture);
    number = 0;
    event_count = late_count = 0;
    return engine_create(&fixture.site, fixture_at(0), &engine, &err);
}

static int finish(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    return 0;
}

static void take(int64_t now_us, int64_t at_us, double value, bool late, bool last) {
    struct engine_input input = {
        .kind = ENGINE_READING, .number = ++number, .now = fixture_at(now_us)};
    input.as.reading = (struct reading){.point = POINT_STAGE,
                                        .seq = number,
                                        .status = READING_OK,
                                        .value = value,
                                        .received = fixture_at(at_us),
                                        .late = late,
                                        .late_last = last};
    assert_int_equal(engine_step(engine, &input, &sink), 0);
}

static void live(int64_t minute, double value) {
    take(minute * MIN, minute * MIN, value, false, false);
}

/* Handed over at minute 100. */
static void late(int64_t minute, double value, bool last) {
    take(100 * MIN, minute * MIN, value, true, last);
}

static int take_view(void *context, const struct alarm_view *view) {
    if (view->rule == &fixture.rules[RULE_FLOOD]) {
        *(struct alarm_view *)context = *view;
    }
    return 0;
}

static struct alarm_view flood(void) {
    struct alarm_view view = {.rule = NULL};
    (void)engine_visit_alarms(engine, take_view, &view);
    return view;
}

/* Up and down inside the hole: 5 m at minute 50 is level 2; live it was 1 m before and after. */
static void test_a_crossing_inside_the_hole(void **state) {
    (void)state;
    live(1, 1);
    live(100, 1);
    int before = event_count;
    late(20, 1, false);
    late(40, 3, false);
    late(50, 5, false);
    late(55, 5.5, false);
    late(60, 3, false);
    assert_int_equal(event_count, before);
    assert_int_equal(flood().alarm->level, 0);
    late(80, 1, true);
    assert_int_equal(event_count, before + 1);
    assert_int_equal(late_count, 1);
    assert_int_equal(crossings[0].level, 2);
    assert_true(crossings[0].at.us == fixture_at(50 * MIN).utc.us);
    assert_true(crossings[0].value == 5);
    assert_int_equal(events[before].change.what, CHANGE_LATE);
    assert_int_equal(flood().alarm->level, 0);
    assert_int_equal(flood().alarm->annunciation, ANNUNCIATION_NORMAL);
    assert_int_equal(flood().alarm->knowledge, KNOWLEDGE_FRESH);
    assert_true(flood().indicators[0].value == 1); /* the live value */
    late(90, 1, true);                             /* another fill without a crossing */
    assert_int_equal(event_count, before + 1);
}

/* Raised live after the hole: the crossing in it is told once; what stood before is no crossing. */
static void test_what_stood_before_is_no_crossing(void **state) {
    (void)state;
    live(1, 3); /* level 1 */
    live(100, 7);
    live(103, 7); /* level 3, after the on-delay of level 2 */
    assert_int_equal(flood().alarm->level, 3);
    int before = event_count;
    take(104 * MIN, 20 * MIN, 3.5, true, false); /* level 1 stood */
    take(104 * MIN, 60 * MIN, 4.5, true, true);
    assert_int_equal(event_count, before + 1);
    assert_int_equal(crossings[0].level, 2);
    assert_int_equal(flood().alarm->level, 3);
}

static void test_failed_and_hard_values_tell_nothing(void **state) {
    (void)state;
    live(1, 1);
    live(100, 1);
    int before = event_count;
    late(50, 42370, false);
    assert_int_equal(last_reading.flag, QUALITY_FAIL);
    late(60, (double)NAN, true);
    assert_int_equal(last_reading.flag, QUALITY_MISSING);
    assert_int_equal(event_count, before);
}

static void test_late_data_feed_no_window(void **state) {
    (void)state;
    live(1, 1);
    live(100, 1);
    struct alarm_view view = {.rule = NULL};
    late(95, 9, true); /* a rise of 8 m within ten minutes, were it live */
    live(101, 1);
    (void)engine_visit_alarms(engine, take_view, &view);
    for (int i = 0; i < event_count; i++) {
        assert_false(events[i].view.rule == &fixture.rules[RULE_RISE] &&
                     events[i].kind == EVENT_RAISED);
    }
}

/* Killed in the middle of a fill: still exactly one event. */
static void test_saved_in_the_middle(void **state) {
    (void)state;
    struct bytes bytes = {0};
    struct engine *other = NULL;
    struct err err;
    live(1, 1);
    live(100, 1);
    late(50, 5, false);
    assert_int_equal(engine_save(engine, &bytes), 0);
    assert_int_equal(engine_create(&fixture.site, fixture_at(0), &other, &err), 0);
    assert_int_equal(engine_load(other, bytes.data, bytes.length, NULL, NULL), 0);
    (void)engine_destroy(engine);
    engine = other;
    late(80, 1, true);
    assert_int_equal(late_count, 1);
    assert_int_equal(crossings[0].level, 2);
    bytes_finish(&bytes);
}

/* Somebody worked on the station when the record was made: kept, tagged, evidence for nothing. */
static void test_work_on_the_station(void **state) {
    (void)state;
    struct engine_input input = {.kind = ENGINE_COMMAND, .number = 0, .now = fixture_at(40 * MIN)};
    live(1, 1);
    input.number = ++number;
    input.as.command = (struct command){.kind = COMMAND_MAINTENANCE, .place = "gauge"};
    input.as.command.until.us = START_UTC + 60 * MIN;
    strcpy(input.as.command.actor, "technician");
    strcpy(input.as.command.comment, "on site");
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    live(100, 1); /* it has ended by its time */
    late(45, 5, false);
    assert_int_equal(last_reading.flag, QUALITY_SUSPECT);
    assert_int_equal(last_reading.suspect_tests, 1 << TEST_MAINTENANCE);
    late(50, 5, true);
    assert_int_equal(late_count, 0);
    late(70, 5, true); /* afterwards the river was high */
    assert_int_equal(last_reading.suspect_tests, 0);
    assert_int_equal(late_count, 1);
}

/* What is not known to be the right device raises, and lowers nothing. */
static void test_a_foreign_device(void **state) {
    (void)state;
    struct engine_input input = {.kind = ENGINE_READING, .now = fixture_at(10 * MIN)};
    live(1, 3);
    assert_int_equal(flood().alarm->level, 1);
    input.number = ++number;
    input.as.reading = (struct reading){.point = POINT_STAGE,
                                        .seq = number,
                                        .status = READING_OK,
                                        .value = 1,
                                        .received = fixture_at(10 * MIN),
                                        .foreign = true};
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(last_reading.flag, QUALITY_SUSPECT);
    assert_int_equal(last_reading.suspect_tests, 1 << TEST_IDENTITY);
    assert_int_equal(flood().alarm->level, 1);
    assert_int_equal(flood().alarm->knowledge, KNOWLEDGE_DOUBTFUL);
    input.number = ++number;
    input.now = input.as.reading.received = fixture_at(11 * MIN);
    input.as.reading.seq = number;
    input.as.reading.value = 7;
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(flood().alarm->level, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_crossing_inside_the_hole),
        TEST(test_what_stood_before_is_no_crossing),
        TEST(test_failed_and_hard_values_tell_nothing),
        TEST(test_late_data_feed_no_window),
        TEST(test_saved_in_the_middle),
        TEST(test_work_on_the_station),
        TEST(test_a_foreign_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
