/* Cleaning sparse motion vectors and spreading them over a lattice.
 *
 * Pulkkinen et al. 2019 (outliers by local Mahalanobis distance, declustering by medians, inverse
 * distance weights). Pure functions, same bits with any number of threads. */
#ifndef CANHBAO_NOWCAST_VECTORS_H
#define CANHBAO_NOWCAST_VECTORS_H

#include "models/nowcast/motion.h"
#include "models/nowcast/track.h"

/* Drops in place every vector further than 3 standard deviations from its 30 nearest neighbours.
 * Returns how many stay, or ERR_MEMORY. */
int vectors_drop_outliers(struct vector *vectors, int count, int threads);

/* Replaces in place the vectors of each 20 px cell by one of median position and motion. Returns
 * how many stay, or ERR_MEMORY. */
int vectors_decluster(struct vector *vectors, int count);

/* Fills the lattice: the 20 nearest vectors weighted with (distance + 0.5 px)^(-1/2). count > 0. */
void vectors_spread(const struct vector *vectors, int count, int threads, struct motion *motion);

#endif
