#include "alerts/message/writer.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/err.h"
#include "daemon/base/text.h"

static void put(struct json_writer *writer, const char *bytes, size_t count) {
    if (writer->overflow || count >= writer->size - writer->length) {
        writer->overflow = true;
        return;
    }
    memcpy(writer->text + writer->length, bytes, count);
    writer->length += count;
    writer->text[writer->length] = '\0';
}

/* Length of the valid UTF-8 character at `text` of more than one byte; 0 when it is none. */
static size_t character_length(const char *text) {
    unsigned char first = (unsigned char)text[0];
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    for (size_t i = 1; i < length; i++) {
        if (text[i] == '\0') {
            return 0;
        }
    }
    return text_is_utf8_line(text, length) ? length : 0;
}

static bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_string(struct json_writer *writer, const char *text) {
    put(writer, "\"", 1);
    for (;;) {
        size_t length = 0;
        while (is_plain((unsigned char)text[length])) {
            length++;
        }
        put(writer, text, length);
        text += length;
        unsigned char c = (unsigned char)*text;
        if (c == '\0') {
            break;
        }
        char escape[8];
        length = 1;
        if (c == '"' || c == '\\') {
            escape[0] = '\\';
            escape[1] = (char)c;
            put(writer, escape, 2);
        } else if (c < 0x20 || c == 0x7f) {
            put(writer, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        } else if ((length = character_length(text)) > 0) {
            put(writer, text, length);
        } else {
            put(writer, "\xef\xbf\xbd", 3);
            length = 1;
        }
        text += length;
    }
    put(writer, "\"", 1);
}

static void put_key(struct json_writer *writer, const char *key) {
    if (writer->comma) {
        put(writer, ",", 1);
    }
    if (key != NULL) {
        put_string(writer, key);
        put(writer, ":", 1);
    }
    writer->comma = true;
}

void json_begin(struct json_writer *writer, char *text, size_t size) {
    *writer = (struct json_writer){.text = text, .size = size, .overflow = size == 0};
    if (size > 0) {
        text[0] = '\0';
    }
}

int json_end(struct json_writer *writer, size_t *ret_length) {
    if (writer->overflow) {
        return ERR_LIMIT;
    }
    *ret_length = writer->length;
    return 0;
}

void json_open(struct json_writer *writer, const char *key, char bracket) {
    put_key(writer, key);
    put(writer, &bracket, 1);
    writer->comma = false;
}

void json_close(struct json_writer *writer, char bracket) {
    put(writer, &bracket, 1);
    writer->comma = true;
}

void json_text(struct json_writer *writer, const char *key, const char *text) {
    put_key(writer, key);
    if (text == NULL) {
        put(writer, "null", 4);
    } else {
        put_string(writer, text);
    }
}

void json_number(struct json_writer *writer, const char *key, double value) {
    char number[32];
    put_key(writer, key);
    put(writer, number, text_format_double(value, number, sizeof number));
}

void json_int(struct json_writer *writer, const char *key, int64_t value) {
    char number[24];
    put_key(writer, key);
    put(writer, number, text_format_int(value, number));
}

void json_truth(struct json_writer *writer, const char *key, bool value) {
    put_key(writer, key);
    put(writer, value ? "true" : "false", value ? 4 : 5);
}

void json_null_value(struct json_writer *writer, const char *key) {
    put_key(writer, key);
    put(writer, "null", 4);
}

void json_time(struct json_writer *writer, const char *key, struct utc_us time) {
    char text[32];
    text_format_time(time.us, text, sizeof text);
    json_text(writer, key, text);
}

void json_hex(struct json_writer *writer, const char *key, const uint8_t *bytes, size_t count) {
    static const char digits[] = "0123456789abcdef";
    put_key(writer, key);
    put(writer, "\"", 1);
    for (size_t i = 0; i < count; i++) {
        char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        put(writer, pair, 2);
    }
    put(writer, "\"", 1);
}
