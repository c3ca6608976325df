#include "alerts/tables/refer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/ids.h"

enum { COLUMNS_MAX = 7 };

/* One row of any table, as its cells are asked for. */
struct found {
    const struct table_source *source;
    const char *unit;
    uint8_t level;
    const char *columns[COLUMNS_MAX];
    double values[COLUMNS_MAX];
};

static bool is_row(const struct table_source *source, const char *row) {
    return strcmp(source->id, row) == 0;
}

static bool find_aegl(const struct tables *tables, const char *row, struct found *ret_found) {
    for (size_t i = 0; i < tables->aegl_count; i++) {
        const struct aegl_row *at = &tables->aegls[i];
        if (is_row(&at->source, row)) {
            *ret_found =
                (struct found){&at->source,
                               "ppm",
                               at->level,
                               {"t10min_ppm", "t30min_ppm", "t60min_ppm", "t4h_ppm", "t8h_ppm"},
                               {at->ppm[0], at->ppm[1], at->ppm[2], at->ppm[3], at->ppm[4]}};
            return true;
        }
    }
    return false;
}

static bool find_radiation(const struct tables *tables, const char *row, struct found *ret_found) {
    for (size_t i = 0; i < tables->radiation_count; i++) {
        const struct radiation_row *at = &tables->radiations[i];
        if (is_row(&at->source, row)) {
            *ret_found =
                (struct found){&at->source, at->unit, 0, {"low", "high"}, {at->low, at->high}};
            return true;
        }
    }
    return false;
}

static bool find_air(const struct tables *tables, const char *row, struct found *ret_found) {
    for (size_t i = 0; i < tables->air_limit_count; i++) {
        const struct air_limit *at = &tables->air_limits[i];
        if (is_row(&at->source, row)) {
            *ret_found =
                (struct found){&at->source, "ug m-3", 1, {"limit_ug_m3"}, {at->limit_ug_m3}};
            return true;
        }
    }
    return false;
}

/* An index is rounded, so one above a breakpoint begins half a unit behind it. */
static bool find_aqi(const struct tables *tables, const char *row, struct found *ret_found) {
    for (size_t i = 0; i < tables->aqi_segment_count; i++) {
        const struct aqi_segment *at = &tables->aqi_segments[i];
        if (is_row(&at->source, row)) {
            double slope =
                (at->conc_high_ug_m3 - at->conc_low_ug_m3) / (at->index_high - at->index_low);
            *ret_found = (struct found){
                &at->source, "ug m-3", 0, {"from_ug_m3"}, {at->conc_low_ug_m3 + 0.5 * slope}};
            return true;
        }
    }
    return false;
}

/* The table's units in UDUNITS syntax. */
static const char *water_unit(const char *unit) {
    return strcmp(unit, "pH") == 0 ? "1" : strcmp(unit, "MPN/100mL") == 0 ? "0.01 mL-1" : unit;
}

static bool find_water(const struct tables *tables, const char *row, struct found *ret_found) {
    for (size_t i = 0; i < tables->water_count; i++) {
        const struct water_row *at = &tables->waters[i];
        if (is_row(&at->source, row)) {
            *ret_found = (struct found){
                &at->source, water_unit(at->unit), 1, {"min", "max"}, {at->min, at->max}};
            return true;
        }
    }
    return false;
}

static bool find_rainfall(const struct tables *tables, const char *row, struct found *ret_found) {
    for (size_t i = 0; i < tables->rainfall_count; i++) {
        const struct rainfall_row *at = &tables->rainfalls[i];
        if (is_row(&at->source, row)) {
            *ret_found = (struct found){.source = &at->source,
                                        .unit = "mm",
                                        .columns = {"total_1h_mm", "total_3h_mm", "total_6h_mm",
                                                    "total_12h_mm", "total_24h_mm", "total_48h_mm",
                                                    "total_72h_mm"}};
            memcpy(ret_found->values, at->total_mm, sizeof at->total_mm);
            return true;
        }
    }
    return false;
}

static bool find_flood(const struct tables *tables, const char *row, struct found *ret_found) {
    for (size_t i = 0; i < tables->flood_count; i++) {
        const struct flood_station *at = &tables->floods[i];
        if (is_row(&at->source, row)) {
            *ret_found = (struct found){&at->source,
                                        "m",
                                        0,
                                        {"bd1_m", "bd2_m", "bd3_m", "historic_peak_m"},
                                        {at->at_m[0], at->at_m[1], at->at_m[2], at->historic_m}};
            return true;
        }
    }
    return false;
}

int table_cell(const struct tables *tables, const char *table, const char *row, const char *column,
               struct table_cell *ret_cell, struct err *ret_err) {
    static const struct {
        const char *table;
        bool (*find)(const struct tables *, const char *, struct found *);
    } finders[] = {{"aegl", find_aegl},
                   {"radiation_levels", find_radiation},
                   {"air_limits", find_air},
                   {"vn_aqi_breakpoints", find_aqi},
                   {"water_limits", find_water},
                   {"rainfall_thresholds", find_rainfall},
                   {"flood_alarm_levels", find_flood}};
    struct found found;
    size_t i = 0;
    while (i < sizeof finders / sizeof finders[0] && strcmp(finders[i].table, table) != 0) {
        i++;
    }
    if (i == sizeof finders / sizeof finders[0]) {
        return err_set(ret_err, ERR_NOT_FOUND, "no table '%.40s' has cells to compare with", table);
    }
    if (!finders[i].find(tables, row, &found)) {
        return err_set(ret_err, ERR_NOT_FOUND, "the table %s has no row '%.80s'", table, row);
    }
    for (size_t k = 0; k < COLUMNS_MAX && found.columns[k] != NULL; k++) {
        if (strcmp(found.columns[k], column) != 0) {
            continue;
        }
        if (isnan(found.values[k])) {
            return err_set(ret_err, ERR_NOT_FOUND, "the table %s has no value of %s in row '%.80s'",
                           table, column, row);
        }
        *ret_cell = (struct table_cell){.value = found.values[k],
                                        .unit = found.unit,
                                        .level = found.level,
                                        .source = found.source};
        return 0;
    }
    return err_set(ret_err, ERR_NOT_FOUND, "the table %s has no column '%.40s' to compare with",
                   table, column);
}

size_t table_dated_rows(const struct tables *tables, const char *table, const char *row,
                        const char **ret_ids, size_t max) {
    size_t count = 0;
    size_t length = strlen(row);
    bool known = strcmp(table, "air_limits") == 0;
    for (size_t i = 0; known && i < tables->air_limit_count && count < max; i++) {
        const char *id = tables->air_limits[i].source.id;
        if (strncmp(id, row, length) == 0 && id[length] == '/' &&
            strchr(id + length + 1, '/') == NULL && strchr(row, '/') != NULL) {
            ret_ids[count++] = id;
        }
    }
    return count;
}

/* A hash of all fields, so that no field of the row can change unseen. */
static void digest(const struct table_source *source, char ret_digest[RULE_REVISION_SIZE]) {
    const char *fields[CSV_COLUMNS_MAX];
    char id[ID_TEXT_SIZE];
    for (size_t i = 0; i < source->csv->column_count; i++) {
        fields[i] = csv_field(source->csv, source->row, i);
    }
    id_from_strings(fields, source->csv->column_count, id);
    (void)snprintf(ret_digest, RULE_REVISION_SIZE, "%.32s", id);
}

void table_row_keep(const struct table_source *source, const char *table, const char *column,
                    uint16_t article, uint8_t level, struct rule_row *ret_row) {
    memset(ret_row, 0, sizeof *ret_row);
    ret_row->article = article;
    ret_row->level = level;
    ret_row->provisional = source->provisional;
    ret_row->valid_from_us = source->valid_from_us;
    ret_row->valid_to_us = source->valid_to_us;
    (void)snprintf(ret_row->table, sizeof ret_row->table, "%s", table);
    (void)snprintf(ret_row->id, sizeof ret_row->id, "%s", source->id);
    (void)snprintf(ret_row->column, sizeof ret_row->column, "%s", column);
    (void)snprintf(ret_row->kind, sizeof ret_row->kind, "%s", source->kind);
    (void)snprintf(ret_row->confidence, sizeof ret_row->confidence, "%s", source->confidence);
    (void)snprintf(ret_row->source, sizeof ret_row->source, "%s", source->text); /* tables.c */
    digest(source, ret_row->digest);
}
