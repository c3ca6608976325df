#include "daemon/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/store/store_db.h"

enum { APPLICATION_ID = 0x43424e48 }; /* tells our files from other SQLite databases */

static const int64_t US_PER_DAY = 86400LL * 1000000;

/* migrations[v] leads from schema v to v + 1. Never change one that was released: add. */
static const char *const migrations[STORE_SCHEMA_VERSION] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE points(handle INTEGER PRIMARY KEY, station TEXT NOT NULL, point TEXT NOT NULL,"
    "  unit TEXT NOT NULL, UNIQUE(station, point, unit));"
    /* value NULL: not a number */
    "CREATE TABLE readings(point INTEGER NOT NULL, received_us INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL, status INTEGER NOT NULL, exception INTEGER NOT NULL, raw BLOB NOT "
    "NULL,"
    "  value REAL, round_trip_us INTEGER NOT NULL, flag INTEGER NOT NULL,"
    "  suspect_tests INTEGER NOT NULL, fail_tests INTEGER NOT NULL,"
    "  quality_revision INTEGER NOT NULL, PRIMARY KEY(point, received_us, seq)) WITHOUT ROWID;"
    "CREATE TABLE events(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, topic INTEGER NOT NULL,"
    "  key TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL, time_us INTEGER NOT NULL,"
    "  sequence INTEGER NOT NULL, exercise INTEGER NOT NULL, place TEXT NOT NULL,"
    "  rule TEXT NOT NULL, body BLOB);"
    "CREATE TABLE outbox(row INTEGER PRIMARY KEY, key TEXT NOT NULL, id TEXT NOT NULL,"
    "  type TEXT NOT NULL, source TEXT NOT NULL, time_us INTEGER NOT NULL,"
    "  sequence INTEGER NOT NULL, exercise INTEGER NOT NULL, body BLOB);"
    "CREATE TABLE alarm_state(place TEXT NOT NULL, rule TEXT NOT NULL, revision INTEGER NOT NULL,"
    "  body BLOB NOT NULL, PRIMARY KEY(place, rule)) WITHOUT ROWID;"
    /* inputs first to last, packed */
    "CREATE TABLE journal(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, utc_us INTEGER NOT "
    "NULL,"
    "  bytes BLOB NOT NULL);"
    "CREATE TABLE snapshots(number INTEGER PRIMARY KEY, utc_us INTEGER NOT NULL,"
    "  sha256 TEXT NOT NULL, bytes BLOB NOT NULL);"
    "CREATE TABLE audit(seq INTEGER PRIMARY KEY, utc_us INTEGER NOT NULL, actor TEXT NOT NULL,"
    "  kind TEXT NOT NULL, text TEXT NOT NULL);",
    /* sums: SKILL_SUM_COUNT binary64 numbers of this machine, fewer when an older version wrote
     * them; threshold: empty for none */
    "CREATE TABLE skill(period INTEGER NOT NULL, start_us INTEGER NOT NULL, product TEXT NOT NULL,"
    "  system TEXT NOT NULL, place TEXT NOT NULL, variable TEXT NOT NULL, unit TEXT NOT NULL,"
    "  lead_us INTEGER NOT NULL, threshold TEXT NOT NULL, sums BLOB NOT NULL,"
    "  PRIMARY KEY(period, start_us, product, system, place, variable, unit, lead_us, threshold))"
    "  WITHOUT ROWID;"};

static const char *const statement_texts[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_JOURNAL] = "INSERT INTO journal VALUES(?1,?2,?3,?4)",
    /* The same reading again brings later flags (a spike shows only when its successor is known);
     * value and raw bytes never change. */
    [STATEMENT_READING] = "INSERT INTO readings VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)"
                          " ON CONFLICT DO UPDATE SET flag=?9, suspect_tests=?10, fail_tests=?11,"
                          " quality_revision=?12",
    [STATEMENT_EVENT] = "INSERT INTO events(topic,key,id,type,source,time_us,sequence,exercise,"
                        "body,place,rule) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)"
                        " ON CONFLICT DO NOTHING",
    [STATEMENT_EVENT_BODY] = "SELECT body FROM events WHERE id=?1",
    [STATEMENT_OUTBOX] = "INSERT INTO outbox(row,key,id,type,source,time_us,sequence,exercise,body)"
                         " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
    [STATEMENT_OUTBOX_MARK] = "DELETE FROM outbox WHERE row BETWEEN ?1 AND ?2",
    [STATEMENT_OUTBOX_SHED] = "DELETE FROM outbox WHERE row IN (SELECT row FROM outbox"
                              " WHERE row>=?1 AND row<?2 ORDER BY row LIMIT ?3)",
    [STATEMENT_OUTBOX_LIST] = "SELECT row,key FROM outbox WHERE row>?1 AND row<?2"
                              " ORDER BY row LIMIT ?3",
    [STATEMENT_OUTBOX_READ] = "SELECT key,id,type,source,time_us,sequence,exercise,body FROM outbox"
                              " WHERE row=?1",
    [STATEMENT_ALARM_STATE] = "INSERT OR REPLACE INTO alarm_state VALUES(?1,?2,?3,?4)",
    [STATEMENT_ALARM_STATE_REMOVE] = "DELETE FROM alarm_state WHERE place=?1 AND rule=?2",
    [STATEMENT_AUDIT] = "INSERT INTO audit(utc_us,actor,kind,text) VALUES(?1,?2,?3,?4)",
    [STATEMENT_META] = "INSERT OR REPLACE INTO meta VALUES(?1,?2)",
    [STATEMENT_META_GET] = "SELECT value FROM meta WHERE key=?1",
    [STATEMENT_EVENTS_READ] = "SELECT seq,id,type,key,place,rule,time_us,body FROM events"
                              " WHERE seq>?1 ORDER BY seq LIMIT ?2",
    [STATEMENT_READINGS_READ] = "SELECT received_us,seq,status,exception,raw,value,round_trip_us,"
                                "flag,suspect_tests,fail_tests,quality_revision FROM readings"
                                " WHERE point=?1 AND received_us>=?2 AND received_us<?3"
                                " ORDER BY received_us,seq LIMIT ?4",
    [STATEMENT_POINT_NEXT] = "SELECT handle FROM points WHERE handle>?1 ORDER BY handle LIMIT 1",
    /* The newest reading of a point stays: it tells the station's last sequence number. */
    [STATEMENT_READINGS_RETAIN] =
        "DELETE FROM readings WHERE point=?1 AND (received_us,seq) IN (SELECT received_us,seq"
        " FROM readings WHERE point=?1 AND received_us<?2 AND received_us<(SELECT max(received_us)"
        " FROM readings WHERE point=?1) ORDER BY received_us,seq LIMIT ?3)",
    /* Only the oldest rows are looked at, so that a step stays small when none may go. */
    [STATEMENT_JOURNAL_RETAIN] =
        "DELETE FROM journal WHERE first IN (SELECT first FROM (SELECT first,last,utc_us FROM"
        " journal ORDER BY first LIMIT ?2) WHERE utc_us<?1 AND last<=(SELECT min(number) FROM"
        " snapshots))",
    [STATEMENT_EVENTS_RETAIN] =
        "DELETE FROM events WHERE seq IN (SELECT seq FROM (SELECT seq,time_us FROM events"
        " ORDER BY seq LIMIT ?2) WHERE time_us<?1 AND seq<(SELECT max(seq) FROM events))",
    [STATEMENT_SKILL_GET] = "SELECT sums FROM skill WHERE period=?1 AND start_us=?2 AND product=?3"
                            " AND system=?4 AND place=?5 AND variable=?6 AND unit=?7 AND lead_us=?8"
                            " AND threshold=?9",
    [STATEMENT_SKILL_PUT] = "INSERT OR REPLACE INTO skill VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
    [STATEMENT_SKILL_READ] =
        "SELECT start_us,product,system,place,variable,unit,lead_us,threshold,sums FROM skill"
        " WHERE period=?1 AND start_us>=?2 AND start_us<?3 AND (?4 IS NULL OR product=?4)"
        " ORDER BY product,system,place,variable,unit,lead_us,threshold='',"
        "  CAST(threshold AS REAL),start_us",
    [STATEMENT_SKILL_RETAIN] =
        "DELETE FROM skill WHERE period=?1 AND start_us=(SELECT min(start_us) FROM skill"
        " WHERE period=?1 AND start_us<?2)",
    [STATEMENT_AUDIT_RETAIN] =
        "DELETE FROM audit WHERE seq IN (SELECT seq FROM (SELECT seq,utc_us FROM audit"
        " ORDER BY seq LIMIT ?2) WHERE utc_us<?1 AND seq<(SELECT max(seq) FROM audit))"};

sqlite3_stmt *store_statement(struct store *store, enum store_statement which) {
    sqlite3_stmt *statement = store->statements[which];
    (void)sqlite3_reset(statement); /* repeats the error of the step before, which was handled */
    (void)sqlite3_clear_bindings(statement); /* cannot fail */
    return statement;
}

int store_run(sqlite3_stmt *statement) {
    int code = sqlite3_step(statement);
    int reset = sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_DONE : reset != SQLITE_OK ? reset : code;
}

int store_error(struct store *store, int sqlite_code, const char *what, struct err *ret_err) {
    int code = ERR_IO;
    switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
        code = ERR_LIMIT;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = ERR_CORRUPT;
        store->status.conditions |= STORE_DAMAGED;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = ERR_BUSY;
        break;
    case SQLITE_NOMEM:
        code = ERR_MEMORY;
        break;
    case SQLITE_TOOBIG:
        code = ERR_RANGE;
        break;
    default:
        break;
    }
    return err_set(ret_err, code, "store %s: %s: %s", store->path, what,
                   sqlite3_extended_errcode(store->db) == sqlite_code
                       ? sqlite3_errmsg(store->db)
                       : sqlite3_errstr(sqlite_code));
}

bool store_is_full(struct store *store, int sqlite_code) {
    int system_errno = sqlite3_system_errno(store->db);
    return (sqlite_code & 0xff) == SQLITE_FULL ||
           ((sqlite_code & 0xff) == SQLITE_IOERR &&
            (system_errno == ENOSPC || system_errno == EDQUOT));
}

void store_rollback(struct store *store) {
    if (!sqlite3_get_autocommit(store->db))
        (void)store_run(store_statement(store, STATEMENT_ROLLBACK)); /* nothing more can be done */
}

int64_t store_topic_first(enum kafka_topic topic) {
    return (int64_t)topic << STORE_TOPIC_SHIFT;
}

int store_query_int(struct store *store, const char *sql, int64_t *ret_value, struct err *ret_err) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    int result = 0;
    if (code == SQLITE_ROW)
        *ret_value = value;
    else
        result = store_error(store, code, sql, ret_err);
    (void)sqlite3_finalize(statement); /* repeats the error of the step */
    return result;
}

static int run_text(struct store *store, const char *sql, struct err *ret_err) {
    int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : store_error(store, code, sql, ret_err);
}

int store_check(struct store *store, struct err *ret_err) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    int result = 0;
    if (code != SQLITE_ROW) {
        result = store_error(store, code, "check", ret_err);
    } else {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        if (!text || strcmp(text, "ok") != 0) {
            store->status.conditions |= STORE_DAMAGED;
            result = err_set(ret_err, ERR_CORRUPT, "store %s: the file is damaged: %s", store->path,
                             text ? text : "no answer");
        }
    }
    (void)sqlite3_finalize(statement); /* repeats the error of the step */
    return result;
}

/* A file that is not ours must not be written to. */
static int check_owner(struct store *store, int64_t version, struct err *ret_err) {
    int64_t application = 0, tables = 0;
    int result = store_query_int(store, "PRAGMA application_id", &application, ret_err);
    if (result == 0)
        result = store_query_int(store, "SELECT count(*) FROM sqlite_schema", &tables, ret_err);
    if (result != 0)
        return result;
    if ((tables > 0 || version > 0) && application != APPLICATION_ID)
        return err_set(ret_err, ERR_CORRUPT, "store %s: this database is not canhbaod's",
                       store->path);
    if (version > STORE_SCHEMA_VERSION)
        return err_set(ret_err, ERR_UNSUPPORTED,
                       "store %s: written by a newer version (schema %lld, this one knows %d)",
                       store->path, (long long)version, STORE_SCHEMA_VERSION);
    if (tables == 0 && access(store->ballast_path, F_OK) == 0)
        return err_set(ret_err, ERR_CORRUPT,
                       "store %s: the database is empty or gone, but %s says that there was one; "
                       "restore it, or remove that file to start anew",
                       store->path, store->ballast_path);
    return 0;
}

static int migrate(struct store *store, struct err *ret_err) {
    int64_t version = 0;
    int result = store_query_int(store, "PRAGMA user_version", &version, ret_err);
    if (result == 0)
        result = check_owner(store, version, ret_err);
    for (; result == 0 && version < STORE_SCHEMA_VERSION; version++) {
        char set[96];
        (void)snprintf(set, sizeof set, "PRAGMA application_id=%d; PRAGMA user_version=%lld",
                       APPLICATION_ID, (long long)version + 1); /* always fits */
        result = run_text(store, "BEGIN IMMEDIATE", ret_err);
        if (result == 0)
            result = run_text(store, migrations[version], ret_err);
        if (result == 0)
            result = run_text(store, set, ret_err);
        if (result == 0)
            result = run_text(store, "COMMIT", ret_err);
        if (result != 0 && !sqlite3_get_autocommit(store->db))
            (void)run_text(store, "ROLLBACK", NULL); /* the first error is the one to tell */
    }
    return result;
}

/* What is kept in memory about the file. */
static int load_state(struct store *store, struct err *ret_err) {
    int64_t last = 0;
    int result = store_query_int(store, "SELECT max(last) FROM journal", &last, ret_err);
    int64_t snapshot = 0;
    if (result == 0)
        result = store_query_int(store, "SELECT max(number) FROM snapshots", &snapshot, ret_err);
    store->journal_committed = store->journal_last = (uint64_t)(last > snapshot ? last : snapshot);
    int64_t highest = 0, last_rows[KAFKA_TOPIC_COUNT] = {0};
    for (int i = 0; result == 0 && i < KAFKA_TOPIC_COUNT; i++) {
        char sql[128];
        int64_t first = store_topic_first((enum kafka_topic)i);
        int64_t next = store_topic_first((enum kafka_topic)(i + 1));
        int64_t row = 0, rows = 0;
        (void)snprintf(sql, sizeof sql, "SELECT max(row) FROM outbox WHERE row>=%lld AND row<%lld",
                       (long long)first, (long long)next); /* always fits */
        result = store_query_int(store, sql, &row, ret_err);
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM outbox WHERE row>=%lld AND row<%lld",
                       (long long)first, (long long)next); /* always fits */
        if (result == 0)
            result = store_query_int(store, sql, &rows, ret_err);
        last_rows[i] = row;
        if (row >= first && row - first > highest)
            highest = row - first;
        store->status.outbox_rows += rows;
        if (i == KAFKA_TOPIC_OBSERVATION)
            store->status.observation_rows = rows;
    }
    store->outbox_next = highest + 1;
    recent_init(&store->recent, last_rows);
    int64_t shed = 0;
    size_t length = 0;
    if (result == 0 &&
        store_get_meta(store, "observations_shed", &shed, sizeof shed, &length) == 0 &&
        length == sizeof shed)
        store->status.observations_shed = (uint64_t)shed;
    return result;
}

static int open_file(struct store *store, struct err *ret_err) {
    int code =
        sqlite3_open_v2(store->path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return store_error(store, code, "open", ret_err);
    (void)sqlite3_extended_result_codes(store->db, 1);
    char limit[64];
    int64_t pages = store->config.file_bytes_max / 4096;
    (void)snprintf(limit, sizeof limit, "PRAGMA max_page_count=%lld", (long long)pages); /* fits */
    /* EXCLUSIVE before WAL: the lock is never given back and the WAL index lives in our memory. */
    int result = run_text(store, "PRAGMA locking_mode=EXCLUSIVE", ret_err);
    if (result == 0)
        result = run_text(store, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL", ret_err);
    if (result == 0)
        result = run_text(store,
                          "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=8388608;"
                          "PRAGMA wal_autocheckpoint=1000; PRAGMA cache_size=-16384;"
                          "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF",
                          ret_err);
    if (result == 0)
        result = store_check(store, ret_err);
    if (result == 0)
        result = migrate(store, ret_err);
    for (int i = 0; result == 0 && i < STATEMENT_COUNT; i++) {
        code = sqlite3_prepare_v3(store->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                  &store->statements[i], NULL);
        if (code != SQLITE_OK)
            result = store_error(store, code, statement_texts[i], ret_err);
    }
    if (result == 0)
        result = load_state(store, ret_err);
    if (result == 0 && pages > 0)
        result = run_text(store, limit, ret_err);
    return result;
}

static void set_config(struct store_config *ret_config, const struct store_config *config) {
    static const struct store_config none;
    struct store_config set = config ? *config : none;
    if (set.ballast_bytes == 0)
        set.ballast_bytes = 16 << 20;
    if (set.group_bytes == 0)
        set.group_bytes = 16 << 20;
    if (set.readings_keep_us == 0)
        set.readings_keep_us = 400 * US_PER_DAY;
    if (set.events_keep_us == 0)
        set.events_keep_us = 3650 * US_PER_DAY;
    if (set.journal_keep_us == 0)
        set.journal_keep_us = 7 * US_PER_DAY;
    if (set.observations_max == 0)
        set.observations_max = 100000;
    *ret_config = set;
}

int store_open(const char *dir, const struct store_config *config, struct store **ret_store,
               struct err *ret_err) {
    struct stat info;
    if (stat(dir, &info) != 0 || !S_ISDIR(info.st_mode))
        return err_set(ret_err, ERR_IO, "store: %s is not a folder", dir);
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return err_set(ret_err, ERR_MEMORY, "store: no memory");
    set_config(&store->config, config);
    int result = 0;
    if (!(store->dir = strdup(dir)) || asprintf(&store->path, "%s/canhbao.db", dir) < 0 ||
        asprintf(&store->ballast_path, "%s/canhbao.ballast", dir) < 0)
        result = err_set(ret_err, ERR_MEMORY, "store: no memory");
    if (result == 0)
        result = open_file(store, ret_err);
    if (result != 0) {
        (void)store_close(store); /* always NULL */
        return result;
    }
    store_make_ballast(store);
    *ret_store = store;
    return 0;
}

struct store *store_close(struct store *store) {
    if (!store)
        return NULL;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(store->statements[i]); /* repeats an old error */
    (void)sqlite3_close(store->db);                   /* all statements are finalised */
    bytes_finish(&store->records);
    bytes_finish(&store->journal);
    recent_finish(&store->recent);
    free(store->dir);
    free(store->path);
    free(store->ballast_path);
    free(store);
    return NULL;
}

void store_status(struct store *store, struct store_status *ret_status) {
    store->status.group_bytes = store->records.length + store->journal.length;
    store->status.group_records = store->group_records;
    struct stat info;
    store->status.file_bytes = stat(store->path, &info) == 0 ? (int64_t)info.st_size : 0;
    *ret_status = store->status;
}
