/* CREST water balance of one grid cell (Wang et al. 2011, Hydrol. Sci. J. 56; as run in EF5): the
 * variable infiltration curve of the Xinanjiang model, six parameters, one store.
 *
 * Missing rain or evaporation (NaN): all outputs NaN, the store stays as it was.
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CREST_H
#define CANHBAO_MODELS_HYDROLOGY_CREST_H

#include <stddef.h>

#include "daemon/base/err.h"

struct crest_parameters {
    double wm_mm;   /* mean soil capacity, 20 to 250 */
    double b;       /* exponent of the infiltration curve, 0.05 to 2 */
    double im;      /* impervious share, 0 to 1 */
    double ke;      /* factor from potential to reference evaporation, 0.5 to 1.5 */
    double fc_mm_h; /* saturated conductivity, 0.1 to 150 */
};

struct crest_flux {
    double evaporation_mm;
    double overland_mm;
    double interflow_mm;
};

/* ERR_RANGE names the parameter that is not finite or not possible at all (the ranges above are
 * usual values, not limits). */
int crest_check(const struct crest_parameters *parameters, struct err *ret_err);

/* One step of dt_h hours; depths in mm per step. *water_mm is the store, 0 to wm_mm.
 * rain - evaporation - overland - interflow = change of the store, to rounding. */
struct crest_flux crest_step(const struct crest_parameters *parameters, double dt_h, double rain_mm,
                             double potential_mm, double *water_mm);

#endif
