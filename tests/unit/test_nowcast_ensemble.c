/* Is an ensemble repeatable, bounded by what fell, dry where nothing fell, and missing where the
 * frame is? Does the transform give the field back? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/nowcast/ensemble.h"
#include "models/nowcast/fft2.h"
#include "models/nowcast/refresh.h"

enum { NX = 130, NY = 110, PIXELS = NX * NY, LEADS = 3, MEMBERS = 5 };

struct sink {
    float *field; /* [MEMBERS][LEADS][PIXELS] */
    int taken;
    unsigned order; /* hash of the members and leads as they came */
    int refuse_after;
};

static int take(void *context, int member, int lead, const float *rate) {
    struct sink *sink = context;
    if (sink->taken == sink->refuse_after) {
        return ERR_IO;
    }
    sink->taken++;
    sink->order = 31U * sink->order + (unsigned)(member * LEADS + lead);
    memcpy(sink->field + (size_t)(member * LEADS + lead) * PIXELS, rate, PIXELS * sizeof *rate);
    return ERR_OK;
}

/* A band of rain that moves by two columns a step, with a wavy rate. */
static void draw(float *field, int step) {
    for (int y = 0; y < NY; y++) {
        for (int x = 0; x < NX; x++) {
            double from = x - 2.0 * step;
            double wave = 3.0 + 2.5 * sin(0.4 * from) * cos(0.3 * y) + sin(0.9 * from + 0.7 * y);
            field[y * NX + x] = from > 30 && from < 80 && wave > 0.2 ? (float)wave : 0.0F;
        }
    }
}

struct fixture {
    float *frame[3];
    struct motion motion;
    struct ensemble *ensemble;
    struct sink sink;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    for (int i = 0; i < 3; i++) {
        f->frame[i] = malloc(PIXELS * sizeof(float));
        draw(f->frame[i], i);
    }
    f->sink.field = malloc((size_t)MEMBERS * LEADS * PIXELS * sizeof(float));
    f->sink.refuse_after = -1;
    assert_int_equal(motion_init_zero(NX, NY, MOTION_TRACKED, &f->motion), ERR_OK);
    for (int i = 0; i < f->motion.nodes_x * f->motion.nodes_y; i++) {
        f->motion.u[i] = 2.0F;
    }
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        free(f->frame[i]);
    }
    free(f->sink.field);
    motion_finish(&f->motion);
    ensemble_destroy(f->ensemble);
    free(f);
    return 0;
}

static void analyse(struct fixture *f, int count) {
    struct motion_input frames = {.nx = NX, .ny = NY, .count = count, .threads = 1};
    for (int i = 0; i < count; i++) {
        frames.frame[i] = f->frame[3 - count + i];
        frames.step_of_frame[i] = i;
    }
    struct ensemble_input input = {&frames, &f->motion, 1.0, 5.0};
    assert_int_equal(ensemble_create(&input, &f->ensemble), ERR_OK);
}

static struct ensemble_run run_of(struct fixture *f, int members, int threads, uint64_t seed) {
    f->sink.taken = 0;
    return (struct ensemble_run){members, LEADS, threads, seed, 0.0, take, &f->sink};
}

static void does_the_transform_return(void **state) {
    (void)state;
    struct fft2 *fft = NULL;
    assert_int_equal(fft2_create(37, 53, &fft), ERR_OK); /* primes: the box is larger */
    assert_true(fft2_nx(fft) >= 37 && fft2_nx(fft) % 2 == 0 && fft2_ny(fft) >= 53);
    size_t points = (size_t)(fft2_nx(fft) * fft2_ny(fft));
    size_t half = (size_t)(fft2_columns(fft) * fft2_ny(fft));
    float *field = calloc(points, sizeof *field);
    float *back = calloc(points, sizeof *back);
    struct fft2_value *spectrum = calloc(half, sizeof *spectrum);
    double sum = 0.0;
    for (size_t i = 0; i < points; i++) {
        field[i] = (float)((i * 2654435761U) % 1000U) / 100.0F;
        sum += (double)field[i];
    }
    fft2_forward(fft, field, spectrum);
    assert_true(fabs((double)spectrum[0].re - sum) < 1e-5 * sum);
    fft2_inverse(fft, spectrum, back);
    for (size_t i = 0; i < points; i++) {
        assert_true(fabsf(back[i] - field[i]) < 1e-4F);
    }
    free(field);
    free(back);
    free(spectrum);
    fft2_destroy(fft);
}

static void does_the_seed_decide_alone(void **state) {
    struct fixture *f = *state;
    size_t all = (size_t)MEMBERS * LEADS * PIXELS;
    float *first = malloc(all * sizeof *first);
    analyse(f, 3);
    struct ensemble_run run = run_of(f, MEMBERS, 1, 42);
    assert_int_equal(ensemble_run(f->ensemble, &run), ERR_OK);
    assert_int_equal(f->sink.taken, MEMBERS * LEADS);
    memcpy(first, f->sink.field, all * sizeof *first);
    unsigned order = f->sink.order;
    for (int threads = 2; threads <= 4; threads += 2) {
        memset(f->sink.field, 0xFF, all * sizeof *first);
        f->sink.order = 0;
        run = run_of(f, MEMBERS, threads, 42);
        assert_int_equal(ensemble_run(f->ensemble, &run), ERR_OK);
        assert_int_equal(f->sink.order, order); /* so a file has the same bytes */
        assert_memory_equal(first, f->sink.field, all * sizeof *first);
    }
    /* Fewer members are the first of the same. */
    memset(f->sink.field, 0xFF, all * sizeof *first);
    run = run_of(f, 2, 1, 42);
    assert_int_equal(ensemble_run(f->ensemble, &run), ERR_OK);
    assert_memory_equal(first, f->sink.field, (size_t)2 * LEADS * PIXELS * sizeof *first);
    run = run_of(f, MEMBERS, 1, 43);
    assert_int_equal(ensemble_run(f->ensemble, &run), ERR_OK);
    assert_true(memcmp(first, f->sink.field, all * sizeof *first) != 0);
    /* Members differ from each other. */
    assert_true(memcmp(first, first + (size_t)LEADS * PIXELS, PIXELS * sizeof *first) != 0);
    free(first);
}

static void are_rates_those_that_fell(void **state) {
    struct fixture *f = *state;
    float most = 0.0F;
    int wet = 0;
    for (int y = 0; y < NY; y++) {
        f->frame[2][y * NX + 60] = NAN; /* a missing column inside the rain */
    }
    for (int i = 0; i < PIXELS; i++) {
        most = f->frame[2][i] > most ? f->frame[2][i] : most;
        wet += f->frame[2][i] >= 0.1F;
    }
    analyse(f, 3);
    struct ensemble_run run = run_of(f, MEMBERS, 2, 1);
    assert_int_equal(ensemble_run(f->ensemble, &run), ERR_OK);
    for (int field = 0; field < MEMBERS * LEADS; field++) {
        const float *rate = f->sink.field + (size_t)field * PIXELS;
        int now_wet = 0;
        int missing = 0;
        for (int i = 0; i < PIXELS; i++) {
            missing += isnan(rate[i]) != 0;
            now_wet += rate[i] >= 0.1F;
            assert_true(isnan(rate[i]) || (rate[i] >= 0.0F && rate[i] <= most));
        }
        assert_true(missing >= NY); /* what the column became, at least */
        /* Bilinear sampling widens the edge, inflow and the column are lost. */
        assert_true(now_wet > wet / 2 && now_wet < 2 * wet);
    }
}

static void does_dry_stay_dry(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        memset(f->frame[i], 0, PIXELS * sizeof(float));
    }
    analyse(f, 3);
    struct ensemble_run run = run_of(f, 2, 1, 1);
    assert_int_equal(ensemble_run(f->ensemble, &run), ERR_OK);
    for (int i = 0; i < 2 * LEADS * PIXELS; i++) {
        assert_true(f->sink.field[i] == 0.0F || isnan(f->sink.field[i]));
    }
}

static void is_smooth_one_field(void **state) {
    struct fixture *f = *state;
    analyse(f, 2); /* first order: two frames */
    struct ensemble_run run = run_of(f, 0, 4, 1);
    assert_int_equal(ensemble_run(f->ensemble, &run), ERR_OK);
    assert_int_equal(f->sink.taken, LEADS);
}

static void are_bad_requests_refused(void **state) {
    struct fixture *f = *state;
    struct ensemble *none = NULL;
    struct motion_input frames = {.nx = NX, .ny = NY, .count = 1, .frame = {f->frame[2]}};
    struct ensemble_input input = {&frames, &f->motion, 1.0, 5.0};
    assert_int_equal(ensemble_create(&input, &none), ERR_INVALID);
    assert_null(none);
    analyse(f, 3);
    struct ensemble_run run = run_of(f, ENSEMBLE_MEMBERS_MAX + 1, 1, 1);
    assert_int_equal(ensemble_run(f->ensemble, &run), ERR_INVALID);
    run = run_of(f, 2, 1, 1);
    run.age_steps = NAN;
    assert_int_equal(ensemble_run(f->ensemble, &run), ERR_INVALID);
    run = run_of(f, 2, 1, 1);
    f->sink.refuse_after = 2; /* a full disk ends the run at once */
    assert_int_equal(ensemble_run(f->ensemble, &run), ERR_IO);
    assert_int_equal(f->sink.taken, 2);
}

/* Fills a frame: the left part is new in every third frame, the rest in every frame. */
static void draw_mosaic(float *frame, int step) {
    for (int i = 0; i < PIXELS; i++) {
        int sweep = i % NX < 96 ? step / 3 : step;
        frame[i] =
            (float)(((unsigned)i * 2654435761U + (unsigned)sweep * 40503U) % 1000U) / 100.0F + 1.0F;
    }
}

static void compare_mosaics(struct fixture *f, int last, int pairs, struct refresh *ret_refresh) {
    assert_int_equal(refresh_init(NX, NY, ret_refresh), ERR_OK);
    for (int pair = 0; pair < pairs; pair++) {
        draw_mosaic(f->frame[0], last - pair);
        draw_mosaic(f->frame[1], last - pair - 1);
        refresh_compare(ret_refresh, f->frame[0], f->frame[1]);
    }
    assert_int_equal(refresh_decide(ret_refresh), ERR_OK);
}

/* Most of the mosaic shows each sweep three times. With a motion of two pixels a step: a sweep that
 * is shown for the first time stays for two leads and then jumps by six pixels; one that is shown
 * for the third time jumps at the first lead. */
static void do_blocks_stay_until_their_radar_sweeps_again(void **state) {
    struct fixture *f = *state;
    struct motion motion;
    struct displacement displacement;
    assert_int_equal(motion_init_zero(NX, NY, MOTION_TRACKED, &motion), ERR_OK);
    for (int i = 0; i < motion.nodes_x * motion.nodes_y; i++) {
        motion.u[i] = 2.0F;
    }
    for (int age = 0; age < 3; age++) {
        struct refresh refresh = {0};
        compare_mosaics(f, 21 + age, REFRESH_PAIRS, &refresh); /* 21 is new on the left */
        assert_non_null(refresh.blocks);
        assert_int_equal(displacement_init(&motion, &displacement), ERR_OK);
        draw_mosaic(f->frame[0], 21 + age);
        for (int lead = 1; lead <= 3; lead++) {
            int at = 50 * NX + 40;
            displacement_advance(&displacement, &motion, 1.0F, 1);
            displacement_sample(&displacement, f->frame[0], NX, NY, SAMPLE_BILINEAR, 1,
                                f->sink.field);
            refresh_apply(&refresh, &displacement, f->frame[0], lead, f->sink.field);
            int jump = age + lead >= 3 ? 6 : 0;
            assert_true(f->sink.field[at] == f->frame[0][at - jump]);
        }
        displacement_finish(&displacement);
        refresh_finish(&refresh);
    }
    motion_finish(&motion);
}

static void is_nothing_held_where_nothing_is_repeated(void **state) {
    struct fixture *f = *state;
    for (int flat = 0; flat < 2; flat++) { /* new everywhere; the same everywhere, but flat */
        struct refresh refresh = {0};
        assert_int_equal(refresh_init(NX, NY, &refresh), ERR_OK);
        for (int pair = 0; pair < REFRESH_PAIRS; pair++) {
            for (int i = 0; i < PIXELS; i++) {
                f->frame[0][i] = flat ? 0.5F : (float)((i * 7 + pair) % 11) + 1.0F;
                f->frame[1][i] = flat ? 0.5F : (float)((i * 7 + pair + 1) % 11) + 1.0F;
            }
            refresh_compare(&refresh, f->frame[0], f->frame[1]);
        }
        assert_int_equal(refresh_decide(&refresh), ERR_OK);
        assert_null(refresh.blocks);
        refresh_finish(&refresh);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(does_the_transform_return),
        cmocka_unit_test_setup_teardown(does_the_seed_decide_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(are_rates_those_that_fell, setup, teardown),
        cmocka_unit_test_setup_teardown(does_dry_stay_dry, setup, teardown),
        cmocka_unit_test_setup_teardown(is_smooth_one_field, setup, teardown),
        cmocka_unit_test_setup_teardown(are_bad_requests_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(do_blocks_stay_until_their_radar_sweeps_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(is_nothing_held_where_nothing_is_repeated, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
