/* A strict subset of YAML 1.1 (libyaml's event interface) as a bounded tree that knows where every
 * value stands.
 *
 * Scalars stay text; what "010" or "yes" means is decided by the option that reads it. Refused, as
 * they hide what a file says or how large it becomes: aliases, anchors, tags, directives, merge
 * keys, duplicate keys, several documents, tabs, byte-order marks, control characters, bytes that
 * are not UTF-8, keys that are not plain words.
 *
 * Limits: YAML_FILE_MAX bytes, YAML_LINE_MAX bytes a line, YAML_DEPTH_MAX levels, YAML_NODES_MAX
 * nodes, YAML_KEYS_MAX keys a map, YAML_SCALAR_MAX bytes a scalar.
 *
 * Thread rule: per document. */
#ifndef CANHBAO_CONFIG_YAML_H
#define CANHBAO_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config/errors.h"

enum {
    YAML_FILE_MAX = 1 << 20,
    YAML_LINE_MAX = 4096,
    YAML_DEPTH_MAX = 12,
    YAML_NODES_MAX = 100000,
    YAML_KEYS_MAX = 256,
    YAML_SCALAR_MAX = 4096
};

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    const char *text;      /* YAML_SCALAR: never NULL; empty for "key:" with nothing behind it */
    bool quoted;           /* YAML_SCALAR: written in quotes or as a block */
    const char *key;       /* member of a map: its key, else NULL */
    uint32_t index;        /* member of a list: from 0 */
    unsigned line, column; /* of the value, from 1 */
    unsigned key_line, key_column;  /* of the key; of the value in a list */
    struct yaml_node *parent;       /* NULL at the root */
    struct yaml_node *first, *last; /* children in the order of the file */
    struct yaml_node *next;         /* sibling */
    uint32_t count;                 /* of children */
    const char *file;               /* name for messages */
};

struct yaml_doc;

/* Parses `length` bytes. `file` is the name for messages; it is copied. On failure one error is
 * added and the result is negative. */
int yaml_parse(const char *file, const char *bytes, size_t length, struct yaml_doc **ret_doc,
               struct config_errors *errors);

/* Reads and parses a regular file (a pipe or device is refused, as is a file above the limit,
 * before a byte of it is read). */
int yaml_load(const char *path, const char *file, struct yaml_doc **ret_doc,
              struct config_errors *errors);

void yaml_destroy(struct yaml_doc *doc);

/* Never NULL; valid as long as the document. */
const struct yaml_node *yaml_root(const struct yaml_doc *doc);

/* Member of a map, or NULL; also where there is no map (NULL, or a node of another kind). */
const struct yaml_node *yaml_member(const struct yaml_node *map, const char *key);

/* Adds an error at a node's value, or at its key. */
__attribute__((format(printf, 3, 4))) void
yaml_error(struct config_errors *errors, const struct yaml_node *node, const char *format, ...);
__attribute__((format(printf, 3, 4))) void
yaml_error_key(struct config_errors *errors, const struct yaml_node *node, const char *format, ...);

#endif
