/* Corners of a rain image and where they went: Shi-Tomasi detection and pyramidal Lucas-Kanade.
 *
 * Shi & Tomasi 1994; Bouguet 2001, "Pyramidal implementation of the Lucas Kanade feature tracker".
 * Parameters follow Pulkkinen et al. 2019. Pure functions, same bits with any number of threads. */
#ifndef CANHBAO_NOWCAST_TRACK_H
#define CANHBAO_NOWCAST_TRACK_H

#include "daemon/base/err.h"
#include "models/nowcast/image.h"

enum { TRACK_CORNERS_MAX = 1000 };

struct vector {
    float x; /* position in the earlier frame, pixels */
    float y;
    float u; /* displacement, pixels */
    float v;
};

/* Follows the corners of `before` (whose frame is rate_before) to `after`. Writes at most
 * TRACK_CORNERS_MAX vectors and returns their number, or ERR_MEMORY. */
int track_pair(const struct pyramid *before, const float *rate_before, const struct pyramid *after,
               int threads, struct vector *ret_vectors);

#endif
