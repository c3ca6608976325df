/* Care: retention in small steps, and room on a full disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/store/store_db.h"

enum {
    SHED_ROWS = 2000, /* history deleted per attempt to make room */
    TABLE_ROWS = 64   /* of journal, events and audit in one step: their rows are large */
};

static const int64_t OLDEST = INT64_MAX; /* keep nothing that need not be kept */

/* Bytes that an unprivileged process may still write; -1 unknown. */
static int64_t free_bytes(const struct store *store) {
    struct statvfs info;
    if (statvfs(store->dir, &info) != 0)
        return -1;
    return (int64_t)info.f_bavail * (int64_t)info.f_frsize;
}

bool store_free_ballast(struct store *store) {
    if (!store->ballast_present)
        return false;
    store->ballast_present = false;
    return unlink(store->ballast_path) == 0;
}

/* Real blocks, not a hole, so that giving them back makes room. */
void store_make_ballast(struct store *store) {
    store->ballast_present = false;
    int file = open(store->ballast_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0) {
        store->ballast_present = posix_fallocate(file, 0, store->config.ballast_bytes) == 0;
        (void)close(file); /* nothing was written */
        if (!store->ballast_present)
            (void)unlink(store->ballast_path); /* a part of it is of no use */
    }
    if (store->ballast_present)
        store->status.conditions &= ~(unsigned)STORE_DISK_FULL;
    else
        store->status.conditions |= STORE_DISK_FULL;
}

/* The handle after the one where the last step was, round and round; 0: no points at all. */
static int64_t next_point(struct store *store, bool *ret_wrapped) {
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *s = store_statement(store, STATEMENT_POINT_NEXT);
        (void)sqlite3_bind_int64(s, 1, store->retain_point);
        int64_t handle = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
        (void)sqlite3_reset(s); /* an error shows again in the deletion */
        if (handle > 0) {
            store->retain_point = handle;
            return handle;
        }
        store->retain_point = 0;
        *ret_wrapped = true;
    }
    return 0;
}

/* Deletes up to `rows` readings older than `before`, a few points at a time. Returns an SQLite
 * code; *ret_rows counts down what is left of the budget. */
static int retain_readings(struct store *store, int64_t before, size_t *rows, bool *ret_wrapped) {
    enum { POINTS_A_STEP = 64 };
    int code = SQLITE_DONE;
    for (int i = 0; i<POINTS_A_STEP && * rows> 0 && code == SQLITE_DONE && !*ret_wrapped; i++) {
        int64_t last = store->retain_point;
        int64_t point = next_point(store, ret_wrapped);
        if (point == 0)
            break;
        sqlite3_stmt *s = store_statement(store, STATEMENT_READINGS_RETAIN);
        (void)sqlite3_bind_int64(s, 1, point);
        (void)sqlite3_bind_int64(s, 2, before);
        (void)sqlite3_bind_int64(s, 3, (int64_t)*rows);
        code = store_run(s);
        *rows -= (size_t)sqlite3_changes(store->db);
        if (*rows == 0)
            store->retain_point = last; /* the same point once more */
    }
    return code;
}

static int retain_table(struct store *store, enum store_statement which, int64_t before,
                        size_t *rows) {
    if (*rows == 0)
        return SQLITE_DONE;
    sqlite3_stmt *s = store_statement(store, which);
    (void)sqlite3_bind_int64(s, 1, before);
    (void)sqlite3_bind_int64(s, 2, (int64_t)(*rows < TABLE_ROWS ? *rows : TABLE_ROWS));
    int code = store_run(s);
    *rows -= (size_t)sqlite3_changes(store->db);
    return code;
}

static int end_transaction(struct store *store, int code) {
    if (code == SQLITE_DONE)
        code = store_run(store_statement(store, STATEMENT_COMMIT));
    if (code != SQLITE_DONE) {
        code = store_is_full(store, code) ? SQLITE_FULL : code;
        store_rollback(store);
    }
    return code;
}

/* The oldest readings of the next points, and journal that no snapshot needs. */
bool store_shed_history(struct store *store) {
    size_t rows = SHED_ROWS;
    bool wrapped = false;
    int code = store_run(store_statement(store, STATEMENT_BEGIN));
    if (code == SQLITE_DONE)
        code = retain_table(store, STATEMENT_JOURNAL_RETAIN, OLDEST, &rows);
    if (code == SQLITE_DONE)
        code = retain_readings(store, OLDEST, &rows, &wrapped);
    if (code == SQLITE_DONE && wrapped && rows == SHED_ROWS)
        code = retain_readings(store, OLDEST, &rows, &(bool){false});
    code = end_transaction(store, code);
    return code == SQLITE_DONE && rows < SHED_ROWS;
}

/* Readings are refused while the rest of the ballast is needed for alerts. */
static void watch_space(struct store *store) {
    int64_t space = free_bytes(store);
    if (!store->ballast_present && space > 2 * store->config.ballast_bytes)
        store_make_ballast(store);
    store->refuse_readings =
        !store->ballast_present && space >= 0 && space < store->config.ballast_bytes / 2;
}

int store_retain(struct store *store, struct utc_us now, size_t rows, bool *ret_more,
                 struct err *ret_err) {
    watch_space(store);
    const struct store_config *config = &store->config;
    bool full = (store->status.conditions & STORE_DISK_FULL) != 0;
    bool wrapped = false;
    size_t left = rows;
    (void)store_statement(store, STATEMENT_OUTBOX_READ); /* a row still open would pin the WAL */
    int code = store_run(store_statement(store, STATEMENT_BEGIN));
    if (code == SQLITE_DONE)
        code = retain_table(store, STATEMENT_JOURNAL_RETAIN,
                            full ? OLDEST : now.us - config->journal_keep_us, &left);
    if (code == SQLITE_DONE)
        code = retain_table(store, STATEMENT_EVENTS_RETAIN, now.us - config->events_keep_us, &left);
    if (code == SQLITE_DONE)
        code = retain_table(store, STATEMENT_AUDIT_RETAIN, now.us - config->events_keep_us, &left);
    if (code == SQLITE_DONE)
        code = retain_readings(store, now.us - config->readings_keep_us, &left, &wrapped);
    code = end_transaction(store, code);
    if (code != SQLITE_DONE)
        return store_error(store, code, "retention", ret_err);
    *ret_more = left == 0;
    return 0;
}
