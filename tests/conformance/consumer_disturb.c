#include <stdlib.h>
#include <string.h>

#include "tests/conformance/consumer_disturb.h"

enum { REPEATED_MAX = 3, TRIES = 50 };

struct order {
    const struct consumer_log *log;
    size_t *list;
    size_t length, room;
    uint64_t random;
};

static const struct kafka_message *at(const struct order *order, size_t position) {
    return &order->log->messages[order->list[position]].message;
}

static bool same_key(const struct kafka_message *a, const struct kafka_message *b) {
    return a->topic == b->topic && strcmp(a->key, b->key) == 0;
}

static void take_away(struct order *order, size_t position) {
    order->length--;
    memmove(&order->list[position], &order->list[position + 1],
            (order->length - position) * sizeof order->list[0]);
}

static bool has_later(const struct order *order, size_t position) {
    for (size_t i = position + 1; i < order->length; i++) {
        if (same_key(at(order, i), at(order, position))) {
            return true;
        }
    }
    return false;
}

/* A producer that lost its answers sends again what it is not sure of, in order. */
static bool repeat(struct order *order, struct disturbances *done) {
    size_t newest = (size_t)consumer_random(&order->random, order->length);
    size_t found[REPEATED_MAX];
    size_t count = 0;
    size_t wanted = 1 + (size_t)consumer_random(&order->random, REPEATED_MAX);
    if (order->length + wanted > order->room) {
        return false;
    }
    for (size_t i = newest + 1; i-- > 0 && count < wanted;) {
        if (same_key(at(order, i), at(order, newest))) {
            found[count++] = order->list[i];
        }
    }
    size_t gap = newest + 1;
    memmove(&order->list[gap + count], &order->list[gap],
            (order->length - gap) * sizeof order->list[0]);
    for (size_t i = 0; i < count; i++) {
        order->list[gap + i] = found[count - 1 - i];
    }
    order->length += count;
    done->repeated++;
    return true;
}

static bool exchange(struct order *order, struct disturbances *done) {
    size_t position = (size_t)consumer_random(&order->random, order->length - 1);
    if (same_key(at(order, position), at(order, position + 1))) {
        return false;
    }
    size_t first = order->list[position];
    order->list[position] = order->list[position + 1];
    order->list[position + 1] = first;
    done->exchanged++;
    return true;
}

static bool compact(struct order *order, struct disturbances *done) {
    size_t position = (size_t)consumer_random(&order->random, order->length);
    const struct kafka_message *message = at(order, position);
    if (message->topic != KAFKA_TOPIC_ALERT_STATE || !has_later(order, position)) {
        return false;
    }
    take_away(order, position);
    done->compacted++;
    return true;
}

/* A tombstone is kept for a while only; then nothing tells of its key. */
static bool forget(struct order *order, struct disturbances *done) {
    size_t position = (size_t)consumer_random(&order->random, order->length);
    const struct kafka_message tombstone = *at(order, position);
    if (tombstone.topic != KAFKA_TOPIC_ALERT_STATE || tombstone.body != NULL ||
        has_later(order, position)) {
        return false;
    }
    for (size_t i = order->length; i-- > 0;) {
        if (same_key(at(order, i), &tombstone)) {
            take_away(order, i);
        }
    }
    done->vanished++;
    return true;
}

static bool lose_heartbeat(struct order *order, struct disturbances *done) {
    size_t position = (size_t)consumer_random(&order->random, order->length);
    if (at(order, position)->topic != KAFKA_TOPIC_HEALTH || !has_later(order, position)) {
        return false;
    }
    take_away(order, position);
    done->missing++;
    return true;
}

int consumer_disturb(const struct consumer_log *log, uint64_t seed, uint64_t count,
                     size_t **ret_order, size_t *ret_length, struct disturbances *ret_done) {
    /* Repetitions and exchanges are what happens most. */
    static bool (*const kinds[])(struct order *, struct disturbances *) = {
        repeat,   repeat,  repeat,  exchange,       exchange, exchange,
        exchange, compact, compact, lose_heartbeat, forget};
    struct order order = {.log = log, .random = seed * 2 + 1};
    struct disturbances done = {0};
    order.room = log->count + REPEATED_MAX * (size_t)count + 1;
    order.list = calloc(order.room, sizeof *order.list);
    if (order.list == NULL || log->count < 2) {
        free(order.list);
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < log->count; i++) {
        order.list[order.length++] = i;
    }
    for (uint64_t i = 0; i < count; i++) {
        size_t kind = (size_t)consumer_random(&order.random, sizeof kinds / sizeof kinds[0]);
        bool did = false;
        for (int t = 0; t < TRIES && !did; t++) {
            did = kinds[kind](&order, &done);
        }
        while (!did) { /* nothing of this kind is left to do */
            did = exchange(&order, &done);
        }
    }
    *ret_order = order.list;
    *ret_length = order.length;
    *ret_done = done;
    return 0;
}
