/* Every hazard of the legal tables that is no flood, rain, gas or dose, end to end: readings of one
 * station go through quality control, windows and rules of tests/data/sites/hazards, and out come
 * the event, the CAP message in two languages and the SMS. Levels are read by hand in the rows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/message/cap.h"
#include "alerts/message/sms.h"
#include "daemon/engine.h"
#include "tests/unit/config_fixture.h"

#define HOUR INT64_C(3600000000)

static const char hazards[] = CANHBAO_SOURCE_DIR "/tests/data/sites/hazards";

/* `value` for `hours` (a day has its highest value once, its lowest else). */
struct hazard_case {
    const char *station, *point;
    double value, other;
    int hours;
    const char *rule;
    int level; /* 0: assessed to be below all; -1: not known */
    const char *row, *event_vi, *event_en, *number_vi;
};

static const struct hazard_case cases[] = {
    /* Art. 42, 50: Beaufort 8 is 17.2 m/s, 12 is 32.7, 14 is 41.5, 16 is 51.0 */
    {"kt-an-nhon", "wind", 10.7, 10.7, 1, "storm-wind", 0, NULL, NULL, NULL, NULL},
    {"kt-an-nhon", "wind", 18, 18, 1, "storm-wind", 3, "storm-07", "Áp thấp nhiệt đới, bão",
     "Tropical storm", "18 m/s"},
    {"kt-an-nhon", "wind", 33, 33, 1, "storm-wind", 4, "storm-08", "Áp thấp nhiệt đới, bão",
     "Tropical storm", "33 m/s"},
    {"kt-an-nhon", "wind", 42, 42, 1, "storm-wind", 5, "storm-09", "Áp thấp nhiệt đới, bão",
     "Tropical storm", "42 m/s"},
    {"hv-quy-nhon", "wind", 34, 34, 1, "storm-sea", 4, "storm-04", "Áp thấp nhiệt đới, bão",
     "Tropical storm", "34 m/s"},
    {"hv-quy-nhon", "wind", 11, 11, 1, "sea-wind", 2, "strong_wind_sea-01", "Gió mạnh trên biển",
     "Strong wind at sea", "11 m/s"},
    {"hv-quy-nhon", "wind", 14, 14, 1, "sea-wind", 3, "strong_wind_sea-02", "Gió mạnh trên biển",
     "Strong wind at sea", "14 m/s"},
    {"hv-quy-nhon", "surge", 1.0, 1.0, 1, "surge", 0, NULL, NULL, NULL, NULL}, /* above 1 m */
    {"hv-quy-nhon", "surge", 1.25, 1.25, 1, "surge", 2, "storm_surge-01", "Nước dâng do bão",
     "Storm surge", "1,25 m"},
    {"hv-quy-nhon", "surge", 3.5, 3.5, 1, "surge", 4, "storm_surge-03", "Nước dâng do bão",
     "Storm surge", "3,50 m"},
    {"hv-quy-nhon", "visibility", 30, 30, 1, "fog", 1, "fog-03", "Sương mù", "Fog", "30,00 m"},
    {"hv-quy-nhon", "wave", 5, 5, 1, "tsunami", 3, "tsunami-03", "Sóng thần", "Tsunami", "5,00 m"},
    {"man-tan-an", "salinity", 3.9, 3.9, 1, "salt-point", 0, NULL, NULL, NULL, NULL},
    {"man-tan-an", "salinity", 4.25, 4.25, 1, "salt-point", 1, "salt_intrusion-01", "Xâm nhập mặn",
     "Salt intrusion", "4,25 ‰"},
    {"man-tan-an", "reach", 55, 55, 1, "salt-reach-4", 3, "salt_intrusion-03", "Xâm nhập mặn",
     "Salt intrusion", "55 km"},
    {"kt-an-nhon", "temperature", 36.5, 26, 80, "heat-3d", 1, "heat-01", "Nắng nóng", "Heat",
     "36,5 °C"},
    {"kt-an-nhon", "temperature", 41.5, 27, 80, "heat-3d", 2, "heat-07", "Nắng nóng", "Heat",
     "41,5 °C"},
    {"kt-an-nhon", "temperature", 36.5, 26, 60, "heat-3d", -1, NULL, NULL, NULL, NULL},
    {"kt-an-nhon", "temperature", 39.5, 27, 26 * 24 + 4, "heat-26d", 3, "heat-06", "Nắng nóng",
     "Heat", "39,5 °C"},
    {"kt-an-nhon", "temperature", 3, 3, 80, "cold-3d", 1, "cold-06", "Rét hại", "Severe cold",
     "3 °C"},
    {"kt-an-nhon", "temperature", -1, -1, 12 * 24, "cold-11d", 3, "cold-13", "Rét hại",
     "Severe cold", "-1 °C"},
    {"hd-dinh-binh", "deficit", 60, 60, 1, "drought-3m", 2, "drought-04", "Hạn hán", "Drought",
     "60 %"},
    {"dc-quy-nhon", "intensity", 6.5, 6.5, 1, "earthquake", 2, "earthquake-02", "Động đất",
     "Earthquake", "6,5"},
    {"tv-co-su-lieu", "stage", 7.6, 7.6, 1, "flood-kv4", 5, "flood-15", "Lũ trên sông",
     "River flood", "7,60 m"},
    {"tv-khong-su-lieu", "stage", 7.6, 7.6, 1, "flood-kv4", 4, "flood-14", "Lũ trên sông",
     "River flood", "7,60 m"},
    {"nm-an-nhon", "ammonium", 0.35, 0.35, 2, "water-limit", 1, "ammonium_N/any",
     "Chất lượng nước sông", "River water quality", "0,35 mg/L"},
    {"nm-an-nhon", "lead", 0.021, 0.021, 2, "water-limit", 1, "Pb/any", "Chất lượng nước sông",
     "River water quality", "0,021 mg/L"},
    {"nm-an-nhon", "oxygen", 5.5, 5.5, 2, "water-class", 1, "DO/A", "Chất lượng nước sông",
     "River water quality", "5,5 mg/L"},
    {"nm-an-nhon", "cod", 21, 21, 2, "water-class", 3, "COD/C", "Chất lượng nước sông",
     "River water quality", "21 mg/L"},
    {"nm-an-nhon", "coliform", 6000, 6000, 2, "water-class", 2, "coliform_total/B",
     "Chất lượng nước sông", "River water quality", "6000 MPN/100 mL"},
    {"nm-an-nhon", "ph", 6.2, 6.2, 2, "water-class", 1, "pH/A", "Chất lượng nước sông",
     "River water quality", "6,2"},
};

static struct site *site;
static struct phrases *phrases[LANGUAGE_COUNT];

struct seen {
    const struct hazard_case *about;
    int highest; /* of the rule of the case */
    bool told;
};

static void check_words(const struct hazard_case *about, const struct event *event, int language) {
    const struct message_context context = {.status = MESSAGE_ACTUAL};
    static struct message_text text;
    memset(&text, 0, sizeof text);
    assert_int_equal(message_text(phrases[language], event, &context, 420, &text), 0);
    assert_string_equal(text.event, language == LANGUAGE_VI ? about->event_vi : about->event_en);
    assert_string_not_equal(text.instruction,
                            phrases_find(phrases[language], "instruct.other.watch"));
    assert_string_not_equal(text.instruction,
                            phrases_find(phrases[language], "instruct.other.act"));
    assert_in_range(sms_parts(text.sms), 1, 2);
    assert_in_range(sms_parts(text.sms_plain), 1, 2);
    assert_null(strchr(text.sms_plain, '?'));
    if (language == LANGUAGE_VI) {
        if (strstr(text.description, about->number_vi) == NULL) {
            fail_msg("%s: no '%s' in: %s", about->rule, about->number_vi, text.description);
        }
        print_message("%s\n  %s\n  %s\n", text.headline, text.sms, text.sms_plain);
    }
}

static void check_cap(const struct hazard_case *about, const struct event *event) {
    static char text[CAP_SIZE_MAX];
    const struct cap_chain none = {.identifier = ""};
    const struct cap_context context = {.sender = "/canhbaod/hazards",
                                        .sender_name_vi = "Thử",
                                        .sender_name_en = "Test",
                                        .messages = {.status = MESSAGE_ACTUAL},
                                        .utc_offset_min = 420,
                                        .phrases = {phrases[0], phrases[1]}};
    struct cap_chain after;
    size_t length = 0;
    char part[256];
    assert_int_equal(message_cap(event, &context, &none, NULL, text, sizeof text, &length, &after),
                     0);
    (void)snprintf(part, sizeof part, "<event>%s</event>", about->event_vi);
    assert_non_null(strstr(text, part));
    (void)snprintf(part, sizeof part, "<event>%s</event>", about->event_en);
    assert_non_null(strstr(text, part));
    (void)snprintf(part, sizeof part, " %s", about->row);
    if (strstr(text, part) == NULL) {
        fail_msg("no %s in %s", part, text);
    }
    assert_null(strstr(text, "<category>Other</category>"));
    assert_non_null(strstr(text, "<valueName>provisional</valueName>\n<value>true</value>"));
    bool own = event->view.rule->scale.kind == SCALE_OWN;
    (void)snprintf(part, sizeof part, "<valueName>%s%s</valueName>\n<value>%d</value>",
                   own ? "ownLevel:" : "riskLevel", own ? event->view.rule->scale.id : "",
                   about->level);
    assert_non_null(strstr(text, part));
}

static void on_event(void *context, const struct event *event) {
    struct seen *seen = context;
    if (event->kind != EVENT_RAISED || strcmp(event->view.rule->id, seen->about->rule) != 0 ||
        strcmp(event->view.place.id, seen->about->station) != 0) {
        return;
    }
    seen->highest = event->view.alarm->level;
    if (seen->highest == seen->about->level) {
        /* From level 4 on two persons approve first: as the event after that. */
        struct event told = *event;
        struct alarm alarm = *event->view.alarm;
        assert_int_equal(alarm.publication == PUBLICATION_DRAFT,
                         event->view.rule->scale.kind == SCALE_RISK && alarm.level >= 4);
        alarm.publication = PUBLICATION_ISSUED;
        told.view.alarm = &alarm;
        seen->told = true;
        check_cap(seen->about, &told);
        check_words(seen->about, &told, LANGUAGE_VI);
        check_words(seen->about, &told, LANGUAGE_EN);
    }
}

static uint32_t point_of(const struct hazard_case *about) {
    for (uint32_t i = 0; i < site->point_count; i++) {
        if (strcmp(site->stations[site->points[i].station].id, about->station) == 0 &&
            strcmp(site->points[i].id, about->point) == 0) {
            return i;
        }
    }
    fail_msg("no point %s of %s", about->point, about->station);
    return 0;
}

struct found {
    const struct hazard_case *about;
    struct alarm alarm;
    bool have;
};

static int find_alarm(void *context, const struct alarm_view *view) {
    struct found *found = context;
    if (strcmp(view->rule->id, found->about->rule) == 0 &&
        strcmp(view->place.id, found->about->station) == 0) {
        found->alarm = *view->alarm;
        found->have = true;
    }
    return 0;
}

static struct moment at(int64_t us) {
    return (struct moment){{us}, {us + INT64_C(1748736000000000)}}; /* 2025-06-01 */
}

static void play(const struct hazard_case *about) {
    struct seen seen = {.about = about};
    struct found found = {.about = about};
    const struct engine_sink sink = {.context = &seen, .on_event = on_event};
    const struct engine_site engine_site = site_for_engine(site, &site->alerting);
    struct engine *engine = NULL;
    struct err err = {0};
    uint32_t point = point_of(about);
    uint64_t number = 0;
    if (engine_create(&engine_site, at(0), &engine, &err) != 0) {
        fail_msg("%s", err.text);
    }
    for (int i = 0; i <= about->hours * 6; i++) {
        double value = about->hours > 24 && i % 144 != 80 ? about->other : about->value;
        struct engine_input input = {.kind = ENGINE_READING, .number = ++number};
        input.now = at((i + 1) * HOUR / 6);
        value -= i % 2 * 1e-9; /* no instrument is quite still */
        input.as.reading = (struct reading){.point = point,
                                            .seq = number,
                                            .received = input.now,
                                            .value = value,
                                            .uncalibrated = value};
        assert_int_equal(engine_step(engine, &input, &sink), 0);
    }
    (void)engine_visit_alarms(engine, find_alarm, &found);
    assert_true(found.have);
    if (about->level > 0 && (!seen.told || found.alarm.level != about->level)) {
        fail_msg("%s at %s: level %d instead of %d", about->rule, about->station, found.alarm.level,
                 about->level);
    }
    if (about->level <= 0) {
        assert_int_equal(found.alarm.level, 0);
        assert_int_equal(found.alarm.assessed, about->level == 0);
    }
    bool lacks_record = strcmp(about->station, "tv-khong-su-lieu") == 0;
    assert_int_equal(found.alarm.cause == CAUSE_NO_THRESHOLD, lacks_record);
    (void)engine_destroy(engine);
}

static void test_every_hazard_end_to_end(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        play(&cases[i]);
    }
}

/* No rule of the site is without a case. */
static void test_every_rule_has_a_case(void **state) {
    (void)state;
    for (size_t i = 0; i < site->rule_count; i++) {
        const char *id = site->rules[i].id;
        bool spread = strcmp(id, "heat-6d") == 0 || strcmp(id, "heat-11d") == 0 ||
                      strcmp(id, "cold-6d") == 0; /* as those of 3 and 26 days */
        bool found = spread;
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
            found = found || strcmp(cases[k].rule, id) == 0;
        }
        if (!found) {
            fail_msg("no case for %s", id);
        }
    }
}

static int set_up(void **state) {
    struct config_errors errors;
    struct err err;
    if (open_units(state) != 0 || phrases_create(LANGUAGE_VI, &phrases[LANGUAGE_VI], &err) != 0 ||
        phrases_create(LANGUAGE_EN, &phrases[LANGUAGE_EN], &err) != 0) {
        return -1;
    }
    if (load(hazards, &site, &errors) != 0) {
        show_errors(&errors);
        return -1;
    }
    return 0;
}

static int tear_down(void **state) {
    (void)site_destroy(site);
    (void)phrases_destroy(phrases[LANGUAGE_VI]);
    (void)phrases_destroy(phrases[LANGUAGE_EN]);
    return close_units(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_hazard_end_to_end),
        cmocka_unit_test(test_every_rule_has_a_case),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
