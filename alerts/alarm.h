/* The alarm of one (rule, place): a pure state machine with axes that are never folded into one.
 *
 *   condition     level on the rule's scale, and trend
 *   knowledge     fresh, doubtful, stale, unknown; since when and why
 *   annunciation  normal, unacknowledged, acknowledged, returned-unacknowledged
 *   override      shelved, out of service; each with actor, reason, end
 *   publication   none, issued, expired
 *
 * What holds, whatever comes in:
 *   - A level rises as soon as its condition is true for its on-delay; unknown neither resets nor
 *     completes an on-delay.
 *   - A level falls only when its condition (with hysteresis) is false by fresh good evidence newer
 *     than what raised it, and stays so, by evidence, for its off-delay. The off-delay is measured
 *     between the stamps of the evidence: silence never lowers anything.
 *   - Anything else changes knowledge and keeps the last level. Doubtful with a level that usable
 *     evidence reaches means "at least": what is above it cannot be judged.
 *   - An acknowledgement covers levels up to the acknowledged one in that episode.
 *   - Raises under an override are recorded; out of service additionally keeps the level from
 *     falling (masked input is unknown). No override outlives its end.
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

/* Ascending precedence; both may be active, the highest is shown. */
enum override_kind { OVERRIDE_NONE, OVERRIDE_SHELVED, OVERRIDE_OUT_OF_SERVICE, OVERRIDE_COUNT };

enum publication { PUBLICATION_NONE, PUBLICATION_ISSUED, PUBLICATION_EXPIRED, PUBLICATION_COUNT };

enum { ALARM_TREND_SAMPLES = 7 };
/* Limits of the ends that a person may ask for. */
#define ALARM_SHELVE_MAX_US         (INT64_C(24) * 3600 * 1000000)
#define ALARM_OUT_OF_SERVICE_MAX_US (INT64_C(30) * 24 * 3600 * 1000000)

struct alarm_override {
    bool active;
    char actor[COMMAND_ACTOR_SIZE];
    char reason[COMMAND_TEXT_SIZE];
    struct moment since, until; /* `until.mono` decides, `until.utc` is shown */
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

    enum annunciation annunciation;
    uint8_t acknowledged_level; /* covered in this episode */
    char acknowledged_by[COMMAND_ACTOR_SIZE];
    struct moment acknowledged_at;

    struct alarm_override overrides[OVERRIDE_COUNT]; /* [OVERRIDE_NONE] is never active */

    enum publication publication;
    struct moment expires; /* of what was published last */

    struct utc_us episode_start; /* stamp of the evidence that began the newest episode; 0: none */
    uint64_t transition;         /* events since episode_start */
    struct moment raised_on;     /* newest evidence when the level last rose */

    uint8_t on_pending_mask, off_pending_mask; /* delays that run */
    struct mono_us on_since[RULE_LEVELS_MAX];  /* first seen true */
    struct mono_us off_since[RULE_LEVELS_MAX]; /* stamp of the first false evidence */

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
    CHANGE_COMMENT = 32
};

struct alarm_change {
    uint32_t what; /* 0: nothing happened, no event */
    /* Only how well nothing is known changed, of an alarm whose level was never determined: its
     * record changes, but it is no event. After a fresh start every place would announce several.
     */
    bool unannounced;
    bool previous_assessed;
    uint8_t previous_level;
    enum knowledge previous_knowledge;
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
                    struct moment now, struct alarm_change *ret_change);

/* A person's command. 0 and the change, or ERR_STALE (expected revision), ERR_INVALID (nothing to
 * do, no reason, no end), ERR_RANGE (end in the past or beyond the limit) with a sentence and no
 * change. COMMAND_RESEND_STATE is not an alarm's. */
int alarm_command(struct alarm *alarm, const struct command *command, struct moment now,
                  struct alarm_change *ret_change, struct err *ret_err);

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

#endif
