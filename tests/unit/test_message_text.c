/* The words of the messages: 2,000 random events of the demonstration site, and cases by hand. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alerts/message/sms.h"
#include "alerts/message/text.h"
#include "event_random.h"

enum { EVENTS = 2000 };

static struct phrases *phrases_of(enum language language) {
    struct phrases *phrases = NULL;
    struct err err = {0};
    if (phrases_create(language, &phrases, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return phrases;
}

/* Every hh:mm is followed by its zone. */
static void check_times(const char *text, const char *zone) {
    for (const char *at = text; *at != '\0'; at++) {
        if (isdigit(at[0]) && isdigit(at[1]) && at[2] == ':' && isdigit(at[3]) && isdigit(at[4])) {
            if (strncmp(at + 5, zone, strlen(zone)) != 0) {
                fail_msg("a time without its zone: %s", text);
            }
        }
    }
}

static bool has_decimal_point(const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        if (isdigit(at[0]) && at[1] == '.' && isdigit(at[2])) {
            return true;
        }
    }
    return false;
}

static void check_filled(const char *text) {
    assert_true(text[0] != '\0');
    assert_null(strchr(text, '{'));
    assert_null(strchr(text, '}'));
    assert_null(strstr(text, "  "));
    assert_null(strstr(text, " ,"));
    for (const char *at = strstr(text, "nan"); at != NULL; at = strstr(at + 1, "nan")) {
        bool begins = at == text || at[-1] == ' ' || at[-1] == '-';
        assert_false(begins && (at[3] == ' ' || at[3] == ',' || at[3] == '.' || at[3] == '\0'));
    }
    assert_null(strstr(text, ". ."));
}

/* A number that stands alone says nothing: of what, in what unit? "0,995" would be read as a stage.
 */
static void check_no_bare_number(const char *sms) {
    for (const char *at = sms; at != NULL; at = strstr(at, ", ")) {
        at += at == sms ? 0 : 2;
        size_t length = strspn(at, "0123456789,.");
        if (length > 0 && strncmp(at + length - 1, ", ", 2) == 0) {
            fail_msg("a bare number: %s", sms);
        }
    }
}

/* An independent count: GSM when all ASCII and none of the characters of the extension. */
static size_t parts_again(const char *text) {
    size_t characters = 0;
    bool ascii = true;
    for (const char *at = text; *at != '\0'; at++) {
        characters += ((unsigned char)*at & 0xc0) != 0x80;
        ascii = ascii && (unsigned char)*at < 0x80;
    }
    if (ascii) {
        assert_null(strpbrk(text, "[]{}~^|\\`"));
        return characters <= 160 ? 1 : (characters + 152) / 153;
    }
    return characters <= 70 ? 1 : (characters + 66) / 67;
}

static void check_text(const struct random_event *random, const struct phrases *phrases) {
    struct message_text text;
    bool vietnamese = phrases_language(phrases) == LANGUAGE_VI;
    const char *zone = vietnamese ? " giờ VN" : " ICT";
    memset(&text, 0, sizeof text);
    assert_int_equal(message_text(phrases, &random->event, &random->context, 420, &text), 0);
    const char *const all[] = {text.event, text.headline, text.description, text.instruction,
                               text.sms};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        check_filled(all[i]);
        check_times(all[i], zone);
        if (vietnamese) {
            assert_false(has_decimal_point(all[i]));
        }
    }
    /* The demonstration site has no quantity without a name. */
    assert_null(strstr(text.description, vietnamese ? "iá trị đo" : "easured value"));
    check_no_bare_number(text.sms);
    check_no_bare_number(text.sms_plain);
    check_filled(text.sms_plain);
    check_times(text.sms_plain, vietnamese ? " gio VN" : " ICT");
    assert_in_range(parts_again(text.sms), 1, 2);
    assert_in_range(parts_again(text.sms_plain), 1, 2);
    assert_int_equal(sms_parts(text.sms), parts_again(text.sms));
    for (const char *at = text.sms_plain; *at != '\0'; at++) {
        assert_in_range(*at, 0x20, 0x7e);
        assert_true(*at != '?');
    }
    enum message_status status = random->context.status;
    const char *mark = vietnamese ? (status == MESSAGE_EXERCISE ? "DIỄN TẬP: " : "THỬ NGHIỆM: ")
                                  : (status == MESSAGE_EXERCISE ? "EXERCISE: " : "TEST: ");
    assert_int_equal(strncmp(text.headline, mark, strlen(mark)) == 0, status != MESSAGE_ACTUAL);
    assert_int_equal(strncmp(text.sms, mark, strlen(mark)) == 0, status != MESSAGE_ACTUAL);
    assert_non_null(strstr(text.headline, vietnamese ? random->event.view.place.name_vi
                                                     : random->event.view.place.name_en));
}

static void test_two_thousand_events(void **state) {
    struct random_event random;
    (void)state;
    assert_int_equal(random_event_init(&random, 20251119), 0);
    for (int language = 0; language < LANGUAGE_COUNT; language++) {
        struct phrases *phrases = phrases_of((enum language)language);
        for (int i = 0; i < EVENTS; i++) {
            random_event_next(&random);
            check_text(&random, phrases);
        }
        (void)phrases_destroy(phrases);
    }
    random_event_finish(&random);
}

/* One event by hand: Thạnh Hòa at 7.32 m, rising, alarm level II. */
static void by_hand(struct random_event *random) {
    do {
        random_event_next(random);
    } while (strcmp(random->event.view.rule->id, "flood-alarm") != 0 ||
             strcmp(random->event.view.place.id, "thanh-hoa") != 0);
    random->context = (struct message_context){.status = MESSAGE_ACTUAL};
    random->event.kind = EVENT_RAISED;
    random->event.at.utc.us = INT64_C(1763532000000000); /* 2025-11-19T06:00:00Z */
    random->event.change.previous_assessed = true;
    random->event.change.previous_level = 1;
    random->alarm.level = 2;
    random->alarm.defined_mask = 7;
    random->alarm.trend = TREND_RISING;
    random->alarm.knowledge = KNOWLEDGE_FRESH;
    random->alarm.publication = PUBLICATION_ISSUED;
    random->alarm.expires.utc.us = random->event.at.utc.us + INT64_C(6) * 3600 * 1000000;
    random->indicators[0].value = 7.32;
    random->indicators[0].lower_bound = false;
    random->indicators[0].newest.simulated = false;
    random->indicators[0].observed.utc = random->event.at.utc;
}

static void next_of(struct random_event *random, const char *rule) {
    do {
        random_event_next(random);
    } while (strcmp(random->event.view.rule->id, rule) != 0);
    random->context = (struct message_context){.status = MESSAGE_ACTUAL};
    random->event.kind = EVENT_RAISED;
    random->alarm.assessed = true;
    random->alarm.level = 1;
    random->alarm.defined_mask = 7;
    random->alarm.knowledge = KNOWLEDGE_FRESH;
    random->alarm.publication = PUBLICATION_ISSUED;
    for (uint32_t i = 0; i < random->event.view.rule->indicator_count; i++) {
        random->indicators[i].value = NAN;
        random->indicators[i].lower_bound = false;
    }
    random->indicators[0].observed.utc.us = INT64_C(1763532000000000); /* 2025-11-19T06:00:00Z */
    random->indicators[1].observed.utc.us = INT64_C(1763532000000000);
}

/* What a model gives is told as what it is: never as a measured value, never as a bare number. */
static void test_models_in_words(void **state) {
    struct random_event random;
    struct message_text text;
    struct phrases *vi = phrases_of(LANGUAGE_VI);
    struct phrases *en = phrases_of(LANGUAGE_EN);
    (void)state;
    assert_int_equal(random_event_init(&random, 7), 0);
    next_of(&random, "flood-forecast"); /* the probabilities of the three alarm levels in 24 h */
    random.indicators[0].value = 0.995;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), 0);
    assert_non_null(strstr(text.description,
                           "Khả năng đạt báo động I 99,5 % trong 24 giờ, dự báo trước 24 giờ, "
                           "ngưỡng 50 %, lúc 13:00 giờ VN"));
    assert_non_null(strstr(text.description, "Chưa có số liệu: khả năng đạt báo động II."));
    assert_non_null(strstr(text.description, "Chưa có số liệu: khả năng đạt báo động III."));
    assert_non_null(strstr(text.sms, "hả năng"));
    assert_int_equal(message_text(en, &random.event, &random.context, 420, &text), 0);
    assert_non_null(strstr(text.description, "Probability of flood alarm level I 99.5 % in 24 h, "
                                             "forecast for 24 h ahead, threshold 50 %"));
    next_of(&random, "gas-plume"); /* the level is a code, the concentration a number */
    random.indicators[0].value = 2;
    random.indicators[1].value = 4.41;
    random.alarm.level = 2;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), 0);
    assert_non_null(strstr(text.description, "Mức theo mô hình phát tán: AEGL-2, lúc 13:00"));
    assert_non_null(strstr(text.description, "Nồng độ theo mô hình phát tán 4,41 mg/m³, lúc"));
    next_of(&random, "dose-rain");
    random.indicators[1].value = 1;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), 0);
    assert_non_null(strstr(text.description, "Suất liều tăng do mưa: có, lúc 13:00"));
    random.indicators[1].value = 0;
    assert_int_equal(message_text(en, &random.event, &random.context, 420, &text), 0);
    assert_non_null(strstr(text.description, "A rise that rain explains: no, at 13:00"));
    (void)phrases_destroy(vi);
    (void)phrases_destroy(en);
    random_event_finish(&random);
}

static void test_a_flood_in_words(void **state) {
    struct random_event random;
    struct message_text text;
    struct phrases *vi = phrases_of(LANGUAGE_VI);
    struct phrases *en = phrases_of(LANGUAGE_EN);
    (void)state;
    assert_int_equal(random_event_init(&random, 1), 0);
    by_hand(&random);
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), 0);
    assert_string_equal(text.headline, "Tin lũ: báo động II tại Thủy văn Thạnh Hòa");
    assert_string_equal(
        text.description,
        "Thủy văn Thạnh Hòa - Mực nước sông đạt mức báo động lũ. Mức hiện tại: báo động II; trước "
        "đó: báo động I. Mực nước 7,32 m, ngưỡng 7,00 m, lúc 13:00 giờ VN ngày 19/11/2025. Xu thế: "
        "đang lên. Ngưỡng cảnh báo hoặc vị trí trạm là tạm thời, chưa được đối chiếu với văn bản "
        "chính thức. "
        "Tin tiếp theo được phát chậm nhất lúc 17:30 giờ VN ngày 19/11/2025.");
    assert_string_equal(text.sms,
                        "Tin lũ: báo động II tại Thủy văn Thạnh Hòa, mực nước 7,32 m, đang "
                        "lên, 13:00 giờ VN 19/11. Rời vùng trũng, ven sông.");
    assert_string_equal(text.sms_plain,
                        "Tin lu: bao dong II tai Thuy van Thanh Hoa, muc nuoc 7,32 m, dang len, "
                        "13:00 gio VN 19/11. Roi vung trung, ven song.");
    assert_int_equal(message_text(en, &random.event, &random.context, 420, &text), 0);
    assert_string_equal(text.headline,
                        "Flood bulletin: flood alarm level II at Thanh Hoa stage gauge");
    assert_non_null(strstr(text.description,
                           "River stage 7.32 m, threshold 7.00 m, at 13:00 ICT on "
                           "19 Nov 2025."));
    /* Another zone is named by its offset. */
    assert_int_equal(message_text(en, &random.event, &random.context, 330, &text), 0);
    assert_non_null(strstr(text.description, "at 11:30 UTC+05:30 on 19 Nov 2025"));

    /* Without level I at the gauge, below II is all that is known. */
    random.event.kind = EVENT_LOWERED;
    random.alarm.level = 0;
    random.alarm.defined_mask = 6;
    random.event.change.previous_level = 2;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), 0);
    assert_string_equal(text.headline,
                        "Tin cuối cùng. Lũ trên sông tại Thủy văn Thạnh Hòa: dưới mức báo động II");

    /* Expiry is not an all-clear, and no number is invented. */
    random.event.kind = EVENT_EXPIRED;
    random.alarm.level = 2;
    random.indicators[0].value = NAN;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), 0);
    assert_non_null(strstr(text.description, "Đây không phải là tin cuối cùng."));
    assert_non_null(strstr(text.description, "Chưa có số liệu: mực nước."));
    assert_non_null(strstr(text.sms, "chưa có số liệu"));

    /* Withdrawn by a person: neither an all-clear nor a bulletin. */
    random.event.kind = EVENT_CANCELLED;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), 0);
    assert_string_equal(text.headline, "Hủy tin đã phát. Lũ trên sông tại Thủy văn Thạnh Hòa");
    assert_non_null(
        strstr(text.description, "việc hủy tin không có nghĩa là thiên tai đã kết thúc"));
    assert_int_equal(text.flood_bulletin, FLOOD_BULLETIN_NONE);

    /* What waits for approval is not told; the second person's approval tells it. */
    random.event.kind = EVENT_RAISED;
    random.alarm.publication = PUBLICATION_DRAFT;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), ERR_INVALID);
    random.event.kind = EVENT_APPROVED;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), ERR_INVALID);
    random.alarm.publication = PUBLICATION_ISSUED;
    random.alarm.level = 3;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), 0);
    assert_string_equal(text.headline, "Tin lũ khẩn cấp: báo động III tại Thủy văn Thạnh Hòa");
    random.event.kind = EVENT_RAISED;
    random.alarm.level = 1;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), 0);
    assert_string_equal(text.headline, "Tin cảnh báo lũ: báo động I tại Thủy văn Thạnh Hòa");

    random.event.kind = EVENT_ACKNOWLEDGED;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), ERR_INVALID);
    (void)phrases_destroy(vi);
    (void)phrases_destroy(en);
    random_event_finish(&random);
}

static void test_names_at_their_limit_still_fit(void **state) {
    struct random_event random;
    struct message_text text;
    struct phrases *vi = phrases_of(LANGUAGE_VI);
    char name[STATION_NAME_SIZE] = "";
    (void)state;
    assert_int_equal(random_event_init(&random, 2), 0);
    by_hand(&random);
    for (int i = 0; i < 42; i++) {
        strcat(name, "ệ");
    }
    struct rule rule = *random.event.view.rule;
    rule.scale.kind = SCALE_OWN;
    (void)snprintf(rule.scale.name_vi, sizeof rule.scale.name_vi, "%s", name);
    (void)snprintf(rule.scale.levels[1].name_vi, sizeof rule.scale.levels[1].name_vi, "%.62s",
                   name);
    random.event.view.rule = &rule;
    random.event.view.place.name_vi = name;
    random.context.status = MESSAGE_TEST;
    assert_int_equal(message_text(vi, &random.event, &random.context, 420, &text), 0);
    assert_int_equal(parts_again(text.sms), 2);
    assert_non_null(strstr(text.sms, "…"));
    assert_non_null(strstr(text.sms, "7,32 m"));
    assert_non_null(strstr(text.headline, name));
    (void)phrases_destroy(vi);
    random_event_finish(&random);
}

static void test_sms_and_letters(void **state) {
    char plain[256];
    char text[400];
    (void)state;
    assert_int_equal(
        text_without_diacritics("Đường ướt ỷ ỹ Ỵ ộ ẫ ắ ữ ợ ị ẽ – “m³” µSv…", plain, sizeof plain),
        0);
    assert_string_equal(plain, "Duong uot y y Y o a a u o i e - \"m3\" uSv...");
    assert_int_equal(text_without_diacritics("a\xcc\x81\xe4\xb8\xad", plain, sizeof plain), 0);
    assert_string_equal(plain, "a?"); /* combining accent dropped, a foreign character shown */
    assert_int_equal(text_without_diacritics("abc", plain, 3), ERR_LIMIT);
    memset(text, 'a', sizeof text);
    const struct {
        size_t length;
        uint32_t parts;
    } lengths[] = {{1, 1}, {160, 1}, {161, 2}, {306, 2}, {307, 3}};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(text, 'a', sizeof text);
        text[lengths[i].length] = '\0';
        assert_int_equal(sms_parts(text), lengths[i].parts);
    }
    text[0] = '\0';
    assert_int_equal(sms_parts(text), 0);
    assert_int_equal(sms_parts("\xff"), 0);
    for (int i = 0; i < 70; i++) {
        strcat(text, "đ");
    }
    assert_int_equal(sms_parts(text), 1);
    strcat(text, "đ");
    assert_int_equal(sms_parts(text), 2);
    sms_clip("Thạnh Hòa", 6, plain, sizeof plain);
    assert_string_equal(plain, "Thạnh…");
    sms_clip("Thạnh", 6, plain, sizeof plain);
    assert_string_equal(plain, "Thạnh");
}

static void refuse(const char *bytes, int code, const char *word) {
    struct phrases *phrases = NULL;
    struct err err = {0};
    assert_int_equal(phrases_parse(LANGUAGE_VI, bytes, strlen(bytes), &phrases, &err), code);
    assert_non_null(strstr(err.text, word));
    assert_null(phrases);
}

static void test_sentences_are_checked(void **state) {
    (void)state;
    refuse("sms.1 = a {nobody}\n", ERR_SYNTAX, "name");
    refuse("sms.1 = a {level\n", ERR_SYNTAX, "name");
    refuse("sms.1 = a } b\n", ERR_SYNTAX, "name");
    refuse("sms.1 = a\nsms.1 = b\n", ERR_SYNTAX, "twice");
    refuse("sms.1\n", ERR_SYNTAX, "line 1");
    refuse("SMS = a\n", ERR_SYNTAX, "key");
    refuse("sms.1 = \xff\n", ERR_SYNTAX, "UTF-8");
    refuse("sms.1 = a\n", ERR_NOT_FOUND, "status.exercise");
    /* Both languages have the same keys. */
    struct phrases *vi = phrases_of(LANGUAGE_VI);
    struct phrases *en = phrases_of(LANGUAGE_EN);
    FILE *file = fopen(CANHBAO_SOURCE_DIR "/alerts/message/templates/vi.txt", "r");
    char line[1024];
    size_t count = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char *end = strstr(line, " = ");
        if (line[0] != '#' && end != NULL) {
            *end = '\0';
            assert_non_null(phrases_find(vi, line));
            assert_non_null(phrases_find(en, line));
            count++;
        }
    }
    assert_int_equal(fclose(file), 0);
    assert_true(count > 100);
    (void)phrases_destroy(vi);
    (void)phrases_destroy(en);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_thousand_events),
        cmocka_unit_test(test_a_flood_in_words),
        cmocka_unit_test(test_models_in_words),
        cmocka_unit_test(test_names_at_their_limit_still_fit),
        cmocka_unit_test(test_sms_and_letters),
        cmocka_unit_test(test_sentences_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
