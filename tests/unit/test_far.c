/* Releases by particles: mass, agreement with plumes where both hold, receptors, winds that change,
 * the same bits with any number of threads, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/dispersion/far.h"
#include "models/dispersion/far_cells.h"
#include "models/dispersion/plume_results.h"

#define HOUR_US INT64_C(3600000000)

static struct weather_row row_of(double wind_m_s, double from_deg, int class, double lid_m) {
    const double nan = (double)NAN;
    return (struct weather_row){0, wind_m_s, 10, from_deg, nan, nan, nan, lid_m, 0.03, nan, class};
}

static struct puff_release release_of(double duration_s) {
    return (struct puff_release){
        .height_m = 10, .rate = 1000, .duration_s = duration_s, .half_life_s = (double)INFINITY};
}

/* Everything that was released is somewhere, whatever takes from it. */
static void test_mass(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct weather_row row = row_of(4, 270, PLUME_D, 800);
        struct weather weather = {.count = 1, .rows = &row};
        struct puff_release r = release_of(600);
        struct puff_receptor at = {.x_m = 4000, .y_m = 0, .z_m = 1.5};
        struct far_options o = far_options_default;
        struct far_mass m = {0};
        double error = 0;
        o.particles = 500;
        row.rain_mm_h = 5;
        r.half_life_s = kind & 1 ? 1800 : (double)INFINITY;
        r.dry_velocity_m_s = kind & 2 ? 0.01 : 0;
        r.washout_a = kind & 2 ? 8e-5 : 0;
        r.washout_b = 0.8;
        assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, &at, 1, &error, &m, NULL), 0);
        double sum = m.air + m.deposited + m.decayed + m.done + m.gone;
        assert_true(m.released == 600000);
        assert_true(fabs(sum / m.released - 1) < 1e-9);
        assert_true((m.decayed > 0) == (kind & 1) && (m.deposited > 0) == ((kind & 2) != 0));
        assert_true((at.deposit > 0) == ((kind & 2) != 0));
        row.rain_mm_h = (double)NAN; /* unknown rain: unknown deposit, where rain would matter */
        assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, &at, 1, &error, &m, NULL), 0);
        assert_true((bool)isnan(at.deposit) == ((kind & 2) != 0));
    }
}

/* Where both hold, 5 to 10 km: on the axis within a factor 2.5 of the plume for every class, and
 * across the plume the same mass within a factor 2.5. The plume has the wind of 10 m at all heights
 * (particles have a profile), and no lid unless told. */
static void test_overlap(void **state) {
    (void)state;
    const double lids[] = {1500, 1200, 1000, (double)NAN, (double)NAN, (double)NAN};
    const double winds[] = {2, 3, 4, 5, 3, 2};
    enum { ACROSS = 41 };
    for (int class = PLUME_A; class <= PLUME_F; class ++) {
        struct weather_row row = row_of(winds[class], 270, class, lids[class]);
        struct weather weather = {.count = 1, .rows = &row};
        struct release release = {.continuous = true, .puff = release_of(0)};
        struct weather_air air;
        struct puff_receptor at[ACROSS];
        double error[ACROSS], plume = 0, particles = 0, top = 0;
        struct far_options o = far_options_default;
        struct far_mass m;
        const int64_t now = 0;
        o.particles = class >= PLUME_E ? 1000 : 2000;
        release.gas_density_kg_m3 = (double)NAN;
        assert_int_equal(weather_air(&row, WEATHER_BRIGGS, PLUME_RURAL, 10, &air, NULL), 0);
        for (int i = 0; i < ACROSS; i++) {
            at[i] =
                (struct puff_receptor){.x_m = 9000, .y_m = 150.0 * (i - ACROSS / 2), .z_m = 1.5};
        }
        assert_int_equal(
            far_run(&release.puff, &weather, 3600, &now, &o, at, ACROSS, error, &m, NULL), 0);
        for (int i = 0; i < ACROSS; i++) {
            double value = 0;
            assert_int_equal(results_steady(&release, &air, &at[i], &value, NULL), 0);
            plume += value;
            particles += at[i].tic;
            top = i == ACROSS / 2 ? at[i].tic / value : top;
        }
        print_message(
            "class %c, 9 km: particles / plume on the axis %.2f (standard error %.0f %%), "
            "across %.2f\n",
            'A' + class, top, 100 * error[ACROSS / 2], particles / plume);
        assert_true(top > 0.4 && top < 2.5 && error[ACROSS / 2] < 0.25);
        assert_true(particles / plume > 0.4 && particles / plume < 2.5);
    }
}

/* In a wind that turns the mass is where the wind blew, not downwind of the first wind. */
static void test_turning_wind(void **state) {
    (void)state;
    struct weather_row rows[3] = {row_of(4, 270, PLUME_D, 800), row_of(4, 270, PLUME_D, 800),
                                  row_of(4, 180, PLUME_D, 800)};
    struct weather weather = {.timed = true, .count = 3, .rows = rows};
    struct puff_release r = release_of(600);
    struct far_options o = far_options_default;
    struct far_mass m;
    double error[2];
    for (int i = 0; i < 3; i++) {
        rows[i].utc_us = i * HOUR_US / 2;
    }
    o.particles = 1000;
    /* Half an hour eastward, then turning for half an hour, then northward: 4 m/s at 10 m, more
     * above, so that no particle is 20 km east of the source. */
    struct puff_receptor at[2] = {{.x_m = 12000, .y_m = 8000, .z_m = 1.5},
                                  {.x_m = 20000, .y_m = 0, .z_m = 1.5}};
    assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, at, 2, error, &m, NULL), 0);
    assert_true(at[0].tic > 0 && at[0].arrival_s > 1800 && at[0].last_s > at[0].arrival_s);
    assert_true(at[1].tic == 0 && isnan(at[1].arrival_s) && isnan(error[1]));
}

static void test_threads(void **state) {
    (void)state;
    struct weather_row row = row_of(4, 270, PLUME_C, 900);
    struct weather weather = {.count = 1, .rows = &row};
    struct puff_release r = release_of(900);
    struct puff_receptor first[3], at[3];
    double first_error[3], error[3];
    struct far_options o = far_options_default;
    struct far_mass m;
    o.particles = 400;
    for (int threads = 1; threads <= 4; threads *= 2) {
        for (int i = 0; i < 3; i++) {
            at[i] = (struct puff_receptor){.x_m = 5000 + 500 * i, .y_m = 100 * i, .z_m = 1.5};
        }
        o.threads = threads;
        assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, at, 3, error, &m, NULL), 0);
        if (threads == 1) {
            memcpy(first, at, sizeof at);
            memcpy(first_error, error, sizeof error);
        }
        assert_memory_equal(first, at, sizeof at);
        assert_memory_equal(first_error, error, sizeof error);
    }
    o.seed = 2;
    assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, at, 3, error, &m, NULL), 0);
    assert_true(at[0].tic != first[0].tic);
}

static void count_near(void *context, size_t receptor) {
    unsigned char *seen = context;
    seen[receptor]++;
}

/* The cells find every receptor within the radius, and none twice. */
static void test_cells(void **state) {
    (void)state;
    enum { MANY = 3000 };
    struct puff_receptor *r = calloc(MANY, sizeof *r);
    unsigned char seen[MANY];
    struct far_cells cells;
    assert_non_null(r);
    srand(7);
    for (int i = 0; i < MANY; i++) {
        r[i].x_m = rand() % 20000 - 10000;
        r[i].y_m = rand() % 3000;
    }
    assert_int_equal(far_cells_create(r, MANY, &cells, NULL), 0);
    for (int k = 0; k < 200; k++) {
        double x = rand() % 24000 - 12000, y = rand() % 5000 - 1000, radius = 20 + rand() % 900;
        memset(seen, 0, sizeof seen);
        far_cells_near(&cells, x, y, radius, count_near, seen);
        for (int i = 0; i < MANY; i++) {
            bool within = hypot(r[i].x_m - x, r[i].y_m - y) <= radius;
            assert_true(seen[i] <= 1 && (seen[i] == 1 || !within));
        }
    }
    far_cells_finish(&cells);
    free(r);
}

static void test_refused(void **state) {
    (void)state;
    struct weather_row row = row_of(0.3, 270, PLUME_D, 800);
    struct weather weather = {.timed = true, .count = 1, .rows = &row};
    struct puff_release r = release_of(600);
    struct puff_receptor at = {.x_m = 30000, .z_m = 1.5};
    struct far_options o = far_options_default;
    struct far_mass m = {.released = -1};
    double error = -1;
    o.particles = FAR_PARTICLES_MIN;
    assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, &at, 1, &error, &m, NULL), ERR_RANGE);
    row = row_of(2, 270, PLUME_D, 800); /* an hour of weather for a way of three */
    assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, &at, 1, &error, &m, NULL), ERR_STALE);
    weather.timed = false;
    row.stability = -1;
    assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, &at, 1, &error, &m, NULL),
                     ERR_NOT_FOUND);
    row = row_of(2, 270, PLUME_D, 5); /* the source is above the lid */
    assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, &at, 1, &error, &m, NULL), ERR_RANGE);
    o.particles = 10;
    assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, &at, 1, &error, &m, NULL), ERR_LIMIT);
    assert_int_equal(far_run(&r, &weather, 3600, NULL, &o, &at, 0, &error, &m, NULL), ERR_LIMIT);
    assert_true(m.released == -1 && error == -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mass),         cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_turning_wind), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_cells),        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
