/* Regridding: what must be exact is exact, amounts are kept, fields agree with their formula. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/grid/geo.h"
#include "models/grid/regrid.h"

enum { SIDE = 40, CELLS = SIDE * SIDE };

static struct grid_env *env;
static struct grid *degrees; /* 0.01 degrees about 108.5 E, 14 N, y descends */
static struct grid *metres;  /* 1 km of VN-2000, zone of 3 degrees at 108.25 E */

static int setup(void **state) {
    double x[SIDE], y[SIDE];
    const double zone[] = {0.9999, 108.25, 0.0, 500000.0, 0.0, 6378137.0, 298.257223563};
    const char *const names[] = {"scale_factor_at_central_meridian",
                                 "longitude_of_central_meridian",
                                 "latitude_of_projection_origin",
                                 "false_easting",
                                 "false_northing",
                                 "semi_major_axis",
                                 "inverse_flattening"};
    struct grid_mapping mapping = {.count = 0};
    (void)state;
    int result = grid_env_create(NULL, &env, NULL);
    for (int i = 0; i < SIDE; i++) {
        x[i] = 108.3 + 0.01 * i;
        y[i] = 14.2 - 0.01 * i;
    }
    result = result != 0 ? result : grid_create(SIDE, SIDE, x, y, NULL, &degrees, NULL);
    for (int i = 0; i < SIDE; i++) {
        x[i] = 509000.0 + 1000.0 * i;
        y[i] = 1529000.0 + 1000.0 * i;
    }
    result = result != 0
                 ? result
                 : grid_mapping_add_text(&mapping, "grid_mapping_name", "transverse_mercator");
    for (size_t i = 0; i < sizeof zone / sizeof *zone && result == 0; i++) {
        result = grid_mapping_add_numbers(&mapping, names[i], 1, &zone[i]);
    }
    result = result != 0 ? result : grid_create(SIDE, SIDE, x, y, &mapping, &metres, NULL);
    grid_mapping_finish(&mapping);
    return result;
}

static int teardown(void **state) {
    (void)state;
    grid_destroy(degrees);
    grid_destroy(metres);
    grid_env_destroy(env);
    return 0;
}

static double formula(double lon, double lat) {
    return 10.0 + 5.0 * sin(20.0 * (lon - 108.0)) + 4.0 * cos(15.0 * (lat - 14.0));
}

static void draw(const struct grid *grid, float *field) {
    struct geo *geo = NULL;
    assert_int_equal(geo_create(env, grid->crs, &geo, NULL), 0);
    for (int i = 0; i < CELLS; i++) {
        double x = grid->x[i % SIDE];
        double y = grid->y[i / SIDE];
        assert_int_equal(geo_inverse(geo, 1, &x, &y), 0);
        field[i] = (float)formula(x, y);
    }
    geo_destroy(geo);
}

static void a_grid_onto_itself_is_the_same(void **state) {
    (void)state;
    for (int method = REGRID_BILINEAR; method <= REGRID_CONSERVATIVE; method++) {
        struct regrid *regrid = NULL;
        float from[CELLS], to[CELLS];
        draw(metres, from);
        from[333] = NAN;
        assert_int_equal(
            regrid_create(env, metres, metres, (enum regrid_method)method, &regrid, NULL), 0);
        regrid_apply(regrid, from, to);
        for (int i = 0; i < CELLS; i++) {
            assert_true(i == 333 ? isnan(to[i]) : fabsf(to[i] - from[i]) < 1e-5F);
        }
        regrid_destroy(regrid);
    }
}

static void both_agree_with_the_formula(void **state) {
    (void)state;
    const struct grid *const grids[] = {degrees, metres};
    for (int k = 0; k < 4; k++) {
        const struct grid *source = grids[k % 2];
        const struct grid *target = grids[1 - k % 2];
        struct regrid *regrid = NULL;
        float from[CELLS], to[CELLS], truth[CELLS];
        int known = 0;
        double sum = 0.0;
        draw(source, from);
        draw(target, truth);
        assert_int_equal(regrid_create(env, source, target,
                                       k < 2 ? REGRID_BILINEAR : REGRID_CONSERVATIVE, &regrid,
                                       NULL),
                         0);
        regrid_apply(regrid, from, to);
        for (int i = 0; i < CELLS; i++) {
            known += !isnan(to[i]);
            /* Curvature within a cell; at the rim a cell may be half covered, and the formula
             * changes by up to 0.4 over a quarter of a cell. */
            float tolerance = k < 2 ? 0.1F : 0.45F;
            assert_true(isnan(to[i]) || fabsf(to[i] - truth[i]) < tolerance);
            sum += isnan(to[i]) ? 0.0 : (double)fabsf(to[i] - truth[i]);
        }
        assert_in_range(known, CELLS / 2, CELLS);
        assert_true(sum / known < (k < 2 ? 0.02 : 0.04));
        regrid_destroy(regrid);
    }
}

/* A patch well inside both grids, of rain that is as uneven as can be. */
static void amounts_are_kept(void **state) {
    (void)state;
    const struct grid *const grids[] = {degrees, metres};
    for (int k = 0; k < 2; k++) {
        struct regrid *regrid = NULL;
        float from[CELLS] = {0.0F}, to[CELLS];
        double area[2][CELLS];
        double amount[2] = {0.0, 0.0};
        for (int i = 0; i < CELLS; i++) {
            int row = i / SIDE;
            int column = i % SIDE;
            bool inside = row > 10 && row < 28 && column > 10 && column < 28;
            from[i] = inside ? (float)(i * 7919 % 101) : 0.0F;
        }
        assert_int_equal(
            regrid_create(env, grids[k], grids[1 - k], REGRID_CONSERVATIVE, &regrid, NULL), 0);
        regrid_apply(regrid, from, to);
        for (int side = 0; side < 2; side++) {
            const float *field = side == 0 ? from : to;
            assert_int_equal(
                grid_cell_areas_m2(env, grids[side == 0 ? k : 1 - k], area[side], NULL), 0);
            for (int i = 0; i < CELLS; i++) {
                amount[side] += isnan(field[i]) ? 0.0 : (double)field[i] * area[side][i];
            }
        }
        assert_true(amount[0] > 0.0);
        assert_true(fabs(amount[1] / amount[0] - 1.0) < 2e-5);
        regrid_destroy(regrid);
    }
}

static void missing_stays_missing(void **state) {
    (void)state;
    struct regrid *regrid = NULL;
    float from[CELLS], to[CELLS];
    for (int i = 0; i < CELLS; i++) {
        from[i] = NAN;
    }
    for (int method = REGRID_BILINEAR; method <= REGRID_CONSERVATIVE; method++) {
        assert_int_equal(
            regrid_create(env, degrees, metres, (enum regrid_method)method, &regrid, NULL), 0);
        regrid_apply(regrid, from, to);
        for (int i = 0; i < CELLS; i++) {
            assert_true(isnan(to[i]));
        }
        regrid_destroy(regrid);
    }
}

/* ---- 2-D longitude and latitude ---- */

/* `bend` 0: the cells of `degrees`; else slanted and bent, each cell another quadrangle. */
static struct grid *curve(double bend) {
    double lon[CELLS], lat[CELLS];
    struct grid *curved = NULL;
    for (int i = 0; i < CELLS; i++) {
        double column = i % SIDE;
        double row = i / SIDE;
        lon[i] = degrees->x[i % SIDE] + bend * (0.004 * row + 0.01 * sin(0.3 * row));
        lat[i] = degrees->y[i / SIDE] + bend * (0.003 * column + 0.01 * sin(0.2 * column));
    }
    assert_int_equal(grid_create_curvilinear(SIDE, SIDE, lon, lat, &curved, NULL), 0);
    return curved;
}

/* Rain and holes that are as uneven as can be. */
static void draw_noise(float *field) {
    for (int i = 0; i < CELLS; i++) {
        field[i] = i * 104729 % 23 == 0 ? NAN : (float)(i * 7919 % 101);
    }
}

static void axes_or_planes_give_the_same(void **state) {
    (void)state;
    struct grid *curved = curve(0.0);
    float from[CELLS], expected[CELLS], to[CELLS];
    draw_noise(from);
    for (int k = 0; k < 4; k++) {
        enum regrid_method method = k % 2 == 0 ? REGRID_BILINEAR : REGRID_CONSERVATIVE;
        struct regrid *plain = NULL;
        struct regrid *planes = NULL;
        bool is_source = k < 2;
        assert_int_equal(regrid_create(env, is_source ? degrees : metres,
                                       is_source ? metres : degrees, method, &plain, NULL),
                         0);
        assert_int_equal(regrid_create(env, is_source ? curved : metres,
                                       is_source ? metres : curved, method, &planes, NULL),
                         0);
        regrid_apply(plain, from, expected);
        regrid_apply(planes, from, to);
        int known = 0;
        for (int i = 0; i < CELLS; i++) {
            known += !isnan(expected[i]);
            assert_int_equal(isnan(to[i]), isnan(expected[i]));
            assert_true(isnan(to[i]) || fabsf(to[i] - expected[i]) < 1e-4F);
        }
        assert_in_range(known, CELLS / 3, CELLS);
        regrid_destroy(plain);
        regrid_destroy(planes);
    }
    grid_destroy(curved);
}

/* What is linear in longitude and latitude, bilinear interpolation keeps, however bent the cells;
 * the branch of the longitude does not matter. */
static void linear_fields_stay_on_bent_grids(void **state) {
    (void)state;
    struct grid *curved = curve(1.0);
    struct grid *target = NULL;
    struct regrid *regrid = NULL;
    double x[SIDE], y[SIDE];
    float from[CELLS], to[CELLS];
    int known = 0;
    for (int i = 0; i < SIDE; i++) {
        x[i] = 108.35 - 360.0 + 0.012 * i;
        y[i] = 13.8 + 0.011 * i;
    }
    assert_int_equal(grid_create(SIDE, SIDE, x, y, NULL, &target, NULL), 0);
    for (int i = 0; i < CELLS; i++) {
        from[i] = (float)(3.0 * (curved->lon[i] - 108.5) - 2.0 * (curved->lat[i] - 14.0));
    }
    assert_int_equal(regrid_create(env, curved, target, REGRID_BILINEAR, &regrid, NULL), 0);
    regrid_apply(regrid, from, to);
    for (int i = 0; i < CELLS; i++) {
        double truth = 3.0 * (x[i % SIDE] + 360.0 - 108.5) - 2.0 * (y[i / SIDE] - 14.0);
        known += !isnan(to[i]);
        assert_true(isnan(to[i]) || fabs((double)to[i] - truth) < 1e-6);
    }
    assert_in_range(known, CELLS / 2, CELLS - 1);
    regrid_destroy(regrid);
    grid_destroy(target);
    grid_destroy(curved);
}

/* Rain well inside both grids, from a bent grid to axes and back. */
static void bent_grids_keep_amounts(void **state) {
    (void)state;
    struct grid *curved = curve(1.0);
    const struct grid *const grids[] = {curved, metres, curved, curved};
    for (int k = 0; k < 3; k++) {
        struct regrid *regrid = NULL;
        float from[CELLS] = {0.0F}, to[CELLS];
        double area[2][CELLS];
        double amount[2] = {0.0, 0.0};
        for (int i = 0; i < CELLS; i++) {
            int row = i / SIDE;
            int column = i % SIDE;
            bool inside = row > 14 && row < 26 && column > 14 && column < 26;
            from[i] = inside ? (float)(i * 7919 % 101) : 0.0F;
        }
        assert_int_equal(
            regrid_create(env, grids[k], grids[k + 1], REGRID_CONSERVATIVE, &regrid, NULL), 0);
        regrid_apply(regrid, from, to);
        for (int side = 0; side < 2; side++) {
            const float *field = side == 0 ? from : to;
            assert_int_equal(grid_cell_areas_m2(env, grids[k + side], area[side], NULL), 0);
            for (int i = 0; i < CELLS; i++) {
                amount[side] += isnan(field[i]) ? 0.0 : (double)field[i] * area[side][i];
            }
        }
        assert_true(amount[0] > 0.0);
        assert_true(fabs(amount[1] / amount[0] - 1.0) < 2e-5);
        regrid_destroy(regrid);
    }
    grid_destroy(curved);
}

static void a_grid_around_a_pole_is_refused(void **state) {
    (void)state;
    double lon[CELLS], lat[CELLS];
    struct grid *polar = NULL;
    struct regrid *regrid = NULL;
    struct err err = {.code = 0};
    for (int i = 0; i < CELLS; i++) {
        double x = i % SIDE - 19.3;
        double y = i / SIDE - 19.6;
        lon[i] = atan2(y, x) * 180.0 / acos(-1.0);
        lat[i] = 90.0 - 0.2 * hypot(x, y);
    }
    assert_int_equal(grid_create_curvilinear(SIDE, SIDE, lon, lat, &polar, NULL), 0);
    for (int method = REGRID_BILINEAR; method <= REGRID_CONSERVATIVE; method++) {
        assert_int_equal(
            regrid_create(env, polar, metres, (enum regrid_method)method, &regrid, &err),
            ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, "around a pole"));
        assert_null(regrid);
    }
    grid_destroy(polar);
}

/* Cells of any form, folded ones too, must be found or not found, and no memory runs away. */
static void folded_grids_end(void **state) {
    (void)state;
    double lon[CELLS], lat[CELLS];
    uint32_t bits = 1;
    for (int k = 0; k < 3; k++) {
        struct grid *folded = NULL;
        struct regrid *regrid = NULL;
        float from[CELLS], to[CELLS];
        for (int i = 0; i < CELLS; i++) {
            bits = bits * 1664525U + 1013904223U;
            lon[i] = 108.0 + (double)(bits >> 16) / 65536.0;
            bits = bits * 1664525U + 1013904223U;
            lat[i] = k == 0 ? 14.0 : 13.5 + (double)(bits >> 16) / 65536.0; /* 0: no area at all */
            from[i] = 1.0F;
        }
        assert_int_equal(grid_create_curvilinear(SIDE, SIDE, lon, lat, &folded, NULL), 0);
        for (int method = REGRID_BILINEAR; method <= REGRID_CONSERVATIVE; method++) {
            struct err err = {.code = 0};
            int result =
                regrid_create(env, folded, metres, (enum regrid_method)method, &regrid, &err);
            assert_true(result == 0 || err.code != 0);
            if (result == 0) {
                regrid_apply(regrid, from, to);
                for (int i = 0; i < CELLS; i++) {
                    assert_true(isnan(to[i]) || fabsf(to[i] - 1.0F) < 1e-5F);
                }
                regrid_destroy(regrid);
                regrid = NULL;
            }
        }
        grid_destroy(folded);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grid_onto_itself_is_the_same),
        cmocka_unit_test(both_agree_with_the_formula),
        cmocka_unit_test(amounts_are_kept),
        cmocka_unit_test(missing_stays_missing),
        cmocka_unit_test(axes_or_planes_give_the_same),
        cmocka_unit_test(linear_fields_stay_on_bent_grids),
        cmocka_unit_test(bent_grids_keep_amounts),
        cmocka_unit_test(a_grid_around_a_pole_is_refused),
        cmocka_unit_test(folded_grids_end),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
