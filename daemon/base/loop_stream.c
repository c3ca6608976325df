/* Streams on real descriptors, and the calls that are the same for virtual ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/base/loop_internal.h"

struct write_copy {
    uv_write_t request;
    struct loop_stream *stream;
    size_t length;
    char bytes[];
};

int loop_stream_new(struct loop *loop, struct loop_stream **ret_stream) {
    struct loop_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return ERR_MEMORY;
    }
    stream->loop = loop;
    stream->write_limit = LOOP_WRITE_LIMIT_DEFAULT;
    stream->why = "";
    stream->inbox_tail = &stream->inbox;
    LOOP_LINK(loop->streams, stream);
    *ret_stream = stream;
    return 0;
}

void loop_stream_free(struct loop_stream *stream) {
    loop_timer_finish(&stream->finish_timer);
    loop_timer_finish(&stream->delivery);
    while (stream->inbox != NULL) {
        struct segment *segment = stream->inbox;
        stream->inbox = segment->next;
        free(segment);
    }
    free(stream->host);
    free(stream);
}

static void free_when_done(struct loop_stream *stream) {
    if (stream->closed && !stream->resolving && stream->handle == HANDLE_NONE) {
        loop_stream_free(stream);
    }
}

int loop_stream_open_handle(struct loop_stream *stream, bool is_unix) {
    int result = is_unix ? uv_pipe_init(&stream->loop->uv, &stream->uv.pipe, 0)
                         : uv_tcp_init(&stream->loop->uv, &stream->uv.tcp);
    if (result < 0) {
        return loop_code(result);
    }
    stream->uv.handle.data = stream;
    stream->handle = HANDLE_OPEN;
    stream->is_unix = is_unix;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    struct loop_stream *stream = handle->data;
    stream->handle = HANDLE_NONE;
    free_when_done(stream);
}

struct loop_stream *loop_stream_close(struct loop_stream *stream) {
    if (stream == NULL) {
        return NULL;
    }
    struct loop *loop = stream->loop;
    stream->closed = true;
    stream->events = NULL;
    LOOP_UNLINK(loop->streams, stream);
    if (loop->is_virtual) {
        loop_memory_close(stream);
        return NULL;
    }
    loop_timer_finish(&stream->finish_timer);
    if (stream->resolving) {
        /* Fails when the thread works on it already; on_resolved() comes in both cases. */
        (void)uv_cancel((uv_req_t *)&stream->resolve);
    }
    if (stream->handle == HANDLE_OPEN) {
        stream->handle = HANDLE_CLOSING;
        uv_close(&stream->uv.handle, on_closed);
    }
    free_when_done(stream);
    return NULL;
}

/* Reading. */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer) {
    struct loop_stream *stream = handle->data;
    (void)suggested;
    *ret_buffer = uv_buf_init(stream->buffer, (unsigned)stream->size);
}

static void on_read(uv_stream_t *handle, ssize_t length, const uv_buf_t *buffer) {
    struct loop_stream *stream = handle->data;
    (void)buffer;
    if (stream->closed || stream->events == NULL) {
        return;
    }
    if (length > 0) {
        stream->events->on_read(stream->ctx, (size_t)length);
    } else if (length < 0) {
        (void)uv_read_stop(handle);
        stream->reading = false;
        stream->ended = true;
        stream->why = uv_strerror((int)length);
        stream->events->on_end(stream->ctx, loop_code((int)length));
    }
}

static void resume(struct loop_stream *stream) {
    bool want = stream->connected && !stream->ended && stream->size > 0 && stream->events != NULL;
    if (want && !stream->reading) {
        /* Fails only on a stream that is closing or not connected. */
        stream->reading = uv_read_start(&stream->uv.stream, on_alloc, on_read) == 0;
    } else if (!want && stream->reading) {
        (void)uv_read_stop(&stream->uv.stream); /* always 0 */
        stream->reading = false;
    }
}

void loop_stream_set_buffer(struct loop_stream *stream, void *buffer, size_t size) {
    stream->buffer = buffer;
    stream->size = size;
    if (stream->loop->is_virtual) {
        loop_memory_resume(stream);
    } else {
        resume(stream);
    }
}

void loop_stream_set_events(struct loop_stream *stream, const struct loop_stream_events *events,
                            void *ctx) {
    stream->events = events;
    stream->ctx = ctx;
    if (!stream->loop->is_virtual) {
        resume(stream);
    }
}

/* Writing. */

void loop_stream_set_write_limit(struct loop_stream *stream, size_t limit) {
    stream->write_limit = limit;
}

size_t loop_stream_queued(const struct loop_stream *stream) {
    return stream->queued;
}

const char *loop_stream_why(const struct loop_stream *stream) {
    return stream->why;
}

static void on_written(uv_write_t *request, int status) {
    struct write_copy *copy = (struct write_copy *)request;
    struct loop_stream *stream = copy->stream;
    stream->queued -= copy->length;
    free(copy);
    if (stream->closed) {
        return;
    }
    if (status < 0) {
        stream->why = uv_strerror(status);
    }
    if (stream->finishing && (stream->queued == 0 || status < 0)) {
        (void)loop_stream_close(stream);
    } else if (stream->queued == 0 && status == 0 && stream->events != NULL &&
               stream->events->on_drain != NULL) {
        stream->events->on_drain(stream->ctx);
    }
}

static int queue_copy(struct loop_stream *stream, const char *bytes, size_t length) {
    struct write_copy *copy = malloc(sizeof(*copy) + length);
    if (copy == NULL) {
        return ERR_MEMORY;
    }
    copy->stream = stream;
    copy->length = length;
    memcpy(copy->bytes, bytes, length);
    uv_buf_t buffer = uv_buf_init(copy->bytes, (unsigned)length);
    int result = uv_write(&copy->request, &stream->uv.stream, &buffer, 1, on_written);
    if (result < 0) {
        stream->why = uv_strerror(result);
        free(copy);
        return loop_code(result);
    }
    stream->queued += length;
    return 0;
}

/* Hands over what the system takes at once; bytes, or a code of libuv. A socket is written to with
 * send(): the way of write() through the file layer costs a poll a few percent more. */
static int write_now(struct loop_stream *stream, const void *bytes, size_t length) {
    uv_os_fd_t fd = -1;
    if (stream->is_unix || uv_fileno(&stream->uv.handle, &fd) < 0) {
        uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)length);
        return uv_try_write(&stream->uv.stream, &buffer, 1);
    }
    ssize_t sent;
    do {
        sent = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0 ? (int)sent : uv_translate_sys_error(errno);
}

int loop_stream_write(struct loop_stream *stream, const void *bytes, size_t length) {
    if (stream->ended || stream->closed) {
        return ERR_CLOSED;
    }
    if (length > stream->write_limit || stream->queued > stream->write_limit - length) {
        return ERR_LIMIT;
    }
    if (stream->loop->is_virtual) {
        return loop_memory_write(stream, bytes, length);
    }
    if (stream->handle != HANDLE_OPEN) {
        return ERR_BUSY; /* the name is still being resolved */
    }
    size_t done = 0;
    if (stream->queued == 0 && stream->connected) {
        int result = write_now(stream, bytes, length);
        if (result < 0 && result != UV_EAGAIN) {
            stream->why = uv_strerror(result);
            return loop_code(result);
        }
        done = result > 0 ? (size_t)result : 0;
    }
    return done == length ? 0 : queue_copy(stream, (const char *)bytes + done, length - done);
}

static void on_finish_timeout(void *ctx) {
    (void)loop_stream_close(ctx);
}

struct loop_stream *loop_stream_finish(struct loop_stream *stream) {
    if (stream == NULL || stream->loop->is_virtual || stream->queued == 0 || stream->ended) {
        /* The virtual network delivers what is under way after a close too. */
        return loop_stream_close(stream);
    }
    stream->events = NULL;
    resume(stream);
    if (loop_timer_init(stream->loop, LOOP_WIRE, on_finish_timeout, stream, &stream->finish_timer) <
        0) {
        return loop_stream_close(stream);
    }
    stream->finishing = true;
    loop_timer_start_in(&stream->finish_timer, LOOP_FINISH_TIMEOUT_US);
    return NULL;
}

/* Connecting. */

static void tell_connected(struct loop_stream *stream, int uv_result) {
    if (uv_result == 0) {
        stream->connected = true;
        if (!stream->is_unix) {
            /* A request must not wait for an acknowledgement; without it all still works. */
            (void)uv_tcp_nodelay(&stream->uv.tcp, 1);
        }
        resume(stream);
    } else {
        stream->ended = true;
        stream->why = uv_strerror(uv_result);
    }
    if (stream->finishing) {
        if (uv_result != 0) {
            (void)loop_stream_close(stream);
        }
        return;
    }
    stream->events->on_connect(stream->ctx, loop_code(uv_result));
}

static void connect_next(struct loop_stream *stream);

static void on_retry(uv_handle_t *handle) {
    struct loop_stream *stream = handle->data;
    stream->handle = HANDLE_NONE;
    if (stream->closed) {
        free_when_done(stream);
    } else {
        connect_next(stream);
    }
}

static void on_connected(uv_connect_t *request, int status) {
    struct loop_stream *stream = request->data;
    if (stream->closed || stream->handle != HANDLE_OPEN) {
        return;
    }
    if (status < 0 && stream->address_at < stream->address_count) {
        stream->handle = HANDLE_CLOSING;
        uv_close(&stream->uv.handle, on_retry); /* a handle connects only once */
        return;
    }
    tell_connected(stream, status);
}

/* Tries the next address; failures before the system call count as that address failing. */
static void connect_next(struct loop_stream *stream) {
    int result = loop_stream_open_handle(stream, false);
    if (result < 0) {
        tell_connected(stream, UV_ENOMEM);
        return;
    }
    stream->connect.data = stream;
    result = uv_tcp_connect(&stream->connect, &stream->uv.tcp,
                            &stream->addresses[stream->address_at++].any, on_connected);
    if (result < 0) {
        tell_connected(stream, result);
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
    struct loop_stream *stream = request->data;
    stream->resolving = false;
    for (struct addrinfo *at = found; at != NULL && stream->address_count < LOOP_ADDRESSES_MAX;
         at = at->ai_next) {
        if (at->ai_addrlen <= sizeof(stream->addresses[0])) {
            memcpy(&stream->addresses[stream->address_count++], at->ai_addr, at->ai_addrlen);
        }
    }
    uv_freeaddrinfo(found);
    if (stream->closed) {
        free_when_done(stream);
    } else if (status < 0 || stream->address_count == 0) {
        tell_connected(stream, status < 0 ? status : UV_EAI_NONAME);
    } else {
        connect_next(stream);
    }
}

static int start_connect(struct loop_stream *stream, const char *host, uint16_t port) {
    char service[8];
    uint64_t digits = port;
    size_t at = sizeof(service) - 1;
    service[at] = '\0';
    do {
        service[--at] = (char)('0' + digits % 10);
        digits /= 10;
    } while (digits > 0);
    bool numeric = uv_ip4_addr(host, port, &stream->addresses[0].in) == 0 ||
                   uv_ip6_addr(host, port, &stream->addresses[0].in6) == 0;
    if (!numeric) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        stream->resolve.data = stream;
        int result = uv_getaddrinfo(&stream->loop->uv, &stream->resolve, on_resolved, host,
                                    service + at, &hints);
        stream->resolving = result == 0;
        return loop_code(result);
    }
    stream->address_count = 1;
    int result = loop_stream_open_handle(stream, false);
    if (result < 0) {
        return result;
    }
    stream->connect.data = stream;
    stream->address_at = 1;
    result =
        uv_tcp_connect(&stream->connect, &stream->uv.tcp, &stream->addresses[0].any, on_connected);
    return loop_code(result);
}

int loop_connect_tcp(struct loop *loop, const char *host, uint16_t port,
                     const struct loop_stream_events *events, void *ctx,
                     struct loop_stream **ret_stream) {
    struct loop_stream *stream = NULL;
    int result = loop_stream_new(loop, &stream);
    if (result < 0) {
        return result;
    }
    stream->events = events;
    stream->ctx = ctx;
    result = loop->is_virtual ? loop_memory_connect(stream, host, port)
                              : start_connect(stream, host, port);
    if (result < 0) {
        (void)loop_stream_close(stream);
        return result;
    }
    *ret_stream = stream;
    return 0;
}

int loop_connect_unix(struct loop *loop, const char *path, const struct loop_stream_events *events,
                      void *ctx, struct loop_stream **ret_stream) {
    if (loop->is_virtual) {
        return ERR_UNSUPPORTED;
    }
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        return ERR_INVALID; /* libuv would cut it off */
    }
    struct loop_stream *stream = NULL;
    int result = loop_stream_new(loop, &stream);
    if (result < 0) {
        return result;
    }
    stream->events = events;
    stream->ctx = ctx;
    result = loop_stream_open_handle(stream, true);
    if (result < 0) {
        (void)loop_stream_close(stream);
        return result;
    }
    stream->connect.data = stream;
    uv_pipe_connect(&stream->connect, &stream->uv.pipe, path, on_connected);
    *ret_stream = stream;
    return 0;
}

int loop_stream_peer(const struct loop_stream *stream, struct loop_peer *ret_peer) {
    uv_os_fd_t fd = -1;
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    if (stream->loop->is_virtual || !stream->is_unix || stream->handle != HANDLE_OPEN) {
        return ERR_UNSUPPORTED;
    }
    if (uv_fileno(&stream->uv.handle, &fd) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
        return ERR_UNSUPPORTED; /* a pipe */
    }
    *ret_peer =
        (struct loop_peer){.uid = credentials.uid, .gid = credentials.gid, .pid = credentials.pid};
    return 0;
}
