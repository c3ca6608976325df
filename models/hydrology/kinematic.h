/* Kinematic wave on a drainage network, implicit and in finite-volume form.
 *
 * Per reach of length dx: dV/dt = sum Q_in + q_lat - Q_out, V = dx alpha Q^0.6 (Manning in a wide
 * channel, alpha = (n P^(2/3) / sqrt(S))^0.6). Implicit Euler leaves one increasing equation a
 * reach; with Q = y^5 it is the polynomial dt y^5 + dx alpha y^3 = V + inflow dt, which Newton's
 * method solves without a power function. Then V is set from the balance, so that mass is conserved
 * to the rounding of the sums at any step length. (Chow, Maidment, Mays 1988, section 9.6, in
 * finite-volume form; EF5's form per unit width creates water on D8 grids.)
 *
 * Missing lateral inflow or release (NaN) makes the outflow of the reach and of everything below it
 * unknown (NaN, mark KINEMATIC_MISSING). When all inflow is known again the reach starts from the
 * steady flow and is KINEMATIC_RECOVERING, with everything below it, until three times the water
 * that was assumed has flowed out. The water of the gap is not in the balance.
 *
 * A reservoir is a reach whose outflow is given (a gauge, a schedule): its volume is what came in
 * less what was released, and may go below zero when they disagree; nothing is made up.
 *
 * Thread rule: one thread at a time per range of places; the subtrees of the network may be done by
 * different threads, the trunk after them (parallel.h). The result does not depend on that. */
#ifndef CANHBAO_MODELS_HYDROLOGY_KINEMATIC_H
#define CANHBAO_MODELS_HYDROLOGY_KINEMATIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/hydrology/network.h"

struct kinematic_reach {
    double length_m; /* > 0 */
    double width_m;  /* wetted perimeter of the wide channel, > 0 */
    double slope;    /* m/m, > 0 */
    double manning;  /* n, s m^-1/3, > 0 */
};

struct kinematic {
    const struct network *network;
    double *storage; /* [place] dx alpha: V = storage Q^0.6 */
    double *volume_m3;
    double *outflow_m3_s;
    double *root;       /* outflow^(1/5), where Newton starts next time */
    double *assumed_m3; /* still to flow out before a restarted reach is known again */
    uint8_t *mark;      /* enum kinematic_mark */
    bool degraded;      /* some mark is not KINEMATIC_OK */
};

enum kinematic_mark { KINEMATIC_OK, KINEMATIC_MISSING, KINEMATIC_RECOVERING };

/* `reaches` in the caller's order. The network must outlive the result. ERR_RANGE names the reach.
 */
int kinematic_create(const struct network *network, const struct kinematic_reach *reaches,
                     struct kinematic **ret_kinematic, struct err *ret_err);
struct kinematic *kinematic_destroy(struct kinematic *kinematic);

/* Sets every volume to that of a steady flow, in the caller's order. NaN makes a reach unknown. */
void kinematic_set_flow(struct kinematic *kinematic, const double *outflow_m3_s);

/* Orders of values: by cell as the caller numbers them, by place as the network works. */
void kinematic_to_places(const struct network *network, const double *by_cell,
                         double *ret_by_place);
void kinematic_to_cells(const struct network *network, const double *by_place, double *ret_by_cell);

/* What happens in a step of dt_s seconds, by place. lateral >= 0, NaN for unknown. `is_reservoir`
 * (NULL for none) tells whose outflow is `release_m3_s`. */
struct kinematic_input {
    double dt_s;
    const double *lateral_m3_s;
    const bool *is_reservoir;
    const double *release_m3_s;
};

void kinematic_step(struct kinematic *kinematic, const struct kinematic_input *input);

/* The same in pieces, for threads: begin once, then every part of the network in any order, then
 * the trunk (places from network->part[part_count] on). */
void kinematic_begin(struct kinematic *kinematic, const struct kinematic_input *input);
void kinematic_step_range(struct kinematic *kinematic, const struct kinematic_input *input,
                          size_t from, size_t to);

/* Sums over all reaches; NaN when one is unknown. */
double kinematic_stored_m3(const struct kinematic *kinematic);
double kinematic_outlet_m3_s(const struct kinematic *kinematic);

#endif
