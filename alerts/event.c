#include "alerts/event.h"

#include <inttypes.h>
#include <stdio.h>

void event_id(const struct alarm *alarm, const struct rule *rule, const char *place,
              char ret_id[ID_TEXT_SIZE]) {
    char start[24];
    char transition[24];
    (void)snprintf(start, sizeof start, "%" PRId64, alarm->episode_start.us);
    (void)snprintf(transition, sizeof transition, "%" PRIu64, alarm->transition);
    const char *const strings[] = {place, rule->id, rule->revision, start, transition};
    id_from_strings(strings, sizeof strings / sizeof strings[0], ret_id);
}

enum event_kind event_kind_of_change(const struct alarm_change *change, const struct alarm *alarm) {
    if ((change->what & CHANGE_LEVEL) != 0) {
        if (alarm->level > change->previous_level) {
            return EVENT_RAISED;
        }
        return alarm->level < change->previous_level ? EVENT_LOWERED : EVENT_ASSESSED;
    }
    if ((change->what & CHANGE_ANNUNCIATION) != 0) {
        return EVENT_ACKNOWLEDGEMENT_ENDED; /* nothing but time or a level takes it away */
    }
    if (change->ended_by_time || change->suppression) {
        return change->ended_by_time ? EVENT_OVERRIDE_ENDED : EVENT_SUPPRESSION;
    }
    if ((change->what & CHANGE_PUBLICATION) != 0) {
        return alarm->publication == PUBLICATION_EXPIRED      ? EVENT_EXPIRED
               : alarm->publication == PUBLICATION_UPDATE_DUE ? EVENT_UPDATE_DUE
                                                              : EVENT_RENEWED;
    }
    if ((change->what & CHANGE_FLAPPING) != 0) {
        return EVENT_FLAPPING;
    }
    if ((change->what & CHANGE_NOTICE) != 0) {
        return EVENT_NOTICE;
    }
    return EVENT_KNOWLEDGE;
}

enum event_kind event_kind_of_command(enum command_kind kind) {
    switch (kind) {
    case COMMAND_ACKNOWLEDGE:
        return EVENT_ACKNOWLEDGED;
    case COMMAND_SHELVE:
        return EVENT_SHELVED;
    case COMMAND_UNSHELVE:
        return EVENT_UNSHELVED;
    case COMMAND_OUT_OF_SERVICE:
        return EVENT_OUT_OF_SERVICE;
    case COMMAND_IN_SERVICE:
        return EVENT_IN_SERVICE;
    case COMMAND_CANCEL:
        return EVENT_CANCELLED;
    case COMMAND_APPROVE:
        return EVENT_APPROVED;
    case COMMAND_REJECT:
        return EVENT_REJECTED;
    case COMMAND_MERGE:
        return EVENT_MERGED;
    case COMMAND_SPLIT:
        return EVENT_SPLIT;
    case COMMAND_ATTACH:
        return EVENT_ATTACHED;
    default:
        return EVENT_COMMENTED;
    }
}

const char *event_kind_name(enum event_kind kind) {
    static const char *const names[EVENT_KIND_COUNT] = {
        [EVENT_RAISED] = "raised",
        [EVENT_LOWERED] = "lowered",
        [EVENT_ASSESSED] = "assessed",
        [EVENT_KNOWLEDGE] = "knowledge",
        [EVENT_ACKNOWLEDGED] = "acknowledged",
        [EVENT_SHELVED] = "shelved",
        [EVENT_UNSHELVED] = "unshelved",
        [EVENT_OUT_OF_SERVICE] = "out_of_service",
        [EVENT_IN_SERVICE] = "in_service",
        [EVENT_OVERRIDE_ENDED] = "override_ended",
        [EVENT_COMMENTED] = "commented",
        [EVENT_RENEWED] = "renewed",
        [EVENT_EXPIRED] = "expired",
        [EVENT_UPDATE_DUE] = "update_due",
        [EVENT_SUPPRESSION] = "suppression",
        [EVENT_FLAPPING] = "flapping",
        [EVENT_ACKNOWLEDGEMENT_ENDED] = "acknowledgement_ended",
        [EVENT_NOTICE] = "notice",
        [EVENT_ESCALATED] = "escalated",
        [EVENT_APPROVAL_OVERDUE] = "approval_overdue",
        [EVENT_CANCELLED] = "cancelled",
        [EVENT_APPROVED] = "approved",
        [EVENT_REJECTED] = "rejected",
        [EVENT_MERGED] = "merged",
        [EVENT_SPLIT] = "split",
        [EVENT_ATTACHED] = "attached",
        [EVENT_LATE] = "late",
    };
    return (unsigned)kind < EVENT_KIND_COUNT ? names[kind] : "unknown";
}

bool view_is_simulated(const struct alarm_view *view) {
    for (uint32_t i = 0; i < view->rule->indicator_count; i++) {
        const struct indicator *indicator = &view->indicators[i];
        if (indicator->cause == CAUSE_SIMULATED || indicator->newest.simulated) {
            return true;
        }
    }
    return false;
}

static bool asks_historic_peak(const struct rule *rule) {
    for (uint32_t i = 0; i < rule->node_count; i++) {
        if (rule->nodes[i].station_level == STATION_LEVEL_HISTORIC) {
            return true;
        }
    }
    return false;
}

bool view_is_provisional(const struct alarm_view *view) {
    const struct alarm_levels *levels = view->alarm_levels;
    return view->rule->provisional || view->place.provisional ||
           (levels != NULL && (levels->provisional ||
                               (levels->historic_provisional && asks_historic_peak(view->rule))));
}
