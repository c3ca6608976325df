/* Receptors of a plume from a CSV file: x_east_m, y_north_m, and z_m or receptor_height_m (1.5 m
 * without). Thread rule: pure. */
#ifndef CANHBAO_MODELS_DISPERSION_RECEPTORS_H
#define CANHBAO_MODELS_DISPERSION_RECEPTORS_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/dispersion/puff.h"

struct receptors {
    size_t count;
    struct puff_receptor *list; /* the caller's to free */
};

/* ERR_IO, ERR_SYNTAX, ERR_NOT_FOUND, ERR_RANGE, ERR_INVALID (no place), ERR_LIMIT (none, or more
 * than PUFF_RECEPTORS_MAX), ERR_MEMORY. */
int receptors_read(const char *path, struct receptors *ret_receptors, struct err *ret_err);

#endif
