#include "models/landslide/landslide.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

static int field_number(const struct table *table, size_t row, const char *name, double *ret_value,
                        struct err *ret_err) {
    size_t column = 0;
    int rc = table_find(table, name, &column, ret_err);
    if (rc != 0) {
        return rc;
    }
    const char *text = table_text(table, row, column);
    *ret_value = NAN;
    if (text[0] != '\0' && text_parse_double(text, -1e6, 1e6, ret_value) != 0) {
        return table_refuse(table, row, column, ERR_SYNTAX, ret_err, "'%.40s' is not a number",
                            text);
    }
    return 0;
}

static const char *field(const struct table *table, size_t row, const char *name) {
    size_t column = 0;
    return table_find(table, name, &column, NULL) == 0 ? table_text(table, row, column) : "";
}

int landslide_thresholds(const struct table *table, struct landslide_threshold *ret_thresholds,
                         size_t room, size_t *ret_count, struct err *ret_err) {
    size_t count = 0;
    for (size_t row = 0; row < table_rows(table); row++) {
        struct landslide_threshold t = {{0}, 0, 0, 0, 0, false};
        if (strncmp(field(table, row, "form"), "I_mm_h = alpha * D_h ^ beta", 27) != 0) {
            continue;
        }
        int rc = field_number(table, row, "alpha", &t.alpha, ret_err);
        rc = rc != 0 ? rc : field_number(table, row, "beta", &t.beta, ret_err);
        rc = rc != 0 ? rc : field_number(table, row, "duration_min_h", &t.duration_min_h, ret_err);
        rc = rc != 0 ? rc : field_number(table, row, "duration_max_h", &t.duration_max_h, ret_err);
        if (rc != 0) {
            return rc;
        }
        if (!(t.alpha > 0 && t.beta > -1 && t.beta <= 0 && t.duration_min_h >= 0 &&
              t.duration_max_h > t.duration_min_h) ||
            text_copy(t.id, sizeof t.id, field(table, row, "id")) != 0) {
            return table_refuse(
                table, row, 0, ERR_INVALID, ret_err,
                "expected alpha above 0, beta within -1 and 0, a range of durations");
        }
        if (count == room) {
            return err_set(ret_err, ERR_LIMIT, "more than %zu intensity-duration curves", room);
        }
        t.provisional = strcmp(field(table, row, "confidence"), "verified") != 0;
        ret_thresholds[count++] = t;
    }
    *ret_count = count;
    return 0;
}

void landslide_limits(const struct landslide_threshold *threshold, double *ret_mm_h, size_t room) {
    for (size_t hours = 1; hours <= room; hours++) {
        ret_mm_h[hours - 1] = threshold->alpha * pow((double)hours, threshold->beta);
    }
}

/* limit_mm_h NULL: computed here. */
static struct landslide_exceedance exceeds(const struct landslide_threshold *threshold,
                                           const double *limit_mm_h, const double *rain_mm_h,
                                           size_t count) {
    struct landslide_exceedance result = {LANDSLIDE_NO, NAN, 0};
    double sum = 0;
    bool missing = false;
    bool judged = false;
    for (size_t hours = 1; hours <= count && (double)hours <= threshold->duration_max_h; hours++) {
        double rain = rain_mm_h[count - hours];
        missing = missing || isnan(rain);
        sum += isnan(rain) ? 0 : rain;
        if ((double)hours < threshold->duration_min_h) {
            continue;
        }
        judged = true;
        double limit = limit_mm_h != NULL ? limit_mm_h[hours - 1]
                                          : threshold->alpha * pow((double)hours, threshold->beta);
        double ratio = sum / (double)hours / limit;
        if (isnan(result.ratio) || ratio > result.ratio) {
            result.ratio = ratio;
            result.duration_h = (int)hours;
        }
    }
    /* A series shorter than the curve is rain that is not known either. */
    bool unknown = !judged || missing || (double)count < floor(threshold->duration_max_h);
    if (judged && result.ratio >= 1) {
        result.answer = LANDSLIDE_YES;
    } else if (unknown) {
        result.answer = LANDSLIDE_UNKNOWN;
    }
    return result;
}

struct landslide_exceedance landslide_exceeds(const struct landslide_threshold *threshold,
                                              const double *rain_mm_h, size_t count) {
    return exceeds(threshold, NULL, rain_mm_h, count);
}

struct landslide_exceedance landslide_exceeds_limits(const struct landslide_threshold *threshold,
                                                     const double *limit_mm_h,
                                                     const double *rain_mm_h, size_t count) {
    return exceeds(threshold, limit_mm_h, rain_mm_h, count);
}

double landslide_api_mm(const double *rain_mm_day, size_t count, double factor) {
    if (!(factor > 0 && factor < 1)) {
        return NAN;
    }
    double sum = 0, weight = 1;
    for (size_t i = 0; weight >= 0.01; i++) {
        if (i >= count || isnan(rain_mm_day[count - 1 - i])) {
            return NAN;
        }
        sum += weight * rain_mm_day[count - 1 - i];
        weight *= factor;
    }
    return sum;
}

/* Rain of the 24 h that end `back` hours before the newest; the known part. */
static double day_mm(const double *rain_mm_h, size_t count, size_t back, bool *ret_missing) {
    double sum = 0;
    *ret_missing = count < back + 24;
    for (size_t i = 0; i < 24 && back + i < count; i++) {
        double rain = rain_mm_h[count - 1 - back - i];
        *ret_missing = *ret_missing || isnan(rain);
        sum += isnan(rain) ? 0 : rain;
    }
    return sum;
}

/* Days with rain in an unbroken run before the last 24 h, as far as is known. */
static int prior_days(const double *rain_mm_h, size_t count, double rain_day_mm, bool *ret_open) {
    int days = 0;
    for (size_t back = 24;; back += 24) {
        bool missing = false;
        double sum = day_mm(rain_mm_h, count, back, &missing);
        if (sum < rain_day_mm) {
            *ret_open = missing; /* it may have rained, and the run may be longer */
            return days;
        }
        days++;
    }
}

/* "high|very_high" contains "high"; an empty list is every susceptibility. */
static bool lists(const char *list, const char *word) {
    size_t length = strlen(word);
    while (*list != '\0') {
        size_t n = strcspn(list, "|");
        if (n == length && strncmp(list, word, n) == 0) {
            return true;
        }
        list += n + (list[n] == '|');
    }
    return false;
}

static int read_bounds(const struct table *table, size_t row, int metric,
                       struct landslide_bounds *ret_bounds, struct err *ret_err) {
    static const char *const names[2][4] = {{"min_1", "max_1", "min_1_incl", "max_1_incl"},
                                            {"min_2", "max_2", "min_2_incl", "max_2_incl"}};
    double value[4];
    for (int i = 0; i < 4; i++) {
        int rc = field_number(table, row, names[metric - 1][i], &value[i], ret_err);
        if (rc != 0) {
            return rc;
        }
    }
    *ret_bounds = (struct landslide_bounds){value[0], value[1], value[2] == 1, value[3] == 1};
    return 0;
}

static bool reaches(const struct landslide_bounds *b, double value) {
    return isnan(b->min) || value > b->min || (b->min_in && value == b->min);
}

static bool within(const struct landslide_bounds *b, double value) {
    return reaches(b, value) && (isnan(b->max) || value < b->max || (b->max_in && value == b->max));
}

static int read_rule(const struct table *table, size_t row, struct landslide_rule *ret_rule,
                     struct err *ret_err) {
    double level = 0;
    int rc = field_number(table, row, "level", &level, ret_err);
    rc = rc != 0 ? rc : read_bounds(table, row, 1, &ret_rule->rain, ret_err);
    rc = rc != 0 ? rc : read_bounds(table, row, 2, &ret_rule->prior, ret_err);
    if (rc != 0) {
        return rc;
    }
    if (strcmp(field(table, row, "metric_1"), "rain_24h_mm") != 0 ||
        strcmp(field(table, row, "metric_2"), "prior_rain_day_d") != 0 || isnan(level)) {
        return table_refuse(table, row, 0, ERR_UNSUPPORTED, ret_err,
                            "a rule on other metrics than rain_24h_mm and prior_rain_day_d");
    }
    ret_rule->level = (int)level;
    return text_copy(ret_rule->rule_id, sizeof ret_rule->rule_id, field(table, row, "rule_id")) !=
                       0 ||
                   text_copy(ret_rule->susceptibility, sizeof ret_rule->susceptibility,
                             field(table, row, "susceptibility")) != 0
               ? table_refuse(table, row, 0, ERR_LIMIT, ret_err, "a name that is too long")
               : 0;
}

int landslide_rules_read(const struct table *table, const char *zone,
                         struct landslide_rules *ret_rules, struct err *ret_err) {
    struct landslide_rules rules = {.count = 0};
    for (size_t row = 0; row < table_rows(table); row++) {
        if (strcmp(field(table, row, "hazard"), "flash_flood_landslide") != 0 ||
            strcmp(field(table, row, "zone"), zone) != 0) {
            continue;
        }
        if (rules.count == LANDSLIDE_RULES_MAX) {
            return err_set(ret_err, ERR_LIMIT, "more than %d rules for the zone '%s'",
                           LANDSLIDE_RULES_MAX, zone);
        }
        int rc = read_rule(table, row, &rules.rule[rules.count++], ret_err);
        if (rc != 0) {
            return rc;
        }
    }
    if (rules.count == 0) {
        return err_set(ret_err, ERR_NOT_FOUND, "no rule of Article 46 for the zone '%s'", zone);
    }
    *ret_rules = rules;
    return 0;
}

int landslide_highest(const struct landslide_rules *rules, const char *susceptibility) {
    int highest = 0;
    for (size_t i = 0; i < rules->count; i++) {
        bool counts = lists(rules->rule[i].susceptibility, susceptibility);
        highest = counts && rules->rule[i].level > highest ? rules->rule[i].level : highest;
    }
    return highest;
}

int landslide_judge(const struct landslide_rules *rules, const char *susceptibility,
                    const double *rain_mm_h, size_t count, double rain_day_mm,
                    struct landslide_class *ret_class, struct err *ret_err) {
    bool day_missing = false, days_open = false;
    if (count < 24) {
        return err_set(ret_err, ERR_INVALID, "%zu hours of rain; at least 24 are needed", count);
    }
    double rain_24h_mm = day_mm(rain_mm_h, count, 0, &day_missing);
    int days = prior_days(rain_mm_h, count, rain_day_mm, &days_open);
    struct landslide_class result = {.may_be_higher = day_missing || days_open};
    for (size_t i = 0; i < rules->count; i++) {
        const struct landslide_rule *rule = &rules->rule[i];
        if (!lists(rule->susceptibility, susceptibility) || !reaches(&rule->rain, rain_24h_mm) ||
            !reaches(&rule->prior, days)) {
            continue;
        }
        bool literal = within(&rule->rain, rain_24h_mm) && within(&rule->prior, days);
        if (rule->level > result.level || (rule->level == result.level && literal)) {
            result.level = rule->level;
            result.literal = literal;
            (void)text_copy(result.rule_id, sizeof result.rule_id, rule->rule_id);
        }
    }
    *ret_class = result;
    return 0;
}

int landslide_article_46(const struct table *rules, const char *zone, const char *susceptibility,
                         const double *rain_mm_h, size_t count, double rain_day_mm,
                         struct landslide_class *ret_class, struct err *ret_err) {
    struct landslide_rules read;
    int rc = landslide_rules_read(rules, zone, &read, ret_err);
    return rc != 0 ? rc
                   : landslide_judge(&read, susceptibility, rain_mm_h, count, rain_day_mm,
                                     ret_class, ret_err);
}
