/* The three bulletins of a flood, and when the next one is due.
 *
 * Triggers: Decision 18/2021/QĐ-TTg Art. 14, as quoted by law offices (not read in the Official
 * Gazette): a warning (tin cảnh báo lũ) when the stage may reach flood alarm level I, or has and
 * still rises; a bulletin (tin lũ) from level II on, rising or falling; an emergency bulletin (tin
 * lũ khẩn cấp) from level III on, rising or falling.
 * Hours of issue: the table bulletin_hours (alerts/tables), of rivers other than the Hồng, Thái
 * Bình and Cửu Long. A warning has no fixed hours. Hours are Vietnamese time, UTC+7. Thread rule:
 * pure. */
#ifndef CANHBAO_ALERTS_FLOOD_BULLETIN_H
#define CANHBAO_ALERTS_FLOOD_BULLETIN_H

#include <stdint.h>

#include "alerts/alarm.h"
#include "alerts/rule.h"

enum flood_bulletin {
    FLOOD_BULLETIN_NONE,
    FLOOD_BULLETIN_WARNING,
    FLOOD_BULLETIN_FLOOD,
    FLOOD_BULLETIN_EMERGENCY,
    FLOOD_BULLETIN_COUNT
};

/* Which one an alarm on the flood alarm scale asks for; NONE on other scales and below level I, and
 * at level I when the stage does not rise. `just_raised`: its level rose just now. */
enum flood_bulletin flood_bulletin_of(const struct rule *rule, const struct alarm *alarm,
                                      bool just_raised);

/* Whether the rule looks only at what models foretell. */
bool flood_bulletin_is_forecast(const struct rule *rule);

/* The hours that are in force for a level; NULL: there are none. */
const struct rule_issue *flood_bulletin_issue(const struct rule *rule, uint32_t level,
                                              struct utc_us at);

/* UTC of the next hour of issue more than `least_us` after `after`; INT64_MAX: no fixed hours at
 * this level, or another scale. */
int64_t flood_bulletin_next_us(const struct rule *rule, uint32_t level, struct utc_us after,
                               int64_t least_us);

/* "", "flood_warning", "flood", "emergency_flood". Never NULL. */
const char *flood_bulletin_name(enum flood_bulletin bulletin);

#endif
