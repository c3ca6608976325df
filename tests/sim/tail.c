#include "tail.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>
#include <uthash.h>

#include "tail_event.h"

enum { METADATA_MS = 1000, POLL_MS = 100 };

struct seen {
    char id[TAIL_TEXT_MAX];
    UT_hash_handle hh;
};

struct hazard_count {
    char name[TAIL_TEXT_MAX];
    uint64_t events;
    uint64_t graded;
    long highest;
};

struct tail {
    const struct options *options;
    rd_kafka_t *client;
    bool assigned;
    bool told_waiting;
    struct seen *seen; /* in order of arrival */
    struct hazard_count hazards[TAIL_HAZARDS_MAX];
    size_t hazard_count;
    uint64_t taken;
    uint64_t unprinted; /* of those, see tail_brief */
    uint64_t duplicates;
    uint64_t unreadable;
};

static int make_client(struct tail *tail, struct err *ret_err) {
    char text[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const settings[][2] = {{"bootstrap.servers", tail->options->tail},
                                       {"group.id", "canhbao-sim-tail"},
                                       {"enable.auto.commit", "false"},
                                       {"auto.offset.reset", "earliest"},
                                       {"client.id", "canhbao-sim"},
                                       {"reconnect.backoff.max.ms", "1000"},
                                       {"log_level", "0"}};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) !=
            RD_KAFKA_CONF_OK) {
            rd_kafka_conf_destroy(conf);
            return err_set(ret_err, ERR_INVALID, "%s", text);
        }
    }
    tail->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (tail->client == NULL) {
        rd_kafka_conf_destroy(conf);
        return err_set(ret_err, ERR_IO, "%s", text);
    }
    (void)rd_kafka_poll_set_consumer(tail->client); /* fails only for a producer */
    return 0;
}

/* Takes all partitions from their beginning, once the topic can be seen. */
static void try_assign(struct tail *tail) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(tail->client, tail->options->tail_topic, NULL);
    if (topic != NULL && rd_kafka_metadata(tail->client, 0, topic, &metadata, METADATA_MS) ==
                             RD_KAFKA_RESP_ERR_NO_ERROR) {
        const struct rd_kafka_metadata_topic *found = &metadata->topics[0];
        if (metadata->topic_cnt == 1 && found->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
            found->partition_cnt > 0) {
            rd_kafka_topic_partition_list_t *list =
                rd_kafka_topic_partition_list_new(found->partition_cnt);
            for (int i = 0; i < found->partition_cnt; i++) {
                rd_kafka_topic_partition_list_add(list, tail->options->tail_topic,
                                                  found->partitions[i].id)
                    ->offset = RD_KAFKA_OFFSET_BEGINNING;
            }
            tail->assigned = rd_kafka_assign(tail->client, list) == RD_KAFKA_RESP_ERR_NO_ERROR;
            rd_kafka_topic_partition_list_destroy(list);
        }
    }
    if (metadata != NULL) {
        rd_kafka_metadata_destroy(metadata);
    }
    if (topic != NULL) {
        rd_kafka_topic_destroy(topic);
    }
    if (!tail->assigned && !tail->told_waiting) {
        tail->told_waiting = true;
        (void)fprintf(stderr, "canhbao-sim: waiting for topic %s on %s\n",
                      tail->options->tail_topic, tail->options->tail);
    }
}

/* The header ce_id; false when there is none. */
static bool header_id(const rd_kafka_message_t *message, char *ret_id) {
    rd_kafka_headers_t *headers = NULL;
    const void *value = NULL;
    size_t size = 0;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, "ce_id", &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        size == 0 || size >= TAIL_TEXT_MAX) {
        return false;
    }
    memcpy(ret_id, value, size);
    ret_id[size] = '\0';
    return true;
}

/* Remembers the id; true when it was known. */
static bool remember(struct tail *tail, const char *id) {
    struct seen *found = NULL;
    HASH_FIND_STR(tail->seen, id, found);
    if (found != NULL) {
        return true;
    }
    if (HASH_COUNT(tail->seen) >= TAIL_IDS_MAX) {
        struct seen *oldest = tail->seen;
        HASH_DEL(tail->seen, oldest);
        free(oldest);
    }
    struct seen *fresh = calloc(1, sizeof *fresh);
    if (fresh != NULL) {
        (void)snprintf(fresh->id, sizeof fresh->id, "%s", id); /* same size */
        HASH_ADD_STR(tail->seen, id, fresh);
    }
    return false;
}

static void count(struct tail *tail, const struct tail_event *event) {
    size_t i = 0;
    while (i < tail->hazard_count && strcmp(tail->hazards[i].name, event->hazard) != 0) {
        i++;
    }
    if (i == tail->hazard_count) {
        if (i == TAIL_HAZARDS_MAX || strcmp(event->hazard, "?") == 0) {
            return; /* an alert without a hazard's name counts for none */
        }
        (void)snprintf(tail->hazards[i].name, sizeof tail->hazards[i].name, "%s", event->hazard);
        tail->hazard_count++;
    }
    struct hazard_count *hazard = &tail->hazards[i];
    hazard->events++;
    if (event->has_level && event->level > 0) {
        hazard->graded++;
        hazard->highest = event->level > hazard->highest ? event->level : hazard->highest;
    }
}

static void take(struct tail *tail, const rd_kafka_message_t *message) {
    struct tail_event event;
    char id[TAIL_TEXT_MAX];
    char line[12 * TAIL_TEXT_MAX];
    if (message->payload == NULL || tail_event_parse(message->payload, message->len, &event) != 0) {
        tail->unreadable++;
        (void)fprintf(stderr,
                      "canhbao-sim: partition %" PRId32 " offset %" PRId64
                      ": no event (%zu bytes that are no JSON object)\n",
                      message->partition, message->offset, message->len);
        return;
    }
    if (!header_id(message, id)) {
        (void)snprintf(id, sizeof id, "%s", event.id); /* same size */
    }
    if (strcmp(id, "?") != 0 && remember(tail, id)) {
        tail->duplicates++;
        return;
    }
    count(tail, &event);
    tail->taken++;
    if (tail->options->tail_brief && !tail_event_is_news(&event)) {
        tail->unprinted++;
    } else if (tail->options->tail_json) {
        printf("%.*s\n", (int)message->len, (const char *)message->payload);
    } else {
        tail_event_line(&event, line, sizeof line);
        puts(line);
    }
    (void)fflush(stdout); /* a reader that is gone shows at exit */
}

static size_t summary(const struct tail *tail) {
    FILE *out = tail->options->tail_json ? stderr : stdout;
    size_t graded = 0;
    (void)fprintf(out,
                  "canhbao-sim: %" PRIu64 " alerts, %" PRIu64 " duplicates dropped, %" PRIu64
                  " unreadable\n",
                  tail->taken, tail->duplicates, tail->unreadable);
    if (tail->unprinted > 0) {
        (void)fprintf(out,
                      "canhbao-sim:   %" PRIu64 " of them changed no level and called nobody: "
                      "counted, not printed (--tail-brief)\n",
                      tail->unprinted);
    }
    for (size_t i = 0; i < tail->hazard_count; i++) {
        const struct hazard_count *hazard = &tail->hazards[i];
        graded += hazard->graded > 0;
        (void)fprintf(
            out, "canhbao-sim:   %s: %" PRIu64 " events, %" PRIu64 " graded, highest level %ld\n",
            hazard->name, hazard->events, hazard->graded, hazard->highest);
    }
    return graded;
}

static bool stopped(const sigset_t *signals, int64_t deadline_s) {
    const struct timespec none = {0, 0};
    struct timespec now;
    if (sigtimedwait(signals, NULL, &none) > 0) {
        return true;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return deadline_s > 0 && now.tv_sec >= deadline_s;
}

int tail_run(const struct options *options, struct err *ret_err) {
    struct tail tail = {.options = options};
    struct timespec now;
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL); /* before the client's threads start */
    int result = make_client(&tail, ret_err);
    if (result != 0) {
        return result;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t deadline_s = options->seconds > 0 ? now.tv_sec + options->seconds : 0;
    while (!stopped(&signals, deadline_s)) {
        if (!tail.assigned) {
            try_assign(&tail);
        }
        rd_kafka_message_t *message = rd_kafka_consumer_poll(tail.client, POLL_MS);
        if (message != NULL) {
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                take(&tail, message);
            }
            /* Errors (a broker that went away) are retried by the library. */
            rd_kafka_message_destroy(message);
        }
    }
    size_t graded = summary(&tail);
    (void)rd_kafka_consumer_close(tail.client); /* nothing to commit */
    rd_kafka_destroy(tail.client);
    struct seen *at, *next;
    HASH_ITER(hh, tail.seen, at, next) {
        HASH_DEL(tail.seen, at);
        free(at);
    }
    if (options->expect_hazards >= 0 && (int64_t)graded < options->expect_hazards) {
        return err_set(ret_err, ERR_NOT_FOUND, "graded alerts of %zu hazards; %lld were expected",
                       graded, (long long)options->expect_hazards);
    }
    if (tail.unreadable > 0) {
        return err_set(ret_err, ERR_CORRUPT, "%" PRIu64 " events could not be read",
                       tail.unreadable);
    }
    return 0;
}
