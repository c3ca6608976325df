/* The model `render` of canhbao-model: one field of a grid file as a picture for people. */
#ifndef CANHBAO_MODELS_RENDER_RENDER_H
#define CANHBAO_MODELS_RENDER_RENDER_H

#include "models/model.h"

extern const struct model model_render;

#endif
