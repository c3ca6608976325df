#include "daemon/web/web.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

enum { IDLE_TIMEOUT_S = 15, REQUEST_MEMORY_MAX = 32 * 1024, WAKE_MAX_US = 1000000 };

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

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request_ctx) {
    (void)version;
    (void)upload;
    struct web *web = ctx;
    static int first_call; /* its address marks a request whose headers we have seen */
    if (*request_ctx == NULL) {
        *request_ctx = &first_call;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        if (*upload_size != 0) { /* a body is read and thrown away before the answer may go */
            *upload_size = 0;
            return MHD_YES;
        }
        return send_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    }
    struct web_query query = {.connection = connection};
    struct web_reply reply = {.status = MHD_HTTP_OK, .content_type = "application/json"};
    int result = web->host.get(web->host.ctx, url, &query, &reply);
    if (result == ERR_NOT_FOUND) {
        return send_error(connection, MHD_HTTP_NOT_FOUND, "no such page\n");
    }
    if (result == ERR_INVALID) {
        return send_error(connection, MHD_HTTP_BAD_REQUEST, "a query argument is not valid\n");
    }
    if (result != 0) {
        return send_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                          "cannot build this page now\n");
    }
    return send_body(connection, &reply);
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
    web->server = MHD_start_daemon(flags, config->port, NULL, NULL, on_request, web,
                                   MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT,
                                   config->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
                                   (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
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
