/* Delivery on the loop: serves the outbox whenever there is something to do, sends the heartbeat.
 * Starts and runs without a broker. Thread rule: loop thread only (the producer's own threads only
 * wake it through loop_post). */
#ifndef CANHBAO_DAEMON_DELIVERY_H
#define CANHBAO_DAEMON_DELIVERY_H

#include "alerts/outbox.h"
#include "daemon/base/loop.h"
#include "daemon/store/store.h"

struct delivery;

int delivery_create(struct loop *loop, struct store *store, const struct kafka_config *config,
                    struct delivery **ret_delivery, struct err *ret_err);
/* Gives messages in flight up to `flush_ms`; what has no report then is sent again at the next
 * start. */
struct delivery *delivery_destroy(struct delivery *delivery, int flush_ms);

/* Call after every commit that may have added messages. */
void delivery_wake(struct delivery *delivery);
/* Call every some seconds: sees to the topics. */
void delivery_tend_topics(struct delivery *delivery);
/* A heartbeat; may be dropped when the broker is away. */
void delivery_heartbeat(struct delivery *delivery, const struct kafka_message *message);

const struct outbox *delivery_outbox(const struct delivery *delivery);
const struct kafka *delivery_kafka(const struct delivery *delivery);
/* The newest error of the outbox's source (the store); 0: none. */
int delivery_error(const struct delivery *delivery);

#endif
