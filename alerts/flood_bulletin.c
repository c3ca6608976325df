#include "alerts/flood_bulletin.h"

#include <stddef.h>

#define MINUTE_US (INT64_C(60) * 1000000)
#define DAY_US    (INT64_C(1440) * MINUTE_US)
enum { VIETNAM_OFFSET_MIN = 420 };

bool flood_bulletin_is_forecast(const struct rule *rule) {
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        if (rule->indicators[i].kind != INDICATOR_MODEL || rule->indicators[i].lead_us == 0) {
            return false;
        }
    }
    return true;
}

enum flood_bulletin flood_bulletin_of(const struct rule *rule, const struct alarm *alarm,
                                      bool just_raised) {
    if (rule->scale.kind != SCALE_FLOOD_ALARM || alarm->level == 0) {
        return FLOOD_BULLETIN_NONE;
    }
    if (flood_bulletin_is_forecast(rule)) {
        return FLOOD_BULLETIN_WARNING; /* it may reach the level */
    }
    if (alarm->level == 1) {
        return just_raised || alarm->trend == TREND_RISING ? FLOOD_BULLETIN_WARNING
                                                           : FLOOD_BULLETIN_NONE;
    }
    return alarm->level == 2 ? FLOOD_BULLETIN_FLOOD : FLOOD_BULLETIN_EMERGENCY;
}

const struct rule_issue *flood_bulletin_issue(const struct rule *rule, uint32_t level,
                                              struct utc_us at) {
    const struct rule_issue *found = NULL;
    for (uint32_t i = 0; i < rule->issue_count; i++) {
        const struct rule_issue *issue = &rule->issues[i];
        if (issue->from_level <= level &&
            (found == NULL || issue->from_level > found->from_level) &&
            rule_row_in_force(&rule->rows[issue->row - 1], at)) {
            found = issue;
        }
    }
    return found;
}

int64_t flood_bulletin_next_us(const struct rule *rule, uint32_t level, struct utc_us after,
                               int64_t least_us) {
    const struct rule_issue *issue = flood_bulletin_issue(rule, level, after);
    if (rule->scale.kind != SCALE_FLOOD_ALARM || issue == NULL ||
        flood_bulletin_is_forecast(rule)) {
        return INT64_MAX;
    }
    int64_t local_us = after.us + VIETNAM_OFFSET_MIN * MINUTE_US;
    int64_t midnight_us = local_us - local_us % DAY_US; /* stamps are after 1970 */
    for (int64_t day = 0; day < 2; day++) {
        for (uint8_t i = 0; i < issue->count; i++) {
            int64_t at_us = midnight_us + day * DAY_US + issue->minutes[i] * MINUTE_US;
            if (at_us > local_us + least_us) {
                return at_us - VIETNAM_OFFSET_MIN * MINUTE_US;
            }
        }
    }
    return INT64_MAX; /* not reached with `least_us` below half a day */
}

const char *flood_bulletin_name(enum flood_bulletin bulletin) {
    static const char *const names[FLOOD_BULLETIN_COUNT] = {"", "flood_warning", "flood",
                                                            "emergency_flood"};
    return (unsigned)bulletin < FLOOD_BULLETIN_COUNT ? names[bulletin] : "";
}
