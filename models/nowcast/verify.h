/* `canhbao-model verify`: forecasts of rain on grids against what fell. */
#ifndef CANHBAO_MODELS_NOWCAST_VERIFY_H
#define CANHBAO_MODELS_NOWCAST_VERIFY_H

#include "models/model.h"

extern const struct model model_verify;

#endif
