/* Escalation: who is called when an alarm stays unacknowledged. Each level has a ladder in time;
 * its rungs are called one after the other while the alarm is unacknowledged, noticed and not
 * muted. A higher level starts its ladder from the ground. Pure; state in struct alarm. */
#ifndef CANHBAO_ALERTS_ESCALATION_H
#define CANHBAO_ALERTS_ESCALATION_H

#include "alerts/alarm.h"
#include "alerts/alerting.h"

/* Somebody is to be called: part of an event. */
struct escalation_call {
    uint8_t step, of; /* from 1 */
    uint32_t role_count;
    const char *roles[LADDER_ROLES_MAX];
    const struct contact *contacts[LADDER_ROLES_MAX]; /* on call for the role; NULL: nobody */
};

/* Starts, restarts or stops the ladder as the alarm stands; after every other change of it, before
 * the change is told. */
void escalation_settle(struct alarm *alarm, struct moment now);

/* Takes the next rung when its time has come: true, the change and whom to call. */
bool escalation_advance(struct alarm *alarm, const struct alerting *alerting, struct moment now,
                        struct alarm_change *ret_change, struct escalation_call *ret_call);

/* The last rung of the ladder of a level, for a draft that nobody approves. */
void escalation_last(const struct alerting *alerting, uint8_t level, struct moment now,
                     struct escalation_call *ret_call);

/* Monotonic microseconds of the next rung; INT64_MAX: none. */
int64_t escalation_due_us(const struct alarm *alarm, const struct alerting *alerting);

/* Who has the role at a time; NULL: nobody. A dated entry goes before a standing one. */
const struct contact *escalation_on_call(const struct alerting *alerting, const char *role,
                                         struct utc_us at);

#endif
