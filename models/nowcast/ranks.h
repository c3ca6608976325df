/* Gives a rain field the distribution of another: the same rate for the same rank.
 *
 * Probability matching as in Ebert 2001 (MWR 129, 2461-2480), between histograms with 512 classes
 * an octave from 2^-10 to 2^13 mm/h: within a class (0.1 to 0.2 per cent wide) nothing is moved,
 * and a value that changes class takes the smallest one that was counted there, so that a threshold
 * which many pixels equal is not missed. Below 2^-10 mm/h a value is dry: it stays 0. The counts
 * are whole numbers: the order in which pixels are counted makes no difference. */
#ifndef CANHBAO_NOWCAST_RANKS_H
#define CANHBAO_NOWCAST_RANKS_H

#include <stddef.h>

#include "daemon/base/err.h"

struct ranks;

/* ERR_MEMORY. */
int ranks_create(struct ranks **ret_ranks);
void ranks_destroy(struct ranks *ranks);

/* Forgets all pixels. */
void ranks_clear(struct ranks *ranks);
/* One pixel: what the field has there and one value of the distribution wanted. Nothing is counted
 * when either is NaN. */
void ranks_count(struct ranks *ranks, float value, float wanted);
/* After the last pixel. */
void ranks_decide(struct ranks *ranks);
/* Moves values >= 0 to their rank, in place; NaN stays NaN, and so does a value above all that were
 * counted. */
void ranks_match(const struct ranks *ranks, float *values, size_t count);

#endif
