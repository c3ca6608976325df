/* Does the motion of made fields come out as it was put in, and does the extrapolation carry rain
 * where it must go? Every expectation is the analytic motion of the made field. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/nowcast/advect.h"
#include "models/nowcast/motion.h"
#include "models/nowcast/track.h"

enum { NX = 260, NY = 220, PIXELS = NX * NY, BLOBS = 90 };

/* Where the blobs are at a time: moved by (u, v) and turned by `turn` radians round the middle. */
struct scene {
    double u;
    double v;
    double turn;
    double growth; /* factor per step */
};

static double unit_random(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return (double)(*state >> 8) / 16777216.0;
}

static void draw(float *field, const struct scene *scene, double step) {
    uint32_t state = 7;
    double *sum = calloc(PIXELS, sizeof *sum);
    assert_non_null(sum);
    for (int b = 0; b < BLOBS; b++) {
        double x = unit_random(&state) * NX - 0.5 * NX;
        double y = unit_random(&state) * NY - 0.5 * NY;
        double peak = (1.0 + 20.0 * unit_random(&state)) * pow(scene->growth, step);
        double width = 3.0 + 6.0 * unit_random(&state);
        double c = cos(scene->turn * step);
        double s = sin(scene->turn * step);
        double px = 0.5 * NX + c * x - s * y + scene->u * step;
        double py = 0.5 * NY + s * x + c * y + scene->v * step;
        for (int j = 0; j < NY; j++) {
            for (int i = 0; i < NX; i++) {
                double square = (i - px) * (i - px) + (j - py) * (j - py);
                sum[j * NX + i] += peak * exp(-0.5 * square / (width * width));
            }
        }
    }
    for (int i = 0; i < PIXELS; i++) {
        field[i] = sum[i] < 0.05 ? 0.0F : (float)sum[i];
    }
    free(sum);
}

struct fixture {
    float *frame[3];
    float *forecast;
    struct motion motion;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    for (int i = 0; i < 3; i++) {
        f->frame[i] = calloc(PIXELS, sizeof(float));
    }
    f->forecast = calloc(PIXELS, sizeof(float));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        free(f->frame[i]);
    }
    free(f->forecast);
    motion_finish(&f->motion);
    free(f);
    return 0;
}

static struct motion_input input_of(const struct fixture *f, int threads) {
    return (struct motion_input){.nx = NX,
                                 .ny = NY,
                                 .count = 3,
                                 .frame = {f->frame[0], f->frame[1], f->frame[2]},
                                 .step_of_frame = {-2.0, -1.0, 0.0},
                                 .speed_px_max = 50.0,
                                 .threads = threads};
}

static void draw_three(struct fixture *f, const struct scene *scene) {
    for (int i = 0; i < 3; i++) {
        draw(f->frame[i], scene, i - 2);
    }
}

static void estimate(struct fixture *f) {
    struct motion_input input = input_of(f, 1);
    assert_int_equal(motion_estimate(&input, &f->motion), ERR_OK);
}

static void forecast(struct fixture *f, int steps) {
    struct displacement d;
    assert_int_equal(displacement_init(&f->motion, &d), ERR_OK);
    for (int i = 0; i < steps; i++) {
        displacement_advance(&d, &f->motion, 1.0F, 1);
    }
    displacement_sample(&d, f->frame[2], NX, NY, SAMPLE_BILINEAR, 1, f->forecast);
    displacement_finish(&d);
}

/* Largest difference from the wanted motion, away from the rim where nothing was tracked. */
static double worst(const struct fixture *f, double (*want_u)(double, double),
                    double (*want_v)(double, double)) {
    double most = 0.0;
    for (int y = 40; y < NY - 40; y += 4) {
        for (int x = 40; x < NX - 40; x += 4) {
            float u;
            float v;
            motion_at(&f->motion, (float)x, (float)y, &u, &v);
            most = fmax(most, hypot((double)u - want_u(x, y), (double)v - want_v(x, y)));
        }
    }
    return most;
}

static double three(double x, double y) {
    (void)x;
    (void)y;
    return 3.25;
}

static double minus_two(double x, double y) {
    (void)x;
    (void)y;
    return -2.5;
}

static double nought(double x, double y) {
    (void)x;
    (void)y;
    return 0.0;
}

static double turn_u(double x, double y) {
    (void)x;
    return -0.02 * (y - 0.5 * NY);
}

static double turn_v(double x, double y) {
    (void)y;
    return 0.02 * (x - 0.5 * NX);
}

/* Share of the pixels of either field above 1 mm/h that both have. */
static double overlap(const float *a, const float *b) {
    int both = 0;
    int any = 0;
    for (int i = 0; i < PIXELS; i++) {
        if (!isnan(a[i]) && !isnan(b[i])) {
            both += a[i] >= 1.0F && b[i] >= 1.0F;
            any += a[i] >= 1.0F || b[i] >= 1.0F;
        }
    }
    assert_true(any > 0);
    return (double)both / any;
}

static void is_uniform_translation_found(void **state) {
    struct fixture *f = *state;
    struct scene scene = {.u = 3.25, .v = -2.5, .growth = 1.0};
    draw_three(f, &scene);
    estimate(f);
    assert_int_equal(f->motion.source, MOTION_TRACKED);
    assert_true(worst(f, three, minus_two) < 0.15);
    forecast(f, 6);
    float *truth = malloc(PIXELS * sizeof *truth);
    draw(truth, &scene, 6);
    assert_true(overlap(f->forecast, truth) > 0.9);
    assert_true(overlap(f->frame[2], truth) < 0.7); /* standing still would not do */
    free(truth);
}

static void is_solid_rotation_found(void **state) {
    struct fixture *f = *state;
    struct scene scene = {.turn = 0.02, .growth = 1.0};
    draw_three(f, &scene);
    estimate(f);
    /* Inverse distance weights over the 20 nearest vectors smooth a sheared field towards its
     * mean: by up to half a pixel here, where the motion goes up to 2 pixels. */
    assert_true(worst(f, turn_u, turn_v) < 0.6);
    assert_true(worst(f, nought, nought) > 1.0);
}

static void does_growth_alone_not_move(void **state) {
    struct fixture *f = *state;
    struct scene scene = {.growth = 1.3};
    draw_three(f, &scene);
    estimate(f);
    assert_true(worst(f, nought, nought) < 0.25);
}

static void does_an_empty_field_stay_empty(void **state) {
    struct fixture *f = *state;
    estimate(f);
    assert_int_equal(f->motion.source, MOTION_NO_RAIN);
    forecast(f, 3);
    for (int i = 0; i < PIXELS; i++) {
        assert_true(f->forecast[i] == 0.0F);
    }
}

static void does_one_wet_pixel_stay(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        f->frame[i][50 * NX + 60 + i] = 30.0F;
    }
    estimate(f);
    assert_int_equal(f->motion.source, MOTION_NO_RAIN); /* a speckle is not followed */
    forecast(f, 2);
    assert_true(f->forecast[50 * NX + 62] == 30.0F);
}

static void is_all_missing_all_missing(void **state) {
    struct fixture *f = *state;
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < PIXELS; i++) {
            f->frame[k][i] = NAN;
        }
    }
    estimate(f);
    assert_int_equal(f->motion.source, MOTION_NO_RAIN);
    forecast(f, 1);
    for (int i = 0; i < PIXELS; i++) {
        assert_true(isnan(f->forecast[i]));
    }
}

static void mask_columns(struct fixture *f, int period, int width, int from) {
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < PIXELS; i++) {
            if (i % NX >= from && (i % NX) % period < width) {
                f->frame[k][i] = NAN;
            }
        }
    }
}

static void do_stripes_stay_missing(void **state) {
    struct fixture *f = *state;
    struct scene scene = {.u = 3.25, .v = -2.5, .growth = 1.0};
    draw_three(f, &scene);
    mask_columns(f, 65, 3, 0);
    estimate(f);
    assert_true(worst(f, three, minus_two) < 1.0);
    /* With a known motion: missing exactly where the pixel comes from a stripe or from outside. */
    for (int i = 0; i < f->motion.nodes_x * f->motion.nodes_y; i++) {
        f->motion.u[i] = 2.0F;
        f->motion.v[i] = 0.0F;
    }
    forecast(f, 2);
    for (int y = 0; y < NY; y++) {
        for (int x = 0; x < NX; x++) {
            bool missing = x < 4 || (x - 4) % 65 < 3;
            assert_int_equal(isnan(f->forecast[y * NX + x]), missing);
            if (!missing) {
                assert_true(f->forecast[y * NX + x] == f->frame[2][y * NX + x - 4]);
            }
        }
    }
}

static void does_half_a_domain_do(void **state) {
    struct fixture *f = *state;
    struct scene scene = {.u = 3.25, .v = -2.5, .growth = 1.0};
    draw_three(f, &scene);
    mask_columns(f, 1, 1, NX / 2);
    estimate(f);
    int found = 0;
    for (int y = 60; y < NY - 60; y += 8) {
        float u;
        float v;
        motion_at(&f->motion, 60.0F, (float)y, &u, &v);
        found += hypot((double)u - 3.25, (double)v + 2.5) < 0.5;
    }
    assert_int_equal(found, (NY - 120 + 7) / 8);
    forecast(f, 1);
    assert_true(isnan(f->forecast[100 * NX + NX - 5]));
    assert_true(f->forecast[100 * NX + 60] >= 0.0F);
}

static void are_speckles_not_followed(void **state) {
    struct fixture *f = *state;
    struct scene scene = {.u = 3.25, .v = -2.5, .growth = 1.0};
    uint32_t random = 99;
    draw_three(f, &scene);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < PIXELS / 300; i++) {
            f->frame[k][(int)(unit_random(&random) * PIXELS)] = 80.0F;
        }
    }
    estimate(f);
    assert_true(worst(f, three, minus_two) < 0.5);
}

static void is_a_gap_scaled(void **state) {
    struct fixture *f = *state;
    struct scene scene = {.u = 3.25, .v = -2.5, .growth = 1.0};
    const double gaps[] = {2.0, 4.0}; /* one and three frames are not there */
    for (int g = 0; g < 2; g++) {
        draw(f->frame[0], &scene, -gaps[g]);
        draw(f->frame[1], &scene, 0.0);
        struct motion_input input = input_of(f, 1);
        input.count = 2;
        input.step_of_frame[0] = -gaps[g];
        input.step_of_frame[1] = 0.0;
        assert_int_equal(motion_estimate(&input, &f->motion), ERR_OK);
        assert_true(worst(f, three, minus_two) < 0.25);
        motion_finish(&f->motion);
    }
}

static void are_bad_inputs_refused(void **state) {
    struct fixture *f = *state;
    struct motion motion = {.nx = 77};
    struct motion_input input = input_of(f, 1);
    input.step_of_frame[1] = 1.0; /* out of order */
    assert_int_equal(motion_estimate(&input, &motion), ERR_INVALID);
    input = input_of(f, 1);
    input.step_of_frame[1] = -2.0; /* the same frame twice */
    assert_int_equal(motion_estimate(&input, &motion), ERR_INVALID);
    input = input_of(f, 1);
    input.step_of_frame[1] = NAN;
    assert_int_equal(motion_estimate(&input, &motion), ERR_INVALID);
    input = input_of(f, 1);
    input.nx = MOTION_SIDE_MIN - 1;
    assert_int_equal(motion_estimate(&input, &motion), ERR_INVALID);
    input = input_of(f, 1);
    input.count = MOTION_FRAMES_MAX + 1;
    assert_int_equal(motion_estimate(&input, &motion), ERR_INVALID);
    input = input_of(f, 1);
    input.speed_px_max = NAN;
    assert_int_equal(motion_estimate(&input, &motion), ERR_INVALID);
    input = input_of(f, 1);
    input.frame[2] = NULL;
    assert_int_equal(motion_estimate(&input, &motion), ERR_INVALID);
    assert_int_equal(motion.nx, 77); /* untouched */
}

static void is_one_frame_no_motion(void **state) {
    struct fixture *f = *state;
    struct motion_input input = input_of(f, 1);
    input.count = 1;
    assert_int_equal(motion_estimate(&input, &f->motion), ERR_OK);
    assert_int_equal(f->motion.source, MOTION_NO_FRAMES);
}

static void are_the_bits_the_same_with_threads(void **state) {
    struct fixture *f = *state;
    struct scene scene = {.u = 3.25, .v = -2.5, .turn = 0.01, .growth = 1.05};
    draw_three(f, &scene);
    estimate(f);
    forecast(f, 4);
    float *first = malloc(PIXELS * sizeof *first);
    memcpy(first, f->forecast, PIXELS * sizeof *first);
    for (int threads = 2; threads <= 7; threads += threads == 2 ? 2 : 3) {
        struct motion motion;
        struct motion_input input = input_of(f, threads);
        assert_int_equal(motion_estimate(&input, &motion), ERR_OK);
        size_t bytes = (size_t)(motion.nodes_x * motion.nodes_y) * sizeof(float);
        assert_memory_equal(motion.u, f->motion.u, bytes);
        assert_memory_equal(motion.v, f->motion.v, bytes);
        struct displacement d;
        assert_int_equal(displacement_init(&motion, &d), ERR_OK);
        for (int i = 0; i < 4; i++) {
            displacement_advance(&d, &motion, 1.0F, threads);
        }
        displacement_sample(&d, f->frame[2], NX, NY, SAMPLE_BILINEAR, threads, f->forecast);
        assert_memory_equal(first, f->forecast, PIXELS * sizeof *first);
        displacement_finish(&d);
        motion_finish(&motion);
    }
    free(first);
}

/* A shift by whole pixels keeps every value; by half a pixel it keeps the sum of rain inside. */
static void are_mass_and_peaks_kept(void **state) {
    struct fixture *f = *state;
    assert_int_equal(motion_init_zero(NX, NY, MOTION_TRACKED, &f->motion), ERR_OK);
    for (int j = 100; j < 120; j++) {
        for (int i = 90; i < 130; i++) {
            f->frame[2][j * NX + i] = (float)(1 + (i * 7 + j * 13) % 40);
        }
    }
    const float shift[] = {3.0F, 2.5F};
    for (int k = 0; k < 2; k++) {
        double before = 0.0;
        double after = 0.0;
        float peak = 0.0F;
        for (int i = 0; i < f->motion.nodes_x * f->motion.nodes_y; i++) {
            f->motion.u[i] = shift[k];
        }
        forecast(f, 4);
        for (int i = 0; i < PIXELS; i++) {
            before += (double)f->frame[2][i];
            after += isnan(f->forecast[i]) ? 0.0 : (double)f->forecast[i];
            peak = f->forecast[i] > peak ? f->forecast[i] : peak;
        }
        assert_true(fabs(after - before) < 1e-3 * before);
        assert_true(peak == 40.0F);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_uniform_translation_found, setup, teardown),
        cmocka_unit_test_setup_teardown(is_solid_rotation_found, setup, teardown),
        cmocka_unit_test_setup_teardown(does_growth_alone_not_move, setup, teardown),
        cmocka_unit_test_setup_teardown(does_an_empty_field_stay_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(does_one_wet_pixel_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(is_all_missing_all_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(do_stripes_stay_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(does_half_a_domain_do, setup, teardown),
        cmocka_unit_test_setup_teardown(are_speckles_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(is_a_gap_scaled, setup, teardown),
        cmocka_unit_test_setup_teardown(are_bad_inputs_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(is_one_frame_no_motion, setup, teardown),
        cmocka_unit_test_setup_teardown(are_the_bits_the_same_with_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(are_mass_and_peaks_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
