#include "models/nowcast/ensemble.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "models/nowcast/advect.h"
#include "models/nowcast/cascade.h"
#include "models/nowcast/parallel.h"

enum { RANK_BINS = 65536, RIM_PX = 10, FRAMES_USED = 3 };
enum { GROUP_PIXELS_MAX = 1200000 };

static const float rain_min_mm_h = 0.1F;
static const double two_pi = 6.28318530717958647692;

/* Spread of the motion in km/h, a t^b + c with t in minutes, along and across (Bowler et al. 2006).
 */
static const double spread_along[] = {10.88, 0.23, -7.68};
static const double spread_across[] = {5.76, 0.31, -2.72};

struct ensemble {
    int nx;
    int ny;
    size_t pixels;
    double pixel_km;
    double step_min;
    struct motion motion; /* own copy */
    struct cascade cascade;
    float *newest; /* rate, [pixels] */
    float *wet;    /* wet rates of the newest frame, falling */
    size_t wet_count;
};

/* ---- random numbers ---- */

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

/* The number at a position of the stream of a key (splitmix64: Steele et al. 2014). */
static uint64_t random_at(uint64_t key, uint64_t position) {
    return mix(key + (position + 1) * 0x9E3779B97F4A7C15U);
}

static uint64_t key_of(uint64_t seed, int member, int step) {
    return random_at(random_at(mix(seed), (uint64_t)member), (uint64_t)step);
}

/* Uniform in (0, 1). */
static double unit(uint64_t bits) {
    return ((double)(bits >> 11) + 0.5) / 9007199254740992.0;
}

/* Laplace with scale 1 / sqrt(2), so of unit variance. */
static double laplace(uint64_t bits) {
    double u = unit(bits) - 0.5;
    double size = -log(1.0 - 2.0 * fabs(u)) / sqrt(2.0);
    return u < 0.0 ? -size : size;
}

/* ---- one member ---- */

struct worker {
    struct fft2 *fft;
    struct fft2_value *noise; /* and a step before */
    struct fft2_value *noise_before;
    struct fft2_value *work;
    float *box;
    float *rate;             /* at the place of the newest frame */
    float *forecast;         /* where it goes */
    unsigned char *distance; /* to rain, px, up to 255 */
    uint32_t *bins;
    struct displacement displacement;
    struct motion motion; /* perturbed */
    double along;         /* the member's two numbers */
    double across;
};

static void worker_finish(struct worker *w) {
    fft2_destroy(w->fft);
    free(w->noise);
    free(w->noise_before);
    free(w->work);
    free(w->box);
    free(w->rate);
    free(w->forecast);
    free(w->distance);
    free(w->bins);
    displacement_finish(&w->displacement);
    motion_finish(&w->motion);
    *w = (struct worker){0};
}

static int worker_init(const struct ensemble *e, struct worker *ret_worker) {
    struct worker w = {0};
    size_t spectrum = e->cascade.points * sizeof *w.noise;
    w.noise = malloc(spectrum);
    w.noise_before = malloc(spectrum);
    w.work = malloc(spectrum);
    w.box = malloc((size_t)e->cascade.nx * (size_t)e->cascade.ny * sizeof *w.box);
    w.rate = malloc(e->pixels * sizeof *w.rate);
    w.forecast = malloc(e->pixels * sizeof *w.forecast);
    w.distance = malloc(e->pixels);
    w.bins = malloc(RANK_BINS * sizeof *w.bins);
    if (w.noise == NULL || w.noise_before == NULL || w.work == NULL || w.box == NULL ||
        w.rate == NULL || w.forecast == NULL || w.distance == NULL || w.bins == NULL ||
        fft2_create(e->nx, e->ny, &w.fft) != ERR_OK ||
        displacement_init(&e->motion, &w.displacement) != ERR_OK ||
        motion_init_zero(e->nx, e->ny, e->motion.source, &w.motion) != ERR_OK) {
        worker_finish(&w);
        return ERR_MEMORY;
    }
    *ret_worker = w;
    return ERR_OK;
}

static void start_member(const struct ensemble *e, const struct ensemble_run *run, int member,
                         struct worker *w) {
    size_t nodes = (size_t)e->motion.nodes_x * (size_t)e->motion.nodes_y;
    /* Members come in pairs of opposite motion: the mean motion of an ensemble is then that of the
     * rain, whatever the seed. */
    uint64_t key = key_of(run->seed, member / 2, -1);
    double sign = member % 2 == 0 ? 1.0 : -1.0;
    w->along = run->members > 0 ? sign * laplace(random_at(key, 0)) : 0.0;
    w->across = run->members > 0 ? sign * laplace(random_at(key, 1)) : 0.0;
    memset(w->noise, 0, e->cascade.points * sizeof *w->noise);
    memset(w->noise_before, 0, e->cascade.points * sizeof *w->noise_before);
    memcpy(w->rate, e->newest, e->pixels * sizeof *w->rate);
    memset(w->displacement.dx, 0, nodes * sizeof *w->displacement.dx);
    memset(w->displacement.dy, 0, nodes * sizeof *w->displacement.dy);
}

/* One step of the noise; the positions of the random numbers are the points of the half spectrum.
 */
static void step_noise(const struct cascade *c, uint64_t key, struct worker *w) {
    for (size_t i = 0; i < c->points; i++) {
        const struct cascade_noise *process = &c->process[c->ring[i]];
        uint64_t bits = random_at(key, i);
        float u = ((float)(uint32_t)(bits >> 40) + 0.5F) / 16777216.0F;
        float angle = (float)(two_pi / 16777216.0) * (float)(uint32_t)((bits >> 8) & 0xFFFFFF);
        /* complex, mean square 1 */
        float size = process->innovation * c->noise[i] * sqrtf(-logf(u));
        struct fft2_value next = {process->phi1 * w->noise[i].re +
                                      process->phi2 * w->noise_before[i].re + size * cosf(angle),
                                  process->phi1 * w->noise[i].im +
                                      process->phi2 * w->noise_before[i].im + size * sinf(angle)};
        w->noise_before[i] = w->noise[i];
        w->noise[i] = next;
    }
}

/* What is foreseen and what is not, added up in w->work. */
static void add_up(const struct cascade *c, const struct cascade_share *shares, struct worker *w) {
    for (size_t i = 0; i < c->points; i++) {
        struct cascade_share share = shares[c->ring[i]];
        w->work[i].re = share.now * c->now[i].re + share.before * c->before[i].re +
                        share.spread * w->noise[i].re;
        w->work[i].im = share.now * c->now[i].im + share.before * c->before[i].im +
                        share.spread * w->noise[i].im;
    }
}

/* City-block distance of every pixel to the nearest wet one, at most 255. */
static void find_distances(const struct ensemble *e, struct worker *w) {
    unsigned char *d = w->distance;
    size_t nx = (size_t)e->nx;
    for (size_t i = 0; i < e->pixels; i++) {
        int nearest = 255;
        nearest = i >= nx && d[i - nx] + 1 < nearest ? d[i - nx] + 1 : nearest;
        nearest = i % nx > 0 && d[i - 1] + 1 < nearest ? d[i - 1] + 1 : nearest;
        d[i] = w->rate[i] >= rain_min_mm_h ? 0 : (unsigned char)nearest;
    }
    for (size_t i = e->pixels; i-- > 0;) {
        int nearest = d[i];
        nearest = i + nx < e->pixels && d[i + nx] + 1 < nearest ? d[i + nx] + 1 : nearest;
        nearest = i % nx + 1 < nx && d[i + 1] + 1 < nearest ? d[i + 1] + 1 : nearest;
        d[i] = (unsigned char)nearest;
    }
}

/* Share of a field that the mask lets pass: all within `radius` of rain, then falling over the rim
 * (Pulkkinen et al. 2019, incremental mask). */
static float mask_of(int distance, int radius) {
    int beyond = distance - radius;
    return beyond <= 0 ? 1.0F : (beyond > RIM_PX ? 0.0F : 1.0F - (float)beyond / (RIM_PX + 1));
}

/* Leaves in box[0 .. pixels) the masked field of the step, NaN where rain cannot be (missing, or
 * far from rain), and tells its bounds. */
static void mask_field(const struct ensemble *e, bool masked, struct worker *w, float *ret_low,
                       float *ret_high) {
    float share[256];
    double diameter_px = e->step_min / e->pixel_km; /* 1 km a minute */
    int radius = diameter_px > 1.0 ? (int)fmin((diameter_px - 1.0) / 2.0, 200.0) : 0;
    float low = INFINITY;
    float high = -INFINITY;
    for (int d = 0; d < 256; d++) {
        share[d] = masked ? mask_of(d, radius) : 1.0F;
    }
    for (int y = 0; y < e->ny; y++) {
        for (int x = 0; x < e->nx; x++) {
            float value = w->box[(size_t)y * (size_t)e->cascade.nx + (size_t)x];
            low = value < low ? value : low;
        }
    }
    for (size_t y = 0; y < (size_t)e->ny; y++) {
        for (size_t x = 0; x < (size_t)e->nx; x++) {
            size_t i = y * (size_t)e->nx + x;
            float value = w->box[y * (size_t)e->cascade.nx + x];
            float pass = share[masked ? w->distance[i] : 0];
            bool possible = pass > 0.0F && !isnan(e->newest[i]);
            value = possible ? low + (value - low) * pass : NAN;
            high = value > high ? value : high; /* false for NaN */
            w->box[i] = value;                  /* i never overtakes the place that is read */
        }
    }
    *ret_low = low;
    *ret_high = high;
}

/* Gives the wettest pixels the rates of the newest frame in the order of their ranks; all others
 * are dry. Ranks are those of 65536 equal classes between the bounds. */
static void match_rates(const struct ensemble *e, float low, float high, struct worker *w) {
    float scale = high > low ? (float)(RANK_BINS - 1) / (high - low) : 0.0F;
    memset(w->bins, 0, RANK_BINS * sizeof *w->bins);
    for (size_t i = 0; i < e->pixels; i++) {
        if (!isnan(w->box[i])) {
            w->bins[(int)((w->box[i] - low) * scale)]++;
        }
    }
    /* From counts to the rank (from the wettest) in the middle of each class. */
    size_t above = 0;
    for (size_t b = RANK_BINS; b-- > 0;) {
        size_t count = w->bins[b];
        w->bins[b] = (uint32_t)(above + count / 2);
        above += count;
    }
    for (size_t i = 0; i < e->pixels; i++) {
        float rate = isnan(e->newest[i]) ? NAN : 0.0F;
        if (!isnan(w->box[i])) {
            size_t rank = w->bins[(int)((w->box[i] - low) * scale)];
            rate = rank < e->wet_count ? e->wet[rank] : 0.0F;
        }
        w->rate[i] = rate;
    }
}

/* The member's motion at a lead: faster or slower along, and turned. */
static const struct motion *perturb_motion(const struct ensemble *e, bool noisy, double lead_min,
                                           struct worker *w) {
    if (!noisy) {
        return &e->motion;
    }
    double px_per_km_h = e->step_min / 60.0 / e->pixel_km;
    double along = spread_along[0] * pow(lead_min, spread_along[1]) + spread_along[2];
    double across = spread_across[0] * pow(lead_min, spread_across[1]) + spread_across[2];
    float a = (float)(w->along * fmax(along, 0.0) * px_per_km_h);
    float b = (float)(w->across * fmax(across, 0.0) * px_per_km_h);
    for (int i = 0; i < e->motion.nodes_x * e->motion.nodes_y; i++) {
        float u = e->motion.u[i];
        float v = e->motion.v[i];
        float speed = hypotf(u, v);
        float ux = speed > 0.0F ? u / speed : 0.0F;
        float uy = speed > 0.0F ? v / speed : 0.0F;
        w->motion.u[i] = u + a * ux - b * uy;
        w->motion.v[i] = v + a * uy + b * ux;
    }
    return &w->motion;
}

static int steps_to_first(const struct ensemble_run *run) {
    return 1 + (int)lround(run->age_steps);
}

static void step_member(const struct ensemble *e, const struct ensemble_run *run,
                        const struct cascade_share *shares, int member, int lead,
                        struct worker *w) {
    bool noisy = run->members > 0;
    int times = lead == 0 ? steps_to_first(run) : 1;
    for (int k = 0; noisy && k < times; k++) {
        step_noise(&e->cascade, key_of(run->seed, member, lead + k * 100000), w);
    }
    add_up(&e->cascade, shares + (size_t)lead * e->cascade.rings, w);
    fft2_inverse(w->fft, w->work, w->box);
    if (noisy) {
        find_distances(e, w);
    }
    float low;
    float high;
    mask_field(e, noisy, w, &low, &high);
    match_rates(e, low, high, w);
    double lead_steps = lead + 1.0 + run->age_steps;
    const struct motion *motion = perturb_motion(e, noisy, lead_steps * e->step_min, w);
    displacement_advance(&w->displacement, motion, lead == 0 ? (float)lead_steps : 1.0F, 1);
    displacement_sample(&w->displacement, w->rate, e->nx, e->ny, SAMPLE_BILINEAR, 1, w->forecast);
}

/* ---- all members ---- */

struct round {
    const struct ensemble *ensemble;
    const struct ensemble_run *run;
    const struct cascade_share *shares; /* [leads][rings] */
    struct worker *workers;
    int first;
    int lead;
};

static void rows_of_members(void *context, int part, int begin, int end) {
    struct round *round = context;
    (void)part;
    for (int i = begin; i < end; i++) {
        if (round->lead == 0) {
            start_member(round->ensemble, round->run, round->first + i, &round->workers[i]);
        }
        step_member(round->ensemble, round->run, round->shares, round->first + i, round->lead,
                    &round->workers[i]);
    }
}

int ensemble_group(int members, int threads, size_t pixels) {
    int group = threads < ENSEMBLE_GROUP && pixels <= GROUP_PIXELS_MAX ? ENSEMBLE_GROUP : threads;
    return group > members ? members : group;
}

int ensemble_run(const struct ensemble *ensemble, const struct ensemble_run *run) {
    int total = run->members > 0 ? run->members : 1;
    int threads = run->threads < 1 ? 1 : run->threads;
    threads = threads > PARALLEL_THREADS_MAX ? PARALLEL_THREADS_MAX : threads;
    if (run->members < 0 || run->members > ENSEMBLE_MEMBERS_MAX || run->leads < 1 ||
        !(run->age_steps >= 0.0)) {
        return ERR_INVALID;
    }
    int group = ensemble_group(total, threads, ensemble->pixels);
    struct worker *workers = calloc((size_t)group, sizeof *workers);
    struct cascade_share *shares =
        malloc((size_t)run->leads * ensemble->cascade.rings * sizeof *shares);
    int result = workers == NULL || shares == NULL
                     ? ERR_MEMORY
                     : cascade_shares(&ensemble->cascade, steps_to_first(run), run->leads, shares);
    for (int i = 0; i < group && result == ERR_OK; i++) {
        result = worker_init(ensemble, &workers[i]);
    }
    for (int first = 0; first < total && result == ERR_OK; first += group) {
        int some = total - first < group ? total - first : group;
        for (int lead = 0; lead < run->leads && result == ERR_OK; lead++) {
            struct round round = {ensemble, run, shares, workers, first, lead};
            parallel_rows(threads, some, rows_of_members, &round);
            for (int i = 0; i < some && result == ERR_OK; i++) {
                result = run->take(run->context, first + i, lead, workers[i].forecast);
            }
        }
    }
    for (int i = 0; workers != NULL && i < group; i++) {
        worker_finish(&workers[i]);
    }
    free(workers);
    free(shares);
    return result;
}

/* ---- analysis ---- */

static int compare_falling(const void *left, const void *right) {
    float a = *(const float *)left;
    float b = *(const float *)right;
    return (a < b) - (a > b);
}

static int copy_newest(const float *rate, struct ensemble *e) {
    e->newest = malloc(e->pixels * sizeof *e->newest);
    e->wet = malloc(e->pixels * sizeof *e->wet);
    if (e->newest == NULL || e->wet == NULL) {
        return ERR_MEMORY;
    }
    memcpy(e->newest, rate, e->pixels * sizeof *e->newest);
    for (size_t i = 0; i < e->pixels; i++) {
        if (rate[i] >= rain_min_mm_h) {
            e->wet[e->wet_count++] = rate[i];
        }
    }
    qsort(e->wet, e->wet_count, sizeof *e->wet, compare_falling);
    return ERR_OK;
}

static int copy_motion(const struct motion *motion, struct ensemble *e) {
    int result = motion_init_zero(e->nx, e->ny, motion->source, &e->motion);
    if (result == ERR_OK) {
        size_t bytes = (size_t)motion->nodes_x * (size_t)motion->nodes_y * sizeof *motion->u;
        memcpy(e->motion.u, motion->u, bytes);
        memcpy(e->motion.v, motion->v, bytes);
    }
    return result;
}

static int analyse_frames(const struct motion_input *in, struct ensemble *e) {
    int used = in->count < FRAMES_USED ? in->count : FRAMES_USED;
    int skip = in->count - used;
    const float *frames[FRAMES_USED] = {0};
    float *fields[FRAMES_USED] = {0};
    double lag_steps[FRAMES_USED] = {0};
    struct fft2 *fft = NULL;
    float *field = malloc(e->pixels * sizeof *field);
    int result = field == NULL ? ERR_MEMORY : fft2_create(e->nx, e->ny, &fft);
    for (int f = 0; f < used && result == ERR_OK; f++) {
        lag_steps[f] = in->step_of_frame[in->count - 1] - in->step_of_frame[skip + f];
        fields[f] = malloc(e->pixels * sizeof *fields[f]);
        if (fields[f] == NULL) {
            result = ERR_MEMORY;
        } else if (f == used - 1) {
            cascade_field(in->frame[skip + f], e->pixels, fields[f]);
        } else {
            cascade_field(in->frame[skip + f], e->pixels, field);
            result = motion_carry(&e->motion, field, lag_steps[f], in->threads, fields[f]);
        }
        frames[f] = fields[f];
    }
    if (result == ERR_OK) {
        result = cascade_init(fft, frames, lag_steps, used, e->nx, e->ny, &e->cascade);
    }
    free(field);
    for (int f = 0; f < used; f++) {
        free(fields[f]);
    }
    fft2_destroy(fft);
    return result;
}

int ensemble_create(const struct ensemble_input *input, struct ensemble **ret_ensemble) {
    const struct motion_input *in = input->frames;
    if (in->count < 2 || !(input->pixel_km > 0.0) || !(input->step_min > 0.0)) {
        return ERR_INVALID;
    }
    struct ensemble *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return ERR_MEMORY;
    }
    e->nx = in->nx;
    e->ny = in->ny;
    e->pixels = (size_t)in->nx * (size_t)in->ny;
    e->pixel_km = input->pixel_km;
    e->step_min = input->step_min;
    int result = copy_motion(input->motion, e);
    if (result == ERR_OK) {
        result = copy_newest(in->frame[in->count - 1], e);
    }
    if (result == ERR_OK) {
        result = analyse_frames(in, e);
    }
    if (result != ERR_OK) {
        ensemble_destroy(e);
        return result;
    }
    *ret_ensemble = e;
    return ERR_OK;
}

void ensemble_destroy(struct ensemble *ensemble) {
    if (ensemble == NULL) {
        return;
    }
    motion_finish(&ensemble->motion);
    cascade_finish(&ensemble->cascade);
    free(ensemble->newest);
    free(ensemble->wet);
    free(ensemble);
}
