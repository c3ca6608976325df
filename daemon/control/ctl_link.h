/* One Modbus connection or serial line that waits: for the tools, which have nothing else to do.
 * After a timeout or a reply that breaks the protocol the connection is closed and made anew for
 * the next request, as in the daemon. Thread rule: per object. */
#ifndef CANHBAO_DAEMON_CONTROL_CTL_LINK_H
#define CANHBAO_DAEMON_CONTROL_CTL_LINK_H

#include "daemon/control/ctl_tools.h"
#include "drivers/modbus/bus.h"

enum { LINK_WHY_SIZE = 128 };

struct ctl_link {
    char host[MODBUS_HOST_SIZE];
    char port[8];
    enum modbus_framing framing;
    int64_t timeout_us;
    struct modbus_bus *bus; /* a serial line instead of a connection */
    int fd;                 /* -1: not connected */
    bool connected;         /* at least once */
    uint16_t transaction;
    int64_t round_trip_us; /* of the last answer */
    uint8_t exception;     /* with ERR_UNSUPPORTED */
    char why[LINK_WHY_SIZE];
};

/* place: "HOST", "HOST:PORT", "[HOST]:PORT" or the path of a serial device. 0 or an exit code, told
 * already. */
int ctl_link_init(struct ctl_link *link, const char *place, const struct tool_options *options);
void ctl_link_finish(struct ctl_link *link);

/* Reads registers or bits: modbus_data_size() bytes. ERR_UNSUPPORTED with `exception` and why;
 * ERR_TIMEOUT; ERR_CORRUPT: a reply that is none; ERR_CLOSED: no connection. All with why. */
int ctl_link_read(struct ctl_link *link, struct modbus_request request,
                  uint8_t ret_data[MODBUS_PDU_MAX]);

#endif
