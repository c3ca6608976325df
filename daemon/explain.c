#include "daemon/explain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/counterfactual.h"
#include "daemon/base/text.h"
#include "daemon/recompute.h"

enum { READINGS_SHOWN = 500, WORDS_SIZE = 4096, NUMBER_SIZE = 40 };

/* ---- the texts of rules ---- */

static void meta_key(const char *revision, char ret_key[STORE_META_KEY_MAX + 1]) {
    (void)snprintf(ret_key, STORE_META_KEY_MAX + 1, "rule/%s", revision);
}

int explain_keep_rules(struct store *store, const struct site *site) {
    char key[STORE_META_KEY_MAX + 1];
    char known[1];
    size_t length;
    int result = 0;
    for (size_t i = 0; result == 0 && i < site->rule_count; i++) {
        char *text;
        meta_key(site->rules[i].revision, key);
        if (store_get_meta(store, key, known, sizeof known, &length) != ERR_NOT_FOUND) {
            continue; /* it is there: ERR_LIMIT, as it is longer */
        }
        result = site_rule_text(site, &site->rules[i], &text, &length);
        if (result == 0) {
            result = store_put_meta(store, key, text, length);
            free(text);
        }
    }
    return result;
}

static json_t *rule_text(struct store *store, const char *revision) {
    static char text[1 << 16];
    char key[STORE_META_KEY_MAX + 1];
    size_t length;
    meta_key(revision, key);
    if (store_get_meta(store, key, text, sizeof text, &length) != 0) {
        return json_null();
    }
    return json_stringn(text, length);
}

/* ---- conditions in words ---- */

struct words {
    char text[WORDS_SIZE];
    size_t length;
};

static void put(struct words *words, const char *text) {
    size_t count = strlen(text);
    if (count < sizeof words->text - words->length) {
        memcpy(words->text + words->length, text, count + 1);
        words->length += count;
    }
}

static const char *unit_of(const struct rule *rule, const struct indicator *indicators,
                           uint32_t index) {
    const struct indicator_spec *spec = &rule->indicators[index];
    return spec->kind == INDICATOR_MODEL ? spec->unit : indicators[index].point->unit;
}

static void put_indicator(struct words *words, const struct rule *rule, uint32_t index) {
    const struct indicator_spec *spec = &rule->indicators[index];
    char window[48] = "";
    put(words, indicator_kind_name(spec->kind));
    put(words, " ");
    put(words, spec->kind == INDICATOR_MODEL ? spec->variable : spec->point);
    if (spec->window_us > 0) {
        (void)snprintf(window, sizeof window, " over %g min", (double)spec->window_us / 6e7);
    }
    put(words, window);
}

static void put_comparison(struct words *words, const struct rule *rule,
                           const struct rule_node *node, const struct recompute *computed) {
    static const char *const signs[] = {" >= ", " > ", " <= ", " < "};
    char number[NUMBER_SIZE];
    put_indicator(words, rule, node->indicator);
    put(words, signs[node->comparison]);
    (void)text_format_double(rule_threshold(node, computed->alarm_levels), number, sizeof number);
    put(words, number);
    put(words, " ");
    put(words, unit_of(rule, computed->indicators, node->indicator));
    if (node->station_level > 0) {
        (void)snprintf(number, sizeof number, " (alarm level %u here)", node->station_level);
        put(words, node->station_level == STATION_LEVEL_HISTORIC ? " (highest flood on record here)"
                                                                 : number);
    }
}

/* ", in force from 2026-01-01": days of Vietnam. */
static void put_validity(struct words *words, const struct rule_row *row) {
    char from[40], to[40], text[120];
    if (row->valid_from_us == 0 && row->valid_to_us == 0) {
        return;
    }
    text_format_time(row->valid_from_us + INT64_C(7) * 3600 * 1000000, from, sizeof from);
    text_format_time(row->valid_to_us + INT64_C(7) * 3600 * 1000000 - 1000000, to, sizeof to);
    (void)snprintf(text, sizeof text, ", in force from %.10s%s%.10s", from,
                   row->valid_to_us != 0 ? " to " : "", row->valid_to_us != 0 ? to : "");
    put(words, text);
}

/* Returns the node behind the tree. The depth is bounded by rule_check(). */
static uint32_t put_condition(struct words *words, const struct rule *rule, uint32_t at,
                              const struct recompute *computed) {
    const struct rule_node *node = &rule->nodes[at++];
    if (node->kind == NODE_COMPARE) {
        put_comparison(words, rule, node, computed);
    } else {
        put(words, "(");
        for (uint8_t i = 0; i < node->child_count; i++) {
            put(words, i == 0                     ? ""
                       : node->kind == NODE_ALL   ? " and "
                       : node->kind == NODE_DATED ? " or, by its date, "
                                                  : " or ");
            at = put_condition(words, rule, at, computed);
        }
        put(words, ")");
    }
    if (node->row > 0) {
        const struct rule_row *row = &rule->rows[node->row - 1];
        char article[24] = "";
        if (row->article > 0) {
            (void)snprintf(article, sizeof article, ", Art. %u", row->article);
        }
        put(words, " [");
        put(words, row->id);
        put(words, article);
        put_validity(words, row);
        put(words, row->provisional ? ", provisional]" : "]");
    }
    return at;
}

static json_t *levels_value(const struct rule *rule, uint32_t held,
                            const struct recompute *computed) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < rule->level_count; i++) {
        const struct rule_level *level = &rule->levels[i];
        struct words words = {.length = 0};
        (void)put_condition(&words, rule, level->first_node, computed);
        struct verdict verdict = rule_evaluate(rule, i, level->level <= held,
                                               computed->alarm_levels, computed->indicators);
        bool defined = rule_level_defined(rule, i, computed->alarm_levels);
        json_array_append_new(
            list, json_pack("{s:s,s:i,s:s,s:s,s:s,s:b,s:o}", "scale", rule->scale.id, "level",
                            (int)level->level, "level_name_vi",
                            scale_level_name_vi(&rule->scale, level->level), "level_name_en",
                            scale_level_name_en(&rule->scale, level->level), "condition",
                            words.text, "graded_here", defined, "holds",
                            !defined || verdict.value == TRI_UNKNOWN
                                ? json_null()
                                : json_boolean(verdict.value == TRI_TRUE)));
    }
    return list;
}

/* ---- counterfactual ---- */

static json_t *number_value(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

/* The indicator whose change is the smallest share of its value's size. */
static json_t *counterfactual_value(const struct rule *rule, uint32_t held,
                                    const struct recompute *computed) {
    struct counterfactual best = {.indicator = 0};
    double best_share = INFINITY;
    bool have = false;
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        struct counterfactual found;
        if (!counterfactual_of(rule, held, computed->alarm_levels, computed->indicators, i,
                               &found)) {
            continue;
        }
        double present = computed->indicators[i].value;
        double size = fmax(fabs(present), fabs(found.value));
        double share = isnan(present) || size <= 0 ? 1 : fabs(found.value - present) / size;
        if (!have || share < best_share) {
            best = found;
            best_share = share;
            have = true;
        }
    }
    if (!have) {
        return json_null();
    }
    struct words words = {.length = 0};
    put_indicator(&words, rule, best.indicator);
    return json_pack("{s:s,s:s,s:o,s:f,s:i,s:s,s:s,s:s}", "indicator", words.text, "unit",
                     unit_of(rule, computed->indicators, best.indicator), "value",
                     number_value(computed->indicators[best.indicator].value), "nearest",
                     best.value, "level", (int)best.level, "level_name_vi",
                     scale_level_name_vi(&rule->scale, best.level), "level_name_en",
                     scale_level_name_en(&rule->scale, best.level), "scale", rule->scale.id);
}

/* ---- what the evidence was made of ---- */

static int add_reading(void *user, const struct reading *reading) {
    char time[32];
    json_t *list = user;
    text_format_time(reading->received.utc.us, time, sizeof time);
    json_array_append_new(
        list,
        json_pack("{s:I,s:s,s:o,s:s,s:i,s:i,s:i,s:i}", "seq", (json_int_t)reading->seq, "time",
                  time, "value", number_value(reading->value), "status",
                  reading_status_name(reading->status), "flag", (int)reading->flag, "suspect_tests",
                  (int)reading->suspect_tests, "fail_tests", (int)reading->fail_tests,
                  "quality_revision", (int)reading->quality_revision));
    return 0;
}

static int64_t time_of(const json_t *object, const char *key, int64_t otherwise) {
    int64_t us;
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text_parse_time(text, &us) == 0 ? us : otherwise;
}

/* The stored readings between the oldest and the newest of one indicator's evidence. */
static json_t *readings_value(struct store *store, const json_t *evidence, struct err *err) {
    const char *station = json_string_value(json_object_get(evidence, "station"));
    const char *point = json_string_value(json_object_get(evidence, "point"));
    const char *unit = json_string_value(json_object_get(evidence, "unit"));
    const json_t *newest = json_object_get(evidence, "newest");
    json_t *list = json_array();
    int64_t handle;
    if (station == NULL || point == NULL || unit == NULL || !json_is_object(newest)) {
        return list;
    }
    int64_t to_us = time_of(newest, "time", 0);
    int64_t from_us = time_of(json_object_get(evidence, "oldest"), "time", to_us);
    int64_t limit_us = to_us; /* the newest ones when there are too many */
    if (store_point_handle(store, station, point, unit, &handle, err) == 0) {
        struct utc_us from = {from_us < limit_us ? from_us - 1000000 : limit_us};
        struct utc_us to = {to_us + 1};
        (void)store_read_readings(store, handle, from, to, READINGS_SHOWN, add_reading,
                                  list); /* a list that is short shows in its count */
    }
    return list;
}

static json_t *inputs_value(struct store *store, const json_t *event, struct err *err) {
    json_t *list = json_array();
    size_t index;
    json_t *evidence;
    json_array_foreach(json_object_get(event, "evidence"), index, evidence) {
        json_t *item = json_object();
        json_object_set(item, "indicator", json_object_get(evidence, "indicator"));
        json_object_set(item, "station", json_object_get(evidence, "station"));
        json_object_set(item, "point", json_object_get(evidence, "point"));
        json_object_set(item, "unit", json_object_get(evidence, "unit"));
        json_object_set(item, "count", json_object_get(evidence, "count"));
        json_object_set(item, "run", json_object_get(evidence, "model"));
        json_object_set_new(item, "readings", readings_value(store, evidence, err));
        json_array_append_new(list, item);
    }
    return list;
}

/* ---- the whole report ---- */

struct found_event {
    json_t *body;
    struct utc_us at;
    char rule[STATION_ID_SIZE], place[STATION_ID_SIZE];
};

static int keep_event(void *user, const struct store_event *event) {
    struct found_event *found = user;
    found->body = json_loadb(event->body, event->body_len, 0, NULL);
    found->at = event->time;
    (void)text_copy(found->rule, sizeof found->rule, event->rule);
    (void)text_copy(found->place, sizeof found->place, event->place);
    return json_is_object(found->body) ? 0 : ERR_CORRUPT;
}

static const struct rule *find_rule(const struct site *site, const char *id) {
    for (size_t i = 0; i < site->rule_count; i++) {
        if (strcmp(site->rules[i].id, id) == 0) {
            return &site->rules[i];
        }
    }
    return NULL;
}

static const struct rule_place *find_place(const struct site *site, const struct rule *rule,
                                           const char *id) {
    for (size_t i = 0; i < rule->place_count; i++) {
        const struct rule_place *place = &rule->places[i];
        const char *own = place->kind == PLACE_STATION ? site->stations[place->index].id
                                                       : site->areas[place->index].id;
        if (strcmp(own, id) == 0) {
            return place;
        }
    }
    return NULL;
}

static void report_not_done(json_t *report, const char *reason) {
    json_object_set_new(report, "levels", json_array());
    json_object_set_new(report, "counterfactual", json_null());
    json_object_set_new(report, "recomputed",
                        json_pack("{s:b,s:n,s:i,s:n,s:[],s:s}", "done", 0, "from", "inputs", 0,
                                  "same", "differences", "reason", reason));
}

static void report_computed(json_t *report, const struct rule *rule, const json_t *event,
                            const struct recompute *computed) {
    const json_t *level = json_object_get(event, "level");
    uint32_t held = (uint32_t)json_integer_value(json_object_get(level, "value"));
    json_object_set_new(report, "levels", levels_value(rule, held, computed));
    json_object_set_new(report, "counterfactual", counterfactual_value(rule, held, computed));
    json_object_set_new(report, "recomputed",
                        json_pack("{s:b,s:s,s:I,s:b,s:O,s:n}", "done", 1, "from", computed->from,
                                  "inputs", (json_int_t)computed->inputs, "same",
                                  json_array_size(computed->differences) == 0, "differences",
                                  computed->differences, "reason"));
}

static int recompute_into(json_t *report, struct store *store, const struct site *site,
                          const struct found_event *found, uint64_t inputs_max,
                          struct err *ret_err) {
    const struct rule *rule = find_rule(site, found->rule);
    const struct rule_place *place = rule != NULL ? find_place(site, rule, found->place) : NULL;
    const char *revision =
        json_string_value(json_object_get(json_object_get(found->body, "rule"), "revision"));
    if (place == NULL || revision == NULL) {
        report_not_done(report, "the site has no such rule at this place any more");
        return 0;
    }
    if (strcmp(revision, rule->revision) != 0) {
        report_not_done(report, "the rule has another revision now");
        return 0;
    }
    const struct engine_site engine_site = site_for_engine(site, NULL);
    struct recompute_options options = {.store = store,
                                        .site = &engine_site,
                                        .rule = rule,
                                        .place = *place,
                                        .event = found->body,
                                        .at = found->at,
                                        .inputs_max = inputs_max};
    struct recompute computed;
    int result = recompute_decision(&options, &computed, ret_err);
    if (result == ERR_NOT_FOUND || result == ERR_LIMIT || result == ERR_UNSUPPORTED) {
        report_not_done(report, result == ERR_LIMIT
                                    ? "too many inputs to look through in a running daemon; see "
                                      "--state-dir"
                                    : ret_err->text);
        return 0;
    }
    if (result == 0) {
        report_computed(report, rule, found->body, &computed);
        json_decref(computed.differences);
    }
    return result;
}

int explain_event(struct store *store, const struct site *site, const char *id, uint64_t inputs_max,
                  json_t **ret_report, struct err *ret_err) {
    struct found_event found = {.body = NULL};
    int result = store_find_event(store, id, keep_event, &found);
    if (result != 0) {
        json_decref(found.body);
        return err_set(ret_err, result,
                       result == ERR_NOT_FOUND ? "the store has no event '%.64s'"
                                               : "the event '%.64s' cannot be read",
                       id);
    }
    const char *revision =
        json_string_value(json_object_get(json_object_get(found.body, "rule"), "revision"));
    json_t *report = json_object();
    json_object_set_new(report, "event", json_incref(found.body));
    json_object_set_new(report, "rule_text", rule_text(store, revision != NULL ? revision : ""));
    json_object_set_new(report, "inputs", inputs_value(store, found.body, ret_err));
    result = recompute_into(report, store, site, &found, inputs_max, ret_err);
    json_decref(found.body);
    if (result != 0) {
        json_decref(report);
        return result;
    }
    *ret_report = report;
    return 0;
}
