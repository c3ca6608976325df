/* A release far away: Lagrangian particles (models/dispersion/particles.h) in a wind that changes
 * in time and place, and what receptors get from them.
 *
 * Every particle takes wind, friction velocity u, Obukhov length L and mixing height of where it
 * is, anew every step (at most 60 s). What the weather does not tell: u from the wind profile, L
 * from the class (plume_class_obukhov), the mixing height 0.2 u over f when neutral (100 to 1500
 * m), 0.4 times the root of u times L over f when stable (50 to 800 m), 1000 m when unstable; f is
 * the Coriolis parameter. Wind of less than 0.5 m/s is refused where it is one of a station (it has
 * no direction); in a field it is taken as it is.
 *
 * Receptors see particles through a kernel: across, of a radius that grows with the spread of the
 * particle on its own way (its deviation is 0.3 of the spread); up, 0.05 of the mixing height, at
 * least 10 m, reflected at ground and lid. Dry deposition takes from what is in the lowest 20 m,
 * rain from all below the lid, decay from all. A particle is done with beyond the farthest
 * receptor.
 *
 * Random numbers are counted; sums are made in a fixed order: the same bits with any number of
 * threads. The statistical error is the scatter of 16 parts of the particles. Thread rule: one
 * call, one caller. */
#ifndef CANHBAO_MODELS_DISPERSION_FAR_H
#define CANHBAO_MODELS_DISPERSION_FAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/dispersion/puff.h"
#include "models/dispersion/weather.h"

enum { FAR_PARTICLES_MIN = 160, FAR_PARTICLES_MAX = 2000000 };
#define FAR_BEYOND_M 10000.0 /* the curves of plumes and puffs were drawn up to here */

struct far_options {
    size_t particles;
    uint64_t seed;
    int threads;
    double latitude_deg; /* for the Coriolis parameter; NaN: 1e-4 1/s */
};
extern const struct far_options far_options_default; /* 10,000, 1, 1, NaN */

/* Where the released mass is at the end; the five add up to the first. */
struct far_mass {
    double released, air, deposited, decayed;
    double done; /* in particles that were done with */
    double gone; /* in particles that left the wind field */
};

/* Fills the results of the receptors as puff_run() does, and ret_error[count]: the standard error
 * of the time integral in units of it (NaN: no particle came by).
 *
 * steady_us: NULL: the release as told, over its duration, in weather that changes. Else the
 * weather of that moment stands for ever and the release is of 1 s: the time integral is then the
 * concentration of a steady release.
 *
 * ERR_STALE: the weather ends while more than 1 % of the mass is still on its way (with reach_m of
 * the release: no error); ERR_NOT_FOUND: more than 1 % leave the wind field before they are done
 * with, or the weather tells no stability; ERR_RANGE, ERR_LIMIT, ERR_MEMORY. */
int far_run(const struct puff_release *release, const struct weather *weather, double hold_s,
            const int64_t *steady_us, const struct far_options *options,
            struct puff_receptor *receptors, size_t count, double *ret_error,
            struct far_mass *ret_mass, struct err *ret_err);

#endif
