#include "encode.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

const char *const encode_type_names[] = {"bit",    "int16",   "uint16", "int32",
                                         "uint32", "float32", NULL};
const char *const encode_order_names[] = {"ABCD", "CDAB", "BADC", "DCBA", NULL};

int encode_width(enum encode_type type) {
    return type == ENCODE_INT32 || type == ENCODE_UINT32 || type == ENCODE_FLOAT32 ? 2 : 1;
}

static void type_bounds(enum encode_type type, double *ret_min, double *ret_max) {
    static const struct {
        double min;
        double max;
    } bounds[] = {
        {0, 1}, {-32768, 32767}, {0, 65535}, {-2147483648.0, 2147483647.0}, {0, 4294967295.0},
        {0, 0}};
    *ret_min = bounds[type].min;
    *ret_max = bounds[type].max;
}

static uint32_t integer_bits(const struct encode_spec *spec, double value, double *ret_stored) {
    double min, max;
    type_bounds(spec->type, &min, &max);
    if (isnan(value)) {
        *ret_stored = spec->has_nan ? NAN : max * spec->scale + spec->offset;
        return spec->has_nan ? spec->nan_raw : (uint32_t)max;
    }
    double count = round((value - spec->offset) / spec->scale);
    if (spec->wrap) {
        double span = max - min + 1;
        count = min + fmod(fmod(count - min, span) + span, span);
    } else {
        count = fmin(fmax(count, min), max);
    }
    *ret_stored = count * spec->scale + spec->offset;
    return count < 0 ? (uint32_t)(int32_t)count : (uint32_t)count;
}

static uint16_t swap_bytes(uint16_t reg) {
    return (uint16_t)(reg << 8 | reg >> 8);
}

void encode_value(const struct encode_spec *spec, double value, uint16_t *ret_registers,
                  double *ret_stored) {
    uint32_t bits;
    double stored;
    if (spec->type == ENCODE_BIT) {
        bits = value >= 0.5;
        stored = bits;
    } else if (spec->type == ENCODE_FLOAT32) {
        float number = isnan(value) ? NAN : (float)((value - spec->offset) / spec->scale);
        memcpy(&bits, &number, sizeof bits);
        stored = (double)number * spec->scale + spec->offset;
    } else {
        bits = integer_bits(spec, value, &stored);
    }
    bool bytes_swapped = spec->order == ENCODE_BADC || spec->order == ENCODE_DCBA;
    bool words_swapped = spec->order == ENCODE_CDAB || spec->order == ENCODE_DCBA;
    uint16_t high = (uint16_t)(bits >> 16);
    uint16_t low = (uint16_t)bits;
    if (bytes_swapped) {
        high = swap_bytes(high);
        low = swap_bytes(low);
    }
    if (encode_width(spec->type) == 1) {
        ret_registers[0] = low;
    } else {
        ret_registers[0] = words_swapped ? low : high;
        ret_registers[1] = words_swapped ? high : low;
    }
    *ret_stored = stored;
}
