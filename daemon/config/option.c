#include "daemon/config/option.h"

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"
#include "daemon/base/text.h"
#include "daemon/station/station.h"

enum {
    NUMBER_SIZE = 40,
    DURATION_S_MAX = 315576000 /* ten years */,
    RATE_UNIT_SIZE = STATION_UNIT_SIZE + 8
};

static const char masked[] = "(masked)";

int option_expect(const struct option_reader *reader, const struct yaml_node *node,
                  enum yaml_kind kind) {
    static const char *const names[] = {"one value", "a list", "a map of keys"};
    if (node->kind == kind) {
        return 0;
    }
    bool empty = node->kind == YAML_SCALAR && node->text[0] == '\0' && !node->quoted;
    yaml_error(reader->errors, node, "%s here; expected %s", empty ? "nothing" : names[node->kind],
               names[kind]);
    return ERR_INVALID;
}

/* What is wrong with a text that the strict parsers refused, for the start of the message. */
static const char *number_fault(const char *text) {
    const char *digits = text[0] == '-' || text[0] == '+' ? text + 1 : text;
    size_t figures = strspn(digits, "0123456789.,eE+-");
    if (strchr(text, ',') != NULL) {
        return "has a decimal comma";
    }
    if (digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') {
        return "has a leading zero";
    }
    if (figures > 0 && digits[figures] != '\0' && digits[0] >= '0' && digits[0] <= '9') {
        return "has something behind the number";
    }
    return "is not a finite decimal number";
}

static void format_bounds(const struct option *option, const char *unit, char *ret_text,
                          size_t size) {
    const char *space = unit[0] != '\0' ? " " : "";
    if (option->min == 0 && option->max == 0) {
        ret_text[0] = '\0';
        return;
    }
    (void)snprintf(ret_text, size, " from %.10g to %.10g%s%s", option->min, option->max, space,
                   unit);
}

static bool within(const struct option *option, double value) {
    return (option->min == 0 && option->max == 0) || (value >= option->min && value <= option->max);
}

/* A number of the file; "5" in quotes is text and refused. */
static int plain_scalar(const struct option_reader *reader, const struct yaml_node *node,
                        const char *expected) {
    if (option_expect(reader, node, YAML_SCALAR) != 0) {
        return ERR_INVALID;
    }
    if (node->text[0] == '\0') {
        yaml_error(reader->errors, node, "no value; expected %s", expected);
        return ERR_INVALID;
    }
    if (node->quoted) {
        yaml_error(reader->errors, node, "'%.80s' is in quotes; expected %s", node->text, expected);
        return ERR_INVALID;
    }
    return 0;
}

static int read_bool(const struct option_reader *reader, const struct yaml_node *node,
                     bool *ret_value) {
    if (plain_scalar(reader, node, "true or false") != 0) {
        return ERR_INVALID;
    }
    if (text_parse_bool(node->text, ret_value) != 0) {
        yaml_error(reader->errors, node, "'%.80s' is neither true nor false", node->text);
        return ERR_INVALID;
    }
    return 0;
}

static int read_int(const struct option_reader *reader, const struct option *option,
                    const struct yaml_node *node, int64_t *ret_value) {
    char bounds[120], expected[160];
    format_bounds(option, "", bounds, sizeof bounds);
    (void)snprintf(expected, sizeof expected, "a whole number%s", bounds);
    if (plain_scalar(reader, node, expected) != 0) {
        return ERR_INVALID;
    }
    int result = text_parse_int(node->text, INT64_MIN, INT64_MAX, ret_value);
    if (result == ERR_SYNTAX) {
        double number;
        bool fraction = text_parse_double(node->text, -1e300, 1e300, &number) == 0;
        yaml_error(reader->errors, node, "'%.80s' %s; expected %s", node->text,
                   fraction ? "is not a whole number" : number_fault(node->text), expected);
        return ERR_INVALID;
    }
    if (result != 0 || !within(option, (double)*ret_value)) {
        yaml_error(reader->errors, node, "'%.80s' is out of bounds; expected %s", node->text,
                   expected);
        return ERR_INVALID;
    }
    return 0;
}

static int read_number(const struct option_reader *reader, const struct option *option,
                       const struct yaml_node *node, double *ret_value) {
    char bounds[120], expected[160];
    format_bounds(option, "", bounds, sizeof bounds);
    (void)snprintf(expected, sizeof expected, "a number without unit%s", bounds);
    if (plain_scalar(reader, node, expected) != 0) {
        return ERR_INVALID;
    }
    int result = text_parse_double(node->text, -INFINITY, INFINITY, ret_value);
    if (result == ERR_SYNTAX) {
        yaml_error(reader->errors, node, "'%.80s' %s; expected %s", node->text,
                   number_fault(node->text), expected);
        return ERR_INVALID;
    }
    if (result != 0 || !within(option, *ret_value)) {
        yaml_error(reader->errors, node, "'%.80s' is out of bounds; expected %s", node->text,
                   expected);
        return ERR_INVALID;
    }
    return 0;
}

static int read_value(const struct option_reader *reader, const struct yaml_node *node,
                      const char *unit, bool difference, double *ret_value) {
    char expected[120], number_text[NUMBER_SIZE];
    double number, value;
    (void)snprintf(expected, sizeof expected, "a number and a unit as in '3.5 %s'", unit);
    if (plain_scalar(reader, node, expected) != 0) {
        return ERR_INVALID;
    }
    const char *space = strchr(node->text, ' ');
    size_t length = space != NULL ? (size_t)(space - node->text) : strlen(node->text);
    if (length >= sizeof number_text) {
        yaml_error(reader->errors, node, "'%.80s' is too long; expected %s", node->text, expected);
        return ERR_INVALID;
    }
    memcpy(number_text, node->text, length);
    number_text[length] = '\0';
    int result = text_parse_double(number_text, -INFINITY, INFINITY, &number);
    if (result != 0) {
        yaml_error(reader->errors, node, "'%.80s' %s; expected %s", node->text,
                   result == ERR_RANGE ? "is out of bounds" : number_fault(number_text), expected);
        return ERR_INVALID;
    }
    if (space == NULL) {
        yaml_error(reader->errors, node, "'%.80s' has no unit; expected %s", node->text, expected);
        return ERR_INVALID;
    }
    if (!units_valid(reader->units, space + 1)) {
        yaml_error(reader->errors, node, "'%.40s' is not a unit; expected %s", space + 1, expected);
        return ERR_INVALID;
    }
    result = difference ? units_convert_difference(reader->units, number, space + 1, unit, &value)
                        : units_convert(reader->units, number, space + 1, unit, &value);
    if (result != 0) {
        yaml_error(reader->errors, node, "'%.40s' does not convert to '%s'; expected %s", space + 1,
                   unit, expected);
        return ERR_INVALID;
    }
    *ret_value = value;
    return 0;
}

/* `buffer` holds the text of a rate's unit. */
static const char *value_unit_of(const struct option *option, const char *object_unit,
                                 char buffer[RATE_UNIT_SIZE]) {
    if (option->type == OPTION_QUANTITY) {
        return option->unit;
    }
    if (option->type != OPTION_RATE) {
        return object_unit;
    }
    (void)snprintf(buffer, RATE_UNIT_SIZE, "(%s)/s", object_unit);
    return buffer;
}

static int read_quantity(const struct option_reader *reader, const struct option *option,
                         const struct yaml_node *node, double *ret_value) {
    char rate_unit[RATE_UNIT_SIZE];
    const char *unit = value_unit_of(option, reader->value_unit, rate_unit);
    char bounds[120];
    double value;
    bool difference = option->type == OPTION_DIFFERENCE || option->type == OPTION_RATE;
    if (read_value(reader, node, unit, difference, &value) != 0) {
        return ERR_INVALID;
    }
    if (!within(option, value)) {
        format_bounds(option, unit, bounds, sizeof bounds);
        yaml_error(reader->errors, node, "'%.80s' is out of bounds; expected a value%s", node->text,
                   bounds);
        return ERR_INVALID;
    }
    *ret_value = value;
    return 0;
}

static int read_duration(const struct option_reader *reader, const struct option *option,
                         const struct yaml_node *node, int64_t *ret_us) {
    char bounds[120], expected[220];
    double max = option->max != 0 ? option->max : DURATION_S_MAX;
    struct option bounded = *option;
    bounded.max = max;
    format_bounds(&bounded, "s", bounds, sizeof bounds);
    (void)snprintf(expected, sizeof expected, "a duration%s, as in '10 min' (ms, s, min, h, d)",
                   bounds);
    if (plain_scalar(reader, node, expected) != 0) {
        return ERR_INVALID;
    }
    int64_t us;
    int result = text_parse_duration_us(node->text, &us);
    if (result == ERR_SYNTAX) {
        double number;
        bool bare = text_parse_double(node->text, -1e300, 1e300, &number) == 0;
        yaml_error(reader->errors, node, "'%.80s' %s; expected %s", node->text,
                   bare ? "has no unit" : "is not a duration", expected);
        return ERR_INVALID;
    }
    if (result != 0 || (double)us < option->min * 1e6 || (double)us > max * 1e6) {
        yaml_error(reader->errors, node, "'%.80s' is out of bounds; expected %s", node->text,
                   expected);
        return ERR_INVALID;
    }
    *ret_us = us;
    return 0;
}

static int read_id(const struct option_reader *reader, const struct yaml_node *node, size_t size,
                   char *ret_id) {
    if (option_expect(reader, node, YAML_SCALAR) != 0) {
        return ERR_INVALID;
    }
    if (!text_is_id(node->text) || strlen(node->text) >= size) {
        yaml_error(reader->errors, node,
                   "'%.80s' is not an identifier; expected 1 to %zu of a-z, 0-9 with single "
                   "'-', '_' or '.' inside",
                   node->text, size - 1);
        return ERR_INVALID;
    }
    memcpy(ret_id, node->text, strlen(node->text) + 1);
    return 0;
}

static int read_text(const struct option_reader *reader, const struct option *option,
                     const struct yaml_node *node, char *ret_text) {
    if (option_expect(reader, node, YAML_SCALAR) != 0) {
        return ERR_INVALID;
    }
    size_t length = strlen(node->text);
    if (length == 0) {
        yaml_error(reader->errors, node, "no value; expected text, or leave the key out");
        return ERR_INVALID;
    }
    if (!text_is_utf8_line(node->text, length)) {
        yaml_error(reader->errors, node, "a line break or control character; expected one line");
        return ERR_INVALID;
    }
    if (length >= option->size) {
        yaml_error(reader->errors, node, "the text has %zu bytes; expected at most %zu", length,
                   option->size - 1);
        return ERR_INVALID;
    }
    if (option->type == OPTION_CREDENTIAL && strcmp(node->text, masked) == 0) {
        yaml_error(reader->errors, node,
                   "this name was masked in a dump; write the name of the credential file");
        return ERR_INVALID;
    }
    if (option->type == OPTION_CREDENTIAL && !text_is_id(node->text)) {
        yaml_error(reader->errors, node,
                   "not the name of a credential file (a-z, 0-9, '-', '_', '.'); a secret itself "
                   "must not stand here");
        return ERR_INVALID;
    }
    if (option->type == OPTION_UNIT && !units_valid(reader->units, node->text)) {
        yaml_error(reader->errors, node,
                   "'%.40s' is not a unit; expected UDUNITS-2 syntax as in "
                   "'m', 'mm/h', 'nSv/h'",
                   node->text);
        return ERR_INVALID;
    }
    memcpy(ret_text, node->text, length + 1);
    return 0;
}

static int read_choice(const struct option_reader *reader, const struct option *option,
                       const struct yaml_node *node, int64_t *ret_value) {
    char expected[240] = "";
    size_t used = 0;
    for (size_t i = 0; option->choices[i] != NULL && used < sizeof expected; i++) {
        int length = snprintf(expected + used, sizeof expected - used, "%s%s", i > 0 ? ", " : "",
                              option->choices[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    if (plain_scalar(reader, node, expected) != 0) {
        return ERR_INVALID;
    }
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], node->text) == 0) {
            *ret_value = (int64_t)i;
            return 0;
        }
    }
    yaml_error(reader->errors, node, "'%.80s' is unknown; expected one of: %s", node->text,
               expected);
    return ERR_INVALID;
}

static int read_time(const struct option_reader *reader, const struct yaml_node *node,
                     int64_t *ret_us) {
    if (plain_scalar(reader, node, "a time as in 2025-11-18T00:00:00Z") != 0) {
        return ERR_INVALID;
    }
    if (text_parse_time(node->text, ret_us) != 0) {
        yaml_error(reader->errors, node,
                   "'%.80s' is not a time with zone; expected as in 2025-11-18T00:00:00Z",
                   node->text);
        return ERR_INVALID;
    }
    return 0;
}

static void store_int(const struct option *option, void *member, int64_t value) {
    switch (option->size) {
    case 1:
        memcpy(member, &(uint8_t){(uint8_t)value}, 1);
        break;
    case 2:
        memcpy(member, &(uint16_t){(uint16_t)value}, 2);
        break;
    case 4:
        memcpy(member, &(uint32_t){(uint32_t)value}, 4);
        break;
    default:
        memcpy(member, &value, 8);
    }
}

static int64_t load_int(const struct option *option, const void *member) {
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        int64_t i64;
    } raw = {.i64 = 0};
    memcpy(&raw, member, option->size);
    bool negative = option->min < 0;
    switch (option->size) {
    case 1:
        return negative ? (int8_t)raw.u8 : raw.u8;
    case 2:
        return negative ? (int16_t)raw.u16 : raw.u16;
    case 4:
        return negative ? (int64_t)(int32_t)raw.u32 : (int64_t)raw.u32;
    default:
        return raw.i64;
    }
}

static bool in_object_unit(const struct option *option) {
    return option->type == OPTION_VALUE || option->type == OPTION_DIFFERENCE ||
           option->type == OPTION_RATE;
}

static bool is_double(const struct option *option) {
    return option->type == OPTION_NUMBER || option->type == OPTION_QUANTITY ||
           in_object_unit(option);
}

int option_read(const struct option_reader *reader, const struct option *option,
                const struct yaml_node *node, void *object) {
    char *member = (char *)object + option->offset;
    int result;
    int64_t whole = 0;
    double number = NAN;
    bool truth = false;
    switch (option->type) {
    case OPTION_BOOL:
        result = read_bool(reader, node, &truth);
        whole = truth;
        break;
    case OPTION_INT:
        result = read_int(reader, option, node, &whole);
        break;
    case OPTION_CHOICE:
        result = read_choice(reader, option, node, &whole);
        break;
    case OPTION_DURATION:
        result = read_duration(reader, option, node, &whole);
        break;
    case OPTION_TIME:
        result = read_time(reader, node, &whole);
        break;
    case OPTION_NUMBER:
        result = read_number(reader, option, node, &number);
        break;
    case OPTION_QUANTITY:
    case OPTION_VALUE:
    case OPTION_DIFFERENCE:
    case OPTION_RATE:
        result = read_quantity(reader, option, node, &number);
        break;
    case OPTION_ID:
        return read_id(reader, node, option->size, member);
    default:
        return read_text(reader, option, node, member);
    }
    if (result == 0 && is_double(option)) {
        memcpy(member, &number, sizeof number);
    } else if (result == 0) {
        store_int(option, member, whole);
    }
    return result;
}

/* Defaults are written as in a file and read by the same code; a fault in one is our bug and found
 * by the unit test that presets every group. */
static void preset_member(const struct option *option, void *object) {
    char *member = (char *)object + option->offset;
    const char *preset = option->preset;
    int64_t whole = 0;
    double number = NAN;
    bool truth = false;
    memset(member, 0, option->size);
    if (is_double(option)) {
        char text[NUMBER_SIZE] = "";
        /* "3.5 m" in the row's own unit: the number alone */
        (void)text_copy(text, sizeof text, preset != NULL ? preset : "");
        text[strcspn(text, " ")] = '\0';
        (void)text_parse_double(text, -INFINITY, INFINITY, &number); /* "": stays NaN */
        memcpy(member, &number, sizeof number);
        return;
    }
    if (preset == NULL) {
        return;
    }
    switch (option->type) {
    case OPTION_BOOL:
        (void)text_parse_bool(preset, &truth);
        whole = truth;
        break;
    case OPTION_INT:
        (void)text_parse_int(preset, INT64_MIN, INT64_MAX, &whole);
        break;
    case OPTION_DURATION:
        (void)text_parse_duration_us(preset, &whole);
        break;
    case OPTION_TIME:
        (void)text_parse_time(preset, &whole);
        break;
    case OPTION_CHOICE:
        for (size_t i = 0; option->choices[i] != NULL; i++) {
            whole = strcmp(option->choices[i], preset) == 0 ? (int64_t)i : whole;
        }
        break;
    default:
        (void)text_copy(member, option->size, preset);
        return;
    }
    store_int(option, member, whole);
}

void option_group_preset(const struct option_group *group, void *object) {
    for (size_t i = 0; i < group->count; i++) {
        if (group->options[i].type != OPTION_SECTION) {
            preset_member(&group->options[i], object);
        }
    }
}

static const struct option *find_option(const struct option_group *group, const char *name) {
    for (size_t i = 0; i < group->count; i++) {
        if (strcmp(group->options[i].name, name) == 0) {
            return &group->options[i];
        }
    }
    return NULL;
}

static int check_keys(const struct option_reader *reader, const struct option_group *group,
                      const struct yaml_node *map) {
    int result = 0;
    for (const struct yaml_node *node = map->first; node != NULL; node = node->next) {
        if (find_option(group, node->key) == NULL) {
            char known[240] = "";
            size_t used = 0;
            for (size_t i = 0; i < group->count && used < sizeof known; i++) {
                int length = snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                      group->options[i].name);
                used += length > 0 ? (size_t)length : 0;
            }
            yaml_error_key(reader->errors, node, "unknown key '%s'; expected one of: %s", node->key,
                           known);
            result = ERR_INVALID;
        }
    }
    for (size_t i = 0; i < group->count; i++) {
        const struct option *option = &group->options[i];
        if (option->preset == NULL && yaml_member(map, option->name) == NULL) {
            yaml_error(reader->errors, map, "the key '%s' is missing", option->name);
            result = ERR_INVALID;
        }
    }
    return result;
}

int option_group_read(const struct option_reader *reader, const struct option_group *group,
                      const struct yaml_node *map, void *object) {
    option_group_preset(group, object);
    if (option_expect(reader, map, YAML_MAP) != 0) {
        return ERR_INVALID;
    }
    int result = check_keys(reader, group, map);
    /* Values in the object's unit come last: the unit may stand behind them in the file. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < group->count; i++) {
            const struct option *option = &group->options[i];
            const struct yaml_node *node = yaml_member(map, option->name);
            bool last = in_object_unit(option);
            if (node == NULL || option->type == OPTION_SECTION || last != (pass == 1) ||
                (last && (reader->value_unit == NULL || reader->value_unit[0] == '\0'))) {
                continue;
            }
            if (option_read(reader, option, node, object) != 0) {
                result = ERR_INVALID;
            }
        }
    }
    return result;
}

void option_print_text(const char *text, FILE *file) {
    (void)fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            (void)fputc('\\', file);
        }
        (void)fputc(*text, file);
    }
    (void)fputc('"', file);
}

void option_print_number(double value, FILE *file) {
    char text[NUMBER_SIZE];
    if (value == nearbyint(value) && fabs(value) < 1e15) {
        (void)snprintf(text, sizeof text, "%.0f", value); /* 20 and not 2e+01 */
    } else {
        (void)text_format_double(value, text, sizeof text);
    }
    (void)fputs(text, file);
}

static void print_duration(int64_t us, FILE *file) {
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"d", INT64_C(86400000000)},
                 {"h", INT64_C(3600000000)},
                 {"min", 60000000},
                 {"s", 1000000},
                 {"ms", 1000}};
    size_t unit = us == 0 ? 3 : 0;
    while (unit < 4 && us % units[unit].us != 0) {
        unit++;
    }
    (void)fprintf(file, "%" PRId64 " %s", us / units[unit].us, units[unit].name);
}

static void print_member(const struct option *option, const char *member, const char *value_unit,
                         FILE *file) {
    double number;
    char time[40], rate_unit[RATE_UNIT_SIZE];
    switch (option->type) {
    case OPTION_BOOL:
        (void)fputs(load_int(option, member) != 0 ? "true" : "false", file);
        break;
    case OPTION_INT:
        (void)fprintf(file, "%" PRId64, load_int(option, member));
        break;
    case OPTION_CHOICE:
        (void)fputs(option->choices[load_int(option, member)], file);
        break;
    case OPTION_DURATION:
        print_duration(load_int(option, member), file);
        break;
    case OPTION_TIME:
        text_format_time(load_int(option, member), time, sizeof time);
        (void)fputs(time, file);
        break;
    case OPTION_NUMBER:
    case OPTION_QUANTITY:
    case OPTION_VALUE:
    case OPTION_DIFFERENCE:
    case OPTION_RATE:
        memcpy(&number, member, sizeof number);
        option_print_number(number, file);
        if (option->type != OPTION_NUMBER) {
            (void)fprintf(file, " %s", value_unit_of(option, value_unit, rate_unit));
        }
        break;
    case OPTION_ID:
        (void)fputs(member, file);
        break;
    default:
        option_print_text(member, file);
    }
}

void option_print_value(const struct option *option, const void *value, FILE *file) {
    print_member(option, value, "", file);
}

static bool is_set(const struct option *option, const char *member) {
    bool quiet = (option->flags & OPTION_QUIET) != 0;
    if (is_double(option)) {
        double number;
        memcpy(&number, member, sizeof number);
        return isfinite(number) && !(quiet && number == 0);
    }
    switch (option->type) {
    case OPTION_SECTION:
        return false;
    case OPTION_TIME:
        return load_int(option, member) != 0 || option->preset == NULL;
    case OPTION_ID:
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_UNIT:
    case OPTION_CREDENTIAL:
        return member[0] != '\0';
    default:
        return !quiet || load_int(option, member) != 0;
    }
}

void option_group_print(const struct option_group *group, const void *object,
                        const char *value_unit, unsigned indent, const char *first, FILE *file) {
    for (size_t i = 0; i < group->count; i++) {
        const struct option *option = &group->options[i];
        const char *member = (const char *)object + option->offset;
        if (!is_set(option, member)) {
            continue;
        }
        if (first != NULL) {
            (void)fputs(first, file);
            first = NULL;
        } else {
            (void)fprintf(file, "%*s", (int)indent, "");
        }
        (void)fprintf(file, "%s: ", option->name);
        if ((option->flags & OPTION_SECRET) != 0) {
            (void)fputs(masked, file);
        } else {
            print_member(option, member, value_unit, file);
        }
        (void)fputc('\n', file);
    }
}

void option_group_reference(const struct option_group *group, FILE *file) {
    static const char *const types[] = {"true or false",
                                        "whole number",
                                        "number",
                                        "quantity",
                                        "value in the object's unit",
                                        "difference in the object's unit",
                                        "change of the object's unit per time",
                                        "duration",
                                        "time",
                                        "identifier",
                                        "text",
                                        "path",
                                        "unit",
                                        "credential name",
                                        "choice",
                                        "section"};
    (void)fprintf(file, "%s\n    %s\n", group->path, group->help);
    for (size_t i = 0; i < group->count; i++) {
        const struct option *option = &group->options[i];
        char bounds[120];
        format_bounds(option,
                      option->type == OPTION_QUANTITY   ? option->unit
                      : option->type == OPTION_DURATION ? "s"
                                                        : "",
                      bounds, sizeof bounds);
        (void)fprintf(file, "\n    %s: %s%s", option->name, types[option->type], bounds);
        if (option->type == OPTION_CHOICE) {
            for (size_t c = 0; option->choices[c] != NULL; c++) {
                (void)fprintf(file, "%s%s", c > 0 ? " | " : " ", option->choices[c]);
            }
        }
        if (option->preset == NULL) {
            (void)fputs("; mandatory", file);
        } else if (option->preset[0] != '\0') {
            (void)fprintf(file, "; default %s", option->preset);
        } else {
            (void)fputs("; optional", file);
        }
        (void)fprintf(file, "%s\n        %s\n",
                      (option->flags & OPTION_SECRET) != 0 ? "; secret" : "", option->help);
    }
    (void)fputc('\n', file);
}
