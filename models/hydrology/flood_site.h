/* The rivers of a site as one model: sub-basins that turn rain into runoff (GR4H), reaches that
 * carry it (Muskingum-Cunge), reservoirs, and gauges with rating, alarm levels and updating.
 *
 * One JSON file, strict: unknown keys, missing ones, numbers out of range and unknown names are
 * refused with the place. Every part has "source" (where its numbers come from) and may have
 * "provisional": true. See `canhbao-model flood --help` for the keys.
 *
 * Thread rule: read-only once loaded. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FLOOD_SITE_H
#define CANHBAO_MODELS_HYDROLOGY_FLOOD_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/ids.h"
#include "models/hydrology/gr.h"
#include "models/hydrology/hbv.h"
#include "models/hydrology/muskingum.h"
#include "models/hydrology/rating.h"
#include "models/hydrology/residual.h"
#include "models/hydrology/update.h"

enum {
    FLOOD_ID_SIZE = 64,
    FLOOD_NODES_MAX = 64,
    FLOOD_BASINS_MAX = 64,
    FLOOD_REACHES_MAX = 64,
    FLOOD_RESERVOIRS_MAX = 16,
    FLOOD_GAUGES_MAX = 32,
    FLOOD_SOURCES_MAX = 16, /* rain points of one basin */
    FLOOD_CURVE_MAX = 32,
    FLOOD_LEVELS_MAX = 3,
};

/* A point of a station: rain rate, bucket counter, stage or release. */
struct flood_point {
    char station[FLOOD_ID_SIZE];
    char point[FLOOD_ID_SIZE];
};

struct flood_rain {
    struct flood_point at;
    double mm_per_count; /* of a counter; 0: the point is a rate in mm/h */
    double weight;       /* > 0; shares are taken over the gauges that have data */
};

struct flood_basin {
    char id[FLOOD_ID_SIZE];
    double area_km2;
    size_t node; /* where its runoff arrives */
    bool is_hbv; /* else GR4H */
    struct gr gr;
    double start_production, start_routing; /* shares of X1, X3 without a saved state */
    struct hbv hbv;
    size_t rain_count;
    struct flood_rain rain[FLOOD_SOURCES_MAX];
    bool provisional;
    bool regional; /* parameters not calibrated here: a regional first guess */
};

struct flood_reach {
    char id[FLOOD_ID_SIZE];
    size_t from, to; /* nodes */
    struct cunge cunge;
    bool provisional;
};

/* What leaves a reservoir, in this order: the gauged release of the hour; the schedule; the rule
 * curve; and in the future, without schedule and rule, the newest gauged release, held. */
struct flood_reservoir {
    char id[FLOOD_ID_SIZE];
    size_t node;
    bool has_gauge;
    struct flood_point gauge; /* release, m3/s */
    size_t schedule_count;    /* steps: from that time on that release */
    int64_t schedule_us[FLOOD_CURVE_MAX];
    double schedule_m3_s[FLOOD_CURVE_MAX];
    size_t rule_count; /* release over volume, linear between, held beyond the ends */
    double rule_m3[FLOOD_CURVE_MAX], rule_m3_s[FLOOD_CURVE_MAX];
    double full_m3;  /* above it everything is spilled */
    double start_m3; /* without a saved state */
    bool provisional;
};

struct flood_gauge {
    struct flood_point at; /* stage, m */
    size_t node;
    struct rating rating;
    size_t level_count;
    double levels_m[FLOOD_LEVELS_MAX];
    struct update_model update;
    struct residual residual;
    bool provisional;
};

struct flood_site {
    size_t node_count;
    char node[FLOOD_NODES_MAX][FLOOD_ID_SIZE];
    size_t order[FLOOD_NODES_MAX]; /* upstream nodes first */
    size_t basin_count, reach_count, reservoir_count, gauge_count;
    struct flood_basin basins[FLOOD_BASINS_MAX];
    struct flood_reach reaches[FLOOD_REACHES_MAX];
    struct flood_reservoir reservoirs[FLOOD_RESERVOIRS_MAX];
    struct flood_gauge gauges[FLOOD_GAUGES_MAX];
    double evaporation_mm_day[12]; /* potential, January first */
    double temperature_c[12];      /* of the air, for HBV; NaN without */
    double rain_log_sigma;        /* of a rain forecast beyond the nowcast: ln(fallen / foreseen) */
    char network[HASH_TEXT_SIZE]; /* hash of basins, reaches and reservoirs: whose state it is */
};

/* The caller frees with free(). ERR_IO, ERR_SYNTAX, ERR_INVALID, ERR_MEMORY. */
int flood_site_load(const char *path, struct flood_site **ret_site, struct err *ret_err);
int flood_site_parse(const char *name, const char *text, size_t length,
                     struct flood_site **ret_site, struct err *ret_err);

/* Potential evaporation of the hour that begins at utc_us, mm (even over the day), and the mean
 * temperature of its month, degC. */
double flood_evaporation_mm(const struct flood_site *site, int64_t utc_us);
double flood_temperature_c(const struct flood_site *site, int64_t utc_us);

#endif
