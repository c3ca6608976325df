/* The pipeline on virtual time with a real store: what it writes is what a restart needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "daemon/config/site.h"
#include "daemon/pipeline.h"
#include "daemon/view.h"
#include "tests/unit/engine_fixture.h"

struct rig {
    struct fixture fixture;
    char dir[64];
    struct clock *clock;
    struct loop *loop;
    struct store *store;
    struct pipeline *pipeline;
    uint64_t seq;
    enum message_status status;
};

static void ignore_commit(void *ctx) {
    (void)ctx;
}

static void ignore_event(void *ctx, int64_t number, const char *text) {
    (void)ctx;
    (void)number;
    (void)text;
}

static void ignore_store(void *ctx, int code, const char *text) {
    (void)ctx;
    (void)code;
    (void)text;
}

static int try_to_begin(struct rig *rig, struct err *ret_err) {
    struct pipeline_options options = {.loop = rig->loop,
                                       .site = &rig->fixture.site,
                                       .site_revision = "one",
                                       .source = "//unit",
                                       .messages = {.status = rig->status},
                                       .publish_observations = true,
                                       .on_committed = ignore_commit,
                                       .on_event = ignore_event,
                                       .on_store = ignore_store,
                                       .ctx = rig};
    if (store_open(rig->dir, NULL, &rig->store, ret_err) != 0) {
        fail_msg("%s", ret_err->text);
    }
    options.store = rig->store;
    int result = pipeline_create(&options, &rig->pipeline, ret_err);
    return result == 0 ? pipeline_start(rig->pipeline, ret_err) : result;
}

static void begin(struct rig *rig) {
    struct err err = {0};
    if (try_to_begin(rig, &err) != 0) {
        fail_msg("%s", err.text);
    }
    rig->seq = pipeline_last_seqs(rig->pipeline)[0];
}

static void end(struct rig *rig) {
    rig->pipeline = pipeline_destroy(rig->pipeline);
    rig->store = store_close(rig->store);
}

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    fixture_init(&rig->fixture);
    strcpy(rig->dir, "/tmp/canhbao-pipeline-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    assert_int_equal(clock_create_virtual((struct utc_us){START_UTC}, &rig->clock), 0);
    assert_int_equal(loop_create(rig->clock, &rig->loop), 0);
    rig->status = MESSAGE_TEST;
    *state = rig;
    begin(rig);
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    char command[128];
    end(rig);
    (void)loop_destroy(rig->loop);
    (void)clock_destroy(rig->clock);
    (void)snprintf(command, sizeof command, "rm -rf %s", rig->dir);
    int result = system(command);
    free(rig);
    return result;
}

static void read_stage(struct rig *rig, double value) {
    struct reading reading = {.point = POINT_STAGE,
                              .seq = ++rig->seq,
                              .status = READING_OK,
                              .value = value,
                              .received = clock_now(rig->clock),
                              .flag = QUALITY_NOT_EVALUATED};
    pipeline_readings(rig->pipeline, &reading, 1);
}

static void resend(struct rig *rig) {
    struct command command = {.kind = COMMAND_RESEND_STATE, .actor = "duty"};
    struct pipeline_reply reply;
    assert_int_equal(pipeline_command(rig->pipeline, &command, &reply), 0);
}

/* ---- ids ---- */

struct record {
    char id[KAFKA_ID_MAX + 1];
    char *body;
};

/* The waiting messages of a topic. */
static size_t records_of(struct rig *rig, enum kafka_topic topic, struct record records[64]) {
    struct outbox_source source = store_outbox_source(rig->store);
    struct outbox_ref refs[64];
    struct kafka_message message;
    size_t count = 0;
    assert_int_equal(source.list(source.user, topic, 0, refs, 64, &count), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(source.read(source.user, refs[i].row, &message), 0);
        strcpy(records[i].id, message.id);
        records[i].body = strndup(message.body, message.body_len);
    }
    return count;
}

static size_t same_id_other_bytes(struct rig *rig, enum kafka_topic topic, size_t *ret_count) {
    struct record records[64];
    size_t wrong = 0;
    *ret_count = records_of(rig, topic, records);
    for (size_t i = 0; i < *ret_count; i++) {
        for (size_t k = 0; k < i; k++) {
            wrong += strcmp(records[i].id, records[k].id) == 0 &&
                     strcmp(records[i].body, records[k].body) != 0;
        }
    }
    for (size_t i = 0; i < *ret_count; i++) {
        free(records[i].body);
    }
    return wrong;
}

static void test_a_record_sent_again_on_demand_has_an_id_of_its_own(void **state) {
    struct rig *rig = *state;
    size_t count;
    read_stage(rig, 2.5); /* level 1 */
    clock_advance(rig->clock, MIN);
    read_stage(rig, 2.6); /* no event, but other evidence */
    resend(rig);
    clock_advance(rig->clock, MIN);
    read_stage(rig, 2.7);
    resend(rig);
    assert_int_equal(same_id_other_bytes(rig, KAFKA_TOPIC_ALERT_STATE, &count), 0);
    assert_true(count > 2 * 3); /* two times three alarms, and the events' own */
}

static void test_numbers_go_on_when_the_clock_was_set_back(void **state) {
    struct rig *rig = *state;
    size_t count;
    for (int i = 0; i < 5; i++) {
        clock_advance(rig->clock, MIN);
        read_stage(rig, 1);
    }
    clock_step_utc(rig->clock, -2 * HOUR); /* a wrong clock was put right */
    for (int i = 0; i < 5; i++) {
        clock_advance(rig->clock, MIN);
        read_stage(rig, 1.1);
    }
    end(rig);
    begin(rig);
    assert_int_equal(rig->seq, 10);
    clock_advance(rig->clock, MIN);
    read_stage(rig, 1.2);
    resend(rig); /* commits */
    assert_int_equal(same_id_other_bytes(rig, KAFKA_TOPIC_OBSERVATION, &count), 0);
    assert_int_equal(count, 11);
}

static void test_a_drill_does_not_go_on_as_real(void **state) {
    struct rig *rig = *state;
    struct err err = {0};
    read_stage(rig, 5); /* a level of the drill */
    end(rig);
    rig->status = MESSAGE_ACTUAL;
    assert_int_equal(try_to_begin(rig, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "a run marked Test, this one is Actual"));
    end(rig);
    rig->status = MESSAGE_TEST;
    begin(rig);
}

/* ---- ages ---- */

static void test_a_clock_that_was_set_makes_no_reading_old_or_young(void **state) {
    struct rig *rig = *state;
    struct site site = {.points = rig->fixture.points, .point_count = FIXTURE_POINTS};
    end(rig);
    clock_step_utc(rig->clock, HOUR);
    begin(rig); /* from here on the engine's time line is not the process's */
    const struct view_source view = {.site = &site, .clock = rig->clock, .pipeline = rig->pipeline};
    read_stage(rig, 1);
    const struct reading *reading = pipeline_newest_value(rig->pipeline, POINT_STAGE);
    assert_non_null(reading);
    assert_false(view_is_stale(&view, POINT_STAGE, reading));
    clock_step_utc(rig->clock, HOUR);
    assert_false(view_is_stale(&view, POINT_STAGE, reading));
    clock_step_utc(rig->clock, -2 * HOUR);
    clock_advance(rig->clock, 179 * SEC);
    assert_false(view_is_stale(&view, POINT_STAGE, reading));
    clock_advance(rig->clock, 2 * SEC); /* silent for longer than the point may be */
    assert_true(view_is_stale(&view, POINT_STAGE, reading));
}

/* ---- the journal ---- */

static void test_an_input_that_the_engine_refuses_does_not_jam_the_journal(void **state) {
    struct rig *rig = *state;
    struct pipeline_reply reply;
    struct command command = {.kind = COMMAND_SHELVE,
                              .rule = "flood",
                              .place = "gauge",
                              .actor = "duty",
                              .comment = "test",
                              .until = {INT64_MAX}};
    assert_int_not_equal(pipeline_command(rig->pipeline, &command, &reply), 0);
    struct reading reading = {.point = POINT_STAGE, .seq = 0, .received = clock_now(rig->clock)};
    pipeline_readings(rig->pipeline, &reading, 1); /* readings have numbers from 1 */
    uint64_t events = pipeline_counters(rig->pipeline).events;
    read_stage(rig, 2.5);
    assert_true(pipeline_counters(rig->pipeline).events > events);
    assert_int_equal(pipeline_counters(rig->pipeline).refused, 2);
    end(rig);
    begin(rig); /* and the journal can be stepped again */
    assert_int_equal(rig->seq, 1);
}

/* The state that another version saved: its number, under a checksum that fits. */
static void make_foreign(struct rig *rig, int skip) {
    enum { VERSION_AT = 8 };
    uint64_t of;
    void *state = NULL;
    size_t length = 0;
    char hash[HASH_TEXT_SIZE];
    assert_int_equal(store_load_snapshot(rig->store, skip, &of, &state, &length, NULL), 0);
    uint8_t *bytes = state;
    size_t body = length - (HASH_TEXT_SIZE - 1);
    bytes[VERSION_AT]++;
    hash_text(bytes, body, hash);
    memcpy(bytes + body, hash, HASH_TEXT_SIZE - 1);
    assert_int_equal(
        store_save_snapshot(rig->store, of, clock_now(rig->clock).utc, bytes, length, NULL), 0);
    free(state);
}

static void test_a_state_of_another_version_is_named(void **state) {
    struct rig *rig = *state;
    struct err err = {0};
    read_stage(rig, 5);
    end(rig);
    assert_int_equal(store_open(rig->dir, NULL, &rig->store, NULL), 0);
    make_foreign(rig, 0);
    make_foreign(rig, 1);
    rig->store = store_close(rig->store);
    assert_int_equal(try_to_begin(rig, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "another version of this program"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_record_sent_again_on_demand_has_an_id_of_its_own),
        TEST(test_numbers_go_on_when_the_clock_was_set_back),
        TEST(test_a_drill_does_not_go_on_as_real),
        TEST(test_a_clock_that_was_set_makes_no_reading_old_or_young),
        TEST(test_an_input_that_the_engine_refuses_does_not_jam_the_journal),
        TEST(test_a_state_of_another_version_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
