/* A JSON writer into a bounded buffer: keys in the order of the calls, numbers in their shortest
 * form, no spaces. The same calls always give the same bytes. An overflow sticks and is asked once
 * at the end. Thread rule: per object. */
#ifndef CANHBAO_ALERTS_MESSAGE_WRITER_H
#define CANHBAO_ALERTS_MESSAGE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/clock.h"

struct json_writer {
    char *text;
    size_t size, length;
    bool overflow;
    bool comma; /* the next item needs one in front */
};

void json_begin(struct json_writer *writer, char *text, size_t size);
/* ERR_LIMIT when something did not fit; the text ends with a zero byte in any case. */
int json_end(struct json_writer *writer, size_t *ret_length);

/* `key` NULL inside an array. */
void json_open(struct json_writer *writer, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json_writer *writer, char bracket);                 /* '}' or ']' */
/* Not valid UTF-8 is written as U+FFFD per byte. NULL text: null. */
void json_text(struct json_writer *writer, const char *key, const char *text);
void json_number(struct json_writer *writer, const char *key, double value); /* not finite: null */
void json_int(struct json_writer *writer, const char *key, int64_t value);
void json_truth(struct json_writer *writer, const char *key, bool value);
void json_null_value(struct json_writer *writer, const char *key);
void json_time(struct json_writer *writer, const char *key, struct utc_us time);
/* Bytes as lower-case hex in a string. */
void json_hex(struct json_writer *writer, const char *key, const uint8_t *bytes, size_t count);

#endif
