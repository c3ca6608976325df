/* The motion of rain between radar frames: sparse Lucas-Kanade vectors spread over a lattice.
 *
 * Lucas & Kanade 1981; Bouguet 2001 (pyramids); Shi & Tomasi 1994 (which points to follow);
 * Pulkkinen et al. 2019, GMD 12, 4185-4219 (outliers, declustering, inverse distance weights).
 *
 * Frames are row-major arrays [y][x] of rain rate in mm/h, NaN = missing. Positive u moves rain to
 * larger column numbers, positive v to larger row numbers, whatever the axes mean on the ground.
 * Pure functions; the result has the same bits with any number of threads. */
#ifndef CANHBAO_NOWCAST_MOTION_H
#define CANHBAO_NOWCAST_MOTION_H

#include "daemon/base/err.h"

enum {
    MOTION_FRAMES_MAX = 6,
    MOTION_LATTICE_PX = 8, /* spacing of the lattice; 8 px lose at most 0.0013 in any CSI */
    MOTION_SIDE_MIN = 8,   /* a smaller grid shows no motion */
    MOTION_SIDE_MAX = 32768
};

/* Where a motion field comes from. A forecast made without tracked rain must say so. */
enum motion_source {
    MOTION_TRACKED = 0, /* vectors were found */
    MOTION_NO_RAIN,     /* frames were compared, nothing could be followed: zero motion */
    MOTION_NO_FRAMES,   /* fewer than two frames: zero motion */
    MOTION_EARLIER,     /* tracked in earlier frames (guidance.h, as the next two) */
    MOTION_PREVIOUS,    /* of an earlier run */
    MOTION_WIND         /* a wind field, not rain */
};

struct motion {
    int nx; /* columns and rows of the grid it belongs to */
    int ny;
    int nodes_x; /* node (i, j) of the lattice lies on pixel (i, j) * MOTION_LATTICE_PX */
    int nodes_y;
    float *u; /* [nodes_y][nodes_x], pixels per nominal step */
    float *v;
    int vectors; /* that the field was spread from */
    enum motion_source source;
};

struct motion_input {
    int nx;
    int ny;
    int count;                               /* frames, oldest first */
    const float *frame[MOTION_FRAMES_MAX];   /* each ny * nx */
    double step_of_frame[MOTION_FRAMES_MAX]; /* time of a frame in nominal steps, rising */
    double speed_px_max;                     /* faster vectors are refused, px per nominal step */
    int threads;
};

/* The motion that carries each frame to the next one, all pairs pooled.
 * ERR_INVALID: sizes or times that cannot be; ERR_MEMORY. ret_motion is then untouched.
 * Free with motion_finish. */
int motion_estimate(const struct motion_input *input, struct motion *ret_motion);

/* A lattice of zero motion for a grid of nx * ny. ERR_INVALID, ERR_MEMORY. */
int motion_init_zero(int nx, int ny, enum motion_source source, struct motion *ret_motion);

/* The motion at a pixel, clamped to the nearest edge outside the grid. */
void motion_at(const struct motion *motion, float x, float y, float *ret_u, float *ret_v);

void motion_finish(struct motion *motion);

/* "tracked", "no_rain", "no_frames", "earlier", "previous", "wind". */
const char *motion_source_name(enum motion_source source);

#endif
