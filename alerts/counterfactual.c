#include "alerts/counterfactual.h"

#include <math.h>
#include <string.h>

/* Steps past a threshold: just beyond the rounding that comparisons forgive (rule.c). */
static const double BEYOND = 1e-6;

uint32_t rule_level_now(const struct rule *rule, uint32_t held_level,
                        const struct alarm_levels *alarm_levels,
                        const struct indicator *indicators) {
    uint32_t level = 0;
    for (uint32_t i = 0; i < rule->level_count; i++) {
        const struct rule_level *at = &rule->levels[i];
        if (rule_level_defined(rule, i, alarm_levels) &&
            rule_evaluate(rule, i, at->level <= held_level, alarm_levels, indicators).value ==
                TRI_TRUE) {
            level = at->level;
        }
    }
    return level;
}

/* Tries one value; keeps it when it changes the level and is nearer than what was found. */
static bool try_value(const struct rule *rule, uint32_t held_level,
                      const struct alarm_levels *alarm_levels, struct indicator *indicators,
                      double present, double value, uint32_t level_now,
                      struct counterfactual *found, bool have) {
    struct indicator *indicator = &indicators[found->indicator];
    double distance = isnan(present) ? value : fabs(value - present);
    double best = isnan(present) ? found->value : fabs(found->value - present);
    indicator->value = value;
    uint32_t level = rule_level_now(rule, held_level, alarm_levels, indicators);
    if (level == level_now || (have && distance >= best)) {
        return have;
    }
    found->value = value;
    found->level = level;
    return true;
}

bool counterfactual_of(const struct rule *rule, uint32_t held_level,
                       const struct alarm_levels *alarm_levels, const struct indicator *indicators,
                       uint32_t indicator, struct counterfactual *ret_found) {
    struct indicator changed[RULE_INDICATORS_MAX];
    struct counterfactual found = {.indicator = indicator};
    bool have = false;
    memcpy(changed, indicators, rule->indicator_count * sizeof changed[0]);
    uint32_t level_now = rule_level_now(rule, held_level, alarm_levels, indicators);
    double present = indicators[indicator].knowledge >= KNOWLEDGE_STALE
                         ? (double)NAN
                         : indicators[indicator].value;
    changed[indicator].knowledge = KNOWLEDGE_FRESH;
    for (uint32_t i = 0; i < rule->node_count; i++) {
        const struct rule_node *node = &rule->nodes[i];
        double threshold = node->kind == NODE_COMPARE && node->indicator == indicator
                               ? rule_threshold(node, alarm_levels)
                               : (double)NAN;
        const double edges[] = {threshold, threshold - node->hysteresis,
                                threshold + node->hysteresis};
        for (size_t k = 0; !isnan(threshold) && k < sizeof edges / sizeof edges[0]; k++) {
            double step = BEYOND * (fabs(edges[k]) > 1 ? fabs(edges[k]) : 1);
            for (int side = -1; side <= 1; side++) {
                have = try_value(rule, held_level, alarm_levels, changed, present,
                                 edges[k] + side * step, level_now, &found, have);
            }
        }
    }
    if (have) {
        *ret_found = found;
    }
    return have;
}
