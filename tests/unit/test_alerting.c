/* Bounded alarm rate, places of incidents, and the raises that the law leaves to people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alerts/incident.h"
#include "alerts/notice.h"
#include "daemon/proposals.h"
#include "tests/unit/engine_fixture.h"

enum { RULES = 12 };

static struct fixture fixture;
static struct rule rules[RULES];
static struct engine *engine;
static uint64_t number;
static int given, notices_by_event;
static int reply_code;

static void on_event(void *context, const struct event *event) {
    (void)context;
    given += (event->change.what & CHANGE_NOTICE) != 0 && event->view.alarm->notice == NOTICE_GIVEN;
    notices_by_event += event->kind == EVENT_NOTICE;
}

static void on_reply(void *context, const struct engine_reply *reply) {
    (void)context;
    reply_code = reply->code;
}

static void step(struct engine_input *input, int64_t now_us) {
    const struct engine_sink sink = {.on_event = on_event, .on_reply = on_reply};
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

static void make(void) {
    struct err err = {0};
    number = 0;
    given = notices_by_event = 0;
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

static int count_deferred(void *context, const struct alarm_view *view) {
    *(int *)context += view->alarm->notice == NOTICE_DEFERRED;
    return 0;
}

static int deferred(void) {
    int count = 0;
    assert_int_equal(engine_visit_alarms(engine, count_deferred, &count), 0);
    return count;
}

/* ---- notices ---- */

/* Twelve alarms of one hazard rise to level 1 at once with room for three in ten minutes: the
 * first opens the incident and stands out, the others wait their turn and none is lost. */
static void test_notices_on_top_are_deferred_and_never_dropped(void **state) {
    (void)state;
    struct alerting alerting = {
        .incident_quiet_us = HOUR, .notices_max = 3, .notices_window_us = 10 * MIN};
    for (int i = 0; i < RULES; i++) {
        rules[i] = fixture.rules[RULE_FLOOD];
        (void)snprintf(rules[i].id, sizeof rules[i].id, "rule-%d", i);
    }
    fixture.site.rules = rules;
    fixture.site.rule_count = RULES;
    fixture.site.alerting = &alerting;
    make();
    read_at(0, POINT_STAGE, 3);
    assert_int_equal(given, 3);
    assert_int_equal(deferred(), RULES - 3);
    tick(10 * MIN - 1);
    assert_int_equal(given, 3);
    for (int window = 1; window < 4; window++) {
        tick(window * 10 * MIN);
        assert_int_equal(given, 3 * (window + 1));
        assert_int_equal(deferred(), RULES - 3 * (window + 1));
    }
    assert_int_equal(notices_by_event, RULES - 3);
    tick(2 * HOUR);
    assert_int_equal(given, RULES); /* each once */
}

/* With no room left a level above all before it passes at once; the same level does not. */
static void test_standouts_always_pass(void **state) {
    (void)state;
    struct alerting alerting = {
        .incident_quiet_us = HOUR, .notices_max = 1, .notices_window_us = HOUR};
    rules[0] = fixture.rules[RULE_FLOOD];
    rules[1] = fixture.rules[RULE_FLOOD];
    strcpy(rules[1].id, "second");
    rules[0].levels[1].on_delay_us = rules[1].levels[1].on_delay_us = 0;
    fixture.site.rules = rules;
    fixture.site.rule_count = 2;
    fixture.site.alerting = &alerting;
    make();
    for (int level = 1; level <= 3; level++) {
        read_at(level * MIN, POINT_STAGE, 2 * level + 0.5);
        assert_int_equal(given, level); /* the first of the two stands out, the second repeats it */
        assert_int_equal(deferred(), 1);
    }
    tick(2 * HOUR);
    assert_int_equal(given, 4);
    assert_int_equal(deferred(), 0);
}

static void test_room_is_counted_in_a_sliding_window(void **state) {
    (void)state;
    struct notices notices = {0};
    const struct alerting alerting = {.notices_max = 2, .notices_window_us = MIN};
    const struct alerting unbounded = {.notices_window_us = MIN};
    assert_true(notices_take(&notices, &alerting, false, fixture_at(0)));
    assert_true(notices_take(&notices, &alerting, false, fixture_at(30 * SEC)));
    assert_false(notices_take(&notices, &alerting, false, fixture_at(MIN - 1)));
    assert_true(notices_room_us(&notices, &alerting) == MIN);
    assert_true(notices_take(&notices, &alerting, true, fixture_at(MIN - 1))); /* and counts */
    assert_true(notices_room_us(&notices, &alerting) == 90 * SEC);
    assert_false(notices_take(&notices, &alerting, false, fixture_at(MIN)));
    assert_true(notices_take(&notices, &alerting, false, fixture_at(90 * SEC)));
    for (int i = 0; i < 3 * NOTICES_MAX; i++) {
        assert_true(notices_take(&notices, &unbounded, false, fixture_at(2 * MIN + i)));
    }
    assert_int_equal(notices.count, NOTICES_MAX); /* the newest are kept */
    assert_true(notices.given[NOTICES_MAX - 1].us == 2 * MIN + 3 * NOTICES_MAX - 1);
}

/* ---- places of incidents ---- */

static struct incident *join(struct incidents *incidents, const char *hazard, int group,
                             int64_t at_us, bool *ret_opened) {
    char name[STATION_ID_SIZE];
    (void)snprintf(name, sizeof name, "group-%d", group);
    const struct incident_entrant entrant = {.hazard = hazard,
                                             .group = name,
                                             .rule = "rule",
                                             .place = name,
                                             .scale = "risk",
                                             .episode_start = {START_UTC + at_us},
                                             .level = 1};
    return incidents_join(incidents, &entrant, fixture_at(at_us), ret_opened);
}

static void test_incidents_without_room(void **state) {
    (void)state;
    struct incidents *incidents = calloc(1, sizeof *incidents);
    bool opened;
    assert_non_null(incidents);
    for (int i = 0; i < INCIDENTS_MAX; i++) {
        assert_non_null(join(incidents, "flood", i, i, &opened));
        assert_true(opened);
    }
    /* All are open: another group of the hazard goes to one of its incidents, another hazard finds
     * none, and that is counted. */
    struct incident *other = join(incidents, "flood", INCIDENTS_MAX, 1000, &opened);
    assert_non_null(other);
    assert_false(opened);
    assert_int_equal(incidents->overflows, 0);
    assert_null(join(incidents, "wind", 0, 1001, &opened));
    assert_false(opened);
    assert_int_equal(incidents->overflows, 1);
    /* What ended makes room, the one that ended first before others. */
    struct incident *seventh = &incidents->list[7];
    incident_close(&incidents->list[9], fixture_at(3000));
    incident_close(seventh, fixture_at(2000));
    assert_ptr_equal(join(incidents, "wind", 0, 4000, &opened), seventh);
    assert_true(opened);
    assert_int_equal(incidents->overflows, 1);
    free(incidents);
}

/* ---- proposals ---- */

static int keep_level(void *level, const struct alarm_view *view) {
    if (strcmp(view->rule->id, "rain") == 0) {
        *(int *)level = view->alarm->level;
    }
    return 0;
}

static int rain_level(void) {
    int level = -1;
    assert_int_equal(engine_visit_alarms(engine, keep_level, &level), 0);
    return level;
}

/* The decision as the first proposal shows it: "" while there is none. */
static const char *decided(void) {
    static char text[256];
    const char *state, *actor, *at, *reason;
    int level;
    json_t *list = proposals_value(engine);
    json_t *decision = json_object_get(json_array_get(list, 0), "decision");
    text[0] = '\0';
    if (json_is_object(decision)) {
        assert_int_equal(json_unpack(decision, "{s:s,s:i,s:s,s:s,s:s}", "state", &state, "level",
                                     &level, "actor", &actor, "at", &at, "reason", &reason),
                         0);
        (void)snprintf(text, sizeof text, "%s %d %s %s %s", state, level, actor, at, reason);
    } else {
        assert_true(json_is_null(decision));
    }
    json_decref(list);
    return text;
}

static int decide(const char *reference, const char *reason) {
    struct engine_input input = {.kind = ENGINE_COMMAND};
    struct command *command = &input.as.command;
    *command = (struct command){.kind = COMMAND_ATTACH, .rule = "rain", .place = "gauge"};
    strcpy(command->attachment, COMMAND_RISK_RAISE);
    strcpy(command->actor, "chief");
    strcpy(command->reference, reference);
    strcpy(command->comment, reason);
    step(&input, 39 * MIN + 2);
    return reply_code;
}

/* A raise from 2 to 3 is proposed: on record is what a person said, and no level moves. */
static void decide_on_the_raise(void) {
    assert_string_equal(decided(), "");
    assert_int_equal(decide("accepted-3", ""), ERR_INVALID);
    assert_int_equal(decide("accepted-6", "x"), ERR_INVALID);
    assert_int_equal(decide("perhaps-3", "x"), ERR_INVALID);
    assert_int_equal(decide("accepted-2", "x"), 0); /* of an earlier, lower proposal */
    assert_string_equal(decided(), "");
    assert_int_equal(decide("refused-3", "dry soil"), 0);
    assert_true(strncmp(decided(), "refused 3 chief 20", 18) == 0);
    assert_int_equal(decide("accepted-3", "dams spill"), 0);
    assert_true(strncmp(decided(), "accepted 3 chief 20", 19) == 0);
    assert_non_null(strstr(decided(), "Z dams spill"));
    assert_int_equal(rain_level(), 2);
}

static void test_raises_are_shown_and_nothing_applies_them(void **state) {
    (void)state;
    const char *rule, *scale, *with;
    int level, proposed, serious, article;
    struct alerting alerting = {.incident_quiet_us = HOUR};
    fixture.site.alerting = &alerting;
    strcpy(fixture.rules[RULE_RAIN].hazard, "heavy_rain");
    make();
    read_at(MIN, POINT_RAIN, 0);
    read_at(2 * MIN, POINT_RAIN, 60);
    assert_int_equal(rain_level(), 2);
    json_t *list = proposals_value(engine);
    assert_int_equal(json_array_size(list), 0); /* one hazard alone */
    json_decref(list);
    read_at(3 * MIN, POINT_STAGE, 7);
    list = proposals_value(engine);
    /* The flood's scale is that of flood alarm levels: the article raises risk levels only. */
    assert_int_equal(json_array_size(list), 1);
    assert_int_equal(json_unpack(json_array_get(list, 0), "{s:s,s:s,s:i,s:i,s:i,s:i,s:[s!]}",
                                 "rule", &rule, "scale", &scale, "level", &level, "proposed_level",
                                 &proposed, "if_serious_level", &serious, "article", &article,
                                 "with", &with),
                     0);
    assert_string_equal(rule, "rain");
    assert_string_equal(scale, "risk");
    assert_string_equal(with, "flood");
    assert_int_equal(article, 4);
    assert_int_equal(level, 2);
    assert_int_equal(proposed, 3); /* by one for hazards at once, Decision 18/2021 Art. 4 */
    assert_int_equal(serious, 5);  /* and by two for serious danger, to 5 at most */
    json_decref(list);
    for (int i = 4; i < 40; i++) {
        read_at(i * MIN, POINT_STAGE, 7);
        read_at(i * MIN + 1, POINT_RAIN, 60);
    }
    assert_int_equal(rain_level(), 2);
    decide_on_the_raise();
    /* The flood is over: nothing is left to propose. */
    for (int i = 40; i < 50; i++) {
        read_at(i * MIN, POINT_STAGE, 1);
        read_at(i * MIN + 1, POINT_RAIN, 60);
    }
    assert_int_equal(rain_level(), 2);
    list = proposals_value(engine);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_notices_on_top_are_deferred_and_never_dropped), TEST(test_standouts_always_pass),
        TEST(test_room_is_counted_in_a_sliding_window),           TEST(test_incidents_without_room),
        TEST(test_raises_are_shown_and_nothing_applies_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
