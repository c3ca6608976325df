/* Rain on grids as rates at the places of another grid: radar, nowcast, numerical forecasts.
 *
 * A frame stands for the time since the frame before it, at most `hold` (a lost frame is bridged by
 * the next one, a longer gap stays a gap); the first frame of all stands as long as the second.
 * Each place takes the cell of the grid that holds it.
 *
 * Thread rule: as grid_env while reading; read-only then. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CELL_RAIN_H
#define CANHBAO_MODELS_HYDROLOGY_CELL_RAIN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/grid/env.h"
#include "models/grid/grid.h"

enum { CELL_RAIN_FRAMES_MAX = 4000, CELL_RAIN_MEMBERS_MAX = 200 };
/* Outside of the rain grid: no rain is known there. */
#define CELL_RAIN_OUTSIDE SIZE_MAX

struct cell_rain {
    size_t member_count, place_count, frame_count;
    int64_t *start_us, *end_us; /* [frame], rising; frames do not overlap */
    float *rate_mm_h;           /* [member][frame][place]; NaN unknown */
};

struct cell_rain_source {
    const char *const *paths; /* CF NetCDF, the oldest first */
    size_t path_count;
    const char *variable; /* NULL: the one with standard_name rainfall_rate */
    int64_t hold_us;      /* INT64_MAX: frames follow each other without gaps */
    int64_t after_us;     /* frames that end at or before it are not kept; INT64_MIN: all */
    size_t place_count;
    /* Fills [place_count]: the cell of a rain grid that holds each place. */
    int (*map)(void *context, const struct grid *rain, size_t *ret_index, struct err *ret_err);
    void *context;
};

/* A file that cannot be used, that lies on another grid or has another number of members than the
 * first is left out, with its reason appended to `left_out` (texts). No frame at all is no error:
 * frame_count 0. ERR_MEMORY, ERR_LIMIT. */
int cell_rain_read(struct grid_env *env, const struct cell_rain_source *source, json_t *left_out,
                   struct cell_rain **ret_rain, struct err *ret_err);
struct cell_rain *cell_rain_destroy(struct cell_rain *rain); /* takes NULL, returns NULL */

/* One of the sources of a depth; the first that knows a place counts there. */
struct cell_rain_part {
    const struct cell_rain *rain; /* NULL: has nothing */
    size_t member;
    double factor;
};

/* Rain over [from, to) at every place, mm; NaN where no source knows a part of it. */
void cell_rain_depth(const struct cell_rain_part *parts, size_t part_count, size_t place_count,
                     int64_t from_us, int64_t to_us, double *ret_mm);

#endif
