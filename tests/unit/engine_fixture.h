/* A small site for tests of the engine: one gauge with a stage and a rain bucket, one area with a
 * model, and rules over them. Header only; every test program builds its own copy. */
#ifndef CANHBAO_TESTS_ENGINE_FIXTURE_H
#define CANHBAO_TESTS_ENGINE_FIXTURE_H

#include <math.h>
#include <string.h>

#include "daemon/engine.h"

#define SEC       INT64_C(1000000)
#define MIN       (60 * SEC)
#define HOUR      (60 * MIN)
#define START_UTC INT64_C(1763427600000000) /* 2025-11-18T01:00:00Z */

enum { POINT_STAGE, POINT_RAIN, FIXTURE_POINTS };
enum { RULE_FLOOD, RULE_RISE, RULE_RAIN, FIXTURE_RULES };

struct fixture {
    struct station stations[1];
    struct point points[FIXTURE_POINTS];
    struct area areas[1];
    struct rule rules[FIXTURE_RULES];
    struct rule_place at_gauge, at_area;
    struct rule_row hours[2]; /* of the bulletins of RULE_FLOOD */
    struct engine_site site;
};

static inline struct quality_limits fixture_no_limits(void) {
    double none = (double)NAN;
    return (struct quality_limits){.hard_min = none,
                                   .hard_max = none,
                                   .soft_min = none,
                                   .soft_max = none,
                                   .rate_max_per_s = none,
                                   .spike_suspect = none,
                                   .spike_fail = none,
                                   .flat_epsilon = none,
                                   .revision = 1};
}

static inline void fixture_point(struct point *point, const char *id, enum point_kind kind,
                                 const char *unit) {
    memset(point, 0, sizeof *point);
    strcpy(point->id, id);
    strcpy(point->quantity, id);
    strcpy(point->unit, unit);
    point->kind = kind;
    point->period_us = 60 * SEC;
    point->stale_after_us = 180 * SEC;
    point->counter_modulus = (double)NAN;
    point->counter_step_max = 100;
    point->quality = fixture_no_limits();
}

static inline void fixture_rule(struct rule *rule, const char *id, const char *scale,
                                uint32_t levels) {
    memset(rule, 0, sizeof *rule);
    strcpy(rule->id, id);
    rule_revision(id, strlen(id), rule->revision);
    strcpy(rule->hazard, "flood");
    strcpy(rule->text_vi, "Mực nước vượt ngưỡng");
    strcpy(rule->text_en, "Stage above the threshold");
    strcpy(rule->source, "our assumption");
    rule->provisional = true;
    strcpy(rule->scale.id, scale);
    strcpy(rule->scale.name_vi, "thang thử");
    strcpy(rule->scale.name_en, "test scale");
    rule->scale.kind = SCALE_OWN;
    rule->scale.level_count = levels;
    for (uint32_t i = 0; i < levels; i++) {
        strcpy(rule->scale.levels[i].name_vi, "cấp");
        strcpy(rule->scale.levels[i].name_en, "level");
        rule->scale.levels[i].name_en[5] = (char)('1' + i);
    }
    rule->level_count = levels;
    for (uint32_t i = 0; i < levels; i++) {
        rule->levels[i] = (struct rule_level){.level = (uint8_t)(i + 1),
                                              .first_node = (uint16_t)i,
                                              .node_count = 1,
                                              .required = KNOWLEDGE_DOUBTFUL};
    }
    rule->node_count = levels;
    rule->expires_after_us = 6 * HOUR;
    rule->place_count = 1;
}

static inline struct indicator_spec fixture_spec(enum indicator_kind kind, const char *point,
                                                 int64_t window_us) {
    struct indicator_spec spec = {.kind = kind,
                                  .window_us = window_us,
                                  .min_completeness = 0.9,
                                  .min_probability = (double)NAN,
                                  .probability = (double)NAN};
    strcpy(spec.point, point);
    return spec;
}

static inline struct indicator_spec fixture_model_spec(const char *variable, int64_t max_age_us) {
    struct indicator_spec spec = {.kind = INDICATOR_MODEL,
                                  .max_age_us = max_age_us,
                                  .min_probability = (double)NAN,
                                  .probability = (double)NAN};
    strcpy(spec.product, "radar");
    strcpy(spec.variable, variable);
    strcpy(spec.unit, "mm");
    return spec;
}

static inline struct rule_node fixture_compare(uint8_t indicator, double threshold,
                                               double hysteresis) {
    return (struct rule_node){.kind = NODE_COMPARE,
                              .indicator = indicator,
                              .comparison = COMPARE_AT_LEAST,
                              .threshold = threshold,
                              .hysteresis = hysteresis};
}

/* flood: stage against the gauge's alarm levels 2, 4, 6 m, hysteresis 0.5 m; level 2 has an
 * on-delay of 2 min, all have an off-delay of 2 min. fast: area; rise of the gauge over 10 min >= 3
 * m, or model "rain_mean" >= 5; only fresh evidence may raise; hysteresis 1; no delays; expires
 * after 20 min. rain: accumulation over 1 h >= 20 and >= 50 mm at the gauge, off-delay 10 min. */
static inline void fixture_init(struct fixture *f) {
    memset(f, 0, sizeof *f);
    struct station *station = &f->stations[0];
    strcpy(station->id, "gauge");
    strcpy(station->name_vi, "Trạm thử");
    strcpy(station->name_en, "Test gauge");
    station->latitude_deg = 13.91;
    station->longitude_deg = 109.05;
    station->alarm_levels =
        (struct alarm_levels){.count = 3, .at = {2, 4, 6}, .unit = "m", .source = "test"};
    station->point_count = FIXTURE_POINTS;
    fixture_point(&f->points[POINT_STAGE], "stage", POINT_INSTANT, "m");
    f->points[POINT_STAGE].quality.hard_min = -1;
    f->points[POINT_STAGE].quality.hard_max = 20;
    f->points[POINT_STAGE].quality.soft_min = -1;
    f->points[POINT_STAGE].quality.soft_max = 10;
    fixture_point(&f->points[POINT_RAIN], "tips", POINT_COUNTER, "mm");
    f->points[POINT_RAIN].quality.hard_min = 0;
    f->points[POINT_RAIN].quality.hard_max = 1e6;
    strcpy(f->areas[0].id, "basin");
    strcpy(f->areas[0].name_vi, "Lưu vực");
    strcpy(f->areas[0].name_en, "Basin");
    f->at_gauge = (struct rule_place){PLACE_STATION, 0};
    f->at_area = (struct rule_place){PLACE_AREA, 0};

    struct rule *flood = &f->rules[RULE_FLOOD];
    fixture_rule(flood, "flood", "flood_alarm", 3);
    flood->scale.kind = SCALE_FLOOD_ALARM;
    flood->indicator_count = 1;
    flood->indicators[0] = fixture_spec(INDICATOR_LATEST, "stage", 0);
    for (uint8_t i = 0; i < 3; i++) {
        flood->nodes[i] = fixture_compare(0, 0, 0.5);
        flood->nodes[i].station_level = (uint8_t)(i + 1);
        flood->levels[i].off_delay_us = 2 * MIN;
    }
    flood->levels[1].on_delay_us = 2 * MIN;
    flood->trend_deadband = 0.1;
    flood->places = &f->at_gauge;
    for (uint8_t i = 0; i < 2; i++) {
        strcpy(f->hours[i].table, "bulletin_hours");
        strcpy(f->hours[i].id, i == 0 ? "flood" : "emergency_flood");
        strcpy(f->hours[i].column, "hours_ict");
        strcpy(f->hours[i].source, "as the table that ships");
        strcpy(f->hours[i].kind, "memory");
        strcpy(f->hours[i].confidence, "memory");
        f->hours[i].provisional = true;
    }
    flood->rows = f->hours;
    flood->row_count = 2;
    flood->issue_count = 2;
    flood->issues[0] = (struct rule_issue){2, 2, {570, 1290}, 1};
    flood->issues[1] = (struct rule_issue){3, 4, {210, 570, 930, 1290}, 2};

    struct rule *fast = &f->rules[RULE_RISE];
    fixture_rule(fast, "fast", "fast_rise", 1);
    fast->indicator_count = 2;
    fast->indicators[0] = fixture_spec(INDICATOR_RISE, "stage", 10 * MIN);
    strcpy(fast->indicators[0].station, "gauge");
    fast->indicators[1] = fixture_model_spec("rain_mean", 10 * MIN);
    fast->node_count = 3;
    fast->nodes[0] = (struct rule_node){.kind = NODE_ANY, .child_count = 2};
    fast->nodes[1] = fixture_compare(0, 3, 1);
    fast->nodes[2] = fixture_compare(1, 5, 1);
    fast->levels[0].node_count = 3;
    fast->levels[0].required = KNOWLEDGE_FRESH;
    fast->expires_after_us = 20 * MIN;
    fast->places = &f->at_area;

    struct rule *rain = &f->rules[RULE_RAIN];
    fixture_rule(rain, "rain", "risk", 2);
    rain->scale.kind = SCALE_RISK;
    rain->indicator_count = 1;
    rain->indicators[0] = fixture_spec(INDICATOR_ACCUMULATION, "tips", HOUR);
    rain->nodes[0] = fixture_compare(0, 20, 0);
    rain->nodes[1] = fixture_compare(0, 50, 0);
    rain->levels[0].off_delay_us = rain->levels[1].off_delay_us = 10 * MIN;
    rain->places = &f->at_gauge;

    f->site = (struct engine_site){.stations = f->stations,
                                   .station_count = 1,
                                   .points = f->points,
                                   .point_count = FIXTURE_POINTS,
                                   .areas = f->areas,
                                   .area_count = 1,
                                   .rules = f->rules,
                                   .rule_count = FIXTURE_RULES};
}

static inline struct moment fixture_at(int64_t us) {
    return (struct moment){{us}, {START_UTC + us}};
}

static inline struct engine_input fixture_input(enum engine_input_kind kind, uint64_t number,
                                                int64_t now_us) {
    struct engine_input input;
    memset(&input, 0, sizeof input);
    input.kind = kind;
    input.number = number;
    input.now = fixture_at(now_us);
    return input;
}

/* A mean rain of the radar over the area. */
static inline struct engine_input fixture_model_input(uint64_t number, int64_t now_us,
                                                      int64_t reference_us, double value) {
    struct engine_input input = fixture_input(ENGINE_MODEL_RESULT, number, now_us);
    struct model_result *result = &input.as.model_result;
    strcpy(result->product, "radar");
    strcpy(result->model, "areal");
    strcpy(result->place, "basin");
    strcpy(result->variable, "rain_mean");
    strcpy(result->unit, "mm");
    result->reference_time.us = START_UTC + reference_us;
    result->value = value;
    result->coverage = 1;
    result->probability = (double)NAN;
    return input;
}

#endif
