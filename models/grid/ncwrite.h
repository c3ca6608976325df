/* CF-1.8 NetCDF out: forecasts and analyses on a grid.
 *
 * Dimensions ([realization,] lead_time, y, x). lead_time in seconds (standard_name
 * forecast_period), auxiliary time(lead_time), scalar forecast_reference_time, the grid mapping as
 * it was read, times with Z. Accumulations get time bounds. netCDF-4, one chunk per frame, deflate
 * and shuffle. The file appears under its name only when complete (temporary name, fsync, rename).
 * Thread rule: one thread per writer. */
#ifndef CANHBAO_MODELS_GRID_NCWRITE_H
#define CANHBAO_MODELS_GRID_NCWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/grid/grid.h"

struct ncwrite_header {
    const struct grid *grid;
    int64_t reference_utc_us;
    size_t lead_count;
    const int64_t *lead_s;   /* [lead_count], strictly ascending; 0 is the analysis */
    int64_t accumulation_s;  /* 0: instants; else each lead ends an interval of this length */
    size_t member_count;     /* 0: no realization dimension */
    const char *title;       /* mandatory */
    const char *institution; /* may be NULL, as the next two */
    const char *source;
    const char *history;
};

enum ncwrite_type {
    NCWRITE_FLOAT,     /* NaN is written as _FillValue = NaN */
    NCWRITE_SHORT,     /* packed with `scale`; missing -32768; out of range is refused */
    NCWRITE_FLAG_BYTE, /* codes 0..126; missing 127 */
};

struct ncwrite_variable {
    const char *name;
    const char *standard_name; /* may be NULL, as all texts below but units */
    const char *long_name;
    const char *units;
    const char *cell_methods;
    const char *ancillary_variables;
    const char *flag_meanings; /* FLAG_BYTE: blank separated, codes 0, 1, 2 ... */
    enum ncwrite_type type;
    double scale;           /* SHORT: value of one step */
    bool has_members;       /* over realization too (member_count > 0) */
    bool has_leads;         /* else one field for the whole file */
    int64_t accumulation_s; /* > 0: each lead ends an interval of this length; its time, with
                               bounds, is the variable time_<seconds>s. At most 4 lengths. */
};

struct ncwriter;

/* At most 16 variables; their ids are their indexes. ERR_IO, ERR_INVALID. */
int ncwriter_create(const char *path, const struct ncwrite_header *header,
                    const struct ncwrite_variable *variables, size_t variable_count,
                    struct ncwriter **ret_writer, struct err *ret_err);

/* As above, but held in memory until ncwriter_finish_fd (sandboxed workers). */
int ncwriter_create_memory(const char *name, const struct ncwrite_header *header,
                           const struct ncwrite_variable *variables, size_t variable_count,
                           struct ncwriter **ret_writer, struct err *ret_err);

/* One field, [rows * columns], NaN where missing; infinities are refused. `member` and `lead` are
 * ignored where the variable does not have them. */
int ncwriter_put(struct ncwriter *writer, size_t variable, size_t member, size_t lead,
                 const float *values, struct err *ret_err);

/* Completes the file and destroys the writer, also on failure (then nothing appears). */
int ncwriter_finish(struct ncwriter *writer, struct err *ret_err);
int ncwriter_finish_fd(struct ncwriter *writer, int fd, struct err *ret_err);
/* The bytes of a file held in memory; the caller frees them. */
int ncwriter_finish_memory(struct ncwriter *writer, void **ret_image, size_t *ret_size,
                           struct err *ret_err);

/* Gives up: removes the temporary file. NULL is fine. */
void ncwriter_destroy(struct ncwriter *writer);

#endif
