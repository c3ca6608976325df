/* A field on its grid as a picture: coloured cells, lines of a map, title and legend, by cairo.
 *
 * North is up as far as the grid allows: rows run along y, columns along x; axes that run down or
 * left are turned. Thread rule: one thread. */
#ifndef CANHBAO_MODELS_RENDER_MAP_H
#define CANHBAO_MODELS_RENDER_MAP_H

#include "daemon/base/err.h"
#include "models/grid/curvilinear.h"
#include "models/grid/geo.h"
#include "models/grid/grid.h"
#include "models/render/lines.h"

enum { MAP_LINES_MAX = 2, MAP_TITLES = 3 };

struct map {
    const struct grid *grid;
    const float *values; /* [rows * columns], NaN = missing */
    const char *unit;    /* "mm h-1", "mm" or "1": chooses the classes of the legend */
    const char *what;    /* over the legend */
    const char *titles[MAP_TITLES];
    size_t line_count;
    const char *line_names[MAP_LINES_MAX]; /* "coast", "rivers": the first is drawn dark, the next
                                              blue */
    const struct lines *lines[MAP_LINES_MAX];
    struct geo *geo;                 /* of the grid's projection, for lines */
    const struct curvilinear *cells; /* instead, by its corners: a grid of 2-D lon and lat */
    int width_px;                    /* of the field, about */
};

/* Writes a PNG under its name when complete. ERR_IO, ERR_MEMORY. */
int map_write(const struct map *map, const char *path, struct err *ret_err);

#endif
