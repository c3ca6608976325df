/* What the parts of the loader share: the half-built site, and where everything stood in the files,
 * for the cross checks. Used by site.c, station_load.c, rule_load.c and area_check.c only.
 * Thread rule: one thread. */
#ifndef CANHBAO_CONFIG_LOADER_H
#define CANHBAO_CONFIG_LOADER_H

#include "alerts/tables/tables.h"
#include "daemon/config/option.h"
#include "daemon/config/options.h"
#include "daemon/config/site.h"

/* An id of the site and where it was given; sorted by id, later by place in the files. */
struct loader_id {
    const char *id;
    const struct yaml_node *node;
    uint32_t index;
};

struct loader {
    struct site *site;
    struct option_reader reader;
    struct yaml_doc **docs;
    size_t doc_count;
    const struct yaml_node **station_nodes; /* parallel to site.stations */
    const struct yaml_node **point_nodes;   /* parallel to site.points */
    const struct yaml_node **rule_nodes;    /* parallel to site.rules */
    struct loader_id *stations;             /* sorted; made by loader_sort_ids() */
    struct loader_id *areas;
    struct tables *tables; /* loaded when a rule first asks for them */
    bool tables_failed;    /* told already */
};

/* Appends one zeroed element of `size` bytes to an array of `count`; NULL with an error at `node`
 * when there is no memory or `max` is reached. */
void *loader_append(struct loader *loader, const struct yaml_node *node, void *array, size_t *count,
                    size_t size, size_t max, const char *what);

/* Reads a section of a map by its group; a section that is left out gets all defaults. Whether a
 * mandatory one is missing was told by the group that has it as a row. Returns the section's node
 * or NULL. */
const struct yaml_node *loader_section(struct loader *loader, const struct option_group *group,
                                       const struct yaml_node *map, const char *key, void *object);

/* Tells when a file's name is not its id. `expected` is NULL for inline entries. */
void loader_check_name(struct loader *loader, const struct yaml_node *map, const char *id,
                       const char *expected);

/* NULL when there is none. */
const struct loader_id *loader_find(const struct loader_id *ids, size_t count, const char *id);

/* A list of at most count_max durations into an array, strictly ascending. */
void loader_durations(struct loader *loader, const struct yaml_node *map, const char *key,
                      int64_t min_us, uint32_t count_max, int64_t *ret_list, uint32_t *ret_count);

/* product_load.c: one product of the list; adds errors. */
void loader_product(struct loader *loader, const struct yaml_node *map);
/* What the triggers and series of all products name exists; `list` may be NULL. After the rules. */
void loader_check_products(struct loader *loader, const struct yaml_node *list);

/* station_load.c: one station of a file or list entry; adds errors. */
void loader_station(struct loader *loader, const struct yaml_node *map, const char *expected);
/* logger_config.c: the sections clock, identity and memory of a station that is being read: before
 * it is appended, after its points. */
void loader_logger(struct loader *loader, const struct yaml_node *map,
                   const struct station *station, const struct site_link *link);
void site_print_logger(const struct site *site, size_t station, FILE *file);
/* connect.c: across stations: who shares endpoints and units, overlapping registers; fills
 * site.modbus. */
void loader_connect(struct loader *loader);
/* connect.c: the points that rules name are urgent; after all rules. */
void loader_mark_urgent(struct loader *loader);

/* rule_load.c; needs stations, areas, scales, products and the sorted ids. */
void loader_rule(struct loader *loader, const struct yaml_node *map, const char *expected);

/* rule_tables.c: the legal tables, loaded when first asked for; NULL with an error at `node` when
 * there are none. */
const struct tables *loader_tables(struct loader *loader, const struct yaml_node *node);

/* alerting_load.c: the sections about people; after the settings. And, with all rules loaded, whom
 * a rule names as masking or suppressing it. */
void loader_alerting(struct loader *loader, const struct yaml_node *root);
void loader_check_relations(struct loader *loader, const struct yaml_node *map,
                            const struct rule *rule);
void site_print_operators(const struct site *site, FILE *file);
void site_print_alerting(const struct site *site, FILE *file);

/* rule_tables.c: the codes of the communes named in a list "a;b;c", in the same order; adds an
 * error at `node` for a name that the table has not. */
void loader_communes(struct loader *loader, const struct yaml_node *node, const char *communes,
                     char ret_codes[STATION_COMMUNES_SIZE]);

/* area_check.c: the file holds a polygon of the area's id. */
void loader_check_area(struct loader *loader, const struct yaml_node *node,
                       const struct area *area);

/* site_print.c: the canonical text of one rule, as in the dump. */
void site_print_rule(const struct site *site, const struct rule *rule, unsigned indent, FILE *file);

/* Texts that are hashed into revisions; ret_text is from malloc(). ERR_MEMORY. */
int site_text_of(void (*print)(const void *object, FILE *file), const void *object, char **ret_text,
                 size_t *ret_length);

/* quality_config.c: two members of a map in their order (NaN: nothing to compare), and one above
 * zero. */
void loader_check_order(struct loader *loader, const struct yaml_node *node, const char *low_key,
                        double low, const char *high_key, double high, bool strict);
void loader_check_positive(struct loader *loader, const struct yaml_node *node, const char *key,
                           double value);
/* quality_config.c: the quality section of a point that is being read, and, when all stations are
 * known and the ids sorted, what refers to other points. */
void loader_quality(struct loader *loader, const struct yaml_node *map, struct point *point);
void loader_quality_others(struct loader *loader);
void site_print_quality(const struct site *site, const struct point *point, unsigned indent,
                        FILE *file);
/* Of a quality section, from the canonical text of its values. Never 0. */
uint32_t site_quality_revision(const struct site *site, const struct point *point);

#endif
