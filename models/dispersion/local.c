#include "models/dispersion/local.h"

#include <math.h>

#define RADIAN 57.29577951308232 /* degrees */
#define A_M    6378137.0
#define E2     6.69437999014e-3

static void radii(double latitude_deg, double *ret_east_m, double *ret_north_m) {
    double s = sin(latitude_deg / RADIAN), w = sqrt(1 - E2 * s * s);
    *ret_east_m = A_M / w * cos(latitude_deg / RADIAN);
    *ret_north_m = A_M * (1 - E2) / (w * w * w);
}

void local_to_ground(const struct weather_origin *origin, double x_m, double y_m,
                     double *ret_longitude_deg, double *ret_latitude_deg) {
    double east_m = 0, north_m = 0;
    radii(origin->latitude_deg, &east_m, &north_m);
    *ret_longitude_deg = origin->longitude_deg + x_m / east_m * RADIAN;
    *ret_latitude_deg = origin->latitude_deg + y_m / north_m * RADIAN;
}

void local_from_ground(const struct weather_origin *origin, double longitude_deg,
                       double latitude_deg, double *ret_x_m, double *ret_y_m) {
    double east_m = 0, north_m = 0;
    radii(origin->latitude_deg, &east_m, &north_m);
    *ret_x_m = remainder(longitude_deg - origin->longitude_deg, 360) / RADIAN * east_m;
    *ret_y_m = (latitude_deg - origin->latitude_deg) / RADIAN * north_m;
}
