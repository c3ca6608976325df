/* A log of messages as a daemon publishes them, for the conformance kit: the engine of the project
 * on a real site, fed with invented readings. Thread rule: per object. */
#ifndef CANHBAO_CONFORMANCE_CONSUMER_LOG_H
#define CANHBAO_CONFORMANCE_CONSUMER_LOG_H

#include "alerts/kafka.h"
#include "daemon/config/site.h"

enum { CONSUMER_ALARMS_MAX = 4096 };

/* Strings and body are the log's. */
struct consumer_message {
    struct kafka_message message;
    bool public_text;   /* CAP: status Actual and levels told */
    int64_t expires_us; /* CAP: of its info; else 0 */
    char sms[1024];     /* CAP: with diacritics */
};

struct consumer_log {
    struct consumer_message *messages;
    size_t count, room;
    int64_t from_us, to_us; /* of the messages' times */
};

/* `steps` rounds of readings, ten minutes apart. The first places are a drill's (status Exercise).
 * At the end some alarms vanish (tombstones). The same seed gives the same log. ERR_MEMORY, or what
 * the engine refuses. */
int consumer_log_make(const struct site *site, uint64_t seed, int steps,
                      struct consumer_log *ret_log, struct err *ret_err);
void consumer_log_finish(struct consumer_log *log);

/* 0 to n - 1. */
uint64_t consumer_random(uint64_t *state, uint64_t n);

#endif
