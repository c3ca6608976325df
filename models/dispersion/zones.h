/* Where a release is dangerous: the ground about it on a grid, each cell with the value that the
 * levels are compared with, in the weather as told and in members of uncertain weather.
 *
 * The value is, for a chemical, the largest mean over the exposure time (mg/m3): the time integral
 * over that time, at most the largest concentration; of a continuous release the concentration of
 * its plume. For a nuclide the effective dose (Sv) of inhalation, cloud and 24 h of ground.
 * Members: direction normal (sd), speed log-normal (sd), class one up or down for every third.
 * Random numbers are counted from the seed. Thread rule: as struct release and weather; `threads`
 * of zones_run work on whole members, the result does not depend on their number. */
#ifndef CANHBAO_MODELS_DISPERSION_ZONES_H
#define CANHBAO_MODELS_DISPERSION_ZONES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/dispersion/plume_results.h"
#include "models/dispersion/region.h"
#include "models/dispersion/weather_field.h"
#include "models/grid/grid.h"

enum { ZONES_LEVELS_MAX = 5, ZONES_MEMBERS_MAX = 100, ZONES_THREADS_MAX = 64 };

struct zones_options {
    double reach_m;    /* half width of the grid about the source */
    double exposure_s; /* chemicals; 0: the duration of the release, an hour when continuous */
    size_t members;    /* 0: only the weather as told */
    double wind_sd_deg, speed_sd_log;
    uint64_t seed;
    int threads;
    struct results_options results; /* particles: members take a quarter of them each */
};
extern const struct zones_options zones_options_default; /* 5 km, 16 members, 10 deg, 0.25, 1, 1 */

struct zones_level {
    int level; /* 1 is the lowest */
    char name[32];
    double value; /* mg/m3 or Sv; ascending */
};

struct zones_levels {
    size_t count;
    bool dose;
    struct zones_level list[ZONES_LEVELS_MAX];
};

/* A CSV with level, name, and conc_mg_m3 or dose_Sv; or the AEGL table (substance, aegl_level,
 * t10min_mg_m3 ... t8h_mg_m3), of which the substance of the release and the shortest time that
 * covers the exposure are taken. ERR_NOT_FOUND, ERR_INVALID and those of table_read(). */
int zones_levels_read(const char *path, const struct release *release, double exposure_s,
                      struct zones_levels *ret_levels, struct err *ret_err);

struct zones {
    double exposure_s;
    struct region value; /* `density` holds the value of the weather as told */
    double *mean;        /* [cells] over the members, or the value without members */
    double *probability; /* [levels][cells] share of members at or above; NULL: no members */
    double *arrival_s;   /* [cells]; NaN: not reached, or a continuous release */
    struct zones_levels levels;
};

int zones_run(const struct release *release, const struct weather *weather,
              const struct zones_options *options, const struct zones_levels *levels,
              struct zones *ret_zones, struct err *ret_err);
void zones_finish(struct zones *zones);

/* Exposure of a release when the options leave it open. */
double zones_exposure_s(const struct release *release, const struct zones_options *options);

/* Cells at or above a level as GeoJSON MultiPolygon coordinates (longitude, latitude), outer rings
 * counter-clockwise with their holes; an empty array: none. NULL: no memory. */
json_t *zones_polygons(const struct zones *zones, size_t level,
                       const struct weather_origin *origin);
double zones_area_m2(const struct zones *zones, size_t level);
/* How far from the source the level reaches, m; 0: nowhere. */
double zones_reach_m(const struct zones *zones, const struct release *release, size_t level);
/* Number of the highest level that a value reaches; 0: none. */
int zones_level_of(const struct zones_levels *levels, double value);
/* Number of the highest level at a place; 0: below all; -1: outside the grid (outputs untouched).
 */
int zones_level_at(const struct zones *zones, double x_m, double y_m, double *ret_value,
                   double *ret_arrival_s);
/* Whether a cell at the edge of the grid reaches the lowest level: then the zone goes on beyond. */
bool zones_at_edge(const struct zones *zones);
/* The grid about the source, in an azimuthal equidistant projection about the origin; its cells in
 * the order of `density`. The caller destroys it. ERR_MEMORY. */
int zones_grid(const struct zones *zones, const struct weather_origin *origin,
               struct grid **ret_grid, struct err *ret_err);

#endif
