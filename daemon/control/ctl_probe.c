#include <string.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "daemon/control/ctl_lang.h"
#include "daemon/control/ctl_link.h"
#include "daemon/control/ctl_tools.h"

enum {
    PROBE_COUNT_DEFAULT = 16,
    UNIT_LAST = 247,
    EXCEPTION_NO_PATH = 10,
    EXCEPTION_NO_TARGET = 11
};

static int option_int(const char *name, const char *text, int64_t min, int64_t max,
                      int64_t *ret_value) {
    if (text != NULL && text_parse_int(text, min, max, ret_value) != 0) {
        fprintf(stderr, "canhbaoctl: %s: expected a whole number from %d to %d, got '%s'\n", name,
                (int)min, (int)max, text);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

/* Bits: a list of {address, value}. */
static json_t *bits_value(uint16_t start, const uint8_t *data, unsigned count) {
    json_t *list = json_array();
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(list, json_pack("{s:i,s:i}", "address", (int)(start + i), "value",
                                              data[i / 8] >> i % 8 & 1));
    }
    return list;
}

static void print_bits(const json_t *list) {
    size_t index;
    json_t *bit;
    json_array_foreach(list, index, bit) {
        printf("%5d  %d\n", (int)json_integer_value(json_object_get(bit, "address")),
               (int)json_integer_value(json_object_get(bit, "value")));
    }
}

static void show_probe(const struct ctl_link *link, const struct modbus_request *request,
                       const uint8_t *data, bool as_json) {
    bool bits = modbus_table_is_bits(request->table);
    json_t *values = bits ? bits_value(request->start, data, request->count)
                          : ctl_candidates(request->start, data, request->count);
    double round_trip_ms = (double)link->round_trip_us / 1000;
    json_t *all = json_pack("{s:i,s:s,s:f,s:o}", "unit", (int)request->unit, "table",
                            modbus_table_name(request->table), "round_trip_ms", round_trip_ms,
                            bits ? "bits" : "registers", values);
    if (as_json) {
        ctl_json_print(all);
    } else {
        printf("%s %d, %s, %s %.1f ms\n", ctl_tr("unit"), request->unit,
               modbus_table_name(request->table), ctl_tr("answered in"), round_trip_ms);
        if (bits) {
            print_bits(values);
        } else {
            ctl_candidates_print(values, false, stdout);
        }
    }
    json_decref(all);
}

int ctl_probe(char **arguments, int count, const struct tool_options *options) {
    int64_t unit = 0, from = 0, registers = PROBE_COUNT_DEFAULT;
    struct ctl_link link;
    struct modbus_request request = {.table = MODBUS_HOLDING};
    uint8_t data[MODBUS_PDU_MAX];
    if (count != 2) {
        fputs("canhbaoctl: usage: canhbaoctl probe HOST[:PORT]|/DEVICE UNIT\n", stderr);
        return EXIT_USAGE;
    }
    if (options->table != NULL && modbus_table_parse(options->table, &request.table) != 0) {
        fprintf(stderr,
                "canhbaoctl: --table: expected coil, discrete, holding or input, got '%s'\n",
                options->table);
        return EXIT_USAGE;
    }
    if (option_int("UNIT", arguments[1], 0, 255, &unit) != 0 ||
        option_int("--from", options->from, 0, 65535, &from) != 0 ||
        option_int("--count", options->count, 1, modbus_table_read_max(request.table),
                   &registers) != 0) {
        return EXIT_USAGE;
    }
    if (from + registers > 65536) {
        fputs("canhbaoctl: --from and --count reach beyond address 65535\n", stderr);
        return EXIT_USAGE;
    }
    int result = ctl_link_init(&link, arguments[0], options);
    if (result != EXIT_DONE) {
        return result;
    }
    request.unit = (uint8_t)unit;
    request.start = (uint16_t)from;
    request.count = (uint16_t)registers;
    int code = ctl_link_read(&link, request, data);
    if (code == 0) {
        show_probe(&link, &request, data, options->json);
    } else {
        fprintf(stderr, "canhbaoctl: %s: unit %d: %s\n", arguments[0], (int)unit, link.why);
    }
    ctl_link_finish(&link);
    return code == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* ---- scan ---- */

/* "1-32" or "7". */
static int read_units(const char *text, int64_t *ret_first, int64_t *ret_last) {
    char first[8];
    const char *dash = text != NULL ? strchr(text, '-') : NULL;
    *ret_first = 1;
    *ret_last = UNIT_LAST;
    if (text == NULL) {
        return EXIT_DONE;
    }
    size_t length = dash != NULL ? (size_t)(dash - text) : strlen(text);
    if (length < sizeof first) {
        memcpy(first, text, length);
        first[length] = '\0';
        if (text_parse_int(first, 0, 255, ret_first) == 0 &&
            text_parse_int(dash != NULL ? dash + 1 : first, *ret_first, 255, ret_last) == 0) {
            return EXIT_DONE;
        }
    }
    fprintf(stderr, "canhbaoctl: --units: expected such as 1-32 within 0 to 255, got '%s'\n", text);
    return EXIT_USAGE;
}

/* A unit answers with a value, and also with an exception of its own: it is there. */
static json_t *scan_unit(struct ctl_link *link, uint8_t unit, int *ret_code) {
    const struct modbus_request request = {.unit = unit, .table = MODBUS_HOLDING, .count = 1};
    uint8_t data[MODBUS_PDU_MAX];
    int code = ctl_link_read(link, request, data);
    bool gateway = code == ERR_UNSUPPORTED &&
                   (link->exception == EXCEPTION_NO_PATH || link->exception == EXCEPTION_NO_TARGET);
    *ret_code = code;
    if ((code != 0 && code != ERR_UNSUPPORTED) || gateway) {
        return NULL;
    }
    return json_pack("{s:i,s:f,s:s}", "unit", (int)unit, "round_trip_ms",
                     (double)link->round_trip_us / 1000, "answer",
                     code == 0 ? "holding register 0" : link->why);
}

int ctl_scan(char **arguments, int count, const struct tool_options *options) {
    int64_t first, last;
    struct ctl_link link;
    if (count != 1) {
        fputs("canhbaoctl: usage: canhbaoctl scan HOST[:PORT]|/DEVICE\n", stderr);
        return EXIT_USAGE;
    }
    int result = read_units(options->units, &first, &last);
    if (result == EXIT_DONE) {
        result = ctl_link_init(&link, arguments[0], options);
    }
    if (result != EXIT_DONE) {
        return result;
    }
    json_t *found = json_array();
    bool progress = isatty(STDERR_FILENO);
    for (int64_t unit = first; unit <= last; unit++) {
        int code;
        if (progress) {
            fprintf(stderr, "\r%s %d (%d - %d), %zu %s ", ctl_tr("unit"), (int)unit, (int)first,
                    (int)last, json_array_size(found), ctl_tr("found"));
        }
        json_t *answer = scan_unit(&link, (uint8_t)unit, &code);
        if (answer != NULL) {
            if (!options->json) {
                printf("%s%s %d: %s, %.1f ms\n", progress ? "\r" : "", ctl_tr("unit"), (int)unit,
                       json_string_value(json_object_get(answer, "answer")),
                       json_number_value(json_object_get(answer, "round_trip_ms")));
                (void)fflush(stdout);
            }
            json_array_append_new(found, answer);
        } else if (code == ERR_CLOSED && !link.connected) {
            break; /* nobody is there: the other units would not be either */
        }
    }
    fprintf(stderr, "%s%zu %s\n", progress ? "\r" : "", json_array_size(found),
            ctl_tr("units answer"));
    if (json_array_size(found) == 0 && link.why[0] != '\0') {
        fprintf(stderr, "canhbaoctl: %s: %s\n", arguments[0], link.why);
    }
    if (options->json) {
        ctl_json_print(found);
    }
    result = json_array_size(found) > 0 ? EXIT_DONE : EXIT_FAILED;
    json_decref(found);
    ctl_link_finish(&link);
    return result;
}
