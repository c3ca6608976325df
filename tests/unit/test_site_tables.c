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

static void test_aegl_is_the_same(void **state) {
    (void)state;
    static char ours[65536], theirs[65536];
    size_t length =
        slurp(CANHBAO_SOURCE_DIR "/deploy/sites/binh-dinh/models/aegl.csv", ours, sizeof ours);
    assert_int_equal(length,
                     slurp(CANHBAO_SOURCE_DIR "/alerts/tables/aegl.csv", theirs, sizeof theirs));
    assert_memory_equal(ours, theirs, length);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_aegl_is_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
