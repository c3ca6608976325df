/* A YAML file read strictly: every complaint names file:line:col, unknown and duplicate keys are
 * refused, numbers and times go through daemon/base/text.h.
 *
 * All doc_* readers return 0 or a negative code with ret_err filled; outputs are untouched on
 * failure. A node is a yaml_node_t of the loaded document and lives as long as the document.
 * Thread rule: one thread. */
#ifndef CANHBAO_SIM_DOC_H
#define CANHBAO_SIM_DOC_H

#include <stdbool.h>
#include <stdint.h>
#include <yaml.h>

#include "daemon/base/err.h"

enum { DOC_BYTES_MAX = 4 * 1024 * 1024, DOC_PATH_MAX = 1024 };

struct doc {
    yaml_document_t yaml;
    bool loaded;
    char path[DOC_PATH_MAX];
    int64_t origin_us; /* what "+10 min" counts from; set by the caller once it is known */
};

int doc_load(struct doc *doc, const char *path, struct err *ret_err);
void doc_free(struct doc *doc);

yaml_node_t *doc_root(struct doc *doc);

/* Fills ret_err with "file:line:col: ..." and returns code. */
__attribute__((format(printf, 5, 6))) int doc_fail(const struct doc *doc, const yaml_node_t *node,
                                                   struct err *ret_err, int code,
                                                   const char *format, ...);

/* The node must be a mapping whose keys all stand in the NULL-terminated list, none twice. */
int doc_check_keys(struct doc *doc, yaml_node_t *map, const char *const *allowed,
                   struct err *ret_err);

/* The value of a key, or NULL. */
yaml_node_t *doc_get(struct doc *doc, yaml_node_t *map, const char *key);

/* As doc_get, but a missing key is an error. */
int doc_need(struct doc *doc, yaml_node_t *map, const char *key, yaml_node_t **ret_node,
             struct err *ret_err);

/* Length of a sequence; fails when the node is something else or longer than max. */
int doc_list(struct doc *doc, yaml_node_t *node, size_t max, size_t *ret_count,
             struct err *ret_err);
yaml_node_t *doc_item(struct doc *doc, yaml_node_t *list, size_t index);

/* The only key and value of a one-entry mapping. */
int doc_single(struct doc *doc, yaml_node_t *map, const char **ret_key, yaml_node_t **ret_value,
               struct err *ret_err);

bool doc_is_scalar(const yaml_node_t *node);
bool doc_is_list(const yaml_node_t *node);

/* The scalar's text; valid as long as the document. */
int doc_text(struct doc *doc, yaml_node_t *node, const char **ret_text, struct err *ret_err);
int doc_id(struct doc *doc, yaml_node_t *node, const char **ret_text, struct err *ret_err);
int doc_double(struct doc *doc, yaml_node_t *node, double min, double max, double *ret_value,
               struct err *ret_err);
int doc_int(struct doc *doc, yaml_node_t *node, int64_t min, int64_t max, int64_t *ret_value,
            struct err *ret_err);
int doc_bool(struct doc *doc, yaml_node_t *node, bool *ret_value, struct err *ret_err);
int doc_duration(struct doc *doc, yaml_node_t *node, int64_t min_us, int64_t *ret_us,
                 struct err *ret_err);
/* RFC 3339 with zone, or "+" and a duration counted from doc->origin_us. */
int doc_time(struct doc *doc, yaml_node_t *node, int64_t *ret_us, struct err *ret_err);
/* The index of the scalar in a NULL-terminated list of words. */
int doc_word(struct doc *doc, yaml_node_t *node, const char *const *words, int *ret_index,
             struct err *ret_err);

/* The optional forms: leave *ret_value as it is when the key is absent. */
int doc_opt_double(struct doc *doc, yaml_node_t *map, const char *key, double min, double max,
                   double *ret_value, struct err *ret_err);
int doc_opt_int(struct doc *doc, yaml_node_t *map, const char *key, int64_t min, int64_t max,
                int64_t *ret_value, struct err *ret_err);
int doc_opt_time(struct doc *doc, yaml_node_t *map, const char *key, int64_t *ret_us,
                 struct err *ret_err);
int doc_opt_duration(struct doc *doc, yaml_node_t *map, const char *key, int64_t min_us,
                     int64_t *ret_us, struct err *ret_err);
int doc_opt_word(struct doc *doc, yaml_node_t *map, const char *key, const char *const *words,
                 int *ret_index, struct err *ret_err);
/* The mandatory forms. */
int doc_need_double(struct doc *doc, yaml_node_t *map, const char *key, double min, double max,
                    double *ret_value, struct err *ret_err);
int doc_need_int(struct doc *doc, yaml_node_t *map, const char *key, int64_t min, int64_t max,
                 int64_t *ret_value, struct err *ret_err);
int doc_need_time(struct doc *doc, yaml_node_t *map, const char *key, int64_t *ret_us,
                  struct err *ret_err);
int doc_need_duration(struct doc *doc, yaml_node_t *map, const char *key, int64_t min_us,
                      int64_t *ret_us, struct err *ret_err);

#endif
