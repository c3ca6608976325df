#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"

static int64_t wall_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void virtual_clock_moves_only_when_told(void **state) {
    (void)state;
    struct clock *clock = NULL;
    assert_int_equal(clock_create_virtual((struct utc_us){1000}, &clock), 0);
    struct moment first = clock_now(clock);
    assert_int_equal(first.utc.us, 1000);
    assert_int_equal(clock_now(clock).mono.us, first.mono.us);
    clock_advance(clock, 250);
    assert_int_equal(clock_now(clock).mono.us, first.mono.us + 250);
    assert_int_equal(clock_now(clock).utc.us, 1250);
    assert_int_equal(clock_wire(clock).us, first.mono.us + 250);
    assert_true(clock_is_virtual(clock));
    clock_destroy(clock);
}

static void a_set_clock_is_seen_once(void **state) {
    (void)state;
    struct clock *clock = NULL;
    assert_int_equal(clock_create_virtual((struct utc_us){0}, &clock), 0);
    clock_advance(clock, 1000000);
    assert_int_equal(clock_take_step(clock, 1000), 0);
    clock_step_utc(clock, -5000000);
    clock_advance(clock, 1000000);
    assert_int_equal(clock_take_step(clock, 1000), -5000000);
    assert_int_equal(clock_take_step(clock, 1000), 0);
    clock_step_utc(clock, 1000);
    assert_int_equal(clock_take_step(clock, 1000), 0); /* within the tolerance */
    clock_step_utc(clock, 1001);
    assert_int_equal(clock_take_step(clock, 1000), 1001);
    clock_destroy(clock);
}

static void real_clock_tells_the_wall(void **state) {
    (void)state;
    struct clock *clock = NULL;
    int64_t before = wall_us();
    assert_int_equal(clock_create_real(&clock), 0);
    struct moment now = clock_now(clock);
    int64_t after = wall_us();
    assert_true(now.utc.us >= before && now.utc.us <= after);
    assert_true(clock_now(clock).mono.us >= now.mono.us);
    assert_true(clock_wire(clock).us >= now.mono.us);
    assert_int_equal(clock_real_us(clock, 1234), 1234);
    clock_destroy(clock);
}

static void scaled_clocks_of_a_drill_agree(void **state) {
    (void)state;
    struct clock *a = NULL, *b = NULL;
    struct utc_us start = {INT64_C(1763420400000000)};
    struct utc_us anchor = {wall_us() - 10000000};
    assert_int_equal(clock_create_scaled(360, start, anchor, &a), 0);
    assert_int_equal(clock_create_scaled(360, start, anchor, &b), 0);
    /* Ten seconds after the anchor: at least an hour of scenario has passed. */
    struct moment first = clock_now(a);
    struct moment second = clock_now(b);
    struct moment third = clock_now(a);
    assert_true(first.utc.us >= start.us + INT64_C(3600000000));
    /* b was read between the two of a, but each was anchored with an own reading of two clocks;
     * allow 50 ms of real time for a busy machine between those readings. */
    int64_t slack = 360 * 50000;
    assert_true(second.utc.us >= first.utc.us - slack && second.utc.us <= third.utc.us + slack);
    assert_int_equal(clock_real_us(a, 3600000000), 10000000);
    assert_true(clock_scale(a) == 360);
    int64_t wire = clock_wire(a).us, scenario = clock_now(a).mono.us;
    while (clock_wire(a).us < wire + 2000) {
    }
    assert_true(clock_now(a).mono.us - scenario >= 360 * 2000 - 360 * 100);
    clock_destroy(a);
    clock_destroy(b);
}

static void bad_scales_are_refused(void **state) {
    (void)state;
    struct clock *clock = NULL;
    struct utc_us now = {wall_us()};
    assert_int_equal(clock_create_scaled(0.5, now, now, &clock), ERR_RANGE);
    assert_int_equal(clock_create_scaled(0.0 / 0.0, now, now, &clock), ERR_RANGE);
    assert_int_equal(clock_create_scaled(1e9, now, now, &clock), ERR_RANGE);
    struct utc_us old = {now.us - INT64_C(2) * 86400 * 1000000};
    assert_int_equal(clock_create_scaled(2, now, old, &clock), ERR_RANGE);
    assert_null(clock);
    assert_null(clock_destroy(NULL));
}

static void a_drill_does_not_begin_before_its_anchor(void **state) {
    (void)state;
    struct clock *clock = NULL;
    struct utc_us start = {INT64_C(1763427600000000)};
    struct utc_us anchor = {wall_us() + 50000};
    clock_wait_for_anchor(anchor);
    assert_true(wall_us() >= anchor.us);
    assert_int_equal(clock_create_scaled(360, start, anchor, &clock), 0);
    assert_true(clock_now(clock).utc.us >= start.us);
    clock_destroy(clock);
    /* past, and refused by the clock: no wait */
    clock_wait_for_anchor((struct utc_us){wall_us() - 1000000});
    clock_wait_for_anchor((struct utc_us){wall_us() + INT64_C(2) * 86400 * 1000000});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(virtual_clock_moves_only_when_told),
        cmocka_unit_test(a_set_clock_is_seen_once),
        cmocka_unit_test(real_clock_tells_the_wall),
        cmocka_unit_test(scaled_clocks_of_a_drill_agree),
        cmocka_unit_test(bad_scales_are_refused),
        cmocka_unit_test(a_drill_does_not_begin_before_its_anchor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
