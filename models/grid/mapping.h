/* CF grid mappings (CF-1.8, appendix F) and what PROJ calls them.
 *
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_GRID_MAPPING_H
#define CANHBAO_MODELS_GRID_MAPPING_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

enum {
    GRID_NAME_MAX = 64,
    GRID_CRS_MAX = 4096,
    GRID_MAPPING_ATTRIBUTES_MAX = 32,
    GRID_MAPPING_TEXT_MAX = 4096,
    GRID_MAPPING_NUMBERS_MAX = 7, /* towgs84 is the longest */
};

/* One attribute of a CF grid mapping variable (CF-1.8, appendix F): text, or 1 to 7 numbers. */
struct grid_attribute {
    char name[GRID_NAME_MAX];
    size_t number_count; /* 0: text */
    double numbers[GRID_MAPPING_NUMBERS_MAX];
    char *text; /* owned by the grid; NULL when numbers */
};

struct grid_mapping {
    size_t count; /* 0: none given; degrees on WGS 84 are meant */
    struct grid_attribute attributes[GRID_MAPPING_ATTRIBUTES_MAX];
};

/* Adds to a mapping under construction. ERR_LIMIT when full or too long, ERR_MEMORY. */
int grid_mapping_add_numbers(struct grid_mapping *mapping, const char *name, size_t count,
                             const double *numbers);
int grid_mapping_add_text(struct grid_mapping *mapping, const char *name, const char *text);
/* Fills an empty mapping with the plane about a point on WGS 84: azimuthal equidistant, metres east
 * and north. ERR_LIMIT, ERR_MEMORY. */
int grid_mapping_plane(struct grid_mapping *mapping, double latitude_deg, double longitude_deg);

/* NULL when there is none of that name. */
const struct grid_attribute *grid_mapping_find(const struct grid_mapping *mapping,
                                               const char *name);
/* Frees what the attributes own and empties the mapping. */
void grid_mapping_finish(struct grid_mapping *mapping);
int grid_mapping_copy(const struct grid_mapping *mapping, struct grid_mapping *ret_copy);

/* CF grid mapping -> PROJ. The attributes are used where grid_mapping_name is there; else crs_wkt,
 * spatial_ref, proj4 or epsg_code. Without figure of the Earth: WGS 84. ERR_UNSUPPORTED names the
 * mapping, ERR_INVALID the missing attribute. ret_geographic: coordinates are longitude and
 * latitude; ret_degrees: angles, perhaps of a rotated pole. */
int grid_mapping_crs(const struct grid_mapping *mapping, char *ret_crs, size_t size,
                     bool *ret_geographic, bool *ret_degrees, struct err *ret_err);

#endif
