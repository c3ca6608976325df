/* Readings of a trace as a CSV file: places, times and concentrations, made one value a sensor.
 *
 * Columns: x_east_m, y_north_m; one of conc_mg_m3, conc_ug_m3, conc_ppm, conc_ppb (the last two
 * with a molar mass, temperature and pressure; a name without a unit is refused); z_m or
 * receptor_height_m (1.5 m without); time (UTC; rows of one place are then averaged from the first
 * row of any place above the detection limit on). Thread rule: pure. */
#ifndef CANHBAO_MODELS_DISPERSION_READINGS_H
#define CANHBAO_MODELS_DISPERSION_READINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/dispersion/trace.h"

struct readings_air { /* NaN: not told */
    double molar_mass_g_mol, temperature_c, pressure_hpa;
};

struct readings {
    size_t count;
    struct trace_sensor *sensors; /* mg/m3 */
    int64_t *seen_us;             /* first reading above the detection limit; 0: none or no times */
    bool timed;
    double detection_mg_m3;
};

/* detection_mg_m3 of 0: the smaller of 0.1 mg/m3 and 5 % of the largest. ERR_IO, ERR_SYNTAX,
 * ERR_NOT_FOUND, ERR_INVALID, ERR_RANGE, ERR_LIMIT, ERR_MEMORY. */
int readings_read(const char *path, const struct readings_air *air, double detection_mg_m3,
                  struct readings *ret_readings, struct err *ret_err);
void readings_finish(struct readings *readings);

#endif
