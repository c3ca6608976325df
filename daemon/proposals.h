/* Raises of the risk level that the law leaves to people (Decision 18/2021/QĐ-TTg Art. 4): hazards
 * at once in one group of places (a basin) may raise the level by one, serious danger to life and
 * property by two more, to 5 at most. They are only shown; nothing applies them: levels of alarms
 * are what evidence says. What a person decides is on record with the incident, as an attachment
 * "risk-raise" (COMMAND_ATTACH) with the reference "accepted-LEVEL" or "refused-LEVEL"; it answers
 * the proposals of that incident up to that level.
 * Thread rule: loop thread. */
#ifndef CANHBAO_DAEMON_PROPOSALS_H
#define CANHBAO_DAEMON_PROPOSALS_H

#include <jansson.h>

#include "daemon/engine.h"

/* One object for each alarm on the risk scale that stands while another hazard stands in its group:
 * {rule, place, group, hazard, incident, incident_revision, scale, level, proposed_level,
 * if_serious_level, with: [hazards], article, text_vi, text_en, decision}; decision is null, or
 * {state: "accepted" or "refused", level, actor, at, reason}. NULL without memory. */
json_t *proposals_value(const struct engine *engine);

#endif
