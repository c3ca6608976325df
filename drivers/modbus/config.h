/* What the configuration says about Modbus: endpoint -> unit -> mapped points. plan.h makes the
 * requests ("blocks") of it, so nobody writes blocks by hand.
 *
 * Plain data, filled by daemon/config (or a test), constant while a driver uses it; the holder
 * owns all arrays. Sources: MODBUS Application Protocol Specification V1.1b3; MODBUS Messaging on
 * TCP/IP Implementation Guide V1.0b. Thread rule: constant data. */
#ifndef CANHBAO_DRIVERS_MODBUS_CONFIG_H
#define CANHBAO_DRIVERS_MODBUS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/station/station.h"

enum {
    MODBUS_HOST_SIZE = 256,
    MODBUS_SENTINELS_MAX = 4,
    MODBUS_REGISTERS_MAX = 125, /* of one read (V1.1b3, 6.3) */
    MODBUS_PORT_DEFAULT = 502,
    MODBUS_POINTS_MAX = 4096, /* of one unit */
    MODBUS_UNITS_MAX = 248,   /* of one endpoint: every unit id once */
    MODBUS_POINTS_PER_BLOCK_MAX = MODBUS_REGISTERS_MAX
};

/* Defaults and bounds of the times, for the option table; all of them wire time. */
#define MODBUS_REQUEST_TIMEOUT_US_DEFAULT INT64_C(1000000)
#define MODBUS_CONNECT_TIMEOUT_US_DEFAULT INT64_C(3000000)
#define MODBUS_RECONNECT_MIN_US_DEFAULT   INT64_C(500000)
#define MODBUS_RECONNECT_MAX_US_DEFAULT   INT64_C(60000000)
#define MODBUS_PROBE_MIN_US_DEFAULT       INT64_C(2000000)
#define MODBUS_PROBE_MAX_US_DEFAULT       INT64_C(60000000)
#define MODBUS_DEAD_AFTER_DEFAULT         3
#define MODBUS_TIME_US_MIN                INT64_C(10000)
#define MODBUS_TIME_US_MAX                INT64_C(3600000000)

/* Which table of the device; the value is the function code that reads it. */
enum modbus_table { MODBUS_HOLDING = 3, MODBUS_INPUT = 4 };

enum modbus_type { MODBUS_INT16, MODBUS_UINT16, MODBUS_INT32, MODBUS_UINT32, MODBUS_FLOAT32 };

/* Where the bytes of the value (A: most significant) stand on the wire. For the 16-bit types the
 * first two letters count: ABCD and CDAB are AB, BADC and DCBA are BA. */
enum modbus_order { MODBUS_ABCD, MODBUS_CDAB, MODBUS_BADC, MODBUS_DCBA };

/* One point in the device's registers: value = number * scale + offset. */
struct modbus_map {
    uint32_t point;   /* index in site.points */
    uint32_t station; /* index in site.stations: whose sequence number counts */
    enum modbus_table table;
    uint16_t address; /* zero-based, as in the request */
    enum modbus_type type;
    enum modbus_order order;
    double scale; /* finite, not 0 */
    double offset;
    uint32_t sentinel_count;
    /* Numbers before scale and offset that mean "no value"; must be representable in the type
     * (modbus_sentinel_fits()). NaN and infinities never need one: they are no number anyway. */
    double sentinels[MODBUS_SENTINELS_MAX];
    int64_t period_us; /* of its request, scenario time, > 0 */
};

struct modbus_unit_config {
    uint8_t unit; /* 0 to 247, and 255; once per endpoint */
    size_t map_count;
    const struct modbus_map *maps; /* any order; no two may share a register of a table */
};

struct modbus_endpoint_config {
    char id[STATION_ID_SIZE];    /* unique; spreads the phase and the jitter */
    char host[MODBUS_HOST_SIZE]; /* numeric address or name */
    uint16_t port;
    int64_t request_timeout_us; /* from the send to the last byte of the reply */
    int64_t connect_timeout_us; /* name resolution included */
    int64_t reconnect_min_us;   /* first pause after a failure; doubles, with jitter ... */
    int64_t reconnect_max_us;   /* ... up to this */
    int64_t probe_min_us;       /* the same for asking a dead unit again */
    int64_t probe_max_us;
    uint32_t dead_after; /* timeouts in a row until a unit counts as dead, >= 1 */
    size_t unit_count;
    const struct modbus_unit_config *units;
};

struct modbus_config {
    size_t endpoint_count;
    const struct modbus_endpoint_config *endpoints;
};

/* Registers that a value takes: 1 or 2. */
uint16_t modbus_type_registers(enum modbus_type type);
/* "int16", ...; "ABCD", ...; "holding", "input": as in the configuration. Never NULL. */
const char *modbus_type_name(enum modbus_type type);
const char *modbus_order_name(enum modbus_order order);
const char *modbus_table_name(enum modbus_table table);
/* ERR_NOT_FOUND for an unknown name. */
int modbus_type_parse(const char *name, enum modbus_type *ret_type);
int modbus_order_parse(const char *name, enum modbus_order *ret_order);
int modbus_table_parse(const char *name, enum modbus_table *ret_table);

/* Whether `number` is a value that the type can hold (a float32 sentinel is rounded to float32). */
bool modbus_sentinel_fits(enum modbus_type type, double number);

/* Fills the defaults of an endpoint: port, times, dead_after; the rest zero. */
void modbus_endpoint_defaults(struct modbus_endpoint_config *ret_config);

/* Everything that this header demands, with a sentence in ret_err (may be NULL) that names endpoint
 * and unit. point_count and station_count bound the indices. ERR_INVALID, ERR_RANGE, ERR_EXISTS. */
int modbus_config_check(const struct modbus_config *config, size_t point_count,
                        size_t station_count, struct err *ret_err);

#endif
