/* First guesses of GR parameters for basins without (enough) discharge: from the parameter sets of
 * donors, which are neighbours that were calibrated, or generalist sets (Andreassian et al. 2014).
 *
 * Between steps: Q of the routing store goes with R^5 / X3^4 and the exchange with X2 (R / X3)^3.5,
 * so that the same water per day needs X3 24^(1/4) and X2 24^(-1/8) times as large with hourly
 * steps; X4 counts steps, X1 stays (Le Moine 2008 found the same exponents; the fluxes agree only
 * for slow changes, so it is a guess). Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_REGIONAL_H
#define CANHBAO_MODELS_HYDROLOGY_REGIONAL_H

#include "models/hydrology/calibrate.h"

enum { REGIONAL_DONORS_MAX = 1000, REGIONAL_PAIRS_MIN = 10 };

/* GR4J to GR4H. */
struct gr_parameters regional_hourly(const struct gr_parameters *daily);

/* Each parameter's median over the donors. count 1 to REGIONAL_DONORS_MAX. */
struct gr_parameters regional_median(const struct gr_parameters *donors, size_t count);

/* The donor whose simulation fits a few observations best: least sum of squared differences of the
 * square roots (so that no single flood decides). `from`: steps before it warm up. ret_score is 1 -
 * that sum over that of the mean of the observed roots. ERR_INVALID: fewer than REGIONAL_PAIRS_MIN
 * observations. */
int regional_best(const struct calibrate_data *data, const struct gr_parameters *donors,
                  size_t count, size_t from, size_t *ret_donor, double *ret_score,
                  size_t *ret_pairs, struct err *ret_err);

/* Regionalisation by the water balance and by averaging outputs (Oudin et al. 2008 found physical
 * similarity and averaged hydrographs of 4 to 7 donors better than averaged parameters): of all
 * donors, run with the climate of the basin, the REGIONAL_SIMILAR whose mean runoff is nearest to
 * the expected one in the logarithm; then one parameter set whose runoff fits the mean of theirs.
 */
enum { REGIONAL_SIMILAR = 5, REGIONAL_DAYS_MIN = 365 };
struct regional_similar {
    struct gr_parameters parameters;
    double runoff_mm_year;                        /* expected */
    size_t donors[REGIONAL_SIMILAR], donor_count; /* nearest first */
    double fit_nse; /* of the runoff of `parameters` against the mean of the donors'; 1 for one */
};

/* runoff_mm_year NaN: from rain and potential evaporation (Turc 1954, Mezentsev 1955),
 * P - P / sqrt(1 + (P / E)^2). data->observed_mm is not looked at; `from`: steps before it warm up.
 * ERR_INVALID: fewer than REGIONAL_DAYS_MIN days known after it, or no rain or runoff in them. */
int regional_similar(const struct calibrate_data *data, const struct gr_parameters *donors,
                     size_t count, size_t from, double runoff_mm_year,
                     struct regional_similar *ret_similar, struct err *ret_err);

#endif
