/* Rain buckets that are compared with each other and with a stage, inside the engine, against flags
 * that tests/unit/totals_golden.py computed apart from the program; straight through, and with a
 * restart from a snapshot before every seventh minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/csv_row.h"
#include "tests/unit/engine_fixture.h"

enum { STAGE, BUCKET, BUCKET_B, BUCKET_C, POINTS };
enum { CASE, MINUTE, A, B, C, STAGE_M, EXPECTED, COLUMNS, LINE_SIZE = 160 };
enum { VECTORS_MIN = 20, RESTART_EVERY = 7 };

static const char file_name[] = CANHBAO_SOURCE_DIR "/tests/data/quality/totals.csv";

static struct fixture fixture;
static struct station stations[3];
static struct point points[POINTS];
static struct engine *engine;
static uint64_t number;
static struct reading last;

static void on_reading(void *context, const struct reading *reading) {
    (void)context;
    last = *reading;
}

static const struct engine_sink sink = {.on_reading = on_reading};

static struct quality_cross cross_with(uint32_t other, enum quality_statistic statistic,
                                       int64_t window_us) {
    return (struct quality_cross){.value_above = (double)NAN,
                                  .rise_above = (double)NAN,
                                  .other = {.index = other},
                                  .statistic = statistic,
                                  .window_us = window_us,
                                  .other_min = (double)NAN,
                                  .other_max = (double)NAN};
}

/* What the script says of its cases. */
static void set_limits(bool with_neighbours) {
    struct quality_limits *limits = &points[BUCKET].quality;
    *limits = fixture_no_limits();
    if (with_neighbours) {
        limits->neighbour_max = 3.05;
        limits->neighbour_age_us = 10 * MIN;
        limits->neighbour_window_us = 30 * MIN;
        limits->neighbour_count = 2;
        limits->neighbours[0].index = BUCKET_B;
        limits->neighbours[1].index = BUCKET_C;
        return;
    }
    limits->cross_count = 1;
    limits->cross[0] = cross_with(STAGE, STATISTIC_LATEST, 3 * MIN);
    limits->cross[0].rise_above = 5.05;
    limits->cross[0].rise_window_us = 30 * MIN;
    limits->cross[0].other_min = 2;
}

static void begin(bool with_neighbours) {
    struct err err;
    fixture_init(&fixture);
    number = 0;
    for (uint32_t i = 0; i < 3; i++) {
        stations[i] = fixture.stations[0];
        stations[i].first_point = i == 0 ? 0 : BUCKET + i;
        stations[i].point_count = i == 0 ? 2 : 1;
    }
    strcpy(stations[1].id, "above");
    strcpy(stations[2].id, "below");
    for (uint32_t i = 0; i < POINTS; i++) {
        points[i] = fixture.points[i == STAGE ? POINT_STAGE : POINT_RAIN];
        points[i].station = i > BUCKET ? i - BUCKET : 0;
        points[i].quality = fixture_no_limits();
        points[i].quality.hard_min = 0;
    }
    /* A test of another point, so that the bucket's are not the first ones. */
    points[STAGE].quality.cross_count = 1;
    points[STAGE].quality.cross[0] = cross_with(BUCKET_B, STATISTIC_AMOUNT, 60 * MIN);
    points[STAGE].quality.cross[0].value_above = 100;
    points[STAGE].quality.cross[0].other_min = 0;
    set_limits(with_neighbours);
    fixture.site.stations = stations;
    fixture.site.station_count = 3;
    fixture.site.points = points;
    fixture.site.point_count = POINTS;
    assert_int_equal(engine_create(&fixture.site, fixture_at(0), &engine, &err), 0);
}

static void restart(void) {
    struct bytes bytes = {0};
    struct engine *next = NULL;
    struct err err;
    assert_int_equal(engine_save(engine, &bytes), 0);
    assert_int_equal(engine_create(&fixture.site, fixture_at(0), &next, &err), 0);
    assert_int_equal(engine_load(next, bytes.data, bytes.length, NULL, NULL), 0);
    engine = engine_destroy(engine);
    engine = next;
    bytes_finish(&bytes);
}

static void read_at(int64_t minute, uint32_t point, const char *text) {
    struct engine_input input = {
        .kind = ENGINE_READING, .number = ++number, .now = fixture_at(minute * MIN)};
    if (text[0] == '\0') {
        return; /* nothing came */
    }
    input.as.reading = (struct reading){.point = point,
                                        .seq = number,
                                        .status = READING_OK,
                                        .value = strtod(text, NULL),
                                        .received = fixture_at(minute * MIN)};
    assert_int_equal(engine_step(engine, &input, &sink), 0);
}

static void run(bool restarts) {
    static const char *const cases[] = {"neighbour", "cross_variable"};
    FILE *file = fopen(file_name, "r");
    char line[LINE_SIZE];
    int counts[2][4] = {{0}}, open = -1;
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file)); /* the header */
    while (fgets(line, sizeof line, file) != NULL) {
        char *fields[COLUMNS];
        csv_split(line, fields, COLUMNS);
        int which = strcmp(fields[CASE], cases[0]) == 0 ? 0 : 1;
        int64_t minute = strtol(fields[MINUTE], NULL, 10);
        assert_string_equal(fields[CASE], cases[which]);
        if (which != open) {
            engine = engine_destroy(engine);
            begin(which == 0);
            open = which;
        } else if (restarts && minute % RESTART_EVERY == 0) {
            restart();
        }
        read_at(minute, STAGE, fields[STAGE_M]);
        read_at(minute, BUCKET_B, fields[B]);
        read_at(minute, BUCKET_C, fields[C]);
        read_at(minute, BUCKET, fields[A]); /* the last, so that it sees the others */
        if (fields[EXPECTED][0] == '\0') {
            continue;
        }
        int flag = atoi(fields[EXPECTED]);
        enum quality_test test = which == 0 ? TEST_NEIGHBOUR : TEST_CROSS_VARIABLE;
        if ((int)last.flag != flag || last.suspect_tests != (flag == 3 ? 1 << test : 0)) {
            fail_msg("%s minute %d: flag %d, tests %d", cases[which], (int)minute, (int)last.flag,
                     last.suspect_tests);
        }
        counts[which][flag]++;
    }
    (void)fclose(file);
    engine = engine_destroy(engine);
    for (int i = 0; i < 2; i++) {
        for (int flag = 1; flag <= 3; flag++) { /* passed, not compared, suspect */
            assert_true(counts[i][flag] >= VECTORS_MIN);
        }
    }
}

static void test_golden_vectors(void **state) {
    (void)state;
    run(false);
}

static void test_a_restart_changes_nothing(void **state) {
    (void)state;
    run(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_vectors),
        cmocka_unit_test(test_a_restart_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
