/* Updating of a discharge forecast from the gauge: restricted autoregression of the model error.
 *
 * e(t) = Qobs(t) - Qsim(t). The correction at lead k is g(k) e^(t + k), where e^ follows an AR(2)
 * fitted by least squares on past years (roots inside the unit circle), or an AR(1) when only the
 * newest error is known. Restricted (after Li et al. 2015, who limit it to |e(t)|; that costs more
 * than it saves within the first hours, 0.001 to 0.004 of NSE on the hourly test basin): its size
 * never exceeds |e(t)| + UPDATE_TREND_STEPS |e(t) - e(t - 1)|. Tapered: g(k) is 1 as long as the
 * whole correction took away a quarter of the squared error of the open loop in the past years,
 * beyond that the share of it that paid, within 0 and 1 and never rising with the lead, so that far
 * leads fall back to the open loop. Never below 0 m3/s. No correction when the newest usable
 * observation is more than UPDATE_AGE_MAX steps old; that is said in the mark, and the open loop is
 * what is left.
 *
 * Any unit of discharge does, as long as it is the same for both. Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_UPDATE_H
#define CANHBAO_MODELS_HYDROLOGY_UPDATE_H

#include <stddef.h>

#include <jansson.h>

#include "daemon/base/err.h"

enum { UPDATE_LEADS_MAX = 96, UPDATE_AGE_MAX = 2, UPDATE_TREND_STEPS = 3, UPDATE_PAIRS_MIN = 200 };

struct update_model {
    double phi1, phi2; /* AR(2) */
    double rho;        /* AR(1) */
    int leads;
    double gain[UPDATE_LEADS_MAX + 1];   /* [k], of the AR(2); gain[0] = 1 */
    double gain_1[UPDATE_LEADS_MAX + 1]; /* of the AR(1) */
    double step_s;                       /* of the series it was fitted on */
};

/* Missing values (NaN) on either side are left out. ERR_INVALID: fewer than UPDATE_PAIRS_MIN usable
 * triples, errors without variance, or no stable AR(2). */
int update_fit(const double *observed, const double *simulated, size_t count, int leads,
               double step_s, struct update_model *ret_model, struct err *ret_err);

enum update_mark {
    UPDATE_OK,
    UPDATE_AR1,     /* corrected by the AR(1): the error before the newest is not known */
    UPDATE_DROPPED, /* the newest observation is too old: open loop */
    UPDATE_MISSING, /* the simulation is not known: no forecast */
};

/* The forecast for `lead` steps (1 to model->leads minus age) after `now`. `observed` and
 * `simulated` are the past up to and including index `now`; `simulated_then` is the open-loop
 * simulation for now + lead, with whatever rain it was made. ret_age (may be NULL) gets the age of
 * the observation used, in steps, -1 when none was. */
double update_forecast(const struct update_model *model, const double *observed,
                       const double *simulated, size_t now, int lead, double simulated_then,
                       enum update_mark *ret_mark, int *ret_age);

/* The file of a model, to be written by output_write_json(). NULL: no memory. */
json_t *update_pack(const struct update_model *model);
int update_load(const char *path, struct update_model *ret_model, struct err *ret_err);
/* The same from an object inside another file; `name` stands for it in errors. */
int update_unpack(const char *name, json_t *root, struct update_model *ret_model,
                  struct err *ret_err);

#endif
