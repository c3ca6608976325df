#include "models/nowcast/motion.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "models/nowcast/image.h"
#include "models/nowcast/track.h"
#include "models/nowcast/vectors.h"

int motion_init_zero(int nx, int ny, enum motion_source source, struct motion *ret_motion) {
    if (nx < 1 || ny < 1 || nx > MOTION_SIDE_MAX || ny > MOTION_SIDE_MAX) {
        return ERR_INVALID;
    }
    struct motion motion = {.nx = nx, .ny = ny, .source = source};
    /* One node beyond the last pixel, so that every pixel lies between nodes. */
    motion.nodes_x = (nx - 1) / MOTION_LATTICE_PX + 2;
    motion.nodes_y = (ny - 1) / MOTION_LATTICE_PX + 2;
    size_t nodes = (size_t)motion.nodes_x * (size_t)motion.nodes_y;
    motion.u = calloc(nodes, sizeof *motion.u);
    motion.v = calloc(nodes, sizeof *motion.v);
    if (motion.u == NULL || motion.v == NULL) {
        motion_finish(&motion);
        return ERR_MEMORY;
    }
    *ret_motion = motion;
    return ERR_OK;
}

void motion_finish(struct motion *motion) {
    if (motion == NULL) {
        return;
    }
    free(motion->u);
    free(motion->v);
    *motion = (struct motion){0};
}

const char *motion_source_name(enum motion_source source) {
    switch (source) {
    case MOTION_TRACKED:
        return "tracked";
    case MOTION_NO_RAIN:
        return "no_rain";
    case MOTION_NO_FRAMES:
        return "no_frames";
    case MOTION_EARLIER:
        return "earlier";
    case MOTION_PREVIOUS:
        return "previous";
    case MOTION_WIND:
        return "wind";
    }
    return "unknown";
}

void motion_at(const struct motion *motion, float x, float y, float *ret_u, float *ret_v) {
    float limit_x = (float)(motion->nx - 1);
    float limit_y = (float)(motion->ny - 1);
    x = x > 0.0F ? (x < limit_x ? x : limit_x) : 0.0F;
    y = y > 0.0F ? (y < limit_y ? y : limit_y) : 0.0F;
    x /= MOTION_LATTICE_PX;
    y /= MOTION_LATTICE_PX;
    int i = (int)x;
    int j = (int)y;
    float fx = x - (float)i;
    float fy = y - (float)j;
    int a = j * motion->nodes_x + i;
    int b = a + motion->nodes_x;
    const float *u = motion->u;
    const float *v = motion->v;
    *ret_u = (1.0F - fy) * ((1.0F - fx) * u[a] + fx * u[a + 1]) +
             fy * ((1.0F - fx) * u[b] + fx * u[b + 1]);
    *ret_v = (1.0F - fy) * ((1.0F - fx) * v[a] + fx * v[a + 1]) +
             fy * ((1.0F - fx) * v[b] + fx * v[b + 1]);
}

static bool is_valid(const struct motion_input *input) {
    if (input->nx < MOTION_SIDE_MIN || input->ny < MOTION_SIDE_MIN || input->nx > MOTION_SIDE_MAX ||
        input->ny > MOTION_SIDE_MAX || input->count < 0 || input->count > MOTION_FRAMES_MAX ||
        !(input->speed_px_max > 0.0)) {
        return false;
    }
    for (int i = 0; i < input->count; i++) {
        if (input->frame[i] == NULL || !isfinite(input->step_of_frame[i]) ||
            (i > 0 && !(input->step_of_frame[i] > input->step_of_frame[i - 1]))) {
            return false;
        }
    }
    return true;
}

/* Displacements over a pair become pixels per nominal step; impossible speeds go. */
static int scale_vectors(struct vector *vectors, int count, double steps, double speed_px_max) {
    int left = 0;
    for (int i = 0; i < count; i++) {
        struct vector vector = vectors[i];
        vector.u = (float)((double)vector.u / steps);
        vector.v = (float)((double)vector.v / steps);
        if ((double)hypotf(vector.u, vector.v) <= speed_px_max) {
            vectors[left++] = vector;
        }
    }
    return left;
}

/* The vectors of all pairs, cleaned. Returns their number or ERR_MEMORY. */
static int collect_vectors(const struct motion_input *input, struct vector *ret_vectors) {
    struct pyramid before = {.levels = 0};
    struct pyramid after = {.levels = 0};
    int total = 0;
    int result = pyramid_init(input->frame[0], input->nx, input->ny, input->threads, &before);
    for (int i = 1; i < input->count && result == ERR_OK; i++) {
        result = pyramid_init(input->frame[i], input->nx, input->ny, input->threads, &after);
        if (result != ERR_OK) {
            break;
        }
        int found =
            track_pair(&before, input->frame[i - 1], &after, input->threads, ret_vectors + total);
        result = found < 0 ? found : ERR_OK;
        if (found > 0) {
            double steps = input->step_of_frame[i] - input->step_of_frame[i - 1];
            total += scale_vectors(ret_vectors + total, found, steps, input->speed_px_max);
        }
        pyramid_finish(&before);
        before = after;
        after = (struct pyramid){.levels = 0};
    }
    pyramid_finish(&before);
    if (result == ERR_OK && total > 0) {
        total = vectors_drop_outliers(ret_vectors, total, input->threads);
    }
    if (result == ERR_OK && total > 0) {
        total = vectors_decluster(ret_vectors, total);
    }
    return result == ERR_OK ? total : result;
}

int motion_estimate(const struct motion_input *input, struct motion *ret_motion) {
    if (!is_valid(input)) {
        return ERR_INVALID;
    }
    struct motion motion;
    int result = motion_init_zero(input->nx, input->ny, MOTION_NO_FRAMES, &motion);
    if (result != ERR_OK || input->count < 2) {
        if (result == ERR_OK) {
            *ret_motion = motion;
        }
        return result;
    }
    struct vector *vectors =
        malloc((size_t)(input->count - 1) * TRACK_CORNERS_MAX * sizeof *vectors);
    int count = vectors == NULL ? ERR_MEMORY : collect_vectors(input, vectors);
    if (count < 0) {
        free(vectors);
        motion_finish(&motion);
        return count;
    }
    motion.source = count > 0 ? MOTION_TRACKED : MOTION_NO_RAIN;
    motion.vectors = count;
    if (count > 0) {
        vectors_spread(vectors, count, input->threads, &motion);
    }
    free(vectors);
    *ret_motion = motion;
    return ERR_OK;
}
