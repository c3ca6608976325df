#include "models/hydrology/update.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "models/output/output.h"

/* phi1, phi2 of an AR(2) with roots inside the unit circle. */
static bool is_stable(double phi1, double phi2) {
    return fabs(phi2) < 1 && phi2 + phi1 < 1 && phi2 - phi1 < 1;
}

/* The raw error forecast `lead` steps after e0 (e1 one step before; NaN for the AR(1)), limited to
 * the size of e0 and UPDATE_TREND_STEPS more of its newest change. */
static double raw_correction(const struct update_model *model, double e0, double e1, int lead) {
    double now = e0, before = e1;
    if (isnan(e1)) {
        return e0 * pow(model->rho, lead);
    }
    for (int k = 0; k < lead; k++) {
        double next = model->phi1 * now + model->phi2 * before;
        before = now;
        now = next;
    }
    double limit = fabs(e0) + UPDATE_TREND_STEPS * fabs(e0 - e1);
    return fmax(-limit, fmin(limit, now));
}

static int fit_phi(const double *error, size_t count, struct update_model *model,
                   struct err *ret_err) {
    double s11 = 0, s12 = 0, s22 = 0, r1 = 0, r2 = 0;
    size_t used = 0;
    for (size_t i = 2; i < count; i++) {
        double a = error[i - 1], b = error[i - 2], y = error[i];
        if (isnan(a) || isnan(b) || isnan(y)) {
            continue;
        }
        s11 += a * a;
        s12 += a * b;
        s22 += b * b;
        r1 += a * y;
        r2 += b * y;
        used++;
    }
    double determinant = s11 * s22 - s12 * s12;
    if (used < UPDATE_PAIRS_MIN || !(s11 > 0) || !(determinant > 1e-12 * s11 * s22)) {
        return err_set(ret_err, ERR_INVALID,
                       "%zu steps with three known errors in a row (at least %d are needed), or "
                       "errors that do not vary",
                       used, UPDATE_PAIRS_MIN);
    }
    model->phi1 = (r1 * s22 - r2 * s12) / determinant;
    model->phi2 = (r2 * s11 - r1 * s12) / determinant;
    model->rho = fmax(0, fmin(0.999999, r1 / s11));
    if (!is_stable(model->phi1, model->phi2)) {
        return err_set(ret_err, ERR_INVALID, "the AR(2) of the errors is not stable: %g, %g",
                       model->phi1, model->phi2);
    }
    return 0;
}

/* The share of the raw correction that paid at each lead: 1 as long as the whole correction takes
 * away at least a quarter of the squared error of the open loop, then its least-squares factor on
 * the errors that came, within 0 and the share of the lead before. */
static void fit_gain(const struct update_model *model, const double *error, size_t count,
                     bool first_order, double *ret_gain) {
    bool near = true;
    ret_gain[0] = 1;
    for (int lead = 1; lead <= model->leads; lead++) {
        double product = 0, square = 0, open = 0;
        for (size_t i = 1; i + (size_t)lead < count; i++) {
            double then = error[i + (size_t)lead];
            double before = first_order ? NAN : error[i - 1];
            if (isnan(error[i]) || isnan(then) || (!first_order && isnan(before))) {
                continue;
            }
            double raw = raw_correction(model, error[i], before, lead);
            product += raw * then;
            square += raw * raw;
            open += then * then;
        }
        double share = square > 0 ? product / square : 0;
        near = near && open - 2 * product + square <= 0.75 * open;
        ret_gain[lead] = near ? 1 : fmax(0, fmin(share, ret_gain[lead - 1]));
    }
}

int update_fit(const double *observed, const double *simulated, size_t count, int leads,
               double step_s, struct update_model *ret_model, struct err *ret_err) {
    struct update_model model = {.leads = leads, .step_s = step_s};
    if (leads < 1 || leads > UPDATE_LEADS_MAX || !(step_s > 0)) {
        return err_set(ret_err, ERR_RANGE, "%d leads of %g s; 1 to %d are possible", leads, step_s,
                       UPDATE_LEADS_MAX);
    }
    double *error = malloc((count + 1) * sizeof *error);
    if (error == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu steps", count);
    }
    for (size_t i = 0; i < count; i++) {
        error[i] = observed[i] - simulated[i];
    }
    int rc = fit_phi(error, count, &model, ret_err);
    if (rc == 0) {
        fit_gain(&model, error, count, false, model.gain);
        fit_gain(&model, error, count, true, model.gain_1);
        *ret_model = model;
    }
    free(error);
    return rc;
}

double update_forecast(const struct update_model *model, const double *observed,
                       const double *simulated, size_t now, int lead, double simulated_then,
                       enum update_mark *ret_mark, int *ret_age) {
    if (ret_age != NULL) {
        *ret_age = -1;
    }
    if (isnan(simulated_then)) {
        *ret_mark = UPDATE_MISSING;
        return NAN;
    }
    *ret_mark = UPDATE_DROPPED;
    for (size_t age = 0; age <= UPDATE_AGE_MAX && age <= now; age++) {
        size_t at = now - age;
        int from_then = lead + (int)age;
        double e0 = observed[at] - simulated[at];
        if (isnan(e0)) {
            continue;
        }
        if (from_then < 1 || from_then > model->leads) {
            break; /* beyond what was fitted nothing is corrected */
        }
        double e1 = at > 0 ? observed[at - 1] - simulated[at - 1] : NAN;
        const double *gain = isnan(e1) ? model->gain_1 : model->gain;
        *ret_mark = isnan(e1) ? UPDATE_AR1 : UPDATE_OK;
        if (ret_age != NULL) {
            *ret_age = (int)age;
        }
        return fmax(0, simulated_then + gain[from_then] * raw_correction(model, e0, e1, from_then));
    }
    return simulated_then;
}

static json_t *gains(const double *gain, int leads) {
    json_t *array = json_array();
    for (int k = 0; array != NULL && k <= leads; k++) {
        (void)json_array_append_new(array, json_real(gain[k])); /* NULL is refused on loading */
    }
    return array;
}

json_t *update_pack(const struct update_model *model) {
    return json_pack("{s:s, s:i, s:f, s:f, s:f, s:f, s:o, s:o}", "kind", "update", "version", 1,
                     "step_s", model->step_s, "phi1", model->phi1, "phi2", model->phi2, "rho",
                     model->rho, "gain", gains(model->gain, model->leads), "gain_1",
                     gains(model->gain_1, model->leads));
}

static bool take_gains(const json_t *array, int *leads, double *ret_gain) {
    size_t size = json_array_size(array);
    if (size < 2 || size > UPDATE_LEADS_MAX + 1) {
        return false;
    }
    for (size_t k = 0; k < size; k++) {
        const json_t *value = json_array_get(array, k);
        ret_gain[k] = json_is_number(value) ? json_number_value(value) : NAN;
        if (!(ret_gain[k] >= 0 && ret_gain[k] <= 1)) {
            return false;
        }
    }
    *leads = (int)size - 1;
    return true;
}

int update_unpack(const char *name, json_t *root, struct update_model *ret_model,
                  struct err *ret_err) {
    struct update_model model = {0};
    json_error_t why = {.text = "a number is out of its range"};
    const char *kind = "";
    int version = 0, leads_1 = 0;
    json_t *gain = NULL, *gain_1 = NULL;
    bool good =
        json_unpack_ex(root, &why, 0, "{s:s, s:i, s:F, s:F, s:F, s:F, s:o, s:o}", "kind", &kind,
                       "version", &version, "step_s", &model.step_s, "phi1", &model.phi1, "phi2",
                       &model.phi2, "rho", &model.rho, "gain", &gain, "gain_1", &gain_1) == 0;
    good = good && strcmp(kind, "update") == 0 && version == 1 && model.step_s > 0 &&
           is_stable(model.phi1, model.phi2) && model.rho >= 0 && model.rho < 1 &&
           take_gains(gain, &model.leads, model.gain) &&
           take_gains(gain_1, &leads_1, model.gain_1) && leads_1 == model.leads;
    if (!good) {
        return err_set(ret_err, ERR_CORRUPT,
                       "%.300s: not an updating model as update --fit writes it: %.150s", name,
                       why.text);
    }
    *ret_model = model;
    return 0;
}

int update_load(const char *path, struct update_model *ret_model, struct err *ret_err) {
    json_t *root = NULL;
    int rc = output_read_json(path, &root, ret_err);
    if (rc != 0) {
        return rc;
    }
    rc = update_unpack(path, root, ret_model, ret_err);
    json_decref(root);
    return rc;
}
