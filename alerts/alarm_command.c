#include <string.h>

#include "alerts/alarm_change.h"
#include "daemon/base/text.h"

/* The moment at which an end given in UTC comes. */
static struct moment end_at(struct utc_us until, struct moment now) {
    return (struct moment){{now.mono.us + (until.us - now.utc.us)}, until};
}

static int check_end(const char *what, const struct command *command, struct moment now,
                     int64_t max_us, struct err *ret_err) {
    if (command->until.us <= now.utc.us) {
        return err_set(ret_err, ERR_RANGE, "the end of %s is in the past", what);
    }
    if (command->until.us - now.utc.us > max_us) {
        return err_set(ret_err, ERR_RANGE, "%s may last %d h at most", what,
                       (int)(max_us / (INT64_C(3600) * 1000000)));
    }
    return 0;
}

static int check_reason(const char *what, const struct command *command, struct err *ret_err) {
    return command->actor[0] != '\0' && command->comment[0] != '\0'
               ? 0
               : err_set(ret_err, ERR_INVALID, "%s needs an actor and a reason", what);
}

static int acknowledge(struct alarm *alarm, const struct command *command, struct moment now,
                       struct err *ret_err) {
    int result = command->until.us != 0 ? check_end("an acknowledgement", command, now,
                                                    ALARM_ACKNOWLEDGE_MAX_US, ret_err)
                                        : 0;
    if (result != 0) {
        return result;
    }
    if (alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED) {
        alarm->annunciation = ANNUNCIATION_ACKNOWLEDGED;
        if (alarm->level >= alarm->acknowledged_level) {
            alarm->acknowledged_level = alarm->level;
            alarm->below_peak = false;
        }
    } else if (alarm->annunciation == ANNUNCIATION_RETURNED_UNACKNOWLEDGED) {
        alarm->annunciation = ANNUNCIATION_NORMAL;
    } else {
        return err_set(ret_err, ERR_INVALID, "nothing to acknowledge: the alarm is %s",
                       annunciation_name(alarm->annunciation));
    }
    (void)text_copy(alarm->acknowledged_by, sizeof alarm->acknowledged_by, command->actor);
    (void)text_copy(alarm->acknowledged_comment, sizeof alarm->acknowledged_comment,
                    command->comment);
    alarm->acknowledged_at = now;
    alarm->acknowledged_until =
        command->until.us != 0 ? end_at(command->until, now) : (struct moment){0};
    alarm->notice = NOTICE_NONE;
    return 0;
}

int alarm_override_begin(struct alarm_override *override, enum override_kind kind,
                         const struct command *command, struct moment now, int64_t max_us,
                         struct err *ret_err) {
    int result = check_reason(override_name(kind), command, ret_err);
    if (result == 0 && command->until.us == 0) {
        result = err_set(ret_err, ERR_INVALID, "%s needs an end", override_name(kind));
    }
    if (result == 0) {
        result = check_end(override_name(kind), command, now, max_us, ret_err);
    }
    if (result != 0) {
        return result;
    }
    memset(override, 0, sizeof *override);
    override->active = true;
    (void)text_copy(override->actor, sizeof override->actor, command->actor);
    (void)text_copy(override->reason, sizeof override->reason, command->comment);
    override->since = now;
    override->until = end_at(command->until, now);
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

static int take_out_of_service(struct alarm *alarm, const struct command *command,
                               struct moment now, struct err *ret_err) {
    int result =
        alarm_override_begin(&alarm->overrides[OVERRIDE_OUT_OF_SERVICE], OVERRIDE_OUT_OF_SERVICE,
                             command, now, ALARM_OUT_OF_SERVICE_MAX_US, ret_err);
    if (result == 0) {
        alarm->off_pending_mask = 0;
        memset(&alarm->overrides[OVERRIDE_OFF_DELAY], 0, sizeof(struct alarm_override));
        if (alarm->knowledge != KNOWLEDGE_UNKNOWN) {
            alarm->knowledge = KNOWLEDGE_UNKNOWN;
            alarm->knowledge_since = now;
        }
        alarm->cause = CAUSE_OUT_OF_SERVICE;
    }
    return result;
}

/* Withdraws what was published; the level stands on its evidence. */
static int cancel(struct alarm *alarm, const struct command *command, struct err *ret_err) {
    int result = check_reason("cancel", command, ret_err);
    bool published =
        alarm->publication != PUBLICATION_NONE && alarm->publication != PUBLICATION_CANCELLED;
    if (result == 0 && !published) {
        result = err_set(ret_err, ERR_INVALID, "nothing is published: %s",
                         publication_name(alarm->publication));
    }
    if (result == 0) {
        alarm->publication = PUBLICATION_CANCELLED;
        memset(&alarm->approval, 0, sizeof alarm->approval);
    }
    return result;
}

/* Two different people. A rejected draft may be taken up again, by two as well. */
static int approve(struct alarm *alarm, const struct rule *rule, const struct command *command,
                   struct moment now, struct err *ret_err) {
    struct alarm_approval *approval = &alarm->approval;
    if (alarm->publication != PUBLICATION_DRAFT) {
        return err_set(ret_err, ERR_INVALID, "no draft waits for approval: %s",
                       publication_name(alarm->publication));
    }
    if (command->actor[0] == '\0') {
        return err_set(ret_err, ERR_INVALID, "approve needs an actor");
    }
    if (approval->state == APPROVAL_REJECTED) {
        approval->state = APPROVAL_WAITING;
        approval->since = now;
        approval->decided_by[0] = '\0';
        approval->first[0] = '\0';
    }
    if (approval->first[0] == '\0') {
        (void)text_copy(approval->first, sizeof approval->first, command->actor);
        return 0;
    }
    if (strcmp(approval->first, command->actor) == 0) {
        return err_set(ret_err, ERR_DENIED, "%s has approved already: a second person is needed",
                       command->actor);
    }
    approval->state = APPROVAL_APPROVED;
    approval->level = alarm->level;
    approval->since = now;
    (void)text_copy(approval->decided_by, sizeof approval->decided_by, command->actor);
    alarm->publication = PUBLICATION_ISSUED;
    alarm_extend(alarm, rule, now);
    return 0;
}

static int reject(struct alarm *alarm, const struct command *command, struct moment now,
                  struct err *ret_err) {
    struct alarm_approval *approval = &alarm->approval;
    int result = check_reason("reject", command, ret_err);
    if (result == 0 && approval->state != APPROVAL_WAITING) {
        result = err_set(ret_err, ERR_INVALID, "no draft waits for approval: %s",
                         approval_name(approval->state));
    }
    if (result == 0) {
        approval->state = APPROVAL_REJECTED;
        approval->level = alarm->level;
        approval->since = now;
        (void)text_copy(approval->decided_by, sizeof approval->decided_by, command->actor);
    }
    return result;
}

/* Changes no axis. Of an episode that has ended too: often it is known only then. */
static int judge(struct alarm *alarm, const struct rule *rule, const struct command *command,
                 struct err *ret_err) {
    struct alarm_verdicts *verdicts = &alarm->verdicts;
    if (strcmp(rule->hazard, "radiation") != 0 && strcmp(rule->hazard, "chemical") != 0) {
        return err_set(ret_err, ERR_INVALID,
                       "a verdict is given on alarms of radiation and chemicals, not of %s",
                       rule->hazard);
    }
    if (command->verdict == JUDGED_NONE || command->verdict >= JUDGED_COUNT ||
        command->actor[0] == '\0') {
        return err_set(ret_err, ERR_INVALID, "a verdict needs an actor and real, rain or fault");
    }
    if (alarm->raised_on.utc.us == 0) {
        return err_set(ret_err, ERR_INVALID, "there is nothing to judge: it was never raised");
    }
    if (verdicts->newest != JUDGED_NONE && verdicts->episode.us == alarm->episode_start.us) {
        verdicts->counts[verdicts->newest]--;
    }
    verdicts->counts[command->verdict]++;
    verdicts->newest = command->verdict;
    verdicts->episode = alarm->episode_start;
    return 0;
}

static int apply_command(struct alarm *alarm, const struct rule *rule,
                         const struct command *command, struct moment now,
                         struct alarm_change *change, struct err *ret_err) {
    switch (command->kind) {
    case COMMAND_ACKNOWLEDGE:
        return acknowledge(alarm, command, now, ret_err);
    case COMMAND_COMMENT:
        change->what |= CHANGE_COMMENT;
        return command->comment[0] != '\0'
                   ? 0
                   : err_set(ret_err, ERR_INVALID, "a comment needs a text");
    case COMMAND_VERDICT:
        change->what |= CHANGE_COMMENT;
        return judge(alarm, rule, command, ret_err);
    case COMMAND_SHELVE:
        change->what |= CHANGE_OVERRIDE;
        return alarm_override_begin(&alarm->overrides[OVERRIDE_SHELVED], OVERRIDE_SHELVED, command,
                                    now, ALARM_SHELVE_MAX_US, ret_err);
    case COMMAND_UNSHELVE:
        change->what |= CHANGE_OVERRIDE;
        return end_override(alarm, OVERRIDE_SHELVED, ret_err);
    case COMMAND_OUT_OF_SERVICE:
        change->what |= CHANGE_OVERRIDE;
        return take_out_of_service(alarm, command, now, ret_err);
    case COMMAND_IN_SERVICE:
        change->what |= CHANGE_OVERRIDE;
        return end_override(alarm, OVERRIDE_OUT_OF_SERVICE, ret_err);
    case COMMAND_CANCEL:
        change->what |= CHANGE_PUBLICATION;
        return cancel(alarm, command, ret_err);
    case COMMAND_APPROVE:
        change->what |= CHANGE_APPROVAL;
        return approve(alarm, rule, command, now, ret_err);
    case COMMAND_REJECT:
        change->what |= CHANGE_APPROVAL;
        return reject(alarm, command, now, ret_err);
    default:
        return err_set(ret_err, ERR_INVALID, "not a command to an alarm");
    }
}

int alarm_command(struct alarm *alarm, const struct rule *rule, const struct command *command,
                  struct moment now, struct alarm_change *ret_change, struct err *ret_err) {
    struct alarm_change change = alarm_change_begin(alarm);
    if (command->has_expected_revision && command->expected_revision != alarm->revision) {
        return err_set(ret_err, ERR_STALE, "the alarm has moved on: revision %llu, not %llu",
                       (unsigned long long)alarm->revision,
                       (unsigned long long)command->expected_revision);
    }
    int result = apply_command(alarm, rule, command, now, &change, ret_err);
    if (result != 0) {
        return result;
    }
    if (alarm->publication != change.previous_publication) {
        change.what |= CHANGE_PUBLICATION;
    }
    alarm_change_finish(alarm, now, 0, &change);
    *ret_change = change;
    return 0;
}
