#include "daemon/engine_core.h"

#include <math.h>
#include <string.h>

#include "daemon/station/counter.h"

/* A run that claims to know more than this about the future is not believed: its clock is wrong. */
#define FUTURE_TOLERANCE_US (INT64_C(60) * 1000000)

static bool is_usable(const struct reading *reading) {
    return reading->flag == QUALITY_GOOD || reading->flag == QUALITY_SUSPECT ||
           reading->flag == QUALITY_NOT_EVALUATED;
}

static bool is_good(const struct sample_ref *sample) {
    return sample->flag == QUALITY_GOOD && !sample->simulated;
}

/* Two totals or amounts in a row, and what the device said of its restarts in the same replies. */
struct step {
    const struct sample_ref *before, *newest;
    double before_epoch, newest_epoch;
    double gain;
};

/* The stretch that a reading adds to an accumulation; false: nothing is known about it. */
static bool amount_of(const struct point *point, const struct step *step,
                      struct window_segment *ret_segment) {
    const struct sample_ref *before = step->before;
    const struct sample_ref *newest = step->newest;
    double amount;
    int64_t start_us = newest->at.mono.us - point->period_us;
    if (point->kind == POINT_COUNTER) {
        if (before->seq == 0) {
            return false;
        }
        struct counter_sample from = {before->value, before->at.mono.us, step->before_epoch};
        struct counter_sample to = {newest->value, newest->at.mono.us, step->newest_epoch};
        amount = counter_amount(point, &from, &to) * step->gain;
        start_us = before->at.mono.us;
    } else {
        amount = newest->value >= 0 ? newest->value : (double)NAN;
        /* On time: it follows the one before. Late: readings are missing in between. */
        if (before->seq != 0 && start_us - before->at.mono.us <= point->period_us / 2) {
            start_us = before->at.mono.us;
        }
    }
    if (isnan(amount)) {
        return false;
    }
    bool good = is_good(newest) && (point->kind == POINT_AMOUNT || is_good(before));
    *ret_segment = (struct window_segment){.start_us = start_us,
                                           .end_us = newest->at.mono.us,
                                           .good_us = good ? newest->at.mono.us - start_us : 0,
                                           .amount = amount,
                                           .count = 1,
                                           .good = good,
                                           .seq = newest->seq};
    return true;
}

static void feed_window(struct engine_window *window, const struct point *point,
                        const struct engine_point *state) {
    const struct sample_ref *newest = &state->newest;
    struct window_segment segment = {.start_us = newest->at.mono.us,
                                     .end_us = newest->at.mono.us,
                                     .amount = newest->value,
                                     .count = 1,
                                     .good = is_good(newest),
                                     .seq = newest->seq};
    const struct step step = {&state->before, newest, state->before_epoch, state->newest_epoch,
                              state->newest_gain};
    if (window->series.kind != WINDOW_ACCUMULATION || amount_of(point, &step, &segment)) {
        window_add(&window->series, &segment);
    }
    window->value = window_value(&window->series, newest->at.mono.us);
}

/* The newest usable reading turned out to be a spike. Failed: it is no evidence any more. Suspect:
 * it stays, doubted. */
static void requalify(struct engine *engine, struct engine_point *state,
                      const struct reading *worse) {
    if (state->newest.seq != worse->seq) {
        return;
    }
    state->newest.flag = worse->flag;
    state->newest.suspect_tests = worse->suspect_tests;
    state->newest.fail_tests = worse->fail_tests;
    const struct point *point = &engine->site.points[worse->point];
    for (uint32_t i = 0; i < state->window_count; i++) {
        struct engine_window *window = &engine->windows[state->first_window + i];
        window_take_back(&window->series, state->newest.at.mono.us);
        if (worse->flag != QUALITY_FAIL) {
            feed_window(window, point, state);
        } else {
            window->value = window_value(&window->series, state->before.at.mono.us);
        }
    }
    if (worse->flag == QUALITY_FAIL) {
        state->newest = state->before;
        state->newest_epoch = state->before_epoch;
        state->before = (struct sample_ref){0};
    }
}

/* What the device said in the same reply about restarts of itself. */
static double epoch_of(const struct engine *engine, const struct point *point,
                       const struct reading *reading) {
    if (point->counter_epoch == COUNTER_EPOCH_NONE) {
        return (double)NAN;
    }
    const struct sample_ref *epoch = &engine->points[point->counter_epoch_point].newest;
    bool same_reply = epoch->seq != 0 && epoch->at.mono.us == reading->received.mono.us;
    return same_reply ? epoch->value : (double)NAN;
}

/* What comes while somebody works on the station is kept and tagged, but is evidence for nothing:
 * the tips of a test are no rain. */
void engine_set_aside(struct reading *reading, enum quality_test tag) {
    reading->suspect_tests |= (uint16_t)(1U << tag);
    if (reading->flag == QUALITY_GOOD || reading->flag == QUALITY_NOT_EVALUATED) {
        reading->flag = QUALITY_SUSPECT;
    }
}

/* Of a counter the amounts are calibrated, not the total: a total would jump. */
static double gain_of(const struct engine *engine, const struct point *point,
                      const struct reading *reading) {
    for (uint32_t i = 0; point->kind == POINT_COUNTER && i < engine->calibration_count; i++) {
        if (engine->calibrations[i].id == reading->calibration) {
            return engine->calibrations[i].gain;
        }
    }
    return 1;
}

bool engine_interval_to(const struct engine *engine, const struct reading *reading,
                        struct window_segment *ret_segment) {
    static const struct sample_ref nothing = {0};
    const struct engine_point *state = &engine->points[reading->point];
    const struct point *point = &engine->site.points[reading->point];
    const struct sample_ref next = {
        .seq = reading->seq, .at = reading->received, .value = reading->value};
    /* A total across work on the station is not known. */
    const struct step step = {state->set_aside ? &nothing : &state->newest, &next,
                              state->set_aside ? (double)NAN : state->newest_epoch,
                              epoch_of(engine, point, reading), gain_of(engine, point, reading)};
    return reading->status == READING_OK && isfinite(reading->value) &&
           amount_of(point, &step, ret_segment);
}

bool engine_take_reading(struct engine *engine, struct reading *reading, bool simulated,
                         struct reading *ret_worse) {
    struct engine_point *state = &engine->points[reading->point];
    const struct point *point = &engine->site.points[reading->point];
    engine_calibrate(engine, reading);
    if (state->received_any && reading->received.mono.us <= state->received.us) {
        /* Out of order: published, but its neighbours are gone. */
        reading->flag = reading->status == READING_OK && isfinite(reading->value)
                            ? QUALITY_NOT_EVALUATED
                            : QUALITY_MISSING;
        return false;
    }
    state->received_any = true;
    state->received = reading->received.mono;
    struct quality_context context;
    bool others = engine_quality_context(engine, reading, &context);
    bool worse = quality_test(&state->quality, &point->quality, others ? &context : NULL, reading,
                              ret_worse);
    state->status = reading->status;
    state->newest_failed = reading->flag == QUALITY_FAIL;
    if (worse) {
        requalify(engine, state, ret_worse);
    }
    struct engine_station *station = &engine->stations[point->station];
    if (reading->status == READING_OK) {
        station->answered = true;
        station->last_value = reading->received.mono;
    }
    bool tested = engine_test_bucket(engine, reading);
    if (station->maintenance.active || tested) {
        state->set_aside = true;
        if (is_usable(reading)) {
            engine_set_aside(reading, tested ? TEST_BUCKET_TEST : TEST_MAINTENANCE);
        }
        return worse;
    }
    /* Totals of two devices have no difference: that between two of the right one holds. */
    bool foreign_total = reading->foreign && point->kind == POINT_COUNTER;
    if (!is_usable(reading) || foreign_total) {
        return worse;
    }
    state->before = state->newest;
    state->before_epoch = state->newest_epoch;
    state->newest_epoch = epoch_of(engine, point, reading);
    state->newest_gain = gain_of(engine, point, reading);
    if (state->set_aside) {
        state->before = (struct sample_ref){0}; /* a total across the work is not known */
        state->before_epoch = (double)NAN;
        state->set_aside = false;
    }
    state->newest = (struct sample_ref){.seq = reading->seq,
                                        .at = reading->received,
                                        .value = reading->value,
                                        .flag = reading->flag,
                                        .suspect_tests = reading->suspect_tests,
                                        .fail_tests = reading->fail_tests,
                                        .quality_revision = reading->quality_revision,
                                        .simulated = simulated};
    for (uint32_t i = 0; i < state->window_count; i++) {
        feed_window(&engine->windows[state->first_window + i], point, state);
    }
    return worse;
}

bool engine_take_result(struct engine *engine, uint32_t index, const struct model_result *result,
                        bool simulated, struct moment now) {
    struct engine_slot *slot = &engine->slots[index];
    int64_t age_us = now.utc.us - result->reference_time.us;
    bool future = age_us < -FUTURE_TOLERANCE_US;
    bool older = slot->filled && result->reference_time.us <= slot->model.reference_time.us;
    /* A repetition may fill in what was unknown; otherwise only a newer run replaces. A number with
     * a probability is no repetition of one without. */
    bool fills = slot->filled && isnan(slot->value) && isfinite(result->value) &&
                 isnan(slot->model.probability) == isnan(result->probability) &&
                 result->reference_time.us == slot->model.reference_time.us;
    if (future || (older && !fills)) {
        return false;
    }
    slot->filled = true;
    slot->simulated = simulated;
    slot->doubt = result->doubt;
    slot->observed.utc = result->reference_time;
    slot->observed.mono.us = now.mono.us - (age_us > 0 ? age_us : 0);
    slot->value = isfinite(result->value) ? result->value : (double)NAN;
    slot->at_least = result->at_least;
    memset(&slot->model, 0, sizeof slot->model);
    memcpy(slot->model.model, result->model, sizeof slot->model.model);
    memcpy(slot->model.manifest, result->manifest, sizeof slot->model.manifest);
    memcpy(slot->model.cause, result->cause, sizeof slot->model.cause);
    slot->model.reference_time = result->reference_time;
    slot->model.coverage = result->coverage;
    slot->model.probability = result->probability;
    return true;
}

/* Why there is nothing newer. */
static enum cause trouble_of(const struct engine_point *state, enum cause otherwise) {
    if (!state->received_any) {
        return otherwise;
    }
    if (state->status != READING_OK) {
        return cause_of_status(state->status);
    }
    return state->newest_failed ? CAUSE_QUALITY_FAIL : otherwise;
}

static void set_knowledge(struct indicator *indicator, enum knowledge knowledge, enum cause cause) {
    indicator->knowledge = knowledge;
    indicator->cause = cause;
}

/* Doubts about the newest reading itself. */
static void set_sample_knowledge(struct indicator *indicator, const struct sample_ref *sample) {
    if (sample->simulated) {
        set_knowledge(indicator, KNOWLEDGE_DOUBTFUL, CAUSE_SIMULATED);
    } else if (sample->flag == QUALITY_SUSPECT) {
        set_knowledge(indicator, KNOWLEDGE_DOUBTFUL, CAUSE_QUALITY_SUSPECT);
    } else if (sample->flag != QUALITY_GOOD) {
        set_knowledge(indicator, KNOWLEDGE_DOUBTFUL, CAUSE_NOT_EVALUATED);
    } else {
        set_knowledge(indicator, KNOWLEDGE_FRESH, CAUSE_NONE);
    }
}

static void refresh_window(struct indicator *indicator, const struct indicator_spec *spec,
                           const struct window_value *value) {
    const struct sample_ref *newest = &indicator->newest;
    indicator->value = value->value;
    indicator->completeness = value->completeness;
    indicator->count = value->count;
    int64_t back_us = newest->at.mono.us - value->oldest_us;
    indicator->oldest =
        (struct sample_ref){.seq = value->oldest_seq,
                            .at = {{value->oldest_us}, {newest->at.utc.us - back_us}},
                            .value = (double)NAN,
                            .flag = QUALITY_NOT_EVALUATED};
    if (isnan(value->value)) {
        set_knowledge(indicator, KNOWLEDGE_UNKNOWN, CAUSE_INCOMPLETE);
        return;
    }
    double needed = spec->kind == INDICATOR_RISE ? 1 : spec->min_completeness;
    if (value->completeness < needed) {
        /* More evidence can only add to an amount, a rise or a highest mean. */
        indicator->lower_bound = spec->kind != INDICATOR_MEAN && spec->kind != INDICATOR_NOWCAST &&
                                 spec->kind != INDICATOR_LOWEST_DAILY_MAX &&
                                 spec->kind != INDICATOR_HIGHEST_DAILY_MEAN;
        if (indicator->knowledge == KNOWLEDGE_FRESH) {
            set_knowledge(indicator, KNOWLEDGE_DOUBTFUL,
                          value->doubtful ? CAUSE_QUALITY_SUSPECT : CAUSE_INCOMPLETE);
        }
    } else if (spec->kind == INDICATOR_RISE && value->doubtful &&
               indicator->knowledge == KNOWLEDGE_FRESH) {
        set_knowledge(indicator, KNOWLEDGE_DOUBTFUL, CAUSE_QUALITY_SUSPECT);
    }
}

static void refresh_point(const struct engine *engine, struct indicator *indicator,
                          const struct indicator_spec *spec, const struct engine_source *source,
                          struct moment now) {
    const struct engine_point *state = &engine->points[source->point];
    int64_t max_age_us = spec->max_age_us > 0 ? spec->max_age_us : indicator->point->stale_after_us;
    if (state->newest.seq == 0) {
        set_knowledge(indicator, KNOWLEDGE_UNKNOWN, trouble_of(state, CAUSE_NO_DATA_YET));
        return;
    }
    indicator->newest = state->newest;
    indicator->observed = state->newest.at;
    indicator->value = state->newest.value;
    indicator->count = 1;
    set_sample_knowledge(indicator, &state->newest);
    if (source->window != UINT32_MAX) {
        refresh_window(indicator, spec, &engine->windows[source->window].value);
    }
    if (engine->stations[indicator->point->station].maintenance.active) {
        set_knowledge(indicator, KNOWLEDGE_UNKNOWN, CAUSE_MAINTENANCE);
    } else if (now.mono.us - state->newest.at.mono.us > max_age_us) {
        set_knowledge(indicator, KNOWLEDGE_STALE, trouble_of(state, CAUSE_SILENCE));
    } else {
        indicator->fresh_until.us = state->newest.at.mono.us + max_age_us;
    }
}

/* When a comparison with the silence turns true by time alone, after `now`. */
static int64_t silence_due_us(const struct engine_alarm *alarm, uint32_t index, int64_t since_us,
                              int64_t now_us) {
    int64_t due_us = INT64_MAX;
    for (uint32_t i = 0; i < alarm->rule->node_count; i++) {
        const struct rule_node *node = &alarm->rule->nodes[i];
        if (node->kind != NODE_COMPARE || node->indicator != index) {
            continue;
        }
        int64_t at_us = since_us + (int64_t)ceil(node->threshold * 1e6);
        if (at_us > now_us && at_us < due_us) {
            due_us = at_us;
        }
    }
    return due_us;
}

/* Seconds since the station gave any value while we asked: what was before the newest start was our
 * own silence. Always known, and the only number that time alone changes. */
static void refresh_silence(const struct engine *engine, struct indicator *indicator,
                            const struct engine_alarm *alarm, uint32_t index, struct moment now) {
    static const struct point silence = {.id = "any", .quantity = "silence", .unit = "s"};
    const struct engine_source *source = &engine->sources[alarm->first_source + index];
    uint32_t station = engine->site.points[source->point].station;
    const struct engine_station *state = &engine->stations[station];
    int64_t since_us = engine->listening_since.us;
    if (state->answered && state->last_value.us > since_us) {
        since_us = state->last_value.us;
    }
    indicator->station = &engine->site.stations[station];
    indicator->point = &silence;
    indicator->value = (double)(now.mono.us - since_us) / 1e6;
    indicator->count = 1;
    indicator->observed = now;
    set_knowledge(indicator, KNOWLEDGE_FRESH, CAUSE_NONE);
    int64_t due_us = silence_due_us(alarm, index, since_us, now.mono.us);
    indicator->fresh_until.us = due_us == INT64_MAX ? INT64_MAX : due_us - 1;
}

static void refresh_model(const struct engine *engine, struct indicator *indicator,
                          const struct indicator_spec *spec, const struct engine_source *source,
                          struct moment now) {
    const struct engine_slot *slot = &engine->slots[source->point];
    if (!slot->filled) {
        set_knowledge(indicator, KNOWLEDGE_UNKNOWN, CAUSE_NO_DATA_YET);
        return;
    }
    indicator->model = slot->model;
    indicator->observed = slot->observed;
    /* Too little is known for a value, but it is not below this. */
    indicator->lower_bound = isnan(slot->value) && slot->at_least > 0;
    indicator->value = indicator->lower_bound ? slot->at_least : slot->value;
    indicator->count = 1;
    /* The lead that is left shrinks as the run ages. */
    int64_t max_age_us = spec->max_age_us;
    if (spec->min_lead_us > 0 && spec->lead_us - spec->min_lead_us < max_age_us) {
        max_age_us = spec->lead_us - spec->min_lead_us;
    }
    if (now.mono.us - slot->observed.mono.us > max_age_us) {
        set_knowledge(indicator, KNOWLEDGE_STALE, CAUSE_OUTDATED_RUN);
        return;
    }
    indicator->fresh_until.us = slot->observed.mono.us + max_age_us;
    if (isnan(indicator->value)) {
        set_knowledge(indicator, KNOWLEDGE_UNKNOWN, CAUSE_MODEL);
    } else if (!indicator->lower_bound && spec->min_coverage > 0 &&
               !(slot->model.coverage >= spec->min_coverage)) {
        set_knowledge(indicator, KNOWLEDGE_UNKNOWN, CAUSE_COVERAGE);
    } else if (!isnan(spec->min_probability) && isnan(slot->model.probability)) {
        set_knowledge(indicator, KNOWLEDGE_UNKNOWN, CAUSE_NO_PROBABILITY);
    } else if (slot->simulated) {
        set_knowledge(indicator, KNOWLEDGE_DOUBTFUL, CAUSE_SIMULATED);
    } else if (slot->doubt != MODEL_DOUBT_NONE) {
        set_knowledge(indicator, KNOWLEDGE_DOUBTFUL,
                      slot->doubt == MODEL_DOUBT_SKILL ? CAUSE_WORSE_THAN_PERSISTENCE
                                                       : CAUSE_QUALITY_SUSPECT);
    } else if (indicator->lower_bound) {
        set_knowledge(indicator, KNOWLEDGE_DOUBTFUL, CAUSE_INCOMPLETE);
    } else {
        set_knowledge(indicator, KNOWLEDGE_FRESH, CAUSE_NONE);
    }
}

int64_t engine_refresh(struct engine *engine, const struct engine_alarm *alarm, struct moment now) {
    int64_t first_us = INT64_MAX;
    for (uint32_t i = 0; i < alarm->rule->indicator_count; i++) {
        const struct indicator_spec *spec = &alarm->rule->indicators[i];
        const struct engine_source *source = &engine->sources[alarm->first_source + i];
        struct indicator *indicator = &engine->indicators[alarm->first_source + i];
        *indicator =
            (struct indicator){.value = (double)NAN,
                               .completeness = (double)NAN,
                               .fresh_until = {INT64_MAX},
                               .model = {.coverage = (double)NAN, .probability = (double)NAN}};
        if (spec->kind == INDICATOR_MODEL) {
            refresh_model(engine, indicator, spec, source, now);
        } else if (spec->kind == INDICATOR_SILENCE) {
            refresh_silence(engine, indicator, alarm, i, now);
        } else {
            indicator->point = &engine->site.points[source->point];
            indicator->station = &engine->site.stations[indicator->point->station];
            refresh_point(engine, indicator, spec, source, now);
        }
        if (indicator->fresh_until.us < first_us) {
            first_us = indicator->fresh_until.us;
        }
    }
    return first_us;
}

const struct indicator *engine_indicators(struct engine *engine, const char *rule,
                                          const char *place, struct moment now) {
    uint32_t index = engine_find_alarm(engine, rule, place);
    if (index == UINT32_MAX) {
        return NULL;
    }
    (void)engine_refresh(engine, &engine->alarms[index], now); /* when it turns stale: not asked */
    return &engine->indicators[engine->alarms[index].first_source];
}
