#include "drivers/modbus/config.h"

#include <math.h>
#include <string.h>

static const char *const type_names[] = {"int16", "uint16", "int32", "uint32", "float32"};
static const char *const order_names[] = {"ABCD", "CDAB", "BADC", "DCBA"};

enum { TYPE_COUNT = 5, ORDER_COUNT = 4, TABLE_REGISTERS = 65536 };

uint16_t modbus_type_registers(enum modbus_type type) {
    return type == MODBUS_INT16 || type == MODBUS_UINT16 ? 1 : 2;
}

const char *modbus_type_name(enum modbus_type type) {
    return (unsigned)type < TYPE_COUNT ? type_names[type] : "unknown";
}

const char *modbus_order_name(enum modbus_order order) {
    return (unsigned)order < ORDER_COUNT ? order_names[order] : "unknown";
}

const char *modbus_table_name(enum modbus_table table) {
    return table == MODBUS_HOLDING ? "holding" : table == MODBUS_INPUT ? "input" : "unknown";
}

static int parse_name(const char *const *names, int count, const char *name, int *ret_index) {
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

int modbus_type_parse(const char *name, enum modbus_type *ret_type) {
    int index = 0;
    int result = parse_name(type_names, TYPE_COUNT, name, &index);
    if (result == 0) {
        *ret_type = (enum modbus_type)index;
    }
    return result;
}

int modbus_order_parse(const char *name, enum modbus_order *ret_order) {
    int index = 0;
    int result = parse_name(order_names, ORDER_COUNT, name, &index);
    if (result == 0) {
        *ret_order = (enum modbus_order)index;
    }
    return result;
}

int modbus_table_parse(const char *name, enum modbus_table *ret_table) {
    if (strcmp(name, "holding") == 0) {
        *ret_table = MODBUS_HOLDING;
        return 0;
    }
    if (strcmp(name, "input") == 0) {
        *ret_table = MODBUS_INPUT;
        return 0;
    }
    return ERR_NOT_FOUND;
}

bool modbus_sentinel_fits(enum modbus_type type, double number) {
    if (!isfinite(number)) {
        return false;
    }
    switch (type) {
    case MODBUS_INT16:
        return number >= INT16_MIN && number <= INT16_MAX && trunc(number) == number;
    case MODBUS_UINT16:
        return number >= 0 && number <= UINT16_MAX && trunc(number) == number;
    case MODBUS_INT32:
        return number >= INT32_MIN && number <= INT32_MAX && trunc(number) == number;
    case MODBUS_UINT32:
        return number >= 0 && number <= UINT32_MAX && trunc(number) == number;
    case MODBUS_FLOAT32:
        return isfinite((float)number);
    }
    return false;
}

void modbus_endpoint_defaults(struct modbus_endpoint_config *ret_config) {
    *ret_config = (struct modbus_endpoint_config){
        .port = MODBUS_PORT_DEFAULT,
        .request_timeout_us = MODBUS_REQUEST_TIMEOUT_US_DEFAULT,
        .connect_timeout_us = MODBUS_CONNECT_TIMEOUT_US_DEFAULT,
        .reconnect_min_us = MODBUS_RECONNECT_MIN_US_DEFAULT,
        .reconnect_max_us = MODBUS_RECONNECT_MAX_US_DEFAULT,
        .probe_min_us = MODBUS_PROBE_MIN_US_DEFAULT,
        .probe_max_us = MODBUS_PROBE_MAX_US_DEFAULT,
        .dead_after = MODBUS_DEAD_AFTER_DEFAULT,
    };
}

static bool is_table(enum modbus_table table) {
    return table == MODBUS_HOLDING || table == MODBUS_INPUT;
}

/* One mapped point by itself. Returns what is wrong, or NULL. */
static const char *map_fault(const struct modbus_map *map, size_t point_count,
                             size_t station_count) {
    if (map->point >= point_count || map->station >= station_count) {
        return "names a point or station that does not exist";
    }
    if (!is_table(map->table) || (unsigned)map->type >= TYPE_COUNT ||
        (unsigned)map->order >= ORDER_COUNT) {
        return "has an unknown table, type or order";
    }
    if (map->address + modbus_type_registers(map->type) > TABLE_REGISTERS) {
        return "reaches beyond register 65535";
    }
    if (!isfinite(map->scale) || map->scale == 0 || !isfinite(map->offset)) {
        return "has a scale of 0 or a scale or offset that is no number";
    }
    if (map->period_us <= 0) {
        return "has no period";
    }
    if (map->sentinel_count > MODBUS_SENTINELS_MAX) {
        return "has too many sentinels";
    }
    for (uint32_t i = 0; i < map->sentinel_count; i++) {
        if (!modbus_sentinel_fits(map->type, map->sentinels[i])) {
            return "has a sentinel that its type cannot hold";
        }
    }
    return NULL;
}

/* Marks the registers of a map in the bit set of its table; false when one is taken. */
static bool take_registers(const struct modbus_map *map, uint8_t taken[2][TABLE_REGISTERS / 8]) {
    uint8_t *bits = taken[map->table == MODBUS_INPUT];
    for (uint32_t i = 0; i < modbus_type_registers(map->type); i++) {
        uint32_t at = map->address + i;
        uint8_t bit = (uint8_t)(1u << (at % 8));
        if ((bits[at / 8] & bit) != 0) {
            return false;
        }
        bits[at / 8] |= bit;
    }
    return true;
}

static int check_unit(const struct modbus_endpoint_config *endpoint,
                      const struct modbus_unit_config *unit, size_t point_count,
                      size_t station_count, struct err *ret_err) {
    uint8_t taken[2][TABLE_REGISTERS / 8] = {{0}};
    if (unit->unit > 247 && unit->unit != 255) {
        return err_set(ret_err, ERR_RANGE, "endpoint %s: unit %u is not 0 to 247 or 255",
                       endpoint->id, unit->unit);
    }
    if (unit->map_count == 0 || unit->map_count > MODBUS_POINTS_MAX) {
        return err_set(ret_err, ERR_RANGE, "endpoint %s: unit %u has %zu points, not 1 to %d",
                       endpoint->id, unit->unit, unit->map_count, MODBUS_POINTS_MAX);
    }
    for (size_t i = 0; i < unit->map_count; i++) {
        const struct modbus_map *map = &unit->maps[i];
        const char *fault = map_fault(map, point_count, station_count);
        if (fault != NULL) {
            return err_set(ret_err, ERR_INVALID, "endpoint %s: unit %u: the point at %s %u %s",
                           endpoint->id, unit->unit, modbus_table_name(map->table), map->address,
                           fault);
        }
        if (!take_registers(map, taken)) {
            return err_set(ret_err, ERR_EXISTS,
                           "endpoint %s: unit %u: the point at %s %u overlaps another",
                           endpoint->id, unit->unit, modbus_table_name(map->table), map->address);
        }
    }
    return 0;
}

static bool time_ok(int64_t us) {
    return us >= MODBUS_TIME_US_MIN && us <= MODBUS_TIME_US_MAX;
}

static int check_endpoint(const struct modbus_endpoint_config *endpoint, size_t point_count,
                          size_t station_count, struct err *ret_err) {
    if (endpoint->id[0] == '\0' || endpoint->host[0] == '\0' || endpoint->port == 0) {
        return err_set(ret_err, ERR_INVALID, "endpoint %s: id, host and port must be given",
                       endpoint->id);
    }
    if (!time_ok(endpoint->request_timeout_us) || !time_ok(endpoint->connect_timeout_us) ||
        !time_ok(endpoint->reconnect_min_us) || !time_ok(endpoint->reconnect_max_us) ||
        !time_ok(endpoint->probe_min_us) || !time_ok(endpoint->probe_max_us)) {
        return err_set(ret_err, ERR_RANGE, "endpoint %s: times must lie between 10 ms and 1 h",
                       endpoint->id);
    }
    if (endpoint->reconnect_min_us > endpoint->reconnect_max_us ||
        endpoint->probe_min_us > endpoint->probe_max_us || endpoint->dead_after == 0) {
        return err_set(ret_err, ERR_INVALID,
                       "endpoint %s: a lower bound lies above its upper one, or dead_after is 0",
                       endpoint->id);
    }
    if (endpoint->unit_count == 0 || endpoint->unit_count > MODBUS_UNITS_MAX) {
        return err_set(ret_err, ERR_RANGE, "endpoint %s: %zu units, not 1 to %d", endpoint->id,
                       endpoint->unit_count, MODBUS_UNITS_MAX);
    }
    bool seen[256] = {false};
    for (size_t i = 0; i < endpoint->unit_count; i++) {
        const struct modbus_unit_config *unit = &endpoint->units[i];
        if (seen[unit->unit]) {
            return err_set(ret_err, ERR_EXISTS, "endpoint %s: unit %u stands twice", endpoint->id,
                           unit->unit);
        }
        seen[unit->unit] = true;
        int result = check_unit(endpoint, unit, point_count, station_count, ret_err);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

int modbus_config_check(const struct modbus_config *config, size_t point_count,
                        size_t station_count, struct err *ret_err) {
    for (size_t i = 0; i < config->endpoint_count; i++) {
        int result = check_endpoint(&config->endpoints[i], point_count, station_count, ret_err);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}
