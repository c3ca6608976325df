#include "daemon/base/log.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/ids.h"
#include "daemon/base/text.h"

enum { NAME_SIZE = 64, PROBES = 8 };

struct repeat {
    uint64_t hash; /* of event and key; 0: free */
    char event[NAME_SIZE], key[NAME_SIZE];
    enum log_level level;
    int64_t since_us; /* when its line was written */
    uint64_t count;   /* swallowed since */
};

struct log {
    int fd;
    bool is_journal;
    bool is_socket;
    enum log_level level;
    const struct clock *clock;
    pthread_mutex_t lock;
    int64_t tokens_us; /* each line costs 1/LOG_RATE_PER_S of a second */
    int64_t tokens_at_us;
    uint64_t dropped;
    struct repeat repeats[LOG_REPEAT_SLOTS];
};

static const int64_t line_cost_us = 1000000 / LOG_RATE_PER_S;

struct line {
    char text[LOG_LINE_MAX];
    size_t length;
    bool cut;
};

static void put(struct line *line, const char *text, size_t length) {
    /* Room for "...\n" stays free. */
    size_t room = sizeof(line->text) - 4 - line->length;
    if (length > room) {
        length = room;
        line->cut = true;
    }
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

static void put_text(struct line *line, const char *text) {
    put(line, text, strlen(text));
}

static bool needs_quotes(const char *value) {
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F) {
            return true;
        }
    }
    return value[0] == '\0';
}

static void put_value(struct line *line, const char *value) {
    if (!needs_quotes(value)) {
        put_text(line, value);
        return;
    }
    put_text(line, "\"");
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\') {
            put(line, "\\", 1);
            put(line, at, 1);
        } else if (c < ' ' || c == 0x7F) {
            char escaped[8];
            int length = snprintf(escaped, sizeof(escaped), "\\x%02x", c);
            put(line, escaped, (size_t)length);
        } else {
            put(line, at, 1);
        }
    }
    put_text(line, "\"");
}

static void put_field(struct line *line, const struct log_field *field) {
    char number[40];
    put_text(line, " ");
    put_text(line, field->name);
    put_text(line, "=");
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        put_value(line, field->text != NULL ? field->text : "");
        break;
    case LOG_FIELD_INT:
        (void)snprintf(number, sizeof(number), "%" PRId64, field->number);
        put_text(line, number);
        break;
    case LOG_FIELD_REAL:
        (void)text_format_double(field->real, number, sizeof(number));
        put_text(line, number);
        break;
    }
}

static const char *level_name(enum log_level level) {
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "unknown";
}

/* False when the line could not be written without waiting. */
static bool write_line(const struct log *log, const struct line *line) {
    if (log->is_socket) {
        return send(log->fd, line->text, line->length, MSG_DONTWAIT | MSG_NOSIGNAL) ==
               (ssize_t)line->length;
    }
    /* A pipe that is writable takes PIPE_BUF bytes at once, more than a line has; a file always
     * does. The mode of the descriptor is left alone: it may be shared with other programs. */
    struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0 &&
           write(log->fd, line->text, line->length) == (ssize_t)line->length;
}

static void compose(const struct log *log, enum log_level level, const char *event, const char *key,
                    const struct log_field *fields, struct line *ret_line) {
    char head[48];
    ret_line->length = 0;
    ret_line->cut = false;
    if (log->is_journal) {
        (void)snprintf(head, sizeof(head), "<%d>", (int)level);
        put_text(ret_line, head);
    } else {
        text_format_time(clock_now(log->clock).utc.us / 1000000 * 1000000, head, sizeof(head));
        put_text(ret_line, head);
        put_text(ret_line, " ");
    }
    put_text(ret_line, "level=");
    put_text(ret_line, level_name(level));
    put_text(ret_line, " event=");
    put_value(ret_line, event);
    if (key[0] != '\0') {
        put_text(ret_line, " key=");
        put_value(ret_line, key);
    }
    for (; fields->name != NULL; fields++) {
        put_field(ret_line, fields);
    }
    if (ret_line->cut) {
        memcpy(ret_line->text + ret_line->length, "...", 3);
        ret_line->length += 3;
    }
    ret_line->text[ret_line->length++] = '\n';
}

/* Takes one line's worth from the allowance. */
static bool take_token(struct log *log) {
    int64_t now = clock_wire(log->clock).us;
    log->tokens_us += now - log->tokens_at_us;
    log->tokens_at_us = now;
    if (log->tokens_us > LOG_BURST * line_cost_us) {
        log->tokens_us = LOG_BURST * line_cost_us;
    }
    if (log->tokens_us < line_cost_us) {
        return false;
    }
    log->tokens_us -= line_cost_us;
    return true;
}

static bool emit(struct log *log, enum log_level level, const char *event, const char *key,
                 const struct log_field *fields) {
    struct line line;
    if (!take_token(log)) {
        log->dropped++;
        return false;
    }
    compose(log, level, event, key, fields, &line);
    if (!write_line(log, &line)) {
        log->dropped++;
        return false;
    }
    return true;
}

static void tell_dropped(struct log *log) {
    if (log->dropped == 0) {
        return;
    }
    uint64_t dropped = log->dropped;
    const struct log_field fields[] = {log_int("count", (int64_t)dropped), {.name = NULL}};
    if (emit(log, LOG_LEVEL_WARNING, "log_dropped", "", fields)) {
        log->dropped -= dropped;
    } else {
        log->dropped--; /* the failed notice itself is no lost event */
    }
}

/* Tells what a slot has swallowed and frees it. */
static void close_repeat(struct log *log, struct repeat *repeat) {
    if (repeat->hash != 0 && repeat->count > 0) {
        const struct log_field fields[] = {log_int("repeated", (int64_t)repeat->count),
                                           {.name = NULL}};
        (void)emit(log, repeat->level, repeat->event, repeat->key, fields);
    }
    repeat->hash = 0;
}

/* The slot of an (event, key); a new one has count 0 and hash 0. */
static struct repeat *find_repeat(struct log *log, uint64_t hash) {
    struct repeat *oldest = NULL;
    for (uint64_t i = 0; i < PROBES; i++) {
        struct repeat *repeat = &log->repeats[(hash + i) % LOG_REPEAT_SLOTS];
        if (repeat->hash == hash) {
            return repeat;
        }
        if (oldest == NULL ||
            (oldest->hash != 0 && (repeat->hash == 0 || repeat->since_us < oldest->since_us))) {
            oldest = repeat;
        }
    }
    close_repeat(log, oldest);
    return oldest;
}

static uint64_t hash_of(const char *event, const char *key) {
    uint64_t hash = hash_spread(event) * 31 ^ hash_spread(key);
    return hash == 0 ? 1 : hash;
}

void log_write(struct log *log, enum log_level level, const char *event, const char *key,
               const struct log_field *fields) {
    if (log == NULL || level > log->level) {
        return;
    }
    uint64_t hash = hash_of(event, key);
    (void)pthread_mutex_lock(&log->lock); /* cannot fail for a plain mutex */
    int64_t now = clock_wire(log->clock).us;
    struct repeat *repeat = find_repeat(log, hash);
    if (repeat->hash == hash && now - repeat->since_us < LOG_REPEAT_US) {
        repeat->count++;
    } else {
        close_repeat(log, repeat);
        tell_dropped(log);
        *repeat = (struct repeat){.hash = hash, .level = level, .since_us = now};
        /* Names that are too long are only cut in the line about repeats. */
        (void)snprintf(repeat->event, sizeof(repeat->event), "%s", event);
        (void)snprintf(repeat->key, sizeof(repeat->key), "%s", key);
        (void)emit(log, level, event, key, fields);
    }
    (void)pthread_mutex_unlock(&log->lock);
}

static void tell_repeats(struct log *log, int64_t older_us) {
    int64_t now = clock_wire(log->clock).us;
    (void)pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < LOG_REPEAT_SLOTS; i++) {
        if (log->repeats[i].hash != 0 && now - log->repeats[i].since_us >= older_us) {
            close_repeat(log, &log->repeats[i]);
        }
    }
    tell_dropped(log);
    (void)pthread_mutex_unlock(&log->lock);
}

void log_tick(struct log *log) {
    if (log != NULL) {
        tell_repeats(log, LOG_REPEAT_US);
    }
}

static bool journal_behind(const struct stat *status) {
    const char *stream = getenv("JOURNAL_STREAM");
    char mine[64];
    (void)snprintf(mine, sizeof(mine), "%ju:%ju", (uintmax_t)status->st_dev,
                   (uintmax_t)status->st_ino);
    return stream != NULL && strcmp(stream, mine) == 0;
}

int log_create(int fd, enum log_level level, const struct clock *clock, struct log **ret_log) {
    struct stat status;
    struct log *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        return ERR_MEMORY;
    }
    log->fd = fd;
    log->level = level;
    log->clock = clock;
    log->tokens_us = LOG_BURST * line_cost_us;
    log->tokens_at_us = clock_wire(clock).us;
    if (fstat(fd, &status) == 0) {
        log->is_journal = journal_behind(&status);
        log->is_socket = S_ISSOCK(status.st_mode);
    }
    (void)pthread_mutex_init(&log->lock, NULL); /* cannot fail with default attributes */
    *ret_log = log;
    return 0;
}

struct log *log_destroy(struct log *log) {
    if (log != NULL) {
        tell_repeats(log, 0);
        (void)pthread_mutex_destroy(&log->lock);
        free(log);
    }
    return NULL;
}

int log_level_parse(const char *name, enum log_level *ret_level) {
    static const enum log_level levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO,
                                            LOG_LEVEL_DEBUG};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(name, level_name(levels[i])) == 0) {
            *ret_level = levels[i];
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}
