/* A sequence of radar frames in CF NetCDF files, or read by the caller, as a nowcast needs it.
 *
 * Rates in mm/h, NaN = missing; a negative rate is missing. Thread rule: one thread per sequence
 * (see models/grid/ncfile.h). */
#ifndef CANHBAO_NOWCAST_FRAMES_H
#define CANHBAO_NOWCAST_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/grid/env.h"
#include "models/grid/grid.h"
#include "models/grid/ncfile.h"

enum { FRAMES_PICK_MAX = 6, FRAMES_GAP_STEPS_MAX = 4, FRAMES_SPACING_MIN = 5 };

enum { FRAMES_FILES_MAX = 256 };

/* Reads one frame, [ny * nx] in mm/h, NaN missing. */
typedef int (*frames_reader)(void *context, size_t index, float *ret_rate, struct err *ret_err);

struct frames {
    struct grid_env *env;
    frames_reader read; /* NULL: from the files below */
    void *context;
    size_t file_count;
    struct ncfile *files[FRAMES_FILES_MAX];
    struct ncvar *vars[FRAMES_FILES_MAX]; /* one of each file */
    struct grid *grid;
    const char *name; /* of the first file, for messages */
    size_t count;
    struct frames_place { /* where each frame is */
        size_t file;
        size_t index;
    } * places;       /* [count] */
    int64_t *utc_us;  /* [count], rising */
    int64_t step_us;  /* nominal: the median interval, whole seconds */
    int nx;           /* columns */
    int ny;           /* rows */
    double pixel_x_m; /* size of the pixel in the middle of the grid on the ground */
    double pixel_y_m;
};

/* Opens up to FRAMES_FILES_MAX files of the same grid; their frames may be in any order. variable
 * NULL: `rainfall_rate`, else the only variable of that standard name. step_s 0: from the times.
 * Errors as ncvar_open; ERR_INVALID: different grids, a time that is there twice, too small or too
 * large a grid, or a single frame without a step. */
int frames_open(const char *const *paths, size_t path_count, const char *variable, int64_t step_s,
                struct frames *ret_frames, struct err *ret_err);
/* As frames_open, of those files alone that have the grid of the newest frame: a radar may get
 * another one. ret_taken: which, [path_count]. */
int frames_open_newest_grid(const char *const *paths, size_t path_count, const char *variable,
                            int64_t step_s, struct frames *ret_frames, bool *ret_taken,
                            struct err *ret_err);
void frames_finish(struct frames *frames);

/* A sequence that the caller has: env, grid and utc_us [count], rising, stay the caller's and must
 * outlive it. */
struct frames frames_borrow(struct grid_env *env, struct grid *grid, int64_t *utc_us, size_t count,
                            int64_t step_us, frames_reader read, void *context);

/* The newest frame not later than `at`. ERR_NOT_FOUND when there is none, or when it is more than
 * FRAMES_GAP_STEPS_MAX steps older. */
int frames_newest(const struct frames *frames, int64_t at_utc_us, size_t *ret_index,
                  struct err *ret_err);

/* Reads one frame into [ny * nx]. Returns through ret_valid how many pixels are there. */
int frames_read(struct frames *frames, size_t index, float *ret_rate, size_t *ret_valid,
                struct err *ret_err);

/* Frames to estimate motion with, read and oldest first: `newest` and up to want - 1 before it,
 * none empty, at least FRAMES_SPACING_MIN minutes apart: in two minutes rain hardly moves by a
 * pixel, and a mosaic repeats old sweeps (MRMS, 2 minutes: CSI(5 mm/h) at 24 minutes 0.17 with
 * every frame, 0.23 with every third). A frame that is not there is made up for by the one before,
 * as long as the gap grows by less than FRAMES_GAP_STEPS_MAX steps. */
struct frames_pick {
    int count;
    size_t index[FRAMES_PICK_MAX];
    double step_of_frame[FRAMES_PICK_MAX]; /* relative to the newest, in steps */
    float *rate[FRAMES_PICK_MAX];
};
int frames_pick(struct frames *frames, size_t newest, int want, struct frames_pick *ret_pick,
                struct err *ret_err);
void frames_pick_finish(struct frames_pick *pick);

/* Sides of the pixel in the middle of a grid on the ground. Good to the few per cent that a speed
 * limit and the boxes of a score need. */
void frames_pixel_m(const struct grid *grid, double *ret_x_m, double *ret_y_m);

/* Fastest rain that is believed, in pixels per step (60 m/s on the shorter side of a pixel). */
double frames_speed_px_max(const struct frames *frames);

/* Mean side of a pixel in km. */
double frames_pixel_km(const struct frames *frames);

#endif
