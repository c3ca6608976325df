#include "daemon/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/message/observation.h"
#include "daemon/base/bytes.h"
#include "daemon/base/ids.h"
#include "daemon/base/text.h"
#include "daemon/field.h"
#include "daemon/pipeline_restore.h"
#include "daemon/station_seqs.h"

enum {
    GROUP_US = 500000,       /* the oldest of a group without an event waits so long, wire time, */
    GROUP_INPUTS = 1000,     /* ... or until there are so many: writing them holds up the loop */
    RETRY_US = 200000,       /* after a commit that failed */
    TICK_US = 1000000,       /* scenario time, but ... */
    TICK_WIRE_US = 100000,   /* ... not more often than this in real time */
    SNAPSHOT_US = 300000000, /* wire time */
    BATCH_MAX = 64,          /* readings of one observation message */
    FOLLOW_MAX = 200         /* events handed to followers at a time */
};

struct latest {
    bool has_any, has_value;
    struct reading any, value;
};

struct pipeline {
    struct pipeline_options options;
    struct clock *clock;
    struct engine *engine;
    int64_t mono_offset_us; /* engine's time line minus the process's */
    struct latest *latest;  /* by point */
    int64_t *handles;       /* of the store, by point */
    uint64_t *last_seqs;    /* by station */
    struct bytes scratch;

    struct loop_timer tick_timer, commit_timer, snapshot_timer;
    struct loop_hook hook;
    bool group_open, group_has_event, commit_failed;
    size_t group_inputs;
    bool follow_due;  /* events were committed that followers have not seen */
    int64_t followed; /* store number of the last event that followers saw */

    /* the readings of the call that is being handled, after quality control */
    struct reading batch[BATCH_MAX];
    size_t batch_count;
    struct pipeline_reply *reply; /* of the command that is being handled */
    int reply_code;

    struct pipeline_counters counters;
    char text[MESSAGE_SIZE_MAX];
};

struct moment pipeline_now(const struct pipeline *pipeline) {
    struct moment now = clock_now(pipeline->clock);
    now.mono.us += pipeline->mono_offset_us;
    return now;
}

/* ---- the group ---- */

static void close_group(struct pipeline *pipeline) {
    pipeline->follow_due = pipeline->follow_due || pipeline->group_has_event;
    pipeline->group_open = pipeline->group_has_event = false;
    pipeline->group_inputs = 0;
}

static int commit(struct pipeline *pipeline) {
    struct err err = {0};
    int64_t begin = clock_wire(pipeline->clock).us;
    int result = store_commit(pipeline->options.store, &err);
    pipeline->counters.commit_us_last = clock_wire(pipeline->clock).us - begin;
    if (pipeline->counters.commit_us_last > pipeline->counters.commit_us_max) {
        pipeline->counters.commit_us_max = pipeline->counters.commit_us_last;
    }
    bool failed = result != 0 && result != ERR_EXISTS; /* ERR_EXISTS: committed but for one event */
    if (result != 0 || pipeline->commit_failed) {
        pipeline->options.on_store(pipeline->options.ctx, result, err.text);
    }
    pipeline->commit_failed = failed;
    if (failed) {
        loop_timer_start_in(&pipeline->commit_timer, RETRY_US);
        return result;
    }
    close_group(pipeline);
    loop_timer_stop(&pipeline->commit_timer);
    pipeline->options.on_committed(pipeline->options.ctx);
    return 0;
}

static void open_group(struct pipeline *pipeline) {
    if (!pipeline->group_open) {
        pipeline->group_open = true;
        if (!pipeline->commit_failed) {
            loop_timer_start_in(&pipeline->commit_timer, GROUP_US);
        }
    }
}

/* Whether an append may be tried again: the group was full and could be committed. */
static bool made_room(struct pipeline *pipeline, int result) {
    return result == ERR_LIMIT && commit(pipeline) == 0;
}

static int append_message(struct pipeline *pipeline, const struct kafka_message *message) {
    int result = store_append_outbox(pipeline->options.store, message);
    if (made_room(pipeline, result)) {
        result = store_append_outbox(pipeline->options.store, message);
    }
    return result;
}

static int follow_event(void *ctx, const struct store_event *event) {
    struct pipeline *pipeline = ctx;
    pipeline->followed = event->seq;
    if (event->body_len < sizeof pipeline->text) {
        memcpy(pipeline->text, event->body, event->body_len);
        pipeline->text[event->body_len] = '\0';
        pipeline->options.on_event(pipeline->options.ctx, event->seq, pipeline->text);
    }
    return 0;
}

/* Committed events go to those who follow, in the order of the store. */
static void serve_followers(struct pipeline *pipeline) {
    if (!pipeline->follow_due) {
        return;
    }
    while (pipeline->followed < store_events_last(pipeline->options.store)) {
        int64_t before = pipeline->followed;
        int result =
            store_read_events(pipeline->options.store, before, FOLLOW_MAX, follow_event, pipeline);
        if (result != 0 || pipeline->followed == before) {
            return; /* tried again in the next turn */
        }
    }
    pipeline->follow_due = false;
}

static void on_turn(void *ctx) {
    struct pipeline *pipeline = ctx;
    bool due = pipeline->group_has_event || pipeline->group_inputs >= GROUP_INPUTS;
    if (due && !pipeline->commit_failed) {
        (void)commit(pipeline); /* a failure is told and tried again by the timer */
    }
    serve_followers(pipeline);
}

static void on_commit_due(void *ctx) {
    (void)commit(ctx); /* as above */
}

/* ---- what the engine gives ---- */

/* Why an alarm's record is written. */
enum state_reason {
    STATE_CHANGED, /* an event, or a change that is none: publish */
    STATE_RESENT,  /* asked for, or the configuration changed: publish again */
    STATE_REPLAYED /* published by the run before */
};

static void put_state(struct pipeline *pipeline, const struct alarm_view *view,
                      enum state_reason reason) {
    size_t length;
    char key[KAFKA_KEY_MAX + 1];
    char revision[24];
    char number[24];
    char id[ID_TEXT_SIZE];
    if (message_alert_state(view, &pipeline->options.messages, pipeline->text,
                            sizeof pipeline->text, &length) != 0) {
        return; /* cannot be: MESSAGE_SIZE_MAX always fits */
    }
    (void)store_put_alarm_state(pipeline->options.store, view->place.id, view->rule->id,
                                view->alarm->revision, pipeline->text, length);
    if (reason == STATE_REPLAYED) {
        return;
    }
    (void)snprintf(key, sizeof key, "%s/%s", view->place.id, view->rule->id);
    (void)snprintf(revision, sizeof revision, "%llu", (unsigned long long)view->alarm->revision);
    /* A record that is sent again may have newer evidence than the one of the event: another id. */
    (void)snprintf(number, sizeof number, "%llu",
                   reason == STATE_RESENT ? (unsigned long long)engine_number(pipeline->engine)
                                          : 0ULL);
    const char *parts[] = {"alert-state",  view->place.id, view->rule->id, view->rule->revision,
                           view->event_id, revision,       number};
    id_from_strings(parts, sizeof parts / sizeof parts[0], id);
    struct kafka_message message = {
        .topic = KAFKA_TOPIC_ALERT_STATE,
        .key = key,
        .id = id,
        .type = "canhbao.alert-state.v1",
        .source = pipeline->options.source,
        .time = engine_now(pipeline->engine).utc,
        .sequence = view->sequence,
        .exercise = pipeline->options.messages.status == MESSAGE_EXERCISE,
        .body = pipeline->text,
        .body_len = length,
    };
    (void)append_message(pipeline, &message); /* a full store is told by commit() */
}

/* The CAP message of an event that has one, in the group of the event. */
static void put_bulletin(struct pipeline *pipeline, const struct event *event, bool replay) {
    struct bulletins *bulletins = pipeline->options.bulletins;
    struct kafka_message message;
    int result =
        bulletins != NULL ? bulletins_write(bulletins, event, replay, &message) : ERR_INVALID;
    if (result == ERR_INVALID) {
        return; /* none is due */
    }
    if (result == 0) {
        result = append_message(pipeline, &message);
    }
    if (result == 0) {
        result = bulletins_appended(bulletins);
    }
    pipeline->counters.bulletins += result == 0;
    pipeline->counters.bulletins_failed += result != 0;
}

static void take_event(struct pipeline *pipeline, const struct event *event, bool replay) {
    size_t length;
    if (message_alert(event, &pipeline->options.messages, pipeline->text, sizeof pipeline->text,
                      &length) != 0) {
        return; /* cannot be: MESSAGE_SIZE_MAX always fits */
    }
    struct kafka_message message = {
        .topic = KAFKA_TOPIC_ALERT,
        .key = event->view.place.id,
        .id = event->id,
        .type = "canhbao.alert.v1",
        .source = pipeline->options.source,
        .time = event->at.utc,
        .sequence = event->sequence,
        .exercise = pipeline->options.messages.status == MESSAGE_EXERCISE,
        .body = pipeline->text,
        .body_len = length,
    };
    int result = store_append_event(pipeline->options.store, &message, event->view.place.id,
                                    event->view.rule->id);
    if (made_room(pipeline, result)) {
        (void)store_append_event(pipeline->options.store, &message, event->view.place.id,
                                 event->view.rule->id);
    }
    put_state(pipeline, &event->view, replay ? STATE_REPLAYED : STATE_CHANGED);
    put_bulletin(pipeline, event, replay);
    pipeline->group_has_event = true;
    pipeline->counters.events += !replay;
}

static void sink_event(void *ctx, const struct event *event) {
    take_event(ctx, event, false);
}

static void replay_event(void *ctx, const struct event *event) {
    take_event(ctx, event, true);
}

static void sink_record(void *ctx, const struct alarm_view *view) {
    put_state(ctx, view, STATE_CHANGED);
}

static void replay_record(void *ctx, const struct alarm_view *view) {
    put_state(ctx, view, STATE_REPLAYED);
}

static void publish_observations(struct pipeline *pipeline, const struct reading *readings,
                                 size_t count, bool requalified) {
    const struct engine_site *site = pipeline->options.site;
    const struct station *station = &site->stations[site->points[readings[0].point].station];
    size_t length;
    char id[ID_TEXT_SIZE];
    if (message_observation(station, site->points, readings, count, requalified,
                            &pipeline->options.messages, pipeline->text, sizeof pipeline->text,
                            &length) != 0) {
        return; /* BATCH_MAX readings always fit */
    }
    /* The text holds numbers, times and flags: another message has another id. */
    const char *parts[] = {"observation", station->id, pipeline->text};
    id_from_strings(parts, sizeof parts / sizeof parts[0], id);
    struct kafka_message message = {
        .topic = KAFKA_TOPIC_OBSERVATION,
        .key = station->id,
        .id = id,
        .type = "canhbao.observation.v1",
        .source = pipeline->options.source,
        .time = readings[count - 1].received.utc,
        .sequence = readings[count - 1].seq,
        .exercise = pipeline->options.messages.status == MESSAGE_EXERCISE,
        .body = pipeline->text,
        .body_len = length,
    };
    (void)append_message(pipeline, &message); /* observations may be shed; the store counts them */
}

static void flush_batch(struct pipeline *pipeline) {
    if (pipeline->batch_count > 0 && pipeline->options.publish_observations) {
        publish_observations(pipeline, pipeline->batch, pipeline->batch_count, false);
    }
    pipeline->batch_count = 0;
}

static void sink_reading(void *ctx, const struct reading *reading) {
    struct pipeline *pipeline = ctx;
    const struct engine_site *site = pipeline->options.site;
    struct latest *latest = &pipeline->latest[reading->point];
    uint32_t station = site->points[reading->point].station;
    if (!reading->late) {
        latest->any = *reading;
        latest->has_any = true;
    }
    if (reading->status == READING_OK) {
        if (!reading->late) {
            latest->value = *reading;
            latest->has_value = true;
        }
        pipeline->counters.values++;
    } else {
        pipeline->counters.failures++;
    }
    pipeline->last_seqs[station] = reading->seq;
    int64_t handle = pipeline->handles[reading->point];
    /* Raw values are what is kept: calibrations are layers, see field.h. */
    struct reading kept = *reading;
    kept.value = reading->uncalibrated;
    int result = store_append_reading(pipeline->options.store, handle, &kept);
    if (made_room(pipeline, result)) {
        (void)store_append_reading(pipeline->options.store, handle,
                                   &kept); /* shed ones are counted */
    }
    bool other_station =
        pipeline->batch_count > 0 && site->points[pipeline->batch[0].point].station != station;
    if (other_station || pipeline->batch_count == BATCH_MAX) {
        flush_batch(pipeline);
    }
    pipeline->batch[pipeline->batch_count++] = *reading;
}

static void sink_requalified(void *ctx, const struct reading *reading) {
    struct pipeline *pipeline = ctx;
    if (pipeline->options.publish_observations) {
        flush_batch(pipeline);
        publish_observations(pipeline, reading, 1, true);
    }
}

static void sink_field_entry(void *ctx, const struct field_entry *entry) {
    struct pipeline *pipeline = ctx;
    struct utc_us now = engine_now(pipeline->engine).utc;
    int result = field_keep(pipeline->options.store, pipeline->options.site, entry, now);
    if (made_room(pipeline, result)) {
        result = field_keep(pipeline->options.store, pipeline->options.site, entry, now);
    }
    pipeline->counters.field_records_lost += result != 0;
}

static void sink_reply(void *ctx, const struct engine_reply *reply) {
    struct pipeline *pipeline = ctx;
    pipeline->reply_code = reply->code;
    if (pipeline->reply != NULL) {
        (void)snprintf(pipeline->reply->text, sizeof pipeline->reply->text, "%s", reply->text);
        pipeline->reply->revision = reply->revision;
    }
}

static const struct engine_sink live_sink = {
    .on_reading = sink_reading,
    .on_requalified = sink_requalified,
    .on_event = sink_event,
    .on_record = sink_record,
    .on_field_entry = sink_field_entry,
    .on_reply = sink_reply,
};

/* ---- inputs ---- */

/* Numbers, journals and steps one input. An input that cannot be journaled is not taken: a decision
 * that no replay could repeat is worse than a late one. */
static int take(struct pipeline *pipeline, struct engine_input *input) {
    struct store *store = pipeline->options.store;
    input->number = engine_number(pipeline->engine) + 1;
    bytes_clear(&pipeline->scratch);
    /* First of all: a journaled input that the engine refuses would end every replay, and its
     * number would be missing for good. */
    int result = engine_check(pipeline->engine, input);
    if (result == 0) {
        result = engine_input_encode(pipeline->engine, input, &pipeline->scratch);
    }
    if (result == 0) {
        result = store_append_journal(store, input->number, input->now, pipeline->scratch.data,
                                      pipeline->scratch.length);
        if (made_room(pipeline, result)) {
            result = store_append_journal(store, input->number, input->now, pipeline->scratch.data,
                                          pipeline->scratch.length);
        }
    }
    if (result != 0) {
        pipeline->counters.refused++;
        return result;
    }
    open_group(pipeline);
    pipeline->group_inputs++;
    struct engine_sink sink = live_sink;
    sink.context = pipeline;
    result = engine_step(pipeline->engine, input, &sink);
    if (result != 0) {
        pipeline->counters.refused++;
        return result;
    }
    pipeline->counters.inputs[input->kind]++;
    return 0;
}

void pipeline_readings(void *ctx, const struct reading *readings, size_t count) {
    struct pipeline *pipeline = ctx;
    for (size_t i = 0; i < count; i++) {
        struct engine_input input = {.kind = ENGINE_READING, .now = pipeline_now(pipeline)};
        input.as.reading = readings[i];
        input.as.reading.received.mono.us += pipeline->mono_offset_us;
        (void)take(pipeline, &input); /* refused ones are counted */
    }
    flush_batch(pipeline);
}

void pipeline_model_results(void *ctx, const struct model_result *results, size_t count) {
    struct pipeline *pipeline = ctx;
    for (size_t i = 0; i < count; i++) {
        struct engine_input input = {.kind = ENGINE_MODEL_RESULT, .now = pipeline_now(pipeline)};
        input.as.model_result = results[i];
        (void)take(pipeline, &input); /* refused ones are counted */
    }
}

void pipeline_run_message(struct pipeline *pipeline, const struct message_run *run) {
    struct store_status status;
    char time[40];
    char id[ID_TEXT_SIZE];
    if (!pipeline->options.publish_observations) {
        return;
    }
    store_status(pipeline->options.store, &status);
    char *text = status.outbox_rows < PIPELINE_RUNS_WAITING_MAX
                     ? message_run_text(run, &pipeline->options.messages)
                     : NULL;
    text_format_time(run->reference_time.us, time, sizeof time);
    const char *parts[] = {"run", run->product, run->manifest_sha256, time};
    id_from_strings(parts, sizeof parts / sizeof parts[0], id);
    struct kafka_message message = {
        .topic = KAFKA_TOPIC_RUN,
        .key = run->model,
        .id = id,
        .type = "canhbao.run.v1",
        .source = pipeline->options.source,
        .time = run->reference_time,
        .exercise = pipeline->options.messages.status == MESSAGE_EXERCISE,
        .body = text,
        .body_len = text != NULL ? strlen(text) : 0,
    };
    if (text == NULL || append_message(pipeline, &message) != 0) {
        pipeline->counters.runs_unpublished++;
    } else {
        open_group(pipeline);
    }
    free(text);
}

static int resend_alarm(void *ctx, const struct alarm_view *view) {
    put_state(ctx, view, STATE_RESENT);
    return 0;
}

int pipeline_command(struct pipeline *pipeline, const struct command *command,
                     struct pipeline_reply *ret_reply) {
    struct engine_input input = {.kind = ENGINE_COMMAND, .now = pipeline_now(pipeline)};
    struct pipeline_reply reply = {.text = ""};
    input.as.command = *command;
    pipeline->reply = &reply;
    pipeline->reply_code = ERR_IO;
    int result = take(pipeline, &input);
    pipeline->reply = NULL;
    if (result != 0) {
        (void)snprintf(reply.text, sizeof reply.text, "the command cannot be recorded now (%s)",
                       err_name(result));
    } else {
        result = pipeline->reply_code;
    }
    if (result == 0 && command->kind == COMMAND_RESEND_STATE) {
        (void)engine_visit_alarms(pipeline->engine, resend_alarm, pipeline); /* never stops early */
    }
    char line[COMMAND_TEXT_SIZE + 8 * STATION_ID_SIZE];
    (void)snprintf(line, sizeof line, "%s%s%s%s%s: %s%s%s", command->incident, command->rule,
                   command->rule[0] != '\0' ? "/" : "", command->place, command->into,
                   err_name(result), command->comment[0] != '\0' ? ": " : "", command->comment);
    (void)store_append_audit(pipeline->options.store, input.now.utc, command->actor,
                             command_kind_name(command->kind), line);
    if (result == 0 && commit(pipeline) != 0) {
        result = ERR_BUSY;
        (void)snprintf(reply.text, sizeof reply.text,
                       "taken, but the store cannot write: it may be lost if the daemon stops now");
    }
    *ret_reply = reply;
    return result;
}

int pipeline_send(struct pipeline *pipeline, const struct kafka_message *message) {
    open_group(pipeline);
    int result = append_message(pipeline, message);
    if (result == 0 && !pipeline->commit_failed) {
        (void)commit(pipeline); /* a failure is told and tried again by the timer */
    }
    return result;
}

static void on_tick(void *ctx) {
    struct pipeline *pipeline = ctx;
    struct engine_input input = {.kind = ENGINE_TICK, .now = pipeline_now(pipeline)};
    (void)take(pipeline, &input); /* refused ones are counted */
    int64_t wire_us = (int64_t)(TICK_WIRE_US * clock_scale(pipeline->clock));
    loop_timer_start_in(&pipeline->tick_timer, wire_us > TICK_US ? wire_us : TICK_US);
}

/* ---- snapshots ---- */

static int save_snapshot(struct pipeline *pipeline, struct err *ret_err) {
    struct store *store = pipeline->options.store;
    bytes_clear(&pipeline->scratch);
    int result = engine_save(pipeline->engine, &pipeline->scratch);
    if (result == 0) {
        result = station_seqs_save(store, pipeline->options.site, pipeline->last_seqs);
        if (made_room(pipeline, result)) {
            result = station_seqs_save(store, pipeline->options.site, pipeline->last_seqs);
        }
    }
    if (result != 0) {
        return err_set(ret_err, result, "the state of the engine cannot be saved");
    }
    result = store_save_snapshot(pipeline->options.store, engine_number(pipeline->engine),
                                 engine_now(pipeline->engine).utc, pipeline->scratch.data,
                                 pipeline->scratch.length, ret_err);
    if (result == 0) { /* it committed the group too */
        close_group(pipeline);
        pipeline->options.on_committed(pipeline->options.ctx);
    }
    return result;
}

int pipeline_save(struct pipeline *pipeline, struct err *ret_err) {
    return save_snapshot(pipeline, ret_err);
}

static void on_snapshot_due(void *ctx) {
    struct pipeline *pipeline = ctx;
    struct err err = {0};
    int result = save_snapshot(pipeline, &err);
    if (result != 0) {
        pipeline->options.on_store(pipeline->options.ctx, result, err.text);
    }
    loop_timer_start_in(&pipeline->snapshot_timer, SNAPSHOT_US);
}

/* ---- start and end ---- */

static int prepare_points(struct pipeline *pipeline, struct err *ret_err) {
    const struct engine_site *site = pipeline->options.site;
    struct store_point *points = calloc(site->point_count + 1, sizeof *points);
    if (points == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the points");
    }
    for (size_t i = 0; i < site->point_count; i++) {
        const struct point *point = &site->points[i];
        points[i] = (struct store_point){site->stations[point->station].id, point->id, point->unit};
    }
    int result = store_point_handles(pipeline->options.store, points, site->point_count,
                                     pipeline->handles, ret_err);
    free(points);
    if (result != 0) {
        return result;
    }
    for (size_t i = 0; i < site->station_count; i++) {
        result = store_station_seq(pipeline->options.store, site->stations[i].id,
                                   &pipeline->last_seqs[i]);
        if (result != 0) {
            return err_set(ret_err, result, "the store cannot tell the last reading of %s",
                           site->stations[i].id);
        }
    }
    result = station_seqs_load(pipeline->options.store, site, pipeline->last_seqs);
    return result == 0 ? 0 : err_set(ret_err, result, "the store cannot tell the last readings");
}

/* A reading of the replay: its number was given. */
static void replay_reading(void *ctx, const struct reading *reading) {
    struct pipeline *pipeline = ctx;
    uint64_t *last = &pipeline->last_seqs[pipeline->options.site->points[reading->point].station];
    *last = reading->seq > *last ? reading->seq : *last;
}

/* An alarm that the configuration no longer has: consumers are told by a tombstone. */
static void on_vanished(void *ctx, const char *rule, const char *place, const char *point) {
    struct pipeline *pipeline = ctx;
    (void)point;
    if (rule[0] == '\0') {
        return;
    }
    char key[KAFKA_KEY_MAX + 1];
    char id[ID_TEXT_SIZE];
    const char *parts[] = {"tombstone", place, rule, pipeline->options.site_revision};
    id_from_strings(parts, sizeof parts / sizeof parts[0], id);
    (void)snprintf(key, sizeof key, "%s/%s", place, rule);
    struct kafka_message message = {.topic = KAFKA_TOPIC_ALERT_STATE,
                                    .key = key,
                                    .id = id,
                                    .type = "canhbao.alert-state.v1",
                                    .source = pipeline->options.source,
                                    .time = clock_now(pipeline->clock).utc};
    (void)append_message(pipeline, &message); /* tried again at the next start: it still vanished */
    (void)store_put_alarm_state(pipeline->options.store, place, rule, 0, NULL, 0);
}

/* What was decided on a drill's values must never go on as if it were real, nor the reverse. */
static int check_status(const struct pipeline *pipeline, struct err *ret_err) {
    struct store *store = pipeline->options.store;
    const char *status = message_status_name(pipeline->options.messages.status);
    char known[16] = "";
    size_t length;
    int result = store_get_meta(store, "status", known, sizeof known - 1, &length);
    if (result == ERR_NOT_FOUND) {
        return store_put_meta(store, "status", status, strlen(status));
    }
    if (result != 0) {
        return err_set(ret_err, result, "the store cannot tell whose state it holds");
    }
    known[length] = '\0';
    return strcmp(known, status) == 0
               ? 0
               : err_set(ret_err, ERR_INVALID,
                         "the state folder holds a run marked %s, this one is %s: give it a state "
                         "folder of its own",
                         known, status);
}

static int restore(struct pipeline *pipeline, struct err *ret_err) {
    struct restore_options options = {
        .store = pipeline->options.store,
        .site = pipeline->options.site,
        .now = clock_now(pipeline->clock),
        .sink = {.context = pipeline,
                 .on_reading = replay_reading,
                 .on_event = replay_event,
                 .on_record = replay_record},
        .on_vanished = on_vanished,
        .ctx = pipeline,
    };
    if (store_journal_last(options.store) == 0) {
        /* From here a replay of the whole journal can begin. */
        (void)store_put_meta(options.store, "engine_origin", &options.now, sizeof options.now);
    }
    int result = check_status(pipeline, ret_err);
    if (result == 0) {
        result = restore_engine(&options, &pipeline->engine, &pipeline->counters.replayed, ret_err);
    }
    if (result != 0) {
        return result;
    }
    char known[HASH_TEXT_SIZE] = "";
    size_t length;
    const char *revision = pipeline->options.site_revision;
    bool changed = store_get_meta(pipeline->options.store, "site_revision", known, sizeof known,
                                  &length) != 0 ||
                   length != strlen(revision) || memcmp(known, revision, length) != 0;
    if (changed) {
        (void)engine_visit_alarms(pipeline->engine, resend_alarm, pipeline); /* never stops early */
        (void)store_put_meta(pipeline->options.store, "site_revision", revision, strlen(revision));
    }
    /* The time line of the engine goes on where it stood, plus the downtime by the wall clock. */
    struct moment last = engine_now(pipeline->engine);
    struct moment now = clock_now(pipeline->clock);
    if (engine_number(pipeline->engine) > 0) {
        int64_t gap_us = now.utc.us - last.utc.us;
        pipeline->counters.gap_us = gap_us > 0 ? gap_us : 0;
        pipeline->mono_offset_us = last.mono.us + pipeline->counters.gap_us - now.mono.us;
    }
    result = save_snapshot(pipeline, ret_err);
    if (result == ERR_LIMIT && engine_number(pipeline->engine) > 0) {
        /* A full disk is no reason to stay away: the snapshot that was loaded and the journal after
         * it still lead here. */
        pipeline->options.on_store(pipeline->options.ctx, result,
                                   ret_err != NULL ? ret_err->text : "");
        result = 0;
    }
    return result;
}

int pipeline_create(const struct pipeline_options *options, struct pipeline **ret_pipeline,
                    struct err *ret_err) {
    struct pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the pipeline");
    }
    const struct engine_site *site = options->site;
    pipeline->options = *options;
    pipeline->clock = loop_clock(options->loop);
    pipeline->latest = calloc(site->point_count + 1, sizeof *pipeline->latest);
    pipeline->handles = calloc(site->point_count + 1, sizeof *pipeline->handles);
    pipeline->last_seqs = calloc(site->station_count + 1, sizeof *pipeline->last_seqs);
    int result = 0;
    if (pipeline->latest == NULL || pipeline->handles == NULL || pipeline->last_seqs == NULL ||
        loop_timer_init(options->loop, LOOP_SCENARIO, on_tick, pipeline, &pipeline->tick_timer) !=
            0 ||
        loop_timer_init(options->loop, LOOP_WIRE, on_commit_due, pipeline,
                        &pipeline->commit_timer) != 0 ||
        loop_timer_init(options->loop, LOOP_WIRE, on_snapshot_due, pipeline,
                        &pipeline->snapshot_timer) != 0) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for the pipeline");
    }
    if (result == 0) {
        result = prepare_points(pipeline, ret_err);
    }
    if (result == 0) {
        result = restore(pipeline, ret_err);
    }
    if (result != 0) {
        (void)pipeline_discard(pipeline);
        return result;
    }
    pipeline->followed = store_events_last(options->store);
    *ret_pipeline = pipeline;
    return 0;
}

static void begin(struct pipeline *pipeline) {
    loop_hook_add(pipeline->options.loop, on_turn, pipeline, &pipeline->hook);
    loop_timer_start_in(&pipeline->tick_timer, TICK_US);
    loop_timer_start_in(&pipeline->snapshot_timer, SNAPSHOT_US);
}

int pipeline_start(struct pipeline *pipeline, struct err *ret_err) {
    struct engine_input input = {.kind = ENGINE_START, .now = pipeline_now(pipeline)};
    input.as.gap_us = pipeline->counters.gap_us;
    int result = take(pipeline, &input);
    if (result != 0) {
        return err_set(ret_err, result, "the engine cannot start: %s", err_name(result));
    }
    begin(pipeline);
    return 0;
}

void pipeline_succeed(struct pipeline *pipeline, const struct pipeline *old,
                      const uint32_t *new_points) {
    pipeline->mono_offset_us = old->mono_offset_us;
    pipeline->counters = old->counters;
    for (size_t i = 0; i < old->options.site->point_count; i++) {
        if (new_points[i] != UINT32_MAX) {
            struct latest *latest = &pipeline->latest[new_points[i]];
            *latest = old->latest[i];
            latest->any.point = latest->value.point = new_points[i];
        }
    }
    begin(pipeline);
}

struct pipeline *pipeline_destroy(struct pipeline *pipeline) {
    struct err err = {0};
    if (pipeline != NULL && pipeline->engine != NULL && save_snapshot(pipeline, &err) != 0) {
        pipeline->options.on_store(pipeline->options.ctx, err.code, err.text);
    }
    return pipeline_discard(pipeline);
}

struct pipeline *pipeline_discard(struct pipeline *pipeline) {
    if (pipeline == NULL) {
        return NULL;
    }
    loop_hook_remove(&pipeline->hook);
    loop_timer_finish(&pipeline->tick_timer);
    loop_timer_finish(&pipeline->commit_timer);
    loop_timer_finish(&pipeline->snapshot_timer);
    (void)engine_destroy(pipeline->engine);
    bytes_finish(&pipeline->scratch);
    free(pipeline->latest);
    free(pipeline->handles);
    free(pipeline->last_seqs);
    free(pipeline);
    return NULL;
}

/* ---- views ---- */

const struct engine *pipeline_engine(const struct pipeline *pipeline) {
    return pipeline->engine;
}

const struct reading *pipeline_newest(const struct pipeline *pipeline, uint32_t point) {
    return pipeline->latest[point].has_any ? &pipeline->latest[point].any : NULL;
}

const struct reading *pipeline_newest_value(const struct pipeline *pipeline, uint32_t point) {
    return pipeline->latest[point].has_value ? &pipeline->latest[point].value : NULL;
}

const uint64_t *pipeline_last_seqs(const struct pipeline *pipeline) {
    return pipeline->last_seqs;
}

struct pipeline_counters pipeline_counters(const struct pipeline *pipeline) {
    return pipeline->counters;
}
