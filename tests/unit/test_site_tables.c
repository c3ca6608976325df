/* Tables that a site keeps for its models are those of the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static size_t slurp(const char *path, char *ret_text, size_t size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(ret_text, 1, size, file);
    assert_int_equal(fclose(file), 0);
    assert_true(length > 0 && length < size);
    return length;
}

static void test_copies_are_the_same(void **state) {
    (void)state;
    static const char *const files[][2] = {
        {"aegl.csv", "/alerts/tables/aegl.csv"},
        {"risk_levels.csv", "/alerts/tables/risk_levels.csv"},
        {"rainfall_thresholds.csv", "/models/landslide/rainfall_thresholds.csv"}};
    static char ours[262144], theirs[262144];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/deploy/sites/binh-dinh/models/%s", CANHBAO_SOURCE_DIR,
                       files[i][0]);
        size_t length = slurp(path, ours, sizeof ours);
        (void)snprintf(path, sizeof path, "%s%s", CANHBAO_SOURCE_DIR, files[i][1]);
        assert_int_equal(length, slurp(path, theirs, sizeof theirs));
        assert_memory_equal(ours, theirs, length);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_copies_are_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
