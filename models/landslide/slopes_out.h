/* What slopes.h found, for areas and for the map: results for the daemon's jobs, CF NetCDF grids.
 * What they hold is told in the help of `slopes`. Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_LANDSLIDE_SLOPES_OUT_H
#define CANHBAO_MODELS_LANDSLIDE_SLOPES_OUT_H

#include <jansson.h>

#include "models/hydrology/cell_areas.h"
#include "models/landslide/slopes.h"

struct slopes_output {
    const struct slopes *slopes;
    const struct grid *grid;
    size_t *cell_of; /* [place] in the grid */
    double min_coverage;
    size_t area_count;
    struct cell_area *areas;
};

/* Fills area_count and areas. `areas` must outlive the output. ERR_MEMORY, those of grid/mask.h. */
int slopes_areas(struct grid_env *env, const struct area_list *areas, struct slopes_output *output,
                 struct err *ret_err);
void slopes_areas_finish(struct slopes_output *output);

/* NULL: no memory. */
json_t *slopes_results(const struct slopes_output *output);

int slopes_write_nc(const char *path, const struct slopes_output *output,
                    const char *manifest_sha256, struct err *ret_err);

#endif
