/* Whole sessions of the acquisition over TCP, in either framing, with and without quirks: the input
 * decides, request by request, what the peer sends, in what pieces and after which delays, and when
 * it hangs up. A value that comes out must be the one of its place: registers are coded with unit
 * and address, and what the peer makes up has no byte 0, so that it can be no answer.
 *
 * Input: options (1 byte), then for each thing that the peer does: what (1), a number (1), a delay
 * (1), a size of pieces (1). Time is virtual. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/driver.h"
#include "drivers/modbus/rtu.h"

enum { UNITS = 2, MAPS = 3, POINTS = UNITS * MAPS, STEP_SIZE = 4, STEPS_MAX = 64, PORT = 502 };

enum step {
    STEP_ANSWER,
    STEP_MUTATED, /* one byte of the frame's head or tail is another */
    STEP_CUT,     /* the first so many bytes */
    STEP_TWICE,
    STEP_NOISE, /* bytes without 0, then nothing */
    STEP_SILENCE,
    STEP_EXCEPTION,
    STEP_HANG_UP, /* behind a part of the answer */
    STEP_ECHO,    /* the request, then the answer */
    STEP_LATER,   /* noise long after the answer, perhaps between requests */
    STEPS
};

struct session {
    const uint8_t *steps;
    size_t left;
    struct loop *loop;
    struct loop_stream *stream;
    struct loop_timer timer;
    bool rtu;
    int64_t delay_us;
    size_t chunk;
    size_t later; /* bytes of noise that wait for the timer */
    uint8_t buffer[64];
    size_t length;
    uint64_t readings;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition) {
    if (!condition) {
        abort();
    }
}

static uint16_t coded(unsigned unit, unsigned address) {
    return (uint16_t)(unit << 12 | (address + 0x101));
}

static struct loop_shape shape(void *ctx, enum loop_shape_kind kind, uint16_t port, size_t length) {
    struct session *session = ctx;
    (void)port;
    (void)length;
    if (kind != LOOP_SHAPE_TO_CONNECTOR) {
        return (struct loop_shape){.delay_us = 100};
    }
    return (struct loop_shape){.delay_us = session->delay_us, .chunk = session->chunk};
}

static void send_bytes(struct session *session, const uint8_t *bytes, size_t length) {
    if (session->stream != NULL && length > 0) {
        (void)loop_stream_write(session->stream, bytes, length); /* it may be gone */
    }
}

static void send_noise(struct session *session, size_t count, uint8_t seed) {
    uint8_t bytes[256];
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(1 + (seed + i * 7) % 255);
    }
    send_bytes(session, bytes, count);
}

static void on_later(void *ctx) {
    struct session *session = ctx;
    send_noise(session, session->later, 3);
}

static size_t make_answer(const struct session *session, const uint8_t *request, bool exception,
                          uint8_t ret_frame[300]) {
    const uint8_t *pdu = request + (session->rtu ? 0 : 6);
    unsigned start = (unsigned)pdu[2] << 8 | pdu[3], count = (unsigned)pdu[4] << 8 | pdu[5];
    uint8_t *out = ret_frame + (session->rtu ? 0 : 6);
    size_t length = 3;
    out[0] = pdu[0];
    out[1] = exception ? 0x83 : 3;
    /* A block that is cut would give requests of one length, which RTU cannot tell apart. */
    out[2] = exception ? (session->rtu ? 4 : 2) : (uint8_t)(2 * count);
    for (unsigned i = 0; i < count && !exception; i++) {
        uint16_t value = coded(pdu[0], start + i);
        out[length++] = (uint8_t)(value >> 8);
        out[length++] = (uint8_t)value;
    }
    if (session->rtu) {
        uint16_t crc = modbus_crc(out, length);
        out[length++] = (uint8_t)crc;
        out[length++] = (uint8_t)(crc >> 8);
        return length;
    }
    memcpy(ret_frame, request, 4);
    ret_frame[4] = 0;
    ret_frame[5] = (uint8_t)length;
    return length + 6;
}

/* Head and tail only: a value that is another one in a frame that is right cannot be seen by
 * anybody over TCP. */
static void mutate(const struct session *session, uint8_t *frame, size_t length, uint8_t number) {
    size_t head = session->rtu ? 3 : 9;
    size_t places = session->rtu ? head + 2 : head;
    size_t at = number % places;
    at = at < head ? at : length - 1 - (at - head);
    frame[at] = (uint8_t)(frame[at] ^ (1 + number / places));
}

static void hang_up(struct session *session) {
    session->stream = loop_stream_close(session->stream);
    session->length = 0;
}

static void act(struct session *session, const uint8_t *request, size_t request_size) {
    static const uint8_t quiet[STEP_SIZE] = {STEP_ANSWER, 0, 0, 0};
    const uint8_t *step = session->left >= STEP_SIZE ? session->steps : quiet;
    if (session->left >= STEP_SIZE) {
        session->steps += STEP_SIZE;
        session->left -= STEP_SIZE;
    }
    uint8_t number = step[1];
    uint8_t frame[300];
    enum step what = (enum step)(step[0] % STEPS);
    size_t length = make_answer(session, request, what == STEP_EXCEPTION, frame);
    session->delay_us = 100 + step[2] * (int64_t)2000;
    session->chunk = step[3] % 16;
    switch (what) {
    case STEP_MUTATED:
        mutate(session, frame, length, number);
        break;
    case STEP_CUT:
        length = number % length;
        loop_timer_stop(&session->timer); /* noise that completes it could be no other's fault */
        break;
    case STEP_TWICE:
        send_bytes(session, frame, length);
        break;
    case STEP_NOISE:
        send_noise(session, number, step[0]);
        length = 0;
        break;
    case STEP_SILENCE:
        length = 0;
        break;
    case STEP_ECHO:
        send_bytes(session, request, request_size);
        break;
    case STEP_LATER:
        session->later = 1 + number;
        loop_timer_start_in(&session->timer, number * (int64_t)10000);
        break;
    default:
        break;
    }
    if (what == STEP_HANG_UP) {
        send_bytes(session, frame, number % (length + 1));
        hang_up(session);
        return;
    }
    send_bytes(session, frame, length);
}

static void on_read(void *ctx, size_t length) {
    struct session *session = ctx;
    size_t size = session->rtu ? MODBUS_RTU_REQUEST_SIZE : MODBUS_REQUEST_SIZE;
    session->length += length;
    while (session->stream != NULL && session->length >= size) {
        uint8_t request[MODBUS_REQUEST_SIZE];
        memcpy(request, session->buffer, size);
        session->length -= size;
        memmove(session->buffer, session->buffer + size, session->length);
        act(session, request, size);
    }
    if (session->stream != NULL) {
        loop_stream_set_buffer(session->stream, session->buffer + session->length,
                               sizeof(session->buffer) - session->length);
    }
}

static void on_end(void *ctx, int code) {
    (void)code;
    hang_up(ctx);
}

static const struct loop_stream_events events = {.on_read = on_read, .on_end = on_end};

static void on_accept(void *ctx, struct loop_stream *stream) {
    struct session *session = ctx;
    hang_up(session);
    session->stream = stream;
    loop_stream_set_events(stream, &events, session);
    loop_stream_set_buffer(stream, session->buffer, sizeof(session->buffer));
}

static const uint16_t addresses[MAPS] = {0, 1, 40}; /* two requests of different lengths */

static void on_readings(void *ctx, const struct reading *readings, size_t count) {
    struct session *session = ctx;
    for (size_t i = 0; i < count; i++) {
        const struct reading *reading = &readings[i];
        demand(reading->seq == ++session->readings);
        demand((reading->status == READING_OK) == (isfinite(reading->value) != 0));
        if (reading->status == READING_OK) {
            demand(reading->value ==
                   coded(1 + reading->point / MAPS, addresses[reading->point % MAPS]));
        }
    }
}

static void make_config(uint8_t options, struct modbus_endpoint_config *ret_endpoint,
                        struct modbus_unit_config units[UNITS], struct modbus_map maps[POINTS]) {
    modbus_endpoint_defaults(ret_endpoint);
    memcpy(ret_endpoint->id, "peer", 5);
    memcpy(ret_endpoint->host, "10.0.0.1", 9);
    ret_endpoint->port = PORT;
    ret_endpoint->framing = (options & 1) != 0 ? MODBUS_FRAMING_RTU : MODBUS_FRAMING_TCP;
    ret_endpoint->request_timeout_us = 200000;
    ret_endpoint->reconnect_min_us = ret_endpoint->probe_min_us = 50000;
    ret_endpoint->reconnect_max_us = ret_endpoint->probe_max_us = 500000;
    ret_endpoint->quirks = (struct modbus_quirks){.surplus = (options & 2) != 0,
                                                  .byte_count = (options & 4) != 0,
                                                  .echo = (options & 9) == 9,
                                                  .close_after_reply = (options & 16) != 0};
    ret_endpoint->idle_close_us = (options & 32) != 0 ? 100000 : 0;
    ret_endpoint->request_pause_us = (options & 64) != 0 ? 30000 : 0;
    ret_endpoint->connect_pause_us = (options & 128) != 0 ? 20000 : 0;
    ret_endpoint->unit_count = UNITS;
    ret_endpoint->units = units;
    for (uint32_t i = 0; i < POINTS; i++) {
        maps[i] = (struct modbus_map){.point = i,
                                      .table = MODBUS_HOLDING,
                                      .address = addresses[i % MAPS],
                                      .type = MODBUS_UINT16,
                                      .scale = 1,
                                      .period_us = 500000};
    }
    for (uint32_t i = 0; i < UNITS; i++) {
        units[i] = (struct modbus_unit_config){
            .unit = (uint8_t)(1 + i), .map_count = MAPS, .maps = maps + i * MAPS};
        /* 0 and 1 are read together, 40 by itself */
        units[i].gap_registers = 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct modbus_endpoint_config endpoint;
    struct modbus_unit_config units[UNITS];
    struct modbus_map maps[POINTS];
    struct modbus_config config = {.endpoint_count = 1, .endpoints = &endpoint};
    struct clock *clock = NULL;
    struct loop_listener *listener = NULL;
    struct acquisition *acquisition = NULL;
    if (size < 1) {
        return 0;
    }
    struct session session = {.steps = data + 1, .left = size - 1};
    if (session.left > STEPS_MAX * STEP_SIZE) {
        session.left = STEPS_MAX * STEP_SIZE;
    }
    make_config(data[0], &endpoint, units, maps);
    session.rtu = endpoint.framing == MODBUS_FRAMING_RTU;
    demand(modbus_config_check(&config, POINTS, 1, NULL) == 0);
    demand(clock_create_virtual((struct utc_us){0}, &clock) == 0);
    demand(loop_create(clock, &session.loop) == 0);
    loop_set_shape(session.loop, shape, &session);
    demand(loop_timer_init(session.loop, LOOP_WIRE, on_later, &session, &session.timer) == 0);
    demand(loop_listen_tcp(session.loop, "10.0.0.1", PORT, on_accept, &session, &listener) == 0);
    struct acquisition_options options = {.loop = session.loop,
                                          .modbus = &config,
                                          .station_count = 1,
                                          .on_readings = on_readings,
                                          .ctx = &session};
    demand(acquisition_create(&options, &acquisition, NULL) == 0);
    acquisition_start(acquisition);
    demand(loop_run_for(session.loop, 12000000) == 0);
    demand(session.readings > 0);
    (void)acquisition_destroy(acquisition);
    loop_timer_finish(&session.timer);
    (void)loop_destroy(session.loop);
    (void)clock_destroy(clock);
    return 0;
}
