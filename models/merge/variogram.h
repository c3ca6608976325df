/* Exponential variogram of point values, fitted with safe fallbacks.
 *
 * gamma(0) = 0, gamma(h) = nugget + sill (1 - exp(-h / range)) (Cressie 1993, section 2.3.1). The
 * nugget is variability below the smallest distance, not an error of measurement: kriging with it
 * still reproduces every value. Pure functions. */
#ifndef CANHBAO_MODELS_MERGE_VARIOGRAM_H
#define CANHBAO_MODELS_MERGE_VARIOGRAM_H

#include <stddef.h>

#include "daemon/base/err.h"

/* Places are points on a sphere of 6371 km, as vectors from its centre in km; distances are chords
 * (0.1 % short at 1000 km). */
struct place {
    float x_km, y_km, z_km;
};
struct place place_of(double lon_deg, double lat_deg);
double place_distance_km(struct place a, struct place b);

enum variogram_source {
    VARIOGRAM_FITTED,
    VARIOGRAM_FALLBACK, /* too few values or no structure: their variance, VARIOGRAM_RANGE_KM */
    VARIOGRAM_FLAT,     /* all values alike, or a single one: no error can be told */
};

/* Fallback: e-folding distance of hourly rain over land, 20 to 40 km in the literature; with less
 * than VARIOGRAM_VALUES_MIN values a fit says more about chance. */
enum { VARIOGRAM_VALUES_MIN = 10, VARIOGRAM_BINS = 12, VARIOGRAM_RANGE_KM = 30 };

struct variogram {
    double nugget; /* unit of the values, squared */
    double sill;   /* without the nugget */
    double range_km;
    enum variogram_source source;
};

double variogram_at(const struct variogram *variogram, double distance_km);
double variogram_covariance(const struct variogram *variogram, double distance_km);

/* Weighted least squares over distance classes up to half the largest distance, weights pairs /
 * distance^2; the range is searched on a logarithmic ladder, nugget and sill follow for each. */
int variogram_fit(size_t count, const struct place *places, const double *values,
                  struct variogram *ret_variogram);

const char *variogram_source_name(enum variogram_source source);

#endif
