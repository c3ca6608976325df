#include "models/grid/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <geodesic.h>

#include "daemon/base/text.h"
#include "models/grid/geo.h"

static const double degree = 3.14159265358979323846 / 180.0;
static const double same_tolerance = 1e-3; /* of a cell */

static double *copy_array(const double *from, size_t count) {
    double *copy = malloc(count * sizeof *copy);
    if (copy != NULL) {
        memcpy(copy, from, count * sizeof *copy);
    }
    return copy;
}

/* Half way between centres; the rim as wide as its neighbour. */
static double *edges_of(const double *centre, size_t count) {
    double *edge = malloc((count + 1) * sizeof *edge);
    if (edge == NULL) {
        return NULL;
    }
    for (size_t i = 1; i < count; i++) {
        edge[i] = 0.5 * (centre[i - 1] + centre[i]);
    }
    edge[0] = centre[0] - (edge[1] - centre[0]);
    edge[count] = centre[count - 1] + (centre[count - 1] - edge[count - 1]);
    return edge;
}

static int check_axis(const char *axis, const double *centre, size_t count, struct err *ret_err) {
    if (count < 2) {
        return err_set(ret_err, ERR_INVALID, "axis %s has %zu cells; at least 2 expected", axis,
                       count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(centre[i])) {
            return err_set(ret_err, ERR_INVALID, "axis %s has no number at index %zu", axis, i);
        }
        if (i > 0 && !((centre[i] - centre[i - 1]) * (centre[1] - centre[0]) > 0)) {
            return err_set(ret_err, ERR_INVALID,
                           "axis %s is not strictly monotonic at index %zu (%g after %g)", axis, i,
                           centre[i], centre[i - 1]);
        }
    }
    return 0;
}

static int check_degrees(const struct grid *grid, struct err *ret_err) {
    for (size_t i = 0; i < grid->rows; i++) {
        if (fabs(grid->y[i]) > 90.0) {
            return err_set(ret_err, ERR_INVALID, "axis y has latitude %g degrees at index %zu",
                           grid->y[i], i);
        }
    }
    /* cells on the pole end there */
    double *ends[] = {&grid->y_edge[0], &grid->y_edge[grid->rows]};
    for (size_t i = 0; i < 2; i++) {
        *ends[i] = fmin(90.0, fmax(-90.0, *ends[i]));
    }
    double width = fabs(grid->x_edge[grid->columns] - grid->x_edge[0]);
    if (width > 360.0 + 1e-6 || fabs(grid->x[0]) > 720.0) {
        return err_set(ret_err, ERR_INVALID,
                       "axis x spans %g degrees from %g; at most 360 expected", width, grid->x[0]);
    }
    return 0;
}

int grid_create(size_t rows, size_t columns, const double *x, const double *y,
                const struct grid_mapping *mapping, struct grid **ret_grid, struct err *ret_err) {
    int result = check_axis("x", x, columns, ret_err);
    if (result == 0) {
        result = check_axis("y", y, rows, ret_err);
    }
    if (result != 0) {
        return result;
    }
    static const struct grid_mapping none = {.count = 0};
    mapping = mapping != NULL ? mapping : &none;
    struct grid *grid = calloc(1, sizeof *grid);
    if (grid == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a grid");
    }
    grid->rows = rows;
    grid->columns = columns;
    grid->x = copy_array(x, columns);
    grid->y = copy_array(y, rows);
    if (grid->x != NULL && grid->y != NULL) {
        grid->x_edge = edges_of(x, columns);
        grid->y_edge = edges_of(y, rows);
    }
    if (grid->x_edge == NULL || grid->y_edge == NULL ||
        grid_mapping_copy(mapping, &grid->mapping) != 0) {
        result = err_set(ret_err, ERR_MEMORY, "no memory for a grid");
    }
    if (result == 0) {
        result = grid_mapping_crs(mapping, grid->crs, sizeof grid->crs, &grid->geographic,
                                  &grid->degrees, ret_err);
    }
    if (result == 0 && grid->degrees) {
        result = check_degrees(grid, ret_err);
    }
    if (result != 0) {
        grid_destroy(grid);
        return result;
    }
    *ret_grid = grid;
    return 0;
}

int grid_create_curvilinear(size_t rows, size_t columns, const double *lon, const double *lat,
                            struct grid **ret_grid, struct err *ret_err) {
    if (rows < 2 || columns < 2) {
        return err_set(ret_err, ERR_INVALID, "a grid of %zu x %zu cells; at least 2 x 2 expected",
                       rows, columns);
    }
    size_t count = rows * columns;
    for (size_t i = 0; i < count; i++) {
        if (!(fabs(lon[i]) <= 720.0) || !(fabs(lat[i]) <= 90.0)) {
            return err_set(ret_err, ERR_INVALID,
                           "cell %zu, %zu lies at longitude %g, latitude %g degrees", i / columns,
                           i % columns, lon[i], lat[i]);
        }
    }
    struct grid *grid = calloc(1, sizeof *grid);
    if (grid == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a grid");
    }
    grid->rows = rows;
    grid->columns = columns;
    grid->curvilinear = grid->geographic = grid->degrees = true;
    grid->lon = copy_array(lon, count);
    grid->lat = copy_array(lat, count);
    if (grid->lon == NULL || grid->lat == NULL) {
        grid_destroy(grid);
        return err_set(ret_err, ERR_MEMORY, "no memory for a grid");
    }
    /* One branch of the longitude, so that no cell spans the seam. */
    for (size_t i = 0; i < count; i++) {
        grid->lon[i] -= 360.0 * round((grid->lon[i] - lon[count / 2]) / 360.0);
    }
    static const struct grid_mapping none = {.count = 0};
    bool flag;
    (void)grid_mapping_crs(&none, grid->crs, sizeof grid->crs, &flag, &flag, NULL); /* constant */
    *ret_grid = grid;
    return 0;
}

void grid_destroy(struct grid *grid) {
    if (grid == NULL) {
        return;
    }
    free(grid->x);
    free(grid->y);
    free(grid->x_edge);
    free(grid->y_edge);
    free(grid->lon);
    free(grid->lat);
    grid_mapping_finish(&grid->mapping);
    free(grid);
}

static bool same_axis(const double *a, const double *b, size_t count) {
    double tolerance = same_tolerance * fabs(a[count - 1] - a[0]) / (double)(count - 1);
    for (size_t i = 0; i < count; i++) {
        if (!(fabs(a[i] - b[i]) <= tolerance)) {
            return false;
        }
    }
    return true;
}

bool grid_same(const struct grid *a, const struct grid *b) {
    if (a->rows != b->rows || a->columns != b->columns || a->curvilinear != b->curvilinear ||
        strcmp(a->crs, b->crs) != 0) {
        return false;
    }
    if (!a->curvilinear) {
        return same_axis(a->x, b->x, a->columns) && same_axis(a->y, b->y, a->rows);
    }
    for (size_t i = 0; i < a->rows * a->columns; i++) {
        /* float32 coordinates of two files may differ in the last bit */
        if (!(fabs(a->lon[i] - b->lon[i]) <= 1e-4) || !(fabs(a->lat[i] - b->lat[i]) <= 1e-4)) {
            return false;
        }
    }
    return true;
}

/* Fractional index of a value between edges. */
static bool locate_axis(const double *centre, const double *edge, size_t count, double value,
                        double *ret_index) {
    bool ascending = edge[count] > edge[0];
    double low = ascending ? edge[0] : edge[count];
    double high = ascending ? edge[count] : edge[0];
    if (!(value >= low && value <= high)) {
        return false;
    }
    size_t first = 0;
    size_t last = count - 1;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (ascending ? value <= edge[middle + 1] : value >= edge[middle + 1]) {
            last = middle;
        } else {
            first = middle + 1;
        }
    }
    /* beside the centre of its cell, in units of the distance to the next centre or the rim */
    double offset = value - centre[first];
    bool up = ascending ? offset >= 0 : offset <= 0;
    double half = up ? edge[first + 1] - centre[first] : edge[first] - centre[first];
    *ret_index = (double)first + (half != 0.0 ? 0.5 * (up ? 1.0 : -1.0) * (offset / half) : 0.0);
    return true;
}

bool grid_locate(const struct grid *grid, double x, double y, double *ret_row, double *ret_column) {
    double row, column;
    if (grid->curvilinear) {
        return false;
    }
    if (grid->geographic) {
        double middle = 0.5 * (grid->x_edge[0] + grid->x_edge[grid->columns]);
        x -= 360.0 * round((x - middle) / 360.0);
    }
    if (!locate_axis(grid->x, grid->x_edge, grid->columns, x, &column) ||
        !locate_axis(grid->y, grid->y_edge, grid->rows, y, &row)) {
        return false;
    }
    *ret_row = row;
    *ret_column = column;
    return true;
}

/* Area of the ellipsoid between the equator and a latitude, per radian of longitude (Snyder 1987,
 * eq. 3-12 with 14-15). */
static double zone_m2(double lat_deg, double a_m, double b_m) {
    double s = sin(lat_deg * degree);
    double e2 = 1.0 - (b_m / a_m) * (b_m / a_m);
    double e = sqrt(e2);
    if (e < 1e-9) {
        return a_m * a_m * s;
    }
    return 0.5 * b_m * b_m * (s / (1.0 - e2 * s * s) + atanh(e * s) / e);
}

static void areas_degrees(const struct grid *grid, double a_m, double b_m, double *ret_area_m2) {
    for (size_t i = 0; i < grid->rows; i++) {
        double zone =
            fabs(zone_m2(grid->y_edge[i + 1], a_m, b_m) - zone_m2(grid->y_edge[i], a_m, b_m));
        for (size_t j = 0; j < grid->columns; j++) {
            double width = fabs(grid->x_edge[j + 1] - grid->x_edge[j]) * degree;
            ret_area_m2[i * grid->columns + j] = zone * width;
        }
    }
}

/* A cell from its corners, in the coordinates (longitude, zone area), where area is plane. `lat` in
 * degrees, `zone` from zone_m2, both at the corners; `corner` goes around. */
static double quad_m2(const double *lon, const double *lat, const double *zone,
                      const size_t *corner, double a_m, double b_m) {
    double twice = 0.0;
    bool around_pole = false;
    double x[4];
    for (size_t c = 0; c < 4; c++) {
        x[c] = lon[corner[c]] - lon[corner[0]];
        x[c] -= 360.0 * round(x[c] / 360.0);
        around_pole = around_pole || fabs(x[c]) > 90.0;
    }
    if (around_pole) {
        struct geod_geodesic ellipsoid;
        double cell_lon[4], cell_lat[4], area_m2;
        for (size_t c = 0; c < 4; c++) {
            cell_lon[c] = lon[corner[c]];
            cell_lat[c] = lat[corner[c]];
        }
        geod_init(&ellipsoid, a_m, (a_m - b_m) / a_m);
        geod_polygonarea(&ellipsoid, cell_lat, cell_lon, 4, &area_m2, NULL);
        return fabs(area_m2);
    }
    for (size_t c = 0; c < 4; c++) {
        size_t next = (c + 1) % 4;
        double z0 = zone[corner[c]] - zone[corner[0]];
        double z1 = zone[corner[next]] - zone[corner[0]];
        twice += x[c] * z1 - x[next] * z0;
    }
    return 0.5 * fabs(twice) * degree;
}

/* All cells from the longitudes and latitudes of their corners, [(rows + 1) * (columns + 1)]. */
static int areas_from_corners(const struct grid *grid, const double *lon, const double *lat,
                              double a_m, double b_m, double *ret_area_m2, struct err *ret_err) {
    size_t count = (grid->rows + 1) * (grid->columns + 1);
    double *zone = malloc(count * sizeof *zone);
    if (zone == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for cell areas");
    }
    for (size_t i = 0; i < count; i++) {
        zone[i] = zone_m2(lat[i], a_m, b_m);
    }
    int result = 0;
    for (size_t i = 0; i < grid->rows && result == 0; i++) {
        for (size_t j = 0; j < grid->columns && result == 0; j++) {
            size_t k = i * (grid->columns + 1) + j;
            const size_t corner[] = {k, k + 1, k + grid->columns + 2, k + grid->columns + 1};
            double area_m2 = quad_m2(lon, lat, zone, corner, a_m, b_m);
            ret_area_m2[i * grid->columns + j] = area_m2;
            if (!(area_m2 > 0)) {
                result =
                    err_set(ret_err, ERR_INVALID, "cell %zu, %zu has no area on the ground", i, j);
            }
        }
    }
    free(zone);
    return result;
}

/* Longitudes and latitudes of the corners of a projected or curvilinear grid. */
static void corners_of(struct geo *geo, const struct grid *grid, double *ret_lon, double *ret_lat) {
    if (grid->curvilinear) {
        grid_corners(grid, ret_lon, ret_lat);
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i <= grid->rows; i++) {
        for (size_t j = 0; j <= grid->columns; j++) {
            ret_lon[count] = grid->x_edge[j];
            ret_lat[count++] = grid->y_edge[i];
        }
    }
    (void)geo_inverse(geo, count, ret_lon, ret_lat); /* a failure is NaN and gives no area */
}

void grid_corners(const struct grid *grid, double *ret_lon, double *ret_lat) {
    size_t rows = grid->rows;
    size_t columns = grid->columns;
    const double *fields[] = {grid->lon, grid->lat};
    double *corners[] = {ret_lon, ret_lat};
    for (size_t f = 0; f < 2; f++) {
        const double *v = fields[f];
        for (size_t i = 0; i <= rows; i++) {
            /* Bilinear at (i - 1/2, j - 1/2), from the nearest four centres; outside it
             * extrapolates. */
            size_t r = i == 0 ? 0 : i == rows ? rows - 2 : i - 1;
            double u = (double)i - 0.5 - (double)r;
            for (size_t j = 0; j <= columns; j++) {
                size_t c = j == 0 ? 0 : j == columns ? columns - 2 : j - 1;
                double w = (double)j - 0.5 - (double)c;
                const double *centre = v + r * columns + c;
                double p[] = {centre[0], centre[1], centre[columns], centre[columns + 1]};
                for (size_t k = 1; f == 0 && k < 4; k++) { /* longitudes on one branch */
                    p[k] -= 360.0 * round((p[k] - p[0]) / 360.0);
                }
                corners[f][i * (columns + 1) + j] =
                    (1 - u) * ((1 - w) * p[0] + w * p[1]) + u * ((1 - w) * p[2] + w * p[3]);
            }
        }
    }
}

int grid_cell_areas_m2(struct grid_env *env, const struct grid *grid, double *ret_area_m2,
                       struct err *ret_err) {
    struct geo *geo = NULL;
    double a_m, b_m;
    int result = geo_create(env, grid->crs, &geo, ret_err);
    if (result == 0) {
        result = geo_ellipsoid(geo, &a_m, &b_m, ret_err);
    }
    if (result == 0 && grid->degrees && !grid->curvilinear) {
        areas_degrees(grid, a_m, b_m, ret_area_m2);
    } else if (result == 0) {
        size_t count = (grid->rows + 1) * (grid->columns + 1);
        double *lon = malloc(2 * count * sizeof *lon);
        if (lon == NULL) {
            result = err_set(ret_err, ERR_MEMORY, "no memory for cell areas");
        } else {
            corners_of(geo, grid, lon, lon + count);
            result = areas_from_corners(grid, lon, lon + count, a_m, b_m, ret_area_m2, ret_err);
        }
        free(lon);
    }
    geo_destroy(geo);
    return result;
}
