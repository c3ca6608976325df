/* Incidents: many alarms, one event. The alarms of one hazard in one group (basin, site of a
 * release) that overlap in time are one incident; people merge and split them. A rule may say that
 * its alarms belong to the incident of another hazard (rule.incident_with).
 *
 * An incident opens with the first raise of a hazard in a group, takes in every further one, and
 * closes when none of its members has been raised for a while. A merged incident hands its key to
 * the one it went into. One that was split off takes in nobody. Models attach what belongs to an
 * incident but is no alarm: a computed plume, a traced region, by the hash of their run.
 *
 * Who is a member is the owner's (struct alarm.incident). Pure; no allocation. */
#ifndef CANHBAO_ALERTS_INCIDENT_H
#define CANHBAO_ALERTS_INCIDENT_H

#include "alerts/alerting.h"
#include "daemon/base/clock.h"
#include "daemon/base/ids.h"
#include "daemon/station/command.h"

enum { INCIDENTS_MAX = 256, INCIDENT_ATTACHMENTS_MAX = 4, INCIDENT_SCALES_MAX = 8 };

enum incident_state {
    INCIDENT_NONE,
    INCIDENT_OPEN,
    INCIDENT_MERGED,
    INCIDENT_CLOSED,
    INCIDENT_STATE_COUNT
};

struct incident_attachment {
    char kind[STATION_ID_SIZE];     /* "plume", "trace", ...; a newer one of the kind replaces */
    char reference[HASH_TEXT_SIZE]; /* of the run; empty: see comment */
    char actor[COMMAND_ACTOR_SIZE];
    char comment[COMMAND_TEXT_SIZE];
    struct utc_us at;
};

struct incident_peak { /* levels of different scales cannot be compared */
    char scale[STATION_ID_SIZE];
    uint8_t level;
};

struct incident {
    enum incident_state state;
    char id[ID_TEXT_SIZE];
    char hazard[STATION_ID_SIZE];
    char group[STATION_ID_SIZE];
    char lead_rule[STATION_ID_SIZE]; /* the alarm that opened it */
    char lead_place[STATION_ID_SIZE];
    bool is_split;
    char merged_into[ID_TEXT_SIZE]; /* MERGED */
    uint64_t revision;              /* counts changes; commands may name the one they saw */
    struct moment started;
    struct moment ended;       /* MERGED, CLOSED */
    uint32_t raised;           /* members with a level above 0 */
    struct moment quiet_since; /* OPEN without a raised member */
    uint32_t peak_count;
    struct incident_peak peaks[INCIDENT_SCALES_MAX];
    uint32_t attachment_count;
    struct incident_attachment attachments[INCIDENT_ATTACHMENTS_MAX];
};

struct incidents {
    struct incident list[INCIDENTS_MAX]; /* INCIDENT_NONE: free */
    uint64_t overflows; /* alarms that found neither a place nor an incident of their hazard */
};

/* What an alarm brings along. */
struct incident_entrant {
    const char *hazard, *group, *rule, *place, *scale;
    struct utc_us episode_start;
    uint64_t transition;
    uint8_t level;
};

struct incident *incidents_find(struct incidents *incidents, const char *id); /* NULL */

/* The open incident that an alarm belongs to, opened if need be (ret_opened). With all places taken
 * by open ones: another open one of the hazard; NULL when there is none (counted). */
struct incident *incidents_join(struct incidents *incidents, const struct incident_entrant *entrant,
                                struct moment now, bool *ret_opened);

/* A member has this level: true when it is higher than any before on its scale. */
bool incident_note_level(struct incident *incident, const char *scale, uint8_t level);

/* The number of raised members changed. */
void incident_set_raised(struct incident *incident, uint32_t raised, struct moment now);
/* Monotonic microseconds at which it is closed if nobody rises; INT64_MAX: not by time. */
int64_t incident_due_us(const struct incident *incident, const struct alerting *alerting);
void incident_close(struct incident *incident, struct moment now);

/* People. 0, or ERR_NOT_FOUND, ERR_STALE (expected revision), ERR_INVALID with a sentence and no
 * change. The owner moves the members. */
int incidents_merge(struct incidents *incidents, const struct command *command, struct moment now,
                    struct incident **ret_from, struct incident **ret_into, struct err *ret_err);
int incidents_split(struct incidents *incidents, const struct command *command,
                    const struct incident_entrant *entrant, struct incident *from,
                    struct moment now, struct incident **ret_new, struct err *ret_err);
int incident_attach(struct incident *incident, const struct command *command, struct moment now,
                    struct err *ret_err);
int incident_check_revision(const struct incident *incident, const struct command *command,
                            struct err *ret_err);

/* "open", ... Never NULL. */
const char *incident_state_name(enum incident_state state);

#endif
