/* Time series on a fixed step, read from a CSV table. Rows that the file leaves out are there with
 * NaN, so that a hole can never close up unnoticed. */
#ifndef CANHBAO_MODELS_HYDROLOGY_SERIES_H
#define CANHBAO_MODELS_HYDROLOGY_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/table/table.h"

enum { SERIES_COLUMNS_MAX = 1024 };
#define SERIES_STEPS_MAX ((size_t)50000000)

struct series_column {
    const char *name;
    double min;
    double max;
    int optional; /* all NaN when the file has no such column */
};

struct series {
    size_t count;    /* steps */
    size_t inserted; /* steps that the file left out */
    int64_t start_us;
    int64_t step_us;
    size_t columns;
    double *values; /* [column][step] */
    struct table *table;
    size_t *row; /* row of the table for each step, SIZE_MAX for an inserted one */
};

/* Reads column "time" and the named columns. step_us 0 takes the smallest distance of two rows.
 * ERR_INVALID when a time is not on the grid of the step or the file has a longer step than
 * step_us, ERR_LIMIT when the holes make more than
 * SERIES_STEPS_MAX steps, and the errors of models/table. */
int series_read(const char *path, int64_t step_us, const struct series_column *columns,
                size_t column_count, struct series *ret_series, struct err *ret_err);
void series_finish(struct series *series);

const double *series_column(const struct series *series, size_t column);
int64_t series_time_us(const struct series *series, size_t step);
/* The time as the file wrote it, or RFC 3339 for an inserted step. size >= 28. */
void series_time_text(const struct series *series, size_t step, char *ret_text, size_t size);

#endif
