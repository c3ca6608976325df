#include "alerts/incident.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"

const char *incident_state_name(enum incident_state state) {
    static const char *const names[INCIDENT_STATE_COUNT] = {"none", "open", "merged", "closed"};
    return (unsigned)state < INCIDENT_STATE_COUNT ? names[state] : "unknown";
}

struct incident *incidents_find(struct incidents *incidents, const char *id) {
    for (uint32_t i = 0; i < INCIDENTS_MAX && id[0] != '\0'; i++) {
        struct incident *incident = &incidents->list[i];
        if (incident->state != INCIDENT_NONE && strcmp(incident->id, id) == 0) {
            return incident;
        }
    }
    return NULL;
}

/* A free place, or that of the one that ended first. */
static struct incident *find_room(struct incidents *incidents) {
    struct incident *oldest = NULL;
    for (uint32_t i = 0; i < INCIDENTS_MAX; i++) {
        struct incident *incident = &incidents->list[i];
        if (incident->state == INCIDENT_NONE) {
            return incident;
        }
        if (incident->state != INCIDENT_OPEN &&
            (oldest == NULL || incident->ended.mono.us < oldest->ended.mono.us)) {
            oldest = incident;
        }
    }
    return oldest;
}

static void open_incident(struct incident *incident, const struct incident_entrant *entrant,
                          bool is_split, struct moment now) {
    char start[24];
    char transition[24];
    memset(incident, 0, sizeof *incident);
    (void)snprintf(start, sizeof start, "%" PRId64, entrant->episode_start.us);
    (void)snprintf(transition, sizeof transition, "%" PRIu64, entrant->transition);
    const char *const parts[] = {is_split ? "incident-split" : "incident",
                                 entrant->hazard,
                                 entrant->group,
                                 entrant->place,
                                 entrant->rule,
                                 start,
                                 transition};
    id_from_strings(parts, sizeof parts / sizeof parts[0], incident->id);
    incident->state = INCIDENT_OPEN;
    /* Ids of the site have the same bound as these. */
    (void)text_copy(incident->hazard, sizeof incident->hazard, entrant->hazard);
    (void)text_copy(incident->group, sizeof incident->group, entrant->group);
    (void)text_copy(incident->lead_rule, sizeof incident->lead_rule, entrant->rule);
    (void)text_copy(incident->lead_place, sizeof incident->lead_place, entrant->place);
    incident->is_split = is_split;
    incident->revision = 1;
    incident->started = now;
    incident->quiet_since = now;
}

struct incident *incidents_join(struct incidents *incidents, const struct incident_entrant *entrant,
                                struct moment now, bool *ret_opened) {
    struct incident *of_hazard = NULL;
    *ret_opened = false;
    for (uint32_t i = 0; i < INCIDENTS_MAX; i++) {
        struct incident *incident = &incidents->list[i];
        if (incident->is_split || strcmp(incident->hazard, entrant->hazard) != 0) {
            continue;
        }
        struct incident *target = incident;
        /* Merges make no circle (only an open one is merged into), but chains. */
        while (target != NULL && target->state == INCIDENT_MERGED) {
            target = incidents_find(incidents, target->merged_into);
        }
        if (target == NULL || target->state != INCIDENT_OPEN) {
            continue;
        }
        if (strcmp(incident->group, entrant->group) == 0) {
            target->revision++;
            return target;
        }
        of_hazard = target;
    }
    struct incident *incident = find_room(incidents);
    if (incident == NULL) {
        incidents->overflows += of_hazard == NULL;
        return of_hazard;
    }
    open_incident(incident, entrant, false, now);
    *ret_opened = true;
    return incident;
}

bool incident_note_level(struct incident *incident, const char *scale, uint8_t level) {
    for (uint32_t i = 0; i < incident->peak_count; i++) {
        struct incident_peak *peak = &incident->peaks[i];
        if (strcmp(peak->scale, scale) == 0) {
            bool higher = level > peak->level;
            peak->level = higher ? level : peak->level;
            return higher;
        }
    }
    if (incident->peak_count < INCIDENT_SCALES_MAX) {
        struct incident_peak *peak = &incident->peaks[incident->peak_count++];
        (void)text_copy(peak->scale, sizeof peak->scale, scale); /* the same bound */
        peak->level = level;
    }
    return true; /* a scale too many stands out always: rather too loud */
}

void incident_set_raised(struct incident *incident, uint32_t raised, struct moment now) {
    if (incident->raised == raised) {
        return;
    }
    incident->raised = raised;
    incident->revision++;
    if (raised == 0) {
        incident->quiet_since = now;
    }
}

int64_t incident_due_us(const struct incident *incident, const struct alerting *alerting) {
    if (incident->state != INCIDENT_OPEN || incident->raised > 0) {
        return INT64_MAX;
    }
    return incident->quiet_since.mono.us + alerting->incident_quiet_us;
}

void incident_close(struct incident *incident, struct moment now) {
    incident->state = INCIDENT_CLOSED;
    incident->ended = now;
    incident->revision++;
}

int incident_check_revision(const struct incident *incident, const struct command *command,
                            struct err *ret_err) {
    if (command->has_expected_revision && command->expected_revision != incident->revision) {
        return err_set(ret_err, ERR_STALE, "the incident has moved on: revision %llu, not %llu",
                       (unsigned long long)incident->revision,
                       (unsigned long long)command->expected_revision);
    }
    return 0;
}

static int check_person(const struct command *command, struct err *ret_err) {
    return command->actor[0] != '\0' && command->comment[0] != '\0'
               ? 0
               : err_set(ret_err, ERR_INVALID, "%s needs an actor and a reason",
                         command_kind_name(command->kind));
}

int incidents_merge(struct incidents *incidents, const struct command *command, struct moment now,
                    struct incident **ret_from, struct incident **ret_into, struct err *ret_err) {
    struct incident *from = incidents_find(incidents, command->incident);
    struct incident *into = incidents_find(incidents, command->into);
    int result = check_person(command, ret_err);
    if (result != 0) {
        return result;
    }
    if (from == NULL || into == NULL) {
        return err_set(ret_err, ERR_NOT_FOUND, "there is no incident %s",
                       from == NULL ? command->incident : command->into);
    }
    if (from == into || from->state != INCIDENT_OPEN || into->state != INCIDENT_OPEN) {
        return err_set(ret_err, ERR_INVALID,
                       "only two open incidents can be merged: they are %s and %s%s",
                       incident_state_name(from->state), incident_state_name(into->state),
                       from == into ? ", the same" : "");
    }
    result = incident_check_revision(from, command, ret_err);
    if (result != 0) {
        return result;
    }
    from->state = INCIDENT_MERGED;
    from->ended = now;
    from->revision++;
    memcpy(from->merged_into, into->id, sizeof from->merged_into);
    into->revision++;
    for (uint32_t i = 0; i < from->peak_count; i++) {
        (void)incident_note_level(into, from->peaks[i].scale, from->peaks[i].level);
    }
    *ret_from = from;
    *ret_into = into;
    return 0;
}

int incidents_split(struct incidents *incidents, const struct command *command,
                    const struct incident_entrant *entrant, struct incident *from,
                    struct moment now, struct incident **ret_new, struct err *ret_err) {
    int result = check_person(command, ret_err);
    if (result != 0) {
        return result;
    }
    if (from == NULL || from->state != INCIDENT_OPEN) {
        return err_set(ret_err, ERR_INVALID, "the alarm is in no open incident");
    }
    struct incident *incident = find_room(incidents);
    if (incident == NULL) {
        return err_set(ret_err, ERR_LIMIT, "%d incidents are open already", INCIDENTS_MAX);
    }
    open_incident(incident, entrant, true, now);
    (void)incident_note_level(incident, entrant->scale, entrant->level);
    from->revision++;
    *ret_new = incident;
    return 0;
}

int incident_attach(struct incident *incident, const struct command *command, struct moment now,
                    struct err *ret_err) {
    struct incident_attachment *to = NULL;
    if (command->actor[0] == '\0' ||
        (command->reference[0] == '\0' && command->comment[0] == '\0')) {
        return err_set(ret_err, ERR_INVALID, "attach needs an actor, and a reference or a comment");
    }
    if (incident->state != INCIDENT_OPEN) {
        return err_set(ret_err, ERR_INVALID, "the incident is %s",
                       incident_state_name(incident->state));
    }
    for (uint32_t i = 0; i < incident->attachment_count; i++) {
        if (strcmp(incident->attachments[i].kind, command->attachment) == 0) {
            to = &incident->attachments[i];
        }
    }
    if (to == NULL && incident->attachment_count == INCIDENT_ATTACHMENTS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "the incident has %d attachments already",
                       INCIDENT_ATTACHMENTS_MAX);
    }
    to = to == NULL ? &incident->attachments[incident->attachment_count++] : to;
    memset(to, 0, sizeof *to);
    (void)text_copy(to->kind, sizeof to->kind, command->attachment); /* the same bounds */
    (void)text_copy(to->reference, sizeof to->reference, command->reference);
    (void)text_copy(to->actor, sizeof to->actor, command->actor);
    (void)text_copy(to->comment, sizeof to->comment, command->comment);
    to->at = now.utc;
    incident->revision++;
    return 0;
}
