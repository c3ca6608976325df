/* What a model worker prints: one JSON object (models/areal/command.h) -> results.
 *
 * The worker may have been subverted by its input, so nothing in it is believed unchecked: types,
 * ids, finite numbers, ranges and counts. Any fault refuses the whole. Thread rule: pure. */
#ifndef CANHBAO_DAEMON_JOB_OUTPUT_H
#define CANHBAO_DAEMON_JOB_OUTPUT_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "daemon/station/model_result.h"

enum { JOB_OUTPUT_BYTES_MAX = 16 << 20, JOB_RESULTS_MAX = 100000 };

/* The caller frees. `model` and `product` must be those of the job; a reference time later than
 * `newest` is refused. */
int job_output_parse(const char *text, size_t length, const char *model, const char *product,
                     struct utc_us newest, struct model_result **ret_results, size_t *ret_count,
                     struct err *ret_err);

#endif
