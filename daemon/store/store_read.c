/* Reading back: recovery, views, the outbox as delivery sees it. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "daemon/store/store_db.h"

static const char *column_text(sqlite3_stmt *statement, int column) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}

/* Ends a reading loop: 0 when all rows came, the visitor's value, or the error. */
static int end_reading(struct store *store, sqlite3_stmt *statement, int code, int visited,
                       const char *what) {
    int result = visited;
    if (visited == 0 && code != SQLITE_DONE && code != SQLITE_ROW)
        result = store_error(store, code, what, NULL);
    (void)sqlite3_reset(statement); /* the code was taken from the step */
    return result;
}

static int prepare(struct store *store, const char *sql, sqlite3_stmt **ret_statement,
                   struct err *ret_err) {
    int code = sqlite3_prepare_v2(store->db, sql, -1, ret_statement, NULL);
    return code == SQLITE_OK ? 0 : store_error(store, code, sql, ret_err);
}

/* One of the two statements on points; *ret_handle 0: no row came. */
static int point_query(struct store *store, const char *sql, const char *station, const char *point,
                       const char *unit, int64_t *ret_handle) {
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &s, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_bind_text(s, 1, station, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(s, 2, point, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(s, 3, unit, -1, SQLITE_STATIC);
        code = sqlite3_step(s);
        *ret_handle = code == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
        code = store_is_full(store, code) ? SQLITE_FULL : code;
    }
    (void)sqlite3_finalize(s); /* repeats the error of the step */
    return code;
}

static bool is_done(int code) {
    return code == SQLITE_DONE || code == SQLITE_ROW;
}

/* Handles of the points that there are; 0 of the others, which are counted. */
static int find_points(struct store *store, const struct store_point *points, size_t count,
                       int64_t *handles, size_t *ret_missing) {
    static const char select[] = "SELECT handle FROM points WHERE station=?1 AND point=?2 AND"
                                 " unit=?3";
    int code = SQLITE_DONE;
    *ret_missing = 0;
    for (size_t i = 0; i < count && is_done(code); i++) {
        code = point_query(store, select, points[i].station, points[i].point, points[i].unit,
                           &handles[i]);
        *ret_missing += code == SQLITE_DONE;
    }
    return code;
}

/* Makes those without a handle, all or none. */
static int make_points(struct store *store, const struct store_point *points, size_t count) {
    static const char insert[] = "INSERT INTO points(station,point,unit) VALUES(?1,?2,?3)"
                                 " ON CONFLICT DO NOTHING";
    int64_t none;
    int code = store_run(store_statement(store, STATEMENT_BEGIN));
    for (size_t i = 0; i < count && is_done(code); i++) {
        code =
            point_query(store, insert, points[i].station, points[i].point, points[i].unit, &none);
    }
    if (is_done(code))
        code = store_run(store_statement(store, STATEMENT_COMMIT));
    if (code != SQLITE_DONE)
        store_rollback(store);
    return store_is_full(store, code) ? SQLITE_FULL : code;
}

int store_point_handles(struct store *store, const struct store_point *points, size_t count,
                        int64_t *ret_handles, struct err *ret_err) {
    int64_t *handles = calloc(count + 1, sizeof *handles);
    size_t missing = 0;
    if (handles == NULL)
        return err_set(ret_err, ERR_MEMORY, "store: no memory for %zu points", count);
    int code = find_points(store, points, count, handles, &missing);
    if (is_done(code) && missing > 0) {
        code = make_points(store, points, count);
        if (code == SQLITE_FULL && store_free_ballast(store)) {
            store->status.conditions |= STORE_DISK_FULL;
            code = make_points(store, points, count);
        }
        if (is_done(code))
            code = find_points(store, points, count, handles, &missing);
    }
    int result = is_done(code) ? 0 : store_error(store, code, "point", ret_err);
    if (result == 0)
        memcpy(ret_handles, handles, count * sizeof *handles);
    free(handles);
    return result;
}

int store_point_handle(struct store *store, const char *station, const char *point,
                       const char *unit, int64_t *ret_handle, struct err *ret_err) {
    const struct store_point one = {station, point, unit};
    return store_point_handles(store, &one, 1, ret_handle, ret_err);
}

int store_load_snapshot(struct store *store, int skip, uint64_t *ret_number, void **ret_bytes,
                        size_t *ret_length, struct err *ret_err) {
    sqlite3_stmt *s = NULL;
    int result = prepare(store,
                         "SELECT number,sha256,bytes FROM snapshots ORDER BY number DESC"
                         " LIMIT 1 OFFSET ?1",
                         &s, ret_err);
    if (result != 0)
        return result;
    (void)sqlite3_bind_int(s, 1, skip);
    int code = sqlite3_step(s);
    if (code == SQLITE_DONE) {
        result = err_set(ret_err, ERR_NOT_FOUND, "store %s: no snapshot", store->path);
    } else if (code != SQLITE_ROW) {
        result = store_error(store, code, "snapshot", ret_err);
    } else {
        const void *bytes = sqlite3_column_blob(s, 2);
        size_t length = (size_t)sqlite3_column_bytes(s, 2);
        char hash[HASH_TEXT_SIZE];
        hash_text(length ? bytes : "", length, hash);
        void *copy = malloc(length + 1);
        if (strcmp(hash, column_text(s, 1)) != 0) {
            result = err_set(ret_err, ERR_CORRUPT, "store %s: snapshot %lld is damaged",
                             store->path, (long long)sqlite3_column_int64(s, 0));
            free(copy);
        } else if (!copy) {
            result = err_set(ret_err, ERR_MEMORY, "store: no memory for a snapshot");
        } else {
            memcpy(copy, length ? bytes : "", length);
            *ret_number = (uint64_t)sqlite3_column_int64(s, 0);
            *ret_bytes = copy;
            *ret_length = length;
        }
    }
    (void)sqlite3_finalize(s); /* repeats the error of the step */
    return result;
}

/* Inputs of one chunk above `after`; *expected is the number that must come next. */
static int visit_chunk(const void *chunk, size_t chunk_length, uint64_t after, uint64_t *expected,
                       int (*visit)(void *user, uint64_t number, struct moment now,
                                    const void *bytes, size_t length),
                       void *user) {
    struct bytes_reader reader;
    bytes_read_init(&reader, chunk, chunk_length);
    uint64_t number = 0;
    struct moment now = {{0}, {0}};
    const void *bytes = NULL;
    size_t length = 0;
    while (store_journal_next(&reader, &number, &now, &bytes, &length)) {
        if (number <= after)
            continue;
        if (number != *expected)
            return ERR_CORRUPT;
        *expected = number + 1;
        int result = visit(user, number, now, bytes, length);
        if (result != 0)
            return result;
    }
    return reader.failed ? ERR_CORRUPT : 0;
}

int store_read_journal(struct store *store, uint64_t after,
                       int (*visit)(void *user, uint64_t number, struct moment now,
                                    const void *bytes, size_t length),
                       void *user) {
    sqlite3_stmt *s = NULL;
    /* The chunk that holds after + 1 may begin before it. */
    int result = prepare(store,
                         "SELECT bytes FROM journal WHERE first>=coalesce((SELECT max(first) FROM"
                         " journal WHERE first<=?1+1),0) AND last>?1 ORDER BY first",
                         &s, NULL);
    if (result != 0)
        return result;
    (void)sqlite3_bind_int64(s, 1, (int64_t)after);
    uint64_t expected = after + 1;
    int code = SQLITE_DONE;
    while (result == 0 && (code = sqlite3_step(s)) == SQLITE_ROW)
        result = visit_chunk(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0), after,
                             &expected, visit, user);
    result = end_reading(store, s, code, result, "journal");
    (void)sqlite3_finalize(s); /* repeats the error of the step */
    return result;
}

/* One of the statements on the journal with a number as parameter; 0: no row. */
static int journal_query(struct store *store, const char *sql, int64_t parameter,
                         int64_t *ret_first, int64_t *ret_utc_us) {
    sqlite3_stmt *s = NULL;
    int result = prepare(store, sql, &s, NULL);
    if (result != 0)
        return result;
    (void)sqlite3_bind_int64(s, 1, parameter);
    int code = sqlite3_step(s);
    *ret_first = code == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    *ret_utc_us = code == SQLITE_ROW ? sqlite3_column_int64(s, 1) : 0;
    (void)sqlite3_finalize(s); /* repeats the error of the step */
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0
                                                     : store_error(store, code, "journal", NULL);
}

uint64_t store_journal_at(struct store *store, struct utc_us time) {
    static const char oldest[] = "SELECT first,utc_us FROM journal WHERE first>=?1 ORDER BY first";
    static const char before[] =
        "SELECT first,utc_us FROM journal WHERE first<=?1 ORDER BY first DESC LIMIT 1";
    int64_t low = 0, utc_us = 0;
    if (journal_query(store, oldest, 0, &low, &utc_us) != 0 || low == 0)
        return 0;
    if (utc_us > time.us) /* stamped with its last input; there is none before number 1 */
        return low == 1 ? 1 : 0;
    int64_t high = (int64_t)store->journal_committed;
    int64_t found = low;
    while (low < high) { /* the chunks ascend in time; their first numbers have gaps */
        int64_t middle = low + (high - low + 1) / 2, first = 0;
        if (journal_query(store, before, middle, &first, &utc_us) != 0 || first == 0)
            return 0;
        if (utc_us <= time.us) {
            found = first;
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return (uint64_t)found;
}

uint64_t store_journal_last(const struct store *store) {
    return store->journal_committed;
}

int store_station_seq(struct store *store, const char *station, uint64_t *ret_seq) {
    sqlite3_stmt *s = NULL;
    int result = prepare(store,
                         "SELECT max((SELECT max(seq) FROM readings WHERE point=handle AND"
                         " received_us=(SELECT max(received_us) FROM readings WHERE point=handle)))"
                         " FROM points WHERE station=?1",
                         &s, NULL);
    if (result != 0)
        return result;
    (void)sqlite3_bind_text(s, 1, station, -1, SQLITE_STATIC);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        *ret_seq = (uint64_t)sqlite3_column_int64(s, 0);
    else
        result = store_error(store, code, "station", NULL);
    (void)sqlite3_finalize(s); /* repeats the error of the step */
    return result;
}

int store_last_answer(struct store *store, int64_t handle, struct utc_us *ret_at) {
    sqlite3_stmt *s = NULL;
    int result = prepare(store,
                         "SELECT received_us FROM readings WHERE point=?1 AND status IN (?2,?3,?4)"
                         " ORDER BY received_us DESC LIMIT 1",
                         &s, NULL);
    if (result != 0)
        return result;
    (void)sqlite3_bind_int64(s, 1, handle);
    (void)sqlite3_bind_int(s, 2, READING_OK);
    (void)sqlite3_bind_int(s, 3, READING_SENTINEL);
    (void)sqlite3_bind_int(s, 4, READING_NOT_A_NUMBER);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        ret_at->us = sqlite3_column_int64(s, 0);
    else
        result = code == SQLITE_DONE ? ERR_NOT_FOUND : store_error(store, code, "point", NULL);
    (void)sqlite3_finalize(s); /* repeats the error of the step */
    return result;
}

int store_read_alarm_states(struct store *store,
                            int (*visit)(void *user, const char *place, const char *rule,
                                         uint64_t revision, const void *body, size_t length),
                            void *user) {
    sqlite3_stmt *s = NULL;
    int result = prepare(
        store, "SELECT place,rule,revision,body FROM alarm_state ORDER BY place,rule", &s, NULL);
    if (result != 0)
        return result;
    int code = SQLITE_DONE;
    while (result == 0 && (code = sqlite3_step(s)) == SQLITE_ROW)
        result =
            visit(user, column_text(s, 0), column_text(s, 1), (uint64_t)sqlite3_column_int64(s, 2),
                  sqlite3_column_blob(s, 3), (size_t)sqlite3_column_bytes(s, 3));
    result = end_reading(store, s, code, result, "alarm state");
    (void)sqlite3_finalize(s); /* repeats the error of the step */
    return result;
}

int store_get_meta(struct store *store, const char *key, void *ret_bytes, size_t size,
                   size_t *ret_length) {
    sqlite3_stmt *s = store_statement(store, STATEMENT_META_GET);
    (void)sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
    int code = sqlite3_step(s);
    int result = 0;
    if (code == SQLITE_ROW) {
        const void *bytes = sqlite3_column_blob(s, 0);
        size_t length = (size_t)sqlite3_column_bytes(s, 0);
        if (length > size) {
            result = ERR_LIMIT;
        } else {
            memcpy(ret_bytes, length ? bytes : "", length);
            *ret_length = length;
        }
    } else {
        result = code == SQLITE_DONE ? ERR_NOT_FOUND : store_error(store, code, "meta", NULL);
    }
    (void)sqlite3_reset(s); /* the code was taken from the step */
    return result;
}

int store_read_meta(struct store *store, const char *prefix,
                    int (*visit)(void *user, const char *key, const void *bytes, size_t length),
                    void *user) {
    sqlite3_stmt *s = NULL;
    int result = prepare(store, "SELECT key,value FROM meta WHERE substr(key,1,?2)=?1 ORDER BY key",
                         &s, NULL);
    if (result != 0)
        return result;
    (void)sqlite3_bind_text(s, 1, prefix, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(s, 2, (int)strlen(prefix));
    int code = SQLITE_DONE;
    while (result == 0 && (code = sqlite3_step(s)) == SQLITE_ROW) {
        result = visit(user, column_text(s, 0), sqlite3_column_blob(s, 1),
                       (size_t)sqlite3_column_bytes(s, 1));
    }
    result = end_reading(store, s, code, result, "meta");
    (void)sqlite3_finalize(s); /* repeats the error of the step */
    return result;
}

static int sql_limit(size_t limit) {
    return limit > INT_MAX ? INT_MAX : (int)limit;
}

static struct store_event column_event(sqlite3_stmt *s) {
    return (struct store_event){.seq = sqlite3_column_int64(s, 0),
                                .id = column_text(s, 1),
                                .type = column_text(s, 2),
                                .key = column_text(s, 3),
                                .place = column_text(s, 4),
                                .rule = column_text(s, 5),
                                .time = {sqlite3_column_int64(s, 6)},
                                .body = sqlite3_column_blob(s, 7),
                                .body_len = (size_t)sqlite3_column_bytes(s, 7)};
}

int store_read_events(struct store *store, int64_t after, size_t limit,
                      int (*visit)(void *user, const struct store_event *event), void *user) {
    sqlite3_stmt *s = store_statement(store, STATEMENT_EVENTS_READ);
    (void)sqlite3_bind_int64(s, 1, after);
    (void)sqlite3_bind_int(s, 2, sql_limit(limit));
    int result = 0, code = SQLITE_DONE;
    while (result == 0 && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct store_event event = column_event(s);
        result = visit(user, &event);
    }
    return end_reading(store, s, code, result, "events");
}

int store_find_event(struct store *store, const char *id,
                     int (*visit)(void *user, const struct store_event *event), void *user) {
    sqlite3_stmt *s = NULL;
    int result = prepare(
        store, "SELECT seq,id,type,key,place,rule,time_us,body FROM events WHERE id=?1", &s, NULL);
    if (result != 0)
        return result;
    (void)sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        struct store_event event = column_event(s);
        result = visit(user, &event);
    } else {
        result = code == SQLITE_DONE ? ERR_NOT_FOUND : store_error(store, code, "event", NULL);
    }
    (void)sqlite3_finalize(s); /* repeats the error of the step */
    return result;
}

int64_t store_events_last(struct store *store) {
    int64_t last = 0;
    (void)store_query_int(store, "SELECT max(seq) FROM events", &last, NULL); /* 0: none to show */
    return last;
}

static void column_reading(sqlite3_stmt *s, struct reading *ret_reading) {
    static const struct reading none;
    *ret_reading = none;
    ret_reading->received.utc.us = sqlite3_column_int64(s, 0);
    ret_reading->seq = (uint64_t)sqlite3_column_int64(s, 1);
    ret_reading->status = (enum reading_status)sqlite3_column_int(s, 2);
    ret_reading->exception = (uint8_t)sqlite3_column_int(s, 3);
    int raw_len = sqlite3_column_bytes(s, 4);
    ret_reading->raw_len = (uint8_t)(raw_len < READING_RAW_MAX ? raw_len : READING_RAW_MAX);
    if (ret_reading->raw_len > 0)
        memcpy(ret_reading->raw, sqlite3_column_blob(s, 4), ret_reading->raw_len);
    ret_reading->value =
        sqlite3_column_type(s, 5) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(s, 5);
    ret_reading->round_trip_us = sqlite3_column_int64(s, 6);
    ret_reading->flag = (enum quality_flag)sqlite3_column_int(s, 7);
    ret_reading->suspect_tests = (uint16_t)sqlite3_column_int(s, 8);
    ret_reading->fail_tests = (uint16_t)sqlite3_column_int(s, 9);
    ret_reading->quality_revision = (uint32_t)sqlite3_column_int64(s, 10);
}

int store_read_readings(struct store *store, int64_t handle, struct utc_us from, struct utc_us to,
                        size_t limit, int (*visit)(void *user, const struct reading *reading),
                        void *user) {
    sqlite3_stmt *s = store_statement(store, STATEMENT_READINGS_READ);
    (void)sqlite3_bind_int64(s, 1, handle);
    (void)sqlite3_bind_int64(s, 2, from.us);
    (void)sqlite3_bind_int64(s, 3, to.us);
    (void)sqlite3_bind_int(s, 4, sql_limit(limit));
    int result = 0, code = SQLITE_DONE;
    while (result == 0 && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct reading reading;
        column_reading(s, &reading);
        result = visit(user, &reading);
    }
    return end_reading(store, s, code, result, "readings");
}

int store_read_audit(struct store *store, int64_t after, size_t limit,
                     int (*visit)(void *user, int64_t seq, struct utc_us time, const char *actor,
                                  const char *kind, const char *text),
                     void *user) {
    sqlite3_stmt *s = NULL;
    int result = prepare(store,
                         "SELECT seq,utc_us,actor,kind,text FROM audit WHERE seq>?1 ORDER BY seq"
                         " LIMIT ?2",
                         &s, NULL);
    if (result != 0)
        return result;
    (void)sqlite3_bind_int64(s, 1, after);
    (void)sqlite3_bind_int(s, 2, sql_limit(limit));
    int code = SQLITE_DONE;
    while (result == 0 && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct utc_us time = {sqlite3_column_int64(s, 1)};
        result = visit(user, sqlite3_column_int64(s, 0), time, column_text(s, 2), column_text(s, 3),
                       column_text(s, 4));
    }
    result = end_reading(store, s, code, result, "audit");
    (void)sqlite3_finalize(s); /* repeats the error of the step */
    return result;
}

/* ---- delivery ---- */

static int list_rows(void *user, enum kafka_topic topic, int64_t after, struct outbox_ref *ret_refs,
                     size_t max, size_t *ret_count) {
    struct store *store = user;
    if (recent_list(&store->recent, topic, after, ret_refs, max, ret_count))
        return 0;
    int64_t first = store_topic_first(topic);
    sqlite3_stmt *s = store_statement(store, STATEMENT_OUTBOX_LIST);
    (void)sqlite3_bind_int64(s, 1, after > first ? after : first);
    (void)sqlite3_bind_int64(s, 2, store_topic_first((enum kafka_topic)((int)topic + 1)));
    (void)sqlite3_bind_int(s, 3, sql_limit(max));
    size_t count = 0;
    int code = SQLITE_DONE;
    while (count < max && (code = sqlite3_step(s)) == SQLITE_ROW) {
        ret_refs[count].row = sqlite3_column_int64(s, 0);
        ret_refs[count++].key_hash = hash_spread(column_text(s, 1));
    }
    int result = end_reading(store, s, code, 0, "outbox");
    if (result == 0)
        *ret_count = count;
    return result;
}

static int read_row(void *user, int64_t row, struct kafka_message *ret_message) {
    struct store *store = user;
    if (recent_read(&store->recent, row, ret_message))
        return 0;
    sqlite3_stmt *s = store_statement(store, STATEMENT_OUTBOX_READ);
    (void)sqlite3_bind_int64(s, 1, row);
    int code = sqlite3_step(s);
    if (code == SQLITE_DONE) {
        (void)sqlite3_reset(s); /* success */
        return ERR_NOT_FOUND;
    }
    if (code != SQLITE_ROW)
        return end_reading(store, s, code, 0, "outbox");
    const void *body = sqlite3_column_blob(s, 7); /* NULL for an empty one too */
    if (!body && sqlite3_column_type(s, 7) != SQLITE_NULL)
        body = "";
    /* The statement stays on the row, so that the pointers hold, and is reset by the next call. A
     * commit resets it too. */
    *ret_message = (struct kafka_message){.topic = (enum kafka_topic)(row >> STORE_TOPIC_SHIFT),
                                          .key = column_text(s, 0),
                                          .id = column_text(s, 1),
                                          .type = column_text(s, 2),
                                          .source = column_text(s, 3),
                                          .time = {sqlite3_column_int64(s, 4)},
                                          .sequence = (uint64_t)sqlite3_column_int64(s, 5),
                                          .exercise = sqlite3_column_int(s, 6) != 0,
                                          .body = body,
                                          .body_len = (size_t)sqlite3_column_bytes(s, 7)};
    return 0;
}

static int mark_rows(void *user, const int64_t *rows, size_t count) {
    return store_append_delivered(user, rows, count);
}

struct outbox_source store_outbox_source(struct store *store) {
    return (struct outbox_source){
        .user = store, .list = list_rows, .read = read_row, .mark = mark_rows};
}
