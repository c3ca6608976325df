/* Communes under a plume: which share of each lies in each zone, and how many people that is when
 * the site tells how many live there (spread evenly over the commune).
 *
 * Shares are exact intersections of the outlines with the cells of the zones (grid/mask.h).
 * Thread rule: pure but for the files. */
#ifndef CANHBAO_MODELS_DISPERSION_COMMUNES_H
#define CANHBAO_MODELS_DISPERSION_COMMUNES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"
#include "models/dispersion/zones.h"
#include "models/grid/area.h"

enum { COMMUNE_CODE_SIZE = 16 };

struct commune {
    char id[AREA_ID_MAX], name[AREA_NAME_MAX];
    char code[COMMUNE_CODE_SIZE];   /* of the administrative unit; "": not told */
    double people;                  /* who live in it; NaN: not told */
    double highest;                 /* value, over its cells; NaN: none of it is on the map */
    bool whole;                     /* all of it is on the map */
    double share[ZONES_LEVELS_MAX]; /* of its area, at or above each level of the zones */
    int level;                      /* highest that touches it; 0: none */
};

struct communes {
    size_t count;
    struct commune *list; /* in the order of the files */
};

/* `paths`: GeoJSON of polygons; properties "people" (a number, not below 0) and "code" (text) where
 * known. ERR_INVALID: another kind of people or code, a ';' in a name; those of grid/area.h and
 * grid/mask.h. communes_finish() in any case. */
int communes_cut(const char *const *paths, size_t count, const struct zones *zones,
                 const struct release *release, struct communes *ret_communes, struct err *ret_err);
void communes_finish(struct communes *communes);

/* People in the lowest zone; NaN: of a touched commune they are not told. 0: no commune is touched.
 */
double communes_people(const struct communes *communes);

/* Names of touched communes, highest level first, at most `most`, with ", " between. Returns how
 * many are touched. */
size_t communes_names(const struct communes *communes, size_t most, char *ret_names, size_t size);

/* One row a touched commune and zone, highest level first: id, name, code, level, share, people
 * (null: not told). NULL: no memory. */
json_t *communes_json(const struct communes *communes, const struct zones *zones);

#endif
