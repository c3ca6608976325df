/* The pipeline on virtual time with a real store: what it writes is what a restart needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pipeline.h"
#include "tests/unit/engine_fixture.h"

struct site {
    struct fixture fixture;
    char dir[64];
    struct clock *clock;
    struct loop *loop;
    struct store *store;
    struct pipeline *pipeline;
    uint64_t seq;
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

static void begin(struct site *site) {
    struct err err = {0};
    struct pipeline_options options = {.loop = site->loop,
                                       .site = &site->fixture.site,
                                       .site_revision = "one",
                                       .source = "//unit",
                                       .messages = {.status = MESSAGE_TEST},
                                       .publish_observations = true,
                                       .on_committed = ignore_commit,
                                       .on_event = ignore_event,
                                       .on_store = ignore_store,
                                       .ctx = site};
    if (store_open(site->dir, NULL, &site->store, &err) != 0) {
        fail_msg("%s", err.text);
    }
    options.store = site->store;
    if (pipeline_create(&options, &site->pipeline, &err) != 0 ||
        pipeline_start(site->pipeline, &err) != 0) {
        fail_msg("%s", err.text);
    }
    site->seq = pipeline_last_seqs(site->pipeline)[0];
}

static void end(struct site *site) {
    site->pipeline = pipeline_destroy(site->pipeline);
    site->store = store_close(site->store);
}

static int setup(void **state) {
    struct site *site = calloc(1, sizeof *site);
    assert_non_null(site);
    fixture_init(&site->fixture);
    strcpy(site->dir, "/tmp/canhbao-pipeline-XXXXXX");
    assert_non_null(mkdtemp(site->dir));
    assert_int_equal(clock_create_virtual((struct utc_us){START_UTC}, &site->clock), 0);
    assert_int_equal(loop_create(site->clock, &site->loop), 0);
    *state = site;
    begin(site);
    return 0;
}

static int teardown(void **state) {
    struct site *site = *state;
    char command[128];
    end(site);
    (void)loop_destroy(site->loop);
    (void)clock_destroy(site->clock);
    (void)snprintf(command, sizeof command, "rm -rf %s", site->dir);
    int result = system(command);
    free(site);
    return result;
}

static void read_stage(struct site *site, double value) {
    struct reading reading = {.point = POINT_STAGE,
                              .seq = ++site->seq,
                              .status = READING_OK,
                              .value = value,
                              .received = clock_now(site->clock),
                              .flag = QUALITY_NOT_EVALUATED};
    pipeline_readings(site->pipeline, &reading, 1);
}

static void resend(struct site *site) {
    struct command command = {.kind = COMMAND_RESEND_STATE, .actor = "duty"};
    struct pipeline_reply reply;
    assert_int_equal(pipeline_command(site->pipeline, &command, &reply), 0);
}

/* ---- ids ---- */

struct record {
    char id[KAFKA_ID_MAX + 1];
    char *body;
};

/* The waiting messages of a topic. */
static size_t records_of(struct site *site, enum kafka_topic topic, struct record records[64]) {
    struct outbox_source source = store_outbox_source(site->store);
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

static size_t same_id_other_bytes(struct site *site, enum kafka_topic topic, size_t *ret_count) {
    struct record records[64];
    size_t wrong = 0;
    *ret_count = records_of(site, topic, records);
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
    struct site *site = *state;
    size_t count;
    read_stage(site, 2.5); /* level 1 */
    clock_advance(site->clock, MIN);
    read_stage(site, 2.6); /* no event, but other evidence */
    resend(site);
    clock_advance(site->clock, MIN);
    read_stage(site, 2.7);
    resend(site);
    assert_int_equal(same_id_other_bytes(site, KAFKA_TOPIC_ALERT_STATE, &count), 0);
    assert_true(count > 2 * 3); /* two times three alarms, and the events' own */
}

static void test_numbers_go_on_when_the_clock_was_set_back(void **state) {
    struct site *site = *state;
    size_t count;
    for (int i = 0; i < 5; i++) {
        clock_advance(site->clock, MIN);
        read_stage(site, 1);
    }
    clock_step_utc(site->clock, -2 * HOUR); /* a wrong clock was put right */
    for (int i = 0; i < 5; i++) {
        clock_advance(site->clock, MIN);
        read_stage(site, 1.1);
    }
    end(site);
    begin(site);
    assert_int_equal(site->seq, 10);
    clock_advance(site->clock, MIN);
    read_stage(site, 1.2);
    resend(site); /* commits */
    assert_int_equal(same_id_other_bytes(site, KAFKA_TOPIC_OBSERVATION, &count), 0);
    assert_int_equal(count, 11);
}

/* ---- the journal ---- */

static void test_an_input_that_the_engine_refuses_does_not_jam_the_journal(void **state) {
    struct site *site = *state;
    struct pipeline_reply reply;
    struct command command = {.kind = COMMAND_SHELVE,
                              .rule = "flood",
                              .place = "gauge",
                              .actor = "duty",
                              .comment = "test",
                              .until = {INT64_MAX}};
    assert_int_not_equal(pipeline_command(site->pipeline, &command, &reply), 0);
    struct reading reading = {.point = POINT_STAGE, .seq = 0, .received = clock_now(site->clock)};
    pipeline_readings(site->pipeline, &reading, 1); /* readings have numbers from 1 */
    uint64_t events = pipeline_counters(site->pipeline).events;
    read_stage(site, 2.5);
    assert_true(pipeline_counters(site->pipeline).events > events);
    assert_int_equal(pipeline_counters(site->pipeline).refused, 2);
    end(site);
    begin(site); /* and the journal can be stepped again */
    assert_int_equal(site->seq, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_a_record_sent_again_on_demand_has_an_id_of_its_own),
        TEST(test_numbers_go_on_when_the_clock_was_set_back),
        TEST(test_an_input_that_the_engine_refuses_does_not_jam_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
