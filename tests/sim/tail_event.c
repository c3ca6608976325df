#include "tail_event.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"

enum { ICT_OFFSET_MIN = 7 * 60 };

/* Text for a terminal: one well-formed line, or "?". */
static void keep_text(const json_t *value, char *ret_text) {
    const char *text = json_string_value(value);
    if (text == NULL || text[0] == '\0' || !text_is_utf8_line(text, strlen(text)) ||
        text_copy(ret_text, TAIL_TEXT_MAX, text) != 0) {
        memcpy(ret_text, "?", 2);
    }
}

/* The first of the keys that holds a text. */
static void first_text(const json_t *object, char *ret_text, ...) {
    va_list keys;
    const json_t *found = NULL;
    va_start(keys, ret_text);
    for (const char *key = va_arg(keys, const char *); key != NULL && found == NULL;
         key = va_arg(keys, const char *)) {
        const json_t *value = json_object_get(object, key);
        found = json_is_string(value) ? value : NULL;
    }
    va_end(keys);
    keep_text(found, ret_text);
}

static void parse_level(const json_t *root, struct tail_event *event) {
    const json_t *level = json_object_get(root, "level");
    const json_t *value = json_object_get(level, "value");
    event->has_level = json_is_integer(value);
    event->level = event->has_level ? (long)json_integer_value(value) : 0;
    first_text(level, event->level_name, "name_vi", "name_en", (char *)NULL);
    first_text(level, event->scale, "scale_name_vi", "scale", (char *)NULL);
}

int tail_event_parse(const char *text, size_t length, struct tail_event *ret_event) {
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return ERR_SYNTAX;
    }
    struct tail_event event = {0};
    const json_t *place = json_object_get(root, "place");
    const json_t *rule = json_object_get(root, "rule");
    const json_t *knowledge = json_object_get(root, "knowledge");
    first_text(root, event.id, "id", (char *)NULL);
    first_text(root, event.time, "time", (char *)NULL);
    first_text(root, event.kind, "event", (char *)NULL);
    first_text(root, event.hazard, "hazard", (char *)NULL);
    first_text(place, event.place_id, "id", (char *)NULL);
    first_text(place, event.place_name, "name_vi", "name_en", (char *)NULL);
    first_text(rule, event.rule, "id", (char *)NULL);
    first_text(knowledge, event.knowledge, "state", (char *)NULL);
    first_text(knowledge, event.cause, "cause", (char *)NULL);
    first_text(root, event.status, "status", (char *)NULL);
    event.reconstructed = json_is_true(json_object_get(root, "reconstructed"));
    event.provisional = json_is_true(json_object_get(rule, "provisional"));
    parse_level(root, &event);
    json_decref(root);
    *ret_event = event;
    return 0;
}

void tail_event_line(const struct tail_event *event, char *ret_text, size_t size) {
    char local[32] = "?";
    char level[32] = "?";
    int64_t t_us;
    bool fresh = strcmp(event->knowledge, "fresh") == 0;
    if (text_parse_time(event->time, &t_us) == 0) {
        text_format_local(t_us, ICT_OFFSET_MIN, local, sizeof local);
    }
    if (event->has_level) {
        (void)snprintf(level, sizeof level, "%ld", event->level);
    }
    (void)snprintf(ret_text, size,
                   "%s ICT [%s%s] %s: %s (%s): %s: %s (%s), %s, knowledge %s%s%s, rule %s%s", local,
                   event->status, event->reconstructed ? ", reconstructed" : "", event->hazard,
                   event->place_name, event->place_id, event->scale, level, event->level_name,
                   event->kind, event->knowledge, fresh ? "" : ": ", fresh ? "" : event->cause,
                   event->rule, event->provisional ? " (provisional)" : "");
}

bool tail_event_is_news(const struct tail_event *event) {
    static const char *const others[] = {"knowledge", "renewed", "suppression", "notice"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(event->kind, others[i]) == 0) {
            return false;
        }
    }
    return strcmp(event->kind, "assessed") != 0 || !event->has_level || event->level > 0;
}
