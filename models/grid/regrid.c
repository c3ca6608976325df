#include "models/grid/regrid.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/grid/geo.h"

enum { EDGE_PARTS = 2, POLYGON_MAX = 4 * EDGE_PARTS + 8, WEIGHTS_MAX = 400000000 };

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

/* Points of the target, in its coordinates, to fractional edge indexes of the source; NaN where a
 * projection cannot place them. */
static int place(struct grid_env *env, const struct grid *from, const struct grid *to, size_t count,
                 double *x, double *y, struct err *ret_err) {
    struct geo *source = NULL;
    struct geo *target = NULL;
    int result = geo_create(env, from->crs, &source, ret_err);
    result = result == 0 ? geo_create(env, to->crs, &target, ret_err) : result;
    if (result == 0) {
        (void)geo_inverse(target, count, x, y);
        (void)geo_forward(source, count, x, y);
    }
    double middle = from->x[from->columns / 2];
    for (size_t i = 0; i < count && result == 0; i++) {
        if (isnan(x[i]) || isnan(y[i])) {
            continue;
        }
        x[i] += from->degrees ? 360.0 * round((middle - x[i]) / 360.0) : 0.0;
        x[i] = index_on(from->x_edge, from->columns, x[i]);
        y[i] = index_on(from->y_edge, from->rows, y[i]);
    }
    geo_destroy(source);
    geo_destroy(target);
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

static int fill_bilinear(struct regrid *regrid, const struct grid *from, const double *x,
                         const double *y) {
    size_t at = 0;
    for (size_t cell = 0; cell < regrid->cells; cell++) {
        size_t column;
        size_t row;
        double fx;
        double fy;
        regrid->begin[cell] = at;
        if (!between(x[cell], from->columns, &column, &fx) ||
            !between(y[cell], from->rows, &row, &fy)) {
            continue;
        }
        const double shares[] = {(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy};
        for (size_t k = 0; k < 4; k++) {
            size_t source = (row + k / 2) * from->columns + column + k % 2;
            if (shares[k] > 1e-9 && add_weight(regrid, at++, source, shares[k]) != 0) {
                return ERR_MEMORY;
            }
        }
    }
    regrid->begin[regrid->cells] = at;
    return 0;
}

static int make_bilinear(struct regrid *regrid, struct grid_env *env, const struct grid *from,
                         const struct grid *to, struct err *ret_err) {
    double *x = malloc(regrid->cells * sizeof *x);
    double *y = malloc(regrid->cells * sizeof *y);
    int result = x == NULL || y == NULL ? ERR_MEMORY : 0;
    for (size_t i = 0; i < regrid->cells && result == 0; i++) {
        x[i] = to->x[i % to->columns];
        y[i] = to->y[i / to->columns];
    }
    result = result == 0 ? place(env, from, to, regrid->cells, x, y, ret_err) : result;
    result = result == 0 ? fill_bilinear(regrid, from, x, y) : result;
    free(x);
    free(y);
    return result;
}

/* ---- conservative ---- */

struct polygon {
    size_t count;
    double x[POLYGON_MAX];
    double y[POLYGON_MAX];
};

/* The part on the side sign * (coordinate - limit) >= 0 (Sutherland & Hodgman 1974). */
static void clip(const struct polygon *in, bool along_x, double limit, double sign,
                 struct polygon *ret_out) {
    ret_out->count = 0;
    for (size_t i = 0; i < in->count; i++) {
        size_t next = i + 1 < in->count ? i + 1 : 0;
        double a = sign * ((along_x ? in->x[i] : in->y[i]) - limit);
        double b = sign * ((along_x ? in->x[next] : in->y[next]) - limit);
        if (a >= 0.0 && ret_out->count < POLYGON_MAX) {
            ret_out->x[ret_out->count] = in->x[i];
            ret_out->y[ret_out->count++] = in->y[i];
        }
        if ((a >= 0.0) != (b >= 0.0) && ret_out->count < POLYGON_MAX) {
            double share = a / (a - b);
            ret_out->x[ret_out->count] = in->x[i] + share * (in->x[next] - in->x[i]);
            ret_out->y[ret_out->count++] = in->y[i] + share * (in->y[next] - in->y[i]);
        }
    }
}

static double area_of(const struct polygon *polygon) {
    double sum = 0.0;
    for (size_t i = 0; i < polygon->count; i++) {
        size_t next = i + 1 < polygon->count ? i + 1 : 0;
        sum += polygon->x[i] * polygon->y[next] - polygon->x[next] * polygon->y[i];
    }
    return fabs(sum) / 2.0;
}

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

/* Adds the intersections of one target cell. Weights are m2 over the m2 of the whole cell, whose
 * part beyond the source has the ground area of the same measure at its rim. */
static int add_cell(struct regrid *regrid, const struct grid *from, const double *area_m2,
                    const struct polygon *cell, size_t *at) {
    double low_x, high_x, low_y, high_y;
    extent(cell->x, cell->count, &low_x, &high_x);
    extent(cell->y, cell->count, &low_y, &high_y);
    double whole = area_of(cell); /* in cells of the source */
    double inside = 0.0;
    double inside_m2 = 0.0;
    size_t first = *at;
    size_t row_end = (size_t)fmin(fmax(ceil(high_y), 0.0), (double)from->rows);
    size_t column_end = (size_t)fmin(fmax(ceil(high_x), 0.0), (double)from->columns);
    for (size_t row = (size_t)fmax(floor(low_y), 0.0); row < row_end; row++) {
        struct polygon a, strip, b, piece;
        clip(cell, false, (double)row, 1.0, &a);
        clip(&a, false, (double)row + 1.0, -1.0, &strip);
        for (size_t column = (size_t)fmax(floor(low_x), 0.0); column < column_end; column++) {
            clip(&strip, true, (double)column, 1.0, &b);
            clip(&b, true, (double)column + 1.0, -1.0, &piece);
            double share = area_of(&piece);
            size_t source = row * from->columns + column;
            if (share < nothing) {
                continue;
            }
            if (add_weight(regrid, (*at)++, source, share * area_m2[source]) != 0) {
                return ERR_MEMORY;
            }
            inside += share;
            inside_m2 += share * area_m2[source];
        }
    }
    double whole_m2 = inside > 0.0 ? inside_m2 * whole / inside : 0.0;
    for (size_t k = first; k < *at; k++) {
        regrid->weights[k].weight = (float)((double)regrid->weights[k].weight / whole_m2);
    }
    return 0;
}

static int fill_conservative(struct regrid *regrid, const struct grid *from, const struct grid *to,
                             const double *area_m2, const struct lattice *lattice) {
    size_t at = 0;
    for (size_t cell = 0; cell < regrid->cells; cell++) {
        struct polygon polygon;
        regrid->begin[cell] = at;
        if (outline(lattice, cell / to->columns, cell % to->columns, &polygon) &&
            add_cell(regrid, from, area_m2, &polygon, &at) != 0) {
            return ERR_MEMORY;
        }
    }
    regrid->begin[regrid->cells] = at;
    return 0;
}

static int make_conservative(struct regrid *regrid, struct grid_env *env, const struct grid *from,
                             const struct grid *to, struct err *ret_err) {
    struct lattice lattice = {.rows = to->rows * EDGE_PARTS + 1,
                              .columns = to->columns * EDGE_PARTS + 1};
    size_t count = lattice.rows * lattice.columns;
    double *area_m2 = malloc(from->rows * from->columns * sizeof *area_m2);
    lattice.x = malloc(count * sizeof *lattice.x);
    lattice.y = malloc(count * sizeof *lattice.y);
    int result = area_m2 == NULL || lattice.x == NULL || lattice.y == NULL ? ERR_MEMORY : 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        lattice.x[i] = along(to->x_edge, i % lattice.columns);
        lattice.y[i] = along(to->y_edge, i / lattice.columns);
    }
    result = result == 0 ? place(env, from, to, count, lattice.x, lattice.y, ret_err) : result;
    result = result == 0 ? grid_cell_areas_m2(env, from, area_m2, ret_err) : result;
    result = result == 0 ? fill_conservative(regrid, from, to, area_m2, &lattice) : result;
    free(area_m2);
    free(lattice.x);
    free(lattice.y);
    return result;
}

/* ---- both ---- */

int regrid_create(struct grid_env *env, const struct grid *from, const struct grid *to,
                  enum regrid_method method, struct regrid **ret_regrid, struct err *ret_err) {
    struct err inner = {.code = 0};
    if (from->curvilinear || to->curvilinear || from->rows * from->columns > UINT32_MAX) {
        return err_set(ret_err, ERR_UNSUPPORTED,
                       "regridding needs axes; this grid has 2-D longitude and latitude");
    }
    struct regrid *regrid = calloc(1, sizeof *regrid);
    int result = regrid == NULL ? ERR_MEMORY : 0;
    if (result == 0) {
        regrid->method = method;
        regrid->cells = to->rows * to->columns;
        regrid->begin = calloc(regrid->cells + 1, sizeof *regrid->begin);
        result = regrid->begin == NULL ? ERR_MEMORY : 0;
    }
    if (result == 0) {
        result = method == REGRID_BILINEAR ? make_bilinear(regrid, env, from, to, &inner)
                                           : make_conservative(regrid, env, from, to, &inner);
    }
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
