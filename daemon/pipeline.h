/* The pipeline: where inputs become decisions and decisions become durable.
 *
 * Everything that the engine may know comes through here. Each input is numbered, stepped through
 * the engine at once, and put into the store's group together with what it caused: journal entry,
 * reading, event, alarm state, messages. A group with an event is committed at the end of the same
 * turn of the loop; one without when it is half a second old, or of many inputs. Only committed
 * messages can be delivered.
 *
 * Start: the newest snapshot is loaded and the journal after it stepped again, so that the engine
 * stands where the last commit left it. Events of that replay carry the ids they had; the store
 * skips those it has. Then one START input tells the engine how long the daemon was away. The
 * engine's monotonic time line goes on over restarts: the downtime is what the wall clock says it
 * was, never below zero.
 *
 * Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_PIPELINE_H
#define CANHBAO_DAEMON_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "alerts/message/json.h"
#include "alerts/message/run.h"
#include "alerts/outbox.h"
#include "daemon/base/loop.h"
#include "daemon/bulletins.h"
#include "daemon/engine.h"
#include "daemon/store/store.h"

struct pipeline;

struct pipeline_options {
    struct loop *loop;
    struct store *store;
    const struct engine_site *site; /* constant while the pipeline lives */
    const char *site_revision;      /* hash of the canonical configuration */
    const char *source;             /* ce_source of every message */
    struct message_context messages;
    bool publish_observations;
    struct bulletins *bulletins; /* borrowed; NULL: no CAP messages */
    /* After every commit that may have added messages. */
    void (*on_committed)(void *ctx);
    /* A committed event, in order; `number` is its place in the store. */
    void (*on_event)(void *ctx, int64_t number, const char *alert_json);
    /* The store could not commit (code != 0), or can again (0). */
    void (*on_store)(void *ctx, int code, const char *text);
    void *ctx;
};

/* Restores the state (see above). ERR_INVALID when the store's state is of another status (a
 * drill's under a real run, or the reverse); ERR_CORRUPT when neither snapshot nor journal can be
 * used. */
int pipeline_create(const struct pipeline_options *options, struct pipeline **ret_pipeline,
                    struct err *ret_err);
/* Takes the START input and begins to tick. */
int pipeline_start(struct pipeline *pipeline, struct err *ret_err);
/* Commits what waits and saves a snapshot. NULL is fine; returns NULL. */
struct pipeline *pipeline_destroy(struct pipeline *pipeline);

/* A change of the configuration while it runs: save the old one, create the new one (it restores
 * what was saved, by ids, and tells consumers what vanished and what may have changed), then let it
 * succeed, or discard it. No turn of the loop may lie between. There is no gap and no START. */
int pipeline_save(struct pipeline *pipeline, struct err *ret_err);
/* Takes the time line, counters and newest readings over and begins to tick. new_points: by old
 * index, UINT32_MAX: gone. The old one is to be discarded. */
void pipeline_succeed(struct pipeline *pipeline, const struct pipeline *old,
                      const uint32_t *new_points);
/* As destroy, but nothing is saved. */
struct pipeline *pipeline_discard(struct pipeline *pipeline);

/* The readings of one request, in order of their numbers, as a driver hands them over. */
void pipeline_readings(void *pipeline, const struct reading *readings, size_t count);
/* The results of one model run. */
void pipeline_model_results(void *pipeline, const struct model_result *results, size_t count);
/* A finished model run, for consumers; in the group of its results. Left out (and counted) while
 * the outbox holds PIPELINE_RUNS_WAITING_MAX messages. */
enum { PIPELINE_RUNS_WAITING_MAX = 50000 };
void pipeline_run_message(struct pipeline *pipeline, const struct message_run *run);
/* A person's command; the reply's text is copied. Committed when this returns 0. */
struct pipeline_reply {
    char text[ERR_TEXT_MAX];
    uint64_t revision;
};
int pipeline_command(struct pipeline *pipeline, const struct command *command,
                     struct pipeline_reply *ret_reply);

/* A message that is no decision (a reply): into the outbox, committed with the next group. */
int pipeline_send(struct pipeline *pipeline, const struct kafka_message *message);

const struct engine *pipeline_engine(const struct pipeline *pipeline);
/* Now, on the engine's time line: ages of readings are measured on its monotonic part, so that a
 * wall clock that was set makes nothing old or young. */
struct moment pipeline_now(const struct pipeline *pipeline);

/* The newest reading of a point in this process, after quality control; NULL before the first. */
const struct reading *pipeline_newest(const struct pipeline *pipeline, uint32_t point);
/* The newest one that carried a value. */
const struct reading *pipeline_newest_value(const struct pipeline *pipeline, uint32_t point);
/* Last sequence number of each station's readings, for the drivers; [site->station_count]. */
const uint64_t *pipeline_last_seqs(const struct pipeline *pipeline);

struct pipeline_counters {
    uint64_t inputs[ENGINE_INPUT_KIND_COUNT];
    uint64_t refused; /* inputs that the engine or the store did not take */
    uint64_t events;
    uint64_t bulletins;                    /* CAP messages */
    uint64_t bulletins_failed;             /* that could not be written or appended */
    uint64_t field_records_lost;           /* of technicians, that the store did not take */
    uint64_t runs_unpublished;             /* model runs whose message was left out */
    uint64_t values;                       /* readings with a value */
    uint64_t failures;                     /* readings without one */
    uint64_t replayed;                     /* journal entries stepped again at the start */
    int64_t gap_us;                        /* downtime before this start; 0: first start */
    int64_t commit_us_last, commit_us_max; /* real time of commits */
};
struct pipeline_counters pipeline_counters(const struct pipeline *pipeline);

#endif
