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

static const struct particles_air layers[] = {
    {0.35, -40, 1000, 1e-4, 4, 0}, {0.4, 1e6, 800, 1e-4, 6, 2}, {0.2, 60, 250, 1e-4, 3, -3}};

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
        assert_int_equal(particles_move(&layers[a], &o, p, COUNT, &steps, NULL), 0);
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

static void test_taylor(void **state) {
    (void)state;
    static const struct turbulence even = {{1, 1, 0.5}, {100, 100, 50}, 0};
    struct particles_air air = {0.3, 1e6, 10000, 1e-4, 5, 0};
    struct particle *p = calloc(COUNT, sizeof *p);
    assert_non_null(p);
    for (double duration = 50; duration <= 800; duration *= 4) {
        struct particles_options o = {duration, 2, 11, 1, &even};
        double sum = 0, mean = 0;
        uint64_t steps = 0;
        for (size_t i = 0; i < COUNT; i++) {
            p[i] = (struct particle){.position_m = {0, 0, 5000}};
        }
        assert_int_equal(particles_move(&air, &o, p, COUNT, &steps, NULL), 0);
        for (size_t i = 0; i < COUNT; i++) {
            sum += p[i].position_m[1] * p[i].position_m[1] / COUNT;
            mean += p[i].position_m[0] / COUNT;
        }
        double s = duration / 100, expected = 2 * 100.0 * 100 * (s - 1 + exp(-s));
        print_message("%.0f s: variance %.0f, Taylor %.0f\n", duration, sum, expected);
        /* scatter of a variance of 5,000: 2 %; three of them, and 1 % for the step */
        assert_true(fabs(sum / expected - 1) < 0.07);
        assert_true(fabs(mean - 5 * duration) < 4 * sqrt(expected / COUNT));
    }
    free(p);
}

static void test_threads_and_bad_input(void **state) {
    (void)state;
    struct particle *one = uniform_layer(1000), *four = uniform_layer(1000);
    struct particles_options o = {300, 20, 7, 1, NULL};
    uint64_t steps = 0, again = 0;
    assert_int_equal(particles_move(&layers[0], &o, one, COUNT, &steps, NULL), 0);
    for (int threads = 2; threads <= 4; threads += 2) {
        free(four);
        four = uniform_layer(1000);
        o.threads = threads;
        assert_int_equal(particles_move(&layers[0], &o, four, COUNT, &again, NULL), 0);
        assert_memory_equal(one, four, COUNT * sizeof *one);
        assert_true(steps == again);
    }
    struct particles_air bad = layers[0];
    bad.obukhov_m = 0;
    assert_int_equal(particles_move(&bad, &o, one, 1, &steps, NULL), ERR_RANGE);
    one[0].position_m[2] = -1;
    assert_int_equal(particles_move(&layers[0], &o, one, 1, &steps, NULL), ERR_RANGE);
    o.duration_s = (double)NAN;
    assert_int_equal(particles_move(&layers[0], &o, four, 1, &steps, NULL), ERR_RANGE);
    free(one);
    free(four);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_mixed),
        cmocka_unit_test(test_taylor),
        cmocka_unit_test(test_threads_and_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
