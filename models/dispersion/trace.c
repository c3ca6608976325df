#include "models/dispersion/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/dispersion/trace_chain.h"
#include "models/dispersion/trace_field.h"
#include "models/dispersion/trace_next.h"

#define DENSEST 0.15 /* share of the mass */
#define DECIDED 0.25 /* spread over distance */

#define WORTH_IT 5.0 /* ln of the posterior: less can never pay for three more unknowns */

enum { TWO_NEED = 6, PRIOR_CELLS = 60, FIRST_STARTS = 2 }; /* six readings for six unknowns */

static int check(const struct trace_problem *p, struct err *ret_err) {
    if (p->count > TRACE_SENSORS_MAX || p->point_count > TRACE_POINTS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "%zu sensors and %zu points; at most %d and %d",
                       p->count, p->point_count, TRACE_SENSORS_MAX, TRACE_POINTS_MAX);
    }
    if (!(p->detection_limit > 0) || !(p->floor > 0) || !(p->sigma_log > 0) ||
        !(p->wind_sd_deg > 0) || !(p->width_sd_log > 0) || !(p->source_height_m >= 0) ||
        !(p->reach_m >= 0) || !(p->point_z_m >= 0) || p->sources_max < 1 || p->sources_max > 2) {
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

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What one more source costs before it explains anything: ln of the prior's volume (place and
 * rate), with the prior of the posterior's own form. */
static double ln_prior_volume(const struct field *field) {
    double sum = 0, da = (field->far_m - field->near_m) / PRIOR_CELLS,
           dc = 2 * field->half_m / PRIOR_CELLS;
    for (int i = 0; i < PRIOR_CELLS; i++) {
        for (int k = 0; k < PRIOR_CELLS; k++) {
            double a = field->near_m + (i + 0.5) * da, c = -field->half_m + (k + 0.5) * dc;
            sum += da * dc / (hypot(a - field->core_along_m, c - field->core_across_m) + 25);
        }
    }
    return log(sum) + log(field->ln_q_high - field->ln_q_low);
}

/* Looks for a second source next to each good place of the first; ret_best are FIELD_STARTS. */
static void search_two(struct field *field, const struct candidate *one,
                       struct candidate *ret_best) {
    field_sources(field, 2);
    for (size_t i = 0; i < FIELD_STARTS; i++) {
        ret_best[i] = (struct candidate){.value = -HUGE_VAL};
    }
    for (size_t i = 0; i < FIRST_STARTS; i++) {
        struct candidate found[FIELD_STARTS];
        if (!(one[i].value > -HUGE_VAL)) {
            continue;
        }
        field_search(field, one[i].u, found);
        for (size_t k = 0; k < FIELD_STARTS; k++) { /* insertion into the best so far */
            size_t at = FIELD_STARTS;
            while (at > 0 && found[k].value > ret_best[at - 1].value) {
                at--;
            }
            if (at < FIELD_STARTS) {
                memmove(&ret_best[at + 1], &ret_best[at],
                        (FIELD_STARTS - 1 - at) * sizeof *ret_best);
                ret_best[at] = found[k];
            }
        }
    }
}

/* Labels must not change within a chain: the source nearer to the first of the best is the first.
 */
static void order_sources(const struct candidate *best, struct trace_sample *samples,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        double *u = samples[i].value, own = 0, other = 0;
        for (int axis = 0; axis < 2; axis++) {
            own += pow(u[axis] - best->u[axis], 2);
            other += pow(u[axis] - best->u[TRACE_SECOND + axis], 2);
        }
        for (int k = 0; other < own && k < 3; k++) {
            double keep = u[k];
            u[k] = u[TRACE_SECOND + k];
            u[TRACE_SECOND + k] = keep;
        }
    }
}

static int choose_count(struct field *field, struct candidate *best, struct trace_result *result,
                        struct err *ret_err) {
    size_t one_unknowns = field->unknowns;
    chain_run(field, best, FIELD_STARTS, result->samples);
    result->two_over_one = (double)NAN;
    if (field->problem->sources_max < 2 || result->informative < TWO_NEED) {
        return 0;
    }
    struct candidate two[FIELD_STARTS];
    struct trace_sample *samples = calloc(CHAIN_SAMPLES, sizeof *samples);
    if (samples == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for samples");
    }
    search_two(field, best, two);
    double gain = -HUGE_VAL;
    if (two[0].value > best[0].value + WORTH_IT) {
        chain_run(field, two, FIELD_STARTS, samples);
        order_sources(&two[0], samples, CHAIN_SAMPLES);
        gain = two[0].value + chain_ln_volume(samples, field->unknowns) - ln_prior_volume(field) -
               best[0].value - chain_ln_volume(result->samples, one_unknowns);
    }
    result->two_over_one = 1 / (1 + exp(-gain));
    if (gain > 0) {
        memcpy(best, two, sizeof two);
        memcpy(result->samples, samples, CHAIN_SAMPLES * sizeof *samples);
    } else {
        field_sources(field, 1);
    }
    free(samples);
    return 0;
}

static void tell_misfit(const struct field *field, const struct candidate *best,
                        struct trace_result *result) {
    const struct trace_problem *p = field->problem;
    for (size_t i = 0, k = 0; i < p->count; i++) {
        result->misfit[i] = (double)NAN;
        if (!isnan(p->sensors[i].value)) {
            const struct seen *s = &field->sensors[k++];
            result->misfit[i] = (s->ln_value - field_ln_model(field, s, best->u)) / p->sigma_log;
        }
    }
}

static void tell_box(const struct field *field, struct trace_result *result) {
    double corner[4][TRACE_UNKNOWNS_MAX] = {{field->near_m, -field->half_m},
                                            {field->near_m, field->half_m},
                                            {field->far_m, -field->half_m},
                                            {field->far_m, field->half_m}};
    for (size_t i = 0; i < 4; i++) {
        field_to_map(field, corner[i]);
        for (size_t a = 0; a < 2; a++) {
            double v = corner[i][a];
            result->box[2 * a] = i == 0 ? v : fmin(result->box[2 * a], v);
            result->box[2 * a + 1] = i == 0 ? v : fmax(result->box[2 * a + 1], v);
        }
    }
}

static void summarise(const struct field *field, struct trace_result *result, double *sorted) {
    size_t edge = 0, n = result->count;
    double margin = 0.02 * (field->far_m - field->near_m);
    for (size_t i = 0; i < n; i++) {
        edge += result->samples[i].value[TRACE_X] < field->near_m + margin;
        sorted[i] = result->samples[i].value[TRACE_WIND];
    }
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    result->wind_deg = -sorted[n / 2]; /* the frame turns to the left with a positive angle */
    result->at_edge = (double)edge > 0.05 * (double)n;
    for (size_t k = 0; k < field->sources; k++) {
        struct trace_source *source = &result->source[k];
        for (size_t i = 0; i < n; i++) {
            sorted[i] = result->samples[i].value[field_at(k) + TRACE_LN_Q];
        }
        qsort(sorted, n, sizeof *sorted, compare_doubles);
        source->rate = exp(sorted[n / 2]);
        source->rate_p05 = exp(sorted[n / 20]);
        source->rate_p95 = exp(sorted[n - 1 - n / 20]);
    }
    for (size_t i = 0; i < n; i++) {
        field_to_map(field, result->samples[i].value);
    }
    tell_box(field, result);
}

/* The place: the most probable point where the readings decide it; else the top of a flat ridge is
 * an accident, and the middle of the densest part says more. `x`: room for twice the samples. */
static int settle_place(const struct field *field, const struct trace_result *result, size_t k,
                        double *x, struct trace_source *source, struct err *ret_err) {
    size_t n = result->count, at = field_at(k);
    double *y = x + n, level = 0, mean[2] = {0}, spread = 0, dense[2] = {0}, dense_count = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = result->samples[i].value[at + TRACE_X];
        y[i] = result->samples[i].value[at + TRACE_Y];
        mean[0] += x[i] / (double)n;
        mean[1] += y[i] / (double)n;
    }
    int rc = region_create(x, y, n, &source->region, ret_err);
    rc = rc != 0 ? rc : region_level(&source->region, DENSEST, &level);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        spread += (pow(x[i] - mean[0], 2) + pow(y[i] - mean[1], 2)) / (double)n;
        if (region_holds(&source->region, level, x[i], y[i])) {
            dense[0] += x[i];
            dense[1] += y[i];
            dense_count++;
        }
    }
    if (rc != 0) {
        return rc;
    }
    double core[TRACE_UNKNOWNS_MAX] = {field->core_along_m, field->core_across_m};
    const double *best = result->best + at;
    field_to_map(field, core);
    double away = hypot(best[TRACE_X] - core[0], best[TRACE_Y] - core[1]);
    bool decided = dense_count == 0 || sqrt(spread) < DECIDED * away;
    source->x_m = decided ? best[TRACE_X] : dense[0] / dense_count;
    source->y_m = decided ? best[TRACE_Y] : dense[1] / dense_count;
    return 0;
}

static int sample(struct field *field, struct trace_result *result, struct err *ret_err) {
    const struct trace_problem *p = field->problem;
    struct candidate best[FIELD_STARTS];
    field_search(field, NULL, best);
    if (!(best[0].value > -HUGE_VAL)) {
        return err_set(ret_err, ERR_NOT_FOUND, "not enough data: no place explains the readings");
    }
    result->count = CHAIN_SAMPLES;
    result->samples = calloc(result->count, sizeof *result->samples);
    result->misfit = calloc(p->count + 1, sizeof *result->misfit);
    double *room = calloc(2 * result->count, sizeof *room);
    int rc = result->samples == NULL || result->misfit == NULL || room == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for samples")
                 : choose_count(field, best, result, ret_err);
    if (rc == 0) {
        result->source_count = field->sources;
        result->r_hat = chain_r_hat(result->samples, field->unknowns);
        tell_misfit(field, &best[0], result);
        rc = p->point_count == 0 ? 0
                                 : next_rate_points(field, result->samples, result->count,
                                                    p->points, p->point_count, ret_err);
    }
    if (rc == 0) {
        memcpy(result->best, best[0].u, sizeof result->best);
        field_to_map(field, result->best);
        summarise(field, result, room);
    }
    for (size_t k = 0; rc == 0 && k < field->sources; k++) {
        rc = settle_place(field, result, k, room, &result->source[k], ret_err);
    }
    free(room);
    return rc;
}

int trace_run(const struct trace_problem *problem, struct trace_result *ret_result,
              struct err *ret_err) {
    struct field field = {0};
    struct trace_result result = {0};
    int rc = check(problem, ret_err);
    rc = rc != 0 ? rc : field_init(&field, problem, ret_err);
    for (size_t i = 0; rc == 0 && i < field.count; i++) {
        result.informative += field.sensors[i].positive;
    }
    result.used = field.count;
    rc = rc != 0 ? rc : sample(&field, &result, ret_err);
    field_finish(&field);
    if (rc != 0) {
        trace_finish(&result);
        return rc;
    }
    *ret_result = result;
    return 0;
}

void trace_finish(struct trace_result *result) {
    if (result != NULL) {
        free(result->samples);
        free(result->misfit);
        region_finish(&result->source[0].region);
        region_finish(&result->source[1].region);
        *result = (struct trace_result){0};
    }
}
