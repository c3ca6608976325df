/* Calibrations, bucket tests and hand readings. Expected numbers are worked out by hand in the
 * comments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tests/unit/engine_fixture.h"

static struct fixture fixture;
static struct engine *engine;
static uint64_t number;
static struct reading last_reading;
static struct field_entry last_entry;
static int entry_count, reply_code;

static void on_reading(void *context, const struct reading *reading) {
    (void)context;
    last_reading = *reading;
}

static void on_field_entry(void *context, const struct field_entry *entry) {
    (void)context;
    last_entry = *entry;
    entry_count++;
}

static void on_reply(void *context, const struct engine_reply *reply) {
    (void)context;
    reply_code = reply->code;
}

static const struct engine_sink sink = {
    .on_reading = on_reading, .on_field_entry = on_field_entry, .on_reply = on_reply};

static int begin(void **state) {
    (void)state;
    struct err err;
    fixture_init(&fixture);
    number = 0;
    entry_count = 0;
    return engine_create(&fixture.site, fixture_at(0), &engine, &err);
}

static int finish(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    return 0;
}

static void step(struct engine_input *input, int64_t at_us) {
    input->number = ++number;
    input->now = fixture_at(at_us);
    assert_int_equal(engine_step(engine, input, &sink), 0);
}

static void read_at(int64_t at_us, uint32_t point, double value) {
    struct engine_input input = {.kind = ENGINE_READING};
    input.as.reading = (struct reading){.point = point,
                                        .seq = number + 1,
                                        .status = READING_OK,
                                        .value = value,
                                        .received = fixture_at(at_us)};
    step(&input, at_us);
}

static int command_at(int64_t at_us, struct command command) {
    struct engine_input input = {.kind = ENGINE_COMMAND};
    strcpy(command.place, "gauge");
    strcpy(command.actor, "unix:an");
    input.as.command = command;
    step(&input, at_us);
    return reply_code;
}

static struct command field_command(enum command_kind kind, const char *point) {
    struct command command = {.kind = kind};
    strcpy(command.field.point, point);
    strcpy(command.field.instrument, "staff gauge");
    strcpy(command.comment, "yearly visit");
    return command;
}

static struct command calibration(int64_t from_us, double shown_1, double reference_1,
                                  double shown_2, double reference_2) {
    struct command command = field_command(COMMAND_CALIBRATE, "stage");
    command.field.at = fixture_at(from_us).utc;
    command.field.shown[0] = shown_1;
    command.field.shown[1] = shown_2;
    command.field.reference[0] = reference_1;
    command.field.reference[1] = reference_2;
    return command;
}

static int take_view(void *context, const struct alarm_view *view) {
    struct alarm_view *wanted = context;
    if (strcmp(view->rule->id, wanted->rule->id) == 0) {
        *wanted = *view;
        return 1;
    }
    return 0;
}

static struct alarm_view view_of(int rule) {
    struct alarm_view view = {.rule = &fixture.rules[rule]};
    assert_int_equal(engine_visit_alarms(engine, take_view, &view), 1);
    return view;
}

static void assert_close(double value, double want) {
    if (!(fabs(value - want) < 1e-9)) {
        fail_msg("%.12g instead of %.12g", value, want);
    }
}

/* Shown 1 and 3 where 1.1 and 3.5 stand on the staff: gain 1.2, offset -0.1; 2 is 2.3. */
static void test_a_calibration_is_a_layer(void **state) {
    (void)state;
    read_at(MIN, 0, 1.8);
    assert_int_equal(last_reading.calibration, 0);
    assert_close(last_reading.value, 1.8);
    assert_int_equal(view_of(RULE_FLOOD).alarm->level, 0);
    assert_int_equal(command_at(2 * MIN, calibration(2 * MIN, 1, 1.1, 3, 3.5)), 0);
    uint64_t id = number;
    assert_int_equal(last_entry.id, id);
    assert_close(last_entry.gain, 1.2);
    assert_close(last_entry.offset, -0.1);
    read_at(3 * MIN, 0, 1.8); /* 2.06: above alarm level I at 2 m */
    assert_close(last_reading.value, 2.06);
    assert_close(last_reading.uncalibrated, 1.8);
    assert_int_equal(last_reading.calibration, id);
    assert_int_equal(view_of(RULE_FLOOD).alarm->level, 1);
    struct command undo = field_command(COMMAND_REVOKE, "stage");
    undo.field.revokes = id;
    assert_int_equal(command_at(4 * MIN, undo), 0);
    read_at(5 * MIN, 0, 1.8);
    assert_close(last_reading.value, 1.8);
    assert_int_equal(last_reading.calibration, 0);
}

static void test_it_applies_from_its_time_and_the_latest_wins(void **state) {
    (void)state;
    assert_int_equal(command_at(MIN, calibration(10 * MIN, 0, 0.5, 1, 1.5)), 0); /* + 0.5 */
    uint64_t first = number;
    read_at(2 * MIN, 0, 1);
    assert_close(last_reading.value, 1);
    read_at(10 * MIN, 0, 1);
    assert_close(last_reading.value, 1.5);
    assert_int_equal(command_at(11 * MIN, calibration(10 * MIN, 0, 0.7, 1, 1.7)), 0); /* + 0.7 */
    read_at(12 * MIN, 0, 1);
    assert_close(last_reading.value, 1.7);
    struct command undo = field_command(COMMAND_REVOKE, "stage");
    undo.field.revokes = number - 1;
    assert_int_equal(command_at(13 * MIN, undo), 0);
    read_at(14 * MIN, 0, 1); /* the one before is in force again */
    assert_close(last_reading.value, 1.5);
    assert_int_equal(last_reading.calibration, first);
}

static void test_bad_calibrations_are_refused(void **state) {
    (void)state;
    assert_int_equal(command_at(MIN, calibration(MIN, 1, 1, 1, 2)), ERR_INVALID);
    assert_int_equal(command_at(MIN, calibration(MIN, 1, (double)NAN, 2, 2)), ERR_INVALID);
    assert_int_equal(command_at(MIN, calibration(MIN, 0, 0, 1, 11)), ERR_RANGE);
    assert_int_equal(command_at(MIN, calibration(MIN, 0, 0, 1, -1)), ERR_RANGE);
    struct command command = calibration(MIN, 0, 0, 1, 1);
    command.field.instrument[0] = '\0';
    assert_int_equal(command_at(MIN, command), ERR_INVALID);
    command = calibration(MIN, 0, 0, 1, 1);
    strcpy(command.field.point, "nothing");
    assert_int_equal(command_at(MIN, command), ERR_NOT_FOUND);
    command = calibration(MIN, 0, 1, 1, 2); /* an offset of an amount */
    strcpy(command.field.point, "tips");
    assert_int_equal(command_at(MIN, command), ERR_INVALID);
    assert_int_equal(entry_count, 0);
}

/* 10 mm shown where 11 mm fell: amounts from then on count 1.1 times; the total does not jump. */
static void test_of_a_bucket_the_amounts_are_calibrated(void **state) {
    (void)state;
    for (int i = 0; i <= 60; i++) {
        read_at(i * MIN, POINT_RAIN, 100 + 0.1 * i);
    }
    assert_close(view_of(RULE_RAIN).indicators[0].value, 6);
    struct command command = calibration(60 * MIN + 1, 0, 0, 10, 11);
    strcpy(command.field.point, "tips");
    assert_int_equal(command_at(60 * MIN + 1, command), 0);
    read_at(61 * MIN, POINT_RAIN, 106.5); /* 0.5 tipped, 0.55 fell; 0.1 left the hour */
    assert_close(last_reading.value, 106.5);
    assert_close(view_of(RULE_RAIN).indicators[0].value, 6 - 0.1 + 0.55);
}

static void pour(int64_t from_min, double total) {
    for (int i = 0; i < 10; i++) {
        read_at((from_min + i) * MIN, POINT_RAIN, total += 3);
    }
}

/* 30 mm in ten minutes would be level 1 (20 mm): poured, they are none. */
static void test_tips_of_a_test_are_no_rain(void **state) {
    (void)state;
    for (int i = 0; i <= 60; i++) {
        read_at(i * MIN, POINT_RAIN, 100);
    }
    struct command test = field_command(COMMAND_BUCKET_TEST, "tips");
    test.until = fixture_at(120 * MIN).utc;
    assert_int_equal(command_at(60 * MIN + SEC, test), 0);
    assert_int_equal(command_at(60 * MIN + SEC, test), ERR_EXISTS);
    pour(61, 100);
    assert_int_equal(last_reading.flag, QUALITY_SUSPECT);
    assert_int_equal(last_reading.suspect_tests, 1 << TEST_BUCKET_TEST);
    assert_close(last_reading.value, 130); /* the raw record has them */
    assert_close(engine_bucket_test(engine, 0).counted_mm, 30);
    assert_int_equal(view_of(RULE_RAIN).alarm->level, 0);
    struct command end = field_command(COMMAND_END_BUCKET_TEST, "tips");
    end.field.volume_ml = 640; /* 640 ml on 200 cm2: 32 mm; 30 counted in 150 tips: -6.25 % */
    end.field.area_cm2 = 200;
    end.field.tip_mm = 0.2;
    end.field.tolerance = 0.05;
    assert_int_equal(command_at(71 * MIN, end), 0);
    assert_int_equal(entry_count, 1);
    assert_close(last_entry.bucket.poured_mm, 32);
    assert_close(last_entry.bucket.tips, 150);
    assert_close(last_entry.bucket.error, -0.0625);
    assert_close(last_entry.bucket.tip_mm, 32.0 / 150);
    assert_false(last_entry.bucket.passed);
    /* Drops that fall after the end was said are no rain either; then it counts again. */
    read_at(72 * MIN, POINT_RAIN, 133);
    assert_int_equal(last_reading.suspect_tests, 0);
    read_at(73 * MIN, POINT_RAIN, 133.4);
    assert_close(view_of(RULE_RAIN).indicators[0].value, 0.4);
    assert_int_equal(view_of(RULE_RAIN).alarm->level, 0);
    assert_int_equal(command_at(74 * MIN, end), ERR_INVALID);
}

static void test_a_test_ends_by_itself(void **state) {
    (void)state;
    read_at(0, POINT_RAIN, 100);
    struct command test = field_command(COMMAND_BUCKET_TEST, "tips");
    assert_int_equal(command_at(SEC, test), ERR_RANGE);
    test.until = fixture_at(5 * 60 * MIN).utc;
    assert_int_equal(command_at(SEC, test), ERR_RANGE);
    test.until = fixture_at(5 * MIN).utc;
    assert_int_equal(command_at(SEC, test), 0);
    pour(1, 100);
    assert_int_equal(last_reading.suspect_tests, 0); /* at 10 min it is over */
    /* From 5 min on: the first total begins anew, five intervals of 3 mm follow. */
    assert_close(view_of(RULE_RAIN).indicators[0].value, 15);
    /* Over before anything was read: what was tipped is still no rain. */
    test.until = fixture_at(10 * MIN + 30 * SEC).utc;
    assert_int_equal(command_at(10 * MIN, test), 0);
    read_at(11 * MIN, POINT_RAIN, 160);
    assert_close(view_of(RULE_RAIN).indicators[0].value, 15);
    strcpy(test.field.point, "stage");
    test.until = fixture_at(20 * MIN).utc;
    assert_int_equal(command_at(11 * MIN, test), ERR_INVALID);
}

static void test_spots(void **state) {
    (void)state;
    struct command spot = field_command(COMMAND_SPOT, "stage");
    spot.field.at = fixture_at(MIN).utc;
    spot.field.reference[0] = 1.52;
    spot.field.shown[0] = 1.50;
    spot.field.tolerance = 0.02;
    assert_int_equal(command_at(2 * MIN, spot), 0);
    assert_true(field_spot_passed(&spot.field));
    spot.field.shown[0] = 1.499;
    assert_false(field_spot_passed(&spot.field));
    spot.field.shown[0] = (double)NAN; /* nothing was logged: no pass, but a record */
    assert_int_equal(command_at(2 * MIN, spot), 0);
    assert_false(field_spot_passed(&spot.field));
    spot.field.reference[0] = (double)NAN;
    assert_int_equal(command_at(2 * MIN, spot), ERR_INVALID);
    assert_int_equal(entry_count, 2);
}

/* The state comes back whole: a calibration in force and a test that runs. */
static void test_saved_and_loaded(void **state) {
    (void)state;
    struct bytes before = {0}, after = {0};
    struct engine *other = NULL;
    struct err err;
    read_at(0, POINT_RAIN, 100);
    assert_int_equal(command_at(SEC, calibration(SEC, 1, 1.1, 3, 3.5)), 0);
    struct command test = field_command(COMMAND_BUCKET_TEST, "tips");
    test.until = fixture_at(60 * MIN).utc;
    assert_int_equal(command_at(2 * SEC, test), 0);
    pour(1, 100);
    assert_int_equal(engine_save(engine, &before), 0);
    assert_int_equal(engine_create(&fixture.site, fixture_at(0), &other, &err), 0);
    assert_int_equal(engine_load(other, before.data, before.length, NULL, NULL), 0);
    assert_int_equal(engine_save(other, &after), 0);
    assert_int_equal(before.length, after.length);
    assert_memory_equal(before.data, after.data, before.length);
    assert_close(engine_bucket_test(other, 0).counted_mm, 30);
    (void)engine_destroy(engine);
    engine = other;
    read_at(30 * MIN, POINT_STAGE, 2);
    assert_close(last_reading.value, 2.3);
    bytes_finish(&before);
    bytes_finish(&after);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_calibration_is_a_layer),
        TEST(test_it_applies_from_its_time_and_the_latest_wins),
        TEST(test_bad_calibrations_are_refused),
        TEST(test_of_a_bucket_the_amounts_are_calibrated),
        TEST(test_tips_of_a_test_are_no_rain),
        TEST(test_a_test_ends_by_itself),
        TEST(test_spots),
        TEST(test_saved_and_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
