/* The state of the rivers and the verification of their gauges as a file (JSON); the same bits come
 * back. Thread rule: pure functions. */
#ifndef CANHBAO_MODELS_HYDROLOGY_FLOOD_STATE_H
#define CANHBAO_MODELS_HYDROLOGY_FLOOD_STATE_H

#include "models/hydrology/flood_flow.h"
#include "models/hydrology/flood_skill.h"

/* skill: [site->gauge_count]. ERR_IO, ERR_MEMORY. */
int flood_state_save(const char *path, const struct flood_site *site,
                     const struct flood_state *state, const struct flood_skill *skill,
                     struct err *ret_err);

/* ERR_INVALID: of other basins, reaches or reservoirs; ERR_CORRUPT, ERR_IO, ERR_MEMORY. A gauge
 * that the file does not know starts its verification. */
int flood_state_load(const char *path, const struct flood_site *site,
                     struct flood_state **ret_state, struct flood_skill *ret_skill,
                     struct err *ret_err);

#endif
