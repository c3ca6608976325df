#include "models/dispersion/particles.h"

#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "models/nowcast/parallel.h"

#define PI          3.14159265358979323846
#define KARMAN      0.4
#define NEUTRAL_M   1e4
#define LOWEST      0.01 /* of the height: the profiles end there and at as much below the lid */
#define STEP_SHARE  0.1
#define STEP_S_MIN  1.0
#define SIGMA_LEAST 0.02

static int check(const struct particles_air *a) {
    return a->ustar_m_s > 0 && a->ustar_m_s < 10 && a->obukhov_m != 0 && !isnan(a->obukhov_m) &&
                   a->height_m >= 20 && a->height_m <= 10000 && a->coriolis_s > 0 &&
                   isfinite(a->east_m_s) && isfinite(a->north_m_s)
               ? 0
               : ERR_RANGE;
}

static double vertical_sigma(const struct particles_air *a, double z_m) {
    double h = a->height_m, s = z_m / h, u = a->ustar_m_s;
    if (fabs(a->obukhov_m) > NEUTRAL_M) {
        return fmax(1.3 * u * exp(-2 * a->coriolis_s * z_m / u), SIGMA_LEAST);
    }
    if (a->obukhov_m > 0) {
        return fmax(1.3 * u * (1 - s), SIGMA_LEAST);
    }
    double free = u * cbrt(h / (KARMAN * -a->obukhov_m)); /* w* */
    double square = 1.2 * free * free * (1 - 0.9 * s) * pow(s, 2.0 / 3) + (1.8 - 1.4 * s) * u * u;
    return fmax(sqrt(square), SIGMA_LEAST);
}

int particles_turbulence(const struct particles_air *a, double z_m, struct turbulence *ret) {
    int rc = check(a);
    if (rc != 0 || !(z_m >= 0 && z_m <= a->height_m)) {
        return ERR_RANGE;
    }
    double h = a->height_m, u = a->ustar_m_s, low = LOWEST * h, high = h - LOWEST * h;
    double z = fmin(fmax(z_m, low), high), s = z / h, step = 1e-4 * h;
    double sw = vertical_sigma(a, z), su = 0, sv = 0, tu = 0, tv = 0, tw = 0;
    if (fabs(a->obukhov_m) > NEUTRAL_M) {
        su = 2 * u * exp(-3 * a->coriolis_s * z / u);
        sv = sw;
        tu = tv = tw = 0.5 * z / (sw * (1 + 15 * a->coriolis_s * z / u));
    } else if (a->obukhov_m > 0) {
        su = 2 * u * (1 - s);
        sv = 1.3 * u * (1 - s);
        tu = 0.15 * h / su * sqrt(s);
        tv = 0.07 * h / sv * sqrt(s);
        tw = 0.10 * h / sw * pow(s, 0.8);
    } else {
        su = sv = u * cbrt(12 + h / (2 * -a->obukhov_m));
        tu = tv = 0.15 * h / su;
        tw = 0.15 * h / sw * (1 - exp(-5 * s));
    }
    double above = vertical_sigma(a, z + step), below = vertical_sigma(a, z - step);
    bool inside = z_m > low && z_m < high;
    *ret = (struct turbulence){{fmax(su, SIGMA_LEAST), fmax(sv, SIGMA_LEAST), sw},
                               {tu, tv, tw},
                               inside ? (above - below) / (2 * step) : 0};
    return 0;
}

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return ((double)(mix(*state) >> 11) + 0.5) * 0x1p-53;
}

/* Two at a time (Box and Muller). */
static void normals(uint64_t *state, double *ret_pair) {
    double radius = sqrt(-2 * log(uniform(state))), angle = 2 * PI * uniform(state);
    ret_pair[0] = radius * cos(angle);
    ret_pair[1] = radius * sin(angle);
}

enum { TABLE = 512 };

struct move {
    struct turbulence table[TABLE + 1]; /* of the profiles, from the ground to the lid */
    const struct particles_air *air;
    const struct particles_options *options;
    struct particle *particles;
    double along_x, along_y;
    atomic_uint_fast64_t steps;
};

static void turbulence_at(const struct move *m, double z_m, struct turbulence *ret) {
    if (m->options->homogeneous != NULL) {
        *ret = *m->options->homogeneous;
        return;
    }
    double at = z_m / m->air->height_m * TABLE;
    size_t i = at < TABLE ? (size_t)at : TABLE - 1;
    const struct turbulence *a = &m->table[i], *b = a + 1;
    double f = at - (double)i;
    for (int k = 0; k < 3; k++) {
        ret->sigma_m_s[k] = a->sigma_m_s[k] + f * (b->sigma_m_s[k] - a->sigma_m_s[k]);
        ret->time_s[k] = a->time_s[k] + f * (b->time_s[k] - a->time_s[k]);
    }
    ret->gradient_s = a->gradient_s + f * (b->gradient_s - a->gradient_s);
}

/* Ground and lid throw back. */
static void reflect(struct particle *p, double height_m) {
    while (p->position_m[2] < 0 || p->position_m[2] > height_m) {
        double edge = p->position_m[2] < 0 ? 0 : height_m;
        p->position_m[2] = 2 * edge - p->position_m[2];
        p->velocity[2] = -p->velocity[2];
    }
}

static uint64_t move_one(const struct move *m, struct particle *p, uint64_t seed) {
    const struct particles_options *o = m->options;
    uint64_t state = mix(seed), steps = 0;
    double left = o->duration_s, noise[4];
    struct turbulence t;
    turbulence_at(m, p->position_m[2], &t);
    normals(&state, noise);
    normals(&state, noise + 2);
    for (int i = 0; i < 3; i++) {
        p->velocity[i] = (i < 2 ? t.sigma_m_s[i] : 1) * noise[i];
    }
    while (left > 0) {
        turbulence_at(m, p->position_m[2], &t);
        double dt = fmin(fmax(STEP_SHARE * t.time_s[2], STEP_S_MIN), o->step_s_max);
        dt = fmin(dt, left);
        normals(&state, noise);
        normals(&state, noise + 2);
        for (int i = 0; i < 3; i++) {
            double kept = exp(-dt / t.time_s[i]);
            double sigma = i < 2 ? t.sigma_m_s[i] : 1;
            p->velocity[i] = kept * p->velocity[i] + sigma * sqrt(1 - kept * kept) * noise[i];
        }
        p->velocity[2] += t.gradient_s * dt;
        double a = p->velocity[0], c = p->velocity[1];
        p->position_m[0] += (m->air->east_m_s + a * m->along_x - c * m->along_y) * dt;
        p->position_m[1] += (m->air->north_m_s + a * m->along_y + c * m->along_x) * dt;
        p->position_m[2] += p->velocity[2] * t.sigma_m_s[2] * dt;
        reflect(p, m->air->height_m);
        left -= dt;
        steps++;
    }
    return steps;
}

static void move_part(void *context, int part, int begin, int end) {
    struct move *m = context;
    uint64_t steps = 0;
    (void)part;
    for (int i = begin; i < end; i++) {
        steps += move_one(m, &m->particles[i],
                          m->options->seed + (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15));
    }
    atomic_fetch_add(&m->steps, steps);
}

int particles_move(const struct particles_air *air, const struct particles_options *options,
                   struct particle *particles, size_t count, uint64_t *ret_steps,
                   struct err *ret_err) {
    double wind = hypot(air->east_m_s, air->north_m_s);
    if (check(air) != 0 || !(options->duration_s > 0) || !(options->step_s_max >= STEP_S_MIN) ||
        count > INT_MAX) {
        return err_set(ret_err, ERR_RANGE, "an air, duration or step that cannot be");
    }
    for (size_t i = 0; i < count; i++) {
        const double *at = particles[i].position_m;
        if (!isfinite(at[0]) || !isfinite(at[1]) || !(at[2] >= 0 && at[2] <= air->height_m)) {
            return err_set(ret_err, ERR_RANGE, "particle %zu is outside the layer", i);
        }
    }
    struct move move = {.air = air,
                        .options = options,
                        .particles = particles,
                        .along_x = wind > 0 ? air->east_m_s / wind : 1,
                        .along_y = wind > 0 ? air->north_m_s / wind : 0};
    for (size_t i = 0; i <= TABLE; i++) { /* cannot fail: the air is checked */
        (void)particles_turbulence(air, air->height_m * (double)i / TABLE, &move.table[i]);
    }
    parallel_rows(options->threads, (int)count, move_part, &move);
    *ret_steps = atomic_load(&move.steps);
    return 0;
}
