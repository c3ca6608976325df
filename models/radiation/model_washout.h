/* canhbao-model washout: see --help. Thread rule: as models/model.h. */
#ifndef CANHBAO_MODELS_RADIATION_MODEL_WASHOUT_H
#define CANHBAO_MODELS_RADIATION_MODEL_WASHOUT_H

#include "models/model.h"

extern const struct model model_washout;

#endif
