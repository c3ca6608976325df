/* Commands over Kafka: takes records of the command topic, has them carried out on the same path as
 * those of the control socket, and answers each on the reply topic.
 *
 * A command (deploy/schemas/command.v1.json) is a request of the control protocol with an id, the
 * name of who gives it, and an expiry; the actor is recorded as "kafka:NAME". What cannot be read
 * is answered too, as far as its id can be made out. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_COMMAND_FEED_H
#define CANHBAO_DAEMON_COMMAND_FEED_H

#include "alerts/kafka.h"
#include "daemon/desk.h"

struct command_feed;

struct command_feed_options {
    struct loop *loop;
    const struct kafka_config *kafka; /* used during the call */
    struct desk *desk;                /* borrowed */
    const char *source;               /* ce_source of the replies; borrowed */
};

int command_feed_create(const struct command_feed_options *options, struct command_feed **ret_feed,
                        struct err *ret_err);
struct command_feed *command_feed_destroy(struct command_feed *feed); /* NULL is fine */

/* One record's body as a request. ERR_SYNTAX, ERR_INVALID, ERR_NOT_FOUND, ERR_LIMIT, ERR_DENIED
 * (not a command) with a sentence; `ret_id` and `ret_actor` are filled as far as they could be
 * read. Pure. */
int command_feed_parse(const char *body, size_t length, struct control_request *ret_request,
                       char ret_id[ID_TEXT_SIZE], char ret_actor[COMMAND_ACTOR_SIZE],
                       struct err *ret_err);

#endif
