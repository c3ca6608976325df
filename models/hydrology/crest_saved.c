#include "models/hydrology/crest_saved.h"

#include <stdlib.h>
#include <string.h>

const char *const crest_saved_names[CREST_SAVED_ARRAYS] = {
    "soil_water", "interflow", "channel_volume", "discharge", "discharge_root", "assumed_volume"};

static void arrays_of(const struct crest_domain *domain, double *ret_arrays[CREST_SAVED_ARRAYS]) {
    const struct crest_grid *crest = &domain->crest;
    const struct kinematic *kinematic = crest->kinematic;
    double *const arrays[CREST_SAVED_ARRAYS] = {crest->water_mm,      crest->interflow_mm,
                                                kinematic->volume_m3, kinematic->outflow_m3_s,
                                                kinematic->root,      kinematic->assumed_m3};
    memcpy(ret_arrays, arrays, sizeof arrays);
}

int crest_saved_create(const struct crest_domain *domain, struct crest_saved *ret_saved,
                       struct err *ret_err) {
    size_t places = domain->network->count;
    struct crest_saved saved = {calloc(CREST_SAVED_ARRAYS * places + 1, sizeof(double)),
                                calloc(places + 1, 1), false};
    if (saved.numbers == NULL || saved.mark == NULL) {
        crest_saved_finish(&saved);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", places);
    }
    *ret_saved = saved;
    return 0;
}

void crest_saved_finish(struct crest_saved *saved) {
    free(saved->numbers);
    free(saved->mark);
    *saved = (struct crest_saved){NULL, NULL, false};
}

void crest_saved_keep(const struct crest_domain *domain, struct crest_saved *saved) {
    size_t places = domain->network->count;
    double *arrays[CREST_SAVED_ARRAYS];
    arrays_of(domain, arrays);
    for (size_t i = 0; i < CREST_SAVED_ARRAYS; i++) {
        if (arrays[i] != NULL) {
            memcpy(saved->numbers + i * places, arrays[i], places * sizeof(double));
        }
    }
    memcpy(saved->mark, domain->crest.kinematic->mark, places);
    saved->degraded = domain->crest.kinematic->degraded;
}

void crest_saved_restore(struct crest_domain *domain, const struct crest_saved *saved) {
    size_t places = domain->network->count;
    double *arrays[CREST_SAVED_ARRAYS];
    arrays_of(domain, arrays);
    for (size_t i = 0; i < CREST_SAVED_ARRAYS; i++) {
        if (arrays[i] != NULL) {
            memcpy(arrays[i], saved->numbers + i * places, places * sizeof(double));
        }
    }
    memcpy(domain->crest.kinematic->mark, saved->mark, places);
    domain->crest.kinematic->degraded = saved->degraded;
}
