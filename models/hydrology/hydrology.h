/* The hydrological models of canhbao-model. Each has its own file cli_NAME.c, which turns tables
 * and options into calls of the pure modules beside it. */
#ifndef CANHBAO_MODELS_HYDROLOGY_HYDROLOGY_H
#define CANHBAO_MODELS_HYDROLOGY_HYDROLOGY_H

#include "models/model.h"

extern const struct model model_gr;
extern const struct model model_route;
extern const struct model model_crest;
extern const struct model model_crest_grid;
extern const struct model model_flashflood;
extern const struct model model_hbv;
extern const struct model model_rating;
extern const struct model model_update;
extern const struct model model_ffg;
extern const struct model model_forecast;
extern const struct model model_flood;
extern const struct model model_nwp;
extern const struct model model_calibrate;
extern const struct model model_regional;
extern const struct model model_terrain;

#endif
