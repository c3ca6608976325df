/* The store: what was committed is there afterwards, in order, whatever happens in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/store/store.h"

static const struct store_config small = {.ballast_bytes = 64 << 10};

struct fixture {
    char dir[64];
    char db[96];
    char ballast[96];
    struct store *store;
    struct err err;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/canhbao-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->db, sizeof f->db, "%s/canhbao.db", f->dir);
    snprintf(f->ballast, sizeof f->ballast, "%s/canhbao.ballast", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    store_close(f->store);
    (void)umount2(f->dir, MNT_DETACH); /* of the full disk, should its test have failed */
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    int result = system(command);
    free(f);
    return result;
}

static void open_it(struct fixture *f) {
    int result = store_open(f->dir, &small, &f->store, &f->err);
    if (result != 0)
        fail_msg("%s", f->err.text);
}

static void reopen(struct fixture *f) {
    f->store = store_close(f->store);
    open_it(f);
}

static struct moment at(int64_t s) {
    return (struct moment){{s * 1000000}, {1700000000000000 + s * 1000000}};
}

static struct kafka_message message_of(enum kafka_topic topic, const char *key, const char *id,
                                       const char *body) {
    return (struct kafka_message){.topic = topic,
                                  .key = key,
                                  .id = id,
                                  .type = "test",
                                  .source = "//unit",
                                  .time = {1700000000000000},
                                  .sequence = 7,
                                  .body = body,
                                  .body_len = body ? strlen(body) : 0};
}

static struct reading reading_of(uint64_t seq, double value, int64_t s) {
    return (struct reading){.seq = seq,
                            .status = isnan(value) ? READING_TIMEOUT : READING_OK,
                            .raw_len = 2,
                            .raw = {0x12, 0x34},
                            .value = value,
                            .received = at(s),
                            .round_trip_us = 1500,
                            .flag = isnan(value) ? QUALITY_MISSING : QUALITY_GOOD,
                            .quality_revision = 3};
}

static size_t list(struct store *store, enum kafka_topic topic, struct outbox_ref refs[static 16]) {
    struct outbox_source source = store_outbox_source(store);
    size_t count = 99;
    assert_int_equal(source.list(source.user, topic, 0, refs, 16, &count), 0);
    return count;
}

struct collected {
    size_t count;
    char text[4096];
};

static int collect_event(void *user, const struct store_event *event) {
    struct collected *c = user;
    size_t used = strlen(c->text);
    snprintf(c->text + used, sizeof c->text - used, "%lld %s %s %s %.*s|", (long long)event->seq,
             event->id, event->place, event->rule, (int)event->body_len, (const char *)event->body);
    c->count++;
    return 0;
}

static int collect_journal(void *user, uint64_t number, struct moment now, const void *bytes,
                           size_t length) {
    struct collected *c = user;
    size_t used = strlen(c->text);
    snprintf(c->text + used, sizeof c->text - used, "%llu@%lld/%lld %.*s|",
             (unsigned long long)number, (long long)(now.mono.us / 1000000),
             (long long)(now.utc.us / 1000000 - 1700000000), (int)length, (const char *)bytes);
    c->count++;
    return 0;
}

static struct reading kept[8];
static int collect_reading(void *user, const struct reading *reading) {
    struct collected *c = user;
    assert_true(c->count < 8);
    kept[c->count++] = *reading;
    return 0;
}

static int collect_audit(void *user, int64_t seq, struct utc_us time, const char *actor,
                         const char *kind, const char *text) {
    struct collected *c = user;
    snprintf(c->text, sizeof c->text, "%lld %lld %s %s %s", (long long)seq, (long long)time.us,
             actor, kind, text);
    c->count++;
    return 0;
}

static int collect_state(void *user, const char *place, const char *rule, uint64_t revision,
                         const void *body, size_t length) {
    struct collected *c = user;
    size_t used = strlen(c->text);
    snprintf(c->text + used, sizeof c->text - used, "%s/%s %llu %.*s|", place, rule,
             (unsigned long long)revision, (int)length, (const char *)body);
    c->count++;
    return 0;
}

static void test_group_is_invisible_until_committed(void **state) {
    struct fixture *f = *state;
    open_it(f);
    struct kafka_message message = message_of(KAFKA_TOPIC_ALERT, "thanh-hoa", "e1", "{\"a\":1}");
    struct outbox_ref refs[16];
    assert_int_equal(store_append_journal(f->store, 1, at(5), "one", 3), 0);
    assert_int_equal(store_append_event(f->store, &message, "thanh-hoa", "stage"), 0);
    assert_int_equal(list(f->store, KAFKA_TOPIC_ALERT, refs), 0);
    assert_int_equal(store_events_last(f->store), 0);
    assert_int_equal(store_journal_last(f->store), 0);
    reopen(f); /* a waiting group is not committed by closing */
    assert_int_equal(store_events_last(f->store), 0);

    assert_int_equal(store_append_journal(f->store, 1, at(5), "one", 3), 0);
    assert_int_equal(store_append_event(f->store, &message, "thanh-hoa", "stage"), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    reopen(f);
    assert_int_equal(list(f->store, KAFKA_TOPIC_ALERT, refs), 1);
    assert_int_equal(store_journal_last(f->store), 1);
    struct collected events = {0};
    assert_int_equal(store_read_events(f->store, 0, 10, collect_event, &events), 0);
    assert_string_equal(events.text, "1 e1 thanh-hoa stage {\"a\":1}|");
}

static void test_outbox_keeps_order_and_forgets_delivered(void **state) {
    struct fixture *f = *state;
    open_it(f);
    const char *ids[] = {"a", "b", "c"};
    struct kafka_message message;
    for (int i = 0; i < 3; i++) {
        message = message_of(KAFKA_TOPIC_ALERT_STATE, "p/r", ids[i], i == 2 ? NULL : "x");
        assert_int_equal(store_append_outbox(f->store, &message), 0);
        message = message_of(KAFKA_TOPIC_OBSERVATION, "s", ids[i], "");
        message.exercise = true;
        assert_int_equal(store_append_outbox(f->store, &message), 0);
    }
    assert_int_equal(store_commit(f->store, &f->err), 0);
    reopen(f);
    struct outbox_ref refs[16], later[16];
    assert_int_equal(list(f->store, KAFKA_TOPIC_ALERT_STATE, refs), 3);
    assert_int_equal(list(f->store, KAFKA_TOPIC_ALERT, later), 0);
    struct outbox_source source = store_outbox_source(f->store);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(source.read(source.user, refs[i].row, &message), 0);
        assert_string_equal(message.id, ids[i]);
        assert_string_equal(message.key, "p/r");
        assert_int_equal(message.sequence, 7);
        assert_int_equal(message.topic, KAFKA_TOPIC_ALERT_STATE);
        assert_true(i == 2 ? message.body == NULL : message.body_len == 1);
    }
    assert_int_equal(list(f->store, KAFKA_TOPIC_OBSERVATION, later), 3);
    assert_int_equal(source.read(source.user, later[0].row, &message), 0);
    assert_non_null(message.body); /* empty, not a tombstone */
    assert_int_equal(message.body_len, 0);
    assert_true(message.exercise);

    int64_t rows[] = {refs[0].row, refs[2].row};
    assert_int_equal(source.mark(source.user, rows, 2), 0);
    assert_int_equal(list(f->store, KAFKA_TOPIC_ALERT_STATE, later), 3);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    assert_int_equal(list(f->store, KAFKA_TOPIC_ALERT_STATE, later), 1);
    assert_int_equal(later[0].row, refs[1].row);
    assert_int_equal(source.read(source.user, refs[0].row, &message), ERR_NOT_FOUND);

    /* A row number is never used again while the cursor of the delivery stands on it. */
    assert_int_equal(source.mark(source.user, &refs[1].row, 1), 0);
    message = message_of(KAFKA_TOPIC_ALERT_STATE, "p/r", "d", "y");
    assert_int_equal(store_append_outbox(f->store, &message), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    assert_int_equal(list(f->store, KAFKA_TOPIC_ALERT_STATE, later), 1);
    assert_true(later[0].row > refs[2].row);
    struct store_status status;
    store_status(f->store, &status);
    assert_int_equal(status.outbox_rows, 4);
    assert_int_equal(status.observation_rows, 3);
}

static void test_event_id_stands_for_its_bytes(void **state) {
    struct fixture *f = *state;
    open_it(f);
    struct outbox_ref refs[16];
    struct kafka_message message = message_of(KAFKA_TOPIC_ALERT, "k", "e", "one");
    assert_int_equal(store_append_event(f->store, &message, "k", "r"), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    assert_int_equal(store_append_event(f->store, &message, "k", "r"), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    assert_int_equal(list(f->store, KAFKA_TOPIC_ALERT, refs), 1);
    message.body = "two";
    assert_int_equal(store_append_event(f->store, &message, "k", "r"), 0);
    assert_int_equal(store_append_journal(f->store, 1, at(0), "x", 1), 0);
    assert_int_equal(store_commit(f->store, &f->err), ERR_EXISTS);
    assert_non_null(strstr(f->err.text, "event id e "));
    assert_int_equal(list(f->store, KAFKA_TOPIC_ALERT, refs), 1);
    assert_int_equal(store_journal_last(f->store), 1); /* the rest was written */
    assert_int_equal(store_commit(f->store, &f->err), 0);
}

static void test_readings_come_back_as_they_were(void **state) {
    struct fixture *f = *state;
    open_it(f);
    int64_t stage = 0, rain = 0, again = 0;
    assert_int_equal(store_point_handle(f->store, "s1", "stage", "m", &stage, &f->err), 0);
    assert_int_equal(store_point_handle(f->store, "s1", "rain", "mm", &rain, &f->err), 0);
    assert_int_equal(store_point_handle(f->store, "s1", "stage", "m", &again, &f->err), 0);
    assert_int_equal(stage, again);
    assert_int_not_equal(stage, rain);
    assert_int_equal(store_point_handle(f->store, "s1", "stage", "cm", &again, &f->err), 0);
    assert_int_not_equal(stage, again); /* numbers of two units never mix */

    const struct store_point many[] = {
        {"s2", "stage", "m"}, {"s1", "rain", "mm"}, {"s2", "rain", "mm"}, {"s2", "stage", "m"}};
    int64_t handles[4] = {0};
    assert_int_equal(store_point_handles(f->store, many, 4, handles, &f->err), 0);
    assert_int_equal(handles[1], rain);
    assert_int_equal(handles[3], handles[0]);
    for (int i = 0; i < 3; i++)
        assert_true(handles[i] != stage && handles[i] != again &&
                    handles[i] != handles[(i + 1) % 3]);
    assert_int_equal(store_point_handle(f->store, "s2", "rain", "mm", &again, &f->err), 0);
    assert_int_equal(handles[2], again);

    uint64_t seq = 99;
    assert_int_equal(store_station_seq(f->store, "s1", &seq), 0);
    assert_int_equal(seq, 0);
    struct reading readings[] = {reading_of(1, 3.25, 10), reading_of(2, (double)NAN, 20),
                                 reading_of(3, -0.0, 30)};
    for (int i = 0; i < 3; i++)
        assert_int_equal(store_append_reading(f->store, stage, &readings[i]), 0);
    struct reading other = reading_of(4, 1, 40);
    assert_int_equal(store_append_reading(f->store, rain, &other), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    readings[0].flag = QUALITY_SUSPECT;
    readings[0].suspect_tests = 1 << TEST_SPIKE;
    readings[0].value = 99; /* a value that is stored never changes */
    assert_int_equal(store_append_reading(f->store, stage, &readings[0]), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    reopen(f);
    struct collected c = {0};
    assert_int_equal(
        store_read_readings(f->store, stage, at(0).utc, at(30).utc, 8, collect_reading, &c), 0);
    assert_int_equal(c.count, 2); /* the end is exclusive */
    assert_true(kept[0].value == 3.25);
    assert_int_equal(kept[0].flag, QUALITY_SUSPECT);
    assert_int_equal(kept[0].suspect_tests, 1 << TEST_SPIKE);
    assert_true(isnan(kept[1].value));
    assert_int_equal(kept[1].status, READING_TIMEOUT);
    assert_int_equal(kept[1].flag, QUALITY_MISSING);
    assert_int_equal(kept[1].raw_len, 2);
    assert_memory_equal(kept[1].raw, readings[1].raw, 2);
    assert_int_equal(kept[1].received.utc.us, at(20).utc.us);
    assert_int_equal(store_station_seq(f->store, "s1", &seq), 0);
    assert_int_equal(seq, 4);
    assert_int_equal(store_append_reading(f->store, 0, &other), ERR_RANGE);
}

static void test_journal_and_snapshots(void **state) {
    struct fixture *f = *state;
    open_it(f);
    assert_int_equal(store_append_journal(f->store, 2, at(1), "b", 1), ERR_INVALID);
    const char *words[] = {"a", "b", "", "d", "e"};
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(store_append_journal(f->store, i + 1, at(i), words[i], strlen(words[i])),
                         0);
        if (i == 2)
            assert_int_equal(store_commit(f->store, &f->err), 0);
    }
    assert_int_equal(store_append_journal(f->store, 5, at(9), "e", 1), ERR_INVALID);
    assert_int_equal(store_save_snapshot(f->store, 5, at(5).utc, "five", 4, &f->err), 0);
    reopen(f);
    struct collected c = {0};
    assert_int_equal(store_read_journal(f->store, 1, collect_journal, &c), 0);
    assert_string_equal(c.text, "2@1/1 b|3@2/2 |4@3/3 d|5@4/4 e|");
    memset(&c, 0, sizeof c);
    assert_int_equal(store_read_journal(f->store, 5, collect_journal, &c), 0);
    assert_int_equal(c.count, 0);
    uint64_t number = 0;
    void *bytes = NULL;
    size_t length = 0;
    assert_int_equal(store_load_snapshot(f->store, 1, &number, &bytes, &length, &f->err),
                     ERR_NOT_FOUND);
    for (unsigned i = 6; i < 9; i++) {
        assert_int_equal(store_append_journal(f->store, i, at(i), "x", 1), 0);
        assert_int_equal(store_save_snapshot(f->store, i, at(i).utc, &i, sizeof i, &f->err), 0);
    }
    assert_int_equal(store_load_snapshot(f->store, 1, &number, &bytes, &length, &f->err), 0);
    assert_int_equal(number, 7);
    assert_int_equal(length, sizeof(unsigned));
    assert_int_equal(*(unsigned *)bytes, 7);
    free(bytes);
    assert_int_equal(store_load_snapshot(f->store, 2, &number, &bytes, &length, &f->err),
                     ERR_NOT_FOUND);

    /* Retention leaves what the older snapshot needs. */
    bool more = true;
    assert_int_equal(store_retain(f->store, at(86400 * 30).utc, 100, &more, &f->err), 0);
    memset(&c, 0, sizeof c);
    assert_int_equal(store_read_journal(f->store, 7, collect_journal, &c), 0);
    assert_string_equal(c.text, "8@8/8 x|");
    assert_int_equal(store_read_journal(f->store, 3, collect_journal, &c), ERR_CORRUPT);
    reopen(f);
    assert_int_equal(store_journal_last(f->store), 8);
}

static void test_state_audit_meta(void **state) {
    struct fixture *f = *state;
    open_it(f);
    char big[KAFKA_KEY_MAX + 2];
    memset(big, 'k', sizeof big - 1);
    big[sizeof big - 1] = 0;
    assert_int_equal(store_put_alarm_state(f->store, "p", "r2", 1, "x", 1), 0);
    assert_int_equal(store_put_alarm_state(f->store, "p", "r1", 1, "x", 1), 0);
    assert_int_equal(store_put_alarm_state(f->store, "p", "r1", 2, "yy", 2), 0);
    assert_int_equal(store_put_alarm_state(f->store, "p", "r2", 2, NULL, 0), 0);
    assert_int_equal(store_put_alarm_state(f->store, big, "r2", 2, NULL, 0), ERR_RANGE);
    assert_int_equal(store_append_audit(f->store, at(1).utc, "lan", "acknowledge", "p/r1"), 0);
    assert_int_equal(store_put_meta(f->store, "clock", "abc", 3), 0);
    assert_int_equal(store_put_meta(f->store, "clock", "abcd", 4), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    reopen(f);
    struct collected c = {0};
    assert_int_equal(store_read_alarm_states(f->store, collect_state, &c), 0);
    assert_string_equal(c.text, "p/r1 2 yy|");
    memset(&c, 0, sizeof c);
    assert_int_equal(store_read_audit(f->store, 0, 10, collect_audit, &c), 0);
    assert_string_equal(c.text, "1 1700000001000000 lan acknowledge p/r1");
    char value[8];
    size_t length = 0;
    assert_int_equal(store_get_meta(f->store, "clock", value, sizeof value, &length), 0);
    assert_int_equal(length, 4);
    assert_int_equal(store_get_meta(f->store, "clock", value, 3, &length), ERR_LIMIT);
    assert_int_equal(store_get_meta(f->store, "nothing", value, 3, &length), ERR_NOT_FOUND);
}

static void test_group_is_bounded(void **state) {
    struct fixture *f = *state;
    struct store_config config = {.ballast_bytes = 4096, .group_bytes = 8192};
    assert_int_equal(store_open(f->dir, &config, &f->store, &f->err), 0);
    uint64_t number = 1;
    char bytes[1000] = {0};
    int result = 0;
    while (number < 20 &&
           (result = store_append_journal(f->store, number, at(1), bytes, sizeof bytes)) == 0)
        number++;
    assert_int_equal(result, ERR_LIMIT);
    assert_int_equal(number, 8);
    /* an input that was taken has room for its event, its message and its state ... */
    struct kafka_message alert = message_of(KAFKA_TOPIC_ALERT, "gauge", "a1", bytes);
    struct kafka_message record = message_of(KAFKA_TOPIC_ALERT_STATE, "gauge/flood", "s1", bytes);
    struct kafka_message observation = message_of(KAFKA_TOPIC_OBSERVATION, "gauge", "o1", bytes);
    alert.body_len = record.body_len = observation.body_len = sizeof bytes;
    assert_int_equal(store_append_event(f->store, &alert, "gauge", "flood"), 0);
    assert_int_equal(store_put_alarm_state(f->store, "gauge", "flood", 1, bytes, 10), 0);
    assert_int_equal(store_append_outbox(f->store, &record), 0);
    /* ... an observation has not, and the bound of that room holds too */
    assert_int_equal(store_append_outbox(f->store, &observation), ERR_LIMIT);
    int events = 0;
    while (events < 20 && store_append_event(f->store, &alert, "gauge", "flood") == 0)
        events++;
    assert_true(events < 10);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    assert_int_equal(store_append_journal(f->store, number, at(1), bytes, sizeof bytes), 0);
}

static void test_observations_are_shed_oldest_first(void **state) {
    struct fixture *f = *state;
    struct store_config config = {.ballast_bytes = 4096, .observations_max = 3};
    assert_int_equal(store_open(f->dir, &config, &f->store, &f->err), 0);
    char id[8];
    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof id, "o%d", i);
        struct kafka_message message = message_of(KAFKA_TOPIC_OBSERVATION, "s", id, "x");
        assert_int_equal(store_append_outbox(f->store, &message), 0);
        message.topic = KAFKA_TOPIC_ALERT;
        assert_int_equal(store_append_outbox(f->store, &message), 0);
    }
    assert_int_equal(store_commit(f->store, &f->err), 0);
    struct outbox_ref refs[16];
    assert_int_equal(list(f->store, KAFKA_TOPIC_ALERT, refs), 5);
    assert_int_equal(list(f->store, KAFKA_TOPIC_OBSERVATION, refs), 3);
    struct outbox_source source = store_outbox_source(f->store);
    struct kafka_message message;
    assert_int_equal(source.read(source.user, refs[0].row, &message), 0);
    assert_string_equal(message.id, "o2");
    struct store_status status;
    store_status(f->store, &status);
    assert_int_equal(status.observations_shed, 2);
    assert_true(status.conditions & STORE_OBSERVATIONS_SHED);
    assert_int_equal(source.mark(source.user, &refs[0].row, 1), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    reopen(f);
    store_status(f->store, &status);
    assert_int_equal(status.observations_shed, 2); /* the count outlives the process */
    assert_int_equal(status.conditions, 0);
}

/* What should wait in the outbox, in the order of commit. */
enum { EXPECTED_MAX = 4096 };
struct expected {
    enum kafka_topic topic;
    int number;
    bool marked;
};

static void append_expected(struct fixture *f, unsigned dice, struct expected *expected,
                            size_t *count, int *numbers) {
    for (unsigned i = 0; i < dice % 8; i++) {
        char id[16], body[16];
        enum kafka_topic topic = (enum kafka_topic)((dice >> (3 + i)) % 3);
        snprintf(id, sizeof id, "%d", *numbers);
        snprintf(body, sizeof body, "body %d", *numbers);
        struct kafka_message message = message_of(topic, "key", id, i % 3 == 2 ? NULL : body);
        if (i % 2 == 0)
            assert_int_equal(store_append_event(f->store, &message, "p", "r"), 0);
        else
            assert_int_equal(store_append_outbox(f->store, &message), 0);
        assert_true(*count < EXPECTED_MAX);
        expected[(*count)++] = (struct expected){topic, (*numbers)++, false};
    }
    assert_int_equal(store_commit(f->store, &f->err), 0);
    size_t left = 0; /* the marks are in the file now */
    for (size_t i = 0; i < *count; i++)
        if (!expected[i].marked)
            expected[left++] = expected[i];
    *count = left;
}

static struct expected *next_of(enum kafka_topic topic, struct expected *from,
                                struct expected *end) {
    while (from < end && from->topic != topic)
        from++;
    return from;
}

/* Reads a topic from its first row on, five rows at a time, and marks some; what a cursor lists
 * that stands where the round before ended (out of memory, mostly) must be the end of that. */
static void compare_expected(struct fixture *f, enum kafka_topic topic, unsigned dice,
                             struct expected *expected, size_t count, int64_t *cursor) {
    struct outbox_source source = store_outbox_source(f->store);
    static int64_t rows[EXPECTED_MAX];
    size_t row_count = 0, behind = 0;
    struct expected *next = expected, *end = expected + count;
    struct outbox_ref refs[5];
    int64_t after = 0;
    size_t got = 0;
    while (source.list(source.user, topic, after, refs, 5, &got) == 0 && got > 0) {
        for (size_t i = 0; i < got; i++, next++) {
            struct kafka_message message;
            next = next_of(topic, next, end);
            assert_true(next < end && refs[i].row > after);
            after = refs[i].row;
            behind += after <= *cursor;
            rows[row_count++] = after;
            assert_int_equal(source.read(source.user, after, &message), 0);
            assert_int_equal(message.topic, topic);
            assert_int_equal(atoi(message.id), next->number);
            assert_true(!message.body || atoi((const char *)message.body + 5) == next->number);
            assert_int_equal(message.sequence, 7);
            assert_int_equal(message.time.us, 1700000000000000);
            assert_string_equal(message.source, "//unit");
            if (dice >> (next->number % 20) & 1 && !next->marked)
                assert_int_equal(source.mark(source.user, &after, 1), 0);
            next->marked = next->marked || (dice >> (next->number % 20) & 1);
        }
    }
    assert_int_equal(got, 0);
    assert_ptr_equal(next_of(topic, next, end), end); /* none was left out */
    assert_int_equal(source.list(source.user, topic, *cursor, refs, 5, &got), 0);
    assert_int_equal(got, row_count - behind < 5 ? row_count - behind : 5);
    for (size_t i = 0; i < got; i++)
        assert_int_equal(refs[i].row, rows[behind + i]);
    *cursor = after > *cursor ? after : *cursor;
}

/* Whether a message comes out of the newest group's bytes or out of the file must not show: random
 * groups, marks, cursors and restarts. */
static void test_messages_of_memory_and_file_are_the_same(void **state) {
    static struct expected expected[EXPECTED_MAX];
    struct fixture *f = *state;
    size_t count = 0;
    int numbers = 0;
    int64_t cursors[3] = {0};
    uint64_t seed = 5;
    open_it(f);
    for (int round = 0; round < 300; round++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        unsigned dice = (unsigned)(seed >> 33);
        append_expected(f, dice, expected, &count, &numbers);
        if (dice % 17 == 0)
            reopen(f);
        for (int topic = 0; topic < 3; topic++)
            if (dice % 3 != (unsigned)topic) /* else the cursor stays behind for a round */
                compare_expected(f, (enum kafka_topic)topic, dice >> 4, expected, count,
                                 &cursors[topic]);
    }
    assert_true(numbers > 800);
}

static void test_retention_is_bounded_and_keeps_the_last(void **state) {
    struct fixture *f = *state;
    struct store_config config = {.ballast_bytes = 4096, .readings_keep_us = 100 * 1000000LL};
    assert_int_equal(store_open(f->dir, &config, &f->store, &f->err), 0);
    int64_t handle = 0;
    assert_int_equal(store_point_handle(f->store, "s", "p", "m", &handle, &f->err), 0);
    for (unsigned i = 1; i <= 50; i++) {
        struct reading reading = reading_of(i, i, i);
        assert_int_equal(store_append_reading(f->store, handle, &reading), 0);
    }
    assert_int_equal(store_commit(f->store, &f->err), 0);
    bool more = false;
    assert_int_equal(store_retain(f->store, at(120).utc, 10, &more, &f->err), 0);
    assert_true(more);
    assert_int_equal(store_retain(f->store, at(120).utc, 10, &more, &f->err), 0);
    struct collected c = {0};
    assert_int_equal(
        store_read_readings(f->store, handle, at(0).utc, at(22).utc, 8, collect_reading, &c), 0);
    assert_int_equal(c.count, 2); /* 20 and 21: not older than the limit */
    for (int i = 0; i < 9; i++)
        assert_int_equal(store_retain(f->store, at(9999).utc, 10, &more, &f->err), 0);
    assert_false(more);
    c.count = 0;
    assert_int_equal(
        store_read_readings(f->store, handle, at(0).utc, at(99).utc, 8, collect_reading, &c), 0);
    assert_int_equal(c.count, 1);
    assert_int_equal(kept[0].seq, 50);
}

/* ---- files that must not be opened ---- */

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void refuse(struct fixture *f, int code, const char *words) {
    struct store *store = NULL;
    int result = store_open(f->dir, &small, &store, &f->err);
    assert_null(store);
    assert_int_equal(result, code);
    if (!strstr(f->err.text, words))
        fail_msg("'%s' does not say '%s'", f->err.text, words);
}

static void fill(struct fixture *f, unsigned inputs) {
    char bytes[512];
    memset(bytes, 'j', sizeof bytes);
    for (unsigned i = 1; i <= inputs; i++)
        assert_int_equal(store_append_journal(f->store, i, at(i), bytes, sizeof bytes), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    f->store = store_close(f->store);
}

static void test_newer_schema_is_refused(void **state) {
    struct fixture *f = *state;
    open_it(f);
    f->store = store_close(f->store);
    run_sql(f->db, "PRAGMA user_version=99");
    refuse(f, ERR_UNSUPPORTED, "newer version (schema 99");
}

static void test_foreign_and_damaged_files_are_refused(void **state) {
    struct fixture *f = *state;
    run_sql(f->db, "CREATE TABLE people(name)");
    refuse(f, ERR_CORRUPT, "not canhbaod's");
    unlink(f->db);

    FILE *file = fopen(f->db, "w");
    for (int i = 0; i < 3000; i++)
        fputs("not a database ", file);
    fclose(file);
    refuse(f, ERR_CORRUPT, "not a database");
    unlink(f->db);

    open_it(f);
    fill(f, 200);
    struct stat info;
    assert_int_equal(stat(f->db, &info), 0);
    assert_int_equal(truncate(f->db, info.st_size / 2), 0);
    refuse(f, ERR_CORRUPT, "canhbao.db");
    assert_int_equal(truncate(f->db, 0), 0);
    refuse(f, ERR_CORRUPT, "empty or gone");
    unlink(f->db);
    refuse(f, ERR_CORRUPT, "empty or gone");
    unlink(f->ballast);
    unlink(f->db);
    open_it(f);
    fill(f, 200);
    int raw = open(f->db, O_WRONLY);
    char noise[4096];
    memset(noise, 0x5a, sizeof noise);
    assert_int_equal(stat(f->db, &info), 0);
    for (off_t page = 1; page < info.st_size / 4096; page += 3)
        assert_int_equal(pwrite(raw, noise, sizeof noise, page * 4096), 4096);
    close(raw);
    refuse(f, ERR_CORRUPT, "canhbao.db");
}

static void test_one_process_at_a_time(void **state) {
    struct fixture *f = *state;
    open_it(f);
    refuse(f, ERR_BUSY, "locked");
    assert_int_equal(store_open("/nonexistent", NULL, &f->store, &f->err), ERR_IO);
}

/* ---- the disk is full ---- */

/* Fills the disk or the file's bound with readings; then alerts must still be committed. */
static void survive_full(struct fixture *f) {
    int64_t handle = 0;
    assert_int_equal(store_point_handle(f->store, "s", "p", "m", &handle, &f->err), 0);
    struct store_status status = {0};
    uint64_t number = 1;
    char id[32], body[2048];
    memset(body, 'b', sizeof body - 1);
    body[sizeof body - 1] = 0;
    unsigned alerts = 0;
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < 100; i++, number++) {
            struct reading reading = reading_of(number, 1, (int64_t)number);
            int result = store_append_reading(f->store, handle, &reading);
            assert_true(result == 0 || result == ERR_BUSY);
        }
        if (round % 4 == 0) {
            snprintf(id, sizeof id, "alert-%u", alerts++);
            struct kafka_message message = message_of(KAFKA_TOPIC_ALERT, "k", id, body);
            assert_int_equal(store_append_event(f->store, &message, "k", "r"), 0);
        }
        if (store_commit(f->store, &f->err) != 0)
            fail_msg("round %d: %s", round, f->err.text);
    }
    store_status(f->store, &status);
    assert_true(status.conditions & STORE_DISK_FULL);
    struct collected c = {0};
    int64_t last = store_events_last(f->store);
    assert_int_equal(last, alerts);
    struct outbox_ref refs[16];
    assert_true(list(f->store, KAFKA_TOPIC_ALERT, refs) > 0);
    assert_int_equal(status.outbox_rows, alerts);
    (void)c;
    assert_int_equal(store_check(f->store, &f->err), 0);
}

static void test_full_file_sheds_history_not_alerts(void **state) {
    struct fixture *f = *state;
    struct store_config config = {.ballast_bytes = 4096, .file_bytes_max = 1 << 20};
    assert_int_equal(store_open(f->dir, &config, &f->store, &f->err), 0);
    survive_full(f);
    struct store_status status;
    store_status(f->store, &status);
    assert_true(status.file_bytes <= 1 << 20);
}

static void test_full_disk_sheds_history_not_alerts(void **state) {
    struct fixture *f = *state;
    if (mount("tmpfs", f->dir, "tmpfs", 0, "size=12m") != 0) {
        print_message("SKIPPED: full_disk: may not mount a tmpfs\n");
        skip();
    }
    struct store_config config = {.ballast_bytes = 4 << 20};
    int opened = store_open(f->dir, &config, &f->store, &f->err);
    /* Another program fills the disk. */
    char path[96];
    snprintf(path, sizeof path, "%s/hog", f->dir);
    int hog = open(path, O_WRONLY | O_CREAT, 0600);
    char block[65536] = {1};
    while (write(hog, block, sizeof block) > 0)
        ;
    close(hog);
    if (opened == 0)
        survive_full(f);
    /* Room again: the ballast comes back and the condition goes. */
    unlink(path);
    bool more = false;
    int retained = opened == 0 ? store_retain(f->store, at(1).utc, 10, &more, &f->err) : -1;
    struct store_status status = {0};
    if (opened == 0)
        store_status(f->store, &status);
    bool ballast = access(f->ballast, F_OK) == 0;
    f->store = store_close(f->store);
    assert_int_equal(umount(f->dir), 0);
    assert_int_equal(opened, 0);
    assert_int_equal(retained, 0);
    assert_true(ballast);
    assert_false(status.conditions & STORE_DISK_FULL);
}

/* ---- SIGKILL at any moment ---- */

/* Every transaction writes: journal input n, event n, reading n, alarm state n; so whatever is
 * found after a kill, the four must agree. Reports every finished commit on a pipe. */
static void write_until_killed(const char *dir, int pipe_end) {
    struct store *store = NULL;
    struct err err;
    if (store_open(dir, &small, &store, &err) != 0)
        _exit(2);
    int64_t handle = 0;
    if (store_point_handle(store, "s", "p", "m", &handle, &err) != 0)
        _exit(3);
    for (uint64_t n = store_journal_last(store) + 1;; n++) {
        char id[32], body[600];
        snprintf(id, sizeof id, "e%llu", (unsigned long long)n);
        memset(body, 'x', sizeof body);
        snprintf(body, sizeof body, "body of %s", id);
        struct kafka_message message = message_of(KAFKA_TOPIC_ALERT, "k", id, body);
        struct reading reading = reading_of(n, (double)n, (int64_t)n);
        bool more = false;
        if (store_append_journal(store, n, at((int64_t)n), body, sizeof body) != 0 ||
            store_append_event(store, &message, "k", "r") != 0 ||
            store_append_reading(store, handle, &reading) != 0 ||
            store_put_alarm_state(store, "k", "r", n, body, strlen(body)) != 0 ||
            store_commit(store, &err) != 0)
            _exit(4);
        if (n % 7 == 0 && store_save_snapshot(store, n, at((int64_t)n).utc, body, 600, &err) != 0)
            _exit(5);
        if (n % 5 == 0 && store_retain(store, at((int64_t)n).utc, 20, &more, &err) != 0)
            _exit(6);
        if (write(pipe_end, &n, sizeof n) != sizeof n)
            _exit(7);
    }
}

static int count_journal(void *user, uint64_t number, struct moment now, const void *bytes,
                         size_t length) {
    (void)now, (void)bytes, (void)length;
    *(uint64_t *)user = number;
    return 0;
}

static int last_state(void *user, const char *place, const char *rule, uint64_t revision,
                      const void *body, size_t length) {
    (void)place, (void)rule, (void)body, (void)length;
    *(uint64_t *)user = revision;
    return 0;
}

static void test_killed_at_any_moment(void **state) {
    struct fixture *f = *state;
    uint64_t acknowledged = 0;
    srand(20251119);
    for (int round = 0; round < 25; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            write_until_killed(f->dir, ends[1]);
        }
        close(ends[1]);
        /* Kill somewhere inside the commit that follows a random one. */
        uint64_t n = 0, commits = 1 + (uint64_t)rand() % 20;
        for (uint64_t i = 0; i < commits; i++)
            if (read(ends[0], &n, sizeof n) == sizeof n)
                acknowledged = n;
        usleep((useconds_t)(rand() % 6000)); /* not a wait: the random moment itself */
        kill(child, SIGKILL);
        while (read(ends[0], &n, sizeof n) == sizeof n)
            acknowledged = n;
        int status = 0;
        waitpid(child, &status, 0);
        close(ends[0]);
        assert_true(WIFSIGNALED(status)); /* it did not end by an error of its own */

        open_it(f); /* checks the file */
        uint64_t last = store_journal_last(f->store), journal = 0, revision = 0, seq = 0;
        assert_true(last == acknowledged || last == acknowledged + 1);
        assert_int_equal(store_read_journal(f->store, 0, count_journal, &journal), 0);
        assert_int_equal(journal, last);
        assert_int_equal(store_events_last(f->store), (int64_t)last);
        assert_int_equal(store_read_alarm_states(f->store, last_state, &revision), 0);
        assert_int_equal(revision, last);
        assert_int_equal(store_station_seq(f->store, "s", &seq), 0);
        assert_int_equal(seq, last);
        struct store_status counts;
        store_status(f->store, &counts);
        assert_int_equal(counts.outbox_rows, (int64_t)last);
        f->store = store_close(f->store);
    }
    assert_true(acknowledged > 25);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_group_is_invisible_until_committed),
                                       TEST(test_outbox_keeps_order_and_forgets_delivered),
                                       TEST(test_event_id_stands_for_its_bytes),
                                       TEST(test_readings_come_back_as_they_were),
                                       TEST(test_journal_and_snapshots),
                                       TEST(test_state_audit_meta),
                                       TEST(test_group_is_bounded),
                                       TEST(test_observations_are_shed_oldest_first),
                                       TEST(test_messages_of_memory_and_file_are_the_same),
                                       TEST(test_retention_is_bounded_and_keeps_the_last),
                                       TEST(test_newer_schema_is_refused),
                                       TEST(test_foreign_and_damaged_files_are_refused),
                                       TEST(test_one_process_at_a_time),
                                       TEST(test_full_file_sheds_history_not_alerts),
                                       TEST(test_full_disk_sheds_history_not_alerts),
                                       TEST(test_killed_at_any_moment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
