#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/command_line.h"

enum { WORDS_MAX = 16 };

/* Parses words separated by single spaces. */
static int parse(const char *words, struct command_line *ret_line, struct err *ret_err) {
    static char copy[512];
    char *argv[WORDS_MAX + 1] = {(char *)"canhbaod"};
    int argc = 1;
    assert_true(strlen(words) < sizeof copy);
    strcpy(copy, words);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(argc < WORDS_MAX);
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return command_line_parse(argc, argv, ret_line, ret_err);
}

static void takes_a_drill(void **state) {
    (void)state;
    struct command_line line;
    struct err err = {0};
    assert_int_equal(
        parse("--config site --exercise --reconstructed --clock-scale 360 --clock-start "
              "2025-11-18T00:00:00Z --clock-anchor 2026-01-01T00:00:00Z --web-port 0",
              &line, &err),
        0);
    assert_string_equal(line.config, "site");
    assert_true(line.exercise && line.reconstructed && !line.test);
    assert_int_equal(line.web_port, 0);
    assert_int_equal(line.clock_start.us,
                     INT64_C(1763424000000000)); /* date -u -d 2025-11-18 +%s */
    assert_true(line.clock_scale == 360);
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    static const struct {
        const char *words, *says;
    } bad[] = {
        {"", "--config DIR is missing"},
        {"--check", "--config DIR is missing"},
        {"--config", "--config"},
        {"--config a b", "unexpected argument 'b'"},
        {"--confg a", "--confg"},
        {"--config a --check --print-config", "only one of"},
        {"--config a --web-port 65536", "0 to 65535"},
        {"--config a --web-port 8,0", "0 to 65535"},
        {"--config a --exercise --test", "only one of --exercise and --test"},
        {"--config a --reconstructed", "needs --exercise"},
        {"--config a --clock-scale 2", "needs --exercise"},
        {"--config a --exercise --clock-scale 2", "go together"},
        {"--config a --exercise --clock-scale 0.5", "from 1"},
        {"--config a --exercise --clock-start 2025-11-18", "RFC 3339"},
        {"--config a --exercise --clock-start 2025-11-18T00:00:00Z", "go together"},
        {"--config a --test --clock-anchor noon", "RFC 3339"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct command_line line;
        struct err err = {0};
        if (parse(bad[i].words, &line, &err) != ERR_INVALID ||
            strstr(err.text, bad[i].says) == NULL) {
            fail_msg("'%s' gave '%s', expected '%s'", bad[i].words, err.text, bad[i].says);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_drill),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
