#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/base/text.h"

static void integers_are_strict(void **state) {
    (void)state;
    static const char *const bad[] = {"",   "-",   "+1",  "01",  "-0", "1 ",
                                      " 1", "1.0", "0x1", "1e3", "१"};
    int64_t value;
    assert_int_equal(text_parse_int("0", 0, 9, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(text_parse_int("-12", -20, 9, &value), 0);
    assert_int_equal(value, -12);
    assert_int_equal(text_parse_int("9223372036854775807", 0, INT64_MAX, &value), 0);
    assert_int_equal(text_parse_int("9223372036854775808", 0, INT64_MAX, &value), ERR_RANGE);
    assert_int_equal(text_parse_int("10", 0, 9, &value), ERR_RANGE);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        value = 77;
        assert_int_equal(text_parse_int(bad[i], INT64_MIN, INT64_MAX, &value), ERR_SYNTAX);
        assert_int_equal(value, 77);
    }
}

static void numbers_are_strict(void **state) {
    (void)state;
    static const char *const bad[] = {"",     "1,5",   ".5", "5.",    "010",  "+1",      "nan",
                                      "inf",  "0x10",  "1 ", " 1",    "1e",   "1e+",     "--1",
                                      "1.5m", "1_000", "-",  "1.2.3", "1.5 ", "infinity"};
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},       {"-0", -0.0},
                {"3.5", 3.5},   {"1e3", 1000},
                {"1E-3", 1e-3}, {"-2.25", -2.25},
                {"0.1", 0.1},   {"1.7976931348623157e308", 1.7976931348623157e308}};
    double value;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(text_parse_double(good[i].text, -INFINITY, INFINITY, &value), 0);
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        value = 77;
        if (text_parse_double(bad[i], -INFINITY, INFINITY, &value) != ERR_SYNTAX || value != 77) {
            fail_msg("'%s' was not refused", bad[i]);
        }
    }
    assert_int_equal(text_parse_double("1e999", -INFINITY, INFINITY, &value), ERR_RANGE);
    assert_int_equal(text_parse_double("10.5", 0, 10, &value), ERR_RANGE);
}

static void durations_need_a_unit(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {{"0 s", 0},
                {"500 ms", 500000},
                {"30s", 30000000},
                {"10 min", 600000000},
                {"6 h", INT64_C(21600000000)},
                {"2 d", INT64_C(172800000000)}};
    static const char *const bad[] = {"",           "10",   "min",  "1.5 h", "10  min",
                                      "10 minutes", "-1 s", "1 h ", "1h30",  "010 s"};
    int64_t us;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(text_parse_duration_us(good[i].text, &us), 0);
        assert_int_equal(us, good[i].us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (text_parse_duration_us(bad[i], &us) == 0) {
            fail_msg("'%s' was not refused", bad[i]);
        }
    }
    assert_int_equal(text_parse_duration_us("99999999999 d", &us), ERR_RANGE);
}

static void times_follow_the_calendar(void **state) {
    (void)state;
    /* expected values: date -u -d TIME +%s */
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {{"1970-01-01T00:00:00Z", 0},
                {"2025-11-19T13:00:00+07:00", INT64_C(1763532000000000)},
                {"2024-02-29T23:59:59.25Z", INT64_C(1709251199250000)},
                {"2100-03-01T00:00:00.000001Z", INT64_C(4107542400000001)},
                {"1999-12-31T20:00:00-04:00", INT64_C(946684800000000)}};
    static const char *const bad[] = {"",
                                      "2025-11-19",
                                      "2025-11-19T13:00:00",
                                      "2025-11-19 13:00:00Z",
                                      "2025-02-29T00:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2025-13-01T00:00:00Z",
                                      "2025-00-01T00:00:00Z",
                                      "2025-11-19T24:00:00Z",
                                      "2025-11-19T23:59:60Z",
                                      "2025-11-19T13:00:00.Z",
                                      "2025-11-19T13:00:00.1234567Z",
                                      "2025-11-19T13:00:00+0700",
                                      "2025-11-19T13:00:00+15:00",
                                      "2025-11-19T13:00:00Zx",
                                      "1969-12-31T23:59:59Z",
                                      "2200-01-01T00:00:00Z"};
    int64_t us;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(text_parse_time(good[i].text, &us), 0);
        assert_int_equal(us, good[i].us);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        us = 77;
        if (text_parse_time(bad[i], &us) == 0 || us != 77) {
            fail_msg("'%s' was not refused", bad[i]);
        }
    }
}

static void times_read_back(void **state) {
    (void)state;
    uint64_t seed = 42;
    for (int i = 0; i < 200000; i++) {
        char text[32];
        int64_t us;
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        /* up to the end of 2199 */
        int64_t expected = (int64_t)((seed >> 1) % (uint64_t)INT64_C(7258118400000000));
        expected -= i % 3 == 0 ? expected % 1000000 : i % 3 == 1 ? expected % 1000 : 0;
        text_format_time(expected, text, sizeof text);
        assert_int_equal(text_parse_time(text, &us), 0);
        assert_int_equal(us, expected);
    }
    char text[32];
    text_format_local(INT64_C(1763532000000000), 420, text, sizeof text);
    assert_string_equal(text, "13:00 19/11/2025");
}

static void numbers_print_short_and_exact(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } known[] = {{0, "0"},
                 {60, "60"},
                 {0.1, "0.1"},
                 {-2.5, "-2.5"},
                 {1e15, "1000000000000000"},
                 {1e16, "1e+16"},
                 {1e-5, "0.00001"},
                 {1e-6, "1e-06"},
                 {6.15, "6.15"},
                 {123456.789, "123456.789"},
                 {NAN, "null"},
                 {INFINITY, "null"},
                 {1.0 / 3, "0.3333333333333333"}};
    char text[32];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_int_equal(text_format_double(known[i].value, text, sizeof text),
                         strlen(known[i].text));
        assert_string_equal(text, known[i].text);
    }
    uint64_t seed = 7;
    for (int i = 0; i < 200000; i++) {
        double value;
        double back;
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        memcpy(&value, &seed, sizeof value);
        if (i % 2 == 0) {
            value = (double)(int64_t)(seed >> 20) / 1000.0;
        }
        if (!isfinite(value)) {
            continue;
        }
        assert_true(text_format_double(value, text, sizeof text) < sizeof text);
        back = strtod(text, NULL);
        assert_memory_equal(&back, &value, sizeof value);
    }
}

/* The definition of shortest, tried digit by digit. */
static int fewest_digits(double value) {
    char text[40];
    int digits = 0;
    do {
        digits++;
        (void)snprintf(text, sizeof text, "%.*e", digits - 1, value);
    } while (strtod(text, NULL) != value);
    return digits;
}

static int significant_digits(const char *text) {
    int digits = 0, zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text >= '1' && *text <= '9') {
            digits += zeros + 1;
            zeros = 0;
        } else if (*text == '0') {
            zeros += digits > 0;
        }
    }
    return digits > 0 ? digits : 1; /* 0 is one digit */
}

static void no_shorter_decimal_reads_back(void **state) {
    (void)state;
    char text[32];
    uint64_t seed = 11;
    for (int i = 0; i < 20000; i++) {
        double value;
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        memcpy(&value, &seed, sizeof value);
        switch (i % 7) {
        case 0: /* where the gaps to both sides differ */
            value = ldexp(1, (int)(seed >> 53) - 1024);
            break;
        case 1:
            value = (double)(int64_t)(seed >> 24) / 1e5;
            break;
        case 2: /* fewer bits than a normal number has */
            value = ldexp((double)(seed >> 44), -1074);
            break;
        case 3: /* what a float32 register holds */
            value = (double)((float)(int32_t)(seed >> 32) / 1e4F);
            break;
        case 4: /* across the bounds between plain and exponent, and zeros behind the point */
            value = ldexp((double)(seed >> 11), -(int)(seed % 74) - 1);
            break;
        default:
            break;
        }
        if (!isfinite(value)) {
            continue;
        }
        (void)text_format_double(value, text, sizeof text);
        assert_int_equal(significant_digits(text), fewest_digits(value));
        assert_true(strtod(text, NULL) == value);
    }
}

/* Plain decimals must be the very text that the C library gives for as many digits. */
static void decimals_are_those_of_the_library(void **state) {
    (void)state;
    char text[32], wanted[64];
    uint64_t seed = 13;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        double scale = (double[]){1, 10, 1e3, 1e8, 1e12, 1e15}[(seed >> 3) % 6];
        double value = ((double)(seed >> 11) / 9007199254740992.0 - 0.5) * scale;
        value = i % 3 == 0 ? (double)(float)value : i % 3 == 1 ? round(value * 1e4) / 1e4 : value;
        if (fabs(value) < 1e-5) {
            continue;
        }
        (void)text_format_double(value, text, sizeof text);
        const char *point = strchr(text, '.');
        (void)snprintf(wanted, sizeof wanted, "%.*f", point != NULL ? (int)strlen(point + 1) : 0,
                       value);
        assert_string_equal(text, wanted);
        assert_true(point == NULL || text[strlen(text) - 1] != '0');
    }
    assert_int_equal(text_format_double(-0.0, text, sizeof text), 2);
    assert_string_equal(text, "-0");
}

static void whole_numbers_and_times_fit(void **state) {
    (void)state;
    static const int64_t numbers[] = {0, 7, -7, 10, 1234567890, INT64_MAX, INT64_MIN};
    char text[32], wanted[32];
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        size_t length = text_format_int(numbers[i], text);
        (void)snprintf(wanted, sizeof wanted, "%lld", (long long)numbers[i]);
        assert_string_equal(text, wanted);
        assert_int_equal(length, strlen(wanted));
    }
    text_format_time(INT64_C(1763532000250000), text, sizeof text);
    assert_string_equal(text, "2025-11-19T06:00:00.250Z");
    text_format_time(INT64_C(1763532000000000), text, 8);
    assert_string_equal(text, "2025-11"); /* cut, and ended */
    text_format_time(INT64_MAX, text, sizeof text);
    assert_true(strlen(text) < sizeof text);
}

static void ids_and_lines(void **state) {
    (void)state;
    static const char *const good[] = {"a", "thanh-hoa", "rain.24h", "mua_1", "0"};
    static const char *const bad[] = {
        "",     "-a",  "a-",
        "a--b", "A",   "a b",
        "hòa",  "a/b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(text_is_id(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(text_is_id(bad[i]));
    }
    assert_true(text_is_utf8_line("Kôn €🌧", strlen("Kôn €🌧")));
    assert_false(text_is_utf8_line("a\nb", 3));
    assert_false(text_is_utf8_line("\xc0\x80", 2));         /* overlong */
    assert_false(text_is_utf8_line("\xed\xa0\x80", 3));     /* surrogate */
    assert_false(text_is_utf8_line("\xf4\x90\x80\x80", 4)); /* beyond U+10FFFF */
    assert_false(text_is_utf8_line("\xe2\x82", 2));         /* cut */
    char copy[4];
    assert_int_equal(text_copy(copy, sizeof copy, "abc"), 0);
    assert_int_equal(text_copy(copy, sizeof copy, "abcd"), ERR_LIMIT);
    assert_string_equal(copy, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_strict),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(times_follow_the_calendar),
        cmocka_unit_test(times_read_back),
        cmocka_unit_test(numbers_print_short_and_exact),
        cmocka_unit_test(no_shorter_decimal_reads_back),
        cmocka_unit_test(decimals_are_those_of_the_library),
        cmocka_unit_test(whole_numbers_and_times_fit),
        cmocka_unit_test(ids_and_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
