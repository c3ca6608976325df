#include "models/nowcast/advect.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "models/nowcast/parallel.h"

int displacement_init(const struct motion *motion, struct displacement *ret_displacement) {
    size_t nodes = (size_t)motion->nodes_x * (size_t)motion->nodes_y;
    struct displacement displacement = {motion->nodes_x, motion->nodes_y,
                                        calloc(nodes, sizeof *displacement.dx),
                                        calloc(nodes, sizeof *displacement.dy)};
    if (displacement.dx == NULL || displacement.dy == NULL) {
        displacement_finish(&displacement);
        return ERR_MEMORY;
    }
    *ret_displacement = displacement;
    return ERR_OK;
}

void displacement_finish(struct displacement *displacement) {
    if (displacement == NULL) {
        return;
    }
    free(displacement->dx);
    free(displacement->dy);
    *displacement = (struct displacement){0};
}

struct advance_job {
    struct displacement *displacement;
    const struct motion *motion;
    float steps;
};

static void rows_advance(void *context, int part, int begin, int end) {
    struct advance_job *job = context;
    (void)part;
    for (int j = begin; j < end; j++) {
        for (int i = 0; i < job->displacement->nodes_x; i++) {
            int node = j * job->displacement->nodes_x + i;
            float x = (float)(i * MOTION_LATTICE_PX) - job->displacement->dx[node];
            float y = (float)(j * MOTION_LATTICE_PX) - job->displacement->dy[node];
            float u;
            float v;
            motion_at(job->motion, x, y, &u, &v);
            motion_at(job->motion, x - 0.5F * job->steps * u, y - 0.5F * job->steps * v, &u, &v);
            job->displacement->dx[node] += job->steps * u;
            job->displacement->dy[node] += job->steps * v;
        }
    }
}

void displacement_advance(struct displacement *displacement, const struct motion *motion,
                          float steps, int threads) {
    struct advance_job job = {displacement, motion, steps};
    parallel_rows(threads, displacement->nodes_y, rows_advance, &job);
}

struct sample_job {
    const struct displacement *displacement;
    const float *field;
    int nx;
    int ny;
    enum sampling sampling;
    float *to;
};

static float sample_bilinear(const struct sample_job *job, float x, float y) {
    if (!(x >= 0.0F && y >= 0.0F && x <= (float)(job->nx - 1) && y <= (float)(job->ny - 1))) {
        return NAN;
    }
    int i = (int)x;
    int j = (int)y;
    float fx = x - (float)i;
    float fy = y - (float)j;
    /* A neighbour without weight is not read: it may be missing or beyond the edge. */
    ptrdiff_t east = fx > 0.0F ? 1 : 0;
    ptrdiff_t south = fy > 0.0F ? job->nx : 0;
    const float *corner = job->field + (ptrdiff_t)j * job->nx + i;
    /* In this form equal neighbours give exactly their value, so a threshold is not crossed. */
    float up = corner[0] + fx * (corner[east] - corner[0]);
    float down = corner[south] + fx * (corner[south + east] - corner[south]);
    return up + fy * (down - up);
}

static float sample_nearest(const struct sample_job *job, float x, float y) {
    int i = (int)floorf(x + 0.5F);
    int j = (int)floorf(y + 0.5F);
    if (i < 0 || j < 0 || i >= job->nx || j >= job->ny) {
        return NAN;
    }
    return job->field[(ptrdiff_t)j * job->nx + i];
}

/* The displacements at the left and right end of a row of MOTION_LATTICE_PX pixels between nodes.
 */
struct segment {
    float west_dx;
    float east_dx;
    float west_dy;
    float east_dy;
};

static inline struct segment segment_at(const struct displacement *d, int i, int y) {
    int j = y / MOTION_LATTICE_PX;
    float fy = (float)(y - j * MOTION_LATTICE_PX) / MOTION_LATTICE_PX;
    int a = j * d->nodes_x + i;
    int b = a + d->nodes_x;
    return (struct segment){.west_dx = (1.0F - fy) * d->dx[a] + fy * d->dx[b],
                            .east_dx = (1.0F - fy) * d->dx[a + 1] + fy * d->dx[b + 1],
                            .west_dy = (1.0F - fy) * d->dy[a] + fy * d->dy[b],
                            .east_dy = (1.0F - fy) * d->dy[a + 1] + fy * d->dy[b + 1]};
}

/* The displacement at pixel k of a segment. */
static inline float dx_at(const struct segment *s, int k) {
    return s->west_dx + (float)k / MOTION_LATTICE_PX * (s->east_dx - s->west_dx);
}

static inline float dy_at(const struct segment *s, int k) {
    return s->west_dy + (float)k / MOTION_LATTICE_PX * (s->east_dy - s->west_dy);
}

typedef float lanes __attribute__((vector_size(16)));
typedef int lane_masks __attribute__((vector_size(16)));

enum { LANES = 4 };

static inline lanes choose(lane_masks mask, lanes yes, lanes no) {
    return (lanes)((mask & (lane_masks)yes) | (~mask & (lane_masks)no));
}

/* sample_bilinear for LANES pixels, the same bits. Returns false, and does nothing, when one may
 * come from outside the grid. */
static bool sample_lanes(const struct sample_job *job, lanes x, lanes y, float *ret_values) {
    lane_masks inside =
        (x >= 0.0F) & (y >= 0.0F) & (x < (float)(job->nx - 1)) & (y < (float)(job->ny - 1));
    if ((inside[0] & inside[1] & inside[2] & inside[3]) == 0) {
        return false;
    }
    lane_masks i = __builtin_convertvector(x, lane_masks);
    lane_masks j = __builtin_convertvector(y, lane_masks);
    lanes fx = x - __builtin_convertvector(i, lanes);
    lanes fy = y - __builtin_convertvector(j, lanes);
    const float *north[LANES];
    for (int k = 0; k < LANES; k++) {
        north[k] = job->field + (ptrdiff_t)j[k] * job->nx + i[k];
    }
    ptrdiff_t row = job->nx;
    lanes nw = {north[0][0], north[1][0], north[2][0], north[3][0]};
    lanes ne = {north[0][1], north[1][1], north[2][1], north[3][1]};
    lanes sw = {north[0][row], north[1][row], north[2][row], north[3][row]};
    lanes se = {north[0][row + 1], north[1][row + 1], north[2][row + 1], north[3][row + 1]};
    /* A neighbour without weight may be missing. */
    ne = choose(fx > 0.0F, ne, nw);
    se = choose(fx > 0.0F, se, sw);
    lanes up = nw + fx * (ne - nw);
    lanes low = choose(fy > 0.0F, sw + fx * (se - sw), up);
    lanes values = up + fy * (low - up);
    memcpy(ret_values, &values, sizeof values);
    return true;
}

static void sample_some(const struct sample_job *job, const struct segment *segment, int first,
                        int y, int some, float *ret_values) {
    for (int k = 0; k < some; k++) {
        float x_from = (float)(first + k) - dx_at(segment, k);
        float y_from = (float)y - dy_at(segment, k);
        ret_values[k] = job->sampling == SAMPLE_NEAREST ? sample_nearest(job, x_from, y_from)
                                                        : sample_bilinear(job, x_from, y_from);
    }
}

/* A segment of bilinear samples. */
static void sample_segment(const struct sample_job *job, const struct segment *segment, int first,
                           int y, float *ret_values) {
    static const lanes along[2] = {{0.0F, 0.125F, 0.25F, 0.375F}, {0.5F, 0.625F, 0.75F, 0.875F}};
    static const lanes steps[2] = {{0.0F, 1.0F, 2.0F, 3.0F}, {4.0F, 5.0F, 6.0F, 7.0F}};
    _Static_assert(MOTION_LATTICE_PX == 2 * LANES, "two groups of lanes make a segment");
    for (int half = 0; half < 2; half++) {
        lanes dx = segment->west_dx + along[half] * (segment->east_dx - segment->west_dx);
        lanes dy = segment->west_dy + along[half] * (segment->east_dy - segment->west_dy);
        lanes x = (float)first + steps[half];
        if (!sample_lanes(job, x - dx, (float)y - dy, ret_values + half * LANES)) {
            sample_some(job, segment, first, y, MOTION_LATTICE_PX, ret_values);
            return;
        }
    }
}

static void rows_sample(void *context, int part, int begin, int end) {
    struct sample_job *job = context;
    (void)part;
    for (int y = begin; y < end; y++) {
        float *row = job->to + (ptrdiff_t)y * job->nx;
        for (int i = 0; i * MOTION_LATTICE_PX < job->nx; i++) {
            struct segment segment = segment_at(job->displacement, i, y);
            int first = i * MOTION_LATTICE_PX;
            int some = job->nx - first < MOTION_LATTICE_PX ? job->nx - first : MOTION_LATTICE_PX;
            if (job->sampling == SAMPLE_BILINEAR && some == MOTION_LATTICE_PX) {
                sample_segment(job, &segment, first, y, row + first);
            } else {
                sample_some(job, &segment, first, y, some, row + first);
            }
        }
    }
}

void displacement_sample(const struct displacement *displacement, const float *field, int nx,
                         int ny, enum sampling sampling, int threads, float *ret_field) {
    struct sample_job job = {displacement, field, nx, ny, sampling, ret_field};
    parallel_rows(threads, ny, rows_sample, &job);
}

void displacement_nearest(const struct displacement *displacement, const float *field, int nx,
                          int ny, int y, int stride, float *ret_row) {
    struct sample_job job = {displacement, field, nx, ny, SAMPLE_NEAREST, NULL};
    struct segment segment = {0};
    int segment_of = -1;
    for (int x = 0; x < nx; x += stride) {
        int i = x / MOTION_LATTICE_PX;
        int k = x % MOTION_LATTICE_PX;
        segment = i == segment_of ? segment : segment_at(displacement, i, y);
        segment_of = i;
        ret_row[x / stride] =
            sample_nearest(&job, (float)x - dx_at(&segment, k), (float)y - dy_at(&segment, k));
    }
}

int motion_carry(const struct motion *motion, const float *field, double steps, int threads,
                 float *ret_field) {
    struct displacement displacement;
    if (displacement_init(motion, &displacement) != ERR_OK) {
        return ERR_MEMORY;
    }
    int times = (int)ceil(steps);
    for (int i = 0; i < times; i++) {
        displacement_advance(&displacement, motion, (float)(steps / times), threads);
    }
    displacement_sample(&displacement, field, motion->nx, motion->ny, SAMPLE_BILINEAR, threads,
                        ret_field);
    displacement_finish(&displacement);
    return ERR_OK;
}

void displacement_sample_window(const struct displacement *displacement, const float *field, int nx,
                                int ny, const struct displacement_window *window,
                                float *ret_field) {
    struct sample_job job = {displacement, field, nx, ny, SAMPLE_BILINEAR, ret_field};
    for (int y = window->y0; y < window->y1; y++) {
        for (int x = window->x0; x < window->x1; x++) {
            struct segment segment = segment_at(displacement, x / MOTION_LATTICE_PX, y);
            float dx = dx_at(&segment, x % MOTION_LATTICE_PX);
            float dy = dy_at(&segment, x % MOTION_LATTICE_PX);
            ret_field[(ptrdiff_t)y * nx + x] = sample_bilinear(&job, (float)x - window->factor * dx,
                                                               (float)y - window->factor * dy);
        }
    }
}
