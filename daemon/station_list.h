/* Stations of chosen points as a JSON file for a model: where they are and how their points count,
 * out of the configuration, so that no model needs a second list of them.
 *
 *   {"kind": "stations", "version": 1, "stations": [{"id", "latitude_deg", "longitude_deg" (WGS 84;
 *    absent: not told), "points": [{"id", "quantity", "unit", "kind" (instant, counter, amount),
 *    "period_s"}]}]}
 * and of a counter counter_modulus (absent: none), counter_step_max (its unit), counter_memory
 * (kept, lost), counter_epoch (none, changes, uptime) and counter_epoch_point, see
 * station/counter.h. Stations and points in the order of the site. Thread rule: pure. */
#ifndef CANHBAO_DAEMON_STATION_LIST_H
#define CANHBAO_DAEMON_STATION_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/config/site.h"

/* `points` are indices in the site, in any order; each counts once. Text from malloc(); NULL: no
 * memory. */
char *station_list_text(const struct site *site, const uint32_t *points, size_t count);

#endif
