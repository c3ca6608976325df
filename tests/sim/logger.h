/* What a simulated station has beside its points: a clock of its own (drifting, wrong, set), a text
 * in registers, and a ring of records. The ring is not stored: record i holds what the signals said
 * at origin + i * interval, stamped by the station's clock as it was then. So it is right while the
 * link is down, and value faults do not reach it.
 *
 * Written from the usual forms of loggers, independent of the daemon's decoder. One thread. */
#ifndef CANHBAO_SIM_LOGGER_H
#define CANHBAO_SIM_LOGGER_H

#include "record.h"
#include "scenario.h"

/* Reads the keys clock, text and memory of a station whose map and signals are known; *ret_logger
 * stays NULL without them. */
int sim_logger_load(const struct sim_station *station, struct doc *doc, yaml_node_t *map,
                    int64_t start_us, struct sim_logger **ret_logger, struct err *ret_err);
void sim_logger_free(struct sim_logger *logger); /* NULL is fine */

/* The register at an address that no point has; false: there is none. Values out of the memory go
 * to truth with the time of the record and the fault "memory". */
bool sim_logger_register(struct sim_station *station, enum sim_table table, unsigned address,
                         int64_t t_us, struct record *truth, uint16_t *ret_register);

#endif
