/* Texts in registers. Expected texts are written by hand: two characters a register, the first in
 * the more significant byte, which comes first over the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/modbus/text.h"

static const struct row {
    const char *bytes; /* as on the wire */
    size_t registers;
    bool swapped;
    const char *text, *fault; /* one of them */
} rows[] = {
    {"SN-0042!", 4, false, "SN-0042!", NULL},
    {"NS0-40!2", 4, true, "SN-0042!", NULL},
    /* the same device without and with the option: told only by a person, or by a NUL */
    {"NS0-40!2", 4, false, "NS0-40!2", NULL},
    {"NS0-40\0002", 4, false, NULL, "bytes behind a NUL"},
    {"NS0-40\0002", 4, true, "SN-0042", NULL},
    /* padding: NULs, blanks, blanks and then NULs; an inner or leading blank is text */
    {"V1\0\0\0\0", 3, false, "V1", NULL},
    {"V1    ", 3, false, "V1", NULL},
    {"V1  \0\0", 3, false, "V1", NULL},
    {"V 1 \0\0", 3, false, "V 1", NULL},
    {" V1\0", 2, false, " V1", NULL},
    {"1V\0 ", 2, true, "V1", NULL},
    {"A\0", 1, false, "A", NULL},
    {"V1\0\0  ", 3, false, NULL, "bytes behind a NUL"},
    {"\0\0\0\0", 2, false, NULL, "only padding, no text"},
    {"    ", 2, true, NULL, "only padding, no text"},
    /* UTF-8: "Đà" is C4 90 C3 A0; cut, overlong, a surrogate, erased memory */
    {"\xC4\x90\xC3\xA0", 2, false, "\xC4\x90\xC3\xA0", NULL},
    {"\x90\xC4\xA0\xC3", 2, true, "\xC4\x90\xC3\xA0", NULL},
    {"\x90\xC4\xA0\xC3", 2, false, NULL, "no well-formed UTF-8"},
    {"AB\xC4\0", 2, false, NULL, "no well-formed UTF-8"},
    {"\xC0\xAF", 1, false, NULL, "no well-formed UTF-8"},
    {"\xED\xA0\x80\0", 2, false, NULL, "no well-formed UTF-8"},
    {"AB\xFF\xFF", 2, false, NULL, "no well-formed UTF-8"},
    {"A\nB\0", 2, false, NULL, "a control character"},
    {"AB\x7F\0", 2, false, NULL, "a control character"},
    {"\x1B[2J", 2, false, NULL, "a control character"},
    {"", 0, false, NULL, "not 1 to 125 registers"},
};

static void texts_come_out_or_say_why_not(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        char text[MODBUS_TEXT_SIZE] = "untouched";
        print_message("row %zu\n", i);
        const char *fault =
            modbus_text_decode((const uint8_t *)row->bytes, row->registers, row->swapped, text);
        if (row->text != NULL) {
            assert_null(fault);
            assert_string_equal(text, row->text);
        } else {
            assert_non_null(fault);
            assert_string_equal(fault, row->fault);
            assert_string_equal(text, "untouched");
        }
    }
}

static void every_byte_may_hold_a_character(void **state) {
    (void)state;
    uint8_t bytes[2 * MODBUS_REGISTERS_MAX];
    char text[MODBUS_TEXT_SIZE];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)('!' + i % 90);
    }
    assert_null(modbus_text_decode(bytes, MODBUS_REGISTERS_MAX, false, text));
    assert_int_equal(strlen(text), sizeof bytes);
    assert_memory_equal(text, bytes, sizeof bytes);
    assert_null(modbus_text_decode(bytes, MODBUS_REGISTERS_MAX, true, text));
    for (size_t i = 0; i < sizeof bytes; i += 2) {
        assert_int_equal(text[i], bytes[i + 1]);
        assert_int_equal(text[i + 1], bytes[i]);
    }
    assert_non_null(modbus_text_decode(bytes, MODBUS_REGISTERS_MAX + 1, false, text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_out_or_say_why_not),
        cmocka_unit_test(every_byte_may_hold_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
