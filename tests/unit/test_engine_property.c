/* Random input sequences against a naive oracle and written invariants.
 *
 * The oracle (engine_oracle.h) keeps the whole history of a sequence and derives every axis from it
 * by definition (walking back over the log), with none of the engine's code: no masks, no timers,
 * no due times. It says after each input what level, knowledge, annunciation and overrides must be.
 * On top come invariants on the events themselves. The judge is proved by planted faults: each
 * changes what the judge is shown, and must be found.
 *
 * CANHBAO_PROPERTY_SEQUENCES sets the number of sequences (default 200,000 in optimised builds,
 * fewer where sanitizers or missing optimisation make them slow). The long run, once before a
 * release:
 *   CANHBAO_PROPERTY_SEQUENCES=1000000 build-release/tests/test_engine_property */
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
#include "tests/unit/engine_oracle.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW_BUILD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define SLOW_BUILD 1
#endif
#ifdef SLOW_BUILD
#define SEQUENCES 10000
#else
#define SEQUENCES 200000
#endif

static uint64_t rng_state;

static uint32_t rng(uint32_t below) {
    /* splitmix64 (Steele, Lea, Flood 2014) */
    uint64_t z = (rng_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % below);
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
                              .level = event->view.alarm->level,
                              .notice = event->view.alarm->notice,
                              .annunciation = event->view.alarm->annunciation,
                              .knowledge = event->view.alarm->knowledge,
                              .previous_knowledge = event->change.previous_knowledge,
                              .muted = alarm_is_muted(event->view.alarm),
                              .step = event->call != NULL ? event->call->step : 0};
    strcpy(to->id, event->id);
    strcpy(to->incident, event->view.alarm->incident);
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

static void record_record(void *context, const struct alarm_view *view) {
    struct recorder *recorder = context;
    recorder->seen.records[alarm_index(view->rule)]++;
    if (recorder->messages != NULL) {
        static char text[MESSAGE_SIZE_MAX];
        const struct message_context message = {.status = MESSAGE_TEST};
        size_t length;
        assert_int_equal(message_alert_state(view, &message, text, sizeof text, &length), 0);
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
                            .expires_us = alarm->expires.mono.us,
                            .maintenance = alarm->overrides[OVERRIDE_MAINTENANCE].active,
                            .on_delay = alarm->overrides[OVERRIDE_ON_DELAY].active,
                            .off_delay = alarm->overrides[OVERRIDE_OFF_DELAY].active,
                            .flapping = alarm->flapping,
                            .notice = alarm->notice,
                            .approval = alarm->approval.state,
                            .overdue = alarm->approval.overdue,
                            .step = alarm->escalation.step};
    strcpy(recorder->seen.alarms[alarm_index(view->rule)].incident, alarm->incident);
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
                                     .on_record = record_record,
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

/* The target and what else a kind needs. */
static void random_target(struct command *command, const struct seen *seen) {
    bool to_station =
        command->kind == COMMAND_MAINTENANCE || command->kind == COMMAND_END_MAINTENANCE;
    if (to_station && rng(8) != 0) {
        command->rule[0] = '\0';
        strcpy(command->place, rng(10) != 0 ? "gauge" : "basin");
    }
    if (command->kind == COMMAND_ATTACH) {
        strcpy(command->attachment, "plume");
        command->has_expected_revision = false;
    }
    if (command->kind == COMMAND_MERGE) {
        bool straight = rng(6) != 0;
        command->rule[0] = command->place[0] = '\0';
        strcpy(command->incident, seen->alarms[straight ? 0 : 1].incident);
        strcpy(command->into, seen->alarms[1].incident);
        command->has_expected_revision = false;
    }
}

static void random_command(struct command *command, int64_t now_us, uint64_t revision,
                           const struct seen *seen) {
    memset(command, 0, sizeof *command);
    command->kind = (enum command_kind)rng(COMMAND_KIND_COUNT);
    if (rng(3) == 0) {
        command->kind = COMMAND_ACKNOWLEDGE;
    } else if (rng(5) == 0) {
        command->kind = COMMAND_APPROVE;
    }
    command->verdict = (enum operator_verdict)rng(JUDGED_COUNT);
    bool flood = rng(2) == 0;
    strcpy(command->rule, flood ? "flood" : "fast");
    strcpy(command->place, flood == (rng(20) != 0) ? "gauge" : "basin");
    strcpy(command->actor, rng(2) == 0 ? "duty" : "chief");
    if (rng(3) == 0) {
        command->id[0] = 'c';
        command->id[1] = (char)('a' + rng(IDS_MAX));
    }
    if (rng(4) == 0) {
        command->expires.us = START_UTC + now_us + (rng(4) == 0 ? 0 : 1);
    }
    if (rng(8) != 0) {
        strcpy(command->comment, "reason");
    }
    static const int64_t ends_us[] = {5 * MIN, 2 * MIN, 1, HOUR, 25 * HOUR, -1, 800 * HOUR};
    if (rng(8) != 0) {
        command->until.us = START_UTC + now_us + ends_us[rng(7)];
    }
    /* The end of maintenance may come just before the command and count a revision nobody saw. */
    command->has_expected_revision = rng(4) == 0 && !seen->alarms[0].maintenance;
    command->expected_revision = rng(4) == 0 ? revision + 1 : revision;
    random_target(command, seen);
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
        random_command(&input->as.command, *now_us, seen->alarms[rng(ALARMS)].revision, seen);
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
    FAULT_PUBLISH_WITHOUT_APPROVAL,
    FAULT_ACCEPT_EXPIRED,
    FAULT_MAINTENANCE_STAYS,
    FAULT_FLAPPING_HIDDEN,
    FAULT_CALL_THE_ACKNOWLEDGED,
    FAULT_NOTICE_DROPPED,
    FAULT_FORGET_DRAFT,
    FAULT_NO_INCIDENT,
    FAULT_UNTOLD,
    FAULT_CHATTER,
    FAULT_COUNT
};

static void plant_among_people(enum fault fault, const struct engine_input *input,
                               struct seen *seen) {
    struct seen_alarm *alarm = &seen->alarms[0];
    switch (fault) {
    case FAULT_PUBLISH_WITHOUT_APPROVAL:
        if (alarm->publication == PUBLICATION_DRAFT) {
            alarm->publication = PUBLICATION_ISSUED;
        }
        break;
    case FAULT_ACCEPT_EXPIRED:
        if (input->kind == ENGINE_COMMAND && seen->reply_code == ERR_TIMEOUT) {
            seen->reply_code = 0;
        }
        break;
    case FAULT_MAINTENANCE_STAYS:
        alarm->maintenance = alarm->maintenance || input->kind == ENGINE_START;
        break;
    case FAULT_FLAPPING_HIDDEN:
        alarm->flapping = false;
        break;
    case FAULT_CALL_THE_ACKNOWLEDGED:
        for (int i = 0; i < seen->event_count; i++) {
            if (seen->events[i].annunciation == ANNUNCIATION_ACKNOWLEDGED) {
                seen->events[i].kind = EVENT_ESCALATED;
            }
        }
        break;
    case FAULT_NOTICE_DROPPED:
        if (alarm->notice == NOTICE_DEFERRED) {
            alarm->notice = NOTICE_NONE;
        }
        break;
    case FAULT_FORGET_DRAFT:
        alarm->overdue = 0;
        break;
    case FAULT_NO_INCIDENT:
        alarm->incident[0] = '\0';
        break;
    case FAULT_UNTOLD: /* the record has it, nobody else is told */
        for (int i = 0; i < seen->event_count; i++) {
            if (seen->events[i].kind == EVENT_KNOWLEDGE && i + 1 == seen->event_count) {
                seen->event_count--;
                seen->records[seen->events[i].alarm]++;
            }
        }
        break;
    case FAULT_CHATTER: /* every change of the record is told */
        if (seen->event_count > 0 && seen->events[0].kind == EVENT_COMMENTED) {
            seen->events[0].kind = EVENT_KNOWLEDGE;
        }
        break;
    default:
        break;
    }
}

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
    default:
        plant_among_people(fault, input, seen);
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
    fixture.rules[RULE_FLOOD].realert_decay_us = DECAY_US;
    fixture.rules[RULE_FLOOD].flap_moves = FLAP_MOVES;
    for (size_t i = 0; i < fixture.site.rule_count; i++) {
        strcpy(fixture.rules[i].hazard, "chemical"); /* verdicts are given on such alarms */
    }
    fixture.rules[RULE_FLOOD].flap_window_us = FLAP_WINDOW_US;
    strcpy(fixture.stations[0].group, "river");
    strcpy(fixture.areas[0].group, "river");
    static struct ladder ladder = {
        .from_level = 1, .step_count = 2, .steps = {{.after_us = MIN}, {.after_us = 5 * MIN}}};
    static const struct alerting alerting = {.approval_from = APPROVAL_FROM,
                                             .approval_timeout_us = APPROVAL_TIMEOUT_US,
                                             .incident_quiet_us = 15 * MIN,
                                             .notices_max = NOTICES_ALLOWED,
                                             .notices_window_us = NOTICE_WINDOW_US,
                                             .ladders = &ladder,
                                             .ladder_count = 1};
    fixture.site.alerting = &alerting;
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
