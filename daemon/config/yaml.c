#include "daemon/config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "daemon/base/err.h"
#include "daemon/base/text.h"

/* Small, as a site of 10,000 stations has as many documents open while it is checked; must hold the
 * longest scalar. */
enum { BLOCK_SIZE = 8 * 1024 };

struct block {
    struct block *next;
    size_t used;
    _Alignas(max_align_t) char bytes[BLOCK_SIZE];
};

struct yaml_doc {
    struct block *blocks;
    struct yaml_node *root;
    const char *file;
    uint32_t nodes;
};

/* State of one run over the events. */
struct reading_state {
    struct yaml_doc *doc;
    struct yaml_node *open; /* the map or list that is being filled; NULL outside */
    uint32_t depth;
    uint32_t documents;
    const char *key; /* of the next value in a map; NULL: the next scalar is a key */
    unsigned key_line, key_column;
    struct config_errors *errors;
};

static void *take(struct yaml_doc *doc, size_t size) {
    size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    if (doc->blocks == NULL || BLOCK_SIZE - doc->blocks->used < size) {
        struct block *block = malloc(sizeof *block);
        if (block == NULL) {
            return NULL;
        }
        block->used = 0;
        block->next = doc->blocks;
        doc->blocks = block;
    }
    void *memory = doc->blocks->bytes + doc->blocks->used;
    doc->blocks->used += size;
    return memory;
}

static const char *take_text(struct yaml_doc *doc, const char *text, size_t length) {
    char *copy = take(doc, length + 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

static void node_path(const struct yaml_node *node, char *ret_path, size_t size) {
    const struct yaml_node *chain[YAML_DEPTH_MAX + 2];
    size_t depth = 0;
    size_t used = 0;
    for (; node->parent != NULL && depth < YAML_DEPTH_MAX + 2; node = node->parent) {
        chain[depth++] = node;
    }
    ret_path[0] = '\0';
    while (depth > 0 && used < size) {
        const struct yaml_node *part = chain[--depth];
        int length =
            part->key != NULL
                ? snprintf(ret_path + used, size - used, "%s%s", used > 0 ? "." : "", part->key)
                : snprintf(ret_path + used, size - used, "[%u]", (unsigned)part->index);
        used += length > 0 ? (size_t)length : 0;
    }
}

void yaml_error(struct config_errors *errors, const struct yaml_node *node, const char *format,
                ...) {
    char path[CONFIG_KEY_SIZE];
    char text[CONFIG_TEXT_SIZE];
    va_list arguments;
    node_path(node, path, sizeof path);
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* cut is fine */
    va_end(arguments);
    config_errors_add(errors, node->file, node->line, node->column, path, "%s", text);
}

void yaml_error_key(struct config_errors *errors, const struct yaml_node *node, const char *format,
                    ...) {
    char path[CONFIG_KEY_SIZE];
    char text[CONFIG_TEXT_SIZE];
    va_list arguments;
    node_path(node, path, sizeof path);
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* cut is fine */
    va_end(arguments);
    config_errors_add(errors, node->file, node->key_line, node->key_column, path, "%s", text);
}

__attribute__((format(printf, 3, 4))) static int refuse(struct reading_state *state,
                                                        yaml_mark_t mark, const char *format, ...) {
    char path[CONFIG_KEY_SIZE] = "";
    char text[CONFIG_TEXT_SIZE];
    va_list arguments;
    if (state->open != NULL) {
        node_path(state->open, path, sizeof path);
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* cut is fine */
    va_end(arguments);
    config_errors_add(state->errors, state->doc->file, (unsigned)mark.line + 1,
                      (unsigned)mark.column + 1, path, "%s", text);
    return ERR_INVALID;
}

/* Characters (not bytes) before `length` bytes of well-formed UTF-8. */
static unsigned characters(const char *text, size_t length) {
    unsigned count = 0;
    for (size_t i = 0; i < length; i++) {
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return count;
}

/* The longest prefix that is well-formed. The line is at most YAML_LINE_MAX long. */
static size_t well_formed(const char *line, size_t length) {
    size_t good = 0;
    for (size_t n = 1; n <= length; n++) {
        if (text_is_utf8_line(line + good, n - good)) {
            good = n;
        } else if (n - good >= 4) {
            break;
        }
    }
    return good;
}

/* U+2028 and U+2029 are line breaks to YAML 1.1 and to nobody else. NULL when there is none. */
static const char *find_separator(const char *text, size_t length) {
    const char *at = memmem(text, length, "\xe2\x80\xa8", 3);
    return at != NULL ? at : memmem(text, length, "\xe2\x80\xa9", 3);
}

static int check_line(const char *file, unsigned number, const char *line, size_t length,
                      struct config_errors *errors) {
    if (length > YAML_LINE_MAX) {
        config_errors_add(errors, file, number, YAML_LINE_MAX + 1, "",
                          "the line is longer than %d bytes", YAML_LINE_MAX);
        return ERR_LIMIT;
    }
    const char *separator = find_separator(line, length);
    if (separator != NULL) {
        config_errors_add(errors, file, number, characters(line, (size_t)(separator - line)) + 1,
                          "", "a Unicode line separator; expected plain line breaks");
        return ERR_SYNTAX;
    }
    if (text_is_utf8_line(line, length)) {
        return 0;
    }
    size_t good = well_formed(line, length);
    unsigned char byte = (unsigned char)line[good];
    unsigned column = characters(line, good) + 1;
    const char *what = byte == '\t'   ? "a tab; expected spaces"
                       : byte == '\0' ? "a NUL byte; expected text"
                       : byte < 0x80  ? "a control character; expected text"
                                      : "bytes that are not UTF-8 text";
    config_errors_add(errors, file, number, column, "", "%s", what);
    return ERR_SYNTAX;
}

/* What libyaml would let pass or tell without a position. */
static int check_bytes(const char *file, const char *bytes, size_t length,
                       struct config_errors *errors) {
    if (length > YAML_FILE_MAX) {
        config_errors_add(errors, file, 1, 1, "", "the file has %zu bytes; at most %d are read",
                          length, YAML_FILE_MAX);
        return ERR_LIMIT;
    }
    bool utf8_mark = length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0;
    bool utf16_mark =
        length >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0);
    if (utf8_mark || utf16_mark) {
        config_errors_add(errors, file, 1, 1, "",
                          "a byte-order mark; save the file as UTF-8 without one");
        return ERR_SYNTAX;
    }
    unsigned number = 1;
    for (size_t at = 0; at < length; number++) {
        const char *end = memchr(bytes + at, '\n', length - at);
        size_t next = end == NULL ? length : (size_t)(end - bytes);
        size_t line = next - at;
        if (line > 0 && end != NULL && bytes[next - 1] == '\r') {
            line--;
        }
        int result = check_line(file, number, bytes + at, line, errors);
        if (result != 0) {
            return result;
        }
        at = next + 1;
    }
    return 0;
}

static int new_node(struct reading_state *state, enum yaml_kind kind, yaml_mark_t mark,
                    struct yaml_node **ret_node) {
    if (state->doc->nodes == YAML_NODES_MAX) {
        return refuse(state, mark, "more than %d values in one file", YAML_NODES_MAX);
    }
    struct yaml_node *node = take(state->doc, sizeof *node);
    if (node == NULL) {
        return refuse(state, mark, "out of memory");
    }
    *node = (struct yaml_node){.kind = kind,
                               .text = "",
                               .line = (unsigned)mark.line + 1,
                               .column = (unsigned)mark.column + 1,
                               .file = state->doc->file,
                               .parent = state->open};
    node->key_line = node->line;
    node->key_column = node->column;
    if (state->open == NULL) {
        state->doc->root = node;
    } else {
        node->index = state->open->count++;
        if (state->open->kind == YAML_MAP) {
            node->key = state->key;
            node->key_line = state->key_line;
            node->key_column = state->key_column;
            state->key = NULL;
        }
        if (state->open->last == NULL) {
            state->open->first = node;
        } else {
            state->open->last->next = node;
        }
        state->open->last = node;
    }
    state->doc->nodes++;
    *ret_node = node;
    return 0;
}

static int take_key(struct reading_state *state, const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && strcmp(text, "<<") == 0) {
        return refuse(state, event->start_mark, "a merge key '<<'; write the values out");
    }
    if (!plain || length == 0 || length >= 64 ||
        strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != length) {
        return refuse(state, event->start_mark,
                      "'%.40s' is not a key; expected a plain word of a-z, 0-9, '_'", text);
    }
    const struct yaml_node *old = yaml_member(state->open, text);
    if (old != NULL) {
        return refuse(state, event->start_mark,
                      "the key '%s' stands here a second time; the first is in line %u", text,
                      old->key_line);
    }
    if (state->open->count == YAML_KEYS_MAX) {
        return refuse(state, event->start_mark, "more than %d keys in one map", YAML_KEYS_MAX);
    }
    state->key = take_text(state->doc, text, length);
    state->key_line = (unsigned)event->start_mark.line + 1;
    state->key_column = (unsigned)event->start_mark.column + 1;
    return state->key == NULL ? refuse(state, event->start_mark, "out of memory") : 0;
}

static int take_scalar(struct reading_state *state, const yaml_event_t *event) {
    if (event->data.scalar.anchor != NULL) {
        return refuse(state, event->start_mark, "an anchor '&%.40s'; write the value out",
                      (const char *)event->data.scalar.anchor);
    }
    if (event->data.scalar.tag != NULL) {
        return refuse(state, event->start_mark, "a tag '%.40s'; expected a plain value",
                      (const char *)event->data.scalar.tag);
    }
    if (event->data.scalar.length > YAML_SCALAR_MAX) {
        return refuse(state, event->start_mark, "the text is longer than %d bytes",
                      YAML_SCALAR_MAX);
    }
    if (state->open != NULL && state->open->kind == YAML_MAP && state->key == NULL) {
        return take_key(state, event);
    }
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (memchr(text, '\0', length) != NULL || find_separator(text, length) != NULL) {
        return refuse(state, event->start_mark,
                      "a NUL character or line separator in quotes; expected text");
    }
    struct yaml_node *node;
    int result = new_node(state, YAML_SCALAR, event->start_mark, &node);
    if (result == 0) {
        node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        node->text = take_text(state->doc, text, length);
        result = node->text == NULL ? refuse(state, event->start_mark, "out of memory") : 0;
    }
    return result;
}

static int open_branch(struct reading_state *state, enum yaml_kind kind, yaml_mark_t mark,
                       const yaml_char_t *anchor, const yaml_char_t *tag) {
    if (anchor != NULL) {
        return refuse(state, mark, "an anchor '&%.40s'; write the values out",
                      (const char *)anchor);
    }
    if (tag != NULL) {
        return refuse(state, mark, "a tag '%.40s'; expected plain values", (const char *)tag);
    }
    if (state->open != NULL && state->open->kind == YAML_MAP && state->key == NULL) {
        return refuse(state, mark, "a map or list as a key; expected a plain word");
    }
    if (state->depth == YAML_DEPTH_MAX) {
        return refuse(state, mark, "nested deeper than %d levels", YAML_DEPTH_MAX);
    }
    struct yaml_node *node;
    int result = new_node(state, kind, mark, &node);
    if (result == 0) {
        state->open = node;
        state->depth++;
    }
    return result;
}

static int take_event(struct reading_state *state, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return refuse(state, event->start_mark, "an alias '*%.40s'; write the value out",
                      (const char *)event->data.alias.anchor);
    case YAML_DOCUMENT_START_EVENT:
        if (state->documents++ > 0) {
            return refuse(state, event->start_mark, "a second document; expected one a file");
        }
        if (event->data.document_start.version_directive != NULL ||
            event->data.document_start.tag_directives.start !=
                event->data.document_start.tag_directives.end) {
            return refuse(state, event->start_mark, "a directive '%%'; expected plain YAML");
        }
        return 0;
    case YAML_SCALAR_EVENT:
        return take_scalar(state, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_branch(state, YAML_LIST, event->start_mark, event->data.sequence_start.anchor,
                           event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return open_branch(state, YAML_MAP, event->start_mark, event->data.mapping_start.anchor,
                           event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        state->open = state->open->parent;
        state->depth--;
        return 0;
    default:
        return 0;
    }
}

static int read_events(yaml_parser_t *parser, struct reading_state *state) {
    for (;;) {
        yaml_event_t event;
        if (yaml_parser_parse(parser, &event) == 0) {
            /* Depth and keys known so far are of no help to the reader of this message. */
            state->open = NULL;
            return refuse(state, parser->problem_mark, "not well-formed: %s",
                          parser->problem != NULL ? parser->problem : "unreadable");
        }
        bool done = event.type == YAML_STREAM_END_EVENT;
        int result = take_event(state, &event);
        yaml_event_delete(&event);
        if (result != 0 || done) {
            return result;
        }
    }
}

int yaml_parse(const char *file, const char *bytes, size_t length, struct yaml_doc **ret_doc,
               struct config_errors *errors) {
    int result = check_bytes(file, bytes, length, errors);
    if (result != 0) {
        return result;
    }
    struct yaml_doc *doc = calloc(1, sizeof *doc);
    yaml_parser_t parser;
    if (doc == NULL || (doc->file = take_text(doc, file, strlen(file))) == NULL ||
        yaml_parser_initialize(&parser) == 0) {
        yaml_destroy(doc);
        config_errors_add(errors, file, 1, 1, "", "out of memory");
        return ERR_MEMORY;
    }
    struct reading_state state = {.doc = doc, .errors = errors};
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, length);
    result = read_events(&parser, &state);
    yaml_parser_delete(&parser);
    if (result == 0 && doc->root == NULL) {
        config_errors_add(errors, file, 1, 1, "", "the file is empty");
        result = ERR_INVALID;
    }
    if (result != 0) {
        yaml_destroy(doc);
        return result;
    }
    *ret_doc = doc;
    return 0;
}

static int read_file(const char *path, const char *file, char *ret_bytes, size_t *ret_length,
                     struct config_errors *errors) {
    struct stat status;
    int result = ERR_IO;
    /* O_NONBLOCK: opening a pipe that nobody writes to must not hang the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) != 0) {
        config_errors_add(errors, file, 0, 0, "", "cannot be opened: %s", strerror(errno));
        goto done;
    }
    if (!S_ISREG(status.st_mode)) {
        config_errors_add(errors, file, 0, 0, "", "is not a regular file");
        goto done;
    }
    if (status.st_size > YAML_FILE_MAX) {
        config_errors_add(errors, file, 1, 1, "", "the file has %lld bytes; at most %d are read",
                          (long long)status.st_size, YAML_FILE_MAX);
        result = ERR_LIMIT;
        goto done;
    }
    size_t length = 0;
    ssize_t count = 1;
    while (count > 0 && length <= YAML_FILE_MAX) {
        count = read(fd, ret_bytes + length, (size_t)YAML_FILE_MAX + 1 - length);
        length += count > 0 ? (size_t)count : 0;
    }
    if (count < 0) {
        config_errors_add(errors, file, 0, 0, "", "cannot be read: %s", strerror(errno));
        goto done;
    }
    *ret_length = length;
    result = 0;
done:
    if (fd >= 0) {
        (void)close(fd); /* only read from */
    }
    return result;
}

int yaml_load(const char *path, const char *file, struct yaml_doc **ret_doc,
              struct config_errors *errors) {
    size_t length;
    char *bytes = malloc((size_t)YAML_FILE_MAX + 1);
    if (bytes == NULL) {
        config_errors_add(errors, file, 0, 0, "", "out of memory");
        return ERR_MEMORY;
    }
    int result = read_file(path, file, bytes, &length, errors);
    if (result == 0) {
        result = yaml_parse(file, bytes, length, ret_doc, errors);
    }
    free(bytes);
    return result;
}

void yaml_destroy(struct yaml_doc *doc) {
    if (doc == NULL) {
        return;
    }
    while (doc->blocks != NULL) {
        struct block *next = doc->blocks->next;
        free(doc->blocks);
        doc->blocks = next;
    }
    free(doc);
}

const struct yaml_node *yaml_root(const struct yaml_doc *doc) {
    return doc->root;
}

const struct yaml_node *yaml_member(const struct yaml_node *map, const char *key) {
    if (map == NULL || map->kind != YAML_MAP) {
        return NULL;
    }
    for (const struct yaml_node *node = map->first; node != NULL; node = node->next) {
        if (strcmp(node->key, key) == 0) {
            return node;
        }
    }
    return NULL;
}
