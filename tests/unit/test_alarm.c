/* The rule logic and the alarm state machine on indicators made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/text.h"
#include "tests/unit/engine_fixture.h"

#define DAY (24 * HOUR)

/* Two indicators a and b; level 1: a >= 10 (hysteresis 2), level 2: b >= 10, both without delays.
 */
static struct rule rule;
static struct indicator indicators[2];
static struct alarm alarm;
static struct alarm_around around; /* nothing around */
static struct alarm_change change;
static int64_t clock_us;

static void set(int index, double value, enum knowledge knowledge, int64_t observed_us) {
    indicators[index] =
        (struct indicator){.value = value,
                           .knowledge = knowledge,
                           .cause = knowledge == KNOWLEDGE_FRESH ? CAUSE_NONE : CAUSE_TIMEOUT,
                           .observed = fixture_at(observed_us),
                           .fresh_until = {INT64_MAX}};
}

static uint32_t look(int64_t now_us) {
    clock_us = now_us;
    alarm_evaluate(&alarm, &rule, NULL, indicators, &around, fixture_at(now_us), &change);
    return change.what;
}

/* Both indicators fresh, observed now. */
static uint32_t see(int64_t now_us, double a, double b) {
    set(0, a, KNOWLEDGE_FRESH, now_us);
    set(1, b, KNOWLEDGE_FRESH, now_us);
    return look(now_us);
}

static int order(enum command_kind kind, const char *comment, int64_t until_us) {
    struct command command = {.kind = kind};
    struct err err = {0};
    strcpy(command.actor, "duty");
    (void)text_copy(command.comment, sizeof command.comment, comment);
    command.until.us = until_us == 0 ? 0 : START_UTC + until_us;
    int result = alarm_command(&alarm, &rule, &command, fixture_at(clock_us), &change, &err);
    assert_int_equal(result != 0, err.text[0] != '\0');
    return result;
}

static int setup(void **state) {
    (void)state;
    fixture_rule(&rule, "two", "own", 2);
    rule.indicator_count = 2;
    rule.indicators[0] = fixture_spec(INDICATOR_LATEST, "a", 0);
    rule.indicators[1] = fixture_spec(INDICATOR_LATEST, "b", 0);
    rule.nodes[0] = fixture_compare(0, 10, 2);
    rule.nodes[1] = fixture_compare(1, 10, 0);
    assert_int_equal(alarm_init(&rule, NULL, fixture_at(0), &alarm), 0);
    set(0, (double)NAN, KNOWLEDGE_UNKNOWN, 0);
    set(1, (double)NAN, KNOWLEDGE_UNKNOWN, 0);
    return 0;
}

/* ---- three-valued logic ---- */

static enum tristate verdict_of(double a, enum knowledge know_a, double b, enum knowledge know_b,
                                enum node_kind kind, enum knowledge *ret_knowledge) {
    struct rule tree = rule;
    tree.node_count = 3;
    tree.nodes[0] = (struct rule_node){.kind = kind, .child_count = 2};
    tree.nodes[1] = fixture_compare(0, 10, 0);
    tree.nodes[2] = fixture_compare(1, 10, 0);
    tree.level_count = 1;
    tree.levels[0].node_count = 3;
    assert_int_equal(rule_check(&tree, NULL), 0);
    set(0, a, know_a, 1);
    set(1, b, know_b, 1);
    struct verdict verdict = rule_evaluate(&tree, 0, false, NULL, indicators);
    *ret_knowledge = verdict.knowledge;
    return verdict.value;
}

static void test_kleene_truth_tables(void **state) {
    (void)state;
    /* fresh 20: true; fresh 1: false; stale 20: unknown */
    static const struct {
        double value;
        enum knowledge knowledge;
        enum tristate is;
    } inputs[3] = {{20, KNOWLEDGE_FRESH, TRI_TRUE},
                   {1, KNOWLEDGE_FRESH, TRI_FALSE},
                   {20, KNOWLEDGE_STALE, TRI_UNKNOWN}};
    static const enum tristate all[3][3] = {{TRI_TRUE, TRI_FALSE, TRI_UNKNOWN},
                                            {TRI_FALSE, TRI_FALSE, TRI_FALSE},
                                            {TRI_UNKNOWN, TRI_FALSE, TRI_UNKNOWN}};
    static const enum tristate any[3][3] = {{TRI_TRUE, TRI_TRUE, TRI_TRUE},
                                            {TRI_TRUE, TRI_FALSE, TRI_UNKNOWN},
                                            {TRI_TRUE, TRI_UNKNOWN, TRI_UNKNOWN}};
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) {
            enum knowledge know;
            assert_int_equal(verdict_of(inputs[a].value, inputs[a].knowledge, inputs[b].value,
                                        inputs[b].knowledge, NODE_ALL, &know),
                             all[a][b]);
            assert_int_equal(know == KNOWLEDGE_STALE, all[a][b] == TRI_UNKNOWN);
            assert_int_equal(verdict_of(inputs[a].value, inputs[a].knowledge, inputs[b].value,
                                        inputs[b].knowledge, NODE_ANY, &know),
                             any[a][b]);
            assert_int_equal(know == KNOWLEDGE_STALE, any[a][b] == TRI_UNKNOWN);
        }
    }
}

static void test_knowledge_of_what_decided(void **state) {
    (void)state;
    enum knowledge know;
    /* any: the better of two true ones; all: the worse */
    assert_int_equal(verdict_of(20, KNOWLEDGE_DOUBTFUL, 20, KNOWLEDGE_FRESH, NODE_ANY, &know),
                     TRI_TRUE);
    assert_int_equal(know, KNOWLEDGE_FRESH);
    assert_int_equal(verdict_of(20, KNOWLEDGE_FRESH, 20, KNOWLEDGE_DOUBTFUL, NODE_ALL, &know),
                     TRI_TRUE);
    assert_int_equal(know, KNOWLEDGE_DOUBTFUL);
    /* doubtful and below is not false */
    assert_int_equal(verdict_of(1, KNOWLEDGE_DOUBTFUL, 1, KNOWLEDGE_FRESH, NODE_ANY, &know),
                     TRI_UNKNOWN);
    assert_int_equal(know, KNOWLEDGE_DOUBTFUL);
    /* the worst of several unknown */
    assert_int_equal(verdict_of(1, KNOWLEDGE_STALE, 1, KNOWLEDGE_UNKNOWN, NODE_ANY, &know),
                     TRI_UNKNOWN);
    assert_int_equal(know, KNOWLEDGE_UNKNOWN);
}

static void test_nan_is_never_a_number(void **state) {
    (void)state;
    for (int comparison = COMPARE_AT_LEAST; comparison <= COMPARE_BELOW; comparison++) {
        rule.nodes[0].comparison = (enum comparison)comparison;
        set(0, (double)NAN, KNOWLEDGE_FRESH, 1);
        struct verdict verdict = rule_evaluate(&rule, 0, false, NULL, indicators);
        assert_int_equal(verdict.value, TRI_UNKNOWN);
        assert_int_equal(verdict.knowledge, KNOWLEDGE_UNKNOWN);
    }
}

static void test_comparisons_at_their_bounds(void **state) {
    (void)state;
    static const struct {
        enum comparison comparison;
        bool held;
        double value;
        enum tristate want;
    } rows[] = {
        {COMPARE_AT_LEAST, false, 10, TRI_TRUE},
        {COMPARE_AT_LEAST, false, 9.999, TRI_FALSE},
        {COMPARE_AT_LEAST, true, 8, TRI_TRUE},
        {COMPARE_AT_LEAST, true, 7.999, TRI_FALSE},
        {COMPARE_ABOVE, false, 10, TRI_FALSE},
        {COMPARE_ABOVE, false, 10.001, TRI_TRUE},
        {COMPARE_ABOVE, true, 8, TRI_FALSE},
        {COMPARE_ABOVE, true, 8.001, TRI_TRUE},
        {COMPARE_AT_MOST, false, 10, TRI_TRUE},
        {COMPARE_AT_MOST, false, 10.001, TRI_FALSE},
        {COMPARE_AT_MOST, true, 12, TRI_TRUE},
        {COMPARE_AT_MOST, true, 12.001, TRI_FALSE},
        {COMPARE_BELOW, false, 10, TRI_FALSE},
        {COMPARE_BELOW, false, 9.999, TRI_TRUE},
        {COMPARE_BELOW, true, 12, TRI_FALSE},
        {COMPARE_BELOW, true, 11.999, TRI_TRUE},
        {COMPARE_AT_LEAST, false, INFINITY, TRI_TRUE},
        {COMPARE_AT_LEAST, false, 9.99999, TRI_FALSE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rule.nodes[0].comparison = rows[i].comparison;
        set(0, rows[i].value, KNOWLEDGE_FRESH, 1);
        assert_int_equal(rule_evaluate(&rule, 0, rows[i].held, NULL, indicators).value,
                         rows[i].want);
    }
}

/* 3.3 and 24.7 have no exact binary32; it lies below the decimal one, and above for 0.1. */
static void test_a_level_reached_in_a_float32_register_is_reached(void **state) {
    (void)state;
    static const double levels[] = {3.3, 24.7, 0.1, 6.6, -3.3, 0};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        rule.nodes[0] = fixture_compare(0, levels[i], 0);
        set(0, (double)(float)levels[i], KNOWLEDGE_FRESH, 1);
        assert_int_equal(rule_evaluate(&rule, 0, false, NULL, indicators).value, TRI_TRUE);
        rule.nodes[0].comparison = COMPARE_AT_MOST;
        assert_int_equal(rule_evaluate(&rule, 0, false, NULL, indicators).value, TRI_TRUE);
        /* one millimetre is a difference */
        set(0, levels[i] + 0.001, KNOWLEDGE_FRESH, 1);
        assert_int_equal(rule_evaluate(&rule, 0, false, NULL, indicators).value, TRI_FALSE);
    }
    double rain_mm = 0;
    for (int i = 0; i < 200; i++) {
        rain_mm += 0.1;
    }
    rule.nodes[0] = fixture_compare(0, 20, 0);
    set(0, rain_mm, KNOWLEDGE_FRESH, 1);
    assert_int_equal(rule_evaluate(&rule, 0, false, NULL, indicators).value, TRI_TRUE);
}

static void test_a_lower_bound_may_raise_and_never_lowers(void **state) {
    (void)state;
    set(0, 10, KNOWLEDGE_DOUBTFUL, 1);
    indicators[0].lower_bound = true;
    indicators[0].cause = CAUSE_INCOMPLETE;
    struct verdict verdict = rule_evaluate(&rule, 0, false, NULL, indicators);
    assert_int_equal(verdict.value, TRI_TRUE);
    assert_int_equal(verdict.knowledge, KNOWLEDGE_FRESH); /* holes cannot make it untrue */
    indicators[0].cause = CAUSE_QUALITY_SUSPECT;
    assert_int_equal(rule_evaluate(&rule, 0, false, NULL, indicators).knowledge,
                     KNOWLEDGE_DOUBTFUL);
    indicators[0].value = 9;
    verdict = rule_evaluate(&rule, 0, false, NULL, indicators);
    assert_int_equal(verdict.value, TRI_UNKNOWN);
    assert_int_equal(verdict.knowledge, KNOWLEDGE_UNKNOWN);
    rule.nodes[0].comparison = COMPARE_BELOW;
    assert_int_equal(rule_evaluate(&rule, 0, false, NULL, indicators).value, TRI_UNKNOWN);
}

static void test_probability_of_a_forecast(void **state) {
    (void)state;
    rule.indicators[0] = fixture_model_spec("rain", HOUR);
    rule.indicators[0].min_probability = 0.6;
    set(0, 50, KNOWLEDGE_FRESH, 1);
    indicators[0].model.probability = 0.6;
    assert_int_equal(rule_evaluate(&rule, 0, false, NULL, indicators).value, TRI_TRUE);
    indicators[0].model.probability = 0.59;
    assert_int_equal(rule_evaluate(&rule, 0, false, NULL, indicators).value, TRI_FALSE);
}

static void test_bad_rules_are_refused(void **state) {
    (void)state;
    struct rule good = rule;
    struct err err;
    assert_int_equal(rule_check(&good, &err), 0);
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        rule = good;                                                                               \
        change;                                                                                    \
        assert_int_not_equal(rule_check(&rule, &err), 0);                                          \
    } while (0)
    REFUSED(rule.level_count = 0);
    REFUSED(rule.level_count = RULE_LEVELS_MAX + 1);
    REFUSED(rule.indicator_count = 0);
    REFUSED(rule.node_count = 0);
    REFUSED(rule.node_count = 1); /* level 2 points beyond */
    REFUSED(rule.expires_after_us = 0);
    REFUSED(rule.revision[0] = '\0');
    REFUSED(rule.scale.id[0] = '\0');
    REFUSED(rule.scale.level_count = 1); /* level 2 is not on the scale */
    REFUSED(rule.levels[1].level = 1);   /* not ascending */
    REFUSED(rule.levels[0].level = 0);
    REFUSED(rule.levels[0].on_delay_us = -1);
    REFUSED(rule.levels[0].off_delay_us = -1);
    REFUSED(rule.levels[0].required = KNOWLEDGE_STALE);
    REFUSED(rule.levels[0].node_count = 2); /* two trees */
    REFUSED(rule.nodes[0].indicator = 2);
    REFUSED(rule.nodes[0].threshold = (double)NAN);
    REFUSED(rule.nodes[0].hysteresis = -0.1);
    REFUSED(rule.nodes[0].station_level = STATION_LEVEL_HISTORIC + 1);
    REFUSED(rule.nodes[0].kind = NODE_ALL); /* no children */
    REFUSED(rule.indicators[0].point[0] = '\0');
    REFUSED(rule.indicators[0].window_us = 5); /* latest has no window */
    REFUSED(rule.indicators[0].min_completeness = 1.1);
    REFUSED(rule.indicators[1] = fixture_spec(INDICATOR_MEAN, "b", 0));
    REFUSED(rule.indicators[1] = fixture_model_spec("rain", 0)); /* no age limit */
    REFUSED((rule.indicators[1] = fixture_model_spec("rain", HOUR),
             rule.indicators[1].min_lead_us = 1)); /* more lead than there is */
    REFUSED(rule.trend_deadband = (double)NAN);
    rule = good;
    /* a chain of ANY nodes one deeper than allowed */
    rule.node_count = RULE_DEPTH_MAX + 1;
    rule.level_count = 1;
    rule.levels[0].node_count = RULE_DEPTH_MAX + 1;
    for (int i = 0; i < RULE_DEPTH_MAX; i++) {
        rule.nodes[i] = (struct rule_node){.kind = NODE_ANY, .child_count = 1};
    }
    rule.nodes[RULE_DEPTH_MAX] = fixture_compare(0, 1, 0);
    assert_int_equal(rule_check(&rule, &err), ERR_INVALID);
}

/* ---- the axes ---- */

static void test_starts_not_assessed_and_unknown(void **state) {
    (void)state;
    assert_false(alarm.assessed);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_UNKNOWN);
    look(1);
    assert_int_equal(change.what, 0);
    assert_false(alarm.assessed);
    set(0, 1, KNOWLEDGE_FRESH, 2); /* half of the rule is known: still not normal */
    look(2);
    assert_false(alarm.assessed);
    assert_int_equal(see(3, 1, 1), CHANGE_LEVEL | CHANGE_KNOWLEDGE);
    assert_true(alarm.assessed);
    assert_int_equal(alarm.level, 0);
}

static void test_raise_lower_and_hysteresis(void **state) {
    (void)state;
    see(1, 1, 1);
    assert_true((see(2, 10, 1) & CHANGE_LEVEL) != 0);
    assert_int_equal(alarm.level, 1);
    assert_int_equal(alarm.annunciation, ANNUNCIATION_UNACKNOWLEDGED);
    see(3, 8, 1); /* inside the hysteresis */
    assert_int_equal(alarm.level, 1);
    see(4, 7.9, 1);
    assert_int_equal(alarm.level, 0);
    assert_int_equal(alarm.annunciation, ANNUNCIATION_RETURNED_UNACKNOWLEDGED);
    see(5, 1, 20); /* straight to level 2 although level 1 is false */
    assert_int_equal(alarm.level, 2);
}

static void test_only_newer_evidence_lowers(void **state) {
    (void)state;
    see(10 * SEC, 10, 1);
    assert_int_equal(alarm.level, 1);
    set(0, 1, KNOWLEDGE_FRESH, 10 * SEC); /* as old as what raised it */
    look(20 * SEC);
    assert_int_equal(alarm.level, 1);
    set(0, 1, KNOWLEDGE_FRESH, 9 * SEC);
    look(21 * SEC);
    assert_int_equal(alarm.level, 1);
    set(0, 1, KNOWLEDGE_FRESH, 10 * SEC + 1);
    look(22 * SEC);
    assert_int_equal(alarm.level, 0);
}

static void test_nothing_but_fresh_evidence_lowers(void **state) {
    (void)state;
    see(1, 10, 10);
    assert_int_equal(alarm.level, 2);
    for (int know = KNOWLEDGE_DOUBTFUL; know < KNOWLEDGE_COUNT; know++) {
        set(0, 1, (enum knowledge)know, 100 + know);
        set(1, 1, (enum knowledge)know, 100 + know);
        look(100 + know);
        assert_int_equal(alarm.level, 2);
        assert_int_equal(alarm.knowledge, know);
        assert_int_equal(alarm.annunciation, ANNUNCIATION_UNACKNOWLEDGED);
    }
    set(0, 1, KNOWLEDGE_STALE, 200); /* only the lower level is not known */
    set(1, 1, KNOWLEDGE_FRESH, 200);
    look(200);
    assert_int_equal(alarm.level, 1);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_STALE);
}

static void test_what_is_below_a_true_level_does_not_blur_it(void **state) {
    (void)state;
    set(0, 1, KNOWLEDGE_STALE, 1);
    set(1, 10, KNOWLEDGE_FRESH, 1);
    look(1);
    assert_int_equal(alarm.level, 2);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_FRESH);
}

static void test_at_least_a_level_is_doubtful_not_unknown(void **state) {
    (void)state;
    set(0, 10, KNOWLEDGE_FRESH, 1);
    set(1, (double)NAN, KNOWLEDGE_UNKNOWN, 1);
    look(1); /* a reaches level 1, nobody knows about level 2 */
    assert_int_equal(alarm.level, 1);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_DOUBTFUL);
    assert_int_equal(alarm.cause, CAUSE_TIMEOUT);
    /* its evidence stands: what was published does not expire */
    set(0, 10, KNOWLEDGE_FRESH, 4 * HOUR + 31 * MIN);
    assert_int_equal(look(4 * HOUR + 31 * MIN), CHANGE_PUBLICATION);
    assert_int_equal(alarm.publication, PUBLICATION_ISSUED);
    /* a level that was reached and cannot be seen any more is not vouched for by a lower one */
    see(5 * HOUR, 10, 10);
    assert_int_equal(alarm.level, 2);
    set(1, 10, KNOWLEDGE_STALE, 5 * HOUR);
    set(0, 10, KNOWLEDGE_FRESH, 6 * HOUR);
    look(6 * HOUR);
    assert_int_equal(alarm.level, 2);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_STALE);
}

static void test_how_well_nothing_is_known_is_no_event(void **state) {
    (void)state;
    set(0, 1, KNOWLEDGE_DOUBTFUL, 1);
    set(1, 1, KNOWLEDGE_DOUBTFUL, 1);
    assert_int_equal(look(1), CHANGE_KNOWLEDGE);
    assert_true(change.unannounced);
    assert_int_equal(alarm.revision, 1); /* the record has changed ... */
    assert_int_equal(alarm.transition, 0);
    assert_int_equal(see(2, 1, 1), CHANGE_LEVEL | CHANGE_KNOWLEDGE);
    assert_false(change.unannounced); /* ... and the first level is an event */
    assert_int_equal(alarm.transition, 1);
    set(0, 1, KNOWLEDGE_STALE, 2);
    look(HOUR);
    assert_int_equal(change.what, CHANGE_KNOWLEDGE);
    assert_true(change.unannounced); /* the record says at once that nobody knows ... */
    assert_int_equal(alarm.knowledge, KNOWLEDGE_STALE);
    assert_int_equal(alarm_due_us(&alarm, &rule, fixture_at(HOUR)), HOUR + ALARM_KNOWLEDGE_HOLD_US);
    assert_int_equal(look(HOUR + ALARM_KNOWLEDGE_HOLD_US - 1), 0);
    assert_int_equal(look(HOUR + ALARM_KNOWLEDGE_HOLD_US), CHANGE_KNOWLEDGE);
    assert_false(change.unannounced); /* ... and losing sight of it for long is an event */
    assert_int_equal(change.previous_knowledge, KNOWLEDGE_FRESH);
    assert_int_equal(alarm.transition, 2);
    assert_int_equal(alarm_due_us(&alarm, &rule, fixture_at(clock_us)), INT64_MAX);
}

/* A window that gets incomplete and complete again, every `half_us`, for a day. Returns how often
 * an event told of it; every change is in the record at once. */
static int told_while_swinging(int64_t half_us) {
    int told = 0;
    int swings = 0;
    uint64_t before = alarm.revision;
    for (int64_t at_us = DAY; at_us < 2 * DAY; at_us += MIN) {
        bool whole = (at_us - DAY) / half_us % 2 == 1;
        enum knowledge was = alarm.knowledge;
        set(0, 1, whole ? KNOWLEDGE_FRESH : KNOWLEDGE_DOUBTFUL, at_us);
        set(1, 1, KNOWLEDGE_FRESH, at_us);
        look(at_us);
        assert_int_equal(alarm.knowledge, whole ? KNOWLEDGE_FRESH : KNOWLEDGE_DOUBTFUL);
        swings += was != alarm.knowledge;
        told += change.what != 0 && !change.unannounced;
    }
    assert_true(alarm.revision >= before + (uint64_t)swings);
    return told;
}

static void test_knowledge_that_goes_back_and_forth_is_told_once(void **state) {
    (void)state;
    see(1, 1, 1);
    assert_int_equal(told_while_swinging(4 * MIN), 1); /* that it is worse; and never "better" */
    assert_int_equal(alarm.told, KNOWLEDGE_DOUBTFUL);
    /* Better for a while without a break: told, and then it is settled. */
    set(0, 1, KNOWLEDGE_DOUBTFUL, 2 * DAY);
    look(2 * DAY);
    see(3 * DAY, 1, 1);
    assert_true(change.unannounced);
    see(3 * DAY + ALARM_KNOWLEDGE_HOLD_US, 1, 1);
    assert_false(change.unannounced);
    assert_int_equal(change.previous_knowledge, KNOWLEDGE_DOUBTFUL);
    assert_int_equal(alarm.told, KNOWLEDGE_FRESH);
}

static void test_slow_changes_of_knowledge_are_all_told(void **state) {
    (void)state;
    see(1, 1, 1);
    assert_int_equal(told_while_swinging(30 * MIN), 48);
}

static void test_a_level_that_is_lost_from_sight_is_told_at_once(void **state) {
    (void)state;
    see(1, 1, 10);
    assert_int_equal(alarm.level, 2);
    set(1, 10, KNOWLEDGE_STALE, MIN);
    assert_int_equal(look(HOUR), CHANGE_KNOWLEDGE);
    assert_false(change.unannounced);
    struct moment expires = alarm.expires;
    /* It is seen again: in the record at once, told when it stays so; until then what is published
     * keeps the end that consumers were told. */
    see(HOUR + MIN, 1, 10);
    assert_true(change.unannounced);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_FRESH);
    assert_memory_equal(&alarm.expires, &expires, sizeof expires);
    set(1, 10, KNOWLEDGE_STALE, HOUR + MIN); /* lost again: that it is lost stands already */
    look(HOUR + 5 * MIN);
    assert_true(change.unannounced);
    see(HOUR + 6 * MIN, 1, 10);
    see(HOUR + 6 * MIN + ALARM_KNOWLEDGE_HOLD_US, 1, 10);
    assert_false(change.unannounced);
    assert_true((change.what & CHANGE_KNOWLEDGE) != 0);
    assert_true(alarm.expires.mono.us > expires.mono.us);
}

static void test_every_event_tells_what_is_known(void **state) {
    (void)state;
    see(1, 10, 1);
    set(0, 10, KNOWLEDGE_DOUBTFUL, MIN);
    look(MIN);
    assert_true(change.unannounced);
    assert_int_equal(order(COMMAND_ACKNOWLEDGE, "", 0), 0);
    assert_int_equal(change.previous_knowledge, KNOWLEDGE_FRESH);
    assert_int_equal(alarm.told, KNOWLEDGE_DOUBTFUL);
    set(0, 10, KNOWLEDGE_DOUBTFUL, HOUR);
    assert_int_equal(look(HOUR), 0); /* told already */
}

static void test_a_delay_that_waits_for_evidence_is_not_due(void **state) {
    (void)state;
    rule.levels[0].on_delay_us = 60 * SEC;
    see(0, 10, 1);
    set(0, 10, KNOWLEDGE_STALE, 0);
    set(1, 1, KNOWLEDGE_FRESH, 60 * SEC);
    look(60 * SEC);
    assert_int_equal(alarm.level, 0);
    assert_int_equal(alarm_due_us(&alarm, &rule, fixture_at(clock_us)), INT64_MAX);
    see(61 * SEC, 10, 1);
    assert_int_equal(alarm.level, 1);
}

static void test_delays(void **state) {
    (void)state;
    rule.levels[0].on_delay_us = 60 * SEC;
    rule.levels[0].off_delay_us = 90 * SEC;
    see(0, 10, 1);
    assert_int_equal(alarm_due_us(&alarm, &rule, fixture_at(clock_us)), 60 * SEC);
    see(30 * SEC, 10, 1);
    assert_int_equal(alarm.level, 0);
    set(0, 10, KNOWLEDGE_STALE, 30 * SEC); /* unknown neither resets nor completes */
    look(60 * SEC);
    assert_int_equal(alarm.level, 0);
    see(61 * SEC, 10, 1);
    assert_int_equal(alarm.level, 1);
    see(100 * SEC, 1, 1);
    look(1000 * SEC); /* silence does not let the off-delay run */
    assert_int_equal(alarm.level, 1);
    see(1001 * SEC, 1, 1);
    assert_int_equal(alarm.level, 0);
    see(1010 * SEC, 10, 1);
    see(1020 * SEC, 1, 1); /* false resets the on-delay */
    see(1069 * SEC, 10, 1);
    see(1128 * SEC, 10, 1);
    assert_int_equal(alarm.level, 0);
    see(1129 * SEC, 10, 1);
    assert_int_equal(alarm.level, 1);
    see(1130 * SEC, 1, 1);
    see(1219 * SEC, 1, 1);
    assert_int_equal(alarm.level, 1);
    see(1220 * SEC, 1, 1);
    assert_int_equal(alarm.level, 0);
}

static void test_an_unknown_look_starts_the_off_delay_again(void **state) {
    (void)state;
    rule.levels[0].off_delay_us = 90 * SEC;
    see(0, 10, 1);
    see(10 * SEC, 1, 1);
    set(0, 1, KNOWLEDGE_DOUBTFUL, 50 * SEC);
    look(50 * SEC);
    see(100 * SEC, 1, 1);
    assert_int_equal(alarm.level, 1);
    see(190 * SEC, 1, 1);
    assert_int_equal(alarm.level, 0);
}

static void test_required_knowledge(void **state) {
    (void)state;
    rule.levels[0].required = KNOWLEDGE_FRESH;
    set(0, 20, KNOWLEDGE_DOUBTFUL, 1);
    set(1, 1, KNOWLEDGE_FRESH, 1);
    look(1);
    assert_int_equal(alarm.level, 0);
    assert_false(alarm.assessed);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_DOUBTFUL);
    set(1, 20, KNOWLEDGE_DOUBTFUL, 2); /* level 2 takes doubtful evidence */
    look(2);
    assert_int_equal(alarm.level, 2);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_DOUBTFUL);
}

static void test_acknowledgement_covers_levels_of_the_episode(void **state) {
    (void)state;
    assert_int_equal(order(COMMAND_ACKNOWLEDGE, "", 0), ERR_INVALID);
    see(1, 10, 1);
    assert_int_equal(order(COMMAND_ACKNOWLEDGE, "", 0), 0);
    assert_int_equal(alarm.annunciation, ANNUNCIATION_ACKNOWLEDGED);
    assert_string_equal(alarm.acknowledged_by, "duty");
    assert_int_equal(order(COMMAND_ACKNOWLEDGE, "", 0), ERR_INVALID);
    see(2, 10, 10); /* higher: again */
    assert_int_equal(alarm.annunciation, ANNUNCIATION_UNACKNOWLEDGED);
    assert_int_equal(order(COMMAND_ACKNOWLEDGE, "", 0), 0);
    see(3, 10, 1);
    see(4, 10, 10); /* back to what was acknowledged */
    assert_int_equal(alarm.level, 2);
    assert_int_equal(alarm.annunciation, ANNUNCIATION_ACKNOWLEDGED);
    see(5, 1, 1);
    assert_int_equal(alarm.annunciation, ANNUNCIATION_NORMAL);
    see(6, 10, 1); /* a new episode asks again */
    assert_int_equal(alarm.annunciation, ANNUNCIATION_UNACKNOWLEDGED);
    assert_int_equal(alarm.acknowledged_level, 0);
}

static void test_returned_unacknowledged_keeps_its_episode(void **state) {
    (void)state;
    see(1, 10, 1);
    struct utc_us start = alarm.episode_start;
    see(2, 1, 1);
    assert_int_equal(alarm.annunciation, ANNUNCIATION_RETURNED_UNACKNOWLEDGED);
    see(3, 10, 1);
    assert_int_equal(alarm.annunciation, ANNUNCIATION_UNACKNOWLEDGED);
    assert_int_equal(alarm.episode_start.us, start.us);
    see(4, 1, 1);
    assert_int_equal(order(COMMAND_ACKNOWLEDGE, "", 0), 0);
    assert_int_equal(alarm.annunciation, ANNUNCIATION_NORMAL);
    see(5, 10, 1);
    assert_int_equal(alarm.episode_start.us, START_UTC + 5);
    assert_int_equal(alarm.transition, 1);
}

static void test_episodes_never_share_a_start(void **state) {
    (void)state;
    see(5, 10, 1);
    int64_t first_us = alarm.episode_start.us;
    assert_int_equal(order(COMMAND_ACKNOWLEDGE, "", 0), 0);
    see(6, 1, 1);
    set(0, 10, KNOWLEDGE_FRESH, 7);
    indicators[0].observed.utc.us = first_us - 1000; /* the wall clock was set back */
    look(7);
    assert_int_equal(alarm.level, 1);
    assert_true(alarm.episode_start.us > first_us);
}

static void test_shelving(void **state) {
    (void)state;
    see(1, 1, 1);
    assert_int_equal(order(COMMAND_SHELVE, "", HOUR), ERR_INVALID);
    assert_int_equal(order(COMMAND_SHELVE, "noise", 0), ERR_INVALID);
    assert_int_equal(order(COMMAND_SHELVE, "noise", 1), ERR_RANGE);
    assert_int_equal(order(COMMAND_SHELVE, "noise", 24 * HOUR + 2), ERR_RANGE);
    assert_int_equal(order(COMMAND_UNSHELVE, "", 0), ERR_INVALID);
    assert_int_equal(order(COMMAND_SHELVE, "noise", HOUR), 0);
    assert_int_equal(change.what, CHANGE_OVERRIDE);
    assert_int_equal(alarm_override_shown(&alarm), OVERRIDE_SHELVED);
    assert_int_equal(alarm_due_us(&alarm, &rule, fixture_at(clock_us)), HOUR);
    assert_true((see(2, 10, 1) & CHANGE_LEVEL) != 0); /* recorded all the same */
    assert_int_equal(alarm.level, 1);
    look(HOUR - 1);
    assert_int_equal(alarm_override_shown(&alarm), OVERRIDE_SHELVED);
    assert_true((look(HOUR) & CHANGE_OVERRIDE) != 0);
    assert_int_equal(alarm_override_shown(&alarm), OVERRIDE_NONE);
    assert_int_equal(alarm.annunciation, ANNUNCIATION_UNACKNOWLEDGED);
}

static void test_out_of_service_masks_but_records_raises(void **state) {
    (void)state;
    see(1, 10, 1);
    assert_int_equal(order(COMMAND_SHELVE, "noise", HOUR), 0);
    assert_int_equal(order(COMMAND_OUT_OF_SERVICE, "repair", 2 * HOUR), 0);
    assert_int_equal(alarm_override_shown(&alarm), OVERRIDE_OUT_OF_SERVICE);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_UNKNOWN);
    assert_int_equal(alarm.cause, CAUSE_OUT_OF_SERVICE);
    see(10, 1, 1);
    assert_int_equal(alarm.level, 1);
    see(11, 1, 10);
    assert_int_equal(alarm.level, 2);
    assert_int_equal(order(COMMAND_IN_SERVICE, "", 0), 0);
    assert_int_equal(alarm_override_shown(&alarm), OVERRIDE_SHELVED);
    see(12, 1, 1);
    assert_int_equal(alarm.level, 0);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_FRESH);
}

static void test_stale_revisions_are_refused(void **state) {
    (void)state;
    see(1, 10, 1);
    struct command command = {.kind = COMMAND_ACKNOWLEDGE, .has_expected_revision = true};
    struct err err;
    command.expected_revision = alarm.revision - 1;
    struct alarm before = alarm;
    assert_int_equal(alarm_command(&alarm, &rule, &command, fixture_at(1), &change, &err),
                     ERR_STALE);
    assert_memory_equal(&before, &alarm, sizeof alarm);
    command.expected_revision = alarm.revision;
    assert_int_equal(alarm_command(&alarm, &rule, &command, fixture_at(1), &change, &err), 0);
    assert_int_equal(alarm.revision, before.revision + 1);
}

static int judge(enum operator_verdict verdict) {
    struct command command = {.kind = COMMAND_VERDICT, .actor = "duty", .verdict = verdict};
    struct err err = {0};
    int result = alarm_command(&alarm, &rule, &command, fixture_at(clock_us), &change, &err);
    assert_int_equal(result != 0, err.text[0] != '\0');
    return result;
}

static void test_one_verdict_an_episode(void **state) {
    (void)state;
    strcpy(rule.hazard, "radiation");
    see(0, 1, 1);
    assert_int_equal(judge(JUDGED_RAIN), ERR_INVALID); /* never raised */
    see(1, 10, 1);
    struct alarm before = alarm;
    assert_int_equal(judge(JUDGED_NONE), ERR_INVALID);
    assert_int_equal(judge(JUDGED_COUNT), ERR_INVALID);
    strcpy(rule.hazard, "flood");
    assert_int_equal(judge(JUDGED_RAIN), ERR_INVALID);
    strcpy(rule.hazard, "chemical");
    assert_memory_equal(&before, &alarm, sizeof alarm);
    assert_int_equal(judge(JUDGED_REAL), 0);
    assert_int_equal(change.what, CHANGE_COMMENT);
    assert_int_equal(alarm.revision, before.revision + 1);
    assert_int_equal(alarm.level, before.level);
    assert_int_equal(alarm.annunciation, before.annunciation);
    assert_int_equal(alarm.verdicts.counts[JUDGED_REAL], 1);
    see(2, 1, 1); /* over; now they know better */
    assert_int_equal(judge(JUDGED_FAULT), 0);
    assert_int_equal(alarm.verdicts.counts[JUDGED_REAL], 0);
    assert_int_equal(alarm.verdicts.counts[JUDGED_FAULT], 1);
    assert_int_equal(order(COMMAND_ACKNOWLEDGE, "", 0), 0); /* else the next raise is the same */
    see(3, 10, 1);
    assert_int_equal(judge(JUDGED_FAULT), 0); /* another episode */
    assert_int_equal(alarm.verdicts.counts[JUDGED_FAULT], 2);
    assert_int_equal(alarm.verdicts.newest, JUDGED_FAULT);
    assert_int_equal(alarm.verdicts.episode.us, alarm.episode_start.us);
}

static void test_expiry_is_no_all_clear(void **state) {
    (void)state;
    see(0, 10, 1);
    assert_int_equal(alarm.publication, PUBLICATION_ISSUED);
    assert_int_equal(alarm.expires.mono.us, 6 * HOUR);
    set(0, 10, KNOWLEDGE_STALE, 0);
    look(HOUR);
    assert_int_equal(alarm.expires.mono.us, 6 * HOUR); /* losing evidence does not prolong it */
    assert_int_equal(alarm_due_us(&alarm, &rule, fixture_at(clock_us)), 4 * HOUR + 30 * MIN);
    assert_int_equal(look(4 * HOUR + 30 * MIN - 1), 0);
    assert_int_equal(look(4 * HOUR + 30 * MIN), CHANGE_PUBLICATION); /* somebody should look */
    assert_int_equal(alarm.publication, PUBLICATION_UPDATE_DUE);
    assert_int_equal(look(6 * HOUR - 1), 0);
    assert_int_equal(alarm_due_us(&alarm, &rule, fixture_at(clock_us)), 6 * HOUR);
    assert_int_equal(look(6 * HOUR), CHANGE_PUBLICATION);
    assert_int_equal(alarm.publication, PUBLICATION_EXPIRED);
    assert_int_equal(alarm.level, 1);
    assert_int_equal(alarm.knowledge, KNOWLEDGE_STALE);
    assert_int_equal(alarm_due_us(&alarm, &rule, fixture_at(clock_us)), INT64_MAX);
    see(7 * HOUR, 10, 1); /* evidence again: valid again */
    assert_int_equal(alarm.publication, PUBLICATION_ISSUED);
    assert_int_equal(alarm.expires.mono.us, 13 * HOUR);
}

static void test_renewal_while_the_evidence_stands(void **state) {
    (void)state;
    see(0, 10, 1);
    assert_int_equal(see(4 * HOUR + 29 * MIN, 10, 1), 0);
    assert_int_equal(see(4 * HOUR + 30 * MIN, 10, 1), CHANGE_PUBLICATION);
    assert_int_equal(alarm.publication, PUBLICATION_ISSUED);
    assert_int_equal(alarm.expires.mono.us, 10 * HOUR + 30 * MIN);
}

static void test_trend(void **state) {
    (void)state;
    rule.trend_deadband = 0.5;
    see(0, 1, 1);
    assert_int_equal(alarm.trend, TREND_UNKNOWN);
    see(9 * MIN, 5, 1);
    assert_int_equal(alarm.trend, TREND_UNKNOWN); /* too short */
    see(10 * MIN, 1.6, 1);
    assert_int_equal(alarm.trend, TREND_RISING);
    see(20 * MIN, 1.5, 1);
    assert_int_equal(alarm.trend, TREND_STEADY);
    see(30 * MIN, 0.4, 1);
    assert_int_equal(alarm.trend, TREND_FALLING);
    set(0, 0.4, KNOWLEDGE_STALE, 30 * MIN);
    look(40 * MIN);
    assert_int_equal(alarm.trend, TREND_UNKNOWN);
    for (int minute = 50; minute < 500; minute += 7) {
        see(minute * MIN, minute, 1);
        assert_true(alarm.trend_count <= ALARM_TREND_SAMPLES);
    }
    assert_int_equal(alarm.trend, TREND_RISING);
}

static void test_levels_without_thresholds_are_left_out(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct alarm_levels levels = {.count = 3, .at = {(double)NAN, 4, 6}};
    const struct rule *flood = &f.rules[RULE_FLOOD];
    assert_int_equal(alarm_init(flood, &levels, fixture_at(0), &alarm), 0);
    assert_int_equal(alarm.defined_mask, 6);
    levels.count = 0;
    assert_int_equal(alarm_init(flood, &levels, fixture_at(0), &alarm), ERR_UNSUPPORTED);
    assert_int_equal(alarm_init(flood, NULL, fixture_at(0), &alarm), ERR_UNSUPPORTED);
    /* An Khê: II and III are known. Up to II at once, and down from II to below. */
    levels.count = 3;
    assert_int_equal(alarm_init(flood, &levels, fixture_at(0), &alarm), 0);
    struct indicator stage = {.value = 6.5, .observed = fixture_at(1)};
    alarm_evaluate(&alarm, flood, &levels, &stage, &around, fixture_at(1), &change);
    assert_int_equal(alarm.level, 3);
    for (int64_t at_us = MIN; at_us <= 4 * MIN; at_us += MIN) {
        stage = (struct indicator){.value = 3, .observed = fixture_at(at_us)};
        alarm_evaluate(&alarm, flood, &levels, &stage, &around, fixture_at(at_us), &change);
        assert_true(alarm.level != 1);
    }
    assert_int_equal(alarm.level, 0);
}

/* A fourth level from the highest flood on record, which nobody has put down: what lies above the
 * alarm levels is "at least", and never assessed as nothing. */
static void test_a_record_that_nobody_knows(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct alarm_levels levels = {.count = 3, .at = {2, 4, 6}, .historic_peak = (double)NAN};
    struct rule record = f.rules[RULE_FLOOD];
    record.scale.level_count = 4;
    record.levels[3] = record.levels[2];
    record.levels[3].level = 4;
    record.levels[3].first_node = (uint16_t)record.node_count;
    record.level_count = 4;
    record.nodes[record.node_count] = record.nodes[record.levels[2].first_node];
    record.nodes[record.node_count++].station_level = STATION_LEVEL_HISTORIC;
    struct err err;
    assert_int_equal(rule_check(&record, &err), 0);
    assert_int_equal(alarm_init(&record, &levels, fixture_at(0), &alarm), 0);
    assert_int_equal(alarm.defined_mask, 15);
    struct indicator stage = {.value = 1, .observed = fixture_at(1)};
    alarm_evaluate(&alarm, &record, &levels, &stage, &around, fixture_at(1), &change);
    assert_true(alarm.assessed && alarm.level == 0 && alarm.knowledge == KNOWLEDGE_FRESH);
    stage = (struct indicator){.value = 9, .observed = fixture_at(MIN)};
    alarm_evaluate(&alarm, &record, &levels, &stage, &around, fixture_at(MIN), &change);
    assert_int_equal(alarm.level, 3);
    assert_true(alarm.knowledge == KNOWLEDGE_DOUBTFUL && alarm.cause == CAUSE_NO_THRESHOLD);
    levels.historic_peak = 8.5; /* with the datum it is what it is */
    assert_int_equal(alarm_init(&record, &levels, fixture_at(0), &alarm), 0);
    alarm_evaluate(&alarm, &record, &levels, &stage, &around, fixture_at(MIN), &change);
    assert_true(alarm.level == 4 && alarm.knowledge == KNOWLEDGE_FRESH);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_kleene_truth_tables),
        TEST(test_knowledge_of_what_decided),
        TEST(test_nan_is_never_a_number),
        TEST(test_comparisons_at_their_bounds),
        TEST(test_a_level_reached_in_a_float32_register_is_reached),
        TEST(test_a_lower_bound_may_raise_and_never_lowers),
        TEST(test_probability_of_a_forecast),
        TEST(test_bad_rules_are_refused),
        TEST(test_starts_not_assessed_and_unknown),
        TEST(test_raise_lower_and_hysteresis),
        TEST(test_only_newer_evidence_lowers),
        TEST(test_nothing_but_fresh_evidence_lowers),
        TEST(test_what_is_below_a_true_level_does_not_blur_it),
        TEST(test_at_least_a_level_is_doubtful_not_unknown),
        TEST(test_how_well_nothing_is_known_is_no_event),
        TEST(test_knowledge_that_goes_back_and_forth_is_told_once),
        TEST(test_slow_changes_of_knowledge_are_all_told),
        TEST(test_a_level_that_is_lost_from_sight_is_told_at_once),
        TEST(test_every_event_tells_what_is_known),
        TEST(test_a_delay_that_waits_for_evidence_is_not_due),
        TEST(test_delays),
        TEST(test_an_unknown_look_starts_the_off_delay_again),
        TEST(test_required_knowledge),
        TEST(test_acknowledgement_covers_levels_of_the_episode),
        TEST(test_returned_unacknowledged_keeps_its_episode),
        TEST(test_episodes_never_share_a_start),
        TEST(test_shelving),
        TEST(test_out_of_service_masks_but_records_raises),
        TEST(test_stale_revisions_are_refused),
        TEST(test_one_verdict_an_episode),
        TEST(test_expiry_is_no_all_clear),
        TEST(test_renewal_while_the_evidence_stands),
        TEST(test_trend),
        TEST(test_levels_without_thresholds_are_left_out),
        TEST(test_a_record_that_nobody_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
