/* Lagrangian particles in a horizontally homogeneous boundary layer, for distances where a plume no
 * longer is Gaussian: Langevin equations with the profiles of Hanna (1982), well-mixed vertical
 * drift (Thomson 1987), reflection at ground and lid.
 *
 * dt is a tenth of the vertical time scale, at least 1 s and at most step_s_max. Random numbers are
 * counted from seed and particle, so any number of threads gives the same bits; no mass is lost.
 * Thread rule: pure on the caller's memory. */
#ifndef CANHBAO_MODELS_DISPERSION_PARTICLES_H
#define CANHBAO_MODELS_DISPERSION_PARTICLES_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct particles_air {
    double ustar_m_s;
    double obukhov_m;           /* not 0; beyond +-1e4 m neutral */
    double height_m;            /* of the boundary layer */
    double coriolis_s;          /* neutral profile; above 0 */
    double east_m_s, north_m_s; /* mean wind, the same at all heights */
};

struct turbulence {
    double sigma_m_s[3]; /* along, across, up */
    double time_s[3];    /* Lagrangian time scales */
    double gradient_s;   /* of the vertical deviation */
};

struct particle {
    double position_m[3]; /* east, north, up */
    double velocity[3];   /* turbulent part: along and across m/s, up in units of its deviation */
};

/* ERR_RANGE. */
int particles_turbulence(const struct particles_air *air, double z_m, struct turbulence *ret);

struct particles_options {
    double duration_s, step_s_max;
    uint64_t seed;
    int threads;
    const struct turbulence *homogeneous; /* instead of the profiles; NULL: the profiles */
};

/* Gives each particle a turbulent velocity of its place, then moves it. ERR_RANGE. */
int particles_move(const struct particles_air *air, const struct particles_options *options,
                   struct particle *particles, size_t count, uint64_t *ret_steps,
                   struct err *ret_err);

#endif
