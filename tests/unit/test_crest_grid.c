/* The distributed model from files to files: steady flow of a paved valley, rows in either order,
 * an interflow store that gives back what it took, a lost frame, refusals. */
#include "tests/unit/gridfile.h"

#include "models/hydrology/hydrology.h"
#include "models/table/table.h"

enum { ROWS = 6, COLUMNS = 5, FRAMES = 200, FORCING = 2 };

static const char *const laea_names[] = {"longitude_of_projection_origin",
                                         "latitude_of_projection_origin",
                                         "false_easting",
                                         "false_northing",
                                         "semi_major_axis",
                                         "inverse_flattening",
                                         NULL};
static const double laea_numbers[] = {109, 14, 0, 0, 6378137, 298.257222101};

static int command(const struct model *model, const char *line) {
    char text[1000];
    char *argv[64] = {NULL};
    int argc = 0;
    (void)snprintf(text, sizeof text, "%s %s", model->name, line);
    for (char *at = strtok(text, " "); at != NULL && argc < 63; at = strtok(NULL, " ")) {
        argv[argc++] = at;
    }
    return model->run(argc, argv);
}

static void write_grid(const char *path, const char *variable, const char *units, size_t frames,
                       size_t rows, size_t columns, const double *x, const double *y,
                       const double *times, const double *values) {
    const struct gridfile file = {.path = path,
                                  .frames = frames,
                                  .rows = rows,
                                  .columns = columns,
                                  .x = x,
                                  .y = y,
                                  .x_units = "m",
                                  .y_units = "m",
                                  .mapping = "lambert_azimuthal_equal_area",
                                  .names = laea_names,
                                  .numbers = laea_numbers,
                                  .times = times,
                                  .type = NC_DOUBLE,
                                  .no_standard_name = 1,
                                  .units = units,
                                  .variable = variable,
                                  .values = values};
    gridfile_write(&file);
}

/* A valley along the middle column that falls to the south. */
static void write_valley(int north_first) {
    double x[COLUMNS], y[ROWS], height[ROWS * COLUMNS], time = 0;
    for (int c = 0; c < COLUMNS; c++) {
        x[c] = 500.0 * c;
    }
    for (int r = 0; r < ROWS; r++) {
        y[r] = 500.0 * (north_first ? ROWS - 1 - r : r);
        for (int c = 0; c < COLUMNS; c++) {
            height[r * COLUMNS + c] = 100 + 0.02 * y[r] + 30 * abs(c - 2);
        }
    }
    write_grid("dem.nc", "dem", "m", 1, ROWS, COLUMNS, x, y, &time, height);
    assert_int_equal(command(&model_terrain, "--dem dem.nc --stream-km2 1 --out static.nc"), 0);
}

/* Hourly rates on two by two cells; `lost` is left out (SIZE_MAX: none). */
static void write_forcing(double rate_mm_h, size_t wet, size_t lost) {
    static const double x[2] = {250, 1750}, y[2] = {2000, 500};
    static double times[FRAMES], values[FRAMES * 4];
    size_t frames = 0;
    for (size_t t = 1; t <= FRAMES; t++) {
        if (t != lost) {
            for (size_t i = 0; i < 4; i++) {
                values[frames * 4 + i] = t <= wet ? rate_mm_h : 0;
            }
            times[frames++] = 3600.0 * (double)t;
        }
    }
    int id = 0, variable = 0, dims[3];
    write_grid("forcing.nc", "rain", "mm h-1", frames, 2, 2, x, y, times, values);
    GF(nc_open("forcing.nc", NC_WRITE, &id));
    GF(nc_redef(id));
    GF(nc_inq_dimid(id, "time", &dims[0]));
    GF(nc_inq_dimid(id, "y", &dims[1]));
    GF(nc_inq_dimid(id, "x", &dims[2]));
    GF(nc_def_var(id, "pet", NC_DOUBLE, 3, dims, &variable));
    gridfile_text(id, variable, "units", "mm h-1");
    gridfile_text(id, variable, "grid_mapping", "crs");
    GF(nc_enddef(id));
    memset(values, 0, sizeof values);
    GF(nc_put_var_double(id, variable, values));
    GF(nc_close(id));
}

static int run(const char *more) {
    char line[600];
    (void)snprintf(line, sizeof line,
                   "--static static.nc --forcing forcing.nc --outlets outlets.csv --b 0.3 --ke 1 "
                   "--out q.csv %s",
                   more);
    return command(&model_crest_grid, line);
}

static void write_outlets(const char *rows) {
    FILE *file = fopen("outlets.csv", "w");
    assert_non_null(file);
    assert_true(fprintf(file, "id,x,y\n%s", rows) > 0);
    assert_int_equal(fclose(file), 0);
}

/* Columns of q.csv; returns the rows. */
static size_t read_flow(double *ret_flow, struct table **ret_table) {
    size_t column = 0;
    assert_int_equal(table_read("q.csv", ret_table, NULL), 0);
    assert_int_equal(table_find(*ret_table, "mouth", &column, NULL), 0);
    assert_int_equal(table_numbers(*ret_table, column, 0, 1e6, ret_flow, NULL), 0);
    return table_rows(*ret_table);
}

static const double area_m2 = 250000.0 * ROWS * COLUMNS; /* the projection keeps areas */

static void test_steady_flow_in_both_row_orders(void **state) {
    (void)state;
    static double flow[2][FRAMES];
    for (int order = 0; order < 2; order++) {
        struct table *table = NULL;
        write_valley(order);
        write_forcing(6, FRAMES, SIZE_MAX);
        write_outlets("mouth,1000,0\nhead,1000,2500\n");
        assert_int_equal(run("--wm 100 --im 1 --fc 1 --step-h 0.5 --manifest m.json"), 0);
        assert_int_equal(read_flow(flow[order], &table), FRAMES);
        assert_string_equal(table_text(table, 0, 0), "1970-01-01T01:00:00Z");
        assert_string_equal(table_text(table, FRAMES - 1, 2), "ok");
        table_destroy(table);
        double expected = 6e-3 / 3600 * area_m2;
        assert_true(fabs(flow[order][FRAMES - 1] / expected - 1) < 1e-6);
        assert_true(flow[order][0] < 0.9 * expected);
    }
    for (size_t t = 0; t < FRAMES; t++) { /* ground areas may differ in the last bits */
        assert_true(fabs(flow[0][t] - flow[1][t]) <= 1e-9 * flow[0][t]);
    }
    static double threads[FRAMES];
    struct table *table = NULL;
    assert_int_equal(run("--wm 100 --im 1 --fc 1 --step-h 0.5 --threads 4"), 0);
    (void)read_flow(threads, &table);
    table_destroy(table);
    assert_memory_equal(flow[1], threads, sizeof threads);
    assert_int_equal(access("m.json", R_OK), 0);
}

static double volume(const char *more, double *ret_first) {
    static double flow[FRAMES];
    struct table *table = NULL;
    assert_int_equal(run(more), 0);
    size_t count = read_flow(flow, &table);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += flow[i] * 3600;
    }
    table_destroy(table);
    *ret_first = flow[5];
    return sum;
}

static void test_interflow_store_delays_and_gives_back(void **state) {
    (void)state;
    double at_once = 0, delayed = 0, rain_m3 = 10 * 6e-3 * area_m2;
    write_valley(1);
    write_forcing(6, 10, SIZE_MAX);
    write_outlets("mouth,1000,0\n");
    /* A full soil without evaporation: all rain becomes interflow. */
    double a = volume("--wm 100 --im 0 --fc 1000 --start-share 1 --step-h 1", &at_once);
    double b =
        volume("--wm 100 --im 0 --fc 1000 --start-share 1 --step-h 1 --interflow-h 8", &delayed);
    assert_true(fabs(a / rain_m3 - 1) < 1e-3 && fabs(b / rain_m3 - 1) < 1e-3);
    assert_true(delayed < 0.7 * at_once && delayed > 0);
}

static void test_a_lost_frame_is_unknown(void **state) {
    (void)state;
    static double flow[FRAMES];
    struct table *table = NULL;
    write_valley(1);
    write_forcing(6, FRAMES, 50);
    write_outlets("mouth,1000,0\n");
    assert_int_equal(run("--wm 100 --im 1 --fc 1 --step-h 1"), 0);
    assert_int_equal(read_flow(flow, &table), FRAMES);
    assert_true(!isnan(flow[48]) && isnan(flow[49]) && !isnan(flow[50]));
    assert_string_equal(table_text(table, 49, 2), "missing");
    assert_string_equal(table_text(table, 50, 2), "recovering");
    assert_string_equal(table_text(table, FRAMES - 1, 2), "ok");
    table_destroy(table);
}

/* A field of g.nc, from north to south. */
static void read_field(const char *name, int north_first, double *ret_values) {
    int id = 0, variable = 0;
    double file[ROWS * COLUMNS];
    GF(nc_open("g.nc", NC_NOWRITE, &id));
    GF(nc_inq_varid(id, name, &variable));
    GF(nc_get_var_double(id, variable, file));
    GF(nc_close(id));
    for (int r = 0; r < ROWS; r++) {
        memcpy(ret_values + r * COLUMNS, file + (north_first ? r : ROWS - 1 - r) * COLUMNS,
               COLUMNS * sizeof *file);
    }
}

enum { MOUTH = (ROWS - 1) * COLUMNS + 2 };

/* The guidance in mm at the mouth when rate_mm_h fell in the first hour. */
static double guidance(double rate_mm_h, const char *name, int north_first) {
    double values[ROWS * COLUMNS];
    write_forcing(rate_mm_h, 2, SIZE_MAX);
    assert_int_equal(run("--wm 100 --im 0.2 --fc 0.5 --step-h 0.5 --nc g.nc --threshold-unit 3 "
                         "--guidance-at 1970-01-01T01:00:00Z"),
                     0);
    read_field(name, north_first, values);
    return values[MOUTH];
}

static void test_guidance_of_every_cell(void **state) {
    (void)state;
    double one[ROWS * COLUMNS], three[ROWS * COLUMNS], six[ROWS * COLUMNS], peak[ROWS * COLUMNS];
    write_outlets("mouth,1000,0\n");
    for (int north_first = 0; north_first < 2; north_first++) {
        write_valley(north_first);
        /* It falls when the stores fill. */
        assert_true(guidance(10, "ffg_1h", north_first) < guidance(0, "ffg_1h", north_first));
        /* The rain that equals the guidance brings the mouth to its threshold. */
        double low = 0, high = 300;
        for (int i = 0; i < 14; i++) {
            double middle = 0.5 * (low + high);
            double mm = guidance(middle, "ffg_1h", north_first);
            if (mm > middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        double mm = guidance(high, "ffg_1h", north_first);
        assert_true(mm > 5 && fabs(mm - high) < 0.1);
        read_field("peak_unit_streamflow", north_first, peak);
        assert_true(fabs(peak[MOUTH] / 3 - 1) < 0.02); /* the depths are interpolated */
        read_field("ffg_ratio_1h", north_first, one);
        assert_true(fabs(one[MOUTH] - 1) < 0.01);
        read_field("ffg_1h", north_first, one);
        read_field("ffg_3h", north_first, three);
        read_field("ffg_6h", north_first, six);
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            assert_true(one[i] <= three[i] && three[i] <= six[i]);
        }
    }
    /* A state with a lost frame behind it gives no guidance. */
    double soil[ROWS * COLUMNS];
    write_forcing(6, FRAMES, 3);
    assert_int_equal(run("--wm 100 --im 0.2 --fc 0.5 --step-h 0.5 --nc g.nc --threshold-unit 3 "
                         "--guidance-at 1970-01-01T04:00:00Z"),
                     0);
    read_field("ffg_1h", 1, one);
    read_field("soil_saturation", 1, soil);
    assert_true(isnan(one[MOUTH]) && soil[MOUTH] > 0 && soil[MOUTH] <= 1);
    assert_int_equal(run("--wm 100 --im 0.2 --fc 0.5 --step-h 0.5 --nc g.nc --guidance-at "
                         "2000-01-01"),
                     3);
}

static void test_refusals(void **state) {
    (void)state;
    write_valley(1);
    write_forcing(6, FRAMES, SIZE_MAX);
    write_outlets("mouth,1000,0\n");
    assert_int_equal(run("--wm 100 --im 1 --fc 1 --step-h 0.7"), 3);
    assert_int_equal(run("--wm 100 --im 2 --fc 1 --step-h 1"), 2);
    assert_int_equal(run("--wm 100 --im 1 --fc 1 --step-h 1 --stamp middle"), 2);
    assert_int_equal(run("--wm 100 --im 1 --fc 1 --step-h 1 --d8 nothing"), 3);
    assert_int_equal(run("--wm 100 --im 1 --fc 1 --step-h 1 --d8 filled"), 3);
    write_outlets("mouth,9000,0\n");
    assert_int_equal(run("--wm 100 --im 1 --fc 1 --step-h 1"), 3);
    write_outlets("mouth,1000,0\n");
    write_forcing(-1, 3, SIZE_MAX);
    assert_int_equal(run("--wm 100 --im 1 --fc 1 --step-h 1"), 3);
    assert_int_equal(unlink("q.csv"), -1); /* nothing half done stays */
}

static int enter(void **state) {
    static char folder[4096];
    gridfile_folder(folder, sizeof folder);
    *state = folder;
    return chdir(folder);
}

static int leave(void **state) {
    static const char *const files[] = {"dem.nc", "static.nc", "forcing.nc", "outlets.csv",
                                        "q.csv",  "m.json",    "g.nc"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        (void)unlink(files[i]); /* not every test makes all of them */
    }
    return chdir("/") != 0 || rmdir(*state) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_steady_flow_in_both_row_orders, enter, leave),
        cmocka_unit_test_setup_teardown(test_interflow_store_delays_and_gives_back, enter, leave),
        cmocka_unit_test_setup_teardown(test_a_lost_frame_is_unknown, enter, leave),
        cmocka_unit_test_setup_teardown(test_guidance_of_every_cell, enter, leave),
        cmocka_unit_test_setup_teardown(test_refusals, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
