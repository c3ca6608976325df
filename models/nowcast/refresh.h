/* Mosaics that show a radar's last sweep again until the next one comes.
 *
 * A mosaic made every two minutes from radars that sweep every four to six repeats, radar by radar,
 * pixels of the frame before. Such a pixel will be repeated once more, or replaced, together with
 * its neighbours. For the first leads the best forecast of a block that is not yet due is therefore
 * the block as it is, not moved. (Measured on MRMS, 2 minutes: 30 to 80 per cent of the wet pixels
 * of a frame are those of the frame before.)
 *
 * A block of 16 x 16 pixels counts as repeated when 95 per cent of its wet pixels have the very
 * same value, of which there must be enough and not all alike. Nothing is held when less than 30
 * per cent of the wet blocks of the last two or three pairs of frames were repeated. */
#ifndef CANHBAO_NOWCAST_REFRESH_H
#define CANHBAO_NOWCAST_REFRESH_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/nowcast/frames.h"

enum { REFRESH_FRAMES_MIN = 3, REFRESH_FRAMES = 4, REFRESH_BLOCK_PX = 16, REFRESH_LEADS = 2 };

struct refresh {
    int nx; /* of the grid */
    int ny;
    int blocks_x;
    int blocks_y;
    unsigned char *age; /* frames since the block was new, REFRESH_LEADS and more: due; NULL: the
                           sequence does not repeat */
};

/* frames: REFRESH_FRAMES_MIN to REFRESH_FRAMES, newest first, one step apart, each ny * nx, NaN =
 * missing. ERR_MEMORY. */
int refresh_find(const float *const *frames, int count, int nx, int ny,
                 struct refresh *ret_refresh);
void refresh_finish(struct refresh *refresh);

/* The same for a frame of a sequence; reads the three before it. Nothing repeats when one of them
 * is not there or the step is 5 minutes or longer. */
int refresh_read(struct frames *frames, size_t newest, const float *rate,
                 struct refresh *ret_refresh, struct err *ret_err);

/* Puts the blocks that are not yet due at lead 1, 2 ... back where they are in the newest frame. */
void refresh_hold(const struct refresh *refresh, const float *newest, int lead, float *field);

#endif
