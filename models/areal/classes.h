/* Cell classes as areas: a grid of classes (terrain, susceptibility; flag_values and flag_meanings
 * of CF NetCDF) on the very grid of the rain.
 *
 * Without polygons every class is an area of the id CLASS: all cells of the class. With polygons
 * every class of every polygon is one, of the id AREA.CLASS: the cells of the class with the share
 * that the polygon covers of each. A cell whose class is missing belongs to no class.
 * Thread rule: as grid_env for loading; loaded classes are read-only. */
#ifndef CANHBAO_MODELS_AREAL_CLASSES_H
#define CANHBAO_MODELS_AREAL_CLASSES_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "models/grid/area.h"
#include "models/grid/env.h"
#include "models/grid/grid.h"
#include "models/grid/mask.h"

/* FILE.nc[:VARIABLE], opened before the cage is entered. */
struct classes_file {
    char path[4096];
    char variable[256]; /* empty: the only one with flag_meanings */
    int fd;
};

struct classes;

/* Splits at the last ':' after the last '/' and opens. ERR_LIMIT, ERR_IO. */
int classes_file_open(const char *text, struct classes_file *ret_file, struct err *ret_err);

/* Reads the classes and appends their areas (without rings) to the list, which is all polygons so
 * far. Refused by name: another grid than `grid`, more than one frame, what ncflags.h refuses, a
 * value that is not in flag_values, an id that would not be one (text_is_id()) or is there already;
 * the list holds what it held then. */
int classes_load(struct grid_env *env, const struct classes_file *file, const struct grid *grid,
                 struct area_list *areas, struct classes **ret_classes, struct err *ret_err);
void classes_destroy(struct classes *classes);

/* How many areas at the front of the list are polygons; the others are classes. */
size_t classes_polygons(const struct classes *classes);

/* Which polygon area `index` of the list is a part of; SIZE_MAX: of none, the whole grid. */
size_t classes_parent(const struct classes *classes, size_t index);

/* The cells of area `index` of the list; `parent` is the mask of its polygon, NULL when it has
 * none. count 0: no such cell. ERR_MEMORY. */
int classes_mask(const struct classes *classes, size_t index, const struct mask *parent,
                 const double *cell_area_m2, struct mask **ret_mask, struct err *ret_err);

/* For the manifest. */
const char *classes_hash(const struct classes *classes);
const char *classes_variable(const struct classes *classes);

#endif
