/* What people read: headline, description, instruction and SMS of an event, from the sentences of
 * templates/vi.txt and templates/en.txt (built into the program).
 *
 * Numbers: rounded for people (metres to 1 cm), decimal comma in Vietnamese; the exact value stands
 * in the CAP parameters. Times: local, always with their zone ("giờ VN", "ICT", or "UTC+05:30" of
 * another site). A level always carries its scale; below the lowest level that is known at the
 * place is said so, not "normal".
 *
 * SMS: at most two parts (alerts/message/sms.h). When the first form is too long, shorter ones
 * follow (sms.1 to sms.6); names are clipped with an ellipsis before the hazard is left out.
 * Thread rule: pure; phrases are constant after creation. */
#ifndef CANHBAO_ALERTS_MESSAGE_TEXT_H
#define CANHBAO_ALERTS_MESSAGE_TEXT_H

#include "alerts/event.h"
#include "alerts/flood_bulletin.h"
#include "alerts/message/json.h"
#include "alerts/message/phrases.h"
#include "alerts/message/severity.h"

enum {
    TEXT_EVENT_SIZE = 128,
    TEXT_HEADLINE_SIZE = 768,
    TEXT_DESCRIPTION_SIZE = 8192,
    TEXT_INSTRUCTION_SIZE = 1024,
    TEXT_SMS_SIZE = 1024 /* bytes; the limit is that of two parts */
};

struct message_text {
    char event[TEXT_EVENT_SIZE]; /* of the hazard: "Lũ trên sông"; or "Tin lũ khẩn cấp" */
    char headline[TEXT_HEADLINE_SIZE];
    char description[TEXT_DESCRIPTION_SIZE];
    char instruction[TEXT_INSTRUCTION_SIZE];
    char sms[TEXT_SMS_SIZE];
    char sms_plain[TEXT_SMS_SIZE]; /* without diacritics: GSM 7-bit */
    enum flood_bulletin flood_bulletin;
    int64_t next_issue_us; /* UTC of the next bulletin at the latest; with a flood_bulletin */
};

/* The texts of an event that has a bulletin. ERR_INVALID: it has none. ERR_LIMIT: does not fit,
 * which no configuration within its bounds can bring about but by an SMS whose unit alone fills it.
 */
int message_text(const struct phrases *phrases, const struct event *event,
                 const struct message_context *context, int32_t utc_offset_min,
                 struct message_text *ret_text);

#endif
