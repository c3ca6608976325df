#include "daemon/base/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"

void bytes_finish(struct bytes *bytes) {
    free(bytes->data);
    *bytes = (struct bytes){0};
}

void bytes_clear(struct bytes *bytes) {
    bytes->length = 0;
    bytes->error = 0;
}

void bytes_put(struct bytes *bytes, const void *data, size_t length) {
    if (bytes->error != 0 || length == 0) {
        return;
    }
    if (length > SIZE_MAX / 4 || bytes->length > SIZE_MAX / 4) {
        bytes->error = ERR_MEMORY;
        return;
    }
    if (bytes->capacity - bytes->length < length) {
        size_t capacity = bytes->capacity < 256 ? 256 : bytes->capacity;
        while (capacity < bytes->length + length) {
            capacity *= 2;
        }
        uint8_t *grown = realloc(bytes->data, capacity);
        if (grown == NULL) {
            bytes->error = ERR_MEMORY;
            return;
        }
        bytes->data = grown;
        bytes->capacity = capacity;
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static void put_little(struct bytes *bytes, uint64_t value, size_t size) {
    uint8_t little[8];
    for (size_t i = 0; i < size; i++) {
        little[i] = (uint8_t)(value >> (8 * i));
    }
    bytes_put(bytes, little, size);
}

void bytes_put_u8(struct bytes *bytes, uint8_t value) {
    bytes_put(bytes, &value, 1);
}

void bytes_put_u32(struct bytes *bytes, uint32_t value) {
    put_little(bytes, value, 4);
}

void bytes_put_u64(struct bytes *bytes, uint64_t value) {
    put_little(bytes, value, 8);
}

void bytes_put_i64(struct bytes *bytes, int64_t value) {
    put_little(bytes, (uint64_t)value, 8);
}

void bytes_put_double(struct bytes *bytes, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_little(bytes, bits, 8);
}

void bytes_put_text(struct bytes *bytes, const char *text) {
    size_t length = strlen(text);
    if (length > UINT16_MAX) {
        bytes->error = bytes->error != 0 ? bytes->error : ERR_LIMIT;
        return;
    }
    put_little(bytes, length, 2);
    bytes_put(bytes, text, length);
}

void bytes_read_init(struct bytes_reader *reader, const void *data, size_t length) {
    *reader = (struct bytes_reader){.data = data, .length = length};
}

size_t bytes_left(const struct bytes_reader *reader) {
    return reader->failed ? 0 : reader->length - reader->at;
}

void bytes_get(struct bytes_reader *reader, void *ret_data, size_t length) {
    if (bytes_left(reader) < length) {
        reader->failed = true;
    }
    if (reader->failed) {
        memset(ret_data, 0, length);
        return;
    }
    if (length > 0) {
        memcpy(ret_data, reader->data + reader->at, length);
        reader->at += length;
    }
}

static uint64_t get_little(struct bytes_reader *reader, size_t size) {
    uint8_t little[8];
    uint64_t value = 0;
    bytes_get(reader, little, size);
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)little[i] << (8 * i);
    }
    return value;
}

uint8_t bytes_get_u8(struct bytes_reader *reader) {
    return (uint8_t)get_little(reader, 1);
}

uint8_t bytes_get_enum(struct bytes_reader *reader, uint8_t count) {
    uint8_t value = bytes_get_u8(reader);
    if (value >= count) {
        reader->failed = true;
        return 0;
    }
    return value;
}

bool bytes_get_bool(struct bytes_reader *reader) {
    return bytes_get_enum(reader, 2) == 1;
}

uint32_t bytes_get_u32(struct bytes_reader *reader) {
    return (uint32_t)get_little(reader, 4);
}

uint64_t bytes_get_u64(struct bytes_reader *reader) {
    return get_little(reader, 8);
}

int64_t bytes_get_i64(struct bytes_reader *reader) {
    return (int64_t)get_little(reader, 8);
}

double bytes_get_double(struct bytes_reader *reader) {
    uint64_t bits = get_little(reader, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void bytes_get_text(struct bytes_reader *reader, char *ret_text, size_t size) {
    size_t length = get_little(reader, 2);
    ret_text[0] = '\0';
    if (length >= size) {
        reader->failed = true;
        return;
    }
    bytes_get(reader, ret_text, length);
    ret_text[length] = '\0';
    if (reader->failed || memchr(ret_text, '\0', length) != NULL) {
        reader->failed = true;
        ret_text[0] = '\0';
    }
}
