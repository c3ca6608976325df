/* The entry of canhbao-model's table for the landslide indicators. */
#ifndef CANHBAO_MODELS_LANDSLIDE_MODEL_LANDSLIDE_H
#define CANHBAO_MODELS_LANDSLIDE_MODEL_LANDSLIDE_H

#include "models/model.h"

extern const struct model model_landslide;
extern const struct model model_landslide_grid;
extern const struct model model_slopes;

#endif
