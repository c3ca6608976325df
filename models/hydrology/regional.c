#include "models/hydrology/regional.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct gr_parameters regional_hourly(const struct gr_parameters *daily) {
    return (struct gr_parameters){daily->x1_mm, daily->x2_mm * pow(24, -0.125),
                                  daily->x3_mm * pow(24, 0.25), daily->x4 * 24};
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static double median_of(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_size);
    return count % 2 == 1 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

struct gr_parameters regional_median(const struct gr_parameters *donors, size_t count) {
    double values[4][REGIONAL_DONORS_MAX];
    for (size_t i = 0; i < count; i++) {
        values[0][i] = donors[i].x1_mm;
        values[1][i] = donors[i].x2_mm;
        values[2][i] = donors[i].x3_mm;
        values[3][i] = donors[i].x4;
    }
    return (struct gr_parameters){median_of(values[0], count), median_of(values[1], count),
                                  median_of(values[2], count), median_of(values[3], count)};
}

static double distance(const double *observed, const double *simulated, size_t from, size_t to,
                       size_t *ret_pairs) {
    double sum = 0;
    size_t pairs = 0;
    for (size_t t = from; t < to; t++) {
        if (observed[t] >= 0 && simulated[t] >= 0) { /* NaN is not */
            double d = sqrt(observed[t]) - sqrt(simulated[t]);
            sum += d * d;
            pairs++;
        }
    }
    *ret_pairs = pairs;
    return sum;
}

/* Of the observed roots around their mean. */
static double spread(const double *observed, size_t from, size_t to) {
    double n = 0, sum = 0, squares = 0;
    for (size_t t = from; t < to; t++) {
        if (observed[t] >= 0) {
            n += 1;
            sum += sqrt(observed[t]);
            squares += observed[t];
        }
    }
    return squares - sum * sum / n;
}

int regional_best(const struct calibrate_data *data, const struct gr_parameters *donors,
                  size_t count, size_t from, size_t *ret_donor, double *ret_score,
                  size_t *ret_pairs, struct err *ret_err) {
    double *simulated = malloc((data->count + 1) * sizeof *simulated), best = INFINITY;
    size_t donor = 0, pairs = 0;
    if (simulated == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu steps", data->count);
    }
    for (size_t i = 0; i < count; i++) {
        size_t used = 0;
        calibrate_simulate(data, &donors[i], simulated);
        double sum = distance(data->observed_mm, simulated, from, data->count, &used);
        pairs = used > pairs ? used : pairs;
        if (used >= REGIONAL_PAIRS_MIN && sum < best) {
            best = sum;
            donor = i;
        }
    }
    free(simulated);
    if (pairs < REGIONAL_PAIRS_MIN) {
        return err_set(ret_err, ERR_INVALID,
                       "%zu observations of runoff after the warm-up; at least %d are needed to "
                       "choose a donor",
                       pairs, REGIONAL_PAIRS_MIN);
    }
    *ret_donor = donor;
    *ret_score = 1 - best / spread(data->observed_mm, from, data->count);
    *ret_pairs = pairs;
    return 0;
}
