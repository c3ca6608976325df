/* What a model worker prints. A worker may have been subverted by its input: what is accepted is
 * judged again here. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/job_output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct utc_us newest = {INT64_C(1763532000000000)}; /* 2025-11-19T06:00:00Z */

static void demand(int condition) {
    if (!condition) {
        abort();
    }
}

static void judge_result(const struct model_result *result) {
    demand(strcmp(result->product, "radar") == 0 && strcmp(result->model, "areal") == 0);
    demand(text_is_id(result->place) && text_is_id(result->variable));
    demand(isnan(result->value) ? result->cause[0] != '\0' : isfinite(result->value));
    demand(isnan(result->probability) || (result->probability >= 0 && result->probability <= 1));
    demand(isnan(result->coverage) || (result->coverage >= 0 && result->coverage <= 1));
    demand(result->lead_us >= 0 && result->window_us >= 0 &&
           (result->doubt == MODEL_DOUBT_NONE || result->doubt == MODEL_DOUBT_INPUT));
    demand(result->reference_time.us <= newest.us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct job_output output = {.count = 12345};
    struct err err = {.code = 0};
    int result =
        job_output_parse((const char *)data, size, "areal", "radar", newest, &output, &err);
    if (result != 0) {
        demand(output.count == 12345 && err.text[0] != '\0');
        return 0;
    }
    demand(strlen(output.manifest) == HASH_TEXT_SIZE - 1 && output.manifest_json != NULL);
    for (size_t i = 0; i < output.count; i++) {
        judge_result(&output.results[i]);
    }
    for (size_t i = 0; i < output.score_count; i++) {
        const struct skill_score *score = &output.scores[i];
        demand(text_is_id(score->skill.key.product) && text_is_id(score->skill.key.system));
        demand(score->valid.us <= newest.us);
        for (int k = 0; k < SKILL_SUM_COUNT; k++) {
            demand(isfinite(score->skill.sums[k]));
        }
    }
    job_output_finish(&output);
    return 0;
}
