/* Quality control inside the engine: neighbours, cross-variable tests and a counter's epoch, with
 * what the alarm makes of it. Three gauges; alarm levels of the first are 2, 4 and 6 m. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tests/unit/engine_fixture.h"

enum { STAGE, TIPS, SERIAL, STAGE_B, STAGE_C, POINTS };

static struct fixture fixture;
static struct station stations[3];
static struct point points[POINTS];
static struct engine *engine;
static uint64_t number;
static struct reading last;

static void on_reading(void *context, const struct reading *reading) {
    (void)context;
    last = *reading;
}

static const struct engine_sink sink = {.on_reading = on_reading};

static int begin(void **state) {
    (void)state;
    struct err err;
    fixture_init(&fixture);
    number = 0;
    for (int i = 0; i < 3; i++) {
        stations[i] = fixture.stations[0];
        stations[i].first_point = i == 0 ? 0 : (uint32_t)(STAGE_B + i - 1);
        stations[i].point_count = i == 0 ? 3 : 1;
    }
    strcpy(stations[1].id, "above");
    strcpy(stations[2].id, "below");
    for (uint32_t i = 0; i < POINTS; i++) {
        points[i] = fixture.points[i == TIPS ? POINT_RAIN : POINT_STAGE];
        points[i].station = i >= STAGE_B ? i - STAGE_B + 1 : 0;
    }
    strcpy(points[SERIAL].id, "serial");
    points[SERIAL].quality = fixture_no_limits();
    points[SERIAL].quality.hard_min = 0;
    points[TIPS].counter_epoch = COUNTER_EPOCH_CHANGES;
    points[TIPS].counter_epoch_point = SERIAL;
    struct quality_limits *limits = &points[STAGE].quality;
    limits->hard_max = 20;
    limits->spike_fail = 1.5;
    limits->neighbour_max = 1;
    limits->neighbour_age_us = 10 * MIN;
    limits->neighbour_count = 2;
    limits->neighbours[0].index = STAGE_B;
    limits->neighbours[1].index = STAGE_C;
    limits->cross_count = 1;
    limits->cross[0] = (struct quality_cross){.value_above = (double)NAN,
                                              .rise_above = 0.5,
                                              .rise_window_us = 10 * MIN,
                                              .other = {.index = TIPS},
                                              .statistic = STATISTIC_AMOUNT,
                                              .window_us = 30 * MIN,
                                              .other_min = 5,
                                              .other_max = (double)NAN};
    fixture.site.stations = stations;
    fixture.site.station_count = 3;
    fixture.site.points = points;
    fixture.site.point_count = POINTS;
    return engine_create(&fixture.site, fixture_at(0), &engine, &err);
}

static int finish(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    return 0;
}

static void read_at(int64_t minute, uint32_t point, double value) {
    struct engine_input input = {
        .kind = ENGINE_READING, .number = ++number, .now = fixture_at(minute * MIN)};
    input.as.reading = (struct reading){.point = point,
                                        .seq = number,
                                        .status = READING_OK,
                                        .value = value,
                                        .received = fixture_at(minute * MIN)};
    assert_int_equal(engine_step(engine, &input, &sink), 0);
}

/* All of one minute; the stage last, so that it sees the others. */
static void minute_of(int64_t minute, double stage, double others, double tips, double serial) {
    read_at(minute, SERIAL, serial);
    read_at(minute, TIPS, tips);
    read_at(minute, STAGE_B, others);
    read_at(minute, STAGE_C, others + 0.2);
    read_at(minute, STAGE, stage);
}

static int take_view(void *context, const struct alarm_view *view) {
    struct alarm_view *wanted = context;
    if (view->rule == wanted->rule) {
        *wanted = *view;
    }
    return 0;
}

static struct alarm_view view_of(int rule) {
    struct alarm_view view = {.rule = &fixture.rules[rule]};
    (void)engine_visit_alarms(engine, take_view, &view);
    return view;
}

/* Higher than ever and far above the soft bound of 10 m, in one leap of 9 m: with rain, and with
 * the neighbours as high, it raises all levels; nothing of it is thrown away. */
static void test_a_record_flood_passes(void **state) {
    (void)state;
    for (int i = 0; i < 40; i++) {
        minute_of(i, 1, 1, i, 7);
    }
    for (int i = 40; i < 50; i++) {
        minute_of(i, 10.5, 10.4, i, 7);
        assert_int_not_equal(last.flag, QUALITY_FAIL);
        assert_int_equal(last.suspect_tests, 1 << TEST_GROSS_RANGE); /* above the soft bound */
    }
    assert_int_equal(view_of(RULE_FLOOD).alarm->level, 3);
    assert_int_equal(view_of(RULE_FLOOD).alarm->knowledge, KNOWLEDGE_DOUBTFUL);
}

/* A leap of one reading that the neighbours do not show is suspect at once, and a spike when the
 * next one is known: it is no evidence any more. */
static void test_a_leap_alone_is_a_spike(void **state) {
    (void)state;
    minute_of(0, 1, 1, 0, 7);
    minute_of(1, 1, 1, 0, 7);
    minute_of(2, 7, 1, 0, 7);
    assert_int_equal(last.suspect_tests & 1 << TEST_NEIGHBOUR, 1 << TEST_NEIGHBOUR);
    minute_of(3, 1, 1, 0, 7); /* the neighbours stand at 1: it was a spike */
    assert_true(view_of(RULE_FLOOD).indicators[0].value == 1);
}

static void test_a_rise_without_rain_is_suspect(void **state) {
    (void)state;
    for (int i = 0; i < 45; i++) {
        minute_of(i, 1, 1, 0, 7);
    }
    minute_of(45, 1.8, 1.8, 0, 7); /* 0.8 m in ten minutes, no rain in thirty */
    assert_int_equal(last.suspect_tests, 1 << TEST_CROSS_VARIABLE);
    for (int i = 46; i < 60; i++) {
        minute_of(i, 1.8, 1.8, i - 45, 7);
    }
    minute_of(60, 2.6, 2.6, 15, 7); /* now 15 mm fell */
    assert_int_equal(last.suspect_tests, 0);
}

/* Another logger whose total looks like 10 mm more: the serial number in the same reply tells. */
static void test_another_device_brings_no_rain(void **state) {
    (void)state;
    for (int i = 0; i < 30; i++) {
        minute_of(i, 1, 1, 100, 7);
    }
    minute_of(30, 1, 1, 110, 8);
    assert_true(view_of(RULE_RAIN).indicators[0].value == 0);
    minute_of(31, 1, 1, 111, 8);
    assert_true(fabs(view_of(RULE_RAIN).indicators[0].value - 1) < 1e-9);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_a_record_flood_passes),
        CASE(test_a_leap_alone_is_a_spike),
        CASE(test_a_rise_without_rain_is_suspect),
        CASE(test_another_device_brings_no_rain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
