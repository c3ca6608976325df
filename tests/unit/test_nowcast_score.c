/* Do the scores agree with values worked out by hand? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "models/nowcast/score.h"

#define assert_near(a, b) assert_true(fabs((double)(a) - (double)(b)) < 1e-9)

static void are_missing_pixels_left_out(void **state) {
    (void)state;
    struct score score = {0};
    const float forecast[] = {2.0F, 0.0F, NAN, 6.0F, 0.05F, 3.0F};
    const float observed[] = {1.0F, 2.0F, 9.0F, NAN, 0.0F, 0.0F};
    assert_int_equal(score_add(&score, forecast, observed, 3, 2, 1.0), ERR_OK);
    assert_int_equal(score.pixels, 4);
    /* at 1 mm/h: hit, miss, -, -, dry, false alarm */
    assert_near(score_csi(&score, 1), 1.0 / 3.0);
    assert_near(score_pod(&score, 1), 0.5);
    assert_near(score_far(&score, 1), 0.5);
    assert_true(fabs(score_mae(&score) - (1.0 + 2.0 + 0.05 + 3.0) / 4.0) < 1e-7);
    assert_true(isnan(score_csi(&score, 2))); /* no event at 5 mm/h among the scored */
}

/* 11 x 11, one forecast pixel at (5, 5), one observed at (6, 5), boxes of 5: each covers 25
 * positions with a share of 1/25, 20 of them are common, so 10 differ:
 * FSS = 1 - (10 / 625) / (50 / 625). Boxes of 11 (10 km): one step apart, 11 x 11 positions each
 * inside the grid but for the rim: columns 0..10 and 1..10 (nothing outside the grid). */
static void is_the_fraction_score_that_of_paper(void **state) {
    (void)state;
    struct score score = {0};
    float forecast[121] = {0};
    float observed[121] = {0};
    forecast[5 * 11 + 5] = 2.0F;
    observed[5 * 11 + 6] = 2.0F;
    assert_int_equal(score_add(&score, forecast, observed, 11, 11, 1.0), ERR_OK);
    assert_near(score_fss(&score, 1, 0), 1.0 - 10.0 / 50.0);
    assert_near(score_fss(&score, 1, 1), 1.0 - 11.0 / (121.0 + 110.0));
    assert_near(score_csi(&score, 1), 0.0);
}

static void does_pooling_add_up(void **state) {
    (void)state;
    struct score score = {0};
    const float wet[] = {2.0F, 2.0F, 2.0F, 2.0F};
    const float dry[] = {0.0F, 0.0F, 0.0F, 0.0F};
    assert_int_equal(score_add(&score, wet, wet, 2, 2, 1.0), ERR_OK);
    assert_int_equal(score_add(&score, wet, dry, 2, 2, 1.0), ERR_OK);
    assert_near(score_csi(&score, 1), 4.0 / 8.0);
    assert_near(score_mae(&score), 1.0);
}

/* Members 0, 1, 3 and observation 2: integral of (F - H)^2 = 1 * 1/9 + 1 * 4/9 + 1 * 1/9. */
static void is_the_crps_the_integral(void **state) {
    (void)state;
    struct score score = {0};
    float members[] = {3.0F, 0.0F, 1.0F};
    score_add_ensemble(&score, members, 3, 2.0F);
    assert_near(score_crps(&score), 6.0 / 9.0);
    struct score outside = {0};
    float again[] = {3.0F, 0.0F, 1.0F};
    score_add_ensemble(&outside, again, 3, 5.0F); /* 1/9 + 2 * 4/9 + 2 */
    assert_near(score_crps(&outside), 1.0 / 9.0 + 8.0 / 9.0 + 2.0);
    struct score tie = {0};
    float dry[] = {0.0F, 0.0F, 1.0F}; /* tied with dry members: 1 * (1 - 2/3)^2 */
    score_add_ensemble(&tie, dry, 3, 0.0F);
    assert_near(score_crps(&tie), 1.0 / 9.0);
    float one[] = {4.0F};
    struct score single = {0};
    score_add_ensemble(&single, one, 1, 1.5F); /* the absolute error */
    assert_near(score_crps(&single), 2.5);
}

static void are_brier_and_roc_right(void **state) {
    (void)state;
    struct score score = {0};
    float sure[] = {2.0F, 2.0F};
    float half[] = {2.0F, 0.0F};
    float no[] = {0.0F, 0.0F};
    float gap[] = {2.0F, NAN};
    score_add_ensemble(&score, sure, 2, 2.0F);
    score_add_ensemble(&score, half, 2, 0.0F);
    score_add_ensemble(&score, no, 2, 0.0F);
    score_add_ensemble(&score, gap, 2, 2.0F); /* a missing member: not scored */
    assert_int_equal(score.ensemble_pixels, 3);
    assert_near(score_brier(&score, 1), 0.25 / 3.0);
    assert_near(score_reliability(&score, 1), 0.25 / 3.0);
    assert_near(score_roc_area(&score, 1), 1.0);
}

static void is_an_empty_score_not_a_number(void **state) {
    (void)state;
    struct score score = {0};
    assert_true(isnan(score_mae(&score)));
    assert_true(isnan(score_fss(&score, 0, 0)));
    assert_true(isnan(score_crps(&score)));
    assert_true(isnan(score_roc_area(&score, 0)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_missing_pixels_left_out),
        cmocka_unit_test(is_the_fraction_score_that_of_paper),
        cmocka_unit_test(does_pooling_add_up),
        cmocka_unit_test(is_the_crps_the_integral),
        cmocka_unit_test(are_brier_and_roc_right),
        cmocka_unit_test(is_an_empty_score_not_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
