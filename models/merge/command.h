/* The model `merge` of canhbao-model: rain of gauges on a grid, alone or merged with radar. */
#ifndef CANHBAO_MODELS_MERGE_COMMAND_H
#define CANHBAO_MODELS_MERGE_COMMAND_H

#include "models/model.h"

extern const struct model model_merge;

#endif
