/* Registers of a reply -> a number, or the reason why there is none.
 * Floats are IEEE 754 binary16, 32 and 64. Thread rule: pure functions. */
#ifndef CANHBAO_DRIVERS_MODBUS_DECODE_H
#define CANHBAO_DRIVERS_MODBUS_DECODE_H

#include "daemon/station/reading.h"
#include "drivers/modbus/config.h"

/* For registers. `bytes`: modbus_type_registers() registers as they came over the wire. Fills
 * status (READING_OK, READING_SENTINEL or READING_NOT_A_NUMBER), raw, raw_len and value of the
 * reading; value is NaN unless the status is READING_OK. A scaled value that overflows is not a
 * number. */
void modbus_decode(const struct modbus_map *map, const uint8_t *bytes, struct reading *ret_reading);

/* The same out of the data of a reply that begins with address `start`, and for any table. Of a
 * coil or discrete input raw is one byte, 0 or 1. */
void modbus_decode_from(const struct modbus_map *map, uint16_t start, const uint8_t *data,
                        struct reading *ret_reading);

#endif
