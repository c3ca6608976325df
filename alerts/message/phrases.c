#include "alerts/message/phrases.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

static const unsigned char vi_bytes[] = {
#include "phrases_vi.inc"
};
static const unsigned char en_bytes[] = {
#include "phrases_en.inc"
};

struct phrases {
    enum language language;
    size_t count;
    struct {
        const char *key, *text;
    } items[PHRASES_MAX];
    char bytes[PHRASES_BYTES_MAX + 1];
};

static const char *const required[] = {
    "status.exercise",
    "status.test",
    "hazard.other",
    "bulletin.flood_warning",
    "bulletin.flood",
    "bulletin.emergency_flood",
    "bulletin.other",
    "headline.cancelled",
    "describe.cancelled",
    "describe.next",
    "instruct.cancelled",
    "do.cancelled",
    "level.flood_alarm",
    "level.risk",
    "level.risk_short",
    "level.own",
    "level.zero",
    "level.none",
    "headline.raised",
    "headline.lowered",
    "headline.renewed",
    "headline.cleared",
    "headline.expired",
    "describe.raised",
    "describe.lowered",
    "describe.renewed",
    "describe.cleared",
    "describe.expired",
    "describe.trend",
    "describe.doubtful",
    "describe.no_threshold",
    "describe.provisional",
    "describe.reconstructed",
    "describe.simulated",
    "evidence.plain",
    "evidence.threshold",
    "evidence.none",
    "value.latest",
    "value.rise_up",
    "value.rise_down",
    "brief.rise_up",
    "brief.rise_down",
    "brief.other",
    "value.accumulation",
    "value.mean",
    "value.nowcast",
    "value.highest_hour",
    "value.highest_8h",
    "value.daily_max",
    "value.daily_mean",
    "value.model",
    "value.model_window",
    "value.model_lead",
    "value.model_window_lead",
    "value.model_word",
    "value.at_least",
    "value.unknown",
    "quantity.other",
    "trend.level.rising",
    "trend.level.falling",
    "trend.amount.rising",
    "trend.amount.falling",
    "trend.steady",
    "trend.unknown",
    "time.long",
    "time.short",
    "time.zone",
    "window.min",
    "window.h",
    "window.d",
    "sms.1",
    "sms.2",
    "sms.3",
    "sms.4",
    "sms.5",
    "sms.6",
    "instruct.other.watch",
    "instruct.other.act",
    "instruct.clear",
    "instruct.expired",
    "do.other.watch",
    "do.other.act",
    "do.clear",
    "do.expired",
};

static const char *const names[] = {
    "status", "event",  "level", "previous", "place",  "rule", "value",     "number",
    "trend",  "time",   "do",    "quantity", "window", "lead", "threshold", "name",
    "scale",  "lowest", "zone",  "hour",     "minute", "day",  "month",     "monthname",
    "year",   "n",      "space", "brief",    "short",
};

static bool names_are_known(const char *text) {
    while (*text != '\0') {
        text += strcspn(text, "{}");
        if (*text == '\0') {
            break;
        }
        if (*text == '}') {
            return false;
        }
        size_t length = strcspn(++text, "{}");
        size_t i = 0;
        while (i < sizeof names / sizeof names[0] &&
               (strlen(names[i]) != length || strncmp(names[i], text, length) != 0)) {
            i++;
        }
        if (i == sizeof names / sizeof names[0] || text[length] != '}') {
            return false;
        }
        text += length + 1;
    }
    return true;
}

static int add_line(struct phrases *phrases, char *line, size_t number, struct err *err) {
    char *middle = strstr(line, " = ");
    if (!text_is_utf8_line(line, strlen(line)) || middle == NULL || middle[3] == '\0') {
        return err_set(err, ERR_SYNTAX, "line %zu is not 'key = sentence' in UTF-8", number);
    }
    *middle = '\0';
    if (!text_is_id(line) || phrases_find(phrases, line) != NULL) {
        return err_set(err, ERR_SYNTAX, "line %zu: '%.60s' is no key, or comes twice", number,
                       line);
    }
    if (!names_are_known(middle + 3)) {
        return err_set(err, ERR_SYNTAX, "line %zu: a {name} that nothing fills", number);
    }
    if (phrases->count == PHRASES_MAX) {
        return err_set(err, ERR_LIMIT, "more than %d sentences", PHRASES_MAX);
    }
    phrases->items[phrases->count].key = line;
    phrases->items[phrases->count++].text = middle + 3;
    return 0;
}

static int parse(struct phrases *phrases, struct err *err) {
    size_t number = 0;
    char *rest = phrases->bytes;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        number++;
        if (*line != '\0' && *line != '#') {
            int result = add_line(phrases, line, number, err);
            if (result != 0) {
                return result;
            }
        }
    }
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (phrases_find(phrases, required[i]) == NULL) {
            return err_set(err, ERR_NOT_FOUND, "no sentence '%s'", required[i]);
        }
    }
    return 0;
}

int phrases_parse(enum language language, const char *bytes, size_t length,
                  struct phrases **ret_phrases, struct err *ret_err) {
    if (length > PHRASES_BYTES_MAX || memchr(bytes, '\0', length) != NULL) {
        return err_set(ret_err, ERR_LIMIT, "more than %d bytes, or a zero byte", PHRASES_BYTES_MAX);
    }
    struct phrases *phrases = calloc(1, sizeof *phrases);
    if (phrases == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the sentences");
    }
    phrases->language = language;
    memcpy(phrases->bytes, bytes, length);
    int result = parse(phrases, ret_err);
    if (result != 0) {
        free(phrases);
        return result;
    }
    *ret_phrases = phrases;
    return 0;
}

int phrases_create(enum language language, struct phrases **ret_phrases, struct err *ret_err) {
    if (language == LANGUAGE_VI) {
        return phrases_parse(language, (const char *)vi_bytes, sizeof vi_bytes, ret_phrases,
                             ret_err);
    }
    return phrases_parse(language, (const char *)en_bytes, sizeof en_bytes, ret_phrases, ret_err);
}

struct phrases *phrases_destroy(struct phrases *phrases) {
    free(phrases);
    return NULL;
}

enum language phrases_language(const struct phrases *phrases) {
    return phrases->language;
}

const char *phrases_find(const struct phrases *phrases, const char *key) {
    for (size_t i = 0; i < phrases->count; i++) {
        if (strcmp(phrases->items[i].key, key) == 0) {
            return phrases->items[i].text;
        }
    }
    return NULL;
}
