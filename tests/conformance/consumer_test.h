/* The conformance kit: puts a log on a broker in one of the many orders that the contract of
 * deploy/schemas/README.md allows, and tells what a consumer must have understood at the end.
 *
 * Each disturbance is one of: the newest messages of a key once more, in order; two neighbours of
 * different keys exchanged; a record of canhbao.alert-state.v1 gone that a later one of its key
 * replaces (compaction), or a tombstone with everything before it; a heartbeat missing.
 * Thread rule: main thread. */
#ifndef CANHBAO_CONFORMANCE_CONSUMER_TEST_H
#define CANHBAO_CONFORMANCE_CONSUMER_TEST_H

#include "daemon/base/err.h"
#include "tests/sim/options.h"

int consumer_test_run(const struct options *options, struct err *ret_err);

#endif
