/* The daemon's memory: one SQLite file (WAL, synchronous=FULL) behind one connection.
 *
 * Writing is in groups. store_append_*() and store_put_*() only copy into a bounded buffer;
 * store_commit() writes the whole group in ONE transaction, in the order of the calls. Nothing of a
 * group is visible to any read function, and so nothing can be published, before its commit
 * succeeded. A failed commit keeps the group: the next store_commit() writes it again.
 *
 * Disk full: the ballast file is given back and the group written again; if that is not enough, the
 * readings and observations of the group are dropped (counted, condition raised) and only the rest
 * is written; if even that fails the rest stays in the buffer and readings are refused until a
 * commit succeeds. Alarm state, events, alerts and journal are never dropped.
 *
 * The connection holds the file's lock exclusively (SQLite before 3.51.3 can corrupt a WAL that two
 * connections write or checkpoint): no other program can open a running daemon's file, and a second
 * daemon is refused with ERR_BUSY.
 *
 * Thread rule: one thread. Never used across fork. */
#ifndef CANHBAO_DAEMON_STORE_STORE_H
#define CANHBAO_DAEMON_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alerts/kafka.h"
#include "alerts/outbox.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/station/reading.h"
#include "daemon/station/skill.h"

enum {
    STORE_SCHEMA_VERSION = 2,
    STORE_SNAPSHOTS_KEPT = 2,
    STORE_META_KEY_MAX = 63,
    STORE_BLOB_MAX = 256 * 1024 * 1024 /* bytes of one snapshot */
};

struct store_config {
    int64_t ballast_bytes; /* given back when the disk is full; 0: 16 MiB */
    size_t group_bytes;    /* bound of the buffer; 0: 16 MiB. Events, alarm state and their messages
                              may take as much again: inputs stop first */
    int64_t readings_keep_us; /* scenario time; 0: 400 days */
    int64_t events_keep_us;   /* events and audit; 0: 10 years */
    int64_t journal_keep_us;  /* beyond what the older snapshot needs; 0: 7 days */
    int64_t
        observations_max; /* undelivered observation rows; the oldest beyond are shed; 0: 100000 */
    int64_t file_bytes_max; /* bound of the database file, the same as a full disk; 0: none */
};

/* Conditions that store_status reports; each clears by itself. */
enum {
    STORE_DISK_FULL = 1 << 0,     /* the last commit needed the ballast or more, or the ballast is
                                     not back yet */
    STORE_READINGS_SHED = 1 << 1, /* readings are being dropped */
    STORE_OBSERVATIONS_SHED = 1 << 2, /* undelivered observations were dropped since the outbox last
                                         was below its bound */
    STORE_WRITE_FAILED = 1 << 3,      /* the last commit failed; its group waits in memory */
    STORE_DAMAGED = 1 << 4            /* a check or a statement found the file corrupt */
};

struct store_status {
    unsigned conditions;
    uint64_t commits;
    uint64_t commit_failures;
    uint64_t readings_shed;     /* since the start */
    uint64_t observations_shed; /* since the file was made: a counted gap */
    size_t group_bytes;         /* waiting for store_commit() */
    size_t group_records;
    int64_t outbox_rows;      /* committed and not delivered, all topics */
    int64_t observation_rows; /* of these, observations */
    int64_t file_bytes;
};

struct store;

/* Opens or makes `dir`/canhbao.db (the folder must exist), migrates an older schema, checks the
 * file. ERR_UNSUPPORTED: written by a newer version; ERR_CORRUPT: not a database or damaged;
 * ERR_BUSY: in use; ERR_IO. `config` NULL: all defaults. */
int store_open(const char *dir, const struct store_config *config, struct store **ret_store,
               struct err *ret_err);
/* Does not commit a waiting group. */
struct store *store_close(struct store *store);

/* ---- the group; each returns 0 or ERR_LIMIT (buffer full: commit first, then again) or ERR_RANGE
 * (a string or body beyond its bound) ---- */

/* An input of the engine. Numbers start at 1 and ascend by one; ERR_INVALID otherwise. `now` is
 * what the engine was given with it. */
int store_append_journal(struct store *store, uint64_t number, struct moment now, const void *bytes,
                         size_t length);

/* The handle of a point, made when it is new (committed at once). Ask once at start, keep it. Many
 * at once: those that are new are committed together, so that a fleet costs one write to the disk.
 */
struct store_point {
    const char *station, *point, *unit;
};
int store_point_handles(struct store *store, const struct store_point *points, size_t count,
                        int64_t *ret_handles, struct err *ret_err);
int store_point_handle(struct store *store, const char *station, const char *point,
                       const char *unit, int64_t *ret_handle, struct err *ret_err);
/* ERR_BUSY while readings are refused (disk full); counted as shed. The same reading (point, time,
 * seq) again only replaces its quality flags. */
int store_append_reading(struct store *store, int64_t handle, const struct reading *reading);

/* What happened, for ever (within events_keep_us): also appended to the outbox as it is. An event
 * id that is already stored with the same bytes is skipped, outbox included; with other bytes the
 * commit fails with ERR_EXISTS, and drops that event: a broken id derivation must not stop
 * alerting. */
int store_append_event(struct store *store, const struct kafka_message *message, const char *place,
                       const char *rule);

/* Only into the outbox: alert state, observations, CAP. body NULL: tombstone. */
int store_append_outbox(struct store *store, const struct kafka_message *message);

/* Latest state of one alarm; body NULL removes it. */
int store_put_alarm_state(struct store *store, const char *place, const char *rule,
                          uint64_t revision, const void *body, size_t length);

/* Who did what, successful or refused. */
int store_append_audit(struct store *store, struct utc_us time, const char *actor, const char *kind,
                       const char *text);

/* Adds a score to the sums of its hour, its day and its season (by the time that was forecast).
 * Deciding what was added before is the caller's. ERR_INVALID: a sum is not finite. */
int store_append_skill(struct store *store, const struct skill_score *score);

/* Small named values: clock continuity, last journal number, .... */
int store_put_meta(struct store *store, const char *key, const void *bytes, size_t length);

/* Writes the group; nothing to write is success. ERR_LIMIT: disk full, group kept. ERR_IO,
 * ERR_CORRUPT: the same with other causes. ERR_EXISTS: see store_append_event; the rest is written.
 */
int store_commit(struct store *store, struct err *ret_err);

/* ---- snapshots and recovery ---- */

/* State of the engine after input `number`. Commits the waiting group first, then the snapshot in a
 * transaction of its own; the STORE_SNAPSHOTS_KEPT newest are kept. */
int store_save_snapshot(struct store *store, uint64_t number, struct utc_us time, const void *bytes,
                        size_t length, struct err *ret_err);
/* The newest snapshot (skip 0) or the one before (skip 1). Caller frees *ret_bytes. ERR_NOT_FOUND;
 * ERR_CORRUPT when its stored SHA-256 differs. */
int store_load_snapshot(struct store *store, int skip, uint64_t *ret_number, void **ret_bytes,
                        size_t *ret_length, struct err *ret_err);
/* Every committed input with a number above `after`, ascending; stops early when visit returns
 * non-zero and returns that. ERR_CORRUPT: after + 1 or a later number is missing (a snapshot that
 * the journal no longer reaches back to). */
int store_read_journal(struct store *store, uint64_t after,
                       int (*visit)(void *user, uint64_t number, struct moment now,
                                    const void *bytes, size_t length),
                       void *user);
/* Number of an input at or before the first one of `time`, to read the journal from; 0: the journal
 * does not reach back so far. */
uint64_t store_journal_at(struct store *store, struct utc_us time);
/* 0 when empty. */
uint64_t store_journal_last(const struct store *store);

/* Sequence number of the station's newest committed reading; 0: none. */
int store_station_seq(struct store *store, const char *station, uint64_t *ret_seq);
/* When a point last came with an answer of its device: a value, or that it has none. A late reading
 * counts by its own time. ERR_NOT_FOUND. */
int store_last_answer(struct store *store, int64_t handle, struct utc_us *ret_at);
int store_read_alarm_states(struct store *store,
                            int (*visit)(void *user, const char *place, const char *rule,
                                         uint64_t revision, const void *body, size_t length),
                            void *user);
/* ERR_NOT_FOUND; ERR_LIMIT when larger than size. */
int store_get_meta(struct store *store, const char *key, void *ret_bytes, size_t size,
                   size_t *ret_length);

/* Every committed named value whose key begins with `prefix`, ascending in key; stops early when
 * visit returns non-zero and returns that. */
int store_read_meta(struct store *store, const char *prefix,
                    int (*visit)(void *user, const char *key, const void *bytes, size_t length),
                    void *user);

/* ---- views ---- */

struct store_event {
    int64_t seq; /* order of commit, ascending */
    const char *id, *type, *key, *place, *rule;
    struct utc_us time;
    const void *body;
    size_t body_len;
};
/* Up to `limit` events with seq > after, ascending. */
int store_read_events(struct store *store, int64_t after, size_t limit,
                      int (*visit)(void *user, const struct store_event *event), void *user);
/* The event of an id. ERR_NOT_FOUND; else what `visit` returns. */
int store_find_event(struct store *store, const char *id,
                     int (*visit)(void *user, const struct store_event *event), void *user);
/* 0 when there is none. */
int64_t store_events_last(struct store *store);

/* Up to `limit` readings of a point received in [from, to), ascending; reading.point is 0 and
 * received.mono too: those are of the running process only. */
int store_read_readings(struct store *store, int64_t handle, struct utc_us from, struct utc_us to,
                        size_t limit, int (*visit)(void *user, const struct reading *reading),
                        void *user);
/* Pooled sums that begin in [from, to), of one product (NULL: of all), in the order of their keys,
 * then of time. Stops early when visit returns non-zero and returns that. */
int store_read_skill(struct store *store, enum skill_period period, struct utc_us from,
                     struct utc_us to, const char *product,
                     int (*visit)(void *user, struct utc_us start, const struct skill *skill),
                     void *user);
int store_read_audit(struct store *store, int64_t after, size_t limit,
                     int (*visit)(void *user, int64_t seq, struct utc_us time, const char *actor,
                                  const char *kind, const char *text),
                     void *user);

/* ---- delivery ---- */

/* The outbox as alerts/outbox.h wants it; valid while the store is. mark only adds to the group. */
struct outbox_source store_outbox_source(struct store *store);

/* ---- care ---- */

/* One small step of care, at most `rows` deletions in a transaction of its own: retention of
 * readings, journal, events and audit, and getting the ballast back. `now` in scenario time. Call
 * it every second or so. *ret_more: call again soon. */
int store_retain(struct store *store, struct utc_us now, size_t rows, bool *ret_more,
                 struct err *ret_err);
/* Whole check (PRAGMA quick_check), as at the start; blocks for as long as reading the file takes.
 */
int store_check(struct store *store, struct err *ret_err);

void store_status(struct store *store, struct store_status *ret_status);

#endif
