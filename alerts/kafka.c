#include "alerts/kafka.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alerts/kafka_topics.h"
#include "daemon/base/text.h"

enum { SECRET_SIZE = 4096, EPHEMERAL_MAX = 8, DEFAULT_TIMEOUT_MS = 300000, EVENTS_MAX = 4096 };

/* Configuration strings that are owned by the kafka object, in the order of struct kafka_config. */
enum {
    TEXT_BROKERS,
    TEXT_CLIENT_ID,
    TEXT_PREFIX,
    TEXT_PROTOCOL,
    TEXT_MECHANISM,
    TEXT_USERNAME,
    TEXT_PASSWORD_FILE,
    TEXT_CA_FILE,
    TEXT_CERTIFICATE_FILE,
    TEXT_KEY_FILE,
    TEXT_KEY_PASSWORD_FILE,
    TEXT_COUNT
};

struct kafka {
    char *texts[TEXT_COUNT];
    struct kafka_topics topics;
    int64_t message_timeout_ms;
    void (*wake)(void *user);
    void *wake_user;

    rd_kafka_t *producer;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *handles[KAFKA_TOPIC_COUNT];
    rd_kafka_event_t *event; /* delivery reports that are not all taken yet */
    bool broken;
    size_t ephemeral; /* waiting */
    struct kafka_status status;

    /* The previous producer, while a thread destroys it. */
    pthread_t undertaker;
    bool undertaker_joinable;
    atomic_bool undertaker_done;
    rd_kafka_t *buried;
};

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *ret_err) {
    char text[KAFKA_TEXT_SIZE];
    if (!value)
        return 0;
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        return err_set(ret_err, ERR_INVALID, "kafka: %s: %s", name, text);
    return 0;
}

/* The file's content without its final line break. The buffer is wiped: the library has its copy.
 */
static int set_secret(rd_kafka_conf_t *conf, const char *name, const char *path,
                      struct err *ret_err) {
    char secret[SECRET_SIZE];
    if (!path)
        return 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(ret_err, ERR_IO, "kafka: %s: cannot open the credential file %s: %s", name,
                       path, strerror(errno));
    size_t length = fread(secret, 1, sizeof secret - 1, file);
    bool whole = !ferror(file) && length < sizeof secret - 1;
    (void)fclose(file); /* only read */
    while (length > 0 && (secret[length - 1] == '\n' || secret[length - 1] == '\r'))
        length--;
    secret[length] = 0;
    int result = 0;
    char text[KAFKA_TEXT_SIZE];
    if (!whole || length == 0 || strlen(secret) != length)
        result =
            err_set(ret_err, ERR_IO, "kafka: %s: %s is empty, too long or not text", name, path);
    else if (rd_kafka_conf_set(conf, name, secret, text, sizeof text) != RD_KAFKA_CONF_OK)
        result =
            err_set(ret_err, ERR_INVALID, "kafka: %s: refused", name); /* its text may quote it */
    explicit_bzero(secret, sizeof secret);
    return result;
}

int kafka_configure_access(void *conf, const struct kafka_config *config, struct err *ret_err) {
    const char *const settings[][2] = {
        {"bootstrap.servers", config->brokers},
        {"client.id", config->client_id ? config->client_id : "canhbaod"},
        {"security.protocol", config->security_protocol},
        {"sasl.mechanism", config->sasl_mechanism},
        {"sasl.username", config->sasl_username},
        {"ssl.ca.location", config->ssl_ca_file},
        {"ssl.certificate.location", config->ssl_certificate_file},
        {"ssl.key.location", config->ssl_key_file},
    };
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof settings / sizeof settings[0]; i++)
        result = set(conf, settings[i][0], settings[i][1], ret_err);
    if (result == 0)
        result = set_secret(conf, "sasl.password", config->sasl_password_file, ret_err);
    if (result == 0)
        result = set_secret(conf, "ssl.key.password", config->ssl_key_password_file, ret_err);
    return result;
}

static int configure(const struct kafka *kafka, rd_kafka_conf_t *conf, struct err *ret_err) {
    const struct kafka_config access = {
        .brokers = kafka->texts[TEXT_BROKERS],
        .client_id = kafka->texts[TEXT_CLIENT_ID],
        .security_protocol = kafka->texts[TEXT_PROTOCOL],
        .sasl_mechanism = kafka->texts[TEXT_MECHANISM],
        .sasl_username = kafka->texts[TEXT_USERNAME],
        .sasl_password_file = kafka->texts[TEXT_PASSWORD_FILE],
        .ssl_ca_file = kafka->texts[TEXT_CA_FILE],
        .ssl_certificate_file = kafka->texts[TEXT_CERTIFICATE_FILE],
        .ssl_key_file = kafka->texts[TEXT_KEY_FILE],
        .ssl_key_password_file = kafka->texts[TEXT_KEY_PASSWORD_FILE],
    };
    char timeout[32];
    (void)snprintf(timeout, sizeof timeout, "%lld",
                   (long long)kafka->message_timeout_ms); /* fits */
    const char *const settings[][2] = {
        {"acks", "all"},
        {"enable.idempotence", "true"},
        {"message.timeout.ms", timeout},
        {"partitioner", "murmur2_random"}, /* as Kafka's own clients place keys */
        {"linger.ms", "0"},                /* an alert waits for nobody */
        {"socket.nagle.disable", "true"},
        {"reconnect.backoff.max.ms", "2000"},
        {"queue.buffering.max.messages", "4096"},
        {"queue.buffering.max.kbytes", "65536"},
        {"allow.auto.create.topics", "false"}, /* kafka_topics.h says why */
        {"log.queue", "true"},                 /* never to stderr */
        {"log_level", "3"},
    };
    int result = kafka_configure_access(conf, &access, ret_err);
    for (size_t i = 0; result == 0 && i < sizeof settings / sizeof settings[0]; i++)
        result = set(conf, settings[i][0], settings[i][1], ret_err);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    return result;
}

/* Called on librdkafka's threads. */
static void on_event(rd_kafka_t *producer, void *opaque) {
    struct kafka *kafka = opaque;
    (void)producer;
    kafka->wake(kafka->wake_user);
}

/* The library asks for the partitions of a topic that it meets late only once a second; the first
 * alert must not wait for that. Nor does it ask again sooner of one that was not made yet. */
static void prepare_topics(struct kafka *kafka) {
    static const enum kafka_topic used[] = {KAFKA_TOPIC_ALERT, KAFKA_TOPIC_ALERT_STATE,
                                            KAFKA_TOPIC_OBSERVATION, KAFKA_TOPIC_RUN,
                                            KAFKA_TOPIC_HEALTH};
    for (size_t i = 0; i < sizeof used / sizeof used[0] && kafka->topics.made; i++)
        if (!kafka->handles[used[i]]) /* still NULL afterwards: met late, then */
            kafka->handles[used[i]] =
                rd_kafka_topic_new(kafka->producer, kafka->topics.names[used[i]], NULL);
}

static int build(struct kafka *kafka, struct err *ret_err) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int result = configure(kafka, conf, ret_err);
    char text[KAFKA_TEXT_SIZE];
    rd_kafka_t *producer = NULL;
    if (result == 0 && !(producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text)))
        result = err_set(ret_err, ERR_INVALID, "kafka: %s", text);
    if (result != 0) {
        rd_kafka_conf_destroy(conf);
        return result;
    }
    kafka->producer = producer;
    kafka->queue = rd_kafka_queue_get_main(producer);
    (void)rd_kafka_set_log_queue(producer,
                                 NULL); /* to the main queue; cannot fail with log.queue */
    if (kafka->wake)
        rd_kafka_queue_cb_event_enable(kafka->queue, on_event, kafka);
    kafka->broken = false;
    kafka->ephemeral = 0;
    kafka->status.builds++;
    kafka_topics_attach(&kafka->topics, producer, kafka->queue);
    prepare_topics(kafka);
    return 0;
}

/* Lets go of the queue; the producer itself remains to be destroyed. */
static rd_kafka_t *detach(struct kafka *kafka) {
    rd_kafka_t *producer = kafka->producer;
    kafka_topics_attach(&kafka->topics, NULL, NULL);
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++) {
        if (kafka->handles[i])
            rd_kafka_topic_destroy(kafka->handles[i]);
        kafka->handles[i] = NULL;
    }
    if (kafka->event)
        rd_kafka_event_destroy(kafka->event);
    if (kafka->queue) {
        rd_kafka_queue_cb_event_enable(kafka->queue, NULL, NULL);
        rd_kafka_queue_destroy(kafka->queue);
    }
    kafka->event = NULL;
    kafka->queue = NULL;
    kafka->producer = NULL;
    return producer;
}

static void bury(rd_kafka_t *producer) {
    (void)rd_kafka_purge(producer,
                         RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                             RD_KAFKA_PURGE_F_NON_BLOCKING); /* cannot fail for a producer */
    rd_kafka_destroy(producer);
}

static void *undertaker(void *user) {
    struct kafka *kafka = user;
    bury(kafka->buried);
    atomic_store(&kafka->undertaker_done, true);
    return NULL;
}

static void note_error(struct kafka *kafka, const char *text) {
    kafka->status.errors++;
    (void)snprintf(kafka->status.last_error, sizeof kafka->status.last_error, "%.255s",
                   text ? text : "unknown");
}

int kafka_rebuild(struct kafka *kafka, struct err *ret_err) {
    if (kafka->undertaker_joinable) {
        if (!atomic_load(&kafka->undertaker_done))
            return err_set(ret_err, ERR_BUSY,
                           "kafka: the previous producer is still being removed");
        (void)pthread_join(kafka->undertaker, NULL); /* ours, joined once */
        kafka->undertaker_joinable = false;
    }
    if (kafka->producer) {
        kafka->status.ephemeral_lost += kafka->ephemeral;
        kafka->buried = detach(kafka);
        atomic_store(&kafka->undertaker_done, false);
        if (pthread_create(&kafka->undertaker, NULL, undertaker, kafka) == 0)
            kafka->undertaker_joinable = true;
        else
            bury(kafka->buried); /* no thread to be had: this may take a moment */
    }
    struct err err = {0};
    int result = build(kafka, &err);
    if (result != 0) {
        kafka->broken = true;
        kafka->status.connected = false;
        note_error(kafka, err.text);
        (void)err_set(ret_err, result, "%s", err.text);
    }
    return result;
}

static int copy_texts(struct kafka *kafka, const struct kafka_config *config) {
    const char *const texts[TEXT_COUNT] = {config->brokers,
                                           config->client_id ? config->client_id : "canhbaod",
                                           config->topic_prefix ? config->topic_prefix : "canhbao.",
                                           config->security_protocol,
                                           config->sasl_mechanism,
                                           config->sasl_username,
                                           config->sasl_password_file,
                                           config->ssl_ca_file,
                                           config->ssl_certificate_file,
                                           config->ssl_key_file,
                                           config->ssl_key_password_file};
    for (int i = 0; i < TEXT_COUNT; i++)
        if (texts[i] && !(kafka->texts[i] = strdup(texts[i])))
            return ERR_MEMORY;
    return 0;
}

int kafka_create(const struct kafka_config *config, void (*wake)(void *user), void *user,
                 struct kafka **ret_kafka, struct err *ret_err) {
    if (!config->brokers || !*config->brokers)
        return err_set(ret_err, ERR_INVALID, "kafka: no brokers given");
    struct kafka *kafka = calloc(1, sizeof *kafka);
    if (!kafka || copy_texts(kafka, config) != 0) {
        (void)kafka_destroy(kafka, 0); /* always NULL */
        return err_set(ret_err, ERR_MEMORY, "kafka: no memory");
    }
    kafka->wake = wake;
    kafka->wake_user = user;
    kafka->message_timeout_ms =
        config->message_timeout_ms > 0 ? config->message_timeout_ms : DEFAULT_TIMEOUT_MS;
    int result = kafka_topics_init(&kafka->topics, kafka->texts[TEXT_PREFIX], config->create_topics,
                                   config->commands, ret_err);
    if (result == 0)
        result = build(kafka, ret_err);
    if (result != 0) {
        (void)kafka_destroy(kafka, 0); /* always NULL */
        return result;
    }
    *ret_kafka = kafka;
    return 0;
}

static int64_t wire_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* rd_kafka_flush() would wait for reports that sit in our queue: take and drop them here. */
static void flush(struct kafka *kafka, int flush_ms) {
    int64_t end_ms = wire_ms() + flush_ms;
    int64_t left_ms = flush_ms;
    while (left_ms > 0 && rd_kafka_outq_len(kafka->producer) > 0) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(kafka->queue, (int)left_ms);
        if (event)
            rd_kafka_event_destroy(event);
        left_ms = end_ms - wire_ms();
    }
}

struct kafka *kafka_destroy(struct kafka *kafka, int flush_ms) {
    if (!kafka)
        return NULL;
    if (kafka->producer && !kafka->broken)
        flush(kafka, flush_ms);
    rd_kafka_t *producer = detach(kafka);
    if (producer)
        bury(producer);
    if (kafka->undertaker_joinable)
        (void)pthread_join(kafka->undertaker, NULL); /* ours, joined once */
    for (int i = 0; i < TEXT_COUNT; i++)
        free(kafka->texts[i]);
    free(kafka);
    return NULL;
}

const char *kafka_topic_name(const struct kafka *kafka, enum kafka_topic topic) {
    return kafka->topics.names[topic];
}

static rd_kafka_headers_t *make_headers(const struct kafka_message *message) {
    char time[32], sequence[32];
    text_format_time(message->time.us, time, sizeof time);
    (void)snprintf(sequence, sizeof sequence, "%020llu",
                   (unsigned long long)message->sequence); /* always fits */
    const char *type = message->topic == KAFKA_TOPIC_CAP ? "application/cap+xml"
                                                         : "application/json; charset=utf-8";
    const char *const headers[][2] = {
        {"ce_specversion", "1.0"},
        {"ce_id", message->id},
        {"ce_source", message->source},
        {"ce_type", message->type},
        {"ce_time", time},
        {"ce_sequence", message->sequence > 0 ? sequence : NULL},
        {"ce_exercise", message->exercise ? "true" : NULL},
        {"content-type", message->body ? type : NULL}, /* a tombstone has no content */
    };
    rd_kafka_headers_t *list = rd_kafka_headers_new(8);
    for (size_t i = 0; list && i < sizeof headers / sizeof headers[0]; i++)
        if (headers[i][1] && rd_kafka_header_add(list, headers[i][0], -1, headers[i][1], -1)) {
            rd_kafka_headers_destroy(list);
            return NULL;
        }
    return list;
}

static int produce(struct kafka *kafka, const struct kafka_message *message, uint64_t token) {
    if (kafka->broken)
        return ERR_CLOSED;
    if ((unsigned)message->topic >= KAFKA_TOPIC_COUNT || message->body_len > KAFKA_BODY_MAX)
        return ERR_LIMIT;
    rd_kafka_headers_t *headers = make_headers(message);
    if (!headers)
        return ERR_BUSY;
    rd_kafka_resp_err_t code = __extension__ rd_kafka_producev(
        kafka->producer, RD_KAFKA_V_TOPIC(kafka->topics.names[message->topic]),
        RD_KAFKA_V_KEY(message->key, strlen(message->key)),
        /* the library only reads it */
        RD_KAFKA_V_VALUE((void *)(uintptr_t)message->body, message->body_len),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE((void *)(uintptr_t)token), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    rd_kafka_headers_destroy(headers); /* not taken over on failure */
    if (rd_kafka_fatal_error(kafka->producer, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka->broken = true;
        return ERR_CLOSED;
    }
    return code == RD_KAFKA_RESP_ERR__QUEUE_FULL          ? ERR_BUSY
           : code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? ERR_LIMIT
                                                          : ERR_INVALID;
}

int kafka_send(struct kafka *kafka, const struct kafka_message *message, uint64_t token) {
    return produce(kafka, message, token);
}

int kafka_send_ephemeral(struct kafka *kafka, const struct kafka_message *message) {
    int result = kafka->ephemeral >= EPHEMERAL_MAX ? ERR_BUSY : produce(kafka, message, 0);
    if (result == 0) {
        kafka->ephemeral++;
        kafka->status.ephemeral_sent++;
    } else {
        kafka->status.ephemeral_lost++;
    }
    return result;
}

static bool is_missing(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

/* Which failures say that the message or topic is refused, and which that the producer (or its
 * connection) cannot be relied upon any more. */
static enum kafka_result judge(rd_kafka_resp_err_t code) {
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return KAFKA_DELIVERED;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return KAFKA_REFUSED;
    default:
        return KAFKA_LOST;
    }
}

/* One message of a delivery report; true when a report for the caller came out of it. */
static bool take_report(struct kafka *kafka, const rd_kafka_message_t *message,
                        struct kafka_report *ret_report) {
    enum kafka_result result = judge(message->err);
    if (result == KAFKA_DELIVERED) {
        kafka->status.connected = true;
        kafka->status.last_error[0] = 0;
    } else {
        note_error(kafka, rd_kafka_err2str(message->err));
        kafka->broken = kafka->broken || result == KAFKA_LOST;
        if (is_missing(message->err))
            kafka_topics_missed(&kafka->topics);
    }
    uint64_t token = (uint64_t)(uintptr_t)message->_private;
    if (token != 0) {
        *ret_report = (struct kafka_report){token, result};
        return true;
    }
    kafka->ephemeral -= kafka->ephemeral > 0;
    kafka->status.ephemeral_lost += result != KAFKA_DELIVERED;
    return false;
}

static void take_error(struct kafka *kafka, rd_kafka_event_t *event) {
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    char text[KAFKA_TEXT_SIZE];
    /* Asked of the producer itself: the event of a fatal error may carry the cause's code. */
    if (rd_kafka_fatal_error(kafka->producer, text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka->broken = true;
        note_error(kafka, text);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        kafka->status.connected = false;
    note_error(kafka, rd_kafka_event_error_string(event));
}

size_t kafka_poll(struct kafka *kafka, struct kafka_report *ret_reports, size_t max) {
    char trouble[KAFKA_TEXT_SIZE];
    size_t count = 0;
    for (int i = 0; i < EVENTS_MAX && count < max && kafka->queue; i++) {
        if (!kafka->event && !(kafka->event = rd_kafka_queue_poll(kafka->queue, 0)))
            break;
        if (rd_kafka_event_type(kafka->event) == RD_KAFKA_EVENT_DR) {
            const rd_kafka_message_t *message = NULL;
            while (count < max && (message = rd_kafka_event_message_next(kafka->event)))
                count += take_report(kafka, message, &ret_reports[count]);
            if (message)
                break; /* the event has more: next time */
        } else if (rd_kafka_event_type(kafka->event) == RD_KAFKA_EVENT_ERROR) {
            take_error(kafka, kafka->event);
        } else if (kafka_topics_take(&kafka->topics, kafka->event, trouble)) {
            prepare_topics(kafka);
            if (trouble[0])
                note_error(kafka, trouble);
        }
        rd_kafka_event_destroy(kafka->event);
        kafka->event = NULL;
    }
    return count;
}

bool kafka_is_broken(const struct kafka *kafka) {
    return kafka->broken;
}

void kafka_status(const struct kafka *kafka, struct kafka_status *ret_status) {
    *ret_status = kafka->status;
}

void kafka_tend_topics(struct kafka *kafka) {
    kafka_topics_tend(&kafka->topics);
}

const struct kafka_topic_look *kafka_topic_look(const struct kafka *kafka, enum kafka_topic topic) {
    return &kafka->topics.looks[topic];
}

void *kafka_test_handle(struct kafka *kafka) {
    return kafka->producer;
}
