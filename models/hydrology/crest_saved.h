/* All that a step of a distributed run changes, put aside and brought back: for guidance, for rain
 * members, and for the state file. The same bits come back.
 *
 * Thread rule: pure functions; a domain belongs to one thread. */
#ifndef CANHBAO_MODELS_HYDROLOGY_CREST_SAVED_H
#define CANHBAO_MODELS_HYDROLOGY_CREST_SAVED_H

#include "models/hydrology/crest_domain.h"

/* Soil, interflow, volume, outflow, its root, what a restarted reach assumed. */
enum { CREST_SAVED_ARRAYS = 6 };
extern const char *const crest_saved_names[CREST_SAVED_ARRAYS];

struct crest_saved {
    double *numbers; /* [array][place]; interflow stays 0 in a domain without */
    uint8_t *mark;   /* [place] enum kinematic_mark */
    bool degraded;
};

/* ERR_MEMORY. */
int crest_saved_create(const struct crest_domain *domain, struct crest_saved *ret_saved,
                       struct err *ret_err);
void crest_saved_finish(struct crest_saved *saved); /* fine on a zeroed struct */

void crest_saved_keep(const struct crest_domain *domain, struct crest_saved *saved);
void crest_saved_restore(struct crest_domain *domain, const struct crest_saved *saved);

#endif
