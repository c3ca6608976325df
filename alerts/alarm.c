#include "alerts/alarm.h"

#include <math.h>
#include <string.h>

#include "alerts/alarm_change.h"
#include "alerts/flood_bulletin.h"
#include "daemon/base/text.h"

/* Less than this before an hour of issue, what was just published counts for it. */
#define BULLETIN_APART_US (INT64_C(1800) * 1000000)
#define TREND_STEP_US     (INT64_C(600) * 1000000)
#define TREND_SPAN_US     (INT64_C(4200) * 1000000) /* 1 h and one step */

int alarm_init(const struct rule *rule, const struct alarm_levels *alarm_levels, struct moment now,
               struct alarm *ret_alarm) {
    uint8_t mask = 0;
    for (uint32_t i = 0; i < rule->level_count; i++) {
        if (rule_level_defined(rule, i, alarm_levels)) {
            mask = (uint8_t)(mask | (1U << i));
        }
    }
    if (mask == 0) {
        return ERR_UNSUPPORTED;
    }
    *ret_alarm = (struct alarm){.defined_mask = mask,
                                .level_since = now,
                                .knowledge = KNOWLEDGE_UNKNOWN,
                                .cause = CAUSE_NO_DATA_YET,
                                .knowledge_since = now,
                                .told = KNOWLEDGE_UNKNOWN};
    return 0;
}

static bool is_defined(const struct alarm *alarm, uint32_t index) {
    return (alarm->defined_mask & (1U << index)) != 0;
}

enum override_kind alarm_override_shown(const struct alarm *alarm) {
    for (int kind = OVERRIDE_COUNT - 1; kind > OVERRIDE_NONE; kind--) {
        if (alarm->overrides[kind].active) {
            return (enum override_kind)kind;
        }
    }
    return OVERRIDE_NONE;
}

bool alarm_is_muted(const struct alarm *alarm) {
    const struct alarm_override *overrides = alarm->overrides;
    return overrides[OVERRIDE_SHELVED].active || overrides[OVERRIDE_MASKED].active ||
           overrides[OVERRIDE_SUPPRESSED].active || overrides[OVERRIDE_MAINTENANCE].active ||
           overrides[OVERRIDE_OUT_OF_SERVICE].active;
}

/* Whether what comes in counts for nothing: the level is kept. */
static bool is_held(const struct alarm *alarm) {
    return alarm->overrides[OVERRIDE_OUT_OF_SERVICE].active ||
           alarm->overrides[OVERRIDE_MAINTENANCE].active;
}

struct alarm_change alarm_change_begin(const struct alarm *alarm) {
    return (struct alarm_change){.previous_assessed = alarm->assessed,
                                 .previous_level = alarm->level,
                                 .previous_knowledge = alarm->told,
                                 .previous_annunciation = alarm->annunciation,
                                 .previous_override = alarm_override_shown(alarm),
                                 .previous_publication = alarm->publication};
}

void alarm_count_change(struct alarm *alarm, struct moment now) {
    if (alarm->episode_start.us == 0) {
        alarm->episode_start = now.utc; /* events before the first episode */
    }
    alarm->revision++;
    alarm->transition++;
    alarm->told = alarm->knowledge;
    alarm->untold = false;
}

void alarm_change_finish(struct alarm *alarm, struct moment now, uint32_t quiet,
                         struct alarm_change *change) {
    if (alarm->assessed != change->previous_assessed || alarm->level != change->previous_level) {
        change->what |= CHANGE_LEVEL;
    }
    if (alarm->annunciation != change->previous_annunciation) {
        change->what |= CHANGE_ANNUNCIATION;
    }
    if (change->what != 0) {
        change->what |= quiet;
        alarm_count_change(alarm, now);
    } else if (quiet != 0) {
        change->what = quiet;
        change->unannounced = true;
        alarm->revision++;
    }
}

static void end_overrides(struct alarm *alarm, struct moment now, struct alarm_change *change) {
    for (int kind = OVERRIDE_NONE + 1; kind < OVERRIDE_COUNT; kind++) {
        struct alarm_override *override = &alarm->overrides[kind];
        if (override->active && override->until.utc.us != 0 && kind != OVERRIDE_MAINTENANCE &&
            now.mono.us >= override->until.mono.us) {
            memset(override, 0, sizeof *override);
            change->what |= CHANGE_OVERRIDE;
            change->ended_by_time = true;
        }
    }
}

/* An override that lasts as long as its cause; true when that began or ended. */
static bool follow_cause(struct alarm *alarm, enum override_kind kind, const char *by,
                         struct moment now) {
    struct alarm_override *override = &alarm->overrides[kind];
    if ((by != NULL) == override->active) {
        return false;
    }
    memset(override, 0, sizeof *override);
    if (by != NULL) {
        override->active = true;
        override->since = now;
        (void)text_copy(override->actor, sizeof override->actor, by); /* an id: it fits */
    }
    return true;
}

static bool follow_maintenance(struct alarm *alarm, const struct alarm_override *maintenance) {
    struct alarm_override *override = &alarm->overrides[OVERRIDE_MAINTENANCE];
    bool active = maintenance != NULL && maintenance->active;
    bool other_end = active && maintenance->until.utc.us != override->until.utc.us;
    if (active == override->active && !other_end) {
        return false;
    }
    if (active) {
        *override = *maintenance;
    } else {
        memset(override, 0, sizeof *override);
    }
    return true;
}

/* What surroundings and delays bring about. Returns CHANGE_OVERRIDE where only the record changes:
 * a delay, or any of them while there is no level. */
static uint32_t follow_causes(struct alarm *alarm, const struct alarm_around *around,
                              struct moment now, struct alarm_change *change) {
    bool loud = follow_cause(alarm, OVERRIDE_MASKED, around->masked_by, now);
    loud = follow_cause(alarm, OVERRIDE_SUPPRESSED, around->suppressed_by, now) || loud;
    loud = follow_maintenance(alarm, around->maintenance) || loud;
    if (loud && alarm->level > 0) {
        change->what |= CHANGE_OVERRIDE;
        change->suppression = true;
    }
    return loud && alarm->level == 0 ? CHANGE_OVERRIDE : 0;
}

static uint32_t follow_delays(struct alarm *alarm, struct moment now) {
    bool moved =
        follow_cause(alarm, OVERRIDE_ON_DELAY, alarm->on_pending_mask != 0 ? "rule" : NULL, now);
    const char *off = alarm->level > 0 && alarm->off_pending_mask != 0 ? "rule" : NULL;
    moved = follow_cause(alarm, OVERRIDE_OFF_DELAY, off, now) || moved;
    return moved ? CHANGE_OVERRIDE : 0;
}

static void note_move(struct alarm *alarm, struct moment now) {
    if (alarm->move_count == RULE_FLAP_MOVES_MAX) {
        alarm->move_count--;
        memmove(alarm->moves, alarm->moves + 1, alarm->move_count * sizeof alarm->moves[0]);
    }
    alarm->moves[alarm->move_count++] = now.mono;
}

/* When the newest moves are too far apart to be flapping; INT64_MIN: they are already. */
static int64_t flapping_end_us(const struct alarm *alarm, const struct rule *rule) {
    if (rule->flap_moves == 0 || alarm->move_count < rule->flap_moves) {
        return INT64_MIN;
    }
    return alarm->moves[alarm->move_count - rule->flap_moves].us + rule->flap_window_us;
}

static void update_flapping(struct alarm *alarm, const struct rule *rule, struct moment now,
                            struct alarm_change *change) {
    bool flapping = now.mono.us < flapping_end_us(alarm, rule);
    if (flapping != alarm->flapping) {
        alarm->flapping = flapping;
        alarm->flapping_since = flapping ? now : (struct moment){0};
        change->what |= CHANGE_FLAPPING;
    }
}

static void forget_acknowledgement(struct alarm *alarm) {
    alarm->acknowledged_level = 0;
    alarm->acknowledged_by[0] = '\0';
    alarm->acknowledged_comment[0] = '\0';
    alarm->acknowledged_at = (struct moment){0};
    alarm->acknowledged_until = (struct moment){0};
    alarm->below_peak = false;
}

/* An acknowledgement that was given until a time. */
static uint32_t lapse_acknowledgement(struct alarm *alarm, struct moment now) {
    if (alarm->acknowledged_until.utc.us == 0 || now.mono.us < alarm->acknowledged_until.mono.us) {
        return 0;
    }
    forget_acknowledgement(alarm);
    if (alarm->annunciation == ANNUNCIATION_ACKNOWLEDGED) {
        alarm->annunciation = ANNUNCIATION_UNACKNOWLEDGED;
    }
    return CHANGE_ANNUNCIATION; /* the record changes in any case */
}

/* The level that is covered by the acknowledgement when the alarm rises again. */
static uint8_t covered_level(const struct alarm *alarm, const struct rule *rule,
                             struct moment now) {
    if (!alarm->below_peak || rule->realert_decay_us == 0) {
        return alarm->acknowledged_level;
    }
    int64_t decayed = (now.mono.us - alarm->below_peak_since.us) / rule->realert_decay_us;
    return decayed < alarm->acknowledged_level ? (uint8_t)(alarm->acknowledged_level - decayed) : 0;
}

static void raise_to(struct alarm *alarm, const struct rule *rule, uint8_t level,
                     const struct verdict *verdict, struct moment now) {
    if (alarm->level == 0 && alarm->annunciation == ANNUNCIATION_NORMAL) {
        /* A new episode, stamped by its evidence and later than the one before, so that a clock
         * that was set back cannot give an id twice. */
        int64_t start_us = verdict->observed.utc.us;
        int64_t floor_us = alarm->episode_start.us + 1;
        alarm->episode_start.us = start_us > floor_us ? start_us : floor_us;
        alarm->transition = 0;
        alarm->highest_level = 0;
        forget_acknowledgement(alarm);
    }
    note_move(alarm, now);
    alarm->level = level;
    alarm->level_since = now;
    alarm->assessed = true;
    alarm->off_pending_mask = 0;
    if (verdict->observed.mono.us > alarm->raised_on.mono.us || alarm->raised_on.utc.us == 0) {
        alarm->raised_on = verdict->observed;
    }
    if (level > alarm->highest_level) {
        alarm->highest_level = level;
    }
    uint8_t covered = covered_level(alarm, rule, now);
    if (level > covered) {
        alarm->acknowledged_level = covered;
        alarm->annunciation = ANNUNCIATION_UNACKNOWLEDGED;
    } else {
        alarm->annunciation = ANNUNCIATION_ACKNOWLEDGED;
    }
    alarm->below_peak = alarm->below_peak && level < alarm->acknowledged_level;
}

/* Takes the highest level above the present one that is true for its on-delay. */
static bool try_raise(struct alarm *alarm, const struct rule *rule, const struct verdict *verdicts,
                      struct moment now) {
    int chosen = -1;
    for (uint32_t i = 0; i < rule->level_count; i++) {
        uint8_t bit = (uint8_t)(1U << i);
        const struct rule_level *level = &rule->levels[i];
        if (!is_defined(alarm, i) || level->level <= alarm->level ||
            verdicts[i].value == TRI_FALSE) {
            alarm->on_pending_mask = (uint8_t)(alarm->on_pending_mask & ~bit);
            continue;
        }
        if (verdicts[i].value == TRI_UNKNOWN || verdicts[i].knowledge > level->required) {
            continue;
        }
        if ((alarm->on_pending_mask & bit) == 0) {
            alarm->on_pending_mask |= bit;
            alarm->on_since[i] = now.mono;
        }
        if (now.mono.us - alarm->on_since[i].us >= level->on_delay_us) {
            chosen = (int)i;
        }
    }
    if (chosen < 0) {
        return false;
    }
    raise_to(alarm, rule, rule->levels[chosen].level, &verdicts[chosen], now);
    for (int i = 0; i <= chosen; i++) {
        alarm->on_pending_mask = (uint8_t)(alarm->on_pending_mask & ~(1U << i));
    }
    return true;
}

/* Runs the off-delays of the taken levels; true when this one may be left now. */
static bool run_off_delay(struct alarm *alarm, const struct rule *rule, uint32_t index,
                          const struct verdict *verdict) {
    uint8_t bit = (uint8_t)(1U << index);
    if (verdict->value != TRI_FALSE || verdict->knowledge != KNOWLEDGE_FRESH ||
        verdict->observed.mono.us <= alarm->raised_on.mono.us) {
        alarm->off_pending_mask = (uint8_t)(alarm->off_pending_mask & ~bit);
        return false;
    }
    if ((alarm->off_pending_mask & bit) == 0) {
        alarm->off_pending_mask |= bit;
        alarm->off_since[index] = verdict->observed.mono;
    }
    int64_t delay_us = rule->levels[index].off_delay_us;
    if (alarm->flapping && rule->flap_window_us > delay_us) {
        delay_us = rule->flap_window_us; /* a downgrade may wait, a raise never */
    }
    return verdict->observed.mono.us - alarm->off_since[index].us >= delay_us;
}

static void leave_to(struct alarm *alarm, uint8_t level, struct moment now) {
    if (alarm->level >= alarm->acknowledged_level && level < alarm->acknowledged_level) {
        alarm->below_peak = true;
        alarm->below_peak_since = now.mono;
    }
    note_move(alarm, now);
    alarm->level = level;
    alarm->level_since = now;
    if (level > 0) {
        return;
    }
    if (alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED) {
        alarm->annunciation = ANNUNCIATION_RETURNED_UNACKNOWLEDGED;
    } else if (alarm->annunciation == ANNUNCIATION_ACKNOWLEDGED) {
        alarm->annunciation = ANNUNCIATION_NORMAL;
    }
}

static void try_lower(struct alarm *alarm, const struct rule *rule, const struct verdict *verdicts,
                      struct moment now) {
    if (is_held(alarm)) {
        alarm->off_pending_mask = 0;
        return;
    }
    uint8_t target = alarm->level;
    bool leaving = true;
    for (uint32_t n = rule->level_count; n-- > 0;) {
        uint8_t level = rule->levels[n].level;
        if (!is_defined(alarm, n) || level > alarm->level) {
            continue;
        }
        bool may_leave = run_off_delay(alarm, rule, n, &verdicts[n]);
        if (leaving && !may_leave) {
            target = level;
            leaving = false;
        }
    }
    if (leaving) {
        target = 0;
    }
    if (target < alarm->level) {
        leave_to(alarm, target, now);
        for (uint32_t n = 0; n < rule->level_count; n++) {
            if (rule->levels[n].level > target) {
                alarm->off_pending_mask = (uint8_t)(alarm->off_pending_mask & ~(1U << n));
            }
        }
    }
}

static void assess_normal(struct alarm *alarm, const struct rule *rule,
                          const struct verdict *verdicts, struct moment now) {
    if (alarm->assessed || is_held(alarm)) {
        return;
    }
    for (uint32_t i = 0; i < rule->level_count; i++) {
        if (is_defined(alarm, i) &&
            (verdicts[i].value != TRI_FALSE || verdicts[i].knowledge != KNOWLEDGE_FRESH)) {
            return;
        }
    }
    alarm->assessed = true;
    alarm->level_since = now;
}

/* Whether knowledge has been as it is for so long that it counts as settled. */
static bool was_steady(const struct alarm *alarm, struct moment now) {
    return now.mono.us - alarm->knowledge_since.mono.us >= ALARM_KNOWLEDGE_HOLD_US;
}

/* What is not known about the level: the worst among the levels above the highest that is true;
 * when there is none, how well that one is known. When the level shown is certain to be reached by
 * usable evidence, what cannot be judged above it makes it doubtful ("at least"), not unknown:
 * otherwise rain that is enough for a level by a lower bound would read as "nothing is known", and
 * what was published would expire while its evidence stands. */
static uint32_t update_knowledge(struct alarm *alarm, const struct rule *rule,
                                 const struct verdict *verdicts, struct moment now) {
    enum knowledge knowledge = KNOWLEDGE_FRESH;
    enum cause cause = CAUSE_NONE;
    for (uint32_t n = rule->level_count; n-- > 0;) {
        if (!is_defined(alarm, n)) {
            continue;
        }
        const struct verdict *verdict = &verdicts[n];
        if (verdict->value != TRI_FALSE && verdict->knowledge > knowledge) {
            knowledge = verdict->knowledge;
            cause = verdict->cause;
        }
        if (verdict->value == TRI_TRUE) {
            bool certain = rule->levels[n].level >= alarm->level;
            knowledge = certain && knowledge > KNOWLEDGE_DOUBTFUL ? KNOWLEDGE_DOUBTFUL : knowledge;
            break;
        }
    }
    if (is_held(alarm)) {
        knowledge = KNOWLEDGE_UNKNOWN;
        cause = alarm->overrides[OVERRIDE_OUT_OF_SERVICE].active ? CAUSE_OUT_OF_SERVICE
                                                                 : CAUSE_MAINTENANCE;
    }
    alarm->cause = cause;
    if (knowledge == alarm->knowledge) {
        return 0;
    }
    if (alarm->knowledge == alarm->told && was_steady(alarm, now)) {
        alarm->untold = false; /* it had settled there: what comes now begins anew */
    }
    alarm->knowledge = knowledge;
    alarm->knowledge_since = now;
    return CHANGE_KNOWLEDGE;
}

/* Monotonic microseconds from which on an event tells of knowledge that is other than told. */
static int64_t telling_due_us(const struct alarm *alarm) {
    if (alarm->level > 0 && alarm->told <= KNOWLEDGE_DOUBTFUL &&
        alarm->knowledge > KNOWLEDGE_DOUBTFUL) {
        return INT64_MIN; /* a standing level is lost from sight */
    }
    bool worse = alarm->knowledge > alarm->told;
    return (worse ? alarm->untold_since.us : alarm->knowledge_since.mono.us) +
           ALARM_KNOWLEDGE_HOLD_US;
}

/* Returns CHANGE_KNOWLEDGE when an event is due. Of a place that was never assessed there is none,
 * nor while its parent or technician says why. */
static uint32_t tell_knowledge(struct alarm *alarm, struct moment now) {
    bool explained = alarm->level == 0 && (alarm->overrides[OVERRIDE_MASKED].active ||
                                           alarm->overrides[OVERRIDE_MAINTENANCE].active);
    if (!alarm->assessed) {
        alarm->told = alarm->knowledge;
    }
    if (!alarm->assessed || explained) {
        alarm->untold = false;
        return 0;
    }
    if (alarm->knowledge == alarm->told) {
        return 0;
    }
    if (!alarm->untold) {
        alarm->untold = true;
        alarm->untold_since = now.mono;
    }
    return now.mono.us >= telling_due_us(alarm) ? CHANGE_KNOWLEDGE : 0;
}

static void update_trend(struct alarm *alarm, const struct rule *rule,
                         const struct indicator *primary) {
    alarm->trend = TREND_UNKNOWN;
    if (primary->knowledge >= KNOWLEDGE_STALE || isnan(primary->value)) {
        return;
    }
    int64_t at_us = primary->observed.mono.us;
    struct trend_sample *samples = alarm->trend_samples;
    while (alarm->trend_count > 0 && at_us - samples[0].at.us > TREND_SPAN_US) {
        alarm->trend_count--;
        memmove(samples, samples + 1, alarm->trend_count * sizeof *samples);
    }
    if (alarm->trend_count > 0 && at_us - samples[0].at.us >= TREND_STEP_US) {
        double change = primary->value - samples[0].value;
        alarm->trend = change > rule->trend_deadband    ? TREND_RISING
                       : change < -rule->trend_deadband ? TREND_FALLING
                                                        : TREND_STEADY;
    }
    if (alarm->trend_count == 0 || at_us - samples[alarm->trend_count - 1].at.us >= TREND_STEP_US) {
        if (alarm->trend_count == ALARM_TREND_SAMPLES) {
            alarm->trend_count--;
            memmove(samples, samples + 1, alarm->trend_count * sizeof *samples);
        }
        samples[alarm->trend_count++] =
            (struct trend_sample){.at = primary->observed.mono, .value = primary->value};
    }
}

void alarm_extend(struct alarm *alarm, const struct rule *rule, struct moment now) {
    int64_t valid_us = rule->expires_after_us;
    int64_t renewal_us = valid_us - valid_us / 4;
    int64_t hour_us = flood_bulletin_next_us(rule, alarm->level, now.utc, BULLETIN_APART_US);
    if (hour_us != INT64_MAX && hour_us - now.utc.us < renewal_us) {
        valid_us = hour_us - now.utc.us + valid_us / 4;
    }
    alarm->expires.mono.us = now.mono.us + valid_us;
    alarm->expires.utc.us = now.utc.us + valid_us;
}

/* Publishes the level, or proposes to. A rejected proposal stays rejected until the level rises. */
static void issue(struct alarm *alarm, const struct rule *rule, const struct alarm_around *around,
                  struct moment now) {
    struct alarm_approval *approval = &alarm->approval;
    bool wanted = around->approval_from > 0 && alarm->level >= around->approval_from;
    bool given = approval->state == APPROVAL_APPROVED && approval->level >= alarm->level;
    alarm_extend(alarm, rule, now);
    if (!wanted || given) {
        alarm->publication = PUBLICATION_ISSUED;
        if (!given) {
            memset(approval, 0, sizeof *approval);
        }
        return;
    }
    alarm->publication = PUBLICATION_DRAFT;
    bool stands = approval->state == APPROVAL_WAITING || approval->state == APPROVAL_REJECTED;
    if (!stands || alarm->level > approval->level) {
        memset(approval, 0, sizeof *approval);
        approval->state = APPROVAL_WAITING;
        approval->since = now;
        approval->due.mono.us = now.mono.us + around->approval_timeout_us;
        approval->due.utc.us = now.utc.us + around->approval_timeout_us;
    }
    approval->level = alarm->level;
}

static void update_publication(struct alarm *alarm, const struct rule *rule,
                               const struct alarm_around *around, struct moment now,
                               struct alarm_change *change) {
    bool level_moved = alarm->level != change->previous_level;
    bool usable = alarm->knowledge <= KNOWLEDGE_DOUBTFUL;
    if (alarm->level == 0) {
        /* What says that a level was left is valid as long as what said that it was taken. */
        if (level_moved) {
            alarm_extend(alarm, rule, now);
            memset(&alarm->approval, 0, sizeof alarm->approval);
        }
        alarm->publication = PUBLICATION_NONE;
        return;
    }
    if (alarm->publication == PUBLICATION_CANCELLED && !level_moved) {
        return;
    }
    if (level_moved || (usable && (change->what & CHANGE_KNOWLEDGE) != 0)) {
        issue(alarm, rule, around, now);
        return;
    }
    int64_t left_us = alarm->expires.mono.us - now.mono.us;
    enum publication before = alarm->publication;
    if (usable && left_us <= rule->expires_after_us / 4) {
        issue(alarm, rule, around, now);
        change->what |= CHANGE_PUBLICATION;
    } else if (left_us <= 0 && before != PUBLICATION_DRAFT) {
        alarm->publication = PUBLICATION_EXPIRED;
    } else if (left_us <= rule->expires_after_us / 4 && before == PUBLICATION_ISSUED) {
        alarm->publication = PUBLICATION_UPDATE_DUE;
    }
    if (alarm->publication != before) {
        change->what |= CHANGE_PUBLICATION;
    }
}

void alarm_evaluate(struct alarm *alarm, const struct rule *rule,
                    const struct alarm_levels *alarm_levels, const struct indicator *indicators,
                    const struct alarm_around *around, struct moment now,
                    struct alarm_change *ret_change) {
    struct verdict verdicts[RULE_LEVELS_MAX] = {0};
    struct alarm_change change = alarm_change_begin(alarm);
    for (uint32_t i = 0; i < rule->level_count; i++) {
        if (is_defined(alarm, i)) {
            bool held = rule->levels[i].level <= alarm->level;
            verdicts[i] = rule_evaluate(rule, i, held, alarm_levels, indicators);
        }
    }
    end_overrides(alarm, now, &change);
    uint32_t quiet = follow_causes(alarm, around, now, &change);
    quiet |= lapse_acknowledgement(alarm, now);
    update_flapping(alarm, rule, now, &change);
    if (!try_raise(alarm, rule, verdicts, now) && alarm->level > 0) {
        try_lower(alarm, rule, verdicts, now);
    }
    update_flapping(alarm, rule, now, &change);
    assess_normal(alarm, rule, verdicts, now);
    quiet |= update_knowledge(alarm, rule, verdicts, now);
    change.what |= tell_knowledge(alarm, now);
    update_trend(alarm, rule, &indicators[0]);
    update_publication(alarm, rule, around, now, &change);
    quiet |= follow_delays(alarm, now);
    alarm_change_finish(alarm, now, quiet, &change);
    *ret_change = change;
}

bool alarm_approval_overdue(struct alarm *alarm, const struct alarm_around *around,
                            struct moment now, struct alarm_change *ret_change) {
    struct alarm_approval *approval = &alarm->approval;
    if (approval->state != APPROVAL_WAITING || now.mono.us < approval->due.mono.us) {
        return false;
    }
    struct alarm_change change = alarm_change_begin(alarm);
    approval->overdue =
        approval->overdue < UINT8_MAX ? (uint8_t)(approval->overdue + 1) : UINT8_MAX;
    approval->due.mono.us = now.mono.us + around->approval_timeout_us;
    approval->due.utc.us = now.utc.us + around->approval_timeout_us;
    change.what = CHANGE_APPROVAL;
    alarm_change_finish(alarm, now, 0, &change);
    *ret_change = change;
    return true;
}

static int64_t earlier(int64_t left_us, int64_t right_us) {
    return left_us < right_us ? left_us : right_us;
}

/* When the validity of what was published asks for something. */
static int64_t publication_due_us(const struct alarm *alarm, const struct rule *rule) {
    if (alarm->level == 0 || alarm->publication == PUBLICATION_CANCELLED) {
        return INT64_MAX;
    }
    int64_t quarter_us = alarm->expires.mono.us - rule->expires_after_us / 4;
    if (alarm->knowledge <= KNOWLEDGE_DOUBTFUL || alarm->publication == PUBLICATION_ISSUED) {
        return quarter_us;
    }
    return alarm->publication == PUBLICATION_UPDATE_DUE ? alarm->expires.mono.us : INT64_MAX;
}

int64_t alarm_due_us(const struct alarm *alarm, const struct rule *rule, struct moment now) {
    int64_t due_us = INT64_MAX;
    for (uint32_t i = 0; i < rule->level_count; i++) {
        int64_t at_us = alarm->on_since[i].us + rule->levels[i].on_delay_us;
        /* A delay that is over without a raise waits for evidence, not for time. */
        if ((alarm->on_pending_mask & (1U << i)) != 0 && at_us > now.mono.us && at_us < due_us) {
            due_us = at_us;
        }
    }
    for (int kind = OVERRIDE_NONE + 1; kind < OVERRIDE_COUNT; kind++) {
        const struct alarm_override *override = &alarm->overrides[kind];
        if (override->active && override->until.utc.us != 0) {
            due_us = earlier(due_us, override->until.mono.us);
        }
    }
    if (alarm->acknowledged_until.utc.us != 0) {
        due_us = earlier(due_us, alarm->acknowledged_until.mono.us);
    }
    if (alarm->approval.state == APPROVAL_WAITING) {
        due_us = earlier(due_us, alarm->approval.due.mono.us);
    }
    if (alarm->flapping) {
        due_us = earlier(due_us, flapping_end_us(alarm, rule));
    }
    if (alarm->untold && alarm->knowledge != alarm->told) {
        due_us = earlier(due_us, telling_due_us(alarm));
    }
    return earlier(due_us, publication_due_us(alarm, rule));
}

const char *trend_name(enum trend trend) {
    static const char *const names[TREND_COUNT] = {"unknown", "falling", "steady", "rising"};
    return (unsigned)trend < TREND_COUNT ? names[trend] : "unknown";
}

const char *annunciation_name(enum annunciation annunciation) {
    static const char *const names[ANNUNCIATION_COUNT] = {
        "normal", "unacknowledged", "acknowledged", "returned_unacknowledged"};
    return (unsigned)annunciation < ANNUNCIATION_COUNT ? names[annunciation] : "unknown";
}

const char *override_name(enum override_kind kind) {
    static const char *const names[OVERRIDE_COUNT] = {"none",        "off_delay",     "shelved",
                                                      "on_delay",    "masked",        "suppressed",
                                                      "maintenance", "out_of_service"};
    return (unsigned)kind < OVERRIDE_COUNT ? names[kind] : "unknown";
}

const char *publication_name(enum publication publication) {
    static const char *const names[PUBLICATION_COUNT] = {"none",       "draft",   "issued",
                                                         "update_due", "expired", "cancelled"};
    return (unsigned)publication < PUBLICATION_COUNT ? names[publication] : "unknown";
}

const char *approval_name(enum approval approval) {
    static const char *const names[APPROVAL_COUNT] = {"none", "waiting", "approved", "rejected"};
    return (unsigned)approval < APPROVAL_COUNT ? names[approval] : "unknown";
}

const char *notice_name(enum notice notice) {
    static const char *const names[NOTICE_COUNT] = {"none", "deferred", "given"};
    return (unsigned)notice < NOTICE_COUNT ? names[notice] : "unknown";
}
