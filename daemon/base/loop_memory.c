/* The virtual network: streams inside the process, timed by the virtual clock. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/loop_internal.h"

enum { DELAY_DEFAULT_US = 100, PORT_FREE_FIRST = 40000 };

void loop_set_shape(struct loop *loop, loop_shape_fn shape, void *ctx) {
    loop->shape = shape;
    loop->shape_ctx = ctx;
}

static struct loop_shape ask_shape(const struct loop *loop, enum loop_shape_kind kind,
                                   uint16_t port, size_t length) {
    if (loop->shape == NULL) {
        return (struct loop_shape){.delay_us = DELAY_DEFAULT_US, .chunk = 0};
    }
    return loop->shape(loop->shape_ctx, kind, port, length);
}

static int64_t now_us(const struct loop *loop) {
    return clock_wire(loop->clock).us;
}

static struct loop_listener *find_listener(const struct loop *loop, const char *host,
                                           uint16_t port) {
    for (struct loop_listener *at = loop->listeners; at != NULL; at = at->next) {
        if (at->port == port && strcmp(at->host, host) == 0) {
            return at;
        }
    }
    return NULL;
}

int loop_memory_listen(struct loop_listener *listener, const char *host, uint16_t port) {
    if (port == 0) {
        port = PORT_FREE_FIRST;
        while (find_listener(listener->loop, host, port) != NULL && port < UINT16_MAX) {
            port++;
        }
    }
    /* The new one is in the list already, but has no host and port yet. */
    listener->host = strdup("");
    if (listener->host == NULL) {
        return ERR_MEMORY;
    }
    if (find_listener(listener->loop, host, port) != NULL) {
        return ERR_EXISTS;
    }
    free(listener->host);
    listener->host = strdup(host);
    listener->port = port;
    return listener->host == NULL ? ERR_MEMORY : 0;
}

/* Hands over what has arrived; restarts the timer for what has not. */
static void deliver(void *ctx) {
    struct loop_stream *stream = ctx;
    int64_t now = now_us(stream->loop);
    while (!stream->closed && stream->events != NULL && stream->size > 0 && stream->inbox != NULL &&
           stream->inbox->due_us <= now) {
        struct segment *segment = stream->inbox;
        size_t left = segment->length - segment->taken;
        size_t length = left < stream->size ? left : stream->size;
        memcpy(stream->buffer, segment->bytes + segment->taken, length);
        segment->taken += length;
        if (stream->peer != NULL) {
            stream->peer->queued -= length;
        }
        if (segment->taken == segment->length) {
            stream->inbox = segment->next;
            if (stream->inbox == NULL) {
                stream->inbox_tail = &stream->inbox;
            }
            free(segment);
        }
        stream->events->on_read(stream->ctx, length);
    }
    if (stream->closed || stream->events == NULL || stream->size == 0) {
        return;
    }
    struct loop_stream *peer = stream->peer;
    if (peer != NULL && peer->queued == 0 && peer->events != NULL &&
        peer->events->on_drain != NULL) {
        peer->events->on_drain(peer->ctx);
    }
    loop_memory_resume(stream);
    if (!stream->closed && stream->inbox == NULL && stream->fin && !stream->ended &&
        stream->last_due_us <= now) {
        stream->ended = true;
        stream->why = "end of file";
        stream->events->on_end(stream->ctx, ERR_CLOSED);
    }
}

void loop_memory_resume(struct loop_stream *stream) {
    if (!stream->connected || stream->size == 0) {
        return;
    }
    if (stream->inbox != NULL) {
        loop_timer_start_at(&stream->delivery, (struct mono_us){stream->inbox->due_us});
    } else if (stream->fin && !stream->ended) {
        loop_timer_start_at(&stream->delivery, (struct mono_us){stream->last_due_us});
    }
}

static void become_stream(struct loop_stream *stream, struct loop_stream *peer) {
    stream->peer = peer;
    stream->connected = true;
    stream->delivery.on_due = deliver;
    loop_memory_resume(stream);
}

static void on_connect_due(void *ctx) {
    struct loop_stream *stream = ctx;
    struct loop *loop = stream->loop;
    struct loop_listener *listener = find_listener(loop, stream->host, stream->port);
    struct loop_stream *accepted = NULL;
    if (listener == NULL || loop_stream_new(loop, &accepted) < 0) {
        stream->ended = true;
        stream->why = "connection refused";
        stream->events->on_connect(stream->ctx, ERR_CLOSED);
        return;
    }
    if (loop_timer_init(loop, LOOP_WIRE, deliver, accepted, &accepted->delivery) < 0) {
        (void)loop_stream_close(accepted);
        stream->ended = true;
        stream->events->on_connect(stream->ctx, ERR_MEMORY);
        return;
    }
    accepted->port = stream->port;
    become_stream(stream, accepted);
    become_stream(accepted, stream);
    listener->on_accept(listener->ctx, accepted);
    if (!stream->closed) {
        stream->events->on_connect(stream->ctx, 0);
    }
}

int loop_memory_connect(struct loop_stream *stream, const char *host, uint16_t port) {
    stream->host = strdup(host);
    if (stream->host == NULL) {
        return ERR_MEMORY;
    }
    stream->port = port;
    stream->is_connector = true;
    int result =
        loop_timer_init(stream->loop, LOOP_WIRE, on_connect_due, stream, &stream->delivery);
    if (result < 0) {
        return result;
    }
    struct loop_shape shape = ask_shape(stream->loop, LOOP_SHAPE_CONNECT, port, 0);
    if (shape.delay_us >= 0) {
        loop_timer_start_in(&stream->delivery, shape.delay_us);
    }
    return 0;
}

int loop_memory_write(struct loop_stream *stream, const void *bytes, size_t length) {
    struct loop_stream *peer = stream->peer;
    const char *from = bytes;
    if (!stream->connected || peer == NULL) {
        return stream->connected ? ERR_CLOSED : ERR_BUSY;
    }
    enum loop_shape_kind kind =
        stream->is_connector ? LOOP_SHAPE_TO_LISTENER : LOOP_SHAPE_TO_CONNECTOR;
    while (length > 0) {
        struct loop_shape shape = ask_shape(stream->loop, kind, stream->port, length);
        size_t chunk = shape.chunk == 0 || shape.chunk > length ? length : shape.chunk;
        struct segment *segment = malloc(sizeof(*segment) + chunk);
        if (segment == NULL) {
            return ERR_MEMORY;
        }
        int64_t due = now_us(stream->loop) + (shape.delay_us > 0 ? shape.delay_us : 0);
        peer->last_due_us = due > peer->last_due_us ? due : peer->last_due_us;
        *segment = (struct segment){.due_us = peer->last_due_us, .length = chunk};
        memcpy(segment->bytes, from, chunk);
        *peer->inbox_tail = segment;
        peer->inbox_tail = &segment->next;
        stream->queued += chunk;
        from += chunk;
        length -= chunk;
    }
    if (!loop_timer_running(&peer->delivery)) {
        loop_memory_resume(peer);
    }
    return 0;
}

void loop_memory_close(struct loop_stream *stream) {
    struct loop_stream *peer = stream->peer;
    loop_timer_finish(&stream->delivery);
    if (peer != NULL) {
        int64_t due = now_us(stream->loop) + DELAY_DEFAULT_US;
        peer->last_due_us = due > peer->last_due_us ? due : peer->last_due_us;
        peer->fin = true;
        peer->peer = NULL;
        if (!loop_timer_running(&peer->delivery)) {
            loop_memory_resume(peer);
        }
    }
    stream->peer = NULL;
    stream->next = stream->loop->graveyard;
    stream->loop->graveyard = stream;
}

void loop_memory_sweep(struct loop *loop) {
    while (loop->graveyard != NULL) {
        struct loop_stream *stream = loop->graveyard;
        loop->graveyard = stream->next;
        loop_stream_free(stream);
    }
}
