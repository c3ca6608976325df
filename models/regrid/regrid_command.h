/* The model `regrid` of canhbao-model: the fields of a file on the grid of another file. */
#ifndef CANHBAO_MODELS_REGRID_REGRID_COMMAND_H
#define CANHBAO_MODELS_REGRID_REGRID_COMMAND_H

#include "models/model.h"

extern const struct model model_regrid;

#endif
