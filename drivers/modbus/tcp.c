/* Modbus over TCP, in either framing: one connection, one request in flight.
 *
 * Every request has one hard deadline, counted from its send. After a timeout, and after anything
 * that breaks the protocol, the connection is closed, so that nothing late can ever be taken for
 * something new. A failed connect, and a connection that ends without one good reply, is followed
 * by a pause that doubles; a timeout is not: that unit's own back-off is the scheduler's business,
 * and the other units of the endpoint must not wait for it. Connections are made when there is
 * something to ask, in turns that the scheduler gives; with MODBUS_DIAL_IN they come from outside.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "drivers/modbus/blocks.h"
#include "drivers/modbus/rtu.h"
#include "drivers/modbus/tcp.h"

struct modbus_tcp {
    struct modbus_blocks blocks; /* first: see blocks.h */
    struct loop_stream *stream;
    struct loop_timer timer;
    int64_t due_us;   /* wire time of the state's end: connect deadline, request deadline, a pause,
                         idling; `never` without one */
    int64_t armed_us; /* when the timer fires, while it runs: at due_us or before */
    bool open;        /* a request is taken and not answered */
    bool waiting;     /* it is not sent yet: the timer ends a pause before the next step */
    bool heard;       /* a good reply came on this connection */
    bool foreign;     /* a foreign frame came since the send */
    uint32_t level;   /* of the reconnect back-off */
    uint64_t random;
    uint32_t block;
    uint16_t transaction;
    struct modbus_request request;
    struct mono_us sent;
    int64_t quiet_us;  /* nothing is sent before: pauses after connect and reply; 0: none */
    int64_t closed_us; /* when the last connection ended; valid with was_closed */
    bool was_closed;
    size_t echo_left; /* of `echo`, what has to come back before the reply */
    uint8_t echo[MODBUS_REQUEST_SIZE];
    size_t rx_length;
    uint8_t rx[MODBUS_FRAME_MAX];
};

static const int64_t never = INT64_MAX;

static int64_t wire_us(const struct modbus_tcp *tcp) {
    return clock_wire(loop_clock(tcp->blocks.loop)).us;
}

/* Nearly every request is answered long before its deadline. So the timer is left running from one
 * request to the next, and moved only when it would fire too late; on_timer() looks at due_us. */
static void wait_until(struct modbus_tcp *tcp, int64_t due_us) {
    tcp->due_us = due_us;
    if (!loop_timer_running(&tcp->timer) || due_us < tcp->armed_us) {
        tcp->armed_us = due_us;
        loop_timer_start_at(&tcp->timer, (struct mono_us){due_us});
    }
}

static void wait_no_more(struct modbus_tcp *tcp) {
    tcp->due_us = never;
}

static void enter(struct modbus_tcp *tcp, enum endpoint_state state) {
    modbus_blocks_enter(&tcp->blocks, state);
}

static void say_why(struct modbus_tcp *tcp, const char *what, const char *detail) {
    modbus_blocks_why(&tcp->blocks, what, detail);
}

/* Lets the connection go; with `pause` the next one has to wait. */
static void drop(struct modbus_tcp *tcp, bool pause) {
    tcp->stream = loop_stream_close(tcp->stream);
    tcp->rx_length = 0;
    tcp->waiting = false;
    tcp->closed_us = wire_us(tcp);
    tcp->was_closed = true;
    wait_no_more(tcp);
    if (!pause || tcp->blocks.config->transport == MODBUS_DIAL_IN) {
        enter(tcp, ENDPOINT_IDLE);
        return;
    }
    wait_until(tcp, tcp->closed_us + line_backoff_us(tcp->blocks.config->reconnect_min_us,
                                                     tcp->blocks.config->reconnect_max_us,
                                                     tcp->level, &tcp->random));
    tcp->level++;
    enter(tcp, ENDPOINT_PAUSED);
}

/* Answers the open request; the line may be asked again only after endpoint_ready(). */
static void answer(struct modbus_tcp *tcp, enum reading_status status, uint8_t exception,
                   bool unit_alive) {
    bool came = status == READING_OK || status == READING_EXCEPTION;
    struct line_answer line_answer = {.status = status,
                                      .exception = exception,
                                      .round_trip_us = came ? wire_us(tcp) - tcp->sent.us : -1,
                                      .unit_alive = unit_alive};
    tcp->open = false;
    endpoint_answer(tcp->blocks.endpoint, &line_answer);
}

static bool is_rtu(const struct modbus_tcp *tcp) {
    return tcp->blocks.config->framing == MODBUS_FRAMING_RTU;
}

static int send_request(struct modbus_tcp *tcp) {
    uint8_t frame[MODBUS_REQUEST_SIZE];
    size_t size = is_rtu(tcp) ? MODBUS_RTU_REQUEST_SIZE : MODBUS_REQUEST_SIZE;
    tcp->request = modbus_blocks_request(&tcp->blocks, tcp->block);
    tcp->request.transaction = ++tcp->transaction;
    if (is_rtu(tcp)) {
        modbus_rtu_request_build(&tcp->request, frame);
    } else {
        modbus_request_build(&tcp->request, frame);
    }
    if (tcp->blocks.config->quirks.echo) {
        memcpy(tcp->echo, frame, size);
        tcp->echo_left = size;
    }
    tcp->foreign = false;
    tcp->sent = clock_wire(loop_clock(tcp->blocks.loop));
    int result = loop_stream_write(tcp->stream, frame, size);
    if (result < 0) {
        return result;
    }
    tcp->blocks.stats->polls++;
    wait_until(tcp, tcp->sent.us + tcp->blocks.config->request_timeout_us);
    return 0;
}

/* For quiet_us: 0 without a pause, so that polls without one need no clock. */
static int64_t quiet_until(const struct modbus_tcp *tcp, int64_t pause_us) {
    return pause_us > 0 ? wire_us(tcp) + pause_us : 0;
}

/* Sends the open request, now or when the device has had its pause. */
static int send_when_quiet(struct modbus_tcp *tcp) {
    if (tcp->quiet_us == 0 || tcp->quiet_us <= wire_us(tcp)) {
        return send_request(tcp);
    }
    tcp->waiting = true;
    wait_until(tcp, tcp->quiet_us);
    return 0;
}

/* The connection ended under us, or could not be used. */
static void lose(struct modbus_tcp *tcp, const char *what, const char *detail) {
    bool open = tcp->open;
    say_why(tcp, what, detail);
    drop(tcp, !tcp->heard);
    if (open) {
        tcp->blocks.stats->lost++;
        /* A gateway may hang up because of this one unit, so that it counts against it. */
        answer(tcp, READING_NO_CONNECTION, 0, false);
        endpoint_ready(tcp->blocks.endpoint);
    }
}

static void begin_connection(struct modbus_tcp *tcp) {
    tcp->blocks.stats->connects++;
    tcp->heard = false;
    tcp->echo_left = 0;
    tcp->quiet_us = quiet_until(tcp, tcp->blocks.config->connect_pause_us);
    wait_no_more(tcp);
    enter(tcp, ENDPOINT_CONNECTED);
    loop_stream_set_buffer(tcp->stream, tcp->rx, sizeof(tcp->rx));
}

static void on_connect(void *ctx, int result) {
    struct modbus_tcp *tcp = ctx;
    if (result < 0) {
        say_why(tcp, "cannot connect", loop_stream_why(tcp->stream));
        tcp->blocks.stats->connect_failures++;
        drop(tcp, true);
        answer(tcp, READING_NO_CONNECTION, 0, true); /* says nothing about the unit */
        endpoint_ready(tcp->blocks.endpoint);
        return;
    }
    begin_connection(tcp);
    if (send_when_quiet(tcp) < 0) {
        lose(tcp, "cannot send", loop_stream_why(tcp->stream));
    }
}

/* Whether a frame may be the answer to something. */
static bool asked(const struct modbus_tcp *tcp) {
    return tcp->open && !tcp->waiting;
}

/* What came breaks the protocol. */
static void refuse(struct modbus_tcp *tcp, const char *fault, bool unit_alive) {
    tcp->blocks.stats->bad_replies++;
    say_why(tcp, "bad reply", fault);
    drop(tcp, false);
    if (tcp->open) {
        answer(tcp, READING_BAD_REPLY, 0, unit_alive);
    }
}

/* The open request got `frame` for an answer, or for something else. */
static void take_frame(struct modbus_tcp *tcp, const uint8_t *frame, size_t length) {
    if (!asked(tcp)) {
        tcp->blocks.stats->foreign_replies++;
        if (is_rtu(tcp)) {
            /* The next one of these could be taken for an answer: nothing in it tells. */
            refuse(tcp, "a frame without a request", true);
        }
        return;
    }
    struct modbus_reply reply = is_rtu(tcp) ? modbus_rtu_reply_parse(&tcp->request, frame, length)
                                            : modbus_reply_parse(&tcp->request, frame, length);
    switch (reply.verdict) {
    case MODBUS_REPLY_FOREIGN:
        tcp->blocks.stats->foreign_replies++;
        tcp->foreign = true; /* and wait on, until the same deadline */
        return;
    case MODBUS_REPLY_VALUES:
        wait_no_more(tcp);
        tcp->heard = true;
        tcp->level = 0;
        tcp->blocks.data = reply.data;
        answer(tcp, READING_OK, 0, true);
        tcp->blocks.data = NULL;
        return;
    case MODBUS_REPLY_EXCEPTION:
        wait_no_more(tcp);
        tcp->heard = true;
        tcp->level = 0;
        say_why(tcp, "exception", modbus_exception_name(reply.exception));
        answer(tcp, READING_EXCEPTION, reply.exception,
               !modbus_exception_is_failure(reply.exception));
        return;
    case MODBUS_REPLY_BAD:
        refuse(tcp, reply.fault, false);
        return;
    }
}

/* Takes our own request off the front. False: something else came instead. */
static bool take_echo(struct modbus_tcp *tcp, size_t *at) {
    size_t size = tcp->rx_length - *at < tcp->echo_left ? tcp->rx_length - *at : tcp->echo_left;
    const uint8_t *expected = tcp->echo + MODBUS_RTU_REQUEST_SIZE - tcp->echo_left;
    if (memcmp(tcp->rx + *at, expected, size) != 0) {
        return false;
    }
    tcp->echo_left -= size;
    *at += size;
    return true;
}

/* Bytes at the front that repeat the identity of a station that dialled in, as a sign of life.
 * -1: they may, when more has come. */
static int identity_size(const struct modbus_tcp *tcp, size_t at) {
    size_t left = tcp->rx_length - at;
    if (tcp->blocks.config->transport != MODBUS_DIAL_IN || left == 0) {
        return 0;
    }
    const char *identity = tcp->blocks.config->identity;
    size_t size = strlen(identity);
    if (!asked(tcp) && (tcp->rx[at] == '\r' || tcp->rx[at] == '\n')) {
        return 1;
    }
    if (memcmp(tcp->rx + at, identity, left < size ? left : size) != 0) {
        return 0;
    }
    if (left < size) {
        return -1;
    }
    while (size < left && (tcp->rx[at + size] == '\r' || tcp->rx[at + size] == '\n')) {
        size++;
    }
    return (int)size;
}

/* Length of what stands at the front, as modbus_frame_length(). */
static int front_length(const struct modbus_tcp *tcp, size_t at) {
    const uint8_t *bytes = tcp->rx + at;
    size_t length = tcp->rx_length - at;
    return is_rtu(tcp) ? modbus_rtu_reply_length(&tcp->request, bytes, length)
                       : modbus_frame_length(bytes, length);
}

/* A frame, and no surplus bytes: in RTU the next one like it could be taken for an answer. */
static bool is_whole_rtu(const struct modbus_tcp *tcp, size_t at) {
    int length = is_rtu(tcp) ? front_length(tcp, at) : 0;
    return length > 0 && modbus_crc(tcp->rx + at, (size_t)length) == 0;
}

/* Takes one thing off the front. False: nothing whole is there, or the connection is gone. */
static bool take_front(struct modbus_tcp *tcp, size_t *at) {
    if (tcp->stream == NULL || *at >= tcp->rx_length) {
        return false;
    }
    if (tcp->echo_left > 0 && asked(tcp)) {
        if (!take_echo(tcp, at)) {
            refuse(tcp, "no echo of the request", false);
        }
        return tcp->stream != NULL;
    }
    if (!asked(tcp) && tcp->blocks.config->quirks.surplus && !is_whole_rtu(tcp, *at)) {
        *at = tcp->rx_length; /* known of this device, and never looked at */
        return false;
    }
    int length = identity_size(tcp, *at);
    if (length > 0) {
        *at += (size_t)length;
        return true;
    }
    length = length == 0 ? front_length(tcp, *at) : 0;
    if (length < 0) {
        refuse(tcp, is_rtu(tcp) ? "no RTU frame" : "no Modbus TCP frame", false);
        return false;
    }
    if (length > 0) {
        take_frame(tcp, tcp->rx + *at, (size_t)length);
        *at += (size_t)length;
    }
    return length > 0;
}

static void on_read(void *ctx, size_t length) {
    struct modbus_tcp *tcp = ctx;
    const struct modbus_endpoint_config *config = tcp->blocks.config;
    size_t at = 0;
    bool was_open = tcp->open;
    tcp->rx_length += length;
    /* All frames that are here are judged before the next request goes out: what came before a
     * request cannot be its answer. */
    while (take_front(tcp, &at)) {
    }
    bool answered = was_open && !tcp->open;
    if (answered && tcp->stream != NULL && config->quirks.close_after_reply) {
        drop(tcp, false);
    }
    if (tcp->stream != NULL) {
        tcp->rx_length -= at;
        memmove(tcp->rx, tcp->rx + at, tcp->rx_length);
        /* Never full: a frame of the longest kind would have been taken out. */
        loop_stream_set_buffer(tcp->stream, tcp->rx + tcp->rx_length,
                               sizeof(tcp->rx) - tcp->rx_length);
        if (answered) {
            tcp->quiet_us = quiet_until(tcp, config->request_pause_us);
            if (config->idle_close_us > 0) {
                wait_until(tcp, wire_us(tcp) + config->idle_close_us);
            }
        }
    }
    if (answered) {
        endpoint_ready(tcp->blocks.endpoint);
    }
}

static void on_end(void *ctx, int code) {
    struct modbus_tcp *tcp = ctx;
    if (tcp->open || !tcp->heard) {
        lose(tcp, "connection lost",
             code == ERR_CLOSED ? "closed by the device" : loop_stream_why(tcp->stream));
    } else {
        drop(tcp, false); /* a device that hangs up when idle; nothing wrong */
    }
}

static const struct loop_stream_events stream_events = {
    .on_connect = on_connect, .on_read = on_read, .on_end = on_end};

static int connect_now(struct modbus_tcp *tcp) {
    const struct modbus_endpoint_config *config = tcp->blocks.config;
    int result = loop_connect_tcp(tcp->blocks.loop, config->host, config->port, &stream_events, tcp,
                                  &tcp->stream);
    if (result < 0) {
        say_why(tcp, "cannot connect", err_name(result));
        tcp->blocks.stats->connect_failures++;
        drop(tcp, true);
        return ERR_CLOSED;
    }
    enter(tcp, ENDPOINT_CONNECTING);
    wait_until(tcp, wire_us(tcp) + config->connect_timeout_us);
    return 0;
}

/* Connects when it is our turn and the device has had its pause since the last connection. */
static int connect_in_turn(struct modbus_tcp *tcp) {
    int64_t now_us = wire_us(tcp);
    int64_t free_us = tcp->closed_us + tcp->blocks.config->close_pause_us;
    int64_t wait_us = endpoint_connect_wait_us(tcp->blocks.endpoint);
    if (tcp->was_closed && free_us - now_us > wait_us) {
        wait_us = free_us - now_us;
    }
    if (wait_us <= 0) {
        return connect_now(tcp);
    }
    tcp->waiting = true;
    enter(tcp, ENDPOINT_CONNECTING);
    wait_until(tcp, now_us + wait_us);
    return 0;
}

/* The pause before the next step of the open request is over. */
static void go_on(struct modbus_tcp *tcp) {
    tcp->waiting = false;
    if (tcp->stream == NULL) {
        if (connect_now(tcp) < 0) {
            answer(tcp, READING_NO_CONNECTION, 0, true);
            endpoint_ready(tcp->blocks.endpoint);
        }
    } else if (send_request(tcp) < 0) {
        lose(tcp, "cannot send", loop_stream_why(tcp->stream));
    }
}

static void on_due(struct modbus_tcp *tcp) {
    if (tcp->waiting) {
        go_on(tcp);
        return;
    }
    switch (tcp->blocks.stats->state) {
    case ENDPOINT_PAUSED:
        enter(tcp, ENDPOINT_IDLE);
        return;
    case ENDPOINT_CONNECTING:
        say_why(tcp, "cannot connect", "no answer in time");
        tcp->blocks.stats->connect_failures++;
        drop(tcp, true);
        answer(tcp, READING_NO_CONNECTION, 0, true);
        break;
    case ENDPOINT_CONNECTED:
        if (!tcp->open) {
            drop(tcp, false); /* nothing to ask for so long as the configuration says */
            return;
        }
        say_why(tcp, "no reply in time",
                tcp->foreign         ? "only replies to other requests"
                : tcp->rx_length > 0 ? "only a part of one"
                                     : "");
        drop(tcp, false);
        answer(tcp, tcp->foreign ? READING_BAD_REPLY : READING_TIMEOUT, 0, false);
        break;
    case ENDPOINT_IDLE:
        return;
    }
    endpoint_ready(tcp->blocks.endpoint);
}

static void on_timer(void *ctx) {
    struct modbus_tcp *tcp = ctx;
    if (tcp->due_us == never) {
        return;
    }
    if (tcp->due_us > tcp->armed_us) {
        wait_until(tcp, tcp->due_us);
        return;
    }
    tcp->due_us = never;
    on_due(tcp);
}

static int tcp_request(void *line, uint32_t block) {
    struct modbus_tcp *tcp = line;
    int result = 0;
    if (tcp->blocks.stats->state == ENDPOINT_PAUSED) {
        return ERR_CLOSED;
    }
    if (tcp->blocks.stats->state == ENDPOINT_CONNECTED && tcp->rx_length > 0) {
        /* Half a frame that nobody asked for: whatever follows cannot be told from an answer. */
        tcp->blocks.stats->bad_replies++;
        say_why(tcp, "bad reply", "bytes without a request");
        drop(tcp, false);
    }
    tcp->block = block;
    if (tcp->stream == NULL && tcp->blocks.config->transport == MODBUS_DIAL_IN) {
        say_why(tcp, "the station has not dialled in", "");
        result = ERR_CLOSED;
    } else if (tcp->blocks.stats->state == ENDPOINT_IDLE) {
        result = connect_in_turn(tcp);
    } else if (send_when_quiet(tcp) < 0) {
        say_why(tcp, "cannot send", loop_stream_why(tcp->stream));
        tcp->blocks.stats->lost++;
        drop(tcp, !tcp->heard);
        result = ERR_CLOSED;
    }
    tcp->open = result == 0;
    return result;
}

static int64_t tcp_aside_cost_us(const void *line) {
    const struct modbus_tcp *tcp = line;
    const struct modbus_endpoint_config *config = tcp->blocks.config;
    int64_t cost_us =
        config->request_timeout_us + config->request_pause_us + config->close_pause_us;
    return tcp->blocks.stats->state == ENDPOINT_CONNECTED
               ? cost_us
               : cost_us + config->connect_timeout_us + config->connect_pause_us +
                     config->reconnect_min_us;
}

void modbus_tcp_adopt(void *line, struct loop_stream *stream) {
    struct modbus_tcp *tcp = line;
    if (tcp->stream != NULL) {
        lose(tcp, "connection replaced", "the station dialled in again");
    }
    tcp->stream = stream;
    loop_stream_set_events(stream, &stream_events, tcp);
    begin_connection(tcp);
    endpoint_ready(tcp->blocks.endpoint);
}

static void tcp_close(void *line) {
    struct modbus_tcp *tcp = line;
    if (tcp != NULL) {
        (void)loop_stream_close(tcp->stream);
        loop_timer_finish(&tcp->timer);
        modbus_blocks_finish(&tcp->blocks);
        free(tcp);
    }
}

static int tcp_open(struct loop *loop, const void *config, struct endpoint *endpoint,
                    struct endpoint_stats *stats, struct line_policy *ret_policy, void **ret_line) {
    const struct modbus_endpoint_config *endpoint_config = config;
    struct modbus_tcp *tcp = calloc(1, sizeof(*tcp));
    if (tcp == NULL) {
        return ERR_MEMORY;
    }
    tcp->random = hash_spread(endpoint_config->host) ^ hash_spread(endpoint_config->id) ^ 1;
    tcp->random += tcp->random == 0;
    tcp->due_us = never;
    /* Not from 0 everywhere: two programs that ask through one gateway should differ. */
    tcp->transaction = (uint16_t)(tcp->random >> 16);
    int result =
        modbus_blocks_init(loop, endpoint_config, endpoint, stats, &tcp->blocks, ret_policy);
    if (result == 0) {
        result = loop_timer_init(loop, LOOP_WIRE, on_timer, tcp, &tcp->timer);
    }
    if (result < 0) {
        tcp_close(tcp);
        return result;
    }
    *ret_line = tcp;
    return 0;
}

const struct driver modbus_tcp_driver = {
    .name = "modbus-tcp",
    .open = tcp_open,
    .block = modbus_blocks_block,
    .point = modbus_blocks_point,
    .request = tcp_request,
    .set_aside = modbus_blocks_set_aside,
    .aside_data = modbus_blocks_aside_data,
    .aside_cost_us = tcp_aside_cost_us,
    .decode = modbus_blocks_decode,
    .cut = modbus_blocks_cut,
    .rejoin = modbus_blocks_rejoin,
    .rebind = modbus_blocks_rebind,
    .close = tcp_close,
};
