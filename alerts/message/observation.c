#include "alerts/message/observation.h"

#include "alerts/message/writer.h"

static void put_tests(struct json_writer *json, const char *key, uint16_t mask) {
    json_open(json, key, '[');
    for (int i = 0; i < TEST_COUNT; i++) {
        if ((mask & (1U << i)) != 0) {
            json_text(json, NULL, quality_test_name((enum quality_test)i));
        }
    }
    json_close(json, ']');
}

static void put_reading(struct json_writer *json, const struct point *point,
                        const struct reading *reading) {
    json_open(json, NULL, '{');
    json_text(json, "point", point->id);
    json_text(json, "quantity", point->quantity);
    json_text(json, "unit", point->unit);
    json_int(json, "seq", (int64_t)reading->seq);
    json_time(json, "time", reading->received.utc);
    if (reading->requested.us != 0) {
        json_time(json, "requested", reading->requested);
    } else {
        json_null_value(json, "requested");
    }
    json_text(json, "status", reading_status_name(reading->status));
    json_number(json, "value", reading->value);
    json_number(json, "uncalibrated", reading->uncalibrated);
    if (reading->calibration != 0) {
        json_int(json, "calibration", (int64_t)reading->calibration);
    } else {
        json_null_value(json, "calibration");
    }
    if (reading->exception != 0) {
        json_int(json, "exception", reading->exception);
    } else {
        json_null_value(json, "exception");
    }
    if (reading->round_trip_us >= 0) {
        json_number(json, "round_trip_ms", (double)reading->round_trip_us / 1000.0);
    } else {
        json_null_value(json, "round_trip_ms");
    }
    json_hex(json, "raw", reading->raw, reading->raw_len);
    json_open(json, "quality", '{');
    json_int(json, "flag", reading->flag);
    put_tests(json, "suspect", reading->suspect_tests);
    put_tests(json, "fail", reading->fail_tests);
    json_int(json, "revision", reading->quality_revision);
    json_close(json, '}');
    json_truth(json, "late", reading->late);
    json_truth(json, "provisional", point->provisional);
    json_close(json, '}');
}

int message_observation(const struct station *station, const struct point *points,
                        const struct reading *readings, size_t count, bool requalified,
                        const struct message_context *context, char *ret_text, size_t size,
                        size_t *ret_length) {
    struct json_writer json;
    json_begin(&json, ret_text, size);
    json_open(&json, NULL, '{');
    json_text(&json, "station", station->id);
    json_text(&json, "status", message_status_name(context->status));
    json_truth(&json, "reconstructed", context->reconstructed);
    json_truth(&json, "requalified", requalified);
    json_open(&json, "readings", '[');
    for (size_t i = 0; i < count; i++) {
        put_reading(&json, &points[readings[i].point], &readings[i]);
    }
    json_close(&json, ']');
    json_close(&json, '}');
    return json_end(&json, ret_length);
}
