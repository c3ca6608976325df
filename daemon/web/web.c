#include "daemon/web/web.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/text.h"

enum {
    IDLE_TIMEOUT_S = 15,
    REQUEST_MEMORY_MAX = 32 * 1024,
    WAKE_MAX_US = 1000000,
    BODY_MAX = 8192
};

struct web {
    struct loop *loop;
    struct web_host host;
    struct MHD_Daemon *server;
    struct loop_watch *watch;
    struct loop_timer timer; /* libmicrohttpd's own time limits */
};

struct web_query {
    struct MHD_Connection *connection;
};

const char *web_query_get(const struct web_query *query, const char *name) {
    return MHD_lookup_connection_value(query->connection, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result send_body(struct MHD_Connection *connection, const struct web_reply *reply) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->length, reply->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(reply->body);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", reply->content_type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(response, "Content-Security-Policy",
                                  "default-src 'self'; style-src 'self' 'unsafe-inline'; "
                                  "script-src 'self' 'unsafe-inline'; frame-ancestors 'none'");
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_error(struct MHD_Connection *connection, unsigned status,
                                  const char *text) {
    struct web_reply reply = {.status = status, .content_type = "text/plain; charset=utf-8"};
    reply.body = strdup(text);
    if (reply.body == NULL) {
        return MHD_NO;
    }
    reply.length = strlen(text);
    return send_body(connection, &reply);
}

/* A body that is being received. */
struct web_body {
    bool too_long;
    size_t length;
    char bytes[BODY_MAX + 1];
};

static const char *header_of(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* The browser names the page's server; it must be the one that is asked. */
static bool is_own_origin(struct MHD_Connection *connection) {
    const char *origin = header_of(connection, "Origin");
    const char *host = header_of(connection, "Host");
    if (origin == NULL) {
        return true;
    }
    const char *authority = strstr(origin, "://");
    return authority != NULL && host != NULL && strcmp(authority + 3, host) == 0;
}

static enum MHD_Result answer(struct MHD_Connection *connection, int result,
                              const struct web_reply *reply) {
    switch (result) {
    case 0:
        return send_body(connection, reply);
    case ERR_NOT_FOUND:
        return send_error(connection, MHD_HTTP_NOT_FOUND, "no such page\n");
    case ERR_INVALID:
        return send_error(connection, MHD_HTTP_BAD_REQUEST, "a query argument is not valid\n");
    case ERR_DENIED:
        return send_error(connection, MHD_HTTP_UNAUTHORIZED,
                          "a bearer token of an operator is needed\n");
    default:
        return send_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                          "cannot build this page now\n");
    }
}

static enum MHD_Result on_post(struct web *web, struct MHD_Connection *connection, const char *url,
                               const struct web_body *body) {
    static const char scheme[] = "Bearer ";
    const char *type = header_of(connection, "Content-Type");
    const char *authorization = header_of(connection, "Authorization");
    const char *token = NULL;
    struct web_reply reply = {.status = MHD_HTTP_OK, .content_type = "application/json"};
    if (strcmp(url, WEB_COMMAND_PATH) != 0) {
        return send_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                          "commands are posted to " WEB_COMMAND_PATH "\n");
    }
    if (body->too_long) {
        return send_error(connection, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long\n");
    }
    if (type == NULL || strncasecmp(type, "application/json", 16) != 0) {
        return send_error(connection, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                          "expected application/json\n");
    }
    if (!is_own_origin(connection)) {
        return send_error(connection, MHD_HTTP_FORBIDDEN, "another origin\n");
    }
    if (authorization != NULL && strncmp(authorization, scheme, sizeof scheme - 1) == 0) {
        token = authorization + sizeof scheme - 1;
    }
    int result = web->host.post(web->host.ctx, token, body->bytes, body->length, &reply);
    return answer(connection, result, &reply);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request_ctx) {
    (void)version;
    struct web *web = ctx;
    if (*request_ctx == NULL) { /* the headers have been read, no more */
        *request_ctx = calloc(1, sizeof(struct web_body));
        return *request_ctx != NULL ? MHD_YES : MHD_NO;
    }
    struct web_body *body = *request_ctx;
    if (*upload_size != 0) { /* of what is too long the rest is read and thrown away */
        body->too_long = body->too_long || *upload_size > BODY_MAX - body->length;
        if (!body->too_long) {
            memcpy(body->bytes + body->length, upload, *upload_size);
            body->length += *upload_size;
        }
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_POST) == 0) {
        return on_post(web, connection, url, body);
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return send_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET, HEAD and POST\n");
    }
    struct web_query query = {.connection = connection};
    struct web_reply reply = {.status = MHD_HTTP_OK, .content_type = "application/json"};
    int result = web->host.get(web->host.ctx, url, &query, &reply);
    return answer(connection, result, &reply);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **request_ctx,
                         enum MHD_RequestTerminationCode code) {
    (void)ctx;
    (void)connection;
    (void)code;
    free(*request_ctx);
    *request_ctx = NULL;
}

static void run(struct web *web) {
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    (void)MHD_run(web->server); /* fails only when asked while a thread of its own runs */
    int64_t wait_us = WAKE_MAX_US;
    if (MHD_get_timeout(web->server, &timeout_ms) == MHD_YES && timeout_ms < WAKE_MAX_US / 1000) {
        wait_us = (int64_t)timeout_ms * 1000;
    }
    loop_timer_start_in(&web->timer, wait_us);
}

static void on_readable(void *ctx, int fd) {
    (void)fd;
    run(ctx);
}

static void on_timer(void *ctx) {
    run(ctx);
}

static int bind_address(const struct web_config *config, struct sockaddr_storage *ret_address) {
    memset(ret_address, 0, sizeof *ret_address);
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;
    if (inet_pton(AF_INET, config->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(config->port);
        return 0;
    }
    memset(ret_address, 0, sizeof *ret_address);
    if (inet_pton(AF_INET6, config->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(config->port);
        return 0;
    }
    return ERR_INVALID;
}

int web_create(struct loop *loop, const struct web_config *config, const struct web_host *host,
               struct web **ret_web, struct err *ret_err) {
    struct sockaddr_storage address;
    if (bind_address(config, &address) != 0) {
        return err_set(ret_err, ERR_INVALID, "web: '%s' is not a numeric address", config->host);
    }
    struct web *web = calloc(1, sizeof *web);
    if (web == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the web server");
    }
    web->loop = loop;
    web->host = *host;
    unsigned flags = MHD_USE_EPOLL | (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    web->server = MHD_start_daemon(
        flags, config->port, NULL, NULL, on_request, web, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        NULL, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT, config->connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)REQUEST_MEMORY_MAX, MHD_OPTION_END);
    int result = web->server != NULL ? 0 : ERR_IO;
    const union MHD_DaemonInfo *info =
        result == 0 ? MHD_get_daemon_info(web->server, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (result == 0) {
        result =
            info != NULL ? loop_timer_init(loop, LOOP_WIRE, on_timer, web, &web->timer) : ERR_IO;
    }
    if (result == 0) {
        result = loop_watch_fd(loop, info->epoll_fd, on_readable, web, &web->watch);
    }
    if (result != 0) {
        (void)web_destroy(web);
        return err_set(ret_err, result, "web: cannot listen on %s port %u (is it in use?)",
                       config->host, config->port);
    }
    run(web);
    *ret_web = web;
    return 0;
}

struct web *web_destroy(struct web *web) {
    if (web != NULL) {
        (void)loop_watch_close(web->watch);
        loop_timer_finish(&web->timer);
        if (web->server != NULL) {
            MHD_stop_daemon(web->server);
        }
        free(web);
    }
    return NULL;
}

uint16_t web_port(const struct web *web) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(web->server, MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}
