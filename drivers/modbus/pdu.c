#include "drivers/modbus/pdu.h"

enum {
    LENGTH_MIN = 2, /* unit and function */
    LENGTH_MAX = 1 + MODBUS_PDU_MAX,
    EXCEPTION_BIT = 0x80
};

static void put16(uint8_t *at, unsigned value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *at) {
    return (unsigned)at[0] << 8 | at[1];
}

void modbus_request_build(const struct modbus_request *request,
                          uint8_t ret_frame[MODBUS_REQUEST_SIZE]) {
    put16(ret_frame, request->transaction);
    put16(ret_frame + 2, 0);
    put16(ret_frame + 4, MODBUS_REQUEST_SIZE - 6);
    ret_frame[6] = request->unit;
    ret_frame[7] = (uint8_t)request->table;
    put16(ret_frame + 8, request->start);
    put16(ret_frame + 10, request->count);
}

int modbus_frame_length(const uint8_t *bytes, size_t length) {
    /* Judged as early as the bytes allow: a stream that is lost must not wait for more. */
    if (length >= 4 && get16(bytes + 2) != 0) {
        return ERR_CORRUPT;
    }
    if (length < 6) {
        return 0;
    }
    unsigned rest = get16(bytes + 4);
    if (rest < LENGTH_MIN || rest > LENGTH_MAX) {
        return ERR_CORRUPT;
    }
    return length < 6 + rest ? 0 : (int)(6 + rest);
}

static struct modbus_reply bad(const char *fault) {
    return (struct modbus_reply){.verdict = MODBUS_REPLY_BAD, .fault = fault};
}

uint16_t modbus_data_size(const struct modbus_request *request) {
    return (uint16_t)(modbus_table_is_bits(request->table) ? (request->count + 7) / 8
                                                           : request->count * 2);
}

bool modbus_reply_unit_ok(const struct modbus_request *request, uint8_t unit) {
    enum modbus_reply_unit quirk = request->quirks.reply_unit;
    return unit == request->unit || (quirk == MODBUS_REPLY_UNIT_0 && unit == 0) ||
           (quirk == MODBUS_REPLY_UNIT_255 && unit == 255);
}

/* Where less is checked, a request that comes back can look like an answer of three bytes. */
static bool is_request(const struct modbus_request *request, const uint8_t *pdu, size_t length) {
    return length == 5 && get16(pdu + 1) == request->start && get16(pdu + 3) == request->count;
}

struct modbus_reply modbus_pdu_judge(const struct modbus_request *request, const uint8_t *pdu,
                                     size_t length) {
    if (pdu[0] == ((uint8_t)request->table | EXCEPTION_BIT)) {
        if (length != 2) {
            return bad("length of an exception");
        }
        if (pdu[1] == 0) {
            return bad("exception code 0");
        }
        return (struct modbus_reply){
            .verdict = MODBUS_REPLY_EXCEPTION, .exception = pdu[1], .fault = ""};
    }
    if (pdu[0] != (uint8_t)request->table) {
        return bad("function code");
    }
    /* One of byte count and length must be right, whatever the quirks. */
    const struct modbus_quirks *quirks = &request->quirks;
    size_t wanted = modbus_data_size(request);
    bool exact = length == 2 + wanted;
    bool surplus = quirks->surplus && length > 2 + wanted &&
                   (pdu[1] == wanted || length == (size_t)2 + pdu[1]);
    if (length < 2 || (pdu[1] != wanted && !surplus && !(quirks->byte_count && exact))) {
        return bad("byte count");
    }
    if (!exact && !surplus) {
        return bad("length of the values");
    }
    if ((quirks->byte_count || quirks->surplus) && is_request(request, pdu, length)) {
        return bad("the request came back");
    }
    return (struct modbus_reply){.verdict = MODBUS_REPLY_VALUES, .data = pdu + 2, .fault = ""};
}

struct modbus_reply modbus_reply_parse(const struct modbus_request *request, const uint8_t *frame,
                                       size_t length) {
    /* The caller's frame is whole; a shorter one would be our bug, but costs nothing to refuse. */
    if (length < 6 + LENGTH_MIN || get16(frame + 4) != length - 6) {
        return bad("length");
    }
    if (get16(frame + 2) != 0) {
        return bad("protocol id");
    }
    if (get16(frame) != request->transaction) {
        return (struct modbus_reply){.verdict = MODBUS_REPLY_FOREIGN, .fault = ""};
    }
    if (!modbus_reply_unit_ok(request, frame[6])) {
        return bad("unit id");
    }
    return modbus_pdu_judge(request, frame + MODBUS_MBAP_SIZE, length - MODBUS_MBAP_SIZE);
}

const char *modbus_exception_name(uint8_t exception) {
    static const char *const names[] = {
        [1] = "illegal function",
        [2] = "illegal data address",
        [3] = "illegal data value",
        [4] = "server device failure",
        [5] = "acknowledge",
        [6] = "server device busy",
        [8] = "memory parity error",
        [10] = "gateway path unavailable",
        [11] = "gateway target device failed to respond",
    };
    const char *name = exception < sizeof(names) / sizeof(names[0]) ? names[exception] : NULL;
    return name != NULL ? name : "unknown exception";
}
