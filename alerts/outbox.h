/* Delivery of committed messages to Kafka, at least once and in order per key.
 *
 * The queue is a table of the store; this module is the window over it. It lists rows, hands them
 * to the producer (alerts/kafka.h), waits for the broker's acknowledgement and asks the store to
 * mark them. Of one topic and key at most ONE row is in flight, so no failure, retry or rebuilt
 * producer can put a later row before an earlier one. Each topic has a window of its own: a topic
 * that the broker refuses never holds up another one.
 *
 * A failed row is sent again after a pause, for ever: same id, same bytes. After a fatal error of
 * the producer, a timeout or a purge the producer is destroyed and made anew, and everything
 * unmarked is sent again in order.
 *
 * Memory: TOPIC_COUNT * OUTBOX_WINDOW small records; bodies stay in the store until they are sent.
 * Thread rule: one thread, the one that owns the store. */
#ifndef CANHBAO_ALERTS_OUTBOX_H
#define CANHBAO_ALERTS_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alerts/kafka.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"

enum { OUTBOX_WINDOW = 512 };

/* A row waiting for delivery. `key_hash` is hash_spread(key). */
struct outbox_ref {
    int64_t row;
    uint64_t key_hash;
};

/* Where the rows come from. All functions return 0 or an error code and are called only from
 * outbox_service(). */
struct outbox_source {
    void *user;
    /* Committed, unmarked rows of a topic with row > after, in ascending order. */
    int (*list)(void *user, enum kafka_topic topic, int64_t after, struct outbox_ref *ret_refs,
                size_t max, size_t *ret_count);
    /* The message of a row; its pointers hold until the next call of any of these functions.
     * ERR_NOT_FOUND: the row was shed meanwhile. */
    int (*read)(void *user, int64_t row, struct kafka_message *ret_message);
    /* The broker has them all. Need not be durable at once: an unmarked row is sent again after a
     * restart, with the same id. ERR_LIMIT, ERR_BUSY: asked again at the next service. */
    int (*mark)(void *user, const int64_t *rows, size_t count);
};

struct outbox_status {
    uint64_t sent;                     /* rows handed to a producer, resends included */
    uint64_t delivered;                /* rows acknowledged by the broker */
    uint64_t failed;                   /* reports of failure; each row is tried again */
    size_t in_flight;                  /* rows handed over and not reported yet */
    size_t waiting[KAFKA_TOPIC_COUNT]; /* rows of the window that are not acknowledged */
    int64_t oldest_us; /* how long the oldest of these has been in the window; 0: none */
    bool failing[KAFKA_TOPIC_COUNT]; /* the last report of this topic was a failure */
};

struct outbox;

/* Borrows kafka and the source's user. */
int outbox_create(const struct outbox_source *source, struct kafka *kafka,
                  struct outbox **ret_outbox);
struct outbox *outbox_destroy(struct outbox *outbox);

/* One round: takes delivery reports, marks, rebuilds the producer when it is broken, lists new rows
 * and sends. Bounded work. `now_us`: real monotonic time (clock_wire). Call it after every commit
 * that appended messages, when the producer wakes, and at least every 100 ms. Returns the first
 * error of the source (delivery goes on with the next call), else 0. */
int outbox_service(struct outbox *outbox, struct mono_us now);

/* Rows handed over and not reported yet. */
size_t outbox_in_flight(const struct outbox *outbox);

void outbox_status(const struct outbox *outbox, struct mono_us now,
                   struct outbox_status *ret_status);

#endif
