#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_lang.h"
#include "daemon/control/ctl_tools.h"
#include "daemon/control/ctl_usage.h"
#include "drivers/modbus/decode.h"
#include "drivers/modbus/text.h"

/* ECMA-48. */
#define REVERSE_ON  "\033[7m"
#define REVERSE_OFF "\033[0m"

enum { BYTES_MAX = 2 * MODBUS_REGISTERS_MAX };

static const enum modbus_type shown[] = {MODBUS_UINT16, MODBUS_INT16, MODBUS_FLOAT16, MODBUS_BCD16,
                                         MODBUS_UINT32, MODBUS_INT32, MODBUS_FLOAT32, MODBUS_BCD32,
                                         MODBUS_UINT64, MODBUS_INT64, MODBUS_FLOAT64};

void ctl_json_print(const json_t *value) {
    (void)json_dumpf(value, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
}

static bool is_plausible(double value) {
    return isfinite(value) && fabs(value) >= 1e-3 && fabs(value) <= 1e6;
}

static void add_type(json_t *list, enum modbus_type type, const uint8_t *bytes) {
    /* Two bytes know two orders only. */
    int step = modbus_type_registers(type) == 1 ? 2 : 1;
    for (int order = MODBUS_ABCD; order <= MODBUS_DCBA; order += step) {
        struct modbus_map map = {
            .table = MODBUS_HOLDING, .type = type, .order = (enum modbus_order)order, .scale = 1};
        struct reading reading = {0};
        modbus_decode(&map, bytes, &reading);
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:o,s:b}", "type", modbus_type_name(type), "order",
                            modbus_order_name(map.order), "value",
                            isfinite(reading.value) ? json_real(reading.value) : json_null(),
                            "plausible", (int)is_plausible(reading.value)));
    }
}

/* The printable characters, others as '.'. */
static void text_of_bytes(const uint8_t *bytes, unsigned count, char *ret_text) {
    for (unsigned i = 0; i < count; i++) {
        ret_text[i] = bytes[i] >= 0x20 && bytes[i] < 0x7F ? (char)bytes[i] : '.';
    }
    ret_text[count] = '\0';
}

json_t *ctl_candidates(uint16_t address, const uint8_t *bytes, unsigned count) {
    json_t *places = json_array();
    for (unsigned at = 0; at < count; at++) {
        json_t *list = json_array();
        char raw[8], text[3];
        for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
            if (at + modbus_type_registers(shown[i]) <= count) {
                add_type(list, shown[i], bytes + (size_t)2 * at);
            }
        }
        (void)snprintf(raw, sizeof raw, "%02X %02X", bytes[2 * at], bytes[2 * at + 1]);
        text_of_bytes(bytes + (size_t)2 * at, 2, text);
        json_array_append_new(places, json_pack("{s:i,s:s,s:s,s:o}", "address", (int)(address + at),
                                                "raw", raw, "text", text, "numbers", list));
    }
    return places;
}

/* Same type, same line. */
static void print_numbers(const json_t *numbers, bool all, FILE *out) {
    const char *open_type = "";
    size_t index;
    json_t *number;
    json_array_foreach(numbers, index, number) {
        const char *type = json_string_value(json_object_get(number, "type"));
        bool plausible = json_is_true(json_object_get(number, "plausible"));
        const json_t *value = json_object_get(number, "value");
        if (strcmp(type, "uint16") == 0 || strcmp(type, "int16") == 0) {
            if (strcmp(json_string_value(json_object_get(number, "order")), "ABCD") == 0) {
                fprintf(out, "  %s %.0f", type, json_number_value(value));
                continue;
            }
        }
        if (!all && (!plausible || strstr(type, "16") != NULL)) {
            continue;
        }
        if (strcmp(type, open_type) != 0) {
            fprintf(out, "\n         %-8s", type);
            open_type = type;
        }
        char text[40] = "-";
        if (json_is_number(value)) {
            (void)snprintf(text, sizeof text, "%.9g", json_number_value(value));
        }
        fprintf(out, "  %s %s%s", json_string_value(json_object_get(number, "order")), text,
                plausible ? " *" : "");
    }
    fputc('\n', out);
}

void ctl_candidates_print(const json_t *candidates, bool all, FILE *out) {
    size_t index;
    json_t *place;
    json_array_foreach(candidates, index, place) {
        bool changed = json_is_true(json_object_get(place, "changed"));
        bool reverse = changed && isatty(fileno(out)) == 1;
        fprintf(out, "%s%c%5d  %s  %s%s", reverse ? REVERSE_ON : "", changed ? '>' : ' ',
                (int)json_integer_value(json_object_get(place, "address")),
                json_string_value(json_object_get(place, "raw")),
                json_string_value(json_object_get(place, "text")), reverse ? REVERSE_OFF : "");
        print_numbers(json_object_get(place, "numbers"), all, out);
    }
    fprintf(out, "(* %s)\n", ctl_tr("plausible: a number between 0.001 and 1,000,000 in size"));
}

json_t *ctl_string(const uint8_t *bytes, unsigned count, bool swapped) {
    char raw[BYTES_MAX * 3 + 1] = "";
    char text[MODBUS_TEXT_SIZE];
    for (unsigned i = 0; i < 2 * count; i++) {
        (void)snprintf(raw + (size_t)3 * i, 4, "%02X ", bytes[i]);
    }
    raw[count > 0 ? 6 * count - 1 : 0] = '\0';
    const char *fault = modbus_text_decode(bytes, count, swapped, text);
    return json_pack("{s:s,s:b,s:s?,s:s?}", "raw", raw, "swapped", (int)swapped, "text",
                     fault == NULL ? text : NULL, "fault", fault);
}

void ctl_string_print(const json_t *string, FILE *out) {
    const char *text = json_string_value(json_object_get(string, "text"));
    const char *raw = json_string_value(json_object_get(string, "raw"));
    bool changed = json_is_true(json_object_get(string, "changed"));
    fprintf(out, "%c %s\n", changed ? '>' : ' ', raw);
    if (text != NULL) {
        fprintf(out, "  %s\n", text);
    } else {
        ctl_error("no text: %s", json_string_value(json_object_get(string, "fault")));
    }
}

int ctl_string_option(const char *option, bool *ret_swapped) {
    bool swapped = strcmp(option, "swapped") == 0;
    if (!swapped && strcmp(option, "plain") != 0) {
        return ctl_expected("--string", "plain or swapped", option);
    }
    *ret_swapped = swapped;
    return EXIT_DONE;
}

static int decode_string(const uint8_t *bytes, unsigned count, const struct tool_options *options) {
    bool swapped;
    if (ctl_string_option(options->string, &swapped) != EXIT_DONE) {
        return EXIT_USAGE;
    }
    json_t *string = ctl_string(bytes, count, swapped);
    int result = json_is_string(json_object_get(string, "fault")) ? EXIT_FAILED : EXIT_DONE;
    if (options->json) {
        ctl_json_print(string);
    } else {
        ctl_string_print(string, stdout);
    }
    json_decref(string);
    return result;
}

/* Pairs of hex digits; blanks, commas and colons between. Returns the count of bytes or -1. */
static int read_hex(char **arguments, int count, uint8_t ret_bytes[BYTES_MAX]) {
    int used = 0;
    for (int i = 0; i < count; i++) {
        const char *at = arguments[i];
        at += strncmp(at, "0x", 2) == 0 ? 2 : 0;
        while (*at != '\0') {
            if (strchr(" ,:", *at) != NULL) {
                at++;
                continue;
            }
            if (used == BYTES_MAX || !isxdigit((unsigned char)at[0]) ||
                !isxdigit((unsigned char)at[1])) {
                return -1;
            }
            const char digits[] = {at[0], at[1], '\0'};
            ret_bytes[used++] = (uint8_t)strtoul(digits, NULL, 16);
            at += 2;
        }
    }
    return used;
}

int ctl_decode(char **arguments, int count, const struct tool_options *options) {
    uint8_t bytes[BYTES_MAX];
    int length = read_hex(arguments, count, bytes);
    if (length < 2 || length % 2 != 0) {
        return ctl_wrong(
            "decode: expected 1 to 125 registers as pairs of hex digits, such as 4148 0000");
    }
    if (options->string != NULL) {
        return decode_string(bytes, (unsigned)length / 2, options);
    }
    json_t *candidates = ctl_candidates(0, bytes, (unsigned)length / 2);
    if (options->json) {
        ctl_json_print(candidates);
    } else {
        ctl_candidates_print(candidates, length <= 8, stdout);
    }
    json_decref(candidates);
    return EXIT_DONE;
}
