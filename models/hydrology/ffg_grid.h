/* Flash-flood guidance for every cell of a distributed run: the depth of rain over the next 1, 3
 * and 6 h, the same everywhere, whose peak just reaches the cell's threshold flow.
 *
 * The running model is inverted: from a copy of its state the rain of FFG_GRID_DEPTHS depths is run
 * through, with FFG_GRID_TAIL_H hours for the water to arrive; the peak of a cell rises with the
 * depth, and the guidance is interpolated linearly between the two depths that enclose the
 * threshold. 0: reached without more rain. NaN: FFG_GRID_CAP_MM do not reach it, or the state of
 * the cell is not known.
 *
 * Thread rule: as crest_grid.h; the state of `domain` is as before afterwards. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FFG_GRID_H
#define CANHBAO_MODELS_HYDROLOGY_FFG_GRID_H

#include "models/hydrology/crest_domain.h"

enum { FFG_GRID_DURATIONS = 3, FFG_GRID_DEPTHS = 22, FFG_GRID_TAIL_H = 6 };
#define FFG_GRID_CAP_MM 300.0
extern const int ffg_grid_hours[FFG_GRID_DURATIONS]; /* 1 3 6 */

/* threshold_m3_s and potential_mm_h by place; ret_guidance_mm is [duration][place]. ERR_RANGE: a
 * step that does not divide an hour; ERR_MEMORY. */
int ffg_grid_run(struct crest_domain *domain, double dt_s, const double *threshold_m3_s,
                 const double *potential_mm_h, int threads, double *ret_guidance_mm,
                 struct err *ret_err);

#endif
