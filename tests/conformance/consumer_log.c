#include "tests/conformance/consumer_log.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/message/cap.h"
#include "alerts/message/json.h"
#include "daemon/base/text.h"
#include "daemon/engine.h"

#define START_US (INT64_C(1763424000) * 1000000) /* 2025-11-18T00:00:00Z */
#define STEP_US  (INT64_C(600) * 1000000)
static const char source_name[] = "/canhbaod/conformance";

/* What CAP messages of one alarm refer to. */
struct chain {
    char key[2 * STATION_ID_SIZE];
    struct cap_chain newest;
};

struct making {
    const struct site *site;
    struct engine *engine;
    struct consumer_log *log;
    struct phrases *phrases[LANGUAGE_COUNT];
    struct chain *chains;
    size_t chain_count;
    uint64_t cap_messages;
    uint64_t random;
    int result;
    char text[CAP_SIZE_MAX];
};

uint64_t consumer_random(uint64_t *state, uint64_t n) {
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x % n;
}

static char *copy_text(const char *text) {
    return text != NULL ? strdup(text) : NULL;
}

static int add(struct making *making, const struct kafka_message *message) {
    struct consumer_log *log = making->log;
    if (log->count == log->room) {
        size_t room = log->room == 0 ? 1024 : 2 * log->room;
        struct consumer_message *grown = realloc(log->messages, room * sizeof *grown);
        if (grown == NULL) {
            return making->result = ERR_MEMORY;
        }
        log->messages = grown;
        log->room = room;
    }
    struct consumer_message *added = &log->messages[log->count];
    memset(added, 0, sizeof *added);
    added->message = *message;
    added->message.key = copy_text(message->key);
    added->message.id = copy_text(message->id);
    added->message.source = source_name;
    if (message->body != NULL) {
        char *body = malloc(message->body_len + 1);
        if (body == NULL) {
            return making->result = ERR_MEMORY;
        }
        memcpy(body, message->body, message->body_len);
        body[message->body_len] = '\0';
        added->message.body = body;
    }
    log->count++;
    return 0;
}

/* Every seventh place belongs to a drill. */
static struct message_context context_of(const struct making *making, const char *place) {
    size_t index = 0;
    while (index < making->site->station_count &&
           strcmp(making->site->stations[index].id, place) != 0) {
        index++;
    }
    return (struct message_context){.status = index % 7 == 0 ? MESSAGE_EXERCISE : MESSAGE_ACTUAL};
}

static struct chain *chain_of(struct making *making, const char *place, const char *rule) {
    char key[2 * STATION_ID_SIZE];
    (void)snprintf(key, sizeof key, "%.63s/%.63s", place, rule);
    for (size_t i = 0; i < making->chain_count; i++) {
        if (strcmp(making->chains[i].key, key) == 0) {
            return &making->chains[i];
        }
    }
    if (making->chain_count == CONSUMER_ALARMS_MAX) {
        return NULL;
    }
    struct chain *chain = &making->chains[making->chain_count++];
    memcpy(chain->key, key, sizeof key);
    return chain;
}

static void add_cap(struct making *making, const struct event *event) {
    const struct alarm_view *view = &event->view;
    struct chain *chain = chain_of(making, view->place.id, view->rule->id);
    struct cap_context context = {.sender = source_name,
                                  .sender_name_vi = making->site->settings.name_vi,
                                  .sender_name_en = making->site->settings.name_en,
                                  .messages = context_of(making, view->place.id),
                                  .utc_offset_min = making->site->settings.utc_offset_min,
                                  .phrases = {making->phrases[0], making->phrases[1]}};
    struct message_text text;
    struct cap_chain next;
    char id[CAP_ID_SIZE];
    size_t length;
    if (chain == NULL || bulletin_of_event(event) == BULLETIN_NONE ||
        message_cap(event, &context, &chain->newest, NULL, making->text, sizeof making->text,
                    &length, &next) != 0 ||
        message_text(making->phrases[LANGUAGE_VI], event, &context.messages, context.utc_offset_min,
                     &text) != 0) {
        return;
    }
    chain->newest = next;
    cap_identifier(event, id);
    const struct kafka_message message = {.topic = KAFKA_TOPIC_CAP,
                                          .key = view->incident != NULL ? view->incident->id
                                                                        : chain->key,
                                          .id = id,
                                          .type = "canhbao.cap.v1",
                                          .time = event->at.utc,
                                          .sequence = ++making->cap_messages,
                                          .exercise = context.messages.status == MESSAGE_EXERCISE,
                                          .body = making->text,
                                          .body_len = length};
    if (add(making, &message) == 0) {
        struct consumer_message *added = &making->log->messages[making->log->count - 1];
        const char *expires = strstr(making->text, "<expires>");
        const char *status = strstr(making->text, "<status>Actual<");
        char stamp[32] = "";
        (void)snprintf(stamp, sizeof stamp, "%.25s", expires + strlen("<expires>"));
        (void)text_parse_time(stamp, &added->expires_us); /* as message_cap() writes it */
        added->public_text = status != NULL;
        (void)snprintf(added->sms, sizeof added->sms, "%s", text.sms);
    }
}

static void add_state(struct making *making, const struct alarm_view *view, struct utc_us at) {
    char key[KAFKA_KEY_MAX + 1];
    char id[64];
    size_t length;
    struct message_context context = context_of(making, view->place.id);
    if (message_alert_state(view, &context, making->text, sizeof making->text, &length) != 0) {
        return;
    }
    (void)snprintf(key, sizeof key, "%s/%s", view->place.id, view->rule->id);
    (void)snprintf(id, sizeof id, "s-%zu", making->log->count);
    (void)add(making, &(struct kafka_message){.topic = KAFKA_TOPIC_ALERT_STATE,
                                              .key = key,
                                              .id = id,
                                              .type = "canhbao.alert-state.v1",
                                              .time = at,
                                              .sequence = view->alarm->revision,
                                              .exercise = context.status == MESSAGE_EXERCISE,
                                              .body = making->text,
                                              .body_len = length});
}

static void on_event(void *ctx, const struct event *event) {
    struct making *making = ctx;
    struct message_context context = context_of(making, event->view.place.id);
    size_t length;
    if (message_alert(event, &context, making->text, sizeof making->text, &length) == 0) {
        (void)add(making, &(struct kafka_message){.topic = KAFKA_TOPIC_ALERT,
                                                  .key = event->view.place.id,
                                                  .id = event->id,
                                                  .type = "canhbao.alert.v1",
                                                  .time = event->at.utc,
                                                  .sequence = event->sequence,
                                                  .exercise = context.status == MESSAGE_EXERCISE,
                                                  .body = making->text,
                                                  .body_len = length});
    }
    add_cap(making, event);
    add_state(making, &event->view, event->at.utc);
}

static void on_record(void *ctx, const struct alarm_view *view) {
    struct making *making = ctx;
    add_state(making, view, engine_now(making->engine).utc);
}

static void add_heartbeat(struct making *making, struct utc_us at) {
    char time[32], id[64];
    text_format_time(at.us, time, sizeof time);
    json_t *body = json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:{s:i,s:i,s:i},s:{s:i,s:i,s:i,s:i,s:i},s:[]}", "node", "conformance",
        "version", CANHBAO_VERSION, "time", time, "started", "2025-11-18T00:00:00Z", "status",
        "Actual", "stations", "total", 0, "answering", 0, "provisional", 0, "alarms", "total", 0,
        "raised", 0, "unacknowledged", 0, "not_fresh", 0, "overridden", 0, "conditions");
    char *text = json_dumps(body, JSON_COMPACT);
    (void)snprintf(id, sizeof id, "h-%zu", making->log->count);
    if (text != NULL) {
        (void)add(making, &(struct kafka_message){.topic = KAFKA_TOPIC_HEALTH,
                                                  .key = "conformance",
                                                  .id = id,
                                                  .type = "canhbao.health.v1",
                                                  .time = at,
                                                  .body = text,
                                                  .body_len = strlen(text)});
    }
    free(text);
    json_decref(body);
}

/* A value that wanders through everything its limits allow, sometimes missing. */
static struct reading invent(struct making *making, uint32_t point, double *phase, uint64_t seq,
                             struct moment now) {
    const struct point *at = &making->site->points[point];
    const struct alarm_levels *levels = &making->site->stations[at->station].alarm_levels;
    double low = isfinite(at->quality.soft_min) ? at->quality.soft_min : at->quality.hard_min;
    double high = isfinite(at->quality.soft_max) ? at->quality.soft_max : at->quality.hard_max;
    low = isfinite(low) ? low : 0;
    high = isfinite(high) ? high : 100;
    if (levels->count > 0 && strcmp(at->id, "stage") == 0) {
        high = levels->at[levels->count - 1] * 1.05;
        low = high * 0.6;
    }
    *phase += 0.02 + (double)consumer_random(&making->random, 1000) / 5000;
    struct reading reading = {.point = point, .seq = seq, .received = now};
    if (consumer_random(&making->random, 20) == 0) {
        reading.status = READING_TIMEOUT;
        reading.value = (double)NAN;
    } else if (at->kind == POINT_INSTANT) {
        reading.value = low + (high - low) * (0.5 + 0.5 * sin(*phase));
    } else {
        reading.value = floor(*phase * 200) * 0.2;
    }
    return reading;
}

static void play(struct making *making, int steps) {
    const struct site *site = making->site;
    const struct engine_sink sink = {
        .context = making, .on_event = on_event, .on_record = on_record};
    double *phases = calloc(site->point_count + 1, sizeof *phases);
    uint64_t *seqs = calloc(site->station_count + 1, sizeof *seqs);
    uint64_t number = 0;
    making->result = phases != NULL && seqs != NULL ? 0 : ERR_MEMORY;
    for (int step = 1; step <= steps && making->result == 0; step++) {
        struct moment now = {{(int64_t)step * STEP_US}, {START_US + (int64_t)step * STEP_US}};
        for (uint32_t point = 0; point < site->point_count && making->result == 0; point++) {
            struct engine_input input = {.kind = ENGINE_READING, .number = ++number};
            now.mono.us++;
            now.utc.us++;
            input.now = now;
            input.as.reading =
                invent(making, point, &phases[point], ++seqs[site->points[point].station], now);
            int result = engine_step(making->engine, &input, &sink);
            making->result = making->result == 0 ? result : making->result;
        }
        add_heartbeat(making, now.utc);
    }
    free(phases);
    free(seqs);
}

/* The last alarms of the site vanish: their keys get a null value. */
static int vanish(void *ctx, const struct alarm_view *view) {
    struct making *making = ctx;
    char key[KAFKA_KEY_MAX + 1];
    char id[64];
    if (consumer_random(&making->random, 8) != 0) {
        return 0;
    }
    (void)snprintf(key, sizeof key, "%s/%s", view->place.id, view->rule->id);
    (void)snprintf(id, sizeof id, "t-%zu", making->log->count);
    return add(making, &(struct kafka_message){.topic = KAFKA_TOPIC_ALERT_STATE,
                                               .key = key,
                                               .id = id,
                                               .type = "canhbao.alert-state.v1",
                                               .time = engine_now(making->engine).utc});
}

int consumer_log_make(const struct site *site, uint64_t seed, int steps,
                      struct consumer_log *ret_log, struct err *ret_err) {
    const struct engine_site engine_site = site_for_engine(site, NULL);
    struct making *making = calloc(1, sizeof *making);
    struct consumer_log log = {.from_us = START_US, .to_us = START_US + (int64_t)steps * STEP_US};
    int result = ERR_MEMORY;
    if (making != NULL) {
        making->site = site;
        making->log = &log;
        making->random = seed * 2 + 1;
        making->chains = calloc(CONSUMER_ALARMS_MAX, sizeof *making->chains);
        result = making->chains != NULL ? 0 : ERR_MEMORY;
    }
    for (int i = 0; result == 0 && i < LANGUAGE_COUNT; i++) {
        result = phrases_create((enum language)i, &making->phrases[i], ret_err);
    }
    if (result == 0) {
        result =
            engine_create(&engine_site, (struct moment){{0}, {START_US}}, &making->engine, ret_err);
    }
    if (result == 0) {
        play(making, steps);
        (void)engine_visit_alarms(making->engine, vanish, making);
        result = making->result;
    }
    if (making != NULL) {
        (void)engine_destroy(making->engine);
        (void)phrases_destroy(making->phrases[0]);
        (void)phrases_destroy(making->phrases[1]);
        free(making->chains);
        free(making);
    }
    if (result != 0) {
        consumer_log_finish(&log);
        return result;
    }
    *ret_log = log;
    return 0;
}

void consumer_log_finish(struct consumer_log *log) {
    for (size_t i = 0; i < log->count; i++) {
        free((void *)(uintptr_t)log->messages[i].message.key);
        free((void *)(uintptr_t)log->messages[i].message.id);
        free((void *)(uintptr_t)log->messages[i].message.body);
    }
    free(log->messages);
    memset(log, 0, sizeof *log);
}
