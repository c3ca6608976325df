/* Readings out of a logger's memory, with the time of their measurement. They complete the record
 * and tell of crossings inside the hole; what is decided now stands on what is known now. Declared
 * in engine_core.h. */
#include <math.h>

#include "daemon/engine_core.h"

/* The level that stood when it was measured, as far as is known: the present one if it stood then,
 * else the one before the last change. */
static uint8_t level_at(const struct engine_alarm *entry, struct utc_us at) {
    const struct alarm *alarm = &entry->alarm;
    if (!alarm->assessed) {
        return 0;
    }
    return alarm->level_since.utc.us <= at.us ? alarm->level : entry->level_before;
}

/* The level that the reading alone would have meant; 0: none. Rules that need anything else than
 * the latest value of this point are not judged: the rest of the hole is not known. */
static uint8_t level_of(const struct engine *engine, const struct engine_alarm *entry,
                        const struct reading *reading) {
    const struct rule *rule = entry->rule;
    struct indicator indicators[RULE_INDICATORS_MAX];
    uint8_t level = 0;
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        const struct engine_source *source = &engine->sources[entry->first_source + i];
        bool this_one =
            rule->indicators[i].kind == INDICATOR_LATEST && source->point == reading->point;
        indicators[i] =
            (struct indicator){.value = this_one ? reading->value : (double)NAN,
                               .knowledge = this_one ? KNOWLEDGE_FRESH : KNOWLEDGE_UNKNOWN,
                               .cause = this_one ? CAUSE_NONE : CAUSE_NO_DATA_YET,
                               .completeness = (double)NAN,
                               .observed = reading->received,
                               .model = {.coverage = (double)NAN, .probability = (double)NAN}};
    }
    for (uint32_t i = 0; i < rule->level_count; i++) {
        bool defined = (entry->alarm.defined_mask >> i & 1) != 0;
        if (defined && rule_evaluate(rule, i, false, entry->levels, indicators).value == TRI_TRUE) {
            level = rule->levels[i].level;
        }
    }
    return level;
}

static void emit_late(struct engine *engine, struct engine_alarm *entry,
                      const struct engine_sink *sink) {
    const struct late_crossing crossing = entry->late;
    struct alarm *alarm = &entry->alarm;
    struct event event = {
        .kind = EVENT_LATE, .late = &crossing, .change = alarm_change_begin(alarm)};
    event.change.what = CHANGE_LATE;
    alarm_count_change(alarm, engine->now);
    engine_emit(engine, entry, &event, sink);
}

static void look(struct engine *engine, struct engine_alarm *entry, const struct reading *reading,
                 const struct engine_sink *sink) {
    const unsigned work = 1U << TEST_MAINTENANCE | 1U << TEST_BUCKET_TEST;
    bool usable = reading->status == READING_OK && reading->flag != QUALITY_FAIL &&
                  (reading->suspect_tests & work) == 0;
    uint8_t level = usable ? level_of(engine, entry, reading) : 0;
    uint8_t above = level_at(entry, reading->received.utc);
    if (!entry->late_open) {
        entry->late_open = true;
        entry->late = (struct late_crossing){.value = (double)NAN};
    }
    if (level > above && level > entry->late.level) {
        entry->late = (struct late_crossing){.level = level,
                                             .at = reading->received.utc,
                                             .value = reading->value,
                                             .seq = reading->seq};
    }
    if (reading->late_last) {
        if (entry->late.level > 0) {
            emit_late(engine, entry, sink);
        }
        entry->late_open = false;
        entry->late = (struct late_crossing){.value = (double)NAN};
    }
}

void engine_take_late(struct engine *engine, struct reading *reading,
                      const struct engine_sink *sink) {
    const struct engine_point *state = &engine->points[reading->point];
    engine_calibrate(engine, reading);
    quality_test_alone(&engine->site.points[reading->point].quality, reading);
    enum quality_test tag = engine_work_at(engine, reading);
    if (tag != TEST_COUNT && reading->status == READING_OK) {
        engine_set_aside(reading, tag);
    }
    if (sink->on_reading != NULL) {
        sink->on_reading(sink->context, reading);
    }
    for (uint32_t i = 0; i < state->alarm_count; i++) {
        look(engine, &engine->alarms[engine->point_alarms[state->first_alarm + i]], reading, sink);
    }
}
