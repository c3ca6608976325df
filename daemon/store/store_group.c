/* The group: records in memory, written in one transaction by store_commit(). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "daemon/store/store_db.h"

/* A record is its kind and its fields. A text is its length (u32), its bytes and a zero; a body the
 * same, or NO_BODY alone. */
enum record_kind {
    RECORD_READING,
    RECORD_EVENT,
    RECORD_OUTBOX,
    RECORD_ALARM_STATE,
    RECORD_AUDIT,
    RECORD_META,
    RECORD_DELIVERED,
    RECORD_SKILL,
    RECORD_KIND_COUNT
};

static const uint32_t NO_BODY = UINT32_MAX;

enum {
    NAME_MAX_BYTES = KAFKA_KEY_MAX, /* of places, rules, actors, kinds */
    TEXT_MAX_BYTES = 4096,          /* of an audit entry */
    CHUNK_BYTES = 256 * 1024,       /* of journal in one row, so that reading back stays small */
    SHED_ROWS_MAX = 5000,           /* observations shed in one commit */
    SHED_ROUNDS_MAX = 64            /* attempts to make room for one group */
};

/* What a transaction changes in the counters, applied when it succeeded. */
struct change {
    int64_t outbox_rows;
    int64_t observation_rows;
    uint64_t observations_shed;
    uint64_t readings_skipped;
    bool conflict;
    char conflict_id[KAFKA_ID_MAX + 1];
};

/* ---- filling ---- */

static void put_body(struct bytes *records, const void *body, size_t length) {
    static const unsigned char end = 0;
    if (!body) {
        bytes_put_u32(records, NO_BODY);
        return;
    }
    bytes_put_u32(records, (uint32_t)length);
    bytes_put(records, body, length);
    bytes_put(records, &end, 1);
}

static void put_text(struct bytes *records, const char *text) {
    put_body(records, text, strlen(text));
}

static bool is_name(const char *text, size_t max) {
    return text && strnlen(text, max + 1) <= max;
}

/* Room for `length` bytes of fields and a record's own bytes. */
static int make_room(const struct store *store, size_t length) {
    size_t used = store->records.length + store->journal.length;
    return length + used + 256 > store->config.group_bytes ? ERR_LIMIT : 0;
}

/* What a decision brings about has as much room again: the input that caused it is in the group
 * already, and must not be there without its event. */
static int make_room_for_decision(const struct store *store, size_t length) {
    size_t used = store->records.length + store->journal.length;
    return length + used + 256 > 2 * store->config.group_bytes ? ERR_LIMIT : 0;
}

/* Out of memory in the middle of a record takes the record back. */
static int seal(struct store *store, size_t start) {
    if (store->records.error != 0) {
        store->records.length = start;
        store->records.error = 0;
        return ERR_MEMORY;
    }
    store->group_records++;
    return 0;
}

int store_append_journal(struct store *store, uint64_t number, struct moment now, const void *bytes,
                         size_t length) {
    if (length > CHUNK_BYTES)
        return ERR_RANGE;
    if (number != store->journal_last + 1)
        return ERR_INVALID;
    int result = make_room(store, length);
    if (result != 0)
        return result;
    size_t start = store->journal.length;
    bytes_put_u64(&store->journal, number);
    bytes_put_i64(&store->journal, now.mono.us);
    bytes_put_i64(&store->journal, now.utc.us);
    bytes_put_u32(&store->journal, (uint32_t)length);
    bytes_put(&store->journal, bytes, length);
    if (store->journal.error != 0) {
        store->journal.length = start;
        store->journal.error = 0;
        return ERR_MEMORY;
    }
    store->journal_last = number;
    store->group_records++;
    return 0;
}

bool store_journal_next(struct bytes_reader *reader, uint64_t *ret_number, struct moment *ret_now,
                        const void **ret_bytes, size_t *ret_length) {
    if (reader->failed || bytes_left(reader) == 0)
        return false;
    uint64_t number = bytes_get_u64(reader);
    int64_t mono_us = bytes_get_i64(reader);
    int64_t utc_us = bytes_get_i64(reader);
    size_t length = bytes_get_u32(reader);
    if (reader->failed || length > bytes_left(reader)) {
        reader->failed = true;
        return false;
    }
    *ret_number = number;
    ret_now->mono.us = mono_us;
    ret_now->utc.us = utc_us;
    *ret_bytes = reader->data + reader->at;
    *ret_length = length;
    reader->at += length;
    return true;
}

int store_append_reading(struct store *store, int64_t handle, const struct reading *reading) {
    if (store->refuse_readings || (store->status.conditions & STORE_WRITE_FAILED)) {
        store->status.readings_shed++;
        store->status.conditions |= STORE_READINGS_SHED;
        return ERR_BUSY;
    }
    if (handle <= 0 || reading->raw_len > READING_RAW_MAX || reading->seq > INT64_MAX)
        return ERR_RANGE;
    int result = make_room(store, sizeof *reading);
    if (result != 0)
        return result;
    size_t start = store->records.length;
    bytes_put_u8(&store->records, RECORD_READING);
    bytes_put_i64(&store->records, handle);
    bytes_put(&store->records, reading, sizeof *reading);
    return seal(store, start);
}

static int append_message(struct store *store, enum record_kind kind,
                          const struct kafka_message *message, const char *place,
                          const char *rule) {
    if ((unsigned)message->topic >= KAFKA_TOPIC_COUNT || message->body_len > KAFKA_BODY_MAX ||
        !is_name(message->key, KAFKA_KEY_MAX) || !is_name(message->id, KAFKA_ID_MAX) ||
        !is_name(message->type, KAFKA_ID_MAX) || !is_name(message->source, KAFKA_ID_MAX) ||
        !is_name(place, NAME_MAX_BYTES) || !is_name(rule, NAME_MAX_BYTES) ||
        message->sequence > INT64_MAX)
        return ERR_RANGE;
    size_t length = message->body_len + 6 * (size_t)NAME_MAX_BYTES;
    int result = message->topic == KAFKA_TOPIC_OBSERVATION ? make_room(store, length)
                                                           : make_room_for_decision(store, length);
    if (result != 0)
        return result;
    struct bytes *records = &store->records;
    size_t start = records->length;
    bytes_put_u8(records, (uint8_t)kind);
    bytes_put_u8(records, (uint8_t)message->topic);
    put_text(records, message->key);
    put_text(records, message->id);
    put_text(records, message->type);
    put_text(records, message->source);
    bytes_put_i64(records, message->time.us);
    bytes_put_u64(records, message->sequence);
    bytes_put_u8(records, message->exercise);
    put_body(records, message->body, message->body_len);
    put_text(records, place);
    put_text(records, rule);
    return seal(store, start);
}

int store_append_event(struct store *store, const struct kafka_message *message, const char *place,
                       const char *rule) {
    return append_message(store, RECORD_EVENT, message, place, rule);
}

int store_append_outbox(struct store *store, const struct kafka_message *message) {
    return append_message(store, RECORD_OUTBOX, message, "", "");
}

int store_put_alarm_state(struct store *store, const char *place, const char *rule,
                          uint64_t revision, const void *body, size_t length) {
    if (!is_name(place, NAME_MAX_BYTES) || !is_name(rule, NAME_MAX_BYTES) ||
        length > KAFKA_BODY_MAX || revision > INT64_MAX)
        return ERR_RANGE;
    int result = make_room_for_decision(store, length + 2 * (size_t)NAME_MAX_BYTES);
    if (result != 0)
        return result;
    size_t start = store->records.length;
    bytes_put_u8(&store->records, RECORD_ALARM_STATE);
    put_text(&store->records, place);
    put_text(&store->records, rule);
    bytes_put_u64(&store->records, revision);
    put_body(&store->records, body, length);
    return seal(store, start);
}

int store_append_audit(struct store *store, struct utc_us time, const char *actor, const char *kind,
                       const char *text) {
    if (!is_name(actor, NAME_MAX_BYTES) || !is_name(kind, NAME_MAX_BYTES) ||
        !is_name(text, TEXT_MAX_BYTES))
        return ERR_RANGE;
    int result = make_room(store, TEXT_MAX_BYTES + 2 * (size_t)NAME_MAX_BYTES);
    if (result != 0)
        return result;
    size_t start = store->records.length;
    bytes_put_u8(&store->records, RECORD_AUDIT);
    bytes_put_i64(&store->records, time.us);
    put_text(&store->records, actor);
    put_text(&store->records, kind);
    put_text(&store->records, text);
    return seal(store, start);
}

int store_put_meta(struct store *store, const char *key, const void *bytes, size_t length) {
    if (!is_name(key, STORE_META_KEY_MAX) || !bytes || length > KAFKA_BODY_MAX)
        return ERR_RANGE;
    int result = make_room(store, length + STORE_META_KEY_MAX);
    if (result != 0)
        return result;
    size_t start = store->records.length;
    bytes_put_u8(&store->records, RECORD_META);
    put_text(&store->records, key);
    put_body(&store->records, bytes, length);
    return seal(store, start);
}

int store_append_skill(struct store *store, const struct skill_score *score) {
    for (int i = 0; i < SKILL_SUM_COUNT; i++)
        if (!isfinite(score->skill.sums[i]))
            return ERR_INVALID;
    int result = make_room(store, sizeof *score);
    if (result != 0)
        return result;
    size_t start = store->records.length;
    bytes_put_u8(&store->records, RECORD_SKILL);
    bytes_put(&store->records, score, sizeof *score);
    return seal(store, start);
}

int store_append_delivered(struct store *store, const int64_t *rows, size_t count) {
    int result = make_room(store, count * sizeof *rows);
    if (result != 0)
        return result;
    size_t start = store->records.length;
    bytes_put_u8(&store->records, RECORD_DELIVERED);
    bytes_put_u32(&store->records, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        bytes_put_i64(&store->records, rows[i]);
    return seal(store, start);
}

/* ---- writing ---- */

/* The bytes stay in the group until the transaction ended. */
static const void *get_body(struct bytes_reader *reader, size_t *ret_length) {
    uint32_t length = bytes_get_u32(reader);
    *ret_length = 0;
    if (length == NO_BODY)
        return NULL;
    const void *body = reader->data + reader->at;
    reader->at += (size_t)length + 1;
    *ret_length = length;
    return body;
}

static void bind_text(sqlite3_stmt *statement, int column, struct bytes_reader *reader) {
    size_t length = 0;
    const char *text = get_body(reader, &length);
    (void)sqlite3_bind_text(statement, column, text, (int)length, SQLITE_STATIC); /* in range */
}

static void bind_body(sqlite3_stmt *statement, int column, const void *body, size_t length) {
    if (body)
        (void)sqlite3_bind_blob(statement, column, length ? body : "", (int)length, SQLITE_STATIC);
}

static int write_reading(struct store *store, struct bytes_reader *reader, bool history,
                         struct change *change) {
    int64_t handle = bytes_get_i64(reader);
    struct reading reading;
    bytes_get(reader, &reading, sizeof reading);
    if (!history) {
        change->readings_skipped++;
        return SQLITE_DONE;
    }
    sqlite3_stmt *s = store_statement(store, STATEMENT_READING);
    (void)sqlite3_bind_int64(s, 1, handle);
    (void)sqlite3_bind_int64(s, 2, reading.received.utc.us);
    (void)sqlite3_bind_int64(s, 3, (int64_t)reading.seq);
    (void)sqlite3_bind_int(s, 4, (int)reading.status);
    (void)sqlite3_bind_int(s, 5, reading.exception);
    bind_body(s, 6, reading.raw, reading.raw_len);
    if (!isnan(reading.value))
        (void)sqlite3_bind_double(s, 7, reading.value);
    (void)sqlite3_bind_int64(s, 8, reading.round_trip_us);
    (void)sqlite3_bind_int(s, 9, (int)reading.flag);
    (void)sqlite3_bind_int(s, 10, reading.suspect_tests);
    (void)sqlite3_bind_int(s, 11, reading.fail_tests);
    (void)sqlite3_bind_int64(s, 12, reading.quality_revision);
    return store_run(s);
}

/* Binds the fields that events and the outbox share, the first (`key`) at column 2. */
static enum kafka_topic bind_message(sqlite3_stmt *s, struct bytes_reader *reader,
                                     const void **ret_body, size_t *ret_length) {
    enum kafka_topic topic = (enum kafka_topic)bytes_get_u8(reader);
    for (int column = 2; column <= 5; column++)
        bind_text(s, column, reader);
    (void)sqlite3_bind_int64(s, 6, bytes_get_i64(reader));
    (void)sqlite3_bind_int64(s, 7, (int64_t)bytes_get_u64(reader));
    (void)sqlite3_bind_int(s, 8, bytes_get_u8(reader));
    *ret_body = get_body(reader, ret_length);
    bind_body(s, 9, *ret_body, *ret_length);
    return topic;
}

void store_record_message(const struct bytes *records, size_t at,
                          struct kafka_message *ret_message) {
    struct bytes_reader reader;
    size_t length = 0;
    bytes_read_init(&reader, records->data, records->length);
    reader.at = at;
    struct kafka_message message = {.topic = (enum kafka_topic)bytes_get_u8(&reader)};
    message.key = get_body(&reader, &length);
    message.id = get_body(&reader, &length);
    message.type = get_body(&reader, &length);
    message.source = get_body(&reader, &length);
    message.time.us = bytes_get_i64(&reader);
    message.sequence = bytes_get_u64(&reader);
    message.exercise = bytes_get_u8(&reader) != 0;
    message.body = get_body(&reader, &message.body_len);
    *ret_message = message;
}

static int write_outbox(struct store *store, struct bytes_reader *reader, bool history,
                        struct change *change) {
    const void *body = NULL;
    size_t length = 0, at = reader->at;
    sqlite3_stmt *s = store_statement(store, STATEMENT_OUTBOX);
    enum kafka_topic topic = bind_message(s, reader, &body, &length);
    (void)get_body(reader, &length); /* place and rule: of events only */
    (void)get_body(reader, &length);
    if (topic == KAFKA_TOPIC_OBSERVATION && !history) {
        change->observations_shed++;
        return SQLITE_DONE;
    }
    int64_t row = store_topic_first(topic) + store->outbox_next++;
    (void)sqlite3_bind_int64(s, 1, row);
    int code = store_run(s);
    recent_add(&store->recent, row, at);
    change->outbox_rows++;
    change->observation_rows += topic == KAFKA_TOPIC_OBSERVATION;
    return code;
}

/* An id that is already there must stand for the same bytes. */
static int compare_event(struct store *store, const char *id, const void *body, size_t length,
                         struct change *change) {
    sqlite3_stmt *s = store_statement(store, STATEMENT_EVENT_BODY);
    (void)sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        const void *old = sqlite3_column_blob(s, 0);
        size_t old_length = (size_t)sqlite3_column_bytes(s, 0);
        bool same = old_length == length && (length == 0 || memcmp(old, body, length) == 0);
        if (!same) {
            change->conflict = true;
            (void)snprintf(change->conflict_id, sizeof change->conflict_id, "%s", id); /* fits */
        }
        code = SQLITE_DONE;
    }
    (void)sqlite3_reset(s); /* the code was taken from the step */
    return code;
}

static int write_event(struct store *store, struct bytes_reader *reader, struct change *change) {
    struct bytes_reader again = *reader;
    const void *body = NULL;
    size_t length = 0, ignored = 0;
    sqlite3_stmt *s = store_statement(store, STATEMENT_EVENT);
    enum kafka_topic topic = bind_message(s, reader, &body, &length);
    (void)sqlite3_bind_int(s, 1, (int)topic);
    bind_text(s, 10, reader);
    bind_text(s, 11, reader);
    int code = store_run(s);
    if (code != SQLITE_DONE)
        return code;
    if (sqlite3_changes(store->db) == 1)
        return write_outbox(store, &again, true, change);
    (void)bytes_get_u8(&again);
    (void)get_body(&again, &ignored);
    return compare_event(store, get_body(&again, &ignored), body, length, change);
}

static int write_alarm_state(struct store *store, struct bytes_reader *reader) {
    struct bytes_reader again = *reader;
    sqlite3_stmt *s = store_statement(store, STATEMENT_ALARM_STATE);
    bind_text(s, 1, reader);
    bind_text(s, 2, reader);
    (void)sqlite3_bind_int64(s, 3, (int64_t)bytes_get_u64(reader));
    size_t length = 0;
    const void *body = get_body(reader, &length);
    if (!body) {
        s = store_statement(store, STATEMENT_ALARM_STATE_REMOVE);
        bind_text(s, 1, &again);
        bind_text(s, 2, &again);
    }
    bind_body(s, 4, body, length);
    return store_run(s);
}

static int write_audit(struct store *store, struct bytes_reader *reader) {
    sqlite3_stmt *s = store_statement(store, STATEMENT_AUDIT);
    (void)sqlite3_bind_int64(s, 1, bytes_get_i64(reader));
    for (int column = 2; column <= 4; column++)
        bind_text(s, column, reader);
    return store_run(s);
}

static int write_meta(struct store *store, struct bytes_reader *reader) {
    sqlite3_stmt *s = store_statement(store, STATEMENT_META);
    bind_text(s, 1, reader);
    size_t length = 0;
    const void *body = get_body(reader, &length);
    bind_body(s, 2, body, length);
    return store_run(s);
}

static int write_delivered(struct store *store, struct bytes_reader *reader,
                           struct change *change) {
    uint32_t count = bytes_get_u32(reader);
    int code = SQLITE_DONE;
    int64_t first = count > 0 ? bytes_get_i64(reader) : 0, last = first;
    for (uint32_t i = 1; i <= count && code == SQLITE_DONE; i++) {
        int64_t next = i < count ? bytes_get_i64(reader) : 0;
        if (next == last + 1) { /* neighbours go together; most rows have them */
            last = next;
            continue;
        }
        sqlite3_stmt *s = store_statement(store, STATEMENT_OUTBOX_MARK);
        (void)sqlite3_bind_int64(s, 1, first);
        (void)sqlite3_bind_int64(s, 2, last);
        code = store_run(s);
        int gone = sqlite3_changes(store->db); /* less than the rows: some were shed meanwhile */
        change->outbox_rows -= gone;
        if (first >> STORE_TOPIC_SHIFT == KAFKA_TOPIC_OBSERVATION)
            change->observation_rows -= gone;
        first = last = next;
    }
    return code;
}

static int write_skill(struct store *store, struct bytes_reader *reader) {
    struct skill_score score;
    bytes_get(reader, &score, sizeof score);
    return store_write_skill(store, &score);
}

static int write_record(struct store *store, struct bytes_reader *reader, bool history,
                        struct change *change) {
    switch ((enum record_kind)bytes_get_enum(reader, RECORD_KIND_COUNT)) {
    case RECORD_READING:
        return write_reading(store, reader, history, change);
    case RECORD_EVENT:
        return write_event(store, reader, change);
    case RECORD_OUTBOX:
        return write_outbox(store, reader, history, change);
    case RECORD_ALARM_STATE:
        return write_alarm_state(store, reader);
    case RECORD_AUDIT:
        return write_audit(store, reader);
    case RECORD_META:
        return write_meta(store, reader);
    case RECORD_DELIVERED:
        return write_delivered(store, reader, change);
    case RECORD_SKILL:
        return write_skill(store, reader);
    case RECORD_KIND_COUNT:
        break;
    }
    return SQLITE_CORRUPT; /* our own bytes: cannot be */
}

static int write_chunk(struct store *store, uint64_t first, uint64_t last, int64_t utc_us,
                       const void *bytes, size_t length) {
    sqlite3_stmt *s = store_statement(store, STATEMENT_JOURNAL);
    (void)sqlite3_bind_int64(s, 1, (int64_t)first);
    (void)sqlite3_bind_int64(s, 2, (int64_t)last);
    (void)sqlite3_bind_int64(s, 3, utc_us);
    bind_body(s, 4, bytes, length);
    return store_run(s);
}

/* The inputs of the group, many in a row of the table: a row each would cost more than all else. */
static int write_journal(struct store *store) {
    struct bytes_reader reader;
    bytes_read_init(&reader, store->journal.data, store->journal.length);
    int code = SQLITE_DONE;
    uint64_t number = 0, first = 0;
    struct moment now = {{0}, {0}};
    const void *bytes = NULL;
    size_t length = 0, start = 0;
    while (code == SQLITE_DONE && store_journal_next(&reader, &number, &now, &bytes, &length)) {
        if (first == 0)
            first = number;
        if (reader.at - start < CHUNK_BYTES && bytes_left(&reader) > 0)
            continue;
        code =
            write_chunk(store, first, number, now.utc.us, reader.data + start, reader.at - start);
        start = reader.at;
        first = 0;
    }
    return code;
}

/* Keeps the undelivered observations below their bound: the oldest go, a few thousand at a time. */
static int shed_observations(struct store *store, struct change *change) {
    int64_t excess =
        store->status.observation_rows + change->observation_rows - store->config.observations_max;
    int code = SQLITE_DONE;
    if (excess > 0) {
        sqlite3_stmt *s = store_statement(store, STATEMENT_OUTBOX_SHED);
        (void)sqlite3_bind_int64(s, 1, store_topic_first(KAFKA_TOPIC_OBSERVATION));
        (void)sqlite3_bind_int64(s, 2, store_topic_first(KAFKA_TOPIC_OBSERVATION + 1));
        (void)sqlite3_bind_int64(s, 3, excess < SHED_ROWS_MAX ? excess : SHED_ROWS_MAX);
        code = store_run(s);
        int gone = sqlite3_changes(store->db);
        change->outbox_rows -= gone;
        change->observation_rows -= gone;
        change->observations_shed += (uint64_t)gone;
    }
    if (code != SQLITE_DONE || change->observations_shed == 0)
        return code;
    int64_t total = (int64_t)(store->status.observations_shed + change->observations_shed);
    sqlite3_stmt *s = store_statement(store, STATEMENT_META);
    (void)sqlite3_bind_text(s, 1, "observations_shed", -1, SQLITE_STATIC);
    (void)sqlite3_bind_blob(s, 2, &total, sizeof total, SQLITE_STATIC);
    return store_run(s);
}

/* One attempt at the whole group. Nothing of it remains unless the result is SQLITE_DONE. */
static int write_group(struct store *store, bool history, struct change *ret_change) {
    struct change change = {0};
    int64_t outbox_next = store->outbox_next;
    struct bytes_reader reader;
    bytes_read_init(&reader, store->records.data, store->records.length);
    (void)store_statement(store, STATEMENT_OUTBOX_READ); /* a row still open would pin the WAL */
    recent_begin(&store->recent);
    int code = store_run(store_statement(store, STATEMENT_BEGIN));
    if (code == SQLITE_DONE)
        code = write_journal(store);
    while (code == SQLITE_DONE && bytes_left(&reader) > 0)
        code = write_record(store, &reader, history, &change);
    if (code == SQLITE_DONE)
        code = shed_observations(store, &change);
    if (code == SQLITE_DONE)
        code = store_run(store_statement(store, STATEMENT_COMMIT));
    if (code != SQLITE_DONE) {
        code = store_is_full(store, code) ? SQLITE_FULL : code;
        store_rollback(store);
        store->outbox_next = outbox_next;
        return code;
    }
    *ret_change = change;
    return code;
}

static void finish_group(struct store *store, const struct change *change) {
    struct store_status *status = &store->status;
    status->commits++;
    status->outbox_rows += change->outbox_rows;
    status->observation_rows += change->observation_rows;
    status->observations_shed += change->observations_shed;
    status->readings_shed += change->readings_skipped;
    status->conditions &= ~(unsigned)STORE_WRITE_FAILED;
    if (change->observations_shed > 0)
        status->conditions |= STORE_OBSERVATIONS_SHED;
    else if (status->observation_rows < store->config.observations_max)
        status->conditions &= ~(unsigned)STORE_OBSERVATIONS_SHED;
    if (change->readings_skipped > 0)
        status->conditions |= STORE_READINGS_SHED;
    else if (!store->refuse_readings)
        status->conditions &= ~(unsigned)STORE_READINGS_SHED;
    store->journal_committed = store->journal_last;
    store->group_records = 0;
    recent_take(&store->recent, &store->records, change->observations_shed > 0);
    bytes_clear(&store->journal);
}

int store_commit(struct store *store, struct err *ret_err) {
    if (store->group_records == 0)
        return 0;
    struct change change;
    int code = write_group(store, true, &change);
    if (code == SQLITE_FULL) {
        store->status.conditions |= STORE_DISK_FULL;
        if (store_free_ballast(store))
            code = write_group(store, true, &change);
    }
    /* Old history goes before new, and both before anything else waits. */
    bool shed = true;
    for (int i = 0; i < SHED_ROUNDS_MAX && code == SQLITE_FULL && shed; i++) {
        shed = store_shed_history(store);
        code = write_group(store, shed && i < SHED_ROUNDS_MAX / 4, &change);
    }
    if (code != SQLITE_DONE) {
        store->status.commit_failures++;
        store->status.conditions |= STORE_WRITE_FAILED;
        return store_error(store, code, "commit", ret_err);
    }
    finish_group(store, &change);
    if (store->status.conditions & STORE_DISK_FULL)
        store_watch_space(store);
    if (change.conflict)
        return err_set(ret_err, ERR_EXISTS, "store %s: event id %s stands for other bytes already",
                       store->path, change.conflict_id);
    return 0;
}

int store_save_snapshot(struct store *store, uint64_t number, struct utc_us time, const void *bytes,
                        size_t length, struct err *ret_err) {
    if (length > STORE_BLOB_MAX)
        return err_set(ret_err, ERR_RANGE, "store: a snapshot of %zu bytes is too large", length);
    int result = store_commit(store, ret_err);
    if (result != 0 && result != ERR_EXISTS)
        return result;
    char hash[HASH_TEXT_SIZE];
    hash_text(bytes, length, hash);
    sqlite3_stmt *put = NULL, *trim = NULL;
    int code = sqlite3_prepare_v2(store->db, "INSERT OR REPLACE INTO snapshots VALUES(?1,?2,?3,?4)",
                                  -1, &put, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(store->db,
                                  "DELETE FROM snapshots WHERE number NOT IN (SELECT number FROM "
                                  "snapshots ORDER BY number DESC LIMIT ?1)",
                                  -1, &trim, NULL);
    if (code == SQLITE_OK)
        code = store_run(store_statement(store, STATEMENT_BEGIN));
    if (code == SQLITE_DONE) {
        (void)sqlite3_bind_int64(put, 1, (int64_t)number);
        (void)sqlite3_bind_int64(put, 2, time.us);
        (void)sqlite3_bind_text(put, 3, hash, -1, SQLITE_STATIC);
        (void)sqlite3_bind_blob64(put, 4, length ? bytes : "", length, SQLITE_STATIC);
        (void)sqlite3_bind_int(trim, 1, STORE_SNAPSHOTS_KEPT);
        code = store_run(put);
    }
    if (code == SQLITE_DONE)
        code = store_run(trim);
    if (code == SQLITE_DONE)
        code = store_run(store_statement(store, STATEMENT_COMMIT));
    result = 0;
    if (code != SQLITE_DONE) {
        result = store_error(store, code, "snapshot", ret_err);
        store_rollback(store);
    }
    (void)sqlite3_finalize(put); /* repeat errors that were handled */
    (void)sqlite3_finalize(trim);
    return result;
}
