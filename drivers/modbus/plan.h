/* Points of a unit -> requests. Points of one table and one period that stand next to each other
 * in the registers share a request ("block"), up to modbus_table_read_max() of them; a gap starts a
 * new one. Thread rule: per object. */
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
    struct modbus_block *blocks;
    struct modbus_map *maps; /* copies, in the order of blocks and registers */
};

/* `config` has passed modbus_config_check(). Every map stands in exactly one block. ERR_MEMORY. */
int modbus_plan_init(const struct modbus_endpoint_config *config, struct modbus_plan *ret_plan);
void modbus_plan_finish(struct modbus_plan *plan); /* fine on a zeroed struct */

#endif
