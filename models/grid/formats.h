/* The formats in which a site may get its grids: a table. NetCDF is read as it is; every other
 * format is translated into a NetCDF image in memory, so that all that follows (units, times,
 * missing values, grids) is done once.
 *
 * A row more is a function that recognises the first bytes and one that translates. Files come from
 * outside: the rules of ncfile.h hold. Thread rule: as grid_env. */
#ifndef CANHBAO_MODELS_GRID_FORMATS_H
#define CANHBAO_MODELS_GRID_FORMATS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"
#include "models/grid/env.h"

struct format {
    const char *name;
    bool (*recognises)(const unsigned char *bytes, size_t size);
    /* NULL: NetCDF. Else makes an image that the caller frees. */
    int (*translate)(struct grid_env *env, const char *name, const void *bytes, size_t size,
                     void **ret_image, size_t *ret_size, struct err *ret_err);
    bool needs_files; /* its library reads tables below /usr/share while it decodes */
};

/* NULL: none of them. */
const struct format *format_of(const void *bytes, size_t size);

#endif
