#include "models/nowcast/fade.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/nowcast/image.h"
#include "models/nowcast/parallel.h"
#include "models/nowcast/ranks.h"

/* Surroundings are kept as means of blocks and read bilinearly between the blocks' centres; both
 * together weigh like a Gaussian of 2 px. */
enum { BLOCK_PX = 4, RADIUS_MAX = 64, COUNT_ALL_PX = 1 << 18 };

static const double block_sigma_px = 2.0;
/* Standard deviation of the surroundings: larger shapes of rain live longer. */
static const double surroundings_km = 2.0;
static const double surroundings_km_min = 0.4; /* more for every minute of lead */
static const double detail_km = 3.0;           /* what the loss is measured on */
/* All of the loss would be best for the squared error, and worst for the shape of the rain. */
static const double weight_of_loss = 0.3;
/* Full effect up to the first rate, none from the second, mm/h. */
static const float light_mm_h = 1.0F;
static const float heavy_mm_h = 3.0F;

struct fade_blocks {
    float *sum;    /* of the square roots of the rates, [blocks] */
    float *weight; /* pixels that are there, [blocks] */
};

struct fade {
    int nx;
    int ny;
    int blocks_x;
    int blocks_y;
    double pixel_km;
    double left_of_minute;
    const float *newest;
    struct fade_blocks blocks; /* of the newest frame */
    float *rows;               /* scratch, [blocks] */
    float *smooth;             /* surroundings, [blocks] */
    float *density;            /* scratch, [blocks] */
    float *field;              /* scratch, [ny][nx] */
    struct ranks *ranks;
};

static size_t blocks_of(const struct fade *fade) {
    return (size_t)fade->blocks_x * (size_t)fade->blocks_y;
}

/* ---- surroundings ---- */

struct fade_job {
    struct fade *fade;
    const float *from;  /* a field, or blocks */
    const float *where; /* a field: only its pixels that are there count */
    float *to;
    float *count;
    const float *tap; /* of the smoothing, from -radius to radius */
    int radius;
    float weight;
};

static void rows_of_blocks(void *context, int part, int begin, int end) {
    struct fade_job *job = context;
    const struct fade *fade = job->fade;
    (void)part;
    for (int j = begin; j < end; j++) {
        float *sum = job->to + image_at(0, j, fade->blocks_x);
        float *count = job->count + image_at(0, j, fade->blocks_x);
        memset(sum, 0, (size_t)fade->blocks_x * sizeof *sum);
        memset(count, 0, (size_t)fade->blocks_x * sizeof *count);
        for (int y = j * BLOCK_PX; y < (j + 1) * BLOCK_PX && y < fade->ny; y++) {
            const float *row = job->from + image_at(0, y, fade->nx);
            const float *where = job->where + image_at(0, y, fade->nx);
            for (int x = 0; x < fade->nx; x++) {
                float root = sqrtf(row[x]);
                int there = root + where[x] >= 0.0F; /* false for NaN; rates are not negative */
                sum[x / BLOCK_PX] += there ? root : 0.0F;
                count[x / BLOCK_PX] += there ? 1.0F : 0.0F;
            }
        }
    }
}

static void rows_smoothed_along(void *context, int part, int begin, int end) {
    const struct fade_job *job = context;
    int n = job->fade->blocks_x;
    (void)part;
    for (int j = begin; j < end; j++) {
        const float *from = job->from + image_at(0, j, n);
        float *to = job->to + image_at(0, j, n);
        memset(to, 0, (size_t)n * sizeof *to);
        for (int k = -job->radius; k <= job->radius; k++) {
            float tap = job->tap[k + job->radius];
            int last = k > 0 ? n - k : n;
            for (int i = k < 0 ? -k : 0; i < last; i++) {
                to[i] += tap * from[i + k];
            }
        }
    }
}

static void rows_smoothed_across(void *context, int part, int begin, int end) {
    const struct fade_job *job = context;
    int n = job->fade->blocks_x;
    (void)part;
    for (int j = begin; j < end; j++) {
        float *to = job->to + image_at(0, j, n);
        memset(to, 0, (size_t)n * sizeof *to);
        for (int k = -job->radius; k <= job->radius; k++) {
            if (j + k >= 0 && j + k < job->fade->blocks_y) {
                const float *from = job->from + image_at(0, j + k, n);
                float tap = job->tap[k + job->radius];
                for (int i = 0; i < n; i++) {
                    to[i] += tap * from[i];
                }
            }
        }
    }
}

static void sum_blocks(struct fade *fade, const float *field, const float *where, int threads,
                       struct fade_blocks *blocks) {
    struct fade_job job = {
        .fade = fade, .from = field, .where = where, .to = blocks->sum, .count = blocks->weight};
    parallel_rows(threads, fade->blocks_y, rows_of_blocks, &job);
}

/* Gaussian over blocks; what lies outside the grid weighs nothing. `to` may be `from`. */
static void smooth_blocks(struct fade *fade, const float *from, double sigma_blocks, int threads,
                          float *to) {
    float tap[2 * RADIUS_MAX + 1];
    int radius = (int)fmin(ceil(3.0 * sigma_blocks), RADIUS_MAX);
    for (int k = -radius; k <= radius; k++) {
        double distance = k / sigma_blocks;
        tap[k + radius] = (float)exp(-0.5 * distance * distance);
    }
    struct fade_job job = {
        .fade = fade, .from = from, .to = fade->rows, .tap = tap, .radius = radius};
    parallel_rows(threads, fade->blocks_y, rows_smoothed_along, &job);
    job.from = fade->rows;
    job.to = to;
    parallel_rows(threads, fade->blocks_y, rows_smoothed_across, &job);
}

/* Mean root of the surroundings of every block. */
static void find_surroundings(struct fade *fade, double sigma_km, int threads, float *ret_smooth) {
    const struct fade_blocks *blocks = &fade->blocks;
    double sigma_px = sigma_km / fade->pixel_km;
    double rest = sigma_px * sigma_px - block_sigma_px * block_sigma_px;
    size_t count = blocks_of(fade);
    const float *weight = blocks->weight;
    if (rest > 0.0) {
        double sigma_blocks = sqrt(rest) / BLOCK_PX;
        smooth_blocks(fade, blocks->sum, sigma_blocks, threads, ret_smooth);
        smooth_blocks(fade, blocks->weight, sigma_blocks, threads, fade->density);
        weight = fade->density;
    } else {
        memcpy(ret_smooth, blocks->sum, count * sizeof *ret_smooth);
    }
    for (size_t i = 0; i < count; i++) {
        ret_smooth[i] = weight[i] > 0.0F ? ret_smooth[i] / weight[i] : 0.0F;
    }
}

/* The surroundings at the pixels of a row. */
static void row_of_surroundings(const struct fade *fade, const float *smooth, int y,
                                float *ret_row) {
    static const float share[BLOCK_PX] = {0.125F, 0.375F, 0.625F, 0.875F};
    int below = (y + BLOCK_PX / 2) / BLOCK_PX;
    float fy = share[(y + BLOCK_PX / 2) % BLOCK_PX];
    const float *up = smooth + image_at(0, image_clamp(below - 1, fade->blocks_y), fade->blocks_x);
    const float *down = smooth + image_at(0, image_clamp(below, fade->blocks_y), fade->blocks_x);
    float left = up[0] + fy * (down[0] - up[0]);
    for (int i = 0; i <= fade->blocks_x; i++) {
        int at = image_clamp(i, fade->blocks_x);
        float right = up[at] + fy * (down[at] - up[at]);
        int first = i * BLOCK_PX - BLOCK_PX / 2;
        if (first >= 0 && first + BLOCK_PX <= fade->nx) {
            for (int k = 0; k < BLOCK_PX; k++) {
                ret_row[first + k] = left + share[k] * (right - left);
            }
        } else {
            for (int k = first < 0 ? -first : 0; k < BLOCK_PX && first + k < fade->nx; k++) {
                ret_row[first + k] = left + share[k] * (right - left);
            }
        }
        left = right;
    }
}

/* ---- how fast detail fades ---- */

/* Of the detail of an earlier frame, brought to the place of the newest, the share that the newest
 * still has: the slope of the regression. `smooth` has room for the surroundings of both, `rows`
 * for two rows of pixels. */
static double share_left(const struct fade *fade, const float *then, const float *const *smooth,
                         float *rows) {
    double product = 0.0;
    double square = 0.0;
    float *around_then = rows;
    float *around_now = rows + fade->nx;
    for (int y = 0; y < fade->ny; y++) {
        const float *rate_then = then + image_at(0, y, fade->nx);
        const float *rate_now = fade->newest + image_at(0, y, fade->nx);
        row_of_surroundings(fade, smooth[0], y, around_then);
        row_of_surroundings(fade, smooth[1], y, around_now);
        float row_product = 0.0F;
        float row_square = 0.0F;
        for (int x = 0; x < fade->nx; x++) {
            float detail_then = sqrtf(rate_then[x]) - around_then[x];
            float detail_now = sqrtf(rate_now[x]) - around_now[x];
            int there = !isnan(detail_then + detail_now);
            row_product += there ? detail_then * detail_now : 0.0F;
            row_square += there ? detail_then * detail_then : 0.0F;
        }
        product += (double)row_product;
        square += (double)row_square;
    }
    return square > 0.0 ? fmin(fmax(product / square, 0.0), 1.0) : 1.0;
}

/* Compares those pixels alone that both frames have, so that the rim of what was seen is no detail
 * that comes or goes. */
static int measure_left(struct fade *fade, const struct motion_input *frames,
                        const struct motion *motion, double step_min) {
    int last = frames->count - 1;
    double age_steps = frames->step_of_frame[last] - frames->step_of_frame[last - 1];
    float *smooth = malloc(blocks_of(fade) * sizeof *smooth);
    float *rows = malloc(2 * (size_t)fade->nx * sizeof *rows);
    int result = ERR_MEMORY;
    if (smooth != NULL && rows != NULL) {
        result =
            motion_carry(motion, frames->frame[last - 1], age_steps, frames->threads, fade->field);
    }
    if (result == ERR_OK) {
        const float *const both[] = {smooth, fade->smooth};
        sum_blocks(fade, fade->field, fade->newest, frames->threads, &fade->blocks);
        find_surroundings(fade, detail_km, frames->threads, smooth);
        sum_blocks(fade, fade->newest, fade->field, frames->threads, &fade->blocks);
        find_surroundings(fade, detail_km, frames->threads, fade->smooth);
        fade->left_of_minute =
            pow(share_left(fade, fade->field, both, rows), 1.0 / (age_steps * step_min));
    }
    free(smooth);
    free(rows);
    return result;
}

double fade_left(const struct fade *fade, double minutes) {
    return pow(fade->left_of_minute, minutes);
}

/* ---- a field ---- */

static void rows_of_faded(void *context, int part, int begin, int end) {
    const struct fade_job *job = context;
    const struct fade *fade = job->fade;
    (void)part;
    for (int y = begin; y < end; y++) {
        const float *rate = fade->newest + image_at(0, y, fade->nx);
        float *row = job->to + image_at(0, y, fade->nx);
        row_of_surroundings(fade, fade->smooth, y, row);
        for (int x = 0; x < fade->nx; x++) {
            float share = (heavy_mm_h - rate[x]) / (heavy_mm_h - light_mm_h);
            share = share < 0.0F ? 0.0F : (share > 1.0F ? 1.0F : share);
            float root = sqrtf(rate[x]);
            float more = job->weight * share * (row[x] - root);
            /* (root + more)^2 in a form that leaves the rate as it is when there is no more. */
            float faded = rate[x] + more * (2.0F * root + more);
            row[x] = faded < 0.0F ? 0.0F : faded;
        }
    }
}

static void rows_matched(void *context, int part, int begin, int end) {
    const struct fade_job *job = context;
    (void)part;
    ranks_match(job->fade->ranks, job->to + image_at(0, begin, job->fade->nx),
                image_at(0, end - begin, job->fade->nx));
}

/* Every pixel of a small grid, every fourth of a large one. */
static void count_ranks(struct fade *fade, const struct displacement *displacement,
                        const float *field) {
    int stride = (size_t)fade->nx * (size_t)fade->ny > COUNT_ALL_PX ? 2 : 1;
    ranks_clear(fade->ranks);
    float *newest = fade->field; /* the faded field has been sampled */
    for (int y = 0; y < fade->ny; y += stride) {
        const float *row = field + image_at(0, y, fade->nx);
        displacement_nearest(displacement, fade->newest, fade->nx, fade->ny, y, stride, newest);
        for (int x = 0; x < fade->nx; x += stride) {
            ranks_count(fade->ranks, row[x], newest[x / stride]);
        }
    }
    ranks_decide(fade->ranks);
}

void fade_field(struct fade *fade, const struct displacement *displacement, double lead_min,
                int threads, float *ret_field) {
    double lost = 1.0 - fade_left(fade, lead_min);
    struct fade_job job = {
        .fade = fade, .to = fade->field, .weight = (float)(weight_of_loss * lost)};
    find_surroundings(fade, surroundings_km + surroundings_km_min * lead_min, threads,
                      fade->smooth);
    parallel_rows(threads, fade->ny, rows_of_faded, &job);
    displacement_sample(displacement, fade->field, fade->nx, fade->ny, SAMPLE_BILINEAR, threads,
                        ret_field);
    count_ranks(fade, displacement, ret_field);
    job.to = ret_field;
    parallel_rows(threads, fade->ny, rows_matched, &job);
}

/* ---- the whole ---- */

static int allocate(struct fade *fade) {
    size_t blocks = blocks_of(fade) * sizeof(float);
    fade->blocks.sum = malloc(blocks);
    fade->blocks.weight = malloc(blocks);
    fade->rows = malloc(blocks);
    fade->smooth = malloc(blocks);
    fade->density = malloc(blocks);
    fade->field = malloc((size_t)fade->nx * (size_t)fade->ny * sizeof *fade->field);
    int complete = fade->blocks.sum != NULL && fade->blocks.weight != NULL && fade->rows != NULL &&
                   fade->smooth != NULL && fade->density != NULL && fade->field != NULL;
    return complete ? ranks_create(&fade->ranks) : ERR_MEMORY;
}

int fade_create(const struct motion_input *frames, const struct motion *motion, double pixel_km,
                double step_min, struct fade **ret_fade) {
    if (frames->count < 1 || frames->nx != motion->nx || frames->ny != motion->ny ||
        !(pixel_km > 0.0) || !(step_min > 0.0)) {
        return ERR_INVALID;
    }
    struct fade *fade = calloc(1, sizeof *fade);
    if (fade == NULL) {
        return ERR_MEMORY;
    }
    fade->nx = frames->nx;
    fade->ny = frames->ny;
    fade->blocks_x = (frames->nx + BLOCK_PX - 1) / BLOCK_PX;
    fade->blocks_y = (frames->ny + BLOCK_PX - 1) / BLOCK_PX;
    fade->pixel_km = pixel_km;
    fade->left_of_minute = 1.0;
    fade->newest = frames->frame[frames->count - 1];
    int result = allocate(fade);
    if (result == ERR_OK) {
        result = frames->count > 1 ? measure_left(fade, frames, motion, step_min) : ERR_OK;
        sum_blocks(fade, fade->newest, fade->newest, frames->threads, &fade->blocks);
    }
    if (result != ERR_OK) {
        fade_destroy(fade);
        return result;
    }
    *ret_fade = fade;
    return ERR_OK;
}

void fade_destroy(struct fade *fade) {
    if (fade == NULL) {
        return;
    }
    free(fade->blocks.sum);
    free(fade->blocks.weight);
    free(fade->rows);
    free(fade->smooth);
    free(fade->density);
    free(fade->field);
    ranks_destroy(fade->ranks);
    free(fade);
}
