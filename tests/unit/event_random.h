/* Random events of the demonstration site and of the test site of hazards: every rule, place, level
 * and axis, plausible or not. The same seed gives the same events. */
#ifndef CANHBAO_TESTS_EVENT_RANDOM_H
#define CANHBAO_TESTS_EVENT_RANDOM_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/event.h"
#include "alerts/message/json.h"
#include "daemon/config/site.h"

enum { RANDOM_SITES = 2 };

struct random_event {
    struct site *sites[RANDOM_SITES];
    uint64_t state;
    struct event event;
    struct alarm alarm;
    struct indicator indicators[RULE_INDICATORS_MAX];
    struct message_context context;
};

static inline uint64_t random_below(struct random_event *random, uint64_t bound) {
    random->state = random->state * 6364136223846793005U + 1442695040888963407U;
    return (random->state >> 33) % bound;
}

static inline int random_event_init(struct random_event *random, uint64_t seed) {
    struct units *units = NULL;
    struct config_errors errors = {.count = 0};
    struct err err;
    memset(random, 0, sizeof *random);
    random->state = seed;
    if (units_create(&units, &err) != 0) {
        return -1;
    }
    static const char *const dirs[RANDOM_SITES] = {CANHBAO_SOURCE_DIR "/deploy/sites/binh-dinh",
                                                   CANHBAO_SOURCE_DIR "/tests/data/sites/hazards"};
    int result = 0;
    for (int i = 0; result == 0 && i < RANDOM_SITES; i++) {
        result = site_load(dirs[i], units, &random->sites[i], &errors);
    }
    (void)units_destroy(units);
    return result;
}

static inline void random_event_finish(struct random_event *random) {
    for (int i = 0; i < RANDOM_SITES; i++) {
        (void)site_destroy(random->sites[i]);
    }
}

static inline void random_indicators(struct random_event *random, const struct site *site,
                                     const struct rule *rule, const struct rule_place *place,
                                     struct utc_us at) {
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        struct indicator *indicator = &random->indicators[i];
        const struct indicator_spec *spec = &rule->indicators[i];
        *indicator = (struct indicator){.value = NAN, .completeness = NAN};
        indicator->model.probability = indicator->model.coverage = NAN;
        if (spec->kind != INDICATOR_MODEL) {
            static const struct point silence = {.quantity = "silence", .unit = "s"};
            indicator->station = &site->stations[place->index];
            indicator->point = spec->kind == INDICATOR_SILENCE ? &silence : NULL;
            for (uint32_t p = 0; p < indicator->station->point_count; p++) {
                const struct point *point = &site->points[indicator->station->first_point + p];
                if (strcmp(point->id, spec->point) == 0) {
                    indicator->point = point;
                }
            }
        }
        indicator->knowledge = (enum knowledge)random_below(random, KNOWLEDGE_COUNT);
        indicator->lower_bound = random_below(random, 5) == 0;
        if (random_below(random, 10) > 0) {
            indicator->value = (double)random_below(random, 2000000) / 1000.0 *
                               pow(10, (double)random_below(random, 5) - 3);
            indicator->observed.utc.us = at.us - (int64_t)random_below(random, 7200000000);
        }
        indicator->newest.simulated = random_below(random, 40) == 0;
    }
}

/* The next event; its pointers hold until the call after. */
static inline void random_event_next(struct random_event *random) {
    const struct site *site = random->sites[random_below(random, RANDOM_SITES)];
    const struct rule *rule = &site->rules[random_below(random, site->rule_count)];
    const struct rule_place *place = &rule->places[random_below(random, rule->place_count)];
    static const enum event_kind kinds[] = {EVENT_RAISED, EVENT_LOWERED, EVENT_RENEWED,
                                            EVENT_EXPIRED};
    struct event *event = &random->event;
    struct alarm *alarm = &random->alarm;
    memset(event, 0, sizeof *event);
    memset(alarm, 0, sizeof *alarm);
    event->kind = kinds[random_below(random, 4)];
    /* 2020 to 2039, with fractions of seconds */
    event->at.utc.us = INT64_C(1577836800000000) +
                       (int64_t)random_below(random, 631152000) * 1000000 +
                       (int64_t)random_below(random, 1000000);
    (void)snprintf(event->id, sizeof event->id, "%016llx%016llx",
                   (unsigned long long)random_below(random, UINT64_MAX),
                   (unsigned long long)random_below(random, UINT64_MAX));
    struct place *told = &event->view.place;
    told->kind = place->kind;
    told->latitude_deg = told->longitude_deg = NAN;
    if (place->kind == PLACE_STATION) {
        const struct station *station = &site->stations[place->index];
        told->id = station->id;
        told->name_vi = station->name_vi;
        told->name_en = station->name_en;
        told->latitude_deg = station->latitude_deg;
        told->longitude_deg = station->longitude_deg;
        told->provisional = station->provisional;
        event->view.alarm_levels = station->alarm_levels.count > 0 ? &station->alarm_levels : NULL;
    } else {
        const struct area *area = &site->areas[place->index];
        told->id = area->id;
        told->name_vi = area->name_vi;
        told->name_en = area->name_en;
        told->provisional = area->provisional;
    }
    uint8_t count = (uint8_t)rule->scale.level_count;
    bool lowered = event->kind == EVENT_LOWERED;
    alarm->assessed = true;
    alarm->defined_mask = (uint8_t)(random_below(random, 4) == 0 && count > 1 ? 0x1e : 0x1f);
    alarm->level =
        (uint8_t)(lowered ? random_below(random, count) : 1 + random_below(random, count));
    event->change.previous_assessed = lowered || random_below(random, 4) > 0;
    event->change.previous_level = (uint8_t)(lowered ? alarm->level + 1U : alarm->level - 1U);
    event->change.what = CHANGE_LEVEL;
    alarm->trend = (enum trend)random_below(random, TREND_COUNT);
    alarm->knowledge = (enum knowledge)random_below(random, KNOWLEDGE_COUNT);
    alarm->level_since = event->at;
    alarm->expires.utc.us = event->at.utc.us + rule->expires_after_us;
    alarm->episode_start.us = event->at.utc.us - (int64_t)random_below(random, 86400000000);
    alarm->transition = 1 + random_below(random, 50);
    random_indicators(random, site, rule, place, event->at.utc);
    event->sequence = 1 + random_below(random, 1000);
    event->view.rule = rule;
    event->view.alarm = alarm;
    event->view.indicators = random->indicators;
    event->view.sequence = event->sequence;
    random->context.status = (enum message_status)random_below(random, 3);
    random->context.reconstructed = random_below(random, 3) == 0;
}

#endif
