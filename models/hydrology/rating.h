/* Rating curves: stage to discharge of a gauge.
 *
 * ln Q is continuous and piecewise linear in ln(h - c), that is Q = a (h - c)^b per segment with
 * one c (about b = 1.5 for a weir, 5/3 for a wide channel, 2 to 3 for a V shape or overbank flow).
 * Fitted by least squares in ln Q over c and the break; the band comes from the residuals and the
 * leverage of the stage. A stage below the lowest gauging has no discharge, whatever the formula
 * says: one low gauging decides c. Above the highest gauging it is marked.
 *
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_RATING_H
#define CANHBAO_MODELS_HYDROLOGY_RATING_H

#include <stddef.h>

#include <jansson.h>

#include "daemon/base/err.h"

enum { RATING_SEGMENTS_MAX = 2, RATING_GAUGINGS_MIN = 5, RATING_GAUGINGS_MAX = 5000 };

struct rating {
    int segments;
    double c_m;
    double break_m;        /* stage where segment 2 begins; NaN with one segment */
    double coefficient[3]; /* ln Q = k0 + k1 x + k2 max(0, x - x_break), x = ln(h - c) */
    double inverse[3][3];  /* of the normal matrix, for the leverage */
    double sigma_log;      /* residual standard deviation of ln Q, n - parameters in the divisor */
    double rms_log;        /* root mean square residual of ln Q */
    double loo_rms_log;    /* the same for gaugings left out; NaN when none could be predicted */
    int loo_refused;       /* gaugings at or below the c that the others give: not predicted */
    int count;
    double lowest_m; /* of the gaugings */
    double highest_m;
};

/* W in m, Q in m3/s. ERR_INVALID: too few gaugings (RATING_GAUGINGS_MIN, 4 more for a second
 * segment), all at one stage, a missing value, Q <= 0, or a fit that does not rise with the stage.
 */
int rating_fit(const double *stage_m, const double *flow_m3_s, size_t count, int segments,
               struct rating *ret_rating, struct err *ret_err);

/* a and b of segment 0 or 1. */
void rating_power(const struct rating *rating, int segment, double *ret_a, double *ret_b);

enum rating_mark { RATING_OK, RATING_MISSING, RATING_BELOW, RATING_EXTRAPOLATED };

/* Discharge with its 50 and 90 % band; NaN when the stage is missing or below the lowest gauging.
 */
struct rated {
    double flow_m3_s;
    double q05, q25, q75, q95;
    enum rating_mark mark;
};
struct rated rating_flow(const struct rating *rating, double stage_m);

/* The stage of a discharge, for forecasts; NaN and RATING_BELOW under the flow of the lowest
 * gauging. */
double rating_stage(const struct rating *rating, double flow_m3_s, enum rating_mark *ret_mark);

/* Rating files (JSON). Loading refuses what rating_fit() cannot have written. */
int rating_save(const char *path, const struct rating *rating, struct err *ret_err);
int rating_load(const char *path, struct rating *ret_rating, struct err *ret_err);
/* The same from an object inside another file; `name` stands for it in errors. */
int rating_unpack(const char *name, json_t *root, struct rating *ret_rating, struct err *ret_err);

#endif
