/* Grids in, model results out: watches an inbox per product, runs canhbao-model on each new file as
 * a disposable process, and hands on what it printed.
 *
 * One worker at a time per product; newest file first; files that came before one that was used are
 * outdated, become history and are counted. A run that has taken more than half its deadline when a
 * newer file waits is outdated too: it is cancelled, so that the newest frame does not wait for it;
 * not two in a row, so that a model slower than its frames still gives something. Its file waits
 * again, and is history once the newer one was used. A file ends in done/ (used; it stays as
 * history for the windows of later runs), or in quarantine/ with the reason beside it: refused by
 * the model by name, worker died, deadline, output not understood, too large, empty. When more than
 * waiting_max files wait, the oldest go to done/ without a run of their own and are counted.
 *
 * Conditions (health.h), subject = product: GRID_REJECTED and WORKER_FAILED clear with the next
 * good file, JOBS_BEHIND when the inbox is empty, GRID_STALE when a good file with data young
 * enough arrives. Deadlines are real time, staleness is scenario time. Thread rule: loop thread
 * only. */
#ifndef CANHBAO_DAEMON_JOBS_H
#define CANHBAO_DAEMON_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"
#include "daemon/health.h"
#include "daemon/job_output.h"
#include "daemon/run_arguments.h"
#include "daemon/station/model_result.h"

enum { JOBS_PRODUCTS_MAX = 32, JOBS_ARGUMENTS_MAX = 32, JOBS_HISTORY_MAX = 1000 };

/* One product of the configuration; texts must outlive the jobs. */
struct jobs_product {
    const char *name;             /* id; goes into the results */
    const char *folder;           /* the inbox */
    const char *model;            /* "areal" */
    const char *const *arguments; /* more options of the model, NULL-terminated; NULL: none */
    const char *areas;            /* GeoJSON file */
    double min_coverage;          /* 0 to 1 */
    int64_t deadline_us;          /* of one run */
    int64_t stale_after_us;       /* no good file with younger data: GRID_STALE */
    int64_t future_tolerance_us;  /* frames may be that much later than the clock */
    size_t memory_mb;             /* of the worker */
    size_t file_bytes_max;
    size_t waiting_max; /* files that may wait; when there are more, runs are behind */
    size_t history_max; /* files of done/ given to a run */
    size_t keep_max;    /* files kept in done/ and in quarantine/ each */
    int64_t keep_age_s;
};

/* 60 s deadline, stale after 20 min, 1 min tolerance, 2048 MiB, 256 MiB files, 16 waiting, 400 of
 * history, 1000 kept for 7 days, coverage 0.8. */
extern const struct jobs_product jobs_product_default;

/* A run that succeeded; everything lives only during the call. */
struct jobs_run {
    const char *product;
    const char *model;
    const struct job_output *parsed;
    const char *output; /* the JSON object as the model printed it */
    size_t output_length;
    int64_t run_us; /* real time */
};

struct jobs_options {
    struct loop *loop;
    const char *program; /* path of canhbao-model */
    const struct jobs_product *products;
    size_t product_count;
    /* Appends options that depend on what is there at the start of a run, at most
     * JOBS_ARGUMENTS_MAX words; NULL: none. After an error the file waits. */
    int (*fill)(void *ctx, size_t product, struct run_words *words, struct err *ret_err);
    void (*on_run)(void *ctx, const struct jobs_run *run);
    /* raised: the text says why; else the condition clears. */
    void (*on_condition)(void *ctx, enum condition_class class, const char *product, bool raised,
                         const char *text);
    void *ctx;
};

struct jobs_counters {
    uint64_t done; /* files used */
    uint64_t quarantined;
    uint64_t skipped;   /* moved to done/ without a run: outdated, or too many waited */
    uint64_t cancelled; /* runs overtaken by a newer file */
    size_t waiting;     /* in the inbox at the last look */
    bool running;
    int64_t run_us_last; /* real time of the last run */
};

struct jobs;

/* Makes done/ and quarantine/, begins to watch. ERR_IO, ERR_INVALID name product and folder. */
int jobs_create(const struct jobs_options *options, struct jobs **ret_jobs, struct err *ret_err);
/* Kills what runs; its file stays in the inbox. NULL is fine; returns NULL. */
struct jobs *jobs_destroy(struct jobs *jobs);

/* product: index in the options. */
struct jobs_counters jobs_counters(const struct jobs *jobs, size_t product);

#endif
