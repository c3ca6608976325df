#include "alerts/message/cap.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alerts/flood_bulletin.h"
#include "daemon/base/err.h"
#include "daemon/base/text.h"

enum { TIME_SIZE = 32, VALUE_SIZE = 96 };

struct xml {
    char *text;
    size_t size, length;
    bool overflow;
};

/* Everything about one message that both languages share. */
struct cap {
    const struct event *event;
    const struct cap_context *context;
    const struct cap_outline *outline;
    enum bulletin bulletin;
    char sent[TIME_SIZE], onset[TIME_SIZE], expires[TIME_SIZE];
};

static void put_bytes(struct xml *xml, const char *bytes, size_t count) {
    if (xml->overflow || count >= xml->size - xml->length) {
        xml->overflow = true;
        return;
    }
    memcpy(xml->text + xml->length, bytes, count);
    xml->length += count;
    xml->text[xml->length] = '\0';
}

static void put(struct xml *xml, const char *text) {
    put_bytes(xml, text, strlen(text));
}

/* Character data; what XML or our texts may not hold becomes '?'. */
static void put_escaped(struct xml *xml, const char *text) {
    bool valid = text_is_utf8_line(text, strlen(text));
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        switch (c) {
        case '&':
            put(xml, "&amp;");
            break;
        case '<':
            put(xml, "&lt;");
            break;
        case '>':
            put(xml, "&gt;");
            break;
        default:
            put_bytes(xml, c < 0x20 || c == 0x7f || (c >= 0x80 && !valid) ? "?" : text, 1);
        }
    }
}

static void put_element(struct xml *xml, const char *name, const char *text) {
    put(xml, "<");
    put(xml, name);
    put(xml, ">");
    put_escaped(xml, text);
    put(xml, "</");
    put(xml, name);
    put(xml, ">\n");
}

/* parameter, eventCode, geocode */
static void put_named(struct xml *xml, const char *element, const char *name, const char *value) {
    put(xml, "<");
    put(xml, element);
    put(xml, ">");
    put_element(xml, "valueName", name);
    put_element(xml, "value", value);
    put(xml, "</");
    put(xml, element);
    put(xml, ">\n");
}

static void format_time(int64_t utc_us, int32_t offset_min, char ret_text[TIME_SIZE]) {
    time_t seconds = (time_t)(utc_us / 1000000 + (int64_t)offset_min * 60);
    struct tm local = {0};
    (void)gmtime_r(&seconds, &local); /* stamps are within 1970 to 2199 */
    size_t length = strftime(ret_text, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &local);
    unsigned minutes = (unsigned)abs(offset_min) % 6000;
    (void)snprintf(ret_text + length, TIME_SIZE - length, "%c%02u:%02u", offset_min > 0 ? '+' : '-',
                   minutes / 60, minutes % 60);
}

/* ---- header ---- */

static enum message_status status_of(const struct cap *cap) {
    const struct alarm_view *view = &cap->event->view;
    bool unfit = view_is_simulated(view) || view->alarm->overrides[OVERRIDE_OUT_OF_SERVICE].active;
    return cap->context->messages.status == MESSAGE_ACTUAL && unfit ? MESSAGE_TEST
                                                                    : cap->context->messages.status;
}

static const char *msg_type(const struct cap *cap, const struct cap_chain *chain) {
    if (chain->identifier[0] == '\0') {
        return "Alert";
    }
    bool ends = cap->bulletin == BULLETIN_CLEARED || cap->bulletin == BULLETIN_CANCELLED;
    return ends ? "Cancel" : "Update";
}

/* Two persons have approved the level that the message tells. */
static bool is_approved(const struct cap *cap) {
    const struct alarm *alarm = cap->event->view.alarm;
    return alarm->level > 0 && alarm->approval.state == APPROVAL_APPROVED &&
           alarm->approval.level >= alarm->level;
}

static void put_header(struct xml *xml, const struct cap *cap, const struct cap_chain *chain,
                       const char *identifier) {
    enum message_status status = status_of(cap);
    char reference[512], sent[TIME_SIZE];
    put_element(xml, "identifier", identifier);
    put_element(xml, "sender", cap->context->sender);
    put_element(xml, "sent", cap->sent);
    put_element(xml, "status", message_status_name(status));
    put_element(xml, "msgType", msg_type(cap, chain));
    put_element(xml, "source", cap->event->view.rule->id);
    put_element(xml, "scope", is_approved(cap) ? "Public" : "Restricted");
    if (!is_approved(cap)) {
        put_element(xml, "restriction",
                    "Phòng trực và cổng nhắn tin; chưa có người duyệt. / Control room and message "
                    "gateways; not approved by a person.");
    }
    if (status == MESSAGE_EXERCISE) {
        put_element(xml, "note",
                    "Diễn tập, không phải tình huống thật. / Exercise, not a real event.");
    } else if (status == MESSAGE_TEST) {
        put_element(
            xml, "note",
            "Thử nghiệm, số liệu mô phỏng hoặc trạm đang bảo trì. / Test, simulated data or "
            "a station out of service.");
    }
    if (chain->identifier[0] != '\0') {
        format_time(chain->sent_us, cap->context->utc_offset_min, sent);
        (void)snprintf(reference, sizeof reference, "%s,%s,%s", cap->context->sender,
                       chain->identifier, sent);
        put_element(xml, "references", reference);
    }
    if (cap->event->view.incident != NULL) {
        put_element(xml, "incidents", cap->event->view.incident->id);
    }
}

/* ---- info ---- */

static const char *category(const char *hazard) {
    static const struct {
        const char *hazard, *category;
    } known[] = {{"flood", "Met"},         {"heavy_rain", "Met"},
                 {"wind", "Met"},          {"storm", "Met"},
                 {"heat", "Met"},          {"storm_surge", "Met"},
                 {"chemical", "CBRNE"},    {"landslide", "Geo"},
                 {"radiation", "CBRNE"},   {"air_quality", "Env"},
                 {"water_quality", "Env"}, {"salt_intrusion", "Env"},
                 {"flash_flood", "Geo"},   {"strong_wind_sea", "Met"},
                 {"cold", "Met"},          {"drought", "Met"},
                 {"fog", "Met"},           {"earthquake", "Geo"},
                 {"tsunami", "Geo"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].hazard, hazard) == 0) {
            return known[i].category;
        }
    }
    return "Other";
}

static const char *response_type(const struct cap *cap) {
    const struct rule *rule = cap->event->view.rule;
    enum severity severity = severity_of_level(rule, cap->event->view.alarm->level);
    if (cap->bulletin == BULLETIN_CLEARED) {
        return "AllClear";
    }
    if (cap->bulletin == BULLETIN_EXPIRED || cap->bulletin == BULLETIN_CANCELLED ||
        severity == SEVERITY_MINOR) {
        return "Monitor";
    }
    bool deadly = strcmp(rule->hazard, "chemical") == 0 || strcmp(rule->hazard, "radiation") == 0;
    return severity == SEVERITY_EXTREME && deadly ? "Shelter" : "Prepare";
}

static void put_quantity(struct xml *xml, const char *name, double value, const char *unit) {
    char text[VALUE_SIZE];
    char number[40];
    if (!isfinite(value)) {
        return; /* no number is better than an invented one */
    }
    (void)text_format_double(value, number, sizeof number);
    bool plain = *unit == '\0' || strcmp(unit, "1") == 0;
    (void)snprintf(text, sizeof text, "%s%s%s", number, plain ? "" : " ", plain ? "" : unit);
    put_named(xml, "parameter", name, text);
}

static void put_flag(struct xml *xml, const char *name, bool value) {
    put_named(xml, "parameter", name, value ? "true" : "false");
}

static void put_level(struct xml *xml, const struct alarm_view *view) {
    const struct scale *scale = &view->rule->scale;
    char level[16];
    char name[STATION_ID_SIZE + 16];
    (void)snprintf(level, sizeof level, "%u", (unsigned)view->alarm->level);
    (void)snprintf(name, sizeof name, "ownLevel:%s", scale->id);
    put_named(xml, "parameter",
              scale->kind == SCALE_FLOOD_ALARM ? "floodAlarmLevel"
              : scale->kind == SCALE_RISK      ? "riskLevel"
                                               : name,
              level);
}

/* "bulletin_hours flood hours_ict; Art. 15; memory, memory; provisional" */
static void put_row(struct xml *xml, const char *name, const struct rule_row *row) {
    char text[384];
    char article[24] = "";
    if (row->article > 0) {
        (void)snprintf(article, sizeof article, "; Art. %u", (unsigned)row->article);
    }
    (void)snprintf(text, sizeof text, "%s %s%s%s%s; %s, %s%s", row->table, row->id,
                   row->column[0] != '\0' ? " " : "", row->column, article, row->kind,
                   row->confidence, row->provisional ? "; provisional" : "");
    put_named(xml, "parameter", name, text);
}

/* The rows of legal tables that gave the level. */
static void put_rows(struct xml *xml, const struct alarm_view *view) {
    const struct rule *rule = view->rule;
    for (size_t i = 0; i < rule->row_count; i++) {
        if (rule_row_holds(rule, i, false, view->alarm_levels, view->indicators) == TRI_TRUE) {
            put_row(xml, "tableRow", &rule->rows[i]);
        }
    }
}

/* Which bulletin of the law, when the next one is due, and where its hours come from. */
static void put_bulletin(struct xml *xml, const struct cap *cap, const struct message_text *text) {
    const struct alarm_view *view = &cap->event->view;
    char next[TIME_SIZE];
    if (text->flood_bulletin == FLOOD_BULLETIN_NONE) {
        return;
    }
    const struct rule_issue *issue =
        flood_bulletin_issue(view->rule, view->alarm->level, cap->event->at.utc);
    format_time(text->next_issue_us, cap->context->utc_offset_min, next);
    put_named(xml, "parameter", "bulletin", flood_bulletin_name(text->flood_bulletin));
    put_named(xml, "parameter", "nextIssue", next);
    if (issue != NULL) {
        put_row(xml, "bulletinHours", &view->rule->rows[issue->row - 1]);
    }
}

static size_t position_count(const struct cap_outline *outline) {
    size_t count = 0;
    for (size_t i = 0; outline != NULL && i < outline->count; i++) {
        count += outline->polygons[i].count;
    }
    return count;
}

/* What the area of the message stands on. */
enum area_basis {
    AREA_OUTLINE, /* of an area of the site, or of a plume */
    AREA_RADIUS,  /* that the site says the station's measurements stand for */
    AREA_POINT,   /* of the measurement: how far the danger reaches is not known */
    AREA_NAME     /* nothing but the name and the communes is known */
};

static enum area_basis area_basis(const struct cap *cap) {
    const struct place *place = &cap->event->view.place;
    if (position_count(cap->outline) > 0) {
        return AREA_OUTLINE;
    }
    if (!isfinite(place->latitude_deg) || !isfinite(place->longitude_deg)) {
        return AREA_NAME;
    }
    return place->radius_km > 0 ? AREA_RADIUS : AREA_POINT;
}

static void put_area_basis(struct xml *xml, const struct cap *cap) {
    static const char *const names[] = {"outline", "station_radius", "station_point", "name"};
    put_named(xml, "parameter", "areaBasis", names[area_basis(cap)]);
}

static void put_parameters(struct xml *xml, const struct cap *cap,
                           const struct message_text *text) {
    const struct alarm_view *view = &cap->event->view;
    const struct rule *rule = view->rule;
    uint32_t index = event_indicator(cap->event);
    const struct indicator_spec *spec = &rule->indicators[index];
    const struct indicator *indicator = &view->indicators[index];
    const char *unit = spec->kind == INDICATOR_MODEL ? spec->unit : indicator->point->unit;
    char lead[24];
    put_level(xml, view);
    put_bulletin(xml, cap, text);
    put_quantity(xml, "value", indicator->value, unit);
    put_quantity(xml, "threshold", event_threshold(cap->event, view->alarm->level, index), unit);
    (void)snprintf(lead, sizeof lead, "%" PRId64, spec->lead_us / 60000000);
    put_named(xml, "parameter", "leadTimeMinutes", lead);
    put_named(xml, "parameter", "knowledge", knowledge_name(view->alarm->knowledge));
    put_named(xml, "parameter", "trend", trend_name(view->alarm->trend));
    put_flag(xml, "provisional", view_is_provisional(view));
    put_flag(xml, "simulated", view_is_simulated(view));
    put_flag(xml, "reconstructed", cap->context->messages.reconstructed);
    put_named(xml, "parameter", "rule", rule->id);
    put_named(xml, "parameter", "ruleRevision", rule->revision);
    put_rows(xml, view);
    put_area_basis(xml, cap);
    put_named(xml, "parameter", "eventId", cap->event->id);
    put_named(xml, "parameter", "sms", text->sms);
    put_named(xml, "parameter", "smsPlain", text->sms_plain);
}

static void put_position(struct xml *xml, double latitude_deg, double longitude_deg) {
    char number[40];
    (void)text_format_double(latitude_deg, number, sizeof number);
    put(xml, number);
    put(xml, ",");
    (void)text_format_double(longitude_deg, number, sizeof number);
    put(xml, number);
}

/* One geocode for each part of "a;b;c" that is not empty. */
static void put_communes(struct xml *xml, const char *name, const char *list) {
    char part[STATION_NAME_SIZE];
    while (list != NULL && *list != '\0') {
        size_t length = strcspn(list, ";");
        if (length > 0 && length < sizeof part) {
            memcpy(part, list, length);
            part[length] = '\0';
            put_named(xml, "geocode", name, part);
        }
        list += length;
        list += *list == ';';
    }
}

static void put_polygon(struct xml *xml, const struct cap_polygon *polygon) {
    put(xml, "<polygon>");
    for (size_t i = 0; i < polygon->count; i++) {
        put(xml, i > 0 ? " " : "");
        put_position(xml, polygon->positions[i].latitude_deg, polygon->positions[i].longitude_deg);
    }
    put(xml, "</polygon>\n");
}

static void put_circle(struct xml *xml, const struct place *place) {
    char radius_km[40];
    (void)text_format_double(place->radius_km, radius_km, sizeof radius_km);
    put(xml, "<circle>");
    put_position(xml, place->latitude_deg, place->longitude_deg);
    put(xml, " ");
    put(xml, radius_km);
    put(xml, "</circle>\n");
}

static void put_area(struct xml *xml, const struct cap *cap, bool vietnamese) {
    const struct place *place = &cap->event->view.place;
    put(xml, "<area>\n");
    put_element(xml, "areaDesc", vietnamese ? place->name_vi : place->name_en);
    switch (area_basis(cap)) {
    case AREA_OUTLINE:
        for (size_t i = 0; i < cap->outline->count; i++) {
            put_polygon(xml, &cap->outline->polygons[i]);
        }
        break;
    case AREA_RADIUS:
    case AREA_POINT:
        put_circle(xml, place);
        break;
    case AREA_NAME:
        break;
    }
    put_named(xml, "geocode", "canhbao:place", place->id);
    const struct cap_outline *outline = cap->outline;
    bool own = outline != NULL && outline->communes != NULL && outline->communes[0] != '\0';
    put_communes(xml, "canhbao:commune", own ? outline->communes : place->communes);
    put_communes(xml, "VN:commune-code", own ? outline->commune_codes : place->commune_codes);
    put(xml, "</area>\n");
}

/* What is known of the case itself (a plume: wind, distance) comes before what the level asks for.
 */
static void put_instruction(struct xml *xml, const struct cap *cap, enum language language,
                            const char *of_level) {
    const char *of_case = cap->context->instruction[language];
    bool stands = cap->event->view.alarm->level > 0;
    put(xml, "<instruction>");
    if (of_case != NULL && stands) {
        put_escaped(xml, of_case);
        put(xml, " ");
    }
    put_escaped(xml, of_level);
    put(xml, "</instruction>\n");
}

static int put_info(struct xml *xml, const struct cap *cap, enum language language) {
    const struct rule *rule = cap->event->view.rule;
    bool vietnamese = language == LANGUAGE_VI;
    struct message_text text;
    struct message_context messages = cap->context->messages;
    messages.status = status_of(cap);
    int result = message_text(cap->context->phrases[language], cap->event, &messages,
                              cap->context->utc_offset_min, &text);
    if (result != 0) {
        return result;
    }
    put(xml, "<info>\n");
    put_element(xml, "language", vietnamese ? "vi-VN" : "en-US");
    put_element(xml, "category", category(rule->hazard));
    put_element(xml, "event", text.event);
    put_element(xml, "responseType", response_type(cap));
    put_element(xml, "urgency", urgency_name(cap->event));
    put_element(xml, "severity",
                severity_name(severity_of_level(rule, cap->event->view.alarm->level)));
    put_element(xml, "certainty", certainty_name(cap->event));
    put_named(xml, "eventCode", "canhbao:hazard", rule->hazard);
    if (text.flood_bulletin != FLOOD_BULLETIN_NONE) {
        put_named(xml, "eventCode", "canhbao:bulletin", flood_bulletin_name(text.flood_bulletin));
    }
    put_element(xml, "effective", cap->sent);
    put_element(xml, "onset", cap->onset);
    put_element(xml, "expires", cap->expires);
    put_element(xml, "senderName",
                vietnamese ? cap->context->sender_name_vi : cap->context->sender_name_en);
    put_element(xml, "headline", text.headline);
    put_element(xml, "description", text.description);
    put_instruction(xml, cap, language, text.instruction);
    put_parameters(xml, cap, &text);
    put_area(xml, cap, vietnamese);
    put(xml, "</info>\n");
    return 0;
}

/* Whole seconds; onset and expires as the header says. */
static int64_t set_times(struct cap *cap) {
    const struct alarm_view *view = &cap->event->view;
    const int64_t second_us = 1000000;
    int32_t offset_min = cap->context->utc_offset_min;
    int64_t sent_us = cap->event->at.utc.us / second_us * second_us;
    const struct indicator_spec *spec = &view->rule->indicators[event_indicator(cap->event)];
    bool forecast = spec->kind == INDICATOR_MODEL && cap->bulletin != BULLETIN_CLEARED &&
                    cap->bulletin != BULLETIN_CANCELLED;
    int64_t onset_us = sent_us + (forecast ? spec->lead_us / second_us * second_us : 0);
    int64_t expires_us = view->alarm->expires.utc.us / second_us * second_us;
    bool ended = cap->bulletin == BULLETIN_CLEARED || cap->bulletin == BULLETIN_EXPIRED ||
                 cap->bulletin == BULLETIN_CANCELLED;
    if (ended || expires_us <= onset_us) {
        int64_t validity_us = view->rule->expires_after_us / second_us * second_us;
        expires_us = onset_us + (validity_us > second_us ? validity_us : second_us);
    }
    format_time(sent_us, offset_min, cap->sent);
    format_time(onset_us, offset_min, cap->onset);
    format_time(expires_us, offset_min, cap->expires);
    return sent_us;
}

void cap_identifier(const struct event *event, char ret_identifier[CAP_ID_SIZE]) {
    char id[ID_TEXT_SIZE];
    const char *parts[] = {"cap", event->id};
    id_from_strings(parts, sizeof parts / sizeof parts[0], id);
    (void)snprintf(ret_identifier, CAP_ID_SIZE, "cap-%s", id);
}

int message_cap(const struct event *event, const struct cap_context *context,
                const struct cap_chain *chain, const struct cap_outline *outline, char *ret_text,
                size_t size, size_t *ret_length, struct cap_chain *ret_chain) {
    struct cap cap = {.event = event,
                      .context = context,
                      .outline = outline,
                      .bulletin = bulletin_of_event(event)};
    struct xml xml = {.text = ret_text, .size = size, .overflow = size == 0};
    struct cap_chain next = {.identifier = ""};
    if (cap.bulletin == BULLETIN_NONE || strpbrk(context->sender, " ,<&") != NULL ||
        context->sender[0] == '\0') {
        return ERR_INVALID;
    }
    if (position_count(outline) > CAP_POSITIONS_MAX) {
        return ERR_LIMIT;
    }
    cap_identifier(event, next.identifier);
    next.sent_us = set_times(&cap);
    put(&xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
              "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">\n");
    put_header(&xml, &cap, chain, next.identifier);
    int result = 0;
    for (int language = 0; result == 0 && language < LANGUAGE_COUNT; language++) {
        result = put_info(&xml, &cap, (enum language)language);
    }
    put(&xml, "</alert>\n");
    if (result != 0 || xml.overflow) {
        return result != 0 ? result : ERR_LIMIT;
    }
    if (status_of(&cap) != context->messages.status) {
        next = *chain;
    } else if (cap.bulletin == BULLETIN_CLEARED || cap.bulletin == BULLETIN_CANCELLED) {
        next = (struct cap_chain){.identifier = ""};
    }
    *ret_length = xml.length;
    *ret_chain = next;
    return 0;
}
