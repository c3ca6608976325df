/* The quantities that a point may have, as data: each with the unit that its own must convert to
 * and the kinds of point that make sense. Thread rule: constant data. */
#ifndef CANHBAO_CONFIG_QUANTITY_H
#define CANHBAO_CONFIG_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>

struct quantity {
    const char *name;
    const char *unit; /* UDUNITS-2; the point's unit must convert to it */
    bool instant;     /* POINT_INSTANT */
    bool total;       /* POINT_COUNTER and POINT_AMOUNT */
    const char *help;
    /* A hand reading may differ from the logged value by so much, in `unit`; 0: the technician must
     * say. Our assumption: some times the achievable uncertainty of WMO-No. 8, Annex 1.A, as the
     * two are apart in place and time. */
    double spot_tolerance;
};

extern const struct quantity quantities[];
extern const size_t quantity_count;

/* NULL when unknown. */
const struct quantity *quantity_find(const char *name);

#endif
