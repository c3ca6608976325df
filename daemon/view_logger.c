#include "daemon/view_logger.h"

#include "daemon/base/text.h"

static json_t *time_value(struct utc_us time) {
    char text[32];
    text_format_time(time.us, text, sizeof text);
    return json_string(text);
}

static json_t *identity_value(const struct logger_facts *facts) {
    static const char *const states[] = {
        [LOGGER_UNCHECKED] = "unchecked", [LOGGER_RIGHT] = "right", [LOGGER_WRONG] = "wrong"};
    if (!facts->logger->identity.present) {
        return json_null();
    }
    return json_pack("{s:s,s:s,s:o}", "state", states[facts->identity], "expected",
                     facts->logger->identity.expected, "found",
                     facts->found[0] != '\0' ? json_string(facts->found) : json_null());
}

static json_t *clock_value(const struct logger_facts *facts) {
    if (!facts->logger->clock.present) {
        return json_null();
    }
    return json_pack("{s:o,s:o,s:f,s:b}", "offset_s",
                     facts->clock_known ? json_real((double)facts->skew_us / 1e6) : json_null(),
                     "checked", facts->clock_known ? time_value(facts->clock_at) : json_null(),
                     "limit_s", (double)facts->logger->clock.limit_us / 1e6, "wrong",
                     facts->memo->clock_bad);
}

static json_t *holes_value(const struct logger_memo *memo) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < memo->hole_count; i++) {
        json_array_append_new(list, json_pack("{s:o,s:o}", "from", time_value(memo->holes[i].from),
                                              "to", time_value(memo->holes[i].to)));
    }
    return list;
}

static json_t *memory_value(const struct logger_facts *facts) {
    const struct memory_counts *counts = &facts->counts;
    if (!facts->logger->memory.present) {
        return json_null();
    }
    json_t *refused = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I}", "impossible_time", (json_int_t)counts->impossible,
        "out_of_order", (json_int_t)counts->out_of_order, "overwritten",
        (json_int_t)counts->overwritten, "repeated", (json_int_t)counts->repeated, "wrong_clock",
        (json_int_t)facts->untrusted, "wrong_index", (json_int_t)facts->index_refused);
    return json_pack("{s:s,s:s,s:o,s:I,s:I,s:I,s:I,s:o}", "state",
                     facts->filling                ? "reading"
                     : facts->memo->hole_count > 0 ? "waiting"
                                                   : "idle",
                     "why", facts->why, "holes", holes_value(facts->memo), "holes_lost",
                     (json_int_t)facts->memo->holes_lost, "records", (json_int_t)counts->taken,
                     "known_values", (json_int_t)facts->known, "requests",
                     (json_int_t)facts->requests, "refused", refused);
}

json_t *view_logger(const struct view_source *source, size_t station) {
    struct logger_facts facts;
    if (source->loggers == NULL || !loggers_facts(source->loggers, station, &facts)) {
        return json_null();
    }
    return json_pack("{s:o,s:o,s:o}", "identity", identity_value(&facts), "clock",
                     clock_value(&facts), "memory", memory_value(&facts));
}
