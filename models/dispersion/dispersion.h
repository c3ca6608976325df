/* The entries of canhbao-model's table for releases to the air. */
#ifndef CANHBAO_MODELS_DISPERSION_DISPERSION_H
#define CANHBAO_MODELS_DISPERSION_DISPERSION_H

#include "models/model.h"

extern const struct model model_plume;
extern const struct model model_trace;
extern const struct model model_release;
extern const struct model model_srs;
extern const struct model model_whatif;

#endif
