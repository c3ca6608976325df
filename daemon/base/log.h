/* The daemon's log: one line per event, key=value, to standard error or the journal behind it.
 * Only the daemon (engine excepted) and the programs log; libraries return errors.
 *
 *   2025-11-19T06:00:00Z level=warning event=endpoint_lost key=bong-son why="no reply in time"
 *
 * Under systemd (JOURNAL_STREAM names standard error) a line begins with the priority of
 * sd-daemon(3) instead of the time. Values are quoted where they need it; control characters are
 * escaped, so that no input can forge a line.
 *
 * Repeats: the first line of an (event, key) is written; further ones within LOG_REPEAT_US are
 * counted and told as one line with repeated=N when the interval is over. Over that stands a bound
 * for the whole log (LOG_RATE_PER_S, burst LOG_BURST); what it or a full pipe costs is counted and
 * told as event=log_dropped. Writing never blocks.
 *
 * Thread rule: any thread. */
#ifndef CANHBAO_BASE_LOG_H
#define CANHBAO_BASE_LOG_H

#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"

enum {
    LOG_LINE_MAX = 2048,    /* bytes; longer ones are cut and end in "..." */
    LOG_REPEAT_SLOTS = 512, /* (event, key) pairs remembered; the oldest gives way */
    LOG_RATE_PER_S = 50,
    LOG_BURST = 200
};
#define LOG_REPEAT_US INT64_C(30000000)

/* Values are the priorities of sd-daemon(3). */
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

struct log_field {
    const char *name; /* [a-z0-9_]; NULL ends the list */
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_REAL } kind;
    const char *text; /* NULL is written as "" */
    int64_t number;
    double real;
};

static inline struct log_field log_text(const char *name, const char *text) {
    return (struct log_field){.name = name, .kind = LOG_FIELD_TEXT, .text = text};
}
static inline struct log_field log_int(const char *name, int64_t number) {
    return (struct log_field){.name = name, .kind = LOG_FIELD_INT, .number = number};
}
static inline struct log_field log_real(const char *name, double real) {
    return (struct log_field){.name = name, .kind = LOG_FIELD_REAL, .real = real};
}

struct log;

/* fd: usually STDERR_FILENO; it stays the caller's. `clock` gives stamps and intervals: a real one
 * outside tests, also in a drill. Lines above `level` are not written. ERR_MEMORY. */
int log_create(int fd, enum log_level level, const struct clock *clock, struct log **ret_log);
/* Tells what is still counted. NULL is fine; returns NULL. */
struct log *log_destroy(struct log *log);

/* `event`: what happened, snake_case; `key`: to whom (station, endpoint, file), may be "". `fields`
 * ends with a nameless one. log may be NULL: nothing happens. */
void log_write(struct log *log, enum log_level level, const char *event, const char *key,
               const struct log_field *fields);
/* log_event(log, LOG_LEVEL_INFO, "started", "", log_text("version", v), log_int("stations", n)) */
#define log_event(log, level, event, ...)                                                          \
    log_event_(log, level, event, __VA_ARGS__, (struct log_field){.name = NULL})
#define log_event_(log, level, event, key, ...)                                                    \
    log_write(log, level, event, key, (const struct log_field[]){__VA_ARGS__})

/* Tells repeats whose interval is over. Call about once a second. */
void log_tick(struct log *log);

/* "error", "warning", "info", "debug". ERR_NOT_FOUND. */
int log_level_parse(const char *name, enum log_level *ret_level);

#endif
