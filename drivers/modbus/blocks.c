#include "drivers/modbus/blocks.h"

#include <stdio.h>
#include <stdlib.h>

#include "drivers/modbus/decode.h"

enum { EXCEPTION_FAILURE = 4, EXCEPTION_NO_PATH = 10, EXCEPTION_NO_TARGET = 11 };

int modbus_blocks_init(struct loop *loop, const struct modbus_endpoint_config *config,
                       struct endpoint *endpoint, struct endpoint_stats *stats,
                       struct modbus_blocks *ret_blocks, struct line_policy *ret_policy) {
    struct modbus_blocks *blocks = ret_blocks;
    *blocks = (struct modbus_blocks){
        .endpoint = endpoint, .stats = stats, .loop = loop, .config = config};
    int result = modbus_plan_init(config, &blocks->plan);
    if (result == 0) {
        blocks->told = calloc(blocks->plan.map_count, sizeof(*blocks->told));
        result = blocks->told == NULL ? ERR_MEMORY : 0;
    }
    if (result == 0) {
        *ret_policy = (struct line_policy){.id = config->id,
                                           .unit_count = (uint32_t)config->unit_count,
                                           .block_count = (uint32_t)blocks->plan.block_count,
                                           .block_max = (uint32_t)blocks->plan.map_count,
                                           .dead_after = config->dead_after,
                                           .probe_min_us = config->probe_min_us,
                                           .probe_max_us = config->probe_max_us};
    }
    return result;
}

void modbus_blocks_rebind(void *line, const void *config, const struct line_moves *moves,
                          struct line_policy *policy) {
    struct modbus_blocks *blocks = line;
    blocks->config = config;
    policy->id = blocks->config->id;
    for (size_t i = 0; i < blocks->plan.map_count; i++) {
        struct modbus_map *map = &blocks->plan.maps[i];
        map->point = moves->points[map->point];
        map->station = moves->stations[map->station];
    }
}

void modbus_blocks_finish(struct modbus_blocks *blocks) {
    modbus_plan_finish(&blocks->plan);
    free(blocks->told);
    blocks->told = NULL;
}

struct modbus_request modbus_blocks_request(const struct modbus_blocks *blocks, uint32_t block) {
    if (block == LINE_ASIDE) {
        return blocks->aside;
    }
    const struct modbus_block *about = &blocks->plan.blocks[block];
    return (struct modbus_request){.unit = blocks->config->units[about->unit].unit,
                                   .table = about->table,
                                   .start = about->start,
                                   .count = about->count,
                                   .quirks = blocks->config->quirks};
}

void modbus_blocks_enter(struct modbus_blocks *blocks, enum endpoint_state state) {
    if (blocks->stats->state != state) {
        blocks->stats->state = state;
        blocks->stats->since = clock_now(loop_clock(blocks->loop));
    }
}

void modbus_blocks_why(struct modbus_blocks *blocks, const char *what, const char *detail) {
    (void)snprintf(blocks->stats->why, sizeof(blocks->stats->why), "%s%s%s", what,
                   detail[0] != '\0' ? ": " : "", detail);
}

bool modbus_exception_is_failure(uint8_t exception) {
    return exception == EXCEPTION_FAILURE || exception == EXCEPTION_NO_PATH ||
           exception == EXCEPTION_NO_TARGET;
}

static const struct modbus_map *map_of(const struct modbus_blocks *blocks, uint32_t block,
                                       uint32_t index) {
    return &blocks->plan.maps[blocks->plan.blocks[block].first_map + index];
}

struct line_block modbus_blocks_block(const void *line, uint32_t block) {
    const struct modbus_blocks *blocks = line;
    const struct modbus_block *about = &blocks->plan.blocks[block];
    struct line_block result = {
        .unit = about->unit, .point_count = about->map_count, .period_us = about->period_us};
    for (uint32_t i = 0; i < about->map_count; i++) {
        result.urgent = result.urgent || map_of(blocks, block, i)->urgent;
    }
    return result;
}

struct line_point modbus_blocks_point(const void *line, uint32_t block, uint32_t index) {
    const struct modbus_map *map = map_of(line, block, index);
    return (struct line_point){.point = map->point, .station = map->station};
}

void modbus_blocks_set_aside(void *line, const struct aside_read *read) {
    struct modbus_blocks *blocks = line;
    blocks->aside = (struct modbus_request){.unit = blocks->config->units[read->unit].unit,
                                            .table = read->table,
                                            .start = read->start,
                                            .count = read->count,
                                            .quirks = blocks->config->quirks};
}

const uint8_t *modbus_blocks_aside_data(const void *line) {
    const struct modbus_blocks *blocks = line;
    return blocks->data;
}

void modbus_blocks_decode(const void *line, uint32_t block, uint32_t index,
                          struct reading *ret_reading) {
    const struct modbus_blocks *blocks = line;
    modbus_decode_from(map_of(blocks, block, index), blocks->plan.blocks[block].start, blocks->data,
                       ret_reading);
}

bool modbus_blocks_cut(void *line, uint32_t block, uint8_t exception,
                       char ret_advice[LINE_ADVICE_SIZE]) {
    struct modbus_blocks *blocks = line;
    struct modbus_block refused = blocks->plan.blocks[block];
    const char *table = modbus_table_name(refused.table);
    unsigned unit = blocks->config->units[refused.unit].unit;
    uint16_t gap = 0;
    bool is_cut = modbus_plan_cut(&blocks->plan, block, &gap);
    uint32_t place = refused.first_map + blocks->plan.blocks[block].map_count - 1;
    ret_advice[0] = '\0';
    if (blocks->told[place]) {
        return is_cut;
    }
    if (!is_cut) {
        (void)snprintf(
            ret_advice, LINE_ADVICE_SIZE,
            "unit %u: %s %u is refused by itself (%s): correct register.address, or keep it "
            "out of other requests with 'alone: true' at its register",
            unit, table, refused.start, modbus_exception_name(exception));
    } else if (gap > 0) {
        (void)snprintf(
            ret_advice, LINE_ADVICE_SIZE,
            "unit %u: %s %u to %u are refused in one request (%s) and asked in parts from "
            "now on; 'gap_registers: %u' in its connection avoids reading the gap of %u",
            unit, table, refused.start, refused.start + refused.count - 1u,
            modbus_exception_name(exception),
            modbus_table_is_bits(refused.table) ? (gap - 1u) / 16 : gap - 1u, gap);
    } else {
        (void)snprintf(
            ret_advice, LINE_ADVICE_SIZE,
            "unit %u: %s %u to %u are refused in one request (%s) and asked in parts from "
            "now on; unless one of them is refused by itself, the device wants shorter "
            "requests: 'registers_max' in its connection",
            unit, table, refused.start, refused.start + refused.count - 1u,
            modbus_exception_name(exception));
    }
    blocks->told[place] = true;
    return is_cut;
}

void modbus_blocks_rejoin(void *line) {
    struct modbus_blocks *blocks = line;
    modbus_plan_rejoin(&blocks->plan);
}
