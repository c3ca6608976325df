#include "drivers/modbus/plan.h"

#include <stdlib.h>
#include <string.h>

static int compare_maps(const void *left, const void *right) {
    const struct modbus_map *a = left, *b = right;
    if (a->table != b->table) {
        return a->table < b->table ? -1 : 1;
    }
    if (a->period_us != b->period_us) {
        return a->period_us < b->period_us ? -1 : 1;
    }
    return (a->address > b->address) - (a->address < b->address);
}

static bool joins(const struct modbus_block *block, const struct modbus_map *map) {
    uint32_t end = (uint32_t)block->start + block->count;
    uint32_t map_end = map->address + (uint32_t)modbus_type_registers(map->type);
    return map->table == block->table && map->period_us == block->period_us &&
           map->address <= end && map_end - block->start <= modbus_table_read_max(map->table) &&
           block->map_count < MODBUS_POINTS_PER_BLOCK_MAX;
}

static void plan_unit(struct modbus_plan *plan, uint32_t unit, size_t first_map) {
    struct modbus_block *block = NULL;
    for (size_t i = first_map; i < plan->map_count; i++) {
        const struct modbus_map *map = &plan->maps[i];
        if (block == NULL || !joins(block, map)) {
            block = &plan->blocks[plan->block_count++];
            *block = (struct modbus_block){.unit = unit,
                                           .table = map->table,
                                           .start = map->address,
                                           .period_us = map->period_us,
                                           .first_map = (uint32_t)i};
        }
        uint32_t end = map->address + (uint32_t)modbus_type_registers(map->type) - block->start;
        /* Parts of one register stand side by side, so that the end may stay where it is. */
        block->count = end > block->count ? (uint16_t)end : block->count;
        block->map_count++;
    }
}

int modbus_plan_init(const struct modbus_endpoint_config *config, struct modbus_plan *ret_plan) {
    size_t map_count = 0;
    for (size_t i = 0; i < config->unit_count; i++) {
        map_count += config->units[i].map_count;
    }
    /* At most as many blocks as points. */
    struct modbus_plan plan = {.maps = calloc(map_count, sizeof(*plan.maps)),
                               .blocks = calloc(map_count, sizeof(*plan.blocks))};
    if (plan.maps == NULL || plan.blocks == NULL) {
        modbus_plan_finish(&plan);
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < config->unit_count; i++) {
        const struct modbus_unit_config *unit = &config->units[i];
        size_t first = plan.map_count;
        memcpy(plan.maps + first, unit->maps, unit->map_count * sizeof(*plan.maps));
        plan.map_count += unit->map_count;
        qsort(plan.maps + first, unit->map_count, sizeof(*plan.maps), compare_maps);
        plan_unit(&plan, (uint32_t)i, first);
    }
    *ret_plan = plan;
    return 0;
}

void modbus_plan_finish(struct modbus_plan *plan) {
    free(plan->maps);
    free(plan->blocks);
    *plan = (struct modbus_plan){0};
}
