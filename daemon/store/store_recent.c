#include "daemon/store/store_recent.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "daemon/store/store_db.h"

static const int64_t COUNTER_MASK = ((int64_t)1 << STORE_TOPIC_SHIFT) - 1;

void recent_init(struct recent *recent, const int64_t last[KAFKA_TOPIC_COUNT]) {
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++) {
        recent->last[i] = last[i];
        recent->before[i] = INT64_MAX;
    }
}

void recent_finish(struct recent *recent) {
    bytes_finish(&recent->records);
    free(recent->committed.rows);
    free(recent->written.rows);
    *recent = (struct recent){.committed.rows = NULL};
}

void recent_begin(struct recent *recent) {
    recent->written.count = 0;
    recent->written.incomplete = false;
}

void recent_add(struct recent *recent, int64_t row, size_t at) {
    struct recent_rows *written = &recent->written;
    if (written->count == written->capacity) {
        size_t capacity = written->capacity == 0 ? 256 : 2 * written->capacity;
        struct recent_row *rows = realloc(written->rows, capacity * sizeof *rows);
        written->incomplete = written->incomplete || rows == NULL;
        if (rows == NULL)
            return;
        written->rows = rows;
        written->capacity = capacity;
    }
    written->rows[written->count++] = (struct recent_row){.row = row, .at = at};
}

void recent_take(struct recent *recent, struct bytes *records, bool shed) {
    struct recent_rows written = recent->written;
    recent->written = recent->committed;
    recent->committed = written;
    struct bytes emptied = recent->records;
    recent->records = *records;
    *records = emptied;
    bytes_clear(records);
    bool usable = !written.incomplete && !shed;
    for (int i = 0; i < KAFKA_TOPIC_COUNT; i++)
        recent->before[i] = usable ? recent->last[i] : INT64_MAX;
    for (size_t i = 0; i < written.count; i++)
        recent->last[written.rows[i].row >> STORE_TOPIC_SHIFT] = written.rows[i].row;
    if (written.incomplete) /* its last row is not known: the file is asked for good */
        for (int i = 0; i < KAFKA_TOPIC_COUNT; i++)
            recent->last[i] = INT64_MAX;
    if (!usable)
        recent->committed.count = 0;
}

/* The first committed row whose counter is `counter` or higher. */
static size_t find_counter(const struct recent *recent, int64_t counter) {
    size_t low = 0, high = recent->committed.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((recent->committed.rows[middle].row & COUNTER_MASK) < counter)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool recent_list(const struct recent *recent, enum kafka_topic topic, int64_t after,
                 struct outbox_ref *ret_refs, size_t max, size_t *ret_count) {
    if (after < recent->before[topic])
        return false;
    size_t count = 0;
    bool none = after >= recent->last[topic];
    for (size_t i = find_counter(recent, (after & COUNTER_MASK) + 1);
         !none && i < recent->committed.count && count < max; i++) {
        const struct recent_row *row = &recent->committed.rows[i];
        struct kafka_message message;
        if (row->row >> STORE_TOPIC_SHIFT != (int64_t)topic)
            continue;
        store_record_message(&recent->records, row->at, &message);
        ret_refs[count].row = row->row;
        ret_refs[count++].key_hash = hash_spread(message.key);
    }
    *ret_count = count;
    return true;
}

bool recent_read(const struct recent *recent, int64_t row, struct kafka_message *ret_message) {
    size_t at = find_counter(recent, row & COUNTER_MASK);
    if (at == recent->committed.count || recent->committed.rows[at].row != row)
        return false;
    store_record_message(&recent->records, recent->committed.rows[at].at, ret_message);
    return true;
}
