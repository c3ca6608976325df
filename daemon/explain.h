/* Why an event came about: its evidence with the readings behind it, and the decision once more.
 *
 * The decision is recomputed by the engine's own quality control, windows and conditions from the
 * inputs in the store's journal; every reading that goes in is compared with the table of readings.
 * Where the journal no longer reaches back, the table of readings alone is used (windows are then
 * cut by UTC, and results of models are not there any more). Nothing of the stored event is put
 * into the recomputation but its time. The rule must have the revision that decided.
 *
 * The report is a JSON object:
 *   event           as published
 *   rule_text       the canonical text of the revision that decided; null: not in the store
 *   levels          each level's condition in words, and what the recomputed evidence makes of it
 *   inputs          per indicator the readings or the run behind it, from the store
 *   recomputed      {done, from: "journal" | "readings", inputs, same, differences: [{at, stored,
 *                   recomputed}], reason: why not done, or null}
 *   counterfactual  {indicator, unit, value, nearest, level, level_name_vi, level_name_en}, or null
 * Thread rule: loop thread. */
#ifndef CANHBAO_DAEMON_EXPLAIN_H
#define CANHBAO_DAEMON_EXPLAIN_H

#include <jansson.h>

#include "daemon/config/site.h"
#include "daemon/store/store.h"

/* Puts the text of every rule into the store, so that it can be told after the rule has changed. */
int explain_keep_rules(struct store *store, const struct site *site);

/* ERR_NOT_FOUND: no such event; ERR_LIMIT: more than `inputs_max` journaled inputs would have to be
 * looked through (0: no bound); ERR_CORRUPT, ERR_IO, ERR_MEMORY. */
int explain_event(struct store *store, const struct site *site, const char *id, uint64_t inputs_max,
                  json_t **ret_report, struct err *ret_err);

#endif
