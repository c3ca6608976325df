/* Units of measure in UDUNITS-2 syntax: is it a unit, does it convert, convert.
 *
 * The database is opened once by the owner (a few milliseconds, it reads XML files) and handed on.
 * UDUNITS keeps shared state while it parses: use one `struct units` from one thread at a time.
 * Only linear conversions exist here; a logarithmic unit (dBZ) converts to nothing but itself. */
#ifndef CANHBAO_STATION_UNITS_H
#define CANHBAO_STATION_UNITS_H

#include <stdbool.h>

#include "daemon/base/err.h"

struct units;

/* ERR_IO when the unit database of the system is missing. */
int units_create(struct units **ret_units, struct err *ret_err);
struct units *units_destroy(struct units *units); /* NULL is fine; returns NULL */

/* A known unit of less than 2 * STATION_UNIT_SIZE bytes without spaces at its ends. "1" is one. */
bool units_valid(const struct units *units, const char *unit);

/* Both valid and of the same dimension ("mm/h" and "m s-1"; not "m" and "s", not "s" and "s-1"). */
bool units_convertible(const struct units *units, const char *from, const char *to);

/* ERR_INVALID when not convertible or the result is not finite. */
int units_convert(const struct units *units, double value, const char *from, const char *to,
                  double *ret_value);

/* A difference, not a point on the scale: 1 degC of change is 1 K of change. */
int units_convert_difference(const struct units *units, double value, const char *from,
                             const char *to, double *ret_value);

#endif
