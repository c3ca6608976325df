/* Scores of rain forecasts against what fell, pooled over forecasts.
 *
 * Pooling adds up counts, squares and errors, and only then forms the ratio. A pixel where the
 * forecast or the observation is missing (NaN) is not scored: it is neither a miss nor a correct
 * dry pixel.
 * Sources: Wilks 2011, chapter 8 (POD, FAR, CSI, Brier score and its reliability); Roberts & Lean
 * 2008, MWR 136, 78-97 (FSS); Hersbach 2000, WAF 15, 559-570 (CRPS of an ensemble).
 * Pure functions: a score belongs to its caller. */
#ifndef CANHBAO_NOWCAST_SCORE_H
#define CANHBAO_NOWCAST_SCORE_H

#include <stdint.h>

#include "daemon/base/err.h"

enum { SCORE_THRESHOLDS = 3, SCORE_SCALES = 3, SCORE_BINS = 11, SCORE_MEMBERS_MAX = 1000 };

extern const float score_threshold_mm_h[SCORE_THRESHOLDS]; /* 0.1, 1, 5 */
extern const double score_scale_km[SCORE_SCALES];          /* 5, 10, 20 */

struct score {
    uint64_t pixels;
    double abs_error_sum; /* mm/h */
    uint64_t hits[SCORE_THRESHOLDS];
    uint64_t misses[SCORE_THRESHOLDS];
    uint64_t false_alarms[SCORE_THRESHOLDS];
    double fss_difference[SCORE_THRESHOLDS][SCORE_SCALES]; /* sum of (Pf - Po)^2 */
    double fss_reference[SCORE_THRESHOLDS][SCORE_SCALES];  /* sum of Pf^2 + Po^2 */
    uint64_t ensemble_pixels;
    double crps_sum; /* mm/h */
    double brier_sum[SCORE_THRESHOLDS];
    /* Forecasts and events by forecast probability 0, 0.1 ... 1 (nearest). */
    uint64_t bin_forecasts[SCORE_THRESHOLDS][SCORE_BINS];
    uint64_t bin_events[SCORE_THRESHOLDS][SCORE_BINS];
};

/* Adds one deterministic field. pixel_km is the mean side of a pixel; boxes of the FSS are the odd
 * number of pixels next to scale / pixel, and what lies outside the grid or is not scored counts as
 * no event in both fields. ERR_MEMORY (score untouched). */
int score_add(struct score *score, const float *forecast, const float *observed, int nx, int ny,
              double pixel_km);

/* Adds one pixel of an ensemble (values are sorted in place). A pixel with any missing value is
 * left out. */
void score_add_ensemble(struct score *score, float *members, int count, float observed);

/* NaN when there is nothing to divide by. t is a threshold, s a scale. */
double score_mae(const struct score *score);
double score_csi(const struct score *score, int t);
double score_pod(const struct score *score, int t);
double score_far(const struct score *score, int t);
double score_fss(const struct score *score, int t, int s);
double score_crps(const struct score *score);
double score_brier(const struct score *score, int t);
/* Mean squared distance of the reliability curve from the diagonal, weighted by forecasts. */
double score_reliability(const struct score *score, int t);
/* Area under the curve of hit rate against false alarm rate over the bins (trapezoids). */
double score_roc_area(const struct score *score, int t);

#endif
