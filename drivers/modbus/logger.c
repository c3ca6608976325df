#include "drivers/modbus/logger.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"
#include "drivers/modbus/decode.h"
#include "drivers/modbus/text.h"

/* 2000-01-01 and 2200-01-01, in seconds. */
static const double stamp_min_s = 946684800.0, stamp_end_s = 7258118400.0;

uint16_t logger_stamp_registers(enum logger_stamp_form form) {
    static const uint16_t registers[] = {
        [STAMP_UNIX32] = 2, [STAMP_UNIX64] = 4, [STAMP_YMDHMS] = 6};
    return registers[form];
}

static double number_at(enum modbus_type type, enum modbus_order order, const uint8_t *bytes) {
    struct modbus_map map = {.type = type, .order = order, .scale = 1};
    struct reading reading;
    modbus_decode(&map, bytes, &reading);
    return reading.value;
}

/* Seconds as the device's clock shows them; NaN: no date. */
static double civil_seconds(const struct logger_stamp *stamp, const uint8_t *bytes) {
    unsigned part[6];
    char text[48];
    int64_t us;
    for (unsigned i = 0; i < 6; i++) {
        part[i] = (unsigned)number_at(MODBUS_UINT16, stamp->order, bytes + (size_t)i * 2);
    }
    part[0] += part[0] < 100 ? 2000 : 0;
    (void)snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02uZ", part[0], part[1], part[2],
                   part[3], part[4], part[5]);
    return text_parse_time(text, &us) == 0 ? (double)(us / 1000000) : (double)NAN;
}

int logger_stamp_decode(const struct logger_stamp *stamp, const uint8_t *bytes,
                        struct utc_us *ret_at) {
    double seconds = stamp->form == STAMP_YMDHMS   ? civil_seconds(stamp, bytes)
                     : stamp->form == STAMP_UNIX64 ? number_at(MODBUS_UINT64, stamp->order, bytes)
                                                   : number_at(MODBUS_UINT32, stamp->order, bytes);
    bool empty = stamp->form == STAMP_UNIX32 && seconds == UINT32_MAX;
    /* NaN is within no bounds */
    if (!(seconds >= stamp_min_s && seconds < stamp_end_s) || empty) {
        return ERR_RANGE;
    }
    ret_at->us = ((int64_t)seconds - (int64_t)stamp->utc_offset_min * 60) * 1000000;
    return 0;
}

uint16_t logger_identity_registers(const struct logger_identity *identity) {
    return identity->registers > 0 ? identity->registers : modbus_type_registers(identity->type);
}

int logger_identity_decode(const struct logger_identity *identity, const uint8_t *bytes,
                           char ret_found[LOGGER_FOUND_SIZE]) {
    _Static_assert((int)LOGGER_FOUND_SIZE >= (int)MODBUS_TEXT_SIZE, "a text fits");
    if (identity->registers > 0) {
        const char *fault =
            modbus_text_decode(bytes, identity->registers, identity->swapped, ret_found);
        if (fault != NULL) {
            (void)snprintf(ret_found, LOGGER_FOUND_SIZE, "no text: %s", fault);
        }
        return fault == NULL ? 0 : ERR_INVALID;
    }
    double number = number_at(identity->type, identity->order, bytes);
    if (isnan(number)) {
        (void)snprintf(ret_found, LOGGER_FOUND_SIZE, "no whole number");
        return ERR_INVALID;
    }
    (void)snprintf(ret_found, LOGGER_FOUND_SIZE, "%.0f", number);
    return 0;
}

uint32_t logger_memory_block(const struct logger_memory *memory, uint16_t registers_max) {
    uint32_t most = registers_max > 0 ? registers_max : MODBUS_REGISTERS_MAX;
    uint32_t records = most / memory->record_registers;
    return records > 0 ? records : 1;
}

uint32_t logger_memory_requests(const struct logger_memory *memory, uint16_t registers_max,
                                uint32_t records) {
    uint32_t search = 1, block = logger_memory_block(memory, registers_max);
    while (memory->capacity >> search != 0) {
        search++;
    }
    /* the index first, the search, then each block and the index again */
    return 1 + search + 2 * ((records + block - 1) / block);
}
