/* CAP messages: 2,000 random ones against our own rules (the schema is a reference test), and
 * single properties by hand. The rules are read from the parsed XML, with libxml2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

#include "cap_messages.h"
#include "daemon/base/text.h"

enum { MESSAGES = 2000 };

/* Text of the n-th child element with this name; NULL: none. Freed with the document. */
static const char *child(const xmlNode *parent, const char *name, int n) {
    for (const xmlNode *node = parent->children; node != NULL; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0 &&
            n-- == 0) {
            return node->children != NULL ? (const char *)node->children->content : "";
        }
    }
    return NULL;
}

static const xmlNode *element(const xmlNode *parent, const char *name, int n) {
    for (const xmlNode *node = parent->children; node != NULL; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0 &&
            n-- == 0) {
            return node;
        }
    }
    return NULL;
}

/* "2025-11-19T13:00:00+07:00" and nothing else. */
static int64_t time_of(const char *text) {
    int64_t us = 0;
    assert_non_null(text);
    assert_int_equal(strlen(text), 25);
    assert_string_equal(text + 19, "+07:00");
    assert_null(strchr(text, 'Z'));
    assert_null(strchr(text, '.'));
    assert_int_equal(text_parse_time(text, &us), 0);
    return us;
}

static bool one_of(const char *text, const char *words) {
    const char *at = text != NULL ? strstr(words, text) : NULL;
    size_t length = text != NULL ? strlen(text) : 0;
    return at != NULL && length > 0 && (at == words || at[-1] == ' ') &&
           (at[length] == ' ' || at[length] == '\0');
}

static const char *parameter(const xmlNode *info, const char *name) {
    const xmlNode *node;
    for (int n = 0; (node = element(info, "parameter", n)) != NULL; n++) {
        if (strcmp(child(node, "valueName", 0), name) == 0) {
            return child(node, "value", 0);
        }
    }
    return NULL;
}

static void check_header(const struct cap_messages *messages, const xmlNode *alert) {
    const struct cap_chain *before = &messages->before;
    const char *type = child(alert, "msgType", 0);
    const char *references = child(alert, "references", 0);
    const char *identifier = child(alert, "identifier", 0);
    const char *status = child(alert, "status", 0);
    assert_true(one_of(status, "Actual Exercise Test"));
    assert_true(one_of(type, "Alert Update Cancel"));
    assert_null(strpbrk(identifier, " ,<&"));
    assert_null(strpbrk(child(alert, "sender", 0), " ,<&"));
    const struct alarm *alarm = messages->random.event.view.alarm;
    bool approved = alarm->level > 0 && alarm->approval.state == APPROVAL_APPROVED;
    assert_string_equal(child(alert, "scope", 0), approved ? "Public" : "Restricted");
    assert_int_equal(child(alert, "restriction", 0) == NULL, approved);
    assert_int_equal(alarm->publication == PUBLICATION_DRAFT, 0);
    if (strcmp(status, "Actual") != 0) {
        assert_true(strlen(child(alert, "note", 0)) > 0);
    }
    if (view_is_simulated(&messages->random.event.view)) {
        assert_string_not_equal(status, "Actual");
    }
    assert_int_equal(strcmp(type, "Alert") == 0, references == NULL);
    assert_int_equal(references == NULL, before->identifier[0] == '\0');
    if (references != NULL) {
        char expected[256];
        const char *sent = strrchr(references, ',') + 1;
        (void)snprintf(expected, sizeof expected, "/canhbaod/binh-dinh,%s,%s", before->identifier,
                       sent);
        assert_string_equal(references, expected);
        assert_true(time_of(sent) == before->sent_us);
    }
}

static void check_info(const xmlNode *alert, const xmlNode *info, const xmlNode *first) {
    static const char *const shared[] = {"category",  "responseType", "urgency", "severity",
                                         "certainty", "effective",    "onset",   "expires"};
    static const char *const filled[] = {"event", "senderName", "headline", "description",
                                         "instruction"};
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        assert_string_equal(child(info, shared[i], 0), child(first, shared[i], 0));
    }
    for (size_t i = 0; i < sizeof filled / sizeof filled[0]; i++) {
        assert_true(strlen(child(info, filled[i], 0)) > 0);
    }
    assert_true(one_of(child(info, "urgency", 0), "Immediate Expected Future Past Unknown"));
    assert_true(one_of(child(info, "severity", 0), "Extreme Severe Moderate Minor Unknown"));
    assert_true(one_of(child(info, "certainty", 0), "Observed Likely Possible Unlikely Unknown"));
    int64_t sent = time_of(child(alert, "sent", 0));
    int64_t effective = time_of(child(info, "effective", 0));
    int64_t onset = time_of(child(info, "onset", 0));
    int64_t expires = time_of(child(info, "expires", 0));
    assert_true(sent <= effective && effective <= onset && onset < expires);
    const xmlNode *area = element(info, "area", 0);
    assert_non_null(area);
    assert_true(strlen(child(area, "areaDesc", 0)) > 0);
    assert_non_null(element(area, "geocode", 0));
    assert_non_null(parameter(info, "provisional"));
    assert_non_null(parameter(info, "sms"));
    const char *next = parameter(info, "nextIssue");
    assert_int_equal(next != NULL, parameter(info, "bulletin") != NULL);
    if (next != NULL) {
        assert_true(time_of(next) > sent && time_of(next) <= expires);
        assert_non_null(parameter(info, "floodAlarmLevel"));
    }
    /* Exactly one level, with its scale in the name. */
    int levels =
        (parameter(info, "riskLevel") != NULL) + (parameter(info, "floodAlarmLevel") != NULL);
    for (int n = 0; element(info, "parameter", n) != NULL; n++) {
        levels +=
            strncmp(child(element(info, "parameter", n), "valueName", 0), "ownLevel:", 9) == 0;
    }
    assert_int_equal(levels, 1);
}

/* Positions of a ring, which must be closed. */
static size_t positions_of(const char *ring) {
    size_t count = 1;
    const char *last = strrchr(ring, ' ');
    for (const char *at = ring; *at != '\0'; at++) {
        count += *at == ' ';
    }
    assert_non_null(last);
    assert_true(strncmp(ring, last + 1, strlen(last + 1)) == 0 && ring[strlen(last + 1)] == ' ');
    return count;
}

/* One polygon for each of the outline; else a circle around the station; and what it says of it. */
static void check_area(const struct cap_messages *messages, const xmlNode *info) {
    const struct place *place = &messages->random.event.view.place;
    const struct cap_outline *outline = &messages->outline;
    const xmlNode *area = element(info, "area", 0);
    assert_null(element(info, "area", 1));
    for (size_t i = 0; i < outline->count; i++) {
        assert_int_equal(positions_of(child(area, "polygon", (int)i)), outline->polygons[i].count);
    }
    assert_null(element(area, "polygon", (int)outline->count));
    bool circle = outline->count == 0 && isfinite(place->latitude_deg);
    assert_int_equal(element(area, "circle", 0) != NULL, circle);
    if (circle) {
        const char *text = child(area, "circle", 0);
        assert_true(strtod(strrchr(text, ' '), NULL) == place->radius_km);
    }
    assert_string_equal(parameter(info, "areaBasis"), outline->count > 0     ? "outline"
                                                      : !circle              ? "name"
                                                      : place->radius_km > 0 ? "station_radius"
                                                                             : "station_point");
}

static void check_message(const struct cap_messages *messages) {
    xmlDoc *doc = xmlReadMemory(messages->text, (int)messages->length, "cap", "UTF-8",
                                XML_PARSE_NONET | XML_PARSE_NOERROR);
    assert_non_null(doc);
    const xmlNode *alert = xmlDocGetRootElement(doc);
    assert_string_equal(alert->name, "alert");
    assert_string_equal(alert->ns->href, "urn:oasis:names:tc:emergency:cap:1.2");
    check_header(messages, alert);
    const xmlNode *vi = element(alert, "info", 0);
    const xmlNode *en = element(alert, "info", 1);
    assert_true(vi != NULL && en != NULL && element(alert, "info", 2) == NULL);
    assert_string_equal(child(vi, "language", 0), "vi-VN");
    assert_string_equal(child(en, "language", 0), "en-US");
    check_info(alert, vi, vi);
    check_info(alert, en, vi);
    check_area(messages, vi);
    check_area(messages, en);
    const struct alarm *alarm = messages->random.event.view.alarm;
    if (alarm->level == 0) {
        assert_string_equal(child(vi, "responseType", 0), "AllClear");
        assert_string_equal(child(vi, "urgency", 0), "Past");
    } else {
        assert_string_not_equal(child(vi, "responseType", 0), "AllClear");
        assert_string_not_equal(child(alert, "msgType", 0), "Cancel");
    }
    xmlFreeDoc(doc);
}

static void test_two_thousand_messages_keep_the_rules(void **state) {
    static struct cap_messages messages;
    static char again[CAP_SIZE_MAX];
    size_t open = 0;
    (void)state;
    assert_int_equal(cap_messages_init(&messages, 18), 0);
    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(cap_messages_next(&messages), 0);
        check_message(&messages);
        open += messages.before.identifier[0] != '\0';
        if (messages.random.event.view.place.kind == PLACE_STATION) { /* the same bytes again */
            struct cap_chain chain;
            size_t length = 0;
            assert_int_equal(message_cap(&messages.random.event, &messages.context,
                                         &messages.before, NULL, again, sizeof again, &length,
                                         &chain),
                             0);
            assert_int_equal(length, messages.length);
            assert_memory_equal(again, messages.text, length);
        }
    }
    assert_true(open > MESSAGES / 3 && open < MESSAGES);
    cap_messages_finish(&messages);
}

/* The next random event that is of this kind and level. */
static void next_of(struct cap_messages *messages, enum event_kind kind, bool zero) {
    do {
        random_event_next(&messages->random);
    } while (messages->random.event.kind != kind || (messages->random.alarm.level == 0) != zero ||
             view_is_simulated(&messages->random.event.view));
    messages->random.context.status = MESSAGE_ACTUAL;
    messages->context.messages = messages->random.context;
}

static int write_to(struct cap_messages *messages, const struct cap_chain *chain, size_t size) {
    return message_cap(&messages->random.event, &messages->context, chain, NULL, messages->text,
                       size, &messages->length, &messages->after);
}

static void test_chains(void **state) {
    static struct cap_messages messages;
    struct cap_chain chain = {.identifier = ""};
    (void)state;
    assert_int_equal(cap_messages_init(&messages, 5), 0);
    next_of(&messages, EVENT_RAISED, false);
    assert_int_equal(write_to(&messages, &chain, CAP_SIZE_MAX), 0);
    assert_non_null(strstr(messages.text, "<msgType>Alert</msgType>"));
    assert_null(strstr(messages.text, "<references>"));
    chain = messages.after;
    assert_int_equal(strncmp(chain.identifier, "cap-", 4), 0);
    next_of(&messages, EVENT_EXPIRED, false);
    assert_int_equal(write_to(&messages, &chain, CAP_SIZE_MAX), 0);
    assert_non_null(strstr(messages.text, "<msgType>Update</msgType>"));
    assert_non_null(strstr(messages.text, chain.identifier));
    assert_non_null(strstr(messages.text, "<urgency>Unknown</urgency>"));
    chain = messages.after;
    /* Out of service while in earnest: a test message that does not join the chain. */
    next_of(&messages, EVENT_RAISED, false);
    messages.random.alarm.overrides[OVERRIDE_OUT_OF_SERVICE].active = true;
    assert_int_equal(write_to(&messages, &chain, CAP_SIZE_MAX), 0);
    assert_non_null(strstr(messages.text, "<status>Test</status>"));
    assert_non_null(strstr(messages.text, "THỬ NGHIỆM: "));
    assert_string_equal(messages.after.identifier, chain.identifier);
    /* Withdrawn by a person: a Cancel, but no all-clear. */
    next_of(&messages, EVENT_RAISED, false);
    messages.random.event.kind = EVENT_CANCELLED;
    assert_int_equal(write_to(&messages, &chain, CAP_SIZE_MAX), 0);
    assert_non_null(strstr(messages.text, "<msgType>Cancel</msgType>"));
    assert_null(strstr(messages.text, "AllClear"));
    assert_string_equal(messages.after.identifier, "");
    /* A draft waits for two persons; what they approved is public. */
    next_of(&messages, EVENT_RAISED, false);
    messages.random.alarm.publication = PUBLICATION_DRAFT;
    assert_int_equal(write_to(&messages, &chain, CAP_SIZE_MAX), ERR_INVALID);
    messages.random.alarm.publication = PUBLICATION_ISSUED;
    messages.random.event.kind = EVENT_APPROVED;
    messages.random.alarm.approval =
        (struct alarm_approval){.state = APPROVAL_APPROVED, .level = 5};
    const struct incident incident = {.id = "0123456789abcdef0123456789abcdef"};
    messages.random.event.view.incident = &incident;
    messages.random.event.view.place.communes = "Quy Nhơn;Bình Định";
    messages.random.event.view.place.commune_codes = "21583;";
    assert_int_equal(write_to(&messages, &chain, CAP_SIZE_MAX), 0);
    assert_non_null(strstr(messages.text, "<scope>Public</scope>\n"));
    assert_null(strstr(messages.text, "<restriction>"));
    assert_non_null(
        strstr(messages.text, "<incidents>0123456789abcdef0123456789abcdef</incidents>"));
    assert_non_null(strstr(messages.text, "<value>Bình Định</value>"));
    assert_non_null(strstr(messages.text, "<valueName>VN:commune-code</valueName>\n<value>21583<"));
    messages.random.event.view.incident = NULL;
    next_of(&messages, EVENT_LOWERED, true);
    assert_int_equal(write_to(&messages, &chain, CAP_SIZE_MAX), 0);
    assert_non_null(strstr(messages.text, "<msgType>Cancel</msgType>"));
    assert_string_equal(messages.after.identifier, "");
    cap_messages_finish(&messages);
}

/* The communes of an outline take the place of those of the station; of none, the station's stay.
 */
static void test_communes_of_an_outline(void **state) {
    static struct cap_messages messages;
    static const struct cap_position ring[4] = {{13, 109}, {14, 109}, {14, 110}, {13, 109}};
    const struct cap_polygon polygon = {.positions = ring, .count = 4};
    struct cap_outline outline = {&polygon, 1, "Quy Nhơn;Quy Nhơn Bắc", "21583"};
    struct cap_chain chain = {.identifier = ""};
    (void)state;
    assert_int_equal(cap_messages_init(&messages, 6), 0);
    next_of(&messages, EVENT_RAISED, false);
    messages.random.event.view.place.communes = "Tuy Phước";
    messages.random.event.view.place.commune_codes = "21952";
    for (int own = 1; own >= 0; own--) {
        assert_int_equal(message_cap(&messages.random.event, &messages.context, &chain, &outline,
                                     messages.text, CAP_SIZE_MAX, &messages.length,
                                     &messages.after),
                         0);
        assert_true((strstr(messages.text, "<value>Quy Nhơn Bắc</value>") != NULL) == own);
        assert_true((strstr(messages.text, "<value>21583</value>") != NULL) == own);
        assert_true((strstr(messages.text, "<value>Tuy Phước</value>") == NULL) == own);
        assert_true((strstr(messages.text, "<value>21952</value>") == NULL) == own);
        outline.communes = "";
    }
    cap_messages_finish(&messages);
}

static void test_what_is_refused(void **state) {
    static struct cap_messages messages;
    struct cap_chain chain = {.identifier = ""};
    static const struct cap_position ring[CAP_POSITIONS_MAX];
    const struct cap_polygon polygons[2] = {{.positions = ring, .count = CAP_POSITIONS_MAX - 3},
                                            {.positions = ring, .count = 4}};
    const struct cap_outline outline = {.polygons = polygons, .count = 2};
    (void)state;
    assert_int_equal(cap_messages_init(&messages, 6), 0);
    next_of(&messages, EVENT_RAISED, false);
    messages.after.sent_us = 77;
    messages.length = 88;
    assert_int_equal(write_to(&messages, &chain, 3000), ERR_LIMIT);
    assert_int_equal(write_to(&messages, &chain, 0), ERR_LIMIT);
    assert_int_equal(message_cap(&messages.random.event, &messages.context, &chain, &outline,
                                 messages.text, CAP_SIZE_MAX, &messages.length, &messages.after),
                     ERR_LIMIT);
    messages.random.event.kind = EVENT_KNOWLEDGE;
    assert_int_equal(write_to(&messages, &chain, CAP_SIZE_MAX), ERR_INVALID);
    messages.random.event.kind = EVENT_RAISED;
    messages.context.sender = "a b";
    assert_int_equal(write_to(&messages, &chain, CAP_SIZE_MAX), ERR_INVALID);
    assert_true(messages.after.sent_us == 77 && messages.length == 88);
    cap_messages_finish(&messages);
}

/* The documented table, spelt out again by hand. */
static void test_severity(void **state) {
    struct rule rule = {.scale.kind = SCALE_FLOOD_ALARM, .scale.level_count = 3};
    (void)state;
    assert_string_equal(severity_name(severity_of_level(&rule, 1)), "Moderate");
    assert_string_equal(severity_name(severity_of_level(&rule, 2)), "Severe");
    assert_string_equal(severity_name(severity_of_level(&rule, 3)), "Extreme");
    rule.scale = (struct scale){.kind = SCALE_RISK, .level_count = 5};
    const char *const risk[] = {"Minor", "Minor", "Moderate", "Severe", "Extreme", "Extreme"};
    for (uint32_t i = 0; i <= 5; i++) {
        assert_string_equal(severity_name(severity_of_level(&rule, i)), risk[i]);
    }
    rule.scale = (struct scale){.kind = SCALE_OWN, .level_count = 3};
    const char *const own[] = {"Minor", "Minor", "Moderate", "Severe"};
    const char *const deadly[] = {"Minor", "Minor", "Severe", "Extreme"};
    for (uint32_t i = 0; i <= 3; i++) {
        rule.hazard[0] = '\0';
        assert_string_equal(severity_name(severity_of_level(&rule, i)), own[i]);
        strcpy(rule.hazard, "chemical");
        assert_string_equal(severity_name(severity_of_level(&rule, i)), deadly[i]);
    }
    rule.scale.level_count = 2;
    strcpy(rule.hazard, "radiation");
    assert_string_equal(severity_name(severity_of_level(&rule, 1)), "Minor");
    assert_string_equal(severity_name(severity_of_level(&rule, 2)), "Moderate");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_thousand_messages_keep_the_rules),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_communes_of_an_outline),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_severity),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    xmlCleanupParser();
    return result;
}
