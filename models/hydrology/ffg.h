/* Flash-flood guidance: the rain that makes the running model reach a threshold flow.
 *
 * FFG(D) is the depth, spread evenly over the next D hours, whose peak just reaches the threshold,
 * found by bisection on copies of the GR4H state; the peak is monotone in the depth. No evaporation
 * is taken off meanwhile, so the guidance is not too high on a hot day.
 *
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FFG_H
#define CANHBAO_MODELS_HYDROLOGY_FFG_H

#include "models/hydrology/gr.h"

#define FFG_DEPTH_MAX_MM 300.0
#define FFG_STEP_MM      0.001

enum ffg_mark {
    FFG_OK,
    FFG_REACHED, /* the flow reaches the threshold without further rain: depth 0 */
    FFG_CAP,     /* FFG_DEPTH_MAX_MM does not reach it: depth NaN, "more than the cap" */
};

struct ffg {
    double depth_mm; /* the smallest depth found that reaches the threshold */
    double peak_mm_h;
    int peak_h; /* hours from now to the peak with that depth */
    enum ffg_mark mark;
};

/* Hourly model only. duration_h 1 to 24; threshold in mm/h over the catchment:
 * Q m3/s * 3.6 / area km2. ERR_RANGE for other arguments, ERR_UNSUPPORTED for a daily model. */
int ffg_depth(const struct gr *gr, const struct gr_state *state, int duration_h,
              double threshold_mm_h, struct ffg *ret_ffg, struct err *ret_err);

/* The peak of `depth_mm` over the next duration_h hours, from now until after the unit hydrographs
 * have passed. */
double ffg_peak_mm_h(const struct gr *gr, const struct gr_state *state, int duration_h,
                     double depth_mm, int *ret_peak_h);

#endif
