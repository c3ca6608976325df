/* Windows over readings. Expected numbers are worked out by hand in the comments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "daemon/base/err.h"
#include "daemon/station/window.h"

#define SEC  INT64_C(1000000)
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)

static struct window window;

static void begin(enum window_kind kind, int64_t window_us, int64_t period_us) {
    assert_int_equal(window_init(kind, window_us, period_us, &window), 0);
}

static void add(int64_t start_us, int64_t end_us, double amount, bool good, uint64_t seq) {
    struct window_segment segment = {.start_us = start_us,
                                     .end_us = end_us,
                                     .good_us = good ? end_us - start_us : 0,
                                     .amount = amount,
                                     .count = 1,
                                     .good = good,
                                     .seq = seq};
    window_add(&window, &segment);
}

static void rain(int64_t from_min, int64_t to_min, double amount) {
    add(from_min * MIN, to_min * MIN, amount, true, (uint64_t)to_min);
}

static struct window_value at_min(int64_t minute) {
    return window_value(&window, minute * MIN);
}

static void assert_close(double value, double want) {
    if (!(fabs(value - want) < 1e-9)) {
        fail_msg("%.12g instead of %.12g", value, want);
    }
}

static int finish(void **state) {
    (void)state;
    window_finish(&window);
    return 0;
}

static void test_accumulation_of_whole_intervals(void **state) {
    (void)state;
    begin(WINDOW_ACCUMULATION, HOUR, 10 * MIN);
    assert_true(isnan(at_min(0).value));
    for (int i = 0; i < 6; i++) {
        rain(i * 10, i * 10 + 10, i + 1); /* 1 2 3 4 5 6 */
    }
    assert_close(at_min(60).value, 21);
    assert_close(at_min(60).completeness, 1);
    rain(60, 70, 10); /* the first leaves: 2+3+4+5+6+10 */
    assert_close(at_min(70).value, 30);
    assert_close(at_min(70).completeness, 1);
    assert_int_equal(at_min(70).count, 6);
    assert_int_equal(at_min(70).oldest_us, 10 * MIN);
    assert_int_equal(at_min(70).oldest_seq, 20);
}

static void test_accumulation_cuts_a_short_interval_in_proportion(void **state) {
    (void)state;
    begin(WINDOW_ACCUMULATION, HOUR, 10 * MIN);
    rain(0, 10, 4);
    rain(10, 65, 11); /* ends at 65: window from 5, half of the first: 2 + 11 */
    assert_close(at_min(65).value, 13);
    assert_close(at_min(65).completeness, 1);
}

static void test_accumulation_does_not_guess_inside_a_long_interval(void **state) {
    (void)state;
    begin(WINDOW_ACCUMULATION, HOUR, 10 * MIN);
    rain(0, 100, 90); /* an outage: 90 mm, nobody knows when */
    assert_true(isnan(at_min(100).value));
    assert_close(at_min(100).completeness, 0);
    rain(100, 110, 5);
    assert_close(at_min(110).value, 5);
    assert_close(at_min(110).completeness, 10.0 / 60);
}

static void test_accumulation_with_a_hole_is_incomplete(void **state) {
    (void)state;
    begin(WINDOW_ACCUMULATION, HOUR, 10 * MIN);
    rain(0, 10, 1);
    rain(30, 60, 3);
    assert_close(at_min(60).value, 4);
    assert_close(at_min(60).completeness, 40.0 / 60);
    /* time without news at the end is a hole too */
    assert_close(at_min(65).completeness, 35.0 / 60);
}

static void test_accumulation_counts_doubted_amounts_but_not_their_time(void **state) {
    (void)state;
    begin(WINDOW_ACCUMULATION, HOUR, 30 * MIN);
    rain(0, 30, 10);
    add(30 * MIN, 60 * MIN, 7, false, 2);
    assert_close(at_min(60).value, 17);
    assert_close(at_min(60).completeness, 0.5);
    assert_true(at_min(60).doubtful);
}

static void test_accumulation_merges_but_does_not_lose(void **state) {
    (void)state;
    begin(WINDOW_ACCUMULATION, 72 * HOUR, SEC);
    /* one second each: 72 h in 12 min grains; 0.001 a second, 259.2 in all */
    for (int64_t second = 0; second < 80 * 3600; second++) {
        add(second * SEC, (second + 1) * SEC, 0.001, true, (uint64_t)second + 1);
        assert_true(window.count <= window.capacity);
    }
    assert_true(window.capacity <= WINDOW_SEGMENTS_MAX);
    struct window_value value = window_value(&window, 80 * HOUR);
    assert_true(fabs(value.value - 259.2) < 1e-6);
    assert_close(value.completeness, 1);
}

static void test_ring_is_bounded_for_hostile_input(void **state) {
    (void)state;
    begin(WINDOW_ACCUMULATION, HOUR, MIN);
    for (int64_t i = 1; i < 200000; i++) {
        int64_t end_us = i * 7919; /* 8 ms steps, holes everywhere */
        add(end_us - 3, end_us, 1, i % 3 != 0, (uint64_t)i);
        assert_true(window.count <= window.capacity);
    }
    add(5, 6, 1e9, true, 1); /* older than the newest: ignored */
    assert_true(window_value(&window, 199999 * INT64_C(7919)).value < 2e5 + 1);
}

static void test_mean_of_the_window(void **state) {
    (void)state;
    begin(WINDOW_MEAN, 10 * MIN, 2 * MIN);
    for (int i = 1; i <= 5; i++) {
        add(i * 2 * MIN, i * 2 * MIN, i, true, (uint64_t)i); /* 1 2 3 4 5 */
    }
    assert_close(at_min(10).value, 3);
    assert_close(at_min(10).completeness, 1);
    add(12 * MIN, 12 * MIN, 10, true, 6); /* the one at 2 min is outside (2, 12]: 2+3+4+5+10 */
    assert_close(at_min(12).value, 4.8);
    assert_int_equal(at_min(12).count, 5);
    assert_int_equal(at_min(12).oldest_us, 4 * MIN);
}

static void test_mean_with_few_or_doubted_readings(void **state) {
    (void)state;
    begin(WINDOW_MEAN, 10 * MIN, 2 * MIN);
    assert_true(isnan(at_min(0).value));
    add(2 * MIN, 2 * MIN, 8, true, 1);
    assert_close(at_min(2).value, 8);
    assert_close(at_min(2).completeness, 0.2);
    add(4 * MIN, 4 * MIN, 4, false, 2);
    assert_close(at_min(4).value, 6);
    assert_close(at_min(4).completeness, 0.2);
    assert_true(at_min(4).doubtful);
}

static void test_rise_against_the_start_of_the_window(void **state) {
    (void)state;
    begin(WINDOW_RISE, HOUR, 10 * MIN);
    for (int i = 0; i <= 7; i++) {
        add(i * 10 * MIN, i * 10 * MIN, i * i, true, (uint64_t)i + 1);
    }
    /* at 70 min: 49 minus the value of 10 min, 1 */
    assert_close(at_min(70).value, 48);
    assert_close(at_min(70).completeness, 1);
    assert_int_equal(at_min(70).oldest_seq, 2);
}

static void test_rise_takes_an_older_start_within_the_tolerance(void **state) {
    (void)state;
    begin(WINDOW_RISE, HOUR, 10 * MIN); /* tolerance 20 min */
    add(0, 0, 1, true, 1);
    add(80 * MIN, 80 * MIN, 5, true, 2);
    assert_close(at_min(80).value, 4);
    assert_close(at_min(80).completeness, 1);
    add(101 * MIN, 101 * MIN, 6, true, 3); /* 101 min later is too old; what is left is 80 min */
    assert_close(at_min(101).value, 1);
    assert_close(at_min(101).completeness, 21.0 / 60);
}

static void test_rise_of_a_short_history_is_partial(void **state) {
    (void)state;
    begin(WINDOW_RISE, HOUR, 10 * MIN);
    add(0, 0, 2, true, 1);
    assert_true(isnan(at_min(0).value));
    add(30 * MIN, 30 * MIN, 5, false, 2);
    assert_close(at_min(30).value, 3);
    assert_close(at_min(30).completeness, 0.5);
    assert_true(at_min(30).doubtful);
}

static void test_taking_back_the_newest(void **state) {
    (void)state;
    begin(WINDOW_MEAN, 10 * MIN, 2 * MIN);
    add(2 * MIN, 2 * MIN, 1, true, 1);
    add(4 * MIN, 4 * MIN, 99, true, 2);
    window_take_back(&window, 3 * MIN); /* not its stamp */
    assert_close(at_min(4).value, 50);
    window_take_back(&window, 4 * MIN);
    assert_close(at_min(2).value, 1);
}

static void test_sizes_are_checked(void **state) {
    (void)state;
    struct window other = {0};
    assert_int_equal(window_init(WINDOW_MEAN, 0, MIN, &other), ERR_INVALID);
    assert_int_equal(window_init(WINDOW_MEAN, HOUR, 0, &other), ERR_INVALID);
    assert_null(other.segments);
    begin(WINDOW_MEAN, 1, 1);
    assert_true(window.capacity >= 3);
}

/* Readings of every half hour; `hours` newest first, NaN: none in that hour. */
static void fill_hours(const double hours[12], double spread) {
    begin(WINDOW_NOWCAST, 12 * HOUR, 30 * MIN);
    for (int half = 1; half <= 24; half++) {
        double value = hours[11 - (half - 1) / 2];
        if (!isnan(value)) {
            value += half % 2 == 0 ? spread : -spread;
            add(half * 30 * MIN, half * 30 * MIN, value, true, (uint64_t)half);
        }
    }
}

static void test_nowcast_of_whole_hours(void **state) {
    (void)state;
    double hours[12];
    for (int i = 0; i < 12; i++) {
        hours[i] = i == 0 ? 100 : 60;
    }
    fill_hours(hours, 5);
    /* w = 60/100; (100 + 60 (0.6 + ... + 0.6^11)) / (1 + 0.6 + ... + 0.6^11)
     * = 60 + 40 / ((1 - 0.6^12) / 0.4), and 0.6^12 = 0.002176782336 */
    assert_close(at_min(720).value, 60 + 16 / (1 - 0.002176782336));
    assert_close(at_min(720).completeness, 1);
    assert_int_equal(at_min(720).count, 24);
    window_finish(&window);
    for (int i = 1; i < 12; i++) {
        hours[i] = 20;
    }
    fill_hours(hours, 0); /* w = 1/2: 50 + 20 (1/4 + ... + 1/4096) = 50 + 20 (1/2 - 1/4096) */
    assert_close(at_min(720).value, 60 - 20.0 / 4096);
}

static void test_nowcast_with_missing_hours(void **state) {
    (void)state;
    double hours[12] = {50, NAN, 50, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    fill_hours(hours, 0);
    assert_close(at_min(720).value, 50); /* two of the newest three */
    assert_close(at_min(720).completeness, 2.0 / 12);
    window_finish(&window);
    hours[2] = NAN;
    hours[3] = hours[4] = hours[5] = 50;
    fill_hours(hours, 0);
    assert_true(isnan(at_min(720).value)); /* one of the newest three: not known */
    window_finish(&window);
    hours[1] = 50;
    fill_hours(hours, 0);
    assert_close(at_min(720).value, 50);
    /* Half an hour later with a doubted reading: the newest hour has one of two, which is below
     * three quarters; the next one stands, the third misses. */
    add(750 * MIN, 750 * MIN, 900, false, 25);
    assert_true(isnan(at_min(750).value));
    assert_true(at_min(750).doubtful);
}

/* Hourly means of ozone and their means over eight hours as Decision 1459/QĐ-TCMT 2.2.2 a) prints
 * them, the hours rounded to 0.1 and so the means within 0.07: the highest of the day is 74.4 at
 * 17:00. */
static void test_highest_means_of_the_decision_s_example(void **state) {
    (void)state;
    static const double ozone[31] = {15.7, 14.2, 17.7, 18.9, 19.3, 15.7, 19.7, 22.6,
                                     27.1, 29.0, 31.9, 25.3, 34.7, 35.2, 41.6, 45.7,
                                     49.2, 55.8, 69.6, 78.3, 91.5, 97.7, 81.2, 71.8,
                                     43.5, 34.3, 21.5, 20.5, 19.4, 20.4, 21.3};
    static const double printed[24] = {18.0, 19.4, 21.2, 23.0, 23.8, 25.8, 28.2, 30.9,
                                       33.8, 36.6, 39.9, 44.7, 51.3, 58.4, 66.2, 71.1,
                                       74.4, 73.7, 71.0, 65.0, 57.8, 48.7, 39.1, 31.6};
    for (int end = 8; end <= 31; end++) { /* one value of the day at a time: a window of one hour */
        begin(WINDOW_HIGHEST_8H, HOUR, HOUR);
        for (int i = 0; i < end; i++) {
            add((i + 1) * HOUR, (i + 1) * HOUR, ozone[i], true, (uint64_t)i + 1);
        }
        assert_true(fabs(at_min(end * 60).value - printed[end - 8]) < 0.07);
        assert_close(at_min(end * 60).completeness, 1);
        window_finish(&window);
    }
    begin(WINDOW_HIGHEST_8H, 24 * HOUR, 10 * MIN);
    struct window hours;
    assert_int_equal(window_init(WINDOW_HIGHEST_HOUR, 24 * HOUR, 10 * MIN, &hours), 0);
    for (int i = 1; i <= 31 * 6; i++) {
        double value = ozone[(i - 1) / 6] + (i % 2 == 0 ? 3 : -3);
        struct window_segment segment = {i * 10 * MIN, i * 10 * MIN, 0, value, 1, 1, (uint64_t)i};
        add(segment.start_us, segment.end_us, value, true, segment.seq);
        window_add(&hours, &segment);
    }
    assert_true(fabs(at_min(31 * 60).value - 74.4) < 0.0501);
    assert_close(at_min(31 * 60).completeness, 1);
    assert_close(window_value(&hours, 31 * HOUR).value, 97.7);
    assert_close(window_value(&hours, 31 * HOUR).completeness, 1);
    window_finish(&hours);
}

/* What is missing makes a highest mean a lower bound: the value stands, the completeness falls. */
static void test_highest_means_with_missing_hours(void **state) {
    (void)state;
    begin(WINDOW_HIGHEST_HOUR, 4 * HOUR, 30 * MIN);
    assert_true(isnan(at_min(240).value));
    for (int half = 1; half <= 8; half++) {
        if (half < 3 || half > 6) { /* the two hours in the middle are missing */
            add(half * 30 * MIN, half * 30 * MIN, half, true, (uint64_t)half);
        }
    }
    assert_close(at_min(240).value, 7.5);
    assert_close(at_min(240).completeness, 0.5);
    window_finish(&window);
    begin(WINDOW_HIGHEST_8H, 2 * HOUR, HOUR);
    for (int hour = 1; hour <= 9; hour++) {
        if (hour != 3 && hour != 4 && hour != 5) {
            add(hour * HOUR, hour * HOUR, hour, true, (uint64_t)hour);
        }
    }
    /* 2 to 9 lack three of eight; 1 to 8 lack three as well: below six */
    assert_true(isnan(at_min(540).value));
    assert_close(at_min(540).completeness, 0);
    add(10 * HOUR, 10 * HOUR, 10, true, 10);
    assert_true(isnan(at_min(600).value)); /* 3 to 10: 6 7 8 9 10 */
    add(11 * HOUR, 11 * HOUR, 11, true, 11);
    assert_close(at_min(660).value, 8.5); /* 4 to 11: the mean of 6 to 11 */
    assert_close(at_min(660).completeness, 0.5);
}

static void test_lowest_daily_maximum(void **state) {
    (void)state;
    static const double noons[] = {38, 36.5, 39, 41};
    begin(WINDOW_LOWEST_DAILY_MAX, 3 * 24 * HOUR, 30 * MIN);
    for (int half = 1; half <= 4 * 48; half++) {
        int day = (half - 1) / 48;
        double value = (half - 1) % 48 == 30 ? noons[day] : 25;
        if (day < 3 || half % 2 == 0) { /* every other reading is missing on the last day */
            add(half * 30 * MIN, half * 30 * MIN, value, true, (uint64_t)half);
        }
        if (half == 96) { /* two days cannot say anything of three */
            assert_true(isnan(at_min(96 * 30).value));
            assert_close(at_min(96 * 30).completeness, 2.0 / 3);
        }
        if (half == 144) {
            assert_close(at_min(144 * 30).value, 36.5);
            assert_close(at_min(144 * 30).completeness, 1);
        }
    }
    assert_true(isnan(at_min(192 * 30).value)); /* nobody knows how hot the last day was */
    window_finish(&window);
    begin(WINDOW_LOWEST_DAILY_MAX, 26 * 24 * HOUR, 10 * MIN); /* the longest of Art. 47 */
    for (int i = 1; i <= 26 * 144; i++) {
        double value = (i - 1) % 144 == 80 ? 37 + (double)(i / 144) / 10 : 26;
        add(i * 10 * MIN, i * 10 * MIN, value, true, (uint64_t)i);
    }
    assert_close(at_min(26 * 1440).value, 37);
    assert_true(window.count <= window.capacity);
}

static void test_highest_daily_mean(void **state) {
    (void)state;
    static const double means[] = {9, 12, 7};
    begin(WINDOW_HIGHEST_DAILY_MEAN, 2 * 24 * HOUR, 30 * MIN);
    for (int half = 1; half <= 3 * 48; half++) {
        double value = means[(half - 1) / 48] + (half % 2 == 0 ? 4 : -4);
        add(half * 30 * MIN, half * 30 * MIN, value, true, (uint64_t)half);
        if (half == 48) {
            assert_true(isnan(at_min(48 * 30).value)); /* of the day before nothing is known */
        }
    }
    assert_close(at_min(144 * 30).value, 12);
    assert_close(at_min(144 * 30).completeness, 1);
}

static void test_lengths_of_parts(void **state) {
    (void)state;
    assert_true(window_length_fits(WINDOW_HIGHEST_HOUR, 24 * HOUR));
    assert_true(window_length_fits(WINDOW_HIGHEST_8H, 48 * HOUR));
    assert_false(window_length_fits(WINDOW_HIGHEST_8H, 49 * HOUR));
    assert_false(window_length_fits(WINDOW_HIGHEST_HOUR, 90 * MIN));
    assert_false(window_length_fits(WINDOW_HIGHEST_HOUR, 0));
    assert_false(window_length_fits(WINDOW_LOWEST_DAILY_MAX, 36 * HOUR));
    assert_false(window_length_fits(WINDOW_LOWEST_DAILY_MAX, 31 * 24 * HOUR));
    assert_true(window_length_fits(WINDOW_LOWEST_DAILY_MAX, 30 * 24 * HOUR));
}

#define TEST(name) cmocka_unit_test_teardown(name, finish)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_accumulation_of_whole_intervals),
        TEST(test_accumulation_cuts_a_short_interval_in_proportion),
        TEST(test_accumulation_does_not_guess_inside_a_long_interval),
        TEST(test_accumulation_with_a_hole_is_incomplete),
        TEST(test_accumulation_counts_doubted_amounts_but_not_their_time),
        TEST(test_accumulation_merges_but_does_not_lose),
        TEST(test_ring_is_bounded_for_hostile_input),
        TEST(test_nowcast_of_whole_hours),
        TEST(test_nowcast_with_missing_hours),
        TEST(test_highest_means_of_the_decision_s_example),
        TEST(test_highest_means_with_missing_hours),
        TEST(test_lowest_daily_maximum),
        TEST(test_highest_daily_mean),
        TEST(test_lengths_of_parts),
        TEST(test_mean_of_the_window),
        TEST(test_mean_with_few_or_doubted_readings),
        TEST(test_rise_against_the_start_of_the_window),
        TEST(test_rise_takes_an_older_start_within_the_tolerance),
        TEST(test_rise_of_a_short_history_is_partial),
        TEST(test_taking_back_the_newest),
        TEST(test_sizes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
