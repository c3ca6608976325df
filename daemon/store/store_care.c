/* Care: retention in small steps, and room on a full disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/store/store_db.h"

enum {
    SHED_ROWS = 2000, /* history deleted per attempt to make room */
    WAL_PAGES = 1000, /* SQLite's default: 4 MB between checkpoints */
    WAL_PAGES_FULL = 64,
    TABLE_ROWS = 64 /* of journal, events and audit in one step: their rows are large */
};

static const int64_t OLDEST = INT64_MAX; /* keep nothing that need not be kept */

/* Bytes that an unprivileged process may still write; -1 unknown. */
static int64_t free_bytes(const struct store *store) {
    struct statvfs info;
    if (statvfs(store->dir, &info) != 0)
        return -1;
    return (int64_t)info.f_bavail * (int64_t)info.f_frsize;
}

/* The WAL holds room until its pages are in the file, and the file may need that very room to take
 * them: on a full disk it is kept small. */
static void set_wal(struct store *store, int pages) {
    (void)sqlite3_wal_autocheckpoint(store->db, pages); /* cannot fail */
    if (pages < WAL_PAGES)                              /* an error shows in the next statement */
        (void)sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

bool store_free_ballast(struct store *store) {
    if (!store->ballast_present)
        return false;
    store->ballast_present = false;
    store->status.conditions |= STORE_DISK_FULL;
    bool freed = unlink(store->ballast_path) == 0;
    set_wal(store, WAL_PAGES_FULL);
    return freed;
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
    set_wal(store, store->ballast_present ? WAL_PAGES : WAL_PAGES_FULL);
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
    set_wal(store, WAL_PAGES_FULL);
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

/* A bounded file is full until a tenth of its pages is free. */
static bool file_has_room(struct store *store) {
    int64_t pages = 0, free_pages = 0, pages_max = store->config.file_bytes_max / 4096;
    if (pages_max == 0)
        return true;
    if (store_query_int(store, "PRAGMA page_count", &pages, NULL) != 0 ||
        store_query_int(store, "PRAGMA freelist_count", &free_pages, NULL) != 0)
        return false;
    return pages - free_pages < pages_max - pages_max / 10;
}

/* While the rest of the ballast is needed for alerts, readings are refused and old ones make room.
 */
void store_watch_space(struct store *store) {
    int64_t space = free_bytes(store);
    if (!store->ballast_present && space > 2 * store->config.ballast_bytes && file_has_room(store))
        store_make_ballast(store);
    store->refuse_readings =
        !store->ballast_present && space >= 0 && space < store->config.ballast_bytes / 2;
    if (store->refuse_readings)
        (void)store_shed_history(store); /* what it could not free shows in the next commit */
}

int store_retain(struct store *store, struct utc_us now, size_t rows, bool *ret_more,
                 struct err *ret_err) {
    store_watch_space(store);
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
        code = store_retain_skill(store, now, &left);
    if (code == SQLITE_DONE)
        code = retain_readings(store, now.us - config->readings_keep_us, &left, &wrapped);
    code = end_transaction(store, code);
    if (code != SQLITE_DONE)
        return store_error(store, code, "retention", ret_err);
    *ret_more = left == 0;
    return 0;
}
