/* Inside of ncfile.h: what ncfile.c, ncvalues.c and ncaxes.c share. Not for callers.
 *
 * Thread rule: as ncfile.h. */
#ifndef CANHBAO_MODELS_GRID_NCPRIV_H
#define CANHBAO_MODELS_GRID_NCPRIV_H

#include <netcdf.h>
#include <stdbool.h>
#include <stddef.h>

#include "models/grid/ncfile.h"

enum { NC_SPACE_DIMS = 2, NC_DIMS_MAX = 8, NC_MISSING_MAX = 8, NC_TEXT_MAX = 4096 };

struct ncfile {
    struct grid_env *env;
    char name[256]; /* the last part of the path, for messages */
    int id;
    void *owned; /* bytes to free; NULL when the caller keeps them */
    void *image; /* translated from another format, to free; NULL: the bytes are NetCDF */
};

struct ncvar {
    struct ncfile *file;
    int id;
    char name[NC_MAX_NAME + 1];
    nc_type type;
    int dim_count;
    int dims[NC_DIMS_MAX];
    size_t lengths[NC_DIMS_MAX];
    int time_dim;    /* position in dims, -1 without */
    int member_dim;  /* of an ensemble, -1 without */
    size_t member;   /* that is read */
    bool transposed; /* the file has (x, y) */
    size_t rows;
    size_t columns;
    /* raw value -> value */
    bool is_unsigned;
    size_t missing_count;
    double missing[NC_MISSING_MAX];        /* as stored */
    bool missing_unpacked[NC_MISSING_MAX]; /* declared in unpacked units: compare after unpacking */
    double valid_min;                      /* -inf, +inf when not given */
    double valid_max;
    bool valid_unpacked;
    double scale;
    double offset;
    double unit_scale;
    double unit_offset;
};

/* Text of an attribute, also of a netCDF-4 string. ERR_NOT_FOUND, or ERR_INVALID: not text, too
 * long. */
int ncpriv_text(const struct ncfile *file, int variable, const char *attribute, char *ret_text,
                size_t size);

/* Up to `max` numbers; ERR_NOT_FOUND, or ERR_INVALID: not numbers, too many. */
int ncpriv_numbers(const struct ncfile *file, int variable, const char *attribute, size_t max,
                   double *ret_numbers, size_t *ret_count, nc_type *ret_type);

/* "file: variable name: ..." */
__attribute__((format(printf, 4, 5))) int
ncpriv_refuse(const struct ncvar *var, struct err *ret_err, int code, const char *format, ...);

/* What an axis is, from axis, standard_name, units or its name: 'X', 'Y', 'T' or 0. */
char ncpriv_axis_kind(const struct ncfile *file, int variable);

/* Fills missing values, valid range, packing and units of a variable (ncvalues.c). */
int ncpriv_load_packing(struct ncvar *var, const char *units, struct err *ret_err);

/* a * b, or 0 when it does not fit or exceeds max. */
size_t ncpriv_product(size_t a, size_t b, size_t max);

#endif
