/* A Kafka consumer of the command topic. Group "CLIENT_ID-commands" with one member under a fixed
 * name, so that a restart takes over at once. The position is stored after a command was handled:
 * one that was being handled when the process died comes again (commands have ids against that).
 *
 * Kafka does not tell a consumer who wrote a record: whoever may write to the topic may give
 * commands in any name. Access lists on the topic are the lock.
 *
 * Thread rule: one thread; `wake` is called from librdkafka's threads and must be safe for that. */
#ifndef CANHBAO_ALERTS_KAFKA_COMMANDS_H
#define CANHBAO_ALERTS_KAFKA_COMMANDS_H

#include "alerts/kafka.h"

/* Valid until the next call. */
struct kafka_record {
    const char *key; /* not terminated */
    size_t key_len;
    const char *body; /* not terminated; NULL: none */
    size_t body_len;
};

struct kafka_commands;

/* ERR_INVALID, ERR_IO as kafka_create(). Needs no reachable broker. */
int kafka_commands_create(const struct kafka_config *config, void (*wake)(void *user), void *user,
                          struct kafka_commands **ret_commands, struct err *ret_err);
struct kafka_commands *kafka_commands_destroy(struct kafka_commands *commands); /* NULL is fine */

/* The next record, without waiting; false: none now. The one before counts as handled. */
bool kafka_commands_next(struct kafka_commands *commands, struct kafka_record *ret_record);

#endif
