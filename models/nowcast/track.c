#include "models/nowcast/track.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/nowcast/parallel.h"

/* The window is even (its centre lies between pixels) so that whole lanes fit in a row. */
enum { WINDOW = 48, PATCH = WINDOW + 2, LANES = 4, ITERATIONS_MAX = 10 };
enum { CORNER_DISTANCE_PX = 10, CORNER_MISSING_PX = 2, BOX = 5 };

static const float corner_quality = 0.01F;
static const float eigenvalue_min = 1e-3F; /* of the mean gradient product, (grey level / px)^2 */
static const float step_px_min[PYRAMID_LEVELS] = {0.01F, 0.03F, 0.03F, 0.03F};

typedef float lanes __attribute__((vector_size(16)));
typedef int lane_masks __attribute__((vector_size(16)));

static inline lanes load(const float *from) {
    lanes value;
    memcpy(&value, from, sizeof value);
    return value;
}

/* `value` where `where` is a number, 0 where it is NaN: what is missing counts nothing in a sum. */
static inline lanes where_valid(lanes value, lanes where) {
    return (lanes)((lane_masks)value & (where == where));
}

static inline float sum_lanes(lanes value) {
    return (value[0] + value[1]) + (value[2] + value[3]);
}

/* ---- corners ---- */

struct corner {
    float score;
    int x;
    int y;
};

struct corner_job {
    const struct pyramid_level *image;
    float *score;
    bool failed[PARALLEL_THREADS_MAX];
};

/* Products of the Sobel gradients of one row, summed over BOX columns: xx, xy, yy, each nx long. */
static void row_of_products(const struct pyramid_level *image, int y, float *scratch,
                            float *ret_sums) {
    int nx = image->nx;
    const float *up = image->value + image_at(0, image_clamp(y - 1, image->ny), nx);
    const float *mid = image->value + image_at(0, image_clamp(y, image->ny), nx);
    const float *down = image->value + image_at(0, image_clamp(y + 1, image->ny), nx);
    float *xx = scratch;
    float *xy = scratch + nx;
    float *yy = scratch + 2 * (size_t)nx;
    for (int x = 0; x < nx; x++) {
        int w = image_clamp(x - 1, nx);
        int e = image_clamp(x + 1, nx);
        float gx = (up[e] - up[w]) + 2.0F * (mid[e] - mid[w]) + (down[e] - down[w]);
        float gy = (down[w] - up[w]) + 2.0F * (down[x] - up[x]) + (down[e] - up[e]);
        bool there = !isnan(gx) && !isnan(gy);
        xx[x] = there ? gx * gx : 0.0F;
        xy[x] = there ? gx * gy : 0.0F;
        yy[x] = there ? gy * gy : 0.0F;
    }
    for (int k = 0; k < 3; k++) {
        const float *product = scratch + (size_t)k * (size_t)nx;
        float *sums = ret_sums + (size_t)k * (size_t)nx;
        for (int x = 0; x < nx; x++) {
            if (x >= 2 && x < nx - 2) {
                sums[x] =
                    product[x - 2] + product[x - 1] + product[x] + product[x + 1] + product[x + 2];
                continue;
            }
            float sum = 0.0F;
            for (int d = -2; d <= 2; d++) {
                sum += product[image_clamp(x + d, nx)];
            }
            sums[x] = sum;
        }
    }
}

/* The smaller eigenvalue of the structure tensor over a BOX x BOX block. */
static void rows_of_scores(void *context, int part, int begin, int end) {
    struct corner_job *job = context;
    int nx = job->image->nx;
    size_t row = 3 * (size_t)nx;
    float *ring = malloc((BOX + 1) * row * sizeof *ring);
    if (ring == NULL) {
        job->failed[part] = true;
        return;
    }
    float *scratch = ring + BOX * row;
    for (int y = begin - 2; y < end + 2; y++) {
        row_of_products(job->image, image_clamp(y, job->image->ny), scratch,
                        ring + (size_t)((y + BOX) % BOX) * row);
        int centre = y - 2;
        if (centre < begin) {
            continue;
        }
        float *score = job->score + image_at(0, centre, nx);
        for (int x = 0; x < nx; x++) {
            float a = 0.0F;
            float b = 0.0F;
            float c = 0.0F;
            for (size_t k = 0; k < BOX; k++) {
                const float *sums = ring + k * row;
                a += sums[x];
                b += sums[x + nx];
                c += sums[x + 2 * nx];
            }
            float half = 0.5F * (a - c);
            score[x] = 0.5F * (a + c) - sqrtf(half * half + b * b);
        }
    }
    free(ring);
}

static bool is_peak(const struct corner_job *job, int x, int y) {
    int nx = job->image->nx;
    int ny = job->image->ny;
    float score = job->score[image_at(x, y, nx)];
    for (int dy = -1; dy <= 1; dy++) {
        for (int dx = -1; dx <= 1; dx++) {
            if (job->score[image_at(image_clamp(x + dx, nx), image_clamp(y + dy, ny), nx)] >
                score) {
                return false;
            }
        }
    }
    return true;
}

static bool is_near_missing(const float *rate, int x, int y, int nx, int ny) {
    for (int dy = -CORNER_MISSING_PX; dy <= CORNER_MISSING_PX; dy++) {
        for (int dx = -CORNER_MISSING_PX; dx <= CORNER_MISSING_PX; dx++) {
            if (isnan(rate[image_at(image_clamp(x + dx, nx), image_clamp(y + dy, ny), nx)])) {
                return true;
            }
        }
    }
    return false;
}

static int compare_corners(const void *left, const void *right) {
    const struct corner *a = left;
    const struct corner *b = right;
    if (a->score != b->score) {
        return a->score > b->score ? -1 : 1;
    }
    if (a->y != b->y) {
        return a->y < b->y ? -1 : 1;
    }
    return (a->x > b->x) - (a->x < b->x);
}

/* Collects the peaks of at least `least`; ret_peaks NULL only counts. Returns their number. */
static size_t collect_peaks(const struct corner_job *job, const float *rate, float least,
                            struct corner *ret_peaks, float *ret_max) {
    size_t count = 0;
    int nx = job->image->nx;
    int ny = job->image->ny;
    *ret_max = 0.0F;
    for (int y = 0; y < ny; y++) {
        for (int x = 0; x < nx; x++) {
            float score = job->score[image_at(x, y, nx)];
            if (score <= 0.0F || score < least || !is_peak(job, x, y) ||
                is_near_missing(rate, x, y, nx, ny)) {
                continue;
            }
            *ret_max = score > *ret_max ? score : *ret_max;
            if (ret_peaks != NULL) {
                ret_peaks[count] = (struct corner){score, x, y};
            }
            count++;
        }
    }
    return count;
}

/* Takes the strongest peaks no closer than CORNER_DISTANCE_PX to one already taken. */
static int spread_out(const struct corner *peaks, size_t count, struct corner *ret_corners) {
    int taken = 0;
    for (size_t i = 0; i < count && taken < TRACK_CORNERS_MAX; i++) {
        bool free_place = true;
        for (int k = 0; k < taken && free_place; k++) {
            int dx = ret_corners[k].x - peaks[i].x;
            int dy = ret_corners[k].y - peaks[i].y;
            free_place = dx * dx + dy * dy >= CORNER_DISTANCE_PX * CORNER_DISTANCE_PX;
        }
        if (free_place) {
            ret_corners[taken++] = peaks[i];
        }
    }
    return taken;
}

static int find_corners(const struct pyramid_level *image, const float *rate, int threads,
                        struct corner *ret_corners) {
    struct corner_job job = {.image = image};
    job.score = malloc((size_t)image->nx * (size_t)image->ny * sizeof *job.score);
    if (job.score == NULL) {
        return ERR_MEMORY;
    }
    int result = 0;
    parallel_rows(threads, image->ny, rows_of_scores, &job);
    for (int p = 0; p < PARALLEL_THREADS_MAX; p++) {
        result = job.failed[p] ? ERR_MEMORY : result;
    }
    float max;
    size_t count = result == 0 ? collect_peaks(&job, rate, 0.0F, NULL, &max) : 0;
    if (count > 0) {
        struct corner *peaks = malloc(count * sizeof *peaks);
        if (peaks == NULL) {
            result = ERR_MEMORY;
        } else {
            count = collect_peaks(&job, rate, corner_quality * max, peaks, &max);
            qsort(peaks, count, sizeof *peaks, compare_corners);
            result = spread_out(peaks, count, ret_corners);
        }
        free(peaks);
    }
    free(job.score);
    return result;
}

/* ---- tracking ---- */

/* The pixels [x0, x0 + n] x [y0, y0 + n] of an image as a block of n + 1 rows; edges repeat. Gives
 * a pointer into the image itself where the block lies inside. */
static const float *block_of(const struct pyramid_level *image, int x0, int y0, int n,
                             float *scratch, int *ret_stride) {
    if (x0 >= 0 && y0 >= 0 && x0 + n < image->nx && y0 + n < image->ny) {
        *ret_stride = image->nx;
        return image->value + image_at(x0, y0, image->nx);
    }
    for (int y = 0; y <= n; y++) {
        for (int x = 0; x <= n; x++) {
            scratch[y * (n + 1) + x] = image->value[image_at(
                image_clamp(x0 + x, image->nx), image_clamp(y0 + y, image->ny), image->nx)];
        }
    }
    *ret_stride = n + 1;
    return scratch;
}

struct template {
    float value[WINDOW * WINDOW];
    float gx[WINDOW * WINDOW];
    float gy[WINDOW * WINDOW];
    float xx; /* sums of the products of gradients */
    float xy;
    float yy;
};

struct weights {
    float nw, ne, sw, se;
};

static struct weights weights_of(float fx, float fy) {
    return (struct weights){(1.0F - fx) * (1.0F - fy), fx * (1.0F - fy), (1.0F - fx) * fy, fx * fy};
}

/* Cuts the window round (x, y) and its Scharr gradients (3 10 3, per pixel) out of an image. */
static void cut_template(const struct pyramid_level *image, float x, float y,
                         struct template *ret) {
    float scratch[(PATCH + 1) * (PATCH + 1)];
    float patch[PATCH * PATCH];
    float left = x - 0.5F * (float)(PATCH - 1);
    float top = y - 0.5F * (float)(PATCH - 1);
    int x0 = (int)floorf(left);
    int y0 = (int)floorf(top);
    struct weights w = weights_of(left - (float)x0, top - (float)y0);
    int stride;
    const float *block = block_of(image, x0, y0, PATCH, scratch, &stride);
    for (int r = 0; r < PATCH; r++) {
        const float *a = block + (size_t)r * (size_t)stride;
        const float *b = a + stride;
        for (int c = 0; c < PATCH; c++) {
            patch[r * PATCH + c] = w.nw * a[c] + w.ne * a[c + 1] + w.sw * b[c] + w.se * b[c + 1];
        }
    }
    lanes xx = {0.0F};
    lanes xy = {0.0F};
    lanes yy = {0.0F};
    for (int r = 0; r < WINDOW; r++) {
        const float *a = patch + r * PATCH;
        const float *b = a + PATCH;
        const float *c = b + PATCH;
        for (int k = 0; k < WINDOW; k += LANES) {
            int to = r * WINDOW + k;
            lanes gx = (3.0F * ((load(a + k + 2) - load(a + k)) + (load(c + k + 2) - load(c + k))) +
                        10.0F * (load(b + k + 2) - load(b + k))) /
                       32.0F;
            lanes gy = (3.0F * ((load(c + k) - load(a + k)) + (load(c + k + 2) - load(a + k + 2))) +
                        10.0F * (load(c + k + 1) - load(a + k + 1))) /
                       32.0F;
            /* Both or none: a pixel with one gradient would weigh on one direction only. */
            lanes both = gx + gy;
            gx = where_valid(gx, both);
            gy = where_valid(gy, both);
            memcpy(ret->value + to, b + k + 1, sizeof(lanes));
            memcpy(ret->gx + to, &gx, sizeof gx);
            memcpy(ret->gy + to, &gy, sizeof gy);
            xx += gx * gx;
            xy += gx * gy;
            yy += gy * gy;
        }
    }
    ret->xx = sum_lanes(xx);
    ret->xy = sum_lanes(xy);
    ret->yy = sum_lanes(yy);
}

/* The right-hand side of the Lucas-Kanade step: sum of (template - image) times the gradients. */
static void mismatch(const struct template *tmpl, const struct pyramid_level *image, float x,
                     float y, float *ret_bx, float *ret_by) {
    float scratch[(WINDOW + 1) * (WINDOW + 1)];
    float left = x - 0.5F * (float)(WINDOW - 1);
    float top = y - 0.5F * (float)(WINDOW - 1);
    int x0 = (int)floorf(left);
    int y0 = (int)floorf(top);
    struct weights w = weights_of(left - (float)x0, top - (float)y0);
    int stride;
    const float *block = block_of(image, x0, y0, WINDOW, scratch, &stride);
    lanes bx = {0.0F};
    lanes by = {0.0F};
    for (int r = 0; r < WINDOW; r++) {
        const float *a = block + (size_t)r * (size_t)stride;
        const float *b = a + stride;
        for (int k = 0; k < WINDOW; k += LANES) {
            int from = r * WINDOW + k;
            lanes sample = w.nw * load(a + k) + w.ne * load(a + k + 1) + w.sw * load(b + k) +
                           w.se * load(b + k + 1);
            lanes difference = load(tmpl->value + from) - sample;
            difference = where_valid(difference, difference);
            bx += difference * load(tmpl->gx + from);
            by += difference * load(tmpl->gy + from);
        }
    }
    *ret_bx = sum_lanes(bx);
    *ret_by = sum_lanes(by);
}

static bool is_inside(const struct pyramid_level *image, float x, float y) {
    return x >= 0.0F && y >= 0.0F && x <= (float)(image->nx - 1) && y <= (float)(image->ny - 1);
}

/* One level of Bouguet 2001: improves (*u, *v). False when the window shows no texture. */
static bool track_level(const struct pyramid_level *before, const struct pyramid_level *after,
                        float x, float y, float step_px_least, struct template *tmpl, float *u,
                        float *v) {
    cut_template(before, x, y, tmpl);
    const float area = (float)(WINDOW * WINDOW);
    float half = 0.5F * (tmpl->xx - tmpl->yy);
    float least = 0.5F * (tmpl->xx + tmpl->yy) - sqrtf(half * half + tmpl->xy * tmpl->xy);
    float determinant = tmpl->xx * tmpl->yy - tmpl->xy * tmpl->xy;
    if (!(least / area >= eigenvalue_min) || !(determinant > 0.0F)) {
        return false;
    }
    for (int i = 0; i < ITERATIONS_MAX; i++) {
        float bx;
        float by;
        if (!is_inside(after, x + *u, y + *v)) {
            return false;
        }
        mismatch(tmpl, after, x + *u, y + *v, &bx, &by);
        float du = (tmpl->yy * bx - tmpl->xy * by) / determinant;
        float dv = (tmpl->xx * by - tmpl->xy * bx) / determinant;
        *u += du;
        *v += dv;
        if (du * du + dv * dv < step_px_least * step_px_least) {
            break;
        }
    }
    return is_inside(after, x + *u, y + *v);
}

struct track_job {
    const struct pyramid *before;
    const struct pyramid *after;
    const struct corner *corners;
    struct vector *vectors;
    bool *kept;
};

static void rows_of_tracks(void *context, int part, int begin, int end) {
    struct track_job *job = context;
    struct template tmpl;
    (void)part;
    for (int i = begin; i < end; i++) {
        float u = 0.0F;
        float v = 0.0F;
        bool good = true;
        for (int l = job->before->levels - 1; l >= 0 && good; l--) {
            float scale = 1.0F / (float)(1 << l);
            u *= l == job->before->levels - 1 ? 1.0F : 2.0F;
            v *= l == job->before->levels - 1 ? 1.0F : 2.0F;
            bool tracked = track_level(
                &job->before->level[l], &job->after->level[l], (float)job->corners[i].x * scale,
                (float)job->corners[i].y * scale, step_px_min[l], &tmpl, &u, &v);
            good = tracked;
        }
        job->kept[i] = good && isfinite(u) && isfinite(v);
        job->vectors[i] = (struct vector){(float)job->corners[i].x, (float)job->corners[i].y, u, v};
    }
}

int track_pair(const struct pyramid *before, const float *rate_before, const struct pyramid *after,
               int threads, struct vector *ret_vectors) {
    struct corner *corners = malloc(TRACK_CORNERS_MAX * sizeof *corners);
    bool *kept = malloc(TRACK_CORNERS_MAX * sizeof *kept);
    int count = ERR_MEMORY;
    if (corners != NULL && kept != NULL) {
        count = find_corners(&before->level[0], rate_before, threads, corners);
    }
    if (count > 0) {
        struct track_job job = {before, after, corners, ret_vectors, kept};
        parallel_rows(threads, count, rows_of_tracks, &job);
        int all = count;
        count = 0;
        for (int i = 0; i < all; i++) {
            if (kept[i]) {
                ret_vectors[count++] = ret_vectors[i];
            }
        }
    }
    free(corners);
    free(kept);
    return count;
}
