/* Modbus over TCP, in either framing: one connection, one request in flight.
 *
 * Every request has one hard deadline, counted from its send. After a timeout, and after anything
 * that breaks the protocol, the connection is closed, so that nothing late can ever be taken for
 * something new. A failed connect, and a connection that ends without one good reply, is followed
 * by a pause that doubles; a timeout is not: that unit's own back-off is the scheduler's business,
 * and the other units of the endpoint must not wait for it. Connections are made when there is
 * something to ask. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "drivers/line.h"
#include "drivers/modbus/decode.h"
#include "drivers/modbus/pdu.h"
#include "drivers/modbus/plan.h"
#include "drivers/modbus/rtu.h"

enum { EXCEPTION_FAILURE = 4, EXCEPTION_NO_PATH = 10, EXCEPTION_NO_TARGET = 11 };

struct modbus_tcp {
    struct loop *loop;
    struct endpoint *endpoint;
    struct endpoint_stats *stats;
    const struct modbus_endpoint_config *config;
    struct modbus_plan plan;
    bool *told; /* per map of the plan: its refusal, or a cut behind it, was told */
    struct loop_stream *stream;
    struct loop_timer timer; /* of the state: connect deadline, request deadline, end of pause */
    bool open;               /* a request is taken and not answered */
    bool heard;              /* a good reply came on this connection */
    bool foreign;            /* a foreign frame came since the send */
    uint32_t level;          /* of the reconnect back-off */
    uint64_t random;
    uint32_t block;
    struct modbus_request request;
    struct mono_us sent;
    const uint8_t *data; /* of the reply being answered */
    size_t rx_length;
    uint8_t rx[MODBUS_FRAME_MAX];
};

static void enter(struct modbus_tcp *tcp, enum endpoint_state state) {
    if (tcp->stats->state != state) {
        tcp->stats->state = state;
        tcp->stats->since = clock_now(loop_clock(tcp->loop));
    }
}

static void say_why(struct modbus_tcp *tcp, const char *what, const char *detail) {
    (void)snprintf(tcp->stats->why, sizeof(tcp->stats->why), "%s%s%s", what,
                   detail[0] != '\0' ? ": " : "", detail);
}

/* Lets the connection go; with `pause` the next one has to wait. */
static void drop(struct modbus_tcp *tcp, bool pause) {
    tcp->stream = loop_stream_close(tcp->stream);
    tcp->rx_length = 0;
    loop_timer_stop(&tcp->timer);
    if (!pause) {
        enter(tcp, ENDPOINT_IDLE);
        return;
    }
    loop_timer_start_in(&tcp->timer,
                        line_backoff_us(tcp->config->reconnect_min_us,
                                        tcp->config->reconnect_max_us, tcp->level, &tcp->random));
    tcp->level++;
    enter(tcp, ENDPOINT_PAUSED);
}

/* Answers the open request; the line may be asked again only after endpoint_ready(). */
static void answer(struct modbus_tcp *tcp, enum reading_status status, uint8_t exception,
                   bool unit_alive) {
    bool came = status == READING_OK || status == READING_EXCEPTION;
    struct line_answer line_answer = {
        .status = status,
        .exception = exception,
        .round_trip_us = came ? clock_wire(loop_clock(tcp->loop)).us - tcp->sent.us : -1,
        .unit_alive = unit_alive};
    tcp->open = false;
    endpoint_answer(tcp->endpoint, &line_answer);
}

static bool is_rtu(const struct modbus_tcp *tcp) {
    return tcp->config->framing == MODBUS_FRAMING_RTU;
}

static int send_request(struct modbus_tcp *tcp) {
    const struct modbus_block *block = &tcp->plan.blocks[tcp->block];
    uint8_t frame[MODBUS_REQUEST_SIZE];
    size_t size = is_rtu(tcp) ? MODBUS_RTU_REQUEST_SIZE : MODBUS_REQUEST_SIZE;
    tcp->request = (struct modbus_request){.transaction = (uint16_t)(tcp->request.transaction + 1),
                                           .unit = tcp->config->units[block->unit].unit,
                                           .table = block->table,
                                           .start = block->start,
                                           .count = block->count};
    if (is_rtu(tcp)) {
        modbus_rtu_request_build(&tcp->request, frame);
    } else {
        modbus_request_build(&tcp->request, frame);
    }
    tcp->foreign = false;
    tcp->sent = clock_wire(loop_clock(tcp->loop));
    int result = loop_stream_write(tcp->stream, frame, size);
    if (result < 0) {
        return result;
    }
    tcp->stats->polls++;
    loop_timer_start_at(&tcp->timer,
                        (struct mono_us){tcp->sent.us + tcp->config->request_timeout_us});
    return 0;
}

/* The connection ended under us, or could not be used. */
static void lose(struct modbus_tcp *tcp, const char *what, const char *detail) {
    bool open = tcp->open;
    say_why(tcp, what, detail);
    drop(tcp, !tcp->heard);
    if (open) {
        tcp->stats->lost++;
        /* A gateway may hang up because of this one unit, so that it counts against it. */
        answer(tcp, READING_NO_CONNECTION, 0, false);
        endpoint_ready(tcp->endpoint);
    }
}

static void on_connect(void *ctx, int result) {
    struct modbus_tcp *tcp = ctx;
    if (result < 0) {
        say_why(tcp, "cannot connect", loop_stream_why(tcp->stream));
        tcp->stats->connect_failures++;
        drop(tcp, true);
        answer(tcp, READING_NO_CONNECTION, 0, true); /* says nothing about the unit */
        endpoint_ready(tcp->endpoint);
        return;
    }
    tcp->stats->connects++;
    tcp->heard = false;
    enter(tcp, ENDPOINT_CONNECTED);
    loop_stream_set_buffer(tcp->stream, tcp->rx, sizeof(tcp->rx));
    if (send_request(tcp) < 0) {
        lose(tcp, "cannot send", loop_stream_why(tcp->stream));
    }
}

/* The open request got `frame` for an answer, or for something else. */
static void take_frame(struct modbus_tcp *tcp, const uint8_t *frame, size_t length) {
    if (!tcp->open) {
        tcp->stats->foreign_replies++;
        if (is_rtu(tcp)) {
            /* The next one of these could be taken for an answer: nothing in it tells. */
            say_why(tcp, "bad reply", "a frame without a request");
            drop(tcp, false);
        }
        return;
    }
    struct modbus_reply reply = is_rtu(tcp) ? modbus_rtu_reply_parse(&tcp->request, frame, length)
                                            : modbus_reply_parse(&tcp->request, frame, length);
    switch (reply.verdict) {
    case MODBUS_REPLY_FOREIGN:
        tcp->stats->foreign_replies++;
        tcp->foreign = true; /* and wait on, until the same deadline */
        return;
    case MODBUS_REPLY_VALUES:
        loop_timer_stop(&tcp->timer);
        tcp->heard = true;
        tcp->level = 0;
        tcp->data = reply.data;
        answer(tcp, READING_OK, 0, true);
        tcp->data = NULL;
        return;
    case MODBUS_REPLY_EXCEPTION:
        loop_timer_stop(&tcp->timer);
        tcp->heard = true;
        tcp->level = 0;
        say_why(tcp, "exception", modbus_exception_name(reply.exception));
        answer(tcp, READING_EXCEPTION, reply.exception,
               reply.exception != EXCEPTION_FAILURE && reply.exception != EXCEPTION_NO_PATH &&
                   reply.exception != EXCEPTION_NO_TARGET);
        return;
    case MODBUS_REPLY_BAD:
        tcp->stats->bad_replies++;
        say_why(tcp, "bad reply", reply.fault);
        drop(tcp, false);
        answer(tcp, READING_BAD_REPLY, 0, false);
        return;
    }
}

static void on_read(void *ctx, size_t length) {
    struct modbus_tcp *tcp = ctx;
    size_t at = 0;
    bool was_open = tcp->open;
    tcp->rx_length += length;
    /* All frames that are here are judged before the next request goes out: what came before a
     * request cannot be its answer. */
    while (tcp->stream != NULL && at < tcp->rx_length) {
        int frame_length = is_rtu(tcp) ? modbus_rtu_frame_length(tcp->rx + at, tcp->rx_length - at)
                                       : modbus_frame_length(tcp->rx + at, tcp->rx_length - at);
        if (frame_length == 0) {
            break;
        }
        if (frame_length < 0) {
            tcp->stats->bad_replies++;
            say_why(tcp, "bad reply", is_rtu(tcp) ? "no RTU frame" : "no Modbus TCP frame");
            drop(tcp, false);
            if (tcp->open) {
                answer(tcp, READING_BAD_REPLY, 0, false);
            }
            break;
        }
        take_frame(tcp, tcp->rx + at, (size_t)frame_length);
        at += (size_t)frame_length;
    }
    if (tcp->stream != NULL) {
        tcp->rx_length -= at;
        memmove(tcp->rx, tcp->rx + at, tcp->rx_length);
        /* Never full: a frame of the longest kind would have been taken out. */
        loop_stream_set_buffer(tcp->stream, tcp->rx + tcp->rx_length,
                               sizeof(tcp->rx) - tcp->rx_length);
    }
    if (was_open && !tcp->open) {
        endpoint_ready(tcp->endpoint);
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

static void on_timer(void *ctx) {
    struct modbus_tcp *tcp = ctx;
    switch (tcp->stats->state) {
    case ENDPOINT_PAUSED:
        enter(tcp, ENDPOINT_IDLE);
        return;
    case ENDPOINT_CONNECTING:
        say_why(tcp, "cannot connect", "no answer in time");
        tcp->stats->connect_failures++;
        drop(tcp, true);
        answer(tcp, READING_NO_CONNECTION, 0, true);
        break;
    case ENDPOINT_CONNECTED:
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
    endpoint_ready(tcp->endpoint);
}

static int start_connect(struct modbus_tcp *tcp) {
    int result = loop_connect_tcp(tcp->loop, tcp->config->host, tcp->config->port, &stream_events,
                                  tcp, &tcp->stream);
    if (result < 0) {
        say_why(tcp, "cannot connect", err_name(result));
        tcp->stats->connect_failures++;
        drop(tcp, true);
        return ERR_CLOSED;
    }
    enter(tcp, ENDPOINT_CONNECTING);
    loop_timer_start_in(&tcp->timer, tcp->config->connect_timeout_us);
    return 0;
}

static int tcp_request(void *line, uint32_t block) {
    struct modbus_tcp *tcp = line;
    int result = 0;
    if (tcp->stats->state == ENDPOINT_PAUSED) {
        return ERR_CLOSED;
    }
    if (tcp->stats->state == ENDPOINT_CONNECTED && tcp->rx_length > 0) {
        /* Half a frame that nobody asked for: whatever follows cannot be told from an answer. */
        tcp->stats->bad_replies++;
        say_why(tcp, "bad reply", "bytes without a request");
        drop(tcp, false);
    }
    tcp->block = block;
    if (tcp->stats->state == ENDPOINT_IDLE) {
        result = start_connect(tcp);
    } else if (send_request(tcp) < 0) {
        say_why(tcp, "cannot send", loop_stream_why(tcp->stream));
        tcp->stats->lost++;
        drop(tcp, !tcp->heard);
        result = ERR_CLOSED;
    }
    tcp->open = result == 0;
    return result;
}

static struct line_block tcp_block(const void *line, uint32_t block) {
    const struct modbus_tcp *tcp = line;
    const struct modbus_block *about = &tcp->plan.blocks[block];
    return (struct line_block){
        .unit = about->unit, .point_count = about->map_count, .period_us = about->period_us};
}

static const struct modbus_map *map_of(const struct modbus_tcp *tcp, uint32_t block,
                                       uint32_t index) {
    return &tcp->plan.maps[tcp->plan.blocks[block].first_map + index];
}

static struct line_point tcp_point(const void *line, uint32_t block, uint32_t index) {
    const struct modbus_map *map = map_of(line, block, index);
    return (struct line_point){.point = map->point, .station = map->station};
}

static void tcp_decode(const void *line, uint32_t block, uint32_t index,
                       struct reading *ret_reading) {
    const struct modbus_tcp *tcp = line;
    modbus_decode_from(map_of(tcp, block, index), tcp->plan.blocks[block].start, tcp->data,
                       ret_reading);
}

static bool tcp_cut(void *line, uint32_t block, uint8_t exception,
                    char ret_advice[LINE_ADVICE_SIZE]) {
    struct modbus_tcp *tcp = line;
    struct modbus_block refused = tcp->plan.blocks[block];
    const char *table = modbus_table_name(refused.table);
    unsigned unit = tcp->config->units[refused.unit].unit;
    uint16_t gap = 0;
    bool is_cut = modbus_plan_cut(&tcp->plan, block, &gap);
    uint32_t place = refused.first_map + tcp->plan.blocks[block].map_count - 1;
    ret_advice[0] = '\0';
    if (tcp->told[place]) {
        return is_cut;
    }
    if (!is_cut) {
        (void)snprintf(
            ret_advice, LINE_ADVICE_SIZE,
            "unit %u: %s %u is refused by itself (%s): correct register.address, or keep it "
            "out of other requests with 'alone: true' at its register",
            unit, table, refused.start, modbus_exception_name(exception));
    } else if (gap > 0) {
        (void)snprintf(
            ret_advice, LINE_ADVICE_SIZE,
            "unit %u: %s %u to %u are refused in one request (%s) and asked in parts from "
            "now on; 'gap_registers: %u' in its connection avoids reading the gap of %u",
            unit, table, refused.start, refused.start + refused.count - 1u,
            modbus_exception_name(exception),
            modbus_table_is_bits(refused.table) ? (gap - 1u) / 16 : gap - 1u, gap);
    } else {
        (void)snprintf(
            ret_advice, LINE_ADVICE_SIZE,
            "unit %u: %s %u to %u are refused in one request (%s) and asked in parts from "
            "now on; unless one of them is refused by itself, the device wants shorter "
            "requests: 'registers_max' in its connection",
            unit, table, refused.start, refused.start + refused.count - 1u,
            modbus_exception_name(exception));
    }
    tcp->told[place] = true;
    return is_cut;
}

static void tcp_rejoin(void *line) {
    struct modbus_tcp *tcp = line;
    modbus_plan_rejoin(&tcp->plan);
}

static void tcp_close(void *line) {
    struct modbus_tcp *tcp = line;
    if (tcp != NULL) {
        (void)loop_stream_close(tcp->stream);
        loop_timer_finish(&tcp->timer);
        modbus_plan_finish(&tcp->plan);
        free(tcp->told);
        free(tcp);
    }
}

static int tcp_open(struct loop *loop, const void *config, struct endpoint *endpoint,
                    struct endpoint_stats *stats, struct line_policy *ret_policy, void **ret_line) {
    struct modbus_tcp *tcp = calloc(1, sizeof(*tcp));
    if (tcp == NULL) {
        return ERR_MEMORY;
    }
    tcp->loop = loop;
    tcp->endpoint = endpoint;
    tcp->stats = stats;
    tcp->config = config;
    tcp->random = hash_spread(tcp->config->host) ^ hash_spread(tcp->config->id) ^ 1;
    tcp->random += tcp->random == 0;
    /* Not from 0 everywhere: two programs that ask through one gateway should differ. */
    tcp->request.transaction = (uint16_t)(tcp->random >> 16);
    int result = modbus_plan_init(tcp->config, &tcp->plan);
    if (result == 0) {
        tcp->told = calloc(tcp->plan.map_count, sizeof(*tcp->told));
        result = tcp->told == NULL ? ERR_MEMORY : 0;
    }
    if (result == 0) {
        result = loop_timer_init(loop, LOOP_WIRE, on_timer, tcp, &tcp->timer);
    }
    if (result < 0) {
        tcp_close(tcp);
        return result;
    }
    *ret_policy = (struct line_policy){.id = tcp->config->id,
                                       .unit_count = (uint32_t)tcp->config->unit_count,
                                       .block_count = (uint32_t)tcp->plan.block_count,
                                       .block_max = (uint32_t)tcp->plan.map_count,
                                       .dead_after = tcp->config->dead_after,
                                       .probe_min_us = tcp->config->probe_min_us,
                                       .probe_max_us = tcp->config->probe_max_us};
    *ret_line = tcp;
    return 0;
}

const struct driver modbus_tcp_driver = {
    .name = "modbus-tcp",
    .open = tcp_open,
    .block = tcp_block,
    .point = tcp_point,
    .request = tcp_request,
    .decode = tcp_decode,
    .cut = tcp_cut,
    .rejoin = tcp_rejoin,
    .close = tcp_close,
};
