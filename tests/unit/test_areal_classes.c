/* Cell classes as areas of the areal sums. */
#include <math.h>
#include <netcdf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "areal_fixture.h"
#include "models/areal/classes.h"
#include "models/grid/ncflags.h"

static struct grid_env *env;
static struct grid *grid;
static char path[64];

/* South to north; -1: missing. Class 4 is nowhere. */
static const signed char stored[CELLS] = {1, 1, 2, 2, 1, 2, 2, -1, 3, 3, 3, 3, 1, 1, 1, 1};

/* "south": the row at the bottom and the southern half of the next. "far": beyond the grid. */
static const char polygons[] =
    "{\"type\":\"FeatureCollection\",\"features\":["
    "{\"type\":\"Feature\",\"id\":\"south\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[["
    "0,"
    "0],[4,0],[4,1.5],[0,1.5],[0,0]]]}},"
    "{\"type\":\"Feature\",\"id\":\"far\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[30,"
    "0],[31,0],[31,1],[30,0]]]}}]}";

static void ok(int status) {
    if (status != NC_NOERR) {
        fail_msg("%s", nc_strerror(status));
    }
}

/* A file of classes; what is spoiled is told by its members. */
struct spoiled {
    const char *meanings;      /* NULL: the four; "": none */
    size_t value_count;        /* 0: the four */
    const signed char *values; /* NULL: 1, 2, 3, ... */
    int no_values, floating, no_fill, second, frames;
    double shift_deg; /* of the centres eastwards */
    signed char first_cell;
};

static void write_axis(int id, int dim, const char *name, const char *units, double shift) {
    int variable;
    double centres[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        centres[i] = 0.5 + (double)i + shift;
    }
    ok(nc_def_var(id, name, NC_DOUBLE, 1, &dim, &variable));
    ok(nc_put_att_text(id, variable, "units", strlen(units), units));
    ok(nc_put_var_double(id, variable, centres));
}

static void write_classes(int id, const char *name, const int *dims, const struct spoiled *how) {
    signed char values[NCFLAGS_MAX + 1];
    signed char cells[2 * CELLS];
    static const signed char fill = -1;
    int variable;
    size_t count = how->value_count > 0 ? how->value_count : 4;
    const char *meanings = how->meanings != NULL ? how->meanings : "low high peak ice";
    for (size_t i = 0; i < count; i++) {
        values[i] = how->values != NULL ? how->values[i] : (signed char)(i + 1);
    }
    memcpy(cells, stored, sizeof stored);
    memcpy(cells + CELLS, stored, sizeof stored);
    cells[0] = how->first_cell != 0 ? how->first_cell : cells[0];
    ok(nc_def_var(id, name, how->floating ? NC_FLOAT : NC_BYTE, how->frames > 1 ? 3 : 2,
                  how->frames > 1 ? dims : dims + 1, &variable));
    if (!how->no_fill && !how->floating) {
        ok(nc_put_att_schar(id, variable, "_FillValue", NC_BYTE, 1, &fill));
    }
    if (!how->no_values) {
        ok(nc_put_att_schar(id, variable, "flag_values", NC_BYTE, count, values));
    }
    if (meanings[0] != '\0') {
        ok(nc_put_att_text(id, variable, "flag_meanings", strlen(meanings), meanings));
    }
    ok(nc_put_var_schar(id, variable, cells));
}

static void write_file(const struct spoiled *how) {
    int id;
    int dims[3];
    (void)snprintf(path, sizeof path, "/tmp/test_areal_classes.%ld.nc", (long)getpid());
    ok(nc_create(path, NC_NETCDF4, &id));
    ok(nc_def_dim(id, "time", 2, &dims[0]));
    ok(nc_def_dim(id, "lat", ROWS, &dims[1]));
    ok(nc_def_dim(id, "lon", COLUMNS, &dims[2]));
    write_axis(id, dims[1], "lat", "degrees_north", 0.0);
    write_axis(id, dims[2], "lon", "degrees_east", how->shift_deg);
    write_classes(id, "terrain", dims, how);
    if (how->second) {
        write_classes(id, "soil", dims, how);
    }
    ok(nc_close(id));
}

static int setup(void **state) {
    static const double centres[] = {0.5, 1.5, 2.5, 3.5};
    (void)state;
    return grid_env_create(NULL, &env, NULL) != 0 ||
           grid_create(ROWS, COLUMNS, centres, centres, NULL, &grid, NULL) != 0;
}

static int teardown(void **state) {
    (void)state;
    grid_destroy(grid);
    grid_env_destroy(env);
    return unlink(path);
}

/* Opens "path[:VARIABLE]" and loads. */
static int load(const char *variable, struct area_list *areas, struct classes **ret_classes,
                struct err *ret_err) {
    char text[128];
    struct classes_file file;
    (void)snprintf(text, sizeof text, "%s%s", path, variable);
    int result = classes_file_open(text, &file, ret_err);
    if (result == 0) {
        result = classes_load(env, &file, grid, areas, ret_classes, ret_err);
        assert_int_equal(close(file.fd), 0);
    }
    return result;
}

static const struct areal_options options = {.step_s = 600,
                                             .window_count = 1,
                                             .window_s = {1200},
                                             .lead_count = 1,
                                             .lead_s = {600},
                                             .threshold_mm_h = 5.0,
                                             .min_coverage = 0.7};

static void add_frame(struct areal *areal, size_t slot, double times) {
    double frame[CELLS];
    for (size_t i = 0; i < CELLS; i++) {
        frame[i] = times * (double)i;
    }
    frame[0] = NAN;
    assert_int_equal(areal_add(areal, slot, frame, NULL), 0);
}

/* high in south: cells 2 and 3 whole, 5 and 6 half; their rates are 2, 3, 5 and 6 mm/h. With cells
 * of one size the mean is (2 + 3 + 2.5 + 3) / 3 = 3.5 and a third reaches 5 mm/h; the second row is
 * smaller by cos(1.5 deg) / cos(0.5 deg), 0.03 per cent. */
static void classes_of_a_polygon_take_its_shares(void **state) {
    (void)state;
    struct area_list areas = {.count = 0};
    struct classes *classes = NULL;
    struct areal *areal = NULL;
    double cells[CELLS];
    write_file(&(struct spoiled){.shift_deg = 0.0});
    assert_int_equal(area_list_parse("test", polygons, strlen(polygons), &areas, NULL), 0);
    assert_int_equal(load(":terrain", &areas, &classes, NULL), 0);
    assert_string_equal(classes_variable(classes), "terrain");
    assert_int_equal(areas.count, 2 + 2 * 4);
    assert_int_equal(areal_create(env, grid, &areas, classes, &options, &areal, NULL), 0);
    assert_int_equal(grid_cell_areas_m2(env, grid, cells, NULL), 0);
    add_frame(areal, 0, 1.0);
    add_frame(areal, 1, 3.0);
    double whole = 2.0 * cells[0] + cells[COLUMNS];
    struct areal_result mean = find(areal, "south.high", "rain_mean", 0, 0);
    assert_true(fabs(mean.value - (5.0 * cells[0] + 5.5 * cells[COLUMNS]) / whole) < 1e-9);
    assert_true(fabs(mean.value - 3.5) < 1e-3 && fabs(mean.coverage - 1.0) < 1e-12);
    /* not the 7 of cell 7, which has no class */
    assert_true(find(areal, "south.high", "rain_max", 0, 0).value == 6.0);
    assert_true(fabs(find(areal, "south.high", "rain_covered", 0, 0).value - 1.0 / 3.0) < 1e-3);
    /* ten minutes at the rate and ten at three times it: 3.5 * (1 + 3) / 6 mm */
    assert_true(fabs(find(areal, "south.high", "rain_mean", 1200, 0).value - 14.0 / 6.0) < 1e-3);
    /* persistence: ten minutes of the newest twice */
    assert_true(fabs(find(areal, "south.high", "rain_mean", 1200, 600).value - 7.0 / 6.0) < 1e-3);
    /* low in south: cells 0 (missing), 1 and half of 4: 1.5 of 2.5 cells are known */
    struct areal_result low = find(areal, "south.low", "rain_mean", 0, 0);
    assert_true(isnan(low.value) && fabs(low.coverage - 0.6) < 1e-3);
    assert_non_null(strstr(low.cause, "below 0.700"));
    /* the polygon itself is as without classes: the 7 of cell 7 counts */
    assert_true(find(areal, "south", "rain_max", 0, 0).value == 7.0);
    struct areal_result none = find(areal, "south.peak", "rain_mean", 0, 0);
    assert_true(isnan(none.value));
    assert_string_equal(none.cause, "no cell of that class");
    assert_string_equal(find(areal, "far.low", "rain_mean", 0, 0).cause, "area outside the grid");
    areal_destroy(areal);
    classes_destroy(classes);
    area_list_finish(&areas);
}

static void classes_without_polygons_take_the_whole_grid(void **state) {
    (void)state;
    struct area_list areas = {.count = 0};
    struct classes *classes = NULL;
    struct areal *areal = NULL;
    write_file(&(struct spoiled){.shift_deg = 0.0});
    assert_int_equal(load("", &areas, &classes, NULL), 0); /* the only one with flag_meanings */
    assert_int_equal(areas.count, 4);
    assert_int_equal(areal_create(env, grid, &areas, classes, &options, &areal, NULL), 0);
    add_frame(areal, 0, 1.0);
    /* the third row: 8, 9, 10, 11 */
    assert_true(fabs(find(areal, "peak", "rain_mean", 0, 0).value - 9.5) < 1e-12);
    assert_true(find(areal, "peak", "rain_max", 0, 0).value == 11.0);
    assert_true(find(areal, "low", "rain_max", 0, 600).value == 15.0);
    assert_string_equal(find(areal, "ice", "rain_mean", 0, 0).cause, "no cell of that class");
    areal_destroy(areal);
    classes_destroy(classes);
    area_list_finish(&areas);
}

static void check_refused(const struct spoiled *how, const char *variable, int code,
                          const char *says) {
    struct area_list areas = {.count = 0};
    struct classes *classes = NULL;
    struct err err = {.code = 0};
    write_file(how);
    int result = load(variable, &areas, &classes, &err);
    if (result != code || strstr(err.text, says) == NULL) {
        fail_msg("%d '%s'; expected %d '%s'", result, err.text, code, says);
    }
    assert_null(classes);
    assert_int_equal(areas.count, 0);
    area_list_finish(&areas);
}

static void bad_classes_are_refused(void **state) {
    (void)state;
    static const signed char twice[] = {1, 2, 3, 2};
    static const struct {
        struct spoiled how;
        const char *variable;
        int code;
        const char *says;
    } bad[] = {
        {{.no_values = 1}, "", ERR_INVALID, "variable terrain: no flag_values"},
        {{.meanings = ""}, ":terrain", ERR_INVALID, "no flag_meanings"},
        {{.meanings = ""}, "", ERR_NOT_FOUND, "no variable with flag_meanings"},
        {{.meanings = "low high peak"}, "", ERR_INVALID, "3 flag_meanings for 4 flag_values"},
        {{.meanings = "a b c d e"}, "", ERR_INVALID, "more flag_meanings than the 4"},
        {{.meanings = "low high low ice"}, "", ERR_INVALID, "flag_meanings has 'low' twice"},
        {{.values = twice}, "", ERR_INVALID, "flag_values has 2 twice"},
        {{.meanings = "low High peak ice"}, "", ERR_INVALID, "'High' is no id"},
        {{.value_count = NCFLAGS_MAX + 1}, "", ERR_LIMIT, "65 classes; at most 64"},
        {{.floating = 1}, "", ERR_INVALID, "classes are not plain integers"},
        {{.no_fill = 1}, "", ERR_INVALID, "integers without _FillValue"},
        {{.shift_deg = 0.25}, "", ERR_INVALID, "not on the grid and projection of the rain"},
        {{.frames = 2}, "", ERR_INVALID, "more than one frame of classes"},
        {{.first_cell = 9}, "", ERR_INVALID, "9 at row 0, column 0 is not in flag_values"},
        {{.second = 1}, "", ERR_INVALID, "more than one variable with flag_meanings"},
        {{.second = 1}, ":slope", ERR_NOT_FOUND, "slope"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_refused(&bad[i].how, bad[i].variable, bad[i].code, bad[i].says);
    }
}

static void bad_files_and_ids_are_refused(void **state) {
    (void)state;
    struct classes_file file = {.fd = -7};
    struct area_list areas = {.count = 0};
    struct classes *classes = NULL;
    struct err err = {.code = 0};
    char longer[8192];
    static const char taken[] = "{\"type\":\"FeatureCollection\",\"features\":["
                                "{\"type\":\"Feature\",\"id\":\"a\",\"geometry\":{\"type\":"
                                "\"Polygon\",\"coordinates\":[[[0,"
                                "0],[4,0],[4,2],[0,0]]]}},"
                                "{\"type\":\"Feature\",\"id\":\"a.high\",\"geometry\":{\"type\":"
                                "\"Polygon\",\"coordinates\":"
                                "[[[0,0],[4,0],[4,2],[0,0]]]}}]}";
    assert_int_equal(classes_file_open("/nowhere/x.nc:terrain", &file, &err), ERR_IO);
    assert_non_null(strstr(err.text, "/nowhere/x.nc: "));
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(classes_file_open(longer, &file, &err), ERR_LIMIT);
    longer[1] = ':'; /* now it is the variable */
    assert_int_equal(classes_file_open(longer, &file, &err), ERR_LIMIT);
    assert_int_equal(file.fd, -7);

    write_file(&(struct spoiled){.shift_deg = 0.0});
    assert_int_equal(area_list_parse("test", taken, strlen(taken), &areas, NULL), 0);
    assert_int_equal(load("", &areas, &classes, &err), ERR_EXISTS);
    assert_non_null(strstr(err.text, "area a.high is there already"));
    assert_int_equal(areas.count, 2);
    area_list_finish(&areas);

    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs("no grid", out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(load("", &areas, &classes, &err), ERR_CORRUPT);
    out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite("GRIB\0\0\0\2\0\0\0\0\0\0\0\20", 16, 1, out), 1);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(load("", &areas, &classes, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "from NetCDF only"));
    assert_null(classes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_of_a_polygon_take_its_shares),
        cmocka_unit_test(classes_without_polygons_take_the_whole_grid),
        cmocka_unit_test(bad_classes_are_refused),
        cmocka_unit_test(bad_files_and_ids_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
