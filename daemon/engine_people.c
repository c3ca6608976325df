#include <string.h>

#include "daemon/engine_core.h"

/* ---- what lies around an alarm ---- */

/* Whether the rule asks for silence: then it is about the warning system, not about a hazard at the
 * place. (An internal rule may be about either.) */
static bool is_about_silence(const struct rule *rule) {
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        if (rule->indicators[i].kind == INDICATOR_SILENCE) {
            return true;
        }
    }
    return false;
}

static const char *group_of(const struct engine *engine, const struct engine_alarm *entry) {
    const struct rule_place place = entry->place;
    if (entry->rule->internal && is_about_silence(entry->rule)) {
        return entry->rule->hazard; /* what ails the warning system is one event for the site */
    }
    if (place.kind == PLACE_AREA) {
        const struct area *area = &engine->site.areas[place.index];
        return area->group[0] != '\0' ? area->group : area->id;
    }
    const struct station *station = &engine->site.stations[place.index];
    return station->group[0] != '\0'   ? station->group
           : station->basin[0] != '\0' ? station->basin
                                       : station->id;
}

struct incident_entrant engine_entrant(const struct engine *engine,
                                       const struct engine_alarm *entry) {
    const struct rule *rule = entry->rule;
    const char *hazard = rule->incident_with[0] != '\0' ? rule->incident_with : rule->hazard;
    return (struct incident_entrant){.hazard = hazard,
                                     .group = group_of(engine, entry),
                                     .rule = rule->id,
                                     .place = engine_place_id(engine, entry->place),
                                     .scale = rule->scale.id,
                                     .episode_start = entry->alarm.episode_start,
                                     .transition = entry->alarm.transition,
                                     .level = entry->alarm.level};
}

/* The rule of an alarm that stands at `from` or above by usable evidence: what is not known
 * silences nobody. */
static const char *standing(const struct engine *engine, uint32_t index, uint8_t from) {
    if (index == UINT32_MAX) {
        return NULL;
    }
    const struct engine_alarm *entry = &engine->alarms[index];
    bool stands = entry->alarm.assessed && entry->alarm.level >= from &&
                  entry->alarm.knowledge <= KNOWLEDGE_DOUBTFUL;
    return stands ? entry->rule->id : NULL;
}

struct alarm_around engine_around(const struct engine *engine, const struct engine_alarm *entry) {
    struct alarm_around around = {
        .masked_by = standing(engine, entry->parent, 1),
        .suppressed_by = standing(engine, entry->suppressor, entry->rule->suppressed_from),
        .approval_from = entry->rule->internal ? 0 : engine->alerting.approval_from,
        .approval_timeout_us = engine->alerting.approval_timeout_us};
    if (entry->place.kind == PLACE_STATION) {
        around.maintenance = &engine->stations[entry->place.index].maintenance;
    }
    return around;
}

const struct alarm_override *engine_maintenance(const struct engine *engine, uint32_t station) {
    const struct alarm_override *maintenance = &engine->stations[station].maintenance;
    return maintenance->active ? maintenance : NULL;
}

/* ---- incidents ---- */

int engine_visit_incidents(const struct engine *engine,
                           int (*visit)(void *context, const struct incident *incident),
                           void *context) {
    for (uint32_t i = 0; i < INCIDENTS_MAX; i++) {
        const struct incident *incident = &engine->incidents->list[i];
        int result = incident->state != INCIDENT_NONE ? visit(context, incident) : 0;
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

uint64_t engine_incident_overflows(const struct engine *engine) {
    return engine->incidents->overflows;
}

void engine_count_members(struct engine *engine, struct incident *incident) {
    uint32_t raised = 0;
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        const struct alarm *alarm = &engine->alarms[i].alarm;
        raised += alarm->level > 0 && strcmp(alarm->incident, incident->id) == 0;
    }
    incident_set_raised(incident, raised, engine->now);
    int64_t due_us = incident_due_us(incident, &engine->alerting);
    engine->next_due_us = due_us < engine->next_due_us ? due_us : engine->next_due_us;
}

/* Into an incident with an alarm that rose; true when it stands out there. */
static bool join_incident(struct engine *engine, struct engine_alarm *entry,
                          struct alarm_change *change) {
    struct alarm *alarm = &entry->alarm;
    struct incident *incident = incidents_find(engine->incidents, alarm->incident);
    if (incident == NULL || incident->state != INCIDENT_OPEN) {
        const struct incident_entrant entrant = engine_entrant(engine, entry);
        bool opened;
        incident = incidents_join(engine->incidents, &entrant, engine->now, &opened);
        if (incident == NULL) {
            return true; /* no room (counted): rather too loud */
        }
        memcpy(alarm->incident, incident->id, sizeof alarm->incident);
        change->what |= CHANGE_INCIDENT;
    }
    return incident_note_level(incident, entry->rule->scale.id, alarm->level);
}

/* ---- notices and ladders ---- */

void engine_settle(struct engine *engine, struct engine_alarm *entry, struct alarm_change *change) {
    struct alarm *alarm = &entry->alarm;
    bool rose = alarm->level > change->previous_level;
    bool standout = rose && join_incident(engine, entry, change);
    if ((alarm->level > 0) != (change->previous_level > 0)) {
        struct incident *incident = incidents_find(engine->incidents, alarm->incident);
        if (incident != NULL) {
            engine_count_members(engine, incident);
        }
    }
    if (!notice_is_wanted(alarm)) {
        alarm->notice = NOTICE_NONE;
    } else if (alarm->notice == NOTICE_NONE || rose) {
        bool room = notices_take(&engine->notices, &engine->alerting, standout, engine->now);
        alarm->notice = room ? NOTICE_GIVEN : NOTICE_DEFERRED;
        change->what |= CHANGE_NOTICE;
    }
    escalation_settle(alarm, engine->now);
}

static void give_deferred(struct engine *engine, struct engine_alarm *entry,
                          const struct engine_sink *sink) {
    struct alarm *alarm = &entry->alarm;
    struct event event = {.kind = EVENT_NOTICE, .change = alarm_change_begin(alarm)};
    event.change.what = CHANGE_NOTICE;
    if (alarm->notice == NOTICE_DEFERRED &&
        notices_take(&engine->notices, &engine->alerting, false, engine->now)) {
        alarm->notice = NOTICE_GIVEN;
        escalation_settle(alarm, engine->now);
        alarm_count_change(alarm, engine->now);
        engine_emit(engine, entry, &event, sink);
    }
}

void engine_call(struct engine *engine, struct engine_alarm *entry,
                 const struct engine_sink *sink) {
    struct alarm_around around = engine_around(engine, entry);
    struct escalation_call call;
    struct alarm_change change;
    give_deferred(engine, entry, sink);
    if (escalation_advance(&entry->alarm, &engine->alerting, engine->now, &change, &call)) {
        struct event event = {.kind = EVENT_ESCALATED, .change = change, .call = &call};
        engine_emit(engine, entry, &event, sink);
    }
    if (alarm_approval_overdue(&entry->alarm, &around, engine->now, &change)) {
        escalation_last(&engine->alerting, entry->alarm.level, engine->now, &call);
        struct event event = {.kind = EVENT_APPROVAL_OVERDUE, .change = change, .call = &call};
        engine_emit(engine, entry, &event, sink);
    }
}

int64_t engine_call_due_us(const struct engine *engine, const struct engine_alarm *entry) {
    int64_t due_us = escalation_due_us(&entry->alarm, &engine->alerting);
    if (entry->alarm.notice == NOTICE_DEFERRED) {
        int64_t room_us = notices_room_us(&engine->notices, &engine->alerting);
        due_us = room_us < due_us ? room_us : due_us;
    }
    return due_us;
}

/* ---- what ends by its time ---- */

/* Members leave an incident that is closed: a record, no event. */
static void close_incident(struct engine *engine, struct incident *incident,
                           const struct engine_sink *sink) {
    incident_close(incident, engine->now);
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        struct engine_alarm *entry = &engine->alarms[i];
        if (strcmp(entry->alarm.incident, incident->id) == 0) {
            entry->alarm.incident[0] = '\0';
            entry->alarm.revision++;
            engine_tell_record(engine, entry, sink);
        }
    }
}

void engine_set_maintenance(struct engine *engine, uint32_t station,
                            const struct alarm_override *maintenance,
                            const struct engine_sink *sink) {
    struct alarm_override *to = &engine->stations[station].maintenance;
    const struct station *config = &engine->site.stations[station];
    if (maintenance != NULL) {
        *to = *maintenance;
        if (to->until.mono.us < engine->next_due_us) {
            engine->next_due_us = to->until.mono.us;
        }
    } else { /* when it was is known on: readings of that time may still come */
        bool early = engine->now.mono.us < to->until.mono.us;
        *to = (struct alarm_override){.since = to->since, .until = early ? engine->now : to->until};
    }
    engine_forget_totals(engine, station); /* even if nothing is read meanwhile */
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        struct engine_alarm *entry = &engine->alarms[i];
        if (entry->place.kind == PLACE_STATION && entry->place.index == station) {
            engine_evaluate(engine, entry, sink);
        }
    }
    for (uint32_t i = 0; i < config->point_count; i++) {
        const struct engine_point *point = &engine->points[config->first_point + i];
        engine_evaluate_list(engine, &engine->point_alarms[point->first_alarm], point->alarm_count,
                             sink);
    }
}

void engine_end_maintenance(struct engine *engine, const struct engine_sink *sink) {
    for (uint32_t i = 0; i < engine->site.station_count; i++) {
        const struct alarm_override *maintenance = &engine->stations[i].maintenance;
        if (!maintenance->active) {
            continue;
        }
        if (engine->now.mono.us >= maintenance->until.mono.us) {
            engine_set_maintenance(engine, i, NULL, sink);
        } else if (maintenance->until.mono.us < engine->next_due_us) {
            engine->next_due_us = maintenance->until.mono.us;
        }
    }
}

void engine_close_incidents(struct engine *engine, const struct engine_sink *sink) {
    for (uint32_t i = 0; i < INCIDENTS_MAX; i++) {
        struct incident *incident = &engine->incidents->list[i];
        int64_t due_us = incident_due_us(incident, &engine->alerting);
        if (due_us <= engine->now.mono.us) {
            close_incident(engine, incident, sink);
        } else if (due_us < engine->next_due_us) {
            engine->next_due_us = due_us;
        }
    }
}
