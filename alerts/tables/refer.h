/* One cell or row of a table by name, for rules that take their thresholds from it.
 *
 * Cells:  aegl t10min_ppm to t8h_ppm; radiation_levels low, high; air_limits limit_ug_m3;
 *         vn_aqi_breakpoints from_ug_m3 (the rounded index is above index_low from there on);
 *         water_limits min, max; rainfall_thresholds total_1h_mm to total_72h_mm;
 *         flood_alarm_levels bd1_m, bd2_m, bd3_m, historic_peak_m.
 * Thread rule: pure. */
#ifndef CANHBAO_ALERTS_TABLES_REFER_H
#define CANHBAO_ALERTS_TABLES_REFER_H

#include "alerts/rule.h"
#include "alerts/tables/tables.h"

struct table_cell {
    double value;
    const char *unit; /* UDUNITS syntax; lives as long as the tables */
    uint8_t level;    /* that the row gives; 0: none */
    const struct table_source *source;
};

/* ERR_NOT_FOUND with a sentence: no such table, row or column; or an empty cell. */
int table_cell(const struct tables *tables, const char *table, const char *row, const char *column,
               struct table_cell *ret_cell, struct err *ret_err);

/* The rows of air_limits that differ from "PM2.5/24h" by the day from which they
 * hold only. The number of them, `max` at most; 0: there is no such row or table. */
size_t table_dated_rows(const struct tables *tables, const char *table, const char *row,
                        const char **ret_ids, size_t max);

/* A row as a rule keeps it. `column` "": the whole row. */
void table_row_keep(const struct table_source *source, const char *table, const char *column,
                    uint16_t article, uint8_t level, struct rule_row *ret_row);

#endif
