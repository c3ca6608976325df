/* Where the cells of a variable are and when its frames were. Part of ncfile.h. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/grid/ncpriv.h"

static const double gregorian_start_ms = -12219292800000.0; /* 1582-10-15 */
static const double last_time_ms = 7258118400000.0;         /* 2200-01-01 */

static bool is_one_of(const char *text, const char *const *list) {
    for (; *list != NULL; list++) {
        if (strcmp(text, *list) == 0) {
            return true;
        }
    }
    return false;
}

/* CF-1.8, sections 4.1 and 4.2: all spellings of the units. */
static const char *const units_east[] = {"degrees_east", "degree_east", "degree_E", "degrees_E",
                                         "degreeE",      "degreesE",    NULL};
static const char *const units_north[] = {"degrees_north", "degree_north", "degree_N", "degrees_N",
                                          "degreeN",       "degreesN",     NULL};

char ncpriv_axis_kind(const struct ncfile *file, int variable) {
    static const char *const x_names[] = {"projection_x_coordinate", "longitude", "grid_longitude",
                                          "projection_x_angular_coordinate", NULL};
    static const char *const y_names[] = {"projection_y_coordinate", "latitude", "grid_latitude",
                                          "projection_y_angular_coordinate", NULL};
    static const char *const x_plain[] = {"x", "lon", "longitude", "easting", "rlon", "nx", NULL};
    static const char *const y_plain[] = {"y", "lat", "latitude", "northing", "rlat", "ny", NULL};
    char text[NC_TEXT_MAX];
    if (ncpriv_text(file, variable, "axis", text, sizeof text) == 0 && strlen(text) == 1 &&
        strchr("XYTxyt", text[0]) != NULL) {
        return (char)(text[0] & ~0x20);
    }
    if (ncpriv_text(file, variable, "standard_name", text, sizeof text) == 0) {
        if (strcmp(text, "time") == 0) {
            return 'T';
        }
        if (is_one_of(text, x_names) || is_one_of(text, y_names)) {
            return is_one_of(text, x_names) ? 'X' : 'Y';
        }
    }
    if (ncpriv_text(file, variable, "units", text, sizeof text) == 0) {
        if (strstr(text, " since ") != NULL) {
            return 'T';
        }
        if (is_one_of(text, units_east) || is_one_of(text, units_north)) {
            return is_one_of(text, units_east) ? 'X' : 'Y';
        }
    }
    char name[NC_MAX_NAME + 1];
    if (nc_inq_varname(file->id, variable, name) != NC_NOERR) {
        return 0;
    }
    return (char)(is_one_of(name, x_plain) ? 'X' : is_one_of(name, y_plain) ? 'Y' : 0);
}

/* All numbers of a coordinate variable, unpacked; a missing one is refused. */
static int read_coordinate(const struct ncvar *var, int id, const char *name, size_t count,
                           double *ret_values, struct err *ret_err) {
    double scale = 1.0;
    double offset = 0.0;
    double fill = NAN;
    size_t length;
    nc_type type;
    int status = nc_get_var_double(var->file->id, id, ret_values);
    if (status != NC_NOERR) {
        return ncpriv_refuse(var, ret_err, ERR_CORRUPT, "coordinate %.60s is not readable: %s",
                             name, nc_strerror(status));
    }
    (void)ncpriv_numbers(var->file, id, "scale_factor", 1, &scale, &length, &type); /* optional */
    (void)ncpriv_numbers(var->file, id, "add_offset", 1, &offset, &length, &type);
    (void)ncpriv_numbers(var->file, id, "_FillValue", 1, &fill, &length, &type);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(ret_values[i]) || ret_values[i] == fill ||
            fabs(ret_values[i]) >= 0.99 * (double)NC_FILL_FLOAT) {
            return ncpriv_refuse(var, ret_err, ERR_INVALID, "coordinate %.60s is missing at %zu",
                                 name, i);
        }
        ret_values[i] = ret_values[i] * scale + offset;
    }
    return 0;
}

/* The 1-D coordinate variable of a dimension; ERR_NOT_FOUND without message when there is none. */
static int find_coordinate(const struct ncvar *var, int position, int *ret_id, char *ret_name) {
    int id;
    int dim_count;
    int dim;
    if (nc_inq_dimname(var->file->id, var->dims[position], ret_name) != NC_NOERR ||
        nc_inq_varid(var->file->id, ret_name, &id) != NC_NOERR ||
        nc_inq_varndims(var->file->id, id, &dim_count) != NC_NOERR || dim_count != 1 ||
        nc_inq_vardimid(var->file->id, id, &dim) != NC_NOERR || dim != var->dims[position]) {
        return ERR_NOT_FOUND;
    }
    *ret_id = id;
    return 0;
}

/* Edges from CF bounds, where these are contiguous; else they stay half way between centres. */
static void take_bounds(const struct ncvar *var, int id, size_t count, double scale,
                        const double *centre, double *edge) {
    char name[NC_TEXT_MAX];
    int bounds;
    int dim_count;
    int dims[2];
    size_t lengths[2] = {0, 0};
    if (ncpriv_text(var->file, id, "bounds", name, sizeof name) != 0 ||
        nc_inq_varid(var->file->id, name, &bounds) != NC_NOERR ||
        nc_inq_varndims(var->file->id, bounds, &dim_count) != NC_NOERR || dim_count != 2 ||
        nc_inq_vardimid(var->file->id, bounds, dims) != NC_NOERR ||
        nc_inq_dimlen(var->file->id, dims[0], &lengths[0]) != NC_NOERR ||
        nc_inq_dimlen(var->file->id, dims[1], &lengths[1]) != NC_NOERR || lengths[0] != count ||
        lengths[1] != 2) {
        return;
    }
    double *pair = malloc(2 * count * sizeof *pair);
    if (pair == NULL || nc_get_var_double(var->file->id, bounds, pair) != NC_NOERR) {
        free(pair);
        return;
    }
    size_t low = (pair[1] > pair[0]) == (centre[1] > centre[0]) ? 0 : 1;
    double tolerance = 1e-6 * fabs(centre[1] - centre[0]);
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        double start = pair[2 * i + low] * scale;
        double end = pair[2 * i + (1 - low)] * scale;
        good = (centre[i] - start) * (end - centre[i]) > 0 &&
               (i == 0 || fabs(start - pair[2 * i - 1 - low] * scale) <= tolerance);
    }
    for (size_t i = 0; i <= count && good; i++) {
        edge[i] = scale * (i < count ? pair[2 * i + low] : pair[2 * count - 1 - low]);
    }
    free(pair);
}

/* Attributes of the grid mapping variable. ERR_NOT_FOUND without message: none is named. */
static int read_mapping(const struct ncvar *var, struct grid_mapping *ret_mapping,
                        struct err *ret_err) {
    char name[NC_TEXT_MAX];
    int id;
    int count;
    if (ncpriv_text(var->file, var->id, "grid_mapping", name, sizeof name) != 0) {
        return ERR_NOT_FOUND;
    }
    name[strcspn(name, ": ")] = '\0'; /* the extended form "crs: x y" */
    if (nc_inq_varid(var->file->id, name, &id) != NC_NOERR ||
        nc_inq_varnatts(var->file->id, id, &count) != NC_NOERR) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID,
                             "its grid_mapping '%.60s' is not in the file", name);
    }
    struct grid_mapping mapping = {.count = 0};
    for (int i = 0; i < count; i++) {
        char attribute[NC_MAX_NAME + 1];
        char text[NC_TEXT_MAX];
        double numbers[GRID_MAPPING_NUMBERS_MAX];
        size_t length;
        nc_type type;
        int result = 0;
        if (nc_inq_attname(var->file->id, id, i, attribute) != NC_NOERR ||
            strlen(attribute) >= GRID_NAME_MAX || attribute[0] == '_') {
            continue;
        }
        if (ncpriv_numbers(var->file, id, attribute, GRID_MAPPING_NUMBERS_MAX, numbers, &length,
                           &type) == 0) {
            result = grid_mapping_add_numbers(&mapping, attribute, length, numbers);
        } else if (ncpriv_text(var->file, id, attribute, text, sizeof text) == 0) {
            result = grid_mapping_add_text(&mapping, attribute, text);
        }
        if (result != 0) {
            grid_mapping_finish(&mapping);
            return ncpriv_refuse(var, ret_err, result,
                                 "grid_mapping '%.60s' has too many attributes", name);
        }
    }
    if (mapping.count == 0) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID, "grid_mapping '%.60s' has no attributes",
                             name);
    }
    *ret_mapping = mapping;
    return 0;
}

/* Whether the axes are angles, and the factor to degrees or metres. */
static int axis_unit(const struct ncvar *var, int id, const char *name, bool *ret_degrees,
                     double *ret_scale, struct err *ret_err) {
    char units[NC_TEXT_MAX];
    double offset;
    if (ncpriv_text(var->file, id, "units", units, sizeof units) != 0) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID, "coordinate %.60s has no units", name);
    }
    if (grid_env_unit(var->file->env, units, "m", ret_scale, &offset, NULL) == 0) {
        *ret_degrees = false;
        return 0;
    }
    if (grid_env_unit(var->file->env, units, "degree", ret_scale, &offset, NULL) == 0) {
        *ret_degrees = true;
        return 0;
    }
    return ncpriv_refuse(var, ret_err, ERR_INVALID,
                         "coordinate %.60s has unit '%.60s'; a length or an angle expected", name,
                         units);
}

/* False origins are in the unit of the axes (CF-1.8, table F.1); ours are metres. Geostationary
 * axes are angles, which PROJ multiplies by the height of the satellite. */
static void adapt_mapping(struct grid_mapping *mapping, double scale) {
    for (size_t i = 0; i < mapping->count; i++) {
        struct grid_attribute *attribute = &mapping->attributes[i];
        if (attribute->number_count > 0 && (strcmp(attribute->name, "false_easting") == 0 ||
                                            strcmp(attribute->name, "false_northing") == 0)) {
            attribute->numbers[0] *= scale;
        }
    }
}

static double satellite_height(const struct grid_mapping *mapping) {
    const struct grid_attribute *name = grid_mapping_find(mapping, "grid_mapping_name");
    const struct grid_attribute *height = grid_mapping_find(mapping, "perspective_point_height");
    bool geos = name != NULL && name->text != NULL && strcmp(name->text, "geostationary") == 0;
    return geos && height != NULL && height->number_count > 0 ? height->numbers[0] : 0.0;
}

struct axes {
    int x_id;
    int y_id;
    char x_name[NC_MAX_NAME + 1];
    char y_name[NC_MAX_NAME + 1];
    bool degrees;
    double x_scale;
    double y_scale;
};

static int make_rectilinear(struct ncvar *var, struct axes *axes, struct grid_mapping *mapping,
                            struct grid **ret_grid, struct err *ret_err) {
    struct err inner;
    struct grid *grid = NULL;
    double height_m = axes->degrees ? satellite_height(mapping) : 0.0;
    if (height_m > 0.0) {
        axes->degrees = false;
        axes->x_scale *= height_m * 3.14159265358979323846 / 180.0;
        axes->y_scale *= height_m * 3.14159265358979323846 / 180.0;
    } else if (!axes->degrees) {
        adapt_mapping(mapping, axes->x_scale);
    }
    double *x = malloc((var->columns + var->rows) * sizeof *x);
    if (x == NULL) {
        return ncpriv_refuse(var, ret_err, ERR_MEMORY, "no memory for axes");
    }
    double *y = x + var->columns;
    int result = read_coordinate(var, axes->x_id, axes->x_name, var->columns, x, ret_err);
    if (result == 0) {
        result = read_coordinate(var, axes->y_id, axes->y_name, var->rows, y, ret_err);
    }
    for (size_t i = 0; result == 0 && i < var->columns; i++) {
        x[i] *= axes->x_scale;
    }
    for (size_t i = 0; result == 0 && i < var->rows; i++) {
        y[i] *= axes->y_scale;
    }
    if (result == 0) {
        result = grid_create(var->rows, var->columns, x, y, mapping, &grid, &inner);
        if (result != 0) {
            result = ncpriv_refuse(var, ret_err, result, "%s", inner.text);
        } else if (grid->degrees != axes->degrees) {
            result = ncpriv_refuse(var, ret_err, ERR_INVALID,
                                   "axes in %s do not go with its grid mapping (%.120s)",
                                   axes->degrees ? "degrees" : "metres", grid->crs);
        } else {
            take_bounds(var, axes->x_id, var->columns, axes->x_scale, grid->x, grid->x_edge);
            take_bounds(var, axes->y_id, var->rows, axes->y_scale, grid->y, grid->y_edge);
        }
    }
    free(x);
    if (result != 0) {
        grid_destroy(grid);
        return result;
    }
    *ret_grid = grid;
    return 0;
}

/* A 2-D longitude or latitude over the same two dimensions; -1 when there is none. */
static int find_plane(const struct ncvar *var, const char *standard_name,
                      const char *const *units) {
    int count = 0;
    (void)nc_inq_nvars(var->file->id, &count); /* checked at open */
    for (int i = 0; i < count; i++) {
        char text[NC_TEXT_MAX];
        int dim_count;
        int dims[2];
        if (nc_inq_varndims(var->file->id, i, &dim_count) != NC_NOERR || dim_count != 2 ||
            nc_inq_vardimid(var->file->id, i, dims) != NC_NOERR ||
            dims[0] != var->dims[var->dim_count - 2] || dims[1] != var->dims[var->dim_count - 1]) {
            continue;
        }
        if ((ncpriv_text(var->file, i, "standard_name", text, sizeof text) == 0 &&
             strcmp(text, standard_name) == 0) ||
            (ncpriv_text(var->file, i, "units", text, sizeof text) == 0 &&
             is_one_of(text, units))) {
            return i;
        }
    }
    return -1;
}

static int make_curvilinear(struct ncvar *var, int lon_id, int lat_id, struct grid **ret_grid,
                            struct err *ret_err) {
    struct err inner;
    size_t count = var->rows * var->columns; /* within frame_bytes_max */
    if (var->transposed) {
        return ncpriv_refuse(var, ret_err, ERR_UNSUPPORTED,
                             "dimensions (x, y) with 2-D longitude; (y, x) expected");
    }
    double *lon = malloc(2 * count * sizeof *lon);
    if (lon == NULL) {
        return ncpriv_refuse(var, ret_err, ERR_MEMORY, "no memory for 2-D coordinates");
    }
    int result = read_coordinate(var, lon_id, "longitude", count, lon, ret_err);
    if (result == 0) {
        result = read_coordinate(var, lat_id, "latitude", count, lon + count, ret_err);
    }
    if (result == 0) {
        result =
            grid_create_curvilinear(var->rows, var->columns, lon, lon + count, ret_grid, &inner);
        if (result != 0) {
            result = ncpriv_refuse(var, ret_err, result, "%s", inner.text);
        }
    }
    free(lon);
    return result;
}

/* `local`: latitude and longitude of the origin of axes in metres without a mapping; NULL: such
 * axes are refused. */
static int make_grid(struct ncvar *var, const double *local, struct grid **ret_grid,
                     struct err *ret_err) {
    struct axes axes = {.x_id = -1, .y_id = -1};
    struct grid_mapping mapping = {.count = 0};
    int last = var->dim_count - 1;
    int x_dim = var->transposed ? last - 1 : last;
    int y_dim = var->transposed ? last : last - 1;
    bool has_axes = find_coordinate(var, x_dim, &axes.x_id, axes.x_name) == 0 &&
                    find_coordinate(var, y_dim, &axes.y_id, axes.y_name) == 0;
    bool y_degrees = false;
    int result = 0;
    if (has_axes) {
        result = axis_unit(var, axes.x_id, axes.x_name, &axes.degrees, &axes.x_scale, ret_err);
        if (result == 0) {
            result = axis_unit(var, axes.y_id, axes.y_name, &y_degrees, &axes.y_scale, ret_err);
        }
        if (result == 0 && y_degrees != axes.degrees) {
            result =
                ncpriv_refuse(var, ret_err, ERR_INVALID,
                              "coordinates %.60s and %.60s are not both lengths or both angles",
                              axes.x_name, axes.y_name);
        }
    }
    if (result != 0) {
        return result;
    }
    result = read_mapping(var, &mapping, ret_err);
    if (result != 0 && result != ERR_NOT_FOUND) {
        return result;
    }
    bool has_mapping = result == 0;
    if (has_axes && !has_mapping && !axes.degrees && local != NULL) {
        has_mapping = grid_mapping_plane(&mapping, local[0], local[1]) == 0;
    }
    if (has_axes && (has_mapping || axes.degrees)) {
        result = make_rectilinear(var, &axes, &mapping, ret_grid, ret_err);
    } else {
        int lon_id = find_plane(var, "longitude", units_east);
        int lat_id = find_plane(var, "latitude", units_north);
        if (lon_id >= 0 && lat_id >= 0) {
            result = make_curvilinear(var, lon_id, lat_id, ret_grid, ret_err);
        } else if (has_axes) {
            result = ncpriv_refuse(var, ret_err, ERR_INVALID,
                                   "axes in metres without grid_mapping: no place on the ground");
        } else {
            result = ncpriv_refuse(var, ret_err, ERR_INVALID,
                                   "neither 1-D coordinates of its last two dimensions nor 2-D "
                                   "longitude and latitude");
        }
    }
    grid_mapping_finish(&mapping);
    return result;
}

/* An auxiliary coordinate with standard_name time over one dimension. -1 when there is none. */
static int find_auxiliary_time(const struct ncvar *var, int dimension, char *ret_name) {
    int count = 0;
    (void)nc_inq_nvars(var->file->id, &count); /* checked at open */
    for (int i = 0; i < count; i++) {
        char text[NC_TEXT_MAX];
        int dim_count = 0;
        int dim = -1;
        if (nc_inq_var(var->file->id, i, ret_name, NULL, &dim_count, NULL, NULL) == NC_NOERR &&
            dim_count == 1 && nc_inq_vardimid(var->file->id, i, &dim) == NC_NOERR &&
            dim == dimension &&
            ncpriv_text(var->file, i, "standard_name", text, sizeof text) == 0 &&
            strcmp(text, "time") == 0) {
            return i;
        }
    }
    return -1;
}

int ncvar_grid(struct ncvar *var, struct grid **ret_grid, struct err *ret_err) {
    return make_grid(var, NULL, ret_grid, ret_err);
}

int ncvar_grid_local(struct ncvar *var, double latitude_deg, double longitude_deg,
                     struct grid **ret_grid, struct err *ret_err) {
    const double local[] = {latitude_deg, longitude_deg};
    return make_grid(var, local, ret_grid, ret_err);
}

/* The time coordinate: of the time dimension, else a scalar. -1 when there is none. */
static int find_time(const struct ncvar *var, char *ret_name) {
    int id = -1;
    if (var->time_dim >= 0) {
        int found = find_coordinate(var, var->time_dim, &id, ret_name);
        return found == 0 && ncpriv_axis_kind(var->file, id) == 'T'
                   ? id
                   : find_auxiliary_time(var, var->dims[var->time_dim], ret_name);
    }
    int count = 0;
    (void)nc_inq_nvars(var->file->id, &count); /* checked at open */
    for (int i = 0; i < count; i++) {
        char text[NC_TEXT_MAX];
        int dim_count;
        int dim;
        size_t length = 1;
        if (nc_inq_var(var->file->id, i, ret_name, NULL, &dim_count, NULL, NULL) != NC_NOERR ||
            dim_count > 1) {
            continue;
        }
        if (dim_count == 1 && (nc_inq_vardimid(var->file->id, i, &dim) != NC_NOERR ||
                               nc_inq_dimlen(var->file->id, dim, &length) != NC_NOERR)) {
            continue;
        }
        bool named = strcmp(ret_name, "time") == 0 ||
                     (ncpriv_text(var->file, i, "standard_name", text, sizeof text) == 0 &&
                      strcmp(text, "time") == 0);
        if (named && length == 1) {
            return i;
        }
    }
    return -1;
}

/* Times to milliseconds since 1970, in place; the first of them is the reference date itself. */
static int convert_times(struct ncvar *var, int id, const char *name, size_t count, double *times,
                         struct err *ret_err) {
    char units[NC_TEXT_MAX];
    char calendar[NC_TEXT_MAX];
    struct err inner;
    if (ncpriv_text(var->file, id, "units", units, sizeof units) != 0) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID, "coordinate %.60s has no units", name);
    }
    if (grid_env_times_ms(var->file->env, units, count, times, &inner) != 0) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID, "coordinate %.60s: %.200s", name,
                             inner.text);
    }
    if (ncpriv_text(var->file, id, "calendar", calendar, sizeof calendar) != 0) {
        return 0; /* CF: standard */
    }
    bool standard = strcasecmp(calendar, "standard") == 0 || strcasecmp(calendar, "gregorian") == 0;
    bool proleptic = strcasecmp(calendar, "proleptic_gregorian") == 0;
    if (!standard && !(proleptic && times[0] >= gregorian_start_ms)) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID,
                             "coordinate %.60s (%.60s) has calendar '%.60s'; real dates expected",
                             name, units, calendar);
    }
    return 0;
}

static int check_times(const struct ncvar *var, const int64_t *time_us, size_t count,
                       int64_t newest_utc_us, struct err *ret_err) {
    char text[32];
    char limit[32];
    for (size_t i = 0; i < count; i++) {
        text_format_time(time_us[i], text, sizeof text);
        if (i > 0 && time_us[i] == time_us[i - 1]) {
            return ncpriv_refuse(var, ret_err, ERR_INVALID, "time %s is repeated (frames %zu, %zu)",
                                 text, i - 1, i);
        }
        if (i > 0 && time_us[i] < time_us[i - 1]) {
            return ncpriv_refuse(var, ret_err, ERR_INVALID,
                                 "times are not in order: frame %zu at %s", i, text);
        }
        if (time_us[i] > newest_utc_us) {
            text_format_time(newest_utc_us, limit, sizeof limit);
            return ncpriv_refuse(var, ret_err, ERR_INVALID,
                                 "time %s of frame %zu lies in the future (latest allowed %s)",
                                 text, i, limit);
        }
    }
    return 0;
}

/* float32 times: how far apart the nearest two are that it can hold. */
static int check_resolution(const struct ncvar *var, const char *name, size_t count,
                            const double *values, const double *times_ms, struct err *ret_err) {
    double scale = times_ms[2] - times_ms[1];
    for (size_t i = 0; i < count; i++) {
        double step_ms = fabs(scale * values[i]) * (double)FLT_EPSILON;
        if (step_ms > 1000.0) {
            return ncpriv_refuse(var, ret_err, ERR_INVALID,
                                 "coordinate %.60s is float32 with steps of %.0f s; double or "
                                 "integer expected",
                                 name, step_ms / 1000.0);
        }
    }
    return 0;
}

int ncvar_times_stored(struct ncvar *var, int64_t *ret_utc_us, struct err *ret_err) {
    enum { EXTRA = 3 }; /* 0, 0 and 1 of the unit: reference date and length of the unit */
    char name[NC_MAX_NAME + 1];
    size_t count = ncvar_frame_count(var);
    nc_type type;
    int id = find_time(var, name);
    if (id < 0 || nc_inq_vartype(var->file->id, id, &type) != NC_NOERR) {
        return ncpriv_refuse(var, ret_err, ERR_INVALID, "no time coordinate");
    }
    double *values = malloc((2 * count + EXTRA) * sizeof *values);
    int64_t *time_us = malloc(count * sizeof *time_us);
    int result = 0;
    if (values == NULL || time_us == NULL) {
        result = ncpriv_refuse(var, ret_err, ERR_MEMORY, "no memory for times");
    } else {
        result = read_coordinate(var, id, name, count, values, ret_err);
    }
    double *times_ms = values != NULL ? values + count : NULL;
    if (result == 0) {
        times_ms[0] = times_ms[1] = 0.0;
        times_ms[2] = 1.0;
        memcpy(times_ms + EXTRA, values, count * sizeof *values);
        result = convert_times(var, id, name, count + EXTRA, times_ms, ret_err);
    }
    if (result == 0 && type == NC_FLOAT) {
        result = check_resolution(var, name, count, values, times_ms, ret_err);
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        double ms = times_ms[EXTRA + i];
        if (!(ms >= 0.0 && ms < last_time_ms)) {
            result =
                ncpriv_refuse(var, ret_err, ERR_RANGE,
                              "time %.17g of frame %zu is not between 1970 and 2199", values[i], i);
        } else {
            time_us[i] = llround(ms) * 1000;
        }
    }
    if (result == 0) {
        memcpy(ret_utc_us, time_us, count * sizeof *time_us);
    }
    free(values);
    free(time_us);
    return result;
}

int ncvar_times(struct ncvar *var, int64_t newest_utc_us, int64_t *ret_utc_us,
                struct err *ret_err) {
    size_t count = ncvar_frame_count(var);
    int64_t *time_us = malloc(count * sizeof *time_us);
    int result = time_us == NULL ? ncpriv_refuse(var, ret_err, ERR_MEMORY, "no memory for times")
                                 : ncvar_times_stored(var, time_us, ret_err);
    if (result == 0) {
        result = check_times(var, time_us, count, newest_utc_us, ret_err);
    }
    if (result == 0) {
        memcpy(ret_utc_us, time_us, count * sizeof *time_us);
    }
    free(time_us);
    return result;
}

int ncfile_reference_us(struct ncfile *file, int64_t *ret_utc_us) {
    int id;
    int dims;
    char units[128];
    double ms;
    if (nc_inq_varid(file->id, "forecast_reference_time", &id) != NC_NOERR) {
        return ERR_NOT_FOUND;
    }
    if (nc_inq_varndims(file->id, id, &dims) != NC_NOERR || dims != 0 ||
        nc_get_var_double(file->id, id, &ms) != NC_NOERR ||
        ncpriv_text(file, id, "units", units, sizeof units) != 0 ||
        grid_env_times_ms(file->env, units, 1, &ms, NULL) != 0 ||
        !(ms >= 0.0 && ms < last_time_ms)) {
        return ERR_INVALID;
    }
    *ret_utc_us = llround(ms) * 1000;
    return 0;
}
