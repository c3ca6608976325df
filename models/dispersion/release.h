/* A release as a YAML file: one mapping of the keys below, strict (unknown or doubled keys, other
 * units, numbers out of bounds and decimal commas are refused with file:line:column).
 *
 *   substance: name            told in the output (optional)
 *   nuclide: Cs-137            a name of the nuclide table: rates and results are then in Bq
 *   x_east_m, y_north_m        place, m (0 without)
 *   latitude_deg, longitude_deg  of the point x = 0, y = 0 (both, for maps and wind on maps)
 *   release_height_m           height above ground, m
 *   Q_g_s | Q_Bq_s             rate, or mass_g | activity_Bq with duration_s
 *   start: RFC 3339, UTC       needed with duration_s and weather that has times
 *   duration_s                 without: a continuous release
 *   curves: rural | urban      Briggs' curves (rural without)
 *   method: auto | similarity | briggs
 *   dry_velocity_m_s           deposition (nuclides: from their kind; else 0)
 *   gas_density_kg_m3, air_density_kg_m3   both, for the dense-gas criterion
 *   gas_temperature_c, air_temperature_c   both, for a gas that is cold as it leaves
 * Thread rule: pure. */
#ifndef CANHBAO_MODELS_DISPERSION_RELEASE_H
#define CANHBAO_MODELS_DISPERSION_RELEASE_H

#include <stdbool.h>

#include "daemon/base/err.h"
#include "models/dispersion/puff.h"
#include "models/dispersion/weather_field.h"

struct release {
    char substance[64];
    const struct nuclide *nuclide; /* NULL: a chemical */
    bool continuous;
    bool started; /* has a start */
    struct puff_release puff;
    double gas_density_kg_m3, air_density_kg_m3; /* NaN: not told */
    double gas_temperature_k, air_temperature_k; /* equal when not told */
    struct weather_origin origin;                /* of x = 0, y = 0; NaN: not told */
};

/* ERR_IO, ERR_SYNTAX, ERR_RANGE, ERR_INVALID, ERR_NOT_FOUND. */
int release_read(const char *path, struct release *ret_release, struct err *ret_err);

/* Britter and McQuaid (1988): whether a continuous release of rate_kg_s is dense, that is
 * (g0' q0 / D)^(1/3) / u above 0.15 with D = (q0 / u)^(1/2). Not heavier than air is never dense.
 * ERR_RANGE. */
int release_is_dense(double rate_kg_s, double gas_density_kg_m3, double air_density_kg_m3,
                     double wind_m_s, bool *ret_dense);

/* Whether a release could be dense at all: a chemical that tells its densities, near the ground. */
bool release_may_be_dense(const struct release *release);

/* The same for a continuous release that tells its densities; never dense without them, at a height
 * or for a nuclide. */
int release_dense_in(const struct release *release, double wind_m_s, bool *ret_dense);

#endif
