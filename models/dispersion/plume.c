#include "models/dispersion/plume.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#define KARMAN 0.4
#define PI     3.14159265358979323846

enum { IMAGES_MAX = 64, PROFILE_STEPS_MAX = 200 };

/* sigma = a x (1 + b x)^p */
struct curve {
    double a, b, p;
};

static double along(struct curve c, double x_m) {
    return c.a * x_m * pow(1 + c.b * x_m, c.p);
}

static const struct curve rural_y[] = {{0.22, 1e-4, -0.5}, {0.16, 1e-4, -0.5}, {0.11, 1e-4, -0.5},
                                       {0.08, 1e-4, -0.5}, {0.06, 1e-4, -0.5}, {0.04, 1e-4, -0.5}};
static const struct curve rural_z[] = {{0.20, 0, 0},         {0.12, 0, 0},     {0.08, 2e-4, -0.5},
                                       {0.06, 1.5e-3, -0.5}, {0.03, 3e-4, -1}, {0.016, 3e-4, -1}};
static const struct curve urban_y[] = {{0.32, 4e-4, -0.5}, {0.32, 4e-4, -0.5}, {0.22, 4e-4, -0.5},
                                       {0.16, 4e-4, -0.5}, {0.11, 4e-4, -0.5}, {0.11, 4e-4, -0.5}};
static const struct curve urban_z[] = {{0.24, 1e-3, 0.5},    {0.24, 1e-3, 0.5},
                                       {0.20, 0, 0},         {0.14, 3e-4, -0.5},
                                       {0.08, 1.5e-3, -0.5}, {0.08, 1.5e-3, -0.5}};

int plume_sigma_briggs(enum plume_curves curves, enum plume_class stability, double x_m,
                       double *ret_sigma_y_m, double *ret_sigma_z_m) {
    if (!(x_m > 0) || isinf(x_m) || (int)stability < PLUME_A || stability > PLUME_F) {
        return ERR_RANGE;
    }
    bool urban = curves == PLUME_URBAN;
    *ret_sigma_y_m = along(urban ? urban_y[stability] : rural_y[stability], x_m);
    *ret_sigma_z_m = along(urban ? urban_z[stability] : rural_z[stability], x_m);
    return 0;
}

static double gauss(double distance, double sigma) {
    double t = distance / sigma;
    return exp(-0.5 * t * t);
}

double plume_vertical(double z_m, double height_m, double sigma_z_m, double lid_m) {
    double norm = 1 / (sqrt(2 * PI) * sigma_z_m);
    double sum = gauss(z_m - height_m, sigma_z_m) + gauss(z_m + height_m, sigma_z_m);
    if (isnan(lid_m)) {
        return norm * sum;
    }
    if (z_m > lid_m) {
        return 0;
    }
    if (sigma_z_m > 1.6 * lid_m) {
        return 1 / lid_m;
    }
    for (int j = 1; j < IMAGES_MAX; j++) {
        double up = 2 * j * lid_m;
        double add = gauss(z_m - height_m + up, sigma_z_m) + gauss(z_m - height_m - up, sigma_z_m) +
                     gauss(z_m + height_m + up, sigma_z_m) + gauss(z_m + height_m - up, sigma_z_m);
        sum += add;
        if (add <= 1e-17 * sum) {
            break;
        }
    }
    return norm * sum;
}

double plume_concentration(double rate, double wind_m_s, double sigma_y_m, double sigma_z_m,
                           double y_m, double z_m, double height_m, double lid_m) {
    return rate / (sqrt(2 * PI) * wind_m_s * sigma_y_m) * gauss(y_m, sigma_y_m) *
           plume_vertical(z_m, height_m, sigma_z_m, lid_m);
}

double puff_concentration(double mass, double sigma_xy_m, double sigma_z_m, double dx_m,
                          double dy_m, double z_m, double height_m, double lid_m) {
    return mass / (2 * PI * sigma_xy_m * sigma_xy_m) * gauss(hypot(dx_m, dy_m), sigma_xy_m) *
           plume_vertical(z_m, height_m, sigma_z_m, lid_m);
}

/* Bounds of |L| between A and B, B and C (E and F), C and D (D and E). */
struct golder {
    double free, near, far;
};

static struct golder golder_bounds(double z0_m) {
    double z0 = fmin(fmax(z0_m, 0.01), 0.5);
    return (struct golder){11.4 * pow(z0, 0.10), 26 * pow(z0, 0.17), 123 * pow(z0, 0.30)};
}

int plume_class_golder(double obukhov_m, double z0_m, enum plume_class *ret_class) {
    if (isnan(obukhov_m) || obukhov_m == 0 || !(z0_m > 0)) {
        return ERR_RANGE;
    }
    struct golder g = golder_bounds(z0_m);
    if (obukhov_m < 0) {
        *ret_class = obukhov_m > -g.free   ? PLUME_A
                     : obukhov_m > -g.near ? PLUME_B
                     : obukhov_m > -g.far  ? PLUME_C
                                           : PLUME_D;
    } else {
        *ret_class = obukhov_m < g.near ? PLUME_F : obukhov_m < g.far ? PLUME_E : PLUME_D;
    }
    return 0;
}

double plume_class_obukhov(enum plume_class stability, double z0_m) {
    struct golder g = golder_bounds(z0_m);
    const double lengths[] = {
        -g.free / 2,      -2 / (1 / g.free + 1 / g.near), -2 / (1 / g.near + 1 / g.far),
        (double)INFINITY, 2 / (1 / g.near + 1 / g.far),   g.near / 2};
    return lengths[stability];
}

int plume_class_turner(double wind_10m_m_s, enum plume_sky sky, enum plume_class *ret_class) {
    static const double limits[] = {2, 3, 5, 6};
    static const enum plume_class classes[5][5] = {
        {PLUME_A, PLUME_B, PLUME_B, PLUME_C, PLUME_C},
        {PLUME_B, PLUME_B, PLUME_C, PLUME_D, PLUME_D},
        {PLUME_B, PLUME_C, PLUME_C, PLUME_D, PLUME_D},
        {PLUME_F, PLUME_E, PLUME_D, PLUME_D, PLUME_D},
        {PLUME_F, PLUME_F, PLUME_E, PLUME_D, PLUME_D},
    };
    if (!(wind_10m_m_s >= 0) || isinf(wind_10m_m_s) || (int)sky < 0 || sky > PLUME_NIGHT_CLEAR) {
        return ERR_RANGE;
    }
    size_t column = 0;
    while (column < 4 && wind_10m_m_s >= limits[column]) {
        column++;
    }
    *ret_class = classes[sky][column];
    return 0;
}

int plume_surface_check(const struct plume_surface *s, struct err *ret_err) {
    const struct {
        const char *name;
        double value;
    } positive[] = {{"friction velocity", s->ustar_m_s},
                    {"roughness", s->z0_m},
                    {"wind", s->wind_m_s},
                    {"height of the wind", s->wind_height_m},
                    {"sigma of the wind direction", s->sigma_theta_rad}};
    for (size_t i = 0; i < sizeof positive / sizeof *positive; i++) {
        if (!(positive[i].value > 0) || isinf(positive[i].value)) {
            return err_set(ret_err, ERR_RANGE, "the %s must be above 0", positive[i].name);
        }
    }
    if (isnan(s->obukhov_m) || s->obukhov_m == 0) {
        return err_set(ret_err, ERR_RANGE, "the Obukhov length must be a number other than 0");
    }
    return 0;
}

/* Integrated stability correction of the wind profile: van Ulden and Holtslag (1985) when stable,
 * Businger and Dyer when unstable. */
static double stability_psi(double z_over_l) {
    if (z_over_l >= 0) {
        return -17 * (1 - exp(-0.29 * z_over_l));
    }
    double x = pow(1 - 16 * z_over_l, 0.25);
    return 2 * log((1 + x) / 2) + log((1 + x * x) / 2) - 2 * atan(x) + PI / 2;
}

static double profile(const struct plume_surface *s, double z_m) {
    double z = fmax(z_m, 10 * s->z0_m);
    return fmax(log(z / s->z0_m) - stability_psi(z / s->obukhov_m) +
                    stability_psi(s->z0_m / s->obukhov_m),
                0.3);
}

double plume_surface_wind(const struct plume_surface *s, double z_m) {
    return s->wind_m_s * profile(s, z_m) / profile(s, s->wind_height_m);
}

double plume_surface_ustar(const struct plume_surface *s) {
    return KARMAN * s->wind_m_s / profile(s, s->wind_height_m);
}

static double similarity_sigma_z(const struct plume_surface *s, double wind_m_s, double x_m) {
    double q = s->ustar_m_s / wind_m_s, ratio = x_m / fabs(s->obukhov_m);
    double linear = 0.57 * q * x_m;
    return s->obukhov_m > 0 ? linear / (1 + 3 * q * cbrt(ratio * ratio))
                            : linear * (1 + 1.5 * q * ratio);
}

int plume_similarity(const struct plume_surface *s, double height_m, double x_m,
                     double *ret_sigma_y_m, double *ret_sigma_z_m, double *ret_wind_m_s) {
    if (!(x_m > 0) || isinf(x_m) || !(height_m >= 0)) {
        return ERR_RANGE;
    }
    double scale = s->wind_m_s / profile(s, s->wind_height_m);
    double wind = scale * profile(s, height_m), sz = 0;
    for (int i = 0;; i++) {
        if (i == PROFILE_STEPS_MAX) {
            return ERR_RANGE;
        }
        sz = similarity_sigma_z(s, wind, x_m);
        double mean_m =
            sqrt(2 / PI) * sz * gauss(height_m, sz) + height_m * erf(height_m / (sqrt(2) * sz));
        double next = (wind + scale * profile(s, mean_m)) / 2;
        bool settled = fabs(next - wind) < 1e-6;
        wind = next;
        if (settled) {
            break;
        }
    }
    *ret_sigma_y_m = s->sigma_theta_rad * x_m / (1 + 0.0308 * pow(x_m, 0.4548));
    *ret_sigma_z_m = similarity_sigma_z(s, wind, x_m);
    *ret_wind_m_s = wind;
    return 0;
}
