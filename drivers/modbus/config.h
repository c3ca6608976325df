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
    MODBUS_DEVICE_SIZE = 128,
    MODBUS_IDENTITY_SIZE = 64,
    MODBUS_SENTINELS_MAX = 4,
    MODBUS_REGISTERS_MAX = 125, /* of one read (V1.1b3, 6.3) */
    MODBUS_BITS_MAX = 2000,     /* coils or discrete inputs of one read (V1.1b3, 6.1) */
    MODBUS_TYPE_BYTES_MAX = 8,
    MODBUS_PORT_DEFAULT = 502,
    MODBUS_POINTS_MAX = 4096, /* of one unit */
    MODBUS_UNITS_MAX = 248,   /* of one endpoint: every unit id once */
    MODBUS_POINTS_PER_BLOCK_MAX = 256
};

/* Defaults and bounds of the times, for the option table; all of them wire time. */
#define MODBUS_REQUEST_TIMEOUT_US_DEFAULT INT64_C(1000000)
#define MODBUS_CONNECT_TIMEOUT_US_DEFAULT INT64_C(3000000)
#define MODBUS_RECONNECT_MIN_US_DEFAULT   INT64_C(500000)
#define MODBUS_RECONNECT_MAX_US_DEFAULT   INT64_C(60000000)
#define MODBUS_PROBE_MIN_US_DEFAULT       INT64_C(2000000)
#define MODBUS_PROBE_MAX_US_DEFAULT       INT64_C(60000000)
#define MODBUS_DEAD_AFTER_DEFAULT         3
#define MODBUS_GAP_REGISTERS_TCP_DEFAULT  8
/* A register costs 2.1 ms at 9600 baud, another request about 20 of them and a turn of the unit. */
#define MODBUS_GAP_REGISTERS_SERIAL_DEFAULT 20
#define MODBUS_BAUD_MIN                     300
#define MODBUS_BAUD_MAX                     115200
#define MODBUS_TIME_US_MIN                  INT64_C(10000)
#define MODBUS_TIME_US_MAX                  INT64_C(3600000000)

/* Which table of the device; the value is the function code that reads it. */
enum modbus_table { MODBUS_COIL = 1, MODBUS_DISCRETE, MODBUS_HOLDING, MODBUS_INPUT };

/* What a 64-bit integer from +-2^53 on says cannot be told exactly, and is taken for no number; so
 * is a BCD digit above 9. There is no text type: a text is no reading; text.h
 * decodes it for the tools. */
enum modbus_type {
    MODBUS_INT16,
    MODBUS_UINT16,
    MODBUS_INT32,
    MODBUS_UINT32,
    MODBUS_FLOAT32,
    MODBUS_INT64,
    MODBUS_UINT64,
    MODBUS_FLOAT16, /* IEEE 754 binary16 */
    MODBUS_FLOAT64,
    MODBUS_INT8_HIGH, /* the more significant byte of a register */
    MODBUS_INT8_LOW,
    MODBUS_UINT8_HIGH,
    MODBUS_UINT8_LOW,
    MODBUS_BCD16, /* four decimal digits */
    MODBUS_BCD32, /* eight */
    MODBUS_BIT,   /* the only type of coils and discrete inputs; of a register: bit `bit` */
    MODBUS_BITS,  /* `bit_count` bits of a register from `bit` on, as an unsigned number */
    MODBUS_TYPE_COUNT
};

/* Where the bytes of the value (A: most significant) stand on the wire. The names say what is
 * swapped: CDAB the registers, BADC the bytes of each register, DCBA both; so for 8 bytes CDAB is
 * GHEFCDAB, and for 2 bytes ABCD and CDAB are AB, BADC and DCBA are BA. */
enum modbus_order { MODBUS_ABCD, MODBUS_CDAB, MODBUS_BADC, MODBUS_DCBA };

/* What NaN in a device's bytes means: that something is wrong, or that it has no value now (many
 * loggers say so). Infinities are always wrong. */
enum modbus_nan { MODBUS_NAN_FAULT, MODBUS_NAN_NO_VALUE };

/* One point in the device's registers: value = number * scale + offset. */
struct modbus_map {
    uint32_t point;   /* index in site.points */
    uint32_t station; /* index in site.stations: whose sequence number counts */
    enum modbus_table table;
    uint16_t address; /* zero-based, as in the request */
    enum modbus_type type;
    enum modbus_order order;
    /* Instead of the order: the letters of the value's bytes as they come over the wire, such as
     * "EFGHABCD"; empty: not used. See modbus_permutation_ok(). */
    char permutation[MODBUS_TYPE_BYTES_MAX + 1];
    uint8_t bit;       /* MODBUS_BIT and MODBUS_BITS of a register: 0 the least significant */
    uint8_t bit_count; /* MODBUS_BITS: 1 to 16 */
    double scale;      /* finite, not 0 */
    double offset;
    uint32_t sentinel_count;
    /* Numbers before scale and offset that mean "no value"; must be representable in the type
     * (modbus_sentinel_fits()). NaN and infinities never need one: they are no number anyway. */
    double sentinels[MODBUS_SENTINELS_MAX];
    enum modbus_nan nan_policy;
    int64_t period_us; /* of its request, scenario time, > 0 */
    bool alone;        /* shares no request, for devices that refuse it together with others */
    bool urgent;       /* a rule needs it: its request goes before others that are due */
};

struct modbus_unit_config {
    uint8_t unit; /* 0 to 247, and 255; once per endpoint */
    /* Registers that nobody wants but that may be read along to save a request: at most so many in
     * a row. 16 coils count as one register here and in registers_max. */
    uint16_t gap_registers;
    uint16_t registers_max; /* of one request; 0: what the standard allows */
    size_t map_count;
    const struct modbus_map *maps; /* any order; no two may share a bit of a table */
};

/* How frames travel on the connection: with the MBAP header of Modbus TCP, or as on a serial line
 * (gateways that only pass bytes on). Serial lines have only the latter. */
enum modbus_framing { MODBUS_FRAMING_TCP, MODBUS_FRAMING_RTU };

enum modbus_transport {
    MODBUS_CONNECT, /* we connect to host and port */
    MODBUS_SERIAL,  /* a serial device of this machine */
    MODBUS_DIAL_IN  /* the station connects to our port and says its identity */
};

enum modbus_parity { MODBUS_PARITY_NONE, MODBUS_PARITY_EVEN, MODBUS_PARITY_ODD };

/* Who switches an RS-485 transceiver between listening and sending. */
enum modbus_direction {
    MODBUS_DIRECTION_AUTO,   /* the adapter by itself, or the line is RS-232 */
    MODBUS_DIRECTION_KERNEL, /* the port's driver (TIOCSRS485) */
    MODBUS_DIRECTION_RTS_UP, /* we: RTS up while sending */
    MODBUS_DIRECTION_RTS_DOWN
};

struct modbus_serial {
    char device[MODBUS_DEVICE_SIZE]; /* absolute path; opened anew by it after every error */
    uint32_t baud;                   /* one of modbus_baud_ok() */
    enum modbus_parity parity;
    uint8_t stop_bits; /* 1 or 2 */
    enum modbus_direction direction;
    int64_t silent_us; /* between frames; 0: 3.5 characters, at least 1.75 ms (V1.02, 2.5.1.1) */
};

/* What a device does against the standard and is forgiven: nothing else ever is. */
enum modbus_reply_unit { MODBUS_REPLY_UNIT_ASKED, MODBUS_REPLY_UNIT_0, MODBUS_REPLY_UNIT_255 };

struct modbus_quirks {
    enum modbus_reply_unit reply_unit; /* answers bear this id instead */
    bool byte_count;                   /* its byte count is wrong; the frame's length tells */
    bool surplus;           /* bytes stand behind the values (not with RTU) or behind the frame */
    bool echo;              /* every request comes back before its answer */
    bool close_after_reply; /* a connection serves one request */
    bool string_swapped;    /* of a text the second character of each register comes first */
    bool address_from_one;  /* its manual counts registers from one, and so do we: the request has
                               one less. Applied when the site is loaded. */
};

struct modbus_endpoint_config {
    char id[STATION_ID_SIZE]; /* unique; spreads the phase and the jitter */
    enum modbus_transport transport;
    char host[MODBUS_HOST_SIZE]; /* MODBUS_CONNECT: numeric address or name */
    uint16_t port;               /* of the host, or of ours with MODBUS_DIAL_IN */
    /* MODBUS_DIAL_IN: what the station sends first. None on one port begins another one's. */
    char identity[MODBUS_IDENTITY_SIZE];
    enum modbus_framing framing;
    struct modbus_serial serial; /* with MODBUS_SERIAL */
    struct modbus_quirks quirks;
    int64_t request_timeout_us; /* from the send to the last byte of the reply */
    int64_t connect_timeout_us; /* name resolution included */
    int64_t reconnect_min_us;   /* first pause after a failure; doubles, with jitter ... */
    int64_t reconnect_max_us;   /* ... up to this */
    int64_t probe_min_us;       /* the same for asking a dead unit again */
    int64_t probe_max_us;
    uint32_t dead_after;      /* timeouts in a row until a unit counts as dead, >= 1 */
    int64_t idle_close_us;    /* a connection without a request for so long is closed; 0: never */
    int64_t connect_pause_us; /* from the connection to its first request */
    int64_t request_pause_us; /* from a reply to the next request */
    int64_t close_pause_us;   /* from the end of a connection to the next one: a gateway that takes
                                 one at a time needs a moment to see the end of it */
    size_t unit_count;
    const struct modbus_unit_config *units;
};

struct modbus_config {
    size_t endpoint_count;
    const struct modbus_endpoint_config *endpoints;
};

/* Registers that a value takes: 1, 2 or 4. A coil or discrete input takes one of its own. */
uint16_t modbus_type_registers(enum modbus_type type);
/* Coils and discrete inputs: one bit each. */
bool modbus_table_is_bits(enum modbus_table table);
/* Most that one read of the table may ask for. */
uint16_t modbus_table_read_max(enum modbus_table table);
/* "int16", ...; "ABCD", ...; "coil", "holding", ...: as in the configuration. Never NULL. */
const char *modbus_type_name(enum modbus_type type);
const char *modbus_order_name(enum modbus_order order);
const char *modbus_table_name(enum modbus_table table);
/* ERR_NOT_FOUND for an unknown name. */
int modbus_type_parse(const char *name, enum modbus_type *ret_type);
int modbus_order_parse(const char *name, enum modbus_order *ret_order);
int modbus_table_parse(const char *name, enum modbus_table *ret_table);

/* Whether `number` is a value that the type can hold (a float32 sentinel is rounded to float32). */
bool modbus_sentinel_fits(enum modbus_type type, double number);

/* Whether `text` has each letter of the type's bytes once: "BA", "CDAB", "HGFEDCBA". */
bool modbus_permutation_ok(enum modbus_type type, const char *text);

/* Whether two points of one unit share a bit. Two parts of one register do not. */
bool modbus_maps_overlap(const struct modbus_map *a, const struct modbus_map *b);

/* 300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200. */
bool modbus_baud_ok(uint32_t baud);

/* The same place: host and port; device; port and identity. */
bool modbus_endpoint_same(const struct modbus_endpoint_config *a,
                          const struct modbus_endpoint_config *b);
/* Orders places, for sorting; 0 exactly when they are the same. */
int modbus_endpoint_compare(const struct modbus_endpoint_config *a,
                            const struct modbus_endpoint_config *b);

/* Whether two endpoints of the same place ask for the same in the same way: all but the id is
 * equal, when b's points and stations are taken for what a's are called now (new_point[],
 * new_station[], UINT32_MAX: gone). Bytes are compared: a false "no" only costs a connection. */
bool modbus_endpoint_unchanged(const struct modbus_endpoint_config *a,
                               const struct modbus_endpoint_config *b, const uint32_t *new_point,
                               const uint32_t *new_station);

enum { MODBUS_PLACE_SIZE = MODBUS_HOST_SIZE + MODBUS_IDENTITY_SIZE + 16 };
/* "HOST port N", the device, or "IDENTITY dialling in to port N": for people. */
void modbus_endpoint_place(const struct modbus_endpoint_config *config,
                           char ret_text[MODBUS_PLACE_SIZE]);

/* Fills the defaults of an endpoint: port, times, dead_after, 9600 baud, even parity, one stop bit;
 * the rest zero. */
void modbus_endpoint_defaults(struct modbus_endpoint_config *ret_config);

/* Everything that this header demands, with a sentence in ret_err (may be NULL) that names endpoint
 * and unit. point_count and station_count bound the indices. ERR_INVALID, ERR_RANGE, ERR_EXISTS. */
int modbus_config_check(const struct modbus_config *config, size_t point_count,
                        size_t station_count, struct err *ret_err);

#endif
