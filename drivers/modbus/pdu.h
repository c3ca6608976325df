/* Modbus frames of reads, on TCP: building requests, cutting frames out of a byte stream, and
 * judging whether a frame answers a request. Framing knows nothing of meaning, meaning nothing of
 * streams. Only the four read functions exist here: nothing in this program can write a register.
 *
 * Sources: MODBUS Application Protocol Specification V1.1b3, 6.1 to 6.4 and 7; MODBUS Messaging on
 * TCP/IP Implementation Guide V1.0b, 3.1.3. Thread rule: pure functions. */
#ifndef CANHBAO_DRIVERS_MODBUS_PDU_H
#define CANHBAO_DRIVERS_MODBUS_PDU_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/modbus/config.h"

enum {
    MODBUS_MBAP_SIZE = 7, /* transaction, protocol, length, unit */
    MODBUS_PDU_MAX = 253, /* function and data (V1.1b3, 4.1) */
    MODBUS_FRAME_MAX = MODBUS_MBAP_SIZE + MODBUS_PDU_MAX,
    MODBUS_REQUEST_SIZE = MODBUS_MBAP_SIZE + 5
};

struct modbus_request {
    uint16_t transaction;
    uint8_t unit;
    enum modbus_table table;
    uint16_t start;
    uint16_t count;              /* 1 to modbus_table_read_max() */
    struct modbus_quirks quirks; /* what replies may do */
};

/* The request as it goes over the wire. */
void modbus_request_build(const struct modbus_request *request,
                          uint8_t ret_frame[MODBUS_REQUEST_SIZE]);

/* Looks for one frame at the start of `bytes`. Returns its whole length (MBAP included), 0 when
 * more bytes are needed, ERR_CORRUPT when no frame can begin like this (protocol id not 0, or a
 * length outside 2 to 254): the stream is lost then. */
int modbus_frame_length(const uint8_t *bytes, size_t length);

enum modbus_verdict {
    MODBUS_REPLY_VALUES,    /* the registers or bits that were asked for */
    MODBUS_REPLY_EXCEPTION, /* an exception code for this request */
    MODBUS_REPLY_FOREIGN,   /* another transaction id: late, or nobody's; drop it and wait on */
    MODBUS_REPLY_BAD        /* this request's id, but not an answer to it */
};

struct modbus_reply {
    enum modbus_verdict verdict;
    uint8_t exception;   /* 1 to 255 with MODBUS_REPLY_EXCEPTION */
    const uint8_t *data; /* modbus_data_size() bytes in the frame, with MODBUS_REPLY_VALUES */
    const char *fault;   /* which field is wrong, with MODBUS_REPLY_BAD; else "" */
};

/* Bytes that answer a request: two a register, one for eight bits. */
uint16_t modbus_data_size(const struct modbus_request *request);

/* Whether a reply with this unit id can be the answer: the one asked, or its quirk. */
bool modbus_reply_unit_ok(const struct modbus_request *request, uint8_t unit);

/* Judges one whole frame (`length` from modbus_frame_length()). Every field is compared. */
struct modbus_reply modbus_reply_parse(const struct modbus_request *request, const uint8_t *frame,
                                       size_t length);

/* The part that all framings share: function, byte count, values. `length` at least 1. */
struct modbus_reply modbus_pdu_judge(const struct modbus_request *request, const uint8_t *pdu,
                                     size_t length);

/* "illegal data address", ...; "unknown exception" for codes that no standard names. */
const char *modbus_exception_name(uint8_t exception);

#endif
