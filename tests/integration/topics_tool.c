/* An administrator's few hands on a real broker, for test_topics.py, through librdkafka's admin
 * interface, and what a producer does that is in a hurry:
 *
 *   topics_tool BROKERS make TOPIC POLICY      makes it with cleanup.policy POLICY
 *   topics_tool BROKERS drop TOPIC             deletes it
 *   topics_tool BROKERS alter TOPIC POLICY     sets cleanup.policy
 *   topics_tool BROKERS policy TOPIC           prints cleanup.policy, or "missing"
 *   topics_tool BROKERS deny PREFIX OPERATION  nobody may create or describe_configs topics that
 *                                              begin with PREFIX; all else stays allowed
 *   topics_tool BROKERS hurry PREFIX COUNT     COUNT times: a producer on a prefix of its own that
 *                                              makes its topics sends a state in the same moment;
 *                                              prints cleanup.policy and milliseconds to the report
 *
 * Exit: 0 done, 1 refused or late, 2 usage. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alerts/kafka.h"
#include "daemon/base/text.h"

enum { ANSWER_MS = 60000, PAUSE_MS = 5 };

static rd_kafka_t *admin(const char *brokers) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text) !=
        RD_KAFKA_CONF_OK) {
        (void)fprintf(stderr, "topics_tool: %s\n", text);
        exit(2);
    }
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (client == NULL) {
        (void)fprintf(stderr, "topics_tool: %s\n", text);
        exit(2);
    }
    return client;
}

static int tell(const char *what, rd_kafka_resp_err_t code, const char *text) {
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)fprintf(stderr, "topics_tool: %s: %s\n", what, text != NULL ? text : "refused");
    }
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : 1;
}

/* The answer, or NULL with its fault told. */
static rd_kafka_event_t *await(rd_kafka_queue_t *queue, const char *what) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS);
    if (event == NULL) {
        (void)tell(what, RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer");
    } else if (tell(what, rd_kafka_event_error(event), rd_kafka_event_error_string(event)) != 0) {
        rd_kafka_event_destroy(event);
        event = NULL;
    }
    return event;
}

/* What CreateTopics and DeleteTopics answer. */
static int take_topic(rd_kafka_event_t *event, const rd_kafka_topic_result_t **results,
                      size_t count) {
    int result = event != NULL && count == 1 ? 0 : 1;
    if (result == 0) {
        result =
            tell(rd_kafka_topic_result_name(results[0]), rd_kafka_topic_result_error(results[0]),
                 rd_kafka_topic_result_error_string(results[0]));
    }
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    return result;
}

static int make(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *name, const char *policy) {
    char text[256];
    size_t count = 0;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, 1, 1, text, sizeof text);
    if (topic == NULL) {
        return tell(name, RD_KAFKA_RESP_ERR__INVALID_ARG, text);
    }
    (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", policy); /* a known name */
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_event_t *event = await(queue, "make");
    const rd_kafka_topic_result_t **results =
        event != NULL
            ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
            : NULL;
    return take_topic(event, results, count);
}

static int drop(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *name) {
    size_t count = 0;
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_DeleteTopics(client, &topic, 1, NULL, queue);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_event_t *event = await(queue, "drop");
    const rd_kafka_topic_result_t **results =
        event != NULL
            ? rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count)
            : NULL;
    return take_topic(event, results, count);
}

static int alter(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *name,
                 const char *policy) {
    size_t count = 0;
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    (void)rd_kafka_ConfigResource_set_config(resource, "cleanup.policy", policy); /* a known name */
    rd_kafka_AlterConfigs(client, &resource, 1, NULL, queue);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_event_t *event = await(queue, "alter");
    if (event == NULL) {
        return 1;
    }
    const rd_kafka_ConfigResource_t **results =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count);
    int result = count != 1 ? 1
                            : tell(name, rd_kafka_ConfigResource_error(results[0]),
                                   rd_kafka_ConfigResource_error_string(results[0]));
    rd_kafka_event_destroy(event);
    return result;
}

/* Prints what the broker says of the topic. */
static int policy(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *name) {
    size_t count = 0, entry_count = 0;
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    rd_kafka_DescribeConfigs(client, &resource, 1, NULL, queue);
    rd_kafka_ConfigResource_destroy(resource);
    rd_kafka_event_t *event = await(queue, "policy");
    if (event == NULL) {
        return 1;
    }
    const rd_kafka_ConfigResource_t **results = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    int result = 1;
    if (count == 1 &&
        rd_kafka_ConfigResource_error(results[0]) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        printf("missing\n");
        result = 0;
    } else if (count == 1) {
        result = tell(name, rd_kafka_ConfigResource_error(results[0]),
                      rd_kafka_ConfigResource_error_string(results[0]));
        const rd_kafka_ConfigEntry_t **entries =
            rd_kafka_ConfigResource_configs(results[0], &entry_count);
        for (size_t i = 0; i < entry_count; i++) {
            if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") == 0) {
                printf("%s\n", rd_kafka_ConfigEntry_value(entries[i]));
            }
        }
    }
    rd_kafka_event_destroy(event);
    return result;
}

static rd_kafka_AclBinding_t *rule(rd_kafka_ResourceType_t type, const char *name,
                                   rd_kafka_ResourcePatternType_t pattern,
                                   rd_kafka_AclOperation_t operation,
                                   rd_kafka_AclPermissionType_t permission) {
    char text[256];
    rd_kafka_AclBinding_t *acl = rd_kafka_AclBinding_new(type, name, pattern, "User:ANONYMOUS", "*",
                                                         operation, permission, text, sizeof text);
    if (acl == NULL) {
        (void)fprintf(stderr, "topics_tool: %s\n", text);
        exit(2);
    }
    return acl;
}

/* A resource with any rule is closed to whatever its rules do not allow; and who may create in the
 * cluster may create any topic. */
static int deny(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *prefix,
                const char *operation) {
    rd_kafka_AclOperation_t denied = strcmp(operation, "create") == 0
                                         ? RD_KAFKA_ACL_OPERATION_CREATE
                                         : RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS;
    rd_kafka_AclBinding_t *rules[] = {
        rule(RD_KAFKA_RESOURCE_BROKER, "kafka-cluster", RD_KAFKA_RESOURCE_PATTERN_LITERAL,
             RD_KAFKA_ACL_OPERATION_ALL, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW),
        rule(RD_KAFKA_RESOURCE_TOPIC, prefix, RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
             RD_KAFKA_ACL_OPERATION_ALL, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW),
        rule(RD_KAFKA_RESOURCE_TOPIC, prefix, RD_KAFKA_RESOURCE_PATTERN_PREFIXED, denied,
             RD_KAFKA_ACL_PERMISSION_TYPE_DENY),
        rule(RD_KAFKA_RESOURCE_BROKER, "kafka-cluster", RD_KAFKA_RESOURCE_PATTERN_LITERAL,
             RD_KAFKA_ACL_OPERATION_CREATE, RD_KAFKA_ACL_PERMISSION_TYPE_DENY),
    };
    size_t count = denied == RD_KAFKA_ACL_OPERATION_CREATE ? 4 : 3, answers = 0;
    rd_kafka_CreateAcls(client, rules, count, NULL, queue);
    rd_kafka_AclBinding_destroy_array(rules, sizeof rules / sizeof rules[0]);
    rd_kafka_event_t *event = await(queue, "deny");
    if (event == NULL) {
        return 1;
    }
    const rd_kafka_acl_result_t **results =
        rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(event), &answers);
    int result = answers == count ? 0 : 1;
    for (size_t i = 0; i < answers; i++) {
        const rd_kafka_error_t *error = rd_kafka_acl_result_error(results[i]);
        result |= tell("deny", rd_kafka_error_code(error), rd_kafka_error_string(error));
    }
    rd_kafka_event_destroy(event);
    return result;
}

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One producer, one state, one report; the topic's name for who looks at it afterwards. */
static int send_at_once(const char *brokers, const char *prefix, char ret_topic[256]) {
    struct kafka_config config = {
        .brokers = brokers, .topic_prefix = prefix, .create_topics = true};
    struct kafka_message message = {.topic = KAFKA_TOPIC_ALERT_STATE,
                                    .key = "place/rule",
                                    .id = "1",
                                    .type = "canhbao.alert-state.v1",
                                    .source = "/test",
                                    .sequence = 1,
                                    .body = "{}",
                                    .body_len = 2};
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
    struct kafka_report report;
    struct kafka *kafka = NULL;
    struct err err = {0};
    int64_t start_ms = now_ms();
    bool delivered = false;
    if (kafka_create(&config, NULL, NULL, &kafka, &err) != 0 ||
        kafka_send(kafka, &message, 1) != 0) {
        (void)fprintf(stderr, "topics_tool: %s\n", err.text);
        (void)kafka_destroy(kafka, 0);
        return 1;
    }
    (void)snprintf(ret_topic, 256, "%s", kafka_topic_name(kafka, KAFKA_TOPIC_ALERT_STATE));
    while (!delivered && now_ms() - start_ms < ANSWER_MS) {
        delivered = kafka_poll(kafka, &report, 1) == 1 && report.result == KAFKA_DELIVERED;
        (void)nanosleep(&pause, NULL);
    }
    printf("%lld ", (long long)(now_ms() - start_ms));
    (void)kafka_destroy(kafka, 0);
    return delivered ? 0 : 1;
}

static int hurry(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *brokers,
                 const char *prefix, const char *times) {
    int64_t count = 0;
    int result = text_parse_int(times, 1, 1000, &count) == 0 ? 0 : 2;
    for (int64_t i = 0; i < count && result == 0; i++) {
        char own[128], topic[256];
        (void)snprintf(own, sizeof own, "%.100s%lld.", prefix, (long long)i); /* fits */
        result = send_at_once(brokers, own, topic);
        result = result == 0 ? policy(client, queue, topic) : result;
    }
    return result;
}

int main(int argc, char **argv) {
    if (argc < 4 || argc > 5) {
        (void)fprintf(stderr, "usage: topics_tool BROKERS make|drop|alter|policy|deny|hurry ...\n");
        return 2;
    }
    rd_kafka_t *client = admin(argv[1]);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    const char *verb = argv[2];
    int result = 2;
    if (strcmp(verb, "make") == 0 && argc == 5) {
        result = make(client, queue, argv[3], argv[4]);
    } else if (strcmp(verb, "drop") == 0 && argc == 4) {
        result = drop(client, queue, argv[3]);
    } else if (strcmp(verb, "alter") == 0 && argc == 5) {
        result = alter(client, queue, argv[3], argv[4]);
    } else if (strcmp(verb, "policy") == 0 && argc == 4) {
        result = policy(client, queue, argv[3]);
    } else if (strcmp(verb, "deny") == 0 && argc == 5) {
        result = deny(client, queue, argv[3], argv[4]);
    } else if (strcmp(verb, "hurry") == 0 && argc == 5) {
        result = hurry(client, queue, argv[1], argv[3], argv[4]);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return result;
}
