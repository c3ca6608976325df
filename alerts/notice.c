#include "alerts/notice.h"

#include <string.h>

bool notice_is_wanted(const struct alarm *alarm) {
    return alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED && alarm->level > 0 &&
           !alarm_is_muted(alarm);
}

int64_t notices_room_us(const struct notices *notices, const struct alerting *alerting) {
    if (alerting->notices_max == 0 || notices->count < alerting->notices_max) {
        return INT64_MIN;
    }
    return notices->given[notices->count - alerting->notices_max].us + alerting->notices_window_us;
}

bool notices_take(struct notices *notices, const struct alerting *alerting, bool standout,
                  struct moment now) {
    if (!standout && now.mono.us < notices_room_us(notices, alerting)) {
        return false;
    }
    if (notices->count == NOTICES_MAX) {
        notices->count--;
        memmove(notices->given, notices->given + 1, notices->count * sizeof notices->given[0]);
    }
    notices->given[notices->count++] = now.mono;
    return true;
}
