/* What concerns many endpoints at once, over the virtual network: a reload that touches only what
 * changed, turns to connect after an outage, urgent requests first. The peers answer every read of
 * holding registers with unit * 1000 + address in each register, and note when they were asked. */
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

enum { PEERS_MAX = 5000, POINTS = 3, FIRST_PORT = 20000, MAX_REQUESTS = 64 };
static const uint32_t nobody = UINT32_MAX;

static const int64_t second = 1000000;

struct world;

struct peer {
    struct world *world;
    struct loop_listener *listener;
    struct loop_stream *stream;
    uint32_t accepts;
    uint32_t requests;
    int64_t asked_us[MAX_REQUESTS];
    uint16_t starts[MAX_REQUESTS];
    uint8_t buffer[64];
    size_t length;
};

struct site { /* one configuration */
    uint32_t count;
    struct modbus_endpoint_config endpoints[PEERS_MAX];
    struct modbus_unit_config units[PEERS_MAX];
    struct modbus_map maps[PEERS_MAX][POINTS];
    struct modbus_config config;
};

struct world {
    struct clock *clock;
    struct loop *loop;
    struct acquisition *acquisition;
    struct site *site;
    struct peer *peers;
    uint64_t good, other, wrong;
    uint64_t seqs[PEERS_MAX]; /* last seen, by the station's number in the first site */
    const uint32_t *peer_of_station;
    uint32_t connects_in_s[600];
    bool away; /* the switch is off */
    int64_t latency_us;
};

static int64_t now_us(const struct world *world) {
    return clock_now(world->clock).mono.us;
}

static struct loop_shape shape(void *ctx, enum loop_shape_kind kind, uint16_t port, size_t length) {
    struct world *world = ctx;
    (void)port;
    (void)length;
    if (kind == LOOP_SHAPE_CONNECT) {
        size_t at = (size_t)(now_us(world) / second);
        world->connects_in_s[at < 600 ? at : 599]++;
        return (struct loop_shape){.delay_us = world->away ? -1 : 500};
    }
    return (struct loop_shape){.delay_us =
                                   kind == LOOP_SHAPE_TO_CONNECTOR ? world->latency_us : 200};
}

static void answer(struct peer *peer, const uint8_t *request) {
    uint8_t frame[300] = {request[0], request[1], 0, 0, 0, 0, request[6], 3};
    unsigned start = (unsigned)request[8] << 8 | request[9];
    unsigned count = (unsigned)request[10] << 8 | request[11];
    for (unsigned i = 0; i < count; i++) {
        unsigned value = request[6] * 1000u + start + i;
        frame[9 + 2 * i] = (uint8_t)(value >> 8);
        frame[10 + 2 * i] = (uint8_t)value;
    }
    frame[5] = (uint8_t)(3 + 2 * count);
    frame[8] = (uint8_t)(2 * count);
    assert_int_equal(loop_stream_write(peer->stream, frame, 9 + 2 * count), 0);
}

static void on_read(void *ctx, size_t length) {
    struct peer *peer = ctx;
    peer->length += length;
    if (peer->length >= 12) {
        if (peer->requests < MAX_REQUESTS) {
            peer->asked_us[peer->requests] = now_us(peer->world);
            peer->starts[peer->requests] =
                (uint16_t)((unsigned)peer->buffer[8] << 8 | peer->buffer[9]);
        }
        peer->requests++;
        answer(peer, peer->buffer);
        peer->length = 0;
    }
    loop_stream_set_buffer(peer->stream, peer->buffer + peer->length,
                           sizeof peer->buffer - peer->length);
}

static void on_end(void *ctx, int code) {
    struct peer *peer = ctx;
    (void)code;
    peer->stream = loop_stream_close(peer->stream);
}

static const struct loop_stream_events peer_events = {.on_read = on_read, .on_end = on_end};

static void on_accept(void *ctx, struct loop_stream *stream) {
    struct peer *peer = ctx;
    (void)loop_stream_close(peer->stream);
    peer->stream = stream;
    peer->length = 0;
    peer->accepts++;
    loop_stream_set_events(stream, &peer_events, peer);
    loop_stream_set_buffer(stream, peer->buffer, sizeof peer->buffer);
}

static void on_readings(void *ctx, const struct reading *readings, size_t count) {
    struct world *world = ctx;
    for (size_t i = 0; i < count; i++) {
        uint32_t station = readings[i].point / POINTS;
        uint32_t peer = world->peer_of_station[station];
        assert_true(readings[i].seq > world->seqs[peer]); /* one after the other, over a reload */
        assert_true(world->seqs[peer] == 0 || readings[i].seq == world->seqs[peer] + 1);
        world->seqs[peer] = readings[i].seq;
        if (readings[i].status == READING_OK) {
            world->good++;
            world->wrong += readings[i].value != 1000 + 10.0 * (readings[i].point % POINTS);
        } else {
            world->other++;
        }
    }
}

/* Station number i of a site is reached at peer peer_of_station[i]. */
static struct site *make_site(const uint32_t *peer_of_station, uint32_t count) {
    struct site *site = calloc(1, sizeof *site);
    assert_non_null(site);
    site->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct modbus_endpoint_config *endpoint = &site->endpoints[i];
        modbus_endpoint_defaults(endpoint);
        (void)snprintf(endpoint->id, sizeof endpoint->id, "peer-%u", peer_of_station[i]);
        (void)snprintf(endpoint->host, sizeof endpoint->host, "10.0.0.1");
        endpoint->port = (uint16_t)(FIRST_PORT + peer_of_station[i]);
        endpoint->unit_count = 1;
        endpoint->units = &site->units[i];
        site->units[i] = (struct modbus_unit_config){
            .unit = 1, .gap_registers = 9, .map_count = POINTS, .maps = site->maps[i]};
        for (uint32_t j = 0; j < POINTS; j++) {
            struct modbus_map *map = &site->maps[i][j];
            map->point = i * POINTS + j;
            map->station = i;
            map->table = MODBUS_HOLDING;
            map->address = (uint16_t)(10 * j);
            map->type = MODBUS_UINT16;
            map->scale = 1;
            map->period_us = second;
        }
    }
    site->config = (struct modbus_config){.endpoint_count = count, .endpoints = site->endpoints};
    assert_int_equal(modbus_config_check(&site->config, count * POINTS, count, NULL), 0);
    return site;
}

static struct acquisition_options options_of(struct world *world, const struct site *site,
                                             uint32_t connects_per_s) {
    return (struct acquisition_options){.loop = world->loop,
                                        .modbus = &site->config,
                                        .station_count = site->count,
                                        .connects_per_s = connects_per_s,
                                        .on_readings = on_readings,
                                        .ctx = world};
}

static struct world *begin(uint32_t peers, const uint32_t *peer_of_station, struct site *site,
                           uint32_t connects_per_s) {
    struct world *world = calloc(1, sizeof *world);
    struct err err;
    assert_non_null(world);
    world->latency_us = 1000;
    world->site = site;
    world->peer_of_station = peer_of_station;
    world->peers = calloc(peers, sizeof *world->peers);
    assert_non_null(world->peers);
    assert_int_equal(clock_create_virtual((struct utc_us){0}, &world->clock), 0);
    assert_int_equal(loop_create(world->clock, &world->loop), 0);
    loop_set_shape(world->loop, shape, world);
    for (uint32_t i = 0; i < peers; i++) {
        world->peers[i].world = world;
        assert_int_equal(loop_listen_tcp(world->loop, "10.0.0.1", (uint16_t)(FIRST_PORT + i),
                                         on_accept, &world->peers[i], &world->peers[i].listener),
                         0);
    }
    struct acquisition_options options = options_of(world, site, connects_per_s);
    assert_int_equal(acquisition_create(&options, &world->acquisition, &err), 0);
    acquisition_start(world->acquisition);
    return world;
}

static void end(struct world *world) {
    world->acquisition = acquisition_destroy(world->acquisition);
    (void)loop_destroy(world->loop);
    (void)clock_destroy(world->clock);
    free(world->site);
    free(world->peers);
    free(world);
}

/* Peers: 0 and 1 stay, 2 gets another period, 3 goes, 4 is new; the order of stations changes. */
static void a_reload_touches_only_what_changed(void **state) {
    (void)state;
    static const uint32_t before[] = {0, 1, 2, 3}, after[] = {4, 2, 0, 1};
    static const uint32_t new_station[] = {2, 3, 1, UINT32_MAX};
    uint32_t new_point[4 * POINTS];
    for (uint32_t i = 0; i < 4 * POINTS; i++) {
        uint32_t station = new_station[i / POINTS];
        new_point[i] = station == nobody ? nobody : station * POINTS + i % POINTS;
    }
    struct world *world = begin(5, before, make_site(before, 4), 0);
    assert_int_equal(loop_run_for(world->loop, 10 * second), 0);
    uint32_t requests[5], accepts[5];
    for (uint32_t i = 0; i < 5; i++) {
        requests[i] = world->peers[i].requests;
        accepts[i] = world->peers[i].accepts;
    }
    assert_int_equal(accepts[4], 0);
    struct site *site = make_site(after, 4);
    for (uint32_t j = 0; j < POINTS; j++) {
        site->maps[1][j].period_us = 2 * second;
    }
    struct acquisition_options options = options_of(world, site, 0);
    struct acquisition_moves moves = {.points = new_point, .stations = new_station};
    struct acquisition_reload *reload = NULL;
    struct err err;
    /* One that cannot be: nothing changes. */
    site->endpoints[0].transport = MODBUS_DIAL_IN;
    (void)snprintf(site->endpoints[0].identity, sizeof site->endpoints[0].identity, "X");
    assert_int_equal(acquisition_prepare(world->acquisition, &options, &moves, &reload, &err),
                     ERR_INVALID);
    assert_int_equal(acquisition_endpoint_count(world->acquisition), 4);
    site->endpoints[0].transport = MODBUS_CONNECT;
    site->endpoints[0].identity[0] = '\0';
    assert_int_equal(acquisition_prepare(world->acquisition, &options, &moves, &reload, &err), 0);
    reload = acquisition_abandon(reload);
    assert_int_equal(acquisition_prepare(world->acquisition, &options, &moves, &reload, &err), 0);
    struct acquisition_reloaded reloaded = acquisition_commit(reload, world, NULL);
    memset(world->site, 0xA5, sizeof *world->site); /* nobody looks at the old one any more */
    free(world->site);
    world->site = site;
    world->peer_of_station = after;
    assert_int_equal(reloaded.kept, 2);
    assert_int_equal(reloaded.opened, 2);
    assert_int_equal(reloaded.closed, 2);
    assert_int_equal(loop_run_for(world->loop, 10 * second), 0);
    for (uint32_t i = 0; i < 2; i++) { /* kept: connection, period and phase */
        struct peer *peer = &world->peers[i];
        assert_int_equal(peer->accepts, accepts[i]);
        assert_int_equal(peer->requests - requests[i], 10);
        for (uint32_t k = 1; k < peer->requests; k++) {
            assert_true(llabs(peer->asked_us[k] - peer->asked_us[k - 1] - second) < 2000);
        }
    }
    assert_int_equal(world->peers[2].accepts, accepts[2] + 1);
    assert_in_range(world->peers[2].requests - requests[2], 4, 6);
    assert_int_equal(world->peers[3].requests, requests[3]);
    assert_int_equal(world->peers[4].accepts, 1);
    assert_true(world->peers[4].requests >= 9);
    assert_int_equal(world->wrong, 0);
    assert_int_equal(world->other, 0);
    assert_true(world->good > 0);
    end(world);
}

/* Every peer hangs up at once and the network is away for a while: the fleet comes back in turns,
 * and all of it does. */
static void a_fleet_does_not_come_back_in_one_second(void **state) {
    (void)state;
    enum { RATE = 500 };
    static uint32_t all[PEERS_MAX];
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        all[i] = i;
    }
    for (int outage_s = 0; outage_s <= 30; outage_s += 30) {
        struct world *world = begin(PEERS_MAX, all, make_site(all, PEERS_MAX), RATE);
        assert_int_equal(loop_run_for(world->loop, 15 * second), 0);
        uint32_t up = 0;
        for (uint32_t i = 0; i < PEERS_MAX; i++) {
            up += world->peers[i].stream != NULL;
            world->peers[i].stream = loop_stream_close(world->peers[i].stream);
        }
        assert_int_equal(up, PEERS_MAX);
        world->away = true;
        assert_int_equal(loop_run_for(world->loop, outage_s * second), 0);
        world->away = false;
        assert_int_equal(loop_run_for(world->loop, 75 * second), 0);
        up = 0;
        for (uint32_t i = 0; i < PEERS_MAX; i++) {
            up += world->peers[i].stream != NULL;
        }
        assert_int_equal(up, PEERS_MAX);
        for (size_t i = 0; i < 600; i++) {
            assert_in_range(world->connects_in_s[i], 0, RATE + 1);
        }
        assert_int_equal(world->wrong, 0);
        end(world);
    }
}

/* A slow device that cannot serve all requests in time: the urgent one never misses its slot. */
static void urgent_requests_go_first(void **state) {
    (void)state;
    static const uint32_t one[] = {0};
    struct site *site = make_site(one, 1);
    for (uint32_t j = 0; j < POINTS; j++) {
        site->maps[0][j].alone = true;
    }
    site->maps[0][2].urgent = true;
    struct world *world = begin(1, one, site, 0);
    world->latency_us = 450000;
    assert_int_equal(loop_run_for(world->loop, 20 * second), 0);
    const struct peer *peer = &world->peers[0];
    uint32_t urgent = 0;
    for (uint32_t i = 0; i < peer->requests; i++) {
        urgent += peer->starts[i] == 20;
    }
    assert_true(peer->requests < 45); /* of 60 that were due */
    assert_in_range(urgent, 19, 20);
    assert_int_equal(world->wrong, 0);
    end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reload_touches_only_what_changed),
        cmocka_unit_test(a_fleet_does_not_come_back_in_one_second),
        cmocka_unit_test(urgent_requests_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
