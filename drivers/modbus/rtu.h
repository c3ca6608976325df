/* The RTU framing of Modbus, here as serial gateways carry it over TCP: unit, PDU, CRC-16. It has
 * no transaction id and no length: how long a reply is follows from its function and byte count,
 * and nothing but time tells a late answer from a fresh one. So whoever uses it closes the
 * connection after a timeout and after anything that was not asked for.
 *
 * Source: MODBUS over Serial Line Specification and Implementation Guide V1.02, 2.5.1 and 6.2.2.
 * Thread rule: pure functions. */
#ifndef CANHBAO_DRIVERS_MODBUS_RTU_H
#define CANHBAO_DRIVERS_MODBUS_RTU_H

#include "drivers/modbus/pdu.h"

enum {
    MODBUS_RTU_REQUEST_SIZE = 8, /* unit, function, start, count, CRC */
    MODBUS_RTU_FRAME_MAX = 256
};

/* CRC-16, polynomial 0xA001 reflected, from 0xFFFF; the low byte goes first on the wire. */
uint16_t modbus_crc(const uint8_t *bytes, size_t length);

void modbus_rtu_request_build(const struct modbus_request *request,
                              uint8_t ret_frame[MODBUS_RTU_REQUEST_SIZE]);

/* As modbus_frame_length(): the whole length with unit and CRC, 0 for more, ERR_CORRUPT when no
 * reply to a read begins like this. */
int modbus_rtu_frame_length(const uint8_t *bytes, size_t length);

/* The same for the reply to a request, whose quirks may say that the byte count is not to be
 * trusted. */
int modbus_rtu_reply_length(const struct modbus_request *request, const uint8_t *bytes,
                            size_t length);

/* As modbus_reply_parse(); the transaction id of the request plays no part, and so nothing is ever
 * MODBUS_REPLY_FOREIGN. */
struct modbus_reply modbus_rtu_reply_parse(const struct modbus_request *request,
                                           const uint8_t *frame, size_t length);

#endif
