/* Probabilities that 1, 2 and 3 hours of rain reach thresholds: the observed part of the window and
 * the forecast part, pixel by pixel.
 *
 * A field at time t stands for the interval (t - step, t]. Of the window W that ends at lead L the
 * observed slots reference - i * step, 0 <= i < (W - L) / step, count with the mean of those that
 * are there, of which AMOUNTS_SHARE_MIN per cent must be; else, and where the forecast is missing,
 * the pixel is missing. Memory: a field for each window and lead, a counter for each window,
 * threshold and lead, whatever the number of members. Thread rule: one thread. */
#ifndef CANHBAO_NOWCAST_AMOUNTS_H
#define CANHBAO_NOWCAST_AMOUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

enum { AMOUNTS_WINDOWS = 3, AMOUNTS_THRESHOLDS = 3, AMOUNTS_SHARE_MIN = 80 };

extern const int64_t amounts_window_s[AMOUNTS_WINDOWS];      /* 1, 2, 3 h */
extern const float amounts_threshold_mm[AMOUNTS_THRESHOLDS]; /* 10, 20, 50 */

struct amounts;

/* `together` is the number of members that come lead by lead side by side (ensemble_group).
 * A window that is no multiple of the step is left out. ERR_MEMORY. */
int amounts_create(size_t pixels, int64_t step_s, size_t leads, size_t together,
                   struct amounts **ret_amounts);
void amounts_destroy(struct amounts *amounts);

/* false: left out. */
int amounts_has(const struct amounts *amounts, size_t window);

/* Slots of the longest window: older frames do not matter. */
size_t amounts_slots(const struct amounts *amounts);

/* The observed rates (mm/h, NaN = missing) of the slots 0, 1, 2 ... amounts_slots - 1, each once
 * and in this order; NULL: no frame. Before the first member. */
void amounts_observe(struct amounts *amounts, const float *rate);

/* One forecast field, as ensemble_run gives it: mm/h at `lead` + 1 steps. */
void amounts_take(struct amounts *amounts, int member, int lead, const float *rate);

/* Share of the `members` that reach the threshold; NaN where missing. */
void amounts_probability(const struct amounts *amounts, size_t window, size_t threshold,
                         size_t lead, size_t members, float *ret_field);

#endif
