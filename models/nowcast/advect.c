#include "models/nowcast/advect.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

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

static void rows_sample(void *context, int part, int begin, int end) {
    struct sample_job *job = context;
    const struct displacement *d = job->displacement;
    (void)part;
    for (int y = begin; y < end; y++) {
        int j = y / MOTION_LATTICE_PX;
        float fy = (float)(y - j * MOTION_LATTICE_PX) / MOTION_LATTICE_PX;
        for (int i = 0; i * MOTION_LATTICE_PX < job->nx; i++) {
            int a = j * d->nodes_x + i;
            int b = a + d->nodes_x;
            float west_dx = (1.0F - fy) * d->dx[a] + fy * d->dx[b];
            float east_dx = (1.0F - fy) * d->dx[a + 1] + fy * d->dx[b + 1];
            float west_dy = (1.0F - fy) * d->dy[a] + fy * d->dy[b];
            float east_dy = (1.0F - fy) * d->dy[a + 1] + fy * d->dy[b + 1];
            int first = i * MOTION_LATTICE_PX;
            int last = first + MOTION_LATTICE_PX < job->nx ? first + MOTION_LATTICE_PX : job->nx;
            for (int x = first; x < last; x++) {
                float fx = (float)(x - first) / MOTION_LATTICE_PX;
                float from_x = (float)x - (west_dx + fx * (east_dx - west_dx));
                float from_y = (float)y - (west_dy + fx * (east_dy - west_dy));
                job->to[(ptrdiff_t)y * job->nx + x] = job->sampling == SAMPLE_NEAREST
                                                          ? sample_nearest(job, from_x, from_y)
                                                          : sample_bilinear(job, from_x, from_y);
            }
        }
    }
}

static void displacement_at(const struct displacement *d, int x, int y, float *ret_dx,
                            float *ret_dy) {
    int i = x / MOTION_LATTICE_PX;
    int j = y / MOTION_LATTICE_PX;
    float fx = (float)(x - i * MOTION_LATTICE_PX) / MOTION_LATTICE_PX;
    float fy = (float)(y - j * MOTION_LATTICE_PX) / MOTION_LATTICE_PX;
    int a = j * d->nodes_x + i;
    int b = a + d->nodes_x;
    float west = (1.0F - fy) * d->dx[a] + fy * d->dx[b];
    float east = (1.0F - fy) * d->dx[a + 1] + fy * d->dx[b + 1];
    *ret_dx = west + fx * (east - west);
    west = (1.0F - fy) * d->dy[a] + fy * d->dy[b];
    east = (1.0F - fy) * d->dy[a + 1] + fy * d->dy[b + 1];
    *ret_dy = west + fx * (east - west);
}

void displacement_sample(const struct displacement *displacement, const float *field, int nx,
                         int ny, enum sampling sampling, int threads, float *ret_field) {
    struct sample_job job = {displacement, field, nx, ny, sampling, ret_field};
    parallel_rows(threads, ny, rows_sample, &job);
}

void displacement_sample_window(const struct displacement *displacement, const float *field, int nx,
                                int ny, const struct displacement_window *window,
                                float *ret_field) {
    struct sample_job job = {displacement, field, nx, ny, SAMPLE_BILINEAR, ret_field};
    for (int y = window->y0; y < window->y1; y++) {
        for (int x = window->x0; x < window->x1; x++) {
            float dx;
            float dy;
            displacement_at(displacement, x, y, &dx, &dy);
            ret_field[(ptrdiff_t)y * nx + x] = sample_bilinear(&job, (float)x - window->factor * dx,
                                                               (float)y - window->factor * dy);
        }
    }
}
