#include "daemon/control/protocol.h"

#include <jansson.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/control/field_request.h"

/* Keys that requests may carry. */
enum key {
    KEY_RULE = 1 << 0,
    KEY_PLACE = 1 << 1,
    KEY_REASON = 1 << 2,
    KEY_FOR = 1 << 3,
    KEY_UNTIL = 1 << 4,
    KEY_REVISION = 1 << 5,
    KEY_STATION = 1 << 6,
    KEY_POINT = 1 << 7,
    KEY_LIMIT = 1 << 8,
    KEY_AFTER = 1 << 9,
    KEY_FOLLOW = 1 << 10,
    KEY_INCIDENT = 1 << 11,
    KEY_INTO = 1 << 12,
    KEY_ATTACHMENT = 1 << 13,
    KEY_REFERENCE = 1 << 14,
    KEY_EXPIRES = 1 << 15,
    KEY_ID = 1 << 16,
    KEY_EVENT = 1 << 17,
    KEY_FIELD = 1 << 18,
    KEY_AS_OF = 1 << 19,
    KEY_PRODUCT = 1 << 20,
    KEY_ROWS = 1 << 21,
    KEY_LAST = 1 << 22,
    KEY_VERDICT = 1 << 23,
    KEY_RELEASE = 1 << 24,
};

static const char *const key_names[] = {
    "rule",    "place",      "reason",    "for_s",   "until",  "expected_revision",
    "station", "point",      "limit",     "after",   "follow", "incident",
    "into",    "attachment", "reference", "expires", "id",     "event",
    "field",   "as_of",      "product",   "rows",    "last",   "verdict",
    "release"};

enum {
    COMMAND_KEYS = KEY_REVISION | KEY_REASON | KEY_EXPIRES | KEY_ID,
    ALARM_KEYS = KEY_RULE | KEY_PLACE | COMMAND_KEYS,
    END_KEYS = KEY_FOR | KEY_UNTIL,
    FIELD_KEYS = KEY_PLACE | KEY_POINT | KEY_FIELD | COMMAND_KEYS,
    FIELD_NEEDED = KEY_PLACE | KEY_POINT,
    ALARM = KEY_RULE | KEY_PLACE
};

#define TOKEN_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

/* Every request there is. Which target a command takes is told by command_target_check(). */
static const struct verb {
    const char *name;
    enum control_verb verb;
    enum command_kind kind; /* CONTROL_COMMAND only */
    enum control_role role;
    unsigned keys;   /* allowed */
    unsigned needed; /* must be there */
} verbs[] = {
    {"status", CONTROL_STATUS, 0, ROLE_VIEWER, 0, 0},
    {"stations", CONTROL_STATIONS, 0, ROLE_VIEWER, KEY_STATION, 0},
    {"readings", CONTROL_READINGS, 0, ROLE_VIEWER, KEY_STATION | KEY_POINT | KEY_LIMIT | KEY_AS_OF,
     KEY_STATION},
    {"alarms", CONTROL_ALARMS, 0, ROLE_VIEWER, 0, 0},
    {"events", CONTROL_EVENTS, 0, ROLE_VIEWER, KEY_LIMIT | KEY_AFTER | KEY_FOLLOW, 0},
    {"proposals", CONTROL_PROPOSALS, 0, ROLE_VIEWER, 0, 0},
    {"explain", CONTROL_EXPLAIN, 0, ROLE_VIEWER, KEY_EVENT, KEY_EVENT},
    {"skill", CONTROL_SKILL, 0, ROLE_VIEWER, KEY_PRODUCT | KEY_FOR, 0},
    {"incidents", CONTROL_INCIDENTS, 0, ROLE_VIEWER, 0, 0},
    {"reload", CONTROL_RELOAD, 0, ROLE_OPERATOR, 0, 0},
    {"acknowledge", CONTROL_COMMAND, COMMAND_ACKNOWLEDGE, ROLE_OPERATOR,
     ALARM_KEYS | KEY_INCIDENT | END_KEYS, 0},
    {"shelve", CONTROL_COMMAND, COMMAND_SHELVE, ROLE_OPERATOR, ALARM_KEYS | END_KEYS,
     ALARM | KEY_REASON},
    {"unshelve", CONTROL_COMMAND, COMMAND_UNSHELVE, ROLE_OPERATOR, ALARM_KEYS, ALARM},
    {"out-of-service", CONTROL_COMMAND, COMMAND_OUT_OF_SERVICE, ROLE_OPERATOR,
     ALARM_KEYS | END_KEYS, ALARM | KEY_REASON},
    {"in-service", CONTROL_COMMAND, COMMAND_IN_SERVICE, ROLE_OPERATOR, ALARM_KEYS, ALARM},
    {"comment", CONTROL_COMMAND, COMMAND_COMMENT, ROLE_OPERATOR, ALARM_KEYS | KEY_INCIDENT,
     KEY_REASON},
    {"maintenance", CONTROL_COMMAND, COMMAND_MAINTENANCE, ROLE_OPERATOR,
     KEY_PLACE | COMMAND_KEYS | END_KEYS, KEY_PLACE | KEY_REASON},
    {"end-maintenance", CONTROL_COMMAND, COMMAND_END_MAINTENANCE, ROLE_OPERATOR,
     KEY_PLACE | COMMAND_KEYS, KEY_PLACE},
    {"cancel", CONTROL_COMMAND, COMMAND_CANCEL, ROLE_OPERATOR, ALARM_KEYS, ALARM | KEY_REASON},
    {"approve", CONTROL_COMMAND, COMMAND_APPROVE, ROLE_OPERATOR, ALARM_KEYS, ALARM},
    {"reject", CONTROL_COMMAND, COMMAND_REJECT, ROLE_OPERATOR, ALARM_KEYS, ALARM | KEY_REASON},
    {"merge", CONTROL_COMMAND, COMMAND_MERGE, ROLE_OPERATOR, KEY_INCIDENT | KEY_INTO | COMMAND_KEYS,
     KEY_INCIDENT | KEY_INTO | KEY_REASON},
    {"split", CONTROL_COMMAND, COMMAND_SPLIT, ROLE_OPERATOR, ALARM_KEYS, ALARM | KEY_REASON},
    {"attach", CONTROL_COMMAND, COMMAND_ATTACH, ROLE_OPERATOR,
     ALARM_KEYS | KEY_INCIDENT | KEY_ATTACHMENT | KEY_REFERENCE, KEY_ATTACHMENT},
    {"calibrate", CONTROL_COMMAND, COMMAND_CALIBRATE, ROLE_OPERATOR, FIELD_KEYS,
     FIELD_NEEDED | KEY_FIELD | KEY_REASON},
    {"spot", CONTROL_COMMAND, COMMAND_SPOT, ROLE_OPERATOR, FIELD_KEYS, FIELD_NEEDED | KEY_FIELD},
    {"bucket-test", CONTROL_COMMAND, COMMAND_BUCKET_TEST, ROLE_OPERATOR, FIELD_KEYS | END_KEYS,
     FIELD_NEEDED},
    {"end-bucket-test", CONTROL_COMMAND, COMMAND_END_BUCKET_TEST, ROLE_OPERATOR, FIELD_KEYS,
     FIELD_NEEDED},
    {"revoke", CONTROL_COMMAND, COMMAND_REVOKE, ROLE_OPERATOR, FIELD_KEYS,
     FIELD_NEEDED | KEY_FIELD | KEY_REASON},
    {"verdict", CONTROL_COMMAND, COMMAND_VERDICT, ROLE_OPERATOR, ALARM_KEYS | KEY_VERDICT,
     ALARM | KEY_VERDICT},
    {"verdicts", CONTROL_VERDICTS, 0, ROLE_VIEWER, 0, 0},
    {"what-if", CONTROL_WHAT_IF, 0, ROLE_OPERATOR, KEY_RELEASE, KEY_RELEASE},
    {"late-readings", CONTROL_LATE, 0, ROLE_OPERATOR, KEY_STATION | KEY_POINT | KEY_ROWS | KEY_LAST,
     KEY_STATION | KEY_POINT | KEY_ROWS | KEY_LAST},
    {"records", CONTROL_RECORDS, 0, ROLE_VIEWER, KEY_STATION, KEY_STATION},
    {"resend-state", CONTROL_COMMAND, COMMAND_RESEND_STATE, ROLE_OPERATOR, KEY_EXPIRES | KEY_ID, 0},
};

const char *control_role_name(enum control_role role) {
    switch (role) {
    case ROLE_OPERATOR:
        return "operator";
    case ROLE_VIEWER:
        return "viewer";
    case ROLE_NONE:
        break;
    }
    return "none";
}

static int take_text(const json_t *value, const char *key, char *ret_text, size_t size,
                     struct err *ret_err) {
    const char *text = json_string_value(value);
    if (text == NULL || !text_is_utf8_line(text, json_string_length(value))) {
        return err_set(ret_err, ERR_INVALID, "%s: expected a string without control characters",
                       key);
    }
    if (text[0] == '\0' || text_copy(ret_text, size, text) != 0) {
        return err_set(ret_err, ERR_LIMIT, "%s: expected 1 to %zu bytes, got %zu", key, size - 1,
                       json_string_length(value));
    }
    return 0;
}

static int take_id(const json_t *value, const char *key, char ret_id[STATION_ID_SIZE],
                   struct err *ret_err) {
    const char *text = json_string_value(value);
    if (text == NULL || !text_is_id(text)) {
        return err_set(ret_err, ERR_INVALID, "%s: expected an id such as \"thanh-hoa\"", key);
    }
    return text_copy(ret_id, STATION_ID_SIZE, text);
}

static int take_int(const json_t *value, const char *key, int64_t min, int64_t max,
                    int64_t *ret_value, struct err *ret_err) {
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max) {
        return err_set(ret_err, ERR_RANGE, "%s: expected a whole number from %lld to %lld", key,
                       (long long)min, (long long)max);
    }
    *ret_value = json_integer_value(value);
    return 0;
}

static int take_time(const json_t *value, const char *key, struct utc_us *ret_time,
                     struct err *ret_err) {
    const char *text = json_string_value(value);
    if (text == NULL || text_parse_time(text, &ret_time->us) != 0) {
        return err_set(ret_err, ERR_INVALID, "%s: expected a time such as \"2025-11-19T06:00:00Z\"",
                       key);
    }
    return 0;
}

/* A hash, or another name made of letters, digits, '-', '_', '.'. */
static int take_token(const json_t *value, const char *key, char *ret_text, size_t size,
                      struct err *ret_err) {
    const char *text = json_string_value(value);
    if (text == NULL || text[0] == '\0' || text[strspn(text, TOKEN_CHARACTERS)] != '\0' ||
        text_copy(ret_text, size, text) != 0) {
        return err_set(ret_err, ERR_INVALID,
                       "%s: expected 1 to %zu letters, digits, '-', '_' or '.'", key, size - 1);
    }
    return 0;
}

static int take_verdict(const json_t *value, enum operator_verdict *ret_verdict,
                        struct err *ret_err) {
    const char *name = json_string_value(value);
    return name != NULL && verdict_parse(name, ret_verdict) == 0
               ? 0
               : err_set(ret_err, ERR_INVALID, "verdict: expected real, rain or fault");
}

/* The keys that only commands have. */
static int take_command_key(unsigned bit, const json_t *value, struct command *command,
                            struct err *ret_err) {
    switch (bit) {
    case KEY_UNTIL:
        return take_time(value, "until", &command->until, ret_err);
    case KEY_EXPIRES:
        return take_time(value, "expires", &command->expires, ret_err);
    case KEY_INCIDENT:
        return take_token(value, "incident", command->incident, sizeof command->incident, ret_err);
    case KEY_INTO:
        return take_token(value, "into", command->into, sizeof command->into, ret_err);
    case KEY_ATTACHMENT:
        return take_id(value, "attachment", command->attachment, ret_err);
    case KEY_REFERENCE:
        return take_token(value, "reference", command->reference, sizeof command->reference,
                          ret_err);
    case KEY_ID:
        return take_token(value, "id", command->id, sizeof command->id, ret_err);
    case KEY_VERDICT:
        return take_verdict(value, &command->verdict, ret_err);
    default:
        return err_set(ret_err, ERR_INVALID, "unknown key");
    }
}

static int take(unsigned bit, const json_t *value, struct control_request *request,
                struct err *ret_err) {
    int64_t number = 0;
    int result;
    switch (bit) {
    case KEY_RULE:
        return take_id(value, "rule", request->command.rule, ret_err);
    case KEY_PLACE:
        return take_id(value, "place", request->command.place, ret_err);
    case KEY_REASON:
        return take_text(value, "reason", request->command.comment, sizeof request->command.comment,
                         ret_err);
    case KEY_FOR:
        result = take_int(value, "for_s", 1, 366 * 86400, &number, ret_err);
        request->for_us = number * 1000000;
        return result;
    case KEY_REVISION:
        result = take_int(value, "expected_revision", 0, INT64_MAX, &number, ret_err);
        request->command.has_expected_revision = true;
        request->command.expected_revision = (uint64_t)number;
        return result;
    case KEY_STATION:
        return take_id(value, "station", request->station, ret_err);
    case KEY_POINT:
        result = take_id(value, "point", request->point, ret_err);
        memcpy(request->command.field.point, request->point, sizeof request->point);
        return result;
    case KEY_AS_OF:
        return take_time(value, "as_of", &request->as_of, ret_err);
    case KEY_ROWS:
        return late_request_read(value, &request->late, ret_err);
    case KEY_LAST:
        if (!json_is_boolean(value)) {
            return err_set(ret_err, ERR_INVALID, "last: expected true or false");
        }
        request->last = json_is_true(value);
        return 0;
    case KEY_RELEASE:
        return whatif_request_read(value, &request->whatif, ret_err);
    case KEY_FIELD:
        return field_request_read(value, &request->command.field, ret_err);
    case KEY_LIMIT:
        return take_int(value, "limit", 1,
                        request->verb == CONTROL_EVENTS ? CONTROL_EVENTS_MAX : CONTROL_READINGS_MAX,
                        &request->limit, ret_err);
    case KEY_PRODUCT:
        return take_id(value, "product", request->product, ret_err);
    case KEY_EVENT:
        return take_text(value, "event", request->event, sizeof request->event, ret_err);
    case KEY_AFTER:
        return take_int(value, "after", -1, INT64_MAX, &request->after, ret_err);
    case KEY_FOLLOW:
        if (!json_is_boolean(value)) {
            return err_set(ret_err, ERR_INVALID, "follow: expected true or false");
        }
        request->follow = json_is_true(value);
        return 0;
    default:
        return take_command_key(bit, value, &request->command, ret_err);
    }
}

static unsigned key_bit(const char *name) {
    for (unsigned i = 0; i < sizeof key_names / sizeof key_names[0]; i++) {
        if (strcmp(key_names[i], name) == 0) {
            return 1U << i;
        }
    }
    return 0;
}

static int take_all(json_t *object, const struct verb *verb, struct control_request *request,
                    struct err *ret_err) {
    const char *key;
    json_t *value;
    unsigned seen = 0;
    json_object_foreach(object, key, value) {
        if (strcmp(key, "do") == 0) {
            continue;
        }
        unsigned bit = key_bit(key);
        if ((bit & verb->keys) == 0) {
            return err_set(ret_err, ERR_INVALID, "%s does not take the key \"%.64s\"", verb->name,
                           key);
        }
        int result = take(bit, value, request, ret_err);
        if (result != 0) {
            return result;
        }
        seen |= bit;
    }
    for (unsigned i = 0; i < sizeof key_names / sizeof key_names[0]; i++) {
        if ((verb->needed & ~seen & (1U << i)) != 0) {
            return err_set(ret_err, ERR_INVALID, "%s needs the key \"%s\"", verb->name,
                           key_names[i]);
        }
    }
    bool both = (seen & END_KEYS) == END_KEYS;
    bool none = (seen & END_KEYS) == 0 && verb->kind != COMMAND_ACKNOWLEDGE;
    if ((verb->keys & KEY_UNTIL) != 0 && (both || none)) {
        return err_set(ret_err, ERR_INVALID, "%s needs an end: one of \"for_s\" and \"until\"",
                       verb->name);
    }
    return verb->verb == CONTROL_COMMAND ? command_target_check(&request->command, ret_err) : 0;
}

static const struct verb *find_verb(const char *name) {
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

int control_parse_object(json_t *object, struct control_request *ret_request, struct err *ret_err) {
    struct control_request request;
    memset(&request, 0, sizeof request);
    request.limit = 100;
    request.after = -1;
    const char *name = json_string_value(json_object_get(object, "do"));
    const struct verb *verb = name != NULL ? find_verb(name) : NULL;
    if (!json_is_object(object) || name == NULL) {
        return err_set(ret_err, ERR_INVALID, "expected an object with the key \"do\"");
    }
    if (verb == NULL) {
        return err_set(ret_err, ERR_NOT_FOUND, "unknown request \"%.64s\"", name);
    }
    request.verb = verb->verb;
    request.role_needed = verb->role;
    request.command.kind = verb->kind;
    int result = take_all(object, verb, &request, ret_err);
    if (result == 0) {
        *ret_request = request;
    }
    return result;
}

int control_parse(const char *line, size_t length, struct control_request *ret_request,
                  struct err *ret_err) {
    if (length > CONTROL_LINE_MAX) {
        return err_set(ret_err, ERR_LIMIT, "a request has at most %d bytes", CONTROL_LINE_MAX);
    }
    json_error_t json_error;
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &json_error);
    if (object == NULL) {
        return err_set(ret_err, ERR_SYNTAX, "not JSON: %s at byte %d", json_error.text,
                       json_error.position);
    }
    int result = control_parse_object(object, ret_request, ret_err);
    json_decref(object);
    return result;
}
