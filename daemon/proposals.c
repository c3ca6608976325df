#include "daemon/proposals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/tables/grade.h"
#include "daemon/base/text.h"

enum { HAZARDS_MAX = 16, ARTICLE = 4 };

/* The hazards that stand in one group. */
struct group {
    const char *id;
    const char *hazards[HAZARDS_MAX];
    size_t hazard_count;
};

struct standing {
    struct group *groups;
    size_t group_count, room;
    json_t *list; /* of proposals; NULL while the groups are gathered */
    bool failed;
};

static bool stands(const struct alarm_view *view) {
    return view->alarm->assessed && view->alarm->level > 0 && view->incident != NULL &&
           !alarm_is_muted(view->alarm);
}

static struct group *group_of(struct standing *standing, const char *id) {
    for (size_t i = 0; i < standing->group_count; i++) {
        if (strcmp(standing->groups[i].id, id) == 0) {
            return &standing->groups[i];
        }
    }
    return NULL;
}

static int gather(void *ctx, const struct alarm_view *view) {
    struct standing *standing = ctx;
    if (!stands(view)) {
        return 0;
    }
    struct group *group = group_of(standing, view->incident->group);
    if (group == NULL) {
        if (standing->group_count == standing->room) {
            size_t room = standing->room == 0 ? 16 : 2 * standing->room;
            struct group *grown = realloc(standing->groups, room * sizeof *grown);
            if (grown == NULL) {
                standing->failed = true;
                return 1;
            }
            standing->groups = grown;
            standing->room = room;
        }
        group = &standing->groups[standing->group_count++];
        *group = (struct group){.id = view->incident->group};
    }
    for (size_t i = 0; i < group->hazard_count; i++) {
        if (strcmp(group->hazards[i], view->rule->hazard) == 0) {
            return 0;
        }
    }
    if (group->hazard_count < HAZARDS_MAX) {
        group->hazards[group->hazard_count++] = view->rule->hazard;
    }
    return 0;
}

/* What a person decided about a raise to `proposed`; null: nothing yet. */
static json_t *decision_of(const struct incident *incident, uint8_t proposed) {
    for (uint32_t i = 0; i < incident->attachment_count; i++) {
        const struct incident_attachment *attachment = &incident->attachments[i];
        bool accepted;
        int level;
        char at[32];
        if (strcmp(attachment->kind, COMMAND_RISK_RAISE) == 0 &&
            decision_parse(attachment->reference, &accepted, &level) == 0 && level >= proposed) {
            text_format_time(attachment->at.us, at, sizeof at);
            return json_pack("{s:s,s:i,s:s,s:s,s:s}", "state", accepted ? "accepted" : "refused",
                             "level", level, "actor", attachment->actor, "at", at, "reason",
                             attachment->comment);
        }
    }
    return json_null();
}

static int propose(void *ctx, const struct alarm_view *view) {
    struct standing *standing = ctx;
    const struct group *group = stands(view) ? group_of(standing, view->incident->group) : NULL;
    if (group == NULL || group->hazard_count < 2 || view->rule->scale.kind != SCALE_RISK) {
        return 0;
    }
    uint8_t level = view->alarm->level;
    uint8_t raised = risk_raise_allowed(level, true, false);
    char vi[256], en[256];
    json_t *with = json_array();
    for (size_t i = 0; i < group->hazard_count; i++) {
        if (strcmp(group->hazards[i], view->rule->hazard) != 0) {
            json_array_append_new(with, json_string(group->hazards[i]));
        }
    }
    (void)snprintf(vi, sizeof vi,
                   "Nhiều thiên tai cùng lúc: có thể nâng cấp độ rủi ro từ %u lên %u (Điều 4). "
                   "Người trực ban quyết định.",
                   level, raised);
    (void)snprintf(en, sizeof en,
                   "Several hazards at once: the risk level may be raised from %u to %u (Art. 4). "
                   "The duty chief decides.",
                   level, raised);
    json_array_append_new(
        standing->list,
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:s,s:i,s:i,s:i,s:o,s:i,s:s,s:s,s:o}", "rule",
                  view->rule->id, "place", view->place.id, "group", group->id, "hazard",
                  view->rule->hazard, "incident", view->incident->id, "incident_revision",
                  (json_int_t)view->incident->revision, "scale", view->rule->scale.id, "level",
                  (int)level, "proposed_level", (int)raised, "if_serious_level",
                  (int)risk_raise_allowed(level, true, true), "with", with, "article", ARTICLE,
                  "text_vi", vi, "text_en", en, "decision", decision_of(view->incident, raised)));
    return 0;
}

json_t *proposals_value(const struct engine *engine) {
    struct standing standing = {.groups = NULL};
    (void)engine_visit_alarms(engine, gather, &standing);
    standing.list = standing.failed ? NULL : json_array();
    if (standing.list != NULL) {
        (void)engine_visit_alarms(engine, propose, &standing); /* never stops */
    }
    free(standing.groups);
    return standing.list;
}
