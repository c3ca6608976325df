/* A naive oracle of the rules "flood" and "fast" of engine_fixture.h, and a judge that holds what
 * an engine showed against it and against written invariants. Everything is derived anew from the
 * whole history of a sequence; none of the engine's code is used. */
#ifndef CANHBAO_TESTS_ENGINE_ORACLE_H
#define CANHBAO_TESTS_ENGINE_ORACLE_H

#include "tests/unit/engine_fixture.h"

enum {
    STEPS_MAX = 24,
    EVENTS_MAX = 32,
    ALARMS = 2,
    LEVELS = 3,
    LOOKS_MAX = 6 * STEPS_MAX,
    IDS_MAX = 12,
    APPROVAL_FROM = 3
};

#define APPROVAL_TIMEOUT_US (4 * MIN)
#define NOTICE_WINDOW_US    (10 * MIN)
#define DECAY_US            (20 * MIN)
#define FLAP_WINDOW_US      (10 * MIN)
enum { NOTICES_ALLOWED = 1, FLAP_MOVES = 3 };

/* ---- what the judge is shown ---- */

struct seen_alarm {
    uint8_t level;
    bool assessed;
    enum knowledge knowledge;
    enum annunciation annunciation;
    uint8_t acknowledged_level;
    bool shelved, out_of_service, maintenance, on_delay, off_delay, flapping;
    int64_t shelved_until_us, out_until_us;
    enum notice notice;
    enum approval approval;
    int overdue, step;
    char incident[ID_TEXT_SIZE];
    uint64_t revision;
    enum publication publication;
    int64_t expires_us;
};

struct seen_event {
    int alarm;
    char id[ID_TEXT_SIZE];
    enum event_kind kind;
    uint32_t what;
    uint64_t sequence;
    uint8_t previous_level, level;
    enum notice notice;
    enum annunciation annunciation;
    enum knowledge knowledge, previous_knowledge;
    bool muted;
    int step;
    char incident[ID_TEXT_SIZE];
};

struct seen {
    int event_count;
    struct seen_event events[EVENTS_MAX];
    struct seen_alarm alarms[ALARMS];
    uint64_t records[ALARMS]; /* changes without an event */
    int replies, reply_code;
};

/* ---- the oracle ---- */

struct sample {
    int64_t at_us;
    double value;
    bool good; /* not suspect, not simulated */
};

struct log_entry { /* one look of one alarm */
    int64_t now_us;
    int verdict[LEVELS]; /* 1 true, 0 false, -1 unknown, as taken then (held or not) */
    enum knowledge knowledge[LEVELS];
    int64_t observed_us[LEVELS];
    int level_before, level_after;
    bool raised, out_of_service;
    enum knowledge shown; /* of the alarm, after the look */
    bool silent;          /* its parent, a technician or a fresh start say why */
};

struct oracle_alarm {
    int levels;
    bool ever; /* raised at least once */
    int64_t on_delay_us[LEVELS], off_delay_us[LEVELS];
    bool fresh_only;
    int log_count;
    struct log_entry log[LOOKS_MAX];
    int level;
    bool assessed;
    enum knowledge knowledge;
    enum knowledge told; /* by the newest event; of a place that was never assessed: as it is */
    int told_from;       /* log index of the look that went with it */
    bool told_due;       /* by the looks of this input */
    int64_t told_at_us;
    enum annunciation annunciation;
    int acknowledged;
    int64_t raised_on_us;
    bool shelved, out_of_service;
    int64_t shelved_until_us, out_until_us;
    int64_t reset_off_at; /* log index from which off-delays count (out of service resets) */
    int64_t decay_us, flap_window_us; /* 0: none */
    int64_t acknowledged_until_us;    /* 0: none */
    bool below_peak;
    int64_t below_peak_since_us;
    int move_count;
    int64_t moves_us[LOOKS_MAX];
    bool cancelled;
    enum approval approval;
    int proposed; /* level */
    char first[COMMAND_ACTOR_SIZE];
    int64_t waiting_since_us;
};

struct oracle {
    int sample_count;
    struct sample samples[STEPS_MAX];
    bool has_model;
    int64_t model_at_us;
    double model_value;
    bool model_simulated;
    struct oracle_alarm alarms[ALARMS];
    uint64_t place_sequence[ALARMS];
    enum knowledge said[ALARMS]; /* by the newest event before this input */
    struct seen_alarm last[ALARMS];
    char ids[STEPS_MAX * 3][ID_TEXT_SIZE];
    int id_count;
    bool maintenance;
    int64_t maintenance_until_us;
    int notice_count;
    int64_t notices_us[STEPS_MAX * 8];
    bool commands[IDS_MAX];
};

struct opinion {
    int verdict;
    enum knowledge knowledge;
    int64_t observed_us;
};

static inline struct opinion opinion_of(double value, enum knowledge knowledge, int64_t observed_us,
                                        double threshold) {
    struct opinion opinion = {-1, knowledge, observed_us};
    if (knowledge == KNOWLEDGE_FRESH) {
        opinion.verdict = value >= threshold;
    } else if (knowledge == KNOWLEDGE_DOUBTFUL && value >= threshold) {
        opinion.verdict = 1;
    }
    return opinion;
}

static inline struct opinion flood_opinion(const struct oracle *oracle, int64_t now_us, int level,
                                           bool held) {
    double threshold = 2.0 * (level + 1) - (held ? 0.5 : 0);
    if (oracle->sample_count == 0 || oracle->maintenance) {
        return (struct opinion){-1, KNOWLEDGE_UNKNOWN, 0};
    }
    const struct sample *newest = &oracle->samples[oracle->sample_count - 1];
    if (now_us - newest->at_us > 180 * SEC) {
        return (struct opinion){-1, KNOWLEDGE_STALE, newest->at_us};
    }
    return opinion_of(newest->value, newest->good ? KNOWLEDGE_FRESH : KNOWLEDGE_DOUBTFUL,
                      newest->at_us, threshold);
}

static inline struct opinion rise_opinion(const struct oracle *oracle, int64_t now_us,
                                          double threshold) {
    int n = oracle->sample_count;
    if (n == 0 || oracle->maintenance) {
        return (struct opinion){-1, KNOWLEDGE_UNKNOWN, 0};
    }
    const struct sample *newest = &oracle->samples[n - 1];
    if (now_us - newest->at_us > 180 * SEC) {
        return (struct opinion){-1, KNOWLEDGE_STALE, newest->at_us};
    }
    const struct sample *reference = NULL;
    bool whole = false;
    for (int i = n - 2; i >= 0; i--) {
        int64_t back_us = newest->at_us - oracle->samples[i].at_us;
        if (back_us > 11 * MIN) {
            break; /* window 10 min, tolerance a tenth of it */
        }
        reference = &oracle->samples[i];
        if (back_us >= 10 * MIN) {
            whole = true;
            break;
        }
    }
    if (reference == NULL) {
        return (struct opinion){-1, KNOWLEDGE_UNKNOWN, newest->at_us};
    }
    double rise = newest->value - reference->value;
    bool good = newest->good && reference->good;
    if (!whole) {
        if (rise >= threshold) {
            return (struct opinion){1, good ? KNOWLEDGE_FRESH : KNOWLEDGE_DOUBTFUL, newest->at_us};
        }
        return (struct opinion){-1, KNOWLEDGE_UNKNOWN, newest->at_us};
    }
    return opinion_of(rise, good ? KNOWLEDGE_FRESH : KNOWLEDGE_DOUBTFUL, newest->at_us, threshold);
}

static inline struct opinion model_opinion(const struct oracle *oracle, int64_t now_us,
                                           double threshold) {
    if (!oracle->has_model) {
        return (struct opinion){-1, KNOWLEDGE_UNKNOWN, 0};
    }
    if (now_us - oracle->model_at_us > 10 * MIN) {
        return (struct opinion){-1, KNOWLEDGE_STALE, oracle->model_at_us};
    }
    if (isnan(oracle->model_value)) {
        return (struct opinion){-1, KNOWLEDGE_UNKNOWN, oracle->model_at_us};
    }
    return opinion_of(oracle->model_value,
                      oracle->model_simulated ? KNOWLEDGE_DOUBTFUL : KNOWLEDGE_FRESH,
                      oracle->model_at_us, threshold);
}

static inline struct opinion fast_opinion(const struct oracle *oracle, int64_t now_us, bool held) {
    struct opinion a = rise_opinion(oracle, now_us, held ? 2 : 3);
    struct opinion b = model_opinion(oracle, now_us, held ? 4 : 5);
    int64_t later_us = a.observed_us > b.observed_us ? a.observed_us : b.observed_us;
    if (a.verdict == b.verdict) {
        bool take_b = a.verdict == 1 ? b.knowledge < a.knowledge : b.knowledge > a.knowledge;
        struct opinion both = take_b ? b : a;
        both.observed_us = later_us;
        return both;
    }
    if (a.verdict == 1 || b.verdict == 1) {
        return a.verdict == 1 ? a : b;
    }
    return a.verdict == -1 ? a : b;
}

/* Since when has `level` been true without a false in between, by the looks before this one? */
static inline bool on_delay_over(const struct oracle_alarm *alarm, int level) {
    const struct log_entry *now = &alarm->log[alarm->log_count - 1];
    int64_t since_us = now->now_us;
    for (int i = alarm->log_count - 1; i >= 0; i--) {
        const struct log_entry *entry = &alarm->log[i];
        bool over = i < alarm->log_count - 1 && entry->level_after > level;
        if (entry->verdict[level] == 0 || entry->level_before > level || over) {
            break;
        }
        bool counts = entry->verdict[level] == 1 &&
                      (!alarm->fresh_only || entry->knowledge[level] == KNOWLEDGE_FRESH);
        if (counts) {
            since_us = entry->now_us;
        }
    }
    return now->now_us - since_us >= alarm->on_delay_us[level];
}

/* Has `level` been seen true, with nothing against it since? */
static inline bool on_delay_runs(const struct oracle_alarm *alarm, int level) {
    for (int i = alarm->log_count - 1; i >= 0; i--) {
        const struct log_entry *entry = &alarm->log[i];
        if (entry->verdict[level] == 0 || entry->level_before > level ||
            entry->level_after > level) {
            return false;
        }
        if (entry->verdict[level] == 1 &&
            (!alarm->fresh_only || entry->knowledge[level] == KNOWLEDGE_FRESH)) {
            return true;
        }
    }
    return false;
}

static inline bool speaks_against(const struct oracle_alarm *alarm, const struct log_entry *entry,
                                  int level) {
    return entry->verdict[level] == 0 && entry->knowledge[level] == KNOWLEDGE_FRESH &&
           entry->observed_us[level] > alarm->raised_on_us && !entry->out_of_service &&
           !entry->raised && entry->level_before > level;
}

static inline bool flaps(const struct oracle_alarm *alarm, int64_t now_us) {
    int n = alarm->move_count;
    return alarm->flap_window_us > 0 && n >= FLAP_MOVES &&
           now_us < alarm->moves_us[n - FLAP_MOVES] + alarm->flap_window_us;
}

static inline bool off_delay_over(const struct oracle_alarm *alarm, int level) {
    const struct log_entry *now = &alarm->log[alarm->log_count - 1];
    if (!speaks_against(alarm, now, level)) {
        return false;
    }
    int64_t since_us = now->observed_us[level];
    for (int i = alarm->log_count - 2; i >= alarm->reset_off_at; i--) {
        if (!speaks_against(alarm, &alarm->log[i], level)) {
            break;
        }
        since_us = alarm->log[i].observed_us[level];
    }
    int64_t delay_us = alarm->off_delay_us[level];
    if (flaps(alarm, now->now_us) && alarm->flap_window_us > delay_us) {
        delay_us = alarm->flap_window_us;
    }
    return now->observed_us[level] - since_us >= delay_us;
}

/* What the level now means for the public message. */
static inline void oracle_publish(struct oracle_alarm *alarm, int64_t now_us) {
    alarm->cancelled = false;
    bool given = alarm->approval == APPROVAL_APPROVED && alarm->proposed >= alarm->level;
    if (alarm->level == 0) {
        alarm->approval = APPROVAL_NONE;
    } else if (given) {
        return;
    } else if (alarm->level < APPROVAL_FROM) {
        alarm->approval = APPROVAL_NONE;
    } else {
        bool stands = alarm->approval == APPROVAL_WAITING || alarm->approval == APPROVAL_REJECTED;
        if (!stands || alarm->level > alarm->proposed) {
            alarm->approval = APPROVAL_WAITING;
            alarm->first[0] = '\0';
            alarm->waiting_since_us = now_us;
        }
        alarm->proposed = alarm->level;
    }
}

static inline void oracle_move(struct oracle_alarm *alarm, int level, int64_t now_us) {
    if (alarm->level >= alarm->acknowledged && level < alarm->acknowledged) {
        alarm->below_peak = true;
        alarm->below_peak_since_us = now_us;
    }
    alarm->level = level;
    alarm->ever = alarm->ever || level > 0;
    alarm->moves_us[alarm->move_count++] = now_us;
    oracle_publish(alarm, now_us);
}

static inline void oracle_rise(struct oracle_alarm *alarm, int level, int64_t now_us) {
    if (alarm->level == 0 && alarm->annunciation == ANNUNCIATION_NORMAL) {
        alarm->acknowledged = 0;
        alarm->acknowledged_until_us = 0;
        alarm->below_peak = false;
    }
    int covered = alarm->acknowledged;
    if (alarm->below_peak && alarm->decay_us > 0) {
        for (int64_t at_us = alarm->below_peak_since_us + alarm->decay_us;
             at_us <= now_us && covered > 0; at_us += alarm->decay_us) {
            covered--;
        }
    }
    oracle_move(alarm, level, now_us);
    alarm->assessed = true;
    alarm->annunciation = level > covered ? ANNUNCIATION_UNACKNOWLEDGED : ANNUNCIATION_ACKNOWLEDGED;
    alarm->acknowledged = level > covered ? covered : alarm->acknowledged;
    alarm->below_peak = alarm->below_peak && level < alarm->acknowledged;
}

static inline void oracle_lower(struct oracle_alarm *alarm, int64_t now_us) {
    int target = alarm->level;
    while (target > 0 && off_delay_over(alarm, target - 1)) {
        target--;
    }
    if (target < alarm->level) {
        oracle_move(alarm, target, now_us);
        if (target == 0) {
            alarm->annunciation = alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED
                                      ? ANNUNCIATION_RETURNED_UNACKNOWLEDGED
                                  : alarm->annunciation == ANNUNCIATION_ACKNOWLEDGED
                                      ? ANNUNCIATION_NORMAL
                                      : alarm->annunciation;
        }
    }
}

static inline void oracle_know(struct oracle_alarm *alarm, const struct log_entry *entry) {
    alarm->knowledge = KNOWLEDGE_FRESH;
    bool all_false = true;
    for (int level = alarm->levels - 1; level >= 0; level--) {
        all_false = all_false && entry->verdict[level] == 0;
        if (entry->verdict[level] != 0 && entry->knowledge[level] > alarm->knowledge) {
            alarm->knowledge = entry->knowledge[level];
        }
        if (entry->verdict[level] == 1) {
            break;
        }
    }
    if (entry->out_of_service) {
        alarm->knowledge = KNOWLEDGE_UNKNOWN;
    } else if (all_false) {
        alarm->assessed = true;
    }
}

/* When the knowledge of the newest look began to be what it is, without a break. */
static inline int64_t shown_since(const struct oracle_alarm *alarm, int last) {
    int first = last;
    while (first > 0 && alarm->log[first - 1].shown == alarm->log[last].shown) {
        first--;
    }
    return alarm->log[first].now_us;
}

/* When knowledge first was other than told; stretches as told that are shorter than the hold do not
 * interrupt. */
static inline int64_t other_since(const struct oracle_alarm *alarm) {
    int64_t since_us = alarm->log[alarm->log_count - 1].now_us;
    for (int i = alarm->log_count - 1; i >= alarm->told_from && !alarm->log[i].silent; i--) {
        if (alarm->log[i].shown != alarm->told) {
            since_us = alarm->log[i].now_us;
        } else if (since_us - shown_since(alarm, i) >= ALARM_KNOWLEDGE_HOLD_US) {
            break;
        }
    }
    return since_us;
}

/* Whether this look must bring an event about knowledge. */
static inline void oracle_tell(struct oracle_alarm *alarm, struct log_entry *entry, bool explained,
                               int64_t now_us) {
    entry->shown = alarm->knowledge;
    entry->silent = explained || !alarm->assessed;
    if (!alarm->assessed) {
        alarm->told = alarm->knowledge;
        alarm->told_from = alarm->log_count - 1;
    }
    if (entry->silent || alarm->knowledge == alarm->told) {
        return;
    }
    bool lost = alarm->level > 0 && alarm->told <= KNOWLEDGE_DOUBTFUL &&
                alarm->knowledge > KNOWLEDGE_DOUBTFUL;
    int64_t since_us = alarm->knowledge > alarm->told ? other_since(alarm)
                                                      : shown_since(alarm, alarm->log_count - 1);
    if (lost || now_us - since_us >= ALARM_KNOWLEDGE_HOLD_US) {
        alarm->told_due = true;
        alarm->told = alarm->knowledge;
        alarm->told_from = alarm->log_count - 1;
    }
}

static inline void oracle_look(struct oracle *oracle, int index, int64_t now_us) {
    struct oracle_alarm *alarm = &oracle->alarms[index];
    if (alarm->shelved && now_us >= alarm->shelved_until_us) {
        alarm->shelved = false;
    }
    if (alarm->out_of_service && now_us >= alarm->out_until_us) {
        alarm->out_of_service = false;
    }
    if (alarm->acknowledged_until_us != 0 && now_us >= alarm->acknowledged_until_us) {
        alarm->acknowledged_until_us = 0;
        alarm->acknowledged = 0;
        alarm->below_peak = false;
        if (alarm->annunciation == ANNUNCIATION_ACKNOWLEDGED) {
            alarm->annunciation = ANNUNCIATION_UNACKNOWLEDGED;
        }
    }
    bool held = alarm->out_of_service || (index == 0 && oracle->maintenance);
    struct log_entry *entry = &alarm->log[alarm->log_count++];
    *entry =
        (struct log_entry){.now_us = now_us, .level_before = alarm->level, .out_of_service = held};
    for (int level = 0; level < alarm->levels; level++) {
        bool taken = alarm->level > level;
        struct opinion opinion = index == 0 ? flood_opinion(oracle, now_us, level, taken)
                                            : fast_opinion(oracle, now_us, taken);
        entry->verdict[level] = opinion.verdict;
        entry->knowledge[level] = opinion.knowledge;
        entry->observed_us[level] = opinion.observed_us;
    }
    for (int level = alarm->levels; level > alarm->level; level--) {
        bool usable = entry->verdict[level - 1] == 1 &&
                      (!alarm->fresh_only || entry->knowledge[level - 1] == KNOWLEDGE_FRESH);
        if (usable && on_delay_over(alarm, level - 1)) {
            oracle_rise(alarm, level, now_us);
            entry->raised = true;
            if (entry->observed_us[level - 1] > alarm->raised_on_us) {
                alarm->raised_on_us = entry->observed_us[level - 1];
            }
            break;
        }
    }
    if (!entry->raised && !held) {
        oracle_lower(alarm, now_us);
    }
    entry->level_after = alarm->level;
    oracle_know(alarm, entry);
    oracle_tell(alarm, entry, alarm->level == 0 && index == 0 && oracle->maintenance, now_us);
}

static inline bool oracle_maintenance(struct oracle *oracle, const struct command *command,
                                      int64_t now_us) {
    int64_t lasts_us = command->until.us - START_UTC - now_us;
    bool begins = command->kind == COMMAND_MAINTENANCE;
    bool valid = begins ? command->comment[0] != '\0' && command->until.us != 0 && lasts_us > 0 &&
                              lasts_us <= 7 * 24 * HOUR
                        : oracle->maintenance;
    if (command->rule[0] != '\0' || strcmp(command->place, "gauge") != 0 || !valid) {
        return false;
    }
    oracle->maintenance = begins;
    oracle->maintenance_until_us = now_us + lasts_us;
    return true;
}

/* The incidents of alarms are open: who is in a closed one has left it. */
static inline bool oracle_merge(const struct oracle *oracle, const struct command *command) {
    const char *from = oracle->last[0].incident;
    const char *into = oracle->last[1].incident;
    return command->rule[0] == '\0' && command->place[0] == '\0' && command->comment[0] != '\0' &&
           from[0] != '\0' && into[0] != '\0' && strcmp(from, into) != 0 &&
           strcmp(command->incident, from) == 0 && strcmp(command->into, into) == 0;
}

static inline bool oracle_approve(struct oracle *oracle, int index, const struct command *command,
                                  int64_t now_us) {
    struct oracle_alarm *alarm = &oracle->alarms[index];
    if (alarm->approval == APPROVAL_REJECTED) {
        alarm->approval = APPROVAL_WAITING;
        alarm->waiting_since_us = now_us;
        strcpy(alarm->first, command->actor);
    } else if (alarm->approval != APPROVAL_WAITING) {
        return false;
    } else if (alarm->first[0] == '\0') {
        strcpy(alarm->first, command->actor);
    } else if (strcmp(alarm->first, command->actor) == 0) {
        return false;
    } else {
        alarm->approval = APPROVAL_APPROVED;
        alarm->proposed = alarm->level;
    }
    oracle_look(oracle, index, now_us);
    return true;
}

/* Whether the command must be taken; applies it. */
static inline bool oracle_command(struct oracle *oracle, const struct command *command,
                                  int64_t now_us) {
    int index = strcmp(command->rule, "flood") == 0 && strcmp(command->place, "gauge") == 0  ? 0
                : strcmp(command->rule, "fast") == 0 && strcmp(command->place, "basin") == 0 ? 1
                                                                                             : -1;
    if (command->kind == COMMAND_MAINTENANCE || command->kind == COMMAND_END_MAINTENANCE) {
        return oracle_maintenance(oracle, command, now_us);
    }
    if (command->kind == COMMAND_MERGE) {
        return oracle_merge(oracle, command);
    }
    if (index < 0) {
        return false;
    }
    struct oracle_alarm *alarm = &oracle->alarms[index];
    int64_t lasts_us = command->until.us - START_UTC - now_us;
    bool override_valid = command->comment[0] != '\0' && command->until.us != 0 && lasts_us > 0;
    if (command->has_expected_revision &&
        command->expected_revision != oracle->last[index].revision) {
        return false;
    }
    switch (command->kind) {
    case COMMAND_ACKNOWLEDGE:
        if (command->until.us != 0 && (lasts_us <= 0 || lasts_us > 7 * 24 * HOUR)) {
            return false;
        }
        if (alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED) {
            alarm->annunciation = ANNUNCIATION_ACKNOWLEDGED;
            if (alarm->level >= alarm->acknowledged) {
                alarm->acknowledged = alarm->level;
                alarm->below_peak = false;
            }
        } else if (alarm->annunciation == ANNUNCIATION_RETURNED_UNACKNOWLEDGED) {
            alarm->annunciation = ANNUNCIATION_NORMAL;
        } else {
            return false;
        }
        alarm->acknowledged_until_us = command->until.us != 0 ? now_us + lasts_us : 0;
        break;
    case COMMAND_SHELVE:
        if (!override_valid || lasts_us > 24 * HOUR) {
            return false;
        }
        alarm->shelved = true;
        alarm->shelved_until_us = now_us + lasts_us;
        break;
    case COMMAND_UNSHELVE:
        if (!alarm->shelved) {
            return false;
        }
        alarm->shelved = false;
        break;
    case COMMAND_OUT_OF_SERVICE:
        if (!override_valid || lasts_us > 30 * 24 * HOUR) {
            return false;
        }
        alarm->out_of_service = true;
        alarm->out_until_us = now_us + lasts_us;
        alarm->reset_off_at = alarm->log_count;
        break;
    case COMMAND_IN_SERVICE:
        if (!alarm->out_of_service) {
            return false;
        }
        alarm->out_of_service = false;
        break;
    case COMMAND_COMMENT:
        if (command->comment[0] == '\0') {
            return false;
        }
        break;
    case COMMAND_VERDICT: /* moves nothing */
        if (command->verdict == JUDGED_NONE || !alarm->ever) {
            return false;
        }
        break;
    case COMMAND_CANCEL:
        if (command->comment[0] == '\0' || alarm->level == 0 || alarm->cancelled) {
            return false;
        }
        alarm->cancelled = true;
        alarm->approval = APPROVAL_NONE;
        break;
    case COMMAND_APPROVE:
        return oracle_approve(oracle, index, command, now_us);
    case COMMAND_REJECT:
        if (command->comment[0] == '\0' || alarm->approval != APPROVAL_WAITING) {
            return false;
        }
        alarm->approval = APPROVAL_REJECTED;
        alarm->proposed = alarm->level;
        break;
    case COMMAND_SPLIT:
        return command->comment[0] != '\0' && oracle->last[index].incident[0] != '\0';
    case COMMAND_ATTACH:
        /* The revision is the incident's then; these commands have none. */
        return command->comment[0] != '\0' && oracle->last[index].incident[0] != '\0';
    default:
        return false;
    }
    oracle_look(oracle, index, now_us);
    return true;
}

static inline void oracle_init(struct oracle *oracle) {
    memset(oracle, 0, sizeof *oracle);
    oracle->alarms[0] = (struct oracle_alarm){.levels = 3,
                                              .on_delay_us = {0, 2 * MIN, 0},
                                              .off_delay_us = {2 * MIN, 2 * MIN, 2 * MIN},
                                              .decay_us = DECAY_US,
                                              .flap_window_us = FLAP_WINDOW_US,
                                              .knowledge = KNOWLEDGE_UNKNOWN};
    oracle->alarms[1] =
        (struct oracle_alarm){.levels = 1, .fresh_only = true, .knowledge = KNOWLEDGE_UNKNOWN};
    for (int i = 0; i < ALARMS; i++) {
        oracle->last[i].knowledge = KNOWLEDGE_UNKNOWN;
        oracle->alarms[i].told = KNOWLEDGE_UNKNOWN;
    }
}

/* Takes one input; says whether a command must be accepted. */
static inline bool oracle_step(struct oracle *oracle, const struct engine_input *input) {
    int64_t now_us = input->now.mono.us;
    bool accepted = false;
    for (int i = 0; i < ALARMS; i++) {
        oracle->alarms[i].told_due = false;
        oracle->said[i] = oracle->alarms[i].told;
    }
    if (oracle->maintenance && now_us >= oracle->maintenance_until_us) {
        oracle->maintenance = false;
        oracle_look(oracle, 0, now_us);
        oracle_look(oracle, 1, now_us);
    }
    if (input->kind == ENGINE_READING) {
        const struct reading *reading = &input->as.reading;
        bool usable = reading->status == READING_OK && isfinite(reading->value) &&
                      reading->value >= -1 && reading->value <= 20;
        if (usable && !oracle->maintenance) {
            oracle->samples[oracle->sample_count++] =
                (struct sample){reading->received.mono.us, reading->value,
                                reading->value <= 10 && !input->simulated};
        }
    } else if (input->kind == ENGINE_MODEL_RESULT) {
        const struct model_result *result = &input->as.model_result;
        int64_t at_us = result->reference_time.us - START_UTC;
        bool newer =
            !oracle->has_model || at_us > oracle->model_at_us ||
            (at_us == oracle->model_at_us && isnan(oracle->model_value) && isfinite(result->value));
        if (newer) {
            oracle->has_model = true;
            oracle->model_at_us = at_us;
            oracle->model_value = result->value;
            oracle->model_simulated = input->simulated;
        }
    } else if (input->kind == ENGINE_COMMAND) {
        const struct command *command = &input->as.command;
        int id = command->id[0] != '\0' ? command->id[1] - 'a' : -1;
        bool expired = command->expires.us != 0 && command->expires.us <= START_UTC + now_us;
        bool repeated = id >= 0 && oracle->commands[id];
        if (!expired && !repeated) {
            if (id >= 0) {
                oracle->commands[id] = true;
            }
            accepted = oracle_command(oracle, command, now_us);
        }
    }
    oracle_look(oracle, 0, now_us);
    oracle_look(oracle, 1, now_us);
    return accepted;
}

/* ---- the judge: NULL, or what is wrong ---- */

static inline const char *judge_override(const struct oracle *oracle, int index,
                                         const struct seen_alarm *seen, int64_t now_us) {
    const struct oracle_alarm *want = &oracle->alarms[index];
    bool maintenance = index == 0 && oracle->maintenance;
    if (seen->shelved != want->shelved || seen->out_of_service != want->out_of_service ||
        seen->maintenance != maintenance) {
        return "overrides differ from the oracle";
    }
    bool on_delay = false;
    bool off_delay = false;
    for (int level = 0; level < want->levels; level++) {
        on_delay = on_delay || (level >= want->level && on_delay_runs(want, level));
        off_delay = off_delay || (level < want->level &&
                                  speaks_against(want, &want->log[want->log_count - 1], level));
    }
    if (seen->on_delay != on_delay || seen->off_delay != off_delay) {
        return "a delay is shown wrongly";
    }
    if (seen->flapping != flaps(want, now_us)) {
        return "flapping is labelled wrongly";
    }
    if ((seen->shelved && seen->shelved_until_us <= now_us) ||
        (seen->out_of_service && seen->out_until_us <= now_us)) {
        return "an override outlived its end";
    }
    return NULL;
}

/* Draft, issued, cancelled; and whether a draft was forgotten. */
static inline const char *judge_publication(const struct seen_alarm *seen,
                                            const struct oracle_alarm *want, int64_t now_us) {
    bool draft = want->level > 0 && !want->cancelled &&
                 (want->approval == APPROVAL_WAITING || want->approval == APPROVAL_REJECTED);
    if ((seen->publication == PUBLICATION_CANCELLED) != want->cancelled) {
        return "cancelled, or not, against the oracle";
    }
    if ((seen->publication == PUBLICATION_DRAFT) != draft) {
        return "published without two people, or held back without need";
    }
    if (seen->approval != want->approval) {
        return "approval differs from the oracle";
    }
    bool overdue = now_us - want->waiting_since_us >= APPROVAL_TIMEOUT_US;
    if (want->approval == APPROVAL_WAITING && want->level > 0 && overdue && seen->overdue == 0) {
        return "a draft waits and nobody is called";
    }
    return NULL;
}

/* Somebody is called exactly for what is unacknowledged, raised and not muted; within the bound. */
static inline const char *judge_notice(const struct oracle *oracle, const struct seen_alarm *seen,
                                       int64_t now_us) {
    bool muted = seen->shelved || seen->out_of_service || seen->maintenance;
    bool wanted = seen->level > 0 && seen->annunciation == ANNUNCIATION_UNACKNOWLEDGED && !muted;
    if ((seen->notice != NOTICE_NONE) != wanted) {
        return "a notice is missing, or stands without need";
    }
    int within = 0;
    for (int i = 0; i < oracle->notice_count; i++) {
        within += now_us - oracle->notices_us[i] < NOTICE_WINDOW_US;
    }
    if (seen->notice == NOTICE_DEFERRED && within < NOTICES_ALLOWED) {
        return "a notice is deferred although there is room";
    }
    return NULL;
}

static inline const char *judge_alarm(const struct oracle *oracle, int index,
                                      const struct engine_input *input,
                                      const struct seen_alarm *seen) {
    const struct oracle_alarm *want = &oracle->alarms[index];
    const struct seen_alarm *last = &oracle->last[index];
    if (seen->level < want->level) {
        return "level below what the evidence says";
    }
    if (seen->level > want->level) {
        return "level above what the evidence says";
    }
    if (seen->assessed != want->assessed) {
        return "assessed differs";
    }
    if (seen->knowledge != want->knowledge) {
        return "knowledge differs";
    }
    if (seen->annunciation != want->annunciation) {
        return "annunciation differs";
    }
    if (input->kind != ENGINE_COMMAND && seen->acknowledged_level > last->acknowledged_level) {
        return "acknowledged without a person";
    }
    bool issued_too_long = seen->publication == PUBLICATION_ISSUED &&
                           seen->expires_us <= input->now.mono.us && seen->level > 0;
    if (issued_too_long) {
        return "published beyond its validity";
    }
    int64_t validity_us = index == 0 ? 6 * HOUR : 20 * MIN;
    if (seen->level > 0 && seen->publication != PUBLICATION_CANCELLED &&
        seen->knowledge <= KNOWLEDGE_DOUBTFUL &&
        seen->expires_us - input->now.mono.us <= validity_us / 4) {
        return "not renewed although the evidence stands";
    }
    if ((seen->level == 0) != (seen->publication == PUBLICATION_NONE)) {
        return "publication does not fit the level";
    }
    if (seen->level > 0 && seen->incident[0] == '\0') {
        return "a raised alarm is in no incident";
    }
    const char *wrong = judge_override(oracle, index, seen, input->now.mono.us);
    wrong = wrong == NULL ? judge_publication(seen, want, input->now.mono.us) : wrong;
    return wrong == NULL ? judge_notice(oracle, seen, input->now.mono.us) : wrong;
}

/* Notices are counted from the events that give them; those that break the bound stand out. */
static inline const char *judge_calls(struct oracle *oracle, const struct seen_event *event,
                                      int64_t now_us) {
    if ((event->what & CHANGE_NOTICE) != 0 && event->notice == NOTICE_GIVEN) {
        int within = 0;
        for (int i = 0; i < oracle->notice_count; i++) {
            within += now_us - oracle->notices_us[i] < NOTICE_WINDOW_US;
        }
        if (within >= NOTICES_ALLOWED && event->kind != EVENT_RAISED) {
            return "a notice beyond the bound that does not stand out";
        }
        oracle->notices_us[oracle->notice_count++] = now_us;
    }
    if (event->kind == EVENT_ESCALATED) {
        struct seen_alarm *last = &oracle->last[event->alarm];
        if (event->annunciation != ANNUNCIATION_UNACKNOWLEDGED || event->muted ||
            event->level == 0 || event->notice != NOTICE_GIVEN) {
            return "somebody is called without need";
        }
        if (event->step != last->step + 1 && event->step != 1) {
            return "a rung of the ladder was left out";
        }
        last->step = event->step; /* two rungs may be due at once */
    }
    return NULL;
}

/* Invariant 3 on the raw inputs: what came last must be good, fresh and newer than the raise. */
static inline const char *judge_lowered(const struct oracle *oracle, const struct seen_event *event,
                                        int64_t now_us) {
    if (event->alarm == 0) {
        if (oracle->sample_count == 0) {
            return "lowered without any evidence";
        }
        const struct sample *newest = &oracle->samples[oracle->sample_count - 1];
        if (!newest->good || now_us - newest->at_us > 180 * SEC ||
            newest->value >= 2.0 * event->previous_level - 0.5) {
            return "lowered by evidence that cannot lower";
        }
    }
    return NULL;
}

/* An event tells what is known and what was told before; one that is about nothing else comes when
 * it must and not more often than the hold allows, but for a level that is lost from sight. */
static inline const char *judge_telling(struct oracle *oracle, const struct seen_event *event,
                                        int64_t now_us) {
    struct oracle_alarm *alarm = &oracle->alarms[event->alarm];
    bool lost = event->level > 0 && event->previous_knowledge <= KNOWLEDGE_DOUBTFUL &&
                event->knowledge > KNOWLEDGE_DOUBTFUL;
    if (oracle->last[event->alarm].assessed &&
        event->previous_knowledge != oracle->said[event->alarm]) {
        return "an event says that something else was told before";
    }
    if (((event->what & CHANGE_KNOWLEDGE) == 0) !=
        (event->knowledge == event->previous_knowledge)) {
        return "knowledge changed and the event does not say so, or the other way round";
    }
    if (event->kind == EVENT_KNOWLEDGE && !lost &&
        (!alarm->told_due || now_us - alarm->told_at_us < ALARM_KNOWLEDGE_HOLD_US)) {
        return "an event about knowledge before it is due";
    }
    oracle->said[event->alarm] = event->knowledge;
    alarm->told_at_us = now_us;
    alarm->told = alarm->assessed ? event->knowledge : alarm->knowledge;
    alarm->told_from = alarm->log_count - 1;
    return NULL;
}

static inline const char *judge_events(struct oracle *oracle, const struct seen *seen,
                                       const struct engine_input *input) {
    uint64_t events_of[ALARMS] = {0};
    for (int i = 0; i < seen->event_count; i++) {
        const struct seen_event *event = &seen->events[i];
        events_of[event->alarm]++;
        if (event->sequence != ++oracle->place_sequence[event->alarm]) {
            return "sequence of the place has a gap or goes back";
        }
        for (int k = 0; k < oracle->id_count; k++) {
            if (strcmp(oracle->ids[k], event->id) == 0) {
                return "an event id came twice";
            }
        }
        strcpy(oracle->ids[oracle->id_count++], event->id);
        if (event->what == 0) {
            return "an event without a change";
        }
        const char *called = judge_calls(oracle, event, input->now.mono.us);
        called = called == NULL ? judge_telling(oracle, event, input->now.mono.us) : called;
        if (called != NULL) {
            return called;
        }
        if (event->kind == EVENT_EXPIRED && event->level != event->previous_level) {
            return "an expiry moved the level";
        }
        if (event->level < event->previous_level) {
            if (event->kind != EVENT_LOWERED) {
                return "a level fell under another name";
            }
            const char *wrong = judge_lowered(oracle, event, input->now.mono.us);
            if (wrong != NULL) {
                return wrong;
            }
        }
        if (event->level > event->previous_level && event->kind != EVENT_RAISED) {
            return "a level rose under another name";
        }
    }
    for (int i = 0; i < ALARMS; i++) {
        const struct seen_alarm *now = &seen->alarms[i];
        const struct seen_alarm *last = &oracle->last[i];
        bool moved = now->level != last->level || now->assessed != last->assessed ||
                     now->knowledge != last->knowledge || now->annunciation != last->annunciation ||
                     now->shelved != last->shelved || now->out_of_service != last->out_of_service ||
                     now->maintenance != last->maintenance || now->on_delay != last->on_delay ||
                     now->off_delay != last->off_delay || now->flapping != last->flapping ||
                     now->publication != last->publication || now->notice != last->notice ||
                     now->approval != last->approval || strcmp(now->incident, last->incident) != 0;
        bool told_at_once = now->level != last->level || now->annunciation != last->annunciation ||
                            now->shelved != last->shelved ||
                            now->out_of_service != last->out_of_service ||
                            now->publication != last->publication ||
                            now->approval != last->approval || now->notice != last->notice ||
                            (now->level > 0 && now->maintenance != last->maintenance);
        if (events_of[i] == 0 && told_at_once) {
            return "an alarm changed without an event";
        }
        bool lost = now->level > 0 && now->assessed && now->knowledge > KNOWLEDGE_DOUBTFUL &&
                    oracle->said[i] <= KNOWLEDGE_DOUBTFUL;
        if (lost || (events_of[i] == 0 && oracle->alarms[i].told_due)) {
            return "what is not known any more, or again, was not told in time";
        }
        if (moved && events_of[i] + seen->records[i] == 0) {
            return "something moved and nobody was told";
        }
        if (events_of[i] == 0 && now->assessed != last->assessed) {
            return "a level was determined without an event";
        }
        if (now->revision != last->revision + events_of[i] + seen->records[i]) {
            return "revision does not count the changes";
        }
    }
    return NULL;
}

static inline const char *judge(struct oracle *oracle, const struct engine_input *input,
                                const struct seen *seen) {
    bool accepted = oracle_step(oracle, input);
    if (input->kind == ENGINE_COMMAND) {
        if (seen->replies != 1) {
            return "not exactly one reply";
        }
        if ((seen->reply_code == 0) != accepted) {
            return "a command was accepted or refused wrongly";
        }
    } else if (seen->replies != 0) {
        return "a reply without a command";
    }
    /* Events first: the notices that they gave count in the bound. */
    const char *wrong = judge_events(oracle, seen, input);
    for (int i = 0; i < ALARMS && wrong == NULL; i++) {
        wrong = judge_alarm(oracle, i, input, &seen->alarms[i]);
    }
    memcpy(oracle->last, seen->alarms, sizeof oracle->last);
    return wrong;
}

#endif
