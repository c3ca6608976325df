#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/control/protocol.h"

static int parse(const char *line, struct control_request *ret_request, struct err *ret_err) {
    return control_parse(line, strlen(line), ret_request, ret_err);
}

static void takes_what_the_table_allows(void **state) {
    (void)state;
    struct control_request request;
    struct err err;
    assert_int_equal(parse("{\"do\":\"status\"}", &request, &err), 0);
    assert_int_equal(request.verb, CONTROL_STATUS);
    assert_int_equal(request.role_needed, ROLE_VIEWER);
    assert_int_equal(
        parse("{\"do\":\"shelve\",\"rule\":\"flood-alarm\",\"place\":\"thanh-hoa\",\"for_s\":3600,"
              "\"reason\":\"cảm biến đang sửa\",\"expected_revision\":7}",
              &request, &err),
        0);
    assert_int_equal(request.verb, CONTROL_COMMAND);
    assert_int_equal(request.command.kind, COMMAND_SHELVE);
    assert_int_equal(request.role_needed, ROLE_OPERATOR);
    assert_int_equal(request.for_us, 3600000000LL);
    assert_string_equal(request.command.rule, "flood-alarm");
    assert_string_equal(request.command.place, "thanh-hoa");
    assert_string_equal(request.command.comment, "cảm biến đang sửa");
    assert_true(request.command.has_expected_revision);
    assert_int_equal(request.command.expected_revision, 7);
    assert_int_equal(
        parse("{\"do\":\"out-of-service\",\"rule\":\"r\",\"place\":\"p\",\"reason\":\"x\","
              "\"until\":\"2025-11-19T06:00:00+07:00\"}",
              &request, &err),
        0);
    assert_int_equal(request.command.until.us,
                     1763506800000000LL); /* date -u -d 2025-11-18T23:00Z +%s */
    assert_int_equal(
        parse("{\"do\":\"events\",\"follow\":true,\"after\":12,\"limit\":5}", &request, &err), 0);
    struct control_request judged;
    assert_int_equal(
        parse("{\"do\":\"verdict\",\"rule\":\"r\",\"place\":\"p\",\"verdict\":\"rain\"}", &judged,
              &err),
        0);
    assert_int_equal(judged.command.kind, COMMAND_VERDICT);
    assert_int_equal(judged.command.verdict, JUDGED_RAIN);
    assert_int_equal(judged.role_needed, ROLE_OPERATOR);
    assert_true(request.follow);
    assert_int_equal(request.after, 12);
    assert_int_equal(request.limit, 5);
}

static void refuses_everything_else(void **state) {
    (void)state;
    static const struct {
        const char *line;
        int code;
        const char *says;
    } bad[] = {
        {"", ERR_SYNTAX, "not JSON"},
        {"{", ERR_SYNTAX, "not JSON"},
        {"[]", ERR_INVALID, "expected an object"},
        {"{\"do\":5}", ERR_INVALID, "expected an object"},
        {"{\"do\":\"drop\"}", ERR_NOT_FOUND, "unknown request \"drop\""},
        {"{\"do\":\"status\",\"do\":\"alarms\"}", ERR_SYNTAX, "not JSON"},
        {"{\"do\":\"status\",\"rule\":\"x\"}", ERR_INVALID,
         "status does not take the key \"rule\""},
        {"{\"do\":\"status\",\"actor\":\"root\"}", ERR_INVALID, "does not take the key \"actor\""},
        {"{\"do\":\"acknowledge\",\"rule\":\"x\"}", ERR_INVALID, "needs a rule and a place"},
        {"{\"do\":\"acknowledge\",\"rule\":\"X y\",\"place\":\"p\"}", ERR_INVALID,
         "expected an id"},
        {"{\"do\":\"shelve\",\"rule\":\"r\",\"place\":\"p\",\"reason\":\"x\"}", ERR_INVALID,
         "needs an end"},
        {"{\"do\":\"shelve\",\"rule\":\"r\",\"place\":\"p\",\"reason\":\"x\",\"for_s\":1,\"until\":"
         "\"2025-11-19T06:00:00Z\"}",
         ERR_INVALID, "needs an end"},
        {"{\"do\":\"shelve\",\"rule\":\"r\",\"place\":\"p\",\"for_s\":1}", ERR_INVALID,
         "\"reason\""},
        {"{\"do\":\"shelve\",\"rule\":\"r\",\"place\":\"p\",\"reason\":\"x\",\"for_s\":0}",
         ERR_RANGE, "for_s"},
        {"{\"do\":\"shelve\",\"rule\":\"r\",\"place\":\"p\",\"reason\":\"x\",\"for_s\":1.5}",
         ERR_RANGE, "for_s"},
        {"{\"do\":\"shelve\",\"rule\":\"r\",\"place\":\"p\",\"reason\":\"a\\u0007\",\"for_s\":1}",
         ERR_INVALID, "control characters"},
        {"{\"do\":\"shelve\",\"rule\":\"r\",\"place\":\"p\",\"reason\":\"x\",\"until\":"
         "\"tomorrow\"}",
         ERR_INVALID, "until"},
        {"{\"do\":\"events\",\"limit\":1001}", ERR_RANGE, "from 1 to 1000"},
        {"{\"do\":\"events\",\"follow\":1}", ERR_INVALID, "true or false"},
        {"{\"do\":\"verdict\",\"rule\":\"r\",\"place\":\"p\"}", ERR_INVALID, "\"verdict\""},
        {"{\"do\":\"verdict\",\"rule\":\"r\",\"place\":\"p\",\"verdict\":\"none\"}", ERR_INVALID,
         "real, rain or fault"},
        {"{\"do\":\"verdict\",\"rule\":\"r\",\"place\":\"p\",\"verdict\":1}", ERR_INVALID,
         "real, rain or fault"},
        {"{\"do\":\"comment\",\"rule\":\"r\",\"place\":\"p\",\"reason\":\"x\",\"verdict\":"
         "\"rain\"}",
         ERR_INVALID, "does not take the key \"verdict\""},
        {"{\"do\":\"readings\"}", ERR_INVALID, "\"station\""},
        {"{\"do\":\"status\"} {\"do\":\"status\"}", ERR_SYNTAX, "not JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct control_request request;
        struct err err = {0};
        int code = parse(bad[i].line, &request, &err);
        if (code != bad[i].code || strstr(err.text, bad[i].says) == NULL) {
            fail_msg("%s: code %d, \"%s\"; expected %d, \"%s\"", bad[i].line, code, err.text,
                     bad[i].code, bad[i].says);
        }
    }
}

static void refuses_a_long_line(void **state) {
    (void)state;
    static char line[CONTROL_LINE_MAX + 2];
    struct control_request request;
    struct err err;
    memset(line, ' ', sizeof line - 1);
    assert_int_equal(parse(line, &request, &err), ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_the_table_allows),
        cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(refuses_a_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
