/* From a committed alert to the broker's acknowledgement, through store, outbox and producer:
 *   commit_to_ack   one alert at a time: append, commit (fsync included), deliver
 *   drain           a backlog of observations of 100 stations, as after an outage of the broker
 * Needs a real broker in CANHBAO_KAFKA (run starts one). The baseline of the first is the bare
 * producer in the same run: the same message handed to kafka_send() without store and outbox. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alerts/outbox.h"
#include "daemon/store/store.h"

enum { SAMPLES_MAX = 400, BACKLOG = 20000, STATIONS = 100, WAIT_S = 120 };

struct bench {
    char dir[64];
    struct store *store;
    struct kafka *kafka;
    struct outbox *outbox;
    int wake[2];
};

static void die(const char *what, const char *why) {
    (void)fprintf(stderr, "bench_delivery: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void on_wake(void *user) {
    const struct bench *bench = user;
    ssize_t written = write(bench->wake[1], "w", 1);
    (void)written; /* a full pipe wakes too */
}

static void wait_wake(struct bench *bench, int64_t end_us) {
    char bytes[64];
    struct pollfd file = {.fd = bench->wake[0], .events = POLLIN};
    if (now_us() > end_us)
        die("delivery", "nothing came back in time");
    if (poll(&file, 1, 100) > 0 && read(bench->wake[0], bytes, sizeof bytes) < 0)
        die("wake", "cannot be read");
}

static struct kafka_message make_message(enum kafka_topic topic, unsigned n, char id[32],
                                         char key[32]) {
    static char body[1500]; /* about the size of an alert with its evidence */
    memset(body, 'x', sizeof body);
    body[0] = '"';
    body[sizeof body - 1] = '"';
    (void)snprintf(id, 32, "%u-%u", (unsigned)topic, n);
    (void)snprintf(key, 32, "station-%u", n % STATIONS);
    return (struct kafka_message){.topic = topic,
                                  .key = key,
                                  .id = id,
                                  .type = "bench",
                                  .source = "//bench",
                                  .time = {1763532000000000},
                                  .body = body,
                                  .body_len = sizeof body};
}

/* Serves until the outbox is empty. */
static void drain(struct bench *bench) {
    struct store_status status;
    struct err err;
    int64_t end_us = now_us() + WAIT_S * 1000000LL;
    for (;;) {
        if (outbox_service(bench->outbox, (struct mono_us){now_us()}) != 0)
            die("outbox", "failed");
        if (store_commit(bench->store, &err) != 0)
            die("commit", err.text);
        store_status(bench->store, &status);
        if (status.outbox_rows == 0)
            return;
        wait_wake(bench, end_us);
    }
}

/* Until the acknowledgement, not until it is marked in the store. */
static double time_alert(struct bench *bench, unsigned n) {
    char id[32], key[32];
    struct err err;
    struct outbox_status status;
    struct kafka_message message = make_message(KAFKA_TOPIC_ALERT, n, id, key);
    outbox_status(bench->outbox, (struct mono_us){0}, &status);
    uint64_t before = status.delivered;
    int64_t start_us = now_us();
    if (store_append_event(bench->store, &message, key, "rule") != 0 ||
        store_commit(bench->store, &err) != 0)
        die("alert", "not taken");
    for (;;) {
        if (outbox_service(bench->outbox, (struct mono_us){now_us()}) != 0)
            die("outbox", "failed");
        outbox_status(bench->outbox, (struct mono_us){0}, &status);
        if (status.delivered > before)
            break;
        wait_wake(bench, start_us + WAIT_S * 1000000LL);
    }
    double elapsed_ms = (double)(now_us() - start_us) / 1e3;
    drain(bench);
    return elapsed_ms;
}

static double time_bare(struct bench *bench, unsigned n) {
    char id[32], key[32];
    struct kafka_report report;
    struct kafka_message message = make_message(KAFKA_TOPIC_ALERT, 1000000 + n, id, key);
    int64_t start_us = now_us();
    if (kafka_send(bench->kafka, &message, 1) != 0)
        die("bare", "not taken");
    while (kafka_poll(bench->kafka, &report, 1) == 0)
        wait_wake(bench, start_us + WAIT_S * 1000000LL);
    return (double)(now_us() - start_us) / 1e3;
}

static int compare(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static double time_backlog(struct bench *bench, unsigned rows) {
    char id[32], key[32];
    struct err err;
    for (unsigned n = 0; n < rows; n++) {
        struct kafka_message message = make_message(KAFKA_TOPIC_OBSERVATION, n, id, key);
        if (store_append_outbox(bench->store, &message) != 0 ||
            (n % 1000 == 999 && store_commit(bench->store, &err) != 0))
            die("backlog", "not taken");
    }
    if (store_commit(bench->store, &err) != 0)
        die("backlog", err.text);
    int64_t start_us = now_us();
    drain(bench);
    return rows / ((double)(now_us() - start_us) / 1e6);
}

static void report(const char *metric, const double *values, const double *bare, int count) {
    static const struct {
        const char *name;
        double share;
    } parts[] = {{"median", 0.5}, {"p99", 0.99}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        int at = (int)(parts[i].share * (count - 1));
        (void)printf("{\"bench\":\"delivery\",\"metric\":\"%s_%s\",\"value\":%.2f,\"unit\":\"ms\","
                     "\"baseline\":%.2f,\"ratio\":%.2f}\n",
                     metric, parts[i].name, values[at], bare[at], values[at] / bare[at]);
    }
}

int main(void) {
    const char *brokers = getenv("CANHBAO_KAFKA");
    bool smoke = getenv("CANHBAO_BENCH_SMOKE") != NULL;
    if (!brokers)
        die("CANHBAO_KAFKA", "names no broker; tests/bench/run starts one");
    struct bench bench = {.dir = "/tmp/canhbao-bench-XXXXXX"};
    struct err err;
    char prefix[64], command[96];
    (void)snprintf(prefix, sizeof prefix, "bench%lld.", (long long)now_us());
    struct kafka_config config = {
        .brokers = brokers, .topic_prefix = prefix, .create_topics = true};
    if (!mkdtemp(bench.dir) || pipe(bench.wake) != 0)
        die(bench.dir, "cannot be made");
    if (store_open(bench.dir, NULL, &bench.store, &err) != 0 ||
        kafka_create(&config, on_wake, &bench, &bench.kafka, &err) != 0)
        die("start", err.text);
    struct outbox_source source = store_outbox_source(bench.store);
    if (outbox_create(&source, bench.kafka, &bench.outbox) != 0)
        die("start", "no memory");
    int samples = smoke ? 20 : SAMPLES_MAX;
    static double alerts[SAMPLES_MAX], bare[SAMPLES_MAX];
    (void)time_alert(&bench, 999999); /* connects, makes the topic */
    for (int i = 0; i < samples; i++) {
        alerts[i] = time_alert(&bench, (unsigned)i);
        bare[i] = time_bare(&bench, (unsigned)i);
    }
    qsort(alerts, (size_t)samples, sizeof alerts[0], compare);
    qsort(bare, (size_t)samples, sizeof bare[0], compare);
    report("commit_to_ack", alerts, bare, samples);
    (void)printf("{\"bench\":\"delivery\",\"metric\":\"drain\",\"value\":%.0f,\"unit\":\"1/s\"}\n",
                 time_backlog(&bench, smoke ? 1000 : BACKLOG));
    (void)outbox_destroy(bench.outbox);
    (void)kafka_destroy(bench.kafka, 0);
    (void)store_close(bench.store);
    (void)snprintf(command, sizeof command, "rm -rf %s", bench.dir);
    return system(command) == 0 ? 0 : 1;
}
