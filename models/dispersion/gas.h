/* Gases: molar masses, and ppm to mg/m3 with the temperature and pressure of the air.
 *
 * Thread rule: pure functions and constant data. */
#ifndef CANHBAO_MODELS_DISPERSION_GAS_H
#define CANHBAO_MODELS_DISPERSION_GAS_H

#include "daemon/base/err.h"

struct gas {
    const char *name; /* as in the AEGL table: "Cl2" */
    double molar_mass_g_mol;
};

/* NULL when not in the table. Case matters: "CO" is a gas, "Co" a metal. */
const struct gas *gas_find(const char *name);

/* mg/m3 of one ppm by volume (ideal gas). ERR_RANGE: temperature outside -60 to 60 degC, pressure
 * outside 500 to 1100 hPa, a molar mass outside 1 to 500 g/mol. */
int gas_mg_m3_per_ppm(double molar_mass_g_mol, double temperature_c, double pressure_hpa,
                      double *ret_factor);

#endif
