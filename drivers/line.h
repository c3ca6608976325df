/* Between the scheduler (driver.c) and the drivers: what a driver offers and what it may call.
 *
 * A line is one endpoint as a driver sees it: it can carry one request at a time. A new driver
 * fills a `struct driver` and makes its lines known in acquisition_create(); it calls
 * endpoint_answer() and endpoint_ready() and nothing else. Thread rule: the loop's thread. */
#ifndef CANHBAO_DRIVERS_LINE_H
#define CANHBAO_DRIVERS_LINE_H

#include "drivers/driver.h"

enum { LINE_ADVICE_SIZE = 320 };

struct endpoint; /* the scheduler's side of a line */

/* What the scheduler has to know of a line. */
struct line_policy {
    const char *id; /* stays valid while the line does */
    uint32_t unit_count, block_count;
    uint32_t block_max; /* with all that cut() may make */
    uint32_t dead_after;
    int64_t probe_min_us, probe_max_us;
};

struct line_block {
    uint32_t unit;
    uint32_t point_count;
    int64_t period_us;
    bool urgent; /* goes before others that are due */
};

struct line_point {
    uint32_t point, station;
};

/* In the place of a block's number: the read of read_aside(). */
#define LINE_ASIDE (UINT32_MAX - 1)

/* New indices of what the readings name, by the old ones; only those of kept lines are looked at.
 */
struct line_moves {
    const uint32_t *points;
    const uint32_t *stations;
};

struct driver {
    const char *name;
    /* Sends nothing. `stats` is the endpoint's; the driver keeps state, why and the counters of
     * connections and frames in it. */
    int (*open)(struct loop *loop, const void *config, struct endpoint *endpoint,
                struct endpoint_stats *stats, struct line_policy *ret_policy, void **ret_line);
    struct line_block (*block)(const void *line, uint32_t block);
    struct line_point (*point)(const void *line, uint32_t block, uint32_t index);
    /* Takes one request; its answer follows, never from inside. Connects first where needed.
     * ERR_CLOSED: not now, the line waits before it connects again. Not called while another
     * request is open. */
    int (*request)(void *line, uint32_t block);
    /* What request(LINE_ASIDE) asks for from now on. The line keeps no point for it. */
    void (*set_aside)(void *line, const struct aside_read *read);
    /* The bytes of its answer; only from inside endpoint_answer() with READING_OK. */
    const uint8_t *(*aside_data)(const void *line);
    /* Wire time that a read may take at the worst before the line can carry the next request. */
    int64_t (*aside_cost_us)(const void *line);
    /* Value of one point of the block just answered with READING_OK; only from inside
     * endpoint_answer(). Fills status, raw, raw_len and value. */
    void (*decode)(const void *line, uint32_t block, uint32_t index, struct reading *ret_reading);
    /* Cuts a block that the device refuses in two: `block` keeps the front, the rest becomes block
     * number block_count. False: it cannot be cut. ret_advice: a sentence for a person, with the
     * configuration line that would avoid it; "" when it was told before. */
    bool (*cut)(void *line, uint32_t block, uint8_t exception, char ret_advice[LINE_ADVICE_SIZE]);
    /* Takes all cuts back: blocks are as after open(). Not called while a request is open. */
    void (*rejoin)(void *line);
    /* The configuration is another object with the same content, and points and stations have other
     * indices; the connection and an open request go on. policy: the one of open(), its id moves.
     */
    void (*rebind)(void *line, const void *config, const struct line_moves *moves,
                   struct line_policy *policy);
    void (*close)(void *line); /* NULL is fine */
};

struct line_answer {
    enum reading_status status; /* READING_OK: values can be decoded */
    uint8_t exception;
    int64_t round_trip_us; /* -1: nothing came */
    bool unit_alive;       /* the unit itself was heard, or is not to blame */
};

/* Exactly once for every request taken. */
void endpoint_answer(struct endpoint *endpoint, const struct line_answer *answer);
/* After endpoint_answer(), when the line can take the next request. */
void endpoint_ready(struct endpoint *endpoint);

/* How long the endpoint must wait for its turn to connect; the turn is taken. 0: now. */
int64_t endpoint_connect_wait_us(struct endpoint *endpoint);

/* A pause that doubles with every level: min * 2^level, at most max, less up to half of it by
 * jitter. `random` is a state of the caller's, not 0. */
int64_t line_backoff_us(int64_t min_us, int64_t max_us, uint32_t level, uint64_t *random);

/* config of both: struct modbus_endpoint_config */
extern const struct driver modbus_tcp_driver;
extern const struct driver modbus_serial_driver;

#endif
