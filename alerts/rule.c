#include "alerts/rule.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "daemon/station/window.h"

void rule_revision(const void *text, size_t length, char ret_revision[RULE_REVISION_SIZE]) {
    char hash[HASH_TEXT_SIZE];
    hash_text(text, length, hash);
    memcpy(ret_revision, hash, RULE_REVISION_SIZE - 1);
    ret_revision[RULE_REVISION_SIZE - 1] = '\0';
}

/* Walks the subtree at `node`; returns the index after it, 0 when the shape is wrong. */
static uint32_t check_tree(const struct rule *rule, uint32_t node, uint32_t end, int depth) {
    if (node >= end || depth > RULE_DEPTH_MAX) {
        return 0;
    }
    const struct rule_node *at = &rule->nodes[node++];
    if (at->row > rule->row_count) {
        return 0;
    }
    if (at->kind == NODE_COMPARE) {
        bool valid = at->indicator < rule->indicator_count &&
                     (unsigned)at->comparison <= COMPARE_BELOW && isfinite(at->threshold) &&
                     at->hysteresis >= 0 && isfinite(at->hysteresis) &&
                     at->station_level <= STATION_LEVEL_HISTORIC;
        return valid ? node : 0;
    }
    if ((unsigned)at->kind > NODE_DATED || at->child_count == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < at->child_count; i++) {
        node = check_tree(rule, node, end, depth + 1);
        if (node == 0) {
            return 0;
        }
    }
    return node;
}

bool indicator_window_fits(enum indicator_kind kind, int64_t window_us) {
    switch (kind) {
    case INDICATOR_LATEST:
        return window_us == 0;
    case INDICATOR_NOWCAST:
        return window_us == RULE_NOWCAST_US;
    case INDICATOR_HIGHEST_HOUR:
        return window_length_fits(WINDOW_HIGHEST_HOUR, window_us);
    case INDICATOR_HIGHEST_8H:
        return window_length_fits(WINDOW_HIGHEST_8H, window_us);
    case INDICATOR_LOWEST_DAILY_MAX:
    case INDICATOR_HIGHEST_DAILY_MEAN:
        return window_length_fits(WINDOW_LOWEST_DAILY_MAX, window_us);
    default:
        return window_us > 0;
    }
}

static bool check_indicator(const struct indicator_spec *spec) {
    bool share = spec->min_completeness >= 0 && spec->min_completeness <= 1;
    if (spec->kind == INDICATOR_MODEL) {
        bool probability = isnan(spec->min_probability) ||
                           (spec->min_probability >= 0 && spec->min_probability <= 1);
        probability =
            probability &&
            (isnan(spec->probability) ||
             (spec->probability >= 0 && spec->probability <= 1 && isnan(spec->min_probability)));
        return share && probability && spec->product[0] != '\0' && spec->variable[0] != '\0' &&
               spec->window_us >= 0 && spec->lead_us >= 0 && spec->min_lead_us >= 0 &&
               spec->min_lead_us <= spec->lead_us && spec->max_age_us > 0 &&
               spec->min_coverage >= 0 && spec->min_coverage <= 1;
    }
    if (spec->kind == INDICATOR_SILENCE) {
        return spec->window_us == 0;
    }
    return share && indicator_window_fits(spec->kind, spec->window_us) &&
           (unsigned)spec->kind < INDICATOR_KIND_COUNT && spec->point[0] != '\0' &&
           spec->max_age_us >= 0;
}

static int check_level(const struct rule *rule, uint32_t index, struct err *ret_err) {
    const struct rule_level *level = &rule->levels[index];
    uint32_t floor = index == 0 ? 0 : rule->levels[index - 1].level;
    uint32_t end = (uint32_t)level->first_node + level->node_count;
    if (level->level <= floor || level->level > rule->scale.level_count) {
        return err_set(ret_err, ERR_RANGE,
                       "rule %s: level %u is not above the one before, or not "
                       "on the scale of %u levels",
                       rule->id, level->level, rule->scale.level_count);
    }
    if (end > rule->node_count || check_tree(rule, level->first_node, end, 1) != end) {
        return err_set(ret_err, ERR_INVALID, "rule %s: the condition of level %u is not a tree",
                       rule->id, level->level);
    }
    if (level->on_delay_us < 0 || level->off_delay_us < 0 ||
        (level->required != KNOWLEDGE_DOUBTFUL && level->required != KNOWLEDGE_FRESH)) {
        return err_set(ret_err, ERR_RANGE,
                       "rule %s: level %u has a negative delay or asks for knowledge that cannot "
                       "raise",
                       rule->id, level->level);
    }
    return 0;
}

int rule_check(const struct rule *rule, struct err *ret_err) {
    bool counts = rule->level_count >= 1 && rule->level_count <= RULE_LEVELS_MAX &&
                  rule->indicator_count >= 1 && rule->indicator_count <= RULE_INDICATORS_MAX &&
                  rule->node_count >= 1 && rule->node_count <= RULE_NODES_MAX &&
                  rule->scale.level_count >= 1 && rule->scale.level_count <= RULE_LEVELS_MAX;
    if (!counts) {
        return err_set(ret_err, ERR_RANGE, "rule %s: number of levels, indicators or conditions",
                       rule->id);
    }
    if (rule->id[0] == '\0' || rule->revision[0] == '\0' || rule->scale.id[0] == '\0' ||
        rule->expires_after_us <= 0 || !(rule->trend_deadband >= 0)) {
        return err_set(ret_err, ERR_INVALID,
                       "rule %s: id, revision, scale, validity or trend dead band is missing",
                       rule->id);
    }
    if (rule->flap_moves == 1 || rule->flap_moves > RULE_FLAP_MOVES_MAX ||
        rule->flap_window_us < 0 || rule->realert_decay_us < 0 ||
        (rule->suppressed_by[0] != '\0') != (rule->suppressed_from > 0)) {
        return err_set(ret_err, ERR_RANGE, "rule %s: flapping, decay or suppression", rule->id);
    }
    for (uint32_t i = 0; i < rule->indicator_count; i++) {
        if (!check_indicator(&rule->indicators[i])) {
            return err_set(ret_err, ERR_INVALID, "rule %s: indicator %u", rule->id, i);
        }
    }
    for (uint32_t i = 0; i < rule->level_count; i++) {
        int result = check_level(rule, i, ret_err);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

double rule_threshold(const struct rule_node *node, const struct alarm_levels *levels) {
    if (node->station_level == 0) {
        return node->threshold;
    }
    if (levels == NULL || levels->count == 0) {
        return (double)NAN;
    }
    if (node->station_level == STATION_LEVEL_HISTORIC) {
        return levels->historic_peak + node->threshold;
    }
    if (node->station_level > levels->count) {
        return (double)NAN;
    }
    return levels->at[node->station_level - 1] + node->threshold;
}

bool rule_level_defined(const struct rule *rule, uint32_t level_index,
                        const struct alarm_levels *alarm_levels) {
    const struct rule_level *level = &rule->levels[level_index];
    for (uint32_t i = 0; i < level->node_count; i++) {
        const struct rule_node *node = &rule->nodes[level->first_node + i];
        bool asked = node->station_level == STATION_LEVEL_HISTORIC && alarm_levels != NULL &&
                     alarm_levels->count > 0;
        if (node->kind == NODE_COMPARE && !asked && !isfinite(rule_threshold(node, alarm_levels))) {
            return false;
        }
    }
    return true;
}

/* A gauge that says "3.30 m" in an IEEE 754 binary32 register says 3.2999999523, and 100 tips of
 * 0.2 mm may add up to 19.99999999: both have reached their threshold. So "at least" and "at most"
 * give way by the rounding of binary32, far below what any instrument resolves. */
static bool compare(const struct rule_node *node, bool held, double value, double threshold) {
    double slack = (held ? node->hysteresis : 0) + fabs(threshold) * (double)FLT_EPSILON;
    double strict_slack = held ? node->hysteresis : 0;
    switch (node->comparison) {
    case COMPARE_AT_LEAST:
        return value >= threshold - slack;
    case COMPARE_ABOVE:
        return value > threshold - strict_slack;
    case COMPARE_AT_MOST:
        return value <= threshold + slack;
    case COMPARE_BELOW:
        return value < threshold + strict_slack;
    }
    return false;
}

/* A highest flood on record that nobody has put down lies above the alarm levels all the same (the
 * law has a band between them): below the highest of those it is not reached. */
static bool below_any_record(const struct rule_node *node, const struct alarm_levels *levels,
                             double value) {
    double highest = NAN;
    if (node->station_level != STATION_LEVEL_HISTORIC || levels == NULL ||
        (node->comparison != COMPARE_AT_LEAST && node->comparison != COMPARE_ABOVE)) {
        return false;
    }
    for (uint32_t i = 0; i < levels->count; i++) {
        highest = isnan(levels->at[i]) ? highest : levels->at[i];
    }
    return value < highest - node->hysteresis + node->threshold;
}

static struct verdict evaluate_comparison(const struct rule *rule, const struct rule_node *node,
                                          bool held, const struct alarm_levels *levels,
                                          const struct indicator *indicators) {
    const struct indicator *indicator = &indicators[node->indicator];
    const struct indicator_spec *spec = &rule->indicators[node->indicator];
    double threshold = rule_threshold(node, levels);
    struct verdict result = {.value = TRI_UNKNOWN,
                             .knowledge = indicator->knowledge,
                             .cause = indicator->cause,
                             .observed = indicator->observed};
    /* Missing input is looked at before any limit: NaN compares false with everything. */
    if (indicator->knowledge >= KNOWLEDGE_STALE || isnan(indicator->value) || isnan(threshold)) {
        if (result.knowledge == KNOWLEDGE_FRESH && !indicator->lower_bound &&
            below_any_record(node, levels, indicator->value)) {
            result.value = TRI_FALSE;
        } else if (result.knowledge < KNOWLEDGE_STALE) {
            result.knowledge = KNOWLEDGE_UNKNOWN;
            result.cause = isnan(threshold) ? CAUSE_NO_THRESHOLD : result.cause;
        }
        return result;
    }
    bool met = compare(node, held, indicator->value, threshold);
    if (spec->kind == INDICATOR_MODEL && !isnan(spec->min_probability) &&
        !(indicator->model.probability >= spec->min_probability)) {
        met = false;
    }
    if (indicator->lower_bound) {
        bool upward = node->comparison == COMPARE_AT_LEAST || node->comparison == COMPARE_ABOVE;
        if (met && upward) {
            result.value = TRI_TRUE;
            /* Holes alone cannot make it untrue. */
            if (indicator->cause == CAUSE_INCOMPLETE) {
                result.knowledge = KNOWLEDGE_FRESH;
                result.cause = CAUSE_NONE;
            }
        } else {
            result.knowledge = KNOWLEDGE_UNKNOWN;
        }
        return result;
    }
    if (met) {
        result.value = TRI_TRUE;
    } else if (indicator->knowledge == KNOWLEDGE_FRESH) {
        result.value = TRI_FALSE;
    }
    return result;
}

/* Joins one more child: `decides` is what settles the node at once (true for ANY, false for ALL).
 * Among what settles it the best known counts, otherwise the worst. */
static void join(struct verdict *into, const struct verdict *child, enum tristate decides) {
    bool take;
    if (into->value == child->value) {
        take = child->value == decides ? child->knowledge < into->knowledge
                                       : child->knowledge > into->knowledge;
        if (child->observed.mono.us > into->observed.mono.us) {
            into->observed = child->observed;
        }
    } else {
        take = child->value == decides || (child->value == TRI_UNKNOWN && into->value != decides);
        if (take) {
            into->observed = child->observed;
        }
    }
    if (take) {
        into->value = child->value;
        into->knowledge = child->knowledge;
        into->cause = child->cause;
    }
}

bool rule_row_in_force(const struct rule_row *row, struct utc_us at) {
    return at.us >= row->valid_from_us && (row->valid_to_us == 0 || at.us < row->valid_to_us);
}

/* A row decides nothing about evidence of a time when it was not in force. */
static bool out_of_force(const struct rule *rule, const struct rule_node *node,
                         const struct verdict *verdict) {
    return node->row > 0 && node->row <= rule->row_count && verdict->knowledge < KNOWLEDGE_STALE &&
           !rule_row_in_force(&rule->rows[node->row - 1], verdict->observed.utc);
}

/* Recursion is bounded by RULE_DEPTH_MAX, see rule_check(). */
static struct verdict evaluate_tree(const struct rule *rule, uint32_t *node, bool held,
                                    const struct alarm_levels *levels,
                                    const struct indicator *indicators);

static struct verdict evaluate_node(const struct rule *rule, uint32_t *node, bool held,
                                    const struct alarm_levels *levels,
                                    const struct indicator *indicators) {
    const struct rule_node *at = &rule->nodes[*node];
    struct verdict result = evaluate_tree(rule, node, held, levels, indicators);
    if (out_of_force(rule, at, &result)) {
        result.value = TRI_UNKNOWN;
        result.knowledge = KNOWLEDGE_UNKNOWN;
        result.cause = CAUSE_NOT_IN_FORCE;
    }
    return result;
}

static struct verdict evaluate_tree(const struct rule *rule, uint32_t *node, bool held,
                                    const struct alarm_levels *levels,
                                    const struct indicator *indicators) {
    const struct rule_node *at = &rule->nodes[(*node)++];
    if (at->kind == NODE_COMPARE) {
        return evaluate_comparison(rule, at, held, levels, indicators);
    }
    enum tristate decides = at->kind == NODE_ANY ? TRI_TRUE : TRI_FALSE;
    struct verdict result = evaluate_node(rule, node, held, levels, indicators);
    for (uint32_t i = 1; i < at->child_count; i++) {
        struct verdict child = evaluate_node(rule, node, held, levels, indicators);
        if (at->kind == NODE_DATED) {
            result = result.cause == CAUSE_NOT_IN_FORCE ? child : result;
        } else {
            join(&result, &child, decides);
        }
    }
    return result;
}

struct verdict rule_evaluate(const struct rule *rule, uint32_t level_index, bool held,
                             const struct alarm_levels *alarm_levels,
                             const struct indicator *indicators) {
    uint32_t node = rule->levels[level_index].first_node;
    return evaluate_node(rule, &node, held, alarm_levels, indicators);
}

enum tristate rule_row_holds(const struct rule *rule, size_t row, bool held,
                             const struct alarm_levels *alarm_levels,
                             const struct indicator *indicators) {
    for (uint32_t i = 0; i < rule->node_count; i++) {
        if (rule->nodes[i].row == row + 1) {
            return evaluate_node(rule, &i, held, alarm_levels, indicators).value;
        }
    }
    return TRI_UNKNOWN;
}

const char *const indicator_kind_names[INDICATOR_KIND_COUNT + 1] = {
    [INDICATOR_LATEST] = "latest",
    [INDICATOR_RISE] = "rise",
    [INDICATOR_ACCUMULATION] = "accumulation",
    [INDICATOR_MEAN] = "mean",
    [INDICATOR_MODEL] = "model",
    [INDICATOR_SILENCE] = "silence",
    [INDICATOR_NOWCAST] = "nowcast",
    [INDICATOR_HIGHEST_HOUR] = "highest_hour",
    [INDICATOR_HIGHEST_8H] = "highest_8h",
    [INDICATOR_LOWEST_DAILY_MAX] = "lowest_daily_max",
    [INDICATOR_HIGHEST_DAILY_MEAN] = "highest_daily_mean",
};

const char *indicator_kind_name(enum indicator_kind kind) {
    return (unsigned)kind < INDICATOR_KIND_COUNT ? indicator_kind_names[kind] : "unknown";
}

const char *scale_level_name_vi(const struct scale *scale, uint32_t level) {
    if (level == 0) {
        return "dưới mức cảnh báo";
    }
    return level <= scale->level_count ? scale->levels[level - 1].name_vi : "";
}

const char *scale_level_name_en(const struct scale *scale, uint32_t level) {
    if (level == 0) {
        return "below warning level";
    }
    return level <= scale->level_count ? scale->levels[level - 1].name_en : "";
}
