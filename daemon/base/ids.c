#include "daemon/base/ids.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/err.h"

static void to_hex(const uint8_t *bytes, size_t count, char *ret_text) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * count] = '\0';
}

void hash_text(const void *bytes, size_t length, char ret_text[HASH_TEXT_SIZE]) {
    struct sha256_ctx context;
    uint8_t digest[HASH_SIZE];
    sha256_init(&context);
    sha256_update(&context, length, bytes);
    sha256_digest(&context, sizeof digest, digest);
    to_hex(digest, sizeof digest, ret_text);
}

int hash_file(const char *path, char ret_text[HASH_TEXT_SIZE]) {
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return ERR_IO;
    }
    struct sha256_ctx context;
    uint8_t chunk[16384];
    size_t count;
    sha256_init(&context);
    while ((count = fread(chunk, 1, sizeof chunk, file)) > 0) {
        sha256_update(&context, count, chunk);
    }
    int failed = ferror(file);
    (void)fclose(file); /* only read from */
    if (failed != 0) {
        return ERR_IO;
    }
    uint8_t digest[HASH_SIZE];
    sha256_digest(&context, sizeof digest, digest);
    to_hex(digest, sizeof digest, ret_text);
    return 0;
}

static void digest_strings(const char *const *strings, size_t count,
                           uint8_t ret_digest[HASH_SIZE]) {
    struct sha256_ctx context;
    sha256_init(&context);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(strings[i]);
        uint8_t prefix[8];
        for (int b = 0; b < 8; b++) {
            prefix[b] = (uint8_t)((uint64_t)length >> (8 * b));
        }
        sha256_update(&context, sizeof prefix, prefix);
        sha256_update(&context, length, (const uint8_t *)strings[i]);
    }
    sha256_digest(&context, HASH_SIZE, ret_digest);
}

void id_from_strings(const char *const *strings, size_t count, char ret_id[ID_TEXT_SIZE]) {
    uint8_t digest[HASH_SIZE];
    digest_strings(strings, count, digest);
    to_hex(digest, (ID_TEXT_SIZE - 1) / 2, ret_id);
}

uint64_t hash_spread(const char *text) {
    uint8_t digest[HASH_SIZE];
    uint64_t value = 0;
    digest_strings(&text, 1, digest);
    for (int i = 0; i < 8; i++) {
        value = (value << 8) | digest[i];
    }
    return value;
}
