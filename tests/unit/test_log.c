#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/base/log.h"

struct fixture {
    struct clock *clock;
    struct log *log;
    int pipe[2];
};

static struct fixture begin(void) {
    struct fixture fixture;
    assert_int_equal(pipe(fixture.pipe), 0);
    /* 2025-11-19T06:00:00Z */
    assert_int_equal(
        clock_create_virtual((struct utc_us){INT64_C(1763532000000000)}, &fixture.clock), 0);
    assert_int_equal(log_create(fixture.clock, fixture.pipe[1], LOG_LEVEL_NOTICE, &fixture.log), 0);
    return fixture;
}

/* Everything written so far. */
static void finish(struct fixture *fixture, char *ret_text, size_t size) {
    close(fixture->pipe[1]);
    size_t length = 0;
    ssize_t count;
    while ((count = read(fixture->pipe[0], ret_text + length, size - 1 - length)) > 0) {
        length += (size_t)count;
    }
    ret_text[length] = '\0';
    close(fixture->pipe[0]);
    log_destroy(fixture->log);
    clock_destroy(fixture->clock);
}

static void writes_one_line_an_event(void **state) {
    (void)state;
    char text[4000];
    struct fixture fixture = begin();
    log_event(fixture.log, LOG_LEVEL_WARNING, "station-unreachable", "thanh-hoa",
              "say \"%s\"\nagain", "no");
    log_event(fixture.log, LOG_LEVEL_INFO, "detail", NULL, "left out");
    log_event(NULL, LOG_LEVEL_ERROR, "nobody", NULL, "listens");
    finish(&fixture, text, sizeof text);
    assert_string_equal(text, "2025-11-19T06:00:00Z warning station-unreachable subject=thanh-hoa "
                              "text=\"say 'no' again\"\n");
}

static void counts_repeats(void **state) {
    (void)state;
    char text[4000];
    struct fixture fixture = begin();
    for (int i = 0; i < 10; i++) {
        log_event(fixture.log, LOG_LEVEL_ERROR, "store-failed", "store", "try %d", i);
    }
    log_event(fixture.log, LOG_LEVEL_ERROR, "store-failed", "other", "first");
    clock_advance(fixture.clock, LOG_REPEAT_US);
    log_event(fixture.log, LOG_LEVEL_ERROR, "store-failed", "store", "later");
    assert_int_equal(log_suppressed(fixture.log), 9);
    finish(&fixture, text, sizeof text);
    assert_string_equal(text,
                        "2025-11-19T06:00:00Z error store-failed subject=store text=\"try 0\"\n"
                        "2025-11-19T06:00:00Z error store-failed subject=other text=\"first\"\n"
                        "2025-11-19T06:01:00Z error store-failed subject=store text=\"later\" "
                        "repeated=9\n");
}

static void bounds_the_rate(void **state) {
    (void)state;
    char text[65536];
    char subject[16];
    struct fixture fixture = begin();
    for (int i = 0; i < 3 * LOG_LINES_MAX; i++) {
        (void)snprintf(subject, sizeof subject, "s%d", i);
        log_event(fixture.log, LOG_LEVEL_ERROR, "flood", subject, "x");
    }
    assert_int_equal(log_suppressed(fixture.log), 2 * LOG_LINES_MAX);
    clock_advance(fixture.clock, 1000000);
    log_event(fixture.log, LOG_LEVEL_ERROR, "after", NULL, "x");
    finish(&fixture, text, sizeof text);
    assert_non_null(strstr(text, " after "));
}

static void never_blocks(void **state) {
    (void)state;
    char subject[16];
    struct fixture fixture = begin();
    char block[4096];
    memset(block, 'x', sizeof block);
    /* Fills the pipe but for less than a line: 16 pages on Linux. */
    for (int i = 0; i < 16; i++) {
        assert_int_equal(write(fixture.pipe[1], block, sizeof block), sizeof block);
    }
    for (int i = 0; i < 3; i++) {
        (void)snprintf(subject, sizeof subject, "s%d", i);
        log_event(fixture.log, LOG_LEVEL_ERROR, "full", subject, "nobody reads");
    }
    assert_int_equal(log_suppressed(fixture.log), 3);
    static char text[100000];
    finish(&fixture, text, sizeof text);
}

static void cuts_long_texts(void **state) {
    (void)state;
    static char text[100000];
    static char subject[5000];
    struct fixture fixture = begin();
    memset(subject, 'y', sizeof subject - 1);
    log_event(fixture.log, LOG_LEVEL_ERROR, "long", subject, "%s", subject);
    finish(&fixture, text, sizeof text);
    assert_true(strlen(text) < 1024);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_one_line_an_event), cmocka_unit_test(counts_repeats),
        cmocka_unit_test(bounds_the_rate),          cmocka_unit_test(never_blocks),
        cmocka_unit_test(cuts_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
