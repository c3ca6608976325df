/* The HTTP interface: read-only views as JSON, metrics, and the operator's page. libmicrohttpd
 * driven by the daemon's loop, so that a view is built on the loop's thread from the live state
 * without locks.
 *
 * GET and HEAD; POST for commands. A POST needs a bearer token in the header Authorization and the
 * content type application/json, and an Origin, if there is one, must be this server: a page of
 * another site can send neither, and no cookie or password is remembered that it could ride on.
 * Binds to loopback unless the configuration names another address; reading needs no
 * authentication, so another address belongs behind a proxy that has one.
 * Bounded: connections, bytes of a request, seconds of an idle connection.
 * Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_WEB_WEB_H
#define CANHBAO_DAEMON_WEB_WEB_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"

/* Where commands are posted to. */
#define WEB_COMMAND_PATH "/api/v1/command"

struct web_config {
    char host[64]; /* numeric address to bind to */
    uint16_t port; /* 0: any free one, see web_port() */
    uint32_t connections_max;
};

struct web_reply {
    unsigned status; /* HTTP status */
    const char *content_type;
    char *body; /* from malloc(); the web layer frees it */
    size_t length;
};

/* Fills ret_reply for a path (without query). ERR_NOT_FOUND for a path that does not exist,
 * ERR_MEMORY. `query_of` gives a query argument's text or NULL. */
struct web_query;
const char *web_query_get(const struct web_query *query, const char *name);
struct web_host {
    void *ctx;
    int (*get)(void *ctx, const char *path, const struct web_query *query,
               struct web_reply *ret_reply);
    /* A JSON body with the bearer token of the request (NULL: none). ERR_DENIED: not with this
     * token. */
    int (*post)(void *ctx, const char *token, const char *body, size_t length,
                struct web_reply *ret_reply);
};

struct web;

int web_create(struct loop *loop, const struct web_config *config, const struct web_host *host,
               struct web **ret_web, struct err *ret_err);
struct web *web_destroy(struct web *web);
uint16_t web_port(const struct web *web);

#endif
