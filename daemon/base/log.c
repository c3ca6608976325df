#include "daemon/base/log.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/err.h"
#include "daemon/base/ids.h"
#include "daemon/base/text.h"

enum {
    LINE_SIZE = 1024,
    TEXT_SIZE = 768
}; /* below PIPE_BUF: a line is written whole or not at all */

struct repeat {
    uint64_t key; /* of event and subject */
    int64_t written_us;
    uint64_t count; /* since then */
};

struct log {
    const struct clock *clock;
    int fd;
    enum log_level level;
    bool journal;
    struct repeat
        repeats[LOG_REPEATS_MAX]; /* by key, the place is key % size: a collision forgets */
    int64_t second;               /* wire time in seconds of the running rate window */
    unsigned lines;               /* in that second */
    uint64_t suppressed;
};

static bool is_journal(int fd) {
    const char *named = getenv("JOURNAL_STREAM");
    struct stat status;
    uintmax_t device;
    uintmax_t inode;
    return named != NULL && fstat(fd, &status) == 0 &&
           sscanf(named, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) == 2 &&
           device == status.st_dev && inode == status.st_ino;
}

int log_create(const struct clock *clock, int fd, enum log_level level, struct log **ret_log) {
    struct log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return ERR_MEMORY;
    }
    log->clock = clock;
    log->fd = fd;
    log->level = level;
    log->journal = is_journal(fd);
    *ret_log = log;
    return 0;
}

struct log *log_destroy(struct log *log) {
    free(log);
    return NULL;
}

uint64_t log_suppressed(const struct log *log) {
    return log->suppressed;
}

/* Returns how often the event was held back since it was written last, or -1 to hold it back now.
 */
static int64_t admit(struct log *log, const char *event, const char *subject) {
    char name[256];
    int64_t now_us = clock_wire(log->clock).us;
    (void)snprintf(name, sizeof name, "%s %s", event,
                   subject != NULL ? subject : ""); /* cut is fine */
    uint64_t key = hash_spread(name);
    struct repeat *repeat = &log->repeats[key % LOG_REPEATS_MAX];
    if (repeat->key == key && now_us - repeat->written_us < LOG_REPEAT_US) {
        repeat->count++;
        log->suppressed++;
        return -1;
    }
    if (now_us / 1000000 != log->second) {
        log->second = now_us / 1000000;
        log->lines = 0;
    }
    if (++log->lines > LOG_LINES_MAX) {
        log->suppressed++;
        return -1;
    }
    int64_t repeated = repeat->key == key ? (int64_t)repeat->count : 0;
    *repeat = (struct repeat){.key = key, .written_us = now_us};
    return repeated;
}

/* Keeps a line a line, and what is quoted quoted. */
static void clean(char *text) {
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            *at = ' ';
        } else if (*at == '"') {
            *at = '\'';
        }
    }
}

static void append(char *line, size_t *length, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void append(char *line, size_t *length, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(line + *length, LINE_SIZE - 1 - *length, format, arguments);
    va_end(arguments);
    if (count > 0) {
        *length += (size_t)count;
    }
    if (*length > LINE_SIZE - 2) { /* cut; room for the line break stays */
        *length = LINE_SIZE - 2;
    }
}

void log_event(struct log *log, enum log_level level, const char *event, const char *subject,
               const char *format, ...) {
    static const char *const names[] = {"error", "warning", "notice", "info"};
    static const int priorities[] = {3, 4, 5, 6}; /* sd-daemon(3) */
    char line[LINE_SIZE];
    char text[TEXT_SIZE];
    size_t length = 0;
    int64_t repeated;
    if (log == NULL || level > log->level || (repeated = admit(log, event, subject)) < 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* cut is fine */
    va_end(arguments);
    clean(text);
    if (log->journal) {
        append(line, &length, "<%d>", priorities[level]);
    } else {
        char time[32];
        text_format_time(clock_now(log->clock).utc.us / 1000 * 1000, time, sizeof time);
        append(line, &length, "%s ", time);
    }
    append(line, &length, "%s %s", names[level], event);
    if (subject != NULL) {
        append(line, &length, " subject=%s", subject);
    }
    append(line, &length, " text=\"%s\"", text);
    if (repeated > 0) {
        append(line, &length, " repeated=%" PRId64, repeated);
    }
    line[length++] = '\n';
    struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0 ||
        write(log->fd, line, length) != (ssize_t)length) {
        log->suppressed++;
    }
}
