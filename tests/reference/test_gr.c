/* GR4J and GR4H against runs of the airGR Fortran core (NetCDF), through the program itself. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <netcdf.h>

#include "models/table/table.h"
#include "tests/reference/reference.h"

static size_t read_reference(const char *path, double **ret_values) {
    int nc = 0, var = 0, dim = 0;
    size_t count = 0;
    assert_int_equal(nc_open(path, NC_NOWRITE, &nc), NC_NOERR);
    assert_int_equal(nc_inq_dimid(nc, "time", &dim), NC_NOERR);
    assert_int_equal(nc_inq_dimlen(nc, dim, &count), NC_NOERR);
    assert_int_equal(nc_inq_varid(nc, "Qsim", &var), NC_NOERR);
    *ret_values = malloc(count * sizeof **ret_values);
    assert_non_null(*ret_values);
    assert_int_equal(nc_get_var_double(nc, var, *ret_values), NC_NOERR);
    nc_close(nc);
    return count;
}

static void run_and_compare(const char *options, const char *forcing, const char *reference,
                            double relative, double absolute_mm) {
    char out[] = "/tmp/canhbao-gr-XXXXXX";
    char command[9000];
    int fd = mkstemp(out);
    assert_true(fd >= 0);
    close(fd);
    (void)snprintf(command, sizeof command, "%s gr %s --forcing '%s' --out '%s'",
                   CANHBAO_MODEL_PROGRAM, options, forcing, out);
    int status = system(command);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    double *expected = NULL;
    size_t count = read_reference(reference, &expected);
    struct table *table = NULL;
    size_t column = 0;
    assert_int_equal(table_read(out, &table, NULL), 0);
    assert_int_equal(table_rows(table), count);
    assert_int_equal(table_find(table, "Qsim", &column, NULL), 0);
    double *simulated = malloc(count * sizeof *simulated);
    assert_non_null(simulated);
    assert_int_equal(table_numbers(table, column, 0, 1e4, simulated, NULL), 0);
    double worst = 0;
    for (size_t i = 0; i < count; i++) {
        double error = fabs(simulated[i] - expected[i]);
        if (!(error <= relative * expected[i] + absolute_mm)) {
            fail_msg("step %zu: %.12g, reference %.12g", i, simulated[i], expected[i]);
        }
        worst = fmax(worst, error / (expected[i] + 1e-3));
    }
    printf("%s: worst relative difference %.3g\n", options, worst);
    table_destroy(table);
    free(simulated);
    free(expected);
    unlink(out);
}

#define DAILY  "--step daily --x1 257.238 --x2 1.012 --x3 88.235 --x4 2.208"
#define HOURLY "--step hourly --x1 756.930 --x2 -0.773 --x3 138.638 --x4 5.247"

static void test_gr4j(void **state) {
    (void)state;
    const char *forcing = reference_path("gr", "hydro_dev/catchments/L0123001_daily_1984_1998.csv");
    const char *ref = reference_path("gr", "hydro_dev/gr_reference/gr4j_L0123001_1984_1998_ref.nc");
    run_and_compare(DAILY, forcing, ref, 1e-6, 6e-7);
    run_and_compare(DAILY " --compat-split", forcing, ref, 1e-9, 1e-12);
}

static void test_gr4h(void **state) {
    (void)state;
    const char *forcing =
        reference_path("gr", "hydro_dev/catchments/L0123003_hourly_2004_2006.csv");
    const char *ref = reference_path("gr", "hydro_dev/gr_reference/gr4h_L0123003_2004_2006_ref.nc");
    run_and_compare(HOURLY, forcing, ref, 1e-6, 6e-7);
    run_and_compare(HOURLY " --compat-split", forcing, ref, 1e-9, 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gr4j), cmocka_unit_test(test_gr4h)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
