/* The weather of a release: rows of a station, and the spread of a plume that follows from one.
 *
 * CSV columns (header names carry the unit; order free; an unknown wind column with another unit is
 * refused, an empty field is missing):
 *   time               UTC of the row; needed with more than one row
 *   wind_m_s           wind speed at wind_height_m (column, m; 10 without), or
 *   wind_<H>m_m_s      wind speed at H metres, as wind_2m_m_s
 *   wind_from_deg      or wind_from_deg_<H>m: where the wind comes FROM, degrees from north
 *   ustar_m_s, obukhov_L_m, sigma_azimuth_deg   surface layer; all three or the classes are used
 *   class              Pasquill class A to F
 *   sky                sun_strong, sun_moderate, sun_slight, night_cloudy (4/8 or more),
 * night_clear mixing_height_m    lid (empty: none known) z0_m               roughness length (0.03
 * without) rain_mm_h          rain (empty: unknown; wet deposition is then not told) Thread rule: a
 * finished weather is read-only. */
#ifndef CANHBAO_MODELS_DISPERSION_WEATHER_H
#define CANHBAO_MODELS_DISPERSION_WEATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/dispersion/plume.h"

struct weather_field;

enum { WEATHER_ROWS_MAX = 100000 };

struct weather_row {
    int64_t utc_us;
    double wind_m_s;
    double wind_height_m;
    double wind_from_deg;
    double ustar_m_s; /* NaN when not known, as all below */
    double obukhov_m;
    double sigma_theta_rad;
    double lid_m;
    double z0_m;
    double rain_mm_h;
    int stability; /* enum plume_class; negative when not known */
};

struct weather {
    bool timed; /* has a time column */
    size_t count;
    struct weather_row *rows;    /* of a field: at the place of weather_settle() */
    struct weather_field *field; /* NULL: the same everywhere */
};

/* ERR_IO, ERR_SYNTAX, ERR_NOT_FOUND, ERR_RANGE, ERR_INVALID: the wind must be there in every row.
 */
int weather_read(const char *path, struct weather *ret_weather, struct err *ret_err);
void weather_finish(struct weather *weather);

/* A row without a class gets this one, enum plume_class (a wind without stability has no spread).
 */
void weather_assume_class(struct weather *weather, int stability);

/* Wind, spread and rain at a moment and place: wind vectors between two rows are interpolated
 * linearly, the rest is that of the row before. ERR_STALE outside the rows by more than hold_s,
 * ERR_NOT_FOUND outside a field or where it is missing. */
int weather_at(const struct weather *weather, int64_t utc_us, double hold_s, double x_m, double y_m,
               struct weather_row *ret_row, struct err *ret_err);

/* Sets the rows of a field to those of a place, for what asks for one place only. ERR_NOT_FOUND. */
int weather_settle(struct weather *weather, double x_m, double y_m, struct err *ret_err);

enum weather_method { WEATHER_AUTO, WEATHER_SIMILARITY, WEATHER_BRIGGS };

/* How a release spreads in a row. */
struct weather_air {
    enum weather_method method; /* SIMILARITY or BRIGGS */
    enum plume_curves curves;
    enum plume_class stability; /* BRIGGS */
    struct plume_surface surface;
    double lid_m;
    double wind_from_deg;
    double wind_m_s; /* BRIGGS: at the source */
};

/* AUTO takes the surface layer when u*, L and sigma_theta are known and the source is at most 20 m
 * high, else the class: the row's, from L, or from the sky. Above its own height the wind of a
 * class follows the power law of the class. ERR_NOT_FOUND says what is missing; ERR_RANGE calm
 * (wind below 0.5 m/s), a source above the lid. */
int weather_air(const struct weather_row *row, enum weather_method method, enum plume_curves curves,
                double height_m, struct weather_air *ret_air, struct err *ret_err);

/* Spread and transport wind at x_m downwind. */
int weather_spread(const struct weather_air *air, double height_m, double x_m,
                   double *ret_sigma_y_m, double *ret_sigma_z_m, double *ret_wind_m_s);

#endif
