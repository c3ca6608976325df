/* One serial line, asked by a thread that waits: the port belongs to libmodbus (opening, speed,
 * parity, RS-485 direction, sending); a reply is cut out and judged by rtu.h, under one hard
 * deadline, exactly as RTU frames that come over TCP. (libmodbus's own receiver cannot skip an echo
 * or a late answer of another unit, and aborts on a descriptor from 1024 on.)
 *
 * After any error the port is closed, and opened again by its path for the next request: a device
 * that comes back under another name is found when the path is a stable one (/dev/serial/by-id/...
 * or by-path). The port is locked (flock), so that two programs do not talk on one line.
 *
 * A serial reply names no request. So after a timeout a unit is not asked again before its late
 * answer can no longer come (two timeouts), and what comes meanwhile is thrown away; an answer of
 * another unit is dropped and the wait goes on.
 *
 * Source: MODBUS over Serial Line V1.02, 2.4 and 2.5. Thread rule: per object. */
#ifndef CANHBAO_DRIVERS_MODBUS_BUS_H
#define CANHBAO_DRIVERS_MODBUS_BUS_H

#include "drivers/modbus/rtu.h"

enum { MODBUS_BUS_WHY_SIZE = 96 };

struct modbus_bus;

struct modbus_bus_answer {
    /* 0: `reply` is VALUES or EXCEPTION. ERR_TIMEOUT. ERR_CORRUPT: a reply that is none.
     * ERR_CLOSED: the port is gone or cannot be opened. ERR_BUSY: told to stop. */
    int code;
    struct modbus_reply reply; /* data points into `frame` */
    uint8_t frame[MODBUS_RTU_FRAME_MAX];
    int64_t round_trip_us; /* -1: no reply */
    bool opened;           /* the port was opened for this request */
    bool is_open;          /* it is open now */
    bool sent;
    uint32_t foreign;              /* frames of other units that were dropped */
    char why[MODBUS_BUS_WHY_SIZE]; /* "" with values */
};

/* What is used of the endpoint, and copied: serial, quirks, pauses, request_timeout_us.
 * stop_fd: becomes readable when every wait shall end; -1: never. ERR_MEMORY. */
int modbus_bus_create(const struct modbus_endpoint_config *config, int stop_fd,
                      struct modbus_bus **ret_bus);
struct modbus_bus *modbus_bus_destroy(struct modbus_bus *bus); /* NULL is fine; returns NULL */

/* Asks and waits, for at most the pauses and request_timeout_us. The unit is 1 to 247. */
void modbus_bus_ask(struct modbus_bus *bus, const struct modbus_request *request,
                    struct modbus_bus_answer *ret_answer);

/* The silent interval between frames that the standard wants: 3.5 characters; 1.75 ms above 19200
 * baud. */
int64_t modbus_bus_silent_us(const struct modbus_serial *serial);

#endif
