/* What is asked of a device and what is made of refusals: gaps, holes, points alone, busy devices,
 * dead units, over the virtual network. The device is this file's own; it shares no code with the
 * driver. Every register holds a number made of its unit, table and address. */
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
#include "drivers/modbus/plan.h"

enum {
    DEVICES = 2,
    UNITS_MAX = 10,
    MAPS_MAX = 40,
    POINTS_MAX = DEVICES * UNITS_MAX * MAPS_MAX,
    SPAN = 200, /* addresses 0 to 199 exist at most */
    REQUESTS_MAX = 4096
};

static const int64_t second = 1000000;

struct request {
    uint8_t unit, function;
    uint32_t start, count;
    int64_t at_us;
};

/* How an RTU answer can be wrong. */
enum wrong {
    CRC_OF_ZEROS,
    FLIPPED_BIT,
    SILENCE,
    LATE,
    OTHER_UNIT,
    OTHER_FUNCTION,
    SHORTER,
    HALF_OF_IT,
    HANG_UP,
    TWICE_AT_ONCE,
    A_BYTE_BEHIND,
    NOISE,
    WRONGS
};

struct world;

struct device {
    struct world *world;
    struct loop_listener *listener;
    struct loop_stream *stream;
    uint32_t number;
    uint8_t buffer[64];
    size_t length;
    bool dead[256];
    bool hole[5][SPAN]; /* by function code */
    bool rtu;
    bool hostile; /* rtu: half of the answers are wrong in some way */
    uint64_t wrongs[WRONGS];
    uint32_t busy; /* so many requests are answered with busy_code first */
    uint8_t busy_code;
    uint8_t refuse_code;                   /* every request; 0: none */
    uint32_t longest;                      /* more registers at once are refused; 0: any */
    struct request requests[REQUESTS_MAX]; /* the last ones */
    uint32_t request_count;
};

struct world {
    struct clock *clock;
    struct loop *loop;
    struct acquisition *acquisition;
    struct modbus_endpoint_config endpoints[DEVICES];
    struct modbus_unit_config units[DEVICES][UNITS_MAX];
    struct modbus_map maps[DEVICES][UNITS_MAX][MAPS_MAX];
    struct modbus_config config;
    struct device devices[DEVICES];
    uint32_t points;
    uint64_t good[POINTS_MAX], refused[POINTS_MAX], others[POINTS_MAX];
    int64_t last_good_us[POINTS_MAX], gap_max_us[POINTS_MAX];
    uint32_t advices;
    char advice[512];
    uint64_t random;
    int64_t delay_us; /* of the next write */
};

static struct world world; /* too large for a stack */

static uint32_t dice(uint32_t sides) {
    world.random = world.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(world.random >> 33) % sides;
}

static struct loop_shape shape(void *ctx, enum loop_shape_kind kind, uint16_t port, size_t length) {
    (void)ctx;
    (void)port;
    (void)length;
    struct loop_shape result = {.delay_us = kind == LOOP_SHAPE_TO_LISTENER ? 200 : world.delay_us};
    return result;
}

/* Bit by bit, with the polynomial the other way round than the driver's: x^16 + x^15 + x^2 + 1. */
static uint32_t crc_of(const uint8_t *bytes, size_t length) {
    uint32_t remainder = 0xFFFF, mirrored = 0;
    for (size_t i = 0; i < length * 8; i++) {
        uint32_t bit = (uint32_t)bytes[i / 8] >> i % 8 & 1;
        remainder = (remainder << 1) ^ (((remainder >> 15) ^ bit) != 0 ? 0x8005u : 0);
        remainder &= 0xFFFF;
    }
    for (int i = 0; i < 16; i++) {
        mirrored |= (remainder >> i & 1) << (15 - i);
    }
    return mirrored;
}

static uint32_t held(uint32_t device, uint32_t unit, uint32_t function, uint32_t address) {
    if (function <= 2) {
        return (address * 7 + unit + function + device) % 3 == 0;
    }
    return device * 20000 + unit * 1000 + function * 200 + address;
}

static size_t answer_of(struct device *device, const uint8_t *request, uint8_t *ret_frame) {
    struct request *seen = &device->requests[device->request_count % REQUESTS_MAX];
    uint32_t count = (uint32_t)request[10] << 8 | request[11];
    uint32_t start = (uint32_t)request[8] << 8 | request[9];
    uint8_t code = device->refuse_code;
    *seen = (struct request){request[6], request[7], start, count, clock_now(world.clock).mono.us};
    device->request_count++;
    assert_in_range(request[7], 1, 4);
    assert_in_range(count, 1, request[7] <= 2 ? 2000 : 125);
    for (uint32_t i = start; i < start + count; i++) {
        code = i >= SPAN || device->hole[request[7]][i] ? 2 : code;
    }
    code = device->longest > 0 && count > device->longest ? 3 : code;
    if (device->busy > 0) {
        device->busy--;
        code = device->busy_code;
    }
    memcpy(ret_frame, request, 8);
    ret_frame[4] = 0;
    if (code != 0) {
        ret_frame[5] = 3;
        ret_frame[7] |= 0x80;
        ret_frame[8] = code;
        return 9;
    }
    uint32_t bytes = request[7] <= 2 ? (count + 7) / 8 : count * 2;
    memset(ret_frame + 9, 0, bytes);
    ret_frame[5] = (uint8_t)(3 + bytes);
    ret_frame[8] = (uint8_t)bytes;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t value = held(device->number, request[6], request[7], start + i);
        if (request[7] <= 2) {
            ret_frame[9 + i / 8] = (uint8_t)(ret_frame[9 + i / 8] | value << i % 8);
        } else {
            value += device->request_count * 251u; /* the same register never says the same */
            ret_frame[9 + i * 2] = (uint8_t)(value >> 8);
            ret_frame[10 + i * 2] = (uint8_t)value;
        }
    }
    return 9 + bytes;
}

/* `frame` has room for a CRC and a second copy. */
static void send_rtu(struct device *device, uint8_t *frame, size_t length) {
    uint8_t all[600];
    enum wrong wrong = (enum wrong)dice(WRONGS);
    bool right = !device->hostile || dice(2) == 0;
    memcpy(all, frame, length);
    device->wrongs[wrong] += !right;
    if (!right && wrong == OTHER_UNIT) {
        all[0]++;
    } else if (!right && wrong == OTHER_FUNCTION) {
        all[1] = all[1] == 3 ? 4 : 3;
    } else if (!right && wrong == SHORTER && all[1] < 5) {
        all[2]--;
        length--;
    }
    uint32_t crc = crc_of(all, length);
    all[length++] = (uint8_t)crc;
    all[length++] = (uint8_t)(crc >> 8);
    if (!right && wrong == CRC_OF_ZEROS) {
        all[length - 1] = all[length - 2] = 0;
    } else if (!right && wrong == FLIPPED_BIT) {
        all[dice((uint32_t)length)] ^= (uint8_t)(1u << dice(8));
    } else if (!right && (wrong == HALF_OF_IT || wrong == HANG_UP)) {
        length = dice((uint32_t)length);
    } else if (!right && wrong == TWICE_AT_ONCE) {
        memcpy(all + length, all, length);
        length *= 2;
    } else if (!right && wrong == A_BYTE_BEHIND) {
        all[length++] = (uint8_t)dice(256);
    } else if (!right && wrong == NOISE) {
        for (size_t i = 0; i < length; i++) {
            all[i] = (uint8_t)dice(256);
        }
    }
    world.delay_us = !right && wrong == LATE ? 350000 + dice(1000000) : 200;
    if (right || wrong != SILENCE) {
        (void)loop_stream_write(device->stream, all, length);
    }
    world.delay_us = 200;
    if (!right && wrong == HANG_UP) {
        device->stream = loop_stream_close(device->stream);
    }
}

static void on_device_read(void *ctx, size_t length) {
    struct device *device = ctx;
    uint8_t frame[300];
    device->length += length;
    if (device->rtu && device->length >= 8) {
        uint8_t request[12] = {0, 0, 0, 0, 0, 6};
        assert_int_equal(device->length, 8);
        assert_int_equal(crc_of(device->buffer, 6), device->buffer[6] | device->buffer[7] << 8);
        memcpy(request + 6, device->buffer, 6);
        device->length = 0;
        if (!device->dead[request[6]]) {
            size_t size = answer_of(device, request, frame);
            send_rtu(device, frame + 6, size - 6);
        }
        if (device->stream == NULL) {
            return;
        }
    } else if (device->length >= 12) {
        assert_int_equal(device->length, 12); /* one request in flight */
        device->length = 0;
        if (!device->dead[device->buffer[6]]) {
            size_t size = answer_of(device, device->buffer, frame);
            (void)loop_stream_write(device->stream, frame, size);
        }
    }
    loop_stream_set_buffer(device->stream, device->buffer + device->length,
                           sizeof(device->buffer) - device->length);
}

static void on_device_end(void *ctx, int code) {
    struct device *device = ctx;
    (void)code;
    device->stream = loop_stream_close(device->stream);
}

static const struct loop_stream_events device_events = {.on_read = on_device_read,
                                                        .on_end = on_device_end};

static void on_accept(void *ctx, struct loop_stream *stream) {
    struct device *device = ctx;
    (void)loop_stream_close(device->stream);
    device->stream = stream;
    device->length = 0;
    loop_stream_set_events(stream, &device_events, device);
    loop_stream_set_buffer(stream, device->buffer, sizeof(device->buffer));
}

static const struct modbus_map *map_of(uint32_t point, uint32_t *ret_device, uint32_t *ret_unit) {
    *ret_device = point / (UNITS_MAX * MAPS_MAX);
    *ret_unit = point / MAPS_MAX % UNITS_MAX;
    return &world.maps[*ret_device][*ret_unit][point % MAPS_MAX];
}

static void on_readings(void *ctx, const struct reading *readings, size_t count) {
    (void)ctx;
    for (size_t i = 0; i < count; i++) {
        const struct reading *reading = &readings[i];
        uint32_t device, unit, point = reading->point;
        const struct modbus_map *map = map_of(point, &device, &unit);
        if (reading->status == READING_OK) {
            uint32_t want =
                held(device, world.units[device][unit].unit, (uint32_t)map->table, map->address);
            if (!modbus_table_is_bits(map->table)) {
                want = (want + world.devices[device].request_count * 251u) & 0xFFFF;
            }
            assert_true(reading->value == want);
            int64_t gap = reading->received.mono.us - world.last_good_us[point];
            if (world.good[point] > 0 && gap > world.gap_max_us[point]) {
                world.gap_max_us[point] = gap;
            }
            world.last_good_us[point] = reading->received.mono.us;
            world.good[point]++;
        } else {
            assert_true(isnan(reading->value));
            world.refused[point] += reading->status == READING_EXCEPTION;
            world.others[point] += reading->status != READING_EXCEPTION;
        }
    }
}

static void on_refused(void *ctx, const char *endpoint, const char *advice) {
    assert_ptr_equal(ctx, &world);
    assert_memory_equal(endpoint, "device-", 7);
    world.advices++;
    (void)snprintf(world.advice, sizeof(world.advice), "%s", advice);
}

static void world_init(uint64_t seed) {
    memset(&world, 0, sizeof(world));
    world.random = seed;
    assert_int_equal(clock_create_virtual((struct utc_us){0}, &world.clock), 0);
    assert_int_equal(loop_create(world.clock, &world.loop), 0);
    loop_set_shape(world.loop, shape, NULL);
    world.delay_us = 200;
    for (uint32_t i = 0; i < DEVICES; i++) {
        struct modbus_endpoint_config *endpoint = &world.endpoints[i];
        modbus_endpoint_defaults(endpoint);
        (void)snprintf(endpoint->id, sizeof(endpoint->id), "device-%u", i);
        (void)snprintf(endpoint->host, sizeof(endpoint->host), "10.0.0.1");
        endpoint->port = (uint16_t)(1000 + i);
        endpoint->request_timeout_us = 300000;
        endpoint->units = world.units[i];
        world.devices[i] = (struct device){.number = i};
        for (uint32_t k = 0; k < UNITS_MAX; k++) {
            world.units[i][k] =
                (struct modbus_unit_config){.unit = (uint8_t)(k + 1), .maps = world.maps[i][k]};
        }
    }
}

static struct modbus_map *add(uint32_t device, uint32_t unit, enum modbus_table table,
                              uint16_t address) {
    struct modbus_unit_config *config = &world.units[device][unit];
    struct modbus_map *map = &world.maps[device][unit][config->map_count];
    *map = (struct modbus_map){
        .point = (uint32_t)((device * UNITS_MAX + unit) * MAPS_MAX + config->map_count),
        .station = device,
        .table = table,
        .address = address,
        .type = modbus_table_is_bits(table) ? MODBUS_BIT : MODBUS_UINT16,
        .scale = 1,
        .period_us = 2 * second};
    config->map_count++;
    if (world.endpoints[device].unit_count <= unit) {
        world.endpoints[device].unit_count = unit + 1;
    }
    return map;
}

static void world_start(void) {
    struct err err;
    world.config =
        (struct modbus_config){world.endpoints[1].unit_count > 0 ? 2 : 1, world.endpoints};
    for (uint32_t i = 0; i < world.config.endpoint_count; i++) {
        assert_int_equal(loop_listen_tcp(world.loop, "10.0.0.1", (uint16_t)(1000 + i), on_accept,
                                         &world.devices[i], &world.devices[i].listener),
                         0);
    }
    assert_int_equal(modbus_config_check(&world.config, POINTS_MAX, DEVICES, NULL), 0);
    struct acquisition_options options = {.loop = world.loop,
                                          .modbus = &world.config,
                                          .station_count = DEVICES,
                                          .on_readings = on_readings,
                                          .on_refused = on_refused,
                                          .refused_ctx = &world};
    assert_int_equal(acquisition_create(&options, &world.acquisition, &err), 0);
    acquisition_start(world.acquisition);
}

static void run_seconds(int64_t seconds) {
    assert_int_equal(loop_run_for(world.loop, seconds * second), 0);
}

static void world_finish(void) {
    acquisition_destroy(world.acquisition);
    loop_destroy(world.loop);
    clock_destroy(world.clock);
}

static void gaps_are_read_along(void **state) {
    (void)state;
    world_init(1);
    world.units[0][0].gap_registers = 3;
    add(0, 0, MODBUS_HOLDING, 0);
    add(0, 0, MODBUS_HOLDING, 4); /* a gap of 3: read along */
    add(0, 0, MODBUS_HOLDING, 9); /* of 4: not */
    add(0, 0, MODBUS_HOLDING, 10)->alone = true;
    add(0, 0, MODBUS_HOLDING, 11);
    add(0, 0, MODBUS_DISCRETE, 0);
    add(0, 0, MODBUS_DISCRETE, 49); /* 48 coils are three registers */
    add(0, 0, MODBUS_DISCRETE, 99);
    world_start();
    run_seconds(2);
    const uint32_t want[][3] = {{2, 0, 50}, {2, 99, 1}, {3, 0, 5},
                                {3, 9, 1},  {3, 10, 1}, {3, 11, 1}};
    const struct device *device = &world.devices[0];
    assert_int_equal(device->request_count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(device->requests[i].function, want[i][0]);
        assert_int_equal(device->requests[i].start, want[i][1]);
        assert_int_equal(device->requests[i].count, want[i][2]);
    }
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(world.good[i], 1);
    }
    assert_int_equal(world.advices, 0);
    world_finish();
}

static void requests_keep_to_the_limit(void **state) {
    (void)state;
    world_init(1);
    world.units[0][0].registers_max = 5;
    for (uint16_t i = 0; i < 12; i++) {
        add(0, 0, MODBUS_INPUT, i);
    }
    world_start();
    run_seconds(2);
    assert_int_equal(world.devices[0].request_count, 3);
    assert_int_equal(world.devices[0].requests[0].count, 5);
    assert_int_equal(world.devices[0].requests[2].count, 2);
    world_finish();
}

/* The property: with any registers and any holes, a point whose own register exists has its value
 * in every slot, the first one too. */
static void one_bad_register_costs_no_other_point_its_value(void **state) {
    (void)state;
    enum { RUNS = 300, SLOTS = 10 };
    uint64_t bad_points = 0, good_points = 0;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        world_init(seed);
        world.units[0][0].gap_registers = (uint16_t)dice(12);
        world.units[0][0].registers_max = (uint16_t)(dice(2) * (4 + dice(40)));
        uint32_t holes = dice(6);
        for (uint32_t i = 0; i < holes; i++) {
            world.devices[0].hole[1 + dice(4)][dice(SPAN / 2)] = true;
        }
        bool taken[5][SPAN] = {{false}};
        uint32_t points = 1 + dice(MAPS_MAX - 1);
        for (uint32_t i = 0; i < points; i++) {
            uint32_t table = 1 + dice(4), address = dice(SPAN / 2);
            if (!taken[table][address]) {
                taken[table][address] = true;
                world.devices[0].hole[table][address] |= dice(15) == 0;
                add(0, 0, (enum modbus_table)table, (uint16_t)address)->alone = dice(20) == 0;
            }
        }
        world_start();
        run_seconds(2 * SLOTS);
        uint64_t places = 0;
        for (uint32_t i = 0; i < world.units[0][0].map_count; i++) {
            const struct modbus_map *map = &world.maps[0][0][i];
            bool is_bad = world.devices[0].hole[map->table][map->address];
            places += is_bad;
            if (world.good[i] != (is_bad ? 0 : SLOTS) || world.refused[i] != (is_bad ? SLOTS : 0) ||
                world.others[i] != 0) {
                print_error("seed %d, point %u: good %d, refused %d, others %d\n", (int)seed, i,
                            (int)world.good[i], (int)world.refused[i], (int)world.others[i]);
                fail();
            }
        }
        bad_points += places;
        good_points += world.units[0][0].map_count - places;
        /* Each refused point and each cut is told once, however many slots. */
        assert_in_range(world.advices, places, places + world.units[0][0].map_count);
        uint32_t advices = world.advices;
        run_seconds(20);
        assert_int_equal(world.advices, advices);
        world_finish();
    }
    assert_true(bad_points > RUNS / 2 && good_points > 10 * RUNS);
}

static void holes_are_remembered_and_told(void **state) {
    (void)state;
    world_init(1);
    world.units[0][0].gap_registers = 8;
    add(0, 0, MODBUS_HOLDING, 0);
    add(0, 0, MODBUS_HOLDING, 5);
    world.devices[0].hole[3][2] = true;
    world_start();
    run_seconds(2);
    assert_int_equal(world.devices[0].request_count, 3); /* both, then each */
    assert_int_equal(world.advices, 1);
    assert_string_equal(
        world.advice, "unit 1: holding 0 to 5 are refused in one request (illegal data address) "
                      "and asked in parts from now on; 'gap_registers: 3' in its connection avoids "
                      "reading the gap of 4");
    run_seconds(200);
    assert_int_equal(world.devices[0].request_count, 3 + 2 * 100);
    /* After a quarter of an hour the whole is tried again, within the slot. */
    run_seconds(800);
    assert_int_equal(world.devices[0].request_count, 2 * 501 + 2);
    assert_int_equal(world.good[0], 501);
    assert_int_equal(world.good[1], 501);
    assert_int_equal(world.advices, 1);
    world_finish();
}

static void a_point_refused_by_itself_is_told(void **state) {
    (void)state;
    world_init(1);
    for (uint16_t i = 0; i < 4; i++) {
        add(0, 0, MODBUS_INPUT, i);
    }
    world.devices[0].hole[4][3] = true;
    world_start();
    run_seconds(2);
    assert_non_null(strstr(world.advice, "unit 1: input 3 is refused by itself (illegal data "
                                         "address): correct register.address"));
    assert_non_null(strstr(world.advice, "'alone: true'"));
    assert_int_equal(world.good[2], 1);
    assert_int_equal(world.refused[3], 1);
    world_finish();
}

static void a_device_of_short_requests_is_served(void **state) {
    (void)state;
    world_init(1);
    for (uint16_t i = 0; i < 32; i++) {
        add(0, 0, MODBUS_INPUT, i);
    }
    world.devices[0].longest = 10;
    world_start();
    run_seconds(4);
    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(world.good[i], 2);
    }
    assert_int_equal(world.devices[0].request_count, 3 + 4 + 4); /* 32, 16, 16; four of 8; again */
    assert_non_null(strstr(world.advice, "'registers_max' in its connection"));
    world_finish();
}

static void a_refusal_for_a_moment_heals(void **state) {
    (void)state;
    world_init(1);
    for (uint16_t i = 0; i < 16; i++) {
        add(0, 0, MODBUS_INPUT, i);
    }
    world.devices[0].refuse_code = 2;
    world_start();
    run_seconds(4);
    world.devices[0].refuse_code = 0;
    run_seconds(1000);
    uint32_t before = world.devices[0].request_count;
    run_seconds(100);
    assert_int_equal(world.devices[0].request_count - before, 50); /* one request a slot again */
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(world.refused[i], 2);
        assert_int_equal(world.good[i], 550);
        assert_int_equal(world.others[i], 0);
    }
    world_finish();
}

static void a_busy_device_is_asked_again_in_the_slot(void **state) {
    (void)state;
    for (uint8_t code = 5; code <= 6; code++) {
        world_init(1);
        add(0, 0, MODBUS_INPUT, 0);
        add(0, 0, MODBUS_HOLDING, 0);
        world.devices[0].busy = 2;
        world.devices[0].busy_code = code;
        world_start();
        run_seconds(3); /* one slot, and time to try again */
        assert_int_equal(world.good[0], 1);
        assert_int_equal(world.good[1], 1);
        assert_int_equal(world.devices[0].request_count, 4);
        /* Busy for ever: three more tries each, then the exception is the reading. */
        world.devices[0].busy = 8;
        run_seconds(2);
        assert_int_equal(world.devices[0].request_count, 12);
        assert_int_equal(world.refused[0], 1);
        assert_int_equal(world.refused[1], 1);
        run_seconds(2);
        assert_int_equal(world.good[0], 2);
        world_finish();
    }
}

static void failures_count_against_the_unit(void **state) {
    (void)state;
    static const uint8_t codes[] = {4, 10, 11};
    for (size_t i = 0; i < sizeof(codes); i++) {
        world_init(1);
        add(0, 0, MODBUS_INPUT, 0);
        add(0, 0, MODBUS_INPUT, 1);
        world.devices[0].refuse_code = codes[i];
        world_start();
        run_seconds(600);
        struct endpoint_stats stats;
        acquisition_endpoint_stats(world.acquisition, 0, &stats);
        assert_int_equal(stats.dead_units, 1);
        assert_in_range(world.devices[0].request_count, 10, 40); /* of 300 slots */
        assert_int_equal(world.advices, 0);
        assert_int_equal(world.refused[0] + world.others[0], 300);
        world.devices[0].refuse_code = 0;
        run_seconds(65);
        assert_true(world.good[0] > 0);
        world_finish();
    }
}

static void a_dead_namesake_costs_nothing(void **state) {
    (void)state;
    world_init(1);
    for (uint32_t i = 0; i < 2; i++) {
        add(i, 0, MODBUS_INPUT, 0); /* unit 1 at both endpoints */
    }
    world.devices[0].dead[1] = true;
    world_start();
    run_seconds(600);
    uint32_t living = UNITS_MAX * MAPS_MAX;
    assert_int_equal(world.good[0], 0);
    assert_int_equal(world.others[0], 300);
    assert_int_equal(world.good[living], 300);
    assert_true(world.gap_max_us[living] <= 2 * second + second / 100);
    world_finish();
}

static void one_dead_unit_of_ten_leaves_nine_their_period(void **state) {
    (void)state;
    world_init(1);
    for (uint32_t i = 0; i < 10; i++) {
        add(0, i, MODBUS_INPUT, 0);
    }
    world.devices[0].dead[4] = true;
    world_start();
    run_seconds(600);
    for (uint32_t i = 0; i < 10; i++) {
        uint32_t point = i * MAPS_MAX;
        assert_int_equal(world.good[point], i == 3 ? 0 : 300);
        assert_int_equal(world.others[point], i == 3 ? 300 : 0);
        /* Late by one request_timeout at most, when the dead one is tried. */
        assert_true(world.gap_max_us[point] <= 2 * second + 4 * second / 10);
    }
    world_finish();
}

static void rtu_over_tcp_gives_no_point_a_wrong_value(void **state) {
    (void)state;
    uint64_t polls = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        world_init(seed);
        for (uint32_t i = 0; i < 2; i++) {
            world.devices[i].rtu = true;
            world.endpoints[i].framing = MODBUS_FRAMING_RTU;
            for (uint16_t k = 0; k < 6; k++) {
                add(i, k % 3, MODBUS_INPUT, (uint16_t)(k * 20));
                add(i, k % 3, MODBUS_HOLDING, (uint16_t)(k * 20));
                add(i, k % 3, MODBUS_COIL, k);
            }
        }
        world.devices[1].hostile = true;
        world_start();
        run_seconds(600);
        for (uint32_t i = 0; i < 3 * MAPS_MAX; i++) {
            if (i % MAPS_MAX < world.units[0][i / MAPS_MAX].map_count) {
                assert_int_equal(world.good[i], 300); /* the neighbour suffers nothing */
                assert_int_equal(world.others[i] + world.refused[i], 0);
                assert_true(world.good[UNITS_MAX * MAPS_MAX + i] > 0);
                assert_true(world.others[UNITS_MAX * MAPS_MAX + i] > 0);
            }
        }
        for (int i = 0; i < WRONGS; i++) {
            assert_true(world.devices[1].wrongs[i] > 0);
        }
        struct endpoint_stats stats;
        acquisition_endpoint_stats(world.acquisition, 1, &stats);
        assert_true(stats.timeouts > 0 && stats.bad_replies > 0 && stats.lost > 0);
        polls += stats.polls;
        world_finish();
    }
    print_message("hostile RTU polls: %llu\n", (unsigned long long)polls);
    assert_true(polls > 20000);
}

static void plans_say_what_they_cost(void **state) {
    (void)state;
    world_init(1);
    world.units[0][0].gap_registers = 8;
    add(0, 0, MODBUS_HOLDING, 0);
    add(0, 0, MODBUS_HOLDING, 0)->type = MODBUS_BIT; /* parts are not counted twice */
    add(0, 0, MODBUS_HOLDING, 6)->type = MODBUS_FLOAT64;
    add(0, 0, MODBUS_INPUT, 0)->period_us = 10 * second;
    struct modbus_plan plan;
    assert_int_equal(modbus_plan_init(&world.endpoints[0], &plan), 0);
    assert_int_equal(plan.block_count, 2);
    assert_int_equal(plan.blocks[0].count, 10);
    assert_int_equal(modbus_plan_wanted(&plan, &plan.blocks[0]), 5);
    /* 0.3 s / 2 s + 0.3 s / 10 s */
    assert_true(fabs(modbus_plan_load(&plan, &world.endpoints[0]) - 0.18) < 1e-12);
    modbus_plan_finish(&plan);
    loop_destroy(world.loop);
    clock_destroy(world.clock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_are_read_along),
        cmocka_unit_test(requests_keep_to_the_limit),
        cmocka_unit_test(one_bad_register_costs_no_other_point_its_value),
        cmocka_unit_test(holes_are_remembered_and_told),
        cmocka_unit_test(a_point_refused_by_itself_is_told),
        cmocka_unit_test(a_device_of_short_requests_is_served),
        cmocka_unit_test(a_refusal_for_a_moment_heals),
        cmocka_unit_test(a_busy_device_is_asked_again_in_the_slot),
        cmocka_unit_test(failures_count_against_the_unit),
        cmocka_unit_test(a_dead_namesake_costs_nothing),
        cmocka_unit_test(one_dead_unit_of_ten_leaves_nine_their_period),
        cmocka_unit_test(rtu_over_tcp_gives_no_point_a_wrong_value),
        cmocka_unit_test(plans_say_what_they_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
