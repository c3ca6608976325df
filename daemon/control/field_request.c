#include "daemon/control/field_request.h"

#include <math.h>
#include <string.h>

#include "daemon/base/text.h"

#define NUMBER_MAX 1e12

static int read_number(const json_t *value, const char *key, double *ret_number,
                       struct err *ret_err) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !(fabs(number) <= NUMBER_MAX)) {
        return err_set(ret_err, ERR_INVALID, "field.%s: expected a number", key);
    }
    *ret_number = number;
    return 0;
}

static int read_pair(const json_t *value, const char *key, double ret_pair[2],
                     struct err *ret_err) {
    size_t count = json_array_size(value);
    int result = count == 1 || count == 2 ? 0 : ERR_INVALID;
    for (size_t i = 0; i < count && result == 0; i++) {
        result = read_number(json_array_get(value, i), key, &ret_pair[i], ret_err);
    }
    return result == 0
               ? 0
               : err_set(ret_err, ERR_INVALID, "field.%s: expected one or two numbers", key);
}

static int read_text(const json_t *value, struct field_record *record, struct err *ret_err) {
    const char *text = json_string_value(value);
    if (text == NULL || !text_is_utf8_line(text, json_string_length(value)) ||
        text_copy(record->instrument, sizeof record->instrument, text) != 0) {
        return err_set(ret_err, ERR_LIMIT, "field.instrument: expected a line of at most %zu bytes",
                       sizeof record->instrument - 1);
    }
    return 0;
}

static int read_record(const json_t *value, struct field_record *record, struct err *ret_err) {
    if (!json_is_integer(value) || json_integer_value(value) < 1) {
        return err_set(ret_err, ERR_INVALID, "field.record: expected the number of a record");
    }
    record->revokes = (uint64_t)json_integer_value(value);
    return 0;
}

static int read_member(const char *key, const json_t *value, struct field_record *record,
                       struct err *ret_err) {
    const struct {
        const char *key;
        double *into;
    } numbers[] = {{"tolerance", &record->tolerance},
                   {"volume_ml", &record->volume_ml},
                   {"area_cm2", &record->area_cm2},
                   {"tip_mm", &record->tip_mm}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(key, numbers[i].key) == 0) {
            return read_number(value, key, numbers[i].into, ret_err);
        }
    }
    if (strcmp(key, "reference") == 0) {
        return read_pair(value, key, record->reference, ret_err);
    }
    if (strcmp(key, "shown") == 0) {
        return read_pair(value, key, record->shown, ret_err);
    }
    if (strcmp(key, "instrument") == 0) {
        return read_text(value, record, ret_err);
    }
    if (strcmp(key, "record") == 0) {
        return read_record(value, record, ret_err);
    }
    if (strcmp(key, "at") == 0) {
        const char *text = json_string_value(value);
        return text != NULL && text_parse_time(text, &record->at.us) == 0
                   ? 0
                   : err_set(ret_err, ERR_INVALID,
                             "field.at: expected a time such as \"2025-11-19T06:00:00Z\"");
    }
    return err_set(ret_err, ERR_INVALID, "field: unknown key \"%.64s\"", key);
}

int field_request_read(const json_t *object, struct field_record *record, struct err *ret_err) {
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        return err_set(ret_err, ERR_INVALID, "field: expected an object");
    }
    for (int i = 0; i < 2; i++) {
        record->reference[i] = (double)NAN;
        record->shown[i] = (double)NAN;
    }
    json_object_foreach((json_t *)object, key, value) {
        int result = read_member(key, value, record, ret_err);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}
