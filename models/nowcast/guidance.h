/* Motion where the newest frames show none, and smoothing of motion in time.
 *
 * In this order: the rain tracked in frames of the last GUIDANCE_EARLIER_MIN minutes; the motion
 * that an earlier run wrote, at most GUIDANCE_PREVIOUS_MIN minutes old; a wind field of a weather
 * model, at most GUIDANCE_WIND_MIN minutes from the reference time (of the level that steers the
 * rain, usually 700 hPa). Each is marked in motion.source.
 *
 * Thread rule: as frames.h. */
#ifndef CANHBAO_NOWCAST_GUIDANCE_H
#define CANHBAO_NOWCAST_GUIDANCE_H

#include "models/nowcast/frames.h"
#include "models/nowcast/motion.h"

enum { GUIDANCE_EARLIER_MIN = 60, GUIDANCE_PREVIOUS_MIN = 60, GUIDANCE_WIND_MIN = 180 };

/* Replaces `motion` by that of earlier frames, where rain was tracked; else leaves it. ERR_MEMORY,
 * or what reading gave. Returns the age of the frames through ret_age_min. */
int guidance_earlier(struct frames *frames, size_t newest, int threads, struct motion *motion,
                     double *ret_age_min, struct err *ret_err);

/* The motion of --motion-out of an earlier run. ERR_NOT_FOUND: too old, later than the reference
 * time, or on another grid (radars change theirs). */
int guidance_previous(struct frames *frames, struct ncfile *file, int64_t reference_us,
                      struct motion *ret_motion, double *ret_age_min, struct err *ret_err);

/* eastward_wind and northward_wind of a NetCDF or GRIB2 file on any grid, at the time next to the
 * reference time, as a motion of the rain. Nodes outside it get the wind of the nearest edge;
 * outside a curvilinear one and where it is missing, the mean of the other nodes. ERR_NOT_FOUND: no
 * time near enough, or missing everywhere. */
int guidance_wind(struct frames *frames, struct ncfile *file, int64_t reference_us,
                  struct motion *ret_motion, struct err *ret_err);

/* motion = (motion + w previous) / (1 + w) with w = exp(-age / 10 min): half of the last run's
 * motion when it is as new as this one. */
void guidance_smooth(const struct motion *previous, double age_min, struct motion *motion);

#endif
