/* Metres east and north of an origin to longitude and latitude and back, on WGS 84, with the radii
 * of curvature at the origin: within 0.3 % of the distance up to 50 km. Thread rule: pure
 * functions. */
#ifndef CANHBAO_MODELS_DISPERSION_LOCAL_H
#define CANHBAO_MODELS_DISPERSION_LOCAL_H

#include "models/dispersion/weather_field.h"

void local_to_ground(const struct weather_origin *origin, double x_m, double y_m,
                     double *ret_longitude_deg, double *ret_latitude_deg);
void local_from_ground(const struct weather_origin *origin, double longitude_deg,
                       double latitude_deg, double *ret_x_m, double *ret_y_m);

#endif
