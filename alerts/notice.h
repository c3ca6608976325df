/* Notices: how often people are called away from what they do. At most so many in a window of time;
 * what comes on top is deferred, never dropped: it is given as soon as there is room. Standouts
 * (the first alarm of an incident, and each that is higher than all before it) always pass, and
 * count. Pure; plain data. */
#ifndef CANHBAO_ALERTS_NOTICE_H
#define CANHBAO_ALERTS_NOTICE_H

#include "alerts/alarm.h"
#include "alerts/alerting.h"

struct notices {
    uint32_t count;
    struct mono_us given[NOTICES_MAX]; /* the newest ones, oldest first */
};

/* True: the notice may be given now, and is counted. */
bool notices_take(struct notices *notices, const struct alerting *alerting, bool standout,
                  struct moment now);

/* Monotonic microseconds from which there is room; INT64_MIN: there always was. */
int64_t notices_room_us(const struct notices *notices, const struct alerting *alerting);

/* Whether the alarm is one that people are to look at now. */
bool notice_is_wanted(const struct alarm *alarm);

#endif
