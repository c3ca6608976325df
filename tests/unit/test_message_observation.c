#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alerts/message/observation.h"
#include "alerts/message/writer.h"
#include "daemon/base/err.h"

static const struct station station = {.id = "thanh-hoa"};
static const struct point points[] = {
    {.id = "stage", .quantity = "stage", .unit = "m", .provisional = true},
    {.id = "rain", .quantity = "rain", .unit = "mm"},
};
static const struct message_context context = {MESSAGE_EXERCISE, true};

static void writes_values_and_failures(void **state) {
    (void)state;
    struct reading readings[2] = {
        {.point = 0,
         .seq = 41,
         .status = READING_OK,
         .raw_len = 4,
         .raw = {0x40, 0xc4, 0xcc, 0xcd},
         .value = 6.15,
         .uncalibrated = 6.1,
         .calibration = 17,
         .requested = {INT64_C(1763532000000000)},
         .received = {{5}, {INT64_C(1763532000250000)}},
         .round_trip_us = 1500,
         .flag = QUALITY_SUSPECT,
         .suspect_tests = 1U << TEST_SPIKE | 1U << TEST_GROSS_RANGE,
         .quality_revision = 3},
        {.point = 1,
         .seq = 42,
         .status = READING_EXCEPTION,
         .exception = 2,
         .value = NAN,
         .uncalibrated = NAN,
         .received = {{5}, {INT64_C(1763532000000000)}},
         .round_trip_us = -1,
         .flag = QUALITY_MISSING},
    };
    char text[2000];
    size_t length;
    assert_int_equal(message_observation(&station, points, readings, 2, false, &context, text,
                                         sizeof text, &length),
                     0);
    assert_int_equal(length, strlen(text));
    assert_string_equal(
        text,
        "{\"station\":\"thanh-hoa\",\"status\":\"Exercise\",\"reconstructed\":true,\"requalified\":"
        "false,"
        "\"readings\":[{\"point\":\"stage\",\"quantity\":\"stage\",\"unit\":\"m\",\"seq\":41,"
        "\"time\":\"2025-11-19T06:00:00.250Z\",\"requested\":\"2025-11-19T06:00:00Z\",\"status\":"
        "\"ok\",\"value\":6.15,\"uncalibrated\":6.1,\"calibration\":17,\"exception\":null,"
        "\"round_trip_ms\":1.5,\"raw\":\"40c4cccd\",\"quality\":{\"flag\":3,\"suspect\":[\"gross_"
        "range\","
        "\"spike\"],\"fail\":[],\"revision\":3},\"late\":false,\"provisional\":true},"
        "{\"point\":\"rain\",\"quantity\":\"rain\",\"unit\":\"mm\",\"seq\":42,"
        "\"time\":\"2025-11-19T06:00:00Z\",\"requested\":null,\"status\":\"exception\",\"value\":"
        "null,\"uncalibrated\":null,\"calibration\":null,\"exception\":2,"
        "\"round_trip_ms\":null,\"raw\":\"\",\"quality\":{\"flag\":9,\"suspect\":[],\"fail\":[],"
        "\"revision\":0},\"late\":false,\"provisional\":false}]}");
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    struct reading reading = {.value = NAN};
    char text[2000];
    size_t length;
    assert_int_equal(message_observation(&station, points, &reading, 1, false, &context, text,
                                         sizeof text, &length),
                     0);
    size_t needed = length + 1;
    for (size_t size = 0; size < needed; size++) {
        size_t untouched = 7;
        assert_int_equal(message_observation(&station, points, &reading, 1, false, &context, text,
                                             size, &untouched),
                         ERR_LIMIT);
        assert_int_equal(untouched, 7);
    }
    assert_int_equal(
        message_observation(&station, points, &reading, 1, false, &context, text, needed, &length),
        0);
}

static void writes_only_utf8(void **state) {
    (void)state;
    struct json_writer json;
    char text[100];
    size_t length;
    json_begin(&json, text, sizeof text);
    json_text(&json, NULL, "Kôn \"\\\n\x7f \xff\xc3 \xed\xa0\x80");
    assert_int_equal(json_end(&json, &length), 0);
    assert_string_equal(text, "\"Kôn \\\"\\\\\\u000a\\u007f \xef\xbf\xbd\xef\xbf\xbd "
                              "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_values_and_failures),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(writes_only_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
