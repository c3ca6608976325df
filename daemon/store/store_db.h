/* Inside of the store: shared by store.c (opening, schema), store_group.c (writing), store_recent.c
 * (messages of the newest group), store_read.c (reading), store_skill.c (scores) and store_care.c
 * (retention, disk space). Nobody else includes it. */
#ifndef CANHBAO_DAEMON_STORE_STORE_DB_H
#define CANHBAO_DAEMON_STORE_STORE_DB_H

#include <sqlite3.h>

#include "daemon/base/bytes.h"
#include "daemon/store/store.h"
#include "daemon/store/store_recent.h"

/* An outbox row is its topic in the upper bits and a counter below: the rows of a topic stand
 * together and ascend in the order of commit. */
enum { STORE_TOPIC_SHIFT = 48 };

/* Prepared once, kept. */
enum store_statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_JOURNAL,
    STATEMENT_READING,
    STATEMENT_EVENT,
    STATEMENT_EVENT_BODY,
    STATEMENT_OUTBOX,
    STATEMENT_OUTBOX_MARK,
    STATEMENT_OUTBOX_SHED,
    STATEMENT_OUTBOX_LIST,
    STATEMENT_OUTBOX_READ,
    STATEMENT_ALARM_STATE,
    STATEMENT_ALARM_STATE_REMOVE,
    STATEMENT_AUDIT,
    STATEMENT_META,
    STATEMENT_META_GET,
    STATEMENT_EVENTS_READ,
    STATEMENT_READINGS_READ,
    STATEMENT_POINT_NEXT,
    STATEMENT_READINGS_RETAIN,
    STATEMENT_JOURNAL_RETAIN,
    STATEMENT_EVENTS_RETAIN,
    STATEMENT_AUDIT_RETAIN,
    STATEMENT_SKILL_GET,
    STATEMENT_SKILL_PUT,
    STATEMENT_SKILL_READ,
    STATEMENT_SKILL_RETAIN,
    STATEMENT_COUNT
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct store_config config;
    char *dir;
    char *path;
    char *ballast_path;

    /* the group */
    struct bytes records; /* see store_group.c */
    struct bytes journal; /* journaled inputs of the group, in the form of the file */
    size_t group_records;
    uint64_t journal_committed; /* last number in the file */
    uint64_t journal_last;      /* last number, the waiting group included */

    int64_t outbox_next;  /* counter of the next outbox row */
    struct recent recent; /* messages that need not be read back */
    struct store_status status;
    bool refuse_readings;
    bool ballast_present;
    int64_t retain_point; /* where the retention of readings goes on */
};

/* A statement with cleared bindings, ready to bind. Never fails: they are all prepared. */
sqlite3_stmt *store_statement(struct store *store, enum store_statement which);
/* Steps a statement that returns no rows and resets it. Returns an SQLite code (SQLITE_DONE). */
int store_run(sqlite3_stmt *statement);
/* Maps an SQLite code, with the library's sentence; notes damage. Returns the code. */
int store_error(struct store *store, int sqlite_code, const char *what, struct err *ret_err);
/* The disk (or the file's bound) is full; ask before anything else is done with the connection. */
bool store_is_full(struct store *store, int sqlite_code);
/* Ends a transaction that failed; SQLite may have rolled it back already. */
void store_rollback(struct store *store);
int64_t store_topic_first(enum kafka_topic topic);
/* A number of the file by a query without parameters; 0 when the result is NULL. */
int store_query_int(struct store *store, const char *sql, int64_t *ret_value, struct err *ret_err);

/* store_care.c: makes room on a full disk. free_ballast tells whether there was one to free; shed
 * deletes the oldest history and tells whether there was some. */
bool store_free_ballast(struct store *store);
bool store_shed_history(struct store *store);
void store_make_ballast(struct store *store);
void store_watch_space(struct store *store);

/* store_skill.c: writes one record of the group; deletes what is too old, a period at a time.
 * SQLite codes. */
int store_write_skill(struct store *store, const struct skill_score *score);
int store_retain_skill(struct store *store, struct utc_us now, size_t *rows);

/* Adds the marking of delivered outbox rows to the group. */
int store_append_delivered(struct store *store, const int64_t *rows, size_t count);

/* store_group.c: the message whose fields begin at `at` of a group's bytes; its pointers go there.
 */
void store_record_message(const struct bytes *records, size_t at,
                          struct kafka_message *ret_message);

/* Takes the next input off a chunk of the journal; *ret_bytes points into it. False at the end, and
 * with reader->failed when the chunk is damaged. */
bool store_journal_next(struct bytes_reader *reader, uint64_t *ret_number, struct moment *ret_now,
                        const void **ret_bytes, size_t *ret_length);

#endif
