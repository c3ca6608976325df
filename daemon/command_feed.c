#include "daemon/command_feed.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/kafka_commands.h"
#include "daemon/base/text.h"

enum { BATCH_MAX = 64 };

struct command_feed {
    struct loop *loop;
    struct desk *desk;
    const char *source;
    struct kafka_commands *commands;
    atomic_bool woken; /* a post is on its way */
    uint64_t sequence;
};

static int take_actor(json_t *object, char ret_actor[COMMAND_ACTOR_SIZE], struct err *ret_err) {
    const char *name = json_string_value(json_object_get(object, "actor"));
    size_t length = name != NULL ? strlen(name) : 0;
    if (length == 0 || length > COMMAND_ACTOR_SIZE - sizeof "kafka:" ||
        !text_is_utf8_line(name, length)) {
        return err_set(ret_err, ERR_INVALID,
                       "actor: expected the name of who gives the command, 1 to %d bytes",
                       (int)(COMMAND_ACTOR_SIZE - sizeof "kafka:"));
    }
    (void)snprintf(ret_actor, COMMAND_ACTOR_SIZE, "kafka:%s", name);
    return 0;
}

static int parse_object(json_t *object, struct control_request *ret_request,
                        char ret_id[ID_TEXT_SIZE], char ret_actor[COMMAND_ACTOR_SIZE],
                        struct err *ret_err) {
    struct control_request request;
    const char *id = json_string_value(json_object_get(object, "id"));
    if (id != NULL && text_copy(ret_id, ID_TEXT_SIZE, id) != 0) {
        return err_set(ret_err, ERR_LIMIT, "id: expected at most %d bytes", ID_TEXT_SIZE - 1);
    }
    int result = take_actor(object, ret_actor, ret_err);
    if (result != 0) {
        return result;
    }
    (void)json_object_del(object, "actor");
    result = control_parse_object(object, &request, ret_err);
    if (result != 0) {
        return result;
    }
    if (request.verb != CONTROL_COMMAND) {
        return err_set(ret_err, ERR_DENIED, "only commands are taken over Kafka");
    }
    if (request.command.id[0] == '\0' || request.command.expires.us == 0) {
        return err_set(ret_err, ERR_INVALID, "a command over Kafka needs the keys id and expires");
    }
    *ret_request = request;
    return 0;
}

int command_feed_parse(const char *body, size_t length, struct control_request *ret_request,
                       char ret_id[ID_TEXT_SIZE], char ret_actor[COMMAND_ACTOR_SIZE],
                       struct err *ret_err) {
    json_error_t fault;
    ret_id[0] = ret_actor[0] = '\0';
    if (body == NULL || length > CONTROL_LINE_MAX) {
        return err_set(ret_err, ERR_LIMIT, "a command has 1 to %d bytes", CONTROL_LINE_MAX);
    }
    json_t *object = json_loadb(body, length, JSON_REJECT_DUPLICATES, &fault);
    if (object == NULL) {
        return err_set(ret_err, ERR_SYNTAX, "not JSON: %s at byte %d", fault.text, fault.position);
    }
    int result = json_is_object(object)
                     ? parse_object(object, ret_request, ret_id, ret_actor, ret_err)
                     : err_set(ret_err, ERR_INVALID, "expected an object");
    json_decref(object);
    return result;
}

static json_t *text_or_null(const char *text) {
    return text[0] != '\0' ? json_string(text) : json_null();
}

static void answer(struct command_feed *feed, const struct kafka_record *record, const char *id,
                   const char *actor, int code, const struct desk_reply *reply) {
    struct utc_us now = clock_now(feed->desk->view.clock).utc;
    char time[32];
    char key[KAFKA_KEY_MAX + 1] = "";
    char message_id[ID_TEXT_SIZE];
    char sequence[24];
    text_format_time(now.us, time, sizeof time);
    size_t key_len = record->key_len < KAFKA_KEY_MAX ? record->key_len : KAFKA_KEY_MAX;
    if (record->key != NULL && text_is_utf8_line(record->key, key_len)) {
        memcpy(key, record->key, key_len);
    }
    json_t *body = json_pack("{s:o,s:o,s:b,s:s,s:o,s:I,s:s,s:s}", "id", text_or_null(id), "actor",
                             text_or_null(actor), "ok", code == 0, "code", err_name(code), "error",
                             code != 0 ? json_string(reply->text) : json_null(), "revision",
                             (json_int_t)reply->revision, "time", time, "status",
                             message_status_name(feed->desk->view.messages.status));
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(body);
    if (text == NULL) {
        return; /* no memory for a reply: who asked sees none and asks again */
    }
    (void)snprintf(sequence, sizeof sequence, "%llu", (unsigned long long)++feed->sequence);
    const char *parts[] = {"reply", id, text, sequence};
    id_from_strings(parts, sizeof parts / sizeof parts[0], message_id);
    struct kafka_message message = {
        .topic = KAFKA_TOPIC_REPLY,
        .key = key,
        .id = message_id,
        .type = "canhbao.reply.v1",
        .source = feed->source,
        .time = now,
        .exercise = feed->desk->view.messages.status == MESSAGE_EXERCISE,
        .body = text,
        .body_len = strlen(text),
    };
    (void)pipeline_send(feed->desk->view.pipeline, &message); /* a full store is told by itself */
    free(text);
}

static void handle(struct command_feed *feed, const struct kafka_record *record) {
    struct control_request request;
    struct desk_reply reply = {.revision = 0};
    struct err err = {0};
    char id[ID_TEXT_SIZE];
    char actor[COMMAND_ACTOR_SIZE];
    int code = command_feed_parse(record->body, record->body_len, &request, id, actor, &err);
    if (code == 0) {
        code = desk_command(feed->desk, &request, actor, &reply);
    } else {
        (void)text_copy(reply.text, sizeof reply.text, err.text); /* the same bound */
    }
    answer(feed, record, id, actor, code, &reply);
}

static void on_post(void *ctx) {
    struct command_feed *feed = ctx;
    struct kafka_record record;
    atomic_store(&feed->woken, false);
    for (int i = 0; i < BATCH_MAX; i++) {
        if (!kafka_commands_next(feed->commands, &record)) {
            return;
        }
        handle(feed, &record);
    }
    /* More waits: others have their turn first. */
    if (!atomic_exchange(&feed->woken, true) && loop_post(feed->loop, on_post, feed) != 0) {
        atomic_store(&feed->woken, false);
    }
}

/* From the consumer's threads. */
static void on_wake(void *ctx) {
    struct command_feed *feed = ctx;
    if (!atomic_exchange(&feed->woken, true) && loop_post(feed->loop, on_post, feed) != 0) {
        atomic_store(&feed->woken, false); /* the next record wakes again */
    }
}

int command_feed_create(const struct command_feed_options *options, struct command_feed **ret_feed,
                        struct err *ret_err) {
    struct command_feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for commands over Kafka");
    }
    feed->loop = options->loop;
    feed->desk = options->desk;
    feed->source = options->source;
    atomic_init(&feed->woken, false);
    int result = kafka_commands_create(options->kafka, on_wake, feed, &feed->commands, ret_err);
    if (result != 0) {
        free(feed);
        return result;
    }
    *ret_feed = feed;
    return 0;
}

struct command_feed *command_feed_destroy(struct command_feed *feed) {
    if (feed != NULL) {
        (void)kafka_commands_destroy(feed->commands);
        free(feed);
    }
    return NULL;
}
