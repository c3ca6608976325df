#include "alerts/tables/tables.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/station/station.h"

enum { ID_MAX = 64, DAY_S = 86400 };
enum file {
    FILE_RISK,
    FILE_FLOOD,
    FILE_AIR,
    FILE_AQI,
    FILE_AEGL,
    FILE_RADIATION,
    FILE_RAINFALL,
    FILE_WATER,
    FILE_COMMUNES,
    FILE_BULLETINS
};

static const struct {
    const char *name, *header;
} files[TABLE_FILES] = {
    [FILE_RISK] = {"risk_levels.csv",
                   "rule_id,hazard,hazard_vi,article,level,zone,binh_dinh_applies,susceptibility,"
                   "metric_1,min_1,min_1_incl,max_1,max_1_incl,metric_2,min_2,min_2_incl,max_2,"
                   "max_2_incl,alt_metric,alt_min,alt_max,condition,note,source,source_kind,"
                   "confidence"},
    [FILE_FLOOD] = {"flood_alarm_levels.csv",
                    "station,station_ascii,river,basin,zone_qd18,zone_basis,bd1_m,bd2_m,bd3_m,"
                    "bd1_evidence,bd2_evidence,bd3_evidence,peak_2016_12_15_m,peak_2017_11_12_m,"
                    "peak_2020_11_m,peak_2025_11_19_m,peak_2025_time_ict,historic_peak_m,"
                    "historic_peak_alt_m,historic_year,historic_confidence,note,lat_deg_approx,"
                    "lon_deg_approx,coord_confidence,source,source_kind,confidence"},
    [FILE_AIR] = {"air_limits.csv", "parameter,name,averaging_h,limit_ug_m3,valid_from,valid_to,"
                                    "reference_condition,note,source,source_kind,confidence"},
    [FILE_AQI] = {"vn_aqi_breakpoints.csv",
                  "parameter,averaging_h,index_low,index_high,conc_low_ug_m3,conc_high_ug_m3,note,"
                  "source,source_kind,confidence"},
    [FILE_AEGL] = {"aegl.csv",
                   "substance,name,cas,mw_g_mol,aegl_level,t10min_ppm,t30min_ppm,t60min_ppm,"
                   "t4h_ppm,t8h_ppm,t10min_mg_m3,t30min_mg_m3,t60min_mg_m3,t4h_mg_m3,t8h_mg_m3,"
                   "status,note,source,source_kind,confidence"},
    [FILE_RADIATION] = {"radiation_levels.csv", "id,kind,name,low,high,unit,basis,action,note,"
                                                "source,source_kind,confidence"},
    [FILE_RAINFALL] = {"rainfall_thresholds.csv",
                       "id,name,form,alpha,beta,c,duration_min_h,duration_max_h,total_1h_mm,"
                       "total_3h_mm,total_6h_mm,total_12h_mm,total_24h_mm,total_48h_mm,"
                       "total_72h_mm,use,note,source,source_kind,confidence"},
    [FILE_WATER] = {"water_limits.csv",
                    "parameter,unit,quality_class,min,max,note,source,source_kind,confidence"},
    [FILE_COMMUNES] = {"communes.csv",
                       "name,name_ascii,kind,old_district,old_district_code,old_province_code,"
                       "new_unit_code,predecessors,basin_guess,named_in_nov2025_flood_bulletin,"
                       "note,source,source_kind,confidence"},
    [FILE_BULLETINS] = {"bulletin_hours.csv",
                        "bulletin,flood_alarm_level,hours_ict,rivers,article,valid_from,valid_to,"
                        "note,source,source_kind,confidence"},
};

static const char *const metric_names[RISK_METRIC_COUNT] = {
    [RISK_WIND_BFT] = "wind_bft",
    [RISK_SURGE_M] = "surge_m",
    [RISK_RAIN_24H_MM] = "rain_24h_mm",
    [RISK_RAIN_12H_MM] = "rain_12h_mm",
    [RISK_STAGE_M] = "stage_m",
    [RISK_TMAX_C] = "tmax_c",
    [RISK_TMEAN_C] = "tmean_c",
    [RISK_WATER_DEFICIT_PCT] = "water_deficit_pct",
    [RISK_SALINITY_PERMIL] = "salinity_permil",
    [RISK_INTRUSION_KM] = "intrusion_km",
    [RISK_VISIBILITY_M] = "visibility_m",
    [RISK_AFFECTED_UNIT_PCT] = "affected_unit_pct",
    [RISK_INTENSITY_MSK64] = "intensity_msk64",
    [RISK_WAVE_HEIGHT_M] = "wave_height_m",
    [RISK_DURATION_D] = "duration_d",
    [RISK_DURATION_MONTH] = "duration_month",
    [RISK_PRIOR_RAIN_DAY_D] = "prior_rain_day_d",
};

enum risk_metric risk_metric_of_name(const char *name) {
    for (int i = 0; i < RISK_METRIC_COUNT; i++) {
        if (strcmp(name, metric_names[i]) == 0) {
            return (enum risk_metric)i;
        }
    }
    return RISK_METRIC_NONE;
}

uint8_t susceptibility_of_name(const char *name) {
    static const char *const names[] = {"low", "medium", "high", "very_high"};
    uint8_t mask = 0;
    while (*name != '\0') {
        size_t length = strcspn(name, "|");
        size_t i = 0;
        while (i < 4 && (strlen(names[i]) != length || strncmp(name, names[i], length) != 0)) {
            i++;
        }
        if (i == 4) {
            return 0;
        }
        mask = (uint8_t)(mask | (1U << i));
        name += length;
        name += *name == '|';
    }
    return mask;
}

/* One file that is being read; the first fault sticks. */
struct sheet {
    const struct csv *csv;
    const char *name;
    size_t row;
    int result;
    struct err *err;
};

static const char *field(const struct sheet *sheet, size_t column) {
    return csv_field(sheet->csv, sheet->row, column);
}

static void fault(struct sheet *sheet, const char *what, const char *text) {
    if (sheet->result == 0) {
        sheet->result = err_set(sheet->err, ERR_RANGE, "%s, row %zu: %s '%s'", sheet->name,
                                sheet->row + 1, what, text);
    }
}

static double number(struct sheet *sheet, size_t column, double min, double max) {
    double value = NAN;
    if (text_parse_double(field(sheet, column), min, max, &value) != 0) {
        fault(sheet, "not a number within its bounds:", field(sheet, column));
    }
    return value;
}

static double number_or_nan(struct sheet *sheet, size_t column, double min, double max) {
    return *field(sheet, column) == '\0' ? NAN : number(sheet, column, min, max);
}

static int32_t integer(struct sheet *sheet, size_t column, int32_t min, int32_t max) {
    int64_t value = min;
    if (text_parse_int(field(sheet, column), min, max, &value) != 0) {
        fault(sheet, "not a whole number within its bounds:", field(sheet, column));
    }
    return (int32_t)value;
}

/* The last three columns of every table. */
static struct table_source source_of(struct sheet *sheet, const char *id) {
    static const char *const kinds[] = {"primary_copy", "official_bulletin",  "secondary",
                                        "derived",      "secondary_conflict", "memory"};
    size_t last = sheet->csv->column_count - 1;
    struct table_source source = {.id = id,
                                  .text = field(sheet, last - 2),
                                  .kind = field(sheet, last - 1),
                                  .confidence = field(sheet, last),
                                  .csv = sheet->csv,
                                  .row = sheet->row};
    size_t i = 0;
    while (i < sizeof kinds / sizeof kinds[0] && strcmp(source.kind, kinds[i]) != 0) {
        i++;
    }
    bool memory = strcmp(source.confidence, "memory") == 0;
    if (i == sizeof kinds / sizeof kinds[0] ||
        (!memory && strcmp(source.confidence, "verified") != 0)) {
        fault(sheet, "unknown source kind or confidence", source.kind);
    }
    if (*source.id == '\0' || *source.text == '\0' || strlen(source.id) >= STATION_ID_SIZE ||
        strlen(source.text) >= STATION_SOURCE_SIZE) {
        fault(sheet, "no id or no source, or too long a one, in", source.id);
    }
    source.provisional = memory || strncmp(source.kind, "secondary", 9) == 0;
    return source;
}

/* "12.5", "BD2", "BD3+1.0", "HIST" */
static struct risk_bound bound_of(struct sheet *sheet, size_t column, bool inclusive) {
    static const char *const marks[MARK_COUNT] = {"", "BD1", "BD2", "BD3", "HIST"};
    const char *text = field(sheet, column);
    struct risk_bound bound = {.inclusive = inclusive};
    if (*text == '\0') {
        return bound;
    }
    bound.given = true;
    for (int i = MARK_BD1; i < MARK_COUNT; i++) {
        size_t length = strlen(marks[i]);
        if (strncmp(text, marks[i], length) == 0 && (text[length] == '\0' || text[length] == '+')) {
            bound.mark = (enum risk_mark)i;
            text += length;
            if (*text == '\0') {
                return bound;
            }
            text++;
            break;
        }
    }
    if (text_parse_double(text, 0, 1e6, &bound.offset) != 0) {
        fault(sheet, "not a bound:", field(sheet, column));
    }
    return bound;
}

static bool inclusive_of(struct sheet *sheet, size_t column, size_t bound_column) {
    const char *text = field(sheet, column);
    bool given = *field(sheet, bound_column) != '\0';
    if (given ? strcmp(text, "0") != 0 && strcmp(text, "1") != 0 : *text != '\0') {
        fault(sheet, "a bound and its inclusivity do not fit:", text);
    }
    return strcmp(text, "1") == 0;
}

/* metric, min, min_incl, max, max_incl from `column` on */
static struct risk_limit limit_of(struct sheet *sheet, size_t column) {
    struct risk_limit limit = {.metric = RISK_METRIC_NONE};
    if (*field(sheet, column) == '\0') {
        return limit;
    }
    limit.metric = risk_metric_of_name(field(sheet, column));
    limit.min = bound_of(sheet, column + 1, inclusive_of(sheet, column + 2, column + 1));
    limit.max = bound_of(sheet, column + 3, inclusive_of(sheet, column + 4, column + 3));
    if (limit.metric == RISK_METRIC_NONE || (!limit.min.given && !limit.max.given)) {
        fault(sheet, "an unknown metric, or one without bounds:", field(sheet, column));
    }
    return limit;
}

/* Two bounds that the CSV states in words: fog is a visibility below 1000 m (Art. 5, quoted in the
 * condition of the row), and a tsunami has a wave (our reading: above 0 m). */
static void complete_limits(struct risk_row *row) {
    struct risk_limit *limit = &row->limits[0];
    if (limit->metric == RISK_VISIBILITY_M && !limit->max.given) {
        limit->max = (struct risk_bound){.given = true, .offset = 1000};
    }
    if (limit->metric == RISK_WAVE_HEIGHT_M && !limit->min.given) {
        limit->min = (struct risk_bound){.given = true};
    }
}

static void read_risk(struct sheet *sheet, struct tables *tables) {
    enum {
        COLUMN_LEVEL = 4,
        COLUMN_SUSCEPTIBILITY = 7,
        COLUMN_1 = 8,
        COLUMN_2 = 13,
        COLUMN_ALT = 18,
        COLUMN_CONDITION = 21
    };
    const char *hazard = field(sheet, 1);
    if (strncmp(hazard, "modifier_", 9) == 0) {
        return; /* what a person may raise: grade.h, risk_raise_allowed() */
    }
    if (strcmp(hazard, "colour") == 0) {
        tables->colours[integer(sheet, COLUMN_LEVEL, 1, RISK_LEVELS) - 1] =
            field(sheet, COLUMN_CONDITION);
        return;
    }
    struct risk_row row = {
        .hazard = hazard,
        .zone = field(sheet, 5),
        .condition = field(sheet, COLUMN_CONDITION),
        .note = field(sheet, COLUMN_CONDITION + 1),
        .article = integer(sheet, 3, 1, 100),
        .level = (uint8_t)integer(sheet, COLUMN_LEVEL, 1, RISK_LEVELS),
        .susceptibility = susceptibility_of_name(field(sheet, COLUMN_SUSCEPTIBILITY)),
        .limits = {limit_of(sheet, COLUMN_1), limit_of(sheet, COLUMN_2)},
        .alternative = {.metric = RISK_METRIC_NONE},
        .source = source_of(sheet, field(sheet, 0)),
    };
    if (row.limits[0].metric == RISK_METRIC_NONE || *row.zone == '\0' ||
        (row.susceptibility == 0) != (*field(sheet, COLUMN_SUSCEPTIBILITY) == '\0')) {
        fault(sheet, "a level without a metric, zone or known susceptibility in", row.source.id);
    }
    if (*field(sheet, COLUMN_ALT) != '\0') {
        row.alternative =
            (struct risk_limit){.metric = risk_metric_of_name(field(sheet, COLUMN_ALT)),
                                .min = bound_of(sheet, COLUMN_ALT + 1, true),
                                .max = bound_of(sheet, COLUMN_ALT + 2, true)};
        if (row.alternative.metric == RISK_METRIC_NONE || !row.alternative.min.given) {
            fault(sheet, "an alternative that cannot be read in", row.source.id);
        }
    }
    complete_limits(&row);
    tables->risks[tables->risk_count++] = row;
}

static void read_flood(struct sheet *sheet, struct tables *tables) {
    struct flood_station row = {
        .name_vi = field(sheet, 0),
        .river = field(sheet, 2),
        .zone = field(sheet, 4),
        .at_m = {number_or_nan(sheet, 6, -10, 3000), number_or_nan(sheet, 7, -10, 3000),
                 number_or_nan(sheet, 8, -10, 3000)},
        .historic_m = number_or_nan(sheet, 17, -10, 3000),
        .historic_year = field(sheet, 19),
        .historic_confidence = field(sheet, 20),
        .source = source_of(sheet, field(sheet, 0)),
    };
    if (row.at_m[0] >= row.at_m[1] || row.at_m[1] >= row.at_m[2]) {
        fault(sheet, "alarm levels that do not ascend at", row.name_vi);
    }
    if (isnan(row.historic_m) != (*row.historic_confidence == '\0')) {
        fault(sheet, "a highest flood without its confidence, or the reverse, at", row.name_vi);
    }
    /* The bulletins print the distance to a level; the appendix of the Decision was not read. */
    row.source.provisional = true;
    tables->floods[tables->flood_count++] = row;
}

/* Midnight at the begin of the day, `add_s` later; 0: no day is given. */
static int64_t day_of(struct sheet *sheet, size_t column, int64_t add_s) {
    char text[32];
    int64_t us = 0;
    if (*field(sheet, column) == '\0') {
        return 0;
    }
    /* Days of the law are Vietnamese days. */
    (void)snprintf(text, sizeof text, "%.10sT00:00:00+07:00", field(sheet, column));
    if (text_parse_time(text, &us) != 0) {
        fault(sheet, "not a day:", field(sheet, column));
        return 0;
    }
    return us + add_s * 1000000;
}

/* Columns valid_from and valid_to, whose days both count. */
static void set_validity(struct sheet *sheet, size_t column, struct table_source *source) {
    source->valid_from_us = day_of(sheet, column, 0);
    source->valid_to_us = day_of(sheet, column + 1, DAY_S);
    if (source->valid_to_us != 0 && source->valid_to_us <= source->valid_from_us) {
        fault(sheet, "ends before it begins:", source->id);
    }
}

/* Room for the id of this row, made of several columns; files do not share it. */
static char *id_room(struct sheet *sheet, struct tables *tables) {
    size_t file = (size_t)(sheet->csv - tables->files);
    return tables->ids + (file * CSV_ROWS_MAX + sheet->row) * ID_MAX;
}

static void read_air(struct sheet *sheet, struct tables *tables) {
    char *id = id_room(sheet, tables);
    (void)snprintf(id, ID_MAX, "%.24s/%.8sh/%.12s", field(sheet, 0), field(sheet, 2),
                   field(sheet, 4));
    struct air_limit row = {
        .parameter = field(sheet, 0),
        .averaging_h = number(sheet, 2, 1, 8760),
        .limit_ug_m3 = number(sheet, 3, 1e-6, 1e6),
        .source = source_of(sheet, id),
    };
    set_validity(sheet, 4, &row.source);
    tables->air_limits[tables->air_limit_count++] = row;
}

static void read_aqi(struct sheet *sheet, struct tables *tables) {
    char *id = id_room(sheet, tables);
    (void)snprintf(id, ID_MAX, "%.24s/%.8sh/%.8s", field(sheet, 0), field(sheet, 1),
                   field(sheet, 2));
    struct aqi_segment row = {
        .parameter = field(sheet, 0),
        .averaging_h = number(sheet, 1, 1, 24),
        .index_low = number(sheet, 2, 0, 500),
        .index_high = number(sheet, 3, 0, 500),
        .conc_low_ug_m3 = number(sheet, 4, 0, 1e6),
        .conc_high_ug_m3 = number(sheet, 5, 0, 1e6),
        .source = source_of(sheet, id),
    };
    const struct aqi_segment *before =
        tables->aqi_segment_count > 0 ? &tables->aqi_segments[tables->aqi_segment_count - 1] : NULL;
    bool follows = before != NULL && strcmp(before->parameter, row.parameter) == 0 &&
                   before->averaging_h == row.averaging_h;
    if (row.index_low >= row.index_high || row.conc_low_ug_m3 >= row.conc_high_ug_m3 ||
        (follows
             ? before->index_high != row.index_low || before->conc_high_ug_m3 != row.conc_low_ug_m3
             : row.index_low != 0 || row.conc_low_ug_m3 != 0)) {
        fault(sheet, "breakpoints with a hole at", row.parameter);
    }
    tables->aqi_segments[tables->aqi_segment_count++] = row;
}

static void read_aegl(struct sheet *sheet, struct tables *tables) {
    char *id = id_room(sheet, tables);
    (void)snprintf(id, ID_MAX, "%.32s/AEGL-%.8s", field(sheet, 0), field(sheet, 4));
    struct aegl_row row = {
        .substance = field(sheet, 0),
        .mw_g_mol = number(sheet, 3, 1, 1000),
        .level = (uint8_t)integer(sheet, 4, 1, 3),
        .source = source_of(sheet, id),
    };
    for (size_t i = 0; i < AEGL_TIMES; i++) {
        row.ppm[i] = number_or_nan(sheet, 5 + i, 1e-6, 1e6);
        if (isnan(row.ppm[i]) != isnan(row.ppm[0])) {
            fault(sheet, "a level with some of its times only:", id);
        }
    }
    tables->aegls[tables->aegl_count++] = row;
}

static void read_radiation(struct sheet *sheet, struct tables *tables) {
    tables->radiations[tables->radiation_count++] = (struct radiation_row){
        .kind = field(sheet, 1),
        .low = number_or_nan(sheet, 3, 0, 1e9),
        .high = number_or_nan(sheet, 4, 0, 1e9),
        .unit = field(sheet, 5),
        .action = field(sheet, 7),
        .source = source_of(sheet, field(sheet, 0)),
    };
}

static void read_rainfall(struct sheet *sheet, struct tables *tables) {
    struct rainfall_row row = {
        .alpha = number_or_nan(sheet, 3, 0.01, 1000),
        .beta = number_or_nan(sheet, 4, -5, 0),
        .duration_min_h = number_or_nan(sheet, 6, 0.01, 10000),
        .duration_max_h = number_or_nan(sheet, 7, 0.01, 10000),
        .use = field(sheet, 15),
        .source = source_of(sheet, field(sheet, 0)),
    };
    for (size_t i = 0; i < 7; i++) {
        row.total_mm[i] = number_or_nan(sheet, 8 + i, 0.1, 2000);
    }
    if (isnan(row.alpha) != isnan(row.beta) ||
        (!isnan(row.alpha) && !(row.duration_min_h < row.duration_max_h))) {
        fault(sheet, "half a curve in", row.source.id);
    }
    tables->rainfalls[tables->rainfall_count++] = row;
}

static void read_water(struct sheet *sheet, struct tables *tables) {
    char *id = id_room(sheet, tables);
    (void)snprintf(id, ID_MAX, "%.40s/%.8s", field(sheet, 0), field(sheet, 2));
    struct water_row row = {
        .parameter = field(sheet, 0),
        .unit = field(sheet, 1),
        .quality_class = field(sheet, 2),
        .min = number_or_nan(sheet, 3, 0, 1e6),
        .max = number_or_nan(sheet, 4, 0, 1e6),
        .source = source_of(sheet, id),
    };
    bool class_known = strcmp(row.quality_class, "any") == 0 ||
                       (strlen(row.quality_class) == 1 && strchr("ABCD", *row.quality_class));
    if (!class_known || (isnan(row.min) && isnan(row.max))) {
        fault(sheet, "a limit without class or bound for", row.parameter);
    }
    tables->waters[tables->water_count++] = row;
}

static void read_commune(struct sheet *sheet, struct tables *tables) {
    struct commune row = {.name = field(sheet, 0),
                          .code = field(sheet, 6),
                          .source = source_of(sheet, field(sheet, 0))};
    if (strchr(row.name, ';') != NULL ||
        (row.code[0] != '\0' && (strlen(row.code) != 5 || strspn(row.code, "0123456789") != 5))) {
        fault(sheet, "a name with ';' or a code that is not five digits:", row.name);
    }
    tables->communes[tables->commune_count++] = row;
}

/* "03:30;09:30" */
static void read_hours(struct sheet *sheet, struct bulletin_hours *row) {
    const char *text = field(sheet, 2);
    while (*text != '\0') {
        int hour, minute, length = 0;
        if (row->count == BULLETIN_HOURS_MAX ||
            sscanf(text, "%2d:%2d%n", &hour, &minute, &length) != 2 || length != 5 || hour > 23 ||
            minute > 59 || hour < 0 || minute < 0 || (text[5] != ';' && text[5] != '\0') ||
            (row->count > 0 && row->minutes[row->count - 1] >= hour * 60 + minute)) {
            fault(sheet, "not hours that ascend:", field(sheet, 2));
            return;
        }
        row->minutes[row->count++] = (int16_t)(hour * 60 + minute);
        text += text[5] == ';' ? 6 : 5;
    }
    if (row->count == 0) {
        fault(sheet, "no hours for", row->bulletin);
    }
}

static void read_bulletin(struct sheet *sheet, struct tables *tables) {
    struct bulletin_hours row = {.bulletin = field(sheet, 0),
                                 .level = (uint8_t)integer(sheet, 1, 1, 3),
                                 .article = integer(sheet, 4, 1, 100),
                                 .source = source_of(sheet, field(sheet, 0))};
    read_hours(sheet, &row);
    set_validity(sheet, 5, &row.source);
    tables->bulletins[tables->bulletin_count++] = row;
}

static int read_file(struct tables *tables, enum file file, const char *dir, struct err *err) {
    static void (*const readers[TABLE_FILES])(struct sheet *, struct tables *) = {
        [FILE_RISK] = read_risk,         [FILE_FLOOD] = read_flood,
        [FILE_AIR] = read_air,           [FILE_AQI] = read_aqi,
        [FILE_AEGL] = read_aegl,         [FILE_RADIATION] = read_radiation,
        [FILE_RAINFALL] = read_rainfall, [FILE_WATER] = read_water,
        [FILE_COMMUNES] = read_commune,  [FILE_BULLETINS] = read_bulletin,
    };
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, files[file].name) >= (int)sizeof path) {
        return err_set(err, ERR_LIMIT, "the path of the tables is too long");
    }
    int result = csv_load(path, files[file].header, &tables->files[file], err);
    struct sheet sheet = {.csv = &tables->files[file], .name = path, .err = err};
    for (; result == 0 && sheet.row < sheet.csv->row_count; sheet.row++) {
        readers[file](&sheet, tables);
        result = sheet.result;
    }
    return result;
}

int tables_load(const char *dir, struct tables **ret_tables, struct err *ret_err) {
    struct tables *tables = calloc(1, sizeof *tables);
    if (tables == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the tables");
    }
    tables->risks = calloc(CSV_ROWS_MAX, sizeof *tables->risks);
    tables->floods = calloc(CSV_ROWS_MAX, sizeof *tables->floods);
    tables->air_limits = calloc(CSV_ROWS_MAX, sizeof *tables->air_limits);
    tables->aqi_segments = calloc(CSV_ROWS_MAX, sizeof *tables->aqi_segments);
    tables->aegls = calloc(CSV_ROWS_MAX, sizeof *tables->aegls);
    tables->radiations = calloc(CSV_ROWS_MAX, sizeof *tables->radiations);
    tables->rainfalls = calloc(CSV_ROWS_MAX, sizeof *tables->rainfalls);
    tables->waters = calloc(CSV_ROWS_MAX, sizeof *tables->waters);
    tables->communes = calloc(CSV_ROWS_MAX, sizeof *tables->communes);
    tables->bulletins = calloc(CSV_ROWS_MAX, sizeof *tables->bulletins);
    tables->ids = calloc((size_t)TABLE_FILES * CSV_ROWS_MAX, ID_MAX);
    int result = 0;
    if (!tables->risks || !tables->floods || !tables->air_limits || !tables->aqi_segments ||
        !tables->aegls || !tables->radiations || !tables->rainfalls || !tables->waters ||
        !tables->communes || !tables->bulletins || !tables->ids) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for the tables");
    }
    for (int i = 0; result == 0 && i < TABLE_FILES; i++) {
        result = read_file(tables, (enum file)i, dir, ret_err);
    }
    for (int i = 0; result == 0 && i < RISK_LEVELS; i++) {
        if (tables->colours[i] == NULL) {
            result = err_set(ret_err, ERR_RANGE, "risk level %d has no colour", i + 1);
        }
    }
    if (result != 0) {
        (void)tables_destroy(tables);
        return result;
    }
    *ret_tables = tables;
    return 0;
}

struct tables *tables_destroy(struct tables *tables) {
    if (tables == NULL) {
        return NULL;
    }
    free(tables->risks);
    free(tables->floods);
    free(tables->air_limits);
    free(tables->aqi_segments);
    free(tables->aegls);
    free(tables->radiations);
    free(tables->rainfalls);
    free(tables->waters);
    free(tables->communes);
    free(tables->bulletins);
    free(tables->ids);
    for (int i = 0; i < TABLE_FILES; i++) {
        csv_finish(&tables->files[i]);
    }
    free(tables);
    return NULL;
}
