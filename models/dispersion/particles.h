/* Lagrangian particles in the boundary layer, for distances where a plume no longer is Gaussian:
 * Langevin equations with the profiles of Hanna (1982), well-mixed vertical drift (Thomson 1987),
 * reflection at ground and lid. In stable air the horizontal deviations are at least 0.2 m/s and
 * their time scales 300 s, for the slow meandering that Hanna's profiles do not have. What is above
 * the lid drifts with the wind until the lid rises over it.
 *
 * dt is a tenth of the vertical time scale, at least 1 s and at most step_s_max. Random numbers are
 * counted from seed and particle, so any number of threads gives the same bits; no mass is lost.
 * Thread rule: pure on the caller's memory. */
#ifndef CANHBAO_MODELS_DISPERSION_PARTICLES_H
#define CANHBAO_MODELS_DISPERSION_PARTICLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct particles_air {
    double ustar_m_s;
    double obukhov_m;           /* not 0; beyond +-1e4 m neutral */
    double height_m;            /* of the boundary layer */
    double coriolis_s;          /* neutral profile; above 0 */
    double east_m_s, north_m_s; /* mean wind at wind_height_m */
    /* Its profile is that of plume_surface_wind() up to 200 m; a height of 0: the same at all
     * heights. */
    double wind_height_m, z0_m;
    double lateral_m_s; /* measured deviation of the horizontal wind: at least so; 0: not known */
};

struct turbulence {
    double sigma_m_s[3]; /* along, across, up */
    double time_s[3];    /* Lagrangian time scales */
    double gradient_s;   /* of the vertical deviation */
};

struct particle {
    double position_m[3]; /* east, north, up */
    double velocity[3];   /* turbulent part: along and across m/s, up in units of its deviation */
    double later_s;       /* until it is released; it does not move before */
    bool moving;          /* has a velocity; false: gets one of its place when it is released */
};

/* ERR_RANGE. */
int particles_turbulence(const struct particles_air *air, double z_m, struct turbulence *ret);

struct particles_options {
    double duration_s, step_s_max;
    uint64_t seed;
    int threads;
    const struct turbulence *homogeneous; /* instead of the profiles; NULL: the profiles */
};

/* One air for all (air_count 1) or one for each particle (air_count = count). Successive calls need
 * other seeds. ERR_RANGE. */
int particles_move(const struct particles_air *air, size_t air_count,
                   const struct particles_options *options, struct particle *particles,
                   size_t count, uint64_t *ret_steps, struct err *ret_err);

#endif
