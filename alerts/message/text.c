#include "alerts/message/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alerts/message/sms.h"
#include "daemon/base/text.h"

enum {
    VALUE_SIZE = 256,
    LEVEL_SIZE = 320,
    CLIP_MIN = 6,
    CLIP_HAZARD = 16, /* shorter names say less than the hazard does */
    CLIP_MAX = 60,
    CLIP_STEP = 2,
    SMS_FORMS = 6,
    SMS_HAZARD_FORM = 4, /* the last one that names the hazard */
    CLIP_BRIEF_FROM = 8,
    BRIEF_MAX = 40
};

/* What the {names} of one sentence stand for; NULL: not in this sentence. */
struct words {
    const char *status, *event, *level, *previous, *place, *rule, *value, *number, *trend, *time,
        *instruction, *quantity, *window, *lead, *threshold, *name, *scale, *lowest, *zone, *brief,
        *brief_level;
    const char *hour, *minute, *day, *month, *monthname, *year, *n;
};

/* The event with everything that is said of it more than once. */
struct telling {
    const struct phrases *phrases;
    const struct event *event;
    const struct message_context *context;
    int32_t utc_offset_min;
    enum bulletin bulletin;
    char level[LEVEL_SIZE], previous[LEVEL_SIZE];
    char status[64];
    char value[VALUE_SIZE], brief[VALUE_SIZE];
    char brief_level[LEVEL_SIZE]; /* in words only; an own scale is told by the hazard */
    char time_long[96], time_short[96];
};

static const char *phrase(const struct phrases *phrases, const char *key) {
    const char *text = phrases_find(phrases, key);
    return text != NULL ? text : ""; /* phrases_parse() has looked for all of them */
}

static const char *phrase_of(const struct phrases *phrases, const char *group, const char *name,
                             const char *ending) {
    char key[2 * STATION_ID_SIZE];
    (void)snprintf(key, sizeof key, "%s.%s%s", group, name, ending);
    const char *text = phrases_find(phrases, key);
    if (text == NULL) {
        (void)snprintf(key, sizeof key, "%s.other%s", group, ending);
        text = phrase(phrases, key);
    }
    return text;
}

/* ---- filling a sentence ---- */

static const char *word_of(const struct words *words, const char *name, size_t length) {
    const struct {
        const char *name, *text;
    } known[] = {
        {"status", words->status},
        {"event", words->event},
        {"level", words->level},
        {"previous", words->previous},
        {"place", words->place},
        {"rule", words->rule},
        {"value", words->value},
        {"number", words->number},
        {"trend", words->trend},
        {"time", words->time},
        {"do", words->instruction},
        {"quantity", words->quantity},
        {"window", words->window},
        {"lead", words->lead},
        {"threshold", words->threshold},
        {"name", words->name},
        {"scale", words->scale},
        {"lowest", words->lowest},
        {"zone", words->zone},
        {"hour", words->hour},
        {"minute", words->minute},
        {"day", words->day},
        {"month", words->month},
        {"monthname", words->monthname},
        {"year", words->year},
        {"n", words->n},
        {"space", " "},
        {"brief", words->brief},
        {"short", words->brief_level},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i].name) == length && strncmp(known[i].name, name, length) == 0) {
            return known[i].text != NULL ? known[i].text : "";
        }
    }
    return ""; /* phrases_parse() knows them all */
}

static int fill(const char *sentence, const struct words *words, char *ret_text, size_t size) {
    size_t length = 0;
    while (*sentence != '\0') {
        const char *piece = sentence;
        size_t count = strcspn(sentence, "{");
        sentence += count;
        if (count == 0) {
            count = strcspn(sentence, "}");
            piece = word_of(words, sentence + 1, count - 1);
            sentence += count + 1;
            count = strlen(piece);
        }
        if (count >= size - length) {
            ret_text[length] = '\0';
            return ERR_LIMIT;
        }
        memcpy(ret_text + length, piece, count);
        length += count;
    }
    ret_text[length] = '\0';
    return 0;
}

/* Sentences of people begin with a capital. */
static void capitalise(char *text) {
    if (text[0] >= 'a' && text[0] <= 'z') {
        text[0] = (char)(text[0] - 'a' + 'A');
    } else if (memcmp(text, "đ", 2) == 0) {
        memcpy(text, "Đ", 2);
    }
}

/* ---- numbers, times, names ---- */

static void decimal_comma(enum language language, char *text) {
    char *point = strchr(text, '.');
    if (language == LANGUAGE_VI && point != NULL) {
        *point = ',';
    }
}

/* How people write a unit. */
static const char *people_unit(const char *unit) {
    static const struct {
        const char *unit, *written;
    } known[] = {{"1e-3", "‰"},
                 {"degC", "°C"},
                 {"degree", "°"},
                 {"ug/m3", "µg/m³"},
                 {"ug m-3", "µg/m³"},
                 {"mg/m3", "mg/m³"},
                 {"mg m-3", "mg/m³"},
                 {"m s-1", "m/s"},
                 {"m3 s-1", "m³/s"},
                 {"m3/s", "m³/s"},
                 {"mm h-1", "mm/h"},
                 {"nSv h-1", "nSv/h"},
                 {"mg L-1", "mg/L"},
                 {"percent", "%"},
                 {"0.01 mL-1", "MPN/100 mL"},
                 {"1", ""}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].unit, unit) == 0) {
            return known[i].written;
        }
    }
    return unit;
}

static void put_number(const struct telling *telling, double value, const char *unit, bool at_least,
                       char *ret_text, size_t size) {
    char digits[64];
    double magnitude = fabs(value);
    bool metres = strcmp(unit, "m") == 0;
    int decimals = metres ? 2 : magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : magnitude >= 1 ? 2 : 3;
    if (magnitude >= 1e9) {
        (void)snprintf(digits, sizeof digits, "%.3e", value);
    } else {
        (void)snprintf(digits, sizeof digits, "%.*f", decimals, value);
        if (!metres && strchr(digits, '.') != NULL) {
            size_t length = strlen(digits);
            while (digits[length - 1] == '0') {
                digits[--length] = '\0';
            }
            if (digits[length - 1] == '.') {
                digits[length - 1] = '\0';
            }
        }
    }
    decimal_comma(phrases_language(telling->phrases), digits);
    char number[VALUE_SIZE];
    const char *written = people_unit(unit);
    (void)snprintf(number, sizeof number, "%s%s%s", digits, *written != '\0' ? " " : "", written);
    struct words words = {.number = number};
    (void)fill(at_least ? phrase(telling->phrases, "value.at_least") : "{number}", &words, ret_text,
               size); /* bounded by digits and unit */
}

static void put_duration(const struct telling *telling, int64_t us, char *ret_text, size_t size) {
    int64_t minutes = us / 60000000;
    char n[24];
    const char *key = "window.min";
    if (minutes >= 2880 && minutes % 1440 == 0) {
        minutes /= 1440;
        key = "window.d";
    } else if (minutes >= 60 && minutes % 60 == 0) {
        minutes /= 60;
        key = "window.h";
    }
    (void)snprintf(n, sizeof n, "%" PRId64, minutes);
    struct words words = {.n = n};
    (void)fill(phrase(telling->phrases, key), &words, ret_text, size);
}

static void put_time(const struct telling *telling, const char *key, struct utc_us at,
                     char *ret_text, size_t size) {
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int32_t offset = telling->utc_offset_min;
    time_t seconds = (time_t)(at.us / 1000000 + (int64_t)offset * 60);
    struct tm local = {0};
    char hour[16], minute[16], day[16], month[16], year[16], zone[24];
    (void)gmtime_r(&seconds, &local); /* stamps are within 1970 to 2199 */
    (void)snprintf(hour, sizeof hour, "%02d", local.tm_hour);
    (void)snprintf(minute, sizeof minute, "%02d", local.tm_min);
    (void)snprintf(day, sizeof day, "%d", local.tm_mday);
    (void)snprintf(month, sizeof month, "%d", local.tm_mon + 1);
    (void)snprintf(year, sizeof year, "%d", local.tm_year + 1900);
    (void)snprintf(zone, sizeof zone, "UTC%c%02d:%02d", offset < 0 ? '-' : '+', abs(offset) / 60,
                   abs(offset) % 60);
    struct words words = {
        .hour = hour,
        .minute = minute,
        .day = day,
        .month = month,
        .monthname = months[local.tm_mon],
        .year = year,
        .zone = offset == 420 ? phrase(telling->phrases, "time.zone") : zone,
    };
    (void)fill(phrase(telling->phrases, key), &words, ret_text, size);
}

static const char *place_name(const struct telling *telling) {
    const struct place *place = &telling->event->view.place;
    bool vietnamese = phrases_language(telling->phrases) == LANGUAGE_VI;
    return vietnamese ? place->name_vi : place->name_en;
}

/* `brief`: the words of an own scale alone. */
static void put_positive_level(const struct telling *telling, uint32_t level, bool brief,
                               char *ret_text, size_t size) {
    const struct scale *scale = &telling->event->view.rule->scale;
    bool vietnamese = phrases_language(telling->phrases) == LANGUAGE_VI;
    struct words words = {
        .name = vietnamese ? scale_level_name_vi(scale, level) : scale_level_name_en(scale, level),
        .scale = vietnamese ? scale->name_vi : scale->name_en,
    };
    const char *sentence = scale->kind == SCALE_FLOOD_ALARM
                               ? phrase(telling->phrases, "level.flood_alarm")
                           : scale->kind == SCALE_RISK
                               ? phrase(telling->phrases, brief ? "level.risk_short" : "level.risk")
                           : brief ? "{name}"
                                   : phrase(telling->phrases, "level.own");
    (void)fill(sentence, &words, ret_text, size); /* names are bounded */
}

static void put_level(const struct telling *telling, bool assessed, uint32_t level, bool brief,
                      char *ret_text, size_t size) {
    const struct alarm_view *view = &telling->event->view;
    char lowest[LEVEL_SIZE];
    if (!assessed) {
        (void)snprintf(ret_text, size, "%s", phrase(telling->phrases, "level.none"));
        return;
    }
    if (level > 0) {
        put_positive_level(telling, level, brief, ret_text, size);
        return;
    }
    /* A place may lack the threshold of level 1: then it is only known to be below the next. */
    uint32_t first = 0;
    while (first + 1 < view->rule->level_count &&
           (view->alarm->defined_mask & (1U << first)) == 0) {
        first++;
    }
    put_positive_level(telling, view->rule->levels[first].level, brief, lowest, sizeof lowest);
    struct words words = {.lowest = lowest};
    (void)fill(phrase(telling->phrases, "level.zero"), &words, ret_text, size);
}

static const char *quantity_id(const struct telling *telling, uint32_t index) {
    const struct indicator_spec *spec = &telling->event->view.rule->indicators[index];
    const struct indicator *indicator = &telling->event->view.indicators[index];
    return spec->kind == INDICATOR_MODEL ? spec->variable : indicator->point->quantity;
}

/* The lowest level of the rule that asks the indicator; 0: none does. */
static uint32_t level_asking(const struct rule *rule, uint32_t index) {
    for (uint32_t i = 0; i < rule->level_count; i++) {
        const struct rule_level *level = &rule->levels[i];
        for (uint32_t j = level->first_node; j < level->first_node + (uint32_t)level->node_count;
             j++) {
            if (rule->nodes[j].kind == NODE_COMPARE && rule->nodes[j].indicator == index) {
                return level->level;
            }
        }
    }
    return 0;
}

/* "lượng mưa", "khả năng đạt báo động I": a model's level is told as the rule's that it speaks for.
 */
static void put_quantity(const struct telling *telling, uint32_t index, char *ret_text,
                         size_t size) {
    uint32_t level = level_asking(telling->event->view.rule, index);
    char name[LEVEL_SIZE];
    if (level > 0) {
        put_positive_level(telling, level, false, name, sizeof name);
    } else {
        (void)snprintf(name, sizeof name, "%s", phrase(telling->phrases, "level.none"));
    }
    struct words words = {.level = name};
    (void)fill(phrase_of(telling->phrases, "quantity", quantity_id(telling, index), ""), &words,
               ret_text, size); /* names are bounded */
}

static const char *unit_of(const struct telling *telling, uint32_t index) {
    const struct indicator_spec *spec = &telling->event->view.rule->indicators[index];
    const struct indicator *indicator = &telling->event->view.indicators[index];
    return spec->kind == INDICATOR_MODEL ? spec->unit : indicator->point->unit;
}

/* Probabilities and shares of an area, which people read in percent. */
static bool is_share(const struct indicator_spec *spec) {
    return spec->kind == INDICATOR_MODEL &&
           (strncmp(spec->variable, "probability_", 12) == 0 ||
            strstr(spec->variable, "share") != NULL || strcmp(spec->variable, "rain_covered") == 0);
}

static void put_measure(const struct telling *telling, uint32_t index, double value, bool at_least,
                        char *ret_text, size_t size) {
    bool share = is_share(&telling->event->view.rule->indicators[index]);
    put_number(telling, share ? 100 * value : value, share ? "percent" : unit_of(telling, index),
               at_least, ret_text, size);
}

/* What a model's code stands for ("có", "AEGL-2"); NULL: its value is a number. */
static const char *word_for(const struct telling *telling, uint32_t index) {
    const struct indicator_spec *spec = &telling->event->view.rule->indicators[index];
    double value = telling->event->view.indicators[index].value;
    char key[2 * STATION_ID_SIZE];
    if (spec->kind != INDICATOR_MODEL || !(value >= 0 && value < 100) || value != floor(value)) {
        return NULL;
    }
    (void)snprintf(key, sizeof key, "word.%s.%d", spec->variable, (int)value);
    return phrases_find(telling->phrases, key);
}

/* "lượng mưa 120 mm trong 24 giờ", and briefly for an SMS: "120 mm"; only for a known value. */
static void put_value(const struct telling *telling, uint32_t index, char *ret_text, size_t size,
                      char *ret_brief, size_t brief_size) {
    static const char *const endings[INDICATOR_KIND_COUNT] = {
        [INDICATOR_LATEST] = "latest",
        [INDICATOR_ACCUMULATION] = "accumulation",
        [INDICATOR_MEAN] = "mean",
        [INDICATOR_MODEL] = "model",
        [INDICATOR_SILENCE] = "latest",
        [INDICATOR_NOWCAST] = "nowcast",
        [INDICATOR_HIGHEST_HOUR] = "highest_hour",
        [INDICATOR_HIGHEST_8H] = "highest_8h",
        [INDICATOR_LOWEST_DAILY_MAX] = "daily_max",
        [INDICATOR_HIGHEST_DAILY_MEAN] = "daily_mean",
    };
    const struct indicator_spec *spec = &telling->event->view.rule->indicators[index];
    const struct indicator *indicator = &telling->event->view.indicators[index];
    const struct phrases *phrases = telling->phrases;
    char number[VALUE_SIZE], quantity[VALUE_SIZE], window[48], lead[48], key[48];
    bool model = spec->kind == INDICATOR_MODEL;
    const char *word = word_for(telling, index);
    bool rise = spec->kind == INDICATOR_RISE;
    bool falls = indicator->value < 0;
    put_measure(telling, index, rise ? fabs(indicator->value) : indicator->value,
                indicator->lower_bound && !(rise && falls), number, sizeof number);
    put_quantity(telling, index, quantity, sizeof quantity);
    put_duration(telling, spec->window_us, window, sizeof window);
    put_duration(telling, spec->lead_us, lead, sizeof lead);
    struct words words = {.quantity = quantity,
                          .number = word != NULL ? word : number,
                          .window = window,
                          .lead = lead};
    if (rise) {
        (void)fill(phrase(phrases, falls ? "brief.rise_down" : "brief.rise_up"), &words, ret_brief,
                   brief_size); /* bounded words, here and below */
        (void)fill(phrase(phrases, falls ? "value.rise_down" : "value.rise_up"), &words, ret_text,
                   size);
        return;
    }
    (void)fill(phrase_of(phrases, "brief", quantity_id(telling, index), ""), &words, ret_brief,
               brief_size);
    (void)snprintf(key, sizeof key, "value.%s%s%s%s", endings[spec->kind],
                   word != NULL ? "_word" : "",
                   model && word == NULL && spec->window_us > 0 ? "_window" : "",
                   model && spec->lead_us > 0 ? "_lead" : "");
    (void)fill(phrase(phrases, key), &words, ret_text, size);
}

static const char *trend_words(const struct telling *telling) {
    const struct rule *rule = telling->event->view.rule;
    const struct indicator *first = &telling->event->view.indicators[0];
    bool level =
        rule->indicators[0].kind != INDICATOR_MODEL && strcmp(first->point->quantity, "stage") == 0;
    switch (telling->event->view.alarm->trend) {
    case TREND_RISING:
        return phrase(telling->phrases, level ? "trend.level.rising" : "trend.amount.rising");
    case TREND_FALLING:
        return phrase(telling->phrases, level ? "trend.level.falling" : "trend.amount.falling");
    case TREND_STEADY:
        return phrase(telling->phrases, "trend.steady");
    default:
        return phrase(telling->phrases, "trend.unknown");
    }
}

/* ---- the parts of a message ---- */

static void prepare(struct telling *telling) {
    const struct event *event = telling->event;
    const struct alarm *alarm = event->view.alarm;
    uint32_t index = event_indicator(event);
    const struct indicator *indicator = &event->view.indicators[index];
    bool known = isfinite(indicator->value);
    struct utc_us at =
        known && indicator->observed.utc.us != 0 ? indicator->observed.utc : event->at.utc;
    enum message_status status = telling->context->status;
    struct words none = {.status = NULL};
    put_level(telling, alarm->assessed, alarm->level, false, telling->level, sizeof telling->level);
    put_level(telling, alarm->assessed, alarm->level, true, telling->brief_level,
              sizeof telling->brief_level);
    put_level(telling, event->change.previous_assessed, event->change.previous_level, false,
              telling->previous, sizeof telling->previous);
    if (status == MESSAGE_EXERCISE) {
        (void)fill(phrase(telling->phrases, "status.exercise"), &none, telling->status,
                   sizeof telling->status);
    } else if (status == MESSAGE_TEST) {
        (void)fill(phrase(telling->phrases, "status.test"), &none, telling->status,
                   sizeof telling->status);
    }
    if (known) {
        put_value(telling, index, telling->value, sizeof telling->value, telling->brief,
                  sizeof telling->brief);
    } else {
        (void)snprintf(telling->value, sizeof telling->value, "%s",
                       phrase(telling->phrases, "value.unknown"));
        (void)snprintf(telling->brief, sizeof telling->brief, "%s", telling->value);
    }
    put_time(telling, "time.long", at, telling->time_long, sizeof telling->time_long);
    put_time(telling, "time.short", at, telling->time_short, sizeof telling->time_short);
}

static int put_headline(const struct telling *telling, const char *const *endings,
                        struct message_text *ret_text) {
    char key[32];
    (void)snprintf(key, sizeof key, "headline.%s", endings[telling->bulletin]);
    struct words words = {.status = telling->status,
                          .event = ret_text->event,
                          .level = telling->level,
                          .place = place_name(telling)};
    int result =
        fill(phrase(telling->phrases, key), &words, ret_text->headline, sizeof ret_text->headline);
    capitalise(ret_text->headline);
    return result;
}

/* One more sentence behind those that stand there. */
static int add(char *text, size_t size, const char *sentence, const struct words *words) {
    size_t length = strlen(text);
    if (length > 0 && length + 1 < size) {
        text[length++] = ' ';
        text[length] = '\0';
    }
    int result = fill(sentence, words, text + length, size - length);
    capitalise(text + length);
    return result;
}

static int add_evidence(const struct telling *telling, uint32_t index, char *text, size_t size) {
    const struct indicator *indicator = &telling->event->view.indicators[index];
    char value[VALUE_SIZE], brief[VALUE_SIZE], threshold[VALUE_SIZE], quantity[VALUE_SIZE];
    char time[96];
    uint32_t level = telling->event->view.alarm->level;
    put_quantity(telling, index, quantity, sizeof quantity);
    struct words words = {
        .quantity = quantity, .value = value, .time = time, .threshold = threshold};
    if (!isfinite(indicator->value)) {
        return add(text, size, phrase(telling->phrases, "evidence.none"), &words);
    }
    put_value(telling, index, value, sizeof value, brief, sizeof brief);
    put_time(telling, "time.long", indicator->observed.utc, time, sizeof time);
    double bound = event_threshold(telling->event, level, index);
    bool compared = isfinite(bound) && word_for(telling, index) == NULL;
    if (compared) {
        put_measure(telling, index, bound, false, threshold, sizeof threshold);
    }
    return add(text, size,
               phrase(telling->phrases, compared ? "evidence.threshold" : "evidence.plain"),
               &words);
}

static int put_description(const struct telling *telling, const char *const *endings, char *text,
                           size_t size) {
    const struct alarm_view *view = &telling->event->view;
    const struct phrases *phrases = telling->phrases;
    char key[32];
    struct words words = {.rule = phrases_language(phrases) == LANGUAGE_VI ? view->rule->text_vi
                                                                           : view->rule->text_en,
                          .place = place_name(telling),
                          .level = telling->level,
                          .previous = telling->previous,
                          .trend = trend_words(telling)};
    (void)snprintf(key, sizeof key, "describe.%s", endings[telling->bulletin]);
    text[0] = '\0';
    bool doubtful = view->alarm->knowledge == KNOWLEDGE_DOUBTFUL;
    bool may_be_higher = doubtful && view->alarm->cause == CAUSE_NO_THRESHOLD;
    int result = add(text, size, phrase(phrases, key), &words);
    for (uint32_t i = 0; result == 0 && i < view->rule->indicator_count; i++) {
        result = add_evidence(telling, i, text, size);
    }
    const struct {
        bool said;
        const char *key;
    } more[] = {
        {true, "describe.trend"},
        {doubtful && !may_be_higher, "describe.doubtful"},
        {may_be_higher, "describe.no_threshold"},
        {view_is_provisional(view), "describe.provisional"},
        {telling->context->reconstructed, "describe.reconstructed"},
        {view_is_simulated(view), "describe.simulated"},
    };
    for (size_t i = 0; result == 0 && i < sizeof more / sizeof more[0]; i++) {
        if (more[i].said) {
            result = add(text, size, phrase(phrases, more[i].key), &words);
        }
    }
    return result;
}

static int add_next_issue(const struct telling *telling, struct message_text *ret_text) {
    char time[96];
    struct words words = {.time = time};
    if (ret_text->flood_bulletin == FLOOD_BULLETIN_NONE) {
        return 0;
    }
    put_time(telling, "time.long", (struct utc_us){ret_text->next_issue_us}, time, sizeof time);
    return add(ret_text->description, sizeof ret_text->description,
               phrase(telling->phrases, "describe.next"), &words);
}

static const char *advice(const struct telling *telling, const char *group) {
    const struct alarm_view *view = &telling->event->view;
    char key[32];
    if (telling->bulletin == BULLETIN_CLEARED || telling->bulletin == BULLETIN_EXPIRED ||
        telling->bulletin == BULLETIN_CANCELLED) {
        (void)snprintf(key, sizeof key, "%s.%s", group,
                       telling->bulletin == BULLETIN_CLEARED     ? "clear"
                       : telling->bulletin == BULLETIN_CANCELLED ? "cancelled"
                                                                 : "expired");
        return phrase(telling->phrases, key);
    }
    bool act = severity_of_level(view->rule, view->alarm->level) >= SEVERITY_SEVERE;
    return phrase_of(telling->phrases, group, view->rule->hazard, act ? ".act" : ".watch");
}

/* One form of an SMS; `clip`: characters left of names, 0: as they are. True when it fits two
 * parts; the plain form is made of the same words. */
static bool try_sms(const struct telling *telling, struct words words, int form, int clip,
                    bool plain, char *ret_text, size_t size) {
    char place[4 * CLIP_MAX + 8], level[4 * CLIP_MAX + 8], brief[4 * BRIEF_MAX + 8];
    char text[TEXT_SMS_SIZE], key[16];
    if (clip > 0) {
        sms_clip(place_name(telling), (size_t)clip, place, sizeof place);
        sms_clip(telling->brief_level, (size_t)clip, level, sizeof level);
        words.place = place;
        words.brief_level = level;
    }
    if (clip > 0 && clip <= CLIP_BRIEF_FROM) { /* an unusual unit */
        sms_clip(telling->brief, BRIEF_MAX, brief, sizeof brief);
        words.brief = brief;
    }
    (void)snprintf(key, sizeof key, "sms.%d", form);
    int result = fill(phrase(telling->phrases, key), &words, text, sizeof text);
    capitalise(text);
    if (result == 0) {
        result =
            plain ? text_without_diacritics(text, ret_text, size) : text_copy(ret_text, size, text);
    }
    return result == 0 && sms_parts(ret_text) >= 1 && sms_parts(ret_text) <= 2;
}

/* The first form that fits. Names give way before the hazard does. */
static int put_sms(const struct telling *telling, const char *event_name, bool plain,
                   char *ret_text, size_t size) {
    const struct words words = {.status = telling->status,
                                .event = event_name,
                                .level = telling->level,
                                .brief_level = telling->brief_level,
                                .place = place_name(telling),
                                .value = telling->value,
                                .brief = telling->brief,
                                .trend = trend_words(telling),
                                .time = telling->time_short,
                                .instruction = advice(telling, "do")};
    static const struct {
        int form, clip_from, clip_to;
    } ways[] = {{1, 0, 0},
                {2, 0, 0},
                {3, 0, 0},
                {SMS_HAZARD_FORM, 0, 0},
                {SMS_HAZARD_FORM, CLIP_MAX, CLIP_HAZARD},
                {5, 0, 0},
                {SMS_FORMS, 0, 0},
                {SMS_FORMS, CLIP_MAX, CLIP_MIN}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        for (int clip = ways[i].clip_from; clip >= ways[i].clip_to; clip -= CLIP_STEP) {
            if (try_sms(telling, words, ways[i].form, clip, plain, ret_text, size)) {
                return 0;
            }
        }
    }
    return ERR_LIMIT;
}

/* Nothing is due after what ends or what nobody knows. It is renewed when a quarter of the validity
 * is left, see alarm.c. */
static void set_flood_bulletin(struct telling *telling, struct message_text *ret_text) {
    const struct rule *rule = telling->event->view.rule;
    const struct alarm *alarm = telling->event->view.alarm;
    bool goes_on = telling->bulletin == BULLETIN_RAISED || telling->bulletin == BULLETIN_LOWERED ||
                   telling->bulletin == BULLETIN_RENEWED;
    ret_text->flood_bulletin =
        goes_on ? flood_bulletin_of(rule, alarm, telling->bulletin == BULLETIN_RAISED)
                : FLOOD_BULLETIN_NONE;
    ret_text->next_issue_us = alarm->expires.utc.us - rule->expires_after_us / 4;
    if (ret_text->next_issue_us <= telling->event->at.utc.us) { /* cannot be for one that stands */
        ret_text->flood_bulletin = FLOOD_BULLETIN_NONE;
    }
}

int message_text(const struct phrases *phrases, const struct event *event,
                 const struct message_context *context, int32_t utc_offset_min,
                 struct message_text *ret_text) {
    static const char *const endings[BULLETIN_COUNT] = {
        [BULLETIN_RAISED] = "raised",   [BULLETIN_LOWERED] = "lowered",
        [BULLETIN_RENEWED] = "renewed", [BULLETIN_CLEARED] = "cleared",
        [BULLETIN_EXPIRED] = "expired", [BULLETIN_CANCELLED] = "cancelled",
    };
    struct telling telling = {.phrases = phrases,
                              .event = event,
                              .context = context,
                              .utc_offset_min = utc_offset_min,
                              .bulletin = bulletin_of_event(event)};
    if (telling.bulletin == BULLETIN_NONE) {
        return ERR_INVALID;
    }
    prepare(&telling);
    set_flood_bulletin(&telling, ret_text);
    const char *name =
        ret_text->flood_bulletin != FLOOD_BULLETIN_NONE
            ? phrase_of(phrases, "bulletin", flood_bulletin_name(ret_text->flood_bulletin), "")
            : phrase_of(phrases, "hazard", event->view.rule->hazard, "");
    int result = text_copy(ret_text->event, sizeof ret_text->event, name);
    if (result == 0) {
        result = put_headline(&telling, endings, ret_text);
    }
    if (result == 0) {
        result =
            put_description(&telling, endings, ret_text->description, sizeof ret_text->description);
    }
    if (result == 0) {
        result = add_next_issue(&telling, ret_text);
    }
    if (result == 0) {
        result = text_copy(ret_text->instruction, sizeof ret_text->instruction,
                           advice(&telling, "instruct"));
    }
    if (result == 0) {
        result = put_sms(&telling, name, false, ret_text->sms, sizeof ret_text->sms);
    }
    if (result == 0) {
        result = put_sms(&telling, name, true, ret_text->sms_plain, sizeof ret_text->sms_plain);
    }
    return result;
}
