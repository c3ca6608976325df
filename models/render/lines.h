/* Lines of a map (coast, rivers, borders) from GeoJSON (RFC 7946): LineString, MultiLineString, and
 * the rings of Polygon and MultiPolygon; longitude and latitude on WGS 84. Points are left out.
 *
 * Thread rule: a finished list is read-only. */
#ifndef CANHBAO_MODELS_RENDER_LINES_H
#define CANHBAO_MODELS_RENDER_LINES_H

#include <stddef.h>

#include "daemon/base/err.h"

struct lines {
    size_t count;  /* lines */
    size_t *begin; /* [count + 1]: line i has the vertices begin[i] .. begin[i + 1] - 1 */
    double *lon;   /* degrees east */
    double *lat;
};

/* ERR_IO, ERR_SYNTAX, ERR_INVALID (no line in it, a position that is none), ERR_LIMIT, ERR_MEMORY;
 * the text names the file. */
int lines_load(const char *path, struct lines *ret_lines, struct err *ret_err);
void lines_finish(struct lines *lines);

#endif
