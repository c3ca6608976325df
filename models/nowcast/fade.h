/* Extrapolated rain whose fine detail fades as fast as it was seen to do.
 *
 * Rain keeps its large shapes longer than its small ones (Germann & Zawadzki 2002; Seed 2003). Each
 * pixel of the newest frame is moved towards the mean of its surroundings, in the square root of
 * the rate, by a weight that grows with the lead: WEIGHT of the detail that is lost by then at the
 * rate at which the last two frames, brought to the same place, lost it. The surroundings grow with
 * the lead too. Where frames agree nothing changes: rain that only moves is carried as it is. Rates
 * of 3 mm/h and more are left alone: the place of a core is what a warning needs. After the field
 * was sampled along the motion it gets back the distribution of the rain that it came from, rank by
 * rank (ranks.h): sampling between pixels loses peaks and widens rain, and averaging loses both
 * variance and dry gaps. So rain is neither made nor lost, but stands where it is likelier.
 *
 * Fields are row-major [y][x] in mm/h, NaN = missing; a pixel is missing exactly where
 * displacement_sample leaves it so. Same bits with any number of threads. A fade has scratch
 * memory: one thread at a time. */
#ifndef CANHBAO_NOWCAST_FADE_H
#define CANHBAO_NOWCAST_FADE_H

#include "models/nowcast/advect.h"
#include "models/nowcast/motion.h"

struct fade;

/* The newest frame must stay where it is as long as the fade. pixel_km, step_min > 0. With a single
 * frame no detail is known to fade. ERR_INVALID: no frame, or another size than the motion's;
 * ERR_MEMORY. */
int fade_create(const struct motion_input *frames, const struct motion *motion, double pixel_km,
                double step_min, struct fade **ret_fade);
void fade_destroy(struct fade *fade);

/* Share of the detail (below about 3 km) that is left after so many minutes, 0 to 1. */
double fade_left(const struct fade *fade, double minutes);

/* The field at a lead: minutes after the newest frame, to which the displacement belongs. */
void fade_field(struct fade *fade, const struct displacement *displacement, double lead_min,
                int threads, float *ret_field);

#endif
