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

/* Mean of the known steps times steps a year. */
static double mean_mm_year(const double *values, size_t from, size_t to, double steps_year,
                           size_t *ret_known) {
    double sum = 0, known = 0;
    for (size_t t = from; t < to; t++) {
        if (!isnan(values[t])) {
            sum += values[t];
            known += 1;
        }
    }
    *ret_known = (size_t)known;
    return sum / known * steps_year;
}

/* What is expected of the climate. */
static double turc_mezentsev(const struct calibrate_data *data, size_t from, double steps_year) {
    double rain = 0, evaporation = 0, known = 0;
    for (size_t t = from; t < data->count; t++) {
        if (!isnan(data->rain_mm[t]) && !isnan(data->evaporation_mm[t])) {
            rain += data->rain_mm[t];
            evaporation += data->evaporation_mm[t];
            known += 1;
        }
    }
    rain *= steps_year / known;
    return rain - rain / sqrt(1 + pow(rain / (evaporation / known * steps_year), 2));
}

/* Keeps the donors with the smallest distances, in order. */
static void keep_nearest(struct regional_similar *similar, double *distances, size_t donor,
                         double distance) {
    size_t at = similar->donor_count;
    while (at > 0 && distance < distances[at - 1]) {
        at--;
    }
    for (size_t i = similar->donor_count; i > at; i--) {
        if (i < REGIONAL_SIMILAR) {
            similar->donors[i] = similar->donors[i - 1];
            distances[i] = distances[i - 1];
        }
    }
    if (at < REGIONAL_SIMILAR) {
        similar->donors[at] = donor;
        distances[at] = distance;
        similar->donor_count += similar->donor_count < REGIONAL_SIMILAR ? 1 : 0;
    }
}

static int find_similar(const struct calibrate_data *data, const struct gr_parameters *donors,
                        size_t count, size_t from, double *room_mm,
                        struct regional_similar *similar, struct err *ret_err) {
    double steps_day = data->step == GR_DAILY ? 1 : 24, steps_year = 365.25 * steps_day;
    double distances[REGIONAL_SIMILAR];
    if (isnan(similar->runoff_mm_year)) {
        similar->runoff_mm_year = turc_mezentsev(data, from, steps_year);
    }
    for (size_t i = 0; i < count; i++) {
        size_t known = 0;
        calibrate_simulate(data, &donors[i], room_mm);
        double runoff_mm = mean_mm_year(room_mm, from, data->count, steps_year, &known);
        if ((double)known < REGIONAL_DAYS_MIN * steps_day) {
            return err_set(ret_err, ERR_INVALID,
                           "%.1f days of known rain and evaporation after the warm-up; at least %d "
                           "are needed to compare donors",
                           (double)known / steps_day, REGIONAL_DAYS_MIN);
        }
        if (runoff_mm > 0 && similar->runoff_mm_year > 0) {
            keep_nearest(similar, distances, i, fabs(log(runoff_mm / similar->runoff_mm_year)));
        }
    }
    return similar->donor_count > 0
               ? 0
               : err_set(ret_err, ERR_INVALID,
                         "an expected runoff of %.4g mm a year, and no donor that gives any",
                         similar->runoff_mm_year);
}

/* The mean of the donors' runoff; unknown where one of them is. */
static void average(const struct calibrate_data *data, const struct gr_parameters *donors,
                    const struct regional_similar *similar, double *room_mm, double *ret_mean_mm) {
    for (size_t t = 0; t < data->count; t++) {
        ret_mean_mm[t] = 0;
    }
    for (size_t i = 0; i < similar->donor_count; i++) {
        calibrate_simulate(data, &donors[similar->donors[i]], room_mm);
        for (size_t t = 0; t < data->count; t++) {
            ret_mean_mm[t] += room_mm[t] / (double)similar->donor_count;
        }
    }
}

int regional_similar(const struct calibrate_data *data, const struct gr_parameters *donors,
                     size_t count, size_t from, double runoff_mm_year,
                     struct regional_similar *ret_similar, struct err *ret_err) {
    struct regional_similar similar = {.runoff_mm_year = runoff_mm_year};
    struct search_result result;
    double *room_mm = malloc((data->count + 1) * sizeof *room_mm);
    double *mean_mm = malloc((data->count + 1) * sizeof *mean_mm);
    int rc = room_mm == NULL || mean_mm == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu steps", data->count)
                 : find_similar(data, donors, count, from, room_mm, &similar, ret_err);
    if (rc == 0 && similar.donor_count == 1) {
        similar.parameters = donors[similar.donors[0]];
        similar.fit_nse = 1;
    } else if (rc == 0) {
        struct calibrate_data mean = *data;
        const struct calibrate_options options = {.objective = CALIBRATE_NSE,
                                                  .from = from,
                                                  .to = data->count,
                                                  .restarts = 1,
                                                  .threads = 1,
                                                  .seed = 1};
        average(data, donors, &similar, room_mm, mean_mm);
        mean.observed_mm = mean_mm;
        rc = calibrate_gr(&mean, &options, &similar.parameters, &result, ret_err);
        similar.fit_nse = rc == 0 ? result.score : NAN;
    }
    free(room_mm);
    free(mean_mm);
    if (rc == 0) {
        *ret_similar = similar;
    }
    return rc;
}
