#include "models/dispersion/gas.h"

#include <stddef.h>
#include <string.h>

#define GAS_J_MOL_K 8.31446261815324
#define ZERO_C_K    273.15

static const struct gas gases[] = {
    {"Cl2", 70.906}, {"NH3", 17.031},  {"H2S", 34.08},  {"SO2", 64.064},
    {"HCl", 36.461}, {"HF", 20.006},   {"CO", 28.01},   {"C6H6", 78.11},
    {"MIC", 57.05},  {"COCl2", 98.92}, {"NO2", 46.006}, {"O3", 47.998},
};

const struct gas *gas_find(const char *name) {
    for (size_t i = 0; i < sizeof gases / sizeof *gases; i++) {
        if (strcmp(gases[i].name, name) == 0) {
            return &gases[i];
        }
    }
    return NULL;
}

int gas_mg_m3_per_ppm(double molar_mass_g_mol, double temperature_c, double pressure_hpa,
                      double *ret_factor) {
    if (!(molar_mass_g_mol >= 1 && molar_mass_g_mol <= 500) ||
        !(temperature_c >= -60 && temperature_c <= 60) ||
        !(pressure_hpa >= 500 && pressure_hpa <= 1100)) {
        return ERR_RANGE;
    }
    double mol_m3 = pressure_hpa * 100 / (GAS_J_MOL_K * (temperature_c + ZERO_C_K));
    *ret_factor = 1e-6 * mol_m3 * molar_mass_g_mol * 1e3;
    return 0;
}
