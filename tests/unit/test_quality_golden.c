/* The quality tests against flags that tests/unit/quality_golden.py computed apart from the
 * program, and what two neighbours do to a soft failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/quality/quality.h"
#include "tests/unit/csv_row.h"

enum { LINE_SIZE = 512, COLUMNS = 10, VECTORS_MIN = 20 };
enum { TEST, CASE, LIMITS, TIME, VALUE, NEIGHBOURS, RISE, OTHER, EXPECTED, EXPECTED_BEFORE };

#define EPOCH_UTC INT64_C(1735689600000000) /* 2025-01-01T00:00:00Z */

static const char file_name[] = CANHBAO_SOURCE_DIR "/tests/data/quality/golden.csv";

static double number(const char *text) {
    char *end;
    if (text[0] == '\0') {
        return (double)NAN;
    }
    double value = strtod(text, &end);
    assert_true(*end == '\0' || *end == ';');
    return value;
}

static struct quality_limits no_limits(void) {
    const double none = (double)NAN;
    struct quality_limits limits = {.hard_min = none,
                                    .hard_max = none,
                                    .soft_min = none,
                                    .soft_max = none,
                                    .rate_max_per_s = none,
                                    .spike_suspect = none,
                                    .spike_fail = none,
                                    .flat_epsilon = none,
                                    .attenuated_suspect = none,
                                    .attenuated_fail = none,
                                    .neighbour_max = none,
                                    .revision = 1};
    for (int i = 0; i < QUALITY_MONTHS; i++) {
        limits.months[i] = (struct quality_month){none, none, none, none};
    }
    limits.cross[0] = (struct quality_cross){
        .value_above = none, .rise_above = none, .other_min = none, .other_max = none};
    return limits;
}

/* "9-12" and the bounds of these months come as keys of their own. */
static void set_months(struct quality_limits *limits, const char *value, double soft_max,
                       double hard_max) {
    int from, to;
    assert_int_equal(sscanf(value, "%d-%d", &from, &to), 2);
    limits->has_months = true;
    for (int month = from; month <= to; month++) {
        limits->months[month - 1].soft_max = soft_max;
        limits->months[month - 1].hard_max = hard_max;
    }
}

static struct quality_limits read_limits(char *words) {
    struct quality_limits limits = no_limits();
    char months[16] = "";
    double month_soft_max = (double)NAN, month_hard_max = (double)NAN, period_s = 0;
    double flat_suspect_s = 0, flat_fail_s = 0, gap_s = 0, attenuated_s = 0, count = 0, offset = 0;
    const struct {
        const char *key;
        double *value;
    } keys[] = {{"hard_min", &limits.hard_min},
                {"hard_max", &limits.hard_max},
                {"soft_min", &limits.soft_min},
                {"soft_max", &limits.soft_max},
                {"month_soft_max", &month_soft_max},
                {"month_hard_max", &month_hard_max},
                {"utc_offset_min", &offset},
                {"rate_max_per_s", &limits.rate_max_per_s},
                {"spike_suspect", &limits.spike_suspect},
                {"spike_fail", &limits.spike_fail},
                {"flat_epsilon", &limits.flat_epsilon},
                {"flat_suspect_s", &flat_suspect_s},
                {"flat_fail_s", &flat_fail_s},
                {"gap_s", &gap_s},
                {"attenuated_suspect", &limits.attenuated_suspect},
                {"attenuated_fail", &limits.attenuated_fail},
                {"attenuated_s", &attenuated_s},
                {"period_s", &period_s},
                {"neighbour_max", &limits.neighbour_max},
                {"neighbour_count", &count},
                {"value_above", &limits.cross[0].value_above},
                {"rise_above", &limits.cross[0].rise_above},
                {"other_min", &limits.cross[0].other_min},
                {"other_max", &limits.cross[0].other_max}};
    for (char *word; (word = strsep(&words, ";")) != NULL;) {
        char *value = strchr(word, '=');
        assert_non_null(value);
        *value++ = '\0';
        size_t i = 0;
        while (i < sizeof keys / sizeof keys[0] && strcmp(keys[i].key, word) != 0) {
            i++;
        }
        if (i < sizeof keys / sizeof keys[0]) {
            *keys[i].value = number(value);
        } else {
            assert_string_equal(word, "months");
            (void)snprintf(months, sizeof months, "%s", value);
        }
    }
    limits.flat_suspect_us = (int64_t)(flat_suspect_s * 1e6);
    limits.flat_fail_us = (int64_t)(flat_fail_s * 1e6);
    limits.gap_us = (int64_t)(gap_s * 1e6);
    limits.attenuated_us = (int64_t)(attenuated_s * 1e6);
    limits.attenuated_piece_us = (int64_t)(period_s * 1e6);
    limits.neighbour_count = (uint32_t)count;
    limits.utc_offset_min = (int32_t)offset;
    limits.cross_count =
        !isnan(limits.cross[0].value_above) || !isnan(limits.cross[0].rise_above) ? 1 : 0;
    if (months[0] != '\0') {
        set_months(&limits, months, month_soft_max, month_hard_max);
    }
    return limits;
}

static struct quality_context read_context(char *fields[COLUMNS]) {
    struct quality_context context;
    char *words = fields[NEIGHBOURS];
    for (int i = 0; i < QUALITY_NEIGHBOURS_MAX; i++) {
        char *word = words != NULL ? strsep(&words, ";") : NULL;
        context.neighbours[i] = word != NULL ? number(word) : (double)NAN;
    }
    context.rises[0] = number(fields[RISE]);
    context.others[0] = number(fields[OTHER]);
    return context;
}

static const char *const test_names[] = {"gross_range", "months",    "rate_of_change",
                                         "spike",       "flat_line", "gap",
                                         "attenuated",  "neighbour", "cross_variable"};
enum { TESTS = sizeof test_names / sizeof test_names[0] };

static void count_vector(const char *name, int counts[TESTS]) {
    int i = 0;
    while (i < TESTS && strcmp(test_names[i], name) != 0) {
        i++;
    }
    assert_true(i < TESTS);
    counts[i]++;
}

static void test_golden_vectors(void **state) {
    (void)state;
    FILE *file = fopen(file_name, "r");
    char line[LINE_SIZE], open_case[96] = "";
    struct quality_state quality = {0};
    struct quality_limits limits = {0};
    int counts[TESTS] = {0}, row = 1;
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file)); /* the header */
    while (fgets(line, sizeof line, file) != NULL) {
        char *fields[COLUMNS], this_case[96];
        struct reading worse = {0};
        csv_split(line, fields, COLUMNS);
        row++;
        (void)snprintf(this_case, sizeof this_case, "%.60s %.20s", fields[TEST], fields[CASE]);
        if (strcmp(this_case, open_case) != 0) {
            (void)snprintf(open_case, sizeof open_case, "%s", this_case);
            quality = (struct quality_state){0};
            limits = read_limits(fields[LIMITS]);
        }
        int64_t at_us = llround(number(fields[TIME]) * 1e6);
        struct reading reading = {.seq = (uint64_t)row,
                                  .status = READING_OK,
                                  .value = number(fields[VALUE]),
                                  .received = {{at_us}, {EPOCH_UTC + at_us}}};
        struct quality_context context = read_context(fields);
        bool got_worse = quality_test(&quality, &limits, &context, &reading, &worse);
        int before = fields[EXPECTED_BEFORE][0] != '\0' ? atoi(fields[EXPECTED_BEFORE]) : 0;
        if ((int)reading.flag != atoi(fields[EXPECTED]) ||
            (got_worse ? (int)worse.flag : 0) != before) {
            fail_msg("%s:%d (%s): flag %d, before %d", file_name, row, this_case, reading.flag,
                     got_worse ? (int)worse.flag : 0);
        }
        count_vector(fields[TEST], counts);
    }
    (void)fclose(file);
    for (int i = 0; i < TESTS; i++) {
        assert_true(counts[i] >= VECTORS_MIN);
    }
}

static struct reading value_at(double seconds, double value) {
    return (struct reading){.seq = 1 + (uint64_t)seconds,
                            .status = READING_OK,
                            .value = value,
                            .received = {{(int64_t)(seconds * 1e6)}, {0}}};
}

/* A spike that two neighbours show too is doubted, not dropped; one neighbour is not enough, and
 * the hard range is not forgiven. */
static void test_two_neighbours_keep_an_extreme(void **state) {
    (void)state;
    const double none = (double)NAN;
    const double seen[][2] = {{41, 39.5}, {41, none}, {41, 2}};
    const enum quality_flag want[] = {QUALITY_SUSPECT, QUALITY_FAIL, QUALITY_FAIL};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct quality_limits limits = no_limits();
        struct quality_state quality = {0};
        struct quality_context context = {.neighbours = {seen[i][0], seen[i][1]}};
        struct reading readings[] = {value_at(0, 1), value_at(60, 40), value_at(120, 1)};
        struct reading worse = {0};
        limits.hard_min = 0;
        limits.hard_max = 2400;
        limits.spike_fail = 10;
        limits.neighbour_max = 3;
        limits.neighbour_count = 2;
        (void)quality_test(&quality, &limits, &context, &readings[0], &worse);
        (void)quality_test(&quality, &limits, &context, &readings[1], &worse);
        assert_true(quality_test(&quality, &limits, &context, &readings[2], &worse));
        assert_int_equal(worse.flag, want[i]);
        assert_true(worse.value == 40);
        struct reading impossible = value_at(180, 42370);
        context.neighbours[0] = context.neighbours[1] = 42370;
        (void)quality_test(&quality, &limits, &context, &impossible, &worse);
        assert_int_equal(impossible.flag, QUALITY_FAIL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_two_neighbours_keep_an_extreme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
