#include "models/dispersion/trace_next.h"

#include <math.h>
#include <stdlib.h>

enum { USED = 400, TRUTHS = 40 };

/* Area of the ellipse of the weighted places, all but its factor. */
static double spread_area(const struct trace_sample *const *used, const double *weight) {
    double sum = 0, mean[2] = {0}, moment[3] = {0};
    for (size_t i = 0; i < USED; i++) {
        double x = used[i]->value[TRACE_X], y = used[i]->value[TRACE_Y], w = weight[i];
        sum += w;
        double dx = x - mean[0], dy = y - mean[1];
        mean[0] += sum > 0 ? w / sum * dx : 0;
        mean[1] += sum > 0 ? w / sum * dy : 0;
        moment[0] += w * dx * (x - mean[0]);
        moment[1] += w * dy * (y - mean[1]);
        moment[2] += w * dx * (y - mean[1]);
    }
    double determinant = (moment[0] * moment[1] - moment[2] * moment[2]) / (sum * sum);
    return sqrt(fmax(determinant, 0));
}

static double area_left(const struct field *field, const struct trace_sample *const *used,
                        const struct trace_point *point, double area, double *weight) {
    struct seen at = {.vertical = field->point_table};
    double model[USED], sum = 0, error = field->problem->sigma_log;
    field_from_map(field, point->x_m, point->y_m, &at.along_m, &at.across_m);
    for (size_t i = 0; i < USED; i++) {
        model[i] = field_ln_model(field, &at, used[i]->value);
    }
    for (size_t t = 0; t < TRUTHS; t++) {
        double truth = model[t * (USED / TRUTHS)];
        for (size_t i = 0; i < USED; i++) {
            double d = (model[i] - truth) / error;
            weight[i] = exp(-0.25 * d * d); /* the reading has an error too: twice the variance */
        }
        sum += spread_area(used, weight) / area;
    }
    return sum / TRUTHS;
}

int next_rate_points(const struct field *field, const struct trace_sample *samples, size_t count,
                     struct trace_point *points, size_t point_count, struct err *ret_err) {
    const struct trace_sample *used[USED];
    double *weight = calloc(USED, sizeof *weight);
    if (weight == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for points");
    }
    for (size_t i = 0; i < USED; i++) {
        used[i] = &samples[i * (count / USED)];
        weight[i] = 1;
    }
    double area = spread_area(used, weight);
    for (size_t k = 0; k < point_count; k++) {
        points[k].area_left = area > 0 ? area_left(field, used, &points[k], area, weight) : 1;
    }
    free(weight);
    return 0;
}
