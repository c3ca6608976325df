#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"
#include "daemon/base/text.h"
#include "daemon/config/rule_reader.h"

/* What the models give: the unit of a rate (window 0) and of an accumulation; NULL: there is none.
 */
static const struct {
    const char *model, *variable, *unit_instant, *unit_window;
} model_outputs[] = {
    {"areal", "rain_mean", "mm h-1", "mm"},
    {"areal", "rain_max", "mm h-1", "mm"},
    {"areal", "rain_covered", "1", NULL},
    {"merge", "rain_mean", NULL, "mm"},
    {"merge", "rain_max", NULL, "mm"},
    {"merge", "radar_share", "1", NULL},
    {"merge", "suspect_share", "1", NULL},
    {"merge", "radar_used", "1", NULL},
    {"merge", "gauges_used", "1", NULL},
    {"merge", "gauges_suspect", "1", NULL},
    {"merge", "left_out_bias", "mm h-1", NULL},
    {"merge", "left_out_mae", "mm h-1", NULL},
    {"merge", "left_out_rmse", "mm h-1", NULL},
    {"merge", "radar_factor", "1", NULL},
    {"merge", "radar_mae", "mm h-1", NULL},
    {"washout", "dose_alarm", "1", NULL},
    {"washout", "dose_rain", "1", NULL},
    {"release", "gas_suspect", "1", NULL},
    {"release", "gas_doubt", "1", NULL},
    {"washout", "dose_excess", "nSv/h", NULL},
    {"washout", "dose_washout", "nSv/h", NULL},
    {"washout", "dose_baseline", "nSv/h", NULL},
    {"washout", "dose_significance", "1", NULL},
    {"washout", "dose_neighbours", "1", NULL},
    {"release", "plume_level", "1", NULL},
    {"release", "plume_conc", "mg m-3", NULL},
    {"release", "plume_share", "1", NULL},
    {"release", "plume_people", "1", NULL},
    {"flood", "discharge", "m3 s-1", NULL},
    {"flood", "discharge_q05", "m3 s-1", NULL},
    {"flood", "discharge_q25", "m3 s-1", NULL},
    {"flood", "discharge_q75", "m3 s-1", NULL},
    {"flood", "discharge_q95", "m3 s-1", NULL},
    {"flood", "discharge_zero_rain", "m3 s-1", NULL},
    {"flood", "discharge_persistence", "m3 s-1", NULL},
    {"flood", "stage", "m", NULL},
    {"flood", "stage_q05", "m", NULL},
    {"flood", "stage_q25", "m", NULL},
    {"flood", "stage_q75", "m", NULL},
    {"flood", "stage_q95", "m", NULL},
    {"flood", "stage_zero_rain", "m", NULL},
    {"flood", "stage_persistence", "m", NULL},
    {"flood", "probability_level_1", "1", "1"},
    {"flood", "probability_level_2", "1", "1"},
    {"flood", "probability_level_3", "1", "1"},
    {"flood", "time_to_level_1", "h", NULL},
    {"flood", "time_to_level_2", "h", NULL},
    {"flood", "time_to_level_3", "h", NULL},
    {"flood", "peak_discharge", "m3 s-1", NULL},
    {"flood", "peak_stage", "m", NULL},
    {"nwp", "rain_mean", NULL, "mm"},
    {"flashflood", "ffg_min", NULL, "mm"},
    {"flashflood", "ffg_ratio", NULL, "1"},
    {"flashflood", "ffg_share", NULL, "1"},
    {"flashflood", "unit_streamflow", "m3 s-1 km-2", NULL},
    {"flashflood", "peak_unit_streamflow", NULL, "m3 s-1 km-2"},
    {"flashflood", "peak_unit_streamflow_zero_rain", NULL, "m3 s-1 km-2"},
    {"flashflood", "peak_unit_streamflow_persistence", NULL, "m3 s-1 km-2"},
    {"slopes", "probability_level_1", "1", NULL},
    {"slopes", "probability_level_2", "1", NULL},
    {"slopes", "probability_level_3", "1", NULL},
    {"slopes", "share_level_1", "1", NULL},
    {"slopes", "share_level_2", "1", NULL},
    {"slopes", "share_level_3", "1", NULL},
    {"slopes", "threshold_ratio", "1", NULL},
    {"slopes", "api_max", "mm", NULL},
};

/* ---- places ---- */

static void add_place(struct rule_reader *reader, const struct yaml_node *node,
                      enum place_kind kind, uint32_t index) {
    struct rule *rule = reader->rule;
    for (size_t i = 0; i < rule->place_count; i++) {
        if (rule->places[i].kind == kind && rule->places[i].index == index) {
            yaml_error(errors_of(reader), node, "the place '%s' is given twice", node->text);
            return;
        }
    }
    struct rule_place *place =
        loader_append(reader->loader, node, &rule->places, &rule->place_count, sizeof *place,
                      SITE_STATIONS_MAX, "places of a rule");
    if (place != NULL) {
        *place = (struct rule_place){.kind = kind, .index = index};
    }
}

static void read_place_list(struct rule_reader *reader, const struct yaml_node *list,
                            enum place_kind kind) {
    const struct loader *loader = reader->loader;
    const struct site *site = loader->site;
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        if (option_expect(&loader->reader, node, YAML_SCALAR) != 0) {
            continue;
        }
        const struct loader_id *id =
            kind == PLACE_STATION ? loader_find(loader->stations, site->station_count, node->text)
                                  : loader_find(loader->areas, site->area_count, node->text);
        if (id == NULL) {
            yaml_error(errors_of(reader), node, "the %s '%.80s' is unknown",
                       kind == PLACE_STATION ? "station" : "area", node->text);
            continue;
        }
        add_place(reader, node, kind, id->index);
    }
}

static void read_station_kind(struct rule_reader *reader, const struct yaml_node *node) {
    const struct loader *loader = reader->loader;
    const struct site *site = loader->site;
    if (node == NULL || option_expect(&loader->reader, node, YAML_SCALAR) != 0) {
        return;
    }
    size_t before = reader->rule->place_count;
    for (uint32_t i = 0; i < site->station_count; i++) {
        if (strcmp(site->stations[i].kind, node->text) == 0) {
            add_place(reader, node, PLACE_STATION, i);
        }
    }
    if (reader->rule->place_count == before) {
        yaml_error(errors_of(reader), node, "no station is of kind '%.80s'", node->text);
    }
}

static void read_places(struct rule_reader *reader, const struct yaml_node *map) {
    const struct yaml_node *node =
        loader_section(reader->loader, &group_places, map, "places", NULL);
    if (node == NULL || node->kind != YAML_MAP) {
        return;
    }
    size_t errors = config_errors_total(errors_of(reader));
    read_place_list(reader, yaml_member(node, "stations"), PLACE_STATION);
    read_place_list(reader, yaml_member(node, "areas"), PLACE_AREA);
    read_station_kind(reader, yaml_member(node, "station_kind"));
    if (reader->rule->place_count == 0 && config_errors_total(errors_of(reader)) == errors) {
        yaml_error(errors_of(reader), node, "no place is given; expected at least one");
    }
}

/* ---- indicators ---- */

static const char *place_id(const struct site *site, const struct rule_place *place) {
    return place->kind == PLACE_STATION ? site->stations[place->index].id
                                        : site->areas[place->index].id;
}

static const struct point *find_point(const struct site *site, uint32_t station, const char *id) {
    const struct station *found = &site->stations[station];
    for (uint32_t i = 0; i < found->point_count; i++) {
        if (strcmp(site->points[found->first_point + i].id, id) == 0) {
            return &site->points[found->first_point + i];
        }
    }
    return NULL;
}

static void check_point_use(struct rule_reader *reader, const struct yaml_node *node,
                            uint32_t index, uint32_t station) {
    const struct site *site = reader->loader->site;
    const struct indicator_spec *spec = &reader->rule->indicators[index];
    const struct yaml_node *name = yaml_member(node, "point");
    const struct point *point = find_point(site, station, spec->point);
    char *unit = reader->units[index];
    if (point == NULL) {
        yaml_error(errors_of(reader), name, "the station '%s' has no point '%s'",
                   site->stations[station].id, spec->point);
        return;
    }
    bool total = point->kind != POINT_INSTANT;
    if (total != (spec->kind == INDICATOR_ACCUMULATION)) {
        yaml_error(errors_of(reader), yaml_member(node, "kind"),
                   "the point '%s' of '%s' is %s; expected %s", spec->point,
                   site->stations[station].id, total ? "a total" : "a state",
                   total ? "accumulation" : "another kind");
    }
    if (spec->window_us > 0 && spec->window_us < point->period_us) {
        yaml_error(errors_of(reader), yaml_member(node, "window"),
                   "the window is shorter than the period of the point '%s' of '%s'", spec->point,
                   site->stations[station].id);
    }
    if (unit[0] == '\0') {
        (void)text_copy(unit, STATION_UNIT_SIZE, point->unit);
    } else if (strcmp(unit, point->unit) != 0) {
        yaml_error(errors_of(reader), name,
                   "the point is in '%s' at '%s' and in '%s' elsewhere; expected one unit",
                   point->unit, site->stations[station].id, unit);
    }
}

static const char *expected_window(enum indicator_kind kind) {
    switch (kind) {
    case INDICATOR_LATEST:
        return "an indicator of kind latest has no window";
    case INDICATOR_NOWCAST:
        return "an indicator of kind nowcast has a window of 12 h";
    case INDICATOR_HIGHEST_HOUR:
    case INDICATOR_HIGHEST_8H:
        return "an indicator of this kind has a window of whole hours, 1 h to 48 h";
    case INDICATOR_LOWEST_DAILY_MAX:
    case INDICATOR_HIGHEST_DAILY_MEAN:
        return "an indicator of this kind has a window of whole days, 1 d to 30 d";
    default:
        return "the key 'window' is missing or 0 s";
    }
}

static void check_point_indicator(struct rule_reader *reader, const struct yaml_node *node,
                                  uint32_t index) {
    const struct loader *loader = reader->loader;
    const struct site *site = loader->site;
    const struct rule *rule = reader->rule;
    const struct indicator_spec *spec = &rule->indicators[index];
    static const char *const foreign[] = {
        "product",      "variable",        "unit",       "lead", "min_lead",
        "min_coverage", "min_probability", "probability"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (yaml_member(node, foreign[i]) != NULL) {
            yaml_error_key(errors_of(reader), yaml_member(node, foreign[i]),
                           "only an indicator of kind model has it");
        }
    }
    if (spec->kind >= INDICATOR_NOWCAST) {
        /* Which hours and days count, and the division where the Decision has none, are ours
         * (window.h). */
        reader->rule->provisional = true;
    }
    if (!indicator_window_fits(spec->kind, spec->window_us)) {
        yaml_error(errors_of(reader), node, "%s", expected_window(spec->kind));
    }
    if (spec->point[0] == '\0') {
        yaml_error(errors_of(reader), node, "the key 'point' is missing");
        return;
    }
    if (spec->station[0] != '\0') {
        const struct loader_id *id =
            loader_find(loader->stations, site->station_count, spec->station);
        if (id == NULL) {
            yaml_error(errors_of(reader), yaml_member(node, "station"),
                       "the station '%s' is unknown", spec->station);
        } else {
            check_point_use(reader, node, index, id->index);
        }
        return;
    }
    for (size_t i = 0; i < rule->place_count; i++) {
        if (rule->places[i].kind == PLACE_AREA) {
            yaml_error(errors_of(reader), node,
                       "an area has no points; expected the key 'station'");
            return;
        }
        check_point_use(reader, node, index, rule->places[i].index);
    }
}

static bool contains(const int64_t *list, uint32_t count, int64_t value) {
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == value) {
            return true;
        }
    }
    return false;
}

static void check_model_unit(struct rule_reader *reader, const struct yaml_node *node,
                             uint32_t index, const struct site_product *product) {
    const struct indicator_spec *spec = &reader->rule->indicators[index];
    const char *expected = NULL;
    bool model_known = false;
    bool known = false;
    for (size_t i = 0; i < sizeof model_outputs / sizeof model_outputs[0]; i++) {
        bool same_model = strcmp(model_outputs[i].model, product->model) == 0;
        model_known = model_known || same_model;
        if (same_model && strcmp(model_outputs[i].variable, spec->variable) == 0) {
            known = true;
            expected =
                spec->window_us == 0 ? model_outputs[i].unit_instant : model_outputs[i].unit_window;
        }
    }
    if (!model_known) {
        yaml_error(errors_of(reader), yaml_member(node, "product"),
                   "the model '%s' of the product gives nothing for rules", product->model);
    } else if (!known) {
        yaml_error(errors_of(reader), yaml_member(node, "variable"), "the model '%s' gives no '%s'",
                   product->model, spec->variable);
    } else if (expected == NULL) {
        yaml_error(errors_of(reader), yaml_member(node, "window"), "'%s' is %s", spec->variable,
                   spec->window_us == 0 ? "accumulated; expected a window"
                                        : "not accumulated; expected no window");
    } else if (strcmp(spec->unit, expected) != 0 && spec->unit[0] != '\0') {
        yaml_error(errors_of(reader), yaml_member(node, "unit"),
                   "'%s' is not '%s', the unit of %s %s", spec->unit, expected, spec->variable,
                   spec->window_us == 0 ? "at an instant" : "over a window");
    }
}

static void check_model_output(struct rule_reader *reader, const struct yaml_node *node,
                               uint32_t index, const struct site_product *product) {
    const struct indicator_spec *spec = &reader->rule->indicators[index];
    check_model_unit(reader, node, index, product);
    if (spec->window_us != 0 &&
        !contains(product->windows_us, product->window_count, spec->window_us)) {
        yaml_error(errors_of(reader), yaml_member(node, "window"),
                   "the product '%s' does not make this window", product->id);
    }
    if (!contains(product->leads_us, product->lead_count, spec->lead_us)) {
        const struct yaml_node *lead = yaml_member(node, "lead");
        yaml_error(errors_of(reader), lead != NULL ? lead : node,
                   "the product '%s' does not make this lead", product->id);
    }
}

static void check_model_indicator(struct rule_reader *reader, const struct yaml_node *node,
                                  uint32_t index) {
    static const char *const mandatory[] = {"product", "variable", "unit", "max_age"};
    const struct site *site = reader->loader->site;
    const struct indicator_spec *spec = &reader->rule->indicators[index];
    bool complete = true;
    for (size_t i = 0; i < sizeof mandatory / sizeof mandatory[0]; i++) {
        if (yaml_member(node, mandatory[i]) == NULL) {
            yaml_error(errors_of(reader), node,
                       "the key '%s' is missing; an indicator of kind model needs it",
                       mandatory[i]);
            complete = false;
        }
    }
    for (const char *const *key = (const char *const[]){"point", "station", NULL}; *key != NULL;
         key++) {
        if (yaml_member(node, *key) != NULL) {
            yaml_error_key(errors_of(reader), yaml_member(node, *key),
                           "an indicator of kind model has it not");
        }
    }
    if (!complete) {
        return;
    }
    if (spec->max_age_us == 0) {
        yaml_error(errors_of(reader), yaml_member(node, "max_age"),
                   "'0 s' would make every run stale; expected a longer one");
    }
    (void)text_copy(reader->units[index], STATION_UNIT_SIZE, spec->unit);
    for (size_t i = 0; i < site->product_count; i++) {
        if (strcmp(site->products[i].id, spec->product) == 0) {
            check_model_output(reader, node, index, &site->products[i]);
            return;
        }
    }
    if (spec->product[0] != '\0') {
        yaml_error(errors_of(reader), yaml_member(node, "product"), "the product '%s' is unknown",
                   spec->product);
    }
}

/* Of a station as a whole: it has nothing but, for areas, the key station. */
static void check_silence_indicator(struct rule_reader *reader, const struct yaml_node *node,
                                    uint32_t index) {
    const struct loader *loader = reader->loader;
    const struct rule *rule = reader->rule;
    const struct indicator_spec *spec = &rule->indicators[index];
    (void)text_copy(reader->units[index], STATION_UNIT_SIZE, "s");
    for (const struct yaml_node *member = node->first; member != NULL; member = member->next) {
        if (strcmp(member->key, "name") != 0 && strcmp(member->key, "kind") != 0 &&
            strcmp(member->key, "station") != 0 && strcmp(member->key, "min_completeness") != 0) {
            yaml_error_key(errors_of(reader), member, "an indicator of kind silence has it not");
        }
    }
    if (spec->station[0] != '\0') {
        if (loader_find(loader->stations, loader->site->station_count, spec->station) == NULL) {
            yaml_error(errors_of(reader), yaml_member(node, "station"),
                       "the station '%s' is unknown", spec->station);
        }
        return;
    }
    for (size_t i = 0; i < rule->place_count; i++) {
        if (rule->places[i].kind == PLACE_AREA) {
            yaml_error(errors_of(reader), node,
                       "an area is never silent; expected the key 'station'");
            return;
        }
    }
}

static void read_indicator_name(struct rule_reader *reader, const struct yaml_node *node,
                                uint32_t index) {
    static const struct option row = {.type = OPTION_ID, .size = STATION_ID_SIZE};
    const struct yaml_node *name = yaml_member(node, "name");
    if (name == NULL ||
        option_read(&reader->loader->reader, &row, name, reader->names[index]) != 0) {
        return;
    }
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(reader->names[i], reader->names[index]) == 0) {
            yaml_error(errors_of(reader), name, "the name '%s' is given twice",
                       reader->names[index]);
        }
    }
}

static void read_indicators(struct rule_reader *reader, const struct yaml_node *map) {
    struct rule *rule = reader->rule;
    const struct yaml_node *list = yaml_member(map, "indicators");
    if (list == NULL || option_expect(&reader->loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    if (list->count == 0 || list->count > RULE_INDICATORS_MAX) {
        yaml_error(errors_of(reader), list, "%u indicators; expected 1 to %d",
                   (unsigned)list->count, RULE_INDICATORS_MAX);
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        uint32_t index = rule->indicator_count++;
        size_t errors = config_errors_total(errors_of(reader));
        (void)option_group_read(&reader->loader->reader, &group_indicator, node,
                                &rule->indicators[index]);
        if (node->kind != YAML_MAP) {
            continue;
        }
        read_indicator_name(reader, node, index);
        if (config_errors_total(errors_of(reader)) != errors) {
            continue; /* what follows would only repeat it */
        }
        if (rule->indicators[index].kind == INDICATOR_MODEL) {
            check_model_indicator(reader, node, index);
        } else if (rule->indicators[index].kind == INDICATOR_SILENCE) {
            check_silence_indicator(reader, node, index);
        } else {
            check_point_indicator(reader, node, index);
        }
    }
}

/* ---- conditions ---- */

struct rule_node *rule_reader_node(struct rule_reader *reader, const struct yaml_node *node) {
    if (reader->rule->node_count == RULE_NODES_MAX) {
        yaml_error(errors_of(reader), node, "more than %d conditions in one rule", RULE_NODES_MAX);
        return NULL;
    }
    struct rule_node *rule_node = &reader->rule->nodes[reader->rule->node_count++];
    *rule_node = (struct rule_node){.kind = NODE_COMPARE};
    return rule_node;
}

int rule_reader_value(struct rule_reader *reader, const struct yaml_node *node,
                      enum option_type type, const char *unit, double *ret_value) {
    const struct option row = {.type = type, .size = sizeof *ret_value};
    struct option_reader in_unit = reader->loader->reader;
    in_unit.value_unit = unit;
    return option_read(&in_unit, &row, node, ret_value);
}

static bool read_station_level(struct rule_reader *reader, const struct yaml_node *node,
                               struct rule_node *rule_node) {
    if (node->kind != YAML_SCALAR || strncmp(node->text, "level ", 6) != 0) {
        return false;
    }
    int64_t level;
    if (strcmp(node->text + 6, "historic") == 0) {
        rule_node->station_level = STATION_LEVEL_HISTORIC;
    } else if (text_parse_int(node->text + 6, 1, ALARM_LEVELS_MAX, &level) != 0) {
        yaml_error(errors_of(reader), node,
                   "'%.80s' is no alarm level; expected 'level 1' to 'level %d', or 'level "
                   "historic'",
                   node->text, ALARM_LEVELS_MAX);
    } else {
        rule_node->station_level = (uint8_t)level;
    }
    return true;
}

int rule_reader_indicator(struct rule_reader *reader, const struct yaml_node *name,
                          uint8_t *ret_index) {
    for (uint8_t i = 0; i < reader->rule->indicator_count; i++) {
        if (name->kind == YAML_SCALAR && strcmp(reader->names[i], name->text) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    yaml_error(errors_of(reader), name,
               "the indicator '%.80s' is unknown; expected a name of the rule's indicators",
               name->text);
    return ERR_NOT_FOUND;
}

static void read_comparison(struct rule_reader *reader, const struct yaml_node *map,
                            struct rule_node *rule_node) {
    static const char *const keys[] = {"at_least", "above", "at_most", "below"};
    const struct yaml_node *name = yaml_member(map, "indicator");
    const struct yaml_node *value = NULL;
    for (size_t i = 0; i < 4; i++) {
        const struct yaml_node *member = yaml_member(map, keys[i]);
        if (member != NULL && value != NULL) {
            yaml_error_key(errors_of(reader), member, "a second comparison; expected one of %s",
                           "at_least, above, at_most, below");
            return;
        }
        if (member != NULL) {
            value = member;
            rule_node->comparison = (enum comparison)i;
        }
    }
    if (name == NULL || value == NULL) {
        yaml_error(errors_of(reader), map, "%s is missing; expected a comparison, all or any",
                   name == NULL ? "the key 'indicator'" : "at_least, above, at_most or below");
        return;
    }
    if (rule_reader_indicator(reader, name, &rule_node->indicator) != 0) {
        return;
    }
    const uint32_t index = rule_node->indicator;
    const char *unit = reader->units[index];
    if (unit[0] == '\0') {
        return; /* told already */
    }
    enum indicator_kind kind = reader->rule->indicators[index].kind;
    bool difference = kind == INDICATOR_RISE || kind == INDICATOR_ACCUMULATION;
    const struct yaml_node *margin = yaml_member(map, "margin");
    const struct yaml_node *hysteresis = yaml_member(map, "hysteresis");
    if (read_station_level(reader, value, rule_node)) {
        if (margin != NULL) {
            (void)rule_reader_value(reader, margin, OPTION_DIFFERENCE, unit, &rule_node->threshold);
        }
    } else {
        if (!rule_read_cell(reader, value, rule_node)) {
            (void)rule_reader_value(reader, value, difference ? OPTION_DIFFERENCE : OPTION_VALUE,
                                    unit, &rule_node->threshold);
        }
        if (margin != NULL) {
            yaml_error_key(errors_of(reader), margin, "only a comparison with 'level N' has it");
        }
    }
    if (hysteresis != NULL) {
        int result =
            rule_reader_value(reader, hysteresis, OPTION_DIFFERENCE, unit, &rule_node->hysteresis);
        if (result == 0 && rule_node->hysteresis < 0) {
            yaml_error(errors_of(reader), hysteresis,
                       "'%s' is negative: it would leave before it enters; expected 0 or more",
                       hysteresis->text);
        }
    }
    for (uint8_t i = 0; rule_node->kind == NODE_DATED && i < rule_node->child_count; i++) {
        rule_node[1 + i].hysteresis = rule_node->hysteresis;
    }
}

static void read_condition(struct rule_reader *reader, const struct yaml_node *map, int depth) {
    struct rule_node *rule_node = rule_reader_node(reader, map);
    if (rule_node == NULL ||
        option_group_read(&reader->loader->reader, &group_condition, map, NULL) != 0) {
        return;
    }
    const struct yaml_node *all = yaml_member(map, "all");
    const struct yaml_node *any = yaml_member(map, "any");
    const struct yaml_node *list = all != NULL ? all : any;
    if (list == NULL) {
        read_comparison(reader, map, rule_node);
        return;
    }
    if (map->count != 1) {
        yaml_error(errors_of(reader), map, "'%s' stands with other keys; expected it alone",
                   list->key);
        return;
    }
    rule_node->kind = all != NULL ? NODE_ALL : NODE_ANY;
    if (option_expect(&reader->loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    if (depth == RULE_DEPTH_MAX || list->count == 0 || list->count > RULE_NODES_MAX) {
        yaml_error(errors_of(reader), list, "%s",
                   list->count == 0 ? "an empty list; expected conditions"
                                    : "too many or too deeply nested conditions");
        return;
    }
    rule_node->child_count = (uint8_t)list->count;
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        read_condition(reader, node, depth + 1);
    }
}

static void read_level(struct rule_reader *reader, const struct yaml_node *node) {
    struct rule *rule = reader->rule;
    struct rule_level *level = &rule->levels[rule->level_count];
    (void)option_group_read(&reader->loader->reader, &group_level, node, level);
    if (node->kind != YAML_MAP) {
        return;
    }
    const struct yaml_node *number = yaml_member(node, "level");
    if (level->level > rule->scale.level_count && rule->scale.level_count > 0) {
        yaml_error(errors_of(reader), number, "the scale '%s' has %u levels", rule->scale.id,
                   (unsigned)rule->scale.level_count);
    }
    if (rule->level_count > 0 && level->level > 0 && level->level <= level[-1].level) {
        yaml_error(errors_of(reader), number,
                   "level %s does not come after level %u; expected rising levels", number->text,
                   (unsigned)level[-1].level);
    }
    level->first_node = (uint16_t)rule->node_count;
    const struct yaml_node *when = yaml_member(node, "when");
    if (when != NULL) {
        read_condition(reader, when, 1);
    }
    level->node_count = (uint16_t)(rule->node_count - level->first_node);
    reader->level_nodes[rule->level_count++] = node;
}

static void read_levels(struct rule_reader *reader, const struct yaml_node *map) {
    const struct yaml_node *list = yaml_member(map, "levels");
    const struct yaml_node *from = yaml_member(map, "levels_from");
    if ((list == NULL) == (from == NULL)) {
        yaml_error(errors_of(reader), from != NULL ? from : map,
                   "expected one of the keys 'levels' and 'levels_from'");
        return;
    }
    if (from != NULL) {
        rule_read_levels_from(reader, from);
        return;
    }
    if (option_expect(&reader->loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    if (list->count == 0 || list->count > RULE_LEVELS_MAX) {
        yaml_error(errors_of(reader), list, "%u levels; expected 1 to %d", (unsigned)list->count,
                   RULE_LEVELS_MAX);
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        read_level(reader, node);
    }
}

static void read_scale(struct rule_reader *reader, const struct yaml_node *map) {
    const struct site *site = reader->loader->site;
    const struct yaml_node *node = yaml_member(map, "scale");
    if (node == NULL || option_expect(&reader->loader->reader, node, YAML_SCALAR) != 0) {
        return;
    }
    for (size_t i = 0; i < site->scale_count; i++) {
        if (strcmp(site->scales[i].id, node->text) == 0) {
            reader->rule->scale = site->scales[i];
            return;
        }
    }
    yaml_error(errors_of(reader), node, "the scale '%.80s' is unknown; expected an id of scales",
               node->text);
}

/* ---- cross checks ---- */

static const struct alarm_levels *levels_of(const struct site *site,
                                            const struct rule_place *place) {
    return place->kind == PLACE_STATION ? &site->stations[place->index].alarm_levels : NULL;
}

/* Where every level is one comparison of the same indicator in the same direction, a higher level
 * must be harder to reach, at every place, and must not be held below the level before it. */
static void check_order(struct rule_reader *reader, const struct rule_place *place) {
    const struct rule *rule = reader->rule;
    const struct site *site = reader->loader->site;
    const struct alarm_levels *levels = levels_of(site, place);
    const struct rule_node *last = NULL;
    for (uint32_t i = 0; i < rule->level_count; i++) {
        const struct rule_node *node = &rule->nodes[rule->levels[i].first_node];
        double at = rule_threshold(node, levels);
        if (rule->levels[i].node_count != 1 || !isfinite(at)) {
            continue;
        }
        bool rising = node->comparison <= COMPARE_ABOVE;
        if (last != NULL && last->indicator == node->indicator &&
            (last->comparison <= COMPARE_ABOVE) == rising) {
            double before = rule_threshold(last, levels);
            double step = rising ? at - before : before - at;
            if (step <= 0) {
                yaml_error(errors_of(reader), yaml_member(reader->level_nodes[i], "when"),
                           "at '%s' level %u begins at %.10g %s and the level before at %.10g; "
                           "expected it to be %s",
                           place_id(site, place), (unsigned)rule->levels[i].level, at,
                           reader->units[node->indicator], before, rising ? "higher" : "lower");
                return;
            }
            if (node->hysteresis > step) {
                yaml_error(errors_of(reader), yaml_member(reader->level_nodes[i], "when"),
                           "at '%s' the hysteresis of level %u (%.10g) reaches beyond the level "
                           "before, %.10g away",
                           place_id(site, place), (unsigned)rule->levels[i].level, node->hysteresis,
                           step);
                return;
            }
        }
        last = node;
    }
}

static void check_station_levels(struct rule_reader *reader, const struct yaml_node *map,
                                 const struct rule_place *place) {
    const struct rule *rule = reader->rule;
    const struct site *site = reader->loader->site;
    const struct alarm_levels *levels = levels_of(site, place);
    bool uses = false;
    bool defined = false;
    for (uint32_t i = 0; i < rule->node_count; i++) {
        const struct rule_node *node = &rule->nodes[i];
        if (node->kind != NODE_COMPARE || node->station_level == 0) {
            continue;
        }
        uses = true;
        defined = defined || isfinite(rule_threshold(node, levels));
        if (node->station_level == STATION_LEVEL_HISTORIC && levels != NULL &&
            levels->historic_peak <= levels->at[levels->count > 0 ? levels->count - 1 : 0]) {
            yaml_error(errors_of(reader), yaml_member(map, "places"),
                       "the highest flood on record of '%s' is not above its alarm levels, which "
                       "the rule needs",
                       place_id(site, place));
            return;
        }
        const char *unit = reader->units[node->indicator];
        if (levels != NULL && levels->count > 0 && strcmp(levels->unit, unit) != 0) {
            yaml_error(errors_of(reader), yaml_member(map, "levels"),
                       "the alarm levels of '%s' are in '%s', the indicator is in '%s'; expected "
                       "one unit",
                       place_id(site, place), levels->unit, unit);
            return;
        }
        /* The law measures the risk of a flood from the flood alarm levels. */
        if (levels != NULL && levels->count > 0 && rule->levels_from.hazard[0] == '\0' &&
            strcmp(levels->scale, rule->scale.id) != 0) {
            yaml_error(errors_of(reader), yaml_member(map, "scale"),
                       "the alarm levels of '%s' are of the scale '%s'; expected the same",
                       place_id(site, place), levels->scale);
            return;
        }
    }
    if (uses && !defined) {
        yaml_error(errors_of(reader), yaml_member(map, "places"),
                   "'%s' has no alarm levels, which the rule compares with", place_id(site, place));
    }
}

struct rule_text {
    const struct site *site;
    const struct rule *rule;
};

/* What a revision stands for: the rule as in the dump, the rows of tables that it stands on, and
 * the alarm levels that it compares with. */
static void print_rule_text(const void *object, FILE *file) {
    const struct rule_text *text = object;
    const struct rule *rule = text->rule;
    bool uses = false;
    site_print_rule(text->site, rule, 0, file);
    for (size_t i = 0; i < rule->row_count; i++) {
        (void)fprintf(file, "%s %s\n", rule->rows[i].id, rule->rows[i].digest);
    }
    for (uint32_t i = 0; i < rule->node_count; i++) {
        uses = uses || rule->nodes[i].station_level != 0;
    }
    for (size_t i = 0; uses && i < rule->place_count; i++) {
        const struct alarm_levels *levels = levels_of(text->site, &rule->places[i]);
        (void)fprintf(file, "%s\n", place_id(text->site, &rule->places[i]));
        if (levels != NULL) {
            option_group_print(&group_alarm_levels, levels, levels->unit, 0, NULL, file);
        }
    }
}

int site_rule_text(const struct site *site, const struct rule *rule, char **ret_text,
                   size_t *ret_length) {
    const struct rule_text text = {.site = site, .rule = rule};
    return site_text_of(print_rule_text, &text, ret_text, ret_length);
}

static void set_revision(struct rule_reader *reader, const struct yaml_node *map) {
    char *bytes;
    size_t length;
    if (site_rule_text(reader->loader->site, reader->rule, &bytes, &length) != 0) {
        yaml_error(errors_of(reader), map, "out of memory");
        return;
    }
    rule_revision(bytes, length, reader->rule->revision);
    free(bytes);
}

static void finish_rule(struct rule_reader *reader, const struct yaml_node *map) {
    struct rule *rule = reader->rule;
    struct err err;
    size_t errors = config_errors_total(errors_of(reader));
    for (size_t i = 0; i < rule->place_count && config_errors_total(errors_of(reader)) == errors;
         i++) {
        check_station_levels(reader, map, &rule->places[i]);
        if (config_errors_total(errors_of(reader)) == errors) {
            check_order(reader, &rule->places[i]);
        }
    }
    if (config_errors_total(errors_of(reader)) != errors) {
        return;
    }
    for (size_t i = 0; i < rule->row_count; i++) {
        /* Hours of bulletins say nothing about thresholds; they are marked on their own. */
        bool hours = strcmp(rule->rows[i].table, "bulletin_hours") == 0;
        rule->provisional = rule->provisional || (rule->rows[i].provisional && !hours);
    }
    if (rule->flap_moves == 1) {
        yaml_error(errors_of(reader), yaml_member(map, "flap_moves"),
                   "one move is no flapping; expected 0 or 2 to %d", RULE_FLAP_MOVES_MAX);
    }
    if ((rule->suppressed_by[0] != '\0') != (rule->suppressed_from > 0)) {
        yaml_error(errors_of(reader), map, "suppressed_by and suppressed_from belong together");
    }
    if (config_errors_total(errors_of(reader)) != errors) {
        return;
    }
    set_revision(reader, map);
    if (rule_check(rule, &err) != 0) {
        yaml_error(errors_of(reader), map, "%s", err.text);
    }
}

static void read_deadband(struct rule_reader *reader, const struct yaml_node *map) {
    const struct yaml_node *node = yaml_member(map, "trend_deadband");
    reader->rule->trend_deadband = 0;
    if (node != NULL && reader->rule->indicator_count > 0 && reader->units[0][0] != '\0') {
        (void)rule_reader_value(reader, node, OPTION_DIFFERENCE, reader->units[0],
                                &reader->rule->trend_deadband);
        if (reader->rule->trend_deadband < 0) {
            yaml_error(errors_of(reader), node, "'%s' is negative; expected 0 or more", node->text);
        }
    }
}

void loader_rule(struct loader *loader, const struct yaml_node *map, const char *expected) {
    struct site *site = loader->site;
    struct config_errors *errors = loader->reader.errors;
    size_t before = config_errors_total(errors);
    size_t nodes = site->rule_count;
    const struct yaml_node **kept = loader_append(loader, map, &loader->rule_nodes, &nodes,
                                                  sizeof(void *), SITE_RULES_MAX, "rules");
    struct rule *rule = kept == NULL ? NULL
                                     : loader_append(loader, map, &site->rules, &site->rule_count,
                                                     sizeof *rule, SITE_RULES_MAX, "rules");
    if (rule == NULL) {
        return;
    }
    *kept = map;
    struct rule_reader reader = {.loader = loader, .rule = rule};
    loader->reader.value_unit = NULL;
    (void)option_group_read(&loader->reader, &group_rule, map, rule);
    if (map->kind != YAML_MAP) {
        return;
    }
    (void)loader_section(loader, &group_rule_text, map, "text", rule);
    loader_check_name(loader, map, rule->id, expected);
    for (size_t i = 0; i + 1 < site->rule_count; i++) {
        if (rule->id[0] != '\0' && strcmp(site->rules[i].id, rule->id) == 0) {
            yaml_error(errors, yaml_member(map, "id"), "a rule '%s' exists already", rule->id);
        }
    }
    read_scale(&reader, map);
    read_places(&reader, map);
    read_indicators(&reader, map);
    read_deadband(&reader, map);
    read_levels(&reader, map);
    rule_read_issues(&reader, map);
    if (config_errors_total(errors) == before) {
        finish_rule(&reader, map);
    }
}
