/* The messages of the newest committed group, still in the bytes of the group: what is delivered at
 * once need not be looked up and read back from the file. Whatever is older, and all of it after a
 * start or after observations were shed, comes from the file. Inside of the store. */
#ifndef CANHBAO_DAEMON_STORE_STORE_RECENT_H
#define CANHBAO_DAEMON_STORE_STORE_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alerts/outbox.h"
#include "daemon/base/bytes.h"

/* An outbox row and where its record's fields begin in the group. */
struct recent_row {
    int64_t row;
    size_t at;
};

/* Rows in the order of their counters. */
struct recent_rows {
    struct recent_row *rows;
    size_t count, capacity;
    bool incomplete; /* no memory for one of them */
};

struct recent {
    struct bytes records;              /* the newest committed group */
    struct recent_rows committed;      /* its rows */
    struct recent_rows written;        /* those of the attempt that is being made */
    int64_t last[KAFKA_TOPIC_COUNT];   /* last committed row of each topic; 0: none */
    int64_t before[KAFKA_TOPIC_COUNT]; /* the same ahead of the newest group; INT64_MAX: unknown */
};

/* `last`: of the file that was opened. */
void recent_init(struct recent *recent, const int64_t last[KAFKA_TOPIC_COUNT]);
void recent_finish(struct recent *recent);

/* An attempt at a group begins; a row of it was written; the group was committed: its bytes are
 * taken over, and an empty buffer given for the next one. */
void recent_begin(struct recent *recent);
void recent_add(struct recent *recent, int64_t row, size_t at);
void recent_take(struct recent *recent, struct bytes *records, bool shed);

/* Rows of a topic behind `after`, as outbox_source.list; false: the file must be asked. */
bool recent_list(const struct recent *recent, enum kafka_topic topic, int64_t after,
                 struct outbox_ref *ret_refs, size_t max, size_t *ret_count);
/* False: not in the newest group. The pointers of the message hold until the next group. */
bool recent_read(const struct recent *recent, int64_t row, struct kafka_message *ret_message);

#endif
