/* Terrain: a pit is filled to its rim, every cell drains to the edge, missing cells stay out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "models/hydrology/terrain.h"

enum { ROWS = 60, COLUMNS = 80, CELLS = ROWS * COLUMNS };
static double dem[CELLS], filled[CELLS];
static double sixties[ROWS], ones[ROWS], nineties[ROWS], area[CELLS];
static int32_t d8[CELLS], cells[CELLS], basin[CELLS];

static int set_rows(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        ones[i] = 1;
        nineties[i] = 90;
        sixties[i] = 60;
    }
    return 0;
}

static void test_pit_is_filled_to_its_rim(void **state) {
    (void)state;
    /* a bowl with a rim of 10 and one notch of 7 in the east */
    const double bowl[25] = {10, 10, 10, 10, 10, 10, 2,  3,  2,  10, 10, 3, 1,
                             3,  7,  10, 2,  3,  2,  10, 10, 10, 10, 10, 10};
    assert_int_equal(terrain_drain(5, 5, ones, ones, bowl, filled, d8, NULL), 0);
    for (int r = 1; r < 4; r++) {
        for (int c = 1; c < 4; c++) {
            assert_true(filled[r * 5 + c] == 7);
        }
    }
    assert_int_equal(terrain_accumulate(5, 5, d8, ones, cells, area, basin, NULL), 0);
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
    assert_int_equal(terrain_drain(ROWS, COLUMNS, nineties, sixties, dem, filled, d8, NULL), 0);
    /* network_create() inside refuses circles */
    assert_int_equal(terrain_accumulate(ROWS, COLUMNS, d8, sixties, cells, area, basin, NULL), 0);
    long known = 0, drained = 0;
    for (int i = 0; i < CELLS; i++) {
        if (isnan(dem[i])) {
            assert_true(isnan(filled[i]) && d8[i] == 0 && cells[i] == 0 && basin[i] == 0);
            continue;
        }
        known++;
        assert_true(filled[i] >= dem[i] && cells[i] >= 1 && basin[i] >= 1);
        assert_true(area[i] == 60.0 * cells[i]);
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
    const double none[4] = {NAN, NAN, NAN, NAN}, flat[4] = {7, 7, NAN, 7};
    const double narrow[2] = {1, 0}, wide[2] = {1, 1};
    struct err err;
    assert_int_equal(terrain_drain(2, 2, wide, wide, none, filled, d8, NULL), ERR_INVALID);
    assert_int_equal(terrain_drain(2, 2, wide, wide, flat, filled, d8, NULL), ERR_INVALID);
    assert_int_equal(terrain_drain(0, 2, wide, wide, none, filled, d8, NULL), ERR_LIMIT);
    assert_int_equal(terrain_drain(2, 2, narrow, wide, none, filled, d8, NULL), ERR_LIMIT);
    static const double absurd[] = {-9999, -32768, 32767, 9999, -500.1, 1e20, INFINITY};
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
        const double land[4] = {3, 2, 1, absurd[i]};
        assert_int_equal(terrain_drain(2, 2, wide, wide, land, filled, d8, &err), ERR_RANGE);
        assert_non_null(strstr(err.text, "row 2 from the north, column 2"));
    }
}

/* Cells that narrow to the north, as degrees do: what is steepest depends on it. From a cell of
 * 10 m the fall is 3 m to the east and 4.5 m to the south. */
static void test_width_of_a_row_decides(void **state) {
    (void)state;
    const double land[9] = {20, 20, 20, 20, 10, 7, 20, 5.5, 20};
    const double even[3] = {100, 100, 100}, narrow[3] = {50, 50, 50};
    assert_int_equal(terrain_drain(3, 3, even, even, land, filled, d8, NULL), 0);
    assert_int_equal(d8[4], 4);
    assert_int_equal(terrain_drain(3, 3, narrow, even, land, filled, d8, NULL), 0);
    assert_int_equal(d8[4], 1); /* 3 m in 50 m, not 4.5 m in 100 m */
    const double rows[3] = {1, 2, 4};
    assert_int_equal(terrain_accumulate(3, 3, d8, rows, cells, area, basin, NULL), 0);
    double above = 2; /* the outlet in the east, what drains into it of each row */
    for (int i = 0; i < 9; i++) {
        bool into = (i == 2 && d8[i] == 4) || (i == 4 && d8[i] == 1) || (i == 8 && d8[i] == 64) ||
                    (i == 1 && d8[i] == 2) || (i == 7 && d8[i] == 128);
        above += into ? area[i] : 0;
    }
    assert_true(area[5] == above && above >= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pit_is_filled_to_its_rim),
        cmocka_unit_test(test_every_cell_reaches_the_edge),
        cmocka_unit_test(test_width_of_a_row_decides),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_rows, NULL);
}
