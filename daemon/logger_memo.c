#include "daemon/logger_memo.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/bytes.h"
#include "daemon/base/ids.h"

enum { MEMO_VERSION = 1, MEMO_SIZE_MAX = 512 };

void logger_memo_drop_hole(struct logger_memo *memo) {
    memo->hole_count--;
    memmove(&memo->holes[0], &memo->holes[1], memo->hole_count * sizeof memo->holes[0]);
}

void logger_memo_add_hole(struct logger_memo *memo, struct utc_us from, struct utc_us to) {
    if (memo->hole_count == LOGGER_HOLES_MAX) {
        memo->hole_count--;
        memo->holes_lost++;
        memmove(&memo->holes[1], &memo->holes[2], (memo->hole_count - 1) * sizeof memo->holes[0]);
    }
    memo->holes[memo->hole_count++] = (struct logger_hole){.from = from, .to = to};
}

void logger_memo_clock(struct logger_memo *memo, struct utc_us now, int64_t skew_us,
                       int64_t limit_us) {
    bool bad = skew_us > limit_us || skew_us < -limit_us;
    if (bad) {
        bool first = !memo->clock_bad;
        memo->skew_min_us = first || skew_us < memo->skew_min_us ? skew_us : memo->skew_min_us;
        memo->skew_max_us = first || skew_us > memo->skew_max_us ? skew_us : memo->skew_max_us;
        memo->clock_bad = true;
        return;
    }
    if (memo->clock_bad) {
        /* Between the two good looks it was off by what was seen: so its stamps lie in here. */
        memo->distrust_from.us = memo->clock_good.us + memo->skew_min_us - limit_us;
        memo->distrust_to.us = now.us + memo->skew_max_us + limit_us;
        memo->clock_bad = false;
    }
    memo->clock_good = now;
}

bool logger_memo_trusts(const struct logger_memo *memo, struct utc_us stamp) {
    return stamp.us <= memo->distrust_from.us || stamp.us >= memo->distrust_to.us;
}

static void key_of(const char *station, char ret_key[STORE_META_KEY_MAX + 1]) {
    char id[ID_TEXT_SIZE];
    const char *parts[] = {"logger", station}; /* an id may be longer than a key */
    id_from_strings(parts, sizeof parts / sizeof parts[0], id);
    _Static_assert((int)ID_TEXT_SIZE + 7 <= (int)STORE_META_KEY_MAX, "the key fits");
    (void)snprintf(ret_key, STORE_META_KEY_MAX + 1, "logger.%s", id);
}

int logger_memo_save(struct store *store, const char *station, const struct logger_memo *memo) {
    char key[STORE_META_KEY_MAX + 1];
    struct bytes bytes = {0};
    bytes_put_u8(&bytes, MEMO_VERSION);
    bytes_put_i64(&bytes, memo->clock_good.us);
    bytes_put_u8(&bytes, memo->clock_bad);
    bytes_put_i64(&bytes, memo->skew_min_us);
    bytes_put_i64(&bytes, memo->skew_max_us);
    bytes_put_i64(&bytes, memo->distrust_from.us);
    bytes_put_i64(&bytes, memo->distrust_to.us);
    bytes_put_u64(&bytes, memo->holes_lost);
    bytes_put_u32(&bytes, memo->hole_count);
    for (uint32_t i = 0; i < memo->hole_count; i++) {
        bytes_put_i64(&bytes, memo->holes[i].from.us);
        bytes_put_i64(&bytes, memo->holes[i].to.us);
        bytes_put_u8(&bytes, memo->holes[i].begun);
    }
    key_of(station, key);
    int result =
        bytes.error != 0 ? bytes.error : store_put_meta(store, key, bytes.data, bytes.length);
    bytes_finish(&bytes);
    return result;
}

int logger_memo_load(struct store *store, const char *station, struct logger_memo *ret_memo) {
    char key[STORE_META_KEY_MAX + 1];
    uint8_t buffer[MEMO_SIZE_MAX];
    size_t length;
    struct logger_memo memo = {.hole_count = 0};
    struct bytes_reader reader;
    key_of(station, key);
    int result = store_get_meta(store, key, buffer, sizeof buffer, &length);
    if (result != 0) {
        return result;
    }
    bytes_read_init(&reader, buffer, length);
    bool known = bytes_get_u8(&reader) == MEMO_VERSION;
    memo.clock_good.us = bytes_get_i64(&reader);
    memo.clock_bad = bytes_get_bool(&reader);
    memo.skew_min_us = bytes_get_i64(&reader);
    memo.skew_max_us = bytes_get_i64(&reader);
    memo.distrust_from.us = bytes_get_i64(&reader);
    memo.distrust_to.us = bytes_get_i64(&reader);
    memo.holes_lost = bytes_get_u64(&reader);
    memo.hole_count = bytes_get_u32(&reader);
    for (uint32_t i = 0; i < memo.hole_count && i < LOGGER_HOLES_MAX; i++) {
        memo.holes[i].from.us = bytes_get_i64(&reader);
        memo.holes[i].to.us = bytes_get_i64(&reader);
        memo.holes[i].begun = bytes_get_bool(&reader);
    }
    if (!known || reader.failed || memo.hole_count > LOGGER_HOLES_MAX || bytes_left(&reader) != 0) {
        return ERR_CORRUPT;
    }
    *ret_memo = memo;
    return 0;
}
