/* Mosaics that show a radar's last sweep again until the next one comes.
 *
 * A mosaic made every two minutes from radars that sweep every four to six repeats, radar by radar,
 * pixels of the frame before (MRMS: 30 to 80 per cent of the wet pixels). So a block of the newest
 * frame shows the rain of `age` frames ago, and at a lead it will show the rain of its last sweep
 * before that time. A block that will be repeated is best left as it is; one that is due jumps by
 * the time since its own sweep, which is longer than the lead. (Measured there, one step ahead, for
 * blocks that were renewed after 3 frames: CSI at 0.1, 1, 5 mm/h is 0.924, 0.827, 0.12 when they
 * stay, 0.933, 0.843, 0.18 when they move one step, 0.936, 0.860, 0.36 when they move three.)
 *
 * How long a block is repeated, given how long it has been and how long the last time, is learnt
 * from the frames before. A block of 16 x 16 pixels counts as repeated when 95 per cent of its wet
 * pixels have the very same value, of which there must be enough and not all alike. Nothing is done
 * when less than 30 per cent of the wet blocks were repeated. */
#ifndef CANHBAO_NOWCAST_REFRESH_H
#define CANHBAO_NOWCAST_REFRESH_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/nowcast/advect.h"
#include "models/nowcast/frames.h"

enum {
    REFRESH_PAIRS_MIN = 2,
    REFRESH_PAIRS = 9,
    REFRESH_BLOCK_PX = 16,
    REFRESH_LEADS = 4,     /* no block is held longer */
    REFRESH_CORRECTED = 12 /* leads; then the errors of the motion are larger than those of age */
};

struct refresh_block {
    unsigned char hold;   /* leads that it is repeated */
    unsigned char age;    /* frames since its sweep */
    unsigned char period; /* frames from sweep to sweep; 0: not known */
};

struct refresh {
    int nx; /* of the grid; 0: nothing is done */
    int ny;
    int blocks_x;
    int blocks_y;
    int pairs;                    /* compared so far */
    signed char *same;            /* [pair][block]: per cent of its wet pixels that are the same
                                     as a frame before; -1: too dry to tell */
    struct refresh_block *blocks; /* NULL: the sequence does not repeat */
};

/* Room for REFRESH_PAIRS pairs of frames. ERR_MEMORY. */
int refresh_init(int nx, int ny, struct refresh *ret_refresh);
void refresh_finish(struct refresh *refresh);

/* Compares a frame with the one a step before it; the newest pair first, then the next older one
 * and so on, at most REFRESH_PAIRS. Rates in mm/h, NaN = missing. */
void refresh_compare(struct refresh *refresh, const float *frame, const float *before);

/* After at least REFRESH_PAIRS_MIN pairs. ERR_MEMORY. */
int refresh_decide(struct refresh *refresh);

/* All of it for a frame of a sequence; reads the frames before it, one at a time. Nothing is done
 * when too few of them follow one another by the step, or the step is 5 minutes or longer. */
int refresh_read(struct frames *frames, size_t newest, const float *rate,
                 struct refresh *ret_refresh, struct err *ret_err);

/* Corrects a field sampled with the displacement of lead 1, 2 ... of the newest frame, block by
 * block. */
void refresh_apply(const struct refresh *refresh, const struct displacement *displacement,
                   const float *newest, int lead, float *field);

#endif
