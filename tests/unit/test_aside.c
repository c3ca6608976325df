/* Reads beside the schedule, in virtual time, against a peer of this file's own: however late or
 * never they are answered, every point's request goes out at the same instant as without them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "drivers/driver.h"

enum { REQUESTS_MAX = 4096, UNITS = 2, LIVE_START = 0, ASIDE_START = 1000, READS = 4 };
static const int64_t second = 1000000;
static const int64_t timeout_us = 300000;

enum manner { PROMPT, SLOW, SILENT, HANGING_UP, REFUSING, RANDOM };

struct world {
    struct clock *clock;
    struct loop *loop;
    struct acquisition *acquisition;
    struct loop_listener *listener;
    struct loop_stream *stream;
    uint8_t buffer[64];
    size_t length;
    enum manner manner; /* of answers to reads aside */
    uint64_t random;
    int64_t delay_us;
    int64_t sent_us[REQUESTS_MAX]; /* requests of points */
    int sent, asides, answers, values;
    bool ask;
    struct aside_read reads[READS];
};

static struct world world;

static uint32_t dice(uint32_t sides) {
    world.random = world.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(world.random >> 33) % sides;
}

static struct loop_shape shape(void *ctx, enum loop_shape_kind kind, uint16_t port, size_t length) {
    struct loop_shape result = {.delay_us = 500};
    (void)ctx;
    (void)port;
    (void)length;
    if (kind != LOOP_SHAPE_CONNECT && kind != LOOP_SHAPE_TO_LISTENER) {
        result.delay_us = world.delay_us;
    }
    return result;
}

static void hang_up(void) {
    world.stream = loop_stream_close(world.stream);
    world.length = 0;
}

static void on_request(const uint8_t *request) {
    uint8_t frame[300];
    unsigned start = (unsigned)request[8] << 8 | request[9];
    unsigned count = (unsigned)request[10] << 8 | request[11];
    size_t length = 9 + (size_t)count * 2;
    enum manner manner = PROMPT;
    memset(frame, 0, sizeof frame);
    memcpy(frame, request, 8);
    frame[4] = 0;
    frame[5] = (uint8_t)(3 + count * 2);
    frame[8] = (uint8_t)(count * 2);
    if (start >= ASIDE_START) {
        world.asides++;
        manner = world.manner == RANDOM ? (enum manner)dice(RANDOM) : world.manner;
        frame[9] = (uint8_t)(start - ASIDE_START);
    } else {
        assert_true(world.sent < REQUESTS_MAX);
        world.sent_us[world.sent++] = clock_now(world.clock).mono.us;
    }
    world.delay_us = manner == SLOW ? timeout_us - 2000 : 1000;
    if (manner == HANGING_UP) {
        hang_up();
    } else if (manner == REFUSING) {
        frame[5] = 3;
        frame[7] |= 0x80;
        frame[8] = 2;
        assert_int_equal(loop_stream_write(world.stream, frame, 9), 0);
    } else if (manner != SILENT) {
        assert_int_equal(loop_stream_write(world.stream, frame, length), 0);
    }
}

static void on_peer_read(void *ctx, size_t length) {
    (void)ctx;
    world.length += length;
    if (world.length == 12) {
        world.length = 0;
        on_request(world.buffer);
    }
    if (world.stream != NULL) {
        loop_stream_set_buffer(world.stream, world.buffer + world.length,
                               sizeof world.buffer - world.length);
    }
}

static void on_peer_end(void *ctx, int code) {
    (void)ctx;
    (void)code;
    hang_up();
}

static const struct loop_stream_events peer_events = {.on_read = on_peer_read,
                                                      .on_end = on_peer_end};

static void on_accept(void *ctx, struct loop_stream *stream) {
    (void)ctx;
    (void)loop_stream_close(world.stream);
    world.stream = stream;
    world.length = 0;
    loop_stream_set_events(stream, &peer_events, NULL);
    loop_stream_set_buffer(stream, world.buffer, sizeof world.buffer);
}

static void on_readings(void *ctx, const struct reading *readings, size_t count) {
    (void)ctx;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(readings[i].status, READING_OK); /* no point ever pays for a read aside */
    }
}

/* Asks for the next at once: always one more waits. */
static void on_aside(void *ctx, const struct aside_answer *answer) {
    struct aside_read *read = ctx;
    world.answers++;
    if (answer->status == READING_OK) {
        world.values++;
        assert_int_equal(answer->data[0], read->start - ASIDE_START);
        assert_true(answer->requested.us > 0 && answer->received.utc.us >= answer->requested.us);
    } else {
        assert_null(answer->data);
        assert_int_equal(answer->status == READING_EXCEPTION, answer->exception == 2);
    }
    if (world.ask) {
        read->start = (uint16_t)(ASIDE_START + (read->start - ASIDE_START + 1) % 200);
        acquisition_read_aside(world.acquisition, read);
    }
}

/* Two units behind one connection, points every `period_us`, for a minute. */
static void run(enum manner manner, bool ask, int64_t period_us) {
    static struct modbus_endpoint_config endpoint;
    static struct modbus_unit_config units[UNITS];
    static struct modbus_map maps[UNITS][2];
    struct modbus_config config = {1, &endpoint};
    struct err err;
    memset(&world, 0, sizeof world);
    world.manner = manner;
    world.random = 5;
    assert_int_equal(clock_create_virtual((struct utc_us){second}, &world.clock), 0);
    assert_int_equal(loop_create(world.clock, &world.loop), 0);
    loop_set_shape(world.loop, shape, &world);
    modbus_endpoint_defaults(&endpoint);
    (void)strcpy(endpoint.id, "gateway");
    (void)strcpy(endpoint.host, "10.0.0.1");
    endpoint.request_timeout_us = timeout_us;
    endpoint.connect_timeout_us = 200000;
    endpoint.unit_count = UNITS;
    endpoint.units = units;
    for (uint32_t i = 0; i < UNITS; i++) {
        units[i] =
            (struct modbus_unit_config){.unit = (uint8_t)(i + 1), .map_count = 2, .maps = maps[i]};
        for (uint32_t k = 0; k < 2; k++) { /* two requests, one of another period */
            maps[i][k] = (struct modbus_map){.point = i * 2 + k,
                                             .station = i,
                                             .table = k == 0 ? MODBUS_HOLDING : MODBUS_INPUT,
                                             .address = LIVE_START,
                                             .type = MODBUS_UINT16,
                                             .scale = 1,
                                             .period_us = period_us * (k == 0 ? 1 : 3)};
        }
    }
    assert_int_equal(modbus_config_check(&config, 4, UNITS, &err), 0);
    assert_int_equal(loop_listen_tcp(world.loop, "10.0.0.1", 502, on_accept, NULL, &world.listener),
                     0);
    struct acquisition_options options = {.loop = world.loop,
                                          .modbus = &config,
                                          .station_count = UNITS,
                                          .on_readings = on_readings,
                                          .ctx = &world};
    assert_int_equal(acquisition_create(&options, &world.acquisition, &err), 0);
    world.ask = ask;
    for (uint32_t i = 0; i < READS && ask; i++) {
        world.reads[i] = (struct aside_read){.unit = i % UNITS,
                                             .table = MODBUS_HOLDING,
                                             .start = (uint16_t)(ASIDE_START + i),
                                             .count = 120,
                                             .on_answer = on_aside,
                                             .ctx = &world.reads[i]};
        acquisition_read_aside(world.acquisition, &world.reads[i]);
    }
    acquisition_start(world.acquisition);
    assert_int_equal(loop_run_for(world.loop, 60 * second), 0);
    for (uint32_t i = 0; i < READS && ask; i++) {
        acquisition_cancel_aside(world.acquisition, &world.reads[i]);
    }
}

static void finish(void) {
    int answers = world.answers;
    assert_int_equal(loop_run_for(world.loop, 5 * second), 0);
    assert_int_equal(world.answers, answers); /* of cancelled reads no answer comes */
    (void)acquisition_destroy(world.acquisition);
    (void)loop_destroy(world.loop);
    (void)clock_destroy(world.clock);
}

static void no_read_aside_ever_delays_a_point(void **state) {
    (void)state;
    static int64_t alone_us[REQUESTS_MAX];
    const int64_t period_us = 2 * second;
    run(PROMPT, false, period_us);
    int alone = world.sent;
    memcpy(alone_us, world.sent_us, sizeof alone_us);
    assert_int_equal(world.asides, 0);
    finish();
    for (int manner = PROMPT; manner <= RANDOM; manner++) {
        run((enum manner)manner, true, period_us);
        assert_int_equal(world.sent, alone);
        bool connected = manner == PROMPT || manner == SLOW || manner == REFUSING;
        for (int i = 0; i < alone; i++) {
            /* To the microsecond; but after a timeout or an end of the stream the connection is
             * made anew, which the virtual network does in half a millisecond each way. */
            assert_in_range(world.sent_us[i] - alone_us[i] + 3000, connected ? 3000 : 2000,
                            connected ? 3000 : 4000);
        }
        /* one that fails waits for the next answer to a point */
        assert_true(world.answers > (connected ? 100 : 25));
        assert_true(world.asides >= world.answers);
        assert_int_equal(manner == PROMPT || manner == SLOW, world.values == world.answers);
        finish();
    }
}

/* Where there is never room the patient wait for ever, the impatient go after a minute: but only
 * when no point's request waits. */
static void without_room_they_wait(void **state) {
    (void)state;
    run(PROMPT, true, timeout_us);
    assert_int_equal(world.asides, 0);
    world.reads[0].impatient = true;
    for (uint32_t i = 0; i < READS; i++) {
        acquisition_read_aside(world.acquisition, &world.reads[i]);
    }
    world.ask = false;
    assert_int_equal(loop_run_for(world.loop, 59 * second), 0);
    assert_int_equal(world.asides, 0);
    assert_int_equal(loop_run_for(world.loop, 3 * second), 0);
    assert_int_equal(world.asides, 1);
    assert_int_equal(world.values, 1);
    for (uint32_t i = 0; i < READS; i++) {
        acquisition_cancel_aside(world.acquisition, &world.reads[i]);
    }
    finish();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_read_aside_ever_delays_a_point),
        cmocka_unit_test(without_room_they_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
