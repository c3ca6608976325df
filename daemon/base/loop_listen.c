#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/loop_internal.h"

enum { BACKLOG = 1024 };

static void on_connection(uv_stream_t *server, int status) {
    struct loop_listener *listener = server->data;
    struct loop_stream *stream = NULL;
    if (status < 0) {
        return; /* the connection was gone before it was accepted */
    }
    if (loop_stream_new(listener->loop, &stream) < 0) {
        return;
    }
    if (loop_stream_open_handle(stream, listener->is_unix) < 0 ||
        uv_accept(server, &stream->uv.stream) < 0) {
        (void)loop_stream_close(stream);
        return;
    }
    if (!listener->is_unix) {
        (void)uv_tcp_nodelay(&stream->uv.tcp, 1); /* works without too, only slower */
    }
    stream->connected = true;
    listener->on_accept(listener->ctx, stream);
}

static int listener_new(struct loop *loop, loop_accept_fn on_accept, void *ctx,
                        struct loop_listener **ret_listener) {
    struct loop_listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return ERR_MEMORY;
    }
    listener->loop = loop;
    listener->on_accept = on_accept;
    listener->ctx = ctx;
    LOOP_LINK(loop->listeners, listener);
    *ret_listener = listener;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

/* When libuv has no handle of it. */
static void listener_discard(struct loop_listener *listener) {
    LOOP_UNLINK(listener->loop->listeners, listener);
    free(listener->host);
    free(listener);
}

struct loop_listener *loop_listener_close(struct loop_listener *listener) {
    if (listener == NULL) {
        return NULL;
    }
    if (listener->loop->is_virtual) {
        listener_discard(listener);
        return NULL;
    }
    LOOP_UNLINK(listener->loop->listeners, listener);
    uv_close(&listener->uv.handle, on_closed); /* removes the path of a Unix socket too */
    return NULL;
}

uint16_t loop_listener_port(const struct loop_listener *listener) {
    return listener->port;
}

static int listen_tcp(struct loop_listener *listener, const char *host, uint16_t port) {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address;
    if (uv_ip4_addr(host, port, &address.in) < 0 && uv_ip6_addr(host, port, &address.in6) < 0) {
        return ERR_INVALID;
    }
    int result = uv_tcp_bind(&listener->uv.tcp, &address.any, 0);
    if (result == 0) {
        result = uv_listen(&listener->uv.stream, BACKLOG, on_connection);
    }
    if (result == 0) {
        int size = sizeof(address);
        result = uv_tcp_getsockname(&listener->uv.tcp, &address.any, &size);
        /* The port stands at the same place for both families. */
        listener->port = ntohs(address.in.sin_port);
    }
    return loop_code(result);
}

int loop_listen_tcp(struct loop *loop, const char *host, uint16_t port, loop_accept_fn on_accept,
                    void *ctx, struct loop_listener **ret_listener) {
    struct loop_listener *listener = NULL;
    int result = listener_new(loop, on_accept, ctx, &listener);
    if (result < 0) {
        return result;
    }
    if (loop->is_virtual) {
        result = loop_memory_listen(listener, host, port);
    } else {
        result = loop_code(uv_tcp_init(&loop->uv, &listener->uv.tcp));
    }
    if (result < 0) {
        listener_discard(listener);
        return result;
    }
    if (!loop->is_virtual) {
        listener->uv.handle.data = listener;
        result = listen_tcp(listener, host, port);
        if (result < 0) {
            (void)loop_listener_close(listener);
            return result;
        }
    }
    *ret_listener = listener;
    return 0;
}

/* Removes a socket that nobody answers on. 0 also when there is nothing. */
static int clear_path(const struct sockaddr_un *address) {
    struct stat status;
    if (lstat(address->sun_path, &status) < 0) {
        return errno == ENOENT ? 0 : errno == EACCES ? ERR_DENIED : ERR_IO;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return ERR_EXISTS;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return ERR_LIMIT;
    }
    bool dead = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
                errno == ECONNREFUSED;
    (void)close(fd); /* nothing was written */
    if (!dead) {
        return ERR_EXISTS;
    }
    return unlink(address->sun_path) == 0 ? 0 : ERR_DENIED;
}

int loop_listen_unix(struct loop *loop, const char *path, mode_t mode, loop_accept_fn on_accept,
                     void *ctx, struct loop_listener **ret_listener) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct loop_listener *listener = NULL;
    if (loop->is_virtual) {
        return ERR_UNSUPPORTED;
    }
    if (strlen(path) >= sizeof(address.sun_path)) {
        return ERR_INVALID; /* libuv would cut it off */
    }
    memcpy(address.sun_path, path, strlen(path));
    int result = clear_path(&address);
    if (result == 0) {
        result = listener_new(loop, on_accept, ctx, &listener);
    }
    if (result < 0) {
        return result;
    }
    listener->is_unix = true;
    result = uv_pipe_init(&loop->uv, &listener->uv.pipe, 0);
    if (result < 0) {
        listener_discard(listener);
        return loop_code(result);
    }
    listener->uv.handle.data = listener;
    result = loop_code(uv_pipe_bind(&listener->uv.pipe, path));
    /* Before listen(): nobody gets in under the wrong mode. */
    if (result == 0 && chmod(path, mode) < 0) {
        result = ERR_DENIED;
    }
    if (result == 0) {
        result = loop_code(uv_listen(&listener->uv.stream, BACKLOG, on_connection));
    }
    if (result < 0) {
        (void)loop_listener_close(listener);
        return result;
    }
    *ret_listener = listener;
    return 0;
}
