/* Stations that dial in: a listening port where a connection has to say who it is before it is
 * handed to the line of that station. What says nothing known within DIAL_IDENTITY_US is closed; at
 * most DIAL_PENDING_MAX wait, a newcomer then ends the one that waits longest.
 *
 * An identity is no proof: anybody who reaches the port can pass for a station. The port must be
 * reachable from the stations' network only. Thread rule: the loop's thread. */
#ifndef CANHBAO_DRIVERS_MODBUS_DIAL_H
#define CANHBAO_DRIVERS_MODBUS_DIAL_H

#include "daemon/base/loop.h"

enum { DIAL_PENDING_MAX = 64, DIAL_IDENTITY_US = 10000000 };

struct modbus_dial;

/* Gives the stream to the line whose station's identity begins `bytes` (modbus_tcp_adopt());
 * DIAL_MORE: more bytes may tell; DIAL_NOBODY: no station of this port begins so. */
enum dial_verdict { DIAL_TAKEN, DIAL_MORE, DIAL_NOBODY };
typedef enum dial_verdict (*dial_find_fn)(void *ctx, uint16_t port, const uint8_t *bytes,
                                          size_t length, struct loop_stream *stream);

/* host: numeric. Errors of loop_listen_tcp(), ERR_MEMORY. */
int modbus_dial_listen(struct loop *loop, const char *host, uint16_t port, dial_find_fn find,
                       void *ctx, struct modbus_dial **ret_dial);
struct modbus_dial *modbus_dial_close(struct modbus_dial *dial); /* NULL is fine; returns NULL */
uint16_t modbus_dial_port(const struct modbus_dial *dial);

#endif
