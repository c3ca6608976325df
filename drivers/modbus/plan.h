/* Points of a unit -> requests. Points of one table and one period share a request ("block"), also
 * across gaps of at most gap_registers, up to the limits of the table, the unit and
 * MODBUS_POINTS_PER_BLOCK_MAX; a point marked `alone` has its own. A block that the device refuses
 * can be cut in two, again and again, down to the point. Thread rule: per object. */
#ifndef CANHBAO_DRIVERS_MODBUS_PLAN_H
#define CANHBAO_DRIVERS_MODBUS_PLAN_H

#include "drivers/modbus/config.h"

struct modbus_block {
    uint32_t unit; /* index in the endpoint's units */
    enum modbus_table table;
    uint16_t start;
    uint16_t count;
    int64_t period_us;
    uint32_t first_map, map_count; /* in the plan's maps */
};

struct modbus_plan {
    size_t block_count, map_count;
    struct modbus_block *blocks; /* room for map_count */
    struct modbus_map *maps;     /* copies, in the order of blocks and registers */
    size_t planned_count;
    struct modbus_block *planned; /* before any cut */
};

/* `config` has passed modbus_config_check(). Every map stands in exactly one block. ERR_MEMORY. */
int modbus_plan_init(const struct modbus_endpoint_config *config, struct modbus_plan *ret_plan);
void modbus_plan_finish(struct modbus_plan *plan); /* fine on a zeroed struct */

/* Cuts a block at its widest gap, or without one in the middle: `block` keeps the front, the rest
 * is the new last block. *ret_gap: registers between the two that nobody asks for any more. False:
 * there is nothing to cut, all of it is one point or parts of one register. */
bool modbus_plan_cut(struct modbus_plan *plan, uint32_t block, uint16_t *ret_gap);
/* Takes all cuts back. */
void modbus_plan_rejoin(struct modbus_plan *plan);

/* Registers (coils) of a block that a point wants; the rest of `count` is read and thrown away. */
uint16_t modbus_plan_wanted(const struct modbus_plan *plan, const struct modbus_block *block);

/* The share of its time that an endpoint is busy if every request takes as long as it may: the sum
 * over the blocks of request_timeout / period. Above 1 slots must be skipped. */
double modbus_plan_load(const struct modbus_plan *plan,
                        const struct modbus_endpoint_config *config);

#endif
