#include "models/nowcast/score.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const float score_threshold_mm_h[SCORE_THRESHOLDS] = {0.1F, 1.0F, 5.0F};
const double score_scale_km[SCORE_SCALES] = {5.0, 10.0, 20.0};

static bool is_scored(float forecast, float observed) {
    return !isnan(forecast) && !isnan(observed);
}

/* ---- fractions ---- */

struct fractions {
    int nx;
    int ny;
    const unsigned char *forecast; /* 1 where the event is forecast */
    const unsigned char *observed;
    int *column_forecast; /* events in the column of the box, [nx] */
    int *column_observed;
};

static void add_row(const struct fractions *f, int y, int sign) {
    if (y < 0 || y >= f->ny) {
        return;
    }
    const unsigned char *forecast = f->forecast + (size_t)y * (size_t)f->nx;
    const unsigned char *observed = f->observed + (size_t)y * (size_t)f->nx;
    for (int x = 0; x < f->nx; x++) {
        f->column_forecast[x] += sign * forecast[x];
        f->column_observed[x] += sign * observed[x];
    }
}

/* Sums over all n x n boxes centred on the pixels of the grid. Counts are whole numbers, so the
 * sums are exact as long as they stay below 2^53. */
static void sum_fractions(const struct fractions *f, int n, double *ret_difference,
                          double *ret_reference) {
    int half = n / 2;
    int64_t difference = 0;
    int64_t reference = 0;
    memset(f->column_forecast, 0, (size_t)f->nx * sizeof(int));
    memset(f->column_observed, 0, (size_t)f->nx * sizeof(int));
    for (int y = 0; y < half; y++) {
        add_row(f, y, 1);
    }
    for (int y = 0; y < f->ny; y++) {
        add_row(f, y + half, 1);
        add_row(f, y - half - 1, -1);
        int forecast = 0;
        int observed = 0;
        for (int x = 0; x < half && x < f->nx; x++) {
            forecast += f->column_forecast[x];
            observed += f->column_observed[x];
        }
        for (int x = 0; x < f->nx; x++) {
            if (x + half < f->nx) {
                forecast += f->column_forecast[x + half];
                observed += f->column_observed[x + half];
            }
            if (x - half - 1 >= 0) {
                forecast -= f->column_forecast[x - half - 1];
                observed -= f->column_observed[x - half - 1];
            }
            int64_t d = (int64_t)forecast - observed;
            difference += d * d;
            reference += (int64_t)forecast * forecast + (int64_t)observed * observed;
        }
    }
    double box = (double)n * n;
    *ret_difference = (double)difference / (box * box);
    *ret_reference = (double)reference / (box * box);
}

static int box_side(double scale_km, double pixel_km, int nx, int ny) {
    double pixels = scale_km / pixel_km;
    int longest = 2 * (nx > ny ? nx : ny) + 1;
    if (!(pixels < (double)longest)) {
        return longest;
    }
    return 2 * (int)floor(pixels / 2.0) +
           1; /* of two odd neighbours at the same distance, the larger */
}

/* ---- deterministic ---- */

static void add_counts(struct score *score, const float *forecast, const float *observed,
                       size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!is_scored(forecast[i], observed[i])) {
            continue;
        }
        score->pixels++;
        score->abs_error_sum += fabs((double)forecast[i] - (double)observed[i]);
        for (int t = 0; t < SCORE_THRESHOLDS; t++) {
            bool said = forecast[i] >= score_threshold_mm_h[t];
            bool fell = observed[i] >= score_threshold_mm_h[t];
            score->hits[t] += said && fell;
            score->misses[t] += !said && fell;
            score->false_alarms[t] += said && !fell;
        }
    }
}

int score_add(struct score *score, const float *forecast, const float *observed, int nx, int ny,
              double pixel_km) {
    size_t count = (size_t)nx * (size_t)ny;
    unsigned char *events = malloc(2 * count);
    int *columns = malloc(2 * (size_t)nx * sizeof *columns);
    if (events == NULL || columns == NULL) {
        free(events);
        free(columns);
        return ERR_MEMORY;
    }
    add_counts(score, forecast, observed, count);
    struct fractions f = {nx, ny, events, events + count, columns, columns + nx};
    for (int t = 0; t < SCORE_THRESHOLDS; t++) {
        for (size_t i = 0; i < count; i++) {
            bool scored = is_scored(forecast[i], observed[i]);
            events[i] = scored && forecast[i] >= score_threshold_mm_h[t];
            events[count + i] = scored && observed[i] >= score_threshold_mm_h[t];
        }
        for (int s = 0; s < SCORE_SCALES; s++) {
            double difference;
            double reference;
            sum_fractions(&f, box_side(score_scale_km[s], pixel_km, nx, ny), &difference,
                          &reference);
            score->fss_difference[t][s] += difference;
            score->fss_reference[t][s] += reference;
        }
    }
    free(events);
    free(columns);
    return ERR_OK;
}

/* ---- ensembles ---- */

static int compare_floats(const void *left, const void *right) {
    float a = *(const float *)left;
    float b = *(const float *)right;
    return (a > b) - (a < b);
}

/* Integral of (F(x) - [x >= observed])^2, F the step function of the sorted members. */
static double crps_of(const float *sorted, int count, double observed) {
    double sum = 0.0;
    for (int i = 0; i + 1 < count; i++) {
        double low = (double)sorted[i];
        double high = (double)sorted[i + 1];
        double p = (double)(i + 1) / count;
        double split = observed < low ? low : (observed > high ? high : observed);
        sum += (split - low) * p * p + (high - split) * (1.0 - p) * (1.0 - p);
    }
    double first = (double)sorted[0];
    double last = (double)sorted[count - 1];
    sum += observed < first ? first - observed : 0.0;
    sum += observed > last ? observed - last : 0.0;
    return sum;
}

void score_add_ensemble(struct score *score, float *members, int count, float observed) {
    bool missing = isnan(observed) || count < 1;
    for (int m = 0; m < count && !missing; m++) {
        missing = isnan(members[m]);
    }
    if (missing) {
        return;
    }
    qsort(members, (size_t)count, sizeof *members, compare_floats);
    score->ensemble_pixels++;
    score->crps_sum += crps_of(members, count, (double)observed);
    for (int t = 0; t < SCORE_THRESHOLDS; t++) {
        int above = 0;
        for (int m = 0; m < count; m++) {
            above += members[m] >= score_threshold_mm_h[t];
        }
        bool fell = observed >= score_threshold_mm_h[t];
        double p = (double)above / count;
        double error = p - (fell ? 1.0 : 0.0);
        int bin = (int)(p * (SCORE_BINS - 1) + 0.5);
        score->brier_sum[t] += error * error;
        score->bin_forecasts[t][bin]++;
        score->bin_events[t][bin] += fell;
    }
}

/* ---- ratios ---- */

static double ratio(double part, double whole) {
    return whole > 0.0 ? part / whole : (double)NAN;
}

double score_mae(const struct score *score) {
    return ratio(score->abs_error_sum, (double)score->pixels);
}

double score_csi(const struct score *score, int t) {
    return ratio((double)score->hits[t],
                 (double)(score->hits[t] + score->misses[t] + score->false_alarms[t]));
}

double score_pod(const struct score *score, int t) {
    return ratio((double)score->hits[t], (double)(score->hits[t] + score->misses[t]));
}

double score_far(const struct score *score, int t) {
    return ratio((double)score->false_alarms[t], (double)(score->hits[t] + score->false_alarms[t]));
}

double score_fss(const struct score *score, int t, int s) {
    return 1.0 - ratio(score->fss_difference[t][s], score->fss_reference[t][s]);
}

double score_crps(const struct score *score) {
    return ratio(score->crps_sum, (double)score->ensemble_pixels);
}

double score_brier(const struct score *score, int t) {
    return ratio(score->brier_sum[t], (double)score->ensemble_pixels);
}

double score_reliability(const struct score *score, int t) {
    double sum = 0.0;
    for (int b = 0; b < SCORE_BINS; b++) {
        double forecasts = (double)score->bin_forecasts[t][b];
        if (forecasts > 0.0) {
            double gap = (double)b / (SCORE_BINS - 1) - (double)score->bin_events[t][b] / forecasts;
            sum += forecasts * gap * gap;
        }
    }
    return ratio(sum, (double)score->ensemble_pixels);
}

double score_roc_area(const struct score *score, int t) {
    double events = 0.0;
    double others = 0.0;
    for (int b = 0; b < SCORE_BINS; b++) {
        events += (double)score->bin_events[t][b];
        others += (double)(score->bin_forecasts[t][b] - score->bin_events[t][b]);
    }
    double area = 0.0;
    double hits = 0.0;
    for (int b = SCORE_BINS - 1; b >= 0; b--) {
        double more = (double)score->bin_events[t][b];
        double wrong = (double)(score->bin_forecasts[t][b] - score->bin_events[t][b]);
        area += wrong * (hits + 0.5 * more);
        hits += more;
    }
    return events > 0.0 && others > 0.0 ? area / (events * others) : (double)NAN;
}
