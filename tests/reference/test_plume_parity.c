/* Plume and curves against a table computed elsewhere in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "models/dispersion/plume.h"
#include "models/table/table.h"
#include "tests/reference/reference.h"

static void test_table(void **state) {
    (void)state;
    static const char *const names[] = {"x_m",   "y_m",  "z_m",       "H_m",       "u_m_s",
                                        "Q_g_s", "zi_m", "sigma_y_m", "sigma_z_m", "C_g_m3"};
    enum { COLUMNS = sizeof names / sizeof *names, ROWS = 200 };
    static double v[COLUMNS][ROWS];
    struct table *table = NULL;
    size_t class = 0;
    assert_int_equal(table_read(reference_path("plume_parity",
                                               "dispersion_dev/parity/gaussian_plume_sample.csv"),
                                &table, NULL),
                     0);
    assert_true(table_rows(table) > 0 && table_rows(table) <= ROWS);
    assert_int_equal(table_find(table, "class", &class, NULL), 0);
    for (size_t c = 0; c < COLUMNS; c++) {
        size_t column = 0;
        assert_int_equal(table_find(table, names[c], &column, NULL), 0);
        assert_int_equal(table_numbers(table, column, -1e9, 1e9, v[c], NULL), 0);
    }
    double worst = 0;
    for (size_t i = 0; i < table_rows(table); i++) {
        double sy = 0, sz = 0;
        assert_string_equal(table_text(table, i, 0), "rural");
        enum plume_class stability = (enum plume_class)(table_text(table, i, class)[0] - 'A');
        assert_int_equal(plume_sigma_briggs(PLUME_RURAL, stability, v[0][i], &sy, &sz), 0);
        double c = plume_concentration(v[5][i], v[4][i], sy, sz, v[1][i], v[2][i], v[3][i],
                                       v[6][i] > 0 ? v[6][i] : (double)NAN);
        worst = fmax(worst, fabs(sy / v[7][i] - 1));
        worst = fmax(worst, fabs(sz / v[8][i] - 1));
        worst = fmax(worst, fabs(c / v[9][i] - 1));
    }
    printf("plume: %zu rows, largest relative difference %.2e\n", table_rows(table), worst);
    assert_true(worst <= 1e-9);
    table_destroy(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
