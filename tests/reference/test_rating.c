/* Rating fits to five gauging stations against an independent least-squares fit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "models/hydrology/rating.h"
#include "models/table/table.h"
#include "tests/reference/reference.h"

static size_t read_column(const struct table *table, const char *name, double *values) {
    size_t column = 0;
    assert_int_equal(table_find(table, name, &column, NULL), 0);
    assert_int_equal(table_numbers(table, column, -1e4, 1e6, values, NULL), 0);
    return table_rows(table);
}

static void test_five_stations(void **state) {
    (void)state;
    struct table *reference = NULL;
    double rms[16], loo[16];
    assert_int_equal(table_read(reference_path("rating", "hydro_dev/rating/reference_fit.csv"),
                                &reference, NULL),
                     0);
    size_t stations = read_column(reference, "rms_log", rms);
    (void)read_column(reference, "loo_rms_log", loo);
    assert_int_equal(stations, 5);
    for (size_t i = 0; i < stations; i++) {
        char file[256];
        struct table *table = NULL;
        double stage[200], flow[200];
        struct rating r;
        const char *name = table_text(reference, i, 0);
        (void)snprintf(file, sizeof file, "hydro_dev/rating/%s.csv", name);
        assert_int_equal(table_read(reference_path("rating", file), &table, NULL), 0);
        size_t count = read_column(table, "W", stage);
        (void)read_column(table, "Q", flow);
        assert_int_equal(rating_fit(stage, flow, count, 1, &r, NULL), 0);
        printf("%s: rms_log %.5f (%.5f), leave-one-out %.5f (%.5f), refused %d\n", name, r.rms_log,
               rms[i], r.loo_rms_log, loo[i], r.loo_refused);
        assert_true(fabs(r.rms_log / rms[i] - 1) < 0.01);
        /* Kallstorp's reference of 2.8 is one low gauging under the c of the others; that one is
         * refused here instead of predicted. */
        if (strcmp(name, "kallstorp") == 0) {
            assert_int_equal(r.loo_refused, 1);
        } else {
            assert_true(r.loo_refused == 0 && fabs(r.loo_rms_log / loo[i] - 1) < 0.01);
        }
        table_destroy(table);
    }
    table_destroy(reference);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_five_stations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
