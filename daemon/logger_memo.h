/* What must not be forgotten of a logger when the daemon ends: the holes in its readings that its
 * memory may still fill, and when its clock could not be trusted. Kept in the store, in the group
 * of the readings that it tells of.
 *
 * Thread rule: loop thread only; no allocation but in save and load. */
#ifndef CANHBAO_DAEMON_LOGGER_MEMO_H
#define CANHBAO_DAEMON_LOGGER_MEMO_H

#include "daemon/store/store.h"

enum { LOGGER_HOLES_MAX = 16 };

/* Nothing was heard between two instants; both were heard, or `from` was filled up to. */
struct logger_hole {
    struct utc_us from, to;
    bool begun; /* records of it were taken already */
};

struct logger_memo {
    struct logger_hole holes[LOGGER_HOLES_MAX]; /* in order of time */
    uint32_t hole_count;
    uint64_t holes_lost;      /* that found no room, or that the ring no longer reaches back to */
    struct utc_us clock_good; /* the last look that found the clock within its limit; 0: none */
    bool clock_bad;
    int64_t skew_min_us, skew_max_us; /* of the looks since it is bad */
    /* Stamps strictly between were, or may have been, given by the clock while it was wrong. */
    struct utc_us distrust_from, distrust_to; /* both 0: none */
};

/* Without room the oldest hole is given up, but for the first one, which may be being filled. */
void logger_memo_add_hole(struct logger_memo *memo, struct utc_us from, struct utc_us to);
/* The first hole is done. */
void logger_memo_drop_hole(struct logger_memo *memo);
/* What a look at the clock found: device minus ours. */
void logger_memo_clock(struct logger_memo *memo, struct utc_us now, int64_t skew_us,
                       int64_t limit_us);
/* Whether a record with this stamp was written by a clock that could be trusted. */
bool logger_memo_trusts(const struct logger_memo *memo, struct utc_us stamp);

/* The store's errors; ERR_NOT_FOUND: nothing was kept (ret_memo untouched). */
int logger_memo_load(struct store *store, const char *station, struct logger_memo *ret_memo);
int logger_memo_save(struct store *store, const char *station, const struct logger_memo *memo);

#endif
