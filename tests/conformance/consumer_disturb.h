/* The disturbances of consumer_test.h. Thread rule: pure. */
#ifndef CANHBAO_CONFORMANCE_CONSUMER_DISTURB_H
#define CANHBAO_CONFORMANCE_CONSUMER_DISTURB_H

#include "tests/conformance/consumer_log.h"

struct disturbances {
    uint64_t repeated, exchanged, compacted, vanished, missing;
};

/* `count` random disturbances. *ret_order: indices into the log in the order of publication (caller
 * frees). ERR_MEMORY. */
int consumer_disturb(const struct consumer_log *log, uint64_t seed, uint64_t count,
                     size_t **ret_order, size_t *ret_length, struct disturbances *ret_done);

#endif
