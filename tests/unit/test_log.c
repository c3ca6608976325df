#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/limits.h"
#include "daemon/base/log.h"

struct fixture {
    struct clock *clock;
    struct log *log;
    int ends[2]; /* read, write */
    char text[65536];
};

static void setup(struct fixture *fixture, enum log_level level) {
    memset(fixture, 0, sizeof(*fixture));
    /* 2025-11-19T06:00:00Z = 1763532000 s (date -u -d 2025-11-19T06:00Z +%s) */
    assert_int_equal(
        clock_create_virtual((struct utc_us){INT64_C(1763532000500000)}, &fixture->clock), 0);
    assert_int_equal(pipe2(fixture->ends, O_NONBLOCK), 0);
    /* The write end blocks, as standard error may. */
    assert_int_equal(fcntl(fixture->ends[1], F_SETFL, 0), 0);
    assert_int_equal(log_create(fixture->ends[1], level, fixture->clock, &fixture->log), 0);
}

static const char *written(struct fixture *fixture) {
    ssize_t length = read(fixture->ends[0], fixture->text, sizeof(fixture->text) - 1);
    fixture->text[length > 0 ? length : 0] = '\0';
    return fixture->text;
}

static void teardown(struct fixture *fixture) {
    assert_null(log_destroy(fixture->log));
    clock_destroy(fixture->clock);
    close(fixture->ends[0]);
    close(fixture->ends[1]);
}

static size_t count_lines(const char *text) {
    size_t lines = 0;
    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

static void one_event_is_one_line(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture, LOG_LEVEL_INFO);
    log_event(fixture.log, LOG_LEVEL_WARNING, "endpoint_lost", "bong-son",
              log_text("why", "no reply in time"), log_int("polls", -3), log_real("level_m", 2.5));
    assert_string_equal(written(&fixture),
                        "2025-11-19T06:00:00Z level=warning event=endpoint_lost key=bong-son "
                        "why=\"no reply in time\" polls=-3 level_m=2.5\n");
    log_event(fixture.log, LOG_LEVEL_DEBUG, "detail", "");
    assert_string_equal(written(&fixture), "");
    log_event(NULL, LOG_LEVEL_ERROR, "nobody", "");
    teardown(&fixture);
}

static void input_cannot_forge_a_line(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture, LOG_LEVEL_INFO);
    log_event(fixture.log, LOG_LEVEL_INFO, "file", "a\nlevel=error",
              log_text("name", "x\"y\\z\x1b[31m"), log_text("none", NULL));
    assert_string_equal(written(&fixture),
                        "2025-11-19T06:00:00Z level=info event=file key=\"a\\x0alevel=error\" "
                        "name=\"x\\\"y\\\\z\\x1b[31m\" none=\"\"\n");
    char *huge = malloc(10000);
    memset(huge, '\n', 9999);
    huge[9999] = '\0';
    log_event(fixture.log, LOG_LEVEL_INFO, "huge", "", log_text("name", huge));
    const char *text = written(&fixture);
    assert_int_equal(count_lines(text), 1);
    assert_true(strlen(text) <= LOG_LINE_MAX);
    assert_string_equal(text + strlen(text) - 4, "...\n");
    free(huge);
    teardown(&fixture);
}

static void repeats_are_counted(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture, LOG_LEVEL_INFO);
    for (int i = 0; i < 1000; i++) {
        log_event(fixture.log, LOG_LEVEL_WARNING, "timeout", "a", log_int("i", i));
    }
    log_event(fixture.log, LOG_LEVEL_WARNING, "timeout", "b", log_int("i", 0));
    assert_int_equal(count_lines(written(&fixture)), 2);
    clock_advance(fixture.clock, LOG_REPEAT_US - 1);
    log_tick(fixture.log);
    assert_string_equal(written(&fixture), "");
    clock_advance(fixture.clock, 1);
    log_tick(fixture.log);
    assert_string_equal(written(&fixture),
                        "2025-11-19T06:00:30Z level=warning event=timeout key=a repeated=999\n");
    /* A new interval: told at once again. */
    log_event(fixture.log, LOG_LEVEL_WARNING, "timeout", "a", log_int("i", 7));
    assert_non_null(strstr(written(&fixture), "i=7"));
    log_event(fixture.log, LOG_LEVEL_WARNING, "timeout", "a", log_int("i", 8));
    assert_string_equal(written(&fixture), "");
    /* What is still counted comes at the end. */
    fixture.log = log_destroy(fixture.log);
    assert_non_null(strstr(written(&fixture), "key=a repeated=1\n"));
    teardown(&fixture);
}

static void the_rate_is_bounded(void **state) {
    (void)state;
    struct fixture fixture;
    size_t lines = 0;
    setup(&fixture, LOG_LEVEL_INFO);
    for (int i = 0; i < 10000; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%d", i);
        log_event(fixture.log, LOG_LEVEL_ERROR, "storm", key);
        lines += count_lines(written(&fixture));
    }
    assert_int_equal(lines, LOG_BURST);
    clock_advance(fixture.clock, 1000000);
    log_tick(fixture.log);
    char want[96];
    (void)snprintf(want, sizeof(want), "event=log_dropped count=%d\n", 10000 - LOG_BURST);
    assert_non_null(strstr(written(&fixture), want));
    log_tick(fixture.log);
    assert_string_equal(written(&fixture), "");
    teardown(&fixture);
}

static void a_full_pipe_never_blocks(void **state) {
    (void)state;
    struct fixture fixture;
    setup(&fixture, LOG_LEVEL_INFO);
    char filler[1000];
    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    /* Nobody reads. Were a write to block, the test would hang and time out. */
    for (int i = 0; i < 1000; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%d", i);
        clock_advance(fixture.clock, 1000000);
        log_event(fixture.log, LOG_LEVEL_ERROR, "storm", key, log_text("filler", filler));
    }
    size_t lines = count_lines(written(&fixture));
    assert_in_range(lines, 10, 100); /* a pipe holds 64 KiB */
    clock_advance(fixture.clock, 1000000);
    log_tick(fixture.log);
    char want[96];
    (void)snprintf(want, sizeof(want), "event=log_dropped count=%zu\n", 1000 - lines);
    assert_non_null(strstr(written(&fixture), want));
    teardown(&fixture);
}

static void the_journal_gets_priorities(void **state) {
    (void)state;
    struct fixture fixture;
    int ends[2];
    struct stat status;
    char name[64];
    setup(&fixture, LOG_LEVEL_INFO);
    fixture.log = log_destroy(fixture.log);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(fstat(ends[1], &status), 0);
    (void)snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", name, 1), 0);
    assert_int_equal(log_create(ends[1], LOG_LEVEL_INFO, fixture.clock, &fixture.log), 0);
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    log_event(fixture.log, LOG_LEVEL_ERROR, "disk_full", "store");
    ssize_t length = read(ends[0], fixture.text, sizeof(fixture.text) - 1);
    assert_true(length > 0);
    fixture.text[length] = '\0';
    assert_string_equal(fixture.text, "<3>level=error event=disk_full key=store\n");
    teardown(&fixture);
    close(ends[0]);
    close(ends[1]);
}

static void levels_have_names(void **state) {
    (void)state;
    enum log_level level;
    assert_int_equal(log_level_parse("debug", &level), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_parse("verbose", &level), ERR_NOT_FOUND);
}

static void descriptor_limits_are_raised_or_refused(void **state) {
    (void)state;
    struct rlimit before;
    uint64_t limit = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit low = {.rlim_cur = 64, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(limits_raise_descriptors(100, &limit), 0);
    assert_int_equal(limit, 100);
    assert_int_equal(limits_raise_descriptors(10, &limit), 0); /* never lowered */
    assert_int_equal(limit, 100);
    if (before.rlim_max != RLIM_INFINITY) {
        assert_int_equal(limits_raise_descriptors(before.rlim_max + 1, &limit), ERR_LIMIT);
        assert_int_equal(limit, before.rlim_max);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event_is_one_line),
        cmocka_unit_test(input_cannot_forge_a_line),
        cmocka_unit_test(repeats_are_counted),
        cmocka_unit_test(the_rate_is_bounded),
        cmocka_unit_test(a_full_pipe_never_blocks),
        cmocka_unit_test(the_journal_gets_priorities),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(descriptor_limits_are_raised_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
