/* Particles against theory: uniform stays uniform (well-mixed), Taylor's spread in homogeneous
 * turbulence, the same bits with any number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/dispersion/particles.h"

enum { COUNT = 5000, LAYERS = 10 };

static const struct particles_air layers[] = {{0.35, -40, 1000, 1e-4, 4, 0, 0, 0, 0},
                                              {0.4, 1e6, 800, 1e-4, 6, 2, 0, 0, 0},
                                              {0.2, 60, 250, 1e-4, 3, -3, 0, 0, 0}};

static struct particle *uniform_layer(double height_m) {
    struct particle *p = calloc(COUNT, sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < COUNT; i++) {
        p[i].position_m[2] = height_m * ((double)i + 0.5) / COUNT;
    }
    return p;
}

static void test_well_mixed(void **state) {
    (void)state;
    for (size_t a = 0; a < sizeof layers / sizeof *layers; a++) {
        struct particles_options o = {10800, 20, 5, 2, NULL};
        struct particle *p = uniform_layer(layers[a].height_m);
        int counts[LAYERS] = {0};
        uint64_t steps = 0;
        assert_int_equal(particles_move(&layers[a], 1, &o, p, COUNT, &steps, NULL), 0);
        double worst = 0;
        for (size_t i = 0; i < COUNT; i++) {
            counts[(int)fmin(LAYERS * p[i].position_m[2] / layers[a].height_m, LAYERS - 1)]++;
        }
        for (int k = 0; k < LAYERS; k++) { /* binomial scatter of 500 */
            worst = fmax(worst, abs(counts[k] - COUNT / LAYERS) / sqrt(COUNT / LAYERS * 0.9));
        }
        print_message("L %.0f m: largest deviation %.1f sigma after 3 h\n", layers[a].obukhov_m,
                      worst);
        assert_true(worst < 3.5); /* the largest of ten */
        free(p);
    }
}

/* Both horizontal components are independent samples: the scatter of a variance of 80,000 is
 * sqrt(2 / 80,000) = 0.5 %. The bound is three of them and half a percent for the step of a 50th to
 * a 20th of the time scale. */
static void test_taylor(void **state) {
    (void)state;
    enum { MANY = 40000 };
    static const struct turbulence even = {{1, 1, 0.5}, {100, 100, 50}, 0};
    struct particles_air air = {0.3, 1e6, 10000, 1e-4, 5, 0, 0, 0, 0};
    struct particle *p = calloc(MANY, sizeof *p);
    const double scatter = sqrt(2.0 / (2 * MANY));
    assert_non_null(p);
    for (double duration = 50; duration <= 800; duration *= 4) {
        struct particles_options o = {duration, 5, 11, 1, &even};
        double sum = 0, mean = 0;
        uint64_t steps = 0;
        for (size_t i = 0; i < MANY; i++) {
            p[i] = (struct particle){.position_m = {0, 0, 5000}};
        }
        assert_int_equal(particles_move(&air, 1, &o, p, MANY, &steps, NULL), 0);
        for (size_t i = 0; i < MANY; i++) {
            double along = p[i].position_m[0] - 5 * duration, across = p[i].position_m[1];
            sum += (along * along + across * across) / (2 * MANY);
            mean += along / MANY;
        }
        double s = duration / 100, expected = 2 * 100.0 * 100 * (s - 1 + exp(-s));
        print_message("%.0f s: variance %.0f, Taylor %.0f: %+.2f %% (scatter %.2f %%)\n", duration,
                      sum, expected, 100 * (sum / expected - 1), 100 * scatter);
        assert_true(fabs(sum / expected - 1) < 3 * scatter + 0.005);
        assert_true(fabs(mean) < 4 * sqrt(expected / MANY));
    }
    free(p);
}

/* In pieces it is the same process: released later and moved in two calls, with the wind of a
 * profile, and what is above the lid only drifts. */
static void test_pieces(void **state) {
    (void)state;
    struct particles_air air = {0.35, 1e6, 500, 1e-4, 5, 0, 10, 0.03, 0};
    struct particle p[2] = {{.position_m = {0, 0, 100}, .later_s = 90},
                            {.position_m = {0, 0, 600}}};
    struct particles_options o = {60, 20, 3, 1, NULL};
    uint64_t steps = 0;
    assert_int_equal(particles_move(&air, 1, &o, p, 2, &steps, NULL), 0);
    assert_true(p[0].position_m[0] == 0 && p[0].later_s == 30 && !p[0].moving);
    /* neutral: ln(200/0.03) / ln(10/0.03) of the wind at 10 m */
    double drift = 5 * log(200 / 0.03) / log(10 / 0.03) * 60;
    assert_true(fabs(p[1].position_m[0] / drift - 1) < 1e-3 && p[1].position_m[2] == 600);
    assert_int_equal(particles_move(&air, 1, &o, p, 2, &steps, NULL), 0);
    assert_true(p[0].moving && p[0].later_s == 0 && p[0].position_m[0] > 50);
    struct particles_air own[2] = {air, air};
    own[1].height_m = 1000; /* the lid has risen over it */
    assert_int_equal(particles_move(own, 2, &o, p, 2, &steps, NULL), 0);
    assert_true(p[1].moving && p[1].position_m[2] != 600);
    assert_int_equal(particles_move(own, 2, &o, p, 1, &steps, NULL), ERR_RANGE);
}

static void test_threads_and_bad_input(void **state) {
    (void)state;
    struct particle *one = uniform_layer(1000), *four = uniform_layer(1000);
    struct particles_options o = {300, 20, 7, 1, NULL};
    uint64_t steps = 0, again = 0;
    assert_int_equal(particles_move(&layers[0], 1, &o, one, COUNT, &steps, NULL), 0);
    for (int threads = 2; threads <= 4; threads += 2) {
        free(four);
        four = uniform_layer(1000);
        o.threads = threads;
        assert_int_equal(particles_move(&layers[0], 1, &o, four, COUNT, &again, NULL), 0);
        assert_memory_equal(one, four, COUNT * sizeof *one);
        assert_true(steps == again);
    }
    struct particles_air bad = layers[0];
    bad.obukhov_m = 0;
    assert_int_equal(particles_move(&bad, 1, &o, one, 1, &steps, NULL), ERR_RANGE);
    one[0].position_m[2] = -1;
    assert_int_equal(particles_move(&layers[0], 1, &o, one, 1, &steps, NULL), ERR_RANGE);
    o.duration_s = (double)NAN;
    assert_int_equal(particles_move(&layers[0], 1, &o, four, 1, &steps, NULL), ERR_RANGE);
    free(one);
    free(four);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_mixed),
        cmocka_unit_test(test_taylor),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_threads_and_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
