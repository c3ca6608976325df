#include "daemon/station/reading.h"

const char *reading_status_name(enum reading_status status) {
    switch (status) {
    case READING_OK:
        return "ok";
    case READING_TIMEOUT:
        return "timeout";
    case READING_NO_CONNECTION:
        return "no_connection";
    case READING_BAD_REPLY:
        return "bad_reply";
    case READING_EXCEPTION:
        return "exception";
    case READING_SENTINEL:
        return "sentinel";
    case READING_NOT_A_NUMBER:
        return "not_a_number";
    case READING_SKIPPED:
        return "skipped";
    case READING_STATUS_COUNT:
        break;
    }
    return "unknown";
}

const char *quality_test_name(enum quality_test test) {
    static const char *const names[TEST_COUNT] = {
        "gross_range", "rate_of_change", "spike",          "flat_line",   "gap",     "maintenance",
        "attenuated",  "neighbour",      "cross_variable", "bucket_test", "identity"};
    return (unsigned)test < TEST_COUNT ? names[test] : "unknown";
}
