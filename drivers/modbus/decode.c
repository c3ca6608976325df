#include "drivers/modbus/decode.h"

#include <math.h>
#include <string.h>

/* Which byte of the value (0: most significant) stands at a place on the wire. */
static unsigned letter_at(const struct modbus_map *map, unsigned count, unsigned place) {
    if (map->permutation[0] != '\0') {
        return (unsigned)(map->permutation[place] - 'A');
    }
    bool words = map->order == MODBUS_CDAB || map->order == MODBUS_DCBA;
    bool bytes = map->order == MODBUS_BADC || map->order == MODBUS_DCBA;
    unsigned word = words ? count / 2 - 1 - place / 2 : place / 2;
    return word * 2 + (bytes ? 1 - place % 2 : place % 2);
}

static uint64_t pattern_of(const struct modbus_map *map, const uint8_t *bytes) {
    unsigned count = modbus_type_registers(map->type) * 2u;
    uint64_t pattern = 0;
    for (unsigned i = 0; i < count; i++) {
        pattern |= (uint64_t)bytes[i] << 8 * (count - 1 - letter_at(map, count, i));
    }
    return pattern;
}

/* Two's complement of so many bits. */
static double signed_of(uint64_t pattern, unsigned bits) {
    uint64_t sign = UINT64_C(1) << (bits - 1);
    pattern &= sign | (sign - 1);
    return (pattern & sign) == 0 ? (double)pattern : -(double)(sign - (pattern & (sign - 1)));
}

static double bcd_of(uint64_t pattern) {
    double number = 0;
    for (int shift = 28; shift >= 0; shift -= 4) {
        unsigned digit = (unsigned)(pattern >> shift) & 0xF;
        if (digit > 9) {
            return NAN;
        }
        number = number * 10 + digit;
    }
    return number;
}

/* IEEE 754-2019, 3.4: 5 bits of exponent with bias 15, 10 of fraction. */
static double float16_of(unsigned pattern) {
    int exponent = (int)(pattern >> 10 & 0x1F);
    double fraction = pattern & 0x3FF;
    double number;
    if (exponent == 0x1F) {
        number = fraction == 0 ? (double)INFINITY : (double)NAN;
    } else if (exponent == 0) {
        number = ldexp(fraction, -24);
    } else {
        number = ldexp(1024 + fraction, exponent - 25);
    }
    return (pattern & 0x8000u) != 0 ? -number : number;
}

static double float32_of(uint64_t pattern) {
    uint32_t bits = (uint32_t)pattern;
    float number;
    _Static_assert(sizeof(number) == sizeof(bits), "float is binary32");
    memcpy(&number, &bits, sizeof(number));
    return (double)number;
}

static double float64_of(uint64_t pattern) {
    double number;
    _Static_assert(sizeof(number) == sizeof(pattern), "double is binary64");
    memcpy(&number, &pattern, sizeof(number));
    return number;
}

/* From 2^53 on a whole number may have been rounded on its way into the double. */
static double exact(double number) {
    return fabs(number) < 0x1p53 ? number : (double)NAN;
}

static double number_of(const struct modbus_map *map, uint64_t pattern) {
    switch (map->type) {
    case MODBUS_INT16:
        return signed_of(pattern, 16);
    case MODBUS_INT32:
        return signed_of(pattern, 32);
    case MODBUS_INT64:
        return exact(signed_of(pattern, 64));
    case MODBUS_UINT16:
    case MODBUS_UINT32:
        return (double)pattern;
    case MODBUS_UINT64:
        return exact((double)pattern);
    case MODBUS_FLOAT16:
        return float16_of((unsigned)pattern);
    case MODBUS_FLOAT32:
        return float32_of(pattern);
    case MODBUS_FLOAT64:
        return float64_of(pattern);
    case MODBUS_INT8_HIGH:
        return signed_of(pattern >> 8, 8);
    case MODBUS_INT8_LOW:
        return signed_of(pattern, 8);
    case MODBUS_UINT8_HIGH:
        return (double)(pattern >> 8);
    case MODBUS_UINT8_LOW:
        return (double)(pattern & 0xFF);
    case MODBUS_BCD16:
    case MODBUS_BCD32:
        return bcd_of(pattern);
    case MODBUS_BIT:
        return (double)(pattern >> map->bit & 1);
    case MODBUS_BITS:
        return (double)(pattern >> map->bit & ((1u << map->bit_count) - 1));
    case MODBUS_TYPE_COUNT:
        break;
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

static void judge(const struct modbus_map *map, double number, struct reading *ret_reading) {
    double value = number * map->scale + map->offset;
    ret_reading->value = NAN;
    bool says_none = isnan(number) && map->nan_policy == MODBUS_NAN_NO_VALUE;
    if (is_sentinel(map, number) || says_none) {
        ret_reading->status = READING_SENTINEL;
    } else if (!isfinite(number) || !isfinite(value)) {
        ret_reading->status = READING_NOT_A_NUMBER;
    } else {
        ret_reading->status = READING_OK;
        ret_reading->value = value;
    }
}

void modbus_decode(const struct modbus_map *map, const uint8_t *bytes,
                   struct reading *ret_reading) {
    ret_reading->raw_len = (uint8_t)(modbus_type_registers(map->type) * 2);
    memset(ret_reading->raw, 0, sizeof(ret_reading->raw));
    memcpy(ret_reading->raw, bytes, ret_reading->raw_len);
    judge(map, number_of(map, pattern_of(map, bytes)), ret_reading);
}

void modbus_decode_from(const struct modbus_map *map, uint16_t start, const uint8_t *data,
                        struct reading *ret_reading) {
    unsigned at = (unsigned)(map->address - start);
    if (!modbus_table_is_bits(map->table)) {
        modbus_decode(map, data + (size_t)at * 2, ret_reading);
        return;
    }
    memset(ret_reading->raw, 0, sizeof(ret_reading->raw));
    ret_reading->raw[0] = data[at / 8] >> at % 8 & 1;
    ret_reading->raw_len = 1;
    judge(map, ret_reading->raw[0], ret_reading);
}
