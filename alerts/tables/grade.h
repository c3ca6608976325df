/* What the tables say about measured values: levels, limits, indices.
 *
 * Missing values are NaN and never come out as "no level": a grade tells whether its level is exact
 * or only what is certain so far. Where the law leaves a gap, OUR rule fills it, says so
 * (grade.own) and counts as provisional: any article  A value between or beyond the listed bands
 * never gives a lower level than a band that it has reached in every quantity (more is never less).
 *   Art. 44      A duration below one day counts as one day: the article begins at one day, heavy
 *                rain does harm within hours. Rain of 12 h that is not known is at most the rain of
 *                24 h.
 *   Art. 46      With 200 mm or more in 24 h and no rain day before, the 24 h count as one.
 *   Art. 51, 56  see complete_limits() in tables.c.
 * Units stand in the names. Thread rule: pure. */
#ifndef CANHBAO_ALERTS_TABLES_GRADE_H
#define CANHBAO_ALERTS_TABLES_GRADE_H

#include "alerts/tables/tables.h"
#include "daemon/station/air_nowcast.h"

struct grade {
    bool known;       /* the level is exact; false: it may be higher, values or thresholds miss */
    uint8_t level;    /* 0: below all */
    bool own;         /* one of our rules decided */
    bool provisional; /* the deciding row is not certain, or `own` */
    const struct table_source
        *source; /* of the deciding row; level 0: of the lowest one looked at */
};

/* ---- risk levels, Decision 18/2021/QĐ-TTg, Art. 42 to 56 ---- */

struct risk_query {
    const char *hazard;     /* of the table: "heavy_rain" */
    const char *zone;       /* of the table: "plain_coastal", "KV1"; rows of zone "any" apply too */
    uint8_t susceptibility; /* one bit; Art. 46 only, else 0 */
    double values[RISK_METRIC_COUNT]; /* NaN: not known */
    double marks_m[MARK_COUNT];       /* Art. 45: alarm levels I to III, historic flood; NaN: not
                                         known. A historic flood is above the alarm levels. */
};

/* All values NaN, no susceptibility; marks_m[MARK_ZERO] = 0. */
struct risk_query risk_query(const char *hazard, const char *zone);

/* ERR_NOT_FOUND: the table has no such hazard and zone. ERR_INVALID: susceptibility missing or not
 * asked for, or a value that is infinite. */
int risk_grade(const struct tables *tables, const struct risk_query *query,
               struct grade *ret_grade);

/* Art. 4: the highest level that a person may raise to, for hazards at once or in succession (one
 * level) and for serious danger to life and property (two), at most 5. A proposal for the operator;
 * nothing applies it. */
uint8_t risk_raise_allowed(uint8_t level, bool concurrent, bool serious);

/* Beaufort number of a 10 min mean, 0 to 17 (WMO classes, 13 to 17 as used in Vietnam); from
 * memory: provisional. -1: not a speed. */
int beaufort_of_speed(double speed_m_s);
/* The least speed of a Beaufort number, 0 to 17; NaN for another. */
double beaufort_lower_m_s(double force);

/* ---- flood alarm, Decision 05/2020/QĐ-TTg ---- */

/* NULL: no such gauge. */
const struct flood_station *flood_station_find(const struct tables *tables, const char *name_vi);
/* 0 to 3. A level whose threshold is not known leaves the grade below the next one unknown. */
struct grade flood_alarm_grade(const struct flood_station *station, double stage_m);

/* ---- air: QCVN 05:2023/BTNMT, VN_AQI (Decision 1459/QĐ-TCMT), AEGL ---- */

/* Level 1: the mean is above its limit on that day. ERR_NOT_FOUND: no limit for this parameter and
 * averaging time then. ret_limit may be NULL. */
int air_limit_grade(const struct tables *tables, const char *parameter, double averaging_h,
                    int64_t utc_us, double mean_ug_m3, struct grade *ret_grade,
                    double *ret_limit_ug_m3);

/* One sub-index, not rounded; NaN for NaN. Above the last breakpoint 500; ERR_UNSUPPORTED for ozone
 * over 8 h above 400 ug/m3 (not computed). ERR_NOT_FOUND. ERR_RANGE: negative. */
int aqi_sub_index(const struct tables *tables, const char *parameter, double averaging_h,
                  double conc_ug_m3, double *ret_index);

struct aqi_hour {
    double o3_1h, co_1h, so2_1h, no2_1h;              /* ug/m3; NaN missing */
    double pm10[NOWCAST_HOURS], pm2_5[NOWCAST_HOURS]; /* newest first */
};
/* The hourly index: the largest sub-index, rounded to the nearest (a sample calculation of the
 * Decision prints 60 for 59.35, against its other five). `*ret_complete` false: something is
 * missing, the index is at least this. ERR_NOT_FOUND: there is none without PM10 or PM2.5 (2.1 b).
 */
int aqi_hourly(const struct tables *tables, const struct aqi_hour *hour, int *ret_index,
               bool *ret_complete);

enum { AQI_DAY_HOURS = 24, AQI_DAY_OZONE = AQI_DAY_HOURS + 7 };
/* Hourly means of a day, newest first; ug/m3, NaN missing. Ozone with the seven hours before, for
 * the means of eight hours that end in the day. */
struct aqi_day {
    double o3[AQI_DAY_OZONE];
    double co[AQI_DAY_HOURS], so2[AQI_DAY_HOURS], no2[AQI_DAY_HOURS];
    double pm10[AQI_DAY_HOURS], pm2_5[AQI_DAY_HOURS];
};
/* The daily index, Decision 1459/QĐ-TCMT 2.2.2: of 24 h means of PM, the highest hour of the gases
 * and the higher one of ozone over 1 h and 8 h (8 h not above 400 ug/m3). A mean needs three
 * quarters of its hours, and so does a highest hour to count as complete. Results as of
 * aqi_hourly(). */
int aqi_daily(const struct tables *tables, const struct aqi_day *day, int *ret_index,
              bool *ret_complete);

/* Level 0 to 3 of a mean over 10, 30, 60, 240 or 480 min. ERR_NOT_FOUND: substance;
 * ERR_UNSUPPORTED: averaging time. Levels that are not recommended do not exist. */
int aegl_grade(const struct tables *tables, const char *substance, int averaging_min, double ppm,
               struct grade *ret_grade);

/* ---- ambient dose rate ---- */

/* Our scale of other countries' levels (none was found for Vietnam): 1 from 200 nSv/h (al-nl-1) or
 * 100 above the station's background (al-fi-2), 2 from 400 (al-fi-1), 3 from 2000 (al-nl-2), 4 from
 * OIL2, 5 from OIL1. Always own and provisional. ERR_NOT_FOUND: a row is gone. */
int dose_rate_grade(const struct tables *tables, double rate_nSv_h, double background_nSv_h,
                    struct grade *ret_grade);

/* ---- rain and water ---- */

/* Total rain (mm) that reaches an intensity-duration curve after `duration_h`; NaN outside its
 * range or for a row that is no curve. */
double rainfall_threshold_mm(const struct rainfall_row *row, double duration_h);

/* QCVN 08:2023/BTNMT: level 1 when the value is outside the limit of the class ("any", "A" to "D").
 * ERR_NOT_FOUND. */
int water_grade(const struct tables *tables, const char *parameter, const char *quality_class,
                double value, struct grade *ret_grade);

#endif
