/* Legal and technical tables as data: what the CSV files beside this header say, typed and checked.
 *
 * Every row keeps its source and how certain it is. A row is provisional when it was not read in
 * the text of the law or a faithful copy of it: confidence "memory", or a secondary kind of source.
 * What stands on such a row is shown as provisional (alerts/tables/grade.h). Thread rule: constant
 * after load. */
#ifndef CANHBAO_ALERTS_TABLES_TABLES_H
#define CANHBAO_ALERTS_TABLES_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alerts/tables/csv.h"
#include "daemon/base/err.h"

/* Strings point into the loaded tables. */
struct table_source {
    const char *id; /* of the row: "heavy_rain-04", "Cl2/AEGL-2", "PM2.5/24h/2026-01-01" (from that
                       day on), "PM2.5/24h/100" (an index above 100), "nitrite_N/any", "al-fi-1", a
                       gauge's name */
    const char *text, *kind, *confidence;
    bool provisional;
    int64_t valid_from_us, valid_to_us; /* in force in [from, to), UTC; to 0: open */
    const struct csv *csv;              /* with the whole row */
    size_t row;
};

/* Quantities of Decision 18/2021/QĐ-TTg, with their units. */
enum risk_metric {
    RISK_WIND_BFT,
    RISK_SURGE_M,
    RISK_RAIN_24H_MM,
    RISK_RAIN_12H_MM,
    RISK_STAGE_M,
    RISK_TMAX_C,
    RISK_TMEAN_C,
    RISK_WATER_DEFICIT_PCT,
    RISK_SALINITY_PERMIL,
    RISK_INTRUSION_KM,
    RISK_VISIBILITY_M,
    RISK_AFFECTED_UNIT_PCT,
    RISK_INTENSITY_MSK64,
    RISK_WAVE_HEIGHT_M,
    RISK_DURATION_D,
    RISK_DURATION_MONTH,
    RISK_PRIOR_RAIN_DAY_D,
    RISK_METRIC_COUNT,
    RISK_METRIC_NONE = RISK_METRIC_COUNT
};

/* What a bound is measured from. */
enum risk_mark { MARK_ZERO, MARK_BD1, MARK_BD2, MARK_BD3, MARK_HISTORIC, MARK_COUNT };

struct risk_bound {
    bool given, inclusive;
    enum risk_mark mark;
    double offset; /* above the mark */
};

struct risk_limit {
    enum risk_metric metric; /* RISK_METRIC_NONE: no limit */
    struct risk_bound min, max;
};

enum {
    SUSCEPTIBILITY_LOW = 1,
    SUSCEPTIBILITY_MEDIUM = 2,
    SUSCEPTIBILITY_HIGH = 4,
    SUSCEPTIBILITY_VERY_HIGH = 8
};

struct risk_row {
    const char *hazard, *zone;
    const char *condition, *note;
    int32_t article;
    uint8_t level;          /* 1 to 5 */
    uint8_t susceptibility; /* mask; 0: the row does not ask */
    struct risk_limit limits[2];
    struct risk_limit alternative; /* may stand for limits[0] */
    struct table_source source;
};

struct flood_station {
    const char *name_vi, *river, *zone;              /* zone of Art. 45, "": none */
    double at_m[3];                                  /* alarm levels I to III; NaN: not known */
    double historic_m;                               /* highest flood on record; NaN: not known */
    const char *historic_year, *historic_confidence; /* of it: "memory"; "" without one */
    struct table_source source;
};

struct air_limit {
    const char *parameter;
    double averaging_h, limit_ug_m3;
    struct table_source source;
};

struct aqi_segment {
    const char *parameter;
    double averaging_h;
    double index_low, index_high, conc_low_ug_m3, conc_high_ug_m3;
    struct table_source source;
};

enum { AEGL_TIMES = 5 };

struct aegl_row {
    const char *substance;
    double mw_g_mol;
    uint8_t level;          /* 1 to 3 */
    double ppm[AEGL_TIMES]; /* 10, 30, 60, 240, 480 min; NaN: not recommended */
    struct table_source source;
};

struct radiation_row {
    const char *kind, *unit, *action;
    double low, high; /* NaN: open */
    struct table_source source;
};

struct rainfall_row {
    double alpha, beta;                    /* I (mm/h) = alpha * D(h) ^ beta; NaN: another form */
    double duration_min_h, duration_max_h; /* NaN with alpha */
    double total_mm[7];                    /* in 1, 3, 6, 12, 24, 48, 72 h; NaN: none */
    const char *use;
    struct table_source source;
};

struct water_row {
    const char *parameter, *unit, *quality_class; /* "any", "A" to "D" */
    double min, max;                              /* NaN: open */
    struct table_source source;
};

/* A commune or ward as of 1 July 2025. */
struct commune {
    const char *name, *code; /* code "": not known */
    struct table_source source;
};

enum { BULLETIN_HOURS_MAX = 8 };

/* Hours of issue of a flood bulletin; in Vietnamese time, ascending. */
struct bulletin_hours {
    const char *bulletin; /* "flood", "emergency_flood" */
    int32_t article;
    uint8_t level; /* of the flood alarm, from which on it is issued */
    uint8_t count;
    int16_t minutes[BULLETIN_HOURS_MAX]; /* after midnight */
    struct table_source source;
};

enum { TABLE_FILES = 10, RISK_LEVELS = 5 };

struct tables {
    struct risk_row *risks;
    size_t risk_count;
    const char *colours[RISK_LEVELS]; /* of the risk levels, Art. 4 */
    struct flood_station *floods;
    size_t flood_count;
    struct air_limit *air_limits;
    size_t air_limit_count;
    struct aqi_segment *aqi_segments; /* ascending within a parameter and averaging time */
    size_t aqi_segment_count;
    struct aegl_row *aegls;
    size_t aegl_count;
    struct radiation_row *radiations;
    size_t radiation_count;
    struct rainfall_row *rainfalls;
    size_t rainfall_count;
    struct water_row *waters;
    size_t water_count;
    struct commune *communes;
    size_t commune_count;
    struct bulletin_hours *bulletins;
    size_t bulletin_count;

    struct csv files[TABLE_FILES]; /* owners of the strings */
    char *ids;                     /* owner of the ids that are made of several columns */
};

/* Loads and checks every table of the folder (share/canhbaod/tables). ERR_IO, ERR_SYNTAX,
 * ERR_RANGE, ERR_LIMIT, ERR_MEMORY with file, row and reason. */
int tables_load(const char *dir, struct tables **ret_tables, struct err *ret_err);
struct tables *tables_destroy(struct tables *tables); /* NULL is fine; returns NULL */

/* "rain_24h_mm"; RISK_METRIC_NONE when there is none. */
enum risk_metric risk_metric_of_name(const char *name);
/* Mask of "low", "medium|high", ...; 0 when it is none. */
uint8_t susceptibility_of_name(const char *name);

#endif
