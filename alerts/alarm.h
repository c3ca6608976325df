/* The alarm of one (rule, place): a pure state machine with axes that are never folded into one.
 *
 *   condition     level on the rule's scale, and trend
 *   knowledge     fresh, doubtful, stale, unknown; since when and why
 *   annunciation  normal, unacknowledged, acknowledged, returned-unacknowledged
 *   override      out of service > maintenance > suppressed by design > masked by a parent >
 *                 on-delay > shelved > off-delay; each with actor, reason, end
 *   publication   none, draft, issued, update due, expired, cancelled
 *   incident      which event it belongs to (incident.h)
 *
 * What holds, whatever comes in:
 *   - A level rises as soon as its condition is true for its on-delay; unknown neither resets nor
 *     completes an on-delay.
 *   - A level falls only when its condition (with hysteresis) is false by fresh good evidence newer
 *     than what raised it, and stays so, by evidence, for its off-delay. The off-delay is measured
 *     between the stamps of the evidence: silence never lowers anything.
 *   - Anything else changes knowledge and keeps the last level. Doubtful with a level that usable
 *     evidence reaches means "at least": what is above it cannot be judged.
 *   - An acknowledgement covers levels up to the acknowledged one in that episode, until it lapses.
 *     Below that level the cover decays, one level per rule.realert_decay_us: a level that comes
 *     back long after the peak is news again.
 *   - Flapping is labelled, and stretches the off-delay; it never delays a raise.
 *   - Raises under an override are recorded; out of service and maintenance additionally keep the
 *     level from falling (masked input is unknown). No override outlives its end or its cause.
 *   - Knowledge is of this very moment: the record shows it at once, and a level that nobody can
 *     vouch for never passes as assessed now. An event tells of a change of it at once where a
 * level above 0 is lost from sight; otherwise when it has been other than told for
 *     ALARM_KNOWLEDGE_HOLD_US: of worse knowledge counted from its beginning, which returns that
 * are shorter than that do not reset; of better knowledge counted as long as it lasts without a
 *     break. Whatever else an event is about, it tells what is known.
 *   - While a level stands on usable evidence its publication is renewed after 3/4 of its validity;
 *     otherwise it expires, which changes neither level nor knowledge.
 * Ages and delays run on the monotonic time line, stamps are UTC. Thread rule: plain data. */
#ifndef CANHBAO_ALERTS_ALARM_H
#define CANHBAO_ALERTS_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "alerts/evidence.h"
#include "alerts/rule.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/station/command.h"

enum trend { TREND_UNKNOWN, TREND_FALLING, TREND_STEADY, TREND_RISING, TREND_COUNT };

enum annunciation {
    ANNUNCIATION_NORMAL,
    ANNUNCIATION_UNACKNOWLEDGED,
    ANNUNCIATION_ACKNOWLEDGED,
    ANNUNCIATION_RETURNED_UNACKNOWLEDGED,
    ANNUNCIATION_COUNT
};

/* Ascending precedence; several may be active, the highest is shown. SHELVED and OUT_OF_SERVICE are
 * a person's and end at a time. MAINTENANCE is the station's. The others have no end of their own:
 * they last as long as their cause. */
enum override_kind {
    OVERRIDE_NONE,
    OVERRIDE_OFF_DELAY,  /* a lower level is due, by evidence, but not for its off-delay yet */
    OVERRIDE_SHELVED,    /* silenced by a person */
    OVERRIDE_ON_DELAY,   /* a higher level is true, but not for its on-delay yet */
    OVERRIDE_MASKED,     /* the alarm of the parent (the station is off) says it already */
    OVERRIDE_SUPPRESSED, /* another alarm of the place makes it superfluous, by design */
    OVERRIDE_MAINTENANCE,
    OVERRIDE_OUT_OF_SERVICE,
    OVERRIDE_COUNT
};

enum publication {
    PUBLICATION_NONE,
    PUBLICATION_DRAFT, /* its public message waits for approval */
    PUBLICATION_ISSUED,
    PUBLICATION_UPDATE_DUE, /* the last quarter of its validity runs and nothing new is known */
    PUBLICATION_EXPIRED,
    PUBLICATION_CANCELLED, /* withdrawn by a person; the next change of level is published again */
    PUBLICATION_COUNT
};

/* Of the public message, for levels from struct alarm_around.approval_from on. */
enum approval {
    APPROVAL_NONE,
    APPROVAL_WAITING,
    APPROVAL_APPROVED,
    APPROVAL_REJECTED,
    APPROVAL_COUNT
};

/* Whether people were called to look at an unacknowledged alarm (notice.h). */
enum notice { NOTICE_NONE, NOTICE_DEFERRED, NOTICE_GIVEN, NOTICE_COUNT };

enum { ALARM_TREND_SAMPLES = 7 };
/* Limits of the ends that a person may ask for. */
#define ALARM_MAINTENANCE_MAX_US    (INT64_C(7) * 24 * 3600 * 1000000)
#define ALARM_ACKNOWLEDGE_MAX_US    (INT64_C(7) * 24 * 3600 * 1000000)
#define ALARM_SHELVE_MAX_US         (INT64_C(24) * 3600 * 1000000)
#define ALARM_OUT_OF_SERVICE_MAX_US (INT64_C(30) * 24 * 3600 * 1000000)
/* Longest delay of an event that is only about knowledge. Ours: below it nobody is sent to look at
 * a gauge, and windows of an hour with a reading in ten minutes lose and regain one in that time.
 */
#define ALARM_KNOWLEDGE_HOLD_US (INT64_C(600) * 1000000)

struct alarm_override {
    bool active;
    char actor[COMMAND_ACTOR_SIZE];
    char reason[COMMAND_TEXT_SIZE];
    struct moment since, until; /* `until.mono` decides, `until.utc` is shown; utc 0: no end */
};

/* What lies outside of the alarm and its indicators but decides with them. */
struct alarm_around {
    const struct alarm_override *maintenance; /* of the station; NULL: none */
    const char *masked_by;                    /* rule of the parent's alarm; NULL: not masked */
    const char *suppressed_by;                /* rule of the alarm that suppresses; NULL: none */
    uint8_t approval_from;                    /* levels from here on are drafts first; 0: none */
    int64_t approval_timeout_us;              /* a draft that waits so long is escalated */
};

struct alarm_approval {
    enum approval state;
    uint8_t level;                       /* what is proposed, or was approved or rejected */
    struct moment since;                 /* of the state */
    struct moment due;                   /* WAITING: escalated then, and again */
    uint8_t overdue;                     /* how often that happened */
    char first[COMMAND_ACTOR_SIZE];      /* WAITING: who approved first; empty: nobody yet */
    char decided_by[COMMAND_ACTOR_SIZE]; /* who approved second, or rejected */
};

struct alarm_escalation {
    bool running;
    uint8_t level; /* whose ladder runs */
    uint8_t step;  /* rungs that were called */
    struct moment since;
};

/* People's verdicts; one an episode: a later one takes the place of the first. */
struct alarm_verdicts {
    uint32_t counts[JUDGED_COUNT]; /* episodes, [JUDGED_NONE] unused */
    enum operator_verdict newest;
    struct utc_us episode; /* episode_start of the newest one */
};

struct trend_sample {
    struct mono_us at;
    double value;
};

/* [i] of the delay arrays belongs to rule.levels[i]; mono.us 0 is a valid time, so each has a flag.
 */
struct alarm {
    uint64_t revision;     /* counts events and unannounced changes; commands may name the one that
                              they saw */
    uint8_t defined_mask;  /* bit i: rule.levels[i] has its thresholds at this place */
    bool assessed;         /* a level was determined at least once; false: `level` means nothing */
    uint8_t level;         /* 0: below all levels of the scale */
    uint8_t highest_level; /* of the episode */
    enum trend trend;
    struct moment level_since;

    enum knowledge knowledge;
    enum cause cause;
    struct moment knowledge_since;
    enum knowledge told;         /* by the newest event */
    bool untold;                 /* knowledge is, or lately was, other than told ... */
    struct mono_us untold_since; /* ... first then */

    enum annunciation annunciation;
    uint8_t acknowledged_level; /* covered in this episode */
    char acknowledged_by[COMMAND_ACTOR_SIZE];
    char acknowledged_comment[COMMAND_TEXT_SIZE];
    struct moment acknowledged_at;
    struct moment acknowledged_until; /* it lapses then; utc 0: at the end of the episode */
    bool below_peak;                  /* the level fell below the acknowledged one ... */
    struct mono_us below_peak_since;  /* ... then */

    struct alarm_override overrides[OVERRIDE_COUNT]; /* [OVERRIDE_NONE] is never active */

    enum publication publication;
    struct moment expires; /* of what was published last */
    struct alarm_approval approval;

    enum notice notice; /* set by the owner, who counts notices of all alarms */
    struct alarm_escalation escalation;
    char incident[ID_TEXT_SIZE]; /* empty: none; set by the owner */

    struct utc_us episode_start; /* stamp of the evidence that began the newest episode; 0: none */
    uint64_t transition;         /* events since episode_start */
    struct moment raised_on;     /* newest evidence when the level last rose */

    uint8_t on_pending_mask, off_pending_mask; /* delays that run */
    struct mono_us on_since[RULE_LEVELS_MAX];  /* first seen true */
    struct mono_us off_since[RULE_LEVELS_MAX]; /* stamp of the first false evidence */

    bool flapping;
    struct moment flapping_since;
    uint8_t move_count;
    struct mono_us moves[RULE_FLAP_MOVES_MAX]; /* of the level, oldest first */

    struct alarm_verdicts verdicts;

    uint8_t trend_count;
    struct trend_sample trend_samples[ALARM_TREND_SAMPLES]; /* 10 min apart, oldest first */
};

/* What one step changed; bits of alarm_change.what. */
enum alarm_change_bit {
    CHANGE_LEVEL = 1,
    CHANGE_KNOWLEDGE = 2,
    CHANGE_ANNUNCIATION = 4,
    CHANGE_OVERRIDE = 8,
    CHANGE_PUBLICATION = 16,
    CHANGE_COMMENT = 32,
    CHANGE_FLAPPING = 64,
    CHANGE_INCIDENT = 128,
    CHANGE_ESCALATION = 256,
    CHANGE_APPROVAL = 512,
    CHANGE_NOTICE = 1024,
    CHANGE_LATE = 2048 /* no axis moved: a crossing inside a hole became known */
};

struct alarm_change {
    uint32_t what; /* 0: nothing happened, no event */
    /* The record changes, but it is no event: only how well nothing is known, of an alarm whose
     * level was never determined (after a fresh start every place would announce several), or
     * before it is to be told; a delay began or ended; at level 0, what masking, suppression by
     * design or maintenance bring about.
     */
    bool unannounced;
    bool ended_by_time; /* a person's override reached its end */
    bool suppression;   /* masking, suppression or maintenance of a standing level moved */
    bool previous_assessed;
    uint8_t previous_level;
    enum knowledge previous_knowledge; /* as told last */
    enum annunciation previous_annunciation;
    enum override_kind previous_override;
    enum publication previous_publication;
};

/* A new alarm: not assessed, knowledge unknown (no data yet). `alarm_levels` of the place, NULL:
 * none. ERR_UNSUPPORTED when no level of the rule has its thresholds there: the place stays
 * ungraded and gets no alarm. */
int alarm_init(const struct rule *rule, const struct alarm_levels *alarm_levels, struct moment now,
               struct alarm *ret_alarm);

/* One look at the evidence at `now`. Counts revision and transition when something changed. */
void alarm_evaluate(struct alarm *alarm, const struct rule *rule,
                    const struct alarm_levels *alarm_levels, const struct indicator *indicators,
                    const struct alarm_around *around, struct moment now,
                    struct alarm_change *ret_change);

/* Takes actor, reason and end of a command that needs them; `max_us` is the longest. ERR_INVALID,
 * ERR_RANGE with a sentence. */
int alarm_override_begin(struct alarm_override *override, enum override_kind kind,
                         const struct command *command, struct moment now, int64_t max_us,
                         struct err *ret_err);

/* A person's command. 0 and the change, or ERR_STALE (expected revision), ERR_INVALID (nothing to
 * do, no reason, no end), ERR_RANGE (end in the past or beyond the limit) with a sentence and no
 * change; ERR_DENIED: a second person is needed. Commands to stations and incidents are not an
 * alarm's. */
int alarm_command(struct alarm *alarm, const struct rule *rule, const struct command *command,
                  struct moment now, struct alarm_change *ret_change, struct err *ret_err);

/* Overrides under which nobody is called: everything but the delays. */
bool alarm_is_muted(const struct alarm *alarm);

/* What was, for a change that is about to happen; nothing of it has. */
struct alarm_change alarm_change_begin(const struct alarm *alarm);

/* Counts a change that the owner made (notice, incident, escalation): revision and transition; its
 * event tells what is known. */
void alarm_count_change(struct alarm *alarm, struct moment now);

/* A draft that waited too long: true, and the change, when it is to be escalated now. */
bool alarm_approval_overdue(struct alarm *alarm, const struct alarm_around *around,
                            struct moment now, struct alarm_change *ret_change);

/* Monotonic microseconds at which time alone may change the alarm after a look at `now` (delay,
 * override or validity running out); INT64_MAX: never. The staleness of indicators comes on top. */
int64_t alarm_due_us(const struct alarm *alarm, const struct rule *rule, struct moment now);

/* The active override of the highest precedence. */
enum override_kind alarm_override_shown(const struct alarm *alarm);

/* As published; never NULL: "rising"; "returned_unacknowledged"; "out_of_service"; "expired". */
const char *trend_name(enum trend trend);
const char *annunciation_name(enum annunciation annunciation);
const char *override_name(enum override_kind kind);
const char *publication_name(enum publication publication);
const char *approval_name(enum approval approval);
const char *notice_name(enum notice notice);

#endif
