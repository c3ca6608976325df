/* What people said of the alarms of radiation and chemicals (COMMAND_VERDICT), counted by station:
 * the verification of detections, and what to look at where rain or faults lead. Thread rule: loop
 * thread only. */
#ifndef CANHBAO_DAEMON_VERDICTS_H
#define CANHBAO_DAEMON_VERDICTS_H

#include <jansson.h>

#include "daemon/engine.h"

/* [{place, real, rain, fault, rules: [{rule, real, rain, fault, newest, episode}]}]: places with a
 * verdict only, episodes counted; `newest` is that of the episode that began at `episode`. New
 * reference; NULL without memory. */
json_t *verdicts_value(const struct engine *engine);

#endif
