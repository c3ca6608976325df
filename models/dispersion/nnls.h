/* Non-negative least squares from the normal equations: minimise q'Gq - 2 h'q with q >= 0, G
 * symmetric and positive definite (Lawson and Hanson 1974; Bro and de Jong 1997). Thread rule: pure
 * function. */
#ifndef CANHBAO_MODELS_DISPERSION_NNLS_H
#define CANHBAO_MODELS_DISPERSION_NNLS_H

#include <stddef.h>

enum { NNLS_MAX = 1000 };

/* gram: [n * n], right: [n]. ERR_RANGE: not positive definite on a set that is needed, n of 0 or
 * above NNLS_MAX; ERR_LIMIT: not settled; ERR_MEMORY. */
int nnls_solve(const double *gram, const double *right, size_t n, double *ret_q);

/* Lower Cholesky factor of a symmetric matrix, in place (the upper part is left). ERR_RANGE. */
int nnls_cholesky(double *matrix, size_t n);

#endif
