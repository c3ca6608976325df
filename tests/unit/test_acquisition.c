/* The acquisition over the virtual network, against peers that this file implements by itself
 * (they share no code with the driver).
 *
 * Every register value names the place it was read from (endpoint, unit, table, address) and the
 * request that it answers (a number that the peer counts). A hostile frame carries POISON instead.
 * So any value that reaches the wrong point, or the right point too late, is seen. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/driver.h"

enum {
    ENDPOINTS_MAX = 64,
    UNITS = 3,
    MAPS = 5, /* of a unit: three values in holding, two in input registers */
    POINTS_MAX = ENDPOINTS_MAX * UNITS * MAPS,
    POISON = 0xDEAD
};

static const int64_t second = 1000000;

enum manner {
    NORMAL,
    SLOW, /* but in time */
    LATE, /* after the deadline */
    SILENT,
    DRIBBLE,        /* byte by byte, in time */
    DRIBBLE_LATE,   /* byte by byte, beyond the deadline */
    WRONG_ID_FIRST, /* a foreign frame, then the answer */
    WRONG_ID,
    WRONG_UNIT,
    WRONG_PROTOCOL,
    WRONG_LENGTH,
    WRONG_COUNT,
    WRONG_FUNCTION,
    SURPLUS,
    EXCEPTION,
    GATEWAY_EXCEPTION,
    HANG_UP,    /* at a random byte of the answer */
    TWICE,      /* the answer and the same once more */
    OLD_FIRST,  /* the answer to the request before, then this one's */
    HALF_EXTRA, /* the answer and the first bytes of another frame */
    GARBAGE,
    MANNERS
};

struct world;

struct peer {
    struct world *world;
    struct loop_listener *listener;
    struct loop_stream *stream;
    uint32_t number; /* of the endpoint */
    bool hostile;
    bool slow;
    uint32_t dead_unit; /* id of a unit that never answers; 0: none */
    uint32_t serial;    /* of the last request received */
    uint16_t last_transaction;
    uint8_t buffer[64];
    size_t length;
};

struct tally {
    uint64_t readings, good;
    int64_t last_good_us;
    int64_t gap_max_us; /* between two good readings */
};

struct world {
    struct clock *clock;
    struct loop *loop;
    struct acquisition *acquisition;
    uint32_t endpoint_count;
    struct modbus_endpoint_config endpoints[ENDPOINTS_MAX];
    struct modbus_unit_config units[ENDPOINTS_MAX][UNITS];
    struct modbus_map maps[ENDPOINTS_MAX][UNITS][MAPS];
    struct modbus_config config;
    struct peer peers[ENDPOINTS_MAX];
    struct tally tallies[POINTS_MAX];
    uint64_t seqs[ENDPOINTS_MAX];
    uint64_t by_status[READING_STATUS_COUNT];
    uint64_t by_manner[MANNERS];
    uint64_t requests, connects;
    uint64_t random;
    /* how the network carries the next write of a peer */
    int64_t delay_us, step_us;
    size_t chunk;
    bool black_hole;
    bool is_real; /* sockets instead of the virtual network; it has no delays then */
};

static uint32_t dice(struct world *world, uint32_t sides) {
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(world->random >> 33) % sides;
}

static struct loop_shape shape(void *ctx, enum loop_shape_kind kind, uint16_t port, size_t length) {
    struct world *world = ctx;
    (void)port;
    (void)length;
    if (kind == LOOP_SHAPE_CONNECT) {
        world->connects++;
        return (struct loop_shape){.delay_us = world->black_hole ? -1 : 500, .chunk = 0};
    }
    if (kind == LOOP_SHAPE_TO_LISTENER) {
        return (struct loop_shape){.delay_us = 300, .chunk = 1 + dice(world, 12)};
    }
    struct loop_shape result = {.delay_us = world->delay_us, .chunk = world->chunk};
    world->delay_us += world->step_us;
    return result;
}

/* The register pair at an address: which place, which request. */
static uint32_t coded(uint32_t endpoint, uint32_t unit, uint32_t table, uint32_t address,
                      uint32_t serial) {
    return (endpoint << 26) | (unit << 24) | ((table - 3) << 23) | (address << 16) |
           (serial & 0xFFFF);
}

static enum modbus_order order_of(uint32_t address) {
    return (enum modbus_order)(address / 2 % 4);
}

static void put_coded(uint8_t *at, uint32_t value, enum modbus_order order) {
    uint8_t a = (uint8_t)(value >> 24), b = (uint8_t)(value >> 16), c = (uint8_t)(value >> 8),
            d = (uint8_t)value;
    const uint8_t wire[4][4] = {{a, b, c, d}, {c, d, a, b}, {b, a, d, c}, {d, c, b, a}};
    memcpy(at, wire[order], 4);
}

/* The answer to a request, well formed; poisoned ones carry no real value. Returns its length. */
static size_t make_answer(const struct peer *peer, const uint8_t *request, bool poisoned,
                          uint8_t ret_frame[300]) {
    uint32_t start = (uint32_t)request[8] << 8 | request[9];
    uint32_t count = (uint32_t)request[10] << 8 | request[11];
    memcpy(ret_frame, request, 8);
    ret_frame[4] = 0;
    ret_frame[5] = (uint8_t)(3 + count * 2);
    ret_frame[8] = (uint8_t)(count * 2);
    for (uint32_t i = 0; i + 1 < count; i += 2) {
        uint32_t value = poisoned
                             ? (uint32_t)POISON << 16 | POISON
                             : coded(peer->number, request[6], request[7], start + i, peer->serial);
        put_coded(ret_frame + 9 + i * 2, value, order_of(start + i));
    }
    return 9 + count * 2;
}

static void send_frame(struct peer *peer, const uint8_t *frame, size_t length, int64_t delay_us,
                       size_t chunk, int64_t step_us) {
    struct world *world = peer->world;
    world->delay_us = delay_us;
    world->chunk = chunk;
    world->step_us = step_us;
    (void)loop_stream_write(peer->stream, frame, length); /* the other side may be gone */
}

static void hang_up(struct peer *peer) {
    peer->stream = loop_stream_close(peer->stream);
    peer->length = 0;
}

/* A frame that is wrong in one field; everything in it is poison. */
static size_t make_wrong(struct peer *peer, const uint8_t *request, enum manner manner,
                         uint8_t *ret_frame) {
    size_t length = make_answer(peer, request, true, ret_frame);
    uint8_t twist = (uint8_t)(1 + dice(peer->world, 255));
    switch (manner) {
    case WRONG_ID:
    case WRONG_ID_FIRST:
        ret_frame[dice(peer->world, 2)] ^= twist;
        break;
    case WRONG_UNIT:
        ret_frame[6] ^= twist;
        break;
    case WRONG_PROTOCOL:
        ret_frame[2 + dice(peer->world, 2)] ^= twist;
        break;
    case WRONG_LENGTH:
        ret_frame[4 + dice(peer->world, 2)] ^= twist;
        break;
    case WRONG_COUNT:
        ret_frame[8] ^= twist;
        break;
    case WRONG_FUNCTION:
        /* Bit 7 alone would be an exception with too long a body: wrong as well. */
        ret_frame[7] ^= twist;
        break;
    case SURPLUS:
        ret_frame[5] = (uint8_t)(ret_frame[5] + 2);
        memset(ret_frame + length, 0, 2);
        length += 2;
        break;
    case OLD_FIRST:
        ret_frame[0] = (uint8_t)(peer->last_transaction >> 8);
        ret_frame[1] = (uint8_t)peer->last_transaction;
        break;
    default:
        fail();
    }
    return length;
}

static void answer_hostile(struct peer *peer, const uint8_t *request, enum manner manner) {
    struct world *world = peer->world;
    uint8_t frame[300], wrong[300];
    size_t length = make_answer(peer, request, false, frame);
    switch (manner) {
    case NORMAL:
        send_frame(peer, frame, length, 1000, 1 + dice(world, 20), 0);
        break;
    case SLOW:
        send_frame(peer, frame, length, 250000, 0, 0);
        break;
    case LATE:
        send_frame(peer, frame, length, 300000 + dice(world, 2000000), 0, 0);
        break;
    case SILENT:
        break;
    case DRIBBLE:
        send_frame(peer, frame, length, 1000, 1, 5000);
        break;
    case DRIBBLE_LATE:
        send_frame(peer, frame, length, 200000, 1, 90000);
        break;
    case WRONG_ID_FIRST:
    case OLD_FIRST: {
        size_t wrong_length = make_wrong(peer, request, manner, wrong);
        send_frame(peer, wrong, wrong_length, 1000, 1 + dice(world, 20), 0);
        send_frame(peer, frame, length, 50000, 1 + dice(world, 20), 100);
        break;
    }
    case WRONG_ID:
    case WRONG_UNIT:
    case WRONG_PROTOCOL:
    case WRONG_LENGTH:
    case WRONG_COUNT:
    case WRONG_FUNCTION:
    case SURPLUS: {
        size_t wrong_length = make_wrong(peer, request, manner, wrong);
        send_frame(peer, wrong, wrong_length, 1000, dice(world, 20), 0);
        break;
    }
    case EXCEPTION:
    case GATEWAY_EXCEPTION:
        frame[5] = 3;
        frame[7] |= 0x80;
        frame[8] = manner == EXCEPTION ? (uint8_t)(1 + dice(world, 6)) : 11;
        send_frame(peer, frame, 9, 1000, 0, 0);
        break;
    case HANG_UP:
        send_frame(peer, frame, dice(world, (uint32_t)length), 1000, 0, 0);
        hang_up(peer);
        break;
    case TWICE:
        send_frame(peer, frame, length, 1000, 0, 0);
        send_frame(peer, frame, length, 1000 + dice(world, 400000), 0, 0);
        break;
    case HALF_EXTRA:
        send_frame(peer, frame, length, 1000, 0, 0);
        (void)make_answer(peer, request, true, wrong);
        send_frame(peer, wrong, 1 + dice(world, 8), 1000, 0, 0);
        break;
    case GARBAGE:
        for (size_t i = 0; i < sizeof(wrong); i++) {
            wrong[i] = (uint8_t)dice(world, 256);
        }
        wrong[2] |= 1; /* so that it cannot be a frame by chance */
        send_frame(peer, wrong, 1 + dice(world, 299), 1000, 0, 0);
        break;
    case MANNERS:
        fail();
    }
}

static void on_request(struct peer *peer, const uint8_t *request) {
    struct world *world = peer->world;
    uint32_t count = (uint32_t)request[10] << 8 | request[11];
    /* What our program may put on a wire: reads of what was configured, nothing else. */
    assert_int_equal(request[2] << 8 | request[3], 0);
    assert_int_equal(request[4] << 8 | request[5], 6);
    assert_true(request[6] >= 1 && request[6] <= UNITS);
    assert_true(request[7] == 3 || request[7] == 4);
    /* All values of the table, or after an exception a part of them. */
    uint32_t start = (uint32_t)request[8] << 8 | request[9];
    assert_true(count >= 2 && count % 2 == 0 && start % 2 == 0);
    assert_true(start + count <= (request[7] == 3 ? 6 : 4));
    assert_true((start == 0 && count == (request[7] == 3 ? 6 : 4)) || peer->hostile);
    peer->serial++;
    world->requests++;
    if (peer->dead_unit == request[6]) {
        return;
    }
    enum manner manner = peer->slow ? SLOW : NORMAL;
    if (peer->hostile && dice(world, 2) == 0) {
        manner = (enum manner)dice(world, MANNERS);
    }
    world->by_manner[manner]++;
    answer_hostile(peer, request, manner);
    peer->last_transaction = (uint16_t)(request[0] << 8 | request[1]);
}

static void on_peer_read(void *ctx, size_t length) {
    struct peer *peer = ctx;
    peer->length += length;
    while (peer->stream != NULL && peer->length >= 12) {
        uint8_t request[12];
        memcpy(request, peer->buffer, 12);
        memmove(peer->buffer, peer->buffer + 12, peer->length - 12);
        peer->length -= 12;
        /* One request in flight: nothing may stand behind it. */
        assert_int_equal(peer->length, 0);
        on_request(peer, request);
    }
    if (peer->stream != NULL) {
        loop_stream_set_buffer(peer->stream, peer->buffer + peer->length,
                               sizeof(peer->buffer) - peer->length);
    }
}

static void on_peer_end(void *ctx, int code) {
    (void)code;
    hang_up(ctx);
}

static const struct loop_stream_events peer_events = {.on_read = on_peer_read,
                                                      .on_end = on_peer_end};

static void on_peer_accept(void *ctx, struct loop_stream *stream) {
    struct peer *peer = ctx;
    loop_stream_close(peer->stream); /* one connection per endpoint: the old one is over */
    peer->stream = stream;
    peer->length = 0;
    loop_stream_set_events(stream, &peer_events, peer);
    loop_stream_set_buffer(stream, peer->buffer, sizeof(peer->buffer));
}

static void on_readings(void *ctx, const struct reading *readings, size_t count) {
    struct world *world = ctx;
    for (size_t i = 0; i < count; i++) {
        const struct reading *reading = &readings[i];
        uint32_t endpoint = reading->point / (UNITS * MAPS);
        uint32_t unit = reading->point / MAPS % UNITS;
        uint32_t index = reading->point % MAPS;
        struct tally *tally = &world->tallies[reading->point];
        const struct modbus_map *map = &world->maps[endpoint][unit][index];
        tally->readings++;
        world->by_status[reading->status]++;
        assert_int_equal(reading->seq, ++world->seqs[endpoint]);
        if (!world->is_real) {
            assert_int_equal(reading->received.mono.us, clock_now(world->clock).mono.us);
        }
        if (!world->is_real && reading->status == READING_TIMEOUT) {
            /* Each request has its own deadline, whatever came before: 300 ms from its send, which
             * a new connection puts off by half a millisecond. */
            assert_in_range(reading->received.utc.us - reading->requested.us, 300000, 301000);
        }
        assert_int_equal(isnan(reading->value), reading->status != READING_OK);
        assert_int_equal(reading->exception != 0, reading->status == READING_EXCEPTION);
        assert_int_equal(reading->flag,
                         reading->status == READING_OK ? QUALITY_NOT_EVALUATED : QUALITY_MISSING);
        if (reading->status != READING_OK) {
            continue;
        }
        uint32_t want = coded(endpoint, unit + 1, (uint32_t)map->table, map->address,
                              world->peers[endpoint].serial);
        assert_int_equal((uint32_t)reading->value, want);
        assert_true(reading->round_trip_us >= 0);
        assert_true(reading->round_trip_us <= 300000 || world->is_real);
        int64_t now = reading->received.mono.us;
        if (tally->good > 0 && now - tally->last_good_us > tally->gap_max_us) {
            tally->gap_max_us = now - tally->last_good_us;
        }
        tally->good++;
        tally->last_good_us = now;
    }
}

static void world_init_on(struct world *world, uint32_t endpoint_count, uint64_t seed,
                          struct clock *clock) {
    memset(world, 0, sizeof(*world));
    world->random = seed;
    world->endpoint_count = endpoint_count;
    world->clock = clock;
    world->is_real = !clock_is_virtual(clock);
    assert_int_equal(loop_create(world->clock, &world->loop), 0);
    loop_set_shape(world->loop, shape, world);
    for (uint32_t i = 0; i < endpoint_count; i++) {
        struct modbus_endpoint_config *endpoint = &world->endpoints[i];
        modbus_endpoint_defaults(endpoint);
        (void)snprintf(endpoint->id, sizeof(endpoint->id), "station-%u", i);
        (void)snprintf(endpoint->host, sizeof(endpoint->host), "10.0.0.1");
        endpoint->port = (uint16_t)(1000 + i);
        endpoint->request_timeout_us = 300000;
        endpoint->unit_count = UNITS;
        endpoint->units = world->units[i];
        for (uint32_t j = 0; j < UNITS; j++) {
            world->units[i][j] = (struct modbus_unit_config){
                .unit = (uint8_t)(j + 1), .map_count = MAPS, .maps = world->maps[i][j]};
            for (uint32_t k = 0; k < MAPS; k++) {
                uint16_t address = (uint16_t)(2 * (k < 3 ? k : k - 3));
                world->maps[i][j][k] =
                    (struct modbus_map){.point = (i * UNITS + j) * MAPS + k,
                                        .station = i,
                                        .table = k < 3 ? MODBUS_HOLDING : MODBUS_INPUT,
                                        .address = address,
                                        .type = MODBUS_UINT32,
                                        .order = order_of(address),
                                        .scale = 1,
                                        .period_us = 2 * second};
            }
        }
        world->peers[i] = (struct peer){.world = world, .number = i};
    }
    world->config = (struct modbus_config){endpoint_count, world->endpoints};
}

static void world_init(struct world *world, uint32_t endpoint_count, uint64_t seed) {
    struct clock *clock = NULL;
    assert_int_equal(clock_create_virtual((struct utc_us){0}, &clock), 0);
    world_init_on(world, endpoint_count, seed, clock);
}

static void world_start(struct world *world, bool listening) {
    struct err err;
    for (uint32_t i = 0; i < world->endpoint_count && listening; i++) {
        assert_int_equal(loop_listen_tcp(world->loop, "10.0.0.1", (uint16_t)(1000 + i),
                                         on_peer_accept, &world->peers[i],
                                         &world->peers[i].listener),
                         0);
    }
    assert_int_equal(modbus_config_check(&world->config, POINTS_MAX, ENDPOINTS_MAX, NULL), 0);
    struct acquisition_options options = {.loop = world->loop,
                                          .modbus = &world->config,
                                          .station_count = ENDPOINTS_MAX,
                                          .last_seqs = world->seqs,
                                          .on_readings = on_readings,
                                          .ctx = world};
    assert_int_equal(acquisition_create(&options, &world->acquisition, &err), 0);
    acquisition_start(world->acquisition);
}

static void world_finish(struct world *world) {
    acquisition_destroy(world->acquisition);
    loop_destroy(world->loop);
    clock_destroy(world->clock);
}

static void run_seconds(struct world *world, int64_t seconds) {
    assert_int_equal(loop_run_for(world->loop, seconds * second), 0);
}

static struct endpoint_stats stats_of(const struct world *world, size_t endpoint) {
    struct endpoint_stats stats;
    acquisition_endpoint_stats(world->acquisition, endpoint, &stats);
    return stats;
}

static struct world world; /* too large for a stack */

static void no_value_ever_reaches_the_wrong_point(void **state) {
    (void)state;
    enum { ENDPOINTS = 64, SECONDS = 1200 };
    uint64_t requests = 0;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        world_init(&world, ENDPOINTS, seed);
        for (uint32_t i = 0; i < ENDPOINTS; i++) {
            world.peers[i].hostile = i % 4 != 0; /* every fourth is well-behaved */
        }
        world_start(&world, true);
        run_seconds(&world, SECONDS);
        for (uint32_t i = 0; i < ENDPOINTS * UNITS * MAPS; i++) {
            const struct tally *tally = &world.tallies[i];
            /* Every slot is accounted for, also the failed ones. */
            assert_in_range(tally->readings, SECONDS / 2 - 1, SECONDS / 2 + 1);
            if (i / (UNITS * MAPS) % 4 == 0) {
                /* The good ones' cadence: nothing lost, the period kept within 10 %. */
                assert_in_range(tally->good, SECONDS / 2 - 1, SECONDS / 2);
                assert_true(tally->gap_max_us <= 2 * second + second / 5);
            } else {
                assert_true(tally->good > 0);
            }
        }
        for (int i = 0; i < MANNERS; i++) {
            assert_true(world.by_manner[i] > 100); /* the test did test */
        }
        assert_true(world.by_status[READING_TIMEOUT] > 0);
        assert_true(world.by_status[READING_BAD_REPLY] > 0);
        assert_true(world.by_status[READING_EXCEPTION] > 0);
        assert_true(world.by_status[READING_NO_CONNECTION] > 0);
        struct endpoint_stats stats = stats_of(&world, 1);
        assert_true(stats.foreign_replies > 0 && stats.bad_replies > 0 && stats.lost > 0);
        assert_true(endpoint_round_trip_us(&stats, 0.5) <= endpoint_round_trip_us(&stats, 0.95));
        requests += world.requests;
        world_finish(&world);
    }
    print_message("polls judged: %llu\n", (unsigned long long)requests);
    assert_true(requests >= 100000);
}

static void nor_on_real_sockets(void **state) {
    (void)state;
    enum { ENDPOINTS = 16, ROUNDS_MAX = 3000, WANTED = 5000 };
    struct clock *clock = NULL;
    assert_int_equal(clock_create_real(&clock), 0);
    world_init_on(&world, ENDPOINTS, 5, clock);
    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        struct peer *peer = &world.peers[i];
        peer->hostile = i % 4 != 0;
        assert_int_equal(
            loop_listen_tcp(world.loop, "127.0.0.1", 0, on_peer_accept, peer, &peer->listener), 0);
        (void)snprintf(world.endpoints[i].host, sizeof(world.endpoints[i].host), "127.0.0.1");
        world.endpoints[i].port = loop_listener_port(peer->listener);
        world.endpoints[i].request_timeout_us = 20000;
        world.endpoints[i].reconnect_min_us = world.endpoints[i].reconnect_max_us = 10000;
        world.endpoints[i].probe_min_us = world.endpoints[i].probe_max_us = 10000;
        for (uint32_t j = 0; j < UNITS * MAPS; j++) {
            world.maps[i][j / MAPS][j % MAPS].period_us = 50000;
        }
    }
    world_start(&world, false);
    for (int i = 0; i < ROUNDS_MAX && world.requests < WANTED; i++) {
        assert_int_equal(loop_run_for(world.loop, second / 5), 0);
    }
    assert_true(world.requests >= WANTED);
    assert_true(world.by_status[READING_OK] > 0 && world.by_status[READING_TIMEOUT] > 0 &&
                world.by_status[READING_BAD_REPLY] > 0 && world.by_status[READING_EXCEPTION] > 0 &&
                world.by_status[READING_NO_CONNECTION] > 0);
    world_finish(&world);
}

static void a_dead_unit_leaves_the_others_their_cadence(void **state) {
    (void)state;
    world_init(&world, 2, 7);
    world.peers[0].dead_unit = 2;
    world_start(&world, true);
    run_seconds(&world, 600);
    for (uint32_t unit = 0; unit < UNITS; unit++) {
        const struct tally *first = &world.tallies[unit * MAPS];
        /* The same unit ids at the other endpoint are not touched. */
        assert_in_range(world.tallies[(UNITS + unit) * MAPS].good, 299, 300);
        assert_in_range(first->readings, 299, 301);
        if (unit + 1 == 2) {
            assert_int_equal(first->good, 0);
        } else {
            assert_in_range(first->good, 299, 300);
            assert_true(first->gap_max_us < 3 * second);
        }
    }
    struct endpoint_stats stats = stats_of(&world, 0);
    assert_int_equal(stats.dead_units, 1);
    /* Probed now and then, with pauses that grow to a minute: not given up, not hammered. */
    assert_in_range(stats.timeouts, 10, 40);
    assert_in_range(stats.connects, stats.timeouts, stats.timeouts + 1); /* closed after each */
    assert_true(stats.skipped > 500);
    /* It comes back and is heard within the longest pause and a period. */
    world.peers[0].dead_unit = 0;
    run_seconds(&world, 65);
    assert_true(world.tallies[MAPS].good > 0);
    assert_int_equal(stats_of(&world, 0).dead_units, 0);
    world_finish(&world);
}

/* Six requests of a quarter of a second each, every second: one after the other has to stand back,
 * and it is not always the same. */
static void too_much_to_do_is_shared_out(void **state) {
    (void)state;
    world_init(&world, 1, 7);
    world.peers[0].slow = true;
    for (uint32_t j = 0; j < UNITS * MAPS; j++) {
        world.maps[0][j / MAPS][j % MAPS].period_us = second;
    }
    world_start(&world, true);
    run_seconds(&world, 600);
    for (uint32_t i = 0; i < UNITS * MAPS; i++) {
        assert_in_range(world.tallies[i].readings, 599, 601);
        /* Four requests a second of six: two thirds of the slots. */
        assert_in_range(world.tallies[i].good, 350, 450);
        assert_true(world.tallies[i].gap_max_us <= 3 * second);
    }
    world_finish(&world);
}

static void an_unreachable_endpoint_is_told_every_slot(void **state) {
    (void)state;
    for (int black_hole = 0; black_hole < 2; black_hole++) {
        world_init(&world, 1, 7);
        world.black_hole = black_hole;
        world_start(&world, black_hole);
        run_seconds(&world, 600);
        const struct tally *tally = &world.tallies[0];
        assert_int_equal(tally->good, 0);
        assert_in_range(tally->readings, 298, 301);
        assert_true(world.by_status[READING_NO_CONNECTION] > 1000);
        /* Pauses of 0.5 s doubling to 60 s, less up to half: 10 to 30 tries in ten minutes. */
        assert_in_range(world.connects, 10, 40);
        struct endpoint_stats stats = stats_of(&world, 0);
        assert_int_equal(stats.connect_failures + (stats.state == ENDPOINT_CONNECTING),
                         world.connects);
        assert_string_equal(stats.why, black_hole ? "cannot connect: no answer in time"
                                                  : "cannot connect: connection refused");
        assert_false(stats.has_success);
        assert_true(isnan(endpoint_round_trip_us(&stats, 0.5)));
        if (!black_hole) {
            /* The device appears: readings follow within the longest pause and a period. */
            assert_int_equal(loop_listen_tcp(world.loop, "10.0.0.1", 1000, on_peer_accept,
                                             &world.peers[0], &world.peers[0].listener),
                             0);
            run_seconds(&world, 63);
            assert_true(tally->good > 0);
            assert_string_equal(stats_of(&world, 0).why, "");
        }
        world_finish(&world);
    }
}

static void slots_that_passed_are_told_and_counted(void **state) {
    (void)state;
    world_init(&world, 1, 7);
    world_start(&world, true);
    run_seconds(&world, 100);
    uint64_t before = world.tallies[0].readings;
    assert_int_equal(world.by_status[READING_SKIPPED], 0);
    clock_advance(world.clock, 20 * second); /* the machine stood still */
    run_seconds(&world, 10);
    /* One set of readings for the run of missed slots, but each of them counted. */
    assert_int_equal(world.by_status[READING_SKIPPED], UNITS * MAPS);
    assert_in_range(stats_of(&world, 0).skipped, 9 * UNITS * 2, 10 * UNITS * 2);
    assert_in_range(world.tallies[0].readings - before, 5, 7);
    world_finish(&world);
}

static void numbers_go_on_after_a_restart(void **state) {
    (void)state;
    world_init(&world, 1, 7);
    world.seqs[0] = 1000000; /* on_readings() demands 1000001 and so on */
    world_start(&world, true);
    run_seconds(&world, 20);
    assert_true(world.seqs[0] > 1000000);
    assert_int_equal(acquisition_last_seq(world.acquisition, 0), world.seqs[0]);
    assert_int_equal(acquisition_last_seq(world.acquisition, 1), 0);
    world_finish(&world);
}

static void phases_spread_a_fleet(void **state) {
    (void)state;
    world_init(&world, ENDPOINTS_MAX, 7);
    world_start(&world, true);
    int64_t start = clock_now(world.clock).mono.us;
    run_seconds(&world, 10);
    /* Ten bins of the period; with 64 endpoints no bin of a fair spread holds 20. */
    uint32_t bins[10] = {0};
    for (uint32_t i = 0; i < ENDPOINTS_MAX; i++) {
        int64_t last = world.tallies[i * UNITS * MAPS].last_good_us;
        bins[(last - start) % (2 * second) * 10 / (2 * second)]++;
    }
    for (int i = 0; i < 10; i++) {
        assert_in_range(bins[i], 0, 19);
    }
    world_finish(&world);
}

static void the_same_seed_gives_the_same_run(void **state) {
    (void)state;
    uint64_t first[READING_STATUS_COUNT] = {0};
    for (int i = 0; i < 2; i++) {
        world_init(&world, 8, 42);
        for (uint32_t j = 0; j < 8; j++) {
            world.peers[j].hostile = true;
        }
        world_start(&world, true);
        run_seconds(&world, 200);
        if (i == 0) {
            memcpy(first, world.by_status, sizeof(first));
        }
        assert_memory_equal(first, world.by_status, sizeof(first));
        world_finish(&world);
    }
}

static void it_can_be_destroyed_at_any_moment(void **state) {
    (void)state;
    for (int64_t us = 0; us < 3 * second; us += 37777) {
        world_init(&world, 4, (uint64_t)us + 1);
        world.peers[1].hostile = true;
        world.black_hole = us % 5 == 0;
        world_start(&world, us % 3 != 0);
        assert_int_equal(loop_run_for(world.loop, us), 0);
        world.acquisition = acquisition_destroy(world.acquisition);
        uint64_t requests = world.requests;
        run_seconds(&world, 5);
        assert_in_range(world.requests, requests, requests + 4); /* those on their way */
        world_finish(&world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_value_ever_reaches_the_wrong_point),
        cmocka_unit_test(nor_on_real_sockets),
        cmocka_unit_test(a_dead_unit_leaves_the_others_their_cadence),
        cmocka_unit_test(too_much_to_do_is_shared_out),
        cmocka_unit_test(an_unreachable_endpoint_is_told_every_slot),
        cmocka_unit_test(slots_that_passed_are_told_and_counted),
        cmocka_unit_test(numbers_go_on_after_a_restart),
        cmocka_unit_test(phases_spread_a_fleet),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
        cmocka_unit_test(it_can_be_destroyed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
