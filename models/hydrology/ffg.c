#include "models/hydrology/ffg.h"

#include <math.h>

double ffg_peak_mm_h(const struct gr *gr, const struct gr_state *state, int duration_h,
                     double depth_mm, int *ret_peak_h) {
    struct gr_state copy;
    double peak = 0;
    int at = 0;
    gr_state_copy(gr, &copy, state);
    /* After rain and hydrographs the flow can only recede, but for the routing store's delay. */
    int hours = duration_h + gr->n2 + 24;
    for (int h = 1; h <= hours; h++) {
        double rain_mm = h <= duration_h ? depth_mm / duration_h : 0;
        double q = gr_step(gr, &copy, rain_mm, 0, NULL);
        if (q > peak) {
            peak = q;
            at = h;
        }
    }
    if (ret_peak_h != NULL) {
        *ret_peak_h = at;
    }
    return peak;
}

int ffg_depth(const struct gr *gr, const struct gr_state *state, int duration_h,
              double threshold_mm_h, struct ffg *ret_ffg, struct err *ret_err) {
    if (gr->step != GR_HOURLY) {
        return err_set(ret_err, ERR_UNSUPPORTED, "flash-flood guidance needs the hourly model");
    }
    if (duration_h < 1 || duration_h > 24 || !(threshold_mm_h > 0) || isinf(threshold_mm_h)) {
        return err_set(ret_err, ERR_RANGE, "duration %d h, threshold %g mm/h", duration_h,
                       threshold_mm_h);
    }
    struct ffg ffg = {.mark = FFG_OK};
    double low = 0, high = FFG_DEPTH_MAX_MM;
    ffg.peak_mm_h = ffg_peak_mm_h(gr, state, duration_h, 0, &ffg.peak_h);
    if (ffg.peak_mm_h >= threshold_mm_h) {
        ffg.mark = FFG_REACHED;
        *ret_ffg = ffg;
        return 0;
    }
    ffg.peak_mm_h = ffg_peak_mm_h(gr, state, duration_h, high, &ffg.peak_h);
    if (ffg.peak_mm_h < threshold_mm_h) {
        ffg.mark = FFG_CAP;
        ffg.depth_mm = NAN;
        *ret_ffg = ffg;
        return 0;
    }
    while (high - low > FFG_STEP_MM) {
        double middle = 0.5 * (low + high);
        if (ffg_peak_mm_h(gr, state, duration_h, middle, NULL) >= threshold_mm_h) {
            high = middle;
        } else {
            low = middle;
        }
    }
    ffg.depth_mm = high;
    ffg.peak_mm_h = ffg_peak_mm_h(gr, state, duration_h, high, &ffg.peak_h);
    *ret_ffg = ffg;
    return 0;
}
