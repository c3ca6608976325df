/* A release of finite duration as puffs in a wind that changes in time.
 *
 * A puff leaves the source every step and carries its share; within a step it moves straight, and
 * what a receptor gets is the exact mean over the step, so that in a steady wind the puffs add up
 * to the plume whatever the step. Spread grows with the distance travelled; when the weather
 * changes, through the virtual distance that gives the present spread in the new weather. Dry
 * deposition depletes by vd times the concentration at the ground, rain by the washout coefficient,
 * decay by the half-life. Thread rule: pure function; one call, one thread. */
#ifndef CANHBAO_MODELS_DISPERSION_PUFF_H
#define CANHBAO_MODELS_DISPERSION_PUFF_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/dispersion/weather.h"
#include "models/radiation/decay.h"

enum { PUFF_RECEPTORS_MAX = 200000, PUFF_STEPS_MAX = 20000 };
#define PUFF_CELLS_MAX ((size_t)40000000) /* receptors times steps */

struct puff_release {
    double x_m, y_m, height_m;
    double rate; /* a second: g or Bq */
    int64_t start_utc_us;
    double duration_s;
    enum weather_method method;
    enum plume_curves curves;
    double half_life_s; /* INFINITY: stable */
    double dry_velocity_m_s;
    double washout_a, washout_b; /* 1/s = a R^b; a of 0: none */
    double step_s;               /* longest step; 0: from the nearest receptor */
    double reach_m; /* puffs are done with so far from the source, and where the weather ends; 0:
                     * beyond the farthest receptor, and weather that ends before is refused */
};

struct puff_receptor {
    double x_m, y_m, z_m;
    /* Results: */
    double max;       /* largest mean over a step, per m3 */
    double tic;       /* time integral, s per m3 */
    double arrival_s; /* after the start: begin of the first step with 1 % of max; NaN: never */
    double last_s;    /* end of the last such step */
    double deposit;   /* per m2; NaN when rain is not known and would matter */
};

/* Results (but the deposit) from means[steps] over steps of step_s. */
void puff_tell(struct puff_receptor *receptor, const double *means, size_t steps, double step_s);

/* Fills the results; at most hold_s beyond the rows of the weather. ERR_STALE, ERR_RANGE,
 * ERR_LIMIT, ERR_MEMORY, ERR_NOT_FOUND as weather_at() and weather_air(). */
int puff_run(const struct puff_release *release, const struct weather *weather, double hold_s,
             struct puff_receptor *receptors, size_t count, struct err *ret_err);

#endif
