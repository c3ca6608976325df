#include "models/hydrology/gr.h"

#include <math.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

static inline double not_below_0(double x) {
    return x > 0 ? x : 0;
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
    double filled = not_below_0(routing + q9 + exchange);
    flux->exchange_mm = filled - routing - q9;
    r = filled * gr->per_x3;
    double r2 = r * r;
    double routed = filled * quarter_loss(r2 * r2);
    state->routing_mm = filled - routed;
    double direct = not_below_0(q1 + exchange);
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

/* ---- many basins ---- */

enum { LANES = 2, PAIRS = 2 };

/* As one_step(), operation by operation. */
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef long long mask __attribute__((vector_size(LANES * sizeof(double))));

struct pair {
    const struct gr_job *jobs; /* [LANES] */
    int n1, n2;                /* the longer ones; the shares behind the shorter are zero */
    lanes x1, x2, per_x1, per_x3, per_percolation, split9, split1;
    lanes production, routing;
    lanes uh1[GR_UH1_MAX + 1], uh2[GR_UH2_MAX + 1], share1[GR_UH1_MAX + 1], share2[GR_UH2_MAX + 1];
};

static inline lanes choose(mask which, lanes yes, lanes no) {
    return (lanes)(((mask)yes & which) | ((mask)no & ~which));
}

static inline lanes root(lanes x) {
#ifdef __SSE2__
    return (lanes)_mm_sqrt_pd((__m128d)x);
#else
    for (int l = 0; l < LANES; l++) {
        x[l] = sqrt(x[l]);
    }
    return x;
#endif
}

static inline lanes quarter_loss_of(lanes v) {
    return 1 - 1 / root(root(1 + v));
}

static inline void tanh_of(lanes x, lanes *ret_top, lanes *ret_bottom) {
    if (x[0] > 0.5 || x[1] > 0.5) { /* seldom */
        for (int l = 0; l < LANES; l++) {
            struct quotient t = tanh_quotient(x[l]);
            (*ret_top)[l] = t.top;
            (*ret_bottom)[l] = t.bottom;
        }
        return;
    }
    lanes y = x * x;
    *ret_top = x * (135135 + y * (17325 + y * (378 + y)));
    *ret_bottom = 135135 + y * (62370 + y * (3150 + y * 28));
}

static inline void pass_of(lanes *restrict water, const lanes *restrict share, int count,
                           lanes in) {
    for (int k = 1; k < count; k++) {
        water[k - 1] = water[k] + share[k] * in;
    }
}

static inline lanes step_of(struct pair *pair, lanes rain, lanes evaporation) {
    const lanes zero = {0, 0}, cap = {13, 13};
    lanes store = pair->production, s = store * pair->per_x1;
    mask dry = rain <= evaporation;
    lanes net = choose(dry, evaporation - rain, rain - evaporation), scaled = net * pair->per_x1;
    lanes top, bottom;
    tanh_of(choose(scaled < cap, scaled, cap), &top, &bottom);
    lanes base = choose(dry, store * (2 - s), pair->x1 * (1 - s * s));
    lanes moved = base * top / (bottom + choose(dry, 1 - s, s) * top);
    store = choose(dry, store - moved, store + moved);
    lanes effective = choose(dry, zero, net - moved);
    store = choose(store < 0, zero, store);
    s = store * pair->per_x1;
    lanes s2 = s * s, percolated = store * quarter_loss_of(s2 * s2 * pair->per_percolation);
    pair->production = store - percolated;
    effective += percolated;

    lanes in9 = pair->split9 * effective, in1 = pair->split1 * effective;
    lanes q9 = pair->uh1[0] + pair->share1[0] * in9, q1 = pair->uh2[0] + pair->share2[0] * in1;
    pass_of(pair->uh1, pair->share1, pair->n1, in9);
    pass_of(pair->uh2, pair->share2, pair->n2, in1);

    lanes routing = pair->routing, r = routing * pair->per_x3;
    lanes exchange = pair->x2 * (r * r * r * root(r));
    lanes filled = routing + q9 + exchange;
    filled = choose(filled > 0, filled, zero);
    r = filled * pair->per_x3;
    lanes r2 = r * r, routed = filled * quarter_loss_of(r2 * r2);
    pair->routing = filled - routed;
    lanes direct = q1 + exchange;
    return routed + choose(direct > 0, direct, zero);
}

static void load_pair(struct pair *pair, const struct gr_job *jobs) {
    pair->jobs = jobs;
    pair->n1 = pair->n2 = 0;
    for (int l = 0; l < LANES; l++) {
        pair->n1 = jobs[l].gr->n1 > pair->n1 ? jobs[l].gr->n1 : pair->n1;
        pair->n2 = jobs[l].gr->n2 > pair->n2 ? jobs[l].gr->n2 : pair->n2;
    }
    for (int l = 0; l < LANES; l++) {
        const struct gr *gr = jobs[l].gr;
        const struct gr_state *state = jobs[l].state;
        pair->x1[l] = gr->parameters.x1_mm;
        pair->x2[l] = gr->parameters.x2_mm;
        pair->per_x1[l] = gr->per_x1;
        pair->per_x3[l] = gr->per_x3;
        pair->per_percolation[l] = gr->per_percolation;
        pair->split9[l] = gr->split9;
        pair->split1[l] = gr->split1;
        pair->production[l] = state->production_mm;
        pair->routing[l] = state->routing_mm;
        for (int k = 0; k < pair->n1; k++) {
            pair->share1[k][l] = k < gr->n1 ? gr->uh1[k] : 0;
            pair->uh1[k][l] = k < gr->n1 ? state->uh1_mm[k] : 0;
        }
        for (int k = 0; k < pair->n2; k++) {
            pair->share2[k][l] = k < gr->n2 ? gr->uh2[k] : 0;
            pair->uh2[k][l] = k < gr->n2 ? state->uh2_mm[k] : 0;
        }
    }
}

static void store_lane(const struct pair *pair, int l) {
    const struct gr *gr = pair->jobs[l].gr;
    struct gr_state *state = pair->jobs[l].state;
    state->production_mm = pair->production[l];
    state->routing_mm = pair->routing[l];
    for (int k = 0; k < gr->n1; k++) {
        state->uh1_mm[k] = pair->uh1[k][l];
    }
    for (int k = 0; k < gr->n2; k++) {
        state->uh2_mm[k] = pair->uh2[k][l];
    }
}

/* A step in which a lane has no rain or evaporation: its state stays, the others go on alone. */
static void step_with_gap(struct pair *pair, size_t i) {
    for (int l = 0; l < LANES; l++) {
        const struct gr_job *job = &pair->jobs[l];
        store_lane(pair, l);
        job->runoff_mm[i] =
            gr_step(job->gr, job->state, job->rain_mm[i], job->evaporation_mm[i], NULL);
    }
    load_pair(pair, pair->jobs);
}

static inline void step_pair(struct pair *pair, size_t i) {
    lanes rain, evaporation;
    for (int l = 0; l < LANES; l++) {
        rain[l] = pair->jobs[l].rain_mm[i];
        evaporation[l] = pair->jobs[l].evaporation_mm[i];
    }
    lanes sum = rain + evaporation; /* NaN when one of them is */
    if (isnan(sum[0]) || isnan(sum[1])) {
        step_with_gap(pair, i);
        return;
    }
    lanes runoff = step_of(pair, rain, evaporation);
    for (int l = 0; l < LANES; l++) {
        pair->jobs[l].runoff_mm[i] = runoff[l];
    }
}

void gr_run_many(const struct gr_job *jobs, size_t job_count, size_t count) {
    size_t done = 0;
    struct pair pairs[PAIRS];
    for (; done + PAIRS * LANES <= job_count; done += PAIRS * LANES) {
        load_pair(&pairs[0], jobs + done);
        load_pair(&pairs[1], jobs + done + LANES);
        for (size_t i = 0; i < count; i++) {
            step_pair(&pairs[0], i);
            step_pair(&pairs[1], i);
        }
        for (int l = 0; l < LANES; l++) {
            store_lane(&pairs[0], l);
            store_lane(&pairs[1], l);
        }
    }
    for (; done < job_count; done++) {
        const struct gr_job *job = &jobs[done];
        gr_run(job->gr, job->state, job->rain_mm, job->evaporation_mm, count, job->runoff_mm);
    }
}
