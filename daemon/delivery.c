#include "daemon/delivery.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    IDLE_US = 100000,
    BUSY_ROWS = 32, /* with so many in flight reports come one after another, and ... */
    BUSY_US = 2000, /* ... are taken together: each service costs a turn of the loop, and what it
                       sends one of the producer's threads */
    DRAIN_PAUSE_NS = 2000000
};

struct delivery {
    struct loop *loop;
    struct store *store;
    struct kafka *kafka;
    struct outbox *outbox;
    struct loop_timer timer;
    atomic_bool woken; /* a post is on its way, or the service that it asked for */
    int error;
};

static void serve(struct delivery *delivery) {
    atomic_store(&delivery->woken, false);
    delivery->error = outbox_service(delivery->outbox, clock_wire(loop_clock(delivery->loop)));
    loop_timer_start_in(&delivery->timer, IDLE_US);
}

static void on_due(void *ctx) {
    serve(ctx);
}

static void on_post(void *ctx) {
    struct delivery *delivery = ctx;
    if (outbox_in_flight(delivery->outbox) < BUSY_ROWS) {
        serve(delivery);
    } else {
        loop_timer_start_in(&delivery->timer, BUSY_US); /* no other post comes before it */
    }
}

/* From the producer's threads. */
static void on_wake(void *ctx) {
    struct delivery *delivery = ctx;
    if (!atomic_exchange(&delivery->woken, true) &&
        loop_post(delivery->loop, on_post, delivery) != 0) {
        atomic_store(&delivery->woken, false); /* the timer comes anyway */
    }
}

int delivery_create(struct loop *loop, struct store *store, const struct kafka_config *config,
                    struct delivery **ret_delivery, struct err *ret_err) {
    struct delivery *delivery = calloc(1, sizeof *delivery);
    if (delivery == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the delivery");
    }
    delivery->loop = loop;
    delivery->store = store;
    atomic_init(&delivery->woken, false);
    struct outbox_source source = store_outbox_source(store);
    int result = kafka_create(config, on_wake, delivery, &delivery->kafka, ret_err);
    if (result == 0 &&
        (outbox_create(&source, delivery->kafka, &delivery->outbox) != 0 ||
         loop_timer_init(loop, LOOP_WIRE, on_due, delivery, &delivery->timer) != 0)) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for the delivery");
    }
    if (result != 0) {
        (void)delivery_destroy(delivery, 0);
        return result;
    }
    loop_timer_start_in(&delivery->timer, 0);
    *ret_delivery = delivery;
    return 0;
}

/* Waits for what is in flight, so that the next start need not send it again. */
static void drain(struct delivery *delivery, int flush_ms) {
    const struct clock *clock = loop_clock(delivery->loop);
    const struct timespec pause = {.tv_nsec = DRAIN_PAUSE_NS};
    int64_t end_us = clock_wire(clock).us + (int64_t)flush_ms * 1000;
    struct outbox_status status;
    struct kafka_status broker;
    struct err err;
    do {
        (void)outbox_service(delivery->outbox, clock_wire(clock)); /* what fails is sent again */
        outbox_status(delivery->outbox, clock_wire(clock), &status);
        kafka_status(delivery->kafka, &broker);
        if (status.in_flight > 0) {
            (void)nanosleep(&pause,
                            NULL); /* the end of the process: the loop does not run any more */
        }
    } while (status.in_flight > 0 && broker.connected && clock_wire(clock).us < end_us);
    (void)store_commit(delivery->store, &err); /* marks that are lost only make doubles */
}

struct delivery *delivery_destroy(struct delivery *delivery, int flush_ms) {
    if (delivery != NULL) {
        loop_timer_finish(&delivery->timer);
        if (delivery->outbox != NULL && flush_ms > 0) {
            drain(delivery, flush_ms);
        }
        (void)outbox_destroy(delivery->outbox);
        (void)kafka_destroy(delivery->kafka, 0);
        free(delivery);
    }
    return NULL;
}

void delivery_wake(struct delivery *delivery) {
    serve(delivery);
}

void delivery_tend_topics(struct delivery *delivery) {
    kafka_tend_topics(delivery->kafka);
}

void delivery_heartbeat(struct delivery *delivery, const struct kafka_message *message) {
    (void)kafka_send_ephemeral(delivery->kafka, message); /* may be dropped; kafka counts it */
}

const struct outbox *delivery_outbox(const struct delivery *delivery) {
    return delivery->outbox;
}

const struct kafka *delivery_kafka(const struct delivery *delivery) {
    return delivery->kafka;
}

int delivery_error(const struct delivery *delivery) {
    return delivery->error;
}
