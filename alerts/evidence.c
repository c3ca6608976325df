#include "alerts/evidence.h"

const char *knowledge_name(enum knowledge knowledge) {
    static const char *const names[KNOWLEDGE_COUNT] = {"fresh", "doubtful", "stale", "unknown"};
    return (unsigned)knowledge < KNOWLEDGE_COUNT ? names[knowledge] : "unknown";
}

const char *cause_name(enum cause cause) {
    static const char *const names[CAUSE_COUNT] = {
        [CAUSE_NONE] = "none",
        [CAUSE_NO_DATA_YET] = "no_data_yet",
        [CAUSE_TIMEOUT] = "timeout",
        [CAUSE_NO_CONNECTION] = "no_connection",
        [CAUSE_BAD_REPLY] = "bad_reply",
        [CAUSE_EXCEPTION] = "exception",
        [CAUSE_SENTINEL] = "sentinel",
        [CAUSE_NOT_A_NUMBER] = "not_a_number",
        [CAUSE_SKIPPED] = "skipped",
        [CAUSE_QUALITY_FAIL] = "quality_fail",
        [CAUSE_QUALITY_SUSPECT] = "quality_suspect",
        [CAUSE_NOT_EVALUATED] = "not_evaluated",
        [CAUSE_SIMULATED] = "simulated",
        [CAUSE_SILENCE] = "silence",
        [CAUSE_INCOMPLETE] = "incomplete_window",
        [CAUSE_MODEL] = "model_unknown",
        [CAUSE_COVERAGE] = "low_coverage",
        [CAUSE_OUTDATED_RUN] = "outdated_run",
        [CAUSE_NO_PROBABILITY] = "no_probability",
        [CAUSE_WORSE_THAN_PERSISTENCE] = "worse_than_persistence",
        [CAUSE_OUT_OF_SERVICE] = "out_of_service",
        [CAUSE_MAINTENANCE] = "maintenance",
        [CAUSE_NO_THRESHOLD] = "no_threshold",
        [CAUSE_NOT_IN_FORCE] = "not_in_force",
    };
    return (unsigned)cause < CAUSE_COUNT ? names[cause] : "unknown";
}

enum cause cause_of_status(enum reading_status status) {
    switch (status) {
    case READING_OK:
        return CAUSE_NONE;
    case READING_TIMEOUT:
        return CAUSE_TIMEOUT;
    case READING_NO_CONNECTION:
        return CAUSE_NO_CONNECTION;
    case READING_BAD_REPLY:
        return CAUSE_BAD_REPLY;
    case READING_EXCEPTION:
        return CAUSE_EXCEPTION;
    case READING_SENTINEL:
        return CAUSE_SENTINEL;
    case READING_NOT_A_NUMBER:
        return CAUSE_NOT_A_NUMBER;
    case READING_SKIPPED:
        return CAUSE_SKIPPED;
    case READING_STATUS_COUNT:
        break;
    }
    return CAUSE_SILENCE;
}
