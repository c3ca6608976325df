/* The sentences of one language: lines of "key = sentence with {names}", see templates/vi.txt. They
 * are built into the program. Thread rule: constant after creation. */
#ifndef CANHBAO_ALERTS_MESSAGE_PHRASES_H
#define CANHBAO_ALERTS_MESSAGE_PHRASES_H

#include <stddef.h>

#include "daemon/base/err.h"

enum language { LANGUAGE_VI, LANGUAGE_EN, LANGUAGE_COUNT };

enum { PHRASES_BYTES_MAX = 65536, PHRASES_MAX = 512 };

struct phrases;

/* The built-in sentences. ERR_SYNTAX with line (a defect of the build), ERR_MEMORY. */
int phrases_create(enum language language, struct phrases **ret_phrases, struct err *ret_err);
/* The same from bytes. ERR_SYNTAX: a line without key, a key that comes twice, a {name} that is not
 * known, bytes that are not UTF-8; ERR_NOT_FOUND: a key that must be there; ERR_LIMIT. */
int phrases_parse(enum language language, const char *bytes, size_t length,
                  struct phrases **ret_phrases, struct err *ret_err);
struct phrases *phrases_destroy(struct phrases *phrases); /* NULL is fine; returns NULL */

enum language phrases_language(const struct phrases *phrases);
/* NULL: there is none. */
const char *phrases_find(const struct phrases *phrases, const char *key);

#endif
