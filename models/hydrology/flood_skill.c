#include "models/hydrology/flood_skill.h"

#include <math.h>
#include <string.h>

#include "daemon/base/text.h"

const int flood_skill_leads_h[FLOOD_SKILL_LEADS] = {1, 3, 6, 12, 18, 24};

#define HOUR_US INT64_C(3600000000)
/* A flood has crested when the stage is that much lower, or that long without a higher one. */
#define CREST_FALL_M  0.1
#define CREST_QUIET_H 3

void flood_skill_start(struct flood_skill *ret_skill) {
    memset(ret_skill, 0, sizeof *ret_skill);
    ret_skill->crest_m = NAN;
}

static struct flood_issue *issue_at(struct flood_skill *skill, int64_t issue_us) {
    return &skill->issue[(uint64_t)(issue_us / HOUR_US) % FLOOD_SKILL_ISSUES];
}

/* ---- rows for the daemon ---- */

/* Takes `sums` over. threshold_m NaN: none. */
static void add_row(const struct flood_scores *to, const char *variable, const char *unit,
                    int lead_h, double threshold_m, int64_t valid_us, json_t *sums) {
    char time[32];
    if (to->rows == NULL) {
        json_decref(sums);
        return;
    }
    text_format_time(valid_us, time, sizeof time);
    (void)json_array_append_new(
        to->rows, json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:s, s:o}", "product", to->product,
                            "system", "forecast", "place", to->place, "variable", variable, "unit",
                            unit, "lead_s", lead_h * 3600, "threshold",
                            isnan(threshold_m) ? json_null() : json_real(threshold_m), "valid_time",
                            time, "sums", sums));
}

/* ---- observing ---- */

static void verify_lead(struct flood_skill *skill, int i, int64_t utc_us, double observed,
                        const struct flood_scores *to) {
    int64_t issue_us = utc_us - flood_skill_leads_h[i] * HOUR_US;
    const struct flood_issue *issue = issue_at(skill, issue_us);
    double forecast = issue->median_m3_s[i];
    struct flood_skill_lead *lead = &skill->lead[i];
    if (issue->issue_us != issue_us || isnan(forecast) || isnan(observed) ||
        isnan(issue->observed_m3_s)) {
        return;
    }
    double error = forecast - observed, persistence = issue->observed_m3_s - observed;
    lead->n += 1;
    lead->o += observed;
    lead->oo += observed * observed;
    lead->f += forecast;
    lead->ff += forecast * forecast;
    lead->of += observed * forecast;
    lead->error += error * error;
    lead->persistence += persistence * persistence;
    add_row(to, "discharge", "m3 s-1", flood_skill_leads_h[i], NAN, utc_us,
            json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "n", 1, "observed",
                      observed, "observed_squared", observed * observed, "forecast", forecast,
                      "forecast_squared", forecast * forecast, "forecast_observed",
                      forecast * observed, "error", error, "absolute_error", fabs(error),
                      "squared_error", error * error, "reference_squared_error",
                      persistence * persistence));
}

static void verify_rise(struct flood_skill_level *level, int64_t utc_us, double threshold_m,
                        const struct flood_scores *to) {
    double lead_h = (double)(utc_us - level->warned_us) / HOUR_US;
    bool warned = level->warned_us != 0;
    bool blind = utc_us - level->forecast_us > 24 * HOUR_US;
    level->hits += warned;
    level->lead_h += warned ? lead_h : 0;
    level->misses += !warned;
    level->blind += !warned && blind;
    level->warned_us = 0;
    add_row(
        to, "stage", "m", 0, threshold_m, utc_us,
        warned
            ? json_pack("{s:i, s:i, s:f}", "hits", 1, "lead_times", 1, "lead_time_s", lead_h * 3600)
            : json_pack("{s:i, s:i}", "misses", 1, "missed_without_forecast", blind ? 1 : 0));
}

static void verify_level(struct flood_skill_level *level, int64_t utc_us, double stage_m,
                         double threshold_m, const struct flood_scores *to) {
    bool above = stage_m >= threshold_m;
    if (level->known && above && !level->above) {
        verify_rise(level, utc_us, threshold_m, to);
    }
    level->known = true;
    level->above = above;
}

static void verify_crest(struct flood_skill *skill, int64_t utc_us, const struct flood_scores *to) {
    for (int i = 0; i < FLOOD_SKILL_LEADS; i++) {
        int64_t issue_us = skill->crest_us - flood_skill_leads_h[i] * HOUR_US;
        const struct flood_issue *issue = issue_at(skill, issue_us);
        struct flood_skill_lead *lead = &skill->lead[i];
        if (issue->issue_us != issue_us || isnan(issue->peak_m)) {
            continue;
        }
        double error_m = issue->peak_m - skill->crest_m;
        double late_h = (double)(issue->peak_us - skill->crest_us) / HOUR_US;
        lead->peaks += 1;
        lead->peak_error_m += error_m;
        lead->peak_abs_m += fabs(error_m);
        lead->time_error_h += late_h;
        lead->time_abs_h += fabs(late_h);
        add_row(to, "stage", "m", flood_skill_leads_h[i], NAN, utc_us,
                json_pack("{s:i, s:f, s:f, s:f, s:f}", "peaks", 1, "peak_error", error_m,
                          "peak_absolute_error", fabs(error_m), "peak_timing_s", late_h * 3600,
                          "peak_absolute_timing_s", fabs(late_h) * 3600));
    }
    skill->crest_m = NAN;
    skill->crest_us = INT64_MAX; /* the next crest begins with a rise through the level */
}

static void follow_crest(struct flood_skill *skill, int64_t utc_us, double stage_m,
                         const struct flood_scores *to) {
    double lowest_m = to->levels_m[0];
    bool rose = skill->level[0].known && !skill->level[0].above && stage_m >= lowest_m;
    bool waits = isnan(skill->crest_m) && skill->crest_us == INT64_MAX && !rose;
    if (!waits && (isnan(skill->crest_m) ? stage_m >= lowest_m : stage_m > skill->crest_m)) {
        skill->crest_m = stage_m;
        skill->crest_us = utc_us;
    } else if (!isnan(skill->crest_m) && utc_us - skill->crest_us >= CREST_QUIET_H * HOUR_US &&
               skill->crest_m - stage_m >= CREST_FALL_M) {
        verify_crest(skill, utc_us, to);
    }
}

void flood_skill_observe(struct flood_skill *skill, int64_t utc_us, double observed_m3_s,
                         double stage_m, const struct flood_scores *to) {
    for (int i = 0; i < FLOOD_SKILL_LEADS; i++) {
        verify_lead(skill, i, utc_us, observed_m3_s, to);
    }
    if (!isnan(stage_m) && to->level_count > 0) {
        follow_crest(skill, utc_us, stage_m, to);
        for (size_t l = 0; l < to->level_count; l++) {
            verify_level(&skill->level[l], utc_us, stage_m, to->levels_m[l], to);
        }
    }
    skill->until_us = utc_us;
}

void flood_skill_issue(struct flood_skill *skill, const struct flood_issue *issue,
                       const double *probability, const struct flood_scores *to) {
    struct flood_issue *slot = issue_at(skill, issue->issue_us);
    if (slot->issue_us == issue->issue_us && !isnan(slot->median_m3_s[0])) {
        return; /* a later one of the same hour has seen some of what it tells */
    }
    *slot = *issue;
    for (size_t l = 0; l < to->level_count; l++) {
        struct flood_skill_level *level = &skill->level[l];
        bool warns = probability[l] >= FLOOD_WARNING && !(level->known && level->above);
        level->forecast_us = isnan(probability[l]) ? level->forecast_us : issue->issue_us;
        if (warns && level->warned_us == 0) {
            level->warned_us = issue->issue_us;
        } else if (!warns && level->warned_us != 0) {
            level->false_alarms += 1;
            level->warned_us = 0;
            add_row(to, "stage", "m", 0, to->levels_m[l], issue->issue_us,
                    json_pack("{s:i}", "false_alarms", 1));
        }
    }
}

/* ---- scores ---- */

struct row {
    const char *place, *variable, *score;
    int lead_h;
    double value, n;
};

static void add(json_t *list, const struct row *row) {
    if (isfinite(row->value)) {
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:s, s:f, s:I}", "place",
                                                    row->place, "variable", row->variable, "lead_s",
                                                    row->lead_h * 3600, "score", row->score,
                                                    "value", row->value, "n", (json_int_t)row->n));
    }
}

static void add_lead(json_t *list, const struct flood_skill_lead *s, const char *place,
                     int lead_h) {
    double variance = s->oo - s->o * s->o / s->n, spread = s->ff - s->f * s->f / s->n;
    double r = (s->of - s->o * s->f / s->n) / sqrt(variance * spread);
    double alpha = sqrt(spread / variance), beta = s->f / s->o;
    double kge = 1 - sqrt((r - 1) * (r - 1) + (alpha - 1) * (alpha - 1) + (beta - 1) * (beta - 1));
    const struct row rows[] = {
        {place, "discharge", "nse", lead_h, s->n < 2 ? (double)NAN : 1 - s->error / variance, s->n},
        {place, "discharge", "kge", lead_h, s->n < 2 ? (double)NAN : kge, s->n},
        {place, "discharge", "persistence_index", lead_h, 1 - s->error / s->persistence, s->n},
        {place, "stage", "peak_bias_m", lead_h, s->peak_error_m / s->peaks, s->peaks},
        {place, "stage", "peak_mae_m", lead_h, s->peak_abs_m / s->peaks, s->peaks},
        {place, "stage", "peak_time_bias_h", lead_h, s->time_error_h / s->peaks, s->peaks},
        {place, "stage", "peak_time_mae_h", lead_h, s->time_abs_h / s->peaks, s->peaks},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        add(list, &rows[i]);
    }
}

json_t *flood_skill_scores(const struct flood_skill *skill, const char *place, size_t level_count) {
    static const char *const names[FLOOD_SKILL_LEVELS] = {"level_1", "level_2", "level_3"};
    json_t *list = json_array();
    for (int i = 0; list != NULL && i < FLOOD_SKILL_LEADS; i++) {
        add_lead(list, &skill->lead[i], place, flood_skill_leads_h[i]);
    }
    for (size_t l = 0; list != NULL && l < level_count; l++) {
        const struct flood_skill_level *s = &skill->level[l];
        double observed = s->hits + s->misses, warned = s->hits + s->false_alarms;
        double all = observed + s->false_alarms;
        const struct row rows[] = {
            {place, names[l], "pod", 0, s->hits / observed, observed},
            {place, names[l], "far", 0, s->false_alarms / warned, warned},
            {place, names[l], "csi", 0, s->hits / all, all},
            {place, names[l], "lead_time_h", 0, s->lead_h / s->hits, s->hits},
            {place, names[l], "hits", 0, s->hits, all},
            {place, names[l], "misses", 0, s->misses, all},
            {place, names[l], "false_alarms", 0, s->false_alarms, all},
            {place, names[l], "missed_without_forecast", 0, s->blind, all},
        };
        for (size_t i = 0; all > 0 && i < sizeof rows / sizeof *rows; i++) {
            add(list, &rows[i]);
        }
    }
    return list;
}

/* ---- the state file ---- */

/* Numbers as a list, NaN as null. */
static json_t *pack_numbers(const double *values, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, isnan(values[i]) ? json_null() : json_real(values[i]));
    }
    return list;
}

static bool take_numbers(const json_t *list, size_t count, double *ret_values) {
    if (json_array_size(list) != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_array_get(list, i);
        if (!json_is_null(value) && !json_is_number(value)) {
            return false;
        }
        ret_values[i] = json_is_null(value) ? (double)NAN : json_number_value(value);
    }
    return true;
}

enum { LEAD_NUMBERS = 13, ISSUE_NUMBERS = FLOOD_SKILL_LEADS + 2 };
_Static_assert(sizeof(struct flood_skill_lead) == LEAD_NUMBERS * sizeof(double),
               "every sum is saved");

json_t *flood_skill_pack(const struct flood_skill *skill) {
    json_t *leads = json_array(), *levels = json_array(), *issues = json_array();
    for (int i = 0; i < FLOOD_SKILL_LEADS; i++) {
        (void)json_array_append_new(leads,
                                    pack_numbers((const double *)&skill->lead[i], LEAD_NUMBERS));
    }
    for (size_t l = 0; l < FLOOD_SKILL_LEVELS; l++) {
        const struct flood_skill_level *s = &skill->level[l];
        const double counts[] = {s->hits, s->misses, s->false_alarms, s->lead_h, s->blind};
        (void)json_array_append_new(
            levels, json_pack("{s:o, s:b, s:b, s:I, s:I}", "counts", pack_numbers(counts, 5),
                              "known", s->known, "above", s->above, "warned_us",
                              (json_int_t)s->warned_us, "forecast_us", (json_int_t)s->forecast_us));
    }
    for (size_t i = 0; i < FLOOD_SKILL_ISSUES; i++) {
        const struct flood_issue *issue = &skill->issue[i];
        double numbers[ISSUE_NUMBERS] = {issue->observed_m3_s, issue->peak_m};
        memcpy(numbers + 2, issue->median_m3_s, sizeof issue->median_m3_s);
        if (issue->issue_us != 0) {
            (void)json_array_append_new(issues, json_pack("{s:I, s:I, s:o}", "issue_us",
                                                          (json_int_t)issue->issue_us, "peak_us",
                                                          (json_int_t)issue->peak_us, "numbers",
                                                          pack_numbers(numbers, ISSUE_NUMBERS)));
        }
    }
    return json_pack("{s:I, s:o, s:I, s:o, s:o, s:o}", "until_us", (json_int_t)skill->until_us,
                     "crest_m", isnan(skill->crest_m) ? json_null() : json_real(skill->crest_m),
                     "crest_us", (json_int_t)skill->crest_us, "leads", leads, "levels", levels,
                     "issues", issues);
}

static bool take_level(const json_t *object, struct flood_skill_level *ret_level) {
    double counts[5];
    const json_t *known = json_object_get(object, "known"),
                 *above = json_object_get(object, "above");
    const json_t *warned = json_object_get(object, "warned_us");
    const json_t *forecast = json_object_get(object, "forecast_us");
    if (!take_numbers(json_object_get(object, "counts"), 5, counts) || !json_is_boolean(known) ||
        !json_is_boolean(above) || !json_is_integer(warned) || !json_is_integer(forecast)) {
        return false;
    }
    *ret_level = (struct flood_skill_level){.hits = counts[0],
                                            .misses = counts[1],
                                            .false_alarms = counts[2],
                                            .lead_h = counts[3],
                                            .blind = counts[4],
                                            .known = json_is_true(known),
                                            .above = json_is_true(above),
                                            .warned_us = json_integer_value(warned),
                                            .forecast_us = json_integer_value(forecast)};
    return true;
}

static bool take_issue(const json_t *object, struct flood_skill *skill) {
    double numbers[ISSUE_NUMBERS];
    int64_t issue_us = json_integer_value(json_object_get(object, "issue_us"));
    if (issue_us <= 0 || issue_us % HOUR_US != 0 ||
        !json_is_integer(json_object_get(object, "peak_us")) ||
        !take_numbers(json_object_get(object, "numbers"), ISSUE_NUMBERS, numbers)) {
        return false;
    }
    struct flood_issue *issue = issue_at(skill, issue_us);
    issue->issue_us = issue_us;
    issue->peak_us = json_integer_value(json_object_get(object, "peak_us"));
    issue->observed_m3_s = numbers[0];
    issue->peak_m = numbers[1];
    memcpy(issue->median_m3_s, numbers + 2, sizeof issue->median_m3_s);
    return true;
}

int flood_skill_unpack(const json_t *object, struct flood_skill *ret_skill) {
    struct flood_skill skill;
    const json_t *leads = json_object_get(object, "leads");
    const json_t *levels = json_object_get(object, "levels");
    const json_t *issues = json_object_get(object, "issues"), *item;
    size_t i;
    flood_skill_start(&skill);
    bool good = json_is_integer(json_object_get(object, "until_us")) &&
                json_is_integer(json_object_get(object, "crest_us")) &&
                json_array_size(leads) == FLOOD_SKILL_LEADS &&
                json_array_size(levels) == FLOOD_SKILL_LEVELS && json_is_array(issues);
    json_array_foreach(leads, i, item) {
        good = good && take_numbers(item, LEAD_NUMBERS, (double *)&skill.lead[i]);
    }
    json_array_foreach(levels, i, item) {
        good = good && take_level(item, &skill.level[i]);
    }
    json_array_foreach(issues, i, item) {
        good = good && take_issue(item, &skill);
    }
    if (!good) {
        return ERR_CORRUPT;
    }
    const json_t *crest = json_object_get(object, "crest_m");
    skill.until_us = json_integer_value(json_object_get(object, "until_us"));
    skill.crest_us = json_integer_value(json_object_get(object, "crest_us"));
    skill.crest_m = json_is_number(crest) ? json_number_value(crest) : (double)NAN;
    *ret_skill = skill;
    return 0;
}
