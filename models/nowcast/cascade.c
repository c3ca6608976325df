#include "models/nowcast/cascade.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 3 };

static const float rain_min_mm_h = 0.1F;
static const float dry_dbr = -15.0F;
static const float threshold_db = 5.0F; /* of the least rain, above the dry value */
static const double band_width = 0.5;  /* of the Gaussians, in log_q of the wavenumber */
static const double tukey_share = 0.2; /* of the side, tapered */
static const double correlation_max = 0.999999;
static const double pi = 3.14159265358979323846;

struct analysis {
    struct fft2 *fft;
    int nx; /* of the frames */
    int ny;
    int count;
    const float *const *frames;
    float *box;
    struct fft2_value *spectrum[FRAMES_MAX]; /* oldest first */
    float *noise;                            /* amplitude, [points] */
};

/* ---- bands ---- */

/* Radial wavenumber of a point, in waves per longer side of the box. */
static double radius_of(const struct cascade *cascade, size_t point) {
    double ky = (double)(point / (size_t)cascade->columns);
    double kx = (double)(point % (size_t)cascade->columns);
    double longest = cascade->nx > cascade->ny ? cascade->nx : cascade->ny;
    ky = ky > 0.5 * cascade->ny ? ky - cascade->ny : ky;
    return hypot(kx * longest / cascade->nx, ky * longest / cascade->ny);
}

/* Weights of the bands at a wavenumber > 0; their sum is 1. */
static void band_weights(const struct cascade *cascade, double radius, double *ret_weights) {
    double longest = cascade->nx > cascade->ny ? cascade->nx : cascade->ny;
    double log_q = log(0.5 * longest) / CASCADE_BANDS;
    double sum = 0.0;
    for (int j = 0; j < CASCADE_BANDS; j++) {
        double centre = log(0.5 * (exp(log_q * j) + exp(log_q * (j + 1)))) / log_q;
        double distance = (log(radius) / log_q - centre) / band_width;
        ret_weights[j] = exp(-0.5 * distance * distance);
        sum += ret_weights[j];
    }
    for (int j = 0; j < CASCADE_BANDS; j++) {
        ret_weights[j] /= sum;
    }
}

/* A point inside the half spectrum stands for itself and its mirror image. */
static double multiplicity(const struct cascade *cascade, size_t point) {
    int kx = (int)(point % (size_t)cascade->columns);
    return kx == 0 || kx == cascade->columns - 1 ? 1.0 : 2.0;
}

/* ---- fields ---- */

void cascade_field(const float *rates, size_t pixels, float *ret_field) {
    for (size_t i = 0; i < pixels; i++) {
        float dry = isnan(rates[i]) ? NAN : 0.0F;
        ret_field[i] = rates[i] >= rain_min_mm_h ? 10.0F * log10f(rates[i]) - dry_dbr : dry;
    }
}

/* Without the step between rain and no rain. */
static float above_threshold(float field) {
    return field > threshold_db ? field - threshold_db : 0.0F;
}

/* Lays a frame into the box, transforms it. Missing is 0, as dry. */
static void transform_frame(struct analysis *a, const struct cascade *cascade, int frame,
                            struct fft2_value *ret_spectrum) {

    memset(a->box, 0, (size_t)cascade->nx * (size_t)cascade->ny * sizeof *a->box);
    for (int y = 0; y < a->ny; y++) {
        for (int x = 0; x < a->nx; x++) {
            size_t i = (size_t)y * (size_t)a->nx + (size_t)x;
            float value = a->frames[frame][i];
            a->box[(size_t)y * (size_t)cascade->nx + (size_t)x] = isnan(value) ? 0.0F : value;
        }
    }
    fft2_forward(a->fft, a->box, ret_spectrum);
}

static float tukey(int i, int n) {
    double edge = 0.5 * tukey_share * n;
    double from_rim = i < n - 1 - i ? i : n - 1 - i;
    return from_rim >= edge ? 1.0F : (float)(0.5 - 0.5 * cos(pi * from_rim / edge));
}

/* Amplitude of the mean spectrum of all frames, without the step between rain and no rain. The sum
 * of transforms is the transform of the sum. */
static void find_noise(struct analysis *a, const struct cascade *cascade,
                       struct fft2_value *scratch) {
    memset(a->box, 0, (size_t)cascade->nx * (size_t)cascade->ny * sizeof *a->box);
    for (int y = 0; y < a->ny; y++) {
        for (int x = 0; x < a->nx; x++) {
            float sum = 0.0F;
            for (int f = 0; f < a->count; f++) {
                sum += above_threshold(a->frames[f][(size_t)y * (size_t)a->nx + (size_t)x]);
            }
            a->box[(size_t)y * (size_t)cascade->nx + (size_t)x] =
                sum * tukey(x, a->nx) * tukey(y, a->ny);
        }
    }
    fft2_forward(a->fft, a->box, scratch);
    for (size_t i = 0; i < cascade->points; i++) {
        a->noise[i] = hypotf(scratch[i].re, scratch[i].im);
    }
}

/* ---- the process ---- */

struct band_sums {
    double power[FRAMES_MAX]; /* of each frame */
    double with_newest[FRAMES_MAX];
    double noise;
};

static void sum_bands(const struct analysis *a, const struct cascade *cascade,
                      struct band_sums *ret_sums) {
    const struct fft2_value *newest = a->spectrum[a->count - 1];
    for (size_t i = 1; i < cascade->points; i++) {
        double weights[CASCADE_BANDS];
        band_weights(cascade, radius_of(cascade, i), weights);
        double times = multiplicity(cascade, i);
        for (int j = 0; j < CASCADE_BANDS; j++) {
            double w = weights[j] * weights[j] * times;
            for (int f = 0; f < a->count; f++) {
                struct fft2_value v = a->spectrum[f][i];
                ret_sums[j].power[f] += w * (double)(v.re * v.re + v.im * v.im);
                ret_sums[j].with_newest[f] +=
                    w * (double)(v.re * newest[i].re + v.im * newest[i].im);
            }
            ret_sums[j].noise += w * (double)a->noise[i] * (double)a->noise[i];
        }
    }
}

static double correlation(const struct band_sums *sums, int frame, int newest) {
    double power = sums->power[frame] * sums->power[newest];
    return power > 0.0 ? sums->with_newest[frame] / sqrt(power) : 0.0;
}

/* Keeps an AR(2) process stationary and free of oscillation: real roots of its polynomial. */
static double limit_rho2(double rho1, double rho2) {
    if (rho1 <= 0.0) {
        return 0.0;
    }
    double square = rho1 * rho1;
    double least = (3.0 * square - 2.0 + 2.0 * pow(1.0 - square, 1.5)) / square;
    rho2 = fmax(rho2, fmax(least, 2.0 * square - 1.0));
    return fmin(rho2, rho1);
}

static void find_correlations(const struct analysis *a, const struct band_sums *sums,
                              const double *lag_steps, struct cascade *cascade) {
    int newest = a->count - 1;
    int last = newest - 1;
    for (int j = 0; j < CASCADE_BANDS; j++) {
        double rho1 = fmax(correlation(&sums[j], last, newest), 0.0);
        rho1 = fmin(pow(rho1, 1.0 / lag_steps[last]), correlation_max);
        double rho2 = rho1 * rho1; /* first order */
        if (newest == 2 && fabs(lag_steps[1] - 1.0) < 0.01 && fabs(lag_steps[0] - 2.0) < 0.01) {
            rho2 = correlation(&sums[j], 0, newest);
        }
        cascade->rho1[j] = rho1;
        cascade->rho2[j] = limit_rho2(rho1, rho2);
    }
}

static void find_coefficients(const struct analysis *a, const struct band_sums *sums,
                              struct cascade *cascade) {
    cascade->phi1[0] = 1.0F; /* the mean stays */
    cascade->phi2[0] = 0.0F;
    cascade->innovation[0] = 0.0F;
    for (size_t i = 1; i < cascade->points; i++) {
        double weights[CASCADE_BANDS];
        double rho1 = 0.0;
        double rho2 = 0.0;
        double gain = 0.0; /* brings the noise to the variance of the field, band by band */
        band_weights(cascade, radius_of(cascade, i), weights);
        for (int j = 0; j < CASCADE_BANDS; j++) {
            rho1 += weights[j] * cascade->rho1[j];
            rho2 += weights[j] * cascade->rho2[j];
            gain += sums[j].noise > 0.0
                        ? weights[j] * sqrt(sums[j].power[a->count - 1] / sums[j].noise)
                        : 0.0;
        }
        rho2 = limit_rho2(rho1, rho2);
        double phi1 = rho1 * (1.0 - rho2) / (1.0 - rho1 * rho1);
        double phi2 = (rho2 - rho1 * rho1) / (1.0 - rho1 * rho1);
        double rest = 1.0 - phi1 * rho1 - phi2 * rho2;
        cascade->phi1[i] = (float)phi1;
        cascade->phi2[i] = (float)phi2;
        cascade->innovation[i] =
            (float)(sqrt(rest > 0.0 ? rest : 0.0) * gain * (double)a->noise[i]);
    }
}

static int analyse(struct analysis *a, const double *lag_steps, struct cascade *cascade) {
    struct band_sums sums[CASCADE_BANDS] = {0};
    int last = a->count - 2;
    find_noise(a, cascade, a->spectrum[0]);
    for (int f = 0; f < a->count; f++) {
        transform_frame(a, cascade, f, a->spectrum[f]);
    }
    sum_bands(a, cascade, sums);
    find_correlations(a, sums, lag_steps, cascade);
    find_coefficients(a, sums, cascade);
    cascade->now = a->spectrum[a->count - 1];
    a->spectrum[a->count - 1] = NULL;
    cascade->before = a->spectrum[last];
    a->spectrum[last] = NULL;
    return ERR_OK;
}

int cascade_init(struct fft2 *fft, const float *const *frames, const double *lag_steps, int count,
                 int nx, int ny, struct cascade *ret_cascade) {
    struct cascade cascade = {.nx = fft2_nx(fft), .ny = fft2_ny(fft), .columns = fft2_columns(fft)};
    cascade.points = (size_t)cascade.ny * (size_t)cascade.columns;
    struct analysis a = {.fft = fft, .nx = nx, .ny = ny, .count = count, .frames = frames};
    int result = ERR_MEMORY;
    if (count < 2 || count > FRAMES_MAX) {
        return ERR_INVALID;
    }
    a.box = malloc((size_t)cascade.nx * (size_t)cascade.ny * sizeof *a.box);
    a.noise = malloc(cascade.points * sizeof *a.noise);
    cascade.phi1 = malloc(cascade.points * sizeof *cascade.phi1);
    cascade.phi2 = malloc(cascade.points * sizeof *cascade.phi2);
    cascade.innovation = malloc(cascade.points * sizeof *cascade.innovation);
    int complete = a.box != NULL && a.noise != NULL && cascade.phi1 != NULL &&
                   cascade.phi2 != NULL && cascade.innovation != NULL;
    for (int f = 0; f < count; f++) {
        a.spectrum[f] = malloc(cascade.points * sizeof *a.spectrum[f]);
        complete = complete && a.spectrum[f] != NULL;
    }
    if (complete) {
        result = analyse(&a, lag_steps, &cascade);
    }
    free(a.box);
    free(a.noise);
    for (int f = 0; f < count; f++) {
        free(a.spectrum[f]);
    }
    if (result != ERR_OK) {
        cascade_finish(&cascade);
        return result;
    }
    *ret_cascade = cascade;
    return ERR_OK;
}

void cascade_finish(struct cascade *cascade) {
    if (cascade == NULL) {
        return;
    }
    free(cascade->now);
    free(cascade->before);
    free(cascade->phi1);
    free(cascade->phi2);
    free(cascade->innovation);
    *cascade = (struct cascade){0};
}
