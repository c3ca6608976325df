#include "daemon/control/ctl_print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_lang.h"
#include "drivers/modbus/pdu.h"

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

/* Local time for a person, with its zone; "-" when there is none. */
static const char *local_of(const json_t *object, const char *key, char *buffer, size_t size) {
    int64_t us;
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || text_parse_time(text, &us) != 0) {
        return "-";
    }
    text_format_local(us, 420, buffer, size);
    return buffer;
}

static void print_value(const json_t *value, const char *unit, FILE *out) {
    if (json_is_number(value)) {
        fprintf(out, "%10.3f %-10s", json_number_value(value), unit);
    } else {
        fprintf(out, "%10s %-10s", "unknown", unit);
    }
}

/* Characters, not bytes, so that columns of Vietnamese names stand straight. */
static void print_padded(const char *text, int width, FILE *out) {
    int shown = 0;
    for (const char *at = text; *at != '\0'; at++) {
        shown += ((unsigned char)*at & 0xc0) != 0x80;
    }
    fputs(text, out);
    for (; shown < width; shown++) {
        fputc(' ', out);
    }
    fputc(' ', out);
}

static void print_conditions(const json_t *conditions, FILE *out) {
    size_t index;
    json_t *condition;
    char time[32];
    if (json_array_size(conditions) == 0) {
        fputs("faults      none\n", out);
        return;
    }
    fprintf(out, "faults      %zu\n", json_array_size(conditions));
    json_array_foreach(conditions, index, condition) {
        fprintf(out, "  %-20s %-28s since %s ICT: %s\n", text_of(condition, "class"),
                text_of(condition, "subject"), local_of(condition, "since", time, sizeof time),
                text_of(condition, "text"));
    }
}

void ctl_print_status(const json_t *data, FILE *out) {
    const char *key;
    json_t *value;
    char buffer[40];
    json_object_foreach((json_t *)data, key, value) {
        if (strcmp(key, "conditions") == 0) {
            continue;
        }
        if (json_is_object(value)) {
            const char *inner_key;
            json_t *inner;
            fprintf(out, "%-11s", key);
            json_object_foreach(value, inner_key, inner) {
                if (json_is_string(inner)) {
                    fprintf(out, " %s %s", inner_key, json_string_value(inner));
                } else if (json_is_number(inner)) {
                    (void)text_format_double(json_number_value(inner), buffer, sizeof buffer);
                    fprintf(out, " %s %s", inner_key, buffer);
                } else {
                    fprintf(out, " %s %s", inner_key,
                            json_is_true(inner)   ? "yes"
                            : json_is_null(inner) ? "-"
                                                  : "no");
                }
            }
            fputc('\n', out);
        } else if (json_is_string(value)) {
            fprintf(out, "%-11s %s\n", key, json_string_value(value));
        } else if (json_is_number(value)) {
            (void)text_format_double(json_number_value(value), buffer, sizeof buffer);
            fprintf(out, "%-11s %s\n", key, buffer);
        } else if (json_is_boolean(value)) {
            fprintf(out, "%-11s %s\n", key, json_is_true(value) ? "yes" : "no");
        }
    }
    print_conditions(json_object_get(data, "conditions"), out);
}

void ctl_print_stations(const json_t *data, FILE *out) {
    size_t index;
    json_t *station;
    char time[32];
    json_array_foreach(data, index, station) {
        fprintf(out, "%-22s ", text_of(station, "id"));
        print_padded(text_of(station, "name_vi"), 24, out);
        fprintf(out, "%-10s %-12s%s\n", text_of(station, "kind"), text_of(station, "state"),
                json_is_true(json_object_get(station, "provisional")) ? " provisional" : "");
        size_t point_index;
        json_t *point;
        json_array_foreach(json_object_get(station, "points"), point_index, point) {
            fprintf(out, "    %-18s ", text_of(point, "id"));
            print_value(json_object_get(point, "value"), text_of(point, "unit"), out);
            fprintf(out, " %-14s %-10s %s ICT\n", text_of(point, "status"),
                    text_of(point, "quality"), local_of(point, "time", time, sizeof time));
        }
    }
}

/* A label in the language of the user, in a column of its own. */
static void print_label(const char *text, FILE *out) {
    fputs("  ", out);
    print_padded(ctl_tr(text), 22, out);
}

static void print_count(const json_t *link, const char *key, const char *text, FILE *out) {
    long long count = (long long)json_integer_value(json_object_get(link, key));
    long long polls = (long long)json_integer_value(json_object_get(link, "polls"));
    print_label(text, out);
    fprintf(out, "%lld", count);
    if (polls > 0 && strcmp(key, "connects") != 0 && strcmp(key, "polls") != 0 &&
        strcmp(key, "skipped") != 0) {
        fprintf(out, " (%.1f %% %s)", 100.0 * (double)count / (double)polls,
                ctl_tr("of the requests"));
    }
    fputc('\n', out);
}

static void print_exceptions(const json_t *link, FILE *out) {
    const char *code;
    json_t *count;
    json_object_foreach(json_object_get(link, "exceptions_by_code"), code, count) {
        char name[128];
        unsigned number = (unsigned)strtoul(code, NULL, 10);
        ctl_translate(modbus_exception_name((uint8_t)number), name, sizeof name);
        fprintf(out, "    %s %-18s %lld\n", code, name, (long long)json_integer_value(count));
    }
}

static void print_ms(const json_t *link, const char *key, const char *text, FILE *out) {
    const json_t *value = json_object_get(link, key);
    print_label(text, out);
    if (json_is_number(value)) {
        fprintf(out, "%.1f ms\n", json_number_value(value));
    } else {
        fprintf(out, "%s\n", ctl_tr("unknown"));
    }
}

static void print_identity(const json_t *identity, FILE *out) {
    const char *state = text_of(identity, "state");
    print_label("identity", out);
    fprintf(out, "%s; %s '%s'", ctl_tr(state), ctl_tr("expected"), text_of(identity, "expected"));
    if (json_is_string(json_object_get(identity, "found"))) {
        fprintf(out, ", %s '%s'", ctl_tr("found"), text_of(identity, "found"));
    }
    fputc('\n', out);
}

static void print_clock(const json_t *clock, FILE *out) {
    char time[32];
    const json_t *offset = json_object_get(clock, "offset_s");
    print_label("device clock", out);
    if (!json_is_number(offset)) {
        fprintf(out, "%s\n", ctl_tr("unknown"));
        return;
    }
    fprintf(out, "%+.1f s%s (%s %s ICT)\n", json_number_value(offset),
            json_is_true(json_object_get(clock, "wrong")) ? ctl_tr(", WRONG") : "",
            ctl_tr("checked"), local_of(clock, "checked", time, sizeof time));
}

static void print_memory(const json_t *memory, FILE *out) {
    const char *why = text_of(memory, "why"), *kind;
    json_t *count, *hole;
    size_t index;
    char from[32], to[32];
    print_label("logger memory", out);
    fprintf(out, "%s%s%s; %s %lld, %s %lld\n", ctl_tr(text_of(memory, "state")),
            why[0] != '\0' ? ": " : "", why, ctl_tr("records taken"),
            (long long)json_integer_value(json_object_get(memory, "records")), ctl_tr("requests"),
            (long long)json_integer_value(json_object_get(memory, "requests")));
    json_array_foreach(json_object_get(memory, "holes"), index, hole) {
        fprintf(out, "    %s %s - %s ICT\n", ctl_tr("hole"),
                local_of(hole, "from", from, sizeof from), local_of(hole, "to", to, sizeof to));
    }
    json_object_foreach(json_object_get(memory, "refused"), kind, count) {
        if (json_integer_value(count) > 0) {
            fprintf(out, "    %s: %s %lld\n", ctl_tr("refused"), ctl_tr(kind),
                    (long long)json_integer_value(count));
        }
    }
}

static void print_logger(const json_t *logger, FILE *out) {
    static const struct {
        const char *key;
        void (*print)(const json_t *value, FILE *out);
    } parts[] = {{"identity", print_identity}, {"clock", print_clock}, {"memory", print_memory}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const json_t *value = json_object_get(logger, parts[i].key);
        if (json_is_object(value)) {
            parts[i].print(value, out);
        }
    }
}

void ctl_print_diag(const json_t *data, FILE *out) {
    static const struct {
        const char *key, *text;
    } counts[] = {{"connects", "connections made"},  {"polls", "requests"},
                  {"replies", "answered"},           {"timeouts", "timeouts"},
                  {"bad_replies", "broken replies"}, {"exceptions", "exceptions"},
                  {"skipped", "slots skipped"}};
    size_t index;
    json_t *station, *point;
    char time[32];
    json_array_foreach(data, index, station) {
        const json_t *link = json_object_get(station, "link");
        size_t at;
        fprintf(out, "%s (%s): %s\n", text_of(station, "id"), text_of(station, "name_vi"),
                ctl_tr(text_of(station, "state")));
        const json_t *work = json_object_get(station, "maintenance");
        if (json_is_object(work)) {
            print_label("maintenance until", out);
            fprintf(out, "%s ICT\n", local_of(work, "until", time, sizeof time));
        }
        if (!json_is_object(link)) {
            fprintf(out, "  %s\n", ctl_tr("it is not asked by this daemon"));
            continue;
        }
        const char *why = text_of(link, "why");
        print_label("link", out);
        fprintf(out, "%s", ctl_tr(text_of(link, "state")));
        if (why[0] != '\0') {
            char said[256];
            ctl_translate(why, said, sizeof said);
            fprintf(out, "; %s: %s", ctl_tr("last trouble"), said);
        }
        fputc('\n', out);
        print_label("last good reply", out);
        bool ever = json_is_string(json_object_get(link, "last_success"));
        fprintf(out, "%s%s\n", local_of(link, "last_success", time, sizeof time),
                ever ? " ICT" : "");
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            print_count(link, counts[i].key, counts[i].text, out);
            if (strcmp(counts[i].key, "exceptions") == 0) {
                print_exceptions(link, out);
            }
        }
        print_ms(link, "round_trip_p50_ms", "round trip, half below", out);
        print_ms(link, "round_trip_p95_ms", "round trip, 95 % below", out);
        fprintf(out, "  (%s)\n",
                ctl_tr("of the connection, with all stations that share it, since the start"));
        print_logger(json_object_get(station, "logger"), out);
        json_array_foreach(json_object_get(station, "points"), at, point) {
            fprintf(out, "  %-22s %s, %s %s ICT\n", text_of(point, "id"),
                    ctl_tr(text_of(point, "status")), ctl_tr("asked"),
                    local_of(point, "asked", time, sizeof time));
        }
    }
}

void ctl_print_readings(const json_t *data, FILE *out) {
    size_t index;
    json_t *reading;
    char time[32];
    json_array_foreach(data, index, reading) {
        fprintf(out, "%s ICT  %-18s ", local_of(reading, "time", time, sizeof time),
                text_of(reading, "point"));
        print_value(json_object_get(reading, "value"), text_of(reading, "unit"), out);
        fprintf(out, " %-14s %s\n", text_of(reading, "status"), text_of(reading, "quality"));
    }
}

/* A level is never printed without its scale. */
static void print_level(const json_t *level, FILE *out) {
    const json_t *value = json_object_get(level, "value");
    fprintf(out, "%s ", text_of(level, "scale"));
    if (json_is_integer(value)) {
        fprintf(out, "%lld", (long long)json_integer_value(value));
    } else {
        fputs("unknown", out);
    }
    if (json_is_string(json_object_get(level, "name_vi"))) {
        fprintf(out, " (%s)", text_of(level, "name_vi"));
    }
}

void ctl_print_alarms(const json_t *data, FILE *out) {
    size_t index;
    json_t *alarm;
    char time[32];
    json_array_foreach(data, index, alarm) {
        const json_t *rule = json_object_get(alarm, "rule");
        const json_t *place = json_object_get(alarm, "place");
        fprintf(out, "%-26s ", text_of(rule, "id"));
        print_padded(text_of(place, "name_vi"), 22, out);
        print_level(json_object_get(alarm, "level"), out);
        fprintf(out, " | %s | %s | since %s ICT%s\n",
                text_of(json_object_get(alarm, "knowledge"), "state"),
                text_of(json_object_get(alarm, "annunciation"), "state"),
                local_of(alarm, "level_since", time, sizeof time),
                json_is_true(json_object_get(rule, "provisional")) ? " | provisional" : "");
    }
}

void ctl_print_incidents(const json_t *data, FILE *out) {
    size_t index;
    size_t at;
    json_t *incident;
    json_t *part;
    char time[32];
    json_array_foreach(data, index, incident) {
        fprintf(out, "%s %-7s %s in %s, since %s ICT, %d raised, revision %d\n",
                text_of(incident, "id"), text_of(incident, "state"), text_of(incident, "hazard"),
                text_of(incident, "group"), local_of(incident, "started", time, sizeof time),
                (int)json_integer_value(json_object_get(incident, "raised")),
                (int)json_integer_value(json_object_get(incident, "revision")));
        json_array_foreach(json_object_get(incident, "members"), at, part) {
            fprintf(out, "    %-26s ", text_of(part, "rule"));
            print_padded(text_of(part, "place_name_vi"), 22, out);
            fprintf(out, "%s %s | %s\n", text_of(part, "scale"), text_of(part, "level_name_vi"),
                    text_of(part, "annunciation"));
        }
        json_array_foreach(json_object_get(incident, "attachments"), at, part) {
            fprintf(out, "    %s %s %s\n", text_of(part, "kind"), text_of(part, "reference"),
                    text_of(part, "comment"));
        }
    }
}

void ctl_print_event(const json_t *event, FILE *out) {
    const json_t *alert = json_object_get(event, "alert");
    char time[32];
    fprintf(out, "%6lld %s ICT  %-12s %-26s ",
            (long long)json_integer_value(json_object_get(event, "number")),
            local_of(alert, "time", time, sizeof time), text_of(alert, "event"),
            text_of(json_object_get(alert, "rule"), "id"));
    print_padded(text_of(json_object_get(alert, "place"), "name_vi"), 22, out);
    print_level(json_object_get(alert, "level"), out);
    fprintf(out, " [%s]\n", text_of(alert, "status"));
}

void ctl_print_reload(const json_t *data, FILE *out) {
    fprintf(out, "%d stations, %d rules; of the connections %d go on, %d are new, %d are closed\n",
            (int)json_integer_value(json_object_get(data, "stations")),
            (int)json_integer_value(json_object_get(data, "rules")),
            (int)json_integer_value(json_object_get(data, "endpoints_kept")),
            (int)json_integer_value(json_object_get(data, "endpoints_opened")),
            (int)json_integer_value(json_object_get(data, "endpoints_closed")));
}

void ctl_print_command(const json_t *data, FILE *out) {
    fprintf(out, "done: %s\n", text_of(data, "text"));
}
