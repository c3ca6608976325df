#include "fault.h"

#include <fnmatch.h>
#include <string.h>

#include "daemon/base/text.h"
#include "table.h"

const char *const fault_names[] = {"silence",
                                   "dribble",
                                   "wrong-transaction",
                                   "wrong-unit",
                                   "wrong-protocol",
                                   "wrong-length",
                                   "wrong-function",
                                   "wrong-byte-count",
                                   "short",
                                   "surplus",
                                   "exception",
                                   "late",
                                   "reset",
                                   "fin",
                                   "refuse",
                                   "nan",
                                   "stuck",
                                   "add",
                                   NULL};

static int load_pattern(struct doc *doc, yaml_node_t *map, const char *key, bool needed,
                        char ret_text[FAULT_PATTERN_MAX], struct err *ret_err) {
    yaml_node_t *node = doc_get(doc, map, key);
    const char *text = NULL;
    if (node == NULL) {
        if (needed) {
            return doc_need(doc, map, key, &node, ret_err);
        }
        memcpy(ret_text, "*", 2);
        return 0;
    }
    int result = doc_text(doc, node, &text, ret_err);
    if (result == 0 && text_copy(ret_text, FAULT_PATTERN_MAX, text) != 0) {
        result = doc_fail(doc, node, ret_err, ERR_LIMIT, "the name is too long");
    }
    return result;
}

/* Only the keys that mean something for the kind are allowed. */
static int check_keys(const struct fault *fault, struct doc *doc, yaml_node_t *map,
                      struct err *ret_err) {
    static const char *const plain[] = {"kind", "station", "from", "to", "share", NULL};
    static const char *const delayed[] = {"kind",  "station",  "from", "to",
                                          "share", "delay_ms", NULL};
    static const char *const coded[] = {"kind", "station", "from", "to", "share", "code", NULL};
    static const char *const valued[] = {"kind", "station", "from", "to", "point", NULL};
    static const char *const added[] = {"kind", "station", "from", "to", "point", "add", NULL};
    static const char *const refused[] = {"kind", "station", "from", "to", NULL};
    const char *const *keys = plain;
    switch (fault->kind) {
    case FAULT_DRIBBLE:
    case FAULT_LATE:
        keys = delayed;
        break;
    case FAULT_EXCEPTION:
        keys = coded;
        break;
    case FAULT_NAN:
    case FAULT_STUCK:
        keys = valued;
        break;
    case FAULT_ADD:
        keys = added;
        break;
    case FAULT_REFUSE:
        keys = refused;
        break;
    default:
        break;
    }
    return doc_check_keys(doc, map, keys, ret_err);
}

int fault_load(struct fault *fault, struct doc *doc, yaml_node_t *map, struct err *ret_err) {
    yaml_node_t *node = NULL;
    int kind = 0;
    int result = doc_need(doc, map, "kind", &node, ret_err);
    if (result != 0 || (result = doc_word(doc, node, fault_names, &kind, ret_err)) != 0) {
        return result;
    }
    *fault = (struct fault){
        .kind = (enum fault_kind)kind, .from_us = INT64_MIN, .to_us = INT64_MAX, .share = 1.0};
    int64_t code = 4; /* server device failure */
    int64_t delay_ms = 0;
    if ((result = check_keys(fault, doc, map, ret_err)) != 0 ||
        (result = load_pattern(doc, map, "station", true, fault->station, ret_err)) != 0 ||
        (result = load_pattern(doc, map, "point", false, fault->point, ret_err)) != 0 ||
        (result = doc_opt_time(doc, map, "from", &fault->from_us, ret_err)) != 0 ||
        (result = doc_opt_time(doc, map, "to", &fault->to_us, ret_err)) != 0 ||
        (result = doc_opt_double(doc, map, "share", 0, 1, &fault->share, ret_err)) != 0 ||
        (result = doc_opt_int(doc, map, "code", 1, 255, &code, ret_err)) != 0) {
        return result;
    }
    if (fault->kind == FAULT_DRIBBLE || fault->kind == FAULT_LATE) {
        result = doc_need_int(doc, map, "delay_ms", 1, 3600000, &delay_ms, ret_err);
    }
    if (result == 0 && fault->kind == FAULT_ADD) {
        result = doc_need_double(doc, map, "add", -1e9, 1e9, &fault->add, ret_err);
    }
    if (result == 0 && fault->to_us <= fault->from_us) {
        result = doc_fail(doc, map, ret_err, ERR_RANGE, "'to' must be later than 'from'");
    }
    fault->code = (uint8_t)code;
    fault->delay_ms = (uint32_t)delay_ms;
    return result;
}

bool fault_is_value(enum fault_kind kind) {
    return kind == FAULT_NAN || kind == FAULT_STUCK || kind == FAULT_ADD;
}

bool fault_hits_station(const struct fault *fault, const char *id) {
    return fnmatch(fault->station, id, 0) == 0;
}

bool fault_hits_point(const struct fault *fault, const char *name) {
    return fnmatch(fault->point, name, 0) == 0;
}

bool fault_active(const struct fault *fault, int64_t t_us) {
    return t_us >= fault->from_us && t_us < fault->to_us;
}

bool fault_strikes(const struct fault *fault, uint64_t draw) {
    return fault->share >= 1.0 || noise_uniform(noise_bits(fault->seed, draw, 0, 0)) < fault->share;
}

/* Sets the two bytes at `at`. */
static void put16(uint8_t *at, unsigned value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *at) {
    return (unsigned)at[0] << 8 | at[1];
}

size_t fault_falsify(const struct fault *fault, uint8_t *frame, size_t length) {
    bool exception = (frame[7] & 0x80) != 0;
    switch (fault->kind) {
    case FAULT_WRONG_TRANSACTION:
        put16(frame, get16(frame) + 1);
        break;
    case FAULT_WRONG_UNIT:
        frame[6]++;
        break;
    case FAULT_WRONG_PROTOCOL:
        put16(frame + 2, 1);
        break;
    case FAULT_WRONG_LENGTH:
        put16(frame + 4, get16(frame + 4) + 1);
        break;
    case FAULT_WRONG_FUNCTION:
        frame[7] ^= 7; /* 3 <-> 4, 1 <-> 6, 2 <-> 5 */
        break;
    case FAULT_WRONG_BYTE_COUNT:
        if (!exception) {
            frame[8] = (uint8_t)(frame[8] - 2);
        }
        break;
    case FAULT_SHORT:
        if (!exception && frame[8] >= 2) {
            frame[8] = (uint8_t)(frame[8] - 2);
            put16(frame + 4, get16(frame + 4) - 2);
            length -= 2;
        }
        break;
    case FAULT_SURPLUS:
        memset(frame + length, 0xa5, 4);
        length += 4;
        break;
    case FAULT_EXCEPTION:
        frame[7] |= 0x80;
        frame[8] = fault->code;
        put16(frame + 4, 3);
        length = 9;
        break;
    default:
        break;
    }
    return length;
}
