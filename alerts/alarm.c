#include "alerts/alarm.h"

#include <math.h>
#include <string.h>

#include "daemon/base/text.h"

#define TREND_STEP_US (INT64_C(600) * 1000000)
#define TREND_SPAN_US (INT64_C(4200) * 1000000) /* 1 h and one step */

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
                                .knowledge_since = now};
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

static struct alarm_change change_begin(const struct alarm *alarm) {
    return (struct alarm_change){.previous_assessed = alarm->assessed,
                                 .previous_level = alarm->level,
                                 .previous_knowledge = alarm->knowledge,
                                 .previous_annunciation = alarm->annunciation,
                                 .previous_override = alarm_override_shown(alarm),
                                 .previous_publication = alarm->publication};
}

static void change_finish(struct alarm *alarm, struct moment now, struct alarm_change *change) {
    if (alarm->assessed != change->previous_assessed || alarm->level != change->previous_level) {
        change->what |= CHANGE_LEVEL;
    }
    if (alarm->knowledge != change->previous_knowledge) {
        change->what |= CHANGE_KNOWLEDGE;
    }
    if (alarm->annunciation != change->previous_annunciation) {
        change->what |= CHANGE_ANNUNCIATION;
    }
    if (change->what == 0) {
        return;
    }
    change->unannounced = !alarm->assessed && change->what == CHANGE_KNOWLEDGE;
    if (change->unannounced) {
        alarm->revision++;
        return;
    }
    if (alarm->episode_start.us == 0) {
        alarm->episode_start = now.utc; /* events before the first episode */
    }
    alarm->revision++;
    alarm->transition++;
}

static void end_overrides(struct alarm *alarm, struct moment now, struct alarm_change *change) {
    for (int kind = OVERRIDE_NONE + 1; kind < OVERRIDE_COUNT; kind++) {
        struct alarm_override *override = &alarm->overrides[kind];
        if (override->active && now.mono.us >= override->until.mono.us) {
            memset(override, 0, sizeof *override);
            change->what |= CHANGE_OVERRIDE;
        }
    }
}

static void raise_to(struct alarm *alarm, uint8_t level, const struct verdict *verdict,
                     struct moment now) {
    if (alarm->level == 0 && alarm->annunciation == ANNUNCIATION_NORMAL) {
        /* A new episode, stamped by its evidence and later than the one before, so that a clock
         * that was set back cannot give an id twice. */
        int64_t start_us = verdict->observed.utc.us;
        int64_t floor_us = alarm->episode_start.us + 1;
        alarm->episode_start.us = start_us > floor_us ? start_us : floor_us;
        alarm->transition = 0;
        alarm->highest_level = 0;
        alarm->acknowledged_level = 0;
        alarm->acknowledged_by[0] = '\0';
        alarm->acknowledged_at = (struct moment){0};
    }
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
    alarm->annunciation =
        level > alarm->acknowledged_level ? ANNUNCIATION_UNACKNOWLEDGED : ANNUNCIATION_ACKNOWLEDGED;
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
    raise_to(alarm, rule->levels[chosen].level, &verdicts[chosen], now);
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
    return verdict->observed.mono.us - alarm->off_since[index].us >=
           rule->levels[index].off_delay_us;
}

static void leave_to(struct alarm *alarm, uint8_t level, struct moment now) {
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
    if (alarm->overrides[OVERRIDE_OUT_OF_SERVICE].active) {
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
    }
}

static void assess_normal(struct alarm *alarm, const struct rule *rule,
                          const struct verdict *verdicts, struct moment now) {
    if (alarm->assessed || alarm->overrides[OVERRIDE_OUT_OF_SERVICE].active) {
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

/* What is not known about the level: the worst among the levels above the highest that is true;
 * when there is none, how well that one is known. When the level shown is certain to be reached by
 * usable evidence, what cannot be judged above it makes it doubtful ("at least"), not unknown:
 * otherwise rain that is enough for a level by a lower bound would read as "nothing is known", and
 * what was published would expire while its evidence stands. */
static void update_knowledge(struct alarm *alarm, const struct rule *rule,
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
    if (alarm->overrides[OVERRIDE_OUT_OF_SERVICE].active) {
        knowledge = KNOWLEDGE_UNKNOWN;
        cause = CAUSE_OUT_OF_SERVICE;
    }
    if (knowledge != alarm->knowledge) {
        alarm->knowledge = knowledge;
        alarm->knowledge_since = now;
    }
    alarm->cause = cause;
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

static void extend(struct alarm *alarm, const struct rule *rule, struct moment now) {
    alarm->expires.mono.us = now.mono.us + rule->expires_after_us;
    alarm->expires.utc.us = now.utc.us + rule->expires_after_us;
}

static void update_publication(struct alarm *alarm, const struct rule *rule, struct moment now,
                               struct alarm_change *change) {
    bool level_moved = alarm->level != change->previous_level;
    bool usable = alarm->knowledge <= KNOWLEDGE_DOUBTFUL;
    if (alarm->level == 0) {
        /* What says that a level was left is valid as long as what said that it was taken. */
        if (level_moved) {
            extend(alarm, rule, now);
        }
        alarm->publication = PUBLICATION_NONE;
        return;
    }
    if (level_moved || (usable && alarm->knowledge != change->previous_knowledge)) {
        alarm->publication = PUBLICATION_ISSUED;
        extend(alarm, rule, now);
        return;
    }
    int64_t left_us = alarm->expires.mono.us - now.mono.us;
    if (usable && left_us <= rule->expires_after_us / 4) {
        alarm->publication = PUBLICATION_ISSUED;
        extend(alarm, rule, now);
        change->what |= CHANGE_PUBLICATION;
    } else if (left_us <= 0 && alarm->publication == PUBLICATION_ISSUED) {
        alarm->publication = PUBLICATION_EXPIRED;
        change->what |= CHANGE_PUBLICATION;
    }
}

void alarm_evaluate(struct alarm *alarm, const struct rule *rule,
                    const struct alarm_levels *alarm_levels, const struct indicator *indicators,
                    struct moment now, struct alarm_change *ret_change) {
    struct verdict verdicts[RULE_LEVELS_MAX] = {0};
    struct alarm_change change = change_begin(alarm);
    for (uint32_t i = 0; i < rule->level_count; i++) {
        if (is_defined(alarm, i)) {
            bool held = rule->levels[i].level <= alarm->level;
            verdicts[i] = rule_evaluate(rule, i, held, alarm_levels, indicators);
        }
    }
    end_overrides(alarm, now, &change);
    if (!try_raise(alarm, rule, verdicts, now) && alarm->level > 0) {
        try_lower(alarm, rule, verdicts, now);
    }
    assess_normal(alarm, rule, verdicts, now);
    update_knowledge(alarm, rule, verdicts, now);
    update_trend(alarm, rule, &indicators[0]);
    update_publication(alarm, rule, now, &change);
    change_finish(alarm, now, &change);
    *ret_change = change;
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
        if (override->active && override->until.mono.us < due_us) {
            due_us = override->until.mono.us;
        }
    }
    if (alarm->level > 0) {
        int64_t at_us = alarm->expires.mono.us;
        if (alarm->knowledge <= KNOWLEDGE_DOUBTFUL) {
            at_us -= rule->expires_after_us / 4;
        } else if (alarm->publication == PUBLICATION_EXPIRED) {
            at_us = INT64_MAX;
        }
        due_us = at_us < due_us ? at_us : due_us;
    }
    return due_us;
}

static int acknowledge(struct alarm *alarm, const struct command *command, struct moment now,
                       struct err *ret_err) {
    if (alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED) {
        alarm->annunciation = ANNUNCIATION_ACKNOWLEDGED;
        alarm->acknowledged_level =
            alarm->level > alarm->acknowledged_level ? alarm->level : alarm->acknowledged_level;
    } else if (alarm->annunciation == ANNUNCIATION_RETURNED_UNACKNOWLEDGED) {
        alarm->annunciation = ANNUNCIATION_NORMAL;
    } else {
        return err_set(ret_err, ERR_INVALID, "nothing to acknowledge: the alarm is %s",
                       annunciation_name(alarm->annunciation));
    }
    (void)text_copy(alarm->acknowledged_by, sizeof alarm->acknowledged_by, command->actor);
    alarm->acknowledged_at = now;
    return 0;
}

static int begin_override(struct alarm *alarm, enum override_kind kind,
                          const struct command *command, struct moment now, int64_t max_us,
                          struct err *ret_err) {
    if (command->actor[0] == '\0' || command->comment[0] == '\0') {
        return err_set(ret_err, ERR_INVALID, "%s needs an actor and a reason", override_name(kind));
    }
    if (command->until.us == 0) {
        return err_set(ret_err, ERR_INVALID, "%s needs an end", override_name(kind));
    }
    if (command->until.us <= now.utc.us) {
        return err_set(ret_err, ERR_RANGE, "the end of %s is in the past", override_name(kind));
    }
    if (command->until.us - now.utc.us > max_us) {
        return err_set(ret_err, ERR_RANGE, "%s may last %d h at most", override_name(kind),
                       (int)(max_us / (INT64_C(3600) * 1000000)));
    }
    struct alarm_override *override = &alarm->overrides[kind];
    override->active = true;
    (void)text_copy(override->actor, sizeof override->actor, command->actor);
    (void)text_copy(override->reason, sizeof override->reason, command->comment);
    override->since = now;
    override->until.utc = command->until;
    override->until.mono.us = now.mono.us + (command->until.us - now.utc.us);
    return 0;
}

static int end_override(struct alarm *alarm, enum override_kind kind, struct err *ret_err) {
    struct alarm_override *override = &alarm->overrides[kind];
    if (!override->active) {
        return err_set(ret_err, ERR_INVALID, "the alarm is not %s", override_name(kind));
    }
    memset(override, 0, sizeof *override);
    return 0;
}

static int apply_command(struct alarm *alarm, const struct command *command, struct moment now,
                         struct alarm_change *change, struct err *ret_err) {
    int result;
    switch (command->kind) {
    case COMMAND_ACKNOWLEDGE:
        return acknowledge(alarm, command, now, ret_err);
    case COMMAND_COMMENT:
        if (command->comment[0] == '\0') {
            return err_set(ret_err, ERR_INVALID, "a comment needs a text");
        }
        change->what |= CHANGE_COMMENT;
        return 0;
    case COMMAND_SHELVE:
        change->what |= CHANGE_OVERRIDE;
        return begin_override(alarm, OVERRIDE_SHELVED, command, now, ALARM_SHELVE_MAX_US, ret_err);
    case COMMAND_UNSHELVE:
        change->what |= CHANGE_OVERRIDE;
        return end_override(alarm, OVERRIDE_SHELVED, ret_err);
    case COMMAND_OUT_OF_SERVICE:
        change->what |= CHANGE_OVERRIDE;
        result = begin_override(alarm, OVERRIDE_OUT_OF_SERVICE, command, now,
                                ALARM_OUT_OF_SERVICE_MAX_US, ret_err);
        if (result == 0) {
            alarm->off_pending_mask = 0;
            if (alarm->knowledge != KNOWLEDGE_UNKNOWN) {
                alarm->knowledge = KNOWLEDGE_UNKNOWN;
                alarm->knowledge_since = now;
            }
            alarm->cause = CAUSE_OUT_OF_SERVICE;
        }
        return result;
    case COMMAND_IN_SERVICE:
        change->what |= CHANGE_OVERRIDE;
        return end_override(alarm, OVERRIDE_OUT_OF_SERVICE, ret_err);
    case COMMAND_RESEND_STATE:
    case COMMAND_KIND_COUNT:
        break;
    }
    return err_set(ret_err, ERR_INVALID, "not a command to an alarm");
}

int alarm_command(struct alarm *alarm, const struct command *command, struct moment now,
                  struct alarm_change *ret_change, struct err *ret_err) {
    struct alarm_change change = change_begin(alarm);
    if (command->has_expected_revision && command->expected_revision != alarm->revision) {
        return err_set(ret_err, ERR_STALE, "the alarm has moved on: revision %llu, not %llu",
                       (unsigned long long)alarm->revision,
                       (unsigned long long)command->expected_revision);
    }
    int result = apply_command(alarm, command, now, &change, ret_err);
    if (result != 0) {
        return result;
    }
    change_finish(alarm, now, &change);
    *ret_change = change;
    return 0;
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
    static const char *const names[OVERRIDE_COUNT] = {"none", "shelved", "out_of_service"};
    return (unsigned)kind < OVERRIDE_COUNT ? names[kind] : "unknown";
}

const char *publication_name(enum publication publication) {
    static const char *const names[PUBLICATION_COUNT] = {"none", "issued", "expired"};
    return (unsigned)publication < PUBLICATION_COUNT ? names[publication] : "unknown";
}
