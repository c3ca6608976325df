/* The static side of a distributed run: drainage grid to network, reaches, areas and stores, and
 * the way from the cells of a forcing grid to the places of the network.
 *
 * Reaches: length of the step to the next cell, slope of the elevation along it (not below
 * CREST_SLOPE_MIN), width = width_1km2_m (drained km2)^0.4 (hydraulic geometry, Leopold and Maddock
 * 1953, as a single site-wide curve), one Manning n.
 * Thread rule: read-only once made, but for its `crest`. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CREST_DOMAIN_H
#define CANHBAO_MODELS_HYDROLOGY_CREST_DOMAIN_H

#include "models/grid/ncfile.h"
#include "models/hydrology/crest_grid.h"

#define CREST_SLOPE_MIN 1e-4

struct crest_domain_options {
    const char *path;      /* as `terrain` writes it */
    const char *d8;        /* name of the flow direction, ESRI codes */
    const char *elevation; /* in m */
    double width_1km2_m;
    double manning;
    struct crest_parameters parameters; /* of every cell */
    double interflow_h;                 /* 0: interflow is not kept back */
    double start_share;                 /* soil stores at the start, of WM */
};

struct crest_domain {
    struct grid *grid;
    int32_t *cell_of_grid; /* [rows * columns] from north to south; -1 outside */
    struct network *network;
    struct crest_parameters *parameters; /* [place] */
    double *area_m2;                     /* [place] */
    double *drained_km2;                 /* [place] */
    struct crest_grid crest;
};

/* ERR_INVALID, ERR_RANGE, ERR_MEMORY and those of the grid layer; the text names file and variable.
 */
int crest_domain_create(struct grid_env *env, const struct crest_domain_options *options,
                        struct crest_domain **ret_domain, struct err *ret_err);
/* Takes NULL. Returns NULL. */
struct crest_domain *crest_domain_destroy(struct crest_domain *domain);

/* The place of the cell that holds a point in the grid's own coordinates. ERR_RANGE: outside. */
int crest_domain_place(const struct crest_domain *domain, double x, double y, size_t *ret_place,
                       struct err *ret_err);

/* For each place the index of the forcing cell that holds its centre. ERR_INVALID: a cell lies
 * outside the forcing, or one of the grids is curvilinear, or one is in degrees and the other not.
 */
int crest_domain_map(const struct crest_domain *domain, const struct grid *forcing,
                     size_t *ret_index, struct err *ret_err);

/* All water, m3: soil, interflow and channels. */
double crest_domain_stored_m3(const struct crest_domain *domain);

#endif
