/* What a person wants to know of an alert (deploy/schemas/alert.v1.json), read tolerantly: a field
 * that is not there is shown as "?" and never guessed. Thread rule: pure. */
#ifndef CANHBAO_SIM_TAIL_EVENT_H
#define CANHBAO_SIM_TAIL_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

enum { TAIL_TEXT_MAX = 160 };

struct tail_event {
    char id[TAIL_TEXT_MAX];
    char time[TAIL_TEXT_MAX]; /* RFC 3339 as in the body */
    char kind[TAIL_TEXT_MAX]; /* "raised", "lowered", ... */
    char hazard[TAIL_TEXT_MAX];
    char place_id[TAIL_TEXT_MAX];
    char place_name[TAIL_TEXT_MAX];
    char rule[TAIL_TEXT_MAX];
    char scale[TAIL_TEXT_MAX];
    char level_name[TAIL_TEXT_MAX];
    char knowledge[TAIL_TEXT_MAX];
    char cause[TAIL_TEXT_MAX];  /* why the knowledge is what it is */
    char status[TAIL_TEXT_MAX]; /* "Exercise", "Actual", ... */
    bool has_level;
    long level;
    bool reconstructed;
    bool provisional; /* the rule */
};

/* ERR_SYNTAX when the bytes are no JSON object. */
int tail_event_parse(const char *text, size_t length, struct tail_event *ret_event);

/* False for what happens by itself and changes no level: how well a level is known, a renewal, a
 * first look that finds nothing, a suppression, a notice handed on. */
bool tail_event_is_news(const struct tail_event *event);

/* One line without line break: local time (ICT), status, hazard, place, level with its scale, kind,
 * knowledge, rule. */
void tail_event_line(const struct tail_event *event, char *ret_text, size_t size);

#endif
