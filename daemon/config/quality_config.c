/* The quality section of a point: limits, months, neighbours, cross-variable tests; read, checked
 * and printed. Neighbours and cross tests name other points, so they are read when all stations are
 * known. Declared in loader.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "daemon/config/loader.h"
#include "daemon/config/plausibility.h"

enum { ATTENUATED_PERIODS_MIN = 8 };

/* NaN on either side: nothing to compare. */
void loader_check_order(struct loader *loader, const struct yaml_node *node, const char *low_key,
                        double low, const char *high_key, double high, bool strict) {
    if (low > high || (strict && low == high)) {
        const struct yaml_node *member = yaml_member(node, high_key);
        yaml_error(loader->reader.errors, member != NULL ? member : node, "%s is not %s %s",
                   high_key, strict ? "above" : "at least", low_key);
    }
}

void loader_check_positive(struct loader *loader, const struct yaml_node *node, const char *key,
                           double value) {
    const struct yaml_node *member = yaml_member(node, key);
    if (member != NULL && value <= 0) {
        yaml_error(loader->reader.errors, member, "'%s' is not above zero", member->text);
    }
}

static void check_ranges(struct loader *loader, const struct yaml_node *node,
                         const struct quality_month *range) {
    loader_check_order(loader, node, "hard_min", range->hard_min, "hard_max", range->hard_max,
                       true);
    loader_check_order(loader, node, "soft_min", range->soft_min, "soft_max", range->soft_max,
                       true);
    loader_check_order(loader, node, "hard_min", range->hard_min, "soft_min", range->soft_min,
                       false);
    loader_check_order(loader, node, "soft_max", range->soft_max, "hard_max", range->hard_max,
                       false);
}

/* What the section leaves out comes from the table that ships with the program. */
static void take_preset(struct loader *loader, const struct yaml_node *node, struct point *point) {
    struct quality_limits *limits = &point->quality;
    struct plausibility found;
    struct err err;
    if (limits->preset == QUALITY_PRESET_NONE) {
        static const char *const needed[] = {"hard_min", "hard_max"};
        for (int i = 0; i < 2; i++) {
            if (yaml_member(node, needed[i]) == NULL) {
                yaml_error(loader->reader.errors, node, "the key '%s' is missing", needed[i]);
            }
        }
        return;
    }
    if (point->unit[0] == '\0') {
        return; /* told already */
    }
    if (plausibility_find(loader->reader.units, point->quantity, point->unit, &found, &err) != 0) {
        yaml_error(loader->reader.errors, yaml_member(node, "preset"), "%s", err.text);
        return;
    }
    point->provisional = point->provisional || found.own;
    limits->hard_min = isnan(limits->hard_min) ? found.hard_min : limits->hard_min;
    limits->hard_max = isnan(limits->hard_max) ? found.hard_max : limits->hard_max;
    limits->rate_max_per_s =
        isnan(limits->rate_max_per_s) ? found.rate_max_per_s : limits->rate_max_per_s;
}

static void check_flat(struct loader *loader, const struct yaml_node *node,
                       const struct quality_limits *limits) {
    bool flat = limits->flat_suspect_us > 0 || limits->flat_fail_us > 0;
    loader_check_positive(loader, node, "flat_epsilon", limits->flat_epsilon);
    if (flat != isfinite(limits->flat_epsilon) && yaml_member(node, "flat_epsilon") == NULL) {
        yaml_error(loader->reader.errors, node, "flat_suspect and flat_fail need flat_epsilon");
    } else if (!flat && isfinite(limits->flat_epsilon)) {
        yaml_error(loader->reader.errors, node, "flat_epsilon needs flat_suspect or flat_fail");
    }
    if (limits->flat_suspect_us > 0 && limits->flat_fail_us > 0) {
        loader_check_order(loader, node, "flat_suspect", (double)limits->flat_suspect_us,
                           "flat_fail", (double)limits->flat_fail_us, true);
    }
}

static void check_attenuated(struct loader *loader, const struct yaml_node *node,
                             struct point *point) {
    struct quality_limits *limits = &point->quality;
    bool bounds = isfinite(limits->attenuated_suspect) || isfinite(limits->attenuated_fail);
    const struct yaml_node *window = yaml_member(node, "attenuated_window");
    loader_check_positive(loader, node, "attenuated_suspect", limits->attenuated_suspect);
    loader_check_positive(loader, node, "attenuated_fail", limits->attenuated_fail);
    loader_check_order(loader, node, "attenuated_fail", limits->attenuated_fail,
                       "attenuated_suspect", limits->attenuated_suspect, false);
    if (bounds != (limits->attenuated_us > 0)) {
        yaml_error(loader->reader.errors, window != NULL ? window : node,
                   "attenuated_window and one of attenuated_suspect and attenuated_fail need each "
                   "other");
    } else if (bounds && limits->attenuated_us < ATTENUATED_PERIODS_MIN * point->period_us) {
        yaml_error(loader->reader.errors, window, "'%s' is shorter than %d periods", window->text,
                   ATTENUATED_PERIODS_MIN);
    }
    int64_t piece_us = limits->attenuated_us / 24;
    limits->attenuated_piece_us = piece_us > point->period_us ? piece_us : point->period_us;
}

static void read_month_numbers(struct loader *loader, const struct yaml_node *node,
                               const struct quality_month *range, struct quality_limits *limits) {
    static const struct option row = {
        .name = "months", .type = OPTION_INT, .min = 1, .max = 12, .size = sizeof(uint32_t)};
    const struct yaml_node *list = yaml_member(node, "months");
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    for (const struct yaml_node *entry = list->first; entry != NULL; entry = entry->next) {
        uint32_t month;
        if (option_read(&loader->reader, &row, entry, &month) != 0) {
            continue;
        }
        struct quality_month *into = &limits->months[month - 1];
        if (!isnan(into->hard_min) || !isnan(into->hard_max) || !isnan(into->soft_min) ||
            !isnan(into->soft_max)) {
            yaml_error(loader->reader.errors, entry, "month %u has limits already",
                       (unsigned)month);
            continue;
        }
        *into = *range;
        limits->has_months = true;
    }
}

static void read_months(struct loader *loader, const struct yaml_node *map, struct point *point) {
    struct quality_limits *limits = &point->quality;
    const double none = (double)NAN;
    const struct yaml_node *list = yaml_member(map, "months");
    for (int i = 0; i < QUALITY_MONTHS; i++) {
        limits->months[i] = (struct quality_month){none, none, none, none};
    }
    limits->utc_offset_min = loader->site->settings.utc_offset_min;
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        struct quality_month range;
        loader->reader.value_unit = point->unit;
        int result = option_group_read(&loader->reader, &group_month, node, &range);
        loader->reader.value_unit = NULL;
        if (result != 0 || node->kind != YAML_MAP) {
            continue;
        }
        if (isnan(range.hard_min) && isnan(range.hard_max) && isnan(range.soft_min) &&
            isnan(range.soft_max)) {
            yaml_error(loader->reader.errors, node, "no limit is given; expected at least one");
            continue;
        }
        read_month_numbers(loader, node, &range, limits);
        range.hard_min = isnan(range.hard_min) ? limits->hard_min : range.hard_min;
        range.hard_max = isnan(range.hard_max) ? limits->hard_max : range.hard_max;
        range.soft_min = isnan(range.soft_min) ? limits->soft_min : range.soft_min;
        range.soft_max = isnan(range.soft_max) ? limits->soft_max : range.soft_max;
        check_ranges(loader, node, &range);
    }
}

void loader_quality(struct loader *loader, const struct yaml_node *map, struct point *point) {
    struct quality_limits *limits = &point->quality;
    loader->reader.value_unit = point->unit;
    const struct yaml_node *node = loader_section(loader, &group_quality, map, "quality", limits);
    loader->reader.value_unit = NULL;
    read_months(loader, node != NULL && node->kind == YAML_MAP ? node : NULL, point);
    if (node == NULL || node->kind != YAML_MAP) {
        return;
    }
    take_preset(loader, node, point);
    const struct quality_month year = {limits->hard_min, limits->hard_max, limits->soft_min,
                                       limits->soft_max};
    check_ranges(loader, node, &year);
    loader_check_order(loader, node, "spike_suspect", limits->spike_suspect, "spike_fail",
                       limits->spike_fail, false);
    loader_check_positive(loader, node, "rate_max", limits->rate_max_per_s);
    loader_check_positive(loader, node, "spike_suspect", limits->spike_suspect);
    loader_check_positive(loader, node, "spike_fail", limits->spike_fail);
    loader_check_positive(loader, node, "neighbour_max", limits->neighbour_max);
    check_flat(loader, node, limits);
    check_attenuated(loader, node, point);
}

/* ---- other points ---- */

/* Finds the point of a reference; false when that was told as a fault. */
static bool resolve(struct loader *loader, const struct yaml_node *node, uint32_t station_index,
                    struct point_ref *ref) {
    const struct site *site = loader->site;
    const struct station *station = &site->stations[station_index];
    if (ref->station[0] != '\0') {
        const struct loader_id *id =
            loader_find(loader->stations, site->station_count, ref->station);
        if (id == NULL) {
            yaml_error(loader->reader.errors, yaml_member(node, "station"),
                       "the station '%s' is unknown", ref->station);
            return false;
        }
        station = &site->stations[id->index];
    }
    for (uint32_t i = 0; i < station->point_count; i++) {
        if (strcmp(site->points[station->first_point + i].id, ref->point) == 0) {
            ref->index = station->first_point + i;
            return true;
        }
    }
    yaml_error(loader->reader.errors, yaml_member(node, "point"),
               "the station '%s' has no point '%s'", station->id, ref->point);
    return false;
}

/* Totals are compared by what fell over a window, numbers as they are. */
static void check_neighbour_window(struct loader *loader, const struct yaml_node *map,
                                   const struct point *point) {
    const struct yaml_node *window = yaml_member(map, "neighbour_window");
    int64_t window_us = point->quality.neighbour_window_us;
    if (point->kind == POINT_INSTANT && window_us > 0) {
        yaml_error(loader->reader.errors, window,
                   "only a point of kind counter or amount has a neighbour_window");
    } else if (point->kind != POINT_INSTANT && window_us < point->period_us) {
        yaml_error(loader->reader.errors, window != NULL ? window : map,
                   "a counter or amount with neighbours needs a neighbour_window of at least its "
                   "period");
    }
}

static void read_neighbours(struct loader *loader, const struct yaml_node *map,
                            struct point *point) {
    struct quality_limits *limits = &point->quality;
    struct config_errors *errors = loader->reader.errors;
    const struct yaml_node *list = yaml_member(map, "neighbours");
    uint32_t count = list != NULL ? (uint32_t)list->count : 0;
    if ((list != NULL) != isfinite(limits->neighbour_max) ||
        (list != NULL) != (limits->neighbour_age_us > 0)) {
        yaml_error(errors, list != NULL ? list : map,
                   "neighbours, neighbour_max and neighbour_age need each other");
        return;
    }
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    if (count < 2 || count > QUALITY_NEIGHBOURS_MAX) {
        yaml_error(errors, list, "expected 2 to %d neighbours", QUALITY_NEIGHBOURS_MAX);
        return;
    }
    check_neighbour_window(loader, map, point);
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        struct point_ref *ref = &limits->neighbours[limits->neighbour_count];
        if (option_group_read(&loader->reader, &group_neighbour, node, ref) != 0 ||
            !resolve(loader, node, point->station, ref)) {
            continue;
        }
        const struct point *other = &loader->site->points[ref->index];
        if (other->station == point->station) {
            yaml_error(errors, node, "a neighbour is a point of another station");
        } else if (strcmp(other->unit, point->unit) != 0 ||
                   (other->kind == POINT_INSTANT) != (point->kind == POINT_INSTANT)) {
            yaml_error(errors, node, "%s.%s is not of kind %s and in %s", ref->station, ref->point,
                       point->kind == POINT_INSTANT ? "instant" : "counter or amount", point->unit);
        }
        limits->neighbour_count++;
    }
}

static void check_cross(struct loader *loader, const struct yaml_node *node,
                        const struct point *point, const struct quality_cross *cross) {
    struct config_errors *errors = loader->reader.errors;
    const struct point *other = &loader->site->points[cross->other.index];
    bool total = other->kind != POINT_INSTANT;
    if (isfinite(cross->value_above) == isfinite(cross->rise_above)) {
        yaml_error(errors, node, "expected one of value_above and rise_above");
    } else if (isfinite(cross->rise_above) != (cross->rise_window_us > 0)) {
        yaml_error(errors, node, "rise_above and rise_window need each other");
    }
    if (point->kind != POINT_INSTANT && isfinite(cross->value_above)) {
        yaml_error(errors, node, "of a counter or amount only rise_above is compared: what fell");
    }
    if (total != (cross->statistic == STATISTIC_AMOUNT)) {
        yaml_error(errors, node, "the statistic of '%s' is %s amount", other->id,
                   total ? "only" : "not");
    }
    if (isnan(cross->other_min) && isnan(cross->other_max)) {
        yaml_error(errors, node, "other has no bound; expected min or max");
    }
    if (other == point) {
        yaml_error(errors, node, "the other point is this one");
    }
}

static void read_cross(struct loader *loader, const struct yaml_node *map, struct point *point) {
    struct quality_limits *limits = &point->quality;
    const struct yaml_node *list = yaml_member(map, "cross");
    if (list == NULL || option_expect(&loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    if (list->count < 1 || list->count > QUALITY_CROSS_MAX) {
        yaml_error(loader->reader.errors, list, "%u entries; expected 1 to %d",
                   (unsigned)list->count, QUALITY_CROSS_MAX);
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        struct quality_cross *cross = &limits->cross[limits->cross_count];
        loader->reader.value_unit = point->unit;
        int result = option_group_read(&loader->reader, &group_cross, node, cross);
        loader->reader.value_unit = NULL;
        if (result != 0 || !resolve(loader, node, point->station, &cross->other)) {
            continue;
        }
        loader->reader.value_unit = loader->site->points[cross->other.index].unit;
        (void)loader_section(loader, &group_cross_bounds, node, "other", cross);
        loader->reader.value_unit = NULL;
        check_cross(loader, node, point, cross);
        limits->cross_count++;
    }
}

void loader_quality_others(struct loader *loader) {
    struct site *site = loader->site;
    for (size_t i = 0; i < site->point_count; i++) {
        struct point *point = &site->points[i];
        const struct yaml_node *node = yaml_member(loader->point_nodes[i], "quality");
        if (node != NULL && node->kind == YAML_MAP) {
            read_neighbours(loader, node, point);
            read_cross(loader, node, point);
        }
        point->quality.revision = site_quality_revision(site, point);
    }
}

/* ---- the dump ---- */

static void print_months(const struct quality_limits *limits, const char *unit, unsigned indent,
                         FILE *file) {
    (void)fprintf(file, "%*smonths:\n", (int)indent, "");
    for (int i = 0; i < QUALITY_MONTHS; i++) {
        const struct quality_month *month = &limits->months[i];
        if (isnan(month->hard_min) && isnan(month->hard_max) && isnan(month->soft_min) &&
            isnan(month->soft_max)) {
            continue;
        }
        (void)fprintf(file, "%*s- months: [%d]\n", (int)indent + 2, "", i + 1);
        option_group_print(&group_month, month, unit, indent + 4, NULL, file);
    }
}

void site_print_quality(const struct site *site, const struct point *point, unsigned indent,
                        FILE *file) {
    const struct quality_limits *limits = &point->quality;
    char dash[32];
    (void)snprintf(dash, sizeof dash, "%*s- ", (int)indent + 2, "");
    option_group_print(&group_quality, limits, point->unit, indent, NULL, file);
    if (limits->neighbour_count > 0) {
        (void)fprintf(file, "%*sneighbours:\n", (int)indent, "");
    }
    for (uint32_t i = 0; i < limits->neighbour_count; i++) {
        option_group_print(&group_neighbour, &limits->neighbours[i], NULL, indent + 4, dash, file);
    }
    if (limits->cross_count > 0) {
        (void)fprintf(file, "%*scross:\n", (int)indent, "");
    }
    for (uint32_t i = 0; i < limits->cross_count; i++) {
        const struct quality_cross *cross = &limits->cross[i];
        option_group_print(&group_cross, cross, point->unit, indent + 4, dash, file);
        (void)fprintf(file, "%*sother:\n", (int)indent + 4, "");
        option_group_print(&group_cross_bounds, cross, site->points[cross->other.index].unit,
                           indent + 6, NULL, file);
    }
    if (limits->has_months) {
        print_months(limits, point->unit, indent, file);
    }
}

struct printed {
    const struct site *site;
    const struct point *point;
};

static void print_for_revision(const void *object, FILE *file) {
    const struct printed *printed = object;
    site_print_quality(printed->site, printed->point, 0, file);
}

uint32_t site_quality_revision(const struct site *site, const struct point *point) {
    const struct printed printed = {site, point};
    char *text;
    size_t length;
    if (site_text_of(print_for_revision, &printed, &text, &length) != 0) {
        return 1; /* no memory: the load fails elsewhere too */
    }
    uint32_t revision = (uint32_t)hash_spread(text);
    free(text);
    return revision != 0 ? revision : 1;
}
