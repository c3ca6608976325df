#include "models/nowcast/image.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "models/nowcast/parallel.h"

enum { TAPS = 5 };

static const float rain_min_mm_h = 0.1F;
static const float dry_dbr = -15.0F; /* what every rate below rain_min_mm_h becomes */

struct image_job {
    const float *rate;
    float *value;
    const struct pyramid_level *fine;
    struct pyramid_level *coarse;
    int nx;
    int ny;
    float max[PARALLEL_THREADS_MAX];
    float scale;
};

static inline bool is_rain(const struct image_job *job, int x, int y) {
    return job->rate[image_at(x, y, job->nx)] >= rain_min_mm_h; /* false for NaN */
}

/* True when the plus-shaped neighbourhood of a pixel is all rain; outside the grid counts as rain,
 * as in the usual binary erosion. */
static bool survives_erosion(const struct image_job *job, int x, int y) {
    return is_rain(job, x, y) && (x == 0 || is_rain(job, x - 1, y)) &&
           (x == job->nx - 1 || is_rain(job, x + 1, y)) && (y == 0 || is_rain(job, x, y - 1)) &&
           (y == job->ny - 1 || is_rain(job, x, y + 1));
}

/* Binary opening with a plus: a rain pixel stays if it touches one that survives erosion. */
static bool survives_opening(const struct image_job *job, int x, int y) {
    return survives_erosion(job, x, y) || (x > 0 && survives_erosion(job, x - 1, y)) ||
           (x < job->nx - 1 && survives_erosion(job, x + 1, y)) ||
           (y > 0 && survives_erosion(job, x, y - 1)) ||
           (y < job->ny - 1 && survives_erosion(job, x, y + 1));
}

static void rows_to_dbr(void *context, int part, int begin, int end) {
    struct image_job *job = context;
    float max = dry_dbr;
    for (int y = begin; y < end; y++) {
        for (int x = 0; x < job->nx; x++) {
            float dbr = isnan(job->rate[image_at(x, y, job->nx)]) ? NAN : dry_dbr;
            if (is_rain(job, x, y) && survives_opening(job, x, y)) {
                dbr = 10.0F * log10f(job->rate[image_at(x, y, job->nx)]);
                max = dbr > max ? dbr : max;
            }
            job->value[image_at(x, y, job->nx)] = dbr;
        }
    }
    job->max[part] = max;
}

static void rows_to_grey(void *context, int part, int begin, int end) {
    struct image_job *job = context;
    (void)part;
    for (size_t i = image_at(0, begin, job->nx); i < image_at(0, end, job->nx); i++) {
        job->value[i] = (job->value[i] - dry_dbr) * job->scale;
    }
}

static const float tap_weight[TAPS] = {1.0F, 4.0F, 6.0F, 4.0F, 1.0F};

/* The smoothing over what is there; missing when less than half of the weight is. */
static float smooth_valid(const struct pyramid_level *fine, int x, int y) {
    float sum = 0.0F;
    float weights = 0.0F;
    for (int j = 0; j < TAPS; j++) {
        for (int i = 0; i < TAPS; i++) {
            float value = fine->value[image_at(image_clamp(2 * x + i - 2, fine->nx),
                                               image_clamp(2 * y + j - 2, fine->ny), fine->nx)];
            float weight = isnan(value) ? 0.0F : tap_weight[i] * tap_weight[j];
            sum += weight > 0.0F ? weight * value : 0.0F;
            weights += weight;
        }
    }
    return weights >= 128.0F ? sum / weights : NAN;
}

/* 1 4 6 4 1 smoothing and every second pixel (Bouguet 2001, section 2.1). */
static void rows_to_half(void *context, int part, int begin, int end) {
    const struct image_job *job = context;
    const struct pyramid_level *fine = job->fine;
    (void)part;
    for (int y = begin; y < end; y++) {
        const float *row[TAPS];
        for (int k = 0; k < TAPS; k++) {
            row[k] = fine->value + image_at(0, image_clamp(2 * y + k - 2, fine->ny), fine->nx);
        }
        for (int x = 0; x < job->coarse->nx; x++) {
            float sum = 0.0F;
            for (int k = 0; k < TAPS; k++) {
                int c = image_clamp(2 * x + k - 2, fine->nx);
                sum += tap_weight[k] *
                       (row[0][c] + row[4][c] + 4.0F * (row[1][c] + row[3][c]) + 6.0F * row[2][c]);
            }
            job->coarse->value[image_at(x, y, job->coarse->nx)] =
                isnan(sum) ? smooth_valid(fine, x, y) : sum / 256.0F;
        }
    }
}

int pyramid_init(const float *rate, int nx, int ny, int threads, struct pyramid *ret_pyramid) {
    struct pyramid pyramid = {.levels = 0};
    struct image_job job = {.rate = rate, .nx = nx, .ny = ny};
    for (int l = 0; l < PYRAMID_LEVELS; l++) {
        struct pyramid_level *level = &pyramid.level[l];
        level->nx = l == 0 ? nx : (pyramid.level[l - 1].nx + 1) / 2;
        level->ny = l == 0 ? ny : (pyramid.level[l - 1].ny + 1) / 2;
        if (l > 0 && (level->nx < PYRAMID_SIDE_MIN || level->ny < PYRAMID_SIDE_MIN)) {
            break;
        }
        level->value = malloc((size_t)level->nx * (size_t)level->ny * sizeof *level->value);
        if (level->value == NULL) {
            pyramid_finish(&pyramid);
            return ERR_MEMORY;
        }
        pyramid.levels = l + 1;
        if (l > 0) {
            job.fine = &pyramid.level[l - 1];
            job.coarse = level;
            parallel_rows(threads, level->ny, rows_to_half, &job);
            continue;
        }
        job.value = level->value;
        for (int p = 0; p < PARALLEL_THREADS_MAX; p++) {
            job.max[p] = dry_dbr;
        }
        parallel_rows(threads, ny, rows_to_dbr, &job);
        float max = dry_dbr;
        for (int p = 0; p < PARALLEL_THREADS_MAX; p++) {
            max = job.max[p] > max ? job.max[p] : max;
        }
        job.scale = max > dry_dbr ? 255.0F / (max - dry_dbr) : 0.0F;
        parallel_rows(threads, ny, rows_to_grey, &job);
    }
    *ret_pyramid = pyramid;
    return ERR_OK;
}

void pyramid_finish(struct pyramid *pyramid) {
    if (pyramid == NULL) {
        return;
    }
    for (int l = 0; l < PYRAMID_LEVELS; l++) {
        free(pyramid->level[l].value);
        pyramid->level[l].value = NULL;
    }
    pyramid->levels = 0;
}
