#include "models/dispersion/dense.h"

#include <math.h>
#include <stddef.h>

#define GRAVITY_M_S2 9.81
#define NEAR         30.0
#define NEAR_FACTOR  306.0

enum { CURVES = 6 };
static const struct dense_curve curves[CURVES] = {
    {0.1, {{-0.55, 0, 1.75}, {-0.14, 0.24, 1.88}, {HUGE_VAL, -0.50, 1.78}}},
    {0.05, {{-0.68, 0, 1.92}, {-0.29, 0.36, 2.16}, {-0.18, 0, 2.06}, {HUGE_VAL, -0.56, 1.96}}},
    {0.02, {{-0.69, 0, 2.08}, {-0.31, 0.45, 2.39}, {-0.16, 0, 2.25}, {HUGE_VAL, -0.54, 2.16}}},
    {0.01, {{-0.70, 0, 2.25}, {-0.29, 0.49, 2.59}, {-0.20, 0, 2.45}, {HUGE_VAL, -0.52, 2.35}}},
    {0.005, {{-0.67, 0, 2.40}, {-0.28, 0.59, 2.80}, {-0.15, 0, 2.63}, {HUGE_VAL, -0.48, 2.56}}},
    {0.002, {{-0.69, 0, 2.60}, {-0.25, 0.39, 2.87}, {-0.13, 0, 2.77}, {HUGE_VAL, -0.50, 2.71}}},
};

double dense_curve_distance(const struct dense_curve *curve, double a) {
    size_t i = 0;
    while (i + 1 < DENSE_PIECES_MAX && !(a <= curve->pieces[i].below)) {
        i++;
    }
    return curve->pieces[i].slope * a + curve->pieces[i].constant;
}

double dense_curves_share(const struct dense_curve *list, size_t count, double a, double b,
                          double from_b, double from) {
    for (size_t i = 0; i < count; i++) {
        double to_b = dense_curve_distance(&list[i], a);
        if (b <= to_b) {
            return from + (list[i].share - from) * (b - from_b) / (to_b - from_b);
        }
        from_b = to_b;
        from = list[i].share;
    }
    return from * pow(10, 2 * (from_b - b));
}

struct scales {
    double flow_m3_s, width_m, buoyancy_m_s2, a;
};

static int find_scales(const struct dense_release *r, struct scales *ret) {
    const double positive[] = {r->rate_kg_s,         r->gas_density_kg_m3, r->air_density_kg_m3,
                               r->gas_temperature_k, r->air_temperature_k, r->wind_m_s};
    for (size_t i = 0; i < sizeof positive / sizeof *positive; i++) {
        if (!(positive[i] > 0) || isinf(positive[i])) {
            return ERR_RANGE;
        }
    }
    if (!(r->gas_density_kg_m3 > r->air_density_kg_m3)) {
        return ERR_RANGE;
    }
    struct scales s = {.flow_m3_s = r->rate_kg_s / r->gas_density_kg_m3};
    s.width_m = sqrt(s.flow_m3_s / r->wind_m_s);
    s.buoyancy_m_s2 = GRAVITY_M_S2 * (r->gas_density_kg_m3 / r->air_density_kg_m3 - 1);
    s.a = 0.2 * log10(s.buoyancy_m_s2 * s.buoyancy_m_s2 * s.flow_m3_s / pow(r->wind_m_s, 5));
    *ret = s;
    return 0;
}

/* Of a gas with the temperature of the air. */
static double isothermal(double units, double a) {
    double near = NEAR_FACTOR / (units * units);
    if (units <= NEAR) {
        return near / (1 + near);
    }
    near = NEAR_FACTOR / (NEAR * NEAR);
    return dense_curves_share(curves, CURVES, a, log10(units), log10(NEAR), near / (1 + near));
}

int dense_share(const struct dense_release *release, double x_m, double *ret_share) {
    struct scales s;
    int rc = find_scales(release, &s);
    if (rc != 0 || !(x_m > 0) || isinf(x_m)) {
        return ERR_RANGE;
    }
    double c = isothermal(x_m / s.width_m, s.a);
    *ret_share = c / (c + (1 - c) * release->gas_temperature_k / release->air_temperature_k);
    return 0;
}

int dense_share_at(const struct dense_release *release, double x_m, double y_m, double z_m,
                   double *ret_share) {
    struct scales s;
    int rc = find_scales(release, &s);
    if (rc != 0) {
        return rc;
    }
    if (!(x_m > 0)) {
        *ret_share = 0;
        return 0;
    }
    double u = release->wind_m_s, b = s.flow_m3_s * s.buoyancy_m_s2 / (u * u * u), share = 0;
    double half_m = s.width_m + 8 * b + 2.5 * cbrt(b * x_m * x_m);
    rc = dense_share(release, x_m, &share);
    /* What flows through the box at this dilution is what was released. */
    double height_m = rc == 0 ? s.flow_m3_s / (2 * u * half_m * share) : 0;
    if (rc == 0) {
        *ret_share = fabs(y_m) <= half_m && z_m <= height_m ? share : 0;
    }
    return rc;
}

double dense_concentration(const struct dense_release *release, double share) {
    return share * release->gas_density_kg_m3 * release->gas_temperature_k /
           release->air_temperature_k;
}
