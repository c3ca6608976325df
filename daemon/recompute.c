#include "daemon/recompute.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/counterfactual.h"
#include "alerts/message/json.h"
#include "daemon/base/text.h"
#include "daemon/field.h"

enum { PATH_SIZE = 160, ROWS_MAX = 400000 };
#define HOUR_US (INT64_C(3600) * 1000000)

/* Stored readings of one point, ascending in time. */
struct stored {
    uint32_t point;
    struct reading *readings;
    size_t count, room, next;
};

struct run {
    const struct recompute_options *options;
    struct rule rule; /* at one place only */
    struct engine_site site;
    struct engine *engine;
    struct stored stored[RULE_INDICATORS_MAX];
    size_t stored_count;
    struct moment now;     /* of the newest input */
    struct utc_us from;    /* stored readings are known from here on */
    json_t *evidence;      /* as published */
    json_t *seen;          /* differences of the newest comparison */
    json_t *readings_seen; /* differences between journal and table of readings */
    bool settled;          /* the evidence is as published */
    uint64_t visited;      /* inputs of the journal */
    struct recompute *result;
    struct err *err;
};

/* ---- differences ---- */

static void add_difference(json_t *list, const char *at, json_t *stored, json_t *recomputed) {
    json_t *item =
        json_pack("{s:s,s:o,s:o}", "at", at, "stored", stored != NULL ? stored : json_null(),
                  "recomputed", recomputed != NULL ? recomputed : json_null());
    if (item != NULL && json_array_size(list) < RECOMPUTE_DIFFERENCES_MAX) {
        json_array_append(list, item);
    }
    json_decref(item);
}

static bool same_number(const json_t *a, const json_t *b, double slack) {
    double x = json_number_value(a);
    double y = json_number_value(b);
    return fabs(x - y) <= slack * fmax(1, fmax(fabs(x), fabs(y)));
}

/* Stamps that are made of monotonic differences may be off by the steering of the wall clock. */
static bool same_text(const char *a, const char *b) {
    int64_t x_us, y_us;
    if (strcmp(a, b) == 0) {
        return true;
    }
    return text_parse_time(a, &x_us) == 0 && text_parse_time(b, &y_us) == 0 &&
           llabs(x_us - y_us) <= 2000000;
}

/* Appends what differs between two values below `path`. */
static void compare(const json_t *stored, const json_t *recomputed, const char *path, double slack,
                    json_t *list) {
    char below[PATH_SIZE];
    const char *key;
    size_t index;
    json_t *value;
    bool same;
    if (json_is_object(stored) && json_is_object(recomputed)) {
        json_object_foreach((json_t *)(uintptr_t)stored, key, value) {
            (void)snprintf(below, sizeof below, "%.100s.%.50s", path, key);
            compare(value, json_object_get(recomputed, key), below, slack, list);
        }
        return;
    }
    if (json_is_array(stored) && json_is_array(recomputed) &&
        json_array_size(stored) == json_array_size(recomputed)) {
        json_array_foreach(stored, index, value) {
            (void)snprintf(below, sizeof below, "%.100s[%zu]", path, index);
            compare(value, json_array_get(recomputed, index), below, slack, list);
        }
        return;
    }
    if (json_is_number(stored) && json_is_number(recomputed)) {
        same = same_number(stored, recomputed, slack);
    } else if (json_is_string(stored) && json_is_string(recomputed)) {
        same = same_text(json_string_value(stored), json_string_value(recomputed));
    } else {
        same = json_equal(stored, recomputed) == 1;
    }
    if (!same) {
        add_difference(list, path, json_incref((json_t *)(uintptr_t)stored),
                       json_incref((json_t *)(uintptr_t)recomputed));
    }
}

/* ---- the evidence as it is now in the engine ---- */

static int keep_view(void *ctx, const struct alarm_view *view) {
    *(struct alarm_view *)ctx = *view;
    return 1; /* there is only one */
}

static void look(struct run *run) {
    static char text[MESSAGE_SIZE_MAX];
    const struct message_context context = {.status = MESSAGE_TEST};
    struct alarm_view view = {.rule = NULL};
    size_t length;
    (void)engine_visit_alarms(run->engine, keep_view, &view);
    if (view.rule == NULL) {
        return; /* told by the caller: nothing was compared */
    }
    const struct indicator *indicators =
        engine_indicators(run->engine, run->rule.id, view.place.id, run->now);
    memcpy(run->result->indicators, indicators,
           run->rule.indicator_count * sizeof run->result->indicators[0]);
    run->result->alarm_levels = view.alarm_levels;
    view.indicators = run->result->indicators;
    json_t *body = message_alert_state(&view, &context, text, sizeof text, &length) == 0
                       ? json_loadb(text, length, 0, NULL)
                       : NULL;
    json_decref(run->seen);
    run->seen = json_array();
    double slack = strcmp(run->result->from, "journal") == 0 ? 0 : 1e-9;
    compare(run->evidence, json_object_get(body, "evidence"), "evidence", slack, run->seen);
    run->settled = json_array_size(run->seen) == 0;
    json_decref(body);
}

/* ---- readings of the store ---- */

static int add_stored(void *user, const struct reading *reading) {
    struct stored *stored = user;
    if (stored->count == stored->room) {
        size_t room = stored->room == 0 ? 1024 : 2 * stored->room;
        struct reading *grown =
            room > ROWS_MAX ? NULL : realloc(stored->readings, room * sizeof *grown);
        if (grown == NULL) {
            return ERR_LIMIT;
        }
        stored->readings = grown;
        stored->room = room;
    }
    stored->readings[stored->count] = *reading;
    stored->readings[stored->count++].point = stored->point;
    return 0;
}

static struct stored *stored_of(struct run *run, uint32_t point) {
    for (size_t i = 0; i < run->stored_count; i++) {
        if (run->stored[i].point == point) {
            return &run->stored[i];
        }
    }
    return NULL;
}

static uint32_t point_of(const struct run *run, const struct indicator_spec *spec) {
    const struct engine_site *site = &run->site;
    for (uint32_t i = 0; i < site->point_count; i++) {
        const struct station *station = &site->stations[site->points[i].station];
        bool here = spec->station[0] != '\0'
                        ? strcmp(station->id, spec->station) == 0
                        : run->options->place.kind == PLACE_STATION &&
                              run->options->place.index == site->points[i].station;
        if (here && strcmp(site->points[i].id, spec->point) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* How far back the state of quality control and windows depends on what came in. */
static int64_t memory_us(const struct run *run) {
    int64_t longest_us = HOUR_US; /* model runs, spikes, first differences */
    for (uint32_t i = 0; i < run->rule.indicator_count; i++) {
        const struct indicator_spec *spec = &run->rule.indicators[i];
        int64_t need_us = spec->window_us + spec->max_age_us + spec->lead_us;
        uint32_t point = spec->kind == INDICATOR_MODEL ? UINT32_MAX : point_of(run, spec);
        if (point != UINT32_MAX) {
            const struct point *at = &run->site.points[point];
            const struct quality_limits *limits = &at->quality;
            int64_t flat_us = limits->flat_fail_us > limits->flat_suspect_us
                                  ? limits->flat_fail_us
                                  : limits->flat_suspect_us;
            need_us += at->stale_after_us + flat_us + limits->gap_us + 10 * at->period_us;
        }
        longest_us = need_us > longest_us ? need_us : longest_us;
    }
    return 2 * longest_us;
}

static int read_stored(struct run *run, struct utc_us from) {
    const struct recompute_options *options = run->options;
    struct utc_us to = {options->at.us + 1};
    for (uint32_t i = 0; i < run->rule.indicator_count; i++) {
        const struct indicator_spec *spec = &run->rule.indicators[i];
        int64_t handle;
        uint32_t index = spec->kind == INDICATOR_MODEL ? UINT32_MAX : point_of(run, spec);
        if (index == UINT32_MAX || stored_of(run, index) != NULL) {
            continue;
        }
        const struct point *point = &run->site.points[index];
        struct stored *stored = &run->stored[run->stored_count++];
        stored->point = index;
        int result = store_point_handle(options->store, run->site.stations[point->station].id,
                                        point->id, point->unit, &handle, run->err);
        if (result == 0) {
            result =
                store_read_readings(options->store, handle, from, to, ROWS_MAX, add_stored, stored);
            if (result != 0) {
                (void)err_set(run->err, result, "the readings of %s cannot be read", point->id);
            }
        }
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* ---- stepping ---- */

static int take(struct run *run, const struct engine_input *input) {
    static const struct engine_sink silent = {.context = NULL};
    run->now = input->now;
    run->result->inputs++;
    return engine_step(run->engine, input, &silent);
}

static bool read_pair(const json_t *points, size_t index, struct field_record *field) {
    const json_t *pair = json_array_get(points, index);
    field->shown[index] = json_number_value(json_object_get(pair, "shown"));
    field->reference[index] = json_number_value(json_object_get(pair, "reference"));
    return json_is_object(pair);
}

static bool read_stamp(const json_t *object, const char *key, int64_t *ret_us) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text_parse_time(text, ret_us) == 0;
}

/* The command that a record of a technician came from; false: no calibration that was in force at
 * `at_us`. */
static bool calibration_of(const json_t *record, const char *station, int64_t at_us,
                           struct command *ret_command) {
    const char *kind = json_string_value(json_object_get(record, "kind"));
    const char *point = json_string_value(json_object_get(record, "point"));
    const char *instrument = json_string_value(json_object_get(record, "instrument"));
    const json_t *points = json_object_get(record, "points");
    int64_t recorded_us, revoked_us;
    struct command command = {.kind = COMMAND_CALIBRATE};
    bool revoked = read_stamp(json_object_get(record, "revoked"), "time", &revoked_us);
    if (kind == NULL || strcmp(kind, "calibrate") != 0 || point == NULL || instrument == NULL ||
        !read_stamp(record, "time", &recorded_us) || recorded_us >= at_us ||
        (revoked && revoked_us < at_us) ||
        !read_stamp(record, "applies_from", &command.field.at.us) ||
        !read_pair(points, 0, &command.field) || !read_pair(points, 1, &command.field)) {
        return false;
    }
    (void)text_copy(command.place, sizeof command.place, station); /* bounded as they were kept */
    (void)text_copy(command.actor, sizeof command.actor, "record");
    (void)text_copy(command.comment, sizeof command.comment, "record");
    (void)text_copy(command.field.point, sizeof command.field.point, point);
    (void)text_copy(command.field.instrument, sizeof command.field.instrument, instrument);
    *ret_command = command;
    return true;
}

/* Calibrations are older than any stretch: they are taken again from the technicians' records. */
static int take_calibrations(struct run *run, struct moment now) {
    static const struct engine_sink silent = {.context = NULL};
    /* Later ones come with the journal; without it there is no other chance. */
    bool journal = strcmp(run->result->from, "journal") == 0;
    int64_t until_us = journal ? now.utc.us : run->options->at.us;
    int result = 0;
    for (size_t i = 0; i < run->stored_count && result == 0; i++) {
        uint32_t station = run->site.points[run->stored[i].point].station;
        bool again = false;
        for (size_t k = 0; k < i; k++) {
            again = again || run->site.points[run->stored[k].point].station == station;
        }
        const char *id = run->site.stations[station].id;
        json_t *records = again ? NULL : field_records(run->options->store, id);
        size_t index;
        json_t *record;
        json_array_foreach(records, index, record) {
            struct engine_input input = {
                .kind = ENGINE_COMMAND, .number = engine_number(run->engine) + 1, .now = now};
            if (result == 0 && calibration_of(record, id, until_us, &input.as.command)) {
                result = engine_step(run->engine, &input, &silent);
            }
        }
        json_decref(records);
    }
    return result;
}

static int begin(struct run *run, struct moment now) {
    if (run->engine != NULL) {
        return 0;
    }
    int result = engine_create(&run->site, now, &run->engine, run->err);
    return result == 0 ? take_calibrations(run, now) : result;
}

/* A journaled reading against the same one in the table. */
static void check_reading(struct run *run, struct stored *stored, const struct reading *reading) {
    char at[PATH_SIZE];
    const struct point *point = &run->site.points[reading->point];
    const struct reading *found = NULL;
    for (size_t i = stored->next; i < stored->count && found == NULL; i++) {
        if (stored->readings[i].seq == reading->seq) {
            found = &stored->readings[i];
            stored->next = i; /* both ascend */
        }
    }
    if (found == NULL && stored->count > 0) { /* it was moved in time, or taken away */
        for (size_t i = 0; i < stored->next && found == NULL; i++) {
            found = stored->readings[i].seq == reading->seq ? &stored->readings[i] : NULL;
        }
    }
    (void)snprintf(at, sizeof at, "reading %" PRIu64 " of %.60s/%.60s", reading->seq,
                   run->site.stations[point->station].id, point->id);
    if (found == NULL) {
        add_difference(run->readings_seen, at, json_string("not in the store"),
                       isnan(reading->value) ? json_null() : json_real(reading->value));
        return;
    }
    bool same =
        found->status == reading->status &&
        (found->value == reading->value || (isnan(found->value) && isnan(reading->value))) &&
        found->received.utc.us == reading->received.utc.us;
    if (!same) {
        add_difference(run->readings_seen, at,
                       isnan(found->value) ? json_string(reading_status_name(found->status))
                                           : json_real(found->value),
                       isnan(reading->value) ? json_string(reading_status_name(reading->status))
                                             : json_real(reading->value));
    }
}

/* One input of the journal. */
static int on_input(void *user, uint64_t number, struct moment now, const void *bytes,
                    size_t length) {
    struct run *run = user;
    const struct recompute_options *options = run->options;
    struct engine_input input;
    (void)number;
    if (now.utc.us > options->at.us || (run->settled && now.utc.us == options->at.us)) {
        return 1; /* it was decided before */
    }
    if (++run->visited > options->inputs_max && options->inputs_max > 0) {
        return ERR_LIMIT;
    }
    int result = begin(run, now);
    result = result == 0 ? engine_input_decode(run->engine, bytes, length, &input) : result;
    if (result != 0) {
        return result == ERR_NOT_FOUND ? 0 : result; /* a point that the site no longer has */
    }
    struct stored *stored =
        input.kind == ENGINE_READING ? stored_of(run, input.as.reading.point) : NULL;
    if (stored != NULL && input.as.reading.received.utc.us >= run->from.us) {
        check_reading(run, stored, &input.as.reading);
    }
    result = take(run, &input); /* others too: quality control compares neighbours */
    if (result == 0 && now.utc.us == options->at.us) {
        run->now = now;
        look(run);
    }
    return result;
}

/* The newest stored reading that was not taken yet; NULL: none. */
static struct stored *oldest(struct run *run) {
    struct stored *first = NULL;
    for (size_t i = 0; i < run->stored_count; i++) {
        struct stored *at = &run->stored[i];
        if (at->next < at->count &&
            (first == NULL || at->readings[at->next].received.utc.us <
                                  first->readings[first->next].received.utc.us)) {
            first = at;
        }
    }
    return first;
}

/* From the table of readings alone: UTC stands for the monotonic line. */
static int step_readings(struct run *run) {
    int result = 0;
    for (size_t i = 0; i < run->stored_count; i++) {
        run->stored[i].next = 0;
    }
    for (struct stored *at = oldest(run); result == 0 && at != NULL; at = oldest(run)) {
        struct engine_input input = {.kind = ENGINE_READING};
        input.as.reading = at->readings[at->next++];
        input.as.reading.flag = QUALITY_NOT_EVALUATED;
        input.as.reading.suspect_tests = 0;
        input.as.reading.fail_tests = 0;
        input.as.reading.received.mono.us = input.as.reading.received.utc.us;
        input.now = input.as.reading.received;
        result = begin(run, input.now);
        if (result == 0) {
            input.number = engine_number(run->engine) + 1;
            result = take(run, &input);
        }
    }
    if (result == 0 && run->engine != NULL) {
        run->now = (struct moment){{run->options->at.us}, run->options->at};
        look(run);
    }
    return result;
}

static int step(struct run *run) {
    const struct recompute_options *options = run->options;
    run->from.us = options->at.us - memory_us(run);
    int result = read_stored(run, run->from);
    if (result != 0) {
        return result;
    }
    uint64_t first = store_journal_at(options->store, run->from);
    if (first == 0) {
        run->result->from = "readings";
        return step_readings(run);
    }
    run->result->from = "journal";
    result = store_read_journal(options->store, first - 1, on_input, run);
    if (result < 0) {
        return err_set(run->err, result, "the journal cannot be read from input %" PRIu64 " on: %s",
                       first, err_name(result));
    }
    if (run->engine != NULL && run->seen == NULL) {
        run->now.utc = options->at; /* nothing was journaled at that very moment */
        look(run);
    }
    return 0;
}

/* ---- the decision ---- */

static const struct rule_level *level_of(const struct rule *rule, uint32_t number,
                                         uint32_t *ret_index) {
    for (uint32_t i = 0; i < rule->level_count; i++) {
        if (rule->levels[i].level == number) {
            *ret_index = i;
            return &rule->levels[i];
        }
    }
    return NULL;
}

/* What the conditions say of the change of level that was published. */
static void check_level(const struct run *run, json_t *differences) {
    const struct rule *rule = &run->rule;
    const struct recompute *result = run->result;
    const char *event = json_string_value(json_object_get(run->options->event, "event"));
    const json_t *level = json_object_get(run->options->event, "level");
    const json_t *previous = json_object_get(run->options->event, "previous_level");
    uint32_t now = (uint32_t)json_integer_value(json_object_get(level, "value"));
    uint32_t before = (uint32_t)json_integer_value(json_object_get(previous, "value"));
    bool raised = event != NULL && strcmp(event, "raised") == 0;
    bool lowered = event != NULL && strcmp(event, "lowered") == 0;
    uint32_t index = 0;
    if (raised && level_of(rule, now, &index) != NULL &&
        rule_evaluate(rule, index, false, result->alarm_levels, result->indicators).value !=
            TRI_TRUE) {
        add_difference(
            differences, "level", json_integer(now),
            json_integer(rule_level_now(rule, before, result->alarm_levels, result->indicators)));
    }
    for (uint32_t i = 0; lowered && i < rule->level_count; i++) {
        const struct rule_level *at = &rule->levels[i];
        if (at->level > now && at->level <= before &&
            rule_level_defined(rule, i, result->alarm_levels) &&
            rule_evaluate(rule, i, true, result->alarm_levels, result->indicators).value !=
                TRI_FALSE) {
            add_difference(differences, "level", json_integer(now), json_integer(at->level));
            return;
        }
    }
}

int recompute_decision(const struct recompute_options *options, struct recompute *ret_result,
                       struct err *ret_err) {
    struct recompute computed = {.from = "journal"};
    struct rule_place place = options->place;
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory to recompute a decision");
    }
    run->options = options;
    run->rule = *options->rule;
    run->rule.places = &place;
    run->rule.place_count = 1;
    run->site = *options->site;
    run->site.rules = &run->rule;
    run->site.rule_count = 1;
    run->evidence = json_object_get(options->event, "evidence");
    run->readings_seen = json_array();
    run->result = &computed;
    run->err = ret_err;
    int result = step(run);
    if (result == 0 && run->seen == NULL) {
        result = err_set(ret_err, ERR_NOT_FOUND, "the store holds no input of that time any more");
    }
    if (result == 0) {
        check_level(run, run->seen);
        json_array_extend(run->readings_seen, run->seen);
        computed.differences = json_incref(run->readings_seen);
        *ret_result = computed;
    }
    for (size_t i = 0; i < run->stored_count; i++) {
        free(run->stored[i].readings);
    }
    json_decref(run->seen);
    json_decref(run->readings_seen);
    (void)engine_destroy(run->engine);
    free(run);
    return result;
}
