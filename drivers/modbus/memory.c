#include "drivers/modbus/memory.h"

#include <string.h>

#include "drivers/modbus/decode.h"

enum {
    PROBES_MAX = 3, /* neighbours on each side that a step of the search looks at for a time */
    SEARCH_BACK = 3 /* records read before the one that the search found, in the same request */
};

/* Records in the ring that can be believed: not the slot that is written next, which may be half
 * written. */
static uint64_t usable(const struct logger_memory *memory) {
    return memory->capacity - 1;
}

void memory_fill_begin(const struct logger_memory *memory, uint16_t registers_max,
                       struct utc_us after, struct utc_us before, struct utc_us now,
                       int64_t ahead_us,
                       void (*on_record)(void *ctx, struct utc_us at, const uint8_t *record,
                                         bool last),
                       void *ctx, struct memory_fill *ret_fill) {
    *ret_fill = (struct memory_fill){.memory = memory,
                                     .block_max = logger_memory_block(memory, registers_max),
                                     .after = after,
                                     .before = before,
                                     .future = {now.us + ahead_us},
                                     .phase = MEMORY_INDEX,
                                     .last = after,
                                     .on_record = on_record,
                                     .ctx = ctx};
}

static uint16_t record_address(const struct logger_memory *memory, uint64_t number) {
    return (uint16_t)(memory->address + number % memory->capacity * memory->record_registers);
}

static uint64_t middle(const struct memory_fill *fill) {
    return fill->low + (fill->high - fill->low) / 2;
}

static uint32_t at_most(uint64_t a, uint32_t b) {
    return a < b ? (uint32_t)a : b;
}

/* The record that this step of the search looks at: the middle, or when it has no time those behind
 * it, then those before it. */
static uint64_t probe_of(const struct memory_fill *fill) {
    uint64_t mid = middle(fill);
    uint32_t behind = at_most(fill->high - 1 - mid, PROBES_MAX);
    return fill->probe <= behind ? mid + fill->probe : mid - (fill->probe - behind);
}

/* Records of the next block: a request does not go over the end of the ring. */
static uint32_t block_length(const struct memory_fill *fill) {
    uint64_t left = fill->end - fill->low;
    uint64_t to_end = fill->memory->capacity - fill->low % fill->memory->capacity;
    uint64_t count = left < to_end ? left : to_end;
    return (uint32_t)(count < fill->block_max ? count : fill->block_max);
}

bool memory_fill_next(const struct memory_fill *fill, struct memory_request *ret_request) {
    const struct logger_memory *memory = fill->memory;
    switch (fill->phase) {
    case MEMORY_INDEX:
    case MEMORY_AFTER:
        *ret_request = (struct memory_request){memory->index_address,
                                               modbus_type_registers(memory->index_type)};
        return true;
    case MEMORY_SEARCH:
        *ret_request = (struct memory_request){
            (uint16_t)(record_address(memory, probe_of(fill)) + memory->stamp_offset),
            logger_stamp_registers(memory->stamp.form)};
        return true;
    case MEMORY_BLOCK:
        *ret_request =
            (struct memory_request){record_address(memory, fill->low),
                                    (uint16_t)(block_length(fill) * memory->record_registers)};
        return true;
    case MEMORY_DONE:
        break;
    }
    return false;
}

/* ---- the index ---- */

/* ERR_CORRUPT: an index that no ring of this size has. */
static int read_index(const struct logger_memory *memory, const uint8_t *bytes,
                      uint64_t *ret_value) {
    struct modbus_map map = {.type = memory->index_type, .order = memory->index_order, .scale = 1};
    struct reading reading;
    modbus_decode(&map, bytes, &reading);
    uint64_t value = (uint64_t)reading.value; /* whole and not negative */
    if (memory->index_means == INDEX_COUNT) {
        *ret_value = value;
        return 0;
    }
    if (value >= memory->capacity) {
        return ERR_CORRUPT;
    }
    *ret_value = memory->index_means == INDEX_NEXT ? value : (value + 1) % memory->capacity;
    return 0;
}

static int take_first_index(struct memory_fill *fill, const uint8_t *bytes) {
    const struct logger_memory *memory = fill->memory;
    uint64_t value;
    int result = read_index(memory, bytes, &value);
    if (result < 0) {
        return result;
    }
    bool counts = memory->index_means == INDEX_COUNT;
    /* Without a count the ring is taken for full: what was never written has no time. */
    fill->head = counts ? value : value + memory->capacity;
    uint64_t held = counts && value < usable(memory) ? value : usable(memory);
    fill->low = fill->head - held;
    fill->high = fill->head;
    fill->end = fill->head;
    fill->phase = fill->low < fill->high ? MEMORY_SEARCH : MEMORY_DONE;
    return 0;
}

/* Moves the head on. More than half the ring at once is no ring that goes on. */
static int take_index_again(struct memory_fill *fill, const uint8_t *bytes) {
    const struct logger_memory *memory = fill->memory;
    uint64_t value;
    int result = read_index(memory, bytes, &value);
    if (result < 0) {
        return result;
    }
    uint64_t wrap = memory->index_means != INDEX_COUNT    ? memory->capacity
                    : memory->index_type == MODBUS_UINT16 ? UINT64_C(1) << 16
                                                          : UINT64_C(1) << 32;
    uint64_t moved = (value + wrap - fill->head % wrap) % wrap;
    if (moved > memory->capacity / 2) {
        return ERR_CORRUPT;
    }
    fill->head += moved;
    return 0;
}

/* ---- the search ---- */

static bool stamp_of(const struct memory_fill *fill, const uint8_t *bytes, struct utc_us *ret_at) {
    return logger_stamp_decode(&fill->memory->stamp, bytes, ret_at) == 0 &&
           ret_at->us <= fill->future.us;
}

static void take_probe(struct memory_fill *fill, const uint8_t *bytes) {
    struct utc_us at;
    uint64_t mid = middle(fill), probed = probe_of(fill);
    uint32_t behind = at_most(fill->high - 1 - mid, PROBES_MAX);
    uint32_t before = at_most(mid - fill->low, PROBES_MAX);
    if (stamp_of(fill, bytes, &at)) {
        bool inside = at.us > fill->after.us;
        fill->high = !inside ? fill->high : probed < mid ? probed : mid;
        fill->low = inside ? fill->low : probed + 1;
        fill->probe = 0;
    } else if (fill->probe < behind + before) {
        fill->probe++; /* its neighbours may tell */
    } else {
        /* Empty slots are those that were never written: the oldest. */
        fill->low = mid + 1;
        fill->probe = 0;
    }
    if (fill->low < fill->high) {
        return;
    }
    uint64_t oldest = fill->head > usable(fill->memory) ? fill->head - usable(fill->memory) : 0;
    fill->low = fill->low - oldest > SEARCH_BACK ? fill->low - SEARCH_BACK : oldest;
    fill->phase = fill->low < fill->end ? MEMORY_BLOCK : MEMORY_DONE;
}

/* ---- records ---- */

static void hand_over(struct memory_fill *fill, bool last) {
    fill->has_pending = false;
    fill->last = fill->pending_at;
    fill->counts.taken++;
    fill->on_record(fill->ctx, fill->pending_at, fill->pending, last);
}

/* One record that was not written over; `at` is possible and inside the hole. */
static void consider(struct memory_fill *fill, struct utc_us at, const uint8_t *record) {
    if (at.us <= fill->last.us) {
        fill->counts.out_of_order += at.us != fill->last.us;
        fill->counts.repeated += at.us == fill->last.us;
        return;
    }
    if (fill->has_pending && at.us == fill->pending_at.us) {
        bool same = memcmp(record, fill->pending, (size_t)fill->memory->record_registers * 2) == 0;
        fill->counts.repeated += same ? 1 : 2;
        fill->last = same ? fill->last : at; /* nor a third one */
        fill->has_pending = same;
        return;
    }
    if (fill->has_pending && at.us < fill->pending_at.us) {
        fill->counts.out_of_order += 2;
        fill->has_pending = false;
        return;
    }
    if (fill->has_pending) {
        hand_over(fill, false);
    }
    fill->has_pending = true;
    fill->pending_at = at;
    memcpy(fill->pending, record, (size_t)fill->memory->record_registers * 2);
}

/* Judges the block with what the index says after it. */
static void take_block(struct memory_fill *fill) {
    const struct logger_memory *memory = fill->memory;
    size_t size = (size_t)memory->record_registers * 2;
    bool behind = false; /* the newest record of the block lies behind the hole */
    for (uint32_t i = 0; i < fill->block_count; i++) {
        const uint8_t *record = fill->block + i * size;
        struct utc_us at;
        if (fill->low + i + usable(memory) < fill->head) {
            fill->counts.overwritten++;
        } else if (!stamp_of(fill, record + (size_t)memory->stamp_offset * 2, &at)) {
            fill->counts.impossible++;
        } else {
            behind = at.us >= fill->before.us;
            if (!behind && at.us > fill->after.us) {
                consider(fill, at, record);
            }
        }
    }
    fill->low += fill->block_count;
    if (fill->low + usable(memory) < fill->head) {
        fill->counts.overwritten += fill->head - usable(memory) - fill->low;
        fill->low = fill->head - usable(memory);
    }
    bool done = behind || fill->low >= fill->end;
    fill->phase = done ? MEMORY_DONE : MEMORY_BLOCK;
    if (done && fill->has_pending) {
        hand_over(fill, true);
    }
}

int memory_fill_take(struct memory_fill *fill, const uint8_t *bytes) {
    int result = 0;
    switch (fill->phase) {
    case MEMORY_INDEX:
        return take_first_index(fill, bytes);
    case MEMORY_SEARCH:
        take_probe(fill, bytes);
        break;
    case MEMORY_BLOCK:
        fill->block_count = block_length(fill);
        memcpy(fill->block, bytes, (size_t)fill->block_count * fill->memory->record_registers * 2);
        fill->phase = MEMORY_AFTER;
        break;
    case MEMORY_AFTER:
        result = take_index_again(fill, bytes);
        if (result == 0) {
            take_block(fill);
        }
        break;
    case MEMORY_DONE:
        break;
    }
    return result;
}
