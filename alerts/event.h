/* Events: one per transition of an alarm, with its evidence.
 *
 * A view shows one alarm with all that is needed to render it. Both point into the engine and the
 * site: valid during the callback that hands them out, copy what must live longer.
 * Thread rule: plain data; functions are pure. */
#ifndef CANHBAO_ALERTS_EVENT_H
#define CANHBAO_ALERTS_EVENT_H

#include "alerts/alarm.h"
#include "alerts/escalation.h"
#include "alerts/evidence.h"
#include "alerts/incident.h"
#include "alerts/rule.h"
#include "daemon/base/ids.h"

struct place {
    enum place_kind kind;
    const char *id; /* unique over stations and areas together: the Kafka key */
    const char *name_vi, *name_en;
    double latitude_deg, longitude_deg; /* WGS 84; NaN: not a point or not known */
    double radius_km;                   /* around it, that measurements stand for; 0: not told */
    bool provisional;
    const char *communes, *commune_codes; /* "a;b;c", codes where known; NULL or "": not told */
};

struct alarm_view {
    const struct rule *rule;
    struct place place;
    const struct alarm_levels *alarm_levels; /* of the place; NULL: none */
    const struct alarm *alarm;
    const struct indicator *indicators; /* [i] belongs to rule->indicators[i] */
    const struct incident *incident;    /* that the alarm belongs to; NULL: none */
    uint64_t sequence;                  /* newest of the place */
    char event_id[ID_TEXT_SIZE];        /* of the newest event of this alarm; "": none yet */
};

/* The headline of an event; `change.what` has every axis that moved. */
enum event_kind {
    EVENT_RAISED,
    EVENT_LOWERED,   /* the new level may be 0: an all-clear is only this */
    EVENT_ASSESSED,  /* first determined to be below all levels */
    EVENT_KNOWLEDGE, /* of a level that was determined before; see alarm.h for when it is told */
    EVENT_ACKNOWLEDGED,
    EVENT_SHELVED,
    EVENT_UNSHELVED,
    EVENT_OUT_OF_SERVICE,
    EVENT_IN_SERVICE,
    EVENT_OVERRIDE_ENDED, /* by its time */
    EVENT_COMMENTED,
    EVENT_RENEWED,
    EVENT_EXPIRED,
    EVENT_UPDATE_DUE,
    EVENT_SUPPRESSION, /* masking, suppression by design or maintenance began or ended, of a
                          standing level */
    EVENT_FLAPPING,    /* it is flapping, or not any more */
    EVENT_ACKNOWLEDGEMENT_ENDED, /* by its time */
    EVENT_NOTICE,                /* a deferred notice is given now */
    EVENT_ESCALATED,             /* event.call says whom to call */
    EVENT_APPROVAL_OVERDUE,      /* likewise */
    EVENT_CANCELLED,
    EVENT_APPROVED, /* by the first or, when published, the second person */
    EVENT_REJECTED,
    EVENT_MERGED,
    EVENT_SPLIT,
    EVENT_ATTACHED,
    EVENT_LATE, /* data that came late show a crossing inside a hole; the level is as it was */
    EVENT_KIND_COUNT
};

/* The highest level that late data show inside a hole, above the one before it, and its first
 * crossing of it. */
struct late_crossing {
    uint8_t level;
    struct utc_us at; /* when it was measured */
    double value;
    uint64_t seq; /* of the reading */
};

struct event {
    char id[ID_TEXT_SIZE]; /* see event_id() */
    enum event_kind kind;
    struct moment at;
    uint64_t input_number; /* of the input that caused it */
    uint64_t sequence;     /* per place, from 1, no gaps */
    struct alarm_change change;
    struct alarm_view view;             /* after the transition */
    const char *actor;                  /* of a command; NULL: the engine itself */
    const char *comment;                /* of a command; NULL: none */
    const struct late_crossing *late;   /* EVENT_LATE; else NULL */
    const struct escalation_call *call; /* ESCALATED, APPROVAL_OVERDUE: whom to call; else NULL */
};

/* hash(place, rule, rule revision, episode start, transition number) of the alarm as it stands. */
void event_id(const struct alarm *alarm, const struct rule *rule, const char *place,
              char ret_id[ID_TEXT_SIZE]);

/* The kind of an event that evidence or time brought about, or that a command did. Escalations name
 * themselves. */
enum event_kind event_kind_of_change(const struct alarm_change *change, const struct alarm *alarm);
enum event_kind event_kind_of_command(enum command_kind kind);

/* "raised", "lowered", ... as published. Never NULL. */
const char *event_kind_name(enum event_kind kind);

/* True when any evidence of the view was put in by hand or by a simulator. */
bool view_is_simulated(const struct alarm_view *view);
/* The rule, the place, or what the rule compares with is not certain. */
bool view_is_provisional(const struct alarm_view *view);

#endif
