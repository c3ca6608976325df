#include "daemon/worker.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STDERR_KEPT = 1024, OUTPUT_START = 64 << 10, STATUS_REFUSED = 3 };

struct worker {
    struct worker_options options; /* argv and cwd are not kept */
    struct loop_process *process;
    struct loop_stream *out, *err;
    struct loop_timer deadline;
    struct mono_us started;
    bool exited, out_ended, err_ended;
    int64_t exit_status;
    int term_signal;
    const char *killed; /* why we killed it; NULL: we did not */
    char *output;       /* [output_room] */
    size_t output_length, output_room;
    char stderr_tail[STDERR_KEPT + 1];
    size_t stderr_length;
    char stderr_chunk[256];
    char text[WORKER_TEXT_SIZE];
};

/* The last line that it wrote to stderr, as one line of text. */
static const char *last_words(struct worker *worker) {
    char *text = worker->stderr_tail;
    size_t length = worker->stderr_length;
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' ')) {
        length--;
    }
    text[length] = '\0';
    char *line = strrchr(text, '\n');
    line = line != NULL ? line + 1 : text;
    for (char *at = line; *at != '\0'; at++) {
        *at = (unsigned char)*at < 0x20 || *at == 0x7f ? '?' : *at;
    }
    return line[0] != '\0' ? line : "no reason given";
}

static void finish_when_over(struct worker *worker) {
    if (!worker->exited || !worker->out_ended || !worker->err_ended) {
        return;
    }
    struct worker_outcome outcome = {.end = WORKER_FAILED,
                                     .text = worker->text,
                                     .output = worker->output,
                                     .output_length = worker->output_length,
                                     .run_us = clock_wire(loop_clock(worker->options.loop)).us -
                                               worker->started.us};
    loop_timer_stop(&worker->deadline);
    if (worker->killed != NULL) {
        outcome.text = worker->killed;
    } else if (worker->term_signal != 0) {
        (void)snprintf(worker->text, sizeof worker->text, "worker died of signal %d",
                       worker->term_signal);
    } else if (worker->exit_status == 0) {
        outcome.end = WORKER_DONE;
        outcome.text = "";
    } else if (worker->exit_status == STATUS_REFUSED) { /* MODEL_REFUSED of models/model.h */
        outcome.end = WORKER_REFUSED;
        outcome.text = last_words(worker);
    } else {
        (void)snprintf(worker->text, sizeof worker->text,
                       "worker ended with status %" PRId64 ": %s", worker->exit_status,
                       last_words(worker));
    }
    worker->options.on_end(worker->options.ctx, &outcome);
}

void worker_kill(struct worker *worker, const char *why) {
    if (worker->killed == NULL) {
        worker->killed = why;
        (void)loop_process_kill(worker->process, SIGKILL); /* gone already: its exit comes */
    }
}

/* ---- callbacks ---- */

static void on_exit_of(void *ctx, int64_t exit_status, int term_signal) {
    struct worker *worker = ctx;
    worker->exited = true;
    worker->exit_status = exit_status;
    worker->term_signal = term_signal;
    finish_when_over(worker);
}

static void on_deadline(void *ctx) {
    worker_kill(ctx, "worker passed its deadline and was killed");
}

static void on_out(void *ctx, size_t length) {
    struct worker *worker = ctx;
    worker->output_length += length;
    if (worker->output_length == worker->output_room) {
        size_t room = 2 * worker->output_room;
        char *more = room <= WORKER_OUTPUT_MAX ? realloc(worker->output, room) : NULL;
        if (more == NULL) {
            worker_kill(worker, "worker printed too much and was killed");
            worker->output_length = 0; /* the rest is read only to see the end */
        } else {
            worker->output = more;
            worker->output_room = room;
        }
    }
    loop_stream_set_buffer(worker->out, worker->output + worker->output_length,
                           worker->output_room - worker->output_length);
}

static void on_out_end(void *ctx, int code) {
    struct worker *worker = ctx;
    (void)code; /* a broken pipe leaves half a JSON text, which is refused */
    worker->out_ended = true;
    finish_when_over(worker);
}

static void on_err(void *ctx, size_t length) {
    struct worker *worker = ctx;
    if (worker->stderr_length + length > STDERR_KEPT) {
        size_t drop = worker->stderr_length + length - STDERR_KEPT;
        memmove(worker->stderr_tail, worker->stderr_tail + drop, worker->stderr_length - drop);
        worker->stderr_length -= drop;
    }
    memcpy(worker->stderr_tail + worker->stderr_length, worker->stderr_chunk, length);
    worker->stderr_length += length;
}

static void on_err_end(void *ctx, int code) {
    struct worker *worker = ctx;
    (void)code; /* only words for a person */
    worker->err_ended = true;
    finish_when_over(worker);
}

static const struct loop_stream_events out_events = {.on_read = on_out, .on_end = on_out_end};
static const struct loop_stream_events err_events = {.on_read = on_err, .on_end = on_err_end};

/* ---- construction ---- */

static int spawn(struct worker *worker, struct err *ret_err) {
    /* Nothing of the daemon's environment: it may hold secrets, and it must not change numbers. */
    static const char *const environment[] = {"LC_ALL=C",           "TZ=UTC",
                                              "NCRCENV_IGNORE=1",   "PROJ_NETWORK=OFF",
                                              "OMP_NUM_THREADS=1",  "OPENBLAS_NUM_THREADS=1",
                                              "PATH=/usr/bin:/bin", NULL};
    const struct loop_spawn options = {
        .file = worker->options.program,
        .argv = worker->options.argv,
        .env = environment,
        .cwd = worker->options.cwd,
        .stdio = {{.kind = LOOP_STDIO_NULL}, {.kind = LOOP_STDIO_PIPE}, {.kind = LOOP_STDIO_PIPE}},
        .on_exit = on_exit_of,
        .ctx = worker,
    };
    struct loop_stream *pipes[3] = {NULL};
    int result = loop_spawn(worker->options.loop, &options, &worker->process, pipes);
    if (result != 0) {
        return err_set(ret_err, result, "cannot start %.200s: %s", worker->options.program,
                       err_name(result));
    }
    worker->out = pipes[1];
    worker->err = pipes[2];
    loop_stream_set_events(worker->out, &out_events, worker);
    loop_stream_set_events(worker->err, &err_events, worker);
    loop_stream_set_buffer(worker->out, worker->output, worker->output_room);
    loop_stream_set_buffer(worker->err, worker->stderr_chunk, sizeof worker->stderr_chunk);
    loop_timer_start_in(&worker->deadline, worker->options.deadline_us);
    return 0;
}

int worker_start(const struct worker_options *options, struct worker **ret_worker,
                 struct err *ret_err) {
    struct worker *worker = calloc(1, sizeof *worker);
    char *output = malloc(OUTPUT_START);
    if (worker == NULL || output == NULL) {
        free(worker);
        free(output);
        return err_set(ret_err, ERR_MEMORY, "no memory to start a worker");
    }
    worker->options = *options;
    worker->output = output;
    worker->output_room = OUTPUT_START;
    worker->started = clock_wire(loop_clock(options->loop));
    int result = loop_timer_init(options->loop, LOOP_WIRE, on_deadline, worker, &worker->deadline);
    result = result == 0 ? spawn(worker, ret_err)
                         : err_set(ret_err, result, "no memory to start a worker");
    worker->options.argv = NULL;
    worker->options.cwd = NULL;
    if (result != 0) {
        (void)worker_destroy(worker);
        return result;
    }
    *ret_worker = worker;
    return 0;
}

struct worker *worker_destroy(struct worker *worker) {
    if (worker != NULL) {
        loop_timer_finish(&worker->deadline);
        (void)loop_process_destroy(worker->process); /* kills it */
        (void)loop_stream_close(worker->out);
        (void)loop_stream_close(worker->err);
        free(worker->output);
        free(worker);
    }
    return NULL;
}
