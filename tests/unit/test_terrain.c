/* Terrain: a pit is filled to its rim, every cell drains to the edge, missing cells stay out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/hydrology/terrain.h"

enum { ROWS = 60, COLUMNS = 80, CELLS = ROWS * COLUMNS };
static double dem[CELLS], filled[CELLS];
static int32_t d8[CELLS], cells[CELLS], basin[CELLS];

static void test_pit_is_filled_to_its_rim(void **state) {
    (void)state;
    /* a bowl with a rim of 10 and one notch of 7 in the east */
    const double bowl[25] = {10, 10, 10, 10, 10, 10, 2,  3,  2,  10, 10, 3, 1,
                             3,  7,  10, 2,  3,  2,  10, 10, 10, 10, 10, 10};
    assert_int_equal(terrain_drain(5, 5, 1, 1, bowl, filled, d8, NULL), 0);
    for (int r = 1; r < 4; r++) {
        for (int c = 1; c < 4; c++) {
            assert_true(filled[r * 5 + c] == 7);
        }
    }
    assert_int_equal(terrain_accumulate(5, 5, d8, cells, basin, NULL), 0);
    assert_true(cells[14] >= 10 && basin[12] == basin[14]); /* all of it leaves by the notch */
}

static void test_every_cell_reaches_the_edge(void **state) {
    (void)state;
    uint32_t seed = 21;
    for (int i = 0; i < CELLS; i++) {
        seed = seed * 1664525U + 1013904223U;
        dem[i] = floor((seed >> 8) / 16777216.0 * 30) + 0.5 * (i / COLUMNS); /* pits and flats */
        if (i % 331 == 7) {
            dem[i] = NAN;
        }
    }
    assert_int_equal(terrain_drain(ROWS, COLUMNS, 90, 60, dem, filled, d8, NULL), 0);
    /* network_create() inside refuses circles */
    assert_int_equal(terrain_accumulate(ROWS, COLUMNS, d8, cells, basin, NULL), 0);
    long known = 0, drained = 0;
    for (int i = 0; i < CELLS; i++) {
        if (isnan(dem[i])) {
            assert_true(isnan(filled[i]) && d8[i] == 0 && cells[i] == 0 && basin[i] == 0);
            continue;
        }
        known++;
        assert_true(filled[i] >= dem[i] && cells[i] >= 1 && basin[i] >= 1);
    }
    size_t count = 0;
    static int32_t cell_of_grid[CELLS], downstream[CELLS];
    assert_int_equal(network_from_d8(ROWS, COLUMNS, d8, &count, cell_of_grid, downstream, NULL), 0);
    assert_int_equal(count, known);
    for (int i = 0; i < CELLS; i++) {
        int32_t c = cell_of_grid[i];
        if (c >= 0 && downstream[c] == NETWORK_OUTLET) {
            drained += cells[i];
            int row = i / COLUMNS, column = i % COLUMNS, edge = 0;
            for (int dr = -1; dr <= 1; dr++) {
                for (int dc = -1; dc <= 1; dc++) {
                    int r = row + dr, k = column + dc;
                    edge |=
                        r < 0 || k < 0 || r >= ROWS || k >= COLUMNS || isnan(dem[r * COLUMNS + k]);
                }
            }
            assert_true(edge); /* an outlet inside the land would be a lost pit */
        }
    }
    assert_int_equal(drained, known);
}

static void test_refusals(void **state) {
    (void)state;
    const double none[4] = {NAN, NAN, NAN, NAN};
    assert_int_equal(terrain_drain(2, 2, 1, 1, none, filled, d8, NULL), ERR_INVALID);
    assert_int_equal(terrain_drain(0, 2, 1, 1, none, filled, d8, NULL), ERR_LIMIT);
    assert_int_equal(terrain_drain(2, 2, 0, 1, none, filled, d8, NULL), ERR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pit_is_filled_to_its_rim),
        cmocka_unit_test(test_every_cell_reaches_the_edge),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
