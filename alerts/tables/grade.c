#include "alerts/tables/grade.h"

#include <math.h>
#include <string.h>

enum truth { FALSE_, TRUE_, UNKNOWN_ };

static enum truth both(enum truth a, enum truth b) {
    if (a == FALSE_ || b == FALSE_) {
        return FALSE_;
    }
    return a == TRUE_ && b == TRUE_ ? TRUE_ : UNKNOWN_;
}

static enum truth either(enum truth a, enum truth b) {
    if (a == TRUE_ || b == TRUE_) {
        return TRUE_;
    }
    return a == FALSE_ && b == FALSE_ ? FALSE_ : UNKNOWN_;
}

/* Keeps the highest level; `truth` is the row's. */
static void take(struct grade *grade, uint8_t level, enum truth truth,
                 const struct table_source *source, bool own) {
    if (grade->source == NULL) {
        grade->source = source;
        grade->provisional = source->provisional;
    }
    if (truth == TRUE_ && level > grade->level) {
        grade->level = level;
        grade->own = own;
        grade->source = source;
        grade->provisional = source->provisional || own;
    }
}

/* ---- risk levels ---- */

struct risk_query risk_query(const char *hazard, const char *zone) {
    struct risk_query query = {.hazard = hazard, .zone = zone};
    for (int i = 0; i < RISK_METRIC_COUNT; i++) {
        query.values[i] = NAN;
    }
    for (int i = 0; i < MARK_COUNT; i++) {
        query.marks_m[i] = i == MARK_ZERO ? 0 : NAN;
    }
    return query;
}

/* `side` 1: the value is below an upper bound; -1: above a lower one. */
static enum truth within(const struct risk_bound *bound, const double *marks_m, double value,
                         int side) {
    if (!bound->given) {
        return TRUE_;
    }
    double at = marks_m[bound->mark] + bound->offset;
    if (bound->mark == MARK_HISTORIC && isnan(at) && value < marks_m[MARK_BD3] + bound->offset) {
        return side > 0 ? TRUE_ : FALSE_; /* it lies above the alarm levels in any case */
    }
    if (isnan(value) || isnan(at)) {
        return UNKNOWN_;
    }
    double beyond = side > 0 ? value - at : at - value;
    return beyond < 0 || (bound->inclusive && value == at) ? TRUE_ : FALSE_;
}

/* `reached`: the bound on the worse side does not count (more is never less). */
static enum truth limit_holds(const struct risk_limit *limit, const struct risk_query *query,
                              bool reached) {
    if (limit->metric == RISK_METRIC_NONE) {
        return TRUE_;
    }
    double value = query->values[limit->metric];
    bool lower_is_worse = limit->metric == RISK_TMEAN_C || limit->metric == RISK_VISIBILITY_M;
    enum truth above =
        reached && lower_is_worse ? TRUE_ : within(&limit->min, query->marks_m, value, -1);
    enum truth below =
        reached && !lower_is_worse ? TRUE_ : within(&limit->max, query->marks_m, value, 1);
    if (isnan(value)) {
        return UNKNOWN_; /* also where no bound is left to ask */
    }
    return both(above, below);
}

static enum truth row_holds(const struct risk_row *row, const struct risk_query *query,
                            bool reached) {
    enum truth first = limit_holds(&row->limits[0], query, reached);
    if (row->alternative.metric != RISK_METRIC_NONE) {
        first = either(first, limit_holds(&row->alternative, query, reached));
    }
    return both(first, limit_holds(&row->limits[1], query, reached));
}

/* Our rules for Art. 44 and 46; true when they changed something. */
static bool fill_gaps(struct risk_query *query) {
    double *values = query->values;
    double rain_24h_mm = values[RISK_RAIN_24H_MM];
    if (strcmp(query->hazard, "heavy_rain") == 0) {
        if (isnan(values[RISK_RAIN_12H_MM]) && rain_24h_mm < 50) {
            values[RISK_RAIN_12H_MM] = rain_24h_mm; /* at most; below every bound of the article */
        }
        if (values[RISK_DURATION_D] < 1) {
            values[RISK_DURATION_D] = 1;
            return true;
        }
    }
    if (strcmp(query->hazard, "flash_flood_landslide") == 0 && rain_24h_mm >= 200 &&
        values[RISK_PRIOR_RAIN_DAY_D] < 1) {
        values[RISK_PRIOR_RAIN_DAY_D] = 1;
        return true;
    }
    return false;
}

static bool applies(const struct risk_row *row, const struct risk_query *query) {
    return strcmp(row->hazard, query->hazard) == 0 &&
           (strcmp(row->zone, query->zone) == 0 || strcmp(row->zone, "any") == 0);
}

/* One look at all rows that apply: as the law has them, or (`reached`) by our rule for gaps.
 * Returns the highest level that is not known to be false. */
static uint8_t look(const struct tables *tables, const struct risk_query *query, bool reached,
                    bool own, struct grade *grade) {
    uint8_t possible = 0;
    for (size_t i = 0; i < tables->risk_count; i++) {
        const struct risk_row *row = &tables->risks[i];
        if (!applies(row, query) ||
            (row->susceptibility != 0 && (row->susceptibility & query->susceptibility) == 0)) {
            continue;
        }
        enum truth truth = row_holds(row, query, reached);
        take(grade, row->level, truth, &row->source, own);
        if (truth == UNKNOWN_ && row->level > possible) {
            possible = row->level;
        }
    }
    return possible;
}

int risk_grade(const struct tables *tables, const struct risk_query *query,
               struct grade *ret_grade) {
    struct risk_query filled = *query;
    struct grade grade = {.known = true};
    bool found = false;
    bool asks = false;
    for (int i = 0; i < RISK_METRIC_COUNT; i++) {
        if (isinf(query->values[i])) {
            return ERR_INVALID;
        }
    }
    for (size_t i = 0; i < tables->risk_count; i++) {
        if (applies(&tables->risks[i], query)) {
            found |= strcmp(tables->risks[i].zone, query->zone) == 0;
            asks |= tables->risks[i].susceptibility != 0;
        }
    }
    if (!found) {
        return ERR_NOT_FOUND;
    }
    uint8_t bits = query->susceptibility;
    bool one_bit = bits != 0 && (bits & (bits - 1)) == 0 && bits <= SUSCEPTIBILITY_VERY_HIGH;
    if (asks ? !one_bit : bits != 0) {
        return ERR_INVALID;
    }
    bool own = fill_gaps(&filled);
    uint8_t possible = look(tables, &filled, false, own, &grade);
    uint8_t possible_by_ours = look(tables, &filled, true, true, &grade);
    grade.known = possible <= grade.level && possible_by_ours <= grade.level;
    *ret_grade = grade;
    return 0;
}

uint8_t risk_raise_allowed(uint8_t level, bool concurrent, bool serious) {
    int raised = level + (concurrent ? 1 : 0) + (serious ? 2 : 0);
    return (uint8_t)(raised > RISK_LEVELS ? RISK_LEVELS : raised);
}

static const double beaufort_m_s[] = {0.0,  0.3,  1.6,  3.4,  5.5,  8.0,  10.8, 13.9, 17.2,
                                      20.8, 24.5, 28.5, 32.7, 37.0, 41.5, 46.2, 51.0, 56.1};
enum { BEAUFORT_COUNT = sizeof beaufort_m_s / sizeof beaufort_m_s[0] };

int beaufort_of_speed(double speed_m_s) {
    int force = -1;
    for (int i = 0; i < BEAUFORT_COUNT; i++) {
        if (isfinite(speed_m_s) && speed_m_s >= beaufort_m_s[i]) {
            force = i;
        }
    }
    return force;
}

double beaufort_lower_m_s(double force) {
    bool known = force >= 0 && force < BEAUFORT_COUNT && floor(force) == force;
    return known ? beaufort_m_s[(int)force] : (double)NAN;
}

/* ---- flood alarm ---- */

const struct flood_station *flood_station_find(const struct tables *tables, const char *name_vi) {
    for (size_t i = 0; i < tables->flood_count; i++) {
        if (strcmp(tables->floods[i].name_vi, name_vi) == 0) {
            return &tables->floods[i];
        }
    }
    return NULL;
}

static enum truth at_least(double value, double threshold) {
    if (isnan(value) || isnan(threshold)) {
        return UNKNOWN_;
    }
    return value >= threshold ? TRUE_ : FALSE_;
}

struct grade flood_alarm_grade(const struct flood_station *station, double stage_m) {
    struct grade grade = {.known = true};
    for (int i = 0; i < 3; i++) {
        enum truth truth = at_least(stage_m, station->at_m[i]);
        take(&grade, (uint8_t)(i + 1), truth, &station->source, false);
        if (truth == UNKNOWN_) {
            grade.known = false;
        } else if (truth == TRUE_) {
            grade.known = true; /* a lower level without threshold does not matter any more */
        }
    }
    return grade;
}

/* ---- air ---- */

int air_limit_grade(const struct tables *tables, const char *parameter, double averaging_h,
                    int64_t utc_us, double mean_ug_m3, struct grade *ret_grade,
                    double *ret_limit_ug_m3) {
    for (size_t i = 0; i < tables->air_limit_count; i++) {
        const struct air_limit *row = &tables->air_limits[i];
        if (strcmp(row->parameter, parameter) == 0 && row->averaging_h == averaging_h &&
            utc_us >= row->source.valid_from_us &&
            (row->source.valid_to_us == 0 || utc_us < row->source.valid_to_us)) {
            struct grade grade = {.known = !isnan(mean_ug_m3)};
            take(&grade, 1, mean_ug_m3 > row->limit_ug_m3 ? TRUE_ : FALSE_, &row->source, false);
            if (ret_limit_ug_m3 != NULL) {
                *ret_limit_ug_m3 = row->limit_ug_m3;
            }
            *ret_grade = grade;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

int aqi_sub_index(const struct tables *tables, const char *parameter, double averaging_h,
                  double conc_ug_m3, double *ret_index) {
    const struct aqi_segment *last = NULL;
    if (conc_ug_m3 < 0) {
        return ERR_RANGE;
    }
    for (size_t i = 0; i < tables->aqi_segment_count; i++) {
        const struct aqi_segment *row = &tables->aqi_segments[i];
        if (strcmp(row->parameter, parameter) != 0 || row->averaging_h != averaging_h) {
            continue;
        }
        last = row;
        if (conc_ug_m3 <= row->conc_high_ug_m3) {
            *ret_index = row->index_low + (row->index_high - row->index_low) *
                                              (conc_ug_m3 - row->conc_low_ug_m3) /
                                              (row->conc_high_ug_m3 - row->conc_low_ug_m3);
            return 0;
        }
    }
    if (last == NULL) {
        return ERR_NOT_FOUND;
    }
    if (isnan(conc_ug_m3)) {
        *ret_index = NAN;
        return 0;
    }
    if (last->index_high < 500) {
        return ERR_UNSUPPORTED;
    }
    *ret_index = 500;
    return 0;
}

/* One parameter of an index. */
struct aqi_part {
    const char *parameter;
    double averaging_h, conc_ug_m3;
    bool particulate, complete;
};

static int largest_index(const struct tables *tables, const struct aqi_part *parts, size_t count,
                         int *ret_index, bool *ret_complete) {
    double highest = NAN;
    bool complete = true;
    bool particulate = false;
    for (size_t i = 0; i < count; i++) {
        double index = NAN;
        int result = aqi_sub_index(tables, parts[i].parameter, parts[i].averaging_h,
                                   parts[i].conc_ug_m3, &index);
        if (result == ERR_UNSUPPORTED) {
            continue; /* ozone over 8 h above 400 ug/m3: only that over 1 h counts */
        }
        bool known = result == 0 && !isnan(index);
        complete = complete && known && parts[i].complete;
        particulate = particulate || (known && parts[i].particulate);
        highest = known ? fmax(highest, index) : highest;
    }
    if (!particulate) {
        return ERR_NOT_FOUND;
    }
    *ret_index = (int)floor(highest + 0.5);
    *ret_complete = complete;
    return 0;
}

int aqi_hourly(const struct tables *tables, const struct aqi_hour *hour, int *ret_index,
               bool *ret_complete) {
    const struct aqi_part parts[] = {{"O3", 1, hour->o3_1h, false, true},
                                     {"CO", 1, hour->co_1h, false, true},
                                     {"SO2", 1, hour->so2_1h, false, true},
                                     {"NO2", 1, hour->no2_1h, false, true},
                                     {"PM10", 24, aqi_nowcast(hour->pm10, NULL), true, true},
                                     {"PM2.5", 24, aqi_nowcast(hour->pm2_5, NULL), true, true}};
    return largest_index(tables, parts, sizeof parts / sizeof parts[0], ret_index, ret_complete);
}

/* The highest mean of `length` hours running that ends in the day. */
static struct aqi_part highest_part(const char *parameter, const double *hourly, int length) {
    struct aqi_part part = {.parameter = parameter, .averaging_h = length, .conc_ug_m3 = NAN};
    int there = 0;
    for (int i = 0; i < AQI_DAY_HOURS; i++) {
        double mean = mean_of_hours(hourly + i, length);
        there += !isnan(mean);
        part.conc_ug_m3 = fmax(part.conc_ug_m3, mean);
    }
    part.complete = 4 * there >= 3 * AQI_DAY_HOURS;
    return part;
}

int aqi_daily(const struct tables *tables, const struct aqi_day *day, int *ret_index,
              bool *ret_complete) {
    const struct aqi_part parts[] = {
        highest_part("O3", day->o3, 1),
        highest_part("O3", day->o3, 8),
        highest_part("CO", day->co, 1),
        highest_part("SO2", day->so2, 1),
        highest_part("NO2", day->no2, 1),
        {"PM10", 24, mean_of_hours(day->pm10, AQI_DAY_HOURS), true, true},
        {"PM2.5", 24, mean_of_hours(day->pm2_5, AQI_DAY_HOURS), true, true}};
    return largest_index(tables, parts, sizeof parts / sizeof parts[0], ret_index, ret_complete);
}

int aegl_grade(const struct tables *tables, const char *substance, int averaging_min, double ppm,
               struct grade *ret_grade) {
    static const int times_min[AEGL_TIMES] = {10, 30, 60, 240, 480};
    size_t time = 0;
    while (time < AEGL_TIMES && times_min[time] != averaging_min) {
        time++;
    }
    if (time == AEGL_TIMES) {
        return ERR_UNSUPPORTED;
    }
    struct grade grade = {.known = !isnan(ppm)};
    for (size_t i = 0; i < tables->aegl_count; i++) {
        const struct aegl_row *row = &tables->aegls[i];
        if (strcmp(row->substance, substance) == 0 && !isnan(row->ppm[time])) {
            take(&grade, row->level, at_least(ppm, row->ppm[time]), &row->source, false);
        }
    }
    if (grade.source == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_grade = grade;
    return 0;
}

/* ---- dose rate ---- */

static const struct radiation_row *radiation_find(const struct tables *tables, const char *id) {
    for (size_t i = 0; i < tables->radiation_count; i++) {
        if (strcmp(tables->radiations[i].source.id, id) == 0 &&
            strcmp(tables->radiations[i].unit, "nSv/h") == 0) {
            return &tables->radiations[i];
        }
    }
    return NULL;
}

int dose_rate_grade(const struct tables *tables, double rate_nSv_h, double background_nSv_h,
                    struct grade *ret_grade) {
    static const struct {
        const char *id;
        uint8_t level;
        bool relative;
    } rows[] = {{"al-nl-1", 1, false}, {"al-fi-2", 1, true}, {"al-fi-1", 2, false},
                {"al-nl-2", 3, false}, {"oil2", 4, false},   {"oil1", 5, false}};
    struct grade grade = {.known = !isnan(rate_nSv_h)};
    bool relative_unknown = false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct radiation_row *row = radiation_find(tables, rows[i].id);
        if (row == NULL || isnan(row->low)) {
            return ERR_NOT_FOUND;
        }
        enum truth truth =
            at_least(rate_nSv_h, row->low + (rows[i].relative ? background_nSv_h : 0));
        relative_unknown |= truth == UNKNOWN_;
        take(&grade, rows[i].level, truth, &row->source, true);
    }
    if (relative_unknown && grade.level == 0) {
        grade.known = false; /* it may be above its background already */
    }
    grade.own = true;
    grade.provisional = true;
    *ret_grade = grade;
    return 0;
}

/* ---- rain and water ---- */

double rainfall_threshold_mm(const struct rainfall_row *row, double duration_h) {
    if (isnan(row->alpha) ||
        !(duration_h >= row->duration_min_h && duration_h <= row->duration_max_h)) {
        return NAN;
    }
    return row->alpha * pow(duration_h, row->beta) * duration_h;
}

int water_grade(const struct tables *tables, const char *parameter, const char *quality_class,
                double value, struct grade *ret_grade) {
    for (size_t i = 0; i < tables->water_count; i++) {
        const struct water_row *row = &tables->waters[i];
        if (strcmp(row->parameter, parameter) == 0 &&
            strcmp(row->quality_class, quality_class) == 0) {
            struct grade grade = {.known = !isnan(value)};
            bool outside = value < row->min || value > row->max;
            take(&grade, 1, outside ? TRUE_ : FALSE_, &row->source, false);
            *ret_grade = grade;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}
