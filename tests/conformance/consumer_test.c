#include "tests/conformance/consumer_test.h"

#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/text.h"
#include "tests/conformance/consumer_disturb.h"

enum { STEPS = 150, REPORTS = 256, DEADLINE_S = 120 };

/* The whole view of a consumer that keeps the contract. */
static json_t *expected_of(const struct consumer_log *log, int64_t now_us) {
    json_t *states = json_object();
    json_t *sent = json_object();
    json_t *ignored = json_object();
    char now[32], heartbeat[32] = "";
    for (size_t i = 0; i < log->count; i++) {
        const struct consumer_message *one = &log->messages[i];
        const struct kafka_message *message = &one->message;
        if (message->topic == KAFKA_TOPIC_ALERT_STATE && message->body == NULL) {
            (void)json_object_del(states, message->key);
        } else if (message->topic == KAFKA_TOPIC_ALERT_STATE) {
            json_object_set_new(states, message->key,
                                json_loadb(message->body, message->body_len, 0, NULL));
        } else if (message->topic == KAFKA_TOPIC_CAP) {
            const char *why = !one->public_text           ? "status"
                              : one->expires_us <= now_us ? "expired"
                                                          : NULL;
            json_object_set_new(why == NULL ? sent : ignored, message->id,
                                json_string(why == NULL ? one->sms : why));
        } else if (message->topic == KAFKA_TOPIC_HEALTH) {
            text_format_time(message->time.us, heartbeat, sizeof heartbeat);
        }
    }
    text_format_time(now_us, now, sizeof now);
    return json_pack("{s:s,s:o,s:o,s:o,s:{s:s}}", "now", now, "states", states, "sms", sent,
                     "ignored", ignored, "heartbeats", "conformance", heartbeat);
}

static int write_expected(const char *path, const struct consumer_log *log, int64_t now_us,
                          struct err *ret_err) {
    json_t *expected = expected_of(log, now_us);
    int failed = json_dump_file(expected, path, JSON_SORT_KEYS | JSON_INDENT(1));
    json_decref(expected);
    return failed == 0 ? 0 : err_set(ret_err, ERR_IO, "%s cannot be written", path);
}

static void on_wake(void *user) {
    (void)user; /* reports are asked for below */
}

/* Takes the reports that are there; counts failures. */
static size_t take_reports(struct kafka *kafka, size_t *ret_failed) {
    struct kafka_report reports[REPORTS];
    size_t count = kafka_poll(kafka, reports, REPORTS);
    for (size_t i = 0; i < count; i++) {
        *ret_failed += reports[i].result != KAFKA_DELIVERED;
    }
    return count;
}

static int64_t seconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return now.tv_sec;
}

static int publish(const struct options *options, const struct consumer_log *log,
                   const size_t *order, size_t length, struct err *ret_err) {
    const struct kafka_config config = {.brokers = options->consumer_test,
                                        .client_id = "canhbao-sim",
                                        .topic_prefix = options->topic_prefix,
                                        .create_topics = true};
    struct kafka *kafka = NULL;
    size_t sent = 0, reported = 0, failed = 0;
    int result = kafka_create(&config, on_wake, NULL, &kafka, ret_err);
    int64_t deadline_s = seconds_now() + DEADLINE_S;
    while (result == 0 && reported < length) {
        int code = 0;
        while (code == 0 && sent < length && sent - reported < REPORTS) {
            code = kafka_send(kafka, &log->messages[order[sent]].message, sent + 1);
            sent += code == 0;
        }
        size_t came = take_reports(kafka, &failed);
        reported += came;
        if ((code != 0 && code != ERR_BUSY) || failed > 0 || seconds_now() > deadline_s) {
            result = err_set(ret_err, ERR_IO, "%zu of %zu messages reached %s", reported - failed,
                             length, options->consumer_test);
        } else if (came == 0) {
            (void)poll(NULL, 0, 5); /* the library's threads work meanwhile */
        }
    }
    (void)kafka_destroy(kafka, 1000);
    return result;
}

static int load_site(const char *dir, struct site **ret_site, struct err *ret_err) {
    static struct config_errors errors;
    struct units *units = NULL;
    int result = units_create(&units, ret_err);
    if (result == 0 && site_load(dir, units, ret_site, &errors) != 0) {
        result = err_set(ret_err, ERR_INVALID, "%s: %s", dir,
                         errors.count > 0 ? errors.items[0].text : "no site");
    }
    (void)units_destroy(units);
    return result;
}

int consumer_test_run(const struct options *options, struct err *ret_err) {
    struct site *site = NULL;
    struct consumer_log log = {.count = 0};
    struct disturbances done = {0};
    size_t *order = NULL;
    size_t length = 0;
    int result = load_site(options->config, &site, ret_err);
    result = result == 0 ? consumer_log_make(site, options->seed, STEPS, &log, ret_err) : result;
    /* Late enough that some messages have expired, early enough that some have not. */
    int64_t now_us = log.from_us + (log.to_us - log.from_us) / 5 * 4;
    if (result == 0) {
        result =
            consumer_disturb(&log, options->seed, options->disturbances, &order, &length, &done);
    }
    if (result == 0 && options->expect_file != NULL) {
        result = write_expected(options->expect_file, &log, now_us, ret_err);
    }
    result = result == 0 ? publish(options, &log, order, length, ret_err) : result;
    if (result == 0) {
        printf("canhbao-sim: %zu messages of %zu, %" PRIu64 " disturbances: %" PRIu64
               " repeated, %" PRIu64 " exchanged, %" PRIu64 " compacted, %" PRIu64
               " tombstones gone, %" PRIu64 " heartbeats missing\n",
               length, log.count,
               done.repeated + done.exchanged + done.compacted + done.vanished + done.missing,
               done.repeated, done.exchanged, done.compacted, done.vanished, done.missing);
    }
    free(order);
    consumer_log_finish(&log);
    (void)site_destroy(site);
    return result;
}
