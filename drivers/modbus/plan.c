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

static uint32_t end_of(const struct modbus_map *map) {
    return map->address + (uint32_t)modbus_type_registers(map->type);
}

/* What may stand between two points, and in one request, in units of the table. */
static void limits_of(const struct modbus_unit_config *unit, enum modbus_table table,
                      uint32_t *ret_gap, uint32_t *ret_count) {
    uint32_t each = modbus_table_is_bits(table) ? 16 : 1;
    uint32_t most = modbus_table_read_max(table);
    *ret_gap = unit->gap_registers * each;
    *ret_count = unit->registers_max > 0 && unit->registers_max * each < most
                     ? unit->registers_max * each
                     : most;
}

static bool joins(const struct modbus_plan *plan, const struct modbus_block *block,
                  const struct modbus_map *map, const struct modbus_unit_config *unit) {
    uint32_t gap, most;
    limits_of(unit, map->table, &gap, &most);
    return map->table == block->table && map->period_us == block->period_us && !map->alone &&
           !plan->maps[block->first_map].alone &&
           map->address <= (uint32_t)block->start + block->count + gap &&
           end_of(map) - block->start <= most && block->map_count < MODBUS_POINTS_PER_BLOCK_MAX;
}

static void add_map(struct modbus_block *block, const struct modbus_map *map) {
    uint32_t count = end_of(map) - block->start;
    /* Parts of one register stand side by side, so that the end may stay where it is. */
    block->count = count > block->count ? (uint16_t)count : block->count;
    block->map_count++;
}

static void plan_unit(struct modbus_plan *plan, uint32_t index,
                      const struct modbus_unit_config *unit, size_t first_map) {
    struct modbus_block *block = NULL;
    for (size_t i = first_map; i < plan->map_count; i++) {
        const struct modbus_map *map = &plan->maps[i];
        if (block == NULL || !joins(plan, block, map, unit)) {
            block = &plan->blocks[plan->block_count++];
            *block = (struct modbus_block){.unit = index,
                                           .table = map->table,
                                           .start = map->address,
                                           .period_us = map->period_us,
                                           .first_map = (uint32_t)i};
        }
        add_map(block, map);
    }
}

int modbus_plan_init(const struct modbus_endpoint_config *config, struct modbus_plan *ret_plan) {
    size_t map_count = 0;
    for (size_t i = 0; i < config->unit_count; i++) {
        map_count += config->units[i].map_count;
    }
    /* At most as many blocks as points. */
    struct modbus_plan plan = {.maps = calloc(map_count, sizeof(*plan.maps)),
                               .blocks = calloc(map_count, sizeof(*plan.blocks)),
                               .planned = calloc(map_count, sizeof(*plan.planned))};
    if (plan.maps == NULL || plan.blocks == NULL || plan.planned == NULL) {
        modbus_plan_finish(&plan);
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < config->unit_count; i++) {
        const struct modbus_unit_config *unit = &config->units[i];
        size_t first = plan.map_count;
        memcpy(plan.maps + first, unit->maps, unit->map_count * sizeof(*plan.maps));
        plan.map_count += unit->map_count;
        qsort(plan.maps + first, unit->map_count, sizeof(*plan.maps), compare_maps);
        plan_unit(&plan, (uint32_t)i, unit, first);
    }
    memcpy(plan.planned, plan.blocks, plan.block_count * sizeof(*plan.blocks));
    plan.planned_count = plan.block_count;
    *ret_plan = plan;
    return 0;
}

bool modbus_plan_cut(struct modbus_plan *plan, uint32_t block, uint16_t *ret_gap) {
    struct modbus_block *front = &plan->blocks[block];
    const struct modbus_map *maps = &plan->maps[front->first_map];
    uint32_t end = end_of(&maps[0]);
    uint32_t best = 0, best_gap = 0, best_off = 0; /* best 0: none yet */
    for (uint32_t i = 1; i < front->map_count; i++) {
        if (maps[i].address >= end) {
            uint32_t gap = maps[i].address - end;
            uint32_t off =
                i * 2 > front->map_count ? i * 2 - front->map_count : front->map_count - i * 2;
            if (best == 0 || gap > best_gap || (gap == best_gap && off < best_off)) {
                best = i;
                best_gap = gap;
                best_off = off;
            }
        }
        end = end_of(&maps[i]) > end ? end_of(&maps[i]) : end;
    }
    if (best == 0) {
        return false;
    }
    struct modbus_block halves[2] = {*front, *front};
    halves[0].map_count = halves[1].map_count = 0;
    halves[0].count = halves[1].count = 0;
    halves[1].first_map += best;
    halves[1].start = maps[best].address;
    for (uint32_t i = 0; i < front->map_count; i++) {
        add_map(&halves[i >= best], &maps[i]);
    }
    *front = halves[0];
    plan->blocks[plan->block_count++] = halves[1];
    *ret_gap = (uint16_t)best_gap;
    return true;
}

void modbus_plan_rejoin(struct modbus_plan *plan) {
    memcpy(plan->blocks, plan->planned, plan->planned_count * sizeof(*plan->blocks));
    plan->block_count = plan->planned_count;
}

uint16_t modbus_plan_wanted(const struct modbus_plan *plan, const struct modbus_block *block) {
    const struct modbus_map *maps = &plan->maps[block->first_map];
    uint32_t wanted = 0, end = block->start;
    for (uint32_t i = 0; i < block->map_count; i++) {
        uint32_t from = maps[i].address > end ? maps[i].address : end;
        uint32_t to = end_of(&maps[i]);
        wanted += to > from ? to - from : 0;
        end = to > end ? to : end;
    }
    return (uint16_t)wanted;
}

double modbus_plan_load(const struct modbus_plan *plan,
                        const struct modbus_endpoint_config *config) {
    double load = 0;
    for (size_t i = 0; i < plan->block_count; i++) {
        load += (double)config->request_timeout_us / (double)plan->blocks[i].period_us;
    }
    return load;
}

void modbus_plan_finish(struct modbus_plan *plan) {
    free(plan->maps);
    free(plan->blocks);
    free(plan->planned);
    *plan = (struct modbus_plan){0};
}
