/* Classes of a CF NetCDF variable: flag_values and flag_meanings (CF conventions 1.8, 3.5).
 *
 * Thread rule: as ncfile.h. */
#ifndef CANHBAO_MODELS_GRID_NCFLAGS_H
#define CANHBAO_MODELS_GRID_NCFLAGS_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/grid/ncfile.h"

enum { NCFLAGS_MAX = 64, NCFLAG_NAME_SIZE = 64 };

struct ncflags {
    size_t count;
    double value[NCFLAGS_MAX]; /* whole numbers, each once */
    char name[NCFLAGS_MAX][NCFLAG_NAME_SIZE];
};

/* Opens a variable of classes by name or, with NULL, the only one that has flag_meanings.
 * ERR_NOT_FOUND, or ERR_INVALID: several. */
int ncflags_open(struct ncfile *file, const char *name, struct ncvar **ret_var,
                 struct err *ret_err);

/* Its classes. ERR_INVALID: not plain integers, no flag_values or flag_meanings, not as many of one
 * as of the other, a value or name twice, a name longer than 63 bytes. ERR_LIMIT: more than
 * NCFLAGS_MAX. */
int ncflags_read(struct ncvar *var, struct ncflags *ret_flags, struct err *ret_err);

#endif
