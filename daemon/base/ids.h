/* Hashes and ids. SHA-256 (FIPS 180-4) by libnettle.
 * Thread rule: pure, or per-object. */
#ifndef CANHBAO_BASE_IDS_H
#define CANHBAO_BASE_IDS_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_SIZE = 32, HASH_TEXT_SIZE = 65, ID_TEXT_SIZE = 33 };

/* Lower-case hex of SHA-256 of the bytes. */
void hash_text(const void *bytes, size_t length, char ret_text[HASH_TEXT_SIZE]);

/* SHA-256 of a whole file, as hex. ERR_IO with errno kept. */
int hash_file(const char *path, char ret_text[HASH_TEXT_SIZE]);

/* A 128-bit id (hex) from an ordered list of strings. Every string is hashed with its length in
 * front, so that ("ab","c") and ("a","bc") differ. The same strings give the same id on every
 * machine. */
void id_from_strings(const char *const *strings, size_t count, char ret_id[ID_TEXT_SIZE]);

/* A 64-bit hash of a string for spreading phases and seeding jitter; stable across machines. */
uint64_t hash_spread(const char *text);

#endif
