/* Random input sequences against a naive oracle and written invariants.
 *
 * The oracle keeps the whole history of a sequence and derives every axis from it by definition
 * (walking back over the log), with none of the engine's code: no masks, no timers, no due times.
 * It says after each input what level, knowledge, annunciation and overrides must be. On top come
 * invariants on the events themselves. The judge is proved by planted faults: each changes what the
 * judge is shown, and must be found.
 *
 * CANHBAO_PROPERTY_SEQUENCES sets the number of sequences (default 1,000,000 in optimised builds,
 * fewer where sanitizers or missing optimisation make them slow). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "alerts/message/json.h"
#include "daemon/base/text.h"
#include "tests/unit/engine_fixture.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW_BUILD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define SLOW_BUILD 1
#endif
#ifdef SLOW_BUILD
#define SEQUENCES 30000
#else
#define SEQUENCES 1000000
#endif

enum { STEPS_MAX = 24, EVENTS_MAX = 16, ALARMS = 2, LEVELS = 3 };

static uint64_t rng_state;

static uint32_t rng(uint32_t below) {
    /* splitmix64 (Steele, Lea, Flood 2014) */
    uint64_t z = (rng_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % below);
}

/* ---- what the judge is shown ---- */

struct seen_alarm {
    uint8_t level;
    bool assessed;
    enum knowledge knowledge;
    enum annunciation annunciation;
    uint8_t acknowledged_level;
    bool shelved, out_of_service;
    int64_t shelved_until_us, out_until_us;
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
};

struct seen {
    int event_count;
    struct seen_event events[EVENTS_MAX];
    struct seen_alarm alarms[ALARMS];
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
};

struct oracle_alarm {
    int levels;
    int64_t on_delay_us[LEVELS], off_delay_us[LEVELS];
    bool fresh_only;
    int log_count;
    struct log_entry log[2 * STEPS_MAX];
    int level;
    bool assessed;
    enum knowledge knowledge;
    enum annunciation annunciation;
    int acknowledged;
    int64_t raised_on_us;
    bool shelved, out_of_service;
    int64_t shelved_until_us, out_until_us;
    int64_t reset_off_at; /* log index from which off-delays count (out of service resets) */
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
    struct seen_alarm last[ALARMS];
    char ids[STEPS_MAX * 3][ID_TEXT_SIZE];
    int id_count;
};

struct opinion {
    int verdict;
    enum knowledge knowledge;
    int64_t observed_us;
};

static struct opinion opinion_of(double value, enum knowledge knowledge, int64_t observed_us,
                                 double threshold) {
    struct opinion opinion = {-1, knowledge, observed_us};
    if (knowledge == KNOWLEDGE_FRESH) {
        opinion.verdict = value >= threshold;
    } else if (knowledge == KNOWLEDGE_DOUBTFUL && value >= threshold) {
        opinion.verdict = 1;
    }
    return opinion;
}

static struct opinion flood_opinion(const struct oracle *oracle, int64_t now_us, int level,
                                    bool held) {
    double threshold = 2.0 * (level + 1) - (held ? 0.5 : 0);
    if (oracle->sample_count == 0) {
        return (struct opinion){-1, KNOWLEDGE_UNKNOWN, 0};
    }
    const struct sample *newest = &oracle->samples[oracle->sample_count - 1];
    if (now_us - newest->at_us > 180 * SEC) {
        return (struct opinion){-1, KNOWLEDGE_STALE, newest->at_us};
    }
    return opinion_of(newest->value, newest->good ? KNOWLEDGE_FRESH : KNOWLEDGE_DOUBTFUL,
                      newest->at_us, threshold);
}

static struct opinion rise_opinion(const struct oracle *oracle, int64_t now_us, double threshold) {
    int n = oracle->sample_count;
    if (n == 0) {
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

static struct opinion model_opinion(const struct oracle *oracle, int64_t now_us, double threshold) {
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

static struct opinion fast_opinion(const struct oracle *oracle, int64_t now_us, bool held) {
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
static bool on_delay_over(const struct oracle_alarm *alarm, int level) {
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

static bool speaks_against(const struct oracle_alarm *alarm, const struct log_entry *entry,
                           int level) {
    return entry->verdict[level] == 0 && entry->knowledge[level] == KNOWLEDGE_FRESH &&
           entry->observed_us[level] > alarm->raised_on_us && !entry->out_of_service &&
           !entry->raised && entry->level_before > level;
}

static bool off_delay_over(const struct oracle_alarm *alarm, int level) {
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
    return now->observed_us[level] - since_us >= alarm->off_delay_us[level];
}

static void oracle_lower(struct oracle_alarm *alarm) {
    int target = alarm->level;
    while (target > 0 && off_delay_over(alarm, target - 1)) {
        target--;
    }
    if (target < alarm->level) {
        alarm->level = target;
        if (target == 0) {
            alarm->annunciation = alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED
                                      ? ANNUNCIATION_RETURNED_UNACKNOWLEDGED
                                  : alarm->annunciation == ANNUNCIATION_ACKNOWLEDGED
                                      ? ANNUNCIATION_NORMAL
                                      : alarm->annunciation;
        }
    }
}

static void oracle_know(struct oracle_alarm *alarm, const struct log_entry *entry) {
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

static void oracle_look(struct oracle *oracle, int index, int64_t now_us) {
    struct oracle_alarm *alarm = &oracle->alarms[index];
    if (alarm->shelved && now_us >= alarm->shelved_until_us) {
        alarm->shelved = false;
    }
    if (alarm->out_of_service && now_us >= alarm->out_until_us) {
        alarm->out_of_service = false;
    }
    struct log_entry *entry = &alarm->log[alarm->log_count++];
    *entry = (struct log_entry){
        .now_us = now_us, .level_before = alarm->level, .out_of_service = alarm->out_of_service};
    for (int level = 0; level < alarm->levels; level++) {
        bool held = alarm->level > level;
        struct opinion opinion = index == 0 ? flood_opinion(oracle, now_us, level, held)
                                            : fast_opinion(oracle, now_us, held);
        entry->verdict[level] = opinion.verdict;
        entry->knowledge[level] = opinion.knowledge;
        entry->observed_us[level] = opinion.observed_us;
    }
    for (int level = alarm->levels; level > alarm->level; level--) {
        bool usable = entry->verdict[level - 1] == 1 &&
                      (!alarm->fresh_only || entry->knowledge[level - 1] == KNOWLEDGE_FRESH);
        if (usable && on_delay_over(alarm, level - 1)) {
            if (alarm->level == 0 && alarm->annunciation == ANNUNCIATION_NORMAL) {
                alarm->acknowledged = 0;
            }
            alarm->level = level;
            alarm->assessed = true;
            entry->raised = true;
            if (entry->observed_us[level - 1] > alarm->raised_on_us) {
                alarm->raised_on_us = entry->observed_us[level - 1];
            }
            alarm->annunciation = level > alarm->acknowledged ? ANNUNCIATION_UNACKNOWLEDGED
                                                              : ANNUNCIATION_ACKNOWLEDGED;
            break;
        }
    }
    if (!entry->raised && !alarm->out_of_service) {
        oracle_lower(alarm);
    }
    entry->level_after = alarm->level;
    oracle_know(alarm, entry);
}

/* Whether the command must be taken; applies it. */
static bool oracle_command(struct oracle *oracle, const struct command *command, int64_t now_us) {
    int index = strcmp(command->rule, "flood") == 0 && strcmp(command->place, "gauge") == 0  ? 0
                : strcmp(command->rule, "fast") == 0 && strcmp(command->place, "basin") == 0 ? 1
                                                                                             : -1;
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
        if (alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED) {
            alarm->annunciation = ANNUNCIATION_ACKNOWLEDGED;
            alarm->acknowledged =
                alarm->level > alarm->acknowledged ? alarm->level : alarm->acknowledged;
        } else if (alarm->annunciation == ANNUNCIATION_RETURNED_UNACKNOWLEDGED) {
            alarm->annunciation = ANNUNCIATION_NORMAL;
        } else {
            return false;
        }
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
    case COMMAND_RESEND_STATE:
    case COMMAND_KIND_COUNT:
        return false;
    }
    oracle_look(oracle, index, now_us);
    return true;
}

static void oracle_init(struct oracle *oracle) {
    memset(oracle, 0, sizeof *oracle);
    oracle->alarms[0] = (struct oracle_alarm){.levels = 3,
                                              .on_delay_us = {0, 2 * MIN, 0},
                                              .off_delay_us = {2 * MIN, 2 * MIN, 2 * MIN},
                                              .knowledge = KNOWLEDGE_UNKNOWN};
    oracle->alarms[1] =
        (struct oracle_alarm){.levels = 1, .fresh_only = true, .knowledge = KNOWLEDGE_UNKNOWN};
    for (int i = 0; i < ALARMS; i++) {
        oracle->last[i].knowledge = KNOWLEDGE_UNKNOWN;
    }
}

/* Takes one input; says whether a command must be accepted. */
static bool oracle_step(struct oracle *oracle, const struct engine_input *input) {
    int64_t now_us = input->now.mono.us;
    bool accepted = false;
    if (input->kind == ENGINE_READING) {
        const struct reading *reading = &input->as.reading;
        bool usable = reading->status == READING_OK && isfinite(reading->value) &&
                      reading->value >= -1 && reading->value <= 20;
        if (usable) {
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
        accepted = oracle_command(oracle, &input->as.command, now_us);
    }
    oracle_look(oracle, 0, now_us);
    oracle_look(oracle, 1, now_us);
    return accepted;
}

/* ---- the judge: NULL, or what is wrong ---- */

static const char *judge_override(const struct seen_alarm *seen, const struct oracle_alarm *want,
                                  int64_t now_us) {
    if (seen->shelved != want->shelved || seen->out_of_service != want->out_of_service) {
        return "overrides differ from the oracle";
    }
    if ((seen->shelved && seen->shelved_until_us <= now_us) ||
        (seen->out_of_service && seen->out_until_us <= now_us)) {
        return "an override outlived its end";
    }
    return NULL;
}

static const char *judge_alarm(const struct oracle *oracle, int index,
                               const struct engine_input *input, const struct seen_alarm *seen) {
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
    if (seen->level > 0 && seen->knowledge <= KNOWLEDGE_DOUBTFUL &&
        seen->expires_us - input->now.mono.us <= validity_us / 4) {
        return "not renewed although the evidence stands";
    }
    if ((seen->level == 0) != (seen->publication == PUBLICATION_NONE)) {
        return "publication does not fit the level";
    }
    return judge_override(seen, want, input->now.mono.us);
}

/* Invariant 3 on the raw inputs: what came last must be good, fresh and newer than the raise. */
static const char *judge_lowered(const struct oracle *oracle, const struct seen_event *event,
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

static const char *judge_events(struct oracle *oracle, const struct seen *seen,
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
        bool moved =
            now->level != last->level || now->assessed != last->assessed ||
            now->knowledge != last->knowledge || now->annunciation != last->annunciation ||
            now->shelved != last->shelved || now->out_of_service != last->out_of_service ||
            (now->publication == PUBLICATION_EXPIRED) != (last->publication == PUBLICATION_EXPIRED);
        if (moved && events_of[i] == 0) {
            return "something moved without an event";
        }
        if (now->revision != last->revision + events_of[i]) {
            return "revision does not count the events";
        }
    }
    return NULL;
}

static const char *judge(struct oracle *oracle, const struct engine_input *input,
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
    for (int i = 0; i < ALARMS; i++) {
        const char *wrong = judge_alarm(oracle, i, input, &seen->alarms[i]);
        if (wrong != NULL) {
            return wrong;
        }
    }
    const char *wrong = judge_events(oracle, seen, input);
    memcpy(oracle->last, seen->alarms, sizeof oracle->last);
    return wrong;
}

/* ---- running the engine ---- */

struct recorder {
    struct seen seen;
    struct bytes *messages; /* NULL: not recorded */
};

static int alarm_index(const struct rule *rule) {
    return strcmp(rule->id, "flood") == 0 ? 0 : 1;
}

static void record_event(void *context, const struct event *event) {
    struct recorder *recorder = context;
    struct seen *seen = &recorder->seen;
    assert_true(seen->event_count < EVENTS_MAX);
    struct seen_event *to = &seen->events[seen->event_count++];
    *to = (struct seen_event){.alarm = alarm_index(event->view.rule),
                              .kind = event->kind,
                              .what = event->change.what,
                              .sequence = event->sequence,
                              .previous_level = event->change.previous_level,
                              .level = event->view.alarm->level};
    strcpy(to->id, event->id);
    if (recorder->messages != NULL) {
        static char text[MESSAGE_SIZE_MAX];
        const struct message_context message = {.status = MESSAGE_TEST};
        size_t length;
        assert_int_equal(message_alert(event, &message, text, sizeof text, &length), 0);
        bytes_put(recorder->messages, text, length);
        assert_int_equal(message_alert_state(&event->view, &message, text, sizeof text, &length),
                         0);
        bytes_put(recorder->messages, text, length);
    }
}

static void record_reply(void *context, const struct engine_reply *reply) {
    struct recorder *recorder = context;
    recorder->seen.replies++;
    recorder->seen.reply_code = reply->code;
}

static void record_reading(void *context, const struct reading *reading) {
    struct recorder *recorder = context;
    if (recorder->messages != NULL) {
        bytes_put_u64(recorder->messages, reading->seq);
        bytes_put_u8(recorder->messages, (uint8_t)reading->flag);
        bytes_put_double(recorder->messages, reading->value);
    }
}

static int record_alarm(void *context, const struct alarm_view *view) {
    struct recorder *recorder = context;
    const struct alarm *alarm = view->alarm;
    const struct alarm_override *shelved = &alarm->overrides[OVERRIDE_SHELVED];
    const struct alarm_override *out = &alarm->overrides[OVERRIDE_OUT_OF_SERVICE];
    recorder->seen.alarms[alarm_index(view->rule)] =
        (struct seen_alarm){.level = alarm->level,
                            .assessed = alarm->assessed,
                            .knowledge = alarm->knowledge,
                            .annunciation = alarm->annunciation,
                            .acknowledged_level = alarm->acknowledged_level,
                            .shelved = shelved->active,
                            .out_of_service = out->active,
                            .shelved_until_us = shelved->until.mono.us,
                            .out_until_us = out->until.mono.us,
                            .revision = alarm->revision,
                            .publication = alarm->publication,
                            .expires_us = alarm->expires.mono.us};
    return 0;
}

static struct fixture fixture;

static struct engine *new_engine(void) {
    struct engine *engine = NULL;
    struct err err = {0};
    int result = engine_create(&fixture.site, fixture_at(0), &engine, &err);
    if (result != 0) {
        print_error("%s\n", err.text);
    }
    assert_int_equal(result, 0);
    return engine;
}

static void run_step(struct engine *engine, const struct engine_input *input,
                     struct recorder *recorder) {
    const struct engine_sink sink = {.context = recorder,
                                     .on_reading = record_reading,
                                     .on_event = record_event,
                                     .on_reply = record_reply};
    struct bytes *messages = recorder->messages;
    memset(&recorder->seen, 0, sizeof recorder->seen);
    recorder->messages = messages;
    assert_int_equal(engine_step(engine, input, &sink), 0);
    (void)engine_visit_alarms(engine, record_alarm, recorder);
}

/* ---- random inputs ---- */

static const double values[] = {0, 1.4, 1.5, 1.6, 2,  2.1, 3.4, 3.5, 3.9, 4, 4.5, 5.4, 5.5,
                                6, 7,   9,   10,  11, 15,  20,  21,  -2,  1, 3,   2.5};
static const int64_t pauses_us[] = {6 * SEC,       10 * SEC, 30 * SEC, 60 * SEC,  60 * SEC,
                                    60 * SEC,      60 * SEC, 61 * SEC, 120 * SEC, 179 * SEC,
                                    180 * SEC + 1, 5 * MIN,  10 * MIN, 16 * MIN,  HOUR};

static void random_command(struct command *command, int64_t now_us, uint64_t revision) {
    memset(command, 0, sizeof *command);
    command->kind = (enum command_kind)rng(COMMAND_KIND_COUNT - 1);
    if (rng(3) == 0) {
        command->kind = COMMAND_ACKNOWLEDGE;
    }
    bool flood = rng(2) == 0;
    strcpy(command->rule, flood ? "flood" : "fast");
    strcpy(command->place, flood == (rng(20) != 0) ? "gauge" : "basin");
    strcpy(command->actor, "duty");
    if (rng(8) != 0) {
        strcpy(command->comment, "reason");
    }
    static const int64_t ends_us[] = {5 * MIN, 2 * MIN, 1, HOUR, 25 * HOUR, -1, 800 * HOUR};
    if (rng(8) != 0) {
        command->until.us = START_UTC + now_us + ends_us[rng(7)];
    }
    command->has_expected_revision = rng(4) == 0;
    command->expected_revision = rng(4) == 0 ? revision + 1 : revision;
}

static void random_input(struct engine_input *input, uint64_t number, int64_t *now_us,
                         const struct seen *seen) {
    memset(input, 0, sizeof *input);
    *now_us += pauses_us[rng(sizeof pauses_us / sizeof pauses_us[0])];
    input->number = number;
    input->now = fixture_at(*now_us);
    input->simulated = rng(24) == 0;
    uint32_t kind = rng(20);
    if (kind < 11) {
        input->kind = ENGINE_READING;
        struct reading *reading = &input->as.reading;
        reading->point = POINT_STAGE;
        reading->seq = number;
        reading->received = fixture_at(*now_us - (rng(4) == 0 ? 1 : 0));
        reading->value = values[rng(sizeof values / sizeof values[0])];
        if (rng(8) == 0) {
            reading->status = (enum reading_status)(1 + rng(READING_STATUS_COUNT - 1));
            reading->value = (double)NAN;
        } else if (rng(32) == 0) {
            reading->value = (double)(rng(2) == 0 ? NAN : INFINITY);
        }
    } else if (kind < 14) {
        input->kind = ENGINE_MODEL_RESULT;
        struct model_result *result = &input->as.model_result;
        strcpy(result->product, "radar");
        strcpy(result->model, "areal");
        strcpy(result->place, "basin");
        strcpy(result->variable, "rain_mean");
        result->value = rng(6) == 0 ? (double)NAN : values[rng(16)];
        result->coverage = result->probability = (double)NAN;
        result->reference_time.us = START_UTC + *now_us - (int64_t)rng(4) * 3 * MIN;
    } else if (kind < 16) {
        input->kind = ENGINE_COMMAND;
        random_command(&input->as.command, *now_us, seen->alarms[rng(ALARMS)].revision);
    } else {
        input->kind = kind == 19 ? ENGINE_START : ENGINE_TICK;
    }
}

/* ---- planted faults: change what the judge is shown ---- */

enum fault {
    FAULT_NONE,
    FAULT_LOWER_ON_SILENCE,
    FAULT_NORMAL_ON_UNKNOWN,
    FAULT_DROP_EVENT,
    FAULT_REPEAT_ID,
    FAULT_ACK_BY_LINK_LOSS,
    FAULT_OVERRIDE_STAYS,
    FAULT_LATE_RAISE,
    FAULT_KNOWLEDGE_FRESH,
    FAULT_EXPIRY_CLEARS,
    FAULT_REFUSE_COMMAND,
    FAULT_SEQUENCE_GAP,
    FAULT_COUNT
};

static void plant(enum fault fault, const struct engine_input *input, const struct oracle *oracle,
                  struct seen *seen) {
    struct seen_alarm *alarm = &seen->alarms[0];
    const struct seen_alarm *last = &oracle->last[0];
    switch (fault) {
    case FAULT_LOWER_ON_SILENCE:
        if (input->kind == ENGINE_TICK && alarm->level > 0) {
            alarm->level--;
        }
        break;
    case FAULT_NORMAL_ON_UNKNOWN:
        if (alarm->knowledge == KNOWLEDGE_UNKNOWN && !alarm->assessed) {
            alarm->assessed = true;
        }
        break;
    case FAULT_DROP_EVENT:
        seen->event_count -= seen->event_count > 0;
        break;
    case FAULT_REPEAT_ID:
        if (seen->event_count > 0 && oracle->id_count > 0) {
            strcpy(seen->events[0].id, oracle->ids[0]);
        }
        break;
    case FAULT_ACK_BY_LINK_LOSS:
        if (alarm->knowledge >= KNOWLEDGE_STALE &&
            alarm->annunciation == ANNUNCIATION_UNACKNOWLEDGED) {
            alarm->annunciation = ANNUNCIATION_ACKNOWLEDGED;
        }
        break;
    case FAULT_OVERRIDE_STAYS:
        if (last->shelved && !alarm->shelved) {
            alarm->shelved = true;
            alarm->shelved_until_us = last->shelved_until_us;
        }
        break;
    case FAULT_LATE_RAISE:
        if (alarm->level > last->level) {
            alarm->level = last->level;
        }
        break;
    case FAULT_KNOWLEDGE_FRESH:
        alarm->knowledge = KNOWLEDGE_FRESH;
        break;
    case FAULT_EXPIRY_CLEARS:
        for (int i = 0; i < seen->event_count; i++) {
            if (seen->events[i].kind == EVENT_EXPIRED) {
                seen->events[i].level = 0;
            }
        }
        break;
    case FAULT_REFUSE_COMMAND:
        if (seen->replies > 0 && seen->reply_code == 0) {
            seen->reply_code = ERR_INVALID;
        }
        break;
    case FAULT_SEQUENCE_GAP:
        for (int i = 0; i < seen->event_count; i++) {
            seen->events[i].sequence += 1;
        }
        break;
    case FAULT_NONE:
    case FAULT_COUNT:
        break;
    }
}

/* One sequence; NULL or what is wrong. */
static const char *run_sequence(uint64_t seed, enum fault fault, struct engine_input *inputs,
                                int *ret_steps) {
    rng_state = seed;
    struct oracle oracle;
    struct recorder recorder = {0};
    struct engine *engine = new_engine();
    oracle_init(&oracle);
    int steps = 4 + (int)rng(STEPS_MAX - 4);
    int64_t now_us = 0;
    const char *wrong = NULL;
    for (int i = 0; i < STEPS_MAX && i < steps && wrong == NULL; i++) {
        random_input(&inputs[i], (uint64_t)i + 1, &now_us, &recorder.seen);
        run_step(engine, &inputs[i], &recorder);
        plant(fault, &inputs[i], &oracle, &recorder.seen);
        wrong = judge(&oracle, &inputs[i], &recorder.seen);
        *ret_steps = i + 1;
    }
    (void)engine_destroy(engine);
    return wrong;
}

/* ---- invariant 10: the same inputs give the same bytes, whatever happens in between ---- */

static void run_bytes(const struct engine_input *inputs, int steps, int restart_at, bool by_journal,
                      struct bytes *out) {
    struct recorder recorder = {.messages = out};
    struct engine *engine = new_engine();
    struct bytes bytes = {0};
    for (int i = 0; i < steps; i++) {
        struct engine_input input = inputs[i];
        if (by_journal) {
            bytes_clear(&bytes);
            assert_int_equal(engine_input_encode(engine, &inputs[i], &bytes), 0);
            assert_int_equal(engine_input_decode(engine, bytes.data, bytes.length, &input), 0);
        }
        run_step(engine, &input, &recorder);
        if (i == restart_at) {
            bytes_clear(&bytes);
            assert_int_equal(engine_save(engine, &bytes), 0);
            (void)engine_destroy(engine);
            engine = new_engine();
            assert_int_equal(engine_load(engine, bytes.data, bytes.length, NULL, NULL), 0);
        }
    }
    assert_int_equal(engine_save(engine, out), 0);
    (void)engine_destroy(engine);
    bytes_finish(&bytes);
}

static void assert_same_bytes(const struct bytes *a, const struct bytes *b, uint64_t seed) {
    if (a->length != b->length || memcmp(a->data, b->data, a->length) != 0) {
        fail_msg("seed %llu: another run gave other bytes", (unsigned long long)seed);
    }
}

static void print_inputs(const struct engine_input *inputs, int count) {
    static const char *const kinds[] = {"reading", "model", "command", "tick", "start"};
    for (int i = 0; i < count; i++) {
        const struct engine_input *input = &inputs[i];
        print_message("%2d %9.3f s %s%s", i + 1, (double)input->now.mono.us / 1e6,
                      kinds[input->kind], input->simulated ? " simulated" : "");
        if (input->kind == ENGINE_READING) {
            print_message(" %g %s", input->as.reading.value,
                          reading_status_name(input->as.reading.status));
        } else if (input->kind == ENGINE_MODEL_RESULT) {
            const struct model_result *result = &input->as.model_result;
            print_message(" %g of %.3f s", result->value,
                          (double)(result->reference_time.us - START_UTC) / 1e6);
        } else if (input->kind == ENGINE_COMMAND) {
            const struct command *command = &input->as.command;
            print_message(" %s %s %s", command_kind_name(command->kind), command->rule,
                          command->place);
        }
        print_message("\n");
    }
}

static int sequences_wanted(void) {
    const char *text = getenv("CANHBAO_PROPERTY_SEQUENCES");
    int64_t count = SEQUENCES;
    if (text != NULL) {
        assert_int_equal(text_parse_int(text, 1, 100000000, &count), 0);
    }
    return (int)count;
}

static void test_random_sequences_agree_with_the_oracle(void **state) {
    (void)state;
    struct engine_input inputs[STEPS_MAX];
    int count = sequences_wanted();
    uint64_t steps_total = 0;
    for (int i = 0; i < count; i++) {
        int steps = 0;
        uint64_t seed = UINT64_C(1000003) * (uint64_t)i + 17;
        const char *wrong = run_sequence(seed, FAULT_NONE, inputs, &steps);
        if (wrong != NULL) {
            print_inputs(inputs, steps);
            fail_msg("sequence %d, step %d: %s", i, steps, wrong);
        }
        steps_total += (uint64_t)steps;
    }
    print_message("%d sequences, %llu inputs\n", count, (unsigned long long)steps_total);
}

static void test_same_inputs_same_bytes(void **state) {
    (void)state;
    struct engine_input inputs[STEPS_MAX];
    struct bytes first = {0};
    struct bytes again = {0};
    int count = sequences_wanted() / 50 + 1;
    uint64_t written = 0;
    for (int i = 0; i < count; i++) {
        int steps = 0;
        uint64_t seed = UINT64_C(7777777) * (uint64_t)i + 5;
        (void)run_sequence(seed, FAULT_NONE, inputs, &steps);
        bytes_clear(&first);
        run_bytes(inputs, steps, -1, false, &first);
        bytes_clear(&again);
        run_bytes(inputs, steps, -1, true, &again);
        assert_same_bytes(&first, &again, seed);
        bytes_clear(&again);
        run_bytes(inputs, steps, (int)rng((uint32_t)steps), true, &again);
        assert_same_bytes(&first, &again, seed);
        written += first.length;
    }
    assert_true(written > (uint64_t)count * 1000);
    bytes_finish(&first);
    bytes_finish(&again);
}

static void test_planted_faults_are_found(void **state) {
    (void)state;
    struct engine_input inputs[STEPS_MAX];
    for (int fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        int found = 0;
        int steps = 0;
        for (int i = 0; i < 20000 && found == 0; i++) {
            uint64_t seed = UINT64_C(31337) * (uint64_t)i + 3;
            found = run_sequence(seed, (enum fault)fault, inputs, &steps) != NULL;
        }
        if (found == 0) {
            fail_msg("planted fault %d was not found", fault);
        }
    }
}

static int setup(void **state) {
    (void)state;
    fixture_init(&fixture);
    /* Readings further apart than half a period are never merged, so the oracle need not either. */
    fixture.points[POINT_STAGE].period_us = 10 * SEC;
    fixture.site.rule_count = ALARMS; /* flood and fast: what the oracle knows */
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_sequences_agree_with_the_oracle),
        cmocka_unit_test(test_same_inputs_same_bytes),
        cmocka_unit_test(test_planted_faults_are_found),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
