/* What canhbaoctl says of errors, in two languages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "daemon/control/ctl_error.c"
#include "daemon/control/ctl_lang.c"

static int vietnamese(void **state) {
    (void)state;
    return setenv(CTL_LANG_VARIABLE, "vi", 1);
}

static size_t stars(const char *text) {
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '*';
    }
    return count;
}

static void every_sentence_has_its_counterpart(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        char text[SENTENCE_SIZE];
        assert_int_equal(stars(sentences[i].en), stars(sentences[i].vi));
        assert_in_range(stars(sentences[i].en), 0, PARTS_MAX);
        assert_true(text_is_utf8_line(sentences[i].vi, strlen(sentences[i].vi)));
        /* Each is reached: none of those ahead of it takes all of its texts. */
        ctl_translate(sentences[i].en, text, sizeof text);
        assert_string_equal(text, sentences[i].vi);
    }
}

static void sentences_are_translated_with_their_parts(void **state) {
    (void)state;
    static const char *const known[][2] = {
        {"no daemon answers at /run/x: Connection refused",
         "không có chương trình giám sát trả lời tại /run/x: máy kia từ chối kết nối"},
        {"10.0.0.1:502: unit 3: exception 2: illegal data address",
         "10.0.0.1:502: máy 3: ngoại lệ 2: máy không có địa chỉ này"},
        {"10.0.0.1: no reply in time", "10.0.0.1: không trả lời kịp"},
        {"[::1]:502: unit 1: bad reply: wrong byte count",
         "[::1]:502: máy 1: trả lời hỏng: sai byte count"},
        {"refused: a-b has no point 'x'", "bị từ chối: a-b không có điểm đo 'x'"},
        {"refused: there is no record 7 of a.b", "bị từ chối: không có biên bản 7 của a.b"},
        {"refused: shelve needs the key \"reason\"", "bị từ chối: shelve cần --reason"},
        {"a.csv:12: expected a time with its zone, and a number or nothing",
         "a.csv:12: phải là thời điểm có múi giờ, và một số hoặc bỏ trống"},
        {"'x' is not valid UTF-8", "'x' không phải UTF-8"},
        {"/dev/ttyS9: unit 1: cannot open the port: No such file or directory",
         "/dev/ttyS9: máy 1: không mở được cổng: không có tệp hay thư mục này"},
        {"nobody has translated this", "nobody has translated this"},
        {"", ""},
    };
    char text[SENTENCE_SIZE];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        ctl_translate(known[i][0], text, sizeof text);
        assert_string_equal(text, known[i][1]);
        assert_int_equal(setenv(CTL_LANG_VARIABLE, "en", 1), 0);
        ctl_translate(known[i][0], text, sizeof text);
        assert_string_equal(text, known[i][0]);
        assert_int_equal(setenv(CTL_LANG_VARIABLE, "vi", 1), 0);
    }
}

/* Whatever comes, it ends within the buffer. */
static void any_text_fits(void **state) {
    (void)state;
    static const char pieces[][8] = {": ",     "*",      "'",       "unit ", "refused",
                                     "expect", "wrong ", "answers", "at ",   "a"};
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        char english[200] = "";
        size_t used = 0;
        do {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            const char *piece = pieces[(seed >> 33) % (sizeof pieces / sizeof pieces[0])];
            used += (size_t)snprintf(english + used, sizeof english - used, "%.7s", piece);
        } while (used < 150 && (seed >> 50) % 16 != 0);
        size_t size = 1 + (seed >> 40) % 64;
        char *text = malloc(size);
        assert_non_null(text);
        ctl_translate(english, text, size);
        assert_true(strlen(text) < size);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sentence_has_its_counterpart),
        cmocka_unit_test(sentences_are_translated_with_their_parts),
        cmocka_unit_test(any_text_fits),
    };
    return cmocka_run_group_tests(tests, vietnamese, NULL);
}
