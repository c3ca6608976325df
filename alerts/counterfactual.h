/* "What would it have taken?": the nearest single change of an indicator that gives another level.
 * Thread rule: pure. */
#ifndef CANHBAO_ALERTS_COUNTERFACTUAL_H
#define CANHBAO_ALERTS_COUNTERFACTUAL_H

#include "alerts/rule.h"

/* The highest level that the conditions give at once, without delays; comparisons of levels up to
 * `held_level` use their hysteresis. Levels without a threshold at the place do not count. */
uint32_t rule_level_now(const struct rule *rule, uint32_t held_level,
                        const struct alarm_levels *alarm_levels,
                        const struct indicator *indicators);

struct counterfactual {
    uint32_t indicator; /* in rule.indicators */
    double value;       /* the nearest one that gives another level */
    uint32_t level;     /* that level */
};

/* For one indicator, all others as they are; false: no value of it alone changes the level. An
 * indicator that is not known counts as far from every value: the lowest threshold is given. */
bool counterfactual_of(const struct rule *rule, uint32_t held_level,
                       const struct alarm_levels *alarm_levels, const struct indicator *indicators,
                       uint32_t indicator, struct counterfactual *ret_found);

#endif
