#include "models/hydrology/skill.h"

#include <math.h>

static int usable(double a, double b) {
    return !isnan(a) && !isnan(b);
}

struct sums {
    double n, mean_o, mean_f;
};

static struct sums means(const double *observed, const double *forecast, size_t count) {
    struct sums s = {0, 0, 0};
    for (size_t i = 0; i < count; i++) {
        if (usable(observed[i], forecast[i])) {
            s.n += 1;
            s.mean_o += observed[i];
            s.mean_f += forecast[i];
        }
    }
    s.mean_o /= s.n;
    s.mean_f /= s.n;
    return s;
}

double skill_nse(const double *observed, const double *forecast, size_t count) {
    struct sums s = means(observed, forecast, count);
    double error = 0, variance = 0;
    for (size_t i = 0; i < count; i++) {
        if (usable(observed[i], forecast[i])) {
            double e = observed[i] - forecast[i], d = observed[i] - s.mean_o;
            error += e * e;
            variance += d * d;
        }
    }
    return s.n < 2 || variance <= 0 ? NAN : 1 - error / variance;
}

double skill_kge(const double *observed, const double *forecast, size_t count) {
    struct sums s = means(observed, forecast, count);
    double oo = 0, ff = 0, of = 0;
    for (size_t i = 0; i < count; i++) {
        if (usable(observed[i], forecast[i])) {
            double o = observed[i] - s.mean_o, f = forecast[i] - s.mean_f;
            oo += o * o;
            ff += f * f;
            of += o * f;
        }
    }
    if (s.n < 2 || oo <= 0 || ff <= 0 || s.mean_o == 0) {
        return NAN;
    }
    double r = of / sqrt(oo * ff), alpha = sqrt(ff / oo), beta = s.mean_f / s.mean_o;
    return 1 - sqrt((r - 1) * (r - 1) + (alpha - 1) * (alpha - 1) + (beta - 1) * (beta - 1));
}

double skill_persistence(const double *observed, const double *forecast, const double *at_issue,
                         size_t count) {
    double error = 0, persistence = 0;
    for (size_t i = 0; i < count; i++) {
        if (usable(observed[i], forecast[i]) && !isnan(at_issue[i])) {
            double e = observed[i] - forecast[i], p = observed[i] - at_issue[i];
            error += e * e;
            persistence += p * p;
        }
    }
    return persistence <= 0 ? NAN : 1 - error / persistence;
}
