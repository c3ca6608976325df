#include "models/dispersion/far.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/dispersion/far_cells.h"
#include "models/dispersion/particles.h"

#define PI            3.14159265358979323846
#define LN2           0.693147180559945309417
#define RADIAN        57.29577951308232
#define CORIOLIS_S    1e-4
#define EARTH_S       7.292115e-5 /* angular velocity */
#define CORIOLIS_MIN  1e-5        /* near the equator */
#define CALM_M_S      0.5
#define USTAR_MIN     0.02
#define NEUTRAL_M     1e4
#define STEP_S_MIN    1.0
#define STEP_S_MAX    60.0
#define STEP_SHARE    0.03 /* of the way to the nearest receptor */
#define SUBSTEP_S_MAX 20.0
#define BIN_S_MIN     60.0
#define BIN_S_MAX     600.0
#define KERNEL_SHARE  0.3 /* of the spread */
#define KERNEL_M_MIN  20.0
#define UP_SHARE      0.05 /* of the mixing height */
#define UP_M_MIN      10.0
#define DRY_LAYER_M   20.0
#define LOST_SHARE    0.01
#define BEYOND        1.05

enum { PARTS = 16 };

const struct far_options far_options_default = {10000, 1, 1, (double)NAN};

/* What belongs to a particle beside its movement. */
struct load {
    double mass;
    double spread_m2; /* variance across on its own way */
    double age_s;
    int part;
};

struct far {
    const struct puff_release *release;
    const struct weather *weather;
    double hold_s;
    const int64_t *steady_us;
    const struct far_options *options;
    struct puff_receptor *receptors;
    size_t count, live, bins, steps_a_bin, steps;
    double step_s, far_m, coriolis_s;
    struct particle *particles;
    struct load *loads;
    struct particles_air *airs; /* [particles], or [1] for weather that is the same everywhere */
    double *washout_s;          /* as airs */
    double *means;              /* [count][bins] */
    double *parts;              /* [PARTS][count] time integrals */
    struct far_cells cells;
    struct far_mass mass;
    bool rain_unknown;
};

static double assumed_lid_m(double ustar_m_s, double obukhov_m, double coriolis_s) {
    if (fabs(obukhov_m) > NEUTRAL_M) {
        return fmin(fmax(0.2 * ustar_m_s / coriolis_s, 100), 1500);
    }
    return obukhov_m < 0 ? 1000
                         : fmin(fmax(0.4 * sqrt(ustar_m_s * obukhov_m / coriolis_s), 50), 800);
}

/* The air for particles in a row of weather. */
static int air_of(const struct far *f, const struct weather_row *row, struct particles_air *ret_air,
                  struct err *ret_err) {
    double obukhov_m = row->obukhov_m;
    if (f->weather->field == NULL && !(row->wind_m_s >= CALM_M_S)) {
        return err_set(ret_err, ERR_RANGE,
                       "wind %.2f m/s: below %.1f m/s the direction of a plume is not known",
                       row->wind_m_s, CALM_M_S);
    }
    if (isnan(obukhov_m) && row->stability < 0) {
        return err_set(ret_err, ERR_NOT_FOUND,
                       "the weather has no class, no sky and no obukhov_L_m: the spread is not "
                       "known");
    }
    if (isnan(obukhov_m)) {
        obukhov_m = plume_class_obukhov((enum plume_class)row->stability, row->z0_m);
    }
    struct plume_surface surface = {1, obukhov_m, row->z0_m, row->wind_m_s, row->wind_height_m, 1};
    double ustar = isnan(row->ustar_m_s) ? plume_surface_ustar(&surface) : row->ustar_m_s;
    ustar = fmax(ustar, USTAR_MIN);
    double lid_m = isnan(row->lid_m) ? assumed_lid_m(ustar, obukhov_m, f->coriolis_s) : row->lid_m;
    double angle = row->wind_from_deg / RADIAN;
    *ret_air = (struct particles_air){
        .ustar_m_s = ustar,
        .obukhov_m = obukhov_m,
        .height_m = fmin(fmax(lid_m, 20), 10000),
        .coriolis_s = f->coriolis_s,
        .east_m_s = -row->wind_m_s * sin(angle),
        .north_m_s = -row->wind_m_s * cos(angle),
        .wind_height_m = row->wind_height_m,
        .z0_m = row->z0_m,
        .lateral_m_s = isnan(row->sigma_theta_rad) ? 0 : row->sigma_theta_rad * row->wind_m_s};
    return 0;
}

static int air_at(struct far *f, double now_s, double x_m, double y_m,
                  struct particles_air *ret_air, double *ret_washout_s, struct err *ret_err) {
    const struct puff_release *r = f->release;
    struct weather_row row;
    int64_t now =
        f->steady_us != NULL ? *f->steady_us : r->start_utc_us + (int64_t)llround(now_s * 1e6);
    int rc = weather_at(f->weather, now, f->hold_s, x_m, y_m, &row, ret_err);
    rc = rc != 0 ? rc : air_of(f, &row, ret_air, ret_err);
    if (rc == 0) {
        double washout_s = r->washout_a > 0 ? r->washout_a * pow(row.rain_mm_h, r->washout_b) : 0;
        f->rain_unknown = f->rain_unknown || isnan(washout_s);
        *ret_washout_s = isnan(washout_s) ? 0 : washout_s;
    }
    return rc;
}

static void drop(struct far *f, size_t i) {
    f->live--;
    f->particles[i] = f->particles[f->live];
    f->loads[i] = f->loads[f->live];
}

/* The airs of a step, at its middle. Particles that the wind field no longer covers are gone. */
static int find_airs(struct far *f, double now_s, struct err *ret_err) {
    const struct puff_release *r = f->release;
    double middle_s = now_s + f->step_s / 2;
    if (f->weather->field == NULL) {
        return air_at(f, middle_s, r->x_m, r->y_m, f->airs, f->washout_s, ret_err);
    }
    for (size_t i = 0; i < f->live;) {
        const double *at = f->particles[i].position_m;
        struct err why = {0};
        int rc = air_at(f, middle_s, at[0], at[1], &f->airs[i], &f->washout_s[i], &why);
        if (rc == ERR_NOT_FOUND && f->loads[i].age_s > 0) {
            f->mass.gone += f->loads[i].mass;
            drop(f, i);
            continue;
        }
        if (rc != 0) {
            return err_set(ret_err, rc, "%s", why.text);
        }
        i++;
    }
    bool lost = f->mass.gone > LOST_SHARE * f->mass.released && f->release->reach_m <= 0;
    return lost ? err_set(ret_err, ERR_NOT_FOUND,
                          "the wind does not reach far enough: %.0f %% of the particles leave it "
                          "before they are past the farthest receptor",
                          100 * f->mass.gone / f->mass.released)
                : 0;
}

/* What a particle loses in a step; returns what comes down of it. */
static double lose(struct far *f, size_t i, const struct particles_air *air, double washout_s) {
    struct load *load = &f->loads[i];
    double z = f->particles[i].position_m[2];
    double dry_s = z < DRY_LAYER_M ? f->release->dry_velocity_m_s / DRY_LAYER_M : 0;
    double wet_s = z <= air->height_m ? washout_s : 0;
    double decay_s = LN2 / f->release->half_life_s, all_s = dry_s + wet_s + decay_s;
    if (all_s <= 0) {
        return 0;
    }
    double lost = load->mass * -expm1(-all_s * f->step_s);
    double down = lost * (dry_s + wet_s) / all_s;
    load->mass -= lost;
    f->mass.deposited += down;
    f->mass.decayed += lost - down;
    return down;
}

struct seen {
    struct far *f;
    double x_m, y_m, z_m, radius_m, up_m, lid_m, mass, down;
    size_t bin;
    int part;
};

/* One receptor and one particle. */
static void see(void *context, size_t receptor) {
    const struct seen *s = context;
    struct far *f = s->f;
    struct puff_receptor *r = &f->receptors[receptor];
    double dx = r->x_m - s->x_m, dy = r->y_m - s->y_m;
    double share = (dx * dx + dy * dy) / (s->radius_m * s->radius_m);
    if (share >= 1) {
        return;
    }
    double across = 2 / (PI * s->radius_m * s->radius_m) * (1 - share); /* Epanechnikov */
    r->deposit += s->down * across;
    int up = (fabs(s->z_m - r->z_m) < s->up_m) + (s->z_m + r->z_m < s->up_m) +
             (2 * s->lid_m - s->z_m - r->z_m < s->up_m && s->z_m <= s->lid_m);
    if (up > 0 && r->z_m <= s->lid_m) {
        double value = s->mass * across * up / (2 * s->up_m);
        f->means[receptor * f->bins + s->bin] += value / (double)f->steps_a_bin;
        f->parts[(size_t)s->part * f->count + receptor] += value * f->step_s;
    }
}

/* Loses, shows to the receptors and lets go what is done with. */
static void account(struct far *f, size_t step) {
    bool own = f->weather->field != NULL;
    for (size_t i = f->live; i-- > 0;) { /* drop() moves only what was seen already */
        struct particle *p = &f->particles[i];
        struct load *load = &f->loads[i];
        const struct particles_air *air = &f->airs[own ? i : 0];
        struct turbulence t;
        if (!p->moving && p->later_s > 0) {
            continue;
        }
        load->age_s += f->step_s;
        double z_m = fmin(p->position_m[2], air->height_m);
        if (particles_turbulence(air, z_m, &t) == 0) { /* always: the air was moved in */
            double slow = 2 * t.sigma_m_s[1] * t.sigma_m_s[1] * t.time_s[1] * f->step_s;
            double fast = t.sigma_m_s[1] * load->age_s;
            load->spread_m2 = fmin(load->spread_m2 + slow, fast * fast);
        }
        double down = lose(f, i, air, f->washout_s[own ? i : 0]);
        double radius_m = fmax(KERNEL_SHARE * sqrt(6 * load->spread_m2), KERNEL_M_MIN);
        struct seen seen = {f,
                            p->position_m[0],
                            p->position_m[1],
                            p->position_m[2],
                            radius_m,
                            fmax(UP_SHARE * air->height_m, UP_M_MIN),
                            air->height_m,
                            load->mass,
                            down,
                            step / f->steps_a_bin,
                            load->part};
        far_cells_near(&f->cells, p->position_m[0], p->position_m[1], radius_m, see, &seen);
        double away = hypot(p->position_m[0] - f->release->x_m, p->position_m[1] - f->release->y_m);
        if (away > BEYOND * f->far_m + 2 * radius_m) {
            f->mass.done += load->mass;
            drop(f, i);
        }
    }
}

static double mass_in_air(const struct far *f) {
    double sum = 0;
    for (size_t i = 0; i < f->live; i++) {
        sum += f->loads[i].mass;
    }
    return sum;
}

static int walk(struct far *f, struct err *ret_err) {
    const struct far_options *o = f->options;
    for (size_t k = 0; k < f->steps && f->live > 0; k++) {
        struct err why = {0};
        struct particles_options options = {
            f->step_s, SUBSTEP_S_MAX, o->seed + k * UINT64_C(0xd1342543de82ef95), o->threads, NULL};
        uint64_t unused = 0;
        int rc = find_airs(f, (double)k * f->step_s, &why);
        if (rc == ERR_STALE &&
            (f->release->reach_m > 0 || mass_in_air(f) <= LOST_SHARE * f->mass.released)) {
            break;
        }
        size_t airs = f->weather->field != NULL ? f->live : 1;
        rc = rc != 0 || f->live == 0
                 ? rc
                 : particles_move(f->airs, airs, &options, f->particles, f->live, &unused, &why);
        if (rc != 0) {
            return err_set(ret_err, rc, "%s", why.text);
        }
        account(f, k);
    }
    return 0;
}

/* How long a step is, and how many there are at most. */
static int plan(struct far *f, struct err *ret_err) {
    const struct puff_release *r = f->release;
    struct weather_row row;
    double near_m = HUGE_VAL;
    for (size_t i = 0; i < f->count; i++) {
        double away = hypot(f->receptors[i].x_m - r->x_m, f->receptors[i].y_m - r->y_m);
        near_m = fmin(near_m, away);
        f->far_m = fmax(f->far_m, away);
    }
    int rc = weather_at(f->weather, f->steady_us != NULL ? *f->steady_us : r->start_utc_us,
                        f->hold_s, r->x_m, r->y_m, &row, ret_err);
    if (rc != 0) {
        return rc;
    }
    if (r->height_m > row.lid_m) {
        return err_set(ret_err, ERR_RANGE, "the source at %.1f m is above the mixing height %.1f m",
                       r->height_m, row.lid_m);
    }
    double wind = fmax(row.wind_m_s, 1), duration_s = f->steady_us != NULL ? 0 : r->duration_s;
    f->step_s = fmin(fmax(STEP_SHARE * near_m / wind, STEP_S_MIN), STEP_S_MAX);
    double bin_s = fmin(fmax(duration_s / 4, BIN_S_MIN), BIN_S_MAX);
    f->steps_a_bin = (size_t)fmax(round(bin_s / f->step_s), 1);
    double steps = ceil((duration_s + 4 * (f->far_m + 1000) / wind) / f->step_s);
    f->bins = (size_t)(steps / (double)f->steps_a_bin) + 1;
    f->steps = f->bins * f->steps_a_bin;
    if (!(steps <= PUFF_STEPS_MAX) || f->bins > PUFF_CELLS_MAX / f->count) {
        return err_set(ret_err, ERR_LIMIT,
                       "%.0f steps of %.1f s for %zu receptors are too many (at most %d steps)",
                       steps, f->step_s, f->count, PUFF_STEPS_MAX);
    }
    return 0;
}

static int make(struct far *f, struct err *ret_err) {
    const struct puff_release *r = f->release;
    size_t n = f->options->particles, airs = f->weather->field != NULL ? n : 1;
    double duration_s = f->steady_us != NULL ? 0 : r->duration_s;
    f->mass.released = r->rate * (f->steady_us != NULL ? 1 : r->duration_s);
    f->particles = calloc(n, sizeof *f->particles);
    f->loads = calloc(n, sizeof *f->loads);
    f->airs = calloc(airs, sizeof *f->airs);
    f->washout_s = calloc(airs, sizeof *f->washout_s);
    f->means = calloc(f->count * f->bins, sizeof *f->means);
    f->parts = calloc(PARTS * f->count, sizeof *f->parts);
    if (f->particles == NULL || f->loads == NULL || f->airs == NULL || f->washout_s == NULL ||
        f->means == NULL || f->parts == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu particles", n);
    }
    f->live = n;
    for (size_t i = 0; i < n; i++) {
        f->particles[i] = (struct particle){.position_m = {r->x_m, r->y_m, r->height_m},
                                            .later_s = ((double)i + 0.5) / (double)n * duration_s};
        f->loads[i] = (struct load){.mass = f->mass.released / (double)n, .part = (int)(i % PARTS)};
    }
    return far_cells_create(f->receptors, f->count, &f->cells, ret_err);
}

/* Standard error of the sum of the parts in units of it. */
static double error_of(const struct far *f, size_t receptor) {
    double sum = 0, square = 0;
    for (size_t k = 0; k < PARTS; k++) {
        double v = f->parts[k * f->count + receptor];
        sum += v;
        square += v * v;
    }
    return sum > 0 ? sqrt(fmax(square - sum * sum / PARTS, 0) * PARTS / (PARTS - 1)) / sum
                   : (double)NAN;
}

static int check(const struct puff_release *r, const struct far_options *o, size_t count,
                 struct err *ret_err) {
    if (count == 0 || count > PUFF_RECEPTORS_MAX || o->particles < FAR_PARTICLES_MIN ||
        o->particles > FAR_PARTICLES_MAX) {
        return err_set(ret_err, ERR_LIMIT, "1 to %d receptors and %d to %d particles",
                       PUFF_RECEPTORS_MAX, FAR_PARTICLES_MIN, FAR_PARTICLES_MAX);
    }
    return r->rate > 0 && r->height_m >= 0 && r->half_life_s > 0
               ? 0
               : err_set(ret_err, ERR_RANGE, "rate and half-life must be above 0");
}

int far_run(const struct puff_release *release, const struct weather *weather, double hold_s,
            const int64_t *steady_us, const struct far_options *options,
            struct puff_receptor *receptors, size_t count, double *ret_error,
            struct far_mass *ret_mass, struct err *ret_err) {
    struct far f = {
        .release = release,
        .weather = weather,
        .hold_s = hold_s,
        .steady_us = steady_us,
        .options = options,
        .receptors = receptors,
        .count = count,
        .coriolis_s =
            isnan(options->latitude_deg)
                ? CORIOLIS_S
                : fmax(2 * EARTH_S * fabs(sin(options->latitude_deg / RADIAN)), CORIOLIS_MIN)};
    int rc = check(release, options, count, ret_err);
    rc = rc != 0 ? rc : plan(&f, ret_err);
    rc = rc != 0 ? rc : make(&f, ret_err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        receptors[i].deposit = 0;
    }
    rc = rc != 0 ? rc : walk(&f, ret_err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        puff_tell(&receptors[i], f.means + i * f.bins, f.bins, f.step_s * (double)f.steps_a_bin);
        receptors[i].deposit = f.rain_unknown ? (double)NAN : receptors[i].deposit;
        ret_error[i] = error_of(&f, i);
    }
    if (rc == 0) {
        f.mass.air = mass_in_air(&f);
        *ret_mass = f.mass;
    }
    far_cells_finish(&f.cells);
    free(f.particles);
    free(f.loads);
    free(f.airs);
    free(f.washout_s);
    free(f.means);
    free(f.parts);
    return rc;
}
