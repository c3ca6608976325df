/* Areal sums and the worker's cage. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "areal_fixture.h"
#include "models/grid/sandbox.h"

static struct grid_env *env;
static struct grid *grid;
static struct area_list areas;

/* "low": the two southern rows, whole cells. "half": one column beyond the grid. */
static const char text[] =
    "{\"type\":\"FeatureCollection\",\"features\":["
    "{\"type\":\"Feature\",\"id\":\"low\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[0,"
    "0],[4,0],[4,2],[0,2],[0,0]]]}},"
    "{\"type\":\"Feature\",\"id\":\"half\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[3,"
    "0],[5,0],[5,1],[3,1],[3,0]]]}},"
    "{\"type\":\"Feature\",\"id\":\"far\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[30,"
    "0],[31,0],[31,1],[30,0]]]}}]}";

static int setup(void **state) {
    (void)state;
    return make_grid(&env, &grid) != 0 ||
           area_list_parse("test", text, strlen(text), &areas, NULL) != 0;
}

static int teardown(void **state) {
    (void)state;
    area_list_finish(&areas);
    grid_destroy(grid);
    grid_env_destroy(env);
    return 0;
}

static const struct areal_options options = {.step_s = 600,
                                             .window_count = 2,
                                             .window_s = {1800, 3600},
                                             .lead_count = 1,
                                             .lead_s = {1200},
                                             .threshold_mm_h = 5.0,
                                             .min_coverage = 0.6};

static void add_constant(struct areal *areal, size_t slot, double rate) {
    double frame[CELLS];
    for (size_t i = 0; i < CELLS; i++) {
        frame[i] = rate;
    }
    assert_int_equal(areal_add(areal, slot, frame, NULL), 0);
}

/* Two rows of cells with different ground areas: the mean by hand from the zones of the ellipsoid
 * (computed with the areas that test_grid checks against the whole Earth). */
static void means_are_weighted_by_ground_area(void **state) {
    (void)state;
    struct areal *areal = NULL;
    double cells[CELLS], frame[CELLS] = {0.0};
    assert_int_equal(areal_create(env, grid, &areas, NULL, &options, &areal, NULL), 0);
    assert_int_equal(grid_cell_areas_m2(env, grid, cells, NULL), 0);
    for (size_t j = 0; j < COLUMNS; j++) {
        frame[j] = 8.0;
        frame[COLUMNS + j] = 2.0;
    }
    frame[2] = NAN;
    frame[15] = 99.0; /* beyond the area */
    assert_int_equal(areal_add(areal, 0, frame, NULL), 0);
    double w0 = 3.0 * cells[0];
    double w1 = 4.0 * cells[COLUMNS];
    struct areal_result mean = find(areal, "low", "rain_mean", 0, 0);
    assert_true(fabs(mean.value - (8.0 * w0 + 2.0 * w1) / (w0 + w1)) < 1e-12);
    assert_true(fabs(mean.coverage - (w0 + w1) / (w0 + w1 + cells[2])) < 1e-12);
    assert_true(find(areal, "low", "rain_max", 0, 0).value == 8.0);
    assert_true(fabs(find(areal, "low", "rain_covered", 0, 0).value - w0 / (w0 + w1)) < 1e-12);
    /* persistence of rates is the same number, with its lead */
    assert_true(find(areal, "low", "rain_mean", 0, 1200).value == mean.value);
    areal_destroy(areal);
}

static void windows_leave_gaps_out_and_tell_the_coverage(void **state) {
    (void)state;
    struct areal *areal = NULL;
    assert_int_equal(areal_create(env, grid, &areas, NULL, &options, &areal, NULL), 0);
    assert_int_equal(areal_slots(areal), 6);
    add_constant(areal, 0, 6.0);
    add_constant(areal, 2, 12.0); /* slot 1 is missing */
    struct areal_result half_hour = find(areal, "low", "rain_mean", 1800, 0);
    assert_true(fabs(half_hour.value - 4.5) < 1e-12); /* 9 mm/h over half an hour */
    assert_true(fabs(half_hour.coverage - 2.0 / 3.0) < 1e-12);
    struct areal_result hour = find(areal, "low", "rain_mean", 3600, 0);
    assert_true(isnan(hour.value) && fabs(hour.coverage - 2.0 / 6.0) < 1e-12);
    assert_non_null(strstr(hour.cause, "coverage 0.333"));
    /* not below what two of six frames amount to: 18 mm/h over ten minutes */
    assert_true(fabs(hour.at_least - 3.0) < 1e-12);
    struct areal_result most = find(areal, "low", "rain_max", 3600, 0);
    assert_true(isnan(most.value) && fabs(most.at_least - 3.0) < 1e-12);
    assert_true(isnan(half_hour.at_least)); /* it has a value */
    /* lead 20 min: slot 0 and two more of 6 mm/h */
    assert_true(fabs(find(areal, "low", "rain_mean", 1800, 1200).value - 3.0) < 1e-12);
    areal_destroy(areal);
}

static void places_without_data_are_unknown_with_a_cause(void **state) {
    (void)state;
    struct areal *areal = NULL;
    assert_int_equal(areal_create(env, grid, &areas, NULL, &options, &areal, NULL), 0);
    /* no frame at all: nothing is zero */
    struct areal_result none = find(areal, "low", "rain_mean", 0, 0);
    assert_true(isnan(none.value) && none.coverage == 0.0 && none.cause[0] != '\0');
    assert_true(isnan(find(areal, "low", "rain_mean", 1800, 0).at_least)); /* nor at least zero */
    add_constant(areal, 0, 6.0);
    struct areal_result half = find(areal, "half", "rain_mean", 0, 0);
    assert_true(isnan(half.value) && fabs(half.coverage - 0.5) < 1e-12);
    assert_true(isnan(half.at_least)); /* a rate has no lower bound */
    /* nothing is known of its other half: 1 mm in ten minutes over one half */
    struct areal_result window = find(areal, "half", "rain_mean", 1800, 0);
    assert_true(isnan(window.value) && fabs(window.at_least - 0.5) < 1e-12);
    assert_true(fabs(find(areal, "half", "rain_max", 1800, 0).at_least - 1.0) < 1e-12);
    struct areal_result far = find(areal, "far", "rain_max", 1800, 1200);
    assert_true(isnan(far.value) && far.coverage == 0.0);
    assert_string_equal(far.cause, "area outside the grid");
    areal_destroy(areal);
}

static void negative_rates_and_bad_options_are_refused(void **state) {
    (void)state;
    struct areal *areal = NULL;
    struct err err = {.code = 0};
    double frame[CELLS] = {0.0};
    assert_int_equal(areal_create(env, grid, &areas, NULL, &options, &areal, NULL), 0);
    frame[6] = -0.5;
    assert_int_equal(areal_add(areal, 0, frame, &err), ERR_RANGE);
    assert_non_null(strstr(err.text, "-0.5 mm h-1 at row 1, column 2"));
    areal_destroy(areal);
    struct areal_options bad[5];
    for (size_t i = 0; i < 5; i++) {
        bad[i] = options;
    }
    bad[0].step_s = 0;
    bad[1].window_s[0] = 900;
    bad[2].window_s[1] = 1800;
    bad[3].lead_s[0] = 100;
    bad[4].min_coverage = NAN;
    for (size_t i = 0; i < 5; i++) {
        areal = NULL;
        assert_int_equal(areal_create(env, grid, &areas, NULL, &bad[i], &areal, &err), ERR_INVALID);
        assert_null(areal);
    }
}

/* Two leads, windows of 30 and 60 min over steps of 10 min; everything by hand. */
static void forecasts_go_on_where_the_frames_end(void **state) {
    (void)state;
    struct areal *areal = NULL;
    struct areal_options two = options;
    float field[CELLS];
    two.lead_count = 2;
    two.lead_s[1] = 2400;
    assert_int_equal(areal_create(env, grid, &areas, NULL, &two, &areal, NULL), 0);
    assert_int_equal(areal_steps_ahead(areal), 4);
    for (size_t slot = 0; slot < 6; slot++) {
        add_constant(areal, slot, 6.0);
    }
    for (size_t step = 1; step <= 4; step++) { /* 12, 18, 24, 30 mm/h */
        for (size_t i = 0; i < CELLS; i++) {
            field[i] = 6.0F + 6.0F * (float)step;
        }
        areal_forecast(areal, step, field);
    }
    assert_true(fabs(find(areal, "low", "rain_mean", 0, 1200).value - 18.0) < 1e-12);
    assert_true(fabs(find(areal, "low", "rain_max", 0, 2400).value - 30.0) < 1e-12);
    assert_true(find(areal, "low", "rain_covered", 0, 2400).value == 1.0);
    /* slot 0, steps 1 and 2; steps 2 to 4; slots 1, 0 and all steps */
    assert_true(fabs(find(areal, "low", "rain_mean", 1800, 1200).value - 6.0) < 1e-12);
    assert_true(fabs(find(areal, "low", "rain_mean", 1800, 2400).value - 12.0) < 1e-12);
    assert_true(fabs(find(areal, "low", "rain_max", 3600, 2400).value - 16.0) < 1e-12);
    /* what has been is as it was */
    assert_true(fabs(find(areal, "low", "rain_mean", 1800, 0).value - 3.0) < 1e-12);
    areal_destroy(areal);
}

/* Ten members of 0, 6 ... 54 mm/h: 30 per cent of them reach 42 and no more. */
static void values_reached_with_a_probability_are_those_of_the_members(void **state) {
    (void)state;
    struct areal *areal = NULL;
    struct areal_options ten = options;
    float field[CELLS];
    ten.member_count = 10;
    ten.probability_count = 3;
    ten.probability[0] = 0.05;
    ten.probability[1] = 0.3;
    ten.probability[2] = 1.0;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(areal_create(env, grid, &areas, NULL, &ten, &areal, NULL), 0);
        for (size_t slot = 0; slot < 6; slot++) {
            add_constant(areal, slot, 6.0);
        }
        for (size_t member = 0; member < 10; member++) {
            for (size_t step = 1; step <= 2; step++) {
                for (size_t i = 0; i < CELLS; i++) {
                    field[i] = 6.0F * (float)((member * 7) % 10); /* in no order */
                    field[i] = round == 1 && member == 4 ? NAN : field[i];
                }
                areal_member(areal, member, step, field);
            }
        }
        if (round == 0) {
            assert_true(fabs(find_reached(areal, "low", "rain_mean", 0, 1200, 0.05).value - 54.0) <
                        1e-12);
            assert_true(fabs(find_reached(areal, "low", "rain_mean", 0, 1200, 0.3).value - 42.0) <
                        1e-12);
            assert_true(fabs(find_reached(areal, "low", "rain_mean", 0, 1200, 1.0).value - 0.0) <
                        1e-12);
            /* 30 min ahead by 20: 1 mm that fell, and 14 */
            assert_true(fabs(find_reached(areal, "low", "rain_mean", 1800, 1200, 0.3).value -
                             15.0) < 1e-12);
        } else {
            /* a member that does not know leaves the share unknown */
            struct areal_result unknown = find_reached(areal, "low", "rain_mean", 0, 1200, 0.3);
            assert_true(isnan(unknown.value) && fabs(unknown.coverage - 0.9) < 1e-12);
        }
        areal_destroy(areal);
        areal = NULL;
    }
    assert_int_equal(areal_create(env, grid, &areas, NULL, &ten, &areal, NULL), 0);
    add_constant(areal, 0, 6.0);
    areal_no_forecast(areal, true, "one frame");
    struct areal_result none = find_reached(areal, "low", "rain_mean", 0, 1200, 0.3);
    assert_true(isnan(none.value));
    assert_string_equal(none.cause, "one frame");
    assert_true(fabs(find(areal, "low", "rain_mean", 0, 1200).value - 6.0) < 1e-12);
    areal_destroy(areal);
}

/* Frames 0 and 1 of six: 2 mm that fell. Members of 0, 6 ... 54 mm/h over 20 min bring 0 to 18 mm,
 * and what is missing of the hour keeps it unknown. */
static void lower_bounds_go_on_with_the_forecast(void **state) {
    (void)state;
    struct areal *areal = NULL;
    struct areal_options ten = options;
    float field[CELLS];
    ten.min_coverage = 0.9;
    ten.member_count = 10;
    ten.probability_count = 2;
    ten.probability[0] = 0.3;
    ten.probability[1] = 1.0;
    assert_int_equal(areal_create(env, grid, &areas, NULL, &ten, &areal, NULL), 0);
    add_constant(areal, 0, 6.0);
    add_constant(areal, 1, 6.0);
    for (size_t member = 0; member < 10; member++) {
        for (size_t step = 1; step <= 2; step++) {
            for (size_t i = 0; i < CELLS; i++) {
                field[i] = 6.0F * (float)((member * 7) % 10);
            }
            areal_member(areal, member, step, field);
        }
    }
    struct areal_result most = find_reached(areal, "low", "rain_mean", 3600, 1200, 0.3);
    assert_true(isnan(most.value) && fabs(most.at_least - (2.0 + 14.0)) < 1e-9);
    struct areal_result all = find_reached(areal, "low", "rain_mean", 3600, 1200, 1.0);
    assert_true(isnan(all.value) && fabs(all.at_least - 2.0) < 1e-9);
    /* 30 min ahead by 20 are whole */
    struct areal_result whole = find_reached(areal, "low", "rain_mean", 1800, 1200, 0.3);
    assert_true(fabs(whole.value - 15.0) < 1e-9 && isnan(whole.at_least));
    areal_destroy(areal);
}

/* Four members by turns, as the ensemble makes them: each has its own sums. 6, 12, 18 and 24 mm/h
 * over 20 min after 1 mm that fell. */
static void members_that_come_by_turns_do_not_mix(void **state) {
    (void)state;
    struct areal *areal = NULL;
    struct areal_options four = options;
    float field[CELLS];
    four.member_count = 4;
    four.probability_count = 2;
    four.probability[0] = 0.25;
    four.probability[1] = 1.0;
    assert_int_equal(areal_create(env, grid, &areas, NULL, &four, &areal, NULL), 0);
    add_constant(areal, 0, 6.0);
    for (size_t step = 1; step <= 2; step++) {
        for (size_t member = 0; member < 4; member++) {
            for (size_t i = 0; i < CELLS; i++) {
                field[i] = 6.0F * (float)(member + 1);
            }
            areal_member(areal, member, step, field);
        }
    }
    struct areal_result most = find_reached(areal, "low", "rain_mean", 1800, 1200, 0.25);
    assert_true(fabs(most.value - (1.0 + 8.0)) < 1e-9 && fabs(most.coverage - 1.0) < 1e-9);
    struct areal_result least = find_reached(areal, "low", "rain_mean", 1800, 1200, 1.0);
    assert_true(fabs(least.value - (1.0 + 2.0)) < 1e-9);
    /* half of the hour is missing: it stays so */
    struct areal_result hour = find_reached(areal, "low", "rain_mean", 3600, 1200, 0.25);
    assert_true(isnan(hour.value) && fabs(hour.coverage - 0.5) < 1e-9);
    assert_true(fabs(hour.at_least - (1.0 + 8.0)) < 1e-9);
    areal_destroy(areal);
}

/* Runs in a child: the number of the first thing that the cage let through, 0 when it held. */
static int try_to_break_out(const char *writable, int open_fd) {
    static const struct sandbox_limits limits = {
        .memory_bytes = (size_t)1 << 30, .cpu_s = 10, .file_bytes = 1000};
    char *const arguments[] = {(char *)(uintptr_t) "true", NULL};
    struct err err = {.code = 0};
    if (sandbox_enter(&limits, &err) != 0) {
        (void)dprintf(STDERR_FILENO, "%s\n", err.text);
        return 100;
    }
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0) {
        return 1;
    }
    if (open(writable, O_WRONLY) >= 0 || open(writable, O_RDONLY) >= 0 ||
        open("/etc/passwd", O_RDONLY) >= 0) {
        return 2;
    }
    if (execv("/bin/true", arguments) == 0 || errno != EPERM) {
        return 3;
    }
    if (fork() >= 0) {
        return 4;
    }
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
        return 5;
    }
    if (unlink(writable) == 0 || rename(writable, "/tmp/x") == 0 || kill(getppid(), 0) == 0) {
        return 6;
    }
    /* what it must still be able to do */
    void *memory = malloc(1 << 20);
    if (memory == NULL || write(open_fd, "x", 1) != 1) {
        return 7;
    }
    free(memory);
    return 0;
}

static void the_cage_blocks_files_network_and_programs(void **state) {
    (void)state;
    char path[300];
    (void)snprintf(path, sizeof path, "%s/test-sandbox-XXXXXX", CANHBAO_BINARY_DIR);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(try_to_break_out(path, fd));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(access(path, F_OK), 0);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_are_weighted_by_ground_area),
        cmocka_unit_test(windows_leave_gaps_out_and_tell_the_coverage),
        cmocka_unit_test(places_without_data_are_unknown_with_a_cause),
        cmocka_unit_test(forecasts_go_on_where_the_frames_end),
        cmocka_unit_test(values_reached_with_a_probability_are_those_of_the_members),
        cmocka_unit_test(lower_bounds_go_on_with_the_forecast),
        cmocka_unit_test(members_that_come_by_turns_do_not_mix),
        cmocka_unit_test(negative_rates_and_bad_options_are_refused),
        cmocka_unit_test(the_cage_blocks_files_network_and_programs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
