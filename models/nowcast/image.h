/* Rain frames as grey images with halved copies, for following corners.
 *
 * Bouguet 2001, section 2.1 (pyramid); Pulkkinen et al. 2019 (speckle removal, scaling). Pure
 * functions, same bits with any number of threads. */
#ifndef CANHBAO_NOWCAST_IMAGE_H
#define CANHBAO_NOWCAST_IMAGE_H

#include <stddef.h>

#include "daemon/base/err.h"

enum { PYRAMID_LEVELS = 4, PYRAMID_SIDE_MIN = 24 };

struct pyramid_level {
    int nx;
    int ny;
    float *value; /* [ny][nx], 0 to 255; NaN = missing */
};

struct pyramid {
    struct pyramid_level level[PYRAMID_LEVELS];
    int levels; /* fewer when the grid is small */
};

/* Image of a rain frame (mm/h, NaN = missing): 10 log10 of the rate, speckles removed, scaled to
 * 0..255 between the frame's own extremes, missing stays missing; and its halved copies.
 * ERR_MEMORY. */
int pyramid_init(const float *rate, int nx, int ny, int threads, struct pyramid *ret_pyramid);
void pyramid_finish(struct pyramid *pyramid);

/* Index of a pixel, and a coordinate moved to the nearest one inside [0, limit). */
static inline size_t image_at(int x, int y, int nx) {
    return (size_t)y * (size_t)nx + (size_t)x;
}

static inline int image_clamp(int value, int limit) {
    return value < 0 ? 0 : (value >= limit ? limit - 1 : value);
}

#endif
