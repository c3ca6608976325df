/* The control socket: accepts local peers, names them by their kernel credentials, checks their
 * role, answers requests of protocol.h and feeds followers with events.
 *
 * Roles: root and the daemon's own user are operators; members of `operators_group` too; members of
 * `viewers_group` may look. Anybody else is refused. Group membership is asked from the system's
 * user database once per connection. Bounded: clients, bytes per request, bytes waiting per client;
 * a follower that does not keep up is dropped (it reconnects and asks for events after the last one
 * that it saw). Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_CONTROL_CONTROL_H
#define CANHBAO_DAEMON_CONTROL_CONTROL_H

#include <jansson.h>

#include "daemon/base/loop.h"
#include "daemon/control/protocol.h"

struct control_config {
    char path[108];           /* of the socket; its folder must exist */
    char operators_group[64]; /* empty: none */
    char viewers_group[64];   /* empty: none */
    uint32_t clients_max;
};

/* Answers one request of an authenticated actor whose role suffices. Returns a new reference to the
 * data, or NULL with the reason in ret_err. */
struct control_host {
    void *ctx;
    json_t *(*answer)(void *ctx, const struct control_request *request, const char *actor,
                      struct err *ret_err);
};

struct control;

int control_create(struct loop *loop, const struct control_config *config,
                   const struct control_host *host, struct control **ret_control,
                   struct err *ret_err);
struct control *control_destroy(struct control *control);

/* Sends one event (a JSON object's text) with its number to every follower. */
void control_publish(struct control *control, int64_t number, const char *event_json);

/* Counters for the metrics. */
struct control_counters {
    uint64_t requests, refused, dropped_followers;
    uint32_t clients;
};
struct control_counters control_counters(const struct control *control);

#endif
