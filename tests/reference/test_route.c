/* Routing against published figures (Wilson's flood) and on a real network: the volume of a storm
 * on the 46,545 cells of the Moselle above Perl closes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netcdf.h>

#include "models/hydrology/kinematic.h"
#include "models/hydrology/muskingum.h"
#include "models/table/table.h"
#include "tests/reference/reference.h"

static double sum_of_squares(const double *a, const double *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sum;
}

static void test_wilson(void **state) {
    (void)state;
    struct table *table = NULL;
    double inflow[64], outflow[64], routed[64];
    size_t in = 0, out = 0;
    const char *path =
        reference_path("route", "hydro_dev/catchments/wilson1974_muskingum_flood_6h.csv");
    assert_int_equal(table_read(path, &table, NULL), 0);
    size_t count = table_rows(table);
    assert_int_equal(count, 22);
    assert_int_equal(table_find(table, "inflow_m3s", &in, NULL), 0);
    assert_int_equal(table_find(table, "outflow_m3s", &out, NULL), 0);
    assert_int_equal(table_numbers(table, in, 0, 1e4, inflow, NULL), 0);
    assert_int_equal(table_numbers(table, out, 0, 1e4, outflow, NULL), 0);
    assert_int_equal(muskingum_linear(29.165, 0.22106, 6, inflow, count, routed, NULL, NULL), 0);
    double linear = sum_of_squares(routed, outflow, count);
    assert_int_equal(
        muskingum_nonlinear(0.5175, 0.2869, 1.868, 6, inflow, count, routed, NULL, NULL), 0);
    double nonlinear = sum_of_squares(routed, outflow, count);
    printf("wilson: linear %.4f (605.63), non-linear %.4f (36.77)\n", linear, nonlinear);
    assert_true(fabs(linear - 605.63) < 0.01);
    assert_true(fabs(nonlinear - 36.77) < 0.01);
    table_destroy(table);
}

static void get_int(int nc, const char *name, int32_t *ret_values) {
    int var = 0;
    assert_int_equal(nc_inq_varid(nc, name, &var), NC_NOERR);
    assert_int_equal(nc_get_var_int(nc, var, ret_values), NC_NOERR);
}

enum { ROWS = 432, COLUMNS = 288, GRID = ROWS * COLUMNS };

static void test_moselle_volume(void **state) {
    (void)state;
    static int32_t d8[GRID], facc[GRID], cells[GRID], downstream[GRID];
    static float slope[GRID];
    int nc = 0, var = 0;
    size_t count = 0;
    const char *path = reference_path("route", "hydro_dev/grids/moselle_perl_static_500m.nc");
    assert_int_equal(nc_open(path, NC_NOWRITE, &nc), NC_NOERR);
    get_int(nc, "d8", d8);
    get_int(nc, "facc", facc);
    assert_int_equal(nc_inq_varid(nc, "slope", &var), NC_NOERR);
    assert_int_equal(nc_get_var_float(nc, var, slope), NC_NOERR);
    nc_close(nc);
    assert_int_equal(network_from_d8(ROWS, COLUMNS, d8, &count, cells, downstream, NULL), 0);
    assert_int_equal(count, 46545);
    struct network *network = NULL;
    assert_int_equal(network_create(count, downstream, NULL, &network, NULL), 0);

    struct kinematic_reach *reaches = calloc(count, sizeof *reaches);
    double *lateral = calloc(count, sizeof *lateral);
    assert_true(reaches != NULL && lateral != NULL);
    size_t outlets = 0;
    for (int i = 0; i < GRID; i++) {
        int32_t c = cells[i];
        if (c < 0) {
            continue;
        }
        /* The flow accumulation of the file does not count the cell itself. */
        assert_int_equal(network->cells_above[network->place_of[c]], facc[i] + 1);
        bool diagonal = d8[i] == 2 || d8[i] == 8 || d8[i] == 32 || d8[i] == 128;
        reaches[c] =
            (struct kinematic_reach){500 * (diagonal ? sqrt(2.0) : 1), 2 + 0.5 * sqrt(facc[i]),
                                     fmax(tan(slope[i] * M_PI / 180), 1e-3), 0.05};
        outlets += downstream[c] == NETWORK_OUTLET ? 1 : 0;
    }
    assert_int_equal(outlets, 1);
    struct kinematic *k = NULL;
    assert_int_equal(kinematic_create(network, reaches, &k, NULL), 0);
    /* A 6 h storm of 10 mm/h, then 15 days, in steps of 30 min. */
    const double dt_s = 1800, cell_m2 = 250000;
    double in_m3 = 0, out_m3 = 0;
    struct kinematic_input input = {.dt_s = dt_s, .lateral_m3_s = lateral};
    for (int step = 0; step < 15 * 48; step++) {
        for (size_t c = 0; c < count; c++) {
            lateral[c] = step < 12 ? 10e-3 / 3600 * cell_m2 : 0;
            in_m3 += lateral[c] * dt_s;
        }
        kinematic_step(k, &input);
        out_m3 += kinematic_outlet_m3_s(k) * dt_s;
    }
    double error = (out_m3 + kinematic_stored_m3(k)) / in_m3 - 1;
    printf("moselle: rain %.6g m3, out %.4f of it, balance %.3g\n", in_m3, out_m3 / in_m3, error);
    assert_true(fabs(error) < 1e-9);
    assert_true(out_m3 / in_m3 > 0.9 && out_m3 <= in_m3);
    kinematic_destroy(k);
    network_destroy(network);
    free(reaches);
    free(lateral);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_wilson),
                                       cmocka_unit_test(test_moselle_volume)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
