/* GR4J and GR4H: rain and potential evaporation of a catchment to runoff, in mm per step.
 *
 * Perrin, Michel, Andreassian 2003, J. Hydrol. 279 (GR4J); Mathevet 2005, Ficchi 2017 (GR4H: the
 * same equations, another percolation constant and S-curve exponent). All depths are means over the
 * catchment.
 *
 * A missing rain or evaporation (NaN) gives a missing runoff and leaves the state as it was; what
 * to do with the lost step is the caller's decision (gr_series.h has one).
 *
 * Thread rule: struct gr is read-only after gr_init(); each state belongs to one thread at a time.
 * The result depends only on the arguments: no libm function with a machine-dependent last bit is
 * called in a step. */
#ifndef CANHBAO_MODELS_HYDROLOGY_GR_H
#define CANHBAO_MODELS_HYDROLOGY_GR_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

enum gr_step_length { GR_DAILY, GR_HOURLY };
/* GR_UH_ROOM zeros follow the ordinates in use, for the blocks in which a step works. */
enum { GR_UH1_MAX = 480, GR_UH2_MAX = 960, GR_UH_ROOM = 4 };

struct gr_parameters {
    double x1_mm; /* capacity of the production store, > 0 */
    double x2_mm; /* exchange with the ground water per step; negative loses water */
    double x3_mm; /* capacity of the routing store, > 0 */
    double x4;    /* base of the first unit hydrograph in steps, 0.5 to 20 (d) or 480 (h) */
};

struct gr {
    struct gr_parameters parameters;
    enum gr_step_length step;
    double percolation; /* (9/4)^4 or (21/4)^4 */
    double per_x1;      /* reciprocals, because divisions are what a step waits for */
    double per_x3;
    double per_percolation;
    double split9; /* 0.9, or the single-precision 0.9 */
    double split1;
    int n1; /* ordinates in use */
    int n2;
    double uh1[GR_UH1_MAX + GR_UH_ROOM]; /* shares, sum 1 */
    double uh2[GR_UH2_MAX + GR_UH_ROOM];
};

struct gr_state {
    double production_mm;
    double routing_mm;
    double uh1_mm[GR_UH1_MAX + GR_UH_ROOM]; /* water on its way; [0] leaves with the next step */
    double uh2_mm[GR_UH2_MAX + GR_UH_ROOM];
};

/* The water of one step, mm: p - evaporation + exchange - runoff = change of gr_stored_mm(). */
struct gr_flux {
    double evaporation_mm; /* actual */
    double exchange_mm;    /* actual, both branches, gain positive */
    double runoff_mm;
    double routed_mm; /* from the routing store */
    double direct_mm; /* past the routing store; runoff = routed + direct */
};

/* `compat_split` takes the single-precision 0.9 of the airGR package, for comparison to 1e-9.
 * ERR_RANGE when a parameter is outside its range or not finite. */
int gr_init(struct gr *ret_gr, enum gr_step_length step, const struct gr_parameters *parameters,
            bool compat_split, struct err *ret_err);

/* The conventional start: 0.3 X1, 0.5 X3, nothing on its way. A warm-up has to follow. */
void gr_state_start(const struct gr *gr, struct gr_state *ret_state);
/* Copies what this model uses of a state. */
void gr_state_copy(const struct gr *gr, struct gr_state *ret_state, const struct gr_state *state);

/* One step. Returns the runoff in mm, NaN (state and flux untouched) when an input is NaN.
 * ret_flux may be NULL. */
double gr_step(const struct gr *gr, struct gr_state *state, double rain_mm, double evaporation_mm,
               struct gr_flux *ret_flux);
/* `count` steps. */
void gr_run(const struct gr *gr, struct gr_state *state, const double *rain_mm,
            const double *evaporation_mm, size_t count, double *ret_runoff_mm);

/* One of many basins: what gr_run() is given. */
struct gr_job {
    const struct gr *gr;
    struct gr_state *state;
    const double *rain_mm, *evaporation_mm; /* [count] */
    double *runoff_mm;                      /* [count] */
};
/* The same for many basins of one step length at once, two to a vector and two vectors side by
 * side, which hides the latency of divisions and roots. The same bits as gr_run() for each, however
 * many there are and in whatever order; no two jobs share a state. */
void gr_run_many(const struct gr_job *jobs, size_t job_count, size_t count);

/* All water of the state, mm. */
double gr_stored_mm(const struct gr *gr, const struct gr_state *state);

#endif
