/* Modbus RTU on serial lines: one thread a line, because a line is a blocking bus by nature. The
 * thread only asks (bus.h); all decisions are the loop's, which it wakes through an eventfd.
 *
 * A port that cannot be opened is followed by a pause that doubles; a port that was lost is opened
 * again for the next request. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/base/ids.h"
#include "drivers/modbus/blocks.h"
#include "drivers/modbus/bus.h"

struct modbus_serial_line {
    struct modbus_blocks blocks; /* first: see blocks.h */
    struct loop_timer timer;     /* end of a pause */
    struct loop_watch *watch;
    uint32_t level; /* of the back-off */
    uint64_t random;
    int done_fd; /* the thread tells the loop */
    int stop_fd; /* the loop tells the thread */
    bool has_locks, has_thread;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct modbus_bus *bus; /* the thread's */
    /* under the lock */
    bool asked, done, stopping;
    struct modbus_request request;
    struct modbus_bus_answer answer;
};

static void *run(void *ctx) {
    struct modbus_serial_line *line = ctx;
    const uint64_t one = 1;
    (void)pthread_mutex_lock(&line->lock);
    while (!line->stopping) {
        if (!line->asked) {
            (void)pthread_cond_wait(&line->wake, &line->lock);
            continue;
        }
        struct modbus_request request = line->request;
        line->asked = false;
        (void)pthread_mutex_unlock(&line->lock);
        /* The loop does not look at the answer before it is told. */
        modbus_bus_ask(line->bus, &request, &line->answer);
        (void)pthread_mutex_lock(&line->lock);
        line->done = true;
        (void)!write(line->done_fd, &one, sizeof(one)); /* a counter of at most one: always fits */
    }
    (void)pthread_mutex_unlock(&line->lock);
    return NULL;
}

static void pause_line(struct modbus_serial_line *line) {
    const struct modbus_endpoint_config *config = line->blocks.config;
    loop_timer_start_in(&line->timer,
                        line_backoff_us(config->reconnect_min_us, config->reconnect_max_us,
                                        line->level, &line->random));
    line->level++;
    modbus_blocks_enter(&line->blocks, ENDPOINT_PAUSED);
}

static void on_pause_over(void *ctx) {
    struct modbus_serial_line *line = ctx;
    modbus_blocks_enter(&line->blocks, ENDPOINT_IDLE);
}

/* Hands the answer to the scheduler in its words, and counts. */
static void tell(struct modbus_serial_line *line, const struct modbus_bus_answer *answer) {
    struct endpoint_stats *stats = line->blocks.stats;
    struct line_answer told = {.status = READING_OK, .round_trip_us = answer->round_trip_us};
    switch (answer->code) {
    case 0:
        told.exception = answer->reply.exception;
        told.status = told.exception != 0 ? READING_EXCEPTION : READING_OK;
        told.unit_alive = !modbus_exception_is_failure(told.exception);
        if (told.exception != 0) {
            modbus_blocks_why(&line->blocks, "exception", modbus_exception_name(told.exception));
        }
        line->blocks.data = answer->reply.data;
        break;
    case ERR_TIMEOUT:
        told.status = READING_TIMEOUT;
        break;
    case ERR_CORRUPT:
        stats->bad_replies++;
        told.status = READING_BAD_REPLY;
        break;
    default:
        stats->lost += answer->sent;
        stats->connect_failures += !answer->opened && !answer->sent;
        told.status = READING_NO_CONNECTION;
        told.unit_alive = true; /* says nothing about the unit */
        break;
    }
    endpoint_answer(line->blocks.endpoint, &told);
    line->blocks.data = NULL;
}

static void on_done(void *ctx, int fd) {
    struct modbus_serial_line *line = ctx;
    struct endpoint_stats *stats = line->blocks.stats;
    uint64_t count;
    (void)!read(fd, &count, sizeof(count)); /* only takes the wake-up off; `done` says it all */
    (void)pthread_mutex_lock(&line->lock);
    bool done = line->done;
    line->done = false;
    (void)pthread_mutex_unlock(&line->lock);
    if (!done) {
        return;
    }
    const struct modbus_bus_answer *answer = &line->answer; /* ours until the next request */
    stats->connects += answer->opened;
    stats->polls += answer->sent;
    stats->foreign_replies += answer->foreign;
    if (answer->why[0] != '\0') {
        modbus_blocks_why(&line->blocks, answer->why, "");
    }
    if (answer->code == ERR_CLOSED && !answer->sent) {
        pause_line(line);
    } else {
        line->level = answer->code == 0 ? 0 : line->level;
        modbus_blocks_enter(&line->blocks, answer->is_open ? ENDPOINT_CONNECTED : ENDPOINT_IDLE);
    }
    tell(line, answer);
    endpoint_ready(line->blocks.endpoint);
}

static int serial_request(void *ctx, uint32_t block) {
    struct modbus_serial_line *line = ctx;
    if (line->blocks.stats->state == ENDPOINT_PAUSED) {
        return ERR_CLOSED;
    }
    if (line->blocks.stats->state == ENDPOINT_IDLE) {
        modbus_blocks_enter(&line->blocks, ENDPOINT_CONNECTING);
    }
    (void)pthread_mutex_lock(&line->lock);
    line->request = modbus_blocks_request(&line->blocks, block);
    line->asked = true;
    (void)pthread_cond_signal(&line->wake);
    (void)pthread_mutex_unlock(&line->lock);
    return 0;
}

/* After a timeout the unit's late answer is waited for, two timeouts long: see bus.h. */
static int64_t serial_aside_cost_us(const void *ctx) {
    const struct modbus_serial_line *line = ctx;
    const struct modbus_endpoint_config *config = line->blocks.config;
    return 3 * config->request_timeout_us + config->request_pause_us +
           modbus_bus_silent_us(&config->serial);
}

static void serial_close(void *ctx) {
    struct modbus_serial_line *line = ctx;
    const uint64_t one = 1;
    if (line == NULL) {
        return;
    }
    if (line->has_thread) {
        (void)pthread_mutex_lock(&line->lock);
        line->stopping = true;
        (void)pthread_cond_signal(&line->wake);
        (void)pthread_mutex_unlock(&line->lock);
        (void)!write(line->stop_fd, &one, sizeof(one)); /* an empty counter: always fits */
        (void)pthread_join(line->thread, NULL);
    }
    line->watch = loop_watch_close(line->watch);
    if (line->has_locks) {
        (void)pthread_cond_destroy(&line->wake);
        (void)pthread_mutex_destroy(&line->lock);
    }
    line->bus = modbus_bus_destroy(line->bus);
    if (line->done_fd >= 0) {
        (void)close(line->done_fd);
    }
    if (line->stop_fd >= 0) {
        (void)close(line->stop_fd);
    }
    loop_timer_finish(&line->timer);
    modbus_blocks_finish(&line->blocks);
    free(line);
}

/* Signals are the main thread's. */
static int start_thread(struct modbus_serial_line *line) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(&line->thread, NULL, run, line);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    line->has_thread = problem == 0;
    return problem == 0 ? 0 : ERR_LIMIT;
}

static int start_line(struct modbus_serial_line *line) {
    line->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    line->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (line->done_fd < 0 || line->stop_fd < 0) {
        return ERR_LIMIT;
    }
    if (pthread_mutex_init(&line->lock, NULL) != 0) {
        return ERR_MEMORY;
    }
    (void)pthread_cond_init(&line->wake, NULL); /* cannot fail with glibc */
    line->has_locks = true;
    int result = modbus_bus_create(line->blocks.config, line->stop_fd, &line->bus);
    result = result < 0
                 ? result
                 : loop_watch_fd(line->blocks.loop, line->done_fd, on_done, line, &line->watch);
    return result < 0 ? result : start_thread(line);
}

static int serial_open(struct loop *loop, const void *config, struct endpoint *endpoint,
                       struct endpoint_stats *stats, struct line_policy *ret_policy,
                       void **ret_line) {
    const struct modbus_endpoint_config *endpoint_config = config;
    struct modbus_serial_line *line = calloc(1, sizeof(*line));
    if (line == NULL) {
        return ERR_MEMORY;
    }
    line->done_fd = line->stop_fd = -1;
    line->random = hash_spread(endpoint_config->id) | 1;
    int result =
        modbus_blocks_init(loop, endpoint_config, endpoint, stats, &line->blocks, ret_policy);
    if (result == 0) {
        result = loop_timer_init(loop, LOOP_WIRE, on_pause_over, line, &line->timer);
    }
    if (result == 0) {
        result = start_line(line);
    }
    if (result < 0) {
        serial_close(line);
        return result;
    }
    *ret_line = line;
    return 0;
}

const struct driver modbus_serial_driver = {
    .name = "modbus-serial",
    .open = serial_open,
    .block = modbus_blocks_block,
    .point = modbus_blocks_point,
    .request = serial_request,
    .set_aside = modbus_blocks_set_aside,
    .aside_data = modbus_blocks_aside_data,
    .aside_cost_us = serial_aside_cost_us,
    .decode = modbus_blocks_decode,
    .cut = modbus_blocks_cut,
    .rejoin = modbus_blocks_rejoin,
    .rebind = modbus_blocks_rebind,
    .close = serial_close,
};
