#include "models/hydrology/terrain.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static const struct {
    int code, row, column;
} ways[8] = {{1, 0, 1},   {2, 1, 1},    {4, 1, 0},   {8, 1, -1},
             {16, 0, -1}, {32, -1, -1}, {64, -1, 0}, {128, -1, 1}};

struct entry {
    double elevation_m;
    int32_t order; /* of two cells of one height the one that came first */
    int32_t cell;
};

struct flood {
    size_t rows, columns;
    const double *dem_m;
    double *filled_m;
    int32_t *d8;
    struct entry *heap;
    size_t waiting;
    int32_t order;
    bool *seen;
};

static bool before(const struct entry *a, const struct entry *b) {
    return a->elevation_m < b->elevation_m ||
           (a->elevation_m == b->elevation_m && a->order < b->order);
}

static void push(struct flood *f, size_t cell) {
    struct entry e = {f->filled_m[cell], f->order++, (int32_t)cell};
    size_t at = f->waiting++;
    for (; at > 0 && before(&e, &f->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        f->heap[at] = f->heap[(at - 1) / 2];
    }
    f->heap[at] = e;
    f->seen[cell] = true;
}

static size_t pop(struct flood *f) {
    size_t top = (size_t)f->heap[0].cell;
    struct entry e = f->heap[--f->waiting];
    size_t at = 0;
    for (size_t child = 1; child < f->waiting; child = 2 * at + 1) {
        child += child + 1 < f->waiting && before(&f->heap[child + 1], &f->heap[child]) ? 1 : 0;
        if (!before(&f->heap[child], &e)) {
            break;
        }
        f->heap[at] = f->heap[child];
        at = child;
    }
    f->heap[at] = e;
    return top;
}

/* The neighbour in one direction; false outside the grid or where the elevation is missing. */
static bool neighbour(const struct flood *f, size_t cell, int way, size_t *ret_cell) {
    int64_t row = (int64_t)(cell / f->columns) + ways[way].row;
    int64_t column = (int64_t)(cell % f->columns) + ways[way].column;
    if (row < 0 || column < 0 || row >= (int64_t)f->rows || column >= (int64_t)f->columns) {
        return false;
    }
    *ret_cell = (size_t)(row * (int64_t)f->columns + column);
    return !isnan(f->dem_m[*ret_cell]);
}

static void fill(struct flood *f) {
    size_t cells = f->rows * f->columns, next = 0;
    for (size_t c = 0; c < cells; c++) {
        f->filled_m[c] = f->dem_m[c];
        f->d8[c] = 0;
        for (int w = 0; w < 8 && !isnan(f->dem_m[c]); w++) {
            if (!neighbour(f, c, w, &next)) {
                f->d8[c] = ways[w].code; /* an outlet, unless a neighbour is lower */
                push(f, c);
                break;
            }
        }
    }
    while (f->waiting > 0) {
        size_t c = pop(f);
        for (int w = 0; w < 8; w++) {
            if (neighbour(f, c, w, &next) && !f->seen[next]) {
                f->filled_m[next] = fmax(f->dem_m[next], f->filled_m[c]);
                f->d8[next] = ways[(w + 4) % 8].code; /* back to where the flood came from */
                push(f, next);
            }
        }
    }
}

static void steepest(struct flood *f, const double *dx_m, const double *dy_m) {
    for (size_t c = 0; c < f->rows * f->columns; c++) {
        double best = 0;
        size_t next = 0;
        for (int w = 0; w < 8 && !isnan(f->dem_m[c]); w++) {
            if (neighbour(f, c, w, &next)) {
                size_t row = c / f->columns, other = next / f->columns;
                double distance_m = hypot(ways[w].column * 0.5 * (dx_m[row] + dx_m[other]),
                                          ways[w].row * 0.5 * (dy_m[row] + dy_m[other]));
                double slope = (f->filled_m[c] - f->filled_m[next]) / distance_m;
                if (slope > best) {
                    best = slope;
                    f->d8[c] = ways[w].code;
                }
            }
        }
    }
}

static int check_elevations(size_t columns, size_t cells, const double *dem_m,
                            struct err *ret_err) {
    double lowest = INFINITY, highest = -INFINITY;
    size_t known = 0;
    for (size_t c = 0; c < cells; c++) {
        if (isnan(dem_m[c])) {
            continue;
        }
        if (!(dem_m[c] >= TERRAIN_LOWEST_M && dem_m[c] <= TERRAIN_HIGHEST_M)) {
            return err_set(ret_err, ERR_RANGE,
                           "row %zu from the north, column %zu: %g m is no elevation of land (%g "
                           "to %g m); fill values must be declared and the sea masked",
                           c / columns + 1, c % columns + 1, dem_m[c], TERRAIN_LOWEST_M,
                           TERRAIN_HIGHEST_M);
        }
        lowest = fmin(lowest, dem_m[c]);
        highest = fmax(highest, dem_m[c]);
        known++;
    }
    if (known == 0) {
        return err_set(ret_err, ERR_INVALID, "no cell has an elevation");
    }
    return known == 1 || highest > lowest
               ? 0
               : err_set(ret_err, ERR_INVALID, "every cell has the elevation %g m: no relief",
                         lowest);
}

int terrain_drain(size_t rows, size_t columns, const double *dx_m, const double *dy_m,
                  const double *dem_m, double *ret_filled_m, int32_t *ret_d8, struct err *ret_err) {
    bool possible = rows > 0 && columns > 0 && rows <= NETWORK_CELLS_MAX / columns;
    for (size_t row = 0; possible && row < rows; row++) {
        possible = dx_m[row] > 0 && dy_m[row] > 0;
    }
    if (!possible) {
        return err_set(ret_err, ERR_LIMIT,
                       "%zu x %zu cells; at most %zu, with sizes above 0, are possible", rows,
                       columns, NETWORK_CELLS_MAX);
    }
    int checked = check_elevations(columns, rows * columns, dem_m, ret_err);
    if (checked != 0) {
        return checked;
    }
    size_t cells = rows * columns;
    struct flood f = {
        .rows = rows, .columns = columns, .dem_m = dem_m, .filled_m = ret_filled_m, .d8 = ret_d8};
    f.heap = calloc(cells, sizeof *f.heap);
    f.seen = calloc(cells, sizeof *f.seen);
    int rc = f.heap == NULL || f.seen == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", cells)
                 : 0;
    if (rc == 0) {
        fill(&f);
        steepest(&f, dx_m, dy_m);
    }
    free(f.heap);
    free(f.seen);
    return rc;
}

int terrain_accumulate(size_t rows, size_t columns, const int32_t *d8, const double *row_km2,
                       int32_t *ret_cells, double *ret_km2, int32_t *ret_basin,
                       struct err *ret_err) {
    size_t grid = rows * columns, count = 0;
    int32_t *cell_of_grid = calloc(grid, sizeof *cell_of_grid);
    int32_t *downstream = calloc(grid, sizeof *downstream);
    int32_t *basin = calloc(grid, sizeof *basin);
    double *km2 = calloc(grid, sizeof *km2);
    struct network *network = NULL;
    int rc = cell_of_grid == NULL || downstream == NULL || basin == NULL || km2 == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", grid)
                 : 0;
    rc = rc != 0 ? rc
                 : network_from_d8(rows, columns, d8, &count, cell_of_grid, downstream, ret_err);
    rc = rc != 0 ? rc : network_create(count, downstream, NULL, &network, ret_err);
    if (rc == 0) {
        int32_t basins = 0;
        for (size_t i = 0; i < grid; i++) {
            if (cell_of_grid[i] >= 0) {
                km2[network->place_of[cell_of_grid[i]]] = row_km2[i / columns];
            }
        }
        for (size_t p = 0; p < count; p++) { /* downstream places come later */
            if (network->downstream[p] != NETWORK_OUTLET) {
                km2[network->downstream[p]] += km2[p];
            }
        }
        for (size_t c = 0; c < count; c++) {
            basin[network->place_of[c]] = downstream[c] == NETWORK_OUTLET ? ++basins : 0;
        }
        for (size_t p = count; p-- > 0;) {
            basin[p] = basin[p] > 0 ? basin[p] : basin[network->downstream[p]];
        }
        for (size_t i = 0; i < grid; i++) {
            int32_t c = cell_of_grid[i];
            ret_km2[i] = c < 0 ? 0 : km2[network->place_of[c]];
            ret_cells[i] = c < 0 ? 0 : network->cells_above[network->place_of[c]];
            ret_basin[i] = c < 0 ? 0 : basin[network->place_of[c]];
        }
    }
    network_destroy(network);
    free(cell_of_grid);
    free(downstream);
    free(basin);
    free(km2);
    return rc;
}
