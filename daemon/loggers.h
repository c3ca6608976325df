/* The loggers of a site, beside their points: whether the right device answers, whether its clock
 * is right, and what its memory can tell of the time when nobody could reach it.
 *
 * All of it is read aside (drivers/driver.h): never in the way of a point's request, and only while
 * the station answers.
 *
 * Identity: looked at after a start, a silence (three periods of the station's fastest point), a
 * new connection (at most once a minute), and every period. Until it was read after a start or a
 * silence, and while something else is found, the station's readings are marked foreign: suspect,
 * so that they may raise an alarm and never lower one. They are not refused: a spare logger that
 * was put in place during a flood still measures the river, and a control room that gets nothing
 * from it is worse off than one that is told "doubtful, wrong device".
 *
 * Clock: its offset is a fact of the station. Beyond the limit a condition stands and nothing is
 * read out of the memory; stamps that a wrong clock may have given are refused afterwards too.
 *
 * Memory: after a gap in the station's readings, or a restart, the records of the hole become late
 * readings with their own time stamps. Holes and how far they are filled survive a restart. A fleet
 * that comes back with thousands of holes does not take the loop for itself: at each look every
 * memory is asked once at the most, and so many of them together.
 *
 * Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_LOGGERS_H
#define CANHBAO_DAEMON_LOGGERS_H

#include "daemon/config/site.h"
#include "daemon/health.h"
#include "daemon/logger_memo.h"
#include "daemon/pipeline.h"
#include "drivers/driver.h"
#include "drivers/modbus/memory.h"

enum { LOGGERS_LOOK_US = 100000 /* wire time */, LOGGERS_READS_MAX = 8 };

struct loggers;

struct loggers_options {
    struct loop *loop;
    const struct site *site;
    struct store *store;
    struct pipeline *pipeline;
    struct acquisition *acquisition;
    void (*on_condition)(void *ctx, enum condition_class class, const char *station, bool raised,
                         const char *text);
    void *ctx;
};

/* Asks for nothing before the station has answered. ERR_MEMORY, the store's errors. */
int loggers_create(const struct loggers_options *options, struct loggers **ret_loggers,
                   struct err *ret_err);
/* Cancels what is asked for. NULL is fine; returns NULL. */
struct loggers *loggers_destroy(struct loggers *loggers);

/* Stops asking, so that the acquisition may take another configuration. */
void loggers_pause(struct loggers *loggers);
/* Takes over what the old ones know of stations whose sections are the same, and clears the
 * conditions of those that are gone. new_stations: by old index, UINT32_MAX: gone. */
void loggers_succeed(struct loggers *loggers, const struct loggers *old,
                     const uint32_t *new_stations);

/* What came from the acquisition, before the pipeline gets it. */
void loggers_readings(struct loggers *loggers, const struct reading *readings, size_t count);

enum logger_check { LOGGER_UNCHECKED, LOGGER_RIGHT, LOGGER_WRONG };

struct logger_facts {
    const struct logger *logger;
    enum logger_check identity;
    char found[LOGGER_FOUND_SIZE]; /* at the last look; "" before */
    bool clock_known;
    int64_t skew_us; /* device minus ours, to half a second and half a round trip */
    struct utc_us clock_at;
    const struct logger_memo *memo;
    bool filling;
    char why[ERR_TEXT_MAX];      /* the memory cannot be read; "": it can */
    struct memory_counts counts; /* since the start */
    uint64_t requests;           /* for the memory */
    uint64_t known;              /* values that were in the store already */
    uint64_t untrusted;          /* records of a wrong clock */
    uint64_t index_refused;      /* wrong indices */
};
/* False: the station has no such sections. */
bool loggers_facts(const struct loggers *loggers, size_t station, struct logger_facts *ret_facts);

#endif
