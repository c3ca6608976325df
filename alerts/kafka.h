/* A Kafka producer that survives its library: librdkafka with acks=all and idempotence, used
 * through its event queue (no callback ever runs in the caller's code except `wake`).
 *
 * Messages follow the CloudEvents 1.0 Kafka protocol binding, binary content mode (section 3.2):
 * the attributes travel as headers ce_specversion, ce_id, ce_source, ce_type, ce_time, ce_sequence
 * (CloudEvents "sequence" extension) and content-type; ce_exercise=true marks drills.
 *
 * librdkafka 2.0.2 can end in a fatal state after a cut connection followed by a rejection (fixed
 * upstream in 2.3.0): kafka_is_broken() tells, kafka_rebuild() replaces the producer. Destroying
 * one may wait for name resolution, so it happens on a thread of its own, one at a time.
 *
 * Nothing here needs a broker to be reachable. Thread rule: one thread; `wake` is called from
 * librdkafka's threads and must be safe for that. */
#ifndef CANHBAO_ALERTS_KAFKA_H
#define CANHBAO_ALERTS_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"

/* Stored in files: never renumber. */
enum kafka_topic {
    KAFKA_TOPIC_ALERT = 0,       /* key: place. One event per transition */
    KAFKA_TOPIC_ALERT_STATE = 1, /* key: place/rule. Complete current record, compacted */
    KAFKA_TOPIC_CAP = 2,         /* key: incident. CAP 1.2 XML */
    KAFKA_TOPIC_OBSERVATION = 3, /* key: station. Readings of one reply */
    KAFKA_TOPIC_RUN = 4,         /* key: model. Run manifests */
    KAFKA_TOPIC_HEALTH = 5,      /* key: node. Heartbeat */
    KAFKA_TOPIC_REPLY = 6,       /* key: that of the command. What became of it */
    KAFKA_TOPIC_COMMAND = 7,     /* read, never written: kafka_commands.h */
    KAFKA_TOPIC_COUNT
};

enum {
    KAFKA_KEY_MAX = 255,         /* bytes */
    KAFKA_ID_MAX = 127,          /* bytes of id, type and source */
    KAFKA_BODY_MAX = 900 * 1024, /* bytes: below the broker's default message.max.bytes */
    KAFKA_TEXT_SIZE = 256,
    KAFKA_TOPIC_NAME_SIZE = 128
};

/* Borrowed pointers; strings are UTF-8. */
struct kafka_message {
    enum kafka_topic topic;
    const char *key;
    const char *id;     /* ce_id: the same for every delivery of the same message */
    const char *type;   /* ce_type */
    const char *source; /* ce_source: which node made it */
    struct utc_us time; /* ce_time: when it happened, in the daemon's (scenario) time */
    uint64_t sequence;  /* ce_sequence: revision of the record, transition number; 0: no header */
    bool exercise;      /* ce_exercise */
    const void *body;   /* NULL: tombstone, "this key no longer exists" */
    size_t body_len;
};

/* Strings are copied. Secrets come as names of files that hold nothing else (a final line break is
 * cut); they are read at every (re)build and never logged. NULL: not used. */
struct kafka_config {
    const char *brokers;           /* "host:port,host:port" */
    const char *client_id;         /* NULL: "canhbaod" */
    const char *topic_prefix;      /* NULL: "canhbao." */
    const char *security_protocol; /* NULL: "plaintext"; ssl, sasl_plaintext, sasl_ssl */
    const char *sasl_mechanism;    /* PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 */
    const char *sasl_username;
    const char *sasl_password_file;
    const char *ssl_ca_file;
    const char *ssl_certificate_file;
    const char *ssl_key_file;
    const char *ssl_key_password_file;
    int64_t
        message_timeout_ms; /* 0: 300000. A row is tried again afterwards, with a new producer */
    /* Ask the broker to make missing topics (alert-state: compacted, one partition; health:
     * compacted; the others not; the rest and the replication by the broker's defaults). Demos and
     * small sites: a cluster's administrator makes them beforehand (deploy/schemas/README.md).
     * Nothing makes them by the way: what is sent to a missing topic is refused. */
    bool create_topics;
    bool commands; /* the topics of commands and replies are used, and made with the others */
};

enum kafka_result {
    KAFKA_DELIVERED,
    KAFKA_REFUSED, /* this message or topic: others may pass; worth another try later */
    KAFKA_LOST     /* producer broken, purged or timed out: rebuild, then send again */
};

struct kafka_report {
    uint64_t token;
    enum kafka_result result;
};

struct kafka_status {
    bool connected;                   /* a broker was reachable at the last sign of life */
    uint64_t builds;                  /* producers made, the first included */
    uint64_t ephemeral_sent;          /* handed over */
    uint64_t ephemeral_lost;          /* not accepted or not delivered */
    uint64_t errors;                  /* of librdkafka, all kinds */
    char last_error[KAFKA_TEXT_SIZE]; /* the newest of them, empty when none since the last delivery
                                       */
};

/* What the newest look at a topic found. */
enum kafka_look {
    KAFKA_LOOK_NONE, /* no answer yet, or the broker does not know the question */
    KAFKA_LOOK_AS_EXPECTED,
    KAFKA_LOOK_OTHERWISE, /* its records are kept otherwise: consumers lose what they rely on */
    KAFKA_LOOK_MISSING,
    KAFKA_LOOK_DENIED /* the broker does not let us see: it may be either */
};

struct kafka_topic_look {
    enum kafka_look state;
    const char *expected; /* cleanup.policy; a literal */
    char found[96];       /* OTHERWISE: cleanup.policy; DENIED: the broker's words */
};

struct kafka;

/* ERR_INVALID: a setting librdkafka refuses (told in ret_err); ERR_IO: a secret's file. */
int kafka_create(const struct kafka_config *config, void (*wake)(void *user), void *user,
                 struct kafka **ret_kafka, struct err *ret_err);
/* Gives messages in flight up to flush_ms to reach the broker. Their reports are told to nobody:
 * the rows stay unmarked and are sent again, with the same ids, by the next process. */
struct kafka *kafka_destroy(struct kafka *kafka, int flush_ms);

/* "canhbao.alert.v1" with the configured prefix. */
const char *kafka_topic_name(const struct kafka *kafka, enum kafka_topic topic);

/* Copies the message into the producer's queue; a kafka_report with this token (not 0) will come
 * unless the producer is rebuilt. ERR_BUSY: queue full, try later. ERR_CLOSED: broken. ERR_LIMIT:
 * larger than KAFKA_BODY_MAX or another bound. */
int kafka_send(struct kafka *kafka, const struct kafka_message *message, uint64_t token);

/* The same without report: a heartbeat that may be dropped. At most 8 wait at a time. */
int kafka_send_ephemeral(struct kafka *kafka, const struct kafka_message *message);

/* Takes up to `max` reports from the library, without waiting. Returns their number. */
size_t kafka_poll(struct kafka *kafka, struct kafka_report *ret_reports, size_t max);

bool kafka_is_broken(const struct kafka *kafka);
/* Drops the producer with everything in it and makes a new one: no report comes for what was in
 * flight. ERR_BUSY: the previous one is still being destroyed, try later. */
int kafka_rebuild(struct kafka *kafka, struct err *ret_err);

void kafka_status(const struct kafka *kafka, struct kafka_status *ret_status);

/* Makes what could not be made before and looks at the topics anew; the answers come with
 * kafka_poll(). Call it every some seconds. */
void kafka_tend_topics(struct kafka *kafka);
const struct kafka_topic_look *kafka_topic_look(const struct kafka *kafka, enum kafka_topic topic);

/* Puts what a connection needs (brokers, name, security, secrets) into a rd_kafka_conf_t, for
 * other clients of the same cluster. ERR_INVALID, ERR_IO. */
int kafka_configure_access(void *conf, const struct kafka_config *config, struct err *ret_err);

/* Tests only: librdkafka's handle, for its error injection. */
void *kafka_test_handle(struct kafka *kafka);

#endif
