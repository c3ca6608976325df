/* How far a discharge forecast is off, from past years: what turns a forecast into a band.
 *
 * For each lead the quantiles of ln(observed / forecast) over the issue times whose forecast is
 * among the highest RESIDUAL_SHARE of that lead: bands are for floods, low flows have other errors.
 * The forecasts are made with the simulation as it is, that is with the rain that fell, so the
 * quantiles hold the error of the model and of the updating; that of the rain forecast comes from
 * its members. Element 0 is the open loop, for when nothing can be updated.
 *
 * Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_RESIDUAL_H
#define CANHBAO_MODELS_HYDROLOGY_RESIDUAL_H

#include "models/hydrology/update.h"

#define RESIDUAL_SHARE 0.2
enum { RESIDUAL_QUANTILES = 20, RESIDUAL_PAIRS_MIN = 100 };

struct residual {
    int leads;
    /* [lead][i]: quantile (i + 0.5) / RESIDUAL_QUANTILES of ln(observed / forecast). */
    double log_ratio[UPDATE_LEADS_MAX + 1][RESIDUAL_QUANTILES];
    double log_ratio_1[UPDATE_LEADS_MAX + 1][RESIDUAL_QUANTILES]; /* updated by the AR(1) */
};

/* ERR_INVALID: fewer than RESIDUAL_PAIRS_MIN pairs above 0 at some lead. */
int residual_fit(const struct update_model *model, const double *observed, const double *simulated,
                 size_t count, struct residual *ret_residual, struct err *ret_err);

/* The member "residual" of an updating file (update_pack()). Loading refuses (ERR_CORRUPT) a file
 * without it and numbers that cannot be such quantiles. */
json_t *residual_pack(const struct residual *residual);
int residual_load(const char *path, struct residual *ret_residual, struct err *ret_err);
/* The member itself, inside another file. */
int residual_unpack(const json_t *object, struct residual *ret_residual);

/* The quantiles for a forecast, `age` steps after the observation it was updated with; the open
 * loop's when it was not. */
const double *residual_of(const struct residual *residual, enum update_mark mark, int lead,
                          int age);

#endif
