/* Frames kept from run to run: they come back bit by bit, or not at all. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "areal_fixture.h"
#include "models/areal/past.h"

enum { KEPT = 3 };

static const double rates[KEPT][4] = {{0.0, 1.5, NAN, 99.25}, {NAN, NAN, NAN, NAN}, {1, 2, 3, 4}};
static const size_t cells[] = {0, 5, 6, 15};
static struct grid_env *env;
static struct grid *grid;
static char path[64];
static char signature[HASH_TEXT_SIZE];

static int setup(void **state) {
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/canhbao-past-%ld", (long)getpid());
    if (make_grid(&env, &grid) != 0) {
        return -1;
    }
    past_signature(grid, "", cells, KEPT + 1, signature);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    grid_destroy(grid);
    grid_env_destroy(env);
    return unlink(path);
}

static void write_three(void) {
    struct past *past = NULL;
    assert_int_equal(past_create(signature, 4, &past, NULL), 0);
    for (int i = 0; i < KEPT; i++) {
        double copy[4];
        memcpy(copy, rates[i], sizeof copy);
        struct past_frame frame = {
            .bytes = 1000 + i, .modified_ns = 7, .utc_us = 60000000 * i, .rate_mm_h = copy};
        (void)snprintf(frame.name, sizeof frame.name, "f%d.nc", i);
        memset(frame.hash, 'a' + i, sizeof frame.hash - 1);
        assert_int_equal(past_add(past, &frame, NULL), 0);
    }
    assert_int_equal(past_write(past, path, NULL), 0);
    past_destroy(past);
}

static void frames_come_back_bit_by_bit(void **state) {
    (void)state;
    struct past *past = NULL;
    write_three();
    assert_int_equal(past_read(path, signature, 4, &past, NULL), 0);
    assert_int_equal(past_count(past), KEPT);
    for (int i = 0; i < KEPT; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d.nc", i);
        const struct past_frame *frame = past_find(past, name, 1000 + i, 7);
        assert_non_null(frame);
        assert_memory_equal(frame->rate_mm_h, rates[i], sizeof rates[i]);
        assert_int_equal(frame->utc_us, 60000000 * i);
        assert_int_equal(strlen(frame->hash), HASH_TEXT_SIZE - 1);
        assert_int_equal(frame->hash[0], 'a' + i);
        /* a file that has changed is another one */
        assert_null(past_find(past, name, 999 + i, 7));
        assert_null(past_find(past, name, 1000 + i, 8));
    }
    assert_null(past_find(past, "g.nc", 1000, 7));
    assert_null(past_find(NULL, "f0.nc", 1000, 7));
    past_destroy(past);
}

static void check_refused(const char *made_for, int code, const char *says) {
    struct past *past = NULL;
    struct err err = {.code = 0};
    int result = past_read(path, made_for, 4, &past, &err);
    if (result != code || strstr(err.text, says) == NULL || strstr(err.text, path) == NULL) {
        fail_msg("%d '%s'; expected %d '%s'", result, err.text, code, says);
    }
    assert_null(past);
}

static void frames_of_something_else_are_refused(void **state) {
    (void)state;
    char other[HASH_TEXT_SIZE];
    static const size_t other_cells[] = {0, 5, 6, 14};
    static const double centres[] = {0.5, 1.5, 2.5, 3.75};
    struct grid *shifted = NULL;
    write_three();
    past_signature(grid, "", other_cells, 4, other);
    check_refused(other, ERR_INVALID, "of another grid or variable, or of other areas");
    past_signature(grid, "rain", cells, 4, other);
    check_refused(other, ERR_INVALID, "of another grid or variable, or of other areas");
    assert_int_equal(grid_create(ROWS, COLUMNS, centres, centres, NULL, &shifted, NULL), 0);
    past_signature(shifted, "", cells, 4, other);
    grid_destroy(shifted);
    check_refused(other, ERR_INVALID, "of another grid or variable, or of other areas");
}

/* Every byte turned once, and every length. */
static void damaged_files_are_refused_whole(void **state) {
    (void)state;
    static char content[4096];
    write_three();
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(content, 1, sizeof content, file);
    assert_int_equal(fclose(file), 0);
    assert_true(size > 300 && size < sizeof content);
    for (size_t i = 0; i < 2 * size; i++) {
        struct past *past = NULL;
        struct err err = {.code = 0};
        file = fopen(path, "wb");
        assert_non_null(file);
        size_t length = i < size ? size : i - size;
        if (i < size) {
            content[i] = (char)(content[i] ^ 4);
        }
        assert_int_equal(fwrite(content, 1, length, file), length);
        assert_int_equal(fclose(file), 0);
        if (i < size) {
            content[i] = (char)(content[i] ^ 4);
        }
        assert_int_not_equal(past_read(path, signature, 4, &past, &err), 0);
        assert_null(past);
        assert_non_null(strstr(err.text, path));
    }
    struct past *none = NULL;
    assert_int_equal(past_read("/nowhere/s", signature, 4, &none, NULL), ERR_IO);
    assert_int_equal(past_read("/tmp", signature, 4, &none, NULL), ERR_IO);
}

static void what_is_kept_is_bounded(void **state) {
    (void)state;
    struct past *past = NULL;
    struct err err = {.code = 0};
    static double one[1];
    struct past_frame frame = {.name = "f.nc", .rate_mm_h = one};
    assert_int_equal(past_create(signature, PAST_BYTES_MAX / sizeof(double) + 1, &past, NULL), 0);
    assert_int_equal(past_add(past, &frame, &err), ERR_LIMIT);
    past_destroy(past);
    assert_int_equal(past_create(signature, 1, &past, NULL), 0);
    for (int i = 0; i < PAST_FRAMES_MAX; i++) {
        assert_int_equal(past_add(past, &frame, NULL), 0);
    }
    assert_int_equal(past_add(past, &frame, &err), ERR_LIMIT);
    assert_int_equal(past_count(past), PAST_FRAMES_MAX);
    past_destroy(past);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_back_bit_by_bit),
        cmocka_unit_test(frames_of_something_else_are_refused),
        cmocka_unit_test(damaged_files_are_refused_whole),
        cmocka_unit_test(what_is_kept_is_bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
