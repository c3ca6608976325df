/* A continuous release of a dense gas at the ground (Britter and McQuaid 1988; curves and the
 * worked example of CCPS, Guidelines for Consequence Analysis, 1999).
 *
 * a = log10((g0'^2 q0 / u^5)^(1/5)) says how far, in units of (q0/u)^(1/2), the largest
 * concentration of a cross-section falls to 10, 5, 2, 1, 0.5 and 0.2 %; between them linear in
 * log10 of the distance; nearer than 30 units 306 X^-2 / (1 + 306 X^-2), beyond the last as X^-2. A
 * cold gas warms as it mixes: c / (c + (1 - c) T0/Ta). The cloud is a box of half width D + 8 b
 * + 2.5 (b x^2)^(1/3) with b = q0 g0' / u^3. Flat open ground, wind at 10 m. Thread rule: pure
 * functions. */
#ifndef CANHBAO_MODELS_DISPERSION_DENSE_H
#define CANHBAO_MODELS_DISPERSION_DENSE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

struct dense_release {
    double rate_kg_s;
    double gas_density_kg_m3, air_density_kg_m3; /* of the gas as it leaves */
    double gas_temperature_k, air_temperature_k; /* equal: no warming */
    double wind_m_s;                             /* at 10 m */
};

/* Share of volume, 0 to 1, on the axis at the ground. ERR_RANGE: a value that cannot be, or a gas
 * that is not heavier than air. */
int dense_share(const struct dense_release *release, double x_m, double *ret_share);

/* The same at a point: 0 outside the box. */
int dense_share_at(const struct dense_release *release, double x_m, double y_m, double z_m,
                   double *ret_share);

/* kg/m3 of a share once the gas has the temperature of the air. */
double dense_concentration(const struct dense_release *release, double share);

/* A curve of the nomograms: log10 of the scaled distance at which the share is reached, against the
 * scaled buoyancy a, piece by piece up to `below`. */
enum { DENSE_PIECES_MAX = 4 };
struct dense_curve {
    double share;
    struct {
        double below, slope, constant;
    } pieces[DENSE_PIECES_MAX];
};
double dense_curve_distance(const struct dense_curve *curve, double a);
/* The share at b, log10 of the scaled distance: straight between the curves from (from_b, from) on,
 * beyond the last one falling with the square of the distance. */
double dense_curves_share(const struct dense_curve *curves, size_t count, double a, double b,
                          double from_b, double from);

#endif
