/* The conformance kit: puts a log on a broker in one of the many orders that the contract of
 * deploy/schemas/README.md allows, and tells what a consumer must have understood at the end.
 *
 * Each disturbance is one of: the newest messages of a key once more, in order; two neighbours of
 * different keys exchanged; a record of canhbao.alert-state.v1 gone that a later one of its key
 * replaces (compaction), or a tombstone with everything before it; a heartbeat missing.
 * Thread rule: main thread. */
#ifndef CANHBAO_SIM_CONSUMER_TEST_H
#define CANHBAO_SIM_CONSUMER_TEST_H

#include "consumer_log.h"
#include "options.h"

struct disturbances {
    uint64_t repeated, exchanged, compacted, vanished, missing;
};

/* `count` random disturbances. *ret_order: indices into the log in the order of publication (caller
 * frees). ERR_MEMORY. */
int consumer_disturb(const struct consumer_log *log, uint64_t seed, uint64_t count,
                     size_t **ret_order, size_t *ret_length, struct disturbances *ret_done);

int consumer_test_run(const struct options *options, struct err *ret_err);

#endif
