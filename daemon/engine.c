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

struct alarm_view engine_view(const struct engine *engine, const struct engine_alarm *entry) {
    struct alarm_view view = {.rule = entry->rule,
                              .place = engine_place(engine, entry->place),
                              .alarm_levels = entry->levels,
                              .alarm = &entry->alarm,
                              .indicators = &engine->indicators[entry->first_source],
                              .incident = incidents_find(engine->incidents, entry->alarm.incident),
                              .sequence = engine->place_sequences[entry->place_index]};
    memcpy(view.event_id, entry->event_id, sizeof view.event_id);
    return view;
}

int engine_visit_alarms(const struct engine *engine,
                        int (*visit)(void *context, const struct alarm_view *view), void *context) {
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        struct alarm_view view = engine_view(engine, &engine->alarms[i]);
        int result = visit(context, &view);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

void engine_emit(struct engine *engine, struct engine_alarm *entry, struct event *event,
                 const struct engine_sink *sink) {
    /* Whatever it is about, it tells what is known, against what was told before. */
    event->change.what &= ~(uint32_t)CHANGE_KNOWLEDGE;
    event->change.what |=
        event->change.previous_knowledge != entry->alarm.knowledge ? CHANGE_KNOWLEDGE : 0;
    event->at = engine->now;
    event->input_number = engine->number;
    event->sequence = ++engine->place_sequences[entry->place_index];
    event_id(&entry->alarm, entry->rule, engine_place_id(engine, entry->place), entry->event_id);
    memcpy(event->id, entry->event_id, sizeof event->id);
    event->view = engine_view(engine, entry);
    if ((event->change.what & CHANGE_LEVEL) != 0) {
        entry->level_before = event->change.previous_assessed ? event->change.previous_level : 0;
    }
    if (sink->on_event != NULL) {
        sink->on_event(sink->context, event);
    }
}

void engine_tell_record(struct engine *engine, const struct engine_alarm *entry,
                        const struct engine_sink *sink) {
    if (sink->on_record != NULL) {
        struct alarm_view view = engine_view(engine, entry);
        sink->on_record(sink->context, &view);
    }
}

void engine_evaluate_children(struct engine *engine, struct engine_alarm *entry,
                              const struct engine_sink *sink) {
    /* The depth is bounded, see build_relations(). */
    for (uint32_t i = 0; i < entry->child_count; i++) {
        engine_evaluate(engine, &engine->alarms[engine->child_alarms[entry->first_child + i]],
                        sink);
    }
}

void engine_evaluate(struct engine *engine, struct engine_alarm *entry,
                     const struct engine_sink *sink) {
    struct alarm_change change;
    struct alarm_around around = engine_around(engine, entry);
    const enum knowledge known = entry->alarm.knowledge;
    int64_t fresh_until_us = engine_refresh(engine, entry, engine->now);
    alarm_evaluate(&entry->alarm, entry->rule, entry->levels,
                   &engine->indicators[entry->first_source], &around, engine->now, &change);
    if (change.what != 0) {
        engine_settle(engine, entry, &change);
    }
    if (change.unannounced) {
        engine_tell_record(engine, entry, sink);
    } else if (change.what != 0) {
        struct event event = {.change = change,
                              .kind = event_kind_of_change(&change, &entry->alarm)};
        engine_emit(engine, entry, &event, sink);
    }
    engine_call(engine, entry, sink);
    int64_t due_us = alarm_due_us(&entry->alarm, entry->rule, engine->now);
    int64_t call_us = engine_call_due_us(engine, entry);
    due_us = call_us < due_us ? call_us : due_us;
    if (fresh_until_us != INT64_MAX && fresh_until_us + 1 < due_us) {
        due_us = fresh_until_us + 1;
    }
    entry->due_us = due_us;
    engine->next_due_us = due_us < engine->next_due_us ? due_us : engine->next_due_us;
    bool moved = entry->alarm.level != change.previous_level || entry->alarm.knowledge != known;
    if (moved) {
        engine_evaluate_children(engine, entry, sink);
    }
}

void engine_evaluate_list(struct engine *engine, const uint32_t *alarms, uint32_t count,
                          const struct engine_sink *sink) {
    for (uint8_t depth = 0; depth <= engine->depth_max; depth++) {
        for (uint32_t i = 0; i < count; i++) {
            struct engine_alarm *entry = &engine->alarms[alarms[i]];
            if (entry->depth == depth) {
                engine_evaluate(engine, entry, sink);
            }
        }
    }
}

static void step_reading(struct engine *engine, const struct engine_input *input,
                         const struct engine_sink *sink) {
    struct reading reading = input->as.reading;
    struct reading worse;
    if (reading.received.mono.us > input->now.mono.us) {
        reading.received = input->now; /* nothing was received after it was handed over */
    }
    if (reading.late) {
        engine_take_late(engine, &reading, sink);
        return;
    }
    if (engine_take_reading(engine, &reading, input->simulated, &worse) &&
        sink->on_requalified != NULL) {
        sink->on_requalified(sink->context, &worse);
    }
    if (sink->on_reading != NULL) {
        sink->on_reading(sink->context, &reading);
    }
    const struct engine_point *point = &engine->points[reading.point];
    engine_evaluate_list(engine, &engine->point_alarms[point->first_alarm], point->alarm_count,
                         sink);
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
    engine_evaluate_list(engine, &engine->slot_alarms[slot->first_alarm], slot->alarm_count, sink);
}

/* What time alone brings about, after every input: decisions do not hang on when ticks come. */
static void step_time(struct engine *engine, const struct engine_sink *sink) {
    if (engine->now.mono.us < engine->next_due_us) {
        return;
    }
    engine->next_due_us = INT64_MAX;
    engine_end_maintenance(engine, sink);
    engine_close_incidents(engine, sink);
    for (uint8_t depth = 0; depth <= engine->depth_max; depth++) {
        for (uint32_t i = 0; i < engine->alarm_count; i++) {
            struct engine_alarm *entry = &engine->alarms[i];
            if (entry->depth == depth && entry->due_us <= engine->now.mono.us) {
                engine_evaluate(engine, entry, sink);
            }
        }
    }
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        int64_t due_us = engine->alarms[i].due_us;
        engine->next_due_us = due_us < engine->next_due_us ? due_us : engine->next_due_us;
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
        bool valid =
            (unsigned)command->kind < COMMAND_KIND_COUNT && is_time(command->until.us) &&
            is_time(command->expires.us) && is_terminated(command->id, sizeof command->id) &&
            is_terminated(command->incident, sizeof command->incident) &&
            is_terminated(command->into, sizeof command->into) &&
            is_terminated(command->attachment, sizeof command->attachment) &&
            is_terminated(command->reference, sizeof command->reference) &&
            is_terminated(command->field.point, sizeof command->field.point) &&
            is_terminated(command->field.instrument, sizeof command->field.instrument) &&
            is_time(command->field.at.us) && is_terminated(command->rule, sizeof command->rule) &&
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
    if (engine->now.mono.us >= engine->next_due_us) {
        engine_end_maintenance(engine, sink); /* what ended does not decide on this input */
    }
    switch (input->kind) {
    case ENGINE_READING:
        step_reading(engine, input, sink);
        break;
    case ENGINE_MODEL_RESULT:
        step_result(engine, input, sink);
        break;
    case ENGINE_COMMAND:
        engine_take_command(engine, input, sink);
        break;
    case ENGINE_START:
        engine->listening_since = input->now.mono;
        break;
    case ENGINE_TICK:
    case ENGINE_INPUT_KIND_COUNT:
        break;
    }
    step_time(engine, sink);
    return 0;
}
