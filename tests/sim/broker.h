/* A Kafka-protocol broker for demos and tests: librdkafka's mock cluster with one broker.
 *
 * It keeps a few megabytes a partition in memory and nothing on disk, neither compacts nor
 * deduplicates: it shows that messages flow, it proves nothing about duplicates or durability.
 *
 * librdkafka 2.0.2 binds the mock broker to a free port of its own choice and advertises that port,
 * so a forwarder in front of it would not do. Therefore broker.c defines bind(): while
 * broker_start() runs, the library's request for "any port" gets the wanted one; at all other times
 * it is the plain system call. Thread rule: broker_start() while no other thread of ours runs. */
#ifndef CANHBAO_SIM_BROKER_H
#define CANHBAO_SIM_BROKER_H

#include <stdint.h>

#include "daemon/base/err.h"

struct broker;

/* port 0: any free one. The topics of the project exist at once (alert-state with one partition).
 */
int broker_start(uint16_t port, struct broker **ret_broker, struct err *ret_err);
/* "127.0.0.1:PORT" */
const char *broker_bootstrap(const struct broker *broker);
void broker_stop(struct broker *broker);

#endif
