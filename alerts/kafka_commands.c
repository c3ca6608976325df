#include "alerts/kafka_commands.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kafka_commands {
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *message; /* being handled */
    void (*wake)(void *user);
    void *wake_user;
};

/* Called on librdkafka's threads. */
static void on_event(rd_kafka_t *consumer, void *opaque) {
    struct kafka_commands *commands = opaque;
    (void)consumer;
    commands->wake(commands->wake_user);
}

/* The library writes to stderr otherwise. What matters, whether the brokers answer, the producer
 * tells. */
static void drop_log(const rd_kafka_t *consumer, int level, const char *facility,
                     const char *text) {
    (void)consumer;
    (void)level;
    (void)facility;
    (void)text;
}

static int configure(rd_kafka_conf_t *conf, const struct kafka_config *config,
                     struct err *ret_err) {
    char group[KAFKA_TEXT_SIZE];
    char text[KAFKA_TEXT_SIZE];
    const char *client = config->client_id != NULL ? config->client_id : "canhbaod";
    (void)snprintf(group, sizeof group, "%s-commands", client); /* client ids are short */
    const char *const settings[][2] = {
        {"group.id", group},
        {"group.instance.id", group},
        {"session.timeout.ms", "10000"},
        {"auto.offset.reset", "earliest"}, /* what is too old has expired, and is answered so */
        {"enable.auto.offset.store", "false"},
        {"auto.commit.interval.ms", "1000"},
        {"reconnect.backoff.max.ms", "2000"},
        {"topic.metadata.refresh.interval.ms", "5000"},
    };
    int result = kafka_configure_access(conf, config, ret_err);
    rd_kafka_conf_set_log_cb(conf, drop_log);
    for (size_t i = 0; result == 0 && i < sizeof settings / sizeof settings[0]; i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text) !=
            RD_KAFKA_CONF_OK) {
            result = err_set(ret_err, ERR_INVALID, "kafka: %s: %s", settings[i][0], text);
        }
    }
    return result;
}

static int subscribe(struct kafka_commands *commands, const struct kafka_config *config,
                     struct err *ret_err) {
    char topic[KAFKA_TEXT_SIZE];
    (void)snprintf(topic, sizeof topic, "%scommand.v1",
                   config->topic_prefix != NULL ? config->topic_prefix : "canhbao.");
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(commands->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : err_set(ret_err, ERR_INVALID, "kafka: %s: %s", topic, rd_kafka_err2str(code));
}

int kafka_commands_create(const struct kafka_config *config, void (*wake)(void *user), void *user,
                          struct kafka_commands **ret_commands, struct err *ret_err) {
    struct kafka_commands *commands = calloc(1, sizeof *commands);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[KAFKA_TEXT_SIZE];
    int result = commands != NULL ? configure(conf, config, ret_err)
                                  : err_set(ret_err, ERR_MEMORY, "kafka: no memory");
    if (result == 0) {
        commands->wake = wake;
        commands->wake_user = user;
        commands->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
        if (commands->consumer == NULL) {
            result = err_set(ret_err, ERR_INVALID, "kafka: %s", text);
        }
    }
    if (result != 0) {
        rd_kafka_conf_destroy(conf);
        free(commands);
        return result;
    }
    (void)rd_kafka_poll_set_consumer(commands->consumer); /* cannot fail for a consumer */
    commands->queue = rd_kafka_queue_get_consumer(commands->consumer);
    rd_kafka_queue_cb_event_enable(commands->queue, on_event, commands);
    result = subscribe(commands, config, ret_err);
    if (result != 0) {
        return (void)kafka_commands_destroy(commands), result;
    }
    *ret_commands = commands;
    return 0;
}

static void finish_message(struct kafka_commands *commands) {
    rd_kafka_message_t *message = commands->message;
    if (message != NULL) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            /* A partition that was taken away meanwhile: the command comes again, its id tells. */
            (void)rd_kafka_offset_store(message->rkt, message->partition, message->offset);
        }
        rd_kafka_message_destroy(message);
        commands->message = NULL;
    }
}

struct kafka_commands *kafka_commands_destroy(struct kafka_commands *commands) {
    if (commands != NULL) {
        finish_message(commands);
        rd_kafka_queue_cb_event_enable(commands->queue, NULL, NULL);
        rd_kafka_queue_destroy(commands->queue);
        /* Without leaving the group: the next process has the same name in it. */
        (void)rd_kafka_commit(commands->consumer, NULL, 1);
        rd_kafka_destroy_flags(commands->consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        free(commands);
    }
    return NULL;
}

bool kafka_commands_next(struct kafka_commands *commands, struct kafka_record *ret_record) {
    finish_message(commands);
    /* Errors (no broker, no topic yet) pass: the library goes on trying. Bounded by what is queued.
     */
    while ((commands->message = rd_kafka_consumer_poll(commands->consumer, 0)) != NULL) {
        const rd_kafka_message_t *message = commands->message;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            *ret_record = (struct kafka_record){.key = message->key,
                                                .key_len = message->key_len,
                                                .body = message->payload,
                                                .body_len = message->len};
            return true;
        }
        finish_message(commands);
    }
    return false;
}
