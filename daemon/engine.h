/* The decision core: inputs in, events out. Pure: it reads no clock, file, socket or random source,
 * so that the same inputs in the same order give the same events with the same ids.
 *
 * Inputs are numbered by the caller, ascending from 1, and carry the moment at which they are
 * processed. The time line of `now.mono` (and of `reading.received.mono`) is the caller's: it must
 * go on over restarts (downtime included) and never back; ages and delays run on it. `utc` only
 * stamps. A `now` before the previous one is refused.
 *
 * Nothing is allocated in engine_step(). Thread rule: one thread at a time. */
#ifndef CANHBAO_ENGINE_H
#define CANHBAO_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "alerts/alerting.h"
#include "alerts/event.h"
#include "alerts/rule.h"
#include "daemon/base/bytes.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/station/command.h"
#include "daemon/station/model_result.h"
#include "daemon/station/reading.h"
#include "daemon/station/station.h"

/* The site as the engine needs it. The caller owns the arrays and keeps them unchanged as long as
 * the engine lives. Ids of stations and areas are unique together. */
struct engine_site {
    const struct station *stations;
    size_t station_count;
    const struct point *points;
    size_t point_count;
    const struct area *areas;
    size_t area_count;
    const struct rule *rules;
    size_t rule_count;
    /* NULL: no approval, no ladders, no bound of notices, incidents close after 6 h. The caller
     * sets approval_from to 0 where the run's status asks for no approval. */
    const struct alerting *alerting;
};

enum engine_input_kind {
    ENGINE_READING,
    ENGINE_MODEL_RESULT,
    ENGINE_COMMAND,
    ENGINE_TICK,  /* time passes: about one a second */
    ENGINE_START, /* the process started; gap_us since the last input of the run before */
    ENGINE_INPUT_KIND_COUNT
};

struct engine_input {
    enum engine_input_kind kind;
    uint64_t number; /* from 1, ascending */
    struct moment now;
    bool simulated; /* READING, MODEL_RESULT: put in by hand or by a simulator outside an exercise;
                       may raise (marked), never lowers */
    union {
        struct reading reading;
        struct model_result model_result;
        struct command command;
        int64_t gap_us;
    } as;
};

struct engine_reply {
    uint64_t input_number;
    const struct command *command;
    int code; /* 0: accepted; refused: ERR_NOT_FOUND, ERR_STALE (revision), ERR_TIMEOUT (the command
                 has expired), ERR_EXISTS (its id was taken), ERR_DENIED (a second person is
                 needed), ERR_INVALID, ERR_RANGE, ERR_LIMIT */
    const char *text;  /* the reason in one sentence; "" when accepted */
    uint64_t revision; /* of the alarm or incident afterwards; 0 when there is none */
};

/* Where outputs go, in this order within a step. Pointers are valid during the call only. Any
 * callback may be NULL. */
/* What a technician did, as it is kept; see field_record.h. A revocation tells only id, station,
 * point and command. */
struct field_entry {
    uint64_t id; /* of the input that brought it */
    uint32_t station, point;
    const struct command *command;
    double gain, offset;         /* COMMAND_CALIBRATE */
    struct bucket_result bucket; /* COMMAND_END_BUCKET_TEST */
};

struct engine_sink {
    void *context;
    /* The quality-controlled copy of every reading, also the failed ones. */
    void (*on_reading)(void *context, const struct reading *reading);
    /* An earlier reading (same point, same seq) got worse flags: a spike shows only when its
     * successor is known. */
    void (*on_requalified)(void *context, const struct reading *reading);
    void (*on_event)(void *context, const struct event *event);
    /* The record of an alarm changed without an event (alarm_change.unannounced). */
    void (*on_record)(void *context, const struct alarm_view *view);
    /* An accepted command of a technician but COMMAND_BUCKET_TEST; before its reply. */
    void (*on_field_entry)(void *context, const struct field_entry *entry);
    /* Exactly one for every command. With an accepted COMMAND_RESEND_STATE the caller publishes
     * what engine_visit_alarms() gives. */
    void (*on_reply)(void *context, const struct engine_reply *reply);
};

struct engine;

/* ERR_MEMORY; ERR_INVALID, ERR_RANGE, ERR_NOT_FOUND (a rule names a point that is not there),
 * ERR_UNSUPPORTED (accumulation of a POINT_INSTANT), ERR_LIMIT (windows need too much memory), with
 * a sentence. */
int engine_create(const struct engine_site *site, struct moment now, struct engine **ret_engine,
                  struct err *ret_err);
struct engine *engine_destroy(struct engine *engine); /* NULL is fine; returns NULL */

/* The bucket test that runs at a station: since when (or 0), and what its bucket counted so far in
 * mm as the registers say (NaN: nothing was read yet). */
struct engine_bucket {
    struct moment since, until; /* since 0: none runs */
    char point[STATION_ID_SIZE];
    double counted_mm;
};
struct engine_bucket engine_bucket_test(const struct engine *engine, uint32_t station);

/* What engine_step() would answer to this input; changes nothing. */
int engine_check(const struct engine *engine, const struct engine_input *input);

/* Takes one input. 0, or a refusal that changes nothing: ERR_INVALID (number, time, kind, seq 0),
 * ERR_NOT_FOUND (point). */
int engine_step(struct engine *engine, const struct engine_input *input,
                const struct engine_sink *sink);

/* Number of the newest input that was taken; 0: none. */
uint64_t engine_number(const struct engine *engine);
/* Moment of the newest input. */
struct moment engine_now(const struct engine *engine);

/* Every alarm, in the order of rules and their places. A callback that returns non-zero ends the
 * visit; its value is returned. */
int engine_visit_alarms(const struct engine *engine,
                        int (*visit)(void *context, const struct alarm_view *view), void *context);

/* Every incident that is known, the ended ones too as long as their place is not needed. */
int engine_visit_incidents(const struct engine *engine,
                           int (*visit)(void *context, const struct incident *incident),
                           void *context);

/* Maintenance of a station of the site; NULL: none. */
const struct alarm_override *engine_maintenance(const struct engine *engine, uint32_t station);

/* Alarms that no incident could take in (see incidents_join). */
uint64_t engine_incident_overflows(const struct engine *engine);

/* The indicators of one alarm as they are at `now` (not before the newest input), [i] of
 * rule->indicators[i]; valid until the next call. NULL: there is no such alarm. */
const struct indicator *engine_indicators(struct engine *engine, const char *rule,
                                          const char *place, struct moment now);

/* The complete state as bytes (appended), keyed by ids: versioned and with a SHA-256 over all of
 * it. load(save(engine)) goes on bit for bit as the engine would have. */
int engine_save(const struct engine *engine, struct bytes *ret_bytes);

/* An alarm or point of the saved state that the site no longer has. `rule` is empty for a point. */
typedef void engine_vanished_fn(void *context, const char *rule, const char *place,
                                const char *point);

/* Puts a saved state into a fresh engine. ERR_CORRUPT (bytes that cannot have been saved),
 * ERR_UNSUPPORTED (another version); the engine must then be destroyed. What the site no longer has
 * is told to `vanished` (may be NULL); what is new starts new; an alarm whose rule has another
 * revision keeps level, episode, acknowledgement and overrides and starts its delays again. */
int engine_load(struct engine *engine, const void *data, size_t length,
                engine_vanished_fn *vanished, void *context);

/* One input as bytes for the journal (appended), and back. Points are written by their ids.
 * decode: ERR_CORRUPT, ERR_UNSUPPORTED (another version), ERR_NOT_FOUND (a point that the site no
 * longer has). */
enum { ENGINE_INPUT_BYTES_MAX = 4096 };
int engine_input_encode(const struct engine *engine, const struct engine_input *input,
                        struct bytes *ret_bytes);
int engine_input_decode(const struct engine *engine, const void *data, size_t length,
                        struct engine_input *ret_input);

#endif
