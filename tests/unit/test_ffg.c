/* Flash-flood guidance: its defining properties over many states, and the command line. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "models/hydrology/ffg.h"
#include "models/hydrology/hydrology.h"
#include "models/table/table.h"

static const struct gr_parameters basins[] = {
    {350, -0.2, 60, 4.2}, {756, -0.77, 138, 5.2}, {120, 0.4, 25, 1.3}, {900, 0, 300, 14}};

static void test_properties(void **state) {
    (void)state;
    static struct gr gr;
    static struct gr_state s;
    int judged = 0;
    for (size_t b = 0; b < sizeof basins / sizeof *basins; b++) {
        assert_int_equal(gr_init(&gr, GR_HOURLY, &basins[b], false, NULL), 0);
        double before[3] = {INFINITY, INFINITY, INFINITY};
        gr_state_start(&gr, &s);
        for (int wet = 0; wet < 12; wet++) {
            struct ffg ffg[3];
            static const int hours[] = {1, 3, 6};
            for (int i = 0; i < 3; i++) {
                assert_int_equal(ffg_depth(&gr, &s, hours[i], 1.5, &ffg[i], NULL), 0);
                if (ffg[i].mark != FFG_OK) {
                    continue;
                }
                /* With that rain the threshold is reached within 0.5 %, with 0.1 mm less it is
                 * not. */
                double peak = ffg_peak_mm_h(&gr, &s, hours[i], ffg[i].depth_mm, NULL);
                assert_true(peak >= 1.5 && peak <= 1.5 * 1.005 && peak == ffg[i].peak_mm_h);
                assert_true(ffg_peak_mm_h(&gr, &s, hours[i], fmax(0, ffg[i].depth_mm - 0.1), NULL) <
                            1.5);
                assert_true(ffg[i].peak_h >= 1);
                /* The fuller the stores, the less rain it takes. */
                assert_true(ffg[i].depth_mm <= before[i]);
                assert_true(i == 0 || ffg[i - 1].mark != FFG_OK ||
                            ffg[i].depth_mm >= ffg[i - 1].depth_mm - FFG_STEP_MM);
                before[i] = ffg[i].depth_mm;
                judged++;
            }
            s.production_mm =
                fmin(gr.parameters.x1_mm, s.production_mm + 0.055 * gr.parameters.x1_mm);
            s.routing_mm = fmin(gr.parameters.x3_mm, s.routing_mm + 0.01 * gr.parameters.x3_mm);
        }
    }
    assert_true(judged > 60);
}

static void test_marks_and_refusals(void **state) {
    (void)state;
    static struct gr gr, daily;
    static struct gr_state s;
    struct ffg ffg;
    assert_int_equal(gr_init(&gr, GR_HOURLY, &basins[0], false, NULL), 0);
    assert_int_equal(gr_init(&daily, GR_DAILY, &basins[0], false, NULL), 0);
    gr_state_start(&gr, &s);
    assert_int_equal(ffg_depth(&gr, &s, 1, 1e-4, &ffg, NULL), 0);
    assert_true(ffg.mark == FFG_REACHED && ffg.depth_mm == 0);
    assert_int_equal(ffg_depth(&gr, &s, 1, 500, &ffg, NULL), 0);
    assert_true(ffg.mark == FFG_CAP && isnan(ffg.depth_mm));
    assert_int_equal(ffg_depth(&gr, &s, 0, 1, &ffg, NULL), ERR_RANGE);
    assert_int_equal(ffg_depth(&gr, &s, 25, 1, &ffg, NULL), ERR_RANGE);
    assert_int_equal(ffg_depth(&gr, &s, 1, NAN, &ffg, NULL), ERR_RANGE);
    assert_int_equal(ffg_depth(&gr, &s, 1, 0, &ffg, NULL), ERR_RANGE);
    assert_int_equal(ffg_depth(&daily, &s, 1, 1, &ffg, NULL), ERR_UNSUPPORTED);
}

static double cell(const char *path, size_t row, const char *name) {
    struct table *t = NULL;
    size_t column = 0;
    double values[8];
    assert_int_equal(table_read(path, &t, NULL), 0);
    assert_int_equal(table_find(t, name, &column, NULL), 0);
    assert_int_equal(table_numbers(t, column, 0, 1e9, values, NULL), 0);
    table_destroy(t);
    return values[row];
}

static int ffg_ahead(const char *forcing, const char *threshold, const char *forecast) {
    char *argv[] = {"ffg",
                    "--forcing",
                    (char *)(uintptr_t)forcing,
                    "--x1",
                    "350",
                    "--x2",
                    "-0.2",
                    "--x3",
                    "60",
                    "--x4",
                    "4.2",
                    "--area-km2",
                    "36",
                    "--threshold-m3-s",
                    (char *)(uintptr_t)threshold,
                    "--out",
                    "out.csv",
                    "--forecast",
                    (char *)(uintptr_t)forecast};
    return model_ffg.run(forecast != NULL ? 19 : 17, argv);
}

static int ffg_run(const char *forcing, const char *threshold) {
    return ffg_ahead(forcing, threshold, NULL);
}

static void put_rain(const char *path, int from_h, int to_h, double rain_mm) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("time,P,E\n", file);
    for (int h = from_h; h < to_h; h++) {
        fprintf(file, "2025-11-%02dT%02d:00Z,%.17g,0.1\n", 17 + h / 24, h % 24, rain_mm);
    }
    assert_int_equal(fclose(file), 0);
}

/* Forecast rain that is the guidance has the ratio 1; before a forecast there is none. */
static void test_rain_to_come(void **state) {
    (void)state;
    const char *past = "past.csv", *ahead = "ahead.csv";
    const char *out = "out.csv";
    put_rain(past, 0, 48, 0);
    assert_int_equal(ffg_run(past, "15"), 0);
    double three = cell(out, 1, "ffg_mm");
    assert_true(isnan(cell(out, 1, "ratio_ahead")));
    put_rain(ahead, 48, 51, three / 3);
    assert_int_equal(ffg_ahead(past, "15", ahead), 0);
    assert_true(fabs(cell(out, 1, "ratio_ahead") - 1) < 1e-9);
    assert_true(fabs(cell(out, 1, "rain_ahead_mm") - three) < 1e-9);
    /* Six hours are not foreseen from now on, but from three hours ago they are. */
    assert_true(fabs(cell(out, 2, "rain_ahead_mm") - three) < 1e-9);
    put_rain(ahead, 30, 47, 50); /* nothing of it lies ahead */
    assert_int_equal(ffg_ahead(past, "15", ahead), 0);
    assert_true(isnan(cell(out, 0, "ratio_ahead")));
    assert_int_equal(ffg_ahead(past, "15", "/nonexistent.csv"), 1);
    unlink(past);
    unlink(ahead);
    unlink(out);
}

static void test_command_line(void **state) {
    (void)state;
    const char *path = "forcing.csv";
    const char *out = "out.csv";
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("time,P,E\n", file);
    for (int h = 0; h < 48; h++) {
        fprintf(file, "2025-11-%02dT%02d:00Z,%s,0.1\n", 17 + h / 24, h % 24,
                h == 30   ? ""
                : h >= 46 ? "12"
                          : "1");
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(ffg_run(path, "15"), 0); /* 15 m3/s from 36 km2 are 1.5 mm/h */
    double one = cell(out, 0, "ffg_mm"), six = cell(out, 2, "ffg_mm");
    assert_true(one > 0 && one <= six);
    /* The gap of hour 30 may have been wet: then less rain is needed. */
    assert_true(cell(out, 0, "ffg_wet_mm") < one);
    assert_true(isnan(cell(out, 0, "ratio")) && cell(out, 1, "rain_mm") == 25);
    assert_int_equal(ffg_run(path, "0"), 2);
    assert_int_equal(ffg_run("/nonexistent.csv", "15"), 1);
    unlink(path);
    unlink(out);
}

/* What is written here is in a folder of this run alone. */
static char folder[] = "/tmp/canhbao-ffg-XXXXXX";

static int enter_folder(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL || chdir(folder) != 0 ? -1 : 0;
}

static int leave_folder(void **state) {
    (void)state;
    return chdir("/") != 0 || rmdir(folder) != 0 ? -1 : 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_marks_and_refusals),
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_rain_to_come),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
