#include "models/dispersion/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

enum {
    TABLE_NODES = 400,
    GRID_CELLS_MAX = 6000,
    STARTS = 6,
    SIMPLEX_STEPS = 1500,
    BURN_IN = 6000,
    CHAIN_STEPS = 12000,
    THINNING = 6,
    KEPT = CHAIN_STEPS / THINNING,
};
#define TABLE_NEAR_M 1.0
#define TABLE_FAR_M  40000.0
#define NEAREST_M    25.0
#define STUDENT      5.0
/* How width and strength differ from the curves with the logarithm of distance, and how surely:
 * found on the developer runs of Prairie Grass, whose sigma_theta overstates the width of far
 * plumes at night and whose tracer settles. */
#define GROWTH_NIGHT (-0.2)
#define GROWTH_SD    0.05
#define LOSS_NIGHT   (-0.12)
#define LOSS_DAY     0.06
#define LOSS_SD      0.05
#define DENSEST      0.15 /* share of the mass */
#define DECIDED      0.25 /* spread over distance */
#define LN_Q_SPAN    25.0 /* half width of the prior of ln Q about what the readings suggest */

/* One sensor turned into the frame of the wind: along and across, from the sensors' middle. */
struct seen {
    double along_m, across_m, ln_value;
    bool positive;
    const double *vertical; /* table for the sensor's height */
};

struct field {
    const struct trace_problem *problem;
    double middle_x_m, middle_y_m;
    double down_x, down_y; /* unit vector downwind */
    size_t count;
    struct seen *sensors;
    double *tables; /* vertical factors, one table a height */
    double ln_width[TABLE_NODES];
    double ln_step, ln_pivot, growth, loss;
    double near_m, far_m; /* box along the wind, from the middle */
    double half_m;        /* and across */
    double ln_q_low, ln_q_high;
    double core_along_m, core_across_m; /* middle of the readings, weighted by their logarithm */
};

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* SplitMix64: uniform in (0, 1). */
static double uniform(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return ((double)(mix(*state) >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *state) {
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(2 * PI * uniform(state));
}

/* Tables of ln sigma_y and, for each height of a sensor, ln(vertical / (sqrt(2 pi) u)) against
 * ln x. */
static int build_tables(struct field *field, struct err *ret_err) {
    const struct trace_problem *p = field->problem;
    double *heights = calloc(p->count + 1, sizeof *heights);
    size_t distinct = 0;
    if (heights == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for sensors");
    }
    field->ln_step = log(TABLE_FAR_M / TABLE_NEAR_M) / (TABLE_NODES - 1);
    size_t used = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (isnan(p->sensors[i].value)) {
            continue;
        }
        size_t k = 0;
        while (k < distinct && heights[k] != p->sensors[i].z_m) {
            k++;
        }
        if (k == distinct) {
            heights[distinct++] = p->sensors[i].z_m;
        }
        field->sensors[used++].vertical = field->tables + k * TABLE_NODES;
    }
    int rc = 0;
    for (size_t n = 0; rc == 0 && n < TABLE_NODES; n++) {
        double sy = 0, sz = 0, wind = 0;
        double x_m = TABLE_NEAR_M * exp((double)n * field->ln_step);
        rc = weather_spread(&p->air, p->source_height_m, x_m, &sy, &sz, &wind);
        field->ln_width[n] = log(sy);
        for (size_t k = 0; rc == 0 && k < distinct; k++) {
            double share = plume_vertical(heights[k], p->source_height_m, sz, p->air.lid_m);
            field->tables[k * TABLE_NODES + n] = log(fmax(share, 1e-200) / (sqrt(2 * PI) * wind));
        }
    }
    free(heights);
    return rc == 0 ? 0 : err_set(ret_err, rc, "the spread of the plume cannot be computed");
}

/* ln of the concentration of a unit rate at a sensor; very low upwind. */
static double ln_unit(const struct field *field, const struct seen *s, const double *u,
                      double cos_wind, double sin_wind) {
    double along_m = u[TRACE_X], across_m = u[TRACE_Y];
    double dx = s->along_m - along_m, dy = s->across_m - across_m;
    double x = dx * cos_wind + dy * sin_wind, y = dy * cos_wind - dx * sin_wind;
    if (!(x > TABLE_NEAR_M)) {
        return -200;
    }
    double ln_x = log(x);
    double place = ln_x / field->ln_step, far = ln_x - field->ln_pivot;
    if (!(place < TABLE_NODES - 1)) {
        return -200;
    }
    size_t n = (size_t)place;
    double f = place - (double)n;
    double ln_sy = field->ln_width[n] + f * (field->ln_width[n + 1] - field->ln_width[n]) +
                   u[TRACE_WIDTH] + u[TRACE_GROWTH] * far;
    double ln_v = s->vertical[n] + f * (s->vertical[n + 1] - s->vertical[n]) + u[TRACE_LOSS] * far;
    double t = y * exp(-ln_sy);
    return fmax(ln_v - ln_sy - 0.5 * t * t, -200);
}

static double ln_posterior(const struct field *field, const double *u) {
    const struct trace_problem *p = field->problem;
    if (!(u[TRACE_X] >= field->near_m && u[TRACE_X] <= field->far_m) ||
        !(fabs(u[TRACE_Y]) <= field->half_m) ||
        !(u[TRACE_LN_Q] >= field->ln_q_low && u[TRACE_LN_Q] <= field->ln_q_high)) {
        return -HUGE_VAL;
    }
    double angle = u[TRACE_WIND] * PI / 180, cos_wind = cos(angle), sin_wind = sin(angle);
    double w = u[TRACE_WIND] / p->wind_sd_deg, v = u[TRACE_WIDTH] / p->width_sd_log;
    double g = (u[TRACE_GROWTH] - field->growth) / GROWTH_SD,
           l = (u[TRACE_LOSS] - field->loss) / LOSS_SD;
    double sum = -0.5 * (w * w + v * v + g * g + l * l);
    /* Uniform in the logarithm of the distance. */
    sum -=
        log(hypot(u[TRACE_X] - field->core_along_m, u[TRACE_Y] - field->core_across_m) + NEAREST_M);
    double product = 1; /* of (1 + t2 / nu), so that one logarithm does for several sensors */
    for (size_t i = 0; i < field->count; i++) {
        double unit = ln_unit(field, &field->sensors[i], u, cos_wind, sin_wind);
        double model = exp(fmin(unit + u[TRACE_LN_Q], 600));
        double t = (log(model + p->floor) - field->sensors[i].ln_value) / p->sigma_log;
        product *= 1 + t * t / STUDENT;
        if (product > 1e200) {
            sum -= 0.5 * (STUDENT + 1) * log(product);
            product = 1;
        }
    }
    return sum - 0.5 * (STUDENT + 1) * log(product);
}

/* The best ln Q of a place: median-like mean of log ratios over sensors that see something. */
static bool best_rate(const struct field *field, double *u) {
    double angle = u[TRACE_WIND] * PI / 180, cos_wind = cos(angle), sin_wind = sin(angle);
    double sum = 0, weight = 0;
    for (size_t i = 0; i < field->count; i++) {
        if (!field->sensors[i].positive) {
            continue;
        }
        double unit = ln_unit(field, &field->sensors[i], u, cos_wind, sin_wind);
        if (unit > -150) {
            double w = exp(0.25 * fmax(unit, -100)); /* the plume's core says more than its rim */
            sum += w * (field->sensors[i].ln_value - unit);
            weight += w;
        }
    }
    if (!(weight > 0)) {
        return false;
    }
    u[TRACE_LN_Q] = fmin(fmax(sum / weight, field->ln_q_low), field->ln_q_high);
    return true;
}

struct candidate {
    double value;
    double u[TRACE_UNKNOWNS];
};

/* Keeps the STARTS best, far enough from one another. */
static void keep(struct candidate *best, const struct candidate *new_one, double apart_m) {
    for (size_t i = 0; i < STARTS; i++) {
        bool near = hypot(best[i].u[TRACE_X] - new_one->u[TRACE_X],
                          best[i].u[TRACE_Y] - new_one->u[TRACE_Y]) < apart_m;
        if (new_one->value > best[i].value) {
            size_t from = i;
            while (!near && from + 1 < STARTS) {
                from++;
            }
            for (size_t k = from; k > i; k--) {
                best[k] = best[k - 1];
            }
            best[i] = *new_one;
            return;
        }
        if (near && best[i].value > -HUGE_VAL) {
            return;
        }
    }
}

static void search_grid(const struct field *field, struct candidate *best) {
    double length = field->far_m - field->near_m, width = 2 * field->half_m;
    double step = fmax(25, sqrt(length * width / GRID_CELLS_MAX));
    for (size_t i = 0; i < STARTS; i++) {
        best[i] = (struct candidate){.value = -HUGE_VAL, .u = {field->near_m - 1e9, 0}};
    }
    for (double a = field->near_m + step / 2; a < field->far_m; a += step) {
        for (double c = -field->half_m + step / 2; c < field->half_m; c += step) {
            for (int turn = -1; turn <= 1; turn++) {
                struct candidate now = {.u = {[TRACE_X] = a,
                                              [TRACE_Y] = c,
                                              [TRACE_WIND] = turn * field->problem->wind_sd_deg,
                                              [TRACE_GROWTH] = field->growth,
                                              [TRACE_LOSS] = field->loss}};
                if (best_rate(field, now.u)) {
                    now.value = ln_posterior(field, now.u);
                    keep(best, &now, 2 * step);
                }
            }
        }
    }
}

static int compare_candidates(const void *a, const void *b) {
    double x = ((const struct candidate *)a)->value, y = ((const struct candidate *)b)->value;
    return (x < y) - (x > y);
}

/* Nelder and Mead (1965), in place. */
static void climb(const struct field *field, struct candidate *start) {
    const double steps[TRACE_UNKNOWNS] = {30, 15, 0.3, 1, 0.1, 0.05, 0.05};
    struct candidate s[TRACE_UNKNOWNS + 1];
    for (size_t i = 0; i <= TRACE_UNKNOWNS; i++) {
        s[i] = *start;
        if (i > 0) {
            s[i].u[i - 1] += steps[i - 1];
        }
        s[i].value = ln_posterior(field, s[i].u);
    }
    for (int step = 0; step < SIMPLEX_STEPS; step++) {
        qsort(s, TRACE_UNKNOWNS + 1, sizeof *s, compare_candidates);
        if (s[0].value - s[TRACE_UNKNOWNS].value < 1e-9) {
            break;
        }
        static const double moves[] = {1, 2, 0.5, -0.5};
        double middle[TRACE_UNKNOWNS] = {0};
        struct candidate tried[4];
        struct candidate *worst = &s[TRACE_UNKNOWNS], *taken = NULL;
        for (size_t i = 0; i < TRACE_UNKNOWNS; i++) {
            for (size_t k = 0; k < TRACE_UNKNOWNS; k++) {
                middle[k] += s[i].u[k] / TRACE_UNKNOWNS;
            }
        }
        for (size_t m = 0; m < 4; m++) {
            for (size_t k = 0; k < TRACE_UNKNOWNS; k++) {
                tried[m].u[k] = middle[k] + moves[m] * (middle[k] - worst->u[k]);
            }
            tried[m].value = ln_posterior(field, tried[m].u);
            if (m == 0 && tried[0].value <= s[0].value &&
                tried[0].value > s[TRACE_UNKNOWNS - 1].value) {
                taken = &tried[0];
                break;
            }
            if (m == 1 && tried[0].value > s[0].value) {
                taken = tried[1].value > tried[0].value ? &tried[1] : &tried[0];
                break;
            }
            if (m >= 2 && tried[m].value > worst->value) {
                taken = &tried[m];
                break;
            }
        }
        if (taken != NULL) {
            *worst = *taken;
            continue;
        }
        for (size_t i = 1; i <= TRACE_UNKNOWNS; i++) {
            for (size_t k = 0; k < TRACE_UNKNOWNS; k++) {
                s[i].u[k] = (s[i].u[k] + s[0].u[k]) / 2;
            }
            s[i].value = ln_posterior(field, s[i].u);
        }
    }
    qsort(s, TRACE_UNKNOWNS + 1, sizeof *s, compare_candidates);
    *start = s[0];
}

/* Lower triangle of the covariance; false when it is not positive definite. */
static bool cholesky(double m[TRACE_UNKNOWNS][TRACE_UNKNOWNS]) {
    for (size_t i = 0; i < TRACE_UNKNOWNS; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = m[i][j];
            for (size_t k = 0; k < j; k++) {
                sum -= m[i][k] * m[j][k];
            }
            if (i == j) {
                if (!(sum > 0)) {
                    return false;
                }
                m[i][i] = sqrt(sum);
            } else {
                m[i][j] = sum / m[j][j];
            }
        }
    }
    return true;
}

/* Running mean and covariance of a chain, and the proposal that follows from it. */
struct shape {
    double count;
    double mean[TRACE_UNKNOWNS];
    double moment[TRACE_UNKNOWNS][TRACE_UNKNOWNS];
    double factor[TRACE_UNKNOWNS][TRACE_UNKNOWNS];
    double scale;
};

static void shape_add(struct shape *shape, const double *u) {
    double before[TRACE_UNKNOWNS];
    shape->count++;
    for (size_t i = 0; i < TRACE_UNKNOWNS; i++) {
        before[i] = u[i] - shape->mean[i];
        shape->mean[i] += before[i] / shape->count;
    }
    for (size_t i = 0; i < TRACE_UNKNOWNS; i++) {
        for (size_t j = 0; j <= i; j++) {
            shape->moment[i][j] += before[i] * (u[j] - shape->mean[j]);
        }
    }
}

static void shape_adapt(struct shape *shape) {
    static const double floor_of[TRACE_UNKNOWNS] = {1e-2, 1e-2, 1e-6, 1e-4, 1e-6, 1e-6, 1e-6};
    double m[TRACE_UNKNOWNS][TRACE_UNKNOWNS] = {{0}};
    for (size_t i = 0; i < TRACE_UNKNOWNS; i++) {
        for (size_t j = 0; j <= i; j++) {
            m[i][j] = shape->moment[i][j] / shape->count + (i == j ? floor_of[i] : 0);
        }
    }
    if (cholesky(m)) {
        memcpy(shape->factor, m, sizeof m);
    }
}

static void propose(const struct shape *shape, const double *from, uint64_t *state, double *ret_u) {
    double z[TRACE_UNKNOWNS];
    /* Now and then a short or a long step: the scale of the posterior differs along its length. */
    double scale = shape->scale * (uniform(state) < 0.2 ? 0.2 : uniform(state) < 0.1 ? 3 : 1);
    for (size_t i = 0; i < TRACE_UNKNOWNS; i++) {
        z[i] = normal(state);
    }
    for (size_t i = 0; i < TRACE_UNKNOWNS; i++) {
        ret_u[i] = from[i];
        for (size_t j = 0; j <= i; j++) {
            ret_u[i] += scale * shape->factor[i][j] * z[j];
        }
    }
}

static void run_chain(const struct field *field, const struct candidate *start, uint64_t seed,
                      struct trace_sample *ret_kept) {
    static const double first[TRACE_UNKNOWNS] = {20, 10, 0.2, 1, 0.05, 0.03, 0.03};
    struct shape shape = {.scale = 2.38 / sqrt(TRACE_UNKNOWNS)};
    struct candidate now = *start;
    uint64_t state = mix(seed);
    for (size_t i = 0; i < TRACE_UNKNOWNS; i++) {
        shape.factor[i][i] = first[i];
    }
    for (int step = 0; step < BURN_IN + CHAIN_STEPS; step++) {
        struct candidate next = now;
        propose(&shape, now.u, &state, next.u);
        next.value = ln_posterior(field, next.u);
        if (log(uniform(&state)) < next.value - now.value) {
            now = next;
        }
        if (step < BURN_IN) {
            if (step == BURN_IN / 4) { /* forget the way from the start */
                memset(shape.moment, 0, sizeof shape.moment);
                memset(shape.mean, 0, sizeof shape.mean);
                shape.count = 0;
            }
            shape_add(&shape, now.u);
            if (step >= 200 && step % 100 == 0) {
                shape_adapt(&shape);
            }
        } else if ((step - BURN_IN) % THINNING == 0) {
            memcpy(ret_kept[(step - BURN_IN) / THINNING].value, now.u, sizeof now.u);
        }
    }
}

/* Gelman and Rubin (1992), largest over the unknowns. */
static double r_hat(const struct trace_sample *samples) {
    double worst = 1;
    for (size_t k = 0; k < TRACE_UNKNOWNS; k++) {
        double means[TRACE_CHAINS] = {0}, within = 0, between = 0, all = 0;
        for (size_t c = 0; c < TRACE_CHAINS; c++) {
            double squares = 0;
            for (size_t i = 0; i < KEPT; i++) {
                means[c] += samples[c * KEPT + i].value[k] / KEPT;
            }
            for (size_t i = 0; i < KEPT; i++) {
                double d = samples[c * KEPT + i].value[k] - means[c];
                squares += d * d;
            }
            within += squares / (KEPT - 1) / TRACE_CHAINS;
            all += means[c] / TRACE_CHAINS;
        }
        for (size_t c = 0; c < TRACE_CHAINS; c++) {
            between += (means[c] - all) * (means[c] - all) / (TRACE_CHAINS - 1);
        }
        worst = fmax(worst, sqrt((within * (KEPT - 1) / KEPT + between) / fmax(within, 1e-300)));
    }
    return worst;
}

static int check(const struct trace_problem *p, struct err *ret_err) {
    if (p->count > TRACE_SENSORS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "%zu sensors; at most %d", p->count, TRACE_SENSORS_MAX);
    }
    if (!(p->detection_limit > 0) || !(p->floor > 0) || !(p->sigma_log > 0) ||
        !(p->wind_sd_deg > 0) || !(p->width_sd_log > 0) || !(p->source_height_m >= 0) ||
        !(p->reach_m >= 0)) {
        return err_set(ret_err, ERR_RANGE, "detection limit and errors must be above 0");
    }
    size_t informative = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct trace_sensor *s = &p->sensors[i];
        if (!isfinite(s->x_m) || !isfinite(s->y_m) || !(s->z_m >= 0) || s->value < 0 ||
            isinf(s->value)) {
            return err_set(ret_err, ERR_RANGE, "sensor %zu: place or reading cannot be", i + 1);
        }
        informative += s->value > p->detection_limit;
    }
    return informative >= TRACE_INFORMATIVE_MIN
               ? 0
               : err_set(ret_err, ERR_NOT_FOUND,
                         "not enough data: %zu sensors above the detection limit, %d are needed",
                         informative, TRACE_INFORMATIVE_MIN);
}

static int field_init(struct field *field, const struct trace_problem *p, struct err *ret_err) {
    double angle = p->air.wind_from_deg * PI / 180;
    *field = (struct field){.problem = p, .down_x = -sin(angle), .down_y = -cos(angle)};
    field->sensors = calloc(p->count, sizeof *field->sensors);
    field->tables = calloc(p->count, TABLE_NODES * sizeof *field->tables);
    if (field->sensors == NULL || field->tables == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu sensors", p->count);
    }
    for (size_t i = 0; i < p->count; i++) {
        if (!isnan(p->sensors[i].value)) {
            field->middle_x_m += p->sensors[i].x_m;
            field->middle_y_m += p->sensors[i].y_m;
            field->count++;
        }
    }
    field->middle_x_m /= (double)field->count;
    field->middle_y_m /= (double)field->count;
    double weights = 0, top = 0, low = HUGE_VAL, high = -HUGE_VAL, across = 0;
    size_t k = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct trace_sensor *s = &p->sensors[i];
        if (isnan(s->value)) {
            continue;
        }
        double x = s->x_m - field->middle_x_m, y = s->y_m - field->middle_y_m;
        struct seen *seen = &field->sensors[k++];
        seen->along_m = x * field->down_x + y * field->down_y;
        seen->across_m = y * field->down_x - x * field->down_y;
        seen->ln_value = log(s->value + p->floor);
        seen->positive = s->value > p->detection_limit;
        low = fmin(low, seen->along_m);
        high = fmax(high, seen->positive ? seen->along_m : -HUGE_VAL);
        across = fmax(across, fabs(seen->across_m));
        double weight = log1p(s->value / p->detection_limit);
        weights += weight;
        field->core_along_m += weight * seen->along_m;
        field->core_across_m += weight * seen->across_m;
        top = fmax(top, s->value);
    }
    field->core_along_m /= weights;
    field->core_across_m /= weights;
    double reach = p->reach_m > 0 ? p->reach_m : fmax(1000, 2 * fmax(2 * across, high - low));
    field->near_m = low - reach;
    field->far_m = high;
    field->half_m = across + reach / 2;
    field->ln_q_low = log(top) - LN_Q_SPAN;
    field->ln_q_high = log(top) + LN_Q_SPAN;
    /* Only a surface layer tells day from night; a class has it in its curves. */
    bool surface = p->air.method == WEATHER_SIMILARITY;
    bool night = surface && p->air.surface.obukhov_m > 0;
    field->ln_pivot = log(30);
    field->growth = night ? GROWTH_NIGHT : 0;
    field->loss = night ? LOSS_NIGHT : surface ? LOSS_DAY : 0;
    return build_tables(field, ret_err);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Turns along and across back into east and north. */
static void to_map(const struct field *field, double *u) {
    double along = u[TRACE_X], across = u[TRACE_Y];
    u[TRACE_X] = field->middle_x_m + along * field->down_x - across * field->down_y;
    u[TRACE_Y] = field->middle_y_m + along * field->down_y + across * field->down_x;
}

static void summarise(const struct field *field, struct trace_result *result, double *sorted) {
    size_t edge = 0;
    double margin = 0.02 * (field->far_m - field->near_m), median[TRACE_UNKNOWNS];
    for (size_t k = 0; k < TRACE_UNKNOWNS; k++) {
        for (size_t i = 0; i < result->count; i++) {
            sorted[i] = result->samples[i].value[k];
            edge += k == TRACE_X && sorted[i] < field->near_m + margin;
        }
        qsort(sorted, result->count, sizeof *sorted, compare_doubles);
        median[k] = sorted[result->count / 2];
        if (k == TRACE_LN_Q) {
            result->rate_p05 = exp(sorted[result->count / 20]);
            result->rate_p95 = exp(sorted[result->count - 1 - result->count / 20]);
        }
    }
    result->rate = exp(median[TRACE_LN_Q]);
    result->wind_deg = -median[TRACE_WIND]; /* the frame turns to the left with a positive angle */
    result->at_edge = (double)edge > 0.05 * (double)result->count;
    for (size_t i = 0; i < result->count; i++) {
        to_map(field, result->samples[i].value);
    }
    double corner[4][TRACE_UNKNOWNS] = {{field->near_m, -field->half_m},
                                        {field->near_m, field->half_m},
                                        {field->far_m, -field->half_m},
                                        {field->far_m, field->half_m}};
    for (size_t i = 0; i < 4; i++) {
        to_map(field, corner[i]);
        for (size_t a = 0; a < 2; a++) {
            double v = corner[i][a];
            result->box[2 * a] = i == 0 ? v : fmin(result->box[2 * a], v);
            result->box[2 * a + 1] = i == 0 ? v : fmax(result->box[2 * a + 1], v);
        }
    }
}

/* The place: the most probable point where the readings decide it; else the top of a flat ridge is
 * an accident, and the middle of the densest part says more. */
static int settle_place(const struct field *field, struct trace_result *result,
                        struct err *ret_err) {
    size_t n = result->count;
    double *x = calloc(2 * n, sizeof *x), *y = x + n, level = 0;
    double mean[2] = {0}, spread = 0, dense[2] = {0}, dense_count = 0;
    if (x == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a region");
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = result->samples[i].value[TRACE_X];
        y[i] = result->samples[i].value[TRACE_Y];
        mean[0] += x[i] / (double)n;
        mean[1] += y[i] / (double)n;
    }
    int rc = region_create(x, y, n, &result->region, ret_err);
    rc = rc != 0 ? rc : region_level(&result->region, DENSEST, &level);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        spread += (pow(x[i] - mean[0], 2) + pow(y[i] - mean[1], 2)) / (double)n;
        if (region_holds(&result->region, level, x[i], y[i])) {
            dense[0] += x[i];
            dense[1] += y[i];
            dense_count++;
        }
    }
    free(x);
    if (rc != 0) {
        return rc;
    }
    double core[TRACE_UNKNOWNS] = {field->core_along_m, field->core_across_m};
    to_map(field, core);
    double away = hypot(result->best[TRACE_X] - core[0], result->best[TRACE_Y] - core[1]);
    bool decided = dense_count == 0 || sqrt(spread) < DECIDED * away;
    result->x_m = decided ? result->best[TRACE_X] : dense[0] / dense_count;
    result->y_m = decided ? result->best[TRACE_Y] : dense[1] / dense_count;
    return 0;
}

static int sample(const struct field *field, struct trace_result *result, struct err *ret_err) {
    struct candidate best[STARTS];
    search_grid(field, best);
    for (size_t i = 0; i < STARTS; i++) {
        if (best[i].value > -HUGE_VAL) {
            climb(field, &best[i]);
            climb(field, &best[i]); /* a simplex may have collapsed before the top */
        }
    }
    qsort(best, STARTS, sizeof *best, compare_candidates);
    if (!(best[0].value > -HUGE_VAL)) {
        return err_set(ret_err, ERR_NOT_FOUND, "not enough data: no place explains the readings");
    }
    memcpy(result->best, best[0].u, sizeof result->best);
    to_map(field, result->best);
    result->count = (size_t)TRACE_CHAINS * KEPT;
    result->samples = calloc(result->count, sizeof *result->samples);
    double *sorted = calloc(result->count, sizeof *sorted);
    if (result->samples == NULL || sorted == NULL) {
        free(result->samples);
        free(sorted);
        return err_set(ret_err, ERR_MEMORY, "no memory for samples");
    }
    for (size_t c = 0; c < TRACE_CHAINS; c++) {
        const struct candidate *start = best[c].value > best[0].value - 8 ? &best[c] : &best[0];
        run_chain(field, start, field->problem->seed + c * UINT64_C(0x51ed2701),
                  result->samples + c * KEPT);
    }
    result->r_hat = r_hat(result->samples);
    summarise(field, result, sorted);
    free(sorted);
    int rc = settle_place(field, result, ret_err);
    if (rc != 0) {
        trace_finish(result);
    }
    return rc;
}

int trace_run(const struct trace_problem *problem, struct trace_result *ret_result,
              struct err *ret_err) {
    struct field field = {0};
    struct trace_result result = {0};
    int rc = check(problem, ret_err);
    rc = rc != 0 ? rc : field_init(&field, problem, ret_err);
    for (size_t i = 0; i < field.count; i++) {
        result.informative += field.sensors[i].positive;
    }
    result.used = field.count;
    rc = rc != 0 ? rc : sample(&field, &result, ret_err);
    free(field.sensors);
    free(field.tables);
    if (rc == 0) {
        *ret_result = result;
    }
    return rc;
}

void trace_finish(struct trace_result *result) {
    if (result != NULL) {
        free(result->samples);
        region_finish(&result->region);
        *result = (struct trace_result){0};
    }
}
