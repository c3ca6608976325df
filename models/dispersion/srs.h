/* Emission from far measurements with source-receptor sensitivities: y = M q, q >= 0 in time bins,
 * for each candidate cell.
 *
 * Errors: sigma^2 = absolute^2 + (relative * max(reading, model))^2, renewed as the model moves, so
 * that a non-detection speaks against a model that predicts much and against no other.
 * Regularisation: each bin has a prior variance of its own, learned from the data (automatic
 * relevance; the least squares with adaptive prior covariance of Tichy et al. 2016 without
 * correlation), which leaves few bins; the answer depends on it, and on `relative`. Cells are
 * compared by their evidence (Laplace). Thread rule: pure function. */
#ifndef CANHBAO_MODELS_DISPERSION_SRS_H
#define CANHBAO_MODELS_DISPERSION_SRS_H

#include <stddef.h>

#include "daemon/base/err.h"

struct srs_problem {
    size_t observations, bins;
    const double *reading;     /* [observations] >= 0; NaN is left out */
    const double *sensitivity; /* [observations * bins] >= 0, reading per emission of a bin */
    double relative, absolute; /* errors; absolute in the unit of the readings */
};

struct srs_result {
    double total, total_sd;
    double ln_evidence;
    double *emission, *sd; /* [bins] */
    double *model;         /* [observations] */
    size_t used, detections;
};

/* ERR_RANGE: negative or infinite values, nothing to learn from; ERR_LIMIT, ERR_MEMORY.
 * srs_finish() after success. */
int srs_invert(const struct srs_problem *problem, struct srs_result *ret_result,
               struct err *ret_err);
void srs_finish(struct srs_result *result);

#endif
