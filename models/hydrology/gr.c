#include "models/hydrology/gr.h"

#include <math.h>
#include <string.h>

/* S-curve of the first unit hydrograph (t in steps). */
static double s_curve_1(double t, double x4, double exponent) {
    if (t <= 0) {
        return 0;
    }
    return t < x4 ? pow(t / x4, exponent) : 1;
}

static double s_curve_2(double t, double x4, double exponent) {
    if (t <= 0) {
        return 0;
    }
    if (t <= x4) {
        return 0.5 * pow(t / x4, exponent);
    }
    return t < 2 * x4 ? 1 - 0.5 * pow(2 - t / x4, exponent) : 1;
}

int gr_init(struct gr *ret_gr, enum gr_step_length step, const struct gr_parameters *parameters,
            bool compat_split, struct err *ret_err) {
    double x4_max = step == GR_DAILY ? 20 : GR_UH1_MAX;
    const struct {
        const char *name;
        double value;
        double min;
        double max;
    } bounds[] = {
        {"X1", parameters->x1_mm, 1e-2, 1e5},
        {"X2", parameters->x2_mm, -1e3, 1e3},
        {"X3", parameters->x3_mm, 1e-2, 1e5},
        {"X4", parameters->x4, 0.5, x4_max},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        if (!(bounds[i].value >= bounds[i].min && bounds[i].value <= bounds[i].max)) {
            return err_set(ret_err, ERR_RANGE, "%s = %g is not within %g to %g", bounds[i].name,
                           bounds[i].value, bounds[i].min, bounds[i].max);
        }
    }
    double exponent = step == GR_DAILY ? 2.5 : 1.25;
    memset(ret_gr, 0, sizeof *ret_gr);
    ret_gr->parameters = *parameters;
    ret_gr->step = step;
    ret_gr->percolation = step == GR_DAILY ? 25.62890625 : 759.69140625;
    ret_gr->per_x1 = 1 / parameters->x1_mm;
    ret_gr->per_x3 = 1 / parameters->x3_mm;
    ret_gr->per_percolation = 1 / ret_gr->percolation;
    ret_gr->split9 = compat_split ? (double)0.9F : 0.9;
    ret_gr->split1 = compat_split ? 1 - (double)0.9F : 0.1;
    ret_gr->n1 = (int)ceil(parameters->x4);
    ret_gr->n2 = (int)ceil(2 * parameters->x4);
    for (int k = 0; k < ret_gr->n1; k++) {
        ret_gr->uh1[k] =
            s_curve_1(k + 1, parameters->x4, exponent) - s_curve_1(k, parameters->x4, exponent);
    }
    for (int k = 0; k < ret_gr->n2; k++) {
        ret_gr->uh2[k] =
            s_curve_2(k + 1, parameters->x4, exponent) - s_curve_2(k, parameters->x4, exponent);
    }
    return 0;
}

void gr_state_start(const struct gr *gr, struct gr_state *ret_state) {
    memset(ret_state, 0, sizeof *ret_state);
    ret_state->production_mm = 0.3 * gr->parameters.x1_mm;
    ret_state->routing_mm = 0.5 * gr->parameters.x3_mm;
}

void gr_state_copy(const struct gr *gr, struct gr_state *ret_state, const struct gr_state *state) {
    ret_state->production_mm = state->production_mm;
    ret_state->routing_mm = state->routing_mm;
    memcpy(ret_state->uh1_mm, state->uh1_mm, (size_t)(gr->n1 + GR_UH_ROOM) * sizeof *state->uh1_mm);
    memcpy(ret_state->uh2_mm, state->uh2_mm, (size_t)(gr->n2 + GR_UH_ROOM) * sizeof *state->uh2_mm);
}

double gr_stored_mm(const struct gr *gr, const struct gr_state *state) {
    double sum = state->production_mm + state->routing_mm;
    for (int k = 0; k < gr->n1; k++) {
        sum += state->uh1_mm[k];
    }
    for (int k = 0; k < gr->n2; k++) {
        sum += state->uh2_mm[k];
    }
    return sum;
}

/* tanh(x) = top / bottom for 0 <= x <= 13 with correctly rounded operations only: Lambert's
 * continued fraction up to 0.5 (relative error below 1e-15 at 7 terms), then tanh(2y) = 2 t / (1 +
 * t^2). Left as a quotient, because the store divides it again. */
struct quotient {
    double top;
    double bottom;
};

static inline struct quotient tanh_quotient(double x) {
    int doublings = 0;
    while (x > 0.5) {
        x *= 0.5;
        doublings++;
    }
    double y = x * x;
    /* The fraction x/(1+y/(3+y/(5+y/(7+y/(9+y/(11+y/13)))))) brought to one quotient. */
    struct quotient t = {x * (135135 + y * (17325 + y * (378 + y))),
                         135135 + y * (62370 + y * (3150 + y * 28))};
    while (doublings > 0) {
        double ratio = t.top / t.bottom; /* so that the two cannot overflow */
        t = (struct quotient){2 * ratio, 1 + ratio * ratio};
        doublings--;
    }
    return t;
}

/* Moves the water of a unit hydrograph one step on and adds the new. In blocks of four, which the
 * compiler turns into vectors; behind the last ordinate both arrays are zero. */
static inline void pass(double *restrict water, const double *restrict share, int count,
                        double in) {
    for (int k = 1; k < count; k += 4) {
        double a = water[k] + share[k] * in, b = water[k + 1] + share[k + 1] * in;
        double c = water[k + 2] + share[k + 2] * in, d = water[k + 3] + share[k + 3] * in;
        water[k - 1] = a;
        water[k] = b;
        water[k + 1] = c;
        water[k + 2] = d;
    }
}

/* 1 - (1 + v)^(-1/4) */
static inline double quarter_loss(double v) {
    return 1 - 1 / sqrt(sqrt(1 + v));
}

static inline double one_step(const struct gr *gr, struct gr_state *state, double rain_mm,
                              double evaporation_mm, struct gr_flux *flux) {
    const double x1 = gr->parameters.x1_mm;
    double store = state->production_mm;
    double s = store * gr->per_x1;
    double effective = 0;
    if (rain_mm <= evaporation_mm) {
        double net = evaporation_mm - rain_mm;
        struct quotient w = tanh_quotient(fmin(net * gr->per_x1, 13));
        double taken = store * (2 - s) * w.top / (w.bottom + (1 - s) * w.top);
        store -= taken;
        flux->evaporation_mm = taken + rain_mm;
    } else {
        double net = rain_mm - evaporation_mm;
        struct quotient w = tanh_quotient(fmin(net * gr->per_x1, 13));
        double kept = x1 * (1 - s * s) * w.top / (w.bottom + s * w.top);
        store += kept;
        effective = net - kept;
        flux->evaporation_mm = evaporation_mm;
    }
    if (store < 0) {
        flux->evaporation_mm += store;
        store = 0;
    }
    s = store * gr->per_x1;
    double s2 = s * s;
    double percolated = store * quarter_loss(s2 * s2 * gr->per_percolation);
    state->production_mm = store - percolated;
    effective += percolated;

    double in9 = gr->split9 * effective;
    double in1 = gr->split1 * effective;
    double q9 = state->uh1_mm[0] + gr->uh1[0] * in9;
    double q1 = state->uh2_mm[0] + gr->uh2[0] * in1;
    pass(state->uh1_mm, gr->uh1, gr->n1, in9);
    pass(state->uh2_mm, gr->uh2, gr->n2, in1);

    double routing = state->routing_mm;
    double r = routing * gr->per_x3;
    double exchange = gr->parameters.x2_mm * (r * r * r * sqrt(r));
    double filled = fmax(0, routing + q9 + exchange);
    flux->exchange_mm = filled - routing - q9;
    r = filled * gr->per_x3;
    double r2 = r * r;
    double routed = filled * quarter_loss(r2 * r2);
    state->routing_mm = filled - routed;
    double direct = fmax(0, q1 + exchange);
    flux->exchange_mm += direct - q1;
    flux->routed_mm = routed;
    flux->direct_mm = direct;
    flux->runoff_mm = routed + direct;
    return flux->runoff_mm;
}

double gr_step(const struct gr *gr, struct gr_state *state, double rain_mm, double evaporation_mm,
               struct gr_flux *ret_flux) {
    struct gr_flux flux;
    if (isnan(rain_mm) || isnan(evaporation_mm)) {
        return NAN;
    }
    double runoff_mm = one_step(gr, state, rain_mm, evaporation_mm, &flux);
    if (ret_flux != NULL) {
        *ret_flux = flux;
    }
    return runoff_mm;
}

void gr_run(const struct gr *gr, struct gr_state *state, const double *rain_mm,
            const double *evaporation_mm, size_t count, double *ret_runoff_mm) {
    struct gr_flux flux;
    for (size_t i = 0; i < count; i++) {
        if (isnan(rain_mm[i]) || isnan(evaporation_mm[i])) {
            ret_runoff_mm[i] = NAN;
        } else {
            ret_runoff_mm[i] = one_step(gr, state, rain_mm[i], evaporation_mm[i], &flux);
        }
    }
}
