/* Areas as cells of a grid, and rows of results for them: what models that work cell by cell tell
 * the daemon's jobs. Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CELL_AREAS_H
#define CANHBAO_MODELS_HYDROLOGY_CELL_AREAS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "models/grid/area.h"
#include "models/grid/grid.h"

struct cell_area {
    const char *id;
    size_t count;
    size_t *places; /* of the cells of which at least half lies in the area */
};

/* One list for `areas`, which must outlive it; place_of [rows * columns] in the order of the file,
 * -1: no place. An area without a cell has count 0. The caller finishes. ERR_MEMORY and those of
 * grid/mask.h. */
int cell_areas_create(struct grid_env *env, const struct grid *grid, const int64_t *place_of,
                      const struct area_list *areas, struct cell_area **ret_cells,
                      struct err *ret_err);
void cell_areas_finish(struct cell_area *cells, size_t count);

/* A number of an area, and the share of its cells that are known. */
struct cell_found {
    double value, coverage;
};
struct cell_row {
    const char *area, *variable, *unit;
    int window_h, lead_h;
};

/* Appends {area, variable, unit, window_s, lead_s, value, coverage, probability, cause}: null and
 * the cause when the value is NaN. probability NaN: none. */
void cell_row_add(json_t *list, const struct cell_row *row, struct cell_found found,
                  double probability, const char *cause);

/* What the members say, three rows: the values that are reached with probability 0.2, 0.5 and 0.8;
 * unknown with `cause` when one member is, or knows less than min_coverage of the cells, and
 * without members. */
void cell_row_add_members(json_t *list, const struct cell_row *row,
                          const struct cell_found *members, size_t count, double min_coverage,
                          const char *cause);

/* Median of numbers `stride` apart; NaN when one is, or without one. At most CELL_RAIN_MEMBERS_MAX.
 */
float cell_median(const float *values, size_t count, size_t stride);

#endif
