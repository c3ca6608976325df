/* Landslide indicators on a grid: every cell against those of its rain as a series, missing frames
 * and cells, refusals. */
#include "tests/unit/gridfile.h"

#include "models/landslide/landslide.h"
#include "models/landslide/model_landslide.h"
#include "models/table/table.h"

enum { HOURS = 120, N = 4 };

static double rain[HOURS * 4]; /* two by two cells */

static int command(const char *line) {
    char text[1200];
    char *argv[64] = {NULL};
    int argc = 0;
    (void)snprintf(text, sizeof text,
                   "landslide-grid --rain rain.nc --susceptibility class.nc --thresholds %s --risk "
                   "%s --out out.nc %s",
                   CANHBAO_SOURCE_DIR "/models/landslide/rainfall_thresholds.csv",
                   CANHBAO_SOURCE_DIR "/alerts/tables/risk_levels.csv", line);
    for (char *at = strtok(text, " "); at != NULL && argc < 63; at = strtok(NULL, " ")) {
        argv[argc++] = at;
    }
    return model_landslide_grid.run(argc, argv);
}

/* `lost`: a frame that is left out. */
static void write_rain(size_t lost) {
    static const double x[2] = {108.1, 108.3}, y[2] = {14.3, 14.1};
    static double times[HOURS], values[HOURS * 4];
    size_t frames = 0;
    for (size_t t = 0; t < HOURS; t++) {
        for (size_t c = 0; c < 4; c++) {
            rain[t * 4 + c] = t + 30 >= HOURS ? 2.0 * (double)(c + 1) * (double)(t % 5) : 0.1;
            rain[t * 4 + c] = t == lost ? (double)NAN : rain[t * 4 + c];
            values[frames * 4 + c] = rain[t * 4 + c];
        }
        times[frames] = 3600.0 * (double)t;
        frames += t != lost;
    }
    const struct gridfile file = {.path = "rain.nc",
                                  .frames = frames,
                                  .rows = 2,
                                  .columns = 2,
                                  .x = x,
                                  .y = y,
                                  .times = times,
                                  .type = NC_DOUBLE,
                                  .values = values};
    gridfile_write(&file);
}

static void write_classes(double odd) {
    static const double x[N] = {108.05, 108.15, 108.25, 108.35},
                        y[N] = {14.35, 14.25, 14.15, 14.05};
    double values[N * N];
    for (int i = 0; i < N * N; i++) {
        values[i] = i == 5 ? (double)NAN : i % 4 + 1;
    }
    values[0] = odd;
    const struct gridfile file = {.path = "class.nc",
                                  .frames = 1,
                                  .rows = N,
                                  .columns = N,
                                  .x = x,
                                  .y = y,
                                  .no_time = 1,
                                  .no_standard_name = 1,
                                  .units = "1",
                                  .variable = "susceptibility",
                                  .type = NC_DOUBLE,
                                  .values = values};
    gridfile_write(&file);
}

static void read_field(const char *name, double *ret_values) {
    int id = 0, variable = 0;
    GF(nc_open("out.nc", NC_NOWRITE, &id));
    GF(nc_inq_varid(id, name, &variable));
    GF(nc_get_var_double(id, variable, ret_values));
    GF(nc_close(id));
}

static void check_cells(void) {
    static const char *const words[] = {"low", "medium", "high", "very_high"};
    struct landslide_threshold curves[64];
    struct table *rules = NULL, *table = NULL;
    double exceeded[N * N], ratio[N * N], level[N * N], state[N * N], series[HOURS];
    size_t count = 0, caine = 0;
    assert_int_equal(
        table_read(CANHBAO_SOURCE_DIR "/models/landslide/rainfall_thresholds.csv", &table, NULL),
        0);
    assert_int_equal(table_read(CANHBAO_SOURCE_DIR "/alerts/tables/risk_levels.csv", &rules, NULL),
                     0);
    assert_int_equal(landslide_thresholds(table, curves, 64, &count, NULL), 0);
    while (strcmp(curves[caine].id, "caine1980") != 0) {
        caine++;
    }
    read_field("caine1980_exceeded", exceeded);
    read_field("caine1980_ratio", ratio);
    read_field("article_46_level", level);
    read_field("article_46_state", state);
    for (int i = 0; i < N * N; i++) {
        if (i == 5) {
            assert_true(isnan(ratio[i]) && exceeded[i] == 127 && level[i] == 127);
            continue;
        }
        struct landslide_class class_46;
        int cell = (i / N / 2) * 2 + i % N / 2;
        for (int t = 0; t < HOURS; t++) {
            series[t] = (double)(float)rain[t * 4 + cell];
        }
        struct landslide_exceedance e = landslide_exceeds(&curves[caine], series, HOURS);
        assert_true(exceeded[i] == (double)e.answer && fabs(ratio[i] - e.ratio) < 1e-6);
        assert_int_equal(
            landslide_article_46(rules, "KV4", words[i % 4], series, HOURS, 0.1, &class_46, NULL),
            0);
        assert_true(level[i] == class_46.level);
        assert_true((state[i] == 1) == class_46.may_be_higher);
    }
    table_destroy(rules);
    table_destroy(table);
}

static void test_cells_are_their_series(void **state) {
    (void)state;
    write_classes(1);
    write_rain(SIZE_MAX);
    assert_int_equal(command("--curves caine1980 aleotti2004 --zone KV4 --manifest m.json"), 0);
    check_cells();
    write_rain(HOURS - 10); /* unknown where nothing is exceeded */
    assert_int_equal(command("--curves caine1980 --zone KV4"), 0);
    check_cells();
}

static void test_refusals(void **state) {
    (void)state;
    write_classes(1);
    write_rain(SIZE_MAX);
    assert_int_equal(command("--curves nothing --zone KV4"), 3);
    assert_int_equal(command("--curves caine1980 --zone KV99"), 3);
    write_classes(7);
    assert_int_equal(command("--curves caine1980 --zone KV4"), 3);
    assert_int_equal(command("--zone KV4"), 2);
    assert_int_equal(access("out.nc", F_OK), -1);
}

static int enter(void **state) {
    static char folder[4096];
    gridfile_folder(folder, sizeof folder);
    *state = folder;
    return chdir(folder);
}

static int leave(void **state) {
    static const char *const files[] = {"rain.nc", "class.nc", "out.nc", "m.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        (void)unlink(files[i]); /* not every test makes all of them */
    }
    return chdir("/") != 0 || rmdir(*state) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cells_are_their_series, enter, leave),
        cmocka_unit_test_setup_teardown(test_refusals, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
