#include "models/hydrology/crest.h"

#include <math.h>

int crest_check(const struct crest_parameters *parameters, struct err *ret_err) {
    const struct {
        const char *name;
        double value, min, max;
    } bounds[] = {
        {"WM", parameters->wm_mm, 0.1, 1e4}, {"B", parameters->b, 0, 100},
        {"IM", parameters->im, 0, 1},        {"KE", parameters->ke, 0, 10},
        {"FC", parameters->fc_mm_h, 0, 1e4},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        if (!(bounds[i].value >= bounds[i].min && bounds[i].value <= bounds[i].max)) {
            return err_set(ret_err, ERR_RANGE, "%s = %g is not within %g to %g", bounds[i].name,
                           bounds[i].value, bounds[i].min, bounds[i].max);
        }
    }
    return 0;
}

struct crest_flux crest_step(const struct crest_parameters *parameters, double dt_h, double rain_mm,
                             double potential_mm, double *water_mm) {
    struct crest_flux flux = {NAN, NAN, NAN};
    if (isnan(rain_mm) || isnan(potential_mm)) {
        return flux;
    }
    const double wm = parameters->wm_mm;
    const double water = *water_mm;
    const double demand = parameters->ke * potential_mm;
    const double net = rain_mm - demand;
    if (net <= 0) {
        double left = fmax(0, water + net * (water / wm));
        flux.evaporation_mm = rain_mm + (water - left);
        flux.overland_mm = 0;
        flux.interflow_mm = 0;
        *water_mm = left;
        return flux;
    }
    const double soil_rain = net * (1 - parameters->im);
    const double wmm = wm * (1 + parameters->b);
    /* 1 - A / Wmm, then after the rain 1 - (A + Ps) / Wmm: the share of the curve still dry. */
    double dry = water >= wm ? 0 : pow(1 - water / wm, 1 / (1 + parameters->b));
    double dry_after = dry - soil_rain / wmm;
    double filled = wm;
    if (dry_after > 0) {
        filled = wm * (1 - pow(dry_after, 1 + parameters->b));
        filled = filled < water ? water : filled; /* a shower below rounding */
        filled = fmin(filled, water + soil_rain);
    }
    double runoff = fmax(0, soil_rain - (filled - water));
    double capacity = parameters->fc_mm_h * dt_h * (water + filled) / (2 * wm);
    flux.interflow_mm = fmin(runoff, capacity);
    flux.overland_mm = runoff - flux.interflow_mm + net * parameters->im;
    flux.evaporation_mm = demand;
    *water_mm = filled;
    return flux;
}
