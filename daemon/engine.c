#include "daemon/engine.h"

#include <math.h>
#include <string.h>

#include "daemon/engine_core.h"

uint64_t engine_number(const struct engine *engine) {
    return engine->number;
}

struct moment engine_now(const struct engine *engine) {
    return engine->now;
}

static struct alarm_view view_of(const struct engine *engine, const struct engine_alarm *entry) {
    struct alarm_view view = {.rule = entry->rule,
                              .place = engine_place(engine, entry->place),
                              .alarm_levels = entry->levels,
                              .alarm = &entry->alarm,
                              .indicators = &engine->indicators[entry->first_source],
                              .sequence = engine->place_sequences[entry->place_index]};
    memcpy(view.event_id, entry->event_id, sizeof view.event_id);
    return view;
}

int engine_visit_alarms(const struct engine *engine,
                        int (*visit)(void *context, const struct alarm_view *view), void *context) {
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        struct alarm_view view = view_of(engine, &engine->alarms[i]);
        int result = visit(context, &view);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* One event for what changed. `command` is NULL when evidence or time brought it about. */
static void emit(struct engine *engine, struct engine_alarm *entry,
                 const struct alarm_change *change, const struct command *command,
                 const struct engine_sink *sink) {
    struct event event = {
        .at = engine->now,
        .input_number = engine->number,
        .sequence = ++engine->place_sequences[entry->place_index],
        .change = *change,
    };
    event_id(&entry->alarm, entry->rule, engine_place_id(engine, entry->place), entry->event_id);
    memcpy(event.id, entry->event_id, sizeof event.id);
    event.view = view_of(engine, entry);
    if (command != NULL) {
        event.kind = event_kind_of_command(command->kind);
        event.actor = command->actor;
        event.comment = command->comment[0] != '\0' ? command->comment : NULL;
    } else {
        event.kind = event_kind_of_change(change, &entry->alarm);
    }
    if (sink->on_event != NULL) {
        sink->on_event(sink->context, &event);
    }
}

static void evaluate(struct engine *engine, struct engine_alarm *entry,
                     const struct engine_sink *sink) {
    struct alarm_change change;
    int64_t fresh_until_us = engine_refresh(engine, entry, engine->now);
    alarm_evaluate(&entry->alarm, entry->rule, entry->levels,
                   &engine->indicators[entry->first_source], engine->now, &change);
    int64_t due_us = alarm_due_us(&entry->alarm, entry->rule, engine->now);
    if (fresh_until_us != INT64_MAX && fresh_until_us + 1 < due_us) {
        due_us = fresh_until_us + 1;
    }
    entry->due_us = due_us;
    engine->next_due_us = due_us < engine->next_due_us ? due_us : engine->next_due_us;
    if (change.unannounced) {
        if (sink->on_record != NULL) {
            struct alarm_view view = view_of(engine, entry);
            sink->on_record(sink->context, &view);
        }
    } else if (change.what != 0) {
        emit(engine, entry, &change, NULL, sink);
    }
}

static void evaluate_list(struct engine *engine, const uint32_t *alarms, uint32_t count,
                          const struct engine_sink *sink) {
    for (uint32_t i = 0; i < count; i++) {
        evaluate(engine, &engine->alarms[alarms[i]], sink);
    }
}

static void step_reading(struct engine *engine, const struct engine_input *input,
                         const struct engine_sink *sink) {
    struct reading reading = input->as.reading;
    struct reading worse;
    if (reading.received.mono.us > input->now.mono.us) {
        reading.received = input->now; /* nothing was received after it was handed over */
    }
    if (engine_take_reading(engine, &reading, input->simulated, &worse) &&
        sink->on_requalified != NULL) {
        sink->on_requalified(sink->context, &worse);
    }
    if (sink->on_reading != NULL) {
        sink->on_reading(sink->context, &reading);
    }
    const struct engine_point *point = &engine->points[reading.point];
    evaluate_list(engine, &engine->point_alarms[point->first_alarm], point->alarm_count, sink);
}

static void step_result(struct engine *engine, const struct engine_input *input,
                        const struct engine_sink *sink) {
    const struct model_result *result = &input->as.model_result;
    uint32_t index = engine_find_slot(engine, result);
    if (index == UINT32_MAX ||
        !engine_take_result(engine, index, result, input->simulated, input->now)) {
        return; /* no rule looks at it, or it is not newer */
    }
    const struct engine_slot *slot = &engine->slots[index];
    evaluate_list(engine, &engine->slot_alarms[slot->first_alarm], slot->alarm_count, sink);
}

static void step_command(struct engine *engine, const struct engine_input *input,
                         const struct engine_sink *sink) {
    const struct command *command = &input->as.command;
    struct err err = {0};
    struct alarm_change change;
    struct engine_reply reply = {.input_number = input->number, .command = command, .text = ""};
    struct engine_alarm *entry = NULL;
    if (command->kind != COMMAND_RESEND_STATE) {
        uint32_t index = engine_find_alarm(engine, command->rule, command->place);
        if (index == UINT32_MAX) {
            reply.code = err_set(&err, ERR_NOT_FOUND, "no alarm of rule %s at %s", command->rule,
                                 command->place);
        } else {
            entry = &engine->alarms[index];
            reply.code = alarm_command(&entry->alarm, command, input->now, &change, &err);
        }
    }
    if (reply.code == 0 && entry != NULL) {
        if (change.what != 0) {
            emit(engine, entry, &change, command, sink);
        }
        evaluate(engine, entry, sink);
    }
    if (reply.code != 0) {
        reply.text = err.text;
    }
    if (entry != NULL) {
        reply.revision = entry->alarm.revision;
    }
    if (sink->on_reply != NULL) {
        sink->on_reply(sink->context, &reply);
    }
}

/* What time alone brings about, after every input: decisions do not hang on when ticks come. */
static void step_time(struct engine *engine, const struct engine_sink *sink) {
    if (engine->now.mono.us < engine->next_due_us) {
        return;
    }
    engine->next_due_us = INT64_MAX;
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        struct engine_alarm *entry = &engine->alarms[i];
        if (entry->due_us <= engine->now.mono.us) {
            evaluate(engine, entry, sink);
        }
        if (entry->due_us < engine->next_due_us) {
            engine->next_due_us = entry->due_us;
        }
    }
}

/* Sums and differences of times must not overflow. */
static bool is_time(int64_t us) {
    return us <= INT64_MAX / 4 && us >= -(INT64_MAX / 4);
}

static bool is_moment(struct moment moment) {
    return is_time(moment.mono.us) && is_time(moment.utc.us);
}

static bool is_terminated(const char *text, size_t size) {
    return memchr(text, '\0', size) != NULL;
}

int engine_check(const struct engine *engine, const struct engine_input *input) {
    if (input->number <= engine->number || input->now.mono.us < engine->now.mono.us ||
        !is_moment(input->now)) {
        return ERR_INVALID;
    }
    if (input->kind == ENGINE_READING) {
        const struct reading *reading = &input->as.reading;
        if (!is_moment(reading->received) || (unsigned)reading->status >= READING_STATUS_COUNT ||
            reading->seq == 0) {
            return ERR_INVALID;
        }
        return reading->point < engine->site.point_count ? 0 : ERR_NOT_FOUND;
    }
    if (input->kind == ENGINE_COMMAND) {
        const struct command *command = &input->as.command;
        bool valid = (unsigned)command->kind < COMMAND_KIND_COUNT && is_time(command->until.us) &&
                     is_terminated(command->rule, sizeof command->rule) &&
                     is_terminated(command->place, sizeof command->place) &&
                     is_terminated(command->actor, sizeof command->actor) &&
                     is_terminated(command->comment, sizeof command->comment);
        return valid ? 0 : ERR_INVALID;
    }
    if (input->kind == ENGINE_MODEL_RESULT) {
        const struct model_result *result = &input->as.model_result;
        bool valid = is_time(result->reference_time.us) &&
                     is_terminated(result->product, sizeof result->product) &&
                     is_terminated(result->variable, sizeof result->variable) &&
                     is_terminated(result->place, sizeof result->place) &&
                     is_terminated(result->model, sizeof result->model) &&
                     is_terminated(result->manifest, sizeof result->manifest) &&
                     is_terminated(result->cause, sizeof result->cause);
        return valid ? 0 : ERR_INVALID;
    }
    return (unsigned)input->kind < ENGINE_INPUT_KIND_COUNT ? 0 : ERR_INVALID;
}

int engine_step(struct engine *engine, const struct engine_input *input,
                const struct engine_sink *sink) {
    int result = engine_check(engine, input);
    if (result != 0) {
        return result;
    }
    engine->number = input->number;
    engine->now = input->now;
    switch (input->kind) {
    case ENGINE_READING:
        step_reading(engine, input, sink);
        break;
    case ENGINE_MODEL_RESULT:
        step_result(engine, input, sink);
        break;
    case ENGINE_COMMAND:
        step_command(engine, input, sink);
        break;
    case ENGINE_TICK:
    case ENGINE_START:
    case ENGINE_INPUT_KIND_COUNT:
        break;
    }
    step_time(engine, sink);
    return 0;
}
