#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_lang.h"
#include "daemon/control/ctl_link.h"
#include "daemon/control/ctl_tools.h"
#include "daemon/control/ctl_usage.h"

/* ECMA-48: everything away, to the first place. */
#define SCREEN_CLEAR "\033[2J\033[H"

#define WATCH_US_DEFAULT INT64_C(1000000)
#define WATCH_US_MIN     INT64_C(10000)

enum {
    PROBE_COUNT_DEFAULT = 16,
    UNIT_LAST = 247,
    EXCEPTION_NO_PATH = 10,
    EXCEPTION_NO_TARGET = 11
};

static int option_int(const char *name, const char *text, int64_t min, int64_t max,
                      int64_t *ret_value) {
    if (text != NULL && text_parse_int(text, min, max, ret_value) != 0) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "%s %d - %d", ctl_tr("a whole number"), (int)min,
                       (int)max);
        return ctl_expected(name, expected, text);
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
        printf("%c%5d  %d\n", json_is_true(json_object_get(bit, "changed")) ? '>' : ' ',
               (int)json_integer_value(json_object_get(bit, "address")),
               (int)json_integer_value(json_object_get(bit, "value")));
    }
}

/* A probe and what its last answer was, so that changes are seen. */
struct probe {
    struct ctl_link link;
    struct modbus_request request;
    const char *place;
    const struct tool_options *options;
    bool swapped;         /* of the text, with options->string */
    int64_t round, limit; /* limit 0: none */
    int64_t every_us;
    bool heard; /* `last` is an answer */
    uint8_t last[MODBUS_PDU_MAX];
};

/* What is at one place of the answer has another value than in the last answer. */
static bool is_changed(const struct probe *probe, const uint8_t *data, size_t place) {
    if (modbus_table_is_bits(probe->request.table)) {
        return ((data[place / 8] ^ probe->last[place / 8]) >> place % 8 & 1) != 0;
    }
    return memcmp(data + 2 * place, probe->last + 2 * place, 2) != 0;
}

/* A text, or a list of places; from the second answer on with what changed. */
static json_t *answer_values(const struct probe *probe, const uint8_t *data) {
    const struct modbus_request *request = &probe->request;
    json_t *values, *place;
    size_t index;
    if (probe->options->string != NULL) {
        values = ctl_string(data, request->count, probe->swapped);
        if (probe->heard) {
            bool changed = memcmp(data, probe->last, modbus_data_size(request)) != 0;
            json_object_set_new(values, "changed", json_boolean(changed));
        }
        return values;
    }
    values = modbus_table_is_bits(request->table)
                 ? bits_value(request->start, data, request->count)
                 : ctl_candidates(request->start, data, request->count);
    json_array_foreach(values, index, place) {
        if (probe->heard) {
            json_object_set_new(place, "changed", json_boolean(is_changed(probe, data, index)));
        }
    }
    return values;
}

static void print_json(const struct probe *probe, json_t *values, double round_trip_ms) {
    const char *key = probe->options->string != NULL               ? "string"
                      : modbus_table_is_bits(probe->request.table) ? "bits"
                                                                   : "registers";
    json_t *all = json_pack("{s:i,s:s,s:f,s:O}", "unit", (int)probe->request.unit, "table",
                            modbus_table_name(probe->request.table), "round_trip_ms", round_trip_ms,
                            key, values);
    if (probe->options->watch) {
        json_object_set_new(all, "round", json_integer(probe->round));
    }
    ctl_json_print(all);
    json_decref(all);
}

static void print_values(const struct probe *probe, const json_t *values, double round_trip_ms) {
    bool watch = probe->options->watch;
    if (watch) {
        printf("%s%s %d: ", isatty(STDOUT_FILENO) == 1 ? SCREEN_CLEAR : "", ctl_tr("round"),
               (int)probe->round);
    }
    printf("%s %d, %s, %s %.1f ms\n", ctl_tr("unit"), probe->request.unit,
           modbus_table_name(probe->request.table), ctl_tr("answered in"), round_trip_ms);
    if (probe->options->string != NULL) {
        ctl_string_print(values, stdout);
    } else if (modbus_table_is_bits(probe->request.table)) {
        print_bits(values);
    } else {
        ctl_candidates_print(values, false, stdout);
    }
    if (watch) {
        printf("(> %s)\n", ctl_tr("changed since the last answer"));
    }
}

/* One reading. EXIT_FAILED without an answer, and for an answer that is not the text asked for. */
static int probe_once(struct probe *probe) {
    uint8_t data[MODBUS_PDU_MAX];
    probe->round++;
    if (ctl_link_read(&probe->link, probe->request, data) != 0) {
        ctl_error("%s: unit %d: %s", probe->place, probe->request.unit, probe->link.why);
        if (probe->options->json) {
            json_t *failed =
                json_pack("{s:i,s:s}", "unit", (int)probe->request.unit, "error", probe->link.why);
            if (probe->options->watch) {
                json_object_set_new(failed, "round", json_integer(probe->round));
            }
            ctl_json_print(failed);
            json_decref(failed);
        }
        return EXIT_FAILED;
    }
    double round_trip_ms = (double)probe->link.round_trip_us / 1000;
    json_t *values = answer_values(probe, data);
    if (probe->options->json) {
        print_json(probe, values, round_trip_ms);
    } else {
        print_values(probe, values, round_trip_ms);
    }
    bool is_good = !json_is_string(json_object_get(values, "fault"));
    json_decref(values);
    memcpy(probe->last, data, modbus_data_size(&probe->request));
    probe->heard = true;
    return is_good ? EXIT_DONE : EXIT_FAILED;
}

/* Until a signal of `stop` (blocked) comes or the rounds are done; a round that fails does not end
 * it, but the last one gives the exit code. */
static int probe_watch(struct probe *probe, const sigset_t *stop) {
    const struct timespec pause = {.tv_sec = probe->every_us / 1000000,
                                   .tv_nsec = probe->every_us % 1000000 * 1000};
    for (;;) {
        int result = probe_once(probe);
        if (fflush(stdout) != 0 || probe->round == probe->limit ||
            sigtimedwait(stop, NULL, &pause) > 0) {
            return result;
        }
    }
}

static int read_watch(const struct tool_options *options, struct probe *probe) {
    probe->every_us = WATCH_US_DEFAULT;
    if (!options->watch) {
        return EXIT_DONE;
    }
    if (options->every != NULL && (text_parse_duration_us(options->every, &probe->every_us) != 0 ||
                                   probe->every_us < WATCH_US_MIN)) {
        return ctl_expected("--watch", "a duration of 10 ms or more", options->every);
    }
    return option_int("--limit", options->rounds, 1, INT32_MAX, &probe->limit);
}

/* What to ask for. 0 or EXIT_USAGE, told already. */
static int read_request(char **arguments, const struct tool_options *options, struct probe *probe) {
    int64_t unit = 0, from = 0, registers = PROBE_COUNT_DEFAULT;
    struct modbus_request *request = &probe->request;
    request->table = MODBUS_HOLDING;
    if (options->table != NULL && modbus_table_parse(options->table, &request->table) != 0) {
        return ctl_expected("--table", "coil, discrete, holding or input", options->table);
    }
    if (option_int("UNIT", arguments[1], 0, 255, &unit) != 0 ||
        option_int("--from", options->from, 0, 65535, &from) != 0 ||
        option_int("--count", options->count, 1, modbus_table_read_max(request->table),
                   &registers) != 0) {
        return EXIT_USAGE;
    }
    if (from + registers > 65536) {
        return ctl_wrong("--from and --count reach beyond address 65535");
    }
    if (options->string != NULL && modbus_table_is_bits(request->table)) {
        return ctl_wrong("--string: only holding and input registers hold a text");
    }
    request->unit = (uint8_t)unit;
    request->start = (uint16_t)from;
    request->count = (uint16_t)registers;
    return options->string != NULL ? ctl_string_option(options->string, &probe->swapped)
                                   : EXIT_DONE;
}

int ctl_probe(char **arguments, int count, const struct tool_options *options) {
    struct probe probe = {.options = options};
    sigset_t stop;
    if (count != 2) {
        return ctl_usage("probe HOST[:PORT]|/DEVICE UNIT");
    }
    probe.place = arguments[0];
    int result = read_request(arguments, options, &probe);
    result = result == EXIT_DONE ? read_watch(options, &probe) : result;
    (void)sigemptyset(&stop);
    if (result == EXIT_DONE && options->watch) {
        /* A round that has begun is finished; the thread of a serial line inherits the mask. */
        (void)sigaddset(&stop, SIGINT);
        (void)sigaddset(&stop, SIGTERM);
        (void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
    }
    result = result == EXIT_DONE ? ctl_link_init(&probe.link, arguments[0], options) : result;
    if (result != EXIT_DONE) {
        return result;
    }
    result = options->watch ? probe_watch(&probe, &stop) : probe_once(&probe);
    ctl_link_finish(&probe.link);
    return result;
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
    return ctl_expected("--units", "such as 1-32 within 0 to 255", text);
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
        return ctl_usage("scan HOST[:PORT]|/DEVICE");
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
                char what[LINK_WHY_SIZE];
                ctl_translate(json_string_value(json_object_get(answer, "answer")), what,
                              sizeof what);
                printf("%s%s %d: %s, %.1f ms\n", progress ? "\r" : "", ctl_tr("unit"), (int)unit,
                       what, json_number_value(json_object_get(answer, "round_trip_ms")));
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
        ctl_error("%s: %s", arguments[0], link.why);
    }
    if (options->json) {
        ctl_json_print(found);
    }
    result = json_array_size(found) > 0 ? EXIT_DONE : EXIT_FAILED;
    json_decref(found);
    ctl_link_finish(&link);
    return result;
}
