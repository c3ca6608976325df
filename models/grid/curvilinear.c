#include "models/grid/curvilinear.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_PER_CELL = 8, SPARE_ENTRIES = 64 };

static const double rim = 1e-9; /* of a cell: what rounding may put outside */

struct box {
    double x_low, x_high, y_low, y_high;
};

struct curvilinear {
    size_t rows, columns; /* of quadrangles */
    double *lon, *lat;    /* [(rows + 1) * (columns + 1)] points */
    double middle;        /* longitude: others are brought to within 180 degrees */
    struct box box;
    size_t buckets_x, buckets_y;
    size_t *begin;   /* [buckets_x * buckets_y + 1] in entries */
    uint32_t *cells; /* rising in each bucket */
};

/* Buckets that a box meets. */
struct span {
    size_t x0, x1, y0, y1; /* both ends included */
};

static void grow(struct box *box, double x, double y) {
    box->x_low = fmin(box->x_low, x);
    box->x_high = fmax(box->x_high, x);
    box->y_low = fmin(box->y_low, y);
    box->y_high = fmax(box->y_high, y);
}

static const struct box nowhere = {INFINITY, -INFINITY, INFINITY, -INFINITY};

/* ---- quadrangles ---- */

/* Points around a cell: (row, column), then along the row, and around. */
static void points_of(const struct curvilinear *cells, size_t cell, size_t ret_points[4]) {
    size_t first = cell / cells->columns * (cells->columns + 1) + cell % cells->columns;
    ret_points[0] = first;
    ret_points[1] = first + 1;
    ret_points[2] = first + cells->columns + 2;
    ret_points[3] = first + cells->columns + 1;
}

static struct box box_of(const struct curvilinear *cells, size_t cell) {
    struct box box = nowhere;
    size_t points[4];
    points_of(cells, cell, points);
    for (size_t i = 0; i < 4; i++) {
        grow(&box, cells->lon[points[i]], cells->lat[points[i]]);
    }
    return box;
}

static size_t bucket_of(double value, double low, double high, size_t count) {
    double at = high > low ? (value - low) / (high - low) * (double)count : 0.0;
    return (size_t)fmin(fmax(at, 0.0), (double)(count - 1));
}

static struct span span_of(const struct curvilinear *cells, const struct box *box) {
    const struct box *all = &cells->box;
    return (struct span){bucket_of(box->x_low, all->x_low, all->x_high, cells->buckets_x),
                         bucket_of(box->x_high, all->x_low, all->x_high, cells->buckets_x),
                         bucket_of(box->y_low, all->y_low, all->y_high, cells->buckets_y),
                         bucket_of(box->y_high, all->y_low, all->y_high, cells->buckets_y)};
}

/* ---- buckets ---- */

/* Entries that all cells would need. */
static size_t count_entries(const struct curvilinear *cells) {
    size_t entries = 0;
    for (size_t cell = 0; cell < cells->rows * cells->columns; cell++) {
        struct box box = box_of(cells, cell);
        struct span span = span_of(cells, &box);
        entries += (span.x1 - span.x0 + 1) * (span.y1 - span.y0 + 1);
    }
    return entries;
}

/* As many buckets as cells, with the shape of the whole; fewer when cells are so slanted or uneven
 * that they would lie in many. */
static size_t choose_buckets(struct curvilinear *cells) {
    size_t count = cells->rows * cells->columns;
    double width = fmax(cells->box.x_high - cells->box.x_low, 1e-9);
    double height = fmax(cells->box.y_high - cells->box.y_low, 1e-9);
    double side = sqrt(width * height / (double)count);
    cells->buckets_x = (size_t)fmin(fmax(width / side, 1.0), (double)count);
    cells->buckets_y = (size_t)fmin(fmax(height / side, 1.0), (double)count);
    size_t entries = count_entries(cells);
    while (entries > ENTRIES_PER_CELL * count + SPARE_ENTRIES) {
        cells->buckets_x = (cells->buckets_x + 1) / 2;
        cells->buckets_y = (cells->buckets_y + 1) / 2;
        entries = count_entries(cells);
    }
    return entries;
}

static int fill_buckets(struct curvilinear *cells) {
    size_t entries = choose_buckets(cells);
    size_t buckets = cells->buckets_x * cells->buckets_y;
    size_t count = cells->rows * cells->columns;
    cells->begin = calloc(buckets + 2, sizeof *cells->begin);
    cells->cells = malloc((entries + 1) * sizeof *cells->cells);
    if (cells->begin == NULL || cells->cells == NULL) {
        return ERR_MEMORY;
    }
    /* Counted one place further on, so that filling moves each begin to where it belongs. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t cell = 0; cell < count; cell++) {
            struct box box = box_of(cells, cell);
            struct span span = span_of(cells, &box);
            for (size_t y = span.y0; y <= span.y1; y++) {
                for (size_t x = span.x0; x <= span.x1; x++) {
                    size_t bucket = y * cells->buckets_x + x;
                    if (pass == 0) {
                        cells->begin[bucket + 2]++;
                    } else {
                        cells->cells[cells->begin[bucket + 1]++] = (uint32_t)cell;
                    }
                }
            }
        }
        for (size_t b = 2; pass == 0 && b < buckets + 2; b++) {
            cells->begin[b] += cells->begin[b - 1];
        }
    }
    return 0;
}

/* ---- construction ---- */

static int take_points(const struct grid *grid, enum curvilinear_points points,
                       struct curvilinear *cells) {
    cells->rows = points == CURVILINEAR_CENTRES ? grid->rows - 1 : grid->rows;
    cells->columns = points == CURVILINEAR_CENTRES ? grid->columns - 1 : grid->columns;
    size_t count = (cells->rows + 1) * (cells->columns + 1);
    cells->lon = malloc(count * sizeof *cells->lon);
    cells->lat = malloc(count * sizeof *cells->lat);
    if (cells->lon == NULL || cells->lat == NULL) {
        return ERR_MEMORY;
    }
    if (points == CURVILINEAR_CENTRES) {
        memcpy(cells->lon, grid->lon, count * sizeof *cells->lon);
        memcpy(cells->lat, grid->lat, count * sizeof *cells->lat);
    } else {
        grid_corners(grid, cells->lon, cells->lat);
    }
    cells->box = nowhere;
    for (size_t i = 0; i < count; i++) {
        grow(&cells->box, cells->lon[i], cells->lat[i]);
    }
    cells->middle = 0.5 * (cells->box.x_low + cells->box.x_high);
    return 0;
}

/* Every quadrangle must have its points on one branch of longitude. */
static int check_branch(const struct grid *grid, struct err *ret_err) {
    for (size_t i = 0; i < grid->rows * grid->columns; i++) {
        bool right = i % grid->columns > 0 && !(fabs(grid->lon[i] - grid->lon[i - 1]) <= 180.0);
        bool below =
            i >= grid->columns && !(fabs(grid->lon[i] - grid->lon[i - grid->columns]) <= 180.0);
        if (right || below) {
            return err_set(ret_err, ERR_UNSUPPORTED,
                           "a grid of 2-D longitude and latitude around a pole (neighbours at row "
                           "%zu, column %zu are more than 180 degrees of longitude apart)",
                           i / grid->columns, i % grid->columns);
        }
    }
    return 0;
}

int curvilinear_create(const struct grid *grid, enum curvilinear_points points,
                       struct curvilinear **ret_cells, struct err *ret_err) {
    int result = check_branch(grid, ret_err);
    if (result != 0) {
        return result;
    }
    if (grid->rows * grid->columns > UINT32_MAX) {
        return err_set(ret_err, ERR_LIMIT, "more than %lu cells", (unsigned long)UINT32_MAX);
    }
    struct curvilinear *cells = calloc(1, sizeof *cells);
    result = cells == NULL ? ERR_MEMORY : take_points(grid, points, cells);
    result = result == 0 ? fill_buckets(cells) : result;
    if (result != 0) {
        curvilinear_destroy(cells);
        return err_set(ret_err, result, "no memory to search %zu cells",
                       grid->rows * grid->columns);
    }
    *ret_cells = cells;
    return 0;
}

void curvilinear_destroy(struct curvilinear *cells) {
    if (cells != NULL) {
        free(cells->lon);
        free(cells->lat);
        free(cells->begin);
        free(cells->cells);
        free(cells);
    }
}

double curvilinear_longitude(const struct curvilinear *cells, double lon) {
    return lon - 360.0 * round((lon - cells->middle) / 360.0);
}

/* ---- where a place is ---- */

static double cross(const double a[2], const double b[2]) {
    return a[0] * b[1] - a[1] * b[0];
}

/* Share along the columns for a share v along the rows, and whether both are inside. */
static bool share_along(const double e[2], const double b[2], const double c[2], const double d[2],
                        double v, double *ret_u) {
    const double along[2] = {b[0] + d[0] * v, b[1] + d[1] * v};
    double length = along[0] * along[0] + along[1] * along[1];
    double u = ((e[0] - c[0] * v) * along[0] + (e[1] - c[1] * v) * along[1]) / length;
    *ret_u = u;
    return u >= -rim && u <= 1.0 + rim && v >= -rim && v <= 1.0 + rim;
}

/* Solves p = p0 + b u + c v + d u v: the cross product with (b + d v) leaves a quadratic in v. */
static bool shares_in(const struct curvilinear *cells, size_t cell, double lon, double lat,
                      double *ret_u, double *ret_v) {
    size_t p[4];
    points_of(cells, cell, p);
    const double *x = cells->lon;
    const double *y = cells->lat;
    const double e[2] = {lon - x[p[0]], lat - y[p[0]]};
    const double b[2] = {x[p[1]] - x[p[0]], y[p[1]] - y[p[0]]};
    const double c[2] = {x[p[3]] - x[p[0]], y[p[3]] - y[p[0]]};
    const double d[2] = {x[p[2]] - x[p[1]] - c[0], y[p[2]] - y[p[1]] - c[1]};
    double a2 = cross(c, d);
    double a1 = cross(d, e) - cross(b, c);
    double a0 = cross(b, e);
    double root = a1 * a1 - 4.0 * a2 * a0;
    if (!(root >= 0.0)) {
        return false;
    }
    double q = -0.5 * (a1 + copysign(sqrt(root), a1));
    /* Of a parallelogram a2 is 0, and the root nearer to it is a0 / q. */
    const double v[2] = {q != 0.0 ? a0 / q : 0.0, a2 != 0.0 ? q / a2 : INFINITY};
    for (size_t k = 0; k < 2; k++) {
        double u;
        if (isfinite(v[k]) && share_along(e, b, c, d, v[k], &u)) {
            *ret_u = fmin(fmax(u, 0.0), 1.0);
            *ret_v = fmin(fmax(v[k], 0.0), 1.0);
            return true;
        }
    }
    return false;
}

bool curvilinear_locate(const struct curvilinear *cells, double lon, double lat, double *ret_row,
                        double *ret_column) {
    const struct box *all = &cells->box;
    double slack_x = rim * (all->x_high - all->x_low);
    double slack_y = rim * (all->y_high - all->y_low);
    lon = curvilinear_longitude(cells, lon);
    if (!(lon >= all->x_low - slack_x && lon <= all->x_high + slack_x &&
          lat >= all->y_low - slack_y && lat <= all->y_high + slack_y)) {
        return false; /* also for NaN */
    }
    size_t bucket = bucket_of(lat, all->y_low, all->y_high, cells->buckets_y) * cells->buckets_x +
                    bucket_of(lon, all->x_low, all->x_high, cells->buckets_x);
    for (size_t k = cells->begin[bucket]; k < cells->begin[bucket + 1]; k++) {
        size_t cell = cells->cells[k];
        double u;
        double v;
        if (shares_in(cells, cell, lon, lat, &u, &v)) {
            *ret_row = (double)(cell / cells->columns) + v;
            *ret_column = (double)(cell % cells->columns) + u;
            return true;
        }
    }
    return false;
}

/* ---- what a polygon meets ---- */

int curvilinear_visit(const struct curvilinear *cells, const struct polygon *polygon,
                      int (*visit)(void *context, size_t cell), void *context) {
    struct box box = nowhere;
    const struct box *all = &cells->box;
    for (size_t i = 0; i < polygon->count; i++) {
        grow(&box, polygon->x[i], polygon->y[i]);
    }
    if (!(box.x_low <= all->x_high && box.x_high >= all->x_low && box.y_low <= all->y_high &&
          box.y_high >= all->y_low)) {
        return 0;
    }
    struct span span = span_of(cells, &box);
    int result = 0;
    for (size_t y = span.y0; y <= span.y1; y++) {
        for (size_t x = span.x0; x <= span.x1; x++) {
            size_t bucket = y * cells->buckets_x + x;
            for (size_t k = cells->begin[bucket]; k < cells->begin[bucket + 1] && result == 0;
                 k++) {
                struct box other = box_of(cells, cells->cells[k]);
                struct span its = span_of(cells, &other);
                /* Only in the first bucket that both share. */
                bool first = x == (its.x0 > span.x0 ? its.x0 : span.x0) &&
                             y == (its.y0 > span.y0 ? its.y0 : span.y0);
                bool meets = other.x_low <= box.x_high && other.x_high >= box.x_low &&
                             other.y_low <= box.y_high && other.y_high >= box.y_low;
                result = first && meets ? visit(context, cells->cells[k]) : 0;
            }
        }
    }
    return result;
}

/* Signed area of the part of the polygon in the triangle of three points, counter-clockwise. */
static double overlap_triangle(const struct curvilinear *cells, const struct polygon *polygon,
                               size_t a, size_t b, size_t c) {
    const double *x = cells->lon;
    const double *y = cells->lat;
    double turn = (x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a]);
    size_t second = turn > 0.0 ? b : c;
    size_t third = turn > 0.0 ? c : b;
    struct polygon one;
    struct polygon two;
    polygon_clip(polygon, x[a], y[a], x[second], y[second], &one);
    polygon_clip(&one, x[second], y[second], x[third], y[third], &two);
    polygon_clip(&two, x[third], y[third], x[a], y[a], &one);
    double area = fabs(polygon_area(&one));
    return turn > 0.0 ? area : -area;
}

/* By its two triangles, which have opposite signs where the quadrangle is not convex. */
double curvilinear_overlap(const struct curvilinear *cells, size_t cell,
                           const struct polygon *polygon) {
    size_t p[4];
    points_of(cells, cell, p);
    return fabs(overlap_triangle(cells, polygon, p[0], p[1], p[2]) +
                overlap_triangle(cells, polygon, p[0], p[2], p[3]));
}

double curvilinear_area(const struct curvilinear *cells, size_t cell) {
    struct polygon quadrangle = {.count = 4};
    size_t p[4];
    points_of(cells, cell, p);
    for (size_t i = 0; i < 4; i++) {
        quadrangle.x[i] = cells->lon[p[i]];
        quadrangle.y[i] = cells->lat[p[i]];
    }
    return fabs(polygon_area(&quadrangle));
}
