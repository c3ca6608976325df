/* A drainage network: cells or reaches, each with at most one cell downstream.
 *
 * The order of the arrays never changes a result by a bit: cells are worked through from upstream
 * to downstream, and the inflows of a cell are added in the order of the cells' `key` (their
 * place in the grid, their number in the file), which belongs to the cell and not to the array.
 *
 * For threads the network is cut into subtrees that need nothing from each other, and the trunk
 * that joins them; which thread does which subtree has no influence on any sum.
 *
 * Thread rule: read-only after network_create(). */
#ifndef CANHBAO_MODELS_HYDROLOGY_NETWORK_H
#define CANHBAO_MODELS_HYDROLOGY_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define NETWORK_CELLS_MAX ((size_t)16777216)
enum { NETWORK_OUTLET = -1 };

/* Places are positions in the order of work: an upstream cell always has the smaller place. */
struct network {
    size_t count;
    int32_t *cell_of;     /* [place] -> index of the caller */
    int32_t *place_of;    /* [index of the caller] -> place */
    int32_t *downstream;  /* [place] -> place, or NETWORK_OUTLET */
    int32_t *first;       /* [place], count + 1 long: its upstream places are upstream[first[p]] */
    int32_t *upstream;    /* ... to upstream[first[p + 1] - 1], by key */
    int32_t *cells_above; /* [place] number of cells that drain through it, itself included */
    size_t part_count;    /* subtrees; part k holds the places part[k] to part[k + 1] - 1 */
    int32_t *part;        /* part_count + 1; the places from part[part_count] on are the trunk */
};

/* `downstream` [count] is the index of the next cell or NETWORK_OUTLET; `key` [count] numbers that
 * are all different, NULL for 0, 1, 2, ... ERR_RANGE for an index out of range, ERR_INVALID for a
 * circle (one of its cells is named) or equal keys, ERR_LIMIT, ERR_MEMORY. */
int network_create(size_t count, const int32_t *downstream, const int64_t *key,
                   struct network **ret_network, struct err *ret_err);
struct network *network_destroy(struct network *network);

/* The network of an ESRI D8 grid (1 E, 2 SE, 4 S, 8 SW, 16 W, 32 NW, 64 N, 128 NE; rows from north
 * to south). Cells with `d8` <= 0 are outside. A cell that drains out of the grid or into an
 * outside cell is an outlet. ret_cell_of_grid [rows * columns] gets the cell number or -1;
 * ret_count and ret_downstream [rows * columns] are what network_create() wants. ERR_INVALID for
 * another code. */
int network_from_d8(size_t rows, size_t columns, const int32_t *d8, size_t *ret_count,
                    int32_t *ret_cell_of_grid, int32_t *ret_downstream, struct err *ret_err);

#endif
