/* Limits of plausible values per quantity that ship with the program (models/quality/
 * plausibility.csv, with the source of every row): what `preset: wmo` of a quality section fills
 * in where the section itself says nothing. Thread rule: constant data. */
#ifndef CANHBAO_CONFIG_PLAUSIBILITY_H
#define CANHBAO_CONFIG_PLAUSIBILITY_H

#include "daemon/base/err.h"
#include "daemon/station/station.h"
#include "daemon/station/units.h"

struct plausibility {
    double hard_min, hard_max; /* in the unit that was asked for; NaN: the source has none */
    double rate_max_per_s;
    bool own; /* the bounds are ours, no published table */
};

/* ERR_NOT_FOUND: the table has no row for the quantity, there is no default. ERR_INVALID: the unit
 * does not convert. ERR_SYNTAX, ERR_MEMORY. */
int plausibility_find(const struct units *units, const char *quantity, const char *unit,
                      struct plausibility *ret_limits, struct err *ret_err);

#endif
