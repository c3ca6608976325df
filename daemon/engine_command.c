#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/engine_core.h"

/* One command while it is taken. */
struct taking {
    const struct engine_input *input;
    struct engine *engine;
    const struct command *command;
    const struct engine_sink *sink;
    struct engine_alarm *entry; /* whose revision the reply tells; NULL: none */
    struct incident *incident;  /* likewise */
    struct err err;
};

static void emit_command(const struct taking *taking, struct engine_alarm *entry,
                         const struct alarm_change *change) {
    const struct command *command = taking->command;
    char said[COMMAND_TEXT_SIZE + HASH_TEXT_SIZE + 32];
    struct event event = {.kind = event_kind_of_command(command->kind),
                          .change = *change,
                          .actor = command->actor,
                          .comment = command->comment[0] != '\0' ? command->comment : NULL};
    if (command->kind == COMMAND_VERDICT) { /* the event is a comment: it says which verdict */
        (void)snprintf(said, sizeof said, "verdict: %s%s%s", verdict_name(command->verdict),
                       command->comment[0] != '\0' ? "; " : "", command->comment);
        event.comment = said;
    } else if (strcmp(command->attachment, COMMAND_RISK_RAISE) == 0) {
        (void)snprintf(said, sizeof said, COMMAND_RISK_RAISE ": %s; %s", command->reference,
                       command->comment);
        event.comment = said;
    }
    engine_emit(taking->engine, entry, &event, taking->sink);
}

/* An event about what a person did that is no axis of the alarm itself. */
static void emit_other(const struct taking *taking, struct engine_alarm *entry, uint32_t what) {
    struct alarm *alarm = &entry->alarm;
    struct alarm_change change = alarm_change_begin(alarm);
    change.what = what;
    alarm_count_change(alarm, taking->engine->now);
    emit_command(taking, entry, &change);
}

static int command_alarm(struct taking *taking, struct engine_alarm *entry) {
    struct engine *engine = taking->engine;
    struct alarm_change change;
    int result = alarm_command(&entry->alarm, entry->rule, taking->command, engine->now, &change,
                               &taking->err);
    if (result != 0) {
        return result;
    }
    engine_settle(engine, entry, &change);
    emit_command(taking, entry, &change);
    engine_evaluate(engine, entry, taking->sink);
    engine_evaluate_children(engine, entry, taking->sink);
    return 0;
}

static int find_alarm(struct taking *taking) {
    const struct command *command = taking->command;
    uint32_t index = engine_find_alarm(taking->engine, command->rule, command->place);
    if (index == UINT32_MAX) {
        return err_set(&taking->err, ERR_NOT_FOUND, "no alarm of rule %s at %s", command->rule,
                       command->place);
    }
    taking->entry = &taking->engine->alarms[index];
    return 0;
}

static int find_incident(struct taking *taking) {
    taking->incident = incidents_find(taking->engine->incidents, taking->command->incident);
    return taking->incident != NULL
               ? incident_check_revision(taking->incident, taking->command, &taking->err)
               : err_set(&taking->err, ERR_NOT_FOUND, "there is no incident %s",
                         taking->command->incident);
}

/* The alarm that speaks for an incident: the one that opened it, or the first member. */
static struct engine_alarm *lead_of(const struct taking *taking, const struct incident *incident) {
    struct engine *engine = taking->engine;
    uint32_t lead = engine_find_alarm(engine, incident->lead_rule, incident->lead_place);
    if (lead != UINT32_MAX && strcmp(engine->alarms[lead].alarm.incident, incident->id) == 0) {
        return &engine->alarms[lead];
    }
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        if (strcmp(engine->alarms[i].alarm.incident, incident->id) == 0) {
            return &engine->alarms[i];
        }
    }
    return NULL;
}

static int acknowledge_members(struct taking *taking) {
    struct engine *engine = taking->engine;
    struct command one = *taking->command;
    uint32_t count = 0;
    int result = 0;
    one.has_expected_revision = false; /* it was the incident's */
    struct taking member = {.engine = engine, .command = &one, .sink = taking->sink};
    for (uint32_t i = 0; i < engine->alarm_count && result == 0; i++) {
        struct engine_alarm *entry = &engine->alarms[i];
        bool open = entry->alarm.annunciation == ANNUNCIATION_UNACKNOWLEDGED ||
                    entry->alarm.annunciation == ANNUNCIATION_RETURNED_UNACKNOWLEDGED;
        if (open && strcmp(entry->alarm.incident, taking->incident->id) == 0) {
            result = command_alarm(&member, entry);
            count++;
        }
    }
    if (result == 0 && count == 0) {
        result = err_set(&taking->err, ERR_INVALID, "no member of the incident is unacknowledged");
    } else if (result != 0) {
        taking->err = member.err;
    }
    return result;
}

static int comment_incident(struct taking *taking) {
    struct engine_alarm *lead = lead_of(taking, taking->incident);
    if (taking->command->comment[0] == '\0') {
        return err_set(&taking->err, ERR_INVALID, "a comment needs a text");
    }
    if (lead == NULL) {
        return err_set(&taking->err, ERR_INVALID, "the incident has no members any more: it is %s",
                       incident_state_name(taking->incident->state));
    }
    taking->incident->revision++;
    emit_other(taking, lead, CHANGE_COMMENT);
    return 0;
}

static int merge(struct taking *taking) {
    struct engine *engine = taking->engine;
    struct incident *from;
    struct incident *into;
    int result = incidents_merge(engine->incidents, taking->command, engine->now, &from, &into,
                                 &taking->err);
    if (result != 0) {
        return result;
    }
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        struct engine_alarm *entry = &engine->alarms[i];
        if (strcmp(entry->alarm.incident, from->id) == 0) {
            memcpy(entry->alarm.incident, into->id, sizeof entry->alarm.incident);
            emit_other(taking, entry, CHANGE_INCIDENT);
        }
    }
    incident_set_raised(from, 0, engine->now);
    engine_count_members(engine, into);
    taking->incident = into;
    return 0;
}

static int split(struct taking *taking) {
    struct engine *engine = taking->engine;
    struct engine_alarm *entry = taking->entry;
    struct alarm *alarm = &entry->alarm;
    const struct command *command = taking->command;
    if (command->has_expected_revision && command->expected_revision != alarm->revision) {
        return err_set(&taking->err, ERR_STALE, "the alarm has moved on: revision %llu, not %llu",
                       (unsigned long long)alarm->revision,
                       (unsigned long long)command->expected_revision);
    }
    struct incident *from = incidents_find(engine->incidents, alarm->incident);
    struct incident *split = NULL;
    const struct incident_entrant entrant = engine_entrant(engine, entry);
    int result = incidents_split(engine->incidents, command, &entrant, from, engine->now, &split,
                                 &taking->err);
    if (result != 0) {
        return result;
    }
    memcpy(alarm->incident, split->id, sizeof alarm->incident);
    engine_count_members(engine, split);
    engine_count_members(engine, from);
    emit_other(taking, entry, CHANGE_INCIDENT);
    return 0;
}

static int attach(struct taking *taking) {
    struct incident *incident =
        taking->incident != NULL
            ? taking->incident
            : incidents_find(taking->engine->incidents, taking->entry->alarm.incident);
    if (incident == NULL) {
        return err_set(&taking->err, ERR_INVALID, "the alarm is in no incident");
    }
    int result = incident_attach(incident, taking->command, taking->engine->now, &taking->err);
    struct engine_alarm *lead = lead_of(taking, incident);
    if (result == 0 && lead != NULL) {
        emit_other(taking, lead, CHANGE_INCIDENT);
    }
    return result;
}

static int set_maintenance(struct taking *taking) {
    struct engine *engine = taking->engine;
    const struct command *command = taking->command;
    uint32_t index = engine_find_place(engine, command->place);
    bool begins = command->kind == COMMAND_MAINTENANCE;
    struct alarm_override maintenance;
    if (index >= engine->site.station_count) { /* UINT32_MAX too */
        return err_set(&taking->err, ERR_NOT_FOUND, "there is no station %s", command->place);
    }
    if (!begins && !engine->stations[index].maintenance.active) {
        return err_set(&taking->err, ERR_INVALID, "the station %s is not under maintenance",
                       command->place);
    }
    int result = begins ? alarm_override_begin(&maintenance, OVERRIDE_MAINTENANCE, command,
                                               engine->now, ALARM_MAINTENANCE_MAX_US, &taking->err)
                        : 0;
    if (result == 0) {
        engine_set_maintenance(engine, index, begins ? &maintenance : NULL, taking->sink);
    }
    return result;
}

/* A transport may repeat a command; it must not be carried out twice. */
static bool was_taken(const struct engine *engine, const char *id) {
    for (uint32_t i = 0; i < ENGINE_COMMAND_IDS && id[0] != '\0'; i++) {
        if (strcmp(engine->command_ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

static int carry_out(struct taking *taking) {
    const struct command *command = taking->command;
    bool to_incident = command->incident[0] != '\0';
    int result = command_target_check(command, &taking->err);
    if (result == 0 && command->rule[0] != '\0') {
        result = find_alarm(taking);
    } else if (result == 0 && to_incident && command->kind != COMMAND_MERGE) {
        result = find_incident(taking);
    }
    if (result != 0) {
        return result;
    }
    switch (command->kind) {
    case COMMAND_RESEND_STATE:
        return 0;
    case COMMAND_MAINTENANCE:
    case COMMAND_END_MAINTENANCE:
        return set_maintenance(taking);
    case COMMAND_CALIBRATE:
    case COMMAND_SPOT:
    case COMMAND_BUCKET_TEST:
    case COMMAND_END_BUCKET_TEST:
    case COMMAND_REVOKE:
        return engine_take_field(taking->engine, taking->input, taking->sink, &taking->err);
    case COMMAND_MERGE:
        return merge(taking);
    case COMMAND_SPLIT:
        return split(taking);
    case COMMAND_ATTACH:
        return attach(taking);
    case COMMAND_ACKNOWLEDGE:
        return to_incident ? acknowledge_members(taking) : command_alarm(taking, taking->entry);
    case COMMAND_COMMENT:
        return to_incident ? comment_incident(taking) : command_alarm(taking, taking->entry);
    default:
        return command_alarm(taking, taking->entry);
    }
}

void engine_take_command(struct engine *engine, const struct engine_input *input,
                         const struct engine_sink *sink) {
    const struct command *command = &input->as.command;
    struct taking taking = {.input = input, .engine = engine, .command = command, .sink = sink};
    struct engine_reply reply = {.input_number = input->number, .command = command, .text = ""};
    if (command->expires.us != 0 && command->expires.us <= engine->now.utc.us) {
        reply.code = err_set(&taking.err, ERR_TIMEOUT, "the command has expired");
    } else if (was_taken(engine, command->id)) {
        reply.code = err_set(&taking.err, ERR_EXISTS, "this command was taken already");
    } else {
        if (command->id[0] != '\0') {
            char *place = engine->command_ids[engine->command_next];
            (void)text_copy(place, ID_TEXT_SIZE, command->id); /* the same bound */
            engine->command_next = (engine->command_next + 1) % ENGINE_COMMAND_IDS;
        }
        reply.code = carry_out(&taking);
    }
    if (reply.code != 0) {
        reply.text = taking.err.text;
    }
    reply.revision = taking.entry != NULL      ? taking.entry->alarm.revision
                     : taking.incident != NULL ? taking.incident->revision
                                               : 0;
    if (sink->on_reply != NULL) {
        sink->on_reply(sink->context, &reply);
    }
}
