/* A release in some weather at some receptors: what `canhbao-model plume` tells, before it is
 * written.
 *
 * Thread rule: one call, one thread. */
#ifndef CANHBAO_MODELS_DISPERSION_PLUME_RESULTS_H
#define CANHBAO_MODELS_DISPERSION_PLUME_RESULTS_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/dispersion/far.h"
#include "models/dispersion/puff.h"
#include "models/dispersion/release.h"
#include "models/dispersion/weather.h"

enum { RESULTS_COLUMNS_MAX = 16 };
#define RESULTS_HOLD_S 3600.0 /* weather so long before or after is taken */

/* How a value was found. */
enum results_method {
    RESULTS_PLUME,
    RESULTS_PUFFS,
    RESULTS_DENSE,
    RESULTS_PARTICLES,
    RESULTS_METHODS
};
extern const char *const results_methods[RESULTS_METHODS]; /* "plume" ... */

struct results_column {
    const char *name, *units, *long_name;
    double *values; /* [times * receptors], NaN: unknown */
    bool method;    /* the values are of enum results_method */
};

/* Particles instead of plumes and puffs: beyond FAR_BEYOND_M when the release is finite or the wind
 * is a field and the release asks for no method; or everywhere. Dense gas stays dense gas. */
struct results_options {
    bool particles; /* everywhere */
    struct far_options far;
};

struct results {
    size_t times; /* 0: none (finite releases, weather without times) */
    size_t column_count;
    struct results_column columns[RESULTS_COLUMNS_MAX];
    struct far_mass mass; /* of finite releases; 0 without particles */
};

/* The plume of one weather at one receptor, with the decay on the way but without what falls out; 0
 * upwind. Per m3, in the unit of the rate. ERR_RANGE. */
int results_steady(const struct release *release, const struct weather_air *air,
                   const struct puff_receptor *receptor, double *ret_value, struct err *ret_err);

/* Fills the receptors of a finite release and tells which method served each, and the standard
 * error of particles (NaN: none). Errors as puff_run() and far_run(); ERR_NOT_FOUND: no start in
 * weather with times. */
int results_finite(const struct release *release, const struct weather *weather,
                   const struct results_options *options, struct puff_receptor *receptors,
                   size_t count, double *ret_method, double *ret_error, struct far_mass *ret_mass,
                   struct err *ret_err);

/* `receptors` are filled when the release is finite. Errors as results_finite(). */
int results_run(const struct release *release, const struct weather *weather,
                const struct results_options *options, struct puff_receptor *receptors,
                size_t count, struct results *ret_results, struct err *ret_err);
void results_finish(struct results *results);

/* Effective dose in Sv at a receptor that puffs filled: inhalation and cloud, and the ground for
 * ground_s after the passage; NaN: the deposit is not known. */
double results_dose_sv(const struct nuclide *nuclide, const struct puff_receptor *receptor,
                       double ground_s);

#endif
