/* Observations as JSON: bodies of the topic canhbao.observation.v1
 * (deploy/schemas/observation.v1.json): the readings of one station from one request, the failed
 * ones too. Keys in a fixed order: the same readings give the same bytes. Thread rule: pure. */
#ifndef CANHBAO_ALERTS_MESSAGE_OBSERVATION_H
#define CANHBAO_ALERTS_MESSAGE_OBSERVATION_H

#include "alerts/message/json.h"
#include "daemon/station/reading.h"
#include "daemon/station/station.h"

/* `readings` are all of `station`, ascending in seq. `requalified`: flags got worse after a
 * successor was known; replaces the observation of the same seq. ERR_LIMIT when it does not fit;
 * about 400 bytes a reading. The text ends with a zero byte that ret_length does not count. */
int message_observation(const struct station *station, const struct point *points,
                        const struct reading *readings, size_t count, bool requalified,
                        const struct message_context *context, char *ret_text, size_t size,
                        size_t *ret_length);

#endif
