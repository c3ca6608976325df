/* Reading a hole out of a logger's memory, with a device that says anything. Input: form and order
 * of the stamp, index kind, capacity, record size, then the answers as they come, over and over.
 * What is handed over is judged again here. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/modbus/memory.h"

enum { HEAD = 6, ANSWERS_MAX = 600 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition) {
    if (!condition) {
        abort();
    }
}

struct seen {
    const struct logger_memory *memory;
    struct utc_us after, before, newest;
    uint64_t count;
    bool closed;
};

static void on_record(void *ctx, struct utc_us at, const uint8_t *record, bool last) {
    struct seen *seen = ctx;
    struct utc_us own;
    demand(!seen->closed && at.us > seen->after.us && at.us < seen->before.us);
    demand(seen->count == 0 || at.us > seen->newest.us);
    demand(logger_stamp_decode(&seen->memory->stamp,
                               record + (size_t)seen->memory->stamp_offset * 2, &own) == 0);
    demand(own.us == at.us);
    seen->newest = at;
    seen->count++;
    seen->closed = last;
}

static struct logger_memory make_memory(const uint8_t *data) {
    struct logger_memory memory = {.present = true,
                                   .table = MODBUS_HOLDING,
                                   .index_type = data[0] & 1 ? MODBUS_UINT32 : MODBUS_UINT16,
                                   .index_order = (enum modbus_order)(data[0] >> 1 & 3),
                                   .index_means = (enum logger_index)((data[0] >> 3) % 3),
                                   .index_address = 10,
                                   .address = 100,
                                   .capacity = LOGGER_CAPACITY_MIN + data[1] % 250u,
                                   .interval_us = 60000000,
                                   .stamp = {.form = (enum logger_stamp_form)(data[2] % 3),
                                             .order = (enum modbus_order)(data[2] >> 2 & 3),
                                             .utc_offset_min = data[2] >> 4 & 1 ? 420 : 0}};
    uint16_t registers = logger_stamp_registers(memory.stamp.form);
    memory.stamp_offset = data[3] % 4;
    memory.record_registers = (uint16_t)(registers + memory.stamp_offset + data[4] % 100);
    return memory;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD + 1) {
        return 0;
    }
    struct logger_memory memory = make_memory(data);
    const struct utc_us now = {INT64_C(1763539200) * 1000000};
    struct seen seen = {.memory = &memory, .before = {now.us - data[5] * INT64_C(60000000)}};
    seen.after.us = seen.before.us - INT64_C(86400) * 1000000 * (1 + data[5] % 30);
    struct memory_fill fill;
    struct memory_request request;
    uint8_t answer[2 * MODBUS_REGISTERS_MAX];
    size_t at = HEAD;
    int result = 0, requests = 0;
    memory_fill_begin(&memory, (uint16_t)(memory.record_registers + data[4] % 20), seen.after,
                      seen.before, now, 60000000, on_record, &seen, &fill);
    while (result == 0 && memory_fill_next(&fill, &request)) {
        demand(++requests <= ANSWERS_MAX + (int)memory.capacity * 4); /* it always ends */
        demand(request.count >= 1 && request.count <= MODBUS_REGISTERS_MAX);
        demand(request.start >= 10);
        demand(request.start + request.count <=
               100 + memory.capacity * (uint32_t)memory.record_registers);
        for (size_t i = 0; i < (size_t)request.count * 2; i++) {
            answer[i] = data[at];
            at = at + 1 < size ? at + 1 : HEAD;
        }
        result = memory_fill_take(&fill, answer);
        demand(result == 0 || result == ERR_CORRUPT);
    }
    demand(fill.counts.taken == seen.count);
    return 0;
}
