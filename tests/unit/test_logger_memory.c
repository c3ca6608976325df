/* Clock, identity and memory of a logger: time stamps, and a ring of records that is read while it
 * moves, lies and breaks. The value of every record follows from its number, so that one with the
 * wrong time or the wrong halves is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/modbus/memory.h"

enum { CAPACITY_MAX = 64, RECORD = 4, RINGS = 20000 };
static const int64_t second = 1000000, base_s = 1763539200; /* 2025-11-19T08:00:00Z: date -u */

/* ---- a device with a ring: record n was written at base + 10 n seconds ---- */

struct device {
    struct logger_memory memory;
    uint64_t count; /* records written */
    uint32_t stamps[CAPACITY_MAX];
    uint16_t values[CAPACITY_MAX];
    int moves;               /* records written between any two answers */
    bool lies[CAPACITY_MAX]; /* the slot was broken by the test */
};

static uint16_t value_of(uint32_t stamp) {
    return (uint16_t)(stamp * 2654435761u >> 16);
}

static void write_record(struct device *device) {
    uint32_t slot = (uint32_t)(device->count % device->memory.capacity);
    device->stamps[slot] = (uint32_t)(base_s + (int64_t)device->count * 10);
    device->values[slot] = value_of(device->stamps[slot]);
    device->lies[slot] = false;
    device->count++;
}

static struct device make_device(uint32_t capacity, enum logger_index means, uint64_t count) {
    struct device device = {.memory = {.present = true,
                                       .table = MODBUS_HOLDING,
                                       .index_address = 10,
                                       .index_type = MODBUS_UINT32,
                                       .index_means = means,
                                       .address = 100,
                                       .record_registers = RECORD,
                                       .capacity = capacity,
                                       .interval_us = 10 * second,
                                       .stamp_offset = 1}};
    while (device.count < count) {
        write_record(&device);
    }
    return device;
}

static uint16_t register_at(const struct device *device, unsigned address) {
    uint64_t index = device->memory.index_means == INDEX_COUNT ? device->count
                     : device->memory.index_means == INDEX_NEXT
                         ? device->count % device->memory.capacity
                         : (device->count + device->memory.capacity - 1) % device->memory.capacity;
    if (address == 10 || address == 11) {
        return (uint16_t)(index >> (address == 10 ? 16 : 0));
    }
    assert_true(address >= 100 && address < 100 + device->memory.capacity * RECORD);
    unsigned slot = (address - 100) / RECORD, at = (address - 100) % RECORD;
    return at == 0   ? device->values[slot]
           : at == 1 ? (uint16_t)(device->stamps[slot] >> 16)
           : at == 2 ? (uint16_t)device->stamps[slot]
                     : (uint16_t)~device->values[slot];
}

static void serve(struct device *device, const struct memory_request *request, uint8_t *bytes) {
    assert_in_range(request->count, 1, MODBUS_REGISTERS_MAX);
    for (unsigned i = 0; i < request->count; i++) {
        uint16_t word = register_at(device, request->start + i);
        bytes[2 * i] = (uint8_t)(word >> 8);
        bytes[2 * i + 1] = (uint8_t)word;
    }
    for (int i = 0; i < device->moves; i++) {
        write_record(device);
    }
}

/* ---- what comes out ---- */

struct taken {
    int count, last_count;
    int64_t first_s, newest_s, previous_s;
    bool last_is_last;
};

static void on_record(void *ctx, struct utc_us at, const uint8_t *record, bool last) {
    struct taken *taken = ctx;
    int64_t at_s = at.us / second;
    unsigned value = (unsigned)record[0] << 8 | record[1];
    unsigned inverse = (unsigned)record[6] << 8 | record[7];
    assert_true(taken->count == 0 || at_s > taken->newest_s);
    assert_int_equal(value, value_of((uint32_t)at_s)); /* its own value, and of one piece */
    assert_int_equal(inverse, value ^ 0xFFFF);
    taken->first_s = taken->count == 0 ? at_s : taken->first_s;
    taken->newest_s = at_s;
    taken->count++;
    taken->last_count += last;
    taken->last_is_last = last;
}

static struct utc_us at_record(double number) {
    return (struct utc_us){(base_s * second) + (int64_t)(number * 10 * (double)second)};
}

/* Reads the hole between two instants, in records; the result of the first failing step, or 0. */
static int read_hole(struct device *device, double after, double before, struct taken *ret_taken,
                     struct memory_fill *ret_fill, int *ret_requests) {
    struct memory_request request;
    uint8_t bytes[2 * MODBUS_REGISTERS_MAX];
    int result = 0;
    *ret_taken = (struct taken){.count = 0};
    *ret_requests = 0;
    memory_fill_begin(&device->memory, 0, at_record(after), at_record(before),
                      at_record((double)device->count), 0, on_record, ret_taken, ret_fill);
    while (result == 0 && memory_fill_next(ret_fill, &request)) {
        assert_true(++*ret_requests < 1000);
        serve(device, &request, bytes);
        result = memory_fill_take(ret_fill, bytes);
    }
    return result;
}

static void test_a_hole_is_read_whole_and_alone(void **state) {
    (void)state;
    for (int means = INDEX_NEXT; means <= INDEX_COUNT; means++) {
        for (uint64_t count = 40; count < 110; count++) { /* the begin of the ring everywhere */
            struct device device = make_device(50, (enum logger_index)means, count);
            struct taken taken;
            struct memory_fill fill;
            int requests;
            double after = (double)count - 20.5, before = (double)count - 5.5;
            assert_int_equal(read_hole(&device, after, before, &taken, &fill, &requests), 0);
            assert_int_equal(taken.count, 15);
            assert_int_equal(taken.first_s, base_s + ((int64_t)count - 20) * 10);
            assert_int_equal(taken.newest_s, base_s + ((int64_t)count - 6) * 10);
            assert_true(taken.last_is_last && taken.last_count == 1);
            /* index, 6 steps over 49 records, and two for each block: the ring's end adds one */
            assert_true(requests <= 1 + 6 * 4 + 2 * 2);
            assert_true(requests <= (int)logger_memory_requests(&device.memory, 0, 18) + 18 + 2);
            assert_int_equal(fill.counts.taken, 15);
            assert_int_equal(fill.counts.impossible + fill.counts.out_of_order +
                                 fill.counts.overwritten + fill.counts.repeated,
                             0);
        }
    }
}

static void test_bounds_are_not_inside(void **state) {
    (void)state;
    struct device device = make_device(50, INDEX_NEXT, 60);
    struct taken taken;
    struct memory_fill fill;
    int requests;
    assert_int_equal(read_hole(&device, 40, 45, &taken, &fill, &requests), 0);
    assert_int_equal(taken.count, 4); /* 41 to 44: what stood at the ends is known */
    assert_int_equal(read_hole(&device, 40.1, 40.9, &taken, &fill, &requests), 0);
    assert_int_equal(taken.count, 0);
    assert_int_equal(read_hole(&device, -100, -50, &taken, &fill, &requests), 0); /* too old */
    assert_int_equal(taken.count, 0);
}

static void test_a_ring_that_is_not_full(void **state) {
    (void)state;
    for (int means = INDEX_NEXT; means <= INDEX_COUNT; means++) {
        for (uint64_t count = 0; count < 12; count++) {
            struct device device = make_device(50, (enum logger_index)means, count);
            struct taken taken;
            struct memory_fill fill;
            int requests;
            assert_int_equal(read_hole(&device, -1, (double)count - 0.5, &taken, &fill, &requests),
                             0);
            assert_int_equal(taken.count, (int)count);
        }
    }
}

/* Of what stands in the wrong order nobody can say which one is wrong. */
static void test_what_is_refused(void **state) {
    (void)state;
    struct device device = make_device(50, INDEX_NEXT, 60);
    struct taken taken;
    struct memory_fill fill;
    int requests;
    device.stamps[45] = 0;                               /* empty */
    device.stamps[46] = UINT32_MAX;                      /* the same */
    device.stamps[47] = (uint32_t)(base_s + 10000);      /* in the future */
    device.stamps[48] = device.stamps[44];               /* said before, with another value */
    device.stamps[2] = device.stamps[1];                 /* repeats record 51 */
    device.stamps[5] = (uint32_t)(base_s + 57 * 10 + 5); /* record 55 says 57.5 ... */
    assert_int_equal(read_hole(&device, 43.5, 59.5, &taken, &fill, &requests), 0);
    assert_int_equal(fill.counts.impossible, 3);
    assert_int_equal(fill.counts.repeated, 4);     /* 44 and 48, 51 and 52 */
    assert_int_equal(fill.counts.out_of_order, 2); /* ... and 56, which contradicts it */
    assert_int_equal(taken.count, 16 - 3 - 4 - 2);
    assert_int_equal(taken.newest_s, base_s + 590);
    assert_true(taken.last_is_last);
}

static void test_the_ring_moves_on(void **state) {
    (void)state;
    struct taken taken;
    struct memory_fill fill;
    int requests;
    struct device device = make_device(50, INDEX_NEXT, 60);
    device.moves = 1;
    /* Records 11 and later were there; each answer costs the oldest one. */
    assert_int_equal(read_hole(&device, 10.5, 59.5, &taken, &fill, &requests), 0);
    assert_true(fill.counts.overwritten > 0);
    assert_true(taken.count > 0 && taken.last_is_last);
    assert_int_equal(taken.newest_s, base_s + 590);
    device = make_device(50, INDEX_COUNT, 60);
    device.moves = 30; /* more than half the ring at once: nothing of it can be believed */
    assert_int_equal(read_hole(&device, 20.5, 59.5, &taken, &fill, &requests), ERR_CORRUPT);
}

static void test_wrong_indices(void **state) {
    (void)state;
    struct taken taken;
    struct memory_fill fill;
    int requests;
    struct device device = make_device(50, INDEX_NEXT, 60);
    device.memory.capacity = 5; /* the device says 10 */
    device.count = 60;
    uint8_t bytes[4] = {0, 0, 0, 5};
    memory_fill_begin(&device.memory, 0, at_record(1), at_record(2), at_record(60), 0, on_record,
                      &taken, &fill);
    assert_int_equal(memory_fill_take(&fill, bytes), ERR_CORRUPT);
    device = make_device(50, INDEX_NEWEST, 60);
    bytes[3] = 50;
    memory_fill_begin(&device.memory, 0, at_record(1), at_record(2), at_record(60), 0, on_record,
                      &taken, &fill);
    assert_int_equal(memory_fill_take(&fill, bytes), ERR_CORRUPT);
    /* A count that begins again while it is read. */
    device = make_device(50, INDEX_COUNT, 60);
    struct memory_request request;
    uint8_t answer[2 * MODBUS_REGISTERS_MAX];
    memory_fill_begin(&device.memory, 0, at_record(50.5), at_record(59), at_record(60), 0,
                      on_record, &taken, &fill);
    taken = (struct taken){.count = 0};
    int result = 0;
    requests = 0;
    while (result == 0 && memory_fill_next(&fill, &request)) {
        serve(&device, &request, answer);
        if (fill.phase == MEMORY_AFTER) {
            memset(answer, 0, 4);
        }
        result = memory_fill_take(&fill, answer);
        assert_true(++requests < 100);
    }
    assert_int_equal(result, ERR_CORRUPT);
    assert_int_equal(taken.count, 0);
}

/* Rings of any size and fill, read at any place, moving or not, with broken slots or none. */
static void test_random_rings(void **state) {
    (void)state;
    srand(7);
    for (int i = 0; i < RINGS; i++) {
        uint32_t capacity = 4 + (uint32_t)rand() % (CAPACITY_MAX - 3);
        struct device device =
            make_device(capacity, (enum logger_index)(rand() % 3), (uint64_t)(rand() % 150));
        double after = rand() % 1600 / 10.0 + 0.05, before = after + rand() % 600 / 10.0 + 0.01;
        bool broken = rand() % 2 == 0;
        struct taken taken;
        struct memory_fill fill;
        int requests, expected = 0;
        device.moves = rand() % 4 == 0;
        for (int k = rand() % 4; broken && k > 0; k--) {
            uint32_t slot = (uint32_t)rand() % capacity;
            uint32_t next = (slot + 1) % capacity;
            if (device.lies[(slot + capacity - 1) % capacity]) {
                continue; /* it is what contradicts that one */
            }
            /* A wrong stamp that its neighbours do not contradict would be a right one. */
            bool seen = !device.lies[next] && device.moves == 0 && next != device.count % capacity;
            uint32_t stamps[] = {0, UINT32_MAX, 12345, seen ? device.stamps[next] : 0};
            device.stamps[slot] = stamps[rand() % 4];
            device.lies[slot] = true;
        }
        uint64_t oldest = device.count >= capacity ? device.count - capacity + 1 : 0;
        for (uint64_t n = oldest; n < device.count; n++) {
            expected += (double)n > after && (double)n < before;
        }
        before = before < (double)device.count ? before : (double)device.count;
        if (before <= after) {
            continue;
        }
        int result = read_hole(&device, after, before, &taken, &fill, &requests);
        assert_true(result == 0 || (device.moves > 0 && result == ERR_CORRUPT));
        assert_true(taken.count <= expected);
        assert_true(broken || device.moves > 0 || taken.count == expected);
        assert_true(taken.count == 0 || broken || result != 0 || taken.last_is_last);
        assert_true(taken.last_count <= 1);
    }
}

/* ---- time stamps and identities ---- */

static int decode(enum logger_stamp_form form, enum modbus_order order, int32_t offset_min,
                  const uint16_t *words, int64_t *ret_s) {
    const struct logger_stamp stamp = {form, order, offset_min};
    uint8_t bytes[12];
    struct utc_us at = {-1};
    for (unsigned i = 0; i < logger_stamp_registers(form); i++) {
        bytes[2 * i] = (uint8_t)(words[i] >> 8);
        bytes[2 * i + 1] = (uint8_t)words[i];
    }
    int result = logger_stamp_decode(&stamp, bytes, &at);
    assert_true(result == 0 || at.us == -1);
    *ret_s = at.us / second;
    return result;
}

static void test_stamps(void **state) {
    (void)state;
    /* 1763539200 is 0x691D7900; the civil times are from date -u */
    static const struct {
        enum logger_stamp_form form;
        enum modbus_order order;
        int32_t offset_min;
        uint16_t words[6];
        int64_t expected_s; /* -1: refused */
    } rows[] = {
        {STAMP_UNIX32, MODBUS_ABCD, 0, {0x691D, 0x7900}, 1763539200},
        {STAMP_UNIX32, MODBUS_CDAB, 0, {0x7900, 0x691D}, 1763539200},
        {STAMP_UNIX32, MODBUS_ABCD, 420, {0x691D, 0x7900}, 1763539200 - 25200},
        {STAMP_UNIX64, MODBUS_ABCD, 0, {0, 0, 0x691D, 0x7900}, 1763539200},
        {STAMP_UNIX64, MODBUS_CDAB, 0, {0x7900, 0x691D, 0, 0}, 1763539200},
        {STAMP_UNIX64, MODBUS_ABCD, 0, {0x8000, 0, 0x691D, 0x7900}, -1},
        {STAMP_UNIX32, MODBUS_ABCD, 0, {0, 0}, -1},
        {STAMP_UNIX32, MODBUS_ABCD, 0, {0xFFFF, 0xFFFF}, -1},
        {STAMP_UNIX32, MODBUS_ABCD, 0, {0x386D, 0x437F}, -1}, /* 1999-12-31T23:59:59Z */
        {STAMP_UNIX32, MODBUS_ABCD, 0, {0x386D, 0x4380}, 946684800},
        {STAMP_YMDHMS, MODBUS_ABCD, 420, {2025, 11, 19, 15, 0, 0}, 1763539200},
        {STAMP_YMDHMS, MODBUS_ABCD, 420, {25, 11, 19, 15, 0, 0}, 1763539200},
        {STAMP_YMDHMS, MODBUS_BADC, 0, {0xE907, 0x0B00, 0x1300, 0x0800, 0, 0}, 1763539200},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {2024, 2, 29, 23, 59, 59}, 1709251199},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {2025, 2, 29, 0, 0, 0}, -1},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {2025, 13, 1, 0, 0, 0}, -1},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {2025, 0, 1, 0, 0, 0}, -1},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {2025, 4, 31, 0, 0, 0}, -1},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {2025, 4, 1, 24, 0, 0}, -1},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {2025, 4, 1, 0, 60, 0}, -1},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {2025, 4, 1, 0, 0, 60}, -1},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {1999, 4, 1, 0, 0, 0}, -1},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF}, -1},
        {STAMP_YMDHMS, MODBUS_ABCD, 0, {0, 0, 0, 0, 0, 0}, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t at_s = 0;
        int result = decode(rows[i].form, rows[i].order, rows[i].offset_min, rows[i].words, &at_s);
        assert_int_equal(result, rows[i].expected_s == -1 ? ERR_RANGE : 0);
        assert_true(result != 0 || at_s == rows[i].expected_s);
    }
}

static void test_identities(void **state) {
    (void)state;
    char found[LOGGER_FOUND_SIZE];
    struct logger_identity text = {.present = true, .registers = 4};
    assert_int_equal(logger_identity_decode(&text, (const uint8_t *)"HV-2210\0", found), 0);
    assert_string_equal(found, "HV-2210");
    text.swapped = true;
    assert_int_equal(logger_identity_decode(&text, (const uint8_t *)"VH2-12\0000", found), 0);
    assert_string_equal(found, "HV-2210");
    assert_int_equal(logger_identity_decode(&text, (const uint8_t *)"\1\2\3\4\5\6\7\10", found),
                     ERR_INVALID);
    struct logger_identity number = {.present = true, .type = MODBUS_UINT32, .order = MODBUS_CDAB};
    assert_int_equal(logger_identity_registers(&number), 2);
    assert_int_equal(logger_identity_decode(&number, (const uint8_t *)"\x2F\x59\x00\x01", found),
                     0);
    assert_string_equal(found, "77657"); /* 0x00012F59 */
    number.type = MODBUS_UINT64;
    static const uint8_t ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    assert_int_equal(logger_identity_decode(&number, ones, found), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hole_is_read_whole_and_alone),
        cmocka_unit_test(test_bounds_are_not_inside),
        cmocka_unit_test(test_a_ring_that_is_not_full),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_the_ring_moves_on),
        cmocka_unit_test(test_wrong_indices),
        cmocka_unit_test(test_random_rings),
        cmocka_unit_test(test_stamps),
        cmocka_unit_test(test_identities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
