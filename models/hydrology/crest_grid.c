#include "models/hydrology/crest_grid.h"

#include <math.h>

#include "models/nowcast/parallel.h"

struct step {
    struct crest_grid *grid;
    const double *rain_mm;
    const double *potential_mm;
    struct kinematic_input input;
};

static void balance_range(const struct step *step, size_t from, size_t to) {
    struct crest_grid *grid = step->grid;
    double dt_h = step->input.dt_s / 3600;
    double released = grid->interflow_mm != NULL ? -expm1(-dt_h / grid->interflow_h) : 1;
    for (size_t p = from; p < to; p++) {
        struct crest_flux flux = crest_step(&grid->parameters[p], dt_h, step->rain_mm[p],
                                            step->potential_mm[p], &grid->water_mm[p]);
        grid->evaporation_mm[p] = flux.evaporation_mm;
        double slow_mm = flux.interflow_mm;
        if (grid->interflow_mm != NULL && !isnan(slow_mm)) {
            double stored_mm = grid->interflow_mm[p] + slow_mm;
            slow_mm = stored_mm * released;
            grid->interflow_mm[p] = stored_mm - slow_mm;
        }
        grid->lateral_m3_s[p] =
            (flux.overland_mm + slow_mm) * 1e-3 * grid->area_m2[p] / step->input.dt_s;
    }
}

static void balance_rows(void *context, int part, int begin, int end) {
    (void)part;
    balance_range(context, (size_t)begin, (size_t)end);
}

static void route_parts(void *context, int part, int begin, int end) {
    (void)part;
    const struct step *step = context;
    const struct network *network = step->grid->kinematic->network;
    for (int k = begin; k < end; k++) {
        kinematic_step_range(step->grid->kinematic, &step->input, (size_t)network->part[k],
                             (size_t)network->part[k + 1]);
    }
}

void crest_grid_step(struct crest_grid *grid, double dt_s, const double *rain_mm,
                     const double *potential_mm, int threads) {
    const struct network *network = grid->kinematic->network;
    struct step step = {grid, rain_mm, potential_mm, {dt_s, grid->lateral_m3_s, NULL, NULL}};
    parallel_rows(threads, (int)network->count, balance_rows, &step);
    kinematic_begin(grid->kinematic, &step.input);
    if (network->part_count > 0) {
        parallel_rows(threads, (int)network->part_count, route_parts, &step);
    }
    kinematic_step_range(grid->kinematic, &step.input, (size_t)network->part[network->part_count],
                         network->count);
}
