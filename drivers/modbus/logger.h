/* What a logger tells of itself besides its points: its clock, who it is, and what it has kept in
 * its memory while nobody could reach it. Configuration and meaning of registers; who reads them
 * when is daemon/loggers.h. Nothing is ever written to a device: a clock that is wrong is told, not
 * set, and a memory that wants a window selected by a write cannot be read.
 *
 * Plain data, constant after load. Thread rule: pure functions. */
#ifndef CANHBAO_DRIVERS_MODBUS_LOGGER_H
#define CANHBAO_DRIVERS_MODBUS_LOGGER_H

#include "daemon/base/clock.h"
#include "drivers/modbus/config.h"

enum {
    LOGGER_EXPECTED_SIZE = 64,
    LOGGER_FOUND_SIZE = 2 * MODBUS_REGISTERS_MAX + 1,
    LOGGER_FIELDS_MAX = 32,
    LOGGER_CAPACITY_MIN = 4,
    LOGGER_CAPACITY_MAX = 32768 /* records of two registers in one table */
};

/* How registers tell a time. */
enum logger_stamp_form {
    STAMP_UNIX32, /* seconds since 1970 in two registers */
    STAMP_UNIX64, /* in four */
    STAMP_YMDHMS  /* a register each: year (whole, or from 2000 on), month, day, hour, minute,
                     second */
};

struct logger_stamp {
    enum logger_stamp_form form;
    enum modbus_order order; /* of the unix forms; of each register of STAMP_YMDHMS: AB or BA */
    int32_t utc_offset_min;  /* the device's clock shows UTC plus this */
};

/* 2, 4 or 6. */
uint16_t logger_stamp_registers(enum logger_stamp_form form);
/* `bytes` as they came. ERR_RANGE: no time that a logger of our days can mean (before 2000, after
 * 2199, a 13th month, a 30th of February, a 60th second); an empty record has 0 or all ones. */
int logger_stamp_decode(const struct logger_stamp *stamp, const uint8_t *bytes,
                        struct utc_us *ret_at);

struct logger_clock {
    bool present;
    enum modbus_table table;
    uint16_t address;
    struct logger_stamp stamp;
    int64_t period_us; /* scenario time */
    int64_t limit_us;  /* further off: a condition, and nothing is read out of the memory */
};

/* Text or number in registers that only this device has. */
struct logger_identity {
    bool present;
    enum modbus_table table;
    uint16_t address;
    uint16_t registers;    /* of a text; 0: a number of `type` */
    enum modbus_type type; /* whole numbers only */
    enum modbus_order order;
    bool swapped; /* the device sends the second character of each register first */
    char expected[LOGGER_EXPECTED_SIZE];
    int64_t period_us;
};

/* What the device has at that place, for people; of a number its digits. ERR_INVALID with a
 * sentence in ret_found when it is neither text nor number. */
int logger_identity_decode(const struct logger_identity *identity, const uint8_t *bytes,
                           char ret_found[LOGGER_FOUND_SIZE]);
uint16_t logger_identity_registers(const struct logger_identity *identity);

/* What the index register of a ring says. */
enum logger_index { INDEX_NEXT, INDEX_NEWEST, INDEX_COUNT };

/* A ring of records of the same size, each with a time stamp and the values of some points in the
 * same form as in their own registers. */
struct logger_memory {
    bool present;
    enum modbus_table table;
    uint16_t index_address;
    enum modbus_type index_type; /* MODBUS_UINT16 or MODBUS_UINT32 */
    enum modbus_order index_order;
    /* INDEX_NEXT: the slot that is written next, from 0; INDEX_NEWEST: the one written last;
     * INDEX_COUNT: records written ever, slot = (count - 1) mod capacity. */
    enum logger_index index_means;
    uint16_t address;          /* of slot 0 */
    uint16_t record_registers; /* at most what one request may ask for */
    uint32_t capacity;         /* slots */
    int64_t interval_us;       /* between two records */
    struct logger_stamp stamp;
    uint16_t stamp_offset; /* register of the record */
    uint32_t field_count;
    struct logger_field {
        uint32_t point; /* index in site.points */
        uint16_t offset;
    } fields[LOGGER_FIELDS_MAX];
};

struct logger {
    uint32_t station; /* index in site.stations */
    struct logger_clock clock;
    struct logger_identity identity;
    struct logger_memory memory;
};

/* Records that one request of so many registers can bring. */
uint32_t logger_memory_block(const struct logger_memory *memory, uint16_t registers_max);
/* Requests that a hole of so many records costs, with the search for its begin. */
uint32_t logger_memory_requests(const struct logger_memory *memory, uint16_t registers_max,
                                uint32_t records);

#endif
