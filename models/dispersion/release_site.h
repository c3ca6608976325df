/* What a site tells about releases: its gas sensors, its wind, its catalogue of possible sources,
 * where a car can measure next, and which places matter. JSON, strict; see release_site_read().
 * Places on the ground are turned into metres about the origin. Thread rule: read-only once read.
 */
#ifndef CANHBAO_MODELS_DISPERSION_RELEASE_SITE_H
#define CANHBAO_MODELS_DISPERSION_RELEASE_SITE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"
#include "models/dispersion/weather_field.h"

enum {
    RELEASE_ID_SIZE = 64,
    RELEASE_LIST_MAX = 512,
    RELEASE_SUBSTANCES_MAX = 16,
    RELEASE_CROSS_MAX = 4
};

struct release_place {
    char id[RELEASE_ID_SIZE], name[RELEASE_ID_SIZE];
    double x_m, y_m, height_m;
    double travel_min; /* points; NaN: not told */
    bool reachable;    /* points */
    char substances[4][16];
    size_t substance_count; /* catalogue */
};

struct release_list {
    size_t count;
    struct release_place *list;
};

struct release_substance {
    char rule[RELEASE_ID_SIZE], point[RELEASE_ID_SIZE];
    char name[16]; /* as in the gas table */
    double detection_ppm;
    double full_scale_ppm, span_ppm, ceiling_ppm; /* of sensor_doubt.h; NaN: not told */
    struct {
        char point[RELEASE_ID_SIZE];
        double factor;
    } cross[RELEASE_CROSS_MAX];
    size_t cross_count;
};

struct release_site {
    struct weather_origin origin;
    char wind_station[RELEASE_ID_SIZE], speed_point[RELEASE_ID_SIZE],
        direction_point[RELEASE_ID_SIZE], temperature_point[RELEASE_ID_SIZE],
        pressure_point[RELEASE_ID_SIZE];
    double wind_height_m, z0_m, source_height_m;
    char class_day, class_night;
    int utc_offset_min;
    struct release_list stations, catalogue, points, places;
    size_t substance_count;
    struct release_substance substances[RELEASE_SUBSTANCES_MAX];
};

/* {kind "release-site", version 1, origin {latitude_deg, longitude_deg}, utc_offset_min,
 *  wind {station, speed_point, direction_point, temperature_point, pressure_point, height_m, z0_m,
 *        class_day, class_night (assumed Pasquill classes A to F, 6 to 18 h local is day)},
 *  source_height_m, substances [{rule, point, substance, detection_ppm; full_scale_ppm, span_ppm
 *  (test gas), ceiling_ppm, cross [{point, factor}] (the sensor reads so much of the gas that
 *  another point of its station measures)}],
 *  stations, catalogue, points, places: [{id, name, latitude_deg, longitude_deg; height_m
 * (stations, 1.5); substances (catalogue); travel_min, reachable (points)}]} Unknown keys are
 * refused. ERR_IO, ERR_SYNTAX, ERR_INVALID, ERR_LIMIT. */
int release_site_read(const char *path, struct release_site *ret_site, struct err *ret_err);
void release_site_finish(struct release_site *site);

#endif
