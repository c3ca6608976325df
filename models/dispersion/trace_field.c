#include "models/dispersion/trace_field.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

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
#define LN_Q_SPAN    25.0 /* half width of the prior of ln Q about what the readings suggest */

size_t field_at(size_t source) {
    return source == 0 ? TRACE_X : TRACE_SECOND;
}

void field_sources(struct field *field, size_t sources) {
    field->sources = sources;
    field->unknowns = sources == 1 ? TRACE_SECOND : TRACE_UNKNOWNS_MAX;
}

/* Tables of ln sigma_y and, for each height of a sensor, ln(vertical / (sqrt(2 pi) u)) against
 * ln x. */
static int build_tables(struct field *field, struct err *ret_err) {
    const struct trace_problem *p = field->problem;
    double *heights = calloc(p->count + 2, sizeof *heights);
    size_t distinct = 0;
    if (heights == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for sensors");
    }
    field->ln_step = log(TABLE_FAR_M / TABLE_NEAR_M) / (FIELD_TABLE_NODES - 1);
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
        field->sensors[used++].vertical = field->tables + k * FIELD_TABLE_NODES;
    }
    heights[distinct] = p->point_z_m;
    field->point_table = field->tables + distinct++ * FIELD_TABLE_NODES;
    int rc = 0;
    for (size_t n = 0; rc == 0 && n < FIELD_TABLE_NODES; n++) {
        double sy = 0, sz = 0, wind = 0;
        double x_m = TABLE_NEAR_M * exp((double)n * field->ln_step);
        rc = weather_spread(&p->air, p->source_height_m, x_m, &sy, &sz, &wind);
        field->ln_width[n] = log(sy);
        for (size_t k = 0; rc == 0 && k < distinct; k++) {
            double share = plume_vertical(heights[k], p->source_height_m, sz, p->air.lid_m);
            field->tables[k * FIELD_TABLE_NODES + n] =
                log(fmax(share, 1e-200) / (sqrt(2 * PI) * wind));
        }
    }
    free(heights);
    return rc == 0 ? 0 : err_set(ret_err, rc, "the spread of the plume cannot be computed");
}

/* ln of the concentration of a unit rate at a sensor; very low upwind. */
static double ln_unit(const struct field *field, const struct seen *s, const double *u,
                      size_t source, double cos_wind, double sin_wind) {
    const double *place = u + field_at(source);
    double dx = s->along_m - place[TRACE_X], dy = s->across_m - place[TRACE_Y];
    double x = dx * cos_wind + dy * sin_wind, y = dy * cos_wind - dx * sin_wind;
    if (!(x > TABLE_NEAR_M)) {
        return -200;
    }
    double ln_x = log(x);
    double node = ln_x / field->ln_step, far = ln_x - field->ln_pivot;
    if (!(node < FIELD_TABLE_NODES - 1)) {
        return -200;
    }
    size_t n = (size_t)node;
    double f = node - (double)n;
    double ln_sy = field->ln_width[n] + f * (field->ln_width[n + 1] - field->ln_width[n]) +
                   u[TRACE_WIDTH] + u[TRACE_GROWTH] * far;
    double ln_v = s->vertical[n] + f * (s->vertical[n + 1] - s->vertical[n]) + u[TRACE_LOSS] * far;
    double t = y * exp(-ln_sy);
    return fmax(ln_v - ln_sy - 0.5 * t * t, -200);
}

double field_ln_model(const struct field *field, const struct seen *at, const double *u) {
    double angle = u[TRACE_WIND] * PI / 180, cos_wind = cos(angle), sin_wind = sin(angle);
    double model = field->problem->floor;
    for (size_t k = 0; k < field->sources; k++) {
        double unit = ln_unit(field, at, u, k, cos_wind, sin_wind);
        model += exp(fmin(unit + u[field_at(k) + TRACE_LN_Q], 600));
    }
    return log(model);
}

/* Box and rate of one source, uniform in the logarithm of the distance; -HUGE_VAL outside. */
static double ln_prior_place(const struct field *field, const double *place) {
    if (!(place[TRACE_X] >= field->near_m && place[TRACE_X] <= field->far_m) ||
        !(fabs(place[TRACE_Y]) <= field->half_m) ||
        !(place[TRACE_LN_Q] >= field->ln_q_low && place[TRACE_LN_Q] <= field->ln_q_high)) {
        return -HUGE_VAL;
    }
    return -log(hypot(place[TRACE_X] - field->core_along_m, place[TRACE_Y] - field->core_across_m) +
                NEAREST_M);
}

double field_ln_posterior(const struct field *field, const double *u) {
    const struct trace_problem *p = field->problem;
    double sum = 0;
    for (size_t k = 0; k < field->sources; k++) {
        sum += ln_prior_place(field, u + field_at(k));
    }
    if (!(sum > -HUGE_VAL)) {
        return -HUGE_VAL;
    }
    double angle = u[TRACE_WIND] * PI / 180, cos_wind = cos(angle), sin_wind = sin(angle);
    double w = u[TRACE_WIND] / p->wind_sd_deg, v = u[TRACE_WIDTH] / p->width_sd_log;
    double g = (u[TRACE_GROWTH] - field->growth) / GROWTH_SD,
           l = (u[TRACE_LOSS] - field->loss) / LOSS_SD;
    sum -= 0.5 * (w * w + v * v + g * g + l * l);
    double product = 1; /* of (1 + t2 / nu), so that one logarithm does for several sensors */
    for (size_t i = 0; i < field->count; i++) {
        double model = p->floor;
        for (size_t k = 0; k < field->sources; k++) {
            double unit = ln_unit(field, &field->sensors[i], u, k, cos_wind, sin_wind);
            model += exp(fmin(unit + u[field_at(k) + TRACE_LN_Q], 600));
        }
        double t = (log(model) - field->sensors[i].ln_value) / p->sigma_log;
        product *= 1 + t * t / STUDENT;
        if (product > 1e200) {
            sum -= 0.5 * (STUDENT + 1) * log(product);
            product = 1;
        }
    }
    return sum - 0.5 * (STUDENT + 1) * log(product);
}

/* The best ln Q of a place: mean of log ratios over sensors that see something, of what the sources
 * before it leave. */
bool field_best_rate(const struct field *field, size_t source, double *u) {
    double angle = u[TRACE_WIND] * PI / 180, cos_wind = cos(angle), sin_wind = sin(angle);
    double sum = 0, weight = 0, *place = u + field_at(source);
    for (size_t i = 0; i < field->count; i++) {
        const struct seen *s = &field->sensors[i];
        if (!s->positive) {
            continue;
        }
        double unit = ln_unit(field, s, u, source, cos_wind, sin_wind), others = 0;
        for (size_t k = 0; k < source; k++) {
            others += exp(fmin(
                ln_unit(field, s, u, k, cos_wind, sin_wind) + u[field_at(k) + TRACE_LN_Q], 600));
        }
        double ln_left = s->ln_value;
        if (others > 0) {
            double left = exp(s->ln_value) - field->problem->floor - others;
            if (!(left > 0.5 * others)) {
                continue;
            }
            ln_left = log(left);
        }
        if (unit > -150) {
            double w = exp(0.25 * fmax(unit, -100)); /* the plume's core says more than its rim */
            sum += w * (ln_left - unit);
            weight += w;
        }
    }
    if (!(weight > 0)) {
        return false;
    }
    place[TRACE_LN_Q] = fmin(fmax(sum / weight, field->ln_q_low), field->ln_q_high);
    return true;
}

void field_to_map(const struct field *field, double *u) {
    for (size_t k = 0; k < field->sources; k++) {
        double *place = u + field_at(k), along = place[TRACE_X], across = place[TRACE_Y];
        place[TRACE_X] = field->middle_x_m + along * field->down_x - across * field->down_y;
        place[TRACE_Y] = field->middle_y_m + along * field->down_y + across * field->down_x;
    }
}

void field_from_map(const struct field *field, double x_m, double y_m, double *ret_along_m,
                    double *ret_across_m) {
    double x = x_m - field->middle_x_m, y = y_m - field->middle_y_m;
    *ret_along_m = x * field->down_x + y * field->down_y;
    *ret_across_m = y * field->down_x - x * field->down_y;
}

int field_init(struct field *field, const struct trace_problem *p, struct err *ret_err) {
    double angle = p->air.wind_from_deg * PI / 180;
    *field = (struct field){.problem = p, .down_x = -sin(angle), .down_y = -cos(angle)};
    field->sensors = calloc(p->count, sizeof *field->sensors);
    field->tables = calloc(p->count + 1, FIELD_TABLE_NODES * sizeof *field->tables);
    field_sources(field, 1);
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
        struct seen *seen = &field->sensors[k++];
        field_from_map(field, s->x_m, s->y_m, &seen->along_m, &seen->across_m);
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

void field_finish(struct field *field) {
    free(field->sensors);
    free(field->tables);
    field->sensors = NULL;
    field->tables = NULL;
}
