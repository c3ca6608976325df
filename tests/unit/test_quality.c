/* Golden vectors of the quality tests. Every expected flag was worked out by hand from the
 * definition in models/quality/quality.h; the working stands beside the less obvious ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "models/quality/quality.h"

enum { STEPS_MAX = 16 };

/* A letter a reading: G good, N not evaluated, S suspect, F fail, M missing. */
struct step {
    double at_s;
    double value;
    char flag;
};

struct vector {
    const char *name;
    struct quality_limits limits;
    struct step steps[STEPS_MAX];
    const char *worse; /* per step: '.', or the flag that the one before got afterwards */
};

#define NONE ((double)NAN)
#define OFF                                                                                        \
    .hard_min = NONE, .hard_max = NONE, .soft_min = NONE, .soft_max = NONE,                        \
    .rate_max_per_s = NONE, .spike_suspect = NONE, .spike_fail = NONE, .flat_epsilon = NONE,       \
    .revision = 3
#define RANGE                                                                                      \
    .hard_min = -10, .hard_max = 100, .soft_min = 0, .soft_max = 50, .rate_max_per_s = NONE,       \
    .spike_suspect = NONE, .spike_fail = NONE, .flat_epsilon = NONE, .revision = 3
#define RATE                                                                                       \
    .hard_min = NONE, .hard_max = NONE, .soft_min = NONE, .soft_max = NONE, .rate_max_per_s = 0.1, \
    .spike_suspect = NONE, .spike_fail = NONE, .flat_epsilon = NONE, .revision = 3
#define SPIKE                                                                                      \
    .hard_min = -1000, .hard_max = 1000, .soft_min = NONE, .soft_max = NONE,                       \
    .rate_max_per_s = NONE, .spike_suspect = 2, .spike_fail = 5, .flat_epsilon = NONE,             \
    .revision = 3
#define FLAT                                                                                       \
    .hard_min = NONE, .hard_max = NONE, .soft_min = NONE, .soft_max = NONE,                        \
    .rate_max_per_s = NONE, .spike_suspect = NONE, .spike_fail = NONE, .flat_epsilon = 0.01,       \
    .flat_suspect_us = 60000000, .flat_fail_us = 120000000, .revision = 3
#define GAP                                                                                        \
    .hard_min = -1000, .hard_max = 1000, .soft_min = NONE, .soft_max = NONE,                       \
    .rate_max_per_s = NONE, .spike_suspect = NONE, .spike_fail = NONE, .flat_epsilon = NONE,       \
    .gap_us = 100000000, .revision = 3

/* clang-format off */
static const struct vector vectors[] = {
    /* gross range: bounds are inside */
    {"inside", {RANGE}, {{0, 25, 'G'}, {60, 49.9, 'G'}}, NULL},
    {"on the soft bounds", {RANGE}, {{0, 0, 'G'}, {60, 50, 'G'}}, NULL},
    {"beyond a soft bound", {RANGE}, {{0, 50.0001, 'S'}, {60, -0.0001, 'S'}}, NULL},
    {"on the hard bounds", {RANGE}, {{0, -10, 'S'}, {60, 100, 'S'}}, NULL},
    {"beyond a hard bound", {RANGE}, {{0, -10.0001, 'F'}, {60, 100.0001, 'F'}}, NULL},
    {"back inside", {RANGE}, {{0, 200, 'F'}, {60, 60, 'S'}, {120, 10, 'G'}}, NULL},
    {"negative zero is zero", {RANGE}, {{0, -0.0, 'G'}}, NULL},
    {"infinity is no value", {RANGE}, {{0, INFINITY, 'M'}, {60, -INFINITY, 'M'}, {120, 5, 'G'}}, NULL},
    {"NaN is no value", {RANGE}, {{0, NONE, 'M'}, {60, 5, 'G'}}, NULL},
    {"no test configured", {OFF}, {{0, 5, 'N'}, {60, 1e30, 'N'}}, NULL},

    /* rate of change: 0.1 per second, that is 6 a minute; the first has nothing to compare with */
    {"steady", {RATE}, {{0, 5, 'N'}, {60, 5, 'G'}, {120, 5, 'G'}}, NULL},
    {"exactly at the rate", {RATE}, {{0, 0, 'N'}, {60, 6, 'G'}, {120, 0, 'G'}}, NULL},
    {"just above the rate", {RATE}, {{0, 0, 'N'}, {60, 6.001, 'S'}}, NULL},
    {"falling too fast", {RATE}, {{0, 10, 'N'}, {60, 3, 'S'}}, NULL},
    {"more time, more change", {RATE}, {{0, 0, 'N'}, {600, 60, 'G'}, {601, 60.2, 'S'}}, NULL},
    {"missing in between", {RATE}, {{0, 0, 'N'}, {60, NONE, 'M'}, {120, 12, 'G'}}, NULL},
    {"suspect is compared with too", {RATE}, {{0, 0, 'N'}, {60, 30, 'S'}, {120, 31, 'G'}}, NULL},
    {"no time between", {RATE}, {{0, 0, 'N'}, {0, 0, 'G'}, {0, 1, 'S'}}, NULL},

    /* spike: |m - (a+b)/2| - |b-a|/2 above 2 suspect, above 5 fail, told when b comes */
    {"spike fails the middle", {SPIKE}, {{0, 1, 'G'}, {60, 7, 'G'}, {120, 1, 'G'}}, "..F"},   /* 6 */
    {"spike down", {SPIKE}, {{0, 1, 'G'}, {60, -5, 'G'}, {120, 1, 'G'}}, "..F"},              /* 6 */
    {"exactly 5 is suspect", {SPIKE}, {{0, 1, 'G'}, {60, 6, 'G'}, {120, 1, 'G'}}, "..S"},     /* 5 */
    {"exactly 2 is none", {SPIKE}, {{0, 1, 'G'}, {60, 3, 'G'}, {120, 1, 'G'}}, "..."},        /* 2 */
    {"a step is no spike", {SPIKE}, {{0, 1, 'G'}, {60, 50, 'G'}, {120, 50, 'G'}, {180, 50, 'G'}}, "...."},
    {"a rise is no spike", {SPIKE}, {{0, 1, 'G'}, {60, 50, 'G'}, {120, 90, 'G'}}, "..."},     /* 4.5-44.5 < 0 */
    {"step with noise", {SPIKE}, {{0, 0, 'G'}, {60, 50, 'G'}, {120, 49, 'G'}}, "..."},        /* 25.5 - 24.5 = 1 */
    {"the neighbours of a spike are not judged by it", {SPIKE},
     {{0, 1, 'G'}, {60, 1, 'G'}, {120, 9, 'G'}, {180, 1, 'G'}, {240, 1, 'G'}, {300, 1, 'G'}}, "...F.."},
    {"missing does not break the three", {SPIKE}, {{0, 1, 'G'}, {60, 9, 'G'}, {90, NONE, 'M'}, {120, 1, 'G'}}, "...F"},
    {"a failed value does", {SPIKE}, {{0, 1, 'G'}, {60, 9, 'G'}, {90, 5000, 'F'}, {120, 1, 'G'}}, "...."},

    /* flat line: within 0.01 for 60 s suspect, 120 s fail */
    {"not yet flat", {FLAT}, {{0, 5, 'G'}, {59.9, 5, 'G'}}, NULL},
    {"flat for 60 s", {FLAT}, {{0, 5, 'G'}, {60, 5, 'S'}}, NULL},
    {"flat for 120 s", {FLAT}, {{0, 5, 'G'}, {60, 5, 'S'}, {119.9, 5, 'S'}, {120, 5, 'F'}, {180, 5, 'F'}}, NULL},
    {"moves again", {FLAT}, {{0, 5, 'G'}, {120, 5, 'F'}, {130, 5.1, 'G'}, {180, 5.1, 'G'}, {190, 5.1, 'S'}}, NULL},
    {"noise within epsilon is flat", {FLAT}, {{0, 5, 'G'}, {30, 5.005, 'G'}, {60, 4.995, 'S'}}, NULL},
    {"a slow drift is not flat", {FLAT}, {{0, 5, 'G'}, {30, 5.008, 'G'}, {60, 5.016, 'G'}, {110, 5.02, 'G'}}, NULL},
    {"one step in the middle", {FLAT}, {{0, 5, 'G'}, {50, 6, 'G'}, {100, 6, 'G'}, {110, 6, 'S'}}, NULL},
    {"missing does not end it", {FLAT}, {{0, 5, 'G'}, {60, NONE, 'M'}, {120, 5, 'F'}}, NULL},
    {"one long pause counts", {FLAT}, {{0, 5, 'G'}, {1000, 5, 'F'}}, NULL},

    /* gap: 100 s since the last value that did not fail */
    {"no gap", {GAP}, {{0, 5, 'G'}, {99.9, 5, 'G'}}, NULL},
    {"gap of 100 s", {GAP}, {{0, 5, 'G'}, {100, 5, 'S'}}, NULL},
    {"after the gap", {GAP}, {{0, 5, 'G'}, {200, 5, 'S'}, {260, 5, 'G'}}, NULL},
    {"the first has none before", {GAP}, {{5000, 5, 'G'}}, NULL},
    {"missing makes a gap", {GAP}, {{0, 5, 'G'}, {60, NONE, 'M'}, {120, 5, 'S'}}, NULL},
    {"failed values make a gap", {GAP}, {{0, 5, 'G'}, {60, 9000, 'F'}, {120, 5, 'S'}}, NULL},
    {"suspect values do not", {GAP}, {{0, 5, 'G'}, {100, 5, 'S'}, {199, 5, 'G'}}, NULL},
    {"two gaps", {GAP}, {{0, 5, 'G'}, {100, 5, 'S'}, {200, 5, 'S'}, {250, 5, 'G'}}, NULL},
};
/* clang-format on */

static char letter(enum quality_flag flag) {
    switch (flag) {
    case QUALITY_GOOD:
        return 'G';
    case QUALITY_NOT_EVALUATED:
        return 'N';
    case QUALITY_SUSPECT:
        return 'S';
    case QUALITY_FAIL:
        return 'F';
    case QUALITY_MISSING:
        return 'M';
    }
    return '?';
}

static struct reading reading_of(const struct step *step, uint64_t seq) {
    return (struct reading){.seq = seq,
                            .status = READING_OK,
                            .value = step->value,
                            .received = {{(int64_t)(step->at_s * 1e6)}, {0}},
                            .flag = QUALITY_NOT_EVALUATED};
}

static void test_golden_vectors(void **state) {
    (void)state;
    for (size_t v = 0; v < sizeof vectors / sizeof vectors[0]; v++) {
        const struct vector *vector = &vectors[v];
        struct quality_state quality = {0};
        for (int i = 0; i < STEPS_MAX && vector->steps[i].flag != '\0'; i++) {
            struct reading reading = reading_of(&vector->steps[i], (uint64_t)i + 1);
            struct reading worse = {0};
            bool got_worse = quality_test(&quality, &vector->limits, NULL, &reading, &worse);
            char want = vector->worse != NULL ? vector->worse[i] : '.';
            char got = got_worse ? letter(worse.flag) : '.';
            if (letter(reading.flag) != vector->steps[i].flag || got != want) {
                fail_msg("%s, step %d: %c and %c, expected %c and %c", vector->name, i + 1,
                         letter(reading.flag), got, vector->steps[i].flag, want);
            }
            assert_int_equal(reading.quality_revision, 3);
            assert_int_equal(isnan(reading.value), reading.flag == QUALITY_MISSING);
            if (got_worse) {
                assert_true(worse.seq < reading.seq);
                assert_int_equal((worse.suspect_tests | worse.fail_tests), 1 << TEST_SPIKE);
            }
        }
    }
}

static void test_bits_name_the_test(void **state) {
    (void)state;
    struct quality_limits limits = {RANGE};
    struct quality_state quality = {0};
    struct reading worse;
    limits.rate_max_per_s = 0.01;
    struct step steps[] = {{0, 10, 0}, {60, 60, 0}, {120, 200, 0}};
    struct reading first = reading_of(&steps[0], 1);
    struct reading second = reading_of(&steps[1], 2);
    struct reading third = reading_of(&steps[2], 3);
    (void)quality_test(&quality, &limits, NULL, &first, &worse);
    (void)quality_test(&quality, &limits, NULL, &second, &worse);
    (void)quality_test(&quality, &limits, NULL, &third, &worse);
    assert_int_equal(first.suspect_tests | first.fail_tests, 0);
    assert_int_equal(second.suspect_tests, 1 << TEST_GROSS_RANGE | 1 << TEST_RATE_OF_CHANGE);
    assert_int_equal(second.fail_tests, 0);
    /* Out of all bounds: nothing else is asked. */
    assert_int_equal(third.suspect_tests, 0);
    assert_int_equal(third.fail_tests, 1 << TEST_GROSS_RANGE);
}

static void test_failed_requests_are_missing_and_have_no_number(void **state) {
    (void)state;
    for (int status = READING_OK + 1; status < READING_STATUS_COUNT; status++) {
        struct quality_limits limits = {RANGE};
        struct quality_state quality = {0};
        struct reading worse;
        struct reading reading = {.status = (enum reading_status)status, .value = 7};
        assert_false(quality_test(&quality, &limits, NULL, &reading, &worse));
        assert_int_equal(reading.flag, QUALITY_MISSING);
        assert_true(isnan(reading.value));
        assert_int_equal(reading.status, status);
        assert_false(quality.has_last);
    }
}

static void test_a_failed_spike_is_no_reference_for_the_rate(void **state) {
    (void)state;
    struct quality_limits limits = {SPIKE};
    struct quality_state quality = {0};
    struct reading worse;
    limits.rate_max_per_s = 0.1;
    struct step steps[] = {{0, 1, 0}, {60, 90, 0}, {120, 2, 0}};
    struct reading readings[3];
    for (uint64_t i = 0; i < 3; i++) {
        readings[i] = reading_of(&steps[i], i + 1);
        (void)quality_test(&quality, &limits, NULL, &readings[i], &worse);
    }
    assert_int_equal(readings[1].flag, QUALITY_SUSPECT); /* the rate, at once */
    assert_int_equal(worse.flag, QUALITY_FAIL);          /* the spike, afterwards */
    assert_int_equal(readings[2].flag, QUALITY_GOOD);    /* 1 in 120 s, not 88 in 60 s */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_bits_name_the_test),
        cmocka_unit_test(test_failed_requests_are_missing_and_have_no_number),
        cmocka_unit_test(test_a_failed_spike_is_no_reference_for_the_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
