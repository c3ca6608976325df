#include "drivers/modbus/decode.h"

#include <math.h>
#include <string.h>

/* Wire position of the byte of each significance, most significant first. */
static const uint8_t positions4[4][4] = {
    [MODBUS_ABCD] = {0, 1, 2, 3},
    [MODBUS_CDAB] = {2, 3, 0, 1},
    [MODBUS_BADC] = {1, 0, 3, 2},
    [MODBUS_DCBA] = {3, 2, 1, 0},
};

static uint32_t pattern_of(const struct modbus_map *map, const uint8_t *bytes) {
    if (modbus_type_registers(map->type) == 1) {
        bool swapped = map->order == MODBUS_BADC || map->order == MODBUS_DCBA;
        return (uint32_t)bytes[swapped ? 1 : 0] << 8 | bytes[swapped ? 0 : 1];
    }
    uint32_t pattern = 0;
    for (int i = 0; i < 4; i++) {
        pattern = pattern << 8 | bytes[positions4[map->order][i]];
    }
    return pattern;
}

static double number_of(enum modbus_type type, uint32_t pattern) {
    switch (type) {
    case MODBUS_INT16:
        return (double)pattern - (pattern >= 0x8000u ? 65536.0 : 0.0);
    case MODBUS_INT32:
        return (double)pattern - (pattern >= 0x80000000u ? 4294967296.0 : 0.0);
    case MODBUS_UINT16:
    case MODBUS_UINT32:
        return (double)pattern;
    case MODBUS_FLOAT32: {
        float number;
        _Static_assert(sizeof(number) == sizeof(pattern), "float is binary32");
        memcpy(&number, &pattern, sizeof(number));
        return (double)number;
    }
    }
    return NAN;
}

static bool is_sentinel(const struct modbus_map *map, double number) {
    for (uint32_t i = 0; i < map->sentinel_count; i++) {
        double sentinel =
            map->type == MODBUS_FLOAT32 ? (double)(float)map->sentinels[i] : map->sentinels[i];
        if (number == sentinel) {
            return true;
        }
    }
    return false;
}

void modbus_decode(const struct modbus_map *map, const uint8_t *bytes,
                   struct reading *ret_reading) {
    double number = number_of(map->type, pattern_of(map, bytes));
    double value = number * map->scale + map->offset;
    ret_reading->raw_len = (uint8_t)(modbus_type_registers(map->type) * 2);
    memset(ret_reading->raw, 0, sizeof(ret_reading->raw));
    memcpy(ret_reading->raw, bytes, ret_reading->raw_len);
    ret_reading->value = NAN;
    if (is_sentinel(map, number)) {
        ret_reading->status = READING_SENTINEL;
    } else if (!isfinite(number) || !isfinite(value)) {
        ret_reading->status = READING_NOT_A_NUMBER;
    } else {
        ret_reading->status = READING_OK;
        ret_reading->value = value;
    }
}
