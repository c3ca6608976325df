/* Alerts as JSON: against the published schemas, and at the edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "alerts/message/json.h"
#include "daemon/base/text.h"
#include "tests/unit/engine_fixture.h"

static struct fixture fixture;
static struct engine *engine;
static uint64_t number;
static FILE *lines; /* "alert.v1 {...}", one a line */
static int line_count;
static char text[MESSAGE_SIZE_MAX];
static size_t length;
static const struct message_context context = {.status = MESSAGE_EXERCISE, .reconstructed = true};

static json_t *parse(void) {
    json_error_t error;
    json_t *body = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (body == NULL) {
        fail_msg("%s in %s", error.text, text);
    }
    assert_int_equal(text[length], '\0');
    return body;
}

static void on_event(void *unused, const struct event *event) {
    (void)unused;
    assert_int_equal(message_alert(event, &context, text, sizeof text, &length), 0);
    fprintf(lines, "alert.v1 %s\n", text);
    json_decref(parse());
    assert_int_equal(message_alert_state(&event->view, &context, text, sizeof text, &length), 0);
    fprintf(lines, "alert-state.v1 %s\n", text);
    json_decref(parse());
    line_count += 2;
}

static const struct engine_sink sink = {.on_event = on_event};

static int write_view(void *unused, const struct alarm_view *view) {
    (void)unused;
    assert_int_equal(message_alert_state(view, &context, text, sizeof text, &length), 0);
    fprintf(lines, "alert-state.v1 %s\n", text);
    line_count++;
    return 0;
}

static int keep_view(void *to, const struct alarm_view *view) {
    if (strcmp(view->rule->id, "flood") == 0) {
        *(struct alarm_view *)to = *view;
    }
    return 0;
}

static void step(struct engine_input *input, int64_t now_us) {
    input->number = ++number;
    input->now = fixture_at(now_us);
    if (input->kind == ENGINE_READING) {
        input->as.reading.seq = number;
        input->as.reading.received = input->now;
    }
    assert_int_equal(engine_step(engine, input, &sink), 0);
}

static void read_at(int64_t now_us, uint32_t point, double value) {
    struct engine_input input;
    memset(&input, 0, sizeof input);
    input.kind = ENGINE_READING;
    input.as.reading.point = point;
    input.as.reading.value = value;
    step(&input, now_us);
}

static int find_incident(void *to, const struct alarm_view *view) {
    if (strcmp(view->rule->id, "rain") == 0) {
        memcpy(to, view->alarm->incident, ID_TEXT_SIZE);
    }
    return 0;
}

static void order_as(int64_t now_us, enum command_kind kind, const char *actor) {
    struct engine_input input;
    struct alarm_view flood;
    memset(&input, 0, sizeof input);
    input.kind = ENGINE_COMMAND;
    struct command *command = &input.as.command;
    *command = (struct command){
        .kind = kind, .place = "gauge", .comment = "lý do", .until = {START_UTC + now_us + HOUR}};
    strcpy(command->actor, actor);
    if (kind == COMMAND_MERGE) {
        command->place[0] = '\0';
        (void)engine_visit_alarms(engine, keep_view, &flood);
        memcpy(command->incident, flood.alarm->incident, ID_TEXT_SIZE);
        (void)engine_visit_alarms(engine, find_incident, command->into);
    } else if (kind != COMMAND_MAINTENANCE && kind != COMMAND_END_MAINTENANCE) {
        strcpy(command->rule, "flood");
    }
    if (kind == COMMAND_ATTACH) {
        strcpy(command->attachment, "plume");
        hash_text("run", 3, command->reference);
    }
    step(&input, now_us);
}

static void order(int64_t now_us, enum command_kind kind) {
    struct engine_input input;
    memset(&input, 0, sizeof input);
    input.kind = ENGINE_COMMAND;
    input.as.command = (struct command){.kind = kind,
                                        .rule = "flood",
                                        .place = "gauge",
                                        .actor = "trực ban",
                                        .comment = "vì \"thử\" \\ 1",
                                        .until = {START_UTC + now_us + HOUR}};
    step(&input, now_us);
}

static void model_at(int64_t now_us, double value) {
    struct engine_input input;
    memset(&input, 0, sizeof input);
    input.kind = ENGINE_MODEL_RESULT;
    struct model_result *result = &input.as.model_result;
    strcpy(result->product, "radar");
    strcpy(result->model, "areal");
    strcpy(result->place, "basin");
    strcpy(result->variable, "rain_mean");
    hash_text("run", 3, result->manifest);
    result->reference_time.us = START_UTC + now_us;
    result->value = value;
    result->coverage = 0.97;
    result->probability = (double)NAN;
    step(&input, now_us);
}

static int setup(void **state) {
    (void)state;
    fixture_init(&fixture);
    number = 0;
    return engine_create(&fixture.site, fixture_at(0), &engine, NULL);
}

static int teardown(void **state) {
    (void)state;
    engine = engine_destroy(engine);
    return 0;
}

/* Every kind of event happens at least once. */
static void run_a_day(void) {
    double total = 10;
    (void)engine_visit_alarms(engine, write_view, NULL); /* before anything is known */
    for (int i = 0; i < 100; i++) {
        read_at(i * MIN, POINT_STAGE, i < 3 ? 1 : i < 50 ? 4.5 : 1.2);
        read_at(i * MIN + 1, POINT_RAIN, total += 0.4);
        model_at(i * MIN + 2, i % 20 == 7 ? 9 : i % 20 == 9 ? (double)NAN : 1);
    }
    order(100 * MIN, COMMAND_ACKNOWLEDGE);
    order(101 * MIN, COMMAND_SHELVE);
    order(102 * MIN, COMMAND_UNSHELVE);
    order(103 * MIN, COMMAND_OUT_OF_SERVICE);
    order(104 * MIN, COMMAND_IN_SERVICE);
    order(105 * MIN, COMMAND_SHELVE);
    order(106 * MIN, COMMAND_COMMENT);
    read_at(164 * MIN, POINT_STAGE, 1.2);
    read_at(166 * MIN, POINT_STAGE, 1.2); /* the shelving of 105 min has ended */
    for (int i = 170; i < 170 + 500; i++) {
        read_at(i * MIN, POINT_STAGE, i > 600 && i % 50 == 0 ? 11 : 7);
    }
    order(669 * MIN + 1, COMMAND_ACKNOWLEDGE); /* for an hour */
    for (int i = 700; i < 1500; i += 10) {
        struct engine_input input;
        memset(&input, 0, sizeof input);
        input.kind = ENGINE_TICK;
        step(&input, i * MIN);
    }
    (void)engine_visit_alarms(engine, write_view, NULL);
}

/* What people do, and what is done to reach them. */
static void run_among_people(void) {
    static struct contact contact = {"an", "An", "+84900000000"};
    static struct duty duty = {.role = "duty"};
    static struct ladder ladder = {
        .from_level = 1,
        .step_count = 1,
        .steps = {{.after_us = MIN, .role_count = 2, .roles = {"duty", "chief"}}}};
    static const struct alerting alerting = {.approval_from = 3,
                                             .approval_timeout_us = 5 * MIN,
                                             .incident_quiet_us = HOUR,
                                             .notices_max = 1,
                                             .notices_window_us = HOUR,
                                             .ladders = &ladder,
                                             .ladder_count = 1,
                                             .contacts = &contact,
                                             .contact_count = 1,
                                             .duties = &duty,
                                             .duty_count = 1};
    engine = engine_destroy(engine);
    fixture.site.alerting = &alerting;
    fixture.rules[RULE_FLOOD].flap_moves = 2;
    fixture.rules[RULE_FLOOD].flap_window_us = 20 * MIN;
    number = 0;
    assert_int_equal(engine_create(&fixture.site, fixture_at(0), &engine, NULL), 0);
    double tips = 0;
    for (int i = 0; i < 30; i++) {
        read_at(i * MIN + 1, POINT_STAGE, i < 3 ? 1 : 7);
        read_at(i * MIN + 2, POINT_RAIN, tips += 2);
    }
    static const enum command_kind commands[] = {
        COMMAND_REJECT,      COMMAND_APPROVE,         COMMAND_CANCEL,
        COMMAND_SPLIT,       COMMAND_ATTACH,          COMMAND_MERGE,
        COMMAND_MAINTENANCE, COMMAND_END_MAINTENANCE, COMMAND_COMMENT};
    for (int i = 0; i < (int)(sizeof commands / sizeof commands[0]); i++) {
        order_as((30 + i) * MIN, commands[i], "an");
        if (commands[i] == COMMAND_APPROVE) {
            order_as((30 + i) * MIN + 1, COMMAND_APPROVE, "an"); /* refused: the same person */
            order_as((30 + i) * MIN + 2, COMMAND_APPROVE, "ba");
        }
    }
    for (int i = 40; i < 140; i++) {
        read_at(i * MIN + 1, POINT_STAGE, i < 45 ? 7 : i < 60 ? 1 : 2.5);
    }
    struct engine_input late = {
        .kind = ENGINE_READING, .number = ++number, .now = fixture_at(141 * MIN)};
    late.as.reading = (struct reading){.point = POINT_STAGE,
                                       .seq = number,
                                       .value = 5,
                                       .received = fixture_at(55 * MIN),
                                       .late = true,
                                       .late_last = true};
    assert_int_equal(engine_step(engine, &late, &sink), 0);
    (void)engine_visit_alarms(engine, write_view, NULL);
    fixture.site.alerting = NULL;
}

/* Prints the number of lines that break their schema, or fails. */
static int violations(const char *path) {
    static const char script[] =
        "import json,sys,jsonschema\n"
        "v={n:jsonschema.Draft202012Validator(json.load(open(sys.argv[1]+'/deploy/schemas/'+n+"
        "'.json'))) for n in ('alert.v1','alert-state.v1')}\n"
        "bad=0; kinds=set()\n"
        "for line in open(sys.argv[2],encoding='utf-8'):\n"
        "  name,body=line.split(' ',1); body=json.loads(body); kinds.add(body.get('event'))\n"
        "  errors=list(v[name].iter_errors(body)); bad+=bool(errors)\n"
        "  for e in errors[:1]: print(name,list(e.absolute_path),e.message[:200],file=sys.stderr)\n"
        "want=set(v['alert.v1'].schema['properties']['event']['enum'])\n"
        "if want-kinds: print('not seen:',want-kinds,file=sys.stderr); bad+=1000\n"
        "print(bad)\n";
    char command[4096];
    (void)snprintf(command, sizeof command, "/usr/bin/python3 -c \"%s\" %s %s", script,
                   CANHBAO_SOURCE_DIR, path);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    char answer[64] = "";
    assert_non_null(fgets(answer, sizeof answer, output));
    assert_int_equal(pclose(output), 0);
    answer[strcspn(answer, "\n")] = '\0';
    int64_t count;
    assert_int_equal(text_parse_int(answer, 0, 1000000, &count), 0);
    return (int)count;
}

static void test_every_message_follows_its_schema(void **state) {
    (void)state;
    char path[] = "/tmp/canhbao-messages-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    lines = fdopen(fd, "w");
    assert_non_null(lines);
    run_a_day();
    run_among_people();
    assert_int_equal(fflush(lines), 0);
    assert_true(line_count > 50);
    assert_int_equal(violations(path), 0);
    /* The check itself: a level without its scale, a number for an unknown value, a local time. */
    static const char *const planted[] = {"\"scale\":\"flood_alarm\",",
                                          "",
                                          "\"value\":null",
                                          "\"value\":\"nan\"",
                                          "Z\",\"trend",
                                          "+07:00\",\"trend"};
    struct alarm_view view = {0};
    (void)engine_visit_alarms(engine, keep_view, &view);
    struct indicator unknown = *view.indicators;
    unknown.value = (double)NAN;
    view.indicators = &unknown;
    assert_int_equal(message_alert_state(&view, &context, text, sizeof text, &length), 0);
    for (int i = 0; i < 6; i += 2) {
        const char *at = strstr(text, planted[i]);
        assert_non_null(at);
        fprintf(lines, "alert-state.v1 %.*s%s%s\n", (int)(at - text), text, planted[i + 1],
                at + strlen(planted[i]));
    }
    assert_int_equal(fclose(lines), 0);
    assert_int_equal(violations(path), 3);
    (void)remove(path);
}

static const char *text_at(const json_t *object, const char *key, const char *inner) {
    return json_string_value(json_object_get(json_object_get(object, key), inner));
}

static void test_what_is_not_known_is_null(void **state) {
    (void)state;
    struct alarm_view view = {0};
    (void)engine_visit_alarms(engine, keep_view, &view);
    assert_int_equal(message_alert_state(&view, &context, text, sizeof text, &length), 0);
    json_t *body = parse();
    assert_true(json_is_null(json_object_get(body, "event_id")));
    const json_t *level = json_object_get(body, "level");
    assert_true(json_is_null(json_object_get(level, "value"))); /* not 0: nobody looked yet */
    assert_string_equal(text_at(body, "level", "scale"), "flood_alarm");
    assert_string_equal(text_at(body, "knowledge", "state"), "unknown");
    assert_string_equal(text_at(body, "knowledge", "cause"), "no_data_yet");
    const json_t *evidence = json_array_get(json_object_get(body, "evidence"), 0);
    assert_true(json_is_null(json_object_get(evidence, "value")));
    assert_true(json_is_null(json_object_get(evidence, "newest")));
    assert_string_equal(json_string_value(json_object_get(body, "status")), "Exercise");
    assert_true(json_is_true(json_object_get(body, "reconstructed")));
    json_decref(body);
}

static void test_numbers_and_times_of_a_raise(void **state) {
    (void)state;
    lines = tmpfile();
    assert_non_null(lines);
    read_at(0, POINT_STAGE, 1);
    read_at(90 * SEC + 250000, POINT_STAGE, 6.05);
    struct alarm_view view = {0};
    (void)engine_visit_alarms(engine, keep_view, &view);
    assert_int_equal(message_alert_state(&view, &context, text, sizeof text, &length), 0);
    json_t *body = parse();
    assert_int_equal(json_integer_value(json_object_get(json_object_get(body, "level"), "value")),
                     3);
    assert_string_equal(json_string_value(json_object_get(body, "level_since")),
                        "2025-11-18T01:01:30.250Z");
    /* Level III at 08:01:30 in Vietnam: renewed at 09:30, an hour of issue, and valid for a quarter
     * of the six hours beyond. */
    assert_string_equal(text_at(body, "publication", "expires"), "2025-11-18T04:00:00Z");
    assert_string_equal(text_at(body, "annunciation", "state"), "unacknowledged");
    const json_t *evidence = json_array_get(json_object_get(body, "evidence"), 0);
    assert_true(json_real_value(json_object_get(evidence, "value")) == 6.05);
    assert_string_equal(text_at(body, "place", "name_vi"), "Trạm thử");
    assert_non_null(strstr(text, "\"value\":6.05,"));
    assert_true(json_is_true(json_object_get(json_object_get(body, "rule"), "provisional")));
    json_decref(body);
    (void)fclose(lines);
}

static void fill(char *to, size_t size) {
    memset(to, '"', size - 1); /* two bytes each in JSON */
    to[size - 1] = '\0';
}

static void test_the_largest_message_fits(void **state) {
    (void)state;
    struct rule rule = fixture.rules[RULE_FLOOD];
    struct alarm alarm = {.level = 3, .assessed = true, .acknowledged_level = 3};
    struct indicator indicators[RULE_INDICATORS_MAX];
    struct alarm_view view = {.rule = &rule, .alarm = &alarm, .indicators = indicators};
    static char name[STATION_NAME_SIZE];
    struct alarm_levels levels = {.count = ALARM_LEVELS_MAX};
    fill(name, sizeof name);
    fill(levels.source, sizeof levels.source);
    fill(levels.unit, sizeof levels.unit);
    view.place = (struct place){.id = name, .name_vi = name, .name_en = name};
    view.alarm_levels = &levels;
    fill(rule.text_vi, sizeof rule.text_vi);
    fill(rule.text_en, sizeof rule.text_en);
    fill(rule.source, sizeof rule.source);
    fill(rule.scale.name_vi, sizeof rule.scale.name_vi);
    fill(rule.scale.name_en, sizeof rule.scale.name_en);
    for (int i = 1; i < OVERRIDE_COUNT; i++) {
        alarm.overrides[i].active = true;
        fill(alarm.overrides[i].actor, sizeof alarm.overrides[i].actor);
        fill(alarm.overrides[i].reason, sizeof alarm.overrides[i].reason);
    }
    rule.indicator_count = RULE_INDICATORS_MAX;
    for (int i = 0; i < RULE_INDICATORS_MAX; i++) {
        rule.indicators[i] = fixture_model_spec("rain", HOUR);
        fill(rule.indicators[i].product, STATION_ID_SIZE);
        fill(rule.indicators[i].variable, STATION_ID_SIZE);
        indicators[i] = (struct indicator){.value = -1.2345678901234567e-300};
        fill(indicators[i].model.cause, sizeof indicators[i].model.cause);
        indicators[i].newest =
            (struct sample_ref){.seq = UINT64_MAX / 2, .fail_tests = 31, .suspect_tests = 31};
        indicators[i].oldest = indicators[i].newest;
    }
    struct event event = {
        .view = view, .actor = alarm.overrides[1].actor, .comment = alarm.overrides[1].reason};
    struct contact contact;
    fill(contact.id, sizeof contact.id);
    fill(contact.name, sizeof contact.name);
    fill(contact.address, sizeof contact.address);
    struct escalation_call call = {.role_count = LADDER_ROLES_MAX};
    for (int i = 0; i < LADDER_ROLES_MAX; i++) {
        call.roles[i] = name;
        call.contacts[i] = &contact;
    }
    struct incident incident = {.state = INCIDENT_OPEN};
    fill(incident.group, sizeof incident.group);
    event.view.incident = &incident;
    event.call = &call;
    event.change.what = 2047;
    assert_int_equal(message_alert(&event, &context, text, sizeof text, &length), 0);
    assert_true(length < MESSAGE_SIZE_MAX / 2);
    json_decref(parse());
    size_t untouched = 77;
    for (size_t size = 1; size <= length; size += 97) {
        assert_int_equal(message_alert(&event, &context, text, size, &untouched), ERR_LIMIT);
        assert_int_equal(untouched, 77);
    }
}

static void test_status_names(void **state) {
    (void)state;
    assert_string_equal(message_status_name(MESSAGE_ACTUAL), "Actual");
    assert_string_equal(message_status_name(MESSAGE_EXERCISE), "Exercise");
    assert_string_equal(message_status_name(MESSAGE_TEST), "Test");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_every_message_follows_its_schema),
        TEST(test_what_is_not_known_is_null),
        TEST(test_numbers_and_times_of_a_raise),
        TEST(test_the_largest_message_fits),
        TEST(test_status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
