/* Model runs that other things than a file start (products without an inbox): a new output of
 * another product, time, new readings, an alarm (config/site.h, struct site_triggers).
 *
 * One worker at a time per product; what happens while it runs starts one more run afterwards. Of a
 * product that readings trigger a run waits until three times as long as the last one took has gone
 * by (real time). A
 * run goes: write the inputs into its folder (series in small steps, see series_export.h), expand
 * the command line (run_arguments.h), start `canhbao-model --cage` with that folder as working
 * folder, read its result object, keep the folder (run_folder.h). A run whose inputs are not there
 * yet waits; a run whose start lies longer back than stale_after is outdated and cancelled.
 *
 * Restart: every product with other triggers than alarms runs soon after the start; what it finds
 * is no newer than what the engine has, and so changes nothing.
 *
 * Conditions (health.h), subject = product: WORKER_FAILED (also when the model refuses its input)
 * clears with the next good run, MODEL_STALE when there is one with data young enough (or no alarm
 * asks for it any more), JOBS_BEHIND while runs take longer than the period (or min_interval, if
 * that is longer). Deadlines are real
 * time, triggers and staleness scenario time. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_RUNS_H
#define CANHBAO_DAEMON_RUNS_H

#include "daemon/config/site.h"
#include "daemon/jobs.h"
#include "daemon/pipeline.h"

struct runs_options {
    struct loop *loop;
    const char *program; /* path of canhbao-model */
    const struct site *site;
    const char *site_dir;  /* absolute */
    const char *state_dir; /* absolute */
    struct store *store;
    const struct pipeline *pipeline; /* alarms and newest readings are looked at */
    void (*on_run)(void *ctx, const struct jobs_run *run);
    void (*on_condition)(void *ctx, enum condition_class class, const char *product, bool raised,
                         const char *text);
    void *ctx;
};

struct runs_counters {
    uint64_t done, failed, cancelled; /* cancelled: outdated */
    bool running;
    int64_t run_us_last; /* real time of the last run */
};

struct runs;

/* ERR_INVALID, ERR_MEMORY, ERR_IO with a sentence. */
int runs_create(const struct runs_options *options, struct runs **ret_runs, struct err *ret_err);
/* Kills what runs. NULL is fine; returns NULL. */
struct runs *runs_destroy(struct runs *runs);

/* A product (of either sort) has a new output: those that wait for it become due. */
void runs_note_output(struct runs *runs, const char *product);

/* Somebody asks product `id` (with trigger `request`) something; `text`, from malloc(), is taken
 * over, also on failure, and becomes the file {request} of its next run. ERR_NOT_FOUND: no such
 * product; ERR_BUSY: an earlier question waits. */
int runs_ask(struct runs *runs, const char *id, char *text, struct err *ret_err);

/* index: in the products of the site; zeroes for one with an inbox. */
struct runs_counters runs_counters(const struct runs *runs, size_t index);

#endif
