/* Merged rain over areas: mean, highest cell, and what it rests on.
 *
 * All are weighted with the ground area that an area covers of each cell (grid/mask.h). A gauge
 * that quality control doubts is not in the field; over the cells that are nearer to it than to any
 * gauge that is used (its Thiessen polygon) nobody knows whether it was right. Thread rule: pure.
 */
#ifndef CANHBAO_MODELS_MERGE_AREAS_H
#define CANHBAO_MODELS_MERGE_AREAS_H

#include "models/grid/area.h"
#include "models/grid/grid.h"
#include "models/merge/merge.h"

struct merge_area {
    const char *id;       /* owned by the area list */
    double mean, highest; /* unit of the field; NaN: not a cell is known */
    double coverage;      /* share of the polygon with a value, 0 to 1 */
    double radar_share;   /* of what is known: share that radar sees; NaN: nothing is known */
    double suspect_share; /* of the cells of the area: share nearest to a doubted gauge */
};

struct merge_field {
    const struct grid *grid;
    const struct place *places;        /* of the cells */
    const struct merge_result *result; /* value and quality are looked at */
    const struct merge_gauge *gauges;
    const bool *doubted; /* [gauge_count]: left out by quality control */
    size_t gauge_count;
};

/* One for each area of the list, in its order; the caller frees. ERR_MEMORY and those of
 * grid/mask.h. */
int merge_areas_measure(struct grid_env *env, const struct merge_field *field,
                        const struct area_list *areas, struct merge_area **ret_areas,
                        struct err *ret_err);

#endif
