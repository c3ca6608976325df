/* The models `nowcast` and `hindcast` of canhbao-model: rain of the next hours from radar frames.
 */
#ifndef CANHBAO_NOWCAST_NOWCAST_H
#define CANHBAO_NOWCAST_NOWCAST_H

#include "models/model.h"

extern const struct model model_nowcast;
extern const struct model model_hindcast;

#endif
