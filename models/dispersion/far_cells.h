/* Receptors in square cells, to find those near a particle. Thread rule: read-only once made. */
#ifndef CANHBAO_MODELS_DISPERSION_FAR_CELLS_H
#define CANHBAO_MODELS_DISPERSION_FAR_CELLS_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/dispersion/puff.h"

enum { FAR_CELLS = 128 }; /* along an axis */

struct far_cells {
    double west_m, south_m, size_m;
    size_t *start;    /* [FAR_CELLS * FAR_CELLS + 1] into receptor */
    size_t *receptor; /* by cell, in a cell ascending */
};

/* ERR_MEMORY. */
int far_cells_create(const struct puff_receptor *receptors, size_t count,
                     struct far_cells *ret_cells, struct err *ret_err);
void far_cells_finish(struct far_cells *cells);

/* Calls for every receptor that may be within radius_m of a place, always in the same order. */
void far_cells_near(const struct far_cells *cells, double x_m, double y_m, double radius_m,
                    void (*near)(void *context, size_t receptor), void *context);

#endif
