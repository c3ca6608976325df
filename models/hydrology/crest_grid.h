/* Distributed rainfall-runoff: a CREST balance in every cell of a D8 network, its runoff routed by
 * the kinematic wave. Overland flow enters the cell's own reach at once, interflow through a linear
 * store of the cell (V' = I - V / K, solved exactly over the step), or at once without one.
 *
 * A cell whose rain or evaporation is missing keeps its store and makes its reach and everything
 * below unknown (see kinematic.h); its store is behind by the water of the gap until rain or drying
 * evens that out, which the caller has to mark.
 *
 * Thread rule: one thread at a time per grid; crest_grid_step() makes its own. The result does not
 * depend on their number. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CREST_GRID_H
#define CANHBAO_MODELS_HYDROLOGY_CREST_GRID_H

#include "models/hydrology/crest.h"
#include "models/hydrology/kinematic.h"

/* All arrays by place of the network. */
struct crest_grid {
    struct kinematic *kinematic;
    const struct crest_parameters *parameters;
    const double *area_m2;
    double *water_mm;       /* the soil stores */
    double *interflow_mm;   /* interflow on its way; NULL: none is kept back */
    double interflow_h;     /* K, > 0 with interflow_mm */
    double *lateral_m3_s;   /* room for one number a place; afterwards the inflow of the step */
    double *evaporation_mm; /* room; afterwards the actual evaporation of the step */
};

/* One step of dt_s seconds. Rain and potential evaporation in mm per step, NaN for missing. */
void crest_grid_step(struct crest_grid *grid, double dt_s, const double *rain_mm,
                     const double *potential_mm, int threads);

#endif
