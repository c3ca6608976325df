/* Muskingum routing of one reach: linear, non-linear, and Muskingum-Cunge with parameters that
 * follow the flow and mass that is kept.
 *
 * Missing inflow (NaN) gives a missing outflow; the reach starts again from a steady flow with the
 * next known inflow, and `ret_recovering` (may be NULL) is true until the water that was assumed
 * then has left: for 3 K (linear, non-linear) or three times the travel time (Cunge).
 *
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_MUSKINGUM_H
#define CANHBAO_MODELS_HYDROLOGY_MUSKINGUM_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

/* Linear: S = K [X I + (1 - X) O] (McCarthy 1938; Wilson 1974). The outflow starts at the first
 * inflow. ERR_RANGE when X is not within 0 to 0.5 or the step longer than 2 K (1 - X). A step below
 * 2 K X lets the outflow dip at the foot of a rise; what falls below 0 there is shown as 0. */
int muskingum_linear(double k_h, double x, double dt_h, const double *inflow_m3_s, size_t count,
                     double *ret_outflow_m3_s, bool *ret_recovering, struct err *ret_err);

/* Non-linear: S = K [X I + (1 - X) O]^m (Gill 1978), explicit Euler as in the published fits to
 * Wilson's flood (Tung 1985): dS(t - 1) from S(t - 1) and I(t - 1), then O(t) from S(t) and I(t -
 * 1). Outflow is cut at 0. */
int muskingum_nonlinear(double k, double x, double m, double dt_h, const double *inflow_m3_s,
                        size_t count, double *ret_outflow_m3_s, bool *ret_recovering,
                        struct err *ret_err);

/* A reach of a wide rectangular channel with Manning friction. */
struct cunge_reach {
    double length_m;
    double width_m;
    double slope;
    double manning;
};

/* Variable-parameter Muskingum-Cunge, Todini 2007 (Hydrol. Earth Syst. Sci. 11): Courant and
 * Reynolds numbers corrected so that the storage closes. The reach is cut into equal pieces so that
 * no weight is negative at the mean inflow (at most CUNGE_PIECES_MAX). *ret_residual_m3 (may be
 * NULL) is inflow - outflow - change of storage, over the known steps. */
enum { CUNGE_PIECES_MAX = 1000 };
int muskingum_cunge(const struct cunge_reach *reach, double dt_s, const double *inflow_m3_s,
                    size_t count, double *ret_outflow_m3_s, bool *ret_recovering,
                    double *ret_residual_m3, struct err *ret_err);

/* The same, step by step, for a model that keeps its state: the pieces are chosen for one flow and
 * stay. `pieces` are the caller's, channel.pieces of them; plain data, to be copied and saved. */
struct cunge_piece {
    double inflow; /* of the newest step, m3/s */
    double outflow;
    double storage; /* m3 */
};
struct cunge {
    struct cunge_reach reach;
    double dt_s;
    int pieces; /* at most CUNGE_PIECES_MAX */
    double piece_m;
};

/* ERR_RANGE as above. */
int cunge_init(const struct cunge_reach *reach, double dt_s, double flow_m3_s,
               struct cunge *ret_cunge, struct err *ret_err);
/* A steady flow. */
void cunge_start(const struct cunge *cunge, double flow_m3_s, struct cunge_piece *ret_pieces);
/* Returns the outflow of the step, m3/s; inflow >= 0. */
double cunge_step(const struct cunge *cunge, double inflow_m3_s, struct cunge_piece *pieces);
/* How long a wave takes at a flow, s. */
double cunge_travel_s(const struct cunge *cunge, double flow_m3_s);

#endif
