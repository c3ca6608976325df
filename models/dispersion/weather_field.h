/* Weather that changes in time and space, from CF NetCDF.
 *
 * Wind: eastward_wind and northward_wind (standard names; else variables u10 and v10, or u and v),
 * or the variables wind_m_s and wind_from_deg. The rest has the names of the CSV columns
 * (ustar_m_s, obukhov_L_m, sigma_azimuth_deg, mixing_height_m, z0_m, rain_mm_h) or standard names
 * (atmosphere_boundary_layer_thickness, surface_roughness_length, rainfall_rate), and
 * pasquill_class, 1 (A) to 6 (F). Dimensions ([time,] y, x): longitude and latitude (also 2-D), a
 * projection, or metres about the origin of the release. Units of the file are converted.
 * Interpolated bilinearly (class: nearest cell). Thread rule: a loaded field is read by one thread.
 */
#ifndef CANHBAO_MODELS_DISPERSION_WEATHER_FIELD_H
#define CANHBAO_MODELS_DISPERSION_WEATHER_FIELD_H

#include "models/dispersion/weather.h"

/* Where x = 0 and y = 0 are on the ground; NaN: not known, then only a file in metres will do. */
struct weather_origin {
    double latitude_deg, longitude_deg;
};

/* ERR_IO, ERR_CORRUPT, ERR_NOT_FOUND, ERR_INVALID, ERR_LIMIT, ERR_MEMORY. Rows are not settled. */
int weather_field_read(const char *path, const struct weather_origin *origin, double wind_height_m,
                       struct weather *ret_weather, struct err *ret_err);
struct weather_field *weather_field_destroy(struct weather_field *field);

/* A weather as the command line names it, CSV or NetCDF by the end of its name, settled at a place.
 */
struct weather_choice {
    const char *path;
    const char *class_text; /* "A" to "F" where the weather tells none; NULL: left unknown */
    double wind_height_m;   /* of a NetCDF wind */
    struct weather_origin origin;
};
int weather_open(const struct weather_choice *choice, double x_m, double y_m,
                 struct weather *ret_weather, struct err *ret_err);

/* All but the time of a row. ERR_NOT_FOUND: outside, or the wind is missing there. */
int weather_field_row(const struct weather_field *field, size_t frame, double x_m, double y_m,
                      struct weather_row *row, struct err *ret_err);

#endif
