/* Any bytes as the engine's stored forms. First byte even: inputs of the journal, each with a
 * length of two bytes in front, that are decoded and stepped. Odd: the body of a snapshot, which
 * gets a checksum that fits and is loaded; then time passes. A refusal is fine; a crash, a changed
 * engine after a refused step, or an input that does not encode to what it was decoded from is not.
 */
#include <stdio.h>
#include <stdlib.h>

#include "alerts/message/json.h"
#include "tests/unit/engine_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fixture fixture;
static struct engine *engine;
static char text[MESSAGE_SIZE_MAX];

static void need(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "fuzz_engine: %s\n", what);
        abort();
    }
}

static void on_event(void *context, const struct event *event) {
    const struct message_context message = {.status = MESSAGE_TEST};
    size_t length;
    (void)context;
    need(message_alert(event, &message, text, sizeof text, &length) == 0, "alert does not fit");
}

static int on_alarm(void *context, const struct alarm_view *view) {
    const struct message_context message = {.status = MESSAGE_TEST};
    size_t length;
    (void)context;
    need(message_alert_state(view, &message, text, sizeof text, &length) == 0,
         "state does not fit");
    need(view->alarm->level <= view->rule->scale.level_count, "level beyond the scale");
    return 0;
}

static const struct engine_sink sink = {.on_event = on_event};

static void step_journal(const uint8_t *data, size_t size) {
    struct bytes again = {0};
    size_t at = 0;
    while (size - at >= 2) {
        size_t length = data[at] | (size_t)data[at + 1] << 8;
        struct engine_input input;
        at += 2;
        length = length < size - at ? length : size - at;
        if (engine_input_decode(engine, data + at, length, &input) == 0) {
            bytes_clear(&again);
            need(engine_input_encode(engine, &input, &again) == 0, "cannot be encoded");
            need(again.length == length && memcmp(again.data, data + at, length) == 0,
                 "encoded otherwise");
            uint64_t number = engine_number(engine);
            if (engine_step(engine, &input, &sink) != 0) {
                need(engine_number(engine) == number, "a refused step counts");
            }
        }
        at += length;
    }
    bytes_finish(&again);
}

static void load_snapshot(const uint8_t *data, size_t size) {
    struct bytes bytes = {0};
    char hash[HASH_TEXT_SIZE];
    bytes_put(&bytes, data, size);
    hash_text(data, size, hash);
    bytes_put(&bytes, hash, HASH_TEXT_SIZE - 1);
    need(bytes.error == 0, "no memory");
    if (engine_load(engine, bytes.data, bytes.length, NULL, NULL) == 0) {
        struct engine_input input = {.kind = ENGINE_TICK};
        for (int i = 1; i < 4; i++) {
            input.number = engine_number(engine) + 1;
            input.now = engine_now(engine);
            input.now.mono.us += i * HOUR;
            (void)engine_step(engine, &input, &sink); /* the saved time may leave no room */
        }
        input = (struct engine_input){
            .kind = ENGINE_READING, .number = engine_number(engine) + 1, .now = engine_now(engine)};
        input.as.reading = (struct reading){.seq = 1, .value = 3, .received = input.now};
        (void)engine_step(engine, &input, &sink); /* as above */
    }
    bytes_finish(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    if (fixture.site.rule_count == 0) {
        fixture_init(&fixture);
    }
    need(engine_create(&fixture.site, fixture_at(0), &engine, NULL) == 0, "no engine");
    if (data[0] % 2 == 0) {
        step_journal(data + 1, size - 1);
    } else {
        load_snapshot(data + 1, size - 1);
    }
    (void)engine_visit_alarms(engine, on_alarm, NULL);
    engine = engine_destroy(engine);
    return 0;
}
