#include "daemon/control/ctl_field.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "daemon/config/quantity.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_lang.h"
#include "daemon/control/ctl_tools.h"
#include "daemon/control/ctl_usage.h"
#include "daemon/station/units.h"

#define NUMBER_MAX            1e9
#define BUCKET_TOLERANCE      0.05 /* of the poured depth */
#define BUCKET_FOR_US_DEFAULT (INT64_C(30) * 60 * 1000000)
enum { BUCKET_WAIT_S = 1 };

static int read_number(const char *what, const char *text, double *ret_number) {
    if (text_parse_double(text, -NUMBER_MAX, NUMBER_MAX, ret_number) != 0) {
        return ctl_expected(what, "a number with a decimal point", text);
    }
    return EXIT_DONE;
}

/* An option with a number into a member of the request's "field". */
static int put_number(json_t *field, const char *key, const char *option, const char *text) {
    double number;
    if (text == NULL) {
        return EXIT_DONE;
    }
    int result = read_number(option, text, &number);
    if (result == EXIT_DONE) {
        json_object_set_new(field, key, json_real(number));
    }
    return result;
}

static int put_text(json_t *object, const char *key, const char *text) {
    if (text != NULL && json_object_set_new(object, key, json_string(text)) != 0) {
        ctl_error("%s: not valid UTF-8", key);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int put_at(json_t *field, const char *text) {
    char now[32];
    struct timespec time;
    int64_t us;
    if (text != NULL && text_parse_time(text, &us) != 0) {
        return ctl_expected("--at", "a time such as 2025-11-19T06:00:00+07:00", text);
    }
    if (text == NULL) {
        (void)clock_gettime(CLOCK_REALTIME, &time); /* cannot fail */
        text_format_time((int64_t)time.tv_sec * 1000000, now, sizeof now);
        text = now;
    }
    json_object_set_new(field, "at", json_string(text));
    return EXIT_DONE;
}

/* --for or --until; `preset_us` 0: one of them must be given. */
static int put_end(json_t *request, const struct field_options *options, int64_t preset_us) {
    int64_t us = preset_us;
    if (options->until != NULL) {
        return put_text(request, "until", options->until);
    }
    if (options->duration != NULL &&
        (text_parse_duration_us(options->duration, &us) != 0 || us < 1000000)) {
        return ctl_expected("--for", "a duration such as '2 h'", options->duration);
    }
    if (us == 0) {
        return ctl_wrong("an end is needed: --for or --until");
    }
    json_object_set_new(request, "for_s", json_integer(us / 1000000));
    return EXIT_DONE;
}

/* A request with its place, point (may be NULL) and reason. NULL: told already. */
static json_t *request_of(const char *verb, const char *station, const char *point,
                          const struct field_options *options) {
    json_t *request = json_pack("{s:s}", "do", verb);
    if (put_text(request, "place", station) != EXIT_DONE ||
        put_text(request, "point", point) != EXIT_DONE ||
        put_text(request, "reason", options->reason) != EXIT_DONE) {
        json_decref(request);
        return NULL;
    }
    return request;
}

/* ---- showing ---- */

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

static void print_local(const char *label, const json_t *object, const char *key) {
    char buffer[32];
    int64_t us;
    const char *text = text_of(object, key);
    if (text_parse_time(text, &us) == 0) {
        text_format_local(us, 420, buffer, sizeof buffer);
        printf("  %s: %s ICT\n", ctl_tr(label), buffer);
    }
}

static void print_number(const char *label, const json_t *object, const char *key,
                         const char *unit) {
    const json_t *value = json_object_get(object, key);
    if (json_is_number(value)) {
        printf("  %s: %.6g %s\n", ctl_tr(label), json_number_value(value), unit);
    } else {
        printf("  %s: %s\n", ctl_tr(label), ctl_tr("unknown"));
    }
}

static void print_calibration(const json_t *record, const char *unit) {
    size_t index;
    json_t *point;
    print_local("applies from", record, "applies_from");
    json_array_foreach(json_object_get(record, "points"), index, point) {
        print_number("before (shown)", point, "shown", unit);
        print_number("after (reference)", point, "reference", unit);
    }
    print_number("gain", record, "gain", "");
    print_number("offset", record, "offset", unit);
}

static void print_spot(const json_t *record, const char *unit) {
    print_number("read by hand", record, "read_by_hand", unit);
    if (json_is_number(json_object_get(record, "logged"))) {
        print_number("logged", record, "logged", unit);
        print_number("difference", record, "difference", unit);
    } else {
        printf("  %s\n", ctl_tr("nothing was logged at that minute"));
    }
    print_number("tolerance", record, "tolerance", unit);
}

static void print_bucket(const json_t *record) {
    print_number("poured", record, "poured_mm", "mm");
    print_number("counted", record, "counted_mm", "mm");
    print_number("tips", record, "tips", "");
    printf("  %s: %.2f %%\n", ctl_tr("error"),
           100 * json_number_value(json_object_get(record, "error")));
    print_number("estimated depth of a tip", record, "estimated_tip_mm", "mm");
}

static void print_record(const json_t *record) {
    const char *kind = text_of(record, "kind");
    const char *unit = text_of(record, "unit");
    const json_t *passed = json_object_get(record, "passed");
    const json_t *revoked = json_object_get(record, "revoked");
    printf("%s %lld: %s %s.%s\n", ctl_tr("record"),
           (long long)json_integer_value(json_object_get(record, "record")), ctl_tr(kind),
           text_of(record, "station"), text_of(record, "point"));
    print_local("record", record, "time");
    printf("  %s: %s   %s: %s\n", ctl_tr("by"), text_of(record, "actor"), ctl_tr("instrument"),
           text_of(record, "instrument"));
    if (strcmp(kind, "calibrate") == 0) {
        print_calibration(record, unit);
    } else if (strcmp(kind, "spot") == 0) {
        print_spot(record, unit);
    } else {
        print_bucket(record);
    }
    if (text_of(record, "comment")[0] != '\0') {
        printf("  %s: %s\n", ctl_tr("reason"), text_of(record, "comment"));
    }
    if (json_is_boolean(passed)) {
        printf("  %s\n", ctl_tr(json_is_true(passed) ? "passed" : "NOT passed"));
    }
    if (json_is_object(revoked)) {
        print_local("revoked", revoked, "time");
        printf("  %s: %s   %s: %s\n", ctl_tr("by"), text_of(revoked, "actor"), ctl_tr("reason"),
               text_of(revoked, "reason"));
    }
}

/* Asks, shows the record that came of it; a test that is not passed is a failure. */
static int ask_record(ctl_ask_fn *ask, void *ctx, json_t *request, bool as_json) {
    json_t *data = NULL;
    int result = ask(ctx, request, &data);
    if (result == EXIT_DONE) {
        const json_t *record = json_object_get(data, "record");
        if (as_json) {
            ctl_json_print(record);
        } else {
            print_record(record);
        }
        const json_t *passed = json_object_get(record, "passed"); /* null: it cannot be judged */
        result = json_is_false(passed) || json_is_null(passed) ? EXIT_FAILED : EXIT_DONE;
    }
    json_decref(data);
    return result;
}

/* ---- maintenance ---- */

static int run_maintenance(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
                           const struct field_options *options) {
    static const char usage[] = "maintenance on STATION --for DURATION --reason TEXT | "
                                "maintenance off STATION";
    bool on = count == 2 && strcmp(arguments[0], "on") == 0;
    json_t *data = NULL;
    if (count != 2 || (!on && strcmp(arguments[0], "off") != 0) ||
        (on && options->reason == NULL)) {
        return ctl_usage(usage);
    }
    json_t *request =
        request_of(on ? "maintenance" : "end-maintenance", arguments[1], NULL, options);
    int result = request != NULL ? EXIT_DONE : EXIT_USAGE;
    if (result == EXIT_DONE && on) {
        result = put_end(request, options, 0);
    }
    if (result != EXIT_DONE) {
        json_decref(request);
        return result;
    }
    result = ask(ctx, request, &data);
    if (result == EXIT_DONE && options->json) {
        ctl_json_print(data);
    } else if (result == EXIT_DONE) {
        printf("%s: %s%s%s\n", arguments[1],
               ctl_tr(on ? "under maintenance" : "maintenance has ended"), on ? ", " : "",
               on ? (options->duration != NULL ? options->duration : options->until) : "");
    }
    json_decref(data);
    return result;
}

/* ---- spot ---- */

/* The newest state of a point: {"quantity", "unit", "asked", ...}. A new reference, or NULL. */
static json_t *point_of(ctl_ask_fn *ask, void *ctx, const char *station, const char *point,
                        int *ret_result) {
    json_t *data = NULL, *found = NULL, *entry;
    size_t index;
    json_t *request = json_pack("{s:s,s:s}", "do", "stations", "station", station);
    *ret_result = request != NULL ? ask(ctx, request, &data) : EXIT_USAGE;
    json_array_foreach(json_object_get(json_array_get(data, 0), "points"), index, entry) {
        if (strcmp(text_of(entry, "id"), point) == 0) {
            found = json_incref(entry);
        }
    }
    if (*ret_result == EXIT_DONE && found == NULL) {
        ctl_error("%s has no point '%s'", station, point);
        *ret_result = EXIT_FAILED;
    }
    json_decref(data);
    return found;
}

/* The quantity's own tolerance in the unit of the point; 0: it has none. */
static double tolerance_of(const json_t *point) {
    const struct quantity *quantity = quantity_find(text_of(point, "quantity"));
    struct units *units = NULL;
    struct err err;
    double tolerance = 0;
    if (quantity != NULL && quantity->spot_tolerance > 0 && units_create(&units, &err) == 0) {
        (void)units_convert_difference(units, quantity->spot_tolerance, quantity->unit,
                                       text_of(point, "unit"), &tolerance); /* 0 where not */
        (void)units_destroy(units);
    }
    return tolerance;
}

static int run_spot(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
                    const struct field_options *options) {
    double value, tolerance;
    int result;
    if (count != 3) {
        return ctl_usage("spot STATION POINT VALUE [--at TIME] [--tolerance N] "
                         "[--instrument TEXT]");
    }
    if (read_number("VALUE", arguments[2], &value) != EXIT_DONE) {
        return EXIT_USAGE;
    }
    json_t *point = point_of(ask, ctx, arguments[0], arguments[1], &result);
    if (point == NULL) {
        return result;
    }
    tolerance = tolerance_of(point);
    json_decref(point);
    if (options->tolerance == NULL && tolerance == 0) {
        return ctl_wrong("this quantity has no tolerance of its own: give --tolerance");
    }
    json_t *field = json_pack("{s:[f],s:f}", "reference", value, "tolerance", tolerance);
    json_t *request = request_of("spot", arguments[0], arguments[1], options);
    if (request == NULL || put_at(field, options->at) != EXIT_DONE ||
        put_text(field, "instrument", options->instrument) != EXIT_DONE ||
        put_number(field, "tolerance", "--tolerance", options->tolerance) != EXIT_DONE) {
        json_decref(request);
        json_decref(field);
        return EXIT_USAGE;
    }
    json_object_set_new(request, "field", field);
    return ask_record(ask, ctx, request, options->json);
}

/* ---- calibrate, revoke, records ---- */

static int run_calibrate(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
                         const struct field_options *options) {
    double numbers[4];
    if (count != 6 || options->instrument == NULL || options->reason == NULL) {
        return ctl_usage("calibrate STATION POINT SHOWN1 REFERENCE1 SHOWN2 REFERENCE2 "
                         "--instrument TEXT --reason TEXT [--at TIME]");
    }
    for (int i = 0; i < 4; i++) {
        if (read_number("SHOWN, REFERENCE", arguments[2 + i], &numbers[i]) != EXIT_DONE) {
            return EXIT_USAGE;
        }
    }
    json_t *field = json_pack("{s:[f,f],s:[f,f]}", "shown", numbers[0], numbers[2], "reference",
                              numbers[1], numbers[3]);
    json_t *request = request_of("calibrate", arguments[0], arguments[1], options);
    if (request == NULL || put_at(field, options->at) != EXIT_DONE ||
        put_text(field, "instrument", options->instrument) != EXIT_DONE) {
        json_decref(request);
        json_decref(field);
        return EXIT_USAGE;
    }
    json_object_set_new(request, "field", field);
    return ask_record(ask, ctx, request, options->json);
}

static int run_revoke(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
                      const struct field_options *options) {
    int64_t record;
    if (count != 3 || options->reason == NULL ||
        text_parse_int(arguments[2], 1, INT64_MAX, &record) != 0) {
        return ctl_usage("revoke STATION POINT RECORD --reason TEXT");
    }
    json_t *request = request_of("revoke", arguments[0], arguments[1], options);
    json_t *data = NULL;
    if (request == NULL) {
        return EXIT_USAGE;
    }
    json_object_set_new(request, "field", json_pack("{s:I}", "record", (json_int_t)record));
    int result = ask(ctx, request, &data);
    if (result == EXIT_DONE && options->json) {
        ctl_json_print(json_object_get(data, "record"));
    } else if (result == EXIT_DONE) {
        print_record(json_object_get(data, "record"));
    }
    json_decref(data);
    return result;
}

static int run_records(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
                       const struct field_options *options) {
    json_t *data = NULL, *record;
    size_t index;
    if (count != 1) {
        return ctl_usage("records STATION");
    }
    json_t *request = json_pack("{s:s,s:s}", "do", "records", "station", arguments[0]);
    int result = request != NULL ? ask(ctx, request, &data) : EXIT_USAGE;
    if (result == EXIT_DONE && options->json) {
        ctl_json_print(data);
    } else if (result == EXIT_DONE) {
        json_array_foreach(data, index, record) {
            print_record(record);
        }
        if (json_array_size(data) == 0) {
            puts(ctl_tr("no records"));
        }
    }
    json_decref(data);
    return result;
}

/* ---- bucket test ---- */

/* Waits until the bucket was read after now, so that the last tips are counted. */
static int wait_for_reading(ctl_ask_fn *ask, void *ctx, char **arguments) {
    char before[40] = "";
    fprintf(stderr, "%s", ctl_tr("waiting for the next reading of the bucket"));
    for (int result, turn = 0;; turn++) {
        json_t *point = point_of(ask, ctx, arguments[0], arguments[1], &result);
        if (point == NULL) {
            return result;
        }
        const char *asked = text_of(point, "asked");
        bool newer =
            turn > 0 && strcmp(asked, before) != 0 && strcmp(text_of(point, "status"), "ok") == 0;
        if (turn == 0) {
            (void)snprintf(before, sizeof before, "%s", asked);
        }
        json_decref(point);
        fputc(newer ? '\n' : '.', stderr);
        if (newer) {
            return EXIT_DONE;
        }
        sleep(BUCKET_WAIT_S);
    }
}

/* True: Enter; false: the end of the input, the test is given up. */
static bool wait_for_person(void) {
    int character;
    fprintf(stderr, "%s\n",
            ctl_tr("the test runs: pour now, slowly; press Enter after the last tip, Ctrl-D gives "
                   "up"));
    do {
        character = getchar();
    } while (character != '\n' && character != EOF);
    return character == '\n';
}

static int end_bucket(ctl_ask_fn *ask, void *ctx, char **arguments, json_t *field,
                      const struct field_options *options) {
    int result = EXIT_FAILED;
    bool done = wait_for_person();
    json_t *request = request_of("end-bucket-test", arguments[0], arguments[1], options);
    json_t *data = NULL;
    if (done) {
        result = wait_for_reading(ask, ctx, arguments);
        json_object_set(request, "field", field);
        return result == EXIT_DONE ? ask_record(ask, ctx, request, options->json) : result;
    }
    result = ask(ctx, request, &data);
    json_decref(data);
    fprintf(stderr, "%s\n", ctl_tr("the test was given up; its tips are no rain"));
    return result == EXIT_DONE ? EXIT_FAILED : result;
}

static int run_bucket_test(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
                           const struct field_options *options) {
    if (count != 2 || options->volume == NULL || options->area == NULL || options->tip == NULL) {
        return ctl_usage("bucket-test STATION POINT --volume ML --area CM2 --tip MM "
                         "[--tolerance SHARE] [--for DURATION] [--instrument TEXT]");
    }
    json_t *field = json_pack("{s:f}", "tolerance", BUCKET_TOLERANCE);
    json_t *request = request_of("bucket-test", arguments[0], arguments[1], options);
    json_t *data = NULL;
    int result = request != NULL ? EXIT_DONE : EXIT_USAGE;
    if (result == EXIT_DONE &&
        (put_number(field, "volume_ml", "--volume", options->volume) != EXIT_DONE ||
         put_number(field, "area_cm2", "--area", options->area) != EXIT_DONE ||
         put_number(field, "tip_mm", "--tip", options->tip) != EXIT_DONE ||
         put_number(field, "tolerance", "--tolerance", options->tolerance) != EXIT_DONE ||
         put_text(field, "instrument", options->instrument) != EXIT_DONE ||
         put_end(request, options, BUCKET_FOR_US_DEFAULT) != EXIT_DONE)) {
        result = EXIT_USAGE;
    }
    if (result == EXIT_DONE) {
        result = ask(ctx, json_incref(request), &data);
    }
    if (result == EXIT_DONE) {
        result = end_bucket(ask, ctx, arguments, field, options);
    }
    json_decref(request);
    json_decref(field);
    json_decref(data);
    return result;
}

const struct ctl_field_tool ctl_field_tools[] = {
    {"watch", "[STATION ...]", "live values with quality, full screen", ctl_watch},
    {"maintenance", "on|off STATION", "technician on site: its alerts are muted, data are tagged",
     run_maintenance},
    {"spot", "STATION POINT VALUE", "a hand reading against what was logged at that minute",
     run_spot},
    {"calibrate", "STATION POINT SHOWN1 REFERENCE1 SHOWN2 REFERENCE2",
     "two points; applies from --at on", run_calibrate},
    {"bucket-test", "STATION POINT", "tips against a poured volume; they are no rain",
     run_bucket_test},
    {"records", "STATION", "spots, calibrations and bucket tests", run_records},
    {"import", "STATION POINT FILE", "fills a hole from a logger's memory (CSV: time,value)",
     ctl_import},
    {"revoke", "STATION POINT RECORD", "takes a record back; it stays to be seen", run_revoke},
    {NULL, NULL, NULL, NULL},
};
