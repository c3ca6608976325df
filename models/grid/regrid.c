#include "models/grid/regrid.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/grid/curvilinear.h"
#include "models/grid/geo.h"
#include "models/grid/polygon.h"

enum { EDGE_PARTS = 2, WEIGHTS_MAX = 400000000 };

static const double share_min = 0.5; /* of a target cell with data */
static const double nothing = 1e-12; /* of a source cell: what rounding leaves */

struct weight {
    uint32_t cell; /* of the source */
    float weight;  /* bilinear: share; conservative: m2 over those of the whole target cell */
};

struct regrid {
    enum regrid_method method;
    size_t cells;  /* of the target */
    size_t *begin; /* [cells + 1] in weights */
    struct weight *weights;
    size_t room;
};

static int add_weight(struct regrid *regrid, size_t at, size_t cell, double weight) {
    if (at == regrid->room) {
        size_t room = regrid->room > 0 ? regrid->room * 2 : 1024;
        struct weight *grown =
            room > WEIGHTS_MAX ? NULL : realloc(regrid->weights, room * sizeof *grown);
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        regrid->weights = grown;
        regrid->room = room;
    }
    regrid->weights[at] = (struct weight){(uint32_t)cell, (float)weight};
    return 0;
}

/* ---- where the points of the target are in the source ---- */

/* Fractional index of an edge coordinate: 0 is the first edge, count the last; beyond them by the
 * spacing there. */
static double index_on(const double *edge, size_t count, double value) {
    double sign = edge[1] > edge[0] ? 1.0 : -1.0;
    size_t low = 0;
    size_t high = count - 1;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (sign * (value - edge[middle]) >= 0.0) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return (double)low + (value - edge[low]) / (edge[low + 1] - edge[low]);
}

/* Points of the target, in its coordinates, to longitudes and latitudes on WGS 84. */
static int to_degrees(struct grid_env *env, const struct grid *to, size_t count, double *x,
                      double *y, struct err *ret_err) {
    struct geo *geo = NULL;
    if (to->curvilinear) {
        return 0; /* they are */
    }
    int result = geo_create(env, to->crs, &geo, ret_err);
    if (result == 0) {
        (void)geo_inverse(geo, count, x, y); /* a point that cannot be placed is NaN */
    }
    geo_destroy(geo);
    return result;
}

/* Longitudes and latitudes to fractional edge indexes of a source with axes; NaN where its
 * projection cannot place them. */
static int to_indexes(struct grid_env *env, const struct grid *from, size_t count, double *x,
                      double *y, struct err *ret_err) {
    struct geo *geo = NULL;
    int result = geo_create(env, from->crs, &geo, ret_err);
    if (result != 0) {
        return result;
    }
    (void)geo_forward(geo, count, x, y);
    double middle = from->x[from->columns / 2];
    for (size_t i = 0; i < count; i++) {
        if (isnan(x[i]) || isnan(y[i])) {
            continue;
        }
        x[i] += from->degrees ? 360.0 * round((middle - x[i]) / 360.0) : 0.0;
        x[i] = index_on(from->x_edge, from->columns, x[i]);
        y[i] = index_on(from->y_edge, from->rows, y[i]);
    }
    geo_destroy(geo);
    return 0;
}

/* Points of the target to where they are in the source: for one with axes fractional edge indexes,
 * else longitude, on the branch of its cells, and latitude. */
static int place(struct grid_env *env, const struct grid *from, const struct curvilinear *cells,
                 const struct grid *to, size_t count, double *x, double *y, struct err *ret_err) {
    int result = to_degrees(env, to, count, x, y, ret_err);
    if (result == 0 && cells == NULL) {
        return to_indexes(env, from, count, x, y, ret_err);
    }
    for (size_t i = 0; i < count && result == 0; i++) {
        x[i] = curvilinear_longitude(cells, x[i]);
    }
    return result;
}

/* ---- bilinear ---- */

/* Index of the centre before a place and the share of the next one; false: outside. Centres need
 * not lie in the middle of their cells, but in ours (grid_create) they do. */
static bool between(double edge_index, size_t count, size_t *ret_index, double *ret_share) {
    double at = edge_index - 0.5;
    if (!(at >= -1e-9 && at <= (double)count - 1.0 + 1e-9)) {
        return false;
    }
    at = fmin(fmax(at, 0.0), (double)count - 1.0);
    *ret_index = (size_t)fmin(at, (double)count - 2.0);
    *ret_share = at - (double)*ret_index;
    return true;
}

/* The centre before a place in both directions, and the shares of the next ones. */
struct spot {
    size_t row, column;
    double fy, fx;
};

static bool find_spot(const struct grid *from, const struct curvilinear *cells, double x, double y,
                      struct spot *ret_spot) {
    double row;
    double column;
    if (cells == NULL) {
        return between(x, from->columns, &ret_spot->column, &ret_spot->fx) &&
               between(y, from->rows, &ret_spot->row, &ret_spot->fy);
    }
    return curvilinear_locate(cells, x, y, &row, &column) &&
           between(column + 0.5, from->columns, &ret_spot->column, &ret_spot->fx) &&
           between(row + 0.5, from->rows, &ret_spot->row, &ret_spot->fy);
}

static int fill_bilinear(struct regrid *regrid, const struct grid *from,
                         const struct curvilinear *cells, const double *x, const double *y) {
    size_t at = 0;
    for (size_t cell = 0; cell < regrid->cells; cell++) {
        struct spot spot;
        regrid->begin[cell] = at;
        if (!find_spot(from, cells, x[cell], y[cell], &spot)) {
            continue;
        }
        double fx = spot.fx;
        double fy = spot.fy;
        const double shares[] = {(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy};
        for (size_t k = 0; k < 4; k++) {
            size_t source = (spot.row + k / 2) * from->columns + spot.column + k % 2;
            if (shares[k] > 1e-9 && add_weight(regrid, at++, source, shares[k]) != 0) {
                return ERR_MEMORY;
            }
        }
    }
    regrid->begin[regrid->cells] = at;
    return 0;
}

static int make_bilinear(struct regrid *regrid, struct grid_env *env, const struct grid *from,
                         const struct curvilinear *cells, const struct grid *to,
                         struct err *ret_err) {
    double *x = malloc(regrid->cells * sizeof *x);
    double *y = malloc(regrid->cells * sizeof *y);
    int result = x == NULL || y == NULL ? ERR_MEMORY : 0;
    for (size_t i = 0; i < regrid->cells && result == 0; i++) {
        x[i] = to->curvilinear ? to->lon[i] : to->x[i % to->columns];
        y[i] = to->curvilinear ? to->lat[i] : to->y[i / to->columns];
    }
    result = result == 0 ? place(env, from, cells, to, regrid->cells, x, y, ret_err) : result;
    result = result == 0 ? fill_bilinear(regrid, from, cells, x, y) : result;
    free(x);
    free(y);
    return result;
}

/* ---- conservative ---- */

static void extent(const double *values, size_t count, double *ret_low, double *ret_high) {
    *ret_low = INFINITY;
    *ret_high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        *ret_low = fmin(*ret_low, values[i]);
        *ret_high = fmax(*ret_high, values[i]);
    }
}

/* The points of the target: its corners and EDGE_PARTS - 1 more on every edge, as a lattice. */
struct lattice {
    size_t rows, columns; /* of points */
    double *x, *y;
};

static double along(const double *edge, size_t point) {
    size_t cell = point / EDGE_PARTS;
    double share = (double)(point % EDGE_PARTS) / EDGE_PARTS;
    return share > 0.0 ? edge[cell] + share * (edge[cell + 1] - edge[cell]) : edge[cell];
}

/* The points of a curvilinear target, from its corners; inside cells any will do. */
static int fill_curved(const struct grid *to, struct lattice *lattice) {
    size_t columns = to->columns + 1;
    size_t count = (to->rows + 1) * columns;
    double *lon = malloc(2 * count * sizeof *lon);
    if (lon == NULL) {
        return ERR_MEMORY;
    }
    double *lat = lon + count;
    grid_corners(to, lon, lat);
    for (size_t i = 0; i < lattice->rows * lattice->columns; i++) {
        size_t row = i / lattice->columns;
        size_t column = i % lattice->columns;
        size_t first = row / EDGE_PARTS * columns + column / EDGE_PARTS;
        double down = (double)(row % EDGE_PARTS) / EDGE_PARTS;
        double right = (double)(column % EDGE_PARTS) / EDGE_PARTS;
        size_t next = first + (down > 0.0 ? columns : 0) + (right > 0.0 ? 1 : 0);
        double share = fmax(down, right);
        lattice->x[i] = lon[first] + share * (lon[next] - lon[first]);
        lattice->y[i] = lat[first] + share * (lat[next] - lat[first]);
    }
    free(lon);
    return 0;
}

static int fill_lattice(const struct grid *to, struct lattice *lattice) {
    if (to->curvilinear) {
        return fill_curved(to, lattice);
    }
    for (size_t i = 0; i < lattice->rows * lattice->columns; i++) {
        lattice->x[i] = along(to->x_edge, i % lattice->columns);
        lattice->y[i] = along(to->y_edge, i / lattice->columns);
    }
    return 0;
}

/* The outline of a target cell; false when a point could not be placed. */
static bool outline(const struct lattice *lattice, size_t row, size_t column,
                    struct polygon *ret_polygon) {
    static const int dx[] = {1, 0, -1, 0};
    static const int dy[] = {0, 1, 0, -1};
    size_t i = column * EDGE_PARTS;
    size_t j = row * EDGE_PARTS;
    bool known = true;
    ret_polygon->count = 0;
    for (int side = 0; side < 4; side++) {
        for (int part = 0; part < EDGE_PARTS; part++) {
            double x = lattice->x[j * lattice->columns + i];
            double y = lattice->y[j * lattice->columns + i];
            known = known && !isnan(x) && !isnan(y);
            ret_polygon->x[ret_polygon->count] = x;
            ret_polygon->y[ret_polygon->count++] = y;
            i = (size_t)((ptrdiff_t)i + dx[side]);
            j = (size_t)((ptrdiff_t)j + dy[side]);
        }
    }
    return known;
}

/* A target cell and what was found of it in the source. */
struct adding {
    struct regrid *regrid;
    const struct grid *from;
    const struct curvilinear *cells; /* NULL: the source has axes */
    const double *area_m2;           /* of the cells of the source */
    struct polygon cell;
    size_t at;        /* weights so far */
    double inside;    /* in the plane of the polygon */
    double inside_m2; /* on the ground */
};

/* The intersection with one cell of the source: `piece` of its `whole` in the plane. */
static int add_piece(struct adding *adding, size_t source, double piece, double whole) {
    double share = piece / whole;
    if (!(share >= nothing)) {
        return 0;
    }
    adding->inside += piece;
    adding->inside_m2 += share * adding->area_m2[source];
    return add_weight(adding->regrid, adding->at++, source, share * adding->area_m2[source]);
}

static int add_curved(void *context, size_t source) {
    struct adding *adding = context;
    return add_piece(adding, source, curvilinear_overlap(adding->cells, source, &adding->cell),
                     curvilinear_area(adding->cells, source));
}

/* In edge indexes, where every cell of the source is a unit square. */
static int add_straight(struct adding *adding) {
    const struct grid *from = adding->from;
    double low_x, high_x, low_y, high_y;
    extent(adding->cell.x, adding->cell.count, &low_x, &high_x);
    extent(adding->cell.y, adding->cell.count, &low_y, &high_y);
    size_t row_end = (size_t)fmin(fmax(ceil(high_y), 0.0), (double)from->rows);
    size_t column_end = (size_t)fmin(fmax(ceil(high_x), 0.0), (double)from->columns);
    for (size_t row = (size_t)fmax(floor(low_y), 0.0); row < row_end; row++) {
        struct polygon a, strip, b, piece;
        double top = (double)row;
        polygon_clip(&adding->cell, 0.0, top, 1.0, top, &a);
        polygon_clip(&a, 1.0, top + 1.0, 0.0, top + 1.0, &strip);
        for (size_t column = (size_t)fmax(floor(low_x), 0.0); column < column_end; column++) {
            double left = (double)column;
            polygon_clip(&strip, left, 1.0, left, 0.0, &b);
            polygon_clip(&b, left + 1.0, 0.0, left + 1.0, 1.0, &piece);
            if (add_piece(adding, row * from->columns + column, fabs(polygon_area(&piece)), 1.0) !=
                0) {
                return ERR_MEMORY;
            }
        }
    }
    return 0;
}

/* Adds the intersections of one target cell. Weights are m2 over the m2 of the whole cell, whose
 * part beyond the source has the ground area of the same measure at its rim. */
static int add_cell(struct adding *adding) {
    size_t first = adding->at;
    adding->inside = adding->inside_m2 = 0.0;
    int result = adding->cells == NULL
                     ? add_straight(adding)
                     : curvilinear_visit(adding->cells, &adding->cell, add_curved, adding);
    double whole = fabs(polygon_area(&adding->cell));
    double whole_m2 = adding->inside > 0.0 ? adding->inside_m2 * whole / adding->inside : 0.0;
    for (size_t k = first; k < adding->at && result == 0; k++) {
        struct weight *weight = &adding->regrid->weights[k];
        weight->weight = (float)((double)weight->weight / whole_m2);
    }
    return result;
}

static int fill_conservative(struct adding *adding, const struct grid *to,
                             const struct lattice *lattice) {
    struct regrid *regrid = adding->regrid;
    for (size_t cell = 0; cell < regrid->cells; cell++) {
        regrid->begin[cell] = adding->at;
        if (outline(lattice, cell / to->columns, cell % to->columns, &adding->cell) &&
            add_cell(adding) != 0) {
            return ERR_MEMORY;
        }
    }
    regrid->begin[regrid->cells] = adding->at;
    return 0;
}

static int make_conservative(struct regrid *regrid, struct grid_env *env, const struct grid *from,
                             const struct curvilinear *cells, const struct grid *to,
                             struct err *ret_err) {
    struct lattice lattice = {.rows = to->rows * EDGE_PARTS + 1,
                              .columns = to->columns * EDGE_PARTS + 1};
    size_t count = lattice.rows * lattice.columns;
    double *area_m2 = malloc(from->rows * from->columns * sizeof *area_m2);
    struct adding adding = {.regrid = regrid, .from = from, .cells = cells, .area_m2 = area_m2};
    lattice.x = malloc(count * sizeof *lattice.x);
    lattice.y = malloc(count * sizeof *lattice.y);
    int result = area_m2 == NULL || lattice.x == NULL || lattice.y == NULL
                     ? ERR_MEMORY
                     : fill_lattice(to, &lattice);
    result =
        result == 0 ? place(env, from, cells, to, count, lattice.x, lattice.y, ret_err) : result;
    result = result == 0 ? grid_cell_areas_m2(env, from, area_m2, ret_err) : result;
    result = result == 0 ? fill_conservative(&adding, to, &lattice) : result;
    free(area_m2);
    free(lattice.x);
    free(lattice.y);
    return result;
}

/* ---- both ---- */

int regrid_create(struct grid_env *env, const struct grid *from, const struct grid *to,
                  enum regrid_method method, struct regrid **ret_regrid, struct err *ret_err) {
    struct err inner = {.code = 0};
    struct curvilinear *cells = NULL;
    if (from->rows * from->columns > UINT32_MAX) {
        return err_set(ret_err, ERR_LIMIT, "cannot regrid: more than %lu cells",
                       (unsigned long)UINT32_MAX);
    }
    struct regrid *regrid = calloc(1, sizeof *regrid);
    int result = regrid == NULL ? ERR_MEMORY : 0;
    if (result == 0) {
        regrid->method = method;
        regrid->cells = to->rows * to->columns;
        regrid->begin = calloc(regrid->cells + 1, sizeof *regrid->begin);
        result = regrid->begin == NULL ? ERR_MEMORY : 0;
    }
    if (result == 0 && from->curvilinear) {
        result = curvilinear_create(
            from, method == REGRID_BILINEAR ? CURVILINEAR_CENTRES : CURVILINEAR_CORNERS, &cells,
            &inner);
    }
    if (result == 0) {
        result = method == REGRID_BILINEAR
                     ? make_bilinear(regrid, env, from, cells, to, &inner)
                     : make_conservative(regrid, env, from, cells, to, &inner);
    }
    curvilinear_destroy(cells);
    if (result != 0) {
        regrid_destroy(regrid);
        return err_set(ret_err, result, "cannot regrid: %.200s",
                       inner.code != 0 ? inner.text : err_name(result));
    }
    *ret_regrid = regrid;
    return 0;
}

void regrid_destroy(struct regrid *regrid) {
    if (regrid != NULL) {
        free(regrid->begin);
        free(regrid->weights);
        free(regrid);
    }
}

void regrid_apply(const struct regrid *regrid, const float *from, float *ret_to) {
    bool bilinear = regrid->method == REGRID_BILINEAR;
    for (size_t cell = 0; cell < regrid->cells; cell++) {
        double sum = 0.0;
        double weight = 0.0;
        bool missing = regrid->begin[cell] == regrid->begin[cell + 1];
        for (size_t k = regrid->begin[cell]; k < regrid->begin[cell + 1]; k++) {
            double value = (double)from[regrid->weights[k].cell];
            double w = (double)regrid->weights[k].weight;
            missing = missing || (bilinear && isnan(value));
            sum += isnan(value) ? 0.0 : w * value;
            weight += isnan(value) ? 0.0 : w;
        }
        missing = missing || (!bilinear && weight < share_min);
        ret_to[cell] = missing ? NAN : (float)(sum / weight);
    }
}
