/* One reading of one point: what a driver hands over, also when nothing came.
 *
 * The driver fills all but the quality part; quality control (inside the engine) fills that. Raw
 * bytes and value are never changed afterwards. Owner: whoever holds the struct; it contains no
 * pointers. */
#ifndef CANHBAO_STATION_READING_H
#define CANHBAO_STATION_READING_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/clock.h"

enum reading_status {
    READING_OK = 0,
    READING_TIMEOUT,       /* no complete reply before the request's deadline */
    READING_NO_CONNECTION, /* the endpoint cannot be reached */
    READING_BAD_REPLY,     /* a reply came that breaks the protocol: dropped whole */
    READING_EXCEPTION,     /* the device answered with an exception code */
    READING_SENTINEL,      /* the device says "no value" by an agreed register value */
    READING_NOT_A_NUMBER,  /* NaN or infinity in the device's bytes */
    READING_SKIPPED,       /* the slot passed without a request (endpoint busy, unit known dead) */
    READING_STATUS_COUNT
};

/* QARTOD primary flags (IOOS QARTOD Manual for Real-Time Data Flags, v1.2). */
enum quality_flag {
    QUALITY_GOOD = 1,
    QUALITY_NOT_EVALUATED = 2,
    QUALITY_SUSPECT = 3,
    QUALITY_FAIL = 4,
    QUALITY_MISSING = 9
};

/* Tests that can set a flag; bits of reading.suspect_tests and reading.fail_tests. */
enum quality_test {
    TEST_GROSS_RANGE = 0,
    TEST_RATE_OF_CHANGE,
    TEST_SPIKE,
    TEST_FLAT_LINE,
    TEST_GAP,
    TEST_MAINTENANCE, /* no test: somebody worked on the station. Kept, but no evidence */
    TEST_ATTENUATED,
    TEST_NEIGHBOUR,
    TEST_CROSS_VARIABLE,
    TEST_BUCKET_TEST, /* no test: water was poured into the bucket. Kept, but no rain */
    TEST_IDENTITY,    /* no test: the device behind it is not known to be the right one: suspect */
    TEST_COUNT
};

enum { READING_RAW_MAX = 8 };

struct reading {
    uint32_t point; /* index in site.points */
    uint64_t seq;   /* per station, from 1, no gaps: a consumer sees what it missed */
    enum reading_status status;
    uint8_t exception;            /* Modbus exception code with READING_EXCEPTION, else 0 */
    uint8_t raw_len;              /* bytes of `raw` that the device sent for this point */
    uint8_t raw[READING_RAW_MAX]; /* in the order of the wire */
    double value;                 /* in the point's unit; NaN unless status is READING_OK */
    double uncalibrated;          /* as the device said it, before the calibration; else as value */
    uint64_t calibration;         /* number of the record that made value of it; 0: none */
    bool late; /* out of a logger's memory: `received` is when it was measured, it fills a hole */
    bool late_last; /* the last one of its fill for this point */
    bool
        foreign; /* the device did not say that it is the one that is expected, see TEST_IDENTITY */
    struct utc_us requested; /* when the request was handed to the connection; 0: there was none */
    struct moment received;  /* when the last byte came, or when it was given up */
    int64_t round_trip_us; /* real time from send to last byte; -1 when nothing was sent or came */

    /* quality part */
    enum quality_flag
        flag; /* QUALITY_NOT_EVALUATED until tested; QUALITY_MISSING without a value */
    uint16_t suspect_tests; /* bit (1 << enum quality_test) */
    uint16_t fail_tests;
    uint32_t quality_revision; /* of the parameters used; 0 before the tests */
};

/* "timeout", "bad_reply", ... as published. Never NULL. */
const char *reading_status_name(enum reading_status status);
/* "gross_range", ... as published. Never NULL. */
const char *quality_test_name(enum quality_test test);

#endif
