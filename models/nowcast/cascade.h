/* What a rain field remembers, scale by scale: an AR(2) process for every band of the cascade.
 *
 * Seed 2003 (cascade, S-PROG); Pulkkinen et al. 2019, section 2 (bands, AR(2), noise filter). The
 * field is 10 log10 of the rate above the dry value (-15 dB), so dry and missing are 0. Frames are
 * brought to the same place as such logarithms: sampled as rates, a wet pixel would spread over its
 * dry neighbours, and the fine bands would seem to remember less than they do.
 *
 * Bands overlap, and a wavenumber belongs to each by a weight. What is foreseen there is the
 * weighted sum of what each band foresees, so the long memory of the broader band is not lost in a
 * mean of correlations. What is not foreseen is noise: one AR(2) per wavenumber, with the mean
 * correlations, scaled at each step so that the variance of the field stays. Thread rule: a cascade
 * is read-only once made. */
#ifndef CANHBAO_NOWCAST_CASCADE_H
#define CANHBAO_NOWCAST_CASCADE_H

#include <stdint.h>

#include "models/nowcast/fft2.h"

enum { CASCADE_BANDS = 6 };

/* Z(t+1) = phi1 Z(t) + phi2 Z(t-1) + innovation * white noise; of unit variance when it has run. */
struct cascade_noise {
    float phi1;
    float phi2;
    float innovation;
    float rho1;
};

/* At a number of steps ahead: X(n) = now X(0) + before X(-1) + spread Z(n), Z starting from 0. */
struct cascade_share {
    float now;
    float before;
    float spread;
};

struct cascade {
    int nx; /* of the box of fft2, and columns of a half spectrum */
    int ny;
    int columns;
    size_t points;             /* ny * columns */
    struct fft2_value *now;    /* spectrum of the newest frame, [points] */
    struct fft2_value *before; /* of the frame one step earlier, brought to the same place */
    float *noise;   /* standard deviation of the field at a wavenumber, shaped as the noise is */
    uint16_t *ring; /* which wavenumber a point has, in steps of half a wave, [points] */
    size_t rings;
    float (*weights)[CASCADE_BANDS]; /* of the bands, [rings]; their sum is 1 */
    struct cascade_noise *process;   /* [rings] */
    double rho1[CASCADE_BANDS];      /* correlation one and two steps apart */
    double rho2[CASCADE_BANDS];
};

/* The field of rates (mm/h; NaN = missing, and stays so); ret_field may be rates. */
void cascade_field(const float *rates, size_t pixels, float *ret_field);

/* frames: fields of nx * ny, NaN = missing, oldest first, the last one the newest, all brought to
 * the place of the newest; lag_steps[i] > 0 is the age of frame i < count - 1 in steps.
 * count 2 or 3. With two frames, or frames that are not one and two steps old, the process is of
 * first order. ERR_MEMORY. */
int cascade_init(struct fft2 *fft, const float *const *frames, const double *lag_steps, int count,
                 int nx, int ny, struct cascade *ret_cascade);
void cascade_finish(struct cascade *cascade);

/* The shares first, first + 1 ... steps ahead (first > 0): ret_shares is [count][rings].
 * ERR_MEMORY. */
int cascade_shares(const struct cascade *cascade, int first, int count,
                   struct cascade_share *ret_shares);

#endif
