/* The topics as consumers may rely on them (deploy/schemas/README.md): their names, their making
 * where the site asks for it, and a look at how the broker keeps what is in them.
 *
 * A topic that a client meets before it exists is made by many brokers with their defaults: of
 * alert-state only the newest days would remain, and a consumer that starts later would take the
 * rest for normal. So nothing is ever made by meeting it, and what was made by others is looked at.
 *
 * Works on the producer of kafka.h; requests are answered as events of its queue. Thread rule: that
 * of kafka.h. */
#ifndef CANHBAO_ALERTS_KAFKA_TOPICS_H
#define CANHBAO_ALERTS_KAFKA_TOPICS_H

#include <librdkafka/rdkafka.h>

#include "alerts/kafka.h"

struct kafka_topics {
    char names[KAFKA_TOPIC_COUNT][KAFKA_TOPIC_NAME_SIZE];
    struct kafka_topic_look looks[KAFKA_TOPIC_COUNT];
    unsigned misses[KAFKA_TOPIC_COUNT]; /* looks in a row that did not find it */
    rd_kafka_t *producer;               /* NULL: none now */
    rd_kafka_queue_t *queue;            /* its events */
    bool make;                          /* ask the broker to make what is missing */
    bool commands;                      /* the topics of commands and replies are used too */
    bool made;            /* nothing is left to make: it is there, or not ours to make */
    bool making, looking; /* a request waits for its answer */
};

/* ERR_RANGE: the prefix is too long. */
int kafka_topics_init(struct kafka_topics *topics, const char *prefix, bool make, bool commands,
                      struct err *ret_err);

/* Another producer, or none: whatever was asked of the previous one is never answered. */
void kafka_topics_attach(struct kafka_topics *topics, rd_kafka_t *producer,
                         rd_kafka_queue_t *queue);
/* Asks for what is to be done next: the making until it succeeded, a look otherwise. Nothing while
 * a request waits for its answer. Call it now and then. */
void kafka_topics_tend(struct kafka_topics *topics);
/* A message found its topic missing. */
void kafka_topics_missed(struct kafka_topics *topics);
/* False: the event is not one of ours. ret_trouble: the broker's words on why a topic could not be
 * made, or empty. */
bool kafka_topics_take(struct kafka_topics *topics, rd_kafka_event_t *event,
                       char ret_trouble[KAFKA_TEXT_SIZE]);

#endif
