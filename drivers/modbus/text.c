#include "drivers/modbus/text.h"

#include <string.h>

#include "daemon/base/text.h"

const char *modbus_text_decode(const uint8_t *bytes, size_t registers, bool swapped,
                               char ret_text[MODBUS_TEXT_SIZE]) {
    char text[MODBUS_TEXT_SIZE] = "";
    size_t length = registers * 2;
    if (registers < 1 || registers > MODBUS_REGISTERS_MAX) {
        return "not 1 to 125 registers";
    }
    for (size_t i = 0; i < length; i++) {
        text[i] = (char)bytes[swapped ? i ^ 1u : i];
    }
    while (length > 0 && text[length - 1] == '\0') {
        length--;
    }
    while (length > 0 && text[length - 1] == ' ') {
        length--;
    }
    if (length == 0) {
        return "only padding, no text";
    }
    if (memchr(text, '\0', length) != NULL) {
        return "bytes behind a NUL";
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return "a control character";
        }
    }
    if (!text_is_utf8_line(text, length)) {
        return "no well-formed UTF-8";
    }
    text[length] = '\0';
    memcpy(ret_text, text, length + 1);
    return NULL;
}
