/* Registers that hold characters (a serial number, a firmware version) -> a text, or the reason
 * why there is none. Two characters a register; nothing of a text is ever replaced or left out but
 * the padding behind it. A text is no reading: no point, quality test or rule gets one.
 * Thread rule: pure function. */
#ifndef CANHBAO_DRIVERS_MODBUS_TEXT_H
#define CANHBAO_DRIVERS_MODBUS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/modbus/config.h"

enum { MODBUS_TEXT_SIZE = 2 * MODBUS_REGISTERS_MAX + 1 };

/* `bytes`: 2 * registers, as they came over the wire; registers: 1 to MODBUS_REGISTERS_MAX.
 * swapped: the device sends the second character of each register first. NULs and then blanks at
 * the end are padding. Returns NULL, or what is wrong, with ret_text untouched: only padding, bytes
 * behind a NUL, a control character, or no UTF-8. */
const char *modbus_text_decode(const uint8_t *bytes, size_t registers, bool swapped,
                               char ret_text[MODBUS_TEXT_SIZE]);

#endif
