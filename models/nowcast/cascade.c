#include "models/nowcast/cascade.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 3, RINGS_PER_WAVE = 2 };

static const float rain_min_mm_h = 0.1F;
static const float dry_dbr = -15.0F;
static const float threshold_db = 5.0F; /* of the least rain, above the dry value */
static const double band_width = 0.5;   /* of the Gaussians, in log_q of the wavenumber */
static const double tukey_share = 0.2;  /* of the side, tapered */
/* Below 1 only for Yule-Walker's sake: the broadest band of steady rain has 0.9999 from frame to
 * frame, and a lower limit would make it forget within the hour. */
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

/* Radial wavenumber of a point, in waves per side: on a grid that is longer one way the bands are
 * as much longer that way. (With waves per length instead S-PROG scores up to 0.004 less in CSI at
 * 1 mm/h on the oblong Finnish grid, at all leads of 5 to 90 min.) */
static double radius_of(const struct cascade *cascade, size_t point) {
    double ky = (double)(point / (size_t)cascade->columns);
    double kx = (double)(point % (size_t)cascade->columns);
    return hypot(kx, ky > 0.5 * cascade->ny ? ky - cascade->ny : ky);
}

/* Weights of the bands at a wavenumber > 0; their sum is 1. */
static void band_weights(const struct cascade *cascade, double radius, float *ret_weights) {
    double longest = cascade->nx > cascade->ny ? cascade->nx : cascade->ny;
    double log_q = log(0.5 * longest) / CASCADE_BANDS;
    double weight[CASCADE_BANDS];
    double sum = 0.0;
    for (int j = 0; j < CASCADE_BANDS; j++) {
        double centre = log(0.5 * (exp(log_q * j) + exp(log_q * (j + 1)))) / log_q;
        double distance = (log(radius) / log_q - centre) / band_width;
        weight[j] = exp(-0.5 * distance * distance);
        sum += weight[j];
    }
    for (int j = 0; j < CASCADE_BANDS; j++) {
        ret_weights[j] = (float)(weight[j] / sum);
    }
}

/* Ring 0 is the mean alone. */
static void find_rings(struct cascade *cascade) {
    for (size_t i = 0; i < cascade->points; i++) {
        cascade->ring[i] = (uint16_t)lround(RINGS_PER_WAVE * radius_of(cascade, i));
    }
    for (size_t r = 1; r < cascade->rings; r++) {
        band_weights(cascade, (double)r / RINGS_PER_WAVE, cascade->weights[r]);
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
        const float *weights = cascade->weights[cascade->ring[i]];
        double times = multiplicity(cascade, i);
        for (int j = 0; j < CASCADE_BANDS; j++) {
            double w = (double)(weights[j] * weights[j]) * times;
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

struct ar2 {
    double phi1;
    double phi2;
};

/* Yule-Walker. */
static struct ar2 ar2_of(double rho1, double rho2) {
    double rest = 1.0 - rho1 * rho1;
    return (struct ar2){rho1 * (1.0 - rho2) / rest, (rho2 - rho1 * rho1) / rest};
}

static void find_processes(struct cascade *cascade) {
    for (size_t r = 1; r < cascade->rings; r++) {
        double rho1 = 0.0;
        double rho2 = 0.0;
        for (int j = 0; j < CASCADE_BANDS; j++) {
            rho1 += (double)cascade->weights[r][j] * cascade->rho1[j];
            rho2 += (double)cascade->weights[r][j] * cascade->rho2[j];
        }
        rho2 = limit_rho2(rho1, rho2);
        struct ar2 process = ar2_of(rho1, rho2);
        double rest = 1.0 - process.phi1 * rho1 - process.phi2 * rho2;
        cascade->process[r] =
            (struct cascade_noise){(float)process.phi1, (float)process.phi2,
                                   (float)sqrt(rest > 0.0 ? rest : 0.0), (float)rho1};
    }
}

/* Brings the noise to the variance of the field, band by band. */
static void find_noise_level(const struct analysis *a, const struct band_sums *sums,
                             struct cascade *cascade) {
    double gain[CASCADE_BANDS];
    for (int j = 0; j < CASCADE_BANDS; j++) {
        gain[j] = sums[j].noise > 0.0 ? sqrt(sums[j].power[a->count - 1] / sums[j].noise) : 0.0;
    }
    for (size_t i = 0; i < cascade->points; i++) {
        double level = 0.0;
        for (int j = 0; j < CASCADE_BANDS; j++) {
            level += (double)cascade->weights[cascade->ring[i]][j] * gain[j];
        }
        cascade->noise[i] = (float)(level * (double)a->noise[i]);
    }
}

/* Weights of X(0) and of X(-1) in what a band foresees, [now and one step before that]. */
struct foresight {
    double now[2];
    double before[2];
};

struct grown {
    double impulse[2]; /* answer of the noise process to a single innovation */
    double variance;   /* so far */
};

static void step_forward(struct ar2 process, double *parts) {
    double next = process.phi1 * parts[0] + process.phi2 * parts[1];
    parts[1] = parts[0];
    parts[0] = next;
}

static void grow(const struct cascade_noise *noise, struct grown *grown) {
    grown->variance += grown->impulse[0] * grown->impulse[0];
    step_forward((struct ar2){(double)noise->phi1, (double)noise->phi2}, grown->impulse);
}

static struct cascade_share share_of(const struct cascade *cascade, size_t ring,
                                     const struct foresight *bands, const struct grown *grown) {
    double now = ring == 0 ? 1.0 : 0.0; /* the mean stays */
    double before = 0.0;
    for (int j = 0; j < CASCADE_BANDS; j++) {
        now += (double)cascade->weights[ring][j] * bands[j].now[0];
        before += (double)cascade->weights[ring][j] * bands[j].before[0];
    }
    double foreseen =
        now * now + before * before + 2.0 * now * before * (double)cascade->process[ring].rho1;
    double rest =
        foreseen < 1.0 && grown->variance > 0.0 ? (1.0 - foreseen) / grown->variance : 0.0;
    return (struct cascade_share){(float)now, (float)before, (float)sqrt(rest)};
}

int cascade_shares(const struct cascade *cascade, int first, int count,
                   struct cascade_share *ret_shares) {
    struct foresight bands[CASCADE_BANDS];
    struct grown *grown = calloc(cascade->rings, sizeof *grown);
    if (grown == NULL) {
        return ERR_MEMORY;
    }
    for (int j = 0; j < CASCADE_BANDS; j++) {
        bands[j] = (struct foresight){.now = {1.0, 0.0}, .before = {0.0, 1.0}};
    }
    for (size_t r = 0; r < cascade->rings; r++) {
        grown[r].impulse[0] = (double)cascade->process[r].innovation;
    }
    for (int n = 1; n < first + count; n++) {
        for (int j = 0; j < CASCADE_BANDS; j++) {
            struct ar2 process = ar2_of(cascade->rho1[j], cascade->rho2[j]);
            step_forward(process, bands[j].now);
            step_forward(process, bands[j].before);
        }
        for (size_t r = 0; r < cascade->rings; r++) {
            grow(&cascade->process[r], &grown[r]);
        }
        for (size_t r = 0; n >= first && r < cascade->rings; r++) {
            ret_shares[(size_t)(n - first) * cascade->rings + r] =
                share_of(cascade, r, bands, &grown[r]);
        }
    }
    free(grown);
    return ERR_OK;
}

static int analyse(struct analysis *a, const double *lag_steps, struct cascade *cascade) {
    struct band_sums sums[CASCADE_BANDS] = {0};
    int last = a->count - 2;
    find_rings(cascade);
    find_noise(a, cascade, a->spectrum[0]);
    for (int f = 0; f < a->count; f++) {
        transform_frame(a, cascade, f, a->spectrum[f]);
    }
    sum_bands(a, cascade, sums);
    find_correlations(a, sums, lag_steps, cascade);
    find_processes(cascade);
    find_noise_level(a, sums, cascade);
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
    /* No wavenumber is larger than half a diagonal of a square of the longest side. */
    int longest = cascade.nx > cascade.ny ? cascade.nx : cascade.ny;
    cascade.rings = (size_t)(0.7072 * longest * RINGS_PER_WAVE) + 2;
    cascade.noise = malloc(cascade.points * sizeof *cascade.noise);
    cascade.ring = malloc(cascade.points * sizeof *cascade.ring);
    cascade.weights = calloc(cascade.rings, sizeof *cascade.weights);
    cascade.process = calloc(cascade.rings, sizeof *cascade.process);
    int complete = a.box != NULL && a.noise != NULL && cascade.noise != NULL &&
                   cascade.ring != NULL && cascade.weights != NULL && cascade.process != NULL;
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
    free(cascade->noise);
    free(cascade->ring);
    free(cascade->weights);
    free(cascade->process);
    *cascade = (struct cascade){0};
}
