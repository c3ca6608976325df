/* Scores of forecasts, pooled over hours, days and seasons. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/store/store_db.h"

enum { THRESHOLD_SIZE = 32 };

static const int64_t US_PER_DAY = 86400LL * 1000000;

/* How long the pools of each period are kept; seasons as long as events. */
enum { HOURS_KEPT_DAYS = 8, DAYS_KEPT_DAYS = 400 };

static void bind_key(sqlite3_stmt *s, enum skill_period period, struct utc_us valid,
                     const struct skill_key *key, const char *threshold) {
    (void)sqlite3_bind_int(s, 1, (int)period);
    (void)sqlite3_bind_int64(s, 2, skill_period_start(period, valid).us);
    (void)sqlite3_bind_text(s, 3, key->product, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 4, key->system, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 5, key->place, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 6, key->variable, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 7, key->unit, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 8, key->lead_us);
    (void)sqlite3_bind_text(s, 9, threshold, -1, SQLITE_STATIC);
}

/* Sums that the row has not (an older version wrote it) are 0. */
static void read_sums(sqlite3_stmt *s, int column, double ret_sums[SKILL_SUM_COUNT]) {
    const void *blob = sqlite3_column_blob(s, column);
    size_t length = (size_t)sqlite3_column_bytes(s, column);
    size_t room = SKILL_SUM_COUNT * sizeof *ret_sums;
    memset(ret_sums, 0, room);
    if (blob)
        memcpy(ret_sums, blob, length < room ? length : room);
}

static int add_to(struct store *store, enum skill_period period, const struct skill_score *score) {
    const struct skill_key *key = &score->skill.key;
    struct skill pooled = {.key = *key};
    char threshold[THRESHOLD_SIZE] = "";
    if (!isnan(key->threshold))
        (void)text_format_double(key->threshold, threshold, sizeof threshold);
    sqlite3_stmt *s = store_statement(store, STATEMENT_SKILL_GET);
    bind_key(s, period, score->valid, key, threshold);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        read_sums(s, 0, pooled.sums);
    (void)sqlite3_reset(s); /* the code was taken from the step */
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return code;
    skill_add(&pooled, score->skill.sums);
    s = store_statement(store, STATEMENT_SKILL_PUT);
    bind_key(s, period, score->valid, key, threshold);
    (void)sqlite3_bind_blob(s, 10, pooled.sums, sizeof pooled.sums, SQLITE_STATIC);
    return store_run(s);
}

int store_write_skill(struct store *store, const struct skill_score *score) {
    int code = SQLITE_DONE;
    for (int period = 0; period < SKILL_PERIOD_COUNT && code == SQLITE_DONE; period++)
        code = add_to(store, (enum skill_period)period, score);
    return code;
}

int store_retain_skill(struct store *store, struct utc_us now, size_t *rows) {
    const int64_t keep_us[SKILL_PERIOD_COUNT] = {
        HOURS_KEPT_DAYS * US_PER_DAY, DAYS_KEPT_DAYS * US_PER_DAY, store->config.events_keep_us};
    int code = SQLITE_DONE;
    for (int period = 0; period < SKILL_PERIOD_COUNT && code == SQLITE_DONE && *rows > 0;
         period++) {
        sqlite3_stmt *s = store_statement(store, STATEMENT_SKILL_RETAIN);
        (void)sqlite3_bind_int(s, 1, period);
        (void)sqlite3_bind_int64(s, 2, now.us - keep_us[period]);
        code = store_run(s);
        size_t gone = (size_t)sqlite3_changes(store->db);
        *rows -= gone < *rows ? gone : *rows;
    }
    return code;
}

static void copy_column(sqlite3_stmt *s, int column, char *ret_text, size_t size) {
    const unsigned char *text = sqlite3_column_text(s, column);
    (void)snprintf(ret_text, size, "%s", text ? (const char *)text : "");
}

static void read_row(sqlite3_stmt *s, struct skill *ret_skill) {
    struct skill_key *key = &ret_skill->key;
    char threshold[THRESHOLD_SIZE];
    copy_column(s, 1, key->product, sizeof key->product);
    copy_column(s, 2, key->system, sizeof key->system);
    copy_column(s, 3, key->place, sizeof key->place);
    copy_column(s, 4, key->variable, sizeof key->variable);
    copy_column(s, 5, key->unit, sizeof key->unit);
    key->lead_us = sqlite3_column_int64(s, 6);
    copy_column(s, 7, threshold, sizeof threshold);
    if (text_parse_double(threshold, -1e12, 1e12, &key->threshold) != 0)
        key->threshold = (double)NAN;
    read_sums(s, 8, ret_skill->sums);
}

int store_read_skill(struct store *store, enum skill_period period, struct utc_us from,
                     struct utc_us to, const char *product,
                     int (*visit)(void *user, struct utc_us start, const struct skill *skill),
                     void *user) {
    sqlite3_stmt *s = store_statement(store, STATEMENT_SKILL_READ);
    (void)sqlite3_bind_int(s, 1, (int)period);
    (void)sqlite3_bind_int64(s, 2, from.us);
    (void)sqlite3_bind_int64(s, 3, to.us);
    if (product)
        (void)sqlite3_bind_text(s, 4, product, -1, SQLITE_STATIC);
    int code = SQLITE_ROW;
    int result = 0;
    while (result == 0 && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct skill skill;
        read_row(s, &skill);
        result = visit(user, (struct utc_us){sqlite3_column_int64(s, 0)}, &skill);
    }
    (void)sqlite3_reset(s); /* the code was taken from the step */
    if (result == 0 && code != SQLITE_DONE)
        result = store_error(store, code, "read skill", NULL);
    return result;
}
