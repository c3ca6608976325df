/* What is not forgotten of a logger: holes, and when its clock could not be trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/logger_memo.h"

static const int64_t second = 1000000;

static struct utc_us at(int64_t seconds) {
    return (struct utc_us){(1763539200 + seconds) * second};
}

static void test_holes(void **state) {
    (void)state;
    struct logger_memo memo = {.hole_count = 0};
    for (int i = 0; i < LOGGER_HOLES_MAX + 3; i++) {
        logger_memo_add_hole(&memo, at(100 * i), at(100 * i + 50));
    }
    assert_int_equal(memo.hole_count, LOGGER_HOLES_MAX);
    assert_int_equal(memo.holes_lost, 3);
    assert_true(memo.holes[0].from.us == at(0).us); /* it may be being filled */
    assert_true(memo.holes[1].from.us == at(400).us);
    assert_true(memo.holes[LOGGER_HOLES_MAX - 1].to.us == at(100 * (LOGGER_HOLES_MAX + 2) + 50).us);
    logger_memo_drop_hole(&memo);
    assert_int_equal(memo.hole_count, LOGGER_HOLES_MAX - 1);
    assert_true(memo.holes[0].from.us == at(400).us);
}

/* Right at 0 and at 1000 s; in between it was seen 100 s and 400 s ahead: so it may have stamped
 * anything from 0 + 100 - 5 to 1000 + 400 + 5. */
static void test_a_clock_that_was_wrong(void **state) {
    (void)state;
    struct logger_memo memo = {.hole_count = 0};
    const int64_t limit_us = 5 * second;
    logger_memo_clock(&memo, at(0), 5 * second, limit_us);
    assert_false(memo.clock_bad);
    assert_true(logger_memo_trusts(&memo, at(500)));
    logger_memo_clock(&memo, at(300), 100 * second, limit_us);
    logger_memo_clock(&memo, at(600), 400 * second, limit_us);
    logger_memo_clock(&memo, at(900), 200 * second, limit_us);
    assert_true(memo.clock_bad);
    logger_memo_clock(&memo, at(1000), -2 * second, limit_us);
    assert_false(memo.clock_bad);
    static const struct {
        int64_t stamp_s;
        bool trusted;
    } rows[] = {{0, true}, {95, true}, {96, false}, {1000, false}, {1404, false}, {1405, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(logger_memo_trusts(&memo, at(rows[i].stamp_s)), rows[i].trusted);
    }
    /* A clock that fell back to the year 2000 says nothing against stamps of now. */
    struct logger_memo reset = {.clock_good = at(0)};
    const int64_t years_us = -INT64_C(800000000) * second;
    logger_memo_clock(&reset, at(300), years_us, limit_us);
    logger_memo_clock(&reset, at(600), 0, limit_us);
    assert_true(logger_memo_trusts(&reset, at(450)));
    assert_false(logger_memo_trusts(&reset, (struct utc_us){at(450).us + years_us}));
    /* Never right before: nothing that it stamped until now is trusted. */
    struct logger_memo fresh = {.hole_count = 0};
    logger_memo_clock(&fresh, at(300), 60 * second, limit_us);
    logger_memo_clock(&fresh, at(600), 0, limit_us);
    assert_false(logger_memo_trusts(&fresh, at(-86400 * 365)));
    assert_false(logger_memo_trusts(&fresh, at(600)));
    assert_true(logger_memo_trusts(&fresh, at(700)));
}

static void test_it_is_kept(void **state) {
    (void)state;
    char dir[] = "/tmp/canhbao-test-memo-XXXXXX", command[128];
    struct store *store = NULL;
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    if (store_open(dir, NULL, &store, &err) != 0) {
        fail_msg("%s", err.text);
    }
    struct logger_memo memo = {.hole_count = 0}, read = {.hole_count = 0};
    char long_id[STATION_ID_SIZE];
    memset(long_id, 'a', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    assert_int_equal(logger_memo_load(store, long_id, &read), ERR_NOT_FOUND);
    for (int i = 0; i < LOGGER_HOLES_MAX; i++) {
        logger_memo_add_hole(&memo, at(100 * i), at(100 * i + 50));
    }
    memo.holes[0].begun = true;
    logger_memo_clock(&memo, at(0), 0, second);
    logger_memo_clock(&memo, at(10), -9 * second, second);
    assert_int_equal(logger_memo_save(store, long_id, &memo), 0);
    assert_int_equal(store_commit(store, &err), 0);
    assert_int_equal(logger_memo_load(store, long_id, &read), 0);
    assert_int_equal(read.hole_count, memo.hole_count);
    for (uint32_t i = 0; i < memo.hole_count; i++) {
        assert_true(read.holes[i].from.us == memo.holes[i].from.us);
        assert_true(read.holes[i].to.us == memo.holes[i].to.us);
        assert_int_equal(read.holes[i].begun, i == 0);
    }
    assert_true(read.clock_bad && read.clock_good.us == at(0).us);
    assert_true(read.skew_min_us == -9 * second && read.skew_max_us == -9 * second);
    assert_int_equal(logger_memo_load(store, "another", &read), ERR_NOT_FOUND);
    (void)store_close(store);
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_a_clock_that_was_wrong),
        cmocka_unit_test(test_it_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
