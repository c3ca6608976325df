/* CAP messages of committed events: which event gets one, what it refers to, where it applies.
 *
 * The key is the incident; without one, place and rule. ce_sequence counts the messages of this
 * node. What was never published (a draft that was not approved) has no end to tell. One chain per
 * alarm (rule, place). The newest message of each chain is kept in the store's meta records ("cap/"
 * and a hash of place and rule), written in the same group as the message itself, so that after a
 * crash the chain stands where the last commit left it. Areas take the outer ring of each of their
 * polygons (holes are warned too); one of more than CAP_POSITIONS_MAX positions in all goes without
 * (description and geocode remain). Thread rule: loop thread. */
#ifndef CANHBAO_DAEMON_BULLETINS_H
#define CANHBAO_DAEMON_BULLETINS_H

#include "alerts/kafka.h"
#include "alerts/message/cap.h"
#include "daemon/engine.h"
#include "daemon/release_areas.h"
#include "daemon/store/store.h"

struct bulletins;

struct bulletins_options {
    struct store *store;
    const struct engine_site *site; /* constant while the bulletins live */
    const char *source;             /* ce_source, and CAP's sender */
    const char *name_vi, *name_en;  /* senderName */
    struct message_context messages;
    int32_t utc_offset_min;
    const struct release_areas *areas; /* of gas alarms; may be NULL */
};

/* ERR_MEMORY; ERR_IO, ERR_SYNTAX: an area's file changed since the configuration was checked. */
int bulletins_create(const struct bulletins_options *options, struct bulletins **ret_bulletins,
                     struct err *ret_err);
struct bulletins *bulletins_destroy(struct bulletins *bulletins); /* NULL is fine; returns NULL */

/* The message of an event; its pointers hold until the next call. `replay`: the event may have had
 * its message before. ERR_INVALID: this event gets none (also: its
 * rule is internal), or had it. ERR_LIMIT: it cannot be
 * written.
 */
int bulletins_write(struct bulletins *bulletins, const struct event *event, bool replay,
                    struct kafka_message *ret_message);
/* The message that was written last has been appended: the chain goes on from it. */
int bulletins_appended(struct bulletins *bulletins);

#endif
