/* Gaussian plumes and puffs: the concentration of a release in steady weather.
 *
 * Heights are above ground, x is downwind of the source, y across, all in metres; concentrations
 * have the unit of the rate or mass times s/m3 or 1/m3 (g/s gives g/m3). A lid of NaN is none.
 * Buildings, terrain and plume rise are not modelled.
 * Sources: Gaussian form with image sources (Hanna, Briggs, Hosker 1982, eq. 2.1 and 3.3); Briggs
 * (1973) curves, open country and urban; Golder (1972) classes from the Obukhov length as in
 * CALPUFF; Turner's table; near-surface releases after Venkatram et al. (2013), Atmos. Environ. 77,
 * with Irwin's fit to Pasquill's lateral spread.
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_DISPERSION_PLUME_H
#define CANHBAO_MODELS_DISPERSION_PLUME_H

#include "daemon/base/err.h"

enum plume_curves { PLUME_RURAL, PLUME_URBAN };
enum plume_class { PLUME_A, PLUME_B, PLUME_C, PLUME_D, PLUME_E, PLUME_F };

/* Standard deviations across and up at a distance. x_m above 0; the curves were drawn for 100 m to
 * 10 km and are continued outside. ERR_RANGE. */
int plume_sigma_briggs(enum plume_curves curves, enum plume_class stability, double x_m,
                       double *ret_sigma_y_m, double *ret_sigma_z_m);

/* The share of the mass in a column that a metre at z_m holds, in 1/m: its integral from the ground
 * to the lid is 1. Images of ground and lid; well mixed once sigma_z is above 1.6 lids. 0 above the
 * lid. Source height at or under the lid. */
double plume_vertical(double z_m, double height_m, double sigma_z_m, double lid_m);

/* Q / u times the lateral Gaussian times plume_vertical(). */
double plume_concentration(double rate, double wind_m_s, double sigma_y_m, double sigma_z_m,
                           double y_m, double z_m, double height_m, double lid_m);

/* A round puff, dx_m and dy_m from its centre. */
double puff_concentration(double mass, double sigma_xy_m, double sigma_z_m, double dx_m,
                          double dy_m, double z_m, double height_m, double lid_m);

/* Class from Obukhov length and roughness (held within 0.01 to 0.5 m); infinite L is D. ERR_RANGE
 * for L of 0 or NaN or z0 not above 0. */
int plume_class_golder(double obukhov_m, double z0_m, enum plume_class *ret_class);

/* A length in the middle of a class (of 1/L between the bounds of Golder; half the bound for A and
 * F, infinite for D), for what needs a length where only a class is known. z0 above 0. */
double plume_class_obukhov(enum plume_class stability, double z0_m);

/* Class from the 10 m wind and the sky (Turner's table, doubled entries to the more stable one). */
enum plume_sky {
    PLUME_SUN_STRONG,
    PLUME_SUN_MODERATE,
    PLUME_SUN_SLIGHT,
    PLUME_NIGHT_CLOUDY, /* 4/8 or more */
    PLUME_NIGHT_CLEAR,
};
int plume_class_turner(double wind_10m_m_s, enum plume_sky sky, enum plume_class *ret_class);

/* What a surface-layer tower knows. All finite, u*, wind, heights and sigma_theta above 0, L not 0
 * (infinite: neutral). */
struct plume_surface {
    double ustar_m_s;
    double obukhov_m;
    double z0_m;
    double wind_m_s;
    double wind_height_m;
    double sigma_theta_rad;
};

/* ERR_RANGE with the name of the quantity that cannot be. */
int plume_surface_check(const struct plume_surface *surface, struct err *ret_err);

/* Wind at a height from the profile of Monin and Obukhov, scaled to the measured wind. */
double plume_surface_wind(const struct plume_surface *surface, double z_m);

/* Friction velocity of the same profile; ustar and sigma_theta are not read. */
double plume_surface_ustar(const struct plume_surface *surface);

/* Spread and transport wind (at the mean height of the plume, iterated) of a near-surface release
 * at x_m > 0. ERR_RANGE when x_m is not above 0 or the iteration does not end. */
int plume_similarity(const struct plume_surface *surface, double height_m, double x_m,
                     double *ret_sigma_y_m, double *ret_sigma_z_m, double *ret_wind_m_s);

#endif
