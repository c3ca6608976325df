/* Stations, their points, areas: the nouns of a site. Plain data, filled once from the
 * configuration and then constant until a reload replaces the whole site. Indices (not pointers)
 * name things across modules: `point` is an index in site.points, `station` in site.stations,
 * `area` in site.areas. Thread rule: constant after load, readable from any thread. */
#ifndef CANHBAO_STATION_STATION_H
#define CANHBAO_STATION_STATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STATION_ID_SIZE = 64,    /* see text_is_id() */
    STATION_NAME_SIZE = 128, /* UTF-8 bytes with the end */
    STATION_UNIT_SIZE = 32,  /* UDUNITS-2 syntax */
    STATION_SOURCE_SIZE = 512,
    ALARM_LEVELS_MAX = 5,
    STATION_COMMUNES_SIZE = 1536
};

/* What the number of a point is. */
enum point_kind {
    POINT_INSTANT, /* a state at an instant: stage, wind speed, dose rate, concentration */
    POINT_COUNTER, /* an ever-growing total (rain bucket): differences are the amount */
    POINT_AMOUNT   /* the amount since the previous reading */
};

/* What becomes of a total when the device restarts; see counter.h. */
enum counter_memory { COUNTER_KEPT, COUNTER_LOST };
/* How another point of the same device tells restarts and replacements of a counter's device. */
enum counter_epoch {
    COUNTER_EPOCH_NONE,
    COUNTER_EPOCH_CHANGES, /* a count of restarts or a serial number: any other value */
    COUNTER_EPOCH_UPTIME   /* seconds since the start: falls */
};

enum { QUALITY_NEIGHBOURS_MAX = 8, QUALITY_CROSS_MAX = 4, QUALITY_MONTHS = 12 };

enum quality_preset { QUALITY_PRESET_NONE, QUALITY_PRESET_WMO };

/* Gross range of one calendar month; NaN: as for the whole year. */
struct quality_month {
    double hard_min, hard_max, soft_min, soft_max;
};

/* Another point, as written ("station.point" or a point of the same station), and found. */
struct point_ref {
    char station[STATION_ID_SIZE]; /* empty: the same station */
    char point[STATION_ID_SIZE];
    uint32_t index; /* in site.points */
};

enum quality_statistic {
    STATISTIC_LATEST, /* newest usable value, not older than `window_us` */
    STATISTIC_RISE,   /* over `window_us` */
    STATISTIC_MEAN,
    STATISTIC_AMOUNT /* of a counter or amount over `window_us` */
};

/* "While this point's value (or rise; of a counter or amount: what fell) is above a bound, the
 * other one's statistic lies between two bounds": otherwise the reading is suspect. Rain and stage,
 * rain and dose rate, wind and concentration. */
struct quality_cross {
    double value_above, rise_above; /* of this point, one of them; the other NaN */
    int64_t rise_window_us;
    struct point_ref other;
    enum quality_statistic statistic;
    int64_t window_us;
    double other_min, other_max; /* in the other's unit; NaN: no bound on that side */
};

/* Limits of the per-reading tests (QARTOD names). NaN switches a test off; 0 durations too. */
struct quality_limits {
    enum quality_preset preset; /* what filled in the limits that were not given */
    double hard_min, hard_max;  /* outside: fail (4) */
    double soft_min, soft_max;  /* outside: suspect (3) */
    double rate_max_per_s;      /* |change| per second above: suspect */
    double spike_suspect,
        spike_fail;          /* deviation of the middle of three from the mean of its neighbours */
    double flat_epsilon;     /* change below this counts as none ... */
    int64_t flat_suspect_us; /* ... for so long: suspect */
    int64_t flat_fail_us;    /* ... for so long: fail */
    int64_t gap_us; /* no good reading for so long: the next one is marked as after a gap */
    double attenuated_suspect, attenuated_fail; /* a smaller range of values ... */
    int64_t attenuated_us;                      /* ... over so long: suspect or fail */
    int64_t attenuated_piece_us;                /* 1/24 of it, or a period if that is longer */
    double neighbour_max;        /* a larger distance from the median of the neighbours: suspect */
    int64_t neighbour_age_us;    /* older values of neighbours do not count */
    int64_t neighbour_window_us; /* counters and amounts: what fell over so long is compared */
    uint32_t neighbour_count;
    struct point_ref neighbours[QUALITY_NEIGHBOURS_MAX];
    uint32_t cross_count;
    struct quality_cross cross[QUALITY_CROSS_MAX];
    bool has_months;
    struct quality_month months[QUALITY_MONTHS]; /* January first */
    int32_t utc_offset_min;                      /* of the calendar that months are of */
    uint32_t revision;                           /* of this parameter set, from 1 */
};

struct point {
    char id[STATION_ID_SIZE];       /* unique in the station: "stage" */
    char quantity[STATION_ID_SIZE]; /* the field's name: stage, rain, rain_rate, dose_rate, cl2, ...
                                     */
    char unit[STATION_UNIT_SIZE];   /* of the value after scale and offset; mandatory */
    enum point_kind kind;
    uint32_t station;
    int64_t period_us;       /* of its request */
    int64_t stale_after_us;  /* no newer good reading for so long: knowledge is stale */
    double counter_modulus;  /* POINT_COUNTER: the total at which it starts again, in `unit`; NaN:
                                unknown */
    double counter_step_max; /* POINT_COUNTER: a larger difference is not believed, the interval is
                                unknown */
    enum counter_memory counter_memory;
    enum counter_epoch counter_epoch;
    uint32_t counter_epoch_point;           /* index in site.points, unless COUNTER_EPOCH_NONE */
    char counter_epoch_id[STATION_ID_SIZE]; /* its id; empty: none */
    struct quality_limits quality;
    bool provisional; /* register map or limits are our assumption */
};

/* Legal alarm levels of a place on a scale of its own, lowest first (flood alarm I to III). A level
 * that is not known is NaN (a place may have II and III only); at least one of `count` is known. */
struct alarm_levels {
    uint32_t count;              /* 0: none known, the place stays ungraded */
    char scale[STATION_ID_SIZE]; /* which scale: "flood_alarm" */
    double at[ALARM_LEVELS_MAX];
    char unit[STATION_UNIT_SIZE];
    char table_row[STATION_NAME_SIZE]; /* of the table flood_alarm_levels; "": not of it */
    char source[STATION_SOURCE_SIZE];
    bool provisional;
    double historic_peak; /* the highest flood on record, in `unit`; NaN: not known */
    char historic_source[STATION_SOURCE_SIZE];
    bool historic_provisional;
};

struct station {
    char id[STATION_ID_SIZE]; /* unique in the site; the Kafka key of its observations */
    char name_vi[STATION_NAME_SIZE];
    char name_en[STATION_NAME_SIZE];
    char kind[STATION_ID_SIZE];  /* stage, rain, weather, radiation, chemical */
    char basin[STATION_ID_SIZE]; /* may be empty */
    char group[STATION_ID_SIZE]; /* of incidents: alarms of one group and hazard are one; empty:
                                    the basin, without one the station alone */
    double latitude_deg, longitude_deg; /* WGS 84; NaN unknown */
    double radius_km; /* around it, that its measurements stand for; 0: not told */
    struct alarm_levels alarm_levels;
    uint32_t first_point, point_count; /* its points stand together in site.points */
    bool provisional;                  /* position, register map or levels are our assumption */
    char note[STATION_SOURCE_SIZE];    /* why provisional, in words */
    /* Communes that an alert here is for, "a;b;c", and their codes in the same order, empty where
     * not known; "": not told. */
    char communes[STATION_COMMUNES_SIZE], commune_codes[STATION_COMMUNES_SIZE];
};

/* A polygon that models and rules speak of: a catchment, a commune. */
struct area {
    char id[STATION_ID_SIZE];
    char name_vi[STATION_NAME_SIZE];
    char name_en[STATION_NAME_SIZE];
    char file[256];                /* GeoJSON, path as it can be opened */
    char feature[STATION_ID_SIZE]; /* of the outline in the file; empty: the id */
    char group[STATION_ID_SIZE];   /* of incidents, see struct station; empty: the area alone */
    bool provisional;
    char communes[STATION_COMMUNES_SIZE], commune_codes[STATION_COMMUNES_SIZE]; /* as a station's */
};

#endif
