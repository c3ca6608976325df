/* Rain of gauges on a grid, alone or merged with radar.
 *
 * Inverse distance (power 2); ordinary kriging; radar times its mean-field bias (sum of gauges /
 * sum of radar at the gauges); conditional merging (Sinclair & Pegram 2005): radar + kriged gauges
 * - kriged radar, which by linearity is radar plus the kriged differences, here after the
 * mean-field bias, so that the differences are free of it. Where the radar is missing, conditional
 * merging krigs the gauges. Kriging and conditional merging reproduce every gauge in its cell;
 * gauges in the same cell count as their mean. Negative results are zero rain. Beyond `reach_km` of
 * every gauge a field without radar is missing.
 *
 * All fields [rows * columns], NAN = missing, any unit of rain. The result has the same bits with
 * any number of threads. */
#ifndef CANHBAO_MODELS_MERGE_MERGE_H
#define CANHBAO_MODELS_MERGE_MERGE_H

#include <stdbool.h>
#include <stddef.h>

#include "models/merge/variogram.h"

enum merge_method { MERGE_IDW, MERGE_KRIGING, MERGE_BIAS, MERGE_CONDITIONAL };

/* What a cell rests on. */
enum merge_quality { MERGE_RADAR_AND_GAUGES, MERGE_RADAR_ONLY, MERGE_GAUGES_ONLY };

#define MERGE_OUTSIDE ((size_t)-1)

struct merge_gauge {
    struct place place; /* used only when outside the grid, else the centre of its cell */
    size_t cell;        /* MERGE_OUTSIDE: not on the grid */
    double value;       /* NAN: missing, left out */
};

struct merge_input {
    enum merge_method method;
    int rows, columns;
    const struct place *places; /* of the cells */
    const float *radar;         /* NULL: none */
    const struct merge_gauge *gauges;
    size_t gauge_count;
    double reach_km;
    int threads;
};

struct merge_errors {
    size_t count;
    double bias, mae, rmse; /* estimate minus gauge; NAN when count is 0 */
};

struct merge_result {
    float *value;
    float *error;   /* standard deviation of kriging; NAN where it cannot be told */
    float *quality; /* enum merge_quality, NAN where missing */
    size_t sites;   /* cells or places with a gauge value */
    double *site_value, *site_estimate; /* [sites]: leave-one-out estimate, NAN: none */
    size_t *site_gauge;                 /* [sites]: the first gauge of each */
    struct variogram variogram;         /* of the gauges (kriging) or the differences (merging) */
    double radar_factor;                /* mean-field bias; 1 without */
    bool factor_trusted;                /* false: too little rain or too far from 1; see below */
    struct merge_errors left_out;
    struct merge_errors radar_alone; /* at the gauges */
};

/* The mean-field bias needs 3 pairs with rain in both and stays within 1/5 to 5; else 1, or the
 * limit. */
enum { MERGE_PAIRS_MIN = 3, MERGE_FACTOR_MAX = 5 };

/* ERR_INVALID: no radar where the method needs one, or neither radar nor a gauge; ERR_LIMIT: more
 * than KRIGING_VALUES_MAX sites. */
int merge_run(const struct merge_input *input, struct merge_result *ret_result,
              struct err *ret_err);
void merge_finish(struct merge_result *result);

#endif
