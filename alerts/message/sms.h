/* Short messages: how many parts a text takes, and Vietnamese without diacritics.
 *
 * 3GPP TS 23.038 and 23.040: text within the GSM 7-bit default alphabet takes 160 characters, or
 * 153 in each of several parts (characters of its extension count twice); anything else UCS-2, 70
 * or 67. Thread rule: pure. */
#ifndef CANHBAO_ALERTS_MESSAGE_SMS_H
#define CANHBAO_ALERTS_MESSAGE_SMS_H

#include <stddef.h>
#include <stdint.h>

/* Parts that an SMS takes; 0: empty or not valid UTF-8. */
uint32_t sms_parts(const char *text);

/* Vietnamese letters to ASCII, dashes, quotes and "…" likewise; what has no counterpart, and what
 * is not in the GSM default alphabet, to '?'. ERR_LIMIT. */
int text_without_diacritics(const char *text, char *ret_text, size_t size);

/* At most `max` characters, the last one "…" when some were cut. size >= 4 * max + 4. */
void sms_clip(const char *text, size_t max, char *ret_text, size_t size);

#endif
