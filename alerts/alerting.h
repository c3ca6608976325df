/* How people are called: what the site's configuration says about approval, incidents, notices,
 * escalation and who is on call. Filled by the configuration, constant afterwards; the decision
 * core reads it. Thread rule: constant after load. */
#ifndef CANHBAO_ALERTS_ALERTING_H
#define CANHBAO_ALERTS_ALERTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/station/station.h"

enum {
    LADDERS_MAX = 8,
    LADDER_STEPS_MAX = 8,
    LADDER_ROLES_MAX = 4,
    CONTACTS_MAX = 256,
    DUTIES_MAX = 4096,
    NOTICES_MAX = 64,
    CONTACT_ADDRESS_SIZE = 64
};

struct ladder_step {
    int64_t after_us; /* unacknowledged for so long; ascending */
    uint32_t role_count;
    char roles[LADDER_ROLES_MAX][STATION_ID_SIZE];
};

/* The rungs for levels from `from_level` up to that of the next ladder. */
struct ladder {
    uint8_t from_level;
    uint32_t step_count;
    struct ladder_step steps[LADDER_STEPS_MAX];
};

struct contact {
    char id[STATION_ID_SIZE];
    char name[STATION_NAME_SIZE];
    char address[CONTACT_ADDRESS_SIZE]; /* as the SMS service wants it; may be empty */
};

/* Who has a role when. An entry without times always holds, where no other one does. */
struct duty {
    char role[STATION_ID_SIZE];
    uint32_t contact;          /* in alerting.contacts */
    struct utc_us from, until; /* [from, until); both 0: standing */
};

struct alerting {
    uint8_t approval_from; /* levels from here on are public only when two people agree; 0: never */
    int64_t approval_timeout_us;
    bool approval_in_exercises;

    int64_t incident_quiet_us; /* an incident without a raised member for so long is closed */

    uint32_t notices_max; /* in notices_window_us, but for standouts; 0: no bound */
    int64_t notices_window_us;

    struct ladder *ladders; /* ascending by from_level */
    size_t ladder_count;
    struct contact *contacts;
    size_t contact_count;
    struct duty *duties;
    size_t duty_count;
};

#endif
