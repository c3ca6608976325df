/* A growing buffer of bytes, and bounds-checked writing and reading of fixed little-endian forms.
 *
 * Errors stick: after the first one every further call does nothing, and the final state is asked
 * once. Doubles keep their bits. Thread rule: per object. */
#ifndef CANHBAO_BASE_BYTES_H
#define CANHBAO_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise; bytes_finish() frees. */
struct bytes {
    uint8_t *data;
    size_t length, capacity;
    int error; /* 0, ERR_MEMORY, or ERR_LIMIT (a text too long) */
};

void bytes_finish(struct bytes *bytes);
/* Keeps the memory, drops the content and the error. */
void bytes_clear(struct bytes *bytes);
void bytes_put(struct bytes *bytes, const void *data, size_t length);
void bytes_put_u8(struct bytes *bytes, uint8_t value);
void bytes_put_u32(struct bytes *bytes, uint32_t value);
void bytes_put_u64(struct bytes *bytes, uint64_t value);
void bytes_put_i64(struct bytes *bytes, int64_t value);
void bytes_put_double(struct bytes *bytes, double value);
/* At most 65535 bytes: length and characters, without the end. */
void bytes_put_text(struct bytes *bytes, const char *text);

struct bytes_reader {
    const uint8_t *data;
    size_t length, at;
    bool failed; /* something did not fit or was out of its bounds */
};

void bytes_read_init(struct bytes_reader *reader, const void *data, size_t length);
/* The getters give 0 once the reader has failed. */
void bytes_get(struct bytes_reader *reader, void *ret_data, size_t length);
uint8_t bytes_get_u8(struct bytes_reader *reader);
bool bytes_get_bool(struct bytes_reader *reader); /* fails on anything but 0 and 1 */
/* Fails unless below `count`. */
uint8_t bytes_get_enum(struct bytes_reader *reader, uint8_t count);
uint32_t bytes_get_u32(struct bytes_reader *reader);
uint64_t bytes_get_u64(struct bytes_reader *reader);
int64_t bytes_get_i64(struct bytes_reader *reader);
double bytes_get_double(struct bytes_reader *reader);
/* Fails when it does not fit into `size` with its end, or contains a zero byte. */
void bytes_get_text(struct bytes_reader *reader, char *ret_text, size_t size);
size_t bytes_left(const struct bytes_reader *reader);

#endif
