/* Delivery against librdkafka's mock cluster, which injects errors but does not deduplicate: what
 * is asserted here is order per key, loss and recovery. Duplicates are judged against a real broker
 * (tests/integration). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alerts/outbox.h"
#include "daemon/store/store.h"

enum { DEADLINE_S = 300, SEEN_MAX = 8192, KEYS = 5 };

struct seen {
    char topic[48];
    char key[32];
    char id[32];
};

struct fixture {
    char dir[64];
    struct store *store;
    struct kafka *kafka;
    struct outbox *outbox;
    struct outbox_source source;
    rd_kafka_t *host; /* of the mock cluster: it must outlive our producers */
    rd_kafka_mock_cluster_t *cluster;
    rd_kafka_t *consumer;
    struct seen seen[SEEN_MAX];
    size_t seen_count;
    rd_kafka_message_t *last; /* the newest message consumed */
    pthread_mutex_t lock;
    pthread_cond_t woken;
    unsigned wakes;
    struct err err;
};

static void on_wake(void *user) {
    struct fixture *f = user;
    pthread_mutex_lock(&f->lock);
    f->wakes++;
    pthread_cond_signal(&f->woken);
    pthread_mutex_unlock(&f->lock);
}

static struct mono_us now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct mono_us){(int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000};
}

static void start_delivery(struct fixture *f, const char *brokers) {
    struct kafka_config config = {.brokers = brokers, .message_timeout_ms = 20000};
    if (kafka_create(&config, on_wake, f, &f->kafka, &f->err) != 0)
        fail_msg("%s", f->err.text);
    f->source = store_outbox_source(f->store);
    assert_int_equal(outbox_create(&f->source, f->kafka, &f->outbox), 0);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->woken, NULL);
    strcpy(f->dir, "/tmp/canhbao-outbox-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    struct store_config config = {.ballast_bytes = 4096};
    assert_int_equal(store_open(f->dir, &config, &f->store, &f->err), 0);
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    f->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(f->host);
    f->cluster = rd_kafka_mock_cluster_new(f->host, 1);
    assert_non_null(f->cluster);
    *state = f;
    return 0;
}

static void start_consumer(struct fixture *f) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(f->cluster), text,
                      sizeof text);
    rd_kafka_conf_set(conf, "group.id", "test", text, sizeof text);
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    f->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(f->consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(3);
    const enum kafka_topic topics[] = {KAFKA_TOPIC_ALERT, KAFKA_TOPIC_ALERT_STATE,
                                       KAFKA_TOPIC_OBSERVATION};
    for (int i = 0; i < 3; i++)
        for (int partition = 0; partition < 2; partition++)
            rd_kafka_topic_partition_list_add(list, kafka_topic_name(f->kafka, topics[i]),
                                              partition)
                ->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(f->consumer, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
}

static int teardown(void **state) {
    struct fixture *f = *state;
    if (f->last)
        rd_kafka_message_destroy(f->last);
    if (f->consumer)
        rd_kafka_destroy(f->consumer);
    outbox_destroy(f->outbox);
    kafka_destroy(f->kafka, 0);
    if (f->cluster)
        rd_kafka_mock_cluster_destroy(f->cluster);
    rd_kafka_destroy(f->host);
    store_close(f->store);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    int result = system(command);
    free(f);
    return result;
}

static void make_topics(struct fixture *f, int partitions) {
    static const char *const names[] = {"canhbao.alert.v1", "canhbao.alert-state.v1",
                                        "canhbao.observation.v1"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(rd_kafka_mock_topic_create(f->cluster, names[i], partitions, 1), 0);
}

/* Message n has key n % KEYS and id "n". */
static void put(struct fixture *f, enum kafka_topic topic, unsigned first, unsigned count) {
    for (unsigned n = first; n < first + count; n++) {
        char key[16], id[16];
        snprintf(key, sizeof key, "k%u", n % KEYS);
        snprintf(id, sizeof id, "%u", n);
        struct kafka_message message = {.topic = topic,
                                        .key = key,
                                        .id = id,
                                        .type = "test",
                                        .source = "//unit",
                                        .body = id,
                                        .body_len = strlen(id)};
        assert_int_equal(store_append_outbox(f->store, &message), 0);
    }
    assert_int_equal(store_commit(f->store, &f->err), 0);
}

static void serve(struct fixture *f) {
    assert_int_equal(outbox_service(f->outbox, now()), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 20000000; /* the timer that a loop would run */
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&f->lock);
    if (f->wakes == 0)
        pthread_cond_timedwait(&f->woken, &f->lock, &until);
    f->wakes = 0;
    pthread_mutex_unlock(&f->lock);
}

static int64_t waiting(struct fixture *f) {
    struct store_status status;
    store_status(f->store, &status);
    return status.outbox_rows;
}

/* Serves until `rows` are left in the store. */
static void serve_until(struct fixture *f, int64_t rows) {
    int64_t end = now().us + DEADLINE_S * 1000000LL;
    while (waiting(f) > rows) {
        if (now().us > end)
            fail_msg("%lld rows still wait", (long long)waiting(f));
        serve(f);
    }
}

/* Consumes until `distinct` different messages came. */
static void consume(struct fixture *f, size_t distinct) {
    if (!f->consumer)
        start_consumer(f);
    int64_t end = now().us + DEADLINE_S * 1000000LL;
    size_t found = 0;
    while (found < distinct) {
        if (now().us > end)
            fail_msg("%zu of %zu messages came", found, distinct);
        rd_kafka_message_t *message = rd_kafka_consumer_poll(f->consumer, 100);
        if (!message)
            continue;
        if (message->err) {
            rd_kafka_message_destroy(message);
            continue;
        }
        if (f->last)
            rd_kafka_message_destroy(f->last);
        f->last = message;
        assert_true(f->seen_count < SEEN_MAX);
        struct seen *seen = &f->seen[f->seen_count];
        snprintf(seen->topic, sizeof seen->topic, "%s", rd_kafka_topic_name(message->rkt));
        snprintf(seen->key, sizeof seen->key, "%.*s", (int)message->key_len,
                 (const char *)message->key);
        rd_kafka_headers_t *headers = NULL;
        const void *value = NULL;
        size_t size = 0;
        assert_int_equal(rd_kafka_message_headers(message, &headers), 0);
        assert_int_equal(rd_kafka_header_get_last(headers, "ce_id", &value, &size), 0);
        snprintf(seen->id, sizeof seen->id, "%.*s", (int)size, (const char *)value);
        bool again = false;
        for (size_t i = 0; i < f->seen_count && !again; i++)
            again =
                strcmp(f->seen[i].topic, seen->topic) == 0 && strcmp(f->seen[i].id, seen->id) == 0;
        f->seen_count += !again; /* a consumer drops doubles by their id */
        found += !again;
    }
}

/* Per topic and key the ids ascend. */
static void check_order(const struct fixture *f) {
    for (size_t i = 0; i < f->seen_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(f->seen[i].key, f->seen[j].key) == 0 &&
                strcmp(f->seen[i].topic, f->seen[j].topic) == 0)
                assert_true(atoi(f->seen[i].id) > atoi(f->seen[j].id));
}

static const char *header(const rd_kafka_message_t *message, const char *name) {
    rd_kafka_headers_t *headers = NULL;
    const void *value = NULL;
    size_t size = 0;
    if (rd_kafka_message_headers(message, &headers) != 0 ||
        rd_kafka_header_get_last(headers, name, &value, &size) != 0)
        return NULL;
    return value;
}

static void test_message_arrives_as_cloudevent(void **state) {
    struct fixture *f = *state;
    make_topics(f, 1);
    start_delivery(f, rd_kafka_mock_cluster_bootstraps(f->cluster));
    struct kafka_message message = {.topic = KAFKA_TOPIC_ALERT_STATE,
                                    .key = "thanh-hoa/stage",
                                    .id = "abc",
                                    .type = "canhbao.alert-state.v1",
                                    .source = "//binh-dinh/canhbaod",
                                    .time = {1763532000250000},
                                    .sequence = 12,
                                    .exercise = true,
                                    .body = "{}",
                                    .body_len = 2};
    assert_int_equal(store_append_outbox(f->store, &message), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    serve_until(f, 0);
    consume(f, 1);
    assert_int_equal(f->last->len, 2);
    assert_memory_equal(f->last->payload, "{}", 2);
    assert_string_equal(f->seen[0].key, "thanh-hoa/stage");
    assert_string_equal(f->seen[0].topic, "canhbao.alert-state.v1");
    assert_string_equal(header(f->last, "ce_specversion"), "1.0");
    assert_string_equal(header(f->last, "ce_id"), "abc");
    assert_string_equal(header(f->last, "ce_source"), "//binh-dinh/canhbaod");
    assert_string_equal(header(f->last, "ce_type"), "canhbao.alert-state.v1");
    assert_string_equal(header(f->last, "ce_time"), "2025-11-19T06:00:00.250Z");
    assert_string_equal(header(f->last, "ce_sequence"), "00000000000000000012");
    assert_string_equal(header(f->last, "ce_exercise"), "true");
    assert_string_equal(header(f->last, "content-type"), "application/json; charset=utf-8");

    message.id = "gone";
    message.body = NULL;
    message.body_len = 0;
    message.sequence = 0;
    message.exercise = false;
    assert_int_equal(store_append_outbox(f->store, &message), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    serve_until(f, 0);
    consume(f, 1);
    assert_null(f->last->payload); /* a tombstone */
    assert_null(header(f->last, "content-type"));
    assert_null(header(f->last, "ce_exercise"));
    assert_null(header(f->last, "ce_sequence"));
    struct kafka_status status;
    kafka_status(f->kafka, &status);
    assert_true(status.connected);
    assert_int_equal(status.builds, 1);
}

static void test_many_rows_pass_a_bounded_window(void **state) {
    struct fixture *f = *state;
    make_topics(f, 2);
    start_delivery(f, rd_kafka_mock_cluster_bootstraps(f->cluster));
    put(f, KAFKA_TOPIC_ALERT, 0, 1000);
    put(f, KAFKA_TOPIC_OBSERVATION, 0, 1000);
    struct outbox_status status;
    for (int i = 0; i < 5; i++) {
        serve(f);
        outbox_status(f->outbox, now(), &status);
        assert_true(status.waiting[KAFKA_TOPIC_ALERT] <= OUTBOX_WINDOW);
        assert_true(status.in_flight <= 2 * KEYS); /* one for each topic and key */
    }
    serve_until(f, 0);
    consume(f, 2000);
    check_order(f);
    outbox_status(f->outbox, now(), &status);
    assert_int_equal(status.sent, 2000);
    assert_int_equal(status.delivered, 2000);
    assert_int_equal(status.oldest_us, 0);
}

static void test_refused_messages_are_tried_again_in_order(void **state) {
    struct fixture *f = *state;
    make_topics(f, 1);
    start_delivery(f, rd_kafka_mock_cluster_bootstraps(f->cluster));
    put(f, KAFKA_TOPIC_ALERT, 0, KEYS);
    serve_until(f, 0);
    /* One request under way at a time: the mock takes a batch although it refused the one before,
     * which a broker would not, and the library concludes from the later one that the earlier one
     * arrived as well. */
    const rd_kafka_resp_err_t refusals[] = {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                            RD_KAFKA_RESP_ERR_INVALID_RECORD,
                                            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT};
    unsigned next = KEYS;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        rd_kafka_mock_push_request_errors(f->cluster, 0 /* Produce */, 1, refusals[i]);
        put(f, KAFKA_TOPIC_ALERT, next++, 1);
        serve_until(f, 0);
    }
    put(f, KAFKA_TOPIC_ALERT, next, 50 + KEYS - next);
    serve_until(f, 0);
    consume(f, 50 + KEYS);
    check_order(f);
    struct outbox_status status;
    outbox_status(f->outbox, now(), &status);
    assert_true(status.failed > 0);
    assert_false(status.failing[KAFKA_TOPIC_ALERT]);
}

static void test_fatal_producer_is_rebuilt(void **state) {
    struct fixture *f = *state;
    make_topics(f, 1);
    start_delivery(f, rd_kafka_mock_cluster_bootstraps(f->cluster));
    for (unsigned round = 0; round < 3; round++) {
        put(f, KAFKA_TOPIC_ALERT, round * 100, 100);
        serve(f); /* some are on their way now */
        rd_kafka_test_fatal_error(kafka_test_handle(f->kafka),
                                  RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "injected");
        serve_until(f, 0);
        struct kafka_status status;
        kafka_status(f->kafka, &status);
        assert_int_equal(status.builds, round + 2);
        assert_false(kafka_is_broken(f->kafka));
    }
    consume(f, 300);
    check_order(f);

    /* Noticed without anything to send, too. */
    rd_kafka_test_fatal_error(kafka_test_handle(f->kafka),
                              RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "injected");
    struct kafka_status status;
    int64_t end = now().us + DEADLINE_S * 1000000LL;
    do {
        serve(f);
        kafka_status(f->kafka, &status);
    } while (status.builds < 5 && now().us < end);
    assert_int_equal(status.builds, 5);
}

static void test_broker_away_and_back(void **state) {
    struct fixture *f = *state;
    make_topics(f, 1);
    start_delivery(f, rd_kafka_mock_cluster_bootstraps(f->cluster));
    put(f, KAFKA_TOPIC_ALERT, 0, 20);
    serve_until(f, 0);
    rd_kafka_mock_broker_set_down(f->cluster, 1);
    put(f, KAFKA_TOPIC_ALERT, 20, 300);
    struct kafka_status status;
    int64_t end = now().us + DEADLINE_S * 1000000LL;
    do {
        serve(f);
        kafka_status(f->kafka, &status);
    } while (status.connected && now().us < end);
    assert_false(status.connected); /* seen without any delivery failing */
    assert_true(status.last_error[0] != 0);
    assert_int_equal(waiting(f), 300);
    rd_kafka_mock_broker_set_up(f->cluster, 1);
    serve_until(f, 0);
    kafka_status(f->kafka, &status);
    assert_true(status.connected);
    consume(f, 320);
    check_order(f);
}

static void test_refused_topic_does_not_hold_up_others(void **state) {
    struct fixture *f = *state;
    make_topics(f, 1);
    rd_kafka_mock_topic_set_error(f->cluster, "canhbao.observation.v1",
                                  RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    start_delivery(f, rd_kafka_mock_cluster_bootstraps(f->cluster));
    put(f, KAFKA_TOPIC_OBSERVATION, 0, 2 * OUTBOX_WINDOW);
    put(f, KAFKA_TOPIC_ALERT, 0, 400);
    serve_until(f, 2 * OUTBOX_WINDOW);
    consume(f, 400);
    check_order(f);
    struct outbox_status status;
    int64_t end = now().us + DEADLINE_S * 1000000LL;
    do {
        serve(f);
        outbox_status(f->outbox, now(), &status);
    } while (!status.failing[KAFKA_TOPIC_OBSERVATION] && now().us < end);
    assert_true(status.failing[KAFKA_TOPIC_OBSERVATION]);
    assert_false(status.failing[KAFKA_TOPIC_ALERT]);
    assert_int_equal(waiting(f), 2 * OUTBOX_WINDOW);
}

static void test_runs_without_broker(void **state) {
    struct fixture *f = *state;
    rd_kafka_mock_cluster_destroy(f->cluster);
    f->cluster = NULL;
    start_delivery(f, "127.0.0.1:1");
    put(f, KAFKA_TOPIC_ALERT, 0, 1000);
    struct kafka_message beat = {.topic = KAFKA_TOPIC_HEALTH,
                                 .key = "node",
                                 .id = "h",
                                 .type = "t",
                                 .source = "s",
                                 .body = "{}",
                                 .body_len = 2};
    struct kafka_status status;
    for (int i = 0; i < 30; i++)
        (void)kafka_send_ephemeral(f->kafka, &beat);
    int64_t end = now().us + DEADLINE_S * 1000000LL;
    do {
        serve(f);
        kafka_status(f->kafka, &status);
    } while (status.errors == 0 && now().us < end);
    assert_true(status.errors > 0);
    assert_false(status.connected);
    assert_int_equal(status.ephemeral_sent, 8);
    assert_int_equal(status.ephemeral_lost, 22);
    struct outbox_status window;
    outbox_status(f->outbox, now(), &window);
    assert_int_equal(window.waiting[KAFKA_TOPIC_ALERT], OUTBOX_WINDOW);
    assert_int_equal(window.in_flight, KEYS);
    assert_true(window.oldest_us > 0);
    assert_int_equal(waiting(f), 1000);
}

static void test_shed_rows_leave_the_window(void **state) {
    struct fixture *f = *state;
    make_topics(f, 1);
    start_delivery(f, rd_kafka_mock_cluster_bootstraps(f->cluster));
    put(f, KAFKA_TOPIC_ALERT, 0, 20);
    struct outbox_ref refs[20];
    size_t count = 0;
    struct outbox_source source = f->source;
    assert_int_equal(source.list(source.user, KAFKA_TOPIC_ALERT, 0, refs, 20, &count), 0);
    assert_int_equal(outbox_service(f->outbox, now()), 0); /* lists all, sends the first of a key */
    int64_t gone[] = {refs[7].row, refs[12].row};
    assert_int_equal(source.mark(source.user, gone, 2), 0);
    assert_int_equal(store_commit(f->store, &f->err), 0);
    serve_until(f, 0);
    consume(f, 18);
    check_order(f);
}

static void test_bad_settings_are_refused(void **state) {
    struct fixture *f = *state;
    struct kafka *kafka = NULL;
    struct kafka_config config = {.brokers = ""};
    assert_int_equal(kafka_create(&config, on_wake, f, &kafka, &f->err), ERR_INVALID);
    config.brokers = "127.0.0.1:1";
    config.security_protocol = "telepathy";
    assert_int_equal(kafka_create(&config, on_wake, f, &kafka, &f->err), ERR_INVALID);
    assert_non_null(strstr(f->err.text, "security.protocol"));
    config.security_protocol = "sasl_plaintext";
    config.sasl_mechanism = "PLAIN";
    config.sasl_username = "lan";
    config.sasl_password_file = "/nonexistent/password";
    assert_int_equal(kafka_create(&config, on_wake, f, &kafka, &f->err), ERR_IO);
    assert_non_null(strstr(f->err.text, "/nonexistent/password"));
    char path[96];
    snprintf(path, sizeof path, "%s/password", f->dir);
    FILE *file = fopen(path, "w");
    fclose(file);
    config.sasl_password_file = path;
    assert_int_equal(kafka_create(&config, on_wake, f, &kafka, &f->err), ERR_IO); /* empty */
    file = fopen(path, "w");
    fputs("open sesame\n", file);
    fclose(file);
    assert_int_equal(kafka_create(&config, on_wake, f, &kafka, &f->err), 0);
    char value[64];
    size_t size = sizeof value;
    assert_int_equal(
        rd_kafka_conf_get(rd_kafka_conf(kafka_test_handle(kafka)), "sasl.password", value, &size),
        RD_KAFKA_CONF_OK);
    assert_string_equal(value, "open sesame"); /* without the line break */
    /* a credential that is gone when the producer is made anew: told, and tried again later */
    struct kafka_status status;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(kafka_rebuild(kafka, NULL), ERR_IO);
    assert_true(kafka_is_broken(kafka));
    kafka_status(kafka, &status);
    assert_non_null(strstr(status.last_error, path));
    assert_false(status.connected);
    kafka_destroy(kafka, 0);
    kafka = NULL;
    file = fopen(path, "w");
    fputs("open sesame\n", file);
    fclose(file);
    config.sasl_mechanism = "SMILE";
    assert_int_equal(kafka_create(&config, on_wake, f, &kafka, &f->err), ERR_INVALID);
    assert_null(strstr(f->err.text, "sesame"));
    assert_null(kafka);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_message_arrives_as_cloudevent),
                                       TEST(test_many_rows_pass_a_bounded_window),
                                       TEST(test_refused_messages_are_tried_again_in_order),
                                       TEST(test_fatal_producer_is_rebuilt),
                                       TEST(test_broker_away_and_back),
                                       TEST(test_refused_topic_does_not_hold_up_others),
                                       TEST(test_runs_without_broker),
                                       TEST(test_shed_rows_leave_the_window),
                                       TEST(test_bad_settings_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
