#include "alerts/kafka_topics.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *policy;       /* as deploy/schemas/README.md promises it */
    int partitions;           /* -1: the broker's default */
    const char *retention_ms; /* NULL: the broker's default */
} wanted[KAFKA_TOPIC_COUNT] = {
    [KAFKA_TOPIC_ALERT] = {"alert.v1", "delete", -1, NULL},
    [KAFKA_TOPIC_ALERT_STATE] = {"alert-state.v1", "compact", 1, NULL},
    [KAFKA_TOPIC_CAP] = {"cap.v1", "delete", -1, NULL},
    [KAFKA_TOPIC_OBSERVATION] = {"observation.v1", "delete", -1, NULL},
    [KAFKA_TOPIC_RUN] = {"run.v1", "delete", -1, NULL},
    [KAFKA_TOPIC_HEALTH] = {"health.v1", "compact", -1, NULL},
    [KAFKA_TOPIC_REPLY] = {"reply.v1", "delete", -1, "60000"},
    [KAFKA_TOPIC_COMMAND] = {"command.v1", "delete", -1, "60000"},
};

int kafka_topics_init(struct kafka_topics *topics, const char *prefix, bool make, bool commands,
                      struct err *ret_err) {
    *topics = (struct kafka_topics){.make = make, .commands = commands, .made = !make};
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++) {
        topics->looks[i].expected = wanted[i].policy;
        if (snprintf(topics->names[i], sizeof topics->names[i], "%s%s", prefix, wanted[i].name) >=
            (int)sizeof topics->names[i])
            return err_set(ret_err, ERR_RANGE, "kafka: the topic prefix is too long");
    }
    return 0;
}

static bool is_used(const struct kafka_topics *topics, int topic) {
    return topics->commands || (topic != KAFKA_TOPIC_REPLY && topic != KAFKA_TOPIC_COMMAND);
}

static void request_making(struct kafka_topics *topics) {
    rd_kafka_NewTopic_t *list[KAFKA_TOPIC_COUNT];
    char text[KAFKA_TEXT_SIZE];
    size_t count = 0;
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++) {
        if (!is_used(topics, i))
            continue;
        rd_kafka_NewTopic_t *topic =
            rd_kafka_NewTopic_new(topics->names[i], wanted[i].partitions, -1, text, sizeof text);
        if (!topic)
            continue; /* the look says that it is missing */
        (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy",
                                           wanted[i].policy); /* a known name */
        if (wanted[i].retention_ms)
            (void)rd_kafka_NewTopic_set_config(topic, "retention.ms",
                                               wanted[i].retention_ms); /* as well */
        list[count++] = topic;
    }
    rd_kafka_CreateTopics(topics->producer, list, count, NULL, topics->queue);
    rd_kafka_NewTopic_destroy_array(list, count);
    topics->making = true;
}

static void request_look(struct kafka_topics *topics) {
    rd_kafka_ConfigResource_t *list[KAFKA_TOPIC_COUNT];
    size_t count = 0;
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++)
        if (is_used(topics, i))
            list[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics->names[i]);
    rd_kafka_DescribeConfigs(topics->producer, list, count, NULL, topics->queue);
    rd_kafka_ConfigResource_destroy_array(list, count);
    topics->looking = true;
}

void kafka_topics_attach(struct kafka_topics *topics, rd_kafka_t *producer,
                         rd_kafka_queue_t *queue) {
    topics->producer = producer;
    topics->queue = queue;
    topics->making = topics->looking = false;
    topics->made = !topics->make;
    kafka_topics_tend(topics);
}

void kafka_topics_tend(struct kafka_topics *topics) {
    if (!topics->producer || topics->making || topics->looking)
        return;
    if (topics->made)
        request_look(topics);
    else
        request_making(topics);
}

void kafka_topics_missed(struct kafka_topics *topics) {
    topics->made = !topics->make;
    kafka_topics_tend(topics);
}

/* ---- answers ---- */

static bool is_denied(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

/* A topic that may not be made here may well be there: the look tells. A request that found no
 * broker, or one that cannot make the topic yet (too few brokers are up), is made again. */
static void take_making(struct kafka_topics *topics, rd_kafka_event_t *event,
                        char ret_trouble[KAFKA_TEXT_SIZE]) {
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    size_t count = 0;
    const rd_kafka_topic_result_t **list =
        result ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;
    topics->making = false;
    topics->made = code == RD_KAFKA_RESP_ERR_NO_ERROR || is_denied(code) ||
                   code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE;
    if (!topics->made)
        (void)snprintf(ret_trouble, KAFKA_TEXT_SIZE, "%.250s", rd_kafka_event_error_string(event));
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t refused = rd_kafka_topic_result_error(list[i]);
        if (refused == RD_KAFKA_RESP_ERR_NO_ERROR ||
            refused == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            continue;
        topics->made = topics->made && is_denied(refused);
        (void)snprintf(ret_trouble, KAFKA_TEXT_SIZE, "%.120s: %.120s",
                       rd_kafka_topic_result_name(list[i]),
                       rd_kafka_topic_result_error_string(list[i]));
    }
    if (topics->made || count > 0)
        request_look(topics); /* also when some could not be made */
}

static const char *policy_of(const rd_kafka_ConfigResource_t *resource) {
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    return NULL;
}

/* A topic that was just made is not known to every broker yet: missing is what is missing twice. */
static void take_resource(const rd_kafka_ConfigResource_t *resource, struct kafka_topic_look *look,
                          unsigned *misses) {
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resource);
    const char *found = NULL;
    unsigned missed = *misses;
    *misses = 0;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && (found = policy_of(resource)) != NULL) {
        look->state =
            strcmp(found, look->expected) == 0 ? KAFKA_LOOK_AS_EXPECTED : KAFKA_LOOK_OTHERWISE;
    } else if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        *misses = missed + 1;
        if (missed == 0)
            return;
        look->state = KAFKA_LOOK_MISSING;
    } else if (is_denied(code)) {
        look->state = KAFKA_LOOK_DENIED;
        found = rd_kafka_ConfigResource_error_string(resource);
    } else {
        return; /* no answer about the topic: what was known stays */
    }
    (void)snprintf(look->found, sizeof look->found, "%.80s", found ? found : "");
}

static void take_look(struct kafka_topics *topics, rd_kafka_event_t *event) {
    const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
    size_t count = 0;
    const rd_kafka_ConfigResource_t **list =
        result ? rd_kafka_DescribeConfigs_result_resources(result, &count) : NULL;
    topics->looking = false;
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < KAFKA_TOPIC_COUNT; j++)
            if (strcmp(rd_kafka_ConfigResource_name(list[i]), topics->names[j]) == 0)
                take_resource(list[i], &topics->looks[j], &topics->misses[j]);
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++)
        if (topics->make && topics->misses[i] > 0)
            topics->made = false;
}

bool kafka_topics_take(struct kafka_topics *topics, rd_kafka_event_t *event,
                       char ret_trouble[KAFKA_TEXT_SIZE]) {
    bool look = rd_kafka_event_type(event) == RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT;
    ret_trouble[0] = 0;
    if (!look && rd_kafka_event_type(event) != RD_KAFKA_EVENT_CREATETOPICS_RESULT)
        return false;
    if (look)
        take_look(topics, event);
    else
        take_making(topics, event, ret_trouble);
    return true;
}
