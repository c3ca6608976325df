/* CF NetCDF in and out: what different providers write, what is refused and how it is named. */
#include "gridfile.h"

#include <stdbool.h>

#include "daemon/base/text.h"
#include "models/grid/geo.h"
#include "models/grid/ncfile.h"
#include "models/grid/ncwrite.h"

enum { ROWS = 3, COLUMNS = 4, CELLS = ROWS * COLUMNS };

static struct grid_env *env;
static char folder[300];
static char path[400];

static const double lon[COLUMNS] = {108.0, 108.5, 109.0, 109.5};
static const double lat_up[ROWS] = {13.0, 13.5, 14.0};
static const double lat_down[ROWS] = {14.0, 13.5, 13.0};

static int setup(void **state) {
    (void)state;
    gridfile_folder(folder, sizeof folder);
    (void)snprintf(path, sizeof path, "%s/in.nc", folder);
    return grid_env_create(NULL, &env, NULL);
}

static int teardown(void **state) {
    char command[400];
    (void)state;
    grid_env_destroy(env);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static struct gridfile plain(void) {
    static const double times[] = {1763532000.0, 1763532300.0}; /* 2025-11-19T06:00Z, 06:05Z */
    return (struct gridfile){.path = path,
                             .frames = 2,
                             .rows = ROWS,
                             .columns = COLUMNS,
                             .x = lon,
                             .y = lat_down,
                             .times = times};
}

struct input {
    struct ncfile *file;
    struct ncvar *var;
    struct grid *grid;
    int64_t utc_us[8];
    double values[CELLS];
};

static void finish(struct input *input) {
    grid_destroy(input->grid);
    ncvar_close(input->var);
    ncfile_close(input->file);
}

/* Everything a model does with a file; the first refusal. */
static int read_all(struct input *input, struct err *ret_err) {
    static const struct input none;
    *input = none;
    int result = ncfile_open(env, path, &input->file, ret_err);
    if (result == 0) {
        result = ncvar_open(input->file, NULL, "rainfall_rate", "mm h-1", &input->var, ret_err);
    }
    if (result == 0) {
        result = ncvar_times(input->var, INT64_C(1763535600000000), input->utc_us, ret_err);
    }
    if (result == 0) {
        result = ncvar_grid(input->var, &input->grid, ret_err);
    }
    for (size_t f = 0; result == 0 && f < ncvar_frame_count(input->var); f++) {
        result = ncvar_read_f64(input->var, f, input->values, ret_err);
    }
    return result;
}

static void read_good(struct input *input) {
    struct err err = {.code = 0};
    if (read_all(input, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static void expect_refused(const char *expected) {
    struct input input;
    struct err err = {.code = 0};
    int result = read_all(&input, &err);
    finish(&input);
    if (result >= 0 || strstr(err.text, expected) == NULL || strstr(err.text, "in.nc") == NULL) {
        fail_msg("expected '%s', got %d: %s", expected, result, err.text);
    }
}

static void packed_values_missing_cells_and_times_are_read(void **state) {
    (void)state;
    double values[2 * CELLS];
    for (size_t i = 0; i < 2 * CELLS; i++) {
        values[i] = i % 5 == 0 ? NAN : 0.25 * (double)i;
    }
    struct gridfile file = plain();
    file.values = values;
    gridfile_write(&file);
    struct input input;
    read_good(&input);
    for (size_t i = 0; i < CELLS; i++) {
        double expected = values[CELLS + i];
        assert_true(isnan(expected) ? isnan(input.values[i])
                                    : fabs(input.values[i] - expected) < 1e-12);
    }
    char text[32];
    text_format_time(input.utc_us[1], text, sizeof text);
    assert_string_equal(text, "2025-11-19T06:05:00Z");
    assert_true(input.grid->geographic && input.grid->y[0] == 14.0);
    float singles[CELLS];
    assert_int_equal(ncvar_read_f32(input.var, 0, singles, NULL), 0);
    assert_true(isnan(singles[0]) && singles[4] == 1.0F);
    assert_int_equal(ncvar_read_f64(input.var, 2, input.values, NULL), ERR_RANGE);
    finish(&input);
}

/* The same instants in the units that providers use. */
static void times_of_any_unit_are_the_same_instants(void **state) {
    (void)state;
    static const struct {
        const char *units;
        const char *calendar;
        double times[2];
        nc_type type;
    } table[] = {
        {"hours since 1900-01-01 00:00:00", NULL, {1103478.0, 1103478.0 + 1.0 / 12.0}, NC_DOUBLE},
        {"days since 2025-11-19", "proleptic_gregorian", {0.25, 0.25 + 5.0 / 1440.0}, NC_DOUBLE},
        {"minutes since 2025-11-19 13:00:00 +07:00", "gregorian", {0.0, 5.0}, NC_INT},
        {"seconds since 2025-11-19T00:00:00Z", "standard", {21600.0, 21900.0}, NC_FLOAT},
        {"milliseconds since 1970-01-01", NULL, {1763532000000.0, 1763532300000.0}, NC_DOUBLE},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct gridfile file = plain();
        struct input input;
        file.time_units = table[i].units;
        file.calendar = table[i].calendar;
        file.times = table[i].times;
        file.time_type = table[i].type;
        gridfile_write(&file);
        read_good(&input);
        assert_true(input.utc_us[0] == INT64_C(1763532000000000));
        assert_true(input.utc_us[1] == INT64_C(1763532300000000));
        finish(&input);
    }
}

static void scalar_time_classic_format_float_and_ascending_rows(void **state) {
    (void)state;
    double values[CELLS];
    for (size_t i = 0; i < CELLS; i++) {
        values[i] = i == 7 ? NAN : (double)i * 1e-3;
    }
    struct gridfile file = plain();
    file.frames = 1;
    file.scalar_time = 1;
    file.format = NC_64BIT_OFFSET;
    file.type = NC_FLOAT;
    file.y = lat_up;
    file.units = "kg m-2 s-1"; /* a flux of water: 1 mm s-1 */
    file.values = values;
    gridfile_write(&file);
    struct input input;
    read_good(&input);
    assert_int_equal(ncvar_frame_count(input.var), 1);
    assert_true(isnan(input.values[7]));
    assert_true(fabs(input.values[3] - 3600.0 * (double)0.003F) < 1e-9);
    assert_true(input.grid->y[0] == 13.0 && fabs(input.grid->y_edge[0] - 12.75) < 1e-12);
    finish(&input);
}

/* VN-2000, zone of Bình Định, axes in km: metres inside, false easting adapted. */
static void transverse_mercator_in_kilometres(void **state) {
    (void)state;
    static const char *const names[] = {"longitude_of_central_meridian",
                                        "latitude_of_projection_origin",
                                        "scale_factor_at_central_meridian",
                                        "false_easting",
                                        "false_northing",
                                        "semi_major_axis",
                                        "inverse_flattening",
                                        NULL};
    static const double numbers[] = {108.25, 0.0, 0.9999, 500.0, 0.0, 6378137.0, 298.257223563};
    static const double x_km[COLUMNS] = {600.0, 601.0, 602.0, 603.0};
    static const double y_km[ROWS] = {1532.0, 1531.0, 1530.0};
    struct gridfile file = plain();
    file.mapping = "transverse_mercator";
    file.names = names;
    file.numbers = numbers;
    file.x = x_km;
    file.y = y_km;
    file.x_units = "km";
    file.y_units = "km";
    gridfile_write(&file);
    struct input input;
    read_good(&input);
    assert_true(!input.grid->geographic && input.grid->x[1] == 601000.0);
    struct geo *geo = NULL;
    assert_int_equal(geo_create(env, input.grid->crs, &geo, NULL), 0);
    double x = 500000.0;
    double y = 1531000.0;
    assert_int_equal(geo_inverse(geo, 1, &x, &y), 0);
    assert_true(fabs(x - 108.25) < 1e-9); /* on the central meridian */
    geo_destroy(geo);
    finish(&input);
}

/* 2-D longitude and latitude instead of axes; written by hand. */
static void write_curvilinear(void) {
    int id, dims[3], variables[3], time;
    double plane[CELLS], t = 1763532000.0;
    float rain[CELLS], fill = NAN;
    GF(nc_create(path, NC_NETCDF4 | NC_CLOBBER, &id));
    GF(nc_def_dim(id, "time", 1, &dims[0]));
    GF(nc_def_dim(id, "ny", ROWS, &dims[1]));
    GF(nc_def_dim(id, "nx", COLUMNS, &dims[2]));
    GF(nc_def_var(id, "time", NC_DOUBLE, 1, dims, &time));
    gridfile_text(id, time, "units", "seconds since 1970-01-01");
    GF(nc_def_var(id, "lon", NC_DOUBLE, 2, dims + 1, &variables[0]));
    GF(nc_def_var(id, "lat", NC_DOUBLE, 2, dims + 1, &variables[1]));
    GF(nc_def_var(id, "rr", NC_FLOAT, 3, dims, &variables[2]));
    gridfile_text(id, variables[0], "units", "degrees_east");
    gridfile_text(id, variables[1], "units", "degrees_north");
    gridfile_text(id, variables[2], "units", "mm/h");
    gridfile_text(id, variables[2], "standard_name", "rainfall_rate");
    gridfile_text(id, variables[2], "coordinates", "lon lat");
    GF(nc_put_att_float(id, variables[2], "_FillValue", NC_FLOAT, 1, &fill));
    GF(nc_enddef(id));
    GF(nc_put_var_double(id, time, &t));
    for (size_t i = 0; i < CELLS; i++) {
        plane[i] = 108.0 + 0.1 * (double)(i % COLUMNS) + 0.02 * (double)(i / COLUMNS);
        rain[i] = (float)i;
    }
    GF(nc_put_var_double(id, variables[0], plane));
    for (size_t i = 0; i < CELLS; i++) {
        plane[i] = 13.0 + 0.1 * (double)(i / COLUMNS) - 0.01 * (double)(i % COLUMNS);
    }
    GF(nc_put_var_double(id, variables[1], plane));
    GF(nc_put_var_float(id, variables[2], rain));
    GF(nc_close(id));
}

static void two_dimensional_coordinates_make_a_curvilinear_grid(void **state) {
    (void)state;
    struct input input;
    double area[CELLS];
    write_curvilinear();
    read_good(&input);
    assert_true(input.grid->curvilinear && input.grid->lon[COLUMNS] == 108.02);
    assert_true(input.values[5] == 5.0);
    assert_int_equal(grid_cell_areas_m2(env, input.grid, area, NULL), 0);
    /* about 0.1 x 0.1 degrees, sheared: det((0.1, -0.01), (0.02, 0.1)) = 0.0102 square degrees */
    assert_true(fabs(area[5] / (0.0102 * 111320.0 * cos(13.1 * acos(-1.0) / 180.0) * 110640.0) -
                     1.0) < 0.005);
    finish(&input);
}

/* Attributes put on the data variable of a written file. */
static void patch(const char *variable, const char *name, nc_type type, const double *numbers,
                  size_t count) {
    int id, number;
    GF(nc_open(path, NC_WRITE, &id));
    GF(nc_redef(id));
    GF(nc_inq_varid(id, variable, &number));
    if (numbers == NULL) {
        GF(nc_del_att(id, number, name));
    } else {
        GF(nc_put_att_double(id, number, name, type, count, numbers));
    }
    GF(nc_close(id));
}

static void missing_value_and_valid_range_are_missing(void **state) {
    (void)state;
    double values[2 * CELLS];
    for (size_t i = 0; i < 2 * CELLS; i++) {
        values[i] = (double)(i % CELLS);
    }
    struct gridfile file = plain();
    file.values = values;
    file.no_fill = 1;
    gridfile_write(&file);
    patch("rainfall_rate", "missing_value", NC_SHORT, (const double[]){300.0}, 1);
    patch("rainfall_rate", "valid_range", NC_SHORT, (const double[]){100.0, 900.0}, 2);
    struct input input;
    read_good(&input);
    assert_true(isnan(input.values[0]) && isnan(input.values[3]) && isnan(input.values[10]));
    assert_true(input.values[1] == 1.0 && input.values[9] == 9.0);
    finish(&input);
    /* the same range in unpacked units */
    patch("rainfall_rate", "valid_range", NC_DOUBLE, (const double[]){2.0, 8.5}, 2);
    read_good(&input);
    assert_true(isnan(input.values[1]) && input.values[8] == 8.0 && isnan(input.values[9]));
    finish(&input);
    patch("rainfall_rate", "valid_range", NC_SHORT, (const double[]){9.0, 2.0}, 2);
    expect_refused("valid range from 9 to 2 is empty");
}

static void refusals_name_file_variable_and_value(void **state) {
    (void)state;
    static const double repeated[] = {1763532000.0, 1763532000.0};
    static const double backwards[] = {1763532300.0, 1763532000.0};
    static const double future[] = {1763532000.0, 1763539200.0};
    static const double ancient[] = {-86400.0, 0.0};
    static const double hours32[] = {1103478.0, 1103479.0};
    static const double bent[COLUMNS] = {108.0, 109.0, 108.5, 110.0};
    struct gridfile file = plain();
    file.times = repeated;
    gridfile_write(&file);
    expect_refused("time 2025-11-19T06:00:00Z is repeated");
    file.times = backwards;
    gridfile_write(&file);
    expect_refused("times are not in order");
    file.times = future;
    gridfile_write(&file);
    expect_refused("time 2025-11-19T08:00:00Z of frame 1 lies in the future");
    file.times = ancient;
    gridfile_write(&file);
    expect_refused("is not between 1970 and 2199");
    file = plain();
    file.times = hours32;
    file.time_units = "hours since 1900-01-01";
    file.time_type = NC_FLOAT;
    gridfile_write(&file);
    expect_refused("float32 with steps of");
    file = plain();
    file.times = NULL;
    gridfile_write(&file);
    expect_refused("coordinate time is missing at 0");
    file = plain();
    file.calendar = "360_day";
    gridfile_write(&file);
    expect_refused("calendar '360_day'");
    file = plain();
    file.time_units = "furlongs";
    gridfile_write(&file);
    expect_refused("'furlongs' is not a time since a date");
    file = plain();
    file.no_time = 1;
    gridfile_write(&file);
    expect_refused("no time coordinate");
    file = plain();
    file.units = "";
    gridfile_write(&file);
    expect_refused("no units; 'mm h-1' expected");
    file.units = "dBZ";
    gridfile_write(&file);
    expect_refused("'dBZ'");
    file = plain();
    file.no_fill = 1;
    gridfile_write(&file);
    expect_refused("integers without _FillValue");
    file = plain();
    file.x = bent;
    gridfile_write(&file);
    expect_refused("axis x is not strictly monotonic at index 2");
    file = plain();
    file.x_units = "m";
    file.y_units = "m";
    gridfile_write(&file);
    expect_refused("axes in metres without grid_mapping");
    file.mapping = "latitude_longitude";
    gridfile_write(&file);
    expect_refused("axes in metres do not go with its grid mapping");
    file = plain();
    file.mapping = "flat_earth";
    gridfile_write(&file);
    expect_refused("'flat_earth' is not known");
    file = plain();
    file.x = NULL;
    gridfile_write(&file);
    expect_refused("neither 1-D coordinates");
    file = plain();
    gridfile_write(&file);
    patch("rainfall_rate", "scale_factor", NC_DOUBLE, (const double[]){0.0}, 1);
    expect_refused("scale_factor is 0");
    patch("rainfall_rate", "scale_factor", NC_DOUBLE, (const double[]){NAN}, 1);
    expect_refused("scale_factor is not a finite number");
}

static void infinities_and_limits_are_refused(void **state) {
    (void)state;
    double values[2 * CELLS] = {0.0};
    values[CELLS + 2] = INFINITY;
    struct gridfile file = plain();
    file.type = NC_DOUBLE;
    file.values = values;
    gridfile_write(&file);
    expect_refused("frame 1 holds inf");
    file = plain();
    gridfile_write(&file);
    struct grid_limits saved = env->limits;
    env->limits.file_bytes_max = 1000;
    expect_refused("at most 1000 expected");
    env->limits = saved;
    env->limits.frame_bytes_max = 50;
    expect_refused("a frame has 3 x 4 cells");
    env->limits = saved;
    env->limits.frames_max = 1;
    expect_refused("2 frames; 1 to 1 expected");
    env->limits = saved;
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fclose(out), 0);
    expect_refused("the file is empty");
    assert_int_equal(unlink(path), 0);
    expect_refused("No such file");
}

/* What we write comes back, with the grid it was made on; read by ncdump's library calls too. */
static void written_files_come_back(void **state) {
    (void)state;
    struct gridfile file = plain();
    file.mapping = "latitude_longitude";
    gridfile_write(&file);
    struct input input;
    read_good(&input);
    static const int64_t leads[] = {300, 600, 900};
    const struct ncwrite_variable variables[] = {{.name = "rainfall_rate",
                                                  .standard_name = "rainfall_rate",
                                                  .units = "mm h-1",
                                                  .type = NCWRITE_SHORT,
                                                  .scale = 0.01,
                                                  .has_members = true,
                                                  .has_leads = true,
                                                  .ancillary_variables = "quality"},
                                                 {.name = "quality",
                                                  .units = "1",
                                                  .type = NCWRITE_FLAG_BYTE,
                                                  .flag_meanings = "good doubtful",
                                                  .has_leads = false}};
    const struct ncwrite_header header = {.grid = input.grid,
                                          .reference_utc_us = INT64_C(1763532300000000),
                                          .lead_count = 3,
                                          .lead_s = leads,
                                          .accumulation_s = 300,
                                          .member_count = 2,
                                          .title = "test"};
    char out[400];
    struct err err = {.code = 0};
    struct ncwriter *writer = NULL;
    float field[CELLS];
    (void)snprintf(out, sizeof out, "%s/out.nc", folder);
    if (ncwriter_create(out, &header, variables, 2, &writer, &err) != 0) {
        fail_msg("%s", err.text);
    }
    for (size_t m = 0; m < 2; m++) {
        for (size_t l = 0; l < 3; l++) {
            for (size_t i = 0; i < CELLS; i++) {
                field[i] = i == 4 ? NAN : (float)(m * 100 + l * 10) + 0.25F * (float)i;
            }
            assert_int_equal(ncwriter_put(writer, 0, m, l, field, &err), 0);
        }
    }
    field[0] = 400.0F;
    assert_int_equal(ncwriter_put(writer, 0, 0, 0, field, &err), ERR_RANGE); /* 40000 steps */
    assert_int_equal(ncwriter_put(writer, 0, 2, 0, field, &err), ERR_RANGE);
    for (size_t i = 0; i < CELLS; i++) {
        field[i] = (float)(i % 2);
    }
    assert_int_equal(ncwriter_put(writer, 1, 0, 0, field, &err), 0);
    assert_int_not_equal(access(out, F_OK), 0); /* not before it is complete */
    if (ncwriter_finish(writer, &err) != 0) {
        fail_msg("%s", err.text);
    }
    int id, variable;
    double lead, time, bounds[2], reference;
    short stored[CELLS];
    char text[100] = {0};
    GF(nc_open(out, NC_NOWRITE, &id));
    GF(nc_get_att_text(id, NC_GLOBAL, "Conventions", text));
    assert_string_equal(text, "CF-1.8");
    GF(nc_inq_varid(id, "lead_time", &variable));
    GF(nc_get_var1_double(id, variable, (const size_t[]){2}, &lead));
    GF(nc_inq_varid(id, "time", &variable));
    GF(nc_get_var1_double(id, variable, (const size_t[]){2}, &time));
    GF(nc_inq_varid(id, "time_bounds", &variable));
    GF(nc_get_vara_double(id, variable, (const size_t[]){2, 0}, (const size_t[]){1, 2}, bounds));
    GF(nc_inq_varid(id, "forecast_reference_time", &variable));
    GF(nc_get_var_double(id, variable, &reference));
    assert_true(lead == 900.0 && time == 1763533200.0 && bounds[0] == 1763532900.0 &&
                bounds[1] == time && reference == 1763532300.0);
    GF(nc_inq_varid(id, "rainfall_rate", &variable));
    GF(nc_get_vara_short(id, variable, (const size_t[]){1, 2, 0, 0},
                         (const size_t[]){1, 1, ROWS, COLUMNS}, stored));
    assert_int_equal(stored[4], -32768);
    assert_int_equal(stored[3], 12075);
    GF(nc_close(id));
    finish(&input);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_values_missing_cells_and_times_are_read),
        cmocka_unit_test(times_of_any_unit_are_the_same_instants),
        cmocka_unit_test(scalar_time_classic_format_float_and_ascending_rows),
        cmocka_unit_test(transverse_mercator_in_kilometres),
        cmocka_unit_test(two_dimensional_coordinates_make_a_curvilinear_grid),
        cmocka_unit_test(missing_value_and_valid_range_are_missing),
        cmocka_unit_test(refusals_name_file_variable_and_value),
        cmocka_unit_test(infinities_and_limits_are_refused),
        cmocka_unit_test(written_files_come_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
