#include "daemon/jobs.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/inbox.h"
#include "daemon/job_output.h"
#include "daemon/worker.h"

enum {
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
    struct mono_us good_since; /* reference time of the newest good file, or the start */
    unsigned rescans;
    bool stuck; /* a file could not be moved: nothing before the next rescan */
    struct jobs_counters counters;

    /* the run */
    struct worker *worker;  /* NULL: none */
    struct mono_us started; /* real time */
    bool overtaken;         /* the run was cancelled */
    bool spared;            /* the one before was: this one goes on */
    char name[INBOX_NAME_SIZE];
    int64_t modified_ns; /* of the file */
    struct utc_us newest;
    int64_t good_modified_ns; /* of the newest file that was used */
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

static void accept(struct job *job, const struct worker_outcome *outcome) {
    struct job_output parsed = {.count = 0};
    struct err err = {.code = 0};
    int result = job_output_parse(outcome->output, outcome->output_length, job->product->model,
                                  job->product->name, job->newest, &parsed, &err);
    if (result == 0 && parsed.count == 0) {
        result = err_set(&err, ERR_INVALID, "no results");
    }
    if (result == 0) {
        /* Moved first: were the move to fail after the results, the next look would hand the same
         * results on again. */
        result = inbox_done(job->product->folder, job->name, &err);
    }
    if (result == 0) {
        job->counters.done++;
        if (job->modified_ns > job->good_modified_ns) {
            job->good_modified_ns = job->modified_ns;
        }
        note_good(job, parsed.reference_time);
        clear_condition(job, CONDITION_GRID_REJECTED);
        clear_condition(job, CONDITION_WORKER_FAILED);
        const struct jobs_run run = {.product = job->product->name,
                                     .model = job->product->model,
                                     .parsed = &parsed,
                                     .output = outcome->output,
                                     .output_length = outcome->output_length,
                                     .run_us = outcome->run_us};
        job->jobs->options.on_run(job->jobs->options.ctx, &run);
    } else {
        reject(job, job->name, CONDITION_WORKER_FAILED, err.text);
    }
    job_output_finish(&parsed);
}

static void on_worker_end(void *ctx, const struct worker_outcome *outcome) {
    struct job *job = ctx;
    job->counters.running = false;
    job->counters.run_us_last = outcome->run_us;
    job->spared = job->overtaken;
    job->overtaken = false;
    if (job->spared) {
        job->counters.cancelled++; /* whatever it has printed: the file waits again */
    } else if (outcome->end == WORKER_DONE) {
        accept(job, outcome);
    } else {
        reject(job, job->name,
               outcome->end == WORKER_REFUSED ? CONDITION_GRID_REJECTED : CONDITION_WORKER_FAILED,
               outcome->text);
    }
    job->worker = worker_destroy(job->worker);
    look(job);
}

/* ---- the start of a run ---- */

/* The command line; texts live in `arguments` and in the product. */
struct arguments {
    const char *list[FIXED_ARGUMENTS + 2 * JOBS_ARGUMENTS_MAX + 2 * JOBS_HISTORY_MAX + 1];
    struct run_words more;
    size_t count;
    char input[INBOX_PATH_SIZE];
    char newest[ARGUMENT_SIZE], bytes[ARGUMENT_SIZE], memory[ARGUMENT_SIZE], cpu[ARGUMENT_SIZE],
        coverage[ARGUMENT_SIZE];
    size_t history_count;
    struct inbox_file history[JOBS_HISTORY_MAX];
    char paths[JOBS_HISTORY_MAX][INBOX_PATH_SIZE];
};

static void push(struct arguments *arguments, const char *option, const char *value) {
    arguments->list[arguments->count++] = option;
    if (value != NULL) {
        arguments->list[arguments->count++] = value;
    }
}

/* The newest files of a folder but `except` (NULL: none), as far as the product takes more. */
static int push_history(const struct jobs_product *product, const char *folder, const char *except,
                        struct arguments *arguments, struct err *ret_err) {
    size_t count = 0;
    size_t all = 0;
    size_t first = arguments->history_count;
    int result = inbox_list(folder, product->history_max - first, arguments->history + first,
                            &count, &all, ret_err);
    for (size_t i = first; i < first + count && result == 0; i++) {
        const char *name = arguments->history[i].name;
        int length = snprintf(arguments->paths[i], INBOX_PATH_SIZE, "%s/%s", folder, name);
        if (length > 0 && length < INBOX_PATH_SIZE &&
            (except == NULL || strcmp(name, except) != 0)) {
            push(arguments, "--history", arguments->paths[i]);
        }
        arguments->history_count++;
    }
    return result;
}

static int fill_arguments(struct job *job, struct arguments *arguments, struct err *ret_err) {
    const struct jobs_product *product = job->product;
    char done[INBOX_PATH_SIZE];
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
    int result = 0;
    if (job->jobs->options.fill != NULL) {
        result = job->jobs->options.fill(job->jobs->options.ctx, (size_t)(job - job->jobs->jobs),
                                         &arguments->more, ret_err);
    }
    if (result == 0 && arguments->more.count > JOBS_ARGUMENTS_MAX) {
        result = err_set(ret_err, ERR_LIMIT, "more than %d words of options", JOBS_ARGUMENTS_MAX);
    }
    for (size_t i = 0; i < arguments->more.count && result == 0; i++) {
        push(arguments, arguments->more.list[i], NULL);
    }
    /* Files that wait are history too: the newest runs first, and its windows need those before. */
    (void)snprintf(done, sizeof done, "%s/done", product->folder);
    result = result == 0 ? push_history(product, product->folder, job->name, arguments, ret_err)
                         : result;
    result = result == 0 ? push_history(product, done, NULL, arguments, ret_err) : result;
    arguments->list[arguments->count] = NULL;
    return result;
}

static void start_run(struct job *job, const struct inbox_file *file) {
    struct err err = {.code = 0};
    struct arguments *arguments = calloc(1, sizeof *arguments);
    (void)snprintf(job->name, sizeof job->name, "%s", file->name); /* same size */
    job->modified_ns = file->modified_ns;
    job->newest.us = clock_now(clock_of(job)).utc.us + job->product->future_tolerance_us;
    int result = arguments == NULL ? err_set(&err, ERR_MEMORY, "no memory to start a worker")
                                   : fill_arguments(job, arguments, &err);
    if (result == 0) {
        const struct worker_options options = {.loop = job->jobs->options.loop,
                                               .program = job->jobs->options.program,
                                               .argv = arguments->list,
                                               .deadline_us = job->product->deadline_us,
                                               .on_end = on_worker_end,
                                               .ctx = job};
        result = worker_start(&options, &job->worker, &err);
    }
    if (arguments != NULL) {
        run_words_finish(&arguments->more);
    }
    free(arguments);
    if (result != 0) {
        /* Not the file's fault: it stays and is tried again at the next rescan. */
        raise_condition(job, CONDITION_WORKER_FAILED, err.text);
        return;
    }
    job->counters.running = true;
    job->started = clock_wire(clock_of(job));
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

/* Files that came before one that was used are outdated: what they say of now was said better, and
 * its windows have had them as history. The newest frame wins, however many wait. */
static size_t skip_outdated(struct job *job, const struct inbox_file *files, size_t count) {
    size_t first = 0;
    while (first < count && files[first].modified_ns >= job->good_modified_ns) {
        first++;
    }
    for (size_t i = first; i < count; i++) {
        if (inbox_done(job->product->folder, files[i].name, NULL) == 0) {
            job->counters.skipped++;
        }
    }
    return first;
}

/* Cancels the run when a newer file waits and half the deadline is gone. */
static void look_for_newer(struct job *job) {
    char text[CONDITION_TEXT_SIZE];
    struct inbox_file newest;
    size_t count = 0;
    size_t all = 0;
    int64_t run_us = clock_wire(clock_of(job)).us - job->started.us;
    if (job->overtaken || job->spared || run_us < job->product->deadline_us / 2 ||
        inbox_list(job->product->folder, 1, &newest, &count, &all, NULL) != 0 || count == 0 ||
        newest.modified_ns <= job->modified_ns || strcmp(newest.name, job->name) == 0 ||
        fault_of(job, &newest, text, sizeof text) != NULL) {
        return;
    }
    job->overtaken = true;
    (void)snprintf(text, sizeof text,
                   "the run on %.60s was overtaken by %.60s after %" PRId64 " s and cancelled",
                   job->name, newest.name, run_us / 1000000);
    raise_condition(job, CONDITION_JOBS_BEHIND, text);
    worker_kill(job->worker, "overtaken by a newer file");
}

/* Starts the newest file that can be run, if nothing runs. */
static void look(struct job *job) {
    if (job->worker != NULL) {
        look_for_newer(job);
        return;
    }
    if (job->stuck) {
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
    count = skip_outdated(job, files, count);
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
    if (job->worker == NULL && job->rescans++ % RETAIN_EVERY == 0) {
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
        (void)loop_watch_close(job->watch);
        (void)worker_destroy(job->worker);
    }
    free(jobs->jobs);
    free(jobs);
    return NULL;
}

struct jobs_counters jobs_counters(const struct jobs *jobs, size_t product) {
    return jobs->jobs[product].counters;
}
