/* What a model worker prints: one JSON object (models/areal/command.h; a result may also have
 * "doubtful": true, MODEL_DOUBT_INPUT; and perhaps "scores":
 * [{product, system, place, variable, unit, lead_s, threshold, valid_time, sums: {NAME: number},
 * late}], names as in station/skill.h, late only when it is true; results may have "at_least" where
 * value is null) -> results and scores.
 *
 * The worker may have been subverted by its input, so nothing in it is believed unchecked: types,
 * ids, finite numbers, ranges and counts. Any fault refuses the whole. Thread rule: pure. */
#ifndef CANHBAO_DAEMON_JOB_OUTPUT_H
#define CANHBAO_DAEMON_JOB_OUTPUT_H

#include <stddef.h>

#include "daemon/base/err.h"
#include "daemon/station/model_result.h"
#include "daemon/station/skill.h"

enum { JOB_OUTPUT_BYTES_MAX = 16 << 20, JOB_RESULTS_MAX = 100000, JOB_SCORES_MAX = 20000 };

struct job_output {
    struct utc_us reference_time;
    char manifest[HASH_TEXT_SIZE]; /* SHA-256 of the manifest, as the worker says */
    char *manifest_json;           /* the manifest as compact JSON; "null" without one */
    struct model_result *results;  /* NULL when there are none */
    size_t count;
    struct skill_score *scores; /* NULL when there are none */
    size_t score_count;
};

/* `model` and `product` must be those of the job; a reference time later than `newest` is refused.
 * A run may have no results. */
int job_output_parse(const char *text, size_t length, const char *model, const char *product,
                     struct utc_us newest, struct job_output *ret_output, struct err *ret_err);
void job_output_finish(struct job_output *output); /* fine on a zeroed struct */

#endif
