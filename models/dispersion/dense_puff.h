/* A dense gas that leaves at once (Britter and McQuaid 1988, puffs; curves as digitised for CCPS,
 * Guidelines for Consequence Analysis, 1999), and when a release of some duration is one.
 *
 * a = log10((g0' V0^(1/3))^(1/2) / u) says how far, in units of V0^(1/3), the largest concentration
 * falls to 10, 5, 2, 1, 0.5, 0.2 and 0.1 %; between them linear in log10 of the distance; nearer
 * than 10 % 3.24 / (3.24 + X^2), beyond the last as X^-2. A cold gas warms as it mixes, as in
 * dense.h. The cloud is a cylinder that moves with 0.4 u and spreads as R^2 = R0^2 + 1.2 (g0'
 * V0)^(1/2) t; its height follows from what was released. Flat open ground, wind at 10 m.
 *
 * Dense at once if (g0' V0^(1/3))^(1/2) / u is above 0.20. A release of duration T is as if
 * continuous at x while u T / x is 2.5 or more, as if at once at 0.6 or less; between them the
 * smaller of both concentrations is taken. Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_DISPERSION_DENSE_PUFF_H
#define CANHBAO_MODELS_DISPERSION_DENSE_PUFF_H

#include <stdbool.h>

#include "models/dispersion/dense.h"

/* rate_kg_s of the release over duration_s is what leaves. */
struct dense_puff {
    struct dense_release release;
    double duration_s;
};

/* Whether it is dense, as if continuous or as if at once. ERR_RANGE. */
int dense_puff_is(const struct dense_puff *puff, bool *ret_dense);

/* Largest share of volume on the axis at the ground of a release at once. ERR_RANGE as
 * dense_share(). */
int dense_puff_share(const struct dense_puff *puff, double x_m, double *ret_share);

struct dense_passage {
    double share;             /* largest, at the point; 0: the cloud does not come there */
    double arrival_s, last_s; /* after the start; NaN: does not come */
};

/* What a point sees. ERR_RANGE. */
int dense_puff_at(const struct dense_puff *puff, double x_m, double y_m, double z_m,
                  struct dense_passage *ret);

#endif
