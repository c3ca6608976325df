/* The state of a distributed run as a NetCDF file; the same bits come back.
 *
 * Dimensions place, array, slot, duration, step; doubles for the stores. It belongs to one domain:
 * `identity` (hash of drainage grid and parameters) must be the same. Thread rule: pure. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CREST_STATE_H
#define CANHBAO_MODELS_HYDROLOGY_CREST_STATE_H

#include "models/hydrology/crest_live.h"

/* After a run: the state that the next one starts from. Appears under its name when complete.
 * ERR_IO, ERR_LIMIT. */
int crest_state_save(const char *path, const struct crest_live *live, const char *identity,
                     struct err *ret_err);

/* Into a created live and its domain. ERR_INVALID: of another domain, step or parameters; ERR_IO,
 * ERR_CORRUPT, then live and domain are as before. */
int crest_state_load(const char *path, struct crest_live *live, const char *identity,
                     struct err *ret_err);

#endif
