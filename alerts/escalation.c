#include "alerts/escalation.h"

#include <string.h>

#include "alerts/alarm_change.h"

static const struct ladder *ladder_of(const struct alerting *alerting, uint8_t level) {
    const struct ladder *found = NULL;
    for (size_t i = 0; i < alerting->ladder_count; i++) {
        if (alerting->ladders[i].from_level <= level) {
            found = &alerting->ladders[i];
        }
    }
    return found;
}

const struct contact *escalation_on_call(const struct alerting *alerting, const char *role,
                                         struct utc_us at) {
    const struct contact *standing = NULL;
    for (size_t i = 0; i < alerting->duty_count; i++) {
        const struct duty *duty = &alerting->duties[i];
        if (strcmp(duty->role, role) != 0) {
            continue;
        }
        if (duty->until.us == 0) {
            standing = standing == NULL ? &alerting->contacts[duty->contact] : standing;
        } else if (at.us >= duty->from.us && at.us < duty->until.us) {
            return &alerting->contacts[duty->contact];
        }
    }
    return standing;
}

void escalation_settle(struct alarm *alarm, struct moment now) {
    struct alarm_escalation *escalation = &alarm->escalation;
    if (alarm->notice != NOTICE_GIVEN) {
        *escalation = (struct alarm_escalation){.running = false};
    } else if (!escalation->running || alarm->level > escalation->level) {
        *escalation =
            (struct alarm_escalation){.running = true, .level = alarm->level, .since = now};
    }
}

static void call(const struct alerting *alerting, const struct ladder *ladder, uint8_t step,
                 struct moment now, struct escalation_call *ret_call) {
    const struct ladder_step *rung = &ladder->steps[step];
    *ret_call = (struct escalation_call){.step = (uint8_t)(step + 1),
                                         .of = (uint8_t)ladder->step_count,
                                         .role_count = rung->role_count};
    for (uint32_t i = 0; i < rung->role_count; i++) {
        ret_call->roles[i] = rung->roles[i];
        ret_call->contacts[i] = escalation_on_call(alerting, rung->roles[i], now.utc);
    }
}

bool escalation_advance(struct alarm *alarm, const struct alerting *alerting, struct moment now,
                        struct alarm_change *ret_change, struct escalation_call *ret_call) {
    if (now.mono.us < escalation_due_us(alarm, alerting)) {
        return false;
    }
    struct alarm_change change = alarm_change_begin(alarm);
    call(alerting, ladder_of(alerting, alarm->escalation.level), alarm->escalation.step, now,
         ret_call);
    alarm->escalation.step++;
    change.what = CHANGE_ESCALATION;
    alarm_change_finish(alarm, now, 0, &change);
    *ret_change = change;
    return true;
}

void escalation_last(const struct alerting *alerting, uint8_t level, struct moment now,
                     struct escalation_call *ret_call) {
    const struct ladder *ladder = ladder_of(alerting, level);
    *ret_call = (struct escalation_call){.step = 0};
    if (ladder != NULL) {
        call(alerting, ladder, (uint8_t)(ladder->step_count - 1), now, ret_call);
    }
}

int64_t escalation_due_us(const struct alarm *alarm, const struct alerting *alerting) {
    const struct alarm_escalation *escalation = &alarm->escalation;
    const struct ladder *ladder =
        escalation->running ? ladder_of(alerting, escalation->level) : NULL;
    if (ladder == NULL || escalation->step >= ladder->step_count) {
        return INT64_MAX;
    }
    return escalation->since.mono.us + ladder->steps[escalation->step].after_us;
}
