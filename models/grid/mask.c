#include "models/grid/mask.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/grid/geo.h"

static const double chord_tolerance = 2e-9; /* of a cell */
static const double fraction_min = 1e-12;   /* what rounding leaves where nothing is covered */
enum { DEPTH_MAX = 20 };

/* One ring in grid coordinates. */
struct path {
    size_t count;
    size_t room;
    size_t max;
    double *x;
    double *y;
};

struct box {
    double x_low, x_high, y_low, y_high;
};

/* Shares of cells in the bounding rows and columns of an area. */
struct raster {
    size_t row, rows;
    size_t column, columns;
    double *share; /* [rows * columns] covered plane area over plane area of the cell */
};

static int path_add(struct path *path, double x, double y) {
    if (path->count == path->room) {
        size_t room = path->room > 0 ? 2 * path->room : 256;
        room = room > path->max ? path->max : room;
        if (room == path->count) {
            return ERR_LIMIT;
        }
        double *px = realloc(path->x, room * sizeof *px);
        path->x = px != NULL ? px : path->x;
        double *py = realloc(path->y, room * sizeof *py);
        path->y = py != NULL ? py : path->y;
        if (px == NULL || py == NULL) {
            return ERR_MEMORY;
        }
        path->room = room;
    }
    path->x[path->count] = x;
    path->y[path->count] = y;
    path->count++;
    return 0;
}

static void path_finish(struct path *path) {
    free(path->x);
    free(path->y);
}

struct vertex {
    double lon, lat; /* degrees */
    double x, y;     /* grid coordinates */
};

static int place(struct geo *geo, struct vertex *vertex) {
    vertex->x = vertex->lon;
    vertex->y = vertex->lat;
    return geo_forward(geo, 1, &vertex->x, &vertex->y) == 0 ? 0 : ERR_INVALID;
}

/* Adds the points of an edge after its start, its end included: halves until three inner points
 * of the chord are where they should be. */
static int densify(struct geo *geo, const struct vertex *from, const struct vertex *to,
                   double tolerance, int depth, struct path *path) {
    struct vertex middle = {.lon = 0.5 * (from->lon + to->lon), .lat = 0.5 * (from->lat + to->lat)};
    int result = place(geo, &middle);
    if (result != 0) {
        return result;
    }
    double away = hypot(middle.x - 0.5 * (from->x + to->x), middle.y - 0.5 * (from->y + to->y));
    /* An S-shaped edge may cross its chord in the middle: long ones are always halved. */
    bool is_long = hypot(to->lon - from->lon, to->lat - from->lat) > 0.25;
    if (depth >= DEPTH_MAX || (!is_long && away <= tolerance)) {
        return path_add(path, to->x, to->y);
    }
    result = densify(geo, from, &middle, tolerance, depth + 1, path);
    return result != 0 ? result : densify(geo, &middle, to, tolerance, depth + 1, path);
}

/* A ring in grid coordinates; geo NULL: these are degrees. */
static int project_ring(struct geo *geo, const struct area_ring *ring, double tolerance,
                        size_t vertices_max, struct path *ret_path, struct vertex *ret_bad) {
    struct path path = {.max = vertices_max};
    int result = 0;
    struct vertex from = {.lon = ring->lon[ring->count - 1], .lat = ring->lat[ring->count - 1]};
    if (geo != NULL) {
        result = place(geo, &from);
        *ret_bad = from;
    }
    for (size_t i = 0; i < ring->count && result == 0; i++) {
        struct vertex to = {.lon = ring->lon[i], .lat = ring->lat[i]};
        *ret_bad = to;
        if (geo == NULL) {
            result = path_add(&path, to.lon, to.lat);
        } else {
            result = place(geo, &to);
            if (result == 0) {
                result = densify(geo, &from, &to, tolerance, 0, &path);
            }
        }
        from = to;
    }
    if (result != 0) {
        path_finish(&path);
        return result;
    }
    *ret_path = path;
    return 0;
}

static double signed_area(const struct path *path) {
    double sum = 0.0;
    for (size_t i = 0; i < path->count; i++) {
        size_t next = i + 1 < path->count ? i + 1 : 0;
        /* relative to the first vertex, so that far coordinates do not cancel */
        double x0 = path->x[i] - path->x[0];
        double y0 = path->y[i] - path->y[0];
        double x1 = path->x[next] - path->x[0];
        double y1 = path->y[next] - path->y[0];
        sum += x0 * y1 - x1 * y0;
    }
    return 0.5 * sum;
}

/* First edge interval that holds a value, clamped to the axis. `up` in the sense of the index. */
static size_t interval(const double *edge, size_t count, double value) {
    bool ascending = edge[count] > edge[0];
    size_t first = 0;
    size_t last = count - 1;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (ascending ? value < edge[middle + 1] : value > edge[middle + 1]) {
            last = middle;
        } else {
            first = middle + 1;
        }
    }
    return first;
}

/* The plane area to the right of a piece of an edge that lies within one row and one column:
 * exact trapezoid in its own cell, the full strip in the cells after it. `cover` collects the
 * strips: cover[c] holds for column c and all after it. */
struct sweep {
    const struct grid *grid;
    struct raster *raster;
    double *cover; /* [rows * (columns + 1)] */
};

/* A piece within one row, from (x0, y0) to (x1, y1); cut at the column edges. */
static void sweep_row(const struct sweep *sweep, size_t row, double x0, double y0, double x1,
                      double y1, double weight) {
    const struct grid *grid = sweep->grid;
    const struct raster *raster = sweep->raster;
    const double *edge = grid->x_edge;
    bool ascending = edge[grid->columns] > edge[0];
    size_t c0 = interval(edge, grid->columns, x0);
    size_t c1 = interval(edge, grid->columns, x1);
    int step = c1 >= c0 ? 1 : -1;
    double *share = raster->share + (row - raster->row) * raster->columns;
    double *cover = sweep->cover + (row - raster->row) * (raster->columns + 1);
    double at_x = x0;
    double at_y = y0;
    for (size_t c = c0;; c = (size_t)((ptrdiff_t)c + step)) {
        double to_x = x1;
        double to_y = y1;
        if (c != c1) {
            to_x = edge[step > 0 ? c + 1 : c];
            to_y = y0 + (y1 - y0) * ((to_x - x0) / (x1 - x0));
        }
        double height = (to_y - at_y) * weight;
        /* Index space runs along the columns, whichever way x does. Left of the grid counts for
         * the whole first cell, right of it for nothing. */
        double near = edge[c];
        double far = edge[c + 1];
        double low = ascending ? near : far;
        double high = ascending ? far : near;
        double ax = fmin(fmax(at_x, low), high);
        double bx = fmin(fmax(to_x, low), high);
        double in_cell = fabs(far - 0.5 * (ax + bx));
        if (c >= raster->column && c < raster->column + raster->columns) {
            share[c - raster->column] += height * in_cell;
            cover[c - raster->column + 1] += height;
        } else if (c < raster->column) {
            cover[0] += height;
        }
        if (c == c1) {
            return;
        }
        at_x = to_x;
        at_y = to_y;
    }
}

/* An edge that may lie beside the grid in x: pieces beyond the rim are clamped onto it, which
 * keeps the area inside exact. */
static void sweep_clamped(const struct sweep *sweep, size_t row, double x0, double y0, double x1,
                          double y1, double weight) {
    const struct grid *grid = sweep->grid;
    double a = grid->x_edge[0];
    double b = grid->x_edge[grid->columns];
    double low = fmin(a, b);
    double high = fmax(a, b);
    double cuts[4] = {0.0, 1.0, 1.0, 1.0};
    size_t count = 1;
    if (x0 != x1) {
        double t_low = (low - x0) / (x1 - x0);
        double t_high = (high - x0) / (x1 - x0);
        double first = fmin(t_low, t_high);
        double second = fmax(t_low, t_high);
        if (first > 0.0 && first < 1.0) {
            cuts[count++] = first;
        }
        if (second > 0.0 && second < 1.0) {
            cuts[count++] = second;
        }
    }
    cuts[count] = 1.0;
    for (size_t i = 0; i < count; i++) {
        double from_x = i == 0 ? x0 : x0 + cuts[i] * (x1 - x0);
        double from_y = i == 0 ? y0 : y0 + cuts[i] * (y1 - y0);
        double to_x = i + 1 == count ? x1 : x0 + cuts[i + 1] * (x1 - x0);
        double to_y = i + 1 == count ? y1 : y0 + cuts[i + 1] * (y1 - y0);
        sweep_row(sweep, row, fmin(fmax(from_x, low), high), from_y, fmin(fmax(to_x, low), high),
                  to_y, weight);
    }
}

/* Cuts an edge at the row edges. */
static void sweep_edge(const struct sweep *sweep, double x0, double y0, double x1, double y1,
                       double weight) {
    const struct grid *grid = sweep->grid;
    const double *edge = grid->y_edge;
    double low = fmin(edge[0], edge[grid->rows]);
    double high = fmax(edge[0], edge[grid->rows]);
    if (y0 == y1 || fmax(y0, y1) <= low || fmin(y0, y1) >= high) {
        return;
    }
    double slope = (x1 - x0) / (y1 - y0);
    double start_y = fmin(fmax(y0, low), high);
    double end_y = fmin(fmax(y1, low), high);
    size_t r0 = interval(edge, grid->rows, start_y);
    size_t r1 = interval(edge, grid->rows, end_y);
    int step = r1 >= r0 ? 1 : -1;
    double at_y = start_y;
    double at_x = start_y == y0 ? x0 : x0 + slope * (start_y - y0);
    for (size_t r = r0;; r = (size_t)((ptrdiff_t)r + step)) {
        double to_y = r == r1 ? end_y : edge[step > 0 ? r + 1 : r];
        double to_x = to_y == y1 ? x1 : x0 + slope * (to_y - y0);
        if (to_y != at_y && r >= sweep->raster->row &&
            r < sweep->raster->row + sweep->raster->rows) {
            sweep_clamped(sweep, r, at_x, at_y, to_x, to_y, weight);
        }
        if (r == r1) {
            return;
        }
        at_y = to_y;
        at_x = to_x;
    }
}

/* Bounding rows and columns of all paths; false when the grid is not touched. */
static bool bound(const struct grid *grid, const struct path *paths, size_t count, double shift,
                  struct raster *raster) {
    double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
    for (size_t p = 0; p < count; p++) {
        for (size_t i = 0; i < paths[p].count; i++) {
            x_low = fmin(x_low, paths[p].x[i] + shift);
            x_high = fmax(x_high, paths[p].x[i] + shift);
            y_low = fmin(y_low, paths[p].y[i]);
            y_high = fmax(y_high, paths[p].y[i]);
        }
    }
    const double *xe = grid->x_edge;
    const double *ye = grid->y_edge;
    if (!(x_high > fmin(xe[0], xe[grid->columns])) || !(x_low < fmax(xe[0], xe[grid->columns])) ||
        !(y_high > fmin(ye[0], ye[grid->rows])) || !(y_low < fmax(ye[0], ye[grid->rows]))) {
        return false;
    }
    size_t c0 = interval(xe, grid->columns, x_low);
    size_t c1 = interval(xe, grid->columns, x_high);
    size_t r0 = interval(ye, grid->rows, y_low);
    size_t r1 = interval(ye, grid->rows, y_high);
    raster->column = c0 < c1 ? c0 : c1;
    raster->columns = (c0 < c1 ? c1 - c0 : c0 - c1) + 1;
    raster->row = r0 < r1 ? r0 : r1;
    raster->rows = (r0 < r1 ? r1 - r0 : r0 - r1) + 1;
    return true;
}

/* Shares of the cells of a rectilinear grid, all paths shifted along x. The result adds up over
 * shifts. */
static int cover_rectilinear(const struct grid *grid, const struct area *area,
                             const struct path *paths, double shift, struct raster *raster) {
    size_t cells = raster->rows * raster->columns;
    raster->share = calloc(cells, sizeof *raster->share);
    double *cover = calloc(raster->rows * (raster->columns + 1), sizeof *cover);
    if (raster->share == NULL || cover == NULL) {
        free(cover);
        return ERR_MEMORY;
    }
    struct sweep sweep = {.grid = grid, .raster = raster, .cover = cover};
    /* Orientation of ring and axes decide the sign; every ring is brought to its own. */
    for (size_t p = 0; p < area->ring_count; p++) {
        const struct path *path = &paths[p];
        double weight = (signed_area(path) > 0) == area->rings[p].hole ? -1.0 : 1.0;
        for (size_t i = 0; i < path->count; i++) {
            size_t next = i + 1 < path->count ? i + 1 : 0;
            sweep_edge(&sweep, path->x[i] + shift, path->y[i], path->x[next] + shift, path->y[next],
                       weight);
        }
    }
    bool ascending = grid->x_edge[grid->columns] > grid->x_edge[0];
    for (size_t r = 0; r < raster->rows; r++) {
        double height = fabs(grid->y_edge[raster->row + r + 1] - grid->y_edge[raster->row + r]);
        double strips = 0.0;
        for (size_t c = 0; c < raster->columns; c++) {
            double width =
                fabs(grid->x_edge[raster->column + c + 1] - grid->x_edge[raster->column + c]);
            strips += cover[r * (raster->columns + 1) + c];
            double plane = raster->share[r * raster->columns + c] + strips * width;
            /* Rings run counter-clockwise after weighting: with x ascending the area lies to the
             * right of descending edges. */
            double share = (ascending ? -plane : plane) / (width * height);
            raster->share[r * raster->columns + c] = share < fraction_min ? 0.0 : fmin(share, 1.0);
        }
    }
    free(cover);
    return 0;
}

/* Sutherland-Hodgman against one line through (ax, ay) and (bx, by); keeps the left side. */
static size_t clip_line(const double *x, const double *y, size_t count, double ax, double ay,
                        double bx, double by, double *ret_x, double *ret_y) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t next = i + 1 < count ? i + 1 : 0;
        double d0 = (bx - ax) * (y[i] - ay) - (by - ay) * (x[i] - ax);
        double d1 = (bx - ax) * (y[next] - ay) - (by - ay) * (x[next] - ax);
        if (d0 >= 0) {
            ret_x[kept] = x[i];
            ret_y[kept++] = y[i];
        }
        if ((d0 >= 0) != (d1 >= 0)) {
            double t = d0 / (d0 - d1);
            ret_x[kept] = x[i] + t * (x[next] - x[i]);
            ret_y[kept++] = y[i] + t * (y[next] - y[i]);
        }
    }
    return kept;
}

/* Work space of clipping: two rings with room for what four lines can add. */
struct clip {
    double *x[2];
    double *y[2];
};

static struct box box_of(const double *x, const double *y, size_t count) {
    struct box box = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t i = 0; i < count; i++) {
        box.x_low = fmin(box.x_low, x[i]);
        box.x_high = fmax(box.x_high, x[i]);
        box.y_low = fmin(box.y_low, y[i]);
        box.y_high = fmax(box.y_high, y[i]);
    }
    return box;
}

/* Area of a ring within a convex cell given counter-clockwise; never negative. */
static double clip_cell(const struct path *path, double shift, const double *cell_x,
                        const double *cell_y, struct clip *clip) {
    size_t count = path->count;
    for (size_t i = 0; i < count; i++) {
        clip->x[0][i] = path->x[i] + shift;
        clip->y[0][i] = path->y[i];
    }
    int from = 0;
    for (size_t side = 0; side < 4 && count > 0; side++) {
        size_t next = (side + 1) % 4;
        count = clip_line(clip->x[from], clip->y[from], count, cell_x[side], cell_y[side],
                          cell_x[next], cell_y[next], clip->x[1 - from], clip->y[1 - from]);
        from = 1 - from;
    }
    struct path clipped = {.count = count, .x = clip->x[from], .y = clip->y[from]};
    return count >= 3 ? fabs(signed_area(&clipped)) : 0.0;
}

/* A cell of a curvilinear grid, counter-clockwise. Returns its plane area. */
static double cell_of(const struct grid *grid, const double *lon, const double *lat, size_t row,
                      size_t column, double *ret_x, double *ret_y) {
    size_t k = row * (grid->columns + 1) + column;
    const size_t corner[] = {k, k + 1, k + grid->columns + 2, k + grid->columns + 1};
    struct path cell = {.count = 4, .x = ret_x, .y = ret_y};
    for (size_t i = 0; i < 4; i++) {
        ret_x[i] = lon[corner[i]];
        ret_y[i] = lat[corner[i]];
    }
    double area = signed_area(&cell);
    if (area < 0) {
        for (size_t i = 0; i < 4; i++) {
            ret_x[i] = lon[corner[3 - i]];
            ret_y[i] = lat[corner[3 - i]];
        }
    }
    return fabs(area);
}

/* Entries of a mask under construction. */
struct entries {
    size_t count;
    size_t room;
    struct entry {
        size_t index;
        double share;
    } * list;
};

static int entries_add(struct entries *entries, size_t index, double share) {
    if (entries->count == entries->room) {
        size_t room = entries->room > 0 ? 2 * entries->room : 64;
        struct entry *list = realloc(entries->list, room * sizeof *list);
        if (list == NULL) {
            return ERR_MEMORY;
        }
        entries->list = list;
        entries->room = room;
    }
    entries->list[entries->count++] = (struct entry){.index = index, .share = share};
    return 0;
}

static int compare_entries(const void *a, const void *b) {
    const struct entry *left = a;
    const struct entry *right = b;
    return left->index < right->index ? -1 : left->index > right->index;
}

/* One branch of longitude of a rectilinear grid. */
static int add_rectilinear(const struct grid *grid, const struct area *area,
                           const struct path *paths, double shift, struct entries *entries) {
    struct raster raster = {.share = NULL};
    if (!bound(grid, paths, area->ring_count, shift, &raster)) {
        return 0;
    }
    int result = cover_rectilinear(grid, area, paths, shift, &raster);
    for (size_t r = 0; r < raster.rows && result == 0; r++) {
        for (size_t c = 0; c < raster.columns && result == 0; c++) {
            double share = raster.share[r * raster.columns + c];
            if (share > 0.0) {
                size_t index = (raster.row + r) * grid->columns + raster.column + c;
                result = entries_add(entries, index, share);
            }
        }
    }
    free(raster.share);
    return result;
}

static int add_cells(const struct grid *grid, const struct area *area, const struct path *paths,
                     const struct box *boxes, double shift, const double *lon, const double *lat,
                     struct clip *clip, struct entries *entries) {
    int result = 0;
    for (size_t index = 0; index < grid->rows * grid->columns && result == 0; index++) {
        double x[4], y[4];
        double plane = cell_of(grid, lon, lat, index / grid->columns, index % grid->columns, x, y);
        struct box cell = box_of(x, y, 4);
        double sum = 0.0;
        for (size_t p = 0; p < area->ring_count; p++) {
            const struct box *ring = &boxes[p];
            if (ring->x_low + shift < cell.x_high && ring->x_high + shift > cell.x_low &&
                ring->y_low < cell.y_high && ring->y_high > cell.y_low) {
                double covered = clip_cell(&paths[p], shift, x, y, clip);
                sum += area->rings[p].hole ? -covered : covered;
            }
        }
        double share = sum / plane;
        if (share > fraction_min) {
            result = entries_add(entries, index, fmin(share, 1.0));
        }
    }
    return result;
}

/* One branch of longitude of a curvilinear grid: every ring against every cell near it. */
static int add_curvilinear(const struct grid *grid, const struct area *area,
                           const struct path *paths, double shift, struct entries *entries) {
    size_t corners = (grid->rows + 1) * (grid->columns + 1);
    size_t longest = 0;
    for (size_t p = 0; p < area->ring_count; p++) {
        longest = paths[p].count > longest ? paths[p].count : longest;
    }
    /* Each of the four lines adds at most half the vertices it is given. */
    size_t room = 6 * longest + 16;
    double *lon = malloc(2 * corners * sizeof *lon);
    double *space = malloc(4 * room * sizeof *space);
    struct box *boxes = malloc(area->ring_count * sizeof *boxes);
    int result = ERR_MEMORY;
    if (lon != NULL && space != NULL && boxes != NULL) {
        for (size_t p = 0; p < area->ring_count; p++) {
            boxes[p] = box_of(paths[p].x, paths[p].y, paths[p].count);
        }
        struct clip clip = {.x = {space, space + room}, .y = {space + 2 * room, space + 3 * room}};
        grid_corners(grid, lon, lon + corners);
        result = add_cells(grid, area, paths, boxes, shift, lon, lon + corners, &clip, entries);
    }
    free(boxes);
    free(lon);
    free(space);
    return result;
}

/* Longitudes and latitudes of the grid are those of the polygons: no transformation. */
static bool is_plain(const struct grid *grid) {
    return grid->geographic &&
           (grid->mapping.count == 0 ||
            (grid_mapping_find(&grid->mapping, "grid_mapping_name") != NULL &&
             grid_mapping_find(&grid->mapping, "towgs84") == NULL &&
             grid_mapping_find(&grid->mapping, "longitude_of_prime_meridian") == NULL));
}

static int project_area(struct grid_env *env, const struct grid *grid, const struct area *area,
                        struct path *paths, struct err *ret_err) {
    struct geo *geo = NULL;
    int result = is_plain(grid) ? 0 : geo_create(env, grid->crs, &geo, ret_err);
    if (result != 0) {
        return result;
    }
    double tolerance = 0.0;
    if (!grid->curvilinear) {
        double dx = fabs(grid->x_edge[grid->columns] - grid->x_edge[0]) / (double)grid->columns;
        double dy = fabs(grid->y_edge[grid->rows] - grid->y_edge[0]) / (double)grid->rows;
        tolerance = chord_tolerance * fmin(dx, dy);
    }
    size_t left = env->limits.vertices_max;
    for (size_t p = 0; p < area->ring_count && result == 0; p++) {
        struct vertex bad = {.lon = 0.0};
        result = project_ring(geo, &area->rings[p], tolerance, left, &paths[p], &bad);
        if (result == ERR_INVALID) {
            err_set(
                ret_err, result,
                "area %s: the projection of the grid cannot place longitude %.6f, latitude %.6f",
                area->id, bad.lon, bad.lat);
        } else if (result == ERR_LIMIT) {
            err_set(ret_err, result, "area %s: more than %zu vertices", area->id,
                    env->limits.vertices_max);
        } else if (result != 0) {
            err_set(ret_err, result, "area %s: no memory for its vertices", area->id);
        } else {
            left -= paths[p].count;
        }
    }
    geo_destroy(geo);
    return result;
}

/* Sorts, adds up what several branches of longitude gave to one cell, and weighs by area. */
static int finish_mask(struct entries *entries, const double *cell_area_m2, struct mask *mask) {
    if (entries->count > 1) {
        qsort(entries->list, entries->count, sizeof *entries->list, compare_entries);
    }
    mask->index = malloc((entries->count + 1) * sizeof *mask->index);
    mask->fraction = malloc((entries->count + 1) * sizeof *mask->fraction);
    mask->area_m2 = malloc((entries->count + 1) * sizeof *mask->area_m2);
    if (mask->index == NULL || mask->fraction == NULL || mask->area_m2 == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->list[i];
        if (mask->count > 0 && mask->index[mask->count - 1] == entry->index) {
            double sum = mask->fraction[mask->count - 1] + entry->share;
            mask->fraction[mask->count - 1] = fmin(sum, 1.0);
        } else {
            mask->index[mask->count] = entry->index;
            mask->fraction[mask->count++] = entry->share;
        }
    }
    for (size_t i = 0; i < mask->count; i++) {
        mask->area_m2[i] = mask->fraction[i] * cell_area_m2[mask->index[i]];
        mask->covered_m2 += mask->area_m2[i];
    }
    return 0;
}

/* Plane area of the cells of the mask over that of the polygon. */
static double share_inside(const struct grid *grid, const struct area *area,
                           const struct path *paths, const struct mask *mask,
                           const double *plane_area) {
    double total = 0.0;
    double inside = 0.0;
    for (size_t p = 0; p < area->ring_count; p++) {
        double ring = fabs(signed_area(&paths[p]));
        total += area->rings[p].hole ? -ring : ring;
    }
    for (size_t i = 0; i < mask->count; i++) {
        size_t row = mask->index[i] / grid->columns;
        size_t column = mask->index[i] % grid->columns;
        double cell = plane_area != NULL ? plane_area[mask->index[i]]
                                         : fabs((grid->x_edge[column + 1] - grid->x_edge[column]) *
                                                (grid->y_edge[row + 1] - grid->y_edge[row]));
        inside += mask->fraction[i] * cell;
    }
    double share = total > 0 ? inside / total : 0.0;
    return share > 1.0 - 1e-9 ? 1.0 : share;
}

static double *plane_areas(const struct grid *grid) {
    size_t corners = (grid->rows + 1) * (grid->columns + 1);
    double *lon = malloc(2 * corners * sizeof *lon);
    double *plane = malloc(grid->rows * grid->columns * sizeof *plane);
    if (lon != NULL && plane != NULL) {
        double x[4], y[4];
        grid_corners(grid, lon, lon + corners);
        for (size_t i = 0; i < grid->rows * grid->columns; i++) {
            plane[i] =
                cell_of(grid, lon, lon + corners, i / grid->columns, i % grid->columns, x, y);
        }
    } else {
        free(plane);
        plane = NULL;
    }
    free(lon);
    return plane;
}

static int fill_mask(const struct grid *grid, const double *cell_area_m2, const struct area *area,
                     struct path *paths, struct mask *mask) {
    struct entries entries = {.count = 0};
    double *plane = NULL;
    int result = 0;
    /* longitudes of polygons and grids may be on different branches */
    int branches = grid->geographic ? 2 : 0;
    for (int k = -branches; k <= branches && result == 0; k++) {
        result = grid->curvilinear ? add_curvilinear(grid, area, paths, 360.0 * k, &entries)
                                   : add_rectilinear(grid, area, paths, 360.0 * k, &entries);
    }
    if (result == 0) {
        result = finish_mask(&entries, cell_area_m2, mask);
    }
    if (result == 0 && grid->curvilinear) {
        plane = plane_areas(grid);
        result = plane == NULL ? ERR_MEMORY : 0;
    }
    if (result == 0) {
        mask->inside = share_inside(grid, area, paths, mask, plane);
    }
    free(plane);
    free(entries.list);
    return result;
}

int mask_create(struct grid_env *env, const struct grid *grid, const double *cell_area_m2,
                const struct area *area, struct mask **ret_mask, struct err *ret_err) {
    struct mask *mask = calloc(1, sizeof *mask);
    struct path *paths = calloc(area->ring_count, sizeof *paths);
    int result = ERR_MEMORY;
    if (mask != NULL && paths != NULL) {
        result = project_area(env, grid, area, paths, ret_err);
        if (result == 0) {
            result = fill_mask(grid, cell_area_m2, area, paths, mask);
            if (result != 0) {
                err_set(ret_err, result, "area %s: no memory for its mask", area->id);
            }
        }
    } else {
        err_set(ret_err, result, "area %s: no memory for its mask", area->id);
    }
    for (size_t p = 0; paths != NULL && p < area->ring_count; p++) {
        path_finish(&paths[p]);
    }
    free(paths);
    if (result != 0) {
        mask_destroy(mask);
        return result;
    }
    *ret_mask = mask;
    return 0;
}

void mask_destroy(struct mask *mask) {
    if (mask == NULL) {
        return;
    }
    free(mask->index);
    free(mask->fraction);
    free(mask->area_m2);
    free(mask);
}
