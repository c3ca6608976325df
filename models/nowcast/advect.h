/* Backward semi-Lagrangian extrapolation of a rain field along a frozen motion.
 *
 * Germann & Zawadzki 2002, MWR 130, 2859-2873: the displacement is carried from lead to lead on the
 * lattice of the motion, and the field is sampled once per lead from the original frame, so nothing
 * is smoothed twice. Fields are row-major [y][x], NaN = missing; what comes from outside the grid
 * or from a missing pixel is missing. Pure functions, same bits with any number of threads. */
#ifndef CANHBAO_NOWCAST_ADVECT_H
#define CANHBAO_NOWCAST_ADVECT_H

#include "models/nowcast/motion.h"

/* Where the air that arrives at each node came from: (x - dx, y - dy). */
struct displacement {
    int nodes_x;
    int nodes_y;
    float *dx; /* pixels, [nodes_y][nodes_x] */
    float *dy;
};

/* Zero displacement on the lattice of a motion. ERR_MEMORY. */
int displacement_init(const struct motion *motion, struct displacement *ret_displacement);
void displacement_finish(struct displacement *displacement);

/* Follows the motion backward for `steps` more nominal steps (midpoint rule, one iteration). */
void displacement_advance(struct displacement *displacement, const struct motion *motion,
                          float steps, int threads);

enum sampling {
    SAMPLE_BILINEAR, /* missing as soon as a neighbour with weight is missing */
    SAMPLE_NEAREST
};

/* ret_field[y][x] = field at (x, y) minus the displacement. ret_field is not field. */
void displacement_sample(const struct displacement *displacement, const float *field, int nx,
                         int ny, enum sampling sampling, int threads, float *ret_field);

/* What SAMPLE_NEAREST gives the pixels 0, stride, 2 stride ... of a row. */
void displacement_nearest(const struct displacement *displacement, const float *field, int nx,
                          int ny, int y, int stride, float *ret_row);

/* A field brought `steps` nominal steps further along the motion, bilinear. ERR_MEMORY. */
int motion_carry(const struct motion *motion, const float *field, double steps, int threads,
                 float *ret_field);

/* Pixels [x0, x1) x [y0, y1), sampled with factor times the displacement. */
struct displacement_window {
    int x0;
    int y0;
    int x1;
    int y1;
    float factor;
};

/* Bilinear, one thread; writes nothing outside the window. */
void displacement_sample_window(const struct displacement *displacement, const float *field, int nx,
                                int ny, const struct displacement_window *window, float *ret_field);

#endif
