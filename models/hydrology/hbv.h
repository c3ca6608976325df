/* HBV-96 of one catchment (Lindstroem et al. 1997, J. Hydrol. 201), for sites with snow.
 *
 * Depths in mm per step; the rate parameters are per day and scaled by the step. Missing rain,
 * evaporation or temperature (NaN): runoff NaN, the state stays as it was.
 * Thread rule: struct hbv is read-only after hbv_init(); a state belongs to one thread. */
#ifndef CANHBAO_MODELS_HYDROLOGY_HBV_H
#define CANHBAO_MODELS_HYDROLOGY_HBV_H

#include "daemon/base/err.h"

enum { HBV_ROUTE_MAX = 400 };

struct hbv_parameters {
    double tt_c;           /* rain or snow, -1.5 to 2.5 */
    double cfmax_mm_k_day; /* degree-day factor, 1 to 8 */
    double cfr;            /* refreezing, about 0.05 */
    double cwh;            /* water that the pack holds, about 0.1 */
    double fc_mm;          /* soil capacity, 50 to 700 */
    double beta;           /* 1 to 6 */
    double lp;             /* share of fc above which evaporation is potential, 0.3 to 1 */
    double k0_day;         /* 0.05 to 0.5 */
    double k1_day;         /* 0.01 to 0.3 */
    double k2_day;         /* 0.001 to 0.1 */
    double uzl_mm;         /* 0 to 100 */
    double perc_mm_day;    /* 0 to 6 */
    double maxbas_day;     /* base of the triangular weights, 1 to 7 */
};

struct hbv {
    struct hbv_parameters parameters;
    double dt_day;
    int n;
    double weight[HBV_ROUTE_MAX];
};

struct hbv_state {
    double pack_mm;
    double liquid_mm; /* in the pack */
    double soil_mm;
    double upper_mm;
    double lower_mm;
    double route_mm[HBV_ROUTE_MAX];
};

struct hbv_flux {
    double evaporation_mm;
    double runoff_mm;
};

/* dt_h 1 to 24. ERR_RANGE names the parameter. */
int hbv_init(struct hbv *ret_hbv, double dt_h, const struct hbv_parameters *parameters,
             struct err *ret_err);
/* Half a soil, nothing else; a warm-up has to follow. */
void hbv_state_start(const struct hbv *hbv, struct hbv_state *ret_state);
double hbv_step(const struct hbv *hbv, struct hbv_state *state, double rain_mm,
                double evaporation_mm, double temperature_c, struct hbv_flux *ret_flux);
double hbv_stored_mm(const struct hbv *hbv, const struct hbv_state *state);

#endif
