#include "drivers/modbus/rtu.h"

enum { CRC_SIZE = 2, EXCEPTION_BIT = 0x80, EXCEPTION_FRAME_SIZE = 5, DATA_MAX = 250 };

uint16_t modbus_crc(const uint8_t *bytes, size_t length) {
    uint16_t crc = 0xFFFF;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)(crc >> 1 ^ ((crc & 1) != 0 ? 0xA001 : 0));
        }
    }
    return crc;
}

void modbus_rtu_request_build(const struct modbus_request *request,
                              uint8_t ret_frame[MODBUS_RTU_REQUEST_SIZE]) {
    const uint16_t words[] = {request->start, request->count};
    ret_frame[0] = request->unit;
    ret_frame[1] = (uint8_t)request->table;
    for (size_t i = 0; i < 2; i++) {
        ret_frame[2 + 2 * i] = (uint8_t)(words[i] >> 8);
        ret_frame[3 + 2 * i] = (uint8_t)words[i];
    }
    uint16_t crc = modbus_crc(ret_frame, MODBUS_RTU_REQUEST_SIZE - CRC_SIZE);
    ret_frame[6] = (uint8_t)crc;
    ret_frame[7] = (uint8_t)(crc >> 8);
}

int modbus_rtu_frame_length(const uint8_t *bytes, size_t length) {
    if (length < 2) {
        return 0;
    }
    unsigned function = bytes[1] & ~(unsigned)EXCEPTION_BIT;
    if (function < MODBUS_COIL || function > MODBUS_INPUT) {
        return ERR_CORRUPT;
    }
    size_t whole = EXCEPTION_FRAME_SIZE;
    if (bytes[1] == function) {
        if (length < 3) {
            return 0;
        }
        if (bytes[2] == 0 || bytes[2] > DATA_MAX) {
            return ERR_CORRUPT;
        }
        whole = 3u + bytes[2] + CRC_SIZE;
    }
    return length < whole ? 0 : (int)whole;
}

int modbus_rtu_reply_length(const struct modbus_request *request, const uint8_t *bytes,
                            size_t length) {
    if (!request->quirks.byte_count || length < 2 || bytes[1] != (uint8_t)request->table) {
        return modbus_rtu_frame_length(bytes, length);
    }
    size_t whole = 3u + modbus_data_size(request) + CRC_SIZE;
    return length < whole ? 0 : (int)whole;
}

struct modbus_reply modbus_rtu_reply_parse(const struct modbus_request *request,
                                           const uint8_t *frame, size_t length) {
    struct modbus_reply bad = {.verdict = MODBUS_REPLY_BAD, .fault = "CRC"};
    if (length < 2 + CRC_SIZE) {
        bad.fault = "length";
        return bad;
    }
    uint16_t crc = modbus_crc(frame, length - CRC_SIZE);
    if (frame[length - 2] != (crc & 0xFF) || frame[length - 1] != crc >> 8) {
        return bad;
    }
    if (!modbus_reply_unit_ok(request, frame[0])) {
        bad.fault = "unit id";
        return bad;
    }
    /* Nothing but its length tells a stale answer from this one's: surplus bytes are only those
     * behind the frame. */
    struct modbus_request strict = *request;
    strict.quirks.surplus = false;
    return modbus_pdu_judge(&strict, frame + 1, length - 1 - CRC_SIZE);
}
