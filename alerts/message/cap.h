/* Common Alerting Protocol 1.2 (OASIS, 1 July 2010): an event as XML for warning systems.
 *
 * One message per event that raises, lowers, renews, clears or lets expire a level; one <info> per
 * language (vi-VN, en-US) with equal times, levels, urgency, severity and certainty
 * (alerts/message/severity.h). Every message but the first of a chain refers to the one before it:
 * Alert, Update ..., Cancel. A cleared level is a Cancel with <responseType>AllClear; expiry is an
 * Update that says that it is no all-clear.
 *
 * Times are local with their offset ("+07:00", never "Z"; UTC is "-00:00" as CAP wants it), without
 * fractions, and sent <= effective <= onset < expires: all but onset of a forecast (plus its lead)
 * and expires are the time of the event.
 *
 * Status: that of the context; but Test when the evidence is simulated or the alarm is out of
 * service while the daemon runs in earnest, so that it can never reach the public. Such a message
 * refers to the chain but does not join it. Scope is Restricted, unless two persons have approved
 * the level: then Public. A draft has no message; a message withdrawn by a person is a Cancel that
 * is no all-clear.
 *
 * Area: the polygons of the outline; without one a circle around a station, of the radius that the
 * site says its measurements stand for, or 0 where it says none; parameter areaBasis names which.
 *
 * The same event, chain and context give the same bytes. Thread rule: pure. */
#ifndef CANHBAO_ALERTS_MESSAGE_CAP_H
#define CANHBAO_ALERTS_MESSAGE_CAP_H

#include "alerts/event.h"
#include "alerts/message/json.h"
#include "alerts/message/text.h"

enum { CAP_ID_SIZE = ID_TEXT_SIZE + 8, CAP_SIZE_MAX = 131072, CAP_POSITIONS_MAX = 1000 };

/* The newest message of the chain of an alarm. Plain data, stored as it is. */
struct cap_chain {
    char identifier[CAP_ID_SIZE]; /* "": no chain is open */
    int64_t sent_us;
};

struct cap_position {
    double latitude_deg, longitude_deg;
};

/* An outer ring, first position repeated at the end. */
struct cap_polygon {
    const struct cap_position *positions;
    size_t count;
};

/* An area: one <polygon> each; count 0: not known. At most CAP_POSITIONS_MAX positions together. */
struct cap_outline {
    const struct cap_polygon *polygons;
    size_t count;
    const char *communes, *commune_codes; /* in it, "a;b;c"; NULL or "": those of the place */
};

struct cap_context {
    const char *sender; /* no spaces, commas, '<', '&' */
    const char *sender_name_vi, *sender_name_en;
    struct message_context messages;
    int32_t utc_offset_min;
    const struct phrases *phrases[LANGUAGE_COUNT];
    const char *instruction[LANGUAGE_COUNT]; /* before that of the level; NULL: none */
};

/* The identifier of the message of an event, which is its Kafka id too. */
void cap_identifier(const struct event *event, char ret_identifier[CAP_ID_SIZE]);

/* The message, and the chain after it. ERR_INVALID: the event has no bulletin (nothing is sent), or
 * the sender is none; ERR_LIMIT: does not fit (CAP_SIZE_MAX fits but for CAP_POSITIONS_MAX
 * exceeded). The text ends with a zero byte that ret_length does not count. */
int message_cap(const struct event *event, const struct cap_context *context,
                const struct cap_chain *chain, const struct cap_outline *outline, char *ret_text,
                size_t size, size_t *ret_length, struct cap_chain *ret_chain);

#endif
