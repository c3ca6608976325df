/* The log: one line an event, on standard error.
 *
 *   2025-11-19T06:00:00.123Z warning station-unreachable subject=thanh-hoa text="no value for 900
 * s"
 *
 * Under systemd (JOURNAL_STREAM names standard error) the time is left out and the level is the
 * sd-daemon(3) prefix. Repeats of the same event and subject within a minute are not written but
 * counted: the next line that is written carries repeated=N. At most LOG_LINES_MAX lines a second;
 * what is beyond is counted too. Never blocks: a line that standard error cannot take at once is
 * dropped and counted.
 *
 * Only the daemon's own layers log; libraries return errors. Thread rule: loop thread only. */
#ifndef CANHBAO_BASE_LOG_H
#define CANHBAO_BASE_LOG_H

#include <stdint.h>

#include "daemon/base/clock.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO };

enum { LOG_LINES_MAX = 50, LOG_REPEATS_MAX = 256, LOG_REPEAT_US = 60000000 };

struct log;

/* `fd` is where lines go (2 in production). Lines above `level` are left out. */
int log_create(const struct clock *clock, int fd, enum log_level level, struct log **ret_log);
struct log *log_destroy(struct log *log);

/* event: [a-z0-9-]; subject: what it is about, NULL for nothing. log NULL: does nothing. */
__attribute__((format(printf, 5, 6))) void log_event(struct log *log, enum log_level level,
                                                     const char *event, const char *subject,
                                                     const char *format, ...);

/* Lines that were not written: repeats, beyond the rate, or the other side did not read. */
uint64_t log_suppressed(const struct log *log);

#endif
