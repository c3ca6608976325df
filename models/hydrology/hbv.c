#include "models/hydrology/hbv.h"

#include <math.h>
#include <string.h>

static int check(const struct hbv_parameters *p, struct err *ret_err) {
    const struct {
        const char *name;
        double value, min, max;
    } bounds[] = {
        {"TT", p->tt_c, -10, 10},
        {"CFMAX", p->cfmax_mm_k_day, 0, 50},
        {"CFR", p->cfr, 0, 1},
        {"CWH", p->cwh, 0, 1},
        {"FC", p->fc_mm, 1, 1e4},
        {"BETA", p->beta, 0.1, 50},
        {"LP", p->lp, 0.01, 1},
        {"K0", p->k0_day, 0, 1},
        {"K1", p->k1_day, 0, 1},
        {"K2", p->k2_day, 0, 1},
        {"UZL", p->uzl_mm, 0, 1e4},
        {"PERC", p->perc_mm_day, 0, 1e3},
        {"MAXBAS", p->maxbas_day, 0.01, 15},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        if (!(bounds[i].value >= bounds[i].min && bounds[i].value <= bounds[i].max)) {
            return err_set(ret_err, ERR_RANGE, "%s = %g is not within %g to %g", bounds[i].name,
                           bounds[i].value, bounds[i].min, bounds[i].max);
        }
    }
    return 0;
}

/* Share of a triangle of base 1 that lies before x. */
static double triangle(double x) {
    if (x <= 0) {
        return 0;
    }
    if (x >= 1) {
        return 1;
    }
    return x < 0.5 ? 2 * x * x : 1 - 2 * (1 - x) * (1 - x);
}

int hbv_init(struct hbv *ret_hbv, double dt_h, const struct hbv_parameters *parameters,
             struct err *ret_err) {
    int rc = check(parameters, ret_err);
    if (rc != 0) {
        return rc;
    }
    if (!(dt_h >= 1 && dt_h <= 24)) {
        return err_set(ret_err, ERR_RANGE, "a step of %g h; 1 to 24 are possible", dt_h);
    }
    memset(ret_hbv, 0, sizeof *ret_hbv);
    ret_hbv->parameters = *parameters;
    ret_hbv->dt_day = dt_h / 24;
    double base = parameters->maxbas_day / ret_hbv->dt_day;
    ret_hbv->n = (int)ceil(base); /* at most 15 d in steps of 1 h: 360 */
    for (int i = 0; i < ret_hbv->n; i++) {
        ret_hbv->weight[i] = triangle((i + 1) / base) - triangle(i / base);
    }
    return 0;
}

void hbv_state_start(const struct hbv *hbv, struct hbv_state *ret_state) {
    memset(ret_state, 0, sizeof *ret_state);
    ret_state->soil_mm = 0.5 * hbv->parameters.fc_mm;
}

double hbv_stored_mm(const struct hbv *hbv, const struct hbv_state *state) {
    double sum =
        state->pack_mm + state->liquid_mm + state->soil_mm + state->upper_mm + state->lower_mm;
    for (int i = 0; i < hbv->n; i++) {
        sum += state->route_mm[i];
    }
    return sum;
}

/* Water that reaches the soil. */
static double snow(const struct hbv *hbv, struct hbv_state *state, double rain_mm,
                   double temperature_c) {
    const struct hbv_parameters *p = &hbv->parameters;
    double potential_mm = p->cfmax_mm_k_day * fabs(temperature_c - p->tt_c) * hbv->dt_day;
    if (temperature_c < p->tt_c) {
        double frozen = fmin(state->liquid_mm, p->cfr * potential_mm);
        state->pack_mm += rain_mm + frozen;
        state->liquid_mm -= frozen;
    } else {
        double melt = fmin(state->pack_mm, potential_mm);
        state->pack_mm -= melt;
        state->liquid_mm += melt + rain_mm;
    }
    double out = fmax(0, state->liquid_mm - p->cwh * state->pack_mm);
    state->liquid_mm -= out;
    return out;
}

/* Recharge of the upper zone; the soil takes the rest and evaporates. */
static double soil(const struct hbv *hbv, struct hbv_state *state, double water_mm,
                   double evaporation_mm, double *ret_actual_mm) {
    const struct hbv_parameters *p = &hbv->parameters;
    double recharge = water_mm * pow(fmin(1, state->soil_mm / p->fc_mm), p->beta);
    state->soil_mm += water_mm - recharge;
    if (state->soil_mm > p->fc_mm) {
        recharge += state->soil_mm - p->fc_mm;
        state->soil_mm = p->fc_mm;
    }
    double actual = evaporation_mm * fmin(1, state->soil_mm / (p->lp * p->fc_mm));
    actual = fmin(actual, state->soil_mm);
    state->soil_mm -= actual;
    *ret_actual_mm = actual;
    return recharge;
}

static double response(const struct hbv *hbv, struct hbv_state *state, double recharge_mm) {
    const struct hbv_parameters *p = &hbv->parameters;
    state->upper_mm += recharge_mm;
    double percolated = fmin(state->upper_mm, p->perc_mm_day * hbv->dt_day);
    state->upper_mm -= percolated;
    state->lower_mm += percolated;
    double fast = p->k0_day * hbv->dt_day * fmax(0, state->upper_mm - p->uzl_mm);
    double middle = p->k1_day * hbv->dt_day * state->upper_mm;
    double upper = fmin(state->upper_mm, fast + middle);
    double slow = p->k2_day * hbv->dt_day * state->lower_mm;
    state->upper_mm -= upper;
    state->lower_mm -= slow;
    return upper + slow;
}

double hbv_step(const struct hbv *hbv, struct hbv_state *state, double rain_mm,
                double evaporation_mm, double temperature_c, struct hbv_flux *ret_flux) {
    if (isnan(rain_mm) || isnan(evaporation_mm) || isnan(temperature_c)) {
        return NAN;
    }
    double actual_mm = 0;
    double water_mm = snow(hbv, state, rain_mm, temperature_c);
    double recharge_mm = soil(hbv, state, water_mm, evaporation_mm, &actual_mm);
    double leaving_mm = response(hbv, state, recharge_mm);
    double runoff_mm = state->route_mm[0] + hbv->weight[0] * leaving_mm;
    for (int i = 1; i < hbv->n; i++) {
        state->route_mm[i - 1] = state->route_mm[i] + hbv->weight[i] * leaving_mm;
    }
    if (ret_flux != NULL) {
        ret_flux->evaporation_mm = actual_mm;
        ret_flux->runoff_mm = runoff_mm;
    }
    return runoff_mm;
}
