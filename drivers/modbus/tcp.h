/* What the dial-in listener needs of the TCP driver. Thread rule: the loop's thread. */
#ifndef CANHBAO_DRIVERS_MODBUS_TCP_H
#define CANHBAO_DRIVERS_MODBUS_TCP_H

#include "daemon/base/loop.h"

/* The station of a MODBUS_DIAL_IN line is there: the line owns the stream from now on and gives up
 * the one before. */
void modbus_tcp_adopt(void *line, struct loop_stream *stream);

#endif
