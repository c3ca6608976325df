#include "daemon/station/command.h"

#include <string.h>

#include "daemon/base/text.h"

enum target { TARGET_NONE = 1, TARGET_ALARM = 2, TARGET_STATION = 4, TARGET_INCIDENT = 8 };

static const struct {
    const char *name;
    unsigned targets;
} kinds[COMMAND_KIND_COUNT] = {
    [COMMAND_ACKNOWLEDGE] = {"acknowledge", TARGET_ALARM | TARGET_INCIDENT},
    [COMMAND_SHELVE] = {"shelve", TARGET_ALARM},
    [COMMAND_UNSHELVE] = {"unshelve", TARGET_ALARM},
    [COMMAND_OUT_OF_SERVICE] = {"out-of-service", TARGET_ALARM},
    [COMMAND_IN_SERVICE] = {"in-service", TARGET_ALARM},
    [COMMAND_COMMENT] = {"comment", TARGET_ALARM | TARGET_INCIDENT},
    [COMMAND_RESEND_STATE] = {"resend-state", TARGET_NONE},
    [COMMAND_MAINTENANCE] = {"maintenance", TARGET_STATION},
    [COMMAND_END_MAINTENANCE] = {"end-maintenance", TARGET_STATION},
    [COMMAND_CANCEL] = {"cancel", TARGET_ALARM},
    [COMMAND_APPROVE] = {"approve", TARGET_ALARM},
    [COMMAND_REJECT] = {"reject", TARGET_ALARM},
    [COMMAND_MERGE] = {"merge", TARGET_INCIDENT},
    [COMMAND_SPLIT] = {"split", TARGET_ALARM},
    [COMMAND_ATTACH] = {"attach", TARGET_ALARM | TARGET_INCIDENT},
    [COMMAND_CALIBRATE] = {"calibrate", TARGET_STATION},
    [COMMAND_SPOT] = {"spot", TARGET_STATION},
    [COMMAND_BUCKET_TEST] = {"bucket-test", TARGET_STATION},
    [COMMAND_END_BUCKET_TEST] = {"end-bucket-test", TARGET_STATION},
    [COMMAND_REVOKE] = {"revoke", TARGET_STATION},
    [COMMAND_VERDICT] = {"verdict", TARGET_ALARM},
};

const char *command_kind_name(enum command_kind kind) {
    return (unsigned)kind < COMMAND_KIND_COUNT ? kinds[kind].name : "unknown";
}

int command_kind_parse(const char *name, enum command_kind *ret_kind) {
    for (unsigned i = 0; i < COMMAND_KIND_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *ret_kind = (enum command_kind)i;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

static const char *const verdicts[JUDGED_COUNT] = {
    [JUDGED_NONE] = "none",
    [JUDGED_REAL] = "real",
    [JUDGED_RAIN] = "rain",
    [JUDGED_FAULT] = "fault",
};

const char *verdict_name(enum operator_verdict verdict) {
    return (unsigned)verdict < JUDGED_COUNT ? verdicts[verdict] : "unknown";
}

int verdict_parse(const char *name, enum operator_verdict *ret_verdict) {
    for (unsigned i = JUDGED_NONE + 1; i < JUDGED_COUNT; i++) {
        if (strcmp(verdicts[i], name) == 0) {
            *ret_verdict = (enum operator_verdict)i;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

int decision_parse(const char *reference, bool *ret_accepted, int *ret_level) {
    enum { LEVEL_MAX = 5 };
    static const char *const words[] = {"refused-", "accepted-"};
    for (int accepted = 0; accepted < 2; accepted++) {
        size_t length = strlen(words[accepted]);
        int64_t level;
        if (strncmp(reference, words[accepted], length) == 0 &&
            text_parse_int(reference + length, 1, LEVEL_MAX, &level) == 0) {
            *ret_accepted = accepted == 1;
            *ret_level = (int)level;
            return 0;
        }
    }
    return ERR_INVALID;
}

static bool is_bad_decision(const struct command *command) {
    bool accepted;
    int level;
    return command->kind == COMMAND_ATTACH &&
           strcmp(command->attachment, COMMAND_RISK_RAISE) == 0 &&
           (command->comment[0] == '\0' ||
            decision_parse(command->reference, &accepted, &level) != 0);
}

int command_target_check(const struct command *command, struct err *ret_err) {
    bool rule = command->rule[0] != '\0';
    bool place = command->place[0] != '\0';
    unsigned target = 0;
    if ((unsigned)command->kind >= COMMAND_KIND_COUNT) {
        return err_set(ret_err, ERR_INVALID, "an unknown command");
    }
    if (command->incident[0] != '\0') {
        target = rule || place ? 0 : TARGET_INCIDENT;
    } else if (place) {
        target = rule ? TARGET_ALARM : TARGET_STATION;
    } else {
        target = rule ? 0 : TARGET_NONE;
    }
    unsigned wanted = kinds[command->kind].targets;
    if ((target & wanted) == 0) {
        return err_set(ret_err, ERR_INVALID, "%s needs %s", kinds[command->kind].name,
                       wanted == TARGET_NONE       ? "no rule, place or incident"
                       : wanted == TARGET_STATION  ? "a place and no rule"
                       : wanted == TARGET_ALARM    ? "a rule and a place"
                       : wanted == TARGET_INCIDENT ? "an incident alone"
                                                   : "a rule and a place, or an incident");
    }
    if ((command->kind == COMMAND_MERGE) != (command->into[0] != '\0') ||
        (command->kind == COMMAND_ATTACH) != (command->attachment[0] != '\0')) {
        return err_set(ret_err, ERR_INVALID,
                       "%s: \"into\" belongs to merge, \"attachment\" to attach",
                       kinds[command->kind].name);
    }
    if (is_bad_decision(command)) {
        return err_set(ret_err, ERR_INVALID,
                       COMMAND_RISK_RAISE " needs a reason and the reference accepted-LEVEL or "
                                          "refused-LEVEL");
    }
    return 0;
}
