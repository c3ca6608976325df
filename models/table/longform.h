/* Readings of station points in long form, as the daemon exports them (daemon/series_export.h):
 * CSV with time (RFC 3339), station, point, value (empty: none), unit, flag (QARTOD: 1 good, 2 not
 * evaluated, 3 suspect, 4 fail, 9 missing); further columns are ignored. Rows of a point stand
 * together, ascending. A value that failed is no value; a suspect one stays, with its flag: an
 * extreme must not be lost for being one. Thread rule: read-only once read. */
#ifndef CANHBAO_MODELS_TABLE_LONGFORM_H
#define CANHBAO_MODELS_TABLE_LONGFORM_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct longform_row {
    const char *station, *point, *unit; /* owned by the longform */
    int64_t utc_us;
    double value; /* NaN: none */
    int flag;
};

struct longform {
    size_t count;
    struct longform_row *rows;
    struct table *table;
};

/* ERR_SYNTAX, ERR_INVALID and those of table_read(), with the place. */
int longform_read(const char *path, struct longform *ret_series, struct err *ret_err);
void longform_finish(struct longform *series);

/* Rows [*from, return value) of the next block of one station and point at or after *from that is
 * of `point`; *from is moved to its begin. The count when there is none. */
size_t longform_block(const struct longform *series, const char *point, size_t *from);

#endif
