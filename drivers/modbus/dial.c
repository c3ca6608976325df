#include "drivers/modbus/dial.h"

#include <stdlib.h>

#include "drivers/modbus/config.h"

struct pending {
    struct modbus_dial *dial;
    struct loop_stream *stream; /* NULL: free */
    struct loop_timer timer;
    uint64_t order; /* of coming */
    size_t length;
    uint8_t bytes[MODBUS_IDENTITY_SIZE];
};

struct modbus_dial {
    struct loop_listener *listener;
    uint16_t port;
    dial_find_fn find;
    void *ctx;
    uint64_t accepted;
    struct pending pending[DIAL_PENDING_MAX];
};

static void drop(struct pending *pending) {
    pending->stream = loop_stream_close(pending->stream);
    pending->length = 0;
    loop_timer_stop(&pending->timer);
}

static void on_read(void *ctx, size_t length) {
    struct pending *pending = ctx;
    struct modbus_dial *dial = pending->dial;
    pending->length += length;
    switch (dial->find(dial->ctx, dial->port, pending->bytes, pending->length, pending->stream)) {
    case DIAL_TAKEN:
        pending->stream = NULL; /* the line's now */
        drop(pending);
        break;
    case DIAL_MORE: /* never full: an identity is shorter than the buffer */
        loop_stream_set_buffer(pending->stream, pending->bytes + pending->length,
                               sizeof(pending->bytes) - pending->length);
        break;
    case DIAL_NOBODY:
        drop(pending);
        break;
    }
}

static void on_end(void *ctx, int code) {
    (void)code; /* it came and went */
    drop(ctx);
}

static void on_late(void *ctx) {
    drop(ctx);
}

static const struct loop_stream_events events = {.on_read = on_read, .on_end = on_end};

static void on_accept(void *ctx, struct loop_stream *stream) {
    struct modbus_dial *dial = ctx;
    struct pending *place = &dial->pending[0];
    for (size_t i = 1; i < DIAL_PENDING_MAX && place->stream != NULL; i++) {
        struct pending *other = &dial->pending[i];
        if (other->stream == NULL || other->order < place->order) {
            place = other;
        }
    }
    drop(place);
    place->stream = stream;
    place->order = dial->accepted++;
    loop_stream_set_events(stream, &events, place);
    loop_stream_set_buffer(stream, place->bytes, sizeof(place->bytes));
    loop_timer_start_in(&place->timer, DIAL_IDENTITY_US);
}

int modbus_dial_listen(struct loop *loop, const char *host, uint16_t port, dial_find_fn find,
                       void *ctx, struct modbus_dial **ret_dial) {
    struct modbus_dial *dial = calloc(1, sizeof(*dial));
    if (dial == NULL) {
        return ERR_MEMORY;
    }
    dial->port = port;
    dial->find = find;
    dial->ctx = ctx;
    int result = 0;
    for (size_t i = 0; i < DIAL_PENDING_MAX && result == 0; i++) {
        dial->pending[i].dial = dial;
        result =
            loop_timer_init(loop, LOOP_WIRE, on_late, &dial->pending[i], &dial->pending[i].timer);
    }
    if (result == 0) {
        result = loop_listen_tcp(loop, host, port, on_accept, dial, &dial->listener);
    }
    if (result < 0) {
        (void)modbus_dial_close(dial);
        return result;
    }
    *ret_dial = dial;
    return 0;
}

struct modbus_dial *modbus_dial_close(struct modbus_dial *dial) {
    if (dial == NULL) {
        return NULL;
    }
    dial->listener = dial->listener != NULL ? loop_listener_close(dial->listener) : NULL;
    for (size_t i = 0; i < DIAL_PENDING_MAX; i++) {
        (void)loop_stream_close(dial->pending[i].stream);
        loop_timer_finish(&dial->pending[i].timer);
    }
    free(dial);
    return NULL;
}

uint16_t modbus_dial_port(const struct modbus_dial *dial) {
    return dial->port;
}
