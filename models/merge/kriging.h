/* Ordinary kriging in its dual form, with error and leave-one-out estimates.
 *
 * With C the covariances of the data and 1 a vector of ones: m = 1' C^-1 z / 1' C^-1 1,
 * b = C^-1 (z - m 1), estimate m + c' b; variance C(0) - c' C^-1 c + (1 - 1' C^-1 c)^2 / 1' C^-1 1
 * (Cressie 1993, eq. 3.2.12 ff.; Goovaerts 1997, section 5.3). Leaving one out without solving
 * again: Dubrule 1983. A value is reproduced exactly at its own place, whatever the nugget.
 * Thread rule: a finished kriging is read-only. */
#ifndef CANHBAO_MODELS_MERGE_KRIGING_H
#define CANHBAO_MODELS_MERGE_KRIGING_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/merge/variogram.h"

enum { KRIGING_VALUES_MAX = 1000 };

struct kriging;

/* Places (copied) must differ. ERR_INVALID: two at the same place, none, or more than
 * KRIGING_VALUES_MAX; ERR_MEMORY. */
int kriging_create(size_t count, const struct place *places, const struct variogram *variogram,
                   struct kriging **ret_kriging);
struct kriging *kriging_destroy(struct kriging *kriging);

/* The weights of one set of values: ret_weights[count + 1], the mean last. */
void kriging_weigh(const struct kriging *kriging, const double *values, double *ret_weights);
double kriging_estimate(const struct kriging *kriging, const double *weights, struct place place);

/* Standard deviation of the error; `scratch` holds count. */
double kriging_error(const struct kriging *kriging, struct place place, double *scratch);

/* What the other values say about value i; NAN with a single one. */
double kriging_leave_one_out(const struct kriging *kriging, const double *values, size_t i);

#endif
