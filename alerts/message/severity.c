#include "alerts/message/severity.h"

#include <math.h>
#include <string.h>

#define HOUR_US (INT64_C(3600) * 1000000)

enum bulletin bulletin_of_event(const struct event *event) {
    const struct alarm *alarm = event->view.alarm;
    bool draft = alarm->publication == PUBLICATION_DRAFT;
    bool stands = alarm->level > 0 && !draft;
    switch (event->kind) {
    case EVENT_RAISED:
        return draft ? BULLETIN_NONE : BULLETIN_RAISED;
    case EVENT_APPROVED:
        return stands && alarm->publication == PUBLICATION_ISSUED ? BULLETIN_RAISED : BULLETIN_NONE;
    case EVENT_LOWERED:
        return alarm->level == 0 ? BULLETIN_CLEARED : draft ? BULLETIN_NONE : BULLETIN_LOWERED;
    case EVENT_RENEWED:
        return stands ? BULLETIN_RENEWED : BULLETIN_NONE;
    case EVENT_EXPIRED:
        return stands ? BULLETIN_EXPIRED : BULLETIN_NONE;
    case EVENT_CANCELLED:
        return alarm->level > 0 ? BULLETIN_CANCELLED : BULLETIN_NONE;
    default:
        return BULLETIN_NONE;
    }
}

enum severity severity_of_level(const struct rule *rule, uint32_t level) {
    static const enum severity flood[] = {SEVERITY_MINOR, SEVERITY_MODERATE, SEVERITY_SEVERE,
                                          SEVERITY_EXTREME};
    static const enum severity risk[] = {SEVERITY_MINOR,  SEVERITY_MINOR,   SEVERITY_MODERATE,
                                         SEVERITY_SEVERE, SEVERITY_EXTREME, SEVERITY_EXTREME};
    uint32_t count = rule->scale.level_count;
    bool deadly = strcmp(rule->hazard, "chemical") == 0 || strcmp(rule->hazard, "radiation") == 0;
    if (rule->scale.kind == SCALE_FLOOD_ALARM) {
        return flood[level < 3 ? level : 3];
    }
    if (rule->scale.kind == SCALE_RISK) {
        return risk[level < 5 ? level : 5];
    }
    if (level == 0) {
        return SEVERITY_MINOR;
    }
    if (count < 3) {
        return level >= count ? SEVERITY_MODERATE : SEVERITY_MINOR;
    }
    if (level >= count) {
        return deadly ? SEVERITY_EXTREME : SEVERITY_SEVERE;
    }
    if (level + 1 == count && deadly) {
        return SEVERITY_SEVERE;
    }
    return 2 * level >= count ? SEVERITY_MODERATE : SEVERITY_MINOR;
}

const char *severity_name(enum severity severity) {
    static const char *const names[] = {"Minor", "Moderate", "Severe", "Extreme"};
    return (unsigned)severity < 4 ? names[severity] : "Unknown";
}

const char *urgency_name(const struct event *event) {
    const struct rule *rule = event->view.rule;
    uint32_t level = event->view.alarm->level;
    int64_t lead_us = INT64_MAX;
    if (event->kind == EVENT_EXPIRED || event->kind == EVENT_CANCELLED) {
        return "Unknown";
    }
    if (level == 0) {
        return "Past";
    }
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        const struct indicator_spec *spec = &rule->indicators[i];
        int64_t own_us = spec->kind == INDICATOR_MODEL ? spec->lead_us : 0;
        lead_us = own_us < lead_us ? own_us : lead_us;
    }
    if (lead_us == 0) {
        return severity_of_level(rule, level) >= SEVERITY_SEVERE ? "Immediate" : "Expected";
    }
    return lead_us <= HOUR_US ? "Expected" : "Future";
}

const char *certainty_name(const struct event *event) {
    const struct alarm *alarm = event->view.alarm;
    const struct indicator_spec *spec = &event->view.rule->indicators[0];
    double probability = event->view.indicators[0].model.probability;
    if (alarm->knowledge == KNOWLEDGE_STALE || alarm->knowledge == KNOWLEDGE_UNKNOWN) {
        return "Unknown";
    }
    if (alarm->knowledge == KNOWLEDGE_DOUBTFUL) {
        return "Possible";
    }
    if (spec->kind != INDICATOR_MODEL) {
        return "Observed";
    }
    return spec->lead_us == 0 || probability >= 0.5 ? "Likely" : "Possible";
}

uint32_t event_indicator(const struct event *event) {
    for (uint32_t i = 0; i < event->view.rule->indicator_count; i++) {
        if (isfinite(event->view.indicators[i].value)) {
            return i;
        }
    }
    return 0;
}

double event_threshold(const struct event *event, uint32_t level, uint32_t indicator) {
    const struct rule *rule = event->view.rule;
    const struct alarm_levels *marks = event->view.alarm_levels;
    for (uint32_t i = 0; i < rule->level_count; i++) {
        const struct rule_level *at = &rule->levels[i];
        for (uint32_t n = 0; at->level == level && n < at->node_count; n++) {
            const struct rule_node *node = &rule->nodes[at->first_node + n];
            struct utc_us at_time = event->view.indicators[indicator].observed.utc;
            if (node->kind != NODE_COMPARE || node->indicator != indicator ||
                (node->row > 0 && node->row <= rule->row_count &&
                 !rule_row_in_force(&rule->rows[node->row - 1], at_time))) {
                continue;
            }
            return rule_threshold(node, marks);
        }
    }
    return NAN;
}
