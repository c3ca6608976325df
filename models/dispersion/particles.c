#include "models/dispersion/particles.h"

#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "models/dispersion/plume.h"
#include "models/nowcast/parallel.h"

#define PI          3.14159265358979323846
#define KARMAN      0.4
#define NEUTRAL_M   1e4
#define LOWEST      0.01 /* of the height: the profiles end there and at as much below the lid */
#define STEP_SHARE  0.1
#define STEP_S_MIN  1.0
#define SIGMA_LEAST 0.02
#define MEANDER_M_S 0.2
#define MEANDER_S   300.0
#define PROFILE_M   200.0 /* the wind of the surface layer is taken up to here */

static int check(const struct particles_air *a) {
    return a->ustar_m_s > 0 && a->ustar_m_s < 10 && a->obukhov_m != 0 && !isnan(a->obukhov_m) &&
                   a->height_m >= 20 && a->height_m <= 10000 && a->coriolis_s > 0 &&
                   isfinite(a->east_m_s) && isfinite(a->north_m_s) && a->lateral_m_s >= 0 &&
                   a->lateral_m_s < 20 &&
                   (a->wind_height_m == 0 || (a->wind_height_m > 0 && a->z0_m > 0))
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

static void profiles(const struct particles_air *a, double z_m, struct turbulence *ret) {
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
        su = fmax(su, MEANDER_M_S);
        sv = fmax(sv, MEANDER_M_S);
        tu = fmax(0.15 * h / su * sqrt(s), MEANDER_S);
        tv = fmax(0.07 * h / sv * sqrt(s), MEANDER_S);
        tw = 0.10 * h / sw * pow(s, 0.8);
    } else {
        su = sv = u * cbrt(12 + h / (2 * -a->obukhov_m));
        tu = tv = 0.15 * h / su;
        tw = 0.15 * h / sw * (1 - exp(-5 * s));
    }
    su = fmax(su, a->lateral_m_s);
    sv = fmax(sv, a->lateral_m_s);
    double above = vertical_sigma(a, z + step), below = vertical_sigma(a, z - step);
    bool inside = z_m > low && z_m < high;
    *ret = (struct turbulence){{fmax(su, SIGMA_LEAST), fmax(sv, SIGMA_LEAST), sw},
                               {tu, tv, tw},
                               inside ? (above - below) / (2 * step) : 0};
}

int particles_turbulence(const struct particles_air *a, double z_m, struct turbulence *ret) {
    if (check(a) != 0 || !(z_m >= 0 && z_m <= a->height_m)) {
        return ERR_RANGE;
    }
    profiles(a, z_m, ret);
    return 0;
}

/* Mean wind at a height in units of that of the air. */
static double wind_factor(const struct particles_air *a, double z_m) {
    if (a->wind_height_m == 0) {
        return 1;
    }
    struct plume_surface s = {a->ustar_m_s, a->obukhov_m, a->z0_m, 1, a->wind_height_m, 1};
    return plume_surface_wind(&s, fmin(z_m, PROFILE_M));
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

struct level {
    struct turbulence turbulence;
    double wind; /* in units of that of the air */
};

struct move {
    struct level table[TABLE + 1]; /* of the one air, from the ground to the lid */
    const struct particles_air *air;
    bool own_air;
    const struct particles_options *options;
    struct particle *particles;
    atomic_uint_fast64_t steps;
};

static void level_at(const struct move *m, const struct particles_air *air, double z_m,
                     struct level *ret) {
    if (m->own_air) {
        profiles(air, z_m, &ret->turbulence);
        ret->wind = wind_factor(air, z_m);
    } else {
        double at = z_m / air->height_m * TABLE;
        size_t i = at < TABLE ? (size_t)at : TABLE - 1;
        const struct level *a = &m->table[i], *b = a + 1;
        double f = at - (double)i;
        for (int k = 0; k < 3; k++) {
            double from = a->turbulence.sigma_m_s[k], time_s = a->turbulence.time_s[k];
            ret->turbulence.sigma_m_s[k] = from + f * (b->turbulence.sigma_m_s[k] - from);
            ret->turbulence.time_s[k] = time_s + f * (b->turbulence.time_s[k] - time_s);
        }
        double gradient_s = a->turbulence.gradient_s;
        ret->turbulence.gradient_s = gradient_s + f * (b->turbulence.gradient_s - gradient_s);
        ret->wind = a->wind + f * (b->wind - a->wind);
    }
    if (m->options->homogeneous != NULL) {
        ret->turbulence = *m->options->homogeneous;
    }
}

/* Ground and lid throw back. */
static void reflect(struct particle *p, double height_m) {
    while (p->position_m[2] < 0 || p->position_m[2] > height_m) {
        double edge = p->position_m[2] < 0 ? 0 : height_m;
        p->position_m[2] = 2 * edge - p->position_m[2];
        p->velocity[2] = -p->velocity[2];
    }
}

static void four_normals(uint64_t *state, double *ret_noise) {
    normals(state, ret_noise);
    normals(state, ret_noise + 2);
}

static void start(struct particle *p, const struct turbulence *t, uint64_t *state) {
    double noise[4];
    four_normals(state, noise);
    for (int i = 0; i < 3; i++) {
        p->velocity[i] = (i < 2 ? t->sigma_m_s[i] : 1) * noise[i];
    }
    p->moving = true;
}

/* One step of dt_s in the turbulence of the place; the mean wind is along (x, y). */
static void step(struct particle *p, const struct particles_air *air, const struct level *l,
                 double along_x, double along_y, double dt_s, uint64_t *state) {
    const struct turbulence *t = &l->turbulence;
    double noise[4];
    four_normals(state, noise);
    for (int i = 0; i < 3; i++) {
        double kept = exp(-dt_s / t->time_s[i]);
        double sigma = i < 2 ? t->sigma_m_s[i] : 1;
        p->velocity[i] = kept * p->velocity[i] + sigma * sqrt(1 - kept * kept) * noise[i];
    }
    p->velocity[2] += t->gradient_s * dt_s;
    double a = p->velocity[0], c = p->velocity[1];
    p->position_m[0] += (l->wind * air->east_m_s + a * along_x - c * along_y) * dt_s;
    p->position_m[1] += (l->wind * air->north_m_s + a * along_y + c * along_x) * dt_s;
    p->position_m[2] += p->velocity[2] * t->sigma_m_s[2] * dt_s;
    reflect(p, air->height_m);
}

static uint64_t move_one(const struct move *m, const struct particles_air *air, struct particle *p,
                         uint64_t seed) {
    const struct particles_options *o = m->options;
    uint64_t state = mix(seed), steps = 0;
    double wind = hypot(air->east_m_s, air->north_m_s), left = o->duration_s - p->later_s;
    double along_x = wind > 0 ? air->east_m_s / wind : 1,
           along_y = wind > 0 ? air->north_m_s / wind : 0;
    struct level l;
    p->later_s = fmax(p->later_s - o->duration_s, 0);
    if (left > 0 && p->position_m[2] > air->height_m) { /* in what the lid left behind */
        double factor = wind_factor(air, p->position_m[2]);
        p->position_m[0] += factor * air->east_m_s * left;
        p->position_m[1] += factor * air->north_m_s * left;
        return 1;
    }
    if (left > 0 && !p->moving) {
        level_at(m, air, p->position_m[2], &l);
        start(p, &l.turbulence, &state);
    }
    while (left > 0) {
        level_at(m, air, p->position_m[2], &l);
        double dt = fmin(fmax(STEP_SHARE * l.turbulence.time_s[2], STEP_S_MIN), o->step_s_max);
        dt = fmin(dt, left);
        step(p, air, &l, along_x, along_y, dt, &state);
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
        steps += move_one(m, m->own_air ? &m->air[i] : m->air, &m->particles[i],
                          m->options->seed + (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15));
    }
    atomic_fetch_add(&m->steps, steps);
}

int particles_move(const struct particles_air *air, size_t air_count,
                   const struct particles_options *options, struct particle *particles,
                   size_t count, uint64_t *ret_steps, struct err *ret_err) {
    bool fits = (air_count == 1 || air_count == count) && count <= INT_MAX;
    for (size_t i = 0; fits && i < air_count; i++) {
        fits = check(&air[i]) == 0;
    }
    if (!fits || !(options->duration_s > 0) || !(options->step_s_max >= STEP_S_MIN)) {
        return err_set(ret_err, ERR_RANGE, "an air, duration or step that cannot be");
    }
    for (size_t i = 0; i < count; i++) {
        const double *at = particles[i].position_m;
        if (!isfinite(at[0]) || !isfinite(at[1]) || !(at[2] >= 0) || isinf(at[2]) ||
            !(particles[i].later_s >= 0)) {
            return err_set(ret_err, ERR_RANGE, "particle %zu is no place above the ground", i);
        }
    }
    struct move move = {
        .air = air, .own_air = air_count != 1, .options = options, .particles = particles};
    for (size_t i = 0; !move.own_air && i <= TABLE; i++) {
        double z_m = air->height_m * (double)i / TABLE;
        profiles(air, z_m, &move.table[i].turbulence);
        move.table[i].wind = wind_factor(air, z_m);
    }
    parallel_rows(options->threads, (int)count, move_part, &move);
    *ret_steps = atomic_load(&move.steps);
    return 0;
}
