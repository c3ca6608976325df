/* GRIB2 through the table of formats. The messages are made by ecCodes with values and coordinates
 * set here; what comes back is compared with them and with ecCodes' own coordinates. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <eccodes.h>

#include "models/grid/formats.h"
#include "models/grid/geo.h"
#include "models/grid/ncfile.h"

enum { ROWS = 5, COLUMNS = 7, CELLS = ROWS * COLUMNS, BYTES_MAX = 1 << 16 };

static struct grid_env *env;

/* A file under construction. */
struct bytes {
    unsigned char data[BYTES_MAX];
    size_t size;
};

static int setup(void **state) {
    (void)state;
    return grid_env_create(NULL, &env, NULL);
}

static int teardown(void **state) {
    (void)state;
    grid_env_destroy(env);
    return 0;
}

static codes_handle *begin(const char *sample, long minutes) {
    codes_handle *handle = codes_grib_handle_new_from_samples(NULL, sample);
    assert_non_null(handle);
    const struct {
        const char *key;
        long value;
    } settings[] = {{"Ni", COLUMNS},           {"Nj", ROWS},
                    {"discipline", 0},         {"parameterCategory", 1},
                    {"parameterNumber", 7},    {"dataDate", 20251119},
                    {"dataTime", 700},         {"indicatorOfUnitOfTimeRange", 0},
                    {"forecastTime", minutes}, {"bitsPerValue", 16}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        assert_int_equal(codes_set_long(handle, settings[i].key, settings[i].value), 0);
    }
    return handle;
}

static void set_corners(codes_handle *handle) {
    const struct {
        const char *key;
        double value;
    } settings[] = {
        {"latitudeOfFirstGridPointInDegrees", 14.0}, {"longitudeOfFirstGridPointInDegrees", 108.0},
        {"latitudeOfLastGridPointInDegrees", 13.6},  {"longitudeOfLastGridPointInDegrees", 108.6},
        {"iDirectionIncrementInDegrees", 0.1},       {"jDirectionIncrementInDegrees", 0.1}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        assert_int_equal(codes_set_double(handle, settings[i].key, settings[i].value), 0);
    }
}

/* Rates of (cell + first) / 3600 mm/s, so cell + first in mm/h; a cell may be missing. */
static void end(codes_handle *handle, double first, int missing, struct bytes *to) {
    double values[CELLS];
    const void *message;
    size_t size;
    for (int i = 0; i < CELLS; i++) {
        values[i] = i == missing ? 9999.0 : (i + first) / 3600.0;
    }
    assert_int_equal(codes_set_long(handle, "bitmapPresent", missing >= 0), 0);
    assert_int_equal(codes_set_double(handle, "missingValue", 9999.0), 0);
    assert_int_equal(codes_set_double_array(handle, "values", values, CELLS), 0);
    assert_int_equal(codes_get_message(handle, &message, &size), 0);
    assert_true(to->size + size <= BYTES_MAX);
    memcpy(to->data + to->size, message, size);
    to->size += size;
    codes_handle_delete(handle);
}

static void add_regular(struct bytes *to, long minutes, double first, int missing) {
    codes_handle *handle = begin("regular_ll_sfc_grib2", minutes);
    set_corners(handle);
    end(handle, first, missing, to);
}

static int open_rate(const struct bytes *bytes, struct ncfile **ret_file, struct ncvar **ret_var,
                     struct err *ret_err) {
    int result = ncfile_open_memory(env, "t.grib2", bytes->data, bytes->size, ret_file, ret_err);
    return result != 0 ? result
                       : ncvar_open(*ret_file, "rainfall_rate", NULL, "mm h-1", ret_var, ret_err);
}

static void messages_in_any_order_are_frames(void **state) {
    (void)state;
    static struct bytes bytes;
    struct ncfile *file = NULL;
    struct ncvar *var = NULL;
    struct grid *grid = NULL;
    int64_t times[3];
    float rate[CELLS];
    bytes.size = 0;
    add_regular(&bytes, 20, 200.0, -1);
    add_regular(&bytes, 0, 0.0, -1);
    add_regular(&bytes, 10, 100.0, 9);
    assert_string_equal(format_of(bytes.data, bytes.size)->name, "GRIB2");
    assert_int_equal(open_rate(&bytes, &file, &var, NULL), 0);
    assert_int_equal(ncvar_frame_count(var), 3);
    assert_int_equal(ncvar_times(var, INT64_MAX, times, NULL), 0);
    for (int k = 0; k < 3; k++) {
        assert_true(times[k] == INT64_C(1763535600000000) + k * INT64_C(600000000));
        assert_int_equal(ncvar_read_f32(var, (size_t)k, rate, NULL), 0);
        for (int i = 0; i < CELLS; i++) {
            assert_true(k == 1 && i == 9 ? isnan(rate[i])
                                         : fabsf(rate[i] - (float)(i + 100 * k)) < 0.01F);
        }
    }
    assert_int_equal(ncvar_grid(var, &grid, NULL), 0);
    assert_true(grid->geographic && grid->rows == ROWS && grid->columns == COLUMNS);
    for (int j = 0; j < ROWS; j++) {
        assert_true(fabs(grid->y[j] - (14.0 - 0.1 * j)) < 1e-6);
    }
    assert_true(fabs(grid->x[0] - 108.0) < 1e-6 && fabs(grid->x[COLUMNS - 1] - 108.6) < 1e-6);
    grid_destroy(grid);
    ncvar_close(var);
    ncfile_close(file);
}

/* Every point of a projected grid lies where ecCodes says, through our mapping and PROJ. */
static void check_projected(const char *type, const char *mapping) {
    static struct bytes bytes;
    struct ncfile *file = NULL;
    struct ncvar *var = NULL;
    struct grid *grid = NULL;
    struct geo *geo = NULL;
    double lat[CELLS];
    double lon[CELLS];
    size_t count = CELLS;
    bytes.size = 0;
    codes_handle *handle = begin("regular_ll_sfc_grib2", 0);
    size_t length = strlen(type);
    double values[CELLS] = {0.0};
    assert_int_equal(codes_set_string(handle, "gridType", type, &length), 0);
    const struct {
        const char *key;
        long value;
    } settings[] = {{"Nx", COLUMNS},
                    {"Ny", ROWS},
                    {"Dx", 3000000},
                    {"Dy", 3000000}, /* mm */
                    {"LaD", 60000000},
                    {"Latin1", 55000000},
                    {"Latin2", 65000000},
                    {"LoV", 20000000},
                    {"orientationOfTheGrid", 20000000},
                    {"latitudeOfFirstGridPoint", 61000000},
                    {"longitudeOfFirstGridPoint", 21000000},
                    {"shapeOfTheEarth", 6},
                    {"scanningMode", 64}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        int status = codes_set_long(handle, settings[i].key, settings[i].value);
        assert_true(status == 0 || status == CODES_NOT_FOUND); /* not all are of both types */
    }
    assert_int_equal(codes_set_double_array(handle, "values", values, CELLS), 0);
    assert_int_equal(codes_get_double_array(handle, "latitudes", lat, &count), 0);
    assert_int_equal(codes_get_double_array(handle, "longitudes", lon, &count), 0);
    end(handle, 0.0, -1, &bytes);
    assert_int_equal(open_rate(&bytes, &file, &var, NULL), 0);
    assert_int_equal(ncvar_grid(var, &grid, NULL), 0);
    assert_false(grid->curvilinear);
    assert_string_equal(grid_mapping_find(&grid->mapping, "grid_mapping_name")->text, mapping);
    assert_int_equal(geo_create(env, grid->crs, &geo, NULL), 0);
    assert_int_equal(geo_forward(geo, CELLS, lon, lat), 0);
    double cell = fabs(grid->x[1] - grid->x[0]);
    for (int i = 0; i < CELLS; i++) {
        assert_true(fabs(lon[i] - grid->x[i % COLUMNS]) < 0.01 * cell);
        assert_true(fabs(lat[i] - grid->y[i / COLUMNS]) < 0.01 * cell);
    }
    geo_destroy(geo);
    grid_destroy(grid);
    ncvar_close(var);
    ncfile_close(file);
}

static void projected_points_lie_where_eccodes_says(void **state) {
    (void)state;
    check_projected("polar_stereographic", "polar_stereographic");
    check_projected("lambert", "lambert_conformal_conic");
}

static void refuse(const struct bytes *bytes, int code, const char *reason) {
    struct ncfile *file = NULL;
    struct ncvar *var = NULL;
    struct err err = {.code = 0};
    assert_int_equal(open_rate(bytes, &file, &var, &err), code);
    if (strstr(err.text, reason) == NULL) {
        fail_msg("'%s' is not in '%s'", reason, err.text);
    }
    assert_null(file);
}

static void what_cannot_be_told_is_refused_by_name(void **state) {
    (void)state;
    static struct bytes bytes;
    bytes.size = 0;
    add_regular(&bytes, 0, 0.0, -1);
    size_t one = bytes.size;
    add_regular(&bytes, 0, 1.0, -1);
    refuse(&bytes, ERR_INVALID, "same time twice");
    bytes.size = one + 20; /* the second is cut off */
    refuse(&bytes, ERR_CORRUPT, "no whole GRIB2 message");
    bytes.size = 15;
    refuse(&bytes, ERR_CORRUPT, "not readable");
    bytes.size = 0;
    codes_handle *handle = begin("regular_ll_sfc_grib2", 0);
    set_corners(handle);
    assert_int_equal(codes_set_long(handle, "parameterNumber", 200), 0);
    end(handle, 0.0, -1, &bytes);
    refuse(&bytes, ERR_NOT_FOUND, "none of its 1 messages");
    bytes.size = 0;
    add_regular(&bytes, 0, 0.0, -1);
    handle = begin("regular_ll_sfc_grib2", 10);
    set_corners(handle);
    assert_int_equal(codes_set_double(handle, "latitudeOfFirstGridPointInDegrees", 15.0), 0);
    end(handle, 0.0, -1, &bytes);
    refuse(&bytes, ERR_INVALID, "different grids");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_in_any_order_are_frames),
        cmocka_unit_test(projected_points_lie_where_eccodes_says),
        cmocka_unit_test(what_cannot_be_told_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
