/* Readings of chosen points as a CSV file for a model: what the store has, nothing made up.
 *
 *   time     when it was received, RFC 3339, UTC
 *   station, point, unit
 *   value    empty: missing
 *   flag     QARTOD: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing
 *   status   ok, timeout, ... (reading_status_name)
 *
 * Columns stand in the order time,station,point,value,unit,flag,status; the rows of a point stand
 * together, ascending. Counters (rain tips) are as read: rollover and resets are the model's.
 * The export goes on in small steps between the turns of the loop, so that a long window holds
 * nothing up. Thread rule: loop thread only. */
#ifndef CANHBAO_DAEMON_SERIES_EXPORT_H
#define CANHBAO_DAEMON_SERIES_EXPORT_H

#include "daemon/base/loop.h"
#include "daemon/store/store.h"

enum { SERIES_EXPORT_ROWS_MAX = 5000000 };

struct series_point {
    const char *station, *point, *unit;
    int64_t handle; /* of the store */
};

struct series_export_options {
    struct loop *loop;
    struct store *store;
    const struct series_point *points; /* must outlive the export */
    size_t point_count;
    struct utc_us from, to; /* [from, to) */
    const char *path;       /* written in place; used during the call only */
    /* Once; the export may be destroyed in the call. err: ERR_IO, ERR_LIMIT (too many rows), ... */
    void (*on_end)(void *ctx, int code, const char *text);
    void *ctx;
};

struct series_export;

int series_export_start(const struct series_export_options *options,
                        struct series_export **ret_export, struct err *ret_err);
/* Ends it without a callback. NULL is fine; returns NULL. */
struct series_export *series_export_destroy(struct series_export *series);

#endif
