/* Strict CSV tables: what is taken, what is refused and where it says the mistake is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "models/table/table.h"

static struct table *parse(const char *text) {
    struct table *table = NULL;
    struct err err = {0};
    if (table_parse("f.csv", text, strlen(text), &table, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return table;
}

static void test_numbers_missing_and_quotes(void **state) {
    (void)state;
    struct table *t = parse("\xef\xbb\xbf# remark\ntime,\"P, mm\",E\r\n2004-01-01,1.5,\r\n"
                            "2004-01-02,\"2e-1\",\"a \"\"b\"\"\"\r\n");
    double p[2];
    size_t column = 9;
    assert_int_equal(table_rows(t), 2);
    assert_int_equal(table_find(t, "P, mm", &column, NULL), 0);
    assert_int_equal(table_numbers(t, column, 0, 10, p, NULL), 0);
    assert_true(p[0] == 1.5 && p[1] == 0.2);
    assert_string_equal(table_text(t, 1, 2), "a \"b\"");
    struct err err = {0};
    assert_int_equal(table_numbers(t, 2, 0, 10, p, &err), ERR_SYNTAX);
    assert_non_null(strstr(err.text, "f.csv:4:3: E: 'a \"b\"' is not a number"));
    assert_int_equal(table_find(t, "Q", &column, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "time, P, mm, E"));
    table_destroy(t);
    t = parse("a,b\n,\n1,2");
    assert_int_equal(table_numbers(t, 0, 0, 10, p, NULL), 0);
    assert_true(isnan(p[0]) && p[1] == 1.0);
    table_destroy(t);
}

static void test_refuses_bad_numbers(void **state) {
    (void)state;
    static const char *const bad[] = {"nan", "NA",  "-",  " 1", "1 ", "1,5", "0x1",
                                      "inf", "010", "1.", "+1", "11", "-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[64];
        double value = 77;
        struct err err = {0};
        (void)snprintf(text, sizeof text, "x,y\n\"%s\",2\n", bad[i]);
        struct table *t = parse(text);
        if (table_numbers(t, 0, 0, 10, &value, &err) == 0) {
            fail_msg("'%s' was taken as %g", bad[i], value);
        }
        assert_true(value == 77);
        assert_non_null(strstr(err.text, "f.csv:2:1: x"));
        table_destroy(t);
    }
}

static void test_refuses_bad_form(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "\n1\n",
        "a,a\n1,2\n",
        "a,\n1,2\n",
        "a,b\n1\n",
        "a,b\n1,2,3\n",
        "a,b\n\"1,2",
        "a,b\n1\"2,3\n",
        "a\n1\n\n2\n",
        "a\n\"1\"2\n",
        "a\n\"1\n2\"\n",
        "a\r\rb\n",
        "a,b\n1,Montr\xe9\n", /* Latin-1 */
        "a,b\n1,\xc3\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct table *t = NULL;
        struct err err = {0};
        if (table_parse("f.csv", bad[i], strlen(bad[i]), &t, &err) == 0) {
            fail_msg("form %zu was taken", i);
        }
        assert_null(t);
        assert_non_null(strstr(err.text, "f.csv:"));
    }
    struct table *t = NULL;
    assert_int_equal(table_parse("f.csv", "a\n1\0\n", 5, &t, NULL), ERR_SYNTAX);
    assert_int_equal(table_read("/nonexistent/f.csv", &t, NULL), ERR_IO);
}

static void test_times(void **state) {
    (void)state;
    int64_t us[3];
    struct err err = {0};
    struct table *t =
        parse("time\n2004-02-28T23:00\n2004-02-29 00:00:00\n2004-02-29T08:00+07:00\n");
    assert_int_equal(table_series(t, 0, 3600000000, us, NULL), 0);
    assert_true(us[0] == 1078009200000000 && us[1] - us[0] == 3600000000);
    table_destroy(t);
    t = parse("time\n2004-01-01\n2004-01-03\n");
    assert_int_equal(table_times(t, 0, us, NULL), 0);
    assert_int_equal(table_series(t, 0, 86400000000, us, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "f.csv:3:1: time: '2004-01-03' is 48 h after"));
    table_destroy(t);
    static const char *const bad[] = {
        "time\n2004-01-02\n2004-01-01\n", "time\n2004-01-02\n\"\"\n", "time\n2003-02-29\n",
        "time\n2004-01-01T24:00\n",       "time\n01/02/2004\n",       "time\n2004-01-01T00\n",
        "time\n2004-01-01T00:00:\n",      "time\n2004-01-01Z\n",      "time\n2004-01-01T00:00Zx\n",
        "time\n2004-01-01X00:00\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t = parse(bad[i]);
        if (table_times(t, 0, us, NULL) == 0) {
            fail_msg("times %zu were taken", i);
        }
        table_destroy(t);
    }
}

static void test_writes_what_it_reads(void **state) {
    (void)state;
    char path[] = "/tmp/canhbao-table-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct table_out out;
    assert_int_equal(table_out_open(&out, path, NULL), 0);
    table_out_text(&out, "a,\"b\"");
    table_out_text(&out, "x");
    table_out_end_row(&out);
    double values[] = {1.0 / 3.0, NAN, 5e-324, -1.7976931348623157e308};
    for (int i = 0; i < 4; i++) {
        table_out_text(&out, "r");
        table_out_number(&out, values[i]);
        table_out_end_row(&out);
    }
    assert_int_equal(table_out_close(&out, true, NULL), 0);
    struct table *t = NULL;
    double back[4];
    assert_int_equal(table_read(path, &t, NULL), 0);
    assert_string_equal(table_name(t, 0), "a,\"b\"");
    assert_int_equal(table_numbers(t, 1, -INFINITY, INFINITY, back, NULL), 0);
    for (int i = 0; i < 4; i++) {
        assert_true(isnan(values[i]) ? isnan(back[i]) : back[i] == values[i]);
    }
    table_destroy(t);
    /* An abandoned output leaves the old file alone. */
    assert_int_equal(table_out_open(&out, path, NULL), 0);
    table_out_text(&out, "half");
    assert_int_equal(table_out_close(&out, false, NULL), 0);
    assert_int_equal(table_read(path, &t, NULL), 0);
    assert_int_equal(table_rows(t), 4);
    table_destroy(t);
    unlink(path);
    assert_int_equal(table_out_open(&out, "/nonexistent/x.csv", NULL), ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_missing_and_quotes),
        cmocka_unit_test(test_refuses_bad_numbers),
        cmocka_unit_test(test_refuses_bad_form),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_writes_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
