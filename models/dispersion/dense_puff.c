#include "models/dispersion/dense_puff.h"

#include <math.h>
#include <stddef.h>

#define PI           3.14159265358979323846
#define GRAVITY_M_S2 9.81
#define AT_ONCE      0.20
#define CONTINUOUS   0.15
#define LONG         2.5
#define SHORT        0.6
#define DRIFT        0.4 /* of the wind at 10 m */
#define SPREAD       1.2
#define NEAR_FACTOR  3.24

enum { CURVES = 7 };
static const struct dense_curve curves[CURVES] = {
    {0.1, {{-0.44, 0, 0.70}, {0.43, 0.26, 0.81}, {HUGE_VAL, 0, 0.93}}},
    {0.05, {{-0.56, 0, 0.85}, {0.31, 0.26, 1.00}, {HUGE_VAL, -0.12, 1.12}}},
    {0.02, {{-0.66, 0, 0.95}, {0.32, 0.36, 1.19}, {HUGE_VAL, -0.26, 1.38}}},
    {0.01, {{-0.71, 0, 1.15}, {0.37, 0.34, 1.39}, {HUGE_VAL, -0.38, 1.66}}},
    {0.005, {{-0.52, 0, 1.48}, {0.24, 0.26, 1.62}, {HUGE_VAL, -0.30, 1.75}}},
    {0.002, {{0.27, 0, 1.83}, {HUGE_VAL, -0.32, 1.92}, {HUGE_VAL, 0, 0}}},
    {0.001, {{-0.10, 0, 2.075}, {HUGE_VAL, -0.27, 2.05}, {HUGE_VAL, 0, 0}}},
};

struct scales {
    double volume_m3, length_m, buoyancy_m_s2, ratio; /* (g0' V0^(1/3))^(1/2) / u */
};

static int find_scales(const struct dense_puff *p, struct scales *ret) {
    const struct dense_release *r = &p->release;
    double share = 0;
    int rc = dense_share(r, 1, &share); /* all of the release is checked there */
    if (rc != 0 || !(p->duration_s > 0) || isinf(p->duration_s)) {
        return ERR_RANGE;
    }
    struct scales s = {.volume_m3 = r->rate_kg_s * p->duration_s / r->gas_density_kg_m3};
    s.length_m = cbrt(s.volume_m3);
    s.buoyancy_m_s2 = GRAVITY_M_S2 * (r->gas_density_kg_m3 / r->air_density_kg_m3 - 1);
    s.ratio = sqrt(s.buoyancy_m_s2 * s.length_m) / r->wind_m_s;
    *ret = s;
    return 0;
}

int dense_puff_is(const struct dense_puff *p, bool *ret_dense) {
    const struct dense_release *r = &p->release;
    struct scales s;
    *ret_dense = false;
    if (!(r->gas_density_kg_m3 > r->air_density_kg_m3)) {
        return r->gas_density_kg_m3 > 0 && r->air_density_kg_m3 > 0 ? 0 : ERR_RANGE;
    }
    int rc = find_scales(p, &s);
    if (rc == 0) {
        double flow_m3_s = r->rate_kg_s / r->gas_density_kg_m3;
        double width_m = sqrt(flow_m3_s / r->wind_m_s);
        *ret_dense = s.ratio > AT_ONCE ||
                     cbrt(s.buoyancy_m_s2 * flow_m3_s / width_m) / r->wind_m_s > CONTINUOUS;
    }
    return rc;
}

/* Of a gas with the temperature of the air. */
static double isothermal(double units, double a) {
    double b = log10(units), from_b = dense_curve_distance(&curves[0], a), from = curves[0].share;
    if (b <= from_b) { /* joins the first curve */
        double near = NEAR_FACTOR / (NEAR_FACTOR + units * units);
        double there = NEAR_FACTOR / (NEAR_FACTOR + pow(10, 2 * from_b));
        return fmax(near + (from - there) * units * units / pow(10, 2 * from_b), from);
    }
    return dense_curves_share(curves + 1, CURVES - 1, a, b, from_b, from);
}

int dense_puff_share(const struct dense_puff *p, double x_m, double *ret_share) {
    struct scales s;
    int rc = find_scales(p, &s);
    if (rc != 0 || !(x_m > 0) || isinf(x_m)) {
        return ERR_RANGE;
    }
    double c = isothermal(x_m / s.length_m, log10(s.ratio));
    *ret_share = c / (c + (1 - c) * p->release.gas_temperature_k / p->release.air_temperature_k);
    return 0;
}

/* Times at which front and rear of the cloud pass x: x = 0.4 u t +- R(t), squared in t. */
static bool passage(const struct scales *s, double wind_m_s, double x_m, double y_m,
                    double *ret_front_s, double *ret_rear_s) {
    double v = DRIFT * wind_m_s, growth = SPREAD * sqrt(s->buoyancy_m_s2 * s->volume_m3);
    double radius2 = pow(s->volume_m3 / PI, 2.0 / 3); /* as high as wide at first */
    /* (x - v t)^2 + y^2 = R0^2 + growth t */
    double b = 2 * v * x_m + growth, c = x_m * x_m + y_m * y_m - radius2;
    double root2 = b * b - 4 * v * v * c;
    if (!(root2 >= 0)) {
        return false;
    }
    *ret_front_s = fmax((b - sqrt(root2)) / (2 * v * v), 0);
    *ret_rear_s = (b + sqrt(root2)) / (2 * v * v);
    return *ret_rear_s > 0;
}

/* The cloud's height once its middle is at x. */
static double height_m(const struct scales *s, double wind_m_s, double x_m, double share) {
    double t = x_m / (DRIFT * wind_m_s);
    double growth = SPREAD * sqrt(s->buoyancy_m_s2 * s->volume_m3);
    double radius2 = pow(s->volume_m3 / PI, 2.0 / 3) + growth * t;
    return s->volume_m3 / share / (PI * radius2);
}

int dense_puff_at(const struct dense_puff *p, double x_m, double y_m, double z_m,
                  struct dense_passage *ret) {
    struct scales s;
    struct dense_passage seen = {0, (double)NAN, (double)NAN};
    double share = 0, steady = 0, wind = p->release.wind_m_s, front = 0, rear = 0;
    int rc = find_scales(p, &s);
    if (rc != 0 || isnan(x_m) || isnan(y_m)) {
        return ERR_RANGE;
    }
    if (x_m > 0) {
        double duration = wind * p->duration_s / x_m;
        rc = dense_puff_share(p, x_m, &share);
        rc = rc != 0 ? rc : dense_share_at(&p->release, x_m, y_m, z_m, &steady);
        bool comes =
            passage(&s, wind, x_m, y_m, &front, &rear) && z_m <= height_m(&s, wind, x_m, share);
        share = comes ? share : 0;
        seen.share = duration >= LONG ? steady : duration <= SHORT ? share : fmin(share, steady);
        if (rc == 0 && seen.share > 0) {
            seen.arrival_s = duration >= LONG ? x_m / wind : front;
            seen.last_s = duration >= LONG ? x_m / wind + p->duration_s
                                           : rear + (duration <= SHORT ? 0 : p->duration_s);
        }
    }
    if (rc == 0) {
        *ret = seen;
    }
    return rc;
}
