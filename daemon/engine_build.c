#include "daemon/engine_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

/* All windows together; a province needs some ten megabytes. */
#define WINDOW_BYTES_MAX (UINT64_C(2) << 30)

#define INCIDENT_QUIET_US (INT64_C(6) * 3600 * 1000000)

enum { WINDOW_NONE = -1 };

static int compare_keys(const void *left, const void *right) {
    const struct engine_key *a = left;
    const struct engine_key *b = right;
    for (int i = 0; i < 3; i++) {
        int order = strcmp(a->part[i], b->part[i]);
        if (order != 0) {
            return order;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (a->number[i] != b->number[i]) {
            return a->number[i] < b->number[i] ? -1 : 1;
        }
    }
    return 0;
}

void engine_keys_sort(struct engine_key *keys, size_t count) {
    if (count > 1) {
        qsort(keys, count, sizeof *keys, compare_keys);
    }
}

uint32_t engine_keys_find(const struct engine_key *keys, size_t count,
                          const struct engine_key *wanted) {
    if (count == 0) {
        return UINT32_MAX;
    }
    const struct engine_key *found = bsearch(wanted, keys, count, sizeof *keys, compare_keys);
    return found != NULL ? found->index : UINT32_MAX;
}

uint32_t engine_find_point(const struct engine *engine, const char *station, const char *point) {
    struct engine_key key = {.part = {station, point, ""}};
    return engine_keys_find(engine->point_keys, engine->site.point_count, &key);
}

/* The probability as part of a key: 0 for none, so that equal texts give equal keys. */
static int64_t probability_key(double probability) {
    return isnan(probability) ? 0 : 1 + (int64_t)llround(probability * 1e6);
}

uint32_t engine_find_slot(const struct engine *engine, const struct model_result *result) {
    struct engine_key key = {
        .part = {result->product, result->variable, result->place},
        .number = {result->window_us, result->lead_us, probability_key(result->probability)}};
    uint32_t index = engine_keys_find(engine->slot_keys, engine->slot_count, &key);
    if (index == UINT32_MAX) { /* a rule that does not ask for one may still show it */
        key.number[2] = 0;
        index = engine_keys_find(engine->slot_keys, engine->slot_count, &key);
    }
    return index;
}

uint32_t engine_find_alarm(const struct engine *engine, const char *rule, const char *place) {
    struct engine_key key = {.part = {rule, place, ""}};
    return engine_keys_find(engine->alarm_keys, engine->alarm_count, &key);
}

uint32_t engine_find_place(const struct engine *engine, const char *place) {
    struct engine_key key = {.part = {place, "", ""}};
    return engine_keys_find(engine->place_keys,
                            engine->site.station_count + engine->site.area_count, &key);
}

const char *engine_place_id(const struct engine *engine, struct rule_place place) {
    return place.kind == PLACE_STATION ? engine->site.stations[place.index].id
                                       : engine->site.areas[place.index].id;
}

struct place engine_place(const struct engine *engine, struct rule_place place) {
    if (place.kind == PLACE_STATION) {
        const struct station *station = &engine->site.stations[place.index];
        return (struct place){.kind = PLACE_STATION,
                              .id = station->id,
                              .name_vi = station->name_vi,
                              .name_en = station->name_en,
                              .latitude_deg = station->latitude_deg,
                              .longitude_deg = station->longitude_deg,
                              .radius_km = station->radius_km,
                              .provisional = station->provisional,
                              .communes = station->communes,
                              .commune_codes = station->commune_codes};
    }
    const struct area *area = &engine->site.areas[place.index];
    return (struct place){.kind = PLACE_AREA,
                          .id = area->id,
                          .name_vi = area->name_vi,
                          .name_en = area->name_en,
                          .latitude_deg = (double)NAN,
                          .longitude_deg = (double)NAN,
                          .provisional = area->provisional,
                          .communes = area->communes,
                          .commune_codes = area->commune_codes};
}

/* While building: windows wanted by rules, not yet grouped by point. */
struct wanted_window {
    uint32_t point;
    enum window_kind kind;
    int64_t window_us;
    uint32_t next; /* of the same point, plus 1; 0: none */
};

struct build {
    struct engine *engine;
    struct wanted_window *windows;
    uint32_t window_count;
    struct err *err;
};

static int window_kind_of(enum indicator_kind kind) {
    switch (kind) {
    case INDICATOR_RISE:
        return WINDOW_RISE;
    case INDICATOR_ACCUMULATION:
        return WINDOW_ACCUMULATION;
    case INDICATOR_MEAN:
        return WINDOW_MEAN;
    case INDICATOR_NOWCAST:
        return WINDOW_NOWCAST;
    case INDICATOR_HIGHEST_HOUR:
        return WINDOW_HIGHEST_HOUR;
    case INDICATOR_HIGHEST_8H:
        return WINDOW_HIGHEST_8H;
    case INDICATOR_LOWEST_DAILY_MAX:
        return WINDOW_LOWEST_DAILY_MAX;
    case INDICATOR_HIGHEST_DAILY_MEAN:
        return WINDOW_HIGHEST_DAILY_MEAN;
    case INDICATOR_LATEST:
    case INDICATOR_MODEL:
    case INDICATOR_SILENCE:
    case INDICATOR_KIND_COUNT:
        break;
    }
    return WINDOW_NONE;
}

static int build_places(struct build *build) {
    struct engine *engine = build->engine;
    const struct engine_site *site = &engine->site;
    size_t count = site->station_count + site->area_count;
    for (size_t i = 0; i < count; i++) {
        const char *id = i < site->station_count ? site->stations[i].id
                                                 : site->areas[i - site->station_count].id;
        engine->place_keys[i] = (struct engine_key){.part = {id, "", ""}, .index = (uint32_t)i};
    }
    engine_keys_sort(engine->place_keys, count);
    for (size_t i = 1; i < count; i++) {
        if (compare_keys(&engine->place_keys[i - 1], &engine->place_keys[i]) == 0) {
            return err_set(build->err, ERR_EXISTS, "two places are called %s",
                           engine->place_keys[i].part[0]);
        }
    }
    return 0;
}

static int build_points(struct build *build) {
    struct engine *engine = build->engine;
    const struct engine_site *site = &engine->site;
    for (size_t i = 0; i < site->point_count; i++) {
        const struct point *point = &site->points[i];
        if (point->station >= site->station_count || point->period_us <= 0 ||
            point->stale_after_us <= 0) {
            return err_set(build->err, ERR_RANGE, "point %s: station, period or staleness",
                           point->id);
        }
        if (point->counter_epoch != COUNTER_EPOCH_NONE &&
            point->counter_epoch_point >= site->point_count) {
            return err_set(build->err, ERR_NOT_FOUND, "point %s: its counter_epoch", point->id);
        }
        engine->points[i].newest_gain = 1;
        engine->points[i].newest_epoch = (double)NAN;
        engine->points[i].before_epoch = (double)NAN;
        engine->point_keys[i] = (struct engine_key){
            .part = {site->stations[point->station].id, point->id, ""}, .index = (uint32_t)i};
    }
    engine_keys_sort(engine->point_keys, site->point_count);
    for (size_t i = 1; i < site->point_count; i++) {
        if (compare_keys(&engine->point_keys[i - 1], &engine->point_keys[i]) == 0) {
            return err_set(build->err, ERR_EXISTS, "station %s has two points %s",
                           engine->point_keys[i].part[0], engine->point_keys[i].part[1]);
        }
    }
    return 0;
}

/* Silence is the station's: any of its points stands for it. */
static int resolve_station(struct build *build, const struct rule *rule,
                           const struct indicator_spec *spec, const char *place,
                           uint32_t *ret_point) {
    const struct engine_site *site = &build->engine->site;
    const char *id = spec->station[0] != '\0' ? spec->station : place;
    uint32_t index = engine_find_place(build->engine, id);
    if (index >= site->station_count || site->stations[index].point_count == 0) {
        return err_set(build->err, ERR_NOT_FOUND, "rule %s: %s is no station with points", rule->id,
                       id);
    }
    *ret_point = site->stations[index].first_point;
    return 0;
}

/* The point of an indicator, with its kind checked. */
static int resolve_point(struct build *build, const struct rule *rule,
                         const struct indicator_spec *spec, const char *place,
                         uint32_t *ret_point) {
    const char *station = spec->station[0] != '\0' ? spec->station : place;
    uint32_t point = engine_find_point(build->engine, station, spec->point);
    if (point == UINT32_MAX) {
        return err_set(build->err, ERR_NOT_FOUND, "rule %s: %s has no point %s", rule->id, station,
                       spec->point);
    }
    bool adds_up = build->engine->site.points[point].kind != POINT_INSTANT;
    if ((spec->kind == INDICATOR_ACCUMULATION) != adds_up && spec->kind != INDICATOR_LATEST &&
        spec->kind != INDICATOR_RISE) {
        return err_set(build->err, ERR_UNSUPPORTED, "rule %s: no %s of point %s.%s: it is %s",
                       rule->id, indicator_kind_name(spec->kind), station, spec->point,
                       adds_up ? "a total" : "a state at an instant");
    }
    *ret_point = point;
    return 0;
}

static uint32_t want_window(struct build *build, uint32_t point,
                            const struct indicator_spec *spec) {
    int kind = window_kind_of(spec->kind);
    if (kind == WINDOW_NONE) {
        return UINT32_MAX;
    }
    /* While building, first_window heads the list of the point's windows. */
    uint32_t *head = &build->engine->points[point].first_window;
    for (uint32_t i = *head; i != 0; i = build->windows[i - 1].next) {
        const struct wanted_window *window = &build->windows[i - 1];
        if ((int)window->kind == kind && window->window_us == spec->window_us) {
            return i - 1;
        }
    }
    build->windows[build->window_count] = (struct wanted_window){.point = point,
                                                                 .kind = (enum window_kind)kind,
                                                                 .window_us = spec->window_us,
                                                                 .next = *head};
    *head = ++build->window_count;
    return build->window_count - 1;
}

/* One slot for each model source; build_slots() makes one of equal ones. */
static uint32_t want_slot(struct engine *engine, const struct indicator_spec *spec,
                          const char *place) {
    engine->slot_keys[engine->slot_count] = (struct engine_key){
        .part = {spec->product, spec->variable, place},
        .number = {spec->window_us, spec->lead_us, probability_key(spec->probability)},
        .index = engine->slot_count};
    return engine->slot_count++;
}

static int build_slots(struct build *build) {
    struct engine *engine = build->engine;
    uint32_t *moved = calloc(engine->slot_count + 1, sizeof *moved);
    if (moved == NULL) {
        return err_set(build->err, ERR_MEMORY, "no memory");
    }
    engine_keys_sort(engine->slot_keys, engine->slot_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->slot_count; i++) {
        struct engine_key key = engine->slot_keys[i];
        if (count == 0 || compare_keys(&engine->slot_keys[count - 1], &key) != 0) {
            engine->slot_keys[count++] = key;
        }
        moved[key.index] = count - 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        engine->slot_keys[i].index = i;
        engine->slots[i].value = (double)NAN;
    }
    engine->slot_count = count;
    for (uint32_t a = 0; a < engine->alarm_count; a++) {
        const struct engine_alarm *alarm = &engine->alarms[a];
        for (uint32_t i = 0; i < alarm->rule->indicator_count; i++) {
            struct engine_source *source = &engine->sources[alarm->first_source + i];
            if (alarm->rule->indicators[i].kind == INDICATOR_MODEL) {
                source->point = moved[source->point];
            }
        }
    }
    free(moved);
    return 0;
}

static int build_alarm(struct build *build, const struct rule *rule, struct rule_place place,
                       struct moment now) {
    struct engine *engine = build->engine;
    struct engine_alarm *entry = &engine->alarms[engine->alarm_count];
    const struct engine_site *site = &engine->site;
    size_t limit = place.kind == PLACE_STATION ? site->station_count : site->area_count;
    if (place.index >= limit) {
        return err_set(build->err, ERR_NOT_FOUND, "rule %s: a place that is not there", rule->id);
    }
    const struct alarm_levels *levels =
        place.kind == PLACE_STATION ? &site->stations[place.index].alarm_levels : NULL;
    struct alarm alarm;
    if (alarm_init(rule, levels, now, &alarm) != 0) {
        return 0; /* ungraded there */
    }
    *entry = (struct engine_alarm){.rule = rule,
                                   .place = place,
                                   .place_index = place.kind == PLACE_STATION
                                                      ? place.index
                                                      : (uint32_t)site->station_count + place.index,
                                   .levels = levels,
                                   .first_source = engine->source_count,
                                   .due_us = INT64_MIN,
                                   .parent = UINT32_MAX,
                                   .suppressor = UINT32_MAX,
                                   .alarm = alarm};
    const char *id = engine_place_id(engine, place);
    engine->alarm_keys[engine->alarm_count] =
        (struct engine_key){.part = {rule->id, id, ""}, .index = engine->alarm_count};
    engine->alarm_count++;
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        const struct indicator_spec *spec = &rule->indicators[i];
        struct engine_source *source = &engine->sources[engine->source_count++];
        source->window = UINT32_MAX;
        if (spec->kind == INDICATOR_MODEL) {
            source->point = want_slot(engine, spec, id);
            continue;
        }
        int result = spec->kind == INDICATOR_SILENCE
                         ? resolve_station(build, rule, spec, id, &source->point)
                         : resolve_point(build, rule, spec, id, &source->point);
        if (result != 0) {
            return result;
        }
        source->window = want_window(build, source->point, spec);
    }
    return 0;
}

static uint32_t want_window_of(struct build *build, uint32_t point, enum indicator_kind kind,
                               int64_t window_us) {
    const struct indicator_spec spec = {.kind = kind, .window_us = window_us};
    return want_window(build, point, &spec);
}

/* What fell at a point and at its neighbours is compared over one window. */
static int build_neighbours(struct build *build, uint32_t index) {
    struct engine *engine = build->engine;
    const struct point *point = &engine->site.points[index];
    const struct quality_limits *limits = &point->quality;
    engine->points[index].first_neighbour = engine->cross_count;
    for (uint32_t k = 0; k < limits->neighbour_count; k++) {
        if (limits->neighbours[k].index >= engine->site.point_count) {
            return err_set(build->err, ERR_NOT_FOUND, "point %s: its neighbour %s", point->id,
                           limits->neighbours[k].point);
        }
        if (point->kind != POINT_INSTANT) {
            engine->crosses[engine->cross_count++] = (struct engine_cross){
                .rise_window = want_window_of(build, index, INDICATOR_ACCUMULATION,
                                              limits->neighbour_window_us),
                .other_window =
                    want_window_of(build, limits->neighbours[k].index, INDICATOR_ACCUMULATION,
                                   limits->neighbour_window_us)};
        }
    }
    return 0;
}

/* The windows that the neighbour and cross-variable tests of quality control look at. */
static int build_crosses(struct build *build) {
    static const enum indicator_kind kinds[] = {[STATISTIC_LATEST] = INDICATOR_LATEST,
                                                [STATISTIC_RISE] = INDICATOR_RISE,
                                                [STATISTIC_MEAN] = INDICATOR_MEAN,
                                                [STATISTIC_AMOUNT] = INDICATOR_ACCUMULATION};
    struct engine *engine = build->engine;
    for (uint32_t i = 0; i < engine->site.point_count; i++) {
        const struct quality_limits *limits = &engine->site.points[i].quality;
        int result = build_neighbours(build, i);
        if (result != 0) {
            return result;
        }
        engine->points[i].first_cross = engine->cross_count;
        enum indicator_kind rise_kind =
            engine->site.points[i].kind == POINT_INSTANT ? INDICATOR_RISE : INDICATOR_ACCUMULATION;
        for (uint32_t k = 0; k < limits->cross_count; k++) {
            const struct quality_cross *cross = &limits->cross[k];
            if (cross->other.index >= engine->site.point_count) {
                return err_set(build->err, ERR_NOT_FOUND, "point %s: its cross test with %s",
                               engine->site.points[i].id, cross->other.point);
            }
            engine->crosses[engine->cross_count++] = (struct engine_cross){
                .rise_window = isnan(cross->rise_above)
                                   ? UINT32_MAX
                                   : want_window_of(build, i, rise_kind, cross->rise_window_us),
                .other_window = want_window_of(build, cross->other.index, kinds[cross->statistic],
                                               cross->window_us)};
        }
    }
    return 0;
}

/* Puts the windows of each point together and makes them. */
static int build_windows(struct build *build) {
    struct engine *engine = build->engine;
    uint32_t next = 0;
    uint64_t bytes = 0;
    uint32_t *moved = calloc(build->window_count + 1, sizeof *moved);
    if (moved == NULL) {
        return err_set(build->err, ERR_MEMORY, "no memory");
    }
    for (uint32_t i = 0; i < build->window_count; i++) {
        engine->points[build->windows[i].point].window_count++;
    }
    for (size_t i = 0; i < engine->site.point_count; i++) {
        engine->points[i].first_window = next;
        next += engine->points[i].window_count;
        engine->points[i].window_count = 0;
    }
    int result = 0;
    for (uint32_t i = 0; i < build->window_count && result == 0; i++) {
        const struct wanted_window *wanted = &build->windows[i];
        struct engine_point *point = &engine->points[wanted->point];
        moved[i] = point->first_window + point->window_count++;
        struct engine_window *window = &engine->windows[moved[i]];
        result = window_init(wanted->kind, wanted->window_us,
                             engine->site.points[wanted->point].period_us, &window->series);
        bytes += window->series.capacity * sizeof(struct window_segment);
        if (result == 0 && bytes > WINDOW_BYTES_MAX) {
            result = ERR_LIMIT;
        }
        window->value.value = (double)NAN;
    }
    engine->window_count = build->window_count;
    for (uint32_t i = 0; i < engine->source_count; i++) {
        if (engine->sources[i].window != UINT32_MAX) {
            engine->sources[i].window = moved[engine->sources[i].window];
        }
    }
    for (uint32_t i = 0; i < engine->cross_count; i++) {
        struct engine_cross *cross = &engine->crosses[i];
        cross->rise_window =
            cross->rise_window != UINT32_MAX ? moved[cross->rise_window] : UINT32_MAX;
        cross->other_window =
            cross->other_window != UINT32_MAX ? moved[cross->other_window] : UINT32_MAX;
    }
    free(moved);
    return result == 0 ? 0 : err_set(build->err, result, "the windows of the rules need too much");
}

/* Adds `alarm` to the list that `first` and `count` describe; counts only while `list` is NULL. */
static void note_alarm(uint32_t *list, uint32_t first, uint32_t *count, uint32_t alarm) {
    if (list != NULL) {
        if (*count > 0 && list[first + *count - 1] == alarm) {
            return; /* two indicators of one alarm look at the same thing */
        }
        list[first + *count] = alarm;
    }
    (*count)++;
}

static void note_sources(struct engine *engine, uint32_t *point_alarms, uint32_t *slot_alarms) {
    for (uint32_t a = 0; a < engine->alarm_count; a++) {
        const struct engine_alarm *alarm = &engine->alarms[a];
        for (uint32_t i = 0; i < alarm->rule->indicator_count; i++) {
            uint32_t from = engine->sources[alarm->first_source + i].point;
            if (alarm->rule->indicators[i].kind == INDICATOR_MODEL) {
                struct engine_slot *slot = &engine->slots[from];
                note_alarm(slot_alarms, slot->first_alarm, &slot->alarm_count, a);
            } else if (alarm->rule->indicators[i].kind == INDICATOR_SILENCE) {
                const struct station *station =
                    &engine->site.stations[engine->site.points[from].station];
                for (uint32_t p = 0; p < station->point_count; p++) {
                    struct engine_point *point = &engine->points[station->first_point + p];
                    note_alarm(point_alarms, point->first_alarm, &point->alarm_count, a);
                }
            } else {
                struct engine_point *point = &engine->points[from];
                note_alarm(point_alarms, point->first_alarm, &point->alarm_count, a);
            }
        }
    }
}

static int build_lists(struct build *build) {
    struct engine *engine = build->engine;
    note_sources(engine, NULL, NULL);
    uint32_t next = 0;
    for (size_t i = 0; i < engine->site.point_count; i++) {
        engine->points[i].first_alarm = next;
        next += engine->points[i].alarm_count;
        engine->points[i].alarm_count = 0;
    }
    engine->point_alarms = calloc(next + 1, sizeof *engine->point_alarms);
    next = 0;
    for (uint32_t i = 0; i < engine->slot_count; i++) {
        engine->slots[i].first_alarm = next;
        next += engine->slots[i].alarm_count;
        engine->slots[i].alarm_count = 0;
    }
    engine->slot_alarms = calloc(next + 1, sizeof *engine->slot_alarms);
    if (engine->point_alarms == NULL || engine->slot_alarms == NULL) {
        return err_set(build->err, ERR_MEMORY, "no memory");
    }
    note_sources(engine, engine->point_alarms, engine->slot_alarms);
    return 0;
}

/* The alarm of `rule` at the place of `entry`; for an area also at the station of its first
 * indicator. UINT32_MAX: none. */
static uint32_t find_relation(const struct engine *engine, const struct engine_alarm *entry,
                              const char *rule) {
    if (rule[0] == '\0') {
        return UINT32_MAX;
    }
    uint32_t found = engine_find_alarm(engine, rule, engine_place_id(engine, entry->place));
    if (found == UINT32_MAX && entry->place.kind == PLACE_AREA) {
        found = engine_find_alarm(engine, rule, entry->rule->indicators[0].station);
    }
    return found;
}

/* One more than the deepest of those that mask or suppress it; ERR_INVALID: a circle. */
static int find_depth(struct engine *engine, uint32_t index, uint8_t above) {
    struct engine_alarm *entry = &engine->alarms[index];
    uint32_t relations[] = {entry->parent, entry->suppressor};
    if (above > ENGINE_DEPTH_MAX) {
        return ERR_INVALID;
    }
    uint8_t depth = 0;
    for (int i = 0; i < 2; i++) {
        if (relations[i] == UINT32_MAX) {
            continue;
        }
        int result = find_depth(engine, relations[i], (uint8_t)(above + 1));
        if (result != 0) {
            return result;
        }
        uint8_t over = (uint8_t)(engine->alarms[relations[i]].depth + 1);
        depth = over > depth ? over : depth;
    }
    entry->depth = depth;
    engine->depth_max = depth > engine->depth_max ? depth : engine->depth_max;
    return 0;
}

static void note_child(struct engine *engine, uint32_t of, uint32_t child, bool count_only) {
    if (of == UINT32_MAX) {
        return;
    }
    struct engine_alarm *entry = &engine->alarms[of];
    if (!count_only) {
        engine->child_alarms[entry->first_child + entry->child_count] = child;
    }
    entry->child_count++;
}

/* Who masks and suppresses whom. */
static int build_relations(struct build *build) {
    struct engine *engine = build->engine;
    uint32_t next = 0;
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        struct engine_alarm *entry = &engine->alarms[i];
        entry->parent = find_relation(engine, entry, entry->rule->masked_by);
        entry->suppressor = find_relation(engine, entry, entry->rule->suppressed_by);
    }
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        const struct engine_alarm *entry = &engine->alarms[i];
        if (find_depth(engine, i, 0) != 0) {
            return err_set(
                build->err, ERR_INVALID,
                "rule %s: masked_by and suppressed_by lead in a circle, or over more than "
                "%d rules",
                entry->rule->id, ENGINE_DEPTH_MAX);
        }
        note_child(engine, entry->parent, i, true);
        if (entry->suppressor != entry->parent) {
            note_child(engine, entry->suppressor, i, true);
        }
    }
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        engine->alarms[i].first_child = next;
        next += engine->alarms[i].child_count;
        engine->alarms[i].child_count = 0;
    }
    engine->child_alarms = calloc(next + 1, sizeof *engine->child_alarms);
    if (engine->child_alarms == NULL) {
        return err_set(build->err, ERR_MEMORY, "no memory");
    }
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        const struct engine_alarm *entry = &engine->alarms[i];
        note_child(engine, entry->parent, i, false);
        if (entry->suppressor != entry->parent) {
            note_child(engine, entry->suppressor, i, false);
        }
    }
    return 0;
}

/* Room for as many alarms and indicators as the rules can ask for. */
static int build_memory(struct build *build) {
    struct engine *engine = build->engine;
    const struct engine_site *site = &engine->site;
    size_t alarms = 0;
    size_t sources = 0;
    for (size_t i = 0; i < site->rule_count; i++) {
        alarms += site->rules[i].place_count;
        sources += site->rules[i].place_count * site->rules[i].indicator_count;
    }
    size_t crosses = 0;
    for (size_t i = 0; i < site->point_count; i++) {
        if (site->points[i].quality.neighbour_count > QUALITY_NEIGHBOURS_MAX ||
            site->points[i].quality.cross_count > QUALITY_CROSS_MAX) {
            return err_set(build->err, ERR_RANGE, "point %s: too many other points",
                           site->points[i].id);
        }
        crosses += site->points[i].quality.cross_count;
        crosses += site->points[i].quality.neighbour_count;
    }
    size_t windows = sources + 2 * crosses;
    size_t places = site->station_count + site->area_count;
    if (sources >= UINT32_MAX || site->point_count >= UINT32_MAX || places >= UINT32_MAX) {
        return err_set(build->err, ERR_LIMIT, "the site is too large");
    }
    engine->points = calloc(site->point_count + 1, sizeof *engine->points);
    engine->windows = calloc(windows + 1, sizeof *engine->windows);
    engine->slots = calloc(sources + 1, sizeof *engine->slots);
    engine->alarms = calloc(alarms + 1, sizeof *engine->alarms);
    engine->sources = calloc(sources + 1, sizeof *engine->sources);
    engine->indicators = calloc(sources + 1, sizeof *engine->indicators);
    engine->calibrations = calloc(ENGINE_CALIBRATIONS_MAX, sizeof *engine->calibrations);
    engine->crosses = calloc(crosses + 1, sizeof *engine->crosses);
    engine->place_sequences = calloc(places + 1, sizeof *engine->place_sequences);
    engine->point_keys = calloc(site->point_count + 1, sizeof *engine->point_keys);
    engine->slot_keys = calloc(sources + 1, sizeof *engine->slot_keys);
    engine->alarm_keys = calloc(alarms + 1, sizeof *engine->alarm_keys);
    engine->place_keys = calloc(places + 1, sizeof *engine->place_keys);
    engine->stations = calloc(site->station_count + 1, sizeof *engine->stations);
    engine->incidents = calloc(1, sizeof *engine->incidents);
    build->windows = calloc(windows + 1, sizeof *build->windows);
    bool complete = engine->points != NULL && engine->windows != NULL && engine->slots != NULL &&
                    engine->alarms != NULL && engine->sources != NULL &&
                    engine->indicators != NULL && engine->crosses != NULL &&
                    engine->calibrations != NULL && engine->place_sequences != NULL &&
                    engine->point_keys != NULL && engine->slot_keys != NULL &&
                    engine->alarm_keys != NULL && engine->place_keys != NULL &&
                    engine->stations != NULL && engine->incidents != NULL && build->windows != NULL;
    return complete ? 0 : err_set(build->err, ERR_MEMORY, "no memory");
}

static int build_alarms(struct build *build, struct moment now) {
    struct engine *engine = build->engine;
    for (size_t r = 0; r < engine->site.rule_count; r++) {
        const struct rule *rule = &engine->site.rules[r];
        for (size_t p = 0; p < rule->place_count; p++) {
            int result = build_alarm(build, rule, rule->places[p], now);
            if (result != 0) {
                return result;
            }
        }
    }
    engine_keys_sort(engine->alarm_keys, engine->alarm_count);
    for (uint32_t i = 1; i < engine->alarm_count; i++) {
        if (compare_keys(&engine->alarm_keys[i - 1], &engine->alarm_keys[i]) == 0) {
            return err_set(build->err, ERR_EXISTS, "rule %s names the place %s twice",
                           engine->alarm_keys[i].part[0], engine->alarm_keys[i].part[1]);
        }
    }
    return 0;
}

static int build_all(struct build *build, struct moment now) {
    const struct engine_site *site = &build->engine->site;
    for (size_t i = 0; i < site->rule_count; i++) {
        int result = rule_check(&site->rules[i], build->err);
        if (result != 0) {
            return result;
        }
    }
    int result = build_memory(build);
    result = result == 0 ? build_places(build) : result;
    result = result == 0 ? build_points(build) : result;
    result = result == 0 ? build_alarms(build, now) : result;
    result = result == 0 ? build_relations(build) : result;
    result = result == 0 ? build_crosses(build) : result;
    result = result == 0 ? build_slots(build) : result;
    result = result == 0 ? build_windows(build) : result;
    return result == 0 ? build_lists(build) : result;
}

int engine_create(const struct engine_site *site, struct moment now, struct engine **ret_engine,
                  struct err *ret_err) {
    struct engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory");
    }
    engine->site = *site;
    engine->now = now;
    engine->next_due_us = INT64_MIN;
    engine->listening_since = now.mono;
    engine->alerting = site->alerting != NULL
                           ? *site->alerting
                           : (struct alerting){.incident_quiet_us = INCIDENT_QUIET_US};
    struct build build = {.engine = engine, .err = ret_err};
    int result = build_all(&build, now);
    free(build.windows);
    if (result != 0) {
        (void)engine_destroy(engine);
        return result;
    }
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        (void)engine_refresh(engine, &engine->alarms[i], now);
    }
    *ret_engine = engine;
    return 0;
}

struct engine *engine_destroy(struct engine *engine) {
    if (engine == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < engine->window_count; i++) {
        window_finish(&engine->windows[i].series);
    }
    free(engine->points);
    free(engine->windows);
    free(engine->slots);
    free(engine->alarms);
    free(engine->sources);
    free(engine->indicators);
    free(engine->crosses);
    free(engine->calibrations);
    free(engine->point_alarms);
    free(engine->slot_alarms);
    free(engine->place_sequences);
    free(engine->stations);
    free(engine->child_alarms);
    free(engine->incidents);
    free(engine->point_keys);
    free(engine->slot_keys);
    free(engine->alarm_keys);
    free(engine->place_keys);
    free(engine);
    return NULL;
}
