/* Calibration of GR4J/GR4H against observed runoff.
 *
 * Only steps with an observation, after the warm-up, and whose simulation is known (not missing,
 * not recovering after a gap in the forcing) count. Thread rule: pure function; makes its own
 * threads. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CALIBRATE_H
#define CANHBAO_MODELS_HYDROLOGY_CALIBRATE_H

#include <stddef.h>
#include <stdint.h>

#include "models/hydrology/gr.h"
#include "models/hydrology/search.h"

enum calibrate_objective {
    CALIBRATE_NSE,
    CALIBRATE_KGE,
    CALIBRATE_FLOOD, /* NSE with squared errors weighted by 1 + observed over its mean */
};

struct calibrate_data {
    enum gr_step_length step;
    size_t count;
    const double *rain_mm;
    const double *evaporation_mm;
    const double *observed_mm;
};

struct calibrate_options {
    enum calibrate_objective objective;
    size_t from; /* first step that counts; the ones before warm the model up */
    size_t to;   /* one past the last */
    int restarts;
    int threads;
    uint64_t seed;
    void (*progress)(void *context, int restart, int generation, double best);
    void *context;
};

enum { CALIBRATE_PAIRS_MIN = 100 };

/* ERR_INVALID with fewer than CALIBRATE_PAIRS_MIN usable pairs or no variance in them. */
int calibrate_gr(const struct calibrate_data *data, const struct calibrate_options *options,
                 struct gr_parameters *ret_parameters, struct search_result *ret_result,
                 struct err *ret_err);

/* Runs over everything; steps that do not count are NaN. */
void calibrate_simulate(const struct calibrate_data *data, const struct gr_parameters *parameters,
                        double *ret_simulated_mm);

double calibrate_score(enum calibrate_objective objective, const double *observed,
                       const double *simulated, size_t count);

#endif
