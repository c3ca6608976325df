/* Acquisition: asks devices on a fixed grid and hands over readings, also when nothing came.
 *
 * This layer does once, for all drivers, what does not depend on a protocol: the schedule, dead
 * units, sequence numbers, counters. A driver (see line.h) only knows how to ask and how
 * to read an answer. Objects: endpoint (one line or host:port, one request in flight) -> unit (one
 * device behind it) -> block (one request) -> points.
 *
 * Schedule: block due times are start + phase + k * period in scenario time; the phase is a hash of
 * the endpoint's id (at most a minute), so that a fleet spreads itself. A slot that passes without
 * a request gives READING_SKIPPED for its points and is counted. When several slots of a block pass
 * in one go (a suspended machine) each is counted, but only one set of readings is made.
 *
 * Of the requests that are due on one line those with points that rules need go first, then the
 * oldest, then those not asked for longest: a line with too much to do serves all in turn.
 *
 * A unit that does not answer `dead_after` requests in a row is dead: it is asked again only after
 * a pause that doubles up to a bound, with jitter, so that the living units of the endpoint keep
 * their cadence. Pauses are wire time.
 *
 * A request that the device refuses (exceptions 1 to 3) is cut in two and asked again within the
 * slot, down to the point, so that one bad register costs no other point its value. The cuts are
 * kept, but taken back after a quarter of an hour: what refused everything for a moment must not
 * cost more requests for ever. A device that is busy (exceptions 5 and 6) is asked again within the
 * slot.
 *
 * Thread rule: all on the loop's thread. After acquisition_start() nothing is allocated except by
 * the system for new connections. */
#ifndef CANHBAO_DRIVERS_DRIVER_H
#define CANHBAO_DRIVERS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/loop.h"
#include "daemon/station/reading.h"
#include "daemon/station/station.h"
#include "drivers/modbus/config.h"

struct acquisition;

struct acquisition_options {
    struct loop *loop;
    const struct modbus_config *modbus; /* constant until destroy; checked (modbus_config_check) */
    size_t station_count;
    /* New connections of all endpoints together, so that a fleet whose network comes back does not
     * connect in the same second; 0: no bound. */
    uint32_t connects_per_s;
    const char *listen_host; /* numeric; where stations that dial in come to; NULL without any */
    /* Per station the number of the last reading ever made (0: none); NULL: all 0. Copied. */
    const uint64_t *last_seqs;
    /* The readings of one block, in order of their numbers; valid during the call. Must not call
     * back into the acquisition except for reading status. */
    void (*on_readings)(void *ctx, const struct reading *readings, size_t count);
    void *ctx;
    /* A request was refused and the requests have changed, or a point is refused by itself: a
     * sentence with the configuration line that avoids it. Once for each place. May be NULL; the
     * same rule. */
    void (*on_refused)(void *ctx, const char *endpoint, const char *advice);
    void *refused_ctx;
};

/* ERR_MEMORY, ERR_LIMIT. Nothing is sent before acquisition_start(). */
int acquisition_create(const struct acquisition_options *options,
                       struct acquisition **ret_acquisition, struct err *ret_err);
void acquisition_start(struct acquisition *acquisition);
/* Takes another configuration while it runs, in two steps, so that others can take it too or nobody
 * does. Endpoints whose place, units and points are the same keep connection, open request, phase,
 * dead units and counters; the others are closed and opened anew.
 *
 * prepare: everything that can fail, with nothing changed. `options` as for create, but loop, ctx
 * and last_seqs are not looked at. No turn of the loop may lie between prepare and commit. */
struct acquisition_reload;
struct acquisition_moves { /* by old index: the new one, or UINT32_MAX: gone; constant until then */
    const uint32_t *points;
    const uint32_t *stations;
};
struct acquisition_reloaded {
    size_t kept, opened, closed;
};
int acquisition_prepare(struct acquisition *acquisition, const struct acquisition_options *options,
                        const struct acquisition_moves *moves,
                        struct acquisition_reload **ret_reload, struct err *ret_err);
/* ctx: of on_readings from now on; last_seqs counts for stations that are new. The old
 * configuration may be freed afterwards. Frees `reload`. */
struct acquisition_reloaded acquisition_commit(struct acquisition_reload *reload, void *ctx,
                                               const uint64_t *last_seqs);
/* Gives it up; the old configuration goes on. NULL is fine; returns NULL. */
struct acquisition_reload *acquisition_abandon(struct acquisition_reload *reload);
/* Closes all connections; no reading follows. NULL is fine; returns NULL. */
struct acquisition *acquisition_destroy(struct acquisition *acquisition);

enum endpoint_state {
    ENDPOINT_IDLE, /* not connected and nothing to ask */
    ENDPOINT_CONNECTING,
    ENDPOINT_CONNECTED,
    ENDPOINT_PAUSED /* waits before it connects again */
};

enum { ROUND_TRIP_BUCKETS = 48, ENDPOINT_WHY_SIZE = 96, EXCEPTION_CODES = 12 };

/* Counters since the start; for status and metrics. */
struct endpoint_stats {
    enum endpoint_state state;
    bool has_success;
    uint64_t polls;             /* requests sent */
    uint64_t replies;           /* answered with values */
    struct moment last_success; /* scenario time of the last good reply; see has_success */
    char
        why[ENDPOINT_WHY_SIZE]; /* the last trouble, for a person; "" none since the last success */
    /* Replies by round trip: bucket i counts those up to 100 us * 2^(i/2). */
    uint32_t round_trips[ROUND_TRIP_BUCKETS];
    uint64_t connects;         /* established connections */
    uint64_t connect_failures; /* tries that failed */
    uint64_t timeouts;
    uint64_t bad_replies;     /* frames that break the protocol */
    uint64_t foreign_replies; /* well-formed frames that answer no open request: dropped */
    uint64_t exceptions;
    uint32_t exceptions_by_code[EXCEPTION_CODES]; /* of the standard, 1 to 11; [0]: others */
    uint64_t lost;       /* the connection ended while a request was open */
    uint64_t skipped;    /* slots without a request */
    uint32_t dead_units; /* now */
    struct moment since; /* of the state */
};

size_t acquisition_endpoint_count(const struct acquisition *acquisition);
/* The configured id; valid while the acquisition is. */
const char *acquisition_endpoint_id(const struct acquisition *acquisition, size_t endpoint);
void acquisition_endpoint_stats(const struct acquisition *acquisition, size_t endpoint,
                                struct endpoint_stats *ret_stats);
/* Quantile (0 to 1) of the round trips in microseconds, by its bucket's upper bound; NaN without a
 * reply. */
double endpoint_round_trip_us(const struct endpoint_stats *stats, double quantile);
const char *endpoint_state_name(enum endpoint_state state);
/* ---- reads beside the schedule: a device's clock, its identity, its memory ----
 *
 * A read goes out only when no point's request of its endpoint waits and, even if it takes as long
 * as it may, none will fall due before it is over: so it never delays one. Reads of one endpoint
 * go in the order in which they were asked for, those of dead units wait. An impatient one goes
 * after a minute even if a request could fall due meanwhile (but still none that waits). After one
 * without an answer the next goes only when a point's request was answered again, so that pauses
 * before connects stay the points' own. Its
 * outcome says nothing about the unit: what a logger does not tell of itself makes it no dead unit.
 */
struct aside_answer {
    enum reading_status status; /* READING_OK: data */
    uint8_t exception;          /* with READING_EXCEPTION */
    const uint8_t *data;        /* two bytes a register, one for eight bits; during the call */
    struct utc_us requested;
    struct moment received;
};

/* The caller's memory; it must stay until the answer or acquisition_cancel_aside(). */
struct aside_read {
    size_t endpoint; /* indices as in the configuration */
    uint32_t unit;
    enum modbus_table table;
    uint16_t start, count; /* within what one request may ask for */
    bool impatient;
    /* Once; from here the next read may be asked for, with the same struct too. */
    void (*on_answer)(void *ctx, const struct aside_answer *answer);
    void *ctx;
    /* the acquisition's */
    struct aside_read *next;
    bool queued;
    int64_t since_us; /* wire time */
};

/* Not while it is queued, and not from inside on_readings. */
void acquisition_read_aside(struct acquisition *acquisition, struct aside_read *read);
/* No answer will come. Fine when none was asked for. Before a reload takes effect all reads must be
 * cancelled. */
void acquisition_cancel_aside(struct acquisition *acquisition, struct aside_read *read);
/* All readings of the station are marked from now on as of a device that is not known to be the
 * right one, or no longer. Forgotten by a reload. */
void acquisition_mark_foreign(struct acquisition *acquisition, size_t station, bool foreign);

/* The number of a station's last reading. */
uint64_t acquisition_last_seq(const struct acquisition *acquisition, size_t station);
/* The next number of a station, for a reading that comes another way (a logger's memory). */
uint64_t acquisition_take_seq(struct acquisition *acquisition, size_t station);

#endif
