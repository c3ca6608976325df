#include "daemon/jobs.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/inbox.h"
#include "daemon/job_output.h"

enum {
    STDERR_KEPT = 1024,
    OUTPUT_START = 64 << 10,
    RESCAN_US = 2000000, /* the kernel's watch is only a hint */
    RETAIN_EVERY = 30,   /* rescans between two looks at what is kept */
    WAITING_MAX = 256,
    FIXED_ARGUMENTS = 32,
    ARGUMENT_SIZE = 64,
};

const struct jobs_product jobs_product_default = {
    .model = "areal",
    .min_coverage = 0.8,
    .deadline_us = 60000000,
    .stale_after_us = INT64_C(1200000000),
    .future_tolerance_us = 60000000, /* the engine believes no more either */
    .memory_mb = 2048,
    .file_bytes_max = 256 << 20,
    .waiting_max = 16,
    .history_max = 400,
    .keep_max = 1000,
    .keep_age_s = 7 * 86400,
};

/* One product and the worker it may have. */
struct job {
    struct jobs *jobs;
    const struct jobs_product *product;
    struct loop_watch *watch;
    struct loop_timer rescan;
    struct loop_timer deadline;
    struct mono_us good_since; /* reference time of the newest good file, or the start */
    unsigned rescans;
    bool stuck; /* a file could not be moved: nothing before the next rescan */
    struct jobs_counters counters;

    /* the run */
    struct loop_process *process;
    struct loop_stream *out;
    struct loop_stream *err;
    bool exited, out_ended, err_ended;
    int64_t exit_status;
    int term_signal;
    const char *killed; /* why we killed it; NULL: we did not */
    char name[INBOX_NAME_SIZE];
    struct mono_us started;
    struct utc_us newest;
    char *output; /* [output_room] */
    size_t output_length, output_room;
    char stderr_tail[STDERR_KEPT + 1];
    size_t stderr_length;
    char stderr_chunk[256];
};

struct jobs {
    struct jobs_options options;
    struct job *jobs;
};

static void look(struct job *job);

static void raise_condition(struct job *job, enum condition_class class, const char *text) {
    job->jobs->options.on_condition(job->jobs->options.ctx, class, job->product->name, true, text);
}

static void clear_condition(struct job *job, enum condition_class class) {
    job->jobs->options.on_condition(job->jobs->options.ctx, class, job->product->name, false, "");
}

static struct clock *clock_of(const struct job *job) {
    return loop_clock(job->jobs->options.loop);
}

/* ---- the end of a file ---- */

static void reject(struct job *job, const char *name, enum condition_class class,
                   const char *reason) {
    char text[CONDITION_TEXT_SIZE];
    struct err err = {.code = 0};
    job->counters.quarantined++;
    if (inbox_quarantine(job->product->folder, name, reason, &err) != 0) {
        job->stuck = true;
        (void)snprintf(text, sizeof text, "%.60s: %.90s; not moved: %.80s", name, reason, err.text);
    } else {
        (void)snprintf(text, sizeof text, "%.60s: %.180s", name, reason);
    }
    raise_condition(job, class, text);
}

/* A good file with old data is a good file, but no fresh one: what counts is the time it speaks of.
 */
static void note_good(struct job *job, struct utc_us reference_time) {
    struct moment now = clock_now(clock_of(job));
    int64_t age_us = now.utc.us - reference_time.us;
    int64_t since_us = now.mono.us - (age_us > 0 ? age_us : 0);
    job->good_since.us = since_us > job->good_since.us ? since_us : job->good_since.us;
    if (now.mono.us - job->good_since.us <= job->product->stale_after_us) {
        clear_condition(job, CONDITION_GRID_STALE);
    }
}

static void accept(struct job *job) {
    struct model_result *results = NULL;
    size_t count = 0;
    struct err err = {.code = 0};
    int result = job_output_parse(job->output, job->output_length, job->product->model,
                                  job->product->name, job->newest, &results, &count, &err);
    if (result == 0) {
        /* Moved first: were the move to fail after the results, the next look would hand the same
         * results on again. */
        result = inbox_done(job->product->folder, job->name, &err);
    }
    if (result != 0) {
        free(results);
        reject(job, job->name, CONDITION_WORKER_FAILED, err.text);
        return;
    }
    job->counters.done++;
    note_good(job, results[0].reference_time); /* there is one at least, and all have the same */
    clear_condition(job, CONDITION_GRID_REJECTED);
    clear_condition(job, CONDITION_WORKER_FAILED);
    job->jobs->options.on_results(job->jobs->options.ctx, results, count);
    free(results);
}

/* The last line that the worker wrote to stderr, as one line of text. */
static const char *last_words(struct job *job) {
    char *text = job->stderr_tail;
    size_t length = job->stderr_length;
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

static void finish_run(struct job *job) {
    char text[STDERR_KEPT + 128];
    loop_timer_stop(&job->deadline);
    job->process = loop_process_destroy(job->process);
    job->out = loop_stream_close(job->out);
    job->err = loop_stream_close(job->err);
    job->counters.running = false;
    job->counters.run_us_last = clock_wire(clock_of(job)).us - job->started.us;
    if (job->killed != NULL) {
        reject(job, job->name, CONDITION_WORKER_FAILED, job->killed);
    } else if (job->term_signal != 0) {
        (void)snprintf(text, sizeof text, "worker died of signal %d", job->term_signal);
        reject(job, job->name, CONDITION_WORKER_FAILED, text);
    } else if (job->exit_status == 0) {
        accept(job);
    } else if (job->exit_status == 3) { /* MODEL_REFUSED of models/model.h */
        reject(job, job->name, CONDITION_GRID_REJECTED, last_words(job));
    } else {
        (void)snprintf(text, sizeof text, "worker ended with status %" PRId64 ": %s",
                       job->exit_status, last_words(job));
        reject(job, job->name, CONDITION_WORKER_FAILED, text);
    }
    free(job->output);
    job->output = NULL;
    look(job);
}

static void finish_when_over(struct job *job) {
    if (job->exited && job->out_ended && job->err_ended) {
        finish_run(job);
    }
}

static void kill_worker(struct job *job, const char *why) {
    if (job->killed == NULL) {
        job->killed = why;
        (void)loop_process_kill(job->process, SIGKILL); /* gone already: its exit is on the way */
    }
}

/* ---- callbacks of the run ---- */

static void on_exit_of(void *ctx, int64_t exit_status, int term_signal) {
    struct job *job = ctx;
    job->exited = true;
    job->exit_status = exit_status;
    job->term_signal = term_signal;
    finish_when_over(job);
}

static void on_deadline(void *ctx) {
    kill_worker(ctx, "worker passed its deadline and was killed");
}

static void on_out(void *ctx, size_t length) {
    struct job *job = ctx;
    job->output_length += length;
    if (job->output_length == job->output_room) {
        size_t room = 2 * job->output_room;
        char *more = room <= JOB_OUTPUT_BYTES_MAX ? realloc(job->output, room) : NULL;
        if (more == NULL) {
            kill_worker(job, "worker printed too much and was killed");
            job->output_length = 0; /* the rest is read only to see the end */
        } else {
            job->output = more;
            job->output_room = room;
        }
    }
    loop_stream_set_buffer(job->out, job->output + job->output_length,
                           job->output_room - job->output_length);
}

static void on_out_end(void *ctx, int code) {
    struct job *job = ctx;
    (void)code; /* a broken pipe leaves half a JSON text, which is refused */
    job->out_ended = true;
    finish_when_over(job);
}

static void on_err(void *ctx, size_t length) {
    struct job *job = ctx;
    if (job->stderr_length + length > STDERR_KEPT) {
        size_t drop = job->stderr_length + length - STDERR_KEPT;
        memmove(job->stderr_tail, job->stderr_tail + drop, job->stderr_length - drop);
        job->stderr_length -= drop;
    }
    memcpy(job->stderr_tail + job->stderr_length, job->stderr_chunk, length);
    job->stderr_length += length;
}

static void on_err_end(void *ctx, int code) {
    struct job *job = ctx;
    (void)code; /* only words for a person */
    job->err_ended = true;
    finish_when_over(job);
}

static const struct loop_stream_events out_events = {.on_read = on_out, .on_end = on_out_end};
static const struct loop_stream_events err_events = {.on_read = on_err, .on_end = on_err_end};

/* ---- the start of a run ---- */

/* The command line; texts live in `arguments` and in the product. */
struct arguments {
    const char *list[FIXED_ARGUMENTS + JOBS_ARGUMENTS_MAX + 2 * JOBS_HISTORY_MAX + 1];
    size_t count;
    char input[INBOX_PATH_SIZE];
    char newest[ARGUMENT_SIZE], bytes[ARGUMENT_SIZE], memory[ARGUMENT_SIZE], cpu[ARGUMENT_SIZE],
        coverage[ARGUMENT_SIZE];
    struct inbox_file history[JOBS_HISTORY_MAX];
    char paths[JOBS_HISTORY_MAX][INBOX_PATH_SIZE];
};

static void push(struct arguments *arguments, const char *option, const char *value) {
    arguments->list[arguments->count++] = option;
    if (value != NULL) {
        arguments->list[arguments->count++] = value;
    }
}

static int push_history(const struct jobs_product *product, struct arguments *arguments,
                        struct err *ret_err) {
    char folder[INBOX_PATH_SIZE];
    size_t count = 0;
    size_t all = 0;
    (void)snprintf(folder, sizeof folder, "%s/done", product->folder);
    int result =
        inbox_list(folder, product->history_max, arguments->history, &count, &all, ret_err);
    for (size_t i = 0; i < count && result == 0; i++) {
        int length = snprintf(arguments->paths[i], INBOX_PATH_SIZE, "%s/%s", folder,
                              arguments->history[i].name);
        if (length > 0 && length < INBOX_PATH_SIZE) {
            push(arguments, "--history", arguments->paths[i]);
        }
    }
    return result;
}

static int fill_arguments(struct job *job, struct arguments *arguments, struct err *ret_err) {
    const struct jobs_product *product = job->product;
    (void)snprintf(arguments->input, sizeof arguments->input, "%s/%s", product->folder, job->name);
    text_format_time(job->newest.us, arguments->newest, sizeof arguments->newest);
    (void)snprintf(arguments->bytes, ARGUMENT_SIZE, "%zu", product->file_bytes_max);
    (void)snprintf(arguments->memory, ARGUMENT_SIZE, "%zu", product->memory_mb);
    (void)snprintf(arguments->cpu, ARGUMENT_SIZE, "%" PRId64, product->deadline_us / 1000000 + 1);
    (void)text_format_double(product->min_coverage, arguments->coverage, ARGUMENT_SIZE);
    push(arguments, job->jobs->options.program, "--worker");
    push(arguments, product->model, "--quiet");
    push(arguments, "--in", arguments->input);
    push(arguments, "--areas", product->areas);
    push(arguments, "--product", product->name);
    push(arguments, "--newest", arguments->newest);
    push(arguments, "--min-coverage", arguments->coverage);
    push(arguments, "--max-bytes", arguments->bytes);
    push(arguments, "--memory-mb", arguments->memory);
    push(arguments, "--cpu-s", arguments->cpu);
    for (size_t i = 0; product->arguments != NULL && product->arguments[i] != NULL; i++) {
        push(arguments, product->arguments[i], NULL);
    }
    int result = push_history(product, arguments, ret_err);
    arguments->list[arguments->count] = NULL;
    return result;
}

static int spawn(struct job *job, const struct arguments *arguments, struct err *ret_err) {
    /* Nothing of the daemon's environment: it may hold secrets, and it must not change numbers. */
    static const char *const environment[] = {"LC_ALL=C",           "TZ=UTC",
                                              "NCRCENV_IGNORE=1",   "PROJ_NETWORK=OFF",
                                              "OMP_NUM_THREADS=1",  "OPENBLAS_NUM_THREADS=1",
                                              "PATH=/usr/bin:/bin", NULL};
    const struct loop_spawn options = {
        .file = job->jobs->options.program,
        .argv = arguments->list,
        .env = environment,
        .stdio = {{.kind = LOOP_STDIO_NULL}, {.kind = LOOP_STDIO_PIPE}, {.kind = LOOP_STDIO_PIPE}},
        .on_exit = on_exit_of,
        .ctx = job,
    };
    struct loop_stream *pipes[3] = {NULL};
    int result = loop_spawn(job->jobs->options.loop, &options, &job->process, pipes);
    if (result != 0) {
        return err_set(ret_err, result, "cannot start %.200s: %s", job->jobs->options.program,
                       err_name(result));
    }
    job->out = pipes[1];
    job->err = pipes[2];
    loop_stream_set_events(job->out, &out_events, job);
    loop_stream_set_events(job->err, &err_events, job);
    loop_stream_set_buffer(job->out, job->output, job->output_room);
    loop_stream_set_buffer(job->err, job->stderr_chunk, sizeof job->stderr_chunk);
    loop_timer_start_in(&job->deadline, job->product->deadline_us);
    return 0;
}

static void start_run(struct job *job, const struct inbox_file *file) {
    struct err err = {.code = 0};
    struct arguments *arguments = calloc(1, sizeof *arguments);
    (void)snprintf(job->name, sizeof job->name, "%s", file->name); /* same size */
    job->output = malloc(OUTPUT_START);
    job->output_room = OUTPUT_START;
    job->output_length = job->stderr_length = 0;
    job->exited = job->out_ended = job->err_ended = false;
    job->exit_status = job->term_signal = 0;
    job->killed = NULL;
    job->started = clock_wire(clock_of(job));
    job->newest.us = clock_now(clock_of(job)).utc.us + job->product->future_tolerance_us;
    int result = ERR_MEMORY;
    if (arguments != NULL && job->output != NULL) {
        result = fill_arguments(job, arguments, &err);
        if (result == 0) {
            result = spawn(job, arguments, &err);
        }
    } else {
        err_set(&err, result, "no memory to start a worker");
    }
    free(arguments);
    if (result != 0) {
        /* Not the file's fault: it stays and is tried again at the next rescan. */
        free(job->output);
        job->output = NULL;
        raise_condition(job, CONDITION_WORKER_FAILED, err.text);
        return;
    }
    job->counters.running = true;
}

/* ---- looking at the inbox ---- */

static const char *fault_of(const struct job *job, const struct inbox_file *file, char *ret_text,
                            size_t size) {
    if (!file->regular) {
        return "not a regular file";
    }
    if (file->bytes == 0) {
        return "the file is empty";
    }
    if ((uint64_t)file->bytes > job->product->file_bytes_max) {
        (void)snprintf(ret_text, size, "%" PRId64 " bytes; at most %zu expected", file->bytes,
                       job->product->file_bytes_max);
        return ret_text;
    }
    return NULL;
}

/* More wait than get a run: the oldest become history. */
static void skip_surplus(struct job *job, const struct inbox_file *files, size_t count) {
    char text[CONDITION_TEXT_SIZE];
    if (count <= job->product->waiting_max) {
        return;
    }
    for (size_t i = job->product->waiting_max; i < count; i++) {
        if (inbox_done(job->product->folder, files[i].name, NULL) == 0) {
            job->counters.skipped++;
        }
    }
    (void)snprintf(text, sizeof text, "%zu files waited; %" PRIu64 " skipped since the start",
                   count, job->counters.skipped);
    raise_condition(job, CONDITION_JOBS_BEHIND, text);
}

/* Starts the newest file that can be run, if nothing runs. */
static void look(struct job *job) {
    if (job->process != NULL || job->stuck) {
        return;
    }
    struct err err = {.code = 0};
    size_t count = 0;
    size_t all = 0;
    struct inbox_file *files = malloc(WAITING_MAX * sizeof *files);
    int result = files == NULL
                     ? err_set(&err, ERR_MEMORY, "no memory to list the inbox")
                     : inbox_list(job->product->folder, WAITING_MAX, files, &count, &all, &err);
    if (result != 0) {
        free(files);
        raise_condition(job, CONDITION_WORKER_FAILED, err.text);
        return;
    }
    job->counters.waiting = all;
    if (all == 0) {
        clear_condition(job, CONDITION_JOBS_BEHIND);
    }
    skip_surplus(job, files, count);
    for (size_t i = 0; i < count && i < job->product->waiting_max; i++) {
        char text[96];
        const char *fault = fault_of(job, &files[i], text, sizeof text);
        if (fault == NULL) {
            start_run(job, &files[i]);
            break;
        }
        reject(job, files[i].name, CONDITION_GRID_REJECTED, fault);
    }
    free(files);
}

static void retain(struct job *job) {
    static const char *const subfolders[] = {"done", "quarantine"};
    for (size_t i = 0; i < 2; i++) {
        struct err err = {.code = 0};
        if (inbox_retain(job->product->folder, subfolders[i], job->product->keep_max,
                         job->product->keep_age_s, &err) != 0) {
            raise_condition(job, CONDITION_WORKER_FAILED, err.text);
        }
    }
}

static void on_rescan(void *ctx) {
    struct job *job = ctx;
    job->stuck = false;
    int64_t age_us = clock_now(clock_of(job)).mono.us - job->good_since.us;
    if (age_us > job->product->stale_after_us) {
        char text[CONDITION_TEXT_SIZE];
        (void)snprintf(text, sizeof text, "no good grid for %" PRId64 " s", age_us / 1000000);
        raise_condition(job, CONDITION_GRID_STALE, text);
    }
    if (job->process == NULL && job->rescans++ % RETAIN_EVERY == 0) {
        retain(job);
    }
    look(job);
    loop_timer_start_in(&job->rescan, RESCAN_US);
}

static void on_change(void *ctx, const char *name) {
    (void)name; /* a hint only */
    look(ctx);
}

/* ---- construction ---- */

static int check_product(const struct jobs_product *product, struct err *ret_err) {
    size_t arguments = 0;
    while (product->arguments != NULL && product->arguments[arguments] != NULL) {
        arguments++;
    }
    const char *bad = product->name == NULL || !text_is_id(product->name)  ? "name"
                      : product->folder == NULL                            ? "folder"
                      : strlen(product->folder) > INBOX_PATH_SIZE / 2      ? "folder"
                      : product->model == NULL                             ? "model"
                      : product->areas == NULL                             ? "areas"
                      : arguments > JOBS_ARGUMENTS_MAX                     ? "arguments"
                      : !(product->min_coverage >= 0)                      ? "min_coverage"
                      : product->min_coverage > 1                          ? "min_coverage"
                      : product->deadline_us <= 0                          ? "deadline"
                      : product->stale_after_us <= 0                       ? "stale_after"
                      : product->future_tolerance_us < 0                   ? "future_tolerance"
                      : product->memory_mb < 64                            ? "memory_mb"
                      : product->file_bytes_max == 0                       ? "file_bytes_max"
                      : product->waiting_max == 0                          ? "waiting_max"
                      : product->waiting_max > WAITING_MAX                 ? "waiting_max"
                      : product->history_max > JOBS_HISTORY_MAX            ? "history_max"
                      : product->keep_max == 0 || product->keep_age_s <= 0 ? "keep"
                                                                           : NULL;
    return bad == NULL ? 0
                       : err_set(ret_err, ERR_INVALID, "product %.60s: bad %s",
                                 product->name != NULL ? product->name : "", bad);
}

static int start_job(struct jobs *jobs, size_t index, struct err *ret_err) {
    struct job *job = &jobs->jobs[index];
    struct loop *loop = jobs->options.loop;
    job->jobs = jobs;
    job->product = &jobs->options.products[index];
    int result = check_product(job->product, ret_err);
    if (result == 0) {
        result = inbox_prepare(job->product->folder, ret_err);
    }
    if (result != 0) {
        return result;
    }
    result = loop_timer_init(loop, LOOP_WIRE, on_rescan, job, &job->rescan);
    if (result == 0) {
        result = loop_timer_init(loop, LOOP_WIRE, on_deadline, job, &job->deadline);
    }
    if (result == 0) {
        result = loop_watch_folder(loop, job->product->folder, on_change, job, &job->watch);
    }
    if (result != 0) {
        return err_set(ret_err, result, "product %.60s: cannot watch %.300s: %s",
                       job->product->name, job->product->folder, err_name(result));
    }
    job->good_since = clock_now(clock_of(job)).mono;
    loop_timer_start_in(&job->rescan, 0);
    return 0;
}

int jobs_create(const struct jobs_options *options, struct jobs **ret_jobs, struct err *ret_err) {
    if (options->product_count > JOBS_PRODUCTS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "more than %d products", JOBS_PRODUCTS_MAX);
    }
    struct jobs *jobs = calloc(1, sizeof *jobs);
    struct job *list = calloc(options->product_count + 1, sizeof *list);
    if (jobs == NULL || list == NULL) {
        free(jobs);
        free(list);
        return err_set(ret_err, ERR_MEMORY, "no memory for jobs");
    }
    jobs->options = *options;
    jobs->jobs = list;
    for (size_t i = 0; i < options->product_count; i++) {
        int result = start_job(jobs, i, ret_err);
        if (result != 0) {
            (void)jobs_destroy(jobs);
            return result;
        }
    }
    *ret_jobs = jobs;
    return 0;
}

struct jobs *jobs_destroy(struct jobs *jobs) {
    if (jobs == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < jobs->options.product_count; i++) {
        struct job *job = &jobs->jobs[i];
        loop_timer_finish(&job->rescan);
        loop_timer_finish(&job->deadline);
        (void)loop_watch_close(job->watch);
        (void)loop_process_destroy(job->process); /* kills it */
        (void)loop_stream_close(job->out);
        (void)loop_stream_close(job->err);
        free(job->output);
    }
    free(jobs->jobs);
    free(jobs);
    return NULL;
}

struct jobs_counters jobs_counters(const struct jobs *jobs, size_t product) {
    return jobs->jobs[product].counters;
}
