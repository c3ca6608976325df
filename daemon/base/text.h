/* Strict parsing and formatting of numbers and times; bounded strings.
 *
 * Nothing here looks at the locale. A parser consumes the whole string or fails; there is no
 * "as much as fits". Thread rule: pure functions. */
#ifndef CANHBAO_BASE_TEXT_H
#define CANHBAO_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

/* Decimal integer: optional '-', no '+', no leading zeros, no spaces, within [min, max]. */
int text_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_value);

/* Decimal number: digits with at most one '.', optional exponent, optional leading '-'; finite,
 * within [min, max]. Refused: "nan", "inf", hex, "1,5", ".5", "5.", "010", "+1", spaces, trailing
 * text. */
int text_parse_double(const char *text, double min, double max, double *ret_value);

/* "true" or "false", nothing else. */
int text_parse_bool(const char *text, bool *ret_value);

/* A duration with a mandatory unit: "500 ms", "30s", "10 min", "6 h", "2 d". Integers only. */
int text_parse_duration_us(const char *text, int64_t *ret_us);

/* RFC 3339 with a mandatory zone ("Z" or "+hh:mm"), optional fraction up to microseconds, years
 * 1970 to 2199, calendar checked (no 30 February, no second 60). Result: UTC microseconds since
 * 1970. */
int text_parse_time(const char *text, int64_t *ret_utc_us);

/* "2025-11-19T06:00:00Z", with ".250" or ".250001" when there is a fraction. size >= 28. */
void text_format_time(int64_t utc_us, char *ret_text, size_t size);

/* A whole number. size >= 24. Returns the length. */
size_t text_format_int(int64_t value, char *ret_text);

/* Local time for people: "13:00 19/11/2025" with the given offset in minutes (ICT: 420). size >= 20
 */
void text_format_local(int64_t utc_us, int offset_min, char *ret_text, size_t size);

/* The calendar month, 1 to 12, of a time at the given offset. */
int text_month(int64_t utc_us, int offset_min);

/* The shortest decimal that reads back as the same double, without an exponent from 1e-5 to below
 * 1e16; "null" for NaN and infinities. size >= 32. Returns the length. */
size_t text_format_double(double value, char *ret_text, size_t size);

/* Copies with termination. ERR_LIMIT (nothing written but an empty string) when it does not fit. */
int text_copy(char *ret_text, size_t size, const char *text);

/* An identifier of the configuration: 1 to 63 of [a-z0-9] with single '-', '_' or '.' inside. */
bool text_is_id(const char *text);

/* True when the bytes are well-formed UTF-8 without control characters (line break not allowed). */
bool text_is_utf8_line(const char *text, size_t length);

#endif
