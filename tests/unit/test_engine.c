/* The engine as a whole: inputs to events, snapshot, journal, refusals, no allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/base/text.h"
#include "tests/unit/engine_fixture.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OWN_MALLOC 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_MALLOC 1
#endif

#ifndef HAS_OWN_MALLOC
static size_t allocations;

/* glibc's own allocator under its other name; every allocation of the program is counted. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    allocations++;
    return __libc_realloc(memory, size);
}
#endif

enum { EVENTS_MAX = 64 };

static struct fixture fixture;
static struct engine *engine;
static uint64_t number;
static int event_count, reading_count, worse_count, reply_count;
static struct event events[EVENTS_MAX]; /* their pointers live as long as engine and site */
static struct reading last_reading, worse_reading;
static int reply_code;
static uint64_t reply_revision;
static char reply_text[ERR_TEXT_MAX];

static void on_event(void *context, const struct event *event) {
    (void)context;
    events[event_count % EVENTS_MAX] = *event;
    event_count++;
}

static void on_reading(void *context, const struct reading *reading) {
    (void)context;
    last_reading = *reading;
    reading_count++;
}

static void on_requalified(void *context, const struct reading *reading) {
    (void)context;
    worse_reading = *reading;
    worse_count++;
}

static void on_reply(void *context, const struct engine_reply *reply) {
    (void)context;
    reply_count++;
    reply_code = reply->code;
    reply_revision = reply->revision;
    (void)text_copy(reply_text, sizeof reply_text, reply->text);
}

static const struct engine_sink sink = {.on_reading = on_reading,
                                        .on_requalified = on_requalified,
                                        .on_event = on_event,
                                        .on_reply = on_reply};

static void create(void) {
    struct err err = {0};
    int result = engine_create(&fixture.site, fixture_at(0), &engine, &err);
    if (result != 0) {
        fail_msg("%s", err.text);
    }
}

static int setup(void **state) {
    (void)state;
    fixture_init(&fixture);
    engine = NULL;
    number = 0;
    event_count = reading_count = worse_count = reply_count = 0;
    create();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    return 0;
}

static struct engine_input input_of(enum engine_input_kind kind, int64_t now_us) {
    return fixture_input(kind, ++number, now_us);
}

static void read_at(int64_t now_us, uint32_t point, double value) {
    struct engine_input input = input_of(ENGINE_READING, now_us);
    input.as.reading =
        (struct reading){.point = point, .seq = number, .value = value, .received = input.now};
    assert_int_equal(engine_step(engine, &input, &sink), 0);
}

static void fail_at(int64_t now_us, uint32_t point, enum reading_status status) {
    struct engine_input input = input_of(ENGINE_READING, now_us);
    input.as.reading = (struct reading){.point = point,
                                        .seq = number,
                                        .status = status,
                                        .value = (double)NAN,
                                        .received = input.now};
    assert_int_equal(engine_step(engine, &input, &sink), 0);
}

static void tick(int64_t now_us) {
    struct engine_input input = input_of(ENGINE_TICK, now_us);
    assert_int_equal(engine_step(engine, &input, &sink), 0);
}

static struct engine_input model_input(int64_t now_us, int64_t reference_us, double value) {
    return fixture_model_input(++number, now_us, reference_us, value);
}

static void model_at(int64_t now_us, int64_t reference_us, double value) {
    struct engine_input input = model_input(now_us, reference_us, value);
    assert_int_equal(engine_step(engine, &input, &sink), 0);
}

static int order(int64_t now_us, enum command_kind kind, const char *rule, const char *place) {
    struct engine_input input = input_of(ENGINE_COMMAND, now_us);
    input.as.command.kind = kind;
    strcpy(input.as.command.rule, rule);
    strcpy(input.as.command.place, place);
    strcpy(input.as.command.actor, "duty");
    strcpy(input.as.command.comment, "because");
    input.as.command.until.us = START_UTC + now_us + HOUR;
    int before = reply_count;
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(reply_count, before + 1);
    return reply_code;
}

struct found {
    const char *rule;
    struct alarm_view view;
    int count;
};

static int find_view(void *context, const struct alarm_view *view) {
    struct found *found = context;
    found->count++;
    if (strcmp(view->rule->id, found->rule) == 0) {
        found->view = *view;
    }
    return 0;
}

static struct alarm_view view_of(const char *rule) {
    struct found found = {.rule = rule};
    assert_int_equal(engine_visit_alarms(engine, find_view, &found), 0);
    assert_non_null(found.view.rule);
    return found.view;
}

/* ---- the path of a reading ---- */

static void test_a_flood_rises_and_falls(void **state) {
    (void)state;
    static const double stages[] = {1.0, 2.0, 4.1, 4.1, 4.1, 6.0, 5.6, 5.4,
                                    5.4, 5.4, 3.0, 3.0, 3.0, 1.0, 1.0, 1.0};
    /* level 2 waits for 2 min; off-delays of 2 min after the first value below level - 0.5 */
    static const uint8_t levels[] = {0, 1, 1, 1, 2, 3, 3, 3, 3, 2, 2, 2, 1, 1, 1, 0};
    for (int i = 0; i < 16; i++) {
        read_at(i * MIN, POINT_STAGE, stages[i]);
        struct alarm_view view = view_of("flood");
        assert_int_equal(view.alarm->level, levels[i]);
        assert_int_equal(view.alarm->knowledge, KNOWLEDGE_FRESH);
    }
    assert_int_equal(view_of("flood").sequence, 7); /* assessed, 3 up, 3 down */
    assert_int_equal(events[event_count - 1].kind, EVENT_LOWERED);
    assert_int_equal(reading_count, 16);
}

static void test_silence_changes_knowledge_and_keeps_the_level(void **state) {
    (void)state;
    read_at(0, POINT_STAGE, 7);
    assert_int_equal(view_of("flood").alarm->level, 3);
    tick(180 * SEC);
    assert_int_equal(view_of("flood").alarm->knowledge, KNOWLEDGE_FRESH);
    fail_at(180 * SEC + 1, POINT_STAGE, READING_NO_CONNECTION);
    struct alarm_view view = view_of("flood");
    assert_int_equal(view.alarm->level, 3);
    assert_int_equal(view.alarm->knowledge, KNOWLEDGE_STALE);
    assert_int_equal(view.alarm->cause, CAUSE_NO_CONNECTION);
    assert_int_equal(view.alarm->annunciation, ANNUNCIATION_UNACKNOWLEDGED);
    for (int hour = 1; hour < 200; hour++) {
        tick(hour * HOUR);
    }
    view = view_of("flood");
    assert_int_equal(view.alarm->level, 3);
    assert_int_equal(view.alarm->publication, PUBLICATION_EXPIRED);
}

static void test_hard_failed_readings_neither_raise_nor_lower(void **state) {
    (void)state;
    read_at(0, POINT_STAGE, 1);
    read_at(MIN, POINT_STAGE, 50);
    assert_int_equal(last_reading.flag, QUALITY_FAIL);
    assert_int_equal(view_of("flood").alarm->level, 0);
    read_at(2 * MIN, POINT_STAGE, 7);
    for (int i = 3; i < 20; i++) {
        read_at(i * MIN, POINT_STAGE, -30);
    }
    struct alarm_view view = view_of("flood");
    assert_int_equal(view.alarm->level, 3);
    assert_int_equal(view.alarm->knowledge, KNOWLEDGE_STALE);
    assert_int_equal(view.alarm->cause, CAUSE_QUALITY_FAIL);
}

static void test_a_suspect_extreme_alerts_marked_doubtful(void **state) {
    (void)state;
    read_at(0, POINT_STAGE, 1);
    read_at(MIN, POINT_STAGE, 12);
    struct alarm_view view = view_of("flood");
    assert_int_equal(view.alarm->level, 3);
    assert_int_equal(view.alarm->knowledge, KNOWLEDGE_DOUBTFUL);
    assert_int_equal(view.alarm->cause, CAUSE_QUALITY_SUSPECT);
    assert_int_equal(view.indicators[0].newest.suspect_tests, 1 << TEST_GROSS_RANGE);
}

static void test_simulated_values_are_marked_and_never_lower(void **state) {
    (void)state;
    read_at(0, POINT_STAGE, 7);
    for (int i = 1; i < 10; i++) {
        struct engine_input input = input_of(ENGINE_READING, i * MIN);
        input.simulated = true;
        input.as.reading = (struct reading){.seq = number, .value = 0, .received = input.now};
        assert_int_equal(engine_step(engine, &input, &sink), 0);
    }
    struct alarm_view view = view_of("flood");
    assert_int_equal(view.alarm->level, 3);
    assert_int_equal(view.alarm->knowledge, KNOWLEDGE_DOUBTFUL);
    assert_int_equal(view.alarm->cause, CAUSE_SIMULATED);
    assert_true(view_is_simulated(&view));
}

static void test_a_spike_is_taken_back(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    fixture.points[POINT_STAGE].quality.spike_fail = 3;
    create();
    read_at(0, POINT_STAGE, 1);
    read_at(MIN, POINT_STAGE, 9); /* cannot be told from a real rise yet: alerts */
    assert_int_equal(view_of("flood").alarm->level, 3);
    assert_int_equal(worse_count, 0);
    read_at(2 * MIN, POINT_STAGE, 1.1);
    assert_int_equal(worse_count, 1);
    assert_int_equal(worse_reading.seq, 2);
    assert_int_equal(worse_reading.flag, QUALITY_FAIL);
    assert_int_equal(worse_reading.point, POINT_STAGE);
    /* the rise over 10 min no longer sees it: 1.1 - 1 */
    struct alarm_view view = view_of("fast");
    assert_true(fabs(view.indicators[0].value - 0.1) < 1e-12);
}

static void test_rain_adds_up_from_a_counter(void **state) {
    (void)state;
    double total = 1000;
    read_at(0, POINT_RAIN, total);
    assert_int_equal(view_of("rain").alarm->knowledge, KNOWLEDGE_UNKNOWN);
    for (int i = 1; i <= 30; i++) {
        read_at(i * MIN, POINT_RAIN, total += 0.5);
    }
    struct alarm_view view = view_of("rain");
    assert_true(fabs(view.indicators[0].value - 15) < 1e-9);
    assert_true(fabs(view.indicators[0].completeness - 0.5) < 1e-9);
    assert_true(view.indicators[0].lower_bound);
    assert_false(view.alarm->assessed); /* 15 so far; nobody knows about the half hour before */
    for (int i = 31; i <= 40; i++) {
        read_at(i * MIN, POINT_RAIN, total += 0.5);
    }
    view = view_of("rain"); /* 20 mm at least: that is enough */
    assert_int_equal(view.alarm->level, 1);
    assert_int_equal(view.alarm->knowledge, KNOWLEDGE_DOUBTFUL); /* may be more */
    assert_int_equal(view.alarm->cause, CAUSE_INCOMPLETE);
    for (int i = 41; i <= 60; i++) {
        read_at(i * MIN, POINT_RAIN, total += 0.5);
    }
    view = view_of("rain");
    assert_true(fabs(view.indicators[0].value - 30) < 1e-9);
    assert_false(view.indicators[0].lower_bound);
    assert_int_equal(view.alarm->knowledge, KNOWLEDGE_FRESH);
}

static void test_a_counter_reset_is_unknown_not_rain(void **state) {
    (void)state;
    double total = 500;
    for (int i = 0; i <= 60; i++) {
        read_at(i * MIN, POINT_RAIN, total);
    }
    assert_int_equal(view_of("rain").alarm->level, 0);
    assert_true(view_of("rain").alarm->assessed);
    read_at(61 * MIN, POINT_RAIN, 3); /* back to nearly zero: 1 of 60 min is unknown */
    struct alarm_view view = view_of("rain");
    assert_true(view.indicators[0].value == 0);
    assert_true(fabs(view.indicators[0].completeness - 59.0 / 60) < 1e-9);
    read_at(62 * MIN, POINT_RAIN, 4);
    assert_true(fabs(view_of("rain").indicators[0].value - 1) < 1e-9);
    read_at(63 * MIN, POINT_RAIN, 400); /* above counter_step_max */
    assert_true(fabs(view_of("rain").indicators[0].value - 1) < 1e-9);
}

static void test_an_outage_is_an_incomplete_window(void **state) {
    (void)state;
    double total = 0;
    for (int i = 0; i <= 60; i++) {
        read_at(i * MIN, POINT_RAIN, total += 0.5);
    }
    assert_int_equal(view_of("rain").alarm->level, 1);
    /* 50 min silence, then the counter stands still: 0 mm, but for the last 2 min only is it known
     * when; the 50 min in between are one interval inside the window */
    read_at(110 * MIN, POINT_RAIN, total);
    struct alarm_view view = view_of("rain");
    assert_true(fabs(view.indicators[0].value - 5) < 1e-9); /* 10 min of 0.5 mm are left */
    assert_true(fabs(view.indicators[0].completeness - 1) < 1e-9);
    read_at(130 * MIN, POINT_RAIN, total); /* now the start of the window cuts the long interval */
    view = view_of("rain");
    assert_true(view.indicators[0].completeness < 0.9);
    assert_true(view.indicators[0].lower_bound);
    assert_int_equal(view.alarm->level, 1); /* unknown does not lower */
    assert_int_equal(view.alarm->knowledge, KNOWLEDGE_UNKNOWN);
}

/* ---- models ---- */

static void test_model_results(void **state) {
    (void)state;
    for (int i = 0; i <= 10; i++) {
        read_at(i * MIN, POINT_STAGE, 1);
    }
    assert_int_equal(view_of("fast").alarm->knowledge, KNOWLEDGE_UNKNOWN);
    model_at(10 * MIN, 9 * MIN, 1);
    assert_int_equal(view_of("fast").alarm->knowledge, KNOWLEDGE_FRESH);
    model_at(10 * MIN, 10 * MIN, 6);
    assert_int_equal(view_of("fast").alarm->level, 1);
    model_at(10 * MIN + 1, 8 * MIN, 0); /* an older run that comes late does not replace */
    assert_int_equal(view_of("fast").alarm->level, 1);
    model_at(10 * MIN + 2, 10 * MIN, 0); /* nor does a repetition */
    assert_int_equal(view_of("fast").alarm->level, 1);
    model_at(10 * MIN + 3, 13 * MIN, 0); /* nor one from the future */
    assert_int_equal(view_of("fast").alarm->level, 1);
    read_at(21 * MIN, POINT_STAGE, 1);
    struct alarm_view view = view_of("fast"); /* outdated: neither raises nor clears */
    assert_int_equal(view.alarm->level, 1);
    assert_int_equal(view.alarm->knowledge, KNOWLEDGE_STALE);
    assert_int_equal(view.alarm->cause, CAUSE_OUTDATED_RUN);
    model_at(21 * MIN, 21 * MIN, 0);
    view = view_of("fast");
    assert_int_equal(view.alarm->level, 0);
    assert_string_equal(view.indicators[1].model.model, "areal");
}

static void test_model_coverage_lead_and_unknown(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    struct rule *fast = &fixture.rules[RULE_RISE];
    fast->indicators[1].min_coverage = 0.8;
    fast->indicators[1].lead_us = HOUR;
    fast->indicators[1].min_lead_us = 55 * MIN;
    create();
    struct engine_input input = model_input(MIN, MIN, 9);
    input.as.model_result.lead_us = HOUR;
    input.as.model_result.coverage = 0.79;
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    struct indicator rain = view_of("fast").indicators[1];
    assert_int_equal(rain.knowledge, KNOWLEDGE_UNKNOWN);
    assert_int_equal(rain.cause, CAUSE_COVERAGE);
    input = model_input(2 * MIN, 2 * MIN, 9);
    input.as.model_result.lead_us = HOUR;
    input.as.model_result.coverage = (double)NAN; /* asked for and not told */
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(view_of("fast").indicators[1].cause, CAUSE_COVERAGE);
    input = model_input(3 * MIN, 3 * MIN, (double)NAN);
    input.as.model_result.lead_us = HOUR;
    strcpy(input.as.model_result.cause, "no frames");
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(view_of("fast").indicators[1].cause, CAUSE_MODEL);
    assert_string_equal(view_of("fast").indicators[1].model.cause, "no frames");
    assert_int_equal(view_of("fast").alarm->level, 0);
    input = model_input(4 * MIN, 4 * MIN, 9);
    input.as.model_result.lead_us = HOUR;
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(view_of("fast").alarm->level, 1);
    tick(9 * MIN + 1); /* less than 55 min ahead are left */
    assert_int_equal(view_of("fast").indicators[1].knowledge, KNOWLEDGE_STALE);
    assert_int_equal(view_of("fast").indicators[1].cause, CAUSE_OUTDATED_RUN);
    assert_int_equal(view_of("fast").alarm->level, 1);
}

/* A model that says its input is doubted may raise, may not lower; so it stays over a restart. */
static void test_a_doubted_model_result_does_not_lower(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    fixture.rules[RULE_RISE].levels[0].required = KNOWLEDGE_DOUBTFUL;
    create();
    for (int i = 0; i <= 10; i++) {
        read_at(i * MIN, POINT_STAGE, 1);
    }
    struct engine_input input = model_input(10 * MIN, 10 * MIN, 6);
    input.as.model_result.doubt = MODEL_DOUBT_INPUT;
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(view_of("fast").alarm->level, 1);
    assert_int_equal(view_of("fast").indicators[1].knowledge, KNOWLEDGE_DOUBTFUL);
    assert_int_equal(view_of("fast").indicators[1].cause, CAUSE_QUALITY_SUSPECT);
    input = model_input(11 * MIN, 11 * MIN, 0);
    input.as.model_result.doubt = MODEL_DOUBT_INPUT;
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(view_of("fast").alarm->level, 1);
    struct bytes saved = {0};
    assert_int_equal(engine_save(engine, &saved), 0);
    engine = engine_destroy(engine);
    create();
    assert_int_equal(engine_load(engine, saved.data, saved.length, NULL, NULL), 0);
    bytes_finish(&saved);
    assert_int_equal(view_of("fast").indicators[1].cause, CAUSE_QUALITY_SUSPECT);
    tick(12 * MIN);
    assert_int_equal(view_of("fast").alarm->level, 1);
    input = model_input(13 * MIN, 13 * MIN, 0);
    input.as.model_result.doubt = MODEL_DOUBT_SKILL;
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(view_of("fast").indicators[1].cause, CAUSE_WORSE_THAN_PERSISTENCE);
    assert_int_equal(view_of("fast").alarm->level, 1);
    read_at(13 * MIN, POINT_STAGE, 1);
    model_at(14 * MIN, 14 * MIN, 0);
    assert_int_equal(view_of("fast").alarm->level, 0);
}

/* 30 mm fell for sure while half of the frames are missing: enough for a level, never to lower it.
 */
static void test_a_model_result_may_be_a_lower_bound(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    fixture.rules[RULE_RISE].indicators[1].min_coverage = 0.8;
    create();
    for (int i = 0; i <= 10; i++) {
        read_at(i * MIN, POINT_STAGE, 1); /* the rise is known: none */
    }
    struct engine_input input = model_input(11 * MIN, 11 * MIN, (double)NAN);
    input.as.model_result.coverage = 0.5;
    input.as.model_result.at_least = 1;
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    struct alarm_view view = view_of("fast"); /* too little for the level, and no all-clear */
    assert_int_equal(view.alarm->level, 0);
    assert_false(view.alarm->assessed);
    assert_true(view.indicators[1].lower_bound && view.indicators[1].value == 1);
    assert_int_equal(view.indicators[1].knowledge, KNOWLEDGE_DOUBTFUL);
    assert_int_equal(view.indicators[1].cause, CAUSE_INCOMPLETE);
    input = model_input(12 * MIN, 12 * MIN, (double)NAN);
    input.as.model_result.coverage = 0.5;
    input.as.model_result.at_least = 6;
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(view_of("fast").alarm->level, 1);
    for (int i = 13; i <= 15; i++) {
        read_at(i * MIN, POINT_STAGE, 1);
    }
    input = model_input(16 * MIN, 16 * MIN, (double)NAN);
    input.as.model_result.coverage = 0.5;
    input.as.model_result.at_least = 0.5;
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    tick(17 * MIN);
    assert_int_equal(view_of("fast").alarm->level, 1); /* at least 0.5 lowers nothing */
    model_at(18 * MIN, 18 * MIN, 0.5);
    assert_int_equal(view_of("fast").alarm->level, 0);
}

/* ---- commands ---- */

static void test_commands_are_answered(void **state) {
    (void)state;
    assert_int_equal(order(1, COMMAND_ACKNOWLEDGE, "flood", "nowhere"), ERR_NOT_FOUND);
    assert_string_equal(reply_text, "no alarm of rule flood at nowhere");
    assert_int_equal(reply_revision, 0);
    assert_int_equal(order(2, COMMAND_ACKNOWLEDGE, "flood", "gauge"), ERR_INVALID);
    assert_int_equal(event_count, 0);
    assert_int_equal(order(3, COMMAND_RESEND_STATE, "", ""), 0);
    read_at(4, POINT_STAGE, 7);
    assert_int_equal(order(5, COMMAND_ACKNOWLEDGE, "flood", "gauge"), 0);
    assert_int_equal(reply_revision, 2);
    assert_int_equal(events[event_count - 1].kind, EVENT_ACKNOWLEDGED);
    assert_string_equal(events[event_count - 1].actor, "duty");
    assert_int_equal(order(6, COMMAND_SHELVE, "flood", "gauge"), 0);
    assert_int_equal(events[event_count - 1].kind, EVENT_SHELVED);
    tick(6 + HOUR);
    assert_int_equal(view_of("flood").alarm->overrides[OVERRIDE_SHELVED].active, false);
}

/* ---- refusals ---- */

static void test_inputs_that_cannot_be_are_refused(void **state) {
    (void)state;
    struct engine_input input = input_of(ENGINE_TICK, 10);
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(engine_step(engine, &input, &sink), ERR_INVALID); /* number again */
    input = input_of(ENGINE_TICK, 9);
    assert_int_equal(engine_step(engine, &input, &sink), ERR_INVALID); /* time goes back */
    input = input_of(ENGINE_INPUT_KIND_COUNT, 11);
    assert_int_equal(engine_step(engine, &input, &sink), ERR_INVALID);
    input = input_of(ENGINE_TICK, INT64_MAX / 2);
    assert_int_equal(engine_step(engine, &input, &sink), ERR_INVALID);
    input = input_of(ENGINE_READING, 11);
    input.as.reading.seq = 1;
    input.as.reading.point = FIXTURE_POINTS;
    assert_int_equal(engine_step(engine, &input, &sink), ERR_NOT_FOUND);
    input.as.reading.point = 0;
    input.as.reading.seq = 0;
    assert_int_equal(engine_step(engine, &input, &sink), ERR_INVALID);
    input.as.reading.seq = 1;
    input.as.reading.status = READING_STATUS_COUNT;
    assert_int_equal(engine_step(engine, &input, &sink), ERR_INVALID);
    input = input_of(ENGINE_COMMAND, 11);
    memset(input.as.command.rule, 'x', sizeof input.as.command.rule);
    assert_int_equal(engine_step(engine, &input, &sink), ERR_INVALID);
    input = model_input(11, 11, 1);
    input.as.model_result.reference_time.us = INT64_MIN;
    assert_int_equal(engine_step(engine, &input, &sink), ERR_INVALID);
    assert_int_equal(engine_number(engine), 1);
    assert_int_equal(engine_now(engine).mono.us, 10);
    assert_int_equal(event_count + reading_count + reply_count, 0);
}

static void test_out_of_order_readings_do_not_decide(void **state) {
    (void)state;
    read_at(10 * MIN, POINT_STAGE, 1);
    struct engine_input input = input_of(ENGINE_READING, 11 * MIN);
    input.as.reading = (struct reading){.seq = number, .value = 9, .received = fixture_at(5 * MIN)};
    assert_int_equal(engine_step(engine, &input, &sink), 0);
    assert_int_equal(last_reading.flag, QUALITY_NOT_EVALUATED);
    assert_int_equal(view_of("flood").alarm->level, 0);
}

static void test_sites_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static struct fixture good;
    good = fixture;
    struct engine *other = NULL;
    struct err err;
#define REFUSED(code, change)                                                                      \
    do {                                                                                           \
        fixture_init(&fixture);                                                                    \
        change;                                                                                    \
        assert_int_equal(engine_create(&fixture.site, fixture_at(0), &other, &err), code);         \
        assert_true(err.text[0] != '\0');                                                          \
        assert_null(other);                                                                        \
    } while (0)
    REFUSED(ERR_NOT_FOUND, strcpy(fixture.rules[0].indicators[0].point, "level"));
    REFUSED(ERR_NOT_FOUND, fixture.rules[1].indicators[0].station[0] = '\0');
    REFUSED(ERR_NOT_FOUND, fixture.at_gauge.index = 1);
    REFUSED(ERR_UNSUPPORTED, strcpy(fixture.rules[RULE_RAIN].indicators[0].point, "stage"));
    REFUSED(ERR_UNSUPPORTED, fixture.rules[RULE_RAIN].indicators[0].kind = INDICATOR_MEAN);
    REFUSED(ERR_EXISTS, strcpy(fixture.areas[0].id, "gauge"));
    REFUSED(ERR_EXISTS, strcpy(fixture.points[1].id, "stage"));
    REFUSED(ERR_EXISTS, strcpy(fixture.rules[2].id, "flood"));
    REFUSED(ERR_RANGE, fixture.points[0].stale_after_us = 0);
    REFUSED(ERR_RANGE, fixture.rules[0].level_count = 0);
    fixture = good;
}

static void test_an_ungraded_place_has_no_alarm(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    fixture.stations[0].alarm_levels.count = 0;
    create();
    struct found found = {.rule = "flood"};
    assert_int_equal(engine_visit_alarms(engine, find_view, &found), 0);
    assert_int_equal(found.count, 2);
    assert_null(found.view.rule);
}

/* ---- snapshot ---- */

static void run_a_while(void) {
    double total = 0;
    for (int i = 0; i < 90; i++) {
        read_at(i * MIN, POINT_STAGE, 1 + i % 13);
        read_at(i * MIN + SEC, POINT_RAIN, total += i % 3);
        if (i % 7 == 0) {
            model_at(i * MIN + 2 * SEC, i * MIN, i % 9);
        }
    }
    (void)order(90 * MIN, COMMAND_ACKNOWLEDGE, "flood", "gauge");
    (void)order(90 * MIN, COMMAND_SHELVE, "rain", "gauge");
}

static void save(struct bytes *bytes) {
    assert_int_equal(engine_save(engine, bytes), 0);
}

struct vanished {
    int alarms, points;
    char rule[STATION_ID_SIZE], place[STATION_ID_SIZE];
};

static void on_vanished(void *context, const char *rule, const char *place, const char *point) {
    struct vanished *vanished = context;
    if (rule[0] != '\0') {
        vanished->alarms++;
        strcpy(vanished->rule, rule);
        strcpy(vanished->place, place);
    } else {
        assert_true(point[0] != '\0');
        vanished->points++;
    }
}

static void test_snapshot_is_the_state(void **state) {
    (void)state;
    struct bytes first = {0};
    struct bytes second = {0};
    run_a_while();
    struct alarm flood = *view_of("flood").alarm;
    save(&first);
    engine = engine_destroy(engine);
    create();
    struct vanished vanished = {0};
    assert_int_equal(engine_load(engine, first.data, first.length, on_vanished, &vanished), 0);
    assert_int_equal(vanished.alarms + vanished.points, 0);
    /* What only shows much later, said here one by one. */
    const struct alarm *loaded = view_of("flood").alarm;
    assert_true(flood.raised_on.mono.us > 0);
    assert_int_equal(loaded->raised_on.mono.us, flood.raised_on.mono.us);
    assert_int_equal(loaded->raised_on.utc.us, flood.raised_on.utc.us);
    assert_int_equal(loaded->episode_start.us, flood.episode_start.us);
    assert_string_equal(loaded->acknowledged_by, flood.acknowledged_by);
    save(&second);
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.data, second.data, first.length);
    bytes_finish(&first);
    bytes_finish(&second);
}

/* A Nowcast over hours, in the middle of one, is the same after a restart. */
static void test_snapshot_keeps_a_nowcast(void **state) {
    (void)state;
    struct bytes first = {0};
    struct bytes second = {0};
    struct indicator_spec *spec = &fixture.rules[RULE_RISE].indicators[0];
    spec->kind = INDICATOR_NOWCAST;
    spec->window_us = RULE_NOWCAST_US;
    engine = engine_destroy(engine);
    create();
    for (int64_t i = 0; i < 200; i++) {
        read_at(i * MIN, POINT_STAGE, 2 + (double)(i % 7) / 4);
    }
    double before = view_of("fast").indicators[0].value;
    assert_true(before > 2 && before < 3.5);
    save(&first);
    engine = engine_destroy(engine);
    create();
    assert_int_equal(engine_load(engine, first.data, first.length, NULL, NULL), 0);
    save(&second);
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.data, second.data, first.length);
    assert_true(view_of("fast").indicators[0].value == before);
    bytes_finish(&first);
    bytes_finish(&second);
}

static void restart(void) {
    struct bytes bytes = {0};
    save(&bytes);
    engine = engine_destroy(engine);
    create();
    assert_int_equal(engine_load(engine, bytes.data, bytes.length, NULL, NULL), 0);
    bytes_finish(&bytes);
}

/* What a consumer sees of one reading: its flags, the flags of the one before, the events. */
static void note(struct bytes *seen, int *events_seen) {
    bytes_put_u8(seen, (uint8_t)last_reading.flag);
    bytes_put_u32(seen, (uint32_t)(last_reading.suspect_tests | last_reading.fail_tests << 8));
    bytes_put_u32(seen, (uint32_t)worse_count);
    bytes_put_u64(seen, worse_reading.seq);
    for (; *events_seen < event_count; (*events_seen)++) {
        bytes_put_text(seen, events[*events_seen % EVENTS_MAX].id);
    }
    bytes_put_double(seen, view_of("rain").indicators[0].value);
    bytes_put_double(seen, view_of("fast").indicators[0].value);
}

static void run_with_restarts(int every, struct bytes *seen) {
    static const double stages[] = {1, 1, 9, 1, 1.1, 5, 5, 5, 5, 5, 2, 30, 2, 2.1, 7, 1};
    struct quality_limits *limits = &fixture.points[POINT_STAGE].quality;
    int events_seen = 0;
    double total = 0;
    limits->spike_suspect = 1;
    limits->spike_fail = 3;
    limits->rate_max_per_s = 0.05;
    limits->flat_epsilon = 0.001;
    limits->flat_suspect_us = 2 * MIN;
    limits->gap_us = 4 * MIN;
    fixture.points[POINT_RAIN].quality.spike_fail = 20;
    number = 0;
    event_count = worse_count = 0;
    memset(&worse_reading, 0, sizeof worse_reading);
    engine = engine_destroy(engine);
    create();
    for (int i = 0; i < 200; i++) {
        int64_t now_us = (i + i / 30 * 7) * MIN;
        read_at(now_us, POINT_STAGE, stages[i % 16]);
        note(seen, &events_seen);
        if (every > 0 && i % every == 0) {
            restart();
        }
        total += i % 4;
        read_at(now_us + SEC, POINT_RAIN, total + (i % 25 == 13 ? 60 : 0)); /* a glitch */
        note(seen, &events_seen);
        if (every > 0 && i % every == 0) {
            restart();
        }
    }
}

static void test_a_restart_anywhere_is_invisible(void **state) {
    (void)state;
    struct bytes whole = {0};
    struct bytes parts = {0};
    run_with_restarts(0, &whole);
    assert_true(worse_count > 5 && event_count > 20);
    for (int every = 1; every < 12; every += 5) {
        bytes_clear(&parts);
        run_with_restarts(every, &parts);
        assert_int_equal(parts.length, whole.length);
        assert_memory_equal(parts.data, whole.data, whole.length);
    }
    bytes_finish(&whole);
    bytes_finish(&parts);
}

static void test_no_changed_byte_of_a_snapshot_is_taken(void **state) {
    (void)state;
    struct bytes bytes = {0};
    run_a_while();
    save(&bytes);
    for (size_t i = 0; i < bytes.length; i += 1 + bytes.length / 400) {
        struct engine *other = NULL;
        assert_int_equal(engine_create(&fixture.site, fixture_at(0), &other, NULL), 0);
        bytes.data[i] ^= 0x10;
        assert_int_equal(engine_load(other, bytes.data, bytes.length, NULL, NULL), ERR_CORRUPT);
        bytes.data[i] ^= 0x10;
        assert_int_equal(engine_load(other, bytes.data, i, NULL, NULL), ERR_CORRUPT);
        other = engine_destroy(other);
    }
    bytes_finish(&bytes);
}

/* With a checksum that fits, the content must still be checked field by field. */
static void test_snapshots_of_nonsense_are_refused(void **state) {
    (void)state;
    struct bytes bytes = {0};
    run_a_while();
    save(&bytes);
    size_t body = bytes.length - (HASH_TEXT_SIZE - 1);
    int refused = 0;
    for (size_t i = 8; i < body; i += 1 + body / 2000) {
        struct engine *other = NULL;
        char hash[HASH_TEXT_SIZE];
        uint8_t old = bytes.data[i];
        assert_int_equal(engine_create(&fixture.site, fixture_at(0), &other, NULL), 0);
        bytes.data[i] = (uint8_t)(old ^ 0xff);
        hash_text(bytes.data, body, hash);
        memcpy(bytes.data + body, hash, HASH_TEXT_SIZE - 1);
        int result = engine_load(other, bytes.data, bytes.length, NULL, NULL);
        assert_true(result == 0 || result == ERR_CORRUPT || result == ERR_UNSUPPORTED);
        refused += result != 0;
        bytes.data[i] = old;
        other = engine_destroy(other);
    }
    assert_true(refused > 200);
    bytes_finish(&bytes);
}

static void test_what_vanished_is_told_and_the_rest_goes_on(void **state) {
    (void)state;
    struct bytes bytes = {0};
    run_a_while();
    uint8_t level = view_of("flood").alarm->level;
    save(&bytes);
    engine = engine_destroy(engine);
    fixture.site.rule_count = RULE_RAIN; /* the last rule goes */
    strcpy(fixture.points[POINT_RAIN].id, "bucket");
    create();
    struct vanished vanished = {0};
    assert_int_equal(engine_load(engine, bytes.data, bytes.length, on_vanished, &vanished), 0);
    assert_int_equal(vanished.alarms, 1);
    assert_int_equal(vanished.points, 1);
    assert_string_equal(vanished.rule, "rain");
    assert_string_equal(vanished.place, "gauge");
    assert_int_equal(view_of("flood").alarm->level, level);
    assert_int_equal(view_of("flood").alarm->annunciation, ANNUNCIATION_ACKNOWLEDGED);
    bytes_finish(&bytes);
}

static void test_a_changed_rule_keeps_the_level(void **state) {
    (void)state;
    struct bytes bytes = {0};
    read_at(0, POINT_STAGE, 5);
    read_at(2 * MIN, POINT_STAGE, 5);
    assert_int_equal(view_of("flood").alarm->level, 2);
    save(&bytes);
    engine = engine_destroy(engine);
    strcpy(fixture.rules[RULE_FLOOD].revision, "another");
    fixture.stations[0].alarm_levels.at[1] = (double)NAN; /* II is not known any more */
    create();
    assert_int_equal(engine_load(engine, bytes.data, bytes.length, NULL, NULL), 0);
    assert_int_equal(view_of("flood").alarm->level, 3); /* never down by a change of the rule */
    bytes_finish(&bytes);
}

static void test_a_changed_unit_starts_a_point_anew(void **state) {
    (void)state;
    struct bytes bytes = {0};
    read_at(0, POINT_STAGE, 5);
    save(&bytes);
    engine = engine_destroy(engine);
    strcpy(fixture.points[POINT_STAGE].unit, "cm");
    create();
    assert_int_equal(engine_load(engine, bytes.data, bytes.length, NULL, NULL), 0);
    assert_int_equal(view_of("flood").indicators[0].knowledge, KNOWLEDGE_UNKNOWN);
    bytes_finish(&bytes);
}

/* ---- resources ---- */

static void test_steps_do_not_allocate(void **state) {
    (void)state;
#ifdef HAS_OWN_MALLOC
    print_message("SKIPPED: the sanitizer has its own allocator\n");
    skip();
#else
    run_a_while();
    size_t before = allocations;
    assert_true(before > 0);
    double total = 1000;
    for (int i = 91; i < 2000; i++) {
        read_at(i * MIN, POINT_STAGE, i % 9);
        read_at(i * MIN + SEC, POINT_RAIN, total += i % 5);
        model_at(i * MIN + 2 * SEC, i * MIN, i % 9);
        tick(i * MIN + 3 * SEC);
        (void)order(i * MIN + 4 * SEC, COMMAND_ACKNOWLEDGE, "flood", "gauge");
    }
    assert_int_equal(allocations, before);
    assert_true(event_count > 300);
#endif
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_flood_rises_and_falls),
        TEST(test_silence_changes_knowledge_and_keeps_the_level),
        TEST(test_hard_failed_readings_neither_raise_nor_lower),
        TEST(test_a_suspect_extreme_alerts_marked_doubtful),
        TEST(test_simulated_values_are_marked_and_never_lower),
        TEST(test_a_spike_is_taken_back),
        TEST(test_rain_adds_up_from_a_counter),
        TEST(test_a_counter_reset_is_unknown_not_rain),
        TEST(test_an_outage_is_an_incomplete_window),
        TEST(test_model_results),
        TEST(test_a_doubted_model_result_does_not_lower),
        TEST(test_model_coverage_lead_and_unknown),
        TEST(test_a_model_result_may_be_a_lower_bound),
        TEST(test_commands_are_answered),
        TEST(test_inputs_that_cannot_be_are_refused),
        TEST(test_out_of_order_readings_do_not_decide),
        TEST(test_sites_that_do_not_fit_are_refused),
        TEST(test_an_ungraded_place_has_no_alarm),
        TEST(test_snapshot_is_the_state),
        TEST(test_snapshot_keeps_a_nowcast),
        TEST(test_a_restart_anywhere_is_invisible),
        TEST(test_no_changed_byte_of_a_snapshot_is_taken),
        TEST(test_snapshots_of_nonsense_are_refused),
        TEST(test_what_vanished_is_told_and_the_rest_goes_on),
        TEST(test_a_changed_rule_keeps_the_level),
        TEST(test_a_changed_unit_starts_a_point_anew),
        TEST(test_steps_do_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
