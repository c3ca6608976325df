#include "models/quality/quality.h"

#include <math.h>

#include "daemon/base/text.h"

#define BIT(test) ((uint16_t)(1U << (test)))

/* The bound of the month where it has one, else that of the year. */
static struct quality_month range_of(const struct quality_limits *limits, struct utc_us at) {
    struct quality_month range = {limits->hard_min, limits->hard_max, limits->soft_min,
                                  limits->soft_max};
    if (limits->has_months) {
        const struct quality_month *month =
            &limits->months[text_month(at.us, limits->utc_offset_min) - 1];
        range.hard_min = isnan(month->hard_min) ? range.hard_min : month->hard_min;
        range.hard_max = isnan(month->hard_max) ? range.hard_max : month->hard_max;
        range.soft_min = isnan(month->soft_min) ? range.soft_min : month->soft_min;
        range.soft_max = isnan(month->soft_max) ? range.soft_max : month->soft_max;
    }
    return range;
}

static bool test_gross_range(const struct quality_limits *limits, struct reading *reading) {
    double value = reading->value;
    struct quality_month range = range_of(limits, reading->received.utc);
    /* A comparison with NaN is false: a bound that is not set is never broken. */
    if (value < range.hard_min || value > range.hard_max) {
        reading->fail_tests |= BIT(TEST_GROSS_RANGE);
    } else if (value < range.soft_min || value > range.soft_max) {
        reading->suspect_tests |= BIT(TEST_GROSS_RANGE);
    }
    return !isnan(range.hard_min) || !isnan(range.hard_max) || !isnan(range.soft_min) ||
           !isnan(range.soft_max);
}

static bool test_rate(const struct quality_state *state, const struct quality_limits *limits,
                      struct reading *reading) {
    if (isnan(limits->rate_max_per_s) || !state->has_last) {
        return false;
    }
    double seconds = (double)(reading->received.mono.us - state->last_at.us) / 1e6;
    double change = fabs(reading->value - state->last_value);
    /* No time between two values: any change is too fast. */
    if (change > limits->rate_max_per_s * seconds) {
        reading->suspect_tests |= BIT(TEST_RATE_OF_CHANGE);
    }
    return true;
}

static bool test_flat_line(struct quality_state *state, const struct quality_limits *limits,
                           struct reading *reading) {
    bool on = limits->flat_suspect_us > 0 || limits->flat_fail_us > 0;
    if (isnan(limits->flat_epsilon) || !on) {
        return false;
    }
    if (!state->has_flat || fabs(reading->value - state->flat_value) > limits->flat_epsilon) {
        state->has_flat = true;
        state->flat_value = reading->value;
        state->flat_since = reading->received.mono;
        return true;
    }
    int64_t flat_us = reading->received.mono.us - state->flat_since.us;
    if (limits->flat_fail_us > 0 && flat_us >= limits->flat_fail_us) {
        reading->fail_tests |= BIT(TEST_FLAT_LINE);
    } else if (limits->flat_suspect_us > 0 && flat_us >= limits->flat_suspect_us) {
        reading->suspect_tests |= BIT(TEST_FLAT_LINE);
    }
    return true;
}

static bool test_gap(const struct quality_state *state, const struct quality_limits *limits,
                     struct reading *reading) {
    if (limits->gap_us <= 0 || !state->has_last) {
        return false;
    }
    if (reading->received.mono.us - state->last_at.us >= limits->gap_us) {
        reading->suspect_tests |= BIT(TEST_GAP);
    }
    return true;
}

static bool test_attenuated(struct quality_state *state, const struct quality_limits *limits,
                            struct reading *reading) {
    int64_t at_us = reading->received.mono.us;
    double range;
    if (limits->attenuated_us <= 0 || limits->attenuated_piece_us <= 0) {
        return false;
    }
    attenuated_add(&state->attenuated, limits->attenuated_piece_us, at_us, reading->value);
    if (!attenuated_range(&state->attenuated, limits->attenuated_us, limits->attenuated_piece_us,
                          at_us, &range)) {
        return false;
    }
    if (range < limits->attenuated_fail) {
        reading->fail_tests |= BIT(TEST_ATTENUATED);
    } else if (range < limits->attenuated_suspect) {
        reading->suspect_tests |= BIT(TEST_ATTENUATED);
    }
    return true;
}

/* What a test that looks at other points said. */
static bool apply(enum quality_verdict verdict, enum quality_test test, struct reading *reading) {
    if (verdict == VERDICT_SUSPECT) {
        reading->suspect_tests |= BIT(test);
    }
    return verdict != VERDICT_NONE;
}

static bool test_others(const struct quality_limits *limits, const struct quality_context *context,
                        struct reading *reading) {
    if (context == NULL) {
        return false;
    }
    double compared = context->is_total ? context->amount : reading->value;
    bool tested = apply(quality_neighbour(limits, context, compared), TEST_NEIGHBOUR, reading);
    return apply(quality_cross_variable(limits, context, reading->value), TEST_CROSS_VARIABLE,
                 reading) ||
           tested;
}

/* What failed softly but is supported by two others is doubted, not dropped. Of a total the amount
 * is known for the newest reading alone. */
static void soften(const struct quality_limits *limits, const struct quality_context *context,
                   bool newest, struct reading *reading) {
    if (context == NULL || (context->is_total && !newest)) {
        return;
    }
    if (reading->fail_tests != 0 && (reading->fail_tests & BIT(TEST_GROSS_RANGE)) == 0 &&
        quality_supported(limits, context, context->is_total ? context->amount : reading->value)) {
        reading->suspect_tests |= reading->fail_tests;
        reading->fail_tests = 0;
    }
}

static enum quality_flag flag_of(const struct reading *reading, bool tested) {
    if (reading->fail_tests != 0) {
        return QUALITY_FAIL;
    }
    if (reading->suspect_tests != 0) {
        return QUALITY_SUSPECT;
    }
    return tested ? QUALITY_GOOD : QUALITY_NOT_EVALUATED;
}

/* Judges state->chain[1] with `next` as its right neighbour. True when it got worse. */
static bool test_spike(struct quality_state *state, const struct quality_limits *limits,
                       const struct quality_context *context, const struct reading *next) {
    struct reading *middle = &state->chain[1];
    if (state->chain_count < 2) {
        return false;
    }
    double half_step = fabs(next->value - state->chain[0].value) / 2;
    double deviation = fabs(middle->value - (state->chain[0].value + next->value) / 2) - half_step;
    enum quality_flag before = middle->flag;
    if (deviation > limits->spike_fail) {
        middle->fail_tests |= BIT(TEST_SPIKE);
    } else if (deviation > limits->spike_suspect) {
        middle->suspect_tests |= BIT(TEST_SPIKE);
    } else {
        return false;
    }
    soften(limits, context, false, middle);
    middle->flag = flag_of(middle, true);
    if (middle->flag == QUALITY_FAIL && before != QUALITY_FAIL) {
        /* What followed the spike is compared with what stood before it. */
        state->has_last = state->has_before;
        state->last_value = state->before_value;
        state->last_at = state->before_at;
    }
    return true;
}

static void remember(struct quality_state *state, const struct quality_limits *limits,
                     const struct reading *reading) {
    bool after_gap = (reading->suspect_tests & BIT(TEST_GAP)) != 0;
    if (reading->fail_tests != 0) {
        state->chain_count = 0;
        return;
    }
    const struct reading *newest = &state->chain[state->chain_count == 2];
    bool after_spike = state->chain_count > 0 &&
                       ((newest->suspect_tests | newest->fail_tests) & BIT(TEST_SPIKE)) != 0;
    if (after_gap || after_spike) {
        state->chain_count = 0;
    }
    if (!isnan(limits->spike_suspect) || !isnan(limits->spike_fail)) {
        if (state->chain_count == 2) {
            state->chain[0] = state->chain[1];
            state->chain_count = 1;
        }
        state->chain[state->chain_count++] = *reading;
    }
    state->has_before = state->has_last;
    state->before_value = state->last_value;
    state->before_at = state->last_at;
    state->has_last = true;
    state->last_value = reading->value;
    state->last_at = reading->received.mono;
}

bool quality_test(struct quality_state *state, const struct quality_limits *limits,
                  const struct quality_context *context, struct reading *reading,
                  struct reading *ret_worse) {
    reading->suspect_tests = reading->foreign ? BIT(TEST_IDENTITY) : 0;
    reading->fail_tests = 0;
    reading->quality_revision = limits->revision;
    if (reading->status == READING_OK && !isfinite(reading->value)) {
        reading->status = READING_NOT_A_NUMBER;
    }
    if (reading->status != READING_OK) {
        reading->value = (double)NAN;
        reading->flag = QUALITY_MISSING;
        return false;
    }
    bool tested = test_gross_range(limits, reading);
    bool worse = false;
    /* A value that is out of all bounds says nothing about its neighbours. */
    if (reading->fail_tests == 0) {
        worse = test_spike(state, limits, context, reading);
        if (worse) {
            *ret_worse = state->chain[1];
        }
        tested = test_rate(state, limits, reading) || tested;
        tested = test_gap(state, limits, reading) || tested;
        tested = test_flat_line(state, limits, reading) || tested;
        tested = test_attenuated(state, limits, reading) || tested;
        tested = test_others(limits, context, reading) || tested;
        soften(limits, context, true, reading);
    }
    reading->flag = flag_of(reading, tested);
    remember(state, limits, reading);
    return worse;
}

void quality_test_alone(const struct quality_limits *limits, struct reading *reading) {
    struct quality_limits range = *limits;
    struct quality_state fresh = {.chain_count = 0};
    struct reading worse;
    range.attenuated_us = 0;
    range.flat_suspect_us = 0;
    range.flat_fail_us = 0;
    (void)quality_test(&fresh, &range, NULL, reading, &worse); /* the first: nothing before it */
}
