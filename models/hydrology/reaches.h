/* A network of named reaches from a CSV table, its kinematic wave and its state file. */
#ifndef CANHBAO_MODELS_HYDROLOGY_REACHES_H
#define CANHBAO_MODELS_HYDROLOGY_REACHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/hydrology/kinematic.h"
#include "models/table/table.h"

struct reaches {
    size_t count;
    const char **ids; /* point into `table` */
    struct table *table;
    struct network *network;
    struct kinematic *kinematic;
};

/* Columns id, downstream, length_m, width_m, slope, manning; see the help of `route`. Inflows are
 * added in the order of the ids' bytes, so that the order of the rows does not matter. Refuses
 * unknown or doubled ids, circles, missing numbers, and more reaches than SERIES_COLUMNS_MAX. */
int reaches_read(const char *path, struct reaches *ret_reaches, struct err *ret_err);
void reaches_finish(struct reaches *reaches);

/* The index of the reach of that id; negative: there is none. */
int32_t reaches_find(const struct reaches *reaches, const char *id);

/* True for outlets and the ids in `points` ("a,b", may be NULL). ERR_NOT_FOUND for an unknown id.
 */
int reaches_select(const struct reaches *reaches, const char *points, bool *ret_shown,
                   struct err *ret_err);

/* State: id, volume_m3, outflow_m3_s, root, assumed_m3, mark. The same bits come back. Loading
 * refuses a state with other reaches. */
int reaches_save(const char *path, const struct reaches *reaches, struct err *ret_err);
int reaches_load(const char *path, struct reaches *reaches, struct err *ret_err);

#endif
