/* Thresholds and whole rules from the legal tables (alerts/tables). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alerts/flood_bulletin.h"
#include "alerts/tables/grade.h"
#include "alerts/tables/refer.h"
#include "daemon/base/text.h"
#include "daemon/config/rule_reader.h"

enum { DATED_MAX = 8 }; /* rows of one limit, one after the other */

/* ---- where the tables are ---- */

/* The folder that the site names, else ../share of the program's own folder: as installed, and in
 * the build tree (whose tests lie a folder deeper). */
static int find_tables(const struct site *site, char *ret_dir, size_t size) {
    static const char *const places[] = {"../share", "../../share"};
    char own[SITE_PATH_SIZE];
    const char *named = site->settings.tables_dir;
    if (named[0] != '\0') {
        int length = named[0] == '/' ? snprintf(ret_dir, size, "%s", named)
                                     : snprintf(ret_dir, size, "%s/%s", site->dir, named);
        return length > 0 && (size_t)length < size ? 0 : ERR_LIMIT;
    }
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(own, '/');
    for (size_t i = 0; slash != NULL && i < sizeof places / sizeof places[0]; i++) {
        int written =
            snprintf(ret_dir, size, "%.*s/%s/canhbaod/tables", (int)(slash - own), own, places[i]);
        if (written > 0 && (size_t)written < size && access(ret_dir, R_OK | X_OK) == 0) {
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

const struct tables *loader_tables(struct loader *loader, const struct yaml_node *node) {
    char dir[2 * SITE_PATH_SIZE];
    struct err err = {0};
    if (loader->tables != NULL || loader->tables_failed) {
        return loader->tables;
    }
    if (find_tables(loader->site, dir, sizeof dir) != 0) {
        loader->tables_failed = true;
        yaml_error(loader->reader.errors, node,
                   "the legal tables are not beside the program; expected the key tables of site");
    } else if (tables_load(dir, &loader->tables, &err) != 0) {
        loader->tables_failed = true;
        yaml_error(loader->reader.errors, node, "%s", err.text);
    }
    return loader->tables;
}

static const struct commune *find_commune(const struct tables *tables, const char *name,
                                          size_t length) {
    for (size_t i = 0; i < tables->commune_count; i++) {
        const char *known = tables->communes[i].name;
        if (strlen(known) == length && strncmp(known, name, length) == 0) {
            return &tables->communes[i];
        }
    }
    return NULL;
}

void loader_communes(struct loader *loader, const struct yaml_node *node, const char *communes,
                     char ret_codes[STATION_COMMUNES_SIZE]) {
    const struct tables *tables = communes[0] != '\0' ? loader_tables(loader, node) : NULL;
    size_t length = 0;
    while (tables != NULL && *communes != '\0') {
        size_t count = strcspn(communes, ";");
        const struct commune *commune = find_commune(tables, communes, count);
        if (commune == NULL) {
            yaml_error(loader->reader.errors, node, "the table of communes has no '%.*s'",
                       (int)(count < 80 ? count : 80), communes);
            return;
        }
        /* A code is shorter than any name, so the list fits where that of the names did. */
        length += (size_t)snprintf(ret_codes + length, STATION_COMMUNES_SIZE - length, "%s%s",
                                   length > 0 ? ";" : "", commune->code);
        communes += count;
        communes += *communes == ';';
    }
}

/* The row as one of the rule's; its number from 1, or 0 with an error. */
static uint8_t add_row(struct rule_reader *reader, const struct yaml_node *node,
                       const struct rule_row *row) {
    struct rule *rule = reader->rule;
    struct rule_row *added =
        loader_append(reader->loader, node, &rule->rows, &rule->row_count, sizeof *added,
                      RULE_ROWS_MAX, "rows of tables in a rule");
    if (added == NULL) {
        return 0;
    }
    *added = *row;
    return (uint8_t)rule->row_count;
}

/* ---- one cell ---- */

/* One cell as the threshold of a comparison. */
static void take_cell(struct rule_reader *reader, const struct yaml_node *node,
                      struct rule_node *rule_node, const char *table, const char *id,
                      const char *column) {
    const struct tables *tables = loader_tables(reader->loader, node);
    const char *unit = reader->units[rule_node->indicator];
    struct table_cell cell;
    struct rule_row row;
    struct err err = {0};
    if (table_cell(tables, table, id, column, &cell, &err) != 0) {
        yaml_error(errors_of(reader), node, "%s", err.text);
        return;
    }
    if (units_convert(reader->loader->reader.units, cell.value, cell.unit, unit,
                      &rule_node->threshold) != 0) {
        yaml_error(errors_of(reader), node, "the cell is in '%s', the indicator in '%s'", cell.unit,
                   unit);
        return;
    }
    table_row_keep(cell.source, table, column, 0, cell.level, &row);
    rule_node->row = add_row(reader, node, &row);
}

bool rule_read_cell(struct rule_reader *reader, const struct yaml_node *node,
                    struct rule_node *rule_node) {
    const char *dated[DATED_MAX];
    char text[256];
    if (node->kind != YAML_SCALAR || strncmp(node->text, "table ", 6) != 0) {
        return false;
    }
    char *table = text + 6;
    char *first = text_copy(text, sizeof text, node->text) == 0 ? strchr(table, ' ') : NULL;
    char *last = strrchr(text, ' ');
    if (first == NULL || last <= first) {
        yaml_error(errors_of(reader), node,
                   "'%.80s' names no cell; expected 'table NAME ROW COLUMN'", node->text);
        return true;
    }
    *first = '\0';
    *last = '\0';
    const struct tables *tables = loader_tables(reader->loader, node);
    if (tables == NULL) {
        return true;
    }
    size_t count = table_dated_rows(tables, table, first + 1, dated, DATED_MAX);
    if (count == 0) {
        take_cell(reader, node, rule_node, table, first + 1, last + 1);
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        struct rule_node *child = rule_reader_node(reader, node);
        if (child == NULL) {
            return true;
        }
        child->indicator = rule_node->indicator;
        child->comparison = rule_node->comparison;
        take_cell(reader, node, child, table, dated[i], last + 1);
    }
    rule_node->kind = NODE_DATED;
    rule_node->child_count = (uint8_t)count;
    return true;
}

/* ---- hours of bulletins ---- */

void rule_read_issues(struct rule_reader *reader, const struct yaml_node *map) {
    struct rule *rule = reader->rule;
    if (rule->scale.kind != SCALE_FLOOD_ALARM || flood_bulletin_is_forecast(rule)) {
        return;
    }
    const struct tables *tables = loader_tables(reader->loader, map);
    for (size_t i = 0; tables != NULL && i < tables->bulletin_count; i++) {
        const struct bulletin_hours *hours = &tables->bulletins[i];
        struct rule_row row;
        if (rule->issue_count == RULE_ISSUES_MAX) {
            yaml_error(errors_of(reader), map, "more than %d rows of bulletin_hours",
                       RULE_ISSUES_MAX);
            return;
        }
        table_row_keep(&hours->source, "bulletin_hours", "hours_ict", (uint16_t)hours->article,
                       hours->level, &row);
        struct rule_issue *issue = &rule->issues[rule->issue_count];
        *issue = (struct rule_issue){
            .from_level = hours->level, .count = hours->count, .row = add_row(reader, map, &row)};
        memcpy(issue->minutes, hours->minutes, sizeof issue->minutes);
        rule->issue_count += issue->row > 0;
    }
}

/* ---- levels of the table of risk levels ---- */

/* One row of the table while it becomes conditions. */
struct making {
    struct rule_reader *reader;
    const struct yaml_node *node;
    const struct risk_row *row;
};

static const struct rule_quantity *quantity_of(const struct rule_table *from,
                                               enum risk_metric metric) {
    for (uint32_t i = 0; i < from->quantity_count; i++) {
        if (risk_metric_of_name(from->quantities[i].metric) == metric) {
            return &from->quantities[i];
        }
    }
    return NULL;
}

/* The bound on the better side; that on the worse side does not count (more is never less). */
static const struct risk_bound *bound_of(const struct risk_limit *limit, bool *ret_below) {
    *ret_below = limit->metric == RISK_TMEAN_C || limit->metric == RISK_VISIBILITY_M;
    return *ret_below ? &limit->max : &limit->min;
}

/* Whether an assumed value meets the bound. The duration of Art. 44 begins at one day, see grade.h.
 */
static bool assumed_holds(const struct making *making, const struct risk_limit *limit,
                          double assumed) {
    bool below;
    const struct risk_bound *bound = bound_of(limit, &below);
    bool rain = strcmp(making->row->hazard, "heavy_rain") == 0;
    double value = rain && limit->metric == RISK_DURATION_D && assumed < 1 ? 1 : assumed;
    double beyond = below ? bound->offset - value : value - bound->offset;
    return !bound->given || beyond > 0 || (bound->inclusive && value == bound->offset);
}

/* The unit of a metric as the table has it. */
static const char *unit_of_metric(enum risk_metric metric) {
    switch (metric) {
    case RISK_WIND_BFT:
        return "m s-1"; /* compared as the least speed of the Beaufort number */
    case RISK_SURGE_M:
    case RISK_STAGE_M:
    case RISK_VISIBILITY_M:
    case RISK_WAVE_HEIGHT_M:
        return "m";
    case RISK_RAIN_24H_MM:
    case RISK_RAIN_12H_MM:
        return "mm";
    case RISK_TMAX_C:
    case RISK_TMEAN_C:
        return "degC";
    case RISK_WATER_DEFICIT_PCT:
    case RISK_AFFECTED_UNIT_PCT:
        return "percent";
    case RISK_SALINITY_PERMIL:
        return "1e-3";
    case RISK_INTRUSION_KM:
        return "km";
    case RISK_DURATION_D:
    case RISK_PRIOR_RAIN_DAY_D:
        return "d";
    default:
        return "1";
    }
}

static void add_comparison(const struct making *making, const struct rule_quantity *quantity,
                           enum risk_metric metric, bool below, bool inclusive, double offset,
                           uint8_t station_level) {
    struct rule_reader *reader = making->reader;
    const char *unit = reader->units[quantity->indicator];
    struct rule_node *node = rule_reader_node(reader, making->node);
    double threshold = metric == RISK_WIND_BFT ? beaufort_lower_m_s(offset) : offset;
    if (node == NULL) {
        return;
    }
    *node = (struct rule_node){
        .kind = NODE_COMPARE,
        .indicator = quantity->indicator,
        .comparison = below       ? inclusive ? COMPARE_AT_MOST : COMPARE_BELOW
                      : inclusive ? COMPARE_AT_LEAST
                                  : COMPARE_ABOVE,
        .station_level = station_level,
        .hysteresis = quantity->hysteresis,
    };
    if (unit[0] == '\0') {
        return; /* told already */
    }
    int result = station_level > 0
                     ? units_convert_difference(reader->loader->reader.units, threshold,
                                                unit_of_metric(metric), unit, &node->threshold)
                     : units_convert(reader->loader->reader.units, threshold,
                                     unit_of_metric(metric), unit, &node->threshold);
    if (result != 0) {
        yaml_error(errors_of(reader), making->node,
                   "the indicator of %s is in '%s'; expected a unit of the dimension of '%s'",
                   quantity->metric, unit, unit_of_metric(metric));
    }
}

enum part { PART_NEVER, PART_ALWAYS, PART_ASKED };

/* What a limit asks for: never true, always true, or a comparison. */
static enum part part_of(const struct making *making, const struct risk_limit *limit) {
    const struct rule_table *from = &making->reader->rule->levels_from;
    bool below;
    if (limit->metric == RISK_METRIC_NONE || !bound_of(limit, &below)->given) {
        return PART_ALWAYS;
    }
    const struct rule_quantity *quantity = quantity_of(from, limit->metric);
    if (quantity != NULL && !isnan(quantity->assumed)) {
        return assumed_holds(making, limit, quantity->assumed) ? PART_ALWAYS : PART_NEVER;
    }
    /* Heavy rain does harm within hours: no duration is below the article's first day. */
    const struct risk_bound *bound = bound_of(limit, &below);
    bool first_day = strcmp(making->row->hazard, "heavy_rain") == 0 &&
                     limit->metric == RISK_DURATION_D && bound->inclusive && bound->offset <= 1;
    return first_day ? PART_ALWAYS : PART_ASKED;
}

/* A limit that is asked. */
static void add_limit(const struct making *making, const struct risk_limit *limit) {
    const struct rule_table *from = &making->reader->rule->levels_from;
    const struct rule_quantity *quantity = quantity_of(from, limit->metric);
    bool below;
    const struct risk_bound *bound = bound_of(limit, &below);
    uint8_t mark = bound->mark == MARK_ZERO       ? 0
                   : bound->mark == MARK_HISTORIC ? STATION_LEVEL_HISTORIC
                                                  : (uint8_t)(bound->mark - MARK_BD1 + 1);
    const struct rule_quantity *rain = quantity_of(from, RISK_RAIN_24H_MM);
    if (quantity == NULL) {
        yaml_error(errors_of(making->reader), making->node,
                   "the row %s of the table needs another metric, which no quantity stands for",
                   making->row->source.id);
        return;
    }
    /* Art. 46: with 200 mm or more in 24 h these count as a rain day (our rule, see grade.h). */
    bool first_day = strcmp(making->row->hazard, "flash_flood_landslide") == 0 &&
                     limit->metric == RISK_PRIOR_RAIN_DAY_D && bound->inclusive &&
                     bound->offset == 1 && rain != NULL && isnan(rain->assumed);
    if (first_day) {
        struct rule_node *any = rule_reader_node(making->reader, making->node);
        if (any == NULL) {
            return;
        }
        any->kind = NODE_ANY;
        any->child_count = 2;
        add_comparison(making, rain, RISK_RAIN_24H_MM, false, true, 200, 0);
    }
    add_comparison(making, quantity, limit->metric, below, bound->inclusive, bound->offset, mark);
}

/* limits[0], or the alternative that may stand for it. */
static void add_first(const struct making *making, bool first, bool alternative) {
    const struct risk_row *row = making->row;
    if (first && alternative) {
        struct rule_node *any = rule_reader_node(making->reader, making->node);
        if (any == NULL) {
            return;
        }
        any->kind = NODE_ANY;
        any->child_count = 2;
    }
    if (first) {
        add_limit(making, &row->limits[0]);
    }
    if (alternative) {
        add_limit(making, &row->alternative);
    }
}

/* Whether anything of the row is asked of the evidence; a row that an assumption rules out, or that
 * nothing is asked of, is no condition. */
static bool row_counts(const struct making *making, bool *ret_first, bool *ret_alternative,
                       bool *ret_second) {
    const struct risk_row *row = making->row;
    const struct rule_table *from = &making->reader->rule->levels_from;
    enum part first = part_of(making, &row->limits[0]);
    enum part second = part_of(making, &row->limits[1]);
    bool has_alternative = row->alternative.metric != RISK_METRIC_NONE &&
                           quantity_of(from, row->alternative.metric) != NULL;
    enum part alternative = has_alternative ? part_of(making, &row->alternative) : PART_NEVER;
    bool always = first == PART_ALWAYS || alternative == PART_ALWAYS;
    *ret_first = !always && first == PART_ASKED;
    *ret_alternative = !always && alternative == PART_ASKED;
    *ret_second = second == PART_ASKED;
    return second != PART_NEVER && (always || *ret_first || *ret_alternative) &&
           (*ret_first || *ret_alternative || *ret_second);
}

/* The conditions of one row as one child. */
static void add_risk_row(const struct making *making) {
    struct rule_reader *reader = making->reader;
    struct rule_row row;
    bool first, alternative, second;
    if (!row_counts(making, &first, &alternative, &second)) {
        return;
    }
    uint32_t root = reader->rule->node_count;
    if ((first || alternative) && second) {
        struct rule_node *all = rule_reader_node(reader, making->node);
        if (all == NULL) {
            return;
        }
        all->kind = NODE_ALL;
        all->child_count = 2;
    }
    add_first(making, first, alternative);
    if (second) {
        add_limit(making, &making->row->limits[1]);
    }
    table_row_keep(&making->row->source, "risk_levels", "", (uint16_t)making->row->article,
                   making->row->level, &row);
    if (root < reader->rule->node_count) {
        reader->rule->nodes[root].row = add_row(reader, making->node, &row);
    }
}

static bool row_applies(const struct rule_table *from, const struct risk_row *row, uint8_t level) {
    uint8_t bit = susceptibility_of_name(from->susceptibility);
    return row->level == level && strcmp(row->hazard, from->hazard) == 0 &&
           (strcmp(row->zone, from->zone) == 0 || strcmp(row->zone, "any") == 0) &&
           (row->susceptibility == 0 || (row->susceptibility & bit) != 0);
}

/* All rows of one level, any of which is enough. */
static void make_level(struct rule_reader *reader, const struct yaml_node *node,
                       const struct tables *tables, uint8_t number) {
    struct rule *rule = reader->rule;
    const struct rule_table *from = &rule->levels_from;
    struct making making = {.reader = reader, .node = node};
    uint32_t counted = 0;
    bool parts[3];
    for (size_t i = 0; i < tables->risk_count; i++) {
        making.row = &tables->risks[i];
        counted += row_applies(from, making.row, number) &&
                   row_counts(&making, &parts[0], &parts[1], &parts[2]);
    }
    if (counted == 0) {
        return;
    }
    struct rule_level *level = &rule->levels[rule->level_count];
    *level = from->delays;
    level->level = number;
    level->first_node = (uint16_t)rule->node_count;
    if (counted > 1) {
        struct rule_node *any = rule_reader_node(reader, node);
        if (any == NULL) {
            return;
        }
        any->kind = NODE_ANY;
        any->child_count = (uint8_t)counted;
    }
    for (size_t i = 0; i < tables->risk_count; i++) {
        making.row = &tables->risks[i];
        if (row_applies(from, making.row, number)) {
            add_risk_row(&making);
        }
    }
    level->node_count = (uint16_t)(rule->node_count - level->first_node);
    reader->level_nodes[rule->level_count++] = node;
}

static void read_quantity(struct rule_reader *reader, const struct yaml_node *map) {
    struct rule *rule = reader->rule;
    struct rule_quantity *quantity =
        &rule->levels_from.quantities[rule->levels_from.quantity_count];
    if (option_group_read(&reader->loader->reader, &group_quantity, map, quantity) != 0) {
        return;
    }
    const struct yaml_node *indicator = yaml_member(map, "indicator");
    const struct yaml_node *hysteresis = yaml_member(map, "hysteresis");
    enum risk_metric metric = risk_metric_of_name(quantity->metric);
    rule->levels_from.quantity_count++;
    quantity->hysteresis = 0;
    if (metric == RISK_METRIC_NONE) {
        yaml_error(errors_of(reader), yaml_member(map, "metric"), "the table has no metric '%.40s'",
                   quantity->metric);
    } else if ((indicator == NULL) == isnan(quantity->assumed)) {
        yaml_error(errors_of(reader), map, "expected one of the keys 'indicator' and 'assumed'");
    } else if (indicator == NULL) {
        rule->provisional = true;
    } else if (rule_reader_indicator(reader, indicator, &quantity->indicator) == 0 &&
               hysteresis != NULL && reader->units[quantity->indicator][0] != '\0') {
        if (rule_reader_value(reader, hysteresis, OPTION_DIFFERENCE,
                              reader->units[quantity->indicator], &quantity->hysteresis) == 0 &&
            quantity->hysteresis < 0) {
            yaml_error(errors_of(reader), hysteresis, "'%s' is negative; expected 0 or more",
                       hysteresis->text);
        }
    }
}

static bool check_table(struct rule_reader *reader, const struct yaml_node *map,
                        const struct tables *tables) {
    const struct rule_table *from = &reader->rule->levels_from;
    uint8_t bit = susceptibility_of_name(from->susceptibility);
    bool found = false;
    bool asks = false;
    for (size_t i = 0; i < tables->risk_count; i++) {
        const struct risk_row *row = &tables->risks[i];
        bool here = strcmp(row->hazard, from->hazard) == 0 &&
                    (strcmp(row->zone, from->zone) == 0 || strcmp(row->zone, "any") == 0);
        found = found || here;
        asks = asks || (here && row->susceptibility != 0);
    }
    if (!found) {
        yaml_error(errors_of(reader), yaml_member(map, "zone"),
                   "the table of risk levels has no hazard '%s' in the zone '%s'", from->hazard,
                   from->zone);
    } else if (asks != (from->susceptibility[0] != '\0') ||
               (asks && (bit == 0 || (bit & (bit - 1))))) {
        yaml_error(errors_of(reader), map, "%s; expected one of low, medium, high and very_high",
                   asks ? "the article asks for the susceptibility"
                        : "the article does not ask for a susceptibility");
        return false;
    }
    if (reader->rule->scale.kind != SCALE_RISK) {
        yaml_error(errors_of(reader), map,
                   "levels of this table are risk levels; expected a scale of "
                   "kind risk");
        return false;
    }
    return found;
}

void rule_read_levels_from(struct rule_reader *reader, const struct yaml_node *map) {
    struct rule *rule = reader->rule;
    size_t errors = config_errors_total(errors_of(reader));
    if (option_group_read(&reader->loader->reader, &group_levels_from, map, &rule->levels_from) !=
        0) {
        return;
    }
    const struct yaml_node *list = yaml_member(map, "quantities");
    if (option_expect(&reader->loader->reader, list, YAML_LIST) != 0) {
        return;
    }
    if (list->count == 0 || list->count > RULE_QUANTITIES_MAX) {
        yaml_error(errors_of(reader), list, "%u quantities; expected 1 to %d",
                   (unsigned)list->count, RULE_QUANTITIES_MAX);
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        read_quantity(reader, node);
    }
    const struct tables *tables = loader_tables(reader->loader, map);
    if (tables == NULL || config_errors_total(errors_of(reader)) != errors ||
        !check_table(reader, map, tables)) {
        return;
    }
    for (uint8_t level = 1; level <= RISK_LEVELS; level++) {
        make_level(reader, map, tables, level);
    }
    if (rule->level_count == 0 && config_errors_total(errors_of(reader)) == errors) {
        yaml_error(errors_of(reader), map, "no row of the table asks these quantities anything");
    }
}
