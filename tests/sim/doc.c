#include "doc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"

int doc_fail(const struct doc *doc, const yaml_node_t *node, struct err *ret_err, int code,
             const char *format, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args); /* a cut sentence is still a sentence */
    va_end(args);
    return err_set(ret_err, code, "%s:%zu:%zu: %s", doc->path, node->start_mark.line + 1,
                   node->start_mark.column + 1, text);
}

static int open_bounded(const char *path, FILE **ret_file, struct err *ret_err) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return err_set(ret_err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0) {
        (void)fclose(file); /* read only: nothing to lose */
        return err_set(ret_err, ERR_IO, "%s: cannot be read from start to end", path);
    }
    if (size > DOC_BYTES_MAX) {
        (void)fclose(file);
        return err_set(ret_err, ERR_LIMIT, "%s: %ld bytes, more than %d", path, size,
                       DOC_BYTES_MAX);
    }
    *ret_file = file;
    return 0;
}

int doc_load(struct doc *doc, const char *path, struct err *ret_err) {
    memset(doc, 0, sizeof *doc);
    if (text_copy(doc->path, sizeof doc->path, path) != 0) {
        return err_set(ret_err, ERR_LIMIT, "path too long: %.200s...", path);
    }
    FILE *file = NULL;
    int result = open_bounded(path, &file, ret_err);
    if (result != 0) {
        return result;
    }
    yaml_parser_t parser;
    yaml_document_t more;
    if (yaml_parser_initialize(&parser) == 0) {
        (void)fclose(file);
        return err_set(ret_err, ERR_MEMORY, "%s: no memory for the parser", path);
    }
    yaml_parser_set_input_file(&parser, file);
    if (yaml_parser_load(&parser, &doc->yaml) == 0) {
        result = err_set(ret_err, ERR_SYNTAX, "%s:%zu:%zu: %s", path, parser.problem_mark.line + 1,
                         parser.problem_mark.column + 1,
                         parser.problem != NULL ? parser.problem : "cannot be read");
        goto out;
    }
    doc->loaded = true;
    if (doc_root(doc) == NULL) {
        result = err_set(ret_err, ERR_INVALID, "%s:1:1: the file is empty", path);
        goto out;
    }
    if (yaml_parser_load(&parser, &more) == 0) {
        result = err_set(ret_err, ERR_SYNTAX, "%s:%zu:%zu: %s", path, parser.problem_mark.line + 1,
                         parser.problem_mark.column + 1,
                         parser.problem != NULL ? parser.problem : "cannot be read");
        goto out;
    }
    if (yaml_document_get_root_node(&more) != NULL) {
        result = doc_fail(doc, yaml_document_get_root_node(&more), ret_err, ERR_INVALID,
                          "a second document; one is expected");
    }
    yaml_document_delete(&more);
out:
    yaml_parser_delete(&parser);
    (void)fclose(file);
    if (result != 0) {
        doc_free(doc);
    }
    return result;
}

void doc_free(struct doc *doc) {
    if (doc != NULL && doc->loaded) {
        yaml_document_delete(&doc->yaml);
        doc->loaded = false;
    }
}

yaml_node_t *doc_root(struct doc *doc) {
    return yaml_document_get_root_node(&doc->yaml);
}

static yaml_node_t *key_node(struct doc *doc, const yaml_node_pair_t *pair) {
    return yaml_document_get_node(&doc->yaml, pair->key);
}

static bool key_is(const yaml_node_t *key, const char *word) {
    return key->type == YAML_SCALAR_NODE && strcmp((const char *)key->data.scalar.value, word) == 0;
}

int doc_check_keys(struct doc *doc, yaml_node_t *map, const char *const *allowed,
                   struct err *ret_err) {
    if (map->type != YAML_MAPPING_NODE) {
        return doc_fail(doc, map, ret_err, ERR_SYNTAX, "keys with values are expected here");
    }
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top;
         pair++) {
        yaml_node_t *key = key_node(doc, pair);
        if (key->type != YAML_SCALAR_NODE) {
            return doc_fail(doc, key, ret_err, ERR_SYNTAX, "a key must be a word");
        }
        const char *word = (const char *)key->data.scalar.value;
        size_t i = 0;
        while (allowed != NULL && allowed[i] != NULL && strcmp(allowed[i], word) != 0) {
            i++;
        }
        if (allowed != NULL && allowed[i] == NULL) {
            char known[256] = "";
            for (size_t k = 0; allowed[k] != NULL; k++) {
                size_t used = strlen(known);
                (void)snprintf(known + used, sizeof known - used, "%s%s", k > 0 ? ", " : "",
                               allowed[k]);
            }
            return doc_fail(doc, key, ret_err, ERR_NOT_FOUND, "unknown key '%.60s'; known: %s",
                            word, known);
        }
        for (yaml_node_pair_t *before = map->data.mapping.pairs.start; before < pair; before++) {
            if (key_is(key_node(doc, before), word)) {
                return doc_fail(doc, key, ret_err, ERR_EXISTS, "key '%.60s' stands twice", word);
            }
        }
    }
    return 0;
}

yaml_node_t *doc_get(struct doc *doc, yaml_node_t *map, const char *key) {
    if (map == NULL || map->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top;
         pair++) {
        if (key_is(key_node(doc, pair), key)) {
            return yaml_document_get_node(&doc->yaml, pair->value);
        }
    }
    return NULL;
}

int doc_need(struct doc *doc, yaml_node_t *map, const char *key, yaml_node_t **ret_node,
             struct err *ret_err) {
    yaml_node_t *node = doc_get(doc, map, key);
    if (node == NULL) {
        return doc_fail(doc, map, ret_err, ERR_NOT_FOUND, "'%s' is missing here", key);
    }
    *ret_node = node;
    return 0;
}

int doc_list(struct doc *doc, yaml_node_t *node, size_t max, size_t *ret_count,
             struct err *ret_err) {
    if (node->type != YAML_SEQUENCE_NODE) {
        return doc_fail(doc, node, ret_err, ERR_SYNTAX, "a list is expected here");
    }
    size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    if (count > max) {
        return doc_fail(doc, node, ret_err, ERR_LIMIT, "%zu entries, at most %zu are allowed",
                        count, max);
    }
    *ret_count = count;
    return 0;
}

yaml_node_t *doc_item(struct doc *doc, yaml_node_t *list, size_t index) {
    return yaml_document_get_node(&doc->yaml, list->data.sequence.items.start[index]);
}

int doc_single(struct doc *doc, yaml_node_t *map, const char **ret_key, yaml_node_t **ret_value,
               struct err *ret_err) {
    int result = doc_check_keys(doc, map, NULL, ret_err);
    if (result != 0) {
        return result;
    }
    yaml_node_pair_t *pair = map->data.mapping.pairs.start;
    if (map->data.mapping.pairs.top - pair != 1) {
        return doc_fail(doc, map, ret_err, ERR_SYNTAX, "exactly one key is expected here");
    }
    *ret_key = (const char *)key_node(doc, pair)->data.scalar.value;
    *ret_value = yaml_document_get_node(&doc->yaml, pair->value);
    return 0;
}

bool doc_is_scalar(const yaml_node_t *node) {
    return node->type == YAML_SCALAR_NODE;
}

bool doc_is_list(const yaml_node_t *node) {
    return node->type == YAML_SEQUENCE_NODE;
}

int doc_text(struct doc *doc, yaml_node_t *node, const char **ret_text, struct err *ret_err) {
    if (node->type != YAML_SCALAR_NODE) {
        return doc_fail(doc, node, ret_err, ERR_SYNTAX, "a single value is expected here");
    }
    const char *text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length) {
        return doc_fail(doc, node, ret_err, ERR_SYNTAX, "a NUL character inside the value");
    }
    *ret_text = text;
    return 0;
}

int doc_id(struct doc *doc, yaml_node_t *node, const char **ret_text, struct err *ret_err) {
    const char *text = NULL;
    int result = doc_text(doc, node, &text, ret_err);
    if (result == 0 && !text_is_id(text)) {
        result = doc_fail(doc, node, ret_err, ERR_SYNTAX,
                          "'%.60s' is no name: 1 to 63 of a-z, 0-9 and single - _ . inside", text);
    }
    if (result == 0) {
        *ret_text = text;
    }
    return result;
}

int doc_double(struct doc *doc, yaml_node_t *node, double min, double max, double *ret_value,
               struct err *ret_err) {
    const char *text = NULL;
    int result = doc_text(doc, node, &text, ret_err);
    if (result == 0 && (result = text_parse_double(text, min, max, ret_value)) != 0) {
        result = doc_fail(doc, node, ret_err, result, "'%.60s': a number from %g to %g is expected",
                          text, min, max);
    }
    return result;
}

int doc_int(struct doc *doc, yaml_node_t *node, int64_t min, int64_t max, int64_t *ret_value,
            struct err *ret_err) {
    const char *text = NULL;
    int result = doc_text(doc, node, &text, ret_err);
    if (result == 0 && (result = text_parse_int(text, min, max, ret_value)) != 0) {
        result = doc_fail(doc, node, ret_err, result,
                          "'%.60s': a whole number from %lld to %lld is expected", text,
                          (long long)min, (long long)max);
    }
    return result;
}

int doc_bool(struct doc *doc, yaml_node_t *node, bool *ret_value, struct err *ret_err) {
    const char *text = NULL;
    int result = doc_text(doc, node, &text, ret_err);
    if (result == 0 && (result = text_parse_bool(text, ret_value)) != 0) {
        result = doc_fail(doc, node, ret_err, result, "'%.60s': true or false is expected", text);
    }
    return result;
}

int doc_duration(struct doc *doc, yaml_node_t *node, int64_t min_us, int64_t *ret_us,
                 struct err *ret_err) {
    const char *text = NULL;
    int64_t us;
    int result = doc_text(doc, node, &text, ret_err);
    if (result != 0) {
        return result;
    }
    result = text_parse_duration_us(text, &us);
    if (result != 0) {
        return doc_fail(doc, node, ret_err, result,
                        "'%.60s': a duration with ms, s, min, h or d is expected", text);
    }
    if (us < min_us) {
        return doc_fail(doc, node, ret_err, ERR_RANGE, "'%.60s': at least %lld ms are expected",
                        text, (long long)(min_us / 1000));
    }
    *ret_us = us;
    return 0;
}

int doc_time(struct doc *doc, yaml_node_t *node, int64_t *ret_us, struct err *ret_err) {
    const char *text = NULL;
    int64_t us;
    int result = doc_text(doc, node, &text, ret_err);
    if (result != 0) {
        return result;
    }
    if (text[0] == '+') {
        result = text_parse_duration_us(text + 1, &us);
        us = result == 0 ? us + doc->origin_us : 0;
    } else {
        result = text_parse_time(text, &us);
    }
    if (result != 0) {
        return doc_fail(doc, node, ret_err, result,
                        "'%.60s': a time like 2025-11-18T00:00:00Z, or +10 min after the start, is "
                        "expected",
                        text);
    }
    *ret_us = us;
    return 0;
}

int doc_word(struct doc *doc, yaml_node_t *node, const char *const *words, int *ret_index,
             struct err *ret_err) {
    const char *text = NULL;
    int result = doc_text(doc, node, &text, ret_err);
    if (result != 0) {
        return result;
    }
    char known[256] = "";
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *ret_index = i;
            return 0;
        }
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    return doc_fail(doc, node, ret_err, ERR_NOT_FOUND, "'%.60s': one of %s is expected", text,
                    known);
}

int doc_opt_double(struct doc *doc, yaml_node_t *map, const char *key, double min, double max,
                   double *ret_value, struct err *ret_err) {
    yaml_node_t *node = doc_get(doc, map, key);
    return node == NULL ? 0 : doc_double(doc, node, min, max, ret_value, ret_err);
}

int doc_opt_int(struct doc *doc, yaml_node_t *map, const char *key, int64_t min, int64_t max,
                int64_t *ret_value, struct err *ret_err) {
    yaml_node_t *node = doc_get(doc, map, key);
    return node == NULL ? 0 : doc_int(doc, node, min, max, ret_value, ret_err);
}

int doc_opt_time(struct doc *doc, yaml_node_t *map, const char *key, int64_t *ret_us,
                 struct err *ret_err) {
    yaml_node_t *node = doc_get(doc, map, key);
    return node == NULL ? 0 : doc_time(doc, node, ret_us, ret_err);
}

int doc_opt_duration(struct doc *doc, yaml_node_t *map, const char *key, int64_t min_us,
                     int64_t *ret_us, struct err *ret_err) {
    yaml_node_t *node = doc_get(doc, map, key);
    return node == NULL ? 0 : doc_duration(doc, node, min_us, ret_us, ret_err);
}

int doc_opt_word(struct doc *doc, yaml_node_t *map, const char *key, const char *const *words,
                 int *ret_index, struct err *ret_err) {
    yaml_node_t *node = doc_get(doc, map, key);
    return node == NULL ? 0 : doc_word(doc, node, words, ret_index, ret_err);
}

int doc_need_double(struct doc *doc, yaml_node_t *map, const char *key, double min, double max,
                    double *ret_value, struct err *ret_err) {
    yaml_node_t *node = NULL;
    int result = doc_need(doc, map, key, &node, ret_err);
    return result != 0 ? result : doc_double(doc, node, min, max, ret_value, ret_err);
}

int doc_need_int(struct doc *doc, yaml_node_t *map, const char *key, int64_t min, int64_t max,
                 int64_t *ret_value, struct err *ret_err) {
    yaml_node_t *node = NULL;
    int result = doc_need(doc, map, key, &node, ret_err);
    return result != 0 ? result : doc_int(doc, node, min, max, ret_value, ret_err);
}

int doc_need_time(struct doc *doc, yaml_node_t *map, const char *key, int64_t *ret_us,
                  struct err *ret_err) {
    yaml_node_t *node = NULL;
    int result = doc_need(doc, map, key, &node, ret_err);
    return result != 0 ? result : doc_time(doc, node, ret_us, ret_err);
}

int doc_need_duration(struct doc *doc, yaml_node_t *map, const char *key, int64_t min_us,
                      int64_t *ret_us, struct err *ret_err) {
    yaml_node_t *node = NULL;
    int result = doc_need(doc, map, key, &node, ret_err);
    return result != 0 ? result : doc_duration(doc, node, min_us, ret_us, ret_err);
}
