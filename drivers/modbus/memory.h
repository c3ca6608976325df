/* Reading one hole out of the ring of records in a logger's memory: which registers to ask for
 * next, and which records of the answers can be believed. Knows nothing of connections and clocks:
 * the caller sends the requests, one at a time, and brings the bytes.
 *
 * First the index, then a binary search over the time stamps for the first record of the hole, then
 * records forward in blocks until one lies behind the hole. After each block the index is read
 * again: a record whose slot was given to a newer one meanwhile, or is being written, is refused,
 * because its halves may be of two records.
 *
 * A record is handed over only when its time stamp is a possible one, inside the hole, later than
 * that of the record before, and not contradicted by the record behind it: of two neighbours that
 * stand in the wrong order, or say different things of the same time, nobody can say which is
 * wrong, so that both are refused. What is refused is counted; nothing is ever corrected. A slot
 * without a time (0, all ones) is an empty one.
 *
 * Thread rule: per object; no allocation. */
#ifndef CANHBAO_DRIVERS_MODBUS_MEMORY_H
#define CANHBAO_DRIVERS_MODBUS_MEMORY_H

#include "drivers/modbus/logger.h"

struct memory_counts {
    uint64_t taken;        /* records handed over */
    uint64_t impossible;   /* no time, or one in the future */
    uint64_t out_of_order; /* not later than the one before, or contradicted by the next */
    uint64_t overwritten;  /* the ring moved over them while they were read */
    uint64_t repeated;     /* the same time stamp again; two, when what they say differs */
};

struct memory_request {
    uint16_t start, count; /* of logger_memory.table */
};

enum memory_phase { MEMORY_INDEX, MEMORY_SEARCH, MEMORY_BLOCK, MEMORY_AFTER, MEMORY_DONE };

struct memory_fill {
    const struct logger_memory *memory;
    uint32_t block_max;          /* records of one request */
    struct utc_us after, before; /* the hole: records strictly between */
    struct utc_us future;        /* a later stamp is impossible */
    enum memory_phase phase;
    uint64_t head;        /* number of the record that is written next; slot = number mod
                             capacity; numbers are our own unless INDEX_COUNT */
    uint64_t end;         /* the head at the begin: what was written later lies behind the hole */
    uint64_t low, high;   /* of the search; later `low` is the next record to read */
    uint32_t probe;       /* of this step of the search: looks that found no time */
    uint32_t block_count; /* records in `block` */
    uint8_t block[2 * MODBUS_REGISTERS_MAX];
    struct utc_us last; /* stamp of the newest record handed over; first: `after` */
    bool has_pending;
    struct utc_us pending_at;
    uint8_t pending[2 * MODBUS_REGISTERS_MAX];
    struct memory_counts counts;
    void (*on_record)(void *ctx, struct utc_us at, const uint8_t *record, bool last);
    void *ctx;
};

/* `after` < `before`, `before` not after `now`. registers_max of the unit (0: the standard's). A
 * clock may be ahead by `ahead_us` without its newest record being impossible. on_record: in the
 * order of time; the bytes are valid during the call; `last`: no more of this hole will follow. It
 * may be left without a last one when what remained was refused. */
void memory_fill_begin(const struct logger_memory *memory, uint16_t registers_max,
                       struct utc_us after, struct utc_us before, struct utc_us now,
                       int64_t ahead_us,
                       void (*on_record)(void *ctx, struct utc_us at, const uint8_t *record,
                                         bool last),
                       void *ctx, struct memory_fill *ret_fill);

/* What to ask for next; false: the hole is read. */
bool memory_fill_next(const struct memory_fill *fill, struct memory_request *ret_request);

/* The answer to it: two bytes a register. ERR_CORRUPT: the index is none (beyond the capacity, or
 * it jumped by more than half the ring): the fill is of no more use, begin again. */
int memory_fill_take(struct memory_fill *fill, const uint8_t *bytes);

#endif
