#include "drivers/modbus/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint16_t registers;
    double min, max; /* of the whole numbers that it can hold; both 0: floats and bits */
} types[MODBUS_TYPE_COUNT] = {
    [MODBUS_INT16] = {"int16", 1, INT16_MIN, INT16_MAX},
    [MODBUS_UINT16] = {"uint16", 1, 0, UINT16_MAX},
    [MODBUS_INT32] = {"int32", 2, INT32_MIN, INT32_MAX},
    [MODBUS_UINT32] = {"uint32", 2, 0, UINT32_MAX},
    [MODBUS_FLOAT32] = {"float32", 2, 0, 0},
    [MODBUS_INT64] = {"int64", 4, -0x1.fffffffffffffp52, 0x1.fffffffffffffp52},
    [MODBUS_UINT64] = {"uint64", 4, 0, 0x1.fffffffffffffp52},
    [MODBUS_FLOAT16] = {"float16", 1, 0, 0},
    [MODBUS_FLOAT64] = {"float64", 4, 0, 0},
    [MODBUS_INT8_HIGH] = {"int8_high", 1, INT8_MIN, INT8_MAX},
    [MODBUS_INT8_LOW] = {"int8_low", 1, INT8_MIN, INT8_MAX},
    [MODBUS_UINT8_HIGH] = {"uint8_high", 1, 0, UINT8_MAX},
    [MODBUS_UINT8_LOW] = {"uint8_low", 1, 0, UINT8_MAX},
    [MODBUS_BCD16] = {"bcd16", 1, 0, 9999},
    [MODBUS_BCD32] = {"bcd32", 2, 0, 99999999},
    [MODBUS_BIT] = {"bit", 1, 0, 1},
    [MODBUS_BITS] = {"bits", 1, 0, UINT16_MAX},
};
static const char *const order_names[] = {"ABCD", "CDAB", "BADC", "DCBA"};
static const char *const table_names[] = {"coil", "discrete", "holding", "input"};

enum { ORDER_COUNT = 4, TABLE_COUNT = 4, TABLE_REGISTERS = 65536 };

uint16_t modbus_type_registers(enum modbus_type type) {
    return types[type].registers;
}

bool modbus_table_is_bits(enum modbus_table table) {
    return table == MODBUS_COIL || table == MODBUS_DISCRETE;
}

uint16_t modbus_table_read_max(enum modbus_table table) {
    return modbus_table_is_bits(table) ? MODBUS_BITS_MAX : MODBUS_REGISTERS_MAX;
}

static bool is_table(enum modbus_table table) {
    return table >= MODBUS_COIL && table <= MODBUS_INPUT;
}

const char *modbus_type_name(enum modbus_type type) {
    return (unsigned)type < MODBUS_TYPE_COUNT ? types[type].name : "unknown";
}

const char *modbus_order_name(enum modbus_order order) {
    return (unsigned)order < ORDER_COUNT ? order_names[order] : "unknown";
}

const char *modbus_table_name(enum modbus_table table) {
    return is_table(table) ? table_names[table - MODBUS_COIL] : "unknown";
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
    for (int i = 0; i < MODBUS_TYPE_COUNT; i++) {
        if (strcmp(types[i].name, name) == 0) {
            *ret_type = (enum modbus_type)i;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
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
    int index = 0;
    int result = parse_name(table_names, TABLE_COUNT, name, &index);
    if (result == 0) {
        *ret_table = (enum modbus_table)(MODBUS_COIL + index);
    }
    return result;
}

/* Exactly a binary16: at most 11 significant bits, none below 2^-24. */
static bool fits_float16(double number) {
    int exponent;
    double significand = ldexp(frexp(number, &exponent), 11);
    return fabs(number) <= 65504 && trunc(significand) == significand &&
           trunc(ldexp(number, 24)) == ldexp(number, 24);
}

bool modbus_sentinel_fits(enum modbus_type type, double number) {
    if (!isfinite(number)) {
        return false;
    }
    switch (type) {
    case MODBUS_FLOAT16:
        return fits_float16(number);
    case MODBUS_FLOAT32:
        return isfinite((float)number);
    case MODBUS_FLOAT64:
        return true;
    default:
        return number >= types[type].min && number <= types[type].max && trunc(number) == number;
    }
}

bool modbus_permutation_ok(enum modbus_type type, const char *text) {
    size_t length = (size_t)types[type].registers * 2;
    unsigned seen = 0;
    if (strlen(text) != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned letter = (unsigned)(text[i] - 'A');
        if (letter >= length || (seen >> letter & 1) != 0) {
            return false;
        }
        seen |= 1u << letter;
    }
    return true;
}

/* The bits of its one register that a part of a register takes, as they stand on the wire; all of
 * them for other types. */
static unsigned register_mask(const struct modbus_map *map) {
    unsigned mask = 0xFFFF;
    switch (map->type) {
    case MODBUS_INT8_HIGH:
    case MODBUS_UINT8_HIGH:
        mask = 0xFF00;
        break;
    case MODBUS_INT8_LOW:
    case MODBUS_UINT8_LOW:
        mask = 0x00FF;
        break;
    case MODBUS_BIT:
        mask = modbus_table_is_bits(map->table) ? 1u : 1u << map->bit;
        break;
    case MODBUS_BITS:
        mask = ((1u << map->bit_count) - 1) << map->bit;
        break;
    default:
        break;
    }
    bool swapped = map->permutation[0] != '\0'
                       ? map->permutation[0] == 'B'
                       : map->order == MODBUS_BADC || map->order == MODBUS_DCBA;
    return swapped && types[map->type].registers == 1 && !modbus_table_is_bits(map->table)
               ? (mask >> 8 | mask << 8) & 0xFFFF
               : mask;
}

bool modbus_maps_overlap(const struct modbus_map *a, const struct modbus_map *b) {
    if (a->table != b->table || a->address + types[a->type].registers <= b->address ||
        b->address + types[b->type].registers <= a->address) {
        return false;
    }
    bool parts = types[a->type].registers == 1 && types[b->type].registers == 1;
    return !parts || (register_mask(a) & register_mask(b)) != 0;
}

bool modbus_baud_ok(uint32_t baud) {
    static const uint32_t bauds[] = {300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200};
    for (size_t i = 0; i < sizeof(bauds) / sizeof(bauds[0]); i++) {
        if (bauds[i] == baud) {
            return true;
        }
    }
    return false;
}

int modbus_endpoint_compare(const struct modbus_endpoint_config *a,
                            const struct modbus_endpoint_config *b) {
    int order = (int)a->transport - (int)b->transport;
    if (order != 0) {
        return order;
    }
    switch (a->transport) {
    case MODBUS_SERIAL:
        return strcmp(a->serial.device, b->serial.device);
    case MODBUS_DIAL_IN:
        order = strcmp(a->identity, b->identity);
        break;
    case MODBUS_CONNECT:
        order = strcmp(a->host, b->host);
        break;
    }
    return order != 0 ? order : (int)a->port - (int)b->port;
}

bool modbus_endpoint_same(const struct modbus_endpoint_config *a,
                          const struct modbus_endpoint_config *b) {
    return modbus_endpoint_compare(a, b) == 0;
}

static bool unit_unchanged(const struct modbus_unit_config *a, const struct modbus_unit_config *b,
                           const uint32_t *new_point, const uint32_t *new_station) {
    if (a->unit != b->unit || a->gap_registers != b->gap_registers ||
        a->registers_max != b->registers_max || a->map_count != b->map_count) {
        return false;
    }
    for (size_t i = 0; i < a->map_count; i++) {
        struct modbus_map moved;
        memcpy(&moved, &a->maps[i], sizeof(moved)); /* padding too */
        moved.point = new_point[moved.point];
        moved.station = new_station[moved.station];
        if (memcmp(&moved, &b->maps[i], sizeof(moved)) != 0) {
            return false;
        }
    }
    return true;
}

bool modbus_endpoint_unchanged(const struct modbus_endpoint_config *a,
                               const struct modbus_endpoint_config *b, const uint32_t *new_point,
                               const uint32_t *new_station) {
    struct modbus_endpoint_config first, second;
    memcpy(&first, a, sizeof(first));
    memcpy(&second, b, sizeof(second));
    memset(first.id, 0, sizeof(first.id));
    memset(second.id, 0, sizeof(second.id));
    first.units = second.units = NULL;
    if (memcmp(&first, &second, sizeof(first)) != 0) {
        return false;
    }
    for (size_t i = 0; i < a->unit_count; i++) {
        if (!unit_unchanged(&a->units[i], &b->units[i], new_point, new_station)) {
            return false;
        }
    }
    return true;
}

void modbus_endpoint_place(const struct modbus_endpoint_config *config,
                           char ret_text[MODBUS_PLACE_SIZE]) {
    switch (config->transport) {
    case MODBUS_SERIAL:
        (void)snprintf(ret_text, MODBUS_PLACE_SIZE, "%s", config->serial.device);
        break;
    case MODBUS_DIAL_IN:
        (void)snprintf(ret_text, MODBUS_PLACE_SIZE, "%s dialling in to port %u", config->identity,
                       config->port);
        break;
    case MODBUS_CONNECT:
        (void)snprintf(ret_text, MODBUS_PLACE_SIZE, "%s port %u", config->host, config->port);
        break;
    }
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
        .serial = {.baud = 9600, .parity = MODBUS_PARITY_EVEN, .stop_bits = 1},
    };
}

/* One mapped point by itself. Returns what is wrong, or NULL. */
static const char *map_fault(const struct modbus_map *map, size_t point_count,
                             size_t station_count) {
    if (map->point >= point_count || map->station >= station_count) {
        return "names a point or station that does not exist";
    }
    if (!is_table(map->table) || (unsigned)map->type >= MODBUS_TYPE_COUNT ||
        (unsigned)map->order >= ORDER_COUNT) {
        return "has an unknown table, type or order";
    }
    if (modbus_table_is_bits(map->table) && map->type != MODBUS_BIT) {
        return "must be of the type bit, as all coils and discrete inputs";
    }
    if ((map->type == MODBUS_BIT && map->bit > 15) ||
        (map->type == MODBUS_BITS && (map->bit_count < 1 || map->bit + map->bit_count > 16))) {
        return "takes bits that a register does not have";
    }
    if (map->permutation[0] != '\0' && !modbus_permutation_ok(map->type, map->permutation)) {
        return "has a byte order that is no permutation of its bytes";
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

static int compare_maps(const void *left, const void *right) {
    const struct modbus_map *a = *(const struct modbus_map *const *)left;
    const struct modbus_map *b = *(const struct modbus_map *const *)right;
    int order = (int)a->table - (int)b->table;
    return order != 0 ? order : (int)a->address - (int)b->address;
}

/* The first map that takes bits of another, or NULL. ERR_MEMORY. */
static int find_overlap(const struct modbus_unit_config *unit, const struct modbus_map **ret_map) {
    const struct modbus_map **sorted = calloc(unit->map_count, sizeof(*sorted));
    if (sorted == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < unit->map_count; i++) {
        sorted[i] = &unit->maps[i];
    }
    qsort(sorted, unit->map_count, sizeof(*sorted), compare_maps);
    *ret_map = NULL;
    for (size_t i = 0; i < unit->map_count && *ret_map == NULL; i++) {
        uint32_t end = sorted[i]->address + (uint32_t)types[sorted[i]->type].registers;
        for (size_t j = i + 1; j < unit->map_count && sorted[j]->table == sorted[i]->table &&
                               sorted[j]->address < end && *ret_map == NULL;
             j++) {
            *ret_map = modbus_maps_overlap(sorted[i], sorted[j]) ? sorted[j] : NULL;
        }
    }
    free(sorted);
    return 0;
}

static int check_unit(const struct modbus_endpoint_config *endpoint,
                      const struct modbus_unit_config *unit, size_t point_count,
                      size_t station_count, struct err *ret_err) {
    const struct modbus_map *second = NULL;
    if (unit->unit > 247 && unit->unit != 255) {
        return err_set(ret_err, ERR_RANGE, "endpoint %s: unit %u is not 0 to 247 or 255",
                       endpoint->id, unit->unit);
    }
    if (endpoint->transport == MODBUS_SERIAL && (unit->unit < 1 || unit->unit > 247)) {
        return err_set(ret_err, ERR_RANGE, "endpoint %s: unit %u is not 1 to 247 (a serial line)",
                       endpoint->id, unit->unit);
    }
    if (unit->map_count == 0 || unit->map_count > MODBUS_POINTS_MAX) {
        return err_set(ret_err, ERR_RANGE, "endpoint %s: unit %u has %zu points, not 1 to %d",
                       endpoint->id, unit->unit, unit->map_count, MODBUS_POINTS_MAX);
    }
    if (unit->gap_registers > MODBUS_REGISTERS_MAX || unit->registers_max > MODBUS_REGISTERS_MAX) {
        return err_set(ret_err, ERR_RANGE,
                       "endpoint %s: unit %u: gap_registers or registers_max is above %d",
                       endpoint->id, unit->unit, MODBUS_REGISTERS_MAX);
    }
    for (size_t i = 0; i < unit->map_count; i++) {
        const struct modbus_map *map = &unit->maps[i];
        const char *fault = map_fault(map, point_count, station_count);
        if (fault != NULL) {
            return err_set(ret_err, ERR_INVALID, "endpoint %s: unit %u: the point at %s %u %s",
                           endpoint->id, unit->unit, modbus_table_name(map->table), map->address,
                           fault);
        }
    }
    int result = find_overlap(unit, &second);
    if (result == 0 && second != NULL) {
        return err_set(ret_err, ERR_EXISTS,
                       "endpoint %s: unit %u: the point at %s %u overlaps another", endpoint->id,
                       unit->unit, modbus_table_name(second->table), second->address);
    }
    return result;
}

static bool time_ok(int64_t us) {
    return us >= MODBUS_TIME_US_MIN && us <= MODBUS_TIME_US_MAX;
}

static bool pause_ok(int64_t us) {
    return us >= 0 && us <= MODBUS_TIME_US_MAX;
}

/* What the transport needs. Returns what is wrong, or NULL. */
static const char *place_fault(const struct modbus_endpoint_config *endpoint) {
    const struct modbus_serial *serial = &endpoint->serial;
    switch (endpoint->transport) {
    case MODBUS_CONNECT:
        return endpoint->host[0] == '\0' || endpoint->port == 0 ? "host and port must be given"
                                                                : NULL;
    case MODBUS_DIAL_IN:
        return endpoint->identity[0] == '\0' || endpoint->port == 0
                   ? "a port to listen on and the station's identity must be given"
                   : NULL;
    case MODBUS_SERIAL:
        return serial->device[0] != '/'        ? "the serial device must be an absolute path"
               : !modbus_baud_ok(serial->baud) ? "the baud rate is none of 300 to 115200"
               : serial->stop_bits < 1 || serial->stop_bits > 2 ? "stop bits are 1 or 2"
               : serial->silent_us < 0 || serial->silent_us > MODBUS_TIME_US_MAX
                   ? "the silent interval is no time"
               : endpoint->framing != MODBUS_FRAMING_RTU ? "a serial line carries RTU frames"
               : endpoint->quirks.close_after_reply      ? "a serial line has no connections"
                                                         : NULL;
    }
    return "the transport is unknown";
}

static const char *option_fault(const struct modbus_endpoint_config *endpoint) {
    if (endpoint->quirks.echo && endpoint->framing != MODBUS_FRAMING_RTU) {
        return "only RTU frames come back as an echo";
    }
    if (!pause_ok(endpoint->idle_close_us) || !pause_ok(endpoint->connect_pause_us) ||
        !pause_ok(endpoint->request_pause_us) || !pause_ok(endpoint->close_pause_us)) {
        return "pauses must lie between 0 and 1 h";
    }
    return NULL;
}

/* A station that dials in is known by what it says first: no identity may begin another one. */
static int check_identities(const struct modbus_config *config, struct err *ret_err) {
    for (size_t i = 0; i < config->endpoint_count; i++) {
        const struct modbus_endpoint_config *a = &config->endpoints[i];
        for (size_t j = 0; a->transport == MODBUS_DIAL_IN && j < config->endpoint_count; j++) {
            const struct modbus_endpoint_config *b = &config->endpoints[j];
            if (i != j && b->transport == MODBUS_DIAL_IN && a->port == b->port &&
                strncmp(a->identity, b->identity, strlen(a->identity)) == 0) {
                return err_set(ret_err, ERR_EXISTS,
                               "endpoint %s: its identity '%s' begins that of endpoint %s", a->id,
                               a->identity, b->id);
            }
        }
    }
    return 0;
}

static int check_endpoint(const struct modbus_endpoint_config *endpoint, size_t point_count,
                          size_t station_count, struct err *ret_err) {
    const char *fault = endpoint->id[0] == '\0' ? "an id must be given" : place_fault(endpoint);
    fault = fault == NULL ? option_fault(endpoint) : fault;
    if (fault != NULL) {
        return err_set(ret_err, ERR_INVALID, "endpoint %s: %s", endpoint->id, fault);
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
    return check_identities(config, ret_err);
}
