#include "models/dispersion/far_cells.h"

#include <math.h>
#include <stdlib.h>

#define SIZE_M_MIN 50.0

/* Rows and columns beyond the receptors are those of the edge. */
static size_t index_of(double at_m, double from_m, double size_m) {
    double i = floor((at_m - from_m) / size_m);
    return i < 0 ? 0 : i >= FAR_CELLS ? FAR_CELLS - 1 : (size_t)i;
}

static size_t cell_of(const struct far_cells *c, const struct puff_receptor *r) {
    return index_of(r->y_m, c->south_m, c->size_m) * FAR_CELLS +
           index_of(r->x_m, c->west_m, c->size_m);
}

int far_cells_create(const struct puff_receptor *receptors, size_t count,
                     struct far_cells *ret_cells, struct err *ret_err) {
    enum { ALL = FAR_CELLS * FAR_CELLS };
    double east = -HUGE_VAL, north = -HUGE_VAL;
    struct far_cells c = {HUGE_VAL, HUGE_VAL, 0, calloc(ALL + 2, sizeof *c.start),
                          calloc(count + 1, sizeof *c.receptor)};
    if (c.start == NULL || c.receptor == NULL) {
        far_cells_finish(&c);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu receptors", count);
    }
    for (size_t i = 0; i < count; i++) {
        c.west_m = fmin(c.west_m, receptors[i].x_m);
        c.south_m = fmin(c.south_m, receptors[i].y_m);
        east = fmax(east, receptors[i].x_m);
        north = fmax(north, receptors[i].y_m);
    }
    c.size_m = fmax(fmax(east - c.west_m, north - c.south_m) / FAR_CELLS, SIZE_M_MIN);
    for (size_t i = 0; i < count; i++) { /* counts, one place late */
        c.start[cell_of(&c, &receptors[i]) + 2]++;
    }
    for (size_t i = 2; i < ALL + 2; i++) {
        c.start[i] += c.start[i - 1];
    }
    for (size_t i = 0; i < count; i++) { /* places: start[k + 1] becomes the end of cell k */
        c.receptor[c.start[cell_of(&c, &receptors[i]) + 1]++] = i;
    }
    *ret_cells = c;
    return 0;
}

void far_cells_finish(struct far_cells *cells) {
    free(cells->start);
    free(cells->receptor);
    *cells = (struct far_cells){0};
}

void far_cells_near(const struct far_cells *c, double x_m, double y_m, double radius_m,
                    void (*near)(void *context, size_t receptor), void *context) {
    double wide_m = FAR_CELLS * c->size_m;
    if (x_m + radius_m < c->west_m || x_m - radius_m > c->west_m + wide_m ||
        y_m + radius_m < c->south_m || y_m - radius_m > c->south_m + wide_m) {
        return;
    }
    size_t west = index_of(x_m - radius_m, c->west_m, c->size_m);
    size_t east = index_of(x_m + radius_m, c->west_m, c->size_m);
    size_t north = index_of(y_m + radius_m, c->south_m, c->size_m);
    for (size_t row = index_of(y_m - radius_m, c->south_m, c->size_m); row <= north; row++) {
        for (size_t i = c->start[row * FAR_CELLS + west]; i < c->start[row * FAR_CELLS + east + 1];
             i++) {
            near(context, c->receptor[i]);
        }
    }
}
