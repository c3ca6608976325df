/* Writes alarms through the real store and delivers them through the real outbox and producer, with
 * nothing else of the daemon: what the delivery tests start, stop and kill.
 *
 *   delivery_driver DIR BROKER PREFIX GROUPS_PER_S
 *
 * A group is one alert event, its alarm state and one observation, of one of eight places in turn,
 * committed together; fewer where the disk does not keep up. It goes on where the store in DIR
 * ends. Prints "committed N" after every 50th group and once a second "delivered N waiting M
 * connected 0|1 builds B". A line "stop" on standard input (or its end) ends the writing; the
 * program then serves until the outbox is empty and exits 0, or 1 after DRAIN_S seconds. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alerts/outbox.h"
#include "daemon/base/text.h"
#include "daemon/store/store.h"

enum { PLACES = 8, DRAIN_S = 400, REPORT_EVERY = 50, SERVICE_MS = 20, GROUPS_AT_ONCE = 10 };

struct driver {
    struct store *store;
    struct kafka *kafka;
    struct outbox *outbox;
    int wake[2];
};

static void on_wake(void *user) {
    const struct driver *driver = user;
    ssize_t written = write(driver->wake[1], "w", 1);
    (void)written; /* a full pipe wakes too */
}

static int64_t now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int die(const char *what, const struct err *err) {
    (void)fprintf(stderr, "delivery_driver: %s: %s\n", what, err->text);
    return 2;
}

/* Group n: everything in it follows from n, so that a second life writes what the first would. */
static int write_group(struct driver *driver, uint64_t n) {
    char place[32], key[48], id[32], state_id[32], observation_id[32], body[256], readings[128];
    unsigned long long number = n;
    uint64_t sequence = (n - 1) / PLACES + 1;
    (void)snprintf(place, sizeof place, "place-%llu", number % PLACES);
    (void)snprintf(key, sizeof key, "%s/stage", place);
    (void)snprintf(id, sizeof id, "event-%llu", number);
    (void)snprintf(state_id, sizeof state_id, "state-%llu", number);
    (void)snprintf(observation_id, sizeof observation_id, "observation-%llu", number);
    (void)snprintf(body, sizeof body, "{\"id\":\"%s\",\"place\":\"%s\",\"sequence\":%llu}", id,
                   place, (unsigned long long)sequence);
    (void)snprintf(readings, sizeof readings,
                   "{\"station\":\"%s\",\"requalified\":false,\"readings\":[{\"seq\":%llu}]}",
                   place, (unsigned long long)sequence);
    struct kafka_message message = {.topic = KAFKA_TOPIC_ALERT,
                                    .key = place,
                                    .id = id,
                                    .type = "canhbao.alert.v1",
                                    .source = "//driver",
                                    .time = {1763532000000000 + (int64_t)n},
                                    .sequence = sequence,
                                    .body = body,
                                    .body_len = strlen(body)};
    struct moment moment = {{(int64_t)n}, message.time};
    struct err err = {0};
    int result = store_append_journal(driver->store, n, moment, body, strlen(body));
    if (result == 0)
        result = store_append_event(driver->store, &message, place, "stage");
    if (result == 0)
        result = store_put_alarm_state(driver->store, place, "stage", sequence, body, strlen(body));
    message.topic = KAFKA_TOPIC_ALERT_STATE;
    message.key = key;
    message.id = state_id;
    message.type = "canhbao.alert-state.v1";
    if (result == 0)
        result = store_append_outbox(driver->store, &message);
    message.topic = KAFKA_TOPIC_OBSERVATION;
    message.key = place;
    message.id = observation_id;
    message.type = "canhbao.observation.v1";
    message.body = readings;
    message.body_len = strlen(readings);
    if (result == 0)
        result = store_append_outbox(driver->store, &message);
    if (result == 0)
        result = store_commit(driver->store, &err);
    return result == 0 ? 0 : die("group", &err);
}

static int serve(struct driver *driver) {
    struct err err = {0};
    int result = outbox_service(driver->outbox, (struct mono_us){now_us()});
    if (result == 0)
        result = store_commit(driver->store, &err);
    return result == 0 ? 0 : die("service", &err);
}

static int64_t report(struct driver *driver) {
    struct outbox_status window;
    struct kafka_status kafka;
    struct store_status store;
    outbox_status(driver->outbox, (struct mono_us){now_us()}, &window);
    kafka_status(driver->kafka, &kafka);
    store_status(driver->store, &store);
    (void)printf("delivered %llu waiting %lld connected %d builds %llu\n",
                 (unsigned long long)window.delivered, (long long)store.outbox_rows,
                 kafka.connected, (unsigned long long)kafka.builds);
    return store.outbox_rows;
}

/* Waits for a wake, for a line of standard input or for `timeout_ms`; true: stop writing. */
static bool wait_for_work(struct driver *driver, int timeout_ms, bool listening) {
    char bytes[256];
    struct pollfd files[] = {{.fd = driver->wake[0], .events = POLLIN},
                             {.fd = STDIN_FILENO, .events = POLLIN}};
    if (poll(files, listening ? 2 : 1, timeout_ms) <= 0)
        return false;
    if (files[0].revents && read(driver->wake[0], bytes, sizeof bytes) < 0)
        return false; /* woken by something else */
    return listening && files[1].revents != 0;
}

static int run(struct driver *driver, double rate) {
    uint64_t next = store_journal_last(driver->store) + 1, first = next;
    int64_t start_us = now_us(), report_us = start_us, end_us = 0;
    int result = 0;
    while (result == 0) {
        int64_t now = now_us();
        /* A slow disk has its turns too, or what it is behind would grow with each of them. */
        for (int i = 0; i < GROUPS_AT_ONCE && end_us == 0 && result == 0 &&
                        (double)(next - first) < (double)(now - start_us) / 1e6 * rate;
             i++) {
            result = write_group(driver, next);
            if (next++ % REPORT_EVERY == 0)
                (void)printf("committed %llu\n", (unsigned long long)next - 1);
        }
        if (result == 0)
            result = serve(driver);
        struct store_status status;
        store_status(driver->store, &status);
        if (now >= report_us) {
            (void)report(driver);
            report_us = now + 1000000;
        }
        if (end_us != 0 && (status.outbox_rows == 0 || now > end_us))
            break;
        if (wait_for_work(driver, SERVICE_MS, end_us == 0))
            end_us = now + DRAIN_S * 1000000LL;
    }
    return result == 0 && report(driver) > 0 ? 1 : result;
}

int main(int argc, char **argv) {
    struct driver driver = {0};
    struct err err = {0};
    double rate = 0;
    if (argc != 5 || text_parse_double(argv[4], 0.1, 100000, &rate) != 0) {
        (void)fprintf(stderr, "usage: delivery_driver DIR BROKER PREFIX GROUPS_PER_S\n");
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    struct kafka_config config = {
        .brokers = argv[2], .topic_prefix = argv[3], .create_topics = true};
    if (pipe(driver.wake) != 0)
        return 2;
    if (store_open(argv[1], NULL, &driver.store, &err) != 0)
        return die("store", &err);
    if (kafka_create(&config, on_wake, &driver, &driver.kafka, &err) != 0)
        return die("kafka", &err);
    struct outbox_source source = store_outbox_source(driver.store);
    int result = outbox_create(&source, driver.kafka, &driver.outbox) == 0 ? run(&driver, rate) : 2;
    (void)outbox_destroy(driver.outbox);
    (void)kafka_destroy(driver.kafka, 0);
    (void)store_close(driver.store);
    return result;
}
