/* What the readers of rules share: rule_load.c (the whole rule) and rule_tables.c (what comes from
 * legal tables). Nobody else includes it. Thread rule: one thread. */
#ifndef CANHBAO_CONFIG_RULE_READER_H
#define CANHBAO_CONFIG_RULE_READER_H

#include "daemon/config/loader.h"

/* One rule while it is read. */
struct rule_reader {
    struct loader *loader;
    struct rule *rule;
    char names[RULE_INDICATORS_MAX][STATION_ID_SIZE];
    char units[RULE_INDICATORS_MAX][STATION_UNIT_SIZE]; /* empty: not known, told already */
    const struct yaml_node *level_nodes[RULE_LEVELS_MAX];
};

static inline struct config_errors *errors_of(const struct rule_reader *reader) {
    return reader->loader->reader.errors;
}

/* rule_load.c */
/* One more condition, a comparison until told otherwise; NULL with an error when there are too
 * many. */
struct rule_node *rule_reader_node(struct rule_reader *reader, const struct yaml_node *node);
/* A value with unit, converted to `unit`. */
int rule_reader_value(struct rule_reader *reader, const struct yaml_node *node,
                      enum option_type type, const char *unit, double *ret_value);
/* ERR_NOT_FOUND with an error at the node. */
int rule_reader_indicator(struct rule_reader *reader, const struct yaml_node *name,
                          uint8_t *ret_index);

/* rule_tables.c */
/* "table NAME ROW COLUMN" as the threshold of a comparison; a ROW without its day becomes a node
 * DATED with a comparison for every day from which it holds. False: the text is no such reference;
 * faults of one are told. */
bool rule_read_cell(struct rule_reader *reader, const struct yaml_node *node,
                    struct rule_node *rule_node);
/* Of a rule on observed flood alarm levels: the hours of its bulletins. */
void rule_read_issues(struct rule_reader *reader, const struct yaml_node *map);
/* The section levels_from: levels made of the table of risk levels. */
void rule_read_levels_from(struct rule_reader *reader, const struct yaml_node *map);

#endif
