/* Does detail that does not last fade, and nothing else? Expectations: rain that only moves is
 * carried exactly; noise that is drawn anew in every frame cannot be foreseen, so a forecast
 * without it is nearer to the next frame; and whatever is moved, the distribution of the rates
 * stays. */
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
#include "models/nowcast/fade.h"
#include "models/nowcast/motion.h"
#include "models/nowcast/ranks.h"

enum { NX = 203, NY = 150, PIXELS = NX * NY, FRAMES = 4 };

static const float shift_x = 4.0F;
static const float shift_y = -2.0F;

struct fixture {
    float *frame[FRAMES]; /* the last is what comes one step after the newest */
    float *forecast;
    float *plain;
    struct motion motion;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    for (int i = 0; i < FRAMES; i++) {
        f->frame[i] = calloc(PIXELS, sizeof(float));
        assert_non_null(f->frame[i]);
    }
    f->forecast = calloc(PIXELS, sizeof(float));
    f->plain = calloc(PIXELS, sizeof(float));
    assert_non_null(f->forecast);
    assert_non_null(f->plain);
    assert_int_equal(motion_init_zero(NX, NY, MOTION_TRACKED, &f->motion), ERR_OK);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < FRAMES; i++) {
        free(f->frame[i]);
    }
    free(f->forecast);
    free(f->plain);
    motion_finish(&f->motion);
    free(f);
    return 0;
}

static double unit_random(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return (double)(*state >> 8) / 16777216.0;
}

/* Broad waves of rain with a third of the grid dry, times noise of `noise` octaves, drawn anew for
 * every seed; all moved by (x, y). */
static void draw(float *field, double x, double y, double noise, uint32_t seed) {
    uint32_t state = seed;
    for (int j = 0; j < NY; j++) {
        for (int i = 0; i < NX; i++) {
            double u = i - x;
            double v = j - y;
            double wave = sin(0.05 * u + 0.02 * v) + sin(0.06 * v - 0.03 * u) +
                          0.5 * sin(0.3 * u) * sin(0.25 * v);
            double draws = unit_random(&state) + unit_random(&state) - 1.0;
            double rate = wave > -0.4 ? 0.4 * pow(2.0, 1.5 * wave + noise * draws) : 0.0;
            field[j * NX + i] = (float)rate;
        }
    }
}

static void move(struct fixture *f) {
    for (int i = 0; i < f->motion.nodes_x * f->motion.nodes_y; i++) {
        f->motion.u[i] = shift_x;
        f->motion.v[i] = shift_y;
    }
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

/* The forecast of some 5 min steps ahead, with fade and without. Returns what is left of detail. */
static double forecast(struct fixture *f, const struct motion_input *input, int steps) {
    struct displacement d;
    struct fade *fade = NULL;
    assert_int_equal(displacement_init(&f->motion, &d), ERR_OK);
    for (int i = 0; i < steps; i++) {
        displacement_advance(&d, &f->motion, 1.0F, input->threads);
    }
    assert_int_equal(fade_create(input, &f->motion, 1.0, 5.0, &fade), ERR_OK);
    fade_field(fade, &d, 5.0 * steps, input->threads, f->forecast);
    displacement_sample(&d, input->frame[input->count - 1], NX, NY, SAMPLE_BILINEAR, 1, f->plain);
    double left = fade_left(fade, 5.0 * steps);
    fade_destroy(fade);
    displacement_finish(&d);
    return left;
}

static void assert_missing_as_plain(const struct fixture *f) {
    for (int i = 0; i < PIXELS; i++) {
        assert_int_equal(isnan(f->forecast[i]) ? 1 : 0, isnan(f->plain[i]) ? 1 : 0);
    }
}

static void is_rain_that_moves_carried_as_it_is(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        draw(f->frame[i], shift_x * (float)i, shift_y * (float)i, 0.0, 1);
    }
    move(f);
    struct motion_input input = input_of(f, 1);
    assert_true(forecast(f, &input, 12) > 0.999);
    assert_missing_as_plain(f);
    for (int i = 0; i < PIXELS; i++) {
        /* Half a class of ranks.h at most. */
        assert_true(isnan(f->plain[i]) ||
                    fabsf(f->forecast[i] - f->plain[i]) <= 0.002F * f->plain[i] + 0.001F);
    }
}

static double mean_error(const float *forecast, const float *observed) {
    double sum = 0.0;
    int count = 0;
    for (int i = 0; i < PIXELS; i++) {
        if (!isnan(forecast[i]) && !isnan(observed[i])) {
            sum += fabs((double)forecast[i] - (double)observed[i]);
            count++;
        }
    }
    assert_true(count > PIXELS / 2);
    return sum / count;
}

static double share_above(const float *field, float threshold) {
    int count = 0;
    int valid = 0;
    for (int i = 0; i < PIXELS; i++) {
        count += field[i] >= threshold;
        valid += !isnan(field[i]);
    }
    return (double)count / valid;
}

static void does_noise_fade_and_the_distribution_stay(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < FRAMES; i++) {
        draw(f->frame[i], shift_x * (float)i, shift_y * (float)i, 2.0, 10U + (uint32_t)i);
    }
    move(f);
    struct motion_input input = input_of(f, 1);
    /* One step ahead: what came is drawn. Noise has no memory, the waves of 20 px have. */
    assert_true(forecast(f, &input, 1) < 0.5);
    double faded = mean_error(f->forecast, f->frame[3]);
    double plain = mean_error(f->plain, f->frame[3]);
    assert_true(faded < 0.97 * plain);
    const float thresholds[] = {0.1F, 0.5F, 1.0F, 3.0F};
    for (int t = 0; t < 4; t++) {
        double before = share_above(f->plain, thresholds[t]);
        assert_true(before > 0.005);
        assert_true(fabs(share_above(f->forecast, thresholds[t]) - before) < 0.01 * before + 0.001);
    }
}

static void does_missing_stay_missing(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        draw(f->frame[i], shift_x * (float)i, shift_y * (float)i, 2.0, 10U + (uint32_t)i);
        for (int k = 0; k < PIXELS; k++) {
            if (k % 37 < 4 || (k / NX > 60 && k % NX > 120)) {
                f->frame[i][k] = NAN;
            }
        }
    }
    move(f);
    struct motion_input input = input_of(f, 1);
    for (int steps = 1; steps <= 12; steps += 11) {
        (void)forecast(f, &input, steps);
        assert_missing_as_plain(f);
    }
}

static void do_empty_and_missing_fields_stay(void **state) {
    struct fixture *f = *state;
    struct motion_input input = input_of(f, 1);
    (void)forecast(f, &input, 6);
    for (int i = 0; i < PIXELS; i++) {
        assert_true(f->forecast[i] == 0.0F);
    }
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < PIXELS; i++) {
            f->frame[k][i] = NAN;
        }
    }
    (void)forecast(f, &input, 6);
    for (int i = 0; i < PIXELS; i++) {
        assert_true(isnan(f->forecast[i]));
    }
}

/* A pixel that comes out of nothing: all detail, and nothing said of how fast it goes. */
static void does_one_wet_pixel_stay(void **state) {
    struct fixture *f = *state;
    f->frame[2][70 * NX + 90] = 7.0F;
    struct motion_input input = input_of(f, 1);
    (void)forecast(f, &input, 6);
    for (int i = 0; i < PIXELS; i++) {
        assert_true(f->forecast[i] == (i == 70 * NX + 90 ? 7.0F : 0.0F));
    }
}

static void does_a_single_frame_tell_no_loss(void **state) {
    struct fixture *f = *state;
    draw(f->frame[2], 0.0, 0.0, 2.0, 5);
    struct motion_input input = input_of(f, 1);
    input.count = 1;
    input.frame[0] = f->frame[2];
    assert_true(forecast(f, &input, 12) == 1.0);
    for (int i = 0; i < PIXELS; i++) {
        assert_true(fabsf(f->forecast[i] - f->plain[i]) <= 0.002F * f->plain[i]);
    }
}

static void are_the_bits_the_same_with_threads(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        draw(f->frame[i], shift_x * (float)i, shift_y * (float)i, 2.0, 10U + (uint32_t)i);
    }
    move(f);
    struct motion_input input = input_of(f, 1);
    double left = forecast(f, &input, 7);
    float *first = malloc(PIXELS * sizeof *first);
    assert_non_null(first);
    memcpy(first, f->forecast, PIXELS * sizeof *first);
    for (int threads = 2; threads <= 4; threads += 2) {
        input.threads = threads;
        assert_true(forecast(f, &input, 7) == left);
        assert_memory_equal(first, f->forecast, PIXELS * sizeof *first);
    }
    free(first);
}

static void are_bad_inputs_refused(void **state) {
    struct fixture *f = *state;
    struct fade *fade = NULL;
    struct motion_input input = input_of(f, 1);
    input.count = 0;
    assert_int_equal(fade_create(&input, &f->motion, 1.0, 5.0, &fade), ERR_INVALID);
    input = input_of(f, 1);
    input.nx = NX - 1;
    assert_int_equal(fade_create(&input, &f->motion, 1.0, 5.0, &fade), ERR_INVALID);
    input = input_of(f, 1);
    assert_int_equal(fade_create(&input, &f->motion, (double)NAN, 5.0, &fade), ERR_INVALID);
    assert_int_equal(fade_create(&input, &f->motion, 1.0, 0.0, &fade), ERR_INVALID);
    assert_null(fade);
}

static int compare_floats(const void *left, const void *right) {
    float a = *(const float *)left;
    float b = *(const float *)right;
    return (a > b) - (a < b);
}

/* Against sorting: distinct values take the value wanted at their rank, within a class. */
static void are_ranks_those_of_sorting(void **state) {
    enum { COUNT = 2000 };
    static float values[COUNT];
    static float wanted[COUNT];
    static float matched[COUNT];
    uint32_t random = 3;
    struct ranks *ranks = NULL;
    (void)state;
    assert_int_equal(ranks_create(&ranks), ERR_OK);
    for (int i = 0; i < COUNT; i++) {
        values[i] = (float)(5.0 * unit_random(&random));
        wanted[i] = i % 4 == 0 ? 0.0F : (float)pow(10.0, 3.0 * unit_random(&random) - 1.5);
        ranks_count(ranks, values[i], wanted[i]);
    }
    ranks_count(ranks, NAN, 1000.0F);
    ranks_count(ranks, 1000.0F, NAN);
    ranks_decide(ranks);
    memcpy(matched, values, sizeof matched);
    ranks_match(ranks, matched, COUNT);
    qsort(matched, COUNT, sizeof *matched, compare_floats);
    qsort(wanted, COUNT, sizeof *wanted, compare_floats);
    for (int i = 5; i < COUNT - 5; i++) {
        /* A class of the field holds a few values: its middle rank is at most 4 away here. */
        assert_true(matched[i] >= 0.997F * wanted[i - 5] && matched[i] <= 1.003F * wanted[i + 5]);
    }
    float odd[] = {0.0F, NAN, 0.0005F, 4000.0F};
    ranks_match(ranks, odd, 4);
    assert_true(odd[0] == 0.0F && isnan(odd[1]) && odd[2] == 0.0F && odd[3] == 4000.0F);
    ranks_destroy(ranks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_rain_that_moves_carried_as_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(does_noise_fade_and_the_distribution_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(does_missing_stay_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(do_empty_and_missing_fields_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(does_one_wet_pixel_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(does_a_single_frame_tell_no_loss, setup, teardown),
        cmocka_unit_test_setup_teardown(are_the_bits_the_same_with_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(are_bad_inputs_refused, setup, teardown),
        cmocka_unit_test(are_ranks_those_of_sorting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
