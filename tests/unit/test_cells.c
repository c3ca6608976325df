/* CREST and HBV-96: conservation, bounds, monotony, limits that can be computed by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "models/hydrology/crest_grid.h"
#include "models/hydrology/hbv.h"

static double next_random(uint32_t *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    return (*seed >> 8) / 16777216.0;
}

static void test_crest_conserves_and_stays_in_bounds(void **state) {
    (void)state;
    uint32_t seed = 3;
    for (int i = 0; i < 200000; i++) {
        struct crest_parameters p = {20 + 230 * next_random(&seed), 0.05 + 2 * next_random(&seed),
                                     next_random(&seed) < 0.2 ? 1 : 0.3 * next_random(&seed),
                                     0.5 + next_random(&seed), 150 * next_random(&seed)};
        double share = next_random(&seed);
        double w = p.wm_mm * (share < 0.1 ? 0 : share > 0.9 ? 1 : share);
        double before = w;
        double rain = next_random(&seed) < 0.3 ? 0 : 100 * pow(next_random(&seed), 4);
        double pet = next_random(&seed);
        struct crest_flux f = crest_step(&p, 0.5, rain, pet, &w);
        double error = rain - f.evaporation_mm - f.overland_mm - f.interflow_mm - (w - before);
        if (fabs(error) > 1e-12 * (1 + rain + before)) {
            fail_msg("case %d: %g mm appear or vanish", i, error);
        }
        assert_true(w >= 0 && w <= p.wm_mm);
        assert_true(f.overland_mm >= 0 && f.interflow_mm >= 0 && f.evaporation_mm >= 0);
        double w_more = before;
        struct crest_flux more = crest_step(&p, 0.5, rain + 1, pet, &w_more);
        assert_true(more.overland_mm + more.interflow_mm >= f.overland_mm + f.interflow_mm - 1e-12);
    }
}

static void test_crest_known_cases(void **state) {
    (void)state;
    struct crest_parameters p = {100, 1, 0, 1, 10};
    /* B = 1: the curve is a parabola. W = 0, Ps = 100 of Wmm = 200: infiltration 100 (1 - 0.25). */
    double w = 0;
    struct crest_flux f = crest_step(&p, 1, 100, 0, &w);
    assert_true(fabs(w - 75) < 1e-12);
    /* interflow: 10 mm/h (0 + 75) / 200 */
    assert_true(fabs(f.interflow_mm - 3.75) < 1e-12 && fabs(f.overland_mm - 21.25) < 1e-12);
    w = 100; /* saturated: all of it runs off */
    f = crest_step(&p, 1, 30, 0, &w);
    assert_true(w == 100 && f.interflow_mm == 10 && f.overland_mm == 20);
    w = 50; /* dry: evaporation in proportion to the store */
    f = crest_step(&p, 1, 1, 5, &w);
    assert_true(fabs(w - 48) < 1e-12 && fabs(f.evaporation_mm - 3) < 1e-12);
    f = crest_step(&p, 1, NAN, 5, &w);
    assert_true(fabs(w - 48) < 1e-12 && isnan(f.overland_mm) && isnan(f.evaporation_mm));
    f = crest_step(&p, 1, 5, NAN, &w);
    assert_true(isnan(f.interflow_mm));
    p.im = 1.2;
    assert_int_equal(crest_check(&p, NULL), ERR_RANGE);
    p.im = 0;
    p.wm_mm = NAN;
    assert_int_equal(crest_check(&p, NULL), ERR_RANGE);
}

static const struct hbv_parameters hbv_usual = {0.5, 4,    0.05, 0.1, 200, 2.5, 0.7,
                                                0.3, 0.08, 0.02, 20,  2,   2.6};

static void test_hbv_conserves(void **state) {
    (void)state;
    static struct hbv hbv;
    static struct hbv_state s;
    uint32_t seed = 8;
    for (int hourly = 0; hourly < 2; hourly++) {
        assert_int_equal(hbv_init(&hbv, hourly ? 1 : 24, &hbv_usual, NULL), 0);
        hbv_state_start(&hbv, &s);
        for (int i = 0; i < 20000; i++) {
            double before = hbv_stored_mm(&hbv, &s);
            struct hbv_flux f;
            double rain = next_random(&seed) < 0.6 ? 0 : 40 * pow(next_random(&seed), 3);
            double q = hbv_step(&hbv, &s, rain, 3 * next_random(&seed),
                                15 * sin(i / 58.0) + 10 * (next_random(&seed) - 0.5), &f);
            double error = rain - f.evaporation_mm - q - (hbv_stored_mm(&hbv, &s) - before);
            assert_true(fabs(error) < 1e-10 && q >= 0);
            assert_true(s.soil_mm >= 0 && s.soil_mm <= hbv_usual.fc_mm && s.pack_mm >= 0 &&
                        s.liquid_mm >= 0 && s.upper_mm >= 0 && s.lower_mm >= 0);
        }
        assert_true(isnan(hbv_step(&hbv, &s, 1, NAN, 3, NULL)));
    }
}

static void test_hbv_snow_waits_for_warmth(void **state) {
    (void)state;
    static struct hbv hbv;
    static struct hbv_state s;
    assert_int_equal(hbv_init(&hbv, 24, &hbv_usual, NULL), 0);
    hbv_state_start(&hbv, &s);
    for (int i = 0; i < 30; i++) {
        (void)hbv_step(&hbv, &s, 10, 0, -5, NULL);
    }
    assert_true(fabs(s.pack_mm - 300) < 1e-9 && s.soil_mm == 100);
    /* 4 mm/(K d) at 5.5 degC over 0.5: 20 mm a day melt, the first 28 mm or so stay in the pack. */
    (void)hbv_step(&hbv, &s, 0, 0, 5.5, NULL);
    assert_true(fabs(s.pack_mm - 280) < 1e-9 && fabs(s.liquid_mm - 20) < 1e-9);
    double q = 0;
    for (int i = 0; i < 400; i++) {
        q = hbv_step(&hbv, &s, 6, 0, 15, NULL);
    }
    assert_true(s.pack_mm == 0 && fabs(q - 6) < 0.01); /* steady: what falls runs off */
    struct hbv_parameters bad = hbv_usual;
    bad.maxbas_day = 16;
    assert_int_equal(hbv_init(&hbv, 1, &bad, NULL), ERR_RANGE);
    assert_int_equal(hbv_init(&hbv, 0.25, &hbv_usual, NULL), ERR_RANGE);
}

/* CREST and the wave together: all the rain is evaporated, stored or gone, and a cell without rain
 * makes what lies below it unknown, not dry. */
static void test_grid_closes_and_shows_the_unknown(void **state) {
    (void)state;
    enum { CELLS = 3000, STEPS = 300 };
    static int32_t downstream[CELLS];
    static struct kinematic_reach reaches[CELLS];
    static struct crest_parameters parameters[CELLS];
    static double area[CELLS], water[CELLS], lateral[CELLS], evaporated[CELLS], rain[CELLS],
        potential[CELLS];
    uint32_t seed = 4;
    struct network *network = NULL;
    struct kinematic *kinematic = NULL;
    for (int i = 0; i < CELLS; i++) {
        int next = i + 1 + (int)(30 * next_random(&seed));
        downstream[i] = next < CELLS ? next : NETWORK_OUTLET;
        reaches[i] = (struct kinematic_reach){500, 5, 0.01, 0.05};
        parameters[i] = (struct crest_parameters){80 + 50 * next_random(&seed), 0.4, 0.05, 1, 3};
        area[i] = 250000;
        water[i] = 30;
    }
    assert_int_equal(network_create(CELLS, downstream, NULL, &network, NULL), 0);
    assert_int_equal(kinematic_create(network, reaches, &kinematic, NULL), 0);
    struct crest_grid grid = {.kinematic = kinematic,
                              .parameters = parameters,
                              .area_m2 = area,
                              .water_mm = water,
                              .lateral_m3_s = lateral,
                              .evaporation_mm = evaporated};
    double in = 0, out = 0;
    for (int s = 0; s < STEPS; s++) {
        for (int i = 0; i < CELLS; i++) {
            rain[i] = s % 60 < 10 ? 15 * next_random(&seed) : 0;
            potential[i] = 0.2;
            in += rain[i] * 1e-3 * area[i];
        }
        crest_grid_step(&grid, 1800, rain, potential, 2);
        for (int i = 0; i < CELLS; i++) {
            out += evaporated[i] * 1e-3 * area[i];
        }
        out += kinematic_outlet_m3_s(kinematic) * 1800;
    }
    double stored = kinematic_stored_m3(kinematic);
    for (int i = 0; i < CELLS; i++) {
        stored += (water[i] - 30) * 1e-3 * area[i];
    }
    assert_true(fabs(in - out - stored) < 1e-11 * in);
    rain[17] = NAN;
    crest_grid_step(&grid, 1800, rain, potential, 2);
    for (int p = 0; p < CELLS; p++) {
        int below = 17;
        while (below >= 0 && below != p) {
            below = network->downstream[below];
        }
        assert_int_equal(kinematic->mark[p] == KINEMATIC_MISSING, below == p);
    }
    kinematic_destroy(kinematic);
    network_destroy(network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crest_conserves_and_stays_in_bounds),
        cmocka_unit_test(test_crest_known_cases),
        cmocka_unit_test(test_grid_closes_and_shows_the_unknown),
        cmocka_unit_test(test_hbv_conserves),
        cmocka_unit_test(test_hbv_snow_waits_for_warmth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
