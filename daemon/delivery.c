#include "daemon/delivery.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { IDLE_US = 100000 };

struct delivery {
    struct loop *loop;
    struct kafka *kafka;
    struct outbox *outbox;
    struct loop_timer timer;
    atomic_bool woken; /* a post is on its way */
    int error;
};

static void serve(struct delivery *delivery) {
    delivery->error = outbox_service(delivery->outbox, clock_wire(loop_clock(delivery->loop)));
    loop_timer_start_in(&delivery->timer, IDLE_US);
}

static void on_due(void *ctx) {
    serve(ctx);
}

static void on_post(void *ctx) {
    struct delivery *delivery = ctx;
    atomic_store(&delivery->woken, false);
    serve(delivery);
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

struct delivery *delivery_destroy(struct delivery *delivery, int flush_ms) {
    if (delivery != NULL) {
        loop_timer_finish(&delivery->timer);
        (void)outbox_destroy(delivery->outbox);
        (void)kafka_destroy(delivery->kafka, flush_ms);
        free(delivery);
    }
    return NULL;
}

void delivery_wake(struct delivery *delivery) {
    serve(delivery);
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
