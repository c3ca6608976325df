/* What the tests of areal sums share: a grid of 4 x 4 degrees from 0 N 0 E, and one result out of
 * all. */
#ifndef CANHBAO_TESTS_UNIT_AREAL_FIXTURE_H
#define CANHBAO_TESTS_UNIT_AREAL_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "models/areal/areal.h"

enum { ROWS = 4, COLUMNS = 4, CELLS = ROWS * COLUMNS, RESULTS_MAX = 400 };

static inline int make_grid(struct grid_env **ret_env, struct grid **ret_grid) {
    static const double centres[] = {0.5, 1.5, 2.5, 3.5};
    return grid_env_create(NULL, ret_env, NULL) != 0 ||
           grid_create(ROWS, COLUMNS, centres, centres, NULL, ret_grid, NULL) != 0;
}

/* The result of an area; probability NAN: that which is not of an ensemble. */
static inline struct areal_result find_reached(struct areal *areal, const char *area,
                                               const char *variable, int64_t window_s,
                                               int64_t lead_s, double probability) {
    struct areal_result results[RESULTS_MAX];
    size_t count = areal_result_count(areal);
    assert_true(count <= RESULTS_MAX);
    assert_int_equal(areal_finish(areal, results, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        bool same = isnan(probability) ? isnan(results[i].probability)
                                       : results[i].probability == probability;
        if (same && strcmp(results[i].area, area) == 0 &&
            strcmp(results[i].variable, variable) == 0 && results[i].window_s == window_s &&
            results[i].lead_s == lead_s) {
            return results[i];
        }
    }
    fail_msg("no result %s %s", area, variable);
    return results[0];
}

static inline struct areal_result find(struct areal *areal, const char *area, const char *variable,
                                       int64_t window_s, int64_t lead_s) {
    return find_reached(areal, area, variable, window_s, lead_s, (double)NAN);
}

#endif
