#include "models/dispersion/puff.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PI          3.14159265358979323846
#define LN2         0.693147180559945309417
#define STEP_S_MIN  1.0
#define STEP_S_MAX  60.0
#define FAR_SIGMAS  6.0
#define VIRTUAL_M   1e6
#define BEYOND      1.25 /* of the farthest receptor: there a puff is done with */
#define SHARE_SEEN  0.01
#define REFERENCE_M 1.0 /* height of the concentration that deposits */

struct puffs {
    const struct puff_release *release;
    const struct weather *weather;
    double hold_s;
    struct puff_receptor *receptors;
    size_t count, steps;
    double step_s, far_m;
    double *means; /* [count * steps] */
    bool rain_unknown;
};

/* One puff at the begin of a step. */
struct puff {
    double x_m, y_m;
    double y_far_m, z_far_m; /* virtual distances of both spreads */
    double sigma_y_m, sigma_z_m;
    double mass;
    struct weather_air air;
    bool moved;
};

/* The distance with the present spread across (or up) in new weather. */
static double virtual_m(const struct weather_air *air, double height_m, double sigma_m, bool up) {
    double low = 1e-3, high = VIRTUAL_M;
    for (int i = 0; i < 60; i++) {
        double middle = sqrt(low * high), sy = 0, sz = 0, wind = 0;
        if (weather_spread(air, height_m, middle, &sy, &sz, &wind) != 0 ||
            (up ? sz : sy) > sigma_m) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return sqrt(low * high);
}

static bool same_spread(const struct weather_air *a, const struct weather_air *b) {
    return a->method == b->method && a->stability == b->stability &&
           a->surface.ustar_m_s == b->surface.ustar_m_s &&
           a->surface.obukhov_m == b->surface.obukhov_m &&
           a->surface.sigma_theta_rad == b->surface.sigma_theta_rad &&
           (a->method == WEATHER_BRIGGS || a->surface.wind_m_s == b->surface.wind_m_s);
}

struct segment {
    double x_m, y_m, along_x, along_y, length_m;
    double sy0, sy1, sz0, sz1;
    double mass, lid_m;
    double far2_m2; /* square of the distance from the middle beyond which nothing arrives */
};

/* Mean concentration over the step at a receptor, and the column for rain. */
static double segment_mean(const struct segment *s, const struct puff_receptor *r, double height_m,
                           double z_m, double *ret_column) {
    double dx = r->x_m - s->x_m, dy = r->y_m - s->y_m;
    double mx = dx - s->along_x * s->length_m / 2, my = dy - s->along_y * s->length_m / 2;
    if (mx * mx + my * my > s->far2_m2) { /* most of a grid is far away */
        *ret_column = 0;
        return 0;
    }
    double a = dx * s->along_x + dy * s->along_y, c = dy * s->along_x - dx * s->along_y;
    double f = fmin(fmax(a / s->length_m, 0), 1);
    double sy = fmax(s->sy0 + f * (s->sy1 - s->sy0), 1e-3);
    double sz = fmax(s->sz0 + f * (s->sz1 - s->sz0), 1e-3);
    *ret_column = 0;
    if (fabs(c) > FAR_SIGMAS * sy || a < -FAR_SIGMAS * sy || a > s->length_m + FAR_SIGMAS * sy) {
        return 0;
    }
    double root = sqrt(2.0) * sy;
    double along = 0.5 / s->length_m * (erf(a / root) - erf((a - s->length_m) / root));
    double across = exp(-0.5 * c * c / (sy * sy)) / (sqrt(2 * PI) * sy);
    *ret_column = s->mass * along * across;
    return *ret_column * plume_vertical(z_m, height_m, sz, s->lid_m);
}

static void spread_segment(struct puffs *p, const struct segment *s, size_t bin, double washout_s) {
    const struct puff_release *release = p->release;
    for (size_t i = 0; i < p->count; i++) {
        struct puff_receptor *r = &p->receptors[i];
        double column = 0;
        double mean = segment_mean(s, r, release->height_m, r->z_m, &column);
        if (column <= 0) {
            continue;
        }
        p->means[i * p->steps + bin] += mean;
        if (release->dry_velocity_m_s > 0) {
            double low = segment_mean(s, r, release->height_m, REFERENCE_M, &column);
            r->deposit += release->dry_velocity_m_s * low * p->step_s;
        }
        r->deposit += washout_s * column * p->step_s;
    }
}

/* Moves one puff by a step and gives its segment to the receptors. */
static int step_puff(struct puffs *p, struct puff *puff, size_t bin, struct err *ret_err) {
    const struct puff_release *release = p->release;
    struct weather_row row;
    struct weather_air air;
    double wind = 0, sy = 0, sz = 0, unused = 0;
    int64_t now = release->start_utc_us + (int64_t)(((double)bin + 0.5) * p->step_s * 1e6);
    int rc = weather_at(p->weather, now, p->hold_s, puff->x_m, puff->y_m, &row, ret_err);
    rc = rc != 0 ? rc
                 : weather_air(&row, release->method, release->curves, release->height_m, &air,
                               ret_err);
    if (rc != 0) {
        return rc;
    }
    if (puff->moved && !same_spread(&puff->air, &air)) {
        puff->y_far_m = virtual_m(&air, release->height_m, puff->sigma_y_m, false);
        puff->z_far_m = virtual_m(&air, release->height_m, puff->sigma_z_m, true);
    }
    rc = weather_spread(&air, release->height_m, puff->z_far_m + 0.5, &unused, &sz, &wind);
    rc = rc != 0
             ? rc
             : weather_spread(&air, release->height_m,
                              puff->z_far_m + fmax(wind * p->step_s / 2, 0.5), &unused, &sz, &wind);
    double length = wind * p->step_s, angle = air.wind_from_deg * PI / 180;
    rc = rc != 0 ? rc
                 : weather_spread(&air, release->height_m, puff->y_far_m + length, &sy, &unused,
                                  &unused);
    rc = rc != 0 ? rc
                 : weather_spread(&air, release->height_m, puff->z_far_m + length, &unused, &sz,
                                  &unused);
    if (rc != 0) {
        return err_set(ret_err, rc, "the spread of a puff cannot be computed");
    }
    double washout_s =
        release->washout_a > 0 ? release->washout_a * pow(row.rain_mm_h, release->washout_b) : 0;
    p->rain_unknown = p->rain_unknown || isnan(washout_s);
    washout_s = isnan(washout_s) ? 0 : washout_s;
    double ground =
        plume_vertical(0, release->height_m, fmax((puff->sigma_z_m + sz) / 2, 1e-3), air.lid_m);
    double loss_s = LN2 / release->half_life_s + washout_s + release->dry_velocity_m_s * ground;
    struct segment s = {puff->x_m,   puff->y_m,
                        -sin(angle), -cos(angle),
                        length,      puff->sigma_y_m,
                        sy,          puff->sigma_z_m,
                        sz,          puff->mass * exp(-loss_s * p->step_s / 2),
                        air.lid_m,   0};
    double rim = FAR_SIGMAS * fmax(s.sy0, s.sy1);
    s.far2_m2 = (length / 2 + rim) * (length / 2 + rim) + rim * rim;
    spread_segment(p, &s, bin, washout_s);
    puff->mass *= exp(-loss_s * p->step_s);
    puff->x_m += length * s.along_x;
    puff->y_m += length * s.along_y;
    puff->y_far_m += length;
    puff->z_far_m += length;
    puff->sigma_y_m = sy;
    puff->sigma_z_m = sz;
    puff->air = air;
    puff->moved = true;
    return 0;
}

static int plan(struct puffs *p, struct err *ret_err) {
    const struct puff_release *release = p->release;
    struct weather_row row;
    double near_m = HUGE_VAL;
    for (size_t i = 0; i < p->count; i++) {
        double away = hypot(p->receptors[i].x_m - release->x_m, p->receptors[i].y_m - release->y_m);
        near_m = fmin(near_m, away);
        p->far_m = fmax(p->far_m, away);
    }
    int rc = weather_at(p->weather, release->start_utc_us, p->hold_s, release->x_m, release->y_m,
                        &row, ret_err);
    if (rc != 0) {
        return rc;
    }
    double step = fmin(fmax(near_m / (10 * fmax(row.wind_m_s, 1)), STEP_S_MIN), STEP_S_MAX);
    step = release->step_s > 0 ? release->step_s : step;
    size_t bins = (size_t)fmax(ceil(release->duration_s / step), 4);
    p->step_s = release->duration_s / (double)bins; /* the steps fill the release exactly */
    double travel_s = 4 * (p->far_m + 1000) / fmax(row.wind_m_s, 1);
    double steps = ceil((release->duration_s + travel_s) / p->step_s);
    if (!(steps <= PUFF_STEPS_MAX) || steps * (double)p->count > (double)PUFF_CELLS_MAX) {
        return err_set(ret_err, ERR_LIMIT,
                       "%.0f steps of %.1f s for %zu receptors are too many (at most %d steps)",
                       steps, p->step_s, p->count, PUFF_STEPS_MAX);
    }
    p->steps = (size_t)steps;
    p->means = calloc(p->count * p->steps, sizeof *p->means);
    return p->means == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for %zu steps", p->steps) : 0;
}

/* Whether a puff can no longer come to any receptor. */
static bool left(const struct puffs *p, const struct puff *puff) {
    const struct puff_release *r = p->release;
    double away = hypot(puff->x_m - r->x_m, puff->y_m - r->y_m);
    return r->reach_m > 0 ? away - 2 * puff->sigma_y_m > r->reach_m
                          : away - FAR_SIGMAS * puff->sigma_y_m > BEYOND * p->far_m;
}

void puff_tell(struct puff_receptor *r, const double *means, size_t steps, double step_s) {
    r->max = r->tic = 0;
    r->arrival_s = r->last_s = (double)NAN;
    for (size_t k = 0; k < steps; k++) {
        r->max = fmax(r->max, means[k]);
        r->tic += means[k] * step_s;
    }
    for (size_t k = 0; r->max > 0 && k < steps; k++) {
        if (means[k] >= SHARE_SEEN * r->max) {
            r->arrival_s = isnan(r->arrival_s) ? (double)k * step_s : r->arrival_s;
            r->last_s = (double)(k + 1) * step_s;
        }
    }
}

static void tell(struct puffs *p) {
    for (size_t i = 0; i < p->count; i++) {
        struct puff_receptor *r = &p->receptors[i];
        puff_tell(r, p->means + i * p->steps, p->steps, p->step_s);
        r->deposit = p->rain_unknown ? (double)NAN : r->deposit;
    }
}

int puff_run(const struct puff_release *release, const struct weather *weather, double hold_s,
             struct puff_receptor *receptors, size_t count, struct err *ret_err) {
    struct puffs p = {release, weather, hold_s, receptors, count, 0, 0, 0, NULL, false};
    if (count == 0 || count > PUFF_RECEPTORS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "1 to %d receptors, not %zu", PUFF_RECEPTORS_MAX, count);
    }
    if (!(release->rate > 0) || !(release->duration_s > 0) || !(release->height_m >= 0)) {
        return err_set(ret_err, ERR_RANGE, "rate and duration must be above 0");
    }
    for (size_t i = 0; i < count; i++) {
        receptors[i].deposit = 0;
    }
    int rc = plan(&p, ret_err);
    size_t puffs = rc == 0 ? (size_t)llround(release->duration_s / p.step_s) : 0;
    for (size_t k = 0; rc == 0 && k < puffs; k++) {
        struct puff puff = {
            .x_m = release->x_m, .y_m = release->y_m, .mass = release->rate * p.step_s};
        for (size_t bin = k; rc == 0 && bin < p.steps; bin++) {
            rc = step_puff(&p, &puff, bin, ret_err);
            if (rc == ERR_STALE && release->reach_m > 0) {
                rc = 0;
                break;
            }
            if (left(&p, &puff)) {
                break;
            }
        }
    }
    if (rc == 0) {
        tell(&p);
    }
    free(p.means);
    return rc;
}
