/* What people see of many alarms together: precedence of overrides, one alarm for a dead station,
 * maintenance, a noisy stage, ladders and calendar, incidents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

enum { CHILDREN = 40 };

static struct fixture fixture;
static struct rule rules[CHILDREN + 1];
static struct engine *engine;
static uint64_t number;
static int events, level_events;
static enum event_kind last_kind;
static char last_role_contact[STATION_ID_SIZE];
static struct alarm found;
static double found_value; /* of its first indicator */

static void on_event(void *context, const struct event *event) {
    (void)context;
    events++;
    level_events += (event->change.what & CHANGE_LEVEL) != 0;
    last_kind = event->kind;
    if (event->call != NULL && event->call->role_count > 0) {
        strcpy(last_role_contact, event->call->contacts[0]->id);
    }
}

static void step(struct engine_input *input, int64_t now_us) {
    const struct engine_sink sink = {.on_event = on_event};
    input->number = ++number;
    input->now = fixture_at(now_us);
    if (input->kind == ENGINE_READING) {
        input->as.reading.seq = number;
        input->as.reading.received = input->now;
    }
    assert_int_equal(engine_step(engine, input, &sink), 0);
}

static void read_at(int64_t now_us, uint32_t point, double value) {
    struct engine_input input = {.kind = ENGINE_READING};
    input.as.reading = (struct reading){.point = point, .value = value};
    step(&input, now_us);
}

static void tick(int64_t now_us) {
    struct engine_input input = {.kind = ENGINE_TICK};
    step(&input, now_us);
}

static void order(int64_t now_us, const struct command *command) {
    struct engine_input input = {.kind = ENGINE_COMMAND};
    input.as.command = *command;
    strcpy(input.as.command.actor, "duty");
    strcpy(input.as.command.comment, "reason");
    step(&input, now_us);
}

static int keep(void *rule, const struct alarm_view *view) {
    if (strcmp(view->rule->id, rule) == 0) {
        found = *view->alarm;
        found_value = view->indicators[0].value;
        return 1;
    }
    return 0;
}

static const struct alarm *alarm_of(const char *rule) {
    char id[STATION_ID_SIZE];
    strcpy(id, rule);
    assert_int_equal(engine_visit_alarms(engine, keep, id), 1);
    return &found;
}

static void make(void) {
    struct err err = {0};
    engine = engine_destroy(engine);
    number = 0;
    events = level_events = 0;
    if (engine_create(&fixture.site, fixture_at(0), &engine, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static int setup(void **state) {
    (void)state;
    fixture_init(&fixture);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    return 0;
}

/* out of service > maintenance > suppressed > masked > on-delay > shelved > off-delay: all 128
 * rows. */
static void test_precedence_is_a_truth_table(void **state) {
    (void)state;
    static const enum override_kind falling[] = {
        OVERRIDE_OUT_OF_SERVICE, OVERRIDE_MAINTENANCE, OVERRIDE_SUPPRESSED, OVERRIDE_MASKED,
        OVERRIDE_ON_DELAY,       OVERRIDE_SHELVED,     OVERRIDE_OFF_DELAY};
    for (unsigned row = 0; row < 1U << 7; row++) {
        struct alarm alarm = {.level = 1};
        enum override_kind wanted = OVERRIDE_NONE;
        bool muted = false;
        for (int i = 6; i >= 0; i--) {
            if ((row & (1U << i)) != 0) {
                alarm.overrides[falling[i]].active = true;
                wanted = falling[i];
                muted = muted || (i != 4 && i != 6);
            }
        }
        assert_int_equal(alarm_override_shown(&alarm), wanted);
        assert_int_equal(alarm_is_muted(&alarm), muted);
    }
}

static void test_a_station_that_is_off_is_one_alarm(void **state) {
    (void)state;
    struct rule *silent = &rules[0];
    fixture_rule(silent, "silent", "link", 1);
    silent->indicator_count = 1;
    silent->indicators[0] = (struct indicator_spec){.kind = INDICATOR_SILENCE};
    silent->nodes[0] = fixture_compare(0, 150, 0);
    silent->places = &fixture.at_gauge;
    for (int i = 1; i <= CHILDREN; i++) {
        rules[i] = fixture.rules[RULE_FLOOD];
        (void)snprintf(rules[i].id, sizeof rules[i].id, "rule-%d", i);
        strcpy(rules[i].masked_by, "silent");
    }
    fixture.site.rules = rules;
    fixture.site.rule_count = CHILDREN + 1;
    make();
    read_at(MIN, POINT_STAGE, 1);
    assert_int_equal(events, CHILDREN + 1); /* everything is assessed */
    events = 0;
    for (int64_t at_us = 2 * MIN; at_us <= HOUR; at_us += 10 * SEC) {
        tick(at_us);
    }
    assert_int_equal(events, 1);
    assert_int_equal(last_kind, EVENT_RAISED);
    assert_int_equal(alarm_of("rule-7")->knowledge, KNOWLEDGE_STALE);
    assert_int_equal(alarm_override_shown(alarm_of("rule-7")), OVERRIDE_MASKED);
    read_at(HOUR + MIN, POINT_STAGE, 1);
    assert_int_equal(events, 2);
    assert_int_equal(last_kind, EVENT_LOWERED);
    assert_int_equal(alarm_override_shown(alarm_of("rule-7")), OVERRIDE_NONE);
    assert_int_equal(alarm_of("rule-7")->knowledge, KNOWLEDGE_FRESH);
    /* Without the parent: one of each. The count can fail. */
    for (int i = 1; i <= CHILDREN; i++) {
        rules[i].masked_by[0] = '\0';
    }
    make();
    read_at(MIN, POINT_STAGE, 1);
    events = 0;
    tick(HOUR);
    assert_int_equal(events, 1);
    tick(HOUR + ALARM_KNOWLEDGE_HOLD_US);
    assert_int_equal(events, CHILDREN + 1);
}

static void test_dead_link_during_level_3(void **state) {
    (void)state;
    make();
    read_at(MIN, POINT_STAGE, 7);
    assert_int_equal(alarm_of("flood")->level, 3);
    events = 0;
    for (int64_t at_us = 2 * MIN; at_us <= 5 * HOUR; at_us += MIN) {
        tick(at_us);
    }
    const struct alarm *alarm = alarm_of("flood");
    assert_int_equal(alarm->level, 3);
    assert_int_equal(alarm->knowledge, KNOWLEDGE_STALE);
    assert_int_equal(alarm->cause, CAUSE_SILENCE);
    assert_int_equal(alarm->annunciation, ANNUNCIATION_UNACKNOWLEDGED);
    assert_int_equal(level_events, 1); /* raised, and nothing since */
}

/* 24 h of a stage that swings around alarm level II by 0.3 m, as noise and as waves, against the
 * rule of the site: hysteresis 0.1 m, off-delay 1 h. */
static void test_noise_around_level_2(void **state) {
    (void)state;
    struct rule *flood = &fixture.rules[RULE_FLOOD];
    uint32_t seed = 1;
    for (uint8_t i = 0; i < 3; i++) {
        flood->nodes[i].hysteresis = 0.1;
        flood->levels[i].off_delay_us = HOUR;
        flood->levels[i].on_delay_us = 0;
    }
    fixture.site.rule_count = 1;
    for (int wave_min = 0; wave_min <= 90; wave_min += 30) {
        make();
        for (int i = 0; i < 24 * 60; i++) {
            seed = seed * 1664525U + 1013904223U;
            double noise = ((double)(seed >> 8) / (1U << 24) - 0.5) * 0.6;
            double wave = wave_min > 0 ? 0.3 * sin(2 * 3.14159265358979 * i / wave_min) : 0;
            read_at((i + 1) * MIN, POINT_STAGE, 4 + noise * (wave_min > 0 ? 0.2 : 1) + wave);
        }
        assert_in_range(level_events, 1, 2);
        assert_int_equal(alarm_of("flood")->level, 2);
    }
}

static uint8_t rain_after_a_bucket_test(bool maintenance) {
    make();
    double total = 10;
    read_at(MIN, POINT_RAIN, total);
    read_at(2 * MIN, POINT_RAIN, total);
    if (maintenance) {
        struct command command = {.kind = COMMAND_MAINTENANCE, .place = "gauge"};
        command.until.us = START_UTC + 10 * MIN;
        order(3 * MIN, &command);
    }
    for (int i = 4; i < 10; i++) {
        read_at(i * MIN, POINT_RAIN, total += 10);
    }
    for (int i = 10; i < 90; i++) { /* it ended by itself */
        read_at(i * MIN, POINT_RAIN, total);
    }
    assert_int_equal(alarm_of("rain")->overrides[OVERRIDE_MAINTENANCE].active, false);
    return alarm_of("rain")->highest_level;
}

static void test_tips_during_maintenance_are_no_rain(void **state) {
    (void)state;
    assert_int_equal(rain_after_a_bucket_test(true), 0);
    assert_int_equal(rain_after_a_bucket_test(false), 2);
}

/* Begun at 2:10 and over by 2:50, by a command or by its time, while the station is read at full
 * minutes: no reading carries the tag, and still nobody knows what of the 60 mm was rain. */
static uint8_t rain_after_work_between_polls(bool maintenance, bool by_command, double *ret_value) {
    make();
    double total = 10;
    read_at(MIN, POINT_RAIN, total);
    read_at(2 * MIN, POINT_RAIN, total);
    if (maintenance) {
        struct command command = {.kind = COMMAND_MAINTENANCE, .place = "gauge"};
        command.until.us = START_UTC + (by_command ? HOUR : 2 * MIN + 50 * SEC);
        order(2 * MIN + 10 * SEC, &command);
        command = (struct command){.kind = COMMAND_END_MAINTENANCE, .place = "gauge"};
        if (by_command) {
            order(2 * MIN + 50 * SEC, &command);
        }
    }
    total += 60;
    for (int i = 3; i < 62; i++) {
        read_at(i * MIN, POINT_RAIN, total);
    }
    read_at(62 * MIN, POINT_RAIN, total += 7); /* what falls later counts as ever */
    const struct alarm *alarm = alarm_of("rain");
    assert_int_equal(alarm->overrides[OVERRIDE_MAINTENANCE].active, false);
    *ret_value = found_value;
    return alarm->highest_level;
}

/* Totals of another device have no difference with those before and after: what fell between two
 * of the right one is exact, however wild the foreign one is. */
static void test_totals_of_a_foreign_device(void **state) {
    (void)state;
    static const double foreign[] = {500, 0, 12.5};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        struct engine_input input = {.kind = ENGINE_READING};
        make();
        read_at(MIN, POINT_RAIN, 10);
        read_at(2 * MIN, POINT_RAIN, 10);
        input.as.reading =
            (struct reading){.point = POINT_RAIN, .value = foreign[i], .foreign = true};
        step(&input, 3 * MIN);
        read_at(4 * MIN, POINT_RAIN, 13);
        for (int m = 5; m < 62; m++) {
            read_at(m * MIN, POINT_RAIN, 13);
        }
        assert_int_equal(alarm_of("rain")->highest_level, 0);
        assert_true(fabs(found_value - 3) < 1e-9);
    }
}

static void test_tips_of_a_short_maintenance_are_no_rain(void **state) {
    (void)state;
    double value;
    assert_int_equal(rain_after_work_between_polls(true, true, &value), 0);
    assert_true(fabs(value - 7) < 1e-9);
    assert_int_equal(rain_after_work_between_polls(true, false, &value), 0);
    assert_true(fabs(value - 7) < 1e-9);
    assert_int_equal(rain_after_work_between_polls(false, false, &value), 2);
}

static struct contact contacts[] = {{.id = "an", .name = "An"}, {.id = "binh", .name = "Binh"}};

static void test_ladder_and_calendar(void **state) {
    (void)state;
    struct duty duties[] = {{.role = "duty", .contact = 0},
                            {.role = "duty",
                             .contact = 1,
                             .from = {START_UTC + 6 * MIN},
                             .until = {START_UTC + 20 * MIN}}};
    struct ladder ladder = {
        .from_level = 1,
        .step_count = 3,
        .steps = {{3 * MIN, 1, {"duty"}}, {7 * MIN, 1, {"duty"}}, {15 * MIN, 1, {"duty"}}}};
    struct alerting alerting = {.incident_quiet_us = HOUR,
                                .ladders = &ladder,
                                .ladder_count = 1,
                                .contacts = contacts,
                                .contact_count = 2,
                                .duties = duties,
                                .duty_count = 2};
    fixture.site.alerting = &alerting;
    fixture.site.rule_count = 1;
    make();
    read_at(0, POINT_STAGE, 7);
    events = 0;
    static const char *const called[] = {"an", "binh", "binh"};
    static const int64_t at_min[] = {3, 7, 15};
    for (int i = 0; i < 3; i++) {
        tick(at_min[i] * MIN - 1);
        int before = events;
        tick(at_min[i] * MIN);
        assert_int_equal(events, before + 1);
        assert_int_equal(last_kind, EVENT_ESCALATED);
        assert_string_equal(last_role_contact, called[i]);
    }
    tick(60 * MIN);
    assert_int_equal(alarm_of("flood")->escalation.step, 3);
    /* Acknowledged: the ladder ends, and a higher level would start one of its own. */
    struct command command = {.kind = COMMAND_ACKNOWLEDGE, .rule = "flood", .place = "gauge"};
    order(61 * MIN, &command);
    assert_int_equal(alarm_of("flood")->escalation.running, false);
}

static int count_open(void *context, const struct incident *incident) {
    int *open = context;
    *open += incident->state == INCIDENT_OPEN;
    return 0;
}

static int open_incidents(void) {
    int open = 0;
    assert_int_equal(engine_visit_incidents(engine, count_open, &open), 0);
    return open;
}

static void test_incidents_open_merge_split_and_close(void **state) {
    (void)state;
    struct alerting alerting = {.incident_quiet_us = HOUR};
    struct command command = {.kind = COMMAND_SPLIT, .rule = "rain", .place = "gauge"};
    char first[ID_TEXT_SIZE];
    fixture.site.alerting = &alerting;
    strcpy(fixture.areas[0].group, "gauge");
    make();
    read_at(MIN, POINT_RAIN, 0);
    read_at(2 * MIN, POINT_RAIN, 60);
    read_at(3 * MIN, POINT_STAGE, 7);
    assert_int_equal(open_incidents(), 1); /* one hazard at one gauge */
    memcpy(first, alarm_of("flood")->incident, sizeof first);
    assert_string_equal(alarm_of("rain")->incident, first);
    order(4 * MIN, &command);
    assert_int_equal(last_kind, EVENT_SPLIT);
    assert_int_equal(open_incidents(), 2);
    command = (struct command){.kind = COMMAND_MERGE};
    memcpy(command.incident, alarm_of("rain")->incident, sizeof command.incident);
    memcpy(command.into, first, sizeof command.into);
    order(5 * MIN, &command);
    assert_int_equal(last_kind, EVENT_MERGED);
    assert_int_equal(open_incidents(), 1);
    assert_string_equal(alarm_of("rain")->incident, first);
    for (int i = 6; i < 200; i++) {
        read_at(i * MIN, POINT_STAGE, 1);
        read_at(i * MIN + 1, POINT_RAIN, 60);
    }
    assert_int_equal(alarm_of("flood")->level, 0);
    assert_int_equal(open_incidents(), 0);
    assert_string_equal(alarm_of("flood")->incident, "");
    read_at(201 * MIN, POINT_STAGE, 7);
    assert_int_equal(open_incidents(), 1);
    assert_string_not_equal(alarm_of("flood")->incident, first);
}

static void test_a_hazard_may_go_with_another_one(void **state) {
    (void)state;
    struct alerting alerting = {.incident_quiet_us = HOUR};
    fixture.site.alerting = &alerting;
    strcpy(fixture.rules[RULE_RAIN].hazard, "flash_flood");
    for (int together = 0; together < 2; together++) {
        strcpy(fixture.rules[RULE_RAIN].incident_with,
               together ? fixture.rules[RULE_FLOOD].hazard : "");
        make();
        read_at(MIN, POINT_RAIN, 0);
        read_at(2 * MIN, POINT_RAIN, 60);
        read_at(3 * MIN, POINT_STAGE, 7);
        assert_true(alarm_of("rain")->level > 0 && alarm_of("flood")->level > 0);
        assert_int_equal(open_incidents(), together ? 1 : 2);
    }
}

static void test_a_circle_of_masks_is_refused(void **state) {
    (void)state;
    struct err err = {0};
    struct engine *made = NULL;
    strcpy(fixture.rules[RULE_FLOOD].masked_by, "rain");
    strcpy(fixture.rules[RULE_RAIN].masked_by, "flood");
    assert_int_equal(engine_create(&fixture.site, fixture_at(0), &made, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "circle"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_precedence_is_a_truth_table),
        TEST(test_a_station_that_is_off_is_one_alarm),
        TEST(test_dead_link_during_level_3),
        TEST(test_noise_around_level_2),
        TEST(test_tips_during_maintenance_are_no_rain),
        TEST(test_tips_of_a_short_maintenance_are_no_rain),
        TEST(test_totals_of_a_foreign_device),
        TEST(test_ladder_and_calendar),
        TEST(test_incidents_open_merge_split_and_close),
        TEST(test_a_hazard_may_go_with_another_one),
        TEST(test_a_circle_of_masks_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
