/* Rules that take their levels from the legal tables: the conditions that every row becomes against
 * alerts/tables/grade.h (which is itself checked against a second reading of the files), at, just
 * below and just above each bound; cells; and that a row's change is another revision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "alerts/tables/grade.h"
#include "alerts/tables/refer.h"
#include "daemon/config/plausibility.h"
#include "daemon/config/quantity.h"
#include "daemon/config/rule_reader.h"

#define FOLDER CANHBAO_SOURCE_DIR "/alerts/tables"

/* What an instrument of the metric resolves; rules give way by the rounding of binary32. */
static const double STEP = 0.001;
static const double marks_m[MARK_COUNT] = {0, 10.0, 11.0, 12.5, 15.25};
static const char *const metrics[RISK_METRIC_COUNT] = {
    "wind_bft",       "surge_m",           "rain_24h_mm",       "rain_12h_mm",     "stage_m",
    "tmax_c",         "tmean_c",           "water_deficit_pct", "salinity_permil", "intrusion_km",
    "visibility_m",   "affected_unit_pct", "intensity_msk64",   "wave_height_m",   "duration_d",
    "duration_month", "prior_rain_day_d"};
static const char *const units_of[RISK_METRIC_COUNT] = {"m s-1", "m", "mm",   "mm", "m", "degC",
                                                        "degC",  "%", "1e-3", "km", "m", "%",
                                                        "1",     "m", "d",    "1",  "d"};

struct fixture {
    struct tables *tables;
    struct units *units;
    struct loader loader;
    struct rule rule;
    struct rule_reader reader;
    struct config_errors errors;
    enum risk_metric used[RULE_QUANTITIES_MAX];
    uint32_t used_count;
};

static void use(struct fixture *fixture, enum risk_metric metric) {
    for (uint32_t i = 0; i < fixture->used_count; i++) {
        if (fixture->used[i] == metric) {
            return;
        }
    }
    assert_true(metric < RISK_METRIC_COUNT && fixture->used_count < RULE_QUANTITIES_MAX);
    fixture->used[fixture->used_count++] = metric;
}

static bool applies(const struct risk_row *row, const char *hazard, const char *zone) {
    return strcmp(row->hazard, hazard) == 0 &&
           (strcmp(row->zone, zone) == 0 || strcmp(row->zone, "any") == 0);
}

/* The rule of one hazard, zone and susceptibility, an indicator for every metric of its rows. */
static void make_rule(struct fixture *fixture, const char *hazard, const char *zone,
                      const char *susceptibility) {
    static char text[2048];
    struct rule *rule = &fixture->rule;
    struct yaml_doc *doc = NULL;
    free(rule->rows);
    memset(rule, 0, sizeof *rule);
    memset(&fixture->reader, 0, sizeof fixture->reader);
    fixture->reader.loader = &fixture->loader;
    fixture->reader.rule = rule;
    fixture->loader.reader =
        (struct option_reader){.units = fixture->units, .errors = &fixture->errors};
    fixture->loader.tables = fixture->tables;
    fixture->errors.count = 0;
    fixture->used_count = 0;
    for (size_t i = 0; i < fixture->tables->risk_count; i++) {
        const struct risk_row *row = &fixture->tables->risks[i];
        if (applies(row, hazard, zone)) {
            use(fixture, row->limits[0].metric);
            if (row->limits[1].metric != RISK_METRIC_NONE) {
                use(fixture, row->limits[1].metric);
            }
            if (row->alternative.metric != RISK_METRIC_NONE) {
                use(fixture, row->alternative.metric);
            }
        }
    }
    int length = snprintf(text, sizeof text, "hazard: %s\nzone: %s\n", hazard, zone);
    if (susceptibility != NULL) {
        length += snprintf(text + length, sizeof text - (size_t)length, "susceptibility: %s\n",
                           susceptibility);
    }
    length += snprintf(text + length, sizeof text - (size_t)length, "quantities:\n");
    rule->scale = (struct scale){.kind = SCALE_RISK, .id = "risk", .level_count = 5};
    rule->indicator_count = fixture->used_count;
    for (uint32_t i = 0; i < fixture->used_count; i++) {
        (void)snprintf(fixture->reader.names[i], STATION_ID_SIZE, "i%u", i);
        (void)snprintf(fixture->reader.units[i], STATION_UNIT_SIZE, "%s",
                       units_of[fixture->used[i]]);
        length += snprintf(text + length, sizeof text - (size_t)length,
                           "  - {metric: %s, indicator: i%u}\n", metrics[fixture->used[i]], i);
    }
    assert_int_equal(yaml_parse("t", text, (size_t)length, &doc, &fixture->errors), 0);
    rule_read_levels_from(&fixture->reader, yaml_root(doc));
    yaml_destroy(doc);
    if (fixture->errors.count > 0) {
        print_error("%s: %s\n", text, fixture->errors.items[0].text);
    }
    assert_int_equal(fixture->errors.count, 0);
    assert_true(rule->level_count > 0);
}

/* The highest level whose condition holds. */
static int level_of(const struct rule *rule, const struct alarm_levels *levels,
                    const struct indicator *indicators) {
    int level = 0;
    for (uint32_t i = 0; i < rule->level_count; i++) {
        struct verdict verdict = rule_evaluate(rule, i, false, levels, indicators);
        assert_int_not_equal(verdict.value, TRI_UNKNOWN);
        if (verdict.value == TRI_TRUE) {
            level = rule->levels[i].level;
        }
    }
    return level;
}

/* Both answers to the same values, given in the order of fixture->used. */
static void ask(struct fixture *fixture, const char *hazard, const char *zone, uint8_t bit,
                const double *values) {
    const struct alarm_levels levels = {
        .count = 3, .at = {marks_m[1], marks_m[2], marks_m[3]}, .historic_peak = marks_m[4]};
    struct indicator indicators[RULE_QUANTITIES_MAX];
    struct risk_query query = risk_query(hazard, zone);
    struct grade grade;
    memset(indicators, 0, sizeof indicators);
    memcpy(query.marks_m, marks_m, sizeof marks_m);
    query.susceptibility = bit;
    for (uint32_t i = 0; i < fixture->used_count; i++) {
        indicators[i].value = values[i];
        query.values[fixture->used[i]] =
            fixture->used[i] == RISK_WIND_BFT ? (double)beaufort_of_speed(values[i]) : values[i];
    }
    assert_int_equal(risk_grade(fixture->tables, &query, &grade), 0);
    int level = level_of(&fixture->rule, &levels, indicators);
    if (level != grade.level) {
        print_error("%s %s:", hazard, zone);
        for (uint32_t i = 0; i < fixture->used_count; i++) {
            print_error(" %s %.6g", metrics[fixture->used[i]], values[i]);
        }
        print_error("\n");
    }
    assert_int_equal(level, grade.level);
    if (level > 0) { /* a row of that level says so */
        bool named = false;
        for (size_t i = 0; i < fixture->rule.row_count; i++) {
            named = named ||
                    (fixture->rule.rows[i].level == level &&
                     rule_row_holds(&fixture->rule, i, false, &levels, indicators) == TRI_TRUE);
        }
        assert_true(named);
    }
}

static void add_bound(const struct risk_bound *bound, enum risk_metric metric, double *list,
                      size_t *count) {
    if (bound->given) {
        double at = marks_m[bound->mark] + bound->offset;
        at = metric == RISK_WIND_BFT ? beaufort_lower_m_s(at) : at;
        list[(*count)++] = at - STEP;
        list[(*count)++] = at;
        list[(*count)++] = at + STEP;
    }
}

/* Every value around a bound that any row has for the metric. */
static size_t values_around(const struct fixture *fixture, const char *hazard, const char *zone,
                            enum risk_metric metric, double *ret_values) {
    size_t count = 0;
    ret_values[count++] = 0;
    for (size_t i = 0; i < fixture->tables->risk_count; i++) {
        const struct risk_row *row = &fixture->tables->risks[i];
        const struct risk_limit *limits[] = {&row->limits[0], &row->limits[1], &row->alternative};
        for (size_t k = 0; applies(row, hazard, zone) && k < 3; k++) {
            if (limits[k]->metric == metric) {
                add_bound(&limits[k]->min, metric, ret_values, &count);
                add_bound(&limits[k]->max, metric, ret_values, &count);
            }
        }
    }
    return count;
}

static size_t ask_all(struct fixture *fixture, const char *hazard, const char *zone, uint8_t bit) {
    static double lists[RULE_QUANTITIES_MAX][256];
    size_t counts[RULE_QUANTITIES_MAX] = {1, 1, 1, 1};
    size_t asked = 0;
    for (uint32_t i = 0; i < fixture->used_count; i++) {
        counts[i] = values_around(fixture, hazard, zone, fixture->used[i], lists[i]);
    }
    for (size_t a = 0; a < counts[0]; a++) {
        for (size_t b = 0; b < counts[1]; b++) {
            for (size_t c = 0; c < counts[2]; c++) {
                const double values[RULE_QUANTITIES_MAX] = {lists[0][a], lists[1][b], lists[2][c]};
                ask(fixture, hazard, zone, bit, values);
                asked++;
            }
        }
    }
    return asked;
}

static void test_every_row_as_a_rule(void **state) {
    static const char *const susceptibilities[] = {"low", "medium", "high", "very_high"};
    struct fixture *fixture = *state;
    const struct tables *tables = fixture->tables;
    size_t asked = 0;
    size_t rows = 0;
    for (size_t i = 0; i < tables->risk_count; i++) {
        const struct risk_row *row = &tables->risks[i];
        bool first = true;
        for (size_t k = 0; k < i && first; k++) {
            first = strcmp(tables->risks[k].hazard, row->hazard) != 0 ||
                    strcmp(tables->risks[k].zone, row->zone) != 0;
        }
        rows++;
        if (!first) {
            continue;
        }
        if (row->susceptibility == 0) {
            make_rule(fixture, row->hazard, row->zone, NULL);
            asked += ask_all(fixture, row->hazard, row->zone, 0);
            continue;
        }
        for (uint8_t s = 0; s < 4; s++) {
            bool listed = false;
            for (size_t k = 0; k < tables->risk_count; k++) {
                listed = listed || (applies(&tables->risks[k], row->hazard, row->zone) &&
                                    (tables->risks[k].susceptibility & (1U << s)) != 0);
            }
            if (listed) {
                make_rule(fixture, row->hazard, row->zone, susceptibilities[s]);
                asked += ask_all(fixture, row->hazard, row->zone, (uint8_t)(1U << s));
            }
        }
    }
    print_message("%zu rows, %zu questions\n", rows, asked);
    assert_int_equal(rows, tables->risk_count);
    assert_true(asked > 70000);
}

/* Art. 45, zone KV4, by hand: levels 2 from alarm level I, 3 from II, 4 from 0.3 m above III, 5
 * from the highest flood on record. Where nobody has put that down, what lies above alarm level III
 * may be level 5, and is never "none". */
static void test_flood_without_a_record(void **state) {
    static const struct {
        double stage_m;
        enum tristate fifth, fourth, third, second;
    } cases[] = {{9.9, TRI_FALSE, TRI_FALSE, TRI_FALSE, TRI_FALSE},
                 {10.0, TRI_FALSE, TRI_FALSE, TRI_FALSE, TRI_TRUE},
                 {11.0, TRI_FALSE, TRI_FALSE, TRI_TRUE, TRI_TRUE},
                 {12.49, TRI_FALSE, TRI_FALSE, TRI_TRUE, TRI_TRUE},
                 {12.5, TRI_UNKNOWN, TRI_FALSE, TRI_TRUE, TRI_TRUE},
                 {12.8, TRI_UNKNOWN, TRI_TRUE, TRI_TRUE, TRI_TRUE},
                 {99.0, TRI_UNKNOWN, TRI_TRUE, TRI_TRUE, TRI_TRUE}};
    struct fixture *fixture = *state;
    const struct alarm_levels levels = {.count = 3, .at = {10, 11, 12.5}, .historic_peak = NAN};
    make_rule(fixture, "flood", "KV4", NULL);
    const struct rule *rule = &fixture->rule;
    assert_int_equal(rule->level_count, 4);
    assert_true(rule_level_defined(rule, 3, &levels));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const enum tristate expected[] = {cases[i].second, cases[i].third, cases[i].fourth,
                                          cases[i].fifth};
        struct indicator stage = {.value = cases[i].stage_m};
        struct risk_query query = risk_query("flood", "KV4");
        struct grade grade;
        for (uint32_t n = 0; n < 4; n++) {
            struct verdict verdict = rule_evaluate(rule, n, false, &levels, &stage);
            assert_int_equal(rule->levels[n].level, n + 2);
            assert_int_equal(verdict.value, expected[n]);
            assert_int_equal(verdict.cause,
                             expected[n] == TRI_UNKNOWN ? CAUSE_NO_THRESHOLD : CAUSE_NONE);
        }
        memcpy(query.marks_m, marks_m, sizeof marks_m);
        query.marks_m[MARK_HISTORIC] = NAN;
        query.values[RISK_STAGE_M] = cases[i].stage_m;
        assert_int_equal(risk_grade(fixture->tables, &query, &grade), 0);
        assert_int_equal(grade.known, cases[i].stage_m < 12.5);
    }
    /* A stale stage is stale, whatever else is missing. */
    struct indicator stale = {.value = 13, .knowledge = KNOWLEDGE_STALE, .cause = CAUSE_SILENCE};
    struct verdict verdict = rule_evaluate(rule, 3, false, &levels, &stale);
    assert_true(verdict.value == TRI_UNKNOWN && verdict.cause == CAUSE_SILENCE);
}

static void test_cells(void **state) {
    struct fixture *fixture = *state;
    struct table_cell cell = {.value = 77};
    struct err err = {0};
    assert_int_equal(table_cell(fixture->tables, "aegl", "Cl2/AEGL-2", "t60min_ppm", &cell, &err),
                     0);
    assert_true(cell.value == 2.0 && cell.level == 2);
    assert_string_equal(cell.unit, "ppm");
    assert_true(cell.source->provisional);
    assert_int_equal(table_cell(fixture->tables, "air_limits", "PM2.5/24h/2026-01-01",
                                "limit_ug_m3", &cell, &err),
                     0);
    assert_true(cell.value == 45 && !cell.source->provisional);
    assert_int_equal(table_cell(fixture->tables, "radiation_levels", "oil2", "low", &cell, &err),
                     0);
    assert_true(cell.value == 100000);
    assert_int_equal(
        table_cell(fixture->tables, "water_limits", "ammonium_N/any", "max", &cell, &err), 0);
    assert_true(cell.value == 0.3);
    assert_int_equal(table_cell(fixture->tables, "rainfall_thresholds", "caine1980", "total_24h_mm",
                                &cell, &err),
                     0);
    assert_true(cell.value == 103);
    assert_int_equal(
        table_cell(fixture->tables, "flood_alarm_levels", "Bồng Sơn", "bd3_m", &cell, &err), 0);
    assert_true(cell.value == 8);
    const struct table_cell before = cell;
    static const char *const bad[][3] = {{"risk_levels", "flood-01", "min_1"}, /* not a cell */
                                         {"aegl", "Cl2/AEGL-4", "t10min_ppm"},
                                         {"aegl", "Cl2/AEGL-1", "t15min_ppm"},
                                         {"aegl", "CO/AEGL-1", "t10min_ppm"}, /* not recommended */
                                         {"flood_alarm_levels", "An Khê", "bd1_m"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(table_cell(fixture->tables, bad[i][0], bad[i][1], bad[i][2], &cell, &err),
                         ERR_NOT_FOUND);
        assert_true(strlen(err.text) > 10);
    }
    assert_memory_equal(&cell, &before, sizeof cell);
}

/* ---- every cell of every row, asked by rules ---- */

struct sheet {
    const char *table;
    const char *id[3]; /* columns that the id of a row is made of, with '/' between */
    const char *cells[8];
    const char *unit; /* NULL: the column `unit` */
};

static const struct sheet sheets[] = {
    {"flood_alarm_levels", {"station"}, {"bd1_m", "bd2_m", "bd3_m", "historic_peak_m"}, "m"},
    {"air_limits", {"parameter", "averaging_h", "valid_from"}, {"limit_ug_m3"}, "ug m-3"},
    {"vn_aqi_breakpoints", {"parameter", "averaging_h", "index_low"}, {"from_ug_m3"}, "ug m-3"},
    {"aegl",
     {"substance", "aegl_level"},
     {"t10min_ppm", "t30min_ppm", "t60min_ppm", "t4h_ppm", "t8h_ppm"},
     "ppm"},
    {"radiation_levels", {"id"}, {"low", "high"}, NULL},
    {"rainfall_thresholds",
     {"id"},
     {"total_1h_mm", "total_3h_mm", "total_6h_mm", "total_12h_mm", "total_24h_mm", "total_48h_mm",
      "total_72h_mm"},
     "mm"},
    {"water_limits", {"parameter", "quality_class"}, {"min", "max"}, NULL},
};

/* The file as text, apart from alerts/tables: its first line and its rows. */
struct text_table {
    char header[1024];
    struct csv csv;
};

static void open_text_table(const char *table, struct text_table *ret_table) {
    char path[512];
    struct err err = {0};
    (void)snprintf(path, sizeof path, FOLDER "/%s.csv", table);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_non_null(fgets(ret_table->header, sizeof ret_table->header, file));
    (void)fclose(file); /* only read from */
    ret_table->header[strcspn(ret_table->header, "\n")] = '\0';
    assert_int_equal(csv_load(path, ret_table->header, &ret_table->csv, &err), 0);
}

static const char *text_of(const struct text_table *table, size_t row, const char *column) {
    size_t index = 0;
    for (const char *at = table->header; at != NULL;
         at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, column, strlen(column)) == 0 &&
            (at[strlen(column)] == ',' || at[strlen(column)] == '\0')) {
            return csv_field(&table->csv, row, index);
        }
        index++;
    }
    return "";
}

static double number_of(const struct text_table *table, size_t row, const char *column) {
    const char *text = text_of(table, row, column);
    return *text == '\0' ? (double)NAN : strtod(text, NULL);
}

/* The number of the cell, from the text; NaN: an empty one. */
static double cell_of(const struct sheet *sheet, const struct text_table *table, size_t row,
                      const char *column) {
    if (strcmp(sheet->table, "vn_aqi_breakpoints") != 0) {
        return number_of(table, row, column);
    }
    double low = number_of(table, row, "conc_low_ug_m3");
    double span = number_of(table, row, "index_high") - number_of(table, row, "index_low");
    return low + 0.5 * (number_of(table, row, "conc_high_ug_m3") - low) / span;
}

/* A rule of one comparison with the cell; false: refused. */
static bool make_cell_rule(struct fixture *fixture, const char *reference, const char *unit) {
    static struct yaml_node node;
    struct rule *rule = &fixture->rule;
    free(rule->rows);
    memset(rule, 0, sizeof *rule);
    memset(&fixture->reader, 0, sizeof fixture->reader);
    memset(&node, 0, sizeof node);
    node.kind = YAML_SCALAR;
    node.text = reference;
    fixture->reader.loader = &fixture->loader;
    fixture->reader.rule = rule;
    fixture->loader.tables = fixture->tables;
    fixture->loader.reader =
        (struct option_reader){.units = fixture->units, .errors = &fixture->errors};
    fixture->errors.count = 0;
    (void)snprintf(fixture->reader.units[0], STATION_UNIT_SIZE, "%s", unit);
    rule->indicator_count = 1;
    rule->level_count = 1;
    struct rule_node *compare = rule_reader_node(&fixture->reader, &node);
    assert_true(rule_read_cell(&fixture->reader, &node, compare));
    rule->levels[0].level = 1;
    rule->levels[0].node_count = (uint16_t)rule->node_count;
    return fixture->errors.count == 0;
}

/* Below, at and above the number, with each kind of comparison; and not known when missing. */
static size_t ask_cell(struct fixture *fixture, double number, int64_t observed_us) {
    static const enum tristate expected[4][3] = {{TRI_FALSE, TRI_TRUE, TRI_TRUE},
                                                 {TRI_FALSE, TRI_FALSE, TRI_TRUE},
                                                 {TRI_TRUE, TRI_TRUE, TRI_FALSE},
                                                 {TRI_TRUE, TRI_FALSE, TRI_FALSE}};
    double step = fmax(fabs(number), 1e-3) * 1e-6; /* beyond the rounding of binary32 */
    size_t asked = 0;
    for (int comparison = 0; comparison < 4; comparison++) {
        fixture->rule.nodes[0].comparison = (enum comparison)comparison;
        for (int side = -1; side <= 1; side++) {
            struct indicator indicator = {.value = number + side * step};
            indicator.observed.utc.us = observed_us;
            assert_int_equal(rule_evaluate(&fixture->rule, 0, false, NULL, &indicator).value,
                             expected[comparison][side + 1]);
            asked++;
        }
        struct indicator missing = {.value = NAN, .knowledge = KNOWLEDGE_UNKNOWN};
        assert_int_equal(rule_evaluate(&fixture->rule, 0, false, NULL, &missing).value,
                         TRI_UNKNOWN);
    }
    return asked;
}

static void row_id(const struct sheet *sheet, const struct text_table *table, size_t row,
                   char *ret_id, size_t size) {
    size_t length = 0;
    bool gas = strcmp(sheet->table, "aegl") == 0;
    ret_id[0] = '\0';
    for (size_t i = 0; i < 3 && sheet->id[i] != NULL; i++) {
        bool hours = strcmp(sheet->id[i], "averaging_h") == 0;
        length += (size_t)snprintf(ret_id + length, size - length, "%s%s%s%s", i > 0 ? "/" : "",
                                   gas && i == 1 ? "AEGL-" : "", text_of(table, row, sheet->id[i]),
                                   hours ? "h" : "");
    }
}

/* Returns whether any cell of the row was asked; one without any number is refused everywhere. */
static bool ask_row(struct fixture *fixture, const struct sheet *sheet,
                    const struct text_table *table, size_t row, size_t *asked) {
    const char *unit = sheet->unit != NULL ? sheet->unit : text_of(table, row, "unit");
    char id[128], reference[256];
    bool any = false;
    /* "nSv per mm", "MPN/100mL", "pH" are no units */
    unit = strcmp(unit, "pH") == 0 ? "1" : strcmp(unit, "MPN/100mL") == 0 ? "0.01 mL-1" : unit;
    bool comparable = units_valid(fixture->units, unit);
    row_id(sheet, table, row, id, sizeof id);
    for (size_t i = 0; i < 8 && sheet->cells[i] != NULL; i++) {
        double number = cell_of(sheet, table, row, sheet->cells[i]);
        (void)snprintf(reference, sizeof reference, "table %s %s %s", sheet->table, id,
                       sheet->cells[i]);
        bool made = make_cell_rule(fixture, reference, comparable ? unit : "m");
        if (made != (comparable && !isnan(number))) {
            fail_msg("%s: %s", reference, made ? "accepted" : fixture->errors.items[0].text);
        }
        if (made) {
            *asked += ask_cell(fixture, number,
                               INT64_C(1780000000000000) -
                                   (strstr(id, "PM2.5/24h/2023") ? INT64_C(30000000000000) : 0));
            any = true;
        }
    }
    return any;
}

/* Rows that say that something is not known or not recommended, or that are no level of anything
 * (a share, a dose per rain, an event without duration): every cell of them is refused. */
static bool is_no_number(const char *id) {
    static const char *const ids[] = {
        "La Tinh (Phù Cát)", "bg-vn",     "rain-2",     "decay-2h", "decay-3h", "MIC/AEGL-1",
        "COCl2/AEGL-1",      "CO/AEGL-1", "vu2023-low", "api",      "rti-tw",   "soil-95"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        if (strcmp(ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

/* The seven other tables: each row's every number, at, below and above it. A row that nobody could
 * ask fails here, so that none is left out when tables grow. */
static void test_every_cell_of_every_row(void **state) {
    struct fixture *fixture = *state;
    static struct text_table table;
    size_t asked = 0;
    for (size_t s = 0; s < sizeof sheets / sizeof sheets[0]; s++) {
        size_t rows = 0;
        open_text_table(sheets[s].table, &table);
        for (size_t row = 0; row < table.csv.row_count; row++) {
            bool done = ask_row(fixture, &sheets[s], &table, row, &asked);
            char id[128];
            row_id(&sheets[s], &table, row, id, sizeof id);
            bool empty = is_no_number(id);
            if (!done && !empty) {
                fail_msg("%s %s is asked by nothing", sheets[s].table, id);
            }
            assert_false(done && empty);
            rows++;
        }
        assert_int_equal(rows, table.csv.row_count);
        print_message("%s: %zu rows\n", sheets[s].table, rows);
        csv_finish(&table.csv);
    }
    print_message("%zu questions\n", asked);
    assert_true(asked > 3000);
}

/* The eighth, risk_levels: what test_every_row_as_a_rule() asks, the raises of Art. 4 and the
 * colours together are all its rows. */
static void test_no_risk_row_is_left_out(void **state) {
    const struct fixture *fixture = *state;
    static struct text_table table;
    size_t levels = 0, raises = 0, colours = 0;
    open_text_table("risk_levels", &table);
    for (size_t row = 0; row < table.csv.row_count; row++) {
        const char *hazard = text_of(&table, row, "hazard");
        int level = atoi(text_of(&table, row, "level"));
        if (strcmp(hazard, "colour") == 0) {
            assert_string_equal(fixture->tables->colours[level - 1],
                                text_of(&table, row, "condition"));
            colours++;
        } else if (strncmp(hazard, "modifier_", 9) == 0) {
            bool serious = strcmp(hazard, "modifier_severe_impact") == 0;
            for (uint8_t from = 1; from <= RISK_LEVELS; from++) {
                int raised = from + level < RISK_LEVELS ? from + level : RISK_LEVELS;
                assert_int_equal(risk_raise_allowed(from, !serious, serious), raised);
            }
            raises++;
        } else {
            assert_string_equal(fixture->tables->risks[levels].source.id,
                                text_of(&table, row, "rule_id"));
            levels++;
        }
    }
    assert_int_equal(levels, fixture->tables->risk_count);
    assert_int_equal(levels + raises + colours, table.csv.row_count);
    assert_true(raises == 2 && colours == RISK_LEVELS);
    csv_finish(&table.csv);
}

/* Every row of the table of water limits has a quantity whose points can be compared with it. */
static void test_every_water_row_has_a_quantity(void **state) {
    static const char *const names[][2] = {{"nitrite_N", "nitrite_n"},
                                           {"ammonium_N", "ammonium_n"},
                                           {"As", "arsenic"},
                                           {"Cd", "cadmium"},
                                           {"Pb", "lead"},
                                           {"Cr6+", "chromium_6"},
                                           {"Cr_total", "chromium"},
                                           {"Cu", "copper"},
                                           {"Zn", "zinc"},
                                           {"Ni", "nickel"},
                                           {"Mn", "manganese"},
                                           {"Hg", "mercury"},
                                           {"Fe", "iron"},
                                           {"Sb", "antimony"},
                                           {"anionic_surfactant", "surfactant"},
                                           {"phenol_total", "phenol"},
                                           {"oil_grease", "oil"},
                                           {"pH", "ph"},
                                           {"BOD5", "bod5"},
                                           {"COD", "cod"},
                                           {"TOC", "toc"},
                                           {"TSS", "tss"},
                                           {"DO", "dissolved_oxygen"},
                                           {"TP", "total_p"},
                                           {"TN", "total_n"},
                                           {"coliform_total", "coliform"}};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < fixture->tables->water_count; i++) {
        const struct water_row *row = &fixture->tables->waters[i];
        const char *name = row->parameter;
        struct table_cell cell;
        struct plausibility limits;
        struct err err = {0};
        double value = NAN;
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            name = strcmp(names[k][0], row->parameter) == 0 ? names[k][1] : name;
        }
        const struct quantity *quantity = quantity_find(name);
        if (quantity == NULL) {
            fail_msg("no quantity for %s", row->parameter);
            return;
        }
        const char *column = isnan(row->max) ? "min" : "max";
        assert_int_equal(
            table_cell(fixture->tables, "water_limits", row->source.id, column, &cell, &err), 0);
        assert_int_equal(
            units_convert(fixture->units, cell.value, cell.unit, quantity->unit, &value), 0);
        assert_true(value == (isnan(row->max) ? row->min : row->max));
        assert_int_equal(plausibility_find(fixture->units, name, quantity->unit, &limits, &err), 0);
        assert_true(limits.own && limits.hard_min <= value && value < limits.hard_max);
    }
}

/* ---- a site whose rules stand on its own copy of the tables ---- */

static char dir[] = "/tmp/canhbao-rule-tables-XXXXXX";

static void copy_file(const char *from, const char *to, const char *find, const char *put) {
    static char text[1 << 20];
    FILE *file = fopen(from, "rb");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    (void)fclose(file); /* only read from */
    file = fopen(to, "wb");
    assert_non_null(file);
    const char *at = find != NULL ? strstr(text, find) : NULL;
    if (find != NULL) {
        assert_non_null(at);
        (void)fwrite(text, 1, (size_t)(at - text), file);
        (void)fputs(put, file);
        (void)fputs(at + strlen(find), file);
    } else {
        (void)fwrite(text, 1, length, file);
    }
    assert_int_equal(fclose(file), 0);
}

static void write_rule(const char *levels) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/rules/flood.yaml", dir);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    (void)fprintf(file,
                  "id: flood\nhazard: flood\ntext: {vi: a, en: b}\nsource: made up\nscale: risk\n"
                  "places: {station_kind: stage}\nindicators:\n"
                  "  - {name: stage, kind: latest, point: stage}\n%s",
                  levels);
    assert_int_equal(fclose(file), 0);
}

static void copy_tables(const char *find, const char *put) {
    static const char *const names[] = {
        "risk_levels", "flood_alarm_levels", "air_limits",          "vn_aqi_breakpoints",
        "aegl",        "radiation_levels",   "rainfall_thresholds", "water_limits",
        "communes",    "bulletin_hours"};
    char from[512], to[512];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(from, sizeof from, FOLDER "/%s.csv", names[i]);
        (void)snprintf(to, sizeof to, "%s/tables/%s.csv", dir, names[i]);
        copy_file(from, to, i == 0 ? find : NULL, put);
    }
}

static void make_site(void) {
    static const char *const folders[] = {"stations", "rules", "areas", "tables"};
    char from[512], to[512];
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(to, sizeof to, "%s/%s", dir, folders[i]);
        assert_int_equal(mkdir(to, 0700), 0);
    }
    static const char *const files[] = {"stations/alpha.yaml", "areas/lv-alpha.geojson"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(from, sizeof from, CANHBAO_SOURCE_DIR "/tests/data/sites/minimal/%s",
                       files[i]);
        (void)snprintf(to, sizeof to, "%s/%s", dir, files[i]);
        copy_file(from, to, NULL, NULL);
    }
    (void)snprintf(to, sizeof to, "%s/canhbao.yaml", dir);
    copy_file(CANHBAO_SOURCE_DIR "/tests/data/sites/minimal/canhbao.yaml", to, "  id: minimal\n",
              "  id: minimal\n  tables: tables\n");
    FILE *file = fopen(to, "rb");
    assert_non_null(file);
    (void)fclose(file); /* only looked at */
    (void)snprintf(from, sizeof from, "%s", to);
    copy_file(from, to, "scales:\n",
              "scales:\n  - id: risk\n    kind: risk\n    name: {vi: r, en: r}\n    levels:\n"
              "      - {vi: a, en: a}\n      - {vi: b, en: b}\n      - {vi: c, en: c}\n"
              "      - {vi: d, en: d}\n      - {vi: e, en: e}\n");
}

/* NULL when it was refused; the first error then. */
static struct site *load(struct fixture *fixture, char ret_text[CONFIG_TEXT_SIZE]) {
    struct site *site = NULL;
    fixture->errors.count = 0;
    fixture->errors.more = 0;
    if (site_load(dir, fixture->units, &site, &fixture->errors) != 0) {
        assert_true(fixture->errors.count > 0);
        (void)snprintf(ret_text, CONFIG_TEXT_SIZE, "%s", fixture->errors.items[0].text);
        return NULL;
    }
    return site;
}

#define FLOOD_LEVELS                                                                               \
    "levels_from:\n  hazard: flood\n  zone: KV2\n  quantities:\n"                                  \
    "    - {metric: stage_m, indicator: stage, hysteresis: 0.1 m}\n"

static void revision(struct fixture *fixture, char ret_revision[RULE_REVISION_SIZE]) {
    char text[CONFIG_TEXT_SIZE] = "";
    struct site *site = load(fixture, text);
    if (site == NULL) {
        print_error("%s\n", text);
    }
    assert_non_null(site);
    assert_true(site->rules[0].provisional && site->rules[0].row_count > 0);
    memcpy(ret_revision, site->rules[0].revision, RULE_REVISION_SIZE);
    (void)site_destroy(site);
}

static void test_a_row_s_change_is_another_revision(void **state) {
    /* A bound that decides, one that does not (more is never less), and the confidence. */
    static const char *const changes[][2] = {
        {"stage_m,BD3+1.0,1", "stage_m,BD3+1.5,1"},
        {"KV2,yes,,stage_m,BD1,1,BD2,0", "KV2,yes,,stage_m,BD1,1,BD2+0.1,0"}};
    struct fixture *fixture = *state;
    char first[RULE_REVISION_SIZE], again[RULE_REVISION_SIZE], changed[RULE_REVISION_SIZE];
    write_rule(FLOOD_LEVELS);
    copy_tables(NULL, NULL);
    revision(fixture, first);
    revision(fixture, again);
    assert_string_equal(first, again);
    copy_tables(changes[1][0], changes[1][1]);
    revision(fixture, changed);
    assert_string_not_equal(first, changed);
    copy_tables("flood-07,flood,\"Lu, ngap lut\",45,2,KV2",
                "flood-07,flood,\"Lu, ngap lut\",45,3,KV2");
    revision(fixture, changed);
    assert_string_not_equal(first, changed);
    /* Another zone's row is none of this rule's. */
    copy_tables("flood-11,flood,\"Lu, ngap lut\",45,3,KV3",
                "flood-11,flood,\"Lu, ngap lut\",45,4,KV3");
    revision(fixture, changed);
    assert_string_equal(first, changed);
    copy_tables(NULL, NULL);
}

static void test_what_is_refused(void **state) {
    static const struct {
        const char *levels, *word;
    } bad[] = {
        {"", "levels_from"},
        {FLOOD_LEVELS "levels: []\n", "levels_from"},
        {"levels_from:\n  hazard: flood\n  zone: KV9\n  quantities:\n"
         "    - {metric: stage_m, indicator: stage}\n",
         "zone"},
        {"levels_from:\n  hazard: flood\n  zone: KV2\n  quantities:\n"
         "    - {metric: stage_ft, indicator: stage}\n",
         "metric"},
        {"levels_from:\n  hazard: flood\n  zone: KV2\n  quantities:\n"
         "    - {metric: stage_m, indicator: depth}\n",
         "unknown"},
        {"levels_from:\n  hazard: flood\n  zone: KV2\n  quantities:\n    - {metric: stage_m}\n",
         "assumed"},
        {"levels_from:\n  hazard: flood\n  zone: KV2\n  quantities:\n"
         "    - {metric: surge_m, indicator: stage}\n",
         "flood-05"},
        {"levels_from:\n  hazard: flood\n  zone: KV2\n  susceptibility: high\n  quantities:\n"
         "    - {metric: stage_m, indicator: stage}\n",
         "susceptibility"},
        {"levels_from:\n  hazard: heat\n  zone: central\n  quantities:\n"
         "    - {metric: tmax_c, indicator: stage}\n    - {metric: duration_d, assumed: 3}\n",
         "dimension"},
        {"levels:\n  - {level: 1, when: {indicator: stage, at_least: table aegl Cl2/AEGL-1 "
         "t10min_ppm}}\n",
         "ppm"},
        {"levels:\n  - {level: 1, when: {indicator: stage, at_least: table flood_alarm_levels "
         "Bồng Sơn bd9_m}}\n",
         "column"},
        {"levels:\n  - {level: 1, when: {indicator: stage, at_least: table aegl}}\n", "COLUMN"},
    };
    struct fixture *fixture = *state;
    char text[CONFIG_TEXT_SIZE];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_rule(bad[i].levels);
        struct site *site = load(fixture, text);
        if (site != NULL || strstr(text, bad[i].word) == NULL) {
            print_error("case %zu: %s\n", i, site != NULL ? "accepted" : text);
        }
        assert_null(site);
        assert_non_null(strstr(text, bad[i].word));
    }
    write_rule("levels:\n  - {level: 1, when: {indicator: stage, at_least: table "
               "flood_alarm_levels Bồng Sơn bd1_m}}\n");
    struct site *site = load(fixture, text);
    assert_non_null(site);
    assert_true(site->rules[0].nodes[0].threshold == 6 && site->rules[0].nodes[0].row == 1);
    (void)site_destroy(site);
    /* Tables that cannot be read stop the start. */
    copy_tables("flood-05,flood", "flood-05,fl\001ood");
    assert_null(load(fixture, text));
    copy_tables(NULL, NULL);
}

static int set_up(void **state) {
    struct err err = {0};
    struct fixture *fixture = calloc(1, sizeof *fixture);
    if (fixture == NULL || tables_load(FOLDER, &fixture->tables, &err) != 0 ||
        units_create(&fixture->units, &err) != 0) {
        return -1;
    }
    fixture->loader.site = calloc(1, sizeof *fixture->loader.site);
    make_site();
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    char command[128];
    free(fixture->rule.rows);
    free(fixture->loader.site);
    (void)tables_destroy(fixture->tables);
    (void)units_destroy(fixture->units);
    free(fixture);
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_as_a_rule),
        cmocka_unit_test(test_flood_without_a_record),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_every_cell_of_every_row),
        cmocka_unit_test(test_no_risk_row_is_left_out),
        cmocka_unit_test(test_every_water_row_has_a_quantity),
        cmocka_unit_test(test_a_row_s_change_is_another_revision),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
