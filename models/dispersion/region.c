#include "models/dispersion/region.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { N = REGION_CELLS, POINTS_MIN = 100 };

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Spread of one axis without its outermost points, and the margins of the grid. */
static void extent(double *sorted, size_t count, double *ret_low, double *ret_high,
                   double *ret_smooth) {
    qsort(sorted, count, sizeof *sorted, compare);
    double quartiles = sorted[count * 3 / 4] - sorted[count / 4];
    double low = sorted[count / 500], high = sorted[count - 1 - count / 500];
    double span = fmax(high - low, 1e-3);
    *ret_low = low - 0.15 * span;
    *ret_high = high + 0.15 * span;
    /* Silverman; the samples of a chain are not independent, so a tenth of them count. */
    *ret_smooth = 0.9 * fmax(quartiles / 1.349, 0.02 * span) * pow((double)count / 10, -1.0 / 6);
}

/* One pass of a Gaussian along lines of N values `stride` apart. */
static void smooth(double *field, size_t stride, size_t across, double sigma_cells) {
    double kernel[N], line[N], sum = 0;
    for (int k = 0; k < N; k++) {
        kernel[k] = exp(-0.5 * k * k / (sigma_cells * sigma_cells));
        sum += k == 0 ? kernel[k] : 2 * kernel[k];
    }
    for (size_t a = 0; a < N; a++) {
        double *from = field + a * across;
        for (int i = 0; i < N; i++) {
            line[i] = 0;
            for (int k = 0; k < N; k++) {
                line[i] += from[(size_t)k * stride] * kernel[abs(i - k)] / sum;
            }
        }
        for (size_t i = 0; i < N; i++) {
            from[i * stride] = line[i];
        }
    }
}

int region_create(const double *x_m, const double *y_m, size_t count, struct region *ret_region,
                  struct err *ret_err) {
    struct region r = {0};
    if (count < POINTS_MIN) {
        return err_set(ret_err, ERR_LIMIT, "%zu points are too few for a region", count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(x_m[i]) || !isfinite(y_m[i])) {
            return err_set(ret_err, ERR_RANGE, "point %zu is not finite", i);
        }
    }
    double *sorted = calloc(count, sizeof *sorted);
    r.density = calloc((size_t)N * N, sizeof *r.density);
    if (sorted == NULL || r.density == NULL) {
        free(sorted);
        free(r.density);
        return err_set(ret_err, ERR_MEMORY, "no memory for a region");
    }
    double east = 0, north = 0, smooth_x = 0, smooth_y = 0, inside = 0, sum = 0;
    memcpy(sorted, x_m, count * sizeof *sorted);
    extent(sorted, count, &r.west_m, &east, &smooth_x);
    memcpy(sorted, y_m, count * sizeof *sorted);
    extent(sorted, count, &r.south_m, &north, &smooth_y);
    free(sorted);
    r.dx_m = (east - r.west_m) / N;
    r.dy_m = (north - r.south_m) / N;
    for (size_t i = 0; i < count; i++) {
        double c = floor((x_m[i] - r.west_m) / r.dx_m), l = floor((y_m[i] - r.south_m) / r.dy_m);
        if (c >= 0 && c < N && l >= 0 && l < N) {
            r.density[(size_t)l * N + (size_t)c] += 1;
            inside++;
        }
    }
    smooth(r.density, 1, N, fmax(smooth_x / r.dx_m, 0.5));
    smooth(r.density, N, 1, fmax(smooth_y / r.dy_m, 0.5));
    for (size_t i = 0; i < (size_t)N * N; i++) {
        sum += r.density[i];
    }
    for (size_t i = 0; i < (size_t)N * N; i++) {
        r.density[i] /= sum;
    }
    *ret_region = r;
    return 0;
}

void region_finish(struct region *region) {
    if (region != NULL) {
        free(region->density);
        *region = (struct region){0};
    }
}

int region_level(const struct region *region, double share, double *ret_level) {
    size_t cells = (size_t)N * N;
    double *sorted = calloc(cells, sizeof *sorted), sum = 0;
    if (sorted == NULL) {
        return ERR_MEMORY;
    }
    memcpy(sorted, region->density, cells * sizeof *sorted);
    qsort(sorted, cells, sizeof *sorted, compare);
    size_t i = cells;
    while (i > 1 && sum < share) {
        sum += sorted[--i];
    }
    *ret_level = sorted[i];
    free(sorted);
    return 0;
}

double region_area_m2(const struct region *region, double level) {
    size_t cells = 0;
    for (size_t i = 0; i < (size_t)N * N; i++) {
        cells += region->density[i] >= level;
    }
    return (double)cells * region->dx_m * region->dy_m;
}

static bool cell_in(const struct region *region, double level, ptrdiff_t row, ptrdiff_t column) {
    return row >= 0 && row < N && column >= 0 && column < N &&
           region->density[row * N + column] >= level;
}

bool region_holds(const struct region *region, double level, double x_m, double y_m) {
    double c = floor((x_m - region->west_m) / region->dx_m);
    double l = floor((y_m - region->south_m) / region->dy_m);
    return c >= 0 && c < N && l >= 0 && l < N && cell_in(region, level, (ptrdiff_t)l, (ptrdiff_t)c);
}

enum heading { EAST, NORTH, WEST, SOUTH };
static const ptrdiff_t step_x[] = {1, 0, -1, 0}, step_y[] = {0, 1, 0, -1};

/* Whether an edge leaves the corner with the region on its left and not on its right. */
static bool edge_at(const struct region *region, double level, ptrdiff_t x, ptrdiff_t y,
                    enum heading h) {
    static const ptrdiff_t left_x[] = {0, -1, -1, 0}, left_y[] = {0, 0, -1, -1};
    static const ptrdiff_t right_x[] = {0, 0, -1, -1}, right_y[] = {-1, 0, 0, -1};
    return cell_in(region, level, y + left_y[h], x + left_x[h]) &&
           !cell_in(region, level, y + right_y[h], x + right_x[h]);
}

/* Follows the edges from a corner until it is back, keeping only the corners where it turns. */
static size_t follow(const struct region *region, double level, ptrdiff_t x, ptrdiff_t y,
                     uint8_t *walked, double (*points)[2]) {
    ptrdiff_t at_x = x, at_y = y;
    enum heading h = EAST;
    size_t count = 0;
    int before = -1;
    do {
        if ((int)h != before) {
            points[count][0] = region->west_m + (double)at_x * region->dx_m;
            points[count][1] = region->south_m + (double)at_y * region->dy_m;
            count++;
            before = (int)h;
        }
        walked[at_y * (N + 1) + at_x] |= (uint8_t)(1U << h);
        at_x += step_x[h];
        at_y += step_y[h];
        /* Left first: cells that touch in a corner only stay apart. */
        static const unsigned turns[] = {1, 0, 3};
        for (size_t t = 0; t < 3; t++) {
            enum heading next = (enum heading)(((unsigned)h + turns[t]) % 4);
            if (edge_at(region, level, at_x, at_y, next)) {
                h = next;
                break;
            }
        }
    } while (at_x != x || at_y != y || h != EAST);
    points[count][0] = points[0][0];
    points[count][1] = points[0][1];
    return count + 1;
}

int region_outline(const struct region *region, double level, struct region_rings *ret_rings) {
    /* An edge belongs to one ring and brings at most one point; each ring one more. */
    size_t corners = (size_t)(N + 1) * (N + 1), edges = 4 * corners;
    uint8_t *walked = calloc(corners, sizeof *walked);
    struct region_rings rings = {.start = calloc(corners + 1, sizeof *rings.start),
                                 .points = calloc(edges, sizeof *rings.points)};
    if (walked == NULL || rings.start == NULL || rings.points == NULL) {
        free(walked);
        region_rings_finish(&rings);
        return ERR_MEMORY;
    }
    for (ptrdiff_t y = 0; y <= N; y++) {
        for (ptrdiff_t x = 0; x <= N; x++) {
            if (edge_at(region, level, x, y, EAST) && (walked[y * (N + 1) + x] & 1U) == 0) {
                size_t from = rings.start[rings.count];
                size_t added = follow(region, level, x, y, walked, rings.points + from);
                rings.start[++rings.count] = from + added;
            }
        }
    }
    free(walked);
    *ret_rings = rings;
    return 0;
}

void region_rings_finish(struct region_rings *rings) {
    if (rings != NULL) {
        free(rings->start);
        free(rings->points);
        *rings = (struct region_rings){0};
    }
}
