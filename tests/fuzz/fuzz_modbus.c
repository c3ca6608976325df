/* Frames and numbers of Modbus TCP. Input: transaction (2 bytes), unit, table and type and order,
 * start (2), count, then the stream as it came. What is taken for values is judged again here, with
 * code of its own. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/modbus/decode.h"
#include "drivers/modbus/pdu.h"
#include "drivers/modbus/rtu.h"
#include "drivers/modbus/text.h"

enum { HEAD = 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition) {
    if (!condition) {
        abort();
    }
}

/* A text is what the bytes say, all of it, with nothing but padding left out. */
static void judge_text(const uint8_t *bytes, size_t registers, bool swapped) {
    char text[MODBUS_TEXT_SIZE] = "untouched";
    if (modbus_text_decode(bytes, registers, swapped, text) != NULL) {
        demand(strcmp(text, "untouched") == 0);
        return;
    }
    size_t length = strlen(text);
    size_t blanks_end = length;
    demand(length > 0 && length <= 2 * registers && text[length - 1] != ' ');
    for (size_t i = 0; i < 2 * registers; i++) {
        uint8_t byte = bytes[swapped ? i + 1 - i % 2 * 2 : i];
        if (i < length) {
            demand((uint8_t)text[i] == byte && byte >= 0x20 && byte != 0x7F);
        } else if (byte == ' ') {
            demand(blanks_end == i); /* no blank behind a NUL */
            blanks_end = i + 1;
        } else {
            demand(byte == 0);
        }
    }
}

static void judge_values(const struct modbus_request *request, const uint8_t *frame, size_t length,
                         const struct modbus_reply *reply, uint8_t choice) {
    unsigned bytes =
        request->table <= MODBUS_DISCRETE ? (request->count + 7u) / 8 : request->count * 2u;
    demand(length == 9 + bytes);
    demand(frame[0] == request->transaction >> 8 && frame[1] == (request->transaction & 0xFF));
    demand(frame[2] == 0 && frame[3] == 0);
    demand((size_t)frame[4] * 256 + frame[5] + 6 == length);
    demand(frame[6] == request->unit && frame[7] == (uint8_t)request->table);
    demand(frame[8] == bytes && reply->data == frame + 9);
    struct modbus_map map = {.table = request->table,
                             .type = (enum modbus_type)(choice / 4 % MODBUS_TYPE_COUNT),
                             .bit = frame[length - 1] % 8,
                             .bit_count = 8,
                             .order = (enum modbus_order)(choice % 4),
                             .scale = 0.1,
                             .offset = -40,
                             .sentinel_count = 1,
                             .sentinels = {0}};
    if (request->table <= MODBUS_DISCRETE) {
        map.type = MODBUS_BIT;
    } else if (frame[9] % 2 == 1) {
        memcpy(map.permutation, "EBGDAFCH", modbus_type_registers(map.type) == 4 ? 8 : 0);
    }
    if (request->table >= MODBUS_HOLDING) {
        judge_text(reply->data, request->count, false);
        judge_text(reply->data, request->count, true);
    }
    uint16_t step = modbus_type_registers(map.type);
    for (unsigned at = 0; at + step <= request->count; at += step) {
        struct reading reading = {0};
        map.address = (uint16_t)(request->start + at);
        modbus_decode_from(&map, request->start, reply->data, &reading);
        demand((reading.status == READING_OK) == (isfinite(reading.value) != 0));
        demand(reading.status == READING_OK || isnan(reading.value));
        demand(reading.raw_len == (request->table <= MODBUS_DISCRETE ? 1 : step * 2));
    }
}

/* What is forgiven a device never makes a good answer bad, and never reads beyond the frame. */
static void judge_quirks(const struct modbus_request *request, const uint8_t *frame, size_t length,
                         const struct modbus_reply *strict) {
    struct modbus_request lenient = *request;
    for (unsigned flags = 1; flags < 16; flags++) {
        lenient.quirks =
            (struct modbus_quirks){.byte_count = (flags & 1) != 0,
                                   .surplus = (flags & 2) != 0,
                                   .reply_unit = (flags & 4) != 0   ? MODBUS_REPLY_UNIT_0
                                                 : (flags & 8) != 0 ? MODBUS_REPLY_UNIT_255
                                                                    : MODBUS_REPLY_UNIT_ASKED};
        struct modbus_reply reply = modbus_reply_parse(&lenient, frame, length);
        bool is_request =
            length == 12 && frame[8] == request->start >> 8 && frame[9] == (request->start & 0xFF);
        demand(strict->verdict != MODBUS_REPLY_VALUES || is_request ||
               (reply.verdict == MODBUS_REPLY_VALUES && reply.data == strict->data));
        demand(reply.verdict != MODBUS_REPLY_VALUES ||
               reply.data + modbus_data_size(request) <= frame + length);
    }
}

/* The same bytes as an RTU stream, and once more with a CRC made right, so that what is behind the
 * CRC is reached as well. */
static void judge_rtu(const struct modbus_request *request, const uint8_t *bytes, size_t size) {
    int length = modbus_rtu_frame_length(bytes, size);
    if (length <= 0) {
        demand(length == 0 || length == ERR_CORRUPT);
        demand(length != 0 || size < MODBUS_RTU_FRAME_MAX);
        return;
    }
    uint8_t frame[MODBUS_RTU_FRAME_MAX];
    demand((size_t)length <= size && length >= 5 && length <= MODBUS_RTU_FRAME_MAX);
    memcpy(frame, bytes, (size_t)length);
    for (int turn = 0; turn < 2; turn++) {
        struct modbus_reply reply = modbus_rtu_reply_parse(request, frame, (size_t)length);
        demand(reply.verdict != MODBUS_REPLY_FOREIGN);
        if (reply.verdict != MODBUS_REPLY_BAD) {
            demand(modbus_crc(frame, (size_t)length) == 0 && frame[0] == request->unit);
            demand((frame[1] & 0x7F) == (uint8_t)request->table);
        }
        if (reply.verdict == MODBUS_REPLY_VALUES) {
            demand(frame[2] == modbus_data_size(request) && length == frame[2] + 5);
        }
        uint16_t crc = modbus_crc(frame, (size_t)length - 2);
        frame[length - 2] = (uint8_t)crc;
        frame[length - 1] = (uint8_t)(crc >> 8);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD) {
        return 0;
    }
    struct modbus_request request = {
        .transaction = (uint16_t)(data[0] << 8 | data[1]),
        .unit = data[2],
        .table = (enum modbus_table)(MODBUS_COIL + (data[3] >> 7) + 2 * (data[2] & 1)),
        .start = (uint16_t)(data[4] << 8 | data[5]),
        .count = (uint16_t)(1 + data[6] % MODBUS_REGISTERS_MAX)};
    if (request.start + request.count > 65536) {
        request.start = 0; /* never asked for */
    }
    judge_rtu(&request, data + HEAD, size - HEAD);
    const uint8_t *stream = data + HEAD;
    size_t left = size - HEAD;
    while (left > 0) {
        int length = modbus_frame_length(stream, left);
        if (length <= 0) {
            demand(length == 0 || length == ERR_CORRUPT);
            demand(length != 0 || left < MODBUS_FRAME_MAX);
            break;
        }
        demand((size_t)length <= left && length <= MODBUS_FRAME_MAX && length >= 8);
        struct modbus_reply reply = modbus_reply_parse(&request, stream, (size_t)length);
        demand((reply.data != NULL) == (reply.verdict == MODBUS_REPLY_VALUES));
        demand((reply.exception != 0) == (reply.verdict == MODBUS_REPLY_EXCEPTION));
        demand((reply.fault[0] != '\0') == (reply.verdict == MODBUS_REPLY_BAD));
        judge_quirks(&request, stream, (size_t)length, &reply);
        if (reply.verdict == MODBUS_REPLY_VALUES) {
            judge_values(&request, stream, (size_t)length, &reply, data[3] & 0x7F);
        }
        stream += length;
        left -= (size_t)length;
    }
    return 0;
}
