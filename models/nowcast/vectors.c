#include "models/nowcast/vectors.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "models/nowcast/parallel.h"

enum { OUTLIER_NEIGHBOURS = 30, SPREAD_NEIGHBOURS = 20, CELL_PX = 20 };

static const double outlier_distance = 3.0;

struct near {
    float square; /* of the distance, px^2 */
    int index;
};

/* Puts a vector into the list of the k nearest. Returns how many are in it. */
static int keep_near(struct near candidate, int k, int found, struct near *near) {
    if (found == k && candidate.square >= near[k - 1].square) {
        return found;
    }
    int place = found < k ? found : k - 1;
    found += found < k;
    while (place > 0 && near[place - 1].square > candidate.square) {
        near[place] = near[place - 1];
        place--;
    }
    near[place] = candidate;
    return found;
}

/* The k nearest vectors to (x, y), nearest first, leaving out `self`; ties go to the lower index.
 * Vectors whose squared distance is more than `bound` are known not to be among them. Returns how
 * many there are (fewer than k when there are not enough vectors). */
static int find_nearest(const struct vector *vectors, int count, float x, float y, int self, int k,
                        float bound, struct near *ret_near) {
    enum { AT_ONCE = 64 };
    float square[AT_ONCE];
    int found = 0;
    for (int first = 0; first < count; first += AT_ONCE) {
        int some = count - first < AT_ONCE ? count - first : AT_ONCE;
        for (int i = 0; i < some; i++) {
            float dx = vectors[first + i].x - x;
            float dy = vectors[first + i].y - y;
            square[i] = dx * dx + dy * dy;
        }
        for (int i = 0; i < some; i++) {
            if (square[i] <= bound && first + i != self) {
                found = keep_near((struct near){square[i], first + i}, k, found, ret_near);
            }
        }
    }
    return found;
}

/* ---- outliers ---- */

struct outlier_job {
    const struct vector *vectors;
    int count;
    bool *keep;
};

static bool is_outlier(const struct outlier_job *job, int self) {
    struct near near[OUTLIER_NEIGHBOURS];
    const struct vector *vector = &job->vectors[self];
    int n = find_nearest(job->vectors, job->count, vector->x, vector->y, self, OUTLIER_NEIGHBOURS,
                         INFINITY, near);
    if (n < 3) {
        return false; /* no covariance from so few */
    }
    double mean_u = 0.0;
    double mean_v = 0.0;
    for (int k = 0; k < n; k++) {
        mean_u += (double)job->vectors[near[k].index].u / n;
        mean_v += (double)job->vectors[near[k].index].v / n;
    }
    double uu = 0.0;
    double uv = 0.0;
    double vv = 0.0;
    for (int k = 0; k < n; k++) {
        double du = (double)job->vectors[near[k].index].u - mean_u;
        double dv = (double)job->vectors[near[k].index].v - mean_v;
        uu += du * du / (n - 1);
        uv += du * dv / (n - 1);
        vv += dv * dv / (n - 1);
    }
    double determinant = uu * vv - uv * uv;
    if (!(determinant > 1e-12)) {
        return false; /* singular: all neighbours agree, the distance has no meaning */
    }
    double du = (double)vector->u - mean_u;
    double dv = (double)vector->v - mean_v;
    double square = (vv * du * du - 2.0 * uv * du * dv + uu * dv * dv) / determinant;
    return square > outlier_distance * outlier_distance;
}

static void rows_of_outliers(void *context, int part, int begin, int end) {
    struct outlier_job *job = context;
    (void)part;
    for (int i = begin; i < end; i++) {
        job->keep[i] = !is_outlier(job, i);
    }
}

int vectors_drop_outliers(struct vector *vectors, int count, int threads) {
    bool *keep = malloc((size_t)(count > 0 ? count : 1) * sizeof *keep);
    if (keep == NULL) {
        return ERR_MEMORY;
    }
    struct outlier_job job = {vectors, count, keep};
    parallel_rows(threads, count, rows_of_outliers, &job);
    int left = 0;
    for (int i = 0; i < count; i++) {
        if (keep[i]) {
            vectors[left++] = vectors[i];
        }
    }
    free(keep);
    return left;
}

/* ---- declustering ---- */

static int compare_cells(const void *left, const void *right) {
    const struct vector *a = left;
    const struct vector *b = right;
    float row_a = floorf(a->y / CELL_PX);
    float row_b = floorf(b->y / CELL_PX);
    float column_a = floorf(a->x / CELL_PX);
    float column_b = floorf(b->x / CELL_PX);
    if (row_a != row_b) {
        return row_a < row_b ? -1 : 1;
    }
    return (column_a > column_b) - (column_a < column_b);
}

static int compare_floats(const void *left, const void *right) {
    float a = *(const float *)left;
    float b = *(const float *)right;
    return (a > b) - (a < b);
}

static float median(float *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare_floats);
    return count % 2 == 1 ? values[count / 2] : 0.5F * (values[count / 2 - 1] + values[count / 2]);
}

int vectors_decluster(struct vector *vectors, int count) {
    float *values = malloc((size_t)(count > 0 ? count : 1) * sizeof *values);
    if (values == NULL) {
        return ERR_MEMORY;
    }
    qsort(vectors, (size_t)count, sizeof *vectors, compare_cells);
    int left = 0;
    for (int first = 0, next; first < count; first = next) {
        struct vector middle = {0};
        float *parts[] = {&middle.x, &middle.y, &middle.u, &middle.v};
        for (next = first + 1;
             next < count && compare_cells(&vectors[first], &vectors[next]) == 0;) {
            next++;
        }
        for (int k = 0; k < 4; k++) {
            for (int i = first; i < next; i++) {
                const struct vector *from = &vectors[i];
                values[i - first] = k == 0   ? from->x
                                    : k == 1 ? from->y
                                    : k == 2 ? from->u
                                             : from->v;
            }
            *parts[k] = median(values, next - first);
        }
        vectors[left++] = middle;
    }
    free(values);
    return left;
}

/* ---- the lattice ---- */

struct spread_job {
    const struct vector *vectors;
    int count;
    struct motion *motion;
};

static void rows_of_nodes(void *context, int part, int begin, int end) {
    struct spread_job *job = context;
    struct near near[SPREAD_NEIGHBOURS];
    (void)part;
    for (int j = begin; j < end; j++) {
        float bound = INFINITY;
        for (int i = 0; i < job->motion->nodes_x; i++) {
            int n =
                find_nearest(job->vectors, job->count, (float)(i * MOTION_LATTICE_PX),
                             (float)(j * MOTION_LATTICE_PX), -1, SPREAD_NEIGHBOURS, bound, near);
            /* The next node is MOTION_LATTICE_PX away, and so at most that much further from each
             * of these; with room for rounding. */
            float next = sqrtf(near[n - 1].square) + MOTION_LATTICE_PX;
            bound = 1.001F * next * next;
            float sum = 0.0F;
            float u = 0.0F;
            float v = 0.0F;
            for (int k = 0; k < n; k++) {
                float weight = 1.0F / sqrtf(sqrtf(near[k].square) + 0.5F);
                sum += weight;
                u += weight * job->vectors[near[k].index].u;
                v += weight * job->vectors[near[k].index].v;
            }
            job->motion->u[j * job->motion->nodes_x + i] = u / sum;
            job->motion->v[j * job->motion->nodes_x + i] = v / sum;
        }
    }
}

void vectors_spread(const struct vector *vectors, int count, int threads, struct motion *motion) {
    struct spread_job job = {vectors, count, motion};
    parallel_rows(threads, motion->nodes_y, rows_of_nodes, &job);
}
