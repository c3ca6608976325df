/* Consumes alerts from Kafka as a downstream consumer does, and prints each once.
 *
 * Duplicates are recognised by event id (header ce_id, or `id` in the body) among the newest
 * TAIL_IDS_MAX. An alert is graded when its level is above 0. Thread rule: main thread; SIGINT and
 * SIGTERM are blocked before the client's threads start and waited for here. */
#ifndef CANHBAO_SIM_TAIL_H
#define CANHBAO_SIM_TAIL_H

#include "options.h"

enum { TAIL_IDS_MAX = 200000, TAIL_HAZARDS_MAX = 64 };

/* Runs until a signal or options->seconds; prints counts by hazard at the end (to stderr with
 * --tail-json). Returns 0, or ERR_NOT_FOUND when fewer hazards than expected were graded,
 * ERR_CORRUPT when an event could not be read, ERR_IO when the client could not be made. */
int tail_run(const struct options *options, struct err *ret_err);

#endif
