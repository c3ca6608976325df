#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"
#include "daemon/base/ids.h"
#include "daemon/base/text.h"
#include "daemon/config/loader.h"
#include "daemon/config/quantity.h"

int site_text_of(void (*print)(const void *object, FILE *file), const void *object, char **ret_text,
                 size_t *ret_length) {
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    if (file == NULL) {
        return ERR_MEMORY;
    }
    print(object, file);
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) {
        free(text);
        return ERR_MEMORY;
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}

static void print_key(const char *key, unsigned indent, FILE *file) {
    (void)fprintf(file, "%*s%s:\n", (int)indent, "", key);
}

static void print_section(const char *key, const struct option_group *group, const void *object,
                          const char *unit, unsigned indent, FILE *file) {
    print_key(key, indent, file);
    option_group_print(group, object, unit, indent + 2, NULL, file);
}

/* "- " in front of the first key of a list entry. */
static const char *dash(unsigned indent) {
    static const char *const dashes[] = {"- ", "  - ", "    - ", "      - "};
    return dashes[indent / 2];
}

/* ---- the main file's sections ---- */

static void print_scales(const struct site *site, FILE *file) {
    print_key("scales", 0, file);
    for (size_t i = 0; i < site->scale_count; i++) {
        const struct scale *scale = &site->scales[i];
        option_group_print(&group_scale, scale, NULL, 4, dash(2), file);
        print_section("name", &group_scale_name, scale, NULL, 4, file);
        print_key("levels", 4, file);
        for (uint32_t k = 0; k < scale->level_count; k++) {
            option_group_print(&group_level_name, &scale->levels[k], NULL, 8, dash(6), file);
        }
    }
}

static void print_areas(const struct site *site, FILE *file) {
    size_t dir_length = strlen(site->dir);
    print_key("areas", 0, file);
    for (size_t i = 0; i < site->area_count; i++) {
        struct area area = site->areas[i];
        if (strncmp(area.file, site->dir, dir_length) == 0 && area.file[dir_length] == '/') {
            /* as it was written: the dump is the same wherever the site lies */
            memmove(area.file, area.file + dir_length + 1, strlen(area.file + dir_length));
        }
        option_group_print(&group_area, &area, NULL, 4, dash(2), file);
        print_section("name", &group_area_name, &area, NULL, 4, file);
    }
}

static void print_durations(const char *key, const int64_t *list, uint32_t count, unsigned indent,
                            FILE *file) {
    static const struct option row = {.name = "-", .type = OPTION_DURATION, .size = 8};
    (void)fprintf(file, "%*s%s: [", (int)indent, "", key);
    for (uint32_t i = 0; i < count; i++) {
        (void)fputs(i > 0 ? ", " : "", file);
        option_print_value(&row, &list[i], file);
    }
    (void)fputs("]\n", file);
}

/* An array of `count` texts of `size` bytes each, if there are any. */
static void print_texts(const char *key, const char *list, size_t size, uint32_t count,
                        unsigned indent, FILE *file) {
    if (count > 0) {
        print_key(key, indent, file);
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)fprintf(file, "%*s- ", (int)indent + 2, "");
        option_print_text(list + i * size, file);
        (void)fputc('\n', file);
    }
}

static void print_triggers(const struct site_product *product, FILE *file) {
    const struct site_triggers *triggers = &product->triggers;
    if (product->inbox[0] == '\0') {
        print_section("triggers", &group_triggers, product, NULL, 4, file);
        print_texts("products", triggers->products[0], STATION_ID_SIZE, triggers->product_count, 6,
                    file);
        print_texts("alarms", triggers->alarms[0], STATION_ID_SIZE, triggers->alarm_count, 6, file);
    }
    if (product->series_count > 0) {
        print_section("series", &group_series, product, NULL, 4, file);
        print_texts("points", product->series_points[0], 2 * STATION_ID_SIZE, product->series_count,
                    6, file);
    }
}

static void print_products(const struct site *site, FILE *file) {
    print_key("products", 0, file);
    for (size_t i = 0; i < site->product_count; i++) {
        const struct site_product *product = &site->products[i];
        option_group_print(&group_product, product, NULL, 4, dash(2), file);
        print_durations("windows", product->windows_us, product->window_count, 4, file);
        print_durations("leads", product->leads_us, product->lead_count, 4, file);
        print_triggers(product, file);
        print_texts("arguments", product->arguments[0], SITE_ARGUMENT_SIZE, product->argument_count,
                    4, file);
    }
}

/* ---- stations ---- */

static void print_register(const struct modbus_map *map, unsigned indent, FILE *file) {
    struct modbus_map shown = *map;
    /* back from the function code to the row of the choice */
    shown.table = (enum modbus_table)(map->table - MODBUS_COIL);
    print_section("register", &group_register, &shown, NULL, indent, file);
    if (map->sentinel_count > 0) {
        (void)fprintf(file, "%*ssentinels: [", (int)indent + 2, "");
        for (uint32_t i = 0; i < map->sentinel_count; i++) {
            (void)fputs(i > 0 ? ", " : "", file);
            option_print_number(map->sentinels[i], file);
        }
        (void)fputs("]\n", file);
    }
}

static void print_station(const struct site *site, size_t index, FILE *file) {
    const struct station *station = &site->stations[index];
    option_group_print(&group_station, station, NULL, 4, dash(2), file);
    print_section("name", &group_station_name, station, NULL, 4, file);
    if (isfinite(station->latitude_deg)) {
        print_section("position", &group_position, station, NULL, 4, file);
    }
    if (station->alarm_levels.count > 0) {
        print_section("alarm_levels", &group_alarm_levels, &station->alarm_levels,
                      station->alarm_levels.unit, 4, file);
    }
    print_section("connection", &group_connection, &site->links[index], NULL, 4, file);
    site_print_logger(site, index, file);
    print_key("points", 4, file);
    for (uint32_t i = 0; i < station->point_count; i++) {
        const struct point *point = &site->points[station->first_point + i];
        option_group_print(&group_point, point, point->unit, 8, dash(6), file);
        print_register(&site->maps[station->first_point + i], 8, file);
        print_key("quality", 8, file);
        site_print_quality(site, point, 10, file);
    }
}

/* ---- rules ---- */

static const char *indicator_unit(const struct site *site, const struct rule *rule,
                                  uint32_t index) {
    const struct indicator_spec *spec = &rule->indicators[index];
    if (spec->kind == INDICATOR_SILENCE) {
        return "s";
    }
    if (spec->kind == INDICATOR_MODEL) {
        return spec->unit;
    }
    for (size_t i = 0; i < site->station_count; i++) {
        const struct station *station = &site->stations[i];
        bool here = spec->station[0] != '\0'
                        ? strcmp(station->id, spec->station) == 0
                        : rule->places[0].kind == PLACE_STATION && rule->places[0].index == i;
        for (uint32_t k = 0; here && k < station->point_count; k++) {
            const struct point *point = &site->points[station->first_point + k];
            if (strcmp(point->id, spec->point) == 0) {
                return point->unit;
            }
        }
    }
    return "1"; /* not reached for a rule that was accepted */
}

static void print_places(const struct site *site, const struct rule *rule, unsigned indent,
                         FILE *file) {
    print_key("places", indent, file);
    for (int kind = PLACE_STATION; kind <= PLACE_AREA; kind++) {
        bool any = false;
        for (size_t i = 0; i < rule->place_count; i++) {
            const struct rule_place *place = &rule->places[i];
            if ((int)place->kind != kind) {
                continue;
            }
            if (!any) {
                print_key(kind == PLACE_STATION ? "stations" : "areas", indent + 2, file);
                any = true;
            }
            (void)fprintf(file, "%*s- %s\n", (int)indent + 4, "",
                          kind == PLACE_STATION ? site->stations[place->index].id
                                                : site->areas[place->index].id);
        }
    }
}

static void print_value(const char *key, double value, const char *unit, unsigned indent,
                        FILE *file) {
    (void)fprintf(file, "%*s%s: ", (int)indent, "", key);
    option_print_number(value, file);
    (void)fprintf(file, " %s\n", unit);
}

/* `dated`: the row's id without its day. */
static void print_comparison(const struct site *site, const struct rule *rule,
                             const struct rule_node *node, bool dated, unsigned indent,
                             const char *first, FILE *file) {
    static const char *const keys[] = {"at_least", "above", "at_most", "below"};
    const char *unit = indicator_unit(site, rule, node->indicator);
    if (first == NULL) {
        (void)fprintf(file, "%*s", (int)indent, "");
    }
    (void)fprintf(file, "%sindicator: %s-%u\n", first != NULL ? first : "",
                  indicator_kind_name(rule->indicators[node->indicator].kind),
                  (unsigned)node->indicator + 1);
    if (node->station_level != 0) {
        (void)fprintf(file, "%*s%s: level ", (int)indent, "", keys[node->comparison]);
        if (node->station_level == STATION_LEVEL_HISTORIC) {
            (void)fputs("historic\n", file);
        } else {
            (void)fprintf(file, "%u\n", (unsigned)node->station_level);
        }
        if (node->threshold != 0) {
            print_value("margin", node->threshold, unit, indent, file);
        }
    } else if (node->row != 0) {
        const struct rule_row *row = &rule->rows[node->row - 1];
        int length = dated ? (int)(strrchr(row->id, '/') - row->id) : (int)strlen(row->id);
        (void)fprintf(file, "%*s%s: table %s %.*s %s\n", (int)indent, "", keys[node->comparison],
                      row->table, length, row->id, row->column);
    } else {
        print_value(keys[node->comparison], node->threshold, unit, indent, file);
    }
    print_value("hysteresis", node->hysteresis, unit, indent, file);
}

/* Returns the index behind the printed tree. The depth is bounded by rule_check(). */
static uint32_t print_condition(const struct site *site, const struct rule *rule, uint32_t at,
                                unsigned indent, const char *first, FILE *file) {
    const struct rule_node *node = &rule->nodes[at++];
    if (node->kind == NODE_COMPARE) {
        print_comparison(site, rule, node, false, indent, first, file);
        return at;
    }
    if (node->kind == NODE_DATED) {
        print_comparison(site, rule, node + 1, true, indent, first, file);
        return at + node->child_count;
    }
    if (first == NULL) {
        (void)fprintf(file, "%*s", (int)indent, "");
    }
    (void)fprintf(file, "%s%s:\n", first != NULL ? first : "",
                  node->kind == NODE_ALL ? "all" : "any");
    for (uint8_t i = 0; i < node->child_count; i++) {
        (void)fprintf(file, "%*s", (int)indent + 2, "");
        at = print_condition(site, rule, at, indent + 4, "- ", file);
    }
    return at;
}

static void print_indicators(const struct site *site, const struct rule *rule, unsigned indent,
                             FILE *file) {
    print_key("indicators", indent, file);
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        const struct indicator_spec *spec = &rule->indicators[i];
        (void)fprintf(file, "%*s- name: %s-%u\n", (int)indent + 2, "",
                      indicator_kind_name(spec->kind), (unsigned)i + 1);
        option_group_print(&group_indicator, spec, indicator_unit(site, rule, i), indent + 4, NULL,
                           file);
    }
}

/* The section that the levels were made of. */
static void print_levels_from(const struct site *site, const struct rule *rule, unsigned indent,
                              FILE *file) {
    const struct rule_table *from = &rule->levels_from;
    print_section("levels_from", &group_levels_from, from, NULL, indent, file);
    print_key("quantities", indent + 2, file);
    for (uint32_t i = 0; i < from->quantity_count; i++) {
        const struct rule_quantity *quantity = &from->quantities[i];
        const char *unit = indicator_unit(site, rule, quantity->indicator);
        (void)fprintf(file, "%*s", (int)indent + 4, "");
        option_group_print(&group_quantity, quantity, NULL, indent + 6, "- ", file);
        if (isnan(quantity->assumed)) {
            (void)fprintf(file, "%*sindicator: %s-%u\n", (int)indent + 6, "",
                          indicator_kind_name(rule->indicators[quantity->indicator].kind),
                          (unsigned)quantity->indicator + 1);
            print_value("hysteresis", quantity->hysteresis, unit, indent + 6, file);
        }
    }
}

void site_print_rule(const struct site *site, const struct rule *rule, unsigned indent,
                     FILE *file) {
    option_group_print(&group_rule, rule, indicator_unit(site, rule, 0), indent,
                       indent >= 2 ? dash(indent - 2) : NULL, file);
    print_section("text", &group_rule_text, rule, NULL, indent, file);
    (void)fprintf(file, "%*sscale: %s\n", (int)indent, "", rule->scale.id);
    print_places(site, rule, indent, file);
    print_indicators(site, rule, indent, file);
    if (rule->levels_from.hazard[0] != '\0') {
        print_levels_from(site, rule, indent, file);
        return;
    }
    print_key("levels", indent, file);
    for (uint32_t i = 0; i < rule->level_count; i++) {
        const struct rule_level *level = &rule->levels[i];
        (void)fprintf(file, "%*s", (int)indent + 2, "");
        option_group_print(&group_level, level, NULL, indent + 4, "- ", file);
        print_key("when", indent + 4, file);
        (void)print_condition(site, rule, level->first_node, indent + 6, NULL, file);
    }
}

void site_print(const struct site *site, FILE *file) {
    const struct site_settings *settings = &site->settings;
    print_section("site", &group_site, settings, NULL, 0, file);
    print_section("name", &group_site_name, settings, NULL, 2, file);
    print_section("store", &group_store, settings, NULL, 0, file);
    print_section("kafka", &group_kafka, settings, NULL, 0, file);
    print_section("web", &group_web, settings, NULL, 0, file);
    site_print_operators(site, file);
    print_section("control", &group_control, settings, NULL, 0, file);
    print_section("acquisition", &group_acquisition, settings, NULL, 0, file);
    site_print_alerting(site, file);
    if (site->scale_count > 0) {
        print_scales(site, file);
    }
    if (site->area_count > 0) {
        print_areas(site, file);
    }
    if (site->product_count > 0) {
        print_products(site, file);
    }
    print_key("stations", 0, file);
    for (size_t i = 0; i < site->station_count; i++) {
        print_station(site, i, file);
    }
    if (site->rule_count > 0) {
        print_key("rules", 0, file);
    }
    for (size_t i = 0; i < site->rule_count; i++) {
        site_print_rule(site, &site->rules[i], 4, file);
    }
}

void site_print_provisional(const struct site *site, FILE *file) {
    if (site->settings.provisional) {
        (void)fprintf(file, "provisional: site %s: %s\n", site->settings.id, site->settings.note);
    }
    for (size_t i = 0; i < site->station_count; i++) {
        const struct station *station = &site->stations[i];
        if (station->provisional) {
            (void)fprintf(file, "provisional: station %s: %s\n", station->id, station->note);
        }
        if (station->alarm_levels.provisional) {
            (void)fprintf(file, "provisional: alarm levels of %s: %s\n", station->id,
                          station->alarm_levels.source);
        }
        if (station->alarm_levels.historic_provisional) {
            (void)fprintf(file, "provisional: highest flood on record of %s: %s\n", station->id,
                          station->alarm_levels.historic_source);
        }
        for (uint32_t k = 0; k < station->point_count; k++) {
            const struct point *point = &site->points[station->first_point + k];
            if (point->provisional && !station->provisional) {
                (void)fprintf(file, "provisional: point %s/%s\n", station->id, point->id);
            }
        }
    }
    for (size_t i = 0; i < site->area_count; i++) {
        if (site->areas[i].provisional) {
            (void)fprintf(file, "provisional: area %s\n", site->areas[i].id);
        }
    }
    for (size_t i = 0; i < site->product_count; i++) {
        if (site->products[i].provisional) {
            (void)fprintf(file, "provisional: product %s\n", site->products[i].id);
        }
    }
    for (size_t i = 0; i < site->rule_count; i++) {
        if (site->rules[i].provisional) {
            (void)fprintf(file, "provisional: rule %s: %s\n", site->rules[i].id,
                          site->rules[i].source);
        }
        for (size_t k = 0; k < site->rules[i].row_count; k++) {
            const struct rule_row *row = &site->rules[i].rows[k];
            if (row->provisional) {
                (void)fprintf(file, "provisional: row %s%s%s of %s in rule %s: %s (%s)\n", row->id,
                              row->column[0] != '\0' ? " " : "", row->column, row->table,
                              site->rules[i].id, row->source, row->kind);
            }
        }
    }
}

/* Whether a row of the same limit takes over: one of its parameter begins where it ends. */
static bool is_followed(const struct rule *rule, const struct rule_row *row) {
    const char *day = strrchr(row->id, '/');
    size_t length = day != NULL ? (size_t)(day - row->id) + 1 : strlen(row->id);
    for (size_t i = 0; i < rule->row_count; i++) {
        const struct rule_row *other = &rule->rows[i];
        if (strcmp(other->table, row->table) == 0 && strncmp(other->id, row->id, length) == 0 &&
            other->valid_from_us != 0 && other->valid_from_us == row->valid_to_us) {
            return true;
        }
    }
    return false;
}

void site_print_validity(const struct site *site, struct utc_us now, FILE *file) {
    const int64_t day_us = INT64_C(86400) * 1000000;
    for (size_t i = 0; i < site->rule_count; i++) {
        const struct rule *rule = &site->rules[i];
        for (size_t k = 0; k < rule->row_count; k++) {
            const struct rule_row *row = &rule->rows[k];
            bool in_force = rule_row_in_force(row, now);
            bool soon =
                row->valid_to_us != 0 && row->valid_to_us - now.us < SITE_VALIDITY_DAYS * day_us;
            char at[40];
            if (in_force && !soon) {
                continue;
            }
            text_format_time(now.us < row->valid_from_us ? row->valid_from_us : row->valid_to_us,
                             at, sizeof at);
            (void)fprintf(file, "validity: row %s of %s in rule %s %s %s%s\n", row->id, row->table,
                          rule->id,
                          in_force                      ? "expires at"
                          : now.us < row->valid_from_us ? "is not in force before"
                                                        : "is out of force since",
                          at, is_followed(rule, row) ? ", another row follows" : "");
        }
    }
}

void site_print_options(FILE *file) {
    for (size_t i = 0; option_groups[i] != NULL; i++) {
        option_group_reference(option_groups[i], file);
    }
    (void)fputs("Quantities\n    The unit of a point must convert to the one given here.\n\n",
                file);
    for (size_t i = 0; i < quantity_count; i++) {
        (void)fprintf(file, "    %s (%s): %s\n", quantities[i].name, quantities[i].unit,
                      quantities[i].help);
    }
}
