/* The simulated device's answer to one Modbus TCP request: functions 01 to 04.
 * Source: MODBUS Application Protocol Specification V1.1b3 sections 6.1-6.4 and 7, MODBUS Messaging
 * on TCP/IP Implementation Guide V1.0b section 3.1.3. Thread rule: one thread. */
#ifndef CANHBAO_SIM_REPLY_H
#define CANHBAO_SIM_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "record.h"
#include "scenario.h"

enum { REPLY_MBAP = 7, REPLY_REQUEST_MAX = 260 };

/* Bytes of the first whole request in the buffer; 0: not complete yet; -1: no Modbus TCP (protocol
 * id not 0, impossible length), the connection must be closed. */
int reply_request_length(const uint8_t *bytes, size_t count);

/* Builds the right answer (room for FAULT_FRAME_MAX bytes) to a whole request at scenario time t,
 * value faults included; returns its length. station is who the unit id names, NULL for nobody.
 * Served values go to truth with `fault`, the reply fault that will hit this answer, or NULL. */
size_t reply_build(struct sim_station *station, const uint8_t *request, size_t length, int64_t t_us,
                   const char *fault, struct record *truth, uint8_t *ret_frame);

#endif
